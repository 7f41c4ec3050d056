"""The page about outliers: the scores with their threshold, the oddest and the most ordinary samples, and where they are odd."""

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from . import plots
from .data import as_array, open_data
from .files import file_aside, refuse_existing
from .ink import count, header, page, png, section, svg, table, text
from .report import write_page

SHOWN = 12  # samples of either end
TOLD = 3  # features of a sample that are named
FULL = 4.0  # times the usual error: where this or more is the largest of a picture, it is full red


@dataclass
class Findings:
    """What a detector says of some samples, computed when first asked for.

    labels : (n,) True for those known to be outliers, or None;   shape : of a row that is a picture;   names : of the samples
    train : what the detector was fitted to, or None; with labels, simpler methods are then put beside it
    """

    detector: Any
    X: Any
    labels: Any = None
    names: list[str] | None = None
    shape: tuple | None = None
    train: Any = None

    def __post_init__(self):
        self.X = open_data(self.X, self.model.schema_.kind, **self.model.schema_.reading)[0]
        if self.labels is not None:
            self.labels = as_outliers(self.labels, len(self.scores))

    @property
    def model(self):
        return self.detector.model_

    @cached_property
    def distances(self) -> dict[str, np.ndarray]:
        return self.detector.distances(self.X)

    @cached_property
    def scores(self) -> np.ndarray:
        return self.detector.score_samples(self.X)

    @cached_property
    def outlier(self) -> np.ndarray:
        return self.scores < self.detector.offset_

    @cached_property
    def beside(self) -> dict[str, float]:
        """The area under the ROC curve of the detector, and of simpler methods on the raw data, by name."""
        areas = {"the detector": roc_auc_score(self.labels, -self.scores)}
        if self.train is None or self.detector.spread_ is None:
            return areas
        train = rows_of(open_data(self.train, self.model.schema_.kind, **self.model.schema_.reading)[0])
        scaler = StandardScaler().fit(train)
        known, new = scaler.transform(train), scaler.transform(rows_of(self.X))
        pca = PCA(0.9, svd_solver="full").fit(known)
        scores = {
            "distance to five neighbours": NearestNeighbors(n_neighbors=5).fit(known).kneighbors(new)[0].mean(1),
            "error of PCA, 90 % of the variance": np.square(new - pca.inverse_transform(pca.transform(new))).sum(1),
            "isolation forest": -IsolationForest(random_state=0).fit(known).score_samples(new),
        }
        return areas | {name: roc_auc_score(self.labels, values) for name, values in scores.items()}

    @cached_property
    def order(self) -> np.ndarray:
        """Places, the oddest first."""
        return np.argsort(self.scores, kind="stable")

    def name(self, place: int) -> str:
        return str(place) if self.names is None else self.names[place]

    def some(self, places) -> Any:
        from .apps.detect import taken

        return taken(self.X, np.asarray(places))

    @property
    def is_picture(self) -> bool:
        return self.model.schema_.kind == "images" or self.shape is not None

    @property
    def explains(self) -> bool:
        return self.model.schema_.kind == "table" or self.detector.spread_ is not None


def rows_of(X) -> np.ndarray:
    """Samples of one size as rows of numbers."""
    values = np.asarray(plots.dense(X), np.float64)
    return values.reshape(len(values), -1)


def as_outliers(labels, samples: int) -> np.ndarray:
    """Labels as True for outliers: of 0 and 1 the ones, of 1 and -1 the minus ones, as scikit-learn has them."""
    found = np.asarray(as_array(labels)).reshape(-1)
    values = set(np.unique(found).tolist())
    if found.shape != (samples,) or not (values <= {0, 1} or values <= {-1, 1}):
        raise ValueError(
            f"labels must say of each of the {samples} samples whether it is an outlier: 1 or 0, True or False, or -1 for "
            f"outliers and 1 for others. Got {len(found)} labels with the values {sorted(values)[:5]}."
        )
    return found == (-1 if -1 in values else 1)


# ------------------------------------------------------------------------------------------------------ files


def write_scores(found: Findings, path: Path, overwrite: bool = False) -> Path:
    """The score of every sample: .npy, (n,), as `score_samples` gives it, or .csv with a row a sample."""
    refuse_existing(path, overwrite)
    with file_aside(path) as file:
        if path.suffix.lower() == ".npy":
            np.save(file, found.scores)
        else:
            file.write(as_csv(found).encode())
    return path


def as_csv(found: Findings) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["name", "score", "outlier", *found.distances])
    for place, score in enumerate(found.scores.tolist()):
        parts = [f"{values[place]:.6g}" for values in found.distances.values()]
        writer.writerow([found.name(place), f"{score:.6g}", int(found.outlier[place]), *parts])
    return lines.getvalue()


