"""isthmus: train an autoencoder on the data you have, and put its code to work.

>>> from isthmus import Autoencoder, presets, datasets, load
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# MKL, which multiplies torch's matrices on most processors, then adds in one order whatever the number of threads (threads.py).
# It reads this once, before the first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

# Importing the package imports neither torch nor scikit-learn: each name is fetched when it is first used.
_HOMES = {"Autoencoder": "autoencoder", "Text": "kinds", "Training": "training", "load": "loading"}
_MODULES = ("apps", "callbacks", "data", "datasets", "parts", "plots", "presets", "report")

__all__ = [
    "Autoencoder",
    "Text",
    "Training",
    "__version__",
    "apps",
    "callbacks",
    "data",
    "datasets",
    "load",
    "parts",
    "plots",
    "presets",
    "report",
]

if TYPE_CHECKING:
    from . import apps, callbacks, data, datasets, parts, plots, presets, report
    from .autoencoder import Autoencoder
    from .kinds import Text
    from .loading import load
    from .training import Training


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'isthmus' has no attribute {name!r}")


def __dir__():
    return __all__
