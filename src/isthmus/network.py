"""The one network: inlet, corruption, architecture, bottleneck and loss, put together from built parts."""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .objective import OBJECTIVES, ImportanceWeighted
from .parts import ARCHITECTURES, BOTTLENECKS, CORRUPTIONS, LOSSES, PENALTIES, PRIORS, Code, Custom, Data, Modules, Part, part_of
from .parts.architectures import ACTIVATIONS
from .parts.gaussian import log_normal
from .parts.layers import Bypass
from .parts.random import Random


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

    A category becomes a one among zeros, a number that may be missing gets a second one that says whether it is there, and a
    missing cell is zeros. A condition becomes further channels.
    """

    numbers: Tensor
    categories: Tensor
    first: Tensor

    def __init__(self, schema, condition: int = 0):
        super().__init__()
        self.condition = condition
        self.columns = schema.columns
        *space, channels = schema.shape
        if self.columns is not None:
            widths = torch.tensor(self.columns)
            self.register_buffer("numbers", (widths == 0).nonzero().flatten(), persistent=False)
            self.register_buffer("categories", widths.nonzero().flatten(), persistent=False)
            self.register_buffer("first", (widths.cumsum(0) - widths)[widths > 0], persistent=False)
            self.ones = int(widths.sum())
            channels = 2 * len(self.numbers) + self.ones
        self.shape = (*space, channels + condition)

    def forward(self, data: Data) -> Tensor:
        values = data.values if self.columns is None else self.floats(data)
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
        self.sample_shape = tuple(schema.shape)
        self.condition = condition  # numbers that encoder and decoder are told besides
        self.corruption = nn.ModuleList(built_corruptions(choices.corruption, schema))
        self.architecture = part_of(choices.architecture, ARCHITECTURES, "architecture")
        self.bottleneck = part_of(choices.bottleneck, BOTTLENECKS, "bottleneck")
        self.loss = loss_part(choices.loss)
        self.penalties = nn.ModuleDict(built_penalties(choices.penalties))
        self.objective = part_of(choices.objective, OBJECTIVES, "objective")
        self.prior = part_of(choices.prior, PRIORS, "prior") if choices.prior is not None else None

        hidden_shape = self.architecture.build_encoder(self.inlet.shape, schema.axes, n_components)
        self.code_shape = tuple(self.bottleneck.build(self._readable(hidden_shape), n_components))
        output_shape = self.loss.build(target_schema, getattr(self.bottleneck, "posterior", False))
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
        room = math.prod(self.code_shape)
        if room >= size and not (deliberate or getattr(self.bottleneck, "limits", True)):
            raise ValueError(
                f"A code of {room} numbers (shape {self.code_shape}) for samples of {size} (n_features={size}) can copy them "
                f"and learns nothing. Set n_components below {size}, make the code map smaller (fewer channels), or limit the "
                "code otherwise, for instance with corruption='noise'."
            )

    def corrupt(self, data: Data, random: Random) -> Data:
        for place, corruption in enumerate(self.corruption):
            data = corruption(data, random.stream(str(place)))
        return data

    def encode(self, data: Data, random: Random | None = None) -> Code:
        """`random=None` gives the deterministic code."""
        dropout = None if random is None else random.stream("encoder")
        hidden, side, length = self.architecture.encode(self.inlet(data), data.length, dropout)
        code = self.bottleneck(self._readable(hidden), random)
        code.side, code.length, code.condition = side, length, data.condition
        return code

    def _readable(self, hidden):
        """What the architecture gives (or its shape), without the source beside it where the bottleneck reads none."""
        paired = isinstance(hidden, tuple) and not isinstance(hidden[0], int)
        return hidden[0] if paired and not getattr(self.bottleneck, "reads_source", False) else hidden

    def decode(self, code: Code | Tensor, random: Random | None = None) -> Tensor:
        code = code if isinstance(code, Code) else Code(code)
        if self.condition:
            assert code.condition is not None
            code = code.at(torch.cat([code.z.flatten(1), code.condition], 1))
        if self.architecture.side_paths and code.side is None:
            raise ValueError(
                f"{self.architecture!r} decodes with what its encoder saw (places of the maxima, feature maps), which a bare "
                "code does not hold. Use reconstruct(X), or an architecture that decodes from the code alone (up='transpose')."
            )
        return self.architecture.decode(code, random)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (batch,): the prior's; that of N(0, I) without one, and while training one that is fitted only afterwards."""
        if self.prior is None or (self.training and not self.prior.trained):
            return log_normal(z.flatten(1)).sum(1)
        return self.prior.log_prob(z, self)

    @torch.no_grad()
    def hidden_layers(self) -> list[nn.Module]:
        """The activation of every hidden layer of the encoder, first to last, found by running two samples of zeros."""
        example = next(self.architecture.parameters(), torch.zeros(0))
        with self.noting_activations(lambda act, output: act) as layers:
            self.architecture.encode(example.new_zeros(2, *self.inlet.shape))
        return layers

    @contextmanager
    def noting_activations(self, noted_as=lambda act, output: output):
        """A list that fills with the encoder's hidden activations, first to last, as it runs."""
        noted: list = []
        names = (*self.architecture.halves["encoder"], "act")
        parts = [getattr(self.architecture, name) for name in names if hasattr(self.architecture, name)]
        acts: set[Any] = {m for part in parts for m in part.modules() if isinstance(m, tuple(ACTIVATIONS.values()))}
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
        return self.loss(self.decode(self.encode(source.told(condition))), target)

    def forward(self, data: Data) -> Tensor:
        return self.mean(self.decode(self.encode(data)))


