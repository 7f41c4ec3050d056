"""What a model remembers of its training data: enough to say later whether new data look like it, and not one sample itself.

Of up to 1024 training samples (of the validation data, where `fit` had 100 or more): the loss of each, and how far its code lies
from the middle of all codes. Of every feature: the tenths of its values, and how many samples lie in each.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.stats import chi2
from torch import Tensor

from .data import Rows, Schema
from .network import in_blocks

_SAMPLES = 1024  # that are measured
_HELD_OUT = 100  # fewer say too little of how large an ordinary loss can be
_FEATURES = 4096  # of a sample with more numbers, channels are looked at, and not every place of its own
_PLACES = 256  # of a sample whose channels are looked at, spread over it
_BINS = 10
_AT_ONCE = 2**17  # values: what is counted of them takes many times their room
_USUAL = 0.99  # the share of training samples that neither a loss nor a distance of 1 sets apart
_MARGIN = 15.0  # over the root of the number of training samples: see `Reference.margin`
_LEAST = 1e-3  # of the largest spread of a number of the code: one that hardly moves counts no more than this lets it


@dataclass
class Comparison:
    """New data beside what a model was trained on.

    losses : (n,) in nats, None where it is not known what should come out;   distances : (n,) of the codes, None where these
        differ in size
    oddness : (n,) the larger of the two, each brought to 0 at the training samples' median and to 1 at their 99th percentile
        (losses at `Reference.margin` times as far, where no samples were held out)
    shift : (features,) the share of the samples that would have to lie in another tenth of the training values (or have
        another category) for the two to agree: the total variation distance between the two histograms
    chance : (features,) the probability of no smaller a chi-squared statistic between samples of one distribution
    features : places of the features in a sample, or of its channels
    held_out : whether the losses and distances are beside those of samples that were held out in `fit`
    """

    losses: np.ndarray | None
    distances: np.ndarray | None
    oddness: np.ndarray
    shift: np.ndarray
    chance: np.ndarray
    features: list[int]
    held_out: bool


@dataclass
class Reference:
    """What is kept: losses and distances (m,) of training samples, either None where there are none of the kind.

        distance(z) = sqrt(mean_j ((z_j - center_j) / spread_j)^2)

    center, spread : (components,) of the codes
    edges : (features, 9) between the tenths of the values, as scaled; they say nothing of categories
    shares : (features, 20) of the training samples in each bin, see `shares`
    count : () how many samples these are shares of;   samples : () how many the model was trained on
    held_out : () whether losses and distances are of samples that were held out
    """

    losses: Tensor | None
    distances: Tensor | None
    center: Tensor | None
    spread: Tensor | None
    edges: Tensor
    shares: Tensor
    count: Tensor
    samples: Tensor
    held_out: Tensor

    @classmethod
    def learn(cls, model, samples) -> "Reference":
        some, held = some_of(samples), samples.validation
        losses, codes = measured(model, some.source, some.target, told(some))
        center = spread = distances = None
        if codes is not None:
            center, spread = codes.mean(0), codes.std(0, correction=0)
            spread = spread.clamp_min(max(_LEAST * float(spread.max()), 1e-12))
        judged = some if held is None or len(held.source) < _HELD_OUT else some_of(held)
        if judged is not some:
            losses, codes = measured(model, judged.source, judged.target, told(judged))
        if codes is not None:
            distances = distance(codes, center, spread)
        edges = tenths(some.source)
        counts = (torch.tensor(number) for number in (len(some.source), len(samples.source), judged is not some))
        return cls(losses, distances, center, spread, edges, shares(some.source, edges), *counts)

    @property
    def margin(self) -> float:
        """How much farther from the median than 99 % of the training losses a new one may lie and still be ordinary.

        A model rebuilds what it was trained on better than other samples, the more so the fewer it was trained on: 1 +
        15 / sqrt(samples), a rule of thumb from scanned digits that lets half of the other samples pass. Losses of samples that
        were held out need none.
        """
        return 1.0 if self.held_out else 1 + _MARGIN / math.sqrt(int(self.samples))

    def compared(self, model, source: Rows, target: Rows | None, condition: list) -> Comparison:
        losses, codes = measured(model, source, target, condition)
        distances = None if codes is None or self.center is None else distance(codes, self.center, self.spread)
        known = [(losses, self.losses, self.margin), (distances, self.distances, 1.0)]
        scales = [beyond(new, usual) / far for new, usual, far in known if new is not None and usual is not None]
        if not scales:
            raise ValueError(
                "This model's codes differ in size, and it was fitted with a target of its own: there is nothing to compare "
                "without it. Pass target=."
            )
        found = shares(source, self.edges)
        shift, chance = apart(self.shares, found, int(self.count), len(source))
        return Comparison(
            None if losses is None else losses.numpy(),
            None if distances is None else distances.numpy(),
            torch.stack(scales).amax(0).numpy(),
            shift.numpy(),
            chance,
            features(source.schema),
            bool(self.held_out),
        )

    def tensors(self) -> dict[str, Tensor]:
        """As they are stored, by name."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: t.float() if t.is_floating_point() else t for name, t in known.items() if t is not None}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> "Reference | None":
        """The inverse; None where nothing was stored."""
        return cls(**{field.name: tensors.get(field.name) for field in fields(cls)}) if tensors else None  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------- samples


