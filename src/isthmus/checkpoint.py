"""Checkpoints: a run that is killed at any moment and started again ends with the same bits as one that was not.

A folder holds

    run.json          what runs: parameters, seed, versions, checksums of the data
    history.jsonl     a line an epoch, as it ends
    checkpoint.json   the newest checkpoint: place, history, and the name and SHA-256 of
    state-N.safetensors

A checkpoint is written beside the last one and counts from the moment in which checkpoint.json is renamed into place; until then
the last one is whole, whatever happens. Randomness is a function of (seed, stream, step), so no generator has to be kept for it.
"""

import hashlib
import json
import os
import platform
import re
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

from . import __version__
from .data.checksum import checksum_of
from .files import file_aside, flush_folder, full_disk_named, made_folder
from .parallel import ONE, One
from .samples import Samples
from .state import State
from .trouble import is_good
from .written import digest_of, written

FORMAT = 1
LEAST = 10.0  # seconds between two checkpoints under "auto", where writing one takes next to nothing
SHARE = 100  # or so many times what writing the last one took
RATE = 2e8  # bytes a second that the first is expected to be written at
_OURS = re.compile(r"(run\.json|history\.jsonl|checkpoint\.json|state-\d+\.safetensors|\..+\..{8}|fit-\d+)")
_FREE = {"verbose", "random_state", "warm_start"}  # parameters that change no number, or are looked at otherwise
_FREE_OF_TRAINING = {"max_time", "checkpoint_every", "memory_limit"}


class Checkpoint:
    """Where runs of `fit` are kept, to be taken up again: `fit(X, checkpoint="folder")`, or among an application's callbacks.

    An application that trains two models, one after the other, keeps the second in a folder of its own within the first's.

    Parameters
    ----------
    folder : path; made where it is not there

    >>> from isthmus import Autoencoder
    >>> checkpoint = Checkpoint(folder / "run")
    >>> model = Autoencoder(4, max_epochs=2, random_state=0).fit(X, callbacks=[checkpoint])
    >>> sorted(path.name for path in (folder / "run").iterdir())
    ['checkpoint.json', 'history.jsonl', 'run.json', 'state-1.safetensors']
    """

    def __init__(self, folder):
        self.folder, self.fits = Path(folder).expanduser(), 0

    def next_folder(self) -> Path:
        """Of the next run."""
        self.fits += 1
        return self.folder if self.fits == 1 else self.folder / f"fit-{self.fits}"


