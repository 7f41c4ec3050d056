"""The defaults against PCA and against plain Adam, on seven data sets.

`Autoencoder(k)` as it is. Squared error a row on unseen rows, every column in standard deviations of the training rows, for
k = 2 and k = a tenth of the columns (2 to 32). "plain Adam" is the same network with PyTorch's own first weights, trained with
Adam at 0.001 for as many epochs of the same batches. The goal is the better of the two, with the same seed. Four fifths of the
rows are for training (MNIST: its own parts); the others are the same for all seeds and took no part in choosing the defaults.
"""

from itertools import pairwise

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from isthmus import Autoencoder, Training
from isthmus.defaults import batch_size
from isthmus.parts import Modules
from isthmus.parts.layers import activation_of

from .data import MissingData, checksum, split
from .measures import pca_error, squared_error
from .record import Row, Watch

SEEDS = 5
SETS = ("digits", "MNIST", "Olivetti", "Fashion-900", "wine", "abalone", "ECG5000")


def rows(options):
    for name in SETS:
        try:
            train, test = split(name, options.quick)
        except MissingData as missing:
            yield Row(name, None, "squared error a row", skipped=str(missing))
            continue
        data = {name: checksum(train, test)}
        scaler = StandardScaler().fit(train)
        yield from compare(name, scaler.transform(train), scaler.transform(test), data, options)


def compare(name: str, train: np.ndarray, test: np.ndarray, data: dict, options):
    for k in sorted({2, min(max(train.shape[1] // 10, 2), 32)}):
        pca = pca_error(train, test, k)
        for seed in options.seeds:
            with Watch() as watch:
                ours = Autoencoder(k, random_state=seed, **({"max_epochs": 2} if options.quick else {})).fit(train)
            adam = plain_adam(ours, train, seed).fit(train)
            baseline = {"PCA": pca, "plain Adam": squared_error(test, adam.reconstruct(test))}
            yield Row(
                f"{name}, k = {k}",
                squared_error(test, ours.reconstruct(test)),
                "squared error a row",
                goal={"at_most": min(baseline.values())},
                baseline=baseline,
                settings={"model": repr(ours), "epochs": ours.n_iter_, "rows": len(train), "columns": train.shape[1]},
                seed=seed,
                data=data,
                cost=watch.cost(),
            )


def plain_adam(model: Autoencoder, X: np.ndarray, seed: int) -> Autoencoder:
    """The layers of the fitted `model` as PyTorch starts them, to be trained with Adam for as many steps."""
    dense = model.network_.architecture
    widths = [X.shape[1], *dense.widths, model.n_components_]
    torch.manual_seed(seed)
    return Autoencoder(
        None,
        architecture=Modules(WithBypass(widths, dense.activation), WithBypass(widths[::-1], dense.activation)),
        corruption=None,
        training=Training("adam", schedule="constant", betas=(0.9, 0.999)),
        learning_rate=1e-3,
        batch_size=batch_size(len(X)),
        max_epochs=model.n_iter_,
        random_state=seed,
    )


class WithBypass(nn.Module):
    """Hidden layers with activations, and a last one that reads what they end with and what came in."""

    def __init__(self, widths: list[int], activation: str):
        super().__init__()
        first, *_, before, last = widths
        pairs = pairwise(widths[:-1])
        self.hidden = nn.Sequential(*[m for a, b in pairs for m in (nn.Linear(a, b), activation_of(activation))])
        self.head, self.around = nn.Linear(before, last), nn.Linear(first, last, bias=False)

    def forward(self, x):
        return self.head(self.hidden(x)) + self.around(x)
