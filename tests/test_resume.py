"""A run that is stopped, wherever, and started again with the same call ends with the same bits as one that was not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus import Autoencoder, Training, load, presets
from isthmus.apps import OutlierDetector
from isthmus.checkpoint import Checkpoint
from isthmus.cli import main
from isthmus.objective import ImportanceWeighted
from isthmus.parts import Adversary, BatchTopK, Contractive, Gaussian, Part, Recurrent, Vamp, VectorQuantized


class Killed(Exception):
    """Stands for the end of the process."""


class KilledAt:
    """Ends the run after so many steps."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, network, step, terms):
        if step == self.step:
            raise Killed


class Counting(Part):
    """A penalty of the test's own that remembers: a number, a tensor and a draw from torch's own generator."""

    def __init__(self):
        super().__init__()
        self.seen, self.mean = 0, torch.zeros(4)

    def forward(self, step):
        return (step.code.z * (torch.rand(4) + self.mean)).square().sum(1) / (1 + self.seen)

    def after(self, step):
        self.seen += 1
        self.mean = 0.9 * self.mean + 0.1 * step.code.z.detach().mean(0)


VARIANTS = {
    "plain": {},
    "adam": {"training": Training("adam", warmup=0.3)},
    "float64": {"dtype": "float64"},
    "noise": {"corruption": "noise"},
    "patience": {"patience": 2},
    "adversary": {"penalties": Adversary(hidden=(8,))},
    "vector quantised": {"bottleneck": VectorQuantized(8, dim=2)},
    "batch topk": {"bottleneck": BatchTopK(2), "n_components": 100},
    "contractive": {"penalties": Contractive()},
    "importance weighted": {"bottleneck": "gaussian", "objective": ImportanceWeighted(2)},
    "warm-up": {"bottleneck": Gaussian(warmup=10)},
    "vamp": {"bottleneck": "gaussian", "prior": Vamp(4)},
    "recurrent": {"architecture": Recurrent(8, teacher_forcing=True, dropout=0.2), "kind": "sequences"},
    "convolution": {"architecture": "conv", "kind": "images"},
    "parts of one's own": {"penalties": Counting()},
}


def run_of(settings, every="1 steps"):
    """12 steps: 3 epochs of 4."""
    training = (settings.get("training") or Training()).get_params() | {"checkpoint_every": every}
    return Autoencoder(
        **{"n_components": 4, "max_epochs": 3, "batch_size": 16, "random_state": 3}
        | settings
        | {"training": Training(**training)}
    )


def data_for(settings, digits):
    X = digits[0][:64]
    return X.reshape(-1, 8, 8) if settings.get("kind") in ("sequences", "images") else X


def told(model):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in model.history_]


def assert_same_bits(one, other):
    for (name, mine), theirs in zip(one.network_.state_dict().items(), other.network_.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
    assert told(one) == told(other)
    assert one.n_iter_ == other.n_iter_


def stopped(model, X, folder, step, **given):
    with pytest.raises(Killed):
        model.fit(X, checkpoint=folder, callbacks=[KilledAt(step)], **given)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_killed_twice_and_started_again_it_ends_with_the_same_bits(settings, digits, tmp_path):
    X = data_for(settings, digits)
    whole = run_of(settings).fit(X)
    for every, steps in (("1 steps", (2, 7)), ("3 steps", (5, 11))):
        folder = tmp_path / every
        for step in steps:
            stopped(run_of(settings, every), X, folder, step)
        assert_same_bits(run_of(settings, every).fit(X, checkpoint=folder), whole)


def test_the_interval_changes_no_number(digits, tmp_path):
    X = digits[0][:64]
    for place, every in enumerate(("1 steps", 0.0, 3600, "auto")):
        assert_same_bits(run_of({}, every).fit(X, checkpoint=tmp_path / str(place)), run_of({}).fit(X))


def test_a_finished_run_gives_its_model_at_once(digits, tmp_path):
    X = digits[0][:64]
    first = run_of({"patience": 2}).fit(X, checkpoint=tmp_path / "run")
    again = run_of({"patience": 2}).fit(X, checkpoint=tmp_path / "run", callbacks=[KilledAt(1)])
    assert_same_bits(again, first)
    np.testing.assert_array_equal(again.sample(3, like=X, random_state=0), first.sample(3, like=X, random_state=0))
    assert again.history_ == first.history_


def test_stopped_between_the_last_step_and_the_end(digits, tmp_path, monkeypatch):
    X = digits[0][:64]
    with monkeypatch.context() as patch:
        patch.setattr("isthmus.training.validation_loss", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run_of({"patience": 2}).fit(X, checkpoint=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "checkpoint.json").read_text())["state"]["batch"] == 4
    assert_same_bits(run_of({"patience": 2}).fit(X, checkpoint=tmp_path / "run"), run_of({"patience": 2}).fit(X))


def test_weights_targets_and_validation_data_are_resumed_too(digits, tmp_path):
    X = digits[0][:64]
    given = {"sample_weight": np.arange(64) % 3 + 0.5, "target": X[:, ::-1], "validation": (X[:20], X[:20, ::-1])}
    stopped(run_of({}, "3 steps"), X, tmp_path / "run", 8, **given)
    assert_same_bits(run_of({}, "3 steps").fit(X, checkpoint=tmp_path / "run", **given), run_of({}).fit(X, **given))


def test_labels_are_resumed_too(digits, tmp_path):
    X, condition = digits[0][:64], digits[1][:64]
    settings = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "training": Training(checkpoint_every="3 steps")}
    stopped(presets.conditional(4, **settings), X, tmp_path / "run", 8, condition=condition)
    resumed = presets.conditional(4, **settings).fit(X, condition=condition, checkpoint=tmp_path / "run")
    assert_same_bits(resumed, presets.conditional(4, **settings).fit(X, condition=condition))


