"""The one network: inlet, corruption, architecture, bottleneck and loss, put together from built parts."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .objective import OBJECTIVES
from .parts import ARCHITECTURES, BOTTLENECKS, CORRUPTIONS, LOSSES, Code, Custom, Data, Modules, Part, part_of
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
    """Turns a sample's values into the floats that an architecture reads."""

    def __init__(self, schema):
        super().__init__()
        self.shape = tuple(schema.shape)

    def forward(self, data: Data) -> Tensor:
        return data.values


class Network(nn.Module):
    """Encoder and decoder of one model; parts in the order the data flows.

    encode : Data -> Code;   decode : Code or a bare z -> output;   mean : output -> reconstruction, as scaled.
    """

    def __init__(self, choices: Choices, schema, target_schema, n_components: int | None):
        super().__init__()
        self.inlet = Inlet(schema)
        self.corruption = nn.ModuleList(built_corruptions(choices.corruption, schema))
        self.architecture = part_of(choices.architecture, ARCHITECTURES, "architecture")
        self.bottleneck = part_of(choices.bottleneck, BOTTLENECKS, "bottleneck")
        self.loss = loss_part(choices.loss)
        self.penalties = nn.ModuleDict(built_penalties(choices.penalties))
        self.objective = part_of(choices.objective, OBJECTIVES, "objective")
        self.prior = part_of(choices.prior, {}, "prior") if choices.prior is not None else None

        hidden_shape = self.architecture.build_encoder(self.inlet.shape, schema.axes, n_components)
        self.code_shape = tuple(self.bottleneck.build(self._readable(hidden_shape), n_components))
        output_shape = self.loss.build(target_schema)
        others: list[Any] = [*self.penalties.values(), self.prior]
        for part in (part for part in others if hasattr(part, "build")):
            part.build(self.code_shape)
        self.architecture.build_decoder(self.code_shape, output_shape, target_schema.axes)

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
        hidden, side, length = self.architecture.encode(self.inlet(data), data.length)
        code = self.bottleneck(self._readable(hidden), random)
        code.side, code.length = side, length
        return code

    def _readable(self, hidden):
        """What the architecture gives (or its shape), without the source beside it where the bottleneck reads none."""
        paired = isinstance(hidden, tuple) and not isinstance(hidden[0], int)
        return hidden[0] if paired and not getattr(self.bottleneck, "reads_source", False) else hidden

    def decode(self, code: Code | Tensor) -> Tensor:
        code = code if isinstance(code, Code) else Code(code)
        if self.architecture.side_paths and code.side is None:
            raise ValueError(
                f"{self.architecture!r} decodes with what its encoder saw (places of the maxima, feature maps), which a bare "
                "code does not hold. Use reconstruct(X), or an architecture that decodes from the code alone (up='transpose')."
            )
        return self.architecture.decode(code)

    def mean(self, output: Tensor) -> Tensor:
        return self.loss.mean(output)

    def keep_only(self, half: str) -> None:
        """Lets go of the weights that only the other half reads."""
        other = {"encoder": "decoder", "decoder": "encoder"}[half]
        for part in (self.architecture, self.bottleneck):
            for name in part.halves[other]:
                setattr(part, name, None)

    def nats(self, source: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample at its deterministic code, without corruption."""
        return self.loss(self.decode(self.encode(Data(source))), Data(target))

    def forward(self, data: Data) -> Tensor:
        return self.mean(self.decode(self.encode(data)))


def loss_part(loss):
    """The loss, ready to be built; any function or module of two tensors will do."""
    return Custom(loss) if callable(loss) and not isinstance(loss, Part | type) else part_of(loss, LOSSES, "loss")


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
        part = part_of(penalty, {}, "penalty")
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
    for part in (network.architecture, network.bottleneck, network.loss):
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


def padded(block: Tensor, size: int) -> Tensor:
    """The block with rows of zeros behind it, up to `size` rows."""
    if len(block) == size:
        return block
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
            network(Data(torch.zeros(2, *network.inlet.shape, dtype=example.dtype, device=example.device)))
    finally:
        for hook in hooks:
            hook.remove()
    return found
