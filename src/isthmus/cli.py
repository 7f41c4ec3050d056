"""The command line: `isthmus VERB ...`. Results go to stdout, progress and messages to stderr."""

import ast
import inspect
import json
import math
import os
import signal
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Yaml
from cyclopts.validators import Number

from . import __version__

# Nothing heavy is imported before a command runs, so that help is quick.

app = App(
    name="isthmus",
    help="Train an autoencoder on the data you have, and put its code to work.",
    version=__version__,
    help_format="plaintext",  # markdown and boxes would cost a third of the time that help takes
    help_formatter="plain",
    suppress_keyboard_interrupt=False,  # `main` says what Ctrl-C did
)

Data = Annotated[
    str,
    Parameter(
        help="A path (folder of pictures, films or sound, .mp4, .npy, .npz, .csv, .parquet, .txt, .jsonl) or digits, mnist."
    ),
]
Out = Annotated[Path, Parameter(name=["--output", "-o"], help="Where to write.")]
Preset = Annotated[
    str,
    Parameter(validator=lambda _, name: refuse_unknown(name), help="A variant; 'isthmus presets' lists them."),
]
Choices = Annotated[
    list[str],
    Parameter(name="--set", negative="", help="NAME=VALUE: a parameter of the preset, such as k=8. May be given several times."),
]
Force = Annotated[bool, Parameter(negative="", help="Replace what is already there.")]


def height_and_width(_, tokens) -> tuple[int, int]:
    """48,64 as two numbers."""
    parts = tokens[0].value.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise ValueError(f"--size {tokens[0].value}: height and width are expected, such as 48,64.")
    return int(parts[0]), int(parts[1])


Size = Annotated[
    tuple[int, int] | None,
    Parameter(negative="", n_tokens=1, converter=height_and_width, help="Height and width to resize films to: 48,64."),
]


@Parameter(name="*")
@dataclass
class Reading:
    """How files are read."""

    skip_corrupt: Annotated[bool, Parameter(negative="", help="Leave out pictures that cannot be read.")] = False
    frames: Annotated[int | None, Parameter(validator=Number(gte=1), help="Of a window of a film; 16, or the model's.")] = None
    size: Size = None


Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]
Kind = Literal["auto", "vectors", "table", "images", "video", "sequences", "sound", "mel", "interactions", "text"]
NAME_WIDTH = 24  # of the column of presets


@app.command
def demo(*, output: Out = Path("isthmus-demo"), seed: int = 0, as_json: Json = False):
    """Train on scikit-learn's scanned digits, compare with PCA, and write a model and a report to ./isthmus-demo.

    Needs no download and less than a minute. The folder is replaced only if an earlier demo made it.
    """
    from . import report
    from .demo import run

    rows = run(output, seed)
    tell(rows, as_json, lambda: report.text_table(rows))
    note(f"Wrote {output}/model and {output}/report.html. Open the report in a browser.")


