"""Laws of the whole family of variants, over the table in `family.py`, and the laws of single parts in closed form."""

import math
import sys
import warnings

import numpy as np
import pytest
import torch
from family import LABELS, PICTURES, VARIANTS, VECTORS, composed, condition_for, data_for, preset
from scipy.ndimage import correlate1d
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA

from isthmus import Autoencoder, Training, load, presets
from isthmus import autoencoder as estimator
from isthmus import objective as objectives
from isthmus import parts as all_parts
from isthmus.generation import between, drawn_codes, varied_codes
from isthmus.objective import ImportanceWeighted, RateDistortion, Recorrupted, Sum
from isthmus.parts import (
    BOTTLENECKS,
    JPEG,
    L1,
    MMD,
    SSIM,
    TSNE,
    Absolute,
    Adversary,
    Autoregressive,
    BatchTopK,
    Bernoulli,
    BlindSpot,
    Blur,
    Code,
    CodeNorm,
    Composite,
    Contractive,
    Conv,
    Custom,
    Data,
    Dense,
    Downscale,
    Drop,
    FiniteScalar,
    Gaussian,
    Gray,
    Holes,
    JumpReLU,
    KLSparse,
    Lapped,
    Local,
    Logos,
    Mask,
    MaskPatches,
    Mixture,
    Modules,
    Noise,
    Normal,
    Pinball,
    Pixels,
    Plain,
    Random,
    Recurrent,
    ResidualQuantized,
    Rounded,
    SaltPepper,
    Scratches,
    Sparsity,
    Squared,
    Step,
    Swap,
    TopK,
    TotalCorrelation,
    Transformer,
    Translator,
    UNet,
    Vamp,
    VectorQuantized,
    Warp,
    Watermark,
    part_of,
)  # fmt: skip
from isthmus.parts.base import Batch
from isthmus.parts.gaussian import kl_to_normal
from isthmus.parts.penalties import autograd_jacobian, dense_row_norms, estimated_jacobian_norm, jacobian_norm
from isthmus.parts.sparse import Jump, SoftStep
from isthmus.trouble import warn_of_collapse

UNBIASED = {"info", "several penalties", "neighbours", "neighbours in convolution"}  # estimates over pairs of different samples


def fit(name_or_model, **settings) -> Autoencoder:
    """A variant after `settings`; what a few steps leave dead is no news here."""
    model = clone(VARIANTS[name_or_model]) if isinstance(name_or_model, str) else name_or_model
    condition = condition_for(name_or_model) if isinstance(name_or_model, str) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.set_params(**settings).fit(data_for(model), condition=condition)


@pytest.fixture(scope="module")
def after_20_steps():
    """Every variant after 20 steps on 256 samples, trained when first asked for."""
    models: dict[str, Autoencoder] = {}
    return lambda name: (
        models.setdefault(name, None) or models.update({name: fit(name, batch_size=64, max_epochs=5)}) or models[name]
    )


def told(name: str, rows=slice(None)) -> dict:
    return {} if condition_for(name) is None else {"condition": LABELS[rows]}


def step_of(model: Autoencoder, index, name: str = "", epoch: int = 1) -> Step:
    """One step of training on the samples at `index`, as the loop would make it."""
    index = torch.as_tensor(index)
    condition = None if model.condition_ is None else model.condition_.read(LABELS, len(LABELS)).values[index]
    data = model._rows(data_for(model)).take(index).told(condition)
    return Step(model.network_, Batch(data, data), Random(0, "step", epoch, index))


def total(step: Step) -> float:
    return sum(float(step.mean(term).detach()) for term in step.network.objective(step).values())


