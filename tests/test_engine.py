"""What the loop can do besides: clip, average, accumulate, stop in time, say what went wrong, and be watched."""

import json
import math
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from isthmus import Autoencoder, Training, load, presets
from isthmus.callbacks import Callback, TensorBoard
from isthmus.cli import main
from isthmus.optimizers import Adam, Muon
from isthmus.parts import Dense, Gaussian, Part
from isthmus.state import Averages
from isthmus.trouble import LOOK, Diverged


class Note(Callback):
    """Keeps what it was told."""

    def __init__(self):
        self.told: list = []
        self.weights: list = []
        self.steps: list = []

    def on_fit_begin(self, network, about):
        self.told.append(("begin", about))

    def on_step_end(self, network, step, terms):
        self.weights.append([p.detach().clone() for p in network.parameters()])
        self.steps.append({name: float(term) for name, term in terms.items()})

    def on_epoch_end(self, network, record):
        self.told.append(("epoch", dict(record)))

    def on_fit_end(self, network, history):
        self.told.append(("end", len(history)))


def fitted(X, training=None, callbacks=(), **settings):
    settings = {"n_components": 3, "max_epochs": 3, "batch_size": 16, "random_state": 0, "dtype": "float64"} | settings
    return Autoencoder(training=training, **settings).fit(X, callbacks=callbacks)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.network_.parameters()])


# ------------------------------------------------------------------------------------------ what can be chosen


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    "settings", [{}, {"bottleneck": Gaussian()}, {"penalties": "adversary"}], ids=["plain", "gaussian", "game"]
)
def test_a_batch_in_parts_gives_the_step_of_the_whole(settings, weighted, X):
    weight = np.arange(100) % 3 + 0.5 if weighted else None
    models = [
        Autoencoder(3, corruption="noise", max_epochs=2, batch_size=32, random_state=0, dtype="float64", **settings)
        .set_params(training=Training("adam", accumulate=parts))
        .fit(X, sample_weight=weight)
        for parts in (1, 3)
    ]
    assert not torch.equal(weights_of(models[0]), weights_of(models[1]))
    torch.testing.assert_close(weights_of(models[1]), weights_of(models[0]), rtol=1e-7, atol=1e-9)
    for one, other in zip(*(model.history_ for model in models), strict=True):
        for name in one.keys() - {"seconds"}:
            assert one[name] == pytest.approx(other[name], rel=1e-9)