def write(found: Findings, path: Path, title: str | None = None, overwrite: bool = False) -> Path:
    """One HTML file that needs nothing else.

    >>> from isthmus.apps import OutlierDetector
    >>> detector = OutlierDetector({"max_epochs": 5}, random_state=0).fit(X)
    >>> write(Findings(detector, X, shape=(8, 8)), folder / "outliers.html").name
    'outliers.html'
    """
    return write_page(lambda: page_of(found, title), path, overwrite)


# ------------------------------------------------------------------------------------------------------- page


def page_of(found: Findings, title: str | None) -> str:
    title = text(title or f"{count(int(found.outlier.sum()), 'outlier')} among {len(found.scores):,}")
    parts = [headline(found, title), scores_section(found), samples_section(found), respects_section(found)]
    return page(title, parts, found.detector)


def headline(found: Findings, title: str) -> str:
    detector, share = found.detector, found.outlier.mean()
    facts = {
        "samples": f"{len(found.scores):,}",
        "outliers": f"{found.outlier.sum():,}",
        "of the samples": f"{share:.1%}",
        "threshold": f"{detector.offset_:.3g}",
    }
    if found.labels is not None:
        facts["AUROC"] = (
            "–" if found.labels.all() or not found.labels.any() else f"{roc_auc_score(found.labels, -found.scores):.1%}"
        )
    words = (
        "A sample is an outlier where its score lies below the threshold: the model rebuilds it badly, or its code lies where "
    )
    words += f"few others do. {promise(detector)}"
    return header(title, words, facts)


def promise(detector) -> str:
    """What the threshold means."""
    if detector.contamination == "auto":
        return f"Of samples like those in fit, {detector.false_alarms:.0%} or fewer lie below it, in expectation."
    return f"In fit, {detector.contamination:.1%} of the samples lay below it."


def scores_section(found: Findings) -> str:
    histogram = svg(lambda figure: draw_scores(figure, found), 5, 3.4, "Histogram of the scores")
    lead = "About 0 for ordinary samples; the further below, the odder. The line is the threshold."
    if found.labels is None or found.labels.all() or not found.labels.any():
        return section("Scores", lead, f'<div class="two"><figure>{histogram}</figure></div>')
    known = found.labels
    caught, alarms = found.outlier[known].mean(), found.outlier[~known].mean()
    lead += f" It finds {caught:.1%} of the known outliers, and raises {alarms:.1%} of false alarms among the others."
    curve = svg(lambda figure: draw_roc(figure, found), 5, 3.4, "Receiver operating characteristic")
    drawn = f'<div class="two"><figure>{histogram}</figure><figure>{curve}</figure></div>'
    best = max(found.beside.values())
    rows = [[name, f'<b class="best">{area:.1%}</b>' if area == best else f"{area:.1%}"] for name, area in found.beside.items()]
    return section("Scores", lead, drawn, table(["", "AUROC"], rows) if len(rows) > 1 else "")


def draw_scores(figure, found: Findings) -> None:
    ax, scores = figure.subplots(), found.scores
    low, high = min(scores.min(), found.detector.offset_), scores.max()
    if low < -20:  # a few are far off
        ax.set_xscale("symlog", linthresh=1)
        low, high = (np.sign(end) * np.log1p(abs(end)) for end in (low, high))
        edges = np.linspace(low, high, 41)
        edges = np.sign(edges) * np.expm1(np.abs(edges))
    else:
        edges = np.linspace(low, high + 1e-9, 41)
    groups = [("", plots.OURS, np.ones(len(scores), bool))]
    if found.labels is not None:
        groups = [("others", plots.OURS, ~found.labels), ("known outliers", plots.OTHER, found.labels)]
    for name, colour, chosen in groups:
        ax.hist(scores[chosen], edges, histtype="stepfilled", color=colour, alpha=0.35)
        ax.hist(scores[chosen], edges, histtype="step", color=colour, label=name)
    ax.axvline(found.detector.offset_, color="#bd1f01", linewidth=1)
    ax.set(xlabel="score", ylabel="samples")
    if found.labels is not None:
        ax.legend(frameon=False)
    plots.bare(ax)


def draw_roc(figure, found: Findings) -> None:
    ax = figure.subplots()
    alarms, caught, _ = roc_curve(found.labels, -found.scores)
    area = roc_auc_score(found.labels, -found.scores)
    ax.plot(alarms, caught, color=plots.OURS, label=f"the detector, area {area:.3f}")
    ax.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=0.8, label="chance, 0.5")
    ax.plot(found.outlier[~found.labels].mean(), found.outlier[found.labels].mean(), "o", color="#bd1f01", markersize=4)
    ax.set(xlabel="false alarms", ylabel="outliers found")
    ax.legend(frameon=False, loc="lower right")
    plots.bare(ax)


