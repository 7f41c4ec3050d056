"""What is damaged among much that is not: refused by its name, or left out with a warning, whatever kind of data it is."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from isthmus import cli
from isthmus.data import Waves, open_video, read_path, read_sound, save_video
from isthmus.data.sound import wav_bytes
from isthmus.data.text import read_text

random = np.random.default_rng(0)


def clips(folder):
    pytest.importorskip("av")
    for place in range(3):
        save_video(folder / f"{place}.mp4", random.integers(0, 255, (2, 12, 32, 32, 3), np.uint8), 10)


def sounds(folder):
    for place in range(3):
        (folder / f"{place}.wav").write_bytes(wav_bytes(np.sin(np.arange(700 + 50 * place) / (3 + place)), 8000))


def lines(folder):
    (folder / "0.txt").write_text("one\ntwo\n狗在草地上跑\n", encoding="utf-8")
    (folder / "1.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in ("three", "four")))


def tables(folder):
    for place in range(3):
        pd.DataFrame(random.normal(size=(300, 3)), columns=[*"abc"]).to_parquet(folder / f"{place}.parquet")


def in_half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def in_the_middle(file):
    """Damage that the beginning and the end of the file say nothing of."""
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = bytes(2 * len(content) // 3 - len(content) // 3)
    file.write_bytes(content)


def no_utf8(file):
    file.write_bytes(file.read_bytes().replace(b"two", b"tw\xff"))


def no_json(file):
    file.write_text(file.read_text().replace('{"text": "three"}', '{"text": "three'))


# Each row: what makes a folder, the file in it that is damaged, how, what names the damage, what the warning counts, and what
# `read_path` is told besides.
DAMAGED = {
    "a clip that stops half-way": (clips, "1.mp4", in_half, r"1\.mp4", r"1 of 3 films in .* left out: 1\.mp4\.", {"frames": 4}),
    "a clip damaged in the middle": (
        clips, "1.mp4", in_the_middle, r"1\.mp4", r"1 of 3 films in .* left out: 1\.mp4\.", {"frames": 4},
    ),
    "a sound that stops half-way": (sounds, "2.wav", in_half, r"2\.wav stops half-way", r"1 of 3 sounds in .*: 2\.wav\.", {}),
    "a sound that is none": (
        sounds, "0.wav", lambda file: file.write_text("no sound"), r"0\.wav is no \.wav", r"1 of 3 sounds .*: 0\.wav\.", {},
    ),
    "a line that is no UTF-8": (lines, "0.txt", no_utf8, r"0\.txt is not .*line 2", r"1 of 3 lines in .*0\.txt .*: line 2\.", {}),
    "a line that is no JSON": (lines, "1.jsonl", no_json, r"1\.jsonl, line 1", r"1 of 2 lines in .*1\.jsonl .*: line 1\.", {}),
    "a table that stops half-way": (
        tables, "2.parquet", in_half, r"2\.parquet is no", r"1 of 3 \.parquet files in .*: 2\.parquet\.", {},
    ),
    "a table damaged in the middle": (
        tables, "0.parquet", in_the_middle, r"0\.parquet", r"1 of 3 \.parquet files in .*: 0\.parquet\.", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_refused_by_name_or_left_out(case, tmp_path, capsys):
    make, name, damage, words, warning, reading = DAMAGED[case]
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder)
    whole = everything(read_path(folder, **reading)[0])
    damage(folder / name)
    with pytest.raises(ValueError, match=words):
        everything(read_path(folder, **reading)[0])
    with pytest.warns(UserWarning, match=warning):
        left = everything(read_path(folder, skip_corrupt=True, **reading)[0])
    assert 0 < len(left) < len(whole)
    kept = iter(whole)
    for sample in left:  # the same samples in the same order, without those that were left out
        assert any(np.array_equal(sample, one) for one in kept)
    flags = [f"--{word}={value}" for word, value in reading.items()]
    with warnings.catch_warnings(action="ignore"):
        run("fit", folder, *flags, "-n", 2, "--epochs", 1, "-o", tmp_path / "refused", code=1)
        assert name in capsys.readouterr().err
        run("fit", folder, *flags, "-n", 2, "--epochs", 1, "--skip-corrupt", "-o", tmp_path / "m")
        run("encode", tmp_path / "m", folder, "--skip-corrupt", "-o", tmp_path / "codes.npy")
    assert np.load(tmp_path / "codes.npy").shape == (len(left), 2)


def everything(X):
    """The samples, so that damage shows that does so only when it is met."""
    return list(X.to_numpy()) if isinstance(X, pd.DataFrame) else list(X[:])


def run(*arguments, code=0):
    assert cli.main([str(argument) for argument in arguments]) == code


@pytest.mark.parametrize("case", ["a clip that stops half-way", "a sound that stops half-way", "a table that stops half-way"])
def test_where_all_are_damaged_nothing_is_left_out(case, tmp_path):
    make, _, damage, *_ = DAMAGED[case]
    make(tmp_path)
    for file in tmp_path.iterdir():
        damage(file)
    with pytest.raises(ValueError, match=r"None of the 3 .* can be read; of the last one: .*2\."):
        read_path(tmp_path, skip_corrupt=True)


def test_readers_ask_for_one_of_two_choices(tmp_path):
    sounds(tmp_path)
    for reader in (read_sound, open_video):
        with pytest.raises(ValueError, match="on_error='ignore'"):
            reader(tmp_path, on_error="ignore")
    with pytest.raises(ValueError, match="on_error='ignore'"):
        read_text(tmp_path, "ignore")


def test_what_is_whole_is_read_in_silence(tmp_path):
    sounds(tmp_path)
    with warnings.catch_warnings(action="error"):
        whole = read_sound(tmp_path, on_error="skip")
    assert isinstance(whole, Waves) and whole.names == ["0.wav", "1.wav", "2.wav"]


def test_a_folder_of_text_is_read_file_by_file(tmp_path):
    lines(tmp_path)
    assert read_path(tmp_path)[0] == ["one", "two", "狗在草地上跑", "three", "four"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no text"):
        read_path(tmp_path / "empty", "text")
