"""Restoring: what it learns from, any size and type without seams, what stays as it was, files and films."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from isthmus import Autoencoder, load
from isthmus.apps import Restorer, picture_files
from isthmus.apps.damages import DAMAGES, named
from isthmus.apps.measures import psnr, ssim
from isthmus.apps.picture_files import with_chunks
from isthmus.apps.restore import found_marks, noise_of
from isthmus.apps.tiles import drawn_patches, spans
from isthmus.objective import Recorrupted
from isthmus.parts import JPEG, Blur, Conv, Data, Noise, UNet

SMALL = {"architecture": UNet((8, 8), blocks=1), "max_epochs": 1, "batch_size": 8}


def smooth(count=6, height=40, width=48, channels=1, seed=0) -> np.ndarray:
    """Pictures that noise can be told from: wide waves."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 10
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in random.uniform(0.2, 1.2, (count * channels, 3))]
    pictures = (127 + 100 * np.array(waves)).astype(np.uint8).reshape(count, channels, height, width)
    return pictures[:, 0] if channels == 1 else pictures.transpose(0, 2, 3, 1)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
X = smooth()
RGB = smooth(channels=3)


def small(**settings) -> Restorer:
    return Restorer(**{"model": SMALL, "damage": "noise:25", "patch": 32, "random_state": 0} | settings)


@pytest.fixture(scope="module")
def few_patches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isthmus.apps.restore.EPOCH", 64)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick(few_patches):
    yield


@pytest.fixture(scope="module")
def denoiser():
    return small(model=SMALL | {"max_epochs": 20, "architecture": UNet((16,), 2)}).fit(X)


@pytest.fixture(scope="module")
def filler():
    return small(damage="pixels").fit(X)


def noisy(pictures=X, std=25, seed=1):
    return np.clip(pictures + std * np.random.default_rng(seed).normal(size=pictures.shape), 0, 255).astype(np.uint8)


# --------------------------------------------------------------------------------------------------------- what it does


def test_noise_is_taken_away(denoiser):
    new = smooth(seed=5)
    before, after = psnr(noisy(new), new), psnr(denoiser.restore(noisy(new)), new)
    assert after > before + 3


