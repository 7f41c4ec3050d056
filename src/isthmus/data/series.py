"""Frames of sequences: long ones, a row for every step of every sequence, and wide ones, a row for every sequence.

A form knows the columns. `samples(frame)` reads a frame of that form, `frame(samples, like)` writes one.
"""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from .columns import is_empty, numbers_of, seconds_of
from .frames import Cells, Layout, frame_of, imported

IDS = ("unique_id", "id", "series", "sequence")  # names, in any case, that tell which sequence a row belongs to
STEPS = ("ds", "step", "time", "date", "timestamp")  # and where in it
CURE = (
    f"A long frame has a row for every step, with a column that says which sequence it belongs to ({', '.join(IDS)}) and, unless "
    f"the rows are in order, one to sort by ({', '.join(STEPS)}); a wide frame has a row for every sequence, of numbers, behind "
    "its name at most. Rename the columns, or leave others out."
)


@dataclass
class Form:
    """The columns of a frame of sequences: the one with their names, the one to sort by, and those with the numbers."""

    layout: Layout
    identity: str | None
    step: str | None = None

    wide = False

    def samples(self, frame: nw.DataFrame) -> tuple[list[np.ndarray], list]:
        """The sequences, and their names."""
        raise NotImplementedError

    def frame(self, samples: list[np.ndarray], like) -> Any:
        """The sequences in a frame: the rows of `like` with other numbers, where it has this form, else new rows."""
        raise NotImplementedError

    @property
    def channels(self) -> list[str]:
        return [cells.name for cells in self.layout.columns if cells.name not in (self.identity, self.step)]

    @property
    def dtype(self) -> str:
        """float32 where all numbers are that short, else float64."""
        return "float32" if all(cells.dtype == "Float32" for cells in self.numbers) else "float64"

    @property
    def numbers(self) -> list[Cells]:
        return [cells for cells in self.layout.columns if cells.name in self.channels]

    def check(self, other: "Form | None") -> None:
        """Refuses a frame of other columns than these."""
        if other is None or (self.wide and other.wide):
            return
        seen, known = other.channels, self.channels
        if seen != known or self.wide != other.wide:
            raise ValueError(f"The frame has the channels {shown(seen)}, but the model was fitted to {shown(known)}.")
        columns = [name for name in (self.identity, self.step, *known) if name is not None]
        for name, own in ((self.identity, other.identity), (self.step, other.step)):
            if name is not None and own != name:
                cure = "Add that column." if own is None else f"Rename {own!r}."
                raise ValueError(f"The frame lacks {name!r}; the model was fitted to {shown(columns)}. {cure}")
        if self.step is None and other.step is not None:
            raise ValueError(
                f"The frame has {other.step!r} to sort by; the model was fitted to {shown(columns)}, in the order of the rows. "
                f"Sort the rows, and leave {other.step!r} out."
            )

    def config(self) -> dict:
        return {"wide": self.wide, "layout": self.layout.config(), "identity": self.identity, "step": self.step}

    def of_this_form(self, like) -> nw.DataFrame | None:
        """`like` as narwhals sees it, if it is a frame with these columns."""
        frame = None if isinstance(like, np.ndarray | list | tuple | str) else frame_of(like)
        names = {self.identity, self.step, *(self.channels[:1] if self.wide else self.channels)}
        return frame if frame is not None and names - {None} <= set(frame.columns) else None

    def names_of(self, codes, count: int) -> list:
        """The names of new sequences: those in the index of a frame of codes that is called as their column, else numbers."""
        index: Any = getattr(codes, "index", None)
        named = self.identity is not None and getattr(index, "name", None) == self.identity and len(index) == count
        names = index.tolist() if named else list(range(count))
        return [str(name) for name in names] if named and self.are_texts else names

    @property
    def are_texts(self) -> bool:
        """Whether sequences are named by texts, of which a file may make numbers."""
        return any(
            cells.name == self.identity and cells.dtype in ("String", "Categorical", "Enum") for cells in self.layout.columns
        )


