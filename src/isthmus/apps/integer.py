"""A trained variational autoencoder on whole numbers: weights, sums, activations and chances.

A float computation differs in its last bits from machine to machine, and a chance that differs in its last bit makes garbage of
all that follows in a compressed file. Here a value is a whole number q that stands for q / 2^fraction, and

    a layer        y = (W x + b) >> shift       W of 8 or 16 bits, and a shift of its own for every row
    an activation  y = table[x]                 of 16 bits; relu needs no table
    a chance       slots of 2^24                cumulative, from tables of the normal and of the logistic distribution

All are frozen by `freeze` after training. Products run in float64, which holds whole numbers below 2^53 exactly: sums are the
same in whatever order they are added, by any library and any number of threads.

Source: Ballé et al. 2019, "Integer networks for data compression with latent-variable models".
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn

from ..parts import Bernoulli, Dense, Gaussian, Normal, Pixels
from .ans import PRECISION, TOTAL

CODES = 2048  # values that a component of the code may take
_FINE = 7  # bits: they lie 1/128 apart, from -8 to 8
_SOURCE, _CODE = 8, 12  # fractions of what enters encoder and decoder
_MEAN, _LOGVAR = 12, 5  # of the posterior
_LOGIT, _SCORE, _LEVEL, _WIDTH = 12, 8, 16, 6  # of what is said of a pixel
_STEP = 6  # tables of distributions have steps of 1/64
_ENTRIES = 13  # bits: entries of an activation's table
_WIDEST, _LEAST_LOGVAR, _MOST_LOGVAR = 7, -20, 8
_SAMPLES = 1024  # that ranges are measured on
_ROWS = 256  # samples whose pixels are done together


# -------------------------------------------------------------------------------------------------- freezing


def freeze(model, levels: np.ndarray, bits: int = 8) -> "IntegerNetwork":
    """The integer network of a fitted model.

    Parameters
    ----------
    model : fitted Autoencoder with architecture=Dense(bypass=False), bottleneck=Gaussian() and loss=Pixels(...) or "bernoulli"
        (two levels), of pictures or vectors
    levels : (n, pixels, channels) whole numbers; of training samples, up to 1,024 of which tell how large activations become
    bits : 8 or 16, default 8; of a weight
    """
    check_model(model)
    freezer = _Freezer(levels_of(model), bits)
    with torch.no_grad():
        network = copy.deepcopy(model.network_).cpu().double().eval()  # the model's own stays as it is
        freezer.network(network, levels[:: max(1, len(levels) // _SAMPLES)][:_SAMPLES])
    return IntegerNetwork(freezer.tensors, freezer.told)


def check_model(model) -> None:
    """Refuses a model whose networks, code or likelihood have no integer form."""
    network = model.network_
    architecture, bottleneck, loss = network.architecture, network.bottleneck, network.loss
    cure = "Use Autoencoder(n, architecture=Dense((512, 256), bypass=False), bottleneck=Gaussian(), loss=Pixels(levels))."
    if not isinstance(architecture, Dense) or architecture.around:
        raise ValueError(f"The networks must be architecture=Dense(..., bypass=False), not {architecture!r}. {cure}")
    if not isinstance(bottleneck, Gaussian) or not (network.prior is None or isinstance(network.prior, Normal)):
        raise ValueError(
            f"The code must be drawn from bottleneck=Gaussian() with the prior N(0, I), not from {bottleneck!r} with "
            f"prior={network.prior!r}. {cure}"
        )
    if not isinstance(loss, Pixels | Bernoulli):
        raise ValueError(f"The likelihood must be one of whole levels, loss=Pixels(levels), not {loss!r}. {cure}")
    if model.condition_ is not None or model.target_schema_ is not model.schema_ or network.inlet.missing:
        raise ValueError(
            "The model was fitted with a condition, a target or gaps, but a file holds the samples alone. Fit without."
        )
    if model.schema_.kind not in ("images", "vectors") or None in model.schema_.shape:
        raise ValueError(f"Pictures of one size or vectors are expected, but the model is of {model.schema_.kind}. {cure}")


def levels_of(model) -> int:
    """How many levels the model's likelihood knows."""
    return getattr(model.network_.loss, "levels", 2)


