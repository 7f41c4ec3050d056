"""Forecasts of films: the next frames, from those before."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from .. import Autoencoder
from ..data import Clips, Named, as_array
from ..data.memory import in_bytes
from ..parts import Translator
from ..parts.ranges import listed
from .series import Several

STEPS, BATCH = 1000, 16  # of training
MOST_HELD_OUT = 200  # clips that methods are compared on
MOST_BYTES = 2**30  # of the windows that are learnt from
PLACES = 16  # that the smallest map of a frame has along a side, or up to 1.4 times as many


@dataclass
class Films(Several):
    """Films, each an array (frames, height, width, channels), and what gives forecasts the form they came in."""

    values: list[np.ndarray]
    names: list | None = None
    channels: bool = True
    one_length: bool = False
    alone: bool = False
    rate: Fraction | None = None

    def only(self, places) -> "Films":
        names = None if self.names is None else [self.names[place] for place in places]
        return replace(self, values=[self.values[place] for place in places], names=names)


@dataclass
class VideoForecasts:
    """How films are cut into the frames that are read and those that must come out, by one network for all of them."""

    horizon: Any
    window: Any
    season: int = 1
    quantiles: tuple[float, ...] = ()
    composite: bool = False

    kind, step = "video", "frame"
    unit = "squared error of a frame"
    plain_methods = ("last_frame", "zeros")
    members = 1

    # ------------------------------------------------------------------------------------------------- learn

    def read(self, X) -> Films:
        return read_films(X)

    def settle(self, films: Films, held_out: bool) -> None:
        """What is "auto", by the shortest film; refuses those that are too short."""
        self.season = 1
        if len(listed(self.window)) > 1:
            raise ValueError(f"window={self.window!r}: of films one number of frames is read, such as window=10.")
        if self.horizon == "auto":
            self.horizon = max(1, min(10, films.shortest // 2))
        if self.window == "auto":
            self.window = max(1, min(10, films.shortest - self.horizon))
        self.window = int(listed(self.window)[0])
        if films.shortest < self.window + self.horizon:
            place = min(range(len(films)), key=lambda one: len(films.values[one]))
            raise ValueError(
                f"Clip {films.called(place)} has {films.shortest} frames, but a window of {self.window} and a horizon of "
                f"{self.horizon} ask for {self.window + self.horizon}. Give longer clips, or a shorter window or horizon."
            )
        if held_out and len(films) < 10 and films.shortest < self.window + 2 * self.horizon:
            raise ValueError(
                f"There are {len(films)} clips of {films.shortest} frames or more, too few to keep some from training and "
                "compare methods on them. Give ten clips or longer ones, or set held_out=False."
            )

    def parted(self, films: Films) -> tuple[Films, Films, list[np.ndarray]]:
        """Films to learn from; films whose end was taken away, and these ends: of a tenth of the films, or of few films each."""
        if len(films) < 10:
            known = films.until(self.horizon)
            return known, known, [one[-self.horizon :] for one in films.values]
        count = min(MOST_HELD_OUT, len(films) // 10)
        aside = np.linspace(0, len(films) - 1, count).round().astype(int)
        held = films.only(aside)
        return films.only(np.setdiff1d(np.arange(len(films)), aside)), held.until(self.horizon), [
            one[-self.horizon :] for one in held.values
        ]  # fmt: skip

    def pairs(self, films: Films, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Sources (n, window, height, width, channels) and targets, of windows spread evenly over all films."""
        span = self.window + self.horizon
        starts = [(number, start) for number, one in enumerate(films.values) for start in range(len(one) - span + 1)]
        most = max(1, MOST_BYTES // (span * films.values[0][0].nbytes))
        chosen = [starts[at] for at in np.unique(np.linspace(0, len(starts) - 1, min(most, len(starts))).round().astype(int))]
        both = np.stack([films.values[number][start : start + span] for number, start in chosen])
        return both[:, : self.window], both if self.composite else both[:, self.window :]

    def model(self, place: int, count: int) -> Autoencoder:
        epochs = math.ceil(STEPS / math.ceil(count / BATCH))
        return Autoencoder(None, architecture="translator", corruption=None, batch_size=BATCH, max_epochs=epochs)

    def required(self, model: Autoencoder, source: np.ndarray) -> dict:
        """Parameters that a model must have to read films."""
        if model.architecture in ("auto", "translator"):
            stages = max(1, min(4, round(math.log2(min(source.shape[2:4]) / PLACES) + 0.01)))
            architecture = Translator(tuple(16 * 2**stage for stage in range(stages)))
            return {"kind": "video", "architecture": architecture}
        return {"kind": "video"}

    # ---------------------------------------------------------------------------------------------- forecast

    def forecast(self, models: list, films: Films, horizon: int) -> list[np.ndarray]:
        """Of each film (horizon, height, width, channels), as many at a time as the model was trained for."""
        past = np.stack([one[-self.window :] for one in films.values])
        found: list[np.ndarray] = []
        for _ in range(math.ceil(horizon / self.horizon)):
            found.append(np.asarray(models[0].reconstruct(past))[:, -self.horizon :])
            past = np.concatenate([past, found[-1].astype(past.dtype)], 1)[:, -self.window :]
        return list(np.concatenate(found, 1)[:, :horizon])

    def plain(self, method: str, films: Films, horizon: int) -> list[np.ndarray]:
        factor = 1 if method == "last_frame" else 0
        return [np.repeat(one[-1:], horizon, 0) * np.array(factor, one.dtype) for one in films.values]

    def given_back(self, films: Films, found: list[np.ndarray]) -> Any:
        """Frames in the form that the films came in."""
        shaped = found if films.channels else [one[..., 0] for one in found]
        if films.alone:
            return shaped[0]
        return np.stack(shaped) if films.one_length else Named(shaped, None if films.names is None else map(str, films.names))

    def films(self, films: Films, found: list[np.ndarray]) -> list[np.ndarray]:
        """The past and what comes next of each, to be written as a film."""
        return [np.concatenate([one, new.astype(one.dtype)]) for one, new in zip(films.values, found, strict=True)]

    def shown(self, films: Films, place: int) -> np.ndarray:
        """The frames that the forecast was made from."""
        return films.values[place][-self.window :]

    def check(self, films: Films) -> None:
        """Refuses films shorter than what the model reads."""
        if films.shortest < self.window:
            place = min(range(len(films)), key=lambda one: len(films.values[one]))
            raise ValueError(
                f"Clip {films.called(place)} has {films.shortest} frames, but this model reads the last {self.window}. Give "
                "more of them, or fit with a shorter window."
            )

    # --------------------------------------------------------------------------------------------- judgement

    def figures(self, found: list[np.ndarray], truth: list[np.ndarray], past: Films) -> dict[str, float]:
        """The squared error summed over a frame, of pixels from 0 to 1, as a mean over frames."""
        return {"error": float(np.mean([frame_errors(one, wanted) for one, wanted in zip(found, truth, strict=True)]))}

    # ------------------------------------------------------------------------------------------------- files

    def state(self) -> dict:
        return {"horizon": self.horizon, "window": self.window, "composite": self.composite}

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def restore(cls, state: dict, tensors: dict[str, np.ndarray]) -> "VideoForecasts":
        return cls(state["horizon"], state["window"], composite=state["composite"])


def frame_errors(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(frames,): squared errors summed over each frame; whole-number pixels count from 0 to 1.

    >>> frame_errors(np.zeros((2, 4, 4, 1), np.uint8), np.full((2, 4, 4, 1), 255, np.uint8))
    array([16., 16.])
    """
    top = np.iinfo(wanted.dtype).max if wanted.dtype.kind == "u" else 1
    off = (found.astype(np.float64) - wanted) / top
    return np.square(off).reshape(len(off), -1).sum(1)


def read_films(X) -> Films:
    """Films from windows of them, an array (n, frames, height, width[, channels]), or a list of arrays (frames, height, width[,
    channels]); an array (frames, height, width, channels) with 1, 3 or 4 channels is one film."""
    if isinstance(X, Clips):
        return decoded(X)
    several = isinstance(X, list | tuple)
    values: Any = [as_array(one) for one in X] if several else as_array(X)
    alone = not several and values.ndim == 4 and values.shape[-1] in (1, 3, 4)
    each: list[np.ndarray] = [values] if alone else list(values)
    if not each:
        raise ValueError("X is empty: 0 clips. At least one is needed.")
    for place, one in enumerate(each):
        if one.ndim not in (3, 4) or one.ndim != each[0].ndim or one.shape[1:] != each[0].shape[1:]:
            raise ValueError(
                f"Clip {place} has shape {one.shape}, but (frames, height, width) or (frames, height, width, channels) is "
                f"expected, of the size of clip 0, whose shape is {each[0].shape}. Resize or crop them."
            )
        if 0 in one.shape:
            raise ValueError(f"Clip {place} has shape {one.shape}: it holds no frames. Leave it out.")
    channels = each[0].ndim == 4
    each = each if channels else [one[..., None] for one in each]
    return Films(each, getattr(X, "names", None), channels, not several, alone)


def decoded(clips: Clips) -> Films:
    """The films themselves, all their frames."""
    if clips.nbytes > in_bytes("auto"):
        raise ValueError(
            f"The films take {clips.nbytes / 2**30:.1f} GiB once decoded, more than there is room for. Make frames smaller: "
            "open_video(path, size=(height, width)), or --size."
        )
    values = []
    for number, film in enumerate(clips.films):
        windows = clips.windows_of(number)
        frames = clips[windows.start : windows.stop].reshape(-1, *clips.shape[2:])
        values.append(frames[: len(film)] if clips.stride == clips.frames else whole_film(clips, number))
    return Films(values, clips.names, rate=clips.rate)


def whole_film(clips: Clips, number: int) -> np.ndarray:
    """A film whose windows overlap or leave frames out."""
    film = clips.films[number]
    return np.stack([film.pixels(frame) for _, frame in film.decoded(0, len(film))])
