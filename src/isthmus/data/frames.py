"""Frames in, frames back: what narwhals reads (pandas, polars, pyarrow), with the same columns and types on the way out."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from types import ModuleType
from typing import Any, BinaryIO

import narwhals as nw
import numpy as np

_TYPES = (
    "Boolean", "Categorical", "Date", "Datetime", "Enum", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "String",
    "UInt8", "UInt16", "UInt32", "UInt64",
)  # fmt: skip


def frame_of(X) -> nw.DataFrame | None:
    """`X` as narwhals sees it, if it is a frame in memory; a lazy one is refused."""
    seen = nw.from_native(X, pass_through=True)
    if isinstance(seen, nw.LazyFrame):
        raise TypeError(f"X is a lazy frame ({type(X).__module__}), whose rows are not there yet. Pass X.collect().")
    return seen if isinstance(seen, nw.DataFrame) else None


def is_complete(frame: nw.DataFrame) -> bool:
    """Whether all cells are numbers, and there: such a frame is read as its array is."""
    if not all(series.dtype.is_numeric() for series in frame.iter_columns()):
        return False
    return not any(series.is_null().any() or is_nan(series) for series in frame.iter_columns())


def is_nan(series: nw.Series) -> bool:
    return series.dtype.is_float() and bool(series.is_nan().any())


@dataclass
class Cells:
    """The name of a column and the type of its cells: narwhals' type with its arguments, and the library's own name for it."""

    name: str
    dtype: str
    arguments: dict[str, Any]
    native: str

    @classmethod
    def of(cls, series: nw.Series) -> "Cells":
        dtype = series.dtype
        name = type(dtype).__name__
        if name not in _TYPES:
            raise ValueError(
                f"Column {series.name!r} has cells of type {dtype}, which cannot be given back as they came. Convert it, such as "
                "to Float32 or String, or leave it out."
            )
        arguments: dict[str, Any] = {}
        if isinstance(dtype, nw.Datetime):
            arguments = {"time_unit": dtype.time_unit, "time_zone": dtype.time_zone}
        elif isinstance(dtype, nw.Enum):
            arguments = {"categories": list(dtype.categories)}
        native: Any = nw.to_native(series)
        return cls(series.name, name, arguments, str(getattr(native, "dtype", None) or native.type))

    def build(self) -> Any:
        """The type; only the names above are known, for this may come from a file."""
        if self.dtype not in _TYPES:
            raise ValueError(f"Column {self.name!r} has the type {self.dtype}, which cannot be made again.")
        return getattr(nw, self.dtype)(**self.arguments)


@dataclass
class Layout:
    """The library and the columns of a frame.

    labels : of columns that are not named by texts, as pandas may have them: whole numbers, or several names for each
    """

    library: str
    columns: list[Cells]
    labels: list | None = None

    @classmethod
    def of(cls, frame: nw.DataFrame, labels: list | None = None) -> "Layout":
        return cls(nw.get_native_namespace(frame).__name__, [Cells.of(series) for series in frame.iter_columns()], labels)

    @classmethod
    def restore(cls, config: dict | None) -> "Layout | None":
        if config is None:
            return None
        return cls(config["library"], [Cells(**cells) for cells in config["columns"]], config.get("labels"))

    def config(self) -> dict:
        return asdict(self)

    def frame(self, values: Mapping[str, Any], like=None) -> Any:
        """A frame of the library, from the cells of each column by name; whole numbers are rounded.

        It has the index of `like` where that has one of its length.
        """
        library = imported(self.library)
        series = [self._series(cells, rounded(values[cells.name], cells), library) for cells in self.columns]
        frame = series[0].to_frame().with_columns(*series[1:]).to_native()
        if self.library == "pandas":
            frame = frame.astype({cells.name: cells.native for cells in self.columns if cells.dtype != "Enum"})
            if self.labels is not None:
                frame.columns = labelled(self.labels, library)
            index = getattr(like, "index", None)
            frame.index = frame.index if index is None or len(index) != len(frame) else index
        return recast(frame, self.columns, library) if self.library == "pyarrow" else frame

    def _series(self, cells: Cells, values, library: ModuleType) -> nw.Series:
        dtype = cells.build()
        if not isinstance(dtype, nw.Datetime) or dtype.time_zone is None:
            return nw.new_series(cells.name, values, dtype, backend=library)
        naive = nw.new_series(cells.name, values, nw.Datetime(dtype.time_unit), backend=library)
        return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)

    def numbers(self, values: np.ndarray, like=None) -> Any:
        """A frame from (n, columns) numbers."""
        return self.frame({cells.name: values[:, place] for place, cells in enumerate(self.columns)}, like)


def recast(table, columns: list[Cells], library: Any):
    """A pyarrow table with the columns' own types: it has several for one of narwhals'. Types without a short name stay."""
    for place, cells in enumerate(columns):
        wanted = arrow_type(cells.native, library)
        if wanted is not None:
            table = table.set_column(place, cells.name, table.column(place).cast(wanted))
    return table


def arrow_type(native: str, library: Any) -> Any:
    """The type of pyarrow that is written so, one of a dictionary too; None for those without a short name."""
    dictionary = re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=(\d)>", native)
    try:
        if dictionary is None:
            return library.type_for_alias(native)
        values, indices, ordered = dictionary.groups()
        return library.dictionary(library.type_for_alias(indices), library.type_for_alias(values), ordered == "1")
    except ValueError:
        return None


def layout_of(X) -> Layout | None:
    """That of a frame; None for anything else, and where columns are labelled by what no file can hold."""
    if isinstance(getattr(X, "layout", None), Layout):  # a data set in files, which knows it
        return X.layout
    frame = X if isinstance(X, nw.DataFrame) else frame_of(X)
    if frame is None:
        return None
    if all(isinstance(name, str) for name in frame.columns):
        return Layout.of(frame)
    native: Any = nw.to_native(frame)
    labels = [stored(label) for label in native.columns]
    if None in labels:
        return None
    native = native.set_axis([str(place) for place in range(len(labels))], axis=1)
    return Layout.of(nw.from_native(native, eager_only=True), labels)


def stored(label) -> Any:
    """The label of a column as JSON can hold it: a text, a whole number, or a list of them; None for others."""
    if isinstance(label, tuple):
        parts = [stored(part) for part in label]
        return None if None in parts else parts
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, str | int) and not isinstance(label, bool) else None


def labelled(labels: list, pandas: Any) -> Any:
    if all(isinstance(label, list) for label in labels):
        return pandas.MultiIndex.from_tuples([tuple(label) for label in labels])
    return pandas.RangeIndex(len(labels)) if labels == list(range(len(labels))) else labels


def rounded(values: Any, cells: Cells) -> Any:
    """The nearest that the column's type can hold, where its cells are whole numbers; other cells as they are."""
    if not cells.dtype.lstrip("U").startswith("Int"):
        return values
    limits = np.iinfo(cells.dtype.lower())
    return np.clip(np.round(values), limits.min, limits.max).astype(cells.dtype.lower())


def imported(library: str) -> ModuleType:
    if library not in ("pandas", "polars", "pyarrow"):
        raise ValueError(f"The model was fitted to a frame of {library!r}, which is not known. Use pandas, polars or pyarrow.")
    try:
        return __import__(library)
    except ImportError as error:
        raise ImportError(f"This model gives frames of {library}, which is not there: pip install {library}") from error


def write_frame(file: BinaryIO, frame: Any, ending: str) -> None:
    """A frame into an open file, as .csv or .parquet."""
    table = nw.from_native(frame, eager_only=True)
    if ending == ".csv":
        file.write(table.write_csv().encode())
        return
    content = BytesIO()  # the libraries close the file that they write to
    table.write_parquet(content)
    file.write(content.getvalue())
