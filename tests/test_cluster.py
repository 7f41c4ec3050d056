"""Groups: that they are found, by every way, and found again; what a folder, the command line and a page make of them."""

import csv
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import Autoencoder, cli, load
from isthmus.apps import Clusterer
from isthmus.apps.cluster import agreement, matched_accuracy
from isthmus.apps.grouping import METHODS, Graph, chosen_number, stability
from isthmus.apps.neighbours import diffused, graph_of, modularity, nearest, walk_of
from isthmus.page_cluster import GroupStudy, write

QUICK = {"max_epochs": 10}


def blobs(centers: int, count: int = 240, seed: int = 0):
    """Points far enough apart that the groups are beyond doubt, the same number around each centre."""
    return make_blobs(count, centers=12 * np.eye(6)[:centers], random_state=seed)


def call(*tokens) -> int:
    return cli.main([str(token) for token in tokens])


def width_of(path) -> int:
    with Image.open(path) as picture:
        return picture.size[0]


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    X, y = blobs(4)
    return Clusterer(QUICK, n_clusters=4, method=request.param, random_state=0).fit(X), X, y


@pytest.fixture(scope="module")
def pictures(digits):
    """Scanned noughts, threes and sixes, (n, 8, 8), uint8, and which of them each is."""
    some = np.isin(digits[1], (0, 3, 6))
    return (digits[0][some] * 255).round().astype(np.uint8).reshape(-1, 8, 8)[:360], digits[1][some][:360]


@pytest.fixture(scope="module")
def of_pictures(pictures):
    return Clusterer({"max_epochs": 12}, n_clusters=3, random_state=0).fit(pictures[0])


# -------------------------------------------------------------------------------------------------- the contract


@parametrize_with_checks([Clusterer({"max_epochs": 2}, n_clusters=3, method=method, random_state=0) for method in METHODS])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_more_groups_than_different_samples_are_said():
    with pytest.warns(UserWarning, match="1 different code"):
        Clusterer({"max_epochs": 1}, n_clusters=3, random_state=0).fit(np.ones((50, 4)))


def test_groups_that_are_there_are_found(fitted):
    groups, _, y = fitted
    assert adjusted_rand_score(y, groups.labels_) > 0.95
    new, new_y = blobs(4, 100, seed=1)
    assert adjusted_rand_score(new_y, groups.predict(new)) > 0.95


def test_samples_of_fit_keep_their_group_in_any_company(fitted):
    groups, X, _ = fitted
    np.testing.assert_array_equal(groups.predict(X), groups.labels_)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(groups.predict(X[order]), groups.labels_[order])
    np.testing.assert_array_equal(np.concatenate([groups.predict(X[i : i + 1]) for i in range(20)]), groups.labels_[:20])


def test_the_same_seed_gives_the_same_groups(fitted):
    groups, X, _ = fitted
    np.testing.assert_array_equal(clone(groups).fit_predict(X), groups.labels_)


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_group_is_the_first(method):
    X, _ = make_blobs([20, 60, 40], centers=np.eye(3, 6) * 12, random_state=0)
    groups = Clusterer(QUICK, n_clusters=3, method=method, random_state=0).fit(X)
    assert np.bincount(groups.labels_).tolist() == [60, 40, 20]
    means = [groups.model_.transform(X)[groups.labels_ == k].mean(0) for k in range(3)]
    np.testing.assert_allclose(groups.cluster_centers_, means, atol=1e-5)


def test_typical_samples_lie_near_the_mean_of_their_group(fitted):
    groups, X, _ = fitted
    codes = groups.model_.transform(X).astype(float)
    expected = -np.linalg.norm(codes - groups.cluster_centers_[groups.labels_], axis=1)
    np.testing.assert_allclose(groups.typicality(X), expected, atol=1e-5)


def test_pictures_are_grouped_by_what_they_show(of_pictures, pictures):
    assert matched_accuracy(of_pictures.labels_, pictures[1]) > 0.95
    assert type(of_pictures.model_.corruption).__name__ == "Warp"


