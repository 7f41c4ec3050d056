"""Bad input gives a clear error: what was seen, what was expected, and the cure. What is merely unusual works."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn

from isthmus import Autoencoder, Training, load, presets, report
from isthmus.data import read_path
from isthmus.parts import (
    JPEG,
    L1,
    MMD,
    Conv,
    Dense,
    Gaussian,
    JumpReLU,
    Mask,
    Mixture,
    Modules,
    Noise,
    Plain,
    Squared,
    TopK,
    Vamp,
)  # fmt: skip

random = np.random.default_rng(0)
ROWS = random.normal(size=(40, 6))
PICTURES = random.integers(0, 256, (20, 8, 9), dtype=np.uint8)


def fit(X=ROWS, /, *args, n_components=2, **settings):
    """Fits with the constructor's `settings`; what fit itself takes is passed on to it."""
    taken = {name: settings.pop(name) for name in ("target", "condition", "sample_weight", "validation") if name in settings}
    return Autoencoder(n_components, **{"max_epochs": 1, "random_state": 0} | settings).fit(X, *args, **taken)


def vae():
    return fit(bottleneck="gaussian")


def with_value(X, value):
    X = np.array(X, float)
    X.flat[7] = value
    return X


# Each row: what is done, the error, and words that its message holds, in any order.
DATA = {
    "NaN": (lambda: fit(with_value(ROWS, np.nan)), ValueError, ["X", "NaN"]),
    "infinity": (lambda: fit(with_value(ROWS, np.inf)), ValueError, ["X", "infinity"]),
    "NaN in a tensor": (
        lambda: fit(torch.from_numpy(with_value(ROWS, np.nan))), ValueError, ["NaN", "sample 1", "Remove or fill"],
    ),
    "NaN in a sparse matrix": (lambda: fit(sparse.csr_matrix(with_value(ROWS, np.nan))), ValueError, ["NaN"]),
    "NaN in a picture": (
        lambda: fit(with_value(PICTURES, np.nan), kind="images"), ValueError, ["NaN", "sample 0", "Remove or fill"],
    ),
    "NaN at transform": (lambda: fit().transform(with_value(ROWS, np.nan)), ValueError, ["NaN"]),
    "NaN in codes": (lambda: fit().inverse_transform(with_value(ROWS[:, :2], np.nan)), ValueError, ["codes", "NaN"]),
    "NaN in the target": (lambda: fit(target=with_value(ROWS, np.nan)), ValueError, ["NaN"]),
    "infinity in validation": (lambda: fit(validation=with_value(ROWS, np.inf)), ValueError, ["infinity"]),
    "no rows": (lambda: fit(ROWS[:0]), ValueError, ["0 sample", "minimum of 1"]),
    "no columns": (lambda: fit(ROWS[:, :0]), ValueError, ["0 feature", "minimum of 1"]),
    "no rows in a tensor": (lambda: fit(torch.zeros(0, 6)), ValueError, ["(0, 6)", "at least one"]),
    "no pictures": (lambda: fit(PICTURES[:0]), ValueError, ["(0, 8, 9)", "at least one|one or more"]),
    "empty list": (lambda: fit([]), ValueError, ["empty|0 sample|at least one"]),
    "empty list of pictures": (lambda: fit([], kind="images"), ValueError, ["empty", "At least one"]),
    "no rows at transform": (lambda: fit().transform(ROWS[:0]), ValueError, ["0 sample"]),
    "text": (lambda: fit([["a", "b"], ["c", "d"]]), ValueError, ["could not convert string to float|text|numeric"]),
    "sentences as vectors": (lambda: fit(["one sentence", "another"], kind="vectors"), ValueError, ["text|string|number"]),
    "a column of text": (
        lambda: fit(pd.DataFrame({"x": [1.0, 2], "y": ["a", "b"]}), kind="vectors"), ValueError, ["could not convert|text"],
    ),
    "one row as a vector": (lambda: fit(ROWS[0]), ValueError, ["Expected 2D array", "reshape"]),
    "no array at all": (lambda: fit(None), ValueError, ["None|Expected 2D array"]),
    "other number of columns": (lambda: fit().transform(ROWS[:, :3]), ValueError, ["X has 3 features", "expecting 6 features"]),
    "other columns, tensor": (lambda: fit().transform(torch.zeros(2, 3)), ValueError, ["X has 3 features", "expecting 6"]),
    "other columns, encode": (lambda: fit().encode(torch.zeros(2, 3)), ValueError, ["3", "6"]),
    "other columns, one divides": (lambda: fit().encode(torch.zeros(2, 12)), ValueError, ["12", "6"]),
    "validation of other columns": (lambda: fit(validation=ROWS[:, :3]), ValueError, ["3 features", "6 features"]),
    "pictures of another size": (
        lambda: fit(PICTURES).transform(PICTURES[:, :7]), ValueError, ["7 x 9", "8 x 9", "resize or crop"],
    ),
    "pictures in colour": (
        lambda: fit(PICTURES).transform(np.stack([PICTURES] * 3, -1)), ValueError, ["3 channels", "1 channel"],
    ),
    "pictures of several sizes": (
        lambda: fit([PICTURES[0], PICTURES[1, :5]]), ValueError, ["(5, 9)", "(8, 9)", "Resize or crop"],
    ),
    "pixels of 64 bits": (lambda: fit(PICTURES.astype(int), kind="images"), ValueError, ["int64", "uint8", "astype"]),
    "vectors for an image model": (lambda: fit(PICTURES).transform(ROWS), ValueError, [r"\(40, 6\)", "height, width"]),
    "floats of three axes": (lambda: fit(PICTURES / 255), ValueError, ["(20, 8, 9)", "kind='images'", "flatten"]),
    "whole numbers of six axes": (lambda: fit(np.zeros((2, 2, 3, 4, 4, 1), np.uint8)), ValueError, ["(2, 2, 3, 4, 4", "flatten"]),
    "outside [0, 1] with bernoulli": (
        lambda: fit(loss="bernoulli"), ValueError, ["loss='bernoulli'", "between 0 and 1", "scale='minmax'", "loss='squared'"],
    ),
    "target outside [0, 1]": (
        lambda: fit(random.uniform(size=(40, 6)), target=ROWS, loss="bernoulli"), ValueError, ["target ranges from", "minmax"],
    ),
    "another number of targets": (lambda: fit(target=ROWS[:5]), ValueError, ["5 samples", "40", "one target for each"]),
    "complex numbers": (lambda: fit(ROWS * 1j), ValueError, ["[Cc]omplex"]),
    "text that stands for no number": (lambda: fit(np.array([["a"] * 6])), ValueError, ["holds text", "'a'", "encode them"]),
    "a named column of text": (
        lambda: fit(pd.DataFrame({"size": [1.0, 2.0], "name": ["x", "y"]}), kind="vectors"), ValueError,
        ["text in name", "kind='table'"],
    ),
    "text for pictures": (lambda: fit(np.full((3, 4, 4), "a"), kind="images"), ValueError, ["Pixels must be", "Give numbers"]),
    "text for codes": (lambda: fit().decode(np.array([["a", "b"]])), ValueError, ["codes must be numbers"]),
    "codes that are NaN": (lambda: fit().decode(np.full((2, 2), np.nan)), ValueError, ["codes contain NaN", "code 0"]),
    "codes that are NaN, tensor": (
        lambda: fit().inverse_transform(torch.tensor([[0.0, 0.0], [0.0, torch.nan]])), ValueError, ["NaN", "code 1"],
    ),
    "no codes": (lambda: fit().decode(np.zeros((0, 2))), ValueError, ["codes are empty"]),
    "NaN in a tensor to encode": (lambda: fit().encode(torch.full((2, 6), torch.nan)), ValueError, ["NaN or infinity"]),
    "scores far outside [0, 1]": (
        lambda: fit(random.uniform(size=(40, 6)), loss="bernoulli").score(9 * ROWS), ValueError, ["between 0 and 1", "Scale"],
    ),
    "validation far outside [0, 1]": (
        lambda: fit(random.uniform(size=(40, 6)), loss="bernoulli", validation=9 * ROWS), ValueError, ["between 0 and 1"],
    ),
    "modules that are none": (lambda: fit(architecture=Modules(1, 2)), TypeError, [r"Modules\(encoder=1\)", "nn.Module"]),
    "modules that are classes": (lambda: fit(architecture=Modules(nn.Linear, nn.Linear)), TypeError, ["not its class"]),
    "a report on other columns": (
        lambda: report.compare(fit(), ROWS[:, :3]), ValueError, ["X has 3 features", "expecting 6"],
    ),
}  # fmt: skip

