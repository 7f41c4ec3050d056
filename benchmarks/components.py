"""Codes whose components stand apart, or that as a whole look like N(0, I).

MNIST, codes of ten components. "total correlation": how far the components of draws from q(z) are from independent, in nats: of a
Gaussian with their covariance, -1/2 log det of the correlation matrix. "speaking": components whose mean KL to N(0, 1) is above
0.1 nats. "distance to N(0, I)": maximum mean discrepancy (the kernels of Tolstikhin et al. 2018) between codes of test digits
and draws. "VAE" and "plain": `variational` and `dense` at the same size.
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
        made = {}

        def fitted(name, **settings):
            with Watch() as watch:
                model = presets.PRESETS[name](SIZE, random_state=seed, **epochs, **settings).fit(train)
            facts = {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}
            return made.setdefault(name, (model, facts))

        vae, _ = fitted("variational")
        plain, _ = fitted("dense", corruption=None)
        also = {"error of VAE": squared_error(test, vae.reconstruct(test))}

        ours, facts = fitted("beta")
        error = {"error": squared_error(test, ours.reconstruct(test))}
        goal = {"at_most": speaking(vae, test) - 1}
        yield Row(
            "beta: components that speak",
            speaking(ours, test),
            "components",
            goal,
            {"VAE": speaking(vae, test)},
            also=error | also,
            **facts,
        )

        ours, facts = fitted("beta_tc")
        error = {"error": squared_error(test, ours.reconstruct(test))}
        apart = {name: total_correlation(model, test) for name, model in (("ours", ours), ("VAE", vae))}
        yield Row(
            "beta_tc: total correlation",
            apart["ours"],
            "nats",
            {"at_most": 0.5 * apart["VAE"]},
            {"VAE": apart["VAE"]},
            also=error | also,
            **facts,
        )

        for name in ("info", "adversarial"):
            ours, facts = fitted(name)
            error = {"error": squared_error(test, ours.reconstruct(test))}
            far = {who: off_normal(model, test) for who, model in (("ours", ours), ("plain", plain), ("VAE", vae))}
            baseline = {"plain": far["plain"], "VAE": far["VAE"]}
            yield Row(
                f"{name}: distance of codes to N(0, I)",
                far["ours"],
                "MMD",
                {"at_most": 0.1 * far["plain"]},
                baseline,
                also=error | also,
                **facts,
            )
            goal = {"at_most": also["error of VAE"]}
            yield Row(f"{name}: error", error["error"], "squared error a digit", goal, {"VAE": also["error of VAE"]}, **facts)


def speaking(model, test) -> int:
    mean, std = model.posterior(test)
    kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1).mean(0)
    return int((kl > 0.1).sum())


def total_correlation(model, test) -> float:
    """Of draws from the posteriors of test digits, as if they were Gaussian."""
    mean, std = model.posterior(test)
    z = mean + std * np.random.default_rng(0).standard_normal(mean.shape)
    return float(-0.5 * np.linalg.slogdet(np.corrcoef(z, rowvar=False))[1])


def off_normal(model, test) -> float:
    """Of the codes as they are used: draws where there is a posterior; each component centred and scaled where nothing holds it."""
    z = torch.as_tensor(model.transform(test)[:5000], dtype=torch.float64)
    return float(mmd(z, torch.randn(z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)))
