"""The benchmarks' own machinery: what is logged, what is made of it, and that a table runs."""

import json
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def root_on_path(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


def record(value, goal=None, date="2026-01-01", row="a row", **rest):
    nothing = {"baseline": {}, "published": {}, "also": {}, "cost": {}, "skipped": "", "seed": 0, "unit": "s"}
    return nothing | {"row": row, "value": value, "goal": goal or {}, "date": date} | rest


def test_a_run_is_logged_and_becomes_a_table(tmp_path):
    from benchmarks.__main__ import main

    main(["blobs", "--quick", "--logs", str(tmp_path / "logs")])
    main(["results", "--logs", str(tmp_path / "logs")])
    lines = (tmp_path / "logs" / "blobs.jsonl").read_text().splitlines()
    fields = {"benchmark", "row", "settings", "seed", "value", "unit", "goal", "baseline", "versions", "machine", "cost", "data"}
    assert all(fields < json.loads(line).keys() for line in lines)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| error against PCA" in text and "Not run yet: `python -m benchmarks hinton`" in text
    assert socket.gethostname() not in "".join(lines) and str(Path.home()) not in "".join(lines)


def test_a_trial_is_not_logged(tmp_path, monkeypatch):
    from benchmarks.__main__ import parse

    assert parse(["blobs", "--quick"]).logs is None
    assert parse(["blobs"]).logs == ROOT / "benchmarks" / "logs"


@pytest.mark.parametrize(
    ("values", "goal", "verdict"),
    [
        ([2.0], {"at_most": 2.0}, "met"),
        ([1.0, 1.9, 9.0], {"at_most": 2.0}, "met"),
        ([2.2], {"at_most": 2.0}, "**missed** by 10.0%"),
        ([0.81], {"at_least": 0.9}, "**missed** by 10.0%"),
        ([None], {"at_most": 2.0}, "**missed**: not reached"),
        ([1.0, None, None], {"at_most": 2.0}, "**missed**: not reached"),
        ([5.0], {}, ""),
    ],
)
def test_the_median_is_held_against_the_goal(values, goal, verdict):
    from benchmarks import results

    assert results.verdict([record(value, goal) for value in values]) == verdict


def test_the_newest_run_of_a_row_counts():
    from benchmarks import results

    old, new = [record(1, date="2026-01-01"), record(2, date="2026-01-01")], [record(3, date="2026-01-02")]
    assert results.newest([*old, *new, record(4, row="another")])["a row"] == new
