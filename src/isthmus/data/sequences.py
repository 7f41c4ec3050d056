"""Sequences: arrays (n, steps[, channels]) of one length, lists of arrays (steps[, channels]) of several, or frames."""

import math
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..records import Data
from .frames import frame_of, write_frame
from .lazy import Lazy
from .ragged import Pieces, Ragged, bucket
from .schema import Rows, Schema, Statistics, center_and_scale, chosen_scaling, given_back, statistics, tensor_of
from .series import form_of, restored
from .vectors import dtype_name


class Named(list):
    """A list of samples with their `names`, which go back with what is made of them.

    >>> Named([[1.0], [2.0, 3.0]], ["a", "b"]).names
    ['a', 'b']
    """

    def __init__(self, samples: Iterable, names: Iterable[str] | None = None):
        super().__init__(samples)
        self.names = [str(place) for place in range(len(self))] if names is None else list(names)
        if len(self.names) != len(self):
            raise ValueError(f"There are {len(self)} samples, but {len(self.names)} names: one for each is expected.")


class Sequences(Schema):
    """Steps of numbers. Channels in [0, 1] stay as they are; others are brought to mean zero and variance one.

    A list is read as sequences of different lengths, even where they happen to agree, and so is a frame, long or wide (see
    `series`); an array as sequences of one length. What came as a list goes back as one, and a frame as a frame.

    Numbers may be missing, as NaN, where some were in `fit`: they carry no loss, and the encoder is told which are there.
    """

    kind = "sequences"
    axes = 1

    def __init__(
        self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, channels=True, longest=None, typical=(), missing=False,
        layout=None,
    ):  # fmt: skip
        super().__init__(shape, dtype, center, scale, constant)
        self.channels = channels  # whether the data came with an axis for them
        self.longest, self.typical = longest, tuple(typical)
        self.missing = missing
        self.layout: Any = self.restored(layout) if isinstance(layout, dict) else layout

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X):
        """An array or tensor of (n, steps[, channels]), or `Pieces`."""
        if isinstance(X, Pieces):
            return X
        if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
            return refuse_infinite(pieces_of(X, getattr(X, "names", None)))
        frame = None if isinstance(X, Tensor | np.ndarray | Lazy) else frame_of(X)
        if frame is not None:
            form = form_of(frame)
            samples, names = form.samples(frame)
            return refuse_infinite(pieces_of(samples, names, form))
        X = X.detach() if isinstance(X, Tensor) else X if isinstance(X, Lazy) else np.asarray(X)
        if X.ndim not in (2, 3) or 0 in X.shape:
            raise ValueError(
                "Sequences come as (n, steps) or (n, steps, channels), one or more of each, or as a list of arrays (steps[, "
                f"channels]); got shape {tuple(X.shape)}."
            )
        return numeric(X) if isinstance(X, Lazy) else refuse_nothing(refuse_infinite(numeric(X)))

    @classmethod
    def learn(cls, X, scaling="auto", weight=None):
        """Of every channel, over all steps of all sequences."""
        if isinstance(X, Lazy):
            return cls._learn_lazily(X, scaling, weight)
        steps = flat(X).cpu().numpy()
        counts = X.sizes[:, 0].numpy() if isinstance(X, Pieces) else np.full(X.shape[0], X.shape[1])
        found = known_statistics(steps, None if weight is None else np.repeat(weight, counts))
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
        missing = bool(flat(X).isnan().any())
        if not isinstance(X, Pieces):
            shape = (X.shape[1], *(X.shape[2:] or (1,)))
            return cls(shape, dtype_name(X), center, scale, channels=X.ndim == 3, missing=missing)
        lengths = X.sizes[:, 0].double()
        return cls(
            (None, *(X.rest or (1,))), dtype_name(X), center, scale, channels=bool(X.rest), longest=int(lengths.max()),
            typical=(max(1, round(float(lengths.mean()))),), missing=missing, layout=X.layout,
        )  # fmt: skip

    def read(self, X):
        X = self.check(X)
        if self.varies and not isinstance(X, Pieces):
            X = pieces_of(list(X))
        self.check_shape(X)
        return self.rows(X)

    def check_shape(self, X) -> None:
        varies = isinstance(X, Pieces)
        channels = math.prod(X.rest if varies else X.shape[2:])
        if varies and self.layout is not None:
            self.layout.check(X.layout)
        if channels != self.shape[-1]:
            raise ValueError(f"The sequences have {channels} channels, but this model was trained on {self.shape[-1]}.")
        if not self.varies and (varies or X.shape[1] != self.shape[0]):
            seen = "a list or a frame of sequences" if varies else f"sequences of {X.shape[1]} steps"
            raise ValueError(
                f"X is {seen}, but this model was trained on an array of sequences of {self.shape[0]} steps. Cut or fill them, "
                "or fit it to a list of arrays, which may differ in length."
            )
        if not self.missing:
            refuse(
                X,
                torch.isnan,
                "holds NaN, a missing number,",
                "In fit none was missing. Fill such steps, or fit on data that has some.",
            )

    def rows(self, X) -> Rows:
        if isinstance(X, Pieces):
            return Ragged(self, replace(X, rest=X.rest or (1,)))
        if not self.missing:
            return Rows(self, X)
        values = tensor_of(X).reshape(-1, *self.shape)
        return Rows(self, self.scaled(values, values.dtype), ready=True)

    def data(self, values: Tensor) -> Data:
        return self.data_of_size(values, torch.ones_like(values), None) if self.missing else Data(values)

    def data_of_size(self, values, there, sizes) -> Data:
        length = None if sizes is None else sizes[:, 0]
        if not self.missing:
            return Data(values, there, length)
        absent = values.isnan()
        return Data(torch.where(absent, 0.0, values), torch.where(absent, 0.0, there), length)

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
        """An array of sequences; a list of them where sequences came so, or a frame."""
        if isinstance(values, Tensor):
            return given_back(values, like)
        first = like[0] if isinstance(like, list | tuple) and len(like) else like
        several = [given_back(value, first if isinstance(first, Tensor) else None) for value in values]
        if self.layout is not None:
            return self.layout.frame([np.asarray(one) for one in several], like)
        return Named(several, like.names) if isinstance(like, Named) and len(like) == len(several) else several

    @property
    def endings(self) -> tuple[str, ...]:  # type: ignore[override]
        if self.layout is not None:
            return ".csv", ".parquet"
        return (".npz",) if self.varies else (".npy",) if self.channels else (".npy", ".csv")

    def write_file(self, file, values, ending):
        if ending == ".npz":
            write_npz(file, values if isinstance(values, Named) else Named(values))
        elif self.layout is not None:
            write_frame(file, values, ending)
        else:
            super().write_file(file, values, ending)

    def about(self, X) -> dict:
        """Channels, lengths and the share of missing numbers of checked data, and the rate of sound."""
        sizes = X.sizes[:, 0] if isinstance(X, Pieces) else torch.full((X.shape[0],), X.shape[1])
        rate = getattr(self.layout, "rate", None)
        return {
            "channels": self.shape[-1],
            **({} if rate is None else {"rate": f"{rate} samples a second"}),
            "steps": f"{int(sizes.min())} to {int(sizes.max())}, median {int(sizes.median())}",
            **({"missing": f"{flat(X).isnan().double().mean():.1%}"} if self.missing else {}),
        }

    @staticmethod
    def restored(config: dict) -> Any:
        """How the data came, from a file."""
        return restored(config)

    def config(self):
        layout = None if self.layout is None else self.layout.config()
        more = {"channels": self.channels, "longest": self.longest, "typical": list(self.typical)}
        return super().config() | more | {"missing": self.missing, "layout": layout}


