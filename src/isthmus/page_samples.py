"""The page about samples that fill no table: sentences, and pictures or sequences that differ in size."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from .data import KINDS, open_data
from .ink import count, header, page, png, section, svg, table, text
from .sentences import COLUMNS, edit_distance, text_figures

_SENTENCES, _PAIRS = 24, 12  # that are shown
_LINES = 3  # channels of a sequence that are drawn as lines; more are a picture of brightness
FIGURES = {
    "loss": ("loss, nats a sample", "{:.4g}".format),
    "error": ("squared error a number", "{:.4g}".format),
    "explained": ("variance explained", "{:.1%}".format),
    "lengths": ("samples of the right size", "{:.1%}".format),
}


def is_of_samples(model) -> bool:
    """Whether this page, and not that of tables and pictures of one size, is for the model."""
    return model.schema_.kind == "text" or model.schema_.varies or model.target_schema_.varies


def figures_of(model, X, train=None, condition=None, train_condition=None) -> list[dict]:
    """The table of the page: `text_figures` of text; of other samples how much of them comes back, each at its own size."""
    refuse_targets(model)
    if model.schema_.kind == "text":
        return text_figures(model, X, train=train, condition=condition, train_condition=train_condition)
    X = open_data(X, model.schema_.kind, **model.schema_.reading)[0]
    before, after = both(model, X, condition)
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a.shape == b.shape]
    known = [(a[~np.isnan(a)], b[~np.isnan(a)]) for a, b in pairs]
    error = sum(float(np.square(a - b).sum()) for a, b in known) / max(1, sum(a.size for a, _ in known))
    values = np.concatenate([one[~np.isnan(one)] for one in before])
    loss = -float(model.score_samples(X, condition=condition).mean())
    spread = float(values.var())
    shares = {"explained": 1 - error / spread if spread else 0.0, "lengths": len(pairs) / len(before)}
    return [{"method": "autoencoder", "loss": loss, "error": error, **shares, "samples": len(before)}]


def figures_as_text(rows: list[dict]) -> str:
    """The rows of `figures_of`, other than those of text, for a terminal."""
    return "\n".join(f"{heading}: {form(row[name])}" for row in rows for name, (heading, form) in FIGURES.items())


def page_of(model, X, title=None, train=None, condition=None, train_condition=None, rows=None) -> str:
    """The whole page; `rows` are those of `figures_of`, where they are at hand."""
    from .page import layers_section, training_section

    X = open_data(X, model.schema_.kind, **model.schema_.reading)[0]
    rows = rows or figures_of(model, X, train, condition, train_condition)
    told: Any = SimpleNamespace(model=model)  # all that these sections look at
    written = sentences_section(model, X, condition) if model.schema_.kind == "text" else pairs_section(model, X, condition)
    title = text(title or f"{model.schema_.kind.capitalize()} there and back")
    sections = [headline(model, title, rows), written, comparison_section(rows), training_section(told), layers_section(told)]
    return page(title, sections, model)


def headline(model, title: str, rows: list[dict]) -> str:
    seconds = sum(record.get("seconds", 0) for record in model.history_)
    known = {"sentences": rows[0].get("sentences"), "samples": rows[0].get("samples"), "epochs": model.n_iter_}
    facts = {name: f"{value:,}" for name, value in known.items() if value is not None} | {"of training": f"{seconds:.1f} s"}
    shape = " × ".join("its size" if size is None else f"{size:,}" for size in model.code_shape_)
    words = f"An autoencoder squeezes every sample into a code ({shape}) and rebuilds it, each at its own size."
    return header(title, words, facts)


def sentences_section(model, X, condition) -> str:
    sentences = KINDS["text"].check(X).tolist()
    rebuilt = model.reconstruct(sentences, condition)
    edits = np.array([edit_distance(*pair) for pair in zip(sentences, rebuilt, strict=True)])
    rows = [
        [text(sentences[place]), marked(sentences[place], rebuilt[place]), f"{edits[place]:,}"]
        for place in evenly(edits / np.maximum(1, [len(one) for one in sentences]), _SENTENCES)
    ]
    lead = f"{count(len(rows), 'sentence')}, from the best rebuilt to the worst, beside what the decoder writes from the code; "
    lead += "wrong ones are red. Edits: characters to insert, delete or exchange."
    return section("There and back", lead, table(["as it was", "as it is rebuilt", "edits"], rows, "sentences"))


def marked(before: str, after: str) -> str:
    return text(after) if before == after else f'<span class="wrong">{text(after)}</span>'


def pairs_section(model, X, condition) -> str:
    before, after = both(model, X, condition)
    losses = -model.score_samples(X, condition=condition)
    limits = min(float(np.nanmin(one)) for one in before), max(float(np.nanmax(one)) for one in before)
    pictures = model.schema_.kind == "images" or before[0].shape[-1] > _LINES
    shown = [
        figure(before[place], after[place], limits, f"sample {place}", pictures, model.schema_.kind != "images")
        for place in evenly(losses, _PAIRS)
    ]
    lead = f"{count(len(shown), 'sample')}, from the best rebuilt to the worst. "
    lead += "Above what went in, below what comes out." if pictures else "Black what went in, blue what comes out."
    return section("There and back", lead, f'<div class="samples{"" if pictures else " wide"}">{"".join(shown)}</div>')


def figure(before: np.ndarray, after: np.ndarray, limits, name: str, pictures: bool, turned: bool) -> str:
    """A sample above its reconstruction, or both as lines."""
    if pictures:
        both_ = [png(as_picture(one.T[::-1, :, None] if turned else one, limits), name) for one in (before, after)]
        size = " × ".join(map(str, before.shape[:-1]))
        return f"<figure>{''.join(both_)}<figcaption>{name}, {size}</figcaption></figure>"

    def draw(figure) -> None:
        axes = figure.subplots()
        axes.plot(before, color="#010203", linewidth=1.2)
        axes.plot(after, color="#2a6fbb", linewidth=1.2)

    caption = f"{name}, {count(len(before), 'step')}" + ("" if len(after) == len(before) else f", rebuilt {len(after):,}")
    return f"<figure>{svg(draw, 3.4, 1.8, name)}<figcaption>{caption}</figcaption></figure>"


def as_picture(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """(height, width[, 3 or 4]) of 8 bits, black and white at the limits."""
    low, high = limits
    shades = np.clip((np.nan_to_num(values, nan=low) - low) / ((high - low) or 1.0), 0, 1)
    shades = shades if shades.shape[-1] in (3, 4) else shades.mean(-1)
    return (shades * 255).round().astype(np.uint8)


def comparison_section(rows: list[dict]) -> str:
    columns = COLUMNS if "exact" in rows[0] else FIGURES
    cells = [[text(row["method"]), *(form(row[name]) for name, (_, form) in columns.items())] for row in rows]
    lead = "Sentences decoded from their stored codes; the control decodes those of other sentences."
    lead = lead if columns is COLUMNS else "How much comes back; variance is that of all numbers about their mean."
    return section("How much comes back", lead, table(["", *(heading for heading, _ in columns.values())], cells))


# --------------------------------------------------------------------------------------------------- helpers


def both(model, X, condition) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The samples and what is rebuilt of them, in data units, (*size, channels) each."""
    rebuilt = model.reconstruct(X, condition)
    return arrays(model.schema_, X), arrays(model.target_schema_, rebuilt)


def arrays(schema, X) -> list[np.ndarray]:
    values = schema.read(X).values
    listed = values.listed() if hasattr(values, "listed") else list(values)
    return [np.asarray(one, np.float64).reshape(*one.shape[: schema.axes], -1) for one in listed]


def evenly(values: np.ndarray, most: int) -> list[int]:
    """Places of up to `most`, evenly spread from the least to the greatest."""
    order = np.argsort(values, kind="stable")
    return order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)].tolist()


def refuse_targets(model) -> None:
    if model.target_schema_ is not model.schema_:
        raise ValueError(
            "A page of such samples is for models that rebuild what they read, but this one has a target of its own."
        )