PARAMETERS = {
    "n_components": (lambda: fit(n_components=0), ValueError, ["n_components=0", "1 or more", "'auto'"]),
    "n_components negative": (lambda: fit(n_components=-3), ValueError, ["n_components=-3", "1 or more"]),
    "n_components fraction": (lambda: fit(n_components=2.5), ValueError, ["n_components=2.5", "whole number"]),
    "n_components text": (lambda: fit(n_components="many"), ValueError, ["n_components='many'", "'auto'"]),
    "n_components true": (lambda: fit(n_components=True), ValueError, ["n_components=True"]),
    "as many components as columns": (lambda: fit(n_components=6), ValueError, ["code of 6", "below 6", "noise"]),
    "more components than columns": (lambda: fit(n_components=60), ValueError, ["code of 60", "below 6"]),
    "a map as large as the picture": (
        lambda: fit(PICTURES, n_components=None, architecture=Conv((64,))), ValueError, ["72", "fewer channels"],
    ),
    "max_epochs": (lambda: fit(max_epochs=0), ValueError, ["max_epochs=0", "1 or more"]),
    "max_epochs fraction": (lambda: fit(max_epochs=1.5), ValueError, ["max_epochs=1.5"]),
    "batch_size": (lambda: fit(batch_size=-1), ValueError, ["batch_size=-1", "1 or more"]),
    "learning_rate": (lambda: fit(learning_rate=0), ValueError, ["learning_rate=0", "above zero"]),
    "learning_rate NaN": (lambda: fit(learning_rate=np.nan), ValueError, ["learning_rate=nan"]),
    "learning_rate text": (lambda: fit(learning_rate="fast"), ValueError, ["learning_rate='fast'", "'auto'"]),
    "learning_rate true": (lambda: fit(learning_rate=True), ValueError, ["learning_rate=True", "above zero"]),
    "random_state": (lambda: fit(random_state="luck"), ValueError, ["random_state='luck'", "whole number"]),
    "random_state negative": (lambda: fit(random_state=-1), ValueError, ["random_state=-1", "RandomState"]),
    "verbose": (lambda: fit(verbose="loud"), ValueError, ["verbose='loud'", "whole number"]),
    "device of a wrong type": (lambda: fit(device=None), ValueError, ["device=None", "'auto'"]),
    "patience": (lambda: fit(patience=0), ValueError, ["patience=0", "1 or more"]),
    "patience for one sample": (lambda: fit(ROWS[:1], patience=2), ValueError, ["1 sample", "cannot be split", "patience"]),
    "validation": (lambda: fit(validation=1.5), ValueError, ["validation=1.5", "between 0 and 1"]),
    "dtype": (lambda: fit(dtype="float16"), ValueError, ["dtype='float16'", "'float32' or 'float64'"]),
    "device": (lambda: fit(device="gpu"), ValueError, ["device='gpu'", "'cpu'"]),
    "device not there": (lambda: fit(device="cuda:63"), ValueError, ["device='cuda:63'", "'auto'"]),
    "kind": (lambda: fit(kind="smell"), ValueError, ["kind='smell'", "'vectors', 'table', 'images'"]),
    "scale": (lambda: fit(scale="log"), ValueError, ["scale='log'", "'standard', 'minmax'"]),
    "scale of pictures": (lambda: fit(PICTURES, scale="log"), ValueError, ["scale='log'", "'standard', 'minmax'"]),
    "loss": (lambda: fit(loss="sqared"), ValueError, ["loss='sqared'", "'squared', 'absolute', 'bernoulli'"]),
    "architecture": (lambda: fit(architecture="resnet"), ValueError, ["architecture='resnet'", "'dense', 'conv'"]),
    "architecture of a wrong type": (lambda: fit(architecture=5), TypeError, ["architecture=5", "'dense', 'conv'"]),
    "bottleneck": (lambda: fit(bottleneck="tight"), ValueError, ["bottleneck='tight'", "'plain'"]),
    "corruption": (lambda: fit(corruption="rust"), ValueError, ["corruption='rust'", "'noise'"]),
    "objective": (lambda: fit(objective="fame"), ValueError, ["objective='fame'", "'sum'"]),
    "penalty": (lambda: fit(penalties="fine"), ValueError, ["penalty='fine'", "pass a part"]),
    "prior": (lambda: fit(prior="belief"), ValueError, ["prior='belief'", "pass a part"]),
    "a class for an instance": (lambda: fit(architecture=Dense), TypeError, ["architecture=Dense", "an instance", "Dense()"]),
    "activation": (lambda: fit(architecture=Dense(activation="swish")), ValueError, ["activation='swish'", "'silu'"]),
    "activation of the code": (lambda: fit(bottleneck=Plain("swish")), ValueError, ["activation='swish'", "'relu'"]),
    "hidden": (lambda: fit(architecture=Dense(hidden=(8, 0))), ValueError, ["hidden=(8, 0)", "whole numbers of 1 or more"]),
    "hidden fraction": (lambda: fit(architecture=Dense(hidden=8.5)), ValueError, ["hidden=8.5", "whole numbers of 1 or more"]),
    "hidden text": (lambda: fit(architecture=Dense(hidden="big")), ValueError, ["hidden='big'", "whole numbers"]),
    "layers": (lambda: fit(architecture=Dense(layers=-1)), ValueError, ["layers=-1"]),
    "layers fraction": (lambda: fit(architecture=Dense(layers=1.5)), ValueError, ["layers=1.5"]),
    "channels": (lambda: fit(PICTURES, architecture=Conv((0,))), ValueError, ["channels=(0,)", "whole numbers of 1 or more"]),
    "no stages": (lambda: fit(PICTURES, architecture=Conv(())), ValueError, ["channels=()"]),
    "even kernel": (lambda: fit(PICTURES, architecture=Conv(kernel=2)), ValueError, ["kernel=2", "odd"]),
    "down": (lambda: fit(PICTURES, architecture=Conv(down="jump")), ValueError, ["down='jump'", "'stride' or 'pool'"]),
    "up": (
        lambda: fit(PICTURES, architecture=Conv(up="jump")), ValueError, ["up='jump'", "'transpose', 'upsample' or 'unpool'"],
    ),
    "unpool without pool": (
        lambda: fit(PICTURES, architecture=Conv(up="unpool")), ValueError, ["up='unpool'", "Set down='pool'"],
    ),
    "convolution of rows": (lambda: fit(architecture="conv"), ValueError, ["(6,)", "architecture='dense'", "kind='images'"]),
    "noise": (lambda: fit(corruption=Noise(-1)), ValueError, ["std=-1", "zero or more"]),
    "noise NaN": (lambda: fit(corruption=Noise(np.nan)), ValueError, ["std=nan"]),
    "noise text": (lambda: fit(corruption=Noise("loud")), ValueError, ["std='loud'"]),
    "optimizer": (lambda: fit(training=Training("sgd")), ValueError, ["optimizer='sgd'", "'muon' or 'adam'"]),
    "schedule": (lambda: fit(training=Training(schedule="steps")), ValueError, ["schedule='steps'", "'linear'"]),
    "warmup": (lambda: fit(training=Training(warmup=1)), ValueError, ["warmup=1", "in [0, 1)"]),
    "weight_decay": (lambda: fit(training=Training(weight_decay=-1)), ValueError, ["weight_decay=-1", "zero or more"]),
    "training by name": (lambda: fit(training="adam"), TypeError, ["training='adam'", "Training(optimizer='adam')"]),
    "a vamp prior with a condition": (
        lambda: fit(bottleneck="gaussian", prior=Vamp(3), condition=np.arange(40) % 2), ValueError,
        [r"Vamp\(components=3\)", "without a condition", "Leave prior away"],
    ),
    "JPEG of pixels beyond [0, 1]": (
        lambda: fit(PICTURES - 100.0, kind="images", corruption=JPEG()), ValueError, ["JPEG()", "from 0 to 1", "scale='minmax'"],
    ),
    "more groups than samples": (
        lambda: fit(prior=Mixture(50)), ValueError, ["Mixture(components=50)", "there are 40", "fewer components"],
    ),
    "unknown parameter": (lambda: Autoencoder().set_params(n_latent=3), ValueError, ["n_latent", "n_components"]),
    "weights of another number": (lambda: fit(sample_weight=np.ones(5)), ValueError, ["sample_weight", "40", "(5,)"]),
    "a negative weight": (lambda: fit(sample_weight=np.full(40, -1.0)), ValueError, ["sample_weight", "zero or more"]),
    "a weight that is NaN": (lambda: fit(sample_weight=np.full(40, np.nan)), ValueError, ["sample_weight", "finite"]),
    "weights of zero": (lambda: fit(sample_weight=np.zeros(40)), ValueError, ["sample_weight", "not all zero"]),
    "own encoder for other data": (
        lambda: fit(architecture=Modules(nn.Linear(5, 3), nn.Linear(2, 6))), ValueError, ["encoder (Linear)", "(2, 6)"],
    ),
    "own decoder of another width": (
        lambda: fit(architecture=Modules(nn.Linear(6, 3), nn.Linear(2, 5))), ValueError, ["(5,)", "(6,) is expected"],
    ),
}  # fmt: skip

