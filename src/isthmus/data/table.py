"""Tables: frames of numbers, booleans, categories and dates, with cells that may be missing; a sample is a row."""

import math
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import torch
from scipy import stats
from torch import Tensor

from ..records import Data
from .frames import Layout, frame_of, layout_of, write_frame
from .schema import Rows, Schema

MOST_CATEGORIES = 1000  # of one column; more of them name things, one by one, which no other column can tell
SKEWED = 3.0  # skewness beyond which the tails of a column are drawn in
_DAY = 86400.0  # seconds
_CYCLES = {"year": 365.2425 * _DAY, "week": 7 * _DAY, "day": _DAY}


class Array:
    """An array of numbers, (rows, columns), that is read as a frame is."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape = values, values.shape
        self.columns = [f"x{place}" for place in range(values.shape[1])]

    def __getitem__(self, key):
        return self.values[:, self.columns.index(key)] if isinstance(key, str) else Array(self.values[key])


@dataclass
class Column:
    """What one column holds, and how its cells become numbers and cells again.

    role : "number", "boolean", "category" or "date";   values : the categories, in order
    center, scale : of what is encoded, (x - center) / scale;   middle, tails : of asinh((x - middle) / tails), which draws in
    the tails of a skewed column; none where tails is 0;   cycles : of a date;   step : seconds that a date is rounded to
    """

    name: str
    role: str
    values: list = field(default_factory=list)
    center: float = 0.0
    scale: float = 1.0
    middle: float = 0.0
    tails: float = 0.0
    cycles: list[str] = field(default_factory=list)
    step: float = 1.0

    @classmethod
    def learn(cls, name: str, series, weight) -> "Column":
        role = role_of(name, series)
        if role in ("boolean", "category"):
            return cls(name, role, [False, True] if role == "boolean" else categories_of(name, series))
        values = readable(name, seconds_of(series) if role == "date" else numbers_of(series))
        there = ~np.isnan(values)
        if not there.any():
            raise ValueError(f"Column {name!r} holds nothing: all {len(values)} cells are missing. Leave it out.")
        known, counts = values[there], None if weight is None else weight[there]
        column = cls(name, role)
        if role == "date":
            column.step = _DAY if (known % _DAY == 0).all() else 1.0
            column.cycles = [c for c, length in _CYCLES.items() if np.ptp(known) > length and column.step < length]
        elif np.ptp(known) and abs(stats.skew(known)) > SKEWED:
            column.middle, column.tails = mean_and_std(known, counts)
        column.center, column.scale = mean_and_std(column.bent(known), counts)
        return column

    @property
    def widths(self) -> list[int]:
        """Of each number that a cell becomes: 0, or how many categories it is one of."""
        return [len(self.values)] if self.values else [0] * (1 + 2 * len(self.cycles))

    def encode(self, series) -> np.ndarray:
        """(n, len(widths)) float32, NaN where a cell is missing."""
        if self.values:
            return self.places(series)[:, None]
        values = readable(self.name, seconds_of(series) if self.role == "date" else numbers_of(series))
        around = [turn(2 * math.pi * values / _CYCLES[cycle]) for cycle in self.cycles for turn in (np.sin, np.cos)]
        return np.stack([(self.bent(values) - self.center) / self.scale, *around], 1).astype(np.float32)

    def bent(self, values: np.ndarray) -> np.ndarray:
        return np.arcsinh((values - self.middle) / self.tails) if self.tails else values

    def places(self, series) -> np.ndarray:
        """(n,) the place of every cell's category. One that was never seen is read as missing, and a warning says so."""
        if self.role == "boolean":
            return series.cast(nw.Float64).to_numpy().astype(np.float32)
        known = {str(value): place for place, value in enumerate(self.values)}
        texts = series.cast(nw.String)
        places = texts.replace_strict(list(known), list(known.values()), default=-1, return_dtype=nw.Int64).to_numpy()
        places = np.where(series.is_null().to_numpy(), np.nan, places).astype(np.float32)
        strange = np.flatnonzero(places == -1)
        if len(strange):
            warnings.warn(
                f"Column {self.name!r} holds {texts[int(strange[0])]!r} in row {strange[0]}, which was not there in fit; such "
                f"cells ({len(strange)}) are read as missing. Known: {', '.join(list(known)[:10])}.",
                UserWarning,
                stacklevel=2,
            )
            places[strange] = np.nan
        return places

    def decode(self, encoded: np.ndarray) -> Any:
        """Cells from (n, len(widths)) numbers."""
        if self.values:
            return [self.values[int(place)] for place in encoded[:, 0]]
        values = encoded[:, 0].astype(np.float64) * self.scale + self.center
        values = np.sinh(values) * self.tails + self.middle if self.tails else values
        return values if self.role == "number" else np.round(values / self.step) * self.step


