"""Networks of steps and of patches.

`recurrent`: tones, a sin(2 pi (f t + p)), 48 steps, with a from 0.5 to 2, f from 0.02 to 0.12 and p from 0 to 1, drawn by a fixed
seed: three numbers make a tone, and the code has four. Held against a dense network of as many steps of training, and PCA.
`masked_patches`: MNIST's first 3,000 training digits, codes of 64 numbers, patches of 7 x 7; of 1,000 test digits half the
patches are taken away, both networks are told which, and the pixels of those patches count. Held against the same transformer,
trained on whole digits, and against the mean digit.
"""

import numpy as np

from isthmus import Autoencoder, presets
from isthmus.parts import Transformer
from isthmus.parts.patches import joined

from .data import checksum, digits_of
from .measures import pca_error, squared_error
from .record import Row, Watch

SEEDS = 1
STEPS = 48
PATCH, WIDTH = 7, 64


def rows(options):
    train, test = tones(200 if options.quick else 2000, 1 + options.validate), tones(500, 3 if options.validate else 0)
    digits, _ = digits_of(options)[0]
    shown = digits_of(options)[1][0][:1000].reshape(-1, 28, 28)
    few = digits[: 500 if options.quick else 3000].reshape(-1, 28, 28)
    for seed in options.seeds:
        common = {"random_state": seed, "batch_size": 64}
        yield recurrent_row(train, test, common | {"max_epochs": 1 if options.quick else 40})
        yield masked_row(few, shown, common | {"max_epochs": 1 if options.quick else 8})


def tones(count: int, seed: int) -> np.ndarray:
    """(count, STEPS)"""
    random = np.random.default_rng(seed)
    size, rate, phase = (random.uniform(low, high, (count, 1)) for low, high in ((0.5, 2), (0.02, 0.12), (0, 1)))
    return (size * np.sin(2 * np.pi * (rate * np.arange(STEPS) + phase))).astype(np.float32)


def fitted(model, X, data: dict) -> tuple:
    with Watch() as watch:
        model.fit(X)
    return model, {"settings": {"model": repr(model)}, "seed": model.random_state, "data": data, "cost": watch.cost()}


def recurrent_row(train, test, common: dict) -> Row:
    ours, shared = fitted(presets.recurrent(4, **common), train, {"tones": checksum(train, test)})
    dense = presets.dense(4, corruption=None, **common).fit(train)
    error = [squared_error(test, model.reconstruct(test)) for model in (ours, dense)]
    baseline = {"dense": error[1], "PCA": pca_error(train, test, 4), "the mean": squared_error(test, train.mean(0))}
    return Row("recurrent: error of tones", error[0], "squared error a tone", {"at_most": error[1]}, baseline, **shared)


def masked_row(train, test, common: dict) -> Row:
    missing = hidden(len(test))
    ours, shared = fitted(
        presets.masked_patches(64, share=0.5, patch=PATCH, width=WIDTH, **common), train, {"MNIST": checksum(train, test)}
    )
    plain = Autoencoder(64, architecture=Transformer(WIDTH, patch=PATCH), kind="images", corruption=None, **common).fit(train)
    filled = [decibels(test, model.reconstruct(test, missing=missing), missing) for model in (ours, plain)]
    baseline = {"plain": filled[1], "the mean digit": decibels(test, np.broadcast_to(train.mean(0), test.shape), missing)}
    whole = {
        "whole digits": decibels(test, ours.reconstruct(test)),
        "whole digits, plain": decibels(test, plain.reconstruct(test)),
    }
    goal = {"at_least": max(baseline.values()) + 1}
    return Row("masked_patches: PSNR of patches filled in", filled[0], "dB", goal, baseline, also=whole, **shared)


def hidden(count: int) -> np.ndarray:
    """(count, 28, 28), True on half the patches of every digit."""
    import torch

    order = np.random.default_rng(0).random((count, 16)).argsort(1).argsort(1)
    patches = torch.from_numpy(order < 8).view(count, 4, 4, 1).expand(-1, -1, -1, PATCH**2)
    return joined(patches, (PATCH, PATCH), (28, 28))[..., 0].numpy()


def decibels(clean, rebuilt, where=slice(None)) -> float:
    """Peak signal to noise ratio over the pixels at `where`, for a peak of 1."""
    return float(-10 * np.log10(np.square(clean - rebuilt, dtype=np.float64)[where].mean()))
