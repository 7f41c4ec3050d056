"""Tables: what goes in as a frame comes back as one, and a cell that is missing weighs nothing."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from isthmus import Autoencoder, Training, load, presets
from isthmus.cli import main
from isthmus.data import KINDS, read_path
from isthmus.parts import Columns, Data, Drop, JumpReLU, Mask, Noise, Random, Swap, TopK

RANDOM = np.random.default_rng(0)
COUNT = 120


def mixed(count: int = COUNT) -> pd.DataFrame:
    """Cells of every type, related to one another, with gaps."""
    size = RANDOM.normal(size=count)
    kind = np.where(size > 0.3, "large", np.where(size < -0.3, "small", "middle"))
    frame = pd.DataFrame(
        {
            "size": size * 10 + 50,
            "count": np.round(size * 3 + 20).astype("int64"),
            "short": (np.round(size * 3) + 20).astype("float32"),
            "income": np.exp(3 * size),
            "kind": kind,
            "grade": pd.Categorical(kind, ["small", "middle", "large", "huge"], ordered=True),
            "open": size > 0,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(count) * 5, unit="D"),
            "time": pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.to_timedelta(np.arange(count) * 7, unit="h"),
            "nullable": pd.array(np.round(size), dtype="Int64"),
        },
        index=np.arange(count) + 1000,
    )
    for place, name in enumerate(("size", "kind", "grade", "day", "nullable")):
        frame.loc[frame.index[place::11], name] = None
    return frame


FRAME = mixed()
TYPES = FRAME.dtypes


def fit(X=FRAME, n_components=4, **settings) -> Autoencoder:
    return Autoencoder(n_components, **{"max_epochs": 3, "random_state": 0, **settings}).fit(X)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fit(max_epochs=60)


# ------------------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize("verb", ["reconstruct", "inverse_transform", "impute", "sample"])
def test_a_frame_comes_back_with_its_columns_and_types(verb, model):
    frame = {
        "reconstruct": lambda: model.reconstruct(FRAME),
        "inverse_transform": lambda: model.inverse_transform(model.transform(FRAME)),
        "impute": lambda: model.impute(FRAME),
        "sample": lambda: model.fit_prior("mixture", FRAME).sample(7, random_state=0),
    }[verb]()
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_series_equal(frame.dtypes, TYPES)
    assert not frame.isna().any().any()


def test_rows_keep_their_index(model):
    assert model.reconstruct(FRAME).index.equals(FRAME.index)
    assert model.impute(FRAME[5:9]).index.equals(FRAME.index[5:9])


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries(library):
    pytest.importorskip(library)
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(FRAME.astype({"nullable": "float64"}))
    frame = frame if library == "polars" else frame.to_arrow()
    back = fit(frame).reconstruct(frame)
    assert type(back) is type(frame)
    if library == "polars":
        assert back.schema == frame.schema
    else:
        assert back.schema.names == frame.schema.names
        assert [f.type for f in back.schema if f.name != "grade"] == [f.type for f in frame.schema if f.name != "grade"]


def test_the_libraries_give_the_same_codes():
    polars = pytest.importorskip("polars")
    frame = FRAME.drop(columns=["grade", "nullable"])  # whose categories polars keeps in another order
    assert np.array_equal(fit(frame).transform(frame), fit(polars.from_pandas(frame)).transform(polars.from_pandas(frame)))


def test_what_is_rebuilt_is_near(model):
    """A mirror of the data, not noise: every column is much nearer to its cell than to another row's."""
    back = model.reconstruct(FRAME)
    assert np.corrcoef(back["count"], FRAME["count"])[0, 1] > 0.9
    known = FRAME["kind"].notna()
    assert (back["kind"] == FRAME["kind"])[known].mean() > 0.8
    assert np.corrcoef(back["day"].astype("int64"), FRAME["day"].ffill().astype("int64"))[0, 1] > 0.8
    assert (back["day"].dt.normalize() == back["day"]).all()  # dates without a time stay so


