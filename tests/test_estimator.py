"""What the estimator promises beyond scikit-learn's checks: forms, devices, weights, and choices that stay chosen."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from isthmus import Autoencoder, load, presets
from isthmus.parts import Dense, Modules, Part, Plain


def quick(n_components=3, **settings):
    return Autoencoder(n_components, **{"max_epochs": 1, "random_state": 0} | settings)


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_a_path_is_the_data_it_holds(suffix, X, tmp_path):
    path = Path(tmp_path / "data").with_suffix(suffix)
    np.save(path, X) if suffix == ".npy" else np.savetxt(path, X, delimiter=",", fmt="%.17g")
    one, other = quick().fit(X), quick().fit(path)
    assert np.array_equal(one.transform(X), other.transform(path))
    other.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").transform(path), one.transform(X))


def test_pixels_of_another_type_are_refused(images):
    model = quick().fit(images)
    with pytest.raises(ValueError, match="float64 pixels, but this model was trained on uint8"):
        model.transform(images / 255)


def test_targets_of_another_number_are_refused(X):
    model = quick().fit(X, target=X[:, ::-1].copy())
    with pytest.raises(ValueError, match=r"one for each"):
        model.score_samples(X, target=X[:-1])


def test_weights_that_add_up_to_one_train_as_long(X):
    rare = Autoencoder(3, random_state=0, batch_size=64).fit(X[:64], sample_weight=np.full(64, 1 / 64))
    assert rare.n_iter_ == 1000


def test_held_out_samples_count_by_their_weight(X):
    weight = np.where(np.arange(len(X)) < len(X) // 2, 1.0, 100.0)
    light, heavy = X[: len(X) // 2], X[len(X) // 2 :] * 3  # samples that count more are rebuilt worse, being larger
    X = np.concatenate([light, heavy])
    weighted = quick(scale="none", corruption=None).fit(X, sample_weight=weight, validation=0.5)
    plain = quick(scale="none", corruption=None).fit(X, validation=0.5)
    assert weighted.history_[0]["validation_loss"] > plain.history_[0]["validation_loss"]


def test_a_natural_code_holds_no_copy_of_the_input(X):
    assert quick(None, architecture=Dense((16,))).fit(X).code_shape_ == (16,)


def test_parameters_changed_after_fit_wait_for_the_next_fit(X):
    model = quick().fit(X)
    codes = model.transform(X)
    assert np.array_equal(model.set_params(dtype="float64", device="cpu").transform(X), codes)


def test_two_modules_of_one_class_are_told_apart_by_their_role(X, tmp_path):
    def modules():
        return nn.Sequential(nn.Linear(64, 3)), nn.Sequential(nn.Linear(3, 64))

    model = quick(None, architecture=Modules(*modules())).fit(X)
    model.save(tmp_path / "model")
    encoder, decoder = modules()
    loaded = load(tmp_path / "model", parts={"encoder": encoder, "decoder": decoder})
    assert np.array_equal(loaded.reconstruct(X), model.reconstruct(X))


class Pull(Part):
    """Pulls codes towards zero."""

    def __init__(self, weight=0.1):
        super().__init__()
        self.weight = weight

    def forward(self, step):
        return self.weight * step.code.z.square().sum(1)


def test_penalties_of_one_class_are_counted_apart(X):
    history = quick(penalties=[Pull(), Pull(0.5)]).fit(X).history_
    assert history[0]["pull_2"] == pytest.approx(5 * history[0]["pull"], rel=1e-4)


def test_a_module_may_be_the_loss(X):
    class Quartic(nn.Module):
        def forward(self, output, target):
            return (output - target).pow(4).flatten(1).sum(1)

    assert np.isfinite(quick(loss=Quartic()).fit(X).score(X))


def test_a_module_that_is_no_part_is_refused_with_the_cure(X):
    with pytest.raises(TypeError, match="no part"):
        quick(architecture=nn.Linear(64, 3)).fit(X)


def test_dropout_of_your_own_follows_the_seed_and_leaves_the_global_state(X):
    def fit():
        own = Modules(nn.Sequential(nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 3)), nn.Linear(3, 64))
        return quick(None, architecture=own).fit(X).transform(X)

    torch.manual_seed(1)
    encoder_weights = torch.random.get_rng_state()
    one = fit()
    torch.random.set_rng_state(encoder_weights)
    drawn = torch.rand(1)
    torch.random.set_rng_state(encoder_weights)
    assert np.array_equal(one, fit())
    torch.random.set_rng_state(encoder_weights)
    assert torch.rand(1) == drawn


def test_numpys_numbers_are_numbers(X):
    model = quick(np.int64(3), architecture=Dense(hidden=(np.int32(8),)), learning_rate=np.float32(0.01), corruption=None)
    assert model.fit(X).n_components_ == 3


def test_an_empty_list_of_corruptions_limits_nothing(X):
    with pytest.raises(ValueError, match="can copy"):
        quick(64, corruption=[]).fit(X)


def test_a_relu_code_wakes(X):
    model = quick(8, bottleneck=Plain("relu"), max_epochs=20).fit(X)
    assert (model.transform(X) > 0).any(0).mean() > 0.8


# ------------------------------------------------------------------------------------------------- conditions


def test_a_preset_that_asks_for_a_condition_asks_after_clone_copy_and_load(X, y, tmp_path):
    model = presets.conditional(2, max_epochs=1)
    copies = [clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    model.fit(X, condition=y).save(tmp_path / "model")
    for same in (*copies, load(tmp_path / "model"), clone(load(tmp_path / "model"))):
        with pytest.raises(ValueError, match="condition=y"):
            same.fit(X)
    assert clone(quick()).fit(X).condition_ is None


def test_one_row_of_numbers_is_told_to_all_variations(X):
    model = quick().fit(X, condition=X[:, :2])
    one = model.sample(2, like=X[:3], condition=X[0, :2], random_state=0)
    each = model.sample(2, like=X[:3], condition=X[[0, 0, 0], :2], random_state=0)
    np.testing.assert_array_equal(one, each)


@pytest.mark.parametrize("kind", [np.int64, np.float32, str])
def test_whole_numbers_are_labels_whatever_their_type(kind, X, y):
    assert quick().fit(X, condition=y.astype(kind)).condition_.width == 10
