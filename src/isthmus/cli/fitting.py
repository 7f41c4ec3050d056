"""`isthmus fit` and `isthmus presets`: a model, or an application, from flags."""

import ast
import inspect
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import Data, Force, Json, Kind, Out, ReadingFlags, app, condition_of, note, opened, tell
from .output import refuse_unwritable
from .search import source_of

Preset = Annotated[
    str,
    Parameter(validator=lambda _, name: refuse_unknown(name), help="A variant; 'isthmus presets' lists them."),
]
Choices = Annotated[
    list[str],
    Parameter(name="--set", negative="", help="NAME=VALUE: a parameter of the preset, such as k=8. May be given several times."),
]
# The names in `apps.APPLICATIONS`, which would be slow to import for help.
TASKS: tuple[str, ...] = (
    "map", "cluster", "search", "detect", "compress", "lossless", "restore", "forecast", "recommend", "generate",
)  # fmt: skip
TORCHRUN = "torchrun --nproc-per-node {} -m isthmus fit ..."
NAME_WIDTH = 24  # of the column of presets


@app.command
def fit(
    data: Data,
    *,
    output: Out,
    task: Annotated[
        str | None, Parameter(validator=lambda _, name: refuse_unknown_task(name), help=f"What for: {', '.join(TASKS)}.")
    ] = None,
    preset: Preset | None = None,
    n_components: Annotated[
        Literal["auto", "none"] | int | None,
        Parameter(
            name=["--n-components", "-n"], negative="", help="Numbers in the code, or none: the natural code, such as a map."
        ),
    ] = None,
    hidden: Annotated[str | None, Parameter(help="Nodes of each hidden layer, first to last: 128,64.")] = None,
    choices: Choices | None = None,
    loss: Literal[
        "auto", "squared", "absolute", "bernoulli", "multinomial", "columns", "categorical", "ssim", "pixels", "pinball"
    ]
    | None = None,
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
    target: Annotated[
        str | None, Parameter(help="What must come out for each sample, such as a folder of clean pictures under the same names.")
    ] = None,
    conditional: Annotated[bool, Parameter(negative="", help="Tell the network each sample's label (named data sets).")] = False,
    device: str | None = None,
    memory_limit: Annotated[str | None, Parameter(help="Bytes that training data may take, such as 1GB.")] = None,
    max_time: Annotated[float | None, Parameter(help="Seconds after which the training ends.")] = None,
    checkpoint: Annotated[
        Path | None, Parameter(help="Folder to keep the run in: after it was stopped, the same command goes on.")
    ] = None,
    seed: int = 0,
    ray: Annotated[str | None, Parameter(help="Train on the cluster of Ray at this address: host:port, or auto.")] = None,
    workers: Annotated[int, Parameter(validator=Number(gte=1), help="Processes that train together, with --ray.")] = 1,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Train a model on DATA and save it as the folder given with -o. Ctrl-C ends the training early and keeps the model.

    With --checkpoint it keeps the run instead, and so does whatever else stops it: the same command goes on where it was, and
    ends with the same model as if nothing had happened.

    With --task, what is trained and saved is an application with its model, and --set reaches the application's parameters too.

    Several processes train together where torchrun starts them, or with --ray; --batch-size is what they share.
    """
    arguments = locals() | {"ray": None, "workers": 1}
    from .. import callbacks
    from ..saving import refuse_replacing

    refuse_replacing(output, force)
    refuse_unwritable(output)
    if ray is not None:
        from .. import distributed

        distributed.fit(ray, workers, arguments)
        return tell({"model": str(output), "workers": workers}, as_json, lambda: f"{output}: trained by {workers} workers")
    if workers > 1:
        raise ValueError(f"--workers {workers} is for a cluster, --ray ADDRESS. On one machine: {TORCHRUN.format(workers)}")
    given = {
        "max_epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "patience": patience,
        "loss": loss, "kind": kind, "scale": scale, "device": device,
    }  # fmt: skip
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None} | {"verbose": 2}
    if n_components is not None:
        settings["n_components"] = None if n_components == "none" else n_components
    own, choices = own_choices(task, preset, choices or [])
    composing = task is None or preset is not None or hidden is not None or noise is not None or bool(choices)
    model: Any = composed(preset, choices, hidden, noise, settings | {"random_state": seed}) if composing else settings
    limit(model, memory_limit=memory_limit, max_time=max_time)
    text = text_of(tokens, longest, kind)
    wanted = "text" if text is not None else kind or (model.kind if task is None else application_of(task).kind_of_path(data))
    X, _, read = opened(data, wanted, reading, memory_limit)
    note(read_as(data, X, read))
    if composing:
        model.kind = text or read
    else:
        model["kind"] = text or read
    wanted_out = {} if target is None else {"target": opened(target, wanted, reading, memory_limit)[0]}
    early = EndingEarly()
    with early if checkpoint is None else nullcontext():
        watching: Any = [early] if checkpoint is None else [callbacks.Checkpoint(checkpoint)]
        if task is None:
            condition = condition_of(data, conditional or model.asks_condition)
            held_out = validation_of(validation, read, reading)
            model.fit(X, **wanted_out, condition=condition, validation=held_out, callbacks=watching)
            model.save(output, overwrite=force)
        else:
            refuse_beside_task(validation=validation is not None, conditional=conditional)
            application = application_of(task)(model=model, random_state=seed, **own)
            X, wanted_out = paired(application, data, target, X, wanted_out)
            tell_time(application, X, wanted_out)
            application.fit(X, **wanted_out, callbacks=watching)
            if hasattr(application, "source_"):
                application.source_ = source_of(data)
            application.save(output, overwrite=force)
            model = application.model_
    tell_fitted(output, task, model, as_json)
    if early.asked:
        raise KeyboardInterrupt(f"stopped by Ctrl-C after epoch {model.n_iter_}; the model so far is in {output}.")
    return None


@app.command
def presets(*, as_json: Json = False):
    """List the variants that `fit --preset` knows, and what each can be told with --set, at its default."""
    from ..presets import PRESETS

    rows: dict[str, Any] = {
        name: {"summary": summary_of(preset), "parameters": own_parameters(preset)} for name, preset in PRESETS.items()
    }
    tell(rows, as_json, lambda: "\n".join(preset_lines(name, **row) for name, row in rows.items()))


def tell_fitted(output: Path, task: str | None, model, as_json: bool) -> None:
    """What was trained, and how far it came."""
    if model is None:
        return tell({"model": str(output), "task": task}, as_json, lambda: f"{output}: {task}, in closed form")
    last = model.history_[-1]
    reached = "loss" if "loss" in last else "objective"
    result = {"model": str(output), "epochs": model.n_iter_, "code": list(model.code_shape_), **last}
    result |= {} if task is None else {"task": task}
    words = f"{output}: " + ("" if task is None else f"{task}, ")
    return tell(
        result,
        as_json,
        lambda: f"{words}{model.n_iter_} epochs, a code of {size_of_code(model)}, {reached} {last[reached]:.4g}",
    )


def paired(application, data: str, target: str | None, X, wanted_out: dict) -> tuple[Any, dict]:
    """Samples and what must come out for them; as paths for an application that compares their names."""
    from .. import datasets

    if wanted_out and "target" not in inspect.signature(application.fit).parameters:
        raise ValueError(f"--target says what must come out for each sample, which --task {application.task} does not ask for.")
    if not getattr(application, "reads_folders", False) or datasets.is_name(data):
        return X, wanted_out
    as_path = lambda text, found: text if Path(text).is_dir() else found  # noqa: E731
    return as_path(data, X), {name: as_path(str(target), found) for name, found in wanted_out.items()}


def tell_time(application, X, wanted_out: dict) -> None:
    """How long training will take, where an application can tell before it begins."""
    if not hasattr(application, "expected_minutes"):
        return
    minutes = application.expected_minutes(X, **wanted_out)
    note(f"training takes about {minutes:.0f} minutes on this machine" if minutes >= 1 else "training takes less than a minute")


def application_of(task: str):
    """The class of a task."""
    from ..apps import APPLICATIONS

    return APPLICATIONS[task]


def refuse_unknown_task(task: str | None) -> None:
    if task is not None and task not in TASKS:
        raise ValueError(f"There is no task {task!r}. Those there are: {', '.join(TASKS)}.")


def refuse_beside_task(**given: bool) -> None:
    for name, there in given.items():
        if there:
            raise ValueError(f"--{name} is for a model alone, and --task trains an application. Leave one of them out.")


def own_choices(task: str | None, preset: str | None, choices: list[str]) -> tuple[dict, list[str]]:
    """What `--set` says of the application's own parameters, and the rest, which is the preset's."""
    if task is None:
        return {}, choices
    known = set(application_of(task)().get_params(deep=False)) - {"model", "random_state"}
    pairs = [(choice.partition("="), choice) for choice in choices]
    own = {name: plain(value) for (name, equals, value), _ in pairs if equals and name in known}
    rest = [choice for (name, equals, _), choice in pairs if not equals or name not in known]
    if rest and preset is None:
        raise ValueError(
            f"--set {rest[0]}: NAME=VALUE is expected, and --task {task} has {', '.join(sorted(known))}. What belongs "
            "to a preset of its model needs that preset's name, such as --preset topk."
        )
    return own, rest


def composed(preset: str | None, choices: list[str], hidden: str | None, noise: float | None, settings: dict):
    """The estimator that the flags describe."""
    from .. import Autoencoder, presets
    from ..parts import Noise

    make = Autoencoder if preset is None else presets.PRESETS[preset]
    known = {} if preset is None else own_parameters(make)
    flags = settings | ({} if hidden is None else widths_of(hidden, make, known, preset))
    if noise is not None:
        flags |= {"noise": noise} if "noise" in known else {"corruption": Noise(noise)}
    own = chosen(preset, choices, known)
    for name in own.keys() & flags.keys():
        raise ValueError(f"--set {name}={own[name]}: --{name} says the same. Leave one of them out.")
    return make(**flags | own)


def widths_of(hidden: str, make, known: dict, preset: str | None) -> dict:
    """Where `--hidden` goes: to the preset, where it asks for it, else to dense layers in place of those chosen by the data."""
    from ..parts import Dense
    from ..parts.base import is_auto

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
    from ..presets import PRESETS

    if preset is not None and preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}. Those there are: {', '.join(PRESETS)}.")


def text_of(tokens: str | None, longest: int | None, kind: str | None):
    """How text is to be read, where the flags say more than its name."""
    if tokens is None and longest is None:
        return None
    if kind not in (None, "auto", "text"):
        raise ValueError(f"--tokens and --longest are for text, but --kind is {kind}. Leave one out.")
    from .. import Text

    name, _, size = (tokens or "bytes").partition(":")
    if name not in ("bytes", "bpe") or (size and not (name == "bpe" and size.isdecimal())):
        raise ValueError(f"--tokens {tokens}: bytes, bpe or bpe:2000 is expected.")
    return Text(name, **({"size": int(size)} if size else {}), longest=longest)


def limit(model, **bounds) -> None:
    """Sets the bounds on memory and time, where any were given, of a model, or among the parameters of one."""
    from .. import Training

    given = {name: value for name, value in bounds.items() if value is not None}
    if not given:
        return
    composed = not isinstance(model, dict)
    training = ((model.training if composed else None) or Training()).set_params(**given)
    training.check_ranges()
    if composed:
        model.training = training
    else:
        model["training"] = training


def read_as(data: str, X, kind: str) -> str:
    """What the data are taken for; where that is wrong, --kind says it better."""
    from ..data import open_data

    X, found = open_data(X, kind)
    shape = X.shape if hasattr(X, "shape") else (len(X),)
    size = f", {' x '.join(f'{length:,}' for length in shape)}" + (f" {X.dtype}" if hasattr(X, "dtype") else "")
    return f"{data}: read as {found}{size}" + (" (guessed; --kind says it)" if kind == "auto" else "")


def validation_of(text: str | None, kind: str, reading: ReadingFlags | None):
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return opened(text, kind, reading)[0]


def size_of_code(model) -> str:
    """How many numbers it is, or its shape, where that differs as the samples do."""
    if model.n_components_ is not None:
        return f"{model.n_components_} numbers"
    return f"shape ({', '.join('any' if length is None else str(length) for length in model.code_shape_)})"


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
