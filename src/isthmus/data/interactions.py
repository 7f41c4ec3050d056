"""Interactions: who used or rated what, as a sparse matrix or a frame; a sample is a user, and all that is not known is zero."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .frames import Layout, frame_of, imported, layout_of, write_frame
from .schema import Rows, Schema, Statistics, given_back

_WORDS = {  # what the columns of a frame may be called, whatever their case, with or without "id" or "name" behind
    "user": ("user", "users", "customer", "member", "reader", "listener", "viewer", "visitor", "account", "client", "person"),
    "item": (
        "item", "items", "movie", "film", "product", "article", "book", "song", "track", "artist", "video", "show", "game",
        "title", "page", "course", "recipe", "restaurant", "place", "sku", "isbn", "asin",
    ),
    "rating": ("rating", "ratings", "score", "stars", "count", "counts", "plays", "quantity", "weight", "value"),
    "time": ("time", "timestamp", "date", "datetime", "day", "ts"),
}  # fmt: skip


@dataclass
class Users:
    """The users of a frame, in the order of the rows that they became; `layout` is that of their column alone."""

    layout: Layout
    names: list

    @property
    def column(self) -> str:
        return self.layout.columns[0].name

    def subset(self, index) -> "Users":
        return Users(self.layout, [self.names[place] for place in index])

    def __eq__(self, other) -> bool:
        return isinstance(other, Users) and self.names == other.names

    def first_other(self, others: "Users") -> str:
        """A user that only one of two frames has."""
        one = min(map(str, set(self.names) ^ set(others.names)))
        return f"user {one!r} is in one of them only"

    def indexed(self, codes) -> Any:
        """Codes as a frame of pandas, with the users as its index."""
        pandas: Any = imported("pandas")
        return pandas.DataFrame(np.asarray(codes), index=pandas.Index(self.names, name=self.column))


@dataclass
class Histories:
    """What either form of interactions becomes: a CSR matrix (users, items) of positive values, and the names, if any.

    numbers : of the matrix' rows as they were given;   rated : whether values were given, rather than pairs alone
    """

    matrix: Any
    numbers: np.ndarray
    users: Users | None = None
    items: list | None = None
    rated: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape

    def __getitem__(self, index) -> "Histories":
        users = None if self.users is None else self.users.subset(index)
        return Histories(self.matrix[index], self.numbers[index], users, self.items, self.rated)

    def user(self, row: int) -> str:
        """A user as an error should name them."""
        return f"row {self.numbers[row]}" if self.users is None else f"user {self.users.names[row]!r}"

    def empty(self) -> np.ndarray:
        """The rows without any interaction."""
        return np.flatnonzero(np.diff(self.matrix.indptr) == 0)


class Interactions(Schema):
    """Histories of users: what each used, or how they rated it.

    Comes in as a sparse matrix of scipy's, (users, items), or as a frame with a row for each interaction and the columns user,
    item and, where there are any, rating (`user_id`, `movieId` and their like are understood; a column of times is left aside).
    Users and items of a frame are sorted by name: the i-th row of codes and scores belongs to the i-th of `users_of(frame)`, and
    sample weights and conditions have that order too.

    Without ratings, and where all are equal, every pair counts 1, however often it is there (counts are given as ratings).
    Ratings are positive numbers and stay as they are; a pair that a frame rates twice is refused, while a matrix adds up what it
    holds twice, as scipy's do. Matrices stay sparse; rows become dense a batch at a time. The network reads every history at
    length one, x / |x|, so that long ones do not drown short ones (Liang et al. 2018, "Variational autoencoders for collaborative
    filtering").

    What comes out are scores of all items, (users, items): an array for a matrix; for a frame another of the same library, with
    the column of users and one column for each item under its name as text. Both are dense: score many users a part at a time.

    >>> import numpy as np
    >>> schema = Interactions.learn(Interactions.check(sparse.csr_array(np.eye(3) + np.eye(3, k=1))))
    >>> schema.shape, schema.implicit, schema.read(sparse.csr_array([[0, 0, 5]])).take(torch.tensor([0])).values
    ((3,), True, tensor([[0., 0., 1.]]))
    """

    kind = "interactions"
    endings = (".npy", ".csv", ".parquet")
    unit_length = True

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, items=None, implicit=True, library=None):
        super().__init__(shape, dtype, center, scale, constant)
        self.items, self.implicit, self.library = items, implicit, library

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X) -> Histories:
        """Histories of either form, with positive numbers throughout."""
        if isinstance(X, Histories):
            return X
        if sparse.issparse(X):
            return from_matrix(X)
        frame = None if isinstance(X, np.ndarray | Tensor) else frame_of(X)
        if frame is None:
            shape = getattr(X, "shape", None)
            raise ValueError(
                "Interactions are a sparse matrix (users, items) or a frame with the columns user and item; got a "
                f"{type(X).__name__}{'' if shape is None else f' of shape {tuple(shape)}'}. Make a matrix of it by "
                "scipy.sparse.csr_array(X), or name the columns of pairs: pandas.DataFrame(X, columns=['user', 'item'])."
            )
        return from_frame(frame)

    @classmethod
    def learn(cls, X, scaling="auto", weight=None) -> "Interactions":
        if scaling not in ("auto", "none"):
            raise ValueError(f"scale={scaling!r}: counts and ratings stay as they are. Use scale='auto'.")
        empty = X.empty()
        if len(empty):
            raise ValueError(
                f"There is nothing to learn from {X.user(empty[0])}, which holds no interaction ({len(empty)} such rows in all). "
                "Leave them out: X[X.getnnz(axis=1) > 0]."
            )
        refuse_clash(X.users, X.items)
        values = X.matrix.data
        schema = cls(
            [X.shape[1]],
            values.dtype,
            items=X.items,
            implicit=not X.rated or bool((values == values[0]).all()),
            library=None if X.users is None else X.users.layout.library,
        )
        schema.statistics = statistics_of(schema.valued(X), weight)
        return schema

    def read(self, X) -> Rows:
        if isinstance(X, np.ndarray | Tensor) and X.ndim == 2 and X.shape[1] == self.shape[0]:
            X = sparse.csr_array(X.detach().cpu().numpy() if isinstance(X, Tensor) else X)
        X = self.aligned(self.check(X))
        self.check_shape(X)
        empty = X.empty()
        if len(empty):
            warnings.warn(
                f"There is no interaction in {X.user(empty[0])} ({len(empty)} such rows in all): an empty history has the same "
                "code for everyone, and scores that say what most users like.",
                UserWarning,
                stacklevel=2,
            )
        return self.rows(X)

    def rows(self, X) -> Rows:
        return Rows(self, self.valued(X), names=X.users)

    def valued(self, X: Histories) -> Any:
        """The matrix with the values that are learnt from: all 1 where nothing was rated."""
        matrix = X.matrix
        if not self.implicit:
            return matrix
        return type(matrix)((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)

    def check_shape(self, X) -> None:
        if len(X.shape) != 2 or X.shape[1] != self.shape[0]:
            raise ValueError(f"Histories come as (users, {self.shape[0]} items), as in fit; got shape {tuple(X.shape)}.")

    def aligned(self, X: Histories) -> Histories:
        """Histories of a frame with the items of this schema as columns; unknown ones are refused."""
        if X.items is None:
            return X
        if self.items is None:
            raise ValueError(
                f"This model was fitted to a matrix of {self.shape[0]} items without names, so those of a frame say nothing to "
                "it. Give a matrix whose columns are the same items."
            )
        if not (X.rated or self.implicit):
            raise ValueError("This model was fitted to ratings, but the frame has no column of ratings. Add it.")
        self.refuse_unknown(X)
        refuse_clash(X.users, self.items)
        known = {name: place for place, name in enumerate(self.items)}
        places = np.array([known[name] for name in X.items])  # rising, for both are sorted
        matrix = type(X.matrix)((X.matrix.data, places[X.matrix.indices], X.matrix.indptr), shape=(X.shape[0], len(known)))
        return Histories(matrix, X.numbers, X.users, self.items, X.rated)

    def refuse_unknown(self, X: Histories) -> None:
        assert X.items is not None and self.items is not None
        known = set(self.items)
        unknown = [name for name in X.items if name not in known]
        if not unknown:
            return
        if type(unknown[0]) is not type(self.items[0]):
            raise ValueError(
                f"Items are {said_of(unknown[0])} such as {unknown[0]!r}, but in fit they were {said_of(self.items[0])} such as "
                f"{self.items[0]!r}. Convert the column."
            )
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise ValueError(
            f"{len(unknown)} item{'s were' if len(unknown) > 1 else ' was'} not there in fit: {shown}. Leave such rows out "
            "(the known items are in schema_.items), or fit anew with them."
        )

    def users_of(self, X) -> list:
        """The users of a frame in the order of the rows that codes and scores have."""
        users = self.check(X).users
        if users is None:
            raise ValueError("A matrix does not name its users: they are its rows, in their order.")
        return users.names

    def about(self, X: Histories) -> dict:
        """How many users, items and interactions there are, and what they say."""
        (users, items), values = X.shape, self.valued(X).data
        return {
            "users": users,
            "items": items,
            "interactions": len(values),
            "share filled": f"{len(values) / (users * items):.3%}",
            "items a user": f"{len(values) / users:.1f} on average, {np.diff(X.matrix.indptr).min()} at least",
            "values": "1 each" if self.implicit else f"ratings from {values.min():g} to {values.max():g}",
        }

    # ------------------------------------------------------------------------------------------------- out

    def give_back(self, values: Tensor, like) -> Any:
        """Scores in the form of `like`: users of a frame, a matrix, or codes, whose index names the users where it has a name."""
        if self.items is None or self.library is None or sparse.issparse(like):
            return given_back(values, like)
        users = like if isinstance(like, Users) else named_by_index(like)
        library: Any = imported(self.library if users is None else users.layout.library)
        names = list(map(str, self.items))
        frame = nw.from_numpy(values.detach().cpu().numpy(), names, backend=library)
        if users is None:
            return frame.to_native()
        refuse_clash(users, self.items)
        column = nw.from_native(users.layout.frame({users.column: users.names}), eager_only=True)[users.column]
        return frame.with_columns(column).select(users.column, *names).to_native()

    # ----------------------------------------------------------------------------------------------- files

    def write_file(self, file, values, ending):
        """Scores into an open file: frames with the users beside them, but for .npy, which holds the scores alone."""
        frame = frame_of(values)
        if frame is None and ending == ".parquet":
            raise ValueError("The scores are an array, whose columns have no names for a .parquet file. Write a .npy or .csv.")
        if frame is None or ending == ".npy":
            scores = values if frame is None else frame.select(*map(str, self.items or [])).to_numpy()
            return super().write_file(file, scores, ending)
        return write_frame(file, values, ending)

    def config(self) -> dict:
        return super().config() | {"items": self.items, "implicit": self.implicit, "library": self.library}


# --------------------------------------------------------------------------------------------------- helpers


def from_matrix(X) -> Histories:
    """A matrix without zeros or doubles, of floats; numbers that are not positive are refused by row."""
    if X.ndim != 2 or not all(X.shape) or X.dtype.kind not in "fiub":
        raise ValueError(
            f"A matrix of numbers, (users, items), is expected, with one of each at least; got {X.shape} of {X.dtype}."
        )
    matrix = X.tocsr()
    if not matrix.has_canonical_format or not matrix.data.all():
        matrix = matrix.copy()  # what was given stays as it is
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    bad = np.flatnonzero(~(np.isfinite(matrix.data) & (matrix.data > 0)))
    if len(bad):
        row = np.searchsorted(matrix.indptr, bad[0], "right") - 1
        raise ValueError(
            f"Row {row} holds {matrix.data[bad[0]]} for item {matrix.indices[bad[0]]}, but counts and ratings are positive "
            "numbers; zero is what is not known. Leave it out, or shift the ratings."
        )
    return Histories(matrix.astype(floats(matrix.dtype), copy=False), np.arange(X.shape[0]))


def from_frame(frame: nw.DataFrame) -> Histories:
    """The matrix of a frame's users and items, both sorted."""
    columns = columns_of(frame)
    if not len(frame):
        raise ValueError("The frame has no rows. At least one interaction is needed.")
    users, row = names_and_places(frame[columns["user"]])
    items, column = names_and_places(frame[columns["item"]])
    rating = columns.get("rating")
    values = np.ones(len(frame), np.float32) if rating is None else ratings_of(frame[rating])
    if rating is not None:
        refuse_doubles(row.astype(np.int64) * len(items) + column, frame, columns)
    matrix = sparse.csr_array((values, (row, column)), shape=(len(users), len(items)))
    matrix.sort_indices()
    if rating is None:
        matrix.data[:] = 1
    layout: Any = layout_of(frame.select(columns["user"]))
    return Histories(matrix, np.arange(len(users)), Users(layout, users), items, rating is not None)


def columns_of(frame: nw.DataFrame) -> dict[str, str]:
    """The columns of users, of items and, if there is one, of ratings, by their names; those of times are left aside."""
    found: dict[str, str] = {}
    cure = "Rename it, or pass X[['user', 'item', 'rating']]."
    for name in frame.columns:
        role = "time" if isinstance(frame[name].dtype, nw.Datetime | nw.Date) else role_of(name)
        if role is None:
            raise ValueError(f"Column {name!r} is none of user, item, rating or time, which interactions are made of. {cure}")
        if role != "time" and role in found:
            raise ValueError(f"The columns {found[role]!r} and {name!r} could both be the {role}. Leave one out. {cure}")
        found[role] = name
    absent = [role for role in ("user", "item") if role not in found]
    if absent:
        raise ValueError(
            f"The frame has no column {' and no column '.join(absent)}: its columns are {', '.join(map(repr, frame.columns))}. "
            "Interactions have a user and an item in each row, and a rating if there is one. Rename the columns so."
        )
    return found


def role_of(name) -> str | None:
    plain = "".join(c for c in str(name).lower() if c.isalnum())
    forms = {plain, plain.removesuffix("id"), plain.removesuffix("name"), plain.removesuffix("no")}
    return next((role for role, words in _WORDS.items() if forms & set(words)), None)


def names_and_places(series: nw.Series) -> tuple[list, np.ndarray]:
    """The different names in a column, sorted, and the place among them of every cell."""
    absent = series.is_null()
    if absent.any():
        raise ValueError(
            f"Column {series.name!r} holds nothing in row {int(absent.to_numpy().argmax())}. Leave such rows out: X.dropna()."
        )
    if series.dtype.is_integer():
        names, places = np.unique(series.to_numpy(), return_inverse=True)
        return names.tolist(), places
    if not isinstance(series.dtype, nw.String | nw.Categorical | nw.Enum):
        raise ValueError(
            f"Column {series.name!r} holds cells of type {series.dtype}, but users and items are named by whole numbers or "
            f"texts. Convert it: X[{series.name!r}].astype(int), or str."
        )
    cells = series.cast(nw.String).to_list()
    known = {name: place for place, name in enumerate(sorted(set(cells)))}
    return list(known), np.fromiter(map(known.__getitem__, cells), np.int64, len(cells))


def ratings_of(series: nw.Series) -> np.ndarray:
    """(n,) positive floats; others are refused by row."""
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        raise ValueError(f"Column {series.name!r} holds cells of type {series.dtype}, but ratings are numbers. Convert it.")
    values = series.cast(nw.Float64).to_numpy().astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise ValueError(
            f"Column {series.name!r} holds {values[bad[0]]:g} in row {bad[0]}, but counts and ratings are positive numbers; what "
            "is not known has no row. Leave such rows out, or shift the ratings."
        )
    return values if series.dtype == nw.Float64 else values.astype(np.float32)


def refuse_doubles(pairs: np.ndarray, frame: nw.DataFrame, columns: dict[str, str]) -> None:
    """Refuses a pair that is rated twice; `pairs` has a number for each."""
    order = pairs.argsort(kind="stable")
    again = np.flatnonzero(pairs[order][1:] == pairs[order][:-1])
    if not len(again):
        return
    first, second = order[again[0]], order[again[0] + 1]
    user, item = (frame[columns[role]][[int(first)]].to_list()[0] for role in ("user", "item"))
    raise ValueError(
        f"Item {item!r} has two ratings by user {user!r}, in rows {first} and {second} ({len(again)} such pairs in all). Keep "
        f"one: X.drop_duplicates([{columns['user']!r}, {columns['item']!r}], keep='last'), or add them up, where they are counts."
    )


def refuse_clash(users: Users | None, items: list | None) -> None:
    """Refuses an item that is named as the column of users: scores of items stand in columns beside it."""
    if users is not None and items is not None and users.column in map(str, items):
        raise ValueError(f"An item is named {users.column!r}, as the column of users is. Rename either.")


def named_by_index(codes) -> Users | None:
    """The users that the index of a frame of codes names."""
    index: Any = getattr(codes, "index", None)
    if not isinstance(getattr(index, "name", None), str):
        return None
    frame = index.to_frame(index=False)
    layout: Any = layout_of(frame)
    return Users(layout, index.tolist())


def statistics_of(matrix, weight) -> Statistics:
    """Of every item, with what is not known as zero, and nothing made dense but one row."""
    weight = np.ones(matrix.shape[0]) if weight is None else np.asarray(weight, np.float64)
    wide, total = matrix.astype(np.float64), weight.sum()
    mean, square = weight @ wide / total, weight @ wide.power(2) / total
    low, high = (extreme(axis=0).toarray().ravel() for extreme in (wide.min, wide.max))
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return Statistics(*map(torch.from_numpy, (mean, std, low, high)))


def floats(dtype) -> type:
    return np.float64 if dtype == np.float64 else np.float32


def said_of(name) -> str:
    return "texts" if isinstance(name, str) else "whole numbers"
