"""The training loop: the same bits again, the best weights, weights of samples, and whether it learns anything."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from isthmus import Autoencoder, Training, presets
from isthmus.parts import Conv, Dense, Part, Prior


class Note:
    """A callback that keeps what it was told."""

    def __init__(self):
        self.records: list[dict] = []
        self.weights: list[dict] = []

    def on_epoch_end(self, network, record):
        self.records.append(dict(record))
        self.weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})


def squared_error(X, back) -> float:
    return float(((np.asarray(X, float) - np.asarray(back, float)) ** 2).sum() / len(X))


# ---------------------------------------------------------------------------------------------- the same again


@pytest.mark.parametrize(
    "settings",
    [{}, {"corruption": "noise"}, {"training": Training("adam", warmup=0.2)}, {"patience": 2}, {"dtype": "float64"}],
    ids=str,
)
@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_the_same_random_state_gives_the_same_bits(architecture, settings, images):
    models = [
        Autoencoder(3, architecture=architecture, max_epochs=3, batch_size=32, random_state=7, **settings).fit(images)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(models[0].transform(images), models[1].transform(images))
    losses = [[record["loss"] for record in model.history_] for model in models]
    assert losses[0] == losses[1]


def test_fitting_again_starts_afresh(X):
    model = Autoencoder(3, max_epochs=2, random_state=7).fit(X)
    codes = model.transform(X)
    np.testing.assert_array_equal(model.fit(X[:50]).fit(X).transform(X), codes)


def test_another_random_state_gives_other_codes(X):
    one, other = (Autoencoder(3, max_epochs=1, random_state=seed).fit(X).transform(X) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_any_batch_size_works_and_a_ragged_last_batch_counts(X):
    for batch_size in (1, 7, 99, 100, 1000):
        model = Autoencoder(3, max_epochs=1, batch_size=batch_size, random_state=0).fit(X[:100])
        assert math.isfinite(model.history_[0]["loss"])


# ----------------------------------------------------------------------------------------------- early stopping


def test_early_stopping_keeps_the_weights_of_the_best_epoch(X, digits):
    note, held_out = Note(), digits[0][100:150] * 16
    settings = {"patience": 3, "max_epochs": 200, "learning_rate": 0.3, "training": Training(schedule="constant")}
    model = Autoencoder(8, loss="squared", random_state=0, **settings).fit(X, validation=held_out, callbacks=[note])
    losses = [record["validation_loss"] for record in model.history_]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 200
    assert -model.score(held_out) == pytest.approx(losses[best], rel=1e-6)
    for name, tensor in model.network_.state_dict().items():
        assert torch.equal(tensor, note.weights[best][name])


def test_validation_without_patience_is_only_noted(X, digits):
    plain = Autoencoder(3, max_epochs=3, random_state=0).fit(X)
    noted = Autoencoder(3, max_epochs=3, random_state=0).fit(X, validation=digits[0][100:150] * 16)
    assert [record["loss"] for record in noted.history_] == [record["loss"] for record in plain.history_]
    assert all("validation_loss" in record for record in noted.history_)
    np.testing.assert_array_equal(noted.transform(X), plain.transform(X))


def test_a_share_is_held_out_and_not_trained_on(X):
    note = Note()
    model = Autoencoder(3, max_epochs=1, random_state=0).fit(X, validation=0.25, callbacks=[note])
    assert math.isfinite(model.history_[0]["validation_loss"])
    assert len(note.records) == 1


# ---------------------------------------------------------------------------------------------- sample weights

WEIGHTED = {
    "vectors": {},
    "fixed scale": {"scale": "minmax"},
    "standardised": {"scale": "standard"},
    "adam": {"training": Training("adam")},
    "images": {"kind": "images", "architecture": Conv((4,))},
    "absolute": {"architecture": Dense(hidden=(16,)), "loss": "absolute"},
}


def in_one_batch(n_components=3, **settings):
    """Without noise, which is drawn for every sample; 16 samples of weight two still fit one automatic batch."""
    return Autoencoder(n_components, corruption=None, dtype="float64", max_epochs=30, random_state=0, **settings)


def assert_same_model(one, other, X):
    np.testing.assert_allclose(one.transform(X), other.transform(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one.reconstruct(X), other.reconstruct(X), rtol=1e-6, atol=1e-8)


def sixteen(X, settings):
    return X[:16].reshape(-1, 8, 8) if settings.get("kind") == "images" else X[:16]


@pytest.mark.parametrize("settings", WEIGHTED.values(), ids=WEIGHTED)
def test_weight_two_is_the_sample_twice(settings, X):
    X = sixteen(X, settings)
    weight = np.where(np.arange(16) % 3 == 0, 2.0, 1.0)
    weighted = in_one_batch(**settings).fit(X, sample_weight=weight)
    repeated = in_one_batch(**settings).fit(np.repeat(X, weight.astype(int), axis=0))
    assert_same_model(weighted, repeated, X)


@pytest.mark.parametrize("settings", WEIGHTED.values(), ids=WEIGHTED)
def test_weight_zero_is_the_sample_absent_however_wild_it_is(settings, X):
    X = sixteen(X, settings)
    wild = np.concatenate([X, np.full_like(X[:2], -999.0)])
    weighted = in_one_batch(**settings).fit(wild, sample_weight=np.append(np.ones(16), [0.0, 0.0]))
    absent = in_one_batch(**settings).fit(X)
    assert_same_model(weighted, absent, X)


def test_weight_zero_is_absent_from_what_auto_stands_for(digits):
    X = digits[0][:16]
    wild = np.concatenate([X, np.full_like(X[:1], 999.0)])
    weighted = in_one_batch().fit(wild, sample_weight=np.append(np.ones(16), 0.0))
    assert weighted.loss_ == in_one_batch().fit(X).loss_ == "bernoulli"


def test_equal_weights_of_a_half_are_as_half_the_samples_in_the_automatic_choices(X):
    weighted = Autoencoder(3, random_state=0, dtype="float64").fit(X[:30], sample_weight=np.full(30, 0.5))
    assert weighted.n_iter_ == Autoencoder(3, random_state=0, dtype="float64").fit(X[:15]).n_iter_


# ------------------------------------------------------------------------------------- penalties, prior, target


class Shrink(Part):
    """A penalty of the test's own: the squared length of the code."""

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight

    def forward(self, step):
        return self.weight * step.code.z.square().flatten(1).sum(1)


