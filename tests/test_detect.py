"""Outliers: scikit-learn's contract, what the threshold promises, and where a sample is odd."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import Autoencoder, load, presets
from isthmus.apps import OutlierDetector
from isthmus.apps.detect import WEIGHTS, distance_to_nearest, gaussian, surprise
from isthmus.cli import main
from isthmus.page_detect import Findings, as_outliers, write
from isthmus.parts import Conv

QUICK = {"max_epochs": 2}


@parametrize_with_checks([OutlierDetector(QUICK, random_state=0)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def plane():
    """600 rows of 6 numbers, near a plane."""
    random = np.random.default_rng(0)
    return random.normal(size=(600, 2)) @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(600, 6))


@pytest.fixture(scope="module")
def detector(plane):
    return OutlierDetector({"max_epochs": 8}, random_state=0).fit(plane[:400])


@pytest.fixture(scope="module")
def odd(plane):
    """Rows each of whose columns looks ordinary."""
    return np.random.default_rng(1).permuted(plane[400:], axis=0)


# ------------------------------------------------------------------------------------------------ what it finds


def test_score_threshold_and_prediction_agree(detector, plane, odd):
    X = np.concatenate([plane, odd])
    scores, decisions = detector.score_samples(X), detector.decision_function(X)
    np.testing.assert_array_equal(decisions, scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(X), np.where(decisions < 0, -1, 1))
    parts = detector.distances(X)
    assert parts.keys() == WEIGHTS.keys()
    joined = sum(WEIGHTS[name] * values for name, values in parts.items()) / sum(WEIGHTS.values())
    np.testing.assert_allclose(scores, -joined)


def test_outliers_have_the_lower_scores(detector, plane, odd):
    labels = np.repeat([0, 1], 200)
    X = np.concatenate([plane[400:], odd])
    assert roc_auc_score(labels, -detector.score_samples(X)) > 0.95
    assert roc_auc_score(labels, detector.distances(X)["reconstruction"]) > 0.95  # they lie beside the plane
    far = np.concatenate([plane[400:], 4 * plane[400:]])
    for name in ("neighbours", "density"):  # these lie on it, where nothing else does
        assert roc_auc_score(labels, detector.distances(far)[name]) > 0.8, name


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_alone_makes_that_distance_the_score(name, plane):
    detector = OutlierDetector(QUICK, weights={name: 3.0}, random_state=0).fit(plane[:100])
    assert list(detector.distances(plane)) == [name]
    np.testing.assert_allclose(detector.score_samples(plane), -detector.distances(plane)[name])


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_false_alarms_are_as_rare_as_promised(share, plane):
    random = np.random.default_rng(2)
    alarms = []
    for seed in range(4):
        X = random.normal(size=(1400, 4))
        detector = OutlierDetector(QUICK, false_alarms=share, held_out=0.5, random_state=seed).fit(X[:400])
        alarms.append((detector.predict(X[400:]) < 0).mean())
    assert share / 3 < np.mean(alarms) < share + 0.03


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_contamination_is_the_share_of_x_that_is_flagged(share, plane):
    detector = OutlierDetector(QUICK, contamination=share, random_state=0)
    assert (detector.fit_predict(plane[:200]) < 0).sum() == share * 200


def test_contaminated_data_show_their_outliers(plane, odd):
    X = np.concatenate([plane[:380], 3 * odd[:20]])
    found = OutlierDetector({"max_epochs": 8}, contamination=0.05, random_state=0).fit_predict(X)
    assert (found[380:] < 0).mean() > 0.7


def test_the_same_seed_gives_the_same_scores(plane):
    first, second = (OutlierDetector(QUICK, random_state=3).fit(plane[:100]).score_samples(plane) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_no_code_is_its_own_neighbour():
    known = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    np.testing.assert_allclose(distance_to_nearest(known, known, 1), [1, 1, 2, 4])
    np.testing.assert_allclose(distance_to_nearest(known[:1] + 0.5, known, 2), [0.5])
    np.testing.assert_allclose(distance_to_nearest(known[:1], known, 100), [(1 + 3 + 7) / 3])


def test_density_is_that_of_a_gaussian():
    from scipy.stats import multivariate_normal

    codes = np.random.default_rng(0).normal(size=(5000, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 2]])
    mean, factor = gaussian(codes)
    np.testing.assert_allclose(factor @ factor.T, np.cov(codes.T), atol=0.1)
    expected = multivariate_normal(mean, factor @ factor.T).logpdf(codes[:50])
    np.testing.assert_allclose(surprise(codes[:50], mean, factor), -expected)


def test_codes_that_do_not_vary_are_no_trouble():
    detector = OutlierDetector(QUICK, random_state=0).fit(np.ones((20, 3)))
    assert np.isfinite(detector.score_samples(np.zeros((2, 3)))).all()


# ------------------------------------------------------------------------------------------------------- where


def test_explain_points_at_the_column_that_is_wrong(detector, plane):
    X = plane[400:500].copy()
    columns = np.arange(100) % 6
    X[np.arange(100), columns] += 4 * plane.std(0)[columns] * np.where(np.arange(100) % 2, 1, -1)
    found = detector.explain(X)
    assert found.shape == X.shape
    assert (found.argmax(1) == columns).mean() > 0.6
    assert 0.2 < np.median(detector.explain(plane[400:])) < 1.5


def test_explain_of_a_model_that_fills_in_hides_each_feature_first(plane):
    model = presets.masked(6, share=0.3, max_epochs=30, random_state=0).set_params(scale="standard")
    detector = OutlierDetector(model, random_state=0).fit(plane[:400])
    X = plane[400:500].copy()
    X[:, 2] += 5 * plane[:, 2].std()
    assert (detector.explain(X).argmax(1) == 2).mean() > 0.8


def test_explain_has_the_form_of_pictures(images):
    detector = OutlierDetector({"max_epochs": 1}, random_state=0).fit(images)
    assert detector.explain(images[:3]).shape == images[:3].shape
    assert isinstance(detector.model_.network_.architecture, Conv)


def test_explain_of_a_table_is_cell_by_cell():
    random = np.random.default_rng(0)
    size = random.normal(size=300)
    frame = pd.DataFrame({"size": size, "double": 2 * size, "colour": np.where(size > 0, "red", "blue")})
    detector = OutlierDetector({"max_epochs": 20}, random_state=0).fit(frame)
    wrong = pd.DataFrame({"size": [1.0], "double": [2.0], "colour": ["blue"]})
    assert detector.explain(wrong).shape == (1, 3)
    assert detector.explain(wrong).argmax() == 2
    assert detector.score_samples(wrong) < detector.score_samples(wrong.assign(colour="red"))


# ------------------------------------------------------------------------------------------------- kinds, files

KINDS = {
    "vectors": lambda random: random.normal(size=(40, 5)),
    "sparse": lambda random: sparse.random(40, 30, 0.3, "csr", rng=0),
    "frame": lambda random: pd.DataFrame(random.normal(size=(40, 3)), columns=list("abc")),
    "lengths": lambda random: [random.normal(size=(length, 2)) for length in random.integers(5, 12, 40)],
    "text": lambda random: ["a dog", "a cat", "one more dog", "two dogs"] * 10,
    "images": lambda random: random.integers(0, 255, (40, 8, 8), dtype=np.uint8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_scored_and_a_folder_gives_it_back(kind, tmp_path):
    X = KINDS[kind](np.random.default_rng(0))
    told = {"lengths": {"kind": "sequences"}}.get(kind, {})
    detector = OutlierDetector(told | {"max_epochs": 1}, random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert scores.shape == (40,) and np.isfinite(scores).all()
    detector.save(tmp_path / "detector")
    again = load(tmp_path / "detector")
    np.testing.assert_array_equal(again.score_samples(X), scores)
    np.testing.assert_array_equal(again.predict(X), detector.predict(X))
    if kind in ("vectors", "images"):
        np.testing.assert_array_equal(again.explain(X), detector.explain(X))


def test_a_code_as_large_as_its_sample_leaves_the_loss_alone():
    random = np.random.default_rng(0)
    X = [random.normal(size=(length, 2)) for length in random.integers(5, 12, 40)]
    model = Autoencoder(None, architecture="conv", kind="sequences", corruption="noise", max_epochs=1, random_state=0)
    detector = OutlierDetector(model, random_state=0).fit(X)
    assert list(detector.distances(X)) == ["reconstruction"]


def test_a_fitted_model_is_not_trained_again(plane):
    model = Autoencoder(2, max_epochs=2, random_state=0).fit(plane[:300])
    detector = OutlierDetector(model, random_state=0).fit(plane[300:])
    assert detector.model_ is model and model.n_iter_ == 2
    assert (detector.predict(plane[:50] + 20) < 0).all()


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contamination": 0.0}, r"contamination=0.0.*\(0, 0.5\]"),
        ({"contamination": 0.6}, r"contamination=0.6"),
        ({"contamination": "some"}, r"contamination='some'"),
        ({"false_alarms": 1.0}, r"false_alarms=1.0"),
        ({"n_neighbors": 0}, r"n_neighbors=0"),
        ({"held_out": 0}, r"held_out=0"),
        ({"weights": {"depth": 1}}, r"weights=.*reconstruction, neighbours, density"),
        ({"weights": {"density": -1}}, r"zero or more"),
        ({"weights": {"density": 0}}, r"above zero"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused_before_training(settings, message, plane):
    with pytest.raises(ValueError, match=message):
        OutlierDetector(**settings).fit(plane)


def test_too_few_samples_are_refused(plane):
    with pytest.raises(ValueError, match=r"9 sample\(s\).*10 or more"):
        OutlierDetector(QUICK).fit(plane[:9])


def test_other_data_are_refused(detector, plane, images):
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6"):
        detector.predict(plane[:, :5])
    gap = plane[:20].copy()
    gap[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity, first in sample 3"):
        detector.predict(gap)
    with pytest.raises(ValueError, match="NaN"):
        OutlierDetector(QUICK).fit(gap)
    with pytest.raises(ValueError):
        detector.predict(images)


def test_models_that_cannot_rebuild_the_samples_are_refused(plane, tmp_path):
    Autoencoder(2, max_epochs=1).fit(plane).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"only='encoder'.*Load it whole"):
        OutlierDetector(load(tmp_path / "model", only="encoder")).fit(plane)
    with pytest.raises(ValueError, match="a target of its own"):
        OutlierDetector(Autoencoder(2, max_epochs=1).fit(plane, target=plane[:, :2])).fit(plane)
    with pytest.raises(ValueError, match="condition"):
        OutlierDetector(Autoencoder(2, max_epochs=1).fit(plane, condition=plane[:, 0] > 0)).fit(plane)


def test_frames_whose_rows_are_no_samples_are_refused():
    steps = {"unique_id": np.repeat(["a", "b"], 20), "ds": np.tile(np.arange(20), 2), "y": np.arange(40.0)}
    with pytest.raises(ValueError, match="a list of arrays, one a sequence"):
        OutlierDetector(QUICK).fit(pd.DataFrame(steps))


def test_frames_of_any_library_and_files_are_split(tmp_path):
    import polars as pl

    cells = {"size": np.arange(30.0), "colour": ["red", "blue", "red"] * 10}
    pl.DataFrame(cells).write_parquet(tmp_path / "table.parquet")
    np.save(tmp_path / "rows.npy", np.arange(90.0).reshape(30, 3))
    for X in (pl.DataFrame(cells), pd.DataFrame(cells), str(tmp_path / "table.parquet"), str(tmp_path / "rows.npy")):
        detector = OutlierDetector({"max_epochs": 1}, random_state=0).fit(X)
        assert detector.score_samples(X).shape == (30,)


def test_what_has_no_places_cannot_be_explained():
    detector = OutlierDetector({"max_epochs": 1}, random_state=0).fit(["a dog", "a cat"] * 10)
    with pytest.raises(ValueError, match=r"Use distances\(X\)"):
        detector.explain(["a dog"])


# ------------------------------------------------------------------------------------------ page, command line


@pytest.fixture(scope="module")
def files(tmp_path_factory, plane, odd):
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "train.npy", plane[:400])
    np.save(folder / "new.npy", np.concatenate([plane[400:450], odd[:10]]))
    np.save(folder / "labels.npy", np.repeat([1, -1], [50, 10]))
    assert main(["fit", str(folder / "train.npy"), "--task", "detect", "--epochs", "8", "-o", str(folder / "m")]) == 0
    return folder


def test_the_command_line_scores_samples(files, capsys):
    assert main(["detect", str(files / "m"), str(files / "new.npy"), "-o", str(files / "s.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader((files / "s.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == told["samples"] == 60
    assert sum(int(row["outlier"]) for row in rows) == told["outliers"] >= 5
    assert main(["detect", str(files / "m"), str(files / "new.npy"), "-o", str(files / "s.npy")]) == 0
    np.testing.assert_allclose(np.load(files / "s.npy"), [float(row["score"]) for row in rows], rtol=1e-4)
    assert main(["detect", str(files / "m"), str(files / "new.npy"), "-o", str(files / "s.npy")]) == 1
    assert "already exists" in capsys.readouterr().err


def test_the_command_line_writes_a_page(files, capsys):
    pytest.importorskip("matplotlib")
    command = ["detect", str(files / "m"), str(files / "new.npy"), "-o", str(files / "s.html"), "--shape", "2,3"]
    assert main([*command, "--labels", str(files / "labels.npy"), "--train", str(files / "train.npy")]) == 0
    page = (files / "s.html").read_text()
    for words in ("isolation forest", "five neighbours", "AUROC", "false alarms", "Oddest", "Most ordinary", "In what respect"):
        assert words in page
    assert page.count("<img") == 48


def test_wrong_use_is_said(files, capsys, tmp_path):
    new, out = str(files / "new.npy"), str(tmp_path / "s.csv")
    assert main(["detect", str(files / "m" / "model"), new, "-o", out]) == 1
    assert "isthmus fit DATA --task detect" in capsys.readouterr().err
    assert main(["detect", str(files / "m"), new, "-o", str(tmp_path / "s.txt")]) == 1
    assert ".csv or .npy or .html" in capsys.readouterr().err
    assert main(["detect", str(files / "m"), new, "-o", out, "--shape", "5,5"]) == 1
    assert "their product" in capsys.readouterr().err
    assert main(["detect", str(files / "m"), new, "-o", out, "--labels", str(files / "train.npy")]) == 1
    assert "each of the 60 samples" in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def test_labels_are_read_both_ways():
    np.testing.assert_array_equal(as_outliers([1, -1], 2), [False, True])
    np.testing.assert_array_equal(as_outliers([0, 1], 2), [False, True])
    np.testing.assert_array_equal(as_outliers([True, False], 2), [True, False])
    with pytest.raises(ValueError, match="values"):
        as_outliers([1, 2], 2)


def test_a_page_of_columns_names_them(tmp_path):
    pytest.importorskip("matplotlib")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["length", "width", "<weight>"])
    detector = OutlierDetector(QUICK, random_state=0).fit(frame)
    page = write(Findings(detector, frame), tmp_path / "page.html").read_text()
    assert "length" in page and "&lt;weight&gt;" in page and "<weight>" not in page


def test_a_page_of_a_table_shows_its_cells(tmp_path):
    pytest.importorskip("matplotlib")
    frame = pd.DataFrame({"n": np.arange(40.0), "colour": ["red", "blue"] * 20})
    detector = OutlierDetector(QUICK, random_state=0).fit(frame)
    page = write(Findings(detector, frame), tmp_path / "page.html").read_text()
    assert "colour red" in page or "colour blue" in page
