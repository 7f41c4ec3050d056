"""What a fitted model tells of itself (`isthmus info` and the report), and how data would be read before anyone trains on it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import datasets
from .data import KINDS, Clips, Rows, layout_of, open_data
from .network import in_blocks, layers_of
from .parts.neighbours import features_of
from .saving import MissingPart, load_model, read_config
from .trouble import signs_of_collapse

_LONGEST, _SHOWN = 24, 12  # characters of a text, and names of columns, that are shown


def about_model(path: Path) -> dict:
    """Layers, shapes, parameters and sizes of the model folder `path`; of an application's also its parameters."""
    config = read_config(path)
    if "application" in config:
        about = {"application": config["application"], "parameters": config["params"]}
        return about | about_model(path / "model") | {"model": str(path)}
    try:
        model = load_model(path)
    except MissingPart as error:
        return {"model": str(path), **config["fitted"], "note": str(error)}
    parameters = sum(p.numel() for p in model.network_.parameters())
    return {
        "model": str(path),
        "isthmus": config["isthmus"],
        "format": config["format"],
        "estimator": " ".join(repr(model).split()),
        "data": f"{model.schema_.kind} of shape {model.schema_.shape}, {model.schema_.dtype}",
        "loss": str(model.loss_),
        "code_shape": list(model.code_shape_),
        "parameters": parameters,
        "bytes": sum(f.stat().st_size for f in path.iterdir()),
        "epochs": model.n_iter_,
        "last_epoch": model.history_[-1],
        "layers": layers(model),
        **constant_columns(model.schema_),
    }


def about_data(what: str, kind: str = "auto", **reading) -> dict:
    """The kind, shape, type, range and scaling that `fit` would find; `reading` says how files are read."""
    X = datasets.load(what)[0] if datasets.is_name(what) else what
    X, kind = open_data(X, kind, **reading)
    layout = layout_of(X) if kind == "vectors" else None
    X = KINDS[kind].check(X)
    schema: Any = KINDS[kind].learn(X)
    if kind == "table":
        return {"data": what, "kind": kind, "samples": int(X.shape[0]), "columns": columns_of(schema, X)}
    if kind == "interactions":
        return {"data": what, "kind": kind, **schema.about(X)}
    if kind == "text":
        return {"data": what, "kind": kind, **about_sentences(X.tolist())}
    return {
        "data": what,
        "kind": kind,
        "samples": int(X.shape[0]),
        **about_films(X),
        "shape": list(schema.shape),
        **({} if layout is None else {"columns": [cells.name for cells in layout.columns]}),
        **(schema.about(X) if schema.axes == 1 else {}),
        "dtype": schema.dtype,
        "least": float(schema.learnt.low.min()),
        "greatest": float(schema.learnt.high.max()),
        "scaling": "none" if schema.is_identity else f"each {unit_of(schema)}" if schema.center.ndim else "all pixels alike",
        **constant_columns(schema),
    }


def about_films(X) -> dict:
    """How many films and frames there are, and how many frames a second, where the samples are windows of films."""
    if not isinstance(X, Clips):
        return {}
    rate = "differs" if X.rate is None else float(round(X.rate, 3))
    return {"films": len(X.films), "frames": sum(map(len, X.films)), "frames a second": rate}


def unit_of(schema) -> str:
    """What is scaled on its own."""
    return "channel" if schema.axes else "column"


def about_sentences(sentences: list[str]) -> dict:
    """How many there are, how long, and of how many different characters."""
    sizes = [len(text.encode()) for text in sentences]
    return {
        "sentences": len(sentences),
        "empty": sizes.count(0),
        "bytes, least": min(sizes),
        "bytes, median": float(np.median(sizes)),
        "bytes, greatest": max(sizes),
        "characters": sum(map(len, sentences)),
        "different characters": len(set("".join(sentences))),
    }


def columns_of(schema, X) -> list[dict]:
    """What every column of a table is read as, and the share of its cells that are missing."""
    return [
        {
            "column": cell.name,
            "read as": cell.role + (" (tails drawn in)" if cell.tails else ""),
            "holds": listed([clipped(str(value)) for value in cell.values], 4),
            "missing": f"{np.isnan(cell.encode(X[cell.name])[:, 0]).mean():.1%}",
        }
        for cell in schema.cells
    ]


def layers(model) -> list[dict]:
    """Every layer in the order the data meets it: its name, kind, output shape and number of parameters."""
    return layers_of(model.network_)


def collapse(model) -> list[str]:
    """Sentences that say how the code had collapsed when the training ended, each with its cure; none where it had not."""
    return signs_of_collapse(model.network_, model.history_[-1])


def entries_used(model, X, condition=None) -> np.ndarray:
    """How often the codes of `X` hold each entry of a quantised bottleneck; those of several codebooks one after another."""
    bottleneck = model.network_.bottleneck
    rows = model._rows(X)
    told = model._told(condition, len(rows))
    index = in_blocks(lambda *block: model._encoded(*block).extra["index"], model.block_, rows, *told)
    if bottleneck.levels_apart > 1:  # the last axis is that of the codebooks
        index = index + bottleneck.entries * torch.arange(bottleneck.levels_apart)
    return torch.bincount(index.flatten(), minlength=bottleneck.entries * bottleneck.levels_apart).numpy()


def rebuilt_cells(model, cells: np.ndarray, condition=None) -> np.ndarray:
    """What a model of a table rebuilds from rows as its schema encodes them, (n, numbers that cells become), NaN for a gap."""
    rows = Rows(model.schema_, cells, ready=True).to(model.dtype_, model.device_)
    network, told = model.network_, model._told(condition, len(cells))
    return in_blocks(lambda *block: network.mean(network.decode(model._encoded(*block))), model.block_, rows, *told).numpy()


def features(model, X) -> np.ndarray:
    """(n, width) numbers whose distances say how unlike samples are, as `parts.TSNE` compares them."""
    return in_blocks(lambda data: features_of(model.network_, data), model.block_, model._rows(X)).numpy()


def constant_columns(schema) -> dict:
    """The columns that never change, which come back exactly as they were."""
    columns = getattr(schema, "constant_columns", [])
    return {"constant_columns": columns} if columns else {}


def as_text(facts: dict) -> str:
    """The facts, a line each, and the layers as a table."""
    width, told = max(map(len, facts)), dict(facts)
    if facts.get("columns") and isinstance(facts["columns"][0], str):  # names alone, which fill no table
        told["columns"] = listed([clipped(name) for name in facts["columns"]], _SHOWN)
    lines = [f"{name:<{width}}  {value}" for name, value in told.items() if name != "layers" and not is_table(value)]
    if "layers" in facts:
        rows = [(r["layer"], r["kind"], " x ".join(map(str, r["output"])), f"{r['parameters']:,}") for r in facts["layers"]]
        lines += ["", *aligned([("layer", "kind", "output", "parameters"), *rows])]
    if is_table(facts.get("columns")):
        lines += ["", *aligned([tuple(facts["columns"][0]), *(tuple(column.values()) for column in facts["columns"])])]
    return "\n".join(lines)


def is_table(value) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def listed(words: list[str], most: int) -> str:
    """The first few, and how many there are where that is more."""
    return ", ".join(words[:most]) + (f", ... ({len(words)})" if len(words) > most else "")


def clipped(text: str) -> str:
    """A text that is short enough for a column, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def aligned(rows: list[tuple]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
