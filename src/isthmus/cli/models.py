"""The verbs of a model: encode, decode, reconstruct, impute, report, info; and the demo."""

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import (
    Data,
    Force,
    Json,
    Kind,
    Out,
    ReadingFlags,
    app,
    label_of,
    labels_of,
    loaded,
    note,
    opened_for,
    options_of,
    tell,
    told_to,
)
from .output import free_file, free_output, refuse_several, sizes_of, write_films, write_result


@app.command
def demo(*, output: Out = Path("isthmus-demo"), seed: int = 0, as_json: Json = False):
    """Train on scikit-learn's scanned digits, compare with PCA, and write a model and a report to ./isthmus-demo.

    Needs no download and less than a minute. The folder is replaced only if an earlier demo made it.
    """
    from .. import report
    from ..demo import run

    rows = run(output, seed)
    tell(rows, as_json, lambda: report.text_table(rows))
    note(f"Wrote {output}/model and {output}/report.html. Open the report in a browser.")


@app.command
def encode(
    model: Path,
    data: Data,
    *,
    output: Out,
    ray: Annotated[str | None, Parameter(help="Encode Parquet on the cluster of Ray at host:port, or auto.")] = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1), help="Processes that encode, with --ray.")] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
):
    """Write the codes of DATA, block by block, as a .npy array (n, numbers in the code).

    As .csv or .parquet, codes have named columns, with the names of the samples before them: of files, of the films that windows
    are of, of sequences in a table, or of users. As .npz, every sample's code is an array of its own, in its natural shape, under
    the name of its file: for codes that differ in size.
    With --ray, DATA is a Parquet file or a folder of them, and OUT a folder of Parquet files with the codes in the same order.
    """
    if ray is not None:
        from .. import distributed

        return distributed.encode(ray, model, data, output, force, workers)
    target = free_file(output, (".npy", ".npz", ".csv", ".parquet"), force)
    fitted = loaded(model)
    X, names = opened_for(fitted, data, reading)
    return fitted.encode_to(target, X, told_to(fitted, data), force, names)


@app.command
def decode(
    model: Path,
    codes: Path,
    *,
    output: Out,
    condition: Annotated[str | None, Parameter(help="The label to decode as, where the model was fitted with labels.")] = None,
    rate: Annotated[
        float | None, Parameter(validator=Number(gt=0), help="Of films: frames a second; that of the model's films, or 25.")
    ] = None,
    force: Force = False,
):
    """Decode codes, as 'isthmus encode' wrote them, into what the data were.

    Vectors, sequences of one length: .npy or .csv. Tables, series in tables, interactions: .csv or .parquet. Pictures: a
    folder of .png files (a name without an ending), or .npy. Films: an .mp4, a folder of them, or .npy. Sound: a folder of .wav
    files, one .wav where there is one sample, or .npz. Sequences of several lengths: .npz. Text: .txt or .jsonl.

    What the file of codes names (.csv, .parquet, .npz) keeps its name. Codes say nothing of where a film ends: its last window is
    whole. In a folder each film has a file where the codes are .csv or .parquet, which name it, and else each window.
    """
    fitted = loaded(model, only="decoder")
    target = free_output(output, fitted, force)
    from ..data import read_path

    if not codes.is_file() or codes.suffix.lower() not in (".npy", ".npz", ".csv", ".parquet"):
        raise FileNotFoundError(
            f"{codes} is no file of codes. Give the file that 'isthmus encode' wrote: .npy, .npz, .csv, .parquet."
        )
    with warnings.catch_warnings(action="ignore"):  # of names that look like numbers, which are read as they stand
        found = read_path(codes, "sequences")[0]
    found, names = named_codes(fitted, codes, found)
    refuse_several(target, found)
    refuse_several_films(target, names)
    values = fitted.inverse_transform(found, label_of(fitted, condition))
    set_rate(target, fitted.target_schema_, rate)
    write_result(target, values, names, fitted, force)


