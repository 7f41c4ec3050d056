"""Losses: how far the decoder's output is from the target, in nats a sample, summed over the features that are there.

A loss offers
    build(target_schema, posterior=False) -> output_shape   how wide the decoder's output must be; posterior: codes are drawn
    forward(output, target) -> (batch,)                     nats a sample
    mean(output) -> values                                  the reconstruction, as the schema scales data
    start(values) -> output                                 the output whose mean is `values`: where a decoder should begin
"""

import math
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Data, Part, is_auto
from .layers import kornia_needed
from .ranges import flag, function, listed, number, numbers, odd, whole

_LEAST = 2.0**-24  # the chance that `Pixels` leaves to every level


def sum_features(nats: Tensor, target: Data) -> Tensor:
    """(batch, *shape) to (batch,); a value that is not there carries no loss."""
    if target.weight is not None:
        nats = nats * target.weight
    return nats.flatten(1).sum(1)


class Loss(Part):
    """A likelihood of the target whose mean is the output itself."""

    likelihood = True  # normalised, so that it can be weighed against what a code costs
    cure = "Scale the data (scale='minmax')"  # of data beyond the support

    @property
    def support(self) -> tuple[float, float]:
        """The values that data may take, as scaled."""
        return -math.inf, math.inf

    def build(self, target_schema, posterior=False):
        if target_schema.columns is not None:
            raise ValueError(f"{self!r} compares numbers, but a table may hold other cells. Use loss='columns'.")
        if target_schema.tokens:
            raise ValueError(f"{self!r} compares numbers, but {target_schema.kind} is made of tokens. Use loss='categorical'.")
        return target_schema.shape

    def mean(self, output: Tensor) -> Tensor:
        return output

    def start(self, values: Tensor) -> Tensor:
        return values


class Scaled(Loss):
    """What losses with a scale share: the distance in units of s, raised to `power`, and the constants beside it.

    loss = sum_i  distance_i / s^power + log(s) + constant
    """

    power: int
    constant: float
    ranges = {"scale": number("(0, inf)").also("auto", "learnt")}

    def __init__(self, scale="auto"):
        super().__init__()
        self.scale = scale
        self.log_scale: Any = 0.0

    def build(self, target_schema, posterior=False):
        self.log_scale = math.log(float(self.scale)) if isinstance(self.scale, Real) else 0.0
        if self.scale == "learnt" or (is_auto(self.scale) and posterior):
            self.log_scale = nn.Parameter(torch.zeros(()))
        return super().build(target_schema)

    def scaled(self, distance: Tensor, target: Data) -> Tensor:
        """(batch, *shape) distances to nats, (batch,)."""
        count = math.prod(distance.shape[1:]) if target.weight is None else target.weight.flatten(1).sum(1)
        exponent = -self.power * self.log_scale
        factor = exponent.exp() if isinstance(exponent, Tensor) else math.exp(exponent)
        return factor * sum_features(distance, target) + count * (self.log_scale + self.constant)


class Squared(Scaled):
    """Gaussian likelihood: half the squared error over the variance, plus its constant.

        loss = sum_i  (x_i - mean_i)^2 / 2 s^2 + log(s) + log(2 pi) / 2,   mean = output, or sigmoid(output) where `bounded`

    Parameters
    ----------
    bounded : bool, default False
        For data in [0, 1]: the mean cannot leave it either.
    scale : "auto", "learnt" or float, default "auto"
        s, the standard deviation of what the output leaves open, one for all values. "learnt" trains it with the network;
        "auto" does so where the bottleneck has a posterior, whose cost it is weighed against, and is 1 elsewhere.

    >>> x = torch.ones(2, 3)
    >>> Squared()(x + 2, Data(x))                      # 3 * (4 / 2 + 0.9189)
    tensor([8.7568, 8.7568])
    """

    power = 2
    constant = 0.5 * math.log(2 * math.pi)
    ranges = {"bounded": flag()} | Scaled.ranges

    def __init__(self, bounded=False, scale="auto"):
        super().__init__(scale)
        self.bounded = bounded

    @property
    def support(self):
        return (0.0, 1.0) if self.bounded else (-math.inf, math.inf)

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return self.scaled(0.5 * F.mse_loss(self.mean(output), target.values, reduction="none"), target)

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output) if self.bounded else output

    def start(self, values: Tensor) -> Tensor:
        return torch.logit(values.clamp(1e-3, 1 - 1e-3)) if self.bounded else values


