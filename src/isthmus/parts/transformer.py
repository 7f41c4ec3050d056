"""The transformer: patches or tokens that attend to one another."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Code, Part
from .layers import dropped, place_signals, valid_steps
from .patches import cut, grid_of, joined, patch_sides
from .ranges import number, one_of, whole, wholes

_WIDER = 4  # the hidden layer of a block, in widths


class Transformer(Part):
    """Patches of a sample (or its steps, or tokens) that attend to one another, in blocks of attention and a dense layer.

        x <- x + attention(norm(x)),   x <- x + W gelu(V norm(x) + c) + b
        attention_i = sum_j softmax_j(q_i . k_j / sqrt(d)) v_j,   of several heads side by side

    The code of n numbers comes from learnt queries that attend with the patches, or from the mean of the last patches. The
    decoder starts every patch from a linear map of the code (one for each patch, or, where sizes vary, one for all) and a signal
    for its place, and writes all of them at once. With n_components=None the code is the map of the last patches, `width` numbers
    each.

    The encoder leaves out what is not there: the padding behind a shorter sample's end, and patches whose values all have weight
    0, such as `MaskPatches` makes; of a natural code they are zeros. Where lengths vary, a decoder of n numbers lets each place
    attend only to itself and those before it, so that what it writes does not depend on how many places follow.

    Parameters
    ----------
    width : int, default 64; numbers a patch is described by, a multiple of `heads`
    layers : int, default 2; blocks of the encoder, and of the decoder
    heads : int, default 4
    patch : "auto", int or sequence of int, default "auto"
        Width of a patch along every axis of space, or one for each. "auto" cuts a sequence into at most 64 patches, or, where
        lengths vary, takes every step or token for one; of pictures and films it makes about eight a side.
    places : "waves" or "learnt", default "waves"
        What tells places apart: sines and cosines, or vectors of their own, which ask for samples of one size.
    queries : int, default 4
        Learnt vectors that attend with the patches, and that a code of n numbers is read from; 0 takes the mean over the patches.
        On small digits four left a third less error than the mean.
    dropout : float in [0, 1), default 0.0; share of what every attention and dense layer adds that is dropped while training

    >>> Transformer(32, patch=7).build_encoder((28, 27, 1), axes=2, n_components=None)
    (4, 4, 32)

    Source: Vaswani et al. 2017, "Attention is all you need"; the norm before each layer: Xiong et al. 2020; patches: Dosovitskiy
    et al. 2021, "An image is worth 16x16 words".
    """

    sizes_vary = True
    reads_gaps = True
    pace = 0.5
    halves = {"encoder": ("encoder", "queried", "read_places"), "decoder": ("decoder", "written_places")}
    ranges = {
        "width": whole("[1, inf)"),
        "layers": whole("[1, inf)"),
        "heads": whole("[1, inf)"),
        "patch": wholes("[1, inf)", "patch=4 or patch=(2, 8, 8)").also("auto"),
        "places": one_of("waves", "learnt"),
        "queries": whole("[0, inf)"),
        "dropout": number("[0, 1)"),
    }

    def __init__(self, width=64, layers=2, heads=4, patch="auto", places="waves", queries=4, dropout=0.0):
        super().__init__()
        self.width = width
        self.layers = layers
        self.heads = heads
        self.patch = patch
        self.places = places
        self.queries = queries
        self.dropout = dropout

    def build_encoder(self, input_shape, axes, n_components):
        self._check(input_shape, axes)
        *space, channels = input_shape
        self.read_sides = patch_sides(self.patch, space, repr(self))
        self.map_shape = (*grid_of(space, self.read_sides), self.width)
        self.pooled = n_components is not None
        self.encoder = self._tower(math.prod(self.read_sides) * channels)
        self.read_places = self._learnt_places(self.map_shape)
        asked = self.pooled and self.queries
        self.queried = nn.Parameter(0.02 * torch.randn(self.queries, self.width)) if asked else None
        return self.map_shape if not self.pooled else (max(1, self.queries) * self.width,)

    def build_decoder(self, code_shape, output_shape, axes):
        self._check(output_shape, axes)
        *space, channels = output_shape
        self.space = tuple(space)
        self.sides = patch_sides(self.patch, space, repr(self))
        grid_shape = (*grid_of(space, self.sides), self.width)
        self.mapped = not self.pooled and tuple(code_shape) == self.map_shape  # every patch has a code of its own
        if self.mapped and grid_shape != self.map_shape:
            raise ValueError(
                f"The code is a map of {self.map_shape[:-1]} patches, but the target has {grid_shape[:-1]}. Set n_components, so "
                "that the code is read from all patches, or give a target of the source's size."
            )
        self.onward = not self.mapped and axes != 2 and space[0] is None
        source = self.width if self.mapped else math.prod(code_shape)
        places = 1 if self.mapped or None in space else math.prod(grid_shape[:-1])
        self.decoder = self._tower(source, math.prod(self.sides) * channels, places)
        self.written_places = self._learnt_places(grid_shape)

    def encode(self, values: Tensor, length=None, random=None, there: Tensor | None = None):
        values = self._without_padding(values, length)
        patches = cut(values, self.read_sides)  # (batch, *grid, numbers of a patch)
        grid, kept = patches.shape[1:-1], self._in_patches(length)
        seen = self._seen(values, grid, kept, there)  # (batch, patches) or None
        x = (self.encoder["first"](patches) + self._places(self.read_places, grid, patches)).flatten(1, -2)
        if self.queried is not None:
            x = torch.cat([self.queried.expand(len(x), -1, -1), x], 1)
            seen = None if seen is None else torch.cat([seen.new_ones(len(x), self.queries), seen], 1)
        x = self._through(self.encoder, x, None if seen is None else seen[:, None, None, :], random)
        if self.queried is not None:
            return x[:, : self.queries].flatten(1), None, None
        x = x if seen is None else torch.where(seen[..., None], x, 0.0)
        if not self.pooled:
            return x.view(len(x), *grid, self.width), None, kept
        return x.sum(1) / (x.shape[1] if seen is None else seen.sum(1, keepdim=True)), None, None

    def decode(self, code: Code, random=None) -> Tensor:
        space = self._space_of(code)
        grid = grid_of(space, self.sides)
        told = self.decoder["first"](code.z if self.mapped else code.z.flatten(1))
        if not self.mapped:
            told = told.view(len(told), *(grid if None not in self.space else [1] * len(grid)), self.width)
        x = (told + self._places(self.written_places, grid, told)).flatten(1, -2)
        x = self.decoder["last"](self._through(self.decoder, x, self._attended(code, grid), random))
        return joined(x.view(len(x), *grid, -1), self.sides, space)

    @torch.no_grad()
    def start(self, output: Tensor) -> None:
        last: Any = self.decoder["last"]
        mean = output.flatten(0, -2).mean(0) if output.ndim > 1 else output
        last.bias.copy_(mean.repeat(math.prod(self.sides)))

    # ------------------------------------------------------------------------------------- what is attended to

    def _without_padding(self, values: Tensor, length) -> Tensor:
        there = valid_steps(length, values.shape[1])
        return values if there is None else torch.where(there.view(*there.shape, *[1] * (values.ndim - 2)), values, 0.0)

    def _in_patches(self, length):
        """Valid patches along the first axis."""
        return None if length is None else (length + self.read_sides[0] - 1) // self.read_sides[0]

    def _seen(self, values: Tensor, grid, kept, there: Tensor | None) -> Tensor | None:
        """(batch, patches), False for patches that hold nothing; a sample of which nothing is there is seen as it is."""
        valid = valid_steps(kept, grid[0])
        if valid is not None:
            valid = valid[..., None].expand(-1, -1, math.prod(grid[1:])).flatten(1)
        if there is None:
            return valid
        weight = there if there.ndim == values.ndim else there[..., None]  # tokens have no channels
        told = cut(weight, self.read_sides).flatten(1, -2).amax(-1) > 0
        told = told if valid is None else told & valid
        nothing = ~told.any(1, keepdim=True)
        return told | (nothing if valid is None else nothing & valid)

    def _attended(self, code: Code, grid) -> Tensor | None:
        """What each place of the decoder attends to, as a mask that broadcasts to (batch, heads, places, places)."""
        rest = math.prod(grid[1:])
        if self.onward:
            step = torch.arange(grid[0], device=code.z.device).repeat_interleave(rest)
            return (step[:, None] >= step)[None, None]
        if not self.mapped or code.length is None or self.space[0] is not None:
            return None
        kept = (code.length + self.sides[0] - 1) // self.sides[0]
        return valid_steps(kept, grid[0]).repeat_interleave(rest, 1)[:, None, None, :]  # type: ignore[union-attr]

    def _space_of(self, code: Code) -> tuple[int, ...]:
        """What is to be written: as large as is known, or, of a bare map, what its patches stand for."""
        if None not in self.space:
            return self.space
        if self.mapped:
            places = tuple(code.z.shape[1:-1])
            if code.size is None or grid_of(code.size, self.sides) != places:
                known = zip(self.space, places, self.sides, strict=True)
                return tuple(m * side if n is None else n for n, m, side in known)
        if code.size is None:
            raise ValueError(
                "Nothing says how large the sample of a bare code is, for their sizes differ. Use reconstruct(X), or "
                "n_components=None, whose codes are maps as large as their samples."
            )
        return tuple(code.size)

    # -------------------------------------------------------------------------------------------------- layers

    def _tower(self, source: int, target: int | None = None, places: int = 1) -> nn.ModuleDict:
        """The way into `width` numbers, the blocks, and, in the decoder, the way out of them."""
        tower: dict[str, nn.Module] = {
            "first": nn.Linear(source, places * self.width),
            "blocks": nn.ModuleList(Block(self.width, self.heads) for _ in range(self.layers)),
            "norm": nn.LayerNorm(self.width),
        }
        return nn.ModuleDict(tower | ({} if target is None else {"last": nn.Linear(self.width, target)}))

    def _through(self, tower: Any, x: Tensor, mask: Tensor | None, random) -> Tensor:
        for place, block in enumerate(tower["blocks"]):
            x = block(x, mask, self.dropout, None if random is None else random.stream(f"dropout {place}"))
        return tower["norm"](x)

    def _learnt_places(self, map_shape):
        return nn.Parameter(0.02 * torch.randn(map_shape)) if self.places == "learnt" else None

    def _places(self, learnt, grid, like: Tensor) -> Tensor:
        """(*grid, width)"""
        return place_signals(tuple(grid), self.width, like) if learnt is None else learnt

    def _check(self, shape, axes) -> None:
        if not 1 <= axes <= 3 or len(shape) != axes + 1:
            raise ValueError(
                f"Transformer needs samples with one to three axes of space or time and channels, but a sample has shape "
                f"{tuple(shape)} with none. Use architecture='dense', or give images or sequences (kind='images')."
            )
        if self.width % self.heads:
            raise ValueError(f"Transformer(width={self.width}, heads={self.heads}): width must be a multiple of heads.")
        if self.places == "learnt" and None in shape:
            raise ValueError(
                "Transformer(places='learnt') knows places of one size, but these samples differ. Set places='waves'."
            )


class Block(nn.Module):
    """Attention and a dense layer, each added to what it reads, after a norm over the channels of every place.

    >>> Block(64, 4)(torch.zeros(5, 49, 64)).shape
    torch.Size([5, 49, 64])
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.asked = nn.Linear(width, 3 * width)  # queries, keys and values
        self.told = nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, _WIDER * width), nn.GELU(), nn.Linear(_WIDER * width, width))

    def forward(self, x: Tensor, mask: Tensor | None = None, dropout: float = 0.0, random=None) -> Tensor:
        """x : (batch, places, width);   mask : True where a place (last axis but one) attends to another (last axis)."""
        for place, norm in enumerate(self.norms):
            added = self.dense(norm(x)) if place else self._attention(norm(x), mask)
            x = x + (added if random is None or not dropout else dropped(added, dropout, random))
        return x

    def _attention(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, places, width = x.shape
        query, key, value = self.asked(x).view(batch, places, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # (batch, heads, places, width / heads)
        return self.told(mixed.transpose(1, 2).reshape(batch, places, width))
