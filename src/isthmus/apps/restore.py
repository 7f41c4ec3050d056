"""`Restorer`: pictures without their noise, blur, blocks, holes or marks."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import binary_dilation, label
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, check_random_state
from torch import Tensor

from .. import Autoencoder, Training
from ..data import Lazy, read_path
from ..data.memory import free_memory
from ..parts import BlindSpot, Data, Downscale, Gray, Logos, Noise, UNet, Watermark
from ..parts.base import is_auto
from ..parts.ranges import check_ranges, number, one_of, whole
from .base import Application, is_fitted
from .damages import named, tells_gaps
from .tiles import as_tensor, drawn_patches, enlarged, in_tiles

TOP = {"uint8": 255.0, "uint16": 65535.0}  # what white is, for pixels that are whole numbers
LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601
BATCH, PIXELS = 16, 2**16  # patches of a step, at least, and pixels where they are small
CHANGED, LEAST_MARK, AROUND = 6 / 255, 40, 2  # what counts as a mark found: of white, pixels, and pixels around it
RATE = 0.003  # of Muon; ten minutes at 0.01 end far away from any picture
ALPHA = 0.5  # of the noise that is there, added to noisy pictures; that of objective="recorrupted"
MEASURED = 500  # pictures whose noise is measured, about
STEPS = 4000  # of training, if nothing else is said
EPOCH = 4096  # patches that are drawn for one, at most
TRIED = 6  # steps whose time is taken before training


class Restorer(Application):
    """Gives back pictures without the damage that it was trained to undo; pictures of any size.

        minimise  E[ loss(x, decode(encode(damage(x)))) ]   over patches x of the clean pictures, of damage drawn anew each time

    Three ways to learn. From clean pictures, which are damaged while training: the strength is drawn for each patch, so that it
    need not be known at use. From pairs, `fit(damaged, target=clean)`. And from noisy pictures alone. With
    self_supervised="blind_spot" the network sees a neighbour instead of some pixels, and is asked for what stood there; where
    noise is independent from pixel to pixel, it can only answer with the picture (Krull et al. 2019, "Noise2Void"). With
    "gaussian", for noise of a normal distribution and of one strength, which is estimated, more noise goes in and other noise
    stands in what must come out (Pang et al. 2021, `Recorrupted`): it learns faster, and sees every pixel.

    The network is a U-Net whose side paths and residual output lead past the code (`UNet`). Pictures larger than a tile are
    restored tile by tile, with an overlap that leaves no seams.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None; see `Application`
    damage : str, part or list of them, default "noise"
        What is done to clean pictures: noise, blur, jpeg, downscale, salt_pepper, pixels, holes, gray, watermark or logos,
        with a strength or a range of them, several joined by a plus: "noise:25", "blur:0.8-2.5+noise:5-50", "logos:FOLDER".
        Or corruptions of `isthmus.parts`. Not looked at where a target is given, or with self_supervised.
    self_supervised : None, "blind_spot" or "gaussian", default None; how to learn from noisy pictures alone
    patch : int, default 64
        Side of the patches in pixels. Where pictures are no larger than that, they are taken whole, and lie as they came;
        patches are turned and mirrored.
    minutes : float or None, default None
        How long to train, on this machine: steps are timed first, and so many are made as fit. None: 4,000 steps.
    tile : int, default 1024; side of the pieces that large pictures are restored in
    overlap : "auto" or int, default "auto"
        Pixels that tiles overlap on each side; "auto": as far as a pixel of the result can see.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder
    channels_ : of the pictures that it was trained on
    seconds_ : what training took

    >>> pictures = np.random.default_rng(0).integers(0, 256, (8, 16, 15), dtype=np.uint8)
    >>> restorer = Restorer(damage="noise:25", model={"max_epochs": 1}, random_state=0).fit(pictures)
    >>> restorer.restore(pictures).shape, restorer.restore([pictures[0][:9, :7]])[0].shape
    ((8, 16, 15), (9, 7))
    """

    task = "restore"
    kind = "images"
    reads_folders = True  # pairs are told by the names of their files
    _ranges = {
        "self_supervised": one_of("blind_spot", "gaussian", None),
        "patch": whole("[4, inf)"),
        "minutes": number("(0, inf)").also(None),
        "tile": whole("[16, inf)"),
        "overlap": whole("[0, inf)").also("auto"),
    }

    def __init__(
        self,
        model=None,
        *,
        damage="noise",
        self_supervised=None,
        patch=64,
        minutes=None,
        tile=1024,
        overlap="auto",
        random_state=None,
    ):
        self.model = model
        self.damage = damage
        self.self_supervised = self_supervised
        self.patch = patch
        self.minutes = minutes
        self.tile = tile
        self.overlap = overlap
        self.random_state = random_state

    def _default_model(self, X) -> Autoencoder:
        return Autoencoder(
            None,
            architecture=UNet(),
            loss="squared",
            kind="images",
            batch_size=max(BATCH, min(128, PIXELS // self._side(X) ** 2)),
            learning_rate=RATE,
            training=Training(memory_limit=2**31),
        )

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, target=None, callbacks=()):
        """Trains on pictures.

        Parameters
        ----------
        X : array (n, height, width[, channels]), list of pictures of several sizes, or the path of a folder of them
            Clean ones, which are damaged while training; with `target`, the damaged ones; with self_supervised, noisy ones.
        y : ignored
        target : like X, default None
            What must come out for each, of the same size. Folders must hold the same names.
        callbacks : as for `Autoencoder.fit`
        """
        prepared = self._prepared(X, target)
        self.seconds_ = 0.0
        if is_fitted(self.model):
            self._refuse_other_kind()
            self.model_ = self.model
        else:
            self._train(*prepared, callbacks)
        self.n_features_in_ = self.model_.n_features_in_
        self.channels_ = int(self.model_.schema_.shape[-1])
        self.fills_ = tells_gaps(self._trained_damages())
        return self

    def expected_minutes(self, X, target=None) -> float:
        """How long `fit` would train on this machine: some steps are made, and their time is taken."""
        pictures, wanted, settings = self._prepared(X, target)
        if is_fitted(self.model):
            return 0.0
        if self.minutes is not None:
            return float(self.minutes)
        model = self._configured(pictures, settings)
        steps = STEPS if is_auto(model.max_epochs) else model.max_epochs * self._steps_of_epoch(model, pictures)
        return self._seconds_of_step(model, pictures, wanted) * steps / 60

    def _prepared(self, X, target) -> tuple[list[list[np.ndarray]], Any, dict]:
        """Checked pictures, those of the target beside them, and what the corruption is."""
        check_ranges(self, self._ranges)
        if self.self_supervised and target is not None:
            raise ValueError(
                f"self_supervised={self.self_supervised!r} learns from noisy pictures alone, but a target was given. Leave one "
                "of them out."
            )
        self._damages(target)
        pictures, names = pictures_of(X)
        if target is None:
            return [pictures], None, self._parts(target, pictures)
        wanted, other_names = pictures_of(target)
        refuse_unpaired(pictures, wanted, names, other_names)
        return [pictures, wanted], target, self._parts(target, pictures)

    def _damages(self, target=None) -> list:
        """The corruptions of training."""
        if target is not None:
            return []
        return named(self.damage)

    def _parts(self, target, pictures) -> dict:
        """Corruption and objective, and what else of the model they ask for."""
        if self.self_supervised == "blind_spot":
            return {"corruption": [BlindSpot()], "objective": "masked"}
        if self.self_supervised == "gaussian":
            return {"corruption": [Noise(ALPHA * noise_of(pictures))], "objective": "recorrupted", "scale": "none"}
        return {"corruption": self._damages(target) or None}

    def _configured(self, pictures, settings: dict) -> Autoencoder:
        """The model to fit, not yet fitted."""
        model = self._chosen_model(pictures)
        given = self.model if isinstance(self.model, dict) else {}
        if not isinstance(self.model, Autoencoder):
            model.set_params(**{name: value for name, value in settings.items() if name not in given})
            if self.self_supervised == "blind_spot":
                model.architecture.set_params(reads_gaps=False)
        return model

    def _train(self, pictures, target, settings: dict, callbacks) -> None:
        model, steps = self._configured(pictures, settings), STEPS
        if self.minutes is not None:
            steps = max(1, int(60 * self.minutes / self._seconds_of_step(model, pictures, target)))
        epoch = min(steps, self._steps_of_epoch(model, pictures))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        patches = self._patches(pictures, epoch * batch_of(model), seed)
        if is_auto(model.max_epochs) or self.minutes is not None:
            model.set_params(max_epochs=max(1, round(steps / epoch)))
        self.model_ = model.fit(patches[0], target=patches[1] if target is not None else None, callbacks=callbacks)
        self.seconds_ = sum(record["seconds"] for record in self.model_.history_)

    def _steps_of_epoch(self, model: Autoencoder, pictures) -> int:
        """Batches of all pictures, where these are taken whole, else of so many patches as are drawn."""
        return math.ceil((len(pictures[0]) if self._whole(pictures) else EPOCH) / batch_of(model))

    def _whole(self, pictures) -> bool:
        """Whether pictures are small, and all of one size, so that they are taken as they are."""
        sizes = {picture.shape for picture in pictures[0]}
        return len(sizes) == 1 and max(next(iter(sizes))[:2]) <= self.patch

    def _patches(self, pictures, count: int, seed: int) -> list[np.ndarray]:
        if self._whole(pictures):
            return [np.stack(kind[:count]) for kind in pictures]
        return drawn_patches(pictures, self._side(pictures), count, seed)

    def _side(self, pictures) -> int:
        """Of the patches: as asked for, or what the smallest picture has."""
        return min(self.patch, min(min(picture.shape[:2]) for picture in pictures[0]))

    def _seconds_of_step(self, model: Autoencoder, pictures, target) -> float:
        """Of one step of training, from the second of two short epochs."""
        batch = batch_of(model)
        patches = self._patches(pictures, TRIED * batch, 0)
        tried = clone(model).set_params(max_epochs=2, verbose=0, patience=None)
        tried.fit(patches[0], target=patches[1] if target is not None else None)
        return tried.history_[-1]["seconds"] / math.ceil(len(patches[0]) / batch)

    # -------------------------------------------------------------------------------------------------- use

    def restore(self, X, mask=None, *, marked=None):
        """The pictures without the damage, in the form and type in which they came.

        Parameters
        ----------
        X : array (n, height, width[, channels]), list of pictures of any sizes, or the path of a picture or of a folder
            uint8, uint16, or floats from 0 to 1. Grey pictures for a model of colours, and the other way round, are taken too;
            transparency, a last channel of four or two, stays as it is. What enlarges gives pictures so many times as large.
        mask : array (n, height, width) or list, default None
            True where pixels are missing. There alone the picture is filled, and nowhere else changed: for models that were
            trained with damage="holes" or "pixels".
        marked : colour, a number or three, default None; pixels of exactly this colour are the mask

        Returns
        -------
        array or list, as X; a list for a path
        """
        check_is_fitted(self, "model_")
        pictures, _ = pictures_of(X, with_channels=False)
        if mask is not None and marked is not None:
            raise ValueError("mask and marked say the same. Leave one of them out.")
        masks = [None] * len(pictures) if mask is None else masks_of(mask, pictures)
        if marked is not None:
            masks = [marked_pixels(picture, marked) for picture in pictures]
        restored = [self._restored(picture, where) for picture, where in zip(pictures, masks, strict=True)]
        one_array = isinstance(X, np.ndarray | Tensor | Lazy) and len({picture.shape for picture in restored}) == 1
        if isinstance(X, Tensor):
            return torch.from_numpy(np.stack(restored)).to(X.device)
        return np.stack(restored) if one_array else restored

    def fill(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """One picture with the places where `mask` is True filled: what `without_object` and `Mark.removed` ask for."""
        return self.restore(picture[None], np.asarray(mask)[None])[0]

    def _restored(self, picture: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """One picture, (height, width) or (height, width, channels), in its own type."""
        if mask is not None and not self.fills_:
            raise ValueError(
                "A mask says what is missing, but this restorer was not trained to fill holes. Fit one with damage='holes' or "
                "damage='pixels'."
            )
        if mask is not None and not mask.any():
            return picture.copy()
        colours, transparency = parted(picture)
        found = self._colours_restored(colours, mask)
        if transparency is not None:
            if found.shape[:2] != transparency.shape[:2]:
                size = found.shape[:2]
                top = TOP.get(str(transparency.dtype), 1.0)
                wide = enlarged(as_tensor(transparency.astype(np.float32)), size)[0].numpy()
                transparency = np.clip(wide if top == 1.0 else wide.round(), 0, top).astype(transparency.dtype)
            found = np.concatenate([found, transparency], -1)
        if mask is not None:
            found = np.where(mask[..., None], found, picture.reshape(*picture.shape[:2], -1)).astype(picture.dtype)
        return found[..., 0] if picture.ndim == 2 and found.shape[-1] == 1 else found

    def _colours_restored(self, colours: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """(height, width, 1 or 3) without transparency, in its own type."""
        seen = self._seen(colours)
        height, width, channels = colours.shape
        missing = None if mask is None else as_tensor(mask[..., None].astype(np.float32))
        factor = next((part.factor for part in self._trained_damages() if isinstance(part, Downscale)), 1)
        if factor != 1:
            seen = enlarged(seen, (round(height * factor), round(width * factor)))
        if channels == self.channels_:
            out = self._run(seen, missing)
        elif channels == 1:  # grey, for a network of colours
            out = self._run(seen.expand(*seen.shape[:-1], self.channels_), missing)
            out = out if self._colours_pictures() else out.mean(-1, keepdim=True)
        else:  # colours, for a network of grey, one after the other
            out = torch.cat([self._run(seen[..., [channel]], missing) for channel in range(channels)], -1)
        if self._colours_pictures():
            out = with_luma_of(out, seen)
        if any(isinstance(part, Logos | Watermark) for part in self._trained_damages()):
            out = torch.where(found_marks(out, seen), out, seen)
        return self._given_back(out[0], colours.dtype)

    def _run(self, seen: Tensor, missing: Tensor | None) -> Tensor:
        """(1, height, width, channels) as the network reads and writes it, tile by tile."""
        model, network = self.model_, self.model_.network_
        architecture = network.architecture

        @torch.no_grad()
        def whole_tile(values, gaps):
            values = values.to(model.device_, model.dtype_)
            there = None if gaps is None else (1 - gaps).to(values).expand_as(values).contiguous()
            values = values if there is None else values * there
            return network(Data(values.contiguous(), there)).cpu()

        if isinstance(architecture, UNet):
            overlap = architecture.reach if self.overlap == "auto" else self.overlap
            return in_tiles(whole_tile, seen, missing, tile=self.tile, overlap=overlap, multiple=architecture.multiple)
        if None not in model.schema_.shape and tuple(seen.shape[1:3]) != tuple(model.schema_.shape[:2]):
            raise ValueError(
                f"The picture is {seen.shape[1]} x {seen.shape[2]}, but {architecture!r} was trained on "
                f"{' x '.join(map(str, model.schema_.shape[:2]))} and knows that size only. Use architecture=UNet()."
            )
        return whole_tile(seen, missing)

    def _trained_damages(self) -> Sequence:
        return self.model_.network_.corruption

    def _colours_pictures(self) -> bool:
        return any(isinstance(part, Gray) for part in self._trained_damages())

    # --------------------------------------------------------------------------------------- in, and back out

    def _seen(self, colours: np.ndarray) -> Tensor:
        """(1, height, width, channels) floats, as the network was shown them."""
        schema = self.model_.schema_
        if colours.shape[-1] not in (1, 3, self.channels_):
            raise ValueError(
                f"The picture has {colours.shape[-1]} channels, but this restorer was trained on {self.channels_}. Convert it."
            )
        if colours.dtype.kind == "f" and not np.isfinite(colours).all():
            raise ValueError("The picture holds NaN or infinity. Fill such pixels first, or pass them as a mask.")
        values = as_tensor(colours)
        if self._unit_range():
            if colours.dtype.kind == "f" and colours.size and np.abs(colours).max() > 10:
                raise ValueError(
                    f"The picture holds floats up to {np.abs(colours).max():.4g}, but white is 1 here. Divide by what white is."
                )
            return values.float() / TOP.get(str(colours.dtype), 1.0) if values.dtype != torch.float64 else values
        if colours.dtype.kind != "f":
            raise ValueError(
                f"The picture has {colours.dtype} pixels, but this restorer was trained on {schema.dtype} from other ranges than "
                "0 to 1. Convert the picture."
            )
        return schema.scaled(values)

    def _given_back(self, out: Tensor, dtype) -> np.ndarray:
        """(height, width, channels) in the type of the picture that came."""
        if not self._unit_range():
            return self.model_.target_schema_.unscaled(out).numpy().astype(dtype)
        top = TOP.get(str(dtype))
        return out.numpy().astype(dtype) if top is None else (out * top).round().clamp(0, top).numpy().astype(dtype)

    def _unit_range(self) -> bool:
        """Whether the network sees black as 0 and white as 1."""
        schema = self.model_.schema_
        return schema.dtype in TOP or schema.is_identity

    # ------------------------------------------------------------------------------------------------- save

    def _state(self) -> dict:
        return {"channels": self.channels_, "fills": self.fills_, "seconds": self.seconds_}

    def _restore(self, state, tensors):
        self.channels_, self.fills_, self.seconds_ = state["channels"], state["fills"], state["seconds"]


# ---------------------------------------------------------------------------------------------------- pictures


def noise_of(pictures: list[np.ndarray]) -> float:
    """The standard deviation of Gaussian noise, of white: the median size of the finest diagonal details of all pictures.

        s = median |(a - b - c + d) / 2| / 0.6745   over squares of two pixels a side, which hold little but noise

    Source: Donoho & Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage".
    """
    details = []
    for picture in pictures[:: max(1, len(pictures) // MEASURED)]:
        values = picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2] / TOP.get(str(picture.dtype), 1.0)
        a, b, c, d = values[::2, ::2], values[::2, 1::2], values[1::2, ::2], values[1::2, 1::2]
        details.append(np.abs(a - b - c + d).ravel() / 2)
    found = float(np.median(np.concatenate(details)) / 0.6745)
    if not found > 0:
        raise ValueError(
            "self_supervised='gaussian' found no noise: most pixels are as their neighbours. Where noise was cut off at black or "
            "white, or is of another form, use self_supervised='blind_spot'."
        )
    return found


def batch_of(model: Autoencoder) -> int:
    return BATCH if is_auto(model.batch_size) else int(model.batch_size)


def pictures_of(X, with_channels: bool = True) -> tuple[list[np.ndarray], list[str] | None]:
    """Pictures from whatever holds them, each (height, width, 1 or 3), or as they came; their names, where they have any."""
    names = None
    if isinstance(X, str | Path):
        X, names = read_path(X, "images")
    if isinstance(X, Tensor):
        X = X.detach().cpu().numpy()
    if isinstance(X, np.ndarray) and X.ndim not in (3, 4):
        raise ValueError(f"Pictures come as (n, height, width) or (n, height, width, channels); got {X.shape}. Of one: X[None].")
    names = getattr(X, "names", None) if names is None else names
    if isinstance(X, Lazy) and 2 * X.nbytes > free_memory():
        raise ValueError(
            f"The pictures take {X.nbytes / 2**30:.1f} GiB, and all of them must be in memory, of which "
            f"{free_memory() / 2**30:.1f} GiB are free. Give a part of them: patches of a few hundred pictures teach enough."
        )
    pictures = [np.asarray(picture) for picture in (X[:] if isinstance(X, Lazy) else X)]
    if not pictures:
        raise ValueError("There are no pictures: X is empty. Give one at least.")
    for place, picture in enumerate(pictures):
        if picture.ndim not in (2, 3) or 0 in picture.shape:
            raise ValueError(
                f"Picture {place} has shape {picture.shape}: (height, width) or (height, width, channels) is expected."
            )
        if picture.dtype.kind != "f" and str(picture.dtype) not in TOP:
            raise ValueError(f"Picture {place} has {picture.dtype} pixels: uint8, uint16 or floats are expected. Convert it.")
    if with_channels:
        pictures = [parted(picture)[0] for picture in pictures]
        refuse_mixed(pictures)
    return pictures, names


def refuse_mixed(pictures: list[np.ndarray]) -> None:
    """Refuses to train on pictures that differ in more than their size."""
    first = pictures[0]
    for place, picture in enumerate(pictures):
        if (picture.shape[-1], picture.dtype) != (first.shape[-1], first.dtype):
            raise ValueError(
                f"Picture {place} has {picture.shape[-1]} channels of {picture.dtype}, but picture 0 has {first.shape[-1]} of "
                f"{first.dtype}. Convert them to one kind."
            )


def refuse_unpaired(pictures, wanted, names, other_names) -> None:
    """Refuses damaged and clean pictures that do not belong together."""
    if names is not None and other_names is not None and list(names) != list(other_names):
        without = [name for name in names if name not in set(other_names)] or [n for n in other_names if n not in set(names)]
        raise ValueError(
            f"The folders of damaged and clean pictures must hold the same names, but {without[0]} is in one of them only. Add "
            "it to the other, or take it out."
        )
    if len(pictures) != len(wanted):
        raise ValueError(f"There are {len(pictures)} damaged pictures and {len(wanted)} clean ones: pairs are expected.")
    for place, (one, other) in enumerate(zip(pictures, wanted, strict=True)):
        if one.shape[:2] != other.shape[:2]:
            name = names[place] if names is not None else f"Picture {place}"
            raise ValueError(
                f"{name} is {one.shape[0]} x {one.shape[1]}, but its clean picture is {other.shape[0]} x {other.shape[1]}. Bring "
                "both to one size."
            )


def masks_of(mask, pictures) -> list[np.ndarray]:
    """A mask (height, width) of True and False for each picture."""
    masks = [np.asarray(one) for one in mask]
    if len(masks) != len(pictures):
        raise ValueError(f"There are {len(pictures)} pictures, but {len(masks)} masks: one for each is expected.")
    for place, (one, picture) in enumerate(zip(masks, pictures, strict=True)):
        if one.shape != picture.shape[:2]:
            raise ValueError(
                f"The mask of picture {place} has shape {one.shape}, but the picture is {picture.shape[0]} x {picture.shape[1]}. "
                "Give one of the picture's height and width."
            )
    return [one > 0 for one in masks]


def marked_pixels(picture: np.ndarray, colour) -> np.ndarray:
    """(height, width), True where a pixel has exactly this colour."""
    values = picture.reshape(*picture.shape[:2], -1)[..., :3]
    colour = np.atleast_1d(np.asarray(colour))
    if colour.shape not in ((1,), (values.shape[-1],)):
        raise ValueError(f"marked={colour.tolist()}: one number is expected, or one for each of {values.shape[-1]} channels.")
    found = (values == colour).all(-1)
    if not found.any():
        raise ValueError(
            f"marked={colour.tolist()}: no pixel has this colour, so nothing is to be filled. Look at the exact values."
        )
    return found


def parted(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours (height, width, 1 or 3), and transparency beside them where there is some."""
    values = picture if picture.ndim == 3 else picture[..., None]
    if values.shape[-1] in (2, 4):
        return values[..., :-1], values[..., -1:]
    return values, None


def found_marks(out: Tensor, seen: Tensor) -> Tensor:
    """(1, height, width, 1) True around what was changed enough, over enough pixels, to have been a mark."""
    changed = ((out - seen).abs().amax(-1)[0] > CHANGED).numpy()
    pieces, _ = label(changed, np.ones((3, 3)))
    large = np.bincount(pieces.ravel()) >= LEAST_MARK
    large[0] = False
    return torch.from_numpy(binary_dilation(large[pieces], iterations=AROUND))[None, ..., None]


def with_luma_of(out: Tensor, seen: Tensor) -> Tensor:
    """Colours with the brightness of the grey picture that they were found for, which is known."""
    weights = out.new_tensor(LUMA)
    known = seen @ weights if seen.shape[-1] == 3 else seen[..., 0]
    return (out + (known - out @ weights)[..., None]).clamp(0, 1)