class Long(Form):
    """A row for every step. The rows of a sequence need not lie together; they go back to where they came from."""

    def samples(self, frame: nw.DataFrame) -> tuple[list[np.ndarray], list]:
        """Arrays (steps, channels), in the order in which the sequences begin, and their names."""
        order, counts, names = self.sorted(frame)
        values = np.stack([readable(name, frame[name]) for name in self.channels], 1).astype(self.dtype)[order]
        return np.split(values, np.cumsum(counts)[:-1]), names

    def indexed(self, codes, names: list) -> Any:
        """Codes, a row for each sequence, as a frame of pandas with the names as its index."""
        pandas: Any = imported("pandas")
        return pandas.DataFrame(np.asarray(codes), index=pandas.Index(names, name=self.identity))

    def sorted(self, frame: nw.DataFrame) -> tuple[np.ndarray, np.ndarray, list]:
        """Rows in the order of sequences and steps, the steps of each sequence, and their names."""
        assert self.identity is not None
        refuse_nulls(self.identity, frame[self.identity])
        known: dict = {}
        place = np.array([known.setdefault(name, len(known)) for name in frame[self.identity].to_list()], np.int64)
        names, counts = list(known), np.bincount(place)
        if self.step is None:
            return np.argsort(place, kind="stable"), counts, names
        refuse_nulls(self.step, frame[self.step])
        when = moments(frame[self.step])
        order = np.lexsort((when, place))
        again = np.flatnonzero((np.diff(when[order]) == 0) & (np.diff(place[order]) == 0))
        if len(again):
            row = int(order[again[0]])
            raise ValueError(
                f"Sequence {names[place[row]]!r} holds {self.step} = {frame[self.step][row]} twice. Leave a row out, or tell "
                f"the sequences apart in {self.identity!r}."
            )
        return order, counts, names

    def frame(self, samples: list[np.ndarray], like) -> Any:
        """The rows of `like` with other numbers, where that has as many; else new rows, numbered from 0."""
        given, steps = self.of_this_form(like), [len(sample) for sample in samples]
        values = np.concatenate(samples)
        if given is None:
            return self.numbered(values, steps, self.names_of(like, len(steps)))
        order, counts, names = self.sorted(given)
        if steps != counts.tolist():
            return self.numbered(values, steps, names)
        rows = np.empty_like(values)
        rows[order] = values
        return with_columns(given, self.channels, rows)

    def numbered(self, values: np.ndarray, steps: list[int], names: list) -> Any:
        """New rows, whose steps count from 0."""
        columns = {name: values[:, place] for place, name in enumerate(self.channels)}
        whole = all(isinstance(name, int) for name in names)
        columns[str(self.identity)] = np.repeat(np.array(names, None if whole else object), steps)
        columns[str(self.step)] = np.concatenate([np.arange(count) for count in steps])
        kinds = {self.identity: "Int64" if whole else None, self.step: "Int64"}
        cells = [Cells(c.name, kind, {}, "int64") if (kind := kinds.get(c.name)) else c for c in self.layout.columns]
        return Layout(self.layout.library, cells).frame(columns)


class Wide(Form):
    """A row for every sequence, as long as its cells go on; in front its name, where there is one."""

    wide = True

    def samples(self, frame: nw.DataFrame) -> tuple[list[np.ndarray], list]:
        """Arrays (steps,), and their names."""
        names = list(range(len(frame))) if self.identity is None else frame[self.identity].to_list()
        values = np.stack([readable(name, frame[name]) for name in frame.columns if name != self.identity], 1).astype(self.dtype)
        there = ~np.isnan(values)
        ends = np.where(there.any(1), there.shape[1] - there[:, ::-1].argmax(1), 0)
        return [row[:end] for row, end in zip(values, ends.tolist(), strict=True)], names

    def frame(self, samples: list[np.ndarray], like) -> Any:
        """The rows of `like` with other numbers, or rows numbered from 0; no longer than there are columns."""
        given = self.of_this_form(like)
        names = self.channels if given is None else [name for name in given.columns if name != self.identity]
        values = np.full((len(samples), len(names)), np.nan, samples[0].dtype)
        for row, sample in zip(values, samples, strict=True):
            kept = sample[: len(row)]
            row[: len(kept)] = kept
        if given is not None:
            return with_columns(given, names, values)
        library = imported(self.layout.library)
        numbers = columns_of(self.numbers, library, values)
        if self.identity is not None:
            called = self.names_of(like, len(samples))
            kind = nw.Int64 if all(isinstance(name, int) for name in called) else None
            numbers = [nw.new_series(self.identity, called, kind, backend=library), *numbers]
        return numbers[0].to_frame().with_columns(*numbers[1:]).to_native()


