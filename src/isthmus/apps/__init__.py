"""Applications: what a code is good for. Each is an estimator of its own, and holds an `Autoencoder` in `model_`."""

from pathlib import Path

from . import base
from .base import Application
from .check import Check, check
from .cluster import Clusterer
from .compress import Compressor
from .detect import OutlierDetector
from .forecast import Forecaster
from .generate import Generator
from .lossless import LosslessCompressor
from .map import Map
from .marks import Mark, find_mark, without_mark
from .objects import without_object
from .recommend import Recommender
from .restore import Restorer
from .search import SearchIndex

_ALL = (
    Map, Clusterer, SearchIndex, OutlierDetector, Compressor, LosslessCompressor, Restorer, Forecaster, Recommender, Generator,
)  # fmt: skip
APPLICATIONS: dict[str, type[Application]] = {one.task: one for one in _ALL}  # as `isthmus fit --task` and config.json know each

__all__ = [
    "APPLICATIONS", "Application", "Check", "Clusterer", "Compressor", "Forecaster", "Generator", "LosslessCompressor", "Map",
    "Mark", "OutlierDetector", "Recommender", "Restorer", "SearchIndex", "check", "find_mark", "load_application",
    "without_mark", "without_object",
]  # fmt: skip


def load_application(path, parts=None, device=None) -> Application:
    """The application that the folder `path` holds; see `isthmus.load`, which calls this."""
    return base.load_application(Path(path), APPLICATIONS, parts, device)
