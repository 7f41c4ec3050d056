"""Codes of which few units are active, and linear maps that read nothing else of their weights.

Where k of m units are active, a map of the code to d numbers needs k d products a sample instead of m d, and neither the codes
nor their gradients are ever made whole. Three functions are each other's derivatives, so they have derivatives of any order:
    bagged   out_b = sum of v_n rows_(unit n) over the entries n of sample b
    dotted   v_n = x_(sample n) . rows_(unit n)
    spread   out_u = sum of v_n x_(sample n) over the entries n of unit u
All add up in a fixed order, on every device.
"""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .collective import batch_size, kth_largest

_LEAST = 2048  # units; a dense product of fewer is fast, and what has to be said of each entry is not
_SHARE = 64  # no more than one unit in so many may be active: a number that is fetched costs as much as many that are at hand
_NUMBERS = {"cpu": 2**20, "cuda": 2**26}  # by device, made at a time: what stays in a processor's cache is cheap


def pays(active: int, units: int, device: torch.device) -> bool:
    """Whether so few of the units are active that it is faster to touch those alone.

    >>> pays(32, 16384, torch.device("cpu")), pays(32, 128, torch.device("cpu"))
    (True, False)
    """
    return device.type in _NUMBERS and units >= _LEAST and active * _SHARE <= units


class Places:
    """Which units of which samples are active: an entry each, those of a sample one after the other.

    unit : (entries,);   start : (samples + 1,), where each sample's entries begin;   units : how many there are
    """

    def __init__(self, unit: Tensor, start: Tensor, units: int):
        self.unit, self.start, self.units = unit, start, units

    @classmethod
    def equally(cls, unit: Tensor, units: int) -> "Places":
        """Of (samples, k): as many of every sample."""
        count, k = unit.shape
        return cls(unit.flatten(), torch.arange(count + 1, device=unit.device) * k, units)

    def __len__(self) -> int:
        return len(self.start) - 1

    @cached_property
    def sample(self) -> Tensor:
        """(entries,)"""
        return torch.arange(len(self), device=self.unit.device).repeat_interleave(self.start.diff(), output_size=len(self.unit))

    @cached_property
    def by_unit(self) -> tuple[Tensor, Tensor, Tensor]:
        """The entries unit by unit: their order, (entries,), their samples, and where each unit's begin, (units + 1,)."""
        order = self.unit.argsort(stable=True)
        start = F.pad(torch.bincount(self.unit, minlength=self.units).cumsum(0), (1, 0))
        return order, self.sample[order], start


