"""Codes in files whose samples differ in size: an array a sample, by name, and back."""

import numpy as np
import pytest
from PIL import Image

from isthmus import Autoencoder, cli, presets
from isthmus.data import Named
from isthmus.data.sequences import write_npz
from isthmus.parts import Conv, Local

SIZES = [(12, 16), (9, 16), (16, 11), (8, 8)]


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, size, np.uint8) for size in SIZES]


def of_pictures(folder):
    (folder / "in" / "deep").mkdir(parents=True)
    names = ["a.png", "b.png", "deep/a.png", "file.png"]
    for name, picture in zip(names, pictures(), strict=True):
        Image.fromarray(picture).save(folder / "in" / name)
    return folder / "in", Autoencoder(None, kind="images", architecture=Conv((4, 2)), max_epochs=1, random_state=0), names


def of_sequences(folder):
    waves = [np.sin(np.arange(n) / 3) for n in (20, 33, 9)]
    np.savez(folder / "in.npz", **dict(zip("xyz", waves, strict=True)))
    return folder / "in.npz", Autoencoder(None, architecture=Conv((4, 2)), max_epochs=1, random_state=0), list("xyz")


def of_text(folder):
    (folder / "in.txt").write_text("a dog runs\na cat\nno\n")
    return (
        folder / "in.txt",
        Autoencoder(None, architecture=Local(stride=1, numbers=1), max_epochs=1, random_state=0),
        list("012"),
    )


@pytest.mark.parametrize("make", [of_pictures, of_sequences, of_text])
def test_codes_of_any_size_go_into_a_file_and_back(make, tmp_path):
    data, model, names = make(tmp_path)
    model.fit(data).save(tmp_path / "m")
    codes, out = model.encode(data), tmp_path / ("out" if make is of_pictures else f"out{data.suffix}")
    run("encode", tmp_path / "m", data, "-o", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as found:
        assert found.files == names
        for code, name in zip(codes, names, strict=True):
            np.testing.assert_array_equal(found[name], code)
    run("decode", tmp_path / "m", tmp_path / "codes.npz", "-o", out)
    back = model.decode(codes)
    if make is of_pictures:
        assert sorted(str(file.relative_to(out)) for file in out.rglob("*.png")) == names
        found = [np.asarray(Image.open(out / name)) for name in names]
    elif make is of_sequences:
        with np.load(out) as arrays:
            found = [arrays[name] for name in arrays.files]
    else:
        found = out.read_text().split("\n")[:-1]
    for one, other in zip(found, back, strict=True):
        np.testing.assert_array_equal(one, other)


def test_codes_that_differ_in_size_have_no_other_file(tmp_path, capsys):
    data, model, _ = of_pictures(tmp_path)
    model.fit(data).save(tmp_path / "m")
    for ending in ("npy", "parquet", "csv"):
        run("encode", tmp_path / "m", data, "-o", tmp_path / f"codes.{ending}", code=1)
        assert "codes.npz" in capsys.readouterr().err
    with pytest.raises(ValueError, match="Two samples have one name"):
        model.encode_to(tmp_path / "codes.npz", data, names=["a", "b", "a", "c"])
    assert not list(tmp_path.glob("codes*"))


def test_codes_of_one_shape_keep_it_in_such_a_file(X, tmp_path):
    model = presets.linear(3, max_epochs=2, random_state=0).fit(X)
    model.save(tmp_path / "m")
    model.encode_to(tmp_path / "codes.npz", X[:4], names=list("abcd"))
    run("decode", tmp_path / "m", tmp_path / "codes.npz", "-o", tmp_path / "back.npy")
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), model.reconstruct(X[:4]), atol=1e-5)
    with open(tmp_path / "odd.npz", "wb") as file:
        write_npz(file, Named([np.zeros(3), np.zeros(2)], ["a", "b"]))
    run("decode", tmp_path / "m", tmp_path / "odd.npz", "-o", tmp_path / "odd.npy", code=1)


@pytest.mark.parametrize("name", ["../b", "/tmp/b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name, tmp_path, capsys):
    data, model, _ = of_pictures(tmp_path)
    model.fit(data).save(tmp_path / "m")
    codes = model.encode(data)
    with open(tmp_path / "codes.npz", "wb") as file:
        write_npz(file, Named(codes[:2], ["a", name]))
    run("decode", tmp_path / "m", tmp_path / "codes.npz", "-o", tmp_path / "out", code=1)
    assert "lies outside of" in capsys.readouterr().err and not (tmp_path / "out").exists()


def run(*arguments, code=0):
    assert cli.main([str(argument) for argument in arguments]) == code