# ---------------------------------------------------------------------------------------------------- files


def read_npz(path: Path) -> Named:
    """The arrays of a .npz file, a sequence each, under their names."""
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            raise ValueError(f"{path} is no .npz file of arrays. Save it with numpy.savez(path, **sequences).")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = Named([arrays[name] for name in arrays.files], arrays.files)
    except Exception as error:  # a damaged zip raises in many ways
        raise ValueError(f"{path} holds arrays that cannot be read safely ({error}). Save numbers with numpy.savez.") from error
    refuse_unlike(path, found)
    return found


def refuse_unlike(path: Path, arrays: Named) -> None:
    """Refuses arrays that are no samples of one data set, such as X and y, and names the file."""
    for name, array in zip(arrays.names, arrays, strict=True):
        first = arrays[0]
        if array.ndim != first.ndim or (array.ndim == 2 and array.shape[1] != first.shape[1]):
            raise ValueError(
                f"{path} holds arrays of different kinds: {arrays.names[0]!r} of shape {first.shape} and {name!r} of shape "
                f"{array.shape}. A .npz file is read as sequences, an array each, which have the same channels. Save the array "
                f"that is meant as .npy: numpy.save('{arrays.names[0]}.npy', numpy.load('{path.name}')['{arrays.names[0]}'])."
            )


