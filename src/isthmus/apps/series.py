"""Series of numbers as they come in, in arrays, lists and frames, and forecasts as they go back."""

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import narwhals as nw
import numpy as np

from ..data import Named, Sequences, as_array
from ..data.frames import Layout, frame_of, imported
from ..data.series import STEPS, Long, first_of, form_of, is_number

IDENTITY = "unique_id"  # of series whose frame does not name them
_PEAK, _RISE = 0.3, 0.2  # of the autocorrelation at a season, and how far it must have risen to it
_MOST_SERIES, _MOST_STEPS = 100, 4000  # that a season is looked for in


class Several:
    """What series and films share: `values`, an array each, its first axis the steps, and their `names`, or None."""

    values: list[np.ndarray]
    names: list | None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shortest(self) -> int:
        return min(map(len, self.values))

    def called(self, place: int) -> str:
        return str(place) if self.names is None else repr(self.names[place])

    def until(self, last: int):
        """Without the last steps of each."""
        return replace(cast(Any, self), values=[one[:-last] for one in self.values])


@dataclass
class Series(Several):
    """Series, each an array (steps, channels) of float64 without gaps, and what gives forecasts the form they came in.

    channels : names of the columns, or None where data came without an axis for them
    one_length : whether they came as one array;   alone : whether that was a single series without an axis of series
    """

    values: list[np.ndarray]
    names: list | None = None
    channels: list[str] | None = None
    one_length: bool = False
    alone: bool = False
    frame: "Framed | None" = None

    def given_back(self, found: list[np.ndarray]) -> Any:
        """Forecasts, (steps, channels, ...) each, as an array, or a list of them, as the series came."""
        shaped = found if self.channels is not None else [one[:, 0] for one in found]
        if self.alone:
            return shaped[0]
        return np.stack(shaped) if self.one_length else Named(shaped, None if self.names is None else map(str, self.names))


@dataclass
class Framed:
    """The frame that series came in: its library, what its columns are called, and the moments of each series."""

    library: str
    identity: str
    step: str
    moments: list["Moments | None"]

    def frame(self, series: Series, found: list[np.ndarray], quantiles: tuple[float, ...], middle: int) -> Any:
        """A row for each step that is forecast: whose, when, what, and with what spread; found : (steps, channels, quantiles)."""
        names = series.names or list(range(len(series)))
        steps = [len(one) for one in found]
        values = np.concatenate(found)
        each = zip(self.moments, series.values, steps, strict=True)
        when = [
            moment
            for known, one, count in each
            for moment in (range(len(one), len(one) + count) if known is None else known.after(count))
        ]
        columns: dict[str, Any] = {}
        if len(names) > 1 or self.identity != IDENTITY or names[0] != 0:
            columns[self.identity] = [name for name, count in zip(names, steps, strict=True) for _ in range(count)]
        columns[self.step] = when
        for place, channel in enumerate(series.channels or ["y"]):
            columns[channel] = values[:, place, middle].tolist()
            for at, quantile in enumerate(quantiles):
                if at != middle:
                    columns[f"{channel}_q{100 * quantile:g}"] = values[:, place, at].tolist()
        return nw.from_dict(columns, backend=imported(self.library)).to_native()


