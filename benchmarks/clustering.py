"""Groups that nobody named.

MNIST, ten groups; labels take no part in training, in any choice, or in the settings, and are read only to count how many digits
are in the right group (each group standing for one digit, paired as is best). "10,000": MNIST's test digits alone, which are all
that is learnt from and grouped; "70,000": training and test digits. "unseen": groups that were found among the 10,000, asked for
10,000 other digits. "plain autoencoder": the same network without the warps. "chosen": the number of groups where none is said.
The settings are those of the class; they were chosen on training digits by how much of the graph's edges lies within its groups
(modularity). The goals are for means, and every seed is held to them. Published: means or best runs, as the papers have them.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from isthmus import Autoencoder
from isthmus.apps import Clusterer
from isthmus.apps.cluster import CODE, agreement
from isthmus.parts import Conv

from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 5
FULL = 3  # seeds of the 70,000
GOALS = {"accuracy": {"at_least": 0.95}, "NMI": {"at_least": 0.89}}
FULL_GOALS = {"accuracy": {"at_least": 0.97}, "NMI": {}}
PUBLISHED = {
    "accuracy": {"DEC": 0.843, "N2D": 0.948, "DEC-DA": 0.983},
    "NMI": {"N2D": 0.882, "DEC-DA": 0.958},
}
FULL_PUBLISHED = {"accuracy": {"N2D": 0.979, "DEC-DA": 0.985}, "NMI": {"N2D": 0.942, "DEC-DA": 0.960}}


def rows(options):
    (train, train_digit), (few, few_digit) = digits_of(options)
    settings = {"kind": "images"} | ({"max_epochs": 2} if options.quick else {})
    for seed in options.seeds:
        groups, shared = grouped(few, seed, settings)
        beside = baselines(few, few_digit, seed, settings)
        found = agreement(groups.labels_, few_digit)
        for name, goal in GOALS.items():
            row = f"10,000: {name}"
            yield Row(row, found[name], "", goal, beside[name], PUBLISHED[name], **shared)
        unseen = agreement(groups.predict(pictures(train[: len(few)])), train_digit[: len(few)])["accuracy"]
        yield Row("10,000: accuracy, unseen", unseen, "", {}, {"those of fit": found["accuracy"]}, **shared)
        if seed == 0:
            chosen = Clusterer(groups.model_, random_state=seed).fit(pictures(few))
            yield Row("10,000: chosen number", chosen.n_clusters_, "groups", **shared)
    if options.validate or min(options.seeds) >= FULL:
        return
    every, digit = (np.concatenate(both) for both in zip((train, train_digit), (few, few_digit), strict=True))
    pixels = agreement(KMeans(10, n_init=3, random_state=0).fit_predict(every), digit)
    for seed in filter(FULL.__gt__, options.seeds):
        groups, shared = grouped(every, seed, settings)
        now = agreement(groups.labels_, digit)
        for name, goal in FULL_GOALS.items():
            beside = {"k-means on pixels": pixels[name]}
            yield Row(f"70,000: {name}", now[name], "", goal, beside, FULL_PUBLISHED[name], **shared)


def grouped(X, seed: int, settings: dict) -> tuple:
    """Ten groups, and what a row tells of them."""
    with Watch() as watch:
        groups = Clusterer(settings, n_clusters=10, random_state=seed).fit(pictures(X))
    told = {"model": repr(groups.model_), "groups": repr(groups)}
    return groups, {"settings": told, "seed": seed, "data": {"MNIST": checksum(X)}, "cost": watch.cost()}


def baselines(X, digit, seed: int, settings: dict) -> dict[str, dict]:
    """By measure and by method."""
    plain = Autoencoder(CODE, architecture=Conv((16, 32, 64)), corruption=None, random_state=seed, **settings).fit(pictures(X))
    found = {
        "k-means on pixels": KMeans(10, n_init=10, random_state=seed).fit_predict(X),
        "k-means on 50 principal components": KMeans(10, n_init=10, random_state=seed).fit_predict(PCA(50).fit_transform(X)),
        "plain autoencoder, k-means": simple(plain, "kmeans", X, seed),
        "plain autoencoder, mixture": simple(plain, "mixture", X, seed),
        "plain autoencoder, graph": simple(plain, "graph", X, seed),
    }
    measured = {method: agreement(labels, digit) for method, labels in found.items()}
    return {name: {method: one[name] for method, one in measured.items()} for name in GOALS}


def simple(model, method: str, X, seed: int):
    return Clusterer(model, n_clusters=10, method=method, random_state=seed).fit(pictures(X)).labels_


def pictures(X: np.ndarray) -> np.ndarray:
    return X.reshape(-1, 28, 28)