def write_npz(file, sequences: Named) -> None:
    """An array a sequence, under its name; numpy.load reads them (its own savez knows no array that is called "file")."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, sequence in zip(sequences.names, sequences, strict=True):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(sequence), allow_pickle=False)


# --------------------------------------------------------------------------------------------------- helpers


def pieces_of(sequences, names: list | None = None, layout: Any = None) -> Pieces:
    """A list of arrays or tensors (steps[, channels]), which must agree in their channels and hold a step at least."""
    if not len(sequences):
        raise ValueError("X is empty: 0 sequences. At least one is needed.")
    tensors: list[Tensor] = []
    for place, sequence in enumerate(sequences):
        called = name_of(place, names)
        one = tensor_of(numeric(sequence.detach().cpu() if isinstance(sequence, Tensor) else array_of(sequence, called), called))
        if one.ndim not in (1, 2) or 0 in one.shape:
            raise ValueError(
                f"Sequence {called} has shape {tuple(one.shape)}; (steps,) or (steps, channels) is expected, with a step at "
                "least. Leave empty sequences out."
            )
        if one.shape[1:] != (tensors or [one])[0].shape[1:]:
            raise ValueError(
                f"Sequence {called} has shape {tuple(one.shape)}, but sequence {name_of(0, names)} has "
                f"{tuple(tensors[0].shape)}: all must have the same channels."
            )
        refuse_nothing(one[None], called)
        tensors.append(one)
    wide = max((one.dtype for one in tensors), key=lambda dtype: dtype.itemsize)
    pieces = Pieces.of([one.to(wide) for one in tensors], axes=1)
    pieces.names, pieces.layout = names, layout
    return pieces


def name_of(place: int, names: list | None) -> str:
    return str(place) if names is None else repr(names[place])


def array_of(sequence, called: str) -> np.ndarray:
    try:
        return np.asarray(sequence)
    except ValueError as error:
        raise ValueError(f"Sequence {called} is no array: its steps differ in channels ({error}). Complete them.") from error


def flat(X) -> Tensor:
    """(steps of all sequences, channels)."""
    if isinstance(X, Pieces):
        return X.flat().reshape(len(X.flat()), -1)
    return tensor_of(X).reshape(X.shape[0] * X.shape[1], -1)


def known_statistics(steps: np.ndarray, weight) -> Statistics:
    """`statistics` of (steps, channels) over the numbers that are there; NaN is one that is missing."""
    if not np.isnan(steps).any():
        return statistics(steps, weight)
    found = []
    for channel, values in enumerate(steps.T):
        there = ~np.isnan(values)
        if not there.any():
            raise ValueError(f"Channel {channel} holds nothing: it is missing in all {len(values)} steps. Leave it out.")
        found.append(statistics(values[there, None], None if weight is None else weight[there]))
    return Statistics(*(torch.cat([getattr(one, name) for one in found]) for name in ("mean", "std", "low", "high")))


def refuse_infinite(X):
    """The sequences, if no number in them is infinite."""
    refuse(X, torch.isinf, "holds infinity,", "Give a number, NaN for one that is missing, or cut the sequence there.")
    return X


def refuse_nothing(X, called: str | None = None):
    """`X`, (n, steps[, channels]), once it is certain that every sequence holds a number."""
    gaps = tensor_of(X).isnan().flatten(1).all(1)
    if gaps.any():
        named = called or int(gaps.nonzero()[0])
        raise ValueError(f"Sequence {named} holds nothing: all its {X.shape[1]} steps are missing. Leave it out.")
    return X


def refuse(X, bad, what: str, cure: str) -> None:
    """Names the first sequence and step with a number that is `bad`."""
    steps = bad(flat(X)).any(1)
    if not steps.any():
        return
    row = int(steps.nonzero()[0])
    lengths = X.sizes[:, 0] if isinstance(X, Pieces) else torch.full((X.shape[0],), X.shape[1])
    ends = lengths.cumsum(0)
    place = int(torch.searchsorted(ends, row, right=True))
    called = name_of(place, X.names if isinstance(X, Pieces) else None)
    raise ValueError(f"Sequence {called} {what} first in step {row - int(ends[place] - lengths[place])}. {cure}")


def numeric(X, called: str | None = None):
    """Floats of four or eight bytes; whole numbers and shorter floats become float32."""
    name = dtype_name(X)
    if name in ("float32", "float64"):
        return X
    if not isinstance(X, Tensor) and X.dtype.kind not in "fiub":
        where = "X" if called is None else f"Sequence {called}"
        raise ValueError(f"{where} holds cells of type {X.dtype}, but sequences are made of numbers. Convert them first.")
    return X.float() if isinstance(X, Tensor) else X.astype(np.float32)
