"""Images: arrays (n, height, width[, channels]), a folder of pictures, or a list of different sizes; a sample is a picture."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from .films import film_written_here
from .lazy import Lazy
from .ragged import Pieces, Ragged
from .schema import Rows, Schema, center_and_scale, chosen_scaling, given_back, statistics, tensor_of
from .vectors import dtype_name

_TOP = {"uint8": 255.0, "uint16": 65535.0}  # what white is, for pixels that are whole numbers
_SOFTWARE_TAG = 305  # of TIFF
_SOFTWARE = "isthmus"  # noted in every picture that is written, so that those alone are replaced


class Images(Schema):
    """Pictures. Whole-number pixels become [0, 1]; floats outside [0, 1] are standardised as a whole.

    Pictures of different sizes run in groups of one size, and only through networks whose code is a map as large as they are.
    """

    kind = "images"
    axes = 2
    endings: tuple[str, ...] = ("", ".npy")
    form_said = "(n, height, width) or (n, height, width, channels)"

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=np.nan, channels=True, typical=()):
        super().__init__(shape, dtype, center, scale, constant)
        self.channels = channels  # whether the data came with an axis for them
        self.typical = tuple(typical)
        self.seen: list[tuple[int, ...]] = []  # some of the sizes, while a model is fitted to different ones

    @classmethod
    def learn(cls, X, scaling="auto", weight=None):
        if not isinstance(X, Pictures):
            return super().learn(X, scaling, weight)
        found = statistics(X.flat(), None if weight is None else np.repeat(weight, X.sizes.prod(1).numpy()))
        schema: Any = cls.from_statistics(X, scaling, found)
        schema.statistics, schema.seen = found, sorted({tuple(size) for size in X.sizes.tolist()})
        return schema

    @classmethod
    def from_statistics(cls, X, scaling, found):
        if isinstance(X, Pictures):
            channels, shape = X.channels, (*[None] * cls.axes, *X.rest)
            typical: Any = X.sizes.double().mean(0).round().int().tolist()
        else:
            channels, typical = X.ndim == cls.axes + 2, ()
            shape = tuple(X.shape[1:]) if channels else (*X.shape[1:], 1)
        dtype, form = dtype_name(X), {"channels": channels, "typical": typical}
        if dtype in _TOP and scaling in ("auto", "minmax", "none"):
            return cls(shape, dtype, 0.0, _TOP[dtype], **form)
        low, high, mean = found.low.min(), found.high.max(), found.mean.mean()
        std = (found.std.square() + (found.mean - mean).square()).mean().sqrt()  # of all pixels together
        center, scale = center_and_scale(chosen_scaling(scaling, low, high), mean, std, low, high)
        return cls(shape, dtype, center, scale, **form)

    @classmethod
    def check(cls, X):
        if isinstance(X, list | tuple) and len({np.shape(picture) for picture in X}) > 1:
            X = pictures_of(X, cls.axes)
        if isinstance(X, Pictures):
            return X
        X = X.detach() if isinstance(X, Tensor) else stacked(X)
        if X.ndim in (cls.axes + 1, cls.axes + 2) and 0 in X.shape:
            raise ValueError(
                f"X has shape {tuple(X.shape)}, which is empty. {cls.kind.capitalize()} come as {cls.form_said}, one or more."
            )
        if X.ndim not in (cls.axes + 1, cls.axes + 2):
            single = " One alone is given as X[None]." if X.ndim == cls.axes else ""
            raise ValueError(
                f"{cls.kind.capitalize()} come as {cls.form_said}, one or more; got shape {tuple(X.shape)}.{single} Where the "
                "data are of another kind, say kind=, and choose what is made for it."
            )
        kind = X.dtype.is_floating_point if isinstance(X, Tensor) else X.dtype.kind == "f"
        if not kind and dtype_name(X) not in _TOP:
            cure = "Convert them: X.astype('uint8')." if isinstance(X, Tensor) or X.dtype.kind in "iub" else "Give numbers."
            raise ValueError(f"Pixels must be uint8, uint16 or floats, got {dtype_name(X)}. {cure}")
        return X.float() if X.dtype in (torch.float16, torch.bfloat16) else X.astype(np.float32) if X.dtype == np.float16 else X

    def read(self, X):
        X = self.check(X)
        return super().read(pictures_of(list(X), self.axes) if self.varies and not isinstance(X, Pictures) else X)

    def rows(self, X):
        return Ragged(self, X) if isinstance(X, Pictures) else Rows(self, X)

    def data_of_size(self, values, there, sizes):
        return self.data(values)  # a group is of one size, so that nothing is padded

    def scaled_mean(self):
        """The mean picture, or where sizes vary the mean pixel."""
        return self.scaled(self.learnt.mean, torch.float64) if self.varies else super().scaled_mean()

    def check_code(self, n_components):
        if self.varies and n_components is not None:
            sizes = ", ".join(map(str, self.seen[:4])) + (", ..." if len(self.seen) > 4 else "")
            raise ValueError(
                f"The samples differ in size: {sizes}, and a code of {n_components} numbers asks for one size. Resize or crop "
                "them, or set n_components=None (-n none): the code of a convolutional network is then a map that grows with "
                "the sample."
            )

    def check_shape(self, X) -> None:
        if isinstance(X, Pictures):
            return self.check_sizes(X)
        if X.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(f"{self.kind.capitalize()} come as {self.form_said}; got shape {tuple(X.shape)}.")
        if dtype_name(X) != self.dtype and (self.dtype in _TOP or dtype_name(X) in _TOP):
            raise ValueError(
                f"X has {dtype_name(X)} pixels, but this model was trained on {self.dtype}: black and white are other numbers "
                "there. Convert the pictures first."
            )
        shape = tuple(X.shape[1:]) if X.ndim == self.axes + 2 else (*X.shape[1:], 1)
        if shape != self.shape:
            raise ValueError(
                f"X has samples of {self.describe(shape)}, but this model was trained on {self.describe(self.shape)}. Its code "
                "has a fixed size, and so have its samples: resize or crop them first."
            )

    def check_sizes(self, X) -> None:
        """Refuses pictures of different sizes for a model of one, or of other channels or pixels."""
        if not self.varies:
            sizes = ", ".join(str(tuple(size)) for size in X.sizes.unique(dim=0)[:4].tolist())
            raise ValueError(
                f"The pictures have different shapes: {sizes}. This model was trained on {self.describe(self.shape)}. Resize or "
                "crop them to that size."
            )
        if X.rest[-1] != self.shape[-1] or dtype_name(X) != self.dtype:
            raise ValueError(
                f"The pictures have {X.rest[-1]} channels of {dtype_name(X)}, but this model was trained on {self.shape[-1]} of "
                f"{self.dtype}. Convert them first."
            )

    def describe(self, shape) -> str:
        height, width, channels = shape
        return f"{height} x {width} pixels and {channels} channel{'s' if channels > 1 else ''}"

    def write(self, values: Tensor) -> Tensor:
        values = super().write(values)
        if self.dtype in _TOP:
            values = values.round().clamp(0, _TOP[self.dtype]).to(getattr(torch, self.dtype))
        return values

    def form(self, values: Tensor) -> Tensor:
        return values if self.channels else values.squeeze(-1)

    def write_folder(self, folder, values, names):
        write_folder(values, names, folder)

    def others_in(self, folder):
        return not_written_here(folder)

    def give_back(self, values, like):
        if isinstance(values, Tensor):
            return super().give_back(values, like)
        return [given_back(value, like[0] if isinstance(like, list | tuple) else None) for value in values]

    def config(self) -> dict:
        return super().config() | {"channels": self.channels} | ({"typical": list(self.typical)} if self.varies else {})


def stacked(X) -> Any:
    """One array from an array, lazy or not, or from a list of pictures, which must be of one size."""
    if isinstance(X, np.ndarray | Lazy):
        return X
    pictures = [np.asarray(picture) for picture in X]
    if not pictures:
        raise ValueError("No pictures: X is empty. At least one is needed.")
    return np.stack(pictures)


@dataclass
class Pictures(Pieces):
    """Pictures of different sizes, each with an axis of channels, whether or not they came with one."""

    channels: bool = True


def pictures_of(X, axes: int) -> Pictures:
    """A list of pictures that agree in all but their sizes."""
    pictures = [picture.detach().cpu() if isinstance(picture, Tensor) else np.asarray(picture) for picture in X]
    for place, picture in enumerate(pictures):
        if picture.ndim not in (axes, axes + 1) or 0 in picture.shape:
            form = "(height, width)" if axes == 2 else "(frames, height, width)"
            raise ValueError(
                f"Sample {place} has shape {tuple(picture.shape)}, but one is {form}, perhaps with channels. Where the data are "
                "of another kind, say kind=, and choose what is made for it."
            )
        alike = picture.ndim == pictures[0].ndim and picture.shape[axes:] == pictures[0].shape[axes:]
        if not alike or dtype_name(picture) != dtype_name(pictures[0]):
            raise ValueError(
                f"Picture {place} is {tuple(picture.shape)} {dtype_name(picture)}, but picture 0 is {tuple(pictures[0].shape)} "
                f"{dtype_name(pictures[0])}: pictures may differ in height and width, and in nothing else. Convert them first."
            )
    channels, name = pictures[0].ndim == axes + 1, dtype_name(pictures[0])
    if name not in ("float32", "float64", *_TOP):
        raise ValueError(f"Pixels must be uint8, uint16 or floats of 4 or 8 bytes, got {name}. Convert the pictures first.")
    tensors = [tensor_of(picture) for picture in pictures]
    pieces = Pieces.of([tensor if channels else tensor[..., None] for tensor in tensors], axes)
    bad = ~torch.isfinite(pieces.values)
    if bad.any():
        place = int(torch.searchsorted(pieces.starts, int(bad.nonzero()[0]), right=True)) - 1
        raise ValueError(f"Sample {place} holds NaN or infinity. Fill such pixels, or leave it out.")
    return Pictures(pieces.values, pieces.sizes, pieces.rest, channels=channels)


# ---------------------------------------------------------------------------------------------------- folders


def write_folder(pictures, names: list[str], folder: Path) -> None:
    """Pictures as .png files under their names; floats in [0, 1] as 8 bits, or as they are where the name ends in .tif."""
    taken: set[Path] = set()
    made_here = PngInfo()
    made_here.add_text("Software", _SOFTWARE)
    for picture, name in zip(pictures, names, strict=True):
        as_floats = picture.dtype.kind == "f" and Path(name).suffix.lower() in (".tif", ".tiff")
        suffix = Path(name).suffix if as_floats else ".png"
        file = Path(folder) / Path(name).with_suffix(suffix)
        file = Path(folder) / f"{name}{suffix}" if file in taken else file  # a.jpg beside a.png
        taken.add(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        if as_floats:
            Image.fromarray(np.asarray(picture, np.float32).squeeze()).save(file, software=_SOFTWARE)
        else:
            Image.fromarray(as_bytes(picture)).save(file, pnginfo=made_here)


def not_written_here(folder: Path) -> list[str]:
    """What a folder holds besides pictures and films that were written here, which say so, and folders of them."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if not (is_folder(p) or written_here(p)))


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def written_here(file: Path) -> bool:
    if file.suffix.lower() == ".mp4":
        return film_written_here(file)
    try:
        with Image.open(file, formats=["PNG", "TIFF"]) as opened:
            return _SOFTWARE in (opened.info.get("Software"), getattr(opened, "tag_v2", {}).get(_SOFTWARE_TAG))
    except (OSError, SyntaxError, ValueError):
        return False


def grid(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """(n, height, width[, channels]) side by side with a line between them; about as many rows as columns, if not said.

    Pictures smaller than 32 pixels are enlarged by a whole number, so that they can be seen.
    """
    larger = -(-32 // max(pictures.shape[1:3]))
    pictures = pictures.repeat(larger, axis=1).repeat(larger, axis=2)
    n = len(pictures)
    columns = columns or math.ceil(n**0.5)
    rows = -(-n // columns)
    rest = [(0, 0)] * (pictures.ndim - 3)
    padded = np.pad(pictures, [(0, rows * columns - n), (1, 0), (1, 0), *rest], constant_values=np.iinfo(pictures.dtype).max // 2)
    tiles = padded.reshape(rows, columns, *padded.shape[1:]).swapaxes(1, 2)
    whole = tiles.reshape(rows * padded.shape[1], columns * padded.shape[2], *pictures.shape[3:])
    return np.pad(whole, [(0, 1), (0, 1), *rest], constant_values=np.iinfo(pictures.dtype).max // 2)


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture whose floats in [0, 1] have become 8 bits, without a lone channel axis."""
    if picture.dtype.kind == "f":
        picture = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    return picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