@pytest.mark.parametrize("step", [9, 18, 33])
def test_a_stream_goes_on_within_its_windows(step, digits, tmp_path):
    np.save(tmp_path / "X.npy", np.tile(digits[0], (2, 1)).astype(np.float32)[:3000])
    settings = {"training": Training(memory_limit="400KB"), "batch_size": 128, "max_epochs": 2}

    def model():
        return run_of(settings, "1 steps" if step % 2 else "4 steps")

    stopped(model(), tmp_path / "X.npy", tmp_path / "run", step)
    resumed = model().fit(tmp_path / "X.npy", checkpoint=tmp_path / "run")
    assert_same_bits(resumed, model().fit(tmp_path / "X.npy"))


def test_how_data_are_read_stays_what_it_was_however_much_memory_is_free(digits, tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", np.tile(digits[0], (2, 1)).astype(np.float32)[:3000])
    settings = {"batch_size": 128, "max_epochs": 2}
    monkeypatch.setattr("isthmus.data.memory.free_memory", lambda device="cpu": 800_000)
    whole = run_of(settings).fit(tmp_path / "X.npy")
    stopped(run_of(settings), tmp_path / "X.npy", tmp_path / "run", 9)
    monkeypatch.setattr("isthmus.data.memory.free_memory", lambda device="cpu": 10**10)
    assert_same_bits(run_of(settings).fit(tmp_path / "X.npy", checkpoint=tmp_path / "run"), whole)


def test_without_a_random_state_the_seed_is_that_of_the_first_start(digits, tmp_path):
    X = digits[0][:64]
    with pytest.raises(Killed):
        run_of({"random_state": None}).fit(X, checkpoint=tmp_path / "run", callbacks=[KilledAt(5)])
    seed = json.loads((tmp_path / "run" / "run.json").read_text())["seed"]
    resumed = run_of({"random_state": None}).fit(X, checkpoint=tmp_path / "run")
    assert resumed.seed_ == seed


def test_an_application_is_taken_up_again(digits, tmp_path):
    X, model = digits[0][:200], {"max_epochs": 3, "batch_size": 32, "training": Training(checkpoint_every="2 steps")}
    with pytest.raises(Killed):
        OutlierDetector(model, random_state=0).fit(X, callbacks=[Checkpoint(tmp_path / "run"), KilledAt(7)])
    resumed = OutlierDetector(model, random_state=0).fit(X, callbacks=[Checkpoint(tmp_path / "run")])
    whole = OutlierDetector(model, random_state=0).fit(X)
    assert_same_bits(resumed.model_, whole.model_)
    np.testing.assert_array_equal(resumed.score_samples(X), whole.score_samples(X))


def test_two_fits_with_one_checkpoint_have_a_folder_each(digits, tmp_path):
    checkpoint = Checkpoint(tmp_path / "run")
    one, two = (run_of({"random_state": seed}).fit(digits[0][:64], callbacks=[checkpoint]) for seed in (1, 2))
    assert (tmp_path / "run" / "fit-2" / "checkpoint.json").is_file()
    checkpoint = Checkpoint(tmp_path / "run")
    for seed, model in ((1, one), (2, two)):
        assert_same_bits(run_of({"random_state": seed}).fit(digits[0][:64], callbacks=[checkpoint, KilledAt(1)]), model)


# --------------------------------------------------------------------------------------------- what is kept


def test_the_folder_says_what_runs_and_how_far_it_came(digits, tmp_path):
    stopped(run_of({"patience": 2}), digits[0][:64], tmp_path / "run", 9)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["params"]["max_epochs"] == 3 and about["versions"]["torch"] == torch.__version__
    assert len(about["data"]["samples"]) == len(about["data"]["validation samples"]) == 64
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    model = run_of({"patience": 2}).fit(digits[0][:64], checkpoint=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert lines == model.history_
    assert sorted(path.suffix for path in (tmp_path / "run").iterdir()) == [".json", ".json", ".jsonl", ".safetensors"]


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = {
    "another parameter": ({"learning_rate": 0.01}, None, "there learning_rate was 'auto', and now it is 0.01"),
    "another part": ({"bottleneck": "gaussian"}, None, "there bottleneck was 'plain'"),
    "another training": ({"training": Training("adam")}, None, "there training was .*optimizer='muon'.*'adam'"),
    "another seed": ({"random_state": 4}, None, "another random_state"),
    "other data": ({}, lambda X: X + 1e-7, "other data: the SHA-256 of the samples was"),
    "another order": ({}, lambda X: X[::-1], "other data"),
    "fewer data": ({}, lambda X: X[:-1], "other data"),
}


@pytest.mark.parametrize("settings, change, words", REFUSED.values(), ids=REFUSED)
def test_another_run_is_refused_and_the_checkpoint_stays(settings, change, words, digits, tmp_path):
    X = digits[0][:64]
    stopped(run_of({}), X, tmp_path / "run", 5)
    before = files_in(tmp_path / "run")
    with pytest.raises(ValueError, match=words):
        run_of(settings).fit(X if change is None else change(X), checkpoint=tmp_path / "run")
    assert files_in(tmp_path / "run") == before
    assert_same_bits(run_of({}).fit(X, checkpoint=tmp_path / "run"), run_of({}).fit(X))


def cut_short(file: Path):
    file.write_bytes(file.read_bytes()[:-100])


def changed(file: Path):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [cut_short, changed, Path.unlink], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", ["checkpoint.json", "state-5.safetensors"])
def test_a_damaged_checkpoint_is_refused(harm, name, digits, tmp_path):
    if harm is Path.unlink and name == "checkpoint.json":
        pytest.skip("without it there is no checkpoint yet")
    stopped(run_of({}), digits[0][:64], tmp_path / "run", 6)
    harm(tmp_path / "run" / name)
    before = files_in(tmp_path / "run")
    with pytest.raises(ValueError, match=r"is damaged .*choose another folder to begin anew"):
        run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "run")
    assert files_in(tmp_path / "run") == before


def test_what_was_half_written_is_ignored_and_taken_away(digits, tmp_path):
    X, folder = digits[0][:64], tmp_path / "run"
    stopped(run_of({}), X, folder, 6)
    (folder / ".state-6.safetensors.k2j4hd8x").write_bytes(b"half")
    (folder / ".checkpoint.json.k2j4hd8y").write_bytes(b"half")
    (folder / "state-6.safetensors").write_bytes(b"whole, but nothing speaks of it yet")
    assert_same_bits(run_of({}).fit(X, checkpoint=folder), run_of({}).fit(X))
    assert len(list(folder.iterdir())) == 4


def test_a_folder_with_other_things_and_a_file_are_refused(digits, tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"other things \(notes.txt\)"):
        run_of({}).fit(digits[0][:64], checkpoint=tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_full_disk_leaves_the_checkpoint_whole(digits, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    class Filled:
        def on_step_end(self, network, step, terms):
            if step == 6:
                patch.setattr(os, "fsync", full)

    X = digits[0][:64]
    with monkeypatch.context() as patch, pytest.raises(OSError, match="The disk is full"):
        run_of({}).fit(X, checkpoint=tmp_path / "run", callbacks=[Filled()])
    assert json.loads((tmp_path / "run" / "checkpoint.json").read_text())["state"]["step"] == 5
    assert_same_bits(run_of({}).fit(X, checkpoint=tmp_path / "run"), run_of({}).fit(X))


def test_two_processes_do_not_keep_their_runs_in_one_folder(digits, tmp_path):
    class Second:
        def on_step_end(self, network, step, terms):
            if step == 3:
                with pytest.raises(ValueError, match="Another process keeps its run in"):
                    run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "run")

    model = run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "run", callbacks=[Second()])
    assert_same_bits(model, run_of({}).fit(digits[0][:64]))


def test_intervals_and_second_checkpoints_that_make_no_sense_are_refused(digits, tmp_path):
    for every in ("now and then", "0 steps", -1, float("nan"), None, True):
        with pytest.raises(ValueError, match="checkpoint_every"):
            run_of({}, every).fit(digits[0][:64])
    with pytest.raises(ValueError, match="one folder"):
        run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "a", callbacks=[Checkpoint(tmp_path / "b")])


