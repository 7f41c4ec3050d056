"""Bottlenecks: what limits the code, and what a code costs.

A bottleneck offers
    build(hidden_shape, n_components) -> code_shape    None: the hidden activation itself, in its shape, is what is limited
    set_first_weights()                                sets the first weights that it wants otherwise than Xavier's
    forward(hidden, random=None) -> Code               random=None asks for the deterministic code
    sizes_vary = True                                  if it limits maps that differ in size from sample to sample
    wide = True                                        if "auto" is to give it more components than the input has numbers
    reads_source = True                                if it reads the pair that a `Bypass` needs (`linear_from` makes one)
    batch_cost(code, sample_weight) -> () or (batch,)  where the price is one of the whole batch, instead of `Code.cost`
    auxiliary(step) -> (batch,) or None                a further term of the objective
    health() -> {name: number}                         what its codes were like since it was last asked, after every epoch
    cure                                               what to set where they hardly say anything, a sentence without its stop
    posterior = True, draw(code, random), log_posterior(code, z), beta, price     if a sample is a density over codes
    charged = True, beta                               if its cost is the rate, in nats, that a code takes in a file
    from_index(index) -> z, entries, index_shape                           if codes are entries of a codebook
"""

import torch
from torch import nn

from .base import Code, Part
from .gaussian import Gaussian
from .layers import ACTIVATIONS, activation_of, bias_of, dropped, linear_from
from .quantized import FiniteScalar, ResidualQuantized, VectorQuantized
from .ranges import number, one_of
from .rounded import Rounded
from .sparse import L1, BatchTopK, JumpReLU, KLSparse, TopK


class Plain(Part):
    """Limits the code by its size alone: a linear map of the hidden activation to `n_components` numbers.

        z = activation(W h + b)

    Parameters
    ----------
    activation : str or None, default None
        None keeps the code linear, which trains faster and to a lower loss; the classic texts use "relu".
    dropout : float in [0, 1), default 0.0; share of the code's units that is dropped while training

    >>> import torch
    >>> plain = Plain()
    >>> plain.build((64,), 8)
    (8,)
    >>> plain(torch.zeros(5, 64)).z.shape
    torch.Size([5, 8])
    """

    limits = False  # nothing but the number of components limits the code
    reads_source = True
    sizes_vary = True
    halves = {"encoder": ("linear", "act"), "decoder": ()}
    ranges = {"activation": one_of(*ACTIVATIONS, None), "dropout": number("[0, 1)")}

    def __init__(self, activation=None, dropout=0.0):
        super().__init__()
        self.activation = activation
        self.dropout = dropout

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
        z = self.act(self.linear(hidden))
        return Code(dropped(z, self.dropout, random) if self.dropout and random is not None else z)


BOTTLENECKS: dict[str, type[Part]] = {
    "plain": Plain, "l1": L1, "kl_sparse": KLSparse, "topk": TopK, "batch_topk": BatchTopK, "jumprelu": JumpReLU,
    "gaussian": Gaussian, "vector_quantized": VectorQuantized, "residual_quantized": ResidualQuantized,
    "finite_scalar": FiniteScalar, "rounded": Rounded,
}  # fmt: skip
