"""More data than memory may hold: read in shuffled windows, learnt from part by part, encoded block by block."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from isthmus import Autoencoder, Training, load
from isthmus.cli import main
from isthmus.data import ParquetArray, ParquetTable, Vectors, read_path, to_blocks
from isthmus.data.mapped import lazy_of
from isthmus.data.memory import free_memory, in_bytes
from isthmus.data.schema import Rows
from isthmus.data.stream import Streamed, within

random = np.random.default_rng(0)
ROWS = (random.normal(size=(3000, 4)) @ random.normal(size=(4, 20)) + 0.1 * random.normal(size=(3000, 20))).astype(np.float32)
LITTLE = 40_000  # bytes; all rows take 240,000


def fit(X, limit="auto", /, **settings) -> Autoencoder:
    own = {name: settings.pop(name) for name in ("target", "condition", "sample_weight", "validation") if name in settings}
    chosen = {"n_components": 4, "max_epochs": 2, "random_state": 0, "training": Training(memory_limit=limit)} | settings
    return Autoencoder(**chosen).fit(X, **own)


def saved(folder, X=ROWS, name="rows.npy"):
    np.save(folder / name, X)
    return np.load(folder / name, mmap_mode="r")


@pytest.fixture
def rows(folder):
    return saved(folder)


def streamed(X, limit=LITTLE) -> Streamed:
    both = Rows(Vectors.learn(X), lazy_of(X))
    found = within(limit, both, both)[0]
    assert isinstance(found, Streamed)
    return found


def epoch(rows, seed=0, batch_size=32) -> list[torch.Tensor]:
    return list(rows.order(torch.Generator().manual_seed(seed), batch_size))


# ---------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("count", [1, 31, 32, 1000, 3000])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 5000])
def test_every_sample_comes_once_an_epoch_in_full_batches(count, batch_size, folder):
    stream = streamed(saved(folder, ROWS[:count]), limit=min(LITTLE, count * 20))
    batches = epoch(stream, batch_size=batch_size)
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(count))
    assert len(batches) == stream.steps(batch_size) and all(len(batch) == batch_size for batch in batches[:-1])


def test_batches_hold_the_samples_of_their_index(rows):
    stream = streamed(rows)
    whole = Rows(stream.schema, ROWS)
    for index in stream.order(torch.Generator().manual_seed(0), 50):
        assert torch.equal(stream.take(index).values, whole.take(index).values)


def test_the_order_follows_the_generator_and_differs_between_epochs(rows):
    first, again, other = (torch.cat(epoch(streamed(rows), seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_windows_mix_samples_from_all_over_the_data(rows):
    batches = epoch(streamed(rows, limit=80_000), batch_size=100)
    spread = torch.stack([batch.double().std() for batch in batches])
    assert spread.median() > 0.7 * torch.arange(3000).double().std()
    assert all((batch.diff() == 1).double().mean() < 0.2 for batch in batches)


def test_blocks_begin_elsewhere_in_every_epoch(rows):
    stream = streamed(rows)
    edges = [stream.edges(torch.Generator().manual_seed(seed))[1] for seed in range(8)]
    assert len(set(edges)) > 2


# ------------------------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X, lambda X: X.astype(np.float64), lambda X: X.astype(">f4"), np.asfortranarray,
        lambda X: (X * 9).astype(np.int16), lambda X: X.astype(np.float16),
    ],
    ids=["float32", "float64", "big-endian", "Fortran", "int16", "float16"],
)  # fmt: skip
def test_streaming_learns_what_memory_does(form, folder):
    X = form(ROWS)
    mapped = saved(folder, X)
    few, many = fit(mapped, LITTLE, max_epochs=3), fit(X, max_epochs=3)
    assert few.history_[-1]["loss"] == pytest.approx(many.history_[-1]["loss"], rel=0.02)
    assert few.transform(mapped).dtype == many.transform(X).dtype
    np.testing.assert_array_equal(few.transform(mapped), few.transform(np.asarray(X)))


@pytest.mark.parametrize(
    ("X", "settings"),
    [
        ((random.random((400, 8, 8)) * 255).astype(np.uint8), {"kind": "images"}),
        ((random.random((400, 8, 8)) * 65535).astype(np.uint16), {"kind": "images"}),
        (random.normal(size=(400, 6, 2)), {"kind": "sequences", "architecture": "dense"}),
        (np.where(random.random((400, 6)) < 0.1, np.nan, random.normal(size=(400, 6))), {"kind": "table"}),
    ],
    ids=["uint8", "uint16", "sequences", "table"],
)
def test_every_kind_streams(X, settings, folder):
    mapped = saved(folder, X)
    few, many = fit(mapped, 5000, **settings), fit(X, **settings)
    assert few.history_[-1]["loss"] == pytest.approx(many.history_[-1]["loss"], rel=0.02)
    np.testing.assert_allclose(few.schema_.center, many.schema_.center, rtol=1e-6)
    np.testing.assert_array_equal(few.transform(mapped), few.transform(X))


def test_two_runs_are_equal_bit_for_bit(rows, monkeypatch):
    first = fit(rows, LITTLE)
    slow = lazy_of(rows).__class__.fill
    monkeypatch.setattr(lazy_of(rows).__class__, "fill", lambda *given: (__import__("time").sleep(0.001), slow(*given))[1])
    assert np.array_equal(first.transform(ROWS), fit(rows, LITTLE).transform(ROWS))


def test_below_the_limit_nothing_changes(rows):
    assert np.array_equal(fit(rows, "1GB").transform(ROWS), fit(ROWS).transform(ROWS))


def test_an_array_in_memory_whose_scaled_copy_is_too_large_streams():
    assert np.isfinite(fit(ROWS, LITTLE).transform(ROWS)).all()


def test_targets_weights_conditions_and_validation_stream_along(rows, folder):
    target, weight, label = saved(folder, ROWS[:, :5] * 2, "target.npy"), np.arange(3000) % 3, np.arange(3000) % 2
    given = {"target": target, "sample_weight": weight, "condition": label, "validation": 0.2}
    few, many = fit(rows, LITTLE, **given), fit(ROWS, **given | {"target": np.array(target)})
    assert few.history_[-1]["validation_loss"] == pytest.approx(many.history_[-1]["validation_loss"], rel=0.02)


@pytest.mark.parametrize("settings", [{"prior": "mixture"}, {"corruption": "swap"}, {"bottleneck": "gaussian", "prior": "vamp"}])
def test_parts_that_look_at_the_data_see_some_of_them(settings, rows):
    model = fit(rows, LITTLE, **settings)
    assert np.isfinite(model.sample(3, like=ROWS[:2])).all()


def test_a_limit_may_be_said_in_words():
    assert [in_bytes(limit) for limit in (10**9, "1GB", "1.5 KiB", "2m")] == [10**9, 10**9, 1536, 2 * 10**6]
    assert 0 < in_bytes("auto") <= free_memory()
    for wrong in ("much", 0, -1, None, "1 PB"):
        with pytest.raises(ValueError, match=r"memory_limit=.*bytes"):
            fit(ROWS, wrong)


# ------------------------------------------------------------------------------------------------------ the bound

BOUND = """
    import threading, time
    import numpy as np
    from isthmus import Autoencoder, Training
    from isthmus.parts import Dense

    def anonymous():
        lines = open("/proc/self/status").read().split("\\n")
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

    def model(limit):
        settings = {{"max_epochs": 1, "batch_size": 512, "random_state": 0, "training": Training(memory_limit=limit)}}
        return Autoencoder(8, architecture=Dense(16), **settings)

    X = np.load({path!r}, mmap_mode="r")
    once = model("20MB").fit(np.array(X[:5000]), validation=0.1)  # what libraries take once
    once.encode_to({codes!r}, np.array(X[:5000]))
    before, peak, over = anonymous(), 0, threading.Event()

    def watch():
        global peak
        while not over.is_set():
            peak = max(peak, anonymous())
            time.sleep(0.002)

    watching = threading.Thread(target=watch)
    watching.start()
    fitted = model("20MB").fit(X, validation=0.1)
    fitted.encode_to({codes!r}, X, overwrite=True)
    over.set()
    watching.join()
    print(peak - before)

