"""What comes back from codes has the name, the size and the rate that went in; what cannot is refused with its cure."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from isthmus import Autoencoder, cli, load
from isthmus.data import Named, Waves, open_video, read_path, read_sound, save_video
from isthmus.data.sequences import write_npz
from isthmus.data.sound import wav_bytes
from isthmus.parts import Recurrent

LENGTHS = (5, 9, 7, 6)
RATE = Fraction(25, 2)


def run(*arguments, code=0) -> None:
    assert cli.main([str(argument) for argument in arguments]) == code


def refused(*arguments, capsys, code=1) -> str:
    capsys.readouterr()
    run(*arguments, code=code)
    return " ".join(capsys.readouterr().err.split())


def long_frame(names=("b", "a", "007", "d")) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"unique_id": name, "ds": range(steps), "y": np.sin(np.arange(steps) + steps)})
        for name, steps in zip(names, LENGTHS, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


LONG = long_frame()


def fit(X, n_components=2, kind="sequences", **settings) -> Autoencoder:
    architecture = {} if kind == "video" else {"architecture": Recurrent(4)}
    return Autoencoder(n_components, kind=kind, max_epochs=1, random_state=0, **architecture | settings).fit(X)


@pytest.fixture(scope="module")
def series() -> Autoencoder:
    return fit(LONG)


# -------------------------------------------------------------------------------------------------------- films


def frames_of(count: int, size=(16, 24)) -> np.ndarray:
    moved = np.arange(count)[:, None, None, None] * 3 + np.arange(size[1])[:, None] * 4 + np.array([0, 40, 80])
    return np.broadcast_to(moved, (count, *size, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two films of one size in a folder, one of them in a folder within, and a model of them at half that size."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "in" / "more").mkdir(parents=True)
    save_video(folder / "in" / "b.mp4", frames_of(11)[None], RATE)
    save_video(folder / "in" / "more" / "a.mp4", frames_of(8)[None], RATE)
    run("fit", folder / "in", "--frames", 4, "--size", "8,12", "-n", 2, "--epochs", 1, "-o", folder / "m")
    return folder


def test_a_film_for_a_model_is_resized_as_in_fit(films, tmp_path, capsys):
    clip, model = films / "in" / "b.mp4", load(films / "m")
    assert model.schema_.reading == {"frames": 4, "size": (8, 12)}
    wanted = model.transform(open_video(clip, 4, size=(8, 12)))
    np.testing.assert_array_equal(model.transform(clip), wanted)
    capsys.readouterr()
    run("encode", films / "m", clip, "-o", tmp_path / "codes.npy")
    assert "resized from 16 x 24 to 8 x 12" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), wanted)
    run("reconstruct", films / "m", clip, "-o", tmp_path / "back.mp4")
    (film,) = open_video(tmp_path / "back.mp4", 4).films
    assert (film.shape, len(film), film.rate) == ((8, 12, 3), 11, RATE)
    assert "8 x 12" in refused("encode", films / "m", clip, "--size", "9,12", "-o", tmp_path / "x.npy", capsys=capsys)


def test_codes_become_films_at_the_rate_of_those_in_fit(films, tmp_path, capsys):
    model, codes = films / "m", tmp_path / "codes.npy"
    run("encode", model, films / "in" / "b.mp4", "-o", codes)
    capsys.readouterr()
    run("decode", model, codes, "-o", tmp_path / "d.mp4")
    run("decode", model, codes, "-o", tmp_path / "d")
    assert "rate" not in capsys.readouterr().err
    decoded = load(model).inverse_transform(np.load(codes))
    (film,) = open_video(tmp_path / "d.mp4", 4).films
    assert (film.shape, len(film), film.rate) == ((8, 12, 3), 12, RATE)
    assert np.abs(open_video(tmp_path / "d.mp4", 4)[:].astype(float) - decoded).mean() < 6
    several = open_video(tmp_path / "d", 4)
    assert several.names == ["0.mp4", "1.mp4", "2.mp4"] and [len(film) for film in several.films] == [4, 4, 4]
    run("decode", model, codes, "--rate", 50, "-o", tmp_path / "fast.mp4")
    assert open_video(tmp_path / "fast.mp4", 4).rate == 50


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_films_that_a_table_of_codes_names_come_back_under_their_names(suffix, films, tmp_path, capsys):
    model, codes = films / "m", tmp_path / f"codes{suffix}"
    run("encode", model, films / "in", "-o", codes)
    run("decode", model, codes, "-o", tmp_path / "d")
    back = open_video(tmp_path / "d", 4)
    assert back.names == ["b.mp4", "more/a.mp4"] and [len(film) for film in back.films] == [12, 8]
    assert "these are 2 films" in refused("decode", model, codes, "-o", tmp_path / "d.mp4", capsys=capsys)


def test_where_no_rate_is_known_the_one_that_is_taken_is_told(tmp_path, capsys):
    X = frames_of(12, (8, 8)).reshape(3, 4, 8, 8, 3)
    model = fit(X, kind="video")
    model.save(tmp_path / "m")
    np.save(tmp_path / "codes.npy", model.transform(X))
    run("decode", tmp_path / "m", tmp_path / "codes.npy", "-o", tmp_path / "d.mp4")
    assert "25 frames a second" in capsys.readouterr().err and open_video(tmp_path / "d.mp4", 4).rate == 25


def test_help_says_how_a_size_is_written(capsys):
    run("encode", "--help")
    assert "--size H,W" in capsys.readouterr().out


def test_codes_of_windows_have_an_array_each(films, tmp_path):
    run("encode", films / "m", films / "in", "-o", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as codes:
        assert len(codes.files) == 5


# -------------------------------------------------------------------------------------------------------- sound

WAVES = Waves([np.sin(np.arange(steps) / 3) / 2 for steps in (150, 90, 200)], 400, ["x.wav", "y.wav", "z.wav"])


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "in").mkdir()
    for wave, name in zip(WAVES, WAVES.names, strict=True):
        (folder / "in" / name).write_bytes(wav_bytes(wave, 400))
    fit(WAVES, kind="mel").save(folder / "m")
    return folder


def test_one_sound_goes_to_one_file(spoken, tmp_path, capsys):
    model, one = spoken / "m", spoken / "in" / "x.wav"
    run("reconstruct", model, one, "-o", tmp_path / "out.wav")
    run("encode", model, one, "-o", tmp_path / "codes.npy")
    run("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "decoded.wav")
    back = read_sound(tmp_path / "out.wav")
    assert (back.rate, len(back[0])) == (400, 150) and read_sound(tmp_path / "decoded.wav").rate == 400
    for verb, source in (("reconstruct", spoken / "in"), ("decode", tmp_path / "codes.csv")):
        if verb == "decode":
            run("encode", model, spoken / "in", "-o", source)
        told = refused(verb, model, source, "-o", tmp_path / "all.wav", capsys=capsys)
        assert "these are 3" in told and "name of a folder" in told
    told = refused("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "x.flac", capsys=capsys)
    assert ".wav or .npz, or the name of a folder, without an ending" in told
    assert not list(tmp_path.glob("x*")) and not list(tmp_path.glob("all*"))


@pytest.mark.parametrize("verb", ["reconstruct", "decode"])
def test_help_names_every_ending(verb, capsys):
    run(verb, "--help")
    told = " ".join(capsys.readouterr().out.split())
    for ending in (".npy", ".csv", ".parquet", ".png", ".mp4", ".wav", ".npz", ".txt", ".jsonl", "folder"):
        assert ending in told


def test_what_cannot_be_read_is_skipped_by_one_word(spoken, tmp_path):
    (tmp_path / "a.wav").write_bytes((spoken / "in" / "x.wav").read_bytes())
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    for read in (read_sound, read_path):
        with pytest.warns(UserWarning, match=r"b\.wav"):
            read(tmp_path, skip_corrupt=True)
        with pytest.raises(ValueError, match=r"b\.wav"):
            read(tmp_path)
    (tmp_path / "c.mp4").write_text("no film")
    with pytest.raises(ValueError, match="None of the 1 films"):
        open_video(tmp_path, skip_corrupt=True)
    with pytest.raises(ValueError, match="contrary"):
        read_sound(tmp_path, skip_corrupt=True, on_error="raise")


def test_sound_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist\. Give a \.wav file"):
        read_sound("nowhere")


# -------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_series_keep_their_names_through_a_file_of_codes(suffix, series, tmp_path):
    codes, read = tmp_path / f"codes{suffix}", pd.read_csv if suffix == ".csv" else pd.read_parquet
    series.save(tmp_path / "m")
    LONG.to_parquet(tmp_path / "in.parquet")
    run("encode", tmp_path / "m", tmp_path / "in.parquet", "-o", codes)
    series.encode_to(tmp_path / f"python{suffix}", LONG)
    pd.testing.assert_frame_equal(read(codes), read(tmp_path / f"python{suffix}"))
    assert read(codes).columns.tolist() == ["unique_id", *series.get_feature_names_out()]
    run("decode", tmp_path / "m", codes, "-o", tmp_path / "back.parquet")
    back = pd.read_parquet(tmp_path / "back.parquet")
    assert back.unique_id.unique().tolist() == ["b", "a", "007", "d"] and back.columns.tolist() == ["unique_id", "ds", "y"]


def test_series_keep_their_names_in_python():
    for names in (("b", "a", "007", "d"), (7, 3, 12, 5)):
        frame = long_frame(names)
        model = fit(frame).set_output(transform="pandas")
        codes = model.transform(frame)
        back = model.inverse_transform(codes)
        assert back.unique_id.unique().tolist() == list(names) and back.unique_id.dtype == frame.unique_id.dtype
        assert model.inverse_transform(codes.to_numpy()).unique_id.unique().tolist() == [0, 1, 2, 3]


def test_rows_of_a_wide_table_keep_their_names(tmp_path):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 6)), columns=[f"V{step}" for step in range(6)])
    wide.insert(0, "id", ["p", "q", "r", "s"])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    fit(wide).save(tmp_path / "m")
    run("encode", tmp_path / "m", tmp_path / "wide.csv", "-o", tmp_path / "codes.csv")
    run("decode", tmp_path / "m", tmp_path / "codes.csv", "-o", tmp_path / "back.csv")
    assert pd.read_csv(tmp_path / "back.csv").id.tolist() == ["p", "q", "r", "s"]


def test_arrays_of_a_file_keep_their_names(tmp_path):
    named = Named([np.arange(steps, dtype=float) for steps in LENGTHS], ["00", "01", "x", "02"])
    with open(tmp_path / "in.npz", "wb") as file:
        write_npz(file, named)
    fit(named).save(tmp_path / "m")
    run("encode", tmp_path / "m", tmp_path / "in.npz", "-o", tmp_path / "codes.csv")
    run("decode", tmp_path / "m", tmp_path / "codes.csv", "-o", tmp_path / "back.npz")
    with np.load(tmp_path / "back.npz") as back:
        assert back.files == named.names


# -------------------------------------------------------------------------------------------------------- refused

FRAMES = {
    "no steps": (LONG.drop(columns="ds"), "The frame lacks 'ds'; the model was fitted to 'unique_id', 'ds', 'y'. Add"),
    "steps of another name": (LONG.rename(columns={"ds": "time"}), "The frame lacks 'ds'; .* Rename 'time'"),
    "names of another name": (LONG.rename(columns={"unique_id": "id"}), "The frame lacks 'unique_id'; .* Rename 'id'"),
}


@pytest.mark.parametrize("frame, words", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("verb", ["transform", "reconstruct"])
def test_a_long_frame_of_other_columns_is_refused(verb, frame, words, series):
    with pytest.raises(ValueError, match=words):
        getattr(series, verb)(frame)


def test_steps_to_sort_by_are_refused_where_there_were_none():
    model = fit(LONG.drop(columns="ds"))
    assert len(model.reconstruct(LONG.drop(columns="ds"))) == len(LONG)
    with pytest.raises(ValueError, match=r"has 'ds' to sort by.*leave 'ds' out"):
        model.transform(LONG)


def test_a_file_of_samples_and_labels_is_refused_by_name(tmp_path, capsys):
    np.savez(tmp_path / "both.npz", X=np.zeros((7, 3)), y=np.zeros(7))
    told = refused("info", tmp_path / "both.npz", capsys=capsys)
    assert "both.npz holds arrays of different kinds" in told and "numpy.save('X.npy', numpy.load('both.npz')['X'])" in told


def test_impute_says_that_it_is_for_tables_whatever_the_ending(series, tmp_path, capsys):
    series.save(tmp_path / "m")
    told = refused("impute", tmp_path / "m", tmp_path / "s.txt", "-o", tmp_path / "f.txt", capsys=capsys)
    assert "was fitted to sequences, and impute is for tables" in told


def test_a_sequence_of_nothing_is_refused_in_an_array_as_in_a_list():
    X = np.random.default_rng(0).normal(size=(5, 6, 2))
    X[3] = np.nan
    for given in (X, list(X)):
        with pytest.raises(ValueError, match="Sequence 3 holds nothing: all its 6 steps are missing"):
            fit(given)
    X[3, 0] = 1
    assert fit(X).transform(X).shape == (5, 2)


# -------------------------------------------------------------------------------------------------------- info


def test_info_clips_long_texts(tmp_path, capsys):
    texts = ["word " * 40 + str(place) for place in range(3)] * 4
    pd.DataFrame({"text": texts, "number": range(12)}).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    run("info", tmp_path / "a.tsv", "--kind", "table")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) < 150 and "word word word word w..." in out


def test_info_names_the_columns_of_numbers(tmp_path, capsys):
    pd.DataFrame(np.eye(5, 20), columns=[f"c{place}" for place in range(20)]).to_csv(tmp_path / "a.csv", index=False)
    run("info", tmp_path / "a.csv")
    out = capsys.readouterr().out
    assert "c0, c1, " in out and "... (20)" in out
    run("info", tmp_path / "a.csv", "--json")
    assert '"c19"' in capsys.readouterr().out
