"""Pictures of a model and its codes, each a small function that draws one thing with matplotlib and returns it.

history(model)              the losses, epoch by epoch
reconstructions(model, X)   originals above reconstructions above errors
codes(codes2d, labels)      a map of the codes, of two numbers or three
traversals(model, X)        what each component of the code does
"""

from typing import Any

import numpy as np
from scipy import sparse

from .data import as_array

# Ten colours that people with any colour vision tell apart (Petroff 2021, "Accessible color sequences for data
# visualization", arXiv:2107.02270).
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
OURS, OTHER = "#2f7fd0", "#cf7a20"  # the model and what it is compared with; clear on white and on black
BRIGHTER, DARKER = (214, 69, 45), (47, 127, 208)  # where a reconstruction is brighter or darker than its original
_MANY = 3000  # points from which on a map is stored as pixels: smaller than that many shapes


def load_matplotlib():
    """matplotlib with its figures, or how to get it."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib. Install it: pip install "isthmus[plot]"') from error
    return matplotlib


def new_figure(width: float, height: float):
    """A figure of so many inches that notebooks show by themselves."""
    load_matplotlib()
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


# -------------------------------------------------------------------------------------------------- one axes


def history(model, ax=None):
    """The training loss after each epoch, and the validation loss where there was validation data.

    >>> history(model).get_xlabel()
    'epoch'
    """
    ax = ax or new_figure(6, 3.5).subplots()
    for name, label, colour in (("loss", "training", OTHER), ("validation_loss", "validation", OURS)):
        losses = [record.get(name, record.get("objective")) for record in model.history_ if name in record or name == "loss"]
        if losses:
            ax.plot(range(1, len(losses) + 1), losses, color=colour, label=label, marker="o", markersize=3)
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss, nats a sample")
    if len(model.history_) >= 10:
        ax.set_xscale("log")  # most happens early
        ax.set_xticks(ticks := [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= len(model.history_)], labels=ticks)
        ax.minorticks_off()
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    bare(ax)
    return ax


def codes(codes2d, labels=None, ax=None):
    """A map: one point for each row of `codes2d`, (n, 2), or (n, 1), then in the order of the rows from bottom to top, or (n, 3),
    then in space, for which `ax` is one with projection="3d".

    Labels of classes colour the points and are written at the medians of their classes; labels that are measurements
    (floats) colour them from dark to bright.

    >>> codes(model.transform(X)[:, :2]).get_aspect()
    1.0
    """
    points = as_plane(codes2d)
    solid = points.shape[1] == 3
    ax = ax or new_figure(5, 5).add_subplot(projection="3d" if solid else None)
    labels = None if labels is None else plain_labels(labels)
    style: dict[str, Any] = {"s": 60 if len(points) < 100 else 22, "linewidths": 0, "alpha": 0.85}
    style |= {"rasterized": len(points) > _MANY} | ({"s": style["s"] / 3} if solid else {})
    if labels is None:
        ax.scatter(*points.T, color=OURS, **style)
    elif labels.dtype.kind == "f":
        drawn = ax.scatter(*points.T, c=labels, cmap="viridis", **style)
        ax.figure.colorbar(drawn, ax=ax, shrink=0.7)
    else:
        classes, index = np.unique(labels, return_inverse=True)
        ax.scatter(*points.T, c=[PALETTE[i % len(PALETTE)] for i in index], **style)
        for place, name in enumerate(classes):
            write_label(ax, np.median(points[index == place], axis=0), str(name), PALETTE[place % len(PALETTE)])
    if solid:
        ax.set(xticks=[], yticks=[], zticks=[], aspect="equal")
        ax.patch.set_visible(False)
        return ax
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.patch.set_visible(False)
    ax.set_aspect("equal" if np.shape(codes2d)[1] > 1 else "auto", adjustable="datalim")
    return ax


def write_label(ax, place, text: str, colour: str) -> None:
    """A class's name on paper of its own, framed in its colour."""
    paper = {"boxstyle": "round,pad=0.25", "facecolor": ax.get_facecolor(), "edgecolor": colour, "linewidth": 1.5}
    short = text if len(text) <= 20 else text[:19] + "…"
    ax.text(*place, short, ha="center", va="center", fontsize="small", fontweight="bold", bbox=paper, parse_math=False)


