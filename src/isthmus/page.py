"""The page that a report is: sections of HTML from one study, in the order a reader meets them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from . import page_table, plots
from .information import collapse, layers
from .ink import breakable, columns_of, count, header, page, png, section, svg, table, text
from .page_codes import classes_section, filters_section, health_section, new_samples_section, ways_section
from .study import (
    COLUMNS,
    Study,
    accuracy,
    by_class,
    is_picture,
    numbers,
    refusal_to_decode,
    shown_columns,
    squared,
    typical,
    unit_of,
    written,
)
from .study_table import TableStudy

Section = Callable[[Any], str]


def page_of(study: Study, title: str | None) -> str:
    title = text(title or f"{size_of(study)} through {count(study.codes.shape[1], 'number')}")
    sections = [headline(study, title), *(part(study) for part in sections_of(study))]
    return page(title, sections, study.model)


def sections_of(study: Study) -> tuple[Section, ...]:
    return OF_TABLES if isinstance(study, TableStudy) else SECTIONS


def size_of(study: Study) -> str:
    """A sample in words, such as 8 × 8 pixels."""
    schema = study.model.schema_
    if isinstance(study, TableStudy):
        return count(len(study.schema.cells), "column")
    picture = schema.kind == "images"
    shape = schema.shape if picture else study.shape or schema.shape
    return " × ".join(map(str, shape[:2])) + (" pixels" if picture or study.shape else " columns")


def headline(study: Study, title: str) -> str:
    model, features = study.model, study.values.shape[1]
    seconds = sum(record.get("seconds", 0) for record in model.history_)
    parameters = sum(p.numel() for p in model.network_.parameters())
    picture = model.schema_.kind == "images"
    columns = f"{len(study.schema.cells):,}" if isinstance(study, TableStudy) else " × ".join(map(str, model.schema_.shape))
    facts = {
        "samples": f"{len(study.codes):,}",
        ("pixels a sample" if picture else "columns"): columns.removesuffix(" × 1"),
        "numbers in the code": f"{study.codes.shape[1]:,}",
        "parameters": f"{parameters:,}",
        "epochs": f"{model.n_iter_:,}",
        "of training": f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min",
    }
    through = f"{count(features, 'number')} through {study.codes.shape[1]:,}"
    words = f"An autoencoder squeezes every sample of {through} and rebuilds it. {besides(study)}"
    warning = "".join(f'<p class="warning">{text(sentence)}</p>\n' for sentence in collapse(model))
    return header(title, words, facts, warning)


def besides(study: Study) -> str:
    """What a model with a condition is told."""
    if study.condition is None:
        return ""
    what = "its class" if study.classes is not None else count(study.condition.shape[1], "number") + " about it"
    return f"Encoder and decoder are told {what} besides."


def comparison_section(study: Study) -> str:
    rows = study.rows
    columns = shown_columns(rows)
    body = [[row["method"], *(cell(rows, row, name) for name in columns)] for row in rows]
    shown = table(["", *(COLUMNS[name][0] for name in columns)], body)
    notes = f'<p class="note">{" ".join(comparison_notes(study, columns))}</p>'
    return section("Beside PCA", verdict(rows, len(study.codes), study.condition is not None), shown, notes)


def comparison_notes(study: Study, columns: list[str]) -> list[str]:
    notes, rows_unit = [], study.rows[0]["unit"]
    if "error" in columns:
        notes.append(f"Squared error: summed over a sample, {rows_unit}; less is better.")
    if "accuracy" in columns:
        where = "other" if study.train_labels is None else "training"
        notes.append(f"1-NN accuracy: how often the nearest code among the {where} samples has the right label.")
    if study.active is not None:
        notes.append(
            f"The code has room for all {study.values.shape[1]:,} numbers of a sample, so PCA with as many components would "
            f"copy. It has {study.pca.n_components_:,} here, as many as a code has numbers that are not zero, on average. Which "
            "those are differs from sample to sample and says something too, which is not counted."
        )
    if study.train_values is None:
        notes.append("PCA was fitted on these very samples, which flatters it, and they may have trained the model too.")
    if study.condition is not None:
        notes.append(f"{besides(study)} PCA is not, and a code need not hold what the decoder is told.")
    if refusal_to_decode(study):
        notes.append("The decoder also reads what the encoder left beside the code: the code is not all it has.")
    if study.own_target:
        notes.append("PCA rebuilds its input, not another target, so it has no error here.")
    return notes


def cell(rows: list[dict], row: dict, name: str) -> str:
    """A value, marked where it is the best of its column."""
    more = COLUMNS[name][2]
    values = [other[name] for other in rows if other[name] is not None]
    best = more is not None and len(set(values)) > 1 and row[name] == (max if more else min)(values)
    return f'<b class="best">{written(row, name)}</b>' if best else written(row, name)


def verdict(rows: list[dict], samples: int, told: bool = False) -> str:
    """The table in words, whoever wins; `told`: the autoencoder knows a condition besides."""
    ours, theirs = rows
    size = "as many numbers" if ours.get("active") is None else "as many active numbers"
    words, end = [], ", and what it is told," if told else ","
    if ours["error"] is not None and theirs["error"]:
        ratio = ours["error"] / theirs["error"]
        if abs(ratio - 1) < 0.005:
            words.append("The autoencoder and PCA rebuild equally well.")
        elif ratio > 100:
            words.append("PCA rebuilds almost everything; the autoencoder does not.")
        elif ratio < 1:
            words.append(f"With {size}{end} the autoencoder is left with {1 - ratio:.0%} less squared error than PCA.")
        else:
            words.append(f"PCA rebuilds better: the autoencoder's squared error is {ratio:.2f} times as large.")
    if ours["accuracy"] is not None:
        best, rest = sorted(rows, key=lambda row: row["accuracy"], reverse=True)
        noise = (best["accuracy"] * (1 - best["accuracy"]) / samples) ** 0.5  # standard error of a share
        if best["accuracy"] - rest["accuracy"] <= 2 * noise:
            words.append("For finding labels by the nearest code, the two differ by no more than chance would have it.")
        else:
            owner = "the autoencoder" if best is ours else "PCA"
            words.append(f"Labels are found better by the codes of {owner}.")
    return " ".join(words) or f"PCA with {size} is the simplest thing that does the same."


# ----------------------------------------------------------------------------------------------------- samples


def samples_section(study: Study) -> str:
    most, extremes = (10, 5) if is_picture(study) else (6, 3)
    groups = {"": typical(study, most)}
    if study.errors is not None:
        order = np.argsort(study.sizes, kind="stable")
        groups |= {"Rebuilt best": order[:extremes].tolist(), "Rebuilt worst": order[::-1][:extremes].tolist()}
    cells = iter(sample_cells(study, [place for places in groups.values() for place in places]))
    grids = [f"<h3>{name}</h3>" * bool(name) + grid(study, [next(cells) for _ in places]) for name, places in groups.items()]
    shown = "".join(f"<div>{part}</div>" for part in grids[1:])
    ends = f'<div class="{"two" if is_picture(study) else "one"}">{shown}</div>'
    return section("There and back", samples_lead(study, most), grids[0], ends)


def samples_lead(study: Study, most: int) -> str:
    original = "target" if study.own_target else "original"
    if study.errors is None:
        words = "What went in, and what came out."
    elif is_picture(study):
        words = f"From top to bottom: the {original}, the code, what the decoder rebuilds from it, and the error: "
        words += "red is too bright, blue too dark."
    else:
        words = f"The {original} in orange, what the decoder rebuilds in blue, and below it the difference."
    return words + (" Each is the median of its class, by its error." if by_class(study, most) else "")


def grid(study: Study, cells: list[str]) -> str:
    return f'<div class="samples{"" if is_picture(study) else " wide"}">{"".join(cells)}</div>'


def sample_cells(study: Study, places: list[int]) -> list[str]:
    """A figure for each of the samples at `places`; errors of all of them on one scale."""
    before, after = study.originals[places], study.outputs[places]
    captions = [caption(study, place) for place in places]
    if not is_picture(study):
        return [line_cell(study, *sample) for sample in zip(before, after, captions, places, strict=True)]
    nothing: list[Any] = [None] * len(places)
    above: Any = plots.pictures(before, plots.limits_of(study.originals), study.shape)
    below: Any = plots.pictures(after, study.limits, study.shape)
    wrong: Any = nothing if study.errors is None else plots.error_pictures(above, below)
    above = nothing if above is None else above  # what went in is no picture, what comes out is
    return [picture_cell(study, *sample) for sample in zip(above, below, wrong, captions, places, strict=True)]


def picture_cell(study: Study, above, below, wrong, words: str, place: int) -> str:
    parts = ["" if above is None else png(above, f"sample {place}"), code_bars(study, place)]
    parts += [png(below, f"sample {place}, rebuilt"), "" if wrong is None else png(wrong, f"sample {place}, error")]
    return f"<figure>{''.join(parts)}<figcaption>{words}</figcaption></figure>"


def line_cell(study: Study, before, after, words: str, place: int) -> str:
    """A vector as lines; where nothing says what should come out, only what does."""

    def draw(figure):
        axes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        if study.errors is None:
            axes[0].plot(after, color=plots.OURS)
        else:
            scaled = [numbers(values[None], study.model.target_schema_)[0] for values in (before, after)]
            axes[0].plot(scaled[0], color=plots.OTHER)
            axes[0].plot(scaled[1], color=plots.OURS)
            axes[1].plot(scaled[1] - scaled[0], color=plots.OURS)
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        for ax in axes:
            plots.bare(ax)

    chart = svg(draw, 3.4, 2.4, f"sample {place}, original and rebuilt, as lines")
    return f"<figure>{chart}<figcaption>{words}</figcaption></figure>"


def caption(study: Study, place: int) -> str:
    label = "" if study.labels is None else f"<b>{label_text(study.labels[place])}</b> "
    return label + ("" if study.errors is None else f"{study.sizes[place]:#.3g}")


def label_text(label) -> str:
    return f"{label:.4g}" if isinstance(label, np.floating) else text(label)


def code_bars(study: Study, place: int) -> str:
    """The code as bars, each in standard deviations of its component; nothing for codes of more than 64 numbers."""
    known = study.codes
    if known.shape[1] > 64:
        return ""
    spread = np.where(known.std(0) > 0, known.std(0), 1)
    heights = np.clip((known[place] - known.mean(0)) / spread, -2.5, 2.5) * 4
    bars = "".join(f"M{4 * i} 10h3v{-height:.1f}h-3z" for i, height in enumerate(heights))
    width = 4 * len(heights) - 1
    return f'<svg class="bars" viewBox="0 0 {width} 20" preserveAspectRatio="none" aria-hidden="true"><path d="{bars}"/></svg>'


# ------------------------------------------------------------------------------------------------------ errors


def errors_section(study: Study) -> str:
    if study.errors is None:
        return section("Errors", "This model was fitted with a target of its own. Pass target= to see how far it is from it.")
    lead = f"Squared error of each sample, {unit_of(study.model.target_schema_)}."
    if study.pca_errors is not None:
        share = (study.sizes < squared(study.pca_errors)).mean()
        lead += f" The autoencoder rebuilds {share:.0%} of the samples better than PCA does."
    histogram = svg(lambda figure: draw_histogram(figure, study), 5, 3.4, "Histogram of the squared errors of the samples")
    if is_picture(study):
        where = error_map(study)
    else:
        where = svg(lambda figure: draw_columns(figure, study), 5, 3.4, "Root mean squared error of each column")
    return section("Errors", lead, f'<div class="two"><figure>{histogram}</figure>{where}</div>')


def both_errors(study: Study) -> list[tuple[str, str, np.ndarray]]:
    """Name, colour and errors of the model, and of PCA where it has any."""
    pairs = [("autoencoder", plots.OURS, study.errors), ("PCA", plots.OTHER, study.pca_errors)]
    return [(name, colour, errors) for name, colour, errors in pairs if errors is not None]


def draw_histogram(figure, study: Study) -> None:
    ax, known = figure.subplots(), both_errors(study)
    sizes = [squared(errors) for _, _, errors in known]
    every = np.concatenate(sizes)
    edges = np.histogram_bin_edges(every, bins=40)
    if every.min() > 0 and every.max() > 20 * np.median(every):  # a few are far off
        edges = np.geomspace(every.min(), every.max(), 41)
        ax.set_xscale("log")
    for (name, colour, _), values in zip(known, sizes, strict=True):
        ax.hist(values, edges, histtype="stepfilled", color=colour, alpha=0.35)
        ax.hist(values, edges, histtype="step", color=colour, linewidth=1.5, label=f"{name}, mean {values.mean():.3g}")
    ax.set(xlabel="squared error of a sample", ylabel="samples")
    ax.legend(frameon=False)
    plots.bare(ax)


def draw_columns(figure, study: Study) -> None:
    ax = figure.subplots()
    for name, colour, errors in both_errors(study):
        ax.plot(np.sqrt(np.square(errors).mean(0)), color=colour, marker="o", markersize=3, label=name)
    ax.set(xlabel="column", ylabel="root mean squared error")
    ax.legend(frameon=False)
    plots.bare(ax)


def error_map(study: Study) -> str:
    """Where in the picture the errors lie, for the model and PCA on one scale; the stronger the colour, the larger."""
    shape = study.shape if study.kind != "images" else study.model.target_schema_.shape
    known = [(name, pixel_errors(errors, shape)) for name, _, errors in both_errors(study)]
    largest = max(values.max() for _, values in known) or 1
    figures = "".join(
        f"<figure>{png(tinted(values / largest), f'Where errors of {name} lie')}<figcaption>{name}</figcaption></figure>"
        for name, values in known
    )
    words = f"Root mean squared error of each pixel: clear is 0, full red is {largest:.2g}."
    return f'<div><div class="maps">{figures}</div><p class="note">{words}</p></div>'


def pixel_errors(errors, shape) -> np.ndarray:
    squares = np.square(errors, dtype=np.float64).mean(0).reshape(shape)
    return np.sqrt(squares if squares.ndim == 2 else squares.mean(-1))


def tinted(shares) -> np.ndarray:
    """Shares in [0, 1] as red of that opacity."""
    colour = np.broadcast_to(plots.BRIGHTER, (*shares.shape, 3))
    return np.concatenate([colour, (shares[..., None] * 255).round()], axis=-1).astype(np.uint8)


# --------------------------------------------------------------------------------------------------- map, walks


def map_section(study: Study) -> str:
    codes, train_codes = study.map_codes
    ours = (
        f"The {codes.shape[1]:,}-number codes, seen along their first two principal axes" if codes.shape[1] > 2 else "The codes"
    )
    if study.map_model is not None:
        ours = f"The codes of an autoencoder of {count(codes.shape[1], 'number')}, trained for this map"
    lead = f"Every point is a sample. {ours}, beside the data's own first two principal axes."
    maps = [
        map_figure(study, "codes", *planes(codes, train_codes)),
        map_figure(study, "PCA of the data", *planes(study.values, study.train_values)),
    ]
    return section("The map", lead, f'<div class="two">{"".join(maps)}</div>')


def planes(points, train_points) -> tuple[np.ndarray, np.ndarray | None]:
    """Points, and training points, in the plane of the first two principal axes; as they are where they have no more than two."""
    if points.shape[1] <= 2:
        return points, train_points
    fitted_on = points if train_points is None else train_points
    plane = PCA(min(2, *fitted_on.shape), random_state=0).fit(fitted_on)
    return plane.transform(points), None if train_points is None else plane.transform(train_points)


def map_figure(study: Study, name: str, points, train_points) -> str:
    chart = svg(lambda figure: plots.codes(points, study.labels, figure.subplots()), 5, 5, f"Map: {name}")
    share = accuracy(study, points, train_points)
    words = "" if share is None else f": the nearest point in this plane has the right label for {share:.1%} of the samples"
    return f'<figure class="map">{chart}<figcaption><b>{name}</b>{words}</figcaption></figure>'


def traversals_section(study: Study) -> str:
    heading, reason = "What each component does", refusal_to_decode(study)
    if reason is not None:
        return section(heading, f"This cannot be shown: {text(reason)}")
    components = plots.most_active(study.decoder, study.codes)[:16]
    moves = np.linspace(-2, 2, 7)
    decoded = plots.walk(study.decoder, study.codes, components, moves)
    lead = "Decodings of the mean code, with one component moved from −2 to +2 standard deviations and the others held. "
    lead += "Those that change most come first; component 0 is the first column of <code>transform</code>."
    if study.condition is not None:
        what = "the mean of the condition" if study.classes is None else label_text(study.decoder.condition)
        lead += f" The decoder is told {what} here."
    if not is_picture(study):
        lead += " From −2 (orange) to +2 (blue)."
        drawn = [walk_lines(study, *pair) for pair in zip(components, decoded, strict=True)]
        return section(heading, lead, grid(study, drawn))
    images = [plots.pictures(row, study.limits, study.shape) for row in decoded]
    rows = [walk_pictures(component, row, moves) for component, row in zip(components, images, strict=True)]
    head = '<div class="walk head" aria-hidden="true"><b></b><span>−2</span><span>0</span><span>+2</span></div>'
    return section(heading, lead, columns_of(rows, head))


def walk_pictures(component: int, pictures, moves) -> str:
    images = "".join(
        png(picture, f"component {component} at {move:+.1f} standard deviations")
        for picture, move in zip(pictures, moves, strict=True)
    )
    return f'<div class="walk"><b>{component}</b>{images}</div>'


def walk_lines(study: Study, component: int, decoded) -> str:
    scaled = numbers(decoded, study.model.target_schema_)
    alt = f"What component {component} changes, as lines"
    chart = svg(lambda figure: plots.draw_walk(figure.subplots(), scaled), 3.4, 2, alt)
    return f"<figure>{chart}<figcaption><b>{component}</b></figcaption></figure>"


# ---------------------------------------------------------------------------------------------- training, layers


def training_section(study: Study) -> str:
    history = study.model.history_
    chart = svg(lambda figure: plots.history(study.model, figure.subplots()), 5, 3.2, "Losses, epoch by epoch")
    lead = "Loss in nats a sample. The training loss is a mean over the epoch, while the weights still change."
    hidden = {"epoch", "seconds"} | ({"objective"} if history[-1].get("loss") == history[-1].get("objective") else set())
    names = [name for name, value in history[-1].items() if name not in hidden and isinstance(value, float)]
    rows = [[text(name.replace("_", " ")), f"{history[0][name]:.4g}", f"{history[-1][name]:.4g}"] for name in names]
    ends = table(["", "epoch 1", f"epoch {len(history)}"], rows)
    return section("Training", lead, f'<div class="two"><figure>{chart}</figure>{ends}</div>')


def layers_section(study: Study) -> str:
    rows = [
        [
            breakable(layer["layer"]),
            text(layer["kind"]),
            "\u202f×\u202f".join(map(str, layer["output"])),
            f"{layer['parameters']:,}",
        ]
        for layer in layers(study.model)
    ]
    head = ["layer", "kind", "output", "parameters"]
    return section("Layers", "In the order the data meets them.", table(head, rows, "layers"))


SECTIONS: tuple[Section, ...] = (
    samples_section, comparison_section, errors_section, map_section, traversals_section, new_samples_section, classes_section,
    ways_section, health_section, filters_section, training_section, layers_section,
)  # fmt: skip
OF_TABLES: tuple[Section, ...] = (
    page_table.rows_section, comparison_section, page_table.columns_section, page_table.errors_section, map_section,
    page_table.surprises_section, health_section, training_section, layers_section,
)  # fmt: skip
