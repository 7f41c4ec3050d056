"""Video: arrays, films and folders of clips as windows of frames, and back with rate, size and number of frames."""

import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from isthmus import Autoencoder, Training, cli, load
from isthmus.data import Clips, kind_of, open_video, read_path, save_video
from isthmus.data.stream import Streamed, within

av = pytest.importorskip("av")
SIZE = (16, 24)


def moving(count=24, size=SIZE, channels=3, seed=0):
    """A bright square that crosses a dark ground, (count, *size, channels) uint8."""
    random = np.random.default_rng(seed)
    frames = np.full((count, *size, channels), 40, np.uint8)
    frames[:, :, :, 0] += random.integers(0, 60, size, dtype=np.uint8)
    for place in range(count):
        left = place * (size[1] - 6) // max(1, count - 1)
        frames[place, 5:11, left : left + 6] = (220, 200, 90)[:channels]
    return frames


def film(path, frames, rate=25, codec="h264", pixels="yuv420p", **options):
    """A film written by PyAV alone, with a key frame every ten."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        stream.codec_context.gop_size = 10
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def plainly(path, format="rgb24"):
    """All frames, decoded from the first to the last."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format=format) for frame in container.decode(video=0)])


def decodings(monkeypatch):
    """The numbers of the frames that are decoded from now on."""
    from isthmus.data.films import Film

    seen, advance = [], Film._advance

    def noted(self):
        seen.append(advance(self))
        return seen[-1]

    monkeypatch.setattr(Film, "_advance", noted)
    return seen


def fit(X, n_components=3, **settings):
    return Autoencoder(n_components, **{"max_epochs": 2, "random_state": 0} | settings).fit(X)


def run(*arguments, code=0):
    assert cli.main([str(argument) for argument in arguments]) == code


# -------------------------------------------------------------------------------------------------------- arrays

ARRAYS = {
    "colour": moving(30).reshape(6, 5, *SIZE, 3),
    "one channel": moving(30, channels=1).reshape(6, 5, *SIZE, 1),
    "no channels": moving(30, channels=1).reshape(6, 5, *SIZE),
    "odd sizes": moving(21, (13, 7)).reshape(3, 7, 13, 7, 3),
    "floats": (moving(30).reshape(6, 5, *SIZE, 3) / 255).astype(np.float32),
    "wide floats": np.random.default_rng(0).normal(5, 3, (6, 4, 9, 8, 2)),
}


@pytest.mark.parametrize("X", ARRAYS.values(), ids=ARRAYS)
def test_arrays_through_every_verb(X, tmp_path):
    model = fit(X, kind="video")
    assert model.network_.architecture.__class__.__name__ == "Conv" and model.schema_.axes == 3
    codes, back = model.transform(X), model.reconstruct(X)
    assert codes.shape == (len(X), 3) and back.shape == X.shape and back.dtype == X.dtype
    np.testing.assert_array_equal(model.inverse_transform(codes), back)
    np.testing.assert_array_equal(model.transform(X[1:2]), codes[1:2])
    assert np.isfinite(model.score_samples(X)).all()
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").reconstruct(X), back)
    np.save(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(model.transform(tmp_path / "x.npy"), codes)


def test_pixels_are_scaled_as_those_of_pictures_are():
    X = ARRAYS["colour"]
    video, images = fit(X), fit(X.reshape(-1, *SIZE, 3))
    assert (video.loss_, float(video.schema_.scale)) == (images.loss_, float(images.schema_.scale)) == ("bernoulli", 255.0)
    wide = fit(ARRAYS["wide floats"]).schema_
    assert float(wide.center) == pytest.approx(ARRAYS["wide floats"].mean())
    assert float(wide.scale) == pytest.approx(ARRAYS["wide floats"].std())


def test_clips_are_learnt():
    X = np.stack([np.roll(moving(3, (12, 16)), shift, 2) for shift in range(16)])
    model = fit(X, 4, max_epochs=100, batch_size=8)
    error = np.square(model.reconstruct(X) / 255 - X / 255).mean()
    assert error < 0.3 * np.square((X - X.mean(0)) / 255).mean()


def test_the_kind_is_told_where_it_is_certain():
    assert kind_of(ARRAYS["colour"]) == kind_of(ARRAYS["wide floats"]) == kind_of(list(ARRAYS["colour"])) == "video"
    assert kind_of(ARRAYS["colour"][0]) == kind_of(np.zeros((5, 8, 8, 1), np.uint8)) == "images"
    with pytest.raises(ValueError, match="kind='video'"):
        kind_of(ARRAYS["no channels"])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 16])
