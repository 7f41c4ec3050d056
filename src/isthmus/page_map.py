"""The page of a map: the map itself, its measures beside those of PCA and UMAP, and what is decoded at its places."""

import base64
import io
import json
import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA

from . import plots
from .apps.map import MOST, Map, measures_of, neighbour_accuracy, spread
from .data import as_array
from .information import features
from .ink import count, header, page, section, svg, table, text
from .report import write_page

GRID = 16  # places along an axis where the map is decoded
COLUMNS = {"trustworthiness": "trustworthiness", "continuity": "continuity", "accuracy": "5-NN accuracy", "ms": "ms a point"}


def write_map(
    placed: Map, X, path, *, y=None, train=None, train_y=None, title=None, shape=None, beside=("PCA", "UMAP"), overwrite=False,
) -> Path:  # fmt: skip
    """Writes a page about the map of `X` to `path`, one HTML file that needs nothing else.

    Parameters
    ----------
    placed : fitted Map
    X : data as the map was trained on, best unseen; of more than 5,000 samples so many are shown, evenly spread
    y : (n_samples,), default None; classes, or measurements, that colour the points and take no part in anything else
    train, train_y : default None; what the map was trained on. PCA and UMAP are fitted on it, else on X itself
    title : str, default None; the headline
    shape : tuple, default None; for vectors that are pictures: (height, width) or (height, width, channels)
    beside : names of what is shown besides, of PCA and UMAP; UMAP only where it is installed, pip install "isthmus[bench]"
    overwrite : bool, default False; replace a file that is there

    >>> from isthmus.apps import Map
    >>> write_map(Map({"max_epochs": 1}).fit(X), X, folder / "map.html", title="Digits", beside=("PCA",)).name
    'map.html'
    """
    return write_study(MapStudy(placed, X, y, train, train_y, shape, beside), path, title, overwrite)


def write_study(study: "MapStudy", path, title=None, overwrite=False) -> Path:
    """`write_map` for a `MapStudy` that is at hand; its `rows` are those of the page, and nothing is computed twice."""
    return write_page(lambda: page_of(study, title), path, overwrite)


# ------------------------------------------------------------------------------------------------- what there is


@dataclass
class MapStudy:
    """What the page is made of, computed when first asked for; each of up to 5,000 samples."""

    placed: Map
    X: Any
    y: Any = None
    train: Any = None
    train_y: Any = None
    shape: tuple | None = None
    beside: tuple = ("PCA", "UMAP")

    @cached_property
    def known(self) -> tuple:
        """Numbers, places and labels of the samples."""
        return self.looked_at(self.X, self.y)

    @cached_property
    def learnt(self) -> tuple:
        """Likewise of what others are fitted on: the training data, or else the samples themselves."""
        return self.known if self.train is None else self.looked_at(self.train, self.train_y)

    def looked_at(self, X, y) -> tuple:
        labels = None if y is None else plots.plain_labels(y)
        return tuple(spread(MOST, features(self.placed.model_, X), as_array(self.placed.transform(X)), labels))

    @cached_property
    def rows(self) -> list[dict]:
        """The map, PCA, and UMAP where it is installed: method, trustworthiness, continuity, accuracy, ms."""
        few = self.X[:1000] if hasattr(self.X, "__getitem__") and not hasattr(self.X, "columns") else self.X
        began = time.perf_counter()
        size = len(self.placed.transform(few))
        seconds = (time.perf_counter() - began) / size * len(self.known[0])
        return [
            self.row("this map", self.known[1], self.learnt[1], seconds),
            *(self.row(name, *found) for name, found in self.others.items()),
        ]

    @cached_property
    def others(self) -> dict[str, tuple]:
        """By name what others make of the samples: their places, those of the training data, and the seconds it took."""
        values, learnt = self.known[0], self.learnt[0]
        components = min(self.known[1].shape[1], *learnt.shape)
        known = {"PCA": by_pca} | ({"UMAP": by_umap} if umap_class() is not None else {})
        return {name: known[name](learnt, values, components) for name in self.beside if name in known}

    def row(self, method: str, places, train_places, seconds: float) -> dict:
        return {
            "method": method, **measures_of(self.known[0], places), "accuracy": self.accuracy(places, train_places),
            "ms": 1000 * seconds / len(places),
        }  # fmt: skip

    def accuracy(self, places, train_places) -> float | None:
        """Of five neighbours among the training samples, or the others; None without labels of classes."""
        labels, train_labels = self.known[2], self.learnt[2]
        if labels is None or labels.dtype.kind == "f" or len(labels) < 6:
            return None
        if self.train is None or train_labels is None:
            return neighbour_accuracy(places, labels)
        return neighbour_accuracy(places, labels, train_places, train_labels)


