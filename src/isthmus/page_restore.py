"""The page about restoring: every picture before and after under one slider, and the figures where the clean ones are known."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from .files import file_aside, refuse_existing
from .ink import count, header, page, section, table, text

LARGEST = 560  # pixels of a picture's larger side on the page
LISTED = 200  # rows of the table of figures

_STYLE = """<style>
.slides{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1.5rem}
.slide{margin:0}.slide .pair{position:relative;--at:50%;line-height:0}
.slide img{width:100%;display:block;border-radius:4px}
.slide img.after{position:absolute;inset:0;height:100%;clip-path:inset(0 0 0 var(--at))}
.slide .pair::after{content:"";position:absolute;inset:0 auto 0 var(--at);width:2px;margin-left:-1px;background:#fff;
box-shadow:0 0 0 1px rgba(0,0,0,.45);pointer-events:none}
.slide input{width:100%;margin:.5rem 0 0;accent-color:var(--aqua,#2a9d8f)}
.slide figcaption{display:flex;justify-content:space-between;gap:1rem}.slide.small img{image-rendering:pixelated}
</style>"""


def write(restorer, shown: list, path: Path, rows: list[dict] | None = None, overwrite: bool = False) -> None:
    """The page as one file that needs nothing else.

    shown : tuples of a name, the picture before, the picture after, and its figures (a dict, as `restore_files.figures_of`)
    rows : the figures of all pictures, where the clean ones are known
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path}: a page goes to a file that ends in .html.")
    refuse_existing(path, overwrite)
    with file_aside(path) as file:
        file.write(page_of(restorer, shown, rows).encode())


def page_of(restorer, shown: list, rows: list[dict] | None = None) -> str:
    title = f"{count(len(rows) if rows else len(shown), 'picture')} restored"
    parts = [headline(restorer, title, rows), slides_section(shown)]
    if rows:
        parts.append(figures_section(rows))
    return page(title, parts, restorer)


def headline(restorer, title: str, rows: list[dict] | None) -> str:
    parameters = sum(p.numel() for p in restorer.model_.network_.parameters())
    seconds = restorer.seconds_
    facts = {"parameters": f"{parameters:,}", "of training": f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"}
    if rows:
        before, after = (np.mean([row[name] for row in rows]) for name in ("psnr before", "psnr"))
        facts |= {"dB before": f"{before:.2f}" if np.isfinite(before) else "–", "dB after": f"{after:.2f}"}
    words = f"A network that learnt to undo this: {text(learnt(restorer))}."
    return header(title, words, facts)


def learnt(restorer) -> str:
    """What the restorer was trained on, in words."""
    if restorer.self_supervised:
        kind = "normally distributed" if restorer.self_supervised == "gaussian" else "independent from pixel to pixel"
        return f"noise that is {kind}, from noisy pictures alone"
    if not len(restorer.model_.network_.corruption):
        return "the difference between pairs of pictures"
    return ", then ".join(map(repr, restorer.model_.network_.corruption))


def slides_section(shown: list) -> str:
    slides = "".join(slide(*one) for one in shown)
    return section("Before and after", "Move the slider: on its left is what came in, on its right what came out.",
                   _STYLE, f'<div class="slides">{slides}</div>')  # fmt: skip


def slide(name: str, before: np.ndarray, after: np.ndarray, row: dict) -> str:
    one, other = whole_png(before, after.shape[:2]), whole_png(after, after.shape[:2])
    gained = f"{row['psnr before']:.1f} → {row['psnr']:.1f} dB" if "psnr" in row else ""
    small = " small" if max(after.shape[:2]) <= 96 else ""
    return (
        f'<figure class="slide{small}"><div class="pair"><img alt="{text(name)}, before" src="{one}">'
        f'<img class="after" alt="{text(name)}, after" src="{other}"></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="before or after, {text(name)}" '
        "oninput=\"this.previousElementSibling.style.setProperty('--at',this.value+'%')\">"
        f"<figcaption><span>{text(name)}</span><span>{gained}</span></figcaption></figure>"
    )


def whole_png(picture: np.ndarray, size: tuple[int, ...]) -> str:
    """A picture as a data address, brought to a height and width, and made smaller where it is large."""
    image = Image.fromarray(eight_bits(picture))
    if image.size != size[::-1]:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    image.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def eight_bits(picture: np.ndarray) -> np.ndarray:
    """uint8 (height, width) or (height, width, 3 or 4) of pixels of any type."""
    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    if picture.dtype != np.uint8:
        picture = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    return picture[..., 0] if picture.ndim == 3 and picture.shape[-1] in (1, 2) else picture


def figures_section(rows: list[dict]) -> str:
    worst = sorted(rows, key=lambda row: row["psnr"])[:LISTED]
    head = ["", "PSNR before", "PSNR after", "SSIM before", "SSIM after"]
    cells = [
        [text(row["name"]), f"{row['psnr before']:.2f}", f"{row['psnr']:.2f}", f"{row['ssim before']:.3f}", f"{row['ssim']:.3f}"]
        for row in worst
    ]
    lead = "Against the clean pictures, the least restored first. PSNR in dB, SSIM up to 1; more is better."
    return section("Figures", lead, table(head, cells))
