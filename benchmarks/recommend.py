"""What users of MovieLens watched next.

MovieLens-100K and -1M, ratings of 4 and more as 1, users with five items or more, strong generalisation (Liang et al. 2018):
users in ten folds; of each user of a fold four fifths of the items are given, and the others are looked for among all items not
given. NDCG@100 (binary, ideal of as many as there are), recall@20 and @50 (of as many as could be found), means over all users,
each of whom is in one fold. The recommender is fitted with its defaults to the other nine folds, and so chooses its method and
its weights by users of its own. "EASE": the closed form alone, its ridge chosen by those same users. "ItemKNN": cosine of items.
"ALS": implicit's, 64 factors, where it is installed. p: of the bootstrap, paired by user, that the mean gain over EASE is not
above zero. Of MovieLens-1M three folds of the ten are used.
"""

import gzip
import warnings

import numpy as np
import pandas as pd
from scipy import sparse

from isthmus.apps import Recommender
from isthmus.apps.recommend import blended, closed_form, figures_by_user, log_scores, parted, ranked

from .data import checksum, file
from .record import Row, Watch

FOLDS = {"ml-100k": 10, "ml-1m": 3}
MARGIN = 0.015  # of NDCG@100 over EASE
DRAWS = 10_000


def rows(options):
    for name, folds in FOLDS.items():
        matrix = histories(name, options.quick)
        yield from of_set(name, matrix, 2 if options.quick else folds, options)


def of_set(name: str, matrix, folds: int, options):
    """One row for each figure of a set, over the users of so many of ten folds."""
    fold = np.random.default_rng(0).permutation(matrix.shape[0]) % 10
    found: dict[str, list] = {}
    seconds, chosen = [], []
    for number in range(folds):
        if options.validate:  # the fold itself is left out, and another one stands in for it
            fold = np.where(fold == number, -1, fold)
        test = np.flatnonzero(fold == (number + 5) % 10 if options.validate else fold == number)
        train = np.flatnonzero((fold >= 0) & ~np.isin(np.arange(len(fold)), test))
        given, wanted = parted(matrix[test], np.random.RandomState(number))
        recommender = Recommender({"max_epochs": 2} if options.quick else None, random_state=0)
        with Watch() as watch, warnings.catch_warnings(action="ignore"):
            recommender.fit(matrix[train])
        seconds.append(watch.cost())
        chosen.append(f"{recommender.method_}, ridge {recommender.ridge_:g}, blend {recommender.blend_}")
        for method, scores in methods(recommender, matrix[train], given).items():
            found.setdefault(method, []).append(figures_by_user(ranked(scores, given), wanted))
    joined = {
        method: {figure: np.concatenate([one[figure] for one in parts]) for figure in parts[0]} for method, parts in found.items()
    }
    ours, others = joined.pop("ours"), joined
    shared = {
        "settings": {"model": repr(recommender), "folds": folds, "chosen": chosen}, "seed": 0,
        "data": {name: checksum(matrix.indices)}, "cost": max(seconds, key=lambda cost: cost["seconds"]),
    }  # fmt: skip
    for figure in ("ndcg@100", "recall@20", "recall@50"):
        baseline = {method: float(values[figure].mean()) for method, values in others.items()}
        gain = ours[figure] - others["EASE"][figure]
        also = {"gain over EASE": float(gain.mean()), "p": chance(gain)}
        margin = MARGIN if (name, figure) == ("ml-100k", "ndcg@100") else 0.0
        goal = {"at_least": baseline["EASE"] + margin}
        yield Row(f"{name}: {figure}", float(ours[figure].mean()), "mean over users", goal, baseline, also=also, **shared)
    slowest = shared["cost"]["seconds"]
    yield Row(f"{name}: the longest fit", slowest, "s", {"at_most": 60.0} if name == "ml-100k" else {}, **shared)


def methods(recommender: Recommender, train, given) -> dict[str, np.ndarray]:
    """Scores, (users, items), of ours and of all that it is held against."""
    closed = given @ closed_form(train, recommender.ridge_)
    found = {"ours": recommender.scores(given), "EASE": closed, "autoencoder": log_scores(recommender.model_, given)}
    found["blend"] = blended(found["autoencoder"], closed, recommender.blend_)
    popular = np.asarray(train.sum(0), np.float64)
    length = np.sqrt(np.maximum(np.asarray(train.multiply(train).sum(0)), 1e-12))
    cosine = (train.T @ train).toarray() / length[:, None] / length
    np.fill_diagonal(cosine, 0.0)
    found |= {"ItemKNN": given @ cosine, "popularity": popular + np.zeros((given.shape[0], 1))}
    als = by_als(train, given)
    return found if als is None else found | {"ALS": als}


def by_als(train, given) -> np.ndarray | None:
    try:
        from implicit.als import AlternatingLeastSquares
    except ImportError:
        return None
    model = AlternatingLeastSquares(64, iterations=15, random_state=0)
    model.fit(sparse.csr_matrix(train), show_progress=False)
    users = np.stack([model.recalculate_user(row, sparse.csr_matrix(given[[row]]))[0] for row in range(given.shape[0])])
    return users.reshape(given.shape[0], -1) @ model.item_factors.T


def chance(gain: np.ndarray) -> float:
    """Share of bootstrap means of the gain that are not above zero."""
    random = np.random.default_rng(0)
    means = [gain[random.integers(len(gain), size=len(gain))].mean() for _ in range(DRAWS)]
    return float((np.array(means) <= 0).mean())


def histories(name: str, quick: bool):
    """The matrix (users, items) of what was liked."""
    if name == "ml-100k":
        table = pd.read_csv(file("ratings/ml-100k/u.data"), sep="\t", names=["user", "item", "rating", "time"])
    else:
        with gzip.open(file("ratings/ml-1m/ratings_no_timestamps.csv.gz"), "rt") as text:
            table = pd.read_csv(text)
        table.columns = ["user", "item", "rating", *table.columns[3:]]
    table = table[table["rating"] >= 4]
    table = table[table.groupby("user")["item"].transform("size") >= 5]
    if quick:
        table = table[table["user"] <= 200]
    user, item = (np.unique(table[column], return_inverse=True)[1] for column in ("user", "item"))
    return sparse.csr_array((np.ones(len(user), np.float32), (user, item)))