PRESETS = {
    "another corruption": (
        lambda: presets.denoising(corruption=Mask()), ValueError, ["denoising", "Mask()", "Noise()", "use Autoencoder("],
    ),
    "no corruption": (lambda: presets.masked(corruption=None), ValueError, ["masked", "corruption=None", "Autoencoder"]),
    "an architecture": (lambda: presets.dense(architecture="conv"), ValueError, ["dense", "'conv'", "use Autoencoder("]),
    "an architecture for a share": (
        lambda: presets.dropout(share=0.5, architecture=Dense()), ValueError, ["dropout", "Dense()", "use Autoencoder("],
    ),
    "another bottleneck": (
        lambda: presets.variational(bottleneck="plain"), ValueError, ["variational", "'plain'", "Gaussian()", "use Autoencoder("],
    ),
    "another bottleneck for a weight": (
        lambda: presets.beta(bottleneck="l1"), ValueError, ["presets.beta(", "Gaussian(beta=4.0)"],
    ),
    "one of two parts": (lambda: presets.vamp(prior=Mixture()), ValueError, ["vamp", "Mixture()", "Vamp"]),
    "a part and its parameter": (
        lambda: presets.topk(k=8, bottleneck=TopK(4)), ValueError, ["TopK(k=4)", "TopK(k=8)", "would be lost", "Leave one"],
    ),
    "convolution of vectors": (
        lambda: presets.convolutional(2, kind="vectors", max_epochs=1).fit(ROWS), ValueError, ["(6,)", "kind='images'"],
    ),
}  # fmt: skip

