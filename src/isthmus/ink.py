"""What the sections of a page are written with: text, tables, pictures and drawings, as elements of HTML."""

import base64
import html
import io
import re
from collections.abc import Iterable
from importlib.resources import files

import numpy as np
from PIL import Image

from . import __version__, plots


def page(title: str, sections: Iterable[str], estimator) -> str:
    """A whole page that needs nothing else; `title` is HTML already, and the estimator is written below."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{files(__package__).joinpath("page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{"".join(sections)}
<footer><p>Made with isthmus {__version__}.</p><pre>{text(estimator)}</pre></footer>
</main>
</body>
</html>
"""


def header(title: str, words: str, facts: dict, warning: str = "") -> str:
    """The top of a page: `title`, `words` and `warning` are HTML, and facts are cards, by what each says."""
    cards = "".join(f"<div><dd>{text(value)}</dd><dt>{name}</dt></div>" for name, value in facts.items())
    lead = f'<p class="lead">{words}</p>\n{warning}'
    return f'<header>\n<h1>{title}</h1>\n{lead}<dl class="facts">{cards}</dl>\n</header>\n'


def section(heading: str, lead: str, *content: str) -> str:
    return f'<section>\n<h2>{heading}</h2>\n<p class="lead">{lead}</p>\n{"".join(content)}\n</section>\n'


def table(head: list[str], rows: list[list[str]], name: str = "") -> str:
    """Cells of HTML; the first of a row says what the row is about."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows)
    return f'<div class="scroll"><table class="{name}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def columns_of(rows: list[str], head: str = "") -> str:
    """Rows in two columns, which stand below each other where there is no room; `head` is put above each."""
    half = -(-len(rows) // 2)
    columns = "".join(f"<div>{head}{''.join(part)}</div>" for part in (rows[:half], rows[half:]) if part)
    return f'<div class="two">{columns}</div>'


def text(value) -> str:
    return html.escape(str(value))


def breakable(name: str) -> str:
    """A dotted name that may go on in the next line after a dot."""
    return text(name).replace(".", ".<wbr>")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def amount(value: float) -> str:
    """A number as people read it: four digits, or all of a large one before the point.

    >>> amount(0.9749303), amount(93483.0)
    ('0.9749', '93,483')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def png(picture: np.ndarray, alt: str) -> str:
    """An 8-bit picture within the page; large ones are made smaller, small ones keep their sharp pixels."""
    image = Image.fromarray(picture)
    if max(image.size) > 128:
        image.thumbnail((96, 96))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    sharp = ' class="sharp"' if max(image.size) < 64 else ""
    return f'<img{sharp} alt="{text(alt)}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


# Colours that no figure uses otherwise stand for those of the page, which differ by day and night.
_INK = {"#010203": "var(--ink)", "#010204": "var(--muted)", "#010205": "var(--paper)"}
_SHADES = {"#bd1f01": "var(--red)", "#832db6": "var(--violet)", "#92dadd": "var(--aqua)"}  # too dark or too pale at times


def svg(draw, width: float, height: float, alt: str) -> str:
    """What `draw(figure)` draws, as an SVG element in the page's own font and colours; the size is in inches."""
    matplotlib = plots.load_matplotlib()
    ink, muted, paper = _INK
    settings = {
        "svg.fonttype": "none", "svg.hashsalt": alt, "font.size": 10, "axes.labelsize": 10, "lines.linewidth": 1.5,
        "text.color": ink, "axes.labelcolor": muted, "axes.edgecolor": muted, "xtick.color": muted, "ytick.color": muted,
        "axes.facecolor": paper, "axes.linewidth": 0.6,
    }  # fmt: skip
    file = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        matplotlib.rcParams.update(settings)
        figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", transparent=False, facecolor="none", dpi=150)
    return tidied(file.getvalue(), alt)


def tidied(drawing: str, alt: str) -> str:
    """An SVG file as an element of a page: without what only a file needs, and with the page's colours."""
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # nothing refers to groups, and their names repeat from figure to figure
    opening = rf'<svg class="chart" \1 role="img" aria-label="{text(alt)}">'
    drawing = re.sub(r'<svg[^>]*(viewBox="[^"]*")[^>]*>', opening, drawing, count=1)
    for colour, name in (_INK | _SHADES).items():
        drawing = drawing.replace(colour, name)
    return drawing