class Absolute(Scaled):
    """Laplace likelihood: the absolute error over the scale, plus its constant; single wild values weigh less.

        loss = sum_i  |x_i - output_i| / s + log(2 s)

    Parameters
    ----------
    scale : "auto", "learnt" or float, default "auto"
        s, the mean distance that the output leaves open, one for all values; otherwise as for `Squared`.

    >>> x = torch.ones(2, 3)
    >>> Absolute()(x + 2, Data(x))                     # 3 * (2 + 0.6931)
    tensor([8.0794, 8.0794])
    """

    power = 1
    constant = math.log(2)

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return self.scaled((output - target.values).abs(), target)


class Pinball(Loss):
    """Quantiles: too low an output costs q for every unit that is missing, too high a one 1 - q.

        loss = sum_i  max(q_i e_i, (q_i - 1) e_i) - log(q_i (1 - q_i)),   e_i = x_i - output_i

    The likelihood of an asymmetric Laplace distribution, whose quantile q_i is the output. With several quantiles each belongs
    to one value of the last axis, in turn: a target that holds every value once for each gives the bounds of intervals.

    Parameters
    ----------
    quantiles : float or sequence of float in (0, 1), default 0.5; 0.5 is the median

    Source: Koenker & Bassett 1978, "Regression quantiles".

    >>> x = torch.tensor([[1.0, 1.0, 1.0]])
    >>> Pinball((0.1, 0.5, 0.9))(x * 0, Data(x))       # 0.1 + 0.5 + 0.9 - log(0.09) - log(0.25) - log(0.09)
    tensor([7.7022])
    """

    ranges = {"quantiles": numbers("(0, 1)")}

    def __init__(self, quantiles=0.5):
        super().__init__()
        self.quantiles = quantiles

    def build(self, target_schema, posterior=False):
        shape, several = super().build(target_schema), len(listed(self.quantiles))
        if shape[-1] is None or shape[-1] % several:
            raise ValueError(
                f"{self!r} gives each of {several} quantiles one value of the last axis in turn, but a sample has shape "
                f"{tuple(shape)}. Repeat every value of the target {several} times: np.repeat(target, {several}, axis=-1)."
            )
        return shape

    def forward(self, output: Tensor, target: Data) -> Tensor:
        given = output.new_tensor(listed(self.quantiles))
        q = given.repeat(output.shape[-1] // len(given))
        away = target.values - output
        return sum_features(torch.maximum(q * away, (q - 1) * away) - torch.log(q * (1 - q)), target)


class Bernoulli(Loss):
    """Binary cross-entropy on logits, for values in [0, 1] (grey levels are read as probabilities of white).

        loss = -sum_i  x_i log p_i + (1 - x_i) log(1 - p_i),   p = sigmoid(output)

    >>> Bernoulli()(torch.zeros(2, 3), Data(torch.ones(2, 3)))      # 3 * log 2
    tensor([2.0794, 2.0794])
    """

    @property
    def support(self):
        return 0.0, 1.0

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return sum_features(F.binary_cross_entropy_with_logits(output, target.values, reduction="none"), target)

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def start(self, values: Tensor) -> Tensor:
        return torch.logit(values.clamp(1e-3, 1 - 1e-3))


class Multinomial(Loss):
    """Multinomial likelihood of counts: all values of a sample share one softmax, so that what is chosen outweighs what is not
    (Liang et al. 2018, "Variational autoencoders for collaborative filtering", equation 2).

        loss = -sum_i  x_i log p_i,   p = softmax(output)

    The number of ways in which the x_i can be ordered, a constant of the data, is left out. For interactions, and for other
    counts of zero or more, such as words in a text, with scale="none". The mean of the output is p: scores that add up to one.

    >>> Multinomial()(torch.zeros(1, 4), Data(torch.tensor([[0.0, 1.0, 2.0, 0.0]])))      # 3 * log 4
    tensor([4.1589])
    """

    cure = "Give counts of zero or more as they are (scale='none')"

    @property
    def support(self):
        return 0.0, math.inf

    def build(self, target_schema, posterior=False):
        if None in target_schema.shape:
            raise ValueError(
                f"{self!r} shares one whole among the values of a sample, whose number must not vary. Use another loss."
            )
        return super().build(target_schema)

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return sum_features(-target.values * output.flatten(1).log_softmax(1).view_as(output), target)

    def mean(self, output: Tensor) -> Tensor:
        return output.flatten(1).softmax(1).view_as(output)

    def start(self, values: Tensor) -> Tensor:
        """The log of every feature's share; of one that nobody used, a thousandth of an even share."""
        return (values / values.sum()).clamp_min(1e-3 / values.numel()).log()


class Columns(Loss):
    """Every column of a table by a likelihood of its own; a cell that is missing carries no loss.

        loss = sum over numbers     (x - mean)^2 / 2 s^2 + log(s) + log(2 pi) / 2
             + sum over categories  -log p_x,   p = softmax of the column's outputs

    s is 1, or learnt, one for each column of numbers, where the bottleneck has a posterior. The outputs are one for every
    number, and after them one for every category of the columns in turn. The mean of a category is the likeliest one.

    >>> loss = Columns()
    >>> loss.build(type("schema", (), {"columns": (0, 3)}))
    (4,)
    >>> x = Data(torch.tensor([[0.5, 2.0]]), torch.tensor([[1.0, 1.0]]))
    >>> loss(torch.tensor([[0.5, 0.0, 0.0, 0.0]]), x)          # 0.9189 + log 3
    tensor([2.0176])
    """

    numbers: Tensor
    categories: Tensor
    order: Tensor
    first: Tensor
    owned: Tensor
    log_scale: Any

    def build(self, target_schema, posterior=False):
        columns = target_schema.columns
        if columns is None:
            raise ValueError(
                f"{self!r} is for tables, but a sample is {target_schema.kind}. Use loss='squared', or kind='table'."
            )
        widths = torch.tensor(columns)
        outputs = torch.arange(int(widths.clamp_min(1).sum())).split(widths.clamp_min(1).tolist())  # of every column
        counts = widths[widths > 0]
        tables = {
            "numbers": (widths == 0).nonzero().flatten(),
            "categories": widths.nonzero().flatten(),
            "order": torch.cat(
                [part for wanted in (0, 1) for part, width in zip(outputs, columns, strict=True) if (width > 0) == wanted]
            ),
            "first": counts.cumsum(0) - counts,  # of each column's categories, after the numbers
            "owned": torch.arange(len(counts)).repeat_interleave(counts)[:, None] == torch.arange(len(counts)),
        }
        for name, table in tables.items():
            self.register_buffer(name, table.float() if name == "owned" else table, persistent=False)
        self.widths = counts.tolist()
        self.log_scale = nn.Parameter(torch.zeros(len(self.numbers))) if posterior and len(self.numbers) else 0.0
        return (len(self.order),)

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return self.cells(output, target).sum(1)

    def cells(self, output: Tensor, target: Data) -> Tensor:
        """Nats of every cell, (batch, numbers that cells become)."""
        means, scores = self.parts(output)
        precision = (-2 * self.log_scale).exp() if isinstance(self.log_scale, Tensor) else 1.0
        squares = (means - target.values[:, self.numbers]).square()
        nats = torch.zeros_like(target.values)
        nats = nats.index_copy(1, self.numbers, 0.5 * precision * squares + self.log_scale + 0.5 * math.log(2 * math.pi))
        if self.widths:
            nats = nats.index_copy(1, self.categories, self.surprise(scores, target.values[:, self.categories].long()))
        return nats if target.weight is None else nats * target.weight

    def parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The means of the numbers, and the scores of all categories."""
        return output[:, : len(self.numbers)], output[:, len(self.numbers) :]

    def surprise(self, scores: Tensor, wanted: Tensor) -> Tensor:
        """-log softmax of the wanted category of every column, (batch, columns): all columns at once, which is several times
        as fast as one after the other."""
        top = torch.stack([part.amax(1) for part in scores.detach().split(self.widths, 1)], 1)
        shifted = scores - top @ self.owned.T  # products with ones and zeros are faster than gathering and adding by index
        total = shifted.exp() @ self.owned
        return total.log() - shifted.gather(1, self.first + wanted)

    def mean(self, output: Tensor) -> Tensor:
        means, scores = self.parts(output)
        values = output.new_empty(len(output), len(self.numbers) + len(self.widths))
        values[:, self.numbers] = means
        if self.widths:
            likeliest = torch.stack([part.argmax(1) for part in scores.split(self.widths, 1)], 1)
            values[:, self.categories] = likeliest.to(output)
        return values

    def start(self, values: Tensor) -> Tensor:
        """From the means of numbers and the shares of categories, in the order of the columns."""
        means, shares = self.parts(values[self.order][None])
        return torch.cat([means, shares.log()], 1)[0]


class Categorical(Loss):
    """Tokens by their shares: cross-entropy at every step up to the end.

        loss = -sum_(t <= length) log p_t[x_t],   p_t = softmax(output_t)

    The mean of a step is the likeliest token; of several, the first. The last of all tokens means the end.

    >>> loss = Categorical()
    >>> loss.build(type("schema", (), {"shape": (3,), "tokens": 4}))
    (3, 4)
    >>> x = Data(torch.tensor([[2, 3, 3]]), torch.tensor([[1.0, 1.0, 0.0]]))
    >>> loss(torch.zeros(1, 3, 4), x)                  # 2 * log 4
    tensor([2.7726])
    """

    def build(self, target_schema, posterior=False):
        if not target_schema.tokens:
            raise ValueError(
                f"{self!r} is for tokens, but a sample is {target_schema.kind}. Use loss='squared', or 'columns' of a table."
            )
        return (*target_schema.shape, target_schema.tokens)

    def forward(self, output: Tensor, target: Data) -> Tensor:
        return sum_features(F.cross_entropy(output.movedim(-1, 1), target.values, reduction="none"), target)

    def mean(self, output: Tensor) -> Tensor:
        return output.argmax(-1)

    def lengths(self, output: Tensor) -> Tensor:
        """(batch,): the steps up to the first end, with it; all steps where there is none."""
        goes_on = (self.mean(output) != output.shape[-1] - 1).cumprod(1).sum(1)
        return (goes_on + 1).clamp_max(output.shape[1])

    def start(self, values: Tensor) -> Tensor:
        """From the shares of the tokens."""
        return values.log()


class SSIM(Loss):
    """Structural dissimilarity of pictures in [0, 1]: brightness, contrast and pattern around every pixel, not the pixel alone.

        loss = sum_i  1 - SSIM_i(x, output)
        SSIM_i(x, y) = (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2)),   c1 = 0.01^2, c2 = 0.03^2

    m, s^2 and s_xy are means, variances and covariance under a Gaussian window of 1.5 pixels about pixel i, channel by channel;
    the border is mirrored. Of equal pictures the loss is 0, and of any two at most twice the number of values. It is 1 minus
    the mean SSIM of the paper times the number of values: summed like the other losses, so that a penalty weighs about as much
    beside it. It is no likelihood, and so cannot be weighed against what a code costs in nats. Squeezing the output into [0, 1]
    by a sigmoid, as `Bernoulli` does, left a quarter more of it on small pictures.

    Parameters
    ----------
    window : int, default 11; pixels a side, odd. Smaller where the picture is too small to be mirrored that far

    Needs kornia: pip install "isthmus[image]".

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13; there the
    window stays within the picture.

    >>> loss, x = SSIM(), torch.full((2, 8, 8, 1), 0.5)
    >>> loss.build(type("schema", (), {"shape": (8, 8, 1), "axes": 2, "columns": None, "tokens": 0}))
    (8, 8, 1)
    >>> loss(x, Data(x)), loss(x, Data(x - 0.1))       # 64 * (1 - (2 * 0.5 * 0.4 + c1) / (0.5^2 + 0.4^2 + c1))
    (tensor([0., 0.]), tensor([1.5606, 1.5606]))
    """

    likelihood = False
    ranges = {"window": odd("[3, inf)")}

    def __init__(self, window=11):
        super().__init__()
        self.window = window

    def build(self, target_schema, posterior=False):
        if target_schema.axes != 2:
            raise ValueError(
                f"{self!r} compares pictures, but a sample has shape {tuple(target_schema.shape)}. Give images "
                "(n, height, width[, channels]), kind='images', or use loss='squared'."
            )
        self.similarity()
        return super().build(target_schema)

    @property
    def support(self):
        return 0.0, 1.0

    def forward(self, output: Tensor, target: Data) -> Tensor:
        pair = (values.movedim(-1, 1) for values in (output, target.values))  # (batch, channels, height, width)
        side = min(self.window, *(2 * length - 1 for length in output.shape[1:3]))
        similar = self.similarity()(*pair, side, max_val=1.0, eps=0.0)
        return sum_features(1 - similar.movedim(1, -1), target)

    @staticmethod
    def similarity():
        """kornia's map of the SSIM, pixel by pixel."""
        with kornia_needed("SSIM"):
            from kornia.metrics import ssim
        return ssim


