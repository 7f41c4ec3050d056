"""Every kind of data, on real samples where there are any, goes from its file through every verb and back into such a file."""

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from isthmus import Autoencoder, cli, datasets, load
from isthmus.data import open_data, open_video, save_video

EPOCHS = 2


@dataclass
class Row:
    """How one kind comes: `source` writes a few real samples into a folder and returns their path."""

    kind: str
    source: Callable[[Path, Path], Path]
    alike: Callable[[Any, Any], None]
    decoded: Callable[[Any, Any, Any], None] = field(kw_only=True)  # what came from codes alone, and from a table of them
    written: str = ""  # what the command line writes: an ending, or "" for a folder
    components: int = 4
    flags: list[str] = field(default_factory=list)  # of the commands that read data
    reading: dict = field(default_factory=dict)  # the same, in Python


# ---------------------------------------------------------------------------------------------------- sources


def digits(data: Path, folder: Path) -> Path:
    np.save(folder / "digits.npy", datasets.load("digits:test")[0][:60].reshape(60, -1) / 16.0)
    return folder / "digits.npy"


def penguins(data: Path, folder: Path) -> Path:
    return needed(data / "tabular/penguins.csv")


def numerals(data: Path, folder: Path) -> Path:
    needed(data / "images/mnist")
    (folder / "numerals").mkdir()
    for place, picture in enumerate(datasets.load("mnist:test")[0][:40]):
        Image.fromarray(picture).save(folder / "numerals" / f"{place}.png")
    return folder / "numerals"


def heartbeats(data: Path, folder: Path) -> Path:
    beats = np.loadtxt(needed(data / "timeseries/ucr/ECG5000_TRAIN.txt"), max_rows=40)[:, 1:]
    np.save(folder / "beats.npy", beats[..., None])
    return folder / "beats.npy"


def hours(data: Path, folder: Path) -> Path:
    """Six series of M4 in long form, cut to different lengths."""
    wide = pd.read_csv(needed(data / "timeseries/m4/Hourly-train.csv"), nrows=6)
    parts = []
    for place, row in enumerate(wide.itertuples(index=False)):
        values = np.array(row[1 : 21 + 9 * place], float)
        parts.append(pd.DataFrame({"unique_id": row[0], "ds": range(len(values)), "y": values}))
    pd.concat(parts).to_csv(folder / "hours.csv", index=False)
    return folder / "hours.csv"


def spoken(data: Path, folder: Path) -> Path:
    with zipfile.ZipFile(needed(data / "audio/free-spoken-digits-2000.zip")) as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith(".wav")][:6]
        (folder / "spoken").mkdir()
        for name in names:
            (folder / "spoken" / Path(name).name).write_bytes(archive.read(name))
    return folder / "spoken"


def captions(data: Path, folder: Path) -> Path:
    with gzip.open(needed(data / "text/multi30k/val.en.gz"), "rt", encoding="utf-8") as file:
        lines = [line for line in file if len(line.encode()) <= 64][:40]
    (folder / "captions.txt").write_text("".join(lines), encoding="utf-8")
    return folder / "captions.txt"


def road(data: Path, folder: Path) -> Path:
    """The first 20 frames of a clip, small."""
    clip = open_video(needed(data / "video/car-detection.mp4"), frames=20, size=(24, 42))
    save_video(folder / "road.mp4", clip[:1], 12.5)
    return folder / "road.mp4"


def ratings(data: Path, folder: Path) -> Path:
    seen = pd.read_csv(needed(data / "ratings/ml-100k/u.data"), sep="\t", names=["user", "item", "rating", "time"])
    seen[seen.user < 40].to_csv(folder / "ratings.csv", index=False)
    return folder / "ratings.csv"