class _Freezer:
    """Fills `tensors` and `told` layer by layer, in the order the data flows, each fitted to what reaches it."""

    def __init__(self, levels: int, bits: int):
        self.levels, self.bits = levels, bits
        self.tensors = _tables(levels)
        self.told: dict[str, Any] = {"levels": levels, "layers": {}, "fractions": {}}

    def network(self, network, samples: np.ndarray) -> None:
        loss, top = network.loss, self.levels - 1
        pixels, shape = isinstance(loss, Pixels), tuple(network.schema.shape)
        self.told |= {"space": list(shape if len(shape) == 3 else (1, math.prod(shape), 1)), "pixels": pixels}
        self.told |= {"reach": 0, "maps": 0, "components": getattr(loss, "components", 1)}

        values = torch.from_numpy(samples.reshape(len(samples), -1) / top)
        hidden, fraction = self.layers("encoder", network.architecture.encoder, values, _SOURCE, top)
        one = 1 if self.told["layers"]["encoder"] else top
        for name, wanted in (("mean", _MEAN), ("logvar", _LOGVAR)):
            self.affine(name, *_linear(getattr(network.bottleneck, name)), fraction, wanted, one)
        code = _drawn(network.bottleneck, hidden)

        hidden, fraction = self.layers("decoder", network.architecture.decoder, code, _CODE)
        output = network.architecture.head(hidden)
        self.told["fractions"]["maps"] = _fraction(output) if pixels else _LOGIT
        self.affine("head", *_linear(network.architecture.head), fraction, self.told["fractions"]["maps"])
        if pixels:
            self.pixels(loss, output, values)

    def layers(self, name: str, layers, values: torch.Tensor, fraction: int, unit: int = 1) -> tuple[torch.Tensor, int]:
        """Hidden layers, each with a table of its activation; returns the last activation as floats, and its fraction."""
        self.told["layers"][name] = len(layers) // 2
        for place in range(len(layers) // 2):
            linear, activation = layers[2 * place], layers[2 * place + 1]
            before = linear(values)
            values = activation(before)
            coarse, fine = _ENTRIES - 1 - _bits_of(before), _fraction(values)
            self.affine(f"{name}.{place}", *_linear(linear), fraction, coarse, 1 if place else unit)
            entries = torch.arange(-(2 ** (_ENTRIES - 1)), 2 ** (_ENTRIES - 1), dtype=torch.float64) / 2.0**coarse
            table = _rounded(activation(entries), fine).clip(-(2**15), 2**15 - 1)
            self.tensors[f"{name}.{place}.table"] = table.astype(np.int16)
            fraction = fine
        return values, fraction

    def pixels(self, loss: Any, output: torch.Tensor, values: torch.Tensor) -> None:
        """The small network of `Pixels`, channel by channel; what it reads of the maps and of the levels apart."""
        height, width, channels = loss.space
        maps = channels + loss.maps
        weight = loss.first.weight * loss.mask
        seen = torch.cat([output.view(-1, height, width, maps), values.view(-1, *loss.space)], -1).permute(0, 3, 1, 2)[:128]
        first = nn.functional.conv2d(seen, weight, loss.first.bias, padding=loss.first.padding)
        second = loss.second(first.relu())
        of_first, of_second = _fraction(first), _fraction(second)
        self.told |= {"maps": loss.maps, "reach": int(loss.first.padding[0])}
        wanted = np.full(1, _LOGIT) if self.levels == 2 else np.repeat([_SCORE, _LEVEL, _WIDTH], loss.components)
        weight, read = (each.permute(0, 2, 3, 1) for each in (weight, loss.mask))  # (outputs, rows, columns, inputs)
        for channel in range(channels):
            rows = slice(channel * loss.hidden, (channel + 1) * loss.hidden)
            answers = slice(channel * loss.answers, (channel + 1) * loss.answers)
            known = read[rows, ..., maps:].flatten(1)[0] > 0
            of_maps, of_levels = weight[rows, ..., :maps].flatten(1), weight[rows, ..., maps:].flatten(1)[:, known]
            name = f"pixels.{channel}"
            self.affine(f"{name}.maps", of_maps, loss.first.bias[rows], self.told["fractions"]["maps"], of_first)
            self.affine(f"{name}.levels", of_levels, None, _SOURCE, of_first, self.levels - 1)
            self.affine(f"{name}.second", loss.second.weight[rows, :, 0, 0], loss.second.bias[rows], of_first, of_second)
            self.affine(f"{name}.head", loss.head.weight[answers, :, 0, 0], loss.head.bias[answers], of_second, wanted)

    def affine(self, name: str, weight, bias, fraction: int, wanted: int | np.ndarray, unit: int = 1) -> None:
        """A linear map of values with `fraction` to values with the fraction `wanted`; what enters is counted in 1 / `unit`."""
        weight = weight.double().numpy() / unit
        largest, top = np.abs(weight).max(1, initial=2.0**-40), 2 ** (self.bits - 1) - 1
        own = (self.bits - 1 - np.ceil(np.log2(largest))).astype(np.int64)  # the fraction of every row's weights
        shift = fraction + own - wanted
        lift = max(0, -int(shift.min()))
        shift = shift + lift
        offset = np.zeros(len(weight)) if bias is None else bias.double().numpy() * 2.0 ** (fraction + own + lift)
        whole = np.rint(weight * 2.0 ** own[:, None]).clip(-top, top)
        self.tensors[f"{name}.weight"] = whole.astype(np.int8 if self.bits == 8 else np.int16)
        self.tensors[f"{name}.bias"] = np.rint(offset).astype(np.int64) + (2**shift >> 1)  # half of what is dropped: it rounds
        self.tensors[f"{name}.shift"] = np.append(shift, lift).astype(np.uint8)


def _drawn(bottleneck: Any, hidden: torch.Tensor) -> torch.Tensor:
    """A code from every sample's posterior."""
    mean, logvar = bottleneck.mean(hidden), bottleneck.logvar(hidden).clamp(_LEAST_LOGVAR, _MOST_LOGVAR)
    return mean + (0.5 * logvar).exp() * torch.from_numpy(np.random.default_rng(0).normal(size=tuple(mean.shape)))


def _linear(module) -> tuple[torch.Tensor, torch.Tensor]:
    linear = module if isinstance(module, nn.Linear) else next(m for m in module.modules() if isinstance(m, nn.Linear))
    return linear.weight, linear.bias


def _bits_of(values: torch.Tensor) -> int:
    """Bits before the point, with room for values half as large again as those seen."""
    return math.ceil(math.log2(max(1.5 * float(values.abs().max()), 2.0**-8)))


def _fraction(values: torch.Tensor) -> int:
    """Bits behind the point that leave room for the largest value in 16 bits."""
    return min(14, 15 - _bits_of(values))


def _rounded(values, fraction: int) -> np.ndarray:
    return np.rint(np.asarray(values, np.float64) * 2.0**fraction).astype(np.int64)


def _tables(levels: int) -> dict[str, np.ndarray]:
    """Cumulative distributions and exponentials, in slots."""
    edges = (np.arange(CODES + 1) - CODES // 2) / 2.0**_FINE
    prior = np.rint(special.ndtr(edges) * (TOTAL - CODES)).astype(np.int64)
    prior[0], prior[-1] = 0, TOTAL - CODES
    tables = {
        "prior": prior + np.arange(CODES + 1),
        "normal": _steps(special.ndtr, 8),
        "deviation": _rounded(np.exp(-0.5 * np.arange(_LEAST_LOGVAR << _LOGVAR, (_MOST_LOGVAR << _LOGVAR) + 1) / 2**_LOGVAR), 12),
        "logistic": _steps(special.expit, 17),
    }
    if levels > 2:
        tables["exponential"] = _rounded(np.exp(-np.arange(16 << _SCORE) / 2**_SCORE), 24)
        tables["sharpness"] = _rounded(np.exp(-np.arange(-_WIDEST << _WIDTH, (_WIDEST << _WIDTH) + 1) / 2**_WIDTH), 14)
        tables["edges"] = _rounded((np.arange(levels + 1) - 0.5) / (levels - 1), _LEVEL)
    return {name: table.astype(np.int32) for name, table in tables.items()}


def _steps(cumulative, end: int) -> np.ndarray:
    """A cumulative distribution from -end to end; nothing lies below, and all below the end."""
    table = _rounded(cumulative(np.arange(-end << _STEP, (end << _STEP) + 1) / 2**_STEP), PRECISION)
    table[0], table[-1] = 0, TOTAL
    return table


# --------------------------------------------------------------------------------------------------- running


class IntegerNetwork:
    """What `freeze` made: posterior, decoder and the chances of levels, on whole numbers.

    tensors : dict of integer arrays;   told : JSON values; the two are all there is to it, and make it anew.
    Levels are (samples, pixels, channels), codes (samples, components) in [0, CODES), all int64.
    """

    def __init__(self, tensors: dict[str, np.ndarray], told: dict):
        self.tensors, self.told = tensors, told
        self.height, self.width, self.channels = told["space"]
        self.levels, self.reach = told["levels"], told["reach"]
        self.encoder = [self._layer(f"encoder.{i}") for i in range(told["layers"]["encoder"])]
        self.decoder = [self._layer(f"decoder.{i}") for i in range(told["layers"]["decoder"])]
        self.mean, self.logvar, self.head = (Affine(tensors, name) for name in ("mean", "logvar", "head"))
        self.n_components = len(tensors["mean.weight"])
        tables = {name: tensor.astype(np.int64) for name, tensor in tensors.items() if "." not in name}
        self.prior, self.deviation, self.normal = tables["prior"], tables["deviation"], Steps(tables["normal"])
        self.chances: Any = (Binary if self.levels == 2 else Mixture)(tables, self.levels)
        self.pixels = _Pixels(self) if told["pixels"] else None

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def _layer(self, name: str):
        return Affine(self.tensors, name), self.tensors[f"{name}.table"].astype(np.int64)

    def posterior(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and one over the standard deviation of every component's code, as `find_code` reads them."""
        hidden = through(self.encoder, levels.reshape(len(levels), -1) << _SOURCE)
        logvar = self.logvar(hidden).clip(_LEAST_LOGVAR << _LOGVAR, _MOST_LOGVAR << _LOGVAR)
        limit = CODES << (_MEAN - _FINE)
        return self.mean(hidden).clip(-limit, limit), self.deviation[logvar - (_LEAST_LOGVAR << _LOGVAR)]

    def decode(self, code: np.ndarray) -> np.ndarray:
        """What the decoder says of every pixel, (samples, pixels, channels + maps)."""
        values = (2 * code + 1 - CODES) << (_CODE - _FINE - 1)  # the middle of a code's interval
        maps = self.head(through(self.decoder, values)).clip(-(2**20), 2**20)
        return maps.reshape(len(code), self.height * self.width, -1)

    # ------------------------------------------------------------------------------------------------- codes

    def below(self, posterior, code: np.ndarray) -> np.ndarray:
        """Slots that the posterior gives to codes below."""
        mean, sharpness = posterior
        edge = (code - CODES // 2) << (_MEAN - _FINE)
        chance = self.normal((edge - mean) * sharpness >> 8, 16)
        inner = (chance * (TOTAL - CODES) >> PRECISION) + code
        return np.where(code <= 0, 0, np.where(code >= CODES, TOTAL, inner))

    def code_slots(self, posterior, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the slots of a code start, and how many there are."""
        start = self.below(posterior, code)
        return start, self.below(posterior, code + 1) - start

    def find_code(self, posterior, slot: np.ndarray) -> np.ndarray:
        """The code that owns a slot: by halves."""
        code = np.zeros_like(slot)
        step = CODES // 2
        while step:
            code = np.where(self.below(posterior, code + step) <= slot, code + step, code)
            step //= 2
        return code

    def prior_slots(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.prior[code], self.prior[code + 1] - self.prior[code]

    def find_prior(self, slot: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.prior, slot, side="right") - 1

    # ---------------------------------------------------------------------------------------------- pixels

    def pixel_slots(self, maps: np.ndarray, levels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Start and count of every level, (samples, channels) each, pixel by pixel and last to first, all known."""
        if self.pixels is None:
            starts, counts = self.chances.slots_of(maps[..., None], levels)
        else:
            starts, counts = self.pixels.slots_of(maps, levels)
        for pixel in reversed(range(levels.shape[1])):
            yield starts[:, pixel], counts[:, pixel]

    def read_pixels(self, maps: np.ndarray, stack) -> np.ndarray:
        """The levels that come off a stack, (samples, pixels, channels): each told by those before."""
        reader = self.pixels.reader(maps) if self.pixels is not None else None
        levels = np.empty((len(maps), self.height * self.width, self.channels), np.int64)
        for pixel in range(levels.shape[1]):
            for channel in range(self.channels):
                answers = maps[:, pixel, channel, None] if reader is None else reader.answers(pixel, channel)
                level, start, count = self.chances.find(answers, stack.slots(len(maps)))
                stack.pop(start, count)
                levels[:, pixel, channel] = level
                if reader is not None:
                    reader.note(pixel, channel, level)
        return levels


class Affine:
    """A linear map of whole numbers, (n, inputs) to (n, outputs)."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str):
        self.weight = np.ascontiguousarray(tensors[f"{name}.weight"].T, np.float64)
        self.bias = tensors[f"{name}.bias"].astype(np.int64)
        self.shift = tensors[f"{name}.shift"][:-1].astype(np.int64)
        self.lift = int(tensors[f"{name}.shift"][-1])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        total = (values.astype(np.float64) @ self.weight).astype(np.int64)
        return ((total << self.lift) + self.bias) >> self.shift


def through(layers, values: np.ndarray) -> np.ndarray:
    """Hidden layers, each a linear map and a table."""
    for affine, table in layers:
        half = len(table) // 2
        values = table[affine(values).clip(-half, half - 1) + half]
    return values


class Steps:
    """A cumulative distribution in slots, linear between the entries of its table."""

    def __init__(self, table: np.ndarray):
        self.table, self.rise = table, np.append(np.diff(table), 0)
        self.middle = len(table) // 2

    def __call__(self, values: np.ndarray, fraction: int) -> np.ndarray:
        finer = fraction - _STEP
        index = (values >> finer) + self.middle
        inside = index.clip(0, len(self.table) - 1)
        found = self.table[inside] + (self.rise[inside] * (values & ((1 << finer) - 1)) >> finer)
        return np.where(index < 0, 0, found)


class Binary:
    """Two levels by their logit, (..., 1)."""

    def __init__(self, tables: dict[str, np.ndarray], levels: int):
        self.logistic = Steps(tables["logistic"])

    def slots_of(self, answers, levels):
        black = self._black(answers)
        return np.where(levels > 0, black, 0), np.where(levels > 0, TOTAL - black, black)

    def find(self, answers, slot):
        black = self._black(answers)
        level = (slot >= black).astype(np.int64)
        return level, level * black, np.where(level > 0, TOTAL - black, black)

    def _black(self, answers):
        """Slots of level 0."""
        return self.logistic(-answers[..., 0], _LOGIT).clip(1, TOTAL - 1)


class Mixture:
    """Several levels by a mixture of discretised logistics, (..., 3 * components): scores, means and widths."""

    def __init__(self, tables: dict[str, np.ndarray], levels: int):
        self.logistic, self.levels = Steps(tables["logistic"]), levels
        self.exponential, self.sharpness, self.edges = tables["exponential"], tables["sharpness"], tables["edges"]

    def slots_of(self, answers, levels):
        mixture = self._mixture(answers)
        start = self._below(mixture, levels)
        return start, self._below(mixture, levels + 1) - start

    def find(self, answers, slot):
        """By sixteenths, and sixteenths of those."""
        mixture = tuple(part[..., None, :] for part in self._mixture(answers))
        level = np.zeros_like(slot)
        for step in (16, 1):
            ahead = level[..., None] + step * np.arange(1, 16)
            level = level + step * (self._below(mixture, ahead) <= slot[..., None]).sum(-1)
        whole = self._below(mixture, level[..., None] + np.arange(2))
        return level, whole[..., 0], whole[..., 1] - whole[..., 0]

    def _mixture(self, answers):
        """Weights that add up to 2^24, means, and one over the scales."""
        scores, means, widths = np.split(answers, 3, -1)
        behind = (scores.max(-1, keepdims=True) - scores).clip(0, len(self.exponential) - 1)
        weights = self.exponential[behind]
        weights = (weights << PRECISION) // weights.sum(-1, keepdims=True)
        weights[..., 0] += TOTAL - weights.sum(-1)
        limit = _WIDEST << _WIDTH
        return weights, means.clip(-(8 << _LEVEL), 8 << _LEVEL), self.sharpness[widths.clip(-limit, limit) + limit]

    def _below(self, mixture, levels):
        """Slots of all levels below."""
        weights, means, sharpness = mixture
        edge = self.edges[levels.clip(0, self.levels)][..., None]
        chance = (weights * self.logistic((edge - means) * sharpness >> 14, _LEVEL)).sum(-1) >> PRECISION
        inner = (chance * (TOTAL - self.levels) >> PRECISION) + levels
        return np.where(levels <= 0, 0, np.where(levels >= self.levels, TOTAL, inner))


class _Pixels:
    """The network of `Pixels`: what it reads of the maps is done for all pixels at once, of the levels as they are known."""

    def __init__(self, network: IntegerNetwork):
        self.network, told, tensors = network, network.told, network.tensors
        self.maps, self.channels = told["maps"] + network.channels, network.channels
        self.of_maps, self.of_levels, self.second, self.head = (
            [Affine(tensors, f"pixels.{channel}.{name}") for channel in range(self.channels)]
            for name in ("maps", "levels", "second", "head")
        )
        self.lift = (_LOGIT if network.levels == 2 else _LEVEL) - told["fractions"]["maps"]
        components = told["components"]
        self.lifted = slice(0, 1) if network.levels == 2 else slice(components, 2 * components)
        reach = network.reach
        self.wide = network.width + 2 * reach
        rows, columns = np.divmod(np.arange(network.height * network.width), network.width)
        self.corner = rows * self.wide + columns  # of the window of every pixel, in the padded picture
        self.inner = self.corner + reach * self.wide + reach
        window = (np.arange(2 * reach + 1)[:, None] * self.wide + np.arange(2 * reach + 1)).ravel()
        self.window = window
        self.known = [self._known(window, channel) for channel in range(self.channels)]
        self.padded = (network.height + 2 * reach) * self.wide

    def _known(self, window: np.ndarray, channel: int) -> np.ndarray:
        """Which of the padded levels, (pixels and channels in one row), a channel of the first pixel reads."""
        here = window[len(window) // 2]
        seen = [(place, other) for place in window for other in range(self.channels) if (place, other) < (here, channel)]
        return np.array([place * self.channels + other for place, other in seen], np.int64)

    def from_maps(self, maps: np.ndarray) -> list[np.ndarray]:
        """What the first layer makes of the maps, (samples, pixels, hidden) for every channel."""
        samples = len(maps)
        wide = np.zeros((samples, self.padded, self.maps), np.int64)
        wide[:, self.inner] = maps
        seen = wide[:, self.corner[:, None] + self.window].reshape(samples * len(self.corner), -1)
        return [affine(seen).reshape(samples, len(self.corner), -1) for affine in self.of_maps]

    def answered(self, channel: int, before: np.ndarray, first_map: np.ndarray) -> np.ndarray:
        """The network's answers from what reaches its first hidden layer, (n, hidden)."""
        answers = self.head[channel](relu(self.second[channel](relu(before))))
        answers[:, self.lifted] += (first_map << self.lift if self.lift >= 0 else first_map >> -self.lift)[:, None]
        return answers

    def slots_of(self, maps: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pieces = [self._slots_of(maps[i : i + _ROWS], levels[i : i + _ROWS]) for i in range(0, len(maps), _ROWS)]
        starts, counts = zip(*pieces, strict=True)
        return np.concatenate(starts), np.concatenate(counts)

    def _slots_of(self, maps, levels):
        samples, starts, counts = len(maps), np.empty_like(levels), np.empty_like(levels)
        wide = np.zeros((samples, self.padded, self.channels), np.int64)
        wide[:, self.inner] = levels << _SOURCE
        wide = wide.reshape(samples, -1)
        for channel, before in enumerate(self.from_maps(maps)):
            seen = wide[:, self.corner[:, None] * self.channels + self.known[channel]]
            before = before.reshape(-1, before.shape[-1]) + self.of_levels[channel](
                seen.reshape(seen.shape[0] * seen.shape[1], -1 if seen.size else 0)
            )
            answers = self.answered(channel, before, maps[:, :, channel].ravel())
            start, count = self.network.chances.slots_of(answers, levels[:, :, channel].ravel())
            starts[:, :, channel], counts[:, :, channel] = start.reshape(samples, -1), count.reshape(samples, -1)
        return starts, counts

    def reader(self, maps: np.ndarray) -> "_Reader":
        return _Reader(self, maps)


class _Reader:
    """Pictures that are being read, pixel by pixel."""

    def __init__(self, pixels: _Pixels, maps: np.ndarray):
        self.pixels, self.maps = pixels, maps
        self.before = pixels.from_maps(maps)
        self.wide = np.zeros((len(maps), pixels.padded * pixels.channels), np.int64)

    def answers(self, pixel: int, channel: int) -> np.ndarray:
        pixels = self.pixels
        seen = self.wide[:, pixels.corner[pixel] * pixels.channels + pixels.known[channel]]
        before = self.before[channel][:, pixel] + pixels.of_levels[channel](seen)
        return pixels.answered(channel, before, self.maps[:, pixel, channel])

    def note(self, pixel: int, channel: int, level: np.ndarray) -> None:
        self.wide[:, self.pixels.inner[pixel] * self.pixels.channels + channel] = level << _SOURCE


def relu(values: np.ndarray) -> np.ndarray:
    return values.clip(0, 2**15 - 1)
