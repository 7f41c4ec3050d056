"""Tables of numbers as text: read by numpy, and where that fails, looked through for the place and the cure."""

import csv
import warnings
from pathlib import Path

import numpy as np

_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_csv(path: Path) -> np.ndarray:
    """Numbers separated by commas, semicolons or tabs, with or without a line of column names."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        first, second = file.readline(), file.readline()
    separator = separator_of(second if second.strip() else first)  # names may hold any mark
    skip = 0 if any(map(is_number, cells_of(first, separator))) else 1  # names hold no number; a row with a gap is no such line
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of a file without numbers; here that is an error
            table = np.loadtxt(path, delimiter=separator, quotechar='"', skiprows=skip, ndmin=2, encoding="utf-8-sig")
    except ValueError as error:
        trouble = first_trouble(path, separator, skip) or f"{error}. Save it as text in UTF-8, with numbers alone."
        raise ValueError(f"{path} is not a table of numbers: {trouble}") from error
    if not table.size:
        raise ValueError(f"{path} is empty: it holds no rows of numbers. At least one is needed.")
    return table


def separator_of(line: str) -> str:
    """The mark that leaves numbers between; else the last one that is there, for a comma may also be a decimal point."""
    marks = [mark for mark in _MARKS if mark in line] or [","]
    return next((mark for mark in marks if all(map(is_number, cells_of(line, mark)))), marks[-1])


def cells_of(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def first_trouble(path: Path, separator: str, skip: int) -> str | None:
    """The first place that keeps a file from being a table of numbers, and the cure."""
    width = 0
    for line, cells in rows_of(path, separator, skip):
        width = width or len(cells)
        if len(cells) != width:
            return (
                f"line {line} has {len(cells)} cell{'s' * (len(cells) != 1)}, but the rows before it have {width} (separated by "
                f"{_MARKS[separator]}). Complete that row, or leave it out."
            )
        for column, cell in enumerate(cells, 1):
            if not is_number(cell):
                return f"line {line}, column {column} {no_number(cell)}"
    return None


def rows_of(path: Path, separator: str, skip: int):
    """Line numbers and cells of the rows that numpy reads: without empty lines, and without what follows a #."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader((line.partition("#")[0] for line in file), delimiter=separator)
        for cells in rows:
            if rows.line_num > skip and (len(cells) > 1 or "".join(cells).strip()):
                yield rows.line_num, cells


def no_number(cell: str) -> str:
    """What a cell holds instead of a number, and the cure."""
    if not cell.strip():
        return "is empty. Fill in a number, or leave that row or column out."
    if is_number(cell.replace(",", ".")):
        return f"holds {cell!r}, with a comma as the decimal point. Write {cell.strip().replace(',', '.')}."
    return f"holds {cell[:40]!r}. Remove or encode the columns of text first."


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