def test_as_many_parts_as_the_memory_asks_for(X, tmp_path, monkeypatch):
    settings = {"architecture": Dense((64,), bypass=False), "batch_size": 32}
    free = 4 * 8 * (64 + 64 + 64 + 3 + 64 + 64 + 64) * 32  # a step of the whole batch, in float64
    for memory, parts in ((8 * free, 1), (free, 2), (free // 4, 8), (1, 32)):
        monkeypatch.setattr("isthmus.data.memory.free_memory", lambda device="cpu", memory=memory: memory)
        training = Training(accumulate="auto", memory_limit="1GB")
        model = Autoencoder(3, max_epochs=1, dtype="float64", random_state=0, training=training, **settings)
        model.fit(X, checkpoint=tmp_path / str(parts))
        assert json.loads((tmp_path / str(parts) / "run.json").read_text())["parts"] == pytest.approx(parts, abs=parts // 2)
    monkeypatch.undo()
    first = weights_of(model)
    assert torch.equal(weights_of(model.fit(X, checkpoint=tmp_path / "32")), first)


def test_a_batch_smaller_than_its_parts_is_run_one_by_one(X):
    fitted(X[:5], Training(accumulate=64), batch_size=4)


def test_a_clipped_gradient_is_no_longer_than_the_bound(X, monkeypatch):
    lengths = []

    class Measured(Muon):
        def step(self):
            lengths.append(math.sqrt(sum(float(p.grad.square().sum()) for p in self.parameters if p.grad is not None)))
            super().step()

    monkeypatch.setattr("isthmus.training.Muon", Measured)
    fitted(X)
    free, lengths = lengths, []
    fitted(X, Training(clip_norm=0.5))
    assert max(free) > 1 and max(lengths) <= 0.5 + 1e-9
    bound, lengths = 2 * max(free), []
    torch.testing.assert_close(weights_of(fitted(X, Training(clip_norm=bound))), weights_of(fitted(X)), rtol=0, atol=0)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_average_is_that_of_the_equation(decay, X):
    note = Note()
    model = fitted(X, Training(ema_decay=decay), [note])
    share = [(1 - decay) * decay ** (len(note.weights) - 1 - i) for i in range(len(note.weights))]
    expected = [sum(s * w for s, w in zip(share, each, strict=True)) / sum(share) for each in zip(*note.weights, strict=True)]
    for found, wanted in zip(model.network_.parameters(), expected, strict=True):
        torch.testing.assert_close(found.detach(), wanted, rtol=1e-10, atol=1e-12)


def test_validation_sees_the_averages_and_they_change_no_step(X, digits):
    held_out, plain, averaged = digits[0][100:150] * 16, Note(), Note()
    settings = {"n_components": 3, "max_epochs": 3, "batch_size": 16, "random_state": 0, "dtype": "float64"}
    Autoencoder(**settings).fit(X, validation=held_out, callbacks=[plain])
    model = Autoencoder(**settings, training=Training(ema_decay=0.9)).fit(X, validation=held_out, callbacks=[averaged])
    assert plain.steps == averaged.steps
    assert -model.score(held_out) == pytest.approx(model.history_[-1]["validation_loss"], rel=1e-9)
    assert plain.told[-2][1]["validation_loss"] != averaged.told[-2][1]["validation_loss"]


def test_the_best_averages_stay_under_early_stopping(X, digits):
    held_out = digits[0][100:150] * 16
    settings = {"patience": 2, "learning_rate": 0.2, "max_epochs": 40, "random_state": 0}
    training = Training(schedule="constant", ema_decay=0.8)
    model = Autoencoder(8, loss="squared", **settings, training=training).fit(X, validation=held_out)
    best = min(record["validation_loss"] for record in model.history_)
    assert -model.score(held_out) == pytest.approx(best, rel=1e-5)


def test_averages_keep_what_a_part_promises_of_its_weights(X):
    model = fitted(X, Training(ema_decay=0.9), architecture=Dense((), unit_norm=True, bypass=False), n_components=8)
    columns = model.network_.architecture.head[1].weight.detach().norm(dim=0)
    torch.testing.assert_close(columns, torch.ones_like(columns), rtol=1e-9, atol=0)


def test_averages_start_without_the_first_weights():
    layer = torch.nn.Linear(2, 1)
    averages = Averages(layer, 0.99)
    averages.update()
    assert torch.equal(averages.values[0], layer.weight)


def test_the_time_is_over_and_a_longer_run_goes_on(X, tmp_path):
    class Slow:
        def on_step_end(self, network, step, terms):
            time.sleep(0.02)

    def run(seconds, callbacks):
        training = Training(max_time=seconds, schedule="linear")
        model = Autoencoder(3, max_epochs=4, batch_size=16, random_state=0, training=training)
        return model.fit(X, checkpoint=tmp_path / "run", callbacks=callbacks)

    short = run(0.1, [Slow()])
    steps = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["state"]["step"]
    assert 1 <= steps < 28 and short.n_iter_ == -(-steps // 7)
    again = run(0.1, [Slow()])
    assert torch.equal(weights_of(again), weights_of(short))
    whole = Autoencoder(3, max_epochs=4, batch_size=16, random_state=0).fit(X)
    assert torch.equal(weights_of(run(600, ())), weights_of(whole))
    assert fitted(X, Training(max_time=1e-9)).n_iter_ == 1


def test_the_command_line_ends_in_time(tmp_path):
    arguments = ["fit", "digits:test", "-n", "3", "--epochs", "50", "--max-time", "0.0001", "-o", str(tmp_path / "model")]
    assert main(arguments) == 0
    assert load(tmp_path / "model").n_iter_ == 1


def test_deterministic_is_asked_of_torch_while_training_only(X):
    seen = []

    class Look:
        def on_step_end(self, network, step, terms):
            seen.append(torch.are_deterministic_algorithms_enabled())

    model = fitted(X, Training(deterministic=True), [Look()])
    assert all(seen) and not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(weights_of(model), weights_of(fitted(X)))


WRONG = {
    "clip_norm": (0, -1.0, math.nan, "1"),
    "ema_decay": (1.0, -0.1, "0.9"),
    "accumulate": (0, 1.5, None),
    "max_time": (0, -3, math.nan),
    "deterministic": (1, None, "yes"),
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in WRONG.items() for value in values])
def test_what_makes_no_sense_is_refused_by_name(name, value, X):
    with pytest.raises(ValueError, match=rf"Training\({name}="):
        fitted(X, Training(**{name: value}))


# ---------------------------------------------------------------------------------------------------- warm start


def test_a_warm_start_goes_on_with_weights_and_schema(X, digits, tmp_path):
    other = digits[0][100:200] * 16
    model = fitted(X)
    model.save(tmp_path / "model")
    first, center = weights_of(model).clone(), model.schema_.center.clone()
    note = Note()
    tuned = load(tmp_path / "model").set_params(warm_start=True, max_epochs=2, learning_rate=1e-9).fit(other, callbacks=[note])
    torch.testing.assert_close(weights_of(tuned), first, rtol=1e-5, atol=1e-6)
    assert torch.equal(tuned.schema_.center, center)
    assert [record["epoch"] for record in tuned.history_] == [1, 2, 3, 4, 5] and tuned.n_iter_ == 5
    assert note.told[0][1]["epoch"] == 4
    tuned.set_params(learning_rate="auto", max_epochs=20).fit(other)
    assert tuned.score(other) > model.score(other)


def test_without_it_and_before_the_first_fit_all_is_as_ever(X):
    assert torch.equal(weights_of(fitted(X, warm_start=True)), weights_of(fitted(X)))
    assert torch.equal(weights_of(fitted(X).fit(X)), weights_of(fitted(X)))


def test_what_has_no_weights_may_change_and_the_warm_up_of_a_price_is_over(X):
    model = fitted(X, bottleneck=Gaussian(warmup=10))
    model.set_params(warm_start=True, bottleneck__beta=9.0, corruption="noise").fit(X)
    assert model.network_.bottleneck.beta == 9.0 and model.network_.bottleneck.steps == 42
    assert len(model.network_.corruption) == 1


def test_another_network_is_refused_and_the_model_stays(X):
    model = fitted(X)
    codes = model.transform(X)
    with pytest.raises(ValueError, match=r"warm_start=True .* describe another network .*size mismatch"):
        model.set_params(warm_start=True, n_components=5).fit(X)
    with pytest.raises(ValueError, match="64 features"):
        model.set_params(n_components=3).fit(X[:, :5])
    np.testing.assert_array_equal(model.transform(X), codes)


def test_a_warm_start_is_resumed_too(X, tmp_path):
    class Killed(Exception):
        pass

    class KilledAt:
        def on_step_end(self, network, step, terms):
            if step == 9:
                raise Killed

    def warm():
        model = fitted(X, Training(checkpoint_every="2 steps"), patience=5, warm_start=True)
        return model.set_params(learning_rate=0.01)

    whole = warm().fit(X)
    with pytest.raises(Killed):
        warm().fit(X, checkpoint=tmp_path / "run", callbacks=[KilledAt()])
    resumed = warm().fit(X, checkpoint=tmp_path / "run")
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert [r["validation_loss"] for r in resumed.history_] == [r["validation_loss"] for r in whole.history_]
    with pytest.raises(ValueError, match="SHA-256 of the first weights"):
        fitted(X, Training(checkpoint_every="2 steps"), patience=5, warm_start=True, max_epochs=2).set_params(
            learning_rate=0.01, max_epochs=3
        ).fit(X, checkpoint=tmp_path / "run")


# -------------------------------------------------------------------------------------------- what went wrong


class Failing(Part):
    """A penalty that is NaN for some samples from some step on."""

    def __init__(self, step=5, samples=(3, 40)):
        super().__init__()
        self.step, self.samples = step, samples
        self.seen = 0

    def forward(self, step):
        bad = torch.isin(step.random.rows, torch.tensor(self.samples)) & (self.seen >= self.step)
        return torch.where(bad, torch.nan, step.code.z.square().sum(1))

    def after(self, step):
        self.seen += 1


def stopped(model, X, **given):
    with pytest.raises(Diverged) as caught:
        model.fit(X, **given)
    return str(caught.value), caught.value


@pytest.mark.parametrize("step", [5, LOOK + 30])
def test_the_step_the_term_and_the_samples_are_named_and_the_state_before_is_kept(step, X):
    settings = {"n_components": 3, "batch_size": 1, "max_epochs": 4, "random_state": 0}
    order = Note()
    model = Autoencoder(**settings, penalties=Failing(step, (3,)))
    words, failure = stopped(model, X[:60], callbacks=[order])
    assert f", step {failure.step}: failing became NaN or infinite" in words and "in sample 3." in words
    assert step < failure.step <= step + 60
    weights = torch.cat([p.flatten() for p in order.weights[failure.step - 2]])
    assert torch.equal(weights_of(model), weights)
    assert np.isfinite(model.transform(X)).all() and model.n_iter_ == len(model.history_)


def test_of_a_batch_the_samples_are_named_by_their_place_in_the_data(X):
    words, _ = stopped(Autoencoder(3, penalties=Failing(), batch_size=100, max_epochs=9, random_state=0), X)
    assert "epoch 6, step 6: failing became NaN or infinite in samples 3, 40." in words and "lower weight of failing" in words


def test_places_count_in_the_data_that_were_given_where_some_are_held_out(X):
    words, _ = stopped(
        Autoencoder(3, penalties=Failing(samples=(0,)), batch_size=90, max_epochs=9, patience=9, random_state=0), X
    )
    place = int(words.split("in sample ")[1].split(".")[0])
    other = Autoencoder(3, penalties=Failing(samples=(1,)), batch_size=90, max_epochs=9, patience=9, random_state=0)
    assert place < int(stopped(other, X)[0].split("in sample ")[1].split(".")[0])


def test_a_column_that_is_far_too_large_is_named(X):
    frame = pd.DataFrame(X[:, :6], columns=list("abcdef"))
    frame.loc[7, "c"] = 1e30
    words, _ = stopped(Autoencoder(2, scale="none", loss="squared", corruption=None, batch_size=100, random_state=0), frame)
    assert "loss became NaN or infinite" in words and "'c' (1e+30 in sample 7). Scale the data" in words


def test_samples_that_were_held_out_are_named_too(X):
    held_out = X[50:60].copy()
    held_out[3] = 1e30
    words, _ = stopped(Autoencoder(3, scale="none", loss="squared", random_state=0), X, validation=held_out)
    assert "epoch 1: validation_loss (of sample 3 of the validation data) became NaN" in words


class Steep(Part):
    """A penalty whose value is finite and whose gradient is not."""

    def forward(self, step):
        return (step.code.z * 0).abs().sqrt().sum(1)


def test_a_gradient_that_is_not_finite_is_named(X):
    words, _ = stopped(Autoencoder(3, penalties=Steep(), random_state=0), X)
    assert "step 1: the gradient of steep became NaN or infinite" in words


def test_a_model_that_was_fitted_stays_what_it_was(X):
    model = Autoencoder(3, max_epochs=1, batch_size=100, random_state=0).fit(X)
    codes = model.transform(X)
    stopped(model.set_params(penalties=Failing(2), max_epochs=9), X)
    np.testing.assert_array_equal(model.transform(X), codes)


def test_no_checkpoint_is_written_of_a_state_that_is_not_good(X, tmp_path):
    model = Autoencoder(3, penalties=Failing(5, (3,)), batch_size=100, max_epochs=9, random_state=0)
    words, failure = stopped(model.set_params(training=Training(checkpoint_every="1 steps")), X, checkpoint=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["state"]
    assert "step 6" in words and failure.step == 6 and kept["step"] == 5


def test_looking_changes_no_number(X, monkeypatch):
    often = fitted(X, max_epochs=16)
    monkeypatch.setattr("isthmus.trouble.LOOK", 10**9)
    assert torch.equal(weights_of(fitted(X, max_epochs=16)), weights_of(often))


def test_a_collapsed_code_is_reported_while_it_happens(digits):
    told = []

    class Heard:
        def on_epoch_end(self, network, record):
            told.append((record["epoch"], len(caught)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        presets.variational(4, beta=1000.0, max_epochs=12, batch_size=64, random_state=0).fit(
            digits[0][:256], callbacks=[Heard()]
        )
    first = next(epoch for epoch, count in told if count)
    assert first < 12 and "epochs: The code has collapsed (active_units=0)" in str(caught[0].message)


# ----------------------------------------------------------------------------------------------------- watching


def test_the_moments_of_a_run_come_in_their_order(X):
    note = Note()
    model = fitted(X, callbacks=[note, object()])
    assert [moment for moment, _ in note.told] == ["begin", "epoch", "epoch", "epoch", "end"]
    about = note.told[0][1]
    assert (about["samples"], about["steps"], about["epoch"], about["seed"]) == (100, 21, 1, model.seed_)
    assert about["params"]["n_components"] == 3 and about["versions"]["torch"] == torch.__version__
    json.dumps(about)
    assert len(note.steps) == 21 and note.steps[0].keys() == {"loss"}


def test_progress_tells_rate_and_time_left(X, capfd):
    fitted(X, verbose=2)
    shown = capfd.readouterr().err
    assert "epoch 3/3" in shown and "300/300" in shown and "samples/s" in shown


def test_tensorboard_gets_losses_health_and_pictures(images, tmp_path):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX: pip install 'isthmus[tensorboard]'")
    from tensorboardX.proto.event_pb2 import Event

    board = TensorBoard(tmp_path / "run", pictures=images)
    settings = {"max_epochs": 2, "batch_size": 50, "random_state": 0, "kind": "images"}
    model = presets.variational(3, **settings).fit(images, callbacks=[board])
    plain = presets.variational(3, **settings).fit(images)
    assert torch.equal(weights_of(model), weights_of(plain))
    (file,) = (tmp_path / "run").iterdir()
    content, values = file.read_bytes(), {}
    while content:  # records of length, its checksum, the event, and its checksum
        length = int.from_bytes(content[:8], "little")
        for value in Event.FromString(content[12 : 12 + length]).summary.value:
            values.setdefault(value.tag, []).append(value)
        content = content[16 + length :]
    assert [value.simple_value for value in values["loss"]] == pytest.approx([r["loss"] for r in model.history_], rel=1e-6)
    assert {"cost", "kl", "active_units", "learning_rate", "kl_components", "reconstructions"} <= values.keys()
    assert (values["reconstructions"][0].image.height, values["reconstructions"][0].image.width) == (16, 64)


def test_pictures_of_what_is_none_are_refused(X, tmp_path):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX: pip install 'isthmus[tensorboard]'")
    with pytest.raises(ValueError, match="images of one size; this one was fitted to vectors"):
        fitted(X, callbacks=[TensorBoard(tmp_path / "run", pictures=X)])


def test_a_dense_network_of_the_users_choice_is_clipped_averaged_and_accumulated_at_once(X):
    training = Training(clip_norm=1.0, ema_decay=0.5, accumulate=2, deterministic=True)
    model = fitted(X, training, architecture=Dense((8,)))
    assert np.isfinite(model.transform(X)).all()


def test_adam_is_that_of_torch_bit_for_bit():
    torch.manual_seed(0)
    first = [torch.randn(5, 3), torch.randn(7), torch.randn(2, 2)]
    mine, theirs = ([torch.nn.Parameter(p.clone()) for p in first] for _ in range(2))
    own, torchs = Adam(mine, 0.01, 0.1), torch.optim.AdamW(theirs, 0.01, (0.9, 0.99), 1e-8, 0.1, fused=True)
    for step in range(6):
        for weights in (mine, theirs):
            for place, p in enumerate(weights):
                p.grad = None if place == 2 and step < 3 else torch.sin(p.detach() * (step + 1))
        own.learning_rate = torchs.param_groups[0]["lr"] = 0.01 / (step + 1)
        own.step()
        torchs.step()
        assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))
