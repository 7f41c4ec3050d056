"""Speed of training: epochs beside other programs, the share of bare matrix products, a busy neighbour, and what `fit` adds.

Every program is a process of its own and they take turns; an epoch's time is the median over the epochs after each process's
first, and ratios are of these medians. All train the same layers with Adam at 0.001 on the same samples in memory, without
validation: "dense", the tutorial's 784-128-64-32 and back, batches of 256 of MNIST; "convolution", 16-8-8 channels with
max-pooling and upsampling, batches of 128 of its first 12,000; "variational", 784-512-256-16, batches of 128 of 30,000;
"recurrent", an LSTM of 64 that reads 140 steps and one that writes them, batches of 128 of 4,000 heartbeats (ECG5000, over and
over). "plain PyTorch" is written as tutorials write it. Keras runs in interpreters of its own (ISTHMUS_PEER_JAX,
ISTHMUS_PEER_TF).

"share of bare products": the seconds that the matrix products of a step take when nothing else is done, each shape by itself,
over those of a step. "one busy neighbour": an epoch with two threads while another program computes without pause, over our own
quiet epoch on one thread; beside it plain PyTorch with two threads and that neighbour over its own quiet epoch on two. "what fit
adds": an epoch of `fit` over one of a bare loop around the same network, batches and optimiser.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch

from isthmus.parts import Data

from .data import checksum, ecg5000, mnist
from .peers import PEERS, MissingPeer, interpreter_of, run_program
from .peers.speed_isthmus import model_of
from .record import Row, Watch, chosen

HERE = Path(__file__).parent / "peers"
TURNS, EPOCHS = 3, 4
SIZES = {"dense": (60_000, 256), "convolution": (12_000, 128), "variational": (30_000, 128), "recurrent": (4000, 128)}
GOALS = {  # our epoch over theirs, at most
    "dense": {"Keras/JAX": 0.7, "Keras/TensorFlow": 0.3, "plain PyTorch": 0.45},
    "convolution": {"Keras/TensorFlow": 0.5, "plain PyTorch": 0.25},
    "variational": {"Keras/TensorFlow": 0.35, "plain PyTorch": None},
    "recurrent": {"Keras/JAX": 0.8, "plain PyTorch": 0.8},
}
BUSY = "while True: sum(range(10000))"


def rows(options):
    for part in chosen(options, dense, convolution, variational, recurrent, products, neighbour, added):
        yield from part(options)


def dense(options):
    yield from beside("dense", options)


def convolution(options):
    yield from beside("convolution", options)


def variational(options):
    yield from beside("variational", options)


def recurrent(options):
    yield from beside("recurrent", options)


# ---------------------------------------------------------------------------------------------- beside others


def beside(network: str, options):
    """Our epoch over each of the others'."""
    X, settings = samples(network, options), {"network": network, "batch_size": SIZES[network][1]}
    shared = {"data": {network: checksum(X)}, "settings": settings}
    runs: dict[str, list[float]] = {"isthmus": []} | {other: [] for other in GOALS[network]}
    losses, missing, costs = {}, {}, []
    with stored(X) as folder:
        for _ in range(1 if options.quick else TURNS):
            for name in runs.keys() - missing.keys():
                try:
                    answer, cost = run(name, folder, settings | {"epochs": 2 if options.quick else EPOCHS, "steps": X.shape[1]})
                except MissingPeer as error:
                    missing[name] = str(error)
                    continue
                runs[name] += answer["seconds"][1:]
                losses[name] = answer["loss"]
                costs.append(cost)
    cost = {name: max(each[name] for each in costs) for name in costs[0]}
    own = median(runs["isthmus"])
    for other, goal in GOALS[network].items():
        bound, row = {} if goal is None else {"at_most": goal}, f"{network}: epoch over {other}'s"
        if other in missing:
            yield Row(row, None, "x", bound, skipped=missing[other])
            continue
        also = {"our seconds": own, "their seconds": median(runs[other])}
        yield Row(row, own / median(runs[other]), "x", bound, also=also, cost=cost, **shared)


def run(name: str, folder: str, settings: dict) -> tuple[dict, dict]:
    """What a program printed, and what it cost."""
    if name in PEERS:
        interpreter, backend = interpreter_of(name)
        return run_program([interpreter, HERE / "speed_keras.py"], folder, settings | {"backend": backend})
    program = {"isthmus": "speed_isthmus.py", "plain PyTorch": "speed_torch.py"}[name]
    return run_program([sys.executable, HERE / program], folder, settings)


