"""What a run trains on: sources, their targets, weights and conditions, and what is held out to validate on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .data.schema import Ready, Rows
from .data.stream import within
from .parts.random import key_of


@dataclass
class Samples:
    """What there is to learn from: sources, their targets (the same object where they are the same), and weights."""

    source: Rows
    target: Rows
    sample_weight: Tensor | None = None
    condition: Ready | None = None
    validation: "Samples | None" = None
    places: Tensor | None = None  # of the samples in the data they were taken from, where some of those are left out

    @classmethod
    def gather(cls, source: Rows, target: Rows, weight, condition) -> "Samples":
        """Refuses what does not belong together."""
        if len(target) != len(source):
            raise ValueError(f"target has {len(target)} samples, but X has {len(source)}: one target for each is expected.")
        refuse_other_sizes(source, target)
        if None not in (source.names, target.names) and source.names != target.names:
            raise ValueError(f"X and target name different samples: {target.names.first_other(source.names)}. Give both of each.")
        return cls(source, target, None if weight is None else torch.as_tensor(weight), condition)

    def split(self, held_out, seed: int) -> "Samples":
        """Splits off the share `held_out` to validate on, or takes it, where it is samples of its own."""
        if isinstance(held_out, Samples) or held_out is None:
            self.validation = held_out
            return self
        order = torch.randperm(len(self.source), generator=torch.Generator().manual_seed(key_of(seed, "held out") >> 1))
        count = max(1, round(held_out * len(order)))
        if count >= len(order):
            raise ValueError(
                f"{len(order)} samples cannot be split into training and validation data. Give more, or no patience."
            )
        rest = self.subset(order[count:].sort().values)
        rest.validation = self.subset(order[:count].sort().values)
        return rest

    @property
    def weight(self) -> float:
        """How many samples there are, each counted as often as its weight says."""
        return len(self.source) if self.sample_weight is None else float(self.sample_weight.sum())

    def subset(self, index: Tensor) -> "Samples":
        source = self.source.subset(index)
        target = source if self.target is self.source else self.target.subset(index)
        condition = None if self.condition is None else self.condition.subset(index)
        weight = None if self.sample_weight is None else self.sample_weight[index]
        return Samples(source, target, weight, condition, places=index if self.places is None else self.places[index])

    def ready(self, limit: int) -> "Samples":
        """To be taken by index: on the device what fits into `limit` bytes, the rest read a window at a time."""
        source, target = within(limit, self.source, self.target)
        weight = None if self.sample_weight is None else self.sample_weight.to(source.device, source.dtype)
        return Samples(source, target, weight, self.condition, self.validation and self.validation.kept(limit // 4), self.places)

    def kept(self, limit: int) -> "Samples":
        """To be read from front to back: on the device what fits into `limit` bytes."""
        fits = sum(rows.resident_bytes for rows in {id(rows): rows for rows in (self.source, self.target)}.values()) <= limit
        return self.ready(limit) if fits else self

    @property
    def rows(self) -> list:
        """What a network reads to rebuild: sources, targets and, where there are any, conditions."""
        return [self.source, self.target, *([] if self.condition is None else [self.condition])]


def refuse_other_sizes(source: Rows, target: Rows) -> None:
    """Refuses pictures that differ in size among one another, and from their targets: no batch holds both."""
    if target is source or source.schema.axes < 2 or not (source.schema.varies and target.schema.varies):
        return
    differ = (source.values.sizes != target.values.sizes).any(1)
    if differ.any():
        place = int(differ.nonzero()[0])
        sizes = (" x ".join(map(str, rows.values.sizes[place].tolist())) for rows in (source, target))
        raise ValueError(
            f"Sample {place} is {next(sizes)}, but its target is {next(sizes)}: a target is as large as its sample. Resize or "
            "crop one of them."
        )
