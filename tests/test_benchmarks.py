"""The benchmarks' own machinery: what is logged, what is made of it, and that a table runs."""

import json
import socket
from pathlib import Path

import pytest

from isthmus import presets

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
    assert (tmp_path / "variants.md").exists()
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


# ------------------------------------------------------------------------------------- what is written from the logs


@pytest.fixture
def logs():
    folder = ROOT / "benchmarks" / "logs"
    if not folder.is_dir():
        pytest.skip("the logs are in the repository, and not in a source distribution")
    return folder


def test_results_are_what_the_logs_say(logs):
    from benchmarks import results

    assert (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8") == results.text(logs)


def test_the_variants_are_what_code_tests_and_logs_say(logs):
    from benchmarks import variants

    page = variants.text(presets.PRESETS, variants.laws_of(variants.TESTS), variants.facts_of(logs))
    assert (ROOT / "docs" / "variants.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_has_a_law_of_its_own(name):
    from benchmarks import variants

    assert variants.laws_of(variants.TESTS).get(name)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_has_a_fact_that_was_measured(name, logs):
    """Whether it meets its goal or not: what counts is that there is a number, beside a baseline."""
    from benchmarks import variants

    measured = variants.COLUMNS.index("measured")
    assert any(fact[measured] != "–" for fact in variants.facts_of(logs).get(name, []))


def test_laws_are_marked_with_names_of_presets():
    from benchmarks import variants

    assert set(variants.laws_of(variants.TESTS)) <= {variants.EVERY, *presets.PRESETS}


def test_laws_are_found_by_their_mark_and_shown_as_words(tmp_path):
    from benchmarks import variants

    code = '@pytest.mark.slow\n@pytest.mark.law_of("topk", "vq")\n@pytest.mark.parametrize("k", K)\ndef test_few_speak(k): ...\n'
    (tmp_path / "test_a.py").write_text(code + "def test_another(): ...\n")
    link = f"[few speak](../{tmp_path.name}/test_a.py)"
    assert variants.laws_of(tmp_path) == {"topk": [link], "vq": [link]}


def test_facts_go_to_the_preset_that_their_row_begins_with(tmp_path):
    from benchmarks import TABLES, variants

    rows = [
        record(3.0, {"at_most": 2.0}, row="topk, L0 = 8: error", baseline={"PCA": 4.0}),
        record(1.0, {"at_most": 2.0}, row="topk: seconds"),
        record(7.0, row="vq: bytes"),
        record(1.0, row="digits, k = 2"),
    ]
    (tmp_path / f"{TABLES[0]}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    facts = variants.facts_of(tmp_path)
    where = f"[{TABLES[0]}](../benchmarks/{TABLES[0]}.py)"
    assert facts["topk"][0] == ("L0 = 8: error", "3", "s", "1", "PCA 4", "≤ 2", "**missed** by 50.0%", where)
    assert list(facts) == ["topk", "vq"] and [line[0] for line in facts["topk"]] == ["L0 = 8: error", "seconds"]
    page = variants.text(presets.PRESETS, {}, facts)
    assert "| 1 missed, 1 met |" in page and "| 1 reported |" in page and "| " + " | ".join(facts["topk"][0]) + " |" in page
    assert page.count("No fact measured yet.") == len(presets.PRESETS) - 2


# --------------------------------------------------------------------------------------------- compared with codecs


def test_bytes_and_quality_are_read_between_two_settings_of_a_codec():
    import numpy as np

    from benchmarks import lossy

    y, x = np.mgrid[:64, :64]
    picture = (127 + 60 * np.sin(x / 3) * np.cos(y / 5)).astype(np.uint8)
    codec, settings = lossy.codecs()["JPEG"]
    sizes = {}
    for setting in (20, 21):
        data, back = codec(picture, setting)
        sizes[setting] = (len(data), lossy.picture_psnr(back, picture))
    between = (sizes[20][1] + sizes[21][1]) / 2
    assert sizes[20][0] <= lossy.bytes_at(codec, settings, picture, between) <= sizes[21][0]
    curve = lossy.points(codec, picture)
    assert lossy.at_bytes(curve, 1) == min(quality for _, quality in curve)
    assert lossy.bytes_of(curve, lossy.at_bytes(curve, curve[9][0])) == pytest.approx(curve[9][0], rel=0.01)
    assert lossy.of_the_model(100, 0) == {"model bytes": 100} and lossy.of_the_model(100, 5)["breaks even at"] == 20
