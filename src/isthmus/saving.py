"""Folders of models: config.json, tensors, and README.md, a card. Loading reads numbers and text; it never runs code."""

import hashlib
import importlib
import inspect
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import nn

from . import __version__
from .autoencoder import Autoencoder
from .data import KINDS
from .data.conditions import Condition
from .files import folder_aside, refuse_existing
from .parallel import is_first
from .parts import Modules
from .parts.architectures import Absent
from .parts.base import Parameters
from .reference import Reference
from .written import digest_of, written

FORMAT = 1  # raised whenever a folder written now could not be read by the versions before


class MissingPart(ValueError):
    """A model holds something of the user's own that `load` was not given."""


WEIGHTS = "model.safetensors"
_FILES = ("config.json", WEIGHTS, "README.md", "state.safetensors", "model", "models")  # the last three of an application
_FITTED = ("n_features_in_", "n_iter_", "seed_")
_CODE = ("parts", "objective", "training", "kinds")  # the modules whose classes a config may name


# ------------------------------------------------------------------------------------------------------ save


def save(model: Autoencoder, path, overwrite: bool = False) -> None:
    """Writes `model` to the folder `path`, aside first and then in one rename: a failed save leaves the old one whole."""
    path = Path(path).expanduser()
    if not hasattr(model, "network_") or getattr(model, "loaded_half_", None):
        raise ValueError("Only a fitted, whole model can be saved. Call fit first, or load it without only=.")
    if not is_first():
        return
    refuse_replacing(path, overwrite)
    with folder_aside(path, replace=overwrite) as aside:
        write_files(aside, config_of(model), all_tensors(model), WEIGHTS, card_of(model))


def write_files(folder: Path, config: dict, tensors: dict, name: str, card: str) -> None:
    """The three files of a folder: the tensors, `config` with the digests of both, and the card."""
    content = tensors_to_bytes({name: torch.as_tensor(tensor).contiguous() for name, tensor in tensors.items()})
    config = config | {"sha256": hashlib.sha256(content).hexdigest()}
    config["config_sha256"] = digest_of(config)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / name).write_bytes(content)
    (folder / "README.md").write_text(card, encoding="utf-8")


def refuse_replacing(path: Path, overwrite: bool) -> None:
    """Refuses to replace anything that was not asked for, and anything but a model even when it was."""
    refuse_existing(path, overwrite)
    if not path.exists():
        return
    try:
        read_config(path)
    except (ValueError, OSError):
        raise FileExistsError(f"{path} exists and is no model folder, so it is not replaced. Choose another name.") from None
    others = sorted(p.name for p in path.iterdir() if p.name not in _FILES)
    if others:
        raise FileExistsError(f"{path} holds more than a model ({', '.join(others[:3])}), so it is not replaced. Move that away.")