"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is counted as Linux does")
def test_anonymous_memory_stays_below_the_limit(folder):
    X = np.lib.format.open_memmap(folder / "large.npy", "w+", np.float32, (100_000, 256))
    for start in range(0, len(X), 10_000):
        X[start : start + 10_000] = random.standard_normal((10_000, 256), np.float32)
    del X
    code = textwrap.dedent(BOUND).format(path=str(folder / "large.npy"), codes=str(folder / "codes.npy"))
    told = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back at once
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=told)
    assert int(done.stdout) < 20e6
    assert np.load(folder / "codes.npy", mmap_mode="r").shape == (100_000, 8)


# -------------------------------------------------------------------------------------------------------- trouble


def test_a_file_cut_short_while_it_is_read_is_named(folder):
    rows = saved(folder)
    os.truncate(folder / "rows.npy", 100_000)
    with pytest.raises(ValueError, match=r"rows\.npy ends in sample 12\d\d of 3000.*cut short"):
        fit(rows, LITTLE)


def test_a_file_cut_short_in_the_midst_of_training_is_named(folder):
    rows = saved(folder)

    class Cut:
        def on_epoch_end(self, network, record):
            os.truncate(folder / "rows.npy", 100_000)

    model = Autoencoder(4, max_epochs=3, random_state=0, training=Training(memory_limit=LITTLE))
    with pytest.raises(ValueError, match=r"rows\.npy ends in sample 12\d\d of 3000"):
        model.fit(rows, callbacks=[Cut()])
    assert not hasattr(model, "network_")


