"""A transform of overlapping blocks, as image codecs have, with small networks that correct what goes in and what comes out."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part, is_auto
from .layers import ACTIVATIONS, activation_of
from .ranges import one_of, pair_of_wholes, whole


class Lapped(Part):
    """Pictures through a linear transform of overlapping blocks, and residual convolutions on the map of its numbers.

        v = L x,   h = v + N(v)                z = code of h,   output = L' (z + M(z))

    L reads 2 block x 2 block pixels at every block of the picture, and L' writes as many, which overlap, so that no edges of
    blocks are seen (Malvar & Staelin 1989, "The LOT: transform coding without blocking effects"). Both are learnt. They begin
    as the discrete cosine transform of JPEG on the inner half, and N and M, each `layers` times  v + conv(act(conv(v))),  begin
    at zero: an untrained network is the transform of JPEG, and what is learnt adds to it. All convolutions but L and L' run at
    one place a block, which makes it an order of magnitude cheaper than `Conv` of the same channels.

    Pictures may differ in size; those that are no whole number of blocks are continued with their last row and column. The
    natural code (n_components=None) is a map with one place a block; to a code of n numbers it is read as a whole.

    Parameters
    ----------
    width : "auto" or int, default "auto"
        Channels of the map. "auto" keeps every number of a block of a grey picture; of three colours those of their sum, and half
        as many of each of two differences, as JPEG does where it halves the colours.
    block : int, default 8; pixels along each side
    layers : two int, default (1, 2); residual convolutions of N and of M
    hidden : int, default 128; channels within them
    activation : str or None, default "silu"

    >>> Lapped().build_encoder((None, None, 1), axes=2, n_components=None)
    (None, None, 64)

    Source: Ballé, Laparra & Simoncelli 2017 learn transforms for compression end to end, with networks throughout.
    """

    side_paths = False
    sizes_vary = True
    pace = 0.075  # the transform is good to begin with, and large steps would undo it
    halves = {"encoder": ("analysis", "encoder"), "decoder": ("synthesis", "decoder", "widen")}
    ranges = {
        "width": whole("[1, inf)").also("auto"),
        "block": whole("[2, inf)"),
        "layers": pair_of_wholes("[0, inf)"),
        "hidden": whole("[1, inf)"),
        "activation": one_of(*ACTIVATIONS, None),
    }

    def __init__(self, width="auto", block=8, layers=(1, 2), hidden=128, activation="silu"):
        super().__init__()
        self.width = width
        self.block = block
        self.layers = layers
        self.hidden = hidden
        self.activation = activation

    def build_encoder(self, input_shape, axes, n_components):
        if axes != 2:
            raise ValueError(
                f"Lapped reads pictures, but a sample has shape {tuple(input_shape)}. Use architecture='conv' or 'dense', or "
                "give images (kind='images')."
            )
        *space, channels = input_shape
        if None in space and n_components is not None:
            raise ValueError(f"Lapped makes a map as large as the picture, and n_components={n_components}. Set it to None.")
        self.space = tuple(space)
        area, side = self.block**2, 2 * self.block
        self.numbers = min((channels + 1) * area // 2 if is_auto(self.width) else self.width, channels * area)
        self.act = activation_of(self.activation)
        self.analysis = nn.Conv2d(channels, self.numbers, side, stride=self.block)
        self.encoder = self._residuals(self.layers[0])
        return (*(None if length is None else -(-length // self.block) for length in space), self.numbers)

    def build_decoder(self, code_shape, output_shape, axes):
        if tuple(output_shape[:-1]) != self.space:
            raise ValueError(
                f"The target's size {tuple(output_shape[:-1])} differs from the source's {self.space}, but Lapped keeps the "
                "size. Give a target of the source's size, or use Dense."
            )
        places = tuple(-(-length // self.block) for length in self.space) if None not in self.space else ()
        self.map_shape = (*places, self.numbers)
        whole_map = len(code_shape) == 3
        if whole_map and code_shape[-1] != self.numbers:
            raise ValueError(f"A map of {code_shape[-1]} channels was to be decoded by {self!r}, whose maps have {self.numbers}.")
        self.widen: nn.Module = nn.Identity()
        if not whole_map:
            self.widen = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code_shape), math.prod(self.map_shape)))
        self.decoder = self._residuals(self.layers[1])
        self.synthesis = nn.ConvTranspose2d(self.numbers, output_shape[-1], 2 * self.block, stride=self.block)

    def encode(self, values: Tensor, length=None, random=None):
        x = values.movedim(-1, 1)  # (batch, channels, height, width)
        high, wide = (-size % self.block for size in x.shape[2:])
        half = self.block // 2
        x = F.pad(x, (half, half + self.block % 2 + wide, half, half + self.block % 2 + high), mode="replicate")
        v = self._corrected(self.encoder, self.analysis(x))
        return v.movedim(1, -1), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        z = self.widen(code.z)
        z = z.reshape(len(z), *self.map_shape) if z.ndim == 2 else z
        z = self._corrected(self.decoder, z.movedim(-1, 1))
        output = self.synthesis(F.pad(z, (1, 1, 1, 1), mode="replicate"))  # blocks beyond the border reach into it
        start = self.block + self.block // 2
        height, width = self._space_of(code, z.shape[2:])
        return output[:, :, start : start + height, start : start + width].movedim(1, -1)

    @torch.no_grad()
    def set_first_weights(self):
        """The discrete cosine transform on the inner half of each window; the networks beside it begin at zero."""
        channels = self.analysis.in_channels
        basis = cosines(channels, self.block, self.numbers).to(self.analysis.weight)
        place = slice(self.block // 2, self.block // 2 + self.block)
        for layer in (self.analysis, self.synthesis):
            layer.weight.zero_()
        self.analysis.weight[:, :, place, place] = basis
        if self.synthesis.out_channels == channels:
            self.synthesis.weight[:, :, place, place] = basis
        residuals: Any = [*self.encoder, *self.decoder]
        for residual in residuals:
            nn.init.zeros_(residual[-1].weight)
            nn.init.zeros_(residual[-1].bias)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        """The mean pixel is added after the transform, and taken away before it where source and target are alike."""
        mean = output.flatten(0, -2).mean(0) if output.ndim > 1 else output
        assert self.synthesis.bias is not None and self.analysis.bias is not None
        self.synthesis.bias.copy_(mean)
        if len(mean) == self.analysis.in_channels:
            self.analysis.bias.copy_(-torch.einsum("ocij,c->o", self.analysis.weight, mean.to(self.analysis.weight)))

    def _residuals(self, count: int) -> nn.ModuleList:
        def conv(source: int, target: int) -> nn.Conv2d:
            return nn.Conv2d(source, target, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        n, h = self.numbers, self.hidden
        return nn.ModuleList(nn.Sequential(conv(n, h), self.act, conv(h, n)) for _ in range(count))

    def _corrected(self, residuals, x: Tensor) -> Tensor:
        for residual in residuals:
            x = x + residual(x)
        return x

    def _space_of(self, code: Code, places) -> tuple[int, ...]:
        """What is to be written: as large as is known, or, of a bare map, what its places stand for."""
        if None not in self.space:
            return self.space
        if code.size is not None and [-(-length // self.block) for length in code.size] == list(places):
            return tuple(code.size)
        return tuple(place * self.block for place in places)


def cosines(channels: int, block: int, count: int) -> Tensor:
    """(count, channels, block, block): the first so many, low frequencies first, of the orthonormal cosine transform of every
    channel; of three, of their sum and two differences, the last two counted as twice as high in frequency.

    >>> basis = cosines(3, 4, 48).flatten(1)
    >>> torch.allclose(basis @ basis.T, torch.eye(48), atol=1e-5)
    True
    """
    k, place = torch.arange(block)[:, None], torch.arange(block)[None]
    wave = torch.cos(math.pi * (place + 0.5) * k / block) * math.sqrt(2 / block)  # (frequency, place)
    wave[0] = math.sqrt(1 / block)
    mixed = torch.eye(channels)
    if channels == 3:
        mixed = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
        mixed = mixed / mixed.norm(dim=1, keepdim=True)
    whole = torch.einsum("ec,ui,vj->euvcij", mixed, wave, wave).reshape(-1, channels, block, block)
    colour, u, v = torch.meshgrid(torch.arange(channels), torch.arange(block), torch.arange(block), indexing="ij")
    height = (u + v + 1) * torch.where((colour > 0) & (channels == 3), 2, 1)
    return whole[height.flatten().argsort(stable=True)[:count]]
