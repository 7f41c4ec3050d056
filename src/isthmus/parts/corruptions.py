"""Corruptions: what is taken away from the source before it is encoded, while training. The target stays whole.

A corruption is `forward(data, random) -> data`; it keeps the shape, so that corruptions chain, and draws only from
`random`, so that a sample's damage in an epoch does not depend on its company. `build(schema)` refuses data that it cannot
damage; `look(rows)`, where there is one, sees the training samples once.
"""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .base import Data, Part
from .layers import kornia_needed
from .patches import cut, joined, patch_sides
from .random import Random
from .ranges import Range, flag, number, whole, wholes, word


class Corruption(Part):
    """A damage that leaves weights and lengths as they are: `damage(values, random) -> values`.

    Of a table it damages numbers only, unless it works on cells whatever they hold (`on_cells`). Every frame of a clip is damaged
    alike by what damages pictures (`on_images`), as a dirty lens or a station's sign does.
    """

    on_cells = False

    def build(self, schema):
        self.check()
        if schema.columns is not None and not self.on_cells:
            self.register_buffer("is_number", torch.tensor(schema.columns) == 0, persistent=False)
        if schema.tokens and not self.on_cells:
            raise ValueError(f"{self!r} damages numbers, but {schema.kind} is made of tokens. Use Mask(), Drop() or Swap().")
        if self.on_images and (schema.axes not in (2, 3) or len(schema.shape) != schema.axes + 1):
            raise ValueError(
                f"{self!r} damages pictures, but a sample has shape {tuple(schema.shape)}. Give images "
                "(n, height, width[, channels]), kind='images', or clips of them, kind='video'."
            )

    on_images = False

    def check(self) -> None:
        """Refuses parameters that do not go together."""
        if getattr(self, "least", 0) > getattr(self, "most", 0):
            raise ValueError(f"{self!r}: least={self.least!r} is above most={self.most!r}. Exchange them.")

    def forward(self, data: Data, random: Random) -> Data:
        whole = self.damage_clips if self.on_images and data.values.ndim == 5 else self.damage
        damaged, numbers = whole(data.values, random), getattr(self, "is_number", None)
        return data.replace(damaged if numbers is None else torch.where(numbers, damaged, data.values))

    def damage(self, values: Tensor, random: Random) -> Tensor:
        raise NotImplementedError

    def damage_clips(self, clips: Tensor, random: Random) -> Tensor:
        """`damage` of (batch, frames, height, width, channels), by the draw of one picture: frames are read as its channels."""
        frames, channels = clips.shape[1], clips.shape[-1]
        damaged = self.damage(clips.movedim(1, 3).flatten(3), random)
        return damaged.unflatten(3, (frames, channels)).movedim(3, 1)


class TakingAway(Corruption):
    """A damage that leaves nothing where it strikes: zeros, or, where values may be missing, a missing value."""

    on_cells = True

    def kept(self, values: Tensor, random: Random) -> Tensor:
        """Where values stay."""
        raise NotImplementedError

    def forward(self, data: Data, random: Random) -> Data:
        kept = self.kept(data.values, random)
        weight = None if data.weight is None else data.weight * kept
        return replace(data, values=data.values * kept, weight=weight)


class Noise(Corruption):
    """Adds Gaussian noise (Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders").

        source = cut(x + s * eps),   eps ~ N(0, I),   s = std, or drawn evenly from least to std for each sample

    Parameters
    ----------
    std : float, default 0.3
        Standard deviation in the units the network sees: pixels scaled to [0, 1], columns scaled to variance one.
    least : float or None, default None; where a sample's own standard deviation begins, such as 0.0; None: it is always `std`
    low, high : float or None, default None; what lies beyond is cut off, as a camera does with light: low=0.0, high=1.0
    relative : bool, default False
        Whether `std` and `least` are shares of the data's own spread: of the root mean variance of the features.

    >>> import torch
    >>> x = Data(torch.zeros(2, 3))
    >>> Noise(0.5)(x, Random(0, "noise", 1, torch.arange(2))).values.shape
    torch.Size([2, 3])
    """

    ranges = {
        "std": number("[0, inf)"),
        "least": number("[0, inf)").also(None),
        "low": number("(-inf, inf)").also(None),
        "high": number("(-inf, inf)").also(None),
        "relative": flag(),
    }

    def __init__(self, std=0.3, least=None, low=None, high=None, relative=False):
        super().__init__()
        self.std = std
        self.least = least
        self.low = low
        self.high = high
        self.relative = relative
        self.spread: Tensor | None = None

    def check(self):
        if self.least is not None and self.least > self.std:
            raise ValueError(f"{self!r}: least={self.least!r} is above std={self.std!r}. Exchange them.")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"{self!r}: low={self.low!r} is not below high={self.high!r}. Exchange them.")

    def look(self, data: Data) -> None:
        """Measures the spread of the training samples, once, so that no sample's noise depends on its company."""
        self.spread = data.values.flatten(1).var(0, correction=0).mean().sqrt()

    def damage(self, values, random):
        noise = random.normal_like(values)
        if self.relative:
            if self.spread is None:
                raise ValueError(f"{self!r} has seen no samples to measure the spread of: it works while a model is fitted.")
            noise = noise * self.spread
        if self.least is None:
            noisy = values + self.std * noise
        else:
            share = random.uniform((1,), values.dtype).view(-1, *[1] * (values.ndim - 1))
            noisy = values + (self.least + (self.std - self.least) * share) * noise
        return noisy if self.low is None and self.high is None else noisy.clamp(self.low, self.high)


