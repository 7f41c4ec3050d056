"""Video: arrays (n, frames, height, width[, channels]), a film or a folder of clips; a sample is a window of frames."""

from collections import OrderedDict
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .damaged import OnError, chosen, readable
from .films import SUFFIXES, Film, write_film
from .folders import walked
from .images import Images
from .lazy import MEMORY, Lazy

FRAMES = 16  # of a window, if not said
RATE = 25  # frames a second of a film that is written, if nothing says better


class Video(Images):
    """Windows of frames of one size, scaled as pictures are."""

    kind = "video"
    axes = 3
    endings = ("", ".npy", ".mp4")
    form_said = "(n, frames, height, width) or (n, frames, height, width, channels)"

    def __init__(self, *args, rate: str | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate = None if rate is None else Fraction(rate)  # frames a second of the films in fit, where all had the same

    @classmethod
    def learn(cls, X, scaling="auto", weight=None):
        schema: Any = super().learn(X, scaling, weight)
        schema.rate = getattr(X, "rate", None)
        return schema

    def describe(self, shape) -> str:
        frames, *rest = shape
        return f"{frames} frames of {super().describe(rest)}"

    @property
    def reading(self):
        """Films are cut into windows as long as those in fit, and resized to their size."""
        frames, *size = self.shape[:3]
        return {"frames": frames, "size": None if None in size else tuple(size)}

    @property
    def rate_to_write(self) -> Fraction:
        """Frames a second of films that are written: that of the films in fit, or where it is not known, `RATE`."""
        return self.rate or Fraction(RATE)

    def write_file(self, file, values, ending):
        if ending == ".mp4":
            save_video(file, values, self.rate_to_write)
        else:
            super().write_file(file, values, ending)

    def write_folder(self, folder, values, names):
        """A film for each name; windows that follow one another under one name are one film."""
        films: list[tuple[str, list]] = []
        for name, window in zip(names, values, strict=True):
            if not films or films[-1][0] != name:
                films.append((name, []))
            films[-1][1].append(window)
        for name, windows in films:
            with open(film_place(folder, name), "wb") as file:
                save_video(file, windows, self.rate_to_write)

    def config(self):
        return super().config() | ({} if self.rate is None else {"rate": str(self.rate)})


class Clips(Lazy):
    """Windows of films, (n, frames, height, width, channels) uint8: a lazy array, opened by `open_video`.

    The last window of a film repeats its last frame until it is full. What was decoded is kept up to `memory`: windows that
    are read in their order decode every frame once, others from the key frame before them on.

    films : list of Film;   names : list of str, theirs;   rate : frames a second, where all films have the same, else None
    """

    kind = "video"

    def __init__(self, films: list[Film], names: list[str], frames: int, stride: int, memory: int = MEMORY):
        self.films, self.names, self.frames, self.stride, self.memory = films, names, frames, stride, memory
        self.windows = [(number, start) for number, film in enumerate(films) for start in starts_of(len(film), frames, stride)]
        self.shape, self.dtype = (len(self.windows), frames, *films[0].shape), np.dtype(np.uint8)
        self.kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()  # frames by film and number, the latest last
        self.current = 0  # the film that is open

    @property
    def window_names(self) -> list[str]:
        """The name of the film that each window is of."""
        return [self.names[number] for number, _ in self.windows]

    @property
    def rate(self) -> Fraction | None:
        rates = {film.rate for film in self.films}
        return rates.pop() if len(rates) == 1 else None

    def windows_of(self, number: int) -> range:
        """The places of a film's windows."""
        places = [place for place, (film, _) in enumerate(self.windows) if film == number]
        return range(places[0], places[-1] + 1)

    def read(self, places):
        values = np.empty((len(places), *self.shape[1:]), self.dtype)
        for row in np.argsort(places, kind="stable"):  # in the films' own order, so that the decoder goes forward
            number, start = self.windows[places[row]]
            count = min(self.frames, len(self.films[number]) - start)
            self._fill(values[row][:count], number, start)
            values[row][count:] = values[row][count - 1]
        return values

    def handed_over(self):
        values, ends = np.empty(self.shape, self.dtype), [*self.windows[1:], (-1, 0)]
        for place, ((number, start), (coming, begin)) in enumerate(zip(self.windows, ends, strict=True)):
            values[place] = self[place]
            for frame in range(start, begin if coming == number else start + self.frames):  # which no later window wants
                self.kept.pop((number, frame), None)
        return values

    def let_go(self):
        self.kept.clear()

    def _fill(self, window: np.ndarray, number: int, start: int) -> None:
        """The frames of a film from `start` on: those that are kept, and the others decoded."""
        missing = []
        for place in range(start, start + len(window)):
            known = self.kept.get((number, place))
            if known is None:
                missing.append(place)
            else:
                self.kept.move_to_end((number, place))
                window[place - start] = known
        if not missing:
            return
        if number != self.current:
            self.films[self.current].close()
            self.current = number
        film = self.films[number]
        for place, frame in film.decoded(missing[0], missing[-1] + 1):
            if place >= start or self.memory:
                pixels = film.pixels(frame)
                self._keep((number, place), pixels)
                if place >= start:
                    window[place - start] = pixels

    def _keep(self, key: tuple[int, int], pixels: np.ndarray) -> None:
        self.kept[key] = pixels
        while len(self.kept) * pixels.nbytes > self.memory:
            self.kept.popitem(last=False)


def open_video(
    path, frames: int = FRAMES, *, stride: int | None = None, size=None, memory: int = MEMORY, skip_corrupt: bool = False,
    on_error: OnError | None = None,
) -> Clips:  # fmt: skip
    """A film, or all films of a folder (and those within), as windows of frames that are decoded when they are asked for.

    Parameters
    ----------
    path : a film (.mp4, .mkv, .webm, ...) or a folder of films of one size
    frames : int, default 16; frames of a window
    stride : int or None, default None; from the beginning of a window to that of the next. None: `frames`, so that every
        frame is in one window
    size : (height, width) or None, default None; resizes every frame
    memory : bytes of decoded frames that are kept, default 1 GiB
    skip_corrupt : bool, default False
        Whether a film that is damaged or stops half-way is left out, with a warning that names it; else that is an error.
        Every film is then decoded once on opening, for some damage shows only so.
    on_error : "raise", "skip" or None, default None; the same in other words, "skip" for True

    Returns
    -------
    Clips : a lazy array (n, frames, height, width, channels) of uint8, for `fit` and every other verb

    Needs PyAV: pip install 'isthmus[video]'.
    """
    on_error = chosen(skip_corrupt, on_error)
    path, stride = Path(path).expanduser(), frames if stride is None else stride
    if frames < 1 or stride < 1:
        raise ValueError(f"frames={frames}, stride={stride}: one or more are expected.")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a film or a folder of films.")
    files = film_files(path) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no films. Files that end in {', '.join(SUFFIXES)} are looked for.")

    def opened(file: Path) -> Film:
        return closed(Film(file, None if size is None else tuple(size)), whole=on_error == "skip")

    def named(file: Path) -> str:
        return str(file.relative_to(path)) if path.is_dir() else file.name

    films = [film for _, film in readable("films", path, files, named, opened, on_error)]
    for film in films:
        if film.shape != films[0].shape:
            raise ValueError(
                f"{film.path} has frames of {film.shape}, but those of {films[0].path} are {films[0].shape}. Resize them: "
                "open_video(path, size=(height, width)), or --size."
            )
    return Clips(films, [named(film.path) for film in films], frames, stride, memory)


def save_video(path, windows, rate, count: int | None = None) -> None:
    """Writes windows, one after the other, as one film: H.264 in .mp4, or MPEG-4 where FFmpeg has no H.264.

    Of even height and width it is 4:2:0, which every player shows. H.264 has no odd sizes with colours at half the resolution;
    there they keep the full one (4:4:4), so that the size comes back exactly. One channel is read back as three alike.

    Parameters
    ----------
    path : .mp4, or a binary file open for writing
    windows : (n, frames, height, width[, channels]), or windows one by one; uint8, or floats in [0, 1]
    rate : frames a second
    count : int or None, default None; how many frames to write. None: all. The number of frames of the film that the windows
        came from leaves out what filled up the last one
    """
    frames = (frame for window in windows for frame in window)
    write_film(path if hasattr(path, "write") else str(path), islice(frames, count), rate)


def film_place(folder: Path, name: str) -> Path:
    """Where a film of this name is written in a folder: as .mp4, beside others that differ in their ending alone."""
    place = Path(folder) / Path(name).with_suffix(".mp4")
    place = Path(folder) / f"{name}.mp4" if place.exists() else place  # a.mkv beside a.mp4
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def film_files(folder: Path) -> list[Path]:
    """The films in a folder and the folders in it, sorted; hidden ones are left out."""
    return sorted(map(Path, walked(folder, SUFFIXES)))


def closed(film: Film, whole: bool = False) -> Film:
    """The film, not open any more, once it is certain, if `whole`, that all its frames can be decoded."""
    try:
        for _ in film.decoded(0, len(film) if whole else 0):
            pass
    finally:
        film.close()
    return film


def starts_of(count: int, frames: int, stride: int) -> list[int]:
    """Where windows begin, so that the last one reaches the end of `count` frames.

    >>> starts_of(40, 16, 16), starts_of(20, 8, 4)
    ([0, 16, 32], [0, 4, 8, 12])
    """
    return [start for start in range(0, max(count - frames, 0) + stride, stride) if start < count]
