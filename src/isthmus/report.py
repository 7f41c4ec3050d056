"""One page about one model: what it rebuilds, what it loses, how its codes lie, always beside PCA.

compare(model, X, y)          the table as a list of dicts
write(model, X, "page.html")  the page: one file that needs no network
summary(model)                the layers
text_figures(model, X)        of text instead: exact match, character error rate, bits a character, and a control
"""

from collections.abc import Callable
from pathlib import Path

from . import page_samples, plots
from .files import file_aside, refuse_existing
from .information import layers
from .page import page_of
from .sentences import text_figures
from .study import COLUMNS, Study, shown_columns, written
from .study_table import study_of

__all__ = ["Study", "compare", "require_matplotlib", "study_of", "summary", "text_figures", "text_table", "write", "write_study"]


def compare(model, X, y=None, train=None, train_y=None, *, target=None, condition=None, train_condition=None) -> list[dict]:
    """The model beside PCA with as many components as a code has numbers, or, sparse and as wide as the data, active numbers.

    Parameters
    ----------
    model : fitted Autoencoder
    X : data as the model was trained on, best unseen
    y : (n_samples,), default None; classes, for the accuracy of the codes
    train, train_y : default None; what the model was trained on. PCA is fitted on it, else on X itself
    target : default X; what must come out, for a model that was fitted with a target
    condition, train_condition : default None; what a model that was fitted with a condition is told of `X` and of `train`

    Returns
    -------
    list of dict with the keys
        method : str
        numbers : int, numbers in a code
        active : float, those of them that are not zero, on average; None but for a sparse code that is as wide as the data
        error : squared error of a sample, summed over its features, on average; None where what must come out is not known.
            In pixels in [0, 1] for images, else in data units; in standard deviations where the model brought each column
            to its own scale, and then PCA is fitted to columns of that scale too
        unit : str, of the features in the error
        explained : share of the variance that is rebuilt; 1 is all of it
        accuracy : share of the samples whose nearest code (of the training data with `train_y`, else of the other
            samples) belongs to their class; None without classes

    >>> [row["method"] for row in compare(model, X)]
    ['autoencoder', 'PCA, fitted on these very data']
    """
    return study_of(model, X, y, train, train_y, target, condition=condition, train_condition=train_condition).rows


def write(
    model, X, path, *, y=None, train=None, train_y=None, target=None, condition=None, train_condition=None, title=None,
    shape=None, map_model=None, overwrite=False,
) -> Path:  # fmt: skip
    """Writes a page about `model` on `X` to `path`, one HTML file that needs nothing else; the rest as for `compare`.

    Of text, and of samples that differ in size, it shows sentences, pictures or lines beside what is rebuilt of them, and how
    much comes back; `y`, `shape` and `map_model` are then not looked at.

    Parameters
    ----------
    title : str, default None; the headline
    shape : tuple, default None; for vectors that are pictures: (height, width) or (height, width, channels)
    map_model : fitted Autoencoder of two numbers, default None; draws the map, where the model's codes are larger
    overwrite : bool, default False; replace a file that is there

    >>> write(model, X, folder / "page.html", title="Digits", shape=(8, 8)).name
    'page.html'
    """
    if page_samples.is_of_samples(model):
        return write_page(lambda: page_samples.page_of(model, X, title, train, condition, train_condition), path, overwrite)
    study = study_of(model, X, y, train, train_y, target, shape, map_model, condition, train_condition)
    return write_study(study, path, title, overwrite)


def write_study(study: "Study", path, title=None, overwrite=False) -> Path:
    """`write` for a `Study` that is at hand; its `rows` are those of `compare`, and nothing is computed twice."""
    return write_page(lambda: page_of(study, title), path, overwrite)


def write_page(made: Callable[[], str], path, overwrite: bool = False) -> Path:
    """What `made()` gives, into a file, once it is certain that it may be written."""
    path = Path(path)
    require_matplotlib()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file, such as {path / 'report.html'}.")
    refuse_existing(path, overwrite)
    page = made()
    with file_aside(path) as file:
        file.write(page.encode())
    return path


def summary(model) -> list[dict]:
    """The layers in the order the data meets them: layer, kind, output (its shape), parameters.

    >>> summary(model)[-1]["output"]
    (64,)
    """
    return layers(model)


def text_table(rows: list[dict]) -> str:
    """The rows of `compare` for a terminal.

    >>> print(text_table(compare(model, X)).splitlines()[0])
    method                          numbers a sample  squared error  variance explained
    """
    columns = shown_columns(rows)
    lines = [["method", *(COLUMNS[name][0] for name in columns)]]
    lines += [[row["method"], *(written(row, name) for name in columns)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def require_matplotlib() -> None:
    """Refuses, with the command that installs it, where matplotlib is missing."""
    plots.load_matplotlib()
