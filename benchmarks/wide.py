"""A code far wider than the data: what a step of training costs beside libraries that are made for such codes.

Rows of 64 numbers, 16,384 units, TopK with k = 32, one thread. Our step is `presets.topk` as it is: forward, backward, its own
optimiser, and everything else that `fit` does for a step. Theirs is a step of the trainers of SAELens and dictionary_learning
for TopK, with their own optimiser and defaults, from `benchmarks/peers/dictionaries.py`. All of them have a term for units that
are dead: rows where none is, and where the same quarter is for all. Steps go by turns within one process, and its own seconds of
processor time are counted; the value is the median over the turns of ours over theirs.
"""

import time
from statistics import median

import numpy as np
import torch

from isthmus import presets

from .peers import MissingPeer, dictionaries
from .record import Row, Watch

WIDTH, UNITS, K = 64, 16_384, 32
BATCHES = (1024, 4096)
TURNS, FIRST = 40, 5  # that are measured, and before them
DEAD = 0.25


def rows(options):
    turns, batches = (3, BATCHES[:1]) if options.quick else (TURNS, BATCHES)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for batch_size in batches:
            for dead in (0.0, DEAD):
                yield from beside_others(batch_size, dead, turns, options.quick)
    finally:
        torch.set_num_threads(threads)


def beside_others(batch_size: int, dead: float, turns: int, quick: bool):
    units = UNITS // 8 if quick else UNITS
    X = samples(4 * batch_size)
    gone = torch.randperm(units, generator=torch.Generator().manual_seed(0))[: round(dead * units)]
    missing = ""
    try:
        peers = dictionaries.steppers(WIDTH, units, K, batch_size)
        settings = {"versions": dictionaries.versions()}
    except MissingPeer as error:
        peers, settings, missing = {}, {}, str(error)
    turn = Turns(peers, torch.from_numpy(X), batch_size, gone)
    model = presets.topk(units, k=K, batch_size=batch_size, max_epochs=-(-(turns + FIRST) // 4), device="cpu", random_state=0)
    with Watch() as watch:
        model.fit(X, callbacks=[turn])
    seconds = {name: values[FIRST:] for name, values in turn.seconds.items()}
    settings |= {"model": repr(model), "units": units, "turns": len(seconds["ours"])}
    name = f"step of {batch_size} rows, {dead:.0%} of the units dead"
    yield Row(f"{name}: isthmus", 1e3 * median(seconds["ours"]), "ms", settings=settings, cost=watch.cost())
    for peer in peers or ("SAELens", "dictionary_learning"):
        row = f"{name}: time over {peer}'s"
        if missing:
            yield Row(row, None, "x", {"at_most": 0.5}, skipped=missing)
            continue
        ratio = median(ours / theirs for ours, theirs in zip(seconds["ours"], seconds[peer], strict=True))
        also = {f"ms of {peer}": 1e3 * median(seconds[peer])}
        yield Row(row, ratio, "x", {"at_most": 0.5}, also=also, settings=settings, cost=watch.cost())


class Turns:
    """After each step of ours, one of every other."""

    def __init__(self, peers: dict, X: torch.Tensor, batch_size: int, dead: torch.Tensor):
        self.peers, self.X, self.batch_size, self.dead = peers, X, batch_size, dead
        self.generator = torch.Generator().manual_seed(0)
        self.seconds: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
        self.began: float | None = None

    def on_step_end(self, network, step, terms) -> None:
        now = time.process_time()
        if self.began is not None:
            self.seconds["ours"].append(now - self.began)
            self.others()
        network.bottleneck.idle.zero_()[self.dead] = network.bottleneck.dead_after
        self.began = time.process_time()

    def others(self) -> None:
        batch = self.X[torch.randperm(len(self.X), generator=self.generator)[: self.batch_size]]
        for name, (step, kill) in self.peers.items():
            kill(self.dead)
            began = time.process_time()
            step(batch)
            self.seconds[name].append(time.process_time() - began)


def samples(count: int) -> np.ndarray:
    """(count, WIDTH) sums of few directions out of many, with a little noise."""
    random = np.random.default_rng(0)
    directions = random.standard_normal((4 * WIDTH, WIDTH))
    strength = random.random((count, 4 * WIDTH)) * (random.random((count, 4 * WIDTH)) < 0.03)
    return (strength @ directions + 0.1 * random.standard_normal((count, WIDTH))).astype(np.float32)
