"""Groups that nobody named: of the graph of codes' neighbours, by k-means, or by a mixture."""

import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import ClusterMixin
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.utils.validation import check_is_fitted, check_random_state

from .. import Autoencoder
from ..data import as_array, open_data
from ..parts import Conv, Mask, Noise, Warp
from ..parts.base import is_auto
from ..parts.ranges import check_ranges, one_of, whole
from .base import Application
from .grouping import METHODS, Grouping, chosen_number, stability

CODE = 16  # numbers in the code of pictures and vectors, at most
RANGES = {
    "n_clusters": whole("[1, inf)").also("auto"),
    "method": one_of(*METHODS),
    "n_neighbors": whole("[1, inf)"),
    "max_clusters": whole("[1, inf)"),
}


class Clusterer(ClusterMixin, Application):
    """Groups samples by their codes; no labels are asked for, in training or in any choice.

    By "graph", a random walk goes from code to code over their nearest neighbours, and groups are what it seldom leaves. The
    codes are those of an autoencoder that rebuilds pictures upright from turned, shifted, stretched and slanted ones (of other
    data: from noisy ones), so that two of a kind are neighbours whatever their pose. "kmeans" and "mixture" group the codes
    themselves.

        codes z_i = encode(x_i);   w_ij = exp(-|z_i - z_j|^2 / (s_i s_j)) among nearest neighbours;   P = (1 + D^-1 w) / 2
        groups: k-means of the directions of (v_1 r_1^t, v_2 r_2^t, ...),   P v = r v

    Parameters
    ----------
    model : None, dict or Autoencoder, default None; see `Application`
    n_clusters : "auto" or int, default "auto"
        "auto" is the largest number up to `max_clusters` whose groups are found again in other samples of the data as well as
        any number's are (`stability_`), and one group where none are.
    method : "graph", "kmeans" or "mixture", default "graph"
    n_neighbors : int, default 10; of each code, for "graph"
    max_clusters : int, default 20; for n_clusters="auto"
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    labels_ : (n_samples,) of int, the group of each sample of `fit`; 0 is the largest
    n_clusters_ : int
    cluster_centers_ : (n_clusters_, n_components), the mean code of each group
    stability_ : dict of float by number of groups, agreement of groupings (adjusted Rand index); empty unless "auto"
    model_ : the fitted Autoencoder

    >>> groups = Clusterer({"max_epochs": 2}, n_clusters=3, random_state=0).fit(X)
    >>> groups.labels_.shape, bool((groups.predict(X) == groups.labels_).all())
    ((100,), True)

    Source: Shi & Malik 2000, "Normalized cuts and image segmentation"; McConville et al. 2021, "N2D: (not too) deep clustering
    via clustering the local manifold of an autoencoded embedding", for grouping the graph of codes rather than the codes.
    """

    task = "cluster"
    labels_: np.ndarray
    n_clusters_: int
    cluster_centers_: np.ndarray
    stability_: dict[int, float]
    grouping_: Grouping

    def __init__(self, model=None, *, n_clusters="auto", method="graph", n_neighbors=10, max_clusters=20, random_state=None):
        self.model = model
        self.n_clusters = n_clusters
        self.method = method
        self.n_neighbors = n_neighbors
        self.max_clusters = max_clusters
        self.random_state = random_state

    def fit(self, X, y=None, *, callbacks=()):
        """Trains the model, where it is not fitted, and groups the codes of `X`.

        Parameters
        ----------
        X : data of any kind that an Autoencoder reads, (n_samples, ...)
        y : ignored
        callbacks : of the model's training
        """
        check_ranges(self, RANGES)
        if not isinstance(X, str) and (hasattr(X, "shape") or hasattr(X, "__len__")):
            self._refuse_few(X.shape[0] if hasattr(X, "shape") and X.shape else len(X), at_most=True)
        self._fit_model(X, callbacks=callbacks)
        codes = self._codes(X)
        self._refuse_few(len(codes))
        random = check_random_state(self.random_state)
        self.grouping_ = self._way()
        self.stability_ = stability(self._way(), codes, self.max_clusters, random) if is_auto(self.n_clusters) else {}
        self.n_clusters_ = chosen_number(self.stability_) if is_auto(self.n_clusters) else int(self.n_clusters)
        warn_of_few(codes, self.n_clusters_)
        self.labels_ = self.grouping_.fit(codes, self.n_clusters_, random)
        self.cluster_centers_ = np.stack([mean_of(codes[self.labels_ == k]) for k in range(self.n_clusters_)])
        return self

    def predict(self, X) -> np.ndarray:
        """The group of each sample, (n_samples,): of those of `fit` the one they have, and of others that of their like."""
        check_is_fitted(self, "model_")
        return self.placed(self._codes(X))[0]

    def typicality(self, X) -> np.ndarray:
        """How near each code lies to the mean of its group, (n_samples,): minus the distance; typical samples are the highest."""
        check_is_fitted(self, "model_")
        return -self.placed(self._codes(X))[1]

    def placed(self, codes) -> tuple[np.ndarray, np.ndarray]:
        """Of codes that are at hand, the group and the distance from its mean, (n_samples,) each."""
        codes = np.asarray(codes, np.float64)
        labels = self.grouping_.predict(codes)
        return labels, np.sqrt(np.square(codes - self.cluster_centers_[labels]).sum(1))

    def _codes(self, X) -> np.ndarray:
        return as_array(self.model_.transform(X)).astype(np.float64)

    def _way(self) -> Grouping:
        way = METHODS[self.method]
        return way(self.n_neighbors) if self.method == "graph" else way()

    def _refuse_few(self, count: int, at_most: bool = False) -> None:
        """Refuses fewer samples than groups, and a single one; `at_most`: there may be fewer than this count."""
        wanted = 1 if is_auto(self.n_clusters) else int(self.n_clusters)
        if count < wanted:
            raise ValueError(
                f"n_clusters={wanted}, but X has {count} sample(s) (n_samples={count}), and no group is empty. Give more "
                f"samples, or set n_clusters to {max(count, 1)} or less."
            )
        if count == 1 or (count == 0 and not at_most):
            raise ValueError(f"X has {count} sample(s) (n_samples={count}), which is no group yet. Give two or more.")

    def _default_model(self, X) -> Autoencoder:
        said = self.model.get("kind", "auto") if isinstance(self.model, dict) else "auto"
        X, kind = open_data(X, getattr(said, "kind", said))
        if kind == "images":
            return Autoencoder(CODE, architecture=Conv((16, 32, 64)), corruption=Warp(25.0, 0.1, 0.2, 0.3))
        if kind in ("vectors", "table"):  # few columns are kept from being copied by the damage, not by the size of the code
            columns = (X.shape if hasattr(X, "shape") else np.shape(X))[-1]
            return Autoencoder(max(1, min(CODE, columns)), corruption=Noise(0.1) if kind == "vectors" else Mask(0.25))
        return Autoencoder()

    def _state(self) -> dict:
        return {"n_clusters": self.n_clusters_, "stability": [[k, value] for k, value in self.stability_.items()]}

    def _tensors(self) -> dict[str, np.ndarray]:
        return {"labels_": self.labels_, "cluster_centers_": self.cluster_centers_} | self.grouping_.tensors()

    def _restore(self, state: dict, tensors: dict[str, np.ndarray]) -> None:
        self.n_clusters_ = state["n_clusters"]
        self.stability_ = dict(state["stability"])
        self.labels_, self.cluster_centers_ = tensors["labels_"], tensors["cluster_centers_"]
        self.grouping_ = self._way()
        self.grouping_.restore(tensors)