def test_numbers_without_gaps_train_the_same_model_as_their_array():
    frame = FRAME[["count", "short", "income"]]
    ours, array = fit(frame, 2), fit(frame.to_numpy(), 2)
    assert ours.schema_.kind == "vectors"
    assert np.array_equal(ours.transform(frame), array.transform(frame.to_numpy()))
    back = ours.reconstruct(frame)
    assert list(back.dtypes) == ["int64", "float32", "float64"] and back.index.equals(frame.index)
    np.testing.assert_allclose(back["income"], array.reconstruct(frame.to_numpy())[:, 2])


def test_a_table_is_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "table")
    again = load(tmp_path / "table")
    pd.testing.assert_frame_equal(again.reconstruct(FRAME), model.reconstruct(FRAME))
    pd.testing.assert_frame_equal(again.impute(FRAME), model.impute(FRAME))
    numbers = FRAME[["count", "short", "income"]]
    fit(numbers, 2).save(tmp_path / "numbers")
    pd.testing.assert_frame_equal(load(tmp_path / "numbers").reconstruct(numbers), fit(numbers, 2).reconstruct(numbers))


# ------------------------------------------------------------------------------------------------- missing cells


def test_impute_fills_what_is_missing_and_nothing_else(model):
    filled = model.impute(FRAME)
    assert FRAME.isna().to_numpy().any() and not filled.isna().to_numpy().any()
    pd.testing.assert_frame_equal(filled.where(FRAME.notna()), FRAME.where(FRAME.notna()))
    rebuilt = model.reconstruct(FRAME)
    pd.testing.assert_series_equal(filled["kind"][FRAME["kind"].isna()], rebuilt["kind"][FRAME["kind"].isna()])


def test_guesses_of_missing_cells_are_better_than_the_mean(model):
    known = FRAME.dropna(subset="size")
    guess = model.impute(known.assign(size=np.nan))["size"]
    assert np.square(guess - known["size"]).mean() < 0.3 * known["size"].var()


def test_an_array_is_imputed_too():
    X = RANDOM.normal(size=(200, 2)) @ RANDOM.normal(size=(2, 6))
    holes = np.where(RANDOM.random(X.shape) < 0.2, np.nan, X)
    model = fit(holes, 2, kind="table", max_epochs=200)
    filled = model.impute(holes)
    there = ~np.isnan(holes)
    assert np.array_equal(filled[there], X[there])
    assert np.square(filled - X)[~there].mean() < 0.2 * X.var()


def test_what_stands_in_a_missing_cell_changes_nothing(model):
    rows = model._rows(FRAME).take(torch.arange(50))
    absent = rows.weight == 0
    other = Data(torch.where(absent, 1.0, rows.values), rows.weight)
    assert absent.any() and torch.equal(model._code(rows), model._code(other))
    network = model.network_
    output = network.decode(network.encode(rows))
    assert torch.equal(network.loss(output, rows), network.loss(output, other))


def test_scores_add_up_over_cells_and_find_the_wrong_one(model):
    rows = model._rows(FRAME).take(torch.arange(50))
    output = model.network_.decode(model.network_.encode(rows))
    torch.testing.assert_close(model.network_.loss.cells(output, rows).sum(1), model.network_.loss(output, rows))
    scores = model.score_cells(FRAME)
    assert scores.shape == FRAME.shape and (scores[FRAME.isna().to_numpy()] == 0).all()
    wrong = FRAME.copy()
    row = FRAME.index[(FRAME["kind"] == "large").to_numpy()][0]
    wrong.loc[row, "kind"] = "small"
    place = FRAME.index.get_loc(row), FRAME.columns.get_loc("kind")
    assert model.score_cells(wrong)[place] < scores[place] - 1


# --------------------------------------------------------------------------------------------------------- parts


def test_the_loss_of_columns_is_their_likelihood():
    loss = Columns()
    loss.build(type("schema", (), {"columns": (0, 3, 0, 2)}))
    output, values = torch.randn(5, 7), torch.tensor([[0.5, 2.0, -1.0, 1.0]]).expand(5, 4)
    weight = torch.tensor([[1.0, 1.0, 0.0, 1.0]]).expand(5, 4)
    number = -torch.distributions.Normal(output[:, 0], 1.0).log_prob(values[:, 0])
    category = -torch.distributions.Categorical(logits=output[:, 2:5]).log_prob(values[:, 1])
    boolean = -torch.distributions.Categorical(logits=output[:, 5:7]).log_prob(values[:, 3])
    torch.testing.assert_close(loss(output, Data(values, weight)), number + category + boolean)
    expected = torch.stack([output[:, 0], output[:, 2:5].argmax(1), output[:, 1], output[:, 5:7].argmax(1)], 1)
    assert torch.equal(loss.mean(output), expected)


