"""More data than memory: files of pictures read a window at a time, and a frame of a million rows.

The file holds real digits, moved by up to two pixels, drawn anew for every row: 784 float32 numbers a row, 8 GB of them, or
what a third of the free disk holds. `memory_limit` is 1 GB. Memory is what belongs to the process alone (RssAnon), the most of
it above that before the fit, looked at every 5 ms; the pages of files that the system keeps do not count. Rates are rows a
second of training alone, at the same batch size: of the file, and of the first rows of it in memory, as many as a tenth of the
free memory holds. The loss is that of held-out digits after one epoch over the rows in memory, once fully shuffled and once read
a window at a time with as small a part of them in a window as of the file. Parquet: the same rows in row groups of 4,096.

The frame holds a million rows and 20 columns, made from adult's training part: rows drawn with replacement, numbers with a little
noise, four more columns of numbers and one of truth values. Its rate counts three epochs and all else that `fit` does. Larger
batches are faster, and leave more of the loss after as many epochs.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

from isthmus import Autoencoder, Training
from isthmus.data import to_blocks
from isthmus.data.memory import free_memory

from .data import checksum, mnist
from .imputation import adult
from .record import Row, Watch, memory

ROWS, LIMIT = 2_700_000, 10**9
GROUP = 4096
MOVED = 2  # pixels
FRAME = 1_000_000
HELD_OUT = 5_000


def rows(options):
    digits = mnist("train", options.quick)[0]
    known, unseen = digits[: -len(digits) // 12], digits[-len(digits) // 12 :][:HELD_OUT]
    with tempfile.TemporaryDirectory(prefix="isthmus-") as folder:
        count = 40_000 if options.quick else min(ROWS, shutil.disk_usage(folder).free // 3 // (784 * 4))
        limit = LIMIT if not options.quick else count * 784 * 4 // 8
        path = Path(folder) / "digits.npy"
        write(path, known, count)
        yield from of_file(path, limit, unseen, options, {"data": {"mnist": checksum(known[:1000])}})
    yield from of_frame(20_000 if options.quick else FRAME)


def of_file(path: Path, limit: int, unseen: np.ndarray, options, shared: dict):
    X = np.load(path, mmap_mode="r")
    shared |= {"settings": {"rows": len(X), "memory_limit": limit}, "seed": 0}
    few = min(len(X) // 2, free_memory() // 10 // X.strides[0])
    slice_ = np.array(X[:few])
    in_memory, cost = fitted(slice_, "1TB")
    rate = few / cost["epoch"]
    yield Row("rows in memory", rate, "rows a second", cost=cost["cost"], also={"rows": few}, **shared)

    _, cost = fitted(X, limit)
    yield Row("anonymous memory", cost["anonymous"] / 1e6, "MB", {"at_most": limit / 1e6}, cost=cost["cost"], **shared)
    streamed = len(X) / cost["epoch"] / rate
    yield Row("rate over that in memory", streamed, "ratio", {"at_least": 0.85}, cost=cost["cost"], **shared)

    window, cost = fitted(X[:few], max(limit * few // len(X), 2**22))
    losses = {name: -model.score(unseen) for name, model in (("window", window), ("shuffled", in_memory))}
    worse = losses["window"] / losses["shuffled"] - 1
    yield Row("loss over full shuffling", worse, "share", {"at_most": 0.02}, {}, also=losses, cost=cost["cost"], **shared)

    parquet = path.with_suffix(".parquet")
    with Watch() as watch:
        write_parquet(parquet, slice_, group := min(GROUP, few // 64))
    seconds = watch.cost()["seconds"]
    _, cost = fitted(parquet, max(limit * few // len(X), group * X.strides[0] * 10))
    also = {"seconds to write": seconds, "anonymous memory, MB": cost["anonymous"] / 1e6}
    parquet_rate = few / cost["epoch"] / rate
    yield Row("Parquet over memory", parquet_rate, "ratio", {"at_least": 0.55}, also=also, cost=cost["cost"], **shared)
    with Watch() as watch:
        to_blocks(parquet, path.with_name("blocks.npy"))
    yield Row("Parquet to raw blocks", few / watch.cost()["seconds"], "rows a second", cost=watch.cost(), **shared)


def fitted(X, limit) -> tuple[Autoencoder, dict]:
    """A model after one epoch over `X`, the seconds of that epoch, and the memory that the fit took."""
    model = Autoencoder(32, max_epochs=1, batch_size=1024, random_state=0, training=Training(memory_limit=limit))
    with Anonymous() as used, Watch() as watch:
        model.fit(X)
    return model, {"epoch": model.history_[0]["seconds"], "anonymous": used.most, "cost": watch.cost()}


def of_frame(count: int):
    whole = enlarged(adult("train"), count + HELD_OUT)
    frame, unseen = whole[:count], whole[count:]
    size = int(frame.memory_usage(deep=True).sum())
    for batch_size in ("auto", 4096):
        model = Autoencoder(max_epochs=3, batch_size=batch_size, random_state=0)
        with Anonymous() as used, Watch() as watch:
            model.fit(frame)
        shared = {
            "settings": {"rows": count, "model": repr(model)}, "seed": 0, "cost": watch.cost(),
            "data": {"adult": checksum(frame[:1000].to_numpy().astype(str))},
        }  # fmt: skip
        name = "a frame of 20 columns" + (", batches of 4096" if batch_size == 4096 else "")
        rate, goal = 3 * count / watch.cost()["seconds"], {"at_least": 200_000}
        yield Row(
            f"{name}: rate of fit", rate, "rows a second", goal, also={"loss on other rows": -model.score(unseen)}, **shared
        )
        also = {"frame, MB": size / 1e6}
        yield Row(f"{name}: memory", used.most / size, "times the frame", {"at_most": 2.0}, also=also, **shared)


# --------------------------------------------------------------------------------------------------- helpers


class Anonymous:
    """The most memory of this process alone, above what it was, from `with` to its end; `most`, in bytes."""

    def __enter__(self):
        self.before, self.most, self.over = memory("RssAnon"), 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.over.is_set():
            self.most = max(self.most, memory("RssAnon") - self.before)
            time.sleep(0.005)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def write(path: Path, digits: np.ndarray, count: int) -> None:
    """A .npy file of digits drawn with replacement, each moved by up to `MOVED` pixels either way."""
    random = np.random.default_rng(0)
    head = {"descr": "<f4", "fortran_order": False, "shape": (count, 784)}
    pictures = np.pad(digits.reshape(-1, 28, 28).astype(np.float32), [(0, 0), (MOVED, MOVED), (MOVED, MOVED)])
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, count, 10_000):
            some = min(10_000, count - start)
            down, right = random.integers(0, 2 * MOVED + 1, (2, some, 1, 1))
            place = np.arange(28)
            which = random.integers(len(pictures), size=(some, 1, 1))
            file.write(pictures[which, place[:, None] + down, place + right].tobytes())


def write_parquet(path: Path, X: np.ndarray, group: int) -> None:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(f"p{place}", pyarrow.float32()) for place in range(X.shape[1])])
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for start in range(0, len(X), group):
            columns = list(np.ascontiguousarray(X[start : start + group].T))
            writer.write_table(pyarrow.table(columns, schema=schema))


def enlarged(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows drawn with replacement, their numbers with a fiftieth of the spread as noise, and five more columns."""
    random = np.random.default_rng(0)
    frame = table.iloc[random.integers(len(table), size=count)].reset_index(drop=True)
    numbers = list(table.select_dtypes("number"))
    for name in numbers:
        frame[name] = frame[name] + random.normal(size=count) * (table[name].std() / 50)
    for place, name in enumerate(numbers[:4]):
        frame[f"more {place}"] = frame[name] * random.uniform(0.5, 1.5, count)
    return frame.assign(chance=random.random(count) < 0.5)