@dataclass
class Moments:
    """When the steps of one series are: the last of them, and how far they are apart."""

    last: np.datetime64 | float
    step: Any
    text: str = ""  # how a moment was written, where it was text

    @classmethod
    def of(cls, column: nw.Series, called: str) -> "Moments | None":
        """Of a column in the order of the steps; None where there are too few of them to tell, or they are not evenly spread."""
        text = column[0] if column.dtype == nw.String else ""
        if column.dtype.is_numeric():
            values = column.to_numpy().astype(np.float64)
        else:
            values = moments_of(column)
        apart = np.diff(values)
        if len(values) > 1 and (apart == apart[0]).all():
            return cls(values[-1], apart[0], text)
        if not column.dtype.is_numeric() and len(values) > 1:
            months = values.astype("datetime64[M]")
            within = values - months.astype(values.dtype)
            apart = np.diff(months)
            if (within == within[0]).all() and (apart == apart[0]).all() and apart[0]:
                return cls(values[-1], apart[0], text)
        return None

    def after(self, count: int) -> list:
        """The next so many moments, as they were written."""
        if not isinstance(self.last, np.datetime64):
            later = [self.last + self.step * (1 + k) for k in range(count)]
            return [int(one) if float(one).is_integer() else one for one in later]
        if np.datetime_data(self.step)[0] == "M" and np.datetime_data(self.last)[0] != "M":
            month = self.last.astype("datetime64[M]")
            within = self.last - month.astype(self.last.dtype)
            later = [(month + self.step * (1 + k)).astype(self.last.dtype) + within for k in range(count)]
        else:
            later = [self.last + self.step * (1 + k) for k in range(count)]
        if not self.text:
            return [one.astype("datetime64[us]").item() for one in later]
        return [str(one).replace("T", " " if " " in self.text else "T")[: max(len(self.text), 4)] for one in later]


def read_series(X) -> Series:
    """Series from an array (steps,), (n, steps) or (n, steps, channels), a list of arrays, or a frame.

    A long frame has a row for each step of each series, a wide one a row for each series; one without a column that tells series
    apart is a single series with a row for each step.
    """
    frame = None if isinstance(X, np.ndarray | list | tuple) or hasattr(X, "detach") else frame_of(X)
    return of_arrays(X) if frame is None else of_frame(frame)


def of_arrays(X) -> Series:
    several = isinstance(X, list | tuple)
    values: Any = X if several else as_array(X)
    if several and len(values) and all(np.ndim(one) == 0 and not isinstance(one, str) for one in values):
        several, values = False, np.asarray(values)
    if not several and np.ndim(values) == 0:
        raise ValueError(f"X is {X!r}: a series of numbers is expected, (steps,), or several of them.")
    alone = not several and values.ndim == 1
    if not several and (0 in values.shape or values.ndim > 3):
        raise ValueError(
            f"X has shape {values.shape}: series come as (steps,), (n, steps) or (n, steps, channels), with a step at least, or "
            "as a list of arrays (steps[, channels])."
        )
    names = getattr(X, "names", None)
    pieces: Any = Sequences.check(Named([*(values[None] if alone else values)], names))
    bounds = pieces.sizes[:, 0].numpy() * math.prod(pieces.rest)
    flat = np.split(pieces.values.numpy().astype(np.float64), np.cumsum(bounds)[:-1])
    channels = [str(place) for place in range(pieces.rest[0])] if pieces.rest else None
    each = [filled(one.reshape(-1, math.prod(pieces.rest))) for one in flat]
    return Series(each, names, channels, one_length=not several, alone=alone)


def of_frame(frame: nw.DataFrame) -> Series:
    single = single_step(frame)
    if single is not None:
        frame = frame.with_columns(nw.lit(0).alias(IDENTITY))
        others = [name for name in frame.columns if name not in (IDENTITY, single) and is_number(frame[name])]
        if not others:
            raise ValueError(f"The frame holds no numbers beside {single!r}. A series is a column of numbers.")
        frame = frame.select(IDENTITY, single, *others)
        form: Any = Long(Layout.of(frame), IDENTITY, single)
    else:
        form = form_of(frame)
    samples, names = form.samples(frame)
    pieces: Any = Sequences.check(Named(samples, map(str, names)))
    step = form.step if form.step is not None else "step"
    moments: list[Moments | None] = [None] * len(names)
    if form.step is not None:
        order, counts, _ = form.sorted(frame)
        column, ends = frame[form.step][order.tolist()], np.cumsum(counts)
        moments = [
            Moments.of(column[int(end - count) : int(end)], name)
            for name, end, count in zip(names, ends, counts, strict=True)
        ]  # fmt: skip
    known = Framed(nw.get_native_namespace(frame).__name__, form.identity or IDENTITY, step, moments)
    channels = None if form.wide else form.channels
    each = [filled(np.asarray(one, np.float64).reshape(len(one), -1)) for one in samples]
    assert len(pieces) == len(each)
    return Series(each, list(names), channels, frame=known)


