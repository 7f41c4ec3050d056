"""Tables as text: numbers are read by numpy, and where there are other cells, all by pandas.

What neither can read is looked through for the place and the cure.
"""

import csv
import gzip
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_csv(path: Path, as_frame: bool | str = False, missing: str | None = None) -> Any:
    """Cells separated by commas, semicolons or tabs, with or without a line of column names; .gz is unpacked on the way.

    An array where all are numbers, else a frame; `as_frame` asks for one, and "named" does where the columns have names. Numbers
    under names are a frame too, where pandas is at hand. `missing` is what stands for a missing cell besides nothing, such as ?.
    """
    with opened(path) as file:
        first, second = file.readline(), file.readline()
    separator = separator_of(second if second.strip() else first)  # names may hold any mark
    head = cells_of(first, separator)
    skip = 0 if any(map(is_number, head)) else 1  # names hold no number; a row with a gap is no such line
    if as_frame is True or (as_frame == "named" and skip):
        return framed(path, separator, skip, missing)
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of a file without numbers; here that is an error
            table = np.loadtxt(path, delimiter=separator, quotechar='"', skiprows=skip, ndmin=2, encoding="utf-8-sig")
    except ValueError as error:
        if not is_text(path):
            raise ValueError(f"{path} is not a table of numbers: {error}. Save it as text in UTF-8.") from error
        return framed(path, separator, skip, missing)
    if not table.size:
        raise ValueError(f"{path} is empty: it holds no rows of numbers. At least one is needed.")
    return named(table, [cell.strip() for cell in head]) if skip else table


def opened(path: Path) -> IO[str]:
    """The file as text, unpacked where it is packed."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return open(path, encoding="utf-8-sig", errors="replace", newline="")


def named(table: np.ndarray, names: list[str]) -> Any:
    """Numbers under their names, where these are names of all columns, and pandas is there to hold them."""
    if len(set(names)) != table.shape[1] or names[0].startswith("#") or not all(names):
        return table
    try:
        import pandas
    except ImportError:
        return table
    return pandas.DataFrame(table, columns=names)


def separator_of(line: str) -> str:
    """The mark that leaves numbers between; else the last one that is there, for a comma may also be a decimal point."""
    marks = [mark for mark in _MARKS if mark in line] or [","]
    return next((mark for mark in marks if all(map(is_number, cells_of(line, mark)))), marks[-1])


def cells_of(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def is_text(path: Path) -> bool:
    content = path.read_bytes()
    try:
        (gzip.decompress(content) if path.suffix.lower() == ".gz" else content).decode("utf-8-sig")
    except (UnicodeDecodeError, OSError, EOFError):
        return False
    return True


def framed(path: Path, separator: str, skip: int, missing: str | None) -> Any:
    """A frame of pandas; columns of dates as ISO 8601 writes them become dates."""
    trouble = first_trouble(path, separator, skip)
    if trouble:
        raise ValueError(f"{path} is not a table: {trouble}")
    pandas = needed_pandas(path)
    frame = pandas.read_csv(
        path,
        sep=separator,
        header=0 if skip else None,
        skipinitialspace=True,
        encoding="utf-8-sig",
        na_values=None if missing is None else [missing],
    )
    frame.columns = [str(name) if skip else f"x{name}" for name in frame.columns]
    for name in frame.columns[[dtype.kind not in "fiub" for dtype in frame.dtypes]]:
        warn_of_mark(path, frame[name], pandas)
        with suppress(ValueError):
            frame[name] = pandas.to_datetime(frame[name], format="ISO8601")
    return frame


def warn_of_mark(path: Path, cells: Any, pandas: Any) -> None:
    """Says where numbers have become categories because one mark, such as ?, stands among them."""
    texts = cells.dropna().astype(str)
    others = texts[pandas.to_numeric(texts, errors="coerce").isna()]
    if others.nunique() == 1 and len(others) < len(texts) / 2:
        mark = others.iloc[0]
        warnings.warn(
            f"{path}: column {cells.name!r} holds numbers and, {len(others):,} times, {mark!r}, so it is read as categories. "
            f"Where that marks a missing cell, say so: missing={mark!r} (--missing {mark!r}).",
            stacklevel=2,
        )


def needed_pandas(path: Path) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{path} holds more than numbers, which needs pandas: pip install 'isthmus[table]'") from error
    return pandas


def needed_pyarrow(what: str) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{what} needs pyarrow: pip install 'isthmus[table]'") from error
    return pyarrow


def first_trouble(path: Path, separator: str, skip: int) -> str | None:
    """The first place that keeps a file from being a table, and the cure."""
    width = 0
    for line, cells in rows_of(path, separator, skip):
        width = width or len(cells)
        if len(cells) != width:
            return (
                f"line {line} has {len(cells)} cell{'s' * (len(cells) != 1)}, but the rows before it have {width} (separated by "
                f"{_MARKS[separator]}). Complete that row, or leave it out."
            )
        for column, cell in enumerate(cells, 1):
            if not is_number(cell) and is_number(cell.replace(",", ".")):
                plain = cell.strip().replace(",", ".")
                return f"line {line}, column {column} holds {cell!r}, with a comma as the decimal point. Write {plain}."
    return None


def rows_of(path: Path, separator: str, skip: int):
    """Line numbers and cells of the rows that numpy reads: without empty lines, and without what follows a #."""
    with opened(path) as file:
        rows = csv.reader((line.partition("#")[0] for line in file), delimiter=separator)
        for cells in rows:
            if rows.line_num > skip and (len(cells) > 1 or "".join(cells).strip()):
                yield rows.line_num, cells


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
