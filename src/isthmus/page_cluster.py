"""What groups look like: a contact sheet, a page, and a table, a row a sample."""

import copy
import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from . import plots
from .apps.cluster import Clusterer, agreement
from .data import as_array
from .files import file_aside
from .ink import count, header, page, png, section, svg, table, text

TYPICAL, ODD = 9, 6  # samples of a group that are shown: the most typical ones, and those at its edge
SEEN = 5000  # samples on the map, at most


@dataclass
class GroupStudy:
    """The groups of some data, and what is shown of them, computed when first asked for.

    labels : (n,), default None; classes that are known, which take no part in grouping
    names : list of str, default None; of the samples
    seen : pictures (n, height, width[, channels]), default None; of vectors that are pictures
    """

    application: Clusterer
    X: Any
    labels: Any = None
    names: list[str] | None = None
    seen: Any = None

    @cached_property
    def table(self) -> tuple[np.ndarray, list]:
        """Codes, and what each sample is called: by its file or its user, or else by its place."""
        model = copy.copy(self.application.model_).set_output(transform="default")
        if self.names is None and model.schema_.kind in ("interactions", "sequences") and hasattr(self.X, "columns"):
            frame = model.set_output(transform="pandas").transform(self.X)
            return frame.to_numpy(), frame.index.tolist()
        codes = as_array(model.transform(self.X))
        return codes, list(range(len(codes)) if self.names is None else self.names)

    @cached_property
    def codes(self) -> np.ndarray:
        return self.table[0]

    @cached_property
    def placed(self) -> tuple[np.ndarray, np.ndarray]:
        return self.application.placed(self.codes)

    @property
    def groups(self) -> np.ndarray:
        return self.placed[0]

    @property
    def distance(self) -> np.ndarray:
        """Of every code from the mean of its group."""
        return self.placed[1]

    @cached_property
    def sizes(self) -> list[int]:
        return np.bincount(self.groups, minlength=self.application.n_clusters_).tolist()

    @cached_property
    def pictures(self) -> Any:
        """8-bit pictures of all samples, or None where they are none."""
        values = self.seen if self.seen is not None else self.X if self.application.model_.schema_.kind == "images" else None
        if values is None or isinstance(values, list):
            return None
        return values

    def shown(self, places) -> np.ndarray:
        """8-bit pictures of these samples."""
        some = plots.dense(self.pictures[places])
        return plots.pictures(some, limits_of(self.pictures, some))

    def members(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Places of samples of a group: the most typical ones, most typical first, and those at its edge, the oddest last."""
        places = np.flatnonzero(self.groups == group)
        places = places[np.argsort(self.distance[places], kind="stable")]
        return places[:TYPICAL], places[max(TYPICAL, len(places) - ODD) :]

    @cached_property
    def rows(self) -> list[dict]:
        """How far groups agree with the labels: these, and those of k-means on the data themselves, where they are numbers."""
        return [{"method": method, **agreement(found, self.labels)} for method, found in self.groupings()]

    def groupings(self):
        name = {"graph": "the graph of codes", "kmeans": "k-means on codes", "mixture": "a mixture on codes"}
        yield name[self.application.method], self.groups
        values = numbers_of(self.X)
        if values is not None and len(values) >= self.application.n_clusters_:
            k = self.application.n_clusters_
            yield "k-means on the data", KMeans(k, n_init=3, random_state=0).fit_predict(values)

    def lines(self) -> list[str]:
        """What is printed."""
        lines = [f"group {group}: {count(size, 'sample')}" for group, size in enumerate(self.sizes)]
        if self.labels is not None:
            lines += [
                "  ".join([row["method"], *(f"{name} {value:.3f}" for name, value in row.items() if name != "method")])
                for row in self.rows
            ]
        return lines


def limits_of(values, some) -> tuple[float, float]:
    """What is black and white: the type's ends, or those of the samples that are looked at."""
    return plots.limits_of(values) if isinstance(values, np.ndarray) else plots.limits_of(some)


def numbers_of(X) -> np.ndarray | None:
    """(n, numbers) of arrays of complete numbers; None for anything else."""
    values = plots.dense(X) if hasattr(X, "shape") else None
    if values is None or values.dtype.kind not in "fiub" or values.ndim < 2:
        return None
    values = values.reshape(len(values), -1).astype(np.float32)
    return values if np.isfinite(values).all() else None


# --------------------------------------------------------------------------------------------------- writing


def write(study: GroupStudy, path) -> Path:
    """Writes the study as the ending of `path` says: .csv, .npy, .png or .html; as a whole or not at all."""
    path = Path(path)
    content = {".csv": as_table, ".npy": as_numbers, ".png": as_sheet, ".html": as_page}[path.suffix.lower()](study)
    with file_aside(path) as file:
        file.write(content)
    return path


def as_numbers(study: GroupStudy) -> bytes:
    file = io.BytesIO()
    np.save(file, study.groups)
    return file.getvalue()


def as_table(study: GroupStudy) -> bytes:
    """A row a sample: its name or place, its group, and how far its code lies from the group's mean."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    names = study.table[1]
    writer.writerow(["row" if isinstance(names[0], int) else "name", "group", "distance"])
    writer.writerows(zip(names, study.groups.tolist(), (f"{away:.6g}" for away in study.distance), strict=True))
    return file.getvalue().encode()


def as_sheet(study: GroupStudy) -> bytes:
    """A contact sheet: a row a group, typical samples on the left, those at its edge on the right."""
    if study.pictures is None:
        raise ValueError(
            "A contact sheet shows pictures, and these samples are none. Write a page, .html, or a table, .csv; of vectors that "
            "are pictures, say --shape 28,28."
        )
    matplotlib = plots.load_matplotlib()
    groups = [group for group, size in enumerate(study.sizes) if size]
    columns = TYPICAL + 1 + ODD  # with a gap between the two
    figure = matplotlib.figure.Figure(figsize=(columns * 0.55 + 1, 0.6 * len(groups) + 0.5), layout="constrained")
    axes = figure.subplots(len(groups), columns, squeeze=False)
    for row, group in zip(axes, groups, strict=True):
        typical, odd = study.members(group)
        for ax in row:
            ax.set_axis_off()
        pictures = study.shown(np.concatenate([typical, odd]))
        for ax, picture in zip([*row[: len(typical)], *row[columns - len(odd) :]], pictures, strict=True):
            plots.show(ax, picture)
            ax.set_axis_on()
        row[0].set_ylabel(f"{group}: {study.sizes[group]:,}", rotation=0, ha="right", va="center", fontsize="small")
    axes[0][0].set_title("typical", fontsize="small", loc="left")
    axes[0][-1].set_title("at the edge", fontsize="small", loc="right")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------ page


def as_page(study: GroupStudy, title: str | None = None) -> bytes:
    title = text(title or f"{count(len(study.groups), 'sample')} in {count(study.application.n_clusters_, 'group')}")
    sections = [headline(study, title), *(part(study) for part in SECTIONS)]
    return page(title, sections, study.application).encode()


def headline(study: GroupStudy, title: str) -> str:
    application = study.application
    ways = {
        "graph": "Samples with like codes are neighbours. A walk from neighbour to neighbour seldom leaves these groups.",
        "kmeans": "Every sample belongs to the group whose mean code is nearest to its own.",
        "mixture": "Every sample belongs to the Gaussian that most likely made its code.",
    }
    filled = [size for size in study.sizes if size]
    facts = {
        "samples": f"{len(study.groups):,}",
        "groups": f"{application.n_clusters_:,}",
        "in the largest": f"{max(filled):,}",
        "in the smallest": f"{min(filled):,}",
        "numbers in the code": f"{study.codes.shape[1]:,}",
    }
    words = f"{ways[application.method]} Nobody said what the groups are."
    return header(title, words, facts)


def groups_section(study: GroupStudy) -> str:
    lead = "The samples whose codes lie nearest to the mean of their group, and, on the right, those farthest from it."
    shown = [group_of(study, group) for group, size in enumerate(study.sizes) if size]
    return section("The groups", lead, *shown) if any(shown) else ""


def group_of(study: GroupStudy, group: int) -> str:
    """One group's samples: pictures, lines, sentences, or else their names."""
    typical, odd = study.members(group)
    head = f"<h3>Group {group} · {count(study.sizes[group], 'sample')}{commonest(study, group)}</h3>"
    if study.pictures is not None:
        places = np.concatenate([typical, odd])
        cells = [
            f"<figure>{png(picture, f'group {group}, sample {place}')}</figure>"
            for picture, place in zip(study.shown(places), places, strict=True)
        ]
        gap = "<i></i>" * (TYPICAL + 1 - len(typical) + ODD - len(odd))
        row = [*cells[: len(typical)], gap, *cells[len(typical) :]]
        return f'{head}<div class="samples" style="{_ROW}">{"".join(row)}</div>'
    values = lines_of(study)
    if values is not None:
        return f'<div class="samples wide">{lines_cell(values, study, group, head)}</div>'
    if study.application.model_.schema_.kind == "text":
        sentences = "".join(f"<p>{text(study.X[place])}</p>" for place in (*typical[:4], *odd[:2]))
        return f"{head}{sentences}"
    if is_frame(study):
        return ""  # the profile below tells more of rows of a table than some of them would
    names = [f"sample {name}" if isinstance(name, int) else name for name in study.table[1]]
    return f"{head}<p>{', '.join(text(names[place]) for place in (*typical, *odd))}</p>"


_ROW = f"grid-template-columns: repeat({TYPICAL + 1 + ODD}, 1fr); gap: 6px; margin-bottom: 28px"


def commonest(study: GroupStudy, group: int) -> str:
    """The class that most of a group have, where classes are known."""
    if study.labels is None:
        return ""
    names, found = np.unique(as_array(study.labels)[study.groups == group], return_counts=True)
    return f" · {found.max() / found.sum():.0%} are {text(names[found.argmax()])}"


def lines_of(study: GroupStudy) -> np.ndarray | None:
    """Samples as lines, (n, steps): vectors without names of columns, and sequences of one channel and one length."""
    if study.application.model_.schema_.kind not in ("vectors", "sequences") or hasattr(study.X, "columns"):
        return None
    values = numbers_of(study.X)
    return values if values is not None and np.prod(np.shape(study.X)[1:]) == max(np.shape(study.X)[1:]) else None


def lines_cell(values: np.ndarray, study: GroupStudy, group: int, head: str) -> str:
    """Some members of a group as lines, and their mean."""
    places = np.flatnonzero(study.groups == group)
    some = places[np.linspace(0, len(places) - 1, min(30, len(places))).astype(int)]

    def draw(figure):
        ax = figure.subplots()
        ax.plot(values[some].T, color=plots.OTHER, linewidth=0.6, alpha=0.4)
        ax.plot(values[places].mean(0), color=plots.OURS)
        ax.xaxis.get_major_locator().set_params(integer=True)
        plots.bare(ax)

    return f"<figure>{head}{svg(draw, 3.4, 2, f'group {group}: some samples and their mean, as lines')}</figure>"


def is_frame(study: GroupStudy) -> bool:
    """Whether a sample is a row of a frame with named columns."""
    return study.application.model_.schema_.kind in ("vectors", "table") and hasattr(study.X, "columns")


def profile_section(study: GroupStudy) -> str:
    """Of frames, what each column is like in each group: its mean, or its commonest value."""
    if not is_frame(study):
        return ""
    import narwhals as nw

    frame = nw.from_native(study.X, eager_only=True)
    rows = []
    for name in frame.columns:
        cells = frame[name]
        parts = [cells.filter((study.groups == group).tolist()).drop_nulls() for group, size in enumerate(study.sizes) if size]
        rows.append([text(name), profile(cells.drop_nulls()), *map(profile, parts)])
    head = ["", "all", *(f"group {group}" for group, size in enumerate(study.sizes) if size)]
    lead = "The mean of every column in every group, or its commonest value and that value's share."
    return section("What they are like", lead, table(head, rows))


def profile(cells) -> str:
    if not len(cells):
        return "–"
    if cells.dtype.is_numeric():
        return f"{cells.mean():.4g}"
    values, counts = np.unique(np.array([str(cell) for cell in cells.to_list()]), return_counts=True)
    return f"{text(values[counts.argmax()])} {counts.max() / counts.sum():.0%}"


def map_section(study: GroupStudy) -> str:
    """The codes on a plane, coloured by group."""
    codes = study.codes
    if codes.shape[1] < 2 or len(codes) < 3:
        return ""
    some = np.unique(np.linspace(0, len(codes) - 1, SEEN).astype(int))
    plane = codes[some] if codes.shape[1] == 2 else PCA(2, random_state=0).fit_transform(codes[some])
    lead = "The codes of the samples, seen from where they spread most (PCA). Groups that meet here may lie apart in the code."
    drawn = svg(lambda figure: plots.codes(plane, study.groups[some], figure.subplots()), 7, 5, "a map of the codes, by group")
    return section("Where they lie", lead, f'<div class="map">{drawn}</div>')


def number_section(study: GroupStudy) -> str:
    """How stable each number of groups was, where the number was chosen."""
    stable = study.application.stability_
    if not stable:
        return ""

    def draw(figure):
        ax = figure.subplots()
        ax.plot(list(stable), list(stable.values()), color=plots.OURS, marker="o", markersize=4)
        if study.application.n_clusters_ in stable:
            ax.axvline(study.application.n_clusters_, color=plots.OTHER, linewidth=1)
        ax.set(xlabel="groups", ylabel="agreement")
        ax.xaxis.get_major_locator().set_params(integer=True)
        plots.bare(ax)

    lead = "How much alike the groups are that are found in several samples of the data, by their number: 1 where they are the "
    lead += "same, 0 where they agree by chance alone (adjusted Rand index). Of the most stable numbers the largest was taken."
    return section("How many there are", lead, svg(draw, 7, 2.8, "agreement by number of groups"))


def labels_section(study: GroupStudy) -> str:
    """Groups against classes that are known."""
    if study.labels is None:
        return ""
    figures = [[row["method"], *(f"{row[name]:.3f}" for name in ("accuracy", "NMI", "ARI"))] for row in study.rows]
    beside = table(["", "accuracy", "NMI", "ARI"], figures)
    lead = "The data come with labels, which took no part. Accuracy: the share of samples in the right group, where each group "
    lead += "stands for one label; NMI and ARI: agreement of the two, 1 where they are the same."
    names = np.unique(as_array(study.labels))
    if len(names) > 30:
        return section("Beside the labels", lead, beside)
    labels = as_array(study.labels)
    rows = [
        [f"group {group}", *(f"{((study.groups == group) & (labels == name)).sum():,}" for name in names)]
        for group, size in enumerate(study.sizes)
        if size
    ]
    return section("Beside the labels", lead, beside, "<br>", table(["", *map(text, names)], rows))


SECTIONS = (groups_section, profile_section, map_section, number_section, labels_section)
