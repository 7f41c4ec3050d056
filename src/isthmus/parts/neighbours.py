"""Penalties on who is near whom: codes whose neighbours are those of the data."""

import math

import torch
from torch import Tensor

from .base import Part, Step
from .collective import all_gather
from .ranges import number

_HALVINGS = 20  # of the interval in which a bandwidth is looked for: more than float32 tells apart


class TSNE(Part):
    """Neighbours stay neighbours (van der Maaten 2009, "Learning a parametric embedding by preserving local structure").

        penalty = weight * sum_ij p_ij log(p_ij / q_ij),   over the pairs of a batch
        p_ij = (p_j|i + p_i|j) / 2 batch,   p_j|i ~ exp(-b_i |x_i - x_j|^2),   q_ij ~ (1 + |z_i - z_j|^2 / a w^2)^(-(a + 1) / 2)

    with a = max(n - 1, 1) for codes of n numbers. Each b_i is such that sample i has `perplexity` neighbours in the batch, in the
    sense of exp(entropy); pairs beyond the 3 * perplexity nearest count as zero. x are the samples as they enter the network,
    before any corruption: numbers as scaled, categories as ones among zeros, interactions at length one; of samples that differ
    in length the mean and the standard deviation of every channel, and of text the square roots of the shares of its tokens.

    One number of the whole batch, in which the samples' weights are not seen. Its work grows with the square of the batch, and a
    neighbour in a batch of b samples out of n stands for n / b neighbours.

    Parameters
    ----------
    weight : float, default 1000.0; nats that a nat of divergence is worth
    perplexity : float, default 5.0; neighbours of a sample in the batch, at most a third of it
    width : float, default 1.0; w, the distance of codes beyond which two no longer pass for neighbours

    >>> TSNE(perplexity=30)
    TSNE(perplexity=30)
    """

    ranges = {"weight": number("[0, inf)"), "perplexity": number("[1, inf)"), "width": number("(0, inf)")}

    def __init__(self, weight=1000.0, perplexity=5.0, width=1.0):
        super().__init__()
        self.weight = weight
        self.perplexity = perplexity
        self.width = width

    def forward(self, step: Step) -> Tensor:
        z = all_gather(step.code.z.flatten(1))
        if len(z) < 4:  # too few to be nearer and farther
            return z.sum() * 0.0
        with torch.no_grad():
            p = affinities(all_gather(features_of(step.network, step.batch.source)), self.perplexity)
        return self.weight * divergence(p, z / self.width)


def divergence(p: Tensor, z: Tensor) -> Tensor:
    """KL(p || q) in nats, of (batch, batch) affinities that add up to one, and codes (batch, n)."""
    a = max(z.shape[1] - 1, 1)
    nearness = (squared_distances(z) / a).log1p() * (-(a + 1) / 2)  # log of what q is proportional to
    nearness.fill_diagonal_(-math.inf)
    return torch.special.xlogy(p, p).sum() - (p * nearness.masked_fill(p == 0, 0)).sum() + nearness.flatten().logsumexp(0)


def affinities(x: Tensor, perplexity: float) -> Tensor:
    """(batch, batch) joint probabilities of being neighbours, from samples (batch, width) or their likes.

    >>> p = affinities(torch.tensor([[0.0], [1.0], [5.0], [6.0]]), 1.0)
    >>> p[0, 1] > 100 * p[0, 2], p.sum()
    (tensor(True), tensor(1.))
    """
    count = len(x)
    perplexity = min(perplexity, (count - 1) / 3)
    most = min(count - 1, math.ceil(3 * perplexity) + 1)
    squared = squared_distances(x).fill_diagonal_(math.inf)
    nearest = squared.topk(most, largest=False)
    rows = shares(nearest.values, math.log(perplexity))
    p = squared.zero_().scatter_(1, nearest.indices, rows)
    return (p + p.T) / (2 * count)


def shares(squared: Tensor, entropy: float) -> Tensor:
    """softmax(-b_i d_ij) of squared distances d (batch, k), least first, with b_i such that every row has this entropy."""
    away = squared - squared[:, :1]
    unit = away.mean(1, keepdim=True).clamp_min(1e-30)
    low, high = torch.full_like(unit, -12.0), torch.full_like(unit, 12.0)  # of log(b_i * unit)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        p = (-(middle.exp() / unit) * away).softmax(1)
        sharper = -torch.special.xlogy(p, p).sum(1, keepdim=True) < entropy
        low, high = torch.where(sharper, low, middle), torch.where(sharper, middle, high)
    return p


def squared_distances(x: Tensor) -> Tensor:
    """(batch, batch) squared Euclidean distances."""
    lengths = x.square().sum(1)
    return torch.addmm(lengths[:, None] + lengths, x, x.T, alpha=-2).clamp_min(0)


def features_of(network, source) -> Tensor:
    """(batch, width) numbers whose distances say how unlike samples are; without what the network is told besides."""
    if network.schema.tokens:
        there = source.values.new_ones(source.values.shape) if source.weight is None else source.weight.flatten(1)
        counts = torch.zeros(len(source), network.schema.tokens, dtype=torch.float32, device=there.device)
        counts.scatter_add_(1, source.values.flatten(1), there.to(counts))
        return (counts / counts.sum(1, keepdim=True).clamp_min(1)).sqrt()
    if network.schema.varies:
        return moments(source)
    values = network.inlet(source)
    return values[..., : values.shape[-1] - network.condition].flatten(1)


def moments(source) -> Tensor:
    """(batch, 2 * channels): mean and standard deviation of every channel over the steps that are there."""
    values = source.values.flatten(1, -2)  # (batch, steps, channels)
    there = torch.ones_like(values) if source.weight is None else source.weight.expand_as(source.values).flatten(1, -2)
    count = there.sum(1).clamp_min(1)
    mean = (values * there).sum(1) / count
    spread = ((values - mean[:, None]).square() * there).sum(1) / count
    return torch.cat([mean, spread.sqrt()], 1)
