"""Data in, data back: one schema for each kind of data, and the front door that tells the kinds apart."""

from numbers import Real
from pathlib import Path

import numpy as np
from scipy import sparse
from torch import Tensor

from .folders import PictureFolder
from .frames import frame_of, is_complete, layout_of
from .images import Images
from .interactions import Interactions
from .lazy import Lazy
from .mapped import lazily
from .memory import in_bytes
from .parquet import ParquetArray, ParquetTable, to_blocks
from .reading import read_path
from .schema import Rows, Schema
from .sequences import Named, Sequences
from .series import is_long
from .sound import Mel, Sound, Waves, read_sound
from .table import Table
from .text import Sentences, cut, is_text
from .vectors import Vectors
from .video import Clips, Video, open_video, save_video

KINDS: dict[str, type[Schema]] = {
    "vectors": Vectors, "table": Table, "images": Images, "video": Video, "sequences": Sequences, "sound": Sound, "mel": Mel,
    "interactions": Interactions, "text": Sentences,
}  # fmt: skip

__all__ = [
    "KINDS", "Clips", "Images", "Interactions", "Mel", "Named", "ParquetArray", "ParquetTable", "PictureFolder", "Rows", "Schema",
    "Sentences", "Sequences", "Sound", "Table", "Vectors", "Video", "Waves", "cut", "kind_of", "layout_of", "open_data",
    "open_video", "read_path", "read_sound", "save_video", "to_blocks",
]  # fmt: skip


def open_data(X, kind: str = "auto", limit: int | None = None, **reading):
    """`X` ready to be checked, and the kind it is: a path is read, a kind that is not given is guessed where certain.

    What is mapped and larger than `limit` bytes becomes a lazy array; None: half of the free memory. `reading` says how
    `read_path` reads it.
    """
    if kind != "auto" and kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known. Choose one of {', '.join(map(repr, KINDS))}, or 'auto'.")
    if isinstance(X, str | Path):
        if kind == "text" and not Path(X).suffix and not Path(X).expanduser().exists():
            Sentences.check(X)  # which says how one sentence is passed
        X = read_path(X, kind, limit, **reading)[0]
    X = lazily(X, in_bytes("auto") if limit is None else limit)
    return X, kind_of(X) if kind == "auto" else kind


def kind_of(X) -> str:
    """The kind of data that `X` is; asks where there is more than one answer."""
    if isinstance(X, Lazy | ParquetTable) and X.kind:
        return X.kind
    if isinstance(X, Named):
        return "sound" if isinstance(X, Waves) else "sequences"
    if is_text(X):
        refuse_paths(X)
        return "text"
    if isinstance(X, list | tuple) and any(isinstance(one, str) for one in X):
        Sentences.check(X)  # which names the first that is no text
    if isinstance(X, list | tuple) and X and all(hasattr(one, "getbands") for one in X):  # pictures of Pillow
        return "images"
    frame = None if isinstance(X, np.ndarray | Tensor | Lazy) else frame_of(X)
    if frame is not None and is_long(frame):
        return "sequences"
    if frame is not None:
        return "vectors" if is_complete(frame) else "table"
    if differ_in_length(X):
        return "sequences"
    if sparse.issparse(X) or not hasattr(X, "shape"):
        axes = getattr(X[0], "ndim", 0) if isinstance(X, list | tuple) and len(X) else 0
        if axes == 2 and not is_bytes(X[0]):
            raise ValueError(
                f"X is a list of arrays of two axes and dtype {X[0].dtype}, which could be more than one kind of data. Say "
                "which: kind='images' for pictures (height, width), kind='sequences' for (steps, channels)."
            )
        return {2: "images", 3: "images", 4: "video"}.get(axes, "vectors")
    shape, ndim = tuple(X.shape), len(X.shape)
    if ndim <= 2:
        return "vectors"
    if (ndim == 3 and is_bytes(X)) or (ndim == 4 and shape[-1] in (1, 3, 4)):
        return "images"
    if ndim == 5:
        return "video"
    raise ValueError(
        f"X has shape {shape} and dtype {X.dtype}, which could be more than one kind of data. Say which: kind='images' for "
        "pictures (n, height, width[, channels]), kind='video' for clips (n, frames, height, width[, channels]), "
        "kind='sequences' for (n, steps, channels), or flatten the samples to (n, columns)."
    )


def refuse_paths(X) -> None:
    """Refuses paths that are given one by one, which would be read as sentences."""
    first = str(next(iter(X)))
    if Path(first).suffix and len(first) < 1000 and Path(first).is_file():
        raise ValueError(
            f"X is a list of texts, of which the first, {first!r}, is a file. Give the folder that holds the files, or read "
            "each: isthmus.data.read_path. Where the paths themselves are the sentences, say kind='text'."
        )


def is_bytes(X) -> bool:
    """Whether these are whole numbers as pictures have them."""
    return str(X.dtype).removeprefix("torch.") in ("uint8", "uint16")


def differ_in_length(X) -> bool:
    """Whether this is a list of one-dimensional arrays, or lists of numbers, of several lengths."""
    return isinstance(X, list) and all(map(is_series, X)) and len({len(x) for x in X}) > 1


def is_series(x) -> bool:
    return all(isinstance(value, Real) for value in x) if isinstance(x, list | tuple) else getattr(x, "ndim", 0) == 1


def as_array(X) -> np.ndarray:
    """A tensor or array as a numpy array on the CPU."""
    return X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
