"""Lazy arrays over what numpy holds or maps: files in numpy's own format are read past the map, without page faults."""

import mmap
import os
import weakref
from typing import Any

import numpy as np
from torch import Tensor

from .lazy import Chosen, Lazy, is_run


class Sliced(Lazy):
    """An array or tensor in memory, or a map that can only be sliced."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = tuple(values.shape), array_of(values[:0]).dtype.newbyteorder("=")

    def read(self, places):
        if is_run(places):
            return self.run(int(places[0]), int(places[-1]) + 1)
        return array_of(self.values[places]).astype(self.dtype, copy=False)

    def run(self, start: int, stop: int) -> np.ndarray:
        """The samples from `start` to `stop`."""
        return array_of(self.values[start:stop]).astype(self.dtype, copy=False)

    def fill(self, start: int, stop: int, out: np.ndarray) -> None:
        """The same, written into `out`."""
        out[:] = self.run(start, stop)

    def astype(self, dtype) -> "Cast":
        """The same numbers in another type, turned when they are read."""
        return Cast(self, dtype)


class Mapped(Sliced):
    """A memory map whose samples lie one after another in a file: they are read from the file into memory of ours.

    Reading by calls instead of through the map lets other threads run meanwhile, takes no memory beyond the result, and names
    the sample where a file ends too soon; through the map that ends the process. Numbers of foreign byte order are turned.
    """

    def __init__(self, values: np.memmap):
        super().__init__(values)
        self.path, self.start = os.fspath(values.filename or ""), position_of(values)
        self.row = values.dtype.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
        self.handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.handle)

    def read(self, places):
        if not len(places):
            return np.empty((0, *self.shape[1:]), self.dtype)
        first, last = int(places.min()), int(places.max())
        if last - first < 4 * len(places):  # nearly all of what lies between is wanted
            whole = self.run(first, last + 1)
            return whole if is_run(places) else whole[places - first]
        out = np.empty((len(places), *self.shape[1:]), self.dtype)
        for row, place in enumerate(places.tolist()):
            self.fill(place, place + 1, out[row : row + 1])
        return out

    def run(self, start, stop):
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        self.fill(start, stop, out)
        return out

    def fill(self, start, stop, out):
        into = memoryview(out.reshape(-1).view(np.uint8))
        done = 0
        while done < len(into):
            count = os.preadv(self.handle, [into[done:]], self.start + start * self.row + done)
            if not count:
                ends = max(0, os.fstat(self.handle).st_size - self.start) // self.row
                raise ValueError(
                    f"{self.path} ends in sample {ends} of {self.shape[0]}: it was cut short after it was opened. Write it anew."
                )
            done += count
        if not self.values.dtype.isnative:
            out.byteswap(inplace=True)


class Strided(Sliced):
    """A map whose samples do not lie one after another, such as one in Fortran's order."""

    def run(self, start, stop):
        path = os.fspath(self.values.filename)
        if os.path.getsize(path) < position_of(self.values) + extent_of(self.values):
            raise ValueError(f"{path} is shorter than it was when it was opened. Write it anew.")
        return np.array(self.values[start:stop], self.dtype)

    def read(self, places):
        first, last = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
        return self.run(first, last)[places - first]


class Cast(Lazy):
    """A lazy array with its numbers in another type."""

    def __init__(self, whole: Lazy, dtype):
        self.whole, self.shape, self.dtype, self.memory = whole, whole.shape, np.dtype(dtype), whole.memory

    def read(self, places):
        return self.whole.read(places).astype(self.dtype)

    def let_go(self):
        self.whole.let_go()


def lazy_of(values) -> Lazy:
    """Any array as a lazy one."""
    if isinstance(values, Lazy):
        return values
    if not isinstance(values, np.memmap) or not hasattr(os, "preadv") or values.mode == "c":
        return Sliced(values)
    if values.filename is None or not os.path.exists(values.filename) or not same_start(values):
        return Sliced(values)  # the file has another name by now, or another file has this name
    return Mapped(values) if values.flags.c_contiguous else Strided(values)


def lazily(X, limit: int) -> Any:
    """`X`, or a lazy array in its place where it is a map of more than `limit` bytes."""
    return lazy_of(X) if isinstance(X, np.memmap) and X.nbytes > limit else X


def edges_of(values: Lazy) -> np.ndarray | None:
    """Where the blocks that a lazy array is best read in begin, and the end of the last; None where all are as good."""
    if isinstance(values, Chosen):
        own = edges_of(values.whole)
        return None if own is None else np.unique(np.searchsorted(values.chosen, own))
    inner = getattr(values, "whole", None)
    return edges_of(inner) if isinstance(inner, Lazy) else getattr(values, "edges", None)


# --------------------------------------------------------------------------------------------------- helpers


def array_of(values) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def position_of(values: np.memmap) -> int:
    """Where in its file the first number of a map, or of a slice of one, lies: a slice keeps the offset of the whole."""
    mapped: Any = values
    begins = values.offset - values.offset % mmap.ALLOCATIONGRANULARITY
    return begins + values.ctypes.data - np.frombuffer(mapped._mmap, np.uint8, 1).ctypes.data


def extent_of(values: np.ndarray) -> int:
    """Bytes from the first number in memory to the end of the last."""
    return values.itemsize + sum((size - 1) * step for size, step in zip(values.shape, values.strides, strict=True))


def same_start(values: np.memmap) -> bool:
    """Whether the file of this name begins as the map does."""
    mapped: Any = values
    begins = values.offset - values.offset % mmap.ALLOCATIONGRANULARITY
    with open(values.filename, "rb") as file:  # type: ignore[arg-type]
        file.seek(begins)
        head = file.read(4096)
    return head == bytes(np.frombuffer(mapped._mmap, np.uint8, len(head))) if len(head) <= len(mapped._mmap) else False