def warn_of_few(codes: np.ndarray, clusters: int) -> None:
    """Says so where several groups must hold one and the same code."""
    if len(np.unique(codes[: 100 * clusters], axis=0)) >= clusters:
        return
    different = len(np.unique(codes, axis=0))
    if different < clusters:
        warnings.warn(
            f"The samples have {different} different code(s), and {clusters} groups were asked for: some split what is the same.",
            UserWarning,
            stacklevel=3,
        )


def mean_of(codes: np.ndarray) -> np.ndarray:
    """Of the codes of a group; of none, which a mixture may leave a Gaussian with, NaN."""
    return codes.mean(0) if len(codes) else np.full(codes.shape[1], np.nan)


def matched_accuracy(labels, truth) -> float:
    """The share of samples in the right group, each group standing for one class: of all ways to pair them, the best.

    Source: Kuhn 1955, "The Hungarian method for the assignment problem".

    >>> matched_accuracy([1, 1, 0, 0, 0], ["a", "a", "b", "b", "a"])
    0.8
    """
    found, classes = (np.unique(values, return_inverse=True)[1] for values in (labels, truth))
    table = np.zeros((found.max() + 1, classes.max() + 1), int)
    np.add.at(table, (found, classes), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(found))


def agreement(labels, truth) -> dict[str, float]:
    """How far groups agree with classes that are known: matched accuracy, normalised mutual information, adjusted Rand index."""
    return {
        "accuracy": matched_accuracy(labels, truth),
        "NMI": float(normalized_mutual_info_score(truth, labels)),
        "ARI": float(adjusted_rand_score(truth, labels)),
    }
