"""The command line, called as a stranger would: results on stdout, messages on stderr, and the exit codes 0, 1 and 2."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus import cli, datasets, presets
from isthmus.parts import LOSSES, CodeNorm


def call(*tokens):
    return cli.main([str(token) for token in tokens])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "model"
    assert call("fit", "digits:train", "-o", path, "--preset", "dense", "--hidden", "32,16", "-n", 4, "--epochs", 2) == 0
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    for place, picture in enumerate(datasets.load("digits:test")[0][:6]):
        Image.fromarray(picture).save(folder / ("inner" if place % 2 else ".") / f"{place}.png")
    return folder


def test_the_four_knobs_are_flags(model):
    loaded = isthmus.load(model)
    assert loaded.n_components_ == 4
    assert loaded.network_.architecture.widths == (32, 16)
    assert loaded.loss_ == "bernoulli"


def test_fit_on_a_folder_of_pictures_then_reconstruct_into_a_folder_with_the_same_names(pictures, tmp_path):
    assert call("fit", pictures, "-o", tmp_path / "m", "-n", 3, "--epochs", 1, "--batch-size", 4) == 0
    assert call("reconstruct", tmp_path / "m", pictures, "-o", tmp_path / "out") == 0
    names = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert names == sorted(str(p.relative_to(pictures)) for p in pictures.rglob("*.png"))
    assert np.asarray(Image.open(tmp_path / "out" / "0.png")).shape == (8, 8)


def test_force_replaces_a_folder_of_pictures_whole(model, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("reconstruct", model, pictures, "-o", out) == 0
    assert call("reconstruct", model, pictures / "inner", "-o", out) == 1
    assert "already exists" in capsys.readouterr().err
    assert call("reconstruct", model, pictures / "inner", "-o", out, "--force") == 0
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (pictures / "inner").iterdir())
    assert call("encode", model, pictures, "-o", tmp_path / "codes.npy") == 0
    assert call("decode", model, tmp_path / "codes.npy", "-o", out, "--force") == 0
    assert sorted(p.name for p in out.iterdir()) == [f"{i}.png" for i in range(6)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.npy", "out", "pictures"]


def notes(folder):
    (folder / "notes.txt").write_text("precious")


def a_picture_of_ones_own(folder):
    Image.new("L", (8, 8)).save(folder / "7.png")


def a_link(folder):
    (folder / "linked").symlink_to(folder.parent, target_is_directory=True)


def a_file_in_its_place(folder):
    shutil.rmtree(folder)
    folder.write_text("precious")


@pytest.mark.parametrize("own", [notes, a_picture_of_ones_own, a_link, a_file_in_its_place], ids=lambda f: f.__name__)
def test_force_replaces_nothing_but_pictures_that_were_written_here(own, model, pictures, tmp_path, capsys):
    assert call("reconstruct", model, pictures, "-o", tmp_path / "out") == 0
    own(tmp_path / "out")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert call("reconstruct", model, pictures, "-o", tmp_path / "out", "--force") == 1
    assert "Choose another name" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_encode_and_decode_apart_equal_reconstruct(model, tmp_path):
    assert call("encode", model, "digits:test", "-o", tmp_path / "codes.npy") == 0
    assert call("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "decoded.npy") == 0
    assert call("reconstruct", model, "digits:test", "-o", tmp_path / "rebuilt.npy") == 0
    assert np.array_equal(np.load(tmp_path / "decoded.npy"), np.load(tmp_path / "rebuilt.npy"))


def test_numbers_in_a_csv_come_back_as_a_csv(tmp_path):
    table = np.random.default_rng(0).normal(size=(40, 5))
    np.savetxt(tmp_path / "table.csv", table, delimiter=",", header="a,b,c,d,e", comments="")
    assert call("fit", tmp_path / "table.csv", "-o", tmp_path / "m", "-n", 2, "--epochs", 1) == 0
    assert call("reconstruct", tmp_path / "m", tmp_path / "table.csv", "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().startswith("a,b,c,d,e\n")
    assert np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1).shape == table.shape


def test_info_names_layers_and_sizes_of_a_model_as_json(model, capsys):
    assert call("info", model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["code_shape"] == [4]
    assert sum(layer["parameters"] for layer in facts["layers"]) == facts["parameters"]
    assert facts["bytes"] > facts["parameters"]


def test_info_says_how_data_would_be_read_and_names_constant_columns(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.column_stack([np.arange(9.0), np.full(9, 7.0)]))
    assert call("info", tmp_path / "x.npy") == 0
    text = capsys.readouterr().out
    assert "vectors" in text
    assert "constant_columns" in text and "[1]" in text


def test_a_config_file_gives_options(tmp_path):
    (tmp_path / "fit.yaml").write_text("fit:\n  n-components: 3\n  epochs: 1\n")
    assert call("--config", tmp_path / "fit.yaml", "fit", "digits:test", "-o", tmp_path / "m") == 0
    assert isthmus.load(tmp_path / "m").n_components_ == 3


REFUSED = {
    "an existing model": (1, ["fit", "digits", "-o", "MODEL"], "already exists"),
    "a missing path": (1, ["fit", "nowhere", "-o", "new"], "does not exist"),
    "a picture that is none": (1, ["fit", "broken", "-o", "new"], "bad.png"),
    "text for numbers": (1, ["fit", "text.csv", "--kind", "vectors", "-o", "new"], "kind='table'"),
    "an unknown preset": (2, ["fit", "digits", "--preset", "magic", "-o", "new"], "magic"),
    "a parameter that the preset has not": (1, ["fit", "digits", "--preset", "vq", "--set", "k=8", "-o", "new"], "dim=4"),
    "a parameter without a value": (1, ["fit", "digits", "--preset", "topk", "--set", "k", "-o", "new"], "NAME=VALUE"),
    "a parameter of no preset": (1, ["fit", "digits", "--set", "k=8", "-o", "new"], "--preset topk"),
    "a parameter out of range": (1, ["fit", "digits", "--preset", "topk", "--set", "k=few", "-o", "new"], "k='few'"),
    "a parameter said twice": (
        1, ["fit", "digits", "--preset", "dense", "--hidden", "9", "--set", "hidden=8", "-o", "new"], "Leave one of them out",
    ),
    "widths of a preset without": (1, ["fit", "digits", "--preset", "topk", "--hidden", "9", "-o", "new"], "does not ask for"),
    "convolution of vectors": (
        1, ["fit", "digits", "--preset", "convolutional", "--kind", "vectors", "-o", "new"], "kind='images'",
    ),
    "an unknown option": (2, ["fit", "digits", "--bogus", "-o", "new"], "bogus"),
    "no output": (2, ["fit", "digits"], "output"),
    "hidden that is no number": (1, ["fit", "digits", "--hidden", "a,b", "-o", "new"], "128,64"),
    "an output of unknown form": (1, ["encode", "MODEL", "digits", "-o", "codes.txt"], ".npy"),
    "codes of another model": (1, ["decode", "MODEL", "wide.npy", "-o", "out.npy"], "4"),
    "no model": (1, ["info", "empty"], "holds no pictures"),
    "no ways": (2, ["interpolate", "MODEL", "digits:test", "-n", 0, "-o", "new.png"], "Must be >= 1"),
    "ways of one step": (2, ["interpolate", "MODEL", "digits:test", "--steps", 1, "-o", "new.png"], "Must be >= 2"),
    "no samples": (2, ["sample", "MODEL", "-n", 0, "-o", "new.png"], "Must be >= 1"),
    "a label for a model without": (
        1, ["interpolate", "MODEL", "digits:test", "--condition", 7, "-o", "new.png"], "without a condition",
    ),
    "a way of one sample": (1, ["interpolate", "MODEL", "one.npy", "-o", "new.png"], "no two samples"),
    "a shape of another size": (1, ["interpolate", "MODEL", "digits:test", "--shape", "8,9", "-o", "new.png"], "64 numbers"),
    "a shape that is no number": (1, ["interpolate", "MODEL", "digits:test", "--shape", "8,x", "-o", "new.png"], "28,28"),
    "an unknown data set part": (1, ["fit", "digits:half", "-o", "new"], "not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_use_is_explained_and_nothing_is_written(name, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bad.png").write_bytes(b"not a picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("a,b\n1,red\n")
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    np.save(tmp_path / "one.npy", np.zeros((1, 8, 8), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    code, tokens, words = REFUSED[name]
    assert call(*[model if token == "MODEL" else token for token in tokens]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_ways_lead_from_one_sample_to_another_of_another_class(model, tmp_path):
    assert call("interpolate", model, "digits:test", "-n", 40, "--steps", 3, "-o", tmp_path / "ways.npy") == 0
    ways = np.load(tmp_path / "ways.npy").reshape(40, 5, 8, 8)
    X, labels = datasets.load("digits:test")
    places = [[np.flatnonzero((end == X).all((1, 2)))[0] for end in way[[0, -1]]] for way in ways]
    assert len(np.unique(places)) == 80
    assert all(labels[a] != labels[b] for a, b in places)
    np.testing.assert_array_equal(ways[0, 1:-1], isthmus.load(model).interpolate(*X[places[0]], 3))


@pytest.mark.parametrize(
    "given, said", [((), "read as vectors, 40 x 6 float64 (guessed"), (("--kind", "table"), "read as table, 40 x 6")]
)
def test_fit_says_what_it_took_the_data_for(given, said, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 6)))
    assert cli.main(["fit", str(tmp_path / "x.npy"), "--epochs", "1", *given, "-o", str(tmp_path / "m")]) == 0
    assert said in capsys.readouterr().err


def test_few_samples_make_few_ways(model, pictures, tmp_path, capsys):
    assert call("interpolate", model, pictures, "-o", tmp_path / "ways.npy") == 0
    assert np.load(tmp_path / "ways.npy").shape == (3 * 10, 8, 8)
    assert "samples for 3 ways" in capsys.readouterr().err


def test_the_flags_offer_what_the_tables_hold():
    hints = get_type_hints(cli.fitting.fit)
    assert set(get_args(get_args(hints["loss"])[0])) == {"auto", *LOSSES}


def own(n_components="auto", *, weight=0.25, **kwargs):
    """One that is not in the package."""
    return isthmus.Autoencoder(n_components, penalties=CodeNorm(weight), **kwargs)


@pytest.fixture
def composed_by(monkeypatch):
    """The estimator that `isthmus fit` composes of its tokens; nothing is trained."""

    def composed(*tokens):
        made = []
        monkeypatch.setattr(isthmus.Autoencoder, "fit", lambda model, *_, **__: made.append(model) or model)
        monkeypatch.setattr(isthmus.Autoencoder, "save", lambda model, *_, **__: call_off())
        call("fit", "digits:test", "-o", "nowhere", *tokens)
        return made[0] if made else None

    def call_off():
        raise InterruptedError

    return composed


@pytest.mark.parametrize("name", presets.PRESETS)
def test_fit_composes_the_model_that_the_preset_composes_in_python(name, composed_by):
    expected = presets.PRESETS[name](24, random_state=0, verbose=2)
    expected.kind = "images" if expected.kind == "auto" else expected.kind  # which digits are, unless the preset reads them so
    assert repr(composed_by("--preset", name, "-n", 24)) == repr(expected)


def test_a_new_preset_is_known_without_being_listed_here(composed_by, monkeypatch, capsys):
    monkeypatch.setitem(presets.PRESETS, "own", own)
    assert composed_by("--preset", "own", "--set", "weight=0.5", "--hidden", "32").penalties.weight == 0.5
    assert call("presets") == 0
    assert "own                     One that is not in the package.\n" in capsys.readouterr().out


SET = {
    "a number": (["topk", "--set", "k=8"], lambda model: model.bottleneck.k == 8),
    "a fraction": (["variational", "--set", "beta=1e-1"], lambda model: model.bottleneck.beta == 0.1),
    "several numbers": (["fsq", "--set", "levels=8,5,5"], lambda model: model.bottleneck.levels == (8, 5, 5)),
    "text": (["dropout", "--set", "dropped=connections"], lambda model: model.architecture.dropped == "connections"),
    "two": (
        ["vq", "--set", "codebook_size=16", "--set", "dim=2"],
        lambda model: (model.bottleneck.codebook_size, model.bottleneck.dim) == (16, 2),
    ),
    "noise to a preset that asks for it": (["denoising", "--noise", "0.5"], lambda model: model.corruption.std == 0.5),
    "noise to another": (["variational", "--noise", "0.5"], lambda model: model.corruption.std == 0.5),
    "widths to a preset that asks for them": (["dropout", "--hidden", "9"], lambda model: model.architecture.dropout == 0.2),
    "widths to another": (["vq", "--hidden", "9,8"], lambda model: model.architecture.hidden == (9, 8)),
    "a loss in place of the preset's": (["linear", "--loss", "auto"], lambda model: model.loss == "auto"),
    "a kind": (["dense", "--kind", "vectors"], lambda model: model.kind == "vectors"),
}


@pytest.mark.parametrize("tokens, holds", SET.values(), ids=SET)
def test_a_preset_is_told_its_own_parameters(tokens, holds, composed_by):
    assert holds(composed_by("--preset", *tokens))


def test_a_data_set_of_pictures_is_read_as_vectors_where_the_model_wants_them(tmp_path):
    assert call("fit", "digits:test", "--kind", "vectors", "-o", tmp_path / "m", "-n", 3, "--epochs", 1) == 0
    assert call("encode", tmp_path / "m", "digits:test", "-o", tmp_path / "codes.npy") == 0
    assert np.load(tmp_path / "codes.npy").shape == (359, 3)
    validated = ("--validation", "digits:test", "-n", 3, "--epochs", 1, "--json")
    assert call("fit", "digits:test", "--kind", "vectors", *validated, "-o", tmp_path / "v") == 0
    assert "validation_loss" in isthmus.load(tmp_path / "v").history_[-1]


def test_a_model_that_is_told_labels_is_told_those_of_the_data(tmp_path, capsys):
    model = tmp_path / "m"
    assert call("fit", "digits:test", "--preset", "conditional", "-n", 3, "--epochs", 1, "-o", model) == 0
    assert call("encode", model, "digits:test", "-o", tmp_path / "codes.npy") == 0
    assert call("decode", model, tmp_path / "codes.npy", "--condition", 7, "-o", tmp_path / "sevens.npy") == 0
    assert call("reconstruct", model, "digits:test", "-o", tmp_path / "rebuilt.npy") == 0
    labels, codes = datasets.load("digits:test")[1], np.load(tmp_path / "codes.npy")
    assert call("interpolate", model, "digits:test", "--condition", 7, "-n", 99, "-o", tmp_path / "ways.npy") == 0
    assert len(np.load(tmp_path / "ways.npy")) == (labels == 7).sum() // 2 * 10
    assert call("interpolate", model, "digits:test", "-n", 2, "-o", tmp_path / "ways.png") == 0
    known, rebuilt = isthmus.load(model), np.load(tmp_path / "rebuilt.npy")
    np.testing.assert_array_equal(rebuilt, known.inverse_transform(codes, labels))
    np.testing.assert_array_equal(np.load(tmp_path / "sevens.npy")[labels == 7], rebuilt[labels == 7])
    assert call("report", model, "digits:test", "--train", "digits:test", "-o", tmp_path / "report.html") == 0
    assert "<h2>New samples of each class</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    np.save(tmp_path / "x.npy", datasets.load("digits:test")[0])
    capsys.readouterr()
    assert call("report", model, tmp_path / "x.npy", "-o", tmp_path / "other.html") == 1
    assert "has no labels to tell the network" in capsys.readouterr().err


@pytest.fixture
def ctrl_c_pressed(monkeypatch):
    """Presses Ctrl-C so many times at the end of the first epoch, whatever the test runner does about it otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def pressed(times):
        def press(progress, record):
            for _ in range(times if record["epoch"] == 1 else 0):
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr("isthmus.training.Progress.show", press)

    yield pressed
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_lets_the_epoch_end_and_keeps_the_model(tmp_path, capsys, ctrl_c_pressed):
    ctrl_c_pressed(1)  # after the callbacks of epoch 1, so that it is epoch 2 which ends
    assert call("fit", "digits:test", "-o", tmp_path / "m", "-n", 3, "--epochs", 9, "--patience", 5) == 130
    captured = capsys.readouterr()
    assert captured.err.endswith(f"isthmus: stopped by Ctrl-C after epoch 2; the model so far is in {tmp_path / 'm'}.\n")
    assert captured.out.startswith(f"{tmp_path / 'm'}: 2 epochs")
    assert isthmus.load(tmp_path / "m").n_iter_ == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_at_once_and_nothing_is_written(tmp_path, capsys, ctrl_c_pressed):
    ctrl_c_pressed(2)
    assert call("fit", "digits:test", "-o", tmp_path / "m", "-n", 3, "--epochs", 9) == 130
    captured = capsys.readouterr()
    assert captured.err.endswith("isthmus: stopped by Ctrl-C before anything was written.\n")
    assert captured.out == "" and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        call("--debug", "fit", "nowhere", "-o", tmp_path / "m")


