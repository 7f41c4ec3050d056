"""The bottleneck of compression: numbers that are rounded, and charged for the bits that they will take in a file."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part, Step, is_auto
from .collective import all_gather, all_sum, batch_size
from .layers import linear_from
from .ranges import number, whole

_LEAST = 1e-9  # of a probability: no single number costs more than 20 nats


class Rounded(Part):
    """Each number is rounded to a multiple of its step, and costs what an entropy coder spends on it (Ballé et al. 2017, 2018).

        z = step * round(v / step),   v = W h + b;      while training  z = v + step * u,   u ~ U(-1/2, 1/2)
        cost = beta * sum_j -log( F_j(z_j + step_j / 2) - F_j(z_j - step_j / 2) )

    F_j is the cumulative distribution of a mixture of logistic ones, learnt along: one for each number of a code, and of a map
    (n_components=None) one for each channel. So are the steps. The noise has the width of the rounding error, which makes the
    cost a smooth stand-in for the entropy of the rounded numbers. `Code.extra["index"]` holds those, as whole numbers.
    After every epoch `health` tells, over its samples, `bits` a sample.

    Parameters
    ----------
    beta : float, default 1.0; weight of the cost
    step : "auto" or float above 0, default "auto"; of every number at first. "auto" is half the spread that v has at first, as
        the root mean square over its numbers.
    mixture : int, default 3; logistic distributions of each density

    Source: Ballé, Laparra & Simoncelli 2017, "End-to-end optimized image compression"; Ballé et al. 2018, "Variational image
    compression with a scale hyperprior", whose densities are free-form where these are mixtures.

    >>> rounded = Rounded(step=0.5)
    >>> rounded.build((64,), 8)
    (8,)
    >>> code = rounded(torch.randn(5, 64))
    >>> torch.equal(code.z, 0.5 * code.extra["index"]), code.cost.shape
    (True, torch.Size([5]))
    """

    sizes_vary = True
    reads_source = True
    charged = True  # its cost is the rate, in nats
    rounds = True  # False gives v itself outside training, to those who round to other steps
    halves = {"encoder": ("linear",), "decoder": ()}
    ranges = {"beta": number("[0, inf)"), "step": number("(0, inf)").also("auto"), "mixture": whole("[1, inf)")}
    started: Tensor
    bits: Tensor
    samples: Tensor

    def __init__(self, beta=1.0, step="auto", mixture=3):
        super().__init__()
        self.beta = beta
        self.step = step
        self.mixture = mixture

    def build(self, hidden_shape, n_components):
        self.linear: nn.Module = nn.Identity() if n_components is None else linear_from(hidden_shape, n_components)
        code_shape = tuple(hidden_shape) if n_components is None else (n_components,)
        self.width, several = code_shape[-1], code_shape[-1] * self.mixture
        # One axis each: what has two is a matrix to the optimiser, and these are numbers side by side.
        self.log_step = nn.Parameter(torch.full((self.width,), math.log(0.5 if is_auto(self.step) else self.step)))
        self.share = nn.Parameter(torch.zeros(several))  # logits of the mixture, its places and the logarithm of its scales
        self.place = nn.Parameter(torch.zeros(several))
        self.log_scale = nn.Parameter(torch.zeros(several))
        self.register_buffer("started", torch.zeros(()))
        self.register_buffer("bits", torch.zeros(()), persistent=False)
        self.register_buffer("samples", torch.zeros(()), persistent=False)
        return code_shape

    @property
    def steps(self) -> Tensor:
        """(width,): what the numbers of a code, or the channels of a map, are multiples of."""
        return self.log_step.exp()

    def forward(self, hidden, random=None) -> Code:
        v, step = self.linear(hidden), self.steps  # (batch, *places, width)
        if random is not None and not self.started:
            self.start(all_gather(v.detach()))
        index = (v / step).round().detach()
        z = v + step * (random.uniform_like(v) - 0.5) if random is not None else step * index if self.rounds else v
        return Code(z, cost=self.beta * self.nats(z, step).flatten(1).sum(1), extra={"index": index.to(torch.int64)})

    def project(self, z: Tensor) -> Tensor:
        """The nearest multiples of the steps, of any codes (batch, *code_shape)."""
        return self.steps * (z / self.steps).round()

    @torch.no_grad()
    def start(self, v: Tensor) -> None:
        """The first densities: around the mean of each number over the first batch, from narrow to as wide as it spreads."""
        every = v.reshape(-1, self.width)
        if is_auto(self.step):
            self.log_step.copy_((0.5 * every.var(0, correction=0).mean().sqrt()).clamp_min(1e-6).log().expand(self.width))
        mean, std = every.mean(0), every.std(0, correction=0).clamp_min(1e-3 * self.steps)
        apart = torch.linspace(-1, 1, self.mixture + 2, dtype=v.dtype, device=v.device)[1:-1]
        narrow = torch.linspace(-2, -0.5, self.mixture, dtype=v.dtype, device=v.device)
        self.place.copy_((mean[:, None] + 0.5 * std[:, None] * apart).flatten())
        self.log_scale.copy_((std.log()[:, None] + narrow).flatten())
        self.started.fill_(1.0)

    def nats(self, z: Tensor, step: Tensor) -> Tensor:
        """-log of the chance that rounding gives z, number by number."""
        share, place, log_scale = (p.view(self.width, self.mixture) for p in (self.share, self.place, self.log_scale))
        inverse = (-log_scale).exp()
        middle = (z[..., None] - place) * inverse  # (batch, *places, width, mixture)
        half = 0.5 * step[:, None] * inverse
        middle = -middle.abs()  # the distribution is even, and differences of numbers near 1 would be lost
        chance = torch.sigmoid(middle + half) - torch.sigmoid(middle - half)
        return -(chance * F.softmax(share, -1)).sum(-1).clamp_min(_LEAST).log()

    @torch.no_grad()
    def after(self, step: Step) -> None:
        if self.beta:
            self.bits += all_sum(step.code.cost.sum()) / (self.beta * math.log(2))  # type: ignore[union-attr]
        self.samples += batch_size(step.code.z)

    def health(self) -> dict:
        bits = float(self.bits / self.samples.clamp_min(1))
        self.bits.zero_()
        self.samples.zero_()
        return {"bits": bits}