class Pixels(Loss):
    """Whole grey levels, each given the levels before it: a likelihood that codes pictures without loss.

        p(x | output) = prod_i p(x_i | output around i, x_j for j before i and near it)

    Pixels are read row by row, and the channels of a pixel one after the other. A small network, the same at every pixel, sees
    the decoder's `maps` within `reach` pixels on all sides and the levels that were read before, and answers with

        2 levels      p = sigmoid(a),   a = the first map + the network's answer
        more levels   p(v) = F(v + 1/2) - F(v - 1/2),   F = sum_k w_k sigmoid((v / top - m_k) / s_k),   top = levels - 1,
                      F(-1/2) = 0, F(top + 1/2) = 1: a mixture of discretised logistics, their means m_k about the first map

    and 2^-24 of every level, so that none is impossible. The decoder need only say what the levels nearby do not, so codes are
    smaller than under `Bernoulli`. Where a sample is no picture, no neighbours are read. The mean is that of a picture whose
    levels before are the first map's.

    Parameters
    ----------
    levels : int, default 256; of data in [0, 1]: value v / (levels - 1). 2 for black and white
    reach : int, default 2; rows above, and columns on both sides, that are read
    maps : int, default 2; numbers that the decoder says of every pixel, besides one for every channel
    hidden : int, default 32; nodes of each of the network's two hidden layers, for every channel
    components : int, default 5; of the mixture

    Source: Gulrajani et al. 2017, "PixelVAE"; Salimans et al. 2017, "PixelCNN++", equation 2.

    >>> loss = Pixels(levels=2)
    >>> loss.build(type("schema", (), {"shape": (8, 8, 1), "axes": 2, "columns": None, "tokens": 0}))
    (8, 8, 3)
    >>> output, x = torch.zeros(5, 8, 8, 3), Data(torch.ones(5, 8, 8, 1))
    >>> loss(output, x).shape, loss.mean(output).shape
    (torch.Size([5]), torch.Size([5, 8, 8, 1]))
    """

    cure = "Give whole levels as pictures of 8 bits, or as numbers from 0 to 1"
    mask: Tensor
    ranges = {
        "levels": whole("[2, 256]"),
        "reach": whole("[0, 7]"),
        "maps": whole("[0, inf)"),
        "hidden": whole("[1, inf)"),
        "components": whole("[1, inf)"),
    }

    def __init__(self, levels=256, reach=2, maps=2, hidden=32, components=5):
        super().__init__()
        self.levels = levels
        self.reach = reach
        self.maps = maps
        self.hidden = hidden
        self.components = components

    @property
    def support(self):
        return 0.0, 1.0

    def build(self, target_schema, posterior=False):
        shape = super().build(target_schema)
        if None in shape:
            raise ValueError(f"{self!r} reads samples of one size, but these differ in size. Bring them to one size.")
        picture = target_schema.axes == 2
        self.target_shape = tuple(shape)
        self.space: tuple[int, ...] = tuple(shape) if picture else (1, math.prod(shape), 1)
        channels, reach = self.space[2], self.reach if picture else 0
        self.answers = 1 if self.levels == 2 else 3 * self.components
        wide = channels * self.hidden
        self.first = nn.Conv2d(channels + self.maps + channels, wide, 2 * reach + 1, padding=reach)
        self.second = nn.Conv2d(wide, wide, 1, groups=channels)
        self.head = nn.Conv2d(wide, channels * self.answers, 1, groups=channels)
        self.register_buffer("mask", self._seen(channels, reach), persistent=False)
        return (*shape[:-1], shape[-1] * (channels + self.maps)) if not picture else (*shape[:2], channels + self.maps)

    def _seen(self, channels: int, reach: int) -> Tensor:
        """(outputs, inputs, rows, columns) of the first layer: ones where a weight reads the maps, or a level before."""
        seen = torch.ones(channels, self.hidden, 2 * channels + self.maps, 2 * reach + 1, 2 * reach + 1)
        levels = seen[:, :, channels + self.maps :]
        levels[..., reach + 1 :, :] = 0
        levels[..., reach, reach:] = 0
        for channel in range(channels):  # of the pixel itself, the channels before
            levels[channel, :, :channel, reach, reach] = 1
        return seen.flatten(0, 1)

    @torch.no_grad()
    def set_first_weights(self):
        """The components of a mixture begin apart, and as wide as the gaps between them."""
        if self.levels > 2:
            bias: Any = self.head.bias
            bias = bias.view(self.space[2], 3, self.components)
            bias[:, 1] = torch.linspace(-0.5, 0.5, self.components) if self.components > 1 else 0.0
            bias[:, 2] = -2.0

    def forward(self, output: Tensor, target: Data) -> Tensor:
        answers = self.answer(output, target.values)
        if self.levels == 2:
            nats = F.binary_cross_entropy_with_logits(answers[..., 0], self._laid_out(target.values), reduction="none")
        else:
            nats = self.surprise(answers, self._laid_out(target.values))
        return sum_features(nats.view(target.values.shape), target)

    def answer(self, output: Tensor, values: Tensor) -> Tensor:
        """What the network says of every pixel, (batch, height, width, channels, answers)."""
        height, width, channels = self.space
        maps = output.reshape(-1, height, width, channels + self.maps)
        seen = torch.cat([maps, self._laid_out(values)], -1).permute(0, 3, 1, 2)
        hidden = F.conv2d(seen, self.first.weight * self.mask, self.first.bias, padding=self.first.padding).relu_()
        answers = self.head(self.second(hidden).relu_()).permute(0, 2, 3, 1).unflatten(-1, (channels, self.answers))
        place = 0 if self.levels == 2 else self.components
        end = 1 if self.levels == 2 else 2 * self.components
        lifted = answers[..., place:end] + maps[..., :channels, None]  # logits, or means, about the first map
        return torch.cat([answers[..., :place], lifted, answers[..., end:]], -1)

    def surprise(self, answers: Tensor, values: Tensor) -> Tensor:
        """-log p of the level that each value stands for, under the mixture."""
        scores, means, widths = answers.unflatten(-1, (3, self.components)).unbind(-2)
        top = self.levels - 1
        level = (values * top).round()[..., None]
        sharp = (-widths.clamp(-7.0, 7.0)).exp()
        above = torch.where(level < top, torch.sigmoid(((level + 0.5) / top - means) * sharp), 1.0)
        below = torch.where(level > 0, torch.sigmoid(((level - 0.5) / top - means) * sharp), 0.0)
        chance = (scores.softmax(-1) * (above - below)).sum(-1)
        return -torch.log(chance * (1 - self.levels * _LEAST) + _LEAST)

    def mean(self, output: Tensor) -> Tensor:
        height, width, channels = self.space
        first = output.reshape(-1, height, width, channels + self.maps)[..., :channels]
        first = first.sigmoid() if self.levels == 2 else first.clamp(0, 1)
        answers = self.answer(output, first)
        if self.levels == 2:
            mean = answers[..., 0].sigmoid()
        else:
            scores, means, _ = answers.unflatten(-1, (3, self.components)).unbind(-2)
            mean = (scores.softmax(-1) * means.clamp(0, 1)).sum(-1)
        return mean.reshape(-1, *self.target_shape)

    def start(self, values: Tensor) -> Tensor:
        """The first map from the mean; of the others, nothing."""
        height, width, channels = self.space
        first = torch.logit(values.clamp(1e-3, 1 - 1e-3)) if self.levels == 2 else values
        first = first.reshape(height, width, channels)
        return torch.cat([first, first.new_zeros(height, width, self.maps)], -1)

    def _laid_out(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *self.space)


