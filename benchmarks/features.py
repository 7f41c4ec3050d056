"""Features that lighten another model's work.

MNIST. Codes of a convolutional autoencoder that never saw a label, standardised, go to a logistic regression. It learnt to
rebuild upright, whole digits from warped ones (turned, shifted, stretched, slanted by chance) with a quarter of the places
black. "100 labels": codes of 64 numbers, ten labels a digit, mean of five draws that are the same for all models and seeds.
"60,000 labels": codes of 1,024 numbers, none below zero (relu). "untrained": the same network with its first weights. Sizes and
the strengths of the regressions were chosen on a part of the training digits. Published: a support vector machine with a
Gaussian kernel on the pixels.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import presets
from isthmus.parts import Mask, Plain, Warp

from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 3
EPOCHS = 8
DRAWS = 5
PUBLISHED = {"RBF support vectors on pixels": 0.986}


def rows(options):
    (train, digit), (test, test_digit) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, 1 if options.quick else EPOCHS
    train, test = (X.reshape(-1, 28, 28) for X in (train, test))
    by_pixels = few_labels(train, digit, test, test_digit)
    for seed in options.seeds:
        codes, shared = coded(64, None, train, test, seed, epochs, data)
        found = few_labels(codes[0], digit, codes[1], test_digit)
        goal = {"at_least": 0.9}
        yield Row("masked, convolution: 100 labels", found, "accuracy", goal, {"raw pixels": by_pixels}, **shared)
        codes, shared = coded(1024, "relu", train, test, seed, epochs, data)
        found = many_labels(codes[0], digit, codes[1], test_digit)
        codes, _ = coded(1024, "relu", train, test, seed, 0, data)
        untrained = many_labels(codes[0], digit, codes[1], test_digit)
        goal = {"at_least": max(0.986, untrained + 0.005)}
        beside = {"untrained": untrained}
        yield Row("convolutional: 60,000 labels", found, "accuracy", goal, beside, published=PUBLISHED, **shared)


def coded(size: int, activation: str | None, train, test, seed: int, epochs: int, data: dict) -> tuple:
    """Codes of training and test digits, and what a row tells of the model; of 0 epochs: after one step at a rate of nought."""
    first = {"max_epochs": 1, "learning_rate": 1e-12, "batch_size": len(train)} if not epochs else {"max_epochs": epochs}
    model = presets.convolutional(
        size,
        channels=(16, 32),
        bottleneck=Plain(activation),
        corruption=[Warp(25.0, 0.1, 0.2, 0.3), Mask(0.25)],
        random_state=seed,
        **first,
    )
    with Watch() as watch:
        model.fit(train if epochs else train[:1000])
    shared = {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}
    return (model.transform(train), model.transform(test)), shared


def few_labels(train, digit, test, test_digit) -> float:
    """Accuracy with ten labels a digit, mean over the draws."""
    train, test = (X.reshape(len(X), -1) for X in (train, test))
    scaler, right = StandardScaler().fit(train), []
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        chosen = np.concatenate([random.choice(np.flatnonzero(digit == d), 10, replace=False) for d in range(10)])
        probe = LogisticRegression(C=0.1, max_iter=300).fit(scaler.transform(train[chosen]), digit[chosen])
        right.append(probe.score(scaler.transform(test), test_digit))
    return float(np.mean(right))


def many_labels(train, digit, test, test_digit) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300)).fit(train, digit)
    return float(probe.score(test, test_digit))
