"""Variants that survive noise, and few rows.

MNIST, codes of 32 numbers, `Autoencoder(32)` with one thing changed; nothing is chosen by labels. Noise: sigma 0.5 on pixels
from 0 to 1, not clipped, the same for all models. "1-NN error": share of the noisy test digits whose nearest clean training
code (of the first 20,000) belongs to another digit. "wobble": how far the reconstruction moves under that noise, squared, a
picture. Dropout learns from 1,000 digits and is held against the same network without it: loss on test minus loss on training
digits, nats.
"""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from isthmus import Autoencoder, presets

from .data import checksum, mnist
from .measures import squared_error
from .record import Row, Watch

SEEDS = 3
SIGMA = 0.5
GALLERY = 20_000


def rows(options):
    (train, train_digit), (test, digit) = (mnist(part, options.quick) for part in ("train", "test"))
    noisy = test + SIGMA * np.random.default_rng(0).standard_normal(test.shape, dtype=np.float32)
    data = {"MNIST": checksum(train, test)}
    epochs = {"max_epochs": 1} if options.quick else {}
    for seed in options.seeds:
        with Watch() as watch:
            ours = presets.denoising(32, noise=SIGMA, random_state=seed, **epochs).fit(train)
        plain = Autoencoder(32, corruption=None, random_state=seed, **epochs).fit(train)
        shared = {"settings": {"model": repr(ours)}, "seed": seed, "data": data, "cost": watch.cost()}
        wrong = {name: error_rate(model, train, train_digit, noisy, digit) for name, model in (("ours", ours), ("plain", plain))}
        goal = {"at_most": 0.5 * wrong["plain"]}
        yield Row("denoising: 1-NN error of noisy digits", wrong["ours"], "share", goal, {"plain": wrong["plain"]}, **shared)
        ratio = {name: decibels(test, model.reconstruct(noisy)) for name, model in (("ours", ours), ("plain", plain))}
        goal = {"at_least": ratio["plain"] + 3}
        yield Row("denoising: PSNR of noisy digits rebuilt", ratio["ours"], "dB", goal, {"plain": ratio["plain"]}, **shared)
        moved = {
            name: squared_error(model.reconstruct(test), model.reconstruct(noisy))
            for name, model in (("ours", ours), ("plain", plain))
        }
        goal = {"at_most": moved["plain"]}
        yield Row("denoising: wobble", moved["ours"], "squared a picture", goal, {"plain": moved["plain"]}, **shared)
        yield dropout_row(train[seed * 1000 : (seed + 1) * 1000], test, seed, epochs)


def error_rate(model, train, train_digit, noisy, digit) -> float:
    known = KNeighborsClassifier(1).fit(model.transform(train[:GALLERY]), train_digit[:GALLERY])
    return 1 - float(known.score(model.transform(noisy), digit))


def decibels(clean, rebuilt) -> float:
    """Peak signal to noise ratio over all pixels, for a peak of 1."""
    return float(-10 * np.log10(np.square(clean - rebuilt, dtype=np.float64).mean()))


def dropout_row(few, test, seed: int, epochs: dict) -> Row:
    """The gap between test and training digits, with dropout and without, in the same network."""
    with Watch() as watch:
        ours = presets.dropout(32, share=0.2, corruption=None, random_state=seed, **epochs).fit(few)
    plain = presets.dropout(32, share=0.0, corruption=None, random_state=seed, **epochs).fit(few)
    gap = {name: model.score(few) - model.score(test) for name, model in (("ours", ours), ("plain", plain))}
    also = {"test loss": -ours.score(test), "test loss of plain": -plain.score(test)}
    return Row(
        "dropout: gap between test and training digits", gap["ours"], "nats", {"at_most": gap["plain"]}, {"plain": gap["plain"]},
        also=also, settings={"model": repr(ours)}, seed=seed, data={"MNIST": checksum(few, test)}, cost=watch.cost(),
    )  # fmt: skip
