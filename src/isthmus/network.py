"""The one network: inlet, corruption, architecture, bottleneck and loss, put together from built parts."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .objective import OBJECTIVES, ImportanceWeighted
from .parts import (
    ARCHITECTURES,
    BOTTLENECKS,
    CORRUPTIONS,
    LOSSES,
    PENALTIES,
    PRIORS,
    Code,
    Custom,
    Data,
    Ended,
    Modules,
    Normal,
    Part,
    part_of,
)
from .parts.active import beside
from .parts.gaussian import log_normal
from .parts.layers import ACTIVATIONS, Bypass
from .parts.random import Random
from .threads import Threads

ROLES: dict[str, Any] = {
    "architecture": ARCHITECTURES, "bottleneck": BOTTLENECKS, "corruption": CORRUPTIONS, "loss": LOSSES, "penalties": PENALTIES,
    "objective": OBJECTIVES, "prior": PRIORS,
}  # fmt: skip
_WIDTH_OF_TOKENS = 64  # of the vector that a token becomes
_EXAMPLE_STEPS = 64  # along every axis whose length varies, where a network is tried out


@dataclass
class Choices:
    """The parts of one network, as the estimator was given them: names, parts, or functions for the loss."""

    architecture: object
    bottleneck: object
    corruption: object
    loss: object
    penalties: object
    objective: object
    prior: object


class Inlet(nn.Module):
    """Turns a sample's values into the floats that an architecture reads.

    A category becomes a one among zeros, a number that may be missing gets a second one that says whether it is there, and what
    is missing is zeros. A token becomes a vector that is learnt. Interactions are divided by their length. A condition becomes
    further channels.
    """

    numbers: Tensor
    categories: Tensor
    first: Tensor

    def __init__(self, schema, condition: int = 0):
        super().__init__()
        self.condition = condition
        self.columns, self.missing, self.unit_length = schema.columns, schema.missing, schema.unit_length
        *space, channels = (*schema.shape, _WIDTH_OF_TOKENS) if schema.tokens else schema.shape
        self.embed = nn.Embedding(schema.tokens, channels) if schema.tokens else None
        if self.columns is not None:
            widths = torch.tensor(self.columns)
            self.register_buffer("numbers", (widths == 0).nonzero().flatten(), persistent=False)
            self.register_buffer("categories", widths.nonzero().flatten(), persistent=False)
            self.register_buffer("first", (widths.cumsum(0) - widths)[widths > 0], persistent=False)
            self.ones = int(widths.sum())
            channels = 2 * len(self.numbers) + self.ones
        channels *= 2 if self.missing else 1
        self.shape = (*space, channels + condition)

    def forward(self, data: Data) -> Tensor:
        values = data.values if self.columns is None else self.floats(data)
        if self.embed is not None:
            values = self.embed(data.values)
            values = values if data.weight is None else values * data.weight[..., None]
        values = F.normalize(values, dim=-1) if self.unit_length else values
        if self.missing:
            there = torch.ones_like(values) if data.weight is None else data.weight
            values = torch.cat([values * there, there], -1)
        if not self.condition:
            return values
        assert data.condition is not None
        told = data.condition.view(len(values), *[1] * (values.ndim - 2), self.condition)
        return torch.cat([values, told.expand(*values.shape[:-1], self.condition)], -1)

    def floats(self, data: Data) -> Tensor:
        """(batch, 2 * numbers + categories) of a table."""
        there = torch.ones_like(data.values) if data.weight is None else data.weight
        ones = there.new_zeros(len(there), self.ones)
        place = self.first + data.values[:, self.categories].long()
        ones = ones.scatter(1, place, there[:, self.categories])
        known = there[:, self.numbers]
        return torch.cat([data.values[:, self.numbers] * known, known, ones], 1)


class Network(nn.Module):
    """Encoder and decoder of one model; parts in the order the data flows.

    encode : Data -> Code;   decode : Code or a bare z -> output;   mean : output -> reconstruction, as scaled.
    """

    def __init__(self, choices: Choices, schema, target_schema, n_components: int | None, condition: int = 0):
        super().__init__()
        self.inlet = Inlet(schema, condition)
        self.schema, self.target_schema = schema, target_schema
        self.condition = condition  # numbers that encoder and decoder are told besides
        self.corruption = nn.ModuleList(built_corruptions(choices.corruption, schema))
        self.architecture = part_of(choices.architecture, ARCHITECTURES, "architecture")
        self.bottleneck = part_of(choices.bottleneck, BOTTLENECKS, "bottleneck")
        self.loss = ended(loss_part(choices.loss), target_schema)
        self.penalties = nn.ModuleDict(built_penalties(choices.penalties))
        self.objective = part_of(choices.objective, OBJECTIVES, "objective")
        self.prior = part_of(choices.prior, PRIORS, "prior") if choices.prior is not None else None

        schema.check_code(n_components)
        check_sizes(self.architecture, schema, target_schema)
        hidden_shape = self.architecture.build_encoder(self.inlet.shape, schema.axes, n_components)
        check_maps(self, hidden_shape, n_components)
        self.code_shape = tuple(self.bottleneck.build(self._readable(hidden_shape), n_components))
        output_shape = self.loss.build(target_schema, getattr(self.bottleneck, "posterior", False))
        if hasattr(self.architecture, "read_target"):
            tokens, ends = target_schema.tokens, isinstance(self.loss, Ended)
            self.architecture.read_target(0 if tokens else target_schema.shape[-1], tokens, ends)
        if condition and None in self.code_shape:
            raise ValueError(
                f"A condition is told beside a code of one size, but with n_components=None codes have shape {self.code_shape} "
                "and differ as the samples do. Bring the samples to one size and set n_components, or leave condition= away."
            )
        read_shape = (math.prod(self.code_shape) + condition,) if condition else self.code_shape
        self.architecture.build_decoder(read_shape, output_shape, target_schema.axes)
        penalties: list[Any] = [penalty for penalty in self.penalties.values() if hasattr(penalty, "build")]
        for penalty in penalties:
            penalty.build(self.code_shape)
        if self.prior is not None:
            self.prior.build(self)
        check_combination(self)

    def check_room(self, size: int, deliberate: bool) -> None:
        """Refuses a network that can copy: a code as large as the input, with nothing else that limits it on purpose."""
        if getattr(self.architecture, "can_copy", False) and not deliberate:
            raise ValueError(
                f"{self.architecture!r} leads its source past the code, so it can copy samples and learns nothing from them as "
                "they are. Say what it is to undo (corruption='noise'), or what must come out (target=), or use 'conv'."
            )
        room = math.prod(self.code_shape) if None not in self.code_shape else self._room_of(size)
        if room >= size and not (deliberate or getattr(self.bottleneck, "limits", True)):
            smaller = "" if None in self.code_shape else f"Set n_components below {size}, or make"
            raise ValueError(
                f"A code of {room} numbers (shape {self.code_shape}) for samples of {size} (n_features={size}) can copy them "
                f"and learns nothing. {smaller or 'Make'} the code map smaller (fewer channels: architecture=Conv((32, 8))), or "
                "limit the code otherwise, for instance with corruption='noise'."
            )

    @torch.no_grad()
    def _room_of(self, size: int) -> int:
        """Numbers in a code that grows with its sample, of a sample of `size` numbers."""
        example = self.example()
        return round(self.encode(example).z[0].numel() / example.values[0].numel() * size)

    def corrupt(self, data: Data, random: Random) -> Data:
        whole = data
        for place, corruption in enumerate(self.corruption):
            data = corruption(data, random.stream(str(place)))
        if not self.schema.varies or self.schema.tokens or whole.weight is None or data.weight is None:
            return data
        return replace(data, values=data.values * whole.weight, weight=data.weight * whole.weight)  # padding stays empty

    def encode(self, data: Data, random: Random | None = None) -> Code:
        """`random=None` gives the deterministic code."""
        dropout = None if random is None else random.stream("encoder")
        told = {"there": data.weight} if self.architecture.reads_gaps else {}
        hidden, side, kept = self.architecture.encode(self.inlet(data), data.length, dropout, **told)
        code = self.bottleneck(self._readable(hidden), random)
        code.side, code.condition = side, data.condition
        if kept is not None:
            code.extra["length"] = kept  # valid steps of a code that is a sequence itself
        if self.schema.varies and self.target_schema is self.schema and self.schema.keeps_length:
            code.size, code.length = tuple(data.values.shape[1 : 1 + self.schema.axes]), data.length
        return code

    def towards(self, code: Code, target: Data) -> Code:
        """The code, with the sizes of what must come out, and, for a decoder under teacher forcing, with that itself.

        Where a reconstruction ends by itself, no decoder is told its length.
        """
        size = tuple(target.values.shape[1 : 1 + self.target_schema.axes]) if self.target_schema.varies else None
        return replace(code, size=size, length=target.length if self.target_schema.keeps_length else None, target=target.values)

    def _readable(self, hidden):
        """What the architecture gives (or its shape), without the source beside it where the bottleneck reads none."""
        paired = isinstance(hidden, tuple) and not isinstance(hidden[0], int)
        return hidden[0] if paired and not getattr(self.bottleneck, "reads_source", False) else hidden

    def decode(self, code: Code | Tensor, random: Random | None = None) -> Tensor:
        code = code if isinstance(code, Code) else Code(code)
        if code.size is None and self.target_schema.longest is not None:  # nothing says how long it is: room for the longest
            code = replace(code, size=tuple(self.target_schema.padded([self.target_schema.longest])))
        if self.condition:
            assert code.condition is not None
            code = code.at(beside(code.given, code.condition))
        if self.architecture.side_paths and code.side is None:
            raise ValueError(
                f"{self.architecture!r} decodes with what its encoder saw (places of the maxima, feature maps), which a bare "
                "code does not hold. Use reconstruct(X), or an architecture that decodes from the code alone (up='transpose')."
            )
        return self.architecture.decode(replace(code, loss=self.loss), random)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (batch,): the prior's; that of N(0, I) without one, and while training one that is fitted only afterwards."""
        if self.prior is None or (self.training and not self.prior.trained):
            return log_normal(z.flatten(1)).sum(1)
        return self.prior.log_prob(z, self)

    @torch.no_grad()
    def hidden_layers(self) -> list[nn.Module]:
        """The activation of every hidden layer of the encoder, first to last, found by running two samples of zeros."""
        with self.noting_activations(lambda act, output: act) as layers:
            self.encode(self.example())
        return layers

    def example(self) -> Data:
        """Two samples of zeros."""
        some = next(self.parameters(), torch.zeros(0))
        shape = [_EXAMPLE_STEPS if length is None else length for length in self.schema.shape]
        values = some.new_zeros(2, *shape, dtype=torch.int64 if self.schema.tokens else some.dtype)
        condition = some.new_zeros(2, self.condition) if self.condition else None
        length = some.new_full((2,), _EXAMPLE_STEPS, dtype=torch.int64) if self.schema.longest is not None else None
        return Data(values, length=length, condition=condition)

    @contextmanager
    def noting_activations(self, noted_as=lambda act, output: output):
        """A list that fills with the encoder's hidden activations, first to last, as it runs."""
        noted: list = []
        names = (*self.architecture.halves["encoder"], "act")
        parts = [getattr(self.architecture, name) for name in names if hasattr(self.architecture, name)]
        modules = [m for part in parts if isinstance(part, nn.Module) for m in part.modules()]  # some are parameters, or None
        acts: set[Any] = {m for m in modules if isinstance(m, tuple(ACTIVATIONS.values()))}
        hooks = [act.register_forward_hook(lambda act, inputs, output: noted.append(noted_as(act, output))) for act in acts]
        try:
            yield noted
        finally:
            for hook in hooks:
                hook.remove()

    def mean(self, output: Tensor) -> Tensor:
        return self.loss.mean(output)

    def keep_only(self, half: str) -> None:
        """Lets go of the weights that only the other half reads."""
        other = {"encoder": "decoder", "decoder": "encoder"}[half]
        for part in (self.architecture, self.bottleneck):
            for name in part.halves[other]:
                setattr(part, name, None)

    def nats(self, source: Data, target: Data, condition: Tensor | None = None) -> Tensor:
        """The loss of each sample at its deterministic code, without corruption."""
        return self.loss(self.decode(self.towards(self.encode(source.told(condition)), target)), target)

    def forward(self, data: Data) -> Tensor:
        return self.mean(self.decode(self.encode(data)))


