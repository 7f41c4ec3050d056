"""Programs that train the tutorial's task from start to end, each in a process and an interpreter of its own.

They read train.npy and test.npy from a folder and print one line of JSON: seconds of import (with building the model) and of
fit, and after every epoch the validation loss in nats a pixel and the seconds since fit began. Reading the data is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..record import Watch

HERE = Path(__file__).parent
PEERS = {"Keras/JAX": ("jax", "ISTHMUS_PEER_JAX"), "Keras/TensorFlow": ("tensorflow", "ISTHMUS_PEER_TF")}


class MissingPeer(Exception):
    """An interpreter was not named; the message says by which variable it should be."""


@contextmanager
def arrays_for_others(train: np.ndarray, test: np.ndarray):
    """A folder that holds the data while the programs run."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "train.npy", train)
        np.save(Path(folder) / "test.npy", test)
        yield folder


def run_peer(name: str, folder: str, settings: dict) -> tuple[dict, dict]:
    """What Keras printed, and what it cost."""
    interpreter, backend = interpreter_of(name)
    return run_program([interpreter, HERE / "keras_dense.py"], folder, {"backend": backend, **settings})


def interpreter_of(name: str) -> tuple[str, str]:
    """The Python that has this program, and Keras' name for what lies beneath."""
    backend, variable = PEERS[name]
    if not os.environ.get(variable):
        raise MissingPeer(f"{variable} names no Python interpreter with Keras")
    return os.environ[variable], backend


def run_ours(folder: str, settings: dict) -> tuple[dict, dict]:
    return run_program([sys.executable, HERE / "isthmus_dense.py"], folder, settings)


def run_program(command: list, folder: str, settings: dict) -> tuple[dict, dict]:
    with Watch() as watch:
        done = subprocess.run([*command, folder, json.dumps(settings)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{Path(command[1]).name} failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.strip().split("\n")[-1])
    return answer, watch.cost() | {"peak_memory_mib": answer["peak_memory_mib"]}
