"""Sequences and sound: whatever their length, a code depends on its sequence alone, and what goes in comes back in its form."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile

from isthmus import Autoencoder, load, presets
from isthmus.cli import main
from isthmus.data import Waves, kind_of, open_data, read_path, read_sound
from isthmus.data.ragged import Pieces, bucket
from isthmus.data.sequences import Named, Sequences, write_npz
from isthmus.data.sound import from_log_mel, log_mel, mel_filters, read_wav, spectrum, wav_bytes
from isthmus.parts import Data, Drop, Mask, Noise, Random, Recurrent, Swap

RANDOM = np.random.default_rng(0)
LENGTHS = [3, 5, 8, 9, 12, 16, 17, 20, 4, 7, 30, 10]


def wave(length: int, channels: int = 2) -> np.ndarray:
    phase = RANDOM.uniform(0, 6, channels)
    return 10 * np.sin(np.arange(length)[:, None] / 3 + phase) + 3


WAVES = [wave(length) for length in LENGTHS]


def framed() -> pd.DataFrame:
    """WAVES in the long form, rows in no order, with a column of whole numbers."""
    parts = [
        pd.DataFrame(
            {
                "unique_id": f"s{place}",
                "ds": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(one)), unit="D"),
                "y": one[:, 0].astype("float32"),
                "count": np.round(one[:, 1]).astype("int64"),
            }
        )
        for place, one in enumerate(WAVES)
    ]
    frame = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)
    return frame.set_index(np.arange(len(frame)) + 500)


FRAME = framed()
CLIPS = Waves([0.2 * wave(n, 1)[:, 0] / 13 for n in (150, 90, 200, 260, 120)], rate=400, names=[f"{i}.wav" for i in range(5)])


def fit(X=WAVES, n_components=4, **settings) -> Autoencoder:
    small = {"kind": "sequences", "architecture": Recurrent(8), "max_epochs": 2, "random_state": 0}
    return Autoencoder(n_components, **small | settings).fit(X)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fit()


@pytest.fixture(scope="module")
def of_frame() -> Autoencoder:
    return fit(FRAME, kind="auto")


# ---------------------------------------------------------------------------------------- a sequence is on its own


@pytest.mark.parametrize("kind", ["sequences", "sound", "mel"])
def test_codes_and_losses_do_not_depend_on_company(kind):
    X = WAVES if kind == "sequences" else CLIPS
    model = fit(X, kind=kind)
    codes, scores = model.transform(X), model.score_samples(X)
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = [X[i] for i in order] if kind == "sequences" else X[order]
    assert np.array_equal(model.transform(shuffled), codes[order])
    assert np.array_equal(model.score_samples(shuffled), scores[order])
    for place in range(3):
        alone = X[place : place + 1]
        assert np.array_equal(model.transform(alone)[0], codes[place]) and model.score_samples(alone)[0] == scores[place]


def test_codes_of_a_frame_do_not_depend_on_company(of_frame):
    codes = of_frame.transform(FRAME)
    names = list(dict.fromkeys(FRAME["unique_id"]))  # sequences come in the order in which they begin
    for place in (0, 3, 7):
        alone = FRAME[FRAME["unique_id"] == names[place]]
        assert np.array_equal(of_frame.transform(alone)[0], codes[place])


@pytest.mark.parametrize("missing", [False, True])
def test_what_stands_in_the_padding_changes_nothing(missing):
    X = [one.copy() for one in WAVES]
    if missing:
        X[2][3, 1] = np.nan
    model = fit(X)
    data = model._rows(X).take(torch.tensor([0, 1, 2]))
    absent = data.weight == 0
    assert absent.any() and (data.values[absent] == 0).all()
    rubbish = Data(torch.where(absent, 77.0, data.values), data.weight, data.length)
    if not missing:  # a code reads up to the length; of what is missing before it, the inlet takes care
        assert torch.equal(model._code(data), model._code(rubbish))
    else:
        assert torch.equal(model.network_.inlet(data), model.network_.inlet(rubbish))
    network = model.network_
    output = network.decode(network.towards(network.encode(data), data))
    assert torch.equal(network.loss(output, data), network.loss(output, rubbish))


@pytest.mark.parametrize("corruption", [Noise(0.5), Mask(0.5), Drop(0.5), Swap(0.5), [Noise(0.5), Mask(0.2)]], ids=repr)
def test_corruptions_leave_the_padding_empty(corruption):
    model = fit(corruption=corruption)
    data = model._rows(WAVES).take(torch.arange(len(WAVES)))
    damaged = model.network_.corrupt(data, Random(0, "test", 1, torch.arange(len(WAVES))))
    assert not torch.equal(damaged.values, data.values)
    assert (damaged.values[data.weight == 0] == 0).all() and (damaged.weight <= data.weight).all()
    assert torch.equal(damaged.length, data.length)


# ------------------------------------------------------------------------------------------------ there and back


def test_lengths_come_back(model):
    assert [one.shape for one in model.reconstruct(WAVES)] == [one.shape for one in WAVES]
    assert model.reconstruct(WAVES)[0].dtype == np.float64
    assert all(isinstance(one, torch.Tensor) for one in model.reconstruct([torch.from_numpy(one) for one in WAVES]))


def test_the_end_is_learnt():
    """Of sequences that fall to zero at their end, the end can be told from the code."""
    X = [np.linspace(length / 10, 0, length)[:, None] for length in np.random.default_rng(0).integers(4, 24, 300)]
    model = fit(X, 2, architecture=Recurrent(32), max_epochs=40, corruption=None)
    back = model.inverse_transform(model.transform(X))
    assert isinstance(back, list)
    wrong = np.array([abs(len(a) - len(b)) for a, b in zip(X, back, strict=True)])
    assert wrong.mean() < 1.0 and (wrong <= 2).mean() > 0.9


@pytest.mark.parametrize("X", [np.stack([wave(9) for _ in range(20)]), np.stack([wave(9)[:, 0] for _ in range(20)])])
def test_sequences_of_one_length_are_an_array(X):
    model = fit(X)
    assert model.schema_.shape == (9, X.shape[2] if X.ndim == 3 else 1)
    assert model.reconstruct(X).shape == X.shape and model.inverse_transform(model.transform(X)).shape == X.shape
    tensor = torch.from_numpy(X)
    np.testing.assert_allclose(model.transform(tensor).numpy(), model.transform(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "X",
    [
        [list(map(float, range(n))) for n in LENGTHS],
        [np.arange(n) for n in LENGTHS],
        np.array([np.arange(n) for n in LENGTHS], dtype=object),
        [np.arange(n, dtype=np.float16) for n in LENGTHS],
        [np.arange(6.0) + n for n in LENGTHS],
    ],
    ids=["lists", "whole numbers", "objects", "half", "one length"],
)
def test_whatever_holds_sequences_is_read(X):
    model = fit(X)
    assert model.schema_.varies and [len(one) for one in model.reconstruct(X)] == [len(one) for one in X]
    assert model.reconstruct(X)[0].ndim == 1


def test_lists_of_arrays_of_several_lengths_are_sequences_without_being_told():
    assert open_data([np.arange(3.0), np.arange(4.0)])[1] == "sequences"
    assert open_data([np.arange(3.0), np.arange(3.0)])[1] == "vectors"
    assert open_data(FRAME)[1] == "sequences" and open_data(CLIPS)[1] == "sound"


def test_a_long_frame_comes_back_row_by_row(of_frame):
    back = of_frame.reconstruct(FRAME)
    pd.testing.assert_series_equal(back.dtypes, FRAME.dtypes)
    assert back.index.equals(FRAME.index) and back["ds"].equals(FRAME["ds"]) and back["unique_id"].equals(FRAME["unique_id"])
    names = list(dict.fromkeys(FRAME["unique_id"]))
    arrays = [FRAME[FRAME["unique_id"] == n].sort_values("ds")[["y", "count"]].to_numpy() for n in names]
    np.testing.assert_array_equal(of_frame.transform(arrays), of_frame.transform(FRAME))
    one = back[back["unique_id"] == names[4]].sort_values("ds")
    rebuilt = of_frame.network_(of_frame._rows(FRAME).take(torch.tensor([4])))
    assert np.allclose(one["y"], of_frame.schema_.write(rebuilt).detach()[0, : len(one), 0], atol=1e-4)


def test_bare_codes_give_a_frame_numbered_from_nought(of_frame):
    codes = of_frame.transform(FRAME)
    back = of_frame.inverse_transform(codes)
    assert list(back.columns) == list(FRAME.columns) and list(back.dtypes) == ["int64", "int64", "float32", "int64"]
    assert back["unique_id"].unique().tolist() == list(range(len(codes)))
    assert (back.groupby("unique_id")["ds"].apply(list).map(lambda steps: steps == list(range(len(steps))))).all()
    pd.testing.assert_frame_equal(of_frame.inverse_transform(pd.DataFrame(codes)), back)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries(library, of_frame):
    polars = pytest.importorskip("polars")
    pytest.importorskip(library)
    frame = polars.from_pandas(FRAME) if library == "polars" else polars.from_pandas(FRAME).to_arrow()
    model = fit(frame, kind="auto")
    back = model.reconstruct(frame)
    assert type(back) is type(frame) and back.schema == frame.schema
    assert np.array_equal(model.transform(frame), of_frame.transform(FRAME))
    assert model.inverse_transform(model.transform(frame)).shape[1] == 4


def test_other_names_and_rows_in_order():
    frame = pd.DataFrame({"ID": np.repeat([7, 3], [4, 6]), "x": np.arange(10.0)})
    model = fit(frame, 2)
    assert model.schema_.longest == 6 and model.reconstruct(frame)["ID"].equals(frame["ID"])


def test_a_wide_frame_comes_back_with_its_gaps():
    cells = np.full((len(WAVES), 30), np.nan)
    for row, one in zip(cells, WAVES, strict=True):
        row[: len(one)] = one[:, 0]
    frame = pd.DataFrame(cells).rename(columns=lambda place: f"V{place}")
    frame.insert(0, "name", [f"H{place}" for place in range(len(WAVES))])
    model = fit(frame)
    back = model.reconstruct(frame)
    assert back.isna().equals(frame.isna()) and back["name"].equals(frame["name"])
    assert np.array_equal(model.transform(frame), fit([one[:, 0] for one in WAVES]).transform([one[:, 0] for one in WAVES]))
    assert list(model.inverse_transform(model.transform(frame)).columns) == list(frame.columns)


@pytest.mark.parametrize("form", ["list", "array", "frame"])
def test_missing_steps_carry_no_loss_and_are_told_to_the_encoder(form):
    X = {"list": [one.copy() for one in WAVES], "array": np.stack([wave(8) for _ in range(12)]), "frame": FRAME.copy()}[form]
    if form == "frame":
        X.iloc[::7, 2] = np.nan
    else:
        for one in X:
            one[1, 0] = np.nan
    model = fit(X)
    assert model.schema_.missing and np.isfinite(model.score(X)) and np.isfinite(model.transform(X)).all()
    back = model.reconstruct(X)
    assert np.isfinite(back[["y", "count"]].to_numpy() if form == "frame" else np.concatenate(list(back))).all()
    whole = X.fillna(5.0) if form == "frame" else [np.nan_to_num(one) for one in X]
    whole = np.stack(whole) if form == "array" else whole
    assert not np.array_equal(model.transform(whole), model.transform(X))


def test_statistics_count_what_is_there():
    X = [np.array([[1.0, 5], [3, np.nan]]), np.array([[8.0, 7]])]
    schema = Sequences.learn(Sequences.check(X), weight=np.array([1.0, 2.0]))
    np.testing.assert_allclose(schema.learnt.mean, [(1 + 3 + 16) / 4, (5 + 14) / 3])


# ------------------------------------------------------------------------------------------------------- verbs


def test_saved_and_loaded(model, of_frame, tmp_path):
    model.save(tmp_path / "list")
    again = load(tmp_path / "list")
    for a, b in zip(again.reconstruct(WAVES), model.reconstruct(WAVES), strict=True):
        assert np.array_equal(a, b)
    of_frame.save(tmp_path / "frame")
    pd.testing.assert_frame_equal(load(tmp_path / "frame").reconstruct(FRAME), of_frame.reconstruct(FRAME))


def test_samples_of_weight_nought_are_left_out():
    weight = np.array([1.0] * 8 + [0.0] * 4)
    assert np.array_equal(fit(WAVES[:8]).transform(WAVES), fit_weighted(weight).transform(WAVES))


def fit_weighted(weight) -> Autoencoder:
    model = Autoencoder(4, kind="sequences", architecture=Recurrent(8), max_epochs=2, random_state=0)
    return model.fit(WAVES, sample_weight=weight)


def test_a_condition_is_told_at_every_step():
    labels = np.arange(len(WAVES)) % 2
    model = Autoencoder(3, kind="sequences", architecture=Recurrent(8), max_epochs=2, random_state=0)
    model.fit(WAVES, condition=labels)
    codes = model.transform(WAVES, labels)
    assert not np.array_equal(codes, model.transform(WAVES, 1 - labels))
    assert len(model.inverse_transform(codes, labels)) == len(WAVES)
    assert [len(one) for one in model.reconstruct(WAVES, labels)] == LENGTHS


def test_variational_sequences():
    model = presets.variational(3, kind="sequences", architecture=Recurrent(8), max_epochs=2, random_state=0).fit(WAVES)
    drawn = model.sample(5, random_state=0)
    assert isinstance(drawn, list) and len(drawn) == 5 and drawn[0].shape[1] == 2
    assert np.isfinite(model.score(WAVES)) and model.posterior(WAVES)[0].shape == (12, 3)
    assert len(model.sample(2, like=WAVES[:3], random_state=0)) == 6
    nats = model.log_likelihood(WAVES, 3, random_state=0)
    assert np.isfinite(nats).all() and model.log_likelihood(WAVES[:1], 3, random_state=0)[0] == nats[0]


def test_the_way_between_two_sequences(model, of_frame):
    way = model.interpolate(WAVES[0], WAVES[6], steps=5)
    assert isinstance(way, list) and len(way) == 5
    assert of_frame.interpolate(WAVES[0], WAVES[6], steps=5)["unique_id"].nunique() == 5
    with pytest.raises(ValueError, match="one sample is expected"):
        model.interpolate(WAVES[0][:, :1], WAVES[6][:, :1])


def test_validation_and_a_target_of_its_own():
    model = Autoencoder(3, kind="sequences", architecture=Recurrent(8), max_epochs=2, random_state=0)
    model.fit(WAVES, validation=0.25)
    assert np.isfinite(model.history_[-1]["validation_loss"])
    ahead = [one[1:, :1] for one in WAVES]
    model = Autoencoder(3, kind="sequences", architecture=Recurrent(8), max_epochs=2, random_state=0)
    model.fit([one[:-1] for one in WAVES], target=ahead)
    assert model.reconstruct(WAVES)[0].shape[1] == 1
    assert np.isfinite(model.score_samples([one[:-1] for one in WAVES], target=ahead)).all()


def test_a_report_on_sequences_of_several_lengths_is_refused(model):
    from isthmus import report

    with pytest.raises(ValueError, match="differ in"):
        report.compare(model, WAVES)


def test_a_report_on_sequences_of_one_length():
    from isthmus import report

    X = np.stack([wave(9) for _ in range(20)])
    rows = report.compare(fit(X), X)
    assert rows[0]["method"] == "autoencoder" and np.isfinite(rows[0]["error"])
    assert rows[1]["error"] == pytest.approx(0, abs=1)  # PCA of standardised waves


# ------------------------------------------------------------------------------------------------------- sound


def test_log_mel_shows_a_tone_where_it_is():
    rate, pitch = 8000, 1000
    picture = log_mel(np.sin(2 * np.pi * pitch * np.arange(rate) / rate), rate)
    centres = mel_filters(rate, 40).argmax(1) * rate / 256
    assert abs(centres[picture[50].argmax()] - pitch) < 80
    assert picture.shape == (126, 40) and picture[50].max() > picture[50].min() + 5


def test_spectrum_keeps_energy():
    """Parseval: with Hann windows a quarter apart, squares add up to 1.5 times those of the wave, times the window's length."""
    x = np.random.default_rng(0).normal(size=4000)
    power = np.abs(spectrum(x, 256)) ** 2
    both_sides = 2 * power.sum() - power[:, 0].sum() - power[:, -1].sum()
    assert both_sides / 256 == pytest.approx(1.5 * np.square(x).sum(), rel=0.02)


