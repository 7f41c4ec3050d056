"""Every variant, small enough for a test: the table that the laws of the family run over. A new variant is one more row."""

import numpy as np
from sklearn.datasets import load_digits

from isthmus import Autoencoder, presets
from isthmus.objective import ImportanceWeighted, RateDistortion
from isthmus.parts import (
    L1,
    MMD,
    TSNE,
    Adversary,
    Autoregressive,
    CodeNorm,
    Composite,
    Contractive,
    Conv,
    Dense,
    FiniteScalar,
    Gaussian,
    KLSparse,
    Lapped,
    Mixture,
    Noise,
    Pixels,
    Plain,
    Recurrent,
    Rounded,
    Sparsity,
    TopK,
    TotalCorrelation,
    Transformer,
    UNet,
    Vamp,
    VectorQuantized,
)  # fmt: skip

DIGITS = load_digits()
VECTORS = DIGITS.data[:256] / 16
PICTURES = (DIGITS.images[:256] * 15).astype(np.uint8)
LABELS = DIGITS.target[:256]

SMALL = {  # what of a preset does not fit into four numbers as it is
    "beta": {"beta": 1.5}, "beta_tc": {"weight": 1.0}, "sparse": {"weight": 0.01}, "kl_sparse": {"target": 0.3},
    "topk": {"k": 2}, "batch_topk": {"k": 2}, "vq": {"codebook_size": 8, "dim": 2}, "vamp": {"components": 5},
    "recurrent": {"units": 16}, "composite": {"units": 16}, "masked_patches": {"share": 0.25, "patch": 2, "width": 16},
    "residual_vq": {"codebook_size": 8, "levels": 2, "dim": 2}, "fsq": {"levels": (4, 3)}, "regularised": {"components": 3},
}  # fmt: skip


def preset(name: str, n_components=4, **settings) -> Autoencoder:
    """An estimator of the preset, small and seeded."""
    return presets.PRESETS[name](n_components, **{"random_state": 0} | SMALL.get(name, {}) | settings)


def composed(**settings) -> Autoencoder:
    return Autoencoder(**{"n_components": 4, "random_state": 0} | settings)


VARIANTS = {
    **{name: preset(name) for name in presets.PRESETS},
    "wide L1": composed(n_components=100, bottleneck=L1(0.5)),
    "structural similarity": composed(architecture=Conv((4,)), loss="ssim"),
    "sparse map": composed(n_components=None, architecture=Conv((4,)), bottleneck=L1(0.1)),
    "KL of a map": composed(n_components=None, architecture=Conv((4,)), bottleneck=KLSparse()),
    "TopK of a deep net": composed(bottleneck=TopK(2), architecture=Dense((16,))),
    "quantised map": composed(n_components=None, architecture=Conv((4,)), bottleneck=VectorQuantized(8)),
    "levels of a map": composed(n_components=None, architecture=Conv((4,)), bottleneck=FiniteScalar((4, 4, 3, 3))),
    "hidden sparsity": composed(penalties=Sparsity(layer=0), architecture=Dense((16, 8))),
    "sparsity of a transformer": composed(penalties=Sparsity(), architecture=Transformer(8, 1, patch=4)),
    "hidden KL": composed(penalties=Sparsity(-1, "kl"), architecture=Dense((16,), activation="sigmoid")),
    "connections": composed(architecture=Dense((16,), dropout=0.3, dropped="connections")),
    "dropout of each layer": composed(architecture=Dense((16, 8), dropout=(0.1, 0.3))),
    "dropout in convolution": composed(architecture=Conv((4,), dropout=0.2)),
    "dropout of the code": composed(bottleneck=Plain(dropout=0.2)),
    "contractive convolution": composed(architecture=Conv((4,)), penalties=Contractive()),
    "contractive without bypass": composed(architecture=Dense((16,), bypass=False), penalties=Contractive()),
    "several penalties": composed(penalties=[CodeNorm(), Contractive(method="stochastic"), MMD()]),
    "neighbours": composed(penalties=TSNE()),
    "neighbours in convolution": composed(architecture=Conv((4,)), penalties=TSNE(), corruption=Noise(0.3, relative=True)),
    "game in convolution": composed(architecture=Conv((4,)), penalties=Adversary(hidden=(16,))),
    "Gaussian convolution": composed(architecture=Conv((4,)), bottleneck=Gaussian()),
    "rates": composed(bottleneck="gaussian", objective=RateDistortion(3.0)),
    "draws and total correlation": composed(bottleneck="gaussian", objective=ImportanceWeighted(3), penalties=TotalCorrelation()),
    "draws before a mixture": composed(bottleneck="gaussian", objective=ImportanceWeighted(3), prior=Mixture(3)),
    "levels by their neighbours": composed(architecture=Conv((4,)), bottleneck="gaussian", loss=Pixels(hidden=8, components=2)),
    "levels of vectors": composed(bottleneck="gaussian", loss=Pixels(17, hidden=8, components=2)),
    "vamp of pictures": composed(architecture=Conv((4,)), bottleneck="gaussian", prior=Vamp(4)),
    "mixture": composed(prior=Mixture(3)),
    "forced both ways": composed(
        architecture=Recurrent(8, 2, bidirectional=True, teacher_forcing=True, dropout=0.2), kind="sequences"
    ),
    "Gaussian transformer": composed(architecture=Transformer(16, 1, patch=4, dropout=0.2), bottleneck="gaussian"),
    "map of patches": composed(
        n_components=None, architecture=Transformer(8, 1, patch=4, places="learnt"), corruption="mask_patches"
    ),
    "rounded map": composed(n_components=None, architecture=Lapped(8, 2, hidden=8), bottleneck=Rounded()),
    "side paths": composed(architecture=UNet((4, 6), blocks=1), corruption=Noise(0.3), loss="squared"),
    "gated side paths": composed(architecture=UNet((4,), 1, gated=True), corruption=Noise(0.3), loss="absolute"),
    "lapped blocks": composed(architecture=Lapped(8, 2, hidden=8)),
    "autoregressive": composed(bottleneck=VectorQuantized(8, dim=2), prior=Autoregressive(8, epochs=1)),
}  # fmt: skip


def data_for(model: Autoencoder) -> np.ndarray:
    """Pictures for convolution and transformers, their rows as sequences for recurrent networks, vectors for the rest."""
    if isinstance(model.architecture, Recurrent | Composite):
        return VECTORS.reshape(-1, 8, 8)
    return PICTURES if isinstance(model.architecture, Conv | Lapped | Transformer | UNet) else VECTORS


def condition_for(name: str):
    return LABELS if name == "conditional" else None
