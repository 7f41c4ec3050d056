"""Images: arrays (n, height, width[, channels]), or a folder of pictures of one size; a sample is a picture."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from .lazy import Lazy
from .schema import Schema, center_and_scale, chosen_scaling
from .vectors import dtype_name

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")
_TOP = {"uint8": 255.0, "uint16": 65535.0}  # what white is, for pixels that are whole numbers
_SOFTWARE = "isthmus"  # noted in every picture that is written, so that those alone are replaced


class Images(Schema):
    """Pictures of one size. Whole-number pixels become [0, 1]; floats outside [0, 1] are standardised as a whole."""

    kind = "images"
    axes = 2

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=np.nan, channels=True):
        super().__init__(shape, dtype, center, scale, constant)
        self.channels = channels  # whether the data came with an axis for them

    @classmethod
    def from_statistics(cls, X, scaling, found):
        channels, dtype = X.ndim == 4, dtype_name(X)
        shape = tuple(X.shape[1:]) if channels else (*X.shape[1:], 1)
        if dtype in _TOP and scaling in ("auto", "minmax", "none"):
            return cls(shape, dtype, 0.0, _TOP[dtype], channels=channels)
        low, high, mean = found.low.min(), found.high.max(), found.mean.mean()
        std = (found.std.square() + (found.mean - mean).square()).mean().sqrt()  # of all pixels together
        center, scale = center_and_scale(chosen_scaling(scaling, low, high), mean, std, low, high)
        return cls(shape, dtype, center, scale, channels=channels)

    @classmethod
    def check(cls, X):
        X = X.detach() if isinstance(X, Tensor) else stacked(X)
        if X.ndim not in (3, 4) or 0 in X.shape:
            raise ValueError(
                f"Images come as (n, height, width) or (n, height, width, channels), one or more; got shape {tuple(X.shape)}."
            )
        kind = X.dtype.is_floating_point if isinstance(X, Tensor) else X.dtype.kind == "f"
        if not kind and dtype_name(X) not in _TOP:
            cure = "Convert them: X.astype('uint8')." if isinstance(X, Tensor) or X.dtype.kind in "iub" else "Give numbers."
            raise ValueError(f"Pixels must be uint8, uint16 or floats, got {dtype_name(X)}. {cure}")
        return X.float() if X.dtype in (torch.float16, torch.bfloat16) else X.astype(np.float32) if X.dtype == np.float16 else X

    def check_shape(self, X) -> None:
        if X.ndim not in (3, 4):
            raise ValueError(f"Images come as (n, height, width) or (n, height, width, channels); got shape {tuple(X.shape)}.")
        if dtype_name(X) != self.dtype and (self.dtype in _TOP or dtype_name(X) in _TOP):
            raise ValueError(
                f"X has {dtype_name(X)} pixels, but this model was trained on {self.dtype}: black and white are other numbers "
                "there. Convert the pictures first."
            )
        shape = tuple(X.shape[1:]) if X.ndim == 4 else (*X.shape[1:], 1)
        if shape != self.shape:
            raise ValueError(
                f"X has pictures of {describe(shape)}, but this model was trained on {describe(self.shape)}. Its code "
                "has a fixed size, and so have its pictures: resize or crop them first."
            )

    def write(self, values: Tensor) -> Tensor:
        values = super().write(values)
        if self.dtype in _TOP:
            values = values.round().clamp(0, _TOP[self.dtype]).to(getattr(torch, self.dtype))
        return values

    def form(self, values: Tensor) -> Tensor:
        return values if self.channels else values.squeeze(-1)

    def config(self) -> dict:
        return super().config() | {"channels": self.channels}


def describe(shape) -> str:
    height, width, channels = shape
    return f"{height} x {width} pixels and {channels} channel{'s' if channels > 1 else ''}"


def stacked(X) -> Any:
    """One array from an array or a list of pictures, which must be of one size."""
    if isinstance(X, np.ndarray | Lazy):
        return X
    pictures = [np.asarray(picture) for picture in X]
    if not pictures:
        raise ValueError("No pictures: X is empty. At least one is needed.")
    sizes = sorted({picture.shape for picture in pictures})
    if len(sizes) > 1:
        raise ValueError(
            f"The pictures have different shapes: {', '.join(map(str, sizes[:4]))}. Resize or crop them to one size."
        )
    return np.stack(pictures)


# ---------------------------------------------------------------------------------------------------- folders


def read_folder(folder: Path) -> tuple[np.ndarray, list[str]]:
    """All pictures of a folder (and the folders in it) in the order of their names, and those names."""
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file() and p.name[0] != ".")
    if not files:
        raise ValueError(f"{folder} holds no pictures. Files that end in {', '.join(SUFFIXES)} are looked for.")
    first = read_picture(files[0])
    pictures = np.empty((len(files), *first.shape), first.dtype)
    for place, file in enumerate(files):
        picture = first if place == 0 else read_picture(file)
        if picture.shape != first.shape or picture.dtype != first.dtype:
            raise ValueError(
                f"{file} is {picture.shape} {picture.dtype}, but {files[0]} is {first.shape} {first.dtype}. "
                "Resize or convert the pictures to one size and mode."
            )
        pictures[place] = picture
    return pictures, [str(file.relative_to(folder)) for file in files]


def read_picture(file: Path) -> np.ndarray:
    """One picture, upright, as (height, width) or (height, width, channels)."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits, in Pillow's several ways of holding them
                return np.asarray(image).astype(np.uint16)
            wanted = {"1": "L", "L": "L", "LA": "RGBA", "RGBA": "RGBA", "PA": "RGBA"}.get(image.mode, "RGB")
            return np.asarray(image if image.mode == wanted else image.convert(wanted))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} is no picture that can be read ({error}). Remove or replace it.") from error


def write_folder(pictures: np.ndarray, names: list[str], folder: Path) -> None:
    """Pictures as .png files under their names; floats in [0, 1] are written as 8 bits."""
    taken: set[Path] = set()
    made_here = PngInfo()
    made_here.add_text("Software", _SOFTWARE)
    for picture, name in zip(pictures, names, strict=True):
        file = Path(folder) / Path(name).with_suffix(".png")
        file = Path(folder) / f"{name}.png" if file in taken else file  # a.jpg beside a.png
        taken.add(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(as_bytes(picture)).save(file, pnginfo=made_here)


def not_written_here(folder: Path) -> list[str]:
    """What a folder holds besides pictures that `write_folder` wrote, which say so, and folders of them."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if not (is_folder(p) or written_here(p)))


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def written_here(file: Path) -> bool:
    try:
        with Image.open(file, formats=["PNG"]) as opened:
            return opened.info.get("Software") == _SOFTWARE
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
