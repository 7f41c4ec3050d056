"""What a forecaster says comes next, to look at: lines with intervals, frames beside one another, sentences; and files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .data import Named, save_video
from .data.frames import write_frame
from .data.sequences import write_npz
from .data.text import written_text
from .files import file_aside, refuse_existing
from .ink import count, header, page, png, section, svg, table, text

SHOWN = 12  # samples that a page shows
BEFORE = 4  # horizons of the past that are drawn
MOST_FRAMES = 10  # in a row of a page


@dataclass
class Findings:
    """A forecaster at work on one past.

    forecaster : Forecaster;   X : the past, in one of the forms of `fit`;   horizon : None is the forecaster's own
    """

    forecaster: Any
    X: Any
    horizon_asked: int | None = None

    def __len__(self) -> int:
        return len(self.past)

    @property
    def way(self):
        return self.forecaster.way_

    @property
    def horizon(self) -> int:
        return self.way.horizon if self.horizon_asked is None else self.horizon_asked

    @cached_property
    def past(self) -> Any:
        return self.forecaster.past(self.X)

    @cached_property
    def found(self) -> list:
        """What comes next of each, as `Forecaster.continued` gives it."""
        return self.forecaster.continued(self.past, self.horizon)

    @property
    def said(self) -> str:
        """How much is forecast, in words."""
        of = {"series": ("step", "series"), "video": ("frame", "clips"), "text": ("symbol", "sentences")}.get(self.way.kind)
        if of is None:
            return f"answers to {len(self):,} sentences"
        return f"{count(self.horizon, of[0])} of {len(self):,} {of[1]}"


# ------------------------------------------------------------------------------------------------------ files


def write(found: Findings, path: Path, title: str | None = None, overwrite: bool = False) -> Path:
    """Writes the forecast as the ending says: .html a page, .csv and .parquet a table, .npy, .npz, .mp4, .txt, .jsonl.

    >>> from isthmus.apps import Forecaster
    >>> forecaster = Forecaster({"max_epochs": 2}, horizon=6, window=12, random_state=0).fit(np.sin(np.arange(96.0)))
    >>> write(Findings(forecaster, np.sin(np.arange(90.0))), folder / "next.csv").read_text().splitlines()[0]
    'step,y,y_q10,y_q90'
    """
    refuse_existing(path, overwrite)
    ending = path.suffix.lower()
    if ending == ".html":
        plots.load_matplotlib()
        content = page_of(found, title).encode()
    with file_aside(path) as file:
        if ending == ".html":
            file.write(content)
        elif ending in (".csv", ".parquet"):
            write_frame(file, found.way.as_frame(found.past, found.found), ending)
        elif ending in (".txt", ".jsonl"):
            file.write(written_text(found.way.given_back(found.past, found.found), ending))
        elif ending == ".mp4":
            save_video(file, found.way.films(found.past, found.found), found.past.rate or 10)
        else:
            write_arrays(file, found, ending)
    return path


def write_arrays(file, found: Findings, ending: str) -> None:
    """Medians, or frames: one array where all are of one size; .npz holds an array for each under its name."""
    if found.way.kind == "series":
        given = found.past.given_back([one[..., found.way.middle] for one in found.found])
    else:
        given = found.way.given_back(found.past, found.found)
    if ending == ".npz":
        names = [str(place) for place in range(len(found))] if found.past.names is None else [*map(str, found.past.names)]
        write_npz(file, Named([given] if found.past.alone else given, names))
    else:
        np.save(file, np.asarray(given))


# ------------------------------------------------------------------------------------------------------- page


def page_of(found: Findings, title: str | None) -> str:
    title = text(title or (f"The next {found.said}" if found.way.kind != "answers" else found.said.capitalize()))
    parts = [headline(found, title), next_section(found), comparison_section(found)]
    return page(title, parts, found.forecaster)


def headline(found: Findings, title: str) -> str:
    forecaster, way = found.forecaster, found.way
    facts = {"horizon": f"{found.horizon:,}", "made by": forecaster.method_.replace("_", " ")}
    if way.kind == "series":
        facts |= {"season": f"{way.season:,}" if way.season > 1 else "none", "windows": ", ".join(map(str, way.window))}
    else:
        facts |= {"window": f"{way.window:,}"}
    words = f"The model was trained to say what the next {count(way.horizon, way.step)} are, from those before."
    if way.kind == "answers":
        facts, words = {"sentences": f"{len(found):,}"}, "The model was trained to answer sentences."
    if found.horizon > way.horizon:
        words += " Further ones follow from forecasts as the past: their intervals are too narrow." * (way.kind == "series")
    return header(title, words, facts)


def next_section(found: Findings) -> str:
    return {"series": series_section, "video": frames_section, "text": text_section, "answers": text_section}[found.way.kind](
        found
    )


def series_section(found: Findings) -> str:
    low, high = (f"{100 * found.way.quantiles[place]:g}\u202f%" for place in (0, -1))
    lead = f"The past in orange, the median forecast in blue, and the band from the {low} to the {high} quantile."
    cells: list[str] = []
    for place in range(min(len(found), SHOWN)):
        for channel in range(found.past.values[place].shape[1]):
            if len(cells) < SHOWN:
                cells.append(series_cell(found, place, channel))
    return section("What comes next", lead, f'<div class="samples wide">{"".join(cells)}</div>')


def series_cell(found: Findings, place: int, channel: int) -> str:
    past = found.past.values[place][:, channel]
    later = found.found[place][:, channel]
    shown = past[-max(BEFORE * found.horizon, 24) :]

    def draw(figure):
        ax = figure.subplots()
        steps = np.arange(len(past) - len(shown), len(past))
        ahead = np.arange(len(past), len(past) + len(later))
        ax.plot(steps, shown, color=plots.OTHER)
        ax.fill_between(ahead, later[:, 0], later[:, -1], color=plots.OURS, alpha=0.25, linewidth=0)
        ax.plot(ahead, later[:, found.way.middle], color=plots.OURS)
        plots.bare(ax)

    names = found.past.channels
    called = found.past.called(place).strip("'") if len(found) > 1 else ""
    words = " ".join(part for part in (called, "" if names is None else names[channel]) if part)
    chart = svg(draw, 3.4, 2.2, f"forecast of series {place}, channel {channel}")
    return f"<figure>{chart}<figcaption>{text(words)}</figcaption></figure>"


def frames_section(found: Findings) -> str:
    lead = "Above the last frames of the past, below those that are forecast, from left to right."
    rows = []
    for place in range(min(len(found), SHOWN)):
        past, later = found.way.shown(found.past, place), np.asarray(found.found[place])
        cells = [strip(one, what, f"clip {place}, {what}") for one, what in ((past, "past"), (later, "next"))]
        rows.append(f"<figure>{''.join(cells)}<figcaption>{text(found.past.called(place))}</figcaption></figure>")
    return section("What comes next", lead, f'<div class="one">{"".join(rows)}</div>')


def strip(frames: np.ndarray, label: str, alt: str) -> str:
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))]
    pictures: Any = plots.pictures(chosen, plots.limits_of(chosen), None)
    shown = "".join(png(one, f"{alt} {place}") for place, one in enumerate(pictures))
    return f'<div class="walk" style="grid-template-columns: 44px repeat({MOST_FRAMES}, 1fr)"><b>{label}</b>{shown}</div>'


def text_section(found: Findings) -> str:
    later = found.way.given_back(found.past, found.found)
    rows = [[text(found.past.said(place)[-60:]), text(found.way.spoken(later[place]))] for place in range(min(len(found), 40))]
    return section("What comes next", "On the left the past, on the right what follows.", table(["", "next"], rows, "cells"))


def comparison_section(found: Findings) -> str:
    rows = found.forecaster.comparison_
    if not rows:
        return section("Compared", "Nothing was held out in fit, so nothing was compared.")
    best, names = min(row["error"] for row in rows), [name for name in rows[0] if name != "method"]
    head = {"error": found.way.unit, "smape": "sMAPE, %", "inside": "inside the interval"}
    cells = []
    for row in rows:
        figures = [f"{row[name]:.0%}" if name == "inside" else f"{row[name]:.4g}" for name in names]
        figures[0] = f'<b class="best">{figures[0]}</b>' if row["error"] == best else figures[0]
        cells.append([text(row["method"].replace("_", " ")), *figures])
    lead = "On what was held out in fit, which nothing was learnt from; of the error less is better."
    return section("Compared", lead, table(["", *(head.get(name, name) for name in names)], cells))
