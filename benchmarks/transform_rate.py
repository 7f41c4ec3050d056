"""The rate of `transform`.

Codes of 1,000,000 rows of 784 float32 numbers by the default dense network with 32 numbers in the code, against nothing but
its matrix products on the same rows: the same shapes and threads, in blocks of the size that is fastest of three, no biases
and no activations. Median of five calls, by turns. The other row is the peak of the memory in use during `transform` beyond
the rows that go in and the codes that come out.
"""

import time
from functools import partial
from statistics import median

import numpy as np
import torch
from sklearn.decomposition import PCA

from isthmus import Autoencoder

from .data import checksum
from .record import Row, Watch, memory

ROWS, COLUMNS = 1_000_000, 784
BLOCKS = (1024, 4096, 16384)
CALLS = 5
MEMORY_GOAL = 64  # MiB: blocks of 16 MB on their way through three layers, and what the allocator keeps


def rows(options):
    X = synthetic(20_000 if options.quick else ROWS)
    model = Autoencoder(32, max_epochs=1, random_state=0).fit(X[:2000])
    shared = {"settings": {"rows": len(X), "block": model.block_}, "data": {"synthetic": checksum(X[:2000])}}
    yield memory_row(model, X, shared)  # first, while nothing that was freed hides what is taken
    yield rate_row(model, X, shared)


def rate_row(model: Autoencoder, X: np.ndarray, shared: dict) -> Row:
    pca = PCA(32).fit(X[:2000])
    bare = {f"products, blocks of {size}": partial(products, model, X, size) for size in BLOCKS}
    calls = {"transform": partial(model.transform, X), "PCA.transform": partial(pca.transform, X), **bare}
    with Watch() as watch:
        rate = {name: len(X) / seconds / 1e6 for name, seconds in by_turns(calls).items()}
    best = max(rate[name] for name in bare)
    return Row(
        "rate over bare products",
        rate["transform"] / best,
        "ratio",
        goal={"at_least": 0.60},
        baseline={"products, million rows a second": best, "PCA.transform": rate["PCA.transform"]},
        also={"transform": rate["transform"]},
        cost=watch.cost(),
        **shared,
    )


def synthetic(count: int) -> np.ndarray:
    """Rows of uniform numbers, made a block at a time."""
    random, X = np.random.default_rng(0), np.empty((count, COLUMNS), np.float32)
    for start in range(0, count, 10_000):
        random.random(out=X[start : start + 10_000], dtype=np.float32)
    return X


@torch.no_grad()
def products(model: Autoencoder, X: np.ndarray, size: int) -> torch.Tensor:
    """The encoder's matrix products on all rows and nothing else."""
    *hidden, deep, bypass = [p.T.contiguous() for p in encoder_weights(model)]  # the code reads hidden layer and input
    source, result = torch.from_numpy(X), torch.empty(len(X), deep.shape[1])
    for start in range(0, len(X), size):
        block = rows = source[start : start + size]
        for weight in hidden:
            block = block @ weight
        result[start : start + size] = torch.addmm(rows @ bypass, block, deep)
    return result


def encoder_weights(model: Autoencoder) -> list[torch.Tensor]:
    """The matrices on the way to the code, in order."""
    parts = (model.network_.architecture.encoder, model.network_.bottleneck)
    return [p for part in parts for p in part.parameters() if p.ndim == 2]


def by_turns(calls: dict) -> dict[str, float]:
    """Median seconds of each call; one call of each goes uncounted, then they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def memory_row(model: Autoencoder, X: np.ndarray, shared: dict) -> Row:
    before = memory("VmRSS")
    with Watch() as watch:
        codes = model.transform(X)
    beyond = (watch.peak_memory - before - codes.nbytes) / 2**20
    return Row("memory beyond rows and codes", beyond, "MiB", {"at_most": MEMORY_GOAL}, cost=watch.cost(), **shared)
