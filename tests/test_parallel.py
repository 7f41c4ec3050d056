"""Several processes that train one model end where one process does, and only the first of them writes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pair import VECTORS, names

from isthmus import Autoencoder, load
from isthmus.parts import collective
from isthmus.parts.collective import Share

pytestmark = pytest.mark.distributed
PAIR = Path(__file__).with_name("pair.py")


def surroundings(**more) -> dict:
    paths = [str(PAIR.parents[1] / "src"), str(PAIR.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"} | more


def torchrun(*arguments, folder) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", *map(str, arguments)]
    return subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=240, cwd=folder)


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in ("0", "1"):
        told = surroundings(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, WORLD_SIZE="2", RANK=rank, LOCAL_RANK=rank)
        command = [sys.executable, str(PAIR), "table", str(folder)]
        started.append(subprocess.Popen(command, env=told, stderr=subprocess.PIPE, text=True))
    for process in started:
        said = process.communicate(timeout=400)[1]
        assert process.returncode == 0, said
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)], folder


@pytest.mark.parametrize("name", names())
def test_ten_steps_of_two_processes_are_those_of_one(name, pair):
    """In double precision, weights, figures and decisions; whatever is computed of a batch as a whole included."""
    found = pair[0][names().index(name) % 2]
    assert found[name] < 1e-6


def test_the_first_alone_writes_and_is_heard(pair):
    (first, second), folder = pair
    assert (first["heard"], second["heard"]) == (2, 0)
    assert first["weights"] == second["weights"]  # of a random_state=None, and ended by a callback of the first
    model = load(folder / "model")
    assert model.n_iter_ == 2 and [float(p.detach().double().sum()) for p in model.network_.parameters()] == first["weights"]
    assert json.loads((folder / "run" / "checkpoint.json").read_text())["state"]["step"] == 8
    assert len((folder / "run" / "history.jsonl").read_text().splitlines()) == 2


def test_more_processes_than_samples_in_a_batch_are_refused(pair):
    for found in pair[0]:
        assert "2 processes are to share batches of 1 samples" in found["too many"]


def test_all_say_which_sample_of_the_data_made_it_diverge(pair):
    first, second = (found["wild"] for found in pair[0])
    assert first == second and "sample 41" in first


def test_time_is_over_for_all_at_once(pair):
    first, second = (found["late"] for found in pair[0])
    assert first == second > 0


@pytest.mark.skipif("ISTHMUS_WHOLE" not in os.environ, reason="starts Python eight times: make test-distributed")
def test_a_process_that_is_killed_is_replaced_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    done = torchrun("--max-restarts", 1, PAIR, "killed", tmp_path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["first step"] == 31 and first["objective"] == second["objective"]
    whole = Autoencoder(4, max_epochs=4, batch_size=16, random_state=0).fit(VECTORS)
    assert first["objective"] == pytest.approx(whole.history_[-1]["objective"], rel=1e-4)


@pytest.mark.skipif("ISTHMUS_WHOLE" not in os.environ, reason="starts Python three times: make test-distributed")
def test_torchrun_starts_the_command(tmp_path):
    fit = ["-m", "isthmus", "fit", "digits:test", "-n", "4", "--epochs", "2", "-o", "model", "--json"]
    done = torchrun(*fit, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 2 and done.stderr.count("read as images") == 1
    assert load(tmp_path / "model").n_iter_ == 2


def test_alone_nothing_is_sent():
    x = torch.arange(3.0)
    assert all(function(x) is x for function in (collective.all_gather, collective.all_sum, collective.all_max))
    with collective.holding(Share(0, 3, 3, 3, 0, 2)):  # a batch too small to be shared
        assert collective.all_gather(x) is x and collective.kth_largest(x, 2) == 1
    assert np.isclose(float(collective.kth_largest(x, 1)), 2)