CONDITIONS = {
    "a preset's condition left away": (
        lambda: presets.conditional(2, max_epochs=1).fit(ROWS, np.arange(40) % 2), ValueError, ["fit(X, condition=y)", "y alone"],
    ),
    "amounts for labels": (
        lambda: fit(condition=ROWS[:, 0]), ValueError, [f"{ROWS[0, 0]:.4g}", "reshape(-1, 1)", "as text"],
    ),
    "labels that are missing": (lambda: fit(condition=[None, "a"] * 20), ValueError, ["NoneType, str", "none is missing"]),
    "a label that is missing, afterwards": (
        lambda: fit(condition=["a", "b"] * 20).transform(ROWS[:2], condition=["a", None]), ValueError, ["NoneType, str"],
    ),
    "labels that are NaN": (lambda: fit(condition=np.full(40, np.nan)), ValueError, ["condition contains NaN", "Fill it"]),
}  # fmt: skip

PLACES = {
    "a corruption for a bottleneck": (lambda: fit(bottleneck=Noise()), TypeError, ["bottleneck=Noise()", "corruption=Noise()"]),
    "a bottleneck for a penalty": (lambda: fit(penalties=[L1()]), TypeError, ["penalties=L1()", "bottleneck=L1()"]),
    "a penalty for a loss": (lambda: fit(loss=MMD()), TypeError, ["loss=MMD()", "penalties=MMD()"]),
    "a loss for an architecture": (lambda: fit(architecture=Squared()), TypeError, ["architecture=Squared()", "loss=Squared()"]),
    "a prior for an objective": (lambda: fit(objective=Mixture()), TypeError, ["objective=Mixture()", "prior=Mixture()"]),
    "a bottleneck for a prior": (lambda: fit(prior=TopK()), TypeError, ["prior=TopK()", "bottleneck=TopK()"]),
    "a bottleneck for a prior, afterwards": (
        lambda: fit().fit_prior(TopK(), ROWS), TypeError, ["prior=TopK()", "bottleneck=TopK()"],
    ),
    "a gap in an array": (
        lambda: fit(np.where(np.arange(ROWS.size).reshape(ROWS.shape) == ROWS.shape[1] + 2, np.nan, ROWS)),
        ValueError, ["sample 1, column 2", "kind='table'"],
    ),
    "a type that cannot be given back": (
        lambda: fit(pd.DataFrame({"a": np.arange(9, dtype=np.float16), "b": np.arange(9)})), ValueError, ["'a'", "Float32"],
    ),
    "a prior that nothing holds the codes to": (
        lambda: fit().fit_prior("normal", ROWS), ValueError, ["N(0, I)", "fit_prior('mixture', X)"],
    ),
    "an architecture for a corruption": (
        lambda: fit(corruption=[Noise(), Dense()]), TypeError, ["corruption=Dense()", "architecture=Dense()"],
    ),
}  # fmt: skip

