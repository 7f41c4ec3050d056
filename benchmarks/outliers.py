"""Outliers by the detector beside kNN, LOF, isolation forests, PCA and PyOD's autoencoder; whether `check` knows foreign data.

The 15 classical sets of ADBench (Han et al. 2022) in the protocol of DTE (Livernoche et al. 2024): a random half of the ordinary
rows to learn from, standardised by them; the other half and all outliers to be judged by the area under the ROC curve, in per
cent; `OutlierDetector()` as it comes, one setting for all sets. Its setting was chosen on the outliers of the five sets of
DEVELOPMENT and on others that are not in the table (ECG5000, breast cancer, wine, MNIST's training digits); the mean of the other
ten, on which nothing was chosen, is told beside that of all. kNN: mean distance to five neighbours; LOF: 20 neighbours; PCA's
error: as many components as hold 90 % of the variance. PyOD's PCA (a weighted sum over all components, Shyu et al. 2003) and
AutoEncoder have their defaults; they need `pip install "isthmus[bench]"`.

`check`: a model of 32 numbers of MNIST's training digits; test digits are alike, 900 pictures of Fashion-MNIST foreign.
"""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from isthmus import Autoencoder
from isthmus.apps import OutlierDetector

from . import data
from .record import Row, Watch

SEEDS = 5
DEVELOPMENT = ("2_annthyroid", "6_cardio", "18_Ionosphere", "29_Pima", "30_satellite")
SETS = (
    *DEVELOPMENT, "4_breastw", "23_mammography", "24_mnist", "25_musk", "26_optdigits", "28_pendigits", "31_satimage-2",
    "32_shuttle", "38_thyroid", "42_WBC",
)  # fmt: skip
OURS, THEIRS = "OutlierDetector", "PyOD AutoEncoder"


def rows(options):
    chosen = ("4_breastw", "42_WBC") if options.quick else DEVELOPMENT if options.validate else SETS
    settings = {"model": {"max_epochs": 2}} if options.quick else {}
    for seed in options.seeds:
        areas: dict[str, dict[str, float]] = {}
        for name in chosen:
            X, labels = adbench(name)
            train, test, truth = halves(X, labels, seed)
            with Watch() as watch:
                detector = OutlierDetector(**settings, random_state=seed).fit(train)
                scores = -detector.score_samples(test)
            areas[name] = {OURS: area(truth, scores)}
            areas[name] |= {method: area(truth, score(train, test, seed)) for method, score in baselines(options.quick).items()}
            facts = {"settings": {"model": repr(detector)}, "seed": seed, "data": {name: data.checksum(X)}, "cost": watch.cost()}
            goal = {"at_least": 95.0} if name == "26_optdigits" else {}
            yield Row(name.partition("_")[2], areas[name][OURS], "AUROC, %", goal, without(areas[name]), **facts)
        yield from summaries(areas, {"settings": {"model": repr(detector)}, "seed": seed})
        yield from check_rows(options, seed)


def summaries(areas: dict, facts: dict):
    """The means over the sets, against each goal."""
    means = {method: mean(areas, method) for method in next(iter(areas.values()))}
    unseen = [name for name in areas if name not in DEVELOPMENT]
    also = {"sets nothing was chosen on": mean({name: areas[name] for name in unseen}, OURS)} if unseen else {}
    also |= {"kNN on these": mean({name: areas[name] for name in unseen}, "kNN")} if unseen else {}
    yield Row("mean, against kNN", means[OURS], "AUROC, %", {"at_least": means["kNN"]}, without(means), also=also, **facts)
    for method in ("PCA of PyOD", "PCA's error"):
        row = f"mean, against {method}"
        if method not in means:
            yield Row(row, None, "AUROC, %", skipped='it needs pip install "isthmus[bench]"', **facts)
            continue
        yield Row(row, means[OURS], "AUROC, %", {"at_least": means[method] + 6}, {method: means[method]}, **facts)
    row = "share of the sets above PyOD's autoencoder"
    if THEIRS not in means:
        yield Row(row, None, "%", skipped='it needs pip install "isthmus[bench]"', **facts)
        return
    above = 100 * float(np.mean([found[OURS] > found[THEIRS] for found in areas.values()]))
    yield Row(row, above, "%", {"at_least": 80.0}, **facts)


