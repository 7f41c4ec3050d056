"""Codes as features of other models: a lighter classifier, the start of another network, filters for other data, faces.

The networks learn without labels to rebuild upright, whole pictures from warped ones (turned, shifted, stretched, slanted by
chance) with a quarter of the places black. "logistic regression": on 32 standardised codes of MNIST's digits, and on their 784
pixels; "seconds" is the time that it takes to learn from 60,000 of them. "1,000 labels": a linear layer on 64 codes, at first
a logistic regression, then trained together with the encoder; "scratch" is the same network, trained alike from its first
weights, mean of three draws of the labels. "filters": maps of two convolutions that learnt from MNIST's digits, on 900 pictures
of clothes, with a logistic regression on three quarters of them (mean of four parts); "first weights" has never learnt.
"identities": the Olivetti faces, 32 by 32 pixels, five of each person to learn from, without names, and five to be named after
the nearest, by standardised codes.
"""

import copy
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from isthmus import Autoencoder, datasets, presets
from isthmus.parts import Dense, Mask, Noise, Warp

from . import data as sets
from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 3
EPOCHS = 8
LABELS, DRAWS, PASSES, RATE = 1000, 3, 40, 1e-3
FACES = 48  # numbers in the code of a face


def rows(options):
    (train, digit), (test, test_digit) = digits_of(options)
    data = {"MNIST": checksum(train, test)}
    pixels = classified(train, digit, test, test_digit)
    train, test = (X.reshape(-1, 28, 28) for X in (train, test))
    for seed in options.seeds:
        yield from lighter(train, digit, test, test_digit, pixels, seed, options, data)
        yield started(train, digit, test, test_digit, seed, options, data)
        yield elsewhere(train, seed, options, data)
        yield identities(seed, options)


def coder(size, channels=(16, 32), **kwargs) -> Autoencoder:
    damage = [Warp(25.0, 0.1, 0.2, 0.3), Mask(0.25)]
    return presets.convolutional(size, channels=channels, corruption=damage, **kwargs)


def fitted(model: Autoencoder, X, data: dict) -> dict:
    """What a row tells of the model, which is fitted to X."""
    with Watch() as watch:
        model.fit(X)
    return {"settings": {"model": repr(model)}, "seed": model.random_state, "data": data, "cost": watch.cost()}


def untrained(model: Autoencoder, X) -> Autoencoder:
    """The network with its first weights: after one step at a rate of next to nothing."""
    params = {"max_epochs": 1, "learning_rate": 1e-12, "batch_size": len(X)}
    return Autoencoder(**(model.get_params(deep=False) | params)).fit(X)


# ------------------------------------------------------------------------------------------- a lighter classifier


def lighter(train, digit, test, test_digit, pixels: tuple, seed: int, options, data: dict):
    model = coder(32, max_epochs=1 if options.quick else EPOCHS, random_state=seed)
    facts = fitted(model, train, data)
    scaler = StandardScaler().fit(known := model.transform(train))
    right, seconds = classified(scaler.transform(known), digit, scaler.transform(model.transform(test)), test_digit)
    goal, unit = {"at_least": pixels[0]}, "accuracy"
    yield Row("32 codes, logistic regression: accuracy", right, unit, goal, {"784 pixels": pixels[0]}, **facts)
    goal, beside = {"at_most": pixels[1] / 5}, {"784 pixels": pixels[1]}
    yield Row("32 codes, logistic regression: seconds to fit", seconds, "s", goal, beside, **facts)


def classified(train, digit, test, test_digit) -> tuple[float, float]:
    """Accuracy of a logistic regression, and the seconds that it took to fit."""
    began = time.perf_counter()
    probe = LogisticRegression(C=0.1, max_iter=300).fit(train, digit)
    return float(probe.score(test, test_digit)), time.perf_counter() - began


# -------------------------------------------------------------------------------------------- another's start


