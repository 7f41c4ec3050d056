"""Sound: .wav files as waveforms (kind "sound") or as log-mel pictures of them (kind "mel"), and written back."""

import math
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.io import wavfile
from scipy.signal import get_window

from .damaged import OnError, chosen, readable
from .folders import walked
from .ragged import Pieces
from .sequences import Named, Sequences, pieces_of, refuse_infinite

WINDOW = 0.032  # seconds that a column of a log-mel picture looks at; the next one begins a quarter of that later
BANDS = 40
_FLOOR = 1e-6  # power below which everything is silence
_ROUNDS = 60  # of the way back from a log-mel picture
_MADE_HERE = b"LIST" + struct.pack("<I", 20) + b"INFOISFT" + struct.pack("<I", 8) + b"isthmus\0"


class Waves(Named):
    """Waveforms (steps,) or (steps, channels) between -1 and 1, of `rate` samples a second, with their `names`, if any.

    >>> clips = Waves([np.zeros(800), np.zeros(400)], rate=8000)
    >>> len(clips[:1]), clips[:1].rate
    (1, 8000)
    """

    def __init__(self, waves: Iterable, rate: int, names: Iterable[str] | None = None):
        super().__init__(waves, names)
        self.rate = int(rate)
        if self.rate < 1:
            raise ValueError(f"Waves need a rate above zero, in samples a second; got {rate}.")

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)

    def __getitem__(self, index) -> Any:
        if np.ndim(index) == 0 and not isinstance(index, slice):
            return super().__getitem__(int(index))
        places = np.arange(len(self))[index].tolist()
        return Waves([super(Waves, self).__getitem__(i) for i in places], self.rate, [self.names[i] for i in places])


@dataclass
class Recording:
    """How sound came: the rate, without which a waveform says nothing."""

    rate: int

    def check(self, other: "Recording") -> None:
        if other.rate != self.rate:
            raise ValueError(
                f"The sound has {other.rate} samples a second, but this model was trained on {self.rate}. Resample it: "
                f"scipy.signal.resample_poly(wave, {self.rate}, {other.rate})."
            )

    def config(self) -> dict:
        return {"rate": self.rate}

    def frame(self, samples: list[np.ndarray], like) -> Waves:
        names = like.names if isinstance(like, Waves) and len(like) == len(samples) else None
        return Waves(samples, self.rate, names)


class Sound(Sequences):
    """Waveforms as sequences of (steps[, channels]); a model keeps their rate."""

    kind = "sound"
    endings = ("", ".wav", ".npz")

    @classmethod
    def check(cls, X):
        return X if isinstance(X, Pieces) else cls.pieces(clips_of(X))

    @classmethod
    def pieces(cls, clips: Waves) -> Pieces:
        return refuse_infinite(pieces_of(clips, clips.names, Recording(clips.rate)))

    def is_one(self, shape):
        return len(shape) in (1, 2)

    def joined(self, samples):
        return Waves(samples, self.layout.rate)

    def write_file(self, file, values, ending):
        if ending != ".wav":
            return super().write_file(file, values, ending)
        refuse_several(len(values))
        file.write(wav_bytes(np.asarray(values[0]), self.layout.rate))

    def write_folder(self, folder, values, names):
        write_folder(Waves(values, self.layout.rate, names), folder)

    def others_in(self, folder):
        found = (p for p in folder.rglob("*") if not (p.is_dir() and not p.is_symlink()) and not written_here(p))
        return sorted(str(p.relative_to(folder)) for p in found)

    @staticmethod
    def restored(config) -> Recording:
        return Recording(**config)


class Mel(Sound):
    """Log-mel pictures of sound as sequences of (frames, bands), channels averaged; they go back as sound, by `from_log_mel`."""

    kind = "mel"

    @classmethod
    def pieces(cls, clips):
        Sound.pieces(clips)  # which refuses what is no sound
        pictures = [log_mel(wave, clips.rate) for wave in clips]
        return pieces_of(pictures, clips.names, Recording(clips.rate))

    def give_back(self, values, like):
        assert isinstance(self.layout, Recording)
        known = isinstance(like, Waves) and len(like) == len(values)
        waves = [
            from_log_mel(value.detach().cpu().numpy(), self.layout.rate, len(like[place]) if known else None)
            for place, value in enumerate(values)
        ]
        return self.layout.frame(waves, like)


def clips_of(X) -> Waves:
    if isinstance(X, Waves):
        return X
    raise ValueError(
        f"Sound is clips with a rate, but X is {type(X).__name__}. Give a path, isthmus.data.read_sound(path), or "
        "isthmus.data.Waves(list_of_arrays, rate=8000)."
    )


