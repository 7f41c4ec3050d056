"""Objects taken out of films: what is behind them is borrowed from other frames, where these show it, and else filled."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import binary_dilation, uniform_filter
from scipy.ndimage import shift as moved_by

from .fill import smooth_fill
from .measures import TOP

REACH = 60  # frames before and after that are borrowed from
LENDERS = 5  # of which the median is taken


def without_object(
    frames: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    fill: Callable[[np.ndarray, np.ndarray], np.ndarray] = smooth_fill,
    reach: int = REACH,
) -> list[np.ndarray]:
    """Frames without what their masks cover; outside of the masks nothing changes.

    Of each hidden pixel the nearest frames, up to `reach` away, that show it lend it: the median of up to five. The camera may
    move sideways and up and down: by how much is found by phase correlation. What was borrowed is brought to the brightness of
    the frame at the mask's border. Where no frame shows what is behind, `fill(frame, mask)` invents it.

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
    before = prepared(frames[0], masks[0])
    for number in range(1, len(frames)):
        now = prepared(frames[number], masks[number])
        places[number] = places[number - 1] + step_between(before, now)
        before = now
    return places


def prepared(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A grey frame without its slow changes, and nothing where it is masked, faded towards its borders."""
    grey = frame.reshape(*frame.shape[:2], -1).mean(-1) / TOP.get(str(frame.dtype), 1.0)
    grey = np.where(mask, grey[~mask].mean() if (~mask).any() else 0.0, grey)
    grey = np.where(mask, 0.0, grey - uniform_filter(grey, 15))
    return grey * np.outer(np.hanning(grey.shape[0] + 2)[1:-1], np.hanning(grey.shape[1] + 2)[1:-1])


def step_between(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """By how much the scene moved, in rows and columns, to a part of a pixel (Kuglin & Hines 1975, phase correlation)."""
    cross = np.fft.rfft2(now) * np.conj(np.fft.rfft2(before))
    peak = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9 + 1e-3 * np.abs(cross).max()), s=now.shape)
    place = np.array(np.unravel_index(peak.argmax(), peak.shape))
    if peak.max() < 4 * np.abs(peak).mean() or peak[0, 0] > 0.9 * peak.max():
        return np.zeros(2)
    step = np.where(place > np.array(peak.shape) // 2, place - peak.shape, place).astype(float)
    for axis in (0, 1):  # a parabola through the peak and its neighbours
        below, above = (peak[tuple(np.where(np.arange(2) == axis, place + side, place) % peak.shape)] for side in (-1, 1))
        bend = below - 2 * peak[tuple(place)] + above
        step[axis] += 0.5 * (below - above) / bend if bend < 0 else 0.0
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
