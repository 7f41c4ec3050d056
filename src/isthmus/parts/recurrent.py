"""The recurrent architecture: a network that reads a sequence step by step, and one that writes it step by step."""

from typing import Any

import torch
from torch import Tensor, nn

from .base import Code, Part
from .ranges import whole


class Recurrent(Part):
    """Gated recurrent units that read a sequence into their last state, and others that write it from the code.

        h_t = GRU(x_t, h_(t-1)),   code from h_length;   s_0 = tanh(W z), s_t = GRU(z, s_(t-1)),   output_t = V s_t + b

    Parameters
    ----------
    units : int, default 64; numbers in a state
    layers : int, default 1

    >>> Recurrent(32).build_encoder((None, 3), axes=1, n_components=8)
    (32,)

    Source: Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs"; the unit: Cho et al. 2014.
    """

    sizes_vary = True
    halves = {"encoder": ("encoder",), "decoder": ("first", "decoder", "head")}
    ranges = {"units": whole("[1, inf)"), "layers": whole("[1, inf)")}

    def __init__(self, units=64, layers=1):
        super().__init__()
        self.units = units
        self.layers = layers

    def build_encoder(self, input_shape, axes, n_components):
        if axes != 1:
            raise ValueError(
                f"Recurrent reads sequences, samples of (steps, channels), but a sample has shape {tuple(input_shape)}. Give "
                "kind='sequences', or choose another architecture."
            )
        self.encoder = nn.GRU(input_shape[-1], self.units, self.layers, batch_first=True)
        return (self.units,)

    def build_decoder(self, code_shape, output_shape, axes):
        self.steps = output_shape[0]
        width = code_shape[-1]
        self.first = nn.Linear(width, self.units * self.layers)
        self.decoder = nn.GRU(width, self.units, self.layers, batch_first=True)
        self.head = nn.Linear(self.units, output_shape[-1])

    def encode(self, values: Tensor, length=None, random=None):
        states, _ = self.encoder(values)
        if length is None:
            return states[:, -1], None, None
        return states[torch.arange(len(states), device=states.device), length - 1], None, None

    def decode(self, code: Code, random=None) -> Tensor:
        z = code.z.flatten(1)
        steps = self.steps if code.size is None else code.size[0]
        state = torch.tanh(self.first(z)).view(-1, self.layers, self.units).transpose(0, 1).contiguous()
        states, _ = self.decoder(z[:, None].expand(-1, steps, -1), state)
        return self.head(states)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        bias: Any = self.head.bias
        bias.copy_(output.flatten(0, -2).mean(0) if output.ndim > 1 else output)
