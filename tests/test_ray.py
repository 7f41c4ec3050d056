"""A cluster of Ray, of two nodes on this machine: what it trains and encodes is what one process does."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isthmus import load
from isthmus.cli import main

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore"),  # Ray's own warnings
    pytest.mark.skipif("ISTHMUS_WHOLE" not in os.environ, reason="starts a cluster: make test-distributed"),
]
COLUMNS = [f"pixel{place}" for place in range(64)]


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("ray.train.torch", reason='needs pip install "isthmus[ray]"')
    from ray.cluster_utils import Cluster

    paths = [str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    told = {"PYTHONPATH": os.pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        node = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
        yield cluster.address
        cluster.shutdown()


def test_a_cluster_trains_and_encodes(address, digits, tmp_path):
    frame = pd.DataFrame(digits[0][:300], columns=COLUMNS)
    (tmp_path / "data").mkdir()
    for place in range(2):
        frame[place * 150 : (place + 1) * 150].to_parquet(tmp_path / "data" / f"{place}.parquet")
    data, model, codes = (str(tmp_path / name) for name in ("data/0.parquet", "model", "codes"))
    fit = ["fit", data, "--kind", "vectors", "-n", "3", "--epochs", "2", "--ray", address]
    assert main([*fit, "--workers", "2", "-o", model, "--checkpoint", str(tmp_path / "run")]) == 0
    assert main([*fit[:-2], "-o", str(tmp_path / "alone")]) == 0
    both = [load(path) for path in (model, tmp_path / "alone")]
    np.testing.assert_allclose(*(one.transform(frame) for one in both), rtol=1e-3, atol=1e-4)
    assert (tmp_path / "run" / "checkpoint.json").is_file()

    assert main(["encode", model, str(tmp_path / "data"), "-o", codes, "--ray", address, "--workers", "1"]) == 0
    written = pd.concat([pd.read_parquet(file) for file in sorted(Path(codes).glob("*.parquet"))])
    np.testing.assert_allclose(written.to_numpy(), both[0].transform(frame), rtol=1e-6)
    assert list(written) == list(both[0].get_feature_names_out())


def test_more_workers_than_the_cluster_has_room_for_are_refused(address, tmp_path, capsys):
    assert main(["fit", "digits:test", "-o", str(tmp_path / "m"), "--ray", address, "--workers", "50"]) == 1
    assert "has 4 CPUs. Ask for 4 or fewer." in capsys.readouterr().err


def test_what_a_worker_says_went_wrong_is_said(address, tmp_path, capsys):
    assert main(["fit", str(tmp_path / "none.csv"), "-o", str(tmp_path / "m"), "--ray", address, "--workers", "1"]) == 1
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "6379"])
def test_an_address_that_nobody_answers_at_is_refused_within_seconds(address, tmp_path, capsys):
    pytest.importorskip("ray")
    began = time.perf_counter()
    assert main(["fit", "digits:test", "-o", str(tmp_path / "m"), "--ray", address]) == 1
    assert address in capsys.readouterr().err
    assert time.perf_counter() - began < 20 and not (tmp_path / "m").exists()


def test_workers_without_a_cluster_are_refused(tmp_path, capsys):
    assert main(["fit", "digits:test", "-o", str(tmp_path / "m"), "--workers", "2"]) == 1
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err