def test_the_same_seed_gives_the_same_restorer():
    one, other = (small().fit(X).restore(noisy()) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("way, gained", [("blind_spot", 2), ("gaussian", 4)])
def test_from_noisy_pictures_alone_noise_is_taken_away(way, gained):
    model = SMALL | {"max_epochs": 25, "architecture": UNet((16,), 2)}
    restorer = small(self_supervised=way, model=model).fit(noisy(smooth(12, seed=3)))
    new = smooth(seed=5)
    assert psnr(restorer.restore(noisy(new)), new) > psnr(noisy(new), new) + gained


def test_the_noise_that_is_added_is_what_the_objective_takes_it_for():
    model = small(self_supervised="gaussian").fit(noisy(smooth(12, seed=3))).model_
    (added,) = model.network_.corruption
    assert added.std / noise_of(list(noisy(smooth(12, seed=3)))) == pytest.approx(model.network_.objective.alpha)


@pytest.mark.parametrize("std", [5, 25, 50])
def test_the_noise_of_pictures_is_found(std):
    pictures = smooth(20) / 255 + std / 255 * np.random.default_rng(0).normal(size=(20, 40, 48))
    assert noise_of(list(pictures)) == pytest.approx(std / 255, rel=0.05)
    with pytest.raises(ValueError, match="found no noise"):
        noise_of(list(np.zeros((3, 8, 8), np.uint8)))


def test_recorrupted_samples_are_told_apart_as_by_clean_ones():
    """The expected loss is that against the clean samples plus a constant, whatever the network answers."""
    random = np.random.default_rng(0)
    clean = torch.from_numpy(random.normal(size=(400_000, 1)))
    y = clean + 0.5 * torch.from_numpy(random.normal(size=clean.shape))
    source = y + 0.25 * torch.from_numpy(random.normal(size=clean.shape))
    apart = {}
    for share in (0.2, 0.6, 1.0):
        network = SimpleNamespace(loss=lambda out, target: (out - target.values).square()[:, 0], penalties={}, bottleneck=None)
        step = SimpleNamespace(network=network, source=Data(source), output=share * source, batch=SimpleNamespace(target=Data(y)))
        loss = float(Recorrupted(0.5)(step)["loss"].mean())
        apart[share] = loss - float((share * source - clean).square().mean())
    assert max(apart.values()) - min(apart.values()) < 0.02 < 0.1 < min(apart.values())


@pytest.mark.parametrize("settings", [{"loss": "absolute"}, {"corruption": Noise(0.1, low=0.0)}, {"corruption": None}])
def test_recorrupted_needs_plain_noise_and_the_squared_error(settings):
    given = {
        "kind": "images",
        "loss": "squared",
        "corruption": Noise(0.1),
        "objective": "recorrupted",
        "max_epochs": 1,
    } | settings
    with pytest.raises(ValueError, match="objective='recorrupted' needs"):
        Autoencoder(2, **given).fit(X / 255)


def test_pairs_are_cut_and_turned_alike():
    darker = (X // 2).astype(np.uint8)
    restorer = small(model=SMALL | {"max_epochs": 15}).fit(darker, target=X)
    assert np.abs(restorer.restore(darker).astype(float) - X).mean() < 0.5 * np.abs(darker.astype(float) - X).mean()


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_by_name_can_be_learnt_from(damage):
    data = RGB if damage == "gray" else X
    restorer = small(damage=damage).fit(data)
    size = (2 * data.shape[1], 2 * data.shape[2]) if damage == "downscale" else data.shape[1:3]
    assert restorer.restore(data).shape[1:3] == size and restorer.restore(data).dtype == np.uint8


def test_a_colouring_restorer_keeps_the_brightness_of_the_grey_picture():
    restorer = small(damage="gray").fit(RGB)
    coloured = restorer.restore(X)
    assert coloured.shape == RGB.shape
    inner = ((coloured > 5) & (coloured < 250)).all(-1)
    assert np.abs(coloured @ np.array([0.299, 0.587, 0.114]) - X)[inner].max() <= 1.5


def test_where_no_mark_is_found_nothing_changes():
    out = torch.from_numpy(X[:1, ..., None] / 255).clone()
    seen = out.clone()
    out[0, 5:15, 5:15] += 0.1
    out[0, 30:32, 30:32] += 0.1  # too small for a mark
    out[0, 20:30, 20:30] += 0.01  # too little
    where = found_marks(out, seen)[0, ..., 0].numpy()
    assert where[5:15, 5:15].all() and where.sum() <= 14 * 14


def test_words_stand_for_parts():
    assert repr(named("blur:0.8-2.5+noise:51")) == repr([Blur(0.8, 2.5), Noise(0.2, 0.2)])
    assert repr(named([JPEG(10, 20), "jpeg:30-40"])) == repr([JPEG(10, 20), JPEG(30, 40)])


# ----------------------------------------------------------------------------------------------- any size, any type


@pytest.mark.parametrize("size, tile", [((90, 81), 16), ((61, 150), 60), ((133, 40), 75)], ids=str)
def test_tiles_give_what_the_whole_picture_gives(denoiser, size, tile):
    picture = np.random.default_rng(0).random((1, *size)).astype(np.float32)
    whole = denoiser.restore(picture)
    tiled = small(model=denoiser.model_, tile=tile).fit(X).restore(picture)
    assert len(list(spans(size[0], tile, denoiser.model_.network_.architecture.reach, 4))) > 1 or size[0] <= tile
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_tiles_that_overlap_too_little_show_that_the_law_can_fail(denoiser):
    picture = np.random.default_rng(0).random((1, 80, 71)).astype(np.float32)
    tiled = small(model=denoiser.model_, tile=32, overlap=0).fit(X).restore(picture)
    assert np.abs(tiled - denoiser.restore(picture)).max() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 31)], ids=str)
def test_pictures_of_any_size_come_back_in_theirs(denoiser, size):
    pictures = [np.zeros(size, np.uint8), X[0]]
    assert [back.shape for back in denoiser.restore(pictures)] == [size, X[0].shape]


