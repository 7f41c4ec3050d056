"""Folders of pictures: lazy, upright, bounded in memory, and back in their own size and type."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from isthmus import Autoencoder, cli, load
from isthmus.data import Images, PictureFolder, folders, read_path
from isthmus.data.lazy import Lazy
from isthmus.data.stream import Streamed, within
from isthmus.parts import Conv

RANDOM = np.random.default_rng(0)


def written(folder, pictures, suffix=".png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for place, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{place:03d}{suffix}", **options)
    return folder


def bytes_of(*shape, dtype=np.uint8):
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def decoded(monkeypatch):
    """The names of the files that are decoded from now on."""
    seen, read = [], folders.read_picture
    monkeypatch.setattr(folders, "read_picture", lambda file: seen.append(file) or read(file))
    return seen


def fit(X, n_components=3, **settings):
    return Autoencoder(n_components, **{"max_epochs": 2, "batch_size": 16, "random_state": 0} | settings).fit(X)


# ------------------------------------------------------------------------------------------------------- reading

KINDS = {
    "grey": (bytes_of(7, 5, 6), ".png"),
    "16 bits": (bytes_of(7, 5, 6, dtype=np.uint16), ".png"),
    "16 bits, TIFF": (bytes_of(7, 5, 6, dtype=np.uint16), ".tif"),
    "colour": (bytes_of(7, 5, 6, 3), ".png"),
    "transparency": (bytes_of(7, 5, 6, 4), ".webp"),
    "floats": (RANDOM.normal(size=(7, 5, 6)).astype(np.float32), ".tif"),
    "GIF": (bytes_of(7, 5, 6), ".gif"),
}


@pytest.mark.parametrize("memory", [2**30, 250, 0], ids=["all kept", "some kept", "none kept"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("pictures, suffix", KINDS.values(), ids=KINDS)
def test_pictures_come_as_they_were_written_however_they_are_asked_for(pictures, suffix, threads, memory, tmp_path):
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    folder = PictureFolder(written(tmp_path, pictures, suffix, **options), threads=threads, memory=memory)
    expected = np.stack([pictures] * 3, -1) if suffix == ".gif" and folder.ndim == 4 else pictures
    assert (folder.shape, folder.dtype, folder.ndim, len(folder)) == (expected.shape, expected.dtype, expected.ndim, 7)
    for _ in range(2):
        for start in range(0, 7, 3):
            np.testing.assert_array_equal(folder[start : start + 3], expected[start : start + 3])
        for index in (4, -1, [5, 0, 5], np.array([], int), slice(6, None, -2), expected.std(tuple(range(1, expected.ndim))) > 0):
            np.testing.assert_array_equal(folder[index], expected[index])
        np.testing.assert_array_equal(folder[[1, 2], 1:3], expected[[1, 2], 1:3])
        np.testing.assert_array_equal(np.asarray(folder), expected)
    for wrong in (7, -8, [0, 7], [0.5], [[0]]):
        with pytest.raises(IndexError):
            folder[wrong]


def test_opening_decodes_nothing_and_what_is_kept_is_decoded_once(tmp_path, monkeypatch):
    written(tmp_path, bytes_of(9, 4, 5))
    seen = decoded(monkeypatch)
    folder = PictureFolder(tmp_path)
    assert folder.shape == (9, 4, 5) and seen == []
    folder[3:5], folder[[8, 3]], np.asarray(folder), folder[:]
    assert sorted(seen) == folder.files


def test_slices_that_follow_one_another_are_read_ahead(tmp_path, monkeypatch):
    written(tmp_path, bytes_of(9, 4, 5))
    seen = decoded(monkeypatch)
    folder = PictureFolder(tmp_path, memory=0, threads=1)
    folder[0:3]
    folder.pool.shutdown()  # waits
    assert seen == folder.files[:6]


def test_no_more_pixels_are_kept_than_said(tmp_path):
    pictures = bytes_of(50, 40, 50)
    folder = PictureFolder(written(tmp_path, pictures), memory=20_000)
    assert folder.nbytes > folder.memory and folder.pixels.nbytes == 20_000
    rows = fit(folder[:2], 2).schema_.rows(folder)
    assert rows.resident_bytes >= 50 * 40 * 50  # what training would hold, unless its own limit is lower
    assert isinstance(within(40_000, rows, rows)[0], Streamed)
    np.testing.assert_array_equal(rows.take(torch.arange(50)).values[..., 0], np.float32(pictures) / 255)


def test_pictures_stand_upright_as_exif_says(tmp_path):
    picture = bytes_of(16, 24)
    turned = {1: picture, 3: picture[::-1, ::-1], 6: np.rot90(picture, -1), 8: np.rot90(picture), 5: picture.T}
    for suffix in (".png", ".tif", ".webp"):
        for orientation, expected in turned.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            place = tmp_path / f"{suffix[1:]}{orientation}"
            written(place, [picture], suffix, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
            upright = PictureFolder(place)
            expected = np.stack([expected] * 3, -1) if upright.ndim == 4 else expected
            assert upright.shape[1:] == expected.shape
            np.testing.assert_array_equal(upright[0], expected)


def test_names_are_those_within_the_folder_in_order(tmp_path):
    written(tmp_path / "b", bytes_of(2, 4, 4))
    written(tmp_path / "a-b", bytes_of(1, 4, 4))
    written(tmp_path, bytes_of(1, 4, 4))
    (tmp_path / ".hidden.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    assert read_path(tmp_path)[1] == ["000.png", "a-b/000.png", "b/000.png", "b/001.png"]


# ------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("memory", [2**30, 1000], ids=["all kept", "little kept"])
def test_a_folder_trains_the_same_model_as_its_array(memory, tmp_path, images):
    folder = PictureFolder(written(tmp_path, images[:60]), memory=memory)
    assert isinstance(folder, Lazy) and (folder.nbytes <= folder.memory) == (memory > 60 * 64)
    weight = np.arange(60) % 3
    for settings in ({"patience": 2}, {"n_components": None, "bottleneck": "l1"}):
        ours, array = fit(folder, **settings), fit(images[:60], **settings)
        np.testing.assert_array_equal(ours.transform(folder), array.transform(images[:60]))
        np.testing.assert_array_equal(ours.reconstruct(folder), array.reconstruct(images[:60]))
        np.testing.assert_array_equal(ours.score_samples(folder), array.score_samples(images[:60]))
    ours = Autoencoder(2, max_epochs=1, random_state=0).fit(folder, sample_weight=weight)
    array = Autoencoder(2, max_epochs=1, random_state=0).fit(images[:60], sample_weight=weight)
    np.testing.assert_array_equal(ours.transform(folder), array.transform(images[:60]))
    np.testing.assert_array_equal(ours.transform(tmp_path), array.transform(images[:60]))


def test_a_folder_can_be_pickled(tmp_path, images):
    folder = pickle.loads(pickle.dumps(PictureFolder(written(tmp_path, images[:5]))))
    np.testing.assert_array_equal(folder[:], images[:5])


@pytest.mark.parametrize("kind", ["grey", "16 bits", "colour", "floats"])
def test_folder_to_folder_with_the_same_size_type_and_names(kind, tmp_path):
    pictures, suffix = KINDS[kind]
    source, out = written(tmp_path / "in", pictures, suffix), tmp_path / "out"
    run("fit", source, "-o", tmp_path / "m", "-n", 2, "--epochs", 1)
    run("reconstruct", tmp_path / "m", source, "-o", out)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in source.iterdir())
    back = PictureFolder(out)
    assert (back.shape, back.dtype) == (pictures.shape, pictures.dtype)
    run("reconstruct", tmp_path / "m", source, "-o", out, "--force")


def run(*arguments, code=0):
    assert cli.main([str(argument) for argument in arguments]) == code


# ------------------------------------------------------------------------------------------------------ bad input


def cut(file):
    file.write_bytes(file.read_bytes()[:-40])


def no_picture(file):
    file.write_text("no picture")


@pytest.mark.parametrize("damage", [cut, no_picture])
def test_a_corrupt_picture_is_refused_by_name_or_skipped_with_a_warning(damage, tmp_path, capsys):
    pictures = bytes_of(12, 30, 31)
    source = written(tmp_path / "in", pictures)
    for place in (3, 7):
        damage(source / f"{place:03d}.png")
    with pytest.raises(ValueError, match=r"003\.png is no picture that can be read.*Remove or replace it"):
        fit(source)
    with pytest.warns(UserWarning, match=r"2 of 12 pictures in .* left out: 003\.png, 007\.png\."):
        folder = PictureFolder(source, on_error="skip")
    left = [place for place in range(12) if place not in (3, 7)]
    assert folder.names == [f"{place:03d}.png" for place in left] and folder.skipped == ["003.png", "007.png"]
    np.testing.assert_array_equal(folder[:], pictures[left])
    with warnings.catch_warnings(action="ignore"):
        np.testing.assert_array_equal(PictureFolder(source, on_error="skip", memory=2000)[::-1], pictures[left][::-1])
        run("fit", source, "-o", tmp_path / "m", "-n", 2, "--epochs", 1, "--skip-corrupt")
        run("reconstruct", tmp_path / "m", source, "-o", tmp_path / "out", "--skip-corrupt")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == folder.names
    run("encode", tmp_path / "m", source, "-o", tmp_path / "codes.npy", code=1)
    assert "003.png" in capsys.readouterr().err


def test_a_folder_without_damage_is_skipped_through_in_silence(tmp_path):
    assert PictureFolder(written(tmp_path, bytes_of(3, 4, 4)), on_error="skip").skipped == []


REFUSED = {
    "all are damaged": (lambda folder: [no_picture(file) for file in folder.iterdir()], {"on_error": "skip"}, "no picture"),
    "none can be decoded": (lambda folder: [cut(file) for file in folder.iterdir()], {"on_error": "skip"}, "can be decoded"),
    "another size": (
        lambda folder: written(folder / "x", bytes_of(1, 9, 9)),
        {},
        r"x/000\.png is \(9, 9\).*000\.png is \(8, 30\)",
    ),
    "another type": (lambda folder: written(folder / "x", bytes_of(1, 8, 30, dtype=np.uint16)), {}, "uint16, but .* uint8"),
    "another mode": (lambda folder: written(folder / "x", bytes_of(1, 8, 30, 3)), {}, r"\(8, 30, 3\).* Resize or convert"),
    "a choice that is none": (lambda folder: None, {"on_error": "ignore"}, "on_error='ignore'"),
}


@pytest.mark.parametrize("change, options, words", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_on_opening(change, options, words, tmp_path):
    change(written(tmp_path, bytes_of(4, 8, 30)))
    with pytest.raises(ValueError, match=words):
        PictureFolder(tmp_path, **options)


def test_more_than_16_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif.*70000, more than 16 bits"):
        PictureFolder(tmp_path)[0]


# ------------------------------------------------------------------------------------------------ different sizes

SIZES = [(12, 16), (9, 16), (12, 16), (16, 11), (9, 16), (12, 16), (33, 17)]
able = pytest.mark.skipif(not Conv.sizes_vary, reason="needs convolution of samples that differ in size")


def different(*channels, dtype=np.uint8):
    return [bytes_of(*size, *channels, dtype=dtype) for size in SIZES]


DIFFERENT = {
    "grey": different(),
    "colour": different(3),
    "16 bits": different(dtype=np.uint16),
    "floats": [RANDOM.normal(size=(*size, 1)).astype(np.float32) for size in SIZES],
}


def fully(X, **settings):
    settings = {"architecture": Conv((4, 2)), "kind": "images", "max_epochs": 2, "random_state": 0} | settings
    return Autoencoder(None, **settings).fit(X)


@able
@pytest.mark.parametrize("X", DIFFERENT.values(), ids=DIFFERENT)
def test_pictures_of_different_sizes_come_back_in_theirs(X, tmp_path):
    model = fully(X)
    assert model.schema_.shape == (None, None, X[0].shape[2] if X[0].ndim == 3 else 1)
    codes, back = model.encode(X), model.reconstruct(X)
    assert [code.shape for code in codes] == [(-(-h // 4), -(-w // 4), 2) for h, w in SIZES]
    assert [(picture.shape, picture.dtype) for picture in back] == [(picture.shape, picture.dtype) for picture in X]
    assert model.score_samples(X).shape == (7,) and np.isfinite(model.score_samples(X)).all()
    model.save(tmp_path / "m")
    for ours, again in zip(back, load(tmp_path / "m").reconstruct(X), strict=True):
        np.testing.assert_array_equal(ours, again)


@able
def test_a_code_does_not_depend_on_the_company_that_its_picture_came_in():
    X = DIFFERENT["colour"]
    model = fully(X)
    codes, scores = model.encode(X), model.score_samples(X)
    for place in range(7):
        np.testing.assert_array_equal(model.encode(X[place : place + 1])[0], codes[place])
        np.testing.assert_array_equal(model.score_samples([X[place]]), scores[place : place + 1])
    for place, code in zip((0, 2, 5), model.encode(np.stack([X[0], X[2], X[5]])), strict=True):
        np.testing.assert_array_equal(code, codes[place])


@able
def test_a_folder_of_different_sizes_is_read_where_the_kind_says_so(tmp_path):
    for place, picture in enumerate(DIFFERENT["grey"]):
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    with pytest.raises(ValueError, match="kind='images', and fit with n_components=None"):
        Autoencoder(None).fit(tmp_path)
    model = fully(tmp_path)
    for picture, expected in zip(model.reconstruct(tmp_path), model.reconstruct(DIFFERENT["grey"]), strict=True):
        np.testing.assert_array_equal(picture, expected)
    model.save(tmp_path / "m")
    run("reconstruct", tmp_path / "m", tmp_path, "-o", tmp_path / "out")
    assert [picture.shape for picture in folders.read_mixed(tmp_path / "out")[0]] == SIZES


def test_a_folder_of_different_sizes_is_listed(tmp_path):
    for place, picture in enumerate(DIFFERENT["colour"]):
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.warns(UserWarning, match=r"1 of 8 pictures in .* was left out: bad\.png"):
        pictures, names = read_path(tmp_path, "images", skip_corrupt=True)
    assert names == [f"{place}.png" for place in range(7)]
    assert all(np.array_equal(*pair) for pair in zip(pictures, DIFFERENT["colour"], strict=True))
    with pytest.raises(ValueError, match=r"bad\.png"):
        read_path(tmp_path, "images")
    (tmp_path / "bad.png").unlink()
    with pytest.raises(ValueError, match="differ in size and take more than 1,000 bytes"):
        folders.read_mixed(tmp_path, memory=1000)


LISTS = {
    "a code of n numbers": (lambda: fit(different(), 3), r"\(9, 16\), \(12, 16\).*Resize or crop.*n_components=None"),
    "a code of any number": (lambda: Autoencoder().fit(different()), "Resize or crop.*n_components=None"),
    "dense layers": (lambda: fully(different(), architecture="dense"), "Dense.* one size"),
    "other channels": (lambda: fully([bytes_of(4, 4), bytes_of(5, 4, 3)]), r"Picture 1 is \(5, 4, 3\) uint8.*Convert"),
    "other pixels": (lambda: fully([bytes_of(4, 4), np.zeros((5, 4))]), r"Picture 1 is \(5, 4\) float64.*Convert"),
    "pixels of 64 bits": (lambda: fully([np.zeros((4, 4), int), np.zeros((5, 4), int)]), "int64"),
    "NaN": (lambda: fully([np.zeros((4, 4)), np.full((5, 4), np.nan)]), "Sample 1 holds NaN"),
    "for a model of one size": (lambda: fit(bytes_of(9, 8, 8)).transform(different()), r"\(9, 16\).*trained on 8 x 8 pixels"),
}


@pytest.mark.parametrize("call, words", LISTS.values(), ids=LISTS)
def test_pictures_that_differ_otherwise_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@able
@pytest.mark.parametrize("other", [different(3), different(dtype=np.uint16)], ids=["channels", "pixels"])
def test_other_pictures_than_those_of_fit_are_refused(other):
    with pytest.raises(ValueError, match=r"but this model was trained on 1 of uint8\. Convert them"):
        fully(DIFFERENT["grey"]).encode(other)


@able
def test_a_transform_into_a_table_is_refused():
    with pytest.raises(ValueError, match=r"Use encode\(X\)"):
        fully(DIFFERENT["grey"]).transform(DIFFERENT["grey"])


@able
@pytest.mark.parametrize("X", DIFFERENT.values(), ids=DIFFERENT)
def test_maps_of_different_sizes_are_decoded_as_large_as_what_they_stand_for(X):
    model = fully(X)
    codes, back = model.encode(X), model.reconstruct(X)
    for written in (model.decode(codes), model.inverse_transform(codes)):
        assert [one.shape[:2] for one in written] == [(4 * -(-h // 4), 4 * -(-w // 4)) for h, w in SIZES]
        for one, exact in zip(written, back, strict=True):
            assert one.dtype == exact.dtype and one.ndim == exact.ndim
            if one.shape == exact.shape:  # nothing was cut off
                np.testing.assert_allclose(one.astype(float), exact.astype(float), atol=1.01 if X[0].dtype.kind == "u" else 1e-5)
    alone = model.decode(codes[2:3])[0]
    np.testing.assert_allclose(alone.astype(float), model.decode(codes)[2].astype(float), atol=1.01)
    tensor = torch.as_tensor(codes[2])[None].requires_grad_()
    model.decode(tensor).sum().backward()
    assert tensor.grad is not None and tensor.grad.abs().sum() > 0


@able
@pytest.mark.parametrize(
    ("call", "said"),
    {
        "an empty list": (lambda m, X: m.decode([]), "empty"),
        "maps of other channels": (lambda m, X: m.decode([code[..., :1] for code in m.encode(X)]), r"None, None, 2.*Pass a list"),
        "a way between two sizes": (lambda m, X: m.interpolate(X[0], X[0][:5]), "one size only"),
        "a condition": (lambda m, X: m.decode(m.encode(X), [0] * 7), "without a condition"),
        "targets of other sizes": (
            lambda m, X: Autoencoder(None, max_epochs=1).fit(X, target=X[::-1]),
            r"Sample 0 is .* but its target is",
        ),
        "a condition in fit": (
            lambda m, X: Autoencoder(None, max_epochs=1).fit(X, condition=[0, 1] * 3 + [0]),
            "leave condition= away",
        ),
    }.values(),
)
def test_what_maps_of_different_sizes_cannot_is_said(call, said):
    X = DIFFERENT["colour"]
    with pytest.raises(ValueError, match=said):
        call(fully(X), X)


@able
def test_pictures_of_different_sizes_are_compared_by_their_structure():
    model = fully(DIFFERENT["colour"], loss="ssim")
    assert np.isfinite(model.score_samples(DIFFERENT["colour"])).all()


@able
def test_a_folder_of_different_sizes_on_the_command_line(tmp_path, capsys):
    for place, picture in enumerate(DIFFERENT["colour"]):
        Image.fromarray(picture.repeat(2, 0).repeat(2, 1)).save(tmp_path / f"{place}.png")
    run("fit", tmp_path, "-o", tmp_path / "m", "--kind", "images", "-n", "none", "--noise", 0.1, "--epochs", 1)
    assert "a code of shape (any, any, 128)" in capsys.readouterr().out
    run("reconstruct", tmp_path / "m", tmp_path, "-o", tmp_path / "out", "--force")


def test_of_decoded_pictures_a_quarter_of_the_bound_is_kept(tmp_path):
    for place in range(40):
        Image.fromarray(np.full((20, 20), place, np.uint8)).save(tmp_path / f"{place:02}.png")
    folder = read_path(tmp_path, limit=8000)[0]
    assert folder.pixels.nbytes == 2000 and folder.nbytes > folder.memory
    assert folder[:, 0, 0].tolist() == list(range(40))


def test_what_a_model_trains_on_is_held_once(tmp_path):
    pictures = bytes_of(40, 8, 9)
    source = written(tmp_path, pictures)

    def resident(folder):
        rows = Images.learn(Images.check(folder)).rows(folder).resident()
        np.testing.assert_array_equal(rows.values, pictures)
        return rows.values.numpy()

    kept = PictureFolder(source)
    assert np.shares_memory(resident(kept), kept.pixels) and kept.there.all()
    partly = PictureFolder(source, memory=20 * 72)
    assert not np.shares_memory(resident(partly), partly.pixels) and len(partly.there) == 20 and not partly.there.any()
    np.testing.assert_array_equal(partly[:], pictures)
    some = kept.only([3, 1])
    np.testing.assert_array_equal(some.handed_over(), pictures[[3, 1]])
    assert not kept.there.any()


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_codes_of_files_carry_their_names_and_are_decoded_under_them(ending, tmp_path):
    pd = pytest.importorskip("pandas")
    source, model, codes, out = tmp_path / "in", tmp_path / "m", tmp_path / f"codes{ending}", tmp_path / "out"
    source.mkdir()
    written(source, bytes_of(6, 8, 8))
    (source / "2b.png").write_bytes(b"no picture")
    for tokens in (
        ["fit", source, "--skip-corrupt", "-n", 3, "--epochs", 1, "-o", model],
        ["encode", model, source, "--skip-corrupt", "-o", codes],
        ["decode", model, codes, "-o", out],
    ):
        assert cli.main([str(token) for token in tokens]) == 0
    frame = pd.read_parquet(codes) if ending == ".parquet" else pd.read_csv(codes)
    names = sorted(file.name for file in source.iterdir() if file.name != "2b.png")
    assert frame["name"].tolist() == names and frame.shape == (6, 4)
    assert sorted(file.name for file in out.iterdir()) == names


# ------------------------------------------------------------------------------------------------------ in a list


def test_pictures_of_pillow_in_a_list_are_pictures():
    pictures = [Image.fromarray(one) for one in bytes_of(20, 8, 9)]
    np.testing.assert_array_equal(fit(pictures).transform(pictures), fit(np.stack(pictures)).transform(np.stack(pictures)))


def test_a_side_that_no_camera_knows_is_upright(tmp_path):
    said = Image.Exif()
    said[274] = 99
    written(tmp_path, bytes_of(12, 10, 14), ".jpg", exif=said)
    assert PictureFolder(tmp_path).shape == (12, 10, 14)
    assert fit(tmp_path).transform(tmp_path).shape == (12, 3)


NO_PICTURES = {
    "paths one by one": (lambda folder: [str(path) for path in folder.iterdir()], {}, "is a file. Give the folder"),
    "gaps among sentences": (lambda folder: ["a", None], {}, "Sentence 1 is None"),
    "waves": (
        lambda folder: [np.zeros(26), np.zeros(20)],
        {"kind": "images"},
        r"Sample 0 has shape \(26,\), but one is \(height",
    ),
    "clips": (lambda folder: np.zeros((4, 3, 8, 8, 3)), {"kind": "images"}, "another kind, say kind="),
}


@pytest.mark.parametrize("case", NO_PICTURES)
def test_what_is_no_picture_is_refused(case, tmp_path):
    made, settings, words = NO_PICTURES[case]
    with pytest.raises(ValueError, match=words):
        fit(made(written(tmp_path, bytes_of(3, 8, 9))), **settings)