def loss_part(loss):
    """The loss, ready to be built; any function or module of two tensors will do."""
    return Custom(loss) if callable(loss) and not isinstance(loss, Part | type) else part_of(loss, LOSSES, "loss")


def ended(loss, target_schema):
    """The loss; where sequences differ in length and do not hold their own end, each step says besides whether it is the last."""
    return Ended(loss) if target_schema.longest is not None and not target_schema.tokens else loss


def check_sizes(architecture, schema, target_schema) -> None:
    """Refuses samples of different sizes where the architecture asks for one."""
    if (schema.varies or target_schema.varies) and not architecture.sizes_vary:
        able = " or ".join(repr(name) for name, part in ARCHITECTURES.items() if part.sizes_vary)
        raise ValueError(
            f"{architecture!r} reads samples of one size, but these differ in size. Choose architecture={able}, or bring the "
            "samples to one size."
        )


def check_maps(network: Network, hidden_shape, n_components) -> None:
    """Refuses what needs codes of one size where a natural code is as large as its sample."""
    if n_components is not None or None not in hidden_shape:
        return
    penalties = [penalty for penalty in network.penalties.values() if hasattr(penalty, "build")]
    fixed = [part for part in (network.bottleneck, network.prior, *penalties) if not getattr(part, "sizes_vary", part is None)]
    if fixed:
        raise ValueError(
            f"{fixed[0]!r} needs codes of one size, but with n_components=None they have shape {tuple(hidden_shape)} and differ "
            "as the samples do. Set n_components, 32 say; pictures must then be of one size."
        )


