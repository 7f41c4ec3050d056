"""Parquet data sets, a file or a folder of files, read a few row groups at a time."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from ..files import file_aside, refuse_existing
from .csv_files import needed_pandas, needed_pyarrow
from .damaged import OnError, check_choice, readable
from .frames import Layout, layout_of
from .lazy import Lazy
from .mapped import Cast, is_run

_BATCH = 2**25  # bytes of cells that are converted at once


class ParquetFiles:
    """The row groups of a Parquet file, or of all in a folder (and the folders in it) in the order of their names.

    names : of the columns;   edges : (groups + 1,), the row that each row group begins with, and the number of rows
    on_error : "raise" or "skip"; the latter leaves damaged files out, with a warning, and reads every file once to find them
    """

    def __init__(self, path, on_error: OnError = "raise"):
        needed_pyarrow(str(path))
        check_choice(on_error)
        self.path = Path(path)
        paths = sorted(self.path.rglob("*.parquet")) if self.path.is_dir() else [self.path]

        def named(file: Path) -> str:
            return str(file.relative_to(self.path)) if self.path.is_dir() else file.name

        def head(file: Path) -> Any:
            return read_whole(file, head_of(file)) if on_error == "skip" else head_of(file)

        found = list(readable(".parquet files", self.path, paths, named, head, on_error))
        self.paths, self.heads = [file for file, _ in found], [head for _, head in found]
        every = [(file, group) for file, head in enumerate(self.heads) for group in range(head.num_row_groups)]
        self.groups = [(file, group) for file, group in every if self.heads[file].row_group(group).num_rows]
        counts = [self.heads[file].row_group(group).num_rows for file, group in self.groups]
        self.edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.schema = self.heads[0].schema.to_arrow_schema()
        index = (self.schema.pandas_metadata or {}).get("index_columns", [])
        self.names = [name for name in self.schema.names if name not in index]
        self._refuse_other_columns()
        self._refuse_nested()
        if not len(self):
            raise ValueError(f"{self.path} holds no rows. At least one is needed.")

    def __len__(self) -> int:
        return int(self.edges[-1])

    @property
    def nbytes(self) -> int:
        """Of all cells."""
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Bytes of every row group: as the file says, before packing, or of four bytes a cell, if that is more."""
        noted = (self.heads[file].row_group(group) for file, group in self.groups)
        return [max(group.total_byte_size, group.num_rows * self.width * 4) for group in noted]

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def are_numbers(self) -> bool:
        """Whether all columns are of numbers, and no cell is known to be missing."""
        return all(is_number(self.schema.field(name).type) for name in self.names) and not self._misses_some()

    def group(self, place: int) -> Any:
        """One row group, as a table of pyarrow."""
        file, group = self.groups[place]
        return self._read(file, lambda: self._open(file).read_row_group(group, self.names, use_threads=False))

    def layout(self) -> Layout | None:
        """That of the frame that the whole would be read as."""
        first = next(self.batches()).slice(0, 1000)
        return layout_of(first.to_pandas())

    def batches(self) -> Iterator[Any]:
        """All rows from front to back, a few at a time, however large the row groups are; tables of pyarrow."""
        import pyarrow

        count = max(1, _BATCH // (8 * self.width))
        for place in range(len(self.paths)):
            batches = self._open(place).iter_batches(count, columns=self.names, use_threads=False)
            while (batch := self._read(place, lambda batches=batches: next(batches, None))) is not None:  # type: ignore[misc]
                if batch.num_rows:
                    yield pyarrow.Table.from_batches([batch])

    def _open(self, place: int) -> Any:
        """One file, with its head, which need not be read again; many open at once would be more than a process may have."""
        from pyarrow import parquet

        return parquet.ParquetFile(self.paths[place], metadata=self.heads[place], pre_buffer=False)

    def _read(self, file: int, read) -> Any:
        return undamaged(self.paths[file], read)

    def _misses_some(self) -> bool:
        """Whether the files note missing cells."""
        for file, group in self.groups:
            noted = self.heads[file].row_group(group)
            for place in range(noted.num_columns):
                found = noted.column(place).statistics
                if found is not None and found.has_null_count and found.null_count:
                    return True
        return False

    def _refuse_other_columns(self) -> None:
        for path, head in zip(self.paths, self.heads, strict=True):
            own = head.schema.to_arrow_schema()
            if not own.equals(self.schema):
                first, other = (set(zip(s.names, map(str, s.types), strict=True)) for s in (self.schema, own))
                differ = ", ".join(f"{name!r} of {kind}" for name, kind in sorted(first ^ other)[:5]) or "their order"
                raise ValueError(
                    f"{path} has other columns than {self.paths[0]}: they differ in {differ}. Write all files of a data set with "
                    "the same columns and types."
                )

    def _refuse_nested(self) -> None:
        from pyarrow import types

        nested = [name for name in self.names if types.is_nested(self.schema.field(name).type)]
        if nested:
            kinds = ", ".join(f"{name!r} ({self.schema.field(name).type})" for name in nested[:5])
            raise ValueError(
                f"{self.path} has nested columns: {kinds}. A cell must be one number, text, truth value or date: spread them "
                "over columns of their own, or leave them out."
            )
        if not self.names:
            raise ValueError(f"{self.path} has no columns. At least one is needed.")


class Grouped(Lazy):
    """What is read row group by row group: the last one that was converted is kept."""

    def __init__(self, edges: np.ndarray):
        self.edges = edges
        self.last: tuple[int, np.ndarray] | None = None

    def converted(self, place: int) -> np.ndarray:
        """(rows, ...): one row group as an array."""
        raise NotImplementedError

    def group(self, place: int) -> np.ndarray:
        last = self.last
        if last is None or last[0] != place:
            self.last = None  # before the next is made
            self.last = last = (place, self.converted(place))
        return last[1]

    def let_go(self):
        self.last = None

    def fill(self, start: int, stop: int, out: np.ndarray) -> None:
        """The samples from `start` to `stop`, written into `out`; whole row groups on their way to a window are not kept."""
        first = int(np.searchsorted(self.edges, start))
        if self.edges[first : first + 2].tolist() == [start, stop]:
            out[:] = self.converted(first)
        else:
            out[:] = self[start:stop]

    def read(self, places):
        out = np.empty((len(places), *self.shape[1:]), self.dtype)
        group = np.searchsorted(self.edges, places, side="right") - 1
        for one in np.unique(group).tolist():
            wanted = np.flatnonzero(group == one)
            within = places[wanted] - self.edges[one]
            if is_run(wanted) and is_run(within):
                out[wanted[0] : wanted[-1] + 1] = self.group(one)[within[0] : within[-1] + 1]
            else:
                out[wanted] = self.group(one)[within]
        return out


class ParquetArray(Grouped):
    """The numbers of a Parquet data set, as a lazy array (n_samples, n_features); missing cells are NaN.

    path : of a file, or of a folder of files with the same columns

    >>> import pandas as pd
    >>> pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}).to_parquet(folder / "two.parquet")
    >>> ParquetArray(folder / "two.parquet")[:]
    array([[1., 3.],
           [2., 4.]])
    """

    def __init__(self, path):
        files = path if isinstance(path, ParquetFiles) else ParquetFiles(path)
        super().__init__(files.edges)
        self.files, self.shape, self.dtype = files, (len(files), files.width), dtype_of(files)
        self.layout = files.layout()

    def converted(self, place):
        numbers = numbers_of(self.files.group(place), self.dtype)
        release()
        return numbers

    def astype(self, dtype) -> Lazy:
        return Cast(self, dtype)


class ParquetTable:
    """A Parquet data set as a table that is read one row group at a time."""

    kind = "table"

    def __init__(self, path):
        self.files = path if isinstance(path, ParquetFiles) else ParquetFiles(path)
        self.columns, self.edges, self.layout = self.files.names, self.files.edges, self.files.layout()
        self.shape = (len(self.files), len(self.columns))

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, place: int) -> nw.DataFrame:
        return nw.from_native(plain(self.files.group(place)), eager_only=True)

    def whole(self) -> nw.DataFrame:
        """All rows in memory, as a frame of pandas."""
        import pyarrow

        groups = range(len(self.files.groups))
        return nw.from_native(pyarrow.concat_tables([self.files.group(g) for g in groups]).to_pandas(), eager_only=True)