def check_rows(options, seed: int):
    """How well `compare` tells garments from digits, and how often it takes digits for foreign."""
    (train, _), (test, _) = data.digits_of(options)
    garments = data.fashion().astype(np.float32)
    with Watch() as watch:
        model = Autoencoder(32, random_state=seed, **({"max_epochs": 2} if options.quick else {})).fit(train)
        digits, foreign = model.compare(test).oddness, model.compare(garments).oddness
    facts = {"settings": {"model": repr(model)}, "seed": seed, "cost": watch.cost()}
    facts |= {"data": {"MNIST": data.checksum(train, test), "Fashion-900": data.checksum(garments)}}
    found = area(np.repeat([0, 1], [len(digits), len(foreign)]), np.concatenate([digits, foreign]))
    yield Row("check: Fashion-900 against test digits", found, "AUROC, %", {"at_least": 99.0}, **facts)
    also = {"odd garments": 100 * float((foreign > 1).mean())}
    yield Row("check: test digits that are odd", 100 * float((digits > 1).mean()), "%", {"at_most": 5.0}, also=also, **facts)


# ----------------------------------------------------------------------------------------------------- baselines


def baselines(quick: bool) -> dict:
    """What scores the test rows, the odder the higher, by name."""
    known = {"kNN": nearest, "LOF": local_factor, "IsolationForest": forest, "PCA's error": pca_error}
    try:
        import pyod  # noqa: F401
    except ImportError:
        return known
    return known | {"PCA of PyOD": pyod_pca, THEIRS: lambda *given: pyod_autoencoder(*given, epochs=1 if quick else 10)}


def nearest(train, test, seed):
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0].mean(1)


def local_factor(train, test, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that occur many times
        return -LocalOutlierFactor(20, novelty=True).fit(train).score_samples(test)


def forest(train, test, seed):
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def pca_error(train, test, seed):
    pca = PCA(0.9, svd_solver="full").fit(train)
    return np.square(test - pca.inverse_transform(pca.transform(test))).sum(1)


def pyod_pca(train, test, seed):
    """With as many components as vary: it divides by the variance of each."""
    from pyod.models.pca import PCA as Weighted

    rank = int(np.linalg.matrix_rank(train - train.mean(0)))
    return Weighted(n_components=rank, random_state=seed).fit(train).decision_function(test)


def pyod_autoencoder(train, test, seed, epochs):
    from pyod.models.auto_encoder import AutoEncoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoEncoder(epoch_num=epochs, random_state=seed, verbose=0).fit(train).decision_function(test)


# ------------------------------------------------------------------------------------------------------- helpers


def adbench(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(data.file(f"anomaly/adbench/{name}.npz")) as found:
        return found["X"].astype(np.float64), found["y"].astype(int)


def halves(X, labels, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of the ordinary rows; the other half and the outliers; and which of these are outliers."""
    ordinary = np.random.default_rng(seed).permutation(np.flatnonzero(labels == 0))
    cut = len(ordinary) // 2
    test = np.concatenate([ordinary[cut:], np.flatnonzero(labels == 1)])
    center, scale = X[ordinary[:cut]].mean(0), X[ordinary[:cut]].std(0)
    scaled = (X - center) / np.where(scale > 0, scale, 1)
    return scaled[ordinary[:cut]], scaled[test], labels[test]


def area(truth, scores) -> float:
    return 100 * float(roc_auc_score(truth, np.nan_to_num(np.asarray(scores, np.float64), posinf=1e300)))


def mean(areas: dict, method: str) -> float:
    return float(np.mean([found[method] for found in areas.values()]))


def without(found: dict) -> dict:
    return {method: value for method, value in found.items() if method != OURS}
