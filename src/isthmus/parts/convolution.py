"""The convolutional architecture, in one to three dimensions."""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part, is_auto
from .layers import ACTIVATIONS, activation_of, dropped, place_signals, valid_steps
from .ranges import listed, number, odd, one_of, wholes

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
_SIGNALS = 48  # numbers that say which place it is
_EXAMPLE = 32  # steps along an axis that varies, by which the number of stages is chosen


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Halves every space axis of (batch, channels, *space) by the maximum of 2-wide windows, and remembers their places."""
    return _POOL[x.ndim - 2](x, 2, ceil_mode=True, return_indices=True)


def unpool(x: Tensor, places: Tensor, size) -> Tensor:
    """Puts every maximum back in its place, with zeros elsewhere (Zeiler & Fergus 2014); `size`: the space to fill."""
    return _UNPOOL[x.ndim - 2](x, places, [2] * (x.ndim - 2), output_size=list(size))


def upsample(x: Tensor, size) -> Tensor:
    """Fills every 2-wide window of a space of `size` with the value it came from."""
    for axis, length in enumerate(size, start=2):
        x = x.repeat_interleave(2, dim=axis).narrow(axis, 0, length)
    return x


def masked(x: Tensor, length: Tensor | None, fill: float = 0.0) -> Tensor:
    """(batch, channels, *space) with `fill` behind each sample's `length` along the first axis of space."""
    there = valid_steps(length, x.shape[2])
    return x if there is None else torch.where(there.view(len(x), 1, -1, *[1] * (x.ndim - 3)), x, fill)


def halved(length: Tensor | None, times: int = 1) -> Tensor | None:
    """Valid steps after so many stages; an odd one stays."""
    for _ in range(times):
        length = length if length is None else (length + 1) // 2
    return length


