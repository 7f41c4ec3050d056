"""Laws that every part obeys. A new part is one more row of its table."""

import math
import random as python_random

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from torch import nn

from isthmus import Autoencoder, Training, parts
from isthmus.data import KINDS
from isthmus.objective import OBJECTIVES
from isthmus.parts import (
    Absolute,
    Batch,
    Bernoulli,
    Conv,
    Custom,
    Data,
    Dense,
    Lapped,
    Mask,
    MaskPatches,
    Modules,
    Noise,
    Pinball,
    Pixels,
    Plain,
    Random,
    Recurrent,
    Squared,
    Step,
    Transformer,
)  # fmt: skip


def quartic(output, target):
    return (output - target).pow(4).flatten(1).sum(1)


VECTORS = np.random.default_rng(0).uniform(0.05, 0.95, (24, 12))
IMAGES = np.random.default_rng(0).uniform(0.05, 0.95, (24, 6, 5))

ARCHITECTURES = [
    (Dense(), VECTORS),
    (Dense(hidden=(), activation=None), VECTORS),
    (Dense(hidden=(10, 8), activation="tanh"), VECTORS),
    (Dense(layers=1, activation="gelu"), IMAGES),
    (Conv((4, 3)), IMAGES),
    (Conv((4,), up="upsample", activation="elu"), IMAGES),
    (Conv((4, 3), down="pool"), IMAGES),
    (Conv((4,), down="pool", up="upsample", kernel=5), IMAGES),
    (Conv((4, 3), down="pool", up="unpool", activation="softplus"), IMAGES),
    (Lapped(6, 2, hidden=4), IMAGES),
    (Transformer(8, 1, heads=2, patch=2), IMAGES),
    (Transformer(8, 1, heads=2, patch=(3, 5), places="learnt", queries=0), IMAGES),
    (Modules(nn.Sequential(nn.Linear(12, 9), nn.Tanh()), nn.Linear(4, 12)), VECTORS),
]
BOTTLENECKS = [Plain(), Plain(activation="tanh")]
LOSSES = ["squared", Squared(bounded=True), "absolute", "bernoulli", "multinomial", quartic]
CORRUPTIONS = [None, Noise(0.2), Mask(0.3), [Noise(0.1), Mask(0.3)]]


def named(values):
    return {"ids": [getattr(value, "__name__", None) or " ".join(str(value).split())[:60] for value in values]}


def class_name(part):
    return type(part).__name__


@pytest.fixture(params=ARCHITECTURES, **named([architecture for architecture, _ in ARCHITECTURES]))
def architecture(request):
    return request.param


def untrained(architecture, X, **choices):
    """A fitted estimator whose weights are the first ones: its learning rate is next to nothing."""
    settings = {"kind": "images" if X.ndim == 3 else "vectors", "max_epochs": 1, "learning_rate": 1e-30, "random_state": 0}
    return Autoencoder(4, architecture=architecture, **settings | choices).fit(X)


def step_of(model, X) -> Step:
    values = torch.from_numpy(X).float().reshape(len(X), *model.schema_.shape)
    data = Data(values)
    return Step(model.network_, Batch(data, data), Random(0, "step", 1, torch.arange(len(X))))


# -------------------------------------------------------------------------------------- every combination


