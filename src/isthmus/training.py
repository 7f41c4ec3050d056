"""The one training loop, for every kind of data and every variant."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from . import defaults
from .checkpoint import NotKept, is_interval, versions_here
from .data.memory import in_bytes, is_bytes
from .network import Network, in_blocks, numbers_of_step
from .optimizers import OPTIMIZERS, Adam, Muon
from .parallel import ONE, One
from .parts.base import Batch, Parameters, Step, is_auto
from .parts.collective import holding
from .parts.random import Random, key_of
from .parts.ranges import Range, flag, number, one_of, pair, whole
from .progress import Progress
from .samples import Samples
from .state import State
from .surroundings import surroundings
from .threads import Threads
from .trouble import Diverged, Guard, Watch


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
    clip_norm : float or None, default None
        The gradient of a step, all weights together, is made no longer than this (Pascanu et al. 2013). An opponent's on its own.
    ema_decay : float in [0, 1) or None, default None
        Validation sees, and the model keeps, an exponential moving average of the weights w_1, w_2, ... after each step t,
        average_t = sum_i (1 - d) d^(t - i) w_i / (1 - d^t); of 0.999 about the last thousand steps. Buffers, such as codebooks,
        are as they are.
    accumulate : int or "auto", default 1
        Parts that a batch is run in, one after the other, where it is too large for the memory: their gradients are added, so
        the step is that of the whole batch but for rounding. What belongs to a batch as a whole (MMD, BatchTopK, moving averages
        of codebooks) is that of the parts. "auto" is as many as keep a step within about half of the memory that is free.
    max_time : float or None, default None
        Seconds after which the run ends, with the epoch cut short; the rate falls no faster for it. Under `fit(checkpoint=...)`
        seconds of earlier starts count, and the same call with a larger one goes on.
    deterministic : bool, default False
        Refuses operations that give other bits from run to run, which there are on a GPU, or takes slower ones for them.
    checkpoint_every : "auto", float or str, default "auto"
        Seconds between two checkpoints, or steps: "500 steps". "auto" is ten seconds, or a hundred times what writing one takes.
        No choice changes a number.
    """

    ranges = {
        "optimizer": one_of(*OPTIMIZERS),
        "schedule": one_of("linear", "cosine", "constant"),
        "warmup": number("[0, 1)"),
        "momentum": number("[0, 1)"),
        "betas": pair("[0, 1)"),
        "weight_decay": number("[0, inf)").also("auto"),
        "memory_limit": Range(is_bytes, ": bytes, or a text such as '1GB', are expected, or 'auto'."),
        "clip_norm": number("(0, inf)").also(None),
        "ema_decay": number("[0, 1)").also(None),
        "accumulate": whole("[1, inf)").also("auto"),
        "max_time": number("(0, inf)").also(None),
        "deterministic": flag(),
        "checkpoint_every": Range(is_interval, ": seconds, or a text such as '500 steps', are expected, or 'auto'."),
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
        clip_norm=None,
        ema_decay=None,
        accumulate=1,
        max_time=None,
        deterministic=False,
        checkpoint_every="auto",
    ):
        self.optimizer = optimizer
        self.schedule = schedule
        self.warmup = warmup
        self.momentum = momentum
        self.betas = betas
        self.weight_decay = weight_decay
        self.memory_limit = memory_limit
        self.clip_norm = clip_norm
        self.ema_decay = ema_decay
        self.accumulate = accumulate
        self.max_time = max_time
        self.deterministic = deterministic
        self.checkpoint_every = checkpoint_every

    def room(self, device="cpu") -> int:
        """`memory_limit` in bytes."""
        return in_bytes(self.memory_limit, device)

    def parts(self, network: Network, batch_size: int) -> int:
        """`accumulate` for batches of this size; forward, backward and what is in between take four times the layers' outputs."""
        if not is_auto(self.accumulate):
            return int(self.accumulate)
        some = next(network.parameters())
        needed = 4 * batch_size * numbers_of_step(network) * some.element_size()
        return max(1, min(batch_size, -(-needed // max(1, in_bytes("auto", some.device)))))

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
    keeper: Any = field(default_factory=NotKept)
    parts: int = 1  # that a batch is run in
    columns: list[str] | None = None  # names of those of the data, where they have any
    params: dict = field(default_factory=dict)  # of the model, for callbacks
    processes: One = ONE  # that train together

    def is_late(self, state: State) -> bool:
        """Whether the time is over; one step is always done."""
        limit = self.training.max_time
        return limit is not None and self.processes.same(state.step > 0 and state.spent >= limit)

    @property
    def about(self) -> dict:
        """What `on_fit_begin` is told."""
        held_out = self.samples.validation
        return {
            "params": self.params,
            "seed": self.seed,
            "samples": len(self.samples.source),
            "validation_samples": 0 if held_out is None else len(held_out.source),
            "max_epochs": self.max_epochs,
            "batch_size": self.batch_size,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "processes": self.processes.count,
            "versions": versions_here(),
        }

    @cached_property
    def steps(self) -> int:
        """Of all epochs."""
        return self.max_epochs * self.samples.source.steps(self.batch_size)


def train(network: Network, run: Run, players: "list[Player] | None" = None) -> list[dict]:
    """Trains `network` in place and returns the history, a dict an epoch; the weights of the best epoch stay."""
    players = players or players_of(network, run)
    state = State(network, players, run.patience, run.training.ema_decay, run.before + 1)
    network.train()
    with (
        Progress(run) as progress,
        surroundings(run.seed, run.samples.source.device, run.training.deterministic),
        Threads(network, run.samples.source.device) as threads,
        run.keeper as keeper,
    ):
        threads.begin(run.processes.same(keeper.threads_or(threads.first())))
        keeper.resume(state)
        run.processes.agree(state)
        if not state.finished:
            tell(run.callbacks, "on_fit_begin", network, run.about | {"epoch": state.epoch})
            go(state, run, progress, threads)
            tell(run.callbacks, "on_fit_end", network, state.history)
    network.eval()
    return state.history


def go(state: State, run: Run, progress: Progress, threads: Threads) -> None:
    """To the end of the run; where a step fails, back to the weights before it."""
    guard = Guard(state, run, one_step, step_of, validation_nats)
    watch, late = Watch(run.max_epochs), False
    progress.begin(state, run)
    try:
        while not (state.over or late):
            steps_of_epoch(state, run, guard, progress, threads)
            late = run.is_late(state)
            if late:
                run.keeper.write(state)  # from here a longer run would go on; what follows belongs to this one alone
            if state.batch:
                end_of_epoch(state, run, guard, watch, progress)
        state.finish()
        guard.check_weights()
    except Diverged:
        state.network.eval()
        raise
    if state.over:
        run.keeper.write(state)


def steps_of_epoch(state: State, run: Run, guard: Guard, progress: Progress, threads: Threads) -> None:
    """The steps that are left of the epoch."""
    for index in shuffled(run, state.epoch, state.batch):
        if run.is_late(state):
            return
        guard.note(index)
        terms = one_step(run, state, index)
        guard.look()
        tell(run.callbacks, "on_step_end", state.network, state.step, terms)
        progress.step(len(index))
        run.keeper.look(state)
        threads.step()


def end_of_epoch(state: State, run: Run, guard: Guard, watch: Watch, progress: Progress) -> None:
    """Notes what the epoch brought, and whether it was the last."""
    network = state.network
    run.processes.settle(network)
    with state.averaged():
        record = {"epoch": state.epoch, **state.sums.means(), **health_of(network), "learning_rate": state.rate}
        if run.samples.validation:
            record["validation_loss"] = validation_loss(network, run)
    record["seconds"] = state.seconds
    state.history.append(record)
    guard.check(record)
    watch.see(network, record)
    run.keeper.note(record)
    with state.averaged():
        answers = tell(run.callbacks, "on_epoch_end", network, record)
        progress.show(record)
        stop = state.best.update(record) or run.processes.same(True in answers)
    state.next_epoch()
    state.over = stop or state.epoch > run.before + run.max_epochs


def one_step(run: Run, state: State, index: Tensor) -> dict[str, Tensor]:
    """A step on these samples; returns its terms."""
    rate = run.learning_rate * run.training.rate(state.step / run.steps)
    parts = index.chunk(run.parts)
    steps, weights = [step_of(run, state, part) for part in parts], [weight_of(run.samples, part) for part in parts]
    terms = train_step(state.network, state.players, rate / run.learning_rate, steps, weights, run)
    state.took(terms, sum(weights), rate)
    return terms


def step_of(run: Run, state: State, index: Tensor) -> Step:
    """What objective and penalties see of these samples; where several processes share them, of those that are this one's."""
    share = run.processes.share(index, weight_of(run.samples, index))
    own = index if share is None else index[share.start : share.stop]
    return Step(state.network, batch_of(run.samples, own), Random(run.seed, "step", state.epoch, own, index[:1]), share)


def tell(callbacks: tuple, moment: str, *what) -> list:
    """What those answer that have a method for this moment."""
    return [getattr(callback, moment)(*what) for callback in callbacks if hasattr(callback, moment)]


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


def train_step(network: Network, players: list[Player], rate: float, steps: list[Step], weights: list, run: Run) -> dict:
    """One step of every player, at `rate` times the rate it began with; returns all terms as scalars that stay on the device.

    A batch may come in several parts, whose gradients are added, each in proportion to what its samples count, and of each part
    a process may have a share.
    """
    seen: dict[str, Tensor] = {}
    for player in players:
        player.optimizer.learning_rate = rate * player.learning_rate
        player.optimizer.zero_grad()
        mine: dict[str, Tensor] = {}
        for step, weight in zip(steps, weights, strict=True):
            with holding(step.share):
                terms = {name: step.mean(term) for name, term in player.terms(step).items()}
            if len(steps) > 1:
                terms = {name: term * (weight / sum(weights)) for name, term in terms.items()}
            torch.stack(list(terms.values())).sum().backward()
            for name, term in terms.items():
                mine[name] = mine[name] + term.detach() if name in mine else term.detach()
        seen |= run.processes.add(player.optimizer.parameters, mine)
        if run.training.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(player.optimizer.parameters, run.training.clip_norm)
        player.optimizer.step()
    for step in steps:
        with holding(step.share):
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


def shuffled(run: Run, epoch: int, skip: int):
    """Index tensors of the epoch's batches: every sample once, in an order that depends on seed and epoch alone.

    The first `skip` of them lie behind the run.
    """
    generator = torch.Generator().manual_seed(key_of(run.seed, "order", epoch) >> 1)
    for index in run.samples.source.order(generator, run.batch_size, skip):
        yield index.to(run.samples.source.device)


def weight_of(samples: Samples, index: Tensor) -> Tensor | int:
    """How much the samples of a batch count in all."""
    return len(index) if samples.sample_weight is None else samples.sample_weight[index].sum()


def batch_of(samples: Samples, index: Tensor) -> Batch:
    source = samples.source.take(index)
    if samples.condition is not None:
        source = source.told(samples.condition.take(index))
    target = source if samples.target is samples.source else samples.target.take(index)
    return Batch(source, target, None if samples.sample_weight is None else samples.sample_weight[index])


def validation_nats(network: Network, run: Run) -> Tensor:
    """The loss of each sample that was held out, on the CPU."""
    network.eval()
    nats = partial(in_blocks, network.nats, run.block)
    found = run.processes.spread(nats, run.block, (run.samples.validation or run.samples).rows).double()
    network.train()
    return found


def validation_loss(network: Network, run: Run) -> float:
    """Weighted mean loss of the deterministic code, without corruption, in nats a sample."""
    held_out, nats = run.samples.validation or run.samples, validation_nats(network, run)
    if held_out.sample_weight is None:
        return nats.mean().item()
    weight = held_out.sample_weight.to(nats)
    return ((nats * weight).sum() / weight.sum()).item()
