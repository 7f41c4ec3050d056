"""One process, or many that train one model: each takes its share of every batch, and all keep the same state.

Many are started by `torchrun`, by Ray Train, or by whoever calls `torch.distributed.init_process_group`. All draw the same order
of samples and the same first weights; gradients and terms are added up over them, so every process makes the same step, knows
the same losses and takes the same decisions. What a clock or a person decides (time is over, Ctrl-C) is decided by the first
for all. It alone writes files, shows progress and calls callbacks.
"""

import atexit
import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from .parts.collective import Share

ASKED_EVERY = 10  # steps from one look to the next at whether a process was asked to stop


def processes(device: str = "auto") -> "One | Many":
    """Those that train together; joins them first, where `torchrun` started this process."""
    if not (dist.is_available() and dist.is_initialized()):
        if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "MASTER_ADDR" not in os.environ:
            return ONE
        join(device)
    return Many() if dist.get_world_size() > 1 else ONE


def join(device: str) -> None:
    """Joins the processes that `torchrun` started beside this one: by NCCL on CUDA, one device each, by Gloo elsewhere."""
    on_cuda = torch.cuda.is_available() and (device == "auto" or device.startswith("cuda"))
    if on_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    with told():
        store, rank, count = next(dist.rendezvous("env://"))
        # torchrun keeps one store over its restarts, in which the addresses of those that died stay.
        store = dist.PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        dist.init_process_group("nccl" if on_cuda else "gloo", store=store, rank=rank, world_size=count)
    atexit.register(leave)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


class One:
    """A process that trains alone."""

    count, is_first = 1, True

    def check(self, batch_size: int, samples: int) -> None: ...
    def share(self, index: Tensor, weight) -> Share | None:
        return None

    def same(self, value: Any) -> Any:
        return value

    def loudest(self, signal: int | None, step: int) -> int | None:
        return signal

    def agree(self, state) -> None: ...
    def add(self, parameters: list[Tensor], terms: dict[str, Tensor]) -> dict[str, Tensor]:
        return terms

    def settle(self, network) -> None: ...
    def spread(self, function: Callable, size: int, rows: list) -> Tensor:
        return function(*rows)


class Many(One):
    """This process among those of `torch.distributed`'s default group."""

    def __init__(self):
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self.is_first = self.rank == 0
        self.device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")  # that messages travel from

    def check(self, batch_size, samples):
        """Refuses more processes than a batch has samples."""
        largest = min(batch_size, samples)
        if self.count > largest:
            raise ValueError(
                f"{self.count} processes are to share batches of {largest} samples (batch_size={batch_size}, {samples} samples), "
                "and each needs one at least. Start fewer processes, or set a larger batch_size."
            )

    def share(self, index, weight):
        """What this process takes of a batch; of one with fewer samples than processes everyone takes all."""
        count = len(index)
        start, stop = (count * rank // self.count for rank in (self.rank, self.rank + 1))
        start, stop = (0, count) if count < self.count else (start, stop)
        return Share(start, stop, count, weight, self.rank, self.count)

    def same(self, value):
        """The first process's value, of what JSON can hold."""
        return json.loads(self._sent(json.dumps(value).encode()))

    def loudest(self, signal, step):
        """The largest signal that any process was sent, or None; asked for every few steps, for it waits for all."""
        if step % ASKED_EVERY:
            return None
        found = torch.tensor(signal or 0, device=self.device)
        with told():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found) or None

    def agree(self, state):
        """Gives all the first process's state: first weights, or those of its checkpoint."""
        numbers = self.same(state.numbers())
        kept = {name: tensor.cpu().contiguous() for name, tensor in state.tensors().items()} if self.is_first else {}
        content = self._sent(tensors_to_bytes(kept))
        if not self.is_first:
            state.restore(numbers, tensors_from_bytes(content))

    def add(self, parameters, terms):
        """The sum over the processes of gradients, which it puts in their place, and of terms, in one message."""
        moved = [p for p in parameters if p.grad is not None]
        pieces = [torch.stack(list(terms.values())), *(p.grad.flatten() for p in moved)]  # type: ignore[union-attr]
        message = torch.cat(pieces)
        with told():
            dist.all_reduce(message)
        first, *gradients = message.split([len(piece) for piece in pieces])
        for p, gradient in zip(moved, gradients, strict=True):
            p.grad = gradient.view_as(p)
        return dict(zip(terms, first, strict=True))

    def settle(self, network):
        """Running means of batch normalisation, in modules of the user's, become those of all processes."""
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                means: Any = (module.running_mean, module.running_var)
                for buffer in means:
                    dist.all_reduce(buffer.div_(self.count))

    def spread(self, function, size, rows):
        """`function` of all rows, (n, ...), of which each process computes some, in whole blocks of `size`."""
        if any(getattr(r, "groups", None) is not None for r in rows):
            return function(*rows)
        count = len(rows[0])
        blocks = -(-count // size)
        start, stop = (min(count, blocks * rank // self.count * size) for rank in (self.rank, self.rank + 1))
        own = function(*(Between(r, start, stop) for r in rows)) if stop > start else None
        whole = torch.zeros(count, dtype=torch.float64, device=self.device)
        whole[start:stop] = 0 if own is None else own.to(whole)
        with told():
            dist.all_reduce(whole)
        return whole.cpu()

    def _sent(self, content: bytes) -> bytes:
        """The first process's bytes."""
        length = torch.tensor(len(content), device=self.device)
        with told():
            dist.broadcast(length, 0)
            if self.is_first:
                message = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
            else:
                message = torch.empty(int(length), dtype=torch.uint8, device=self.device)
            dist.broadcast(message, 0)
        return message.cpu().numpy().tobytes()


ONE = One()


class Between:
    """Consecutive rows of others."""

    groups = None

    def __init__(self, rows, start: int, stop: int):
        self.rows, self.start, self.stop = rows, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def block(self, start: int, stop: int):
        return self.rows.block(self.start + start, self.start + stop)


class Lost(ConnectionError):
    """Another of the processes that train together has ended."""


@contextmanager
def told():
    """Says what it means where a message to the other processes does not arrive."""
    try:
        yield
    except RuntimeError as error:
        raise Lost(
            f"Another of the {os.environ.get('WORLD_SIZE', 'other')} processes that train together has ended, or cannot be "
            f"reached ({str(error).splitlines()[0]}). Its own message says why. With a checkpoint, the same call goes on from it."
        ) from error