def test_what_is_not_finite_is_named_by_its_sample(folder):
    X = ROWS.copy()
    X[2345, 3] = np.nan
    with pytest.raises(ValueError, match="sample 2345"):
        fit(saved(folder, X), LITTLE)


def test_slices_and_private_maps_are_read_as_they_are(folder):
    saved(folder)
    private = np.load(folder / "rows.npy", mmap_mode="c")
    private[:] = 1
    for X in (private, np.load(folder / "rows.npy", mmap_mode="r")[100:2000:3], np.load(folder / "rows.npy", mmap_mode="r")[7:]):
        lazy = lazy_of(X)
        np.testing.assert_array_equal(lazy[5:40], X[5:40])
        np.testing.assert_array_equal(lazy[[50, 3, 9]], X[[50, 3, 9]])


# -------------------------------------------------------------------------------------------------------- streams


def steady(**settings) -> Autoencoder:
    return Autoencoder(**{"n_components": 4, "random_state": 0, "learning_rate": 0.02} | settings)


@pytest.mark.parametrize("settings", [{}, {"penalties": "adversary"}, {"bottleneck": "gaussian"}, {"training": Training("adam")}])
def test_two_calls_are_two_epochs_at_a_constant_rate(settings):
    training = settings.get("training", Training())
    called = steady(**settings).partial_fit(ROWS[:200]).partial_fit(ROWS[:200])
    epochs = steady(**settings | {"training": Training(training.optimizer, "constant"), "max_epochs": 2}).fit(ROWS[:200])
    assert np.array_equal(called.transform(ROWS), epochs.transform(ROWS))
    assert [record["epoch"] for record in called.history_] == [1, 2] and called.n_iter_ == 2


def test_the_loss_falls_from_call_to_call():
    model = Autoencoder(4, random_state=0)
    for part in np.array_split(ROWS, 12):
        model.partial_fit(part)
    assert model.history_[-1]["loss"] < 0.8 * model.history_[0]["loss"]
    assert model.score(ROWS) == pytest.approx(fit(ROWS, max_epochs=1, batch_size=32).score(ROWS), rel=0.1)


def test_a_stream_goes_on_after_fit_and_after_load(folder):
    model = fit(ROWS)
    weights = model.network_.state_dict()
    assert model.partial_fit(ROWS[:500]).n_iter_ == 3 == len(model.history_)
    model.save(folder / "model")
    again = load(folder / "model")
    assert again.partial_fit(ROWS[:500]).n_iter_ == 4
    assert not all(torch.equal(weights[name], value) for name, value in again.network_.state_dict().items())