def test_the_installed_command_answers_help_and_version():
    result = subprocess.run([sys.executable, "-m", "isthmus", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == isthmus.__version__
    result = subprocess.run([sys.executable, "-m", "isthmus", "--help"], capture_output=True, text=True, check=True)
    assert all(verb in result.stdout for verb in ("demo", "fit", "encode", "decode", "reconstruct", "report", "info"))


@pytest.mark.slow
def test_demo_beats_pca_and_replaces_only_its_own_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("demo", "--json") == 0
    model, pca = json.loads(capsys.readouterr().out)
    assert model["error"] < 0.8 * pca["error"]
    page = (tmp_path / "isthmus-demo" / "report.html").read_text()
    assert "<html" in page and "http" not in page.replace("http://www.w3.org", "")
    assert isthmus.load(tmp_path / "isthmus-demo" / "model").n_components_ == 8
    assert call("demo") == 0
    (tmp_path / "mine").mkdir()
    assert call("demo", "-o", "mine") == 1
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_parameter_that_no_task_has_is_named_with_those_it_has(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).normal(size=(20, 4)))
    assert call("fit", "rows.npy", "--task", "cluster", "--set", "n_cluster=5", "-o", "groups") == 1
    assert "--task cluster has max_clusters, method, n_clusters, n_neighbors" in capsys.readouterr().err


def test_outputs_that_cannot_be_are_named_as_they_were_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).normal(size=(20, 4)))
    Path("folder.csv").mkdir()
    assert call("fit", "rows.npy", "--task", "detect", "--epochs", 1, "-o", "model") == 0
    assert call("detect", "model", "rows.npy", "-o", "folder.csv", "--force") == 1
    assert "folder.csv is a folder, and a file is written" in capsys.readouterr().err
    assert call("detect", "model", "rows.npy", "-o", "rows.npy/a.csv") == 1
    assert "rows.npy is a file, not a folder" in capsys.readouterr().err


def test_pictures_that_a_model_of_vectors_reads_as_rows_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).random(size=(20, 4)))
    np.save("pictures.npy", np.random.default_rng(0).random(size=(6, 2, 2)))
    assert call("fit", "rows.npy", "-n", 2, "--epochs", 1, "-o", "model") == 0
    assert call("encode", "model", "pictures.npy", "-o", "codes.npy") == 0
    assert "6 x 2 x 2 float64, read as rows of 4 numbers" in capsys.readouterr().err
