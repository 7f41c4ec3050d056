"""What commands share: their flags, how they open data and models, and how they answer."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .. import __version__

app = App(
    name="isthmus",
    help="Train an autoencoder on the data you have, and put its code to work.",
    version=__version__,
    help_format="plaintext",  # markdown and boxes would cost a third of the time that help takes
    help_formatter="plain",
    suppress_keyboard_interrupt=False,  # `main` says what Ctrl-C did
)

Data = Annotated[
    str,
    Parameter(
        help="A path (folder of pictures, films, sound, text; .mp4, .npy, .npz, .csv, .parquet, .txt, ...) or digits, mnist."
    ),
]
Out = Annotated[Path, Parameter(name=["--output", "-o"], help="Where to write.")]
Force = Annotated[bool, Parameter(negative="", help="Replace what is already there.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]
Kind = Literal["auto", "vectors", "table", "images", "video", "sequences", "sound", "mel", "interactions", "text"]


def height_and_width(_, tokens) -> tuple[int, int]:
    """48,64 as two numbers."""
    parts = tokens[0].value.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise ValueError(f"--size {tokens[0].value}: height and width are expected, such as 48,64.")
    return int(parts[0]), int(parts[1])


Size = Annotated[
    tuple[int, int] | None,
    Parameter(
        negative="",
        n_tokens=1,
        converter=height_and_width,
        metavar="H,W",
        help="Height and width to resize films to: 48,64; their own, or the model's.",
    ),
]


@Parameter(name="*")
@dataclass
class ReadingFlags:
    """How files are read."""

    skip_corrupt: Annotated[bool, Parameter(negative="", help="Leave out files, and lines of text, that cannot be read.")] = False
    frames: Annotated[int | None, Parameter(validator=Number(gte=1), help="Of a window of a film; 16, or the model's.")] = None
    size: Size = None
    missing: Annotated[str | None, Parameter(help="What stands for a missing cell of a .csv, besides nothing: '?'.")] = None


# --------------------------------------------------------------------------------------------- data in


def opened_for(model, data: str, reading: ReadingFlags | None = None):
    """The data as a model reads them, and the names of its pictures."""
    X, names, _ = opened(data, model.schema_.kind, ReadingFlags(**model.schema_.reading | options_of(reading)), tell_flat=True)
    tell_resized(data, X, reading)
    return X, names


def tell_resized(data: str, X, reading: ReadingFlags | None) -> None:
    """Says that films are resized to the size of a model's, where nobody asked for that."""
    sizes = {film.filmed for film in getattr(X, "films", ())} - {tuple(getattr(X, "shape", ())[2:4])}
    if sizes and (reading is None or reading.size is None):
        seen = ", ".join(f"{height} x {width}" for height, width in sorted(sizes))
        note(f"{data}: resized from {seen} to {X.shape[2]} x {X.shape[3]} pixels, the size of the model's films")


def opened(data: str, kind: str, reading: ReadingFlags | None = None, memory_limit: str | None = None, tell_flat: bool = False):
    """The data at a path or under a name, the names of its pictures, and its kind."""
    from .. import datasets
    from ..data import read_path
    from ..data.memory import in_bytes

    if datasets.is_name(data):
        X, names, kind = datasets.load(data)[0], None, "images" if kind == "auto" else kind
    else:
        limit = None if memory_limit is None else in_bytes(memory_limit)
        X, names = read_path(data, kind, limit, **options_of(reading))
    if kind != "vectors" or len(getattr(X, "shape", ())) <= 2 or not len(X):
        return X, names, kind
    rows = flat(X)
    if tell_flat:
        shape = " x ".join(map(str, X.shape))
        note(f"{data}: {shape} {rows.dtype}, read as rows of {rows.shape[1]:,} numbers, for the model is of vectors")
    return rows, names, kind


def flat(X):
    import numpy as np

    return np.asarray(X).reshape(len(X), -1)


def options_of(reading: ReadingFlags | None) -> dict:
    """What the flags say of how files are read."""
    return {name: value for name, value in asdict(reading or ReadingFlags()).items() if value}


def loaded(path: Path, only=None):
    """The model in a folder; of an application's folder its model."""
    from .. import load

    if only is not None and (path / "model").is_dir():
        path = path / "model"
    found = load(path, only=only)
    return getattr(found, "model_", found)


def loaded_application(path: Path, task: str):
    """The application in a folder, which must be of this task."""
    from .. import load

    found = load(path)
    if getattr(found, "task", None) != task:
        holds = f"an application for {found.task}" if hasattr(found, "task") else "a model alone"
        fresh = path.with_name(f"{path.name}-{task}")
        model = path / "model" if hasattr(found, "task") else path
        shorter = f" Of the model that is there: isthmus index {model} DATA -o {fresh}." if task == "search" else ""
        raise ValueError(f"{path} holds {holds}. Train what is needed here: isthmus fit DATA --task {task} -o {fresh}.{shorter}")
    return found


def labels_of(data: str):
    from .. import datasets

    return datasets.load(data)[1] if datasets.is_name(data) else None


def condition_of(data: str, wanted: bool):
    """The labels of a named data set, where a network is to be told them."""
    if not wanted:
        return None
    labels = labels_of(data)
    if labels is None:
        raise ValueError(f"{data} has no labels to tell the network. Name a data set that has (mnist:train), or use Python.")
    return labels


def told_to(model, data: str):
    """What a model that was fitted with labels is told of the data."""
    return condition_of(data, model.condition_ is not None)


def label_of(model, text: str | None):
    """A label as the model knows it, from its spelling."""
    if text is None or model.condition_ is None or model.condition_.classes is None:
        return text
    known = {str(label): label for label in model.condition_.classes}
    return known.get(text, text)


# ------------------------------------------------------------------------------------------ results out


def tell(result, as_json: bool, text) -> None:
    """The command's result on stdout: JSON for programs, else what `text()` gives."""
    if speaks():
        print(json.dumps(result, default=str) if as_json else text())


def note(text: str) -> None:
    if speaks():
        print(text, file=sys.stderr)


def speaks() -> bool:
    """Whether this process is the first, of those that train together where several were started."""
    return int(os.environ.get("WORLD_SIZE", 1)) == 1 or int(os.environ.get("RANK", 0)) == 0
