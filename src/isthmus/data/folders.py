"""Folders of pictures, read when they are asked for by a few threads; what was decoded is kept up to a bound."""

import io
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .damaged import OnError, check_choice, readable, warn_of_skipped
from .lazy import MEMORY, Lazy, is_run

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises
_ORIENTATION = 0x0112  # EXIF's tag
_PNG = b"\x89PNG\r\n\x1a\n"
_WIDTH, _HEIGHT = 256, 257  # TIFF's tags
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
Form = tuple[tuple[int, ...], np.dtype]  # of a picture: (height, width[, channels]), and its pixels' type
_CHANNELS: dict[str, tuple[int, ...]] = {"L": (), "I": (), "F": (), "RGB": (3,), "RGBA": (4,)}
_CHUNK = 64  # pictures that a thread takes at a time: handing over costs about as much as decoding a small one
_SMALL = 2**14  # bytes of pixels below which two threads wait for one another more than they gain


class PictureFolder(Lazy):
    """All pictures of a folder, and of the folders in it, in the order of their names, as a lazy array.

    It is (n, height, width), or (n, height, width, channels). Opening reads the headers alone. Pixels are decoded by threads
    when they are asked for, ahead where slices follow one another, and kept up to `memory`; of a larger folder the rest is
    decoded each time. What `fit` holds besides is bounded by `Training(memory_limit=...)`. Pictures stand upright, as EXIF says.
    Grey ones are uint8, uint16 or (mode F) float32, coloured ones uint8 with 3 channels, or 4 where there is transparency.

    Parameters
    ----------
    folder : path
    memory : bytes of pixels that are kept, default 1 GiB
    threads : int or None, default None
        How many decode. None: as many as there are processors, four at most, and one where pictures are smaller than 16 KiB.
    on_error : "raise" or "skip", default "raise"
        What a file that is no picture does: stop with its name, or be left out, with a warning that names it. "skip" decodes
        every picture once on opening, for some damage shows only then.

    Attributes
    ----------
    names : list of str, within the folder;   files : list of str, their paths;   skipped : list of str, the names left out

    >>> from PIL import Image
    >>> for place, picture in enumerate(images[:5]):
    ...     Image.fromarray(picture).save(folder / f"{place}.png")
    >>> pictures = PictureFolder(folder)
    >>> pictures.shape, pictures.dtype, pictures.names[0]
    ((5, 8, 8), dtype('uint8'), '0.png')
    >>> bool((pictures[1:3] == images[1:3]).all())
    True
    """

    kind = "images"

    def __init__(self, folder, *, memory: int = MEMORY, threads: int | None = None, on_error: OnError = "raise"):
        check_choice(on_error)
        self.folder, self.memory = Path(folder), memory
        self.files = picture_files(self.folder)
        self.skipped: list[str] = []
        forms = self._forms(on_error)
        refuse_mixed(self.files, forms)
        shape, self.dtype = forms[0]
        self.shape = (len(forms), *shape)
        self.threads = threads or (1 if self.nbytes < _SMALL * len(self) else min(4, os.cpu_count() or 1))
        self.pool = ThreadPoolExecutor(self.threads)
        kept = min(len(forms), self.memory // (self.nbytes // len(forms)))
        self.pixels = np.empty((kept, *shape), self.dtype)  # of the first so many; takes no memory before it is written
        self.there = np.zeros(kept, bool)
        self.next = 0  # where slices that follow one another go on
        self.ahead: Decoding | None = None  # what is being decoded of it
        if on_error == "skip":
            self._leave_out(self._damaged())
            warn_of_skipped("pictures", self.folder, self.skipped, len(self), stacklevel=3)

    @property
    def names(self) -> list[str]:
        return [os.path.relpath(file, self.folder) for file in self.files]

    def read(self, places):
        reading = self.ahead if self.ahead is not None and np.array_equal(self.ahead.places, places) else Decoding(self, places)
        self.ahead = None
        if is_run(places):
            if places[0] == self.next and self.nbytes:
                coming = np.arange(places[-1] + 1, min(places[-1] + 1 + len(places), len(self)))
                self.ahead = Decoding(self, coming) if len(coming) else None
            self.next = places[-1] + 1
        return reading.pixels()

    def handed_over(self):
        if len(self.there) < len(self):
            return super().handed_over()
        self.read(np.arange(len(self)))
        return self.pixels

    def let_go(self):
        self.pixels, self.there, self.ahead = np.empty_like(self.pixels), np.zeros_like(self.there), None

    def known(self, places: np.ndarray) -> np.ndarray:
        """Which of these are decoded already."""
        known = places < len(self.there)
        known[known] = self.there[places[known]]
        return known

    def decode(self, place: int) -> np.ndarray:
        """The pixels of one picture, kept where there is room."""
        pixels = read_picture(self.files[place])
        if (pixels.shape, pixels.dtype) != (self.shape[1:], self.dtype):
            raise ValueError(
                f"{self.files[place]} is {pixels.shape} {pixels.dtype}, but its header says {self.shape[1:]} {self.dtype}. "
                "Save it anew, or remove it."
            )
        if place < len(self.there):
            self.pixels[place] = pixels
            self.there[place] = True
        return pixels

    def _forms(self, on_error: str) -> list:
        """Shape and type of every picture, from the headers; those without one are refused, or taken out of `files`."""
        files, forms = self.files, headers_of(self.files)
        bad = [place for place, form in enumerate(forms) if isinstance(form, ValueError)]
        if bad and on_error == "raise":
            raise forms[bad[0]]
        self.files = [file for file, form in zip(files, forms, strict=True) if not isinstance(form, ValueError)]
        self.skipped = [os.path.relpath(files[place], self.folder) for place in bad]
        if not self.files:
            raise forms[0]
        return [form for form in forms if not isinstance(form, ValueError)]

    def _damaged(self) -> list[int]:
        """The places of pictures that cannot be decoded; the others are, once."""
        bad: list[int] = []

        def tried(places) -> None:
            for place in places:
                try:
                    self.decode(place)
                except ValueError:
                    bad.append(place)

        list(self.pool.map(tried, [range(i, min(i + _CHUNK, len(self))) for i in range(0, len(self), _CHUNK)]))
        return sorted(bad)

    def _leave_out(self, bad: list[int]) -> None:
        if len(bad) == len(self):
            raise ValueError(f"None of the {len(self)} pictures in {self.folder} can be decoded. Replace them.")
        names, left = self.names, np.setdiff1d(np.arange(len(self)), bad)
        if bad:
            kept = left[left < len(self.there)]
            self.pixels, self.there = self.pixels[kept], self.there[kept]
        self.skipped = sorted([*self.skipped, *(names[place] for place in bad)])
        self.files = [self.files[place] for place in left]
        self.shape = (len(left), *self.shape[1:])

    def __getstate__(self):
        return vars(self) | {"pool": None, "ahead": None}

    def __setstate__(self, state):
        vars(self).update(state)
        self.pool = ThreadPoolExecutor(self.threads)


class Decoding:
    """Some pictures on their way: what is not decoded yet, threads are at."""

    def __init__(self, folder: PictureFolder, places: np.ndarray):
        self.folder, self.places = folder, places
        known = folder.known(places)
        self.in_place = is_run(places) and places[-1] < len(folder.there)  # then nothing is copied
        if self.in_place:
            self.out = folder.pixels[places[0] : places[-1] + 1]
        else:
            self.out = np.empty((len(places), *folder.shape[1:]), folder.dtype)
            self.out[known] = folder.pixels[places[known]]
        rest = np.flatnonzero(~known)
        chunk = max(1, min(_CHUNK, -(-len(rest) // folder.threads)))
        self.work: list[Future] = [folder.pool.submit(self._decode, rest[i : i + chunk]) for i in range(0, len(rest), chunk)]

    def _decode(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            pixels = self.folder.decode(int(self.places[row]))
            if not self.in_place:
                self.out[row] = pixels

    def pixels(self) -> np.ndarray:
        """All of them, once they are decoded; not to be written to where they are those that the folder keeps."""
        for work in self.work:
            work.result()
        out = self.out.view()
        out.flags.writeable = not self.in_place
        return out


# ------------------------------------------------------------------------------------------------------ files


def walked(folder: Path, endings: tuple[str, ...] = SUFFIXES) -> Iterator[str]:
    """The files in a folder and the folders in it, in any order; hidden ones and those of other endings are left out."""
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names if name.lower().endswith(endings) and name[0] != ".")


def has_pictures(folder: Path) -> bool:
    return next(walked(folder), None) is not None


def picture_files(folder: Path) -> list[str]:
    """The pictures in a folder and the folders in it, sorted."""
    files = sorted(walked(folder), key=lambda file: file.split(os.sep))
    if not files:
        raise ValueError(f"{folder} holds no pictures. Files that end in {', '.join(SUFFIXES)} are looked for.")
    return files


class MixedPictures(ValueError):
    """Pictures of a folder that differ; `in_size` says whether that is all."""

    def __init__(self, text: str, in_size: bool):
        super().__init__(text)
        self.in_size = in_size


def refuse_mixed(files: Sequence[str], forms: Sequence[Form]) -> None:
    for file, (shape, dtype) in zip(files, forms, strict=True):
        if (shape, dtype) != forms[0]:
            in_size = len({(form[0][2:], form[1]) for form in forms}) == 1
            cure = (
                " Or read them as they are, with kind='images', and fit with n_components=None (--kind images -n none)."
                if in_size
                else ""
            )
            raise MixedPictures(
                f"{file} is {shape} {dtype}, but {files[0]} is {forms[0][0]} {forms[0][1]}. "
                f"Resize or convert the pictures to one size and mode.{cure}",
                in_size,
            )


def read_mixed(folder: Path, on_error: OnError = "raise", memory: int = MEMORY) -> tuple[list[np.ndarray], list[str]]:
    """All pictures of a folder, whatever their sizes, and their names; the pixels may take `memory` bytes."""

    def named(file: str) -> str:
        return os.path.relpath(file, folder)

    pictures, names, held = [], [], 0
    for file, pixels in readable("pictures", folder, picture_files(folder), named, read_picture, on_error):
        pictures.append(pixels)
        names.append(named(file))
        held += pixels.nbytes
        if held > memory:
            raise ValueError(
                f"The pictures in {folder} differ in size and take more than {memory:,} bytes, all of which must be in memory. "
                "Resize them to one size, or read a part of them."
            )
    return pictures, names


def headers_of(files: Sequence[str]) -> list:
    """Of each file, the form of its picture, or the error that says why there is none."""
    return [header_of(file) for file in files]  # no threads: nearly all of it is Python


def header_of(file: str) -> "Form | ValueError":
    """(height, width[, channels]) of the upright picture, and its pixels' type; no pixel is decoded."""
    try:
        with open(file, "rb", buffering=0) as opened:
            form = form_of_plain_png(opened.read(1024))
        if form is None:
            with Image.open(file) as image:
                form = form_of(image)
        return form
    except _BROKEN as error:
        return no_picture(file, error)


def form_of_plain_png(start: bytes) -> Form | None:
    """From the first bytes of a PNG whose pixels begin within them, a fifth of the time that Pillow takes; else None."""
    pixels = start.find(b"IDAT")
    if start[:8] != _PNG or pixels < 0 or b"eXIf" in start[:pixels] or b"exif" in start[:pixels]:
        return None
    width, height, bits, colours = struct.unpack(">IIBB", start[16:26])
    if colours == 0:
        return (height, width), np.dtype("uint16" if bits == 16 else "uint8")
    return (height, width, 4 if colours & 4 else 3), np.dtype("uint8")


def form_of(image: Image.Image) -> Form:
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(_WIDTH, image.width), tags.get(_HEIGHT, image.height)  # a TIFF's own, before it is turned
    if 5 <= orientation_of(image) <= 8:  # it lies on its side
        width, height = height, width
    mode = mode_of(image)
    return (height, width, *_CHANNELS[mode]), np.dtype({"I": "uint16", "F": "float32"}.get(mode, "uint8"))


def orientation_of(image: Image.Image) -> int:
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1  # to ask further would decode the picture
    return image.getexif().get(_ORIENTATION, 1)


def mode_of(image: Image.Image) -> str:
    """What a picture is read as, by Pillow's modes: 8 bits, "I" for 16, "F" for floats, colours as RGB or RGBA."""
    if image.mode.startswith("I"):  # Pillow has several ways of holding 16 bits
        return "I"
    return {"1": "L", "L": "L", "F": "F", "LA": "RGBA", "RGBA": "RGBA", "PA": "RGBA"}.get(image.mode, "RGB")


def read_picture(file: str | Path) -> np.ndarray:
    """One picture, upright, as (height, width) or (height, width, channels)."""
    try:
        with open(file, "rb", buffering=0) as opened:
            content = opened.read()  # at once: Pillow's own small portions take as long as to decode a small picture
        image: Image.Image = Image.open(io.BytesIO(content))
        image.load()
        turn, mode = _UPRIGHT.get(orientation_of(image)), mode_of(image)
        image = image if turn is None else image.transpose(turn)
        if mode == "I":
            return sixteen_bits(np.asarray(image))
        image = image if image.mode == mode else image.convert(mode)
        channels, dtype = _CHANNELS[mode], np.float32 if mode == "F" else np.uint8
        return np.frombuffer(image.tobytes(), dtype).reshape(image.height, image.width, *channels)
    except _BROKEN as error:
        raise no_picture(file, error) from error


def sixteen_bits(values: np.ndarray) -> np.ndarray:
    if values.dtype != np.uint16 and (values.min() < 0 or values.max() > 65535):
        raise ValueError(f"pixels from {values.min()} to {values.max()}, more than 16 bits hold: save it as floats, .tif")
    return values.astype(np.uint16)


def no_picture(file: str | Path, error: Exception) -> ValueError:
    return ValueError(f"{file} is no picture that can be read ({error}). Remove or replace it.")