def test_a_refused_part_changes_nothing():
    model = Autoencoder(4, random_state=0).partial_fit(ROWS)
    codes = model.transform(ROWS)
    bad = ROWS.copy()
    bad[7, 7] = np.inf
    for X, words in (
        (ROWS[:, :3], "3 features.*expecting 20"),
        (bad, "sample 7"),
        (ROWS[:0], "0 sample"),
        (ROWS * 1e30, "diverged"),
    ):
        with pytest.raises((ValueError, FloatingPointError), match=words):
            model.partial_fit(X)
        assert np.array_equal(model.transform(ROWS), codes) and model.n_iter_ == 1


def test_the_first_part_of_a_stream_may_be_refused():
    model = Autoencoder(30, random_state=0)
    with pytest.raises(ValueError, match="can copy"):
        model.partial_fit(ROWS)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    ("X", "settings"),
    [
        (pd.DataFrame({"a": random.normal(size=60), "b": random.choice(["x", "y"], 60)}), {}),
        ((random.random((60, 8, 8)) * 255).astype(np.uint8), {}),
        ([random.normal(size=(n % 5 + 3, 2)) for n in range(60)], {"kind": "sequences"}),
    ],
    ids=["table", "images", "sequences"],
)
def test_every_kind_is_learnt_part_by_part(X, settings):
    model = Autoencoder(2, random_state=0, **settings)
    for _ in range(3):
        model.partial_fit(X[:40])
        model.partial_fit(X[40:])
    assert model.n_iter_ == 6 and len(model.score_samples(X)) == 60


def test_a_stream_of_samples_with_weights_and_labels():
    model = Autoencoder(4, random_state=0)
    for part in np.array_split(np.arange(600), 3):
        model.partial_fit(ROWS[part], condition=part % 2, sample_weight=part % 3)
    assert model.transform(ROWS[:4], np.array([0, 1, 0, 1])).shape == (4, 4)


# ----------------------------------------------------------------------------------------------------------- codes


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_codes_in_a_file_are_those_of_transform(suffix, folder, rows):
    model = fit(rows, LITTLE)
    model.encode_to(folder / f"codes{suffix}", rows)
    codes = read_path(folder / f"codes{suffix}")[0]
    assert list(getattr(codes, "columns", model.get_feature_names_out())) == list(model.get_feature_names_out())
    assert np.array_equal(np.asarray(codes), model.transform(ROWS)) and np.asarray(codes).dtype == np.float32


def test_codes_come_in_the_precision_of_the_data(folder):
    model = fit(ROWS.astype(np.float64))
    for name in ("codes.npy", "codes.parquet"):
        model.encode_to(folder / name, ROWS.astype(np.float64))
        assert np.asarray(read_path(folder / name)[0]).dtype == np.float64