def single_step(frame: nw.DataFrame) -> str | None:
    """Of a frame of one series the column that says when its rows are; None where the frame tells several series apart."""
    if not all(isinstance(name, str) for name in frame.columns) or not len(frame):
        return None
    if first_of(("unique_id", "id", "series", "sequence"), frame.columns) is not None:
        return None
    named = first_of(STEPS, frame.columns)
    if named is not None:
        return named
    first = frame.columns[0]
    return first if len(frame.columns) > 1 and is_moment(frame[first]) else None


def is_moment(column: nw.Series) -> bool:
    """Whether its cells are dates, or texts that say one each."""
    if isinstance(column.dtype, nw.Date | nw.Datetime):
        return True
    if column.dtype != nw.String or column.is_null().any():
        return False
    try:
        moments_of(column)
    except ValueError:
        return False
    return True


def moments_of(column: nw.Series) -> np.ndarray:
    """datetime64 of dates, or of texts in the order year, month, day."""
    if column.dtype == nw.String:
        return np.array([text.strip().replace(" ", "T") for text in column.to_list()], dtype="datetime64")
    if isinstance(column.dtype, nw.Date):
        return np.array(column.to_list(), dtype="datetime64[D]")
    return np.array([one.replace(tzinfo=None) for one in column.to_list()], dtype="datetime64[us]")


def filled(values: np.ndarray) -> np.ndarray:
    """(steps, channels) with gaps filled along the line between their neighbours; at the ends, by the nearest number."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    values, steps = values.copy(), np.arange(len(values))
    for channel, absent in enumerate(gaps.T):
        if absent.all():
            raise ValueError(
                f"Channel {channel} of a series holds nothing: all its {len(values)} steps are missing. Leave it out."
            )
        values[absent, channel] = np.interp(steps[absent], steps[~absent], values[~absent, channel])
    return values


def season_of(values: list[np.ndarray], longest: int) -> int:
    """The season that series have in common, in steps, by their mean autocorrelation without trend; 1 where there is none.

    It is the shortest lag, up to `longest`, at which the autocorrelation has a peak of 0.3 or more, has risen by 0.2 from where
    it was lowest before, and reaches 0.8 of the highest such peak.
    """
    longest = min(longest, min(map(len, values)) // 2)
    if longest < 2:
        return 1
    some = [values[place] for place in np.unique(np.linspace(0, len(values) - 1, _MOST_SERIES).round().astype(int))]
    each = [autocorrelation(column, longest) for one in some for column in one[-_MOST_STEPS:].T]
    found = np.mean([one for one in each if one is not None] or [np.zeros(longest + 2)], 0)
    lags = np.arange(2, longest + 1)
    lowest = np.minimum.accumulate(found)[lags - 1]
    higher = np.append(found, -np.inf)
    peak = (found[lags] >= found[lags - 1]) & (found[lags] >= higher[lags + 1])
    peak &= (found[lags] >= _PEAK) & (found[lags] - lowest >= _RISE)
    if not peak.any():
        return 1
    return int(lags[peak & (found[lags] >= 0.8 * found[lags[peak]].max())][0])


def autocorrelation(values: np.ndarray, longest: int) -> np.ndarray | None:
    """(longest + 2,) of a series without its straight trend, as far as it is long; None of one that does not vary."""
    steps = np.arange(len(values))
    rest = values - np.polyval(np.polyfit(steps, values, 1), steps)
    if not np.square(rest).sum() > 1e-12 * max(1.0, np.square(values).sum()):
        return None
    spectrum = np.fft.rfft(rest, 2 * len(rest))
    found = np.fft.irfft(np.square(np.abs(spectrum)))[: longest + 2]
    several = len(rest) - np.arange(len(found))  # products at each lag
    return found / several / (found[0] / len(rest))
