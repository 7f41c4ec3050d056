"""What a fitted model makes beyond rebuilding: new samples, ways between samples, and the likelihood of given ones."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.utils.validation import check_random_state
from torch import Tensor

from .data.lazy import Lazy
from .data.schema import Ready
from .network import held_to_normal, in_blocks, refuse_misplaced
from .parts import PRIORS, Normal, part_of
from .parts.random import Random
from .parts.ranges import check_ranges, number, whole

_AROUND, _QUANTISED = 0.1, 0.5  # the width of variations over that of the training codes; entries lie far from one another
_MOST_CODES = 2**16  # of a stream, that a prior is fitted to after training
RANGES = {
    "n": whole("[1, inf)"),
    "n_draws": whole("[1, inf)"),
    "steps": whole("[2, inf)"),
    "spread": number("[0, inf)"),
}


def check_arguments(**given) -> None:
    """Refuses arguments of the verbs out of range, by name, before anything is computed."""
    check_ranges(SimpleNamespace(**given), {name: RANGES[name] for name in given})


def check_several(model, like) -> None:
    """Refuses one sample where an array of them is expected."""
    shape = tuple(getattr(like, "shape", ()))
    if isinstance(like, str) and model.schema_.kind == "text" and not Path(like).is_file():
        raise ValueError(f"like is one sentence, {like[:40]!r}; a list of them is expected. Pass like=[sentence].")
    if model.schema_.is_one(shape):
        raise ValueError(f"like has shape {shape}, which is one sample; an array of samples is expected. Pass like=X[:1].")


def both_ends(model, a, b) -> list:
    """The two samples that a way leads between, each with the axis of samples; a frame of one row has it."""
    return [end_of(model, name, end) for name, end in (("a", a), ("b", b))]


def end_of(model, name: str, end):
    if model.schema_.kind == "text":
        if not isinstance(end, str):
            raise ValueError(f"{name} is {type(end).__name__}, but one sentence is expected, a str. Pass X[0], say.")
        return [end]
    if hasattr(end, "columns") and len(end) == 1:
        return end
    cure = "Pass a frame of one row, X[:1], say." if model.schema_.kind == "table" else "Pass X[0], say."
    values = np.asarray(end)
    if not model.schema_.is_one(values.shape) or values.dtype.kind == "O":
        raise ValueError(f"{name} has shape {values.shape}, but one sample is expected, {model.schema_.shape}. {cure}")
    return model.schema_.joined([values])


def seed_of(random_state) -> int:
    return int(check_random_state(random_state).randint(2**31 - 1))


def posterior_needed(model, what: str) -> None:
    """Refuses what only a code with a density can do."""
    model._need("encoder")
    if not getattr(model.network_.bottleneck, "posterior", False):
        raise ValueError(
            f"{what} needs a posterior, but bottleneck={model.bottleneck!r} has none. Fit with bottleneck=Gaussian()."
        )


def prior_of(model):
    """The prior that new codes are drawn from; a Gaussian bottleneck brings the normal one along."""
    network = model.network_
    if network.prior is not None:
        if network.prior.trained:
            model._need("encoder")  # it is made of posteriors
        return network.prior
    if not held_to_normal(network):
        raise ValueError(
            "This model has no prior to draw codes from. Call fit_prior('mixture', X), or fit it with prior=... "
            "(isthmus sample: --prior DATA)."
        )
    return built_prior("normal", model)


def built_prior(prior, model):
    """The prior, ready to be fitted; its first weights follow the model's seed, as those of a prior given to `fit` do."""
    refuse_misplaced("prior", prior)
    part = part_of(prior, PRIORS, "prior")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(model.seed_)
        part.build(model.network_)
    return part.to(next(model.network_.parameters()))


def fit_prior(model, prior, X, condition=None) -> None:
    """Builds the prior and fits it to the codes of `X`; the model's own is replaced."""
    model._need("encoder")
    part, network = built_prior(prior, model), model.network_
    if part.trained:
        raise ValueError(f"{part!r} is trained along with the model: fit with prior={part!r}.")
    if isinstance(part, Normal) and not held_to_normal(network):
        raise ValueError(
            "Nothing holds this model's codes to N(0, I), so draws from there would decode to no sample of the data. Fit a prior "
            "to the codes themselves: fit_prior('mixture', X)."
        )
    part.fit(codes_for(part, model, model._rows(X), *model._told(condition, len_of(X))))
    model.network_.prior, model.prior_ = part, prior


def fit_own_prior(model, samples) -> None:
    """Fits the prior that the model was given, to the codes of what it was trained on."""
    prior = model.network_.prior
    if not prior.trained:
        if isinstance(samples.source.values, Lazy):  # all codes may take more memory than there is
            samples = samples.subset(samples.source.spread(_MOST_CODES))
        prior.fit(codes_for(prior, model, samples.source, *([] if samples.condition is None else [samples.condition])))


