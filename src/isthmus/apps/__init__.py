"""Applications: what a code is good for. Each is an estimator of its own, and holds an `Autoencoder` in `model_`."""

from pathlib import Path

from . import base
from .base import Application
from .check import Check, check
from .detect import OutlierDetector

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"detect": OutlierDetector}

__all__ = ["APPLICATIONS", "Application", "Check", "OutlierDetector", "check", "load_application"]
from .search import SearchIndex

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"search": SearchIndex}

__all__ = ["APPLICATIONS", "Application", "SearchIndex", "load_application"]
from .cluster import Clusterer

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"cluster": Clusterer}

__all__ = ["APPLICATIONS", "Application", "Clusterer", "load_application"]
from .map import Map

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"map": Map}

__all__ = ["APPLICATIONS", "Application", "Map", "load_application"]
from .compress import Compressor

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"compress": Compressor}

__all__ = ["APPLICATIONS", "Application", "Compressor", "load_application"]
from .lossless import LosslessCompressor

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {"lossless": LosslessCompressor}

__all__ = ["APPLICATIONS", "Application", "LosslessCompressor", "load_application"]
from .recommend import Recommender

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {one.task: one for one in (Recommender,)}

__all__ = ["APPLICATIONS", "Application", "Recommender", "load_application"]


def load_application(path, parts=None, device=None) -> Application:
    """The application that the folder `path` holds; see `isthmus.load`, which calls this."""
    return base.load_application(Path(path), APPLICATIONS, parts, device)