def test_a_fitted_model_is_used_as_it_stands():
    X, _ = blobs(3)
    model = Autoencoder(4, corruption="noise", max_epochs=2, random_state=0).fit(X)
    assert Clusterer(model, n_clusters=3).fit(X).model_ is model


def test_one_group_holds_all(fitted):
    method, X = fitted[0].method, fitted[1]
    groups = Clusterer(QUICK, n_clusters=1, method=method, random_state=0).fit(X)
    assert not groups.labels_.any() and not groups.predict(X + 1).any()


def test_as_many_groups_as_samples():
    X = np.random.default_rng(0).normal(size=(5, 3))
    for method in ("graph", "kmeans"):
        assert sorted(Clusterer(QUICK, n_clusters=5, method=method, random_state=0).fit(X).labels_) == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------------------------------------------- how many


@pytest.mark.parametrize("centers", [2, 5])
def test_the_number_of_groups_is_found(centers, fitted):
    X, y = blobs(centers, 200)
    groups = Clusterer(QUICK, method=fitted[0].method, max_clusters=8, random_state=0).fit(X)
    assert groups.n_clusters_ == centers and adjusted_rand_score(y, groups.labels_) > 0.95
    assert set(groups.stability_) == set(range(2, 9)) and groups.stability_[centers] > 0.95


def test_where_there_are_no_groups_there_is_one():
    X = np.random.default_rng(0).normal(size=(400, 6))
    stable = stability(Graph(15), X, 8, np.random.RandomState(0))
    assert max(stable.values()) < 0.6 and chosen_number(stable) == 1


@pytest.mark.parametrize("method", METHODS)
def test_samples_that_are_all_alike_are_one_group(method):
    assert Clusterer({"max_epochs": 1}, method=method, random_state=0).fit(np.ones((12, 4))).n_clusters_ == 1


def test_the_largest_of_the_most_stable_numbers_is_chosen():
    assert chosen_number({2: 1.0, 3: 0.996, 4: 0.99}) == 3
    assert chosen_number({2: 0.5, 3: 0.59}) == 1
    assert chosen_number({}) == 1


def test_scanned_digits_are_ten_kinds_give_or_take_two_ways_to_write_one(digits):
    X, y = digits
    stable = stability(Graph(15), X, 16, np.random.RandomState(0))
    assert 10 <= chosen_number(stable) <= 13 and stable[10] > 0.9 > 0.75 > stable[6]
    labels = Graph(15).fit(X, 10, np.random.RandomState(0))
    plain = KMeans(10, n_init=3, random_state=0).fit_predict(X)
    assert agreement(labels, y)["NMI"] > agreement(plain, y)["NMI"] + 0.1


# --------------------------------------------------------------------------------------------------- the graph


def test_the_graph_finds_what_no_mean_describes():
    X, y = make_circles(600, factor=0.4, noise=0.05, random_state=0)
    assert adjusted_rand_score(y, Graph(10).fit(X, 2, np.random.RandomState(0))) > 0.99
    assert adjusted_rand_score(y, KMeans(2, n_init=1, random_state=0).fit_predict(X)) < 0.1


def test_neighbours_are_the_nearest():
    random = np.random.default_rng(0)
    codes, known = random.normal(size=(30, 4)), random.normal(size=(50, 4))
    distance, place = nearest(codes, known, 6)
    every = np.linalg.norm(codes[:, None] - known, axis=2)
    np.testing.assert_array_equal(place, np.argsort(every, axis=1)[:, :6])
    np.testing.assert_allclose(distance, np.sort(every, axis=1)[:, :6])
    assert not nearest(known, known, 3)[0][:, 0].any()


@pytest.mark.parametrize("twins", [False, True])
def test_the_graph_is_symmetric_and_joins_nobody_to_himself(twins):
    codes = np.random.default_rng(0).normal(size=(60, 3))
    codes[20:50] = codes[20] if twins else codes[20:50]
    graph = graph_of(codes, 5)
    assert (graph != graph.T).nnz == 0 and not graph.diagonal().any()
    assert (np.diff(graph.indptr) >= 5).all() and graph.data.min() > 0 and graph.data.max() <= 1