@app.command
def fit(
    data: Data,
    *,
    output: Out,
    preset: Preset | None = None,
    n_components: Annotated[
        Literal["auto", "none"] | int | None,
        Parameter(
            name=["--n-components", "-n"], negative="", help="Numbers in the code, or none: the natural code, such as a map."
        ),
    ] = None,
    hidden: Annotated[str | None, Parameter(help="Nodes of each hidden layer, first to last: 128,64.")] = None,
    choices: Choices | None = None,
    loss: Literal["auto", "squared", "absolute", "bernoulli", "multinomial", "columns", "categorical", "ssim"] | None = None,
    noise: Annotated[float | None, Parameter(help="Train to remove Gaussian noise of this standard deviation.")] = None,
    kind: Kind | None = None,
    tokens: Annotated[str | None, Parameter(help="Of text: bytes, or bpe:2000, so many learnt from the data.")] = None,
    longest: Annotated[int | None, Parameter(help="Of text: tokens in the longest sentence that is read.")] = None,
    scale: Literal["auto", "none", "standard", "minmax"] | None = None,
    epochs: Annotated[int | None, Parameter(help="Passes over the data.")] = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    patience: Annotated[int | None, Parameter(help="Stop after so many epochs without a better validation loss.")] = None,
    validation: Annotated[str | None, Parameter(help="Data to validate on, or a share of DATA such as 0.1.")] = None,
    conditional: Annotated[bool, Parameter(negative="", help="Tell the network each sample's label (named data sets).")] = False,
    device: str | None = None,
    memory_limit: Annotated[str | None, Parameter(help="Bytes that training data may take, such as 1GB.")] = None,
    seed: int = 0,
    reading: Reading | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Train a model on DATA and save it as the folder given with -o. Ctrl-C ends the training early and keeps the model."""
    from .saving import refuse_replacing

    refuse_replacing(output, force)
    refuse_unwritable(output)
    given = {
        "max_epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "patience": patience, "loss": loss, "kind": kind, "scale": scale, "device": device,
    }  # fmt: skip
    settings: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None
    }  # the rest is as the preset has it
    if n_components is not None:
        settings["n_components"] = None if n_components == "none" else n_components
    model = composed(preset, choices or [], hidden, noise, settings | {"random_state": seed, "verbose": 2})
    limited(model, memory_limit)
    text = text_of(tokens, longest, kind)
    X, _, read = opened(data, model.kind if text is None else text.kind, reading, memory_limit)
    note(read_as(data, X, read))
    model.kind = text or read
    condition = condition_of(data, conditional or model.asks_condition)
    with EndingEarly() as early:
        model.fit(X, condition=condition, validation=validation_of(validation, read, reading), callbacks=[early])
        model.save(output, overwrite=force)
    last = model.history_[-1]
    reached = "loss" if "loss" in last else "objective"
    result = {"model": str(output), "epochs": model.n_iter_, "code": list(model.code_shape_), **last}
    tell(
        result,
        as_json,
        lambda: f"{output}: {model.n_iter_} epochs, a code of {size_of_code(model)}, {reached} {last[reached]:.4g}",
    )
    if early.asked:
        raise KeyboardInterrupt(f"stopped by Ctrl-C after epoch {model.n_iter_}; the model so far is in {output}.")


@app.command
def encode(model: Path, data: Data, *, output: Out, reading: Reading | None = None, force: Force = False):
    """Write the codes of DATA, block by block, as a .npy array (n, numbers in the code).

    As .csv or .parquet, codes have named columns, with the names of files before them, or of interactions the users.
    """
    target = free_file(output, (".npy", ".csv", ".parquet"), force)
    fitted = loaded(model)
    X, names = opened_for(fitted, data, reading)
    users = fitted.schema_.kind == "interactions" and target.suffix.lower() != ".npy"
    if target.suffix.lower() != ".csv" and not users:
        return fitted.encode_to(target, X, told_to(fitted, data), force, names)
    from .data.frames import write_frame
    from .files import NAMES, file_aside

    codes = fitted.set_output(transform="pandas").transform(X, told_to(fitted, data))
    if names is not None:
        codes.insert(0, NAMES, names)
    with file_aside(target) as file:
        write_frame(file, codes if codes.index.name is None else codes.reset_index(), target.suffix.lower())
    return None


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

    from .data import to_blocks

    target = free_file(output, (".npy",), force)
    began = time.perf_counter()
    count, columns = to_blocks(data, target, overwrite=force)
    result = {"output": str(target), "samples": count, "columns": columns, "seconds": time.perf_counter() - began}
    tell(result, as_json, lambda: f"{target}: {count:,} samples of {columns} numbers, {result['seconds']:.1f} s")


@app.command
def decode(
    model: Path,
    codes: Path,
    *,
    output: Out,
    condition: Annotated[str | None, Parameter(help="The label to decode as, where the model was fitted with labels.")] = None,
    force: Force = False,
):
    """Decode codes, .npy or .parquet, into a .npy array, a table, a folder of .png pictures, or a .txt file, as the data were."""
    fitted = loaded(model, only="decoder")
    film = fitted.target_schema_.kind == "video"  # codes say nothing of the rate, nor where a film ends
    target = free_file(output, (".npy",), force) if film else free_output(output, fitted, force)
    from .data import read_path
    from .files import NAMES

    if not codes.is_file() or codes.suffix.lower() not in (".npy", ".csv", ".parquet"):
        raise FileNotFoundError(f"{codes} is no file of codes. Give the .npy, .csv or .parquet file that 'isthmus encode' wrote.")
    found, names = read_path(codes)[0], None
    if hasattr(found, "set_index") and found.shape[1] == (fitted.n_components_ or 0) + 1:
        found = found.set_index(found.columns[0])  # the users, or the names of files, that `encode` wrote beside the codes
        names = found.index.tolist() if found.index.name == NAMES else None
    write_result(target, fitted.inverse_transform(found, label_of(fitted, condition)), names, fitted, force)


@app.command
def reconstruct(model: Path, data: Data, *, output: Out, reading: Reading | None = None, force: Force = False):
    """Encode and decode DATA; write a .npy array, a .csv or .parquet table, a folder of .png pictures or films under their old
    names, or an .mp4.

    Of interactions the result are the scores of all items: of users in the order of their names, which a table holds besides.
    """
    fitted = loaded(model)
    target = free_output(output, fitted, force)
    X, names = opened_for(fitted, data, reading)
    if fitted.target_schema_.kind == "video" and target.suffix.lower() != ".npy":
        return write_films(target, fitted, X, force)
    write_result(target, fitted.reconstruct(X, told_to(fitted, data)), names, fitted, force)


@app.command
def impute(model: Path, data: Data, *, output: Out, reading: Reading | None = None, force: Force = False):
    """Fill the missing cells of DATA, a table, and no others; write it as .csv or .parquet."""
    fitted = loaded(model)
    target = free_output(output, fitted, force)
    write_result(target, fitted.impute(opened_for(fitted, data, reading)[0]), None, fitted, force)


@app.command
def report(
    model: Path,
    data: Data,
    *,
    output: Out = Path("report.html"),
    train: Annotated[str | None, Parameter(help="The data the model was trained on, to fit PCA to and to compare.")] = None,
    force: Force = False,
    reading: Reading | None = None,
    as_json: Json = False,
):
    """Write a page about MODEL on DATA: losses, reconstructions, errors, the map of the codes, all beside PCA.

    Of text no page is written: exact match, character error and bits a character are printed, and a control.
    """
    from . import report as page

    fitted = loaded(model)
    if fitted.schema_.kind == "text":
        return tell_text_figures(fitted, data, train, as_json)
    free_file(output, (".html",), force)
    X, _ = opened_for(fitted, data, reading)
    y, told, train_X, train_y, train_told = labels_of(data), told_to(fitted, data), None, None, None
    if train is not None:
        train_X, train_y, train_told = opened_for(fitted, train, reading)[0], labels_of(train), told_to(fitted, train)
    study = page.study_of(fitted, X, y, train_X, train_y, condition=told, train_condition=train_told)
    page.write_study(study, output, overwrite=force)
    tell(study.rows, as_json, lambda: page.text_table(study.rows))
    note(f"Wrote {output}.")


@app.command
def presets(*, as_json: Json = False):
    """List the variants that `fit --preset` knows, and what each can be told with --set, at its default."""
    from .presets import PRESETS

    rows: dict[str, Any] = {
        name: {"summary": summary_of(preset), "parameters": own_parameters(preset)} for name, preset in PRESETS.items()
    }
    tell(rows, as_json, lambda: "\n".join(preset_lines(name, **row) for name, row in rows.items()))


@app.command
def sample(
    model: Path,
    *,
    output: Out,
    n: Annotated[int, Parameter(name=["--number", "-n"], validator=Number(gte=1), help="How many.")] = 64,
    condition: Annotated[str | None, Parameter(help="The label to draw, where the model was fitted with labels.")] = None,
    prior: Annotated[str | None, Parameter(help="DATA to fit a mixture of Gaussians to, where the model has no prior.")] = None,
    shape: Annotated[str | None, Parameter(help="Of vectors that are pictures: 28,28.")] = None,
    seed: int = 0,
    reading: Reading | None = None,
    force: Force = False,
):
    """Draw new samples: a .png grid of pictures, a .npy array, a .csv or .parquet table, or sentences."""
    fitted = loaded(model)
    target = free_drawing(output, fitted, force)
    if prior is not None:
        fitted.fit_prior("mixture", opened_for(fitted, prior, reading)[0], told_to(fitted, prior))
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
    reading: Reading | None = None,
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
    from .data.lazy import Lazy

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


@app.command
def info(
    what: Annotated[str, Parameter(help="A model folder, a path to data, or a data set's name.")],
    *,
    kind: Annotated[Kind, Parameter(help="How DATA is to be read.")] = "auto",
    reading: Reading | None = None,
    as_json: Json = False,
):
    """Show what a MODEL is made of (layers, shapes, parameters, sizes), or how DATA would be read."""
    from .information import about_data, about_model, as_text

    is_model = any((Path(what) / name).is_file() for name in ("config.json", "model.safetensors"))
    facts = about_model(Path(what)) if is_model else about_data(what, kind, **options_of(reading))
    tell(facts, as_json, lambda: as_text(facts))


# --------------------------------------------------------------------------------------------------- helpers


def composed(preset: str | None, choices: list[str], hidden: str | None, noise: float | None, settings: dict):
    """The estimator that the flags describe."""
    from . import Autoencoder, presets
    from .parts import Noise

    make = Autoencoder if preset is None else presets.PRESETS[preset]
    known = {} if preset is None else own_parameters(make)
    flags = settings | ({} if hidden is None else widths_of(hidden, make, known, preset))
    if noise is not None:
        flags |= {"noise": noise} if "noise" in known else {"corruption": Noise(noise)}
    own = chosen(preset, choices, known)
    for name in own.keys() & flags.keys():
        raise ValueError(f"--set {name}={own[name]}: --{name} says the same. Leave one of them out.")
    return make(**flags | own)


def size_of_code(model) -> str:
    """How many numbers it is, or its shape, where that differs as the samples do."""
    if model.n_components_ is not None:
        return f"{model.n_components_} numbers"
    return f"shape ({', '.join('any' if length is None else str(length) for length in model.code_shape_)})"


def text_of(tokens: str | None, longest: int | None, kind: str | None):
    """How text is to be read, where the flags say more than its name."""
    if tokens is None and longest is None:
        return None
    if kind not in (None, "auto", "text"):
        raise ValueError(f"--tokens and --longest are for text, but --kind is {kind}. Leave one out.")
    from . import Text

    name, _, size = (tokens or "bytes").partition(":")
    if name not in ("bytes", "bpe") or (size and not (name == "bpe" and size.isdecimal())):
        raise ValueError(f"--tokens {tokens}: bytes, bpe or bpe:2000 is expected.")
    return Text(name, **({"size": int(size)} if size else {}), longest=longest)


def tell_text_figures(model, data: str, train: str | None, as_json: bool) -> None:
    """What `report` tells of a model of text."""
    from . import sentences

    rows = sentences.text_figures(model, opened(data, "text")[0], train=None if train is None else opened(train, "text")[0])
    tell(rows, as_json, lambda: sentences.figures_as_text(rows))


def widths_of(hidden: str, make, known: dict, preset: str | None) -> dict:
    """Where `--hidden` goes: to the preset, where it asks for it, else to dense layers in place of those chosen by the data."""
    from .parts import Dense
    from .parts.base import is_auto

    try:
        widths = tuple(int(width) for width in hidden.split(",") if width)
    except ValueError:
        raise ValueError(f"--hidden {hidden}: whole numbers separated by commas are expected, such as 128,64.") from None
    if "hidden" in known:
        return {"hidden": widths}
    if not is_auto(make().architecture):
        raise ValueError(f"--hidden says how wide dense layers are, which --preset {preset} does not ask for. Leave one out.")
    return {"architecture": Dense(widths)}


def chosen(preset: str | None, choices: list[str], known: dict) -> dict:
    """What `--set NAME=VALUE` says, with numbers as numbers."""
    own = {}
    for choice in choices:
        name, equals, value = choice.partition("=")
        if preset is None:
            raise ValueError(f"--set {choice}: it sets a parameter of a preset. Name one, such as --preset topk.")
        if not equals or name not in known:
            can = ", ".join(f"{name}={default}" for name, default in known.items())
            raise ValueError(f"--set {choice}: NAME=VALUE is expected, and --preset {preset} has {can}.")
        own[name] = plain(value)
    return own


def plain(text: str):
    """Numbers (several between commas), True, False and None as what they are; anything else as text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def own_parameters(preset) -> dict:
    """What a preset asks for besides the size of the code, and its defaults."""
    given = inspect.signature(preset).parameters.values()
    return {parameter.name: parameter.default for parameter in given if parameter.kind is parameter.KEYWORD_ONLY}


def summary_of(preset) -> str:
    return (preset.__doc__ or "").splitlines()[0]


def preset_lines(name: str, summary: str, parameters: dict) -> str:
    choices = " ".join(f"--set {own}={str(default).replace(' ', '').strip('()')}" for own, default in parameters.items())
    return f"{name:{NAME_WIDTH}}{summary}\n{'':{NAME_WIDTH}}{choices}"


def refuse_unknown(preset: str | None) -> None:
    """Refuses a preset that is not in the table, before anything else is looked at."""
    from .presets import PRESETS

    if preset is not None and preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}. Those there are: {', '.join(PRESETS)}.")


