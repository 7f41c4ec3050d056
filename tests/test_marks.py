"""One mark over many pictures, and objects taken out of films: laws on clips whose truth is known."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from isthmus.apps import find_mark, without_mark, without_object
from isthmus.apps.fill import smooth_fill, trend_fill
from isthmus.apps.marks import Unmoving
from isthmus.apps.measures import psnr
from isthmus.apps.objects import step_between
from isthmus.apps.steady import steadied

RANDOM = np.random.default_rng(0)
SCENE = gaussian_filter(RANDOM.normal(size=(300, 340, 3)), (4, 4, 0))
SCENE = (255 * np.clip(0.5 + 2.2 * SCENE, 0, 1)).astype(np.uint8)
HEIGHT, WIDTH = 72, 88


def clip(count=80) -> np.ndarray:
    """A view that wanders over the scene."""
    time = np.arange(count)
    top, left = (110 + 100 * np.sin(time / 5)).astype(int), (120 + 110 * np.sin(time / 13 + 1)).astype(int)
    return np.stack([SCENE[a : a + HEIGHT, b : b + WIDTH] for a, b in zip(top, left, strict=True)])


CLEAN = clip()
MATTE = np.zeros((HEIGHT, WIDTH))
MATTE[26:46, 30:36] = MATTE[26:32, 36:60] = 0.5
MARKED = ((1 - MATTE[..., None]) * CLEAN + MATTE[..., None] * np.array([250, 250, 240])).round().astype(np.uint8)
WHERE = np.broadcast_to(MATTE > 0, CLEAN.shape[:3])


def test_a_mark_over_a_moving_scene_is_found_and_inverted():
    mark = find_mark(MARKED)
    assert mark.mask[MATTE > 0].all() and mark.mask.mean() < 0.4
    restored = np.stack(list(without_mark(MARKED, mark)))
    assert psnr(restored, CLEAN, WHERE) > 30 > psnr(MARKED, CLEAN, WHERE) + 10
    np.testing.assert_array_equal(restored[:, ~mark.mask], MARKED[:, ~mark.mask])
    flicker = [np.abs(np.diff(frames.astype(float), axis=0))[:, MATTE > 0].mean() for frames in (restored, CLEAN)]
    assert flicker[0] == pytest.approx(flicker[1], rel=0.1)


def test_a_mask_of_the_mark_is_taken_as_it_is():
    mark = find_mark(MARKED, MATTE > 0)
    np.testing.assert_array_equal(mark.mask, MATTE > 0)
    assert np.abs(mark.matte - MATTE).mean() < 0.03


def test_what_the_mark_hides_altogether_is_filled():
    opaque = np.where(MATTE[..., None] > 0, 200, CLEAN).astype(np.uint8)
    mark = find_mark(opaque)
    assert mark.rest[MATTE > 0].all()
    assert psnr(np.stack(list(without_mark(opaque, mark))), CLEAN, WHERE) > psnr(opaque, CLEAN, WHERE) + 3


def test_grey_pictures_and_floats_keep_their_form():
    grey = MARKED[..., 0] / 255
    restored = list(without_mark(grey, find_mark(grey)))
    assert restored[0].shape == grey[0].shape and restored[0].dtype == grey.dtype


def test_over_a_scene_that_stands_still_a_mask_is_asked_for():
    still = np.repeat(MARKED[:1], 30, 0)
    with pytest.raises(Unmoving, match=r"does not move.*by a mask"):
        find_mark(still)


@pytest.mark.parametrize(
    "pictures, mask, said",
    [
        ([], None, "no pictures"),
        (MARKED[:5], None, "5 pictures are too few"),
        ([*MARKED[:12], MARKED[0][:50]], None, "Picture 12 has shape"),
        (CLEAN, None, "No mark is found|too much for a mark"),
        (MARKED, np.zeros((3, 3)), r"mask has shape \(3, 3\)"),
        (MARKED, np.zeros((HEIGHT, WIDTH)), "there only"),
    ],
    ids=["none", "few", "sizes", "no mark", "mask", "empty mask"],
)
def test_what_no_mark_can_be_found_in_is_refused(pictures, mask, said):
    with pytest.raises(ValueError, match=said):
        find_mark(pictures, mask)


def test_pictures_of_another_size_are_refused_a_mark():
    with pytest.raises(ValueError, match="same place in pictures of one size"):
        find_mark(MARKED).removed(MARKED[0][:40])


# -------------------------------------------------------------------------------------------------------- objects


def walking(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square that walks through the frames, and where it is."""
    out, masks = frames.copy(), np.zeros(frames.shape[:3], bool)
    for number in range(len(frames)):
        left = 5 + 3 * number
        masks[number, 30:45, left : left + 14] = True
        out[number][masks[number]] = 10
    return out, masks


def test_what_is_behind_an_object_is_borrowed_from_other_frames():
    still = np.repeat(CLEAN[:1], 20, 0)
    seen, masks = walking(still)
    restored = np.stack(without_object(seen, masks))
    np.testing.assert_array_equal(restored, still)


def test_also_where_the_camera_moves():
    panned = np.stack([SCENE[60 + n : 60 + n + HEIGHT, 40 + 2 * n : 40 + 2 * n + WIDTH] for n in range(16)])
    seen, masks = walking(panned)
    restored = np.stack(without_object(seen, masks))
    assert psnr(restored, panned, masks) > 30
    np.testing.assert_array_equal(restored[~masks], seen[~masks])


