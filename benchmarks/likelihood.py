"""Likelihood of digits, in nats.

MNIST, every pixel black or white with its grey level as the probability of white: the test digits drawn once (seed 0), every
training digit ten times (seeds 1 to 10). -log p of the test digits by 1,000 importance samples each (Burda et al. 2016).
784-400-20, one hidden layer on each side; `variational` for three epochs of the ten copies, and once for 66. The others are
trained for three epochs too (`importance_weighted` with five draws) and are compared on the first 2,000 test digits; with two
components (784-400-2; `examples/digits_plane.py` draws such a plane) beside the same without hidden layers. The published figures
are of two hidden layers of 200 and 50 components.
"""

import numpy as np

from isthmus import Training, presets
from isthmus.parts import Dense

from .data import checksum, digits_of
from .record import Row, Watch

SEEDS = 3
COPIES = 10
DRAWS = 1000
FEW = 2000  # test digits that the variants are compared on
SHORT, LONG = 3, 66  # epochs of ten copies
PUBLISHED = {"two hidden layers, 1 draw": 86.76, "two hidden layers, 5 draws": 85.54}


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, unseen = {"MNIST": checksum(train, test)}, drawn(test, 0)
    seen = np.concatenate([drawn(train, 1 + copy) for copy in range(1 if options.quick else COPIES)])
    short = 1 if options.quick else SHORT
    for seed in options.seeds:
        model, facts = fitted(presets.variational, seen, seed, short)
        each = nats(model, unseen)
        facts |= {"data": data}
        yield Row("variational: nats a digit", each.mean(), "nats", {"at_most": 95.0}, published=PUBLISHED, **facts)
        plain = each[:FEW].mean()
        for name in ("importance_weighted", "vamp"):
            model, facts = fitted(presets.PRESETS[name], seen, seed, short)
            found = nats(model, unseen[:FEW]).mean()
            goal, baseline = {"at_most": plain}, {"variational": plain}
            yield Row(f"{name}: nats a digit", found, "nats", goal, baseline, data=data, **facts)
        yield plane_row(seen, unseen[:FEW], seed, short, data)
    yield long_row(seen, unseen, data, 1 if options.quick else LONG)


def long_row(seen, unseen, data: dict, epochs: int = LONG) -> Row:
    model, facts = fitted(presets.variational, seen, 0, epochs)
    found = nats(model, unseen).mean()
    return Row("variational, long run: nats a digit", found, "nats", {"at_most": 90.0}, published=PUBLISHED, data=data, **facts)


def plane_row(seen, unseen, seed: int, epochs: int, data: dict) -> Row:
    """Two components, with the hidden layer and without."""
    without, _ = fitted(presets.variational, seen, seed, epochs, 2, ())
    model, facts = fitted(presets.variational, seen, seed, epochs, 2)
    found, linear = (nats(each, unseen).mean() for each in (model, without))
    goal, baseline = {"at_most": linear}, {"without hidden layers": linear}
    return Row("variational, 2 components: nats a digit", found, "nats", goal, baseline, data=data, **facts)


def fitted(preset, seen, seed: int, epochs: int, n_components: int = 20, hidden=(400,)) -> tuple:
    """The fitted model, and what a row tells of it."""
    model = preset(
        n_components,
        architecture=Dense(hidden, activation="gelu", bypass=False),
        loss="bernoulli",
        training=Training(momentum=0.95),
        learning_rate=0.03,
        batch_size=512,
        max_epochs=epochs,
        random_state=seed,
    )
    with Watch() as watch:
        model.fit(seen)
    return model, {"settings": {"model": repr(model), "copies": COPIES}, "seed": seed, "cost": watch.cost()}


def nats(model, unseen) -> np.ndarray:
    """-log p of each."""
    return -model.log_likelihood(unseen, DRAWS if len(unseen) > 1000 else 10, random_state=0)


def drawn(grey: np.ndarray, seed: int) -> np.ndarray:
    """Black and white pixels, 0.0 and 1.0."""
    return (np.random.default_rng(seed).random(grey.shape, dtype=np.float32) < grey).astype(np.float32)