def samples(network: str, options) -> np.ndarray:
    count = SIZES[network][0] // (20 if options.quick else 1)
    if network == "recurrent":
        beats = ecg5000().astype(np.float32)
        return np.resize(beats, (count, beats.shape[1]))[..., None]
    X = mnist("train", options.quick)[0][:count].astype(np.float32)
    return X.reshape(-1, 28, 28) if network == "convolution" else X.reshape(len(X), -1)


@contextmanager
def stored(X: np.ndarray):
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "train.npy", X)
        yield folder


# ------------------------------------------------------------------------------------------------- by ourselves


def products(options):
    """The share of a step that its matrix products would take alone."""
    X, batch_size = samples("dense", options), SIZES["dense"][1]
    with Watch() as watch:
        model = model_of("dense", batch_size, 3).fit(X)
        step = median(record["seconds"] for record in model.history_[1:]) / -(-len(X) // batch_size)
        bare = seconds_of_products((784, 128, 64, 32, 64, 128, 784), batch_size)
    also = {"ms of a step": 1000 * step, "ms of its products": 1000 * bare}
    yield Row("dense: share of bare products", bare / step, "ratio", {"at_least": 0.6}, also=also, cost=watch.cost())


def seconds_of_products(widths: tuple[int, ...], batch_size: int) -> float:
    """Of all products forward and back, each the median of 50; the first layer has no gradient of its input."""
    total = 0.0
    for place, (a, b) in enumerate(pairwise(widths)):
        x, w, y = torch.randn(batch_size, a), torch.randn(b, a), torch.randn(batch_size, b)
        pairs = [(x, w.T), (y.T, x)] + ([(y, w)] if place else [])
        for one, other in pairs:
            moments = []
            for _ in range(50):
                began = time.perf_counter()
                one @ other
                moments.append(time.perf_counter() - began)
            total += median(moments)
    return total


def neighbour(options):
    """An epoch beside a program that never rests."""
    X, batch_size = samples("dense", options), SIZES["dense"][1]
    epochs, both = 2 if options.quick else 8, max(2, torch.get_num_threads())
    quiet = on_threads(1, lambda: ours(X, batch_size, epochs))
    plain = on_threads(both, lambda: theirs(X, batch_size, 2))
    with Watch() as watch, busy():
        beside_it = on_threads(both, lambda: ours(X, batch_size, epochs))
        plain_beside = on_threads(both, lambda: theirs(X, batch_size, 2))
    also = {"quiet epoch on one thread, s": quiet, "epoch beside the neighbour, s": beside_it}
    other = {"plain PyTorch, over its quiet epoch": plain_beside / plain}
    yield Row("dense: one busy neighbour", beside_it / quiet, "x", {"at_most": 1.15}, other, also=also, cost=watch.cost())


def ours(X: np.ndarray, batch_size: int, epochs: int) -> float:
    """The mean epoch after the first."""
    seconds = [record["seconds"] for record in model_of("dense", batch_size, epochs).fit(X).history_[1:]]
    return sum(seconds) / len(seconds)


def theirs(X: np.ndarray, batch_size: int, epochs: int) -> float:
    from .peers.speed_torch import NETWORKS, train

    return median(train(NETWORKS["dense"](), torch.from_numpy(X), batch_size, epochs)[0][1:])


def on_threads(number: int, measured) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        return measured()
    finally:
        torch.set_num_threads(before)


@contextmanager
def busy():
    program = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        time.sleep(0.5)
        yield
    finally:
        program.kill()
        program.wait()


def added(options):
    """What `fit` adds to a bare loop around the same network, batches and optimiser; by turns."""
    X, batch_size = samples("dense", options), SIZES["dense"][1]
    model = model_of("dense", batch_size, 2).fit(X)
    values = torch.from_numpy(X)
    whole, bare = [], []
    with Watch() as watch:
        for _ in range(1 if options.quick else TURNS):
            whole += [record["seconds"] for record in model_of("dense", batch_size, 3).fit(X).history_[1:]]
            bare += [bare_epoch(model, values, batch_size) for _ in range(2)]
    also = {"epoch of fit, s": median(whole), "epoch of the bare loop, s": median(bare)}
    yield Row("dense: fit over a bare loop", median(whole) / median(bare), "x", {"at_most": 1.02}, also=also, cost=watch.cost())


def bare_epoch(model, X: torch.Tensor, batch_size: int) -> float:
    """Seconds of a loop with nothing but the step."""
    network = model.network_.train()
    optimizer = model.training.build_optimizer(network.parameters(), 1e-3, len(X))
    began = time.perf_counter()
    with torch.enable_grad():
        for index in torch.randperm(len(X)).split(batch_size):
            data = Data(X.index_select(0, index))
            optimizer.zero_grad()
            network.loss(network.decode(network.encode(data)), data).mean().backward()
            optimizer.step()
    return time.perf_counter() - began
