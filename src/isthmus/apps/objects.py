"""Objects taken out of films: what is behind them is borrowed from other frames, where these show it, and else filled."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.ndimage import shift as moved_by

from .fill import smooth_fill
from .measures import TOP

REACH = 60  # frames before and after that are borrowed from
_OVERLAP = 0.25  # share of the frame that must be seen in both frames, to compare them
LENDERS = 5  # of which the median is taken


def without_object(
    frames: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    fill: Callable[[np.ndarray, np.ndarray], np.ndarray] = smooth_fill,
    reach: int = REACH,
) -> list[np.ndarray]:
    """Frames without what their masks cover; outside of the masks nothing changes.

    Of each hidden pixel the nearest frames, up to `reach` away, that show it lend it: the median of up to five. The camera may
    move sideways and up and down: by how much is found from what both frames show. What was borrowed is brought to the
    brightness of the frame at the mask's border. Where no frame shows what is behind, `fill(frame, mask)` invents it.

    Parameters
    ----------
    frames : (height, width[, channels]) each, of one size;   masks : (height, width) each, True where the object is
    fill : function of a frame and a mask, default a smooth surface; for instance that of a `Restorer`, `restorer.fill`
    """
    refuse_unlike(frames, masks)
    if not len(frames):
        raise ValueError("There are no frames. Give one at least.")
    masks = [np.asarray(mask) > 0 for mask in masks]
    places = places_of(frames, masks)
    out = []
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        if not mask.any():
            out.append(frame.copy())
            continue
        wide = binary_dilation(mask, iterations=2)
        lent, missing = borrowed(frames, masks, places, number, wide, reach)
        whole = frame.astype(np.float64)
        edge = wide & ~mask & ~missing
        away = smooth_fill(np.where(beside(edge, frame), whole - lent, 0.0), mask)  # light and shade differ between frames
        missing &= mask
        whole = np.where(beside(mask & ~missing, frame), lent + away, whole)
        top = TOP.get(str(frame.dtype), 1.0)
        whole = (whole.round().clip(0, top) if top > 1 else whole).astype(frame.dtype)
        out.append(fill(whole, missing) if missing.any() else whole)
    return out


def beside(mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The mask, with an axis for the frame's channels where it has one."""
    return mask if frame.ndim == 2 else mask[..., None]


def borrowed(frames, masks, places: np.ndarray, number: int, mask: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """What other frames show at these pixels of one, in floats, and where none does."""
    frame = frames[number]
    rows, columns = np.nonzero(mask)
    channels = frame.reshape(*mask.shape, -1).shape[-1]
    found = np.full((LENDERS, len(rows), channels), np.nan)
    count = np.zeros(len(rows), int)
    others = sorted(range(max(0, number - reach), min(len(frames), number + reach + 1)), key=lambda other: abs(other - number))
    for other in others[1:]:
        if (count >= LENDERS).all():
            break
        away = places[other] - places[number]
        whole = np.round(away).astype(int)
        r, c = rows + whole[0], columns + whole[1]
        inside = (r >= 0) & (r < mask.shape[0]) & (c >= 0) & (c < mask.shape[1]) & (count < LENDERS)
        shows = np.flatnonzero(inside)
        shows = shows[~masks[other][r[shows], c[shows]]]
        values = frames[other].reshape(*mask.shape, -1)
        if np.abs(away - whole).max() > 0.1:
            values = moved_by(values.astype(np.float64), (*(whole - away), 0), order=1, mode="nearest")
        found[count[shows], shows] = values[r[shows], c[shows]]
        count[shows] += 1
    lent, missing = np.zeros((*mask.shape, channels)), mask.copy()
    known = count > 0
    with np.errstate(all="ignore"):
        lent[rows[known], columns[known]] = np.nanmedian(found[:, known], 0)
    missing[rows[known], columns[known]] = False
    return lent.reshape(*mask.shape, *frame.shape[2:]), missing


def places_of(frames, masks) -> np.ndarray:
    """(frames, 2): where the scene of the first frame has come to in each, rows and columns, by adding up steps."""
    places = np.zeros((len(frames), 2))
    for number in range(1, len(frames)):
        before, now = ((grey(frames[n]), ~masks[n]) for n in (number - 1, number))
        places[number] = places[number - 1] + step_between(*before, *now)
    return places


def grey(frame: np.ndarray) -> np.ndarray:
    """(height, width), white being 1."""
    return frame.reshape(*frame.shape[:2], -1).mean(-1) / TOP.get(str(frame.dtype), 1.0)


def step_between(before: np.ndarray, seen_before: np.ndarray, now: np.ndarray, seen_now: np.ndarray) -> np.ndarray:
    """By how much a scene moved, in rows and columns, to a part of a pixel: where the pixels that are seen in both agree best.

        minimise over s  sum_x m(x) n(x + s) (before(x) - now(x + s))^2 / sum_x m(x) n(x + s)

    for all s at once by Fourier transforms (after Padfield 2012, "Masked object registration in the Fourier domain").
    """
    size = tuple(2 * length for length in now.shape)  # room for what lies outside
    m, n = seen_before.astype(float), seen_now.astype(float)
    middle = before[seen_before].mean() if seen_before.any() else 0.0
    a, b = m * (before - middle), n * (now - middle)
    one, two = ((np.fft.rfft2(x, size) for x in (f, f * y, f * y * y)) for f, y in ((m, a), (n, b)))
    (m0, m1, m2), (n0, n1, n2) = one, two
    both = np.fft.irfft2(np.conj(m0) * n0, size)
    apart = np.fft.irfft2(np.conj(m2) * n0 - 2 * np.conj(m1) * n1 + np.conj(m0) * n2, size)
    error = np.where(both > _OVERLAP * now.size, np.maximum(apart, 0) / np.maximum(both, 1), np.inf)
    if not np.isfinite(error[0, 0]) or error[0, 0] <= error.min() * 1.05 + 1e-9:
        return np.zeros(2)
    place = np.array(np.unravel_index(error.argmin(), size))
    step = np.where(place > np.array(size) // 2, place - size, place).astype(float)
    for axis in (0, 1):  # a parabola through the least error and its neighbours
        low, high = (error[tuple((place + side * (np.arange(2) == axis)) % size)] for side in (-1, 1))
        bend = low - 2 * error[tuple(place)] + high
        part = 0.5 * (low - high) / bend if np.isfinite(bend) and bend > 0 else 0.0
        step[axis] += part if abs(part) > 0.1 else 0.0
    return step


def refuse_unlike(frames, masks) -> None:
    if len(frames) != len(masks):
        raise ValueError(f"There are {len(frames)} frames, but {len(masks)} masks: one for each is expected.")
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        if frame.shape != frames[0].shape or np.shape(mask) != frame.shape[:2]:
            raise ValueError(
                f"Frame {number} has shape {frame.shape} and its mask {np.shape(mask)}, but frame 0 has {frames[0].shape}. All "
                "must be of one size."
            )