def some_of(samples):
    return samples.subset(samples.source.spread(_SAMPLES))


def told(samples) -> list:
    return [] if samples.condition is None else [samples.condition]


def measured(model, source: Rows, target: Rows | None, condition: list) -> tuple[Tensor | None, Tensor | None]:
    """Losses, (n,), and codes, (n, components), in float64; no losses without a target, no codes where they differ in size."""
    network, whole = model.network_, None not in model.code_shape_
    if target is None and not whole:
        return None, None

    def both(data, *rest):
        wanted, *told = rest if target is not None else (None, *rest)
        code = network.encode(data.told(told[0] if told else None))
        nats = [] if wanted is None else [network.loss(network.decode(network.towards(code, wanted)), wanted)[:, None]]
        return torch.cat([*nats, *([code.z.flatten(1)] if whole else [])], 1)

    rows = [source, *([] if target is None else [target]), *condition]
    found = in_blocks(both, model.block_, *rows).double()
    return None if target is None else found[:, 0], found[:, int(target is not None) :] if whole else None


def distance(codes: Tensor, center, spread) -> Tensor:
    """Of each code from the middle, (n,), as `Reference` has it."""
    return ((codes - center) / spread).square().mean(1).sqrt()


def beyond(values: Tensor, usual: Tensor) -> Tensor:
    """`values` on the scale where the median of `usual` is 0, and 1 what a share of `_USUAL` of new ones stays below."""
    ordered = usual.double().sort().values
    middle = ordered[len(ordered) // 2]
    last = ordered[min(len(ordered), math.ceil(_USUAL * (len(ordered) + 1))) - 1]
    return (values - middle) / (last - middle).clamp_min(1e-6 * max(1.0, float(last.abs())))


# ---------------------------------------------------------------------------------------------------- features


def features(schema: Schema) -> list[int]:
    """Places of the features in a sample of one axis or of one size; of others, and of large ones, the channels."""
    if schema.tokens:
        return [0]
    count = schema.shape[-1] if by_channel(schema) else math.prod(schema.shape)
    return np.linspace(0, count - 1, min(count, _FEATURES)).round().astype(int).tolist()


def by_channel(schema: Schema) -> bool:
    """Whether places are not told apart: there are too many, or samples differ in size."""
    return schema.varies or (schema.axes > 0 and math.prod(schema.shape) > _FEATURES)


def widths(schema: Schema) -> list[int]:
    """Of every feature how many categories it has; 0 for numbers."""
    if schema.tokens:
        return [schema.tokens]
    known = schema.columns or [0] * schema.shape[-1] if schema.axes == 0 else None
    return [0 if known is None else known[place] for place in features(schema)]


def seen(rows: Rows) -> Iterator[tuple[Tensor, Tensor]]:
    """Values in float32 and whether they are there, (features, samples or places), a few samples at a time."""
    schema, chosen = rows.schema, features(rows.schema)
    width = 1 if schema.tokens else schema.shape[-1] if by_channel(schema) else math.prod(schema.shape)
    several = 64 if by_channel(schema) else max(1, _AT_ONCE // math.prod(schema.shape))
    for start in range(0, len(rows), several):
        data = rows.block(start, min(start + several, len(rows)))
        there = torch.ones_like(data.values, dtype=torch.bool) if data.weight is None else (data.weight > 0)
        values, there = (
            x.reshape(len(data), -1, width)[..., chosen] for x in (data.values.float(), there.expand(data.values.shape))
        )
        if values.shape[1] > _PLACES:
            places = torch.linspace(0, values.shape[1] - 1, _PLACES).round().long().to(values.device)
            values, there = values[:, places], there[:, places]
        yield values.flatten(0, 1).T.cpu(), there.flatten(0, 1).T.cpu()


def tenths(rows: Rows) -> Tensor:
    """(features, 9): halfway between the neighbours on both sides, so that only a value that is frequent lies on one."""
    values, there = (torch.cat(parts, 1) for parts in zip(*seen(rows), strict=True))
    some = max(1, _AT_ONCE // values.shape[1])
    return torch.cat([tenths_of(*pair) for pair in zip(values.split(some), there.split(some), strict=True)])


def tenths_of(values: Tensor, there: Tensor) -> Tensor:
    ordered, count = torch.where(there, values, torch.inf).sort(1).values, there.sum(1, keepdim=True).clamp_min(1)
    above = (count * torch.arange(1, _BINS) // _BINS).clamp_max(values.shape[1] - 1)
    edges = (ordered.gather(1, (above - 1).clamp_min(0)) + ordered.gather(1, above)) / 2
    return edges.nan_to_num(posinf=0.0)  # of what was missing throughout


def shares(rows: Rows, edges: Tensor) -> Tensor:
    """(features, 20) of the samples in each bin: below, between and above the edges, on each of them, or missing.

    A category has a bin of its own; where there are more than 19, neighbours share one.
    """
    bins, known = 2 * _BINS, torch.tensor(widths(rows.schema))
    counts = torch.zeros(len(known), bins, dtype=torch.float64)
    for values, there in seen(rows):
        values = values.contiguous()
        place = torch.searchsorted(edges, values) + torch.searchsorted(edges, values, right=True)
        if known.any():
            width = known.clamp_min(1)[:, None]
            category = torch.where(width < bins, values.long(), values.long() * (bins - 1) // width)
            place = torch.where(known[:, None] > 0, category, place)
        place = torch.where(there, place, bins - 1)
        counts.scatter_add_(1, place, torch.ones_like(place, dtype=torch.float64))
    return counts / counts.sum(1, keepdim=True)


def apart(known: Tensor, found: Tensor, samples: int, others: int) -> tuple[Tensor, np.ndarray]:
    """Total variation distance between shares of so many samples and of so many others, and the chance of it, (features,)."""
    known = known.double()
    a, b = known * samples, found * others
    ratio = math.sqrt(others / samples)
    statistic = ((ratio * a - b / ratio).square() / (a + b).clamp_min(1e-12)).sum(1)
    freedom = ((a + b) > 0).sum(1) - 1
    chance = np.where(freedom > 0, chi2.sf(statistic.numpy(), freedom.clamp_min(1).numpy()), 1.0)
    return (known - found).abs().sum(1) / 2, chance
