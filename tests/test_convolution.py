"""Convolution's three ways back: unpooling, upsampling and the transposed convolution, law by law."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isthmus import Autoencoder
from isthmus.parts import Code, Conv
from isthmus.parts.convolution import pool, unpool, upsample

SPACES = [(8,), (7,), (1,), (6, 4), (7, 5), (1, 3), (28, 27), (33, 17), (4, 4, 4), (5, 3, 7)]
WAYS = [("stride", "transpose"), ("stride", "upsample"), ("pool", "transpose"), ("pool", "upsample"), ("pool", "unpool")]
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def windows(space):
    """The slices of every 2-wide window of a space; those at an odd end are narrower."""
    for corner in product(*(range(0, n, 2) for n in space)):
        yield tuple(slice(c, c + 2) for c in corner)


def first_maxima(x: np.ndarray) -> np.ndarray:
    kept = np.zeros_like(x)
    for window in windows(x.shape):
        place = np.unravel_index(x[window].argmax(), x[window].shape)
        kept[window][place] = x[window][place]
    return kept


def maps(space, low, high) -> torch.Tensor:
    """Two samples of three channels of whole numbers: few different ones, so that windows hold ties."""
    return torch.randint(low, high, (2, 3, *space), generator=torch.Generator().manual_seed(0)).float()


# ---------------------------------------------------------------------------------------------------- pooling


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("low, high", [(0, 3), (-3, 0), (1, 2), (-99, 99)], ids=["ties", "negative", "all equal", "wide"])
@pytest.mark.parametrize("space", SPACES, ids=str)
def test_unpool_of_pool_keeps_the_first_maximum_of_every_window_in_place(space, low, high):
    x = maps(space, low, high)
    pooled, places = pool(x)
    back = unpool(pooled, places, space)
    expected = np.stack([[first_maxima(channel) for channel in sample] for sample in x.numpy()])
    np.testing.assert_array_equal(back.numpy(), expected)


def test_unpool_of_pool_is_the_same_in_channels_last_memory():
    x = maps((7, 6), 0, 3)
    pooled, places = pool(x.to(memory_format=torch.channels_last))
    assert torch.equal(unpool(pooled, places, (7, 6)), unpool(*pool(x), (7, 6)))


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_upsample_fills_every_window_with_its_value(space):
    full = maps(space, 0, 99)
    small = pool(full)[0]
    filled = upsample(small, space)
    assert filled.shape == full.shape
    for window in windows(space):
        value = small[(..., *(slice(s.start // 2, s.start // 2 + 1) for s in window))]
        place = (..., *window)
        assert torch.equal(filled[place], value.expand_as(filled[place]))


# -------------------------------------------------------------------------------------- transposed convolution


def built(space, kernel, **kwargs):
    """Conv of one stage from 3 to 4 channels, in float64, whose decoder has the encoder's kernels and no bias."""
    conv = Conv((4,), kernel=kernel, **kwargs)
    shape = (*space, 3)
    conv.build_decoder(conv.build_encoder(shape, axes=len(space), n_components=None), shape, axes=len(space))
    encoder, decoder = conv.double().encoder[0], conv.decoder[0]
    with torch.no_grad():
        decoder.weight.copy_(encoder.weight)
        encoder.bias.zero_()
        decoder.bias.zero_()
    return encoder, decoder


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("space", [(9,), (8, 6), (7, 5), (5, 4, 6)], ids=str)
def test_transposed_convolution_is_the_adjoint_of_the_convolution(space, kernel):
    encoder, decoder = built(space, kernel)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *space, generator=random, dtype=torch.float64)
    seen = encoder(x)
    y = torch.randn(seen.shape, generator=random, dtype=torch.float64)
    torch.testing.assert_close((seen * y).sum(), (x * decoder(y, output_size=list(space))).sum())


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("space", [(9,), (8, 6), (5, 4, 6)], ids=str)
def test_transposed_convolution_of_stride_one_is_a_convolution_with_the_flipped_kernel(space, kernel):
    axes = len(space)
    decoder = built(space, kernel)[1]
    decoder.stride = (1,) * axes
    x = torch.randn(2, 4, *space, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    padded = F.pad(x, [kernel - 1 - decoder.padding[0]] * 2 * axes)
    flipped = decoder.weight.flip(*range(2, 2 + axes)).transpose(0, 1)
    torch.testing.assert_close(decoder(x), CONVOLUTIONS[axes](padded, flipped))


def test_worked_example_from_five_to_three_to_padded_seven_to_five():
    x, kernel = torch.tensor([[[1.0, 2, 3, 4, 5]]]), torch.tensor([[[1.0, 0, -1]]])
    small = F.conv1d(x, kernel)
    assert small.tolist() == [[[-2, -2, -2]]]
    padded = F.pad(small, (2, 2))
    assert padded.shape[-1] == 7
    back = F.conv1d(padded, kernel.flip(-1))
    assert back.tolist() == [[[-2, -2, 0, 2, 2]]]
    assert torch.equal(back, F.conv_transpose1d(small, kernel))
    matrix = torch.tensor([[1.0, 0, -1, 0, 0], [0, 1, 0, -1, 0], [0, 0, 1, 0, -1]])
    assert torch.equal(small[0, 0], matrix @ x[0, 0])
    assert torch.equal(back[0, 0], matrix.T @ small[0, 0])


# ------------------------------------------------------------------------------------------------------ sizes


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("channels", [(), (1,), (3,)], ids=["grey", "one channel", "colour"])
@pytest.mark.parametrize("size", [(28, 27), (33, 17), (4, 1)], ids=str)
@pytest.mark.parametrize("down, up", WAYS)
def test_pictures_come_back_in_exactly_their_size(down, up, size, channels):
    pictures = np.random.default_rng(0).integers(0, 256, (6, *size, *channels), dtype=np.uint8)
    kind = {"kind": "images", "max_epochs": 1, "random_state": 0}
    model = Autoencoder(3, architecture=Conv((4, 5), down=down, up=up), **kind).fit(pictures)
    assert model.reconstruct(pictures).shape == pictures.shape
    if up != "unpool":
        assert model.inverse_transform(model.transform(pictures)).shape == pictures.shape


@pytest.mark.parametrize("size", [(9,), (6, 5, 7)], ids=str)
@pytest.mark.parametrize("down, up", WAYS)
def test_one_and_three_axes_of_space_come_back_in_exactly_their_size(down, up, size):
    conv = Conv((4, 5), down=down, up=up)
    shape = (*size, 2)
    hidden_shape = conv.build_encoder(shape, axes=len(size), n_components=None)
    conv.build_decoder(hidden_shape, shape, axes=len(size))
    hidden, side, _ = conv.encode(torch.zeros(3, *shape))
    assert hidden.shape == (3, *hidden_shape)
    assert conv.decode(Code(hidden, side=side)).shape == (3, *shape)


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("size", [(28, 27), (33, 17)], ids=str)
@pytest.mark.parametrize("down, up", WAYS)
def test_natural_code_is_a_map_that_is_halved_by_every_stage(down, up, size):
    pictures = np.zeros((6, *size), np.uint8)
    model = Autoencoder(None, architecture=Conv((4, 2), down=down, up=up), max_epochs=1).fit(pictures)
    assert model.code_shape_ == (-(-size[0] // 4), -(-size[1] // 4), 2)
    assert model.reconstruct(pictures).shape == pictures.shape


@pytest.mark.parametrize("n_components", [3, None])
def test_bare_code_of_an_unpooling_model_is_refused_and_its_reconstruction_is_not(n_components, images):
    model = Autoencoder(n_components, architecture=Conv((2,), down="pool", up="unpool"), max_epochs=1).fit(images)
    codes = model.transform(images)
    for decode in (model.inverse_transform, model.decode, lambda codes: model.decode(torch.from_numpy(codes))):
        with pytest.raises(ValueError, match=r"bare code.*reconstruct\(X\).*up='transpose'"):
            decode(codes)
    assert model.reconstruct(images).shape == images.shape
    assert model.score_samples(images).shape == (100,)