class EndingEarly:
    """A callback of `fit`: Ctrl-C lets the epoch end, so that its model can be saved; a second one stops at once."""

    asked = False

    def __enter__(self):
        self.before = signal.getsignal(signal.SIGINT)
        if self.before is signal.default_int_handler:  # a job in the background ignores Ctrl-C, and shall go on doing so
            signal.signal(signal.SIGINT, self.ask)
        return self

    def ask(self, *_):
        self.asked = True
        signal.signal(signal.SIGINT, self.before)
        note("\nisthmus: stopping after this epoch. Ctrl-C again stops at once and keeps nothing.")

    def on_epoch_end(self, network, record) -> bool:
        return self.asked

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)


def limited(model, memory_limit: str | None) -> None:
    """Sets the bound on memory, where one was given."""
    from . import Training

    if memory_limit is not None:
        model.training = (model.training or Training()).set_params(memory_limit=memory_limit)
        model.training.check_ranges()


def options_of(reading: Reading | None) -> dict:
    """What the flags say of how files are read."""
    return {name: value for name, value in asdict(reading or Reading()).items() if value}


def opened_for(model, data: str, reading: Reading | None = None):
    """The data as a model reads them, and the names of its pictures."""
    return opened(data, model.schema_.kind, Reading(**model.schema_.reading | options_of(reading)))[:2]


