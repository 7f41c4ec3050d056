"""Parameters as JSON, and the digest of what is written so."""

import hashlib
import json

import numpy as np
import torch

from .parts.base import Parameters


def digest_of(config: dict) -> str:
    """SHA-256 of all that the config says but for this digest itself."""
    rest = {name: value for name, value in config.items() if name != "config_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def written(value, role: str = ""):
    """A parameter as JSON: parts by class and parameters; what only the user has (modules, functions) by name and role."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    if isinstance(value, Parameters):
        params = {name: written(param, name) for name, param in value.get_params(deep=False).items()}
        return {"part": type(value).__name__, "params": params}
    if isinstance(value, np.random.RandomState):
        return None  # the seed that was drawn from it is kept in seed_
    if isinstance(value, torch.device):
        return str(value)
    return {"yours": getattr(value, "__name__", type(value).__name__), "as": role}