class SaltPepper(Corruption):
    """Turns each value into `low` or `high`, evenly, with a chance of `share`, all channels of a pixel alike.

    Parameters
    ----------
    share : float in [0, 1), default 0.1
    low, high : float, default 0.0, 1.0; pepper and salt as the network sees them

    >>> x = Data(torch.full((2, 1000), 0.5))
    >>> (SaltPepper(0.5)(x, Random(0, "salt", 1, torch.arange(2))).values == 0.5).float().mean().round(decimals=1)
    tensor(0.5000)
    """

    ranges = {"share": number("[0, 1)"), "low": number("(-inf, inf)"), "high": number("(-inf, inf)")}

    def __init__(self, share=0.1, low=0.0, high=1.0):
        super().__init__()
        self.share = share
        self.low = low
        self.high = high

    def damage(self, values, random):
        chance = per_place(values, random)
        values = torch.where(chance < self.share, self.high, values)
        return torch.where(chance < self.share / 2, self.low, values)


class Mask(TakingAway):
    """Sets each value to zero with a chance of `share`, so that it must be rebuilt from its neighbours (Vincent et al. 2010).

        source = x * b,   b ~ Bernoulli(1 - share)

    Parameters
    ----------
    share : float in [0, 1), default 0.25

    >>> Mask(0.5)(Data(torch.ones(2, 1000)), Random(0, "mask", 1, torch.arange(2))).values.mean().round(decimals=1)
    tensor(0.5000)
    """

    ranges = {"share": number("[0, 1)")}

    def __init__(self, share=0.25):
        super().__init__()
        self.share = share

    def kept(self, values, random):
        return random.uniform_like(values) >= self.share


class Drop(TakingAway):
    """Sets whole places to zero with a chance of `share`: all channels of a pixel, all values of a time step.

        source = x * b,   b ~ Bernoulli(1 - share), one a place

    Parameters
    ----------
    share : float in [0, 1), default 0.25

    >>> x = Drop(0.5)(Data(torch.ones(2, 28, 28, 3)), Random(0, "drop", 1, torch.arange(2))).values
    >>> bool((x.std(-1) == 0).all())
    True
    """

    ranges = {"share": number("[0, 1)")}

    def __init__(self, share=0.25):
        super().__init__()
        self.share = share

    def kept(self, values, random):
        return per_place(values, random) >= self.share