def test_bits_and_transparency_stay(denoiser):
    deep = noisy().astype(np.uint16) * 257
    back = denoiser.restore(deep)
    assert back.dtype == np.uint16 and np.abs(back / 257 - denoiser.restore(noisy())).max() <= 0.51
    floats = denoiser.restore(noisy() / 255)
    assert floats.dtype == np.float64 and np.abs(floats.clip(0, 1) * 255 - denoiser.restore(noisy())).max() <= 0.51
    clear = np.random.default_rng(0).integers(0, 256, (2, 40, 48, 1), dtype=np.uint8)
    with_alpha = np.concatenate([RGB[:2], clear], -1)
    back = denoiser.restore(with_alpha)
    np.testing.assert_array_equal(back[..., 3:], clear)
    np.testing.assert_array_equal(back[..., 0], denoiser.restore(RGB[:2, ..., 0]))


def test_a_tensor_comes_back_as_a_tensor(denoiser):
    assert torch.equal(denoiser.restore(torch.from_numpy(X)), torch.from_numpy(denoiser.restore(X)))


def test_small_pictures_are_taken_whole_and_not_turned():
    restorer = small(patch=64)
    patches = restorer._patches([list(X[..., None])], len(X), 0)[0]
    np.testing.assert_array_equal(patches[..., 0], X)


def test_patches_are_drawn_over_all_pixels():
    picture = np.arange(12 * 9.0).reshape(12, 9, 1)
    patches = drawn_patches([[picture]], 4, 2000, seed=0)[0]
    upright = [patch for patch in patches if patch[0, 1, 0] == patch[0, 0, 0] + 1 and patch[1, 0, 0] == patch[0, 0, 0] + 9]
    assert len({patch[0, 0, 0] for patch in upright}) == (12 - 3) * (9 - 3)
    assert set(np.unique(patches)) == set(range(108))


# --------------------------------------------------------------------------------------------------------- masks


def test_a_mask_is_filled_and_the_rest_stays_bit_by_bit(filler):
    mask = np.zeros(X.shape, bool)
    mask[:, 10:20, 10:30] = True
    broken = np.where(mask, 255, X).astype(np.uint8)
    filled = filler.restore(broken, mask)
    np.testing.assert_array_equal(filled[~mask], broken[~mask])
    np.testing.assert_array_equal(filled, filler.restore(np.where(mask, 0, X).astype(np.uint8), mask))
    assert (filled[mask] != broken[mask]).any()


def test_a_colour_marks_what_is_missing(filler):
    broken = X.clip(1, 254)
    broken[:, 5:9, 5:9] = 255
    np.testing.assert_array_equal(filler.restore(broken, marked=255), filler.restore(broken, broken == 255))


def test_an_empty_mask_changes_nothing(filler):
    np.testing.assert_array_equal(filler.restore(X, np.zeros(X.shape, bool)), X)


# --------------------------------------------------------------------------------------------------- save and load


@pytest.mark.parametrize("settings", [{}, {"damage": "pixels"}, {"damage": [Noise(0.1)]}], ids=str)
def test_a_folder_gives_it_back(settings, tmp_path):
    restorer = small(**settings).fit(X)
    restorer.save(tmp_path / "r")
    again = load(tmp_path / "r")
    np.testing.assert_array_equal(again.restore(noisy()), restorer.restore(noisy()))
    assert repr(named(again.damage)) == repr(named(restorer.damage)) and again.fills_ == restorer.fills_


# ------------------------------------------------------------------------------------------------------ bad input


