"""Compressing: the container, whole numbers as bytes, the steps, and the files: what is read is what was written, or an error."""

import io
import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from isthmus import Autoencoder, cli, load, presets
from isthmus.apps import Compressor, compress, isth
from isthmus.apps.contexts import Classes, Neighbours
from isthmus.apps.entropy import TOTAL, Tables, as_frequencies
from isthmus.objective import RateDistortion
from isthmus.page_compress import SHOWN, Files, beside, page_of
from isthmus.parts import Conv, Dense, Lapped, Random, Rounded
from isthmus.parts.lapped import cosines

DIGITS = load_digits()
VECTORS = DIGITS.data[:400] / 16
PICTURES = (DIGITS.images[:400] * 15).astype(np.uint8)
MARK = "0123456789abcdef"
random = np.random.default_rng(0)


def call(*tokens) -> int:
    return cli.main([str(token) for token in tokens])


def waves(height: int, width: int, phase: float) -> np.ndarray:
    """A smooth picture of any size."""
    y, x = np.mgrid[:height, :width]
    return (127 + 100 * np.sin(x / 5 + phase) * np.cos(y / 7 - phase)).astype(np.uint8)


SIZES = [(24, 32), (32, 24), (17, 30), (40, 9)]
SCENES = [waves(*SIZES[i % 4], i) for i in range(24)]


@pytest.fixture(scope="module")
def vectors():
    return Compressor(Autoencoder(6, max_epochs=15, random_state=0)).fit(VECTORS)


@pytest.fixture(scope="module")
def scenes():
    model = presets.compression(
        None, rate=0.002, kind="images", architecture=Lapped(8, 4, (0, 1), 8), max_epochs=10, batch_size=4, random_state=0
    )
    return Compressor(model).fit(SCENES)


# -------------------------------------------------------------------------------------------------- container


def container(chunks=(b"first", b"second" * 100), **header) -> bytes:
    file = io.BytesIO()
    isth.write(file, {"fingerprint": MARK, "method": "codes"} | header, chunks)
    return file.getvalue()


def contents(data: bytes, mark=MARK):
    header, chunks = isth.read(io.BytesIO(data), mark)
    return header, list(chunks)


@pytest.mark.parametrize("chunks", [[], [b"x"], [bytes([i % 256]) * (i + 1) for i in range(300)]], ids=len)
def test_a_container_gives_back_header_and_chunks(chunks):
    header = {"names": ["a", "ü"], "shape": [None, None, 3], "samples": 7}
    assert contents(container(chunks, **header)) == ({"fingerprint": MARK, "method": "codes"} | header, chunks)


def test_a_container_is_written_and_read_a_chunk_at_a_time():
    written, sizes = io.BytesIO(), []

    def chunks():
        for place in range(3):
            sizes.append(len(written.getvalue()))
            yield bytes([place]) * 1000

    isth.write(written, {"fingerprint": MARK}, chunks())
    assert np.all(np.diff(sizes) > 1000)
    read = io.BytesIO(written.getvalue())
    _, parts = isth.read(read)
    next(parts)
    assert read.tell() < 1100


def test_a_small_header_and_a_chunk_cost_few_bytes():
    told = {"kind": "images", "shape": [None, None, 3], "dtype": "uint8", "samples": 1, "sizes": [[321, 481]]}
    assert len(container([b"x" * 1000], **told)) < 1000 + 64


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_a_container_is_reported(bit):
    data = container()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        with pytest.raises(ValueError, match=r"damaged|cut off|no \.isth file|version"):
            contents(bytes(changed))


def test_every_cut_of_a_container_is_reported():
    data = container()
    for length in range(len(data)):
        with pytest.raises(isth.DamagedFile, match="cut off"):
            contents(data[:length])
    with pytest.raises(isth.DamagedFile, match="something follows its end"):
        contents(data + b"\0")


def test_chunks_that_were_lost_or_moved_are_reported():
    one, other = container([b"a" * 50, b"b" * 50]), container([b"b" * 50, b"a" * 50])
    start, size = one.index(b"a" * 50) - 1, 55
    swapped = one[:start] + other[start : start + size] + one[start + size :]
    assert swapped != one
    for wrong in (one[:start] + one[start + size :], swapped[:start] + one[start + size :][:size] + one[start : start + size]):
        with pytest.raises(isth.DamagedFile):
            contents(wrong)