USE = {
    "transform before fit": (lambda: Autoencoder().transform(ROWS), NotFittedError, ["not fitted"]),
    "decode before fit": (lambda: Autoencoder().inverse_transform(ROWS), NotFittedError, ["not fitted"]),
    "score before fit": (lambda: Autoencoder().score(ROWS), NotFittedError, ["not fitted"]),
    "sample before fit": (lambda: Autoencoder().sample(), NotFittedError, ["not fitted"]),
    "codes of another width": (lambda: fit().inverse_transform(ROWS), ValueError, ["(40, 6)", "(n_samples, 2)"]),
    "codes of another width, tensor": (lambda: fit().decode(torch.zeros(3, 7)), ValueError, ["(3, 7)", "(n_samples, 2)"]),
    "codes without rows": (lambda: fit().decode(np.zeros(2)), ValueError, ["(2,)", "(n_samples, 2)"]),
    "no prior": (lambda: fit().sample(3), ValueError, ["no prior", "prior="]),
    "a target of its own": (lambda: fit(target=ROWS[:, :3]).score(ROWS), ValueError, ["target", "target="]),
    "no draws": (lambda: vae().log_likelihood(ROWS, 0), ValueError, ["n_draws=0", "1 or more"]),
    "half a draw": (lambda: vae().log_likelihood(ROWS, 2.5), ValueError, ["n_draws=2.5", "whole number"]),
    "no new samples": (lambda: vae().sample(0), ValueError, ["n=0", "1 or more"]),
    "fewer than no variations": (lambda: fit().sample(-1, like=ROWS), ValueError, ["n=-1", "1 or more"]),
    "half a variation": (lambda: fit().sample(1.5, like=ROWS), ValueError, ["n=1.5", "whole number"]),
    "a spread that is text": (lambda: fit().sample(like=ROWS, spread="a"), ValueError, ["spread='a'", "zero or more"]),
    "a spread below zero": (lambda: fit().sample(like=ROWS, spread=-1), ValueError, ["spread=-1", "zero or more"]),
    "variations of one row": (lambda: fit().sample(like=ROWS[0]), ValueError, ["like", "(6,)", "one sample", "like=X[:1]"]),
    "variations of one tensor": (
        lambda: fit().sample(like=torch.from_numpy(ROWS)[0]), ValueError, ["(6,)", "one sample", "like=X[:1]"],
    ),
    "variations of one picture": (lambda: fit(PICTURES).sample(like=PICTURES[0]), ValueError, ["(8, 9)", "like=X[:1]"]),
    "no steps": (lambda: fit().interpolate(ROWS[0], ROWS[1], 0), ValueError, ["steps=0", "2 or more"]),
    "one step": (lambda: fit().interpolate(ROWS[0], ROWS[1], 1), ValueError, ["steps=1", "2 or more"]),
    "steps below zero": (lambda: fit().interpolate(ROWS[0], ROWS[1], -2), ValueError, ["steps=-2", "2 or more"]),
    "half a step": (lambda: fit().interpolate(ROWS[0], ROWS[1], 2.5), ValueError, ["steps=2.5", "whole number"]),
    "a way between rows with their axis": (
        lambda: fit().interpolate(ROWS[:1], ROWS[1:2]), ValueError, ["a has shape (1, 6)", "one sample", "X[0]"],
    ),
    "a way to another size": (
        lambda: fit(PICTURES).interpolate(PICTURES[0], PICTURES[1, :4]), ValueError, ["b has shape (4, 9)", "(8, 9, 1)"],
    ),
    "a model that is no folder": (lambda: load("no/such/folder"), FileNotFoundError, ["no/such/folder", "config.json"]),
}  # fmt: skip