def check_combination(network: Network) -> None:
    """Refuses parts that make no sense together, with the cure; what a part alone can tell, it refuses itself."""
    network.objective.check(network)
    penalties: list[Any] = list(network.penalties.values())
    for penalty in penalties:
        if hasattr(penalty, "check"):
            penalty.check(network)
    if network.prior is not None and network.architecture.side_paths:
        raise ValueError(
            f"prior={network.prior!r} draws codes, but {network.architecture!r} decodes with what its encoder saw, which a drawn "
            "code does not have. Leave prior away, or use an architecture that decodes from the code alone (up='transpose')."
        )
    posterior = getattr(network.bottleneck, "posterior", False)
    if isinstance(network.prior, Normal) and not held_to_normal(network):
        raise ValueError(
            f"prior={network.prior!r}, but nothing holds this model's codes to N(0, I), so draws from there would decode to no "
            "sample of the data. Use prior='mixture', which is fitted to the codes, or bottleneck='gaussian'."
        )
    for penalty in penalties:
        if getattr(penalty, "needs_posterior", False) and not posterior:
            raise ValueError(f"{penalty!r} needs a posterior, but bottleneck={network.bottleneck!r} has none. Use Gaussian().")
    if (posterior or isinstance(network.objective, ImportanceWeighted)) and not network.loss.likelihood:
        raise ValueError(
            f"bottleneck={network.bottleneck!r} weighs the loss against the code's cost in nats, so the loss must be a "
            f"likelihood. Use loss='squared', 'absolute' or 'bernoulli' instead of {network.loss!r}."
        )


