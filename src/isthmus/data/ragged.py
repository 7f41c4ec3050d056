"""Samples whose sizes differ: kept one after another, and padded with zeros when they are taken.

How far a sample is padded depends on the sample alone; those padded alike are a group. A batch never mixes groups, and a code
does not depend on the company that its sample came in.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..records import Data
from .schema import Rows

_LEAST = 8  # steps that the shortest sequences are padded to


@dataclass
class Pieces:
    """Samples of `sizes` (n, axes) whose numbers lie one after another in `values`; `rest`: the axes that do not vary.

    `names` are those of the samples, where they have any, and `layout` is that of the frame that they came in.
    """

    values: Tensor
    sizes: Tensor
    rest: tuple[int, ...] = ()
    names: list | None = None
    layout: Any = None

    @classmethod
    def of(cls, samples: list[Tensor], axes: int) -> "Pieces":
        """From tensors of (*size, *rest), which share `rest` and their type."""
        sizes = torch.tensor([sample.shape[:axes] for sample in samples], dtype=torch.int64).view(-1, axes)
        return cls(torch.cat([sample.reshape(-1) for sample in samples]), sizes, tuple(samples[0].shape[axes:]))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.sizes),)

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def counts(self) -> Tensor:
        """Numbers in each sample."""
        return self.sizes.prod(1) * math.prod(self.rest)

    @cached_property
    def starts(self) -> Tensor:
        """Where the numbers of each sample begin."""
        return self.counts.cumsum(0) - self.counts

    def __getitem__(self, index) -> "Pieces":
        index = torch.arange(len(self))[index] if isinstance(index, slice) else torch.as_tensor(index)
        parts = [self.values[self.starts[i] : self.starts[i] + self.counts[i]] for i in index.tolist()]
        names = None if self.names is None else [self.names[i] for i in index.tolist()]
        return replace(self, values=torch.cat(parts) if parts else self.values[:0], sizes=self.sizes[index], names=names)

    def listed(self) -> list[Tensor]:
        """The samples, each of (*size, *rest)."""
        parts = self.values.split(self.counts.tolist())
        return [part.view(*size, *self.rest) for part, size in zip(parts, self.sizes.tolist(), strict=True)]

    def flat(self) -> Tensor:
        """(n, *rest): all steps of all samples, one below the other."""
        return self.values.view(-1, *self.rest)


def bucket(length: int) -> int:
    """The power of two that a sequence of `length` steps is padded to, 8 or more."""
    return max(_LEAST, 1 << (int(length) - 1).bit_length())


class Ragged(Rows):
    """`Rows` of `Pieces`, taken as `Data` of one padded size: `weight` is 0 in the padding, `length` the steps before it."""

    values: Pieces

    def __init__(self, schema, values: Pieces, dtype=torch.float32, device="cpu", ready=False):
        super().__init__(schema, values, dtype, device, ready)

    def to(self, dtype, device) -> "Ragged":
        return Ragged(self.schema, self.values, dtype, device, self.ready)

    @cached_property
    def padded_sizes(self) -> Tensor:
        """(n, axes), the size that each sample is padded to."""
        return torch.tensor([self.schema.padded(size) for size in self.values.sizes.tolist()])

    @cached_property
    def groups(self) -> list[Tensor]:
        """The samples padded to one size, as index tensors; the smallest size first."""
        sizes, group = torch.unique(self.padded_sizes, dim=0, return_inverse=True)
        return [(group == place).nonzero().flatten() for place in range(len(sizes))]

    def indexed(self, codes) -> Any:
        form = self.values.layout
        return form.indexed(codes, self.values.names) if hasattr(form, "indexed") else codes

    def resident(self) -> "Ragged":
        if self.ready:
            return self
        flat = self.values.flat()
        small = flat.dtype in (torch.uint8, self.dtype) and not self.schema.tokens  # a copy would be no smaller than they are
        scaled = flat if self.schema.tokens or small else self.schema.scaled(flat, self.dtype)
        values = replace(self.values, values=scaled.reshape(-1).to(self.device))
        return Ragged(self.schema, values, self.dtype, self.device, ready=not small)

    def take(self, index: Tensor) -> Data:
        index = index.cpu()
        size = self.padded_sizes[index].amax(0).tolist()
        pieces = self.values
        place = torch.arange(math.prod(size) * math.prod(pieces.rest), device=pieces.values.device)
        starts, counts = (x[index].to(place.device)[:, None] for x in (pieces.starts, pieces.counts))
        there = place < counts
        values = torch.where(there, pieces.values[(starts + place).clamp_max(len(pieces.values) - 1)], 0)
        shape = (len(index), *size, *(() if self.schema.tokens else self.schema.shape[len(size) :]))
        values, there = values.view(shape), there.view(shape)
        if not self.ready and not self.schema.tokens:
            values = torch.where(there, self.schema.scaled(values, self.dtype), 0.0)
        return self.schema.data_of_size(
            values.to(self.device), there.to(self.device, self.dtype), pieces.sizes[index].to(self.device)
        )

    def block(self, start: int, stop: int) -> Data:
        return self.take(torch.arange(start, stop))

    def range(self) -> tuple[float, float]:
        scaled = self.schema.scaled(self.values.flat(), torch.float64)
        known = scaled[~scaled.isnan()]  # what is missing is of no size
        return float(known.min()), float(known.max())

    def looked_at(self) -> "Ragged":
        return self

    def subset(self, index: Tensor) -> "Ragged":
        return Ragged(self.schema, self.values[index.cpu()], self.dtype, self.device, self.ready)

    def order(self, generator: torch.Generator, batch_size: int, skip: int = 0) -> list[Tensor]:
        """Batches of an epoch: every sample once, shuffled within its group, the groups' batches among one another."""
        batches = [
            part for group in self.groups for part in group[torch.randperm(len(group), generator=generator)].split(batch_size)
        ]
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()[skip:]]

    def steps(self, batch_size: int) -> int:
        return sum(-(-len(group) // batch_size) for group in self.groups)
