"""The architecture for what comes next in films: frames in, other frames out, of another number where that is wanted."""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part
from .layers import ACTIVATIONS, activation_of
from .ranges import flag, listed, odd, one_of, whole, wholes


class Translator(Part):
    """The same convolutions read every frame, a translator sees all frames at once, and the same convolutions write each new one.

        m_t = read(x_t),   h = B_k(... B_1(W [m_1 ... m_T])),   z = the bottleneck's
        (n_1 ... n_T') = V B_2k(... B_(k+1)(z)),   y_t = write(n_t, first map of x_T)
        B(h) = h + P_2 act(P_1 norm(D h)),   D: a wide kernel in each channel by itself, P: over the channels of a place

    `read` halves the frames stage by stage, and `write` doubles them back to exactly the size that came in. Where things move
    to depends on all frames, so that only the translator mixes them; what they look like is read and written frame by frame. The
    target may have another number of frames than the source. The natural code (n_components=None) is a map, `hidden` numbers at
    every place of the smallest map of a frame.

    Parameters
    ----------
    channels : int or sequence of int, default (16, 32); of a frame's map after each halving
    hidden : int, default 128; channels of the translator
    blocks : int, default 3; B's on either side of the code
    kernel : int, default 7; width of the translator's kernels in places, odd
    skips : bool, default True
        The writer also sees the first map of the last frame, so that what does not move stays sharp. A bare code then cannot be
        decoded.
    activation : str, default "silu"

    >>> Translator((8, 16), hidden=24).build_encoder((10, 30, 31, 1), axes=3, n_components=None)
    (8, 8, 24)

    Source: Gao et al. 2022, "SimVP: simpler yet better video prediction", with the blocks of Liu et al. 2022, "A ConvNet for the
    2020s", in place of its groups of convolutions.
    """

    pace = 0.5
    halves = {"encoder": ("reader", "merge", "mixer"), "decoder": ("widen", "unmixer", "split", "writer", "still")}
    ranges = {
        "channels": wholes("[1, inf)", "channels=(16, 32)"),
        "hidden": whole("[1, inf)"),
        "blocks": whole("[1, inf)"),
        "kernel": odd("[1, inf)"),
        "skips": flag(),
        "activation": one_of(*ACTIVATIONS),
    }

    def __init__(self, channels=(16, 32), hidden=128, blocks=3, kernel=7, skips=True, activation="silu"):
        super().__init__()
        self.channels = channels
        self.hidden = hidden
        self.blocks = blocks
        self.kernel = kernel
        self.skips = skips
        self.activation = activation

    @property
    def side_paths(self):
        return self.skips

    def build_encoder(self, input_shape, axes, n_components):
        self.stages = tuple(map(int, listed(self.channels)))
        if not self.stages:
            raise ValueError("Translator(channels=()): at least one stage is expected, such as channels=(16, 32).")
        if axes != 3 or None in input_shape:
            raise ValueError(
                f"Translator reads films of one size, (frames, height, width, channels), but a sample has shape "
                f"{tuple(input_shape)}. Give clips (kind='video'), or choose another architecture."
            )
        self.frames, *space, channels = input_shape
        self.sizes = [tuple(space)]
        for _ in self.stages:
            self.sizes.append(tuple(math.ceil(n / 2) for n in self.sizes[-1]))
        self.act = activation_of(self.activation)
        self.reader = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise((channels, *self.stages)))
        self.merge = nn.Conv2d(self.frames * self.stages[-1], self.hidden, 1)
        self.mixer = self._blocks()
        return (*self.sizes[-1], self.hidden)

    def build_decoder(self, code_shape, output_shape, axes):
        self.later, *space, channels = output_shape
        if tuple(space) != self.sizes[0]:
            raise ValueError(
                f"The target's frames are {tuple(space)} and the source's {self.sizes[0]}, but a Translator keeps their size. "
                "Give frames of one size."
            )
        self.map_shape = (*self.sizes[-1], self.hidden)
        self.widen: nn.Module = nn.Identity()
        if tuple(code_shape) != self.map_shape:
            self.widen = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code_shape), math.prod(self.map_shape)), self.act)
        self.unmixer = self._blocks()
        self.split = nn.Conv2d(self.hidden, self.later * self.stages[-1], 1)
        widths = (*reversed(self.stages), channels)
        self.writer = nn.ModuleList(nn.ConvTranspose2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.still = nn.Conv2d(self.stages[0], self.stages[0], 1) if self.skips else None
        for layer in self.modules():  # channels last is how the data comes, and faster
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, values: Tensor, length=None, random=None):
        x, first = values.flatten(0, 1).movedim(-1, 1), values  # (batch * frames, channels, height, width)
        for stage, conv in enumerate(self.reader):
            x = self.act(conv(x))
            first = x.unflatten(0, (len(values), self.frames))[:, -1] if stage == 0 else first
        x = x.unflatten(0, (len(values), self.frames)).flatten(1, 2)  # (batch, frames * channels, h, w)
        x = self._through(self.mixer, self.merge(x))
        return x.movedim(1, -1), [first] if self.skips else None, None

    def decode(self, code: Code, random=None) -> Tensor:
        x = self.widen(code.z).reshape(-1, *self.map_shape).movedim(-1, 1)
        x = self.split(self._through(self.unmixer, x))
        x = self.act(x.unflatten(1, (self.later, self.stages[-1])).flatten(0, 1))
        for stage, layer in enumerate(self.writer):
            if stage == len(self.writer) - 1 and self.still is not None and code.side is not None:
                x = self._beside(x, self.still(code.side[0]))
            x = layer(x, output_size=list(self.sizes[-2 - stage]))
            x = self.act(x) if stage < len(self.writer) - 1 else x
        return x.movedim(1, -1).unflatten(0, (-1, self.later))

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        last: Any = self.writer[-1]
        last.bias.copy_(output.flatten(0, -2).mean(0))

    def _beside(self, x: Tensor, still: Tensor) -> Tensor:
        """The maps of all frames to be, each with the last frame's beside it."""
        return (x.unflatten(0, (-1, self.later)) + still[:, None]).flatten(0, 1)

    def _blocks(self) -> nn.ModuleList:
        return nn.ModuleList(Block(self.hidden, self.kernel, self.activation) for _ in range(self.blocks))

    @staticmethod
    def _through(blocks, x: Tensor) -> Tensor:
        for block in blocks:
            x = block(x)
        return x


class Block(nn.Module):
    """h + P_2 act(P_1 norm(D h)): a wide kernel in each channel by itself, then all channels of a place together.

    >>> Block(8, 5, "silu")(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, channels: int, kernel: int, activation: str | None):
        super().__init__()
        self.space = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.up = nn.Conv2d(channels, 2 * channels, 1)
        self.down = nn.Conv2d(2 * channels, channels, 1)
        self.act = activation_of(activation)

    def forward(self, x: Tensor) -> Tensor:
        h = self.space(x).movedim(1, -1)
        h = F.layer_norm(h, h.shape[-1:]).movedim(-1, 1)  # over the channels of a place
        return x + self.down(self.act(self.up(h)))