class Spread(Part):
    """Another, on the whole batch: one figure."""

    def forward(self, step):
        return (step.code.z.std(0) - 1).square().sum()


class Cloud(Prior):
    """A prior of the test's own: a normal distribution with the codes' mean and standard deviation."""

    def fit(self, codes):
        self.mean, self.std = codes.mean(0), codes.std(0)

    def sample(self, random, network):
        return self.mean + self.std * random.normal_like(self.mean.expand(len(random.rows), -1))


def test_a_penalty_of_your_own_is_noted_and_minimised(X):
    free = Autoencoder(3, max_epochs=30, random_state=0).fit(X)
    shrunk = Autoencoder(3, penalties=Shrink(30.0), max_epochs=30, random_state=0).fit(X)
    first, last = shrunk.history_[0], shrunk.history_[-1]
    assert last["shrink"] < first["shrink"]
    assert last["objective"] == pytest.approx(last["loss"] + last["shrink"])
    assert np.square(shrunk.transform(X)).sum() < 0.5 * np.square(free.transform(X)).sum()


def test_several_penalties_each_have_a_name_in_the_history(X):
    model = Autoencoder(3, penalties=[Shrink(), Spread(), Shrink(2.0)], max_epochs=1, random_state=0).fit(X)
    assert {"shrink", "shrink_2", "spread"} <= model.history_[0].keys()


def test_a_prior_of_your_own_is_fitted_to_the_codes_and_samples_decode(X):
    model = Autoencoder(3, prior=Cloud(), max_epochs=5, random_state=0).fit(X)
    np.testing.assert_allclose(model.network_.prior.mean.numpy(), model.transform(X).mean(0), rtol=1e-3, atol=1e-4)
    samples = model.sample(5, random_state=0)
    assert samples.shape == (5, 64)
    np.testing.assert_array_equal(samples, model.sample(5, random_state=0))
    assert not np.array_equal(samples, model.sample(5, random_state=1))


def test_what_must_come_out_goes_in_target(digits):
    pictures = digits[0][:600].reshape(-1, 8, 8)
    mirrored = pictures[:, :, ::-1]
    model = Autoencoder(24, architecture="dense", kind="images", max_epochs=30, random_state=0)
    model.fit(pictures[:500], target=mirrored[:500])
    back = model.reconstruct(pictures[500:])
    assert squared_error(mirrored[500:], back) < 0.5 * squared_error(mirrored[500:], mirrored[:500].mean(0))
    assert squared_error(mirrored[500:], back) < 0.3 * squared_error(pictures[500:], back)
    assert model.score_samples(pictures[500:], target=mirrored[500:]).shape == (100,)