def test_what_no_frame_shows_is_filled():
    still = np.repeat(CLEAN[:1], 5, 0)
    mask = np.zeros(still.shape[:3], bool)
    mask[:, 20:30, 20:30] = True
    restored = without_object(np.where(mask[..., None], 0, still).astype(np.uint8), mask)
    np.testing.assert_array_equal(restored[0], smooth_fill(np.where(mask[0][..., None], 0, still[0]).astype(np.uint8), mask[0]))


def test_steps_of_the_camera_are_found():
    for rows, columns in ((0, 0), (3, -5), (-7, 2)):
        one, other = (SCENE[a : a + 80, b : b + 90].mean(-1) / 255 for a, b in ((100, 100), (100 + rows, 100 + columns)))
        seen = np.ones(one.shape, bool)
        np.testing.assert_allclose(step_between(one, seen, other, seen), (-rows, -columns), atol=0.1)


@pytest.mark.parametrize(
    "frames, masks, said",
    [
        (CLEAN[:3], WHERE[:2], "3 frames, but 2 masks"),
        (CLEAN[:1], WHERE[:1, :9], "All must be of one size"),
        ([], [], "no frames"),
    ],
)
def test_frames_and_masks_that_do_not_belong_together_are_refused(frames, masks, said):
    with pytest.raises(ValueError, match=said):
        without_object(frames, masks)


# --------------------------------------------------------------------------------------------------------- filling


def test_a_film_over_a_hole_is_its_neighbours_mean():
    values, mask = RANDOM.random((20, 24, 2)), np.zeros((20, 24), bool)
    mask[0:5, 0:6] = mask[10:14, 8:12] = True
    filled = smooth_fill(values, mask)
    np.testing.assert_array_equal(filled[~mask], values[~mask])
    inner = filled[11:13, 9:11]
    np.testing.assert_allclose(
        inner, (filled[10:12, 9:11] + filled[12:14, 9:11] + filled[11:13, 8:10] + filled[11:13, 10:12]) / 4
    )
    assert filled.min() >= values.min() and filled.max() <= values.max()


def test_a_surface_of_second_degree_goes_on_under_the_hole():
    row, column = np.mgrid[:50, :60] / 50
    values, mask = 1 + row**2 - row * column, np.zeros((50, 60), bool)
    mask[15:35, 20:40] = True
    np.testing.assert_allclose(trend_fill(np.where(mask, 9, values), mask), values, atol=1e-8)


@pytest.mark.parametrize("mask, said", [(np.ones((4, 5), bool), "Everything is masked"), (np.ones((2, 2), bool), "4 x 5")])
def test_holes_that_cannot_be_filled_are_refused(mask, said):
    with pytest.raises(ValueError, match=said):
        smooth_fill(np.zeros((4, 5)), mask)


def test_what_stands_still_flickers_less_and_what_moves_stays():
    still = (CLEAN[:1] + 6 * RANDOM.normal(size=(20, *CLEAN.shape[1:]))).clip(0, 255).astype(np.uint8)
    steady = np.stack(list(steadied(still)))
    assert (
        np.abs(np.diff(steady[8:].astype(float), axis=0)).mean() < 0.4 * np.abs(np.diff(still[8:].astype(float), axis=0)).mean()
    )
    moving = np.stack([np.full((12, 12, 3), 250 * (n % 2), np.uint8) for n in range(6)])
    np.testing.assert_array_equal(np.stack(list(steadied(moving))), moving)


# ------------------------------------------------------------------------------------------------------ command line


def call(*tokens) -> int:
    from isthmus import cli

    return cli.main([str(token) for token in tokens])


def as_folder(path, frames):
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number:03d}.png")
    return path


def test_the_command_line_takes_a_mark_off_a_folder(tmp_path, capsys):
    folder = as_folder(tmp_path / "in", MARKED)
    assert call("unmark", folder, "-o", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["count"] == len(MARKED)
    back = np.stack([np.asarray(Image.open(file)) for file in sorted((tmp_path / "out").iterdir())])
    np.testing.assert_array_equal(back, np.stack(list(without_mark(MARKED, find_mark(MARKED)))))
    assert call("unmark", folder, "-o", folder) == 1
    assert "originals stay" in capsys.readouterr().err


def test_the_command_line_takes_an_object_off_a_film_and_keeps_rate_and_sound(tmp_path, capsys):
    av = pytest.importorskip("av")
    still = np.repeat(CLEAN[:1], 12, 0)
    seen, masks = walking(still)
    film_with_sound(av, tmp_path / "in.mp4", seen)
    as_folder(tmp_path / "masks", (255 * masks).astype(np.uint8))
    assert call("erase", tmp_path / "in.mp4", "--mask", tmp_path / "masks", "-o", tmp_path / "out.mp4") == 0
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert film.streams.audio and film.streams.video[0].average_rate == 25
        back = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])
    assert back.shape == still.shape and psnr(back, still, masks) > 20
    (tmp_path / "masks" / "000.png").unlink()
    assert call("erase", tmp_path / "in.mp4", "--mask", tmp_path / "masks", "-o", tmp_path / "o.mp4") == 1
    assert "11 masks for 12 frames" in capsys.readouterr().err


def film_with_sound(av, path, frames) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=25, options={"crf": "8"})
        video.height, video.width, video.pix_fmt = *frames.shape[1:3], "yuv420p"
        audio = container.add_stream("aac", rate=16000)
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(np.sin(np.arange(8000, dtype=np.float32) / 9)[None], format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