def test_sixteen_bits_are_read_and_written_exactly(tmp_path):
    samples = np.arange(-(2**15), 2**15, dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(wav_bytes(samples.astype(np.float32) / 2**15, 8000))
    rate, wave = read_wav(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_array_equal(wave * 2**15, samples)


def test_griffin_lim_finds_a_wave_with_that_picture():
    rate = 8000
    x = np.sin(2 * np.pi * np.cumsum(np.linspace(300, 1500, 4000)) / rate) * np.hanning(4000)
    picture = log_mel(x, rate)
    back = from_log_mel(picture, rate, len(x))
    loud = picture > -5
    assert back.shape == x.shape and np.abs(log_mel(back, rate) - picture)[loud].mean() < 0.5


@pytest.mark.parametrize(
    "samples",
    [
        np.array([0, 128, 255], np.uint8),
        np.array([-32768, 0, 32767], np.int16),
        np.array([-(2**31), 0, 2**31 - 1], np.int32),
        np.array([-1, 0, 1], np.float32),
        np.array([[-32768, 0], [0, 32767]], np.int16),
    ],
    ids=lambda samples: f"{samples.dtype} {samples.ndim}",
)
def test_samples_of_any_width_lie_between_minus_one_and_one(samples, tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    (one,) = read_sound(tmp_path / "a.wav")
    assert one.dtype == np.float32 and one.min() == -1 and 0.99 < one.max() <= 1 and one.shape == samples.shape


def test_files_of_24_bits(tmp_path):
    data = b"".join(int(value).to_bytes(3, "little", signed=True) for value in (-(2**23), 0, 2**22))
    head = wav_bytes(np.zeros(0), 8000)[:44]
    head = head[:28] + (24000).to_bytes(4, "little") + b"\x03\x00\x18\x00" + head[36:40] + len(data).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(head[:4] + (36 + len(data)).to_bytes(4, "little") + head[8:] + data)
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav")[0], [-1, 0, 0.5])


def test_what_is_written_is_read_again(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CLIPS[0], 400))
    with warnings.catch_warnings(action="error"):
        rate, values = wavfile.read(tmp_path / "a.wav")
    assert rate == 400 and np.abs(values / 32767 - CLIPS[0]).max() < 1 / 32767


@pytest.mark.parametrize("kind", ["sound", "mel"])
def test_sound_comes_back_with_rate_names_and_lengths(kind, tmp_path):
    model = fit(CLIPS, kind=kind)
    back = model.reconstruct(CLIPS)
    assert isinstance(back, Waves) and back.rate == 400 and back.names == CLIPS.names
    assert [one.shape for one in back] == [one.shape for one in CLIPS]
    drawn = model.inverse_transform(model.transform(CLIPS))
    assert isinstance(drawn, Waves) and drawn.rate == 400
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").reconstruct(CLIPS)
    assert all(np.array_equal(a, b) for a, b in zip(again, back, strict=True))
    with pytest.raises(ValueError, match=r"800 samples a second.*trained on 400.*resample_poly\(wave, 400, 800\)"):
        model.transform(Waves(list(CLIPS), rate=800))
    assert isinstance(model.interpolate(CLIPS[0], CLIPS[1], steps=3), Waves)


# ------------------------------------------------------------------------------------------------------- files


def test_sequences_in_a_file_through_the_command_line(tmp_path, capsys):
    names = ["file", "b", "c/d", *(f"s{place}" for place in range(9))]
    with open(tmp_path / "in.npz", "wb") as file:
        write_npz(file, Named(WAVES, names))
    run("info", tmp_path / "in.npz", "--kind", "sequences")
    told = capsys.readouterr().out
    assert "3 to 30, median 9" in told and "each channel" in told
    fit_small(tmp_path, "in.npz", "--kind", "sequences")
    run("reconstruct", tmp_path / "model", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as back:
        assert back.files == names and [back[name].shape for name in names] == [one.shape for one in WAVES]
    run("encode", tmp_path / "model", tmp_path / "in.npz", "-o", tmp_path / "codes.npy")
    run("decode", tmp_path / "model", tmp_path / "codes.npy", "-o", tmp_path / "decoded.npz")
    run("sample", tmp_path / "model", "--prior", tmp_path / "in.npz", "-n", 3, "-o", tmp_path / "drawn.npz")
    assert len(read_path(tmp_path / "drawn.npz")[0]) == 3 and open_data(tmp_path / "drawn.npz", "sequences")[1] == "sequences"
    assert "ends in .npz" in refused(
        "decode", tmp_path / "model", tmp_path / "codes.npy", "-o", tmp_path / "x.npy", capsys=capsys
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_long_table_through_the_command_line(suffix, tmp_path):
    source = tmp_path / f"in{suffix}"
    FRAME.to_csv(source, index=False) if suffix == ".csv" else FRAME.to_parquet(source, index=False)
    fit_small(tmp_path, source.name, "--kind", "sequences")
    run("reconstruct", tmp_path / "model", source, "-o", tmp_path / f"out{suffix}")
    back, before = (read_path(path, "sequences")[0] for path in (tmp_path / f"out{suffix}", source))
    pd.testing.assert_frame_equal(back[["unique_id", "ds"]], before[["unique_id", "ds"]])
    assert list(back.dtypes) == list(before.dtypes)


def test_arrays_of_three_axes_through_the_command_line(tmp_path):
    X = np.stack([wave(9) for _ in range(12)])
    np.save(tmp_path / "in.npy", X)
    fit_small(tmp_path, "in.npy", "--kind", "sequences")
    run("reconstruct", tmp_path / "model", tmp_path / "in.npy", "-o", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == X.shape


@pytest.mark.parametrize("kind", ["auto", "mel"])
def test_a_folder_of_sound_through_the_command_line(kind, tmp_path, capsys):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for one, name in zip(CLIPS, CLIPS.names, strict=True):
        (folder / name).write_bytes(wav_bytes(one, 400))
    run("info", tmp_path / "in", "--kind", kind)
    assert "400 samples a second" in capsys.readouterr().out
    fit_small(tmp_path, "in", "--kind", kind)
    for again in ((), ("--force",)):
        run("reconstruct", tmp_path / "model", tmp_path / "in", "-o", tmp_path / "out", *again)
    back = read_sound(tmp_path / "out")
    assert back.rate == 400 and back.names == [f"deep/{name}" for name in CLIPS.names]
    assert [len(one) for one in back] == [len(one) for one in CLIPS]
    (tmp_path / "out" / "mine.txt").write_text("")
    words = refused("reconstruct", tmp_path / "model", tmp_path / "in", "-o", tmp_path / "out", "--force", capsys=capsys)
    assert "mine.txt" in words


def test_rows_of_different_length_in_a_csv_file(tmp_path):
    """As the M4 competition writes them: names in front, and empty cells at the end."""
    rows = [
        ",".join([f'"H{place}"', *(f"{x:.2f}" for x in one[:, 0])] + [""] * (30 - len(one))) for place, one in enumerate(WAVES)
    ]
    head = ",".join(f'"V{place}"' for place in range(31))
    (tmp_path / "m4.csv").write_text("\n".join([head, *rows]))
    X, kind = open_data(tmp_path / "m4.csv", "sequences")
    pieces = Sequences.check(X)
    assert kind == "sequences" and pieces.sizes[:, 0].tolist() == LENGTHS and pieces.names[3] == "H3"
    np.testing.assert_allclose(pieces.listed()[3], WAVES[3][:, 0], atol=0.01)


def fit_small(folder, data: str, *flags) -> None:
    run("fit", folder / data, "-o", folder / "model", "-n", 3, "--epochs", 1, *flags)


def run(*arguments) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def refused(*arguments, capsys) -> str:
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- bad input


def changed(place: int, value) -> list[np.ndarray]:
    X = [one.copy() for one in WAVES]
    X[place] = value(X[place])
    return X


def with_value(value):
    def change(one):
        one[2, 1] = value
        return one

    return change


REFUSED = {
    "no sequences": (lambda m, f: fit([]), ["0 sequences"]),
    "an empty sequence": (lambda m, f: fit(changed(3, lambda one: one[:0])), ["Sequence 3", "Leave empty"]),
    "an empty sequence at transform": (lambda m, f: m.transform(changed(3, lambda one: one[:0])), ["Sequence 3"]),
    "other channels in one": (lambda m, f: fit(changed(3, lambda one: one[:, :1])), ["Sequence 3", "same channels"]),
    "three axes": (lambda m, f: fit(changed(3, lambda one: one[None])), ["Sequence 3", "(1, 9, 2)"]),
    "steps that differ": (lambda m, f: fit([[[1.0, 2.0], [3.0]], [[1.0, 2.0]]]), ["Sequence 0", "channels"]),
    "text": (lambda m, f: fit([np.array(["a", "b"])]), ["Sequence 0", "numbers"]),
    "infinity": (lambda m, f: fit(changed(3, with_value(np.inf))), ["Sequence 3 holds infinity", "step 2"]),
    "infinity in an array": (lambda m, f: fit(np.full((4, 5), np.inf)), ["Sequence 0 holds infinity"]),
    "NaN at transform": (lambda m, f: m.transform(changed(3, with_value(np.nan))), ["Sequence 3 holds NaN", "step 2", "Fill"]),
    "nothing but NaN": (lambda m, f: fit(changed(3, lambda one: one * np.nan)), ["Sequence 3 holds nothing"]),
    "a channel of NaN": (lambda m, f: fit([one * [1, np.nan] for one in WAVES]), ["Channel 1 holds nothing"]),
    "other channels at transform": (lambda m, f: m.transform([one[:, :1] for one in WAVES]), ["1 channels", "trained on 2"]),
    "a list for an array": (lambda m, f: fit(np.zeros((5, 4)) + np.arange(5)[:, None], 2).transform(WAVES[0].T), ["4 steps"]),
    "one axis": (lambda m, f: fit(np.zeros(5)), ["(5,)"]),
    "a dense network": (lambda m, f: fit(architecture="dense"), ["recurrent"]),
    "no step column": (lambda m, f: fit(FRAME.drop(columns=["unique_id"])), ["'ds'", "unique_id", "Rename"]),
    "no numbers": (lambda m, f: fit(FRAME[["unique_id", "ds"]]), ["'unique_id', 'ds'"]),
    "a column of text": (lambda m, f: fit(FRAME.assign(y="a")), ["'y'", "Convert"]),
    "a step twice": (lambda m, f: fit(FRAME.assign(ds=FRAME["ds"].min())), ["twice", "Sequence 's"]),
    "a row without a name": (
        lambda m, f: fit(FRAME.assign(unique_id=FRAME["unique_id"].where(FRAME.index != 502, None))), ["'unique_id'", "row 2"],
    ),
    "a row without a step": (lambda m, f: fit(FRAME.assign(ds=FRAME["ds"].where(FRAME.index != 502))), ["'ds'", "row 2"]),
    "no rows": (lambda m, f: fit(FRAME[:0]), ["no rows"]),
    "a channel less at transform": (lambda m, f: f.transform(FRAME.drop(columns="count")), ["'count'", "fitted to"]),
    "NaN in a frame at transform": (
        lambda m, f: f.transform(FRAME.assign(y=FRAME["y"].where(FRAME["unique_id"] != "s4"))), ["Sequence 's4' holds NaN"],
    ),
    "infinity in a frame": (
        lambda m, f: fit(FRAME.assign(y=FRAME["y"].where(FRAME["unique_id"] != "s4", np.inf))), ["Sequence 's4'", "infinity"],
    ),
    "sound without a rate": (lambda m, f: fit(WAVES, kind="sound"), ["Waves", "rate"]),
    "a rate of nought": (lambda m, f: Waves(WAVES, 0), ["rate above zero"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_sequences_are_refused(case, model, of_frame):
    act, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        act(model, of_frame)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_bad_files_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no zip")
    (tmp_path / "b.npz").write_bytes(b"PK and nothing more")
    np.savez(tmp_path / "c.npz", a=np.array([{"x": 1}], dtype=object))
    for name in "abc":
        with pytest.raises(ValueError, match=rf"{name}\.npz"):
            read_path(tmp_path / f"{name}.npz")
    whole = wav_bytes(CLIPS[0], 400)
    (tmp_path / "half.wav").write_bytes(whole[:200])
    (tmp_path / "none.wav").write_bytes(wav_bytes(np.zeros(0), 400))
    (tmp_path / "text.wav").write_text("no sound")
    for name, words in (("half", "stops half-way"), ("none", "0 samples"), ("text", "no .wav file")):
        with pytest.raises(ValueError, match=words) as error:
            read_sound([tmp_path / f"{name}.wav"])
        assert f"{name}.wav" in str(error.value)
    folder = tmp_path / "rates"
    folder.mkdir()
    with pytest.raises(ValueError, match="holds no sound"):
        read_sound(folder)
    for rate in (400, 800):
        (folder / f"{rate}.wav").write_bytes(wav_bytes(CLIPS[0], rate))
    with pytest.raises(ValueError, match=r"800\.wav has 800 samples a second.*400"):
        read_sound(folder)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_the_networks_type_are_held_once_and_scaled_when_they_are_taken(dtype):
    waves = [5 + 3 * RANDOM.normal(size=(n, 2)).astype(dtype) for n in (9, 20, 13)]
    pieces = Sequences.check(waves)
    rows = Sequences.learn(pieces).rows(pieces)
    held = rows.resident()
    assert (held.values.values.data_ptr() == pieces.values.data_ptr()) is (dtype is np.float32)
    one, other = rows.take(torch.arange(3)), held.take(torch.arange(3))
    assert torch.equal(one.values, other.values) and torch.equal(one.weight, other.weight)


def test_a_bucket_is_a_power_of_two():
    assert [bucket(n) for n in (1, 8, 9, 16, 17, 1000)] == [8, 8, 16, 16, 32, 1024]


def test_pieces_are_taken_apart_and_keep_their_names():
    pieces = Sequences.check(FRAME)
    some = pieces[[2, 0]]
    assert isinstance(some, Pieces) and some.names == [pieces.names[2], pieces.names[0]] and some.layout is pieces.layout
    assert torch.equal(some.listed()[0], pieces.listed()[2])


def test_codes_of_a_long_frame_are_named_by_its_sequences():
    frame = pd.DataFrame({"unique_id": ["b"] * 5 + ["a"] * 7, "ds": [*range(5), *range(7)], "y": np.arange(12.0)})
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(frame)
    codes = model.transform(frame)
    named = model.set_output(transform="pandas").transform(frame)
    assert named.index.tolist() == ["b", "a"] and named.index.name == "unique_id" and (named.to_numpy() == codes).all()


def test_lists_are_guessed_only_where_that_is_certain():
    assert kind_of([[1.0, 2.0, 3.0], [1.0, 2.0]]) == "sequences"
    assert kind_of([[1.0, 2.0], [1.0, 2.0]]) == "vectors"
    assert kind_of(Named([np.zeros((5, 2)), np.zeros((7, 2))])) == "sequences"
    assert kind_of([np.zeros((5, 2), np.uint8)]) == "images"
    with pytest.raises(ValueError, match="kind='sequences'"):
        kind_of([np.zeros((5, 2)), np.zeros((7, 2))])
