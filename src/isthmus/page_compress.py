"""The page about a compressor: what files take, beside codecs and general compressors, and samples before and after."""

import bz2
import io
import lzma
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import plots
from .data import open_data
from .ink import amount, count, header, page, png, section, svg, table, text
from .report import write_page

SHOWN = 12  # samples
HARSHER = (3.0, 6.0)  # dB below a compressor's own quality, for the samples and the curve; for other numbers, as factors
FINER = 3.0
CODECS: dict[str, dict] = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}  # of Pillow
SETTINGS = (1, 2, 4, 6, 8, 10, 14, 18, 22, 27, 32, 38, 44, 50, 57, 64, 71, 78, 85, 90, 95)  # of a codec's quality
LINES = {"JPEG": "-", "WebP": "--"}
LARGE = 64  # pixels: pictures with a longer side get a file of a codec each, smaller ones share a mosaic


@dataclass
class Point:
    """One way to write the samples: bytes a sample, and the quality that is left (None: every number comes back)."""

    bytes: float
    quality: Any


@dataclass
class Files:
    """What a compressor makes of some samples, computed when first asked for.

    train : what the tables of other steps are counted on, None: only the compressor's own are shown
    shape : of a row that is a picture
    """

    compressor: Any
    X: Any
    train: Any = None
    shape: tuple | None = None

    def __post_init__(self):
        schema = self.compressor.model_.schema_
        self.X = open_data(self.X, schema.kind, **schema.reading)[0]
        if self.train is not None:
            self.train = open_data(self.train, schema.kind, **schema.reading)[0]

    @property
    def lossless(self) -> bool:
        return self.compressor.task == "lossless"

    @cached_property
    def told(self) -> dict[str, Any]:
        return self.compressor.report(self.X)

    @property
    def own(self) -> Point:
        return Point(self.told["bytes_per_sample"], self.told.get("quality"))

    @property
    def in_decibels(self) -> bool:
        return self.compressor.model_.schema_.kind in ("images", "video")

    @cached_property
    def rebuilt(self) -> Any:
        return self.compressor.decompress(self.compressor.compress(self.X[:SHOWN]))

    @cached_property
    def others(self) -> list[tuple[Any, Point]]:
        """Compressors of the same model with other steps, the finest first; a quality that cannot be reached is left out."""
        from .apps import Compressor

        if self.train is None or self.own.quality is None:
            return []
        made = []
        for wanted in self.other_qualities():
            try:
                other = Compressor(self.compressor.model_, quality=wanted, chunk=self.compressor.chunk).fit(self.train)
            except ValueError:  # finer than the model is without any rounding
                continue
            found = other.report(self.X)
            made.append((other, Point(found["bytes_per_sample"], found["quality"])))
        return made

    def other_qualities(self) -> list[float]:
        reached = self.compressor.quality_
        if self.in_decibels:
            return [reached + FINER, *(reached - step for step in HARSHER)]
        return [reached * 10 ** (step / 20) for step in (-FINER, *HARSHER)]

    @cached_property
    def pictures(self) -> Any:
        """8-bit pictures, each (height, width[, 3]), where the samples are such."""
        schema = self.compressor.model_.schema_
        if schema.kind != "images" or schema.dtype not in ("uint8", "bool", "float32", "float64"):
            return None
        limits = plots.limits_of(np.concatenate([np.ravel(x) for x in self.X]))
        found = [plots.pictures(np.asarray(x)[None], limits)[0] for x in self.X]
        return found if found[0].ndim == 2 or found[0].shape[-1] == 3 else None

    @property
    def together(self) -> bool:
        """Whether the pictures are small and of one size, so that codecs may have them as one."""
        return (
            self.pictures is not None and max(self.pictures[0].shape[:2]) <= LARGE and len({x.shape for x in self.pictures}) == 1
        )

    @cached_property
    def codecs(self) -> dict[str, list[Point]]:
        """Of every codec the points from rough to fine; small pictures share one mosaic, whose header costs next to nothing."""
        if self.lossless or self.pictures is None:
            return {}
        shown = [mosaic(self.pictures)] if self.together else self.pictures
        return {name: curve(shown, name, settings, len(self.pictures)) for name, settings in CODECS.items()}

    @cached_property
    def general(self) -> dict[str, float]:
        """Bytes a sample of programs that keep every bit."""
        if self.lossless:
            return {name: self.told[name] / self.told["samples"] for name in ("deflate", "bz2", "xz")}
        raw = b"".join(np.ascontiguousarray(x).tobytes() for x in (self.X if isinstance(self.X, list) else [self.X]))
        sizes = {"deflate": zlib.compress(raw, 9), "bz2": bz2.compress(raw), "xz": lzma.compress(raw)}
        return {name: len(data) / len(self.X) for name, data in sizes.items()}


