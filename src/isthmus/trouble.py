"""What goes wrong while training, noticed and explained: numbers that are no longer finite, and codes that say nothing.

Nothing waits for a number within a step: sums over the epoch stay on the device, and once every so many steps one look at them
tells whether anything became NaN or infinite since. Then the steps since the last good look are done again, one by one, to
find the one that failed: randomness is a function of (seed, stream, step), so they are the same steps.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .parts.base import Step
from .parts.collective import all_gather, all_sum, holding
from .state import State

LOOK = 100  # steps between two looks
LARGE = 1e4  # a value that a network sees and that explains why numbers overflow; standardised data stay far below
SHOWN = 5  # samples that are named


class Diverged(FloatingPointError):
    """Training that gave NaN or infinity; `history` is that of the steps before, whose weights the network has again."""

    def __init__(self, text: str, step: int, history: list[dict]):
        super().__init__(text)
        self.step, self.history = step, history


class Guard:
    """Remembers a good state and the steps since.

    again : does the step of a batch, given as index tensor, once more: (run, state, index) -> terms
    step_of : the Step that it begins with;   validate : (network, run) -> nats of each sample that was held out
    """

    def __init__(self, state: State, run, again: Callable, step_of: Callable, validate: Callable):
        self.state, self.run, self.again, self.step_of, self.validate = state, run, again, step_of, validate
        self.columns, self.places = run.columns, run.samples.places
        self.steps: list[tuple[int, Tensor]] = []
        self.remember()

    def remember(self) -> None:
        """The present state is good."""
        tensors = {name: kept(tensor) for name, tensor in self.state.tensors().items()}
        self.good, self.steps = (self.state.numbers(), tensors), []

    def note(self, index: Tensor) -> None:
        """A step on these samples comes next."""
        self.steps.append((self.state.epoch, index))

    def look(self) -> None:
        """After a step: once every so many of them, whether all is finite."""
        if len(self.steps) < LOOK:
            return
        if not is_good(self.state):
            raise self.explained([])
        self.remember()

    def check(self, record: dict) -> None:
        """The figures of an epoch."""
        bad = [name for name, value in record.items() if isinstance(value, float) and not abs(value) < float("inf")]
        if bad:
            raise self.explained(bad)

    def check_weights(self) -> None:
        """The losses of an epoch are those before each step, so the last step is looked at here."""
        if not all_finite(self.state.network.parameters()):
            raise self.explained([])

    # --------------------------------------------------------------------------------------------- explaining

    def explained(self, figures: list[str]) -> Diverged:
        """Finds the step, goes back to the state before it, and says what happened."""
        state, history = self.state, list(self.state.history)
        failed = self.first_failure()
        if failed is None:  # no step fails: a figure of the epoch's end did
            names = listed(figures or ["weights"]) + (self.held_out() if figures == ["validation_loss"] else "")
            text = f"Training diverged in epoch {state.epoch}: {names} became NaN or infinite. {CURE}"
            return Diverged(text, state.step, good_part(history, state))
        self.replay(failed)
        epoch, index = self.steps[failed]
        found = diagnosed(self.step_of(self.run, state, index), state.players)
        where = self.where(found, index)
        text = (
            f"Training diverged in epoch {epoch}, step {state.step + 1}: {listed(found.names)} became NaN or infinite{where}. "
            f"{cure_of(found, self.wild(index))}"
        )
        return Diverged(text, state.step + 1, good_part(history, state))

    def first_failure(self) -> int | None:
        """The place of the first step after which a term or a weight is not finite; the state is then that after it."""
        for place, terms in enumerate(self.replayed(len(self.steps))):
            if not (all_finite(terms.values()) and all_finite(self.state.network.parameters())):
                return place
        return None

    def replay(self, count: int) -> None:
        """The state after so many of the steps."""
        for _ in self.replayed(count):
            pass

    def replayed(self, count: int):
        """The terms of one step after the other, from the last good state on."""
        self.state.restore(*self.good)
        for epoch, index in self.steps[:count]:
            while self.state.epoch < epoch:
                self.state.next_epoch()
            yield self.again(self.run, self.state, index)

    def where(self, found: "Finding", index: Tensor) -> str:
        """Which samples, by their place in the data."""
        if not len(found.samples):
            return ""
        if len(found.samples) == len(index) > 1:
            return f", in all {len(index)} samples of the batch"
        return f" in {named_samples(self.place_of(index.cpu()[found.samples]))}"

    def held_out(self) -> str:
        """Which samples of those that were held out: the weights are good, and these are not."""
        with self.state.averaged():
            bad = (~torch.isfinite(self.validate(self.state.network, self.run))).nonzero().flatten()
        places = self.run.samples.validation.places
        return f" (of {named_samples(bad if places is None else places[bad])} of the validation data)" if len(bad) else ""

    def wild(self, index: Tensor) -> str:
        """Columns by name, or by place, with their largest value and its sample: of the batch, or else of all the data."""
        source = self.run.samples.source
        columns = [(column, int(index[row]), value) for column, row, value in wild_columns(source.take(index).values)]
        columns = columns or wild_in_all(source)
        names = [str(column) if self.columns is None else repr(self.columns[column]) for column, _, _ in columns]
        samples = self.place_of(torch.tensor([row for _, row, _ in columns], dtype=torch.int64)).tolist()
        values = [value for _, _, value in columns]
        return ", ".join(
            f"{name} ({value:.3g} in sample {place})" for name, place, value in zip(names, samples, values, strict=True)
        )

    def place_of(self, samples: Tensor) -> Tensor:
        """Where samples lie in the data that were given."""
        return samples if self.places is None else self.places[samples]


@dataclass
class Finding:
    """What of a step is not finite: terms by name, and samples by their place in the batch."""

    names: list[str]
    samples: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    penalties: list[str] = field(default_factory=list)


def diagnosed(step: Step, players) -> Finding:
    """Looks at the terms of a step, then at their gradients."""
    with holding(step.share):
        terms = {name: (player, term) for player in players for name, term in player.terms(step).items()}
        bad = {name: everywhere(~torch.isfinite(term.detach())) for name, (_, term) in terms.items()}
        bad = {name: mask for name, mask in bad.items() if mask.any()}
        if not bad:
            return Finding(steep(step, terms) or ["the weights"])
    masks = [mask for mask in bad.values() if mask.ndim]
    samples = torch.stack(masks).any(0).nonzero().flatten().cpu() if masks else torch.empty(0, dtype=torch.int64)
    penalties = [name for name in bad if name in step.network.penalties]
    return Finding(list(bad), samples, penalties)


def steep(step: Step, terms: dict[str, Any]) -> list[str]:
    """The terms whose gradients are not finite."""
    found = []
    for name, (player, term) in terms.items():
        weights = [p for p in player.optimizer.parameters if p.requires_grad]
        gradients = torch.autograd.grad(step.mean(term), weights, retain_graph=True, allow_unused=True)
        finite = all_finite(gradient for gradient in gradients if gradient is not None)
        if everywhere(torch.tensor(not finite, device=term.device)):
            found.append(f"the gradient of {name}")
    return found


def everywhere(mask: Tensor) -> Tensor:
    """Which samples of the whole batch; of a term of the batch as a whole, whether any process says so."""
    return (all_gather(mask.int()) if mask.ndim else all_sum(mask.int())) > 0


def wild_columns(values: Tensor) -> list[tuple[int, int, float]]:
    """(column, row, value): columns that hold values so large that numbers overflow, the largest first; of (n, columns) alone."""
    if values.ndim != 2 or not values.is_floating_point():
        return []
    largest, row = values.abs().max(0)
    columns = (largest > LARGE).nonzero().flatten()
    columns = columns[largest[columns].argsort(descending=True)][:SHOWN]
    return [(int(place), int(row[place]), float(values[row[place], place])) for place in columns]


def wild_in_all(rows) -> list[tuple[int, int, float]]:
    """The same of all samples, which are read for it."""
    start = 0
    for data in rows.looks():
        columns = wild_columns(data.values)
        if columns:
            return [(column, start + row, value) for column, row, value in columns]
        start += len(data)
    return []


CURE = "Set a lower learning_rate, or scale the data (scale='standard')."


def cure_of(found: Finding, wild: str) -> str:
    if wild:
        return f"As the network sees them, these columns are very large: {wild}. Scale the data (scale='standard'), or mend them."
    if found.penalties:
        return f"Set a lower weight of {listed(found.penalties)}, or a lower learning_rate."
    return CURE


def good_part(history: list[dict], state: State) -> list[dict]:
    """The epochs before, and what the epoch that failed brought until then."""
    past = [record for record in history if record["epoch"] < state.epoch]
    if not state.batch:
        return past
    return [*past, {"epoch": state.epoch, **state.sums.means(), "learning_rate": state.rate, "seconds": state.seconds}]


def is_good(state: State) -> bool:
    """Whether all losses of the epoch, and all weights, are finite."""
    return all_finite(state.sums.terms.values()) and all_finite(state.network.parameters())


def all_finite(tensors) -> bool:
    """One look at all of them."""
    finite = [torch.isfinite(tensor.detach()).all() for tensor in tensors]
    return not finite or bool(torch.stack(finite).all())


def kept(tensor: Tensor) -> Tensor:
    """A copy, in the main memory."""
    return tensor.detach().to("cpu", copy=True)


def named_samples(places: Tensor) -> str:
    first = ", ".join(map(str, places.sort().values[:SHOWN].tolist()))
    return f"sample{'s' * (len(places) > 1)} {first}{', ...' * (len(places) > SHOWN)}"


def listed(names: list[str]) -> str:
    return ", ".join(names)


# ------------------------------------------------------------------------------------------------------ collapse


class Watch:
    """Says so, while a run goes on, where its codes have said hardly anything for a quarter of it."""

    def __init__(self, epochs: int):
        self.patience, self.since, self.said = max(3, epochs // 4), 0, False

    def see(self, network, record: dict) -> None:
        signs = signs_of_collapse(network, record)
        self.since = self.since + 1 if signs else 0
        if self.since >= self.patience and not self.said:
            self.said = True
            for sentence in signs:
                warnings.warn(f"Epoch {record['epoch']}, for {self.since} epochs: {sentence}", UserWarning, stacklevel=4)


def warn_of_collapse(network, record: dict) -> None:
    """Says so when the last epoch's codes hardly say anything."""
    for sentence in signs_of_collapse(network, record):
        warnings.warn(sentence, UserWarning, stacklevel=4)


def signs_of_collapse(network, record: dict) -> list[str]:
    """What in an epoch's record says that the codes hardly say anything, with the bottleneck's own cure."""
    signs = (  # a dictionary wider than what the data span may leave half of it unused and lose nothing
        ("active_units", record.get("active_units", 1) < 1, "no component of the code says anything"),
        ("dead", record.get("dead", 0) > 0.9, "nearly all units of the code are dead"),
        ("usage", record.get("usage", 1) < 0.05, "hardly any entry of the codebook is used"),
    )
    cure = getattr(network.bottleneck, "cure", "Limit the code less")
    return [f"The code has collapsed ({name}={record[name]:.3g}): {words}. {cure}." for name, holds, words in signs if holds]