def form_of(frame: nw.DataFrame) -> Form:
    """What the columns say; refuses what is neither long nor wide."""
    if not all(isinstance(name, str) for name in frame.columns):
        raise ValueError(f"The frame has columns named {frame.columns[:5]}. Use texts: X.columns = X.columns.astype(str).")
    if not len(frame):
        raise ValueError("The frame has no rows. At least one sequence is needed.")
    identity, step = (first_of(names, frame.columns) for names in (IDS, STEPS))
    others = [name for name in frame.columns if name not in (identity, step)]
    long = identity is not None and others and (step is not None or frame[identity].n_unique() < len(frame))
    if not long and identity is None and not is_number(frame[frame.columns[0]]):
        identity, others = others[0], others[1:]
    if not others or (step is not None and not long):
        raise ValueError(f"The frame has the columns {shown(frame.columns)}, which do not say what a sequence is. {CURE}")
    return (Long if long else Wide)(Layout.of(frame), identity, step)


def is_long(frame: nw.DataFrame) -> bool:
    """Whether this is certain: the names are those that forecasting libraries agree on."""
    return {"unique_id", "ds"} <= set(frame.columns)


def restored(config: dict) -> Form:
    form = Wide if config["wide"] else Long
    layout = Layout.restore(config["layout"])
    assert layout is not None
    return form(layout, config["identity"], config["step"])


# --------------------------------------------------------------------------------------------------- helpers


def first_of(names: tuple[str, ...], columns: list[str]) -> str | None:
    """The column that has the first of the names that any has, in any case."""
    found = {column.lower(): column for column in reversed(columns)}
    return next((found[name] for name in names if name in found), None)


def is_number(series: nw.Series) -> bool:
    return series.dtype.is_numeric() or series.dtype == nw.Boolean or is_empty(series)


def readable(name: str, series: nw.Series) -> np.ndarray:
    """(n,) float64, NaN where a cell is missing."""
    if is_empty(series):
        return np.full(len(series), np.nan)
    if not is_number(series):
        raise ValueError(f"Column {name!r} holds cells of type {series.dtype}, but sequences are made of numbers. Convert it.")
    return numbers_of(series)


def moments(series: nw.Series) -> np.ndarray:
    """Numbers in the order of a column of numbers, dates or texts."""
    if series.dtype.is_numeric():
        return series.to_numpy()
    if isinstance(series.dtype, nw.Date | nw.Datetime):
        return seconds_of(series)
    return np.unique(np.array(series.to_list(), str), return_inverse=True)[1]


def refuse_nulls(name: str, series: nw.Series) -> None:
    absent = series.is_null().to_numpy() | (series.is_nan().to_numpy() if series.dtype.is_float() else False)
    if absent.any():
        raise ValueError(f"Column {name!r} is empty in row {absent.argmax()}. Fill it, or leave the row out.")


def columns_of(cells: list[Cells], library, values: np.ndarray) -> list[nw.Series]:
    """A column for each of (n, columns) numbers; those with gaps hold floats."""
    made = []
    for place, cell in enumerate(cells):
        column = values[:, place]
        if np.isnan(column).any():
            gapped = [None if np.isnan(x) else x for x in column.tolist()]
            made.append(nw.new_series(cell.name, gapped, nw.Float64, backend=library))
        else:
            made.append(nw.from_native(Layout(library.__name__, [cell]).numbers(column[:, None]), eager_only=True)[cell.name])
    return made


def with_columns(given: nw.DataFrame, names: list[str], values: np.ndarray) -> Any:
    """The frame with other numbers in these columns, of the types they have; its index, where it has one, stays."""
    native, index = nw.to_native(given), None
    if hasattr(native, "index"):
        index, native = native.index, native.reset_index(drop=True)
    frame = nw.from_native(native, eager_only=True)
    cells = Layout.of(frame.select(names)).columns
    written = nw.to_native(frame.with_columns(*columns_of(cells, nw.get_native_namespace(frame), values)))
    if index is not None:
        written.index = index
    return written


def shown(names: list[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