def held_to_normal(network: Network) -> bool:
    """Whether a posterior's price, or a penalty, makes the codes as a whole look like draws from N(0, I)."""
    holding = (getattr(penalty, "holds_to_normal", False) for penalty in network.penalties.values())
    return getattr(network.bottleneck, "posterior", False) or any(holding)


def refuse_misplaced(role: str, given) -> None:
    """Refuses a part of isthmus that was passed for another role than its own."""
    for part in several(given):
        homes = [other for other, table in ROLES.items() if isinstance(part, tuple(table.values()))]
        if homes and role not in homes:
            raise TypeError(f"{role}={part!r}: this part has another role. Pass {homes[0]}={part!r}.")


def several(parts) -> list:
    """None, one part or several, as a list."""
    return [] if parts is None else list(parts) if isinstance(parts, list | tuple) else [parts]


def built_corruptions(corruptions, schema) -> list:
    built = [part_of(corruption, CORRUPTIONS, "corruption") for corruption in several(corruptions)]
    for corruption in built:
        corruption.build(schema)
    return built


def built_penalties(penalties) -> dict:
    """By name, as they appear in `history_`: the class in lower case, numbered from the second of its kind."""
    named: dict = {}
    for penalty in several(penalties):
        part = part_of(penalty, PENALTIES, "penalty")
        name = type(part).__name__.lower()
        count = sum(type(other) is type(part) for other in named.values())
        named[name if not count else f"{name}_{count + 1}"] = part
    return named


def initialise(network: Network, seed: int) -> None:
    """Xavier-uniform weights and zero biases (Glorot & Bengio 2010) for the layers that isthmus made.

    PyTorch's own default costs 6 to 8 % of the loss at the sizes measured in `docs/decisions/0003-recipe.md`. Modules
    that the user gave keep the weights they came with.
    """
    given = set(network.architecture.modules()) if isinstance(network.architecture, Modules) else set()
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if module not in given and isinstance(module, nn.Linear | nn.modules.conv._ConvNd | Bypass):
            weight: Any = module.around if isinstance(module, Bypass) else module.weight
            first = torch.empty_like(weight, device="cpu")  # drawn here, the numbers are the same on every device
            weight.data.copy_(nn.init.xavier_uniform_(first, generator=generator))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for part in (network.bottleneck, network.architecture, network.loss):
        part.set_first_weights()


# -------------------------------------------------------------------------------------------------- running


