"""Layers that several parts are made of."""

import math
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .active import Active, Linear, Places, at_places, linear_map

ACTIVATIONS = {
    "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus,
}  # fmt: skip


def activation_of(name: str | None) -> nn.Module:
    """The activation with that name; None is linear."""
    return nn.Identity() if name is None else ACTIVATIONS[name]()


class Bypass(nn.Module):
    """A linear map of the last hidden activation `h` and, past the hidden layers, of what came in, `x`.

        y = W h + V x + b

    W begins at zero: an untrained network is the linear autoencoder of the V's, and the hidden layers add to it. Two
    matrices, not one of both side by side: nothing has to be copied together, and Muon makes each orthogonal on its own.

    >>> Bypass(64, 784, 32)((torch.zeros(5, 64), torch.zeros(5, 784))).shape
    torch.Size([5, 32])
    """

    def __init__(self, hidden: int, source: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, hidden))
        self.around = nn.Parameter(torch.zeros(width, source))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, both: tuple[Tensor, Tensor | Active]) -> Tensor:
        hidden, source = both
        return torch.addmm(linear_map(source, self.around, self.bias), hidden, self.weight.T)


def linear_from(shape, width: int) -> nn.Module:
    """The linear map of a hidden activation to `width` numbers; `shape`: its shape, or those of two that `Bypass` reads.

    >>> linear_from((7, 7, 8), 32), linear_from(((64,), (784,)), 32)
    (Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=392, out_features=32, bias=True)
    ), Bypass())
    """
    if isinstance(shape[0], tuple):
        hidden, source = map(math.prod, shape)
        return Bypass(hidden, source, width)
    return nn.Sequential(nn.Flatten(), Linear(math.prod(shape), width))


def bias_of(linear: Any) -> Tensor:
    """What a map made by `linear_from` adds."""
    return linear.bias if isinstance(linear, Bypass) else linear[1].bias


def some_of(linear: Any, hidden, places: Places) -> Tensor:
    """(entries,) what a map made by `linear_from` gives at these places, where the rest is not wanted.

    >>> linear, places = linear_from((64,), 128), Places.equally(torch.tensor([[5, 7], [0, 7]]), 128)
    >>> some_of(linear, torch.ones(2, 64), places).shape
    torch.Size([4])
    """
    bypass = isinstance(linear, Bypass)
    pairs = zip(hidden, (linear.weight, linear.around), strict=True) if bypass else [(hidden, linear[1].weight)]
    products = [at_places(x.flatten(1), weight, places) for x, weight in pairs]
    ones = products[0].new_ones(len(places), 1)
    return sum(products[1:], products[0]) + at_places(ones, bias_of(linear)[:, None], places)


def dropped(x: Tensor, share: float, random) -> Tensor:
    """Units set to zero with a chance of `share` and the others enlarged, so that the mean stays (Srivastava et al. 2014)."""
    return x * (random.uniform_like(x) >= share) / (1 - share)


def through_dropped(linear: nn.Linear, x: Tensor | Active, share: float, random) -> Tensor:
    """A linear map without some of its connections, the same for the whole batch (Wan et al. 2013, "DropConnect")."""
    kept = random.shared(tuple(linear.weight.shape), linear.weight.dtype) >= share
    return linear_map(x, linear.weight * kept / (1 - share), linear.bias)


def valid_steps(length: Tensor | None, steps: int) -> Tensor | None:
    """(batch, steps), True before each sample's end; None where nothing is padded.

    >>> valid_steps(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return None if length is None else torch.arange(steps, device=length.device) < length[:, None]


def turned_round(x: Tensor, length: Tensor | None) -> Tensor:
    """(batch, steps, ...) with each sample's valid steps last to first; the padding stays behind them.

    >>> turned_round(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2]))
    tensor([[3, 2, 1],
            [5, 4, 0]])
    """
    if length is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    place = torch.where(step < length[:, None], length[:, None] - 1 - step, step)
    return x[torch.arange(len(x), device=x.device)[:, None], place]


def place_signals(space: tuple[int, ...], width: int, like: Tensor) -> Tensor:
    """(*space, width): what tells the places of a space apart, the same in a space of any size.

        signal_(2k) = sin(place / 10000^(2k / width)),   signal_(2k + 1) = cos(place / 10000^(2k / width))

    Every axis has an equal share of the numbers; those left over are zeros.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.5.

    >>> place_signals((5, 3), 64, torch.zeros(())).shape
    torch.Size([5, 3, 64])
    """
    pairs = width // (2 * len(space))
    rates = 10000 ** (-torch.arange(pairs, device=like.device, dtype=like.dtype) / max(pairs, 1))
    signals = like.new_zeros(*space, width)
    for axis, length in enumerate(space):
        angle = torch.arange(length, device=like.device, dtype=like.dtype)[:, None] * rates
        waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)  # (length, 2 * pairs)
        along = [length if other == axis else 1 for other in range(len(space))]
        signals[..., 2 * pairs * axis : 2 * pairs * (axis + 1)] = waves.view(*along, 2 * pairs)
    return signals


@contextmanager
def kornia_needed(part: str):
    """Around an import of kornia: where it is missing, the command that installs it is named."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{part} needs kornia, which is not installed. Install it: pip install "isthmus[image]"') from error
