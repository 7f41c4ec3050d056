"""Model folders: equal numbers after a round trip, damage noticed, nothing lost, and no code run."""

import json
import os
import pickle
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from isthmus import Autoencoder, Training, load, presets
from isthmus.parts import LOSSES, Conv, Dense, Modules, Noise, Part, Plain

GOLDEN = Path(__file__).parent / "golden"


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 5)

    def forward(self, x):
        return self.linear(x).tanh()


class Decoder(nn.Linear):
    def __init__(self):
        super().__init__(5, 64)


class Halved(Part):
    """A bottleneck of the test's own."""

    def __init__(self, factor=0.5):
        super().__init__()
        self.factor = factor

    def build(self, hidden_shape, n_components):
        self.plain = Plain()
        return self.plain.build(hidden_shape, n_components)

    def forward(self, hidden, random=None):
        return self.plain(hidden * self.factor)


def cubic(output, target):
    return (output - target).abs().pow(3).flatten(1).sum(1)


def assert_equal_numbers(one, other, X):
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    np.testing.assert_array_equal(one.reconstruct(X), other.reconstruct(X))
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


# -------------------------------------------------------------------------------------------------- round trip

MODELS = {
    **{
        name: presets.PRESETS[name](3, max_epochs=1, random_state=0)
        for name in ("linear", "dense", "deep", "convolutional", "denoising")
    },
    **{
        f"convolution {down}, {up}": Autoencoder(3, architecture=Conv((3, 4), down=down, up=up), max_epochs=1)
        for down, up in (("stride", "upsample"), ("pool", "transpose"), ("pool", "unpool"))
    },
    "natural code": Autoencoder(None, architecture=Conv((2,)), max_epochs=1),
    "float64": Autoencoder(np.int64(3), dtype="float64", max_epochs=1),
    "parts": Autoencoder(3, corruption=[Noise(0.1), "noise"], training=Training("adam"), loss="absolute", max_epochs=1),
    "drawn seed": Autoencoder(3, random_state=np.random.RandomState(5), max_epochs=1),
    "scaled": Autoencoder(3, scale="minmax", max_epochs=1),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_loaded_model_gives_equal_numbers(model, images, X, tmp_path):
    data = images if isinstance(model.architecture, Conv) else X
    model.fit(data).save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert_equal_numbers(model, again, data)
    assert again.history_ == model.history_
    assert again.n_features_in_ == model.n_features_in_
    again.save(tmp_path / "again")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]


def test_a_loaded_model_has_the_parameters_it_was_made_with(X, tmp_path):
    model = Autoencoder(3, architecture=Dense(hidden=(16, 8)), corruption=Noise(0.1), max_epochs=1, random_state=0).fit(X)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert repr(again) == repr(model)
    assert again.architecture.get_params() == model.architecture.get_params()
    np.testing.assert_array_equal(again.fit(X).transform(X), model.transform(X))


@pytest.mark.parametrize("loss", ["squared", "absolute", "bernoulli"])
def test_losses_given_as_parts_are_saved(loss, X, tmp_path):
    model = Autoencoder(3, loss=LOSSES[loss](), scale="minmax", max_epochs=1).fit(X)
    model.save(tmp_path / "model")
    assert_equal_numbers(model, load(tmp_path / "model"), X)


def test_names_targets_and_tables_survive(X, tmp_path):
    frame = pd.DataFrame(X).add_prefix("pixel")
    model = Autoencoder(3, max_epochs=1).fit(frame, target=X[:, :7])
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert list(again.feature_names_in_) == list(frame.columns)
    assert list(again.get_feature_names_out()) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(again.reconstruct(frame), model.reconstruct(frame))
    with pytest.raises(ValueError, match="feature names"):
        again.transform(frame.rename(columns={"pixel0": "other"}))


