"""`isthmus cluster`: which group each sample belongs to, as a table, an array, a contact sheet or a page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .common import Data, Force, Json, Out, ReadingFlags, app, labels_of, loaded_application, note, opened_for, tell
from .output import free_file, shaped


@app.command
def cluster(
    model: Path,
    data: Data,
    *,
    output: Out,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Group DATA: a .csv table, a .npy array of group numbers, a .png contact sheet of each group, or an .html page.

    MODEL is what 'isthmus fit DATA --task cluster' wrote. Where DATA has labels, how far the groups agree with them is printed,
    beside k-means on the data themselves; nothing else asks for them.
    """
    from ..page_cluster import GroupStudy, write

    application = loaded_application(model, "cluster")
    target = free_file(output, (".csv", ".npy", ".png", ".html"), force)
    X, names = opened_for(application.model_, data, reading)
    seen = None if shape is None else shaped(X, shape)
    study = GroupStudy(application, X, labels_of(data), names, seen)
    write(study, target)
    result = {"groups": study.sizes} | ({} if study.labels is None else {"agreement": study.rows})
    tell(result, as_json, lambda: "\n".join(study.lines()))
    note(f"Wrote {target}.")
