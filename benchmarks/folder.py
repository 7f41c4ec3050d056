"""The rate of reading small pictures from a folder.

10,000 of MNIST's digits, each a .png file of its own, opened as a `PictureFolder` and read whole, headers included, against
Pillow alone: `numpy.asarray(Image.open(file))` of every file by two threads, and by one. Median of three rounds, by turns, after
one of each that goes uncounted. The further figure is an epoch in batches of 256 in an order of chance, where no pixels are kept.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from isthmus import datasets
from isthmus.data import PictureFolder

from .data import checksum, file
from .record import Row, Watch

PICTURES = 10_000
ROUNDS = 3
BATCH = 256


def rows(options):
    file("images/mnist/train-images-idx3-ubyte.gz")
    pictures = datasets.load("mnist:train")[0][: 1_000 if options.quick else PICTURES]
    with tempfile.TemporaryDirectory() as folder:
        for place, picture in enumerate(pictures):
            Image.fromarray(picture).save(Path(folder, f"{place:05d}.png"))
        if not np.array_equal(np.asarray(PictureFolder(folder)), pictures):
            raise AssertionError("The folder does not hold what was written.")
        yield rate_row(folder, len(pictures), {"mnist": checksum(pictures)})


def rate_row(folder: str, count: int, data: dict) -> Row:
    files = sorted(Path(folder).iterdir())
    calls = {
        "folder": lambda: PictureFolder(folder)[:],
        "Pillow, two threads": lambda: with_threads(files, 2),
        "Pillow, one thread": lambda: [read(file) for file in files],
        "shuffled, nothing kept": lambda: shuffled(folder),
    }
    with Watch() as watch:
        rate = {name: count / seconds for name, seconds in by_turns(calls).items()}
    others = {f"{name}, pictures a second": rate[name] for name in ("Pillow, two threads", "Pillow, one thread")}
    ours = {f"{name}, pictures a second": rate[name] for name in ("folder", "shuffled, nothing kept")}
    return Row(
        "rate of a folder over Pillow's with two threads",
        rate["folder"] / rate["Pillow, two threads"],
        "ratio",
        goal={"at_least": 1.0},
        baseline=others,
        also=ours,
        settings={"pictures": count},
        data=data,
        cost=watch.cost(),
    )


def read(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def with_threads(files: list[Path], threads: int) -> list[np.ndarray]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(read, files))


def shuffled(folder: str) -> None:
    pictures = PictureFolder(folder, memory=0)
    order = np.random.default_rng(0).permutation(len(pictures))
    for start in range(0, len(order), BATCH):
        pictures[order[start : start + BATCH]]


def by_turns(calls: dict) -> dict[str, float]:
    """Median seconds of each call; one of each goes uncounted, then they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}
