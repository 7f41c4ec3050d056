"""Lossless compression of black-and-white and 8-bit pictures by bits back, with networks that run on whole numbers.

A code z that is drawn to write a sample x costs nothing that does not come back: the bits that it is drawn by are taken from the
file so far, and who reads x can tell them again.

    write   take z off the stack under q(z | x), put x on under p(x | z), put z on under p(z)
    read    take z off under p(z), take x off under p(x | z), put z back under q(z | x)

    bits of a sample = log2 q(z | x) - log2 p(x | z) - log2 p(z),   on average the bound that the model was trained on

Source: Townsend, Bird & Barber 2019, "Practical lossless compression with latent variables using bits back coding"; Townsend et
al. 2020, "HiLLoC" (many lanes at once).
"""

import bz2
import lzma
import math
import zlib
from typing import BinaryIO

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder
from ..parts import Dense, Gaussian, Pixels
from ..parts.ranges import Range, check_ranges, whole
from . import isth
from .ans import PRECISION, Stack
from .base import Application
from .integer import IntegerNetwork, check_model, freeze, levels_of

METHOD = "bits_back"
_MOST_LANES = 256
_SAMPLES_A_LANE = 64  # at least: a lane costs about a byte
_SAMPLES_A_CHUNK, _BYTES_A_CHUNK = 2**16, 2**23
_STORED, _DEFLATED, _CODED = range(3)  # how a chunk is written: whatever is shortest


