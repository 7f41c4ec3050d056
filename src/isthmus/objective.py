"""Objectives: how the loss, the code's cost and the penalties add up to what is minimised.

An objective is `forward(step) -> {name: term}`; a term is one number a sample, (batch,), or one of the whole batch, ().
"""

import math
from dataclasses import replace

import torch

from .parts import Noise, Squared
from .parts.base import Part, Step
from .parts.ranges import number, whole


class Objective(Part):
    """What objectives share: the penalties, each with its own weight, and what the bottleneck asks for beside its cost."""

    def check(self, network) -> None:
        """Refuses a network that this objective makes no sense for."""

    def others(self, step: Step) -> dict:
        terms: dict = {}
        if hasattr(step.network.bottleneck, "auxiliary"):
            auxiliary = step.network.bottleneck.auxiliary(step)
            terms |= {} if auxiliary is None else {"auxiliary": auxiliary}
        return terms | {name: penalty(step) for name, penalty in step.network.penalties.items()}


class Sum(Objective):
    """Everything, added: the loss, what the code costs, and each penalty with its own weight.

    objective = E[ loss(x, decode(encode(x))) + cost ] + sum of penalties
    """

    def forward(self, step: Step) -> dict:
        terms = {"loss": step.loss}
        if step.cost is not None:
            terms["cost"] = step.cost
        return terms | self.others(step)


class ImportanceWeighted(Objective):
    """A tighter bound from several draws (Burda et al. 2016, "Importance weighted autoencoders", equation 8).

        objective = -E[ log 1/k sum_i  p(x | z_i) p(z_i) / q(z_i | x) ],   z_i ~ q(z | x)

    Needs a Gaussian bottleneck with beta 1. With one draw it is the bound that `Sum` minimises, with the cost sampled.

    Parameters
    ----------
    draws : int, default 5

    >>> ImportanceWeighted(10)
    ImportanceWeighted(draws=10)
    """

    ranges = {"draws": whole("[1, inf)")}

    def __init__(self, draws=5):
        super().__init__()
        self.draws = draws

    def check(self, network):
        if getattr(network.bottleneck, "beta", None) != 1:
            raise ValueError(
                f"ImportanceWeighted bounds the likelihood, which needs bottleneck=Gaussian(beta=1), not {network.bottleneck!r}."
            )
        if getattr(network.bottleneck, "warmup", 0):
            raise ValueError(
                f"ImportanceWeighted bounds the likelihood from the first step on, so {network.bottleneck!r} cannot warm up. "
                "Leave warmup at 0."
            )

    def forward(self, step: Step) -> dict:
        weights = [log_weight(step, step.random.stream(f"draw {i}") if i else None) for i in range(self.draws)]
        return {"bound": math.log(self.draws) - torch.stack(weights).logsumexp(0)} | self.others(step)


def log_weight(step: Step, random=None) -> torch.Tensor:
    """log p(x | z) p(z) / q(z | x), (batch,): at the step's own draw, or at a fresh one, through the same decoder.

    The bound is that of one likelihood: dropout takes the same units from the decoder of every draw.
    """
    if random is None:
        z, loss = step.code.z, step.loss
    else:
        z = step.network.bottleneck.draw(step.code, random)
        loss = step.network.loss(step.decoded(z), step.batch.target)
    return step.network.log_prior(z) - step.network.bottleneck.log_posterior(step.code, z) - loss


