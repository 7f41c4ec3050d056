"""Corruptions: what is taken away from the source before it is encoded, while training. The target stays whole.

A corruption is `forward(data, random) -> data`; it keeps the shape, so that corruptions chain, and draws only from
`random`, so that a sample's damage in an epoch does not depend on its company.
"""

from numbers import Real

from .base import Data, Part
from .random import Random


class Noise(Part):
    """Adds Gaussian noise (Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders").

        source = x + std * eps,   eps ~ N(0, I)

    Parameters
    ----------
    std : float, default 0.3
        Standard deviation in the units the network sees: pixels scaled to [0, 1], columns scaled to variance one.

    >>> import torch
    >>> x = Data(torch.zeros(2, 3))
    >>> Noise(0.5)(x, Random(0, "noise", 1, torch.arange(2))).values.shape
    torch.Size([2, 3])
    """

    def __init__(self, std=0.3):
        super().__init__()
        self.std = std

    def build(self, schema):
        if not isinstance(self.std, Real) or not float(self.std) >= 0:
            raise ValueError(f"Noise(std={self.std!r}): a number of zero or more is expected.")

    def forward(self, data: Data, random: Random) -> Data:
        return data.replace(data.values + self.std * random.normal_like(data.values))


class Mask(Part):
    """Sets each value to zero with a chance of `share`, so that it must be rebuilt from its neighbours (Vincent et al. 2010).

        source = x * b,   b ~ Bernoulli(1 - share)

    Parameters
    ----------
    share : float in [0, 1), default 0.25

    >>> import torch
    >>> Mask(0.5)(Data(torch.ones(2, 1000)), Random(0, "mask", 1, torch.arange(2))).values.mean().round(decimals=1)
    tensor(0.5000)
    """

    def __init__(self, share=0.25):
        super().__init__()
        self.share = share

    def build(self, schema):
        if not isinstance(self.share, Real) or not 0 <= float(self.share) < 1:
            raise ValueError(f"Mask(share={self.share!r}): a number in [0, 1) is expected.")

    def forward(self, data: Data, random: Random) -> Data:
        return data.replace(data.values * (random.uniform_like(data.values) >= self.share))


CORRUPTIONS = {"noise": Noise, "mask": Mask}
