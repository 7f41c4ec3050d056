"""Random numbers without a state: every draw is a function of (seed, stream, step, sample)."""

import math

import torch
from torch import Tensor

_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64 (Steele et al. 2014)


def _signed(x: int) -> int:
    """The 64-bit integer with the bits of `x`, as torch's int64 holds it."""
    x &= 0xFFFFFFFFFFFFFFFF
    return x - (1 << 64) if x >> 63 else x


def _mix(x: int) -> int:
    x = (x + _GOLDEN) & 0xFFFFFFFFFFFFFFFF
    x = (x ^ (x >> 30)) * _MIX1 & 0xFFFFFFFFFFFFFFFF
    x = (x ^ (x >> 27)) * _MIX2 & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


def _mix_tensor(x: Tensor) -> Tensor:
    """splitmix64's finaliser on int64 tensors, in place (`>>` keeps the sign in torch, so the mask takes it away)."""
    for shift, factor in ((30, _MIX1), (27, _MIX2)):
        x ^= (x >> shift) & ((1 << (64 - shift)) - 1)
        x *= _signed(factor)
    x ^= (x >> 31) & ((1 << 33) - 1)
    return x


def key_of(*words: int | str) -> int:
    """A 64-bit key from numbers and names; the same words give the same key on every machine."""
    key = 0
    for word in words:
        number = int.from_bytes(word.encode(), "big") if isinstance(word, str) else word & 0xFFFFFFFFFFFFFFFF
        while True:
            key = _mix(key ^ (number & 0xFFFFFFFFFFFFFFFF))
            number >>= 64
            if not number:
                break
    return key


class Random:
    """Random numbers as a function of (seed, stream, step, row): no state is kept, so nothing needs to be resumed.

    Row `i` of a draw depends on the sample `rows[i]` alone, not on its place in the batch or its company: the same
    epoch gives the same noise in any order, on any number of processes. A counter is hashed (splitmix64; the idea is
    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    >>> r = Random(0, "noise", step=1, rows=torch.tensor([7, 3]))
    >>> torch.equal(r.normal((5,))[0], Random(0, "noise", 1, torch.tensor([3, 9, 7])).normal((5,))[2])
    True
    """

    def __init__(self, seed: int, stream: str, step: int, rows: Tensor, first: Tensor | None = None):
        self.seed, self.name, self.step, self.rows = seed, stream, step, rows
        self.first = rows[:1] if first is None else first  # of the whole batch, of which `rows` may be a part
        self.draws = 0

    def stream(self, name: str) -> "Random":
        """An independent source for one part, so that adding a part does not change what the others draw."""
        return Random(self.seed, f"{self.name}/{name}", self.step, self.rows, self.first)

    def _bits(self, count: int) -> Tensor:
        """64 random bits for each of (batch, count), as int64."""
        self.draws += 1
        key = key_of(self.seed, self.name, self.step, self.draws)
        row = _mix_tensor(self.rows.to(torch.int64) * _signed(_GOLDEN) + _signed(key))
        column = torch.arange(1, count + 1, device=row.device) * _signed(_GOLDEN)
        return _mix_tensor(row[:, None] + column)

    def uniform(self, shape: tuple[int, ...], dtype=torch.float32) -> Tensor:
        """(batch, *shape), uniform in the open interval (0, 1)."""
        bits = self._bits(math.prod(shape))
        values = ((bits >> 40) & 0xFFFFFF).to(torch.float32).add_(0.5).mul_(2.0**-24)
        return values.view(-1, *shape).to(dtype)

    def normal(self, shape: tuple[int, ...], dtype=torch.float32) -> Tensor:
        """(batch, *shape), standard normal (Box & Muller 1958: two from every 64 bits)."""
        count = math.prod(shape)
        bits = self._bits((count + 1) // 2)
        radius = ((bits >> 40) & 0xFFFFFF).to(torch.float32).add_(0.5).mul_(2.0**-24).log_().mul_(-2.0).sqrt_()
        angle = ((bits >> 16) & 0xFFFFFF).to(torch.float32).mul_(2.0 * math.pi * 2.0**-24)
        values = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
        return values[:, :count].reshape(-1, *shape).to(dtype)

    def shared(self, shape: tuple[int, ...], dtype=torch.float32) -> Tensor:
        """`shape`, uniform in (0, 1): one draw for the whole batch, keyed by its first sample."""
        first = Random(self.seed, f"{self.name}/shared", self.step, self.first)
        self.draws += 1
        first.draws = self.draws
        return first.uniform(shape, dtype)[0]

    def uniform_like(self, x: Tensor) -> Tensor:
        return self.uniform(tuple(x.shape[1:]), x.dtype if x.is_floating_point() else torch.float32)

    def normal_like(self, x: Tensor) -> Tensor:
        return self.normal(tuple(x.shape[1:]), x.dtype)
