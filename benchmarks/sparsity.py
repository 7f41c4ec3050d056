"""Sparse codes: how much of a digit so few units tell.

MNIST, dictionaries of 512 words (linear encoder and decoder, decoder columns of length one). "L0": active units a test digit.
"variance explained": of the test digits, by their deterministic codes. L1 cannot be told its L0: it is trained with a ladder of
weights, and what it explains at another's L0 lies on the straight line between its neighbours over log L0. PCA has as many
components as there are active units. `kl_sparse` is held against itself without the penalty. The settings of JumpReLU and
TopK's weight for dead units were chosen on held-out training digits.
"""

import numpy as np
from sklearn.decomposition import PCA

from isthmus import presets
from isthmus.parts import JumpReLU

from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 3
WORDS = 512
L0 = (8, 16, 32)
WEIGHTS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)  # of L1: their L0 reach beyond both ends of the above
TARGET = 0.05


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    pca = PCA(max(L0)).fit(train.astype(np.float64))
    for seed in options.seeds:
        shared = {"random_state": seed, **epochs}
        ladder = [told(presets.sparse(WORDS, weight=weight, **shared).fit(train), test) for weight in WEIGHTS]
        for k in L0:
            yield from at_equal_l0(k, ladder, explained_by(pca, k, test), (train, test), shared, data)
        yield kl_row(train, test, shared, data)


def at_equal_l0(k: int, ladder: list, by_pca: float, parts, shared: dict, data: dict):
    """Rows of all that keep about k units."""
    train, test = parts
    by_topk = None
    for name, model in contenders(k, shared).items():
        with Watch() as watch:
            model.fit(train)
        common = {"settings": {"model": repr(model)}, "seed": shared["random_state"], "data": data, "cost": watch.cost()}
        l0, explained = told(model, test)
        baseline = {"L1 at that L0": between(ladder, l0), f"PCA of {k}": by_pca} | ({"TopK": by_topk} if by_topk else {})
        by_topk = by_topk or explained
        also = {"L0": l0}
        goal = {"at_least": baseline["L1 at that L0"]}
        yield Row(f"{name}, L0 = {k}: variance explained", explained, "share", goal, baseline, also=also, **common)
        if name == "topk":
            idle = float((model.transform(train) == 0).all(0).mean())
            yield Row(f"topk, L0 = {k}: dead units", idle, "share", {"at_most": 0.05}, **common)
    explained = between(ladder, k)
    settings = {"weights": WEIGHTS, "L0 by weight": [l0 for l0, _ in ladder]}
    common = {"settings": settings, "seed": shared["random_state"], "data": data}
    yield Row(
        f"sparse, L0 = {k}: variance explained", explained, "share", {"at_least": by_pca}, {f"PCA of {k}": by_pca}, **common
    )


def contenders(k: int, shared: dict) -> dict:
    """Who keeps about k units, by name; not fitted."""
    return {
        "topk": presets.topk(WORDS, k=k, **shared),
        "batch_topk": presets.batch_topk(WORDS, k=k, **shared),
        "jumprelu": presets.jumprelu(WORDS, bottleneck=JumpReLU(10.0, k, threshold=0.3, bandwidth=2.0), **shared),
    }


def told(model, test) -> tuple[float, float]:
    """L0 and the share of variance explained on test rows."""
    codes = model.transform(test)
    left = np.square(model.inverse_transform(codes) - test, dtype=np.float64).sum()
    return float((codes != 0).sum(1).mean()), 1 - left / np.square(test - test.mean(0), dtype=np.float64).sum()


def explained_by(pca: PCA, k: int, test) -> float:
    axes = pca.components_[:k]
    centred = test - pca.mean_
    left = np.square(centred - centred @ axes.T @ axes).sum()
    return 1 - left / np.square(test - test.mean(0), dtype=np.float64).sum()


def between(ladder: list, l0: float) -> float:
    """What the ladder explains at another L0."""
    steps = sorted(ladder)
    return float(np.interp(np.log(l0), np.log([at for at, _ in steps]), [explained for _, explained in steps]))


def kl_row(train, test, shared: dict, data: dict) -> Row:
    """How near the mean activity of the units comes to the target."""
    with Watch() as watch:
        ours = presets.kl_sparse(WORDS, target=TARGET, **shared).fit(train)
    plain = presets.kl_sparse(WORDS, target=TARGET, weight=0.0, **shared).fit(train)
    activity = {name: float(model.transform(test).mean()) / TARGET for name, model in (("ours", ours), ("plain", plain))}
    also = {
        name: told(model, test)[1] for name, model in (("variance explained", ours), ("variance explained without it", plain))
    }
    return Row(
        "kl_sparse: mean activity over its target", activity["ours"], "ratio", {"at_most": 1.2},
        {"without the penalty": activity["plain"]}, also=also, settings={"model": repr(ours)}, seed=shared["random_state"],
        data=data, cost=watch.cost(),
    )  # fmt: skip