def started(train, digit, test, test_digit, seed: int, options, data: dict) -> Row:
    """A classifier of few labels that starts from the encoder, beside the same network from scratch."""
    model = coder(64, max_epochs=1 if options.quick else EPOCHS, random_state=seed)
    facts = fitted(model, train, data)
    passes, scores = 2 if options.quick else PASSES, []
    for draw in range(1 if options.quick else DRAWS):
        few = np.random.default_rng(draw).choice(len(train), LABELS, replace=False)
        scores.append(
            [
                fine_tuned(start, train[few], digit[few], test, test_digit, passes, draw)
                for start in (model, untrained(model, train[few]))
            ]
        )
    ours, scratch = np.mean(scores, axis=0)
    goal = {"at_least": scratch + 0.02}
    return Row("1,000 labels, started from the encoder", ours, "accuracy", goal, {"scratch": scratch}, **facts)


def fine_tuned(start: Autoencoder, X, y, test, test_y, passes: int, seed: int) -> float:
    """Accuracy after encoder and linear layer were trained together."""
    torch.manual_seed(seed)
    encoder, probe = copy.deepcopy(start), LogisticRegression(C=0.1, max_iter=300).fit(start.transform(X), y)
    head = nn.Linear(start.n_components_, len(probe.classes_))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(probe.coef_))
        head.bias.copy_(torch.from_numpy(probe.intercept_))
    optimizer = torch.optim.Adam([*encoder.network_.parameters(), *head.parameters()], RATE)
    X, y = torch.as_tensor(X), torch.as_tensor(y).long()
    for _ in range(passes):
        for index in torch.randperm(len(X)).split(50):
            loss = F.cross_entropy(head(encoder.encode(X[index])), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        named = head(torch.from_numpy(encoder.transform(test))).argmax(1).numpy()
    return float((named == test_y).mean())


# --------------------------------------------------------------------------------------------------- other data


def elsewhere(train, seed: int, options, data: dict) -> Row:
    """Filters of digits, on clothes."""
    clothes, kind = sets.fashion().reshape(-1, 28, 28), datasets.load("fashion-mnist-900")[1]
    model = coder(None, (32, 8), max_epochs=1 if options.quick else EPOCHS, random_state=seed)
    facts = fitted(model, train[:20_000], data | {"Fashion-900": checksum(clothes)})
    flat = clothes.reshape(len(clothes), -1)
    beside = {"first weights": probed(untrained(model, train[:1000]).transform(clothes), kind), "pixels": probed(flat, kind)}
    goal = {"at_least": beside["first weights"]}
    return Row("filters of digits, on clothes", probed(model.transform(clothes), kind), "accuracy", goal, beside, **facts)


def probed(X, y) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    return float(cross_val_score(probe, X, y, cv=StratifiedKFold(4, shuffle=True, random_state=0)).mean())


def identities(seed: int, options) -> Row:
    """Who is on a picture, after the nearest code of a known one."""
    faces = sets.olivetti().reshape(400, 64, 64).transpose(0, 2, 1).astype(np.float32)
    faces = faces.reshape(400, 32, 2, 32, 2).mean((2, 4))
    person, taken = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
    known, new = (faces[taken < 5], person[taken < 5]), (faces[taken >= 5], person[taken >= 5])
    damage = [Warp(5.0, 0.04, 0.05, 0.03), Noise(0.1)]
    settings = {"kind": "images", "scale": "minmax", "loss": "squared", "max_epochs": 2 if options.quick else 80}
    model = Autoencoder(FACES, architecture=Dense((128,)), corruption=damage, random_state=seed, **settings)
    facts = fitted(model, known[0], {"Olivetti": checksum(faces)})
    flat = [X.reshape(len(X), -1) for X in (known[0], new[0])]
    pca = PCA(FACES, random_state=seed).fit(flat[0])
    beside = {
        "PCA": named(*map(pca.transform, flat), known[1], new[1]),
        "PCA, standardised": standardised(*map(pca.transform, flat), known[1], new[1]),
        "pixels": named(*flat, known[1], new[1]),
    }
    ours = standardised(model.transform(known[0]), model.transform(new[0]), known[1], new[1])
    return Row("identities of faces, nearest code", ours, "accuracy", {}, beside, **facts)


def standardised(known, new, person, right) -> float:
    scaler = StandardScaler().fit(known)
    return named(scaler.transform(known), scaler.transform(new), person, right)


def named(known, new, person, right) -> float:
    return float(KNeighborsClassifier(1).fit(known, person).score(new, right))
