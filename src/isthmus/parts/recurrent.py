"""The recurrent architecture: a network that reads a sequence step by step, and one that writes it step by step."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .base import Code, Part
from .layers import dropped, turned_round
from .ranges import flag, number, one_of, whole

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
_WIDTH_OF_TOKENS = 64  # of the vector that a token becomes where it is read back


class Recurrent(Part):
    """Gated units that read a sequence into their last state, and others that write it from the code.

        h_t = cell(x_t, h_(t-1)),   code from h_length;   s_0 = tanh(W z), s_t = cell(z, s_(t-1)),   output_t = V s_t + b

    Under teacher forcing the writer also reads the step before: s_t = cell([z, x_(t-1)], s_(t-1)), where x_(t-1) is the true
    step while it is trained and scored, and in use, from a code alone, what it wrote there itself: the mean of the loss for
    numbers, the likeliest token for tokens. It learns faster so, but leans on the code less.

    Parameters
    ----------
    units : int, default 64; numbers in a state
    layers : int, default 1
    cell : "gru" or "lstm", default "gru"
    bidirectional : bool, default False
        A second reader goes from the last valid step to the first, and the code comes from the last states of both.
    reverse : bool, default False
        The sequence is written from its last step to its first, so that what was read last is asked for first. From a code that
        does not say how long its sequence was, as many steps are written as the writer says, and turned round then.
    teacher_forcing : bool, default False
    dropout : float in [0, 1), default 0.0; share of the states that is dropped between two layers while training

    With n_components=None the code is the last state itself, of `units` numbers (twice as many where bidirectional).

    >>> Recurrent(units=32, bidirectional=True).build_encoder((None, 3), axes=1, n_components=8)
    (64,)

    Source: Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs", whose "conditioned" decoder is
    the one under teacher forcing; the cells: Cho et al. 2014 and Hochreiter & Schmidhuber 1997.
    """

    sizes_vary = True
    halves = {"encoder": ("encoder", "backward"), "decoder": ("first", "decoder", "head", "tokens_read")}
    ranges = {
        "cell": one_of(*CELLS),
        "units": whole("[1, inf)"),
        "layers": whole("[1, inf)"),
        "bidirectional": flag(),
        "reverse": flag(),
        "teacher_forcing": flag(),
        "dropout": number("[0, 1)"),
    }

    def __init__(self, units=64, layers=1, cell="gru", bidirectional=False, reverse=False, teacher_forcing=False, dropout=0.0):
        super().__init__()
        self.units = units
        self.layers = layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.reverse = reverse
        self.teacher_forcing = teacher_forcing
        self.dropout = dropout

    def build_encoder(self, input_shape, axes, n_components):
        self._check(input_shape, axes)
        width = (1 + self.bidirectional) * self.units
        self.encoder = self._cells(input_shape[-1], width)
        self.backward = self._cells(input_shape[-1], width) if self.bidirectional else None
        return (width,)

    def read_target(self, channels: int, tokens: int, ended: bool) -> None:
        """What a step that must come out holds: so many numbers, or one of so many tokens; and whether its end is learnt."""
        self.read_channels, self.tokens, self.ended = channels, tokens, ended

    def build_decoder(self, code_shape, output_shape, axes):
        self._check(output_shape, axes)
        self.steps = output_shape[0]
        if not hasattr(self, "tokens"):  # built on its own, without a network that tells
            self.read_target(output_shape[-1], 0, False)
        if self.reverse and self.steps is None and self.tokens:
            raise ValueError(
                "Recurrent(reverse=True) writes the last step first, but from a code alone nobody knows where tokens end. Set "
                "reverse=False."
            )
        width = math.prod(code_shape)
        self.tokens_read = nn.Embedding(self.tokens, _WIDTH_OF_TOKENS) if self.teacher_forcing and self.tokens else None
        self.read_width = _WIDTH_OF_TOKENS if self.tokens else self.read_channels
        self.first = nn.Linear(width, self._states * self.units * self.layers)
        self.decoder = self._cells(width + self.teacher_forcing * self.read_width, self.units)
        self.head = nn.Linear(self.units, output_shape[-1])

    def encode(self, values: Tensor, length=None, random=None):
        ahead = back = values
        for layer in range(self.layers):
            ahead = self.encoder[layer](ahead)[0]
            if self.backward is not None:
                back = self.backward[layer](turned_round(back, length))[0]  # the padding comes last, so it is read by nobody
            if layer < self.layers - 1:
                ahead = self._dropped(self._beside(ahead, back, length), layer, random)
                back = ahead
        last = self._last(ahead, length)
        return last if self.backward is None else torch.cat([last, self._last(back, length)], 1), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        z = code.z.flatten(1)
        steps = self.steps or self._steps_of(code)
        states: list = self._first_states(z)
        told = z[:, None].expand(-1, steps, -1)
        if not self.teacher_forcing:
            output = self._written(told, states, random)
        elif code.target is not None:
            true = turned_round(code.target, code.length) if self.reverse else code.target
            output = self._written(torch.cat([told, self._one_later(self._read(true))], -1), states, random)
        else:
            output = self._written_alone(code, z[:, None], states, steps)
        return self._in_order(output, code) if self.reverse else output

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        bias: Any = self.head.bias
        bias.copy_(output.flatten(0, -2).mean(0) if output.ndim > 1 else output)

    def set_first_weights(self):
        if self.cell == "lstm":
            open_gates(self, self.units)

    # ---------------------------------------------------------------------------------------------- writing

    def _written(self, x: Tensor, states: list, random) -> Tensor:
        """All steps at once, from what is read at each."""
        for layer, (rnn, state) in enumerate(zip(self.decoder, states, strict=True)):
            x = rnn(x, state)[0]
            if layer < self.layers - 1:
                x = self._dropped(x, layer, random)
        return self.head(x)

    def _written_alone(self, code: Code, z: Tensor, states: list, steps: int) -> Tensor:
        """Step by step, each reading what was written before it."""
        written, before = [], z.new_zeros(len(z), 1, self.read_width)
        for _ in range(steps):
            x = torch.cat([z, before], -1)
            for layer, rnn in enumerate(self.decoder):
                x, states[layer] = rnn(x, states[layer])
            written.append(self.head(x))
            before = self._read(self._said(code, written[-1]))
        return torch.cat(written, 1)

    def _said(self, code: Code, output: Tensor) -> Tensor:
        """What an output says the step is, as the target holds it."""
        if self.tokens:
            return output.argmax(-1)
        return output[..., : self.read_channels] if code.loss is None else code.loss.mean(output)

    def _read(self, values: Tensor) -> Tensor:
        """(batch, steps, channels) of true or written steps."""
        return values if self.tokens_read is None else self.tokens_read(values.long())

    @staticmethod
    def _one_later(x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)

    def _in_order(self, output: Tensor, code: Code) -> Tensor:
        """First step first. Whether a step was the last to be written stays where it was said, where `lengths` looks for it."""
        length = code.length
        if length is None and self.steps is None and code.loss is not None and self.ended:
            length = code.loss.lengths(output)
        if not self.ended:
            return turned_round(output, length)
        return torch.cat([turned_round(output[..., :-1], length), output[..., -1:]], -1)

    # ---------------------------------------------------------------------------------------------- helpers

    @staticmethod
    def _steps_of(code: Code) -> int:
        if code.size is None:
            raise ValueError("Nothing says how many steps to write. Set Code.size, the padded length of what is to come out.")
        return code.size[0]

    @property
    def _states(self) -> int:
        return 2 if self.cell == "lstm" else 1

    def _cells(self, source: int, between: int) -> nn.ModuleList:
        """One for each layer; those above the first read `between` numbers."""
        cell: Any = CELLS[self.cell]
        return nn.ModuleList(cell(between if layer else source, self.units, batch_first=True) for layer in range(self.layers))

    def _first_states(self, z: Tensor) -> list:
        """For each layer its state before the first step, (1, batch, units), or a pair of them."""
        first = torch.tanh(self.first(z)).view(len(z), self.layers, self._states, self.units).permute(1, 2, 0, 3).contiguous()
        return [layer if self._states == 1 else (layer[:1], layer[1:]) for layer in first]

    def _beside(self, ahead: Tensor, back: Tensor, length) -> Tensor:
        """What both readers say of every step; the second's states lie last to first."""
        return ahead if self.backward is None else torch.cat([ahead, turned_round(back, length)], -1)

    @staticmethod
    def _last(states: Tensor, length) -> Tensor:
        """The state after the last valid step."""
        return states[:, -1] if length is None else states[torch.arange(len(states), device=states.device), length - 1]

    def _dropped(self, x: Tensor, layer: int, random) -> Tensor:
        return x if random is None or not self.dropout else dropped(x, self.dropout, random.stream(f"dropout {layer}"))

    @staticmethod
    def _check(shape, axes) -> None:
        if axes != 1:
            raise ValueError(
                f"Recurrent reads and writes sequences, samples of (steps, channels), but a sample has shape {tuple(shape)}. "
                "Give kind='sequences', or choose another architecture."
            )


