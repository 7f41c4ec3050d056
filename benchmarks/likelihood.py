"""Likelihood of digits in nats.

MNIST, every pixel drawn as black or white with its grey level as probability: the test digits once (seed 0), each training
digit COPIES times afresh (seeds 1, 2, ...). -log p of the test digits by 1,000 importance samples each (Burda et al. 2016).
784-400-20 with one hidden layer on each side. "at equal epochs": as `variational` in the same run. With 2 components:
the same, for the picture `docs/images/variational_two.png`.
"""

import numpy as np

from isthmus import Training, presets
from isthmus.parts import Dense

from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 3
HIDDEN = (400,)
DRAWS = 1000
PUBLISHED = {"VAE, 200-200-50 (Burda et al. 2016)": 86.76, "IWAE with 5 draws": 85.54}


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, black = {"MNIST": checksum(train, test)}, drawn(test, 0)
    for seed in options.seeds:
        for name, copies, epochs, goal in (("short", 10, 6, 95.0), ("long", 10, 40, 90.0)):
            yield row(f"variational: nats a digit, {name} run", presets.variational, train, black, data, options, seed, copies, epochs, goal)