def loss_part(loss):
    """The loss, ready to be built; any function or module of two tensors will do."""
    return Custom(loss) if callable(loss) and not isinstance(loss, Part | type) else part_of(loss, LOSSES, "loss")


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
    for penalty in penalties:
        if getattr(penalty, "needs_posterior", False) and not posterior:
            raise ValueError(f"{penalty!r} needs a posterior, but bottleneck={network.bottleneck!r} has none. Use Gaussian().")
    if (posterior or isinstance(network.objective, ImportanceWeighted)) and not network.loss.likelihood:
        raise ValueError(
            f"bottleneck={network.bottleneck!r} weighs the loss against the code's cost in nats, so the loss must be a "
            f"likelihood. Use loss='squared', 'absolute' or 'bernoulli' instead of {network.loss!r}."
        )


def listed(parts) -> list:
    """None, one part or several, as a list."""
    return [] if parts is None else list(parts) if isinstance(parts, list | tuple) else [parts]


def built_corruptions(corruptions, schema) -> list:
    built = [part_of(corruption, CORRUPTIONS, "corruption") for corruption in listed(corruptions)]
    for corruption in built:
        corruption.build(schema)
    return built


def built_penalties(penalties) -> dict:
    """By name, as they appear in `history_`: the class in lower case, numbered from the second of its kind."""
    named: dict = {}
    for penalty in listed(penalties):
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
    widest = max([math.prod(network.inlet.shape), *(math.prod(layer["output"]) for layer in layers_of(network))])
    return 2 ** max(4, min(10, int(math.log2(2**22 / widest))))


@torch.no_grad()
def in_blocks(function, size: int, *rows) -> Tensor:
    """`function` of all rows, (n, ...) on the CPU, run in full blocks of one fixed size.

    The order in which a matrix product adds up depends on the product's size, so the same sample can give other last bits
    in a batch of another size. With one size for all, a sample's code does not depend on the company it came in.
    """
    count = len(rows[0])
    if any(len(r) != count for r in rows):
        raise ValueError(f"There are {count} samples, but {len(rows[-1])} targets: one for each is expected.")
    result = torch.empty(0)
    for start in range(0, count, size):
        stop = min(start + size, count)
        part = function(*(padded(r.block(start, stop), size) for r in rows))[: stop - start]
        if start == 0:
            result = torch.empty((count, *part.shape[1:]), dtype=part.dtype)
        result[start:stop] = part
    return result


def padded(block: Data | Tensor, size: int) -> Any:
    """The block with rows of zeros behind it, up to `size` rows."""
    if len(block) == size:
        return block
    if isinstance(block, Data):
        return block.each(lambda tensor: padded(tensor, size))
    return torch.cat([block, block.new_zeros(size - len(block), *block.shape[1:])])


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
    example = next(network.parameters(), torch.zeros(0))
    try:
        with torch.no_grad():
            values = example.new_zeros(2, *network.sample_shape)
            network(Data(values, condition=example.new_zeros(2, network.condition) if network.condition else None))
    finally:
        for hook in hooks:
            hook.remove()
    return found
