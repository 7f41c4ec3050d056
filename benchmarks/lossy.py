"""Compressing with a loss: digits and photographs against the codecs, real files.

Every size is that of a whole file, header and checksums included; the model is not in it: "model bytes" says how large it and
its tables are, and "breaks even at" from how many samples (digits, or thousands of pixels) on file and model together are
smaller than the best codec's file. Digits: all of them in one file, held to 22 dB on digits that were kept from training; the
codecs get one mosaic of all, so that their headers cost nothing, at the setting between two that gives 22 dB. "PCA-32": a
linear autoencoder of 32 numbers behind the same coder, which reaches what "PCA-32 dB" says. Photographs: dB above JPEG
(optimised tables, 4:2:0) at as many bytes, picture by picture, headers included; the goal is for less than 0.35 bits a pixel.
Grey: BSD400 to learn from, Set12; colour: 48 scenes of CBSD68 to learn from, the other 20. "same numbers": the share of files
that are decoded to the same whole numbers with one and two threads, channels last, in bfloat16, and in a process with another
BLAS setting. "flipped bytes": every byte of 1,000 files, one at a time.
"""

import io
import math
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from isthmus import Training, load, presets
from isthmus.apps import Compressor
from isthmus.parts import Dense, Lapped, Rounded

from .data import checksum, digits_of, file
from .record import Row, Watch, chosen

SEEDS = 1
QUALITY = 22.0  # dB
BITS = 0.35  # a pixel of photographs, at most
DIGITS = {
    "rate": 0.025,
    "architecture": Dense((1024, 512), bypass=False),
    "max_epochs": 40,
    "batch_size": 512,
    "learning_rate": 0.02,
}
PHOTOGRAPHS = {"batch_size": 8, "training": Training(momentum=0.95, weight_decay=0.0)}
GREY, COLOUR = 1 / 150, 1 / 60  # rates; that of colour was found on scenes kept from training, for less than BITS a pixel


def rows(options):
    for seed in options.seeds:
        for part in chosen(options, digits, grey, colour):
            yield from part(options, seed)


# ---------------------------------------------------------------------------------------------------- digits


def digits(options, seed: int):
    compressor, test, facts = of_digits(options, seed)
    yield from rows_of_digits(compressor, test, options, facts)


