"""`isthmus index` and `isthmus search`: samples by what they look like."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import Data, Force, Json, Out, ReadingFlags, app, loaded, loaded_application, note, opened_for, tell
from .output import free_file, refuse_unwritable, shaped


@app.command
def index(
    model: Path,
    data: Data,
    *,
    output: Out,
    codes: Annotated[
        Literal["float", "int8", "binary"], Parameter(help="4 bytes, 1 byte or 1 bit for each number of a code.")
    ] = "float",
    metric: Literal["euclidean", "cosine"] = "euclidean",
    method: Annotated[
        Literal["exact", "hnsw", "ivfpq"], Parameter(help="How to search; hnsw and ivfpq are for millions, and need faiss.")
    ] = "exact",
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Write the codes of DATA, with the names of files as ids, as an index that 'isthmus search' finds samples in.

    Without a model, 'isthmus fit DATA --task search -o INDEX' trains one that is made for it.
    """
    from ..saving import refuse_replacing

    refuse_replacing(output, force)
    refuse_unwritable(output)
    fitted = loaded(model)
    X, names = opened_for(fitted, data, reading)
    from ..apps import SearchIndex

    filled = SearchIndex(fitted, codes=codes, metric=metric, method=method).fit(X, ids=names)
    filled.source_ = source_of(data)
    filled.save(output, overwrite=force)
    result = {"index": str(output), "samples": len(filled), "bytes": filled.nbytes, "bytes_each": filled.nbytes // len(filled)}
    tell(result, as_json, lambda: f"{output}: {len(filled):,} samples, {result['bytes_each']:,} bytes each")


@app.command
def search(
    index: Path,
    query: Annotated[str, Parameter(help="What to look for: a picture, or DATA of several samples.")],
    *,
    k: Annotated[int, Parameter(name=["--neighbors", "-k"], validator=Number(gte=1), help="How many to find.")] = 10,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="A contact sheet (.png), a page (.html) or a table (.csv).")
    ] = None,
    data: Annotated[str | None, Parameter(help="Where the samples of the index lie now, to show them.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Find the k samples of INDEX that are most like each sample of QUERY."""
    target = None if output is None else free_file(output, (".png", ".html", ".csv"), force)
    found = loaded_application(index, "search")
    X, names = opened_for(found.model_, query, reading)
    from .. import page_search

    distances, ids = found.kneighbors(X, k)
    answer = page_search.Answer(found, names or [str(place) for place in range(len(ids))], ids, distances)
    if target is not None:
        if target.suffix.lower() != ".csv":
            look_up(answer, X, data, shape, reading)
        page_search.write(target, answer)
    if target is None or as_json:
        tell(page_search.rows_of(answer), as_json, lambda: page_search.lines_of(answer))
    if target is not None:
        note(f"Wrote {target}.")


def source_of(data: str) -> str:
    """Where data lie, from wherever it is asked later: a name of a data set, or a whole path."""
    from .. import datasets

    return data if datasets.is_name(data) else str(Path(data).expanduser().resolve())


def look_up(answer, X, data: str | None, shape: str | None, reading: ReadingFlags | None) -> None:
    """Puts what there is to see of queries and found samples into the answer."""
    from ..page_search import MOST

    answer.queries = seen([X[place] for place in range(min(len(answer.names), MOST))] if is_rows(X) else None, shape)
    found = samples_of(answer, data, reading)
    if found is None and answer.queries is not None and not isinstance(answer.queries, list):
        found, answer.decoded = decoded(answer), True
    if found is None or answer.queries is None:
        return
    k = answer.ids.shape[1]
    flat: Any = seen(found, shape)
    answer.found = (
        flat.reshape(-1, k, *flat.shape[1:])
        if hasattr(flat, "reshape")
        else None
        if flat is None
        else [flat[i : i + k] for i in range(0, len(flat), k)]
    )


def is_rows(X) -> bool:
    """Whether samples can be taken out one by one: of arrays, folders and lists, not of tables."""
    import numpy as np

    from ..data.lazy import Lazy

    return isinstance(X, np.ndarray | Lazy | list)


def seen(samples, shape: str | None):
    """Samples as pictures, (n, height, width[, channels]), or as texts; None where they are neither."""
    import numpy as np

    if samples is None or isinstance(samples[0], str):
        return samples
    if len({np.shape(sample) for sample in samples}) > 1:
        return None
    stacked = np.stack([np.asarray(sample) for sample in samples])
    stacked = stacked if shape is None else shaped(stacked, shape)
    return stacked if stacked.ndim in (3, 4) else None


def samples_of(answer, data: str | None, reading: ReadingFlags | None) -> list | None:
    """What was found, read again from where it lies: `data`, or where the index was made from. None where it is not there."""
    from ..page_search import MOST

    source = data or answer.index.source_
    if source is None:
        return None
    try:
        X, names = opened_for(answer.index.model_, source, reading)
    except (OSError, ValueError):
        if data is not None:
            raise
        note(f"{source}, which the index was made from, cannot be read now. --data says where the samples lie.")
        return None
    if not is_rows(X):
        return None
    places = {one: place for place, one in enumerate(range(len(X)) if names is None else names)}
    wanted = answer.ids[:MOST].ravel().tolist()
    missing = [one for one in wanted if one not in places]
    if missing and data is not None:
        raise ValueError(
            f"{data} has no sample {missing[0]!r}, which the index holds. Give the data that the index was made from."
        )
    return None if missing else [X[places[one]] for one in wanted]


def decoded(answer) -> list | None:
    """What was found, as the model remembers it; None where codes do not tell."""
    from ..page_search import MOST

    index = answer.index
    if index.codes == "binary" or index.metric == "cosine":
        return None
    return list(index.model_.inverse_transform(index.codes_of(answer.ids[:MOST].ravel())))
