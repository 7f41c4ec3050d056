"""Real data sets by name.

`load("mnist:test")` looks in the folder that ISTHMUS_DATA names (laid out as `images/mnist/*.gz`), then in the user's
cache, then downloads the files from their official place, checks them, and keeps them in the cache.
"""

import gzip
import hashlib
import os
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .files import made_folder

# Files are (name, checksum); train first. Checksums as published by torchvision (md5), sha256 of the same MNIST files.
_IDX: dict[str, dict] = {
    "mnist": {
        "folder": "images/mnist",
        "url": "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "folder": "images/fashion-mnist",
        "url": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
    "fashion-mnist-900": {  # 90 pictures of each kind, cut from the sprite in the project's repository: not the full set
        "folder": "images/fashion-mnist-900",
        "url": None,
        "images-idx3-ubyte.gz": "sha256:8e9899e48acdebcbc7d7e76f0f8ce61fd40d465f7e8ce123fb4e83ebd5bbdcac",
        "labels-idx1-ubyte.gz": "sha256:4946e7defc8f0087fec50aabff58c28210d8236ba70ec04121f11963eb80342e",
    },
}
_PARTS = {"train": ("train",), "test": ("t10k",), "": ("train", "t10k")}

NAMES = ("digits", *_IDX)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of a data set.

    Parameters
    ----------
    name : "digits", "mnist", "fashion-mnist" or "fashion-mnist-900"; ":train" or ":test" behind it takes one part.
        digits (always there, from scikit-learn) has no official parts: ":test" is every fifth picture.

    Returns
    -------
    X : uint8 (n, height, width), 0 is black;   y : labels (n,)

    >>> X, y = load("digits:train")
    >>> X.shape, X.dtype, y.shape
    ((1438, 8, 8), dtype('uint8'), (1438,))
    """
    base, _, part = name.partition(":")
    if base not in NAMES or part not in _PARTS:
        raise ValueError(
            f"The data set {name!r} is not known. Choose one of {', '.join(NAMES)}, with :train or :test if you like."
        )
    if base == "digits":
        return _digits(part)
    files = [f for f in _IDX[base] if f not in ("folder", "url")]
    if base == "fashion-mnist-900":
        if part:
            raise ValueError("fashion-mnist-900 is a subset of 900 pictures without parts. Ask for 'fashion-mnist-900'.")
        return _idx(_find(base, files[0])), _idx(_find(base, files[1]))
    chosen = [[f for f in files if f.startswith(start)] for start in _PARTS[part]]
    images, labels = zip(*[[_idx(_find(base, file)) for file in pair] for pair in chosen], strict=True)
    return np.concatenate(images), np.concatenate(labels)


def is_name(text: str) -> bool:
    """Whether `text` names a data set rather than a path."""
    return str(text).partition(":")[0] in NAMES and not Path(text).exists()


def _digits(part: str):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)  # 17 grey levels, spread over a byte
    test = np.arange(len(images)) % 5 == 4
    chosen = {"": slice(None), "train": ~test, "test": test}[part]
    return images[chosen], bunch.target[chosen]


def _idx(path: Path) -> np.ndarray:
    """The idx format: two zeros, a type, the number of axes, their lengths, the values."""
    try:
        raw = gzip.decompress(path.read_bytes())
        shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3]))
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is damaged ({error}). Remove it; it is fetched again.") from error


def _find(base: str, file: str) -> Path:
    """The file, where it is at hand; else downloaded into the cache. Every file is compared with its checksum."""
    entry = _IDX[base]
    places = [_cache() / entry["folder"] / file]
    if os.environ.get("ISTHMUS_DATA"):
        places.insert(0, Path(os.environ["ISTHMUS_DATA"]) / entry["folder"] / file)
    for path in places:
        if path.is_file():
            _check(path, entry[file])
            return path
    if entry["url"] is None:
        raise FileNotFoundError(
            f"{base} is not at hand: {places[0]} does not exist, and it cannot be downloaded. "
            "Set ISTHMUS_DATA to the folder that holds it."
        )
    _download(entry["url"] + file, places[-1], entry[file])
    return places[-1]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ISTHMUS_HOME") or Path(base) / "isthmus")


def _check(path: Path, checksum: str) -> None:
    kind, expected = checksum.split(":")
    found = hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(f"{path} is not the file it should be: its {kind} is {found}, not {expected}. Remove it and try again.")


def _download(url: str, path: Path, checksum: str) -> None:
    with made_folder(path.parent), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        aside = Path(folder) / path.name
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, open(aside, "wb") as file:
                size = int(answer.headers.get("Content-Length") or 0) or None
                bar = tqdm(total=size, unit="B", unit_scale=True, desc=path.name, file=sys.stderr, disable=None)
                with bar:
                    while block := answer.read(1 << 16):
                        file.write(block)
                        bar.update(len(block))
                if size and file.tell() != size:
                    raise OSError(f"only {file.tell()} of {size} bytes came")
        except (urllib.error.URLError, OSError) as error:
            raise OSError(
                f"{url} could not be downloaded ({error}). Check the connection, or put the file into {path.parent}, or set "
                "ISTHMUS_DATA to a folder that holds it."
            ) from error
        _check(aside, checksum)
        aside.replace(path)
