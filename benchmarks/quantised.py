"""Codes of whole numbers: digits in 32 bytes.

MNIST. `vq`: 32 vectors, each one of 256 entries. `residual_vq`: 8 vectors, each the sum of one of 256 entries from each of four
codebooks. `fsq`: 32 groups of three numbers with 8 * 6 * 5 = 240 values. All are 32 bytes a digit as they stand, without
entropy coding. PCA: 32 components, each rounded to 256 steps between its least and greatest value on the training digits.
"use": exp(entropy of the use of the entries over the last epoch) over their number.
"""

import numpy as np
from sklearn.decomposition import PCA

from isthmus import presets

from .data import checksum, digits_of
from .measures import squared_error
from .record import Row, Watch

SEEDS = 3
BYTES = 32
DIM = 4
MODELS = {
    "vq": lambda **shared: presets.vq(BYTES * DIM, codebook_size=256, dim=DIM, **shared),
    "residual_vq": lambda **shared: presets.residual_vq(BYTES // 4 * 16, levels=4, codebook_size=256, dim=16, **shared),
    "fsq": lambda **shared: presets.fsq(BYTES * 3, levels=(8, 6, 5), **shared),
}


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    baseline = {f"PCA-{BYTES} in int8": pca_in_bytes(train, test)}
    for seed in options.seeds:
        for name, preset in MODELS.items():
            with Watch() as watch:
                model = preset(random_state=seed, **epochs).fit(train)
            shared = {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}
            error, goal = squared_error(test, model.reconstruct(test)), {"at_most": baseline[f"PCA-{BYTES} in int8"]}
            yield Row(f"{name}: error at {BYTES} bytes a digit", error, "squared error a digit", goal, baseline, **shared)
            health = model.history_[-1]
            also = {"perplexity": health["perplexity"]}
            yield Row(f"{name}: use of the codebook", health["usage"], "share", {"at_least": 0.5}, also=also, **shared)


def pca_in_bytes(train: np.ndarray, test: np.ndarray) -> float:
    """Squared error a row of PCA whose components are rounded to a byte each."""
    pca = PCA(BYTES).fit(train.astype(np.float64))
    low, high = (edge(pca.transform(train), axis=0) for edge in (np.min, np.max))
    step = (high - low) / 255
    codes = ((pca.transform(test) - low) / step).round().clip(0, 255)
    return squared_error(test, pca.inverse_transform(codes * step + low))