class Ended(Loss):
    """Any loss of sequences that differ in length, where each step says besides whether it is the last.

        loss = loss(x, output) - sum_(t < length) log(1 - h_t) - log h_length,   h_t = sigmoid(last number of the output at t)

    A network is given this by itself where lengths vary; `lengths` reads where a decoded sequence ends.

    Parameters
    ----------
    loss : Loss; of the steps themselves

    >>> loss, x = Ended(Squared()), torch.zeros(1, 4, 2)
    >>> loss.build(type("schema", (), {"shape": (None, 2), "columns": None, "tokens": 0}))
    (None, 3)
    >>> ends = torch.tensor([-9.0, 9.0, 0.0, 0.0]).view(1, 4, 1)
    >>> loss.lengths(torch.cat([x, ends], -1))
    tensor([2])
    """

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    @property
    def likelihood(self):  # type: ignore[override]
        return self.loss.likelihood

    @property
    def support(self):
        return self.loss.support

    def build(self, target_schema, posterior=False):
        *steps, width = self.loss.build(target_schema, posterior)
        return (*steps, width + 1)

    def set_first_weights(self):
        self.loss.set_first_weights()

    def forward(self, output: Tensor, target: Data) -> Tensor:
        assert target.length is not None
        step = torch.arange(output.shape[1], device=output.device)
        last = target.length[:, None] - 1
        ends = F.binary_cross_entropy_with_logits(output[..., -1], (step == last).to(output), reduction="none")
        return self.loss(output[..., :-1], target) + (ends * (step <= last)).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        return self.loss.mean(output[..., :-1])

    def lengths(self, output: Tensor) -> Tensor:
        """(batch,): the step by which it has more likely ended than not; all steps where that never comes."""
        goes_on = F.logsigmoid(-output[..., -1]).cumsum(1)
        return 1 + (goes_on > math.log(0.5)).sum(1).clamp_max(output.shape[1] - 1)

    def start(self, values: Tensor) -> Tensor:
        """From the mean step, and the share of steps that are the last, behind it."""
        return torch.cat([self.loss.start(values[..., :-1]), torch.logit(values[..., -1:].clamp(1e-3, 0.5))], -1)


class Custom(Loss):
    """Any function `(output, target) -> (batch,)` of two tensors of shape (batch, *shape), in nats a sample.

    Parameters
    ----------
    function : callable
        Its result must hold one number a sample. A model saved with it asks for it on loading:
        `load(path, parts={"my_loss": my_loss})`.

    >>> Custom(lambda output, target: (output - target).pow(4).sum(1))(torch.zeros(2, 3), Data(torch.ones(2, 3)))
    tensor([3., 3.])
    """

    likelihood = False
    ranges = {"function": function()}

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, output: Tensor, target: Data) -> Tensor:
        nats = self.function(output, target.values)
        if nats.shape != output.shape[:1]:
            raise ValueError(
                f"The loss function returned shape {tuple(nats.shape)}, but one number a sample is expected, "
                f"({len(output)},). Sum over the features: .flatten(1).sum(1)."
            )
        return nats


LOSSES = {
    "squared": Squared, "absolute": Absolute, "bernoulli": Bernoulli, "multinomial": Multinomial, "columns": Columns,
    "categorical": Categorical,
    "ssim": SSIM, "pixels": Pixels, "pinball": Pinball,
}  # fmt: skip
