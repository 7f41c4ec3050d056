"""A run takes as many threads as help it, and no number depends on how many those are."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from family import LABELS, PICTURES, VARIANTS, condition_for, data_for
from sklearn.base import clone

from isthmus import Autoencoder, Training, presets, threads
from isthmus.parts import Adversary, Conv, Modules
from isthmus.threads import Threads, is_in_one_order, products_are_in_one_order

needs_mkl = pytest.mark.skipif(
    not products_are_in_one_order(), reason="this library of products adds in the order of its threads"
)
WIDE = np.random.default_rng(0).random((320, 256)).astype(np.float32)  # enough for sums to be split among threads
FEW = ("dense", "adversarial", "recurrent")
NAMES = [name for name in VARIANTS if "ISTHMUS_WHOLE" in os.environ or name in FEW]


def bits(model: Autoencoder) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.network_.state_dict().items()}


def fitted(model: Autoencoder, X, number: int = 1, **more) -> Autoencoder:
    """The model after a run on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return clone(model).fit(X, **more)
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def processors_taken(monkeypatch):
    """A list of the times at which another program takes the processors and gives them back, by the steps of a run."""
    taken: list[bool] = []
    monkeypatch.setattr(threads, "FIRST", 0.0)
    monkeypatch.setattr(threads, "SHARE", 0)
    monkeypatch.setattr(threads, "is_loaded", lambda: True)
    monkeypatch.setattr(threads, "products_a_second", lambda number: float(number == 1) if taken and taken.pop(0) else number)
    return taken


class Noting:
    """Notes how many threads each step began with."""

    def __init__(self):
        self.numbers: list[int] = []

    def on_step_end(self, network, step, terms):
        self.numbers.append(torch.get_num_threads())


@needs_mkl
@pytest.mark.parametrize("name", NAMES)
def test_weights_do_not_depend_on_the_number_of_threads(name):
    model = clone(VARIANTS[name]).set_params(max_epochs=1, batch_size=160)
    X = WIDE if np.ndim(data_for(model)) == 2 else data_for(model)
    if not is_in_one_order(fitted(model, X[:8], condition=told(name, 8)).network_):
        pytest.skip("its layers split sums among threads")
    one, two = (fitted(model, X, number, condition=told(name, len(X))) for number in (1, 2))
    assert bits(one) == bits(two)


def told(name: str, count: int):
    return None if condition_for(name) is None else np.resize(LABELS, count)


@needs_mkl
def test_neither_do_those_of_clipped_steps_and_averages():
    model = Autoencoder(4, max_epochs=1, batch_size=160, training=Training(clip_norm=0.01, ema_decay=0.9), random_state=0)
    assert bits(fitted(model, WIDE, 1)) == bits(fitted(model, WIDE, 2))


@needs_mkl
def test_threads_come_and_go_with_other_programs_and_change_no_bit(processors_taken):
    model = Autoencoder(4, max_epochs=1, batch_size=64, random_state=0)
    processors_taken.extend([False, False] + [True, True] * 2)
    noting = Noting()
    disturbed = fitted(model, WIDE[:, :32], 2, callbacks=[noting])
    assert noting.numbers == [2, 1, 1, 2, 2]
    assert bits(disturbed) == bits(fitted(model, WIDE[:, :32]))


def test_codes_of_many_blocks_are_found_beside_other_programs(processors_taken):
    model = fitted(Autoencoder(4, max_epochs=1, random_state=0), WIDE[:, :32])
    expected, numbers = model.transform(np.tile(WIDE[:, :32], (10, 1))), []
    model.network_.bottleneck.register_forward_hook(lambda *_: numbers.append(torch.get_num_threads()))
    processors_taken.extend([True, True, False, False])
    torch.set_num_threads(2)
    codes = model.transform(np.tile(WIDE[:, :32], (10, 1)))
    assert numbers == [2, 1, 2, 2] and torch.get_num_threads() == 2
    torch.set_num_threads(1)
    np.testing.assert_array_equal(codes, expected)


def test_layers_that_split_sums_keep_the_number_they_began_with(processors_taken):
    model, noting = Autoencoder(4, architecture=Conv((4,)), max_epochs=2, batch_size=16, random_state=0), Noting()
    processors_taken.extend([True, True] + [False] * 20)
    fitted(model, PICTURES[:32], 2, callbacks=[noting])
    assert noting.numbers == [1] * 4


def test_a_checkpoint_remembers_the_number_where_it_matters(tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    class Stopping:
        def on_step_end(self, network, step, terms):
            if step == 3:
                raise Stop

    training = Training(checkpoint_every="1 steps")
    model = Autoencoder(4, architecture=Conv((4,)), max_epochs=2, batch_size=8, random_state=0, training=training)
    monkeypatch.setattr(threads, "is_loaded", lambda: False)
    with pytest.raises(Stop):
        fitted(model, PICTURES[:32], 2, checkpoint=tmp_path, callbacks=[Stopping()])
    noting = Noting()
    monkeypatch.setattr(threads, "processors", lambda: 2)
    fitted(model, PICTURES[:32], 1, checkpoint=tmp_path, callbacks=[noting])
    assert noting.numbers == [2] * 6
    assert torch.get_num_threads() == 1


def test_more_threads_than_there_are_processors_now_are_said(tmp_path, monkeypatch):
    network = Autoencoder(2, max_epochs=1).fit(WIDE[:8, :4]).network_
    monkeypatch.setattr(threads, "processors", lambda: 2)
    with Threads(network, torch.device("cpu")) as held, pytest.warns(UserWarning, match="begun with 64 threads, and there are 2"):
        held.begin(64)
    assert torch.get_num_threads() == 1


def test_the_number_is_as_before_after_a_run_that_failed(processors_taken):
    class Failing:
        def on_step_end(self, network, step, terms):
            raise RuntimeError("on purpose")

    processors_taken.extend([True, True])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="on purpose"):
        Autoencoder(2, max_epochs=1).fit(WIDE[:64, :8], callbacks=[Failing()])
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == 2


def test_layers_of_the_users_own_are_not_taken_on_trust():
    class Own(torch.nn.Module):
        def forward(self, x):
            return x

    own = torch.nn.Sequential(torch.nn.Linear(8, 4), Own())
    model = Autoencoder(4, architecture=Modules(own, torch.nn.Linear(4, 8)), max_epochs=1).fit(WIDE[:16, :8])
    assert not is_in_one_order(model.network_)
    loss = Autoencoder(4, loss=lambda output, target: (output - target).square().sum(1), max_epochs=1).fit(WIDE[:16, :8])
    assert not is_in_one_order(loss.network_)
    dense = Autoencoder(4, max_epochs=1, penalties=Adversary(hidden=(4,))).fit(WIDE[:16, :8])
    assert is_in_one_order(dense.network_)
    assert not is_in_one_order(presets.convolutional(4, max_epochs=1).fit(PICTURES[:16]).network_)


def test_what_the_user_asks_of_mkl_stands():
    code = "import isthmus, os; print(os.environ['MKL_CBWR'])"
    environment = os.environ | {"MKL_CBWR": "COMPATIBLE", "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    asked = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "COMPATIBLE"
