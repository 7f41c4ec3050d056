"""Bottlenecks: what limits the code, and what a code costs.

A bottleneck offers
    build(hidden_shape, n_components) -> code_shape    None: the hidden activation itself, in its shape, is what is limited
    set_first_weights()                                sets the first weights that it wants otherwise than Xavier's
    forward(hidden, random=None) -> Code               random=None asks for the deterministic code
    reads_source = True                                if it reads the pair that a `Bypass` needs (`linear_from` makes one)
"""

import torch
from torch import nn

from .architectures import activation_of
from .base import Code, Part
from .layers import bias_of, linear_from


class Plain(Part):
    """Limits the code by its size alone: a linear map of the hidden activation to `n_components` numbers.

        z = activation(W h + b)

    Parameters
    ----------
    activation : str or None, default None
        None keeps the code linear, which trains faster and to a lower loss; the classic texts use "relu".

    >>> import torch
    >>> plain = Plain()
    >>> plain.build((64,), 8)
    (8,)
    >>> plain(torch.zeros(5, 64)).z.shape
    torch.Size([5, 8])
    """

    limits = False  # nothing but the number of components limits the code
    reads_source = True
    halves = {"encoder": ("linear", "act"), "decoder": ()}

    def __init__(self, activation=None):
        super().__init__()
        self.activation = activation

    def build(self, hidden_shape, n_components):
        self.act = activation_of(self.activation)
        self.linear: nn.Module = nn.Identity()
        if n_components is not None:
            self.linear = linear_from(hidden_shape, n_components)
        return hidden_shape if n_components is None else (n_components,)

    @torch.no_grad()
    def set_first_weights(self):
        """Lifts the units of a relu code: one that begins below zero for every sample never wakes."""
        if self.activation == "relu" and not isinstance(self.linear, nn.Identity):
            bias_of(self.linear).fill_(0.3)

    def forward(self, hidden, random=None) -> Code:
        return Code(self.act(self.linear(hidden)))


BOTTLENECKS = {"plain": Plain}
