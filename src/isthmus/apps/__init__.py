"""Applications: what a code is good for. Each is an estimator of its own, and holds an `Autoencoder` in `model_`."""

from pathlib import Path

from . import base
from .base import Application
from .recommend import Recommender

# By the name that `isthmus fit --task` and config.json know each by.
APPLICATIONS: dict[str, type[Application]] = {one.task: one for one in (Recommender,)}

__all__ = ["APPLICATIONS", "Application", "Recommender", "load_application"]


def load_application(path, parts=None, device=None) -> Application:
    """The application that the folder `path` holds; see `isthmus.load`, which calls this."""
    return base.load_application(Path(path), APPLICATIONS, parts, device)