def test_a_file_of_codes_is_there_whole_or_not_at_all(folder, model, X):
    model.encode_to(folder / "codes.npy", X)
    bad = X.copy()
    bad[-1, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.encode_to(folder / "codes.npy", bad, overwrite=True)
    assert np.array_equal(np.load(folder / "codes.npy"), model.transform(X))
    assert [file.name for file in folder.iterdir()] == ["codes.npy"]
    with pytest.raises(FileExistsError):
        model.encode_to(folder / "codes.npy", X)
    with pytest.raises(ValueError, match=r"\.npy, \.npz, \.csv or \.parquet"):
        model.encode_to(folder / "codes.txt", X)


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_the_command_line_encodes_and_decodes(suffix, folder, rows):
    assert main(["fit", f"{folder}/rows.npy", "-n", "4", "--epochs", "1", "--memory-limit", "40KB", "-o", f"{folder}/m"]) == 0
    assert main(["encode", f"{folder}/m", f"{folder}/rows.npy", "-o", f"{folder}/codes{suffix}"]) == 0
    assert main(["decode", f"{folder}/m", f"{folder}/codes{suffix}", "-o", f"{folder}/back.npy"]) == 0
    model = load(folder / "m")
    assert np.array_equal(np.load(folder / "back.npy"), model.inverse_transform(model.transform(ROWS)))
    assert model.training.memory_limit == "40KB"


# --------------------------------------------------------------------------------------------------------- Parquet


def frame_of(X) -> pd.DataFrame:
    return pd.DataFrame(X, columns=[f"c{place}" for place in range(X.shape[1])])


def mixed(count: int) -> pd.DataFrame:
    size = random.normal(size=count)
    frame = pd.DataFrame(
        {
            "size": size, "count": np.round(size * 3).astype("int64"), "income": np.exp(2.5 * size), "open": size > 0,
            "kind": np.where(size > 0.3, "large", "small"), "grade": pd.Categorical(np.where(size > 0, "b", "a")),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(count), unit="D"),
        }
    )  # fmt: skip
    frame.loc[::7, "size"] = None
    frame.loc[3::9, "kind"] = None
    return frame


@pytest.fixture
def parts(folder):
    """A folder of Parquet files: three of numbers."""
    for place, part in enumerate(np.array_split(ROWS, 3)):
        (folder / "parts" / "deep").mkdir(parents=True, exist_ok=True)
        frame_of(part).to_parquet(folder / "parts" / ("deep" if place else "") / f"{place}.parquet", row_group_size=50)
    return folder / "parts"


def test_a_folder_of_parquet_files_is_one_array(parts):
    order = np.concatenate([np.array_split(ROWS, 3)[place] for place in (0, 1, 2)])
    found = ParquetArray(parts)
    np.testing.assert_array_equal(found[:], order)
    np.testing.assert_array_equal(found[950:1150], order[950:1150])
    np.testing.assert_array_equal(found[[2999, 0, 1234]], order[[2999, 0, 1234]])
    assert isinstance(read_path(parts, limit=LITTLE)[0], ParquetArray) and isinstance(read_path(parts)[0], pd.DataFrame)


def test_parquet_streams_as_memory_does(parts):
    few, many = fit(parts, LITTLE, max_epochs=3), fit(ROWS, max_epochs=3)
    assert few.schema_.kind == "vectors"
    assert few.history_[-1]["loss"] == pytest.approx(many.history_[-1]["loss"], rel=0.02)
    np.testing.assert_array_equal(few.transform(parts), few.transform(frame_of(ROWS)))


def test_every_row_of_a_parquet_file_comes_once_an_epoch(parts):
    stream = streamed(ParquetArray(parts))
    assert torch.equal(torch.cat(epoch(stream)).sort().values, torch.arange(3000))
    held_out = stream.subset(torch.arange(0, 3000, 7))
    assert torch.equal(torch.cat(epoch(within(10_000, held_out, held_out)[0])).sort().values, torch.arange(len(held_out)))


def test_a_mixed_parquet_file_streams_as_a_table(folder):
    frame = mixed(2000)
    frame.to_parquet(folder / "mixed.parquet", row_group_size=50)
    few, many = fit(folder / "mixed.parquet", 24_000, max_epochs=4), fit(frame, max_epochs=4)
    assert few.schema_.columns == many.schema_.columns
    for a, b in zip(few.schema_.cells, many.schema_.cells, strict=True):
        assert (a.name, a.role, a.values, a.cycles, a.step, bool(a.tails)) == (
            b.name, b.role, b.values, b.cycles, b.step, bool(b.tails),
        )  # fmt: skip
        assert (a.center, a.scale, a.middle) == pytest.approx((b.center, b.scale, b.middle), rel=1e-6)
    assert few.history_[-1]["loss"] == pytest.approx(many.history_[-1]["loss"], rel=0.02)
    codes = few.transform(folder / "mixed.parquet")
    np.testing.assert_array_equal(codes, few.set_params(training=None).transform(folder / "mixed.parquet"))
    back = few.impute(ParquetTable(folder / "mixed.parquet"))
    assert list(back.columns) == list(frame.columns) and not back.isna().any().any()
    pd.testing.assert_series_equal(back["income"], frame["income"])


