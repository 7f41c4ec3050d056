"""The variational bottleneck: a sample becomes a Gaussian over codes instead of one code."""

import math

import torch
from torch import Tensor, nn

from .base import Code, Part, Step
from .collective import all_sum, batch_size
from .layers import bias_of, linear_from
from .ranges import number, whole

_LOG_2PI = math.log(2 * math.pi)


def within_reason(logvar: Tensor, least: float = -20.0, most: float = 10.0) -> Tensor:
    """The log-variance, cut where its exponential would overrun; its gradient is not, so that it comes back from beyond.

    >>> within_reason(torch.tensor([-3.0, 50.0]))
    tensor([-3., 10.])
    """
    return logvar - (logvar - logvar.clamp(least, most)).detach()


def kl_to_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL of N(mean, exp(logvar)) to N(0, 1), in nats, component by component.

        KL = (mean^2 + exp(logvar) - logvar - 1) / 2

    >>> kl_to_normal(torch.tensor([0.0, 2.0]), torch.zeros(2))
    tensor([0., 2.])
    """
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1)


def log_normal(x: Tensor, mean: Tensor | float = 0.0, logvar: Tensor | float = 0.0) -> Tensor:
    """Log density of N(mean, exp(logvar)) at x, in nats, component by component."""
    logvar = torch.as_tensor(logvar, dtype=x.dtype, device=x.device)
    return -0.5 * ((x - mean).square() * (-logvar).exp() + logvar + _LOG_2PI)


class Gaussian(Part):
    """Two vectors, mean and standard deviation, between which the code is drawn (Kingma & Welling 2014).

        q(z | x) = N(mean, diag(exp(logvar))),   z = mean + exp(logvar / 2) * eps,   eps ~ N(0, I)
        cost = beta * KL(q(z | x) || N(0, I))

    Outside training the code is the mean. With a prior that is trained along (`Vamp`) the cost is measured against that.
    After every epoch `health` tells, over its samples, against N(0, I) but for the first where a prior is trained along,
        kl             nats a sample, against the prior that the code pays for
        active_units   components whose mean KL is above 0.01 nats
        kl_components  mean KL of every component

    Parameters
    ----------
    beta : float, default 1.0; weight of the cost (Higgins et al. 2017, "beta-VAE")
    warmup : int, default 0
        Steps of training over which that weight rises from nothing to beta. A decoder that can do much by itself, such as one
        that reads neighbouring pixels, otherwise learns to do without the code before the code has learnt to say anything.

    Source: Kingma & Welling 2014, "Auto-encoding variational Bayes"; Sønderby et al. 2016, "Ladder variational autoencoders"
    (warm-up).

    >>> gaussian = Gaussian()
    >>> gaussian.build((64,), 8), gaussian(torch.zeros(5, 64)).z.shape
    ((8,), torch.Size([5, 8]))
    """

    mean: nn.Module
    logvar: nn.Module
    summed: Tensor
    beyond: Tensor
    samples: Tensor
    reads_source = True
    posterior = True  # its codes have a mean and a standard deviation
    halves = {"encoder": ("mean", "logvar"), "decoder": ()}
    cure = "Set a lower beta, or a loss of a smaller scale, such as Squared(scale=0.1)"
    ranges = {"beta": number("[0, inf)"), "warmup": whole("[0, inf)")}
    steps = 0  # of training that lie behind

    def __init__(self, beta=1.0, warmup=0):
        super().__init__()
        self.beta = beta
        self.warmup = warmup

    def build(self, hidden_shape, n_components):
        if n_components is None:
            raise ValueError("Gaussian makes two vectors, but n_components=None keeps a map. Set n_components.")
        self.mean, self.logvar = (linear_from(hidden_shape, n_components) for _ in range(2))
        self.register_buffer("summed", torch.zeros(n_components), persistent=False)  # KL by component, over the epoch
        self.register_buffer("beyond", torch.zeros(()), persistent=False)  # what a prior that is trained along costs more
        self.register_buffer("samples", torch.zeros(()), persistent=False)
        return (n_components,)

    @torch.no_grad()
    def set_first_weights(self):
        """Every posterior begins with the same width, e^-1, which the decoder can hear through."""
        for parameter in self.logvar.parameters():
            nn.init.zeros_(parameter)
        bias_of(self.logvar).fill_(-2.0)

    def forward(self, hidden, random=None) -> Code:
        mean, logvar = self.mean(hidden), within_reason(self.logvar(hidden))  # (batch, n_components) each
        kl = kl_to_normal(mean, logvar)
        code = Code(mean, cost=self.price * kl.sum(1), extra={"mean": mean, "logvar": logvar, "kl": kl})
        if random is not None:
            code.z = self.draw(code, random)
        return code

    @property
    def price(self) -> float:
        """What a nat of the code costs now."""
        return self.beta * min(1.0, (self.steps + 1) / self.warmup) if self.training and self.warmup else self.beta

    def draw(self, code: Code, random) -> Tensor:
        """A code from the posterior, reparameterised, so that gradients pass through the draw."""
        mean, logvar = code.extra["mean"], code.extra["logvar"]
        return mean + (0.5 * logvar).exp() * random.normal_like(mean)

    def log_posterior(self, code: Code, z: Tensor) -> Tensor:
        """log q(z | x) of every sample, (batch,)."""
        return log_normal(z, code.extra["mean"], code.extra["logvar"]).sum(1)

    @torch.no_grad()
    def after(self, step: Step) -> None:
        self.steps += 1
        kl = step.code.extra["kl"]
        self.summed += all_sum(kl.sum(0))
        self.samples += batch_size(kl)
        prior = step.network.prior
        if prior is not None and prior.trained:
            self.beyond += all_sum(step.rate.sum() - kl.sum())

    def health(self) -> dict:
        count = self.samples.clamp_min(1)
        each, beyond = (self.summed / count).tolist(), float(self.beyond / count)
        for buffer in (self.summed, self.beyond, self.samples):
            buffer.zero_()
        return {"kl": sum(each) + beyond, "active_units": sum(kl > 0.01 for kl in each), "kl_components": each}