class Keeper:
    """Keeps one run in a folder. Made before the data are read, so that another run's folder is refused at once."""

    def __init__(self, folder: Path, params: dict, every, processes: One = ONE):
        self.folder, self.params, self.every, self.processes = folder, params, every, processes
        self.found = read_record(folder)
        self.seed: int | None = None
        self.room: int | None = None
        self.count = 0
        self.about: dict[str, Any] = {}
        if self.found is not None:
            self.about, self.count = self.found["run"], self.found["count"]
            self.seed, self.room = self.about["seed"], self.about["room"]
            refuse_other_params(folder, self.about["params"], params)
        self.took, self.last = 0.0, time.perf_counter()
        self.signal: int | None = None
        self.handlers: dict[int, Any] = {}
        self.lock: int | None = None

    # ------------------------------------------------------------------------------------------- a run begins

    def room_or(self, room) -> int:
        """Bytes that data may take: what they were when the run was begun, whatever is free now."""
        return room() if self.room is None else self.room

    def begin(self, seed: int, room: int, samples: Samples, device: str, known=None) -> None:
        """Compares the data with those that the run was begun with, or notes what begins; `known`: the network it starts from."""
        data = checksums_of(samples) | ({} if known is None else {"first weights": weights_checksum(known)})
        versions = versions_here() | {"processes": self.processes.count}
        if self.found is None:
            self.seed, self.room = seed, room
            self.about = {"params": self.params, "seed": seed, "room": room, "device": device, "data": data, "versions": versions}
            return
        refuse_other_data(self.folder, self.about["data"], data)
        if device != self.about["device"]:
            raise ValueError(
                f"The checkpoint in {self.folder} was begun on {self.about['device']!r}, and other devices round otherwise: "
                f"device={device!r} would not end with the same numbers. Go on there, or choose another folder to begin anew."
            )
        warn_of_other_versions(self.folder, {"processes": 1} | self.about["versions"], versions)

    def parts_or(self, parts: int) -> int:
        """That a batch is run in: as many as when the run was begun."""
        return self.about.setdefault("parts", parts)

    def threads_or(self, threads: int | None) -> int | None:
        """That a run takes whose numbers depend on it: as many as when it was begun."""
        return self.about.setdefault("threads", threads)

    def resume(self, state: State) -> None:
        """Where there is a checkpoint, the state is what it was then."""
        with made_folder(self.folder):
            self.lock = locked(self.folder)
        if self.found is None:
            write_json(self.folder / "run.json", self.about)
        else:
            try:
                state.restore(self.found["state"], read_tensors(self.folder, self.found))
            except (KeyError, RuntimeError, AttributeError, TypeError) as error:
                raise ValueError(damaged(self.folder, f"it does not fit the model: {str(error).splitlines()[0]}")) from error
        self.tidy()
        lines = "".join(line_of(record) for record in state.history)
        with file_aside(self.folder / "history.jsonl") as file:
            file.write(lines.encode())
        self.took = sum(tensor.nbytes for tensor in state.tensors().values()) / RATE  # until it is measured
        self.last = time.perf_counter()

    # --------------------------------------------------------------------------------------------- it goes on

    def look(self, state: State) -> None:
        """After every step: writes a checkpoint where it is time, and ends the run where Ctrl-C was pressed."""
        heard = self.processes.loudest(self.signal, state.step)
        stopped = heard is not None
        if (stopped or self.is_due(state.step)) and is_good(state):  # else the last one stays, and the run is about to fail
            self.write(state)
        if stopped:
            self.signal = heard
            self.stop(f"at step {state.step}")

    def is_due(self, step: int) -> bool:
        if isinstance(self.every, str) and self.every != "auto":
            return step % steps_in(self.every) == 0
        wait = max(LEAST, SHARE * self.took) if self.every == "auto" else float(self.every)
        return time.perf_counter() - self.last >= wait

    def note(self, record: dict) -> None:
        """An epoch has ended."""
        file_name = self.folder / "history.jsonl"
        with full_disk_named(file_name), open(file_name, "a", encoding="utf-8") as file:
            file.write(line_of(record))

    def write(self, state: State) -> None:
        """The present state, beside the last one; that goes when this one is whole."""
        began = time.perf_counter()
        tensors = {name: tensor.cpu().contiguous() for name, tensor in state.tensors().items()}
        content, name = tensors_to_bytes(tensors), f"state-{self.count + 1}.safetensors"
        record = {
            "format": FORMAT,
            "isthmus": __version__,
            "count": self.count + 1,
            "run": self.about,
            "state": state.numbers(),
            "tensors": name,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        with file_aside(self.folder / name) as file:
            file.write(content)
        flush_folder(self.folder)  # the tensors have their name for good before the record speaks of them
        write_json(self.folder / "checkpoint.json", record | {"config_sha256": digest_of(record)})
        self.count += 1
        self.found = record
        self.tidy()
        self.last = time.perf_counter()
        self.took = self.last - began

    def tidy(self) -> None:
        """Takes away what no checkpoint speaks of: older states, and what was half written."""
        for path in self.folder.iterdir():
            old = path.suffix == ".safetensors" and (self.found is None or path.name != self.found["tensors"])
            if (old or path.name.startswith(".")) and _OURS.fullmatch(path.name) and path.is_file():
                with suppress(OSError):
                    path.unlink()

    # ---------------------------------------------------------------------------------------------- it is stopped

    def __enter__(self):
        """Ctrl-C, or a cluster's request to end, waits for the step to end, so that it can be kept; a second one does not."""
        usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: handler for number, handler in usual.items() if signal.getsignal(number) is handler}
            for number in self.handlers:
                signal.signal(number, self.ask)
        return self

    def ask(self, number: int, frame) -> None:
        self.signal = number
        self.put_back()

    def put_back(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def __exit__(self, kind, *_):
        self.put_back()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None
        if kind is None and self.signal is not None:
            self.stop("when all steps were done")

    def stop(self, when: str) -> None:
        asked, self.signal = self.signal, None
        text = f"stopped {when}; the run is kept in {self.folder}. Start it again with the same call to go on."
        if asked == signal.SIGTERM:
            print(f"isthmus: {text}", file=sys.stderr)
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(text)


class Follower(Keeper):
    """What the other processes do while the first keeps the run: they stop when it does."""

    def __init__(self, folder: Path, processes: One):
        self.folder, self.processes = folder, processes
        self.seed = self.room = self.signal = self.lock = None
        self.handlers = {}

    def begin(self, *_) -> None: ...
    def resume(self, state: State) -> None: ...
    def is_due(self, step: int) -> bool:
        return False

    def parts_or(self, parts: int) -> int:
        return parts

    def threads_or(self, threads: int | None) -> int | None:
        return threads

    def note(self, record: dict) -> None: ...
    def write(self, state: State) -> None: ...


class NotKept:
    """A run without a checkpoint."""

    seed = room = None

    def room_or(self, room) -> None: ...
    def parts_or(self, parts: int) -> int:
        return parts

    def threads_or(self, threads: int | None) -> int | None:
        return threads

    def begin(self, *_) -> None: ...
    def resume(self, state: State) -> None: ...
    def look(self, state: State) -> None: ...
    def note(self, record: dict) -> None: ...
    def write(self, state: State) -> None: ...
    def __enter__(self):
        return self

    def __exit__(self, *_): ...


def keeper_of(checkpoint, callbacks, model, training, processes: One = ONE) -> tuple[Any, tuple]:
    """Who keeps a run of `model`, and the callbacks without the checkpoint that may be among them."""
    given = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
    if len(given) + (checkpoint is not None) > 1:
        raise ValueError("Several checkpoints are given, but a run is kept in one folder. Leave all but one out.")
    rest = tuple(callback for callback in callbacks if not isinstance(callback, Checkpoint))
    if checkpoint is None and not given:
        return NotKept(), rest
    place = given[0] if given else checkpoint
    place = place if isinstance(place, Checkpoint) else Checkpoint(place)
    if not processes.is_first:
        return Follower(place.next_folder(), processes), rest
    return Keeper(place.next_folder(), params_of(model, training), training.checkpoint_every, processes), rest


def params_of(model, training) -> dict:
    """The parameters that decide about numbers, as JSON."""
    params = {name: written(value, name) for name, value in model.get_params(deep=False).items() if name not in _FREE}
    own = {name: written(value) for name, value in training.get_params().items() if name not in _FREE_OF_TRAINING}
    return json.loads(json.dumps(params | {"training": own}))


# ----------------------------------------------------------------------------------------------------- what is there


def read_record(folder: Path) -> dict | None:
    """The newest checkpoint in the folder, or None where there is none yet."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, but checkpoints are kept in a folder. Choose another name.")
    file = folder / "checkpoint.json"
    if not file.exists():
        others = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name))
        if others:
            raise FileExistsError(
                f"{folder} holds no checkpoint, but other things ({', '.join(others[:3])}). Choose an empty folder, or a new one."
            )
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        number = record["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(damaged(folder, f"checkpoint.json cannot be read: {error}")) from error
    if number > FORMAT:
        raise ValueError(
            f"The checkpoint in {folder} was written by isthmus {record.get('isthmus')}, and this is {__version__}. Update: pip "
            "install -U isthmus."
        )
    if record.get("config_sha256") != digest_of(record):
        raise ValueError(damaged(folder, "checkpoint.json does not have the SHA-256 it was written with"))
    if not (folder / record["tensors"]).is_file():
        raise ValueError(damaged(folder, f"{record['tensors']} is missing"))
    return record


def read_tensors(folder: Path, record: dict) -> dict[str, torch.Tensor]:
    content = (folder / record["tensors"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise ValueError(damaged(folder, f"{record['tensors']} does not have the SHA-256 it was written with"))
    return tensors_from_bytes(content)


def damaged(folder: Path, what: str) -> str:
    return f"The checkpoint in {folder} is damaged ({what}). Restore it from a copy, or choose another folder to begin anew."


def refuse_other_params(folder: Path, old: dict, new: dict) -> None:
    """Refuses to go on with other parameters: no uninterrupted run would have had both."""
    differ = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    if not differ:
        return
    name = min(differ)
    raise ValueError(
        f"The checkpoint in {folder} is of another run: there {name} was {shown(old.get(name))}, and now it is "
        f"{shown(new.get(name))}. Go on with the parameters it was begun with, or choose another folder to begin anew."
    )


def refuse_other_seed(folder: Path, old: int, new: int) -> None:
    if old != new:
        raise ValueError(
            f"The checkpoint in {folder} is of another run: it was begun with another random_state. Go on with that one, or "
            "choose another folder to begin anew."
        )


def refuse_other_data(folder: Path, old: dict, new: dict) -> None:
    for name in (*new, *(name for name in old if name not in new)):
        if old.get(name) != new.get(name):
            was, now = (f"{sums[name][:12]}..." if name in sums else "not there" for sums in (old, new))
            raise ValueError(
                f"The checkpoint in {folder} was begun on other data: the SHA-256 of the {name} was {was}, and now it is {now}. "
                "Go on with those data, in their order, or choose another folder to begin anew."
            )


def shown(value) -> str:
    """A written parameter as it is spelt in Python."""
    if isinstance(value, dict) and "part" in value:
        return f"{value['part']}({', '.join(f'{name}={shown(param)}' for name, param in value['params'].items())})"
    if isinstance(value, dict):
        return value["yours"] if "yours" in value else ", ".join(f"{name}={shown(param)}" for name, param in value.items())
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else repr(value)


# ----------------------------------------------------------------------------------------------------- what runs


def checksums_of(samples: Samples) -> dict[str, str]:
    """By role: of what the network reads."""
    roles = {"samples": samples.source, "condition": samples.condition, "sample weights": samples.sample_weight}
    roles |= {} if samples.target is samples.source else {"targets": samples.target}
    sums = {name: checksum_of(rows) for name, rows in roles.items() if rows is not None}
    held_out = samples.validation
    return sums | ({} if held_out is None else {f"validation {name}": value for name, value in checksums_of(held_out).items()})


def weights_checksum(network) -> str:
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {checksum_of(tensor)}".encode())
    return digest.hexdigest()


def versions_here() -> dict[str, Any]:
    return {
        "isthmus": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def warn_of_other_versions(folder: Path, old: dict, new: dict) -> None:
    """Says so where the last bits may differ from those of an uninterrupted run."""
    names = [name for name in ("torch", "machine", "processes") if old.get(name) != new[name]]
    differ = [f"{name} {old.get(name)} then, {new[name]} now" for name in names]
    if differ:
        warnings.warn(
            f"The run in {folder} was begun elsewhere ({'; '.join(differ)}): it goes on, but its last bits may differ from those "
            "of an uninterrupted run.",
            UserWarning,
            stacklevel=2,
        )


# ------------------------------------------------------------------------------------------------------------ helpers


def locked(folder: Path) -> int | None:
    """Refuses a folder that another process keeps its run in; the system lets go of it when the process ends, however it does."""
    try:
        import fcntl
    except ImportError:  # on systems without it nobody watches
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ValueError(f"Another process keeps its run in {folder}. Wait for it, or choose another folder.") from error
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def steps_in(text: str) -> int:
    """Of an interval such as "500 steps"; 0 where it is none."""
    found = re.fullmatch(r"\s*(\d+)\s*steps?\s*", text)
    return int(found[1]) if found else 0


def is_interval(value) -> bool:
    """Seconds, or a text such as "500 steps"."""
    if isinstance(value, str):
        return value == "auto" or steps_in(value) > 0
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def line_of(record: dict) -> str:
    return json.dumps({name: written(value) for name, value in record.items()}) + "\n"


def write_json(path: Path, record: dict) -> None:
    with file_aside(path) as file:
        file.write(json.dumps(record, indent=1).encode())
    flush_folder(path.parent)
