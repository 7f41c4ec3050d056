"""`isthmus sample`, `isthmus interpolate` and `isthmus edit`: new samples from a model, and changed ones."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import (
    Data,
    Force,
    Out,
    ReadingFlags,
    app,
    label_of,
    labels_of,
    loaded,
    loaded_application,
    note,
    opened,
    opened_for,
    told_to,
)
from .output import free_drawing, free_file, write_drawn


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
    nearest: Annotated[
        bool, Parameter(negative="", help="Beside each picture the nearest of those trained on (of --task generate).")
    ] = False,
    seed: int = 0,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Draw new samples: a .png grid of pictures, a .npy array, a .csv or .parquet table, or sentences."""
    if nearest:
        return sample_beside(model, output, n, seed, force)
    fitted = loaded(model)
    target = free_drawing(output, fitted, force)
    if prior is not None:
        discrete = hasattr(fitted.network_.bottleneck, "from_index")
        fitted.fit_prior(
            "autoregressive" if discrete else "mixture", opened_for(fitted, prior, reading)[0], told_to(fitted, prior)
        )
    return write_drawn(target, fitted.sample(n, condition=label_of(fitted, condition), random_state=seed), fitted, shape)


def sample_beside(model: Path, output: Path, n: int, seed: int, force: bool) -> None:
    """Pairs of a new picture and the nearest of those that the generator was trained on, side by side."""
    import numpy as np

    target = free_file(output, (".png",), force)
    generator = loaded_application(model, "generate")
    new = generator.sample(n, random_state=seed)
    beside, places, away = generator.nearest(new)
    pairs = np.stack([new, beside], 1).reshape(2 * n, *new.shape[1:])
    write_drawn(target, pairs, generator.model_, None, columns=2 * max(1, round((n / 2) ** 0.5)))
    closest = int(away.argmin())
    note(f"Each new picture has the nearest training picture on its right. Closest: {away[closest]:.3g} to {places[closest]}.")


@app.command
def edit(
    model: Path,
    data: Data,
    *,
    output: Out,
    having: Annotated[str, Parameter(help="DATA whose pictures have the attribute.")],
    lacking: Annotated[str, Parameter(help="DATA whose pictures have it not.")],
    strength: Annotated[
        float, Parameter(help="1: as far as those that have it are from the others; below 0: take it away.")
    ] = 1.0,
    steps: Annotated[int, Parameter(validator=Number(gte=2), help="Pictures from nothing to this strength, a row for each.")] = 5,
    n: Annotated[int, Parameter(name=["--number", "-n"], validator=Number(gte=1), help="Pictures of DATA that are shown.")] = 8,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Give pictures of DATA more and more of what those of one folder have and those of another lack: a .png grid, or .npy.

    MODEL is what 'isthmus fit PICTURES --task generate' wrote. In front stands the picture itself.
    """
    import numpy as np

    target = free_file(output, (".png", ".npy"), force)
    generator = loaded_application(model, "generate")
    X, *ends = (generator.prepared(opened(path, "images", reading)[0]) for path in (data, having, lacking))
    both = np.concatenate(ends)
    generator.learn_attribute("asked for", both, np.arange(len(both)) < len(ends[0]))
    strengths = np.linspace(0, strength, steps)
    rows = np.stack([X[:n], *(generator.edit(X[:n], "asked for", each) for each in strengths)], 1)
    write_drawn(
        target, rows.reshape(-1, *X.shape[1:]) if target.suffix == ".png" else rows, generator.model_, None, columns=steps + 1
    )


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
    rate: Annotated[float, Parameter(validator=Number(gt=0), help="Of an .mp4: frames a second.")] = 12.0,
    seed: int = 0,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Walk through the code from one sample of DATA to another: a .png grid, a way a row, a .npy array, sentences, or a film.

    Between the two samples themselves lie the decoded steps. No sample is drawn twice; where labels are known, the two differ in
    theirs, or, where the model was fitted with labels, share the one that it is told.
    """
    import numpy as np

    fitted = loaded(model)
    film = output.suffix.lower() == ".mp4" and fitted.target_schema_.kind == "images"
    target = free_file(output, (".mp4",), force) if film else free_drawing(output, fitted, force)
    if fitted.schema_.kind == "table":
        raise ValueError(
            f"{model} was fitted to a table, whose rows are walked between in Python: model.interpolate(X[:1], X[1:2])."
        )
    from ..data.lazy import Lazy

    X = pictures_for(model, data, reading) if (model / "model").is_dir() else opened_for(fitted, data, reading)[0]
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
    if film:
        return write_ways(target, ways, rate)
    return write_drawn(target, np.concatenate(ways), fitted, shape, columns=len(ways[0]))


def pictures_for(model: Path, data: str, reading: ReadingFlags | None):
    """The data as the model of an application reads them; pictures of any size as a generator makes them."""
    from .. import load

    application = load(model)
    if getattr(application, "task", None) == "generate":
        return application.prepared(opened(data, "images", reading)[0])
    return opened_for(application.model_, data, reading)[0]


def write_ways(target: Path, ways: list, rate: float) -> None:
    """Ways between pictures, one after another, as a film; small pictures are enlarged by a whole number."""
    import numpy as np

    from ..data import save_video
    from ..files import file_aside

    factor = max(1, -(-128 // max(ways[0].shape[1:3])))
    with file_aside(target) as file:
        save_video(file, (np.repeat(np.repeat(way, factor, 1), factor, 2) for way in ways), rate)


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
