"""What "auto" stands for, in the order in which `fit` decides. `docs/decisions/0003-recipe.md` says how the rules were found.

What depends on one part alone is said there: the widths of `Dense` and `Conv`, and `scale` in `data/schema.py`.
"""

import math

import torch

from .parts import Mask, Noise

HELD_OUT = 0.1  # the share of the samples to validate on, where a patience needs one and none was given
CORRUPTION_OF_TABLES = Mask(0.25)
CORRUPTION_OF_INTERACTIONS = Mask(0.5)
LEARNING_RATES = {"muon": 4e-2, "adam": 1e-3}  # by optimiser
STEADY_RATES = {"muon": 1e-2, "adam": 1e-3}  # of `partial_fit`, where it does not fall


def device() -> torch.device:
    """The GPU, where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def loss(low: float, high: float, columns: tuple | None = None, kind: str = "vectors") -> str:
    """By the range of the target as the network sees it: bernoulli within [0, 1], else squared; of a table, by its columns; of
    interactions, as counts; of text, by its tokens."""
    if columns is not None:
        return "columns"
    if kind == "interactions":
        return "multinomial"
    if kind == "text":
        return "categorical"
    return "bernoulli" if low >= 0 and high <= 1 else "squared"


def architecture(kind: str, size: tuple = (), wanted: tuple | None = None) -> str:
    """Convolutional for pictures and films, recurrent for sequences and sound, local for text, else dense.

    Convolution and local layers keep the `size` of a sample; where a target of another size is `wanted`, dense layers take their
    place, and of text whose target has steps too, recurrent ones.
    """
    known = {"images": "conv", "video": "conv", "text": "local"} | dict.fromkeys(("sequences", "sound", "mel"), "recurrent")
    found = known.get(kind, "dense")
    if wanted is None or wanted == size or found in ("dense", "recurrent"):
        return found
    return "recurrent" if found == "local" and len(wanted) == 1 else "dense"


def n_components(size: int, wide: bool = False) -> int:
    """A tenth of a sample's `size` numbers, from 2 to 32 and always fewer than there are; `wide`: twice them, up to 4096."""
    if wide:
        return min(2 * size, 4096)
    if size == 1:
        raise ValueError("X has 1 feature(s) (n_features=1); a code smaller than the input needs two or more.")
    return min(max(size // 10, 2), 32, size - 1)


def corruption(weight: float, n_components: int, spread: float) -> Noise | None:
    """The noise that keeps few samples from being learnt by heart; None where there are many.

    `weight` is the number of samples, each counted as often as its weight says, and `spread` the root mean variance of the
    columns, as the network sees them.
    """
    std = min(1.0, 14 / math.sqrt(weight * n_components))
    std = std * spread if std >= 0.05 else 0.0
    return Noise(std) if std else None


def batch_size(weight: float) -> int:
    """The power of two nearest to an eighth of the samples, from 32 to 1024."""
    return 2 ** max(5, min(10, round(math.log2(max(weight, 1) / 8))))


def max_epochs(count: int, batch_size: int) -> int:
    """As many as make a thousand steps."""
    return math.ceil(1000 / math.ceil(count / batch_size))


def weight_decay(optimizer: str, weight: float) -> float:
    """For Muon, more on few samples; none for Adam."""
    return 0.0 if optimizer == "adam" else max(0.1, min(1.0, 300 / weight))
