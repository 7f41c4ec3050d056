"""A convolutional network whose code is local: every place of the code stands for a few steps and sees its neighbours."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part
from .layers import ACTIVATIONS, activation_of
from .ranges import odd, one_of, whole


class Local(Part):
    """Convolutions over places of `stride` steps each, without a narrower map in between: for text and other sequences.

        place_p = x_(p s) ... x_(p s + s - 1)         h_0 = act(W place + b),   h_i = act(conv(h_(i-1)))

    The decoder mirrors it. The natural code (n_components=None) is a map of `numbers` at every place, (places, numbers): what is
    learnt at one place serves at all others, so few samples teach it much, and a code says of each stretch what stands there.
    With n_components one code of so many numbers is read from all places together, and what stands where has to be learnt for
    each place anew.

    Parameters
    ----------
    channels : int, default 64
    kernel : int, default 3; places that a convolution reads at once, odd
    layers : int, default 2; convolutions of the encoder, and of the decoder
    stride : int, default 1; steps to a place
    numbers : int, default 1; numbers of the natural code at a place
    activation : str or None, default "silu"

    >>> Local(stride=4, numbers=4).build_encoder((62, 64), axes=1, n_components=None)
    (16, 4)

    Source: Kalchbrenner et al. 2016, "Neural machine translation in linear time", reads bytes by such stacks.
    """

    halves = {"encoder": ("first", "encoder", "last"), "decoder": ("widen", "decoder", "head")}
    ranges = {
        "channels": whole("[1, inf)"),
        "kernel": odd("[1, inf)"),
        "layers": whole("[1, inf)"),
        "stride": whole("[1, inf)"),
        "numbers": whole("[1, inf)"),
        "activation": one_of(*ACTIVATIONS, None),
    }

    def __init__(self, channels=64, kernel=3, layers=2, stride=1, numbers=1, activation="silu"):
        super().__init__()
        self.channels = channels
        self.kernel = kernel
        self.layers = layers
        self.stride = stride
        self.numbers = numbers
        self.activation = activation

    def build_encoder(self, input_shape, axes, n_components):
        if axes != 1:
            raise ValueError(
                f"Local reads sequences, samples of (steps, channels), but a sample has shape {tuple(input_shape)}. Give text or "
                "sequences (kind='sequences'), or choose another architecture."
            )
        self.steps, width = input_shape
        self.places = -(-self.steps // self.stride)
        self.act = activation_of(self.activation)
        self.first = nn.Linear(self.stride * width, self.channels)
        self.encoder = self._convolutions()
        local = n_components is None
        self.last: nn.Module = nn.Linear(self.channels, self.numbers) if local else nn.Identity()
        return (self.places, self.numbers if local else self.channels)

    def build_decoder(self, code_shape, output_shape, axes):
        if output_shape[0] != self.steps:
            raise ValueError(
                f"The target has {output_shape[0]} steps and the source {self.steps}, but Local keeps them. Give a target of the "
                "source's length (Text(longest=...) sets that of both), or use Recurrent, Transformer or Dense."
            )
        if len(code_shape) == 2:
            self.widen: nn.Module = nn.Linear(code_shape[-1], self.channels)
        else:
            self.widen = nn.Sequential(
                nn.Flatten(), nn.Linear(math.prod(code_shape), self.places * self.channels),
                nn.Unflatten(1, (self.places, self.channels)),
            )  # fmt: skip
        self.width = output_shape[-1]
        self.decoder = self._convolutions()
        self.head = nn.Linear(self.channels, self.stride * self.width)

    def encode(self, values: Tensor, length=None, random=None):
        missing = self.places * self.stride - self.steps
        places = F.pad(values, (0, 0, 0, missing)).reshape(len(values), self.places, -1)
        return self.last(self._through(self.encoder, self.act(self.first(places)))), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        places = self.head(self._through(self.decoder, self.act(self.widen(code.z))))  # (batch, places, stride * width)
        return places.reshape(len(places), -1, self.width)[:, : self.steps]

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        bias: Any = self.head.bias
        bias.copy_((output.mean(0) if output.ndim > 1 else output).repeat(self.stride))

    def _convolutions(self) -> nn.ModuleList:
        return nn.ModuleList(
            nn.Conv1d(self.channels, self.channels, self.kernel, padding=self.kernel // 2) for _ in range(self.layers)
        )

    def _through(self, layers, x: Tensor) -> Tensor:
        x = x.mT  # (batch, channels, places)
        for layer in layers:
            x = self.act(layer(x))
        return x.mT
