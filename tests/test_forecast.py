"""Forecasts: laws of scale, shift and order, forms in and out, films, text, folders, the command line, bad input."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from isthmus import Autoencoder, load
from isthmus.apps import Forecaster
from isthmus.apps.series import Moments, read_series, season_of
from isthmus.cli import main
from isthmus.data import open_video, save_video
from isthmus.parts import Composite, Recurrent, Translator

QUICK = {"max_epochs": 8}
STEPS = np.arange(120.0)
WAVES = np.stack([np.sin(2 * np.pi * (STEPS + k) / 12) * (1 + k) * (1 + STEPS / 60) + k + STEPS / 10 for k in range(6)])


@pytest.fixture(scope="module")
def fitted():
    return Forecaster(QUICK, horizon=6, window=24, season=12, method="autoencoder", random_state=0).fit(WAVES)


# ------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("scale, shift", [(3.0, 0.0), (1e-3, 50.0), (1e4, -7.0)])
def test_a_forecast_follows_scale_and_shift(scale, shift, fitted):
    noisy = WAVES + 0.1 * np.random.default_rng(0).normal(size=WAVES.shape)
    found = fitted.forecast_quantiles(scale * noisy + shift, 10)
    np.testing.assert_allclose(found, scale * fitted.forecast_quantiles(noisy, 10) + shift, rtol=1e-4, atol=1e-4 * scale)


def test_what_goes_on_steadily_is_continued():
    lines = np.array([[start + rise * step for step in range(8)] for start in range(12) for rise in (-2, 1, 3)], float)
    forecaster = Forecaster({"max_epochs": 60}, window=3, horizon=1, season=1, random_state=0).fit(lines)
    np.testing.assert_allclose(forecaster.forecast([2, 4, 6], 4), [8, 10, 12, 14], rtol=0.02)
    assert forecaster.method_ == "autoencoder" and forecaster.comparison_[0]["error"] < 0.1


def test_series_that_do_not_change_go_on_as_they_are(fitted):
    np.testing.assert_array_equal(fitted.forecast_quantiles(np.full(30, 7.25), 9), np.full((9, 3), 7.25))


def test_quantiles_do_not_cross_and_the_middle_one_is_the_forecast(fitted):
    noisy = WAVES + np.random.default_rng(1).normal(size=WAVES.shape)
    found = fitted.forecast_quantiles(noisy, 20)
    assert found.shape == (6, 20, 3) and (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(found[..., 1], fitted.forecast(noisy, 20))


def test_rolling_takes_forecasts_for_the_past(fitted):
    first = fitted.forecast(WAVES[0], 6)
    later = fitted.forecast(np.concatenate([WAVES[0], first]), 6)
    np.testing.assert_allclose(fitted.forecast(WAVES[0], 12), np.concatenate([first, later]), rtol=1e-6)


def test_only_the_last_window_is_read(fitted):
    np.testing.assert_array_equal(fitted.forecast(WAVES[:, -24:]), fitted.forecast(WAVES))


def test_the_same_seed_gives_the_same_forecast(fitted):
    np.testing.assert_array_equal(clone(fitted).fit(WAVES).forecast(WAVES), fitted.forecast(WAVES))


def test_forecasts_of_several_windows_are_averaged():
    given = {"horizon": 6, "season": 12, "held_out": False, "quantiles": 0.5, "random_state": 0}
    both = Forecaster(QUICK, window=(12, 24), **given).fit(WAVES)
    assert both.window_ == (12, 24) and len(both.further_) == 1 and both.comparison_ == []
    short = Forecaster(both.model_, window=12, **given).fit(WAVES)
    long = Forecaster(both.further_[0], window=24, **given).fit(WAVES)
    np.testing.assert_allclose(both.forecast(WAVES), (short.forecast(WAVES) + long.forecast(WAVES)) / 2, rtol=1e-6)


# ---------------------------------------------------------------------------------------------- what is compared


def test_noise_is_left_to_a_plain_method_and_it_is_said():
    walk = np.random.default_rng(0).normal(size=(1, 90)).cumsum(1)
    with pytest.warns(UserWarning, match=r"(last_value|seasonal_naive) is better than what was learnt"):
        forecaster = Forecaster({"max_epochs": 1}, horizon=4, window=8, season=1, random_state=3).fit(walk)
    assert forecaster.method_ in ("last_value", "seasonal_naive")
    np.testing.assert_allclose(forecaster.forecast(walk), np.repeat(walk[:, -1:], 4, 1))  # a season of 1: both are the same
    assert (forecaster.forecast_quantiles(walk)[..., 2] > forecaster.forecast_quantiles(walk)[..., 0]).all()


def test_errors_are_those_of_what_was_held_out(fitted):
    row = next(row for row in fitted.comparison_ if row["method"] == "last_value")
    past, truth = WAVES[:, :-6], WAVES[:, -6:]
    usual = np.abs(past[:, 12:] - past[:, :-12]).mean(1)
    wanted = np.mean(np.abs(past[:, -1:] - truth).mean(1) / usual)
    assert fitted.comparison_ == sorted(fitted.comparison_, key=lambda row: row["error"])
    assert row["smape"] == pytest.approx(np.mean(200 * np.abs(past[:, -1:] - truth) / (np.abs(past[:, -1:]) + np.abs(truth))))
    assert row["error"] == pytest.approx(wanted)


@pytest.mark.parametrize("season", [1, 7, 24])
def test_the_season_is_found(season):
    random, steps = np.random.default_rng(season), np.arange(400)
    wave = random.normal(size=season)[steps % season] if season > 1 else 0
    values = [(wave + 0.02 * steps + 0.3 * random.normal(size=400))[:, None] for _ in range(3)]
    assert season_of(values, 100) == season


# ---------------------------------------------------------------------------------------------------- in and out


def test_an_array_a_list_and_one_series_come_back_as_they_are(fitted):
    whole = fitted.forecast(WAVES)
    assert whole.shape == (6, 6) and fitted.forecast(WAVES[0]).shape == (6,)
    np.testing.assert_allclose(fitted.forecast(WAVES[0]), whole[0], rtol=1e-5)
    parts = fitted.forecast([WAVES[0], WAVES[1][50:]])
    assert isinstance(parts, list) and len(parts) == 2
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)


def test_each_channel_is_a_series():
    both = np.stack([WAVES[:3], WAVES[3:]], 2)
    forecaster = Forecaster(QUICK, horizon=6, window=24, season=12, method="autoencoder", random_state=0).fit(both)
    assert forecaster.forecast(both).shape == (3, 6, 2)
    alone = Forecaster(QUICK, horizon=6, window=24, season=12, method="autoencoder", random_state=0).fit(
        WAVES[[0, 3, 1, 4, 2, 5]]
    )
    np.testing.assert_allclose(forecaster.forecast(both)[:, :, 1], alone.forecast(WAVES[3:]), rtol=1e-5)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_long_frame_gives_a_frame_with_the_moments_that_follow(library, fitted):
    frame = pd.DataFrame({
        "unique_id": np.repeat(["b", "a"], 60), "ds": [*pd.date_range("2024-01-31", periods=60, freq="D")] * 2,
        "y": np.concatenate([WAVES[0, :60], WAVES[1, :60]]),
    })  # fmt: skip
    given = frame.sample(frac=1, random_state=0) if library == "pandas" else pl.from_pandas(frame)
    found = fitted.forecast(given, 3)
    assert type(found) is type(given) and list(found.columns) == ["unique_id", "ds", "y", "y_q10", "y_q90"]
    found = found if library == "pandas" else found.to_pandas()
    ours = found[found.unique_id == "a"]
    assert [str(when)[:10] for when in ours.ds] == ["2024-03-31", "2024-04-01", "2024-04-02"]
    np.testing.assert_allclose(ours.y, fitted.forecast(WAVES[1, :60], 3), rtol=1e-5)


def test_a_frame_of_one_series_needs_no_name(fitted):
    months = pd.period_range("1949-01", periods=60, freq="M").astype(str)
    found = fitted.forecast(pd.DataFrame({"Month": months, "sold": WAVES[0, :60], "price": WAVES[1, :60]}), 2)
    assert found.Month.tolist() == ["1954-01", "1954-02"]
    assert list(found.columns) == ["Month", "sold", "sold_q10", "sold_q90", "price", "price_q10", "price_q90"]


def test_a_wide_frame_has_a_row_for_each_series(fitted):
    frame = pd.DataFrame(WAVES[:2], columns=[f"V{step}" for step in range(120)])
    frame.insert(0, "id", ["H1", "H2"])
    frame.loc[1, "V110":] = np.nan
    found = fitted.forecast(frame, 2)
    assert found["id"].tolist() == ["H1", "H1", "H2", "H2"] and found["step"].tolist() == [120, 121, 110, 111]
    np.testing.assert_allclose(found.y[:2], fitted.forecast(WAVES[0], 2), rtol=1e-5)


def test_gaps_lie_on_the_line_between_their_neighbours():
    values = np.array([[np.nan, 1.0, np.nan, 3.0, np.nan]])
    np.testing.assert_array_equal(read_series(values).values[0][:, 0], [1, 1, 2, 3, 3])


@pytest.mark.parametrize(
    "written, later",
    [
        (["1949-11", "1949-12"], ["1950-01", "1950-02"]),
        (["2024-02-28", "2024-02-29"], ["2024-03-01", "2024-03-02"]),
        (["2016-07-01 22:00:00", "2016-07-01 23:00:00"], ["2016-07-02 00:00:00", "2016-07-02 01:00:00"]),
        (["2023-11-15", "2023-12-15", "2024-01-15"], ["2024-02-15", "2024-03-15"]),
        ([3, 5, 7], [9, 11]),
        (["2024-01-01", "2024-01-02", "2024-01-05"], None),
    ],
)
def test_moments_go_on_as_they_were_written(written, later):
    import narwhals as nw

    found = Moments.of(nw.from_native(pd.Series(written), series_only=True), "a")
    assert (None if found is None else found.after(2)) == later


# ------------------------------------------------------------------------------------------------------- files


def test_a_folder_gives_back_the_forecaster(tmp_path):
    one = Forecaster(QUICK, horizon=6, window=(12, 24), season=12, method="autoencoder", random_state=0).fit(WAVES)
    one.save(tmp_path / "f")
    again = load(tmp_path / "f")
    np.testing.assert_array_equal(again.forecast_quantiles(WAVES, 9), one.forecast_quantiles(WAVES, 9))
    assert again.comparison_ == one.comparison_ and again.window_ == (12, 24)
    again.method_ = one.method_ = "last_value"
    np.testing.assert_array_equal(again.forecast_quantiles(WAVES), one.forecast_quantiles(WAVES))
    one.save(tmp_path / "f", overwrite=True)


def test_series_through_the_command_line(tmp_path, capsys):
    months = pd.period_range("2001-01", periods=96, freq="M").astype(str)
    pd.DataFrame({"Month": months, "sold": WAVES[2, :96]}).to_csv(tmp_path / "sold.csv", index=False)
    run = lambda *tokens: main([str(token) for token in tokens])  # noqa: E731
    given = ("--epochs", 3, "--set", "horizon=4", "--set", "window=24", "--set", "season=12")
    assert run("fit", tmp_path / "sold.csv", "--task", "forecast", *given, "-o", tmp_path / "f") == 0
    assert run("forecast", tmp_path / "f", tmp_path / "sold.csv", "--horizon", 6, "-o", tmp_path / "next.csv") == 0
    found = pd.read_csv(tmp_path / "next.csv")
    assert [when[:7] for when in found.Month] == [f"2009-0{month}" for month in range(1, 7)]
    assert found.columns.tolist() == ["Month", "sold", "sold_q10", "sold_q90"]
    np.save(tmp_path / "x.npy", WAVES[:2])
    for ending in ("npy", "npz", "parquet", "html"):
        assert run("forecast", tmp_path / "f", tmp_path / "x.npy", "-o", tmp_path / f"next.{ending}") == 0
    assert np.load(tmp_path / "next.npy").shape == (2, 4)
    assert "seasonal naive" in (tmp_path / "next.html").read_text()
    capsys.readouterr()
    assert run("forecast", tmp_path / "f", tmp_path / "x.npy", "-o", tmp_path / "n.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["horizon"] == 4
    assert run("forecast", tmp_path / "f", tmp_path / "x.npy", "-o", tmp_path / "n.csv") == 1
    assert "already exists" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- bad input

WRONG = {
    "a series shorter than the window": (lambda f: f.forecast(WAVES[0, :20]), "20 steps, but this model reads the last 24"),
    "one of several that is shorter": (lambda f: f.forecast([WAVES[0], WAVES[0, :9]]), "Series 1 has 9 steps"),
    "too short to learn from": (lambda f: Forecaster(window=24, horizon=6).fit(WAVES[:, :30]), "30 steps, but a window of 24"),
    "a horizon of zero": (lambda f: f.forecast(WAVES, 0), "horizon=0"),
    "a horizon of zero in fit": (lambda f: Forecaster(horizon=0).fit(WAVES), "horizon=0"),
    "a window of zero": (lambda f: Forecaster(window=0).fit(WAVES), "window=0"),
    "nothing": (lambda f: f.forecast([]), "0 sequences"),
    "infinity": (lambda f: f.forecast(np.append(WAVES[0], np.inf)), "infinity"),
    "nothing but gaps": (lambda f: f.forecast(np.full(40, np.nan)), "missing"),
    "a quantile of one": (lambda f: Forecaster(quantiles=(0.5, 1.0)).fit(WAVES), "quantiles"),
    "a method that is none": (lambda f: Forecaster(method="arima").fit(WAVES), "method='arima'"),
    "quantiles beyond those there are": (lambda f: f.forecast(3.0), "a series of numbers is expected"),
}  # fmt: skip


@pytest.mark.parametrize("call, said", WRONG.values(), ids=WRONG)
def test_bad_input_is_refused(call, said, fitted):
    with pytest.raises(ValueError, match=said):
        call(fitted)


def test_a_model_that_is_none_is_refused():
    with pytest.raises(TypeError, match="an Autoencoder, a dict"):
        Forecaster("dense", horizon=2, window=4).fit(WAVES)


# ------------------------------------------------------------------------------------------------ films and text


def moving(count=24, frames=8, side=12) -> np.ndarray:
    """A square that moves a pixel a frame, uint8."""
    random, clips = np.random.default_rng(0), np.zeros((count, frames, side, side), np.uint8)
    for clip in clips:
        (y, x), (down, right) = random.integers(0, 2, 2), random.integers(0, 2, 2)
        for step, frame in enumerate(clip):
            frame[y + down * step : y + down * step + 3, x + right * step : x + right * step + 3] = 255
    return clips


CLIPS = moving()


@pytest.fixture(scope="module")
def films():
    small = {"architecture": Translator((12,), 32, 1, 5), "max_epochs": 20, "batch_size": 8}
    return Forecaster(small, window=4, horizon=3, random_state=0).fit(CLIPS[..., None])


def test_frames_are_forecast_in_the_form_that_films_came_in(films):
    found = films.forecast(CLIPS[:3, :4], 7)
    assert found.shape == (3, 7, 12, 12) and found.dtype == np.uint8
    assert films.forecast(CLIPS[:3, :4, ..., None]).shape == (3, 3, 12, 12, 1)
    assert films.forecast(CLIPS[0, :5, ..., None]).shape == (3, 12, 12, 1)
    several = films.forecast([CLIPS[0, :4], CLIPS[1, :6]], 2)
    assert isinstance(several, list) and [one.shape for one in several] == [(2, 12, 12)] * 2
    np.testing.assert_array_equal(several[0], films.forecast(CLIPS[:1, :4], 2)[0])


def test_frames_are_rolled_on(films):
    first = films.forecast(CLIPS[:2, :4])
    later = films.forecast(np.concatenate([CLIPS[:2, :4], first], 1))
    np.testing.assert_array_equal(films.forecast(CLIPS[:2, :4], 6), np.concatenate([first, later], 1))


def test_what_moves_is_seen_moving(films):
    errors = {row["method"]: row["error"] for row in films.comparison_}
    assert (
        films.method_ == "autoencoder" and errors["autoencoder"] < 0.7 * errors["zeros"] and errors["zeros"] == pytest.approx(9)
    )


def test_a_folder_gives_back_the_films_forecaster(films, tmp_path):
    films.save(tmp_path / "f")
    np.testing.assert_array_equal(load(tmp_path / "f").forecast(CLIPS[:2]), films.forecast(CLIPS[:2]))


def test_the_past_is_rebuilt_too_where_that_is_asked_for():
    both = Forecaster({"max_epochs": 1, "batch_size": 8}, window=4, horizon=3, composite=True, method="autoencoder").fit(CLIPS)
    assert both.model_.target_schema_.shape == (7, 12, 12, 1) and both.forecast(CLIPS[:2]).shape == (2, 3, 12, 12)
    series = Forecaster(
        Autoencoder(6, architecture=Composite(8), max_epochs=1),
        window=24,
        horizon=6,
        season=12,
        composite=True,
        method="autoencoder",
    ).fit(WAVES)
    assert series.model_.target_schema_.shape == (30, 3) and series.forecast(WAVES).shape == (6, 6)


def test_films_through_the_command_line(tmp_path, capsys):
    pytest.importorskip("av")
    save_video(tmp_path / "a.mp4", moving(1, 24, 48)[..., None].repeat(3, -1), rate=5)
    run = lambda *tokens: main([str(token) for token in tokens])  # noqa: E731
    given = ("--epochs", 1, "--batch-size", 4, "--size", "16,16", "--frames", 10)
    settings = ("--set", "window=4", "--set", "horizon=3", "--set", "method=autoencoder")
    assert run("fit", tmp_path / "a.mp4", "--task", "forecast", *given, *settings, "-o", tmp_path / "f") == 0
    assert run("forecast", tmp_path / "f", tmp_path / "a.mp4", "--size", "16,16", "--horizon", 5, "-o", tmp_path / "b.mp4") == 0
    made = open_video(tmp_path / "b.mp4", 29)
    assert made.shape == (1, 29, 16, 16, 3) and made.rate == 5
    assert run("forecast", tmp_path / "f", tmp_path / "a.mp4", "--size", "16,16", "-o", tmp_path / "b.html") == 0
    assert "the last frames of the past" in (tmp_path / "b.html").read_text()


@pytest.fixture(scope="module")
def melody():
    return Forecaster({"max_epochs": 6}, random_state=0).fit([["2", "4", "6", "8", "0"] * 4] * 30)


def test_the_next_symbol_of_a_sequence(melody):
    assert melody.forecast([["2", "4", "6"], ["8", "0"]], 3) == [["8", "0", "2"], ["2", "4", "6"]]
    assert {row["method"]: row["error"] for row in melody.comparison_}["commonest_next"] == 0


def test_the_next_characters_of_text():
    texts = ["abcabcabcabc"[start:] for start in range(3)] * 20
    forecaster = Forecaster({"max_epochs": 4}, horizon=2, random_state=0).fit(texts)
    assert forecaster.forecast(["cab", "b"], 4) == ["cabc", "cabc"]
    errors = {row["method"]: row["error"] for row in forecaster.comparison_}
    assert errors["last_symbol"] == 1 and errors["autoencoder"] == 0


def test_sentences_that_answer_others(tmp_path, capsys):
    english, german = ["a dog", "two men", "a cat"] * 10, ["ein Hund", "zwei Männer", "eine Katze"] * 10
    model = Autoencoder(16, architecture=Recurrent(32, teacher_forcing=True), max_epochs=25, batch_size=8)
    forecaster = Forecaster(model, random_state=0).fit(english, target=german)
    assert forecaster.forecast(["two men", "a cat"]) == ["zwei Männer", "eine Katze"]
    assert forecaster.comparison_[0]["method"] == "autoencoder"
    forecaster.save(tmp_path / "f")
    assert load(tmp_path / "f").forecast(["a dog"]) == ["ein Hund"]
    (tmp_path / "x.txt").write_text("a cat\na dog\n")
    assert main(["forecast", str(tmp_path / "f"), str(tmp_path / "x.txt"), "-o", str(tmp_path / "y.txt")]) == 0
    assert (tmp_path / "y.txt").read_text() == "eine Katze\nein Hund\n"


WRONG_FRAMES = {
    "a clip without frames": (lambda f: f.forecast([CLIPS[0], CLIPS[0, :0]]), "Clip 1 .* holds no frames"),
    "a clip shorter than the window": (lambda f: f.forecast(CLIPS[:, :3]), "3 frames, but this model reads the last 4"),
    "clips of two sizes": (lambda f: f.forecast([CLIPS[0], CLIPS[0][:, 2:]]), "of the size of clip 0"),
    "frames of another size": (lambda f: f.forecast(CLIPS[:2, :, 2:]), "trained on"),
    "too short to learn from": (lambda f: Forecaster(window=6, horizon=6).fit(CLIPS), "8 frames, but a window of 6"),
    "too few to compare": (lambda f: Forecaster(window=4, horizon=4).fit(CLIPS[:3]), "too few to keep some"),
    "no clips": (lambda f: f.forecast(CLIPS[:0]), "0 clips"),
    "two windows": (lambda f: Forecaster(window=(2, 3)).fit(CLIPS), "one number of frames"),
    "quantiles of films": (lambda f: f.forecast_quantiles(CLIPS), "series of numbers"),
    "a horizon of zero": (lambda f: f.forecast(CLIPS, 0), "horizon=0"),
}  # fmt: skip


@pytest.mark.parametrize("call, said", WRONG_FRAMES.values(), ids=WRONG_FRAMES)
def test_bad_films_are_refused(call, said, films):
    with pytest.raises(ValueError, match=said):
        call(films)


WRONG_TEXT = {
    "an empty sentence": (lambda f: f.forecast([["2"], []]), "Sentence 1 is empty"),
    "an unknown symbol": (lambda f: f.forecast([["2", "5"]]), "'5' is no symbol"),
    "sentences where symbols were": (lambda f: f.forecast(["24"]), "sequences of symbols"),
    "too many symbols": (lambda f: Forecaster().fit([[str(k) for k in range(200)]]), "200 different symbols"),
    "nothing to read": (lambda f: Forecaster(horizon=4).fit(["abcd"] * 30), "leaves nothing to read"),
    "an answer too few": (lambda f: Forecaster().fit(["a"] * 30, target=["b"] * 29), "29 sentences, but X has 30"),
    "answers that are numbers": (lambda f: Forecaster().fit(["a"] * 30, target=np.ones((30, 2))), "target is for text"),
    "rebuilt text": (lambda f: Forecaster(composite=True).fit(["abc"] * 30), "composite=True rebuilds series or films"),
}  # fmt: skip


@pytest.mark.parametrize("call, said", WRONG_TEXT.values(), ids=WRONG_TEXT)
def test_bad_text_is_refused(call, said, melody):
    with pytest.raises(ValueError, match=said):
        call(melody)
