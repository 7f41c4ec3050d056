"""What a report is made of: a model's codes and errors on some data, and PCA's beside them."""

from functools import cached_property
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from . import plots
from .data import KINDS, as_array, open_data

COLUMNS = {  # of the comparison: heading, how a value is written, whether more is better (None: neither)
    "numbers": ("numbers a sample", "{:,}".format, None),
    "active": ("active numbers", "{:.3g}".format, None),
    "error": ("squared error", "{:.4g}".format, False),
    "explained": ("variance explained", "{:.1%}".format, True),
    "right": ("categories right", "{:.1%}".format, True),
    "accuracy": ("1-NN accuracy", "{:.1%}".format, True),
}


class Study:
    """Everything the table and the page are made of, computed when first asked for and then kept.

    `values` are samples as (n, features); what begins with `train` is None where no training data were given.
    """

    def __init__(
        self, model, X, y=None, train=None, train_y=None, target=None, shape=None, map_model=None, condition=None,
        train_condition=None,
    ):  # fmt: skip
        refuse_kind(model.schema_)
        refuse_sizes(model)
        self.model, self.map_model, self.shape = model, map_model, shape  # shape: of a vector that is a picture
        self.X = opened(X, model.schema_)
        self.train = None if train is None else opened(train, model.schema_)
        self.own_target = model.target_schema_ is not model.schema_
        self.target = None if target is None else opened(target, model.target_schema_)
        self.values: Any = self.numbers(self.X)
        self.train_values: Any = None if self.train is None else self.numbers(self.train)
        self.condition: Any = told(model, condition, len(self.values), "condition")
        self.train_condition: Any = None
        if self.train_values is not None:
            self.train_condition = told(model, train_condition, len(self.train_values), "train_condition")
        self.labels: Any = None if y is None else checked_labels(y, len(self.values), "y")
        self.train_labels: Any = None
        if y is not None and self.train_values is not None and train_y is not None:
            self.train_labels = checked_labels(train_y, len(self.train_values), "train_y")

    def numbers(self, X) -> np.ndarray:
        """(n, features) that PCA reads."""
        return numbers(X, self.model.schema_)

    @cached_property
    def rows(self) -> list[dict]:
        return rows_of(self)

    @cached_property
    def codes(self) -> np.ndarray:
        return as_array(self.model.transform(self.X, self.condition))

    @cached_property
    def train_codes(self):
        return None if self.train is None else as_array(self.model.transform(self.train, self.train_condition))

    @cached_property
    def map_codes(self) -> tuple[np.ndarray, Any]:
        """Codes of the samples and of the training data that the map is drawn from."""
        if self.map_model is None:
            return self.codes, self.train_codes
        train = None if self.train is None else as_array(self.map_model.transform(self.train))
        return as_array(self.map_model.transform(self.X)), train

    @cached_property
    def outputs(self) -> np.ndarray:
        """What comes out, in the form of the data."""
        return as_array(self.model.reconstruct(self.X, self.condition))

    @cached_property
    def decoder(self) -> "Decoder":
        """What decodes codes that belong to no sample; it is told the commonest class, or the mean of the numbers."""
        if self.condition is None:
            return Decoder(self.model, None)
        if self.classes is None:
            return Decoder(self.model, self.condition.mean(0))
        found, count = np.unique(self.condition, return_counts=True)
        return Decoder(self.model, found[count.argmax()])

    @property
    def classes(self) -> list | None:
        """The classes that the model can be told; None where it is told nothing, or numbers."""
        return None if self.condition is None else self.model.condition_.classes

    @cached_property
    def originals(self) -> np.ndarray:
        """What should come out, in the form of the data; what went in, where the model has a target that is not given."""
        return plots.dense(self.X if self.target is None else self.target)

    @cached_property
    def errors(self):
        """(n, features), signed; None where it is not known what should come out."""
        if self.own_target and self.target is None:
            return None
        schema = self.model.target_schema_
        return numbers(self.outputs, schema) - numbers(self.originals, schema)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(n,) the model's squared error of each sample."""
        return squared(self.errors)

    @cached_property
    def active(self) -> float | None:
        """How many numbers of a code are not zero, on average (its L0), where it is sparse and as wide as the data; else None."""
        if self.codes.shape[1] < self.values.shape[1] or not has_silence(self):
            return None
        return float((self.codes != 0).sum(1).mean())

    @cached_property
    def pca(self) -> PCA:
        """With as many components as a code has numbers, or active numbers: with as many as the data have it would copy them."""
        components = self.codes.shape[1] if self.active is None else max(1, round(self.active))
        fitted_on = self.values if self.train_values is None else self.train_values
        if len(fitted_on) < 2:
            raise ValueError("There is one sample, but PCA beside the model needs two or more. Give more samples, or train=.")
        return PCA(min(components, *fitted_on.shape), random_state=0).fit(fitted_on)

    @cached_property
    def pca_errors(self):
        """As `errors`; None where something else than the input should come out, for PCA rebuilds its input."""
        if self.own_target or self.target is not None:
            return None
        return self.pca.inverse_transform(self.pca.transform(self.values)) - self.values

    @property
    def kind(self) -> str:
        return self.model.target_schema_.kind

    @property
    def limits(self) -> tuple[float, float]:
        """What is black and white in pictures that come out."""
        return plots.limits_of(self.outputs if self.errors is None else self.originals)


class Decoder:
    """A model that decodes, told the same `condition` whatever the code."""

    def __init__(self, model, condition):
        self.model, self.condition = model, condition

    def inverse_transform(self, codes):
        return self.model.inverse_transform(codes, self.condition)


