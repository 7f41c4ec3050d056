"""The one training loop, for every kind of data and every variant."""

import copy
import math
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from . import defaults
from .data.memory import in_bytes, is_bytes
from .data.schema import Ready, Rows
from .data.stream import within
from .network import Network, in_blocks
from .optimizers import OPTIMIZERS, Adam, Muon
from .parts.base import Batch, Parameters, Step, is_auto
from .parts.random import Random, key_of
from .parts.ranges import Range, number, one_of, pair


class Training(Parameters):
    """What of the training loop is seldom changed; the rest are parameters of the estimator itself.

    Parameters
    ----------
    optimizer : "muon" or "adam", default "muon"
        Muon brings the momentum of every matrix close to orthogonal; it takes far fewer steps than Adam on the networks
        measured (`docs/decisions/0003-recipe.md`).
    schedule : "linear", "cosine" or "constant", default "linear"
        How the learning rate falls from its value to zero over the run.
    warmup : float in [0, 1), default 0
        Share of the run in which the learning rate rises to its value.
    momentum : float in [0, 1), default 0.9; of Muon. Runs of many epochs gain a little from 0.95.
    betas : two floats in [0, 1), default (0.9, 0.99); of Adam
    weight_decay : "auto" or float, default "auto"
        Decoupled: every step shrinks the weights by learning_rate * weight_decay. "auto" is 300 / n_samples within [0.1, 1]
        for Muon and nothing for Adam.
    memory_limit : "auto", int or str, default "auto"
        Bytes that training data may take beyond what is in memory already, such as 10**9, "1GB" or "512 MiB"; "auto" is half
        of what is free. Data beyond that are read in shuffled blocks, a window of up to a quarter of the limit, and no more
        than 256 MiB, at a time. Parts that look at the data before training, and priors that are fitted to its codes, then see
        evenly spread samples. To repeat a run on another machine, give a number.
    """

    ranges = {
        "optimizer": one_of(*OPTIMIZERS),
        "schedule": one_of("linear", "cosine", "constant"),
        "warmup": number("[0, 1)"),
        "momentum": number("[0, 1)"),
        "betas": pair("[0, 1)"),
        "weight_decay": number("[0, inf)").also("auto"),
        "memory_limit": Range(is_bytes, ": bytes, or a text such as '1GB', are expected, or 'auto'."),
    }

    def __init__(
        self,
        optimizer="muon",
        schedule="linear",
        warmup=0.0,
        momentum=0.9,
        betas=(0.9, 0.99),
        weight_decay="auto",
        memory_limit="auto",
    ):
        self.optimizer = optimizer
        self.schedule = schedule
        self.warmup = warmup
        self.momentum = momentum
        self.betas = betas
        self.weight_decay = weight_decay
        self.memory_limit = memory_limit

    def room(self, device="cpu") -> int:
        """`memory_limit` in bytes."""
        return in_bytes(self.memory_limit, device)

    @property
    def default_rate(self) -> float:
        return defaults.LEARNING_RATES[self.optimizer]

    @property
    def steady_rate(self) -> float:
        """The default where the rate does not fall, as in `partial_fit`."""
        return defaults.STEADY_RATES[self.optimizer]

    def build_optimizer(self, parameters, learning_rate: float, weight: float):
        """The optimiser of `parameters`, for a run on samples that count `weight` in all."""
        decay = defaults.weight_decay(self.optimizer, weight) if is_auto(self.weight_decay) else self.weight_decay
        if self.optimizer == "adam":
            return Adam(parameters, learning_rate, decay, self.betas)
        return Muon(parameters, learning_rate, decay, self.momentum, self.betas)

    def rate(self, done: float) -> float:
        """The factor of the learning rate when the share `done` of the run, in [0, 1), lies behind."""
        if done < self.warmup:
            return done / self.warmup
        rest = (1 - done) / (1 - self.warmup)
        if self.schedule == "linear":
            return rest
        return 1.0 if self.schedule == "constant" else 0.5 * (1 - math.cos(math.pi * rest))