def test_any_number_of_frames_comes_back(length):
    X = moving(2 * length, (12, 8)).reshape(2, length, 12, 8, 3)
    for components in (2, None):
        assert fit(X, components, bottleneck="l1", max_epochs=1).reconstruct(X).shape == X.shape


# --------------------------------------------------------------------------------------------------------- films


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "clip.mp4", moving(57), Fraction(30000, 1001))


@pytest.mark.parametrize("memory", [2**30, 20 * 16 * 24 * 3, 0], ids=["all kept", "some kept", "none kept"])
@pytest.mark.parametrize("stride", [None, 3, 8, 11])
def test_windows_are_the_frames_that_are_decoded_plainly(stride, memory, clip):
    frames = plainly(clip)
    windows = open_video(clip, 8, stride=stride, memory=memory)
    starts = range(0, 57, stride or 8) if (stride or 8) >= 8 else range(0, 57 - 8 + stride, stride)
    expected = np.stack([frames[np.minimum(np.arange(start, start + 8), 56)] for start in starts])
    assert isinstance(windows, Clips) and (windows.shape, windows.rate) == (expected.shape, Fraction(30000, 1001))
    np.testing.assert_array_equal(windows[:], expected)
    for index in np.random.default_rng(0).integers(0, len(windows), 12).tolist():
        np.testing.assert_array_equal(windows[index], expected[index])
    np.testing.assert_array_equal(windows[[4, 0, 4]], expected[[4, 0, 4]])


CODECS = {
    "MPEG-4": ("a.avi", "mpeg4", "yuv420p"),
    "VP9": ("a.webm", "libvpx-vp9", "yuv420p"),
    "H.264 in Matroska": ("a.mkv", "h264", "yuv420p"),
    "full colour": ("a.mp4", "h264", "yuv444p"),
    "grey": ("a.mkv", "ffv1", "gray"),
    "without loss": ("a.mkv", "ffv1", "bgr0"),
}


@pytest.mark.parametrize("name, codec, pixels", CODECS.values(), ids=CODECS)
def test_films_of_other_codecs(name, codec, pixels, tmp_path):
    path = film(tmp_path / name, moving(33), 12, codec, pixels)
    windows, frames = open_video(path, 10, memory=0), plainly(path, "gray" if pixels == "gray" else "rgb24")
    frames = frames[..., None] if pixels == "gray" else frames
    assert windows.rate == 12 and windows.shape == (4, 10, *SIZE, frames.shape[-1])
    for index in (3, 1, 2, 0):
        np.testing.assert_array_equal(windows[index], frames[np.minimum(np.arange(10) + 10 * index, 32)])


def test_reading_in_order_decodes_every_frame_once(clip, monkeypatch):
    windows = open_video(clip, 8, stride=4, memory=8 * 16 * 24 * 3)
    seen = decodings(monkeypatch)
    for window in windows:
        assert window.shape == (8, *SIZE, 3)
    assert seen == list(range(57))
    windows[3]
    assert min(seen[57:]) == 10 and len(seen) <= 57 + 10  # from the key frame before frame 12 on


def test_frames_of_a_long_film_are_not_all_in_memory(tmp_path):
    path, count = film(tmp_path / "long.mp4", moving(300, (48, 64))), 300
    windows = open_video(path, 10, memory=30 * 48 * 64 * 3)
    assert windows.nbytes > windows.memory
    tracemalloc.start()
    total = sum(int(window[0, 0, 0, 0]) for window in windows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total and len(windows.kept) == 30
    assert peak < 0.3 * count * 48 * 64 * 3  # those kept, and a window
    rows = fit(windows, 2, max_epochs=1, training=Training(memory_limit=2**20)).schema_.rows(windows)
    assert rows.resident_bytes > 2**20 and isinstance(within(2**20, rows, rows)[0], Streamed)


def test_a_film_trains_the_same_model_as_its_frames(clip):
    windows, frames = open_video(clip, 8, memory=2**14), open_video(clip, 8)[:]
    ours, array = fit(windows, batch_size=3), fit(frames, batch_size=3)
    np.testing.assert_array_equal(ours.transform(windows), array.transform(frames))
    np.testing.assert_array_equal(ours.transform(clip), array.transform(frames))  # by windows as long as those of fit
    np.testing.assert_array_equal(ours.reconstruct(pickle.loads(pickle.dumps(windows))), array.reconstruct(frames))


def test_frames_are_resized(clip):
    assert open_video(clip, 5, size=(9, 11)).shape == (12, 5, 9, 11, 3)


def test_a_film_filmed_on_its_side_stands_upright(clip, tmp_path):
    content, turned = clip.read_bytes(), tmp_path / "turned.mp4"
    whole = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0x4000], ">u4") * np.array([65536] * 8 + [65536], ">u4")
    quarter = np.array([0, 65536, 0, 2**32 - 65536, 0, 0, 0, 0, 0x40000000], ">u4")  # a quarter clockwise
    place = content.index(whole.astype(">u4").tobytes(), content.index(b"tkhd"))
    turned.write_bytes(content[:place] + quarter.tobytes() + content[place + 36 :])
    np.testing.assert_array_equal(open_video(turned, 57)[0], np.rot90(plainly(clip), -1, (1, 2)))
    assert open_video(turned, 5, size=(12, 8)).shape[2:4] == (12, 8)


