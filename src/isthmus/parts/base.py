"""What all parts share: the records that travel between them, parameters, and the step that losses and penalties see."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from ..records import Data
from .active import Active
from .collective import Share, all_sum, batch_size
from .random import Random
from .ranges import Range, check_ranges

# ---------------------------------------------------------------------------------------------------- records


@dataclass
class Batch:
    """What one step learns from: what enters the encoder, what must come out, and how much each sample counts."""

    source: Data
    target: Data
    sample_weight: Tensor | None = None


@dataclass
class Code:
    """What the bottleneck lets through.

    `z` (batch, *code_shape), of which `given` may hold the active units alone, for parts that read no others; `cost` in nats a
    sample, (batch,); `side` holds feature maps or pooling
    places that only the decoder reads, and `condition` what it is told; `extra` holds what else a bottleneck has to tell, such
    as indices. Where sizes vary, `size` is the padded space of what is to be decoded and `length` (batch,) its valid steps;
    `target` is what must come out, which a decoder under teacher forcing reads, and None in use; `loss` says what an output
    means, for a decoder that reads what it wrote.
    """

    given: Tensor | Active
    cost: Tensor | None = None
    side: list | None = None
    size: tuple[int, ...] | None = None
    length: Tensor | None = None
    target: Tensor | None = None
    loss: Any = None
    condition: Tensor | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def z(self) -> Tensor:
        return self.given.dense if isinstance(self.given, Active) else self.given

    @z.setter
    def z(self, z: Tensor) -> None:
        self.given = z

    def at(self, given: Tensor | Active) -> "Code":
        """Another code of the same samples, with what else the decoder reads."""
        return replace(self, given=given)


# ------------------------------------------------------------------------------------------------- parameters


class Parameters:
    """scikit-learn's `get_params` and `set_params` for any object whose constructor only stores its arguments."""

    ranges: Mapping[str, Range] = {}  # what the parameters may be

    def check_ranges(self) -> None:
        check_ranges(self, self.ranges, type(self).__name__)

    @classmethod
    def _names(cls) -> list[str]:
        given = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in given if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params = {name: getattr(self, name) for name in self._names()}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Parameters):
                    params |= {f"{name}__{inner}": v for inner, v in value.get_params().items()}
        return params

    def set_params(self, **params):
        for name, value in params.items():
            name, _, inner = name.partition("__")
            if name not in self._names():
                known = ", ".join(self._names()) or "none"
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}. Its parameters: {known}.")
            if inner:
                getattr(self, name).set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {n: p.default for n, p in inspect.signature(type(self).__init__).parameters.items()}
        shown = [f"{n}={v!r}" for n, v in self.get_params(deep=False).items() if not same(v, defaults[n])]
        return f"{type(self).__name__}({', '.join(shown)})"


def is_auto(value) -> bool:
    """Whether a parameter leaves the choice to isthmus (an array compared with a string would answer item by item)."""
    return isinstance(value, str) and value == "auto"


def same(a, b) -> bool:
    """Whether two parameter values are plainly equal (arrays and tensors never are: they are shown)."""
    return a is b or (type(a) is type(b) and isinstance(a, str | int | float | bool | tuple | list) and a == b)


class Part(Parameters, nn.Module):
    """A piece of an autoencoder. Copied, then built by `fit`; `after` runs once a step, after the optimiser.

    `halves` names the modules that only encoder or decoder read; `side_paths` says whether the decoder reads `Code.side`.
    """

    halves: Mapping[str, tuple[str, ...]] = {"encoder": (), "decoder": ()}
    side_paths: Any = False
    sizes_vary = (
        False  # of an architecture: whether it reads and writes samples of different sizes; of a bottleneck: maps of them
    )
    pace = 1.0  # of an architecture: the share of the default learning rate that it is trained at
    reads_gaps = False  # of an architecture: whether its encoder is told which values are not there

    def set_first_weights(self) -> None:
        """Sets the first weights that are wanted otherwise than Xavier's, which are there already. Nothing by default."""

    def after(self, step: "Step") -> None:
        """Updates buffers (moving averages, thresholds). Nothing by default."""

    def settle(self) -> None:
        """Brings weights that were set from outside back to what the part promises of them. Nothing by default."""