def samples_section(found: Findings) -> str:
    ends = {"Oddest": found.order[:SHOWN].tolist(), "Most ordinary": found.order[::-1][:SHOWN].tolist()}
    if not found.explains:
        lead = "Samples at both ends of the scores."
        return section("The oddest and the most ordinary", lead, *(plain_samples(found, *end) for end in ends.items()))
    if found.is_picture:
        lead = (
            "Above the sample, below where its error is larger than usual there; full red is the largest of the sample, where it "
        )
        lead += f"is {FULL:.0f} times the usual or more."
        shown = "".join(f"<div><h3>{name}</h3>{picture_grid(found, places)}</div>" for name, places in ends.items())
        return section("The oddest and the most ordinary", lead, f'<div class="two">{shown}</div>')
    unit = "in nats" if found.model.schema_.kind == "table" else "in units of the squared error that is usual there"
    lead = f"Of each sample the features that are oddest, {unit}, with what the sample holds."
    return section("The oddest and the most ordinary", lead, *(feature_rows(found, *end) for end in ends.items()))


def picture_grid(found: Findings, places: list[int]) -> str:
    samples: Any = plots.dense(found.some(places))
    images: Any = plots.pictures(samples, plots.limits_of(samples), found.shape)
    odd: Any = np.sqrt(found.detector.explain(found.some(places))).reshape(len(places), *(found.shape or samples.shape[1:]))
    odd = odd.mean(-1) if odd.ndim == 4 else odd
    cells = [
        f"<figure>{png(image, f'sample {found.name(place)}')}{png(tinted(where), f'where {found.name(place)} is odd')}"
        f"<figcaption>{text(found.name(place))}<br>{short(found.scores[place])}{known(found, place)}</figcaption></figure>"
        for image, where, place in zip(images, odd, places, strict=True)
    ]
    return f'<div class="samples">{"".join(cells)}</div>'


def tinted(values: np.ndarray) -> np.ndarray:
    """How far errors are beyond the usual, as red of that opacity."""
    beyond = np.maximum(values - 1, 0)
    opacity = beyond / max(beyond.max(), FULL) * 255
    colour = np.broadcast_to(plots.BRIGHTER, (*values.shape, 3))
    return np.concatenate([colour, opacity[..., None].round()], -1).astype(np.uint8)


def known(found: Findings, place: int) -> str:
    """Whether it is known to be an outlier."""
    return ' <b class="wrong">outlier</b>' if found.labels is not None and found.labels[place] else ""


def feature_rows(found: Findings, heading: str, places: list[int]) -> str:
    odd = np.asarray(found.detector.explain(found.some(places))).reshape(len(places), -1)
    names, cells = names_of(found.model, odd.shape[1]), cells_of(found, places)
    rows = []
    for sample, place, values in zip(range(len(places)), places, odd, strict=True):
        first = np.argsort(-values, kind="stable")[:TOLD].tolist()
        told = [f"{text(names[at])} {written(cells[at][sample])} <b>{short(values[at])}</b>" for at in first]
        rows.append([text(found.name(place)), short(found.scores[place]) + known(found, place), *told])
    head = ["", "score", *(["feature, what it holds, <b>how odd</b>"] + [""] * (TOLD - 1))[: len(rows[0]) - 2]]
    return f"<h3>{heading}</h3>" + table(head, rows, "cells")


def plain_samples(found: Findings, heading: str, places: list[int]) -> str:
    """Samples by name and, where they are text, by what they say."""
    says = found.some(places) if found.model.schema_.kind == "text" else [""] * len(places)
    rows = [
        [text(found.name(p)), short(found.scores[p]) + known(found, p), text(str(say)[:80])]
        for p, say in zip(places, says, strict=True)
    ]
    return f"<h3>{heading}</h3>" + table(["", "score", ""], rows)


def names_of(model, features: int) -> list[str]:
    """What each feature is called."""
    if model.schema_.kind == "table":
        return [cell.name for cell in model.schema_.cells]
    names = getattr(model, "feature_names_in_", None)
    return [str(name) for name in names] if names is not None and len(names) == features else [f"x{at}" for at in range(features)]


def cells_of(found: Findings, places: list[int]) -> list[list]:
    """What some samples hold, a list for each feature."""
    some = found.some(places)
    if found.model.schema_.kind == "table":
        frame = nw.from_native(some, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            return [frame[name].to_list() for name in frame.columns]
    return np.asarray(plots.dense(some)).reshape(len(places), -1).T.tolist()


def short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def written(cell) -> str:
    if cell is None or cell != cell:  # NaN differs from itself
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else text(cell)


def respects_section(found: Findings) -> str:
    """In what respect the oddest samples are odd."""
    names = list(found.distances)
    rows = [
        [text(found.name(place)), *(short(found.distances[name][place]) for name in names), short(found.scores[place])]
        for place in found.order[:SHOWN].tolist()
    ]
    lead = "What the score joins: 0 is the median of ordinary samples, 1 what 95 % of them stay below. "
    lead += "A sample of another kind is rebuilt badly; a rare one lies far from its neighbours, and a far one from all codes."
    return section("In what respect", lead, table(["", *names, "score"], rows))
