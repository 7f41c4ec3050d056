"""Hinton and Salakhutdinov's autoencoder.

784-1000-500-250-30 on MNIST ("Reducing the dimensionality of data with neural networks", 2006): squared error a picture on
the 10,000 test pictures, grey levels from 0 to 1. The training pictures are joined by copies that are turned and shifted a
little. The second row is the time of it all, the copies included.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from isthmus import Autoencoder, Training
from isthmus.parts import Dense, Squared

from .data import checksum, mnist
from .measures import pca_error, squared_error
from .record import Row, Watch

EPOCHS = 4  # of all copies: 64 times the number of training pictures
BATCH = 1024
RATE = 0.01
COPIES = 15  # of every training picture, beside the picture itself
TURN = 10.0  # degrees, at most, either way
SHIFT = 1.5  # pixels, at most, in any direction

PUBLISHED = {"they": 3.00, "logistic PCA": 8.01, "PCA": 13.87}


def rows(options):
    train, test = (mnist(part, options.quick)[0] for part in ("train", "test"))
    data = {"MNIST": checksum(train, test)}
    pca = pca_error(train, test, 30)
    for seed in options.seeds:
        with Watch() as watch:
            X = np.concatenate([train, *(moved(train, 1000 * seed + copy) for copy in range(COPIES))])
            model = program(seed, 1 if options.quick else EPOCHS).fit(X)
        shared = {"settings": settings(model), "seed": seed, "data": data, "cost": watch.cost()}
        error = squared_error(test, model.reconstruct(test))
        baseline = {"PCA": pca}
        yield Row("error", error, "squared error a picture", {"at_most": 2.0}, baseline, published=PUBLISHED, **shared)
        yield Row("time", watch.seconds / 60, "min", {"at_most": 20.0}, **shared)


def program(seed: int, epochs: int) -> Autoencoder:
    return Autoencoder(
        30,
        architecture=Dense((1000, 500, 250), bypass=False),
        corruption=None,
        loss=Squared(bounded=True),
        training=Training(momentum=0.95, weight_decay=0.1),
        learning_rate=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        random_state=seed,
    )


def settings(model: Autoencoder) -> dict:
    return {"model": repr(model), "copies": COPIES, "turn": TURN, "shift": SHIFT}


def moved(pictures: np.ndarray, seed: int, side: int = 28, chunk: int = 10_000) -> np.ndarray:
    """A copy in which each picture, (n, side * side), is turned and shifted by chance, by at most TURN and SHIFT."""
    generator = torch.Generator().manual_seed(seed)
    chance = 2 * torch.rand(len(pictures), 3, generator=generator) - 1  # (n, 3), from -1 to 1
    maps = affine_maps(chance, side)
    result = np.empty_like(pictures)
    for start in range(0, len(pictures), chunk):
        part = torch.from_numpy(pictures[start : start + chunk]).view(-1, 1, side, side)
        grid = F.affine_grid(maps[start : start + chunk], list(part.shape), align_corners=False)
        result[start : start + chunk] = F.grid_sample(part, grid, align_corners=False).flatten(1).numpy()
    return result


def affine_maps(chance: torch.Tensor, side: int) -> torch.Tensor:
    """(n, 2, 3): where each picture is read, in units in which its sides run from -1 to 1."""
    angle, shift = chance[:, 0] * math.radians(TURN), chance[:, 1:] * SHIFT * 2 / side
    cosine, sine = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    return torch.cat([rotation, shift[:, :, None]], 2)
