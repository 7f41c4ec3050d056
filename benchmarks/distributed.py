"""Several processes on one machine, and a model of many.

The tutorial's network on MNIST, 256 samples a batch: two processes of one thread each, joined by Gloo, against one process with
two threads, by turns; seconds of an epoch are the median of all after the first. The value is the rate of the two over that of
the one. Losses are compared epoch by epoch: both draw the same batches and the same noise, so they differ by rounding alone.

The other rows are what the model in docs/distributed.md is made of: one step of one process, and one sum over both processes of
the network's gradients. `expected` is that model. From this machine's figures it says nothing of GPUs; put in those of yours.
"""

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from isthmus import Autoencoder
from isthmus.parts import Dense

from .data import checksum, mnist
from .record import Row, Watch

ROUNDS, EPOCHS = 3, 6
SIZES = (1, 241_936)  # numbers that are summed: one, and the gradients of the network


def rows(options):
    X = mnist("train", options.quick)[0]
    with tempfile.TemporaryDirectory(prefix="isthmus-") as folder, Watch() as watch:
        np.save(Path(folder) / "X.npy", X)
        rounds = [
            (started(1, 2, folder, options.quick), started(2, 1, folder, options.quick))
            for _ in range(1 if options.quick else ROUNDS)
        ]
    ones, pairs = zip(*rounds, strict=True)
    alone, together = (median(run["epoch"] for run in runs) for runs in (ones, pairs))
    apart = max(abs(a - b) / abs(a) for a, b in zip(ones[0]["losses"], pairs[0]["losses"], strict=True))
    shared = {"data": {"mnist": checksum(X)}, "cost": watch.cost(), "settings": {"rounds": len(rounds), "batch_size": 256}}
    seconds = {"seconds of an epoch, one process": alone, "two processes": together}
    yield Row("2 processes, rate over 1 process with 2 threads", alone / together, "x", {"at_least": 0.8}, also=seconds, **shared)
    yield Row("largest difference of the losses of an epoch", apart, "share", {"at_most": 1e-3}, **shared)
    steps = -(-len(X) // 256)
    latency, message = (median(run["sums"][place] for run in pairs) for place in range(2))
    yield Row("a step of one process with 2 threads", alone / steps, "s", **shared)
    yield Row("a sum of the gradients over 2 processes", message, "s", also={"of one number": latency}, **shared)
    bandwidth = 4 * SIZES[1] / max(message - latency, 1e-9)
    ways = {f"{n} processes": expected(n, alone / steps, 4 * SIZES[1], bandwidth, latency) for n in (2, 8, 64, 1024)}
    yield Row("efficiency that the model expects, 256 samples each", ways.pop("2 processes"), "share", also=ways, **shared)


def expected(processes: int, step: float, size: float, bandwidth: float, latency: float) -> float:
    """Efficiency of so many processes that each take as many samples as one did: seconds of its step over those of theirs.

    step : seconds of one process's step;   size : bytes of all gradients;   bandwidth : bytes a second between two neighbours
    latency : seconds of a message to a neighbour. A ring's sum of s bytes over n takes 2 (n - 1) / n s / bandwidth, and its
    messages 2 log2(n) latencies where they are sent along trees (Thakur et al. 2005). Nothing is hidden behind computing.
    """
    if processes == 1:
        return 1.0
    communication = 2 * (processes - 1) / processes * size / bandwidth + 2 * math.log2(processes) * latency
    return step / (step + communication)


# ----------------------------------------------------------------------------------------------------- processes


def started(count: int, threads: int, folder: str, quick: bool) -> dict:
    """What the first of so many processes found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "benchmarks.distributed", folder, str(2 if quick else EPOCHS)]
    running = [
        subprocess.Popen(command, env=told | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"One of {count} processes failed.")
    return json.loads(said[0])


def measured(folder: str, epochs: int) -> dict:
    """One process: seconds of an epoch, losses, and seconds of sums over all processes."""
    X = np.load(Path(folder) / "X.npy")
    model = Autoencoder(
        32, architecture=Dense((128, 64), bypass=False), batch_size=256, max_epochs=epochs, corruption=None, random_state=0
    ).fit(X)
    return {
        "epoch": median(record["seconds"] for record in model.history_[1:]),
        "losses": [record["loss"] for record in model.history_],
        "sums": [seconds_of_sum(size) for size in SIZES],
    }


def seconds_of_sum(size: int, times: int = 50) -> float:
    """The median, over the processes that train together."""
    if not torch.distributed.is_initialized():
        return 0.0
    numbers, taken = torch.zeros(size), []
    for _ in range(times):
        began = time.perf_counter()
        torch.distributed.all_reduce(numbers)
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
