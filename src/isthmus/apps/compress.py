"""Compressing with a loss: codes rounded to multiples of a step, and written as bytes over tables that the model holds."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder, Training, presets
from ..data import open_data
from ..parts import Lapped, Rounded
from ..parts.ranges import check_ranges, number, whole
from ..saving import all_tensors, config_of
from . import isth
from .base import Application
from .contexts import Classes, Neighbours
from .entropy import coder
from .steps import Trial, flat, found_steps
from .tiles import Tiling

METHOD = "codes"  # in a file's header
TILE, OVERLAP = 2048, 128  # pixels of pictures of any size: larger ones go through the network in tiles of this side
_MEASURED, _NUMBERS = 2000, 2**22  # training samples that steps are found on, and the numbers in all of them, at most
_MEASURABLE = ("vectors", "images", "video", "sequences")
_TOPS = {"uint8": 255.0, "uint16": 65535.0}  # what white is
_BESIDE = ("history", "isthmus", "format", "device", "verbose", "random_state")  # of a model: what changes no number it gives


class Compressor(isth.Writer, Application):
    """Files of a few bytes a sample: the code of a model, rounded and entropy-coded (Ballé et al. 2017; transform coding).

        index = round(encode(x) / step),   bytes = entropy coder(index),   x' = decode(step * index)

    The probabilities that the coder uses are whole numbers, counted on training codes and saved with the model, and which of
    them codes a number depends on whole numbers alone: a file is decoded to the same `index` on any machine. What the decoder
    makes of that may differ in the last bits of a float between machines.

    A file says which model wrote it and checks every byte (`apps/isth.py`). Its size is all that is needed but the model, which
    both sides have: `report` states it, and from how many samples on it is worth it.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        None trains `presets.compression`: for pictures of different sizes a map as large as each, else a code of 32 numbers.
        Any fitted model whose decoder sees the code alone will do, and is not trained further.
    quality : float or None, default None
        What the training samples shall be rebuilt with: of pictures and films the peak signal-to-noise ratio in dB, at least;
        of other numbers the root mean squared error in their own units, at most. The steps are made as large as that allows.
        None takes the steps that a bottleneck `Rounded` learnt; of other models, those that add a tenth to the squared error.
    step : float or None, default None
        Instead of a quality, how large the steps are: times those that were learnt, or, of other models, the root mean squared
        change of a sample's numbers that a step makes, in their own units.
    chunk : int, default 4096
        Samples that are coded together. A larger chunk saves bytes, a smaller one memory. A picture of a size of its own is a
        chunk.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder
    steps_ : (width,) what each number of a code, or each channel of a map, is a multiple of
    quality_ : what was reached on training samples, as `quality` is measured; None for data that is not numbers
    bits_ : what a training sample takes, on average
    fingerprint_ : sixteen digits that files name this compressor by

    Source: Ballé, Laparra & Simoncelli 2017, "End-to-end optimized image compression".

    >>> compressor = Compressor({"max_epochs": 5}, random_state=0).fit(X)
    >>> data = compressor.compress(X)
    >>> compressor.decompress(data).shape, len(data) < X.nbytes / 20
    ((100, 64), True)
    """

    task = "compress"
    _RANGES = {"quality": number("(0, inf)").also(None), "step": number("(0, inf)").also(None), "chunk": whole("[1, 1048576]")}

    def __init__(self, model=None, *, quality=None, step=None, chunk=4096, random_state=None):
        self.model = model
        self.quality = quality
        self.step = step
        self.chunk = chunk
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, callbacks=()):
        """Trains the model, where it is not fitted; finds the steps and counts the tables on the codes of `X`. `y` is ignored."""
        check_ranges(self, self._RANGES, type(self).__name__)
        if self.quality is not None and self.step is not None:
            raise ValueError(f"quality={self.quality} and step={self.step} both say how large the steps are. Leave one out.")
        coder()  # which says at once, not after training, that it is missing
        X = self._fitted_model(X, callbacks)
        blocks = self._codes(X)
        learnt = getattr(self.model_.network_.bottleneck, "steps", None)
        learnt = None if learnt is None else learnt.detach().cpu().numpy().astype(np.float64)
        steps, self.quality_ = found_steps(self._trial(X, blocks), learnt, self.quality, self.step)
        self.steps_ = steps.astype(np.float32).astype(np.float64)  # as they are saved
        indices = [self._index(block) for block in blocks]
        self.context_ = CONTEXTS[self._context].fitted(indices, 0)
        self.bits_ = float(sum(self.context_.bits(index).sum() for index in indices) / sum(map(len, indices)))
        self._mark()
        return self

    def _default_model(self, X) -> Autoencoder:
        """A map for pictures of different sizes, else a code of up to 32 numbers; the rate is about what the quality asks for."""
        if isinstance(X, list) and np.ndim(X[0]) > 1 and len({np.shape(x) for x in X}) > 1:
            rate = 2 * 10 ** -((self.quality or 29.0) / 10)  # of an orthonormal transform, a little above the squared error
            training = Training(momentum=0.95, weight_decay=0.0)  # decay would shrink a transform that is good to begin with
            settings = {
                "batch_size": 8,
                "training": training,
                "architecture": Lapped(),
                "bottleneck": Rounded(step=(12 * rate) ** 0.5),
            }
            return presets.compression(None, rate=rate, kind="images", **settings)
        given = (self.model or {}).get("kind", "auto")
        numbers = open_data(X, getattr(given, "kind", given))[1] in _MEASURABLE
        return presets.compression(loss="squared" if numbers else "auto")

    def _fitted_model(self, X, callbacks):
        """Sets `model_`; returns the data as it reads them."""
        self._fit_model(X, callbacks=callbacks)
        if self.model_.network_.architecture.side_paths:
            raise ValueError(
                f"{self.model_.network_.architecture!r} decodes with what its encoder saw, which no file holds. Give a model "
                "that decodes from the code alone (up='transpose')."
            )
        if self.model_.condition_ is not None:
            raise ValueError("This model is told a condition beside its codes, which no file holds. Give one without.")
        if self._maps and self.model_.schema_.kind != "images":
            raise ValueError(
                f"The codes of these {self.model_.schema_.kind} differ in length as the samples do, and do not say it. Set "
                "n_components, 32 say."
            )
        return self._opened(X)

    def _mark(self) -> None:
        """Names this compressor by all that decides what its files mean."""
        tensors = {name: tensor.numpy() for name, tensor in all_tensors(self.model_).items()}
        config = {name: value for name, value in config_of(self.model_).items() if name not in _BESIDE}
        config["params"] = {name: value for name, value in config["params"].items() if name not in _BESIDE}
        self.fingerprint_ = isth.fingerprint(tensors | self._tensors(), config)

    # ------------------------------------------------------------------------------------------------ files

    def decompress(self, source):
        """The samples of a file (a path, an open file or its bytes) in the form that the data of fit had, each of its own size.

        Nothing is given back of a file that is damaged, cut off, or of another model.
        """
        indices, sizes = [], []
        for index, size in self._blocks(source):
            indices.append(index)
            sizes.append(size)
        return self._rebuilt([index * self.steps_ for index in indices], sizes)

    def indices(self, source) -> list[np.ndarray]:
        """The whole numbers that a file holds, chunk by chunk: (samples, width), or (samples, rows, columns, channels)."""
        return [index for index, _ in self._blocks(source)]

    def _write(self, file: BinaryIO, X, names) -> None:
        check_is_fitted(self, "context_")
        X = self._opened(X)
        blocks, schema = self._codes(X), self.model_.schema_
        samples = sum(map(len, blocks))
        header: dict[str, Any] = {"fingerprint": self.fingerprint_, "method": METHOD, "kind": schema.kind, "dtype": schema.dtype}
        header |= {"shape": list(schema.shape), "samples": samples}
        header |= {"sizes": [list(size) for size in sizes_of(X)]} if self._maps else {"chunk": self.chunk}
        header |= isth.named(names, samples)
        isth.write(file, header, (self.context_.encoded(self._index(block)) for block in blocks))

    def _blocks(self, source) -> Iterator[tuple[np.ndarray, tuple[int, int] | None]]:
        """The whole numbers of one chunk after another, and the size of its sample where each has its own."""
        check_is_fitted(self, "context_")
        with isth.opened_file(source) as file:
            header, chunks = isth.read(file, self.fingerprint_)
            if header.get("method") != METHOD:
                raise ValueError(f"This file was written by the method {header.get('method')!r}; a Compressor reads {METHOD!r}.")
            wanted = list(self._wanted(header))
            found = 0
            for found, chunk in enumerate(chunks, start=1):
                if found > len(wanted):
                    break
                shape, size = wanted[found - 1]
                yield self.context_.decoded(chunk, shape), size
            if found != len(wanted):
                raise isth.DamagedFile(
                    f"This file holds {found} chunks or more, and its header speaks of {len(wanted)}. Get it again."
                )

    def _wanted(self, header: dict) -> Iterator[tuple[tuple[int, ...], tuple[int, int] | None]]:
        """What every chunk holds, by the header: the shape of its numbers, and the size of its sample where each has its own."""
        if self._maps:
            for height, breadth in header["sizes"]:
                yield (1, -(-height // self.factor_), -(-breadth // self.factor_), len(self.steps_)), (height, breadth)
        else:
            for start in range(0, header["samples"], header["chunk"]):
                yield (min(header["chunk"], header["samples"] - start), *self._form), None

    # ------------------------------------------------------------------------------------------------ codes

    @property
    def _maps(self) -> bool:
        """Whether codes are maps as large as their samples."""
        return None in self.model_.code_shape_

    @property
    def _form(self) -> tuple[int, ...]:
        """The shape of a code as it is coded: (width,), or (rows, columns, channels)."""
        *places, width = self.model_.code_shape_
        if len(places) < 2:
            places = [*places, 1] if places else []
        return (*([math.prod(places[:-1]), places[-1]] if places else []), width)

    @property
    def _context(self) -> str:
        return "neighbours" if self._maps or len(self._form) == 3 else "classes"

    def _opened(self, X):
        """The data as they lie in a file; pictures of different sizes as a list of arrays."""
        schema = self.model_.schema_
        X = open_data(X, schema.kind, **schema.reading)[0] if isinstance(X, str | Path) else X
        if not self._maps:
            return X
        self._measure_factor()
        X = [np.asarray(x) for x in X]
        if not X:
            raise ValueError("There are no pictures to compress: X is empty. At least one is needed.")
        return X

    def _measure_factor(self) -> None:
        """Sets `factor_`, the pixels along each axis that one place of a map stands for."""
        if not hasattr(self, "factor_"):
            schema: Any = self.model_.schema_
            side = 64
            blank = np.zeros((side, side, schema.shape[-1])[: 3 if schema.channels else 2], schema.dtype)
            self.factor_ = side // len(self.model_.encode([blank])[0])

    def _codes(self, X) -> list[np.ndarray]:
        """Codes in blocks, a chunk of the file each, as they are coded: (n, *form)."""
        with not_rounded(self.model_.network_.bottleneck):
            if self._maps:
                return [code[None] for code in self._maps_of([padded(x, self.factor_) for x in X])]
            codes: Any = self.model_.encode(X)
        codes = np.asarray(codes).reshape(-1, *self._form)
        return [codes[start : start + self.chunk] for start in range(0, len(codes), self.chunk)]

    def _maps_of(self, pictures: list[np.ndarray]) -> list[np.ndarray]:
        """The map of each picture, (rows, columns, channels)."""
        tilings = [Tiling(x.shape[:2], TILE, OVERLAP, self.factor_) for x in pictures]
        tiles = [tile for tiling, x in zip(tilings, pictures, strict=True) for tile in tiling.cut(x)]
        codes = iter(self.model_.encode(tiles))
        return [tiling.joined(codes, over=self.factor_) for tiling in tilings]

    def _pictures_of(self, maps: list[np.ndarray]) -> list[np.ndarray]:
        """What maps are decoded to."""
        tilings = [Tiling(code.shape[:2], TILE // self.factor_, OVERLAP // self.factor_, 1) for code in maps]
        pieces = [piece for tiling, code in zip(tilings, maps, strict=True) for piece in tiling.cut(code)]
        pictures = iter(self.model_.decode(pieces))
        return [tiling.joined(pictures, times=self.factor_) for tiling in tilings]

    def _index(self, block: np.ndarray) -> np.ndarray:
        """The nearest multiples of the steps."""
        return np.rint(block / self.steps_).astype(np.int64)

    def _rebuilt(self, blocks: list[np.ndarray], sizes: list) -> Any:
        """Samples from blocks of codes."""
        dtype = "float64" if self.model_.schema_.dtype == "float64" else "float32"
        if self._maps:
            written = self._pictures_of([block[0].astype(dtype) for block in blocks])
            return [x[:height, :breadth] for x, (height, breadth) in zip(written, sizes, strict=True)]
        codes = np.concatenate(blocks).astype(dtype)
        return self.model_.inverse_transform(codes.reshape(len(codes), -1))

    # ------------------------------------------------------------------------------------------------ steps

    def _trial(self, X, blocks: list[np.ndarray]) -> Trial:
        """Training samples, evenly spread, and their codes."""
        schema = self.model_.schema_
        if self._maps:
            pixels = np.cumsum([x.size for x in X])
            count = max(1, min(_MEASURED, int(np.searchsorted(pixels, _NUMBERS))))
        else:
            count = max(1, min(_MEASURED, _NUMBERS // schema.size))
        total = sum(map(len, blocks))
        places = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
        if self._maps:
            wanted: Any = [X[place] for place in places]
            codes = [blocks[place] for place in places]
            sizes: list = sizes_of(wanted)
        else:
            codes, sizes = [np.concatenate(blocks)[places]], [None]
            wanted = None if schema.kind not in _MEASURABLE or schema.varies else rows_of(X, places)

        def rebuilt(blocks):
            return self._rebuilt(blocks, sizes)

        if self.model_.target_schema_ is not schema:  # what it is to be compared with was in fit, and is not at hand
            wanted = None if wanted is None else rebuilt(codes)
        peak = None
        if schema.kind in ("images", "video") and wanted is not None:
            numbers = flat(wanted)
            peak = _TOPS.get(schema.dtype) or max(1.0, float(numbers.max() - numbers.min()))
        return Trial(codes, rebuilt, wanted, peak)

    # ------------------------------------------------------------------------------------------------- more

    def report(self, X) -> dict[str, Any]:
        """What compressing `X` comes to.

        Returns
        -------
        dict with bytes (of the file: all that is needed but the model), samples, bytes_per_sample, bits_per_number, raw_bytes
        (of the data in memory), model_bytes (of the numbers in model and tables) and, of data that are numbers, quality, as the
        parameter measures it.

        >>> compressor = Compressor({"max_epochs": 1}, random_state=0).fit(X)
        >>> sorted(compressor.report(X))
        ['bits_per_number', 'bytes', 'bytes_per_sample', 'model_bytes', 'quality', 'raw_bytes', 'samples']
        """
        X = self._opened(X)
        data = self.compress(X)
        raw = X if isinstance(X, list) else [X]
        trial = self._trial(X, self._codes(X))
        samples = sum(map(len, self.indices(data)))
        numbers = sum(int(np.prod(np.shape(one))) for one in raw)
        quality = None if trial.wanted is None else trial.quality(trial.error(self.steps_))
        return {
            "samples": samples,
            "bytes": len(data),
            "bytes_per_sample": len(data) / samples,
            "bits_per_number": 8 * len(data) / numbers,
            "raw_bytes": sum(int(getattr(one, "nbytes", 0)) for one in raw),
            "model_bytes": self.model_bytes,
            "quality": quality,
        }

    @property
    def model_bytes(self) -> int:
        """Bytes of all numbers in the model and the tables, which both sides must have."""
        check_is_fitted(self, "context_")
        own = sum(values.nbytes for values in self._tensors().values())
        return own + sum(tensor.nbytes for tensor in all_tensors(self.model_).values())

    def _state(self) -> dict:
        return {"quality": self.quality_, "bits": self.bits_}

    def _tensors(self) -> dict[str, np.ndarray]:
        return {"steps": self.steps_.astype(np.float32)} | self.context_.tensors()

    def _restore(self, state: dict, tensors: dict[str, np.ndarray]) -> None:
        self.quality_, self.bits_ = state["quality"], state["bits"]
        self.steps_ = tensors["steps"].astype(np.float64)
        self.context_ = CONTEXTS[self._context].restored(tensors, len(self.steps_))
        if self._maps:
            self._measure_factor()
        self._mark()


CONTEXTS: dict[str, Any] = {"classes": Classes, "neighbours": Neighbours}


# --------------------------------------------------------------------------------------------------- helpers


@contextmanager
def not_rounded(bottleneck) -> Iterator[None]:
    """Within, a bottleneck that rounds gives the numbers as they are: they may be rounded to other steps, but only once."""
    if not hasattr(bottleneck, "rounds"):
        yield
        return
    bottleneck.rounds = False
    try:
        yield
    finally:
        bottleneck.rounds = True


def sizes_of(pictures: list[np.ndarray]) -> list[tuple[int, int]]:
    return [(int(x.shape[0]), int(x.shape[1])) for x in pictures]


def padded(picture: np.ndarray, factor: int) -> np.ndarray:
    """The picture with its last row and column repeated, up to whole multiples of the factor."""
    more = [(0, -length % factor) for length in picture.shape[:2]]
    return np.pad(picture, [*more, *[(0, 0)] * (picture.ndim - 2)], mode="edge")


def rows_of(X, places: np.ndarray) -> Any:
    """The samples at these places: of an array, a matrix, a frame or a list."""
    if isinstance(X, list | tuple):
        return [X[place] for place in places]
    return frame_rows(X, places) if hasattr(X, "columns") else X[places]


def frame_rows(X, places: np.ndarray) -> np.ndarray:
    return np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X)[places]
