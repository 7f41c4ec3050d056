"""The U-Net, law by law: what it can see, any size, side paths, the gate, and what it is told of gaps."""

import numpy as np
import pytest
import torch

from isthmus import Autoencoder, load
from isthmus.parts import Absolute, BlindSpot, Code, Data, Holes, Noise, Random, Squared, UNet

X = np.random.default_rng(0).integers(0, 256, (24, 13, 18), dtype=np.uint8)
SHAPES = [UNet((4, 6), blocks=1), UNet((4, 5, 6), 1), UNet((5,), 2, unshuffle=1), UNet((4, 6), 1, gated=True), UNet((6, 4), 1, 3)]


def built(net: UNet, space=(40, 40), channels=1, out=1) -> UNet:
    torch.manual_seed(0)
    net.build_encoder((*space, channels), 2, None)
    net.build_decoder(net.map_shape, (*space, out), 2)
    return net.double().eval()


def through(net: UNet, x: torch.Tensor, there=None) -> torch.Tensor:
    with torch.no_grad():
        hidden, side, _ = net.encode(x, there=there)
        return net.decode(Code(hidden, side=side))


def fitted(architecture, **settings) -> Autoencoder:
    settings = {"corruption": Noise(0.1), "loss": "squared", "max_epochs": 1, "random_state": 0} | settings
    return Autoencoder(None, architecture=architecture, **settings).fit(X)


@pytest.mark.parametrize(
    "shape", [{"channels": (4, 6), "blocks": 1}, {"channels": (4, 4, 4), "blocks": 1}, {"channels": (5,)}], ids=str
)
def test_a_pixel_depends_on_those_within_reach_and_on_no_others(shape):
    net = built(UNet(**shape), space=(256, 256))
    x = torch.rand(1, 256, 256, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for place in (120, 125, 127, 128):
        changed = x.clone()
        changed[0, place, place] += 100
        moved = (through(net, changed) - through(net, x)).abs()[0, ..., 0] > 1e-12
        rows = moved.any(1).nonzero().flatten()
        far = max(int(rows.max()) - place, place - int(rows.min()))
        assert net.reach / 2 < far <= net.reach


@pytest.mark.parametrize("net", SHAPES, ids=repr)
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (13, 18)], ids=str)
def test_any_size_comes_out_as_it_came_in(net, size):
    net = built(UNet(**net.get_params()))
    x = torch.rand(2, *size, 1, dtype=torch.float64)
    assert through(net, x).shape == x.shape


def test_pictures_of_different_sizes_can_be_learnt_from_and_rebuilt():
    mixed = [picture[: 6 + i % 3, : 9 + i % 2] for i, picture in enumerate(X)]
    model = Autoencoder(
        None, architecture=UNet((4, 6), blocks=1), corruption="noise", loss="squared", kind="images", max_epochs=1, random_state=0
    ).fit(mixed)
    assert [back.shape for back in model.reconstruct(mixed)] == [picture.shape for picture in mixed]


@pytest.mark.parametrize("n_components", [None, 5])
def test_a_bare_code_is_refused_and_its_reconstruction_is_not(n_components):
    model = Autoencoder(
        n_components, architecture=UNet((4, 6), blocks=1), corruption="noise", loss="squared", max_epochs=1, random_state=0
    ).fit(X)
    assert model.reconstruct(X).shape == X.shape
    with pytest.raises(ValueError, match="which a bare code does not hold"):
        model.decode(model.encode(X))


@pytest.mark.parametrize("loss", [Squared(), Absolute()], ids=repr)
@pytest.mark.parametrize("net", SHAPES, ids=repr)
def test_gradients_reach_every_weight(net, loss):
    model = fitted(net, loss=loss)
    network, values = model.network_, torch.rand(8, 13, 18, 1)
    network.zero_grad()
    there = (torch.rand_like(values) < 0.8).float()
    network.loss(network.decode(network.encode(Data(values, there))), Data(values.flip(0))).sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, f"no gradient reaches {name}"


def test_before_training_the_source_comes_out_nearly_as_it_is():
    model = fitted(UNet((8, 8)), learning_rate=1e-30)
    values = torch.rand(4, 13, 18, 1)
    with torch.no_grad():
        assert (model.network_(Data(values)) - values).square().mean() < 0.1 * values.var()


