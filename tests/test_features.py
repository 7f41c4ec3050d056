"""A code as a feature: in a Pipeline, as the start of another network, for data it was not learnt on, and for faces."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from isthmus import Autoencoder, datasets, presets
from isthmus.parts import Warp

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train():
    images, digit = datasets.load("digits:train")
    return images.astype(np.float32) / 255, digit


@pytest.fixture(scope="module")
def test():
    images, digit = datasets.load("digits:test")
    return images.astype(np.float32) / 255, digit


@pytest.fixture(scope="module")
def model(train):
    return presets.convolutional(16, channels=(16,), corruption=Warp(10.0), max_epochs=20, random_state=0).fit(train[0])


# --------------------------------------------------------------------------------------------------- a pipeline


def test_a_classifier_learns_from_the_codes_in_a_pipeline(train, test):
    coder = presets.dense(12, max_epochs=15, random_state=0)
    X, asked = (pictures.reshape(len(pictures), -1) for pictures in (train[0], test[0]))
    pipeline = make_pipeline(coder, StandardScaler(), LogisticRegression(max_iter=300)).fit(X, train[1])
    assert pipeline[-1].coef_.shape == (10, 12)
    assert pipeline.score(asked, test[1]) > 0.85
    assert list(pipeline[:2].get_feature_names_out()) == [f"autoencoder{i}" for i in range(12)]


def test_the_size_of_the_code_is_chosen_by_the_classifier(train):
    pipeline = make_pipeline(Autoencoder(max_epochs=2, random_state=0), LogisticRegression(max_iter=300))
    X = train[0][:300].reshape(300, -1)
    search = GridSearchCV(pipeline, {"autoencoder__n_components": [2, 12]}, cv=2).fit(X, train[1][:300])
    assert search.best_params_ == {"autoencoder__n_components": 12}


def test_the_labels_of_a_pipeline_are_not_seen_by_the_code(train):
    X, y = train[0][:200].reshape(200, -1), train[1][:200]
    one, other = (Autoencoder(4, max_epochs=1, random_state=0).fit(X, labels) for labels in (y, y[::-1]))
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


# ------------------------------------------------------------------------------------------- another network's start


def test_gradients_reach_every_weight_of_the_encoder(model, train):
    network = model.network_
    network.zero_grad()
    model.encode(torch.as_tensor(train[0][:8])).square().sum().backward()
    reached = {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    encoder = {name for name, _ in network.named_parameters() if ".encoder." in name or name.startswith("bottleneck")}
    assert reached == encoder and encoder
    network.zero_grad()


def test_a_tensors_codes_are_those_of_transform(model, train):
    codes = model.encode(torch.as_tensor(train[0][:8]))
    assert codes.requires_grad
    np.testing.assert_allclose(codes.detach().numpy(), model.transform(train[0][:8]), atol=1e-5)


def test_a_network_that_starts_from_the_encoder_learns_faster(model, train, test):
    fine_tuned = example("digits_fine_tuned")
    few = train[0][:100], train[1][:100]
    before = model.transform(few[0])
    ours, scratch = (
        [score for *_, score in fine_tuned.learning(start, *few, *test, passes=8)][-1]
        for start in (model, fine_tuned.untrained(model, few[0]))
    )
    assert ours > scratch + 0.05
    np.testing.assert_array_equal(model.transform(few[0]), before)  # a copy was trained


def test_the_encoder_is_a_module_among_others(model, train):
    class Classifier(nn.Module):
        def __init__(self, coder):
            super().__init__()
            self.coder, self.body, self.head = coder, coder.network_, nn.Linear(coder.n_components_, 10)

        def forward(self, pictures):
            return self.head(self.coder.encode(pictures))

    classifier = Classifier(model)
    X, y = torch.as_tensor(train[0][:50]), torch.as_tensor(train[1][:50])
    optimizer = torch.optim.Adam(classifier.head.parameters(), 0.01)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(classifier(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


# ------------------------------------------------------------------------------------------------------ other data


def test_filters_serve_data_they_were_not_learnt_on(train, test):
    """Filters of one half of the digits, 0 to 4, beside first weights, on the other half."""
    lower, upper = train[1] < 5, train[1] >= 5
    learnt = presets.convolutional(None, channels=(16, 8), max_epochs=30, random_state=0).fit(train[0][lower])
    assert learnt.code_shape_ == (2, 2, 8)
    first = example("digits_fine_tuned").untrained(learnt, train[0][lower])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    unseen = test[1] >= 5
    found = {
        name: probe.fit(model.transform(train[0][upper]), train[1][upper]).score(
            model.transform(test[0][unseen]), test[1][unseen]
        )
        for name, model in {"learnt": learnt, "first": first}.items()
    }
    assert found["learnt"] > max(0.85, found["first"] - 0.02), found


def test_faces_are_told_apart_by_their_codes(data_folder):
    path = data_folder / "faces/olivettifaces.mat"
    if not path.is_file():
        pytest.skip("needs the Olivetti faces in the folder that ISTHMUS_DATA names (faces/olivettifaces.mat)")
    from scipy.io import loadmat

    faces = (loadmat(path)["faces"].T / 255).astype(np.float32)[:, ::8]  # 512 of their 4096 pixels
    person, taken = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
    known = taken < 5
    model = Autoencoder(24, max_epochs=30, random_state=0).fit(faces[known])
    nearest = KNeighborsClassifier(1).fit(model.transform(faces[known]), person[known])
    assert nearest.score(model.transform(faces[~known]), person[~known]) > 0.75
