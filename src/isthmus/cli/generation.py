"""`isthmus sample` and `isthmus interpolate`: new samples from a model."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import Data, Force, Out, ReadingFlags, app, label_of, labels_of, loaded, note, opened_for, told_to
from .output import free_drawing, write_drawn


@app.command
def sample(
    model: Path,
    *,
    output: Out,
    n: Annotated[int, Parameter(name=["--number", "-n"], validator=Number(gte=1), help="How many.")] = 64,
    condition: Annotated[str | None, Parameter(help="The label to draw, where the model was fitted with labels.")] = None,
    prior: Annotated[
        str | None,
        Parameter(
            help="DATA to fit a prior to, where the model has none: a mixture, or of quantised codes an autoregressive one."
        ),
    ] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    seed: int = 0,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Draw new samples: a .png grid of pictures, a .npy array, a .csv or .parquet table, or sentences."""
    fitted = loaded(model)
    target = free_drawing(output, fitted, force)
    if prior is not None:
        discrete = hasattr(fitted.network_.bottleneck, "from_index")
        fitted.fit_prior(
            "autoregressive" if discrete else "mixture", opened_for(fitted, prior, reading)[0], told_to(fitted, prior)
        )
    write_drawn(target, fitted.sample(n, condition=label_of(fitted, condition), random_state=seed), fitted, shape)


@app.command
def interpolate(
    model: Path,
    data: Data,
    *,
    output: Out,
    n: Annotated[int, Parameter(name=["--number", "-n"], validator=Number(gte=1), help="How many ways, one a row.")] = 8,
    steps: Annotated[int, Parameter(validator=Number(gte=2), help="Decoded on each way.")] = 8,
    condition: Annotated[str | None, Parameter(help="The label to keep to, where the model was fitted with labels.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    seed: int = 0,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Walk through the code from one sample of DATA to another: a .png grid, a way a row, a .npy array, or sentences.

    Between the two samples themselves lie the decoded steps. No sample is drawn twice; where labels are known, the two differ in
    theirs, or, where the model was fitted with labels, share the one that it is told.
    """
    import numpy as np

    fitted = loaded(model)
    target = free_drawing(output, fitted, force)
    if fitted.schema_.kind == "table":
        raise ValueError(
            f"{model} was fitted to a table, whose rows are walked between in Python: model.interpolate(X[:1], X[1:2])."
        )
    from ..data.lazy import Lazy

    X, _ = opened_for(fitted, data, reading)
    if not isinstance(X, np.ndarray | Lazy) and fitted.schema_.kind != "text":
        raise ValueError(
            f"A way leads between rows of an array or pictures, and {data} holds {fitted.schema_.kind} of another form."
        )
    labels = labels_of(data)
    told = told_to(fitted, data) if condition is None else [label_of(fitted, condition)] * len(X)
    order = np.random.default_rng(seed).permutation(len(X)).tolist()
    if condition is not None and labels is not None:
        order = [place for place in order if labels[place] == told[place]] or order
    pairs = pairs_of(order, labels, told, n)
    if not pairs:
        raise ValueError(f"{data} holds no two samples to walk between. Give more samples.")
    if len(pairs) < n:
        note(f"{data} has samples for {len(pairs)} ways.")
    ways = [way_between(fitted, X[a], X[b], steps, None if told is None else told[a]) for a, b in pairs]
    if fitted.target_schema_.kind == "text":
        return write_drawn(target, [sentence for way in ways for sentence in way], fitted, None)
    write_drawn(target, np.concatenate(ways), fitted, shape, columns=len(ways[0]))


def pairs_of(order: list[int], labels, told, most: int) -> list[tuple[int, int]]:
    """Pairs of places, none twice, in the order given: told the same, else of different labels, where there are any."""

    def go_together(a: int, b: int) -> bool:
        if told is not None:
            return told[a] == told[b]
        return labels is None or labels[a] != labels[b]

    pairs: list[tuple[int, int]] = []
    while order and len(pairs) < most:
        first, *rest = order
        second = next((place for place in rest if go_together(first, place)), None)
        order = [place for place in rest if place != second]
        if second is not None:
            pairs.append((first, second))
    return pairs


def way_between(model, a, b, steps: int, label):
    """The decoded steps between two samples, and these at the ends; without them where something else comes out."""
    import numpy as np

    way = model.interpolate(a, b, steps, condition=label)
    if isinstance(way, list):
        return [a, *way, b]
    return way if model.target_schema_ is not model.schema_ else np.concatenate([a[None], way, b[None]])
