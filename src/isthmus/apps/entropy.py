"""Whole numbers as bytes, by asymmetric numeral systems over tables of whole numbers.

Every probability is f / 65536 with a whole number f that was saved with the model, and which table codes a number depends on
whole numbers alone, those that were decoded before. So a file decodes to the same numbers on any machine: no float has a say.
The coder is constriction's (Bamler 2022, "Understanding entropy coding with asymmetric numeral systems"), which works in
24 bits. It takes tables as floats and turns w_i into  floor(sum of the w_j before i * (2^24 - n) / sum of w) + i  for the place
where symbol i begins; w_i = 256 f_i - 1 sums to 2^24 - n, so that the quotient is one, every sum is a whole number below 2^53,
and the place is the sum of the 256 f_j exactly. A test holds it to a coder written in whole numbers.
"""

from typing import Any

import numpy as np

TOTAL = 2**16  # the frequencies of a table add up to this
_FINE = 2**8  # TOTAL * _FINE is what constriction's frequencies add up to
_BITS = np.full(2**8, TOTAL // 2**8)  # a byte, evenly: what escapes are written with
_LENGTHS = np.full(2**6, TOTAL // 2**6)  # the number of bits of an escape
_LARGEST = 2**31 - 1
_PSEUDO = 16.0  # samples that the guess counts for, beside what was seen


def coder() -> Any:
    """constriction's streams, or the command that installs them."""
    try:
        import constriction
    except ImportError as error:
        raise ImportError(
            'Compressing needs constriction, which is not installed. Install it: pip install "isthmus[compress]"'
        ) from error
    return constriction.stream


class Tables:
    """How often each whole number occurs, in each of several contexts.

    A table holds the numbers from `lowest` on and, as its last symbol, an escape for all others, which are then written out.

    Parameters
    ----------
    lowest : (tables,) int; the number that each table's first symbol stands for
    starts : (tables + 1,) int; where each table begins among the frequencies
    frequencies : (symbols,) int; those of each table are at least 1 and add up to 65536

    >>> tables = Tables.fitted(np.array([0, 0, 1, -1, 0, 2]), np.zeros(6, int), 1)
    >>> tables.decoder(tables.encoded([(np.array([1, 0, 99]), np.zeros(3, int))])).take(np.zeros(3, int))
    array([ 1,  0, 99])
    """

    def __init__(self, lowest, starts, frequencies):
        self.lowest, self.starts = np.asarray(lowest, np.int64), np.asarray(starts, np.int64)
        self.frequencies = np.asarray(frequencies, np.int64)
        self.check()
        self._models: dict[int, Any] = {}

    @classmethod
    def fitted(cls, values, table, tables: int, parent=None) -> "Tables":
        """Tables from numbers that were seen, (n,), each in its context, (n,).

        Beside them stands a guess that counts for a few: how often each number occurs in all contexts of one `parent`,
        (tables,), and under that a two-sided geometric distribution of the same spread.
        """
        parent = np.zeros(tables, np.int64) if parent is None else np.asarray(parent)
        order = np.argsort(table, kind="stable")
        each = np.split(values[order], np.searchsorted(table[order], np.arange(1, tables)))
        of_parent = {p: np.concatenate([each[t] for t in np.flatnonzero(parent == p)]) for p in np.unique(parent)}
        shapes = {p: _guess(seen) for p, seen in of_parent.items()}
        lowest, frequencies = [], []
        for t in range(tables):
            low, guess = shapes[parent[t]]
            inside = each[t][(each[t] >= low) & (each[t] < low + len(guess) - 1)] - low
            counts = np.bincount(inside, minlength=len(guess)).astype(np.float64)
            counts[-1] = len(each[t]) - len(inside)
            lowest.append(low)
            frequencies.append(as_frequencies(counts + _PSEUDO * guess))
        starts = np.cumsum([0, *map(len, frequencies)])
        return cls(np.array(lowest), starts, np.concatenate(frequencies))

    def __len__(self) -> int:
        return len(self.lowest)

    def check(self) -> None:
        """Refuses what is no table: a coder would write what cannot be read."""
        widths = np.diff(self.starts)
        whole = len(widths) == len(self.lowest) and widths.min(initial=2) >= 2 and self.starts[0] == 0
        if not whole or self.starts[-1] != len(self.frequencies) or self.frequencies.min(initial=1) < 1:
            raise ValueError("These are no tables of frequencies. Restore the model from a copy.")
        if (np.add.reduceat(self.frequencies, self.starts[:-1]) != TOTAL).any():
            raise ValueError(f"A table's frequencies do not add up to {TOTAL}. Restore the model from a copy.")

    def tensors(self, name: str) -> dict[str, np.ndarray]:
        return {
            f"{name}.lowest": self.lowest.astype(np.int32),
            f"{name}.starts": self.starts.astype(np.int32),
            f"{name}.frequencies": self.frequencies.astype(np.int32).astype(np.uint16),
        }

    @classmethod
    def restored(cls, tensors: dict[str, np.ndarray], name: str) -> "Tables":
        return cls(*(tensors[f"{name}.{part}"].astype(np.int64) for part in ("lowest", "starts", "frequencies")))

    # ------------------------------------------------------------------------------------------------ code

    def symbols(self, values: np.ndarray, table: np.ndarray) -> np.ndarray:
        """The symbol of each number, the escape where the table does not hold it."""
        escape = (self.starts[1:] - self.starts[:-1] - 1)[table]
        symbol = values - self.lowest[table]
        return np.where((symbol >= 0) & (symbol < escape), symbol, escape)

    def bits(self, values, table) -> np.ndarray:
        """What each number takes, in bits."""
        values, table = np.asarray(values, np.int64), np.asarray(table)
        symbol = self.symbols(values, table)
        bits = 16 - np.log2(self.frequencies[self.starts[table] + symbol])
        out = symbol == (self.starts[1:] - self.starts[:-1] - 1)[table]
        if out.any():
            length = np.floor(np.log2(self._excess(values[out], table[out]))) + 1
            bits[out] += 6 + 8 * np.ceil((length - 1) / 8)
        return bits

    def encoded(self, groups: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
        """Groups of numbers and their tables, (n,) each, as bytes, one or more; they are decoded in the same order."""
        ans = coder().stack.AnsCoder()
        for values, table in reversed(groups):  # a stack: what is written last is read first
            self._push(ans, np.asarray(values, np.int64).ravel(), np.asarray(table, np.int64).ravel())
        words = ans.get_compressed().astype("<u4").tobytes()
        return words.rstrip(b"\0") or b"\0"  # the last word is not zero, so that no more than three bytes of it go

    def decoder(self, data: bytes) -> "Decoder":
        return Decoder(self, data)

    def model(self, table: int) -> Any:
        """constriction's model of a table, made once."""
        if table not in self._models:
            self._models[table] = exact_model(self.frequencies[self.starts[table] : self.starts[table + 1]])
        return self._models[table]

    def _push(self, ans, values: np.ndarray, table: np.ndarray) -> None:
        symbol = self.symbols(values, table)
        out = symbol == (self.starts[1:] - self.starts[:-1] - 1)[table]
        if out.any():
            self._push_escapes(ans, self._excess(values[out], table[out]))
        order, groups = grouped(table)
        symbol = symbol[order].astype(np.int32)
        for t, start, stop in reversed(groups):
            ans.encode_reverse(symbol[start:stop], self.model(t))

    def _push_escapes(self, ans, excess: np.ndarray) -> None:
        lengths, bits = exact_model(_LENGTHS), exact_model(_BITS)
        for value in reversed(excess.tolist()):
            length = value.bit_length()
            rest = value - (1 << length - 1)
            pieces = [rest >> 8 * i & 255 for i in range(-(-(length - 1) // 8))]
            if pieces:
                ans.encode_reverse(np.array(pieces, np.int32), bits)
            ans.encode_reverse(np.array([length], np.int32), lengths)

    def _excess(self, values: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Whole numbers of one or more, for those below a table's first and above its last."""
        low, high = self.lowest[table], self.lowest[table] + np.diff(self.starts)[table] - 2
        if np.abs(values).max(initial=0) > _LARGEST:
            raise ValueError(f"A code needs the number {np.abs(values).max()}, and {_LARGEST} is the largest. Set a larger step.")
        return np.where(values > high, 2 * (values - high), 2 * (low - values) - 1)


class Decoder:
    """Reads what `Tables.encoded` wrote, group by group."""

    def __init__(self, tables: Tables, data: bytes):
        self.tables = tables
        data = data.rstrip(b"\0")
        words = np.frombuffer(data + b"\0" * (-len(data) % 4), "<u4").astype(np.uint32)
        self.ans = coder().stack.AnsCoder(words)

    def take(self, table: np.ndarray) -> np.ndarray:
        """The numbers of the next group, (n,), by the table of each, (n,)."""
        table = np.asarray(table, np.int64).ravel()
        order, groups = grouped(table)
        symbol = np.empty(len(table), np.int64)
        for t, start, stop in groups:
            symbol[order[start:stop]] = self.ans.decode(self.tables.model(t), stop - start)
        values = symbol + self.tables.lowest[table]
        out = np.flatnonzero(symbol == np.diff(self.tables.starts)[table] - 1)
        for place in out:
            values[place] = self._escaped(int(table[place]))
        return values

    def finish(self) -> None:
        """Refuses bytes that hold more than what was taken, or less: they were not written with these tables."""
        if not self.ans.is_empty():
            raise ValueError("The numbers do not end where the bytes do: these were written with other tables.")

    def _escaped(self, table: int) -> int:
        length = int(self.ans.decode(exact_model(_LENGTHS), 1)[0])
        if not 1 <= length <= 40:
            raise ValueError("A number that was written out has no length: these bytes were written with other tables.")
        pieces = self.ans.decode(exact_model(_BITS), -(-(length - 1) // 8)).tolist() if length > 1 else []
        excess = (1 << length - 1) + sum(piece << 8 * i for i, piece in enumerate(pieces))
        low, width = int(self.tables.lowest[table]), int(np.diff(self.tables.starts)[table])
        return low + width - 2 + excess // 2 if excess % 2 == 0 else low - (excess + 1) // 2


def exact_model(frequencies: np.ndarray) -> Any:
    """constriction's model whose probabilities are exactly frequencies / 65536; see the top of this file."""
    return coder().model.Categorical((frequencies * _FINE - 1).astype(np.float64), perfect=False)


def as_frequencies(weights: np.ndarray) -> np.ndarray:
    """Whole numbers of one or more that add up to 65536, as near to the weights as they can be."""
    share = weights / weights.sum() * (TOTAL - len(weights))
    found = np.floor(share).astype(np.int64)
    missing = TOTAL - len(weights) - found.sum()
    found[np.argsort(found - share, kind="stable")[:missing]] += 1  # those that lost most by rounding down
    return found + 1


def grouped(table: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """The order that brings numbers of one table together, and (table, start, stop) of each."""
    order = np.argsort(table, kind="stable")
    present, starts = np.unique(table[order], return_index=True)
    stops = np.append(starts, len(table))[1:]
    return order, list(zip(present.tolist(), starts.tolist(), stops.tolist(), strict=True))


def _guess(seen: np.ndarray) -> tuple[int, np.ndarray]:
    """The first number of a table, and what share each of its symbols is expected to have; the last is the escape's.

    Numbers that occur less than once in 20,000 times at either end are left to the escape.
    """
    if not len(seen):
        seen = np.zeros(1, np.int64)
    low, high = np.quantile(seen, (5e-5, 1 - 5e-5), method="inverted_cdf").astype(np.int64)
    low, high = np.clip((low, high), -(2**14), 2**14)
    middle = int(np.clip(np.median(seen), low, high))
    spread = np.abs(seen - middle).mean() + 1 / (1 + len(seen))
    decay = spread / (1 + spread)
    geometric = decay ** np.abs(np.arange(low, high + 1) - middle)
    counts = np.bincount(np.clip(seen, low, high) - low, minlength=high - low + 1).astype(np.float64)
    guess = counts + _PSEUDO * geometric / geometric.sum()
    outside = ((seen < low) | (seen > high)).sum() + 0.5
    whole = np.append(guess, outside)
    return int(low), whole / whole.sum()
