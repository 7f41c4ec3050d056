"""`Generator`: new pictures like those of a folder, ways between them, and edits along what some have and others lack."""

from numbers import Integral
from typing import Any

import numpy as np
from PIL import Image
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder, presets
from ..data import KINDS, Lazy, as_array, open_data
from ..data.memory import in_bytes
from ..parts import Conv
from ..parts.ranges import Range, check_ranges, is_whole, whole
from .base import Application
from .nearest import Floats, nearest

SIDE = 64  # pixels that larger pictures are brought to, where nobody says otherwise
STEPS, BATCH = 2000, 64  # of training
RATE = 0.005  # wide kernels in four stages lose all they know at the usual one
LEAST = 10  # pictures that a prior can be fitted to


class Generator(Application):
    """New pictures from a folder of pictures: faces, drawn characters, digits.

        minimise  E[ loss(x, decode(z)) + weight * |z|^2 / 2 ],   z = encode(x);   new = decode(z),   z ~ sum_k w_k N(m_k, C_k)

    A regularised autoencoder, whose codes are small, so that they leave no holes, and a mixture of Gaussians fitted to them after
    training (Ghosh et al. 2020). The pictures of `fit` are kept, so that beside each new one the nearest of them can be shown:
    what differs little from it was learnt by heart.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        See `Application`. The default is `presets.regularised` with convolutions; one that is given must have a prior.
    size : "auto", int, pair of int or None, default "auto"
        Height and width that pictures are cut (in the middle, to that shape) and brought to. "auto" leaves pictures of one size
        of up to 64 pixels a side as they are, and makes 64 x 64 of others; None leaves any as they are.
    keep : int, default 5000; pictures of `fit` that are kept, evenly spread
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder
    size_ : (height, width);   pictures_ : those that are kept, uint8;   places_ : their places in `fit`
    attributes_ : dict; of each attribute that was learnt, the step in code space that adds it

    >>> generator = Generator({"max_epochs": 2}, random_state=0).fit(images)
    >>> new = generator.sample(4, random_state=0)
    >>> new.shape, generator.nearest(new)[0].shape, generator.interpolate(images[0], images[1], 5).shape
    ((4, 8, 8), (4, 8, 8), (5, 8, 8))

    Source: Ghosh et al. 2020, "From variational to deterministic autoencoders"; attributes as steps: Larsen et al. 2016,
    "Autoencoding beyond pixels using a learned similarity metric", section 3.2.
    """

    task = "generate"
    kind = "images"
    size_: tuple[int, int]
    pictures_: np.ndarray
    places_: np.ndarray
    attributes_: dict[str, np.ndarray]
    _ranges = {
        "size": Range(
            lambda value: all(is_whole(side) and side > 0 for side in sides_of(value)),
            ": one number of pixels, or height and width, are expected, such as size=64.",
        ).also("auto", None),
        "keep": whole("[1, inf)"),
    }

    def __init__(self, model=None, *, size="auto", keep=5000, random_state=None):
        self.model = model
        self.size = size
        self.keep = keep
        self.random_state = random_state

    def _default_model(self, X) -> Autoencoder:
        batch_size = 2 ** max(4, min(6, round(np.log2(max(len(X), 1) / 8))))
        large = min(X.shape[1:3]) >= 32
        return presets.regularised(
            max(2, min(64, int(np.prod(X.shape[1:])) // 10)),
            components=max(1, min(10, len(X) // 50)),
            kind="images",
            architecture=Conv(kernel=5 if large else 3),
            corruption=None,
            batch_size=batch_size,
            learning_rate=RATE if large else "auto",
            max_epochs=max(1, STEPS // -(-len(X) // batch_size)),
        )

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, attributes=None, callbacks=()):
        """Trains on pictures, and fits the prior to their codes.

        Parameters
        ----------
        X : a folder, an array (n, height, width[, channels]), or a list of pictures of any sizes
        y : ignored
        attributes : dict of name -> (n,) of True and False, default None; what each picture has, see `learn_attribute`
        callbacks : for `Autoencoder.fit`
        """
        check_ranges(self, self._ranges)
        X = open_data(X, "images")[0]
        if hasattr(self, "pictures_"):
            del self.pictures_  # those of an earlier fit may have another form
        self.size_ = self._chosen_size(X)
        X = self.prepared(X)
        if len(X) < LEAST:
            raise ValueError(
                f"There are {len(X)} pictures, but {LEAST} or more are needed to say what new ones are like. Give more."
            )
        self._fit_model(X, callbacks=callbacks)
        self.model_.sample(1, random_state=0)  # which refuses a model without a prior
        if self.model_.target_schema_ is not self.model_.schema_:
            raise ValueError(
                "The model given makes something else of pictures than pictures. Give one that rebuilds them, or none."
            )
        self.places_ = np.unique(np.linspace(0, len(X) - 1, min(len(X), self.keep)).round().astype(int))
        self.pictures_ = X[self.places_]
        self.attributes_ = {}
        for name, has in (attributes or {}).items():
            self.learn_attribute(name, X, has)
        return self

    def _chosen_size(self, X) -> tuple[int, int]:
        """Height and width of all pictures from here on."""
        given = sides_of(self.size)
        if given:
            return int(given[0]), int(given[-1])
        sizes = {tuple(np.shape(one)[:2]) for one in X} if isinstance(X, list | tuple) else {tuple(X.shape[1:3])}
        if len(sizes) == 1 and (self.size is None or max(next(iter(sizes))) <= SIDE):
            return next(iter(sizes))
        if self.size is None:
            raise ValueError("The pictures differ in size, and size=None leaves them as they are. Set size=64, say.")
        return SIDE, SIDE

    def prepared(self, X) -> np.ndarray:
        """Pictures of any size as one array of the size that the model knows."""
        if isinstance(X, list | tuple) and len(X) and all(np.ndim(one) >= 2 for one in X):
            each: Any = [np.asarray(one) for one in X]
        else:
            each = KINDS["images"].check(X)
        bytes_each = self.size_[0] * self.size_[1] * int(np.prod(np.shape(each[0])[2:] or 1)) if len(each) else 0
        if len(each) * bytes_each > in_bytes("auto"):
            raise ValueError(
                f"{len(each):,} pictures of {self.size_} pixels are more than there is memory for. Set a smaller size=."
            )
        if not isinstance(each, list | Lazy) and tuple(each.shape[1:3]) == self.size_:
            return self._alike(as_array(each))
        if not len(each):
            raise ValueError("There are no pictures: X is empty. At least one is needed.")
        made = [resized(as_array(each[place]), self.size_, place) for place in range(len(each))]
        forms = {(one.shape, one.dtype) for one in made}
        if len(forms) > 1:
            said = " and ".join(sorted(f"{shape} {dtype}" for shape, dtype in forms)[:3])
            raise ValueError(
                f"The pictures differ in their channels or pixels: {said}. Convert them to one form, RGB for instance."
            )
        return self._alike(np.stack(made))

    def _alike(self, X: np.ndarray) -> np.ndarray:
        """The pictures, if they have the channels and pixels of those of `fit`."""
        known = getattr(self, "pictures_", X)
        if (X.shape[1:], X.dtype) != (known.shape[1:], known.dtype):
            raise ValueError(
                f"The pictures are {X.shape[1:]} {X.dtype}, but those of fit were {known.shape[1:]} {known.dtype}. "
                "Convert them first."
            )
        return X

    # ------------------------------------------------------------------------------------------------- use

    def sample(self, n=1, *, random_state=None) -> np.ndarray:
        """(n, height, width[, channels]) new pictures."""
        check_is_fitted(self, "model_")
        return self.model_.sample(n, random_state=random_state)

    def interpolate(self, a, b, steps=8) -> np.ndarray:
        """(steps, height, width[, channels]): the way from one picture to another through the code; n ways between n of each."""
        check_is_fitted(self, "model_")
        a, b = (self.prepared(list(end) if self._is_several(end) else [end]) for end in (a, b))
        if len(a) != len(b):
            raise ValueError(f"There are {len(a)} pictures to begin from and {len(b)} to end at: as many of each are expected.")
        ways = [self.model_.interpolate(*ends, steps) for ends in zip(a, b, strict=True)]
        return ways[0] if len(ways) == 1 else np.stack(ways)

    def nearest(self, X) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The kept picture of `fit` that is nearest to each of `X`, by root mean squared difference of pixels from 0 to 1.

        Returns
        -------
        pictures (n, height, width[, channels]), their places in `fit` (n,), and the differences (n,)
        """
        check_is_fitted(self, "model_")
        ours, theirs = (rows_of(pictures) for pictures in (self.prepared(X), self.pictures_))
        kept = Floats.learn(theirs)
        places = nearest(kept, theirs, ours, 1)[1][:, 0]
        away = np.sqrt(np.square(ours.astype(np.float64) - theirs[places]).mean(1))
        return self.pictures_[places], self.places_[places], away

    def learn_attribute(self, name: str, X, has):
        """Learns the step in code space that adds an attribute: the mean code of pictures that have it, minus the others'.

        Parameters
        ----------
        name : str;   X : pictures;   has : (n,) of True and False
        """
        check_is_fitted(self, "model_")
        X = self.prepared(open_data(X, "images")[0])
        self.attributes_ = {**self.attributes_, str(name): self.model_.attribute_direction(X, has)}
        return self

    def edit(self, X, attribute: str, strength=1.0) -> np.ndarray:
        """Pictures with more of an attribute, or with a negative `strength` less: decode(encode(x) + strength * step).

        strength : number, or (n,) numbers; 1 is as far as those that have it are from those that have not
        """
        check_is_fitted(self, "model_")
        if attribute not in self.attributes_:
            known = ", ".join(map(repr, self.attributes_)) or "none"
            raise ValueError(f"{attribute!r} was not learnt; known are {known}. Call learn_attribute(name, X, has) first.")
        given = np.asarray(strength, np.float64)
        X = self.prepared(open_data(X, "images")[0])
        if given.shape not in ((), (len(X),)) or not np.isfinite(given).all():
            raise ValueError(f"strength={strength!r}: a finite number is expected, or one for each of the {len(X)} pictures.")
        codes = np.asarray(self.model_.transform(X))
        moved = codes + given.reshape(-1, 1) * self.attributes_[attribute]
        return self.model_.inverse_transform(moved.astype(codes.dtype)).astype(X.dtype)

    def evaluate(self, X, n=None, *, random_state=0) -> dict[str, float]:
        """New pictures beside pictures that were not there in `fit`, by how far each is from the nearest of `fit`.

        Returns
        -------
        dict with the keys "new" and "unseen", medians of `nearest`'s differences, and "copies": the share of new pictures that
        are nearer to one of `fit` than all but 1 % of the unseen are; about 0.01 where nothing was learnt by heart
        """
        unseen = self.nearest(open_data(X, "images")[0])[2]
        new = self.nearest(self.sample(n or len(unseen), random_state=random_state))[2]
        return novelty(new, unseen)

    def _is_several(self, X) -> bool:
        """Whether these are pictures rather than one."""
        return isinstance(X, list | tuple) or np.ndim(X) == self.pictures_.ndim

    # ------------------------------------------------------------------------------------------------- files

    def _state(self):
        return {"size": list(self.size_), "attributes": list(self.attributes_)}

    def _tensors(self):
        steps = {f"attribute.{place}": step for place, step in enumerate(self.attributes_.values())}
        return {"pictures": self.pictures_, "places": self.places_} | steps

    def _restore(self, state, tensors):
        self.size_ = (state["size"][0], state["size"][1])
        self.pictures_, self.places_ = tensors["pictures"], tensors["places"]
        self.attributes_ = {name: tensors[f"attribute.{place}"] for place, name in enumerate(state["attributes"])}


# --------------------------------------------------------------------------------------------------- helpers


def sides_of(size) -> tuple:
    """Height and width, or one number for both; nothing where none was given."""
    if size is None or isinstance(size, str):
        return ()
    return (size, size) if isinstance(size, Integral) else tuple(size) if np.ndim(size) == 1 and len(size) == 2 else (0,)


def resized(picture: np.ndarray, size: tuple[int, int], place: int = 0) -> np.ndarray:
    """The middle of a picture, as large as the new shape allows, brought to (height, width).

    >>> resized(np.full((30, 20, 3), 7, np.uint8), (8, 8)).shape
    (8, 8, 3)
    """
    if picture.shape[:2] == tuple(size):
        return picture
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(
            f"Picture {place} is {picture.shape} {picture.dtype}, but pictures of 8 bits, (height, width[, channels]), are "
            f"brought to another size, here {size}. Convert it, or bring all to one size and set size=None."
        )
    height, width = picture.shape[:2]
    factor = min(height / size[0], width / size[1])
    rows, columns = factor * size[0], factor * size[1]
    top, left = (height - rows) / 2, (width - columns) / 2
    image = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    filter = Image.Resampling.BOX if factor > 1 else Image.Resampling.BICUBIC
    made = np.asarray(image.resize(size[::-1], filter, box=(left, top, left + columns, top + rows)))
    return made[..., None] if picture.shape[2:] == (1,) else made


def novelty(new: np.ndarray, unseen: np.ndarray) -> dict[str, float]:
    """What `Generator.evaluate` returns, of the differences of new and of unseen pictures from the nearest of `fit`."""
    limit = np.quantile(unseen, 0.01)
    return {"new": float(np.median(new)), "unseen": float(np.median(unseen)), "copies": float((new < limit).mean())}


def rows_of(pictures: np.ndarray) -> np.ndarray:
    """(n, numbers) float32, whole-number pixels from 0 to 1."""
    top = np.iinfo(pictures.dtype).max if pictures.dtype.kind == "u" else 1
    return (pictures.reshape(len(pictures), -1) / np.float32(top)).astype(np.float32)
