"""A schema says what one sample is and turns samples into the tensors a network reads, and back.

It is learnt in `fit` and stored in the model: what was scaled on the way in is unscaled on the way out. Parts read its
`kind`, `shape` (channels last; None for an axis whose length varies), `axes` (how many leading axes of the shape are space or
time), `columns`, `tokens` and `missing`; the rest is for this folder.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..records import Data
from .lazy import Lazy, taken
from .mapped import edges_of

SCALINGS = ("auto", "none", "standard", "minmax")
_CHUNK = 2**19  # values read at once when statistics are taken, so that float64 copies stay in the cache
_LOOKED = 2**22  # values looked at at once, which sparse rows are made dense for
_RUNS = 32  # that samples are spread over where single ones are dear to read


class Schema:
    """What one sample is, both ways.

    shape : of one sample, channels last;   dtype : of the data that was learnt from, as numpy names it
    center, scale : numbers that broadcast against the shape; scaled = (x - center) / scale
    constant : the value of every column that never changed, NaN for the others; it is written back exactly
    """

    kind = ""
    axes = 0
    columns: tuple[int, ...] | None = None  # None: every value is a number, and there
    tokens = 0  # or: every value is one of so many
    missing = False  # whether numbers may be missing; the encoder is then told which are there
    keeps_length = True  # a reconstruction is as long as its sample; otherwise as long as the decoder says
    longest: int | None = None  # steps of the longest sample that was learnt from, where lengths vary
    typical: tuple[int, ...] = ()  # the mean of the axes that vary
    endings: tuple[str, ...] = (".npy", ".csv")  # of the files that samples are written to; "" is a folder
    unit_length = False  # whether a network reads every sample divided by its length
    statistics: "Statistics | None" = None

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan):
        self.shape = tuple(shape)
        self.dtype = str(dtype)
        self.center, self.scale, self.constant = (torch.as_tensor(v, dtype=torch.float64) for v in (center, scale, constant))
        self.is_identity = bool((self.center == 0).all() and (self.scale == 1).all())
        self.casts: dict[tuple, tuple[Tensor, Tensor]] = {}  # center and scale, where and as they were asked for

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def learn(cls, X, scaling="auto", weight=None) -> "Schema":
        """The schema of checked data `X`; `weight` (n_samples,) says how much each sample counts."""
        found = statistics(X, weight)
        schema = cls.from_statistics(X, scaling, found)
        schema.statistics = found
        return schema

    @classmethod
    def from_statistics(cls, X, scaling: str, found: "Statistics") -> "Schema":
        raise NotImplementedError

    @classmethod
    def check(cls, X):
        """`X` as an array, tensor or CSR matrix of finite numbers of the right form; clear errors otherwise."""
        raise NotImplementedError

    def read(self, X) -> "Rows":
        """Rows of `X`, which must have the form this schema was learnt from."""
        X = self.check(X)
        self.check_shape(X)
        return self.rows(X)

    def rows(self, X) -> "Rows":
        """Rows of checked data of the right form."""
        return Rows(self, X)

    @property
    def reading(self) -> dict:
        """What `read_path` is told, so that a file is read as the samples were that this was learnt from."""
        return {}

    @property
    def size(self) -> int:
        """Numbers in a sample; where sizes vary, in one of the mean size."""
        return math.prod(self.shape) if not self.varies else math.prod(self.typical) * math.prod(self.shape[len(self.typical) :])

    @property
    def varies(self) -> bool:
        """Whether samples differ in size."""
        return None in self.shape

    def padded(self, size: list[int]) -> list[int]:
        """The size that a sample of `size` is padded to."""
        return size

    def is_one(self, shape) -> bool:
        """Whether this is the shape of one sample, without the axis of samples; a single channel may be left away."""
        shapes = [tuple(shape), (*shape, 1)][: 2 if self.axes else 1]
        return any(len(one) == len(self.shape) and all(map(fits, one, self.shape)) for one in shapes)

    def joined(self, samples: list[np.ndarray]):
        """Several samples, such as an array of them."""
        return samples if self.varies else np.stack(samples)

    def give_back(self, values: Any, like):
        """Written values in the container that `like` came in."""
        return given_back(values, like)

    def data(self, values: Tensor) -> Data:
        """Values as `Rows` holds them, as the record that a network reads."""
        return Data(values)

    def data_of_size(self, values: Tensor, there: Tensor, sizes: Tensor) -> Data:
        """The same of padded samples; `there` is 0 in the padding, `sizes` (n, axes) are the samples' own."""
        return Data(values, there, sizes[:, 0])

    def check_shape(self, X) -> None:
        raise NotImplementedError

    def check_code(self, n_components: int | None) -> None:
        """Refuses a code of so many numbers where samples of this kind have none. Nothing by default."""

    def scaled(self, values: Tensor, dtype=torch.float32) -> Tensor:
        """Values as the network sees them. Float64 is scaled before it is rounded, so large offsets cost no precision."""
        if self.is_identity:
            return values.to(dtype)
        wide = values if values.dtype == torch.float64 else values.to(dtype)
        center, scale = self.cast(wide)
        return ((wide - center) / scale).to(dtype)

    def cast(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Both, on the device and in the dtype of `like`."""
        key = (like.device, like.dtype)
        if key not in self.casts:
            self.casts[key] = self.center.to(like), self.scale.to(like)
        return self.casts[key]

    def scaled_mean(self) -> Tensor:
        """The mean sample, as the network sees it, in float64."""
        return self.scaled(self.learnt.mean, torch.float64).reshape(self.shape)

    def scaled_range(self) -> tuple[float, float]:
        """The least and the greatest value, as the network sees them."""
        low, high = self.scaled(self.learnt.low, torch.float64).min(), self.scaled(self.learnt.high, torch.float64).max()
        return float(low), float(high)

    def spread(self) -> float:
        """The root mean variance of the features, as the network sees them: 1 where they are standardised."""
        return float((self.learnt.std / self.scale).square().mean().sqrt())

    @property
    def learnt(self) -> "Statistics":
        """What was measured of the data that this schema was learnt from."""
        if self.statistics is None:
            raise ValueError("Statistics are there while a model is fitted; they are not stored.")
        return self.statistics

    # ------------------------------------------------------------------------------------------------- out

    def unscaled(self, values: Tensor) -> Tensor:
        """The inverse of `scaled`, in data units; columns that never changed get their value back exactly."""
        if not self.is_identity:
            center, scale = self.cast(values)
            values = values * scale + center
        fixed = ~torch.isnan(self.constant)
        if fixed.any():
            constant = self.constant.to(values)
            values = torch.where(fixed.to(values.device), constant, values)
        return values

    def form(self, values: Tensor) -> Tensor:
        """Values of (n, *shape) with the axes that the data came with."""
        return values

    def write(self, values: Tensor) -> Tensor:
        """Scaled values in the form the data came in."""
        return self.form(self.unscaled(values))

    # ----------------------------------------------------------------------------------------------- files

    def write_file(self, file: BinaryIO, values: Any, ending: str) -> None:
        """Samples, as `give_back` gives them, into an open file."""
        if ending == ".csv":
            np.savetxt(file, values, delimiter=",", fmt="%.9g")
        else:
            np.save(file, values)

    def write_folder(self, folder: Path, values: Any, names: list[str]) -> None:
        """Samples into a folder, each under its name."""
        raise NotImplementedError

    def others_in(self, folder: Path) -> list[str]:
        """What a folder holds that `write_folder` did not write, and which is therefore not replaced."""
        return sorted(path.name for path in folder.iterdir())

    def config(self) -> dict:
        return {"kind": self.kind, "shape": list(self.shape), "dtype": self.dtype}

    def tensors(self) -> dict[str, Tensor]:
        return {"center": self.center, "scale": self.scale, "constant": self.constant}

    @classmethod
    def restore(cls, config: dict, tensors: dict[str, Tensor]) -> "Schema":
        rest = {k: v for k, v in config.items() if k not in ("kind", "shape", "dtype")}
        return cls(config["shape"], config["dtype"], **tensors, **rest)


class Ready:
    """Rows of tensors that are as a network reads them, such as conditions and codes."""

    def __init__(self, values: Tensor):
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def to(self, dtype, device) -> "Ready":
        return Ready(self.values.to(device, dtype))

    def take(self, index: Tensor) -> Tensor:
        return self.values[index]

    def block(self, start: int, stop: int) -> Tensor:
        return self.values[start:stop]

    def subset(self, index: Tensor) -> "Ready":
        return Ready(self.values[index.to(self.values.device)])


class Rows:
    """Samples that can be taken by index or in blocks, as `Data` tensors are made of: scaled, on the device, dense.

    Values stay as they came (uint8 pixels take a quarter of the memory) until they are taken; `resident` moves them to the
    device, and scales floats once and for all. `names` are those of the samples, where the data brought any.
    """

    names: Any = None

    @property
    def groups(self) -> list[Tensor] | None:
        """The samples that are padded to one size, where sizes differ, as index tensors."""
        return None

    def __init__(self, schema: Schema, values, dtype=torch.float32, device="cpu", ready=False, names=None):
        self.schema, self.values = schema, values
        self.dtype, self.device, self.ready, self.names = dtype, device, ready, names

    def __len__(self) -> int:
        return self.values.shape[0]

    def to(self, dtype, device) -> "Rows":
        return Rows(self.schema, self.values, dtype, device, self.ready, self.names)

    def indexed(self, codes) -> Any:
        """Codes in a frame of pandas with the samples' names as its index, where the rows of the data are not the samples."""
        return codes if self.names is None else self.names.indexed(codes)

    def resident(self) -> "Rows":
        """All on the device, floats scaled in advance; for training, where each sample is read many times."""
        if sparse.issparse(self.values):
            return self
        if self.ready:
            return Rows(self.schema, tensor_of(self.values).to(self.device, self.dtype), self.dtype, self.device, ready=True)
        values = tensor_of(self.values.handed_over() if isinstance(self.values, Lazy) else self.values)
        if values.dtype == torch.uint8:
            return Rows(self.schema, values.to(self.device), self.dtype, self.device)
        if self.schema.is_identity:
            scaled = values.to(self.dtype)
        else:
            scaled = torch.empty(values.shape, dtype=self.dtype, device=values.device)
            for start in range(0, len(values), 8192):
                scaled[start : start + 8192] = self.schema.scaled(values[start : start + 8192], self.dtype)
        return Rows(self.schema, scaled.view(-1, *self.schema.shape).to(self.device), self.dtype, self.device, ready=True)

    def take(self, index: Tensor) -> Data:
        """The samples at `index`, (len(index), *shape)."""
        if isinstance(self.values, Lazy):
            return self._finish(tensor_of(self.values[index.cpu().numpy()]))
        if sparse.issparse(self.values):
            return self._finish(torch.from_numpy(self.values[index.cpu().numpy()].toarray()))
        values = tensor_of(self.values)
        return self._finish(values.index_select(0, index.to(values.device)))

    def block(self, start: int, stop: int) -> Data:
        """Consecutive samples, (stop - start, *shape); refuses NaN and infinity, which may spoil their neighbours."""
        part = self.values[start:stop]
        values = torch.from_numpy(part.toarray()) if sparse.issparse(part) else tensor_of(part)
        return self._finish(values if self.ready else refuse_non_finite(values, start))

    def order(self, generator: torch.Generator, batch_size: int, skip: int = 0) -> Iterable[Tensor]:
        """Batches of an epoch, as index tensors: every sample once, in an order that depends on the generator alone.

        The first `skip` of them are left out, where they lie behind a run already.
        """
        return torch.randperm(len(self), generator=generator).split(batch_size)[skip:]

    def steps(self, batch_size: int) -> int:
        """How many batches that are."""
        return -(-len(self) // batch_size)

    def range(self) -> tuple[float, float]:
        """The least and the greatest value, as the network sees them."""
        every = torch.stack([torch.stack(torch.aminmax(data.values)) for data in self.looks()])
        return float(every.min()), float(every.max())

    def looked_at(self) -> "Rows":
        """These rows, once it is certain that all are finite; `block` and the statistics look by themselves."""
        for _ in self.looks():
            pass
        return self

    def looks(self) -> Iterable[Data]:
        """All samples, a few at a time."""
        count = max(1, min(8192, _LOOKED // max(1, math.prod(self.schema.shape))))
        return (self.block(start, start + count) for start in range(0, len(self), count))

    @property
    def resident_bytes(self) -> int:
        """What `resident` takes beyond what is in memory already."""
        if sparse.issparse(self.values):
            return 0
        kept = str(self.values.dtype).endswith("uint8") and not self.ready
        wanted = torch.uint8 if kept else self.dtype
        if is_in_memory(self.values) and self.device_is_cpu and (kept or self.ready or self.schema.is_identity):
            same = str(self.values.dtype).removeprefix("torch.") == str(wanted).removeprefix("torch.")
            return 0 if same else self.values.shape[0] * math.prod(self.values.shape[1:]) * wanted.itemsize
        return self.values.shape[0] * math.prod(self.values.shape[1:]) * wanted.itemsize

    @property
    def can_stream(self) -> bool:
        """Whether they can be read a window at a time; sparse rows, and those that differ in size, are not."""
        return type(self) is Rows and not sparse.issparse(self.values)

    @property
    def device_is_cpu(self) -> bool:
        return torch.device(self.device).type == "cpu"

    def glance(self) -> Data:
        """What parts look at before training: all samples; of those that are read a window at a time, some."""
        return self.take(torch.arange(len(self)))

    def spread(self, most: int) -> Tensor:
        """Places of up to `most` samples, evenly spread; in a few runs where a file is read in blocks of its own."""
        count = min(len(self), most)
        edges = edges_of(self.values) if isinstance(self.values, Lazy) else None
        if edges is None or count == len(self):
            return torch.linspace(0, len(self) - 1, count).round().long()
        starts = np.unique(edges[np.linspace(0, len(edges) - 2, _RUNS).astype(int)])
        each = -(-count // len(starts))
        return torch.cat([torch.arange(start, min(start + each, len(self))) for start in starts.tolist()])[:count].unique()

    def subset(self, index: Tensor) -> "Rows":
        return Rows(self.schema, taken(self.values, index.cpu().numpy()), self.dtype, self.device, self.ready)

    def _finish(self, values: Tensor) -> Data:
        if self.ready:
            return self.schema.data(values.to(self.device, self.dtype))
        if not values.is_floating_point():
            values = values.to(self.device)  # whole numbers travel small; float64 is scaled before it meets a device without it
        scaled = self.schema.scaled(values, self.dtype).to(self.device)
        return self.schema.data(scaled.reshape(-1, *self.schema.shape).contiguous())


def fits(length: int, known: int | None) -> bool:
    return known in (None, length)


def given_back(result: Tensor, like):
    """A result in the container that `like` came in: a tensor where it was one, else an array."""
    return result.to(like.device) if isinstance(like, Tensor) else result.detach().cpu().numpy()


def is_in_memory(values) -> bool:
    """Whether an array lies in memory and can be handed to torch as it is."""
    if isinstance(values, Tensor):
        return values.device.type == "cpu"
    return isinstance(values, np.ndarray) and not isinstance(values, np.memmap) and values.flags.writeable


def tensor_of(values) -> Tensor:
    """An array as a tensor without a copy where that is safe (torch must not be handed memory it may not write)."""
    if isinstance(values, Tensor):
        return values
    values = np.asarray(values)
    if not values.flags.writeable or any(step < 0 for step in values.strides) or not values.dtype.isnative:
        values = np.array(values, dtype=values.dtype.newbyteorder("="))
    return torch.from_numpy(values)


def precision_of(values) -> torch.dtype:
    """That of the data: float64 for float64, else float32."""
    return torch.float64 if str(getattr(values, "dtype", "")).endswith("float64") else torch.float32


@dataclass
class Statistics:
    """Of every feature, over samples that count by weight, in data units and float64; of shape (*shape,)."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor


def statistics(X, weight=None) -> Statistics:
    """Reads the data once, a few rows at a time; the variance is taken about the first rows' mean, so that it stays exact."""
    rows = max(1, _CHUNK // max(1, math.prod(X.shape[1:])))
    weight = None if weight is None else torch.as_tensor(weight, dtype=torch.float64)
    total: float = X.shape[0] if weight is None else float(weight.sum())
    shift = dense(X[:rows]).mean(0)
    first, square = torch.zeros_like(shift, dtype=torch.float64), torch.zeros_like(shift, dtype=torch.float64)
    low, high = torch.full_like(first, torch.inf), torch.full_like(first, -torch.inf)
    for start in range(0, X.shape[0], rows):
        part = refuse_non_finite(dense(X[start : start + rows]), start)
        least, most = torch.aminmax(part, dim=0)
        low, high = torch.minimum(low, least), torch.maximum(high, most)
        away = part - shift
        counted = away if weight is None else away * weight[start : start + rows].view(-1, *[1] * (away.ndim - 1)).to(away)
        first += counted.sum(0)
        square += (counted * away).sum(0)
    offset = first / total
    return Statistics(shift + offset, (square / total - offset.square()).clamp_min(0).sqrt(), low, high)


def dense(X) -> Tensor:
    """A few rows as floats on the CPU."""
    X = tensor_of(X.toarray() if sparse.issparse(X) else X).cpu()
    return X if X.dtype in (torch.float32, torch.float64) else X.float()


def chosen_scaling(scaling: str, low: float, high: float) -> str:
    """What "auto" stands for: data already in [0, 1] stays as it is, other data is standardised."""
    if scaling not in SCALINGS:
        raise ValueError(f"scale={scaling!r} is not known. Choose one of {', '.join(map(repr, SCALINGS))}.")
    if scaling != "auto":
        return scaling
    return "none" if low >= 0 and high <= 1 else "standard"


def center_and_scale(scaling: str, mean: Tensor, std: Tensor, low: Tensor, high: Tensor):
    """The numbers behind `scaled = (x - center) / scale`; where nothing varies the scale is one."""
    if scaling == "none":
        return 0.0, 1.0
    center, scale = (mean, std) if scaling == "standard" else (low, high - low)
    return center, torch.where(high > low, scale, torch.ones_like(scale))


def refuse_non_finite(values: Tensor, first: int = 0) -> Tensor:
    """The samples, if all their values are finite; `first` is the number of the first of them.

    Checked a few rows at a time where they are read anyway: data larger than the cache is then read once.
    """
    if values.is_floating_point() and not torch.isfinite(values.sum()):  # a sum may overflow where no value is infinite
        bad = ~torch.isfinite(values)
        if bad.any():
            row = int(bad.flatten(1).any(1).nonzero()[0])
            cell = f", column {int(bad[row].nonzero()[0])}" if bad.ndim == 2 else ""
            cure = " Remove or fill such samples before" + (", or read gaps as such with kind='table'." if cell else ".")
            raise ValueError(f"Input X contains NaN or infinity, first in sample {first + row}{cell}.{cure}")
    return values