# ---------------------------------------------------------------------------------------------------- pictures


def log_mel(wave: np.ndarray, rate: int, bands: int = BANDS) -> np.ndarray:
    """The log-mel picture of a waveform, (frames, bands) float32: how loud it is at which pitch, four frames a window.

        S = |STFT(wave)|^2 with a Hann window of 32 ms,   picture = log(S M + 1e-6),   M: `mel_filters`

    Parameters
    ----------
    wave : (steps,) or (steps, channels) between -1 and 1; channels are averaged
    rate : int; samples a second
    bands : int, default 40

    Source: Davis & Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition".

    >>> log_mel(np.sin(np.arange(8000) / 3), 8000).shape       # a second; frames are 8 ms apart
    (126, 40)
    """
    mono = np.asarray(wave, np.float64)
    mono = mono.mean(1) if mono.ndim == 2 else mono
    window = width_of(rate)
    power = np.abs(spectrum(mono, window)) ** 2 / (window / 4)
    return np.log(power @ mel_filters(rate, bands).T + _FLOOR).astype(np.float32)


@cache
def mel_filters(rate: int, bands: int) -> np.ndarray:
    """(bands, frequencies) triangles, evenly spaced in mel from 0 to half the rate, that rise to 1 and overlap by half.

    mel(f) = 2595 log10(1 + f / 700)      (O'Shaughnessy 1987)
    """
    frequencies = np.fft.rfftfreq(width_of(rate), 1 / rate)
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    left, middle, right = (edges[shift : bands + shift, None] for shift in range(3))
    return np.minimum((frequencies - left) / (middle - left), (right - frequencies) / (right - middle)).clip(0)


def from_log_mel(picture: np.ndarray, rate: int, steps: int | None = None) -> np.ndarray:
    """A waveform (steps,) float32 whose log-mel picture is close to the one that is given.

    Powers that the filters turn into the picture are found by the multiplicative rule of Lee & Seung 2001 ("Algorithms for
    non-negative matrix factorization", equation 5), their phases by `griffin_lim`. What the bands have averaged away stays
    lost: the pitch within a band, and the waves' exact course. Speech stays intelligible, but sounds hollow.

    Parameters
    ----------
    picture : (frames, bands), as `log_mel` makes it
    rate : int; samples a second
    steps : int or None, default None; how long the waveform was, if known

    >>> tone = np.sin(np.arange(4000) * 0.8)
    >>> back = from_log_mel(log_mel(tone, 8000), 8000, steps=4000)
    >>> back.shape, bool(np.abs(log_mel(back, 8000) - log_mel(tone, 8000)).mean() < 1.0)
    ((4000,), True)
    """
    window = width_of(rate)
    filters = mel_filters(rate, picture.shape[1])
    wanted = (np.exp(np.asarray(picture, np.float64)) - _FLOOR).clip(0)
    power = wanted @ filters
    for _ in range(_ROUNDS):
        power *= (wanted / np.maximum(power @ filters.T, _FLOOR)) @ filters / np.maximum(filters.sum(0), _FLOOR)
    wave = griffin_lim(np.sqrt(power * window / 4), window)
    wave = wave if steps is None else np.pad(wave[:steps], (0, max(0, steps - len(wave))))
    return wave.astype(np.float32)


def griffin_lim(magnitude: np.ndarray, window: int) -> np.ndarray:
    """A waveform whose spectrum has the given magnitudes, (frames, window // 2 + 1), as nearly as any found in 60 rounds.

        c_(n+1) = P(t_n),   t_(n+1) = c_(n+1) + 0.99 (c_(n+1) - c_n),   P(t) = STFT(inverse STFT(magnitude exp(i angle(t))))

    Sources: Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform"; the momentum is that of
    Perraudin, Balazs & Søndergaard 2013, "A fast Griffin-Lim algorithm".
    """
    turn = np.exp(2j * math.pi * np.random.default_rng(0).random(magnitude.shape))
    last = np.zeros_like(turn)
    for _ in range(_ROUNDS):
        nearest = spectrum(inverse_spectrum(magnitude * turn, window), window)[: len(magnitude)]
        moved = nearest + 0.99 * (nearest - last)
        last, turn = nearest, moved / np.maximum(np.abs(moved), 1e-12)
    return inverse_spectrum(magnitude * turn, window)


def width_of(rate: int) -> int:
    """Samples in a window, a multiple of four."""
    return max(4, 4 * round(WINDOW * rate / 4))