class LosslessCompressor(isth.Writer, Application):
    """Small pictures and binary vectors in as few bytes as the model knows them, and every one back as it was.

    What is written depends on no float: the file that one machine writes, any other reads, with any number of threads. A chunk of
    samples that the model knows nothing of, noise say, is stored as it is: some 60 bytes more than its own.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        None is a variational autoencoder with the likelihood `Pixels`. One of your own needs architecture=Dense(...,
        bypass=False), bottleneck=Gaussian(), and loss=Pixels(levels) or, for two levels, "bernoulli".
    levels : "auto" or int from 2 to 256, default "auto"
        Of a pixel, 0 to levels - 1. "auto" is 2 for bool and for vectors of zeros and ones, and 256 for uint8.
    weight_bits : 8 or 16, default 8; of a weight of the integer networks
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the trained Autoencoder, which compressing does not need
    network_ : IntegerNetwork, its integer form; `network_.size` is its bytes
    levels_, sample_shape_, fingerprint_

    >>> compressor = LosslessCompressor(model={"max_epochs": 2}, random_state=0).fit(images)
    >>> file = compressor.compress(images)
    >>> bool((compressor.decompress(file) == images).all()), len(file) < images.size
    (True, True)
    """

    task = "lossless"
    ranges = {
        "levels": whole("[2, 256]").also("auto"),
        "weight_bits": Range(lambda bits: bits in (8, 16), ": 8 or 16 bits are expected."),
    }

    network_: IntegerNetwork
    levels_: int
    sample_shape_: tuple[int, ...]
    fingerprint_: str

    def __init__(self, model=None, *, levels="auto", weight_bits=8, random_state=None):
        self.model = model
        self.levels = levels
        self.weight_bits = weight_bits
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, **fit_params):
        """Trains the model on `X`, or takes the one that is fitted, and makes its integer form.

        Parameters
        ----------
        X : bool or uint8 pictures, (n, height, width[, channels]), or vectors (n, length), bool, uint8 or all zeros and ones
        y : ignored
        fit_params : of `Autoencoder.fit`, such as callbacks=
        """
        check_ranges(self, self.ranges, type(self).__name__)
        X = checked(X)
        self.levels_ = levels_in(X) if isinstance(self.levels, str) else int(self.levels)
        self.sample_shape_ = X.shape[1:]
        levels = self._levels(X)
        self._fit_model(self._values(levels), **fit_params)
        self._check_model()
        self._take(freeze(self.model_, levels, self.weight_bits))
        return self

    def _default_model(self, X) -> Autoencoder:
        size = int(np.prod(X.shape[1:]))
        return Autoencoder(
            int(np.clip(size // 20, 2, 40)),
            architecture=Dense((512, 256) if size >= 256 else (128, 64), activation="gelu", bypass=False),
            bottleneck=Gaussian(warmup=200),
            corruption=None,
            loss=Pixels(self.levels_),
            learning_rate=0.015,
            kind="vectors" if X.ndim == 2 else "images",
        )

    def _values(self, levels: np.ndarray) -> np.ndarray:
        """Levels as a model reads them: 8 bits where they can be, else numbers from 0 to 1."""
        values, top = levels.reshape(-1, *self.sample_shape_), self.levels_ - 1
        own = self.model.schema_.dtype if hasattr(self.model, "schema_") else None
        eight_bits = len(self.sample_shape_) > 1 and 255 % top == 0 if own is None else own == "uint8" and values.ndim > 2
        return (values * (255 // top)).astype(np.uint8) if eight_bits else (values / top).astype(np.float32)

    def _check_model(self) -> None:
        """Refuses a fitted model of other levels, or of samples of another shape or scale."""
        check_model(self.model_)
        known = levels_of(self.model_)
        if known != self.levels_:
            raise ValueError(
                f"The model's likelihood knows {known} levels, but the samples have {self.levels_}. Give it "
                f"loss=Pixels({self.levels_}), or say LosslessCompressor(levels={known})."
            )
        ends = np.zeros((2, int(np.prod(self.sample_shape_))), np.int64)
        ends[1] = self.levels_ - 1
        seen = self.model_.schema_.read(self._values(ends)).block(0, 2).values
        if not np.allclose(seen.flatten(1).numpy(), ends / (self.levels_ - 1)):
            raise ValueError(
                "The model scales its samples otherwise than from 0 to 1. Fit it with scale='none', or 8-bit pictures."
            )

    def _take(self, network: IntegerNetwork) -> None:
        self.network_ = network
        self.fingerprint_ = isth.fingerprint(network.tensors, network.told)

    def _state(self):
        return {"levels": self.levels_, "sample_shape": list(self.sample_shape_), "network": self.network_.told}

    def _tensors(self):
        return self.network_.tensors

    def _restore(self, state, tensors):
        self.levels_, self.sample_shape_ = state["levels"], tuple(state["sample_shape"])
        self._take(IntegerNetwork(tensors, state["network"]))

    # ------------------------------------------------------------------------------------------------ bytes

    def decompress(self, source) -> np.ndarray:
        """The samples of a file (a path, an open file or its bytes), in the shape and the dtype that they came in.

        Nothing is given back of a file that is damaged, cut off, or of another model.
        """
        check_is_fitted(self, "network_")
        with isth.opened_file(source) as file:
            header, chunks = isth.read(file, self.fingerprint_)
            if header.get("method") != METHOD:
                raise ValueError(
                    f"This file was written by the method {header.get('method')!r}; a LosslessCompressor reads {METHOD!r}."
                )
            levels = np.concatenate([unwritten(self.network_, chunk, place) for place, chunk in enumerate(chunks)])
        if len(levels) != header["samples"]:
            raise isth.DamagedFile(
                f"This file holds {len(levels)} samples, and its header speaks of {header['samples']}. Get it again."
            )
        return levels.reshape(len(levels), *header["shape"]).astype(np.dtype(header["dtype"]))

    def _write(self, file: BinaryIO, X, names) -> None:
        check_is_fitted(self, "network_")
        X = checked(X)
        levels = self._levels(X)
        header = {
            "fingerprint": self.fingerprint_, "method": METHOD, "samples": len(X), "shape": list(X.shape[1:]),
            "dtype": str(X.dtype),
        }  # fmt: skip
        header |= isth.named(names, len(X))
        most = max(1, min(_SAMPLES_A_CHUNK, _BYTES_A_CHUNK // levels[0].size))
        isth.write(file, header, (written(self.network_, levels[i : i + most]) for i in range(0, len(levels), most)))

    def _levels(self, X: np.ndarray) -> np.ndarray:
        """(n, pixels, channels), int64; refuses samples of another shape and levels beyond those that are known."""
        shape = X.shape[1:]
        if shape != self.sample_shape_ and (*shape, 1) != self.sample_shape_ and shape != (*self.sample_shape_, 1):
            raise ValueError(
                f"X has samples of shape {shape}, but this compressor was fitted to {self.sample_shape_}. Crop or resize them, "
                "or fit another."
            )
        top = X.max()
        if top >= self.levels_:
            few = " Give black and white as True and False (X > 127)." if self.levels_ == 2 else ""
            raise ValueError(
                f"X holds the value {top}, but this compressor knows {self.levels_} levels, 0 to {self.levels_ - 1}.{few} Or fit "
                f"another: LosslessCompressor(levels=256)."
            )
        channels = shape[2] if len(self.sample_shape_) == 3 and len(shape) == 3 else 1
        return X.reshape(len(X), -1, channels).astype(np.int64)

    # ---------------------------------------------------------------------------------------------- figures

    def expected_bits(self, X, random_state=0) -> np.ndarray:
        """Bits that each sample is going to take, (n,): log2 q(z | x) - log2 p(x | z) - log2 p(z) at one z drawn from q(z | x).

        What is beyond it in a file is the header, the bits that the first sample is drawn by, and about a byte a lane.

        >>> compressor = LosslessCompressor(model={"max_epochs": 2}, random_state=0).fit(images)
        >>> compressor.expected_bits(images).shape
        (100,)
        """
        levels, random = self._levels(checked(X)), np.random.default_rng(random_state)
        blocks = [levels[i : i + _MOST_LANES] for i in range(0, len(levels), _MOST_LANES)]
        return np.concatenate([bits_of(self.network_, block, random) for block in blocks])

    @property
    def model_bytes(self) -> int:
        """Bytes of the integer networks, which both sides must have."""
        check_is_fitted(self, "network_")
        return self.network_.size

    def report(self, X) -> dict:
        """What compressing `X` comes to, and what bz2, xz and deflate make of it (of two levels: packed, eight to a byte).

        Returns
        -------
        dict with bytes (of the file: all that is needed but the model), samples, bytes_per_sample, bits_per_number, raw_bytes (of
        the data in memory), model_bytes, bz2, xz, deflate, and break_even: the number of samples from which on file and model
        together are smaller than the best of the three (None: never).
        """
        X = checked(X)
        levels = self._levels(X)
        raw = packed(levels, self.levels_)
        size = len(self.compress(X))
        others = {
            "bz2": len(bz2.compress(raw, 9)), "xz": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
            "deflate": len(zlib.compress(raw, 9)),
        }  # fmt: skip
        gain = (min(others.values()) - size) / len(X)
        return {
            "samples": len(X),
            "bytes": size,
            "bytes_per_sample": size / len(X),
            "bits_per_number": 8 * size / levels.size,
            "raw_bytes": X.nbytes,
            "model_bytes": self.model_bytes,
            **others,
            "break_even": math.ceil(self.model_bytes / gain) if gain > 0 else None,
        }


# ----------------------------------------------------------------------------------------------------- chunks


def written(network: IntegerNetwork, levels: np.ndarray) -> bytes:
    """A chunk: how it is written, how many samples less one (2 bytes, least first), and what is shortest."""
    raw = packed(levels, network.levels)
    ways = {_STORED: raw, _DEFLATED: zlib.compress(raw, 9, -15), _CODED: bits_back(network, levels)}
    way = min(ways, key=lambda way: len(ways[way]))
    return bytes([way]) + (len(levels) - 1).to_bytes(2, "little") + ways[way]


def unwritten(network: IntegerNetwork, chunk: bytes, place: int) -> np.ndarray:
    """The samples of a chunk. Its bytes are those that were written; what is wrong in them was written so."""
    way, count, message = chunk[0], int.from_bytes(chunk[1:3], "little") + 1, chunk[3:]
    try:
        if way == _CODED:
            return bits_forth(network, message, count)
        if way not in (_STORED, _DEFLATED):
            raise ValueError(f"it claims to be written in way {way}")
        return unpacked(network, message if way == _STORED else zlib.decompress(message, -15), count)
    except (ValueError, zlib.error) as error:
        raise isth.DamagedFile(f"This file is damaged: chunk {place} cannot be read ({error}). Get it again.") from error


def bits_back(network: IntegerNetwork, levels: np.ndarray) -> bytes:
    """A chain of samples, (n, pixels, channels), first to last."""
    stack, posterior = Stack(), network.posterior(levels)
    for start, stop in steps(len(levels)):
        stack.widen(max(stop - start, len(stack.heads)))
        stack.stir(stop - start)
        own = tuple(part[start:stop] for part in posterior)
        code = np.empty_like(own[0])
        for place in range(network.n_components):
            of_place = own[0][:, place], own[1][:, place]
            code[:, place] = network.find_code(of_place, stack.slots(stop - start))
            stack.pop(*network.code_slots(of_place, code[:, place]))
        for starts, counts in network.pixel_slots(network.decode(code), levels[start:stop]):
            for channel in reversed(range(network.channels)):
                stack.push(starts[:, channel], counts[:, channel])
        for place in reversed(range(network.n_components)):
            stack.push(*network.prior_slots(code[:, place]))
    return stack.to_bytes()


def bits_forth(network: IntegerNetwork, message: bytes, count: int) -> np.ndarray:
    """The inverse of `bits_back`, last to first."""
    levels = np.empty((count, network.height * network.width, network.channels), np.int64)
    plan = steps(count)
    lanes = np.maximum.accumulate([stop - start for start, stop in plan]).tolist()
    stack = Stack.from_bytes(message, lanes[-1])
    for (start, stop), wide in zip(reversed(plan), reversed(lanes), strict=True):
        stack.narrow(wide)
        code = np.empty((stop - start, network.n_components), np.int64)
        for place in range(network.n_components):
            code[:, place] = network.find_prior(stack.slots(stop - start))
            stack.pop(*network.prior_slots(code[:, place]))
        levels[start:stop] = network.read_pixels(network.decode(code), stack)
        own = network.posterior(levels[start:stop])
        for place in reversed(range(network.n_components)):
            stack.push(*network.code_slots((own[0][:, place], own[1][:, place]), code[:, place]))
        stack.unstir(stop - start)
    stack.narrow(0)
    if not stack.only_ground:
        raise ValueError("the bits that it began with are not those that it ends with")
    return levels


def steps(count: int) -> list[tuple[int, int]]:
    """Which samples are coded at once, one a lane.

    A step draws its codes by the bits of those before, so it may be a quarter as large as they are together; the first step, one
    sample, takes its bits from nowhere, and they are all that a chain costs beyond its samples.
    """
    lanes = min(_MOST_LANES, 2 ** max(0, (count // _SAMPLES_A_LANE).bit_length() - 1))
    plan, start = [], 0
    while start < count:
        stop = min(count, start + max(1, min(lanes, start // 4)))
        plan.append((start, stop))
        start = stop
    return plan


def bits_of(network: IntegerNetwork, levels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What bits back pays for each sample on average, (n,)."""
    own = network.posterior(levels)
    code = network.find_code(own, random.integers(0, 1 << PRECISION, own[0].shape))
    given = (counts for _, counts in network.pixel_slots(network.decode(code), levels))
    paid = sum((PRECISION - np.log2(counts)).sum(1) for counts in given)
    back = (PRECISION - np.log2(network.code_slots(own, code)[1])).sum(1)
    return paid + (PRECISION - np.log2(network.prior_slots(code)[1])).sum(1) - back


# ---------------------------------------------------------------------------------------------------- samples


def checked(X) -> np.ndarray:
    """Samples of whole levels: bool, uint8, or vectors whose numbers are zeros and ones."""
    X = np.asarray(X.detach().cpu() if hasattr(X, "detach") else X)
    if X.ndim not in (2, 3, 4) or 0 in X.shape:
        raise ValueError(
            f"Pictures (n, height, width[, channels]) or vectors (n, length) are expected, one or more; got shape {X.shape}."
        )
    if X.dtype not in (np.bool_, np.uint8) and not (X.ndim == 2 and X.dtype.kind in "iuf" and np.isin(X, (0, 1)).all()):
        raise ValueError(
            f"Whole levels are expected, bool or uint8, or vectors of zeros and ones; got {X.dtype} from {X.min()} to {X.max()}. "
            "Numbers in between cannot be kept without loss: round them to uint8."
        )
    return X


def levels_in(X: np.ndarray) -> int:
    """2 for bool, and for vectors of zeros and ones, else 256."""
    return 2 if X.dtype == np.bool_ or (X.ndim == 2 and X.max() <= 1) else 256


def packed(levels: np.ndarray, known: int) -> bytes:
    """Two levels in bits, eight to a byte, others in bytes."""
    values = levels.astype(np.uint8)
    return np.packbits(values).tobytes() if known == 2 else values.tobytes()


def unpacked(network: IntegerNetwork, message: bytes, count: int) -> np.ndarray:
    """The inverse of `packed`."""
    values, size = np.frombuffer(message, np.uint8), count * network.height * network.width * network.channels
    if network.levels == 2:
        if len(values) != -(-size // 8):
            raise ValueError(f"it holds {len(values)} bytes of {-(-size // 8)}")
        values = np.unpackbits(values, count=size)
    return values.reshape(count, network.height * network.width, network.channels).astype(np.int64)