class MaskPatches(TakingAway):
    """Takes whole patches away, and tells networks that can be told (`Transformer`) which (He et al. 2022).

        source = x * b,   b = 1 on (1 - share) * patches of each sample, drawn without replacement, and one at least

    What is taken away becomes zero and has weight 0: a transformer leaves such patches out of all attention, as the paper does,
    and other networks see zeros. The loss stays that of the whole sample: a network that was never asked for what it sees could
    not rebuild samples with nothing missing, as `reconstruct` does. (The paper, which keeps the encoder alone, takes the loss on
    masked patches only, and reports half a point less accuracy with all of them.) To fill gaps where they are known, pass them:
    `reconstruct(X, missing=...)`.

    Parameters
    ----------
    share : float in [0, 1), default 0.75; of the patches, of a padded sample those before its end
    patch : "auto", int or sequence of int, default "auto"
        Width along every axis of space, or one for each; "auto" as for `Transformer`.

    Source: He et al. 2022, "Masked autoencoders are scalable vision learners".

    >>> mask = MaskPatches(0.75, patch=4)
    >>> mask.build(type("schema", (), {"shape": (8, 8, 1), "axes": 2, "tokens": 0, "columns": None}))
    >>> mask(Data(torch.ones(2, 8, 8, 1)), Random(0, "mask", 1, torch.arange(2))).weight.mean((1, 2, 3))
    tensor([0.2500, 0.2500])
    """

    says_where = True
    ranges = {"share": number("[0, 1)"), "patch": wholes("[1, inf)", "patch=4 or patch=(2, 8, 8)").also("auto")}

    def __init__(self, share=0.75, patch="auto"):
        super().__init__()
        self.share = share
        self.patch = patch

    def build(self, schema):
        super().build(schema)
        if not schema.axes:
            raise ValueError(
                f"{self!r} takes patches of space or time away, but a sample has shape {tuple(schema.shape)} with neither. Use "
                "Mask(), or give images or sequences."
            )
        self.axes = schema.axes
        self.sides = patch_sides(self.patch, schema.shape[: schema.axes], repr(self))

    def forward(self, data: Data, random: Random) -> Data:
        there = torch.ones_like(data.values, dtype=torch.float32) if data.weight is None else data.weight
        kept = self.kept(there, random)
        return replace(data, values=data.values * kept.to(data.values.dtype), weight=there * kept)

    def kept(self, values: Tensor, random: Random) -> Tensor:
        """Where values stay, (batch, *space[, 1]); `values`: what is there, for patches of which nothing is do not count."""
        space = tuple(values.shape[1 : 1 + self.axes])
        weight = values.reshape(len(values), *space, -1).amax(-1, keepdim=True)
        patches = cut(weight, self.sides)
        there = patches.amax(-1).flatten(1) > 0  # (batch, patches)
        chance = torch.where(there, random.uniform((there.shape[1],)), -1.0)
        wanted = ((1 - self.share) * there.sum(1, keepdim=True)).round().clamp_min(1)
        rank = chance.argsort(1, descending=True).argsort(1)
        kept = (rank < wanted).view(*patches.shape[:-1], 1).expand_as(patches)
        stays = joined(kept, self.sides, space).to(values.dtype)
        return stays if values.ndim > 1 + self.axes else stays.squeeze(-1)  # tokens have no channels


class Swap(Corruption):
    """Exchanges values, each with a chance of `share`, for those that another sample has there: "swap noise" (Jahrer 2017).

    A swapped value is always one that its column knows. The other samples come from up to `pool` of the training samples,
    so that a sample's damage does not depend on the batch it is in.

    Parameters
    ----------
    share : float in [0, 1), default 0.15
    pool : int, default 4096; training samples to take values from

    >>> swap = Swap(0.5)
    >>> swap.look(Data(torch.arange(10.0).view(10, 1).expand(-1, 4)))
    >>> swap(Data(torch.full((1, 4), 100.0)), Random(0, "swap", 1, torch.tensor([2]))).values
    tensor([[  1., 100.,   5.,   5.]])
    """

    on_cells = True
    ranges = {"share": number("[0, 1)"), "pool": whole("[1, inf)")}

    def __init__(self, share=0.15, pool=4096):
        super().__init__()
        self.share = share
        self.pool = pool
        self.others: Data | None = None

    def look(self, data: Data) -> None:
        """Keeps up to `pool` of the training samples, evenly spaced."""
        chosen = torch.linspace(0, len(data) - 1, min(int(self.pool), len(data)), device=data.values.device).long()
        self.others = data.each(lambda tensor: tensor[chosen].view(len(chosen), -1))

    def forward(self, data, random):
        others = self.others
        if others is None:
            raise ValueError("Swap has seen no samples to take values from: it works while a model is fitted.")
        flat = data.values.flatten(1)
        place = (random.uniform_like(flat) * len(others)).long()
        struck = random.uniform_like(flat) < self.share

        def swapped(mine: Tensor, theirs: Tensor) -> Tensor:
            return torch.where(struck, theirs.gather(0, place), mine.flatten(1)).view_as(mine)

        if data.weight is None or others.weight is None:
            return data.replace(swapped(data.values, others.values))
        return replace(data, values=swapped(data.values, others.values), weight=swapped(data.weight, others.weight))


class SayingWhere(Corruption):
    """A damage of pictures that says by weights of 0 which pixels it struck: `strike(data, random) -> data`, (batch, h, w, c)."""

    on_images = True

    def forward(self, data: Data, random: Random) -> Data:
        if data.values.ndim < 5:
            return self.strike(data, random)
        frames, channels = data.values.shape[1], data.values.shape[-1]  # of clips, frames are read as channels of one picture
        flat = data.each(lambda tensor: tensor.movedim(1, 3).flatten(3) if tensor.ndim == 5 else tensor)
        struck = self.strike(flat, random)
        return struck.each(lambda x: x.unflatten(3, (frames, channels)).movedim(3, 1) if x.ndim == 4 else x)

    def strike(self, data: Data, random: Random) -> Data:
        raise NotImplementedError