def named_codes(model, path: Path, found) -> tuple:
    """Codes as the decoder takes them, and the names of files beside them, if any; those of sequences and users are an index."""
    from ..data import Named
    from ..files import NAMES

    if isinstance(found, Named):
        return found if None in model.code_shape_ else stacked(found), found.names
    if not hasattr(found, "set_index") or found.shape[1] != (model.n_components_ or 0) + 1:
        return found, None
    first = found.columns[0]
    texts = first == NAMES or getattr(getattr(model.target_schema_, "layout", None), "are_texts", False)
    if texts and path.suffix.lower() == ".csv":  # where 007 was read as a number
        import pandas

        found[first] = pandas.read_csv(path, usecols=[0], dtype=str)[first]
    found = found.set_index(first)
    return found, list(map(str, found.index)) if first == NAMES else None


def refuse_several_films(target: Path, names: list[str] | None) -> None:
    if target.suffix.lower() == ".mp4" and len(set(names or [])) > 1:
        raise ValueError(f"-o {target}: these are {len(set(names or []))} films. Give the name of a folder, without an ending.")


def set_rate(target: Path, schema, rate: float | None) -> None:
    """The rate at which films are written; tells it where neither the model nor the user has said it."""
    if schema.kind != "video" or target.suffix.lower() == ".npy":
        return
    if rate is not None:
        schema.rate = Fraction(rate).limit_denominator(1001)
    elif schema.rate is None:
        note(f"{target}: {schema.rate_to_write} frames a second, for the model knows no rate; --rate says another")


@app.command
def reconstruct(model: Path, data: Data, *, output: Out, reading: ReadingFlags | None = None, force: Force = False):
    """Encode and decode DATA, and write the result in the form that DATA have.

    Vectors, sequences of one length: .npy or .csv. Tables, series in tables, interactions: .csv or .parquet. Pictures: a
    folder of .png files (a name without an ending) under their old names, or .npy. Films: an .mp4, a folder of them, or .npy.
    Sound: a folder of .wav files, one .wav where there is one sample, or .npz. Sequences of several lengths: .npz. Text: .txt or
    .jsonl.

    Of interactions the result are the scores of all items: of users in the order of their names, which a table holds besides.
    """
    fitted = loaded(model)
    target = free_output(output, fitted, force)
    X, names = opened_for(fitted, data, reading)
    refuse_several(target, X)
    if fitted.target_schema_.kind == "video" and target.suffix.lower() != ".npy":
        return write_films(target, fitted, X, force)
    write_result(target, fitted.reconstruct(X, told_to(fitted, data)), names, fitted, force)


@app.command
def impute(model: Path, data: Data, *, output: Out, reading: ReadingFlags | None = None, force: Force = False):
    """Fill the missing cells of DATA, a table, and no others; write it as .csv or .parquet."""
    fitted = loaded(model)
    if fitted.schema_.kind != "table":
        raise ValueError(
            f"{model} was fitted to {fitted.schema_.kind}, and impute is for tables with missing cells. Fit with --kind table, "
            "or rebuild samples as a whole: isthmus reconstruct."
        )
    target = free_output(output, fitted, force)
    write_result(target, fitted.impute(opened_for(fitted, data, reading)[0]), None, fitted, force)


@app.command
def convert(
    data: Annotated[str, Parameter(help="A .parquet file of numbers, or a folder of such files.")],
    *,
    output: Out,
    force: Force = False,
    as_json: Json = False,
):
    """Write the numbers of a Parquet data set as one .npy array, once, which training then reads several times as fast."""
    import time

    from ..data import to_blocks

    target = free_file(output, (".npy",), force)
    began = time.perf_counter()
    count, columns = to_blocks(data, target, overwrite=force)
    result = {"output": str(target), "samples": count, "columns": columns, "seconds": time.perf_counter() - began}
    tell(result, as_json, lambda: f"{target}: {count:,} samples of {columns} numbers, {result['seconds']:.1f} s")