def test_a_target_may_have_another_number_of_columns(X):
    model = Autoencoder(3, max_epochs=1).fit(X, target=X[:, :5])
    assert model.reconstruct(X).shape == model.inverse_transform(model.transform(X)).shape == (100, 5)


def test_labels_are_ignored(X, digits):
    one, other = (Autoencoder(3, max_epochs=1, random_state=0).fit(X, y).transform(X) for y in (None, digits[1][:100]))
    np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------------------- callbacks, trouble


def test_callbacks_see_every_epoch(X):
    note = Note()
    model = Autoencoder(3, max_epochs=4, random_state=0).fit(X, callbacks=[note])
    assert [record["epoch"] for record in note.records] == [1, 2, 3, 4]
    assert note.records == model.history_
    assert model.n_iter_ == 4


def test_a_callback_that_answers_true_ends_the_training_after_its_epoch(X):
    class Enough:
        def on_epoch_end(self, network, record):
            return record["epoch"] == 2

    enough, note = Enough(), Note()
    model = Autoencoder(3, max_epochs=4, random_state=0).fit(X, callbacks=[enough, note])
    assert model.n_iter_ == len(note.records) == 2


def test_nothing_is_printed_by_default_and_progress_goes_to_stderr(X, capfd):
    Autoencoder(3, max_epochs=1).fit(X)
    assert capfd.readouterr() == ("", "")
    Autoencoder(3, max_epochs=1, verbose=1).fit(X)
    out, err = capfd.readouterr()
    assert out == "" and "training" in err


def test_a_loss_that_becomes_nan_is_named_with_a_cure(X):
    def broken(output, target):
        return (output - target).flatten(1).sum(1) * math.nan

    with pytest.raises(FloatingPointError, match=r"epoch 1.*loss.*learning_rate"):
        Autoencoder(3, loss=broken, max_epochs=2).fit(X)


def test_a_penalty_that_becomes_infinite_is_named(X):
    with pytest.raises(FloatingPointError, match="shrink became"):
        Autoencoder(3, penalties=Shrink(math.inf), max_epochs=2).fit(X)


def test_fit_leaves_the_processes_rounding_of_tiny_numbers_as_it_was(X):
    def flushes():
        return (torch.full((1,), 1e-38) / 100).item() == 0.0

    for setting in (True, False):
        torch.set_flush_denormal(setting)
        Autoencoder(3, max_epochs=1).fit(X)
        assert flushes() is setting


# ------------------------------------------------------------------------------------------------------ quality


@pytest.fixture(scope="module")
def halves(digits):
    """Digits to learn from and unseen ones."""
    test = np.arange(len(digits[0])) % 5 == 4
    return digits[0][~test], digits[0][test]


@pytest.mark.law_of("linear")
@pytest.mark.parametrize("n_components", [2, 10])
def test_the_linear_autoencoder_reaches_the_error_of_pca(n_components, halves):
    X = halves[0]
    model = presets.linear(n_components, random_state=0).fit(X)
    pca = PCA(n_components).fit(X)
    best = squared_error(X, pca.inverse_transform(pca.transform(X)))
    assert best <= squared_error(X, model.reconstruct(X)) * (1 + 1e-6) <= 1.01 * best


@pytest.mark.law_of("dense")
@pytest.mark.parametrize("n_components", [2, 6])
def test_the_autoencoder_beats_pca_on_unseen_digits_at_equal_size(n_components, halves):
    X, unseen = halves
    model = Autoencoder(n_components, random_state=0).fit(X)
    pca = PCA(n_components).fit(X)
    linear = squared_error(unseen, pca.inverse_transform(pca.transform(unseen)))
    assert squared_error(unseen, model.reconstruct(unseen)) < 0.95 * linear


@pytest.mark.law_of("denoising")
def test_denoising_takes_noise_away(halves):
    X, unseen = halves
    noisy = unseen + 0.3 * np.random.default_rng(0).normal(size=unseen.shape)
    model = presets.denoising(16, noise=0.3, loss="squared", max_epochs=8, random_state=0).fit(X)
    assert squared_error(unseen, model.reconstruct(noisy)) < 0.5 * squared_error(unseen, noisy)
