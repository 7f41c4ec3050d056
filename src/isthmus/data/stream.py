"""Training on more data than memory holds: blocks of consecutive samples, shuffled, a window of them at a time.

An epoch cuts the data into blocks, shuffles them, reads so many as fill a window, shuffles the samples in it and takes batches
from it, while a thread fills the next window. Blocks begin elsewhere in every epoch. The order is drawn before anything is read,
so the speed of reading changes no number.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .lazy import Lazy
from .mapped import Sliced, edges_of, lazy_of
from .parquet import Grouped
from .schema import Rows, tensor_of

_WINDOW = 2**28  # bytes of the largest window: with more memory than four of them the order does not depend on how much
_BLOCK = 2**21  # bytes of a block: disks read such pieces at nearly their full speed
_BLOCKS = 16  # that a window holds at least
_INDEX = 24  # bytes for each sample of a window that its order takes
_GLANCE = 2**22  # numbers that parts look at before training


def within(limit: int, source: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Both ready to be taken by index: on the device where they fit into `limit` bytes, else a window at a time."""
    both = [source] if target is source else [source, target]
    if not all(rows.can_stream for rows in both) or sum(rows.resident_bytes for rows in both) <= limit:
        resident = [rows.resident() for rows in both]
        return resident[0], resident[-1]
    streamed = [Streamed(rows) for rows in both]
    for rows in streamed:
        rows.room = min(limit // 4, _WINDOW) // (sum(other.row_bytes for other in streamed) + _INDEX)
    streamed[0].beside = streamed[1:]
    return streamed[0], streamed[-1]


class Streamed(Rows):
    """Rows that are read from a lazy array a window at a time, in the order that `order` gives.

    room : samples that a window may hold;   beside : further rows, of the same samples, whose windows hold the same
    """

    values: Lazy

    def __init__(self, rows: Rows):
        super().__init__(rows.schema, lazy_of(rows.values), rows.dtype, rows.device, rows.ready)
        self.room = len(rows)
        self.beside: list[Streamed] = []
        self.windows: list[Window] = []  # the one that is read from first, then the one that is filled
        count = int(np.prod(self.values.shape[1:], dtype=np.int64))
        self.row_bytes = max(1, count * self.values.dtype.itemsize)

    def order(self, generator, batch_size, skip=0) -> Iterator[Tensor]:
        together = [self, *self.beside]
        plan = self.plan(generator)
        behind = skip * batch_size  # samples of the epoch that are left out; windows that hold no others are not read
        ends = np.cumsum([int((stops - starts).sum()) for starts, stops in plan])
        first = int(np.searchsorted(ends, behind, side="right")) if behind < ends[-1] else len(plan)
        longest = max(int((stops - starts).sum()) for starts, stops in plan) + batch_size
        for rows in together:
            rows.windows = [window.of(longest, rows.values) for window in rows.windows or (Window(), Window())]
        left = torch.empty(0, dtype=torch.int64)  # what the last window had too little of for a batch
        with ThreadPoolExecutor(1, "isthmus-read") as thread:
            reading = thread.submit(fill, together, *plan[first]) if first < len(plan) else None
            for place, (starts, stops) in enumerate(plan):
                if reading is not None and place >= first:
                    reading.result()
                    for rows in together:
                        rows.turn(left)
                    if place + 1 < len(plan):
                        reading = thread.submit(fill, together, *plan[place + 1])
                runs = [torch.arange(start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
                samples = torch.cat([left, *runs])
                samples = samples[torch.randperm(len(samples), generator=generator)]
                whole = len(samples) - len(samples) % batch_size if place + 1 < len(plan) else len(samples)
                left = samples[whole:]
                batches = samples[:whole].split(batch_size) if whole else ()
                skip, batches = max(0, skip - len(batches)), batches[skip:]
                yield from batches

    def plan(self, generator: torch.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """The windows of an epoch: where the blocks of each begin and end, from the front of the data to the back."""
        edges = self.edges(generator)
        sizes = np.diff(edges)
        order = torch.randperm(len(sizes), generator=generator).numpy()
        room = max(self.room, int(sizes.max()))
        count = -(-len(self) // room)
        ends = sizes[order].cumsum()
        window = np.minimum((ends - 1) * count // len(self), count - 1)  # about as many samples to each
        chosen = [np.sort(order[window == place]) for place in range(count)]
        return [(edges[blocks], edges[blocks + 1]) for blocks in chosen if len(blocks)]

    def edges(self, generator: torch.Generator) -> np.ndarray:
        """Where blocks begin, and the end of the last; where files have blocks of their own, those."""
        own = edges_of(self.values)
        if own is not None:
            if np.diff(own).max() > self.room:
                raise ValueError(
                    f"The largest row group has {np.diff(own).max():,} rows, but windows hold {self.room:,}: memory_limit is too "
                    "small for it. Raise it, write smaller row groups, or convert the file once: isthmus convert "
                    "data.parquet -o data.npy."
                )
            return own
        rows = max(1, min(_BLOCK // self.row_bytes, self.room // _BLOCKS))
        first = int(torch.randint(rows, (1,), generator=generator))
        return np.unique([0, *range(first, len(self), rows), len(self)])

    def turn(self, left: Tensor) -> None:
        """The window that was filled is now read from, and gets what was left of the other."""
        old, new = self.windows
        if len(left):
            there = old.take(left)  # which a window that was left out does not hold
            new.add(left, tensor_of(self.values[left.numpy()]) if there is None else there)
        self.windows = [new, old]

    def take(self, index):
        index = index.cpu()
        found = self.windows[0].take(index) if self.windows else None
        return super().take(index) if found is None else self._finish(found)

    def glance(self):
        return self.take(self.spread(max(1, _GLANCE // int(np.prod(self.schema.shape)))))


class Window:
    """Samples in memory: runs of consecutive ones, by where they begin in the data (sorted) and in the buffer."""

    def __init__(self):
        self.buffer = np.empty(0, np.uint8)
        self.runs = (torch.empty(0, dtype=torch.int64),) * 3  # where each begins, how long it is, and its place in the buffer
        self.count = 0

    def of(self, room: int, values: Lazy) -> "Window":
        """This window, or a new one where it is too small."""
        if len(self.buffer) < room:
            self.buffer = np.empty((room, *values.shape[1:]), values.dtype)
        return self

    def fill(self, values: Lazy, starts: np.ndarray, stops: np.ndarray) -> None:
        places = np.concatenate([[0], (stops - starts).cumsum()])
        for start, stop, place in zip(starts.tolist(), stops.tolist(), places.tolist(), strict=False):
            out = self.buffer[place : place + stop - start]
            if isinstance(values, Sliced | Grouped):
                values.fill(start, stop, out)
            else:
                out[:] = values[start:stop]
        self.count = int(places[-1])
        self.runs = torch.from_numpy(starts), torch.from_numpy(stops - starts), torch.from_numpy(places[:-1])

    def add(self, index: Tensor, values: Tensor | None) -> None:
        """Single samples behind what is there already."""
        assert values is not None
        self.buffer[self.count : self.count + len(index)] = values.numpy()
        single = index, torch.ones_like(index), torch.arange(self.count, self.count + len(index))
        starts, order = torch.cat([self.runs[0], index]).sort()
        self.runs = (starts, *(torch.cat(pair)[order] for pair in list(zip(self.runs, single, strict=True))[1:]))  # type: ignore[assignment]
        self.count += len(index)

    def take(self, index: Tensor) -> Tensor | None:
        """The samples at `index`, or None where some are not here."""
        starts, lengths, places = self.runs
        if not len(starts):
            return None
        run = (torch.searchsorted(starts, index, right=True) - 1).clamp_min(0)
        away = index - starts[run]
        if ((away < 0) | (away >= lengths[run])).any():
            return None
        whole = torch.from_numpy(self.buffer.view(f"i{self.buffer.itemsize}"))  # torch takes rows of every size, not every type
        taken = whole.index_select(0, places[run] + away)
        return taken.view(torch.from_numpy(self.buffer[:0]).dtype)


def fill(together: list[Streamed], starts: np.ndarray, stops: np.ndarray) -> None:
    for rows in together:
        rows.windows[1].fill(rows.values, starts, stops)
