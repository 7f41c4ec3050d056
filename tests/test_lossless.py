"""Lossless compression: every sample back as it was, on any machine, in as few bytes as the bound promises."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from isthmus import Autoencoder, load, presets
from isthmus.apps import LosslessCompressor, isth
from isthmus.apps.ans import TOTAL, Stack, ground_words
from isthmus.apps.integer import CODES, Binary, IntegerNetwork, Mixture, Steps, _tables, freeze
from isthmus.apps.lossless import bits_back, bits_forth, packed, steps
from isthmus.page_compress import Files, page_of
from isthmus.parts import Bernoulli, Data, Dense, Gaussian, Pixels, Random, Step
from isthmus.parts.base import Batch

INK = load_digits().images * 240 / 16
GREY = (INK + np.random.default_rng(0).normal(6, 2, INK.shape)).clip(0, 255).round().astype(np.uint8)  # as a scanner sees it
WHITE = GREY > 127
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], -1)[:300]
SMALL = {
    "max_epochs": 6, "learning_rate": 0.04, "bottleneck": Gaussian(), "n_components": 4,
    "architecture": Dense((64, 32), activation="gelu", bypass=False),
}  # fmt: skip
DATA = {"binary": WHITE, "grey": GREY, "colour": COLOUR, "vectors": WHITE.reshape(-1, 64).astype(np.float32)}


def fitted(X, levels="auto", **settings):
    loss = Pixels(256 if X.dtype == np.uint8 else 2, hidden=16, maps=1, components=3)
    return LosslessCompressor({**SMALL, "loss": loss, **settings}, levels=levels, random_state=0).fit(X)


@pytest.fixture(scope="module")
def compressors():
    torch.set_num_threads(1)
    return {name: fitted(X) for name, X in DATA.items()}


def assert_same(found, X):
    assert found.dtype == X.dtype and found.shape == X.shape
    np.testing.assert_array_equal(found, X)


# -------------------------------------------------------------------------------------------------- the stack


def random_table(random, lanes: int, symbols: int = 7) -> np.ndarray:
    """(lanes, symbols + 1) cumulative slots, some symbols with a single one."""
    counts = random.integers(1, 1000, (lanes, symbols)) ** 2
    counts = counts * ((TOTAL - symbols) // counts.sum(1, keepdims=True))
    counts = counts.clip(1)
    counts[:, 0] += TOTAL - counts.sum(1)
    return np.concatenate([np.zeros((lanes, 1), int), counts.cumsum(1)], 1)


def slots_of(table, symbols):
    rows = np.arange(len(table))
    return table[rows, symbols], table[rows, symbols + 1] - table[rows, symbols]


def test_what_is_popped_can_be_pushed_back_and_the_reverse():
    """A message in which draws and data alternate is read back to front, and leaves the ground that it began on."""
    random, stack, log = np.random.default_rng(0), Stack(), []
    for step in range(120):
        lanes = 1 + step // 4
        stack.widen(max(lanes, len(stack.heads)))
        for kind in "ppPPP":
            table = random_table(random, lanes)
            symbols = (table[:, 1:] <= stack.slots(lanes)[:, None]).sum(1) if kind == "p" else random.integers(0, 7, lanes)
            (stack.pop if kind == "p" else stack.push)(*slots_of(table, symbols))
            log.append((kind, lanes, table, symbols))
    message = stack.to_bytes()
    again = Stack.from_bytes(message, 30)
    for kind, lanes, table, symbols in reversed(log):
        again.narrow(max(lanes, 1))
        if kind == "P":
            found = (table[:, 1:] <= again.slots(lanes)[:, None]).sum(1)
            np.testing.assert_array_equal(found, symbols)
        (again.push if kind == "p" else again.pop)(*slots_of(table, symbols))
    again.narrow(0)
    assert again.only_ground and again.size == stack.depth > 0


def test_a_message_is_as_long_as_its_information():
    random, stack = np.random.default_rng(0), Stack()
    stack.widen(8)
    table = random_table(random, 8)
    bits = 0.0
    for _ in range(2000):
        start, count = slots_of(table, random.integers(0, 7, 8))
        stack.push(start, count)
        bits += (24 - np.log2(count)).sum()
    assert bits / 8 < len(stack.to_bytes()) < bits / 8 + 8 * 6  # a lane begins with four bytes of the ground


def test_stirring_is_undone_and_makes_a_draw_fair():
    random, stack = np.random.default_rng(0), Stack()
    stack.widen(4000)
    start, count = np.full(4000, 3 << 20), np.full(4000, 1 << 12)
    for _ in range(3):
        stack.push(start, count)
    before = stack.heads.copy()
    assert np.ptp(stack.slots()) < 1 << 12
    stack.stir(4000)
    assert stats.kstest(stack.slots() / TOTAL, "uniform").pvalue > 1e-3
    stack.unstir(4000)
    np.testing.assert_array_equal(stack.heads, before)
    stack.heads = random.integers(1 << 32, 1 << 63, 100, dtype=np.uint64)
    before = stack.heads.copy()
    stack.stir(70)
    stack.unstir(70)
    np.testing.assert_array_equal(stack.heads, before)


def test_the_ground_is_the_same_wherever_it_is_asked_for():
    np.testing.assert_array_equal(ground_words(3, 9), ground_words(0, 12)[3:9])
    assert ground_words(0, 2).tolist() == [3793791033, 1853398634]


# ----------------------------------------------------------------------------------------------- distributions


@pytest.mark.parametrize("levels", [2, 5, 16, 17, 255, 256])
def test_every_level_has_slots_and_every_slot_a_level(levels):
    random = np.random.default_rng(levels)
    tables = {name: table.astype(np.int64) for name, table in _tables(levels).items()}
    chances = (Binary if levels == 2 else Mixture)(tables, levels)
    wild = 2 ** random.integers(0, 40, (50, 1 if levels == 2 else 9))  # answers that no training would give
    answers = (random.integers(-1000, 1000, wild.shape) * wild) >> 9
    found = [chances.slots_of(answers, np.full(50, level)) for level in range(levels)]
    starts, counts = (np.stack(part, 1) for part in zip(*found, strict=True))
    assert (starts[:, 0] == 0).all() and (counts > 0).all() and (counts < TOTAL).all()
    np.testing.assert_array_equal(starts + counts, np.concatenate([starts[:, 1:], np.full((50, 1), TOTAL)], 1))
    slot = random.integers(0, TOTAL, 50)
    level, start, count = chances.find(answers, slot)
    assert ((start <= slot) & (slot < start + count)).all()
    np.testing.assert_array_equal((start, count), chances.slots_of(answers, level))


def test_steps_are_the_distribution_to_a_part_in_a_hundred_thousand():
    from scipy.special import expit

    steps_of = Steps(_tables(2)["logistic"].astype(np.int64))
    x = np.linspace(-20, 20, 9999)
    found = steps_of(np.rint(x * 2**16).astype(np.int64), 16) / TOTAL
    np.testing.assert_allclose(found, expit(x), atol=1e-5)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", DATA)
def test_codes_have_slots_too(compressors, name):
    network = compressors[name].network_
    levels = compressors[name]._levels(DATA[name][:20])
    posterior = network.posterior(levels)
    slot = np.random.default_rng(0).integers(0, TOTAL, posterior[0].shape)
    code = network.find_code(posterior, slot)
    start, count = network.code_slots(posterior, code)
    assert ((start <= slot) & (slot < start + count)).all() and code.min() >= 0 and code.max() < CODES
    np.testing.assert_array_equal(network.find_prior(network.prior_slots(code)[0]), code)


# -------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("count", [1, 17, 200])
def test_every_sample_comes_back_as_it_was(compressors, name, count):
    X = DATA[name][-count:]
    assert_same(compressors[name].decompress(compressors[name].compress(X)), X)


@pytest.mark.parametrize("name", ["binary", "grey", "colour"])
@pytest.mark.parametrize("what", ["zeros", "white", "noise", "stripes"])
def test_what_the_model_never_saw_comes_back_too(compressors, name, what):
    X, random = DATA[name][:64], np.random.default_rng(0)
    strange = {
        "zeros": np.zeros_like(X), "white": np.full_like(X, X.max()),
        "noise": random.integers(0, int(X.max()) + 1, X.shape).astype(X.dtype),
        "stripes": np.ones_like(X) * (np.arange(8) % 2 == 0).reshape(8, *[1] * (X.ndim - 3)).astype(X.dtype),
    }[what]  # fmt: skip
    file = compressors[name].compress(strange)
    assert_same(compressors[name].decompress(file), strange)
    raw = len(packed(compressors[name]._levels(strange), compressors[name].levels_))
    assert len(file) <= raw + 80  # the header, checksums and three bytes of the chunk


def test_pictures_of_one_pixel():
    X = (np.arange(40) % 3 == 0).reshape(40, 1, 1)
    compressor = LosslessCompressor({"max_epochs": 2, "n_components": 1, "bottleneck": Gaussian()}, random_state=0).fit(X)
    assert_same(compressor.decompress(compressor.compress(X[:7])), X[:7])


@pytest.mark.parametrize("levels, bits", [(17, 16), (17, 8)])
def test_few_levels_and_weights_of_sixteen_bits(levels, bits):
    X = load_digits().images[:200].astype(np.uint8)
    model = SMALL | {"loss": Pixels(levels, hidden=8), "max_epochs": 2}
    compressor = LosslessCompressor(model, levels=levels, weight_bits=bits, random_state=0).fit(X)
    assert_same(compressor.decompress(compressor.compress(X[:50])), X[:50])
    assert compressor.network_.tensors["head.weight"].dtype == (np.int16 if bits == 16 else np.int8)
    with pytest.raises(ValueError, match="holds the value 17"):
        compressor.compress(X + np.uint8(1))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_vectors_come_back_in_their_type(compressors, dtype):
    X = DATA["vectors"][:9].astype(dtype)
    assert_same(compressors["vectors"].decompress(compressors["vectors"].compress(X)), X)


def test_chunks_are_written_and_read_one_after_the_other(compressors, monkeypatch):
    from isthmus.apps import lossless

    monkeypatch.setattr(lossless, "_SAMPLES_A_CHUNK", 50)
    file = compressors["binary"].compress(WHITE[:120])
    _, chunks = isth.read(io.BytesIO(file))
    assert len(list(chunks)) == 3
    assert_same(compressors["binary"].decompress(file), WHITE[:120])


def test_steps_cover_every_sample_once():
    for count in (1, 2, 5, 63, 1000, 65536):
        plan = steps(count)
        assert [a for a, _ in plan] == [0, *(b for _, b in plan[:-1])] and plan[-1][1] == count
        assert all(b - a <= max(1, a // 4) for a, b in plan)


# ------------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize("name", DATA)
def test_a_file_is_as_large_as_the_bound_says(compressors, name):
    """log2 q - log2 p, the bits of the first draws, and a byte or two a lane: no more, and no less."""
    compressor, X = compressors[name], DATA[name][:1024]
    bits, file = compressor.expected_bits(X).sum(), 8 * len(bits_back(compressor.network_, compressor._levels(X)))
    first, lanes = 16 * compressor.network_.n_components + 32, 16 * 16
    assert 0.98 * bits < file < 1.02 * bits + first + lanes


@pytest.mark.parametrize("name", DATA)
def test_the_integer_network_keeps_the_bound_of_the_float_one(compressors, name):
    compressor, X = compressors[name], DATA[name][:1024]
    values = compressor._values(compressor._levels(X))
    floats = -compressor.model_.log_likelihood(values, 1, random_state=0).mean()
    assert compressor.expected_bits(X).mean() * np.log(2) == pytest.approx(floats, rel=0.02)


def test_sixteen_bits_are_closer_than_eight(compressors):
    compressor = compressors["grey"]
    levels = compressor._levels(GREY)
    data = Data(torch.from_numpy(levels.reshape(-1, 8, 8, 1)).float() / 255)
    with torch.no_grad():
        code = compressor.model_.network_.encode(data)
    mean, deviation = code.extra["mean"].numpy(), (0.5 * code.extra["logvar"]).exp().numpy()
    errors = []
    for bits in (8, 16):
        found, sharpness = freeze(compressor.model_, levels, bits).posterior(levels)
        errors.append([np.abs(found / 2**12 - mean).max(), np.abs(2**12 / sharpness / deviation - 1).max()])
    assert np.all(np.array(errors[1]) < np.array(errors[0])) and max(errors[1]) < 0.02


def test_it_beats_what_is_there(compressors):
    sizes = compressors["binary"].report(WHITE)
    best = min(sizes["bz2"], sizes["xz"], sizes["deflate"])
    assert sizes["bytes"] < 0.9 * best and sizes["bytes"] == len(compressors["binary"].compress(WHITE))
    assert sizes["break_even"] == -(-sizes["model_bytes"] * len(WHITE) // (best - sizes["bytes"]))


def test_a_page_shows_it_beside_general_programs(compressors):
    page = page_of(Files(compressors["binary"], WHITE))
    assert "bit for bit" in page and all(name in page for name in ("deflate", "bz2", "xz")) and "Before and after" not in page


def test_where_nothing_is_gained_nothing_breaks_even(compressors):
    noise = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    assert compressors["grey"].report(noise)["break_even"] is None


# --------------------------------------------------------------------------------------- the same everywhere

OTHER = """
import sys, numpy as np, torch
torch.set_num_threads(2)
from isthmus import load
compressor = load(sys.argv[1])
np.save(sys.argv[3], compressor.decompress(sys.argv[2]))
X = np.load(sys.argv[4])
print(compressor.compress(X).hex())
"""


def test_another_process_with_two_threads_reads_and_writes_the_same(compressors, tmp_path):
    compressor, X = compressors["grey"], GREY[:12]
    compressor.save(tmp_path / "model")
    compressor.compress_to(tmp_path / "x.isth", X)
    np.save(tmp_path / "x.npy", X)
    places = [str(tmp_path / each) for each in ("model", "x.isth", "y.npy", "x.npy")]
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Nehalem"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    ran = subprocess.run([sys.executable, "-c", OTHER, *places], env=environment, capture_output=True, text=True, check=True)
    assert_same(np.load(tmp_path / "y.npy"), X)
    assert bytes.fromhex(ran.stdout.strip()) == (tmp_path / "x.isth").read_bytes()


@pytest.mark.parametrize("name", DATA)
def test_sums_do_not_depend_on_the_order_in_which_they_are_added(compressors, name, monkeypatch):
    """Another library may split a product in halves and add from the back: the bytes are the same, and so are the pixels."""
    from isthmus.apps import integer

    compressor, X = compressors[name], DATA[name][:8]
    file = compressor.compress(X)

    def backwards(self, values):
        columns, total = values.astype(np.float64)[:, ::-1], np.zeros((len(values), self.weight.shape[1]))
        for place, row in enumerate(self.weight[::-1]):
            total = total + columns[:, place : place + 1] * row
        return ((total.astype(np.int64) << self.lift) + self.bias) >> self.shift

    monkeypatch.setattr(integer.Affine, "__call__", backwards)
    assert compressor.compress(X) == file
    assert_same(compressor.decompress(file), X)


@pytest.mark.parametrize("name", DATA)
def test_sums_stay_below_what_float64_holds(compressors, name):
    network = compressors[name].network_
    for tensor in [name for name in network.tensors if name.endswith(".weight")]:
        rows = np.abs(network.tensors[tensor].astype(np.int64)).sum(1)
        assert rows.max() * 2**20 < 2**53


def test_layout_and_dtype_of_the_pictures_do_not_matter(compressors):
    X = GREY[:50]
    turned = np.asfortranarray(X)
    strided = np.repeat(X, 2, axis=2)[:, :, ::2]
    files = [compressors["grey"].compress(each) for each in (X, turned, strided, X[..., None][..., 0], torch.from_numpy(X))]
    assert len(set(files)) == 1


def test_a_model_that_was_saved_writes_the_same_bytes(compressors, tmp_path):
    for name, compressor in compressors.items():
        compressor.save(tmp_path / name)
        again = load(tmp_path / name)
        assert isinstance(again, LosslessCompressor) and again.fingerprint_ == compressor.fingerprint_
        assert again.compress(DATA[name][:5]) == compressor.compress(DATA[name][:5])


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", ["binary", "grey"])
def test_every_flipped_byte_is_reported(compressors, name):
    file = compressors[name].compress(DATA[name][:3])
    for place in range(len(file)):
        damaged = bytearray(file)
        damaged[place] ^= 1 + place % 255
        with pytest.raises(ValueError, match=r"damaged|no \.isth file|cut off|another|version|given is"):
            compressors[name].decompress(bytes(damaged))


def test_every_truncation_is_reported(compressors):
    file = compressors["binary"].compress(WHITE[:3])
    for length in range(len(file)):
        with pytest.raises(isth.DamagedFile):
            compressors["binary"].decompress(file[:length])


def test_a_chain_that_was_changed_does_not_end_as_it_began(compressors):
    """Even without checksums: whatever is read instead, the bits that are left are not those of the ground."""
    network, levels = compressors["grey"].network_, compressors["grey"]._levels(GREY[:3])
    message = bits_back(network, levels)
    for place in range(1, len(message), 13):  # the first byte has bits to spare
        damaged = bytearray(message)
        damaged[place] ^= 4
        with pytest.raises(ValueError):
            bits_forth(network, bytes(damaged), 3)


def test_the_file_of_another_model_is_refused(compressors):
    file = compressors["binary"].compress(WHITE[:3])
    with pytest.raises(ValueError, match="Give the one that wrote it"):
        compressors["grey"].decompress(file)


def test_a_file_of_another_method_is_refused(compressors):
    file = io.BytesIO()
    isth.write(file, {"fingerprint": compressors["grey"].fingerprint_, "method": "codes"}, [b"x"])
    with pytest.raises(ValueError, match="written by the method 'codes'"):
        compressors["grey"].decompress(file.getvalue())


@pytest.mark.parametrize(
    "X, said",
    [
        (GREY[:3].astype(np.float32) / 255, "Whole levels are expected, bool or uint8"),
        (GREY[:3].astype(np.int64), "Whole levels are expected"),
        (GREY[0][None, None, None], "Pictures .* are expected"),
        (GREY[:0], "one or more"),
        (GREY[:3, :7], r"samples of shape \(7, 8\), but this compressor was fitted to \(8, 8\)"),
        (GREY[:3].reshape(3, 64) / 255, "vectors of zeros and ones"),
    ],
    ids=["floats", "int64", "five axes", "none", "size", "vectors of floats"],
)
def test_what_cannot_be_kept_is_refused(compressors, X, said):
    with pytest.raises(ValueError, match=said):
        compressors["grey"].compress(X)


def test_more_levels_than_are_known_are_refused(compressors):
    with pytest.raises(ValueError, match=r"holds the value \d+, but this compressor knows 2 levels.*X > 127"):
        compressors["binary"].compress(GREY[:3])


@pytest.mark.parametrize(
    "model, said",
    [
        (Autoencoder(3), "Dense"),
        (presets.variational(3, architecture=Dense((8,), bypass=True)), "bypass=False"),
        (Autoencoder(3, architecture=Dense((8,), bypass=False)), "Gaussian"),
        (presets.vamp(3, components=3, architecture=Dense((8,), bypass=False)), r"prior N\(0, I\)"),
        (presets.variational(3, architecture=Dense((8,), bypass=False), loss="squared"), "Pixels"),
        (
            presets.variational(3, architecture=Dense((8,), bypass=False), loss="bernoulli"),
            "knows 2 levels, but the samples have 256",
        ),
    ],
    ids=["convolution", "bypass", "plain", "vamp", "squared", "two levels"],
)
def test_models_without_an_integer_form_are_refused(model, said):
    with pytest.raises(ValueError, match=said):
        LosslessCompressor(model.set_params(max_epochs=1, kind="images")).fit(GREY[:50])


def test_parameters_out_of_range_are_refused():
    for settings, said in ({"levels": 1}, "levels=1"), ({"weight_bits": 4}, "weight_bits=4"), ({"levels": "few"}, "levels="):
        with pytest.raises(ValueError, match=said):
            LosslessCompressor(**settings).fit(WHITE)


def test_names_are_kept_and_counted(compressors):
    file = compressors["grey"].compress(GREY[:2], names=["a.png", "b.png"])
    assert isth.read(io.BytesIO(file))[0]["names"] == ["a.png", "b.png"]
    with pytest.raises(ValueError, match="1 names for 2 samples"):
        compressors["grey"].compress(GREY[:2], names=["a.png"])


def test_a_failed_file_leaves_nothing_behind(compressors, tmp_path):
    with pytest.raises(ValueError):
        compressors["grey"].compress_to(tmp_path / "x.isth", GREY[:3, :7])
    assert not list(tmp_path.iterdir())
    compressors["grey"].compress_to(tmp_path / "x.isth", GREY[:3])
    with pytest.raises(FileExistsError):
        compressors["grey"].compress_to(tmp_path / "x.isth", GREY[:3])


def test_a_model_fitted_elsewhere_is_used_as_it_stands():
    model = presets.variational(3, architecture=Dense((32,), bypass=False), loss="bernoulli", max_epochs=3, random_state=0)
    model.fit(WHITE.reshape(-1, 64).astype(np.float32))
    compressor = LosslessCompressor(model).fit(WHITE.reshape(-1, 64))
    assert compressor.model_ is model and isinstance(model.network_.loss, Bernoulli)
    assert_same(compressor.decompress(compressor.compress(WHITE.reshape(-1, 64))), WHITE.reshape(-1, 64))
    with pytest.raises(ValueError, match="scales its samples otherwise"):
        other = presets.variational(3, architecture=Dense((32,), bypass=False), scale="minmax", loss=Pixels(256), max_epochs=1)
        LosslessCompressor(other, levels=256).fit((GREY // 2).reshape(-1, 64))


# ------------------------------------------------------------------------------------------------ the likelihood


def output_of(loss, X, seed=0):
    shape = loss.build(type("schema", (), {"shape": X.shape[1:], "axes": 2, "columns": None, "tokens": 0}))
    torch.manual_seed(seed)
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return torch.randn(len(X), *shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_reads_the_levels_before_it_and_no_others(channels):
    loss, X = Pixels(4, reach=1, maps=1, hidden=8, components=2), torch.rand(1, 5, 6, channels)
    output = output_of(loss, X)
    values = X.clone().requires_grad_()
    answers = loss.answer(output, values)
    for row, column, channel in [(0, 0, 0), (2, 3, 0), (4, 5, channels - 1), (2, 0, channels - 1)]:
        (gradient,) = torch.autograd.grad(answers[0, row, column, channel].square().sum(), values, retain_graph=True)
        read = {tuple(place) for place in gradient[0].nonzero().tolist()}
        near = {(r, c, k) for r in range(row - 1, row + 1) for c in range(column - 1, column + 2) for k in range(channels)}
        before = {(r, c, k) for r, c, k in near if r >= 0 and 0 <= c < 6 and (r, c, k) < (row, column, channel)}
        assert read == before


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_chances_of_all_pictures_add_up_to_one(levels):
    loss = Pixels(levels, reach=1, maps=1, hidden=4, components=2)
    pictures = np.stack(np.meshgrid(*[np.arange(levels)] * 4), -1).reshape(-1, 2, 2, 1) / (levels - 1)
    X = torch.from_numpy(pictures).float()
    output = output_of(loss, X)[:1].expand(len(X), -1, -1, -1)
    assert torch.exp(-loss(output, Data(X))).sum().item() == pytest.approx(1, abs=1e-4)


def test_levels_without_neighbours_are_bernoulli():
    """With nothing to read but the first map, and an answer of zero, it is the plain likelihood."""
    loss, X = Pixels(2, reach=0, maps=0, hidden=4), (torch.rand(5, 4, 4, 1) > 0.5).float()
    output = output_of(loss, X)
    for parameter in loss.parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_allclose(loss(output, Data(X)).detach(), Bernoulli()(output, Data(X)), rtol=1e-5)


@pytest.mark.law_of("variational")
def test_neighbours_spare_the_code():
    """Trained alike, the likelihood that reads its neighbours needs fewer nats than the plain one."""
    nats = {}
    for name, loss in {"plain": "bernoulli", "neighbours": Pixels(2)}.items():
        model = presets.variational(
            4, architecture=Dense((64,), bypass=False), loss=loss, max_epochs=10, random_state=0, kind="images"
        )
        model.fit((WHITE * 255).astype(np.uint8))
        nats[name] = -model.log_likelihood((WHITE * 255).astype(np.uint8), 10, random_state=0).mean()
    assert nats["neighbours"] < nats["plain"] - 1


@pytest.mark.law_of("variational")
def test_a_code_that_is_cheap_at_first_says_more_in_the_end():
    """Beside a likelihood that reads its neighbours, a code that costs its full price from the first step stays empty."""
    gaussian = Gaussian(2.0, warmup=4)
    prices = []
    for gaussian.steps in range(6):
        prices.append(gaussian.price)
    assert prices == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0] and gaussian.eval().price == 2.0
    settings = {"architecture": Dense((64,), bypass=False), "loss": Pixels(2, hidden=16), "kind": "images", "corruption": None}
    nats = []
    for warmup in (0, 100):
        model = Autoencoder(4, bottleneck=Gaussian(warmup=warmup), max_epochs=10, batch_size=64, random_state=0, **settings)
        nats.append(model.fit((WHITE * 255).astype(np.uint8)).history_[-1]["kl"])
    assert nats[1] > 1.05 * nats[0]


def test_the_network_has_a_float_and_an_integer_form_that_agree(compressors):
    """Slot by slot: -log p of the float likelihood is that of the integer one, at the same code."""
    compressor = compressors["colour"]
    network, levels = compressor.network_, compressor._levels(COLOUR[:32])
    code = np.random.default_rng(0).integers(CODES // 2 - 100, CODES // 2 + 100, (32, network.n_components))
    paid = sum((24 - np.log2(counts)).sum(1) for _, counts in network.pixel_slots(network.decode(code), levels)) * np.log(2)
    z = torch.from_numpy((2 * code + 1 - CODES) / 256).float()
    model = compressor.model_.network_
    with torch.no_grad():
        nats = model.loss(model.decode(z), Data(torch.from_numpy(COLOUR[:32]).float() / 255)).numpy()
    np.testing.assert_allclose(paid, nats, rtol=0.03)


def test_an_integer_network_is_its_tensors_and_settings(compressors):
    network = compressors["grey"].network_
    twin = IntegerNetwork(network.tensors, network.told)
    levels = compressors["grey"]._levels(GREY[:5])
    assert bits_back(twin, levels) == bits_back(network, levels)
    assert all(tensor.dtype.kind in "iu" for tensor in network.tensors.values())
    assert network.size == sum(tensor.nbytes for tensor in network.tensors.values())


def test_a_step_of_training_is_finite_from_the_first(compressors):
    loss, X = Pixels(256), torch.from_numpy(GREY[:4]).float()[..., None] / 255
    model = presets.variational(3, architecture=Dense((8,), bypass=False), loss=loss, max_epochs=1, kind="images").fit(GREY[:50])
    step = Step(model.network_, Batch(Data(X), Data(X)), Random(0, "step", 1, torch.arange(4)))
    assert torch.isfinite(step.loss).all()
