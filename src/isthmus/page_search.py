"""What a search found, to look at: a contact sheet, a page, and a table, one row a query."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .files import file_aside
from .ink import count, header, page, png, section, table, text

MOST = 20  # queries that are drawn


@dataclass
class Answer:
    """Queries by name, and of each the ids and distances of what is nearest, (queries, k).

    queries, found : pictures (queries, height, width[, channels]) and (queries, k, ...), or texts as lists, or None where
    there is nothing to look at.
    """

    index: Any
    names: list[str]
    ids: np.ndarray
    distances: np.ndarray
    queries: Any = None
    found: Any = None
    decoded: bool = False  # whether `found` was decoded from codes

    @property
    def pictures(self) -> bool:
        return isinstance(self.found, np.ndarray)


def rows_of(answer: Answer) -> list[dict]:
    """A dict for each query: what `--json` prints."""
    each = zip(answer.names, answer.ids.tolist(), answer.distances.tolist(), strict=True)
    return [{"query": name, "ids": ids, "distances": distances} for name, ids, distances in each]


def lines_of(answer: Answer) -> str:
    """A line for each query."""
    return "\n".join(
        f"{row['query']}: " + ", ".join(f"{one} ({far:.4g})" for one, far in zip(row["ids"], row["distances"], strict=True))
        for row in rows_of(answer)
    )


def write(path: Path, answer: Answer) -> None:
    """Writes the answer as its ending says: .csv, .html or .png; as a whole or not at all."""
    content = {".csv": table_file, ".html": as_page, ".png": sheet_file}[path.suffix.lower()](answer)
    with file_aside(path) as file:
        file.write(content)


def table_file(answer: Answer) -> bytes:
    """A .csv table with a row for each neighbour."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["query", "rank", "id", "distance"])
    for row in rows_of(answer):
        writer.writerows(
            (row["query"], rank, *pair) for rank, pair in enumerate(zip(row["ids"], row["distances"], strict=True), start=1)
        )
    return file.getvalue().encode()


# ------------------------------------------------------------------------------------------- contact sheet


def sheet_file(answer: Answer) -> bytes:
    if not answer.pictures:
        raise ValueError("A contact sheet shows pictures, and these samples are none. Write a page, .html, or a table, .csv.")
    matplotlib = plots.load_matplotlib()
    file = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        sheet(answer).savefig(file, format="png", dpi=120)
    return file.getvalue()


def sheet(answer: Answer, figure=None):
    """A figure with a row for each query: the query, framed, and beside it what was found, with ids and distances."""
    shown, k = min(len(answer.names), MOST), answer.ids.shape[1]
    figure = figure or plots.load_matplotlib().figure.Figure(figsize=(1.1 * (k + 1), 1.35 * shown), layout="constrained")
    axes = figure.subplots(shown, k + 1, squeeze=False)
    queries, found = drawn(answer)
    for place in range(shown):
        row = axes[place]
        plots.show(row[0], queries[place])
        row[0].spines[:].set(visible=True, color=plots.OURS, linewidth=3)
        row[0].set_title(short(answer.names[place]), fontsize=8, color=plots.OURS, fontweight="bold")
        for rank in range(k):
            plots.show(row[rank + 1], found[place][rank])
            words = f"{short(answer.ids[place, rank])}\n{answer.distances[place, rank]:.3g}"
            row[rank + 1].set_title(words, fontsize=7, parse_math=False)
    return figure


def drawn(answer: Answer) -> tuple[Any, list]:
    """8-bit pictures of the queries, (shown, height, width[, channels]), and of what was found, for each a stack of k."""
    limits = plots.limits_of(answer.found)
    queries = plots.pictures(answer.queries[:MOST], plots.limits_of(answer.queries))
    return queries, [plots.pictures(row, limits) for row in answer.found[:MOST]]


def short(name, most: int = 14) -> str:
    """The end of a name, which tells files of one folder apart."""
    name = str(name)
    return name if len(name) <= most else "…" + name[1 - most :]


# ---------------------------------------------------------------------------------------------------- page


def as_page(answer: Answer) -> bytes:
    title = f"Nearest among {count(len(answer.index), 'sample')}"
    return page(title, [headline(answer, title), found_section(answer)], answer.index).encode()


def headline(answer: Answer, title: str) -> str:
    index = answer.index
    facts = {
        "samples": f"{len(index):,}",
        "bytes a code": f"{index.nbytes / len(index):,.0f}",
        "bytes of codes": f"{index.nbytes:,}",
        "queries": f"{len(answer.names):,}",
        "found for each": f"{answer.ids.shape[1]:,}",
    }
    exact = "The search is exact." if index.method == "exact" else f"faiss proposed candidates ({index.method})."
    words = f"An autoencoder turned every sample into a code; near is what has a near code. {exact}"
    return header(title, words, facts)


def found_section(answer: Answer) -> str:
    kind = {"euclidean": "Euclidean", "cosine": "cosine"}[answer.index.metric]
    what = "Hamming distance, in bits" if answer.index.codes == "binary" else f"{kind} distance of the codes"
    lead = f"The query on the left, then the nearest, the nearest first; below each its id and the {what}."
    if answer.decoded:
        lead += " The samples themselves were not at hand: what is shown was decoded from their codes."
    if len(answer.names) > MOST:
        lead += f" These are {MOST} of {len(answer.names):,} queries."
    body = picture_rows(answer) if answer.pictures else text_rows(answer)
    return section("What was found", lead, body)


def picture_rows(answer: Answer) -> str:
    queries, found = drawn(answer)
    rows = []
    for place, (query, pictures) in enumerate(zip(queries, found, strict=True)):
        name = answer.names[place]
        cells = [f'<figure><div style="{_FRAME}">{png(query, f"query {name}")}</div>{caption(name)}</figure>']
        for rank, picture in enumerate(pictures):
            one, far = answer.ids[place, rank], answer.distances[place, rank]
            cells.append(f"<figure>{png(picture, f'{one}, rank {rank + 1}')}{caption(one, f'{far:.3g}')}</figure>")
        room = f"grid-template-columns: repeat({len(cells)}, minmax(0, 120px)); align-items: start; margin-bottom: 20px"
        rows.append(f'<div class="walk" style="{room}">{"".join(cells)}</div>')
    return "".join(rows)


_FRAME = "outline: 3px solid var(--accent); border-radius: 3px"


def caption(name, far: str = "") -> str:
    small = "font-size: 12px; text-align: center; line-height: 1.3; overflow-wrap: anywhere"
    return f'<figcaption style="{small}" title="{text(name)}"><b>{text(short(name))}</b><br>{far}</figcaption>'


def text_rows(answer: Answer) -> str:
    """A table for each query: rank, id, distance, and the sample where it is a text."""
    parts = []
    for place, row in enumerate(rows_of(answer)[:MOST]):
        said = "" if answer.queries is None else f": {text(answer.queries[place])}"
        cells = [
            [str(rank + 1), text(one), f"{far:.4g}", *([] if answer.found is None else [text(answer.found[place][rank])])]
            for rank, (one, far) in enumerate(zip(row["ids"], row["distances"], strict=True))
        ]
        head = ["", "id", "distance", *([] if answer.found is None else ["sample"])]
        parts.append(f"<h3>{text(row['query'])}{said}</h3>{table(head, cells)}")
    return "".join(parts)
