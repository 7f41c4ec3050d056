"""Lazy arrays: what lies in files and looks like an array; only what is asked for is read."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

MEMORY = 2**30  # bytes of what was read that a lazy array keeps, if not said


class Lazy:
    """An array whose samples are read when they are asked for: `X[3]`, `X[10:20]` and `X[[4, 1]]` are numpy arrays.

    shape : (n, ...);   dtype : numpy's;   memory : bytes of what was read that are kept; data no larger are read once
    kind : of data, "" where that is not certain

    A class that is one gives these and `read`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    memory: int = MEMORY
    kind = ""

    def read(self, places: np.ndarray) -> np.ndarray:
        """(len(places), ...): the samples at these places, which are there."""
        raise NotImplementedError

    def handed_over(self) -> np.ndarray:
        """All samples, for one who keeps them: what is kept here besides is let go, or is that very array."""
        values = self[:]
        self.let_go()
        return values

    def let_go(self) -> None:
        """Forgets what was read and kept; it can be read again."""

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of all samples, once they are read."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        if isinstance(index, tuple):
            first, *rest = index
            values = self[first]
            return values[(*[slice(None)] * (values.ndim == self.ndim), *rest)]
        if index is Ellipsis:
            return self[:]
        if isinstance(index, Integral):
            return self.read(self.places([index]))[0]
        if isinstance(index, slice):
            return self.read(np.arange(len(self))[index])
        return self.read(self.places(index))

    def places(self, index) -> np.ndarray:
        """Whole numbers from 0 for an index array, counted from the end where negative; a mask says which."""
        index = np.asarray(index)
        if index.dtype == bool and index.shape == (len(self),):
            return np.flatnonzero(index)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise IndexError(f"An index of {index.dtype} of shape {index.shape}: whole numbers (k,) are expected, or a mask.")
        index = index.astype(np.int64)
        beyond = index[(index < -len(self)) | (index >= len(self))]
        if len(beyond):
            raise IndexError(f"Index {beyond[0]} is out of range: there are {len(self)} samples.")
        return np.where(index < 0, index + len(self), index)

    def only(self, index) -> "Lazy":
        """These samples alone, as lazy as before."""
        return Chosen(self, self.places(index))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        values = self[:]
        return values if dtype is None else values.astype(dtype, copy=False)


class Chosen(Lazy):
    """Some samples of a lazy array."""

    def __init__(self, whole: Lazy, chosen: np.ndarray):
        self.whole, self.chosen, self.memory = whole, chosen, whole.memory
        self.shape, self.dtype, self.kind = (len(chosen), *whole.shape[1:]), whole.dtype, whole.kind

    def read(self, places):
        return self.whole.read(self.chosen[places])

    def let_go(self):
        self.whole.let_go()


def is_run(places: np.ndarray) -> bool:
    """Whether these follow one another."""
    return bool(len(places)) and bool((np.diff(places) == 1).all())


def taken(X, index: np.ndarray) -> Any:
    """The samples of an array, tensor, matrix or lazy array at `index`; nothing is read of a lazy one."""
    if isinstance(X, Lazy):
        return X.only(index)
    return X[torch.from_numpy(index).to(X.device)] if isinstance(X, Tensor) else X[index]
