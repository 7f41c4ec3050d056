"""Codes as an index keeps them - floats, bytes or bits - and the exact search among them."""

import numpy as np
import torch
from torch import Tensor

_QUERIES = 32  # run at once; a fixed number, for the order in which a product adds up depends on its size
_ROWS = 2**16  # codes that are unpacked at once
_GROUP = 64  # codes of which first only the nearest is looked at
_SPARE = 16  # candidates beyond k whose distances are taken again, exactly
_WHOLE = 2**24  # up to here float32 knows every whole number

# ------------------------------------------------------------------------------------------------ codes


class Floats:
    """Codes as they are, in float32: 4 bytes a number."""

    whole = False  # whether distances are whole numbers, and every sum of them is exact

    def __init__(self, center: np.ndarray, step: float = 1.0):
        self.center = center
        self.step = step  # of codes, for a step of one of `values`

    @classmethod
    def learn(cls, codes: np.ndarray) -> "Floats":
        return cls(codes.mean(0, dtype=np.float64).astype(np.float32))

    def pack(self, codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.float32)

    def values(self, packed: np.ndarray) -> np.ndarray:
        """What distances are taken of, (n, n_components) float32: moved to zero, where a float is at its finest."""
        return packed - self.center

    def codes(self, packed: np.ndarray) -> np.ndarray:
        """The codes again, as well as what was kept tells."""
        return packed


class Bytes(Floats):
    """A byte a number: -127 to 127 steps from the mean, of one length for all numbers, so that distances keep their proportions.

    The step spans all but a ten-thousandth of the numbers that `learn` saw; what lies beyond takes the last one.
    """

    whole = True

    @classmethod
    def learn(cls, codes):
        center = codes.mean(0, dtype=np.float64).astype(np.float32)
        reach = float(np.quantile(np.abs(codes - center), 0.9999))
        return cls(center, (reach or 1.0) / 127)

    def pack(self, codes):
        return np.clip(np.rint((codes - self.center) / self.step), -127, 127).astype(np.int8)

    def values(self, packed):
        return packed.astype(np.float32)

    def codes(self, packed):
        return packed.astype(np.float32) * np.float32(self.step) + self.center


class Bits(Floats):
    """A bit a number: whether it lies above its median. The squared distance of bits is their Hamming distance."""

    whole = True

    @classmethod
    def learn(cls, codes):
        return cls(np.median(codes, axis=0).astype(np.float32))

    def pack(self, codes):
        return np.packbits(codes > self.center, axis=1)

    def values(self, packed):
        return np.unpackbits(packed, axis=1, count=len(self.center)).astype(np.float32)

    def codes(self, packed):
        raise ValueError("Bits do not say what the codes were: a code cannot be had from them. Use codes='int8' or 'float'.")


KEPT: dict[str, type[Floats]] = {"float": Floats, "int8": Bytes, "binary": Bits}

# --------------------------------------------------------------------------------------------- distances


def nearest(kept: Floats, rows: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the packed `rows` to each of the packed `queries`: squared distances and places, (len(queries), k).

    Squared distances are of `kept.values`, in float64. The nearest comes first; of equally near ones the one that was added
    first. The answer for a query is the same, bit for bit, whatever company it comes in.
    """
    wanted = min(k if kept.whole else k + _SPARE, len(rows))
    blocks = list(torch.from_numpy(kept.values(queries)).split(_QUERIES))
    found: list[list[Tensor]] = [[] for _ in blocks]
    near: list[list[Tensor]] = [[] for _ in blocks]
    for start in range(0, len(rows), _ROWS):
        values, squares = padded(torch.from_numpy(kept.values(rows[start : start + _ROWS])), kept)
        for number, block in enumerate(blocks):
            full = values.new_zeros(_QUERIES, values.shape[1])
            full[: len(block)] = block
            distances = torch.addmm(squares, full, values.T, alpha=-2)[: len(block)]  # but for the query's own square
            least, places = smallest(distances, min(wanted, len(rows) - start))
            near[number].append(least)
            found[number].append(places + start)
    candidates = torch.cat([among(*lists, wanted) for lists in zip(near, found, strict=True)])
    return ranked(kept, rows, queries, candidates.numpy(), k)


def padded(values: Tensor, kept: Floats) -> tuple[Tensor, Tensor]:
    """Values up to a whole number of groups, and their squares: infinite where there is no code."""
    if kept.whole and 3 * values.shape[1] * 127**2 > _WHOLE:
        values = values.double()  # so that sums stay exact
    full = values.new_zeros(-(-len(values) // _GROUP) * _GROUP, values.shape[1])
    full[: len(values)] = values
    squares = full.square().sum(1)
    squares[len(values) :] = torch.inf
    return full, squares


def smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest of each row and their places, the first of equal ones first.

    They lie in the k groups whose smallest is smallest, so that only these are sorted.
    """
    groups = distances.unflatten(1, (-1, _GROUP))
    if k < groups.shape[1]:
        chosen = groups.amin(2).sort(dim=1, stable=True).indices[:, :k].sort(1).values  # (batch, k)
        distances = groups.gather(1, chosen[..., None].expand(-1, -1, _GROUP)).flatten(1)
        value, place = distances.sort(dim=1, stable=True)
        value, place = value[:, :k], place[:, :k]
        return value, chosen.gather(1, place // _GROUP) * _GROUP + place % _GROUP
    value, place = distances.sort(dim=1, stable=True)
    return value[:, :k], place[:, :k]


def among(near: list[Tensor], found: list[Tensor], k: int) -> Tensor:
    """The k nearest of what several blocks of codes gave, (batch, k)."""
    order = torch.cat(near, 1).sort(dim=1, stable=True).indices[:, :k]
    return torch.cat(found, 1).gather(1, order)


def ranked(kept: Floats, rows, queries, places: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the candidates at `places`, (len(queries), k or more), by distances taken one by one in float64.

    A place of -1 is no candidate; each query needs k others.
    """
    places = np.sort(places, axis=1)
    distances = np.empty(places.shape)
    for start in range(0, len(places), _QUERIES):
        some = slice(start, start + _QUERIES)
        ours = kept.values(queries[some]).astype(np.float64)[:, None]
        theirs = kept.values(rows[places[some].ravel()]).reshape(*places[some].shape, -1)
        distances[some] = np.square(ours - theirs).sum(2)
    distances[places < 0] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)