def test_another_model_and_a_newer_version_are_named():
    with pytest.raises(ValueError, match=rf"by the model {MARK}, but the model given is {'f' * 16}"):
        contents(container(), "f" * 16)
    newer = bytearray(container())
    newer[len(isth.MAGIC)] = 2
    with pytest.raises(ValueError, match=r"version 2 of the format.*reads up to 1.*pip install -U isthmus"):
        contents(bytes(newer))


@pytest.mark.parametrize("wrong", [{"fingerprint": "00"}, {"value": float("nan")}], ids=str)
def test_a_header_that_could_not_be_read_is_not_written(wrong):
    with pytest.raises(ValueError):
        container(**wrong)


def test_an_empty_chunk_is_not_written():
    with pytest.raises(ValueError, match="Chunk 1 has 0 bytes"):
        container([b"x", b""])


# -------------------------------------------------------------------------------------------------- entropy


def by_whole_numbers(symbols: list[int], frequencies: list[list[int]]) -> bytes:
    """Asymmetric numeral systems as they are defined, with 24 bits, a state of 64 and words of 32: no float anywhere."""
    state, words = 0, []
    for symbol, table in zip(reversed(symbols), reversed(frequencies), strict=True):
        begin, own = 256 * sum(table[:symbol]), 256 * table[symbol]
        if state >= own << 40:
            words.append(state % 2**32)
            state >>= 32
        state = (state // own << 24) + state % own + begin
    while state:
        words.append(state % 2**32)
        state >>= 32
    return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0") or b"\0"


@pytest.mark.parametrize("seed", range(20))
def test_bytes_are_those_of_a_coder_in_whole_numbers(seed):
    draw = np.random.default_rng(seed)
    widths = draw.integers(2, 300, 5)
    frequencies = [as_frequencies(draw.dirichlet(np.full(width, 10.0 ** draw.integers(-2, 2)))) for width in widths]
    tables = Tables(draw.integers(-50, 50, 5), np.cumsum([0, *widths]), np.concatenate(frequencies))
    table = np.sort(draw.integers(0, 5, 400))
    symbols = draw.integers(0, widths[table] - 1)  # no escapes
    values = symbols + tables.lowest[table]
    data = tables.encoded([(values, table)])
    assert data == by_whole_numbers(symbols.tolist(), [frequencies[t].tolist() for t in table])
    np.testing.assert_array_equal(tables.decoder(data).take(table), values)


@pytest.mark.parametrize("weights", [[1, 1], [1e-30, 1], [0, 0, 5], np.ones(5000), 1 / np.arange(1, 999) ** 3], ids=len)
def test_frequencies_are_whole_and_add_up(weights):
    found = as_frequencies(np.asarray(weights, float))
    assert found.dtype == np.int64 and found.sum() == TOTAL and found.min() >= 1


@pytest.mark.parametrize("values", [[0], [5, -3], [10**9, -(10**9), 0], [2**31 - 1, 256, -257, 65535]], ids=str)
def test_numbers_that_no_table_holds_are_written_out(values):
    tables = Tables.fitted(np.array([0, 0, 1]), np.zeros(3, np.int64), 1)
    values, table = np.array(values), np.zeros(len(values), np.int64)
    decoder = tables.decoder(tables.encoded([(values, table)]))
    np.testing.assert_array_equal(decoder.take(table), values)
    decoder.finish()
    with pytest.raises(ValueError, match="larger step"):
        tables.encoded([(np.array([2**31]), np.zeros(1, np.int64))])


def test_bits_are_what_bytes_come_to():
    values, table = np.rint(random.laplace(0, 3, 20_000)).astype(np.int64), random.integers(0, 3, 20_000)
    values[::5000] *= 100
    tables = Tables.fitted(values, table, 3)
    assert 8 * len(tables.encoded([(values, table)])) == pytest.approx(tables.bits(values, table).sum(), abs=64)


def test_tables_near_the_entropy():
    values = np.rint(random.normal(0, 4, 50_000)).astype(np.int64)
    counts = np.unique(values, return_counts=True)[1] / len(values)
    tables = Tables.fitted(values, np.zeros(len(values), np.int64), 1)
    assert tables.bits(values, np.zeros(len(values), np.int64)).mean() < 1.002 * -(counts * np.log2(counts)).sum()


def test_damaged_tables_are_refused():
    for frequencies in ([TOTAL - 1, 2], [TOTAL, 0], [TOTAL]):
        with pytest.raises(ValueError, match="table"):
            Tables([0], [0, len(frequencies)], frequencies)


def test_other_tables_are_noticed():
    values, table = random.integers(0, 9, 50), np.zeros(50, np.int64)
    data = Tables.fitted(values, table, 1).encoded([(values, table)])
    decoder = Tables.fitted(values // 2, table, 1).decoder(data)
    with pytest.raises(ValueError, match="other tables"):
        decoder.take(table)
        decoder.finish()


# -------------------------------------------------------------------------------------------------- contexts


def mixed(count: int) -> np.ndarray:
    """Vectors of two classes, within which the components are independent."""
    side = np.random.default_rng(count).integers(0, 2, (count, 1)) * 8 - 4
    return side * np.array([1, -1, 1, 1]) + np.random.default_rng(count + 1).integers(-1, 2, (count, 4))


def test_classes_take_fewer_bits_where_components_depend_on_one_another():
    train, test = mixed(2000), mixed(500)
    context = Classes.fitted([train[:900], train[900:]])
    one = Classes.counted(train, np.zeros(len(train), np.int64), 1)
    assert context.classes > 1 and context.bits(test).mean() < 1 + 4 * np.log2(3) + 0.8 < one.bits(test).mean()
    np.testing.assert_array_equal(context.decoded(context.encoded(test), test.shape), test)


def test_independent_components_need_no_classes():
    assert Classes.fitted([random.integers(-2, 3, (3000, 4))]).classes == 1


def patches(count: int, rows=13, columns=10) -> np.ndarray:
    """Maps whose numbers are large in places, the same in both channels, and whose first channel is smooth."""
    draw = np.random.default_rng(count)
    large = np.repeat(np.repeat(draw.integers(0, 2, (count, 4, 4, 1)) * 6 + 0.3, 4, 1), 4, 2)[:, :rows, :columns]
    smooth = np.repeat(np.repeat(draw.normal(0, 20, (count, 4, 4, 1)), 4, 1), 4, 2)[:, :rows, :columns]
    return np.rint(np.concatenate([smooth, draw.laplace(0, large), draw.laplace(0, large)], -1)).astype(np.int64)


def test_neighbours_take_fewer_bits_than_channels_alone():
    train, test = patches(60), patches(20)
    context = Neighbours.fitted([train])
    flat = Classes.counted(train.reshape(-1, 3), np.zeros(train[..., 0].size, np.int64), 1)
    assert context.bits(test).sum() < 0.85 * flat.bits(test.reshape(-1, 3)).sum()
    assert 8 * len(context.encoded(test)) == pytest.approx(context.bits(test).sum(), abs=64)


@pytest.mark.parametrize("shape", [(3, 13, 10, 3), (1, 1, 1, 3), (2, 1, 7, 3), (2, 8, 1, 3)], ids=str)
def test_neighbours_give_back_maps_of_any_size(shape):
    context = Neighbours.fitted([patches(20), patches(6)[:, :5, :7]])
    index = patches(8)[: shape[0], : shape[1], : shape[2]]
    index[0, 0, 0] = 1000
    np.testing.assert_array_equal(context.decoded(context.encoded(index), shape), index)


# ----------------------------------------------------------------------------------------------------- parts


@pytest.mark.law_of("compression")
def test_a_rounded_code_costs_what_its_density_says():
    rounded = Rounded(step=0.5, mixture=1)
    rounded.build((1,), None)
    with torch.no_grad():
        rounded.place.fill_(0.3)
        rounded.log_scale.fill_(np.log(0.7))
    z = torch.arange(-60, 61, dtype=torch.float64)[:, None] * 0.5
    chance = torch.exp(-rounded.double()(z).cost).detach()
    above, below = (torch.sigmoid((z + half - 0.3) / 0.7) for half in (0.25, -0.25))
    np.testing.assert_allclose(chance, (above - below)[:, 0], rtol=1e-4, atol=2e-9)
    assert float(chance.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.law_of("compression")
def test_noise_in_training_is_as_wide_as_a_step():
    rounded = Rounded(step=0.5)
    rounded.build((4,), None)
    v = torch.randn(2000, 4)
    noise = (rounded(v, Random(0, "bottleneck", 0, torch.arange(2000))).z - v).detach()
    assert noise.abs().max() <= 0.25 and float(noise.std()) == pytest.approx(0.5 / 12**0.5, rel=0.02)
    assert (rounded(v).z - v).abs().max() <= 0.25 and torch.equal(rounded(v).z, rounded(rounded(v).z).z)


@pytest.mark.law_of("compression")
def test_a_higher_rate_gives_shorter_files_and_the_bits_that_were_trained_for():
    found = []
    for rate in (0.02, 0.5):
        model = presets.compression(8, rate=rate, architecture=Dense((32,)), max_epochs=40, batch_size=64, random_state=0)
        compressor = Compressor(model).fit(VECTORS)
        found.append((compressor.bits_, -compressor.quality_))
        assert compressor.bits_ < 1.1 * compressor.model_.history_[-1]["bits"]
    assert found[0][0] > 1.5 * found[1][0] and found[0][1] > found[1][1]


def test_an_objective_of_rates_needs_a_code_that_has_one():
    with pytest.raises(ValueError, match=r"Gaussian\(\) or Rounded\(\)"):
        Autoencoder(2, objective="rate_distortion").fit(VECTORS)
    with pytest.raises(ValueError, match=r"beta=1, not Rounded\(beta=2"):
        Autoencoder(2, bottleneck=Rounded(beta=2.0), objective=RateDistortion()).fit(VECTORS)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("size", [(16, 24), (13, 9)], ids=str)
def test_lapped_begins_as_an_orthonormal_transform(channels, size):
    lapped = Lapped(width=16 * channels, block=4)
    lapped.build_encoder((*size, channels), 2, None)
    lapped.build_decoder((-(-size[0] // 4), -(-size[1] // 4), 16 * channels), (*size, channels), 2)
    lapped.set_first_weights()
    lapped.start(torch.full((channels,), 0.5))
    X = torch.rand(2, *size, channels)
    hidden = lapped.encode(X)[0].detach()
    np.testing.assert_allclose(lapped.decode(torch_code(hidden)).detach(), X, atol=1e-5)
    if size == (16, 24):
        assert float(hidden.square().sum()) == pytest.approx(float((X - 0.5).square().sum()), rel=1e-4)


def torch_code(z):
    from isthmus.parts import Code

    return Code(z)


def test_the_first_cosines_of_three_colours_are_their_sum():
    first = cosines(3, 8, 2)
    assert float(first[0].std()) < 1e-6 and torch.allclose(first[1, 0], first[1, 2])


# ----------------------------------------------------------------------------------------------------- files


SMALL = {"max_epochs": 3, "random_state": 0}
CASES = {
    "vectors": (lambda: Compressor(Autoencoder(6, **SMALL)), VECTORS),
    "floats of 4 bytes": (lambda: Compressor(presets.compression(6, **SMALL)), VECTORS.astype(np.float32)),
    "pictures": (lambda: Compressor(presets.compression(6, **SMALL), chunk=77), PICTURES),
    "maps": (lambda: Compressor(presets.compression(None, architecture=Conv((8, 4)), **SMALL)), PICTURES),
    "pictures of any size": (
        lambda: Compressor(presets.compression(None, rate=1e-3, kind="images", architecture=Conv((8, 4)), **SMALL), step=0.5),
        SCENES,
    ),
    "colours": (
        lambda: Compressor(presets.compression(None, architecture=Lapped(10, 4, (1, 0), 4), **SMALL)),
        random.integers(0, 256, (12, 10, 9, 3), dtype=np.uint8),
    ),
    "sequences": (lambda: Compressor(Autoencoder(3, kind="sequences", **SMALL)), VECTORS.reshape(-1, 8, 8)),
    "films": (lambda: Compressor(presets.compression(4, **SMALL)), random.integers(0, 256, (9, 4, 8, 8, 1), dtype=np.uint8)),
    "quantised": (lambda: Compressor(presets.vq(8, codebook_size=8, dim=4, **SMALL)), VECTORS),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_decompressed_is_what_the_rounded_codes_are_decoded_to(name, tmp_path):
    make, X = CASES[name]
    compressor = make().fit(X)
    data = compressor.compress(X)
    back = compressor.decompress(data)
    assert type(back) is type(X) and len(back) == len(X)
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(back, X, strict=True))
    assert abs(len(data) - compressor.bits_ * len(X) / 8) < 12 * len(compressor.indices(data)) + 100  # of chunks and header
    index = np.concatenate([block.reshape(len(block), -1) for block in compressor.indices(data)], None)
    assert index.dtype == np.int64 and len(set(index.tolist())) > 1
    compressor.save(tmp_path / "c")
    again = load(tmp_path / "c")
    assert again.fingerprint_ == compressor.fingerprint_ and again.compress(X) == data
    assert all(np.array_equal(a, b) for a, b in zip(again.decompress(data), back, strict=True))


def test_a_frame_comes_back_as_a_frame():
    import pandas as pd

    frame = pd.DataFrame({"size": random.normal(size=80), "kind": random.choice(list("ab"), 80)})
    compressor = Compressor({"max_epochs": 2, "n_components": 1, "bottleneck": "plain", "objective": "sum", "loss": "columns"})
    compressor.set_params(step=0.05, random_state=0).fit(frame)
    back = compressor.decompress(compressor.compress(frame))
    assert list(back.columns) == ["size", "kind"] and len(back) == 80 and compressor.quality_ is None


def test_one_sample_or_many_are_the_same_numbers(vectors):
    alone = [vectors.indices(vectors.compress(VECTORS[i : i + 1]))[0] for i in range(5)]
    np.testing.assert_array_equal(np.concatenate(alone), vectors.indices(vectors.compress(VECTORS))[0][:5])


def test_files_paths_and_bytes_are_read_alike(vectors, tmp_path):
    vectors.compress_to(tmp_path / "x.isth", VECTORS)
    data = (tmp_path / "x.isth").read_bytes()
    assert data == vectors.compress(VECTORS)
    with open(tmp_path / "x.isth", "rb") as file:
        for source in (data, tmp_path / "x.isth", str(tmp_path / "x.isth"), file):
            assert vectors.decompress(source).shape == VECTORS.shape
    with pytest.raises(FileExistsError, match="already exists"):
        vectors.compress_to(tmp_path / "x.isth", VECTORS)
    vectors.compress_to(tmp_path / "x.isth", VECTORS[:3], overwrite=True)
    assert len(vectors.decompress(tmp_path / "x.isth")) == 3


def test_a_higher_quality_is_reached_and_takes_more_bytes():
    model = Autoencoder(12, max_epochs=20, random_state=0).fit(PICTURES)
    low, high = (Compressor(model, quality=quality).fit(PICTURES) for quality in (12.0, 14.0))
    assert 12.0 <= low.quality_ < 12.2 and 14.0 <= high.quality_ < 14.2 and low.bits_ < 0.85 * high.bits_
    back = high.decompress(high.compress(PICTURES)).astype(float)
    assert 10 * np.log10(255**2 / np.square(back - PICTURES).mean()) == pytest.approx(high.quality_, abs=0.05)
    assert high.report(PICTURES)["quality"] == pytest.approx(high.quality_, abs=0.05)
    rough = Compressor(Autoencoder(12, max_epochs=20, random_state=0), quality=0.2).fit(VECTORS)
    assert 0.19 < rough.quality_ <= 0.2


def test_without_a_quality_rounding_adds_a_tenth_to_the_error():
    model = Autoencoder(6, max_epochs=20, random_state=0).fit(VECTORS)
    compressor = Compressor(model).fit(VECTORS)
    own = np.square(model.reconstruct(VECTORS) - VECTORS).mean()
    assert 1.08 * own < compressor.quality_**2 <= 1.1 * own
    smaller, larger = (Compressor(model, step=step).fit(VECTORS) for step in (0.05, 0.1))
    np.testing.assert_allclose(larger.steps_, 2 * smaller.steps_, rtol=1e-5)
    assert smaller.bits_ > larger.bits_


def test_learnt_steps_may_be_changed_and_codes_are_rounded_once():
    model = presets.compression(8, rate=0.02, architecture=Dense((32,)), max_epochs=30, random_state=0).fit(VECTORS)
    found = {step: Compressor(model, step=step).fit(VECTORS) for step in (0.25, 1.0, 1.5)}
    own = Compressor(model).fit(VECTORS)
    np.testing.assert_array_equal(own.decompress(own.compress(VECTORS)), model.reconstruct(VECTORS).astype(np.float64))
    assert found[0.25].quality_ < found[1.0].quality_ < found[1.5].quality_ < 1.3 * found[1.0].quality_
    assert found[0.25].bits_ > found[1.0].bits_ + 8 > found[1.5].bits_ + 10


def test_numbers_that_change_a_sample_more_have_smaller_steps():
    X = VECTORS[:, [20, 21, 28]] * np.array([1.0, 10.0, 100.0])
    model = presets.linear(2, scale="none", max_epochs=30, random_state=0).fit(X)
    steps = Compressor(model, step=0.1).fit(X).steps_
    moved = [
        np.abs(model.inverse_transform(np.eye(2)[[j]] * steps[j]) - model.inverse_transform(np.zeros((1, 2)))) for j in (0, 1)
    ]
    assert [float(np.sqrt(np.square(one).mean())) for one in moved] == pytest.approx([0.1, 0.1], rel=0.02)


def test_noise_does_not_fit_through():
    clean = np.repeat(VECTORS, 3, 0)
    noisy = clean + np.random.default_rng(1).normal(0, 0.3, clean.shape)
    model = presets.compression(10, rate=0.3, architecture=Dense((32,)), max_epochs=60, random_state=0).fit(noisy)
    compressor = Compressor(model).fit(noisy)
    back = compressor.decompress(compressor.compress(noisy))
    assert np.square(back - clean).mean() < 0.6 * np.square(noisy - clean).mean()


# ------------------------------------------------------------------------------- the same numbers everywhere


def test_files_are_decoded_to_the_same_numbers_with_other_threads_formats_and_precisions(scenes, tmp_path):
    scenes.save(tmp_path / "c")
    files = [scenes.compress([scene]) for scene in SCENES]
    wanted = [scenes.indices(file)[0] for file in files]
    other = load(tmp_path / "c")
    other.model_.network_.to(memory_format=torch.channels_last).bfloat16()  # the fingerprint was taken when it was loaded
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            for reader in (scenes, other):
                assert all(np.array_equal(reader.indices(file)[0], index) for file, index in zip(files, wanted, strict=True))
    finally:
        torch.set_num_threads(threads)


def test_files_are_decoded_to_the_same_numbers_in_another_process(vectors, tmp_path):
    vectors.save(tmp_path / "c")
    vectors.compress_to(tmp_path / "x.isth", VECTORS)
    code = "import sys, numpy as np; from isthmus import load; np.save(sys.argv[3], load(sys.argv[1]).indices(sys.argv[2])[0])"
    given = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell", "MKL_CBWR": "COMPATIBLE"}
    import os

    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "c", tmp_path / "x.isth", tmp_path / "i.npy"], check=True, env=os.environ | given
    )
    np.testing.assert_array_equal(np.load(tmp_path / "i.npy"), vectors.indices(tmp_path / "x.isth")[0])


# ------------------------------------------------------------------------------------------------- bad input


def test_every_flipped_byte_of_a_file_is_reported(vectors, scenes):
    for compressor, X in ((vectors, VECTORS[:40]), (scenes, SCENES[:2])):
        data = compressor.compress(X)
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1 + place % 255
            with pytest.raises(ValueError, match=r"damaged|cut off|no \.isth file|version"):
                compressor.decompress(bytes(changed))


def test_a_file_of_another_model_is_refused(vectors):
    other = Compressor(Autoencoder(6, max_epochs=1, random_state=1)).fit(VECTORS)
    with pytest.raises(ValueError, match=f"{vectors.fingerprint_}.*{other.fingerprint_}"):
        other.decompress(vectors.compress(VECTORS))


def test_the_fingerprint_is_of_weights_steps_and_tables(vectors):
    model = vectors.model_
    others = [Compressor(model, step=0.3).fit(VECTORS), Compressor(model).fit(VECTORS[:300])]
    assert len({vectors.fingerprint_, *(other.fingerprint_ for other in others)}) == 3
    assert Compressor(model).fit(VECTORS).fingerprint_ == vectors.fingerprint_


def wrong_count(compressor, samples: int):
    """A file whose header speaks of other samples than its chunks hold."""
    file = io.BytesIO()
    header, chunks = isth.read(io.BytesIO(compressor.compress(VECTORS)))
    isth.write(file, header | {"samples": samples, "chunk": 400}, chunks)
    return compressor.decompress(file.getvalue())


WRONG = {
    "data of another kind": (lambda c: c.compress(PICTURES), r"dim 3.*dim <= 2"),
    "other columns": (lambda c: c.compress(VECTORS[:, :9]), "9 features"),
    "NaN": (lambda c: c.compress(np.where(VECTORS > 0.9, np.nan, VECTORS)), "NaN"),
    "nothing": (lambda c: c.compress(VECTORS[:0]), "0 sample"),
    "names": (lambda c: c.compress(VECTORS, names=["a"]), "1 names for 400 samples"),
    "not a file of ours": (lambda c: c.decompress(b"GIF89a" * 9), r"no \.isth file.*GIF89"),
    "an empty file": (lambda c: c.decompress(b""), "cut off"),
    "another method": (
        lambda c: c.decompress(container(fingerprint=c.fingerprint_, method="bits_back")), "method 'bits_back'.*'codes'",
    ),
    "fewer chunks": (lambda c: wrong_count(c, 800), "1 chunks or more.*speaks of 2"),
    "other samples": (lambda c: wrong_count(c, 40), "other tables"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_and_files_are_refused(name, vectors):
    verb, said = WRONG[name]
    with pytest.raises(ValueError, match=said):
        verb(vectors)


def test_tables_and_sentences_are_compressed_without_a_word_more(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60), "b": random.choice(list("xyz"), 60)})
    lines = [" ".join(random.choice(["sun", "sea"], 4)) for _ in range(60)]
    for X in (frame, lines):
        compressor = Compressor({"max_epochs": 2}, random_state=0).fit(X)
        back = compressor.decompress(compressor.compress(X))
        assert type(back) is type(X) and len(back) == len(X)


def test_large_pictures_go_in_tiles_that_nobody_sees(scenes, monkeypatch):
    large = np.tile(SCENES[0], (4, 5) + (1,) * (SCENES[0].ndim - 2))
    data = scenes.compress([large, SCENES[1]])
    whole = scenes.decompress(data)
    monkeypatch.setattr(compress, "TILE", 64)
    monkeypatch.setattr(compress, "OVERLAP", 48)
    different = np.mean(scenes.indices(scenes.compress([large, SCENES[1]]))[0] != scenes.indices(data)[0])
    assert different < 1e-4  # where a number lies between two whole ones, its last bit decides
    for one, other in zip(scenes.decompress(data), whole, strict=True):
        assert one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 1


def test_pictures_of_any_size_must_be_pictures_and_some(scenes):
    with pytest.raises(ValueError, match="X is empty"):
        scenes.compress([])
    with pytest.raises(ValueError, match="channels"):
        scenes.compress([np.zeros((8, 8, 3), np.uint8)])


BAD = {
    "both": (lambda: Compressor(quality=20, step=1.0), "quality=20 and step=1.0"),
    "quality": (lambda: Compressor(quality=-3), r"Compressor\(quality=-3\): a number above zero"),
    "step": (lambda: Compressor(step=0), r"Compressor\(step=0\)"),
    "chunk": (lambda: Compressor(chunk=0.5), r"Compressor\(chunk=0.5\)"),
    "out of reach": (lambda: Compressor({"max_epochs": 1}, quality=1e-9), "cannot be reached.*Ask for less"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_parameters_are_refused(name):
    make, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        make().fit(VECTORS)


def test_models_whose_codes_are_not_all_there_is_are_refused():
    side = Autoencoder(4, architecture=Conv((4,), down="pool", up="unpool"), max_epochs=1)
    with pytest.raises(ValueError, match=r"which no file holds.*up='transpose'"):
        Compressor(side).fit(PICTURES)
    told = presets.conditional(2, max_epochs=1).fit(VECTORS, condition=DIGITS.target[:400])
    with pytest.raises(ValueError, match="told a condition"):
        Compressor(told).fit(VECTORS)
    lengths = [VECTORS[i, : 30 + i % 9, None] for i in range(40)]
    with pytest.raises(ValueError, match=r"differ in length.*n_components"):
        Compressor(Autoencoder(None, kind="sequences", architecture=Conv((4, 2)), max_epochs=1)).fit(lengths)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r'pip install "isthmus\[compress\]"'):
        Compressor({"max_epochs": 1}).fit(VECTORS)


def test_nothing_is_left_behind_by_a_failure(vectors, tmp_path):
    with pytest.raises(ValueError):
        vectors.compress_to(tmp_path / "x.isth", VECTORS[:, :9])
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- command line


def test_a_page_shows_what_files_take(vectors, scenes):
    own = Files(vectors, VECTORS, train=VECTORS, shape=(8, 8))
    page = page_of(own)
    assert page.count("Before and after") == 1 and page.count("<figure>") == SHOWN
    assert [point.bytes for _, point in own.others] == sorted((point.bytes for _, point in own.others), reverse=True)
    assert len(own.others) >= 2 and f"{own.told['bytes']:,} bytes" in page
    photographs = Files(scenes, SCENES[:6])
    assert set(photographs.codecs) == {"JPEG", "WebP"}  # one mosaic for all is not possible: they differ in size
    size, lost = beside(photographs.codecs["JPEG"], photographs.own.quality)
    assert lost == "the same" and size > photographs.own.bytes
    assert "Smaller, or closer" in page_of(photographs)


def test_the_command_line_goes_there_and_back(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place, scene in enumerate(SCENES[:6]):
        Image.fromarray(scene).save(folder / f"scene-{place}.png")
    given = ("--task", "compress", "--kind", "images", "--epochs", 1, "--set", "step=1.0")
    assert call("fit", folder, *given, "-o", tmp_path / "m") == 0
    capsys.readouterr()
    assert call("compress", tmp_path / "m", folder, "-o", tmp_path / "x.isth", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == (tmp_path / "x.isth").stat().st_size and told["samples"] == 6
    assert call("decompress", tmp_path / "m", tmp_path / "x.isth", "-o", tmp_path / "out") == 0
    for place, scene in enumerate(SCENES[:6]):
        with Image.open(tmp_path / "out" / f"scene-{place}.png") as picture:
            assert picture.size == scene.shape[::-1]
    assert call("report", tmp_path / "m", folder, "-o", tmp_path / "page.html", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bytes"] < told["bytes"]  # no names of files are in it
    assert "Beside other programs" in (tmp_path / "page.html").read_text(encoding="utf-8")
    for verb in itertools.permutations(("compress", "decompress"), 1):
        what = folder if verb[0] == "compress" else tmp_path / "x.isth"
        assert call(*verb, tmp_path / "m" / "model", what, "-o", tmp_path / "y.isth") == 1
        assert "--task compress" in capsys.readouterr().err
    changed = bytearray((tmp_path / "x.isth").read_bytes())
    changed[-20] ^= 4
    (tmp_path / "x.isth").write_bytes(changed)
    assert call("decompress", tmp_path / "m", tmp_path / "x.isth", "-o", tmp_path / "again") == 1
    assert "damaged" in capsys.readouterr().err and not (tmp_path / "again").exists()
    assert call("compress", tmp_path / "m", folder, "-o", tmp_path / "x.npy") == 1
    assert call("compress", tmp_path / "m", folder, "-o", tmp_path / "x.isth") == 1
    assert "already exists" in capsys.readouterr().err
