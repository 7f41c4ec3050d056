"""Pictures in pieces: patches to train on, and tiles with overlap to restore pictures of any size."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TURNS = 8  # of a square: four quarter turns, each also mirrored


def drawn_patches(pictures: Sequence[Sequence[np.ndarray]], side: int, count: int, seed: int) -> list[np.ndarray]:
    """`count` squares at places drawn evenly over all pixels, each turned or mirrored, from pictures that belong together.

    pictures : for each kind (the damaged, the clean), pictures of (height, width, channels); those of one number are of one size
    Returns for each kind (count, side, side, channels), cut and turned alike.

    >>> whole = [np.arange(30.0).reshape(5, 6, 1)]
    >>> one, other = drawn_patches([whole, whole], 4, 3, seed=0)
    >>> one.shape, bool((one == other).all())
    ((3, 4, 4, 1), True)
    """
    random = np.random.default_rng(seed)
    first = pictures[0]
    room = np.array([(len(p) - side + 1) * (p.shape[1] - side + 1) for p in first], np.float64)
    chosen = random.choice(len(first), count, p=room / room.sum())
    drawn = [np.empty((count, side, side, kind[0].shape[-1]), kind[0].dtype) for kind in pictures]
    for row, number in enumerate(chosen):
        height, width = first[number].shape[:2]
        top, left, turn = random.integers(height - side + 1), random.integers(width - side + 1), random.integers(TURNS)
        for out, kind in zip(drawn, pictures, strict=True):
            out[row] = turned(kind[number][top : top + side, left : left + side], int(turn))
    return drawn


def turned(square: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight ways in which a square can lie."""
    square = np.rot90(square, turn % 4)
    return square[:, ::-1] if turn >= 4 else square


def in_tiles(
    function: Callable[..., Tensor], values: Tensor, *beside: Tensor | None, tile: int, overlap: int, multiple: int
) -> Tensor:
    """`function` of a picture (1, height, width, channels), a tile at a time; what it writes has the picture's height and width.

    Tiles begin at multiples of `multiple` and overlap by `overlap` pixels on each side, of which nothing is kept: where that
    covers what a pixel of the result depends on, the result is that of the whole picture. `beside` are cut alike.
    """
    height, width = values.shape[1:3]
    out: Tensor | None = None
    for rows, kept_rows in spans(height, tile, overlap, multiple):
        for columns, kept_columns in spans(width, tile, overlap, multiple):
            parts = [None if each is None else each[:, slice(*rows), slice(*columns)] for each in (values, *beside)]
            part = function(*parts)
            if out is None:
                out = part.new_empty(1, height, width, part.shape[-1])
            inner = part[
                :, kept_rows[0] - rows[0] : kept_rows[1] - rows[0], kept_columns[0] - columns[0] : kept_columns[1] - columns[0]
            ]
            out[:, slice(*kept_rows), slice(*kept_columns)] = inner
    assert out is not None
    return out


class Tiling:
    """How a picture of (height, width) is cut into tiles that overlap, and how what became of them is joined.

    >>> picture = np.arange(48.0).reshape(6, 8)
    >>> tiling = Tiling((6, 8), tile=4, overlap=1, multiple=1)
    >>> bool((tiling.joined(iter(tiling.cut(picture))) == picture).all())
    True
    """

    def __init__(self, size: Sequence[int], tile: int, overlap: int, multiple: int):
        self.size = size
        self.rows, self.columns = (list(spans(length, tile, overlap, multiple)) for length in size)

    def cut(self, picture: np.ndarray) -> list[np.ndarray]:
        """The tiles, row by row."""
        return [picture[slice(*rows), slice(*columns)] for rows, _ in self.rows for columns, _ in self.columns]

    def joined(self, tiles: Iterator[np.ndarray], times: int = 1, over: int = 1) -> np.ndarray:
        """A picture of what was made of the tiles, each times / over as large as it was."""
        if len(self.rows) == len(self.columns) == 1:
            return np.asarray(next(tiles))
        out: np.ndarray | None = None
        for rows, kept_rows in self.rows:
            for columns, kept_columns in self.columns:
                tile = np.asarray(next(tiles))
                if out is None:
                    out = np.empty((*(length * times // over for length in self.size), *tile.shape[2:]), tile.dtype)
                down, inner_down = scaled(rows, kept_rows, times, over)
                along, inner_along = scaled(columns, kept_columns, times, over)
                out[down, along] = tile[inner_down, inner_along]
        assert out is not None
        return out


def scaled(read: tuple[int, int], kept: tuple[int, int], times: int, over: int) -> tuple[slice, slice]:
    """Where what is kept of a tile lies, in the whole and in the tile, when both are times / over as large."""
    first, last = (place * times // over for place in kept)
    begin = read[0] * times // over
    return slice(first, last), slice(first - begin, last - begin)


def spans(length: int, tile: int, overlap: int, multiple: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """What each tile reads along an axis, and what of it is kept.

    >>> list(spans(10, 6, 1, 2))
    [((0, 6), (0, 4)), ((2, 8), (4, 6)), ((4, 10), (6, 10))]
    """
    if length <= tile:
        yield (0, length), (0, length)
        return
    overlap = -(-overlap // multiple) * multiple
    tile = max(tile // multiple * multiple, 2 * overlap + multiple)
    done = 0
    while done < length:
        start = max(0, done - overlap)
        stop = min(length, start + tile)
        kept = length if stop == length else stop - overlap
        yield (start, stop), (done, kept)
        done = kept


def enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, height, width, channels) by bilinear interpolation, as `Downscale` brings small pictures back to their size."""
    return F.interpolate(values.movedim(-1, 1), list(size), mode="bilinear", align_corners=False).movedim(1, -1)


def as_tensor(picture: np.ndarray) -> Tensor:
    """(height, width, channels) as (1, height, width, channels)."""
    picture = np.ascontiguousarray(picture)
    return torch.from_numpy(picture if picture.flags.writeable else picture.copy())[None]