def code_spread(model, samples) -> Tensor | None:
    """Standard deviation of the training codes, of up to 1024 of them, (*code_shape); None where theory says it or sizes vary."""
    if None in model.code_shape_ or held_to_normal(model.network_):
        return None
    some = samples.subset(samples.source.spread(1024))
    told = [] if some.condition is None else [some.condition]
    return in_blocks(model._code, model.block_, some.source, *told).std(0, correction=0)


def codes_for(prior, model, *rows) -> Tensor:
    """What a prior learns from: codes, or their indices."""

    def codes(*block):
        code = model._encoded(*block)
        return code.extra["index"] if hasattr(prior, "entries") else code.z

    return in_blocks(codes, model.block_, *rows).to(model.device_)


def len_of(X) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


# --------------------------------------------------------------------------------------------------- new samples


@torch.no_grad()
def drawn_codes(model, n: int, seed: int) -> Tensor:
    """(n, *code_shape) codes from the prior; the i-th depends on seed and i alone."""
    random = Random(seed, "sample", 0, torch.arange(int(n), device=model.device_))
    return possible(model, prior_of(model).sample(random, model.network_))


@torch.no_grad()
def varied_codes(model, X, n: int, seed: int, spread: float, condition=None) -> Tensor:
    """(n_samples * n, *code_shape): for every row of X, n codes from its posterior, `spread` times as wide."""
    rows = model._rows(X)
    told = model._told(condition, len(rows))
    if getattr(model.network_.bottleneck, "posterior", False):
        mean, std = moments(model, rows, *told)
    else:  # no posterior: so much as wide as the training codes, which a penalty may hold to a width of one
        mean = in_blocks(model._code, model.block_, rows, *told)
        known = getattr(model, "code_spread_", None)  # of old folders none is known
        width = _QUANTISED if hasattr(model.network_.bottleneck, "from_index") else _AROUND
        std = width * (torch.ones(()) if known is None else known).to(mean).expand_as(mean)
    mean, std = (x.repeat_interleave(n, 0) for x in (mean, std))
    return possible(model, mean + spread * std * Random(seed, "like", 0, torch.arange(len(mean))).normal_like(mean))


@torch.no_grad()
def possible(model, codes: Tensor) -> Tensor:
    """The nearest codes that the bottleneck can give: sparse ones keep to their units, quantised ones to their entries."""
    project = getattr(model.network_.bottleneck, "project", None)
    return (codes if project is None else project(codes.to(model.device_, model.dtype_))).cpu()


def moments(model, *rows) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the posterior of every row."""

    def both(*block):
        extra = model._encoded(*block).extra
        return torch.stack([extra["mean"], (0.5 * extra["logvar"]).exp()], 1)

    mean, std = in_blocks(both, model.block_, *rows).unbind(1)
    return mean, std


def between(a: Tensor, b: Tensor, steps: int, spherical: bool) -> Tensor:
    """(steps, ...) from a to b, ends included: along the great circle for codes from a normal prior, else along the line.

    slerp(t) = sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b,   w: the angle between a and b
    """
    t = torch.linspace(0, 1, steps, dtype=a.dtype).view(-1, *[1] * a.ndim)
    if not spherical:
        return (1 - t) * a + t * b
    cosine = (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:
        return (1 - t) * a + t * b
    return ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b


# --------------------------------------------------------------------------------------------------- likelihood


def posterior(model, X, condition=None) -> tuple[np.ndarray, np.ndarray]:
    posterior_needed(model, "posterior(X)")
    rows = model._rows(X)
    told = model._told(condition, len(rows))
    mean, std = moments(model, rows, *told)
    return mean.numpy(), std.numpy()


def log_likelihood(model, X, n_draws: int, seed: int, condition=None) -> np.ndarray:
    """log 1/n sum_i p(x | z_i) p(z_i) / q(z_i | x), (n_samples,), in nats (Burda et al. 2016)."""
    posterior_needed(model, "log_likelihood(X)")
    network, rows = model.network_, model._rows(X)
    told = model._told(condition, len(rows))
    if model.target_schema_ is not model.schema_:
        raise ValueError("log_likelihood is that of the data itself, but this model was fitted with a target of its own.")

    def bounds(data, place, told=None):
        data = data.told(told)
        code = network.encode(data)
        sums = torch.full((len(place),), -math.inf, dtype=torch.float64, device=place.device)
        for draw in range(n_draws):
            z = network.bottleneck.draw(code, Random(seed, "likelihood", draw, place))
            nats = network.loss(network.decode(network.towards(code.at(z), data)), data)
            weight = network.log_prior(z) - network.bottleneck.log_posterior(code, z) - nats
            sums = torch.logaddexp(sums, weight.double())
        return sums - math.log(n_draws)

    places = Ready(torch.arange(len(rows))).to(torch.int64, model.device_)
    return in_blocks(bounds, model.block_, rows, places, *told).numpy()
