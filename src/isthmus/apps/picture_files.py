"""Picture files that come back as they were: size, bits, transparency, colour profile and metadata."""

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..data.memory import free_memory
from ..files import file_aside

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".pgm": "PPM"}
_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB", "RGBX": "RGB"}
_LAYOUT = {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 34675}
_FOLDERS = (0x8769, 0x8825)  # of EXIF: the camera's settings, and the place
_ORIENTATION = 274
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}  # of EXIF
_PNG, _HEADER = b"\x89PNG\r\n\x1a\n", 33  # how it begins, and bytes up to the end of its header
_BYTES = 24  # a pixel and channel take this much while they are restored
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass
class Picture:
    """Pixels (height, width) or (height, width, channels), upright, and what else its file said."""

    pixels: np.ndarray
    kept: dict[str, Any] = field(default_factory=dict)  # EXIF, colour profile, resolution


def read(path: Path) -> Picture:
    """The picture in a file; refuses one that memory has no room for before it is decoded."""
    try:
        with Image.open(path) as image:
            refuse_beyond_memory(path, image)
            image.load()  # which turns a TIFF upright
            exif, turn = exif_of(image), image.getexif().get(_ORIENTATION, 1)
            upright = ImageOps.exif_transpose(image)
            profile, resolution, mode = image.info.get("icc_profile"), image.info.get("dpi"), mode_of(upright)
            pixels = np.asarray(upright if mode == upright.mode else upright.convert(mode))
        if has_deep_colours(path):
            pixels = turned_upright(needed_imagecodecs(path).png_decode(path.read_bytes()), turn)
    except (TooLarge, FileNotFoundError, ImportError):
        raise
    except _BROKEN as error:
        raise ValueError(f"{path} is no picture that can be read ({error}). Remove or replace it.") from error
    if pixels.dtype in (np.int32, np.dtype(">u2")):
        pixels = pixels.astype(np.uint16)
    kept = {"exif": exif.tobytes() if len(exif) else None, "icc_profile": profile, "dpi": resolution}
    return Picture(pixels, {name: value for name, value in kept.items() if value})


def write(path: Path, picture: Picture) -> None:
    """The picture in a file of the format that the name's ending says; aside first, then renamed."""
    pixels, ending = picture.pixels, path.suffix.lower()
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    if ending not in SUFFIXES:
        raise ValueError(f"{path}: pictures go to files that end in {', '.join(SUFFIXES)}.")
    if ending in (".jpg", ".jpeg") and (pixels.dtype != np.uint8 or pixels.shape[2:] in ((2,), (4,))):
        raise ValueError(f"{path}: a JPEG holds neither transparency nor more than 8 bits. Write a .png.")
    if pixels.dtype.kind == "f" and ending not in (".tif", ".tiff"):
        pixels = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if ending in (".jpg", ".jpeg") else {}
    options |= {"lossless": True} if ending == ".webp" else {}
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        if ending != ".png":
            raise ValueError(f"{path}: colours of 16 bits go to a .png alone. Write one.")
        encoded = needed_imagecodecs(path).png_encode(np.ascontiguousarray(pixels))
        with file_aside(path) as file:
            file.write(with_chunks(encoded, picture.kept))
        return
    with file_aside(path) as file:
        Image.fromarray(pixels).save(file, FORMATS.get(ending, ending[1:].upper()), **options, **picture.kept)


def exif_of(image: Image.Image) -> Image.Exif:
    """What its EXIF says, but for which way up it lies, and for how a TIFF's pixels lie in its file."""
    said, kept = image.getexif(), Image.Exif()
    for tag, value in said.items():
        if tag not in _LAYOUT and tag not in _FOLDERS:  # folders stand as their place in the old file
            kept[tag] = value
    for place in _FOLDERS:
        if place in said:
            kept.get_ifd(place).update(said.get_ifd(place))
    return kept


class TooLarge(ValueError):
    """A picture that memory has no room for."""


def refuse_beyond_memory(path: Path, image: Image.Image) -> None:
    needed, free = image.width * image.height * max(1, len(image.getbands())) * _BYTES, free_memory()
    if needed > free:
        raise TooLarge(
            f"{path} has {image.width:,} x {image.height:,} pixels, whose restoring takes about {needed / 2**30:.1f} GiB, but "
            f"{free / 2**30:.1f} GiB are free. Cut it into pieces, or use a machine with more memory."
        )


# ------------------------------------------------------------------------------------------- colours of 16 bits


def has_deep_colours(path: Path) -> bool:
    """Whether a .png holds colours of 16 bits, of which Pillow reads the upper eight and says nothing."""
    with open(path, "rb") as file:
        start = file.read(26)
    return start[:8] == _PNG and start[24] == 16 and start[25] != 0


def needed_imagecodecs(path: Path) -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise ImportError(
            f"{path} has colours of 16 bits, of which eight would be lost without imagecodecs: pip install 'isthmus[image]'. Or "
            "save the picture with 8 bits."
        ) from error
    return imagecodecs


def turned_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As EXIF's number says that the picture must be turned and mirrored."""
    turns, mirrored = _TURNS.get(orientation, (0, False))
    pixels = np.rot90(pixels, turns)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def with_chunks(encoded: bytes, kept: dict[str, Any]) -> bytes:
    """A .png with what its file said beside the pixels, in chunks behind the header; the PNG specification has their form."""
    chunks = []
    if "icc_profile" in kept:
        chunks.append((b"iCCP", b"ICC\0\0" + zlib.compress(kept["icc_profile"])))
    if "dpi" in kept:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(float(one) / 0.0254) for one in kept["dpi"]), 1)))
    if "exif" in kept:
        chunks.append((b"eXIf", kept["exif"].removeprefix(b"Exif\0\0")))
    laid = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return encoded[:_HEADER] + laid + encoded[_HEADER:]


# ------------------------------------------------------------------------------------------------------ the rest


def mode_of(image: Image.Image) -> str:
    """Pillow's mode that the pixels are taken in."""
    if image.mode == "P" and "transparency" in image.info:
        return "RGBA"
    return _MODES.get(image.mode, image.mode)


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder and the folders in it, sorted, from within it."""
    found = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise ValueError(f"{folder} holds no pictures. Files that end in {', '.join(SUFFIXES)} are looked for.")
    return found
