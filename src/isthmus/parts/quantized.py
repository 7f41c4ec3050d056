"""Quantised bottlenecks: the code is made of entries of a codebook, so that whole numbers can stand for it."""

import math

import torch
from torch import Tensor, nn

from .base import Code, Part, Step
from .collective import all_gather, all_sum
from .layers import linear_from
from .ranges import number, whole, wholes

_MOST_ENTRIES = 2**24  # of a grid: each is counted


class Quantized(Part):
    """What quantised bottlenecks share: which numbers are quantised together, and how often each entry is used.

    `n_components` numbers are read as vectors of `dim`; of a map (n_components=None) each place's channels are one vector.
    `Code.extra["index"]` holds the chosen entries, (batch, *places[, levels]); `from_index` turns them into codes again.
    After every epoch `health` tells, over its samples,
        perplexity   exp(entropy of the use of the entries): how many of them are used evenly
        usage        perplexity / number of entries
    """

    used: Tensor
    reads_source = True
    halves = {"encoder": ("linear",), "decoder": ()}
    cure = "Set a smaller codebook_size"

    def build_vectors(self, hidden_shape, n_components, dim: int | None, entries: int):
        """Sets the shapes and returns that of the code; `self.dim` numbers are quantised together."""
        if n_components is None:
            self.linear: nn.Module = nn.Identity()
            self.code_shape = tuple(hidden_shape)
            self.width = self.code_shape[-1]
            if dim not in (None, self.width):
                raise ValueError(f"{self!r}: a map with {self.width} channels a place cannot be quantised {dim} at a time.")
        else:
            self.width = n_components if dim is None else dim
            if n_components % self.width:
                raise ValueError(
                    f"{self!r} reads the code as vectors of {self.width}; n_components={n_components} is no multiple of that. "
                    f"Set n_components to {max(1, round(n_components / self.width)) * self.width}."
                )
            self.linear, self.code_shape = linear_from(hidden_shape, n_components), (n_components,)
        self.entries = entries  # that one index can name
        self.register_buffer("used", torch.zeros(entries * self.levels_apart), persistent=False)
        return self.code_shape

    @property
    def levels_apart(self) -> int:
        """Codebooks whose entries add up, each with an index of its own."""
        return 1

    @property
    def index_shape(self) -> tuple[int, ...]:
        return (*self.places, self.levels_apart) if self.levels_apart > 1 else self.places

    @property
    def places(self) -> tuple[int, ...]:
        """The shape of a sample's vectors, without their own axis."""
        *places, last = self.code_shape
        return tuple(places) if places else (last // self.width,)

    def vectors(self, hidden) -> Tensor:
        """(batch, *places, dim)"""
        return self.linear(hidden).reshape(-1, *self.places, self.width)

    @torch.no_grad()
    def after(self, step: Step) -> None:
        self.used += all_sum(torch.bincount(step.code.extra["index"].flatten(), minlength=len(self.used)))

    def health(self) -> dict[str, float]:
        share = self.used / self.used.sum().clamp_min(1)
        perplexity = float(torch.special.entr(share).sum().exp())
        self.used.zero_()
        return {"perplexity": perplexity, "usage": perplexity / len(self.used)}


class VectorQuantized(Quantized):
    """Each vector becomes the nearest of a codebook's (van den Oord et al. 2017, "Neural discrete representation learning").

        z = e_i,   i = argmin_j |v - e_j|;   the gradient of z goes to v
        cost = commitment * |v - e_i|^2

    The codebook follows the vectors it was chosen for by moving averages (their appendix A.1); its first entries are vectors
    of the first batch, and an entry that is hardly used is put where a vector of the current batch lies.

    Parameters
    ----------
    codebook_size : int, default 256; entries, so that one takes a byte
    dim : int or None, default None; numbers quantised together; None: all, and of a map the channels of a place
    commitment : float, default 0.25
    decay : float in [0, 1), default 0.98; of the moving averages
    least_use : float, default 0.1; share of an even use below which an entry is moved

    >>> vq = VectorQuantized(codebook_size=16, dim=2)
    >>> vq.build((64,), 8), vq(torch.zeros(5, 64)).extra["index"].shape
    ((8,), torch.Size([5, 4]))
    """

    codebook: Tensor
    count: Tensor
    total: Tensor
    levels = 1
    ranges = {
        "codebook_size": whole("[2, inf)"),
        "dim": whole("[1, inf)").also(None),
        "commitment": number("[0, inf)"),
        "decay": number("[0, 1)"),
        "least_use": number("[0, 1)"),
    }

    @property
    def levels_apart(self):
        return self.levels

    def __init__(self, codebook_size=256, dim=None, commitment=0.25, decay=0.98, least_use=0.1):
        super().__init__()
        self.codebook_size = codebook_size
        self.dim = dim
        self.commitment = commitment
        self.decay = decay
        self.least_use = least_use

    def build(self, hidden_shape, n_components):
        code_shape = self.build_vectors(hidden_shape, n_components, self.dim, self.codebook_size)
        self.register_buffer("codebook", torch.zeros(self.levels, self.codebook_size, self.width))
        self.register_buffer("count", torch.zeros(self.levels, self.codebook_size))  # moving average of each entry's use
        self.register_buffer("total", torch.zeros(self.levels, self.codebook_size, self.width))  # and of its vectors' sum
        return code_shape

    def forward(self, hidden, random=None) -> Code:
        vectors = self.vectors(hidden)  # (batch, *places, dim)
        if random is not None and not self.count.any():
            self.start(all_gather(vectors.detach()))
        index, residuals, rest = self.chosen(vectors)
        quantised = vectors - rest  # the sum of the chosen entries
        cost = self.commitment * rest.flatten(1).square().sum(1)
        z = vectors + (quantised - vectors).detach()
        stacked = torch.stack(index, -1) if self.levels > 1 else index[0]
        return Code(z.reshape(-1, *self.code_shape), cost, extra={"index": stacked, "residuals": residuals, "by_level": index})

    def chosen(self, vectors: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Codebook by codebook the entries nearest to what those before left, and what that was; then what is left at last."""
        rest, index, residuals = vectors, [], []
        for codebook in self.codebook:
            residuals.append(rest)
            index.append(nearest(rest, codebook))
            rest = rest - codebook[index[-1]]
        return index, residuals, rest

    def project(self, z: Tensor) -> Tensor:
        """Codes made of entries, chosen as for vectors of the encoder, of any codes (batch, *code_shape)."""
        index = self.chosen(z.reshape(-1, *self.places, self.width))[0]
        return self.from_index(torch.stack(index, -1) if self.levels > 1 else index[0])

    def from_index(self, index: Tensor) -> Tensor:
        """Codes (batch, *code_shape) of entries (batch, *places[, levels])."""
        index = index.unsqueeze(-1) if self.levels == 1 else index
        total = sum(self.codebook[level][index[..., level]] for level in range(self.levels))
        return torch.as_tensor(total).reshape(-1, *self.code_shape)

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """The first entries: vectors of the first batch, evenly spaced in their order; later levels take what those leave."""
        rest = vectors.reshape(-1, self.width)
        for level in range(self.levels):
            chosen = torch.linspace(0, len(rest) - 1, self.codebook_size, device=rest.device).round().long()
            apart = (
                1e-3
                * rest.std()
                * torch.randn(  # where there are fewer vectors than entries
                    self.codebook_size, self.width, generator=torch.Generator().manual_seed(level)
                ).to(rest)
            )
            self.codebook[level] = rest[chosen] + apart
            rest = rest - self.codebook[level][nearest(rest, self.codebook[level])]
        self.count.fill_(1.0)
        self.total.copy_(self.codebook)

    @torch.no_grad()
    def after(self, step: Step) -> None:
        levels = zip(step.code.extra["by_level"], step.code.extra["residuals"], strict=True)
        for level, (index, vectors) in enumerate(levels):
            flat, vectors = all_gather(index).flatten(), all_gather(vectors.detach()).reshape(-1, self.width)
            self.used += torch.bincount(flat + level * self.codebook_size, minlength=len(self.used))
            count = torch.bincount(flat, minlength=self.codebook_size).to(vectors)
            total = torch.zeros_like(self.codebook[level]).index_add_(0, flat, vectors)
            self.count[level].lerp_(count, 1 - self.decay)
            self.total[level].lerp_(total, 1 - self.decay)
            self.revive(level, vectors, step)
            self.codebook[level] = self.total[level] / self.count[level, :, None].clamp_min(1e-6)

    def revive(self, level: int, vectors: Tensor, step: Step) -> None:
        """Puts entries that are hardly used where vectors of this batch lie, with an even share of the use."""
        even = self.count[level].mean()
        unused = (self.count[level] < self.least_use * even).nonzero().flatten()
        if len(unused):
            chance = step.random.stream(f"revive {level}").shared((len(unused),)).to(vectors)
            chosen = vectors[(chance * len(vectors)).long()]
            self.count[level, unused] = even
            self.total[level, unused] = even * chosen


class ResidualQuantized(VectorQuantized):
    """Several codebooks, each for what those before left over (Zeghidour et al. 2021, "SoundStream", algorithm 1).

        z = e1_i + e2_j + ...,   e1_i nearest to v, e2_j nearest to v - e1_i, ...

    Parameters
    ----------
    levels : int, default 4; codebooks
    codebook_size, dim, commitment, decay, least_use : as for `VectorQuantized`

    >>> rvq = ResidualQuantized(levels=3, codebook_size=16)
    >>> rvq.build((64,), 8), rvq(torch.zeros(5, 64)).extra["index"].shape
    ((8,), torch.Size([5, 1, 3]))
    """

    ranges = VectorQuantized.ranges | {"levels": whole("[1, inf)")}

    def __init__(self, levels=4, codebook_size=256, dim=None, commitment=0.25, decay=0.98, least_use=0.1):
        super().__init__(codebook_size, dim, commitment, decay, least_use)
        self.levels = levels


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The entry nearest to each vector: (..., dim) and (entries, dim) to (...)."""
    with torch.no_grad():
        return (codebook.square().sum(1) - 2 * vectors @ codebook.T).argmin(-1)


class FiniteScalar(Quantized):
    """Each number is rounded to one of a few levels; the codebook is the grid of them (Mentzer et al. 2024).

        z_i = round(b_i(v_i)) / reach_i,   b_i squeezes into the range of `levels[i]` whole numbers; its gradient is that of b_i

    The numbers take the levels in turn: with (8, 5, 5) a code of six numbers is two vectors, each with 200 entries.

    Parameters
    ----------
    levels : sequence of int, default (8, 6, 5); of the numbers that make one index

    Source: Mentzer et al. 2024, "Finite scalar quantization: VQ-VAE made simple".

    >>> fsq = FiniteScalar((8, 6, 5))
    >>> code = fsq(torch.randn(5, 64)) if fsq.build((64,), 6) else None
    >>> code.extra["index"].shape, torch.allclose(fsq.from_index(code.extra["index"]), code.z)
    (torch.Size([5, 2]), True)
    """

    counts: Tensor
    place: Tensor
    cure = "Set fewer levels"
    ranges = {"levels": wholes("[2, inf)", "levels=(8, 6, 5)")}

    def __init__(self, levels=(8, 6, 5)):
        super().__init__()
        self.levels = levels

    def build(self, hidden_shape, n_components):
        levels = tuple(self.levels) if isinstance(self.levels, list | tuple) else (self.levels,)
        if not levels or math.prod(levels) > _MOST_ENTRIES:
            raise ValueError(
                f"FiniteScalar(levels={self.levels!r}) makes a grid of {math.prod(levels) if levels else 0:,} entries; 2 to "
                f"{_MOST_ENTRIES:,} are expected. Set other levels, such as (8, 6, 5)."
            )
        code_shape = self.build_vectors(hidden_shape, n_components, len(levels), math.prod(levels))
        counts = torch.tensor(levels)
        self.register_buffer("counts", counts, persistent=False)  # levels of each number of a vector
        self.register_buffer("place", torch.cumprod(torch.tensor([1, *levels[:-1]]), 0), persistent=False)  # worth of its digits
        return code_shape

    def forward(self, hidden, random=None) -> Code:
        bounded = self.bounded(self.vectors(hidden))  # (batch, *places, dim)
        digits = bounded + (bounded.round() - bounded).detach()  # whole numbers about zero
        index = ((digits.detach().round() + self.counts // 2).long() * self.place).sum(-1)
        return Code((digits / self.reach).reshape(-1, *self.code_shape), extra={"index": index})

    def from_index(self, index: Tensor) -> Tensor:
        """Codes (batch, *code_shape) of entries (batch, *places)."""
        digits = index.unsqueeze(-1) // self.place % self.counts - self.counts // 2
        return (digits / self.reach).reshape(-1, *self.code_shape)

    def project(self, z: Tensor) -> Tensor:
        """The nearest codes on the grid, of any codes (batch, *code_shape)."""
        least = -(self.counts // 2)
        digits = (z.reshape(-1, *self.places, self.width) * self.reach).round()
        digits = torch.minimum(torch.maximum(digits, least), least + self.counts - 1)
        return (digits / self.reach).reshape(-1, *self.code_shape)

    @property
    def reach(self) -> Tensor:
        """Half the number of levels, rounded down: codes lie in [-1, 1]."""
        return self.counts // 2

    def bounded(self, v: Tensor) -> Tensor:
        """Into the range whose rounding has exactly `levels` values; shifted by a half where their number is even."""
        width = (self.counts - 1) * (1 + 1e-3) / 2
        offset = torch.where(self.counts % 2 == 0, 0.5, 0.0).to(v)
        shift = (offset / width).atanh()
        return (v + shift).tanh() * width - offset