def test_a_walk_that_cannot_leave_has_rate_one():
    X, y = blobs(3, 90)
    rates, modes = walk_of(graph_of(X, 5), 6, np.random.RandomState(0))
    assert (rates[:3] > 0.999).all() and (rates[3:] < 0.999).all()
    places = diffused(rates, modes, 40)
    within = [np.ptp(places[y == k], axis=0).max() for k in range(3)]
    assert max(within) < 0.1 and np.linalg.norm(places[y == 0][0] - places[y == 1][0]) > 1


def test_modes_are_those_of_the_random_walk():
    codes = np.random.default_rng(0).normal(size=(500, 4))  # more than are decomposed at once
    graph = graph_of(codes, 8)
    rates, modes = walk_of(graph, 5, np.random.RandomState(0))
    degree = np.asarray(graph.sum(1)).ravel()
    faint = 0.1 * degree.mean() / 500
    moved = (graph @ modes + faint * modes.sum(0)) / (degree + faint * 500)[:, None]
    np.testing.assert_allclose(moved[:, 1:] * 1.1, modes[:, 1:] * (2 * rates[1:] - 1), atol=1e-6)
    np.testing.assert_allclose(moved[:, 0], modes[:, 0], atol=1e-6)


def test_modularity_of_two_cliques_is_a_half():
    codes = np.repeat([[0.0], [100.0]], 6, axis=0) + np.tile(np.arange(6), 2)[:, None]
    graph = graph_of(codes, 5)
    assert modularity(graph, np.repeat([0, 1], 6)) == pytest.approx(0.5)
    assert modularity(graph, np.zeros(12, int)) == pytest.approx(0)


def test_agreement_is_blind_to_the_names_of_groups():
    truth = np.array(list("aaabbbccc"))
    assert agreement(np.array([5, 5, 5, 1, 1, 1, 0, 0, 0]), truth) == pytest.approx({"accuracy": 1, "NMI": 1, "ARI": 1})
    assert matched_accuracy([0, 0, 0, 0, 0, 0, 1, 1, 1], truth) == pytest.approx(6 / 9)


# -------------------------------------------------------------------------------------------------- being kept


def test_a_folder_gives_back_the_groups(fitted, tmp_path):
    groups, X, _ = fitted
    groups.save(tmp_path / "groups")
    again = load(tmp_path / "groups")
    np.testing.assert_array_equal(again.labels_, groups.labels_)
    np.testing.assert_array_equal(again.predict(X + 0.3), groups.predict(X + 0.3))
    np.testing.assert_array_equal(again.typicality(X), groups.typicality(X))
    assert (again.n_clusters_, again.stability_, repr(again)) == (groups.n_clusters_, groups.stability_, repr(groups))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(groups)).predict(X), groups.labels_)


def test_how_stable_every_number_was_is_kept(tmp_path):
    X, _ = blobs(3, 60)
    groups = Clusterer(QUICK, method="kmeans", max_clusters=4, random_state=0).fit(X)
    groups.save(tmp_path / "groups")
    assert load(tmp_path / "groups").stability_ == groups.stability_ and set(groups.stability_) == {2, 3, 4}


# --------------------------------------------------------------------------------------------------- bad input

ROWS = np.random.default_rng(0).normal(size=(20, 4))
REFUSED = {
    "more clusters than samples": ({"n_clusters": 21}, ROWS, "n_clusters=21, but X has 20 sample"),
    "more clusters than sentences": ({"n_clusters": 3}, ["a", "b"], "n_clusters=3, but X has 2 sample"),
    "one sample": ({}, ROWS[:1], "X has 1 sample.*Give two or more"),
    "no samples": ({}, ROWS[:0], "0 sample"),
    "no clusters": ({"n_clusters": 0}, ROWS, "n_clusters=0: a whole number of 1 or more is expected, or 'auto'"),
    "half a cluster": ({"n_clusters": 2.5}, ROWS, "n_clusters=2.5"),
    "an unknown method": ({"method": "magic"}, ROWS, "method='magic' is not known. Choose 'graph', 'kmeans' or 'mixture'"),
    "no neighbours": ({"n_neighbors": 0}, ROWS, "n_neighbors=0"),
    "NaN": ({}, np.where(ROWS > 2, np.nan, ROWS), "NaN"),
}