class Composite(Part):
    """One reader and two writers: the first writes what was read, last step first, the second what comes after it.

        h_t = cell(x_t, h_(t-1)),   z from h_T,   (output_T ... output_1) = write(z),   (output_(T+1) ... output_T') = foretell(z)

    What a code must hold for both is neither a mere memory of the past nor just of its end. The target is the past and the future
    joined, as many steps as both have together. Where it has no further steps, this is `Recurrent(reverse=True)`.

    Parameters
    ----------
    units : int, default 64;   layers : int, default 1;   cell : "gru" or "lstm", default "lstm"; as of `Recurrent`

    >>> network = Composite(16)
    >>> network.build_encoder((10, 3), axes=1, n_components=None)
    (16,)
    >>> network.build_decoder((16,), (14, 3), axes=1)
    >>> network.decode(Code(torch.zeros(5, 16))).shape
    torch.Size([5, 14, 3])

    Source: Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs", section 2.3.
    """

    halves = {"encoder": ("reader",), "decoder": ("past", "future")}
    ranges = {name: Recurrent.ranges[name] for name in ("units", "layers", "cell")}

    def __init__(self, units=64, layers=1, cell="lstm"):
        super().__init__()
        self.units = units
        self.layers = layers
        self.cell = cell

    def build_encoder(self, input_shape, axes, n_components):
        self.steps = input_shape[0]
        self.reader = self._recurrent()
        return self.reader.build_encoder(input_shape, axes, n_components)

    def build_decoder(self, code_shape, output_shape, axes):
        further = output_shape[0] - self.steps
        if further < 0:
            raise ValueError(
                f"The target has {output_shape[0]} steps and the source {self.steps}, but {self!r} rebuilds all that it reads, "
                "and then what comes after. Give the past and the future joined: np.concatenate([past, future], 1)."
            )
        self.past, self.future = self._recurrent(reverse=True), self._recurrent() if further else None
        self.past.build_decoder(code_shape, (self.steps, *output_shape[1:]), axes)
        if self.future is not None:
            self.future.build_decoder(code_shape, (further, *output_shape[1:]), axes)

    def encode(self, values: Tensor, length=None, random=None):
        return self.reader.encode(values, None, random)

    def decode(self, code: Code, random=None) -> Tensor:
        past = self.past.decode(code, random)
        return past if self.future is None else torch.cat([past, self.future.decode(code, random)], 1)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        for writer in self._writers():
            writer.start(output)

    def set_first_weights(self):
        for part in (self.reader, *self._writers()):
            if self.cell == "lstm":
                open_gates(part, self.units)

    def _writers(self) -> list:
        return [self.past] if self.future is None else [self.past, self.future]

    def _recurrent(self, **given) -> Recurrent:
        return Recurrent(self.units, self.layers, self.cell, **given)


@torch.no_grad()
def open_gates(part, units: int) -> None:
    """The forget gates of an LSTM begin open (Jozefowicz et al. 2015)."""
    for name in ("encoder", "backward", "decoder"):
        for rnn in getattr(part, name, None) or []:
            rnn.bias_ih_l0[units : 2 * units] = 1.0