def test_the_folder_holds_a_config_the_weights_and_a_card(saved):
    assert sorted(file.name for file in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config["format"] >= 1
    assert "from isthmus import load" in (saved / "README.md").read_text()


@pytest.mark.parametrize("name", [path.name for path in sorted(GOLDEN.glob("*")) if path.is_dir()] or ["v1-dense", "v1-conv"])
def test_golden_models_of_earlier_versions_open_and_give_their_numbers(name):
    model = load(GOLDEN / name / "model")
    X, codes, back = (np.load(GOLDEN / name / f"{array}.npy") for array in ("input", "codes", "reconstruction"))
    np.testing.assert_allclose(model.transform(X), codes, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(X).astype(float), back.astype(float), atol=1e-5 if back.dtype.kind == "f" else 1)


# --------------------------------------------------------------------------------------------------- your own

YOURS = {
    "modules": ({"architecture": Modules(Encoder(), Decoder())}, {"Encoder": Encoder(), "Decoder": Decoder()}, "Encoder"),
    "module classes": ({"architecture": Modules(Encoder(), Decoder())}, {"Encoder": Encoder, "Decoder": Decoder}, "Encoder"),
    "loss": ({"loss": cubic, "n_components": 3}, {"cubic": cubic}, "cubic"),
    "part": ({"bottleneck": Halved(0.25), "n_components": 3}, {"Halved": Halved}, "Halved"),
}


@pytest.mark.parametrize("settings, own, name", YOURS.values(), ids=YOURS)
def test_what_is_yours_is_asked_for_by_name_and_never_imported(settings, own, name, X, tmp_path):
    model = Autoencoder(**{"n_components": None, "corruption": "noise", "max_epochs": 1} | settings).fit(X)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=rf"{name}.*yours.*load\(path, parts=\{{'{name}': {name}\}}\)"):
        load(tmp_path / "model")
    assert_equal_numbers(model, load(tmp_path / "model", parts=own), X)


# ------------------------------------------------------------------------------------------------------ halves


@pytest.mark.parametrize("name", ["dense", "convolutional"])
def test_one_half_is_loaded_alone_and_says_what_it_cannot_do(name, images, X, tmp_path):
    data = images if name == "convolutional" else X
    model = presets.PRESETS[name](3, max_epochs=1).fit(data)
    model.save(tmp_path / "model")
    codes = model.transform(data)
    encoder, decoder = (load(tmp_path / "model", only=half) for half in ("encoder", "decoder"))
    np.testing.assert_array_equal(encoder.transform(data), codes)
    np.testing.assert_array_equal(decoder.inverse_transform(codes), model.inverse_transform(codes))
    for half, refused in ((encoder, lambda: encoder.inverse_transform(codes)), (decoder, lambda: decoder.transform(data))):
        with pytest.raises(ValueError, match=r"needs the (en|de)coder.*Load it whole"):
            refused()
        with pytest.raises(ValueError, match="whole"):
            half.save(tmp_path / "half")
        with pytest.raises(ValueError, match="Load it whole"):
            half.reconstruct(data)
    whole, one, other = (sum(p.numel() for p in m.network_.parameters()) for m in (model, encoder, decoder))
    assert one < whole and other < whole


@pytest.mark.parametrize("n_components", [None, 3])
def test_one_half_of_your_own_modules_needs_that_module_alone(n_components, X, tmp_path):
    decoder = Decoder() if n_components is None else nn.Linear(3, 64)
    encoder = nn.Sequential(nn.Linear(64, 8192), nn.SiLU(), nn.Linear(8192, 5))  # wide: it decides the blocks
    architecture = Modules(encoder, decoder)
    model = Autoencoder(n_components, architecture=architecture, corruption="noise", penalties="sparsity", max_epochs=1).fit(X)
    model.save(tmp_path / "model")
    half = load(tmp_path / "model", only="decoder", parts={"decoder": decoder})
    np.testing.assert_array_equal(half.inverse_transform(model.transform(X)), model.reconstruct(X))
    assert half.block_ == model.block_
    with pytest.raises(ValueError, match="Load it whole to fit it"):
        half.fit(X)
    half = load(tmp_path / "model", only="encoder", parts={"encoder": architecture.encoder})
    np.testing.assert_array_equal(half.transform(X), model.transform(X))
    with pytest.raises(ValueError, match=r"holds Sequential, which is yours"):
        load(tmp_path / "model", only="encoder")


