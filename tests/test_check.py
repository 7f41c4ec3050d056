"""`check`: whether new data look like those a model was trained on, and what a model remembers for it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isthmus import Autoencoder, load, presets
from isthmus.apps import OutlierDetector, check
from isthmus.cli import main

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def cloud():
    """3000 rows of 6 numbers near a plane, one of them a count with many zeros."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 2)) @ random.normal(size=(2, 6)) + 0.3 * random.normal(size=(3000, 6))
    X[:, 5] = random.poisson(0.5, 3000)
    return X


@pytest.fixture(scope="module")
def fitted(cloud):
    return Autoencoder(2, max_epochs=10, random_state=0).fit(cloud[:2000], validation=0.1)


# ----------------------------------------------------------------------------------------------------- verdicts


def test_more_of_the_same_is_alike(fitted, cloud):
    found = check(fitted, cloud[2000:])
    assert found and found.verdict == "alike"
    assert found.samples == 1000 and found.features == 6 and found.held_out
    assert found.odd < 0.05 and found.drifted == []
    assert found.odd == (found.oddness > 1).mean()


def test_one_sample_and_few_are_judged_too(fitted, cloud):
    assert check(fitted, cloud[2000:2001]).verdict == "alike"
    assert check(fitted, cloud[2000:2020]).verdict == "alike"
    assert check(fitted, 20 + cloud[2000:2001]).verdict == "foreign"


@pytest.mark.parametrize("column", range(6))
def test_a_column_that_moved_is_named(fitted, cloud, column):
    X = cloud[2000:].copy()
    X[:, column] += 0.7 * X[:, column].std()
    found = check(fitted, X)
    assert found.verdict != "alike"
    assert [one["feature"] for one in found.drifted] == [f"x{column}"]
    assert 0.1 < found.drifted[0]["shift"] <= 1 and found.drifted[0]["chance"] < 0.01


def test_a_column_of_another_shape_is_named_though_its_mean_and_spread_stayed(fitted, cloud):
    X = cloud[2000:].copy()
    X[:, 1] = X[:, 1].mean() + X[:, 1].std() * np.where(np.arange(1000) % 2, 1, -1)
    assert [one["feature"] for one in check(fitted, X).drifted] == ["x1"]


def test_what_hangs_together_otherwise_is_foreign_though_no_column_moved(fitted, cloud):
    found = check(fitted, np.random.default_rng(0).permuted(cloud[2000:], axis=0))
    assert found.verdict == "foreign" and not found
    assert found.odd > 0.2 and found.drifted == []


def test_a_shift_is_the_share_that_lies_elsewhere(fitted, cloud):
    found = fitted.compare(np.where(np.arange(6) == 3, cloud.max(0) + 9, cloud)[:1000])
    assert found.shift[3] == pytest.approx(0.9, abs=0.02)  # all of them above the ninth tenth, where a tenth lay
    np.testing.assert_array_less(found.shift[[0, 1, 2, 4, 5]], 0.1)


def test_noise_alone_is_no_drift(cloud):
    """Of ordinary data with a hundred columns none is named, however few samples there are."""
    random = np.random.default_rng(1)
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(random.normal(size=(1000, 100)))
    for count in (3, 30, 300):
        assert check(model, random.normal(size=(count, 100))).drifted == []


def test_a_feature_that_was_constant_is_named_when_it_moves():
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=(300, 3)), np.full(300, 7.0)])
    model = Autoencoder(2, max_epochs=2, random_state=0).fit(X)
    assert "x3" not in [one["feature"] for one in check(model, X).drifted]
    X[:100, 3] = 7.5
    assert "x3" in [one["feature"] for one in check(model, X).drifted]


# -------------------------------------------------------------------------------------------------------- kinds


def test_columns_of_tables_have_their_names():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.normal(size=600), "colour": random.choice(["red", "blue"], 600), "when": pd.Timestamp(0)}
    )
    frame["when"] += pd.to_timedelta(random.integers(0, 900, 600), unit="D")
    model = Autoencoder(2, kind="table", max_epochs=5, random_state=0).fit(frame[:400])
    assert check(model, frame[400:]).drifted == []
    moved = frame[400:].assign(colour=random.choice(["red", "blue"], 200, p=[0.9, 0.1]))
    found = check(model, moved)
    assert [one["feature"] for one in found.drifted] == ["colour"] and found.features == 3
    moved = frame[400:].assign(size=np.nan, when=pd.Timestamp("2020-01-01"))
    assert {one["feature"] for one in check(model, moved).drifted} == {"size", "when"}


def test_columns_of_frames_and_pixels_have_their_names(images, X):
    frame = pd.DataFrame(X).add_prefix("pixel")
    model = Autoencoder(3, max_epochs=1, random_state=0).fit(frame)
    assert check(model, frame.assign(pixel20=0.0)).drifted[0]["feature"] == "pixel20"
    model = Autoencoder(3, max_epochs=1, random_state=0).fit(images)
    moved = images.copy()
    moved[:, 2, 4] = 0
    assert [one["feature"] for one in check(model, moved).drifted] == ["(2, 4)"]


def test_samples_of_several_lengths_are_compared_by_channel():
    random = np.random.default_rng(0)
    X = [random.normal(size=(length, 2)) for length in random.integers(5, 30, 300)]
    model = Autoencoder(4, kind="sequences", max_epochs=1, random_state=0).fit(X[:200])
    assert check(model, X[200:]).drifted == []
    moved = [x * [1, 3] for x in X[200:]]
    assert [one["feature"] for one in check(model, moved).drifted] == ["channel 1"]
    maps = Autoencoder(None, kind="sequences", architecture="conv", corruption="noise", max_epochs=1, random_state=0).fit(X[:200])
    found = maps.compare(X[200:])
    assert found.distances is None and found.losses.shape == (100,)