def opened(data: str, kind: str, reading: Reading | None = None, memory_limit: str | None = None):
    """The data at a path or under a name, the names of its pictures, and its kind."""
    from . import datasets
    from .data import read_path
    from .data.memory import in_bytes

    if datasets.is_name(data):
        X, names, kind = datasets.load(data)[0], None, "images" if kind == "auto" else kind
    else:
        limit = None if memory_limit is None else in_bytes(memory_limit)
        X, names = read_path(data, kind, limit, **options_of(reading))
    return flat(X) if kind == "vectors" and len(getattr(X, "shape", ())) > 2 and len(X) else X, names, kind


def flat(X):
    import numpy as np

    return np.asarray(X).reshape(len(X), -1)


def read_as(data: str, X, kind: str) -> str:
    """What the data are taken for; where that is wrong, --kind says it better."""
    from .data import open_data

    X, found = open_data(X, kind)
    shape = X.shape if hasattr(X, "shape") else (len(X),)
    size = f", {' x '.join(f'{length:,}' for length in shape)}" + (f" {X.dtype}" if hasattr(X, "dtype") else "")
    return f"{data}: read as {found}{size}" + (" (guessed; --kind says it)" if kind == "auto" else "")


def condition_of(data: str, wanted: bool):
    """The labels of a named data set, where a network is to be told them."""
    if not wanted:
        return None
    labels = labels_of(data)
    if labels is None:
        raise ValueError(f"{data} has no labels to tell the network. Name a data set that has (mnist:train), or use Python.")
    return labels


