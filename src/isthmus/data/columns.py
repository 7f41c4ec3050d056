"""The columns of tables: what their cells are, and how they become numbers and cells again."""

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
from scipy import stats

MOST_CATEGORIES = 1000  # of one column; more of them name things, one by one, which no other column can tell
SKEWED = 3.0  # skewness beyond which the tails of a column are drawn in
_LARGEST = 1e30  # of numbers: their squares are still finite, and so are float32 of what is a million times as large
_DAY = 86400.0  # seconds
_CYCLES = {"year": 365.2425 * _DAY, "week": 7 * _DAY, "day": _DAY}


@dataclass
class Column:
    """What one column holds, and how its cells become numbers and cells again.

    role : "number", "boolean", "category" or "date";   values : the categories, in order
    center, scale : of what is encoded, (x - center) / scale;   middle, tails : of asinh((x - middle) / tails), which draws in
    the tails of a skewed column; none where tails is 0;   cycles : of a date;   step : seconds that a date is rounded to
    constant : whether all cells hold `center`, which is then written back exactly;   zoned : whether dates have a time zone
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
    constant: bool = False
    zoned: bool = False

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
        column = cls(name, role, zoned=is_zoned(series))
        if role == "date":
            column.step = _DAY if (known % _DAY == 0).all() else 1.0
            column.cycles = [c for c, length in _CYCLES.items() if np.ptp(known) > length and column.step < length]
        elif np.ptp(known) and abs(stats.skew(known)) > SKEWED:
            column.middle, column.tails = mean_and_std(known, counts)
        column.constant = not np.ptp(known)
        column.center, column.scale = (float(known[0]), 1.0) if column.constant else mean_and_std(column.bent(known), counts)
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
        texts = texts_of(series)
        places = texts.replace_strict(list(known), list(known.values()), default=-1, return_dtype=nw.Int64).to_numpy()
        places = np.where(series.is_null().to_numpy(), np.nan, places).astype(np.float32)
        strange = np.flatnonzero(self.unseen(series))
        if len(strange):
            warnings.warn(
                f"Column {self.name!r} holds {texts[int(strange[0])]!r} in row {strange[0]}, which was not there in fit; such "
                f"cells ({len(strange)}) are read as missing. Known: {', '.join(list(known)[:10])}.",
                UserWarning,
                stacklevel=2,
            )
            places[strange] = np.nan
        return places

    def unseen(self, series) -> np.ndarray:
        """(n,) whether a cell holds a category that was not there in `fit`."""
        if self.role != "category" or is_empty(series):
            return np.zeros(len(series), bool)
        known = texts_of(series).is_in([str(value) for value in self.values])
        return ~(known | series.is_null()).to_numpy().astype(bool)

    def decode(self, encoded: np.ndarray) -> Any:
        """Cells from (n, len(widths)) numbers."""
        if self.values:
            return [self.values[int(place)] for place in encoded[:, 0]]
        if self.constant:
            return np.full(len(encoded), self.center)
        values = encoded[:, 0].astype(np.float64) * self.scale + self.center
        values = np.sinh(values) * self.tails + self.middle if self.tails else values
        return values if self.role == "number" else np.round(values / self.step) * self.step


class Moments:
    """Mean and standard deviation of numbers that count by weight, gathered part by part (Chan et al. 1983)."""

    def __init__(self):
        self.weight = self.mean = self.squares = 0.0

    def add(self, values: np.ndarray, weight: np.ndarray | None) -> None:
        total = float(len(values) if weight is None else weight.sum())
        if total <= 0:
            return
        mean = float(np.average(values, weights=weight))
        squares = total * float(np.average(np.square(values - mean), weights=weight))
        away, self.weight = mean - self.mean, self.weight + total
        self.squares += squares + away**2 * total * (self.weight - total) / self.weight
        self.mean += away * total / self.weight

    @property
    def mean_and_std(self) -> tuple[float, float]:
        return self.mean, math.sqrt(self.squares / self.weight) or 1.0


class Gathering:
    """Learns a `Column` from the parts of a table that is never in memory as a whole, in two passes: `see`, then `look_again`.

    Whether the tails of a column are drawn in is decided by the first part that holds anything.
    """

    def __init__(self, name: str):
        self.name, self.role = name, ""
        self.values: set = set()
        self.raw, self.bent = Moments(), Moments()
        self.low, self.high, self.whole_days, self.is_skewed = math.inf, -math.inf, True, False
        self.column, self.zoned = Column(name, ""), False

    def see(self, series, weight) -> None:
        self.role, self.zoned = role_of(self.name, series), is_zoned(series)
        if self.role == "category":
            self.values |= set(series.drop_nulls().unique().to_list())
            refuse_names(self.name, self.values)
        elif self.role != "boolean":
            known, counts = self._known(series, weight)
            if not len(known):
                return
            if not self.raw.weight:
                self.is_skewed = self.role == "number" and bool(np.ptp(known)) and abs(stats.skew(known)) > SKEWED
            self.raw.add(known, counts)
            self.low, self.high = min(self.low, known.min()), max(self.high, known.max())
            self.whole_days = self.whole_days and bool((known % _DAY == 0).all())

    def seen(self) -> None:
        """After the first pass: all but the scale of what is drawn in."""
        self.column = column = Column(self.name, self.role, zoned=self.zoned)
        if self.role in ("boolean", "category"):
            column.values = [False, True] if self.role == "boolean" else sorted(self.values)
            if not column.values:
                raise ValueError(f"Column {self.name!r} holds nothing: all cells are missing. Leave it out.")
            return
        if not self.raw.weight:
            raise ValueError(f"Column {self.name!r} holds nothing: all cells are missing. Leave it out.")
        column.constant = bool(self.low == self.high)
        column.center, column.scale = (float(self.low), 1.0) if column.constant else self.raw.mean_and_std
        if self.role == "date":
            column.step = _DAY if self.whole_days else 1.0
            column.cycles = [c for c, length in _CYCLES.items() if self.high - self.low > length and column.step < length]
        elif self.is_skewed:
            column.middle, column.tails = self.raw.mean_and_std

    def look_again(self, series, weight) -> None:
        if self.column.tails:
            known, counts = self._known(series, weight)
            self.bent.add(self.column.bent(known), counts)
            self.column.center, self.column.scale = self.bent.mean_and_std if self.bent.weight else (0.0, 1.0)

    def _known(self, series, weight) -> tuple[np.ndarray, np.ndarray | None]:
        values = readable(self.name, seconds_of(series) if self.role == "date" else numbers_of(series))
        there = ~np.isnan(values)
        return values[there], None if weight is None else weight[there]


# --------------------------------------------------------------------------------------------------- helpers


def role_of(name: str, series: Any) -> str:
    """What the cells of a column are; types that are none of these are refused by name."""
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
        f"Column {name!r} holds {said_of(series)}. Numbers, booleans, texts, categories and dates can be read: convert it, in "
        "pandas by convert_dtypes(), astype('boolean'), pandas.to_datetime or astype(str), or leave it out."
    )


def said_of(series) -> str:
    if isinstance(series, np.ndarray):
        return "cells of type number"
    native: Any = nw.to_native(series)
    if isinstance(series.dtype, nw.Object | nw.Unknown):  # which say nothing of what is there
        kinds = sorted({type(cell).__name__ for cell in native[:1000]})
        return f"cells of type {getattr(native, 'dtype', series.dtype)}: {', '.join(kinds[:5])}"
    return f"cells of type {series.dtype}"


def is_zoned(series) -> bool:
    return getattr(getattr(series, "dtype", None), "time_zone", None) is not None


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
    strange = next((value for value in values if not isinstance(value, str | int | float | bool)), None)
    if strange is not None:
        raise ValueError(
            f"Column {name!r} has categories of type {type(strange).__name__}, such as {str(strange)!r}; texts and numbers can "
            "be read. Convert it: astype(str), or, of dates, make it a column of dates."
        )
    refuse_names(name, values)
    if len({str(value) for value in values}) < len(values):
        raise ValueError(f"Column {name!r} has categories that read alike, such as 1 and '1'. Make them of one type.")
    return values


def texts_of(series: nw.Series) -> nw.Series:
    """The cells as texts. Pandas turns whole numbers and truths among its categories into floats where cells are missing."""
    native: Any = nw.to_native(series)
    if not hasattr(native, "cat") or not hasattr(native.cat, "rename_categories"):
        return series.cast(nw.String)
    named = native.cat.rename_categories([str(value) for value in native.cat.categories])
    return nw.from_native(named, series_only=True).cast(nw.String)


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
    huge = np.abs(values) > _LARGEST
    if huge.any():
        place = int(huge.argmax())
        raise ValueError(
            f"Column {name!r} holds {values[place]:.3g} in row {place}; numbers of up to {_LARGEST:.0e} can be read. Leave the "
            "cell missing, or scale the column."
        )
    return values


def mean_and_std(values: np.ndarray, weight) -> tuple[float, float]:
    """Of numbers that count by weight; the standard deviation is 1 where nothing varies."""
    mean = float(np.average(values, weights=weight))
    std = math.sqrt(np.average(np.square(values - mean), weights=weight))
    return mean, std or 1.0


def refuse_names(name: str, values) -> None:
    """Refuses a column with too many different texts."""
    if len(values) > MOST_CATEGORIES:
        raise ValueError(
            f"Column {name!r} holds {len(values)} different texts, more than {MOST_CATEGORIES}: names rather than categories. "
            "Leave it out, or group its values."
        )
