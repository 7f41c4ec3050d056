"""Text: sentences in, sentences out, whatever their language, and figures that tell how many come back."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from isthmus import Autoencoder, Text, load, presets, report
from isthmus.cli import main
from isthmus.data import cut, open_data, read_path
from isthmus.data.text import Sentences, written_text
from isthmus.parts import Categorical, Data, Drop, FiniteScalar, Local, Mask, Noise, Random, SaltPepper, Swap
from isthmus.sentences import edit_distance, exchange, text_figures

SENTENCES = [
    "A dog runs across the field.", "Two men are talking.", "A woman reads a book.", "", "x",
    "Ein schöner Tag für Übermut.", "La señora bebe café.", "狗在草地上跑。", "雨が降っている。", "Собака бежит.",
    "👩‍🚀 flies to the 🌍!", "e\u0301 is not é", "tab\tand\nline", "١٢٣ أهلا", "a" * 30,
    "Children play in the sand.", "A cat sleeps.", "The train is late.", "He plays guitar.", "Snow falls on cedars.",
]  # fmt: skip


def fit(X=SENTENCES, n_components=16, **settings) -> Autoencoder:
    return Autoencoder(n_components, **{"max_epochs": 2, "random_state": 0, **settings}).fit(X)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    """One that knows its sentences by heart."""
    return fit(max_epochs=120, learning_rate=0.02)


def parts_of(sentences, schema=None) -> Data:
    schema = schema or Sentences.learn(Sentences.check(sentences))
    return schema.rows(Sentences.check(sentences)).take(torch.arange(len(sentences)))


# ------------------------------------------------------------------------------------------------ there and back


def test_twenty_sentences_are_learnt_by_heart(model):
    assert model.schema_.kind == "text" and model.loss_ == "categorical"
    assert model.reconstruct(SENTENCES) == SENTENCES
    codes = model.transform(SENTENCES)
    assert codes.shape == (20, 16) and model.inverse_transform(codes) == SENTENCES
    assert (model.score_samples(SENTENCES) > -0.1).all()


@pytest.mark.parametrize(
    "architecture", ["local", "dense", "conv", "recurrent", "transformer", Local(8, stride=4, numbers=2)], ids=repr
)
def test_every_architecture_that_reads_a_window_reads_text(architecture):
    natural = isinstance(architecture, Local)
    model = fit(n_components=None if natural else 4, architecture=architecture)
    assert all(isinstance(text, str) for text in model.reconstruct(SENTENCES))
    assert model.code_shape_ == ((8, 2) if natural else (4,))


def test_a_code_does_not_depend_on_its_company(model):
    together = model.transform(SENTENCES)
    for place in range(len(SENTENCES)):
        assert np.array_equal(model.transform(SENTENCES[place : place + 1])[0], together[place])
    assert np.array_equal(model.transform(SENTENCES[::-1]), together[::-1])


def test_two_fits_are_equal_bit_for_bit():
    one, two = fit(corruption=[Drop(0.2), Swap(0.1)]), fit(corruption=[Drop(0.2), Swap(0.1)])
    assert np.array_equal(one.transform(SENTENCES), two.transform(SENTENCES))


def test_columns_of_any_library_are_read(model):
    polars = pytest.importorskip("polars")
    codes = model.transform(SENTENCES)
    column = pd.Series(SENTENCES)
    forms = [np.array(SENTENCES), np.array(SENTENCES, dtype=object), column, column.to_frame("text"), polars.Series(SENTENCES)]
    for X in (*forms, tuple(SENTENCES)):
        assert np.array_equal(model.transform(X), codes), type(X)
        assert isinstance(model.reconstruct(X), list)
    for X in (np.array(SENTENCES), column, polars.Series(SENTENCES)):
        assert open_data(X)[1] == "text"


def test_a_model_of_text_is_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "text")
    again = load(tmp_path / "text")
    assert np.array_equal(again.transform(SENTENCES), model.transform(SENTENCES))
    assert again.reconstruct(SENTENCES) == SENTENCES
    assert load(tmp_path / "text", only="decoder").inverse_transform(model.transform(SENTENCES)) == SENTENCES


def test_how_text_is_read_passes_clone_and_is_saved(tmp_path):
    model = Autoencoder(4, kind=Text(longest=48), max_epochs=1, random_state=0)
    copy = clone(model).set_params(kind__longest=50)
    assert model.kind.longest == 48 and copy.kind.longest == 50 and copy.get_params()["kind__tokens"] == "bytes"
    copy.fit(SENTENCES).save(tmp_path / "text")
    again = load(tmp_path / "text")
    assert again.schema_.shape == (50,) and repr(again.kind) == "Text(longest=50)"


def test_variational_text_is_drawn_and_walked_through():
    model = presets.variational(8, beta=0.1, random_state=0, max_epochs=60, learning_rate=0.02).fit(SENTENCES)
    drawn = model.sample(5, random_state=0)
    assert len(drawn) == 5 and all(isinstance(text, str) for text in drawn)
    assert len(model.sample(2, like=SENTENCES[:3], random_state=0)) == 6
    way = model.interpolate(SENTENCES[0], SENTENCES[1], 4)
    assert len(way) == 4 and [way[0], way[-1]] == model.reconstruct(SENTENCES[:2])
    assert np.isfinite(model.log_likelihood(SENTENCES[:2], 3, random_state=0)).all()


# ------------------------------------------------------------------------------------------------------- tokens


def test_tokens_are_bytes_up_to_their_end():
    data = parts_of(["狗", "", "abcd"])
    assert data.values.tolist() == [[0xE7, 0x8B, 0x97, 256], [256] * 4, [97, 98, 99, 100]]
    assert data.weight.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]] and data.length.tolist() == [4, 1, 4]


def test_bytes_that_are_no_text_are_replaced():
    schema = Sentences.learn(Sentences.check(["four"]))
    assert schema.give_back(torch.tensor([[255, 97, 256, 98], [0xE7, 0x8B, 256, 256]]), None) == ["\ufffda", "\ufffd"]


def test_what_lies_behind_the_end_changes_nothing(model):
    data = model._rows(SENTENCES).take(torch.arange(20))
    other = Data(torch.where(data.weight > 0, data.values, 7), data.weight, data.length)
    assert not torch.equal(other.values, data.values)
    assert torch.equal(model._code(other), model._code(data))
    output = model.network_.decode(model.network_.encode(data))
    assert torch.equal(model.network_.loss(output, other), model.network_.loss(output, data))


def test_learnt_tokens():
    pytest.importorskip("tokenizers")
    kind = Text("bpe", size=300)
    model = fit(kind=kind, max_epochs=120, learning_rate=0.02)
    assert 256 < model.schema_.tokens <= 301 and model.schema_.shape[0] < 31
    assert model.reconstruct(SENTENCES) == SENTENCES
    unseen = ["Ωμέγα 龍", "dog", "", "\ud7ff"]
    schema = model.schema_
    assert schema.give_back(parts_of(unseen, schema).values, None) == unseen  # any text can be written
    assert schema.words == fit(kind=kind).schema_.words


def test_learnt_tokens_are_saved_and_loaded(tmp_path):
    pytest.importorskip("tokenizers")
    model = fit(kind=Text("bpe", size=280))
    model.save(tmp_path / "words")
    again = load(tmp_path / "words")
    assert again.kind.get_params() == {"tokens": "bpe", "size": 280, "longest": None}
    assert np.array_equal(again.transform(SENTENCES), model.transform(SENTENCES))
    assert again.reconstruct(SENTENCES) == model.reconstruct(SENTENCES)


def test_cut_keeps_characters_whole():
    assert cut(["狗在跑", "abc", ""], 7) == ["狗在", "abc", ""]
    model = fit(kind=Text(longest=8), X=cut(SENTENCES, 8))
    assert model.transform(cut(["a sentence that is longer"], 8)).shape == (1, 16)


# --------------------------------------------------------------------------------------------------------- parts


def test_the_loss_is_the_cross_entropy_up_to_the_end():
    loss, data = Categorical(), parts_of(["ab", "", "abc"])
    schema = type("schema", (), {"shape": (3,), "tokens": 257, "kind": "text"})
    assert loss.build(schema) == (3, 257)
    output = torch.randn(3, 3, 257, generator=torch.Generator().manual_seed(0))
    shares = F.log_softmax(output, -1)
    expected = [-sum(shares[i, t, x] for t, x in enumerate(row)) for i, row in enumerate(([97, 98, 256], [256], [97, 98, 99]))]
    torch.testing.assert_close(loss(output, data), torch.stack(expected))
    certain = F.one_hot(torch.tensor([[97, 256, 98], [97, 98, 99], [256, 0, 0]]), 257) * 9.0
    assert loss.lengths(certain).tolist() == [2, 3, 1]
    assert torch.equal(loss.mean(certain), certain.argmax(-1))


def test_a_decoder_begins_with_the_shares_of_the_tokens():
    model = fit(max_epochs=1, learning_rate=1e-12)
    model.network_.architecture.widen[1].weight.data.zero_()  # whatever the code
    told = model.network_.decode(torch.zeros(1, 16)).softmax(-1)[0, 5]
    counts = np.bincount(list("".join(SENTENCES).encode()), minlength=257) + 1.0
    counts[256] += sum(len(text.encode()) < model.schema_.shape[0] for text in SENTENCES)
    torch.testing.assert_close(told, torch.from_numpy(counts / counts.sum()).float(), rtol=0.2, atol=1e-3)


@pytest.mark.parametrize("corruption", [Mask(0.5), Drop(0.5), Swap(0.5)], ids=repr)
def test_corruptions_leave_tokens(corruption):
    model = fit(corruption=corruption)
    data = model._rows(SENTENCES).take(torch.arange(20))
    damaged = model.network_.corrupt(data, Random(0, "test", 1, torch.arange(20)))
    assert damaged.values.dtype == torch.int64 and not torch.equal(damaged.values * damaged.weight, data.values * data.weight)
    assert damaged.values.min() >= 0 and damaged.values.max() < 257
    if not isinstance(corruption, Swap):
        assert 0.35 < float(damaged.weight.sum() / data.weight.sum()) < 0.65
    seen = model.network_.inlet(damaged)
    assert (seen[damaged.weight == 0] == 0).all()


def test_a_local_code_says_what_stands_where():
    """Two sentences that differ in their last byte differ in the last places of the code alone."""
    model = fit(n_components=None, architecture=Local(8), bottleneck=FiniteScalar((255,)))
    one, two = model.transform(["a" * 30, "a" * 29 + "b"])
    reach = 1 + 2  # the convolutions of the encoder, each to the next place
    assert (one != two)[29 - reach + 1 : 30 + reach].any() and np.array_equal(one[: 29 - reach], two[: 29 - reach])


# ------------------------------------------------------------------------------------------------------- figures


def test_figures_of_a_model_that_knows_its_sentences(model):
    ours, control = text_figures(model, SENTENCES, dtype="int16")
    assert ours["exact"] == 1 and ours["error"] == 0 and ours["sentences"] == 20
    assert control["exact"] == 0 and control["error"] > 0.5
    assert ours["bits"] == control["bits"] == 20 * 16 * 16 / sum(map(len, SENTENCES))


def test_stored_numbers_cost_what_they_hold(model):
    exact = {dtype: text_figures(model, SENTENCES, dtype=dtype)[0] for dtype in ("int8", "int16", "float32")}
    assert exact["float32"]["exact"] >= exact["int8"]["exact"] >= 0.5
    assert exact["float32"]["bits"] == 4 * exact["int8"]["bits"]
    grid = fit(n_components=None, architecture=Local(8), bottleneck=FiniteScalar((255,)))
    row = text_figures(grid, SENTENCES)[0]
    assert row["stored"] == "one of 255 entries"
    assert row["bits"] == pytest.approx(np.log2(255) * 31 * 20 / sum(map(len, SENTENCES)))


def test_edits_are_counted_as_a_table_counts_them():
    random = np.random.default_rng(0)
    for _ in range(50):
        a, b = ("".join(random.choice(list("ab狗"), random.integers(0, 9))) for _ in range(2))
        assert edit_distance(a, b) == by_table(a, b) == edit_distance(b, a)


def by_table(a: str, b: str) -> int:
    table = [[max(i, j) if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            other = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, other)
    return table[-1][-1]


@pytest.mark.parametrize("count", [2, 3, 20])
def test_no_code_stays_with_its_sentence(count):
    order = exchange(count, 0)
    assert sorted(order) == list(range(count)) and (order != np.arange(count)).all()


# ----------------------------------------------------------------------------------------------------- bad input

REFUSED = {
    "too long": (lambda model: model.transform(["short", "b" * 60]), ["Sentence 1", "60 bytes", "up to 31", "isthmus.data.cut"]),
    "too long in fit": (lambda model: fit(kind=Text(longest=10)), ["Sentence 0", "28 bytes", "up to 10"]),
    "one sentence": (lambda model: model.transform("a dog runs"), ["one sentence", "[X]"]),
    "one sentence like": (lambda model: model.sample(2, like="a dog runs"), ["one sentence", "like=[sentence]"]),
    "a way between lists": (lambda model: model.interpolate(["a"], ["b"]), ["one sentence", "list"]),
    "no sentences": (lambda model: model.transform([]), ["0 sentences"]),
    "a missing one": (lambda model: model.transform(["a", None]), ["Sentence 1", "None"]),
    "a number": (lambda model: model.transform(["a", 3]), ["Sentence 1", "int"]),
    "numbers": (lambda model: model.transform(np.zeros((3, 4))), ["list of str"]),
    "half a character": (lambda model: model.transform(["a", "b\ud800"]), ["Sentence 1", "surrogate"]),
    "noise": (lambda model: fit(corruption=Noise()), ["Noise()", "tokens", "Drop()"]),
    "salt": (lambda model: fit(corruption=SaltPepper()), ["tokens"]),
    "squares": (lambda model: fit(loss="squared"), ["tokens", "categorical"]),
    "shares of numbers": (lambda model: fit(np.zeros((5, 3)), 1, loss="categorical"), ["tokens", "squared"]),
    "scale": (lambda model: fit(scale="standard"), ["tokens are not scaled"]),
    "Vamp": (lambda model: presets.vamp(3, max_epochs=1).fit(SENTENCES), ["Vamp", "tokens"]),
    "a slope at tokens": (lambda model: presets.contractive(3, max_epochs=1, architecture="local").fit(SENTENCES), ["tokens"]),
    "another unit": (lambda model: fit(kind=Text("words")), ["tokens='words'", "'bpe'"]),
    "no room": (lambda model: fit(kind=Text(longest=0)), ["longest=0"]),
    "a page": (lambda model: report.compare(model, SENTENCES), ["text_figures"]),
    "figures of numbers": (
        lambda model: text_figures(fit(np.random.default_rng(0).random((20, 4)), 2), SENTENCES), ["vectors"],
    ),
    "an unknown dtype": (lambda model: text_figures(model, SENTENCES, dtype="int4"), ["int4", "'int8'"]),
    "two columns": (lambda model: model.transform(pd.DataFrame({"a": ["x"], "b": ["y"]})), ["one column", "2"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_text_is_refused(case, model):
    act, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        act(model)
    assert all(any(option in str(error.value) for option in word.split("|")) for word in words), str(error.value)


def test_tokenizers_are_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"isthmus\[text\]"):
        fit(kind=Text("bpe"))


# --------------------------------------------------------------------------------------------------------- files


def test_files_of_sentences(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffeins\r\n\nzwei 狗".encode())
    assert read_path(tmp_path / "a.txt")[0] == ["eins", "", "zwei 狗"]
    (tmp_path / "a.jsonl").write_text('{"id": "7", "text": "eins"}\n\n{"note": "zwei"}\n"drei"\n')
    assert read_path(tmp_path / "a.jsonl")[0] == ["eins", "zwei", "drei"]
    (tmp_path / "b.jsonl").write_bytes(written_text(SENTENCES, ".jsonl"))
    assert read_path(tmp_path / "b.jsonl")[0] == SENTENCES


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"fine\nb\xff\n", ["line 2", "UTF-8"]),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', ["line 2", "JSON"]),
        ("b.jsonl", b'{"a": "x", "b": "y"}\n', ["line 1", "several texts", '"text"']),
        ("c.jsonl", b'{"a": 3}\n', ["line 1", "no text"]),
    ],
)
def test_bad_files_are_refused(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_path(tmp_path / name)
    assert all(word in str(error.value) for word in [name, *words])


def test_a_line_break_does_not_fit_into_a_line():
    with pytest.raises(ValueError, match=r"Sentence 1 holds a line break.*jsonl"):
        written_text(["a", "b\nc"], ".txt")


def test_text_through_the_command_line(tmp_path, capsys):
    lines = [text for text in SENTENCES if "\n" not in text]
    source, model = tmp_path / "in.txt", tmp_path / "model"
    source.write_bytes(written_text(lines, ".txt"))
    run("info", source)
    told = capsys.readouterr().out
    assert "text" in told and str(len(lines)) in told and "different characters" in told
    run("fit", source, "-o", model, "-n", 16, "--epochs", 120, "--longest", 50, "--learning-rate", 0.02)
    run("reconstruct", model, source, "-o", tmp_path / "out.txt")
    assert read_path(tmp_path / "out.txt")[0] == lines
    run("encode", model, source, "-o", tmp_path / "codes.npy")
    run("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "out.jsonl")
    assert read_path(tmp_path / "out.jsonl")[0] == lines
    run("interpolate", model, source, "-o", tmp_path / "way.jsonl", "-n", 1, "--steps", 3)
    assert len(read_path(tmp_path / "way.jsonl")[0]) == 5
    run("sample", model, "--prior", source, "-n", 3, "-o", tmp_path / "new.jsonl")
    assert len(read_path(tmp_path / "new.jsonl")[0]) == 3
    capsys.readouterr()
    run("report", model, source, "--json", "-o", tmp_path / "report.html")
    ours, control = json.loads(capsys.readouterr().out)
    assert ours["exact"] > 0.5 and control["exact"] == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(line in page for line in lines[:2]) and "character error" in page
    assert main(["sample", str(model), "--prior", str(source), "-o", str(tmp_path / "new.png")]) == 1
    assert main(["fit", str(source), "-o", str(tmp_path / "m"), "--tokens", "words"]) == 1


def run(*arguments) -> None:
    assert main([str(argument) for argument in arguments]) == 0
