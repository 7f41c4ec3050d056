"""The record that data, parts and network share: samples as tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass
class Data:
    """Samples as tensors: `values` (batch, *shape) with channels last, as the schema scales them.

    `weight`, of the same shape, is 0 where a value is not there; `length` (batch,) counts the valid steps of a sequence;
    `condition` (batch, width) is what encoder and decoder are told besides.
    """

    values: Tensor
    weight: Tensor | None = None
    length: Tensor | None = None
    condition: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def replace(self, values: Tensor) -> "Data":
        return replace(self, values=values)

    def told(self, condition: Tensor | None) -> "Data":
        """The same samples with what encoder and decoder are told besides."""
        return replace(self, condition=condition)

    def each(self, function: Callable[[Tensor], Tensor]) -> "Data":
        """`function` of every tensor that is there."""
        rest = [None if x is None else function(x) for x in (self.weight, self.length, self.condition)]
        return Data(function(self.values), *rest)
