"""New pictures: any folder, the nearest of those trained on, ways, edits, folders, the command line, bad input."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from isthmus import Autoencoder, load
from isthmus.apps import Generator
from isthmus.apps.generate import resized
from isthmus.cli import main
from isthmus.data import open_video
from isthmus.page_generate import Novelty, page_of

DIGITS = load_digits()
PICTURES = (DIGITS.images[:400] * 15).astype(np.uint8)
LABELS = DIGITS.target[:400]
TEST = (DIGITS.images[400:600] * 15).astype(np.uint8)


@pytest.fixture(scope="module")
def generator():
    return Generator({"max_epochs": 40}, random_state=0).fit(PICTURES, attributes={"zero": LABELS == 0})


def test_new_pictures_have_the_form_of_the_old_ones(generator):
    new = generator.sample(20, random_state=0)
    assert new.shape == (20, 8, 8) and new.dtype == np.uint8 and generator.size_ == (8, 8)
    np.testing.assert_array_equal(generator.sample(20, random_state=0)[:5], generator.sample(5, random_state=0))
    assert (new != generator.sample(20, random_state=1)).any()


def test_new_pictures_look_more_like_digits_than_noise_of_their_pixels_does(generator):
    shuffled = np.random.default_rng(0).permuted(PICTURES, axis=0)  # each pixel as often bright as before
    assert (
        np.median(generator.nearest(generator.sample(100, random_state=0))[2]) < np.median(generator.nearest(shuffled)[2]) - 0.05
    )


def test_the_nearest_picture_is_found_by_looking_at_all(generator):
    found, places, away = generator.nearest(TEST[:30])
    every = np.sqrt(np.square(TEST[:30, None].astype(float) / 255 - PICTURES[None] / 255).mean((2, 3)))
    np.testing.assert_array_equal(places, every.argmin(1))
    np.testing.assert_allclose(away, every.min(1), rtol=1e-5)
    np.testing.assert_array_equal(found, PICTURES[places])
    assert generator.nearest(PICTURES[:9])[2].max() == 0


def test_only_so_many_pictures_are_kept():
    few = Generator({"max_epochs": 1}, keep=25, random_state=0).fit(PICTURES)
    assert few.pictures_.shape == (25, 8, 8)
    np.testing.assert_array_equal(few.pictures_, PICTURES[few.places_])


def test_a_way_begins_and_ends_at_what_the_model_makes_of_its_ends(generator):
    way = generator.interpolate(TEST[0], TEST[1], 6)
    assert way.shape == (6, 8, 8)
    np.testing.assert_allclose(way[[0, -1]].astype(int), generator.model_.reconstruct(TEST[:2]).astype(int), atol=1)
    assert generator.interpolate(TEST[:2], TEST[2:4], 3).shape == (2, 3, 8, 8)


def test_an_edit_moves_towards_those_that_have_the_attribute(generator):
    others = PICTURES[LABELS != 0][:50]
    np.testing.assert_array_equal(generator.edit(others, "zero", 0.0), generator.model_.reconstruct(others))
    zero = PICTURES[LABELS == 0].mean(0)
    near = [np.square(generator.edit(others, "zero", strength) - zero).mean() for strength in (-0.5, 0.0, 1.0)]
    assert near[2] < near[1] < near[0]
    each = generator.edit(others[:2], "zero", [0.0, 1.0])
    np.testing.assert_array_equal(each[1], generator.edit(others[1:2], "zero", 1.0)[0])


def test_what_is_learnt_by_heart_is_told(generator):
    found = generator.evaluate(TEST)
    assert set(found) == {"new", "unseen", "copies"} and 0 <= found["copies"] < 0.2
    parrot = Generator(generator.model_, random_state=0).fit(PICTURES)
    parrot.sample = lambda n, random_state=None: PICTURES[:n]
    assert parrot.evaluate(TEST)["copies"] == 1 and parrot.evaluate(TEST)["new"] == 0


@pytest.mark.parametrize("shape", [(40, 60), (90, 30, 3), (20, 20, 1)])
def test_pictures_are_cut_in_the_middle_and_brought_to_the_size(shape):
    random = np.random.default_rng(0)
    assert resized(random.integers(0, 256, shape, np.uint8), (10, 12)).shape == (10, 12, *shape[2:])
    flat = resized(np.full(shape, 77, np.uint8), (10, 12))
    assert (flat == 77).all()
    striped = np.zeros((20, 60), np.uint8)
    striped[:, 20:40] = 200  # the middle third
    assert (resized(striped, (10, 10)) == 200).all()


def test_pictures_of_several_sizes_become_one(tmp_path):
    random = np.random.default_rng(0)
    mixed = [np.repeat(np.repeat(one, 1 + k % 3, 0), 1 + k % 2, 1) for k, one in enumerate(PICTURES[:40])]
    generator = Generator({"max_epochs": 1}, size=8, random_state=0).fit(mixed)
    assert generator.sample(2, random_state=0).shape == (2, 8, 8)
    assert generator.nearest(mixed[:3])[0].shape == (3, 8, 8)
    large = random.integers(0, 256, (12, 70, 90), np.uint8)
    assert Generator({"max_epochs": 1}, random_state=0).fit(large).size_ == (64, 64)


def test_a_folder_gives_back_the_generator(generator, tmp_path):
    generator.save(tmp_path / "g")
    again = load(tmp_path / "g")
    np.testing.assert_array_equal(again.sample(5, random_state=0), generator.sample(5, random_state=0))
    np.testing.assert_array_equal(again.edit(TEST[:3], "zero"), generator.edit(TEST[:3], "zero"))
    np.testing.assert_array_equal(again.nearest(TEST)[1], generator.nearest(TEST)[1])


def written(folder, pictures):
    folder.mkdir()
    for place, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{place:03}.png")
    return folder


def test_pictures_through_the_command_line(tmp_path, capsys):
    run = lambda *tokens: main([str(token) for token in tokens])  # noqa: E731
    enlarged = np.repeat(np.repeat(PICTURES[:60], 2, 1), 3, 2)
    folder = written(tmp_path / "all", enlarged)
    zeros, ones = (written(tmp_path / str(label), PICTURES[label == LABELS][:9]) for label in (0, 1))
    assert run("fit", folder, "--task", "generate", "--epochs", 1, "--set", "size=8", "-o", tmp_path / "g") == 0
    assert run("sample", tmp_path / "g", "-n", 6, "-o", tmp_path / "new.png") == 0
    assert run("sample", tmp_path / "g", "-n", 6, "--nearest", "-o", tmp_path / "pairs.png") == 0
    assert "Closest" in capsys.readouterr().err
    assert np.asarray(Image.open(tmp_path / "pairs.png")).shape[1] > np.asarray(Image.open(tmp_path / "new.png")).shape[1]
    given = ("--having", zeros, "--lacking", ones, "--steps", 3, "-n", 4)
    assert run("edit", tmp_path / "g", folder, *given, "-o", tmp_path / "edits.npy") == 0
    assert np.load(tmp_path / "edits.npy").shape == (4, 4, 8, 8)
    assert run("edit", tmp_path / "g", folder, *given, "-o", tmp_path / "edits.png") == 0
    assert run("interpolate", tmp_path / "g", folder, "-n", 2, "--steps", 4, "-o", tmp_path / "ways.png") == 0
    pytest.importorskip("av")
    assert run("interpolate", tmp_path / "g", folder, "-n", 2, "--steps", 4, "--rate", 6, "-o", tmp_path / "ways.mp4") == 0
    film = open_video(tmp_path / "ways.mp4", 12)
    assert film.shape[:4] == (1, 12, 128, 128) and film.rate == 6


# --------------------------------------------------------------------------------------------------- bad input

WRONG = {
    "an attribute that was not learnt": (lambda g: g.edit(TEST, "smile"), "'smile' was not learnt; known are 'zero'"),
    "a strength that is none": (lambda g: g.edit(TEST, "zero", np.nan), "a finite number"),
    "strengths for others": (lambda g: g.edit(TEST[:3], "zero", [1, 2]), "each of the 3 pictures"),
    "all have it": (lambda g: g.learn_attribute("any", TEST, np.ones(200, bool)), "both must occur"),
    "ends of two numbers": (lambda g: g.interpolate(TEST[:2], TEST[:3]), "2 pictures to begin from and 3"),
    "colours where none were": (lambda g: g.nearest(np.zeros((2, 8, 8, 3), np.uint8)), "those of fit were"),
    "nothing": (lambda g: Generator().fit(PICTURES[:0]), "got shape|empty"),
    "too few": (lambda g: Generator().fit(PICTURES[:5]), "5 pictures, but 10"),
    "a size of zero": (lambda g: Generator(size=0).fit(PICTURES), "size=0"),
    "sizes that differ": (lambda g: Generator(size=None).fit([PICTURES[0], PICTURES[1][:4]] * 9), "size=None leaves"),
    "grey and coloured": (
        lambda g: Generator(size=8).fit([PICTURES[0], np.zeros((9, 9, 3), np.uint8)] * 9), "differ in their channels",
    ),
    "floats of another size": (lambda g: Generator(size=4).fit(PICTURES / 255), "pictures of 8 bits"),
    "a picture that is too wide": (lambda g: g.nearest([np.zeros((8, 0), np.uint8)]), "Picture 0"),
}  # fmt: skip


@pytest.mark.parametrize("call, said", WRONG.values(), ids=WRONG)
def test_bad_input_is_refused(call, said, generator):
    with pytest.raises(ValueError, match=said):
        call(generator)


def test_a_model_without_a_prior_is_refused():
    with pytest.raises(ValueError, match="no prior"):
        Generator(Autoencoder(4, kind="images", max_epochs=1)).fit(PICTURES)


# --------------------------------------------------------------------------------------------------------- the page


def test_the_page_shows_new_pictures_ways_and_edits(generator):
    study = Novelty(generator, TEST)
    page = page_of(study)
    for heading in ("New, and what they are nearest to", "How near", "From one to another", "Edited: zero", "Training"):
        assert f"<h2>{heading}" in page
    assert page.count('alt="new picture ') == 32 and page.count("way 3, step") == 10 and page.count('alt="zero"') == 8 * 4
    assert study.figures == generator.evaluate(TEST)


def test_the_page_of_a_saved_generator_and_of_few_pictures(generator, tmp_path, capsys):
    generator.save(tmp_path / "model")
    np.save(tmp_path / "one.npy", TEST[:1])
    command = ["report", str(tmp_path / "model"), str(tmp_path / "one.npy"), "-o", str(tmp_path / "new.html"), "--json"]
    assert main(command) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"new", "unseen", "copies"}
    assert "From one to another" not in (tmp_path / "new.html").read_text()
    assert main(command) == 1 and "already exists" in capsys.readouterr().err
