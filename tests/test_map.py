"""Maps: places by an encoder, what t-SNE's divergence asks of them, and how they are judged and shown."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import Autoencoder, cli, load, page_map, plots
from isthmus.apps import Map
from isthmus.apps.map import continuity, map_of, measures, neighbour_accuracy, trustworthiness
from isthmus.information import features
from isthmus.parts import TSNE, Dense
from isthmus.parts.neighbours import affinities, divergence, shares


def call(*tokens) -> int:
    return cli.main([str(token) for token in tokens])


@pytest.fixture(scope="module")
def parted(digits):
    """600 digits to learn from, and 400 others."""
    return digits[0][:600], digits[0][600:1000]


@pytest.fixture(scope="module")
def placed(parted):
    return Map({"max_epochs": 80, "architecture": Dense((128, 64), bypass=False)}, random_state=0).fit(parted[0])


@pytest.fixture(scope="module")
def folder(placed, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map"
    placed.save(path)
    return path


@pytest.fixture(autouse=True)
def no_umap(monkeypatch):
    """UMAP compiles for half a minute, where it is installed; one slow test takes the time."""
    monkeypatch.setattr(page_map, "umap_class", lambda: None)


@parametrize_with_checks([Map({"max_epochs": 1}, random_state=0)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# --------------------------------------------------------------------------------------------------- the penalty


def exact_affinities(x: np.ndarray, perplexity: float) -> np.ndarray:
    """Pair by pair, over all pairs, by bisection."""
    squared, rows = squareform(pdist(x, "sqeuclidean")), np.zeros((len(x), len(x)))
    for i, distances in enumerate(squared):
        others = np.delete(distances, i) - np.delete(distances, i).min()
        low, high = 1e-6, 1e6
        for _ in range(100):
            b = np.sqrt(low * high)
            p = np.exp(-b * others)
            p /= p.sum()
            low, high = (low, b) if -(p[p > 0] * np.log(p[p > 0])).sum() < np.log(perplexity) else (b, high)
        rows[i, np.arange(len(x)) != i] = p
    return (rows + rows.T) / (2 * len(x))


def test_affinities_are_those_of_the_equation_where_every_pair_counts():
    x = np.random.default_rng(0).normal(size=(16, 3))
    found = affinities(torch.from_numpy(x), 5.0).numpy()
    np.testing.assert_allclose(found, exact_affinities(x, 5.0), atol=1e-5)
    assert found.sum() == pytest.approx(1) and (np.diag(found) == 0).all()


def test_every_sample_has_as_many_neighbours_as_the_perplexity_says():
    away = torch.rand(50, 40, generator=torch.Generator().manual_seed(0)).sort(1).values * torch.logspace(-6, 6, 50)[:, None]
    p = shares(away, np.log(7.0))
    np.testing.assert_allclose(torch.exp(-torch.special.xlogy(p, p).sum(1)), 7.0, rtol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_divergence_is_that_of_the_equation(n):
    random = np.random.default_rng(0)
    p = exact_affinities(random.normal(size=(12, 4)), 3.0)
    z = random.normal(size=(12, n))
    a = max(n - 1, 1)
    q = (1 + squareform(pdist(z, "sqeuclidean")) / a) ** (-(a + 1) / 2)
    np.fill_diagonal(q, 0)
    q /= q.sum()
    off = ~np.eye(12, dtype=bool)
    found = divergence(torch.from_numpy(p), torch.from_numpy(z))
    assert float(found) == pytest.approx((p[off] * np.log(p[off] / q[off])).sum(), rel=1e-6)


def test_equal_samples_and_tiny_batches_give_finite_numbers():
    z = torch.zeros(20, 2, requires_grad=True)
    found = divergence(affinities(torch.ones(20, 3), 10.0), z)
    found.backward()
    assert torch.isfinite(found) and torch.isfinite(z.grad).all()
    X = np.random.default_rng(0).normal(size=(9, 4))
    model = Autoencoder(2, penalties=TSNE(), batch_size=4, max_epochs=2, random_state=0).fit(X)  # the last batch holds one
    assert np.isfinite(model.transform(X)).all() and np.isfinite(model.history_[-1]["tsne"])


def test_the_penalty_makes_the_map_of_unseen_samples_more_trustworthy_than_a_plain_code_and_than_pca(placed, parted):
    train, test = parted
    plain = clone(placed).set_params(weight=0.0).fit(train)
    ours = placed.score(test)
    assert ours > plain.score(test) + 0.02
    assert ours > trustworthiness(test, PCA(2).fit(train).transform(test)) + 0.08


# ------------------------------------------------------------------------------------------------------ the map


def test_places_do_not_depend_on_company_order_or_threads(placed, parted):
    test = parted[1]
    whole = placed.transform(test)
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_array_equal(placed.transform(test[order]), whole[order])
    for size in (1, 7, 256):
        parts = [placed.transform(test[i : i + size]) for i in range(0, 40, size)]
        np.testing.assert_array_equal(np.concatenate(parts)[:40], whole[:40])
    torch.set_num_threads(2)
    np.testing.assert_array_equal(placed.transform(test), whole)


def test_what_is_decoded_at_a_samples_place_is_like_the_sample(placed, parted):
    test = parted[1]
    decoded = placed.inverse_transform(placed.transform(test))
    assert decoded.shape == test.shape
    assert np.square(decoded - test).mean() < 0.8 * np.square(parted[0].mean(0) - test).mean()


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_map_has_as_many_numbers_as_asked_for(n_components, X):
    placed = Map({"max_epochs": 2}, n_components, random_state=0).fit(X)
    assert placed.transform(X).shape == (100, n_components)
    assert list(placed.get_feature_names_out()) == [f"map{i}" for i in range(n_components)]
    assert plots.codes(placed.transform(X)) is not None


def test_the_same_seed_gives_the_same_map(X):
    first, second, other = (Map({"max_epochs": 2}, random_state=seed).fit(X).transform(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_labels_take_no_part(X, y):
    first, second = (Map({"max_epochs": 2}, random_state=0).fit(X, labels).transform(X) for labels in (None, y))
    np.testing.assert_array_equal(first, second)


random = np.random.default_rng(0)
KINDS = {
    "pictures": ((random.random((40, 8, 8)) * 255).astype(np.uint8), {}),
    "table": (pd.DataFrame({"a": [1.0, np.nan, *range(38)], "b": ["x", "y"] * 20, "c": range(40)}), {}),
    "sentences": ([f"{'abc'[i % 3] * 4} {'de'[i % 2] * 3}" for i in range(40)], {}),
    "sequences": (random.normal(size=(40, 9, 2)), {"kind": "sequences"}),
    "of several lengths": ([random.normal(size=4 + i % 3) for i in range(40)], {"kind": "sequences"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_any_data_can_be_mapped(name):
    X, settings = KINDS[name]
    placed = Map({"max_epochs": 1, **settings}, random_state=0).fit(X)
    places, found = placed.transform(X), features(placed.model_, X)
    assert np.shape(places) == (40, 2) and np.isfinite(places).all()
    assert found.shape[0] == 40 and np.isfinite(found).all() and len(np.unique(found, axis=0)) > 1
    assert 0 <= measures(placed, X)["continuity"] <= 1
    assert len(placed.inverse_transform(places)) == 40


def test_a_model_may_be_given_and_a_fitted_one_stays_as_it_is(X):
    model = Autoencoder(2, max_epochs=1, random_state=0)
    fitted = Map(model).fit(X).model_
    assert not hasattr(model, "network_") and fitted.penalties == ()
    model.fit(X)
    assert Map(model).fit(X).model_ is model


@pytest.mark.parametrize("fitted", [False, True])
def test_a_wide_code_is_refused_with_the_cure(fitted, X):
    model = Autoencoder(5, max_epochs=1)
    with pytest.raises(ValueError, match=r"2 or 3 numbers.*have 5.*--task map"):
        Map(model.fit(X) if fitted else model).fit(X)
    with pytest.raises(ValueError, match="have 8"):
        Map({"n_components": 8}).fit(X)


@pytest.mark.parametrize(
    "given", [{"n_components": 4}, {"n_components": 0}, {"perplexity": 0.5}, {"weight": -1}, {"perplexity": "few"}], ids=str
)
def test_a_parameter_out_of_range_is_refused_by_name(given, X):
    with pytest.raises(ValueError, match=f"{next(iter(given))}="):
        Map(**given).fit(X)


def test_a_folder_gives_back_the_map(placed, folder, parted):
    again = load(folder)
    assert isinstance(again, Map) and repr(clone(again)) == repr(clone(placed))
    np.testing.assert_array_equal(again.transform(parted[1]), placed.transform(parted[1]))


# ------------------------------------------------------------------------------------------------------ measures


def test_a_map_that_keeps_all_distances_is_perfect_and_one_that_forgets_them_is_not():
    X = np.random.default_rng(0).normal(size=(200, 2))
    turned = X @ np.array([[0.0, -2.0], [2.0, 0.0]]) + 5
    assert trustworthiness(X, turned) == continuity(X, turned) == 1.0
    assert 0.35 < trustworthiness(X, np.random.default_rng(1).normal(size=(200, 2))) < 0.65


def test_tearing_costs_continuity_and_folding_costs_trustworthiness():
    line = np.linspace(0, 1, 200)[:, None]
    torn = line + 3 * (line > 0.5)
    torn[line > 0.5] *= -1  # both halves stay whole, but their ends are far apart
    folded = np.abs(line - 0.5)
    assert trustworthiness(line, torn) > continuity(line, torn)
    assert continuity(line, folded) > trustworthiness(line, folded)


def test_neighbours_vote():
    places = np.repeat([[0.0, 0.0], [9.0, 9.0]], 6, axis=0) + np.random.default_rng(0).normal(size=(12, 2))
    labels = np.repeat(["a", "b"], 6)
    assert neighbour_accuracy(places, labels) == 1.0
    assert neighbour_accuracy(places, labels, places, labels[::-1]) == 0.0
    assert neighbour_accuracy(places[:6], labels[:6], places[6:], labels[6:]) == 0.0


def test_measures_are_of_evenly_spread_samples_where_there_are_many(placed, parted):
    test = parted[1]
    some = np.linspace(0, 399, 100).round().astype(int)
    assert measures(placed, test, most=100) == measures(placed, test[some])
    with pytest.raises(ValueError, match="2 samples, but neighbours are compared of three or more"):
        placed.score(test[:2])


# ----------------------------------------------------------------------------------------------- pictures, pages


@pytest.mark.parametrize("labels", [None, "classes", "measurements"])
@pytest.mark.parametrize("n_components", [2, 3])
def test_a_map_is_drawn_with_and_without_labels(n_components, labels):
    random = np.random.default_rng(0)
    given = {None: None, "classes": np.arange(50) % 3, "measurements": random.random(50)}[labels]
    ax = plots.codes(random.normal(size=(50, n_components)), given)
    assert (ax.name == "3d") == (n_components == 3)
    assert [text.get_text() for text in ax.texts] == (["0", "1", "2"] if labels == "classes" else [])
    ax.figure.canvas.draw()


@pytest.mark.parametrize("n_components", [2, 3])
def test_the_page_holds_the_map_its_measures_and_what_lies_where(n_components, digits, tmp_path):
    (X, y), path = digits, tmp_path / "map.html"
    placed = Map({"max_epochs": 5}, n_components, random_state=0).fit(X[:300])
    page_map.write_map(placed, X[300:500], path, y=y[300:500], train=X[:300], train_y=y[:300], shape=(8, 8))
    page = path.read_text()
    for heading in ("The map", "Beside others", "What lies where"):
        assert f"<h2>{heading}</h2>" in page
    figures = measures(placed, X[300:500])
    assert f"{figures['trustworthiness']:.3f}" in page and "5-NN accuracy" in page and ">PCA<" in page
    assert ("<canvas" in page) == (n_components == 3)
    assert "http" not in page.replace("http://www.w3.org", "")
    with pytest.raises(FileExistsError, match="already exists"):
        page_map.write_map(placed, X, path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        page_map.write_map(placed, X, tmp_path)


@pytest.mark.parametrize("name", ["table", "sentences", "pictures", "of several lengths"])
def test_any_data_has_a_page(name, tmp_path):
    X, settings = KINDS[name]
    placed = Map({"max_epochs": 1, **settings}, random_state=0).fit(X)
    page = page_map.write_map(placed, X, tmp_path / "map.html").read_text()
    assert ("What lies where" in page) == (name in ("table", "pictures")) and "UMAP" not in page


def test_the_grid_is_decoded_only_where_samples_are():
    places = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]).repeat(50, 0)
    spots, filled = page_map.grid_of(places, 3)
    np.testing.assert_allclose(spots[filled], [[1, 1], [0, 0], [1, 0]])
    assert len(spots) == 9 and spots[0].tolist() == [0, 1]


@pytest.mark.slow
def test_umap_stands_beside_the_map_where_it_is_installed(digits, tmp_path, monkeypatch):
    pytest.importorskip("umap")
    monkeypatch.undo()
    X = digits[0]
    placed = Map({"max_epochs": 5}, random_state=0).fit(X[:300])
    study = page_map.MapStudy(placed, X[300:400], train=X[:300])
    assert [row["method"] for row in study.rows] == ["this map", "PCA", "UMAP"]
    assert study.rows[2]["trustworthiness"] > study.rows[1]["trustworthiness"]


# --------------------------------------------------------------------------------------------------- command line


def test_the_command_line_trains_and_draws(folder, parted, tmp_path, capsys, monkeypatch):
    assert call("fit", "digits:train", "--task", "map", "--epochs", 1, "--set", "perplexity=5", "-o", tmp_path / "m") == 0
    assert load(tmp_path / "m").perplexity == 5
    np.save(tmp_path / "x.npy", parted[1])
    capsys.readouterr()
    for ending in ("png", "npy", "csv", "html"):
        assert call("map", folder, tmp_path / "x.npy", "-o", tmp_path / f"out.{ending}", "--json") == 0
        (ours, *rest) = json.loads(capsys.readouterr().out)
        assert ours["method"] == "this map" and 0.8 < ours["trustworthiness"] < 1 and len(rest) == (ending == "html")
    places = load(folder).transform(parted[1])
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), places)
    frame = pd.read_csv(tmp_path / "out.csv")
    assert list(frame.columns) == ["map0", "map1"]
    np.testing.assert_allclose(frame.to_numpy(), places, rtol=1e-6)
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    pictures = ("--shape", "8,8", "--train", tmp_path / "x.npy")
    assert call("map", folder, tmp_path / "x.npy", "-o", tmp_path / "8.html", *pictures) == 0


def test_the_command_line_draws_codes_of_a_plain_model_and_refuses_wide_ones(X, tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    for size in (3, 5):
        Autoencoder(size, max_epochs=1, random_state=0).fit(X).save(tmp_path / f"m{size}")
    assert call("map", tmp_path / "m3", tmp_path / "x.npy", "-o", tmp_path / "out.png") == 0
    assert map_of(load(tmp_path / "m3")).model_.n_components_ == 3
    assert call("map", tmp_path / "m5", tmp_path / "x.npy", "-o", tmp_path / "no.png") == 1
    assert "have 5" in capsys.readouterr().err and not (tmp_path / "no.png").exists()


@pytest.mark.parametrize(
    "given, said",
    [
        (("-o", "out.pdf"), "ends in .png or .html or .npy or .csv"),
        (("-o", "out.html", "--shape", "9,9"), "--shape 9,9"),
        (("-o", "there.png"), "already exists"),
    ],
)
def test_wrong_use_of_the_command_is_refused(given, said, folder, parted, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", parted[1])
    open("there.png", "w").close()
    assert call("map", folder, "x.npy", *given) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out.html").exists()


def test_drawing_without_matplotlib_names_the_command_that_installs_it(folder, parted, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    np.save(tmp_path / "x.npy", parted[1])
    assert call("map", folder, tmp_path / "x.npy", "-o", tmp_path / "out.png") == 1
    assert 'pip install "isthmus[plot]"' in capsys.readouterr().err and not (tmp_path / "out.png").exists()
