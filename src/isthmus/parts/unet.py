"""The architecture for restoring pictures: convolutions at several resolutions, with side paths and a residual output."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part
from .layers import ACTIVATIONS, activation_of
from .ranges import flag, listed, one_of, whole, wholes

_GATE = 1.2  # a sigmoid stretched to -0.1 .. 1.1 and cut, so that a gate can be shut altogether

_FIRST = 0.3  # of Xavier's, the first weights of what a block adds


class UNet(Part):
    """Convolutions at ever coarser resolutions and back, each finer one handed past the coarser (Ronneberger et al. 2015).

        x0 = conv(unshuffle(source)),   x_(i+1) = halve(blocks(x_i)),   y_n = blocks(x_n)
        y_i = blocks(double(y_(i+1)) + x_i),   output = source + shuffle(conv(y_0))

    A block is x + conv(act(conv(x))). The unshuffle turns squares of `unshuffle` pixels a side into channels, so that even the
    finest convolutions run on a quarter of the places (Zhang et al. 2018, "FFDNet"); sums instead of concatenations and blocks
    without normalisation are those of Zhang et al. 2021 ("Plug-and-play image restoration", DRUNet). What the decoder sees
    besides the code, the source among it, travels in `Code.side`: for restoring, where a code alone would cap how good the
    result can be. A bare code cannot be decoded.

    Parameters
    ----------
    channels : int or sequence of int, default (48, 64, 96)
        Channels at each resolution, finest first; as many resolutions as there are numbers, fewer where pictures are small.
    blocks : int, default 1; blocks at each resolution on the way down, and on the way up
    unshuffle : int, default 2; side of the squares of pixels that become channels; 1 leaves pixels as they are
    residual : bool, default True
        Whether the source is added to the output, as is right for loss="squared" and "absolute". It needs as many channels as
        the target, more (the first count), or one.
    gated : bool, default False
        Whether what is added is multiplied by a gate, one number a pixel, which can shut:
        output = source + clip(1.2 sigmoid(g) - 0.1, 0, 1) * residual. Where it is shut the source comes out unchanged.
    reads_gaps : bool, default True
        Whether the network is told which values are missing (`reconstruct(X, missing=...)`, `MaskPatches`, `Holes`), by a
        channel of its own.
    activation : str or None, default "relu"

    Pictures of any size: they are continued to whole squares by their last row and column, and what comes out is cut to size.
    A pixel of the output depends on those within `reach` pixels alone.

    >>> net = UNet((8, 16), blocks=1)
    >>> net.build_encoder((28, 27, 1), axes=2, n_components=None), net.reach
    ((7, 7, 16), 24)

    Source: Ronneberger, Fischer & Brox 2015, "U-Net: Convolutional networks for biomedical image segmentation".
    """

    sizes_vary = True
    side_paths = True
    can_copy = True
    halves = {"encoder": ("head", "down", "halve", "bottom"), "decoder": ("widen", "enlarge", "up", "tail")}
    ranges = {
        "channels": wholes("[1, inf)", "channels=(48, 64, 96)"),
        "blocks": whole("[1, inf)"),
        "unshuffle": whole("[1, inf)"),
        "residual": flag(),
        "gated": flag(),
        "reads_gaps": flag(),
        "activation": one_of(*ACTIVATIONS, None),
    }

    def __init__(
        self, channels=(48, 64, 96), blocks=1, unshuffle=2, residual=True, gated=False, reads_gaps=True, activation="relu"
    ):
        super().__init__()
        self.channels = channels
        self.blocks = blocks
        self.unshuffle = unshuffle
        self.residual = residual
        self.gated = gated
        self.reads_gaps = reads_gaps
        self.activation = activation

    def build_encoder(self, input_shape, axes, n_components):
        self._check(input_shape, axes, n_components)
        *space, self.source_channels = input_shape
        self.space, self.widths = tuple(space), self._widths(space)
        first = (self.source_channels + bool(self.reads_gaps)) * self.unshuffle**2
        self.head = conv(first, self.widths[0], 3)
        self.down = nn.ModuleList(self._blocks(width) for width in self.widths[:-1])
        self.halve = nn.ModuleList(conv(a, b, 2, stride=2) for a, b in zip(self.widths, self.widths[1:], strict=False))
        self.bottom = self._blocks(self.widths[-1])
        self.map_shape: tuple[Any, ...] = (*(None if n is None else math.ceil(n / self.multiple) for n in space), self.widths[-1])
        return self.map_shape

    def build_decoder(self, code_shape, output_shape, axes):
        self._check_output(tuple(output_shape))
        self.output_channels = output_shape[-1]
        self.widen: nn.Module = nn.Identity()
        if tuple(code_shape) != self.map_shape:
            self.widen = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code_shape), math.prod(self.map_shape)))
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        self.enlarge = nn.ModuleList(doubling(b, a) for a, b in reversed(pairs))
        self.up = nn.ModuleList(self._blocks(width) for width in self.widths[-2::-1])
        self.tail = conv(self.widths[0], (self.output_channels + self.gated) * self.unshuffle**2, 3)

    @property
    def multiple(self) -> int:
        """Pixels a side that a number of the code's map stands for."""
        return self.unshuffle * 2 ** (len(self.widths) - 1)

    @property
    def reach(self) -> int:
        """Pixels, in each direction, that a pixel of the output can depend on."""
        finest, *coarser = (self.unshuffle * 2**level for level in range(len(self.widths)))
        each = 2 * self.blocks  # convolutions of three, on the way down and again on the way up
        passed = 2 * each * finest if coarser else each * finest
        for level, side in enumerate(coarser, start=1):
            passed += (2 if level < len(coarser) else 1) * each * side
        return passed + 2 * finest + self.multiple  # and the first and last convolution; then the place within a square

    def encode(self, values: Tensor, length=None, random=None, there=None):
        x = values
        if self.reads_gaps:
            gap = values.new_zeros(values[..., :1].shape) if there is None else 1 - there.mean(-1, keepdim=True).to(values)
            x = torch.cat([values, gap.expand(values[..., :1].shape)], -1)
        x = F.pixel_unshuffle(self._whole_squares(x.movedim(-1, 1)), self.unshuffle)
        x, side = self.head(x.contiguous(memory_format=torch.channels_last)), [values]
        for blocks, halve in zip(self.down, self.halve, strict=True):
            x = blocks(x)
            side.append(x)
            x = halve(x)
        return self.bottom(x).movedim(1, -1), side, None

    def decode(self, code: Code, random=None) -> Tensor:
        assert code.side is not None
        source, *finer = code.side
        height, width = source.shape[1:3]
        x = self.widen(code.z)
        x = x.reshape(len(x), *(math.ceil(n / self.multiple) for n in (height, width)), self.widths[-1]).movedim(-1, 1)
        for enlarge, blocks in zip(self.enlarge, self.up, strict=True):
            x = blocks(enlarge(x) + finer.pop())
        x = F.pixel_shuffle(self.tail(x), self.unshuffle).movedim(1, -1)[:, :height, :width]
        if self.gated:
            soft = _GATE * torch.sigmoid(x[..., -1:]) - (_GATE - 1) / 2
            x = x[..., :-1] * (soft + (soft.clamp(0, 1) - soft).detach())  # a gate that is shut can still learn to open
        return source[..., : self.output_channels] + x if self.residual else x

    @torch.no_grad()
    def set_first_weights(self) -> None:
        """What blocks add begins small, or sums of many of them would begin large."""
        for block in (module for module in self.modules() if isinstance(module, ResidualBlock)):
            block.second.weight.mul_(_FIRST)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        """An untrained network answers with its source, or where it is not added, with `output`."""
        self.tail.weight.mul_(0.01 if self.residual else 1.0)
        if not self.residual and not self.gated:
            mean = output.flatten(0, -2).mean(0) if output.ndim > 1 else output
            bias: Any = self.tail.bias
            bias.copy_(mean.repeat_interleave(self.unshuffle**2))

    def _whole_squares(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) continued below and on the right by its last row and column."""
        below, right = (-n % self.multiple for n in x.shape[2:])
        return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x

    def _blocks(self, width: int) -> nn.Module:
        return nn.Sequential(*(ResidualBlock(width, self.activation) for _ in range(self.blocks)))

    def _widths(self, space) -> tuple[int, ...]:
        """Channels of the resolutions that pictures have room for: two places a side at the coarsest."""
        wanted, least = tuple(map(int, listed(self.channels))), min((n for n in space if n is not None), default=math.inf)
        kept = 1
        while kept < len(wanted) and self.unshuffle * 2 ** (kept + 1) <= least:
            kept += 1
        return wanted[:kept]

    def _check(self, input_shape, axes, n_components) -> None:
        if axes != 2 or len(input_shape) != 3:
            raise ValueError(
                f"UNet restores pictures, but a sample has shape {tuple(input_shape)}. Give images (n, height, width[, "
                "channels]), kind='images', or use another architecture."
            )
        if not listed(self.channels):
            raise ValueError("UNet(channels=()): at least one resolution is expected, such as channels=(48, 64, 96).")
        if n_components is not None and None in input_shape:
            raise ValueError(
                f"The samples differ in size, and a code of {n_components} numbers asks for one size. Set n_components=None (-n "
                "none): the code is then a map that grows with the sample."
            )

    def _check_output(self, output_shape) -> None:
        if output_shape[:-1] != self.space:
            raise ValueError(
                f"The target's size {output_shape[:-1]} differs from the source's {self.space}, but a U-Net keeps the size. Give "
                "a target of the source's size."
            )
        if self.residual and self.source_channels != 1 and self.source_channels < output_shape[-1]:
            raise ValueError(
                f"residual=True adds the source, of {self.source_channels} channels, to an output of {output_shape[-1]}. Give a "
                "source of as many channels, or of one, or set residual=False."
            )


class ResidualBlock(nn.Module):
    """y = x + conv(act(conv(x))), both of kernel 3.

    >>> ResidualBlock(8, "relu")(torch.zeros(2, 8, 5, 4)).shape
    torch.Size([2, 8, 5, 4])
    """

    def __init__(self, width: int, activation: str | None):
        super().__init__()
        self.first, self.act, self.second = conv(width, width, 3), activation_of(activation), conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.act(self.first(x)))


def conv(source: int, target: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(source, target, kernel, stride=stride, padding=kernel // 2 if stride == 1 else 0)
    return layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def doubling(source: int, target: int) -> nn.ConvTranspose2d:
    """A transposed convolution that writes a square of two pixels a side for each place, without overlap."""
    return nn.ConvTranspose2d(source, target, 2, stride=2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