def all_tensors(model: Autoencoder) -> dict[str, torch.Tensor]:
    tensors = {f"network.{name}": tensor for name, tensor in model.network_.state_dict().items()}
    for role, schema in schemas_of(model).items():
        tensors |= {f"{role}.{name}": tensor for name, tensor in schema.tensors().items()}
    spread = getattr(model, "code_spread_", None)
    tensors |= {} if spread is None else {"code_spread": spread}
    known = getattr(model, "reference_", None)
    tensors |= {} if known is None else {f"reference.{name}": tensor for name, tensor in known.tensors().items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def schemas_of(model: Autoencoder) -> dict:
    both = {"schema": model.schema_}
    return both if model.target_schema_ is model.schema_ else both | {"target_schema": model.target_schema_}


def config_of(model: Autoencoder) -> dict:
    fitted = {name: getattr(model, name) for name in _FITTED}
    if hasattr(model, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in model.feature_names_in_]
    return {
        "format": FORMAT,
        "isthmus": __version__,
        "params": {name: written(value, name) for name, value in model.get_params(deep=False).items()},
        "loss": written(model.loss_),
        "corruption": written(model.corruption_),
        "prior": written(model.prior_),
        "condition": None if model.condition_ is None else model.condition_.config(),
        "asks_condition": model.asks_condition,
        **{role: schema.config() for role, schema in schemas_of(model).items()},
        "modules": shapes_of(model.network_.architecture),
        "block": model.block_,
        "fitted": fitted,
        "history": [{name: written(value) for name, value in record.items()} for record in model.history_],
    }


def shapes_of(architecture) -> dict | None:
    """What the user's own encoder and decoder give, so that either can be loaded without the other's class."""
    if not isinstance(architecture, Modules):
        return None
    return {"encoder": list(architecture.hidden_shape), "decoder": list(architecture.output_shape)}


# ------------------------------------------------------------------------------------------------------ load


def load_model(path, *, parts=None, only=None, device=None) -> Autoencoder:
    """The model in the folder `path`; see `load`."""
    if only not in (None, "encoder", "decoder"):
        raise ValueError(f"only={only!r} is not known. Choose 'encoder', 'decoder', or None for both.")
    path = Path(path).expanduser()
    config = read_config(path)
    tensors = read_tensors(path, config)
    try:
        model = restored(config, tensors, parts or {}, only, device)
    except (KeyError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{path} does not hold what its config.json promises ({str(error).splitlines()[0]}). Restore it from a copy."
        ) from error
    return model


def read_config(path: Path) -> dict:
    file = path / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no model folder: it holds no config.json. Give the folder that save() wrote.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        number = int(config["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged and cannot be read ({error}). Restore it from a copy.") from error
    if number > FORMAT:
        raise ValueError(
            f"{path} has format {number}, written by isthmus {config.get('isthmus')}; this version, {__version__}, reads up to "
            f"{FORMAT}. Update: pip install -U isthmus."
        )
    if config.get("config_sha256") != digest_of(config):
        raise ValueError(
            f"{file} was edited or damaged: it does not have the SHA-256 it was written with. Restore it from a copy."
        )
    return config


def read_tensors(path: Path, config: dict, name: str = WEIGHTS) -> dict[str, torch.Tensor]:
    """The tensors, after their SHA-256 was compared with the one that the config remembers."""
    file = path / name
    if not file.is_file():
        raise FileNotFoundError(f"{path} is incomplete: it holds no {name}. Restore it from a copy.")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != config.get("sha256"):
        raise ValueError(
            f"{file} is damaged or was edited: its SHA-256 is {digest[:12]}..., but config.json says "
            f"{str(config.get('sha256'))[:12]}.... Restore it from a copy."
        )
    return tensors_from_bytes(content)


def restored(config: dict, tensors: dict, parts: dict, only, device) -> Autoencoder:
    parts = parts | stand_ins(config, only)
    params = {name: read(value, parts) for name, value in config["params"].items()}
    model = Autoencoder(**params)
    if device is not None:
        model.device = device
    for role in ("schema", "target_schema"):
        described = config.get(role, config["schema"])
        own = {name.split(".")[1]: t for name, t in tensors.items() if name.startswith(f"{role}.")}
        schema = model.schema_ if role not in config else KINDS[described["kind"]].restore(described, own)
        setattr(model, f"{role}_", schema)
    for name in _FITTED:
        setattr(model, name, config["fitted"][name])
    if "feature_names_in_" in config["fitted"]:
        model.feature_names_in_ = np.array(config["fitted"]["feature_names_in_"], dtype=object)
    model.loss_, model.corruption_ = read(config["loss"], parts), read(config["corruption"], parts)
    model.prior_ = read(config.get("prior"), parts)
    told = config.get("condition")
    model.condition_ = None if told is None else Condition(**told)
    if config.get("asks_condition"):
        model.asks_condition = True
    model.history_ = config["history"]
    model.build_network()
    model.block_ = config.get("block", model.block_)  # of the whole network: in other blocks, the last bits could differ
    weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    if only is not None:
        model.loaded_half_ = only
        model.network_.keep_only(only)
        weights = {name: weights[name] for name in model.network_.state_dict()}
    model.network_.load_state_dict(weights)
    model.code_spread_ = tensors.get("code_spread")
    known = {name.removeprefix("reference."): t for name, t in tensors.items() if name.startswith("reference.")}
    model.reference_ = Reference.restore(known)
    return model


def stand_ins(config: dict, only) -> dict:
    """What takes the place of the user's own module in the half that is not loaded, by the parameter it was given as."""
    shapes = config.get("modules")
    return {} if only is None or shapes is None else {half: Absent(shape) for half, shape in shapes.items() if half != only}


def read(value, parts: dict):
    """The inverse of `written`."""
    if isinstance(value, list):
        return tuple(read(item, parts) for item in value)
    if not isinstance(value, dict):
        return value
    if "part" in value:
        name, params = value["part"], {k: read(v, parts) for k, v in value["params"].items()}
        own = parts.get(name)
        return own if own is not None and not inspect.isclass(own) else (own or known_part(name))(**params)
    return asked_for(value["yours"], parts, value["as"])


def known_part(name: str) -> type:
    """A class of isthmus' own; a name from a file is looked up among these and nowhere else."""
    for module in _CODE:
        found = getattr(importlib.import_module(f".{module}", __package__), name, None)
        if inspect.isclass(found) and issubclass(found, Parameters):
            return found
    return asked_for(name, {})


def asked_for(name: str, parts: dict, role: str = ""):
    """The user's own class, module or function, under its name or, where two have one name, under its role."""
    if name not in parts and role not in parts:
        key, own = (name, name) if name.isidentifier() else (role, "...")
        raise MissingPart(f"The model holds {name}, which is yours. Import it and pass it: load(path, parts={{{key!r}: {own}}}).")
    own = parts[role] if role in parts else parts[name]
    return own() if inspect.isclass(own) and issubclass(own, nn.Module) else own


# ------------------------------------------------------------------------------------------------ model card


def card_of(model: Autoencoder) -> str:
    last = model.history_[-1]
    terms = "".join(
        f"| {name} | {value:.6g} |\n" for name, value in last.items() if name != "seconds" and not isinstance(value, list)
    )
    parameters = sum(p.numel() for p in model.network_.parameters())
    return f"""---
library_name: isthmus
tags: [autoencoder]
---
# An autoencoder of {model.schema_.kind}

Made with [isthmus](https://pypi.org/project/isthmus/) {__version__}: `{" ".join(repr(model).split())}`

A sample of shape {model.schema_.shape} becomes a code of {model.n_components_} numbers; {parameters:,} parameters.

```python
from isthmus import load

model = load("path/to/this/folder")
codes = model.transform(X)
```

| last epoch | |
|---|---|
{terms}
It knows only data like the data it was trained on. Losses are in nats a sample, on the training data unless named otherwise.
"""