BAD = {
    "unknown damage": (lambda: small(damage="rust").fit(X), "'rust' is not known. Choose noise, blur"),
    "no number": (lambda: small(damage="noise:much").fit(X), "a number or two are expected"),
    "range the wrong way": (lambda: small(damage="blur:3-1").fit(X), "3 is above 1. Exchange"),
    "out of range": (lambda: small(damage="jpeg:0-99").fit(X), r"JPEG\(least=0\)"),
    "both": (lambda: small(self_supervised="blind_spot").fit(X, target=X), "Leave one of them out"),
    "nothing": (lambda: small().fit([]), "X is empty"),
    "one picture": (lambda: small().fit(X[0, 0]), r"Of one: X\[None\]"),
    "whole numbers": (lambda: small().fit(X.astype(np.int64)), "uint8, uint16 or floats are expected"),
    "mixed": (lambda: small().fit([X[0], RGB[0]]), "Picture 1 has 3 channels of uint8, but picture 0 has 1"),
    "patch": (lambda: small(patch=2).fit(X), "patch=2"),
    "fewer clean": (lambda: small().fit(X, target=X[:3]), "6 damaged pictures and 3 clean ones"),
    "other sizes": (lambda: small().fit(X, target=X[:, :20]), "is 40 x 48, but its clean picture is 20 x 48"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_training(name):
    call, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        call()


def test_what_is_no_damage_is_refused():
    with pytest.raises(TypeError, match="damage=3"):
        small(damage=3).fit(X)


@pytest.mark.parametrize(
    "given, said",
    [
        (lambda r: r.restore(X, np.zeros((6, 3, 3))), r"mask of picture 0 has shape \(3, 3\), but the picture is 40 x 48"),
        (lambda r: r.restore(X, np.zeros((2, 40, 48))), "6 pictures, but 2 masks"),
        (lambda r: r.restore(X, marked=300), "no pixel has this colour"),
        (lambda r: r.restore(X, marked=(1, 2)), "one for each of 1 channels"),
        (lambda r: r.restore(X, X > 0, marked=3), "Leave one of them out"),
        (lambda r: r.restore(X * 1.0), "white is 1 here"),
        (lambda r: r.restore(np.full((1, 8, 8), np.nan)), "NaN or infinity"),
        (lambda r: r.restore(np.zeros((1, 8, 8, 5), np.uint8)), "5 channels"),
        (lambda r: r.restore(X[0, 0]), r"Of one: X\[None\]"),
    ],
)
def test_bad_input_at_use_is_refused(given, said, filler):
    with pytest.raises(ValueError, match=said):
        given(filler)


def test_a_denoiser_refuses_masks(denoiser):
    with pytest.raises(ValueError, match="not trained to fill holes"):
        denoiser.restore(X, X > 100)


def test_a_network_of_one_size_says_so():
    model = Autoencoder(None, architecture=Conv((4,)), corruption="noise", max_epochs=1).fit(X)
    restorer = Restorer(model).fit(X)
    assert restorer.restore(X).shape == X.shape
    with pytest.raises(ValueError, match="knows that size only"):
        restorer.restore(X[:, :20])


# ------------------------------------------------------------------------------------------------------- measures


def test_measures_are_those_of_their_definitions():
    one, other = X[0] / 255, noisy()[0] / 255
    assert psnr(one, other) == pytest.approx(-10 * np.log10(np.mean((one - other) ** 2)))
    assert psnr(X, X) == np.inf and ssim(X[0], X[0]) == pytest.approx(1)
    assert ssim(one, other) < 0.9


# ---------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def saved(denoiser, tmp_path):
    denoiser.save(tmp_path / "model")
    return tmp_path / "model"


def call(*tokens) -> int:
    from isthmus import cli

    return cli.main([str(token) for token in tokens])


def folder_of(path, pictures):
    for i, picture in enumerate(pictures):
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path / f"{i}.png")
    return path


def test_the_command_line_from_folder_to_folder(tmp_path, capsys, monkeypatch):
    clean, dirty = folder_of(tmp_path / "clean", X), folder_of(tmp_path / "dirty", noisy())
    assert call("fit", clean, "--task", "restore", "--set", "damage=noise:25", "--set", "patch=16", "--set", "minutes=0.02",
                "-o", tmp_path / "m") == 0  # fmt: skip
    assert "training takes" in capsys.readouterr().err
    given = ("restore", tmp_path / "m", dirty, "-o", tmp_path / "out", "--clean", clean)
    assert call(*given, "--figures", tmp_path / "f.csv", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["count"] == len(X) and result["psnr before"] == pytest.approx(
        np.mean([psnr(a, b) for a, b in zip(noisy(), X, strict=True)])
    )
    assert len((tmp_path / "f.csv").read_text().splitlines()) == len(X) + 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in dirty.iterdir())
    assert call(*given) == 1 and "already exists" in capsys.readouterr().err
    assert call(*given, "--force") == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert call(*given, "--force") == 1 and "notes.txt" in capsys.readouterr().err


def test_pairs_in_folders_need_the_same_names(tmp_path, capsys):
    clean, dirty = folder_of(tmp_path / "clean", X), folder_of(tmp_path / "dirty", noisy())
    train = ("fit", dirty, "--task", "restore", "--target", clean, "--epochs", 1, "--set", "patch=16")
    assert call(*train, "-o", tmp_path / "m") == 0
    (clean / "5.png").rename(clean / "six.png")
    assert call(*train, "-o", tmp_path / "n") == 1
    assert "5.png is in one of them only" in capsys.readouterr().err


def test_originals_are_never_written_over(saved, tmp_path, capsys):
    dirty = folder_of(tmp_path / "dirty", noisy())
    for data, output in ((dirty, dirty), (dirty, dirty / "inside"), (dirty / "0.png", dirty / "0.png"), (dirty, tmp_path)):
        assert call("restore", saved, data, "-o", output, "--force") == 1
        assert "The originals stay as they are" in capsys.readouterr().err
    np.testing.assert_array_equal(np.asarray(Image.open(dirty / "0.png")), noisy()[0])


def exif(orientation: int) -> bytes:
    said = Image.Exif()
    said[0x010F], said[0x0112] = "a maker", orientation
    said.get_ifd(0x8769)[0x829A] = 0.5  # seconds of exposure
    return said.tobytes()


@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp"])
def test_metadata_profile_and_transparency_of_a_file_stay(ending, saved, tmp_path):
    picture = Image.fromarray(RGB[0])
    with_alpha = ending in (".png", ".webp")
    if with_alpha:
        picture.putalpha(Image.fromarray(X[0]))
    picture.save(tmp_path / f"in{ending}", exif=exif(6), icc_profile=PROFILE, **({"lossless": True} if ending == ".webp" else {}))
    assert call("restore", saved, tmp_path / f"in{ending}", "-o", tmp_path / f"out{ending}") == 0
    with Image.open(tmp_path / f"out{ending}") as back:
        back.load()
    assert back.getexif()[0x010F] == "a maker" and back.getexif().get(0x0112, 1) == 1
    assert back.getexif().get_ifd(0x8769)[0x829A] == 0.5
    assert back.info["icc_profile"] == PROFILE and back.size == (40, 48)  # upright now
    if with_alpha:
        np.testing.assert_array_equal(np.asarray(back)[..., 3], np.rot90(X[0], -1))


def test_sixteen_bits_of_a_file_stay(saved, tmp_path, capsys):
    Image.fromarray(X[0].astype(np.uint16) * 256 + 7).save(tmp_path / "deep.png")
    assert call("restore", saved, tmp_path / "deep.png", "-o", tmp_path / "out.png") == 0
    back = np.asarray(Image.open(tmp_path / "out.png"))
    assert back.dtype == np.uint16 and len(np.unique(back)) > 300


@pytest.mark.parametrize("orientation", range(1, 9))
def test_colours_of_sixteen_bits_come_back_with_what_else_the_file_said(orientation, tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)
    said = {"icc_profile": PROFILE, "dpi": (72, 72), "exif": exif(orientation)}
    (tmp_path / "deep.png").write_bytes(with_chunks(imagecodecs.png_encode(deep), said))
    picture = picture_files.read(tmp_path / "deep.png")
    shallow = Image.open(tmp_path / "deep.png")
    np.testing.assert_array_equal(picture.pixels >> 8, np.asarray(ImageOps.exif_transpose(shallow)))
    picture_files.write(tmp_path / "back.png", picture)
    again = picture_files.read(tmp_path / "back.png")
    assert (again.pixels == picture.pixels).all() and again.pixels.dtype == np.uint16
    with Image.open(tmp_path / "back.png") as back:
        assert back.info["icc_profile"] == PROFILE and back.getexif()[0x010F] == "a maker"
        assert back.info["dpi"] == pytest.approx((72, 72), abs=0.01) and back.getexif().get(0x0112, 1) == 1


def test_colours_of_sixteen_bits_need_a_library_and_a_png(saved, tmp_path, capsys, monkeypatch):
    deep = np.zeros((8, 8, 3), np.uint16)
    with pytest.raises(ValueError, match=r"16 bits go to a \.png"):
        picture_files.write(tmp_path / "deep.tif", picture_files.Picture(deep))
    Image.fromarray(deep.astype(np.uint8)).save(tmp_path / "deep.png")
    start = bytearray((tmp_path / "deep.png").read_bytes())
    start[24] = 16
    (tmp_path / "deep.png").write_bytes(start)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert picture_files.has_deep_colours(tmp_path / "deep.png")
    with pytest.raises(ImportError, match=r"16 bits.*pip install 'isthmus\[image\]'"):
        picture_files.needed_imagecodecs(tmp_path / "deep.png")


@pytest.mark.parametrize(
    "given, said",
    [
        (["none.png", "-o", "out.png"], "does not exist"),
        (["0.png", "-o", "out.xyz"], "pictures go to files that end in"),
        (["0.png", "-o", "out.png", "--figures", "f.csv"], "Give clean="),
        (["0.png", "-o", "out.png", "--marked", "red"], "--marked red"),
        (["0.png", "-o", "out.png", "--clean", "none.png"], "under the same name"),
        (["text.png", "-o", "out.png"], "no picture that can be read"),
    ],
)
def test_bad_files_are_refused_and_nothing_is_written(given, said, saved, tmp_path, capsys, monkeypatch):
    folder_of(tmp_path, noisy()[:1])
    (tmp_path / "text.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert call("restore", saved, *given) == 1
    assert said in capsys.readouterr().err and sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_folder_larger_than_memory_is_refused(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "many", X)
    monkeypatch.setattr("isthmus.apps.restore.free_memory", lambda: 10_000)
    with pytest.raises(ValueError, match="all of them must be in memory"):
        small().fit(folder)


def test_a_picture_larger_than_memory_is_refused_before_it_is_decoded(saved, tmp_path, capsys, monkeypatch):
    folder_of(tmp_path, noisy()[:1])
    monkeypatch.setattr("isthmus.apps.picture_files.free_memory", lambda: 10_000)
    assert call("restore", saved, tmp_path / "0.png", "-o", tmp_path / "out.png") == 1
    assert "Cut it into pieces" in capsys.readouterr().err


def test_a_film_keeps_its_rate_and_sound_and_flickers_less(saved, tmp_path, capsys):
    av = pytest.importorskip("av")
    from test_marks import film_with_sound

    still = np.repeat(X[:1], 10, 0)
    frames = np.stack([noisy(picture[None], seed=i)[0] for i, picture in enumerate(still)])
    film_with_sound(av, tmp_path / "in.mp4", np.repeat(frames[..., None], 3, -1))
    assert call("restore", saved, tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 10
    back = {}
    for name in ("in.mp4", "out.mp4"):
        with av.open(str(tmp_path / name)) as film:
            assert film.streams.audio and film.streams.video[0].average_rate == 25
            back[name] = np.stack([frame.to_ndarray(format="gray") for frame in film.decode(video=0)])
    flicker = {name: np.abs(np.diff(shown.astype(float), axis=0)).mean() for name, shown in back.items()}
    assert len(back["out.mp4"]) == 10 and flicker["out.mp4"] < 0.5 * flicker["in.mp4"]
    assert psnr(back["out.mp4"], still) > psnr(back["in.mp4"], still) + 2
    assert call("restore", saved, tmp_path / "in.mp4", "-o", tmp_path / "out.png") == 1
    assert "ends in .mp4" in capsys.readouterr().err


def test_a_film_without_frames_is_refused(saved, tmp_path, capsys):
    (tmp_path / "none.mp4").write_bytes(b"")
    assert call("restore", saved, tmp_path / "none.mp4", "-o", tmp_path / "out.mp4") == 1
    assert "no film that can be read" in capsys.readouterr().err and not (tmp_path / "out.mp4").exists()


def test_the_page_shows_every_picture_before_and_after(saved, tmp_path):
    dirty, clean = folder_of(tmp_path / "dirty", noisy()), folder_of(tmp_path / "clean", X)
    given = ("restore", saved, dirty, "-o", tmp_path / "out", "--clean", clean)
    assert call(*given, "--report", tmp_path / "r.html") == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count('class="after"') == page.count('type="range"') == len(X) and "PSNR after" in page
    assert call(*given, "--force", "--report", tmp_path / "r.txt") == 1