def told(model, condition, count: int, name: str) -> Any:
    """The condition as an array; None where the model knows none."""
    if model.condition_ is None and condition is None:
        return None
    if model.condition_ is not None and condition is None:
        raise ValueError(
            f"This model was fitted with a condition ({model.condition_}). Pass {name}=, one for each of the {count} samples."
        )
    return as_array(condition)


def refuse_sizes(model) -> None:
    """Refuses models of samples that differ in size, which no PCA and no common axis can be put beside."""
    if model.schema_.varies or model.target_schema_.varies:
        raise ValueError(
            f"A report compares samples of one size, but this model's {model.schema_.kind} differ in size. Use score_samples(X) "
            "and reconstruct(X), or cut the samples to one size."
        )


def refuse_kind(schema) -> None:
    """Refuses data that squared errors say nothing about."""
    if schema.kind == "text":
        raise ValueError("A report compares numbers and pictures, but this is text. Use report.text_figures(model, X).")
    if schema.kind == "interactions":
        raise ValueError(
            "A report compares squared errors, which say nothing of interactions, where most is unknown. Use score_samples, "
            "or rank the scores that reconstruct gives against interactions that were held out."
        )


def opened(X, schema):
    """Data of the schema's kind; a path is read."""
    return open_data(X, schema.kind, **schema.reading)[0]


def numbers(X, schema) -> np.ndarray:
    """(n, features) as errors are measured: pixels in [0, 1]; columns as the model scaled them, each on its own; else as is."""
    checked = KINDS[schema.kind].check(X)
    schema.check_shape(checked)
    values: Any = plots.dense(checked)
    white = np.iinfo(values.dtype).max if schema.kind in ("images", "video") and values.dtype.kind == "u" else 1
    values = values.astype(np.float64 if values.dtype == np.float64 else np.float32) / white
    if schema.center.ndim:
        values = (values.reshape(len(values), *schema.shape) - schema.center.numpy()) / schema.scale.numpy()
    return values.reshape(len(values), -1)


def has_silence(study: Study) -> bool:
    """Whether numbers of the codes are zero because they are silent; in a grid of levels zero is a level like any other."""
    return not hasattr(study.model.network_.bottleneck, "from_index") and bool((study.codes == 0).any())


def is_picture(study: Study) -> bool:
    return study.kind == "images" or study.shape is not None


def unit_of(schema) -> str:
    if schema.kind in ("images", "video"):
        return "pixels in [0, 1]" if schema.dtype.startswith("uint") else "pixels as they came"
    return "columns as the model scales them" if schema.center.ndim else "data units"


def checked_labels(labels, count: int, name: str) -> np.ndarray:
    labels = plots.plain_labels(labels)
    if labels.shape != (count,):
        raise ValueError(f"{name} has shape {labels.shape}, but there are {count} samples: one label for each is expected.")
    return labels


def rows_of(study: Study) -> list[dict]:
    known = "PCA" if study.train_values is not None else "PCA, fitted on these very data"
    pca_codes = study.pca.transform(study.values)
    pca_train = None if study.train_values is None else study.pca.transform(study.train_values)
    return [
        row_of(study, "autoencoder", study.codes, study.train_codes, study.errors) | {"active": study.active},
        row_of(study, known, pca_codes, pca_train, study.pca_errors) | {"active": study.active and pca_codes.shape[1]},
    ]


def row_of(study: Study, method: str, codes, train_codes, errors) -> dict:
    row: dict[str, Any] = {
        "method": method,
        "numbers": codes.shape[1],
        "error": None,
        "unit": unit_of(study.model.target_schema_),
    }
    row |= {"explained": None, "right": None, "accuracy": accuracy(study, codes, train_codes)}
    if errors is not None:
        row["error"] = float(squared(errors).mean())
        wanted = numbers(study.originals, study.model.target_schema_)
        variance = float(squared(wanted - wanted.mean(0)).mean())
        row["explained"] = 1 - row["error"] / variance if variance else None
    return row


def squared(errors) -> np.ndarray:
    return np.square(errors, dtype=np.float64).sum(1)


def accuracy(study: Study, points, train_points=None) -> float | None:
    """How often the nearest point (of training, or without its classes another sample's) has the sample's class."""
    labels = study.labels
    if labels is None or labels.dtype.kind == "f" or len(labels) < 2:
        return None
    if study.train_labels is None:
        nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)
        return float((labels[nearest[:, 0]] == labels).mean())
    nearest = NearestNeighbors(n_neighbors=1).fit(train_points).kneighbors(points, return_distance=False)
    return float((study.train_labels[nearest[:, 0]] == labels).mean())


def refusal_to_decode(study: Study) -> str | None:
    """Why the model cannot decode a bare code; None where it can."""
    try:
        study.decoder.inverse_transform(study.codes[:1])
    except ValueError as error:
        return str(error)
    return None


def typical(study: Study, most: int) -> list[int]:
    """Places of samples to show: of each class the one with the median error, or samples spread over the data."""
    labels = study.labels
    if by_class(study, most):
        members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        return [int(places[np.argsort(study.sizes[places], kind="stable")[len(places) // 2]]) for places in members]
    return np.unique(np.linspace(0, len(study.codes) - 1, most).astype(int)).tolist()


def by_class(study: Study, most: int) -> bool:
    """Whether there are few enough classes, and errors, to show one sample of each."""
    known = study.labels is not None and study.errors is not None and study.labels.dtype.kind != "f"
    return known and len(np.unique(study.labels)) <= most


def shown_columns(rows: list[dict]) -> list[str]:
    return [name for name in COLUMNS if any(row[name] is not None for row in rows)]


def written(row: dict, name: str) -> str:
    return "–" if row[name] is None else COLUMNS[name][1](row[name])
