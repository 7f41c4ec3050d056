"""Codes that hold their active units alone: the numbers are those of dense codes, and nothing else is touched."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from family import VECTORS
from torch.autograd import gradcheck, gradgradcheck

from isthmus import Autoencoder
from isthmus.parts import BatchTopK, Code, CodeNorm, Dense, JumpReLU, TopK, active
from isthmus.parts.active import Active, Bagged, Dotted, Places, Spread, beside, largest, largest_of_all, linear_map, pays
from isthmus.parts.layers import Bypass, linear_from, some_of

UNITS = 192


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def few(monkeypatch):
    """Sets from how many units on codes hold the active ones alone."""

    def least(units):
        monkeypatch.setattr(active, "_LEAST", units)

    least(UNITS)
    return least


def codes(samples=6, units=UNITS, k=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    unit = torch.stack([torch.randperm(units, generator=generator)[:k] for _ in range(samples)])
    values = torch.randn(samples * k, dtype=dtype, generator=generator)
    return Active(values, Places.equally(unit, units))


def ragged():
    """Of 3, 0, 1 and 2 active units."""
    values = torch.tensor([1.0, -2.0, 3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    return Active(values, Places(torch.tensor([4, 0, 2, 4, 1, 3]), torch.tensor([0, 3, 3, 4, 6]), 5))


# -------------------------------------------------------------------------------------------------- the maps


@pytest.mark.parametrize("code", [codes(), ragged()], ids=["equally many", "more and fewer"])
def test_a_map_of_the_active_units_is_that_of_the_dense_code(code):
    weight, bias = torch.randn(7, code.places.units, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    torch.testing.assert_close(linear_map(code, weight, bias), F.linear(code.dense, weight, bias))
    told = torch.randn(len(code), 2, dtype=torch.float64)
    assert torch.equal(beside(code, told).dense, torch.cat([code.dense, told], 1))
    assert torch.equal(code.speakers, (code.dense != 0).sum(0))
    assert not code.silent().dense.any() and torch.equal(linear_map(code.silent(), weight, bias), bias.expand(len(code), 7))


@pytest.mark.parametrize("code", [codes(3, 8, 2), ragged()], ids=["equally many", "more and fewer"])
def test_the_maps_have_first_and_second_derivatives(code):
    places = code.places
    values = code.values.clone().requires_grad_()
    rows = torch.randn(places.units, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(len(code), 3, dtype=torch.float64, requires_grad=True)
    for function, inputs in ((Bagged, (values, rows)), (Dotted, (x, rows)), (Spread, (values, x))):
        assert gradcheck(lambda a, b, f=function: f.apply(a, b, places), inputs)
        assert gradgradcheck(lambda a, b, f=function: f.apply(a, b, places), inputs)


def test_columns_of_silent_units_are_not_read():
    """Neither forwards nor backwards: where they are NaN, the output and the gradients of all others are none the less right."""
    code = codes()
    speaks = code.speakers > 0
    weight = torch.randn(7, UNITS, dtype=torch.float64).where(speaks, torch.nan).requires_grad_()
    values = code.values.requires_grad_()
    output = linear_map(Active(values, code.places), weight)
    of_values, of_weight = torch.autograd.grad(output.square().sum(), (values, weight))
    assert output.isfinite().all() and of_values.isfinite().all() and not of_weight[:, ~speaks].any()
    linear = linear_from((5,), UNITS).double()
    with torch.no_grad():
        linear[1].weight[~speaks] = torch.nan
    assert some_of(linear, torch.randn(6, 5, dtype=torch.float64), code.places).isfinite().all()


@pytest.mark.parametrize("shape", [(5,), ((5,), (4,))], ids=["linear", "bypass"])
def test_some_of_a_map_is_the_map_there(shape):
    linear, code = linear_from(shape, UNITS).double(), codes()
    for parameter in linear.parameters():
        torch.nn.init.normal_(parameter)
    both = (torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64))
    hidden = both if isinstance(linear, Bypass) else both[0]
    expected = linear(hidden)[code.places.sample, code.places.unit]
    torch.testing.assert_close(some_of(linear, hidden, code.places), expected)
    found = torch.autograd.grad(some_of(linear, hidden, code.places).square().sum(), list(linear.parameters()))
    dense = torch.autograd.grad(linear(hidden)[code.places.sample, code.places.unit].square().sum(), list(linear.parameters()))
    torch.testing.assert_close(found, dense)


# ----------------------------------------------------------------------------------------------- the largest


@pytest.mark.parametrize("units, k", [(1000, 3), (1024, 32), (50, 40), (7, 1), (33, 2)])
def test_the_largest_are_the_largest(units, k):
    x = torch.randn(20, units)
    x[3] = 0.5  # all alike
    x[4, 5:] = -torch.inf
    found = largest(x, k)
    assert torch.equal(x.gather(1, found).sort(1, descending=True).values, x.topk(k).values)
    assert all(len(row.unique()) == k for row in found)


@pytest.mark.parametrize("k, shift", [(40, 0.0), (200, 0.0), (300, -2.5), (5, -9.0)])
def test_the_largest_of_all_are_positive_and_as_many_as_are_wanted(k, shift):
    x = torch.randn(20, 300) + shift
    places = largest_of_all(x, k)
    kept = torch.zeros_like(x, dtype=torch.bool)
    kept[places.sample, places.unit] = True
    best = x.flatten().topk(k).values
    assert torch.equal(x[kept].sort(descending=True).values, best[best > 0])


def test_what_is_no_number_is_not_overlooked():
    x = torch.randn(4, 300)
    x[1, 7] = torch.nan
    assert 7 in largest(x, 3)[1] and 7 in largest_of_all(x, 12).unit


# -------------------------------------------------------------------------------------------------- training


def test_it_is_for_wide_codes_of_few_units():
    cpu = torch.device("cpu")
    assert (
        pays(32, 16384, cpu) and not pays(32, 64, cpu) and not pays(64, 2048, cpu) and not pays(32, 16384, torch.device("meta"))
    )


WORDS = Dense((), activation=None, unit_norm=True)
WAYS = {
    "topk": {"bottleneck": TopK(3), "architecture": WORDS},
    "batch_topk": {"bottleneck": BatchTopK(3), "architecture": WORDS},
    "no term for the dead": {"bottleneck": TopK(3, weight=0), "architecture": WORDS},
    "a deep net with bypass": {"bottleneck": TopK(3), "architecture": Dense((24,))},
    "dropout of units": {"bottleneck": BatchTopK(3), "architecture": Dense((24,), dropout=0.2)},
    "dropout of connections": {"bottleneck": TopK(3), "architecture": Dense((24,), dropout=0.2, dropped="connections")},
    "a penalty on the code": {"bottleneck": TopK(3), "penalties": CodeNorm(0.1), "architecture": WORDS},
}


@pytest.mark.parametrize("condition", [False, True], ids=["", "conditional"])
@pytest.mark.parametrize("way", WAYS)
def test_training_ends_where_that_of_dense_codes_ends(way, condition, few):
    X = VECTORS[:64]
    told = {"condition": X[:, 20:22]} if condition else {}
    weight = np.linspace(0.5, 2.0, len(X))
    found = []
    for least in (UNITS, 10**9):
        few(least)
        settings = {
            "batch_size": 16,
            "max_epochs": 6,
            "dtype": "float64",
            "corruption": None,
            "loss": "squared",
            "random_state": 0,
        }
        model = Autoencoder(UNITS, **settings, **WAYS[way]).fit(X, sample_weight=weight, **told)
        found.append((model.history_[-1], model.reconstruct(X, **told), model.transform(X, **told)))
    (ours, output, code), (theirs, expected, dense) = found
    for name in ("objective", "loss", "l0", "dead"):
        assert math.isclose(ours[name], theirs[name], rel_tol=1e-9), name
    np.testing.assert_allclose(output, expected, atol=1e-9)
    np.testing.assert_allclose(code, dense, atol=1e-9)
    assert ours["dead"] > 0 and ("auxiliary" in ours) == (way != "no term for the dead")


@pytest.mark.parametrize("bottleneck", [TopK(3), BatchTopK(3)], ids=repr)
def test_the_gradients_are_those_of_dense_codes(bottleneck, few):
    found = []
    for least in (UNITS, 10**9):
        few(least)
        hidden = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        torch.manual_seed(1)
        part = type(bottleneck)(3)
        part.build((5,), UNITS)
        part = part.double()
        decoder = active.Linear(UNITS, 4).double()
        code = part(hidden, random=object())
        assert isinstance(code.given, Active) == (least == UNITS)
        loss = decoder(code.given).square().sum() + code.z.sum()
        found.append([loss, *torch.autograd.grad(loss, [hidden, *part.parameters(), *decoder.parameters()])])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("given", [BatchTopK(3), JumpReLU()], ids=repr)
def test_codes_by_a_threshold_stay_dense(given, few):
    given.build((5,), UNITS)
    assert isinstance(given(torch.randn(4, 5)).given, torch.Tensor)


def test_another_decoder_reads_such_a_code_as_a_dense_one():
    code = Code(codes())
    assert torch.equal(code.z, code.given.dense) and torch.equal(code.at(code.z + 1).z, code.z + 1)
    code.z = code.z + 2
    assert isinstance(code.given, torch.Tensor)
