"""Codes on their way to a file, block by block."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .data.csv_files import needed_pyarrow
from .data.schema import precision_of
from .data.sequences import Named, write_npz
from .files import NAMES, file_aside, refuse_existing
from .network import each_block, in_blocks

_GATHERED = 2**20  # numbers that are written at once


def write_codes(model, path: Path, X, condition=None, overwrite: bool = False, names: list[str] | None = None) -> None:
    """The codes of `X` as .npy, .npz or .parquet; see `Autoencoder.encode_to`."""
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".parquet"):
        raise ValueError(f"{path} ends in {suffix!r}: codes are written as .npy, .npz or .parquet.")
    refuse_existing(path, overwrite)
    if suffix != ".npz":
        model._refuse_uneven_codes()
    rows = model._rows(X)
    if names is not None and len(names) != len(rows):
        raise ValueError(f"There are {len(rows)} samples, but {len(names)} names: one for each is expected.")
    if suffix == ".npz":
        return write_maps(model, path, X, condition, getattr(rows.values, "names", None) if names is None else names)
    told = model._told(condition, len(rows))
    dtype = precision_of(rows.values)
    with file_aside(path) as file, written(file, suffix, model, len(rows), dtype, names) as write:
        for codes in gathered(model, rows, *told):
            write(codes.to(dtype).numpy())
    return None


def write_maps(model, path: Path, X, condition, names: list[str] | None) -> None:
    """Codes in their natural shape, an array a sample, under its name."""
    codes = Named(model.encode(X, condition), names)
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


def written(file, suffix: str, model, count: int, dtype: torch.dtype, names: list[str] | None):
    return array_file(file, model, count, dtype) if suffix == ".npy" else table_file(file, model, dtype, names)


@contextmanager
def array_file(file, model, count: int, dtype: torch.dtype):
    """Writes codes behind the head of a .npy file."""
    name = np.dtype(str(dtype).removeprefix("torch."))
    head = {"descr": np.lib.format.dtype_to_descr(name), "fortran_order": False, "shape": (count, model.n_components_)}
    np.lib.format.write_array_header_1_0(file, head)
    yield lambda codes: file.write(np.ascontiguousarray(codes).data)


@contextmanager
def table_file(file, model, dtype: torch.dtype, names: list[str] | None):
    """Writes codes as row groups of a Parquet file, with the names of the samples before them."""
    arrow: Any = needed_pyarrow("Codes as .parquet")
    from pyarrow import parquet

    kind = arrow.float64() if dtype == torch.float64 else arrow.float32()
    called = [] if names is None else [(NAMES, arrow.string())]
    schema = arrow.schema([*called, *((name, kind) for name in model.get_feature_names_out())])
    rest = iter(names or ())

    def write(codes: np.ndarray) -> None:
        columns = [] if names is None else [list(islice(rest, len(codes)))]
        writer.write_table(arrow.table([*columns, *np.ascontiguousarray(codes.T)], schema=schema))

    with parquet.ParquetWriter(file, schema) as writer:
        yield write
