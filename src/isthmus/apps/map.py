"""Maps: two or three numbers for every sample, near one another where the samples are, and new samples beside them."""

from typing import Any

import numpy as np
from sklearn import manifold
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder, Training
from ..data import KINDS, as_array, open_data
from ..information import features
from ..parts import TSNE, Dense, Noise
from ..parts.ranges import check_ranges, number, whole
from .base import Application, is_fitted

HIDDEN = (512, 256)  # nodes of the hidden layers
RATE = 0.02  # half of what rebuilding alone takes: at the default, places of wide networks jump too far in a step
MOST = 5000  # samples that neighbours are compared of at once: the work grows with their square


class Map(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Application):
    """Coordinates by an encoder: a new sample gets its place without moving the others, and a place can be decoded.

        minimise  E[ loss(x, decode(z)) ] + weight * KL(P || Q),   z = encode(x), 2 or 3 numbers

    with t-SNE's divergence between who is near whom in the data, P, and on the map, Q, over the pairs of a batch (`TSNE`).
    The same sample lands on the same place, bit for bit, whatever company it comes in.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        None is a dense network (for text, sequences and films that of its kind) with the penalty above; a dict changes its
        parameters, such as `{"max_epochs": 5}`. An Autoencoder of 2 or 3 numbers is trained as it is, without the penalty but
        where it has one; one that is fitted is used as it stands.
    n_components : 1, 2 or 3, default 2
    perplexity : float, default 5.0; neighbours of a sample in a batch
    weight : float, default 1000.0; nats that a nat of the divergence is worth
    noise : float, default 0.5
        Of pictures and rows of numbers, what the encoder learns to look through: a share of the data's own spread.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder

    >>> placed = Map(random_state=0, model={"max_epochs": 2}).fit(X)
    >>> placed.transform(X).shape, placed.inverse_transform([[0.0, 0.0]]).shape
    ((100, 2), (1, 64))

    Source: van der Maaten 2009, "Learning a parametric embedding by preserving local structure".
    """

    task = "map"

    def __init__(self, model=None, n_components=2, *, perplexity=5.0, weight=1000.0, noise=0.5, random_state=None):
        self.model = model
        self.n_components = n_components
        self.perplexity = perplexity
        self.weight = weight
        self.noise = noise
        self.random_state = random_state

    def fit(self, X, y=None, *, callbacks=()):
        """Trains on `X`, in any form that an Autoencoder takes; `y` is ignored, and `callbacks` go to the Autoencoder."""
        check_ranges(self, RANGES)
        self._refuse_wide()
        self._fit_model(X, callbacks=callbacks)
        return self

    def transform(self, X):
        """Places of `X` on the map, (n_samples, n_components)."""
        check_is_fitted(self)
        return self.model_.transform(X)

    def inverse_transform(self, places):
        """What lies at `places`, (n, n_components), decoded into the form the data came in."""
        check_is_fitted(self)
        return self.model_.inverse_transform(places)

    def score(self, X, y=None) -> float:
        """The trustworthiness of the map of `X`, in [0, 1], with 12 neighbours (fewer where there are few samples).

        Of more than 5,000 samples so many are compared, evenly spread.
        """
        return measures(self, X)["trustworthiness"]

    @property
    def _n_features_out(self):
        return self.model_.n_components_

    def _refuse_wide(self) -> None:
        """Refuses a model whose codes no map can be drawn from."""
        model = self.model
        count: Any = self.n_components
        if isinstance(model, dict):
            count = model.get("n_components", count)
        elif isinstance(model, Autoencoder):
            count = model.n_components_ if is_fitted(model) else model.n_components
        if count not in (1, 2, 3) or isinstance(count, str):
            raise ValueError(
                f"A map has 2 or 3 numbers a sample, but this model's codes have {count!r}. Train one that has: Map().fit(X), "
                "isthmus fit DATA --task map -o MODEL, or an Autoencoder with n_components=2."
            )

    def _default_model(self, X) -> Autoencoder:
        """Of pictures and rows a wide dense network, which places new samples best; of the rest what suits its kind."""
        given = (self.model or {}).get("kind", "auto")
        X, kind = open_data(X, getattr(given, "kind", given))
        flat = kind in ("vectors", "images", "table", "interactions")
        return Autoencoder(
            self.n_components,
            architecture=Dense(HIDDEN, bypass=False) if flat else "auto",
            corruption=Noise(self.noise, relative=True) if kind in ("vectors", "images") and self.noise else "auto",
            penalties=TSNE(self.weight, self.perplexity),
            training=Training(weight_decay=0.0),
            learning_rate=RATE if flat else "auto",
            batch_size=batch_size(KINDS[kind].check(X).shape[0]),
        )


