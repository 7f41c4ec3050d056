"""The page of a generator: new pictures beside the nearest of those it learnt from, how near they are, ways and edits."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import plots
from .apps.generate import Generator, novelty
from .data import open_data
from .ink import count, header, page, png, section, svg, text
from .page import training_section
from .report import write_page

NEW, WAYS, STEPS, EDITED = 32, 4, 8, 8  # pictures that are shown
MEASURED = 1000  # new pictures, and unseen ones
STRENGTHS = (-1.0, 0.0, 1.0)


def write(study: "Novelty", path, title: str | None = None, overwrite: bool = False) -> Path:
    """One HTML file that needs nothing else.

    >>> generator = Generator({"max_epochs": 1}, random_state=0).fit(images)
    >>> write(Novelty(generator, images), folder / "new.html").name
    'new.html'
    """
    return write_page(lambda: page_of(study, title), path, overwrite)


@dataclass
class Novelty:
    """What the page is made of, computed when first asked for.

    X : pictures that were not there in `fit`; in their midst ways are shown, and new pictures are measured beside them
    """

    generator: Generator
    X: Any
    seed: int = 0

    @cached_property
    def unseen(self) -> np.ndarray:
        X = self.generator.prepared(open_data(self.X, "images")[0])
        return X[np.unique(np.linspace(0, len(X) - 1, min(len(X), MEASURED)).round().astype(int))]

    @cached_property
    def new(self) -> np.ndarray:
        return self.generator.sample(max(NEW, len(self.unseen)), random_state=self.seed)

    @cached_property
    def away(self) -> tuple[np.ndarray, np.ndarray]:
        """How far new pictures, and unseen ones, are from the nearest that was learnt from."""
        return self.generator.nearest(self.new)[2], self.generator.nearest(self.unseen)[2]

    @cached_property
    def figures(self) -> dict[str, float]:
        """Those of `Generator.evaluate`."""
        return novelty(*self.away)

    def drawn(self, pictures: np.ndarray) -> Any:
        """8-bit pictures, all in one range."""
        limits = (0, 255) if pictures.dtype == np.uint8 else plots.limits_of(self.generator.pictures_)
        return plots.pictures(pictures, limits)


# ------------------------------------------------------------------------------------------------------- page


def page_of(study: Novelty, title: str | None = None) -> str:
    title = text(title or f"{NEW} new pictures")
    told: Any = SimpleNamespace(model=study.generator.model_)  # all that this section looks at
    parts = [headline(study, title), new_section(study), near_section(study), *ways_sections(study)]
    parts += [edits_section(study, name) for name in study.generator.attributes_]
    return page(title, [*parts, training_section(told)], study.generator)


def headline(study: Novelty, title: str) -> str:
    figures, (height, width) = study.figures, study.generator.size_
    facts = {
        "pixels": f"{height} × {width}",
        "numbers in a code": f"{study.generator.model_.n_components_:,}",
        "from a new picture to the nearest learnt from": f"{figures['new']:.3f}",
        "from an unseen picture to the nearest learnt from": f"{figures['unseen']:.3f}",
        "of new pictures are copies": f"{figures['copies']:.1%}",
    }
    learnt = count(len(study.generator.pictures_), "picture")
    words = (
        f"Codes were drawn from the prior and decoded. Each new picture is held against {learnt} of those that were learnt from: "
        "root mean squared difference of pixels from 0 to 1, medians. A copy is nearer than all but 1 % of the unseen pictures "
        "are, so that about 1 % is what nothing learnt by heart would give."
    )
    return header(title, words, facts)


def new_section(study: Novelty) -> str:
    new = study.new[:NEW]
    beside, places, away = study.generator.nearest(new)
    pairs = zip(study.drawn(new), study.drawn(beside), places, away, strict=True)
    cells = "".join(
        f"<figure>{png(one, f'new picture {number}')}{png(other, f'picture {place} of those learnt from')}"
        f"<figcaption>{far:.3f}</figcaption></figure>"
        for number, (one, other, place, far) in enumerate(pairs)
    )
    lead = "Above what is new, below the nearest of those learnt from, and how far it is."
    return section("New, and what they are nearest to", lead, f'<div class="samples">{cells}</div>')


def near_section(study: Novelty) -> str:
    drawing = svg(lambda figure: draw_distances(figure, study), 7, 3, "Distances to the nearest picture that was learnt from")
    lead = (
        "Where new pictures lie far to the left of unseen ones, the generator repeats what it was shown; far to the right, they "
    )
    lead += "are like nothing that it was shown."
    return section("How near", lead, f'<div class="one">{drawing}</div>')


def draw_distances(figure, study: Novelty) -> None:
    ax, (new, unseen) = figure.subplots(), study.away
    edges = np.linspace(0, max(new.max(), unseen.max()) * 1.02 or 1, 41)
    for values, colour, name in ((unseen, plots.OTHER, "unseen pictures"), (new, plots.OURS, "new pictures")):
        ax.stairs(np.histogram(values, edges)[0] / len(values), edges, color=colour, label=name, linewidth=1.5)
    ax.set_xlabel("difference from the nearest picture learnt from")
    ax.set_ylabel("share")
    plots.bare(ax)
    ax.legend(frameon=False)


def ways_sections(study: Novelty) -> list[str]:
    ways = min(WAYS, len(study.unseen) // 2)
    if not ways:
        return []
    begin, end = study.unseen[:ways], study.unseen[-ways:]
    steps = study.generator.interpolate(begin, end, STEPS).reshape(ways, STEPS, *begin.shape[1:])
    rows = []
    for place in range(ways):
        shown = study.drawn(np.concatenate([begin[[place]], steps[place], end[[place]]]))
        rows.append("".join(f"<figure>{png(one, f'way {place}, step {step}')}</figure>" for step, one in enumerate(shown)))
    lead = "The first and the last of a row are unseen pictures as they are; between them the way through the code."
    return [section("From one to another", lead, *(f'<div class="samples row">{row}</div>' for row in rows))]


def edits_section(study: Novelty, attribute: str) -> str:
    some = study.unseen[:EDITED]
    edited = [study.drawn(study.generator.edit(some, attribute, strength)) for strength in STRENGTHS]
    columns = zip(study.drawn(some), *edited, strict=True)
    cells = "".join(f"<figure>{''.join(png(one, attribute) for one in column)}</figure>" for column in columns)
    lead = (
        f"Above unseen pictures as they are; below them with less of it, as the model rebuilds them, and with more: {STRENGTHS}."
    )
    return section(f"Edited: {text(attribute)}", lead, f'<div class="samples">{cells}</div>')
