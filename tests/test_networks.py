"""Laws of the networks of sequences, patches and samples that differ in size: padding never leaks, nobody's company matters."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.base import clone

from isthmus import Autoencoder, load, presets
from isthmus import autoencoder as estimator
from isthmus.network import Network
from isthmus.parts import (
    Batch,
    Code,
    Composite,
    Contractive,
    Conv,
    Data,
    Gaussian,
    MaskPatches,
    Random,
    Recurrent,
    Squared,
    Step,
    Transformer,
    Translator,
    VectorQuantized,
)
from isthmus.parts.layers import place_signals, turned_round
from isthmus.parts.patches import cut, grid_of, joined, patch_sides
from isthmus.parts.recurrent import CELLS
from isthmus.parts.transformer import Block

RANDOM = np.random.default_rng(0)
LENGTHS = [1, 2, 3, 5, 8, 9, 13, 16, 17, 30]
RAGGED = [np.cumsum(RANDOM.normal(size=(n, 2)), 0).astype(np.float32) for n in LENGTHS]
EVEN = np.stack([np.cumsum(RANDOM.normal(size=(13, 2)), 0) for _ in range(24)]).astype(np.float32)

WAYS = [("stride", "transpose"), ("stride", "upsample"), ("pool", "transpose"), ("pool", "upsample"), ("pool", "unpool")]
NETWORKS = {
    **{f"{down}, {up}": Conv((4, 5), down=down, up=up) for down, up in WAYS},
    "wide kernel": Conv((4,), kernel=5, up="upsample"),
    "gru": Recurrent(6),
    "lstm": Recurrent(6, cell="lstm"),
    "two layers, both ways": Recurrent(6, 2, bidirectional=True, dropout=0.2),
    "backwards": Recurrent(6, cell="lstm", reverse=True),
    "forced": Recurrent(6, 2, teacher_forcing=True),
    "forced, backwards": Recurrent(6, teacher_forcing=True, reverse=True, bidirectional=True),
    "transformer": Transformer(8, heads=2, queries=0),
    "patches": Transformer(8, heads=2, patch=3, queries=0, dropout=0.2),
    "queries": Transformer(8, heads=2, queries=2),
}  # fmt: skip
MAPS = {  # natural codes that are as large as their samples
    "stride, transpose": Conv((4, 1)), "pool, upsample": Conv((4, 1), down="pool", up="upsample"),
    "pool, unpool": Conv((4, 1), down="pool", up="unpool"), "patches": Transformer(4, heads=2, patch=4),
}  # fmt: skip


def small(architecture, X, n_components: int | None = 3, **settings) -> Autoencoder:
    settings = {"kind": "sequences", "max_epochs": 1, "batch_size": 4, "random_state": 0} | settings
    return Autoencoder(n_components, architecture=architecture, **settings).fit(X)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """The laws hold for blocks of any size, and small ones are soon filled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimator, "block_size", lambda network: 8)
        yield


@pytest.fixture(scope="module")
def fitted():
    """Every network after a few steps, when first asked for: by its name, its data and its number of components."""
    models: dict = {}

    def of(name: str, ragged: bool = True, n_components: int | None = 3) -> Autoencoder:
        key = (name, ragged, n_components)
        if key not in models:
            architecture = (NETWORKS if n_components else MAPS)[name]
            models[key] = small(architecture, RAGGED if ragged else EVEN, n_components, corruption="noise")
        return models[key]

    return of


def padded(sample: np.ndarray, steps: int, filled: float = 0.0) -> Data:
    """One sample in the record that a network reads, with `filled` behind its end."""
    values = torch.full((1, steps, sample.shape[1]), filled)
    values[0, : len(sample)] = torch.from_numpy(sample)
    weight = torch.zeros_like(values)
    weight[0, : len(sample)] = 1
    return Data(values, weight, torch.tensor([len(sample)]))


def equal(one, other) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------- samples that differ in size