def by_pca(learnt, values, components: int) -> tuple:
    plane = PCA(components, random_state=0).fit(learnt)
    began = time.perf_counter()
    places = plane.transform(values)
    return places, plane.transform(learnt), time.perf_counter() - began


def by_umap(learnt, values, components: int) -> tuple:
    """New samples by `transform`; where there are none, the map that UMAP was fitted to."""
    with warnings.catch_warnings(action="ignore"):  # it tells that a seed costs it its threads, and of few samples
        made = umap_class()(n_components=components, random_state=0, n_neighbors=min(15, len(learnt) - 1))
        began = time.perf_counter()
        train = made.fit_transform(learnt)
        if values is not learnt:
            began = time.perf_counter()
        places = train if values is learnt else made.transform(values)
    return places, train, time.perf_counter() - began


def umap_class():
    """UMAP's class; None where it is not installed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            from umap import UMAP
    except ImportError:
        return None
    return UMAP


# -------------------------------------------------------------------------------------------------------- page


def page_of(study: MapStudy, title: str | None) -> str:
    title = text(title or f"A map of {count(len(study.known[0]), 'sample')}")
    sections = [headline(study, title), map_section(study), measures_section(study), decoded_section(study)]
    return page(title, sections, study.placed.model_)


def headline(study: MapStudy, title: str) -> str:
    model = study.placed.model_
    facts = {
        "samples shown": f"{len(study.known[0]):,}",
        "numbers a sample": f"{model.schema_.size:,}",
        "numbers on the map": f"{model.n_components_}",
        "epochs": f"{model.n_iter_:,}",
    }
    words = "An encoder gives every sample its place, and a new one lands without moving the others; a decoder says what lies at "
    words += "any place. No label took part."
    return header(title, words, facts)


def map_section(study: MapStudy) -> str:
    places, labels = study.known[1], study.known[2]
    lead = "Every point is a sample." + ("" if labels is None else " Its colour is its label, which the map was not told.")
    if places.shape[1] == 2:
        chart = svg(lambda figure: plots.codes(places, labels, figure.subplots()), 9, 8, "The map")
        return section("The map", lead, f'<figure class="map">{chart}</figure>')
    sides = "".join(f'<figure class="map">{chart}</figure>' for chart in (side(places, labels, turn) for turn in (-60, 30)))
    return section("The map", lead + " Drag to turn it.", turning(places, labels), f'<div class="two">{sides}</div>')


def side(places, labels, turn: float) -> str:
    """A map of three numbers, drawn from one side."""

    def draw(figure):
        plots.codes(places, labels, figure.add_subplot(projection="3d")).view_init(azim=turn)

    return svg(draw, 5, 5, f"The map, from {turn} degrees")


def turning(places, labels) -> str:
    """A map of three numbers that the reader can turn; without a script nothing is there, and the sides below stay."""
    middle = (places.max(0) + places.min(0)) / 2
    numbers = np.rint((places - middle) / (np.abs(places - middle).max() or 1) * 999).astype(int)
    colours = [plots.OURS] * len(places) if labels is None else colours_of(labels)
    known = sorted(set(colours))
    index = [known.index(colour) for colour in colours]
    data = json.dumps({"p": numbers.ravel().tolist(), "c": index, "k": known}, separators=(",", ":"))
    script = files(__package__).joinpath("turning.js").read_text(encoding="utf-8")
    canvas = '<canvas id="turning" aria-label="The map, which can be turned"></canvas>'
    return f"{canvas}<script>const map = {data};\n{script}</script>"


def colours_of(labels) -> list[str]:
    """A colour for each label: one a class, or, of measurements, sixteen shades from low to high."""
    if labels.dtype.kind != "f":
        return [plots.PALETTE[i % len(plots.PALETTE)] for i in np.unique(labels, return_inverse=True)[1]]
    matplotlib = plots.load_matplotlib()
    low, high = np.nanmin(labels), np.nanmax(labels)
    shades = np.floor((labels - low) / ((high - low) or 1) * 15.99) / 15
    return [matplotlib.colors.to_hex(colour) for colour in matplotlib.colormaps["viridis"](shades)]


def measures_section(study: MapStudy) -> str:
    rows = study.rows
    shown = [name for name in COLUMNS if rows[0][name] is not None]
    body = [[row["method"], *(cell(rows, row, name) for name in shown)] for row in rows]
    notes = [
        "Trustworthiness: how far neighbours on the map are neighbours in the data; continuity: how far neighbours in the data "
        "are neighbours on the map. Both in [0, 1], with 12 neighbours."
    ]
    if "accuracy" in shown:
        where = "training samples" if study.train is not None and study.train_y is not None else "other samples"
        notes.append(f"5-NN accuracy: how often the five nearest {where} vote for the label.")
    if study.train is None:
        notes.append("The others were fitted to these very samples, which flatters them, and they may have trained the map too.")
    figures = "".join(beside(name, places, study.known[2]) for name, (places, _, _) in study.others.items())
    return section(
        "Beside others", verdict(rows), table(["", *(COLUMNS[name] for name in shown)], body),
        f'<p class="note">{" ".join(notes)}</p><div class="two others">{figures}</div>',
    )  # fmt: skip


def beside(name: str, places, labels) -> str:
    """What another method makes of the samples, as a small map."""
    solid = places.shape[1] == 3
    chart = svg(
        lambda figure: plots.codes(places, labels, figure.add_subplot(projection="3d" if solid else None)), 5, 5, f"Map: {name}"
    )
    return f'<figure class="map">{chart}<figcaption><b>{name}</b></figcaption></figure>'


def cell(rows: list[dict], row: dict, name: str) -> str:
    """A figure, marked where it is the best of its column."""
    words = f"{row[name]:.3g}" if name == "ms" else f"{row[name]:.1%}" if name == "accuracy" else f"{row[name]:.3f}"
    values = [other[name] for other in rows]
    best = (min if name == "ms" else max)(values)
    return f'<b class="best">{words}</b>' if row[name] == best and len(set(values)) > 1 else words


def verdict(rows: list[dict]) -> str:
    """The table in words, whoever wins."""
    ours, *theirs = rows
    if not theirs:
        return f"Trustworthiness {ours['trustworthiness']:.3f}."
    words = []
    for other in theirs:
        gap = ours["trustworthiness"] - other["trustworthiness"]
        than = "as trustworthy as" if abs(gap) < 0.005 else "more trustworthy than" if gap > 0 else "less trustworthy than"
        words.append(f"{than} that of {other['method']} ({other['trustworthiness']:.3f})")
    return f"The map is {' and '.join(words)}: {ours['trustworthiness']:.3f}."


# --------------------------------------------------------------------------------------------------- decodings


def decoded_section(study: MapStudy) -> str:
    """What is decoded on a grid over the map, where there are samples; nothing for data that no grid shows."""
    model = study.placed.model_
    schema = model.target_schema_
    if schema.kind not in ("images", "vectors", "table"):
        return ""
    heading, places = "What lies where", study.known[1]
    lead = f"Decoded at the places of a grid, where there are samples. {along(places)}"
    picture = schema.kind == "images" or study.shape is not None
    side = GRID if picture else 3 if schema.kind == "table" else 8
    spots, filled = grid_of(places, side)
    decoded = model.inverse_transform(spots[filled])
    if schema.kind == "table":
        return section(heading, lead, decoded_rows(decoded, spots[filled]))
    if picture:
        limits = plots.limits_of(decoded)
        return section(heading, lead, mosaic(plots.pictures(decoded, limits, study.shape), filled))
    chart = svg(lambda figure: draw_lines(figure, as_array(decoded), filled), 8, 8, "Decoded vectors on a grid over the map")
    return section(heading, lead + " Each line is a decoded vector.", f'<figure class="map">{chart}</figure>')


def along(places) -> str:
    return "" if places.shape[1] == 2 else "Of the three numbers the last is held at its median, the first two span the grid."


def grid_of(places, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(side * side, components) places, row by row from the top, and whether one of the samples is near."""
    low, high = np.quantile(places[:, :2], [0.01, 0.99], axis=0)
    step = np.where(high > low, high - low, 1) / max(side - 1, 1)
    across, up = np.meshgrid(low[0] + step[0] * np.arange(side), low[1] + step[1] * np.arange(side)[::-1])
    spots = np.column_stack([across.ravel(), up.ravel(), *np.tile(np.median(places[:, 2:], 0), (side * side, 1)).T])
    cells = np.rint((places[:, :2] - low) / step).astype(int)
    cells = cells[((cells >= 0) & (cells < side)).all(1)]
    filled = np.zeros((side, side), bool)
    filled[side - 1 - cells[:, 1], cells[:, 0]] = True
    return spots.astype(places.dtype), filled.ravel()