def test_an_unknown_half_is_refused(saved):
    with pytest.raises(ValueError, match=r"only='both'.*'encoder', 'decoder'"):
        load(saved, only="both")


# ------------------------------------------------------------------------------------------------------ damage


def test_one_flipped_byte_anywhere_in_the_weights_is_refused(saved):
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    for place in [*range(0, 200, 7), *range(200, len(whole), len(whole) // 60), len(whole) - 1]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"model.safetensors.*SHA-256.*Restore it from a copy"):
            load(saved)
    file.write_bytes(whole)
    load(saved)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_truncated_file_is_refused_with_the_cure(name, share, saved):
    file = saved / name
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ValueError, match=rf"{name}.*damaged.*Restore it from a copy"):
        load(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name, saved):
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load(saved)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*Give the folder that save\(\) wrote"):
        load(tmp_path / "nowhere")


def edited(config, *keys, value):
    *path, last = keys
    place = config
    for key in path:
        place = place[key]
    place[last] = value


EDITS = {
    "no object": lambda config: [],
    "no format": lambda config: config.pop("format"),
    "format is text": lambda config: edited(config, "format", value="new"),
    "no parameters": lambda config: config.pop("params"),
    "parameters are a list": lambda config: edited(config, "params", value=[]),
    "unknown parameter": lambda config: edited(config, "params", "nonsense", value=1),
    "no schema": lambda config: config.pop("schema"),
    "unknown kind": lambda config: edited(config, "schema", "kind", value="smell"),
    "schema is text": lambda config: edited(config, "schema", value="vectors"),
    "another shape": lambda config: edited(config, "schema", "shape", value=[63]),
    "no fitted": lambda config: config.pop("fitted"),
    "another code size": lambda config: edited(config, "params", "n_components", value=5),
    "another width": lambda config: edited(config, "params", "architecture", "params", "hidden", value=[9]),
    "another activation": lambda config: edited(config, "params", "architecture", "params", "activation", value="relu"),
    "another loss": lambda config: edited(config, "loss", value="absolute"),
    "a method replaced": lambda config: edited(config, "fitted", "transform", value="nothing"),
    "no digest": lambda config: config.pop("sha256"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_config_is_refused(edit, X, tmp_path):
    path = tmp_path / "model"
    Autoencoder(4, architecture=Dense(hidden=(8,)), max_epochs=1).fit(X).save(path)
    config = json.loads((path / "config.json").read_text())
    replaced = edit(config)
    (path / "config.json").write_text(json.dumps(replaced if replaced == [] else config))
    with pytest.raises(ValueError, match=str(path)):
        load(path)


def test_a_newer_format_is_refused_with_the_cure(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"format": 999, "isthmus": "99.0"}))
    with pytest.raises(ValueError, match=r"format 999.*isthmus 99.0.*pip install -U isthmus"):
        load(saved)


# -------------------------------------------------------------------------------------------------- safe to open

NAMES = ["os.system", "system", "subprocess.Popen", "Autoencoder", "nn.Linear", "Step", "Random", "import_module", "__class__"]


@pytest.mark.parametrize("form", [lambda name: {"part": name, "params": {}}, lambda name: {"yours": name}], ids=["part", "yours"])
@pytest.mark.parametrize("name", NAMES)
def test_a_config_cannot_name_a_class_to_be_run(name, form, saved):
    config = json.loads((saved / "config.json").read_text())
    config["params"]["corruption"] = form(name)
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"saved|model|yours|damaged|edited"):
        load(saved)


