"""What holds for every application: what its model may be, and that its folder gives it back."""

import json
import shutil

import numpy as np
import pytest
from sklearn.base import clone

from isthmus import Autoencoder, load
from isthmus.apps import APPLICATIONS, Application, base
from isthmus.cli import fitting


class Centre(Application):
    """The smallest application there is: the mean code."""

    task = "centre"

    def __init__(self, model=None, *, power=1.0, random_state=None):
        self.model = model
        self.power = power
        self.random_state = random_state

    def fit(self, X, y=None, *, callbacks=()):
        self._fit_model(X, callbacks=callbacks)
        self.centre_ = self.model_.transform(X).mean(0) ** self.power
        return self

    def _default_model(self, X):
        return Autoencoder(2, max_epochs=3)

    def _state(self):
        return {"size": len(self.centre_)}

    def _tensors(self):
        return {"centre": self.centre_}

    def _restore(self, state, tensors):
        assert state["size"] == len(tensors["centre"])
        self.centre_ = tensors["centre"]


def test_a_folder_without_its_model_is_refused(X, tmp_path):
    Centre(random_state=0).fit(X).save(tmp_path / "centre")
    shutil.rmtree(tmp_path / "centre" / "model")
    with pytest.raises(ValueError, match="centre is incomplete: its folder model/ is missing"):
        load(tmp_path / "centre")


@pytest.fixture(autouse=True)
def centre_is_known(monkeypatch):
    monkeypatch.setitem(APPLICATIONS, "centre", Centre)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 4))


def test_the_default_model_is_fitted_with_the_applications_seed(X):
    first, second = (Centre(random_state=seed).fit(X).model_ for seed in (3, 3))
    assert first.n_components_ == 2 and first.n_iter_ == 3
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert (Centre(random_state=4).fit(X).model_.transform(X) != first.transform(X)).any()


def test_a_dict_changes_parameters_of_the_default_model(X):
    assert Centre({"max_epochs": 1}).fit(X).model_.n_iter_ == 1
    with pytest.raises(ValueError, match="epochs_at_most"):
        Centre({"epochs_at_most": 1}).fit(X)


def test_of_a_model_that_is_not_fitted_a_copy_is(X):
    model = Autoencoder(3, max_epochs=1)
    fitted = Centre(model).fit(X)
    assert not hasattr(model, "network_") and fitted.model_.n_components_ == 3


def test_a_fitted_model_is_used_as_it_stands(X):
    model = Autoencoder(3, max_epochs=1, random_state=0).fit(X)
    assert Centre(model).fit(X[:10]).model_ is model and model.n_iter_ == 1


def test_what_is_no_model_is_refused(X):
    with pytest.raises(TypeError, match="an Autoencoder, a dict of its parameters, or None"):
        Centre("dense").fit(X)


@pytest.mark.parametrize("given", [None, {"max_epochs": 1}, Autoencoder(3, max_epochs=1), "fitted"], ids=str)
def test_a_folder_gives_back_the_application(given, X, tmp_path):
    model = Autoencoder(3, max_epochs=1).fit(X) if given == "fitted" else given
    saved = Centre(model, power=2.0, random_state=0).fit(X)
    saved.save(tmp_path / "app")
    again = load(tmp_path / "app")
    assert type(again) is Centre and again.power == 2.0 and again.n_features_in_ == 4
    assert isinstance(again.model, type(saved.model)) and hasattr(again.model, "network_") == (given == "fitted")
    np.testing.assert_array_equal(again.centre_, saved.centre_)
    np.testing.assert_array_equal(again.model_.transform(X), saved.model_.transform(X))
    np.testing.assert_array_equal(clone(again).fit(X).model_.transform(X).shape, saved.model_.transform(X).shape)
    np.testing.assert_array_equal(load(tmp_path / "app" / "model").transform(X), saved.model_.transform(X))
    assert "from isthmus import load" in (tmp_path / "app" / "README.md").read_text()


def test_nothing_is_replaced_unasked(X, tmp_path):
    fitted = Centre().fit(X)
    fitted.save(tmp_path / "app")
    with pytest.raises(FileExistsError, match="already exists"):
        fitted.save(tmp_path / "app")
    fitted.save(tmp_path / "app", overwrite=True)
    (tmp_path / "app" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        fitted.save(tmp_path / "app", overwrite=True)


@pytest.mark.parametrize("file", ["config.json", "state.safetensors", "model/config.json", "model/model.safetensors"])
def test_a_damaged_folder_is_refused(file, X, tmp_path):
    Centre().fit(X).save(tmp_path / "app")
    content = bytearray((tmp_path / "app" / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "app" / file).write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "app")


def test_an_unknown_application_is_refused(X, tmp_path, monkeypatch):
    Centre().fit(X).save(tmp_path / "app")
    monkeypatch.delitem(APPLICATIONS, "centre")
    with pytest.raises(ValueError, match=r"'centre', which isthmus .* does not know.*Update"):
        load(tmp_path / "app")


def test_half_an_application_is_refused(X, tmp_path):
    Centre().fit(X).save(tmp_path / "app")
    with pytest.raises(ValueError, match="needs its whole model"):
        load(tmp_path / "app", only="encoder")


def test_the_command_line_trains_applications(X, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fitting, "TASKS", ("centre",))
    np.save(tmp_path / "x.npy", X)
    assert (
        call("fit", tmp_path / "x.npy", "--task", "centre", "--epochs", 2, "--set", "power=3", "-o", tmp_path / "app", "--json")
        == 0
    )
    assert json.loads(capsys.readouterr().out)["task"] == "centre"
    again = load(tmp_path / "app")
    assert again.power == 3 and again.model_.n_iter_ == 2 and again.random_state == 0
    given = ("--preset", "topk", "--set", "k=1", "--set", "power=2", "-n", 4, "--epochs", 1)
    assert call("fit", tmp_path / "x.npy", "--task", "centre", *given, "-o", tmp_path / "sparse") == 0
    again = load(tmp_path / "sparse")
    assert again.power == 2 and again.model_.bottleneck.k == 1
    assert call("encode", tmp_path / "app", tmp_path / "x.npy", "-o", tmp_path / "codes.npy") == 0
    assert call("info", tmp_path / "app") == 0
    assert "centre" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given, said",
    [
        (("--task", "sort"), "no task 'sort'"),
        (("--task", "centre", "--set", "k=1"), "belongs to a preset"),
        (("--task", "centre", "--validation", "0.1"), "--validation is for a model alone"),
    ],
)
def test_wrong_use_is_refused(given, said, X, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fitting, "TASKS", ("centre",))
    np.save(tmp_path / "x.npy", X)
    assert call("fit", tmp_path / "x.npy", *given, "-o", tmp_path / "app") != 0
    assert said in capsys.readouterr().err and not (tmp_path / "app").exists()


def test_the_command_line_offers_every_task():
    assert set(fitting.TASKS) == {name for name in APPLICATIONS if name != "centre"}
    assert all(name == known.task for name, known in APPLICATIONS.items())
    assert base.Application.task == ""


def call(*tokens) -> int:
    from isthmus import cli

    return cli.main([str(token) for token in tokens])
