"""Codes whose components stand apart, or that as a whole look like N(0, I).

MNIST, codes of ten components. "total correlation": how far the components of draws from q(z) are from independent, in nats:
of a Gaussian with their covariance, -1/2 log det of the correlation matrix. "distance of codes to N(0, I)": the maximum mean
discrepancy (the kernels of Tolstikhin et al. 2018) between codes of test digits and draws. "VAE" and "plain": `variational`
and `dense` at the same size.
"""

import numpy as np
import torch

from isthmus import presets
from isthmus.parts.penalties import mmd

from .data import checksum, digits_of
from .measures import squared_error
from .record import Row, Watch

SEEDS = 3
SIZE = 10


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    for seed in options.seeds:
        made = {name: fitted(name, train, data, seed, epochs) for name in ("variational", "dense", *MEASURED)}
        error = {name: squared_error(test, model.reconstruct(test)) for name, (model, _) in made.items()}
        vae, plain = made["variational"][0], made["dense"][0]
        for name, (title, unit, measure, share) in MEASURED.items():
            model, facts = made[name]
            also = {"error": error[name], "error of VAE": error["variational"]}
            beside = {"VAE": measure(vae, test)} | ({"plain": measure(plain, test)} if measure is off_normal else {})
            goal = {"at_most": share * beside.get("plain", beside["VAE"])}
            yield Row(f"{name}: {title}", measure(model, test), unit, goal, beside, also=also, **facts)


def fitted(name: str, train, data: dict, seed: int, epochs: dict) -> tuple:
    """The preset of that name, and what a row tells of it."""
    model = presets.PRESETS[name](SIZE, random_state=seed, corruption=None, **epochs)
    with Watch() as watch:
        model.fit(train)
    return model, {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}


def total_correlation(model, test) -> float:
    """Of draws from the posteriors of test digits, as if they were Gaussian."""
    mean, std = model.posterior(test)
    z = mean + std * np.random.default_rng(0).standard_normal(mean.shape)
    return float(-0.5 * np.linalg.slogdet(np.corrcoef(z, rowvar=False))[1])


def off_normal(model, test) -> float:
    """Of the deterministic codes of 5,000 test digits."""
    z = torch.as_tensor(model.transform(test)[:5000], dtype=torch.float64)
    return float(mmd(z, torch.randn(z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)))


# What is measured of which preset, and the share of the baseline's that is the goal.
MEASURED = {
    "beta": ("total correlation", "nats", total_correlation, 0.5),
    "beta_tc": ("total correlation", "nats", total_correlation, 0.5),
    "info": ("distance of codes to N(0, I)", "MMD", off_normal, 0.1),
    "adversarial": ("distance of codes to N(0, I)", "MMD", off_normal, 0.1),
}
