"""Variants that survive noise and gaps, do not tremble, and need few rows.

MNIST, codes of 32 numbers, `Autoencoder(32)` with one thing changed; nothing is chosen by labels. Noise: sigma 0.5 on pixels
from 0 to 1, not clipped, the same for all models; gaps: half the pixels are black. "1-NN error": share of the noisy test digits
whose nearest clean training code (of the first 20,000) belongs to another digit. "wobble": how far the reconstruction moves
under that noise, squared, a digit. "trembling": the squared Frobenius norm of the code's Jacobian, each component over its
standard deviation, mean of 1,000 test digits. Dropout learns from 1,000 digits and is held against the same network without it:
loss on test minus loss on training digits, nats.
"""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from isthmus import presets

from .data import checksum, digits_of
from .measures import squared_error
from .record import Row, Watch

SEEDS = 3
SIGMA = 0.5
GALLERY = 20_000


def rows(options):
    (train, digit), (test, test_digit) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    for seed in options.seeds:
        common = {"random_state": seed, **epochs}
        plain = presets.dense(32, corruption=None, **common).fit(train)
        yield from denoising_rows(plain, (train, digit, test, test_digit), common, data)
        yield masked_row(plain, train, test, common, data)
        for name in ("contractive", "stochastic_contractive"):
            yield from contractive_rows(name, plain, train, test, common, data)
        yield dropout_row(train[seed * 1000 : (seed + 1) * 1000], test, common, data)


def fitted(model, rows, data: dict) -> tuple:
    """The fitted model, and what all rows about it share."""
    with Watch() as watch:
        model.fit(rows)
    return model, {"settings": {"model": repr(model)}, "seed": model.random_state, "data": data, "cost": watch.cost()}


def denoising_rows(plain, parts: tuple, common: dict, data: dict):
    train, digit, test, test_digit = parts
    noisy = test + SIGMA * np.random.default_rng(0).standard_normal(test.shape, dtype=np.float32)
    ours, shared = fitted(presets.denoising(32, noise=SIGMA, **common), train, data)
    wrong = [error_rate(model, train, digit, noisy, test_digit) for model in (ours, plain)]
    goal = {"at_most": 0.5 * wrong[1]}
    yield Row("denoising: 1-NN error of noisy digits", wrong[0], "share", goal, {"plain": wrong[1]}, **shared)
    ratio = [decibels(test, model.reconstruct(noisy)) for model in (ours, plain)]
    goal = {"at_least": ratio[1] + 3}
    yield Row("denoising: PSNR of noisy digits rebuilt", ratio[0], "dB", goal, {"plain": ratio[1]}, **shared)
    moved = [squared_error(model.reconstruct(test), model.reconstruct(noisy)) for model in (ours, plain)]
    goal = {"at_most": moved[1]}
    yield Row("denoising: wobble", moved[0], "squared a digit", goal, {"plain": moved[1]}, **shared)


def masked_row(plain, train, test, common: dict, data: dict) -> Row:
    gaps = test * (np.random.default_rng(0).random(test.shape) < 0.5)
    ours, shared = fitted(presets.masked(32, **common), train, data)
    ratio = [decibels(test, model.reconstruct(gaps)) for model in (ours, plain)]
    goal = {"at_least": ratio[1] + 3}
    return Row("masked: PSNR of digits with gaps rebuilt", ratio[0], "dB", goal, {"plain": ratio[1]}, **shared)


def contractive_rows(name: str, plain, train, test, common: dict, data: dict):
    ours, shared = fitted(presets.PRESETS[name](32, **common), train, data)
    norm = [trembling(model, test[:1000]) for model in (ours, plain)]
    error = [squared_error(test, model.reconstruct(test)) for model in (ours, plain)]
    goal = {"at_most": norm[1] / 5}
    yield Row(f"{name}: trembling", norm[0], "squared norm", goal, {"plain": norm[1]}, **shared)
    goal = {"at_most": 1.1 * error[1]}
    yield Row(f"{name}: error", error[0], "squared error a digit", goal, {"plain": error[1]}, **shared)


def trembling(model, X) -> float:
    """Mean squared Frobenius norm of the Jacobian of codes that are scaled to unit variance."""
    x = torch.as_tensor(X).requires_grad_()
    z = model.encode(x).flatten(1)
    rows = [torch.autograd.grad(z[:, j].sum(), x, retain_graph=True)[0] / z[:, j].std() for j in range(z.shape[1])]
    return float(torch.stack(rows).square().sum() / len(x))


def error_rate(model, train, digit, noisy, test_digit) -> float:
    known = KNeighborsClassifier(1).fit(model.transform(train[:GALLERY]), digit[:GALLERY])
    return 1 - float(known.score(model.transform(noisy), test_digit))


def decibels(clean, rebuilt) -> float:
    """Peak signal to noise ratio over all pixels, for a peak of 1."""
    return float(-10 * np.log10(np.square(clean - rebuilt, dtype=np.float64).mean()))


def dropout_row(few, test, common: dict, data: dict) -> Row:
    """The gap between test and training digits, with dropout and without, in the same network."""
    settings = {"corruption": None, **common}
    ours, shared = fitted(presets.dropout(32, share=0.2, **settings), few, data)
    plain = presets.dropout(32, share=0.0, **settings).fit(few)
    gap = [model.score(few) - model.score(test) for model in (ours, plain)]
    also = {"test loss": -ours.score(test), "test loss of plain": -plain.score(test)}
    goal, baseline = {"at_most": gap[1]}, {"plain": gap[1]}
    return Row("dropout: gap between test and training digits", gap[0], "nats", goal, baseline, also=also, **shared)
