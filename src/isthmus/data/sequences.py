"""Sequences: arrays (n, steps[, channels]) of one length, or lists of arrays (steps[, channels]) that differ in theirs."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .lazy import Lazy
from .ragged import Pieces, Ragged, bucket, finite, one_size
from .schema import Rows, Schema, Statistics, center_and_scale, chosen_scaling, given_back, statistics, tensor_of
from .vectors import dtype_name


class Sequences(Schema):
    """Steps of numbers. Channels in [0, 1] stay as they are; others are brought to mean zero and variance one.

    A list is read as sequences of different lengths, even where they happen to agree; an array as sequences of one length.
    """

    kind = "sequences"
    axes = 1

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, channels=True, longest=None, typical=()):
        super().__init__(shape, dtype, center, scale, constant)
        self.channels = channels  # whether the data came with an axis for them
        self.longest, self.typical = longest, tuple(typical)

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X):
        """An array or tensor of (n, steps[, channels]), or `Pieces`."""
        if isinstance(X, Pieces):
            return X
        if isinstance(X, list | tuple):
            return finite(pieces_of(X))
        X = X.detach() if isinstance(X, Tensor) else X if isinstance(X, Lazy) else np.asarray(X)
        if X.ndim not in (2, 3) or 0 in X.shape:
            raise ValueError(
                "Sequences come as (n, steps) or (n, steps, channels), one or more of each, or as a list of arrays (steps[, "
                f"channels]); got shape {tuple(X.shape)}."
            )
        return numeric(X)

    @classmethod
    def learn(cls, X, scaling="auto", weight=None):
        """Of every channel, over all steps of all sequences."""
        if isinstance(X, Lazy):
            return cls._learn_lazily(X, scaling, weight)
        varies = isinstance(X, Pieces)
        steps = X.flat().numpy() if varies else np.asarray(tensor_of(X).cpu()).reshape(-1, *X.shape[2:])
        counts = X.sizes[:, 0].numpy() if varies else np.full(X.shape[0], X.shape[1])
        found = statistics(steps.reshape(len(steps), -1), None if weight is None else np.repeat(weight, counts))
        schema = cls.from_statistics(X, scaling, found)
        schema.statistics = found
        return schema

    @classmethod
    def _learn_lazily(cls, X: Lazy, scaling, weight) -> "Sequences":
        """The same from the statistics of every step, since the steps cannot be laid below one another without reading all."""
        each = statistics(X, weight)
        mean, low, high = each.mean.mean(0), each.low.amin(0), each.high.amax(0)
        std = (each.std.square() + (each.mean - mean).square()).mean(0).sqrt()
        found = Statistics(*(x.reshape(-1) for x in (mean, std, low, high)))
        schema = cls.from_statistics(X, scaling, found)
        schema.statistics = found
        return schema

    @classmethod
    def from_statistics(cls, X, scaling, found):
        center, scale = center_and_scale(
            chosen_scaling(scaling, found.low.min(), found.high.max()), found.mean, found.std, found.low, found.high
        )
        if not isinstance(X, Pieces):
            return cls((X.shape[1], *(X.shape[2:] or (1,))), dtype_name(X), center, scale, channels=X.ndim == 3)
        lengths = X.sizes[:, 0].double()
        return cls(
            (None, *(X.rest or (1,))), dtype_name(X), center, scale, channels=bool(X.rest), longest=int(lengths.max()),
            typical=(round(float(lengths.mean())),),
        )  # fmt: skip

    def read(self, X):
        if self.varies and not isinstance(X, list | tuple | Pieces):
            X = list(self.check(X))
        return super().read(X)

    def check_shape(self, X) -> None:
        varies = isinstance(X, Pieces)
        channels = math.prod(X.rest if varies else X.shape[2:])
        if channels != self.shape[-1]:
            raise ValueError(f"The sequences have {channels} channels, but this model was trained on {self.shape[-1]}.")
        if self.varies:
            return
        if varies or X.shape[1] != self.shape[0]:
            seen = "a list of sequences" if varies else f"sequences of {X.shape[1]} steps"
            raise ValueError(
                f"X is {seen}, but this model was trained on an array of sequences of {self.shape[0]} steps. Cut or fill them, "
                "or fit it to a list of arrays, which may differ in length."
            )

    def rows(self, X) -> Rows:
        return Ragged(self, X) if isinstance(X, Pieces) else Rows(self, X)

    def padded(self, size):
        return [bucket(size[0])]

    def scaled_mean(self) -> Tensor:
        """The mean step; where lengths vary, and the share of steps that are the last behind it."""
        mean = self.scaled(self.learnt.mean, torch.float64)
        if not self.varies:
            return mean.expand(self.shape)
        return torch.cat([mean, mean.new_tensor([1 / self.typical[0]])])

    # ------------------------------------------------------------------------------------------------- out

    def form(self, values: Tensor) -> Tensor:
        return values if self.channels else values.squeeze(-1)

    def give_back(self, values: Any, like) -> Any:
        """An array of sequences, or a list of them where they came as a list or differ in length."""
        if isinstance(values, Tensor):
            return given_back(values, like)
        several = [given_back(value, like if isinstance(like, Tensor) else None) for value in values]
        return several if isinstance(like, list | tuple) else one_size(several)

    def config(self):
        return super().config() | {"channels": self.channels, "longest": self.longest, "typical": list(self.typical)}


# --------------------------------------------------------------------------------------------------- helpers


def pieces_of(sequences) -> Pieces:
    """A list of arrays or tensors (steps[, channels]), which must agree in their channels and hold a step at least."""
    if not len(sequences):
        raise ValueError("X is empty: 0 sequences. At least one is needed.")
    tensors: list[Tensor] = []
    for place, sequence in enumerate(sequences):
        one = tensor_of(numeric(sequence.detach().cpu() if isinstance(sequence, Tensor) else np.asarray(sequence), place))
        if one.ndim not in (1, 2) or 0 in one.shape:
            raise ValueError(
                f"Sequence {place} has shape {tuple(one.shape)}; (steps,) or (steps, channels) is expected, with a step at "
                "least. Leave empty sequences out."
            )
        if one.shape[1:] != (tensors or [one])[0].shape[1:]:
            raise ValueError(
                f"Sequence {place} has shape {tuple(one.shape)}, but sequence 0 has {tuple(tensors[0].shape)}: all must have the "
                "same channels."
            )
        tensors.append(one)
    wide = max((one.dtype for one in tensors), key=lambda dtype: dtype.itemsize)
    return Pieces.of([one.to(wide) for one in tensors], axes=1)


def numeric(X, place: int | None = None):
    """Floats of four or eight bytes; whole numbers and shorter floats become float32."""
    name = dtype_name(X)
    if name in ("float32", "float64"):
        return X
    if not isinstance(X, Tensor) and X.dtype.kind not in "fiub":
        where = "X" if place is None else f"Sequence {place}"
        raise ValueError(f"{where} holds cells of type {X.dtype}, but sequences are made of numbers. Convert them first.")
    return X.float() if isinstance(X, Tensor) else X.astype(np.float32)
