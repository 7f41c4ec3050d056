"""What lies at a path: the kinds of files and folders that can be read, one reader for each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
from scipy import sparse

from .csv_files import read_csv
from .damaged import OnError
from .films import SUFFIXES as FILMS
from .folders import SUFFIXES as PICTURES
from .folders import MixedPictures, PictureFolder, has_pictures, read_mixed, read_picture
from .lazy import MEMORY
from .memory import in_bytes
from .parquet import read_parquet
from .sequences import read_npz as read_sequences
from .sound import read_sound, wav_files
from .text import SUFFIXES as TEXTS
from .text import read_text, text_files
from .video import FRAMES, film_files, open_video

Found = tuple[Any, list[str] | None]  # data, and the names of its samples where files have any


@dataclass(frozen=True)
class Options:
    """How it is to be read; see `read_path`."""

    kind: str = "auto"
    limit: int | None = None
    skip_corrupt: bool = False
    frames: int | None = None
    size: tuple[int, int] | None = None
    missing: str | None = None

    @property
    def room(self) -> int:
        """Bytes that the data may take."""
        return in_bytes("auto") if self.limit is None else self.limit

    @property
    def on_error(self) -> OnError:
        return "skip" if self.skip_corrupt else "raise"

    @property
    def kept(self) -> int:
        """Bytes of decoded pixels that are kept: two windows of samples take half of the room while training."""
        return min(MEMORY, self.room // 4)


def read_path(
    path,
    kind: str = "auto",
    limit: int | None = None,
    *,
    skip_corrupt: bool = False,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    missing: str | None = None,
) -> Found:
    """The data at a path: pictures and sound (with their names), films, arrays, a .csv, .tsv or .parquet table.

    Tables of text may be packed (.csv.gz). A .npz file holds a sparse matrix, as scipy saves it, or sequences, an array each;
    a .txt file a sentence a line, a .jsonl file an object a line. A folder of pictures is a lazy array (`PictureFolder`), and
    so are films (`open_video`). A folder may hold .parquet files instead; what of these is larger than `limit` bytes is a lazy
    array or table; None: half of the free memory. Of decoded pictures and films a quarter of it is kept, 1 GiB at most.
    `skip_corrupt` leaves out what cannot be read, with a warning that names it: pictures, films, sounds and .parquet files of a
    folder, lines of text; `frames` and `size` (height, width) are of the windows of a film; `missing` is what stands for a
    missing cell in tables of text, besides nothing at all.
    """
    path, options = Path(path).expanduser(), Options(kind, limit, skip_corrupt, frames, size, missing)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Give {READABLE}, or the name of a data set: digits, mnist, fashion-mnist, with :train or "
            ":test."
        )
    if path.is_dir():
        return folder_reader(path, options)(path, options)
    packed = path.suffix.lower() == ".gz"
    ending = (path.with_suffix("") if packed else path).suffix.lower()
    if ending not in (TEXT_TABLES if packed else READERS):
        raise ValueError(f"{path} ends in {(ending + '.gz') if packed else path.suffix!r}. What can be read: {READABLE}.")
    return READERS[ending](path, options)


# -------------------------------------------------------------------------------------------------------- files


def picture(path: Path, options: Options) -> Found:
    return read_picture(path)[None], [path.name]


def film(path: Path, options: Options) -> Found:
    return open_video(path, options.frames or FRAMES, size=options.size, memory=options.kept, on_error=options.on_error), None


def sound(path: Path, options: Options) -> Found:
    waves = read_sound(path, on_error=options.on_error)
    return waves, waves.names


def npy(path: Path, options: Options) -> Found:
    return read_npy(path), None


def npz(path: Path, options: Options) -> Found:
    sequences = options.kind == "sequences" or (options.kind == "auto" and not is_sparse(path))
    return (read_sequences if sequences else read_npz)(path), None


def csv(path: Path, options: Options) -> Found:
    named = options.kind == "sequences"
    return read_csv(path, "named" if named else options.kind in ("table", "interactions"), options.missing), None


def parquet(path: Path, options: Options) -> Found:
    """One file, or a folder of them; whole where a sample is spread over several rows."""
    whole = options.kind in ("sequences", "interactions")
    return read_parquet(path, options.kind, 2**63 if whole else options.room, options.on_error), None


def text(path: Path, options: Options) -> Found:
    return read_text(path, options.on_error), None


TEXT_TABLES = (".csv", ".tsv")  # packed with gzip too
READERS: dict[str, Callable[[Path, Options], Found]] = {
    **dict.fromkeys(PICTURES, picture), **dict.fromkeys(FILMS, film), **dict.fromkeys(TEXTS, text),
    ".wav": sound, ".npy": npy, ".npz": npz, ".parquet": parquet, **dict.fromkeys(TEXT_TABLES, csv),
}  # fmt: skip
READABLE = (
    "a folder of pictures, films, sound, text or .parquet files, a picture, a film, a .wav file, a .npy array, a sparse matrix "
    "or sequences (.npz), a .csv, .tsv or .parquet table (.csv.gz too), or sentences (.txt, .jsonl)"
)


# ------------------------------------------------------------------------------------------------------ folders


def folder_reader(folder: Path, options: Options) -> Callable[[Path, Options], Found]:
    """What reads a folder, by the files in it and the kind that is asked for."""
    if next(folder.rglob("*.parquet"), None):
        return parquet
    if is_sound(folder, options.kind):
        return sound
    if is_of_text(folder, options.kind):
        return text
    return film if is_of_films(folder, options.kind) else pictures


def pictures(folder: Path, options: Options) -> Found:
    """A list where they differ in size, and the kind says that this is meant."""
    try:
        found = PictureFolder(folder, memory=options.kept, on_error=options.on_error)
    except MixedPictures as error:
        if options.kind == "images" and error.in_size:
            return read_mixed(folder, options.on_error, options.room)
        raise
    return found, found.names


def is_of_films(folder: Path, kind: str) -> bool:
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


def is_of_text(folder: Path, kind: str) -> bool:
    """Whether a folder is read for its sentences: where that is asked for, or where it holds nothing else that can be read."""
    if kind != "auto":
        return kind == "text"
    return bool(text_files(folder)) and not has_pictures(folder) and not film_files(folder)


# --------------------------------------------------------------------------------------------------- helpers


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
