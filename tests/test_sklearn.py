"""scikit-learn's contract: its own checks, and how the estimator lives among its neighbours."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from isthmus import Autoencoder, Training
from isthmus.parts import Conv, Dense, Modules, Noise, Plain

MINIBATCHES = Autoencoder(max_epochs=2, batch_size=16, random_state=0)
# Noise is drawn for every sample, so that with it a sample of weight two is two samples in expectation only.
ONE_BATCH = Autoencoder(max_epochs=2, batch_size=4096, corruption=None, dtype="float64", random_state=0)
WEIGHTED = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")


def expected_failures(estimator):
    if estimator.batch_size == ONE_BATCH.batch_size:
        return {}
    return dict.fromkeys(WEIGHTED, "a repeated sample falls into other minibatches than one of weight two")


@parametrize_with_checks([MINIBATCHES, ONE_BATCH], expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------------------- neighbours


def test_pipeline_hands_labels_to_every_step(digits):
    X, y = digits[0][:600], digits[1][:600]
    pipeline = make_pipeline(StandardScaler(), Autoencoder(16, max_epochs=20, random_state=0), KNeighborsClassifier(1))
    assert pipeline.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.7


@pytest.mark.parametrize(
    "name, values",
    [
        ("n_components", [2, 3]),
        ("loss", ["squared", "absolute"]),
        ("architecture__hidden", [8, (16, 8)]),
        ("architecture__layers", [1, 2]),
        ("bottleneck__activation", [None, "relu"]),
        ("corruption__std", [0.1, 0.5]),
        ("training__optimizer", ["adam", "muon"]),
    ],
)
def test_grid_search_over_the_model_and_its_parts(name, values, X):
    parts = {"architecture": Dense(), "bottleneck": Plain(), "corruption": Noise(), "training": Training()}
    search = GridSearchCV(Autoencoder(2, max_epochs=1, random_state=0, **parts), {name: values}, cv=2, error_score="raise")
    assert search.fit(X).best_params_[name] in values


def test_clone_copies_parameters_and_leaves_what_was_learnt(X):
    model = Autoencoder(3, architecture=Dense((8,)), corruption=[Noise(0.1)], max_epochs=1, random_state=0).fit(X)
    twin = clone(model)
    assert repr(twin) == repr(model)
    assert twin.architecture is not model.architecture
    assert not hasattr(twin, "network_")
    np.testing.assert_array_equal(twin.fit(X).transform(X), model.transform(X))


@pytest.mark.parametrize("architecture", [Dense((8,)), Modules(nn.Linear(64, 8), nn.Linear(3, 64))], ids=["dense", "own"])
def test_pickle_gives_equal_numbers(architecture, X):
    model = Autoencoder(3, architecture=architecture, max_epochs=1, random_state=0).fit(X)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.transform(X), model.transform(X))
    np.testing.assert_array_equal(twin.reconstruct(X), model.reconstruct(X))


def test_html_shows_model_and_parts(X):
    model = Autoencoder(3, architecture=Dense((8,)), loss="squared", max_epochs=1)
    assert "Autoencoder" in model._repr_html_()
    assert "Dense" in model.fit(X)._repr_html_()


# ------------------------------------------------------------------------------------------------ containers


def test_pandas_output_has_names_and_the_rows_index(X):
    frame = pd.DataFrame(X[:20], index=range(100, 120)).add_prefix("pixel")
    model = Autoencoder(3, max_epochs=1).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame)
    assert list(codes.columns) == list(model.get_feature_names_out()) == ["autoencoder0", "autoencoder1", "autoencoder2"]
    assert list(codes.index) == list(frame.index)


def test_feature_names_are_kept_and_compared(X):
    frame = pd.DataFrame(X).add_prefix("pixel")
    model = Autoencoder(3, max_epochs=1).fit(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"pixel0": "other"}))


CONTAINERS = {
    "frame": pd.DataFrame,
    "csr": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "tensor": torch.from_numpy,
    "list": np.ndarray.tolist,
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "fortran": np.asfortranarray,
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "other endian": lambda X: X.astype(">f8"),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_codes_do_not_depend_on_the_container(container, X):
    given = container(X)
    from_array = Autoencoder(3, max_epochs=2, random_state=0).fit(X)
    from_container = Autoencoder(3, max_epochs=2, random_state=0).fit(given)
    expected = from_array.transform(X)
    np.testing.assert_allclose(np.asarray(from_container.transform(X)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(from_array.transform(given)), expected)


@pytest.mark.parametrize(
    "dtype, returned",
    [("float32", "float32"), ("float64", "float64"), ("uint8", "float32"), ("int64", "float64"), ("bool", "float64")],
)
def test_codes_of_arrays_come_in_the_precision_of_the_data(dtype, returned, X):
    data = (X > 8).astype(dtype) if dtype == "bool" else X.astype(dtype)
    model = Autoencoder(3, max_epochs=1).fit(data)
    assert model.transform(data).dtype == model.reconstruct(data).dtype == returned
    assert model.score_samples(data).dtype == np.float64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_tensors_give_tensors(dtype, X):
    data = torch.from_numpy(X).to(dtype)
    model = Autoencoder(3, max_epochs=1).fit(data)
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    codes = model.transform(data)
    assert isinstance(codes, torch.Tensor)
    assert (codes.shape, codes.dtype) == ((100, 3), expected)
    assert isinstance(model.reconstruct(data), torch.Tensor)
    assert isinstance(model.inverse_transform(codes), torch.Tensor)


def test_images_come_back_in_their_dtype(images):
    for given in (images, images / 255, (images / 255).astype(np.float32), images.astype(np.uint16) * 257):
        model = Autoencoder(3, architecture=Conv((4,)), kind="images", max_epochs=1).fit(given)
        back = model.reconstruct(given)
        assert (back.shape, back.dtype) == (given.shape, given.dtype)
        assert model.inverse_transform(model.transform(given)).dtype == given.dtype


def test_encode_and_decode_of_tensors_carry_gradients(X):
    model = Autoencoder(3, max_epochs=1, random_state=0).fit(X)
    given = torch.from_numpy(X).requires_grad_()
    decoded = model.decode(model.encode(given))
    decoded.sum().backward()
    assert given.grad.abs().sum() > 0
    np.testing.assert_allclose(decoded.detach().numpy(), model.reconstruct(X), rtol=1e-4, atol=1e-4)


def test_decode_of_tensors_gives_pictures_as_they_came(images):
    model = Autoencoder(3, architecture=Conv((2,)), max_epochs=1).fit(images)
    assert model.decode(model.encode(torch.from_numpy(images))).shape == images.shape


def test_encode_and_decode_of_arrays_give_the_natural_shape(images):
    model = Autoencoder(None, architecture=Conv((2,)), max_epochs=1).fit(images)
    codes = model.encode(images)
    assert codes.shape == (100, *model.code_shape_) == (100, 4, 4, 2)
    np.testing.assert_array_equal(codes.reshape(100, -1), model.transform(images))
    np.testing.assert_array_equal(model.decode(codes), model.inverse_transform(model.transform(images)))


# ----------------------------------------------------------------------------------------------------- parts

PARTS = {"architecture": Dense((8,)), "bottleneck": Plain("tanh"), "corruption": Noise(0.2), "training": Training("adam")}


def test_models_that_share_parts_are_as_models_with_parts_of_their_own(X):
    def settings():
        return {"architecture": Dense((8,)), "bottleneck": Plain("tanh"), "corruption": Noise(0.2)}

    shared = settings()
    first, second = (Autoencoder(3, max_epochs=2, random_state=seed, **shared) for seed in (0, 1))
    first.fit(X)
    second.fit(X[::-1])
    for seed, model, data in ((0, first, X), (1, second, X[::-1])):
        alone = Autoencoder(3, max_epochs=2, random_state=seed, **settings()).fit(data)
        np.testing.assert_array_equal(model.transform(X), alone.transform(X))


@pytest.mark.parametrize("role", PARTS)
def test_fit_leaves_the_given_part_untouched(role, X):
    part = clone(PARTS[role])
    before = part.get_params()
    model = Autoencoder(3, max_epochs=1, **{role: part}).fit(X)
    assert getattr(model, role) is part
    assert part.get_params() == before
    assert not isinstance(part, nn.Module) or not list(part.parameters())


def test_fit_leaves_given_modules_untouched(X):
    encoder, decoder = nn.Linear(64, 8), nn.Linear(3, 64)
    before = encoder.weight.clone(), decoder.weight.clone()
    Autoencoder(3, architecture=Modules(encoder, decoder), max_epochs=1).fit(X)
    assert torch.equal(encoder.weight, before[0])
    assert torch.equal(decoder.weight, before[1])
