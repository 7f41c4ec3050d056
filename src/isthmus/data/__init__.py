"""Data in, data back: one schema for each kind of data, and the front door that tells the kinds apart."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor

from .csv_files import read_csv
from .frames import frame_of, is_complete, layout_of
from .images import SUFFIXES, Images, read_folder, read_picture
from .lazy import Lazy
from .mapped import lazily
from .memory import in_bytes
from .parquet import ParquetArray, ParquetTable, read_parquet, to_blocks
from .schema import Rows, Schema
from .sequences import Sequences
from .table import Table
from .vectors import Vectors

KINDS: dict[str, type[Schema]] = {"vectors": Vectors, "table": Table, "images": Images, "sequences": Sequences}

__all__ = [
    "KINDS", "Images", "ParquetArray", "ParquetTable", "Rows", "Schema", "Sequences", "Table", "Vectors", "kind_of", "layout_of",
    "open_data", "read_path", "to_blocks",
]  # fmt: skip


def open_data(X, kind: str = "auto", limit: int | None = None):
    """`X` ready to be checked, and the kind it is: a path is read, a kind that is not given is guessed where certain.

    What is mapped and larger than `limit` bytes becomes a lazy array; None: half of the free memory.
    """
    if kind != "auto" and kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known. Choose one of {', '.join(map(repr, KINDS))}, or 'auto'.")
    if isinstance(X, str | Path):
        X = read_path(X, kind, limit)[0]
    X = lazily(X, in_bytes("auto") if limit is None else limit)
    return X, kind_of(X) if kind == "auto" else kind


def kind_of(X) -> str:
    """The kind of data that `X` is; asks where there is more than one answer."""
    frame = None if isinstance(X, np.ndarray | Tensor | Lazy | ParquetTable) else frame_of(X)
    if frame is not None:
        return "vectors" if is_complete(frame) else "table"
    if sparse.issparse(X) or not hasattr(X, "shape"):
        return "images" if isinstance(X, list | tuple) and len(X) and getattr(X[0], "ndim", 0) in (2, 3) else "vectors"
    shape, ndim = tuple(X.shape), len(X.shape)
    if isinstance(X, ParquetTable):
        return "table"
    if ndim <= 2:
        return "vectors"
    whole = str(X.dtype).removeprefix("torch.") in ("uint8", "uint16")
    if (ndim == 3 and whole) or (ndim == 4 and shape[-1] in (1, 3, 4)):
        return "images"
    raise ValueError(
        f"X has shape {shape} and dtype {X.dtype}, which could be more than one kind of data. Say which: kind='images' for "
        "pictures (n, height, width[, channels]), kind='sequences' for (n, steps, channels), or flatten the samples to (n, "
        "columns)."
    )


def read_path(path, kind: str = "auto", limit: int | None = None) -> tuple[Any, list[str] | None]:
    """The data at a path: a folder of pictures or one picture (with the names), a .npy array, a .csv or .parquet table.

    A folder may hold .parquet files instead. What of them is larger than `limit` bytes is a lazy array or table; None: half of
    the free memory.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Give a folder of pictures, a picture, a .npy array, a .csv or .parquet table, or the "
            "name of a data set: digits, mnist, fashion-mnist, with :train or :test."
        )
    if path.suffix.lower() == ".parquet" or (path.is_dir() and next(path.rglob("*.parquet"), None)):
        return read_parquet(path, kind, in_bytes("auto") if limit is None else limit), None
    if path.is_dir():
        return read_folder(path)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return read_picture(path)[None], [path.name]
    if suffix == ".npy":
        return read_npy(path), None
    if suffix == ".csv":
        return read_csv(path, as_frame=kind == "table"), None
    raise ValueError(f"{path} ends in {suffix!r}. A folder of pictures, a picture, .npy, .csv or .parquet can be read.")


def read_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path} is no .npy array. Save it with numpy.save.")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no .npy array that can be read safely ({error}). Save it with numpy.save.") from error


def as_array(X) -> np.ndarray:
    """A tensor or array as a numpy array on the CPU."""
    return X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
