"""Heartbeats and spoken digits told apart by codes of 16 numbers that were learnt without a label.

Codes go, standardised, to a logistic regression, and so do the first 16 principal components of the same numbers. Network,
components and regression learn from the training part of every split alone; the goal is two points more than PCA's.

Heartbeats: the 500 beats of ECG5000's training part, 140 steps each, with the rare classes 3 to 5 as one; ten times five folds,
stratified. The interval of the gain is that of Nadeau & Bengio 2003, for folds that share training data.
Spoken digits: 2,000 clips of four speakers (8 kHz); the digits of each speaker are judged by a model of the other three. Log-mel
pictures of 40 bands, brought to 32 frames, so that PCA can read them too, each band without its mean over the clip, which tells
of the speaker and the microphone. The interval is over clips, speakers as they are.
Settings were chosen within the training part of one split of each: that of the first fold, and that without george.
"""

import io
import zipfile

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import Autoencoder, presets
from isthmus.data.sound import log_mel, read_wav
from isthmus.parts import Dense, Mask, Noise, Warp

from .data import checksum, file
from .record import Row, Watch

SIZE = 16
GAIN = 0.02
FRAMES = 32
STUDENT = 2.01  # 97.5 % of Student's distribution with 49 degrees of freedom


def rows(options):
    epochs = {"max_epochs": 1} if options.quick else {}
    for seed in options.seeds:
        yield heartbeats(seed, options, epochs)
        yield spoken_digits(seed, options, epochs)


def heartbeats(seed: int, options, epochs: dict) -> Row:
    table = np.loadtxt(file("timeseries/ucr/ECG5000_TRAIN.txt"), dtype=np.float32)
    beats, classes = table[:, None, 1:, None], table[:, 0].clip(max=3)
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=1 if options.quick else 10, random_state=0)
    splits = list(folds.split(beats, classes))
    if options.validate:  # folds of the training part of the first split, whose other part nobody looks at
        beats, classes = (x[splits[0][0]] for x in (beats, classes))
        splits = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(beats, classes))
    make = {"random_state": seed, **epochs}
    ours, pca, shared = compared(lambda: of_beats(**make), beats, classes, splits, options)
    gain = np.array(ours) - pca
    width = STUDENT * np.sqrt((1 / len(gain) + 1 / 4) * gain.var(ddof=1))
    return row("heartbeats", ours, pca, gain.mean(), width, {"ECG5000": checksum(beats)}, seed, shared)


def spoken_digits(seed: int, options, epochs: dict) -> Row:
    pictures, digits, speakers = clips(40 if options.quick else None)
    if options.validate:
        kept = speakers != "george"
        pictures, digits, speakers = pictures[kept], digits[kept], speakers[kept]
    splits = [(np.flatnonzero(speakers != one), np.flatnonzero(speakers == one)) for one in np.unique(speakers)]
    make = {"random_state": seed, **epochs}
    ours, pca, shared = compared(lambda: of_digits(**make), pictures, digits, splits, options)
    counts = [len(test) for _, test in splits]
    gain = np.average(np.array(ours) - pca, weights=counts)
    share = shared.pop("disagree")  # of clips that one of both gets right and the other does not
    width = 1.96 * np.sqrt((share - gain**2) / sum(counts))
    return row("spoken digits", ours, pca, gain, width, {"spoken digits": checksum(pictures)}, seed, shared)


def of_beats(**settings) -> Autoencoder:
    dense = Dense(bypass=False)  # beats as pictures one pixel high, which Warp shifts and stretches in time
    corruption = [Warp(0, 0.05, 0.1, 0), Noise(0.3)]
    return Autoencoder(SIZE, kind="images", architecture=dense, corruption=corruption, **{"max_epochs": 60} | settings)


def of_digits(**settings) -> Autoencoder:
    corruption = [Warp(0, 0.1, 0.1, 0), Mask(0.25)]
    return presets.convolutional(
        SIZE, channels=(16, 32), kind="images", corruption=corruption, **{"max_epochs": 8} | settings
    )  # fmt: skip


def compared(make, X, labels, splits, options) -> tuple[list[float], list[float], dict]:
    """Accuracies of our codes and of PCA's in every split, and what a row tells of the model."""
    ours, pca, differ, seconds = [], [], 0, 0.0
    flat = X.reshape(len(X), -1)
    for train, test in splits:
        model = make()
        with Watch() as watch:
            model.fit(X[train])
        seconds += watch.cost()["seconds"]
        found = judged(model.transform(X[train]), labels[train], model.transform(X[test]), labels[test])
        linear = PCA(SIZE, random_state=0).fit(flat[train])
        other = judged(linear.transform(flat[train]), labels[train], linear.transform(flat[test]), labels[test])
        ours.append(float(found.mean()))
        pca.append(float(other.mean()))
        differ += int((found != other).sum())
    cost = watch.cost() | {"seconds": seconds}
    return (
        ours,
        pca,
        {"settings": {"model": repr(model)}, "cost": cost, "disagree": differ / sum(len(test) for _, test in splits)},
    )


def judged(train, labels, test, wanted) -> np.ndarray:
    """Which test samples a logistic regression gets right."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, labels)
    return probe.predict(test) == wanted


def row(name: str, ours, pca, gain: float, width: float, data: dict, seed: int, shared: dict) -> Row:
    shared.pop("disagree", None)
    also = {"gain": float(gain), "at least (95 %)": float(gain - width), "at most": float(gain + width)}
    beside = {f"PCA, {SIZE} numbers": float(np.mean(pca))}
    goal = {"at_least": float(np.mean(pca) + GAIN)}
    return Row(
        f"{name}: {SIZE} numbers", float(np.mean(ours)), "accuracy", goal, beside, also=also, data=data, seed=seed, **shared
    )


def clips(most: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (n, 32, 40), digits and speakers; at most so many clips a speaker."""
    pictures, digits, speakers = [], [], []
    with zipfile.ZipFile(file("audio/free-spoken-digits-2000.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".wav"))
        for name in names:
            digit, speaker, take = name.rsplit("/", 1)[-1].removesuffix(".wav").split("_")
            if most is not None and int(take) >= most // 10:
                continue
            rate, wave = read_wav(io.BytesIO(archive.read(name)))
            picture = resampled(log_mel(wave, rate))
            pictures.append(picture - picture.mean(0))
            digits.append(int(digit))
            speakers.append(speaker)
    return np.stack(pictures), np.array(digits), np.array(speakers)


def resampled(picture: np.ndarray) -> np.ndarray:
    """(FRAMES, bands): evenly spaced in time, between neighbouring frames along the line."""
    place = np.linspace(0, len(picture) - 1, FRAMES)
    below = np.minimum(place.astype(int), len(picture) - 2)
    share = (place - below)[:, None].astype(np.float32)
    return (1 - share) * picture[below] + share * picture[below + 1]