def plain_labels(labels) -> np.ndarray:
    """Labels as text, as whole numbers, or as floats where they are measurements."""
    labels = as_array(labels)
    if labels.dtype.kind == "f" and not (labels % 1).any():
        return labels.astype(np.int64)
    return labels if labels.dtype.kind in "fiu" else labels.astype(str)


def as_plane(points) -> np.ndarray:
    """(n, 2) or (n, 3): the points, or a single column with the row's number beside it."""
    points = as_array(points)
    return points if points.shape[1] in (2, 3) else np.column_stack([points[:, 0], np.arange(len(points))])


def bare(ax) -> None:
    """Only the two lines of the frame that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)


# ------------------------------------------------------------------------------------------------ whole figures


def reconstructions(model, X, n=10, *, shape=None, figure=None):
    """The first `n` samples: originals above reconstructions above signed errors (red is too bright, blue too dark).

    Vectors are drawn as lines, unless `shape` says that a row is a picture, such as (8, 8).

    >>> len(reconstructions(model, X, n=4, shape=(8, 8)).axes)
    12
    """
    return pairs(dense(X[:n]), as_array(model.reconstruct(X[:n])), shape=shape, figure=figure)


def pairs(originals, rebuilt, *, shape=None, limits=None, figure=None):
    """What `reconstructions` draws, of samples that have been rebuilt already; `limits`: what is black and white."""
    figure = figure or new_figure(len(originals), 3.2)
    limits = limits or limits_of(originals)
    above, below = (pictures(values, limits, shape) for values in (originals, rebuilt))
    axes = figure.subplots(3, len(originals), squeeze=False, sharey="row" if above is None else False)
    if above is None:
        draw_lines(axes, originals, rebuilt)
    else:
        for row, images in zip(axes, (above, below, error_pictures(above, below)), strict=True):
            for ax, picture in zip(row, images, strict=True):
                show(ax, picture)
    for ax, name in zip(axes[:, 0], ("original", "rebuilt", "error"), strict=True):
        ax.set_ylabel(name)
    return figure


def draw_lines(axes, originals, rebuilt) -> None:
    """A sample in each column of axes: the original, the reconstruction over it, and the error."""
    for column, before, after in zip(axes.T, originals, rebuilt, strict=True):
        column[0].plot(before, color=OTHER, linewidth=1)
        column[1].plot(before, color=OTHER, linewidth=1, alpha=0.5)
        column[1].plot(after, color=OURS, linewidth=1)
        column[2].plot(after - before, color=OURS, linewidth=1)
        column[1].set_ylim(column[0].get_ylim())
        for ax in column:
            ax.set(xticks=[])
            bare(ax)


def traversals(model, X, components=None, steps=7, *, shape=None, figure=None):
    """What components do: the decodings of the mean code of `X`, moved by -2 to +2 standard deviations along each of them.

    Rows are components (by default the 16 that change the decoding most), columns are steps. Vectors are drawn as lines
    over each other, from -2 (orange) to +2 (blue).

    >>> len(traversals(model, X, components=[0, 1], shape=(8, 8)).axes)
    14
    """
    moves, components, decoded = traverse(model, X, components, steps)
    limits = limits_of(decoded.reshape(-1, *decoded.shape[2:]))
    images = [pictures(row, limits, shape) for row in decoded]
    figure = figure or new_figure(steps, len(components))
    if images[0] is None:
        axes = figure.subplots(len(components), 1, squeeze=False, sharey=True)
        for ax, row in zip(axes[:, 0], decoded, strict=True):
            draw_walk(ax, row)
    else:
        axes = figure.subplots(len(components), steps, squeeze=False)
        for ax, picture in zip(axes.flat, (picture for row in images for picture in row), strict=True):
            show(ax, picture)
        for ax, move in zip(axes[0], moves, strict=True):
            ax.set_title(f"{move:+.1f}", fontsize="small")
    for ax, component in zip(axes[:, 0], components, strict=True):
        ax.set_ylabel(str(component))
    return figure


def draw_walk(ax, decoded) -> None:
    """The steps of one component as lines, from orange to blue."""
    mix = load_matplotlib().colors.LinearSegmentedColormap.from_list("walk", [OTHER, "#9a9a9a", OURS])
    for share, line in zip(np.linspace(0, 1, len(decoded)), decoded, strict=True):
        ax.plot(line, color=mix(share), linewidth=1)
    ax.set(xticks=[])
    bare(ax)


def show(ax, picture) -> None:
    """A picture with sharp pixels, black where it is 0."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