def test_nested_columns_are_refused_by_name(folder):
    pq.write_table(pa.table({"a": [1.0, 2.0], "list": [[1], [2, 3]], "struct": [{"x": 1}, {"x": 2}]}), folder / "nested.parquet")
    with pytest.raises(ValueError, match=r"'list' \(list.*'struct' \(struct"):
        fit(folder / "nested.parquet")


def test_files_of_a_folder_must_agree(parts):
    frame_of(ROWS[:, :3]).to_parquet(parts / "z.parquet")
    with pytest.raises(ValueError, match=r"z\.parquet has other columns.*'c10' of float"):
        fit(parts)


def test_a_damaged_parquet_file_is_named(parts):
    (parts / "0.parquet").write_bytes((parts / "0.parquet").read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"0\.parquet is no Parquet file"):
        fit(parts)


def test_row_groups_too_large_are_refused_with_the_cure(folder):
    frame_of(ROWS).to_parquet(folder / "one.parquet")
    with pytest.raises(ValueError, match=r"row group of .* memory_limit.*isthmus convert"):
        fit(folder / "one.parquet", LITTLE)
    assert main(["convert", f"{folder}/one.parquet", "-o", f"{folder}/one.npy"]) == 0
    assert np.array_equal(np.load(folder / "one.npy"), ROWS)


def test_only_numbers_are_converted(folder):
    mixed(20).to_parquet(folder / "mixed.parquet")
    with pytest.raises(ValueError, match=r"'open' \(bool\)"):
        to_blocks(folder / "mixed.parquet", folder / "x.npy")
    assert not (folder / "x.npy").exists()


def test_gaps_and_whole_numbers_of_parquet(folder):
    frame = pd.DataFrame({"a": np.arange(50), "b": np.arange(50) / 2})
    frame.to_parquet(folder / "whole.parquet")
    to_blocks(folder / "whole.parquet", folder / "whole.npy")
    assert np.array_equal(np.load(folder / "whole.npy"), frame.to_numpy(float))
    frame.assign(a=pd.array([None, *range(49)], "Int64")).to_parquet(folder / "gaps.parquet", row_group_size=10)
    assert isinstance(read_path(folder / "gaps.parquet", limit=1600)[0], ParquetTable)


def test_columns_of_a_file_come_in_the_order_of_fit(folder):
    frame = pd.DataFrame(ROWS[:, :3], columns=["a", "b", "c"])
    frame.to_parquet(folder / "right.parquet", row_group_size=100)
    frame[["a", "c", "b"]].to_parquet(folder / "wrong.parquet", row_group_size=100)
    np.save(folder / "right.npy", ROWS[:, :3])
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(frame)
    expected = model.transform(frame)
    np.testing.assert_array_equal(model.transform(folder / "right.parquet"), expected)
    np.testing.assert_array_equal(model.transform(ParquetArray(folder / "right.parquet")), expected)
    np.testing.assert_array_equal(model.transform(folder / "right.npy"), expected)  # which names no columns
    for given in (folder / "wrong.parquet", ParquetArray(folder / "wrong.parquet")):
        with pytest.raises(ValueError, match="Column 1 of the file is 'c', but in fit it was 'b'"):
            model.transform(given)


def test_vectors_of_a_large_file_are_numbers_and_there(folder):
    frame = pd.DataFrame(ROWS[:, :3], columns=["a", "b", "c"])
    frame.assign(b="text").to_parquet(folder / "text.parquet", row_group_size=100)
    frame.iloc[1234, 1] = np.nan
    frame.to_parquet(folder / "gap.parquet", row_group_size=100)
    model = Autoencoder(2, kind="vectors", training=Training(memory_limit=20_000), max_epochs=1)
    with pytest.raises(ValueError, match="first in sample 1234"):
        model.fit(folder / "gap.parquet")
    with pytest.raises(ValueError, match=r"more than numbers: 'b' \(.*kind='table'"):
        model.fit(folder / "text.parquet")