def mosaic(pictures, filled) -> str:
    """The decoded pictures side by side as one, clear where there are no samples."""
    side = round(len(filled) ** 0.5)
    height, width = pictures.shape[1:3]
    scale = max(1, 64 // max(height, width))
    size, gap = (height * scale, width * scale), 4
    whole = np.zeros((side, size[0] + gap, side, size[1] + gap, 4), np.uint8)
    for place, picture in zip(np.flatnonzero(filled), pictures, strict=True):
        sharp = Image.fromarray(picture).convert("RGBA").resize(size[::-1], Image.Resampling.NEAREST)
        whole[place // side, : size[0], place % side, : size[1]] = np.asarray(sharp)
    image = Image.fromarray(whole.reshape(side * (size[0] + gap), -1, 4))
    image.thumbnail((1600, 1600))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    code = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img alt="Decoded pictures on a grid over the map" src="data:image/png;base64,{code}"></figure>'


def draw_lines(figure, decoded, filled) -> None:
    """Each decoded vector as a line in its own cell of the grid, all on one scale."""
    side = round(len(filled) ** 0.5)
    ax = figure.subplots()
    low, high = decoded.min(), decoded.max()
    heights = (decoded - low) / ((high - low) or 1) * 0.8 + 0.1
    along = np.linspace(0.05, 0.95, decoded.shape[1])
    for place, line in zip(np.flatnonzero(filled), heights, strict=True):
        ax.plot(place % side + along, side - 1 - place // side + line, color=plots.OURS, linewidth=0.8)
    ax.set(xticks=[], yticks=[], xlim=(0, side), ylim=(0, side), aspect="equal")
    ax.spines[:].set_visible(False)


def decoded_rows(decoded, spots, most: int = 10) -> str:
    """Decoded rows of a table, with the place of each; of wide ones the first columns."""
    names = list(decoded.columns)[:most]
    columns = [list(decoded[name]) for name in names]
    body = [
        [text(", ".join(f"{number:.2g}" for number in spot)), *(text(shown(column[row])) for column in columns)]
        for row, spot in enumerate(spots)
    ]
    return table(["place", *map(text, names)], body)


def shown(value) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