def test_text_and_wide_rows_are_compared():
    model = Autoencoder(4, kind="text", max_epochs=1, random_state=0).fit(["a dog", "a cat", "two dogs"] * 30)
    assert [one["feature"] for one in check(model, ["狗在"] * 90).drifted] == ["tokens"]
    X = np.random.default_rng(0).normal(size=(60, 5000)).astype(np.float32)
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
    assert check(model, X).features == 4096


def test_a_target_a_condition_and_an_application_are_passed_on(cloud):
    X, sign = cloud[:400], cloud[:400, 0] > 0
    model = Autoencoder(2, max_epochs=2, random_state=0).fit(X, target=X[:, :2])
    assert model.compare(X).losses is None and model.compare(X, target=X[:, :2]).losses.shape == (400,)
    told = presets.conditional(2, max_epochs=2, random_state=0).fit(X, condition=sign)
    assert check(told, X, condition=sign).odd < 0.1
    with pytest.raises(ValueError, match="condition"):
        check(told, X)
    detector = OutlierDetector({"max_epochs": 2}, random_state=0).fit(X)
    assert check(detector, X).samples == 400


# ------------------------------------------------------------------------------------------- what is remembered


def test_what_is_remembered_is_saved_and_small(fitted, cloud, tmp_path):
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    first, second = fitted.compare(cloud), again.compare(cloud)
    np.testing.assert_allclose(first.oddness, second.oddness, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(first.shift, second.shift, atol=1e-6)
    kept = fitted.reference_.tensors()
    assert sum(tensor.numel() for tensor in kept.values()) < 2 * 1024 + 6 * 32 + 8
    assert all(name in ("losses", "distances") or len(tensor) <= 6 for name, tensor in kept.items() if tensor.ndim)


def test_held_out_samples_say_what_is_ordinary():
    """A network that knows its few samples by heart finds all others odd, unless others say what is ordinary."""
    X = np.random.default_rng(0).normal(size=(1500, 20))
    settings = {"corruption": None, "max_epochs": 60, "random_state": 0}
    alone, told = Autoencoder(15, **settings).fit(X[:150]), Autoencoder(15, **settings).fit(X[:150], validation=X[150:500])
    assert not check(alone, X[500:]).held_out and "validation=0.1" in str(check(alone, X[500:]))
    found = check(told, X[500:])
    assert found.held_out and "validation" not in str(found) and found.odd < 0.05
    assert told.reference_.margin == 1 < 2.2 < alone.reference_.margin < 2.3
    limits = [np.quantile(model.reference_.losses, 0.99) for model in (alone, told)]
    assert (told.compare(X[500:]).losses > limits[0]).mean() > 0.2 > 0.05 > (told.compare(X[500:]).losses > limits[1]).mean()


def test_few_samples_without_validation_raise_no_alarm(digits):
    X = np.random.default_rng(0).permutation(digits[0])
    model = Autoencoder(8, max_epochs=40, random_state=0).fit(X[:600])
    assert check(model, X[600:]).verdict == "alike"
    assert check(model, 1 - X[600:]).verdict == check(model, np.random.default_rng(0).permuted(X, axis=0)).verdict == "foreign"


def test_streams_remember_their_last_part(cloud):
    model = Autoencoder(2, random_state=0)
    for part in np.array_split(cloud[:900], 3):
        model.partial_fit(part)
    assert check(model, cloud[900:1200]).odd < 0.15


@pytest.mark.parametrize("name", ["v1-dense", "v1-conv"])
def test_a_model_of_an_earlier_version_says_that_it_cannot_be_checked(name, tmp_path):
    model = load(GOLDEN / name / "model")
    X = np.load(GOLDEN / name / "input.npy")
    with pytest.raises(ValueError, match=r"remembered nothing.*Fit it again"):
        check(model, X)
    model.save(tmp_path / "again")  # and it can be saved as it is
    assert load(tmp_path / "again").reference_ is None


def test_bad_data_are_refused(fitted, cloud, tmp_path):
    with pytest.raises(ValueError, match="5 features"):
        check(fitted, cloud[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        check(fitted, np.full((2, 6), np.nan))
    fitted.save(tmp_path / "model")
    with pytest.raises(ValueError, match="Load it whole"):
        check(load(tmp_path / "model", only="encoder"), cloud)


# ------------------------------------------------------------------------------------------------ command line


def test_the_command_ends_with_one_where_data_are_foreign(fitted, cloud, tmp_path, capsys):
    fitted.save(tmp_path / "m")
    np.save(tmp_path / "same.npy", cloud[2000:])
    np.save(tmp_path / "other.npy", 5 - cloud[2000:] * 3)
    assert main(["check", str(tmp_path / "m"), str(tmp_path / "same.npy")]) == 0
    assert capsys.readouterr().out.startswith("alike: ")
    assert main(["check", str(tmp_path / "m"), str(tmp_path / "other.npy"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (
        told["verdict"] == "foreign" and told["samples"] == 1000 and told["drifted"][0].keys() == {"feature", "shift", "chance"}
    )
    assert main(["check", str(GOLDEN / "v1-dense" / "model"), str(GOLDEN / "v1-dense" / "input.npy")]) == 1
    assert "Fit it again" in capsys.readouterr().err