def block_size(network: Network) -> int:
    """Rows of the fixed blocks that data runs in: as many as keep the widest layer below 16 MB, from 16 to 1024."""
    inlet = (length or _EXAMPLE_STEPS for length in network.inlet.shape)
    widest = max([math.prod(inlet), *(math.prod(layer["output"]) for layer in layers_of(network))])
    return 2 ** max(4, min(10, int(math.log2(2**22 / widest))))


def numbers_of_step(network: Network) -> int:
    """About how many numbers a sample leaves in memory for the way back: the outputs of all layers, and what came in."""
    inlet = (length or _EXAMPLE_STEPS for length in network.inlet.shape)
    numbers = math.prod(inlet) + sum(math.prod(layer["output"]) for layer in layers_of(network))
    if not network.schema.varies:
        return numbers
    return -(-numbers * network.schema.size // network.example().values[0].numel())


@torch.no_grad()
def in_blocks(function, size: int, *rows) -> Any:
    """`function` of all rows, (n, ...) on the CPU, run in full blocks of one fixed size.

    The order in which a matrix product adds up depends on the product's size, so the same sample can give other last bits
    in a batch of another size. With one size for all, a sample's code does not depend on the company it came in. Samples of
    different sizes run in blocks of their group. Where `function` returns a list, one tensor a sample, so is the result.
    """
    count = len(rows[0])
    if any(len(r) != count for r in rows):
        raise ValueError(f"There are {count} samples, but {len(rows[-1])} targets: one for each is expected.")
    groups = next((r.groups for r in rows if getattr(r, "groups", None) is not None), None)
    if groups is not None:
        return in_groups(function, size, groups, *rows)
    result: Any = torch.empty(0)
    start = 0
    for part in each_block(function, size, *rows):
        if isinstance(part, list):
            result = [] if start == 0 else result
            result += [each.cpu() for each in part]
            start = len(result)
            continue
        if start == 0:
            result = torch.empty((count, *part.shape[1:]), dtype=part.dtype)
        result[start : start + len(part)] = part
        start += len(part)
    return result


@torch.no_grad()
def each_block(function, size: int, *rows) -> Iterator[Any]:
    """`function` of one full block after another; of the last, what is there."""
    count = len(rows[0])
    with Threads() as threads:
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield function(*(padded(r.block(start, stop), size) for r in rows))[: stop - start]
            threads.step()


def in_groups(function, size: int, groups: list[Tensor], *rows) -> Any:
    """`in_blocks` of samples whose sizes differ; the longer they are padded, the fewer to a block."""
    results: list[Tensor] = [torch.empty(0)] * len(rows[0])
    one_shape = True
    for group in groups:
        space = next(r for r in rows if getattr(r, "groups", None) is not None).padded_sizes[group[0]].tolist()
        several = fewer(size, math.prod(space), len(space))
        for index in group.split(several):
            parts = function(*(padded(r.take(index), several) for r in rows))
            one_shape = one_shape and isinstance(parts, Tensor)
            for place, part in zip(index.tolist(), parts, strict=False):  # those behind only fill the block
                results[place] = part.cpu()
    return torch.stack(results) if one_shape and len({part.shape for part in results}) == 1 else results


def fewer(size: int, places: int, axes: int = 1) -> int:
    """Rows of a block of samples of so many places, steps or pixels, where `size` is right for the example's."""
    return max(1, min(size, size * _EXAMPLE_STEPS**axes // places))


def padded(block: Data | Tensor, size: int) -> Any:
    """The block with its last row repeated behind it, up to `size` rows."""
    if len(block) == size:
        return block
    if isinstance(block, Data):
        return block.each(lambda tensor: padded(tensor, size))
    return torch.cat([block, block[-1:].expand(size - len(block), *block.shape[1:])])


# -------------------------------------------------------------------------------------------------- looking


def layers_of(network: Network) -> list[dict]:
    """What `isthmus info` shows: every layer that holds numbers or bends them, in the order the data meets it."""
    found: list[dict] = []
    names = {module: name for name, module in network.named_modules()}

    def note(module, inputs, output):
        if isinstance(output, Tensor):
            parameters = sum(p.numel() for p in module.parameters())
            found.append(
                {
                    "layer": names[module],
                    "kind": type(module).__name__,
                    "output": tuple(output.shape[1:]),
                    "parameters": parameters,
                }
            )

    leaves = [m for m in network.modules() if not list(m.children()) and not isinstance(m, Inlet | nn.Identity)]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad():
            network(network.example())
    finally:
        for hook in hooks:
            hook.remove()
    return found
