"""A world of sparse features that are known, after the protocol of SynthSAEBench (Chanin & Garriga-Alonso 2026).

    x = bias + sum_j a_j d_j,   a_j = 0 where feature j is silent

Features have Zipfian frequencies and stand in trees: a child speaks only with its parent, as loudly, and never beside its
siblings. Who speaks is drawn from a Gaussian copula whose correlations have low rank; the directions d_j, more than there are
dimensions, are kept from one another as far as they go.
"""

import math

import torch
from torch import Tensor

BRANCHES, DEPTH = 4, 3
RANK, CORRELATION = 25, 0.1
CHUNK = {"cpu": 2**20, "cuda": 2**27}  # numbers drawn at once


class World:
    """Draws samples, and knows what is in them.

    features, dimensions, roots : sizes
    seed : of the world itself; every `draw` has its own
    steps : of keeping the directions apart

    directions : (features, dimensions), of length one;   bias : (dimensions,), of length 1/2
    frequency : (features,), how often each is meant to speak, falling;   loudness, spread : (features,) mean, deviation
    """

    def __init__(self, features=1024, dimensions=128, roots=8, seed=0, steps=100, device="cpu"):
        generator = torch.Generator(device).manual_seed(seed)
        normal = {"generator": generator, "device": device}
        self.device, self.roots = device, roots
        self.frequency = zipfian(features).to(device)
        self.loudness = torch.linspace(5.0, 4.0, features, device=device)
        self.spread = (0.5 + 0.5 * torch.randn(features, **normal)).abs()
        self.directions = apart(unit(torch.randn(features, dimensions, **normal)), steps)
        self.bias = 0.5 * unit(torch.randn(dimensions, **normal))

        self.shared = CORRELATION * torch.randn(features, RANK, **normal)
        self.shared *= min(1.0, math.sqrt(0.99 / float(self.shared.square().sum(1).max())))
        self.alone = (1 - self.shared.square().sum(1)).sqrt()
        meant = compensated(self.frequency, self.levels())
        self.threshold = torch.special.ndtri(1 - meant.double()).float()

    def levels(self) -> list[tuple[slice, slice]]:
        """From the roots down: where parents lie, and their children, four and four in the same order."""
        levels, start, count = [], 0, self.roots
        for _ in range(DEPTH):
            after, children = start + count, BRANCHES * count
            levels.append((slice(start, after), slice(after, after + children)))
            start, count = after, children
        return levels

    def speaking(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, features): how loudly each speaks, 0 where it is silent."""
        draw = {"generator": generator, "device": self.device}
        excited = torch.randn(count, len(self.alone), **draw).mul_(self.alone)
        excited.addmm_(torch.randn(count, RANK, **draw), self.shared.T)
        active = (excited > self.threshold).nonzero(as_tuple=True)
        loud = self.loudness[active[1]] + self.spread[active[1]] * torch.randn(len(active[1]), **draw)
        a = excited.zero_().index_put_(active, loud.relu())
        for parents, children in self.levels():
            scale = a[:, parents] / self.loudness[parents]  # 0 where a parent is silent
            siblings = a[:, children].unflatten(1, (-1, BRANCHES)) * scale[..., None]
            lot = torch.rand(siblings.shape, **draw) * (siblings > 0)
            a[:, children] = (siblings * (lot == lot.amax(-1, keepdim=True))).flatten(1)
        return a

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Samples (count, dimensions), and who speaks in each, (count, features) of True and False."""
        blocks = list(self._blocks(count, seed))
        return torch.cat([x for x, _ in blocks]), torch.cat([a > 0 for _, a in blocks])

    def samples(self, count: int, seed: int) -> Tensor:
        """The samples alone, which take far less room."""
        X = torch.empty(count, len(self.bias), device=self.device)
        start = 0
        for x, _ in self._blocks(count, seed):
            X[start : start + len(x)] = x
            start += len(x)
        return X

    def _blocks(self, count: int, seed: int):
        generator, size = torch.Generator(self.device).manual_seed(seed), CHUNK[self.device] // len(self.alone)
        for start in range(0, count, size):
            a = self.speaking(min(size, count - start), generator)
            yield torch.addmm(self.bias, a, self.directions), a


def zipfian(features: int, exponent=0.5, most=0.4, least=5e-4) -> Tensor:
    """Frequencies rank^-exponent, stretched to end at `most` and `least`."""
    falling = torch.arange(1, features + 1, dtype=torch.float64) ** -exponent
    return (least + (most - least) * (falling - falling[-1]) / (falling[0] - falling[-1])).float()


def compensated(frequency: Tensor, levels) -> Tensor:
    """How often each must want to speak, for silent parents and luckier siblings to leave it about its frequency.

    p_j / p_parent * (1 + sum of the siblings' p / p_parent),   no more than 1
    """
    meant = frequency.clone()
    for parents, children in levels:
        share = frequency[children].view(-1, BRANCHES) / frequency[parents, None]
        meant[children] = (share * (1 + share.sum(1, keepdim=True) - share)).clamp(max=1).flatten()
    return meant


def apart(directions: Tensor, steps: int) -> Tensor:
    """Descends (Adam, 3e-4) on  sum_(i != j) (d_i . d_j)^2 + n sum_i (|d_i|^2 - 1)^2;   |D D'| = |D' D|, which is small."""
    D = directions.clone().requires_grad_()
    optimizer = torch.optim.Adam([D], 3e-4)
    for _ in range(steps):
        length = D.square().sum(1)
        loss = (D.T @ D).square().sum() - length.square().sum() + len(D) * (length - 1).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return unit(D.detach())


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)