@dataclass
class Samples:
    """What there is to learn from: sources, their targets (the same object where they are the same), and weights."""

    source: Rows
    target: Rows
    sample_weight: Tensor | None = None
    condition: Ready | None = None
    validation: "Samples | None" = None

    @classmethod
    def gather(cls, source: Rows, target: Rows, weight, condition, held_out, seed: int) -> "Samples":
        """Splits off the share `held_out` to validate on, or takes it, where it is rows of its own."""
        if len(target) != len(source):
            raise ValueError(f"target has {len(target)} samples, but X has {len(source)}: one target for each is expected.")
        refuse_other_sizes(source, target)
        if None not in (source.names, target.names) and source.names != target.names:
            raise ValueError(f"X and target name different samples: {target.names.first_other(source.names)}. Give both of each.")
        samples = cls(source, target, None if weight is None else torch.as_tensor(weight), condition)
        if isinstance(held_out, Samples) or held_out is None:
            samples.validation = held_out
            return samples
        order = torch.randperm(len(samples.source), generator=torch.Generator().manual_seed(key_of(seed, "held out") >> 1))
        count = max(1, round(held_out * len(order)))
        if count >= len(order):
            raise ValueError(
                f"{len(order)} samples cannot be split into training and validation data. Give more, or no patience."
            )
        rest = samples.subset(order[:count].sort().values)
        samples = samples.subset(order[count:].sort().values)
        samples.validation = rest
        return samples

    @property
    def weight(self) -> float:
        """How many samples there are, each counted as often as its weight says."""
        return len(self.source) if self.sample_weight is None else float(self.sample_weight.sum())

    def subset(self, index: Tensor) -> "Samples":
        source = self.source.subset(index)
        target = source if self.target is self.source else self.target.subset(index)
        condition = None if self.condition is None else self.condition.subset(index)
        return Samples(source, target, None if self.sample_weight is None else self.sample_weight[index], condition)

    def ready(self, limit: int) -> "Samples":
        """To be taken by index: on the device what fits into `limit` bytes, the rest read a window at a time."""
        source, target = within(limit, self.source, self.target)
        weight = None if self.sample_weight is None else self.sample_weight.to(source.device, source.dtype)
        return Samples(source, target, weight, self.condition, self.validation and self.validation.kept(limit // 4))

    def kept(self, limit: int) -> "Samples":
        """To be read from front to back: on the device what fits into `limit` bytes."""
        fits = sum(rows.resident_bytes for rows in {id(rows): rows for rows in (self.source, self.target)}.values()) <= limit
        return self.ready(limit) if fits else self

    @property
    def rows(self) -> list:
        """What a network reads to rebuild: sources, targets and, where there are any, conditions."""
        return [self.source, self.target, *([] if self.condition is None else [self.condition])]


def refuse_other_sizes(source: Rows, target: Rows) -> None:
    """Refuses pictures that differ in size among one another, and from their targets: no batch holds both."""
    if target is source or source.schema.axes < 2 or not (source.schema.varies and target.schema.varies):
        return
    differ = (source.values.sizes != target.values.sizes).any(1)
    if differ.any():
        place = int(differ.nonzero()[0])
        sizes = (" x ".join(map(str, rows.values.sizes[place].tolist())) for rows in (source, target))
        raise ValueError(
            f"Sample {place} is {next(sizes)}, but its target is {next(sizes)}: a target is as large as its sample. Resize or "
            "crop one of them."
        )


@dataclass
class Run:
    """One call of `fit`: what it trains on, how, and for how long."""

    samples: Samples
    max_epochs: int
    batch_size: int
    learning_rate: float
    patience: int | None
    training: Training
    seed: int
    block: int  # rows of the fixed blocks that validation data runs in
    callbacks: tuple = ()
    verbose: int = 0
    before: int = 0  # epochs that lie behind the network already


def train(network: Network, run: Run, players: "list[Player] | None" = None) -> list[dict]:
    """Trains `network` in place and returns the history, a dict an epoch; the weights of the best epoch stay."""
    players = players or players_of(network, run)
    steps = run.max_epochs * run.samples.source.steps(run.batch_size)
    step, history, best = 0, [], Best(network, run.patience)
    network.train()
    with Progress(run) as progress, flushed_denormals(), own_randomness(run.seed):
        for epoch in range(run.before + 1, run.before + run.max_epochs + 1):
            began = time.perf_counter()
            sums = Sums()
            for index in shuffled(run, epoch):
                batch, random = batch_of(run.samples, index), Random(run.seed, "step", epoch, index)
                rate = run.learning_rate * run.training.rate(step / steps)
                sums.add(train_step(network, players, rate / run.learning_rate, batch, random), batch)
                step += 1
            record = {"epoch": epoch, **sums.means(), **health_of(network), "learning_rate": rate}
            if run.samples.validation:
                record["validation_loss"] = validation_loss(network, run)
            record["seconds"] = time.perf_counter() - began
            history.append(record)
            check_finite(record)
            answers = [callback.on_epoch_end(network, record) for callback in run.callbacks]
            progress.show(record)
            if best.update(record) or True in answers:
                break
    best.restore()
    refuse_lost(network)
    network.eval()
    return history


@dataclass
class Player:
    """Who moves in a step: an optimiser, the rate it begins with, and the terms (by name) that it goes down."""

    optimizer: Adam | Muon
    learning_rate: float
    terms: Callable[[Step], dict[str, Tensor]]


@dataclass
class Course:
    """What `partial_fit` keeps from call to call: the run of the first one, without its samples, and the optimisers."""

    run: Run
    players: list[Player]

    @classmethod
    def of(cls, network: Network, run: Run) -> "Course":
        training = copy.copy(run.training).set_params(schedule="constant", warmup=0.0)
        run = replace(run, max_epochs=1, patience=None, training=training)
        return cls(replace(run, samples=None), players_of(network, run))  # type: ignore[arg-type]

    def passed(self, network: Network, samples: Samples, before: int) -> list[dict]:
        """One pass over the samples, after so many epochs."""
        return train(network, replace(self.run, samples=samples, before=before), self.players)


def players_of(network: Network, run: Run) -> list[Player]:
    """The network itself, and an opponent for each penalty that has one."""
    games: dict[str, Any] = {name: penalty for name, penalty in network.penalties.items() if hasattr(penalty, "opponent")}
    theirs = {id(p) for penalty in games.values() for p in penalty.opponents()}
    own = [p for p in network.parameters() if id(p) not in theirs]
    optimizer = run.training.build_optimizer(own, run.learning_rate, run.samples.weight)
    players = [Player(optimizer, run.learning_rate, network.objective)]
    for name, penalty in games.items():
        opponent = Adam(penalty.opponents(), 1e-3, betas=(0.5, 0.999))  # the moments that games are played with
        players.append(Player(opponent, 1e-3, partial(opponents_terms, f"{name}_opponent", penalty)))
    return players


def opponents_terms(name: str, penalty, step: Step) -> dict[str, Tensor]:
    return {name: penalty.opponent(step)}


def train_step(network: Network, players: list[Player], rate: float, batch: Batch, random: Random) -> dict[str, Tensor]:
    """One step of every player, at `rate` times the rate it began with; returns all terms as scalars that stay on the device."""
    step = Step(network, batch, random)
    seen: dict[str, Tensor] = {}
    for player in players:
        terms = {name: step.mean(term) for name, term in player.terms(step).items()}
        player.optimizer.learning_rate = rate * player.learning_rate
        player.optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        player.optimizer.step()
        seen |= {name: term.detach() for name, term in terms.items()}
    for part in (network.architecture, network.bottleneck, *network.penalties.values()):
        if hasattr(part, "after"):
            part.after(step)
    return seen


def health_of(network: Network) -> dict:
    """What the epoch's codes were like, where the bottleneck tells, and hidden layers, where a penalty does."""
    health = dict(network.bottleneck.health()) if hasattr(network.bottleneck, "health") else {}
    penalties: dict[str, Any] = {name: part for name, part in network.penalties.items() if hasattr(part, "health")}
    for name, penalty in penalties.items():
        health |= {f"{name}_{what}": value for what, value in penalty.health().items()}
    return health


def shuffled(run: Run, epoch: int):
    """Index tensors of the epoch's batches: every sample once, in an order that depends on seed and epoch alone."""
    generator = torch.Generator().manual_seed(key_of(run.seed, "order", epoch) >> 1)
    for index in run.samples.source.order(generator, run.batch_size):
        yield index.to(run.samples.source.device)


def batch_of(samples: Samples, index: Tensor) -> Batch:
    source = samples.source.take(index)
    if samples.condition is not None:
        source = source.told(samples.condition.take(index))
    target = source if samples.target is samples.source else samples.target.take(index)
    return Batch(source, target, None if samples.sample_weight is None else samples.sample_weight[index])


def validation_loss(network: Network, run: Run) -> float:
    """Weighted mean loss of the deterministic code, without corruption, in nats a sample."""
    held_out = run.samples.validation or run.samples
    network.eval()
    nats = in_blocks(network.nats, run.block, *held_out.rows).double()
    network.train()
    if held_out.sample_weight is None:
        return nats.mean().item()
    weight = held_out.sample_weight.to(nats)
    return ((nats * weight).sum() / weight.sum()).item()


class Sums:
    """Weighted sums of the terms over an epoch, kept on the device: nothing waits for a number within the epoch."""

    def __init__(self):
        self.terms: dict[str, Tensor] = {}
        self.total: Tensor | float = 0.0

    def add(self, terms: dict[str, Tensor], batch: Batch) -> None:
        weight = len(batch.source) if batch.sample_weight is None else batch.sample_weight.sum()
        for name, term in terms.items():
            self.terms[name] = self.terms.get(name, 0) + term * weight
        self.total = self.total + weight

    def means(self) -> dict[str, float]:
        means = {name: float(total / self.total) for name, total in self.terms.items()}
        return {"objective": sum(value for name, value in means.items() if not name.endswith("_opponent")), **means}


class Best:
    """Early stopping: keeps the weights of the epoch with the lowest validation loss; idle where `patience` is None."""

    def __init__(self, network: Network, patience: int | None):
        self.network, self.patience = network, patience
        self.loss, self.since = float("inf"), 0
        self.weights: dict[str, Tensor] | None = None

    def update(self, record: dict) -> bool:
        """True when `patience` epochs in a row brought nothing better."""
        if self.patience is None:
            return False
        if record["validation_loss"] < self.loss:
            self.loss, self.since = record["validation_loss"], 0
            self.weights = {k: v.clone() for k, v in self.network.state_dict().items()}
        else:
            self.since += 1
        return self.since >= self.patience

    def restore(self) -> None:
        if self.weights is not None:
            self.network.load_state_dict(self.weights)


def check_finite(record: dict) -> None:
    bad = [name for name, value in record.items() if isinstance(value, float) and not abs(value) < float("inf")]
    if bad:
        raise FloatingPointError(
            f"Training diverged in epoch {record['epoch']}: {', '.join(bad)} became NaN or infinite. "
            f"Set a lower learning_rate, or scale the data (scale='standard')."
        )


def warn_of_collapse(network: Network, record: dict) -> None:
    """Says so when the last epoch's codes hardly say anything."""
    for sentence in signs_of_collapse(network, record):
        warnings.warn(sentence, UserWarning, stacklevel=4)


def signs_of_collapse(network: Network, record: dict) -> list[str]:
    """What in an epoch's record says that the codes hardly say anything, with the bottleneck's own cure."""
    signs = (  # a dictionary wider than what the data span may leave half of it unused and lose nothing
        ("active_units", record.get("active_units", 1) < 1, "no component of the code says anything"),
        ("dead", record.get("dead", 0) > 0.9, "nearly all units of the code are dead"),
        ("usage", record.get("usage", 1) < 0.05, "hardly any entry of the codebook is used"),
    )
    cure = getattr(network.bottleneck, "cure", "Limit the code less")
    return [f"The code has collapsed ({name}={record[name]:.3g}): {words}. {cure}." for name, holds, words in signs if holds]


def refuse_lost(network: Network) -> None:
    """The losses of an epoch are those before each step, so the last step is looked at here."""
    lost = [name for name, p in network.named_parameters() if not torch.isfinite(p).all()]
    if lost:
        raise FloatingPointError(f"Training diverged: {', '.join(lost)} became NaN or infinite. Set a lower learning_rate.")


@contextmanager
def own_randomness(seed: int):
    """Layers of the user's own may draw from torch's global generator: their draws follow the seed, and it stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key_of(seed, "layers") >> 1)
        yield


class flushed_denormals:
    """Rounds numbers below 1e-38 to zero while training: moments of dead units shrink to there and slow a CPU by a fifth.

    A setting of the thread, which the threads it starts inherit, so it is taken back afterwards.
    """

    def __enter__(self):
        self.before = bool(torch.tensor(1e-40) * 1 == 0)
        torch.set_flush_denormal(True)

    def __exit__(self, *_):
        torch.set_flush_denormal(self.before)


class Progress:
    """A bar on stderr with the losses, the rate and the time left; nothing where `verbose` is 0."""

    def __init__(self, run: Run):
        self.bar = tqdm(
            total=run.max_epochs,
            unit="epoch",
            desc="training",
            file=sys.stderr,
            disable=not run.verbose,
            leave=run.verbose > 1,
        )

    def show(self, record: dict) -> None:
        shown = {"loss": f"{record['loss']:.4g}"} if "loss" in record else {}
        if "validation_loss" in record:
            shown["validation"] = f"{record['validation_loss']:.4g}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()