def read_parquet(path, kind: str, limit: int, on_error: OnError = "raise") -> Any:
    """A Parquet data set: a frame of pandas, or, of more than `limit` bytes, a lazy array or table by what its columns hold."""
    files = ParquetFiles(path, on_error)
    if files.nbytes <= limit:
        needed_pandas(Path(path))
        return ParquetTable(files).whole().to_native()
    if max(files.sizes) > max(limit // 4, 1):
        largest = int(np.argmax(files.sizes))
        raise ValueError(
            f"{files.paths[files.groups[largest][0]]} has a row group of {files.sizes[largest] / 1e6:,.3g} MB, but of data that "
            f"take more than memory_limit, {limit / 1e6:,.3g} MB, a quarter of that is read at a time. Write smaller row groups "
            "(row_group_size=10_000), raise memory_limit, or convert numbers once: isthmus convert data.parquet -o data.npy."
        )
    if kind == "vectors":
        refuse_other_cells(files, "Leave such columns out, or read them as a table: kind='table' (--kind table).")
    return ParquetArray(files) if kind == "vectors" or (kind != "table" and files.are_numbers) else ParquetTable(files)


def to_blocks(path, target, overwrite: bool = False) -> tuple[int, int]:
    """Writes the numbers of a Parquet data set as one raw array, which is read several times as fast; returns its shape.

    Reads a few rows at a time, however large the row groups are.

    Parameters
    ----------
    path : of a Parquet file, or of a folder of files with the same columns, all of numbers
    target : the .npy file to write; it is there as a whole or not at all
    overwrite : bool, default False; whether a file that is there is replaced

    >>> import pandas as pd
    >>> pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}).to_parquet(folder / "two.parquet")
    >>> to_blocks(folder / "two.parquet", folder / "two.npy")
    (2, 2)
    """
    target = Path(target)
    if target.suffix.lower() != ".npy":
        raise ValueError(f"{target} ends in {target.suffix!r}: a file that ends in .npy is expected.")
    refuse_existing(target, overwrite)
    files = ParquetFiles(path)
    refuse_other_cells(files, "Leave such columns out, or fit to the Parquet itself.")
    shape, dtype = (len(files), files.width), dtype_of(files)
    with file_aside(target) as file:
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for part in files.batches():
            file.write(numbers_of(part, dtype).data)
    return shape


# --------------------------------------------------------------------------------------------------- helpers


def head_of(file: Path) -> Any:
    """What a file says of itself: columns, row groups and statistics."""
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_metadata(file)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} is no Parquet file that can be read ({error}). Write it anew.") from error


