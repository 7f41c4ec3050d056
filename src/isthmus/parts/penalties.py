"""Penalties: what else should hold, beyond a good rebuilding at a low cost.

A penalty is `forward(step) -> (batch,) or ()`, in nats, already weighted. It may offer
    build(code_shape)              makes weights of its own
    check(network)                 refuses a network that it makes no sense for
    reads_activations = True       then `step.activations` holds the encoder's hidden activations, first to last
    opponent(step) -> (batch,)     what a network of the penalty's own minimises, with an optimiser of its own (a game)
    after(step)                    updates buffers
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .architectures import Absent
from .base import Data, Part, Step, weighted_mean
from .bottlenecks import Plain
from .collective import all_gather, all_max, all_sum, batch_size
from .dense import Dense
from .gaussian import Gaussian, log_normal
from .neighbours import TSNE
from .ranges import flag, listed, number, one_of, whole, wholes
from .sparse import L1, KLSparse, kl_to_share

# ------------------------------------------------------------------------------------------------- contractive


class Contractive(Part):
    """Codes that do not tremble when the input does (Rifai et al. 2011, "Contractive auto-encoders").

        penalty = weight * |J|^2,   J = d encode(x) / dx, |.| the Frobenius norm

    "exact" follows the chain rule through dense layers, J = W_k diag(a'(.)) ... diag(a'(.)) W_1, and elsewhere asks autograd for
    every row of J. "stochastic" scales to any network: for a unit vector v drawn afresh, E[ n |J' v|^2 ] = |J|^2 with n
    numbers in the code (Hutchinson 1990).

    A network can make |J| small by making all its codes small, which wins nothing. `scaled` takes that way from it:

        penalty = weight * E[ sum_j |J_j|^2 / var_j ],   J_j the row of component j, var_j its variance over the batch

    which is one number of the whole batch; mean and variance are weighted by the samples' weights. Codes with a posterior count
    by their draws, so var_j is then the wider.

    Parameters
    ----------
    weight : float, default 0.1
    method : "exact" or "stochastic", default "exact"
    scaled : bool, default False

    >>> Contractive(0.5, method="stochastic")
    Contractive(weight=0.5, method='stochastic')
    """

    ranges = {"weight": number("[0, inf)"), "method": one_of("exact", "stochastic"), "scaled": flag()}

    def __init__(self, weight=0.1, method="exact", scaled=False):
        super().__init__()
        self.weight = weight
        self.method = method
        self.scaled = scaled

    def check(self, network) -> None:
        """Refuses inputs that have no slope."""
        if network.schema.tokens:
            raise ValueError(f"{self!r} takes the slope of the code at its input, but tokens have none. Use corruption=Drop().")

    def forward(self, step: Step) -> Tensor:
        squared = jacobian_norm if self.method == "exact" else estimated_jacobian_norm
        random = step.random.stream("contractive")
        if not self.scaled or batch_size(step.code.z) == 1:
            return self.weight * squared(step.network, step.source, random)
        weight = step.batch.sample_weight
        z = step.code.z.flatten(1)
        std = weighted_mean((z - weighted_mean(z, weight)).square(), weight).sqrt().clamp_min(1e-6)
        return self.weight * weighted_mean(squared(step.network, step.source, random, std), weight)


def jacobian_norm(network, source: Data, random=None, std: Tensor | None = None) -> Tensor:
    """(batch,) squared Frobenius norm of the Jacobian of the deterministic code (over `std`, (n_components,)), exactly."""
    rows = dense_row_norms(network, source)
    if rows is None:
        rows = autograd_jacobian(network, source).flatten(2).square().sum(2)
    return (rows if std is None else rows / std.square()).sum(1)


def autograd_jacobian(network, source: Data) -> Tensor:
    """(batch, numbers in the code, *shape): a backward pass for every number of the code."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # other forms of attention have no second derivative
        x = source.values.detach().requires_grad_()
        z = network.encode(source.replace(x)).z.flatten(1)
        rows = [torch.autograd.grad(z[:, j].sum(), x, create_graph=True)[0] for j in range(z.shape[1])]
    return torch.stack(rows, 1)


def dense_row_norms(network, source: Data) -> Tensor | None:
    """(batch, numbers in the code): |J_j|^2 by the chain rule, where encoder and bottleneck are dense; else None.

    J = Q W + A, with W the first layer, Q all that follows it and A the way around (`Bypass`). Q is as narrow as the first
    hidden layer, and J itself, as wide as the input, is never made:  |J_j|^2 = Q_j W W' Q_j' + 2 Q_j W A_j' + |A_j|^2
    W and A keep only the columns that read the data: a condition is told, and no code is asked to ignore it.
    """
    bottleneck = network.bottleneck
    if not isinstance(network.architecture, Dense) or not isinstance(bottleneck, Plain | L1 | KLSparse | Gaussian):
        return None
    x = inlet = network.inlet(source).flatten(1)
    steps: list[Tensor] = []  # of the chain: weights (out, in), and slopes of activations (batch, 1, width)
    layers: Any = network.architecture.encoder
    for layer in layers:
        if isinstance(layer, nn.Linear):
            steps.append(layer.weight)
        elif not isinstance(layer, nn.Identity):
            steps.append(slope(layer, x).unsqueeze(1))
        x = layer(x)
    weight, around, before = last_step(bottleneck.mean if isinstance(bottleneck, Gaussian) else bottleneck.linear, x, inlet)
    first = of_the_data(steps[0] if steps else weight, network)
    through = weight if steps else torch.eye(len(weight), dtype=x.dtype, device=x.device)
    for step in reversed(steps[1:]):
        through = through * step if step.ndim == 3 else through @ step  # ([batch,] numbers in the code, width)
    rows = ((through @ (first @ first.T)) * through).sum(-1)
    if around is not None:
        around = of_the_data(around, network)
        rows = rows + 2 * (through * (around @ first.T)).sum(-1) + around.square().sum(1)
    act: nn.Module = getattr(bottleneck, "act", nn.Identity())
    if not isinstance(act, nn.Identity):
        rows = rows * slope(act, before).square()
    return rows.expand(len(x), -1)


def last_step(last: Any, hidden: Tensor, inlet: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """Weights of the map to the code, those past the hidden layers (None without a `Bypass`), and what the map gives."""
    if isinstance(last, nn.Identity):
        return torch.eye(hidden.shape[1], dtype=hidden.dtype, device=hidden.device), None, hidden
    if isinstance(last, nn.Sequential):
        weight: Any = last[1].weight
        return weight, None, last(hidden)
    return last.weight, last.around, last((hidden, inlet))


def of_the_data(weight: Tensor, network) -> Tensor:
    """(out, numbers of a sample): of weights that read the network's inlet, the columns that read the data."""
    shape = network.inlet.shape  # the condition's numbers are the last channels
    return weight.view(len(weight), *shape)[..., : shape[-1] - network.condition].flatten(1)


def slope(activation: nn.Module, x: Tensor) -> Tensor:
    """The derivative of an activation at every number of x, itself differentiable."""
    if isinstance(activation, nn.Sigmoid):
        return torch.sigmoid(x) * (1 - torch.sigmoid(x))
    if isinstance(activation, nn.Tanh):
        return 1 - torch.tanh(x).square()
    if isinstance(activation, nn.ReLU):
        return (x > 0).to(x)
    if isinstance(activation, nn.SiLU):
        s = torch.sigmoid(x)
        return s * (1 + x * (1 - s))
    if isinstance(activation, nn.Softplus):
        return torch.sigmoid(x)
    with torch.enable_grad():
        leaf = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(activation(leaf).sum(), leaf, create_graph=True)[0]


def estimated_jacobian_norm(network, source: Data, random, std: Tensor | None = None) -> Tensor:
    """(batch,) an unbiased estimate of `jacobian_norm` from one direction a sample."""
    x = source.values.detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # other forms of attention have no second derivative
        z = network.encode(source.replace(x)).z.flatten(1)
        direction = F.normalize(random.normal_like(z), dim=1)
        direction = direction if std is None else direction / std
        pulled = torch.autograd.grad((z * direction).sum(), x, create_graph=True)[0]
    return z.shape[1] * pulled.flatten(1).square().sum(1)


# ------------------------------------------------------------------------------------- activity of hidden layers


class Sparsity(Part):
    """Few active units in any hidden layer of the encoder, as the bottlenecks `L1` and `KLSparse` ask it of the code.

        "l1":  weight * sum_j |h_j|          "kl":  weight * sum_j KL(target || mean of h_j over the batch)

    The mean is weighted by the samples' weights. "kl" reads activity as a share and needs a sigmoid there, as of
    `Dense(activation="sigmoid")`. `history_` notes the share of the layer's units that a sample activates, as sparsity_active:
    above the target, or, for "l1", above a hundredth of the largest activity in the batch.

    Parameters
    ----------
    layer : int, default -1; hidden layer of the encoder, counted as Python counts
    kind : "l1" or "kl", default "l1"
    weight : float, default 0.1; nats
    target : float in (0, 1), default 0.05; for "kl"

    >>> Sparsity(layer=0, kind="kl")
    Sparsity(layer=0, kind='kl')
    """

    counted: Tensor
    reads_activations = True
    ranges = {
        "layer": whole("(-inf, inf)"),
        "kind": one_of("l1", "kl"),
        "weight": number("[0, inf)"),
        "target": number("(0, 1)"),
    }

    def __init__(self, layer=-1, kind="l1", weight=0.1, target=0.05):
        super().__init__()
        self.layer = layer
        self.kind = kind
        self.weight = weight
        self.target = target

    def build(self, code_shape):
        self.register_buffer("counted", torch.zeros(2), persistent=False)  # shares of active units, samples

    def check(self, network) -> None:
        """Refuses a layer that is not there, and an activation whose mean is no share."""
        if isinstance(getattr(network.architecture, "encoder", None), Absent):
            return  # loaded without it
        layers = network.hidden_layers()
        if not -len(layers) <= self.layer < len(layers):
            raise ValueError(
                f"Sparsity(layer={self.layer}): the encoder has {len(layers)} hidden layers with an activation. Set layer to one "
                "of them, such as -1 for the last, or give it more: Dense(hidden=(128, 64)), or modules such as nn.ReLU(). "
                "Recurrent layers have their activations within, where no penalty sees them."
            )
        activation = type(layers[self.layer]).__name__
        if self.kind == "kl" and activation != "Sigmoid":
            raise ValueError(
                f"Sparsity(kind='kl') reads activity as a share in (0, 1), but hidden layer {self.layer} ends in {activation}. "
                "Use Dense(activation='sigmoid') or nn.Sigmoid(), or kind='l1'."
            )

    def forward(self, step: Step) -> Tensor:
        step.code  # noqa: B018  the activations are noted while the code is made
        hidden = step.activations[self.layer].flatten(1)
        if self.kind == "l1":
            return self.weight * hidden.abs().sum(1)
        return self.weight * kl_to_share(weighted_mean(hidden, step.batch.sample_weight), self.target).sum()

    @torch.no_grad()
    def after(self, step: Step) -> None:
        hidden = step.activations[self.layer].flatten(1).abs()
        least = self.target if self.kind == "kl" else 0.01 * all_max(hidden.max())
        share = (hidden > least).to(self.counted).mean(1)
        self.counted += all_sum(torch.stack([share.sum(), torch.ones_like(share).sum()]))

    def health(self) -> dict[str, float]:
        """The share of the layer's units that a sample activates, over the samples since it was last asked."""
        active, samples = self.counted.tolist()
        self.counted.zero_()
        return {"active": active / max(samples, 1)}


# ----------------------------------------------------------------------------------------- the codes as a whole


class MMD(Part):
    """Codes that as a whole look like draws from N(0, I) (Zhao et al. 2019, "InfoVAE"; Tolstikhin et al. 2018).

        penalty = weight * n * ( E[k(z, z')] + E[k(p, p')] - 2 E[k(z, p)] ),   p ~ N(0, I)
        k(a, b) = sum_s  C_s / (C_s + |a - b|^2),   C_s = 2 n s,   s in 0.1, 0.2, 0.5, 1, 2, 5, 10

    for codes of n numbers: the unbiased estimate over a batch (its first 256 samples, for the cost grows with their square),
    with the inverse multiquadratic kernels of Tolstikhin et al. ("Wasserstein auto-encoders", section 4). One number of the
    whole batch, in which the samples' weights are not seen: all codes count alike.

    Parameters
    ----------
    weight : float, default 10.0

    >>> MMD(5.0)
    MMD(weight=5.0)
    """

    holds_to_normal = True  # so that codes may be drawn from N(0, I)

    ranges = {"weight": number("[0, inf)")}

    def __init__(self, weight=10.0):
        super().__init__()
        self.weight = weight

    def forward(self, step: Step) -> Tensor:
        z = step.code.z.flatten(1)
        z, drawn = all_gather(z), all_gather(step.random.stream("mmd").normal_like(z))
        return self.weight * z.shape[1] * mmd(z[:256], drawn[:256])


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """The unbiased squared maximum mean discrepancy of two samples, (count, n) each, with the kernels above."""
    count = len(a)
    if count < 2:
        return a.sum() * 0.0
    within = kernel(a, a) + kernel(b, b)
    off = (within.sum() - within.diagonal().sum()) / (count * (count - 1))
    return off - 2 * kernel(a, b).mean()


def kernel(a: Tensor, b: Tensor) -> Tensor:
    squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0)
    scales = [2.0 * a.shape[1] * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return torch.stack([c / (c + squared) for c in scales]).sum(0)


class TotalCorrelation(Part):
    """Components that vary apart from one another (Chen et al. 2018, "Isolating sources of disentanglement", equation S3).

        penalty = weight * KL( q(z) || prod_j q(z_j) )

    q(z) is the mixture of the batch's posteriors (of its first 256, for the cost grows with their square), so a Gaussian
    bottleneck is needed; the data set's size is in their minibatch-weighted estimate a constant, which is left out. One number
    of the whole batch, in which the samples' weights are not seen.

    A code is read beside its own posterior, so the estimate lies too high, the more so the narrower posteriors are and the
    fewer a batch has: posteriors that do not meet give (n - 1) log(batch) nats, however independent the n components are.

    Parameters
    ----------
    weight : float, default 5.0; beta - 1 of their beta-TCVAE

    >>> TotalCorrelation(3.0)
    TotalCorrelation(weight=3.0)
    """

    needs_posterior = True

    ranges = {"weight": number("[0, inf)")}

    def __init__(self, weight=5.0):
        super().__init__()
        self.weight = weight

    def forward(self, step: Step) -> Tensor:
        extra = step.code.extra
        z, mean, logvar = (all_gather(values)[:256] for values in (step.code.z, extra["mean"], extra["logvar"]))
        each = log_normal(z[:, None], mean, logvar)  # (batch, batch, n)
        joint = each.sum(2).logsumexp(1)  # (batch,)
        apart = each.logsumexp(1).sum(1)
        count = math.log(len(z))
        return self.weight * ((joint - count) - (apart - z.shape[1] * count)).mean()


class Adversary(Part):
    """A second network tells codes from draws of N(0, I), and the encoder learns to deceive it (Makhzani et al. 2016).

        penalty  = weight * log(1 + exp(-D(z)))                                       the encoder's part
        opponent = log(1 + exp(-D(p))) + log(1 + exp(D(z))),   p ~ N(0, I)            the discriminator's, in the same step

    Parameters
    ----------
    weight : float, default 10.0
    hidden : sequence of int, default (128, 128); of the discriminator

    Source: Makhzani et al. 2016, "Adversarial autoencoders".

    >>> Adversary(hidden=(64,))
    Adversary(hidden=(64,))
    """

    holds_to_normal = True  # so that codes may be drawn from N(0, I)

    ranges = {"weight": number("[0, inf)"), "hidden": wholes("[1, inf)", "hidden=(128, 128)")}

    def __init__(self, weight=10.0, hidden=(128, 128)):
        super().__init__()
        self.weight = weight
        self.hidden = hidden

    def build(self, code_shape):
        widths = (math.prod(code_shape), *listed(self.hidden))
        layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        self.discriminator = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def opponents(self):
        """The parameters that the opponent trains."""
        return self.discriminator.parameters()

    def forward(self, step: Step) -> Tensor:
        return self.weight * F.softplus(-self.discriminator(step.code.z.flatten(1))).squeeze(1)

    def opponent(self, step: Step) -> Tensor:
        z = step.code.z.flatten(1).detach()
        drawn = step.random.stream("adversary").normal_like(z)
        return (F.softplus(-self.discriminator(drawn)) + F.softplus(self.discriminator(z))).squeeze(1)


class CodeNorm(Part):
    """Small codes, so that a density can be fitted to them afterwards (Ghosh et al. 2020).

        penalty = weight * |z|^2 / 2

    Parameters
    ----------
    weight : float, default 0.01; nats

    Source: Ghosh et al. 2020, "From variational to deterministic autoencoders".

    >>> CodeNorm(0.1)
    CodeNorm(weight=0.1)
    """

    ranges = {"weight": number("[0, inf)")}

    def __init__(self, weight=0.01):
        super().__init__()
        self.weight = weight

    def forward(self, step: Step) -> Tensor:
        return self.weight * 0.5 * step.code.z.flatten(1).square().sum(1)


PENALTIES = {
    "contractive": Contractive,
    "sparsity": Sparsity,
    "mmd": MMD,
    "total_correlation": TotalCorrelation,
    "adversary": Adversary,
    "code_norm": CodeNorm,
    "tsne": TSNE,
}
