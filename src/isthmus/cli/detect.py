"""`isthmus detect` and `isthmus check`: what is unlike the rest, and whether new data are like those a model was trained on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .common import Data, Force, Json, Out, ReadingFlags, app, loaded, loaded_application, note, opened_for, tell, told_to
from .output import free_file


@app.command
def detect(
    model: Path,
    data: Data,
    *,
    output: Out,
    labels: Annotated[
        Path | None, Parameter(help="A .npy file that says which are outliers: 1 and 0, or -1 and 1 as scikit-learn has it.")
    ] = None,
    train: Annotated[
        str | None, Parameter(help="The data the detector was fitted to: with --labels, the page puts simpler methods beside it.")
    ] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Score every sample of DATA by the detector that 'isthmus fit --task detect' wrote; below its threshold it is an outlier.

    As .csv a row a sample, with its name, score, and in what respect it is odd; as .npy the scores; as .html a page.
    """
    target = free_file(output, (".csv", ".npy", ".html"), force)
    detector = loaded_application(model, "detect")
    from .. import page_detect

    X, names = opened_for(detector.model_, data, reading)
    known = None if labels is None else read_labels(labels)
    before = None if train is None else opened_for(detector.model_, train, reading)[0]
    found = page_detect.Findings(detector, X, known, names, shape_of(shape, detector.model_), before)
    if target.suffix.lower() == ".html":
        page_detect.write(found, target, overwrite=force)
    else:
        page_detect.write_scores(found, target, overwrite=force)
    outliers = int(found.outlier.sum())
    result = {"output": str(target), "samples": len(found.scores), "outliers": outliers, "threshold": detector.offset_}
    result |= {"oddest": [found.name(place) for place in found.order[:5].tolist()]}
    tell(
        result,
        as_json,
        lambda: f"{target}: {outliers:,} of {len(found.scores):,} samples are outliers; oddest: {', '.join(result['oddest'])}",
    )


@app.command
def check(model: Path, data: Data, *, reading: ReadingFlags | None = None, as_json: Json = False):
    """Say whether DATA look like what MODEL (or an application's model) was trained on, and which features have drifted.

    Ends with 0 where the data are alike or single features have drifted, and with 1 where they are foreign.
    """
    from ..apps import check as compare

    fitted = loaded(model)
    X, _ = opened_for(fitted, data, reading)
    found = compare(fitted, X, condition=told_to(fitted, data))
    tell(found.to_dict(), as_json, lambda: str(found))
    if found.verdict == "foreign":
        note("isthmus: the data are foreign to the model.")
        return 1
    return 0


def read_labels(path: Path):
    """The labels in a .npy file."""
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is no .npy file of labels ({error}). Write one by np.save.") from error


def shape_of(text: str | None, model):
    """--shape as two numbers, or three, whose product is a sample's numbers."""
    if text is None:
        return None
    import math

    sizes = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if len(sizes) not in (2, 3) or model.schema_.kind != "vectors" or math.prod(sizes) != math.prod(model.schema_.shape):
        raise ValueError(
            f"--shape {text}: height and width, such as 28,28, are expected for vectors that are pictures, and their product "
            f"must be the numbers of a sample; this model's are {model.schema_.kind} of shape {model.schema_.shape}."
        )
    return sizes