@pytest.mark.law_of("recurrent")
@pytest.mark.parametrize("name", NETWORKS)
def test_codes_and_samples_rebuilt_do_not_depend_on_company(name, fitted):
    model = fitted(name)
    codes, back, scores = model.transform(RAGGED), model.reconstruct(RAGGED), model.score_samples(RAGGED)
    assert [part.shape for part in back] == [part.shape for part in RAGGED]
    for index in ([0], [3, 9], [9, 3, 0, 5], list(reversed(range(len(RAGGED))))):
        some = [RAGGED[i] for i in index]
        np.testing.assert_array_equal(model.transform(some), codes[index])
        np.testing.assert_array_equal(model.score_samples(some), scores[index])
        equal(model.reconstruct(some), [back[i] for i in index])


@pytest.mark.parametrize("name", MAPS)
def test_a_natural_code_is_as_large_as_its_sample_and_does_not_depend_on_company(name, fitted):
    model = fitted(name, n_components=None)
    codes, back = model.encode(RAGGED), model.reconstruct(RAGGED)
    assert [len(code) for code in codes] == [-(-length // 4) for length in LENGTHS]
    assert [part.shape for part in back] == [part.shape for part in RAGGED]
    equal(model.encode(RAGGED[4:5]), codes[4:5])
    equal(model.reconstruct(RAGGED[2:9]), back[2:9])
    with pytest.raises(ValueError, match="differ in size"):
        model.transform(RAGGED)


@pytest.mark.law_of("recurrent")
@pytest.mark.parametrize("name, natural", [*product(NETWORKS, [False]), *product(MAPS, [True])])
def test_what_stands_in_the_padding_changes_no_bit(name, natural, fitted):
    network: Network = fitted(name, n_components=None if natural else 3).network_
    for length in (1, 5, 9):
        clean, soiled = (padded(RAGGED[LENGTHS.index(length)], 16, filled) for filled in (0.0, 1e3))
        one, other = network.encode(clean), network.encode(soiled)
        kept = one.extra.get("length", torch.tensor([len(one.z[0])]))[0] if natural else len(one.z[0])
        assert torch.equal(one.z[0, :kept], other.z[0, :kept])
        assert torch.equal(network.nats(clean, clean), network.nats(soiled, soiled))


@pytest.mark.parametrize("name, natural", [*product(NETWORKS, [False]), *product(MAPS, [True])])
def test_a_sample_padded_further_has_the_same_code_and_loss(name, natural, fitted):
    network = fitted(name, n_components=None if natural else 3).network_.double()
    try:
        for length in (1, 5, 8):
            near, far = (padded(RAGGED[LENGTHS.index(length)].astype(np.float64), steps) for steps in (8, 32))
            near, far = (data.each(lambda t: t.double() if t.is_floating_point() else t) for data in (near, far))
            kept = -(-length // 4) if natural else None
            torch.testing.assert_close(network.encode(near).z[:, :kept], network.encode(far).z[:, :kept], rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(network.nats(near, near), network.nats(far, far), rtol=1e-9, atol=1e-9)
    finally:
        network.float()


@pytest.mark.parametrize("name", [name for name in NETWORKS if "unpool" not in name])
def test_a_bare_code_is_written_as_its_sample_was_rebuilt(name, fitted):
    """Whatever length it learns: the steps are the same ones."""
    model = fitted(name)
    back, alone = model.reconstruct(RAGGED), model.inverse_transform(model.transform(RAGGED))
    for one, other in zip(back, alone, strict=True):
        shared = min(len(one), len(other))
        if "backwards" in name:  # turned round at another length
            one, other = one[::-1], other[::-1]
        np.testing.assert_allclose(one[:shared], other[:shared], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_finite_and_reach_every_weight(name, fitted):
    model = fitted(name)
    rows = model._rows(RAGGED)
    index = rows.groups[1]
    data = rows.take(index)
    step = Step(model.network_, Batch(data, data), Random(0, "step", 1, index))
    model.network_.zero_grad()
    sum(term.sum() for term in model.network_.objective(step).values()).backward()
    for weight_name, weight in model.network_.named_parameters():
        assert torch.isfinite(weight.grad).all() and (weight.grad != 0).any(), weight_name


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_step_one_sample_and_either_precision(name, dtype):
    X = [np.array([[0.5, 1.0]]), np.array([[0.1, 3.0], [0.0, 2.0]])]
    model = small(NETWORKS[name], X, 1, batch_size=1, dtype=dtype, corruption=None)
    assert [part.shape for part in model.reconstruct(X)] == [(1, 2), (2, 2)]
    assert np.isfinite(model.score_samples(X[:1])).all() and next(model.network_.parameters()).dtype == getattr(torch, dtype)


@pytest.mark.parametrize("name, natural", [*product(NETWORKS, [False]), *product(MAPS, [True])])
def test_a_saved_model_gives_equal_numbers(name, natural, fitted, tmp_path):
    model = fitted(name, n_components=None if natural else 3)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    equal(again.encode(RAGGED), model.encode(RAGGED))
    equal(again.reconstruct(RAGGED), model.reconstruct(RAGGED))
    half = load(tmp_path / "model", only="encoder")
    equal(half.encode(RAGGED), model.encode(RAGGED))


@pytest.mark.parametrize("bottleneck", [VectorQuantized(4), "l1"], ids=repr)
def test_a_bottleneck_of_one_size_refuses_maps_that_differ(bottleneck):
    with pytest.raises(ValueError, match=r"codes of one size.*Set n_components"):
        small(Conv((4, 2)), RAGGED, None, bottleneck=bottleneck)


# ------------------------------------------------------------------------------------------ samples of one size


@pytest.mark.parametrize("name", NETWORKS)
def test_samples_of_one_size_do_not_depend_on_company_threads_or_container(name, fitted):
    model = fitted(name, ragged=False)
    codes, back = model.transform(EVEN), model.reconstruct(EVEN)
    assert back.shape == EVEN.shape
    for index in ([0], [3, 9], [9, 3, 0]):
        np.testing.assert_array_equal(model.transform(EVEN[index]), codes[index])
        np.testing.assert_array_equal(model.reconstruct(EVEN[index]), back[index])
    torch.set_num_threads(2)
    np.testing.assert_array_equal(model.transform(EVEN), codes)
    np.testing.assert_array_equal(model.reconstruct(EVEN), back)


@pytest.mark.parametrize("name", NETWORKS)
def test_encode_of_a_tensor_carries_gradients(name, fitted):
    model = fitted(name, ragged=False)
    x = torch.from_numpy(EVEN[:5]).requires_grad_()
    codes = model.encode(x)
    codes.square().sum().backward()
    np.testing.assert_allclose(codes.detach().numpy(), model.encode(EVEN[:5]), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(x.grad).all() and (x.grad != 0).any()


@pytest.mark.parametrize("architecture", [Transformer(8, heads=2), Recurrent(6), Recurrent(6, cell="lstm")], ids=repr)
@pytest.mark.parametrize("method", ["exact", "stochastic"])
def test_codes_can_be_kept_from_trembling(architecture, method):
    model = small(architecture, EVEN, penalties=Contractive(0.1, method))
    assert np.isfinite(model.history_[-1]["contractive"])


@pytest.mark.law_of("recurrent", "masked_patches")
@pytest.mark.parametrize("architecture", [Transformer(8, heads=2, dropout=0.5), Recurrent(6, 2, dropout=0.5)], ids=repr)
def test_dropout_is_for_training_alone_and_leaves_the_global_generator_as_it_was(architecture):
    before = torch.get_rng_state()
    without = clone(architecture).set_params(dropout=0.0)
    model, plain = (small(part, EVEN, max_epochs=2, corruption=None) for part in (architecture, without))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(model.transform(EVEN), model.transform(EVEN))
    again = small(architecture, EVEN, max_epochs=2, corruption=None)
    np.testing.assert_array_equal(model.transform(EVEN), again.transform(EVEN))
    assert plain.history_[-1]["loss"] != model.history_[-1]["loss"]


# -------------------------------------------------------------------------------------------------- convolution


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("size", [(9,), (1,), (13,), (5, 3, 7), (2, 9, 6)], ids=str)
@pytest.mark.parametrize("down, up", WAYS)
def test_a_code_of_numbers_gives_back_one_and_three_axes_in_exactly_their_size(down, up, size):
    conv, shape = Conv((4, 5), down=down, up=up), (*size, 2)
    hidden = conv.build_encoder(shape, axes=len(size), n_components=3)
    conv.build_decoder((3,), shape, axes=len(size))
    maps, side, _ = conv.encode(torch.randn(2, *shape))
    assert maps.shape == (2, *hidden) == (2, *(-(-n // 4) for n in size), 5)
    assert conv.decode(Code(torch.randn(2, 3), side=side)).shape == (2, *shape)


@pytest.mark.law_of("convolutional")
@pytest.mark.parametrize("n_components", [3, None])
@pytest.mark.parametrize("size", [(9, 6), (1, 13), (7, 7)], ids=str)
@pytest.mark.parametrize("down, up", WAYS)
def test_pictures_that_differ_come_back_in_exactly_their_size(down, up, size, n_components):
    conv, shape = Conv((4, 2), down=down, up=up), (None, None, 3)
    hidden = conv.build_encoder(shape, axes=2, n_components=n_components)
    conv.build_decoder((3,) if n_components else hidden, shape, axes=2)
    maps, side, _ = conv.encode(torch.randn(2, *size, 3))
    z = torch.randn(2, 3) if n_components else maps
    assert conv.decode(Code(z, side=side, size=size)).shape == (2, *size, 3)


def test_a_network_for_many_sizes_is_the_network_for_one():
    """The same weights, told of one size and of many, encode alike, padded or not."""
    one, many = Conv((4, 5), down="pool", up="upsample"), Conv((4, 5), down="pool", up="upsample")
    for conv, shape in ((one, (9, 2)), (many, (None, 2))):
        hidden = conv.build_encoder(shape, axes=1, n_components=None)
        conv.build_decoder(hidden, shape, axes=1)
    many.load_state_dict(one.state_dict())
    x = torch.randn(3, 9, 2)
    wide = torch.cat([x, torch.full((3, 7, 2), 9.0)], 1)
    length = torch.full((3,), 9)
    expected, (found, _, kept) = one.encode(x)[0], many.encode(wide, length)
    torch.testing.assert_close(found[:, :3], expected)
    assert kept.tolist() == [3, 3, 3] and (found[:, 3:] == 0).all()
    back = many.decode(Code(found, size=(16,), length=length))
    torch.testing.assert_close(back[:, :9], one.decode(Code(expected)))
    assert (back[:, 9:] == 0).all()


def test_a_bare_code_of_pictures_that_differ_is_refused():
    conv = Conv((4,))
    conv.build_encoder((None, None, 1), axes=2, n_components=3)
    conv.build_decoder((3,), (None, None, 1), axes=2)
    with pytest.raises(ValueError, match=r"how large.*reconstruct\(X\)"):
        conv.decode(Code(torch.zeros(1, 3)))


# ---------------------------------------------------------------------------------------------------- recurrent


def built(architecture, shape=(6, 2), n_components=None, loss=None):
    hidden = architecture.build_encoder(shape, axes=1, n_components=n_components)
    architecture.build_decoder(hidden if n_components is None else (n_components,), shape, axes=1)
    return architecture


@pytest.mark.law_of("recurrent")
@pytest.mark.parametrize("cell", CELLS)
def test_a_reader_both_ways_is_two_readers_of_which_one_reads_backwards(cell):
    both = built(Recurrent(5, cell=cell, bidirectional=True))
    x, length = torch.randn(4, 6, 2), torch.tensor([6, 1, 3, 5])
    ahead, back = both.encode(x, length)[0].split(5, 1)
    for i, end in enumerate(length.tolist()):
        torch.testing.assert_close(ahead[i], both.encoder[0](x[i : i + 1, :end])[0][0, -1])
        torch.testing.assert_close(back[i], both.backward[0](x[i : i + 1, :end].flip(1))[0][0, -1])


@pytest.mark.law_of("recurrent")
def test_what_is_written_backwards_is_the_same_turned_round():
    ahead, back = built(Recurrent(5)), built(Recurrent(5, reverse=True))
    back.load_state_dict(ahead.state_dict())
    z, length = torch.randn(3, 5), torch.tensor([6, 2, 4])
    written = ahead.decode(Code(z))
    assert torch.equal(back.decode(Code(z)), written.flip(1))
    assert torch.equal(back.decode(Code(z, length=length)), turned_round(written, length))


@pytest.mark.law_of("recurrent")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("tokens", [0, 7])
def test_forced_by_its_own_output_a_writer_writes_what_it_writes_alone(tokens, reverse):
    part = Recurrent(5, 2, teacher_forcing=True, reverse=reverse)
    part.build_encoder((6, 3), axes=1, n_components=4)
    part.read_target(0 if tokens else 2, tokens, ended=False)
    part.build_decoder((4,), (6, tokens or 2), axes=1)
    code = Code(torch.randn(3, 4))
    alone = part.decode(code)
    own = alone.argmax(-1) if tokens else alone
    torch.testing.assert_close(part.decode(Code(code.z, target=own)), alone)
    other = (own + 1) % 7 if tokens else own + 1
    assert not torch.allclose(part.decode(Code(code.z, target=other)), alone)


@pytest.mark.law_of("recurrent")
@pytest.mark.parametrize("reverse", [False, True])
def test_a_forced_writer_reads_the_step_before_and_none_that_comes_later(reverse):
    part = built(Recurrent(5, teacher_forcing=True, reverse=reverse))
    x = torch.randn(1, 6, 2)
    for step in range(6):
        changed = x.clone()
        changed[0, step] += 1
        moved = (part.decode(Code(torch.zeros(1, 5), target=changed)) - part.decode(Code(torch.zeros(1, 5), target=x))).abs()
        later = list(range(step)) if reverse else list(range(step + 1, 6))
        assert [s for s in range(6) if moved[0, s].sum() > 0] == later


def test_the_end_is_said_where_it_is_written_first_to_last_or_last_to_first():
    """The last number of a step says whether it is the last that is written, so a bare code has its length either way."""
    model = small(Recurrent(6, reverse=True), RAGGED)
    code = Code(torch.zeros(1, 3), size=(32,))
    output = model.network_.decode(code)
    length = model.network_.loss.lengths(output)
    known = model.network_.decode(Code(code.z, size=(32,), length=length))
    assert torch.equal(output, known)


def test_tokens_without_an_end_of_their_own_are_not_written_backwards():
    part = Recurrent(5, reverse=True)
    part.build_encoder((None, 3), axes=1, n_components=4)
    part.read_target(0, 7, ended=False)
    with pytest.raises(ValueError, match="reverse=False"):
        part.build_decoder((4,), (None, 7), axes=1)


def test_turned_round_twice_is_as_before():
    x, length = torch.randn(4, 6, 2), torch.tensor([6, 1, 3, 5])
    assert torch.equal(turned_round(turned_round(x, length), length), x)
    assert torch.equal(turned_round(x, torch.full((4,), 6)), x.flip(1))


# -------------------------------------------------------------------------------------------------- transformer


@pytest.mark.law_of("masked_patches")
@pytest.mark.parametrize(
    "space, sides", [((28, 28), (4, 4)), ((7, 5), (2, 3)), ((9,), (4,)), ((5, 6, 7), (2, 2, 3)), ((1,), (4,))]
)
def test_patches_joined_are_the_sample(space, sides):
    x = torch.randn(2, *space, 3)
    patches = cut(x, sides)
    assert patches.shape[1:-1] == grid_of(space, sides)
    assert torch.equal(joined(patches, sides, space), x)
    corner = tuple(slice(0, side) for side in sides)
    first = patches[(slice(None), *[0] * len(space))].view(2, *sides, 3)
    assert torch.equal(first[(slice(None), *(slice(n) for n in space))], x[(slice(None), *corner)])


def test_patches_of_a_film_may_differ_by_axis_and_must_fit_the_axes():
    assert patch_sides("auto", (16, 64, 64), "") == (2, 8, 8)
    with pytest.raises(ValueError, match="one width for each of the 2 axes"):
        small(Transformer(8, patch=(2, 2, 2)), np.zeros((8, 6, 6), np.uint8), kind="images")


def test_places_have_signals_of_their_own_that_do_not_depend_on_the_size():
    near, far = place_signals((4, 5), 32, torch.zeros(())), place_signals((9, 7), 32, torch.zeros(()))
    assert torch.equal(far[:4, :5], near)
    assert len(torch.unique(far.flatten(0, 1), dim=0)) == 63


@pytest.mark.law_of("masked_patches")
def test_attention_is_the_formula_of_the_paper():
    block = Block(6, 2).double()
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    mask = torch.rand(3, 1, 1, 5) < 0.7
    mask[..., 0] = True
    q, k, v = block.asked(x).split(6, -1)
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = torch.einsum("bid,bjd->bij", q[..., head], k[..., head]) / 3**0.5
        weights = torch.where(mask[:, 0], scores.exp(), 0.0)
        heads.append(torch.einsum("bij,bjd->bid", weights / weights.sum(-1, keepdim=True), v[..., head]))
    torch.testing.assert_close(block._attention(x, mask), block.told(torch.cat(heads, -1)))


def test_without_places_a_transformer_could_not_tell_a_sample_from_its_steps_in_another_order():
    part = Transformer(8, heads=2, patch=1, queries=0)
    part.build_encoder((6, 2), axes=1, n_components=3)
    x = torch.randn(2, 6, 2)
    assert not torch.allclose(part.encode(x)[0], part.encode(x.flip(1))[0])
    part._places = lambda learnt, grid, like: like.new_zeros(*grid, 8)
    torch.testing.assert_close(part.encode(x)[0], part.encode(x.flip(1))[0])


@pytest.mark.parametrize("shape", [(8, 7, 1), (9, 2), (4, 6, 5, 1)], ids=str)
@pytest.mark.parametrize("n_components", [3, None])
@pytest.mark.parametrize("places", ["waves", "learnt"])
def test_samples_of_every_number_of_axes_come_back_in_their_size(shape, n_components, places):
    part, axes = Transformer(8, heads=2, patch=2, places=places), len(shape) - 1
    hidden = part.build_encoder(shape, axes, n_components)
    part.build_decoder((3,) if n_components else hidden, shape, axes)
    seen = part.encode(torch.randn(2, *shape))[0]
    assert seen.shape == (2, *hidden)
    assert part.decode(Code(torch.randn(2, 3) if n_components else seen)).shape == (2, *shape)


REFUSED = {
    "heads": (Transformer(10, heads=4), EVEN, r"Transformer\(width=10, heads=4\).*multiple"),
    "learnt places": (Transformer(8, places="learnt"), RAGGED, "places='waves'"),
    "recurrent pictures": (Recurrent(), np.zeros((8, 6, 6, 1), np.uint8), "Recurrent reads and writes sequences"),
    "a cell": (Recurrent(cell="rnn"), EVEN, r"cell='rnn'.*'gru' or 'lstm'"),
    "dropout": (Transformer(dropout=1.0), EVEN, r"dropout=1.0.*\[0, 1\)"),
    "a patch": (Transformer(patch=0), EVEN, "patch=0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name):
    architecture, X, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        small(architecture, X, kind="images" if getattr(X, "ndim", 0) == 4 else "sequences")


def test_a_transformer_of_rows_is_refused(X):
    with pytest.raises(ValueError, match="architecture='dense'"):
        Autoencoder(4, architecture="transformer").fit(X)


# ------------------------------------------------------------------------------------------------ masked patches


def masked(share, shape=(8, 8, 1), patch=2, count=50, weight=None):
    mask = MaskPatches(share, patch)
    mask.build(type("schema", (), {"shape": shape, "axes": len(shape) - 1, "tokens": 0, "columns": None}))
    return mask(Data(torch.ones(count, *shape), weight), Random(0, "mask", 1, torch.arange(count)))


@pytest.mark.law_of("masked_patches")
@pytest.mark.parametrize("share, kept", [(0.75, 4), (0.5, 8), (0.99, 1), (0.0, 16)])
def test_of_every_sample_as_many_whole_patches_are_taken_away(share, kept):
    data = masked(share)
    patches = cut(data.values, (2, 2)).flatten(1, -2)
    assert torch.equal(data.values, data.weight)
    assert ((patches == 0).all(-1) | (patches == 1).all(-1)).all()
    assert (patches.amax(-1).sum(1) == kept).all()
    if 1 < kept < 16:
        assert (patches.amax(-1).mean(0) > 0).all()  # every place is kept at some time


@pytest.mark.law_of("masked_patches")
def test_of_a_padded_sample_patches_before_its_end_are_taken_away():
    weight = (torch.arange(12) < torch.tensor([1, 4, 12])[:, None]).float()[..., None]
    data = masked(0.5, (12, 1), 2, 3, weight)
    assert data.weight.sum((1, 2)).tolist() == [1, 2, 6] and (data.weight <= weight).all()


@pytest.mark.law_of("masked_patches")
@pytest.mark.parametrize("n_components", [3, None])
def test_what_stands_in_a_patch_that_is_taken_away_changes_no_bit_of_the_code(n_components):
    part = Transformer(8, heads=2, patch=2)
    part.build_encoder((8, 8, 1), 2, n_components)
    x, there = torch.randn(5, 8, 8, 1), masked(0.5, count=5).weight
    other = torch.where(there > 0, x, 9.0)
    code = part.encode(x, there=there)[0]
    assert torch.equal(code, part.encode(other, there=there)[0])
    assert not torch.equal(code, part.encode(x)[0])
    if n_components is None:
        assert ((code == 0).all(-1) == (cut(there, (2, 2)).amax(-1) == 0)).all()
    nothing = part.encode(x, there=torch.zeros_like(there))[0]  # a sample of which nothing is there is seen as it is
    assert torch.isfinite(nothing).all()


@pytest.mark.law_of("masked_patches")
def test_gaps_that_are_told_change_nothing_and_those_that_are_not_do(images):
    model = presets.masked_patches(4, patch=2, max_epochs=1, random_state=0).fit(images)
    missing = np.zeros((100, 8, 8), bool)
    missing[:, 2:6, 4:] = True
    damaged = np.where(missing, 255, images).astype(np.uint8)
    told = model.reconstruct(damaged, missing=missing)
    np.testing.assert_array_equal(told, model.reconstruct(images, missing=missing[..., None]))
    assert (model.reconstruct(damaged) != told).any() and told.shape == images.shape
    np.testing.assert_array_equal(told[3:5], model.reconstruct(damaged[3:5], missing=missing[3:5]))
    with pytest.raises(ValueError, match=r"missing has shape \(100, 8\), but \(100, 8, 8, 1\) is expected"):
        model.reconstruct(images, missing=missing[:, 0])


def test_gaps_of_tables_and_of_samples_that_differ_are_refused(fitted):
    with pytest.raises(ValueError, match="samples of one size"):
        fitted("gru").reconstruct(RAGGED, missing=np.zeros(10))


def test_patches_of_rows_cannot_be_taken_away(X):
    with pytest.raises(ValueError, match=r"MaskPatches.*Use Mask\(\)"):
        Autoencoder(4, corruption=MaskPatches()).fit(X)


@pytest.mark.parametrize("architecture", ["transformer", "conv", Recurrent(6)], ids=str)
def test_every_network_learns_from_masked_patches(architecture):
    model = small(architecture, RAGGED, corruption=MaskPatches(0.5, 2))
    assert np.isfinite(model.history_[-1]["loss"])


@pytest.mark.parametrize("architecture", [Transformer(8, heads=2), Recurrent(6), Conv((4,))], ids=repr)
def test_a_posterior_has_a_likelihood_of_samples_that_differ(architecture):
    model = small(architecture, RAGGED, bottleneck=Gaussian(), loss=Squared())
    assert np.isfinite(model.log_likelihood(RAGGED[:4], 5, random_state=0)).all()
    assert len(model.sample(3, random_state=0)) == 3


# ---------------------------------------------------------------------------------------- composite, translator


@pytest.mark.law_of("composite")
@pytest.mark.parametrize("cell", CELLS)
def test_with_nothing_to_foretell_the_composite_model_is_the_recurrent_one(cell):
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    settings = {"units": 8, "cell": cell, "max_epochs": 2, "random_state": 0}
    plain, both = (preset(3, **settings).fit(x) for preset in (presets.recurrent, presets.composite))
    np.testing.assert_array_equal(both.reconstruct(x), plain.reconstruct(x))


@pytest.mark.law_of("composite")
def test_the_composite_model_writes_the_past_as_one_writer_and_the_future_as_another():
    part = Composite(5)
    part.build_encoder((6, 2), axes=1, n_components=None)
    part.build_decoder((5,), (10, 2), axes=1)
    past, future = built(Recurrent(5, cell="lstm", reverse=True)), built(Recurrent(5, cell="lstm"), (4, 2))
    for writer, known in ((part.past, past), (part.future, future)):
        known.load_state_dict(writer.state_dict(), strict=False)
    code = Code(torch.randn(3, 5))
    torch.testing.assert_close(part.decode(code), torch.cat([past.decode(code), future.decode(code)], 1))


def test_the_composite_model_refuses_a_target_without_the_past():
    x = np.random.default_rng(0).normal(size=(20, 6, 2))
    with pytest.raises(ValueError, match=r"4 steps and the source 6.*joined"):
        presets.composite(3, max_epochs=1).fit(x, target=x[:, :4])
    with pytest.raises(ValueError, match="differ in size"):
        presets.composite(3, max_epochs=1).fit([x[0], x[1][:4]])


def translator(later=3, shape=(4, 10, 7, 2), **given) -> Translator:
    part = Translator(**{"channels": (4, 6), "hidden": 8, "blocks": 1, "kernel": 3} | given)
    hidden = part.build_encoder(shape, axes=3, n_components=None)
    part.build_decoder(hidden, (later, *shape[1:]), axes=3)
    return part


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("later, size", [(3, (10, 7)), (1, (8, 8)), (6, (5, 9))])
def test_a_translator_writes_as_many_frames_as_are_asked_for_of_the_size_that_came_in(later, size, skips):
    part, x = translator(later, (4, *size, 2), skips=skips), torch.randn(2, 4, *size, 2)
    hidden, side, _ = part.encode(x)
    output = part.decode(Code(hidden, side=side))
    assert output.shape == (2, later, *size, 2) and (side is None) == (not skips)
    output.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in part.parameters())


def test_what_a_translator_writes_depends_on_every_frame_and_on_where_it_stands():
    part, x = translator(skips=False), torch.randn(1, 4, 10, 7, 2)
    first = part.encode(x)[0]
    for frame in range(4):
        changed = x.clone()
        changed[:, frame] += 1
        assert not torch.allclose(part.encode(changed)[0], first)
    assert not torch.allclose(part.encode(x.flip(1))[0], first)


def test_a_film_that_does_not_move_is_sharp_by_the_side_path():
    part = translator(later=2)
    x = torch.randn(2, 4, 10, 7, 2)
    hidden, side, _ = part.encode(x)
    still = part.decode(Code(torch.zeros_like(hidden), side=side))
    assert not torch.allclose(still[0], still[1])  # the code says nothing, the last frame does
    moved = part.encode(torch.cat([torch.randn_like(x[:, :3]), x[:, 3:]], 1))[1]
    torch.testing.assert_close(moved[0], side[0])


def test_a_translator_refuses_what_it_cannot_read(X):
    clips = np.random.default_rng(0).random((6, 4, 8, 8))
    model = Autoencoder(None, architecture=Translator((4,), 8, 1, 3), kind="video", corruption=None, max_epochs=1)
    model.fit(clips[:, :3], target=clips[:, 3:])
    with pytest.raises(ValueError, match="what its encoder saw"):
        model.inverse_transform(model.transform(clips[:, :3]))
    with pytest.raises(ValueError, match="films of one size"):
        Autoencoder(architecture="translator").fit(X)
    with pytest.raises(ValueError, match="keeps their size"):
        model.fit(clips[:, :3], target=clips[:, 3:, :4])
