"""Lossless compression of digits, in bits a dimension.

MNIST-test in one real file each, everything counted but the model: header, checksums, the bits that the first digit's code is
drawn by. Binarised: every pixel black or white with its grey level as the probability of white, the test digits drawn once
(seed 0), every training digit ten times (seeds 1 to 10). 784-512-256-40 with the likelihood `Pixels`, trained for at most an hour
on two cores; the networks that code have weights of 8 bits. "bound": what the integer networks promise; "float bound": the model
before it was rounded. "model": bytes of the integer networks, which they spare from "break-even" digits on.

Beside it: general compressors at their strongest on all digits at once (of binarised ones eight pixels to a byte), and picture
formats without loss on one mosaic of all digits, so that they pay for one header. Files decode elsewhere: files of two digits are
decoded by a process with another number of threads. Flipped bytes: one byte, drawn at random, of each file.
"""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from isthmus import Autoencoder, Training
from isthmus.apps import LosslessCompressor
from isthmus.parts import Dense, Gaussian, Pixels

from .data import checksum, digits_of
from .likelihood import drawn
from .record import Row, Watch

COPIES = 10
BATCH = 256
KINDS = {  # levels, goal, epochs of one copy each
    "binarised": (2, 0.165, 60),
    "8 bits": (256, 1.36, 40),
}
FILES, A_FILE = 100, 2  # files that are decoded elsewhere, and digits in each
FLIPPED = 1000
PUBLISHED = {
    "binarised": {"bits back (Townsend et al. 2019)": 0.19},
    "8 bits": {"bits back (Townsend et al. 2019)": 1.41},
}
ELSEWHERE = """
import sys, numpy as np
from isthmus import load
compressor = load(sys.argv[1])
np.save(sys.argv[3], np.stack([compressor.decompress(f"{sys.argv[2]}/{i}.isth") for i in range(int(sys.argv[4]))]))
"""


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data = {"MNIST": checksum(train, test)}
    for name, (levels, goal, epochs) in KINDS.items():
        seen, unseen = samples(train, test, levels, 1 if options.quick else COPIES)
        epochs = 1 if options.quick else max(1, epochs * len(train) // len(seen))
        for seed in options.seeds:
            compressor, facts = fitted(seen, levels, seed, epochs)
            facts |= {"data": data}
            yield size_row(name, compressor, unseen, goal, facts)
            yield bound_row(name, compressor, unseen, facts)
            yield elsewhere_row(name, compressor, unseen, facts)
            yield flipped_row(name, compressor, unseen, seed, facts)


def samples(train: np.ndarray, test: np.ndarray, levels: int, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures to learn from, and those to compress."""
    if levels == 256:
        return tuple((part * 255).round().astype(np.uint8).reshape(-1, 28, 28) for part in (train, test))
    seen = np.concatenate([drawn(train, 1 + copy) > 0 for copy in range(copies)])
    return seen.reshape(-1, 28, 28), (drawn(test, 0) > 0).reshape(-1, 28, 28)


def fitted(seen: np.ndarray, levels: int, seed: int, epochs: int) -> tuple[LosslessCompressor, dict]:
    """The compressor, and what a row tells of it."""
    steps = epochs * -(-len(seen) // BATCH)
    model = Autoencoder(
        40,
        architecture=Dense((512, 256), activation="gelu", bypass=False),
        bottleneck=Gaussian(warmup=max(1, steps // 6)),
        corruption=None,
        loss=Pixels(levels),
        kind="images",
        training=Training(momentum=0.95, warmup=0.02),
        learning_rate=0.015,
        batch_size=BATCH,
        max_epochs=epochs,
        random_state=seed,
    )
    with Watch() as watch:
        compressor = LosslessCompressor(model).fit(seen)
    settings = {"model": " ".join(repr(model).split()), "pictures": len(seen)}
    return compressor, {"settings": settings, "seed": seed, "cost": watch.cost()}


def size_row(name: str, compressor: LosslessCompressor, X: np.ndarray, goal: float, facts: dict) -> Row:
    began = time.perf_counter()
    file = compressor.compress(X)
    written = time.perf_counter()
    back = compressor.decompress(file)
    read = time.perf_counter()
    if back.dtype != X.dtype or not np.array_equal(back, X):
        raise AssertionError("the file does not decode to what was written")
    found = others(X)
    gain = (min(found.values()) - len(file)) / len(X)
    model = compressor.model_bytes
    also = {
        "bytes a digit": len(file) / len(X), "model bytes": model, **({"break-even digits": model / gain} if gain > 0 else {}),
        "digits written a second": len(X) / (written - began), "digits read a second": len(X) / (read - written),
    }  # fmt: skip
    beside = {other: bits(size, X) for other, size in found.items()}
    row = f"MNIST-test, {name}: the file"
    return Row(row, bits(len(file), X), "bits a dimension", {"at_most": goal}, beside, PUBLISHED[name], also, **facts)


def bound_row(name: str, compressor: LosslessCompressor, X: np.ndarray, facts: dict) -> Row:
    """What the rounding of the networks costs."""
    values = X.astype(np.uint8) * (255 if X.dtype == bool else 1)
    floats = -compressor.model_.log_likelihood(values, 1, random_state=0).mean() / np.log(2) / X[0].size
    bound = compressor.expected_bits(X).mean() / X[0].size
    return Row(f"MNIST-test, {name}: the bound", bound, "bits a dimension", {}, {"float bound": floats}, **facts)


def elsewhere_row(name: str, compressor: LosslessCompressor, X: np.ndarray, facts: dict) -> Row:
    """Files that a process with another number of threads decodes to the same pixels."""
    count = min(FILES, len(X) // A_FILE)
    pictures = X[: count * A_FILE].reshape(count, A_FILE, *X.shape[1:])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        compressor.save(folder / "model")
        for i, each in enumerate(pictures):
            compressor.compress_to(folder / f"{i}.isth", each)
        threads = "1" if os.environ.get("OMP_NUM_THREADS") != "1" else "2"
        environment = os.environ | {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}
        command = [sys.executable, "-c", ELSEWHERE, str(folder / "model"), place, str(folder / "found.npy"), str(count)]
        subprocess.run(command, env=environment, check=True)
        found = np.load(folder / "found.npy")
    same = (found == pictures).reshape(count, -1).all(1).mean()
    return Row(f"{name}: files that decode elsewhere", same, "share", {"at_least": 1.0}, also={"files": count}, **facts)


def flipped_row(name: str, compressor: LosslessCompressor, X: np.ndarray, seed: int, facts: dict) -> Row:
    """Files with one byte changed that are refused."""
    random, refused = np.random.default_rng(seed), 0
    files = [compressor.compress(X[i : i + 2]) for i in range(min(50, len(X)))]
    for i in range(FLIPPED):
        damaged = bytearray(files[i % len(files)])
        damaged[random.integers(len(damaged))] ^= int(random.integers(1, 256))
        try:
            compressor.decompress(bytes(damaged))
        except ValueError:
            refused += 1
    return Row(
        f"{name}: flipped bytes that are reported",
        refused / FLIPPED,
        "share",
        {"at_least": 1.0},
        also={"files": FLIPPED},
        **facts,
    )


# ------------------------------------------------------------------------------------------------- baselines


def others(X: np.ndarray) -> dict[str, int]:
    """Bytes that others need for all pictures at once."""
    raw = np.packbits(X).tobytes() if X.dtype == bool else X.tobytes()
    sizes = {
        "bz2 -9": len(bz2.compress(raw, 9)),
        "xz -9e": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
        "gzip -9": len(gzip.compress(raw, 9)),
    }
    picture = mosaic(X)
    formats = {
        "PNG": {"optimize": True},
        "WebP": {"lossless": True, "quality": 100, "method": 6},
        "JXL": {"lossless": True, "effort": 9},
    }
    for name, settings in formats.items():
        if (size := size_as(picture, name, settings)) is not None:
            sizes[name] = size
    return sizes


def mosaic(X: np.ndarray) -> Image.Image:
    """All pictures side by side, a hundred in a row; what is missing of the last row is black."""
    columns = min(100, len(X))
    X = np.concatenate([X, np.zeros((-len(X) % columns, *X.shape[1:]), X.dtype)])
    grid = X.reshape(-1, columns, *X.shape[1:]).swapaxes(1, 2).reshape(-1, columns * X.shape[2])
    return Image.fromarray(grid)


def size_as(picture: Image.Image, name: str, settings: dict) -> int | None:
    """Bytes of the picture in a format; None where this Pillow does not write it."""
    if name == "JXL":
        try:
            import pillow_jxl  # noqa: F401
        except ImportError:
            return None
    file = io.BytesIO()
    try:
        (picture if name == "PNG" else picture.convert("L" if name == "JXL" else "RGB")).save(file, name, **settings)
    except (KeyError, OSError):
        return None
    return len(file.getvalue())


def bits(size: int, X: np.ndarray) -> float:
    return 8 * size / X.size