def told_to(model, data: str):
    """What a model that was fitted with labels is told of the data."""
    return condition_of(data, model.condition_ is not None)


def label_of(model, text: str | None):
    """A label as the model knows it, from its spelling."""
    if text is None or model.condition_ is None or model.condition_.classes is None:
        return text
    known = {str(label): label for label in model.condition_.classes}
    return known.get(text, text)


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


def labels_of(data: str):
    from . import datasets

    return datasets.load(data)[1] if datasets.is_name(data) else None


def validation_of(text: str | None, kind: str, reading: Reading | None):
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return opened(text, kind, reading)[0]


def loaded(path: Path, only=None):
    from . import load

    return load(path, only=only)


def refuse_unwritable(path: Path) -> None:
    """Says before the work, not after it, that its result cannot be written."""
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: {parent} is no folder that you may write to. Choose another place.")


def free_file(path: Path, suffixes: tuple[str, ...], force: bool) -> Path:
    """The path, once it is certain that it has a known ending and may be written."""
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"-o {path}: a file that ends in {' or '.join(suffixes)} is expected.")
    from .files import refuse_existing

    refuse_existing(path, force)
    return path


def free_output(path: Path, model, force: bool) -> Path:
    """A file of an ending that the kind of data has, or a folder: a new one, or with --force one of nothing but results."""
    schema = model.target_schema_
    if not path.suffix and "" in schema.endings:
        refuse_replacing_folder(path, schema, force)
        return path
    return free_file(path, tuple(ending for ending in schema.endings if ending), force)


