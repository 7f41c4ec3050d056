"""All that a training run has come to: what a checkpoint holds, and what is gone back to where a step fails."""

import time
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class State:
    """Network and optimisers, the place in the data, and what has been counted since.

    epoch : the one that is running, from 1;   batch : how many of its batches lie behind;   step : of all epochs
    rate : of the last step;   over : whether no step is left;   finished : whether the weights that stay are in place
    """

    def __init__(self, network, players, patience: int | None = None, decay: float | None = None, epoch: int = 1):
        self.network, self.players = network, players
        self.averages = None if decay is None else Averages(network, decay)
        self.best = Best(network, patience)
        self.epoch, self.batch, self.step, self.rate = epoch, 0, 0, 0.0
        self.over = self.finished = False
        self.sums, self.history = Sums(), []  # type: Sums, list[dict]
        self.began = self.epoch_began = time.perf_counter()

    # ------------------------------------------------------------------------------------------- going on

    def took(self, terms: dict[str, Tensor], weight: Tensor | float, rate: float) -> None:
        """A step more, on samples that count `weight` in all."""
        self.sums.add(terms, weight)
        self.batch, self.step, self.rate = self.batch + 1, self.step + 1, rate
        if self.averages is not None:
            self.averages.update()

    def next_epoch(self) -> None:
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, Sums()
        self.epoch_began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Of the epoch that is running; what passed before a run was taken up again counts."""
        return time.perf_counter() - self.epoch_began

    @property
    def spent(self) -> float:
        """Seconds of the whole run."""
        return time.perf_counter() - self.began

    @contextmanager
    def averaged(self):
        """The weights that validation sees, and that stay, are in place."""
        if self.averages is None or not self.averages.count:
            yield
            return
        with self.averages.in_place():
            yield

    def finish(self) -> None:
        """Puts the weights that stay in place: those of the best epoch, or the averages."""
        if self.averages is not None and self.averages.count:
            self.averages.keep()
        self.best.restore()
        self.finished = True

    # -------------------------------------------------------------------------------------- there and back

    def numbers(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "rate": self.rate,
            "over": self.over,
            "finished": self.finished,
            "seconds": self.seconds,
            "spent": self.spent,
            "history": list(self.history),
            "terms": list(self.sums.terms),
            "total": self.sums.total if isinstance(self.sums.total, int | float) else None,
            "best": {"loss": self.best.loss, "since": self.best.since, "weights": self.best.weights is not None},
            "averaged": 0 if self.averages is None else self.averages.count,
            "counters": counters_of(self.network),
        }

    def tensors(self) -> dict[str, Tensor]:
        """The rest, by name: no copies, and of a finished run no more than the network."""
        network = self.network
        found = {f"network.{name}": p for name, p in (*network.named_parameters(), *network.named_buffers())}
        found |= {f"held.{name}": tensor for name, tensor in held_by(network).items()}
        if self.finished:
            return {name: tensor.detach() for name, tensor in found.items()}
        for place, player in enumerate(self.players):
            found |= {f"player.{place}.{name}": tensor for name, tensor in player.optimizer.tensors().items()}
        found |= {f"best.{name}": tensor for name, tensor in (self.best.weights or {}).items()}
        if self.averages is not None:
            found |= {f"average.{place}": tensor for place, tensor in enumerate(self.averages.values)}
        found |= {f"sum.{place}": term for place, term in enumerate(self.sums.terms.values())}
        if isinstance(self.sums.total, Tensor):
            found["total"] = self.sums.total
        found |= {f"random.{device}": state for device, state in generators(network).items()}
        return {name: tensor.detach() for name, tensor in found.items()}

    @torch.no_grad()
    def restore(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Takes back what both gave; the network is of the same shapes."""
        network, device = self.network, next(self.network.parameters()).device
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            tensor.copy_(tensors[f"network.{name}"])
        put_counters(network, numbers["counters"])
        hold(network, named(tensors, "held."), device)
        for name in ("epoch", "batch", "step", "rate", "over", "finished"):
            setattr(self, name, numbers[name])
        self.history = list(numbers["history"])
        now = time.perf_counter()
        self.epoch_began, self.began = now - numbers["seconds"], now - numbers["spent"]
        if self.finished:
            return
        for place, player in enumerate(self.players):
            player.optimizer.restore(named(tensors, f"player.{place}."))
        self.best.loss, self.best.since = numbers["best"]["loss"], numbers["best"]["since"]
        weights = {name: tensor.to(device, copy=True) for name, tensor in named(tensors, "best.").items()}
        self.best.weights = weights if numbers["best"]["weights"] else None
        if self.averages is not None:
            self.averages.restore(numbers["averaged"], named(tensors, "average."))
        self.sums = Sums()
        for place, name in enumerate(numbers["terms"]):
            self.sums.terms[name] = tensors[f"sum.{place}"].to(device, copy=True)
        self.sums.total = tensors["total"].to(device, copy=True) if "total" in tensors else numbers["total"]
        put_generators(network, named(tensors, "random."))


