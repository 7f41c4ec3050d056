"""The data sets of the tables, by name, as rows of numbers."""

import csv
import hashlib
import os
from pathlib import Path

import numpy as np

from isthmus import datasets


class MissingData(Exception):
    """A data set is not at hand; the message says which file was looked for."""


def folder() -> Path:
    """The folder with the data sets, named by ISTHMUS_DATA; the one place that reads it."""
    if not os.environ.get("ISTHMUS_DATA"):
        raise MissingData("ISTHMUS_DATA names no folder with the data sets")
    return Path(os.environ["ISTHMUS_DATA"])


def file(name: str) -> Path:
    path = folder() / name
    if not path.is_file():
        raise MissingData(f"{name} is not in the folder that ISTHMUS_DATA names")
    return path


def mnist(part: str, quick: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 784 grey levels from 0 to 1, float32, and digits; a few of them for a trial."""
    file(f"images/mnist/{'t10k' if part == 'test' else part}-images-idx3-ubyte.gz")  # no download in a benchmark
    images, digit = datasets.load(f"mnist:{part}")
    kept = slice(500 if part == "test" else 2000) if quick else slice(None)
    return unit_pixels(images[kept]), digit[kept]


def digits_of(options) -> tuple[tuple, tuple]:
    """MNIST's rows and digits, to learn from and to be judged by: its own parts; with --validate the last 10,000 training
    digits stand in for the test digits, which then nobody looks at."""
    train = mnist("train", options.quick)
    if not options.validate:
        return train, mnist("test", options.quick)
    cut = len(train[0]) - min(10_000, len(train[0]) // 5)
    return tuple(part[:cut] for part in train), tuple(part[cut:] for part in train)


def unit_pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def checksum(*arrays: np.ndarray) -> str:
    """SHA-256 over shapes, types and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.shape} {array.dtype}".encode())
        total.update(np.ascontiguousarray(array))
    return total.hexdigest()


# -------------------------------------------------------------------------------------- the sets of `defaults`


def split(name: str, quick: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows, float64: MNIST's own parts, else 80 and 20 % in an order that never changes.

    The test rows are the same for every seed and took no part in choosing the defaults.
    """
    if name == "MNIST":
        return tuple(mnist(part, quick)[0].astype(np.float64) for part in ("train", "test"))
    X = READERS[name]().astype(np.float64)
    order, cut = np.random.default_rng(0).permutation(len(X)), round(0.8 * len(X))
    return X[order[:cut]], X[order[cut:]]


def digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return load_digits().data


def olivetti() -> np.ndarray:
    from scipy.io import loadmat

    return loadmat(file("faces/olivettifaces.mat"))["faces"].T / 255


def fashion() -> np.ndarray:
    file("images/fashion-mnist-900/images-idx3-ubyte.gz")
    return unit_pixels(datasets.load("fashion-mnist-900")[0])


def wine() -> np.ndarray:
    """Red and white wines, eleven measurements and the quality."""
    tables = [np.loadtxt(file(f"tabular/winequality-{colour}.csv"), delimiter=",") for colour in ("red", "white")]
    return np.concatenate(tables)


def abalone() -> np.ndarray:
    """Three columns for the sex, then eight measurements."""
    with open(file("tabular/abalone.csv"), newline="") as lines:
        rows = [row for row in csv.reader(lines) if row]
    return np.array([[*(row[0] == sex for sex in "MFI"), *map(float, row[1:])] for row in rows], dtype=np.float64)


def ecg5000() -> np.ndarray:
    """500 heartbeats of 140 samples; the class is left out."""
    return np.loadtxt(file("timeseries/ucr/ECG5000_TRAIN.txt"))[:, 1:]


READERS = {
    "digits": digits,
    "Olivetti": olivetti,
    "Fashion-900": fashion,
    "wine": wine,
    "abalone": abalone,
    "ECG5000": ecg5000,
}
