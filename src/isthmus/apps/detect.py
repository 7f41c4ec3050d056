"""Outliers: samples that the model rebuilds badly, or whose codes lie where few others do."""

import math
from typing import Any

import narwhals as nw
import numpy as np
import torch
from scipy import sparse
from scipy.linalg import solve_triangular
from sklearn.base import OutlierMixin
from sklearn.covariance import ledoit_wolf
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, check_random_state
from torch import Tensor

from .. import Autoencoder
from ..data import as_array, open_data
from ..parts import Dense, Mask, Noise
from ..parts.ranges import check_ranges, number, whole
from .base import Application

WEIGHTS = {"reconstruction": 1.0, "neighbours": 1.5, "density": 0.25}
LEAST = 10  # samples that a threshold can be learnt from
WIDTH = 128  # of the code, and of the hidden layer, of the default model
MOST_HELD_OUT = 2000
MOST_NEIGHBOURS = 20_000  # codes that are kept to look for neighbours among
GROUPS = 4  # of features that `explain` hides in turn
FLOOR = 0.05  # of the mean squared error of all features: one that is always rebuilt exactly counts no more than this lets it
RANGES = {
    "contamination": number("(0, 0.5]").also("auto"),
    "false_alarms": number("(0, 1)"),
    "n_neighbors": whole("[1, inf)"),
    "held_out": number("(0, 1)"),
}


