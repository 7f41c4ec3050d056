"""Sections of the page that tables have in place of pictures and lines."""

import numpy as np

from . import plots
from .ink import section, svg, table, text
from .study import typical
from .study_table import TableStudy


def rows_section(study: TableStudy, most: int = 4) -> str:
    """Some rows, cell by cell, beside what comes out."""
    before, after = study.table(study.X), study.table(study.outputs)
    places = typical(study, most)
    head = ["", *(f"row {place}" for place in places for _ in (0, 1))]
    rows = [
        [text(name), *(part for place in places for part in pair_of(before[name][place], after[name][place]))] for name in before
    ]
    lead = "Rows of the table: on the left of each pair what went in, on the right what the decoder rebuilds from the code; a "
    lead += "dash is a missing cell, and wrong categories are red."
    return section("There and back", lead, table(head, rows, "cells"))


def pair_of(before, after) -> list[str]:
    """A cell as it was and as it is rebuilt."""
    wrong = isinstance(before, str | bool) and before != after
    return [written(before), f'<span class="wrong">{written(after)}</span>' if wrong else written(after)]


def written(cell) -> str:
    if cell is None or cell != cell:  # NaN and NaT differ from themselves
        return "–"
    if isinstance(cell, float | np.floating):
        return f"{cell:.4g}"
    return text(str(cell).removesuffix(" 00:00:00").removesuffix("T00:00:00"))


def columns_section(study: TableStudy) -> str:
    """What is known of every column: from its own cell through the code, and from the others alone."""
    rows = [
        [
            text(one["column"]), one["role"], f"{one['missing']:.1%}", amount(one, "rebuilt"), amount(one, "told"),
            amount(one, "guess"),
        ]
        for one in study.of_columns
    ]  # fmt: skip
    head = ["", "role", "missing", "rebuilt", "told by the others", "a constant guess"]
    lead = "The error of every column: as it is rebuilt; with the column hidden, so that the other columns tell what it is; and "
    lead += "of the mean or the commonest category for all. Numbers and dates: root mean squared error in standard deviations; "
    lead += "booleans and categories: share of wrong cells."
    return section("Columns", lead, table(head, rows))


def amount(one: dict, name: str) -> str:
    value = one[name]
    if value is None:
        return "–"
    written = f"{value:.1%}" if one["role"] in ("boolean", "category") else f"{value:.2f}"
    known = [one[other] for other in ("told", "guess") if one[other] is not None]
    return f'<b class="best">{written}</b>' if name == "told" and value == min(known) < max(known) else written


def errors_section(study: TableStudy) -> str:
    lead = f"Squared error of each row, {study.unit}, and what each column has of it."
    chart = svg(lambda figure: draw_columns(figure, study), 8, 3.2, "Squared error of every column")
    return section("Errors", lead, f"<figure>{chart}</figure>")


def draw_columns(figure, study: TableStudy) -> None:
    ax = figure.subplots()
    places = np.arange(len(study.schema.cells))
    for name, colour, errors, aside in (
        ("autoencoder", plots.OURS, study.errors, -0.2), ("PCA", plots.OTHER, study.pca_errors, 0.2),
    ):  # fmt: skip
        sums = [np.square(errors[:, place]).sum(1).mean() for place in study.schema.places()]
        ax.bar(places + aside, sums, width=0.4, color=colour, label=name)
    names = [cell.name if len(cell.name) < 16 else cell.name[:15] + "…" for cell in study.schema.cells]
    ax.set_xticks(places, names, rotation=45 if len(names) > 6 else 0, ha="right" if len(names) > 6 else "center")
    ax.set_ylabel("squared error")
    ax.legend(frameon=False)
    plots.bare(ax)


def surprises_section(study: TableStudy) -> str:
    """Cells that may be wrong entries."""
    rows = [
        [f"row {one['row']}", text(one["column"]), written(one["holds"]), written(one["expected"]), f"{one['nats']:.3g}"]
        for one in study.surprises()
    ]
    head = ["", "column", "holds", "expected from the other cells", "nats"]
    lead = "The cells that the other cells of their row expect least: wrong entries are among them, and so are rare truths."
    return section("Cells that surprise", lead, table(head, rows))