@app.command
def report(
    model: Path,
    data: Data,
    *,
    output: Out = Path("report.html"),
    train: Annotated[str | None, Parameter(help="The data the model was trained on, to fit PCA to and to compare.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    force: Force = False,
    reading: ReadingFlags | None = None,
    as_json: Json = False,
):
    """Write a page about MODEL on DATA: losses, reconstructions, errors, the map of the codes, all beside PCA.

    Of text, and of samples that differ in size, the page shows samples beside what is rebuilt of them; of text exact match,
    character error and bits a character are told, and a control. Where MODEL is an application that compresses, the page is about
    its files: their size beside codecs, and samples before and after; where it generates, about new pictures and the nearest of
    those it learnt from.
    """
    from .. import load, page_samples
    from .. import report as page

    found = load(model)
    if hasattr(found, "compress_to"):
        return report_files(found, data, output, train, force, reading, as_json)
    if getattr(found, "task", None) == "generate":
        return report_new(found, data, output, force, as_json)
    fitted = getattr(found, "model_", found)
    free_file(output, (".html",), force)
    if page_samples.is_of_samples(fitted):
        return report_of_samples(fitted, data, train, output, reading, force, as_json)
    X, _ = opened_for(fitted, data, reading)
    y, told, train_X, train_y, train_told = labels_of(data), told_to(fitted, data), None, None, None
    if train is not None:
        train_X, train_y, train_told = opened_for(fitted, train, reading)[0], labels_of(train), told_to(fitted, train)
    size = None if shape is None else sizes_of(shape, fitted.schema_.size)
    study = page.study_of(fitted, X, y, train_X, train_y, shape=size, condition=told, train_condition=train_told)
    page.write_study(study, output, overwrite=force)
    tell(study.rows, as_json, lambda: page.text_table(study.rows))
    note(f"Wrote {output}.")


def report_files(compressor, data: str, output: Path, train: str | None, force: bool, reading, as_json: bool) -> None:
    """The page about what a compressor makes of DATA."""
    from ..ink import amount
    from ..page_compress import Files, write

    free_file(output, (".html",), force)
    X, train_X = (None if each is None else opened_for(compressor.model_, each, reading)[0] for each in (data, train))
    files = Files(compressor, X, train=train_X)
    write(files, output, overwrite=force)
    lines = (f"{name.replace('_', ' ')}: {'–' if value is None else amount(value)}" for name, value in files.told.items())
    tell(files.told, as_json, lambda: "\n".join(lines))
    note(f"Wrote {output}.")


def report_new(generator, data: str, output: Path, force: bool, as_json: bool) -> None:
    """The page about new pictures, beside those of DATA, which the generator has not seen."""
    from ..page_generate import Novelty, write

    free_file(output, (".html",), force)
    study = Novelty(generator, data)
    write(study, output, overwrite=force)
    tell(study.figures, as_json, lambda: "\n".join(f"{name}: {value:.3g}" for name, value in study.figures.items()))
    note(f"Wrote {output}.")


@app.command
def info(
    what: Annotated[str, Parameter(help="A model folder, a path to data, or a data set's name.")],
    *,
    kind: Annotated[Kind, Parameter(help="How DATA is to be read.")] = "auto",
    reading: ReadingFlags | None = None,
    as_json: Json = False,
):
    """Show what a MODEL is made of (layers, shapes, parameters, sizes), or how DATA would be read."""
    from ..information import about_data, about_model, as_text

    is_model = any((Path(what) / name).is_file() for name in ("config.json", "model.safetensors"))
    facts = about_model(Path(what)) if is_model else about_data(what, kind, **options_of(reading))
    tell(facts, as_json, lambda: as_text(facts))


def stacked(codes):
    """Codes of one shape, an array each, as (n, numbers in the code)."""
    import numpy as np

    differ = [name for name, code in zip(codes.names, codes, strict=True) if code.shape != codes[0].shape]
    if differ:
        raise ValueError(f"The codes {codes.names[0]!r} and {differ[0]!r} differ in shape, but this model's have one shape.")
    return np.stack(codes).reshape(len(codes), -1)


def report_of_samples(model, data: str, train: str | None, output: Path, reading, force: bool, as_json: bool) -> None:
    """What `report` writes and tells of text, and of samples that differ in size."""
    from .. import page_samples, sentences
    from ..report import write_page

    X, learnt = opened_for(model, data, reading)[0], None if train is None else opened_for(model, train, reading)[0]
    rows = page_samples.figures_of(model, X, learnt)
    write_page(lambda: page_samples.page_of(model, X, train=learnt, rows=rows), output, force)
    as_text = sentences.figures_as_text if model.schema_.kind == "text" else page_samples.figures_as_text
    tell(rows, as_json, lambda: as_text(rows))
    note(f"Wrote {output}.")