CALLS = (DATA, PARAMETERS, PRESETS, PLACES, CONDITIONS, USE)


def assert_clear(call, error, words):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    missing = [word for word in words if word not in message and not re.search(word, message)]
    assert not missing, f"{missing} not in: {message}"


@pytest.mark.parametrize(
    "call, error, words",
    [row for table in CALLS for row in table.values()],
    ids=[name for table in CALLS for name in table],
)
def test_bad_input_gives_a_clear_error(call, error, words):
    assert_clear(call, error, words)


def test_a_preset_takes_a_part_of_its_own_class():
    units = JumpReLU(10.0, 8, threshold=0.3)
    assert presets.jumprelu(32, bottleneck=units).bottleneck is units
    noises = [Noise(0.1), Mask(0.2)]
    assert presets.denoising(corruption=noises).corruption is noises
    assert presets.vamp(components=5, bottleneck=Gaussian(0.5)).prior.components == 5


# ------------------------------------------------------------------------------------------------------ files


def bytes_in(name, content=b""):
    def write(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    return write


def truncated_picture(folder):
    file = folder / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:900])
    return file


def pictures_of_two_sizes(folder):
    for name, size in (("a.png", (8, 8)), ("b.png", (9, 8))):
        Image.new("L", size).save(folder / name)
    return folder


