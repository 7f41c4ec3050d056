"""`Recommender`: what a user may like next, from who used or rated what."""

import math
import warnings
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted, check_random_state

from .. import Autoencoder, Training, presets
from ..data import Interactions
from ..data.interactions import Histories
from ..parts import Dense, Mask
from ..parts.ranges import check_ranges, number, one_of, whole
from .base import Application, is_fitted

METHODS = ("autoencoder", "closed_form", "blend")
RIDGES = (50.0, 100.0, 200.0, 400.0, 800.0)
BLENDS = tuple(step / 10 for step in range(1, 10))
MOST_ITEMS = 20_000  # whose closed form is computed without having been asked for: 1.6 GB
GIVEN, LEAST = 0.8, 5  # of a history that is judged: what is recommended from, and the items it must have
DEPTH, COVERED = 100, 10  # ranks that methods are compared on, and that coverage is of
BLOCK = 512  # users whose scores are dense at a time


class Recommender(Application):
    """Ranks the items that a user has not used yet, by what others with a like history used; also for users never seen.

        autoencoder    s_a = log softmax(decode(encode(x))), trained to rebuild histories of which half was taken away
                       (Liang et al. 2018, "Variational autoencoders for collaborative filtering")
        closed form    s_c = x B,   B = I - P diag(1 / P_jj),   P = (X' X + ridge I)^-1, which minimises |X - X B|^2 +
                       ridge |B|^2 with a diagonal of zeros (Steck 2019, "Embarrassingly shallow autoencoders")
        blend          (1 - blend) s_a + blend s_c, both standardised over the items, user by user

    `fit` puts some users aside, trains on the others, gives each method four fifths of the histories put aside, and looks for
    the rest in what it ranks. method="auto" takes the best by NDCG@100, the closed form too where it wins; `comparison_` tells
    by how much. What was chosen is then fitted to all users.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        See `Application`. The default is variational, 200 numbers and a hidden layer of 600 on either side, with half of each
        history taken away. One that is fitted is used as it stands; where it knows the users put aside, it is flattered.
    method : "auto", "autoencoder", "closed_form" or "blend", default "auto"
    ridge : "auto" or float, default "auto"; of the closed form. "auto" is the best of 50 to 800
    blend : "auto" or float in [0, 1], default "auto"; weight of the closed form in the blend
    least_rating : float, default None
        Only ratings of that much count, and each as 1; None: what was given counts as it is.
    held_out : float in (0, 1), default 0.1; share of the users that methods are compared by
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder; None where the closed form was asked for
    method_, ridge_, blend_ : what was chosen
    comparison_ : list of dict, one a method, on the users put aside, as `evaluate` gives them
    items_ : list of the items' names; None for those of a matrix
    popularity_ : (n_items,) users of each

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> tastes = np.kron(np.eye(2), np.ones((60, 12))) * (np.random.default_rng(0).random((120, 24)) < 0.6)
    >>> recommender = Recommender(method="closed_form", ridge=10.0).fit(csr_array(tastes))
    >>> items, scores = recommender.recommend(csr_array(tastes[:2]), 3)
    >>> items.shape, bool((items < 12).all())
    ((2, 3), True)
    """

    task = "recommend"
    kind = "interactions"
    model_optional = True
    schema_: Any
    _ranges = {
        "method": one_of("auto", *METHODS),
        "ridge": number("(0, inf)").also("auto"),
        "blend": number("[0, 1]").also("auto"),
        "least_rating": number("(-inf, inf)").also(None),
        "held_out": number("(0, 1)"),
    }

    def __init__(
        self, model=None, *, method="auto", ridge="auto", blend="auto", least_rating=None, held_out=0.1, random_state=None
    ):
        self.model = model
        self.method = method
        self.ridge = ridge
        self.blend = blend
        self.least_rating = least_rating
        self.held_out = held_out
        self.random_state = random_state

    def _default_model(self, X) -> Autoencoder:
        items = X.shape[1]
        return presets.variational(
            max(2, min(200, items // 4)),
            beta=0.2,
            kind="interactions",
            corruption=Mask(0.5),
            architecture=Dense((max(8, min(600, items // 2)),), activation="tanh", bypass=False),
            training=Training("adam"),  # of ones among zeros Muon learns as much, in several times the steps
            batch_size=128,
            max_epochs=100,
        )

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, callbacks=()):
        """Trains on `X`, a sparse matrix (users, items) or a frame with the columns user, item and, where there is one, rating.

        Where something is to be chosen, ir-measures compares: pip install "isthmus[recommend]".
        """
        check_ranges(self, self._ranges)
        self._refuse_other_kind()
        histories = self._counted(Interactions.check(X))
        self.schema_ = Interactions.learn(histories)
        self.items_, self.popularity_ = histories.items, as_ones(histories.matrix).sum(0)
        self.n_features_in_ = histories.shape[1]
        self.comparison_: list[dict] = []
        if self._is_settled():
            self.method_, self.ridge_, self.blend_ = self.method, self.ridge, self.blend
        else:
            self._choose(histories, callbacks)
        self.model_: Any = None
        if self.method_ != "closed_form" or self.method == "auto":
            self._fit_model(histories, callbacks=callbacks)
        self.closed_form_ = closed_form(histories.matrix, self.ridge_) if self._wants_closed_form() else None
        return self

    def _counted(self, histories: Histories) -> Histories:
        """What counts of them: the ratings that are high enough, and the users who have any."""
        matrix, numbers, rated = histories.matrix, histories.numbers, histories.rated
        if self.least_rating is not None:
            matrix = of_at_least(matrix, self.least_rating)
            kept = np.flatnonzero(np.diff(matrix.indptr))
            if not len(kept):
                raise ValueError(f"least_rating={self.least_rating}: no rating is that high. Set a lower one.")
            matrix, numbers, rated = matrix[kept], numbers[kept], False
        return Histories(matrix, numbers, None, histories.items, rated)

    def _is_settled(self) -> bool:
        """Whether the parameters leave nothing to choose."""
        needed = {"autoencoder": (), "closed_form": (self.ridge,), "blend": (self.ridge, self.blend)}.get(self.method, ("auto",))
        return "auto" not in needed

    def _wants_closed_form(self) -> bool:
        """It is also what `because` reads, so it is left out only where it would be too large, and is not needed."""
        return self.method_ != "autoencoder" or (self.ridge_ != "auto" and self.n_features_in_ <= MOST_ITEMS)

    # ---------------------------------------------------------------------------------------------- choose

    def _choose(self, histories: Histories, callbacks) -> None:
        """Sets what is "auto" by how well each finds what was taken from users put aside."""
        random = check_random_state(self.random_state)
        enough = np.flatnonzero(np.diff(histories.matrix.indptr) >= LEAST)
        count = round(self.held_out * len(enough))
        if count < 2 or len(enough) < 20:
            raise ValueError(
                f"{len(enough)} users have {LEAST} items or more, too few to compare methods by. Say what is wanted: "
                "method='closed_form' with ridge=100.0, say, or method='autoencoder'."
            )
        aside = random.permutation(enough)[:count]
        others = histories[np.setdiff1d(np.arange(histories.shape[0]), aside)]
        given, wanted = parted(histories.matrix[np.sort(aside)], random)
        found = {"popularity": as_ones(others.matrix).sum(0) + np.zeros((given.shape[0], 1))}
        self.ridge_, self.blend_ = self.ridge, self.blend
        if self.method == "closed_form" or self.method == "blend" or histories.shape[1] <= MOST_ITEMS:
            found["closed_form"] = self._best_closed_form(others.matrix, given, wanted)
        if self.method != "closed_form":
            model = self.model if is_fitted(self.model) else self._chosen_model(others).fit(others, callbacks=callbacks)
            found["autoencoder"] = log_scores(model, given)
        if len(found) == 3 and self.method != "autoencoder":
            found["blend"] = self._best_blend(found["autoencoder"], found["closed_form"], given, wanted)
        self.comparison_ = [{"method": name} | figures(ranked(scores, given), wanted) for name, scores in found.items()]
        offered = [row for row in self.comparison_ if row["method"] in (METHODS if self.method == "auto" else (self.method,))]
        self.method_ = max(offered, key=lambda row: row["ndcg@100"])["method"]

    def _best_closed_form(self, matrix, given, wanted) -> np.ndarray:
        """The scores of the closed form with the best ridge, which is noted."""
        best: tuple = (-math.inf, 0.0, None)
        for ridge in RIDGES if self.ridge == "auto" else (self.ridge,):
            scores = given @ closed_form(matrix, ridge)
            best = max(best, (figures(ranked(scores, given), wanted)["ndcg@100"], ridge, scores), key=lambda each: each[0])
        self.ridge_ = best[1]
        return best[2]

    def _best_blend(self, a: np.ndarray, c: np.ndarray, given, wanted) -> np.ndarray:
        """The scores of the blend with the best weight, which is noted."""
        best: tuple = (-math.inf, 0.0, None)
        for weight in BLENDS if self.blend == "auto" else (self.blend,):
            scores = blended(a, c, weight)
            best = max(best, (figures(ranked(scores, given), wanted)["ndcg@100"], weight, scores), key=lambda each: each[0])
        self.blend_ = best[1]
        return best[2]

    # ----------------------------------------------------------------------------------------------- verbs

    def scores(self, X) -> np.ndarray:
        """Scores of all items, (users, items), higher is better; for a user without history, how many use each item."""
        return self._scores(self._read(X).matrix, self.method_)

    def recommend(self, X, k: int = 10, *, exclude_seen: bool = True):
        """The `k` items of the highest scores, best first.

        Parameters
        ----------
        X : histories: a sparse matrix (users, items), a frame as in `fit`, or a list with a list of items for each user
        k : int, default 10
        exclude_seen : bool, default True; leave out what is in the history. A user who has used nearly all gets fewer than k

        Returns
        -------
        Of a frame a frame of the same library with the columns user (under its own name), rank, item, score and because, the
        item of the history that speaks most for it. Else (items, scores), (users, k) each: the items' names, or places in the
        matrix, and -1 (names: None) with a score of -inf where there is none left.
        """
        histories = self._read(X)
        places, scores = self._ranked(histories.matrix, k, exclude_seen)
        if histories.users is None:
            return self._named(places), scores
        return self._as_frame(histories, places, scores)

    def because(self, X, items) -> np.ndarray:
        """For each of `items`, (users, k) as `recommend` gives them: the item of the history that speaks most for it.

        That is the one with the largest B_ji of the closed form; None (of a matrix: -1) where the history is empty.
        """
        histories = self._read(X)
        return self._named(self._reasons(histories.matrix, self._places(np.asarray(items))))

    def similar(self, item, k: int = 10):
        """The `k` items nearest to one, (items, weights): those whose scores it raises most in the closed form."""
        all_weights = self._need_closed_form("similar items are read off it")
        place = int(self._places(np.array([[item]], dtype=object))[0, 0])
        weights = all_weights[place].copy()
        weights[place] = -math.inf
        places = np.argsort(-weights, kind="stable")[: min(k, len(weights) - 1)]
        return self._named(places), weights[places]

    def evaluate(self, X, *, random_state=0) -> list[dict]:
        """How well what was taken from users is found again; they should not be those of `fit` (strong generalisation).

        Four fifths of each history of five items or more are given, and the rest is looked for in what is ranked.

        Returns
        -------
        list of dict, one a method (popularity, closed_form, autoencoder, blend, as far as they were fitted), with the keys
            method : str
            ndcg@100, recall@20, recall@50 : mean over users; recall is of as many as could be found in so many ranks
            coverage : share of the items that are among the first 10 of anyone
        """
        matrix = self._read(X).matrix
        enough = np.flatnonzero(np.diff(matrix.indptr) >= LEAST)
        if not len(enough):
            raise ValueError(f"No user has {LEAST} items or more, so nothing can be taken away and found again. Give more users.")
        given, wanted = parted(matrix[enough], check_random_state(random_state))
        return [{"method": name} | figures(ranked(self._scores(given, name), given), wanted) for name in self._known_methods()]

    def _known_methods(self) -> list[str]:
        """Those that can be scored by."""
        there = {"autoencoder": self.model_ is not None, "closed_form": self.closed_form_ is not None}
        there["blend"] = all(there.values()) and self.blend_ != "auto"
        return ["popularity", *(name for name in METHODS if there[name])]

    def _scores(self, matrix, method: str) -> np.ndarray:
        popular = self.popularity_.astype(np.float64)
        if method == "popularity":
            return popular + np.zeros((matrix.shape[0], 1))
        a = log_scores(self.model_, matrix) if method != "closed_form" else None
        c = matrix @ self.closed_form_ if method != "autoencoder" else None
        scores = np.asarray(a if c is None else c if a is None else blended(a, c, self.blend_), np.float64)
        scores[np.diff(matrix.indptr) == 0] = popular
        return scores

    def _ranked(self, matrix, k: int, exclude_seen: bool) -> tuple[np.ndarray, np.ndarray]:
        """Places and scores, (users, k), a block of users at a time."""
        if not whole("[1, inf)").holds(k):
            raise ValueError(f"k={k!r}: a whole number of items, 1 or more, is expected.")
        if k > self.n_features_in_:
            raise ValueError(f"k={k}: there are {self.n_features_in_} items. Ask for so many at most.")
        warn_of_empty(matrix)
        places, scores = [], []
        for start in range(0, matrix.shape[0], BLOCK):
            part = matrix[start : start + BLOCK]
            found = self._scores(part, self.method_)
            order = ranked(found, part if exclude_seen else None, k)
            value = np.where(order < 0, -math.inf, np.take_along_axis(found, order, 1))
            places.append(order)
            scores.append(value)
        return np.concatenate(places), np.concatenate(scores)

    def _reasons(self, matrix, places: np.ndarray) -> np.ndarray:
        """(users, k) places of the items of each history with the largest weight for those at `places`; -1 for none."""
        weights = self._need_closed_form("reasons are read off it")
        reasons = np.full(places.shape, -1)
        for row, wanted in enumerate(places):
            seen = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
            value = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
            if len(seen):
                weight = value[:, None] * weights[np.ix_(seen, wanted)]
                reasons[row] = np.where(wanted < 0, -1, seen[weight.argmax(0)])
        return reasons

    def _need_closed_form(self, why: str) -> np.ndarray:
        check_is_fitted(self, "method_")
        if self.closed_form_ is None:
            raise ValueError(
                f"This recommender has no closed form ({self.n_features_in_:,} items, method={self.method!r}), and {why}. Fit "
                "with ridge=100.0, say, or method='blend'."
            )
        return self.closed_form_

    # --------------------------------------------------------------------------------------- in, and back out

    def _read(self, X) -> Histories:
        """Histories with the items of `fit` as columns."""
        check_is_fitted(self, "method_")
        if isinstance(X, list | tuple):
            return self._from_lists(X)
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == self.n_features_in_:
            X = sparse.csr_array(X)
        found = self.schema_.aligned(Interactions.check(X))
        self.schema_.check_shape(found)
        if self.least_rating is not None and found.rated:
            return replace(found, matrix=of_at_least(found.matrix, self.least_rating))
        return replace(found, matrix=self.schema_.valued(found))

    def _from_lists(self, lists) -> Histories:
        """A history for each list of items, by name, or by place in the matrix."""
        if not lists or not all(isinstance(one, list | tuple | set | np.ndarray) for one in lists):
            raise ValueError(
                "A list holds a list of items for each user, such as [['Alien', 'Brazil']]; got "
                f"{type(lists[0]).__name__ if lists else 'nothing'}."
            )
        places = [self._places(np.array([list(one)], dtype=object))[0] if len(one) else np.zeros(0, int) for one in lists]
        rows = np.repeat(np.arange(len(lists)), [len(one) for one in places])
        matrix = sparse.csr_array(
            (np.ones(len(rows), np.float32), (rows, np.concatenate(places))), (len(lists), self.n_features_in_)
        )
        return Histories(as_ones(matrix), np.arange(len(lists)), None, self.items_, False)

    def _places(self, items: np.ndarray) -> np.ndarray:
        """The places of items by name; of a matrix they are their own names."""
        if self.items_ is None:
            places = items.astype(int)
            unknown = places[(places < -1) | (places >= self.n_features_in_)]
        else:
            known = {name: place for place, name in enumerate(self.items_)} | {None: -1}
            unknown = np.array([name for name in items.ravel().tolist() if name not in known], dtype=object)
            places = np.array([known.get(name, -1) for name in items.ravel().tolist()]).reshape(items.shape)
        if len(unknown):
            raise ValueError(
                f"{unknown.tolist()[0]!r} is no item that was there in fit ({len(unknown)} such in all). The items "
                f"are in items_, or, of a matrix, 0 to {self.n_features_in_ - 1}."
            )
        return places

    def _named(self, places: np.ndarray) -> np.ndarray:
        """Names of items at their places; None, or of a matrix -1, for -1."""
        if self.items_ is None:
            return places
        return np.array([*self.items_, None], dtype=object)[places]

    def _as_frame(self, histories: Histories, places: np.ndarray, scores: np.ndarray):
        """A row for each user and rank, in the library that the histories came in."""
        users: Any = histories.users
        user, rank = np.nonzero(places >= 0)
        reasons = None if self.closed_form_ is None else self._named(self._reasons(histories.matrix, places))
        layout = users.layout
        column = layout.frame({users.column: [users.names[place] for place in user]})
        frame = nw.from_native(column, eager_only=True)
        library = nw.get_native_namespace(frame)
        further = {"rank": rank + 1, "item": list(self._named(places)[user, rank]), "score": scores[user, rank]}
        further |= {} if reasons is None else {"because": list(reasons[user, rank])}
        return frame.with_columns(*(nw.new_series(name, cells, backend=library) for name, cells in further.items())).to_native()

    # ------------------------------------------------------------------------------------------------ save

    def _state(self):
        return {
            "method": self.method_, "ridge": self.ridge_, "blend": self.blend_, "comparison": self.comparison_,
            "schema": self.schema_.config(),
        }  # fmt: skip

    def _tensors(self):
        own = {} if self.closed_form_ is None else {"closed_form": self.closed_form_}
        return (
            own | {"popularity": self.popularity_} | {f"schema.{name}": t.numpy() for name, t in self.schema_.tensors().items()}
        )

    def _restore(self, state, tensors):
        import torch

        self.method_, self.ridge_, self.blend_ = state["method"], state["ridge"], state["blend"]
        self.comparison_ = state["comparison"]
        own = {name.split(".")[1]: torch.from_numpy(t) for name, t in tensors.items() if name.startswith("schema.")}
        self.schema_ = Interactions.restore(state["schema"], own)
        self.items_, self.popularity_, self.closed_form_ = self.schema_.items, tensors["popularity"], tensors.get("closed_form")
        self.n_features_in_ = len(self.popularity_)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "method_")


# --------------------------------------------------------------------------------------------------- helpers


def closed_form(matrix, ridge: float) -> np.ndarray:
    """The weights B, (items, items) float32, of the linear model that predicts every item from all others.

    >>> closed_form(sparse.csr_array(np.eye(3) + np.eye(3, k=1)), 1.0).diagonal()
    array([0., 0., 0.], dtype=float32)
    """
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = -inverse / inverse.diagonal()
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def log_scores(model: Autoencoder, matrix) -> np.ndarray:
    """(users, items) log of what the model expects of each item."""
    known = np.flatnonzero(np.diff(matrix.indptr))  # an empty history is scored by popularity
    scores = np.zeros(matrix.shape)
    if len(known):
        expected = np.asarray(model.reconstruct(matrix[known]), np.float64)
        scores[known] = np.log(np.maximum(expected, np.finfo(np.float32).tiny))
    return scores


def blended(a: np.ndarray, c: np.ndarray, weight: float) -> np.ndarray:
    """The mean of two scores, (users, items) each, `weight` of it the second, brought to one scale user by user."""
    return (1 - weight) * standardised(a) + weight * standardised(c)


def standardised(scores: np.ndarray) -> np.ndarray:
    spread = scores.std(1, keepdims=True)
    return (scores - scores.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1.0)


def ranked(scores: np.ndarray, seen=None, k: int = DEPTH) -> np.ndarray:
    """(users, k) places of the highest scores, best first and of equals the first; not what was `seen`, and -1 for none left.

    >>> ranked(np.array([[0.1, 0.3, 0.2]]), sparse.csr_array([[0, 1, 0]]), 3)
    array([[ 2,  0, -1]])
    """
    scores = scores.copy()
    if seen is not None:
        scores[np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices] = -math.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, scores.shape[1])]
    return np.where(np.isneginf(np.take_along_axis(scores, order, 1)), -1, order)


def parted(matrix, random) -> tuple[Any, Any]:
    """Two matrices of the same users: what is given of each history, four fifths of it, and what is to be found."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    chance = random.random_sample(len(row))
    order = np.lexsort((chance, row))  # each history shuffled
    place = np.empty(len(row), int)
    place[order] = np.arange(len(row)) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    length = np.diff(matrix.indptr)[row]
    hidden = place < np.maximum(1, np.round((1 - GIVEN) * length))
    return tuple(
        sparse.csr_array((matrix.data[part], (row[part], matrix.indices[part])), matrix.shape) for part in (~hidden, hidden)
    )


def figures(places: np.ndarray, wanted) -> dict[str, float]:
    """Of ranked places, (users, DEPTH), and what was to be found: as `Recommender.evaluate` gives them."""
    each = figures_by_user(places, wanted)
    covered = len(np.unique(places[:, :COVERED][places[:, :COVERED] >= 0])) / wanted.shape[1]
    return {name: float(values.mean()) for name, values in each.items()} | {"coverage": covered}


def figures_by_user(places: np.ndarray, wanted) -> dict[str, np.ndarray]:
    """(users,) each of ndcg@100, recall@20 and recall@50; what counts is whether an item was there, not how it was rated."""
    ir = needed_measures()
    names = {ir.nDCG @ DEPTH: "ndcg@100", ir.P @ 20: "recall@20", ir.P @ 50: "recall@50"}
    row, column = wanted.nonzero()
    judged = [ir.Qrel(str(user), str(item), 1) for user, item in zip(row.tolist(), column.tolist(), strict=True)]
    run = [
        ir.ScoredDoc(str(user), str(item), -float(rank))
        for user, items in enumerate(places.tolist())
        for rank, item in enumerate(items)
        if item >= 0
    ]
    found = {name: np.zeros(len(places)) for name in names.values()}
    for one in ir.iter_calc(list(names), judged, run):
        found[names[one.measure]][int(one.query_id)] = one.value
    count = np.diff(wanted.indptr)
    for k in (20, 50):  # a share of k has become one of what could be found among k
        found[f"recall@{k}"] *= k / np.minimum(k, count)
    return found


def needed_measures() -> Any:
    try:
        import ir_measures
    except ImportError as error:
        raise ImportError("Comparing recommendations needs ir-measures: pip install 'isthmus[recommend]'") from error
    return ir_measures


def as_ones(matrix) -> Any:
    """The same pairs, each counting 1."""
    matrix = matrix.tocsr(copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return type(matrix)((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)


def of_at_least(matrix, rating: float) -> Any:
    """The pairs that were rated so high, each counting 1."""
    return as_ones(matrix.multiply(matrix >= rating))


def warn_of_empty(matrix) -> None:
    empty = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if len(empty):
        warnings.warn(
            f"{len(empty)} user{'s have' if len(empty) > 1 else ' has'} no history (the first in row {empty[0]}): what most "
            "users use is recommended.",
            UserWarning,
            stacklevel=3,
        )