# ------------------------------------------------------------------------------------------- values to pictures


def dense(X) -> np.ndarray:
    """Samples as an array; lists of pictures are stacked."""
    return X.toarray() if sparse.issparse(X) else as_array(X)


def limits_of(values) -> tuple[float, float]:
    """Which values are black and white: the type's for whole numbers, [0, 1] for floats within it, else the ends."""
    values = np.asarray(values)
    if values.ndim > 2 and values.dtype.kind == "u":
        return 0, float(np.iinfo(values.dtype).max)
    low, high = float(values.min()), float(values.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def pictures(values, limits, shape=None) -> Any:
    """8-bit pictures (n, height, width) or (n, height, width, 3 or 4); None for vectors without a `shape`."""
    values = np.asarray(values)
    if values.ndim == 2:
        if shape is None:
            return None
        values = values.reshape(len(values), *shape)
    if values.ndim == 4 and values.shape[-1] not in (3, 4):
        values = values.mean(-1)  # one channel, or a number of them that no screen has
    low, high = limits
    shares = (values.astype(np.float64) - low) / ((high - low) or 1)
    return (shares.clip(0, 1) * 255).round().astype(np.uint8)


def error_pictures(before, after) -> np.ndarray:
    """Signed errors of 8-bit pictures as (n, height, width, 4): the colour is the sign, the opacity the size.

    Where nothing is wrong the picture is clear, so it sits on light and dark paper alike. Full colour is the largest error.
    """
    error = after.astype(np.float64) - before
    error = error[..., :3].mean(-1) if error.ndim == 4 else error
    opacity = np.abs(error) / (np.abs(error).max() or 1) * 255
    colour = np.where(error[..., None] > 0, BRIGHTER, DARKER)
    return np.concatenate([colour, opacity[..., None].round()], axis=-1).astype(np.uint8)


# --------------------------------------------------------------------------------------------------- traversing


def traverse(model, X, components=None, steps=7):
    """The decodings behind `traversals`.

    Returns
    -------
    moves : (steps,) in standard deviations;   components : list of int, those moved;
    decoded : (len(components), steps, *the shape of a sample)

    >>> traverse(model, X, components=[2], steps=5)[2].shape
    (1, 5, 64)
    """
    known = as_array(model.transform(X))
    if components is None:
        components = most_active(model, known)[:16]
    moves = np.linspace(-2, 2, steps)
    decoded = walk(model, known, components, moves)
    return moves, [int(component) for component in components], decoded


def walk(model, known, components, moves) -> np.ndarray:
    """Decodes the mean of the `known` codes, moved by `moves` standard deviations along one component after the other."""
    walks = np.tile(known.mean(0), (len(components), len(moves), 1))
    for row, component in zip(walks, components, strict=True):
        row[:, component] += moves * known[:, component].std()
    decoded = as_array(model.inverse_transform(walks.reshape(-1, known.shape[1])))
    return decoded.reshape(*walks.shape[:2], *decoded.shape[1:])


def most_active(model, known) -> np.ndarray:
    """Components, the one first whose way from -2 to +2 standard deviations changes the decoding most."""
    widest = np.argsort(-known.std(0), kind="stable")[:256]  # of large codes only these are tried
    ends = walk(model, known, widest, np.array([-2.0, 2.0])).astype(np.float64)
    change = np.square(ends[:, 1] - ends[:, 0]).reshape(len(widest), -1).sum(1)
    return widest[np.argsort(-change, kind="stable")]
