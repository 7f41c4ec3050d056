"""The dense architecture: fully connected layers."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .active import Active, Linear
from .base import Code, Part, is_auto
from .layers import ACTIVATIONS, activation_of, bias_of, dropped, linear_from, through_dropped
from .ranges import flag, listed, numbers, one_of, whole, wholes


class Dense(Part):
    """Fully connected layers that taper towards the code; the decoder mirrors them.

        h_0 = x,   h_i = activation(W_i h_(i-1) + b_i)

    Parameters
    ----------
    hidden : "auto", int or sequence of int, default "auto"
        Nodes of each hidden layer of the encoder, first to last; the decoder has the same, last to first. "auto" makes
        `layers` of them that halve towards the code: 128 and 64 for codes of up to 32. () leaves a linear map.
    layers : int, default 2
        How many hidden layers "auto" makes.
    activation : str or None, default "silu"
        One of relu, silu, gelu, elu, leaky_relu, tanh, sigmoid, softplus; None makes the network linear.
    bypass : bool, default True
        The code also sees the input itself, and the output the code itself: the network is a linear autoencoder plus what
        the hidden layers add. It learns faster and, on few samples, does not fall behind PCA. The classic nets have none.
    dropout : float or sequence of float in [0, 1), default 0.0
        Share that is dropped while training, of every hidden layer of encoder and decoder, or one number for each of the
        encoder's; the decoder mirrors them.
    dropped : "units" or "connections", default "units"
        What is dropped: numbers of the hidden layer (Srivastava et al. 2014), or weights that lead into it (Wan et al. 2013).
    unit_norm : bool, default False
        The columns by which the decoder reads the code keep length one, so that a unit cannot hide what it says in its size.

    >>> Dense(hidden=(128, 64)).build_encoder((784,), axes=0, n_components=32)         # 64, and the input beside it
    ((64,), (784,))
    """

    side_paths = False
    halves = {"encoder": ("encoder",), "decoder": ("decoder", "head")}
    ranges = {
        "hidden": wholes("[1, inf)", "hidden=(128, 64)").also("auto"),
        "layers": whole("[1, inf)"),
        "activation": one_of(*ACTIVATIONS, None),
        "bypass": flag(),
        "dropout": numbers("[0, 1)"),
        "dropped": one_of("units", "connections"),
        "unit_norm": flag(),
    }

    def __init__(self, hidden="auto", layers=2, activation="silu", bypass=True, dropout=0.0, dropped="units", unit_norm=False):
        super().__init__()
        self.hidden = hidden
        self.layers = layers
        self.activation = activation
        self.bypass = bypass
        self.dropout = dropout
        self.dropped = dropped
        self.unit_norm = unit_norm

    def build_encoder(self, input_shape, axes, n_components):
        width = math.prod(input_shape)
        self.widths = self._widths(width, n_components)
        self.around = self.bypass and bool(self.widths) and n_components is not None  # a natural code would hold the input
        self.shares = self._shares()
        self.encoder = self._layers((width, *self.widths))
        return self._shape((self.widths or (width,))[-1], width)

    def build_decoder(self, code_shape, output_shape, axes):
        self.output_shape = tuple(output_shape)
        width = math.prod(code_shape)
        widths = (width, *reversed(self.widths))
        self.decoder = self._layers(widths)
        self.head = linear_from(self._shape(widths[-1], width), math.prod(output_shape))

    def encode(self, values: Tensor, length=None, random=None):
        return self._through(self.encoder, values.flatten(1), self.shares, random), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        read = self._through(self.decoder, code.given.flatten(1), self.shares[::-1], random)
        return self.head(read).view((-1, *self.output_shape))

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        bias_of(self.head).copy_(output.flatten())

    def _shape(self, hidden: int, source: int) -> tuple:
        return ((hidden,), (source,)) if self.around else (hidden,)

    @torch.no_grad()
    def set_first_weights(self):
        if self.unit_norm:
            self._normalise()

    def after(self, step):
        self.settle()

    @torch.no_grad()
    def settle(self):
        if self.unit_norm:
            self._normalise()

    def _normalise(self) -> None:
        """Columns of length one, in every matrix that reads the code."""
        first: Any = self.decoder[0] if len(self.decoder) else None
        last: Any = self.head
        readers = [] if first is None else [first.weight]
        if first is None or self.around:
            readers.append(last.around if self.around else last[1].weight)
        for weight in readers:
            weight.div_(weight.norm(dim=0, keepdim=True).clamp_min(1e-12))

    def _through(self, layers, x: Tensor | Active, shares, random):
        """The last hidden activation, and beside it what came in."""
        hidden = layers(x) if random is None or not any(shares) else self._with_dropout(layers, x, shares, random)
        return (hidden, x) if self.around else hidden

    def _with_dropout(self, layers, x: Tensor | Active, shares, random) -> Tensor | Active:
        for place, share in enumerate(shares):
            linear, activation, source = layers[2 * place], layers[2 * place + 1], random.stream(f"dropout {place}")
            if self.dropped == "connections":
                x = activation(through_dropped(linear, x, share, source))
            else:
                x = dropped(activation(linear(x)), share, source)
        return x

    def _shares(self) -> tuple[float, ...]:
        """What is dropped of each hidden layer of the encoder."""
        given = self.dropout if isinstance(self.dropout, list | tuple) else (self.dropout,) * len(self.widths)
        if len(given) != len(self.widths):
            raise ValueError(
                f"Dense(dropout={self.dropout!r}): a share in [0, 1) is expected, or one for each of the {len(self.widths)} "
                "hidden layers."
            )
        return tuple(map(float, given))

    def _widths(self, width: int, n_components: int | None) -> tuple[int, ...]:
        if not is_auto(self.hidden):
            return tuple(map(int, listed(self.hidden)))
        return taper(n_components or max(width // 10, 1), self.layers)

    def _layers(self, widths) -> nn.Sequential:
        return nn.Sequential(*[m for a, b in pairwise(widths) for m in (Linear(a, b), activation_of(self.activation))])


def taper(n_components: int, layers: int) -> tuple[int, ...]:
    """Widths of `layers` hidden layers that halve towards the code; the last is 64, or twice the code where that is more.

    >>> taper(32, 2), taper(100, 3)
    ((128, 64), (800, 400, 200))
    """
    return tuple(max(64, 2 * n_components) * 2**i for i in reversed(range(layers)))
