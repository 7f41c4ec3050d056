"""Codes on their way to a file, block by block."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .data.csv_files import needed_pyarrow
from .data.schema import precision_of
from .data.sequences import Named, write_npz
from .data.series import Form
from .data.video import Clips
from .files import NAMES, file_aside, refuse_existing
from .network import each_block, in_blocks

_GATHERED = 2**20  # numbers that are written at once


def write_codes(model, path: Path, X, condition=None, overwrite: bool = False, names: list[str] | None = None) -> None:
    """The codes of `X` as .npy, .npz, .csv or .parquet; see `Autoencoder.encode_to`."""
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", *TABLES):
        raise ValueError(f"{path} ends in {suffix!r}: codes are written as .npy, .npz, .csv or .parquet.")
    refuse_existing(path, overwrite)
    if suffix != ".npz":
        model._refuse_uneven_codes()
    rows = model._rows(X)
    if names is not None and len(names) != len(rows):
        raise ValueError(f"There are {len(rows)} samples, but {len(names)} names: one for each is expected.")
    called = names_of(rows) if names is None else (NAMES, names)
    if suffix == ".npz":  # where every array has a name of its own, which windows of a film have not
        return write_maps(model, path, X, condition, None if called is None or isinstance(rows.values, Clips) else called[1])
    told = model._told(condition, len(rows))
    dtype = precision_of(rows.values)
    with file_aside(path) as file, written(file, suffix, model, len(rows), dtype, called) as write:
        for codes in gathered(model, rows, *told):
            write(codes.to(dtype).numpy())
    return None


def names_of(rows) -> tuple[str, list] | None:
    """The column of the samples' names and these, where the data brought any: of users, sequences, files, or films of windows."""
    values = rows.values
    if rows.names is not None:
        return rows.names.column, rows.names.names
    names = values.window_names if isinstance(values, Clips) else getattr(values, "names", None)
    layout = getattr(values, "layout", None)
    column = layout.identity if isinstance(layout, Form) else NAMES
    return None if names is None or column is None else (column, list(names))  # without a column, names are numbers


def write_maps(model, path: Path, X, condition, names: list[str] | None) -> None:
    """Codes in their natural shape, an array a sample, under its name."""
    codes = Named(model.encode(X, condition), None if names is None else map(str, names))
    if len(set(codes.names)) < len(codes):
        raise ValueError("Two samples have one name, but a .npz file knows every array by its own. Rename them.")
    with file_aside(path) as file:
        write_npz(file, codes)


def gathered(model, *rows) -> Iterator[torch.Tensor]:
    """Codes (some, n_components), in the order of the samples; those of samples that differ in size all at once."""
    if rows[0].groups is not None:
        yield in_blocks(model._code, model.block_, *rows).flatten(1)
        return
    size = model.block_
    buffer = torch.empty(size * max(1, _GATHERED // (size * model.n_components_)), model.n_components_, dtype=model.dtype_)
    count = 0  # what is kept from block to block lies in one place, or memory would be left in crumbs
    for codes in each_block(model._code, size, *rows):
        buffer[count : count + len(codes)] = codes.flatten(1)
        count += len(codes)
        if count == len(buffer):
            yield buffer
            count = 0
    if count:
        yield buffer[:count]


def written(file, suffix: str, model, count: int, dtype: torch.dtype, called: tuple[str, list] | None):
    return array_file(file, model, count, dtype) if suffix == ".npy" else TABLES[suffix](file, model, dtype, called)


@contextmanager
def array_file(file, model, count: int, dtype: torch.dtype):
    """Writes codes behind the head of a .npy file."""
    name = np.dtype(str(dtype).removeprefix("torch."))
    head = {"descr": np.lib.format.dtype_to_descr(name), "fortran_order": False, "shape": (count, model.n_components_)}
    np.lib.format.write_array_header_1_0(file, head)
    yield lambda codes: file.write(np.ascontiguousarray(codes).data)


@contextmanager
def parquet_file(file, model, dtype: torch.dtype, called: tuple[str, list] | None):
    """Writes codes as row groups of a Parquet file, with the names of the samples before them."""
    arrow: Any = needed_pyarrow("Codes as .parquet")
    from pyarrow import parquet

    kind = arrow.float64() if dtype == torch.float64 else arrow.float32()
    first = [] if called is None else [(called[0], arrow.array(called[1]).type)]
    schema = arrow.schema([*first, *((name, kind) for name in model.get_feature_names_out())])
    rest = iter(() if called is None else called[1])

    def write(codes: np.ndarray) -> None:
        columns = [] if called is None else [list(islice(rest, len(codes)))]
        writer.write_table(arrow.table([*columns, *np.ascontiguousarray(codes.T)], schema=schema))

    with parquet.ParquetWriter(file, schema) as writer:
        yield write


@contextmanager
def csv_file(file, model, dtype: torch.dtype, called: tuple[str, list] | None):
    """Writes codes as lines of text below the names of their columns, with the names of the samples before them.

    Numbers are as long as it takes to read them again as they are.
    """
    text = TextIOWrapper(file, "utf-8", newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*([] if called is None else [called[0]]), *model.get_feature_names_out()])
    rest = iter(() if called is None else called[1])

    def write(codes: np.ndarray) -> None:
        numbers = codes.astype(str).tolist()
        table.writerows(numbers if called is None else [[next(rest), *row] for row in numbers])

    try:
        yield write
    finally:
        text.detach()  # which flushes, and leaves the file open


TABLES: dict[str, Any] = {".csv": csv_file, ".parquet": parquet_file}
