"""How many threads a run takes: all that torch was given, or one while other programs need the processors.

A product that threads share ends with the slowest of them. While another program has a processor, that is the thread which waits
for it, and a step takes many times as long as on one thread alone. So a run looks now and then whether threads still help.

No number depends on that. Where sums are split among threads, as in convolutions, another number of them adds in another order
and rounds otherwise: such networks keep the number they began with, and a checkpoint remembers it. Products of matrices are
added in one order, whatever the number, because the package asks MKL for it when it is imported (`MKL_CBWR`).
"""

import os
import time
import warnings
from functools import cache

import torch
from torch import nn

from .parts import Custom
from .parts.layers import ACTIVATIONS

FIRST = 1.0  # seconds of a run before the first look, so that short ones pay nothing
SHARE = 100  # or so many times what the last look took, between two
LOOK = 0.015  # seconds that each of two numbers of threads is tried for
_ONE_ORDER = (nn.Linear, nn.Embedding, nn.RNNBase, nn.Flatten, nn.Identity, nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Threads:
    """Around the steps of a run on `device`: torch's number of threads, and what it was before when the run ends.

    `trained` is the network whose gradients are added up; None where there are none, for codes and reconstructions of whole
    blocks have the same bits on any number of threads.
    """

    def __init__(self, trained: nn.Module | None = None, device: torch.device | None = None):
        self.before = self.most = torch.get_num_threads()
        on_cpu = device is None or device.type == "cpu"
        self.may_choose = on_cpu and self.most > 1
        self.may_change = on_cpu and (trained is None or is_in_one_order(trained)) and products_are_in_one_order()
        self.next = time.monotonic() + FIRST

    def first(self) -> int | None:
        """What the run's numbers depend on: how many threads it begins with; None where they do not."""
        chosen = self.looked() if self.may_choose and is_loaded() else self.most
        torch.set_num_threads(chosen)
        return None if self.may_change else chosen

    def begin(self, number: int | None) -> None:
        """Takes so many, those that the run was begun with; None leaves them as they are."""
        if number is None:
            return
        if number > max(self.most, processors()):
            warnings.warn(
                f"The run was begun with {number} threads, and there are {processors()} processors here: it goes on, but its "
                "last bits may differ from those of an uninterrupted run.",
                UserWarning,
                stacklevel=2,
            )
            number = self.most
        torch.set_num_threads(number)

    def step(self) -> None:
        """After a step: looks again, where it is time and no number hangs on it."""
        if self.may_choose and self.may_change and time.monotonic() >= self.next:
            torch.set_num_threads(self.looked())

    def looked(self) -> int:
        """One where a product takes longer on all threads than on one, else all."""
        began = time.monotonic()
        found = 1 if products_a_second(self.most) < products_a_second(1) else self.most
        now = time.monotonic()
        self.next = now + max(FIRST, SHARE * (now - began))
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        torch.set_num_threads(self.before)


def is_in_one_order(network: nn.Module) -> bool:
    """Whether all layers of torch's are known to add in one order, and none is the user's; for parts of ours a test tells."""
    known = (*_ONE_ORDER, *ACTIVATIONS.values())

    def is_ours(module: nn.Module) -> bool:
        return type(module).__module__.partition(".")[0] == __name__.partition(".")[0] and not isinstance(module, Custom)

    return all(isinstance(module, known) or is_ours(module) for module in network.modules())


@cache
def products_are_in_one_order() -> bool:
    """Whether this library of products, as it was set, rounds alike on one thread and on two; tried on two shapes."""
    random = torch.Generator().manual_seed(0)
    wide, tall = torch.randn(256, 784, generator=random), torch.randn(1024, 128, generator=random)
    pairs = ((wide, torch.randn(784, 128, generator=random)), (tall.T, torch.randn(1024, 784, generator=random)))
    before, found = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append([a @ b for a, b in pairs])
    torch.set_num_threads(before)
    return all(map(torch.equal, *found))


def products_a_second(threads: int) -> float:
    """Of the size that a step has, on so many threads."""
    torch.set_num_threads(threads)
    a, b, count = torch.ones(256, 784), torch.ones(784, 128), 0
    a @ b
    began = now = time.perf_counter()
    while now < began + LOOK:
        a @ b
        count, now = count + 1, time.perf_counter()
    return count / (now - began)


def is_loaded() -> bool:
    """Whether more than this run may want the processors, by the mean of the last minute; where nobody counts, no."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