def batch_size(count: int) -> int:
    """A quarter of the samples, from 128 to 1024: large enough to hold neighbours, for the work grows with its square."""
    return max(128, min(1024, count // 4))


def map_of(found) -> Map:
    """What a folder held, as a map: a `Map`, or any model, or application's model, with a code of 2 or 3 numbers."""
    return found if isinstance(found, Map) else Map(getattr(found, "model_", found)).fit(None)


RANGES = {
    "n_components": whole("[1, 3]"),
    "perplexity": number("[1, inf)"),
    "weight": number("[0, inf)"),
    "noise": number("[0, inf)"),
}


# --------------------------------------------------------------------------------------------------- measures


def trustworthiness(X, places, *, n_neighbors: int = 12) -> float:
    """How far neighbours on the map are neighbours in the data (Venna & Kaski 2001), in [0, 1].

        1 - 2 / (n k (2 n - 3 k - 1)) sum_i sum_(j in U_i) (r(i, j) - k)

    U_i are those of sample i's k nearest on the map that are not among its k nearest in the data, and r(i, j) is the rank of j
    among the neighbours of i in the data. scikit-learn's function of this name, with Euclidean distances.

    Parameters
    ----------
    X : (n, features) numbers
    places : (n, components)
    n_neighbors : int, default 12; k, less than n / 2

    >>> round(trustworthiness(X, X / 2), 3)
    1.0
    """
    return float(manifold.trustworthiness(as_array(X), as_array(places), n_neighbors=n_neighbors))


def continuity(X, places, *, n_neighbors: int = 12) -> float:
    """How far neighbours in the data are neighbours on the map: `trustworthiness` with the two exchanged.

    >>> round(continuity(X, X / 2), 3)
    1.0
    """
    return trustworthiness(places, X, n_neighbors=n_neighbors)


def neighbour_accuracy(places, labels, train_places=None, train_labels=None, *, n_neighbors: int = 5) -> float:
    """The share of samples whose nearest on the map vote for their label: nearest of training, or of the others.

    Parameters
    ----------
    places, labels : (n, components) and (n,)
    train_places, train_labels : likewise, default None: each sample's neighbours are then the other samples
    n_neighbors : int, default 5

    >>> neighbour_accuracy(X, y, X, y, n_neighbors=1)
    1.0
    """
    labels = as_array(labels)
    if train_places is not None:
        return float(KNeighborsClassifier(n_neighbors).fit(train_places, train_labels).score(places, labels))
    votes = KNeighborsClassifier(n_neighbors).fit(places, labels)
    classes, index = np.unique(labels, return_inverse=True)
    near = index[votes.kneighbors(return_distance=False)]  # (n, n_neighbors); a sample is no neighbour of its own
    counts = np.stack([(near == place).sum(1) for place in range(len(classes))], 1)
    return float((classes[counts.argmax(1)] == labels).mean())


def measures(placed, X, *, most: int = MOST) -> dict[str, float]:
    """Trustworthiness and continuity of the map of `X`, by the distances that `TSNE` compares; of up to `most` samples."""
    check_is_fitted(placed)
    return measures_of(*spread(most, features(placed.model_, X), as_array(placed.transform(X))))


def measures_of(values: np.ndarray, places: np.ndarray) -> dict[str, float]:
    neighbours = min(12, (len(values) - 1) // 2)
    if neighbours < 1:
        raise ValueError(f"There are {len(values)} samples, but neighbours are compared of three or more.")
    both = {"trustworthiness": trustworthiness, "continuity": continuity}
    return {name: measure(values, places, n_neighbors=neighbours) for name, measure in both.items()}


def spread(most: int, *arrays) -> list:
    """The same up to `most` rows of each array, evenly spread; None stays."""
    count = len(arrays[0])
    rows = np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(int)
    return [None if array is None else array[rows] for array in arrays]