class Table(Schema):
    """Rows of cells; `columns` says of every number in `values` whether it is one (0) or one of so many categories.

    Numbers have mean zero and variance one, a category is its place among its column's, a date is a number and its place on
    the circles of the year, the week and the day. A missing cell has the weight 0.
    """

    kind = "table"
    endings = (".csv", ".parquet")
    columns: tuple[int, ...]
    shares: Tensor | None = None  # of every category and 0 for numbers, while a model is fitted

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, cells=(), layout=None):
        super().__init__(shape, dtype, center, scale, constant)
        self.cells = [cell if isinstance(cell, Column) else Column(**cell) for cell in cells]
        self.layout = layout if isinstance(layout, Layout) else Layout.restore(layout)
        self.columns = tuple(width for cell in self.cells for width in cell.widths)

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X):
        """A frame as narwhals sees it, or an array of numbers."""
        if isinstance(X, nw.DataFrame | Array):
            return X
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
        cells = [Column.learn(name, X[name], weight) for name in X.columns]
        schema = cls(
            [sum(len(cell.widths) for cell in cells)],
            "float32",
            cells=cells,
            layout=None if isinstance(X, Array) else layout_of(X),
        )
        schema.shares = expected(schema.encode(X), schema.columns, weight)
        return schema

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
        return Rows(self, self.encode(X), ready=True)

    def encode(self, X) -> np.ndarray:
        """(n, *shape) float32, NaN where a cell is missing."""
        encoded = np.empty((X.shape[0], len(self.columns)), np.float32)
        for cell, place in zip(self.cells, self.places(), strict=True):
            series = X[cell.name]
            if role_of(cell.name, series) != cell.role and not is_empty(series):
                raise ValueError(
                    f"Column {cell.name!r} holds {said_of(series)}, but in fit it was a {cell.role}. Convert it as it was then."
                )
            encoded[:, place] = cell.encode(series) if not is_empty(series) else np.nan
        return encoded

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
        return self.layout.frame(cells, like)

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
        if isinstance(X, Array):
            return np.where(np.isnan(X.values), rebuilt, X.values)
        rebuilt, filled = frame_of(rebuilt), []
        for name in X.columns:
            there = ~(X[name].is_null() | X[name].is_nan()) if X[name].dtype.is_float() else ~X[name].is_null()
            filled.append(X[name].zip_with(there, rebuilt[name]).alias(name))
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


def role_of(name: str, series: Any) -> str:
    """What the cells of a column are; types that are neither are refused by name."""
    if isinstance(series, np.ndarray) or series.dtype.is_numeric():
        return "number"
    dtype = series.dtype
    if dtype == nw.Boolean:
        return "boolean"
    if isinstance(dtype, nw.Datetime | nw.Date):
        return "date"
    if isinstance(dtype, nw.String | nw.Categorical | nw.Enum):
        return "category"
    raise ValueError(
        f"Column {name!r} holds {said_of(series)}. Numbers, booleans, texts, categories and dates can be read: convert it, or "
        "leave it out."
    )


def said_of(series) -> str:
    return f"cells of type {'number' if isinstance(series, np.ndarray) else series.dtype}"


def is_empty(series) -> bool:
    """Whether all cells are missing, which may change the type that a library gives the column."""
    return not isinstance(series, np.ndarray) and bool(series.is_null().all())


def categories_of(name: str, series: nw.Series) -> list:
    """The categories of a column: those of its type, in their order, or those that are there, sorted."""
    native = nw.to_native(series)
    declared = getattr(getattr(native, "dtype", None), "categories", None)
    if isinstance(series.dtype, nw.Enum) and declared is None:
        declared = series.dtype.categories
    values = list(declared) if declared is not None else sorted(series.drop_nulls().unique().to_list())
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not values:
        raise ValueError(f"Column {name!r} holds nothing: all {len(series)} cells are missing. Leave it out.")
    if len(values) > MOST_CATEGORIES:
        raise ValueError(
            f"Column {name!r} holds {len(values)} different texts, more than {MOST_CATEGORIES}: names rather than categories. "
            "Leave it out, or group its values."
        )
    if len({str(value) for value in values}) < len(values):
        raise ValueError(f"Column {name!r} has categories that read alike, such as 1 and '1'. Make them of one type.")
    return values


def numbers_of(series) -> np.ndarray:
    """(n,) float64, NaN where a cell is missing."""
    return series.astype(np.float64) if isinstance(series, np.ndarray) else series.cast(nw.Float64).to_numpy().astype(np.float64)


def seconds_of(series: nw.Series) -> np.ndarray:
    """(n,) seconds since 1970, NaN where a date is missing."""
    return series.cast(nw.Datetime("us", getattr(series.dtype, "time_zone", None))).dt.timestamp("us").to_numpy() / 1e6


def readable(name: str, values: np.ndarray) -> np.ndarray:
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"Column {name!r} is infinite in row {infinite.argmax()}. Give a number, or leave the cell missing.")
    return values


def mean_and_std(values: np.ndarray, weight) -> tuple[float, float]:
    """Of numbers that count by weight; the standard deviation is 1 where nothing varies."""
    mean = float(np.average(values, weights=weight))
    std = math.sqrt(np.average(np.square(values - mean), weights=weight))
    return mean, std or 1.0


def expected(encoded: np.ndarray, columns: tuple[int, ...], weight) -> Tensor:
    """The mean of every output: 0 for numbers, and for categories their shares, with one more of each than was seen."""
    means = []
    for place, width in enumerate(columns):
        if not width:
            means.append(np.zeros(1))
            continue
        there = ~np.isnan(encoded[:, place])
        counts = np.bincount(encoded[there, place].astype(int), None if weight is None else weight[there], width) + 1
        means.append(counts / counts.sum())
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
