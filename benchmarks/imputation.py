"""Cells of tables that are missing: numbers and categories guessed from the rest of their row.

A fifth of the cells is removed at random, from the rows to learn from and from those to be judged by. Error of numbers: the
root mean square of what was guessed wrong over the column's standard deviation, mean over the columns. Accuracy: the share of
the categories that were guessed, mean over the columns. The others read numbers standardised and categories as ones among
zeros, and the largest of those is their guess: column means, k nearest neighbours (of up to 5,000 rows), and
`IterativeImputer` (a Bayesian ridge regression a column, ten rounds); that one also with the last category left out, for where
all are there each is certain from the others, which are missing with it. Adult has its own test
part; of penguins a fifth. Sizes, epochs and shares were chosen on a fifth of the rows to learn from.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from isthmus import Autoencoder, Training
from isthmus.parts import Mask

from .data import checksum, file
from .record import Row, Watch

SEEDS = 3
REMOVED = 0.2
NEIGHBOURS = 5_000  # rows that k nearest neighbours may look among
OURS = {
    "adult": {"n_components": 14, "max_epochs": 60, "corruption": Mask(0.4)},
    "penguins": {"n_components": 4, "max_epochs": 200, "corruption": Mask(0.4), "training": Training(weight_decay=0.1)},
}
ADULT = [
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex",
    "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
]  # fmt: skip


def rows(options):
    for name in ("penguins", "adult"):
        train, test = parts(name, options)
        for seed in options.seeds:
            yield from of_table(name, train, test, seed, {"max_epochs": 1} if options.quick else {})


def of_table(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, epochs: dict):
    damaged, hidden = zip(*(removed(part, seed + shift) for part, shift in ((train, 0), (test, 1000))), strict=True)
    baseline, cost = others(damaged, test, hidden[1])
    model = Autoencoder(kind="table", random_state=seed, **(OURS[name] | epochs))
    with Watch() as watch:
        model.fit(damaged[0])
    error, accuracy = judged(model.impute(damaged[1]), test, hidden[1])
    shared = {
        "settings": {"model": repr(model)}, "seed": seed, "cost": watch.cost(),
        "data": {name: checksum(*(part.to_numpy().astype(str) for part in (train, test)))},
    }  # fmt: skip
    errors, accuracies = ({who: found[i] for who, found in baseline.items()} for i in (0, 1))
    yield Row(f"{name}: error of numbers", error, "standard deviations", {"at_most": min(errors.values())}, errors, **shared)
    yield Row(f"{name}: accuracy of categories", accuracy, "share", {"at_least": max(accuracies.values())}, accuracies, **shared)
    if name == "adult":
        ratio, goal = shared["cost"]["seconds"] / cost["IterativeImputer"], {"at_most": 3.0}
        yield Row("adult: time of fit", ratio, "times IterativeImputer's", goal, {"IterativeImputer": 1.0}, **shared)


def parts(name: str, options) -> tuple[pd.DataFrame, pd.DataFrame]:
    """To learn from, and to be judged by; with --validate the latter is a fifth of the rows to learn from."""
    if name == "adult":
        train, test = (adult(part) for part in ("train", "test"))
    else:
        train, test = cut(pd.read_csv(file("tabular/penguins.csv")))
    train, test = cut(train) if options.validate else (train, test)
    return (train[:500], test[:200]) if options.quick else (train, test)


def cut(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    order = np.random.default_rng(0).permutation(len(table))
    few = len(table) // 5
    return table.iloc[order[few:]].reset_index(drop=True), table.iloc[order[:few]].reset_index(drop=True)


def adult(part: str) -> pd.DataFrame:
    path = file(f"tabular/adult-{part}.csv")
    table = pd.read_csv(path, names=ADULT, skipinitialspace=True, na_values="?", comment="|")
    table["income"] = table["income"].str.rstrip(".")
    return table


def removed(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The table with cells missing, and which of those that were there."""
    strike = np.random.default_rng(seed).random(table.shape) < REMOVED
    return table.astype(dict.fromkeys(table.select_dtypes("number"), "float64")).mask(strike), strike & table.notna().to_numpy()


def judged(guess: pd.DataFrame, truth: pd.DataFrame, hidden: np.ndarray) -> tuple[float, float]:
    """Error of numbers and accuracy of categories, each the mean over its columns."""
    errors, shares = [], []
    for place, name in enumerate(truth.columns):
        struck = hidden[:, place]
        if truth[name].dtype.kind in "if":
            wrong = (guess[name] - truth[name])[struck]
            errors.append(np.sqrt(np.square(wrong).mean()) / truth[name].std())
        else:
            shares.append((guess[name].astype(str) == truth[name].astype(str))[struck].mean())
    return float(np.mean(errors)), float(np.mean(shares))


def others(damaged, truth: pd.DataFrame, hidden: np.ndarray) -> tuple[dict, dict]:
    """What the other imputers reach, (error, accuracy) by name, and the seconds that they took to fit."""
    coder = Coder(damaged[0])
    imputers = {
        "mean": SimpleImputer(),
        "5 neighbours": KNNImputer(n_neighbors=5),
        "IterativeImputer": IterativeImputer(max_iter=10, random_state=0),
        "IterativeImputer, a category less": IterativeImputer(max_iter=10, random_state=0),
    }
    found, seconds = {}, {}
    for name, imputer in imputers.items():
        less = name.endswith("less")
        train, test = (coder.encoded(part, less) for part in damaged)
        known = train[:NEIGHBOURS] if name == "5 neighbours" else train
        with Watch() as watch, warnings.catch_warnings(action="ignore"):
            imputer.fit(known)
        seconds[name] = watch.cost()["seconds"]
        found[name] = judged(coder.decoded(imputer.transform(test), less), truth, hidden)
    return found, seconds


class Coder:
    """Frames as numbers for the others: standardised, categories as ones among zeros, NaN where a cell is missing."""

    def __init__(self, table: pd.DataFrame):
        self.numbers = list(table.select_dtypes("number"))
        self.mean, self.std = table[self.numbers].mean(), table[self.numbers].std()
        self.values = {name: sorted(table[name].dropna().unique()) for name in table if name not in self.numbers}

    def encoded(self, table: pd.DataFrame, less: bool) -> np.ndarray:
        parts = [((table[self.numbers] - self.mean) / self.std).to_numpy()]
        for name, values in self.values.items():
            ones = np.stack([(table[name] == value).to_numpy(float) for value in values[: len(values) - less]], 1)
            parts.append(np.where(table[name].isna().to_numpy()[:, None], np.nan, ones))
        return np.concatenate(parts, 1)

    def decoded(self, encoded: np.ndarray, less: bool) -> pd.DataFrame:
        count = len(self.numbers)
        table = pd.DataFrame(encoded[:, :count], columns=self.numbers) * self.std + self.mean
        for name, values in self.values.items():
            ones = encoded[:, count : count + len(values) - less]
            ones = np.column_stack([ones, 1 - ones.sum(1)]) if less else ones
            table[name] = np.array(values, object)[ones.argmax(1)]
            count += len(values) - less
        return table