def free_drawing(path: Path, model, force: bool) -> Path:
    """A file for new samples: what their kind of data is written to, or a picture, where they are arrays; no film, for a drawing
    has no rate, and no folder of pictures."""
    endings = model.target_schema_.endings
    if ".npy" not in endings:
        return free_output(path, model, force)
    return free_file(path, (".png", *(ending for ending in endings if ending not in ("", ".mp4"))), force)


def refuse_replacing_folder(path: Path, schema, force: bool) -> None:
    from .files import refuse_existing

    refuse_existing(path, force)
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, and {schema.kind} go to a folder. Choose another name.")
    others = schema.others_in(path) if path.exists() else []
    if others:
        raise FileExistsError(
            f"{path} holds what isthmus did not write ({', '.join(others[:3])}), so it is not replaced. Choose another name, or "
            "move that away."
        )


def write_result(path: Path, values, names: list[str] | None, model, force: bool) -> None:
    """Samples in a file or a folder, written aside and renamed: a failure leaves nothing behind."""
    from .files import file_aside, folder_aside

    schema = model.target_schema_
    if path.suffix:
        with file_aside(path) as file:
            schema.write_file(file, values, path.suffix.lower())
        return
    width = len(str(len(values) - 1))
    with folder_aside(path, replace=force) as aside:
        schema.write_folder(aside, values, names or [f"{i:0{width}d}" for i in range(len(values))])


def write_films(path: Path, model, clips, force: bool) -> None:
    """Every film rebuilt, as many frames at its rate: as one .mp4, or in a folder under its old name."""
    from .data import Clips
    from .files import file_aside, folder_aside

    if not isinstance(clips, Clips):
        raise ValueError(f"-o {path}: what comes from an array has no frame rate. Write an array, .npy.")
    if path.suffix:
        if len(clips.films) > 1:
            raise ValueError(f"-o {path}: these are {len(clips.films)} films. Give the name of a folder, without an ending.")
        with file_aside(path) as file:
            write_rebuilt(file, model, clips, 0)
        return
    with folder_aside(path, replace=force) as aside:
        for number, name in enumerate(clips.names):
            place = aside / Path(name).with_suffix(".mp4")
            place = aside / f"{name}.mp4" if place.exists() else place  # a.mkv beside a.mp4
            place.parent.mkdir(parents=True, exist_ok=True)
            with open(place, "wb") as file:
                write_rebuilt(file, model, clips, number)