def test_where_the_gate_is_shut_the_source_comes_out_bit_by_bit():
    net = built(UNet((4, 6), blocks=1, gated=True))
    x = torch.rand(1, 16, 16, 1, dtype=torch.float64)
    assert (through(net, x) != x).all()
    with torch.no_grad():
        net.tail.bias.view(2, -1)[1] = -20.0
    assert torch.equal(through(net, x), x)


def test_what_is_said_to_be_missing_changes_the_answer_unless_it_is_not_read():
    x, there = torch.rand(1, 16, 16, 1, dtype=torch.float64), torch.ones(1, 16, 16, 1, dtype=torch.float64)
    gap = there.clone()
    gap[:, 4:8, 4:8] = 0
    told, deaf = built(UNet((4, 6), blocks=1)), built(UNet((4, 6), blocks=1, reads_gaps=False))
    assert torch.equal(through(told, x, there), through(told, x)) and not torch.equal(through(told, x, gap), through(told, x))
    assert not deaf.reads_gaps


def test_a_grey_source_can_be_given_colours_and_many_channels_fewer():
    assert through(built(UNet((4, 6), 1), out=3), torch.rand(1, 9, 9, 1, dtype=torch.float64)).shape == (1, 9, 9, 3)
    assert through(built(UNet((4, 6), 1), channels=4, out=3), torch.rand(1, 9, 9, 4, dtype=torch.float64)).shape == (1, 9, 9, 3)
    with pytest.raises(ValueError, match="of 2 channels, to an output of 3"):
        built(UNet((4, 6), 1), channels=2, out=3)


def test_pictures_too_small_for_all_resolutions_have_fewer():
    net = UNet((4, 5, 6, 7), 1)
    net.build_encoder((8, 8, 1), 2, None)
    assert net.widths == (4, 5) and net.map_shape == (2, 2, 5)


def test_a_folder_gives_back_the_same_bits(tmp_path):
    model = fitted(UNet((4, 6), blocks=1))
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").reconstruct(X), model.reconstruct(X))


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"corruption": None}, "leads its source past the code.*corruption='noise'"),
        ({"objective": "masked"}, "none here says what that is.*blind_spot"),
        ({"prior": "normal"}, "Leave prior away"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_combinations_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        fitted(UNet((4,), 1), **settings)


def test_vectors_are_refused():
    with pytest.raises(ValueError, match="UNet restores pictures"):
        Autoencoder(4, architecture="unet", corruption="noise").fit(np.random.default_rng(0).normal(size=(20, 6)))


def test_what_comes_out_in_place_of_no_target_may_be_learnt_without_corruption():
    model = Autoencoder(None, architecture=UNet((4,), 1), corruption=None, loss="squared", max_epochs=1).fit(X, target=X.copy())
    assert model.reconstruct(X).shape == X.shape


# --------------------------------------------------------------------------------------------------- blind spots


def test_blind_spots_hold_a_neighbours_value_and_say_where():
    values = torch.arange(5 * 20 * 20.0).view(5, 20, 20, 1)
    struck = BlindSpot(0.3, radius=2)(Data(values), Random(0, "blind", 1, torch.arange(5)))
    gone = struck.weight == 0
    assert 0.2 < gone.float().mean() < 0.3 and torch.equal(struck.values[~gone], values[~gone])
    assert (struck.values[gone] != values[gone]).all()
    apart = (struck.values - values)[gone].abs().long()
    rows, columns = (apart + 2) // 20, (apart + 2) % 20 - 2
    assert rows.max() <= 2 and columns.abs().max() <= 2


def test_a_masked_objective_counts_what_was_taken_away_alone():
    model = fitted(UNet((4,), 1, reads_gaps=False), corruption=BlindSpot(0.1), objective="masked")
    from isthmus.parts import Batch, Step

    data = Data(torch.rand(6, 13, 18, 1))
    step = Step(model.network_, Batch(data, data), Random(0, "step", 1, torch.arange(6)))
    gone = step.source.weight == 0
    expected = torch.where(gone, 0.5 * (step.output - data.values) ** 2, 0).flatten(1).sum(1)
    constant = 0.5 * np.log(2 * np.pi) * gone.flatten(1).sum(1)
    torch.testing.assert_close(model.network_.objective(step)["loss"], expected + constant)


def test_told_holes_have_weight_zero_and_others_do_not_say():
    random = Random(0, "holes", 1, torch.arange(3))
    told, untold = (Holes(told=told)(Data(torch.ones(3, 20, 20, 1)), random) for told in (True, False))
    assert torch.equal(told.weight, told.values) and untold.weight is None and (told.values == 0).any()
