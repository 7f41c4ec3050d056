"""Architectures: the pair of networks that read and write one kind of data.

An architecture sees floats with channels last and nothing else. It offers, in the order of use,
    build_encoder(input_shape, axes, n_components) -> hidden_shape    axes: how many leading axes of the shape are space
                                                                      two shapes: hidden and source, for a `Bypass`
    encode(values, length=None, random=None) -> hidden, side, length  side: what only the decoder may read, or None
    build_decoder(code_shape, output_shape, axes)
    decode(code, random=None) -> output                               (batch, *output_shape)
    start(output)                                                     makes the untrained decoder answer with `output`
`random` is there while training, for dropout, and None otherwise.
It says in `side_paths` whether its decoder reads `Code.side`, so that a bare code cannot be decoded, and in `halves` which
of its modules belong to the encoder and which to the decoder.
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part, is_auto
from .layers import bias_of, dropped, linear_from, through_dropped
from .ranges import flag, listed, number, numbers, odd, one_of, whole, wholes

ACTIVATIONS = {
    "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus,
}  # fmt: skip


def activation_of(name: str | None) -> nn.Module:
    """The activation with that name; None is linear."""
    return nn.Identity() if name is None else ACTIVATIONS[name]()


# ------------------------------------------------------------------------------------------------------ dense


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
        return self.head(self._through(self.decoder, code.z.flatten(1), self.shares[::-1], random)).view((-1, *self.output_shape))

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        bias_of(self.head).copy_(output.flatten())

    def _shape(self, hidden: int, source: int) -> tuple:
        return ((hidden,), (source,)) if self.around else (hidden,)

    @torch.no_grad()
    def set_first_weights(self):
        if self.unit_norm:
            self._normalise()

    @torch.no_grad()
    def after(self, step):
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

    def _through(self, layers, x: Tensor, shares, random):
        """The last hidden activation, and beside it what came in."""
        hidden = layers(x) if random is None or not any(shares) else self._with_dropout(layers, x, shares, random)
        return (hidden, x) if self.around else hidden

    def _with_dropout(self, layers, x: Tensor, shares, random) -> Tensor:
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
        return nn.Sequential(*[m for a, b in pairwise(widths) for m in (nn.Linear(a, b), activation_of(self.activation))])


def taper(n_components: int, layers: int) -> tuple[int, ...]:
    """Widths of `layers` hidden layers that halve towards the code; the last is 64, or twice the code where that is more.

    >>> taper(32, 2), taper(100, 3)
    ((128, 64), (800, 400, 200))
    """
    return tuple(max(64, 2 * n_components) * 2**i for i in reversed(range(layers)))


# ------------------------------------------------------------------------------------------------ convolution

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}


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

    >>> Conv((16, 8), down="pool", up="unpool").build_encoder((28, 27, 1), axes=2, n_components=None)
    (7, 7, 8)

    Source: Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction".
    """

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
        self.stages = (channels, *self._channels(space))  # channels before and after each stage
        self.sizes = [tuple(space)]  # space before and after each stage
        for _ in self.stages[1:]:
            self.sizes.append(tuple(math.ceil(n / 2) for n in self.sizes[-1]))
        stride = 2 if self.down == "stride" else 1
        self.act = activation_of(self.activation)
        self.encoder = nn.ModuleList(self._conv(_CONV[axes], a, b, stride) for a, b in pairwise(self.stages))
        return (*self.sizes[-1], self.stages[-1])

    def build_decoder(self, code_shape, output_shape, axes):
        if tuple(output_shape[:-1]) != self.sizes[0]:
            raise ValueError(
                f"The target's size {tuple(output_shape[:-1])} differs from the source's {self.sizes[0]}, but a "
                "convolutional network keeps the size. Give a target of the source's size, or use Dense."
            )
        self.map_shape = (*self.sizes[-1], self.stages[-1])
        self.widen: nn.Module = nn.Identity()
        if tuple(code_shape) != self.map_shape:
            self.widen = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code_shape), math.prod(self.map_shape)), self.act)
        layer, stride = (_TRANSPOSED[axes], 2) if self.up == "transpose" else (_CONV[axes], 1)
        widths = (output_shape[-1], *self.stages[1:])
        self.decoder = nn.ModuleList(self._conv(layer, b, a, stride) for a, b in reversed(list(pairwise(widths))))

    def encode(self, values: Tensor, length=None, random=None):
        x, side = values.movedim(-1, 1), []  # (batch, channels, *space)
        for stage, conv in enumerate(self.encoder):
            x = self._dropped(self.act(conv(x)), stage, random)
            if self.down == "pool":
                x, places = pool(x)
                side.append(places)
        return x.movedim(1, -1), side if self.side_paths else None, None

    def decode(self, code: Code, random=None) -> Tensor:
        x = self.widen(code.z).reshape(-1, *self.map_shape).movedim(-1, 1)
        sizes, places = reversed(self.sizes[:-1]), code.side or []
        for stage, (layer, size) in enumerate(zip(self.decoder, sizes, strict=True)):
            if stage:
                x = self._dropped(self.act(x), stage, random)
            if self.up == "transpose":
                x = layer(x, output_size=list(size))
            else:
                x = layer(upsample(x, size) if self.up == "upsample" else unpool(x, places[-1 - stage], size))
        return x.movedim(1, -1)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        last: Any = self.decoder[-1]
        last.bias.copy_(output.flatten(0, -2).mean(0))

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
        stages = max(1, min(4, int(math.log2(max(min(space) / 4, 1)) + 0.5)))
        return tuple(min(32 * 2**i, 128) for i in range(stages))

    def _check(self, input_shape, axes) -> None:
        if axes not in _CONV or len(input_shape) != axes + 1:
            raise ValueError(
                f"Conv needs samples with one to three space axes and channels, but a sample has shape {tuple(input_shape)} "
                "with none. Use architecture='dense', or give images (kind='images')."
            )
        if self.up == "unpool" and self.down != "pool":
            raise ValueError("up='unpool' puts maxima back in their places, which only down='pool' remembers. Set down='pool'.")


