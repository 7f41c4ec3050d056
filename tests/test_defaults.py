"""The rules behind "auto", at the places where they bend."""

import pytest

from isthmus import Training, defaults
from isthmus.parts import Noise

RULES = {
    "a target within [0, 1]": (defaults.loss(0.0, 1.0), "bernoulli"),
    "a target beyond [0, 1]": (defaults.loss(0.0, 1.01), "squared"),
    "interactions": (defaults.loss(0.0, 1.0, None, "interactions"), "multinomial"),
    "tokens": (defaults.loss(float("-inf"), float("inf"), None, "text"), "categorical"),
    "text": (defaults.architecture("text"), "local"),
    "text to longer text": (defaults.architecture("text", (11,), (22,)), "recurrent"),
    "text to numbers": (defaults.architecture("text", (11,), ()), "dense"),
    "pictures to larger ones": (defaults.architecture("images", (8, 8), (16, 16)), "dense"),
    "pictures to pictures": (defaults.architecture("images", (8, 8), (8, 8)), "conv"),
    "pictures": (defaults.architecture("images"), "conv"),
    "vectors": (defaults.architecture("vectors"), "dense"),
    "the smallest code": (defaults.n_components(2), 1),
    "a code of a few columns": (defaults.n_components(15), 2),
    "a code of a tenth": (defaults.n_components(64), 6),
    "the largest code": (defaults.n_components(784), 32),
    "a code of twice the columns": (defaults.n_components(64, wide=True), 128),
    "the widest code": (defaults.n_components(784 * 4, wide=True), 4096),
    "noise on few samples": (repr(defaults.corruption(100, 4, 1.0)), repr(Noise(0.7))),
    "noise as wide as the columns": (repr(defaults.corruption(1, 1, 3.0)), repr(Noise(3.0))),
    "no noise on many": (defaults.corruption(60000, 32, 1.0), None),
    "no noise where nothing varies": (defaults.corruption(100, 4, 0.0), None),
    "the smallest batch": (defaults.batch_size(0.5), 32),
    "a batch of an eighth": (defaults.batch_size(1438), 128),
    "the largest batch": (defaults.batch_size(10**6), 1024),
    "a thousand steps": (defaults.max_epochs(1438, 128), 84),
    "one epoch at least": (defaults.max_epochs(10**7, 32), 1),
    "decay on few samples": (defaults.weight_decay("muon", 100), 1.0),
    "decay in between": (defaults.weight_decay("muon", 600), 0.5),
    "decay on many samples": (defaults.weight_decay("muon", 60000), 0.1),
    "no decay for Adam": (defaults.weight_decay("adam", 100), 0.0),
    "Muon's learning rate": (Training().default_rate, 0.04),
    "Adam's learning rate": (Training("adam").default_rate, 0.001),
}


@pytest.mark.parametrize("found, expected", RULES.values(), ids=RULES)
def test_auto_stands_for(found, expected):
    assert found == expected