def test_a_decoder_begins_with_the_shares_of_the_categories():
    model = fit(learning_rate=1e-12, max_epochs=1, batch_size=COUNT)
    first = model.network_.decode(torch.zeros(1, 4))
    shares = FRAME["kind"].value_counts().sort_index()
    told = model.network_.loss.parts(first)[1][0, :3].softmax(0)  # kind is the first column of categories
    torch.testing.assert_close(told, torch.tensor((shares.to_numpy() + 1.0) / (shares.sum() + 3)).float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("corruption", [Mask(0.5), Drop(0.5), Swap(0.5), Noise(0.5)], ids=repr)
def test_corruptions_leave_cells_that_a_table_can_hold(corruption):
    model = fit(corruption=corruption)
    rows = model._rows(FRAME).take(torch.arange(COUNT))
    damaged = model.network_.corrupt(rows, Random(0, "test", 1, torch.arange(COUNT)))
    for place, width in enumerate(model.schema_.columns):
        if width:
            values = damaged.values[:, place]
            assert ((values == values.round()) & (values >= 0) & (values < width)).all()
    assert not torch.equal(damaged.values, rows.values)
    if isinstance(corruption, Mask | Drop):
        assert 0.4 < 1 - float(damaged.weight.sum() / rows.weight.sum()) < 0.6
        assert torch.equal(damaged.values, rows.values * damaged.weight)


@pytest.mark.parametrize("preset", [presets.variational, presets.denoising, presets.dropout, presets.contractive, presets.vq])
def test_variants_learn_tables(preset):
    settings = {"bottleneck": presets.vq(dim=2).bottleneck} if preset is presets.vq else {}
    model = preset(4, max_epochs=2, random_state=0, **settings).fit(FRAME)
    assert model.reconstruct(FRAME).dtypes.equals(TYPES)
    assert np.isfinite(model.score(FRAME))


@pytest.mark.parametrize("bottleneck", [TopK(2), JumpReLU(10.0, l0=2, threshold=0.3)], ids=repr)
def test_dead_units_are_offered_what_is_left_of_cells_too(bottleneck):
    model = fit(n_components=100, bottleneck=bottleneck, max_epochs=40)
    assert np.isfinite(model.history_[-1]["loss"]) and model.reconstruct(FRAME).dtypes.equals(TYPES)


# ----------------------------------------------------------------------------------------------------- bad input

REFUSED = {
    "a column less": (lambda model: model.transform(FRAME.drop(columns="kind")), ["kind"]),
    "a column more": (lambda model: model.transform(FRAME.assign(new=1)), ["new"]),
    "another order": (lambda model: model.transform(FRAME[FRAME.columns[::-1]]), ["order"]),
    "a column of another type": (lambda model: model.transform(FRAME.assign(size="big")), ["'size'", "number"]),
    "an infinite number": (lambda model: model.transform(FRAME.assign(size=np.inf)), ["'size'", "row 0"]),
    "nothing in a column": (lambda model: fit(FRAME.assign(size=np.nan)), ["'size'", "missing"]),
    "nothing in a category": (lambda model: fit(FRAME.assign(kind=None).astype({"kind": "str"})), ["'kind'", "missing"]),
    "a column of names": (
        lambda model: fit(pd.DataFrame({"x": range(2000), "n": [f"n{i}" for i in range(2000)]})),
        ["'n'", "2000"],
    ),
    "nested cells": (lambda model: fit(FRAME.assign(kind=[[1]] * COUNT)), ["'kind'", "convert|leave"]),
    "no rows": (lambda model: fit(FRAME[:0]), ["row"]),
    "another loss": (lambda model: fit(loss="squared"), ["loss='columns'"]),
    "a way between cells": (lambda model: model.interpolate(FRAME.iloc[0], FRAME.iloc[1]), ["one sample", "X[:1]"]),
    "columns of vectors": (lambda model: fit(np.zeros((5, 3)), 1, loss="columns"), ["kind='table'"]),
    "impute vectors": (lambda model: fit(FRAME[["count", "income"]], 1).impute(FRAME[["count", "income"]]), ["kind='table'"]),
    "Vamp": (lambda model: presets.vamp(3, max_epochs=1).fit(FRAME), ["Vamp", "cells"]),
    "scale": (lambda model: fit(scale="minmax"), ["standardised"]),
    "truths beside nothing, as objects": (
        lambda model: fit(FRAME.assign(kind=[True, None] * 60)),
        ["'kind'", "NoneType, bool", "boolean"],
    ),
    "periods": (lambda model: fit(FRAME.assign(kind=pd.period_range("2020", periods=COUNT))), ["'kind'", "period"]),
    "categories that are dates": (
        lambda model: fit(FRAME.assign(kind=pd.Categorical(FRAME["day"]))),
        ["'kind'", "Timestamp", "astype"],
    ),
    "a number beyond all bounds": (lambda model: model.transform(FRAME.assign(size=1e300)), ["'size'", "row 0", "1e+300"]),
    "unnamed columns": (lambda model: fit(pd.DataFrame([["a", 1.0], ["b", 2.0]])), ["Name them"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables_are_refused(case, model):
    act, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        act(model)
    assert all(any(option in str(error.value) for option in word.split("|")) for word in words), str(error.value)


def test_a_category_that_was_never_seen_is_named_and_read_as_missing(model):
    strange = FRAME.assign(kind=FRAME["kind"].where(FRAME.index != FRAME.index[3], "enormous"))
    with pytest.warns(UserWarning, match="'kind' holds 'enormous' in row 3"):
        codes = model.transform(strange)
    missing = FRAME.assign(kind=FRAME["kind"].where(FRAME.index != FRAME.index[3], None))
    assert np.array_equal(codes, model.transform(missing))


def test_a_category_that_was_never_seen_is_the_most_surprising(model):
    strange = FRAME.head(50).assign(kind=["purple"] + ["small"] * 49)
    with pytest.warns(UserWarning, match="purple"):
        scores = model.score_cells(strange)
    column = list(FRAME.columns).index("kind")
    assert scores[0, column] == -np.log1p(len(FRAME)) < np.median(scores[1:, column])


@pytest.mark.parametrize("labels", [[0, 1, 2], [2020, 2021, 2022], [("a", 1), ("a", 2), ("b", 1)]], ids=str)
def test_frames_whose_columns_have_no_names_come_back_as_frames(labels, tmp_path):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), index=range(5, 35))
    X.columns = pd.MultiIndex.from_tuples(labels) if isinstance(labels[0], tuple) else labels
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
    model.save(tmp_path / "model")
    for fitted in (model, load(tmp_path / "model")):
        rebuilt = fitted.reconstruct(X)
        assert rebuilt.columns.equals(X.columns) and rebuilt.index.equals(X.index)
    np.testing.assert_array_equal(
        rebuilt.to_numpy(), Autoencoder(2, max_epochs=1, random_state=0).fit(X.to_numpy()).reconstruct(X.to_numpy())
    )


@pytest.mark.parametrize("lazily", [False, True])
def test_dates_keep_their_zone_or_are_refused(lazily, tmp_path):
    dates = pd.date_range("2020-01-01", periods=600, freq="37h", tz="Europe/Berlin")
    frame = pd.DataFrame({"date": dates, "kind": ["a", "b"] * 300})
    frame.to_parquet(tmp_path / "dates.parquet", row_group_size=10)
    training = Training(memory_limit=4000) if lazily else None
    model = Autoencoder(2, max_epochs=1, random_state=0, training=training).fit(tmp_path / "dates.parquet" if lazily else frame)
    elsewhere = frame.assign(date=dates.tz_convert("US/Pacific"))
    np.testing.assert_array_equal(model.transform(elsewhere), model.transform(frame))
    with pytest.raises(ValueError, match="'date' have no time zone, but in fit they had one"):
        model.impute(frame.assign(date=dates.tz_localize(None)))


# --------------------------------------------------------------------------------------------------------- files


def test_tables_of_text_are_read_as_frames(tmp_path):
    (tmp_path / "a.csv").write_text("name; size;seen\nred;1.5;2024-05-01\n;;\nblue;3;2024-05-03\n")
    frame, _ = read_path(tmp_path / "a.csv")
    assert list(frame["name"].fillna("none")) == ["red", "none", "blue"] and frame["size"][0] == 1.5
    assert frame["seen"].dt.day.iloc[2] == 3 and frame["seen"].isna()[1]
    FRAME.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_series_equal(read_path(tmp_path / "a.parquet")[0].dtypes, TYPES)


def test_a_mark_for_missing_cells_is_said_and_without_it_warned_of(tmp_path, capsys):
    text = "age,job\n40,?\n?,clerk\n41,clerk\n42,\n"
    (tmp_path / "a.csv").write_text(text)
    frame, _ = read_path(tmp_path / "a.csv", missing="?")
    assert frame["age"].isna().sum() == 1 and frame["age"].sum() == 123 and frame["job"].isna().sum() == 2
    with pytest.warns(UserWarning, match=r"'age' holds numbers and, 1 times, '\?'.*missing='\?'"):
        frame, _ = read_path(tmp_path / "a.csv")
    assert frame["age"][1] == "?"
    run("info", tmp_path / "a.csv", "--missing", "?")
    assert "25.0%" in capsys.readouterr().out  # of age, a number with a gap


def test_tables_are_read_packed_and_between_tabs(tmp_path):
    text = FRAME[["size", "kind"]].to_csv(index=False, sep="\t")
    (tmp_path / "a.tsv").write_text(text)
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(text.encode()))
    numbers = FRAME[["count", "short"]].to_csv(index=False)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(numbers.encode()))
    pd.testing.assert_frame_equal(read_path(tmp_path / "a.tsv")[0], read_path(tmp_path / "a.tsv.gz")[0])
    assert read_path(tmp_path / "b.csv.gz")[0]["count"].tolist() == FRAME["count"].tolist()
    (tmp_path / "c.npy.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"'\.npy\.gz'.*\.csv\.gz too"):
        read_path(tmp_path / "c.npy.gz")
    (tmp_path / "d.csv.gz").write_bytes(b"1,2\n3,4\n")
    with pytest.raises((ValueError, OSError), match=r"gzip|table"):
        read_path(tmp_path / "d.csv.gz")


def test_numbers_in_a_csv_keep_their_names(tmp_path):
    table = pd.DataFrame(RANDOM.normal(size=(30, 4)), columns=["a", "b", "c", "d"])
    table.to_csv(tmp_path / "in.csv", index=False)
    run("fit", tmp_path / "in.csv", "-o", tmp_path / "m", "-n", 2, "--epochs", 1)
    assert load(tmp_path / "m").feature_names_in_.tolist() == ["a", "b", "c", "d"]
    run("reconstruct", tmp_path / "m", tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").columns.tolist() == ["a", "b", "c", "d"]
    run("reconstruct", tmp_path / "m", tmp_path / "in.csv", "-o", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (30, 4)


@pytest.mark.parametrize("indices", ["int8", "int32"])
def test_a_dictionary_of_pyarrow_stays_one(indices):
    import pyarrow as pa

    kinds = pa.array(FRAME["kind"].fillna("none")).dictionary_encode().cast(pa.dictionary(getattr(pa, indices)(), pa.string()))
    table = pa.table({"kind": kinds, "size": pa.array(FRAME["income"])})
    assert fit(table).reconstruct(table).schema == table.schema


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_through_the_command_line(suffix, tmp_path, capsys):
    frame = FRAME[["size", "count", "kind", "open", "day"]]
    source, model, filled = tmp_path / f"in{suffix}", tmp_path / "model", tmp_path / f"out{suffix}"
    frame.to_csv(source, index=False) if suffix == ".csv" else frame.to_parquet(source, index=False)
    run("info", source)
    assert "kind" in (told := capsys.readouterr().out) and "large, middle, small" in told and "9.2%" in told
    run("fit", source, "-o", model, "-n", 3, "--epochs", 2)
    run("impute", model, source, "-o", filled)
    back = read_path(filled, "table")[0]
    assert not back.isna().any().any() and list(back.columns) == list(frame.columns)
    there = frame["kind"].notna().to_numpy()
    assert (back["kind"].to_numpy()[there] == frame["kind"].to_numpy()[there]).all()
    run("reconstruct", model, source, "-o", tmp_path / f"again{suffix}")
    run("encode", model, source, "-o", tmp_path / "codes.npy")
    run("decode", model, tmp_path / "codes.npy", "-o", tmp_path / f"decoded{suffix}")
    pd.testing.assert_frame_equal(*(read_path(tmp_path / f"{name}{suffix}", "table")[0] for name in ("again", "decoded")))


def test_a_way_leads_from_one_row_to_another(model):
    way = model.interpolate(FRAME[:1], FRAME[5:6], steps=4)
    ends = model.inverse_transform(model.transform(FRAME[:6]))
    assert len(way) == 4 and (way.dtypes == ends.dtypes).all()
    pd.testing.assert_frame_equal(way[::3].reset_index(drop=True), ends[::5].reset_index(drop=True))


def test_new_rows_through_the_command_line(tmp_path, capsys):
    frame = FRAME[["size", "count", "kind", "open"]]
    frame.to_csv(tmp_path / "in.csv", index=False)
    run("fit", tmp_path / "in.csv", "-o", tmp_path / "m", "--preset", "variational", "-n", 2, "--epochs", 2)
    run("sample", tmp_path / "m", "-n", 7, "-o", tmp_path / "new.csv")
    new = read_path(tmp_path / "new.csv", "table")[0]
    assert len(new) == 7 and list(new.columns) == list(frame.columns) and set(new["kind"]) <= {"large", "middle", "small"}
    refused = {
        "sample": (["-o", tmp_path / "new.npy"], ".csv or .parquet"),
        "interpolate": ([tmp_path / "in.csv", "-o", tmp_path / "way.csv"], "X[:1]"),
    }
    for verb, (arguments, words) in refused.items():
        assert main([verb, str(tmp_path / "m"), *map(str, arguments)]) == 1
        assert words in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "m", "new.csv"}


def run(*arguments) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_categories_that_are_numbers_or_truths_are_known_where_cells_are_missing():
    for values in ([1, 2, 3, None], [True, False, True, None], ["a", "b", "c", None]):
        frame = pd.DataFrame({"x": np.arange(100.0), "of": pd.Categorical(values * 25)})
        schema = KINDS["table"].learn(KINDS["table"].check(frame))
        encoded = schema.encode(KINDS["table"].check(frame))
        assert (np.isnan(encoded[:, 1]) == frame["of"].isna()).all()
        assert schema.cells[1].decode(encoded[:3, 1:]) == values[:3]


def test_a_column_that_never_changes_comes_back_exactly():
    frame = pd.DataFrame({"x": np.arange(50.0), "same": 0.1, "day": pd.Timestamp("2020-02-03"), "of": ["a", "b"] * 25})
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(frame)
    rebuilt = model.reconstruct(frame)
    assert rebuilt["same"].equals(frame["same"]) and rebuilt["day"].equals(frame["day"])


def test_cells_are_filled_in_a_frame_of_another_library_and_in_a_file(tmp_path):
    frame = pd.DataFrame({"x": [1.0, None, 3.0, 4.0] * 20, "of": ["a", "b", None, "b"] * 20})
    frame.to_csv(tmp_path / "x.csv", index=False)
    model = Autoencoder(2, max_epochs=2, random_state=0).fit(frame)
    filled, other = model.impute(frame), model.impute(pl.from_pandas(frame))
    assert isinstance(other, pl.DataFrame) and other["of"].to_list() == filled["of"].tolist()
    assert np.allclose(other["x"], filled["x"])
    assert np.allclose(model.impute(tmp_path / "x.csv")["x"], filled["x"])


def test_categories_of_pandas_stay_though_no_rebuilt_row_holds_them():
    frame = pd.DataFrame({"x": np.arange(100.0), "of": pd.Categorical(["a"] * 99 + ["rare"], ["rare", "a", "never"])})
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(frame)
    assert model.reconstruct(frame[:5])["of"].dtype == frame["of"].dtype
