"""Data in, data back: one schema for each kind of data, and the front door that tells the kinds apart."""

from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
from scipy import sparse
from torch import Tensor

from .csv_files import read_csv
from .films import SUFFIXES as FILMS
from .folders import SUFFIXES, MixedPictures, PictureFolder, has_pictures, read_mixed, read_picture
from .frames import frame_of, is_complete, layout_of
from .images import Images
from .interactions import Interactions
from .lazy import Lazy
from .mapped import lazily
from .memory import in_bytes
from .parquet import ParquetArray, ParquetTable, read_parquet, to_blocks
from .schema import Rows, Schema
from .sequences import Named, Sequences
from .sequences import read_npz as read_sequences
from .series import is_long
from .sound import Mel, Sound, Waves, read_sound, wav_files
from .table import Table
from .text import SUFFIXES as TEXT_SUFFIXES
from .text import Sentences, cut, is_text, read_text
from .vectors import Vectors
from .video import FRAMES, Clips, Video, film_files, open_video, save_video

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
    if isinstance(X, Waves):
        return "sound"
    if is_text(X):
        return "text"
    frame = None if isinstance(X, np.ndarray | Tensor | Lazy) else frame_of(X)
    if frame is not None and is_long(frame):
        return "sequences"
    if frame is not None:
        return "vectors" if is_complete(frame) else "table"
    if differ_in_length(X):
        return "sequences"
    if sparse.issparse(X) or not hasattr(X, "shape"):
        axes = getattr(X[0], "ndim", 0) if isinstance(X, list | tuple) and len(X) else 0
        return {2: "images", 3: "images", 4: "video"}.get(axes, "vectors")
    shape, ndim = tuple(X.shape), len(X.shape)
    if ndim <= 2:
        return "vectors"
    whole = str(X.dtype).removeprefix("torch.") in ("uint8", "uint16")
    if (ndim == 3 and whole) or (ndim == 4 and shape[-1] in (1, 3, 4)):
        return "images"
    if ndim == 5:
        return "video"
    raise ValueError(
        f"X has shape {shape} and dtype {X.dtype}, which could be more than one kind of data. Say which: kind='images' for "
        "pictures (n, height, width[, channels]), kind='video' for clips (n, frames, height, width[, channels]), "
        "kind='sequences' for (n, steps, channels), or flatten the samples to (n, columns)."
    )


def differ_in_length(X) -> bool:
    """Whether this is a list of one-dimensional arrays of several lengths."""
    return isinstance(X, list) and all(getattr(x, "ndim", 0) == 1 for x in X) and len({len(x) for x in X}) > 1


def read_path(
    path,
    kind: str = "auto",
    limit: int | None = None,
    *,
    skip_corrupt: bool = False,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Any, list[str] | None]:
    """The data at a path: pictures and sound (with their names), films, arrays, a .csv or .parquet table.

    A .npz file holds a sparse matrix, as scipy saves it, or sequences, an array each; a .txt file a sentence a line, a .jsonl
    file an object a line. A folder of pictures is a lazy array (`PictureFolder`), and so are films (`open_video`). A folder may
    hold .parquet files instead; what of these is larger than `limit` bytes is a lazy array or table; None: half of the free
    memory. `skip_corrupt` leaves out what cannot be read in a folder, with a warning; `frames` and `size` (height, width) are of
    the windows of a film.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Give a folder of pictures, films or sound, a picture, a film, a .wav file, a .npy array, a "
            "sparse matrix or sequences (.npz), a .csv or .parquet table, a .txt or .jsonl file of sentences, or the name of a "
            "data set: digits, mnist, "
            "fashion-mnist, with :train or :test."
        )
    if path.suffix.lower() == ".parquet" or (path.is_dir() and next(path.rglob("*.parquet"), None)):
        whole = kind in ("sequences", "interactions")  # whose samples are spread over rows
        return read_parquet(path, kind, 2**63 if whole else in_bytes("auto") if limit is None else limit), None
    if path.suffix.lower() == ".wav" or (path.is_dir() and is_sound(path, kind)):
        waves = read_sound(path)
        return waves, waves.names
    films = path.suffix.lower() in FILMS if path.is_file() else folder_of_films(path, kind)
    if films:
        return open_video(path, frames or FRAMES, size=size), None
    if path.is_dir():
        return read_folder(path, kind, "skip" if skip_corrupt else "raise")
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return read_picture(path)[None], [path.name]
    if suffix == ".npy":
        return read_npy(path), None
    if suffix == ".npz":
        return (read_sequences if kind == "sequences" or (kind == "auto" and not is_sparse(path)) else read_npz)(path), None
    if suffix == ".csv":
        return read_csv(path, as_frame="named" if kind == "sequences" else kind in ("table", "interactions")), None
    if suffix in TEXT_SUFFIXES:
        return read_text(path), None
    raise ValueError(
        f"{path} ends in {suffix!r}. A folder of pictures, films or sound, a picture, .mp4, .wav, .npy, .npz, .txt, .jsonl, "
        ".csv or .parquet can be read."
    )


def read_folder(path: Path, kind: str, on_error: Literal["raise", "skip"]) -> tuple[Any, list[str]]:
    """The pictures of a folder, and their names; a list where they differ in size, and the kind says that this is meant."""
    try:
        folder = PictureFolder(path, on_error=on_error)
    except MixedPictures as error:
        if kind == "images" and error.in_size:
            return read_mixed(path, on_error)
        raise
    return folder, folder.names


def folder_of_films(folder: Path, kind: str) -> bool:
    """Whether a folder is read for its films; where it holds pictures too, the kind must say."""
    if kind != "auto":
        return kind == "video"
    films = bool(film_files(folder))
    if films and has_pictures(folder):
        raise ValueError(f"{folder} holds pictures and films. Say which to read: kind='images' or kind='video' (--kind).")
    return films


def is_sound(folder: Path, kind: str) -> bool:
    """Whether a folder holds sound: where that is asked for, or where it holds no pictures."""
    if kind != "auto" or not wav_files(folder):
        return kind in ("sound", "mel")
    return not has_pictures(folder) and not film_files(folder)


def is_sparse(path: Path) -> bool:
    """Whether a .npz file may hold a sparse matrix rather than sequences; a damaged one is left to the former's reader."""
    if not is_zipfile(path):
        return True
    with ZipFile(path) as archive:
        return {"format.npy", "shape.npy"} & set(archive.namelist()) != set()


def read_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path} is no .npy array. Save it with numpy.save.")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no .npy array that can be read safely ({error}). Save it with numpy.save.") from error


def read_npz(path: Path) -> Any:
    """A sparse matrix, as scipy.sparse.save_npz writes it, once it is certain that its indices lie within it."""
    try:
        matrix = sparse.load_npz(path)  # which refuses pickled objects
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
        return matrix
    except (ValueError, TypeError, KeyError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(f"{path} holds no sparse matrix ({error}). Save it with scipy.sparse.save_npz.") from error


def as_array(X) -> np.ndarray:
    """A tensor or array as a numpy array on the CPU."""
    return X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