class RateDistortion(Objective):
    """The code's rate against what it loses, at a given exchange (Alemi et al. 2018, "Fixing a broken ELBO").

        objective = E[ slope * loss + rate ],   rate: nats that the code costs against the prior

    A large slope buys detail with rate. Needs a bottleneck whose code has a cost in nats: Gaussian or Rounded.

    Parameters
    ----------
    slope : float, default 1.0; nats of rate that a nat of distortion is worth

    >>> RateDistortion(4.0)
    RateDistortion(slope=4.0)
    """

    ranges = {"slope": number("(0, inf)")}

    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = slope

    def check(self, network):
        bottleneck = network.bottleneck
        if not (getattr(bottleneck, "posterior", False) or getattr(bottleneck, "charged", False)):
            raise ValueError(f"RateDistortion needs a code with a rate: bottleneck=Gaussian() or Rounded(), not {bottleneck!r}.")
        if bottleneck.beta != 1:
            raise ValueError(
                f"RateDistortion sets the price of the rate by its slope alone, which needs beta=1, not {bottleneck!r}. Use "
                f"{type(bottleneck).__name__}() and another slope: the smaller it is, the dearer the rate."
            )

    def forward(self, step: Step) -> dict:
        return {"distortion": self.slope * step.loss, "rate": step.cost} | self.others(step)


class Masked(Objective):
    """The loss of what the corruption took away alone; what the encoder was shown counts nothing.

        objective = E[ sum over the values i that were taken away of loss_i ] + cost + sum of penalties

    Needs a corruption that says what it took: `BlindSpot`, `MaskPatches` or `Holes(told=True)`.

    Source: Krull et al. 2019, "Noise2Void"; He et al. 2022, "Masked autoencoders are scalable vision learners".

    >>> Masked()
    Masked()
    """

    def check(self, network):
        if not any(getattr(part, "told", getattr(part, "says_where", False)) for part in network.corruption):
            raise ValueError(
                "objective='masked' counts the loss of what a corruption took away, but none here says what that is. Use "
                "corruption='blind_spot', 'mask_patches' or Holes(told=True)."
            )

    def forward(self, step: Step) -> dict:
        target, source = step.batch.target, step.source
        if source.weight is None or target.values.shape[:-1] != source.values.shape[:-1]:
            raise ValueError("objective='masked' needs a target of the source's size.")
        gone = (1 - source.weight).amax(-1, keepdim=True).expand_as(target.values)
        gone = gone if target.weight is None else gone * target.weight
        terms = {"loss": step.network.loss(step.output, replace(target, weight=gone))}
        if step.cost is not None:
            terms["cost"] = step.cost
        return terms | self.others(step)


class Recorrupted(Objective):
    """Learns to remove Gaussian noise from noisy samples alone: more of it going in, and other noise in what must come out.

        source = y + alpha s eps,   target = y - s eps / alpha,   y = x + s n,   eps, n ~ N(0, I)

    The noise of both is independent, so that the expected squared error is that against the clean x, plus a constant. Needs
    loss="squared" and the corruption `Noise(alpha * s)` alone, where s is the standard deviation of the noise that is there.

    Parameters
    ----------
    alpha : float, default 0.5
        How much of the noise is added. Less leaves the source nearer to what it will be in use, and makes the target noisier.

    Source: Pang, Zheng, Quan & Ji 2021, "Recorrupted-to-recorrupted: unsupervised deep learning for image denoising".

    >>> Recorrupted(1.0)
    Recorrupted(alpha=1.0)
    """

    ranges = {"alpha": number("(0, inf)")}

    def __init__(self, alpha=0.5):
        super().__init__()
        self.alpha = alpha

    def check(self, network):
        plain = [part for part in network.corruption if isinstance(part, Noise) and part.least is part.low is part.high is None]
        if not isinstance(network.loss, Squared) or len(plain) != 1 or len(network.corruption) != 1:
            raise ValueError(
                "objective='recorrupted' needs loss='squared' and one corruption, Noise(alpha * s), neither cut off nor of drawn "
                "strength, where s is the standard deviation of the noise in the data."
            )

    def forward(self, step: Step) -> dict:
        target = step.batch.target
        added = step.source.values - target.values
        moved = replace(target, values=target.values - added / self.alpha**2)
        return {"loss": step.network.loss(step.output, moved)} | self.others(step)


OBJECTIVES = {
    "sum": Sum, "masked": Masked, "recorrupted": Recorrupted, "importance_weighted": ImportanceWeighted,
    "rate_distortion": RateDistortion,
}  # fmt: skip
