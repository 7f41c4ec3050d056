"""`isthmus map`: where samples lie, as a picture, a page or numbers."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .common import Data, Force, Json, Out, ReadingFlags, app, labels_of, note, opened_for, tell
from .output import free_file, sizes_of


@app.command(name="map")
def place(
    model: Path,
    data: Data,
    *,
    output: Out,
    train: Annotated[str | None, Parameter(help="The data the map was trained on, for a page: to fit PCA and UMAP to.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Place DATA on a map: a .png picture, an .html page, or its places as a .npy array or a .csv table.

    MODEL is what 'isthmus fit DATA --task map' wrote, or any model with a code of 2 or 3 numbers. How trustworthy and how
    continuous the map of DATA is, is printed; a page shows it beside PCA, and UMAP, where that is installed.
    """
    from .. import load
    from ..apps.map import map_of, measures

    target = free_file(output, (".png", ".html", ".npy", ".csv"), force)
    placed = map_of(load(model))
    X, names = opened_for(placed.model_, data, reading)
    if target.suffix.lower() == ".html":
        from ..page_map import MapStudy, write_study

        learnt = {} if train is None else {"train": opened_for(placed.model_, train, reading)[0], "train_y": labels_of(train)}
        sizes = None if shape is None else sizes_of(shape, placed.model_.schema_.size)
        study = MapStudy(placed, X, labels_of(data), **learnt, shape=sizes)
        write_study(study, target, overwrite=force)
        rows = study.rows
    else:
        write_places(target, placed, X, names, labels_of(data))
        rows = [{"method": "this map", **measures(placed, X)}]
    tell(rows, as_json, lambda: as_lines(rows))
    note(f"Wrote {target}.")


def write_places(path: Path, placed, X, names: list[str] | None, labels) -> None:
    """The places, drawn, as an array, or as a table beside the names of files or users."""
    import numpy as np

    from .. import plots
    from ..data.frames import write_frame
    from ..files import NAMES, file_aside

    ending = path.suffix.lower()
    if ending == ".csv":  # from the model, which knows the names of the users
        places = placed.model_.set_output(transform="pandas").transform(X).set_axis(placed.get_feature_names_out(), axis=1)
        if names is not None:
            places.insert(0, NAMES, names)
        table = places if places.index.name is None else places.reset_index()
    else:
        places = placed.transform(X)
        figure: Any = plots.codes(places, labels).figure if ending == ".png" else None
    with file_aside(path) as file:
        if ending == ".csv":
            write_frame(file, table, ending)
        elif ending == ".npy":
            np.save(file, places)
        else:
            figure.savefig(file, format="png", dpi=200)


def as_lines(rows: list[dict]) -> str:
    """A line for each method."""
    shown = [[row["method"], *(f"{name} {value:.4g}" for name, value in row.items() if isinstance(value, float))] for row in rows]
    return "\n".join("  ".join(line) for line in shown)
