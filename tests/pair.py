"""What two processes do that tests start side by side, with the environment that torchrun gives: `python pair.py JOB FOLDER`."""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from isthmus import Autoencoder, Training
from isthmus.checkpoint import Checkpoint
from isthmus.parts import BatchTopK, Dense, Noise

RANK, FOLDER = int(os.environ.get("RANK", 0)), Path(sys.argv[-1])
VECTORS = load_digits().data[:256] / 16
MORE = {  # besides the table of the family
    "weights of samples": {"sample_weight": np.arange(70) % 3 + 0.5},
    "early stopping": {"validation": 0.2, "patience": 1, "learning_rate": 0.5},
    "a last batch of one": {"samples": 61},
    "parts of batches": {"training": Training("adam", accumulate=3, clip_norm=0.1, ema_decay=0.9), "corruption": Noise(0.1)},
    "partial fits": {"passes": 2},
    "active units alone": {"n_components": 2048, "bottleneck": BatchTopK(3), "architecture": Dense(()), "loss": "squared"},
}


FEW = (  # that between them use every part which looks at a batch as a whole; ISTHMUS_WHOLE=1 takes the whole table
    "linear", "denoising", "kl_sparse", "batch_topk", "jumprelu", "beta_tc", "info", "adversarial", "conditional", "vq",
    "rounded map", "neighbours", "levels by their neighbours",
)  # fmt: skip


def names() -> list[str]:
    """Of all that is to be equal; what takes long is what no process shares: priors fitted when all is trained."""
    from family import VARIANTS

    every = [name for name in VARIANTS if name not in ("autoregressive", "regularised")]
    return [name for name in every if "ISTHMUS_WHOLE" in os.environ or name in FEW] + list(MORE)


def fitted(name: str):
    """A small model after ten steps in double precision: of four batches of fifteen samples and one of ten."""
    from family import LABELS, VARIANTS, condition_for, data_for
    from sklearn.base import clone

    settings = dict(MORE.get(name, {}))
    count, passes = settings.pop("samples", 70), settings.pop("passes", 0)
    given = {key: settings.pop(key) for key in ("sample_weight", "validation") if key in settings}
    model = clone(VARIANTS.get(name, VARIANTS["linear"]))
    model.set_params(**{"dtype": "float64", "max_epochs": 2, "batch_size": 15} | settings)
    X = data_for(model)[:count]
    for _ in range(passes):
        model.partial_fit(X)
    return model if passes else model.fit(X, condition=None if condition_for(name) is None else LABELS[:count], **given)


def distance(one, other) -> float:
    """The largest difference of weights, each tensor beside its largest number, and of figures of the history."""
    pairs = [(p, q) for p, q in zip(one.network_.state_dict().values(), other.network_.state_dict().values(), strict=True)]
    apart = [float((p - q).abs().max() / p.abs().max().clamp_min(1e-3)) for p, q in pairs if p.is_floating_point()]
    assert [record.keys() for record in one.history_] == [record.keys() for record in other.history_]
    for mine, theirs in zip(one.history_, other.history_, strict=True):
        apart += [float(np.abs(np.subtract(mine[name], theirs[name])).max()) for name in mine if name != "seconds"]
    return max(apart)


def table() -> dict:
    """How far two processes are from one, variant by variant; half of them are trained alone here, and half there."""
    together = os.environ.pop("WORLD_SIZE")
    alone = {name: fitted(name) for name in names()[RANK::2]}
    os.environ["WORLD_SIZE"] = together
    return {name: distance(alone[name], model) for name in names() if (model := fitted(name)) and name in alone} | cases()


def cases() -> dict:
    """What else two processes are to do, by name."""
    heard: list = []
    model = Autoencoder(4, max_epochs=3, batch_size=16, random_state=None, training=Training(checkpoint_every="3 steps"))
    model.fit(VECTORS[:64], checkpoint=FOLDER / "run", callbacks=[Hearing(heard)])
    model.save(FOLDER / "model")
    wild = VECTORS[:64].copy()
    wild[41, 7] = 1e30
    late = Autoencoder(4, max_epochs=10**6, batch_size=16, training=Training(max_time=0.5), random_state=0)
    return {
        "heard": len(heard),
        "weights": [float(p.detach().double().sum()) for p in model.network_.parameters()],
        "too many": error_of(Autoencoder(4, batch_size=1).fit, VECTORS[:64]),
        "wild": error_of(Autoencoder(4, scale="none", corruption=None, loss="squared", batch_size=16).fit, wild),
        "late": late.fit(VECTORS[:64]).n_iter_,
    }


class Hearing:
    def __init__(self, heard):
        self.heard = heard

    def on_epoch_end(self, network, record):
        self.heard.append(record)
        return len(self.heard) == 2  # which ends it for both


def error_of(function, *given) -> str:
    try:
        function(*given)
    except (ValueError, FloatingPointError) as error:
        return str(error)
    return ""


def killed() -> dict:
    """A run whose second process is killed in its first life."""
    (FOLDER / f"{RANK}.pid").write_text(str(os.getpid()))
    first_life = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    model = Autoencoder(4, max_epochs=4, batch_size=16, random_state=0, training=Training(checkpoint_every="5 steps"))
    steps: list = []
    model.fit(VECTORS, callbacks=[Checkpoint(FOLDER / "run"), Killing(steps, 33 if first_life else 0)])
    return {"first step": min(steps, default=0), "objective": model.history_[-1]["objective"]}


class Killing:
    def __init__(self, steps, at):
        self.steps, self.at = steps, at

    def on_step_end(self, network, step, terms):
        self.steps.append(step)
        if step == self.at:
            os.kill(int((FOLDER / "1.pid").read_text()), signal.SIGKILL)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {"table": table, "killed": killed}[sys.argv[1]]()
    (FOLDER / f"{RANK}.json").write_text(json.dumps(found))