def read_whole(file: Path, head) -> Any:
    """The head of a file, once it is certain that all its cells can be read."""
    from pyarrow import parquet

    opened = parquet.ParquetFile(file, metadata=head, pre_buffer=False)
    for group in range(head.num_row_groups):
        undamaged(file, partial(opened.read_row_group, group, use_threads=False))
    return head


def undamaged(file: Path, read: Callable[[], Any]) -> Any:
    """What `read` gives of the file; damage is told with the file's name."""
    import pyarrow

    try:
        return read()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} is damaged or was cut short ({error}). Write it anew.") from error


def refuse_other_cells(files: ParquetFiles, cure: str) -> None:
    others = [name for name in files.names if not is_number(files.schema.field(name).type)]
    if others:
        kinds = ", ".join(f"{name!r} ({files.schema.field(name).type})" for name in others[:5])
        raise ValueError(f"{files.path} holds more than numbers: {kinds}. {cure}")


def is_number(kind) -> bool:
    """Whether cells of this type of pyarrow's are numbers."""
    from pyarrow import types

    return types.is_integer(kind) or types.is_floating(kind)


def release() -> None:
    """Gives back what pyarrow keeps for tables to come, which would count against the bound on memory."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()


def dtype_of(files: ParquetFiles) -> np.dtype:
    """The type that holds all columns: float32 or float64, or uint8 where all are that."""
    found = np.result_type(*(files.schema.field(name).type.to_pandas_dtype() for name in files.names))
    return found if found in (np.float32, np.float64, np.uint8) else np.dtype(np.float64)


def numbers_of(table, dtype: np.dtype) -> np.ndarray:
    """(rows, columns) of a table of pyarrow, NaN where a cell is missing."""
    out = np.empty((table.num_rows, table.num_columns), dtype)
    start = 0
    for batch in table.to_batches():
        tensor = batch.to_tensor(null_to_nan=True, row_major=True) if batch.num_rows else None
        if tensor is not None:
            out[start : start + batch.num_rows] = tensor.to_numpy()
        start += batch.num_rows
    return out


def plain(table) -> Any:
    """The table with its dictionaries as what they stand for: each row group has other ones."""
    from pyarrow import types

    for place, field in enumerate(table.schema):
        if types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table