# ------------------------------------------------------------------------------------------------------- written


@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001), Fraction(179, 6), 10], ids=str)
@pytest.mark.parametrize("size, channels", [(SIZE, 3), ((15, 21), 3), (SIZE, 1), ((15, 21), 1)], ids=str)
def test_what_is_written_is_read_with_its_size_rate_and_number_of_frames(size, channels, rate, tmp_path):
    frames = moving(30, size, channels)
    save_video(tmp_path / "a.mp4", frames.reshape(5, 6, *size, channels), rate, 28)
    back = open_video(tmp_path / "a.mp4", 28)
    assert back.rate == rate and back.shape == (1, 28, *size, 3)  # H.264 has no grey of its own
    assert np.abs(back[0].astype(float) - frames[:28]).mean() < 12


@pytest.mark.parametrize("size", [SIZE, (15, 21)], ids=str)
def test_without_h264_films_are_written_as_mpeg4(size, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    frames = moving(20, size)
    save_video(tmp_path / "a.mp4", frames[None], 25)
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert film.streams.video[0].codec_context.name == "mpeg4"
    back = open_video(tmp_path / "a.mp4", 20)
    assert back.rate == 25 and np.abs(back[0].astype(float) - frames).mean() < 12


def test_floats_are_written_as_bytes(tmp_path):
    frames = moving(6)[None]
    save_video(tmp_path / "a.mp4", frames, 5)
    save_video(tmp_path / "b.mp4", frames / 255, 5)
    np.testing.assert_array_equal(open_video(tmp_path / "a.mp4", 6)[:], open_video(tmp_path / "b.mp4", 6)[:])


def test_from_film_to_film_on_the_command_line(clip, tmp_path, capsys):
    run("info", clip, "--frames", 8)
    assert "29.97" in (told := capsys.readouterr().out) and "57" in told and "[8, 16, 24, 3]" in told
    model, out = tmp_path / "m", tmp_path / "out.mp4"
    run("fit", clip, "--frames", 8, "-o", model, "-n", 3, "--epochs", 2)
    run("reconstruct", model, clip, "-o", out)
    frames = plainly(out)
    with av.open(str(out)) as written, av.open(str(clip)) as given:
        assert written.streams.video[0].average_rate == given.streams.video[0].average_rate
    assert frames.shape == plainly(clip).shape
    rebuilt = load(model).reconstruct(clip)
    assert np.abs(frames - rebuilt.reshape(-1, *SIZE, 3)[:57].astype(float)).mean() < 6
    run("reconstruct", model, clip, "-o", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), rebuilt)
    run("encode", model, clip, "-o", tmp_path / "codes.npy")
    run("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "decoded.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "decoded.npy"), rebuilt)


def test_a_folder_of_clips_to_a_folder_under_their_names(tmp_path, capsys):
    source, model, out = tmp_path / "in", tmp_path / "m", tmp_path / "out"
    (source / "more").mkdir(parents=True)
    film(source / "b.mp4", moving(13), 10)
    film(source / "more" / "a.mkv", moving(9, seed=1), 5)
    windows, names = read_path(source, frames=4)
    assert windows.names == ["b.mp4", "more/a.mkv"] and windows.shape[:2] == (4 + 3, 4) and windows.rate is None and names is None
    np.testing.assert_array_equal(windows[6, 0], plainly(source / "more" / "a.mkv")[8])
    run("fit", source, "--frames", 4, "-o", model, "-n", 2, "--epochs", 1)
    run("reconstruct", model, source, "-o", out)
    back = open_video(out, 4)
    assert back.names == ["b.mp4", "more/a.mp4"]
    assert [(len(film), film.rate) for film in back.films] == [(13, 10), (9, 5)]
    run("reconstruct", model, source, "-o", out, "--force")
    run("reconstruct", model, source, "-o", tmp_path / "one.mp4", code=1)
    assert "2 films" in capsys.readouterr().err
    film(out / "mine.mp4", moving(3))
    run("reconstruct", model, source, "-o", out, "--force", code=1)
    assert "mine.mp4" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ bad input


