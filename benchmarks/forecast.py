"""What comes next: series of numbers, frames, sentences.

M4 Hourly: 414 series of 700 to 960 hours, the next 48, once, by a model for windows of each length that `settings` tells, all of
them trained on all series together; --validate forecasts the last 48 hours of the training part. OWA: the mean of sMAPE and
MASE, each over that of Naive2 (Makridakis et al. 2020), which is computed here too. "inside": how many values lie between the
10 and the 90 % quantile. Published: the M4 organisers' sheet.

Moving MNIST (Srivastava et al. 2015), made anew: two digits of 28 pixels, 3.6 pixels a frame, in frames of 64 x 64, ten to ten.
8,000 clips to learn from with training digits, 2,000 to be judged by with test digits (--validate: 500, with the last 10,000
training digits). The squared error is summed over a frame of pixels from 0 to 1, the mean over frames; SSIM as the loss of that
name has it. Published: 200 epochs of 10,000 clips, Tan et al. 2023, OpenSTL.

Multi30k (Elliott et al. 2016), English to German, 2016 test sentences (--validate: its validation part); chrF of characters
(Popović 2015), in per cent. Learnt from pairs of up to 100 characters, seven in eight; longer test sentences are read without
their last words. "copy": the English sentence; "commonest": the German sentence that occurs most often.

composite: tones, 24 steps to read and 24 to come; the composite model beside one that foretells alone, both of the same size.
"""

import csv
import gzip
from collections import Counter

import numpy as np
import torch

from isthmus import Autoencoder, Text, datasets, presets
from isthmus.apps import Forecaster
from isthmus.apps.forecast_video import frame_errors
from isthmus.parts import SSIM, Data, Recurrent

from .data import checksum, file
from .record import Row, Watch, chosen

HOURS, SEASON, WINDOWS = 48, 24, (168, 336, 240, 168)
LONGEST = 100  # characters
CLIPS, EPOCHS, JUDGED, FRAMES, SIDE, SPEED = 8000, 8, 2000, 10, 64, 3.6
PUBLISHED_OWA = {"ES-RNN (1st of M4)": 0.440, "FFORMA (2nd)": 0.484, "organisers' RNN": 1.036}
PUBLISHED_FRAMES = {"SimVP gSTA": 26.69, "ConvLSTM": 29.80, "DMVFN": 123.67}
PUBLISHED_SSIM = {"SimVP gSTA": 0.9402, "ConvLSTM": 0.9288}


def rows(options):
    for part in chosen(options, of_hours, of_digits, of_sentences, of_tones):
        yield from part(options)


# -------------------------------------------------------------------------------------------------- M4 Hourly


def of_hours(options):
    past = hours("Hourly-train.csv")
    truth = [one[-HOURS:] for one in past] if options.validate or options.quick else hours("Hourly-test.csv")
    past = [one[:-HOURS] for one in past] if options.validate or options.quick else past
    if options.quick:
        past, truth = past[::20], truth[::20]
    windows, model = ((168,), {"max_epochs": 1}) if options.quick else (WINDOWS, None)
    forecaster = Forecaster(model, horizon=HOURS, window=windows, season=SEASON, held_out=False, random_state=0)
    with Watch() as watch:
        forecaster.fit(past)
    found = forecaster.forecast_quantiles(past)
    inside = np.mean([((w >= q[:, 0]) & (w <= q[:, 2])).mean() for q, w in zip(found, truth, strict=True)])
    naive = figures(past, truth, [naive2(one) for one in past])
    ours = figures(past, truth, [one[:, 1] for one in found])
    plain = {
        "seasonal naive": figures(past, truth, [np.resize(one[-SEASON:], HOURS) for one in past]),
        "last value": figures(past, truth, [np.full(HOURS, one[-1]) for one in past]),
    }
    yield Row(
        "M4 Hourly: OWA", owa(ours, naive), "of Naive2", {"at_most": 0.48},
        {name: owa(each, naive) for name, each in plain.items()} | {"Naive2": 1.0}, PUBLISHED_OWA,
        {"sMAPE": ours[0], "MASE": ours[1], "sMAPE of Naive2": naive[0], "MASE of Naive2": naive[1], "inside": float(inside)},
        {"model": repr(forecaster)}, 0, {"M4 Hourly": checksum(*past, *truth)}, watch.cost(),
    )  # fmt: skip


def hours(name: str) -> list[np.ndarray]:
    with open(file(f"timeseries/m4/{name}"), newline="") as lines:
        _, *found = csv.reader(lines)
    return [np.array([float(cell) for cell in row[1:] if cell]) for row in found]


def figures(past, truth, found) -> tuple[float, float]:
    """sMAPE in per cent, and MASE, as the competition has them: means over series."""
    smape = [200 * np.mean(np.abs(y - f) / (np.abs(y) + np.abs(f))) for y, f in zip(truth, found, strict=True)]
    usual = [np.abs(x[SEASON:] - x[:-SEASON]).mean() for x in past]
    mase = [np.abs(y - f).mean() / u for y, f, u in zip(truth, found, usual, strict=True)]
    return float(np.mean(smape)), float(np.mean(mase))