class Conv(Part):
    """Convolutions that halve the space stage by stage; the decoder doubles it again, to exactly the size that came in.

    Each stage is a convolution and an activation. `down` says how the space is halved, `up` how it is doubled:

    - down="pool": max-pooling of 2-wide windows.          down="stride": the convolution itself moves by two.
    - up="unpool": each maximum goes back to its place, with zeros elsewhere, then a convolution. The decoder needs the
      places, so a bare code cannot be decoded. Needs down="pool".
    - up="upsample": each value fills its window, then a convolution.
    - up="transpose": a transposed convolution of stride two.

    Parameters
    ----------
    channels : "auto", int or sequence of int, default "auto"
        Channels after each stage; "auto" doubles from 32 to 128, in one to four stages that leave about four pixels a side.
    kernel : int, default 3
        Width of the kernels in every space axis; odd.
    down : "stride" or "pool", default "stride"
    up : "transpose", "upsample" or "unpool", default "transpose"
    activation : str or None, default "silu"
    dropout : float in [0, 1), default 0.0; share of the numbers after every stage that is dropped while training

    Samples may differ in size: sequences in their length, pictures of one batch not at all. "auto" then makes three stages. What
    lies behind a sample's end is set to zero after every stage, so that nothing leaks from the padding. A natural code
    (n_components=None) is a map as large as its sample; a code of n numbers is read from the mean and the maximum of each channel
    over the map, and written by a network that starts from the code and a signal for the place, at every place of the smallest
    map. What is written at a step then depends on the code and the step alone, not on how many are asked for.

    >>> Conv((16, 8), down="pool", up="unpool").build_encoder((28, 27, 1), axes=2, n_components=None)
    (7, 7, 8)

    Source: Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction".
    """

    sizes_vary = True
    halves = {"encoder": ("encoder",), "decoder": ("decoder", "widen")}
    ranges = {
        "channels": wholes("[1, inf)", "channels=(32, 64)").also("auto"),
        "kernel": odd("[1, inf)"),
        "down": one_of("stride", "pool"),
        "up": one_of("transpose", "upsample", "unpool"),
        "activation": one_of(*ACTIVATIONS, None),
        "dropout": number("[0, 1)"),
    }

    def __init__(self, channels="auto", kernel=3, down="stride", up="transpose", activation="silu", dropout=0.0):
        super().__init__()
        self.channels = channels
        self.kernel = kernel
        self.down = down
        self.up = up
        self.activation = activation
        self.dropout = dropout

    @property
    def side_paths(self):
        return self.up == "unpool"

    def build_encoder(self, input_shape, axes, n_components):
        self._check(input_shape, axes)
        *space, channels = input_shape
        self.space = tuple(space)
        self.stages = (channels, *self._channels(space))  # channels before and after each stage
        self.pooled = None in space and n_components is not None
        stride = 2 if self.down == "stride" else 1
        self.act = activation_of(self.activation)
        self.encoder = nn.ModuleList(self._conv(_CONV[axes], a, b, stride) for a, b in pairwise(self.stages))
        last = self.stages[-1]
        return (2 * last,) if self.pooled else (*self._sizes(self.space)[-1], last)

    def build_decoder(self, code_shape, output_shape, axes):
        if tuple(output_shape[:-1]) != self.space:
            raise ValueError(
                f"The target's size {tuple(output_shape[:-1])} differs from the source's {self.space}, but a "
                "convolutional network keeps the size. Give a target of the source's size, or use Dense."
            )
        self.map_shape = (*self._sizes(self.space)[-1], self.stages[-1])
        self.widen: nn.Module = nn.Identity()
        if self.pooled:
            self.widen = Spread(math.prod(code_shape), self.stages[-1], self.activation)
        elif tuple(code_shape) != self.map_shape:
            self.widen = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code_shape), math.prod(self.map_shape)), self.act)
        layer, stride = (_TRANSPOSED[axes], 2) if self.up == "transpose" else (_CONV[axes], 1)
        widths = (output_shape[-1], *self.stages[1:])
        self.decoder = nn.ModuleList(self._conv(layer, b, a, stride) for a, b in reversed(list(pairwise(widths))))

    def encode(self, values: Tensor, length=None, random=None):
        x, side = masked(values.movedim(-1, 1), length), []  # (batch, channels, *space)
        for stage, conv in enumerate(self.encoder):
            x = self._dropped(self.act(conv(x)), stage, random)
            if self.down == "pool":
                x, places = pool(masked(x, length, -math.inf))
                side.append(places)
            length = halved(length)
            x = masked(x, length)
        if self.pooled:
            return mean_and_maximum(x, length), side if self.side_paths else None, None
        return x.movedim(1, -1), side if self.side_paths else None, length

    def decode(self, code: Code, random=None) -> Tensor:
        space, spare = self._space_of(code), self._spare()
        sizes = self._sizes((space[0] + spare, *space[1:]) if spare else space)
        length = code.length if self.side_paths or not self.pooled else None  # a bare code is to be written alike
        lengths = [halved(length, times) for times in range(len(sizes))]
        x, places = masked(self._first_map(code, sizes[-1]), lengths[-1]), code.side or []
        for stage, layer in enumerate(self.decoder):
            size = sizes[-2 - stage]
            if stage:
                x = self._dropped(self.act(x), stage, random)
            if self.up == "transpose":
                x = layer(x, output_size=list(size))
            else:
                x = upsample(x, size) if self.up == "upsample" else unpool(x, places[-1 - stage], size)
                x = layer(masked(x, lengths[-2 - stage]))
            x = masked(x, lengths[-2 - stage])
        return x.movedim(1, -1)[:, : space[0]] if spare else x.movedim(1, -1)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        last: Any = self.decoder[-1]
        last.bias.copy_(output.flatten(0, -2).mean(0) if output.ndim > 1 else output)

    def _sizes(self, space) -> list[tuple]:
        """The space before and after each stage; None stays where it varies."""
        sizes = [tuple(space)]
        for _ in self.stages[1:]:
            sizes.append(tuple(None if n is None else math.ceil(n / 2) for n in sizes[-1]))
        return sizes

    def _space_of(self, code: Code) -> tuple[int, ...]:
        """What is to be written: as large as is known, or, of a bare map, what its places stand for."""
        if None not in self.space:
            return self.space
        if self.pooled and code.size is None:
            raise ValueError(
                "Nothing says how large the sample of a bare code is, for their sizes differ. Use reconstruct(X), or "
                "n_components=None, whose codes are maps as large as their samples."
            )
        if self.pooled or (code.size is not None and self._sizes(code.size)[-1] == tuple(code.z.shape[1:-1])):
            return tuple(code.size or ())
        return tuple(m << len(self.decoder) if n is None else n for n, m in zip(self.space, code.z.shape[1:-1], strict=True))

    def _spare(self) -> int:
        """Steps that are written behind the last one and thrown away, so that none feels the border: of sequences whose code
        does not hold their length."""
        return (
            2 ** len(self.decoder) * (self.kernel // 2 + 1) if self.pooled and len(self.space) != 2 and not self.side_paths else 0
        )

    def _first_map(self, code: Code, size) -> Tensor:
        """(batch, channels, *size)"""
        if isinstance(self.widen, Spread):
            return self.widen(code.z.flatten(1), size).movedim(-1, 1)
        return self.widen(code.z).reshape(-1, *size, self.stages[-1]).movedim(-1, 1)

    def _dropped(self, x: Tensor, stage: int, random) -> Tensor:
        return x if random is None or not self.dropout else dropped(x, self.dropout, random.stream(f"dropout {stage}"))

    def _conv(self, layer, source: int, target: int, stride: int) -> nn.Module:
        conv = layer(source, target, self.kernel, stride=stride, padding=self.kernel // 2)
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):  # channels last is how the data comes, and up to 3x faster
            conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return conv

    def _channels(self, space) -> tuple[int, ...]:
        if not is_auto(self.channels):
            if self.channels in ((), []):
                raise ValueError("Conv(channels=()): at least one stage is expected, such as channels=(32, 64).")
            return tuple(map(int, listed(self.channels)))
        stages = max(1, min(4, int(math.log2(max(min(n or _EXAMPLE for n in space) / 4, 1)) + 0.5)))
        return tuple(min(32 * 2**i, 128) for i in range(stages))

    def _check(self, input_shape, axes) -> None:
        if axes not in _CONV or len(input_shape) != axes + 1:
            raise ValueError(
                f"Conv needs samples with one to three space axes and channels, but a sample has shape {tuple(input_shape)} "
                "with none. Use architecture='dense', or give images (kind='images')."
            )
        if self.up == "unpool" and self.down != "pool":
            raise ValueError("up='unpool' puts maxima back in their places, which only down='pool' remembers. Set down='pool'.")


class Spread(nn.Module):
    """A code at every place of a map of any size, with a signal that says which place it is.

        h = act(W z + U signal),   y = act(V h + b)

    >>> Spread(8, 32, "silu")(torch.zeros(5, 8), (4, 3)).shape
    torch.Size([5, 4, 3, 32])
    """

    def __init__(self, width: int, channels: int, activation: str | None):
        super().__init__()
        self.code = nn.Linear(width, channels)
        self.place = nn.Linear(_SIGNALS, channels, bias=False)
        self.both = nn.Linear(channels, channels)
        self.act = activation_of(activation)

    def forward(self, z: Tensor, size) -> Tensor:
        places = self.place(place_signals(tuple(size), _SIGNALS, z))  # (*size, channels)
        told = self.code(z).view(len(z), *[1] * len(size), -1)
        return self.act(self.both(self.act(told + places)))


def mean_and_maximum(x: Tensor, length: Tensor | None) -> Tensor:
    """(batch, 2 * channels): of each channel over the places before `length` of (batch, channels, *space), zero behind it."""
    count = x[0, 0].numel() if length is None else (length * x[0, 0, 0].numel())[:, None]
    return torch.cat([x.flatten(2).sum(2) / count, masked(x, length, -math.inf).flatten(2).amax(2)], 1)
