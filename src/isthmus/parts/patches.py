"""Patches: the equal blocks that a sample's space is cut into."""

import math

import torch.nn.functional as F
from torch import Tensor

from .base import is_auto
from .ranges import listed

_MOST_STEPS = 64  # patches that "auto" cuts a sequence into, at most
_A_SIDE = 8  # and a side of a picture or film


def patch_sides(patch, space, owner) -> tuple[int, ...]:
    """Width of a patch along every axis of space; None in `space` where sizes vary.

    "auto" cuts a sequence into at most 64 patches, or, where lengths vary, leaves every step one; of pictures and films it makes
    about eight patches a side, of 4 pixels where sizes vary.

    >>> patch_sides("auto", (28, 28), ""), patch_sides("auto", (None,), ""), patch_sides((2, 4, 4), (16, 32, 32), "")
    ((4, 4), (1,), (2, 4, 4))
    """
    if is_auto(patch):
        return tuple(auto_side(length, alone=len(space) == 1) for length in space)
    sides = tuple(map(int, listed(patch)))
    sides = sides * len(space) if len(sides) == 1 else sides
    if len(sides) != len(space):
        raise ValueError(f"{owner}: a patch needs one width for each of the {len(space)} axes {tuple(space)}, or one for all.")
    return sides


def auto_side(length: int | None, alone: bool) -> int:
    if alone:
        return 1 if length is None else math.ceil(length / _MOST_STEPS)
    return 4 if length is None else min(length, max(2, math.ceil(length / _A_SIDE)))


def grid_of(space, sides) -> tuple:
    """How many patches lie along every axis; one that is cut by the border counts."""
    return tuple(None if n is None else math.ceil(n / side) for n, side in zip(space, sides, strict=True))


def cut(values: Tensor, sides: tuple[int, ...]) -> Tensor:
    """(batch, *space, channels) to (batch, *grid, numbers of a patch); zeros fill what lies beyond the border.

    >>> import torch
    >>> cut(torch.arange(5.0).view(1, 5, 1), (2,))
    tensor([[[0., 1.],
             [2., 3.],
             [4., 0.]]])
    """
    *space, channels = values.shape[1:]
    grid = grid_of(space, sides)
    missing = [m * side - n for n, m, side in zip(space, grid, sides, strict=True)]
    if any(missing):
        values = F.pad(values, [0, 0, *(n for some in reversed(missing) for n in (0, some))])
    count = len(space)
    blocks = values.reshape(len(values), *(n for pair in zip(grid, sides, strict=True) for n in pair), channels)
    order = [0, *range(1, 2 * count, 2), *range(2, 2 * count + 1, 2), 2 * count + 1]
    return blocks.permute(order).reshape(len(values), *grid, math.prod(sides) * channels)


def joined(patches: Tensor, sides: tuple[int, ...], space) -> Tensor:
    """The inverse of `cut`: (batch, *grid, numbers of a patch) to (batch, *space, channels)."""
    grid, count = patches.shape[1:-1], len(sides)
    blocks = patches.reshape(len(patches), *grid, *sides, -1)
    order = [0, *(axis for pair in zip(range(1, count + 1), range(count + 1, 2 * count + 1), strict=True) for axis in pair)]
    values = blocks.permute(*order, 2 * count + 1)
    values = values.reshape(len(patches), *(m * side for m, side in zip(grid, sides, strict=True)), blocks.shape[-1])
    return values[(slice(None), *(slice(n) for n in space))]
