"""Laws of corruptions: what each takes away, and that a sample's damage is its own, whatever the company and the order."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate1d

from isthmus import Autoencoder
from isthmus.parts import (
    CORRUPTIONS,
    JPEG,
    Blur,
    Data,
    Downscale,
    Drop,
    Gray,
    Holes,
    Mask,
    Noise,
    Random,
    SaltPepper,
    Scratches,
    Swap,
    Warp,
    Watermark,
)  # fmt: skip
from isthmus.parts.base import Batch, Step

WITHOUT_CHANCE = {"gray", "downscale"}


def pictures(count: int = 6, height: int = 24, width: int = 20, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(0))


def of(values: torch.Tensor):
    """A schema of pictures, or clips, like these."""
    axes = values.ndim - 2
    return type("schema", (), {"shape": tuple(values.shape[1:]), "axes": axes, "columns": None, "tokens": 0, "kind": "images"})


def ready(corruption, values: torch.Tensor):
    """The corruption, built for these and with a look at them."""
    corruption.build(of(values))
    if hasattr(corruption, "look"):
        corruption.look(Data(values))
    return corruption


def damaged(corruption, values: torch.Tensor, rows=None, epoch: int = 1, seed: int = 0) -> torch.Tensor:
    """What is left of the samples in `rows`, of all without it."""
    index = torch.arange(len(values)) if rows is None else torch.as_tensor(rows)
    return ready(corruption, values)(Data(values[index]), Random(seed, "step", epoch, index)).values


# --------------------------------------------------------------------------------------------------- of all of them


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_shape_and_dtype_are_kept_and_something_is_taken_away(name, dtype):
    values = pictures().to(dtype)
    before = values.clone()
    left = damaged(CORRUPTIONS[name](), values)
    assert left.shape == values.shape and left.dtype == dtype and left.isfinite().all()
    assert torch.equal(values, before)
    assert (left != values).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_samples_damage_does_not_depend_on_order_or_company(name):
    values, corruption = pictures(), CORRUPTIONS[name]()
    together, order = damaged(corruption, values), [4, 0, 5, 2]
    torch.testing.assert_close(damaged(corruption, values, order), together[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(damaged(corruption, values, [3]), together[[3]], rtol=0, atol=1e-6)


@pytest.mark.law_of("denoising", "masked")
@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in WITHOUT_CHANCE])
def test_damage_is_drawn_afresh_for_every_sample_in_every_epoch_and_for_every_seed(name):
    values, corruption = pictures(1).expand(6, -1, -1, -1), ready(CORRUPTIONS[name](), pictures(40))
    keys = {"first": (0, 1), "again": (0, 1), "another epoch": (0, 2), "another seed": (1, 1)}
    draws = {what: Random(seed, "step", epoch, torch.arange(6)) for what, (seed, epoch) in keys.items()}
    left = {what: corruption(Data(values), random).values for what, random in draws.items()}
    assert torch.equal(left["first"], left["again"])
    for other in ("another epoch", "another seed"):
        assert (left["first"] != left[other]).flatten(1).any(1).sum() >= 5  # two of a few places or qualities may agree
    assert len(left["first"].flatten(1).unique(dim=0)) >= 5


def test_a_chain_damages_one_after_the_other_with_draws_of_their_own():
    X = np.ones((500, 40))
    X[0] = 0
    model = Autoencoder(4, corruption=[Mask(0.5), Mask(0.5)], scale="none", max_epochs=1, random_state=0).fit(X)
    left = model.network_.corrupt(Data(torch.ones(500, 40)), Random(0, "step", 1, torch.arange(500))).values
    assert float(left.mean()) == pytest.approx(0.25, abs=0.01)  # half of them, were the draws the same


@pytest.mark.law_of("denoising", "masked")
def test_training_damages_the_source_and_leaves_the_target_whole():
    X = np.random.default_rng(0).random((50, 12))
    model = Autoencoder(4, corruption=Mask(0.5), max_epochs=1, random_state=0).fit(X)
    data = model._rows(X).take(torch.arange(50))
    steps = [Step(model.network_, Batch(data, data), Random(0, "step", epoch, torch.arange(50))) for epoch in (1, 2, 1)]
    sources = [step.source.values for step in steps]
    assert torch.equal(sources[0], sources[2]) and not torch.equal(sources[0], sources[1])
    assert torch.equal(steps[0].batch.target.values, torch.tensor(X, dtype=torch.float32))
    assert torch.equal(model.network_.encode(data).z, model.network_.encode(data).z)


ON_IMAGES = [name for name, corruption in CORRUPTIONS.items() if corruption.on_images]


@pytest.mark.parametrize("name", ON_IMAGES)
def test_all_frames_of_a_clip_are_damaged_by_the_draw_of_one_picture(name):
    frames = torch.stack([pictures() * share for share in (1.0, 0.5, 0.25)], 1)  # (clips, frames, height, width, channels)
    corruption = CORRUPTIONS[name]()
    left = damaged(corruption, frames)
    assert left.shape == frames.shape and (left != frames).any()
    for frame in range(3):
        alone = damaged(corruption, frames[:, frame])
        torch.testing.assert_close(left[:, frame], alone, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"damages pictures, but a sample has shape \(20, 3\).*or clips of them, kind='video'"):
        CORRUPTIONS[name]().build(of(frames[0, 0]))


@pytest.mark.parametrize("name", ON_IMAGES)
def test_a_model_of_clips_learns_with_every_damage_of_pictures(name):
    clips = (pictures(12).view(6, 2, 24, 20, 3) * 255).to(torch.uint8).numpy()
    model = Autoencoder(2, corruption=name, max_epochs=1, random_state=0).fit(clips)
    assert np.isfinite(model.history_[-1]["loss"]) and model.reconstruct(clips).shape == clips.shape


# ---------------------------------------------------------------------------------------------- what each takes away


def test_salt_and_pepper_strike_their_share_evenly_and_all_channels_alike():
    values = 0.2 + 0.6 * pictures(20)
    left = damaged(SaltPepper(0.3, low=-1.0, high=2.0), values)
    pepper, salt = (left == -1).all(3), (left == 2).all(3)
    assert torch.equal((left != values).any(3), pepper | salt)
    assert float(pepper.float().mean()) == pytest.approx(0.15, abs=0.01)
    assert float(salt.float().mean()) == pytest.approx(0.15, abs=0.01)


@pytest.mark.law_of("masked")
@pytest.mark.parametrize("corruption, alike", [(Mask(0.3), False), (Drop(0.3), True)], ids=repr)
def test_what_is_masked_is_single_values_and_what_is_dropped_whole_places(corruption, alike):
    values = 0.1 + pictures(20)
    left = damaged(corruption, values)
    gone = left == 0
    assert torch.equal(left[~gone], values[~gone])
    assert float(gone.float().mean()) == pytest.approx(0.3, abs=0.01)
    assert bool((gone.all(3) == gone.any(3)).all()) is alike


def test_noise_has_its_standard_deviation():
    added = damaged(Noise(0.4), pictures(20)) - pictures(20)
    assert float(added.std()) == pytest.approx(0.4, rel=0.02) and abs(float(added.mean())) < 0.01


def test_noise_of_several_strengths_is_cut_where_light_ends():
    values = torch.full((400, 20, 20, 1), 0.5)
    strength = (damaged(Noise(0.4, least=0.1), values) - values).flatten(1).std(1)
    assert (
        0.09 < strength.min() < 0.13 and 0.36 < strength.max() < 0.43 and float(strength.mean()) == pytest.approx(0.25, abs=0.02)
    )
    cut = damaged(Noise(0.4, low=0.2, high=0.6), values)
    assert cut.min() == 0.2 and torch.isclose(cut.max(), torch.tensor(0.6))
    inside = (cut > 0.2) & (cut < 0.6)
    assert torch.equal(cut[inside], damaged(Noise(0.4), values)[inside])


def test_scratches_are_straight_lines_of_their_width():
    values = torch.full((300, 40, 30, 2), 0.5)
    left = damaged(Scratches(1, 1, width=0.1), values)
    assert torch.equal(left[..., 0], left[..., 1]) and set(left.unique().tolist()) == {0.0, 0.5, 1.0}
    for picture in left[..., 0]:
        struck = (picture != 0.5).nonzero().double()
        if len(struck) < 20:  # a corner was cut off
            continue
        spread = torch.linalg.eigvalsh(torch.cov(struck.T))
        assert spread[0].sqrt() < 1.5 < spread[1].sqrt()  # 4 pixels wide: a standard deviation of 4 / sqrt(12)
        assert picture.unique().numel() == 2
    count = torch.tensor([len(damaged(Scratches(0, 2), values[:1], seed=seed).unique()) for seed in range(60)])
    assert (count == 1).any() and (count > 1).any()


def test_swapped_values_are_those_of_the_same_place_in_other_samples():
    values = torch.arange(50.0)[:, None] + 1000 * torch.arange(30.0)  # the thousands tell the column
    swap = Swap(0.4)
    swap.look(Data(values))
    left = swap(Data(values), Random(0, "swap", 1, torch.arange(50))).values
    assert torch.equal(left.div(1000, rounding_mode="floor"), values.div(1000, rounding_mode="floor"))
    assert float((left != values).float().mean()) == pytest.approx(0.4 * 49 / 50, abs=0.05)
    assert len((left[left != values] % 1000).unique()) > 40


@pytest.mark.parametrize("size", [0.3, 0.6])
def test_a_hole_is_a_rectangle_from_half_its_size_to_all_of_it_filled_with_one_value(size):
    values = pictures(200)
    holes = (damaged(Holes(1, size, fill=7.0), values) == 7).all(3)
    for length, inside in ((24, holes.any(2)), (20, holes.any(1))):
        sides = inside.sum(1)
        assert sides.min() >= math.floor(0.5 * size * length) and sides.max() <= math.ceil(size * length)
        assert len(sides.unique()) > 2
    assert torch.equal(holes, holes.any(2)[:, :, None] & holes.any(1)[:, None, :])
    steps = torch.nn.functional.pad(holes.any(2).int(), (1, 1)).diff(dim=1)
    assert (steps.clamp_min(0).sum(1) == 1).all()  # in one piece
    several = (damaged(Holes(3, size, fill=7.0), values) == 7).all(3)
    assert several.sum() > 1.5 * holes.sum()


def test_gray_is_the_luma_in_all_channels():
    values = pictures()
    luma = values.numpy() @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(damaged(Gray(), values).numpy(), luma[..., None].repeat(3, -1), rtol=1e-6)


def test_blur_is_a_gaussian_of_a_width_within_its_bounds():
    values = pictures(1, 31, 29).double()

    def blurred(width: float) -> np.ndarray:
        weights = np.exp(-0.5 * np.square(np.arange(-6, 7) / width))
        weights /= weights.sum()
        return correlate1d(correlate1d(values[0].numpy(), weights, 0, mode="mirror"), weights, 1, mode="mirror")

    np.testing.assert_allclose(damaged(Blur(2.0, 2.0), values)[0], blurred(2.0), atol=1e-6)
    many = damaged(Blur(0.5, 2.0), values.expand(200, -1, -1, -1)).flatten(1).std(1)
    least, most = (float(torch.tensor(blurred(width)).std()) for width in (2.0, 0.5))
    assert least - 1e-6 <= many.min() < least + 0.01 and most - 0.01 < many.max() <= most + 1e-3


def test_downscaled_pictures_keep_their_brightness_and_lose_what_is_finer():
    checks = (torch.arange(24)[:, None] + torch.arange(20)).remainder(2).float()[None, :, :, None]
    torch.testing.assert_close(damaged(Downscale(2), checks), torch.full_like(checks, 0.5))
    even = torch.full((1, 9, 7, 1), 0.3)
    torch.testing.assert_close(damaged(Downscale(3.5), even), even)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_what_pillow_makes_of_it(channels):
    values = pictures(channels=channels)
    for picture, left in zip(values, damaged(JPEG(30, 30), values), strict=True):
        file, shown = io.BytesIO(), (picture.numpy() * 255).round().astype(np.uint8)
        Image.fromarray(shown if channels == 3 else shown[..., 0]).save(file, "JPEG", quality=30)
        np.testing.assert_allclose(left.numpy(), np.asarray(Image.open(file)).reshape(shown.shape) / 255, atol=1e-6)
    kinds = damaged(JPEG(40, 42), values[:1].expand(60, -1, -1, -1)).flatten(1).unique(dim=0)
    ends = [damaged(JPEG(end, end), values[:1]).flatten(1)[0] for end in (40, 42)]
    assert len(kinds) == 3 and all((kinds == end).all(1).any() for end in ends)  # both ends are drawn


def test_a_watermark_is_one_word_somewhere_no_wider_and_no_stronger_than_it_says():
    values = torch.full((100, 40, 60, 1), 0.2)
    mark = (damaged(Watermark("word", size=0.5, least=0.3, most=0.6), values) - values)[..., 0] / 0.8
    strength, columns = mark.amax((1, 2)), (mark > 0).any(1)
    assert mark.min() >= 0 and strength.min() > 0.25 and strength.max() <= 0.6 + 1e-6 and strength.std() > 0.05
    assert (columns.sum(1) <= 30).all() and (columns.sum(1) > 20).all()
    first = columns.int().argmax(1)
    assert first.min() < 4 and first.max() > 26  # over the whole width
    dark = damaged(Watermark("word", colour=0.0), values)
    assert (dark <= values).all()


def test_a_warp_of_nothing_is_nothing_and_edges_go_on():
    values = pictures()
    torch.testing.assert_close(damaged(Warp(0, 0, 0, 0), values), values, rtol=0, atol=1e-5)
    torch.testing.assert_close(damaged(Warp(90, 0.9, 0.9, 0.9), torch.full_like(values, 0.3)), torch.full_like(values, 0.3))


@pytest.mark.parametrize("height, width", [(24, 24), (20, 40), (40, 20)])
def test_a_turn_keeps_right_angles_and_lengths_also_where_pictures_are_not_square(height, width):
    chance = torch.tensor([[1.0, 0, 0, 0, 0, 0], [-0.4, 0, 0, 0, 0, 0]])
    sides = torch.tensor([width / 2, height / 2])  # of a picture from -1 to 1, in pixels
    for each, degrees in zip(Warp(60).maps(chance, height, width), (60, -24), strict=True):
        pixels = torch.diag(sides) @ each[:, :2] @ torch.diag(1 / sides)
        angle = math.radians(degrees)
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        torch.testing.assert_close(pixels, torch.tensor(turn))


def test_a_warp_stays_within_its_bounds():
    draws = 2 * torch.rand(500, 6, generator=torch.Generator().manual_seed(0)) - 1
    maps = Warp(turn=0, shift=0.2, zoom=0.1, shear=0.3).maps(draws, 24, 24)
    assert 0.35 < maps[:, :, 2].abs().max() <= 0.4  # a picture is two wide
    assert 0.08 < (maps[:, [0, 1], [0, 1]] - 1).abs().max() <= 0.1 + 1e-6
    assert 0.25 < maps[:, 0, 1].abs().max() <= 0.3 + 1e-6 and (maps[:, 1, 0] == 0).all()
