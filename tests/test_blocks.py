"""A code does not depend on the company its sample came in: bit for bit, for every architecture."""

import numpy as np
import pytest
import torch
from torch import nn

from isthmus import Autoencoder
from isthmus.parts import Conv, Dense, Lapped, Modules, Recurrent, Transformer, UNet


class Map(nn.Module):
    """A convolution of the user's own, channels last as isthmus hands them over."""

    def __init__(self, source, target):
        super().__init__()
        self.conv = nn.Conv2d(source, target, 3, padding=1)

    def forward(self, x):
        return self.conv(x.movedim(-1, 1)).movedim(1, -1)


ARCHITECTURES = {
    "linear": (Dense(hidden=(), activation=None), "vectors"),
    "dense": (Dense(hidden=(48, 20)), "vectors"),
    "dense on images": (Dense(hidden=(48, 20)), "images"),
    "stride, transpose": (Conv((6, 5)), "images"),
    "stride, upsample": (Conv((6, 5), up="upsample"), "images"),
    "pool, transpose": (Conv((6, 5), down="pool"), "images"),
    "pool, upsample": (Conv((6, 5), down="pool", up="upsample"), "images"),
    "pool, unpool": (Conv((6, 5), down="pool", up="unpool"), "images"),
    "wide kernel": (Conv((6,), kernel=5), "images"),
    "lapped blocks": (Lapped(8, 2, hidden=8), "images"),
    "side paths": (UNet((6, 5), blocks=1), "images"),
    "transformer": (Transformer(16, heads=2, patch=3), "images"),
    "mean of patches": (Transformer(16, heads=2, patch=3, queries=0), "images"),
    "lstm": (Recurrent(16, cell="lstm"), "sequences"),
    "gru, both ways": (Recurrent(16, 2, bidirectional=True, teacher_forcing=True), "sequences"),
    "own": (Modules(nn.Linear(63, 20), nn.Linear(4, 63)), "vectors"),
    "own on images": (Modules(Map(1, 5), nn.Sequential(nn.Linear(4, 63), nn.Unflatten(1, (9, 7, 1)))), "images"),
}
SHAPES = {"vectors": (63,), "images": (9, 7), "sequences": (9, 7)}  # odd, so that rows do not lie on even addresses


@pytest.fixture(params=[(name, dtype) for name in ARCHITECTURES for dtype in ("float32", "float64")], ids=" ".join)
def fitted(request):
    """A model and a block and a row of data for it."""
    name, dtype = request.param
    architecture, kind = ARCHITECTURES[name]
    data = np.random.default_rng(0).normal(size=(1100, *SHAPES[kind])).astype(dtype)
    settings = {"kind": kind, "max_epochs": 1, "random_state": 0, "dtype": dtype, "corruption": "noise"}
    model = Autoencoder(4, architecture=architecture, **settings).fit(data[:64])
    assert model.block_ < len(data)
    return model, data[: model.block_ + 1]


def test_codes_are_the_same_in_every_company(fitted):
    model, X = fitted
    codes = model.transform(X)
    for count in (1, 2, 17, model.block_ - 1, model.block_):
        np.testing.assert_array_equal(model.transform(X[:count]), codes[:count])
        np.testing.assert_array_equal(model.transform(X[-count:]), codes[-count:])
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(model.transform(X[order]), codes[order])
    for place in (0, 1, 500, len(X) - 1):
        np.testing.assert_array_equal(model.transform(X[place : place + 1])[0], codes[place])


def test_reconstructions_and_scores_are_the_same_in_every_company(fitted):
    model, X = fitted
    back, scores = model.reconstruct(X), model.score_samples(X)
    for rows in (slice(0, 1), slice(3, 20), slice(1, None), slice(None, None, -1)):
        np.testing.assert_array_equal(model.reconstruct(X[rows]), back[rows])
        np.testing.assert_array_equal(model.score_samples(X[rows]), scores[rows])


def test_codes_are_the_same_with_one_thread_and_with_two(fitted):
    model, X = fitted
    alone = model.transform(X)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(model.transform(X), alone)
    np.testing.assert_array_equal(model.transform(X[7:8])[0], alone[7])


def test_codes_are_the_same_wherever_and_however_the_data_lies_in_memory(fitted):
    model, X = fitted
    codes = model.transform(X)
    for start in (1, 3):
        buffer = np.empty(X.size + start, X.dtype)
        shifted = buffer[start:].reshape(X.shape)
        shifted[:] = X
        np.testing.assert_array_equal(model.transform(shifted), codes)
    np.testing.assert_array_equal(model.transform(np.asfortranarray(X)), codes)
    np.testing.assert_array_equal(model.transform(torch.from_numpy(X)).numpy(), codes)
    wide = np.repeat(X, 2, axis=-1)
    np.testing.assert_array_equal(model.transform(wide[..., ::2]), codes)


def test_decoded_codes_are_the_same_in_every_company():
    X = np.random.default_rng(0).normal(size=(1100, 63))
    model = Autoencoder(4, max_epochs=1, random_state=0).fit(X[:64])
    codes = np.random.default_rng(1).normal(size=(model.block_ + 1, 4))
    back = model.inverse_transform(codes)
    for rows in (slice(0, 1), slice(3, 20), slice(1, None), slice(None, None, -1)):
        np.testing.assert_array_equal(model.inverse_transform(codes[rows]), back[rows])
