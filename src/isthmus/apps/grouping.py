"""Ways to group codes, (n, d), each with `fit(codes, count, random) -> labels` and `predict(codes) -> labels`.

Labels count from 0, the largest group first. How many groups there are, where nobody says, `stability` tells.
"""

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn import cluster, mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from .neighbours import diffused, graph_of, modularity, nearest, walk_of

_FEW = 3  # starts, where a number is chosen
_STEPS = (10, 20)  # of the walk on the graph, after which its groups are looked for
_MODES = 20  # of the walk, beyond one a group
_DRAWS = 4  # samples of the codes that are grouped to choose a number
_SHARE = 0.8  # of the codes, or of those that are looked at


class Grouping:
    """What the ways share; `arrays` names the fitted attributes that `predict` reads, which a folder keeps."""

    arrays: ClassVar[tuple[str, ...]] = ()
    starts = 10  # of k-means and of mixtures, of which the best counts
    seen = 10_000  # codes that a number is chosen by, at most

    def fit(self, codes: np.ndarray, count: int, random: np.random.RandomState) -> np.ndarray:
        raise NotImplementedError

    def each(self, codes: np.ndarray, counts: range, random: np.random.RandomState) -> list[np.ndarray]:
        """Labels for every number of groups."""
        return [self.fit(codes, count, random) for count in counts]

    def predict(self, codes: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def tensors(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name).copy() for name in self.arrays}

    def restore(self, tensors: dict[str, np.ndarray]) -> None:
        for name in self.arrays:
            setattr(self, name, tensors[name])


class KMeans(Grouping):
    """The groups whose means are nearest to their codes; a new code belongs to the nearest mean."""

    arrays = ("means",)
    means: np.ndarray

    def fit(self, codes, count, random):
        found = cluster.KMeans(count, n_init=self.starts, random_state=random).fit(codes)
        self.means = found.cluster_centers_[by_size(found.labels_, count)]
        return self.predict(codes)

    def predict(self, codes):
        return np.stack([np.square(codes - mean).sum(1) for mean in self.means], 1).argmin(1)


class Mixture(Grouping):
    """Gaussians, each with a covariance of its own; a new code belongs to the one that most likely made it."""

    arrays = ("weights", "means", "factors")
    starts = 3
    seen = 2500
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray  # (count, d, d), of the inverse covariances

    def fit(self, codes, count, random):
        faint = 1e-4 * codes.var(0).mean() + 1e-12
        found = mixture.GaussianMixture(count, n_init=self.starts, max_iter=500, reg_covar=faint, random_state=random).fit(codes)
        order = by_size(found.predict(codes), count)
        self.weights, self.means = found.weights_[order], found.means_[order]
        self.factors = found.precisions_cholesky_[order]
        return self.predict(codes)

    def predict(self, codes):
        return np.stack([self._density(codes, k) for k in range(len(self.means))], 1).argmax(1)

    def _density(self, codes, k: int) -> np.ndarray:
        """log(weight_k p_k(z)) but for a constant that all share."""
        scaled = (codes - self.means[k]) @ self.factors[k]
        return np.log(self.weights[k]) + np.log(np.diag(self.factors[k])).sum() - 0.5 * np.square(scaled).sum(1)


class Graph(Grouping):
    """The groups that a random walk on the graph of nearest neighbours hardly ever leaves (normalised cut).

    Samples are grouped by where their walk is after so many steps, or by its slowest modes, as many as groups; of these groupings
    the one counts that keeps most of the graph's edges within its groups (modularity). A new code belongs where most of its
    nearest known codes do, each counted by how near it is.

    Source: Shi & Malik 2000, "Normalized cuts and image segmentation"; Meila & Shi 2001, "A random walks view of spectral
    segmentation".
    """

    arrays = ("codes", "labels")
    starts = 5  # for each number of steps
    codes: np.ndarray
    labels: np.ndarray

    def __init__(self, n_neighbors: int):
        self.n_neighbors = n_neighbors

    def fit(self, codes, count, random):
        (labels,) = self.each(codes, range(count, count + 1), random)
        self.codes, self.labels = codes, labels
        return labels

    def each(self, codes, counts, random):
        graph = graph_of(codes, self.n_neighbors)
        rates, modes = walk_of(graph, max(counts) + _MODES, random)
        places = [diffused(rates, modes, steps) for steps in _STEPS]
        return [self._best(graph, [diffused(rates[:k], modes[:, :k], 0), *places], k, random) for k in counts]

    def _best(self, graph, places: list[np.ndarray], count: int, random) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # after many steps on a small graph all walks are in one place
            tried = [cluster.KMeans(count, n_init=self.starts, random_state=random).fit_predict(place) for place in places]
        labels = max(tried, key=lambda labels: (len(np.unique(labels)), modularity(graph, labels)))
        return np.argsort(by_size(labels, count))[labels]

    def predict(self, codes):
        distance, place = nearest(codes, self.codes, self.n_neighbors)
        known = distance[:, :1] == 0  # a code that was grouped itself
        with np.errstate(divide="ignore"):
            votes = np.where(known, distance == 0, 1 / distance)
        votes[known[:, 0], 1:] = 0
        count = self.labels.max() + 1
        return np.stack([(votes * (self.labels[place] == k)).sum(1) for k in range(count)], 1).argmax(1)


def by_size(labels: np.ndarray, count: int) -> np.ndarray:
    """The labels, the one of the largest group first."""
    return np.argsort(-np.bincount(labels, minlength=count), kind="stable")


# ------------------------------------------------------------------------------------------------ how many


def stability(way: Grouping, codes: np.ndarray, most: int, random: np.random.RandomState) -> dict[int, float]:
    """How much alike groups are that are found in several samples of the codes, by their number, from 2 to `most`.

    Any two samples are compared on the codes that they share, by the adjusted Rand index: 1 where the groups are the same, 0
    where they agree no more than by chance.

    Source: Ben-Hur, Elisseeff & Guyon 2002, "A stability based method for discovering structure in clustered data".
    """
    seen = random.permutation(len(codes))[: way.seen]
    size = round(_SHARE * len(seen))
    counts = range(2, min(most, size // 4) + 1)
    if not counts:
        return {}
    draws = [np.sort(random.choice(seen, size, replace=False)) for _ in range(_DRAWS)]
    way.starts = _FEW
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # with more groups than there are, which is not what is asked for
        found = [way.each(codes[draw], counts, random) for draw in draws]
    pairs = [(a, b) for a in range(_DRAWS) for b in range(a)]
    return {
        count: float(np.mean([agreement(count, draws[a], found[a][i], draws[b], found[b][i]) for a, b in pairs]))
        for i, count in enumerate(counts)
    }


def agreement(count: int, places, labels, other_places, other_labels) -> float:
    """Of two groupings, on the codes that both have; none, where either found fewer groups than it was asked for."""
    if min(len(np.unique(labels)), len(np.unique(other_labels))) < count:
        return 0.0
    _, here, there = np.intersect1d(places, other_places, assume_unique=True, return_indices=True)
    return float(adjusted_rand_score(labels[here], other_labels[there]))


def chosen_number(stable: dict[int, float], least: float = 0.6, margin: float = 0.005) -> int:
    """The largest number whose groups are as stable as any, give or take the margin; 1 where none are."""
    best = max(stable.values(), default=0.0)
    return 1 if best < least else max(count for count, value in stable.items() if value >= best - margin)


METHODS: dict[str, Any] = {"graph": Graph, "kmeans": KMeans, "mixture": Mixture}