class Sums:
    """Weighted sums of the terms over an epoch, kept on the device: nothing waits for a number within the epoch."""

    def __init__(self):
        self.terms: dict[str, Tensor] = {}
        self.total: Tensor | float = 0.0

    def add(self, terms: dict[str, Tensor], weight: Tensor | float) -> None:
        for name, term in terms.items():
            self.terms[name] = self.terms.get(name, 0) + term * weight
        self.total = self.total + weight

    def means(self) -> dict[str, float]:
        means = {name: float(total / self.total) for name, total in self.terms.items()}
        return {"objective": sum(value for name, value in means.items() if not name.endswith("_opponent")), **means}


class Best:
    """Early stopping: keeps the weights of the epoch with the lowest validation loss; idle where `patience` is None."""

    def __init__(self, network, patience: int | None):
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


class Averages:
    """An exponential moving average of the weights w_1, w_2, ... after every step, without a share of those before the first.

    average_t = sum_i (1 - d) d^(t - i) w_i / (1 - d^t),   i from 1 to t
    """

    def __init__(self, network, decay: float):
        self.network, self.weights, self.decay, self.count = network, list(network.parameters()), decay, 0
        self.values = [torch.zeros_like(p) for p in self.weights]

    @torch.no_grad()
    def update(self) -> None:
        self.count += 1
        share = (1 - self.decay) / (1 - self.decay**self.count)
        torch._foreach_lerp_(self.values, [p.detach() for p in self.weights], share)

    @contextmanager
    def in_place(self):
        """The averages stand in for the weights."""
        own = [p.detach().clone() for p in self.weights]
        self.keep()
        try:
            yield
        finally:
            copy_into(self.weights, own)

    def keep(self) -> None:
        copy_into(self.weights, self.values)
        for part in self.network.modules():
            if hasattr(part, "settle"):
                part.settle()

    def restore(self, count: int, values: dict[str, Tensor]) -> None:
        self.count = count
        copy_into(self.values, [values[str(place)] for place in range(len(self.values))])


# --------------------------------------------------------------------------------------------------- helpers


def named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def copy_into(old: list, new: list) -> None:
    for mine, other in zip(old, new, strict=True):
        mine.copy_(other)


def attributes_of(network, kinds) -> dict[str, Any]:
    """What modules note in plain attributes, such as steps that they count, by module and name."""
    return {
        f"{module_name}:{name}": value
        for module_name, module in network.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, kinds) and not name.startswith("_") and name != "training"
    }


def counters_of(network) -> dict[str, Any]:
    return attributes_of(network, bool | int | float)


def put_counters(network, counters: dict[str, Any]) -> None:
    modules = dict(network.named_modules())
    for path, value in counters.items():
        module, _, name = path.rpartition(":")
        setattr(modules[module], name, value)


def held_by(network) -> dict[str, Tensor]:
    """Tensors that are neither parameters nor buffers."""
    return attributes_of(network, Tensor)


def hold(network, tensors: dict[str, Tensor], device) -> None:
    modules = dict(network.named_modules())
    for path, tensor in tensors.items():
        module, _, name = path.rpartition(":")
        setattr(modules[module], name, tensor.to(device, copy=True))


def generators(network) -> dict[str, Tensor]:
    """The states of torch's own generators, which layers of the user's may draw from."""
    device = next(network.parameters()).device
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def put_generators(network, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), next(network.parameters()).device)