def one_picture_is_none(folder):
    Image.new("L", (8, 8)).save(folder / "a.png")
    (folder / "b.png").write_text("no picture")
    return folder


def objects_in_npy(folder):
    np.save(folder / "objects.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return folder / "objects.npy"


def truncated_npy(folder):
    np.save(folder / "cut.npy", ROWS)
    (folder / "cut.npy").write_bytes((folder / "cut.npy").read_bytes()[:500])
    return folder / "cut.npy"


def a_folder_with_a_suffix(folder):
    (folder / "folder.npy").mkdir()
    return folder / "folder.npy"


FILES = {
    "missing": (lambda folder: folder / "nowhere.npy", FileNotFoundError, ["nowhere.npy", "does not exist", ".npy"]),
    "empty folder": (lambda folder: folder, ValueError, ["holds no pictures", ".png"]),
    "folder named like a file": (a_folder_with_a_suffix, ValueError, ["folder.npy", "no pictures"]),
    "no picture": (bytes_in("a.png", b"hello"), ValueError, ["a.png", "no picture", "Remove or replace"]),
    "empty picture": (bytes_in("a.jpg"), ValueError, ["a.jpg", "no picture", "Remove or replace"]),
    "truncated picture": (truncated_picture, ValueError, ["cut.png", "no picture", "truncated", "Remove or replace"]),
    "one of the pictures is none": (one_picture_is_none, ValueError, ["b.png", "no picture"]),
    "pictures of two sizes": (pictures_of_two_sizes, ValueError, ["b.png", "(8, 9)", "(8, 8)", "Resize or convert"]),
    "unknown suffix": (bytes_in("a.docx", b"hello"), ValueError, ["'.docx'", ".tsv or .parquet"]),
    "no suffix": (bytes_in("data", b"hello"), ValueError, ["data", ".tsv or .parquet"]),
    "no array": (bytes_in("a.npy", b"hello"), ValueError, ["a.npy", "no .npy array", "numpy.save"]),
    "empty array file": (bytes_in("a.npy"), ValueError, ["a.npy", "no .npy array"]),
    "truncated array": (truncated_npy, ValueError, ["cut.npy", "no .npy array"]),
    "array of objects": (objects_in_npy, ValueError, ["objects.npy", "safely"]),
    "ragged table": (
        bytes_in("a.csv", b"x,y\n1,2\n\n# so far\n3\n"),
        ValueError,
        ["a.csv", "line 5 has 1 cell, but the rows before it have 2 (separated by commas)", "Complete that row"],
    ),
    "longer row": (bytes_in("a.csv", b"1;2\n3;4;5\n"), ValueError, ["line 2 has 3 cells", "have 2 (separated by semicolons)"]),
    "decimal commas": (bytes_in("a.csv", b"x;y\n1,5;2\n"), ValueError, ["line 2, column 1 holds '1,5'", "Write 1.5"]),
    "another encoding": (bytes_in("a.csv", "größe,y\n1,2\n".encode("latin-1")), ValueError, ["not a table", "UTF-8"]),
    "no Parquet": (bytes_in("a.parquet", b"hello"), ValueError, ["a.parquet is no Parquet file"]),
    "empty table": (bytes_in("a.csv"), ValueError, ["a.csv", "empty|no numbers|no rows"]),
    "table of names only": (bytes_in("a.csv", b"x,y\n"), ValueError, ["a.csv", "empty|no numbers|no rows"]),
    "table that is not text": (bytes_in("a.csv", b"\xff\xfe\x00\x01"), ValueError, ["a.csv", "not a table of numbers"]),
}


@pytest.mark.parametrize("make, error, words", FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_named_with_the_cure(make, error, words, tmp_path):
    path = make(tmp_path)
    assert_clear(lambda: fit(path), error, words)
    assert_clear(lambda: read_path(str(path)), error, words)


TABLES = {
    "commas": "1,2.5\n-3,4e2\n",
    "semicolons": "1;2.5\n-3;4e2\n",
    "tabs": "1\t2.5\n-3\t4e2\n",
    "names": "x,y\n1,2.5\n-3,4e2\n",
    "names with other marks": "x; in cm,y\n1,2.5\n-3,4e2\n",
    "names between semicolons": "x, in cm;y\n1;2.5\n-3;4e2\n",
    "quotes": '"x";"y"\r\n"1";"2.5"\r\n"-3";"4e2"\r\n',
    "spaces, a remark, empty lines": "# x, y\n1, 2.5\n\n-3,\t4e2\n\n",
    "a mark of the byte order": "\ufeff1;2.5\n-3;4e2\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_are_read_whatever_separates_their_numbers(text, tmp_path):
    (tmp_path / "a.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(read_path(tmp_path / "a.csv")[0], [[1, 2.5], [-3, 400]])


# ------------------------------------------------------------------------------------------------ nothing is lost

REFUSED = {
    "NaN": lambda model: model.fit(with_value(ROWS, np.nan)),
    "parameter": lambda model: model.set_params(max_epochs=0).fit(ROWS),
    "bernoulli": lambda model: model.set_params(loss="bernoulli").fit(ROWS[:, :3] * 9),
    "too many components": lambda model: model.set_params(n_components=5).fit(ROWS[:, :3]),
    "targets": lambda model: model.fit(ROWS[:, :3], target=ROWS[:5]),
    "validation": lambda model: model.fit(ROWS[:, :3] * 9, validation=7.0),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_refused_fit_leaves_a_fitted_model_as_it_was(refused):
    model = fit()
    codes, back = model.transform(ROWS), model.reconstruct(ROWS)
    with pytest.raises(ValueError):
        refused(model)
    np.testing.assert_array_equal(model.transform(ROWS), codes)
    np.testing.assert_array_equal(model.reconstruct(ROWS), back)


# ---------------------------------------------------------------------------------------------------- not errors


@pytest.mark.parametrize("scale", ["auto", "standard", "minmax", "none"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_columns_come_back_exactly(scale, dtype):
    X = ROWS.astype(dtype)
    X[:, 1], X[:, 4] = 0.1, -1e6 / 3
    model = fit(X, scale=scale, max_epochs=2)
    for back in (model.reconstruct(X), model.inverse_transform(model.transform(X))):
        np.testing.assert_array_equal(back[:, [1, 4]], X[:, [1, 4]])
    assert model.schema_.constant_columns == [1, 4]


def test_data_that_never_changes_is_learnt_as_it_is():
    X = np.full((10, 5), 3.7)
    model = fit(X)
    np.testing.assert_array_equal(model.reconstruct(X), X)
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("X", [ROWS, PICTURES], ids=["vectors", "images"])
def test_one_sample_is_enough(X):
    model = fit(X[:1])
    assert model.reconstruct(X[:1]).shape == X[:1].shape
    assert np.isfinite(model.score(X[:1]))


@pytest.mark.parametrize("batch_size", [1, 13, 39])
@pytest.mark.parametrize("X", [ROWS, PICTURES], ids=["vectors", "images"])
def test_batches_of_one_and_ragged_last_batches_work(X, batch_size):
    assert np.isfinite(fit(X, batch_size=batch_size).score(X))


def test_two_columns_are_enough():
    assert fit(ROWS[:, :2], n_components="auto").transform(ROWS[:, :2]).shape == (40, 1)


@pytest.mark.parametrize(
    "limit", [{"corruption": "noise"}, {"bottleneck": "plain", "penalties": None, "corruption": [Noise(0.1)]}]
)
def test_a_large_code_is_welcome_where_something_else_limits_it(limit):
    assert fit(n_components=9, **limit).transform(ROWS).shape == (40, 9)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_columns_of_any_size_work(scale):
    X = ROWS * scale
    model = fit(X, max_epochs=20)
    assert np.abs(model.reconstruct(X) - X).mean() < np.abs(X - X.mean(0)).mean()


def test_a_large_offset_costs_no_precision():
    codes = [fit(ROWS + offset, dtype="float64").transform(ROWS + offset) for offset in (0.0, 1e6)]
    np.testing.assert_allclose(*codes, atol=1e-6)
