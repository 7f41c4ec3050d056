"""Tables: frames of numbers, booleans, categories and dates, with cells that may be missing; a sample is a row."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import narwhals as nw
import numpy as np
import torch
from torch import Tensor

from ..records import Data
from .columns import Column, Gathering, is_empty, is_zoned, role_of, said_of
from .frames import Layout, frame_of, layout_of, write_frame
from .lazy import Lazy
from .parquet import Grouped, ParquetTable, release
from .schema import Rows, Schema

_PART = 2**20  # cells of a lazy array that are read at once


class Array:
    """An array of numbers, (rows, columns), that is read as a frame is."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape = values, values.shape
        self.columns = [f"x{place}" for place in range(values.shape[1])]

    def __getitem__(self, key):
        return self.values[:, self.columns.index(key)] if isinstance(key, str) else Array(self.values[key])


class LazyArray:
    """A lazy array of numbers, (rows, columns), that is read as a table is, some rows at a time."""

    layout = None

    def __init__(self, values: Lazy):
        self.values, self.shape = values, values.shape
        self.columns = [f"x{place}" for place in range(values.shape[1])]
        self.edges = np.append(np.arange(0, len(values), max(1, _PART // max(1, values.shape[1]))), len(values))

    def part(self, place: int) -> Array:
        return Array(numeric(self.values[int(self.edges[place]) : int(self.edges[place + 1])]))

    def whole(self) -> Array:
        return Array(numeric(self.values[:]))


LazyTable = ParquetTable | LazyArray


class EncodedArray(Lazy):
    """The rows of a lazy array as the schema of a table encodes them."""

    def __init__(self, values: Lazy, schema: "Table"):
        self.values, self.schema = values, schema
        self.shape, self.dtype = (len(values), len(schema.columns)), np.dtype(np.float32)

    def read(self, places):
        return self.schema.encode(Array(numeric(self.values.read(places))))


class EncodedGroups(Grouped):
    """The rows of a Parquet data set as the schema of a table encodes them."""

    def __init__(self, table: ParquetTable, schema: "Table"):
        super().__init__(table.edges)
        self.table, self.schema = table, schema
        self.shape, self.dtype = (table.shape[0], len(schema.columns)), np.dtype(np.float32)

    def converted(self, place):
        encoded = self.schema.encode(self.table.part(place))
        release()
        return encoded


class Table(Schema):
    """Rows of cells; `columns` says of every number in `values` whether it is one (0) or one of so many categories.

    Numbers have mean zero and variance one, a category is its place among its column's, a date is a number and its place on
    the circles of the year, the week and the day. A missing cell has the weight 0.
    """

    kind = "table"
    endings = (".csv", ".parquet")
    columns: tuple[int, ...]
    shares: Tensor | None = None  # of every category and 0 for numbers, while a model is fitted
    encoded: Any = None  # the table that was learnt from, and its cells as numbers, until they are asked for

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, cells=(), layout=None):
        super().__init__(shape, dtype, center, scale, constant)
        self.cells = [cell if isinstance(cell, Column) else Column(**cell) for cell in cells]
        self.layout = layout if isinstance(layout, Layout) else Layout.restore(layout)
        self.columns = tuple(width for cell in self.cells for width in cell.widths)

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X):
        """A frame as narwhals sees it, or an array of numbers."""
        if isinstance(X, nw.DataFrame | Array | LazyTable):
            return X
        if isinstance(X, Lazy) and X.ndim == 2 and X.dtype.kind in "fiub":
            return LazyArray(X)
        frame: Any = frame_of(X)
        if frame is None:
            frame = Array(numeric(X))
        unnamed = [name for name in frame.columns if not isinstance(name, str)]
        if unnamed:
            raise ValueError(f"The table has columns named {unnamed[:5]}. Name them by texts: X.columns = X.columns.astype(str).")
        if not all(frame.shape):
            raise ValueError(f"A table needs a row and a column at least; got {frame.shape[0]} and {frame.shape[1]}.")
        return frame

    @classmethod
    def learn(cls, X, scaling="auto", weight=None):
        if scaling not in ("auto", "standard"):
            raise ValueError(f"scale={scaling!r}: the columns of a table are standardised. Use scale='auto'.")
        if isinstance(X, LazyTable):
            return cls._learn_lazily(X, weight)
        cells = [Column.learn(name, X[name], weight) for name in X.columns]
        schema = cls._of(cells, None if isinstance(X, Array) else layout_of(X))
        encoded = schema.encode(X)
        schema.encoded = (X, encoded)
        schema.shares = shares_of(counts_of(encoded, schema.columns, weight))
        return schema

    @classmethod
    def _learn_lazily(cls, X: LazyTable, weight) -> "Table":
        """In two passes: what the columns hold, then the scale of those that are drawn in, and the shares of categories."""
        gathered = [Gathering(name) for name in X.columns]
        for rows, part in parts_of(X):
            for one in gathered:
                one.see(part[one.name], None if weight is None else weight[rows])
        for one in gathered:
            one.seen()
        schema = cls._of([one.column for one in gathered], X.layout)
        counts: list[np.ndarray] = []
        for rows, part in parts_of(X):
            known = None if weight is None else weight[rows]
            for one in gathered:
                one.look_again(part[one.name], known)
            more = counts_of(schema.encode(part), schema.columns, known)
            counts = [a + b for a, b in zip(counts, more, strict=True)] if counts else more
        schema.shares = shares_of(counts)
        return schema

    @classmethod
    def _of(cls, cells: list[Column], layout: Layout | None) -> "Table":
        return cls([sum(len(cell.widths) for cell in cells)], "float32", cells=cells, layout=layout)

    def check_shape(self, X) -> None:
        names, known = list(X.columns), [cell.name for cell in self.cells]
        if names == known:
            return
        absent, further = [n for n in known if n not in names], [n for n in names if n not in known]
        if not absent and not further:
            raise ValueError(f"The columns come in another order than in fit: {shown(names)}. Expected {shown(known)}.")
        said = [f"{word} {shown(some)}" for word, some in (("lacks", absent), ("has further", further)) if some]
        raise ValueError(f"The table {' and '.join(said)}; the model was fitted to {shown(known)}.")

    def rows(self, X) -> Rows:
        if isinstance(X, LazyTable):
            return Rows(self, EncodedArray(X.values, self) if isinstance(X, LazyArray) else EncodedGroups(X, self), ready=True)
        (first, encoded), self.encoded = self.encoded or (None, None), None
        return Rows(self, encoded if first is X else self.encode(X), ready=True)

    def encode(self, X) -> np.ndarray:
        """(n, *shape) float32, NaN where a cell is missing."""
        encoded = np.empty((X.shape[0], len(self.columns)), np.float32)
        for cell, place in zip(self.cells, self.places(), strict=True):
            series = X[cell.name]
            if role_of(cell.name, series) != cell.role and not is_empty(series):
                raise ValueError(
                    f"Column {cell.name!r} holds {said_of(series)}, but in fit it was a {cell.role}. Convert it as it was then."
                )
            if cell.role == "date" and is_zoned(series) != cell.zoned and not is_empty(series):
                now, then, cure = ("no", "one", "dt.tz_localize(zone)") if cell.zoned else ("a", "none", "dt.tz_localize(None)")
                raise ValueError(f"The dates of column {cell.name!r} have {now} time zone, but in fit they had {then}: {cure}.")
            encoded[:, place] = cell.encode(series) if not is_empty(series) else np.nan
        return encoded

    def unseen(self, X) -> np.ndarray:
        """(n, columns) whether a cell holds a category that was not there in `fit`."""
        X = self.check(X)
        parts = [part for _, part in parts_of(X)] if isinstance(X, LazyTable) else [X]
        return np.concatenate([np.stack([cell.unseen(part[cell.name]) for cell in self.cells], 1) for part in parts])

    def places(self) -> list[slice]:
        """Where the numbers of each column lie."""
        ends = np.cumsum([len(cell.widths) for cell in self.cells]).tolist()
        return [slice(end - len(cell.widths), end) for end, cell in zip(ends, self.cells, strict=True)]

    def data(self, values: Tensor) -> Data:
        absent = values.isnan()
        return Data(torch.where(absent, 0.0, values), (~absent).to(values.dtype))

    def scaled_mean(self) -> Tensor:
        """What an output begins with: the mean of numbers, which is 0, and the shares of categories."""
        if self.shares is None:
            raise ValueError("Shares are there while a model is fitted; they are not stored.")
        return self.shares

    def scaled_range(self):
        return -math.inf, math.inf

    @property
    def size(self) -> int:
        """Numbers in a sample: one for a number, one for every category."""
        return sum(max(width, 1) for width in self.columns)

    # ------------------------------------------------------------------------------------------------- out

    def write(self, values: Tensor) -> Tensor:
        return values

    def give_back(self, values: Tensor, like) -> Any:
        encoded = values.detach().cpu().numpy()
        cells = {c.name: c.decode(encoded[:, place]) for c, place in zip(self.cells, self.places(), strict=True)}
        return self.built(cells, like)

    def built(self, cells: dict[str, Any], like) -> Any:
        """The frame, or the array, of these cells; with the index of `like` where it has one."""
        if self.layout is None:
            return np.stack(list(cells.values()), 1)
        for cell, kind in zip(self.cells, self.layout.columns, strict=True):
            if cell.role == "date":
                unit = kind.arguments.get("time_unit", "D")
                cells[cell.name] = np.round(cells[cell.name]).astype("datetime64[s]").astype(f"datetime64[{unit}]")
        frame = self.layout.frame(cells, like)
        for cell, kind in zip(self.cells, self.layout.columns, strict=True):
            if self.layout.library == "pandas" and kind.dtype == "Categorical":  # those that no row holds stay, too
                frame[cell.name] = frame[cell.name].cat.set_categories(cell.values)
        return frame

    def features(self, encoded: np.ndarray) -> np.ndarray:
        """(n, size): categories as zeros and ones; 0, the mean of numbers, where a cell is missing."""
        parts = [
            (encoded[:, [place]] == np.arange(width)).astype(np.float32) if width else np.nan_to_num(encoded[:, [place]])
            for place, width in enumerate(self.columns)
        ]
        return np.concatenate(parts, 1)

    def decided(self, features: np.ndarray) -> np.ndarray:
        """The inverse of `features`, with the greatest of a column's categories."""
        ends = np.cumsum([max(width, 1) for width in self.columns])
        parts = np.split(features, ends[:-1], axis=1)
        return np.stack([part.argmax(1) if width else part[:, 0] for part, width in zip(parts, self.columns, strict=True)], 1)

    def differences(self, encoded: np.ndarray, originals: np.ndarray) -> np.ndarray:
        """(n, numbers that cells become): of numbers signed, 1 where a category is another, 0 where the original is missing."""
        apart = np.where(np.array(self.columns) > 0, encoded != originals, encoded - originals)
        return np.where(np.isnan(originals), 0.0, apart)

    def fill(self, X, rebuilt) -> Any:
        """`X` with its missing cells, and no others, taken from `rebuilt`."""
        X = self.check(X)
        X = X.whole() if isinstance(X, LazyTable) else X
        if isinstance(X, Array):
            return np.where(np.isnan(X.values), rebuilt, X.values)
        rebuilt, filled = frame_of(rebuilt), []
        for name in X.columns:
            there = ~(X[name].is_null() | X[name].is_nan()) if X[name].dtype.is_float() else ~X[name].is_null()
            other = rebuilt[name]
            if other.implementation != X.implementation:  # the model was fitted to a frame of another library
                other = nw.new_series(name, other.to_list(), X[name].dtype, backend=X.implementation)
            filled.append(X[name].zip_with(there, other).alias(name))
        return nw.to_native(X.with_columns(*filled))

    # ----------------------------------------------------------------------------------------------- files

    def write_file(self, file, values, ending):
        if self.layout is not None:
            return write_frame(file, values, ending)
        if ending == ".parquet":
            raise ValueError("The cells came as an array, whose columns have no names for a .parquet file. Write a .csv.")
        return super().write_file(file, values, ending)

    def config(self) -> dict:
        cells = [asdict(cell) for cell in self.cells]
        return super().config() | {"cells": cells, "layout": None if self.layout is None else self.layout.config()}


# --------------------------------------------------------------------------------------------------- helpers


def parts_of(X: LazyTable) -> Iterator[tuple[slice, Any]]:
    """A lazy table part by part, and which rows each holds."""
    for place in range(len(X.edges) - 1):
        yield slice(int(X.edges[place]), int(X.edges[place + 1])), X.part(place)


def counts_of(encoded: np.ndarray, columns: tuple[int, ...], weight) -> list[np.ndarray]:
    """How often every category of every column is there; nothing for numbers."""
    counts = []
    for place, width in enumerate(columns):
        there = ~np.isnan(encoded[:, place]) if width else np.empty(0, bool)
        known = encoded[: len(there), place][there].astype(int)
        counts.append(np.bincount(known, None if weight is None or not width else weight[there], width) if width else np.zeros(0))
    return counts


def shares_of(counts: list[np.ndarray]) -> Tensor:
    """The mean of every output: 0 for numbers, and for categories their shares, with one more of each than was seen."""
    means = [(count + 1) / (count + 1).sum() if len(count) else np.zeros(1) for count in counts]
    return torch.from_numpy(np.concatenate(means))


def numeric(X) -> np.ndarray:
    """Numbers in rows and columns; NaN is a missing cell."""
    values = np.asarray(X)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise ValueError(
            f"A table is a frame, or an array of numbers (rows, columns); got shape {values.shape} of {values.dtype}. For "
            "columns of text, pass a frame, such as pandas.DataFrame(X)."
        )
    return values.astype(np.float64) if values.dtype.kind != "f" else values


def shown(names: list[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