def write_rebuilt(file, model, clips, number: int) -> None:
    """One film, rebuilt a few windows at a time."""
    from .data import save_video

    film, windows = clips.films[number], clips.windows_of(number)
    several = max(1, min(model.block_, 2**28 * len(clips) // clips.nbytes))  # a quarter of a gigabyte
    parts = (windows[i : i + several] for i in range(0, len(windows), several))
    save_video(
        file, (window for part in parts for window in model.reconstruct(clips[part.start : part.stop])), film.rate, len(film)
    )


def write_drawn(path: Path, values, model, shape: str | None, columns: int | None = None) -> None:
    """Samples as pictures side by side in one .png, or in a file as their kind of data is written to."""
    if path.suffix.lower() != ".png":
        return write_result(path, values, None, model, force=True)
    import numpy as np

    from .data.images import as_bytes, grid
    from .files import file_aside

    values = values if shape is None else shaped(values, shape)
    if values.ndim not in (3, 4):
        raise ValueError(
            f"The samples have shape {values.shape[1:]} and are no pictures. Give --shape 28,28, or write a .npy array."
        )
    low, high = (
        (0.0, 1.0) if values.dtype.kind == "u" or (values.min() >= 0 and values.max() <= 1) else (values.min(), values.max())
    )
    pictures = values if values.dtype.kind == "u" else as_bytes((values - low) / (high - low))
    from PIL import Image

    with file_aside(path) as file:
        Image.fromarray(as_bytes(grid(np.asarray(pictures), columns))).save(file, "PNG")
    return None


def shaped(values, shape: str):
    """Vectors as the pictures that `--shape` says they are."""
    try:
        sizes = tuple(int(size) for size in shape.split(","))
    except ValueError:
        sizes = ()
    numbers = math.prod(values.shape[1:])
    if len(sizes) not in (2, 3) or min(sizes) < 1 or math.prod(sizes) != numbers:
        raise ValueError(
            f"--shape {shape}: height and width, such as 28,28, are expected (and channels, such as 32,32,3), and their product "
            f"must be the {numbers:,} numbers of a sample."
        )
    return values.reshape(len(values), *sizes)


def write_array(path: Path, values) -> None:
    """A .npy array, written aside and renamed."""
    import numpy as np

    from .files import file_aside

    with file_aside(path) as file:
        np.save(file, values)


def tell(result, as_json: bool, text) -> None:
    """The command's result on stdout: JSON for programs, else what `text()` gives."""
    print(json.dumps(result, default=str) if as_json else text())


def note(text: str) -> None:
    print(text, file=sys.stderr)


# ------------------------------------------------------------------------------------------------------ main


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 where it worked, 1 where it failed, 2 where it was called wrongly, 130 after Ctrl-C."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    tokens = [token for token in tokens if token != "--debug"]
    shown, warnings.formatwarning = warnings.formatwarning, lambda message, *_: f"isthmus: {message}\n"
    try:
        tokens = with_config(tokens)
        app(tokens or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        note(f"isthmus: {' '.join(str(error).split())}\nSee: isthmus --help")
        return 2
    except KeyboardInterrupt as stop:
        note(f"isthmus: {str(stop) or 'stopped by Ctrl-C before anything was written.'}")
        return 130
    except Exception as error:
        if debug:
            raise
        note(f"isthmus: {spoken(error)}")
        return 1
    finally:
        warnings.formatwarning = shown
    return 0


def spoken(error: Exception) -> str:
    """An error as a sentence; the system's own name the file first."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def with_config(tokens: list[str]) -> list[str]:
    """Takes `--config file.yaml` out of the tokens and reads it: `fit: {n-components: 8}` stands for `fit -n 8`."""
    app.config = ()  # that of an earlier call in this process is over
    if "--config" not in tokens:
        return tokens
    place = tokens.index("--config")
    if place + 1 == len(tokens):
        raise ValueError("--config needs the path of a .yaml file.")
    app.config = (Yaml(tokens[place + 1], must_exist=True),)
    return tokens[:place] + tokens[place + 2 :]


if __name__ == "__main__":
    sys.exit(main())