def needed(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not there: set ISTHMUS_DATA")
    return path


# ------------------------------------------------------------------------------------------------------ alike


def arrays(a, b) -> None:
    assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype


def frames(a, b) -> None:
    pd.testing.assert_frame_equal(a[:0], b[:0])
    assert len(a) == len(b)


def lists(a, b) -> None:
    assert [np.shape(one) for one in a] == [np.shape(one) for one in b]


def long_frames(a, b) -> None:
    frames(a, b)
    pd.testing.assert_frame_equal(a[["unique_id", "ds"]], b[["unique_id", "ds"]])


def sentences(a, b) -> None:
    assert len(a) == len(b) and all(isinstance(one, str) for one in b)


def scores(a, b) -> None:
    assert b.columns[0] == "user" and len(b) == a.user.nunique() and len(b.columns) == 1 + a.item.nunique()


# ---------------------------------------------------------------------------------------------------- decoded


def all_alike(alike):
    """What is decoded is as what is rebuilt, whether or not the file of codes names the samples."""

    def compared(X, plain, named) -> None:
        alike(X, plain)
        alike(X, named)

    return compared


def same_series(X, plain, named) -> None:
    """Codes do not say how long a series was, but in a table they say which it was."""
    for one in (plain, named):
        pd.testing.assert_frame_equal(one[:0].astype({"unique_id": object}), X[:0].astype({"unique_id": object}))
    assert plain.unique_id.unique().tolist() == list(range(6))
    assert named.unique_id.unique().tolist() == X.unique_id.unique().tolist()


def same_sounds(X, plain, named) -> None:
    assert named.rate == plain.rate == X.rate and named.names == X.names and plain.names == [f"{i}.wav" for i in range(6)]


def same_film(X, plain, named) -> None:
    """Of the same windows, the last of which is now whole, at the same rate."""
    for one in (plain, named):
        arrays(X, one)
        assert one.rate == X.rate and len(one.films[0]) == 8 * len(X)


def same_users(X, plain, named) -> None:
    scores(X, named)
    assert named.user.tolist() == sorted(X.user.unique()) and list(plain.columns) == list(named.columns[1:])


KINDS = {
    "vectors": Row("vectors", digits, arrays, ".npy", decoded=all_alike(arrays)),
    "table": Row("table", penguins, frames, ".csv", 3, decoded=all_alike(frames)),
    "images": Row("images", numerals, arrays, decoded=all_alike(arrays)),
    "sequences of one length": Row(
        "sequences", heartbeats, arrays, ".npy", flags=["--kind", "sequences"], decoded=all_alike(arrays)
    ),
    "sequences in long form": Row("sequences", hours, long_frames, ".csv", 2, decoded=same_series),
    "sound": Row("mel", spoken, lists, flags=["--kind", "mel"], decoded=same_sounds),
    "text": Row("text", captions, sentences, ".txt", 16, decoded=all_alike(sentences)),
    "video": Row(
        "video",
        road,
        arrays,
        ".mp4",
        flags=["--frames", "8", "--size", "24,42"],
        reading={"frames": 8, "size": (24, 42)},
        decoded=same_film,
    ),
    "interactions": Row("interactions", ratings, scores, ".parquet", flags=["--kind", "interactions"], decoded=same_users),
}


@pytest.fixture
def case(request, data_folder, tmp_path):
    row = KINDS[request.param]
    path = row.source(data_folder, tmp_path)
    return row, path, open_data(path, "auto" if "--kind" not in row.flags else row.kind, **row.reading)


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_a_kind_goes_through_every_verb_and_back(case, tmp_path):
    row, _, (X, kind) = case
    assert kind == row.kind
    model = Autoencoder(row.components, kind=kind, max_epochs=EPOCHS, random_state=0).fit(X)
    codes = model.transform(X)
    assert codes.shape[1] == row.components and np.isfinite(codes).all()
    row.alike(X, model.reconstruct(X))
    assert len(model.inverse_transform(codes)) >= len(codes)  # a frame in long form has a row for each step
    assert np.isfinite(model.score_samples(X)).all()
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.transform(X), codes)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_a_kind_goes_through_the_command_line_and_back(case, tmp_path, capsys):
    row, path, (X, kind) = case
    model, codes, table = (tmp_path / name for name in ("model", "codes.npy", "codes.csv"))
    out, plain, named = (tmp_path / f"{name}{row.written}" for name in ("out", "plain", "named"))
    for tokens in (
        ["info", path, *row.flags],
        ["fit", path, *row.flags, "-n", row.components, "--epochs", EPOCHS, "-o", model],
        ["encode", model, path, "-o", codes],
        ["reconstruct", model, path, "-o", out],
        ["encode", model, path, "-o", table],
        ["decode", model, codes, "-o", plain],
        ["decode", model, table, "-o", named],
    ):
        assert cli.main([str(token) for token in tokens]) == 0, capsys.readouterr().err
    fitted = load(model)
    assert fitted.schema_.kind == kind
    np.testing.assert_array_equal(np.load(codes), fitted.transform(X))
    numbers = pd.read_csv(table)[fitted.get_feature_names_out()]
    np.testing.assert_allclose(numbers, np.load(codes), rtol=1e-7)  # as exact as pandas reads text
    read = [open_data(path, "auto" if kind == "interactions" else kind, **row.reading)[0] for path in (out, plain, named)]
    row.alike(X, read[0])
    row.decoded(X, *read[1:])