def mosaic(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one size in rows beside each other, as nearly square as they go."""
    side = max(1, math.isqrt(len(pictures)))
    rows = [np.concatenate(pictures[start : start + side], 1) for start in range(0, len(pictures) - side + 1, side)]
    return np.concatenate(rows, 0)


def curve(pictures: list[np.ndarray], codec: str, settings: dict, samples: int) -> list[Point]:
    points = []
    for setting in SETTINGS:
        size, squared, numbers = 0, 0.0, 0
        for picture in pictures:
            held = io.BytesIO()
            Image.fromarray(picture).save(held, codec, quality=setting, **settings)
            with Image.open(held) as opened:
                back = np.asarray(opened.convert("L" if picture.ndim == 2 else "RGB"), np.float64)
            size, numbers = size + len(held.getvalue()), numbers + picture.size
            squared += float(np.square(back - picture).sum())
        points.append(Point(size / samples, 10 * math.log10(255**2 * numbers / max(squared, 1e-9))))
    return points


def beside(points: list[Point], quality: float) -> tuple[float, str]:
    """Bytes between the two points around a quality, in their logarithm, and what is lost; outside, those of the nearest."""
    ordered: Any = sorted((point.quality, math.log(point.bytes)) for point in points)
    least, most = ordered[0][0], ordered[-1][0]
    lost = "the same" if least <= quality <= most else f"{'less' if quality < least else 'more'}, {least:.1f} dB"
    qualities, sizes = zip(*ordered, strict=True)
    return math.exp(np.interp(quality, qualities, sizes)), lost


# ------------------------------------------------------------------------------------------------------- page


def write(files: Files, path, title: str | None = None, overwrite: bool = False) -> Path:
    """One HTML file that needs nothing else.

    >>> from isthmus.apps import Compressor
    >>> compressor = Compressor({"max_epochs": 2}, random_state=0).fit(X)
    >>> write(Files(compressor, X, shape=(8, 8)), folder / "files.html").name
    'files.html'
    """
    return write_page(lambda: page_of(files, title), path, overwrite)


def page_of(files: Files, title: str | None = None) -> str:
    title = text(title or f"{count(files.told['samples'], 'sample')} in {files.told['bytes']:,} bytes")
    parts = [headline(files, title), beside_section(files), *curve_sections(files), *samples_sections(files)]
    return page(title, parts, files.compressor)


def headline(files: Files, title: str) -> str:
    told = files.told
    facts = {
        "samples": f"{told['samples']:,}",
        "bytes a sample": f"{told['bytes_per_sample']:,.1f}",
        "of the size in memory": f"1/{told['raw_bytes'] / told['bytes']:,.0f}" if told["raw_bytes"] else "–",
        "bits a number": f"{told['bits_per_number']:.3f}",
        "bytes of the model": f"{told['model_bytes']:,}",
    }
    if files.own.quality is not None:
        facts["dB" if files.in_decibels else "root mean squared error"] = f"{files.own.quality:.4g}"
    words = (
        "Every sample comes back as it was, bit for bit."
        if files.lossless
        else "The code of every sample was rounded and entropy-coded; what comes back is close to the sample, not the same."
    )
    words += " The bytes are those of the whole file, header and checksums included; the model, which both sides have, is not."
    return header(title, words, facts)


def beside_section(files: Files) -> str:
    own = files.own.bytes
    rows = [["this compressor", f"{own:,.1f}", "1", "0" if files.lossless else "as above", ""]]
    for name, points in files.codecs.items():
        size, lost = beside(points, files.own.quality)
        rows.append([name, f"{size:,.1f}", f"{size / own:.2f}", lost, break_even(files, size)])
    rows += [[name, f"{size:,.1f}", f"{size / own:.2f}", "0", break_even(files, size)] for name, size in files.general.items()]
    lead = "Other programs on the same samples. Codecs of pictures are at the setting that loses as much as this file does."
    if files.together:
        lead += " They get all pictures as one mosaic, so that their headers cost nothing."
    lead = "General programs on the same samples, which keep every bit as well." if not files.codecs else lead
    head = ["", "bytes a sample", "times this file's", "what is lost", "samples from which file and model are smaller"]
    return section("Beside other programs", lead, table(head, rows))


def break_even(files: Files, size: float) -> str:
    """The number of samples from which on file and model together take less than another program."""
    gain = size - files.own.bytes
    return f"{math.ceil(files.told['model_bytes'] / gain):,}" if gain > 0 else "never"


def curve_sections(files: Files) -> list[str]:
    if not files.others and not files.codecs:
        return []
    drawing = svg(lambda figure: draw_curve(figure, files), 7, 4, "Quality over bytes a sample")
    lead = "Quality over size: the further up and to the left, the better."
    if not files.others and not files.lossless:
        lead += " With the training data at hand, this model's other steps would stand here too."
    return [section("Smaller, or closer", lead, f'<div class="one">{drawing}</div>')]


def draw_curve(figure, files: Files) -> None:
    ax = figure.subplots()
    ours = sorted([files.own, *(point for _, point in files.others)], key=lambda point: point.bytes)
    near = [point.quality for point in ours]
    for name, points in files.codecs.items():
        shown = [point for point in points if min(near) - 4 <= point.quality <= max(near) + 4]
        if shown:
            line, colour = LINES[name], plots.OTHER
            ax.plot([p.bytes for p in shown], [p.quality for p in shown], line, color=colour, marker=".", label=name)
    ax.plot([p.bytes for p in ours], near, marker="o", color=plots.OURS, label="this model", zorder=3)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")  # between powers of ten its labels would run over one another
    ax.set_xlabel("bytes a sample")
    ax.set_ylabel("dB" if files.in_decibels else "root mean squared error")
    if not files.in_decibels:
        ax.invert_yaxis()
    plots.bare(ax)
    ax.legend(frameon=False)


def samples_sections(files: Files) -> list[str]:
    if files.lossless:
        return []
    limits = plots.limits_of(np.concatenate([np.ravel(x) for x in files.X[:SHOWN]])) if drawable(files) else None
    before = drawn(files, files.X[:SHOWN], limits)
    if before is None:
        return []
    steps = [(files.own, drawn(files, files.rebuilt, limits))]
    for other, point in files.others:
        steps.append((point, drawn(files, other.decompress(other.compress(files.X[:SHOWN])), limits)))
    steps.sort(key=lambda step: -step[0].bytes)
    cells = []
    for place, picture in enumerate(before):
        pictures = [png(picture, f"sample {place}")]
        pictures += [png(after[place], f"sample {place} in {point.bytes:.0f} bytes") for point, after in steps]
        cells.append(f"<figure>{''.join(pictures)}</figure>")
    unit = "dB" if files.in_decibels else "of root mean squared error"
    named = "; ".join(f"{amount(point.bytes)} bytes a sample, {point.quality:.3g} {unit}" for point, _ in steps)
    wide = " wide" if max(np.shape(before[0])[:2]) > LARGE else ""
    lead = f"The sample on top, below it what comes back: {named}."
    return [section("Before and after", lead, f'<div class="samples{wide}">{"".join(cells)}</div>')]


def drawable(files: Files) -> bool:
    return files.compressor.model_.schema_.kind == "images" or files.shape is not None


def drawn(files: Files, samples, limits) -> Any:
    """8-bit pictures of samples; None where they are none."""
    if not drawable(files):
        return None
    return [plots.pictures(np.asarray(x)[None], limits, files.shape)[0] for x in samples]