@pytest.mark.parametrize("corruption", CORRUPTIONS, **named(CORRUPTIONS))
@pytest.mark.parametrize("loss", LOSSES, **named(LOSSES))
@pytest.mark.parametrize("bottleneck", BOTTLENECKS, **named(BOTTLENECKS))
def test_gradients_reach_every_weight_and_every_weight_learns(architecture, bottleneck, loss, corruption):
    part, X = architecture
    seen: list[dict] = []

    class Note:
        def on_epoch_end(self, network, record):
            seen.append({name: tensor.detach().clone() for name, tensor in network.named_parameters()})

    model = Autoencoder(
        4, architecture=part, bottleneck=bottleneck, loss=loss, corruption=corruption, max_epochs=3, batch_size=8,
        kind="images" if X.ndim == 3 else "vectors", random_state=0,
    ).fit(X, callbacks=[Note()])  # fmt: skip
    network = model.network_
    network.zero_grad()
    uneven = torch.linspace(0.5, 1.5, len(X))  # signs of absolute errors may add up to nothing when all count alike
    sum((uneven * term).sum() for term in network.objective(step_of(model, X)).values()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, f"no gradient reaches {name}"
        assert not torch.equal(seen[0][name], seen[-1][name]), f"{name} does not learn"


def test_codes_are_deterministic_outside_training(architecture):
    part, X = architecture
    model = untrained(part, X, corruption=Noise(0.5))
    assert not any(module.training for module in model.network_.modules())
    np.testing.assert_array_equal(model.transform(X), model.transform(X))
    np.testing.assert_array_equal(model.reconstruct(X), model.reconstruct(X))


@pytest.mark.parametrize("loss", LOSSES, **named(LOSSES))
@pytest.mark.parametrize("X", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_the_first_decoder_answers_a_code_of_zeros_with_the_mean_sample(X, loss):
    model = untrained(Dense(), X, loss=loss)
    code = torch.zeros(1, *model.code_shape_)
    answer = model.decode(code).detach().numpy().reshape(X.shape[1:])
    expected = X.mean(0) / (X.mean(0).sum() if loss == "multinomial" else 1)  # whose mean are shares
    np.testing.assert_allclose(answer, expected, atol=2e-3 if loss == "bernoulli" else 1e-5)


# ------------------------------------------------------------------------------------------------ parameters

OURS = [
    Dense(), Dense(hidden=(128, 64), activation="relu"), Dense(hidden=32), Dense(layers=3, activation=None),
    Conv(), Conv((16, 8), kernel=5, down="pool", up="unpool", activation="gelu"), Conv(8, up="upsample"),
    Recurrent(), Recurrent(32, 2, "lstm", bidirectional=True, reverse=True), Transformer(),
    Transformer(32, patch=(2, 4), queries=0), MaskPatches(), MaskPatches(0.5, patch=4),
    Plain(), Plain(activation="relu"), Noise(), Noise(std=0.25), Mask(share=0.5),
    Squared(), Squared(bounded=True), Absolute(), Bernoulli(), Pixels(), Pixels(2, reach=3, maps=0),
    Training(), Training(optimizer="adam", schedule="cosine", warmup=0.1, weight_decay=0.01),
]  # fmt: skip
YOURS = [Custom(quartic), Modules(nn.Linear(4, 2), nn.Linear(2, 4))]


@pytest.mark.parametrize("part", OURS, ids=class_name)
def test_repr_is_the_code_that_makes_the_part(part):
    twin = eval(repr(part), vars(parts) | {"Training": Training})
    assert type(twin) is type(part)
    assert twin.get_params() == part.get_params()


@pytest.mark.parametrize("part", OURS + YOURS, ids=class_name)
def test_parameters_go_in_and_come_out(part):
    params = part.get_params()
    assert part.set_params(**params) is part
    assert part.get_params() == params
    assert clone(part).get_params().keys() == params.keys()
    with pytest.raises(ValueError, match=f"{type(part).__name__} has no parameter 'nonsense'"):
        part.set_params(nonsense=1)


@pytest.mark.parametrize("part", OURS, ids=class_name)
def test_clone_has_equal_parameters(part):
    twin = clone(part)
    assert twin is not part
    assert twin.get_params() == part.get_params()


def test_parameters_of_parts_are_reached_through_the_estimator():
    model = Autoencoder(architecture=Dense(), corruption=Noise(0.1))
    model.set_params(architecture__hidden=(5,), corruption__std=0.7)
    assert (model.architecture.hidden, model.get_params()["corruption__std"]) == ((5,), 0.7)
    with pytest.raises(ValueError, match="Dense has no parameter 'width'"):
        model.set_params(architecture__width=3)


@pytest.mark.parametrize(
    "table", [parts.ARCHITECTURES, parts.BOTTLENECKS, parts.CORRUPTIONS, parts.LOSSES, OBJECTIVES], ids=lambda t: "/".join(t)
)
def test_every_name_makes_a_part(table):
    for kind in table.values():
        assert kind().get_params() == kind().get_params()


def test_a_network_can_be_printed(X):
    shown = repr(Autoencoder(2, loss="squared", max_epochs=1).fit(X).network_)
    assert "Dense" in shown and "Squared" in shown


# ----------------------------------------------------------------------------------------------------- losses

DENSITIES = {
    "squared": (Squared(), lambda x, output: -stats.norm(output).logpdf(x)),
    "absolute": (Absolute(), lambda x, output: -stats.laplace(output).logpdf(x)),
    "bernoulli": (Bernoulli(), lambda x, output: -x * np.log(sigmoid(output)) - (1 - x) * np.log(1 - sigmoid(output))),
    "pinball": (Pinball(0.2), lambda x, output: -stats.laplace_asymmetric(0.5, output, 2.5).logpdf(x)),
    "custom": (Custom(quartic), lambda x, output: (output - x) ** 4),
}
LIKELIHOODS = ["squared", "absolute", "bernoulli", "pinball"]
SAMPLE_SHAPES = [(5,), (4, 3, 2), (1,)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def pair(shape, batch=7):
    """Outputs, and targets in [0, 1]."""
    random = np.random.default_rng(0)
    return torch.from_numpy(random.normal(size=(batch, *shape))), torch.from_numpy(random.uniform(size=(batch, *shape)))


@pytest.mark.parametrize("shape", SAMPLE_SHAPES, ids=str)
@pytest.mark.parametrize("loss, nats", DENSITIES.values(), ids=DENSITIES)
def test_loss_is_the_closed_form_summed_over_features(loss, nats, shape):
    output, target = pair(shape)
    expected = nats(target.numpy(), output.numpy()).reshape(7, -1).sum(1)
    found = loss(output, Data(target))
    assert found.shape == (7,)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss, _ in DENSITIES.values()], ids=DENSITIES)
def test_a_picture_tiled_two_by_two_costs_four_times_as_much(loss):
    output, target = (x.repeat(1, 2, 2, 1) for x in pair((4, 3, 2)))
    small = loss(output[:, :4, :3], Data(target[:, :4, :3]))
    torch.testing.assert_close(loss(output, Data(target)), 4 * small)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_value_that_is_not_there_carries_no_loss_and_no_gradient(name):
    loss = DENSITIES[name][0]
    output, target = pair((5,))
    output.requires_grad_()
    weight = torch.ones(5).index_fill(0, torch.tensor([1, 4]), 0.0).expand(7, 5)
    found = loss(output, Data(target, weight))
    wild = torch.where(weight == 0, 0.123, target)
    assert torch.equal(found, loss(output, Data(wild, weight)))
    torch.testing.assert_close(found, loss(output[:, [0, 2, 3]], Data(target[:, [0, 2, 3]])))
    found.sum().backward()
    assert torch.equal(output.grad[:, [1, 4]], torch.zeros(7, 2, dtype=output.dtype))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_start_is_the_output_whose_mean_is_the_data(name):
    loss = DENSITIES[name][0]
    values = torch.linspace(0.01, 0.99, 9)
    torch.testing.assert_close(loss.mean(loss.start(values)), values)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_no_output_is_better_than_the_target_itself(name):
    loss = DENSITIES[name][0]
    output, target = pair((5,))
    assert (loss(loss.start(target), Data(target)) <= loss(output, Data(target))).all()


def test_bernoulli_survives_sure_answers():
    nats = Bernoulli()(torch.tensor([[500.0], [-500.0]]), Data(torch.tensor([[0.0], [0.0]])))
    assert nats.tolist() == [500.0, 0.0]


@pytest.mark.parametrize("function", [lambda o, t: (o - t).square().mean(), lambda o, t: (o - t).square()], ids=["scalar", "map"])
def test_a_loss_that_is_not_one_number_a_sample_is_refused(function, X):
    with pytest.raises(ValueError, match=r"one number a sample.*Sum over the features"):
        Autoencoder(2, loss=function, max_epochs=1).fit(X)


# ----------------------------------------------------------------------------------------------------- random


def draws(rows, *, seed=0, stream="noise", step=1, shape=(50,)) -> torch.Tensor:
    return Random(seed, stream, step, torch.as_tensor(rows)).normal(shape)


def test_a_row_depends_on_its_sample_alone():
    rows = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    together = draws(torch.arange(200))
    assert torch.equal(draws(rows), together[rows])
    assert torch.equal(torch.cat([draws(torch.arange(0, 77)), draws(torch.arange(77, 200))]), together)
    assert torch.equal(draws([123])[0], together[123])


@pytest.mark.parametrize("change", [{"seed": 1}, {"stream": "other"}, {"step": 2}, {"rows": torch.arange(4000, 8000)}], ids=str)
def test_other_seeds_streams_steps_and_samples_are_independent(change):
    one = draws(torch.arange(4000)).flatten()
    other = draws(**{"rows": torch.arange(4000), **change}).flatten()
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / math.sqrt(len(one))
    assert abs(np.corrcoef(one**2, other**2)[0, 1]) < 4 / math.sqrt(len(one))


def test_draws_within_a_row_and_one_after_the_other_are_independent():
    random = Random(0, "noise", 1, torch.arange(4000))
    first, second = random.normal((20,)), random.normal((20,))
    correlations = np.corrcoef(torch.cat([first, second], dim=1).numpy().T) - np.eye(40)
    assert np.abs(correlations).max() < 5 / math.sqrt(4000)


def test_streams_of_two_names_differ_and_of_one_name_agree():
    random = Random(0, "step", 1, torch.arange(5))
    assert torch.equal(random.stream("a").normal((3,)), random.stream("a").normal((3,)))
    assert not torch.equal(random.stream("a").normal((3,)), random.stream("b").normal((3,)))


def test_normal_draws_are_normal_and_uniform_draws_uniform():
    random = Random(3, "noise", 1, torch.arange(2000))
    normal, uniform = random.normal((51,)).flatten().numpy(), random.uniform((51,)).flatten().numpy()
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=0.02)
    np.testing.assert_allclose([uniform.mean(), uniform.var()], [1 / 2, 1 / 12], atol=0.005)
    assert uniform.min() > 0 and uniform.max() < 1


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 5, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_the_shape_and_dtype_of_what_they_are_like(shape, dtype):
    x = torch.zeros(6, *shape, dtype=dtype)
    random = Random(0, "noise", 1, torch.arange(6))
    for drawn in (random.normal_like(x), random.uniform_like(x)):
        assert (drawn.shape, drawn.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_fit_and_use_leave_the_global_generators_alone(architecture, images):
    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), python_random.getstate()  # noqa: NPY002

    settings = {"corruption": "noise", "patience": 1, "max_epochs": 2, "random_state": 0}
    before = states()
    model = Autoencoder(3, architecture=architecture, **settings).fit(images)
    model.reconstruct(images)
    assert states() == before


def test_fit_does_not_depend_on_the_global_generators(X):
    codes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        codes.append(Autoencoder(3, corruption="noise", max_epochs=1, random_state=0).fit(X).transform(X))
    np.testing.assert_array_equal(*codes)


# ------------------------------------------------------------------------------------------------ corruptions


@pytest.mark.law_of("denoising")
def test_noise_has_its_standard_deviation_and_keeps_shape_and_target():
    x = torch.zeros(400, 6, 5)
    data = Data(x, weight=torch.ones_like(x))
    noisy = Noise(0.3)(data, Random(0, "noise", 1, torch.arange(400)))
    assert noisy.values.shape == x.shape and noisy.weight is data.weight
    assert abs(noisy.values.std().item() - 0.3) < 0.01
    assert torch.equal(data.values, torch.zeros_like(x))


def test_every_kind_learns_a_schema_that_reads_back_what_it_writes():
    for kind, data in (("vectors", VECTORS * 7 - 3), ("images", IMAGES * 7 - 3)):
        schema = KINDS[kind].learn(data)
        values = schema.scaled(torch.from_numpy(data), torch.float64)
        np.testing.assert_allclose(schema.unscaled(values).numpy(), data, rtol=1e-12)