def owa(ours: tuple[float, float], naive: tuple[float, float]) -> float:
    return (ours[0] / naive[0] + ours[1] / naive[1]) / 2


def naive2(past: np.ndarray) -> np.ndarray:
    """The last value without its season, which is classical and multiplicative and put back, where a test at 90 % finds one."""
    if not is_seasonal(past):
        return np.full(HOURS, past[-1])
    kernel = np.concatenate([[0.5], np.ones(SEASON - 1), [0.5]]) / SEASON
    trend = np.convolve(past, kernel, "valid")
    places = (np.arange(len(trend)) + SEASON // 2) % SEASON
    ratio = past[SEASON // 2 : SEASON // 2 + len(trend)] / trend
    factors = np.array([ratio[places == place].mean() for place in range(SEASON)])
    factors /= factors.mean()
    level = past[-1] / factors[(len(past) - 1) % SEASON]
    return level * factors[np.arange(len(past), len(past) + HOURS) % SEASON]


def is_seasonal(past: np.ndarray) -> bool:
    off = past - past.mean()
    found = np.array([(off[lag:] * off[: len(off) - lag]).sum() for lag in range(SEASON + 1)]) / np.square(off).sum()
    return bool(abs(found[SEASON]) > 1.645 * np.sqrt((1 + 2 * np.square(found[1:SEASON]).sum()) / len(past)))


# ----------------------------------------------------------------------------------------------- Moving MNIST


def of_digits(options):
    quick = options.quick
    digits = datasets.load("mnist:train")[0]
    if options.validate or quick:
        digits, others = digits[:50_000], digits[50_000:]
    else:
        others = datasets.load("mnist:test")[0]
    train = moving(digits, 32 if quick else CLIPS, seed=1)
    clips = moving(others, 16 if quick else 500 if options.validate else JUDGED, seed=2)
    past, truth = clips[:, :FRAMES], clips[:, FRAMES:]
    settings = {"max_epochs": 1 if quick else EPOCHS}
    forecaster = Forecaster(settings, horizon=FRAMES, window=FRAMES, held_out=False, random_state=0)
    with Watch() as watch:
        forecaster.fit(train)
    found = np.concatenate([forecaster.forecast(past[start : start + 200]) for start in range(0, len(past), 200)])
    plain = {
        "zeros": np.zeros_like(truth), "last frame": np.repeat(past[:, -1:], FRAMES, 1),
        "mean frame": np.repeat(past.mean(1, keepdims=True).round().astype(np.uint8), FRAMES, 1),
    }  # fmt: skip
    shared = {
        "settings": {"model": repr(forecaster.model_)}, "seed": 0, "data": {"Moving MNIST": checksum(train, clips)},
        "cost": watch.cost(),
    }  # fmt: skip
    errors, similar = ({name: of(each, truth) for name, each in plain.items()} for of in (error_of, likeness))
    of_steps = {f"frame {step + 1}": error_of(found[:, step : step + 1], truth[:, step : step + 1]) for step in (0, 4, 9)}
    yield Row(
        "Moving MNIST: squared error of a frame", error_of(found, truth), "of 4,096 pixels", {"at_most": 123.0}, errors,
        PUBLISHED_FRAMES, of_steps, **shared,
    )  # fmt: skip
    yield Row(
        "Moving MNIST: SSIM", likeness(found, truth), "mean over frames", {"at_least": 0.80}, similar, PUBLISHED_SSIM, **shared
    )
    yield Row("Moving MNIST: minutes of training", watch.cost()["seconds"] / 60, "min", {"at_most": 15.0}, **shared)


def moving(digits: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, 20, 64, 64) uint8: two digits that move evenly, and turn back at the border."""
    random, room = np.random.default_rng(seed), SIDE - 28
    clips = np.zeros((count, 2 * FRAMES, SIDE, SIDE), np.uint8)
    for clip in clips:
        for _ in range(2):
            digit, place, angle = digits[random.integers(len(digits))], random.uniform(0, room, 2), random.uniform(0, 2 * np.pi)
            pace = SPEED * np.array([np.sin(angle), np.cos(angle)])
            for frame in clip:
                y, x = place.astype(int)
                window = frame[y : y + 28, x : x + 28]
                np.maximum(window, digit, out=window)
                place = place + pace
                pace = np.where((place <= 0) | (place >= room), -pace, pace)
                place = place.clip(0, room)
    return clips


def error_of(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([frame_errors(one, wanted).mean() for one, wanted in zip(found, truth, strict=True)]))


def likeness(found: np.ndarray, truth: np.ndarray) -> float:
    """The mean SSIM of frames."""
    loss, total = SSIM(), 0.0
    for one, wanted in zip(found, truth, strict=True):
        pair = (torch.from_numpy(values.astype(np.float32) / 255)[..., None] for values in (one, wanted))
        total += float(1 - loss(next(pair), Data(next(pair))).mean() / one[0].size)
    return total / len(found)


# --------------------------------------------------------------------------------------------------- Multi30k


def of_sentences(options):
    train = [sentences(f"train.{language}") for language in ("en", "de")]
    english, german = (sentences(f"{'val' if options.validate else 'test_2016_flickr'}.{language}") for language in ("en", "de"))
    if options.quick:
        train, english, german = [part[:200] for part in train], english[:20], german[:20]
    network = Recurrent(256, cell="gru", bidirectional=True, teacher_forcing=True)
    model = Autoencoder(
        256, architecture=network, kind=Text("bpe", 1000 if options.quick else 2000), batch_size=128,
        max_epochs=1 if options.quick else 12,
    )  # fmt: skip
    forecaster = Forecaster(model, held_out=False, random_state=0)
    fits = [place for place, (a, b) in enumerate(zip(*train, strict=True)) if max(len(a), len(b)) <= LONGEST]
    with Watch() as watch:
        forecaster.fit([train[0][place] for place in fits], target=[train[1][place] for place in fits])
    found = forecaster.forecast([readable(forecaster.model_, sentence) for sentence in english])
    commonest = Counter(train[1]).most_common(1)[0][0]
    plain = {"copy": chrf(english, german), "commonest": chrf([commonest] * len(german), german)}
    yield Row(
        "Multi30k: chrF of English to German", chrf(found, german), "%", {"at_least": max(plain.values())}, plain,
        also={"sentences": len(german), "exact": float(np.mean([a == b for a, b in zip(found, german, strict=True)]))},
        settings={"model": repr(forecaster)}, seed=0, data={"Multi30k": checksum(np.array(train[0]), np.array(train[1]))},
        cost=watch.cost(),
    )  # fmt: skip


def sentences(name: str) -> list[str]:
    with gzip.open(file(f"text/multi30k/{name}.gz"), "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]


def readable(model, sentence: str) -> str:
    """The sentence, without its last words where it is longer than the model reads."""
    while len(model.schema_.tokens_of([sentence])[0]) > model.schema_.shape[0]:
        sentence = sentence.rpartition(" ")[0]
    return sentence


def chrf(found: list[str], wanted: list[str], longest: int = 6, weight: float = 2.0) -> float:
    """The F score, recall counted double, of runs of one to six characters without blanks, as a mean over their lengths."""
    scores = []
    for length in range(1, longest + 1):
        right = given = asked = 0
        for one, other in zip(found, wanted, strict=True):
            mine, theirs = runs(one, length), runs(other, length)
            right, given, asked = right + (mine & theirs).total(), given + mine.total(), asked + theirs.total()
        precision, recall = right / max(given, 1), right / max(asked, 1)
        both = weight**2 * precision + recall
        scores.append(100 * (1 + weight**2) * precision * recall / both if both else 0.0)
    return float(np.mean(scores))


def runs(text: str, length: int) -> Counter:
    text = "".join(text.split())
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))


# -------------------------------------------------------------------------------------------------- composite


def of_tones(options):
    tones = waves(400 if options.quick else 4000)
    train, test = tones[: len(tones) // 2], tones[len(tones) // 2 :]
    past, future = test[:, :24], test[:, 24:]
    for seed in options.seeds if options.quick else range(3):
        common = {"units": 64, "max_epochs": 1 if options.quick else 40, "random_state": seed}
        with Watch() as watch:
            both = presets.composite(8, **common).fit(train[:, :24], target=train)
        found = both.reconstruct(past)
        alone = presets.recurrent(8, reverse=False, **common).fit(train[:, :24], target=train[:, 24:]).reconstruct(past)
        errors = [float(np.square(each - future).sum((1, 2)).mean()) for each in (found[:, 24:], alone)]
        still = float(np.square(past[:, -1:] - future).sum((1, 2)).mean())
        yield Row(
            "composite: error of what comes next", errors[0], "squared error of 24 steps", {"at_most": errors[1]},
            {"foretelling alone": errors[1], "last value": still},
            also={"error of what was read": float(np.square(found[:, :24] - past).sum((1, 2)).mean())},
            settings={"model": repr(both)}, seed=seed, data={"tones": checksum(train, test)}, cost=watch.cost(),
        )  # fmt: skip


def waves(count: int) -> np.ndarray:
    """(count, 48, 1): a sin(2 pi (f t + p)) with a little noise."""
    random = np.random.default_rng(0)
    a, f, p = random.uniform(0.5, 2, count), random.uniform(0.02, 0.12, count), random.uniform(0, 1, count)
    tones = a[:, None] * np.sin(2 * np.pi * (f[:, None] * np.arange(48) + p[:, None]))
    return (tones + 0.05 * random.normal(size=tones.shape))[..., None].astype(np.float32)