class OutlierDetector(OutlierMixin, Application):
    """Says which samples are unlike the others, how unlike, and where in the sample the difference lies.

        score(x) = - sum_p weight_p (distance_p(x) - median_p) / (q95_p - median_p) / sum_p weight_p

    with the medians and 95 % quantiles of samples that were held out in `fit`, and three distances, all read through the model:

        reconstruction    loss(x, decode(encode(x))), in nats
        neighbours        the mean distance from z = encode(x) to the `n_neighbors` nearest codes of training samples
        density           -log N(z; mean, covariance) of the training codes (Ledoit & Wolf 2004 shrink the covariance), in nats

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        None is, for rows of numbers, a network with a code of 128 numbers, however many columns there are, trained to remove
        noise of half a standard deviation: it keeps what tells samples apart, where a narrow code would keep what they share.
        For other kinds of data it is `Autoencoder()`. See `Application`.
    contamination : "auto" or float in (0, 0.5], default "auto"
        "auto" takes all of X for ordinary; the threshold is then the conformal quantile of the held-out scores, beyond which
        ordinary samples lie with a probability of `false_alarms` at most (Laxhammar & Falkman 2015). A number is the share of X
        that shall be outliers.
    false_alarms : float in (0, 1), default 0.05; for contamination="auto"
    weights : dict or None, default None
        How much each distance counts, such as `{"neighbours": 1, "reconstruction": 1}`; what is not named does not. None is
        `WEIGHTS`.
    n_neighbors : int, default 5
    held_out : float in (0, 1), default 0.2
        Share of X, and 2000 samples at most, that the model and the density are not fitted to. Their codes serve as neighbours
        afterwards: that can only lower a distance, so the threshold keeps what it promises.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder
    offset_ : float; `score_samples` below it are outliers
    usual_ : dict; median and 95 % quantile of each distance, of held-out samples

    Notes
    -----
    A sample that is in X is not its own neighbour. A model that is given fitted should not have been trained on X: it knows
    those samples better than new ones, and the threshold will be too strict.

    References
    ----------
    Ramaswamy, Rastogi & Shim 2000, "Efficient algorithms for mining outliers from large data sets" (neighbours).
    Vincent et al. 2010, "Stacked denoising autoencoders" (the default model).
    Laxhammar & Falkman 2015, "Inductive conformal anomaly detection for sequential detection of anomalous sub-trajectories".

    >>> detector = OutlierDetector({"max_epochs": 20}, random_state=0).fit(X)
    >>> detector.predict(np.concatenate([X[:2], 16 - X[:2]]))
    array([ 1,  1, -1, -1])
    >>> detector.explain(X[:2]).shape
    (2, 64)
    """

    task = "detect"
    offset_: float
    usual_: dict[str, tuple[float, float]]

    def __init__(
        self,
        model=None,
        *,
        contamination="auto",
        false_alarms=0.05,
        weights=None,
        n_neighbors=5,
        held_out=0.2,
        random_state=None,
    ):
        self.model = model
        self.contamination = contamination
        self.false_alarms = false_alarms
        self.weights = weights
        self.n_neighbors = n_neighbors
        self.held_out = held_out
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, callbacks=()):
        """Trains the model, and learns what its losses and codes are like.

        Parameters
        ----------
        X : data as `Autoencoder.fit` takes them, 10 samples or more; mostly ordinary ones
        y : ignored
        callbacks : for `Autoencoder.fit`
        """
        self._check()
        X = indexable(*open_data(X, self._kind()))
        count = count_of(X)
        if count < LEAST:
            raise ValueError(
                f"There are {count} sample(s) (n_samples={count}), but {LEAST} or more are needed to tell what is ordinary. Give "
                "more samples."
            )
        order = check_random_state(self.random_state).permutation(count)
        cut = max(2, min(round(float(self.held_out) * count), MOST_HELD_OUT, count - 2))
        held, rest = (taken(X, np.sort(part)) for part in np.split(order, [cut]))
        self._fit_model(rest, callbacks=callbacks)
        self._refuse_models()
        self._learn(rest, held)
        self.offset_ = self._threshold(X, held)
        self.__dict__.pop("held_", None)
        return self

    def _learn(self, rest, held) -> None:
        """What codes of training samples are like, and each distance of those held out."""
        self.codes_ = self.mean_ = self.factor_ = None
        if None not in self.model_.code_shape_:
            self.codes_ = spread(self._codes(rest), MOST_NEIGHBOURS)
            self.mean_, self.factor_ = gaussian(self.codes_)
        self.usual_ = {}
        self.held_ = self._distances(held)
        for name, values in self.held_.items():
            middle, last = np.quantile(values, [0.5, 0.95])
            self.usual_[name] = float(middle), float(max(last, middle + 1e-6 * max(1.0, abs(middle))))
        if self.codes_ is not None:
            self.codes_ = spread(np.concatenate([self.codes_, self._codes(held)]), MOST_NEIGHBOURS)
        self.spread_ = None
        if self.model_.schema_.kind in ("vectors", "images", "video", "sequences") and not self.model_.schema_.varies:
            squares = self._squares(held).mean(0)
            self.spread_ = squares + FLOOR * squares.mean() + 1e-12

    def _threshold(self, X, held) -> float:
        """The score below which samples are outliers."""
        if self.contamination != "auto":
            return float(np.percentile(self.score_samples(X), 100 * self.contamination))
        scores = np.sort(self._joined(self.held_))
        return float(scores[max(0, math.floor(self.false_alarms * (len(scores) + 1)) - 1)])

    def _default_model(self, X) -> Autoencoder:
        shape = getattr(X, "shape", ())
        if open_data(X, self._kind())[1] != "vectors" or len(shape) != 2:
            return Autoencoder()
        network = Dense(hidden=(WIDTH,), bypass=False)
        return Autoencoder(WIDTH, architecture=network, corruption=Noise(0.5), loss="squared", scale="standard")

    # ------------------------------------------------------------------------------------------------- use

    def score_samples(self, X):
        """How ordinary each sample is, (n_samples,): about 0 for the ordinary, below `offset_` for outliers."""
        check_is_fitted(self, "model_")
        return self._joined(self._distances(X))

    def decision_function(self, X):
        """`score_samples(X) - offset_`, (n_samples,): below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """1 for ordinary samples, -1 for outliers, (n_samples,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def distances(self, X) -> dict[str, np.ndarray]:
        """What the score joins, by name, each brought to 0 at the median and 1 at the 95 % quantile of held-out samples."""
        check_is_fitted(self, "model_")
        return {name: self._scaled(name, values) for name, values in self._distances(X).items()}

    def explain(self, X):
        """Where a sample is odd, an array like X: its squared error in units of what is usual there, so that 1 is ordinary.

        Where the model was trained to fill in values (`Mask`), each is judged by the others: it is hidden first. Of tables it is
        minus `score_cells`, (n_samples, columns), in nats; it asks for samples of one size.

        >>> detector = OutlierDetector({"max_epochs": 20}, random_state=0).fit(X)
        >>> x_odd = X[:1].copy()
        >>> x_odd[0, 20] += 16
        >>> int(detector.explain(x_odd).argmax())
        20
        """
        check_is_fitted(self, "model_")
        X, kind = open_data(X, self.model_.schema_.kind, **self.model_.schema_.reading)
        if kind == "table":
            return -self.model_.score_cells(X)
        if self.spread_ is None:
            raise ValueError(
                f"explain shows where in a sample the error lies, but this model's {kind} differ in size or are no numbers. Use "
                "distances(X), which says how odd each sample is in what respect."
            )
        return (self._squares(X) / self.spread_).reshape(np.shape(X))

    # -------------------------------------------------------------------------------------------- distances

    def _distances(self, X) -> dict[str, np.ndarray]:
        """Each distance that counts, (n_samples,), as it is."""
        wanted = [name for name, weight in self._weights().items() if weight]
        found = {"reconstruction": -self.model_.score_samples(X)} if "reconstruction" in wanted else {}
        if self.codes_ is not None:
            codes = self._codes(X)
            if "neighbours" in wanted:
                found["neighbours"] = distance_to_nearest(codes, self.codes_, self.n_neighbors)
            if "density" in wanted and self.mean_ is not None and self.factor_ is not None:
                found["density"] = surprise(codes, self.mean_, self.factor_)
        return found

    def _joined(self, distances: dict[str, np.ndarray]) -> np.ndarray:
        """The score, (n_samples,): the weighted mean of the distances, each on its usual scale, with the sign turned."""
        weights = self._weights()
        total: Any = sum(weights[name] * self._scaled(name, values) for name, values in distances.items())
        return -total / sum(weights[name] for name in distances)

    def _scaled(self, name: str, values: np.ndarray) -> np.ndarray:
        middle, last = self.usual_[name]
        return (values - middle) / (last - middle)

    def _weights(self) -> dict[str, float]:
        return WEIGHTS if self.weights is None else self.weights

    def _codes(self, X) -> np.ndarray:
        codes = np.asarray(as_array(self.model_.encode(X)), np.float32)
        return codes.reshape(len(codes), -1)

    def _squares(self, X) -> np.ndarray:
        """(n_samples, features): squared errors of the rebuilt features, as scaled; of hidden ones, where the model can."""
        values = dense(X)
        errors = values - dense(self.model_.reconstruct(X))
        if fills(self.model_.corruption_) and values.ndim == 2:
            for group in np.arange(values.shape[1])[None] % GROUPS == np.arange(GROUPS)[:, None]:
                hidden = np.broadcast_to(group, values.shape)
                rebuilt = dense(self.model_.reconstruct(X, missing=hidden))
                errors[:, group] = (values - rebuilt)[:, group]
        return np.square(errors / self.model_.schema_.scale.numpy()).reshape(len(values), -1)

    # ------------------------------------------------------------------------------------------------ checks

    def _kind(self):
        """The kind that the model was told its data are."""
        given = self.model.get("kind", "auto") if isinstance(self.model, dict) else getattr(self.model, "kind", "auto")
        if getattr(self.model, "network_", None) is not None:
            given = self.model.schema_.kind
        return getattr(given, "kind", given)

    def _check(self) -> None:
        """Refuses parameters out of range, before anything is trained."""
        check_ranges(self, RANGES)
        weights = self._weights()
        if not isinstance(weights, dict) or not weights.keys() <= WEIGHTS.keys():
            raise ValueError(f"weights={weights!r}: a dict with some of {', '.join(WEIGHTS)} is expected.")
        if not all(number("[0, inf)").holds(weight) for weight in weights.values()) or not any(weights.values()):
            raise ValueError(f"weights={weights!r}: numbers of zero or more are expected, and one of them above zero.")

    def _refuse_models(self) -> None:
        """Refuses models that cannot say how well they rebuild a sample."""
        model = self.model_
        if getattr(model, "loaded_half_", None):
            raise ValueError(
                f"Outliers are what a model rebuilds badly, but it was loaded with only={model.loaded_half_!r}. Load it whole."
            )
        if model.target_schema_ is not model.schema_:
            raise ValueError("This model was fitted with a target of its own; outliers need one that rebuilds its samples.")
        if model.condition_ is not None:
            raise ValueError("This model is told a condition with each sample; outliers need one that knows the samples alone.")

    # ------------------------------------------------------------------------------------------------- files

    def _state(self):
        return {"offset": self.offset_, "usual": {name: list(pair) for name, pair in self.usual_.items()}}

    def _tensors(self):
        found = {"codes": self.codes_, "mean": self.mean_, "factor": self.factor_, "spread": self.spread_}
        return {name: values for name, values in found.items() if values is not None}

    def _restore(self, state, tensors):
        self.offset_ = state["offset"]
        self.usual_ = {name: (pair[0], pair[1]) for name, pair in state["usual"].items()}
        self.codes_, self.mean_, self.factor_, self.spread_ = map(tensors.get, ("codes", "mean", "factor", "spread"))


# --------------------------------------------------------------------------------------------------- helpers


def distance_to_nearest(codes: np.ndarray, known: np.ndarray, n_neighbors: int) -> np.ndarray:
    """The mean distance of each code to the nearest known ones, (n,); one that is known itself is not its own neighbour."""
    several = min(n_neighbors, len(known) - 1)
    nearest = NearestNeighbors(n_neighbors=several + 1).fit(known).kneighbors(codes, return_distance=False)
    found = np.empty(len(codes))
    for start in range(0, len(codes), 4096):
        some = codes[start : start + 4096].astype(np.float64)
        away = np.sort(np.linalg.norm(some[:, None] - known[nearest[start : start + 4096]], axis=2), axis=1)
        itself = away[:, 0] <= 1e-6 * np.linalg.norm(some, axis=1)
        found[start : start + 4096] = np.where(itself, away[:, 1:].mean(1), away[:, :-1].mean(1))
    return found


def gaussian(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the codes, and the Cholesky factor of their covariance, which is shrunk towards a multiple of the identity."""
    codes = codes.astype(np.float64)
    mean = codes.mean(0)
    covariance = ledoit_wolf(codes - mean, assume_centered=True)[0]
    least = 1e-6 * max(covariance.trace() / len(mean), 1e-6)  # of codes that do not vary
    return mean, np.linalg.cholesky(covariance + least * np.eye(len(mean)))


def surprise(codes: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """-log N(code; mean, factor factor^T), (n,), in nats."""
    white = solve_triangular(factor, (codes - mean).T, lower=True)
    constant = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * math.log(2 * math.pi)
    return 0.5 * np.square(white).sum(0) + constant


def fills(corruption) -> bool:
    """Whether a model was trained to fill in values that were taken away from rows."""
    parts = corruption if isinstance(corruption, list | tuple) else [corruption]
    return any(isinstance(part, Mask) or part == "mask" for part in parts)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the rows, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def indexable(X, kind: str):
    """Data that samples can be taken of: other sparse matrices as CSR, and what only turns into an array as one."""
    if sparse.issparse(X):
        return X.tocsr()
    if kind in ("sequences", "interactions") and hasattr(X, "columns"):
        other = "a list of arrays, one a sequence" if kind == "sequences" else "a CSR matrix (users, items)"
        raise ValueError(f"The rows of this frame are no samples, which {kind} have several rows of. Pass {other}.")
    if hasattr(X, "whole"):
        return nw.to_native(X.whole())  # a table in files
    return X if hasattr(X, "shape") or hasattr(X, "__len__") else np.asarray(X)


def count_of(X) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


def taken(X, index: np.ndarray):
    """The samples of data in any container at these places."""
    if isinstance(X, Tensor):
        return X[torch.as_tensor(index, device=X.device)]
    if hasattr(X, "only"):
        return X.only(index)  # of what lies in a file
    if type(X) in (list, tuple):
        return [X[place] for place in index]
    if hasattr(X, "columns"):
        return nw.from_native(X, eager_only=True)[index.tolist()].to_native()
    return X[index]


def dense(X) -> np.ndarray:
    """Numbers as an array of floats."""
    return np.asarray(X.toarray() if sparse.issparse(X) else as_array(X)).astype(np.float64)
