"""Which table each number of a code is coded with: by its component, and by whole numbers that were decoded before.

fitted(indices) -> context            from training codes as whole numbers
encoded(index) -> bytes               of one block of codes, (n, *shape)
decoded(bytes, shape) -> index        the same numbers
bits(index) -> (n,)                   what each code takes
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from .entropy import Tables

_ROUNDS = 4  # of assigning codes to classes and counting anew
_MOST = 20_000  # codes that classes are found from


class Classes:
    """Vectors: each code names a class first, and the class says with which tables its components are coded.

        bits(z) = min_c  bits(c) + sum_j bits(z_j given j and c)

    A mixture of as many factorised distributions as there are classes, so components need not be independent of one another
    as a whole, only within a class. The number of classes is the one of `CHOICES` that takes the fewest bits on codes that
    were held out; one class is the factorised distribution.

    Parameters
    ----------
    tables : Tables; of the class, then those of every component of the first class, of the second, ...
    width : int; components
    """

    CHOICES = (1, 4, 16, 64)

    def __init__(self, tables: Tables, width: int):
        self.tables, self.width = tables, width
        self.classes = (len(tables) - 1) // width

    @classmethod
    def fitted(cls, indices: list[np.ndarray], seed: int = 0) -> "Classes":
        """From training codes, (n, width) in each block."""
        index = np.concatenate(indices)
        order = np.random.default_rng(seed).permutation(len(index))
        some = index[order[:_MOST]]
        learn, held_out = some[: -(len(some) // 5) or None], some[-(len(some) // 5) or None :]
        room = min(len(learn) // 50, len(np.unique(learn, axis=0)))
        choices = [count for count in cls.CHOICES if count <= max(1, room)]
        best = min(choices, key=lambda count: cls.found(learn, count, seed).bits(held_out).sum()) if len(choices) > 1 else 1
        return cls.counted(index, cls.found(some, best, seed).best(index), best)

    @classmethod
    def found(cls, index: np.ndarray, classes: int, seed: int) -> "Classes":
        """Codes near one another begin as a class; then each goes where it takes the fewest bits, and tables are counted anew."""
        if classes == 1:
            return cls.counted(index, np.zeros(len(index), np.int64), 1)
        chosen = KMeans(classes, n_init=1, max_iter=20, random_state=seed).fit_predict(index.astype(np.float64))
        for _ in range(_ROUNDS):
            context = cls.counted(index, chosen, classes)
            chosen = context.best(index)
        return cls.counted(index, chosen, classes)

    @classmethod
    def counted(cls, index: np.ndarray, chosen: np.ndarray, classes: int) -> "Classes":
        width = index.shape[1]
        own = 1 + chosen[:, None] * width + np.arange(width)
        parents = np.append(0, 1 + np.tile(np.arange(width), classes))  # a component's classes share what is expected of it
        values, table = np.append(chosen, index), np.append(np.zeros(len(chosen), np.int64), own)
        return cls(Tables.fitted(values, table, 1 + width * classes, parents), width)

    def best(self, index: np.ndarray) -> np.ndarray:
        """(n,): the class with which each code takes the fewest bits."""
        return np.stack([self._bits_in(index, c) for c in range(self.classes)]).argmin(0)

    def bits(self, index: np.ndarray) -> np.ndarray:
        return np.stack([self._bits_in(index, c) for c in range(self.classes)]).min(0)

    def _bits_in(self, index: np.ndarray, chosen: int) -> np.ndarray:
        own = np.broadcast_to(1 + chosen * self.width + np.arange(self.width), index.shape)
        return self.tables.bits(np.array([chosen]), np.array([0]))[0] + self.tables.bits(index, own).sum(1)

    def encoded(self, index: np.ndarray) -> bytes:
        chosen = self.best(index)
        return self.tables.encoded([(chosen, np.zeros(len(index), np.int64)), (index, self._tables_of(chosen))])

    def decoded(self, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
        decoder = self.tables.decoder(data)
        chosen = decoder.take(np.zeros(shape[0], np.int64))
        if chosen.min(initial=0) < 0 or chosen.max(initial=0) >= self.classes:
            raise ValueError(
                f"A code names the class {chosen.max()}, and there are {self.classes}: this is not what was written."
            )
        index = decoder.take(self._tables_of(chosen)).reshape(shape)
        decoder.finish()
        return index

    def _tables_of(self, chosen: np.ndarray) -> np.ndarray:
        return 1 + chosen[:, None] * self.width + np.arange(self.width)

    def tensors(self) -> dict[str, np.ndarray]:
        return self.tables.tensors("tables")

    @classmethod
    def restored(cls, tensors: dict[str, np.ndarray], width: int) -> "Classes":
        return cls(Tables.restored(tensors, "tables"), width)


class Neighbours:
    """Maps: what lies around a place, and other channels at the same place, say how large its numbers may be.

    Channel by channel, the places of even row and column come first, then those of odd row and column, then the other two
    quarters: all places of a quarter are coded at once, knowing some of those around them. With k the numbers that are known,
    and 0 for those to come,

        expected = floor( sum_n a_n k_n / 2^12 + 1/2 ),   activity = sum_n b_n |k_n|,   a_n and b_n whole numbers
        n: the eight places around, in the same channel, and the channels before at the same place
        k - expected   is coded with the table of the channel and of the span of activity

    A linear autoregressive model in whole numbers (the context models of Minnen et al. 2018 are networks of floats).

    Parameters
    ----------
    tables : Tables; of every span of the first channel, of the second, ...
    mean, scale : (channels, 32 + channels) int; a and b: of the eight places for each quarter, then of the channels
    edges : (channels, spans - 1) int; where spans of activity begin
    """

    QUARTERS = ((0, 0), (1, 1), (0, 1), (1, 0))
    AROUND = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    SPANS = (0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.96)  # shares of the training places whose activity lies below each edge
    PLACES, COUNTED = 40_000, 100_000  # of a channel, that a and b are found from, and that tables are counted on

    def __init__(self, tables: Tables, mean, scale, edges):
        self.tables = tables
        self.mean, self.scale, self.edges = (np.asarray(values, np.int64) for values in (mean, scale, edges))

    @classmethod
    def fitted(cls, indices: list[np.ndarray], seed: int = 0) -> "Neighbours":
        """From training maps, (n, rows, columns, channels) of one size in each block."""
        by_size: dict[tuple[int, ...], list[np.ndarray]] = {}
        for block in indices:
            by_size.setdefault(block.shape[1:], []).append(block)
        indices = part_of([np.concatenate(blocks) for blocks in by_size.values()], cls.COUNTED, seed)
        channels = indices[0].shape[-1]
        some = part_of(indices, cls.PLACES, seed)
        mean, scale = np.zeros((2, channels, 32 + channels), np.int64)
        edges = np.zeros((channels, len(cls.SPANS)), np.int64)
        values, table = [], []
        for c in range(channels):
            known, wanted = (np.concatenate(parts) for parts in zip(*(around(block, c) for block in some), strict=True))
            mean[c, : 32 + c] = fixed_point(ridge(known, wanted), 2**12)
            left = wanted - expected(known, mean[c, : 32 + c])
            scale[c, : 32 + c] = fixed_point(ridge(np.abs(known), np.abs(left)), 2**8)
            edges[c] = np.quantile(np.abs(known) @ scale[c, : 32 + c], cls.SPANS, method="higher")
            for block in indices:
                known, wanted = around(block, c)
                values.append(wanted - expected(known, mean[c, : 32 + c]))
                activity = np.abs(known) @ scale[c, : 32 + c]
                table.append(c * (len(cls.SPANS) + 1) + np.searchsorted(edges[c], activity, side="right"))
        parents = np.repeat(np.arange(channels), len(cls.SPANS) + 1)
        tables = Tables.fitted(np.concatenate(values), np.concatenate(table), len(parents), parents)
        return cls(tables, mean, scale, edges)

    def walk(self, index: np.ndarray) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """Quarter by quarter: where it lies in `index`, what is expected there, and the table of each place. What is known by
        then is read from `index`, which holds zeros elsewhere."""
        channels = index.shape[-1]
        for c in range(channels):
            for q, (i, j) in enumerate(self.QUARTERS):
                place = (slice(None), slice(i, None, 2), slice(j, None, 2), c)
                if not index[place].size:
                    continue
                own_around = neighbours(index[..., c], q)
                known = np.concatenate([own_around, index[(*place[:3], slice(0, c))].reshape(len(own_around), c)], 1)
                own = np.r_[8 * q : 8 * q + 8, 32 : 32 + c]
                activity = np.abs(known) @ self.scale[c, own]
                span = np.searchsorted(self.edges[c], activity, side="right")
                yield place, expected(known, self.mean[c, own]), c * (self.edges.shape[1] + 1) + span

    def groups(self, index: np.ndarray) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """As `walk`, with what is left to code instead of what is expected."""
        known = np.zeros_like(index)
        for place, guess, table in self.walk(known):
            known[place] = index[place]
            yield place, index[place].ravel() - guess, table

    def bits(self, index: np.ndarray) -> np.ndarray:
        total = np.zeros(len(index))
        for _, left, table in self.groups(np.asarray(index, np.int64)):
            total += self.tables.bits(left, table).reshape(len(index), -1).sum(1)
        return total

    def encoded(self, index: np.ndarray) -> bytes:
        return self.tables.encoded([(left, table) for _, left, table in self.groups(np.asarray(index, np.int64))])

    def decoded(self, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
        decoder, index = self.tables.decoder(data), np.zeros(shape, np.int64)
        for place, guess, table in self.walk(index):
            index[place] = (decoder.take(table) + guess).reshape(index[place].shape)
        decoder.finish()
        return index

    def tensors(self) -> dict[str, np.ndarray]:
        whole = {"mean": self.mean, "scale": self.scale, "edges": self.edges}
        return self.tables.tensors("tables") | {name: values.astype(np.int32) for name, values in whole.items()}

    @classmethod
    def restored(cls, tensors: dict[str, np.ndarray], width: int) -> "Neighbours":
        return cls(Tables.restored(tensors, "tables"), *(tensors[name] for name in ("mean", "scale", "edges")))


# --------------------------------------------------------------------------------------------------- helpers


def neighbours(plane: np.ndarray, quarter: int) -> np.ndarray:
    """(places, 8): the numbers around every place of a quarter of (n, rows, columns)."""
    i, j = Neighbours.QUARTERS[quarter]
    rows, columns = len(range(i, plane.shape[1], 2)), len(range(j, plane.shape[2], 2))
    wide = np.pad(plane, ((0, 0), (1, 1), (1, 1)))
    corners = [(i + 1 + di, j + 1 + dj) for di, dj in Neighbours.AROUND]
    found = [wide[:, a : a + 2 * rows - 1 : 2, b : b + 2 * columns - 1 : 2] for a, b in corners]
    return np.stack(found, -1).reshape(-1, len(Neighbours.AROUND))


def around(block: np.ndarray, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """What is known of every place of a channel when it is coded, (places, 32 + channel), and its number, (places,)."""
    plane, known, wanted = block[..., channel], [], []
    so_far = np.zeros_like(plane)
    for q, (i, j) in enumerate(Neighbours.QUARTERS):
        place = (slice(None), slice(i, None, 2), slice(j, None, 2))
        if not plane[place].size:
            continue
        own = np.zeros((plane[place].size, 32), np.int64)
        own[:, 8 * q : 8 * q + 8] = neighbours(so_far, q)
        known.append(np.concatenate([own, block[(*place, slice(0, channel))].reshape(len(own), channel)], 1))
        wanted.append(plane[place].ravel())
        so_far[place] = plane[place]
    return np.concatenate(known), np.concatenate(wanted)


def part_of(indices: list[np.ndarray], places: int, seed: int) -> list[np.ndarray]:
    """Some of the maps, about so many places in all."""
    total = sum(block[..., 0].size for block in indices)
    random = np.random.default_rng(seed)
    kept = [block[np.sort(random.permutation(len(block))[: -(-len(block) * places // max(total, places))])] for block in indices]
    return kept


def ridge(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares, shrunk a little towards zero."""
    known = known.astype(np.float64)
    gram = known.T @ known
    return np.linalg.solve(gram + (1 + 1e-3 * len(known)) * np.eye(len(gram)), known.T @ wanted)


def fixed_point(values: np.ndarray, one: int) -> np.ndarray:
    return np.clip(np.rint(values * one), -(2**15), 2**15 - 1).astype(np.int64)


def expected(known: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(places,): the number that its neighbourhood lets expect, in whole numbers throughout."""
    return (known @ mean + 2**11) >> 12
