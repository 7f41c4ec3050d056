"""Search by what samples look like: an index of codes, and the nearest of them to a query."""

import hashlib
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_array, check_is_fitted

from .. import Autoencoder
from ..data import as_array, kind_of, open_data
from ..parts import Conv, Noise, Scratches, Warp
from ..parts.ranges import check_ranges, one_of, whole
from ..saving import all_tensors
from .approximate import APPROXIMATE, Graph, Lists
from .base import Application, is_fitted
from .nearest import KEPT, Floats, nearest, ranked

_CANDIDATES = 4  # of faiss, for each neighbour that is asked for
_FEWEST = 40
_LOOKS = 500_000  # at damaged pictures, while a model of one's own learns
_BATCH = 128
_WIDE = 32  # numbers in the code that finds neighbours to learn from
_WORTH_IT = 1000  # codes from which on faiss is asked at all
_SHOWN = 5  # ids in a message
_LAST = 2**63  # before which ids that are whole numbers end


class SearchIndex(Application):
    """Finds the samples whose codes are nearest to a query's, among as many as were added.

        neighbours(x) = the k smallest of  |encode(x) - z_i|,   i in the index

    Codes are kept as floats, bytes or bits. Up to about a million of them the answer is exact: the same, bit for bit, whatever
    the batch. Beyond that faiss proposes candidates, whose distances are then taken exactly.

    The model of its own is trained to undo damage, so that a noisy, scratched or shifted picture has the code of the whole one.
    Two are trained, one after the other: the first, of 32 numbers or more, rebuilds each picture; the second, which is kept,
    rebuilds the mean of the pictures whose codes are then nearest to its own (Wang et al. 2014), which draws what is alike
    together. No labels are used.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        See `Application`. None is, for pictures, a convolutional network of 32 numbers that learns from warped, scratched and
        noisy ones; for other data the default Autoencoder.
    codes : "float", "int8" or "binary", default "float"
        4 bytes, 1 byte or 1 bit a number. Distances are Euclidean (of bytes in steps of one length for all numbers), and of bits
        Hamming's: how many differ.
    metric : "euclidean" or "cosine", default "euclidean"
        "cosine" is 1 - cos of the angle between two codes, for "float" and "int8".
    method : "exact", "hnsw" or "ivfpq", default "exact"
        "hnsw" walks a graph of neighbours: the fastest, with the most memory. "ivfpq" reads lists of codes of 4 bits a number:
        built in seconds. Both need faiss: pip install "isthmus[search]".
    effort : int, default 64
        How much faiss looks at: candidates of the graph (efSearch), or lists (nprobe).
    neighbors : int, default 10
        Of whose mean the second makes its target; 0: train one alone. For arrays, where `model` is not fitted already.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the Autoencoder
    ids_ : (n,) whole numbers or texts, in the order in which they were added
    rows_ : (n, ...) the codes as they are kept; `codes_of` gives them as numbers
    source_ : str or None; where the samples came from, for showing them

    >>> index = SearchIndex(model, codes="int8").fit(X, ids=[f"digit {i}" for i in range(100)])
    >>> distances, ids = index.kneighbors(X[3:5], n_neighbors=2)
    >>> ids[:, 0]
    array(['digit 3', 'digit 4'], dtype='<U8')
    >>> index.remove(["digit 3"])
    >>> len(index), "digit 3" in index.ids_
    (99, False)

    Source: Wang, Huang, Wang & Wang 2014, "Generalized autoencoder: a neural network framework for dimensionality reduction".
    """

    task = "search"
    ranges = {
        "codes": one_of(*KEPT),
        "metric": one_of("euclidean", "cosine"),
        "method": one_of("exact", *APPROXIMATE),
        "effort": whole("[1, 2048]"),
        "neighbors": whole("[0, inf)"),
    }
    kept_: Floats
    rows_: np.ndarray
    ids_: np.ndarray
    next_id_: int  # the next number that was never given away
    source_: str | None = None
    graph_: Graph | Lists | None = None  # what faiss searches, once it is needed
    slots_: np.ndarray  # the place in the index of each of its slots; -1 where the sample was removed
    _known: dict | None = None  # the place of each id, once it is needed

    def __init__(
        self,
        model=None,
        *,
        codes="float",
        metric="euclidean",
        method="exact",
        effort=64,
        neighbors=10,
        random_state=None,
    ):
        self.model = model
        self.codes = codes
        self.metric = metric
        self.method = method
        self.effort = effort
        self.neighbors = neighbors
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------- fill

    def fit(self, X, y=None, *, ids=None, callbacks=()):
        """Trains the model, where it is not fitted, and fills the index with `X`; what it held before is gone.

        Parameters
        ----------
        X : samples, as `Autoencoder.fit` takes them
        y : ignored
        ids : (n_samples,) whole numbers or texts, each once, default None
            None: the names of the files that X was read from, or else 0, 1, 2, ...
        callbacks : as for `Autoencoder.fit`
        """
        self._check()
        X = self._opened(X)
        if ids is not None and hasattr(X, "__len__"):
            checked_ids(ids, len(X))  # before the training, not after it
        fresh = clone(self)
        fresh.model = self.model  # which a clone would not know to be fitted
        fresh._fit_model(X, callbacks=callbacks)
        codes = fresh._codes(X)
        fresh.kept_ = KEPT[self.codes].learn(codes)
        fresh.next_id_ = 0
        fresh.rows_, fresh.ids_ = fresh.kept_.pack(codes[:0]), np.empty(0, np.int64)
        fresh._append(codes, fresh._named(ids, X, len(codes)))
        self.__dict__ = fresh.__dict__
        return self

    def add(self, X, ids=None):
        """Adds samples. Ids must be new, and of the kind that the others are: whole numbers, or texts.

        Parameters
        ----------
        X : samples, as the model was fitted to
        ids : (n_samples,), default None; None: the names of the files, or the next whole numbers
        """
        check_is_fitted(self, "model_")
        X = self._opened(X)
        codes = self._codes(X)
        self._append(codes, self._named(ids, X, len(codes)))
        return self

    def add_codes(self, codes, ids=None):
        """As `add`, for codes that are at hand, (n_samples, n_components), as `model_.transform` gives them."""
        check_is_fitted(self, "model_")
        codes = self._checked_codes(codes)
        self._append(codes, self._named(ids, codes, len(codes)))
        return self

    def remove(self, ids):
        """Takes the samples with these ids out; where one is not known, all stay. Numbers are not given a second time."""
        check_is_fitted(self, "model_")
        asked = checked_ids(ids, None).tolist()
        places = self._places()
        unknown = [one for one in asked if one not in places]
        if unknown:
            raise KeyError(f"The index has no {listed(unknown)}, so nothing was removed. `ids_` holds the ids it has.")
        stays = np.ones(len(self), bool)
        stays[[places[one] for one in asked]] = False
        self.rows_, self.ids_ = self.rows_[stays], self.ids_[stays]
        self._known = None
        self._forget(stays)

    def __len__(self):
        return len(getattr(self, "ids_", ()))

    # ----------------------------------------------------------------------------------------- search

    def kneighbors(self, X, n_neighbors=10, return_distance=True):
        """The nearest samples of the index, the nearest first; of equally near ones, the one added first.

        Parameters
        ----------
        X : samples, as the model was fitted to, damaged or not
        n_neighbors : int, default 10
        return_distance : bool, default True

        Returns
        -------
        distances : (n_samples, n_neighbors) float64, only with `return_distance`
        ids : (n_samples, n_neighbors)
        """
        check_is_fitted(self, "model_")
        self._refuse_number(n_neighbors)
        return self._answer(self._codes(self._opened(X)), n_neighbors, return_distance)

    def kneighbors_of_codes(self, codes, n_neighbors=10, return_distance=True):
        """As `kneighbors`, for codes that are at hand, (n_samples, n_components), as `model_.transform` gives them."""
        check_is_fitted(self, "model_")
        self._refuse_number(n_neighbors)
        return self._answer(self._checked_codes(codes), n_neighbors, return_distance)

    def codes_of(self, ids=None) -> np.ndarray:
        """The codes that the index holds, (n, n_components) float32: of all, or of these ids; for other databases."""
        check_is_fitted(self, "model_")
        if ids is None:
            return self.kept_.codes(self.rows_)
        places = self._places()
        asked = np.asarray(ids).tolist()
        unknown = [one for one in asked if one not in places]
        if unknown:
            raise KeyError(f"The index has no {listed(unknown)}. `ids_` holds the ids it has.")
        return self.kept_.codes(self.rows_[[places[one] for one in asked]])

    @property
    def nbytes(self) -> int:
        """Bytes that the codes take, without ids and model."""
        return self.rows_.nbytes

    def _answer(self, codes: np.ndarray, k: int, return_distance: bool):
        squared, places = self._nearest(self.kept_.pack(codes), k)
        return (self._distances(squared), self.ids_[places]) if return_distance else self.ids_[places]

    def _refuse_number(self, k) -> None:
        if not isinstance(k, Integral) or isinstance(k, bool) or int(k) < 1:
            raise ValueError(f"n_neighbors={k!r}: a whole number of 1 or more is expected.")
        if not len(self):
            raise ValueError("The index is empty: all samples were removed. Add some first: index.add(X).")
        if int(k) > len(self):
            raise ValueError(f"n_neighbors={k}, but the index holds {len(self):,} samples. Ask for that many at most.")

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances of `kept_.values`, and places in the index."""
        if not self._approximates():
            return nearest(self.kept_, self.rows_, queries, k)
        graph, slots = self._graph()
        wanted = min(max(_CANDIDATES * k, _FEWEST), len(slots))
        while True:
            found = graph.search(self.kept_.values(queries), wanted, self.effort)
            places = np.where(found < 0, -1, slots[found])  # -1 too where the sample was removed
            short = (places >= 0).sum(1) < k
            if not short.any() or wanted == len(slots):
                break
            wanted = min(2 * wanted, len(slots))
        squared, places = ranked(self.kept_, self.rows_, queries, places, k)
        if short.any():
            squared[short], places[short] = nearest(self.kept_, self.rows_, queries[short], k)
        return squared, places

    def _distances(self, squared: np.ndarray) -> np.ndarray:
        if self.codes == "binary":
            return squared
        if self.metric == "cosine":
            return squared * (self.kept_.step**2 / 2)  # |a - b|^2 = 2 - 2 cos, for codes of length one
        return np.sqrt(squared) * self.kept_.step

    # ------------------------------------------------------------------------------------------ codes

    def _codes(self, X) -> np.ndarray:
        """(n_samples, n_components) float32"""
        return self._scaled(as_array(self.model_.transform(X)).astype(np.float32))

    def _checked_codes(self, codes) -> np.ndarray:
        codes, wanted = check_array(codes, dtype=np.float32, input_name="codes"), self.model_.n_components_
        if codes.shape[1] != wanted:
            raise ValueError(f"codes have {codes.shape[1]} numbers each, but the model of this index makes {wanted}.")
        return self._scaled(codes)

    def _scaled(self, codes: np.ndarray) -> np.ndarray:
        """Codes as they are, or, for angles, of length one."""
        if self.metric == "euclidean":
            return codes
        length = np.linalg.norm(codes, axis=1, keepdims=True)
        return codes / np.where(length > 0, length, 1)

    def _append(self, codes: np.ndarray, ids: np.ndarray) -> None:
        kinds = {one.dtype.kind for one in (self.ids_, ids) if len(one)}
        if len(kinds) > 1:
            raise TypeError(f"The ids of the index are {spoken(self.ids_)}, and these are {spoken(ids)}. Give ids of one kind.")
        places = self._places()
        known = [one for one in ids.tolist() if one in places]
        if known:
            raise ValueError(f"The index has {listed(known)} already, so nothing was added. Remove them first, or give others.")
        rows = self.kept_.pack(codes)
        if self.graph_ is not None:
            self.graph_.add(self.kept_.values(rows))
            self.slots_ = np.concatenate([self.slots_, np.arange(len(rows)) + len(self)])
        places.update(zip(ids.tolist(), range(len(self), len(self) + len(ids)), strict=True))
        self.rows_ = np.concatenate([self.rows_, rows])
        self.ids_ = np.concatenate([self.ids_, ids]) if len(self.ids_) else ids
        if ids.dtype.kind == "i" and len(ids):
            self.next_id_ = max(self.next_id_, int(ids.max()) + 1)

    def _named(self, ids, X, count: int) -> np.ndarray:
        """The ids of new samples: those given, the names of files, or the next numbers."""
        if ids is not None:
            return checked_ids(ids, count)
        texts, names = self.ids_.dtype.kind == "U", getattr(X, "names", None)
        if names is not None and (texts or not len(self.ids_)):
            return checked_ids(list(names), count)
        if texts and len(self.ids_):
            raise ValueError("The ids of the index are texts, so that no next one is known. Give ids= for the new samples.")
        if self.next_id_ + count > _LAST:
            raise ValueError("The index has given away the last whole number of 64 bits. Give ids= for the new samples.")
        return np.arange(self.next_id_, self.next_id_ + count)

    def _places(self) -> dict:
        """The place of each id."""
        if self._known is None:
            self._known = dict(zip(self.ids_.tolist(), range(len(self)), strict=True))
        return self._known

    # ------------------------------------------------------------------------------------------ faiss

    def _approximates(self) -> bool:
        """Whether faiss is asked: among few codes the exact answer is as quick."""
        return self.method != "exact" and len(self) >= _WORTH_IT

    def _graph(self) -> tuple[Any, np.ndarray]:
        """What faiss searches, built when it is first needed, and its slots."""
        if self.graph_ is None:
            values = self.kept_.values(self.rows_)
            graph = APPROXIMATE[self.method](values.shape[1])
            graph.build(values)
            self.graph_, self.slots_ = graph, np.arange(len(self))
        return self.graph_, self.slots_

    def _forget(self, stays: np.ndarray) -> None:
        """Marks the slots of what was removed; faiss deletes nothing from a graph. With half of them gone, it is built anew."""
        if self.graph_ is None:
            return
        moved = np.where(stays, np.cumsum(stays) - 1, -1)
        self.slots_ = np.where(self.slots_ < 0, -1, moved[self.slots_])
        if 2 * stays.sum() < len(self.slots_):
            self.graph_ = None

    # ------------------------------------------------------------------------------------------ model

    def _check(self) -> None:
        check_ranges(self, self.ranges, "SearchIndex")
        if self.codes == "binary" and self.metric == "cosine":
            raise ValueError(
                "codes='binary' are compared by how many bits differ, and metric='cosine' says nothing. Leave it out."
            )

    def _opened(self, X):
        """A path as what lies there, so that its names are known."""
        if not isinstance(X, str | Path):
            return X
        if hasattr(self, "model_") or is_fitted(self.model):
            schema = getattr(self, "model_", self.model).schema_
            return open_data(X, schema.kind, **schema.reading)[0]
        return open_data(X, self._kind_said())[0]

    def _kind_said(self) -> str:
        said = self.model.get("kind", "auto") if isinstance(self.model, dict) else getattr(self.model, "kind", "auto")
        return getattr(said, "name", said)

    def _default_model(self, X):
        kind = self._kind_said()
        if (kind_of(X) if kind == "auto" else kind) != "images":
            return Autoencoder("auto")
        architecture = Conv(channels_for(X), kernel=5)  # wide kernels see through noise
        damage = [Warp(10.0, 0.08, 0.1, 0.1), Scratches(0, 1), Noise(0.8, least=0.0, low=0.0, high=1.0)]
        return Autoencoder(
            32,
            architecture=architecture,
            corruption=damage,
            kind="images",
            scale="minmax",  # black is 0 and white 1, as the damage takes it
            max_epochs=max(5, min(100, round(_LOOKS / len(X)))),
            batch_size=_BATCH,
        )

    def _fit_model(self, X, **fit_params):
        if self.neighbors and not is_fitted(self.model) and isinstance(X, np.ndarray) and len(X) > self.neighbors:
            first = self._first_model(X).fit(X, **fit_params)
            fit_params["target"] = means_of_neighbors(X, self._scaled(first.transform(X)), self.neighbors)
        super()._fit_model(X, **fit_params)

    def _first_model(self, X: np.ndarray) -> Autoencoder:
        """What finds the neighbours that the model learns from: the same, with no fewer than 32 numbers where there is room."""
        model, size = self._chosen_model(X), int(np.prod(X.shape[1:]))
        if isinstance(model.n_components, Integral):
            model.n_components = max(int(model.n_components), min(_WIDE, size // 2))
        return model

    # ------------------------------------------------------------------------------------------- save

    def _state(self):
        return {
            "model": fingerprint(self.model_),
            "next_id": self.next_id_,
            "step": self.kept_.step,
            "source": self.source_,
        }

    def _tensors(self):
        tensors = {"codes": self.rows_, "center": self.kept_.center} | written_ids(self.ids_)
        if not self._approximates():
            return tensors
        graph, slots = self._graph()
        if (slots < 0).any() or len(slots) != len(self):
            self.graph_ = None
            graph, _ = self._graph()
        return tensors | {f"graph.{name}": tensor for name, tensor in graph.tensors().items()}

    def _restore(self, state, tensors):
        if state["model"] != fingerprint(self.model_):
            raise ValueError(
                "The index was made with another model than the one in its folder model/, whose codes mean something else. "
                "Restore the folder from a copy, or build the index again: isthmus index MODEL DATA -o INDEX."
            )
        self.kept_ = KEPT[self.codes](tensors["center"], state["step"])
        self.rows_, self.ids_ = tensors["codes"], read_ids(tensors)
        self.next_id_, self.source_ = state["next_id"], state["source"]
        graph = {name.removeprefix("graph."): tensor for name, tensor in tensors.items() if name.startswith("graph.")}
        if graph:
            values = self.kept_.values(self.rows_)
            restored = APPROXIMATE[self.method](values.shape[1])
            restored.restore(graph, values)
            self.graph_, self.slots_ = restored, np.arange(len(self))


def channels_for(X) -> tuple[int, ...] | str:
    """Few channels, for a query waits for them, in as many stages as leave about seven pixels a side."""
    if not hasattr(X, "shape"):
        return "auto"
    stages = max(1, min(4, round(np.log2(min(X.shape[1:3]) / 7))))
    return tuple(16 * 2**stage for stage in range(stages))


def means_of_neighbors(X: np.ndarray, codes, count: int) -> np.ndarray:
    """For each sample the mean of the `count` samples whose codes are nearest, itself among them; in the type of X."""
    codes = np.asarray(codes, np.float32)
    kept = Floats.learn(codes)
    places, target = nearest(kept, codes, codes, count)[1], np.empty_like(X)
    for start in range(0, len(X), 1000):
        mean = X[places[start : start + 1000]].mean(1, dtype=np.float64)
        target[start : start + 1000] = mean if X.dtype.kind == "f" else np.rint(mean)
    return target


# ---------------------------------------------------------------------------------------------------- ids


def checked_ids(ids, count: int | None) -> np.ndarray:
    """Ids as int64 or text, each once, and as many as there are samples."""
    found = np.asarray(ids)
    if found.ndim != 1 or (count is not None and len(found) != count):
        wanted = "a list of ids" if count is None else f"one id for each of the {count} samples"
        raise ValueError(f"ids has shape {found.shape}, but {wanted} is expected.")
    if found.dtype.kind in "uO" and any(isinstance(one, int) and not -_LAST <= one < _LAST for one in found.tolist()):
        raise ValueError(f"ids that are whole numbers lie from {-_LAST} to {_LAST - 1}, 64 bits; use texts for others.")
    several = {type(one) for one in ids} if isinstance(ids, list | tuple) else set()
    if found.dtype.kind == "O" or (str in several and len(several) > 1):
        several = {type(one) for one in found.tolist()} if found.dtype.kind == "O" else several
        if several - {str}:
            raise TypeError(
                f"ids are {' and '.join(sorted(kind.__name__ for kind in several))}: texts or whole numbers are expected."
            )
        found = found.astype(str)
    if len(found) and found.dtype.kind not in "iuU":
        raise TypeError(f"ids have the type {found.dtype}: whole numbers or texts are expected.")
    found = found if found.dtype.kind == "U" else found.astype(np.int64)
    values, times = np.unique(found, return_counts=True)
    if len(values) < len(found):
        raise ValueError(f"ids name {listed(values[times > 1].tolist())} more than once. Each sample needs an id of its own.")
    return found


def listed(ids: list) -> str:
    """Ids in a sentence, the first few of them."""
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(map(repr, ids[:_SHOWN])) + more


def spoken(ids: np.ndarray) -> str:
    return "texts" if ids.dtype.kind == "U" else "whole numbers"


def written_ids(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Ids as tensors; of texts their bytes, one after the other, and where each ends."""
    if ids.dtype.kind != "U":
        return {"ids": ids}
    content = [one.encode() for one in ids.tolist()]
    ends = np.cumsum([len(one) for one in content], dtype=np.int64)
    return {"ids.text": np.frombuffer(b"".join(content), np.uint8).copy(), "ids.end": ends}


def read_ids(tensors: dict[str, np.ndarray]) -> np.ndarray:
    if "ids" in tensors:
        return tensors["ids"]
    content, ends = tensors["ids.text"].tobytes(), tensors["ids.end"].tolist()
    return np.array([content[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)])


def fingerprint(model: Autoencoder) -> str:
    """SHA-256 of all that a model's codes depend on: weights and scaling."""
    total = hashlib.sha256()
    for name, tensor in sorted(all_tensors(model).items()):
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
