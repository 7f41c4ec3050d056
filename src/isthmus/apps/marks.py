"""One mark over many pictures: found in closed form, and taken away by inverting how it was laid on.

Every picture k is J_k = a W + (1 - a) I_k, with the matte a and the mark's colours W the same in all, and I_k what is wanted.
After Dekel, Rubinstein, Liu & Freeman 2017, "On the effectiveness of visible watermarks". They start from medians of
gradients; here mean and spread over the pictures are used, which need no iteration where there are many:

    mean J = a W + (1 - a) mean I,   std J = (1 - a) std I

Around the mark both are those of the pictures themselves; under it, mean I and std I continue smoothly what is around.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, binary_opening, gaussian_filter, median_filter

from .fill import smooth_fill, trend_fill
from .measures import TOP

LEAST_PICTURES = 12
UNMOVED = 0.02  # of white: a spread over the pictures below it is noise
THIN = 0.15  # what is left of a picture under the mark, below which it cannot be brought back
CLEAR = 6.0  # of the usual deviation from what is around
FAINT = 0.08  # of a matte that is taken for what is left of noise
BORDER = 3  # pixels that a mark found is widened by


class Unmoving(ValueError):
    """What is behind a mark does not change, so that the two cannot be told apart."""


@dataclass
class Mark:
    """A mark, as `find_mark` found it.

    matte : (height, width), 0 where there is none, 1 where it hides all
    colour : (height, width, channels), matte times the mark's colours, white being 1
    mask : (height, width), where there is any
    """

    matte: np.ndarray
    colour: np.ndarray
    mask: np.ndarray

    @property
    def rest(self) -> np.ndarray:
        """(height, width), True where too little is left of the picture to bring it back."""
        return 1 - self.matte < THIN

    def removed(self, picture: np.ndarray, fill: Callable[[np.ndarray, np.ndarray], np.ndarray] = smooth_fill) -> np.ndarray:
        """One picture (height, width[, channels]) without the mark, in its type; outside the mask nothing changes.

        I = (J - a W) / (1 - a),   and where 1 - a < 0.15, fill(I, mask of those places)
        """
        top = TOP.get(str(picture.dtype), 1.0)
        values = picture.reshape(*picture.shape[:2], -1)
        if values.shape != self.colour.shape:
            raise ValueError(
                f"The picture is {values.shape}, but the mark was found in pictures of {self.colour.shape}. It must be at the "
                "same place in pictures of one size."
            )
        found = (values / top - self.colour) / np.maximum(1 - self.matte, THIN)[..., None]
        found = found.clip(0, 1) * top
        found = found.round() if top > 1 else found
        out = np.where(self.mask[..., None], found, values).astype(picture.dtype)
        out = fill(out, self.rest) if self.rest.any() else out
        return out.reshape(picture.shape)


def find_mark(pictures: Iterable[np.ndarray], mask=None) -> Mark:
    """The mark that all pictures have at the same place.

    Parameters
    ----------
    pictures : (height, width[, channels]) each, uint8, uint16 or floats from 0 to 1; twelve or more of different content, such
        as the frames of a film whose camera moves. They are read once, one after the other.
    mask : (height, width), default None; where the mark is. None: found as what differs from its surroundings in all pictures

    Raises `Unmoving` where the pictures are too much alike, for then nothing tells the mark from what is behind it.
    """
    count, mean, spread = moments(pictures)
    if count < LEAST_PICTURES:
        raise ValueError(f"{count} pictures are too few to tell a mark from them: {LEAST_PICTURES} or more are needed.")
    given = None if mask is None else checked_mask(mask, spread)
    refuse_unmoving(spread, given)
    mask = found_mask(mean, spread) if given is None else given
    log_spread = np.log(np.maximum(spread, 1e-4))
    behind, usual = around(mean, mask), np.exp(around(log_spread, mask))
    left = np.where(mask, np.clip(spread / usual, 0, 1), 1.0)
    colour = np.where(mask[..., None], mean - left[..., None] * behind, 0.0)
    colour = np.clip(colour, 0, (1 - left)[..., None])  # no colour is brighter than white
    if given is None:
        mask = mask & seen_in(1 - left, colour)
        left, colour = np.where(mask, left, 1.0), np.where(mask[..., None], colour, 0.0)
    return Mark(1 - left, colour, mask)


def without_mark(pictures: Iterable[np.ndarray], mark: Mark, fill=smooth_fill) -> Iterator[np.ndarray]:
    """The pictures, one after the other, without the mark."""
    for picture in pictures:
        yield mark.removed(picture, fill)


# --------------------------------------------------------------------------------------------------- the parts of it


def moments(pictures: Iterable[np.ndarray]) -> tuple[int, np.ndarray, np.ndarray]:
    """How many there are, their mean (height, width, channels), and standard deviation (height, width) over all channels."""
    count, shift, first, square = 0, None, None, None
    for picture in pictures:
        values = picture.reshape(*picture.shape[:2], -1) / TOP.get(str(picture.dtype), 1.0)
        if shift is None or first is None or square is None:
            shift, first, square = values, np.zeros(values.shape), np.zeros(values.shape)
        if values.shape != shift.shape:
            raise ValueError(
                f"Picture {count} has shape {values.shape}, but picture 0 {shift.shape}. One mark at one place needs pictures of "
                "one size."
            )
        count += 1
        first += values - shift
        square += (values - shift) ** 2
    if shift is None or first is None or square is None:
        raise ValueError("There are no pictures, so there is no mark to find. Give twelve at least.")
    variance = (square / count - (first / count) ** 2).mean(-1)
    return count, shift + first / count, np.sqrt(np.maximum(variance, 0))


def refuse_unmoving(spread: np.ndarray, mask: np.ndarray | None) -> None:
    usual = float(np.median(spread if mask is None else spread[~mask]))
    if usual < UNMOVED:
        raise Unmoving(
            f"What is behind the mark does not move: pixels vary by {255 * usual:.1f} of 255 over the pictures, so a mark looks "
            "like a part of the scene. Say where it is by a mask, and have it filled: isthmus restore MODEL IN --mask MASK."
        )


def found_mask(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Where mean or spread differ from their wide surroundings by much more than is usual."""
    side = max(9, min(mean.shape[:2]) // 3) | 1
    fields = [*np.moveaxis(mean, -1, 0), np.log(np.maximum(spread, 1e-4))]
    away = np.zeros(spread.shape)
    for values in fields:
        values = gaussian_filter(values, 0.7)
        step = max(1, side // 32)  # the median of a wide window, on fewer pixels
        wide = median_filter(values[::step, ::step], size=max(3, side // step) | 1, mode="nearest")
        wide = np.kron(wide, np.ones((step, step)))[: values.shape[0], : values.shape[1]]
        rest = values - gaussian_filter(wide, step)
        usual = 1.4826 * np.median(np.abs(rest - np.median(rest))) + 1e-3
        away = np.maximum(away, np.abs(rest - np.median(rest)) / usual)
    found = binary_opening(away > CLEAR, iterations=1)
    if not found.any():
        raise ValueError("No mark is found: nothing stays the same over all pictures. Say where it is by a mask.")
    found = binary_dilation(binary_closing(found, iterations=3), iterations=BORDER)
    if found.mean() > 0.5:
        raise ValueError(
            f"What stays the same over all pictures covers {100 * found.mean():.0f} % of them, too much for a mark. Say where it "
            "is by a mask, or give more pictures."
        )
    return found


def seen_in(matte: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Where a mark that was looked for too widely can be seen, and the pixels next to that."""
    seen = np.maximum(gaussian_filter(matte, 1.0), 0.5 * gaussian_filter(np.abs(colour).max(-1), 1.0)) > FAINT
    return binary_dilation(binary_opening(seen), iterations=2)


def checked_mask(mask, spread: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask) > 0
    if mask.shape != spread.shape:
        raise ValueError(f"The mask has shape {mask.shape}, but the pictures are {spread.shape[0]} x {spread.shape[1]}.")
    if not mask.any() or mask.all():
        raise ValueError("The mask must be True where the mark is, and there only.")
    return mask


def around(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A field as it would go on under the mask, from its pixels around, smoothed a little."""
    weight = gaussian_filter((~mask).astype(float), 2.0)
    sigma = (2.0, 2.0, *[0] * (values.ndim - 2))
    shown = values * (~mask)[(..., *[None] * (values.ndim - 2))]
    smooth = gaussian_filter(shown, sigma) / np.maximum(weight, 1e-6)[(..., *[None] * (values.ndim - 2))]
    filled = trend_fill(np.where(mask[(..., *[None] * (values.ndim - 2))], 0, smooth), mask)
    return np.where(mask[(..., *[None] * (values.ndim - 2))], filled, values)
