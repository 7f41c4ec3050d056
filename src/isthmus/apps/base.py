"""What every application is: an estimator that holds an autoencoder in `model_`, and is kept in a folder beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder, __version__
from ..files import folder_aside
from ..saving import FORMAT, is_first, load_model, read, read_config, read_tensors, refuse_replacing, write_files, written

MODEL = "model"  # the folder of the autoencoder, and the parameter that it may be given as
FURTHER = "models"  # the folder of further ones, where an application is of several
STATE = "state.safetensors"


class Application(BaseEstimator):
    """An estimator that holds an autoencoder and uses its public verbs only.

    A subclass says what its model is where none is given (`_default_model`), fits it (`_fit_model`), and names what it found
    besides: `_state` (what JSON can hold) and `_tensors` (arrays by name), and `_restore`, the inverse of both.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        None is the application's own choice; a dict, that choice with these parameters changed, such as
        `{"max_epochs": 5}`. Of an Autoencoder that is not fitted, `fit` trains a copy; one that is fitted is used as it
        stands, and never trained again.
    random_state : int, RandomState or None, default None
        Of a model too that has none of its own.

    Attributes
    ----------
    model_ : the fitted Autoencoder
    """

    task: ClassVar[str] = ""  # its name: in APPLICATIONS, in config.json, and for `isthmus fit --task`
    kind: ClassVar[str] = "auto"  # of the data that it is for, where it is for one kind
    model_optional: ClassVar[bool] = False  # whether it may do without a model, in closed form
    model: Any
    random_state: Any
    model_: Any
    further_: Sequence[Autoencoder] = ()  # models beside `model_`, for an application that is of several

    @classmethod
    def kind_of_path(cls, path) -> str:
        """The kind that a path is read as, where nobody says it."""
        return cls.kind

    def _default_model(self, X) -> Autoencoder:
        """The autoencoder for `X` where the user names none, not fitted."""
        raise NotImplementedError

    def _state(self) -> dict:
        """What `fit` found, as JSON holds it."""
        return {}

    def _tensors(self) -> dict[str, np.ndarray]:
        """What `fit` found, as arrays by name."""
        return {}

    def _restore(self, state: dict, tensors: dict[str, np.ndarray]) -> None:
        """Takes back what `_state` and `_tensors` gave."""

    # ------------------------------------------------------------------------------------------------- fit

    def _fit_model(self, X, **fit_params) -> None:
        """Sets `model_`: the model given, where it is fitted, else a copy of it, or the default, fitted to `X`."""
        self._refuse_other_kind()
        if is_fitted(self.model):
            self.model_ = self.model
        else:
            self.model_ = self._chosen_model(X).fit(X, **fit_params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.model_, name):
                setattr(self, name, getattr(self.model_, name))

    def _refuse_other_kind(self) -> None:
        """Refuses a model that was fitted to another kind of data than the application is for."""
        if is_fitted(self.model) and self.kind not in ("auto", self.model.schema_.kind):
            raise ValueError(
                f"The model given was fitted to {self.model.schema_.kind}, but {type(self).__name__} is for {self.kind}. Give "
                f"one that was fitted with kind={self.kind!r}, or none."
            )

    def _chosen_model(self, X) -> Autoencoder:
        """The model to fit: of the application's choosing, changed as a dict says, or a copy of the one given."""
        if self.model is None or isinstance(self.model, dict):
            model = self._default_model(X).set_params(**(self.model or {}))
        elif isinstance(self.model, Autoencoder):
            model = clone(self.model)
        else:
            raise TypeError(
                f"model={self.model!r}: an Autoencoder, a dict of its parameters, or None is expected, such as "
                "model=Autoencoder(32) or model={'max_epochs': 5}."
            )
        return model if model.random_state is not None else model.set_params(random_state=self.random_state)

    # ------------------------------------------------------------------------------------------------ save

    def save(self, path, overwrite=False):
        """Writes the folder `path`: config.json, state.safetensors, README.md, and the autoencoder in model/; see `load`."""
        check_is_fitted(self, "model_")
        if not is_first():
            return
        path = Path(path).expanduser()
        refuse_replacing(path, overwrite)
        params = {name: value for name, value in self.get_params(deep=False).items() if name != MODEL}
        config = {
            "format": FORMAT,
            "isthmus": __version__,
            "application": self.task,
            "params": {name: written(value, name) for name, value in params.items()},
            MODEL: self._model_written(),
            "state": self._state(),
        }
        with folder_aside(path, replace=overwrite) as aside:
            write_files(aside, config, self._tensors(), STATE, self._card())
            if self.model_ is not None:
                self.model_.save(aside / MODEL)
            for place, model in enumerate(self.further_):
                model.save(aside / FURTHER / str(place))

    @classmethod
    def _load(cls, path: Path, config: dict, parts: dict | None, device: str | None) -> "Application":
        """The application in the folder `path`, whose config.json says what follows."""
        tensors = {name: tensor.numpy() for name, tensor in read_tensors(path, config, STATE).items()}
        params = {name: read(value, parts or {}) for name, value in config["params"].items()}
        loaded = cls(**params)
        there = (path / MODEL).is_dir()
        if not (there or cls.model_optional):
            raise ValueError(f"{path} is incomplete: its folder {MODEL}/ is missing. Restore it from a copy.")
        loaded.model_ = load_model(path / MODEL, parts=parts, device=device) if there else None
        places = range(len(list((path / FURTHER).glob("*"))))
        loaded.further_ = [load_model(path / FURTHER / str(place), parts=parts, device=device) for place in places]
        loaded.model = loaded._model_read(config[MODEL], parts or {})
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(loaded.model_, name):
                setattr(loaded, name, getattr(loaded.model_, name))
        loaded._restore(config["state"], tensors)
        return loaded

    def _model_written(self):
        """The parameter `model` as JSON; of an Autoencoder no more than whether it was fitted, for it lies beside."""
        if self.model is None:
            return None
        if isinstance(self.model, dict):
            return {name: written(value, name) for name, value in self.model.items()}
        return "fitted" if is_fitted(self.model) else "not fitted"

    def _model_read(self, value, parts: dict):
        """The inverse of `_model_written`."""
        if isinstance(value, str):
            return self.model_ if value == "fitted" or self.model_ is None else clone(self.model_)
        return None if value is None else {name: read(one, parts) for name, one in value.items()}

    def _card(self) -> str:
        """README.md of the folder."""
        name = type(self).__name__
        return f"""---
library_name: isthmus
tags: [autoencoder, {self.task}]
---
# {name}

Made with [isthmus](https://pypi.org/project/isthmus/) {__version__}: `{" ".join(repr(self).split())}`

```python
from isthmus import load

application = load("path/to/this/folder")  # {name}; its autoencoder is application.model_, and lies in model/
```

It knows only data like the data it was trained on.
"""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_fitted(model) -> bool:
    return isinstance(model, Autoencoder) and hasattr(model, "network_")


def load_application(path: Path, known: dict[str, type[Application]], parts=None, device=None) -> Application:
    """The application that the folder `path` holds, of a class that is known."""
    config = read_config(path)
    name = config["application"]
    if name not in known:
        raise ValueError(
            f"{path} holds an application {name!r}, which isthmus {__version__} does not know: it was written by isthmus "
            f"{config.get('isthmus')}. Update: pip install -U isthmus."
        )
    try:
        return known[name]._load(path, config, parts, device)
    except (KeyError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{path} does not hold what its config.json promises ({str(error).splitlines()[0]}). Restore it from a copy."
        ) from error
