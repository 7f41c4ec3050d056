"""What several processes compute together of a batch, of which each holds consecutive samples.

A part asks for the whole batch (`all_gather`, `all_sum`, `all_max`) where it computes something of it as a whole; gradients pass
through. While one process holds the whole batch, they give back what they are given.
"""

from collections.abc import Sized
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Samples `start` to `stop` of the `count` of a batch, which count `weight` in all: what one of several processes holds."""

    start: int
    stop: int
    count: int
    weight: Tensor | int
    rank: int
    processes: int

    @property
    def is_all(self) -> bool:
        """Whether every process holds the whole batch, which has too few samples to be shared."""
        return self.stop - self.start == self.count


_held: Share | None = None  # of the batch that is computed with now; None: all of it, and nobody else has any


@contextmanager
def holding(share: Share | None):
    """For as long as this lasts, tensors are of these samples of a batch."""
    global _held
    before, _held = _held, share
    try:
        yield
    finally:
        _held = before


def batch_size(x: Sized) -> int:
    """Samples of the whole batch, of a tensor (samples here, ...), or what else has as many."""
    return len(x) if _held is None else _held.count


def all_gather(x: Tensor) -> Tensor:
    """(samples here, ...) to (batch, ...), in the order of the batch."""
    return x if _held is None or _held.is_all else Gathered.apply(x, _held)


def all_sum(x: Tensor) -> Tensor:
    """The sum over the processes, of a tensor of any shape."""
    return x if _held is None or _held.is_all else Summed.apply(x)


def all_max(x: Tensor) -> Tensor:
    """The largest over the processes, number by number; no gradient."""
    return x if _held is None or _held.is_all else reduced(x, dist.ReduceOp.MAX)


def kth_largest(x: Tensor, k: int) -> Tensor:
    """The k-th largest number of the whole batch's; no gradient. No process needs to tell more than its own k largest."""
    mine = x.detach().flatten()
    if _held is None or _held.is_all:
        return mine.topk(k).values[-1]
    every = mine.new_zeros(_held.processes, k)
    largest = mine.topk(min(k, len(mine))).values
    every[_held.rank] = torch.cat([largest, largest.new_full((k - len(largest),), -torch.inf)])
    dist.all_reduce(every)
    return every.flatten().topk(k).values[-1]


def reduced(x: Tensor, by=dist.ReduceOp.SUM) -> Tensor:
    x = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x, by)
    return x


class Gathered(torch.autograd.Function):
    """As a sum of what is zero elsewhere: processes may hold unequal numbers of samples. Its adjoint is a sum, too."""

    @staticmethod
    def forward(ctx, x, share: Share):
        ctx.share = share
        whole = x.new_zeros(share.count, *x.shape[1:])
        whole[share.start : share.stop] = x
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx, gradient):
        return reduced(gradient)[ctx.share.start : ctx.share.stop], None


class Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return reduced(x)

    @staticmethod
    def backward(ctx, gradient):
        return reduced(gradient)
