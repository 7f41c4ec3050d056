"""`isthmus map`: where the samples lie, as a picture, a page or numbers."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .common import Data, Force, Json, Out, ReadingFlags, app, labels_of, note, opened_for, tell
from .output import free_file, shape_of


@app.command(name="map")
def draw(
    model: Path,
    data: Data,
    *,
    output: Out,
    train: Annotated[str | None, Parameter(help="Of a page: the data the map was trained on, to fit PCA and UMAP to.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Place DATA on a map: a .png picture, a .html page beside PCA (and UMAP, where installed), or a .npy or .csv of places.

    MODEL is what 'isthmus fit DATA --task map' wrote, or any model whose codes have 2 or 3 numbers. How trustworthy the map of
    DATA is, and how continuous, is printed.
    """
    from .. import load
    from ..apps.map import map_of, measures

    target = free_file(output, (".png", ".html", ".npy", ".csv"), force)
    placed = map_of(load(model))
    X, names = opened_for(placed.model_, data, reading)
    rows = [measures(placed, X)]
    if target.suffix.lower() == ".html":
        from ..page_map import MapStudy, write_study

        beside = {} if train is None else {"train": opened_for(placed.model_, train, reading)[0], "train_y": labels_of(train)}
        study = MapStudy(placed, X, labels_of(data), **beside, shape=shape_of(shape))
        write_study(study, target, overwrite=force)
        rows = study.rows
    elif target.suffix.lower() == ".png":
        write_picture(target, placed.transform(X), labels_of(data))
    else:
        write_places(target, placed, X, names)
    tell(rows, as_json, lambda: as_lines(rows))
    note(f"Wrote {target}.")


def write_picture(path: Path, places, labels) -> None:
    """The map, drawn, as .png."""
    from .. import plots
    from ..files import file_aside

    figure = plots.codes(places, labels).figure
    with file_aside(path) as file:
        figure.savefig(file, format="png", dpi=200)


def write_places(path: Path, placed, X, names: list[str] | None) -> None:
    """The places as an array, or as a table under the names of the files or users."""
    from ..data.frames import write_frame
    from ..files import NAMES, file_aside
    from .output import write_array

    if path.suffix.lower() == ".npy":
        return write_array(path, placed.transform(X))
    places = placed.set_output(transform="pandas").transform(X)
    if names is not None:
        places.insert(0, NAMES, names)
    with file_aside(path) as file:
        write_frame(file, places if places.index.name is None else places.reset_index(), ".csv")
    return None


def as_lines(rows: list[dict]) -> str:
    """The measures, a line for each method, where there are several."""
    return "\n".join(
        "  ".join([*([row["method"]] if "method" in row else []), *(f"{name} {value:.4f}" for name, value in figures_of(row))])
        for row in rows
    )


def figures_of(row: dict) -> list[tuple[str, float]]:
    return [(name, value) for name, value in row.items() if isinstance(value, float)]
