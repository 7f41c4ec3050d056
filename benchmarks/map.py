"""A map of digits that were not seen.

MNIST: `Map` learns from the training pictures, as rows, and places the 10,000 test pictures; openTSNE, UMAP and PCA do the same,
each with its own defaults, once for all seeds. Trustworthiness and continuity: 12 neighbours among the test pictures, by the
distances of their pixels. Accuracy: five neighbours among the training pictures vote for the digit, which no method was told.
"time a point" is that of placing the test pictures. "moved in other company": how far the first 1,000 test pictures land from
where they did when they come alone, one half at a time and backwards (ours besides with another number of threads), at most, in
standard deviations of the map; 0 is bit for bit.
"""

import importlib.util
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from isthmus.apps import Map
from isthmus.apps.map import continuity, neighbour_accuracy, trustworthiness

from .data import checksum, digits_of
from .record import Row, Watch, installed

SEEDS = 3
FEW = 1000  # pictures that are placed once more in other company
OTHERS = {"openTSNE": "openTSNE", "UMAP": "umap-learn"}  # packages by name


def rows(options):
    digits = train, _, test, _ = sum(digits_of(options), ())
    missing = [package for package in OTHERS.values() if importlib.util.find_spec(package.split("-")[0]) is None]
    if missing:
        yield Row("trustworthiness", None, "of 1", skipped=f"pip install {' '.join(missing)}")
        return
    data = {"MNIST": checksum(train, test)}
    others = {name: placed(made, digits) for name, made in {"openTSNE": Neighbours(), "UMAP": Manifold(), "PCA": PCA(2)}.items()}
    for seed in options.seeds:
        for size in (2, 3):
            made = Map({"max_epochs": 1} if options.quick else None, size, random_state=seed)
            ours = placed(made, digits)
            beside = others if size == 2 else {"PCA": placed(PCA(3), digits)}
            shared = {
                "seed": seed, "data": data, "cost": ours.cost,
                "settings": {"map": repr(made), "model": repr(made.model_)} | {p: installed(p) for p in OTHERS.values()},
            }  # fmt: skip
            for name, (unit, goal) in FIGURES.items():
                known = {other: getattr(found, name) for other, found in beside.items() if getattr(found, name) is not None}
                title = f"{size} numbers: {name.replace('_', ' ')}"
                yield Row(title, getattr(ours, name), unit, goal(beside) if size == 2 else {}, known, **shared)


@dataclass
class Placed:
    """What was measured of one method."""

    trustworthiness: float
    continuity: float
    accuracy: float
    time_a_point: float  # ms
    time_to_fit: float  # s
    moved_in_other_company: float | None
    cost: dict


def bound(others: dict) -> dict:
    """As trustworthy as openTSNE, but for a hundredth, and as UMAP."""
    return {"at_least": max(others["openTSNE"].trustworthiness - 0.01, others["UMAP"].trustworthiness)}


# Unit and goal of each figure.
FIGURES: dict[str, tuple] = {
    "trustworthiness": ("of 1", bound),
    "continuity": ("of 1", lambda others: {}),
    "accuracy": ("share of test pictures", lambda others: {}),
    "time_a_point": ("ms", lambda others: {"at_most": 0.1}),
    "time_to_fit": ("s", lambda others: {}),
    "moved_in_other_company": ("standard deviations", lambda others: {"at_most": 0.0}),
}


def placed(made: Any, digits: tuple) -> Placed:
    """Fits a method to the training pictures and measures how it places the test pictures."""
    train, train_digit, test, test_digit = digits
    with Watch() as watch:
        made.fit(train)
    began = time.perf_counter()
    places = np.asarray(made.transform(test))
    seconds = time.perf_counter() - began
    learnt = np.asarray(made.embedding_ if hasattr(made, "embedding_") else made.transform(train))
    return Placed(
        trustworthiness(test, places), continuity(test, places),
        neighbour_accuracy(places, test_digit, learnt, train_digit), 1000 * seconds / len(test), watch.seconds,
        moved(made, test, places), watch.cost(),
    )  # fmt: skip


def moved(made: Any, test, places) -> float:
    """How far some test pictures land from their `places` in other company, at most."""
    few, size = test[:FEW], min(FEW, len(test))
    again = [np.asarray(made.transform(few[::-1]))[::-1]]
    again.append(np.concatenate([np.asarray(made.transform(half)) for half in np.array_split(few, 2)]))
    if isinstance(made, Map):
        threads = torch.get_num_threads()
        torch.set_num_threads(3 - min(threads, 2))
        again.append(made.transform(few))
        torch.set_num_threads(threads)
    return float(max(np.abs(other - places[:size]).max() for other in again) / places.std())


# ------------------------------------------------------------------------------------------------------- others


class Neighbours:
    """openTSNE, as scikit-learn's transformers are called."""

    def fit(self, X):
        from openTSNE import TSNE

        with warnings.catch_warnings(action="ignore"):
            self.embedding_ = TSNE(random_state=0, n_jobs=torch.get_num_threads()).fit(X)
        return self

    def transform(self, X):
        with warnings.catch_warnings(action="ignore"):
            return self.embedding_.transform(X)


class Manifold:
    """UMAP."""

    def fit(self, X):
        with warnings.catch_warnings(action="ignore"):  # it tells that a seed costs it its threads
            from umap import UMAP

            self.fitted = UMAP(random_state=0).fit(X)
        self.embedding_ = self.fitted.embedding_
        return self

    def transform(self, X):
        with warnings.catch_warnings(action="ignore"):
            return self.fitted.transform(X)