def of_digits(options, seed: int):
    """A compressor of digits, whose steps were found on the last training digits, which the model did not see."""
    (train, _), (test, _) = digits_of(options)
    kept = len(train) - max(50, len(train) // 12)
    settings = DIGITS | ({"max_epochs": 2} if options.quick else {})
    with Watch() as watch:
        model = presets.compression(64, **settings, random_state=seed).fit(train[:kept])
        quality = QUALITY if not options.quick else 12.0
        error = 10 ** (-quality / 20)  # of rows of numbers a quality is the root mean squared error
        found = Compressor(model, quality=error).fit(train[kept:]).steps_
        factor = found / model.network_.bottleneck.steps.detach().numpy()
        compressor = Compressor(model, step=float(factor.mean())).fit(train)
    facts = {"settings": {"model": repr(model)}, "seed": seed, "data": {"MNIST": checksum(train, test)}, "cost": watch.cost()}
    return compressor, test, facts | {"train": train, "quality": quality}


def rows_of_digits(compressor, test, options, facts):
    train, quality = facts.pop("train"), facts.pop("quality")
    told, beside = compressor.report(test), codecs_on_a_mosaic(test, quality)
    best = min(beside.values())
    linear = (
        Compressor(presets.linear(32, random_state=0, **({"max_epochs": 1} if options.quick else {}))).fit(train).report(test)
    )
    also = {
        "dB": psnr(told["quality"]),
        "PCA-32 dB": psnr(linear["quality"]),
    } | of_the_model(told["model_bytes"], best - told["bytes_per_sample"])
    own, beside = told["bytes_per_sample"], beside | {"PCA-32": linear["bytes_per_sample"]}
    yield Row("compression: bytes of a digit at 22 dB", own, "bytes", {"at_most": best / 5}, beside, also=also, **facts)
    noisy = np.clip(test + np.random.default_rng(0).normal(0, 0.3, test.shape), 0, 1).astype(np.float32)
    back = compressor.decompress(compressor.compress(noisy))
    error, before = (float(np.square(np.clip(x, 0, 1) - test).mean()) for x in (back, noisy))
    yield Row(
        "compression: error of noisy digits, there and back, over the noise's own", error / before, "", {"at_most": 0.5}, **facts
    )
    count = 20 if options.quick else 1000
    yield Row("same numbers everywhere", same_numbers(compressor, test[:count]), "share", {"at_least": 1.0}, **facts)
    also = {"flips": 0.0}
    yield Row("flipped bytes decoded silently", silent(compressor, test[:count], also), "", {"at_most": 0}, also=also, **facts)


def of_the_model(size: int, saved: float) -> dict[str, float]:
    """Its bytes, and how many samples it takes to save them; nothing of that where a sample saves none."""
    return {"model bytes": size} | ({"breaks even at": size / saved} if saved > 0 else {})


def psnr(rmse: float, peak: float = 1.0) -> float:
    return 20 * math.log10(peak / max(rmse, 1e-12))


def codecs_on_a_mosaic(digits: np.ndarray, quality: float) -> dict[str, float]:
    """Bytes a digit of every codec at this quality."""
    side = math.isqrt(len(digits))
    pictures = (digits[: side * side].reshape(side, side, 28, 28) * 255).round().astype(np.uint8)
    mosaic = pictures.swapaxes(1, 2).reshape(28 * side, 28 * side)
    return {name: bytes_at(codec, settings, mosaic, quality) / side**2 for name, (codec, settings) in codecs().items()}


def bytes_at(codec, settings, picture: np.ndarray, quality: float) -> float:
    """Between the two settings, from rough to fine, around this quality: interpolated in the logarithm of the bytes."""
    before = None
    for setting in settings:
        data, back = codec(picture, setting)
        point = (psnr(math.sqrt(np.square(back.astype(float) - picture).mean()), 255), math.log(len(data)))
        if point[0] >= quality:
            return math.exp(point[1] if before is None else float(np.interp(quality, *zip(before, point, strict=True))))
        before = point
    raise ValueError(f"No setting reaches {quality} dB.")


def codecs() -> dict:
    """Codec and settings, from rough to fine; JPEG XL where imagecodecs is installed."""
    jpeg, webp, avif = with_pillow("JPEG", optimize=True), with_pillow("WEBP", method=6), with_pillow("AVIF", speed=6)
    found = {
        "JPEG": (jpeg, range(2, 96)),
        "WebP": (webp, range(0, 100, 4)),
        "AVIF": (avif, range(10, 100, 4)),
    }
    try:
        import imagecodecs
    except ImportError:
        return found

    def jxl(picture, distance):
        data = imagecodecs.jpegxl_encode(picture, distance=distance, lossless=False, effort=7)
        return data, imagecodecs.jpegxl_decode(data).reshape(picture.shape)

    return found | {"JPEG XL": (jxl, np.arange(15, 0.5, -0.5).tolist())}


def with_pillow(name: str, **settings):
    def coded(picture, quality):
        held = io.BytesIO()
        Image.fromarray(picture).save(held, name, quality=quality, **settings)
        with Image.open(held) as opened:
            return held.getvalue(), np.asarray(opened.convert("L" if picture.ndim == 2 else "RGB"))

    return coded


# ------------------------------------------------------------------------------------------------------ safe


def same_numbers(compressor, digits: np.ndarray) -> float:
    """The share of files of one digit each that every reader decodes to the same numbers."""
    files = [compressor.compress(digits[i : i + 1]) for i in range(len(digits))]
    wanted = [compressor.indices(data)[0] for data in files]
    good = np.ones(len(files), bool)
    with tempfile.TemporaryDirectory() as folder:
        compressor.save(Path(folder) / "c")
        other = load(Path(folder) / "c")
        other.model_.network_.to(memory_format=torch.channels_last).bfloat16()
        threads = torch.get_num_threads()
        for count in (1, 2):
            torch.set_num_threads(count)
            for reader in (compressor, other):
                good &= [np.array_equal(reader.indices(data)[0], index) for data, index in zip(files, wanted, strict=True)]
        torch.set_num_threads(threads)
        good &= [np.array_equal(a, b) for a, b in zip(elsewhere(Path(folder), files), wanted, strict=True)]
    return float(good.mean())


def elsewhere(folder: Path, files: list[bytes]) -> list[np.ndarray]:
    """What another process reads, with other settings of BLAS and two threads."""
    for place, data in enumerate(files):
        (folder / f"{place}.isth").write_bytes(data)
    code = (
        "import sys, numpy as np; from pathlib import Path; from isthmus import load; f = Path(sys.argv[1]); c = load(f / 'c'); "
        "np.save(f / 'i.npy', np.concatenate([c.indices(f / f'{i}.isth')[0] for i in range(int(sys.argv[2]))]))"
    )
    settings = {"OMP_NUM_THREADS": "2", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Haswell", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    subprocess.run([sys.executable, "-c", code, folder, str(len(files))], check=True, env=os.environ | settings)
    return list(np.load(folder / "i.npy")[:, None])


def silent(compressor, digits: np.ndarray, also: dict) -> int:
    """How many flipped bytes went unnoticed; `also["flips"]` counts them all."""
    unnoticed, random = 0, np.random.default_rng(0)
    for i in range(len(digits)):
        data = compressor.compress(digits[i : i + 1])
        for place, flip in enumerate(random.integers(1, 256, len(data)).tolist()):
            changed = bytearray(data)
            changed[place] ^= flip
            also["flips"] += 1
            try:
                compressor.indices(bytes(changed))
            except ValueError:
                continue
            unnoticed += 1
    return unnoticed


# ----------------------------------------------------------------------------------------------- photographs


def grey(options, seed: int):
    yield photographs("grey", GREY, *grey_photographs(options), options, seed)


def colour(options, seed: int):
    yield photographs("colour", COLOUR, *colour_photographs(options), options, seed)


def photographs(name: str, rate: float, train, test, epochs: int, options, seed: int) -> Row:
    """dB above JPEG at as many bytes, on average over the test pictures."""
    channels = train[0].shape[-1] if train[0].ndim == 3 else 1
    architecture = Lapped(hidden=128 if not options.quick else 8)
    with Watch() as watch:
        model = presets.compression(
            None, rate=rate, **PHOTOGRAPHS, architecture=architecture, kind="images", max_epochs=epochs, random_state=seed
        )
        model.bottleneck = Rounded(step=math.sqrt(12 * rate))
        compressor = Compressor(model, step=1.0).fit(train)
    gains, beside, rates, qualities, spare = [], {"WebP": []}, [], [], []
    for picture in test:
        data = compressor.compress([picture])
        own = picture_psnr(compressor.decompress(data)[0], picture)
        ways = {kind: points(with_pillow(kind.upper(), **more), picture) for kind, more in _PEERS.items()}
        jpeg = at_bytes(ways["JPEG"], len(data))
        gains.append(own - jpeg)
        beside["WebP"].append(at_bytes(ways["WebP"], len(data)) - jpeg)
        pixels = picture.shape[0] * picture.shape[1]
        rates.append(8 * len(data) / pixels)
        qualities.append(own)
        spare.append((bytes_of(ways["WebP"], own) - len(data)) / pixels)
    also = {
        "bits a pixel": float(np.mean(rates)),
        "dB": float(np.mean(qualities)),
        "least gain": float(np.min(gains)),
    } | of_the_model(compressor.model_bytes, 1000 * float(np.mean(spare)))
    within = np.mean(rates) <= BITS
    return Row(
        f"compression: {name} photographs, dB above JPEG " + ("below 0.35 bits a pixel" if within else "at more bits than asked"),
        float(np.mean(gains)),
        "dB",
        {"at_least": 1.0} if within else {},
        {kind: float(np.mean(values)) for kind, values in beside.items()},
        also=also,
        settings={"model": repr(model), "channels": channels},
        seed=seed,
        data={name: checksum(*train, *test)},
        cost=watch.cost(),
    )


_PEERS = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}  # colour: 4:2:0 in both, Pillow's own choice


def points(codec, picture) -> list[tuple[int, float]]:
    """(bytes, dB) from rough to fine."""
    found = ((codec(picture, quality)) for quality in range(1, 60, 2))
    return [(len(data), picture_psnr(back, picture)) for data, back in found]


def at_bytes(curve: list[tuple[int, float]], size: int) -> float:
    """dB at so many bytes; at fewer than the least, what the least reaches."""
    return float(np.interp(size, *zip(*sorted(curve), strict=True)))


def bytes_of(curve: list[tuple[int, float]], quality: float) -> float:
    """Bytes at so many dB."""
    return float(np.interp(quality, *zip(*sorted((db, size) for size, db in curve), strict=True)))


def picture_psnr(a: np.ndarray, b: np.ndarray) -> float:
    return psnr(math.sqrt(np.square(a.astype(float) - b).mean()), 255)


def pictures_in(name: str) -> list[np.ndarray]:
    with zipfile.ZipFile(file(f"photos/{name}")) as held:
        names = sorted(one for one in held.namelist() if one.endswith(".png"))
        return [np.asarray(Image.open(io.BytesIO(held.read(one)))) for one in names]


def grey_photographs(options) -> tuple:
    """BSD400, of two sizes, so that the model takes any; Set12, or with --validate every twentieth of BSD400."""
    every = pictures_in("bsd400-gray-180.zip")
    train = [crop(picture, 176, 176 if i % 2 else 160) for i, picture in enumerate(every) if i % 20]
    test = every[::20] if options.validate else pictures_in("set12-gray.zip")
    return (train[:40], test[:2], 1) if options.quick else (train, test, 14)


def colour_photographs(options) -> tuple:
    """Crops of 48 scenes of CBSD68, and the other 20; with --validate the last eight of the 48."""
    every = pictures_in("cbsd68-color.zip")
    order = np.random.default_rng(0).permutation(len(every))
    scenes, test = [every[i] for i in order[20:]], [every[i] for i in order[:20]]
    if options.validate:
        scenes, test = scenes[:-8], scenes[-8:]
    train = [
        crop(scene[y:, x:], 152, 160 if (x + y) % 16 else 152)
        for scene in scenes
        for y in range(0, scene.shape[0] - 152, 168)
        for x in range(0, scene.shape[1] - 160, 168)
    ]
    return (train[:20], test[:2], 1) if options.quick else (train, test, 16)


def crop(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return picture[:height, :width]