class BlindSpot(SayingWhere):
    """Puts a neighbour's value in the place of some pixels, so that nobody can rebuild these from themselves (Krull et al. 2019).

        source_i = x_j,   j drawn from the square around i, without i;   on a share of the pixels i

    Where noise is independent from pixel to pixel, all that can be foretold of a pixel from its neighbours is the picture: with
    objective="masked", whose loss counts at these pixels alone, a network learns to remove noise from noisy pictures only.

    Parameters
    ----------
    share : float in (0, 1), default 0.05
    radius : int, default 2; half of the square's side

    Source: Krull, Buchholz & Jug 2019, "Noise2Void - learning denoising from single noisy images".

    >>> struck = BlindSpot(0.5)(Data(torch.rand(2, 28, 28, 3)), Random(0, "blind", 1, torch.arange(2)))
    >>> struck.weight.mean().round(decimals=1), bool((struck.weight.std(-1) == 0).all())
    (tensor(0.5000), True)
    """

    says_where = True
    ranges = {"share": number("(0, 1)"), "radius": whole("[1, inf)")}

    def __init__(self, share=0.05, radius=2):
        super().__init__()
        self.share = share
        self.radius = radius

    def strike(self, data, random):
        values = data.values
        count, height, width = values.shape[:3]
        struck = random.uniform((height, width)) < self.share
        side = 2 * self.radius + 1
        offset = (random.uniform((height, width)) * (side**2 - 1)).long()
        offset = offset + (offset >= side**2 // 2)  # all of the square but its middle
        rows = torch.arange(height, device=values.device)[:, None] + offset // side - self.radius
        columns = torch.arange(width, device=values.device) + offset % side - self.radius
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        struck = struck & inside  # at the border those whose neighbour lies outside stay
        place = torch.where(inside, rows * width + columns, 0).view(count, -1, 1).expand(-1, -1, values.shape[-1])
        neighbours = values.flatten(1, 2).gather(1, place).view_as(values)
        weight = (~struck[..., None]).to(values).expand_as(values)
        return replace(data, values=torch.where(struck[..., None], neighbours, values), weight=weight)


class Holes(SayingWhere):
    """Cuts rectangles out of pictures and fills them with one value (Pathak et al. 2016, "Context encoders").

    Parameters
    ----------
    count : int, default 1; holes a picture
    size : float in (0, 1), default 0.4; the largest side of a hole, as a share of the picture's; the smallest is half of it
    fill : float, default 0.0; as the network sees it
    told : bool, default False
        Whether networks that can be told (`UNet`, `Transformer`) learn where the holes are; what is there has weight 0.

    >>> x = Holes(size=0.5)(Data(torch.ones(2, 28, 28, 1)), Random(0, "holes", 1, torch.arange(2))).values
    >>> x.shape, bool((x == 0).any())
    (torch.Size([2, 28, 28, 1]), True)
    """

    ranges = {"count": whole("[1, inf)"), "size": number("(0, 1)"), "fill": number("(-inf, inf)"), "told": flag()}

    def __init__(self, count=1, size=0.4, fill=0.0, told=False):
        super().__init__()
        self.count = count
        self.size = size
        self.fill = fill
        self.told = told

    def strike(self, data, random):
        inside = [spans(length, self.size, self.count, random) for length in data.values.shape[1:3]]  # (batch, count, length)
        hole = (inside[0][..., :, None] & inside[1][..., None, :]).any(1)[..., None]  # (batch, height, width, 1)
        damaged = data.replace(torch.where(hole, self.fill, data.values))
        if not self.told:
            return damaged
        there = (~hole).to(data.values).expand_as(data.values)
        return replace(damaged, weight=there if data.weight is None else data.weight * there)


class Scratches(Corruption):
    """Draws straight lines across pictures, from one side to the other, each black or white.

    Parameters
    ----------
    least, most : int, default 1, 3; lines a picture
    width : float in (0, 1), default 0.07; as a share of the picture's larger side
    low, high : float, default 0.0, 1.0; black and white as the network sees them

    >>> x = Scratches()(Data(torch.full((50, 28, 28, 1), 0.5)), Random(0, "scratches", 1, torch.arange(50))).values
    >>> x.shape, x.unique()
    (torch.Size([50, 28, 28, 1]), tensor([0.0000, 0.5000, 1.0000]))
    """

    on_images = True
    ranges = {
        "least": whole("[0, inf)"),
        "most": whole("[1, inf)"),
        "width": number("(0, 1)"),
        "low": number("(-inf, inf)"),
        "high": number("(-inf, inf)"),
    }

    def __init__(self, least=1, most=3, width=0.07, low=0.0, high=1.0):
        super().__init__()
        self.least = least
        self.most = most
        self.width = width
        self.low = low
        self.high = high

    def damage(self, values, random):
        height, width = values.shape[1:3]
        side = max(height, width)
        rows = (torch.arange(height, device=values.device) + 0.5 - height / 2).to(values)[:, None]  # from the middle
        columns = (torch.arange(width, device=values.device) + 0.5 - width / 2).to(values)
        count = self.least + (random.uniform((1,), values.dtype) * (self.most - self.least + 1)).long()  # (batch, 1)
        angle, offset, shade = random.uniform((3, self.most), values.dtype).unbind(1)  # (batch, most) each
        for place in range(self.most):
            turned = math.pi * angle[:, place, None, None]
            away = rows * turned.cos() + columns * turned.sin() - (offset[:, place, None, None] - 0.5) * side
            struck = (away.abs() < self.width * side / 2) & (place < count)[:, :, None]
            colour = torch.where(shade[:, place] < 0.5, self.low, self.high).to(values)
            values = torch.where(struck[..., None], colour[:, None, None, None], values)
        return values


class Gray(Corruption):
    """Takes the colour away: all three channels become the luma of ITU-R BT.601, so that the shape stays.

        y = 0.299 r + 0.587 g + 0.114 b

    >>> Gray()(Data(torch.tensor([[[[1.0, 0.0, 0.0]]]])), None).values
    tensor([[[[0.2990, 0.2990, 0.2990]]]])
    """

    on_images = True

    def build(self, schema):
        super().build(schema)
        if schema.shape[-1] != 3:
            raise ValueError(
                f"Gray() takes the colour away, but the pictures have {schema.shape[-1]} channel(s). Give RGB pictures."
            )

    def damage(self, values, random):
        return (values @ values.new_tensor([0.299, 0.587, 0.114]))[..., None].expand_as(values).contiguous()

    damage_clips = damage


class Blur(Corruption):
    """Blurs pictures with a Gaussian whose width is drawn anew for every picture.

    Parameters
    ----------
    least, most : float, default 0.5, 2.0; standard deviation in pixels

    Needs kornia: pip install "isthmus[image]".

    >>> Blur(1.0, 1.0)(Data(torch.eye(9).view(1, 9, 9, 1)), Random(0, "blur", 1, torch.arange(1))).values.shape
    torch.Size([1, 9, 9, 1])
    """

    on_images = True
    ranges = {"least": number("[0.001, inf)"), "most": number("[0.001, inf)")}

    def __init__(self, least=0.5, most=2.0):
        super().__init__()
        self.least = least
        self.most = most

    def check(self):
        super().check()
        self._filters()

    def damage(self, values, random):
        width = self.least + (self.most - self.least) * random.uniform((1,), values.dtype)
        reach = 2 * math.ceil(3 * self.most) + 1
        sides = [min(reach, 2 * ((length - 1) // 2) + 1) for length in values.shape[1:3]]  # reflection needs room
        blurred = self._filters().gaussian_blur2d(values.movedim(-1, 1), sides, width.expand(-1, 2))
        return blurred.movedim(1, -1)

    @staticmethod
    def _filters():
        with kornia_needed("Blur"):
            import kornia.filters
        return kornia.filters


class Downscale(Corruption):
    """Makes pictures smaller by averaging, then as large as before by interpolation, so that detail is gone.

    Parameters
    ----------
    factor : float above 1, default 2.0

    >>> Downscale(2)(Data(torch.rand(1, 9, 8, 3)), None).values.shape
    torch.Size([1, 9, 8, 3])
    """

    on_images = True
    ranges = {"factor": number("(1, inf)")}

    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def damage(self, values, random):
        x, size = values.movedim(-1, 1), values.shape[1:3]
        small = F.interpolate(x, [max(1, round(n / self.factor)) for n in size], mode="area")
        return F.interpolate(small, list(size), mode="bilinear", align_corners=False).movedim(1, -1)


class JPEG(Corruption):
    """Writes every picture as a JPEG and reads it back; the quality is drawn anew for each.

    Parameters
    ----------
    least, most : int from 1 to 95, default 10, 50; quality, as Pillow counts it

    >>> JPEG()(Data(torch.rand(2, 16, 16, 3)), Random(0, "jpeg", 1, torch.arange(2))).values.shape
    torch.Size([2, 16, 16, 3])
    """

    on_images = True
    ranges = {"least": whole("[1, 95]"), "most": whole("[1, 95]")}

    def __init__(self, least=10, most=50):
        super().__init__()
        self.least = least
        self.most = most

    def build(self, schema):
        super().build(schema)
        if schema.shape[-1] not in (1, 3):
            raise ValueError(f"JPEG() needs pictures of one or three channels; these have {schema.shape[-1]}.")

    def look(self, data: Data) -> None:
        """Refuses pixels that a JPEG cannot hold."""
        low, high = float(data.values.min()), float(data.values.max())
        if low < 0 or high > 1:
            raise ValueError(
                f"JPEG() writes pixels from 0 to 1, but these range from {low:.3g} to {high:.3g} as they reach the network. "
                "Scale them: scale='minmax'."
            )

    def damage(self, values, random):
        quality = self.least + (random.uniform((1,)) * (self.most - self.least + 1)).long().flatten()
        each = values.flatten(0, -4)  # every frame by itself, all of a clip at its quality
        pictures = (each.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        pairs = zip(pictures, quality.repeat_interleave(len(each) // len(values)).tolist(), strict=True)
        return torch.from_numpy(np.stack([through_jpeg(*pair) for pair in pairs])).to(values).view_as(values) / 255

    damage_clips = damage


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """(height, width, channels), 8 bits, as a JPEG of that quality shows it."""
    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(picture.shape)


class Watermark(Corruption):
    """Lays a half-transparent word over every picture, at a place and a strength of its own.

        source = (1 - a m) x + a m colour,   m: the word's letters, a: strength

    Parameters
    ----------
    text : str, default "isthmus"
    size : float in (0, 1], default 0.6; width of the word, as a share of the picture's
    least, most : float in [0, 1], default 0.3, 0.7; strength
    colour : float, default 1.0; as the network sees it

    >>> Watermark()(Data(torch.zeros(2, 32, 32, 1)), Random(0, "mark", 1, torch.arange(2))).values.amax() > 0.2
    tensor(True)
    """

    on_images = True
    ranges = {
        "text": word(),
        "size": number("(0, 1]"),
        "least": number("[0, 1]"),
        "most": number("[0, 1]"),
        "colour": number("(-inf, inf)"),
    }

    def __init__(self, text="isthmus", size=0.6, least=0.3, most=0.7, colour=1.0):
        super().__init__()
        self.text = text
        self.size = size
        self.least = least
        self.most = most
        self.colour = colour
        self.marks: dict[tuple, Tensor] = {}  # the word as drawn, by the picture's size

    def damage(self, values, random):
        height, width = values.shape[1:3]
        mark = self.mark(height, width).to(values)
        room = torch.tensor([height - mark.shape[0], width - mark.shape[1]], device=values.device) + 1
        draw = random.uniform((3,), values.dtype)  # down, across, strength
        corner = (draw[:, :2] * room).long()
        rows = torch.arange(height, device=values.device) - corner[:, :1]  # of the mark, at each row of the picture
        columns = torch.arange(width, device=values.device) - corner[:, 1:]
        inside = ((rows >= 0) & (rows < mark.shape[0]))[:, :, None] & ((columns >= 0) & (columns < mark.shape[1]))[:, None, :]
        letters = mark[rows.clamp(0, mark.shape[0] - 1)[:, :, None], columns.clamp(0, mark.shape[1] - 1)[:, None, :]] * inside
        strength = self.least + (self.most - self.least) * draw[:, 2]
        cover = (letters * strength[:, None, None])[..., None]
        return values * (1 - cover) + cover * self.colour

    def mark(self, height: int, width: int) -> Tensor:
        """The word, drawn as wide as `size` says, (rows, columns) from 0 to 1."""
        if (height, width) not in self.marks:
            font = ImageFont.load_default(64)
            left, top, right, bottom = font.getbbox(self.text)
            canvas = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
            ImageDraw.Draw(canvas).text((-left, -top), self.text, 255, font)
            wide = max(1, min(width, round(self.size * width)))
            tall = max(1, min(height, round(wide * canvas.height / canvas.width)))
            self.marks[height, width] = torch.from_numpy(np.array(canvas.resize((wide, tall), Image.Resampling.BOX))) / 255
        return self.marks[height, width]


class Logos(Corruption):
    """Lays half-transparent pictures over every sample, drawn from a folder, each at a place, size and strength of its own.

        source = (1 - a m) x + a m colour,   m, colour: the logo's transparency and colours, a: strength

    Parameters
    ----------
    folder : str, default ""
        With pictures that have transparency (.png), read when training begins; a model that was saved does not need them.
        "" draws none: words of random letters take their place.
    count : int, default 1; logos a sample
    smallest, largest : float, default 32.0, 96.0; side in pixels, drawn for each
    least, most : float in [0, 1], default 0.3, 0.7; strength

    On grey samples a logo is as bright as its luma. It may reach over the border. Half of them are mirrored.

    >>> Logos()(Data(torch.zeros(2, 32, 32, 1)), Random(0, "logos", 1, torch.arange(2))).values.amax() > 0.1
    tensor(True)
    """

    on_images = True
    ranges = {
        "folder": Range(lambda value: isinstance(value, str), ": the name of a folder is expected."),
        "count": whole("[1, inf)"),
        "smallest": number("(0, inf)"),
        "largest": number("(0, inf)"),
        "least": number("[0, 1]"),
        "most": number("[0, 1]"),
    }

    def __init__(self, folder="", count=1, smallest=32.0, largest=96.0, least=0.3, most=0.7):
        super().__init__()
        self.folder = folder
        self.count = count
        self.smallest = smallest
        self.largest = largest
        self.least = least
        self.most = most
        self.pictures: Tensor | None = None  # (logos, 4, side, side), colours times transparency, and transparency

    def build(self, schema):
        super().build(schema)
        if schema.shape[-1] not in (1, 3):
            raise ValueError(f"{self!r} lays logos over grey or RGB pictures; these have {schema.shape[-1]} channels.")

    def check(self):
        super().check()
        if self.smallest > self.largest:
            raise ValueError(f"{self!r}: smallest={self.smallest!r} is above largest={self.largest!r}. Exchange them.")

    def look(self, data: Data) -> None:
        """Reads the folder, once."""
        self.pictures = torch.stack(self._read() if self.folder else drawn_words()).to(data.values)

    def damage(self, values, random):
        if self.pictures is None:
            self.look(Data(values))
        assert self.pictures is not None
        for _ in range(self.count):
            logo = self._placed(random.uniform((6,), values.dtype), values)  # (batch, height, width, 4)
            logo = logo if values.ndim == 4 else logo[:, None]  # the same on all frames of a clip
            colour, cover = logo[..., :3], logo[..., 3:]
            colour = colour if values.shape[-1] == 3 else colour @ colour.new_tensor([0.299, 0.587, 0.114])[:, None]
            values = values * (1 - cover) + colour
        return values

    damage_clips = damage

    def _placed(self, draw: Tensor, values: Tensor) -> Tensor:
        """One logo for each sample, (batch, height, width, 4), zero around it, times its strength."""
        assert self.pictures is not None
        batch, height, width = len(values), *values.shape[-3:-1]
        chosen = self.pictures[(draw[:, 0] * len(self.pictures)).long()]
        side = self.smallest + (self.largest - self.smallest) * draw[:, 1]
        mirrored = torch.where(draw[:, 5] < 0.5, -1.0, 1.0).to(values)
        middle = draw[:, 2:4] * values.new_tensor([height, width])
        rows = (torch.arange(height, device=values.device) + 0.5 - middle[:, :1]) * 2 / side[:, None]  # -1 .. 1 on the logo
        columns = (torch.arange(width, device=values.device) + 0.5 - middle[:, 1:]) * (2 * mirrored / side)[:, None]
        grid = torch.stack([columns[:, None, :].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], -1)
        laid = F.grid_sample(chosen, grid.to(values), align_corners=False).movedim(1, -1)
        return laid * (self.least + (self.most - self.least) * draw[:, 4]).view(batch, 1, 1, 1)

    def _read(self) -> list[Tensor]:
        files = sorted(path for path in Path(self.folder).expanduser().glob("*") if path.suffix.lower() in (".png", ".webp"))
        if not files:
            raise ValueError(f"{self!r}: the folder holds no pictures with transparency, .png or .webp. Give another.")
        return [logo_of(Image.open(file)) for file in files]


_SIDE_OF_LOGOS = 96  # pixels that logos are kept at


def logo_of(picture: Image.Image) -> Tensor:
    """(4, side, side): colours times transparency, and transparency; in the middle of a square."""
    picture = picture.convert("RGBA")
    picture.thumbnail((_SIDE_OF_LOGOS, _SIDE_OF_LOGOS), Image.Resampling.BOX)
    square = Image.new("RGBA", (_SIDE_OF_LOGOS, _SIDE_OF_LOGOS))
    square.paste(picture, ((_SIDE_OF_LOGOS - picture.width) // 2, (_SIDE_OF_LOGOS - picture.height) // 2))
    values = torch.from_numpy(np.array(square)).permute(2, 0, 1) / 255
    return torch.cat([values[:3] * values[3:], values[3:]])


def drawn_words() -> list[Tensor]:
    """Words of a few letters in several greys and colours, where no logos are given."""
    words, random = [], np.random.default_rng(0)
    for _ in range(64):
        text = "".join(chr(97 + letter) for letter in random.integers(26, size=random.integers(1, 8)))
        font = ImageFont.load_default(64)
        left, top, right, bottom = font.getbbox(text)
        canvas = Image.new("RGBA", (math.ceil(right - left), math.ceil(bottom - top)))
        level = random.integers(256, size=3) if random.random() < 0.5 else [int(random.integers(256))] * 3
        ImageDraw.Draw(canvas).text((-left, -top), text, (*map(int, level), 255), font)
        words.append(logo_of(canvas))
    return words


class Warp(Corruption):
    """Turns, shifts, stretches and slants pictures by chance; what is rebuilt is upright, so the code forgets the pose.

        source(u) = x(A u + b),   A = rotation * diag(1 + zoom) + shear,   each drawn evenly between minus and plus its most

    Places outside of the picture take the value at its nearest edge.

    Parameters
    ----------
    turn : float, default 15.0; degrees, at most, either way
    shift : float in [0, 1), default 0.1; share of the picture's sides, at most
    zoom : float in [0, 1), default 0.1; relative change of either side, at most
    shear : float in [0, 1), default 0.1; slant, at most

    Source: Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks", for its use on digits.

    >>> Warp(turn=90)(Data(torch.eye(9).view(1, 9, 9, 1)), Random(0, "warp", 1, torch.arange(1))).values.shape
    torch.Size([1, 9, 9, 1])
    """

    on_images = True

    ranges = {
        "turn": number("[0, 180]"),
        "shift": number("[0, 1)"),
        "zoom": number("[0, 1)"),
        "shear": number("[0, 1)"),
    }

    def __init__(self, turn=15.0, shift=0.1, zoom=0.1, shear=0.1):
        super().__init__()
        self.turn = turn
        self.shift = shift
        self.zoom = zoom
        self.shear = shear

    def damage(self, values, random):
        maps = self.maps(2 * random.uniform((6,), values.dtype) - 1, *values.shape[1:3])
        grid = F.affine_grid(maps, [len(values), 1, *values.shape[1:3]], align_corners=False)  # (batch, height, width, 2)
        return F.grid_sample(values.movedim(-1, 1), grid, padding_mode="border", align_corners=False).movedim(1, -1)

    def maps(self, chance: Tensor, height: int, width: int) -> Tensor:
        """(batch, 2, 3): where each place is read, from chances (batch, 6) between -1 and 1; a picture reaches from -1 to 1.

        Right angles are those of pixels, so what leads from one side's units to the other's is scaled by their lengths.
        """
        angle, shift = chance[:, 0] * math.radians(self.turn), 2 * self.shift * chance[:, 1:3]
        wide, high = (1 + self.zoom * chance[:, 3:5]).unbind(1)
        across = (-angle.sin() * high + self.shear * chance[:, 5]) * height / width
        top = torch.stack([angle.cos() * wide, across, shift[:, 0]], 1)
        return torch.stack([top, torch.stack([angle.sin() * wide * width / height, angle.cos() * high, shift[:, 1]], 1)], 1)


def per_place(values: Tensor, random: Random) -> Tensor:
    """One uniform number a place, (batch, *space, 1), that broadcasts over the channels; of vectors, one a value."""
    if values.ndim == 2:
        return random.uniform_like(values)
    return random.uniform(tuple(values.shape[1:-1]), values.dtype)[..., None]


def spans(length: int, size: float, count: int, random: Random) -> Tensor:
    """(batch, count, length) True inside an interval of random place, half to all of `size * length` long."""
    draw = random.uniform((count, 2))
    long = ((0.5 + 0.5 * draw[..., 0]) * size * length).round().clamp_min(1)
    start = (draw[..., 1] * (length - long + 1)).floor()
    place = torch.arange(length, device=draw.device)
    return (place >= start[..., None]) & (place < (start + long)[..., None])


CORRUPTIONS: dict[str, Any] = {
    "noise": Noise, "salt_pepper": SaltPepper, "mask": Mask, "drop": Drop, "mask_patches": MaskPatches, "swap": Swap,
    "holes": Holes, "blur": Blur, "gray": Gray, "watermark": Watermark, "jpeg": JPEG, "downscale": Downscale,
    "warp": Warp, "scratches": Scratches, "blind_spot": BlindSpot, "logos": Logos,
}  # fmt: skip
