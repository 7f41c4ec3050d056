"""What each choice of the defaults is worth: one taken back at a time.

Squared error on held-out training rows over PCA's, every column in standard deviations; less is better and 1 is PCA. These rows
are a fifth of the training part, another fifth for each seed; the test rows of the other tables take no part. This is the
table behind `docs/decisions/0003-recipe.md`.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

from isthmus import Autoencoder, Training
from isthmus.parts import Dense

from .data import MissingData, checksum, split
from .measures import pca_error, squared_error
from .record import Row, Watch

SEEDS = 3
CELLS = (("digits", 6), ("ECG5000", 14), ("Olivetti", 32), ("wine", 2))  # few rows and many, narrow and wide
VARIANTS = {
    "the defaults": {},
    "no bypass": {"architecture": Dense(bypass=False)},
    "no noise": {"corruption": None},
    "no weight decay": {"training": Training(weight_decay=0.0)},
    "neither noise nor decay": {"corruption": None, "training": Training(weight_decay=0.0)},
    "relu": {"architecture": Dense(activation="relu")},
    "one hidden layer": {"architecture": Dense(layers=1)},
    "three hidden layers": {"architecture": Dense(layers=3)},
    "learning rate 0.02": {"learning_rate": 0.02},
    "learning rate 0.08": {"learning_rate": 0.08},
    "momentum 0.95": {"training": Training(momentum=0.95)},
    "constant rate": {"training": Training(schedule="constant")},
    "Adam, 0.001": {"training": Training("adam")},
    "Adam, 0.003": {"training": Training("adam"), "learning_rate": 0.003},
}


def rows(options):
    for name, k in CELLS:
        try:
            whole, _ = split(name, options.quick)
        except MissingData as missing:
            yield Row(name, None, "over PCA", skipped=str(missing))
            continue
        for seed in options.seeds:
            train, held_out = parts(whole, seed)
            pca = pca_error(train, held_out, k)
            for variant, settings in VARIANTS.items():
                epochs = {"max_epochs": 2} if options.quick else {}
                with Watch() as watch:
                    model = Autoencoder(k, random_state=seed, **settings, **epochs).fit(train)
                yield Row(
                    f"{name}, k = {k}: {variant}",
                    squared_error(held_out, model.reconstruct(held_out)) / pca,
                    "over PCA",
                    settings={"model": repr(model)},
                    seed=seed,
                    data={name: checksum(whole)},
                    cost=watch.cost(),
                )


def parts(whole: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four fifths to train on and one to look at, both in standard deviations of the first."""
    order, cut = np.random.default_rng(seed).permutation(len(whole)), round(0.8 * len(whole))
    scaler = StandardScaler().fit(whole[order[:cut]])
    return scaler.transform(whole[order[:cut]]), scaler.transform(whole[order[cut:]])