class Active:
    """Codes by their active units alone: `values` (entries,) at `places`; all other numbers are zero.

    >>> z = torch.tensor([[0.0, 3.0, 0.0], [2.0, 0.0, 1.0]])
    >>> few = Active(torch.tensor([3.0, 2.0, 1.0]), Places(torch.tensor([1, 0, 2]), torch.tensor([0, 1, 3]), 3))
    >>> torch.equal(few.dense, z), few.speakers
    (True, tensor([1, 1, 1]))
    """

    def __init__(self, values: Tensor, places: Places):
        self.values, self.places = values, places

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def dense(self) -> Tensor:
        """(samples, units)"""
        places = self.places
        place = places.sample * places.units + places.unit
        return self.values.new_zeros(len(self) * places.units).scatter(0, place, self.values).view(len(self), places.units)

    @property
    def speakers(self) -> Tensor:
        """(units,) how many samples each unit is active for."""
        return torch.bincount(self.places.unit[self.values.detach() != 0], minlength=self.places.units)

    def flatten(self, *_) -> "Active":
        """As the codes are: vectors."""
        return self

    def beside(self, numbers: Tensor) -> "Active":
        """With (samples, width) further numbers behind every code."""
        places, (count, width) = self.places, numbers.shape
        behind = torch.arange(count * width, device=numbers.device)
        order = torch.cat([places.sample, behind // width]).argsort(stable=True)
        unit = torch.cat([places.unit, places.units + behind % width])[order]
        start = places.start + width * torch.arange(count + 1, device=numbers.device)
        return Active(torch.cat([self.values, numbers.flatten()])[order], Places(unit, start, places.units + width))

    def silent(self) -> "Active":
        """Codes of as many samples in which nothing is active."""
        places = self.places
        return Active(self.values[:0], Places(places.unit[:0], torch.zeros_like(places.start), places.units))


def beside(z: Tensor | Active, numbers: Tensor) -> Tensor | Active:
    """Codes with (samples, width) further numbers behind each."""
    return z.beside(numbers) if isinstance(z, Active) else torch.cat([z.flatten(1), numbers], 1)


# -------------------------------------------------------------------------------------------------------- maps


def linear_map(x: Tensor | Active, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b; of an `Active` code only the columns of W by which active units are read.

    >>> few = Active(torch.tensor([3.0]), Places(torch.tensor([1]), torch.tensor([0, 1]), 3))
    >>> linear_map(few, torch.tensor([[torch.nan, 2.0, torch.nan]]))
    tensor([[6.]])
    """
    if not isinstance(x, Active):
        return F.linear(x, weight, bias)
    read = Bagged.apply(x.values, weight.T.contiguous(), x.places)
    return read if bias is None else read + bias


def at_places(x: Tensor, weight: Tensor, places: Places) -> Tensor:
    """(entries,) of x W', those at the places; only the rows of W that lead to active units are read."""
    return Dotted.apply(x, weight.contiguous(), places)


class Linear(torch.nn.Linear):
    """PyTorch's, of codes of which few units are active, too."""

    def forward(self, x):
        return linear_map(x, self.weight, self.bias)


class Bagged(torch.autograd.Function):
    """(samples, width): of every sample the sum of its units' rows, each times its value."""

    @staticmethod
    def forward(ctx, values, rows, places):
        ctx.save_for_backward(values, rows)
        ctx.places = places
        return bag(values, places.unit, rows, places.start)

    @staticmethod
    def backward(ctx, gradient):
        values, rows = ctx.saved_tensors
        of_values, of_rows, _ = ctx.needs_input_grad
        return (
            Dotted.apply(gradient, rows, ctx.places) if of_values else None,
            Spread.apply(values, gradient, ctx.places) if of_rows else None,
            None,
        )


class Dotted(torch.autograd.Function):
    """(entries,): the products of every entry's sample and its unit's row."""

    @staticmethod
    def forward(ctx, x, rows, places):
        ctx.save_for_backward(x, rows)
        ctx.places = places
        several = max(1, _NUMBERS[x.device.type] // 8 // x.shape[1])
        pairs = zip(places.unit.split(several), places.sample.split(several), strict=True)
        return torch.cat([(rows.index_select(0, unit) * x.index_select(0, sample)).sum(1) for unit, sample in pairs])

    @staticmethod
    def backward(ctx, gradient):
        x, rows = ctx.saved_tensors
        of_x, of_rows, _ = ctx.needs_input_grad
        return (
            Bagged.apply(gradient, rows, ctx.places) if of_x else None,
            Spread.apply(gradient, x, ctx.places) if of_rows else None,
            None,
        )


class Spread(torch.autograd.Function):
    """(units, width): of every unit the sum of the samples that it is active for, each times the entry's value."""

    @staticmethod
    def forward(ctx, values, x, places):
        ctx.save_for_backward(values, x)
        ctx.places = places
        order, sample, start = places.by_unit
        return bag(values[order], sample, x, start)

    @staticmethod
    def backward(ctx, gradient):
        values, x = ctx.saved_tensors
        of_values, of_x, _ = ctx.needs_input_grad
        return (
            Dotted.apply(x, gradient, ctx.places) if of_values else None,
            Bagged.apply(values, gradient, ctx.places) if of_x else None,
            None,
        )


def bag(values: Tensor, index: Tensor, rows: Tensor, start: Tensor) -> Tensor:
    """(bags, width): the sums of values_n rows_(index n), a bag from each start to the next."""
    if not len(index):
        return rows.new_zeros(len(start) - 1, rows.shape[1])
    rows = rows.contiguous()
    return F.embedding_bag(index, rows, start, mode="sum", per_sample_weights=values.contiguous(), include_last_offset=True)


# ---------------------------------------------------------------------------------------------------- the largest


def largest(x: Tensor, k: int) -> Tensor:
    """(samples, k) the columns of every row's k largest numbers, in no order.

    The numbers of each row are dealt out to groups; what is among the k largest lies in one of the k groups whose own largest
    are, so most numbers are read once.

    >>> largest(torch.tensor([[1.0, 3.0, 2.0]]), 2).sort().values
    tensor([[1, 2]])
    """
    count, units = x.shape
    size = int((units / k) ** 0.5)  # of a group: about as many groups as numbers in k of them
    if size < 4:
        return x.topk(k, dim=1, sorted=False).indices
    grouped, rest = dealt(x, size)
    groups = grouped.shape[2]
    group = grouped.amax(1).topk(k, dim=1, sorted=False).indices  # (samples, k)
    offered = grouped.gather(2, group[:, None].expand(count, size, k)).flatten(1)
    best = torch.cat([offered, rest], 1).topk(k, dim=1, sorted=False).indices
    place = torch.arange(size, device=x.device)[:, None] * groups
    column = (group[:, None] + place).flatten(1)
    behind = torch.arange(groups * size, units, device=x.device).expand(count, -1)
    return torch.cat([column, behind], 1).gather(1, best)


def largest_of_all(x: Tensor, k: int) -> Places:
    """Where the k largest positive numbers of the whole batch are, of which each process holds some rows.

    The k-th largest of the groups' own largest is no more than the k-th largest number: what lies below is out of the question.
    """
    tops = dealt(x, max(1, x.numel() // (4 * k)))[0].amax(1).flatten()
    least = torch.finfo(x.dtype).tiny if len(tops) < k else tops.topk(k, sorted=False).values.min()
    flat = x.flatten()
    place = (~(flat < max(least, torch.finfo(x.dtype).tiny))).nonzero().flatten()  # nothing but numbers is below
    found = flat.index_select(0, place)
    if batch_size(x) != len(x):
        place = place[found >= kth_largest(found, k)]
    elif len(found) > k:
        place = place[found.topk(k, sorted=False).indices.sort().values]
    sample = place // x.shape[1]
    start = F.pad(torch.bincount(sample, minlength=len(x)).cumsum(0), (1, 0))
    return Places(place - sample * x.shape[1], start, x.shape[1])


def dealt(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The numbers of every row dealt out to groups of `size`, (samples, size, groups), and those left over."""
    groups = x.shape[1] // size
    return x[:, : groups * size].unflatten(1, (size, groups)), x[:, groups * size :]


def at_a_time(hidden, width: int):
    """Samples, a tensor or a tuple of them, in blocks for which `width` numbers each are not too many."""
    first = hidden[0] if isinstance(hidden, tuple) else hidden
    several = max(32, _NUMBERS[first.device.type] // width)
    for begin in range(0, len(first), several):
        part = slice(begin, begin + several)
        yield tuple(h[part] for h in hidden) if isinstance(hidden, tuple) else hidden[part]