def truncated(folder, name="cut.mp4", share=0.6, **options):
    path = film(folder / name, moving(60, (64, 64)), **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def two_sizes(folder):
    film(folder / "a.mp4", moving(4))
    film(folder / "b.mp4", moving(4, (18, 24)))
    return folder


def pictures_and_films(folder):
    from PIL import Image

    film(folder / "a.mp4", moving(4))
    Image.new("L", (8, 8)).save(folder / "b.png")
    return folder


def no_film(folder):
    (folder / "a.mp4").write_text("no film")
    return folder / "a.mp4"


def sound_only(folder):
    path = folder / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


REFUSED = {
    "half a film, its table at the end": (truncated, r"cut\.mp4 is no film.*broken off.*Copy the film again"),
    "half a film, its table in front": (
        lambda folder: truncated(folder, movflags="faststart"), r"cut\.mp4 is cut off .* holds \d+ of 60 frames",
    ),
    "half a film in Matroska": (lambda folder: truncated(folder, "cut.mkv"), r"cut\.mkv is cut off .* holds \d+ of 59 frames"),
    "no film": (no_film, r"a\.mp4 is no film"),
    "sound alone": (sound_only, r"a\.mp4 holds no pictures, only audio"),
    "two sizes": (two_sizes, r"b\.mp4 has frames of \(18, 24, 3\).*a\.mp4 are \(16, 24, 3\).*--size"),
    "pictures beside films": (pictures_and_films, "holds pictures and films.*kind='video'"),
}  # fmt: skip


@pytest.mark.parametrize("make, words", REFUSED.values(), ids=REFUSED)
def test_what_is_no_whole_film_is_refused_by_name(make, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        fit(make(tmp_path))


def test_frames_that_are_damaged_are_refused_by_number(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), dtype=np.uint8)
    path = film(tmp_path / "a.mp4", frames)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    windows = open_video(path, 4)
    windows[:6]
    with pytest.raises(ValueError, match=r"a\.mp4 cannot be decoded after frame \d+.*Copy the film again"):
        windows[:]


@pytest.mark.parametrize("frames, stride", [(4, 4), (6, 2)])
def test_windows_that_are_held_by_another_are_not_kept_besides(frames, stride, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        film(tmp_path / name, moving(21))
    windows = open_video(tmp_path, frames, stride=stride)
    exact = windows[:]
    assert len(windows.kept) == 42
    np.testing.assert_array_equal(windows.handed_over(), exact)
    assert not windows.kept
    np.testing.assert_array_equal(windows[3:5], exact[3:5])


CALLS = {
    "nothing there": (lambda clip: open_video("nowhere.mp4"), FileNotFoundError, "does not exist"),
    "no frames": (lambda clip: open_video(clip, 0), ValueError, "frames=0"),
    "no stride": (lambda clip: open_video(clip, stride=0), ValueError, "stride=0"),
    "no films": (lambda clip: read_path(clip.parent.parent / "nothing", "video"), FileNotFoundError, "does not exist"),
    "another size": (
        lambda clip: fit(open_video(clip, 4, size=(8, 8))).transform(open_video(clip, 4)), ValueError, "16 x 24 pixels",
    ),
    "another length": (lambda clip: fit(ARRAYS["colour"]).transform(open_video(clip, 4)), ValueError, "4 frames.*5 frames"),
    "pictures": (lambda clip: fit(ARRAYS["colour"]).transform(np.zeros((2, 8, 8), np.uint8)), ValueError, "frames, height"),
    "sixteen bits in a film": (
        lambda clip: save_video(clip.parent / "x.mp4", np.zeros((1, 2, 8, 8), np.uint16), 5), ValueError, "8 bits.*npy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, error, words", CALLS.values(), ids=CALLS)
def test_wrong_use_is_refused(call, error, words, clip):
    with pytest.raises(error, match=words):
        call(clip)


# ------------------------------------------------------------------------------------------------------ real film


def test_a_real_film(data_folder, tmp_path):
    path = data_folder / "video" / "car-detection.mp4"
    if not path.is_file():
        pytest.skip("needs video/car-detection.mp4 in the folder that ISTHMUS_DATA names")
    whole = open_video(path, memory=0)
    assert (len(whole.films[0]), whole.rate, whole.shape) == (377, Fraction(25, 2), (24, 16, 432, 768, 3))
    windows = open_video(path, 8, size=(27, 48))
    back = fit(windows, 8, max_epochs=1).reconstruct(windows)
    assert back.shape == (48, 8, 27, 48, 3)
    save_video(tmp_path / "back.mp4", back, whole.rate, 377)
    written = open_video(tmp_path / "back.mp4", 8)
    assert (len(written.films[0]), written.rate, written.shape) == (377, whole.rate, windows.shape)
