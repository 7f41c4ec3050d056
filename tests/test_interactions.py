"""Interactions: either form gives the same model, names come back, and nothing dense is made of the whole matrix."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats

from isthmus import Autoencoder, load, presets, report
from isthmus.cli import main
from isthmus.data import read_path
from isthmus.data import schema as schemas
from isthmus.parts import Data, Gaussian, Multinomial, Random

USERS, ITEMS = 90, 24


def tastes(users: int = USERS, items: int = ITEMS) -> sparse.csr_array:
    """Ratings from 1 to 5: users like items of their own half, and everyone has used three at least."""
    random = np.random.default_rng(0)
    near = np.equal.outer(np.arange(users) % 2, np.arange(items) % 2)
    used = random.random((users, items)) < np.where(near, 0.5, 0.05)
    used[np.arange(users)[:, None], (np.arange(users)[:, None] + [0, 2, 4]) % items] = True
    return sparse.csr_array(np.where(used, random.integers(1, 6, (users, items)), 0).astype(np.float64))


RATINGS = tastes()
MATRIX = sparse.csr_array((RATINGS > 0).astype(np.float64))
WHO, WHAT = RATINGS.nonzero()
RATED = pd.DataFrame({"user_id": [f"u{who:03d}" for who in WHO], "movieId": WHAT * 10, "rating": RATINGS.data, "timestamp": 1})
FRAME = RATED[["user_id", "movieId"]]


def fit(X=FRAME, n_components=3, **settings) -> Autoencoder:
    given = {"kind": "interactions", "max_epochs": 3, "random_state": 0}
    return Autoencoder(n_components, **given | settings).fit(X)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fit()


@pytest.fixture(scope="module")
def rated() -> Autoencoder:
    return fit(RATED)


# ------------------------------------------------------------------------------------------------- the two forms


@pytest.mark.parametrize("matrix, frame", [(MATRIX, FRAME), (RATINGS, RATED)], ids=["pairs", "ratings"])
@pytest.mark.parametrize("settings", [{}, {"bottleneck": Gaussian(0.2)}, {"loss": "squared", "corruption": None}], ids=repr)
def test_a_matrix_and_a_frame_give_the_same_model(matrix, frame, settings):
    one, other = fit(matrix, **settings), fit(frame, **settings)
    assert all(map(torch.equal, one.network_.state_dict().values(), other.network_.state_dict().values()))
    assert np.array_equal(one.transform(matrix), other.transform(frame))
    assert np.array_equal(one.reconstruct(matrix), other.reconstruct(frame).drop(columns="user_id"))
    assert np.array_equal(one.score_samples(matrix), other.score_samples(frame))


@pytest.mark.parametrize("form", [sparse.coo_array, sparse.csc_array, sparse.csr_matrix], ids=lambda form: form.__name__)
def test_other_sparse_matrices_are_read_too(form):
    assert np.array_equal(fit(form(RATINGS)).transform(form(RATINGS)), fit(RATINGS).transform(RATINGS))


@pytest.mark.parametrize("dtype", ["int8", "bool", "float32", "float64"])
def test_codes_come_in_the_precision_of_the_data(dtype):
    assert fit(MATRIX.astype(dtype)).transform(MATRIX.astype(dtype)).dtype == ("float64" if dtype == "float64" else "float32")


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries(library, rated):
    pytest.importorskip(library)
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(RATED)
    frame = frame if library == "polars" else frame.to_arrow()
    ours = fit(frame)
    back = ours.reconstruct(frame)
    assert type(back) is type(frame) and type(ours.inverse_transform(ours.transform(frame))) is type(frame)
    expected = rated.reconstruct(RATED)
    told = back.to_pandas()
    assert list(told.columns) == list(expected.columns) and list(told["user_id"]) == list(expected["user_id"])
    assert np.array_equal(told.iloc[:, 1:], expected.iloc[:, 1:])


def test_the_order_of_rows_changes_nothing(rated):
    mixed = RATED.sample(frac=1, random_state=0)
    assert np.array_equal(fit(mixed).transform(mixed), rated.transform(RATED))


def test_what_is_all_alike_counts_one():
    assert np.array_equal(fit(MATRIX * 4).transform(MATRIX), fit(MATRIX).transform(MATRIX))
    assert fit(RATED.assign(rating=5)).schema_.implicit and not fit(RATED).schema_.implicit


def test_a_log_of_pairs_counts_each_once_and_a_matrix_adds_up(model):
    assert np.array_equal(model.transform(pd.concat([FRAME, FRAME[:50]])), model.transform(FRAME))
    twice = sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, ITEMS))
    once = sparse.csr_array(([3.0, 4.0], ([0, 0], [0, 1])), shape=(1, ITEMS))
    ours = fit(RATINGS)
    assert np.array_equal(ours.transform(twice), ours.transform(once))
    assert len(twice.data) == 3  # what was given stays as it is


def test_zeros_that_are_written_down_are_no_interactions():
    written = RATINGS.copy()
    written.data[::7] = 0
    left_out = sparse.csr_array(written.toarray())
    assert np.array_equal(fit(written).transform(written), fit(left_out).transform(left_out))


# ----------------------------------------------------------------------------------------------------- the names


def test_scores_name_users_and_items(model):
    scores = model.reconstruct(FRAME)
    assert list(scores.columns) == ["user_id", *map(str, range(0, 10 * ITEMS, 10))]
    assert list(scores["user_id"]) == sorted(set(FRAME["user_id"])) == model.schema_.users_of(FRAME)
    np.testing.assert_allclose(scores.drop(columns="user_id").sum(axis=1), 1, rtol=1e-5)


def test_codes_name_users_where_pandas_is_asked_for(model, tmp_path):
    ours = load_again(model, tmp_path).set_output(transform="pandas")
    codes = ours.transform(FRAME)
    assert list(codes.index) == ours.schema_.users_of(FRAME) and codes.index.name == "user_id"
    assert np.array_equal(codes, model.transform(FRAME))
    pd.testing.assert_frame_equal(ours.inverse_transform(codes), ours.reconstruct(FRAME))
    assert list(ours.fit_transform(FRAME).index) == list(codes.index)
    assert "user_id" not in model.inverse_transform(model.transform(FRAME))  # bare codes name nobody


def load_again(model, folder) -> Autoencoder:
    model.save(folder / "model")
    return load(folder / "model")


@pytest.mark.parametrize("items", [lambda place: int(place) * 3, lambda place: f"film {place}"], ids=["int", "str"])
@pytest.mark.parametrize("users", [lambda place: int(place) + 7, lambda place: f"ü{place:03d}"], ids=["int", "str"])
def test_names_and_their_types_survive_saving(items, users, tmp_path):
    frame = RATED.assign(user_id=[users(place) for place in WHO], movieId=[items(place) for place in WHAT])
    ours = fit(frame)
    again = load_again(ours, tmp_path)
    assert again.schema_.items == ours.schema_.items and type(again.schema_.items[0]) is type(items(0))
    back = again.reconstruct(frame)
    pd.testing.assert_frame_equal(back, ours.reconstruct(frame))
    assert back["user_id"].dtype == frame["user_id"].dtype and set(back["user_id"]) == set(frame["user_id"])
    assert again.schema_.config() == ours.schema_.config()


def test_a_model_of_a_matrix_is_saved_and_loaded(tmp_path):
    ours = fit(RATINGS)
    again = load_again(ours, tmp_path)
    assert again.schema_.items is None and np.array_equal(again.reconstruct(RATINGS), ours.reconstruct(RATINGS))


@pytest.mark.parametrize("dtype", ["int32", "Int64", "category", "string"])
def test_users_keep_the_type_of_their_column(dtype):
    users = pd.Series(WHO + 5).astype("str" if dtype in ("category", "string") else "int64").astype(dtype)
    frame = pd.DataFrame({"user": users, "item": WHAT})
    assert fit(frame).reconstruct(frame)["user"].dtype == users.dtype


@pytest.mark.parametrize("names", [("user", "item"), ("userId", "Movie_ID"), ("Customer ID", "product"), ("reader", "ISBN")])
def test_columns_are_known_by_what_they_are_usually_called(names, model):
    assert np.array_equal(fit(FRAME.set_axis(list(names), axis=1)).transform(FRAME), model.transform(FRAME))


def test_a_matrix_of_the_same_items_may_follow_a_frame(rated):
    assert np.array_equal(rated.transform(RATINGS), rated.transform(RATED))
    assert isinstance(rated.reconstruct(RATINGS), np.ndarray)


def test_some_users_with_some_items_are_read_as_among_all(rated):
    few = RATED[RATED["user_id"] < "u003"]
    assert few["movieId"].nunique() < ITEMS
    assert np.array_equal(rated.transform(few), rated.transform(RATED)[:3])


# ----------------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize("settings", [{}, {"bottleneck": "gaussian"}], ids=repr)
def test_codes_do_not_depend_on_the_company(settings):
    ours, order = fit(RATINGS, **settings), np.random.default_rng(1).permutation(USERS)
    codes = ours.transform(RATINGS)
    alone = np.concatenate([ours.transform(RATINGS[[place]]) for place in range(USERS)])
    assert np.array_equal(alone, codes) and np.array_equal(ours.transform(RATINGS[order]), codes[order])


def test_what_auto_stands_for(model):
    assert model.loss_ == "multinomial" and repr(model.corruption_) == "Mask(share=0.5)"
    rows = model._rows(FRAME).take(torch.arange(USERS))
    left = model.network_.corrupt(rows, Random(0, "test", 1, torch.arange(USERS))).values
    assert 0.4 < float(left.sum() / rows.values.sum()) < 0.6


def test_a_history_is_read_at_length_one_and_scored_as_it_is(rated):
    np.testing.assert_allclose(rated.transform(RATINGS * 3), rated.transform(RATINGS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rated.score_samples(RATINGS * 3), 3 * rated.score_samples(RATINGS), rtol=1e-5)
    rows = rated._rows(RATINGS).take(torch.arange(USERS))
    np.testing.assert_allclose(rated.network_.inlet(rows).norm(dim=1), 1, rtol=1e-6)
    assert torch.equal(rows.values, torch.from_numpy(RATINGS.toarray()).float())


def test_nats_are_those_of_the_multinomial_but_for_the_orders():
    loss, counts = Multinomial(), np.random.default_rng(0).integers(0, 4, (6, 9))
    output = torch.randn(6, 9, dtype=torch.float64)
    p = loss.mean(output).numpy()
    nats = -np.array([stats.multinomial.logpmf(x, x.sum(), q / q.sum()) for x, q in zip(counts, p, strict=True)])
    orders = np.array([log_orders(x) for x in counts])
    np.testing.assert_allclose(loss(output, Data(torch.from_numpy(counts).double())), nats + orders)


def log_orders(counts) -> float:
    """log of the number of ways in which the counts can be ordered."""
    return float(np.log(np.arange(1, counts.sum() + 1)).sum() - sum(np.log(np.arange(1, n + 1)).sum() for n in counts))


def test_a_value_that_is_not_there_carries_no_multinomial_loss():
    output, counts = torch.randn(2, 5), torch.tensor([[1.0, 2.0, 0.0, 3.0, 1.0]]).expand(2, 5)
    weight = torch.tensor([[1.0, 1.0, 1.0, 0.0, 1.0]]).expand(2, 5)
    assert torch.equal(Multinomial()(output, Data(counts, weight)), Multinomial()(output, Data(counts * weight)))


def test_a_decoder_begins_with_the_shares_of_the_items():
    matrix = sparse.csr_array(sparse.hstack([RATINGS, sparse.csr_array((USERS, 1))]))  # nobody knows the last item
    ours = fit(matrix, learning_rate=1e-30, max_epochs=1)
    shares = RATINGS.sum(axis=0) / RATINGS.sum()
    first = ours.inverse_transform(np.zeros((1, 3)))[0]
    np.testing.assert_allclose(first[:-1], shares, rtol=1e-3)
    assert 0 < first[-1] < shares.min() / 10


def test_weights_count_users_as_often_as_they_say():
    weight = np.arange(USERS) % 3
    full = {"learning_rate": 1e-30, "max_epochs": 1, "corruption": None}
    first = Autoencoder(3, kind="interactions", random_state=0, **full).fit(RATINGS, sample_weight=weight)
    expected = weight @ RATINGS.toarray() / (weight @ RATINGS.toarray()).sum()
    np.testing.assert_allclose(first.inverse_transform(np.zeros((1, 3)))[0], expected, rtol=1e-3)


def test_what_is_learnt_tells_the_two_halves_apart():
    ours = fit(MATRIX, 2, max_epochs=60)
    scores, near = ours.reconstruct(MATRIX), np.equal.outer(np.arange(USERS) % 2, np.arange(ITEMS) % 2)
    assert scores[near].mean() > 3 * scores[~near].mean()


@pytest.mark.parametrize("preset", [presets.variational, presets.denoising, presets.dropout, presets.topk, presets.contractive])
def test_variants_learn_interactions(preset):
    ours = preset(4, kind="interactions", max_epochs=2, random_state=0).fit(RATED)
    assert np.isfinite(ours.score(RATED)) and ours.reconstruct(RATED).shape == (USERS, ITEMS + 1)


def test_a_variational_model_draws_histories():
    ours = presets.variational(3, kind="interactions", max_epochs=3, random_state=0).fit(FRAME)
    np.testing.assert_allclose(ours.sample(4, random_state=0).sum(axis=1), 1, rtol=1e-5)
    assert (ours.log_likelihood(FRAME, 20, random_state=0) < 0).all()
    assert ours.sample(2, like=FRAME, random_state=0).shape == (2 * USERS, ITEMS)


def test_a_target_of_its_own_is_what_comes_out():
    later = RATED.assign(movieId=RATED["movieId"] + 5, rating=6 - RATED["rating"])
    ours = Autoencoder(3, kind="interactions", max_epochs=2, random_state=0).fit(RATED, target=later)
    assert list(ours.reconstruct(RATED).columns) == ["user_id", *map(str, sorted(set(later["movieId"])))]
    assert np.isfinite(ours.score_samples(RATED, target=later)).all()


def test_tensors_and_arrays_of_one_row_a_user_are_read_once_fitted(rated):
    array = RATINGS.toarray()
    assert np.array_equal(rated.transform(array), rated.transform(RATINGS))
    tensor = torch.from_numpy(array).requires_grad_()
    rated.encode(tensor).sum().backward()
    assert tensor.grad is not None and tensor.grad.any()
    assert rated.interpolate(array[0], array[1], steps=4).shape == (4, ITEMS)


def test_words_are_counted_too():
    """The loss is for counts of any kind: vectors of whole numbers, as they are."""
    counts = RATINGS.toarray()
    ours = Autoencoder(3, loss="multinomial", scale="none", max_epochs=3, random_state=0).fit(counts)
    np.testing.assert_allclose(ours.reconstruct(counts).sum(1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"between 0 and inf.*scale='none'"):
        Autoencoder(3, loss="multinomial", max_epochs=3, random_state=0).fit(counts)


# ---------------------------------------------------------------------------------------------------- the memory


def test_nothing_dense_is_made_of_the_whole_matrix(monkeypatch):
    users, seen = 3000, []
    matrix = tastes(users)
    monkeypatch.setattr(schemas, "_LOOKED", 2**12)
    for form in (sparse.csr_array, sparse.csc_array, sparse.coo_array):
        real = form.toarray
        monkeypatch.setattr(form, "toarray", lambda self, *a, real=real, **k: seen.append(self.shape[0]) or real(self, *a, **k))
    ours = fit(matrix, max_epochs=1, patience=2)
    steps, ours.block_ = len(seen), 256
    ours.transform(matrix)
    ours.score_samples(matrix)
    assert steps > users / 1024 and len(seen) > steps + 2 * users / 256
    assert max(seen) <= 1024


# ----------------------------------------------------------------------------------------------------- bad input


def with_value(value, row=3) -> sparse.csr_array:
    matrix = RATINGS.copy()
    matrix.data[matrix.indptr[row]] = value
    return matrix


def without(row: int, X=RATINGS) -> sparse.csr_array:
    matrix = X.copy()
    matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]] = 0
    return matrix


REFUSED = {
    "a negative number": (lambda m: fit(with_value(-2)), ["Row 3", "-2", "positive"]),
    "NaN": (lambda m: fit(with_value(np.nan)), ["Row 3", "nan", "positive"]),
    "infinity": (lambda m: m.transform(with_value(np.inf)), ["Row 3", "inf"]),
    "a negative rating": (lambda m: fit(RATED.assign(rating=RATED["rating"].where(RATED.index != 5, -1))), ["row 5", "-1"]),
    "a rating of zero": (lambda m: fit(RATED.assign(rating=RATED["rating"].where(RATED.index != 5, 0))), ["row 5", "0"]),
    "a missing rating": (lambda m: fit(RATED.assign(rating=RATED["rating"].where(RATED.index != 5))), ["row 5", "nan"]),
    "a rating of text": (lambda m: fit(RATED.assign(rating="good")), ["'rating'", "numbers"]),
    "a missing user": (lambda m: fit(RATED.assign(user_id=RATED["user_id"].where(RATED.index != 5))), ["'user_id'", "row 5"]),
    "users of fractions": (lambda m: fit(RATED.assign(user_id=0.5)), ["'user_id'", "Float64", "astype"]),
    "a pair that is rated twice": (
        lambda m: fit(pd.concat([RATED, RATED[4:5]], ignore_index=True)),
        ["'u000'", str(RATED["movieId"][4]), f"rows 4 and {len(RATED)}", "drop_duplicates"],
    ),
    "an unknown item": (lambda m: m.transform(RATED.assign(movieId=RATED["movieId"] + (RATED.index == 5))), ["item", "fit"]),
    "items of another type": (
        lambda m: m.transform(RATED.assign(movieId=RATED["movieId"].astype(str))),
        ["texts", "whole numbers"],
    ),
    "ratings that are not there": (lambda m: m.transform(FRAME), ["no column of ratings"]),
    "another number of items": (lambda m: m.transform(RATINGS[:, :9]), [f"{ITEMS} items", "(90, 9)"]),
    "a frame for a matrix": (lambda m: fit(RATINGS).transform(RATED), ["without names"]),
    "a user who used nothing": (lambda m: fit(without(7)), ["row 7", "no interaction", "Leave them out"]),
    "no user": (lambda m: fit(FRAME.drop(columns="user_id")), ["no column user", "'movieId'"]),
    "neither": (lambda m: fit(RATED[["timestamp"]]), ["no column user", "item"]),
    "a strange column": (lambda m: fit(FRAME.assign(genre=1)), ["'genre'", "Rename"]),
    "two columns of items": (lambda m: fit(FRAME.assign(item=1)), ["'movieId'", "'item'"]),
    "no rows": (lambda m: fit(FRAME[:0]), ["no rows"]),
    "a dense array": (lambda m: fit(RATINGS.toarray()), ["(90, 24)", "csr_array"]),
    "a list": (lambda m: fit([["u", "i"]]), ["list", "DataFrame"]),
    "complex numbers": (lambda m: fit(RATINGS.astype(complex)), ["complex128"]),
    "an item called user": (lambda m: fit(pd.DataFrame({"user": [1, 2, 2], "item": ["a", "user", "b"]})), ["'user'", "Rename"]),
    "scale": (lambda m: fit(scale="minmax"), ["stay as they are"]),
    "another scale": (lambda m: fit(loss="columns"), ["kind='table'"]),
    "impute": (lambda m: m.impute(RATED), ["kind='table'"]),
    "a report": (lambda m: report.Study(m, RATED), ["squared errors"]),
    "users of a matrix": (lambda m: m.schema_.users_of(RATINGS), ["rows"]),
    "other users in the target": (
        lambda m: Autoencoder(2, kind="interactions").fit(RATED, target=RATED.assign(user_id="v" + RATED["user_id"].str[1:])),
        ["different samples", "'u000'"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_interactions_are_refused(case, rated):
    act, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        act(rated)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_user_who_used_nothing_has_the_code_of_an_empty_history(rated):
    with pytest.warns(UserWarning, match=r"no interaction in row 7 \(2 such rows"):
        codes = rated.transform(without(9, without(7)))
    assert np.array_equal(codes[7], codes[9]) and np.isfinite(codes).all()
    assert np.array_equal(np.delete(codes, [7, 9], 0), np.delete(rated.transform(RATINGS), [7, 9], 0))


def test_a_plain_matrix_stays_vectors():
    assert Autoencoder(2, max_epochs=1, random_state=0).fit(RATINGS).schema_.kind == "vectors"


# --------------------------------------------------------------------------------------------------------- files


def test_a_sparse_matrix_is_read_from_a_file(tmp_path):
    sparse.save_npz(tmp_path / "a.npz", RATINGS)
    assert np.array_equal(read_path(tmp_path / "a.npz")[0].toarray(), RATINGS.toarray())
    assert np.array_equal(fit(tmp_path / "a.npz").transform(tmp_path / "a.npz"), fit(RATINGS).transform(RATINGS))


DAMAGED = {
    "no archive": lambda path: path.write_bytes(b"text"),
    "arrays of something else": lambda path: np.savez(path, a=np.eye(2)),
    "objects": lambda path: np.savez(path, data=np.array([{}]), indices=[0], indptr=[0, 1], shape=[1, 1], format=b"csr"),
    "an index beyond the matrix": lambda path: np.savez(
        path, data=[1.0], indices=[9999], indptr=[0, 1], shape=[1, 2], format=b"csr"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused(case, tmp_path):
    DAMAGED[case](tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz holds no sparse matrix"):
        read_path(tmp_path / "a.npz", "interactions")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_interactions_through_the_command_line(suffix, tmp_path, capsys):
    source, where = tmp_path / f"in{suffix}", tmp_path / "model"
    RATED.to_csv(source, index=False) if suffix == ".csv" else RATED.to_parquet(source, index=False)
    run("info", source, "--kind", "interactions")
    told = capsys.readouterr().out
    assert f"users         {USERS}" in told and f"{len(RATED)}" in told and "ratings from 1 to 5" in told
    run("fit", source, "--kind", "interactions", "-o", where, "-n", 3, "--epochs", 2, "--validation", source)
    run("encode", where, source, "-o", tmp_path / "codes.npy")
    run("encode", where, source, "-o", tmp_path / f"codes{suffix}")
    run("reconstruct", where, source, "-o", tmp_path / "scores.npy")
    run("reconstruct", where, source, "-o", tmp_path / f"scores{suffix}")
    ours = load(where)
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    codes, scores = read(tmp_path / f"codes{suffix}"), read(tmp_path / f"scores{suffix}")
    assert np.array_equal(np.load(tmp_path / "codes.npy"), ours.transform(RATED))
    assert list(codes["user_id"]) == list(scores["user_id"]) == ours.schema_.users_of(RATED)
    expected = ours.reconstruct(RATED).drop(columns="user_id")
    assert np.array_equal(np.load(tmp_path / "scores.npy"), expected)
    np.testing.assert_allclose(scores.drop(columns="user_id"), expected, rtol=1e-5)
    np.testing.assert_allclose(codes.drop(columns="user_id"), ours.transform(RATED), rtol=1e-5)
    run("decode", where, tmp_path / "codes.npy", "-o", tmp_path / "decoded.npy")
    assert np.array_equal(np.load(tmp_path / "decoded.npy"), expected)


def test_a_matrix_through_the_command_line(tmp_path, capsys):
    source, where = tmp_path / "in.npz", tmp_path / "model"
    sparse.save_npz(source, RATINGS)
    run("fit", source, "--kind", "interactions", "-o", where, "-n", 3, "--epochs", 2, "--loss", "multinomial")
    run("reconstruct", where, source, "-o", tmp_path / "scores.npy")
    assert np.array_equal(np.load(tmp_path / "scores.npy"), load(where).reconstruct(RATINGS))
    refused = {"reconstruct": "scores.parquet", "interpolate": "ways.npy"}
    for verb, name in refused.items():
        assert main([verb, str(where), str(source), "-o", str(tmp_path / name)]) == 1
        assert not (tmp_path / name).exists() and "array" in capsys.readouterr().err


def run(*arguments) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_codes_in_a_file_are_decoded_with_their_users_and_samples_are_written_as_tables(tmp_path):
    model, codes, back, drawn = (tmp_path / name for name in ("m", "codes.parquet", "back.csv", "drawn.csv"))
    fit(prior="mixture").save(model)
    RATED.to_csv(tmp_path / "data.csv", index=False)
    run("encode", model, tmp_path / "data.csv", "-o", codes)
    run("decode", model, codes, "-o", back)
    run("sample", model, "-n", 3, "-o", drawn)
    expected = load(model).reconstruct(FRAME)
    assert pd.read_csv(back)["user_id"].tolist() == expected["user_id"].tolist()
    np.testing.assert_allclose(pd.read_csv(back).iloc[:, 1:], expected.iloc[:, 1:], rtol=1e-4, atol=1e-6)
    assert pd.read_csv(drawn).shape == (3, ITEMS)


def test_a_pair_that_is_there_twice_is_named_plainly():
    numbered = RATED.assign(user_id=WHO)
    with pytest.raises(ValueError, match=r"Item 0 has two ratings by user 0, in rows 0 and"):
        fit(pd.concat([numbered, numbered[:1]]))


# ----------------------------------------------------------------------------------------------------- real data


def test_films_that_unseen_users_liked_are_found(data_folder):
    """MovieLens-100K: of 140 users who were not there in fit a fifth of what they liked is hidden, and looked for."""
    file = data_folder / "ratings" / "ml-100k" / "u.data"
    if not file.is_file():
        pytest.skip(f"needs MovieLens-100K ({file.name}) in the folder that ISTHMUS_DATA names (ratings/ml-100k)")
    table = pd.DataFrame(np.loadtxt(file, dtype=np.int64), columns=["user_id", "item_id", "rating", "timestamp"])
    liked = table[table["rating"] >= 4].drop(columns="rating")
    users = np.random.default_rng(0).permutation(liked["user_id"].unique())
    train = liked[liked["user_id"].isin(users[280:])]
    ours = fit(train, 32, max_epochs=6)
    asked = liked[liked["user_id"].isin(users[140:280]) & liked["item_id"].isin(ours.schema_.items)]
    hidden = np.random.default_rng(1).random(len(asked)) < 0.2
    scores = ours.reconstruct(asked[~hidden]).set_index("user_id")
    popular = train["item_id"].value_counts().reindex(ours.schema_.items).to_numpy()
    known, wanted = there(asked[~hidden], scores), there(asked[hidden], scores)
    told = wanted.any(1)
    by_model = recall(scores.to_numpy(), known, wanted)[told].mean()
    by_popularity = recall(np.broadcast_to(popular, scores.shape), known, wanted)[told].mean()
    by_chance = recall(np.random.default_rng(2).random(scores.shape), known, wanted)[told].mean()
    assert by_model > 5 * by_chance and by_model > by_popularity


def there(pairs: pd.DataFrame, scores: pd.DataFrame) -> np.ndarray:
    """(users, items): whether a pair is there."""
    found = np.zeros(scores.shape, bool)
    pairs = pairs[pairs["user_id"].isin(scores.index)]
    found[scores.index.get_indexer(pairs["user_id"]), scores.columns.get_indexer(pairs["item_id"].astype(str))] = True
    return found


def recall(scores: np.ndarray, known: np.ndarray, wanted: np.ndarray, k: int = 20) -> np.ndarray:
    """(users,) the share of wanted items among the k best that are not known, of as many as could be."""
    best = np.argsort(-np.where(known, -np.inf, scores), 1)[:, :k]
    return np.take_along_axis(wanted, best, 1).sum(1) / np.clip(wanted.sum(1), 1, k)