def test_other_threads_change_no_bit_of_dense_layers(digits, tmp_path):
    stopped(run_of({}), digits[0][:64], tmp_path / "run", 5)
    torch.set_num_threads(2)
    again = run_of({}).fit(digits[0][:64], checkpoint=tmp_path / "run")
    torch.set_num_threads(1)
    assert_same_bits(again, run_of({}).fit(digits[0][:64]))


# ------------------------------------------------------------------------------------------- stopped for good

# One process that has imported all that is slow, and has children do the work: the child of a fork begins at once.
SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
from sklearn.datasets import load_digits
from isthmus import Autoencoder, Training
from isthmus.parts import Adversary

place = Path(sys.argv[1])
model = Autoencoder(4, penalties=Adversary(hidden=(8,)), patience=9, max_epochs=5, batch_size=32, random_state=0,
                    training=Training(checkpoint_every="1 steps"))

def started(folder, name):
    child = os.fork()
    if child:
        return child
    model.fit(load_digits().data[:256], checkpoint=place / folder).save(place / name)
    os._exit(0)

def steps(folder):
    return max((int(path.stem.split("-")[1]) for path in (place / folder).glob("state-*")), default=0)

assert os.waitpid(started("quiet", "whole"), 0)[1] == 0
for kill in range(4):
    child = started("run", "model")
    while steps("run") < 6 * (kill + 1):
        time.sleep(0.001)
    time.sleep(random.Random(kill).uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, "the run was over before it was killed"
assert os.waitpid(started("run", "model"), 0)[1] == 0
"""


def test_killed_by_the_system_again_and_again_it_ends_with_the_same_bits(tmp_path):
    """SIGKILL comes at any moment, while a checkpoint is written too."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=300, env=environment)
    assert_same_bits(load(tmp_path / "model"), load(tmp_path / "whole"))


@pytest.fixture
def usual_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class Pressed:
    """Presses Ctrl-C in a step."""

    def __init__(self, step, number=signal.SIGINT):
        self.step, self.number = step, number

    def on_step_end(self, network, step, terms):
        if step == self.step:
            signal.raise_signal(self.number)


def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(digits, tmp_path, usual_ctrl_c):
    X, folder = digits[0][:64], tmp_path / "run"
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped at step 6; the run is kept in .*run. Start it again with the same call"
    ):
        run_of({}, "auto").fit(X, checkpoint=folder, callbacks=[Pressed(6)])
    with pytest.raises(SystemExit, match="143"):
        run_of({}, "auto").fit(X, checkpoint=folder, callbacks=[Pressed(9, signal.SIGTERM)])
    assert json.loads((folder / "checkpoint.json").read_text())["state"]["step"] == 9
    assert_same_bits(run_of({}, "auto").fit(X, checkpoint=folder), run_of({}).fit(X))


def test_the_command_goes_on_where_ctrl_c_stopped_it(tmp_path, capsys, usual_ctrl_c, monkeypatch):
    command = ["fit", "digits:test", "-n", "3", "--epochs", "4", "--checkpoint", str(tmp_path / "run")]

    def press(progress, record):
        if record["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("isthmus.training.Progress.show", press)
        assert main([*command, "-o", str(tmp_path / "m")]) == 130
    assert "the run is kept in" in capsys.readouterr().err and not (tmp_path / "m").exists()
    assert main([*command, "-o", str(tmp_path / "m")]) == 0
    assert main([*command[:-1], str(tmp_path / "other"), "-o", str(tmp_path / "whole")]) == 0
    assert_same_bits(load(tmp_path / "m"), load(tmp_path / "whole"))
    assert main([*command[:-1], str(tmp_path / "other"), "-n", "5", "-o", str(tmp_path / "n")]) != 0