def spectrum(wave: np.ndarray, window: int) -> np.ndarray:
    """(frames, window // 2 + 1): Fourier transforms of windows about every place that a quarter of a window divides."""
    padded = np.pad(wave, window // 2)
    return np.fft.rfft(sliding_window_view(padded, window)[:: window // 4] * get_window("hann", window))


def inverse_spectrum(frames: np.ndarray, window: int) -> np.ndarray:
    """The waveform whose spectrum is nearest to the given one, in squares: windows added up, over the sum of their squares."""
    hop, shape = window // 4, get_window("hann", window)
    parts = np.fft.irfft(frames, window) * shape
    wave, weight = np.zeros((2, (len(frames) - 1) * hop + window))
    for place, part in enumerate(parts):
        wave[place * hop : place * hop + window] += part
        weight[place * hop : place * hop + window] += shape**2
    return (wave / np.maximum(weight, 1e-8))[window // 2 : len(wave) - window // 2 + 1]


# ------------------------------------------------------------------------------------------------------- files


def read_sound(path, *, skip_corrupt: bool = False, on_error: OnError | None = None) -> Waves:
    """The .wav files of a folder (and the folders in it) in the order of their names, one file, or a list of files.

    Samples of 8, 16, 24 or 32 bits become float32 between -1 and 1; floats stay. All must have one rate.

    skip_corrupt : bool, default False
        Whether a file that is no sound, or stops half-way, is left out, with a warning that names it; else that is an error.
    on_error : "raise", "skip" or None, default None; the same in other words, "skip" for True
    """
    on_error = chosen(skip_corrupt, on_error)
    if isinstance(path, list | tuple):
        files = [(Path(one).expanduser(), Path(one).name) for one in path]
        path = "the list"
    elif (path := Path(path).expanduser()).is_dir():
        files = [(file, str(file.relative_to(path))) for file in wav_files(path)]
    elif path.exists():
        files = [(path, path.name)]
    else:
        raise FileNotFoundError(f"{path} does not exist. Give a .wav file, a folder of such files, or a list of files.")
    if not files:
        raise ValueError(f"{path} holds no sound. Files that end in .wav are looked for.")
    read = list(readable("sounds", path, files, lambda file: file[1], lambda file: read_wav(file[0]), on_error))
    (first, _), (rate, _) = read[0]
    for (file, _), (own, _) in read:
        if own != rate:
            raise ValueError(
                f"{file} has {own} samples a second, but {first} has {rate}. Resample them to one rate: "
                f"scipy.signal.resample_poly(wave, {rate}, {own})."
            )
    return Waves([wave for _, (_, wave) in read], rate, [name for (_, name), _ in read])


def wav_files(folder: Path) -> list[Path]:
    return sorted(map(Path, walked(folder, (".wav",))))


def read_wav(file: Path) -> tuple[int, np.ndarray]:
    """The rate, and the waveform as float32 between -1 and 1."""
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            rate, wave = wavfile.read(file)
    except (ValueError, EOFError, struct.error) as error:
        raise ValueError(f"{file} is no .wav file that can be read ({error}). Remove or replace it.") from error
    cut = [str(warning.message) for warning in noted if "premature" in str(warning.message)]
    if cut:
        raise ValueError(f"{file} stops half-way ({cut[0]}) Remove or replace it.")
    if not len(wave):
        raise ValueError(f"{file} holds no sound: 0 samples. Remove or replace it.")
    if wave.dtype == np.uint8:
        return rate, (wave.astype(np.float32) - 128) / 128
    scale = 1.0 if wave.dtype.kind == "f" else -float(np.iinfo(wave.dtype).min)
    return rate, (wave / scale).astype(np.float32)


def refuse_several(count: int) -> None:
    """Refuses more than one sound for a .wav file."""
    if count > 1:
        raise ValueError(f"A .wav file holds one sound, but these are {count}. Give the name of a folder, without an ending.")


def write_folder(clips: Waves, folder: Path) -> None:
    """Waves as .wav files of 16 bits under their names; what is beyond -1 and 1 is cut off."""
    for wave, name in zip(clips, clips.names, strict=True):
        file = Path(folder) / Path(name).with_suffix(".wav")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(wav_bytes(np.asarray(wave), clips.rate))


def wav_bytes(wave: np.ndarray, rate: int) -> bytes:
    """A .wav file; behind the samples stands which program made it, so that those files alone are replaced."""
    samples = np.round(wave * 32768).clip(-32768, 32767).astype("<i2")  # the inverse of how they are read
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    body = b"WAVE" + head + b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes() + _MADE_HERE
    return b"RIFF" + struct.pack("<I", len(body)) + body


def written_here(file: Path) -> bool:
    try:
        return file.read_bytes().endswith(_MADE_HERE)
    except OSError:
        return False