# ---------------------------------------------------------------------------------------------- your own networks


class Modules(Part):
    """Your own encoder and decoder, any two `nn.Module`s.

    Parameters
    ----------
    encoder : nn.Module
        (batch, *shape) to (batch, *hidden_shape), channels last. With `n_components=None` its output is the code;
        with a number a linear layer of the bottleneck follows.
    decoder : nn.Module
        (batch, *code_shape) to (batch, *output_shape), before the loss's own link (logits for "bernoulli").

    A model saved with it asks for the modules on loading: `load(path, parts={"MyEncoder": MyEncoder(), ...})`, by the
    names of their classes; for the one alone where only that half is loaded.

    >>> own = Modules(nn.Linear(8, 3), nn.Linear(3, 8))
    >>> own.build_encoder((8,), axes=0, n_components=None)
    (3,)
    """

    side_paths = False
    halves = {"encoder": ("encoder",), "decoder": ("decoder",)}

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def build_encoder(self, input_shape, axes, n_components):
        self.hidden_shape = self._try("encoder", input_shape)
        return self.hidden_shape

    def build_decoder(self, code_shape, output_shape, axes):
        self.output_shape = shape = self._try("decoder", code_shape)
        if shape != tuple(output_shape):
            raise ValueError(
                f"The decoder turns a code of shape {tuple(code_shape)} into {shape}, but {tuple(output_shape)} is "
                "expected (channels last). Change its last layer."
            )

    def encode(self, values: Tensor, length=None, random=None):
        return self.encoder(values), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        return self.decoder(code.z)

    def start(self, output: Tensor) -> None:
        """Your own decoder starts as you made it."""

    @torch.no_grad()
    def _try(self, name: str, shape) -> tuple[int, ...]:
        """The shape of one sample's result, found by running two samples of zeros."""
        if not isinstance(getattr(self, name), nn.Module):
            raise TypeError(
                f"Modules({name}={getattr(self, name)!r}): an nn.Module is expected, the object and not its class, such as "
                "nn.Linear(64, 8)."
            )
        try:
            module = getattr(self, name).eval()  # nothing that is counted while training may count this
            example = next(module.parameters(), torch.zeros(0))
            result = module(torch.zeros(2, *shape, dtype=example.dtype, device=example.device))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"The {name} ({type(getattr(self, name)).__name__}) failed on an input of shape (2, "
                f"{', '.join(map(str, shape))}), which it must take: {error}"
            ) from error
        return tuple(result.shape[1:])


class Absent(nn.Module):
    """Stands for the half of `Modules` that was not loaded: answers with zeros of its shape, and cannot be trained."""

    def __init__(self, shape):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, values: Tensor) -> Tensor:
        if self.training:
            raise ValueError("Half of this model's own modules was left out by load(only=...). Load it whole to fit it.")
        return values.new_zeros(len(values), *self.shape)


ARCHITECTURES = {"dense": Dense, "conv": Conv}
