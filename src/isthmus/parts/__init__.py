"""Parts: what an autoencoder is composed of, and the records that travel between them.

    source -> corruption -> architecture's encoder -> hidden -> bottleneck -> code -> decoder -> output -> loss

Every part is one class: hyper-parameters in `__init__`, weights in `build`, the equation in `forward`. A part that was
given to an estimator is never trained itself: `fit` builds on a copy.
"""

from .architectures import ARCHITECTURES, Conv, Dense, Modules
from .base import Batch, Code, Data, Part, Step, part_of
from .bottlenecks import BOTTLENECKS, Plain
from .corruptions import CORRUPTIONS, Mask, Noise
from .losses import LOSSES, Absolute, Bernoulli, Custom, Squared
from .random import Random

__all__ = [
    "ARCHITECTURES", "BOTTLENECKS", "CORRUPTIONS", "LOSSES",
    "Absolute", "Batch", "Bernoulli", "Code", "Conv", "Custom", "Data", "Dense", "Mask", "Modules", "Noise", "Part", "Plain",
    "Random", "Squared", "Step", "part_of",
]  # fmt: skip
