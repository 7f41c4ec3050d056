"""`isthmus recommend`: for each user the items that they may like next."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .common import Data, Force, Json, Out, ReadingFlags, app, loaded_application, note, opened, tell
from .output import free_file


@app.command
def recommend(
    model: Path,
    data: Data,
    *,
    output: Out,
    k: Annotated[int, Parameter(name="-k", help="Items for each user.")] = 10,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Write what each user in DATA may like next, best first: user, rank, item, score, and the item that it is because of.

    MODEL is what 'isthmus fit RATINGS --task recommend' wrote; DATA are histories with the same items, of any users.
    """
    target = free_file(output, (".csv", ".parquet"), force)
    recommender = loaded_application(model, "recommend")
    from ..data.frames import write_frame
    from ..files import file_aside

    found = recommender.recommend(opened(data, "interactions", reading)[0], k)
    frame = numbered(*found) if isinstance(found, tuple) else found
    with file_aside(target) as file:
        write_frame(file, frame, target.suffix.lower())
    result = {"output": str(target), "method": recommender.method_, "rows": len(frame), "comparison": recommender.comparison_}
    tell(result, as_json, lambda: f"{target}: {len(frame):,} rows, by the {said(recommender.method_)}")
    if recommender.method_ == "closed_form" and recommender.method == "auto":
        note("The closed form found more than the autoencoder did on the users it was compared on; so it is what was used.")


def said(method: str) -> str:
    return {"closed_form": "closed form", "blend": "blend of autoencoder and closed form"}.get(method, method)


def numbered(items, scores):
    """Items of a matrix, whose users and items are numbers, as a frame."""
    import numpy as np
    import pandas

    user, rank = np.nonzero(np.isfinite(scores))
    return pandas.DataFrame({"user": user, "rank": rank + 1, "item": items[user, rank], "score": scores[user, rank]})
