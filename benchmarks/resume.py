"""Runs that are killed and taken up again: whether they end with the same bits, and what checkpoints cost.

50 runs (5 with --quick) of small networks on digits are each stopped by SIGKILL, once, at a random moment, and started again
with the same call. Every second one writes a checkpoint after each step, so that most of its time goes into writing them and
many kills come while one is half written; the others write one every third step. The variants, in turn: a game of two optimisers,
vectors quantised by moving averages, BatchTopK with early stopping, Adam with averaged weights, a network with teacher forcing,
and data read a window at a time. A run counts where all weights, and all figures of the history but seconds, equal those of
the uninterrupted run.

The cost is the time spent on checkpoints over that of the whole `fit`, at the default interval: of the tutorial's network on
MNIST for about two minutes (`--quick`: seconds). Checksums of the data are part of it. In the second row the network is of 4
million weights.
"""

import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from isthmus import Autoencoder, Training
from isthmus import checkpoint as checkpoints
from isthmus.parts import Adversary, BatchTopK, Dense, Recurrent, VectorQuantized

from .data import checksum, mnist
from .record import Row, Watch

KILLS = 50
DIGITS = (load_digits().data / 16).astype(np.float32)
VARIANTS = {
    "game": {"penalties": Adversary(hidden=(32,))},
    "quantised": {"bottleneck": VectorQuantized(16, dim=2)},
    "BatchTopK": {"bottleneck": BatchTopK(4), "n_components": 128, "patience": 3},
    "averaged": {"training": Training("adam", ema_decay=0.99, clip_norm=1.0, accumulate=2)},
    "recurrent": {"architecture": Recurrent(16, teacher_forcing=True, dropout=0.1), "kind": "sequences", "max_epochs": 3},
    "stream": {"training": Training(memory_limit="400KB")},
}


def rows(options):
    yield from killed(5 if options.quick else KILLS, options)
    X = mnist("train", options.quick)[0]
    tutorial = Dense((128, 64, 32), bypass=False)
    epochs = 3 if options.quick else 60
    yield cost_of("cost", X, Autoencoder(32, architecture=tutorial, batch_size=256, max_epochs=epochs, random_state=0))
    wide = Dense((1024, 1024), bypass=False)
    epochs = 1 if options.quick else 60
    yield cost_of("cost, 4 million weights", X[:8192], Autoencoder(32, architecture=wide, max_epochs=epochs, random_state=0))


# ------------------------------------------------------------------------------------------------------- kills


def killed(count: int, options):
    torch.set_num_threads(1)  # children share the parent's modules, and a pool of threads would not survive that
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="isthmus-") as folder, Watch() as watch:
        place = Path(folder)
        np.save(place / "X.npy", DIGITS)
        whole = {name: outcome(name, place, place / f"whole-{name}", None) for name in VARIANTS}
        kills = [one_kill(place, number, random, whole) for number in range(count)]
    same, writing = (sum(kill[what] for kill in kills) for what in ("same", "writing"))
    yield Row(
        "kills that changed no bit",
        same / count,
        "share",
        {"at_least": 1.0},
        also={"kills": count, "came while a checkpoint was being written": writing},
        settings={"variants": list(VARIANTS)},
        seed=0,
        data={"digits": checksum(DIGITS)},
        cost=watch.cost(),
    )


def one_kill(place: Path, number: int, random, whole: dict) -> dict:
    """Kills a run once, at a moment drawn from its whole length, and lets it end."""
    name = list(VARIANTS)[number % len(VARIANTS)]
    every = "1 steps" if number % 2 else "3 steps"
    expected, seconds = whole[name]
    folder = place / f"run-{number}"
    for _ in range(100):  # a run that ended before the signal came is begun again
        shutil.rmtree(folder, ignore_errors=True)
        child = started(partial(outcome, name, place, folder, every))
        time.sleep(random.uniform(0.05, 1.2) * seconds)
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]) and folder.exists():
            break
    else:
        raise RuntimeError(f"No kill came in time in 100 runs of {name}.")
    names = [path.name for path in folder.iterdir()]
    writing = any(other.startswith(".") for other in names) or sum(other.startswith("state-") for other in names) > 1
    return {"same": outcome(name, place, folder, every)[0] == expected, "writing": writing}


def started(work) -> int:
    """A child process that does the work and ends."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def outcome(name: str, place: Path, folder: Path, every: str | None) -> tuple[str, float]:
    """The digest of a run's weights and history, and the seconds that it took."""
    settings = {"n_components": 8, "max_epochs": 6, "batch_size": 128, "random_state": 0} | VARIANTS[name]
    given = settings.get("training", Training()).get_params()
    training = Training(**given | ({} if every is None else {"checkpoint_every": every}))
    X = DIGITS.reshape(-1, 8, 8) if settings.get("kind") == "sequences" else place / "X.npy" if name == "stream" else DIGITS
    began = time.perf_counter()
    model = Autoencoder(**settings | {"training": training}).fit(X, checkpoint=None if every is None else folder)
    seconds = time.perf_counter() - began
    digest = hashlib.sha256()
    for key, tensor in model.network_.state_dict().items():
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    for record in model.history_:
        digest.update(json.dumps({key: value for key, value in record.items() if key != "seconds"}).encode())
    return digest.hexdigest(), seconds


# -------------------------------------------------------------------------------------------------------- cost


def cost_of(name: str, X: np.ndarray, model: Autoencoder) -> Row:
    with tempfile.TemporaryDirectory(prefix="isthmus-") as folder, Timed() as spent, Watch() as watch:
        model.fit(X, checkpoint=Path(folder) / "run")
        size = sum(path.stat().st_size for path in (Path(folder) / "run").iterdir())
    seconds = watch.cost()["seconds"]
    also = {
        "checkpoints": len(spent.times["write"]),
        "seconds to write one": float(np.median(spent.times["write"])),
        "seconds of checksums": sum(spent.times["begin"]),
        "seconds of the fit": seconds,
        "MB at the end": size / 1e6,
    }
    shared = {"settings": {"model": repr(model), "rows": len(X)}, "seed": 0, "data": {"mnist": checksum(X[:1000])}}
    return Row(name, spent.total / seconds, "share of the time", {"at_most": 0.02}, also=also, cost=watch.cost(), **shared)


class Timed:
    """How long the calls took that a run with checkpoints makes besides: each by name, and all together."""

    NAMES = ("begin", "resume", "look", "note", "write")

    def __enter__(self):
        self.before = {name: getattr(checkpoints.Keeper, name) for name in self.NAMES}
        self.times: dict[str, list[float]] = {name: [] for name in self.NAMES}
        self.total, self.depth = 0.0, 0
        for name, method in self.before.items():
            setattr(checkpoints.Keeper, name, self.timed(name, method))
        return self

    def timed(self, name, method):
        def called(*args):
            began, self.depth = time.perf_counter(), self.depth + 1
            try:
                return method(*args)
            finally:
                seconds, self.depth = time.perf_counter() - began, self.depth - 1
                self.times[name].append(seconds)
                self.total += 0.0 if self.depth else seconds  # `look` calls `write`, whose time counts once

        return called

    def __exit__(self, *_):
        for name, method in self.before.items():
            setattr(checkpoints.Keeper, name, method)