@pytest.mark.parametrize("settings, X, said", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_grouped_is_refused_before_training(settings, X, said, monkeypatch):
    if said != "NaN":
        monkeypatch.setattr(Autoencoder, "fit", lambda *_, **__: pytest.fail("a model was trained"))
    with pytest.raises(ValueError, match=said):
        Clusterer(QUICK, **settings).fit(X)


def test_a_file_with_fewer_samples_than_clusters_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    with pytest.raises(ValueError, match="n_clusters=21, but X has 20 sample"):
        Clusterer({"max_epochs": 1}, n_clusters=21).fit(str(tmp_path / "x.npy"))


@pytest.mark.parametrize("query", [ROWS[:, :3], np.zeros((2, 8, 8), np.uint8), ["a", "b"]], ids=["columns", "pictures", "text"])
def test_a_query_of_another_kind_is_refused(query, fitted):
    with pytest.raises((ValueError, TypeError)):
        fitted[0].predict(query)


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    """A folder with pictures in an array, one with them in files, and groups of them."""
    folder = tmp_path_factory.mktemp("cluster")
    np.save(folder / "x.npy", pictures[0])
    (folder / "files").mkdir()
    for place, picture in enumerate(pictures[0][:6]):
        Image.fromarray(picture).save(folder / "files" / f"{place}.png")
    assert call("fit", folder / "x.npy", "--task", "cluster", "--set", "n_clusters=3", "--epochs", 5, "-o", folder / "m") == 0
    return folder


def test_the_command_line_fits_groups_and_writes_them(folder, pictures, tmp_path, capsys):
    groups = load(folder / "m")
    assert groups.n_clusters == 3 and groups.model_.n_iter_ == 5
    assert call("cluster", folder / "m", folder / "x.npy", "-o", tmp_path / "groups.npy", "--json") == 0
    assert json.loads(capsys.readouterr().out)["groups"] == np.bincount(groups.labels_).tolist()
    np.testing.assert_array_equal(np.load(tmp_path / "groups.npy"), groups.labels_)
    assert call("cluster", folder / "m", folder / "x.npy", "-o", tmp_path / "groups.csv") == 0
    with open(tmp_path / "groups.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["group"]) for row in rows] == groups.labels_.tolist() and [row["row"] for row in rows[:2]] == ["0", "1"]
    assert call("cluster", folder / "m", folder / "files", "-o", tmp_path / "files.csv") == 0
    assert (tmp_path / "files.csv").read_text().splitlines()[0] == "name,group,distance"
    assert "0.png" in (tmp_path / "files.csv").read_text()
    assert call("cluster", folder / "m", folder / "files", "-o", tmp_path / "files.png") == 0
    assert call("cluster", folder / "m", folder / "x.npy", "-o", tmp_path / "groups.png") == 0
    assert width_of(tmp_path / "groups.png") > 800
    assert call("cluster", folder / "m", folder / "x.npy", "-o", tmp_path / "groups.html") == 0
    page = (tmp_path / "groups.html").read_text()
    assert page.count("<h3>Group") == 3 and page.count("<img") == 3 * 15 and "Beside the labels" not in page


def test_labels_are_compared_with_where_the_data_have_them(tmp_path, capsys):
    given = ("--task", "cluster", "--set", "n_clusters=10", "--set", "method=kmeans", "--epochs", 1)
    assert call("fit", "digits:test", *given, "-o", tmp_path / "m") == 0
    capsys.readouterr()
    assert call("cluster", tmp_path / "m", "digits:test", "-o", tmp_path / "groups.html", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["agreement"]
    assert [row["method"] for row in rows] == ["k-means on codes", "k-means on the data"] and 0.4 < rows[1]["accuracy"] < 0.95
    assert "Beside the labels" in (tmp_path / "groups.html").read_text()


@pytest.mark.parametrize(
    "tokens, said",
    [
        (("m", "x.npy", "-o", "x.npy"), "already exists"),
        (("m", "x.npy", "-o", "new.txt"), "ends in .csv or .npy or .png or .html"),
        (("m", "rows.npy", "-o", "new.csv"), "got shape (20, 4)"),
        (("m/model", "x.npy", "-o", "new.csv"), "holds a model alone. Train what is needed here"),
        (("rows", "rows.npy", "-o", "new.png"), "are none. Write a page, .html"),
        (("rows", "rows.npy", "-o", "new.png", "--shape", "3,3"), "must be the 4 numbers of a sample"),
    ],
)
def test_wrong_use_is_refused_and_leaves_nothing_behind(tokens, said, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if not (folder / "rows").exists():
        np.save("rows.npy", ROWS)
        Clusterer(QUICK, n_clusters=2, random_state=0).fit(ROWS).save("rows")
    before = sorted(folder.rglob("*"))
    assert call("cluster", *tokens) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert sorted(folder.rglob("*")) == before


def test_vectors_that_are_pictures_are_shown_as_such(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    np.save(tmp_path / "rows.npy", np.tile(ROWS, (3, 1)) + 0.01)
    Clusterer(QUICK, n_clusters=2, method="kmeans", random_state=0).fit(np.tile(ROWS, (3, 1))).save(tmp_path / "groups")
    assert call("cluster", tmp_path / "groups", tmp_path / "rows.npy", "-o", tmp_path / "a.png", "--shape", "2,2") == 0
    assert width_of(tmp_path / "a.png") > 800


# ---------------------------------------------------------------------------------------------------------- pages


def page_of(groups, X, path, **rest) -> str:
    return write(GroupStudy(groups, X, **rest), path / "page.html").read_text()


def test_a_page_of_vectors_shows_lines_and_how_the_number_was_chosen(tmp_path):
    X, y = blobs(3, 120)
    page = page_of(Clusterer(QUICK, method="kmeans", max_clusters=5, random_state=0).fit(X), X, tmp_path, labels=y)
    assert page.count("some samples and their mean, as lines") == 3 and "agreement by number of groups" in page
    assert "k-means on the data" in page and "100% are" in page


def test_a_page_of_a_table_tells_what_the_groups_are_like(tmp_path):
    side = np.arange(80) % 2
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"height": 1 + side + 0.1 * random.normal(size=80), "colour": np.where(side, "red", "blue"), "x": side})
    frame.loc[3, "height"] = np.nan
    groups = Clusterer({"max_epochs": 60}, n_clusters=2, random_state=0).fit(frame)
    assert matched_accuracy(groups.labels_, side) > 0.9
    page = page_of(groups, frame, tmp_path)
    assert "What they are like" in page and "red 100%" in page and "<h3>" not in page


def test_a_page_of_text_shows_sentences(tmp_path):
    sentences = ["a red dog", "the red dog runs", "123 456", "99 12 7"] * 5
    groups = Clusterer({"max_epochs": 2}, n_clusters=2, method="kmeans", random_state=0).fit(sentences)
    assert "<p>a red dog</p>" in page_of(groups, sentences, tmp_path)


def test_a_table_of_users_names_them(tmp_path):
    random = np.random.default_rng(0)
    likes = pd.DataFrame({"user": [f"u{n // 5}" for n in range(150)], "item": random.integers(0, 12, 150)}).drop_duplicates()
    groups = Clusterer({"kind": "interactions", "max_epochs": 2}, n_clusters=2, method="kmeans", random_state=0).fit(likes)
    lines = write(GroupStudy(groups, likes), tmp_path / "groups.csv").read_text().splitlines()
    assert "What they are like" not in (page := page_of(groups, likes, tmp_path)) and "u7" in page
    assert lines[0] == "name,group,distance" and sorted(line.split(",")[0] for line in lines[1:]) == sorted(set(likes["user"]))


def test_sequences_of_several_lengths_are_grouped_too(tmp_path):
    waves = [np.sin(np.arange(10 + n % 5) * (0.5 + n % 2)) for n in range(24)]
    groups = Clusterer({"max_epochs": 2}, n_clusters=2, random_state=0).fit(waves)
    assert "sample 0" in page_of(groups, waves, tmp_path)