def test_loading_never_unpickles(saved, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("load must not unpickle")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load(saved)


# ------------------------------------------------------------------------------------------------ nothing is lost


def test_what_exists_is_not_replaced_unless_asked(model, saved, X):
    other = Autoencoder(4, max_epochs=1, random_state=1).fit(X)
    with pytest.raises(FileExistsError, match=r"already exists.*overwrite=True"):
        other.save(saved)
    assert_equal_numbers(load(saved), model, X)
    other.save(saved, overwrite=True)
    assert_equal_numbers(load(saved), other, X)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def a_file(path):
    path.write_text("precious")


def a_folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("precious")


def an_empty_folder(path):
    path.mkdir()


def a_folder_with_another_programs_config(path):
    a_folder(path)
    (path / "config.json").write_text('{"name": "a web site"}')


def a_model_with_notes(path):
    Autoencoder(2, max_epochs=1).fit(np.eye(9)).save(path)
    (path / "notes.txt").write_text("precious")


@pytest.mark.parametrize("existing", [a_file, a_folder, a_folder_with_another_programs_config], ids=lambda f: f.__name__)
def test_overwrite_replaces_nothing_but_a_model(existing, model, tmp_path):
    path = tmp_path / "taken"
    existing(path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(FileExistsError, match=r"taken.*no model"):
        model.save(path, overwrite=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_overwrite_keeps_files_that_are_not_the_models(model, tmp_path):
    a_model_with_notes(tmp_path / "model")
    with suppress(FileExistsError):
        model.save(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "notes.txt").read_text() == "precious"


def full_disk(*args, **kwargs):
    raise OSError(28, "No space left on device")


def second_call(function, trouble):
    """`function`, but its second call runs into `trouble`."""
    calls = []

    def called(*args, **kwargs):
        calls.append(args)
        return (trouble if len(calls) == 2 else function)(*args, **kwargs)

    return called


TROUBLES = {
    "flush": lambda patch: patch.setattr(os, "fsync", full_disk),
    "second flush": lambda patch: patch.setattr(os, "fsync", second_call(os.fsync, full_disk)),
    "rename": lambda patch: patch.setattr(Path, "rename", full_disk),
    "second rename": lambda patch: patch.setattr(Path, "rename", second_call(Path.rename, full_disk)),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_save_that_fails_leaves_the_old_model_whole_and_nothing_behind(trouble, model, saved, X, monkeypatch):
    other = Autoencoder(4, max_epochs=1, random_state=1).fit(X)
    with monkeypatch.context() as patch:
        trouble(patch)
        with pytest.raises(OSError, match="The disk is full"):
            other.save(saved, overwrite=True)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert_equal_numbers(load(saved), model, X)


@pytest.mark.parametrize("place, left", [("a/b/model", []), ("there/b/model", ["there"])])
def test_a_save_that_fails_takes_away_the_folders_it_made(place, left, model, tmp_path, monkeypatch):
    for name in left:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="The disk is full"):
        model.save(tmp_path / place)
    assert [path.name for path in tmp_path.rglob("*")] == left


def test_a_save_that_is_interrupted_leaves_the_old_model_whole(model, saved, X, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.save(saved, overwrite=True)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert_equal_numbers(load(saved), model, X)


def test_a_disk_that_is_really_full_leaves_the_old_model_whole(model, X, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        model.save(disk / "model")
        large = Autoencoder(4, architecture=Dense(hidden=(1024,)), max_epochs=1).fit(X)
        with pytest.raises(OSError, match="The disk is full"):
            large.save(disk / "model", overwrite=True)
        assert [path.name for path in disk.iterdir()] == ["model"]
        assert_equal_numbers(load(disk / "model"), model, X)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="Call fit first"):
        Autoencoder(2).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_folders_on_the_way_are_made_and_the_name_may_be_text(model, tmp_path, X):
    model.save(str(tmp_path / "a" / "b"))
    assert_equal_numbers(load(str(tmp_path / "a" / "b")), model, X)
