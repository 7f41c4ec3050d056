"""Parts: what an autoencoder is composed of, and the records that travel between them.

    source -> corruption -> architecture's encoder -> hidden -> bottleneck -> code -> decoder -> output -> loss

Every part is one class: hyper-parameters in `__init__`, weights in `build`, the equation in `forward`. A part that was
given to an estimator is never trained itself: `fit` builds on a copy.
"""

from .architectures import ARCHITECTURES, Modules
from .base import Batch, Code, Data, Part, Step, part_of
from .bottlenecks import BOTTLENECKS, Plain
from .convolution import Conv
from .corruptions import (
    CORRUPTIONS,
    JPEG,
    BlindSpot,
    Blur,
    Downscale,
    Drop,
    Gray,
    Holes,
    Logos,
    Mask,
    MaskPatches,
    Noise,
    SaltPepper,
    Scratches,
    Swap,
    Warp,
    Watermark,
)
from .dense import Dense
from .gaussian import Gaussian
from .lapped import Lapped
from .local import Local
from .losses import LOSSES, SSIM, Absolute, Bernoulli, Categorical, Columns, Custom, Ended, Multinomial, Pinball, Pixels, Squared
from .neighbours import TSNE
from .penalties import MMD, PENALTIES, Adversary, CodeNorm, Contractive, Sparsity, TotalCorrelation
from .priors import PRIORS, Autoregressive, Mixture, Normal, Prior, Vamp
from .quantized import FiniteScalar, ResidualQuantized, VectorQuantized
from .random import Random
from .recurrent import Composite, Recurrent
from .rounded import Rounded
from .sparse import L1, BatchTopK, JumpReLU, KLSparse, TopK
from .transformer import Transformer
from .translator import Translator
from .unet import UNet

__all__ = [
    "ARCHITECTURES", "Absolute", "Adversary", "Autoregressive", "BOTTLENECKS", "Batch", "BatchTopK", "Bernoulli", "BlindSpot",
    "Blur", "CORRUPTIONS", "Categorical", "Code", "CodeNorm", "Columns", "Composite", "Contractive", "Conv", "Custom", "Data",
    "Dense", "Downscale", "Drop", "Ended", "FiniteScalar", "Gaussian", "Gray", "Holes", "JPEG", "JumpReLU", "KLSparse", "L1",
    "LOSSES", "Lapped", "Local", "Logos", "MMD", "Mask", "MaskPatches", "Mixture", "Modules", "Multinomial", "Noise", "Normal",
    "PENALTIES", "PRIORS", "Part", "Pinball", "Pixels", "Plain", "Prior", "Random", "Recurrent", "ResidualQuantized", "Rounded",
    "SSIM", "SaltPepper", "Scratches", "Sparsity", "Squared", "Step", "Swap", "TSNE", "TopK", "TotalCorrelation", "Transformer",
    "Translator", "UNet", "Vamp", "VectorQuantized", "Warp", "Watermark", "part_of",
]  # fmt: skip