def part_of(value, table: Mapping[str, type], role: str):
    """The part that `value` names or is, ready to be built: a fresh one for a name, a copy of one that was given."""
    choice = f"Choose one of {', '.join(map(repr, table))}, or pass a part." if table else "There are no names: pass a part."
    if isinstance(value, str):
        if value not in table:
            raise ValueError(f"{role}={value!r} is not known. {choice}")
        value = table[value]()
    if isinstance(value, type):
        raise TypeError(f"{role}={value.__name__} is a class. Pass an instance: {role}={value.__name__}().")
    if not isinstance(value, Part):
        raise TypeError(f"{role}={value!r} is no part. {choice}")
    value.check_ranges()
    return copy.deepcopy(value)


# ------------------------------------------------------------------------------------------------------- step


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """(batch, ...) to (...): the mean over the samples of the whole batch, each counted as much as its weight says.

    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    if weight is None:
        return values.mean(0) if batch_size(values) == len(values) else all_sum(values.sum(0)) / batch_size(values)
    weight = weight.view(-1, *[1] * (values.ndim - 1))
    return all_sum((values * weight).sum(0)) / all_sum(weight.sum())


class Step:
    """One training step as objective and penalties see it; code and output are computed when first read.

    network : the Network; batch : the Batch; random : a Random keyed by (seed, epoch, sample); share : what part of a batch
    this is, where several processes share it.
    """

    def __init__(self, network, batch: Batch, random: Random, share: Share | None = None):
        self.network, self.batch, self.random, self.share = network, batch, random, share

    @cached_property
    def source(self) -> Data:
        """What enters the encoder: the batch's source after corruption."""
        return self.network.corrupt(self.batch.source, self.random.stream("corruption"))

    @cached_property
    def code(self) -> Code:
        """The code as drawn in training; notes the encoder's hidden `activations`, first to last, where a penalty reads them."""
        if not any(getattr(penalty, "reads_activations", False) for penalty in self.network.penalties.values()):
            return self.network.encode(self.source, self.random.stream("bottleneck"))
        with self.network.noting_activations() as self.activations:
            return self.network.encode(self.source, self.random.stream("bottleneck"))

    @cached_property
    def output(self) -> Tensor:
        return self.decoded(self.code.given)

    def decoded(self, given: Tensor | Active) -> Tensor:
        """What the decoder makes of another code of the same samples."""
        code = self.network.towards(self.code.at(given), self.batch.target)
        return self.network.decode(code, self.random.stream("decoder"))

    @cached_property
    def cost(self) -> Tensor | None:
        """What the code costs: the bottleneck's own figure, or, with a prior that is trained along, that against the prior."""
        network = self.network
        if hasattr(network.bottleneck, "batch_cost"):
            return network.bottleneck.batch_cost(self.code, self.batch.sample_weight)
        if network.prior is None or not network.prior.trained:
            return self.code.cost
        return network.bottleneck.price * self.rate

    @cached_property
    def rate(self) -> Tensor:
        """log q(z | x) - log p(z) at the code that was drawn, (batch,), in nats: what it costs against the prior, sampled."""
        z = self.code.z
        return self.network.bottleneck.log_posterior(self.code, z) - self.network.log_prior(z)

    @cached_property
    def loss(self) -> Tensor:
        """Nats a sample, (batch,)."""
        return self.network.loss(self.output, self.batch.target)

    def mean(self, term: Tensor) -> Tensor:
        """The one place where samples are averaged: (batch,) to the weighted mean; a term of the whole batch, (), stays.

        Where several processes share the batch, what they get adds up to that.
        """
        weight, share = self.batch.sample_weight, self.share
        if share is None:
            return term if term.ndim == 0 else weighted_mean(term, weight)
        if term.ndim == 0:
            return term / share.processes
        total = (term if weight is None else term * weight).sum() / share.weight
        return total / share.processes if share.is_all else total
