"""Recommendations: the closed form is what it says, methods are compared fairly, and names come out as they came in."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone

from isthmus import Autoencoder, load
from isthmus.apps import Recommender, recommend
from isthmus.cli import main

pytest.importorskip("ir_measures")

RANDOM = np.random.default_rng(0)
ITEMS = 30
QUICK = {"max_epochs": 80, "batch_size": 32}


def tastes(count: int, seed: int = 0) -> sparse.csr_array:
    """Users of three tastes, ten items each, of which they know half, and a few of all."""
    random = np.random.default_rng(seed)
    likes = np.kron(np.eye(3), np.ones(10))[random.integers(3, size=count)]
    return sparse.csr_array((random.random((count, ITEMS)) < 0.02 + 0.5 * likes).astype(np.float32))


def framed(matrix, rated: bool = False) -> pd.DataFrame:
    row, column = matrix.nonzero()
    frame = pd.DataFrame({"user_id": [f"u{r:03d}" for r in row], "movie": [f"film {c:02d}" for c in column]})
    return frame.assign(rating=4.0 + (np.arange(len(frame)) % 2)) if rated else frame


X = tastes(150)
X = X[np.flatnonzero(np.diff(X.indptr) > 0)]
NEW = tastes(12, 1)


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    return Recommender(QUICK, random_state=0).fit(X)


@pytest.fixture(scope="module")
def named() -> Recommender:
    return Recommender(method="closed_form", ridge=10.0).fit(framed(X))


# ------------------------------------------------------------------------------------------------------ methods


def test_the_closed_form_is_the_least_squares_of_every_item_on_the_others():
    dense, ridge = X.toarray().astype(float), 7.0
    weights = recommend.closed_form(X, ridge)
    for item in (0, 17):
        others = np.delete(dense, item, 1)
        solved = np.linalg.solve(others.T @ others + ridge * np.eye(ITEMS - 1), others.T @ dense[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), solved, rtol=1e-4, atol=1e-6)
    assert not weights.diagonal().any()


def test_figures_are_those_of_their_definition():
    places = RANDOM.permuted(np.tile(np.arange(ITEMS), (40, 1)), axis=1)
    wanted = tastes(40, 3)
    wanted = wanted[np.flatnonzero(np.diff(wanted.indptr))]
    places = places[: wanted.shape[0]]
    found = recommend.figures_by_user(places, wanted)
    hit = np.take_along_axis(wanted.toarray(), places, 1)
    discount = 1 / np.log2(np.arange(ITEMS) + 2)
    count = np.diff(wanted.indptr)
    ideal = np.array([discount[:c].sum() for c in count])
    np.testing.assert_allclose(found["ndcg@100"], (hit * discount).sum(1) / ideal)
    np.testing.assert_allclose(found["recall@20"], hit[:, :20].sum(1) / np.minimum(20, count))


def test_four_fifths_are_given_and_the_rest_is_to_be_found():
    given, wanted = recommend.parted(X, np.random.RandomState(0))
    assert ((given + wanted) != X).nnz == 0 and given.multiply(wanted).nnz == 0
    count = np.diff(X.indptr)
    np.testing.assert_array_equal(np.diff(wanted.indptr), np.maximum(1, np.round((1 - recommend.GIVEN) * count)))


def test_methods_find_the_taste_of_users_never_seen(fitted):
    items, scores = fitted.recommend(NEW, 3)
    taste = np.array([NEW.toarray()[:, 10 * t : 10 * t + 10].sum(1) for t in range(3)]).argmax(0)
    assert (items // 10 == taste[:, None]).mean() > 0.8 and (np.diff(scores) <= 0).all()
    rows = {row["method"]: row for row in fitted.evaluate(tastes(60, 2))}
    assert set(rows) == {"popularity", "autoencoder", "closed_form", "blend"}
    assert all(rows[name]["ndcg@100"] > rows["popularity"]["ndcg@100"] + 0.1 for name in recommend.METHODS)


def test_the_best_method_on_users_put_aside_is_used(fitted):
    best = max((row for row in fitted.comparison_ if row["method"] != "popularity"), key=lambda row: row["ndcg@100"])
    assert fitted.method_ == best["method"] and len(fitted.comparison_) == 4
    assert fitted.ridge_ in recommend.RIDGES and fitted.blend_ in recommend.BLENDS


@pytest.mark.parametrize("method", recommend.METHODS)
def test_a_method_that_is_named_is_used(method, fitted):
    one = Recommender(fitted.model_, method=method, ridge=50.0, blend=0.5).fit(X)
    a, c = recommend.log_scores(fitted.model_, NEW), NEW @ recommend.closed_form(X, 50.0)
    expected = {"autoencoder": a, "closed_form": c, "blend": (recommend.standardised(a) + recommend.standardised(c)) / 2}
    np.testing.assert_allclose(one.scores(NEW), expected[method], rtol=1e-4, atol=1e-5)
    assert one.comparison_ == [] and (one.model_ is None) == (method == "closed_form")


def test_the_same_seed_gives_the_same_recommendations(fitted):
    again = clone(fitted).fit(X)
    assert again.method_ == fitted.method_
    np.testing.assert_array_equal(again.recommend(NEW, 5)[0], fitted.recommend(NEW, 5)[0])


def test_scores_do_not_depend_on_the_company(fitted):
    np.testing.assert_allclose(fitted.scores(NEW)[3], fitted.scores(NEW[3:4])[0], rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------- in and out


def test_what_was_seen_is_left_out_unless_wanted(fitted):
    items, _ = fitted.recommend(NEW, 5)
    assert not np.take_along_axis(NEW.toarray(), items, 1).any()
    items, _ = fitted.recommend(NEW, 5, exclude_seen=False)
    assert np.take_along_axis(NEW.toarray(), items, 1).any()


def test_who_has_used_all_but_two_gets_two(fitted):
    row = np.ones((1, ITEMS))
    row[0, [4, 9]] = 0
    items, scores = fitted.recommend(row, 3)
    assert set(items[0, :2]) == {4, 9} and items[0, 2] == -1 and scores[0, 2] == -math.inf


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_gives_a_frame_with_names(library, named):
    histories = framed(NEW)
    histories = histories if library == "pandas" else pl.from_pandas(histories)
    found = named.recommend(histories, 4)
    assert type(found) is type(histories) and list(found.columns) == ["user_id", "rank", "item", "score", "because"]
    plain = found if library == "pandas" else found.to_pandas()
    seen = framed(NEW).groupby("user_id").movie.agg(set)
    for row in plain.itertuples():
        assert row.item not in seen[row.user_id] and row.because in seen[row.user_id]
    assert plain.groupby("user_id")["rank"].agg(list).map(lambda ranks: ranks == [1, 2, 3, 4]).all()


def test_lists_of_names_are_histories(named):
    items, _ = named.recommend([["film 00", "film 03"], ["film 25", "film 26", "film 21"]], 3)
    assert items[0, 0] in named.items_[:10] and items[1, 0] in named.items_[20:]
    assert set(named.because([["film 00", "film 03"]], items[:1])[0]) <= {"film 00", "film 03"}
    names, weights = named.similar("film 12", 4)
    assert set(names) <= set(named.items_[10:20]) and (np.diff(weights) <= 0).all()


def test_only_high_ratings_count():
    frame = framed(X).assign(rating=5.0)
    low = pd.DataFrame({"user_id": "u001", "movie": [f"film {i:02d}" for i in range(ITEMS)], "rating": 1.0})
    both = pd.concat([frame, low]).drop_duplicates(["user_id", "movie"])
    settled = {"method": "closed_form", "ridge": 10.0}
    one = Recommender(least_rating=4, **settled).fit(both)
    np.testing.assert_allclose(one.closed_form_, Recommender(**settled).fit(framed(X)).closed_form_, atol=1e-6)
    np.testing.assert_array_equal(one.recommend(both, 2)["item"], one.recommend(frame, 2)["item"])


def test_users_without_history_get_what_is_popular(fitted):
    empty = sparse.csr_array((2, ITEMS))
    with pytest.warns(UserWarning, match="2 users have no history"):
        items, _ = fitted.recommend(empty, 3)
    popular = np.argsort(-X.toarray().sum(0), kind="stable")[:3]
    np.testing.assert_array_equal(items, [popular, popular])


@pytest.mark.parametrize("data", [X, framed(X)], ids=["matrix", "frame"])
@pytest.mark.parametrize("method", ["auto", "closed_form"])
def test_a_folder_gives_back_the_recommender(method, data, tmp_path):
    one = Recommender(QUICK, method=method, random_state=0).fit(data)
    one.save(tmp_path / "r")
    again = load(tmp_path / "r")
    new = NEW if data is X else framed(NEW)
    pairs = [each.recommend(new, 3) for each in (one, again)]
    if data is X:
        np.testing.assert_array_equal(pairs[0][0], pairs[1][0])
    else:
        pd.testing.assert_frame_equal(*pairs)
    assert again.method_ == one.method_ and again.comparison_ == one.comparison_
    assert again.evaluate(new) == one.evaluate(new)


# --------------------------------------------------------------------------------------------------- bad input

WRONG = {
    "an unknown item": (lambda r, n: n.recommend([["film 99"]]), r"'film 99' is no item that was there in fit"),
    "an unknown place": (lambda r, n: r.recommend([[3, 77]]), r"77 is no item.*0 to 29"),
    "an unknown item of a frame": (
        lambda r, n: n.recommend(pd.DataFrame({"user": ["a"], "item": ["film 99"]})), "not there in fit: 'film 99'",
    ),
    "a list of names": (lambda r, n: n.recommend(["film 01"]), "a list of items for each user"),
    "no list": (lambda r, n: n.recommend([]), "got nothing"),
    "none of anything": (lambda r, n: r.recommend(NEW, 0), "k=0"),
    "more than there are": (lambda r, n: r.recommend(NEW, 31), "there are 30 items"),
    "another number of items": (lambda r, n: r.recommend(NEW[:, :20]), "30 items"),
    "no users to judge by": (lambda r, n: r.evaluate(sparse.csr_array(np.eye(ITEMS)[:4])), "No user has 5 items"),
    "too few users": (lambda r, n: Recommender().fit(X[:10]), "too few to compare"),
    "a method that is none": (lambda r, n: Recommender(method="knn").fit(X), "method='knn'"),
    "a ridge of nothing": (lambda r, n: Recommender(ridge=0.0).fit(X), "ridge=0.0"),
    "ratings that are never so high": (lambda r, n: Recommender(least_rating=9).fit(framed(X, True)), "no rating is that high"),
    "a table": (lambda r, n: Recommender().fit(np.ones((9, 3))), "sparse matrix"),
}  # fmt: skip


@pytest.mark.parametrize("call, said", WRONG.values(), ids=WRONG)
def test_bad_input_is_refused(call, said, fitted, named):
    with pytest.raises(ValueError, match=said):
        call(fitted, named)


def test_reasons_need_the_closed_form():
    one = Recommender(QUICK, method="autoencoder").fit(X)
    assert one.closed_form_ is None
    with pytest.raises(ValueError, match="no closed form"):
        one.similar(3)


def test_a_model_of_something_else_is_refused():
    with pytest.raises(ValueError, match="interactions"):
        Recommender(Autoencoder(2, max_epochs=1).fit(np.ones((9, 3)) * np.arange(3))).fit(X)


# ------------------------------------------------------------------------------------------------ command line


def test_recommendations_through_the_command_line(tmp_path, capsys):
    framed(X, True).to_csv(tmp_path / "ratings.csv", index=False)
    framed(NEW).assign(rating=5.0).to_csv(tmp_path / "new.csv", index=False)
    run = lambda *tokens: main([str(token) for token in tokens])  # noqa: E731
    assert run("fit", tmp_path / "ratings.csv", "--task", "recommend", "--epochs", 5, "-o", tmp_path / "m") == 0
    assert run("recommend", tmp_path / "m", tmp_path / "new.csv", "-k", 3, "-o", tmp_path / "out.csv") == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found.columns.tolist() == ["user_id", "rank", "item", "score", "because"] and len(found) == 3 * found.user_id.nunique()
    sparse.save_npz(tmp_path / "x.npz", X)
    assert run("fit", tmp_path / "x.npz", "--task", "recommend", "--set", "method=closed_form", "-o", tmp_path / "n") == 0
    assert run("recommend", tmp_path / "n", tmp_path / "x.npz", "-o", tmp_path / "out.parquet") == 0
    assert pd.read_parquet(tmp_path / "out.parquet").columns.tolist() == ["user", "rank", "item", "score"]
    capsys.readouterr()
    assert run("recommend", tmp_path / "m" / "model", tmp_path / "new.csv", "-o", tmp_path / "no.csv") == 1
    assert "--task recommend" in capsys.readouterr().err and not (tmp_path / "no.csv").exists()
