"""Architectures: the pair of networks that read and write one kind of data.

An architecture sees floats with channels last and nothing else. It offers, in the order of use,
    build_encoder(input_shape, axes, n_components) -> hidden_shape    axes: how many leading axes of the shape are space
                                                                      two shapes: hidden and source, for a `Bypass`
    encode(values, length=None, random=None) -> hidden, side, length  side: what only the decoder may read, or None
    build_decoder(code_shape, output_shape, axes)
    decode(code, random=None) -> output                               (batch, *output_shape)
    start(output)                                                     makes the untrained decoder answer with `output`
`random` is there while training, for dropout, and None otherwise.
Where samples differ in size it must say `sizes_vary`: the shape then holds None, `length` (batch,) counts valid steps along the
first axis (None: all are), and `code.size` is the padded space to be decoded. `encode` answers with the valid steps of a natural
code, if that differs in size too.
Where it says `reads_gaps`, `encode` is given `there` besides, the weights of the values, 0 where one is missing, or None.
    read_target(channels, tokens, ended)    where there is one, called before build_decoder: what a step that must come out
                                            holds, so many numbers or one of so many tokens, and whether its end is learnt
It says in `side_paths` whether its decoder reads `Code.side`, so that a bare code cannot be decoded, and in `halves` which
of its modules belong to the encoder and which to the decoder; in `pace`, at what share of the default learning rate it trains.
"""

import torch
from torch import Tensor, nn

from .base import Code, Part
from .convolution import Conv
from .dense import Dense
from .lapped import Lapped
from .local import Local
from .recurrent import Composite, Recurrent
from .transformer import Transformer
from .translator import Translator
from .unet import UNet

ARCHITECTURES: dict[str, type[Part]] = {
    "dense": Dense, "conv": Conv, "recurrent": Recurrent, "transformer": Transformer, "local": Local,
    "lapped": Lapped, "translator": Translator, "composite": Composite, "unet": UNet,
}  # fmt: skip


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