@pytest.fixture(scope="module")
def stretched():
    """800 rows of six columns with known variances 4, 2.25, 1, ..., turned at random."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(6, 6)))[0]
    white = np.linalg.qr(random.normal(size=(800, 6)) - 0.0)[0]
    white = (white - white.mean(0)) * np.sqrt(800)
    return white * np.sqrt([4, 2.25, 1, 0.3, 0.2, 0.1]) @ turn


# --------------------------------------------------------------------------------------------- of every variant


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_trainable_or_averaged_tensor_changes_within_20_steps(name, after_20_steps, monkeypatch):
    trained = after_20_steps(name).network_.state_dict()
    monkeypatch.setattr(estimator, "train", lambda network, run: [{"epoch": 0}])
    monkeypatch.setattr(estimator.generation, "fit_own_prior", lambda *_: None)
    first = fit(name, batch_size=64, max_epochs=5).network_.state_dict()
    assert first.keys() == trained.keys()
    assert not [key for key in first if torch.equal(first[key], trained[key])]


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", VARIANTS)
def test_the_code_is_deterministic_and_keeps_no_company_outside_training(name, after_20_steps):
    model = after_20_steps(name)
    X = data_for(model)[:40]
    codes = model.transform(X, **told(name, slice(40)))
    np.testing.assert_array_equal(codes, model.transform(X, **told(name, slice(40))))
    np.testing.assert_array_equal(codes[7:9], model.transform(X[7:9], **told(name, slice(7, 9))))


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", VARIANTS)
def test_save_and_load_give_equal_numbers(name, after_20_steps, tmp_path):
    model = after_20_steps(name)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    X = data_for(model)[:20]
    np.testing.assert_array_equal(again.transform(X, **told(name, slice(20))), model.transform(X, **told(name, slice(20))))
    np.testing.assert_array_equal(
        again.score_samples(X, **told(name, slice(20))), model.score_samples(X, **told(name, slice(20)))
    )
    assert again.history_ == model.history_
    if model.network_.prior is not None:
        np.testing.assert_array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", VARIANTS)
def test_clone_and_repr_round_trip(name):
    model = VARIANTS[name]
    names = {"Autoencoder": Autoencoder, "Training": Training, **vars(all_parts), **vars(objectives)}
    assert repr(clone(model)) == repr(model) == repr(eval(repr(model), names))


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("size", [1, 7, 24])
@pytest.mark.parametrize("name", VARIANTS)
def test_any_batch_size_trains(name, size):
    model = clone(VARIANTS[name]).set_params(batch_size=size, max_epochs=1)
    rows = slice(0, 24)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(data_for(model)[rows], **told(name, rows))
    assert math.isfinite(model.history_[-1]["objective"])


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in UNBIASED])
def test_a_batch_repeated_twice_has_the_same_objective_but_for_estimates_over_its_pairs(name, after_20_steps):
    model = after_20_steps(name)
    once, twice = torch.arange(16), torch.arange(16).repeat(2)
    assert total(step_of(model, twice)) == pytest.approx(total(step_of(model, once)), rel=1e-5)


WHOLE_BATCH = {
    "kl_sparse": preset("kl_sparse"), "KL of a map": VARIANTS["KL of a map"], "hidden KL": VARIANTS["hidden KL"],
    "jumprelu with l0": preset("jumprelu", bottleneck=JumpReLU(l0=2)), "contractive": preset("contractive"),
    "stochastic_contractive": preset("stochastic_contractive"),
}  # fmt: skip


@pytest.mark.law_of("kl_sparse", "jumprelu", "contractive", "stochastic_contractive")
@pytest.mark.parametrize("model", WHOLE_BATCH.values(), ids=WHOLE_BATCH)
def test_a_term_of_the_whole_batch_counts_a_sample_of_weight_two_twice(model):
    model = fit(model, batch_size=64, max_epochs=2)
    twice, weighted = step_of(model, [*range(16), *range(5)]), step_of(model, range(16))
    weighted.batch.sample_weight = torch.tensor([2.0] * 5 + [1.0] * 11)
    assert total(weighted) == pytest.approx(total(twice), rel=1e-5)
    assert total(weighted) != pytest.approx(total(step_of(model, range(16))), rel=1e-4)


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", VARIANTS)
def test_terms_a_sample_do_not_depend_on_the_batch_but_where_units_compete_in_it(name, after_20_steps):
    if name in ("batch_topk", "connections"):
        pytest.skip("chooses over the whole batch")
    model = after_20_steps(name)
    all_of, some = step_of(model, torch.arange(32)), step_of(model, torch.arange(0, 32, 2))
    both = zip(all_of.network.objective(all_of).items(), some.network.objective(some).values(), strict=True)
    for (term, whole), part in both:
        if whole.ndim:
            torch.testing.assert_close(whole[::2], part, rtol=1e-4, atol=1e-5, msg=lambda text, term=term: f"{term}: {text}")


@pytest.mark.law_of("every variant")
@pytest.mark.parametrize("name", [name for name, model in VARIANTS.items() if name in presets.PRESETS])
def test_a_preset_rebuilds_better_than_the_mean_sample(name, after_20_steps):
    model = fit(name, batch_size=32, max_epochs=40)
    X = data_for(model).astype(float)
    left = np.square(model.reconstruct(data_for(model), **told(name)) - X).sum() / np.square(X - X.mean(0)).sum()
    assert left < 0.85, f"{left:.0%} of the variance is left"


# ------------------------------------------------------------------------------------------------------ losses


# SSIM is not here: its windows see across the seams of the tiles.
@pytest.mark.parametrize("loss", [Squared(), Squared(scale=0.3), Absolute(), Absolute(scale=0.3), Bernoulli()], ids=repr)
def test_a_target_tiled_2x2_has_four_times_the_loss(loss):
    loss.build(type("schema", (), {"shape": (6, 5, 1), "columns": None, "tokens": 0}))
    output, target = torch.randn(3, 6, 5, 1, dtype=torch.float64), torch.rand(3, 6, 5, 1, dtype=torch.float64)
    tiled = loss(output.tile(1, 2, 2, 1), Data(target.tile(1, 2, 2, 1)))
    torch.testing.assert_close(tiled, 4 * loss(output, Data(target)), rtol=1e-12, atol=0)


@pytest.mark.law_of("variational")
@pytest.mark.parametrize("loss", [Squared(), Squared(scale=0.3), Absolute(), Absolute(scale=0.3), Bernoulli()], ids=repr)
def test_a_target_tiled_2x2_is_four_times_the_loss_at_the_same_cost(loss, monkeypatch):
    model = fit(composed(architecture=Conv((4,)), bottleneck="gaussian", loss=loss), max_epochs=1)
    plain, tiled = step_of(model, torch.arange(20)), step_of(model, torch.arange(20))
    expected = {name: term * (4 if name == "loss" else 1) for name, term in Sum()(plain).items()}
    decode = model.network_.decode
    monkeypatch.setattr(model.network_, "decode", lambda *given: decode(*given).tile(1, 2, 2, 1))
    tiled.batch.target = Data(tiled.batch.target.values.tile(1, 2, 2, 1))
    assert expected.keys() == {"loss", "cost"}
    torch.testing.assert_close(Sum()(tiled), expected)


@pytest.mark.law_of("variational")
@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_a_scale_is_learnt_where_there_is_a_posterior_and_nowhere_else(loss):
    with_posterior, without = fit("variational", loss=loss, max_epochs=1), fit("dense", loss=loss, max_epochs=1)
    assert isinstance(with_posterior.network_.loss.log_scale, torch.nn.Parameter)
    assert not list(without.network_.loss.parameters())


@pytest.mark.parametrize(
    "loss, mean, density",
    [
        (Squared, lambda error: error.square().mean().sqrt(), torch.distributions.Normal),
        (Absolute, lambda error: error.abs().mean(), torch.distributions.Laplace),
    ],
)
def test_a_scale_is_that_of_the_density_and_the_best_one_is_the_mean_distance(loss, mean, density):
    error = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    best = float(mean(error))
    nats = []
    for scale in (0.8 * best, best, 1.25 * best):
        part = loss(scale=scale)
        part.build(type("schema", (), {"shape": (6,), "columns": None, "tokens": 0}))
        nats.append(float(part(error, Data(torch.zeros_like(error))).mean()))
        assert nats[-1] == pytest.approx(-float(density(0.0, scale).log_prob(error).sum(1).mean()))
    assert nats[1] < min(nats[0], nats[2])
    learnt = loss(scale="learnt")
    learnt.build(type("schema", (), {"shape": (6,), "columns": None, "tokens": 0}))
    learnt.log_scale.data.fill_(math.log(best))
    found = learnt.double()(error, Data(torch.zeros_like(error))).mean()
    found.backward()
    assert found.item() == pytest.approx(nats[1])
    assert float(learnt.log_scale.grad) == pytest.approx(0, abs=1e-6)


def ssim_of(shape: tuple[int, ...], window: int = 11) -> SSIM:
    loss = SSIM(window)
    loss.build(type("schema", (), {"shape": shape, "axes": 2, "columns": None, "tokens": 0}))
    return loss


def structural_similarity(x: np.ndarray, y: np.ndarray, radius: int) -> np.ndarray:
    """The map of Wang et al. 2004 for pictures (height, width) in [0, 1], with mirrored borders."""
    weights = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / 1.5))

    def mean(values):
        return correlate1d(
            correlate1d(values, weights / weights.sum(), 0, mode="mirror"), weights / weights.sum(), 1, mode="mirror"
        )

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    means = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    return means * (2 * covariance + 0.03**2) / (variances + 0.03**2)


@pytest.mark.parametrize("shape, window, radius", [((20, 17, 1), 11, 5), ((12, 9, 3), 7, 3), ((8, 4, 1), 11, 3)], ids=str)
def test_ssim_is_the_formula_of_the_paper(shape, window, radius):
    x, y = torch.rand(2, 3, *shape, dtype=torch.float64)
    maps = [structural_similarity(x[i, ..., c].numpy(), y[i, ..., c].numpy(), radius) for i in range(3) for c in range(shape[-1])]
    expected = (1 - np.stack(maps)).reshape(3, -1).sum(1)
    np.testing.assert_allclose(ssim_of(shape, window)(x, Data(y)).numpy(), expected, rtol=1e-9)


def test_ssim_is_nought_for_equal_pictures_and_at_most_two_a_value_and_its_gradient_reaches_every_value():
    x, y = torch.rand(2, 50, 8, 8, 1, dtype=torch.float64)
    loss, x = ssim_of((8, 8, 1)), x.requires_grad_()
    different, opposite = loss(x, Data(y)), loss(1 - y.round(), Data(y.round()))
    assert (loss(y, Data(y)) == 0).all()
    assert different.min() > 0 and opposite.min() > 64 and opposite.max() <= 2 * 64
    different.sum().backward()
    assert (x.grad != 0).all()


def test_training_for_ssim_gives_more_of_it_than_training_for_squared_error():
    shown, left = torch.tensor(PICTURES[..., None] / 255), {}
    for loss in ("ssim", "squared"):
        model = fit(composed(architecture=Conv((8, 16)), loss=loss), corruption=None, batch_size=32, max_epochs=60)
        rebuilt = torch.tensor(model.reconstruct(PICTURES)[..., None] / 255)
        left[loss] = float(ssim_of((8, 8, 1))(rebuilt, Data(shown)).mean())
    of_the_mean = ssim_of((8, 8, 1))(shown.mean(0, keepdim=True).expand_as(shown), Data(shown)).mean()
    assert left["ssim"] < 0.95 * left["squared"] and left["ssim"] < 0.3 * float(of_the_mean)


@pytest.mark.parametrize("module, settings", [("metrics", {"loss": "ssim"}), ("filters", {"corruption": Blur()})])
def test_without_kornia_the_way_to_get_it_is_named(module, settings, monkeypatch):
    monkeypatch.setitem(sys.modules, f"kornia.{module}", None)
    with pytest.raises(ImportError, match=r'pip install "isthmus\[image\]"'):
        composed(architecture=Conv((4,)), **settings).fit(PICTURES)


# ------------------------------------------------------------------------------------- linear, in closed form

LINEAR = {"architecture": Dense((), activation=None), "loss": "squared", "scale": "none", "dtype": "float64", "random_state": 0}


@pytest.mark.law_of("dense", "deep")
@pytest.mark.parametrize("name, settings", [("dense", {}), ("deep", {"layers": 3})])
def test_dense_layers_without_an_activation_end_at_the_error_of_pca(name, settings, stretched):
    """However many there are: of a product of matrices, the plane of PCA is the only minimum (Baldi & Hornik 1989)."""
    model = presets.PRESETS[name](
        2, **settings, activation=None, loss="squared", scale="none", corruption=None, batch_size=100, max_epochs=15,
        random_state=0, training=Training(momentum=0.95, weight_decay=0.0),
    ).fit(stretched)  # fmt: skip
    pca = PCA(2).fit(stretched)
    best = np.square(stretched - pca.inverse_transform(pca.transform(stretched))).sum()
    assert best * (1 - 1e-6) <= np.square(stretched - model.reconstruct(stretched)).sum() <= 1.01 * best


def wiener(covariance, std: float):
    """What rebuilds x best from x + std * eps, of all matrices."""
    return covariance @ np.linalg.inv(covariance + std**2 * np.eye(len(covariance)))


def regression_on_what_is_left(covariance, share: float):
    """What rebuilds x best from x * b with b ~ Bernoulli(1 - share), of all matrices."""
    kept = 1 - share
    seen = kept**2 * covariance + kept * share * np.diag(np.diag(covariance))
    return kept * covariance @ np.linalg.inv(seen)


@pytest.mark.law_of("denoising", "masked")
@pytest.mark.parametrize(
    "name, settings, best", [("denoising", {"noise": 0.7}, wiener), ("masked", {"share": 0.4}, regression_on_what_is_left)]
)
def test_a_linear_network_learns_the_best_matrix_for_the_damage(name, settings, best, stretched):
    model = presets.PRESETS[name](
        6, **settings, **LINEAR, batch_size=len(stretched), max_epochs=500, learning_rate=0.03, training=Training("adam"),
    ).fit(stretched)  # fmt: skip
    learnt = model.reconstruct(np.eye(6)) - model.reconstruct(np.zeros((6, 6)))  # a row for each column of the matrix
    expected = best(np.cov(stretched.T), *settings.values())
    assert np.linalg.norm(learnt.T - expected) < 0.05 * np.linalg.norm(expected)


# ---------------------------------------------------------------------------------------------------- sparsity


@pytest.mark.law_of("sparse")
def test_the_soft_threshold_is_what_a_charge_on_activity_asks_of_an_orthogonal_dictionary(stretched):
    """argmin over z >= 0 of |x - W z|^2 / 2 + weight * sum_j z_j is relu(W' x - weight), where W' W = I."""
    weight = 0.3
    model = presets.sparse(4, weight=weight, scale="none", dtype="float64", max_epochs=1, random_state=0).fit(stretched)
    encoder, decoder = model.network_.bottleneck.linear[1], model.network_.architecture.head[1]
    with torch.no_grad():
        decoder.weight.copy_(torch.linalg.qr(decoder.weight)[0])
        encoder.weight.copy_(decoder.weight.T)
        encoder.bias.fill_(-weight)
        decoder.bias.zero_()
    data = Data(torch.tensor(stretched))
    code = model.network_.encode(data)
    charged = model.network_.loss(model.network_.decode(code), data) + code.cost
    slope = torch.autograd.grad(charged.sum(), code.z)[0]
    silent = code.z == 0
    assert 0.1 < silent.double().mean() < 0.9
    assert slope[~silent].abs().max() < 1e-9  # nowhere better to go
    assert slope[silent].min() > -weight - 1e-9  # and to speak would cost the weight, of which autograd knows nothing at 0


@pytest.mark.law_of("topk", "batch_topk")
@pytest.mark.parametrize("name, rows", [("topk", 1), ("batch_topk", 64)])
def test_what_is_kept_is_larger_than_all_that_is_dropped(name, rows, after_20_steps):
    """Of every sample for TopK, of the whole batch for BatchTopK; and it is kept as it was."""
    step = step_of(after_20_steps(name), torch.arange(64))
    excited = step.code.extra["before"].relu().view(64 // rows, -1)
    z = step.code.z.view(64 // rows, -1)
    kept = z > 0
    assert torch.equal(z[kept], excited[kept])
    least = torch.where(kept, z, torch.inf).amin(1)
    assert (torch.where(kept, -torch.inf, excited).amax(1) <= least).all()
    assert (kept.sum(1) <= 2 * rows).all()


@pytest.mark.law_of("sparse", "kl_sparse", "topk", "batch_topk", "jumprelu")
@pytest.mark.parametrize("name", ["sparse", "kl_sparse", "topk", "batch_topk", "jumprelu"])
@pytest.mark.parametrize("columns", [1, 3, 40])
def test_a_dictionary_is_wider_than_the_data_of_itself(name, columns):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = presets.PRESETS[name](max_epochs=1, random_state=0).fit(VECTORS[:50, 20 : 20 + columns])
    assert model.n_components_ == 2 * columns
    if name == "topk":
        assert (model.transform(VECTORS[:50, 20 : 20 + columns]) != 0).sum(1).max() <= max(1, columns // 2)


@pytest.mark.law_of("topk")
@pytest.mark.parametrize("k", [1, 3])
def test_topk_has_at_most_k_active_units(k):
    model = fit(composed(n_components=30, bottleneck=TopK(k)), max_epochs=2)
    assert (model.transform(VECTORS) != 0).sum(1).max() <= k


@pytest.mark.law_of("batch_topk")
def test_batch_topk_keeps_about_k_with_its_threshold():
    model = fit(preset("batch_topk", 40, k=5), batch_size=64, max_epochs=60)
    assert (model.transform(VECTORS) != 0).sum(1).mean() == pytest.approx(5, rel=0.2)


@pytest.mark.law_of("jumprelu")
def test_jumprelu_comes_to_the_number_of_units_that_is_asked_for():
    model = fit(preset("jumprelu", 40, l0=6, weight=10.0), batch_size=64, max_epochs=100)
    assert (model.transform(VECTORS) != 0).sum(1).mean() == pytest.approx(6, rel=0.2)


@pytest.mark.law_of("jumprelu")
@pytest.mark.parametrize("settings, moves", [({}, False), ({"threshold": 0.3, "bandwidth": 2.0}, True)])
def test_silent_units_move_a_threshold_only_where_the_bandwidth_is_more_than_twice_as_large(settings, moves):
    jump = JumpReLU(**settings)
    jump.build((8,), 16)
    jump.linear[1].weight.data.zero_()
    jump.linear[1].bias.data.fill_(-5.0)
    code = jump(torch.randn(10, 8))
    (code.z.sum() + code.cost.sum()).backward()
    assert (jump.log_threshold.grad != 0).all() if moves else (jump.log_threshold.grad == 0).all()


@pytest.mark.law_of("jumprelu")
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_the_gradients_of_a_threshold_are_those_of_what_is_expected(threshold):
    """Of x even in [0, 1]: d/dt E[x 1(x > t)] = -t and d/dt E[1(x > t)] = -1, which no single sample shows."""
    x, expected = torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None], {Jump: -threshold, SoftStep: -1.0}
    for step, slope in expected.items():
        at = torch.tensor([threshold], dtype=torch.float64, requires_grad=True)
        step.apply(x, at, 0.1).mean().backward()
        assert float(at.grad) == pytest.approx(slope, rel=1e-3)


@pytest.mark.law_of("kl_sparse")
@pytest.mark.parametrize("target", [0.1, 0.3])
def test_kl_sparsity_reaches_its_target(target):
    model = fit(preset("kl_sparse", 20, target=target, weight=30.0), batch_size=64, max_epochs=100)
    np.testing.assert_allclose(model.transform(VECTORS).mean(0), target, rtol=0.2)  # every unit, not only all together


@pytest.mark.law_of("kl_sparse")
def test_no_unit_that_keeps_to_its_target_counts_as_dead():
    model = preset("kl_sparse", 20, target=0.05, weight=30.0).set_params(batch_size=64, max_epochs=60).fit(VECTORS)
    assert model.transform(VECTORS).mean() == pytest.approx(0.05, rel=0.2)
    assert model.history_[-1]["dead"] == 0


@pytest.mark.parametrize("kind, of", [("l1", lambda h: np.abs(h).sum(1).mean()), ("kl", lambda h: abs(h.mean() - 0.1))])
def test_sparsity_of_a_hidden_layer_does_what_it_says(kind, of):
    hidden = []
    for weight in (0.0, 1.0):
        penalty = Sparsity(0, kind, weight=weight, target=0.1)
        model = fit(composed(architecture=Dense((32, 16), activation="sigmoid"), penalties=penalty), max_epochs=20)
        hidden.append(of(model.network_.architecture.encoder[:2](torch.tensor(VECTORS, dtype=torch.float32)).detach().numpy()))
    assert hidden[1] < 0.5 * hidden[0]


def test_the_share_of_active_hidden_units_is_noted():
    silent = Sparsity(0, "kl", weight=0.0, target=0.999)  # a sigmoid is hardly ever above that
    model = fit(composed(architecture=Dense((32,), activation="sigmoid"), penalties=[Sparsity(weight=0.0), silent]))
    assert model.history_[-1]["sparsity_active"] > 0.9 and model.history_[-1]["sparsity_2_active"] < 0.1


@pytest.mark.law_of("sparse", "kl_sparse", "topk", "batch_topk", "jumprelu")
@pytest.mark.parametrize("name", ["sparse", "kl_sparse", "topk", "batch_topk", "jumprelu"])
def test_unit_norm_keeps_the_decoders_columns_at_length_one(name, after_20_steps):
    weight = after_20_steps(name).network_.architecture.head[1].weight
    torch.testing.assert_close(weight.norm(dim=0), torch.ones(4))


CURES = {
    "dead": [
        (L1(), "a lower weight"), (KLSparse(), "a higher weight"), (TopK(2), "a larger k, or a higher weight"),
        (BatchTopK(2), "a larger k, or a higher weight"), (JumpReLU(), "a higher revival, or a lower weight"),
    ],
    "active_units": [(Gaussian(), r"a lower beta, or a loss of a smaller scale, such as Squared\(scale=0.1\)")],
    "usage": [
        (VectorQuantized(8, dim=2), "a smaller codebook_size"), (ResidualQuantized(2, 8, dim=2), "a smaller codebook_size"),
        (FiniteScalar((4, 3)), "fewer levels"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("sign, bottleneck, cure", [(sign, *row) for sign, rows in CURES.items() for row in rows], ids=repr)
def test_a_collapsed_code_is_told_with_the_cure_of_its_own_bottleneck(sign, bottleneck, cure):
    network = fit(composed(bottleneck=bottleneck), max_epochs=1).network_
    with pytest.warns(UserWarning, match=rf"collapsed \({sign}=.*Set {cure}"):
        warn_of_collapse(network, {sign: 1.0 if sign == "dead" else 0.0})


@pytest.mark.law_of("topk", "jumprelu")
@pytest.mark.parametrize(
    "bottleneck", [lambda weight: TopK(4, weight=weight), lambda weight: JumpReLU(10.0, l0=4, threshold=0.3, revival=weight)]
)
def test_dead_units_come_back_when_they_are_offered_the_residual(bottleneck):
    def dead(weight):
        model = composed(n_components=200, bottleneck=bottleneck(weight), architecture=Dense((), activation=None, unit_norm=True))
        return fit(model, loss="squared", corruption=None, batch_size=64, max_epochs=150).history_[-1]["dead"]

    assert dead(0.3) < 0.8 * dead(0.0)


@pytest.mark.law_of("dropout")
def test_dropout_silences_its_share_of_every_hidden_layer_while_training_and_none_outside():
    model = fit(preset("dropout", share=0.3), max_epochs=1)
    network, seen = model.network_, []
    both = network.architecture
    readers = [both.encoder[2], network.bottleneck.linear, both.decoder[2], both.head]  # of the four hidden layers
    for reader in readers:
        reader.register_forward_pre_hook(lambda module, inputs: seen.append(float((inputs[0] == 0).float().mean())))
    first, second = (step_of(model, torch.arange(256), epoch=epoch).output for epoch in (1, 2))
    assert seen == pytest.approx([0.3] * 8, abs=0.03)
    assert (first != second).any()
    seen.clear()
    data = model._rows(VECTORS).block(0, 256)
    torch.testing.assert_close(network(data), network(data), rtol=0, atol=0)
    assert seen == [0.0] * 8


@pytest.mark.law_of("dropout")
def test_dropped_units_and_connections_keep_the_mean():
    x, random = torch.ones(2000, 8), Random(0, "test", 0, torch.arange(2000))
    from isthmus.parts.layers import dropped, through_dropped

    assert dropped(x, 0.4, random).mean() == pytest.approx(1, abs=0.03)
    linear = torch.nn.Linear(8, 4000, bias=False)
    torch.nn.init.ones_(linear.weight)
    assert float(through_dropped(linear, x[:1], 0.4, random).detach().mean()) == pytest.approx(8, abs=0.2)


@pytest.mark.law_of("dropout")
@pytest.mark.parametrize(
    "part",
    [
        {"bottleneck": Plain(dropout=0.4)},
        {"architecture": Dense((16,), dropout=0.4, dropped="connections")},
        {"architecture": Conv((4,), dropout=0.4)},
    ],
    ids=repr,
)
def test_every_dropout_is_there_while_training_and_nowhere_else(part):
    model = fit(composed(corruption=None, **part), max_epochs=1)
    first, second, again = (step_of(model, range(64), epoch=epoch).output for epoch in (1, 2, 1))
    assert (first != second).any() and torch.equal(first, again)
    if "bottleneck" in part:
        assert float((step_of(model, range(256)).code.z == 0).float().mean()) == pytest.approx(0.4, abs=0.05)
    data = model._rows(data_for(model)).block(0, 64)
    torch.testing.assert_close(model.network_(data), model.network_(data), rtol=0, atol=0)


# -------------------------------------------------------------------------------------------------- drawn codes


RESTRICTED = [
    name for name, model in VARIANTS.items() if hasattr(part_of(model.bottleneck, BOTTLENECKS, "bottleneck"), "project")
]


@pytest.mark.law_of("sparse", "kl_sparse", "topk", "batch_topk", "jumprelu", "vq", "residual_vq", "fsq", "compression")
@pytest.mark.parametrize("name", [name for name in RESTRICTED if name != "residual_vq"])  # greedy: it may find a nearer sum
def test_codes_of_data_are_those_that_the_bottleneck_can_give_and_so_are_drawn_ones(name, after_20_steps):
    model = after_20_steps(name)
    X, project = data_for(model)[:16], model.network_.bottleneck.project
    codes = torch.as_tensor(model.encode(X)).to(model.dtype_)
    torch.testing.assert_close(project(codes).detach(), codes, rtol=1e-5, atol=1e-6)
    varied = varied_codes(model, X, 3, 0, 1.0)
    torch.testing.assert_close(project(varied).detach(), varied, rtol=1e-5, atol=1e-6)


def test_what_is_drawn_of_a_topk_code_has_at_most_k_units_and_of_a_codebook_its_entries():
    topk = fit(preset("topk", 40, k=3), max_epochs=2)
    topk.fit_prior("mixture", VECTORS)
    for codes in (drawn_codes(topk, 50, 0), varied_codes(topk, VECTORS[:5], 10, 0, 3.0)):
        assert int((codes != 0).sum(1).max()) <= 3 and float(codes.min()) >= 0
    vq = fit(preset("vq"), max_epochs=2)
    vq.fit_prior("mixture", VECTORS)
    vectors, entries = drawn_codes(vq, 50, 0).reshape(-1, 1, 2), vq.network_.bottleneck.codebook[0]
    assert float((vectors - entries).abs().amax(-1).amin(-1).max()) < 1e-6
    residual = fit(preset("residual_vq"), max_epochs=2)
    first, second = residual.network_.bottleneck.codebook
    sums = (first[:, None] + second).reshape(1, -1, 2)
    vectors = varied_codes(residual, VECTORS[:5], 10, 0, 3.0).reshape(-1, 1, 2)
    assert float((vectors - sums).abs().amax(-1).amin(-1).max()) < 1e-5


# -------------------------------------------------------------------------------------------------- quantised


@pytest.mark.law_of("fsq")
@pytest.mark.parametrize("levels", [(2,), (8, 6, 5), (3, 3)])
def test_finite_scalar_codes_come_back_from_their_indices(levels):
    part = FiniteScalar(levels)
    part.build((6,), 2 * len(levels))
    code = part(3 * torch.randn(500, 6))
    index = code.extra["index"]
    torch.testing.assert_close(part.from_index(index), code.z)
    assert index.min() >= 0 and index.max() < math.prod(levels)
    every = torch.arange(math.prod(levels)).repeat_interleave(2).view(-1, 2)
    assert len(part.from_index(every).unique(dim=0)) == math.prod(levels)


@pytest.mark.law_of("vq", "residual_vq")
@pytest.mark.parametrize("name", ["vq", "residual_vq", "quantised map"])
def test_vector_codes_come_back_from_their_indices(name, after_20_steps):
    model = after_20_steps(name)
    code = model._encoded(model._rows(data_for(model)).block(0, 50))
    torch.testing.assert_close(model.network_.bottleneck.from_index(code.extra["index"]), code.z, rtol=1e-4, atol=1e-5)


@pytest.mark.law_of("vq", "residual_vq")
@pytest.mark.parametrize("name", ["vq", "residual_vq"])
def test_every_codebook_gives_the_entry_nearest_to_what_those_before_left(name, after_20_steps):
    model = after_20_steps(name)
    bottleneck = model.network_.bottleneck
    code = model._encoded(model._rows(VECTORS).block(0, 100))
    left = code.extra["residuals"][0]
    for level, codebook in enumerate(bottleneck.codebook):
        distance = (left[..., None, :] - codebook).square().sum(-1)  # (batch, places, entries)
        torch.testing.assert_close(
            distance.gather(-1, code.extra["by_level"][level][..., None])[..., 0], distance.amin(-1), rtol=1e-4, atol=1e-5
        )
        left = left - codebook[distance.argmin(-1)]
    torch.testing.assert_close(code.cost, bottleneck.commitment * left.flatten(1).square().sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.law_of("vq", "residual_vq")
@pytest.mark.parametrize("name", ["vq", "residual_vq"])
def test_the_gradient_of_a_quantised_code_goes_to_what_was_quantised(name, after_20_steps):
    bottleneck, pull = after_20_steps(name).network_.bottleneck, torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    assert isinstance(bottleneck, VectorQuantized)
    vectors = torch.randn(20, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    linear, bottleneck.linear = bottleneck.linear, torch.nn.Identity()
    code = bottleneck(vectors)
    bottleneck.linear = linear
    assert (code.z != vectors).any()
    torch.testing.assert_close(torch.autograd.grad((code.z * pull).sum(), vectors, retain_graph=True)[0], pull)
    towards = 2 * bottleneck.commitment * (vectors - code.z).detach()  # of the cost: to the entry, which itself stays
    torch.testing.assert_close(torch.autograd.grad(code.cost.sum(), vectors)[0], towards, rtol=1e-4, atol=1e-5)


@pytest.mark.law_of("residual_vq")
def test_every_further_codebook_leaves_less(after_20_steps):
    model = after_20_steps("residual_vq")
    extra = model._encoded(model._rows(VECTORS).block(0, 256)).extra
    left = [float(residual.detach().square().sum()) for residual in extra["residuals"]]
    assert left[1] < 0.5 * left[0]


@pytest.mark.law_of("vq")
def test_unused_codebook_entries_revive():
    class Forget:
        """Puts half of the codebook where no code will ever be."""

        def on_epoch_end(self, network, record):
            if record["epoch"] == 1:
                bottleneck = network.bottleneck
                bottleneck.codebook[0, :8] = 1e3
                bottleneck.total[0, :8], bottleneck.count[0, :8] = 1e3, 1.0
                self.then = bottleneck.codebook[0, :8].clone()

    model = composed(bottleneck=VectorQuantized(16, dim=2), batch_size=16, max_epochs=30)
    model.fit(VECTORS, callbacks=[Forget()])
    assert model.network_.bottleneck.codebook.abs().max() < 100
    assert model.history_[-1]["perplexity"] > 8


# ------------------------------------------------------------------------------------------------- contractive


@pytest.mark.law_of("contractive")
@pytest.mark.parametrize("bottleneck", [Plain(), Plain("tanh"), Gaussian()], ids=repr)
@pytest.mark.parametrize(
    "architecture",
    [Dense((8,)), Dense((8, 6), activation="sigmoid", bypass=False), Dense((8,), activation="gelu"), Dense(())],
    ids=repr,
)
def test_the_contractive_norm_in_closed_form_is_autograds(architecture, bottleneck):
    model = composed(architecture=architecture, bottleneck=bottleneck, corruption=None, dtype="float64", max_epochs=1)
    for condition in (None, LABELS):
        source = step_of(model.fit(VECTORS, condition=condition), torch.arange(10)).source
        exact = dense_row_norms(model.network_, source)
        assert exact is not None
        rows = autograd_jacobian(model.network_, source)
        torch.testing.assert_close(exact, rows.flatten(2).square().sum(2), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("method", ["exact", "stochastic"])
def test_a_scaled_contractive_penalty_does_not_care_how_large_the_codes_are(method):
    model = fit(composed(architecture=Dense((8,)), corruption=None, dtype="float64"), max_epochs=1)
    penalty = Contractive(1.0, method, scaled=True)
    before = penalty(step_of(model, torch.arange(16))).detach()
    for parameter in model.network_.bottleneck.parameters():
        parameter.data *= 7
    torch.testing.assert_close(penalty(step_of(model, torch.arange(16))).detach(), before, rtol=1e-6, atol=0)


@pytest.mark.law_of("stochastic_contractive")
@pytest.mark.parametrize("name", ["contractive", "contractive convolution"])
def test_the_stochastic_estimate_is_unbiased(name, after_20_steps):
    model = after_20_steps(name)
    source = Data(model._rows(data_for(model)).block(3, 4).values.expand(4000, *model.schema_.shape))
    estimate = estimated_jacobian_norm(model.network_, source, Random(0, "test", 0, torch.arange(4000)))
    exact = jacobian_norm(model.network_, Data(source.values[:1])).detach()
    estimate = estimate.detach()
    assert abs(float(estimate.mean() - exact)) < 4 * float(estimate.std()) / math.sqrt(4000)


@pytest.mark.law_of("contractive")
def test_contraction_makes_codes_tremble_less():
    norms = []
    for weight in (0.0, 1.0):
        model = fit(composed(bottleneck=Plain("sigmoid"), penalties=Contractive(weight)), max_epochs=30)
        norms.append(float(jacobian_norm(model.network_, Data(torch.tensor(VECTORS, dtype=torch.float32))).detach().mean()))
    assert norms[1] < 0.5 * norms[0]


# ------------------------------------------------------------------------------------------- codes as a whole


@pytest.mark.law_of("info")
def test_mmd_is_nought_for_equal_and_large_for_distant_distributions():
    a, b = torch.randn(2, 1000, 5, generator=torch.Generator().manual_seed(0))
    from isthmus.parts.penalties import mmd

    assert abs(float(mmd(a, b))) < 0.02 < 0.5 < float(mmd(a, b + 3))


@pytest.mark.law_of("beta_tc")
@pytest.mark.parametrize("covariance", [0.0, 0.5, 0.8])
def test_total_correlation_of_gaussians_is_that_of_their_sum_in_closed_form(covariance):
    """Means from N(0, C) and posteriors N(mean, I / 2) make q(z) = N(0, C + I / 2), whose total correlation is known."""
    random, variance, found = torch.Generator().manual_seed(0), 0.5, []
    root = torch.linalg.cholesky(torch.tensor([[1.0, covariance], [covariance, 1.0]]))
    for _ in range(40):
        mean, eps = (torch.randn(256, 2, generator=random) for _ in range(2))
        mean = mean @ root.T
        code = Code(mean + variance**0.5 * eps, extra={"mean": mean, "logvar": torch.full_like(mean, math.log(variance))})
        found.append(float(TotalCorrelation(1.0)(type("step", (), {"code": code}))))
    expected = -0.5 * math.log(1 - (covariance / (1 + variance)) ** 2)
    assert np.mean(found) == pytest.approx(expected, abs=0.02)


@pytest.mark.law_of("beta_tc")
def test_total_correlation_reads_posteriors_that_do_not_meet_as_the_docstring_says():
    mean = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    code = Code(mean, extra={"mean": mean, "logvar": torch.full_like(mean, -30.0)})
    assert float(TotalCorrelation(1.0)(type("step", (), {"code": code}))) == pytest.approx(2 * math.log(64), rel=1e-4)


@pytest.mark.law_of("info", "adversarial")
@pytest.mark.parametrize("name", ["info", "adversarial"])
def test_codes_are_held_to_the_normal(name):
    settings = {"weight": 100.0} if name == "info" else {}
    held = fit(preset(name, 2, **settings), batch_size=64, max_epochs=100).transform(VECTORS)
    free = fit(preset("dense", 2), batch_size=64, max_epochs=100).transform(VECTORS)
    drawn = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    from isthmus.parts.penalties import mmd

    assert float(mmd(torch.tensor(held).float(), drawn)) < 0.2 * float(mmd(torch.tensor(free).float(), drawn).clamp_min(0.05))


@pytest.mark.law_of("regularised")
def test_the_price_of_a_code_is_half_its_squared_length_and_a_higher_one_makes_codes_shorter():
    lengths = []
    for weight in (0.0, 0.1, 1.0):
        step = step_of(fit(preset("regularised", weight=weight), max_epochs=8, batch_size=32), torch.arange(256))
        squared = step.code.z.square().sum(1)
        torch.testing.assert_close(step.network.objective(step)["codenorm"], weight * squared / 2)
        lengths.append(float(squared.detach().mean()))
    assert lengths[2] < 0.5 * lengths[1] < 0.25 * lengths[0]


# ------------------------------------------------------------------------------------------------- variational


@pytest.mark.law_of("variational", "beta")
def test_kl_of_known_gaussians():
    mean, logvar = torch.randn(2, 50, 3, dtype=torch.float64)
    q = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros_like(mean), 1.0))
    torch.testing.assert_close(kl_to_normal(mean, logvar), expected)


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_rate_distortion_is_the_sum_with_the_loss_at_its_price(slope):
    model = fit("variational", max_epochs=2)
    summed, priced = (part(step_of(model, torch.arange(20))) for part in (Sum(), RateDistortion(slope)))
    torch.testing.assert_close(priced, {"distortion": slope * summed["loss"], "rate": summed["cost"]})


@pytest.mark.law_of("importance_weighted")
def test_importance_weighting_with_one_draw_is_the_plain_bound_with_sampled_cost():
    model = fit("variational", max_epochs=2, dtype="float64")
    step = step_of(model, torch.arange(20))
    step.network.double()
    z, bottleneck = step.code.z, step.network.bottleneck
    plain = step.loss + bottleneck.log_posterior(step.code, z) - step.network.log_prior(z)
    torch.testing.assert_close(ImportanceWeighted(1)(step)["bound"], plain, rtol=1e-6, atol=1e-6)


@pytest.mark.law_of("importance_weighted")
def test_a_prior_that_is_fitted_afterwards_does_not_change_the_training():
    histories = [fit(preset("importance_weighted", prior=prior), max_epochs=2).history_ for prior in (None, Mixture(3))]
    assert [record["bound"] for record in histories[0]] == [record["bound"] for record in histories[1]]


@pytest.mark.law_of("importance_weighted")
def test_every_draw_is_decoded_with_the_same_units_dropped(monkeypatch):
    model = fit(composed(bottleneck="gaussian", architecture=Dense((16,), dropout=0.5)), max_epochs=1)
    monkeypatch.setattr(Gaussian, "draw", lambda self, code, random: code.extra["mean"])
    one, several = (ImportanceWeighted(draws)(step_of(model, torch.arange(20)))["bound"] for draws in (1, 4))
    torch.testing.assert_close(one, several)


@pytest.mark.law_of("importance_weighted")
def test_the_bound_does_not_fall_with_more_draws():
    model = fit("variational", max_epochs=10)
    bounds = []
    for draws in (1, 4, 16, 64):
        steps = [step_of(model, torch.arange(256), epoch=epoch) for epoch in range(8)]
        bounds.append(-np.mean([ImportanceWeighted(draws)(step)["bound"].detach().mean().item() for step in steps]))
    assert bounds == sorted(bounds) and bounds[-1] > bounds[0] + 0.05


def linear_gaussian(scale: float, exact_posterior: bool):
    """A model whose likelihood is known: x = W z + b + scale * eps, with orthogonal columns, so the posterior is diagonal."""
    d, k = 6, 2
    X = np.random.default_rng(0).normal(size=(20, d))
    model = Autoencoder(
        k, architecture=Dense((), activation=None), bottleneck=Gaussian(), loss=Squared(scale=scale), scale="none",
        dtype="float64", max_epochs=1, corruption=None, random_state=0,
    ).fit(X)  # fmt: skip
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(d, k)))[0] * [1.5, 0.7]
    b = np.linspace(-0.3, 0.3, d)
    variance = scale**2 / (np.square(W).sum(0) + scale**2)  # of the posterior, for each component
    encoder = (variance / scale**2)[:, None] * W.T
    network = model.network_
    widen = 1.0 if exact_posterior else 1.5
    with torch.no_grad():
        for linear, weight, bias in (
            (network.architecture.head[1], W, b),
            (network.bottleneck.mean[1], encoder, -encoder @ b),
            (network.bottleneck.logvar[1], np.zeros((k, d)), np.log(widen * variance)),
        ):
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
    return model, X, multivariate_normal(b, W @ W.T + scale**2 * np.eye(d)).logpdf(X)


@pytest.mark.law_of("variational")
@pytest.mark.parametrize("draws", [1, 7])
def test_the_likelihood_is_exact_for_any_number_of_draws_from_the_exact_posterior(draws):
    model, X, expected = linear_gaussian(0.8, exact_posterior=True)
    np.testing.assert_allclose(model.log_likelihood(X, draws, random_state=0), expected, atol=1e-9)


@pytest.mark.law_of("variational")
def test_the_likelihood_is_within_three_standard_errors_for_another_posterior():
    model, X, expected = linear_gaussian(0.8, exact_posterior=False)
    shares = np.exp([model.log_likelihood(X, 250, random_state=seed) for seed in range(20)] - expected)  # of 5,000 draws in all
    assert (np.abs(shares.mean(0) - 1) <= 3 * shares.std(0, ddof=1) / np.sqrt(20)).all()
    assert np.abs(np.log(shares.mean(0))).max() < 0.05


@pytest.mark.law_of("variational")
def test_the_posterior_is_that_of_bayes_where_it_is_known_and_history_tells_its_kl():
    model, X, _ = linear_gaussian(0.8, exact_posterior=True)
    W, b = (
        np.asarray(x.detach()) for x in (model.network_.architecture.head[1].weight, model.network_.architecture.head[1].bias)
    )
    covariance = np.linalg.inv(np.eye(2) + W.T @ W / 0.8**2)
    mean, std = model.posterior(X)
    np.testing.assert_allclose(mean, (X - b) @ W @ covariance / 0.8**2, atol=1e-9)
    np.testing.assert_allclose(std, np.broadcast_to(np.sqrt(np.diag(covariance)), (20, 2)), rtol=1e-9)
    bottleneck = model.network_.bottleneck
    bottleneck.health()
    bottleneck.after(step_of_rows(model, X))
    kl = (0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1)).mean(0)
    health = bottleneck.health()
    assert health["kl_components"] == pytest.approx(kl) and health["kl"] == pytest.approx(kl.sum())
    assert health["active_units"] == (kl > 0.01).sum() == 2


def step_of_rows(model: Autoencoder, X) -> Step:
    """One step of training on all of `X`."""
    data, index = model._rows(X).take(torch.arange(len(X))), torch.arange(len(X))
    return Step(model.network_, Batch(data, data), Random(0, "step", 1, index))


def trained_linear_vae(X, k: int, scale, beta=1.0) -> Autoencoder:
    return Autoencoder(
        k, architecture=Dense((), activation=None), bottleneck=Gaussian(beta), loss=Squared(scale=scale), scale="none",
        dtype="float64", corruption=None, batch_size=len(X), max_epochs=3000, learning_rate=0.02,
        random_state=0, training=Training("adam", schedule="linear", betas=(0.9, 0.99)),
    ).fit(X)  # fmt: skip


@pytest.mark.law_of("variational", "beta")
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_a_linear_variational_decoder_spans_the_leading_axes_with_the_lengths_that_theory_says(beta, stretched):
    scale = 0.8
    model = trained_linear_vae(stretched, 3, scale, beta)
    W = model.network_.architecture.head[1].weight.detach().numpy()
    pca = PCA(3).fit(stretched)
    eigenvalues = pca.explained_variance_ * (799 / 800)
    lengths = np.sqrt(np.maximum(eigenvalues - beta * scale**2, 0))  # Lucas et al. 2019, "Don't blame the ELBO"
    np.testing.assert_allclose(np.sort(np.linalg.norm(W, axis=0))[::-1], lengths, atol=0.02 * lengths[0])
    outside = W - pca.components_.T @ (pca.components_ @ W)
    assert np.linalg.norm(outside) < 0.02 * np.linalg.norm(W)


@pytest.mark.law_of("variational")
def test_a_linear_variational_model_reaches_probabilistic_pca(stretched):
    model = trained_linear_vae(stretched, 3, "learnt")
    expected = PCA(3).fit(stretched).score(stretched)  # mean log likelihood of probabilistic PCA (Tipping & Bishop 1999)
    assert model.log_likelihood(stretched, 200, random_state=0).mean() == pytest.approx(expected, abs=6 * 1e-3)


@pytest.mark.law_of("vamp")
@pytest.mark.parametrize("components", [1, 3])
def test_a_vamp_prior_is_the_mixture_of_the_posteriors_of_its_inputs(components):
    model = fit(composed(bottleneck="gaussian", prior=Vamp(components)), max_epochs=1)
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = model.network_.encode(Data(model.network_.prior.inputs)).extra
        each = torch.distributions.Normal(seen["mean"], (0.5 * seen["logvar"]).exp())
        even = torch.distributions.Categorical(torch.ones(components))
        expected = torch.distributions.MixtureSameFamily(even, torch.distributions.Independent(each, 1)).log_prob(z)
        torch.testing.assert_close(model.network_.prior.log_prob(z, model.network_), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.law_of("vamp")
def test_a_vamp_prior_draws_from_each_of_its_posteriors_evenly():
    model = fit(composed(bottleneck="gaussian", prior=Vamp(3)), max_epochs=2)
    with torch.no_grad():
        seen = model.network_.encode(Data(model.network_.prior.inputs)).extra
        drawn = model.network_.prior.sample(Random(0, "sample", 0, torch.arange(20000)), model.network_)
    mean, variance = seen["mean"], seen["logvar"].exp()
    torch.testing.assert_close(drawn.mean(0), mean.mean(0), rtol=0, atol=0.05)
    expected = torch.cov(mean.T, correction=0) + torch.diag(variance.mean(0))
    torch.testing.assert_close(torch.cov(drawn.T), expected, rtol=0, atol=0.05 * float(expected.diagonal().max()))


@pytest.mark.law_of("vamp")
def test_the_kl_in_the_history_is_against_the_prior_that_the_code_pays_for():
    for beta in (1.0, 2.0):
        for record in fit(preset("vamp", beta=beta), max_epochs=3).history_:
            assert record["cost"] == pytest.approx(beta * record["kl"], rel=1e-4)


# ---------------------------------------------------------------------------------------------------- sampling


@pytest.mark.law_of("variational", "info", "adversarial", "vamp", "conditional", "regularised")
@pytest.mark.parametrize(
    "name", ["variational", "info", "adversarial", "vamp", "regularised", "mixture", "autoregressive", "conditional"]
)
def test_samples_are_new_seeded_and_in_the_form_of_the_data(name, after_20_steps):
    model = after_20_steps(name)
    label = {"condition": 3} if name == "conditional" else {}
    new = model.sample(5, random_state=0, **label)
    assert new.shape == (5, 64) and np.isfinite(new).all() and len(np.unique(new.round(6), axis=0)) > 1
    np.testing.assert_array_equal(new[:3], model.sample(3, random_state=0, **label))
    assert (new != model.sample(5, random_state=1, **label)).any()


@pytest.mark.law_of("regularised")
def test_a_mixture_draws_what_it_was_fitted_to():
    codes = np.concatenate([np.random.default_rng(0).normal(m, 0.1, (500, 2)) for m in (-3, 3)])
    prior = Mixture(2)
    prior.build(type("network", (), {"code_shape": (2,)}))
    prior.fit(torch.tensor(codes, dtype=torch.float32))
    drawn = prior.sample(Random(0, "sample", 0, torch.arange(4000)), None).numpy()
    assert abs(np.mean(drawn[:, 0] > 0) - 0.5) < 0.05
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.1)
    from sklearn.mixture import GaussianMixture

    expected = GaussianMixture(2, random_state=0, reg_covar=1e-5).fit(codes).score_samples(codes[:50])
    np.testing.assert_allclose(prior.log_prob(torch.tensor(codes[:50], dtype=torch.float32), None), expected, atol=1e-2)


def test_an_autoregressive_prior_draws_what_it_was_fitted_to_and_never_sees_what_it_predicts():
    """Sequences that begin with 0 or 1 and count on: log 2 nats each, and fewer only by looking ahead."""

    class Indices:
        index_shape, entries = (5,), 4
        from_index = staticmethod(lambda index: index)

    torch.manual_seed(0)
    prior = Autoregressive(32, epochs=30)
    prior.build(type("network", (), {"code_shape": (5,), "bottleneck": Indices}))
    index = (torch.arange(2000) % 2)[:, None] + torch.arange(5)
    prior.fit(index % 4)
    assert float(prior.nats(index % 4).detach().mean()) == pytest.approx(math.log(2), abs=0.05)
    drawn = prior.sample(Random(0, "sample", 0, torch.arange(2000)), type("network", (), {"bottleneck": Indices}))
    assert (drawn.diff(dim=1) % 4 == 1).float().mean() > 0.98
    assert float((drawn[:, 0] == 0).float().mean()) == pytest.approx(0.5, abs=0.05) and (drawn[:, 0] < 2).float().mean() > 0.98


@pytest.mark.parametrize("prior", ["mixture", Mixture(3)], ids=repr)
def test_a_prior_can_be_fitted_after_the_fact_and_is_saved(prior, after_20_steps, tmp_path):
    model = fit("dense", max_epochs=2)
    with pytest.raises(ValueError, match=r"no prior.*fit_prior"):
        model.sample(2)
    new = model.fit_prior(prior, VECTORS).sample(4, random_state=0)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").sample(4, random_state=0), new)


def test_a_prior_fitted_after_the_fact_follows_the_models_seed_and_leaves_torchs_generator_alone(after_20_steps):
    model, drawn = clone(after_20_steps("vq")).set_params(max_epochs=1).fit(VECTORS), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        drawn.append(model.fit_prior(Autoregressive(8, epochs=1), VECTORS).sample(20, random_state=0))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*drawn)


@pytest.mark.law_of("vamp", "regularised")
def test_a_prior_made_of_posteriors_asks_for_the_encoder_and_others_do_not(after_20_steps, tmp_path):
    for name in ("vamp", "regularised"):
        after_20_steps(name).save(tmp_path / name)
    with pytest.raises(ValueError, match="needs the encoder"):
        load(tmp_path / "vamp", only="decoder").sample(2)
    assert load(tmp_path / "regularised", only="decoder").sample(2).shape == (2, 64)


@pytest.mark.law_of("variational")
def test_variations_lie_around_what_they_vary(after_20_steps):
    model = fit("variational", max_epochs=20)
    near = model.sample(3, like=VECTORS[:2], spread=1e-6, random_state=0)
    np.testing.assert_allclose(near, model.reconstruct(VECTORS[:2]).repeat(3, 0), atol=1e-4)
    far = model.sample(3, like=VECTORS[:2], random_state=0)
    assert len(np.unique(far.round(6), axis=0)) == 6


@pytest.mark.law_of("dense", "info", "regularised", "vq")
@pytest.mark.parametrize("name", ["dense", "info", "regularised", "vq", "sparse map"])
def test_variations_of_a_sample_do_not_depend_on_its_company_and_outlive_saving(name, after_20_steps, tmp_path):
    model = after_20_steps(name)
    X = data_for(model)
    wide = {"spread": 4.0 if name == "vq" else 1.0, "random_state": 0}  # from one of eight entries to others
    alone = model.sample(4, like=X[:1], **wide)
    assert len(np.unique(alone.reshape(4, -1).round(6), axis=0)) == 4
    np.testing.assert_array_equal(alone, model.sample(4, like=X[:3], **wide)[:4])
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(alone, load(tmp_path / "model").sample(4, like=X[:1], **wide))


def test_variations_are_a_tenth_as_wide_as_the_training_codes_or_as_the_normal_they_are_held_to(after_20_steps):
    for name, expected in (("dense", after_20_steps("dense").transform(VECTORS).std(0)), ("info", np.ones(4))):
        model = after_20_steps(name)
        codes = varied_codes(model, VECTORS[:1], 4000, 0, 1.0).numpy()
        np.testing.assert_allclose(codes.std(0), 0.1 * expected, rtol=0.05)


@pytest.mark.law_of("dense", "variational")
@pytest.mark.parametrize("name", ["dense", "variational"])
def test_interpolation_begins_and_ends_at_the_samples(name, after_20_steps):
    model = after_20_steps(name)
    way = model.interpolate(VECTORS[0], VECTORS[1], steps=5)
    np.testing.assert_allclose(way[[0, -1]], model.reconstruct(VECTORS[:2]), atol=1e-5)


@pytest.mark.parametrize("name, spherical", [("dense", False), ("variational", True)])
def test_only_codes_with_a_posterior_go_along_a_great_circle(name, spherical, after_20_steps):
    model = after_20_steps(name)
    a, b = torch.from_numpy(model.transform(VECTORS[:2]))
    ways = {bent: model.inverse_transform(between(a, b, 5, bent).numpy()) for bent in (True, False)}
    way = model.interpolate(VECTORS[0], VECTORS[1], steps=5)
    np.testing.assert_allclose(way, ways[spherical], atol=1e-6)
    assert np.abs(way - ways[not spherical]).max() > 1e-3


def test_a_spherical_way_keeps_the_length_where_a_straight_one_cuts_the_corner():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    torch.testing.assert_close(between(a, b, 7, spherical=True).norm(dim=1), torch.full((7,), 3.0))
    assert between(a, b, 7, spherical=False).norm(dim=1).min() < 2.2


@pytest.mark.law_of("variational")
def test_an_attributes_direction_moves_samples_towards_it():
    model = fit("variational", max_epochs=40)
    has = LABELS == 0
    step = model.attribute_direction(VECTORS, has)
    moved = model.inverse_transform(model.transform(VECTORS[~has]) + step)
    to = VECTORS[has].mean(0)
    assert np.square(moved - to).sum(1).mean() < np.square(model.reconstruct(VECTORS[~has]) - to).sum(1).mean()


@pytest.mark.law_of("conditional")
def test_a_condition_tells_the_decoder_what_to_draw():
    model = preset("conditional", 2, max_epochs=60, batch_size=32).fit(VECTORS, condition=LABELS)
    for digit in (0, 1, 4):
        new = model.sample(50, condition=digit, random_state=0).mean(0)
        nearest = np.square(np.stack([VECTORS[d == LABELS].mean(0) for d in range(10)]) - new).sum(1).argmin()
        assert nearest == digit
    words = preset("conditional", 2, max_epochs=1).fit(VECTORS, condition=np.array([f"digit {d}" for d in LABELS]))
    assert words.sample(2, condition="digit 3").shape == (2, 64)
    numbers = preset("conditional", 2, max_epochs=1).fit(VECTORS, condition=np.eye(10)[LABELS])
    assert numbers.reconstruct(VECTORS[:3], condition=np.eye(10)[LABELS[:3]]).shape == (3, 64)


# --------------------------------------------------------------------------------------------- codes as maps


@pytest.mark.law_of("convolutional")
def test_a_shifted_code_map_is_decoded_to_a_shifted_picture():
    model = fit(composed(n_components=None, architecture=Conv((2,)), kind="images"), max_epochs=1)
    codes = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    codes[:, [0, -1]] = codes[:, :, [0, -1]] = 0  # room to move
    decode = lambda z: model.decode(torch.from_numpy(z)).detach().numpy()  # noqa: E731
    moved = decode(np.roll(codes, 1, axis=2))
    np.testing.assert_allclose(moved[:, 2:-2, 4:-2], decode(codes)[:, 2:-2, 2:-4], atol=1e-5)


@pytest.mark.law_of("convolutional")
def test_a_mirrored_code_map_is_decoded_to_the_mirror_of_what_mirrored_kernels_decode():
    model = fit(composed(n_components=None, architecture=Conv((2,), up="upsample"), kind="images"), max_epochs=1)
    codes = torch.randn(3, 4, 4, 2)
    mirrored = model.decode(codes.flip(2))
    with torch.no_grad():
        for layer in model.network_.architecture.decoder:
            layer.weight.copy_(layer.weight.flip(-1))
    torch.testing.assert_close(mirrored, model.decode(codes).flip(2), atol=1e-5, rtol=1e-5)


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_code_map_is_decoded_to_the_turned_picture_of_what_kernels_turned_back_decode(quarters):
    model = fit(composed(n_components=None, architecture=Conv((2,), up="upsample"), kind="images"), max_epochs=1)
    codes = torch.randn(3, 4, 4, 2)
    turned = model.decode(codes.rot90(quarters, (1, 2)))
    with torch.no_grad():
        for layer in model.network_.architecture.decoder:
            layer.weight.copy_(layer.weight.rot90(-quarters, (-2, -1)))
    torch.testing.assert_close(turned, model.decode(codes).rot90(quarters, (1, 2)), atol=1e-5, rtol=1e-5)


@pytest.mark.law_of("dense")
def test_a_network_learns_to_mirror_from_mirrored_targets():
    pictures = PICTURES / 15.0
    model = Autoencoder(16, kind="images", architecture="dense", corruption=None, random_state=0, max_epochs=80, batch_size=32)
    model.fit(pictures, target=pictures[:, :, ::-1].copy())
    left = np.square(model.reconstruct(pictures) - pictures[:, :, ::-1]).mean()
    assert left < 0.25 * np.square(pictures - pictures[:, :, ::-1]).mean()


# ------------------------------------------------------------------------------------------------------ refused

REFUSED = {
    "TopK with k above n_components": ({"bottleneck": TopK(5)}, "k=5.*of 4 units.*Set k"),
    "BatchTopK with k above n_components": ({"bottleneck": BatchTopK(5)}, r"BatchTopK\(k=5\).*of 4 units.*Set k"),
    "JumpReLU with l0 above n_components": ({"bottleneck": JumpReLU(l0=5)}, r"JumpReLU\(l0=5\).*of 4 units.*Set l0"),
    "TopK of a map": ({"bottleneck": TopK(2), "n_components": None}, "n_components=None.*Set n_components"),
    "a Gaussian map": ({"bottleneck": "gaussian", "n_components": None}, "n_components=None.*Set n_components"),
    "codes that do not divide": ({"bottleneck": VectorQuantized(8, dim=3)}, "n_components=4 is no multiple.*Set .* to 3"),
    "one level": ({"bottleneck": FiniteScalar((1, 4))}, "levels"),
    "a grid too large to count": ({"bottleneck": FiniteScalar((1000,) * 4)}, "1,000,000,000,000 entries"),
    "a grid of nothing": ({"bottleneck": FiniteScalar(())}, "0 entries"),
    "a normal prior on codes that nothing holds to it": ({"prior": "normal"}, "holds this model's codes.*prior='mixture'"),
    "a normal prior on sparse codes": ({"prior": "normal", "bottleneck": TopK(2)}, "holds this model's codes.*prior='mixture'"),
    "importance weights that warm up": (
        {"bottleneck": Gaussian(warmup=5), "objective": "importance_weighted"}, "cannot warm up.*Leave warmup at 0"),
    "sparsity of a recurrent network": (
        {"penalties": "sparsity", "architecture": Recurrent(8), "kind": "sequences"}, "has 0 hidden.*Recurrent layers have"),
    "total correlation without a posterior": ({"penalties": TotalCorrelation()}, r"needs a posterior.*Use Gaussian\(\)"),
    "importance weights with beta 4": ({"bottleneck": Gaussian(4), "objective": "importance_weighted"}, r"Gaussian\(beta=1\)"),
    "importance weights without a posterior": ({"objective": "importance_weighted"}, r"Gaussian\(beta=1\)"),
    "rate-distortion with beta 4": (
        {"bottleneck": Gaussian(4), "objective": RateDistortion(2.0)}, r"needs beta=1, not Gaussian\(beta=4\).*another slope"),
    "rate-distortion without a rate": ({"objective": "rate_distortion"}, r"bottleneck=Gaussian\(\)"),
    "a posterior with a loss that is no likelihood": (
        {"bottleneck": "gaussian", "loss": lambda output, target: (output - target).square().sum(1)}, "must be a likelihood"),
    "SSIM of vectors": ({"loss": "ssim"}, "compares pictures.*kind='images'.*loss='squared'"),
    "SSIM where a code has a cost": (
        {"loss": "ssim", "bottleneck": "gaussian", "architecture": Conv((4,))}, r"must be a likelihood.*'bernoulli'.*SSIM\(\)"),
    "SSIM with importance weights": (
        {"loss": "ssim", "bottleneck": "gaussian", "objective": "importance_weighted", "architecture": Conv((4,))},
        r"must be a likelihood.*'bernoulli'.*SSIM\(\)"),
    "SSIM with a rate": (
        {"loss": "ssim", "bottleneck": "gaussian", "objective": "rate_distortion", "architecture": Conv((4,))},
        r"must be a likelihood.*'bernoulli'.*SSIM\(\)"),
    "a vamp prior without a posterior": ({"prior": "vamp"}, r"has none. Use Gaussian\(\)"),
    "an autoregressive prior without indices": ({"prior": "autoregressive"}, "makes none. Use VectorQuantized"),
    "a prior with side paths": (
        {"prior": "mixture", "architecture": Conv((4,), down="pool", up="unpool")}, "Leave prior away.*up='transpose'"),
    "shares of what is no share": (
        {"penalties": Sparsity(kind="kl")}, r"share in \(0, 1\).*hidden layer -1 ends in SiLU.*Use Dense\(activation='sigmoid'"),
    "colouring pictures of one channel": (
        {"corruption": "gray", "architecture": Conv((4,))}, r"takes the colour away.*1 channel\(s\). Give RGB"),
    "colouring vectors": ({"corruption": "gray"}, r"damages pictures.*kind='images'"),
    "shares of what is no share, in modules": (
        {"penalties": Sparsity(0, "kl"), "architecture": Modules(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU()), torch.nn.Linear(4, 64))},
        r"share in \(0, 1\).*hidden layer 0 ends in ReLU.*nn.Sigmoid\(\)"),
    "a hidden layer that is not there": ({"penalties": Sparsity(5)}, r"Sparsity\(layer=5\).*has 2 hidden.*Set layer"),
    "a hidden layer of a linear network": (
        {"penalties": Sparsity(), "architecture": Dense(())}, r"Sparsity\(layer=-1\).*has 0 hidden.*Dense\(hidden="),
    "a dropout too many": ({"architecture": Dense((8,), dropout=(0.1, 0.2))}, "each of the 1 hidden layers"),
    "an unknown penalty": ({"penalties": "smoothness"}, "penalty='smoothness' is not known.*'contractive'"),
    "an unknown prior": ({"prior": "flat"}, "prior='flat' is not known.*'normal'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_before_training(case, monkeypatch):
    settings, message = REFUSED[case]
    monkeypatch.setattr(estimator, "train", lambda *_: pytest.fail("was trained"))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model = composed(**settings)
        model.fit(data_for(model))


# Of every constructor parameter of every part, values that are out of its range.
NAN, INF = math.nan, math.inf
NO_NUMBER = [NAN, INF, "much", None, True, {}]
NO_WHOLE = [*NO_NUMBER, 1.5]
NEGATIVE, NO_SHARE = [-1, *NO_NUMBER], [-0.1, 1.0, *NO_NUMBER]
NOT_POSITIVE, NO_COUNT = [0, *NEGATIVE], [0, -1, *NO_WHOLE]
NO_ACTIVATION, NO_FLAG, NO_NAME = ["swish", 1, []], ["yes", 1, None], ["none", 1, None, []]
NO_WIDTHS = [0, 1.5, "wide", None, True, (8, 0), (8, "a")]
CODEBOOK = {
    "codebook_size": [1, *NO_COUNT],
    "dim": [0, -1, 1.5, "all", True],
    "commitment": NEGATIVE,
    "decay": NO_SHARE,
    "least_use": NO_SHARE,
}
OUT_OF_RANGE = {
    "architecture": {
        Dense: {
            "hidden": NO_WIDTHS, "layers": NO_COUNT, "activation": NO_ACTIVATION, "bypass": NO_FLAG,
            "dropout": [*NO_SHARE, (0.1, 1.0)], "dropped": NO_NAME, "unit_norm": NO_FLAG,
        },
        Conv: {
            "channels": [*NO_WIDTHS, ()], "kernel": [2, *NO_COUNT], "down": NO_NAME, "up": NO_NAME, "activation": NO_ACTIVATION,
            "dropout": NO_SHARE,
        },
        Recurrent: {
            "units": NO_COUNT, "layers": NO_COUNT, "cell": NO_NAME, "bidirectional": NO_FLAG, "reverse": NO_FLAG,
            "teacher_forcing": NO_FLAG, "dropout": NO_SHARE,
        },
        Transformer: {
            "width": NO_COUNT, "layers": NO_COUNT, "heads": NO_COUNT, "patch": NO_WIDTHS, "places": NO_NAME,
            "queries": [-1, 0.5, "few", True], "dropout": NO_SHARE,
        },
        Local: {
            "channels": NO_COUNT, "kernel": [2, *NO_COUNT], "layers": NO_COUNT, "stride": NO_COUNT, "numbers": NO_COUNT,
            "activation": NO_ACTIVATION,
        },
        Lapped: {
            "width": NO_COUNT, "block": [1, *NO_COUNT], "layers": [2, (2,), (1, 2, 3), (1, -1), (1, 0.5)], "hidden": NO_COUNT,
            "activation": NO_ACTIVATION,
        },
        Translator: {
            "channels": [*NO_WIDTHS, ()], "hidden": NO_COUNT, "blocks": NO_COUNT, "kernel": [2, *NO_COUNT], "skips": NO_FLAG,
            "activation": [*NO_ACTIVATION, None],
        },
        Composite: {"units": NO_COUNT, "layers": NO_COUNT, "cell": NO_NAME},
        UNet: {
            "channels": [*NO_WIDTHS, ()], "blocks": NO_COUNT, "unshuffle": NO_COUNT, "residual": NO_FLAG, "gated": NO_FLAG,
            "reads_gaps": NO_FLAG, "activation": NO_ACTIVATION,
        },
        Modules: {"encoder": [None, 1, torch.nn.Linear], "decoder": [None, 1, torch.nn.Linear]},
    },
    "bottleneck": {
        Plain: {"activation": NO_ACTIVATION, "dropout": NO_SHARE},
        L1: {"weight": NEGATIVE, "activation": NO_ACTIVATION},
        KLSparse: {"target": [0, *NO_SHARE], "weight": NEGATIVE},
        TopK: {"k": [5, *NO_COUNT], "spare": NO_COUNT, "weight": NEGATIVE},
        BatchTopK: {"k": [5, *NO_COUNT], "spare": NO_COUNT, "weight": NEGATIVE, "decay": NO_SHARE},
        JumpReLU: {
            "weight": NEGATIVE, "l0": [0, -1, 5, NAN, INF, "few", True], "threshold": NOT_POSITIVE, "bandwidth": NOT_POSITIVE,
            "spare": NO_COUNT, "revival": NEGATIVE,
        },
        Gaussian: {"beta": NEGATIVE, "warmup": [-1, *NO_WHOLE]},
        VectorQuantized: CODEBOOK,
        ResidualQuantized: CODEBOOK | {"levels": NO_COUNT},
        FiniteScalar: {"levels": [1, (), (8, 1), *NO_WHOLE, (1000,) * 4]},
        Rounded: {"beta": NEGATIVE, "step": NOT_POSITIVE, "mixture": NO_COUNT},
    },
    "corruption": {
        Noise: {
            "std": NEGATIVE, "least": [0.5, -1, NAN, INF, "few", True], "low": [NAN, INF, "dark", True],
            "high": [NAN, INF, "bright", True], "relative": NO_FLAG,
        },
        Scratches: {
            "least": [4, -1, 0.5, "few", True], "most": NO_COUNT, "width": [0, 1, *NO_SHARE], "low": NO_NUMBER, "high": NO_NUMBER,
        },
        SaltPepper: {"share": NO_SHARE, "low": NO_NUMBER, "high": NO_NUMBER},
        Mask: {"share": NO_SHARE},
        Drop: {"share": NO_SHARE},
        MaskPatches: {"share": NO_SHARE, "patch": NO_WIDTHS},
        Swap: {"share": NO_SHARE, "pool": NO_COUNT},
        Holes: {"count": NO_COUNT, "size": [0, *NO_SHARE], "fill": NO_NUMBER, "told": NO_FLAG},
        BlindSpot: {"share": [0, *NO_SHARE], "radius": NO_COUNT},
        Blur: {"least": [3.0, *NOT_POSITIVE], "most": [0.1, *NOT_POSITIVE]},
        Gray: {},
        Downscale: {"factor": [1, *NOT_POSITIVE]},
        Warp: {"turn": [181, *NEGATIVE], "shift": NO_SHARE, "zoom": NO_SHARE, "shear": NO_SHARE},
        JPEG: {"least": [96, *NO_COUNT], "most": [96, *NO_COUNT]},
        Watermark: {
            "text": ["", " ", 1, None], "size": [0, 1.5, *NEGATIVE], "least": [1.5, *NEGATIVE], "most": [1.5, *NEGATIVE],
            "colour": NO_NUMBER,
        },
        Logos: {
            "folder": [1, None, []], "count": NO_COUNT, "smallest": [97.0, *NOT_POSITIVE], "largest": [31.0, *NOT_POSITIVE],
            "least": [0.8, 1.5, *NEGATIVE], "most": [0.2, 1.5, *NEGATIVE],
        },
    },
    "loss": {
        Squared: {"bounded": NO_FLAG, "scale": NOT_POSITIVE},
        Absolute: {"scale": NOT_POSITIVE},
        Bernoulli: {},
        Pinball: {"quantiles": [0, 1, (0.5, 1.0), *NO_NUMBER]},
        SSIM: {"window": [1, 4, *NO_COUNT]},
        Pixels: {
            "levels": [1, 257, *NO_COUNT], "reach": [8, -1, *NO_WHOLE], "maps": [-1, *NO_WHOLE], "hidden": NO_COUNT,
            "components": NO_COUNT,
        },
        Custom: {"function": [None, 1, "squared"]},
    },
    "penalties": {
        Contractive: {"weight": NEGATIVE, "method": NO_NAME, "scaled": NO_FLAG},
        Sparsity: {"layer": NO_WHOLE, "kind": NO_NAME, "weight": NEGATIVE, "target": [0, *NO_SHARE]},
        MMD: {"weight": NEGATIVE},
        TotalCorrelation: {"weight": NEGATIVE},
        Adversary: {"weight": NEGATIVE, "hidden": NO_WIDTHS},
        CodeNorm: {"weight": NEGATIVE},
        TSNE: {"weight": NEGATIVE, "perplexity": [0.5, *NOT_POSITIVE], "width": NOT_POSITIVE},
    },
    "objective": {Sum: {}, ImportanceWeighted: {"draws": NO_COUNT}, RateDistortion: {"slope": NOT_POSITIVE},
                  Recorrupted: {"alpha": NOT_POSITIVE}},
    "prior": {
        Normal: {},
        Mixture: {"components": [300, *NO_COUNT], "random_state": [-1, 2**32, *NO_WHOLE]},
        Vamp: {"components": NO_COUNT},
        Autoregressive: {"width": NO_COUNT, "epochs": NO_COUNT},
    },
    "training": {
        Training: {
            "optimizer": NO_NAME, "schedule": NO_NAME, "warmup": NO_SHARE, "momentum": NO_SHARE,
            "betas": [0.9, (0.9,), (0.9, 1.0), (0.9, NAN), "ab", None], "weight_decay": NEGATIVE,
            "memory_limit": [0, -1, "much", "1XB", None, True],
            "clip_norm": [0, -1, NAN, INF, "much", True], "ema_decay": [-0.1, 1.0, NAN, "much", True],
            "accumulate": [0, -1, 1.5, "much", None, True], "max_time": [0, -1, NAN, "much", True], "deterministic": NO_FLAG,
            "checkpoint_every": [-1, NAN, "much", None, True],
        },
    },
}  # fmt: skip
ROWS = [(role, part, name) for role, parts in OUT_OF_RANGE.items() for part, names in parts.items() for name in names]


@pytest.mark.parametrize("role, part, name", ROWS, ids=[f"{part.__name__}-{name}" for _, part, name in ROWS])
def test_a_parameter_out_of_range_is_refused_by_name_before_training(role, part, name, monkeypatch):
    monkeypatch.setattr(estimator, "train", lambda *_: pytest.fail("was trained"))
    given = {"encoder": torch.nn.Flatten(), "decoder": torch.nn.Linear(4, 64)} if part is Modules else {}
    given |= {"function": None} if part is Custom else {}
    for value in OUT_OF_RANGE[role][part][name]:
        with pytest.raises((ValueError, TypeError), match=rf"{part.__name__}\(.*{name}="):
            composed(**{"kind": "images", role: part(**given | {name: value})}).fit(PICTURES)


def test_no_parameter_of_a_part_is_left_out_above():
    tables = {
        "architecture": [all_parts.ARCHITECTURES, {"modules": Modules}], "bottleneck": [all_parts.BOTTLENECKS],
        "corruption": [all_parts.CORRUPTIONS], "loss": [all_parts.LOSSES, {"custom": Custom}], "penalties": [all_parts.PENALTIES],
        "objective": [objectives.OBJECTIVES], "prior": [all_parts.PRIORS], "training": [{"training": Training}],
    }  # fmt: skip
    known = {
        (role, part, name) for role, rows in tables.items() for row in rows for part in row.values() for name in part._names()
    }
    assert known == set(ROWS)


def test_verbs_say_what_they_need(after_20_steps):
    plain, told_model = after_20_steps("dense"), after_20_steps("conditional")
    for verb in (plain.posterior, plain.log_likelihood):
        with pytest.raises(ValueError, match=r"needs a posterior.*bottleneck=Gaussian\(\)"):
            verb(VECTORS)
    with pytest.raises(ValueError, match="without a condition"):
        plain.transform(VECTORS, condition=LABELS)
    with pytest.raises(ValueError, match=r"fitted with a condition \(0, 1, 2"):
        told_model.transform(VECTORS)
    with pytest.raises(ValueError, match="condition holds 11, which the model was not told"):
        told_model.sample(2, condition=11)
    with pytest.raises(ValueError, match="256 samples, but 3 conditions"):
        told_model.transform(VECTORS, condition=LABELS[:3])
    with pytest.raises(ValueError, match="n=0"):
        after_20_steps("variational").sample(0)
