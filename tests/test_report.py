"""The page and the table beside PCA: their numbers, their promises, and every kind of model they must carry."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from isthmus import Autoencoder, page_samples, plots, presets, report
from isthmus.information import collapse, entries_used
from isthmus.page import verdict
from isthmus.parts import Conv

pytest.importorskip("matplotlib", reason="pages and plots need matplotlib: pip install 'isthmus[plot]'")

OPTIONAL = {
    "New samples",
    "New samples of each class",
    "From one to another",
    "How the code is used",
    "Filters",
}  # where the model has them
FREE = OPTIONAL - {"New samples of each class"}  # of models that are told no class
SECTIONS = ["There and back", "Beside PCA", "Errors", "The map", "What each component does", "Training", "Layers"]


def quick(X, n_components=4, **kwargs):
    taken = {name: kwargs.pop(name, None) for name in ("target", "condition")}
    return Autoencoder(n_components, **{"max_epochs": 1, "random_state": 0} | kwargs).fit(X, **taken)


def conditional(X, condition, **kwargs):
    return quick(X, bottleneck="gaussian", condition=condition, **kwargs)


def around(y):
    """Two numbers for each label."""
    return np.column_stack([np.cos(y), np.sin(y)])


def coloured(images):
    return np.stack([images, 255 - images, images // 2], axis=-1)


# Every row: what makes a model, its data and what else is handed to `write`, from 100 pictures of digits and their labels.
CASES = {
    "images": lambda images, y: (quick(images), images, {"y": y}),
    "no labels": lambda images, y: (quick(images), images, {}),
    "training data": lambda images, y: (
        quick(images[:70]),
        images[70:],
        {"y": y[70:], "train": images[:70], "train_y": y[:70]},
    ),
    "labels of text": lambda images, y: (quick(images), images, {"y": np.array([f"${n}\\no <b>" for n in y])}),
    "measurements": lambda images, y: (quick(images), images, {"y": y + 0.5}),
    "two numbers": lambda images, y: (quick(images, 2), images, {"y": y}),
    "one number": lambda images, y: (quick(images, 1), images, {"y": y}),
    "colour": lambda images, y: (quick(coloured(images)), coloured(images), {"y": y}),
    "floats of any range": lambda images, y: (quick(images - 100.0, kind="images"), images - 100.0, {"y": y}),
    "list of pictures": lambda images, y: (quick(list(images)), list(images), {"y": list(y)}),
    "vectors": lambda images, y: (quick(images.reshape(100, -1) / 16.0), images.reshape(100, -1) / 16.0, {}),
    "vectors as pictures": lambda images, y: (
        quick(images.reshape(100, -1) / 255),
        images.reshape(100, -1) / 255,
        {"y": y, "shape": (8, 8)},
    ),
    "side paths": lambda images, y: (
        quick(images, None, architecture=Conv((3,), down="pool", up="unpool")),
        images,
        {"y": y},
    ),
    "target": lambda images, y: (quick(images, target=255 - images), images, {"y": y, "target": 255 - images}),
    "unknown target": lambda images, y: (quick(images, target=255 - images), images, {"y": y}),
    "vectors to pictures": lambda images, y: (
        quick(images.reshape(100, -1) / 255, target=images),
        images.reshape(100, -1) / 255,
        {},
    ),
    "classes told": lambda images, y: (conditional(images, y), images, {"y": y, "condition": y}),
    "classes told, without labels": lambda images, y: (conditional(images, y), images, {"condition": y}),
    "classes told, with training data": lambda images, y: (
        conditional(images[:70], y[:70]),
        images[70:],
        {"y": y[70:], "train": images[:70], "train_y": y[:70], "condition": y[70:], "train_condition": y[:70]},
    ),
    "classes of text told": lambda images, y: (
        conditional(images.reshape(100, -1) / 255, y.astype(str)),
        images.reshape(100, -1) / 255,
        {"condition": y.astype(str)},
    ),
    "classes told, vectors as pictures": lambda images, y: (
        conditional(images.reshape(100, -1) / 255, y),
        images.reshape(100, -1) / 255,
        {"y": y, "condition": y, "shape": (8, 8)},
    ),
    "classes told to a plain code": lambda images, y: (quick(images, condition=y), images, {"condition": y}),
    "numbers told": lambda images, y: (conditional(images, around(y)), images, {"y": y, "condition": around(y)}),
    "two samples": lambda images, y: (quick(images), images[:2], {"y": y[:2]}),
}


@pytest.fixture
def y(digits):
    return digits[1][:100]


@pytest.fixture
def page(images, y, tmp_path):
    path = report.write(quick(images), images, tmp_path / "page.html", y=y, title="<script>alert(1)</script> & more")
    return path.read_text(encoding="utf-8")


class Balanced(HTMLParser):
    """Notes tags that are left open or closed twice."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "path", "use", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("path", "use"):
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


# ------------------------------------------------------------------------------------------------------- page


@pytest.mark.parametrize("case", CASES)
def test_every_model_and_data_gets_a_page(case, images, y, tmp_path):
    model, X, rest = CASES[case](images, y)
    page = report.write(model, X, tmp_path / "page.html", **rest).read_text(encoding="utf-8")
    assert [name for name in re.findall("<h2>(.*?)</h2>", page) if name not in OPTIONAL] == SECTIONS
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page)
    parser = Balanced()
    parser.feed(page)
    assert not parser.open and not parser.wrong


@pytest.mark.parametrize(
    "preset, told, expected",
    [
        (lambda: presets.variational(4, architecture="dense", max_epochs=1), None, FREE),
        (lambda: presets.topk(40, k=3, max_epochs=2), None, FREE - {"New samples"}),
        (lambda: presets.vq(8, codebook_size=16, max_epochs=1), None, FREE - {"New samples"}),
        (lambda: presets.kl_sparse(40, max_epochs=1), None, FREE - {"New samples"}),
        (lambda: Autoencoder(4, prior="mixture", architecture=Conv((4,)), max_epochs=1), None, FREE - {"How the code is used"}),
        (lambda: Autoencoder(4, architecture=Conv((4,), down="pool", up="unpool"), max_epochs=1), None, {"Filters"}),
        (lambda: presets.conditional(4, max_epochs=1), lambda y: y, OPTIONAL),
        (lambda: presets.conditional(4, max_epochs=1), around, FREE),
    ],
)
def test_the_page_has_the_sections_that_the_model_has(preset, told, expected, images, y, tmp_path):
    condition = None if told is None else told(y)
    model = preset().set_params(kind="images", random_state=0).fit(images, condition=condition)
    known = None if told is None else condition[:30]
    page = report.write(model, images[:30], tmp_path / "page.html", condition=known).read_text(encoding="utf-8")
    assert set(re.findall("<h2>(.*?)</h2>", page)) - set(SECTIONS) == expected
    parser = Balanced()
    parser.feed(page)
    assert not parser.open and not parser.wrong


def test_new_rows_that_are_no_pictures_are_drawn_as_lines(images, tmp_path):
    rows = images.reshape(len(images), -1) / 16
    model = presets.variational(3, max_epochs=1, random_state=0).fit(rows)
    page = report.write(model, rows[:30], tmp_path / "page.html").read_text(encoding="utf-8")
    part = page[page.index("<h2>New samples</h2>") :]
    assert len(re.findall('aria-label="New sample [0-9]+, as a line', part)) == 12


@pytest.fixture
def mixed():
    """200 rows of numbers, a category that follows from one of them, and gaps."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    frame = pandas.DataFrame({"a": a, "b": -a + rng.normal(scale=0.1, size=200), "side": np.where(a > 0, "left", "right")})
    frame.loc[::10, "b"] = np.nan
    return frame


def test_the_page_of_a_table_has_its_columns_and_the_cells_that_surprise(mixed, tmp_path):
    mixed.loc[7, "b"] = 25.0
    model = quick(mixed, 2, max_epochs=40)
    page = report.write(model, mixed, tmp_path / "page.html", y=mixed.side).read_text(encoding="utf-8")
    expected = ["There and back", "Beside PCA", "Columns", "Errors", "The map", "Cells that surprise", "Training", "Layers"]
    assert re.findall("<h2>(.*?)</h2>", page) == expected
    surprises = page[page.index("Cells that surprise") :]
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page) and re.search(
        "<tbody><tr><th scope=.row.>row 7</th><td>b</td>", surprises
    )


def test_errors_of_a_table_are_those_of_its_cells(mixed):
    model = quick(mixed, 2, max_epochs=40)
    study = report.study_of(model, mixed)
    out, deviation = model.reconstruct(mixed), mixed[["a", "b"]].std(ddof=0)
    there = mixed[["a", "b"]].notna()
    squares = (((out[["a", "b"]] - mixed[["a", "b"]]) / deviation) ** 2).where(there, 0).sum(axis=1)
    np.testing.assert_allclose(study.sizes, squares + (out.side != mixed.side), rtol=1e-4, atol=1e-6)
    assert study.rows[0]["right"] == pytest.approx((out.side == mixed.side).mean())
    told = {one["column"]: one for one in study.of_columns}
    assert told["b"]["missing"] == 0.1 and told["b"]["told"] < 0.6 < 0.9 < told["b"]["guess"]
    rarer = (mixed.side == "left").mean()
    assert told["side"]["told"] < 0.15 and told["side"]["guess"] == pytest.approx(min(rarer, 1 - rarer))


def waves() -> list[np.ndarray]:
    return [np.sin(np.arange(n) / 3.0) for n in (5, 9, 12)]


def pictures_of_sizes() -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 * place, np.uint8) for place, (height, width) in enumerate([(8, 12), (16, 9), (9, 9)])]


@pytest.mark.parametrize(
    "make, n_components, settings, drawn",
    [
        (waves, 2, {"kind": "sequences"}, "<svg"),
        (pictures_of_sizes, None, {"kind": "images", "architecture": Conv((4, 2))}, 'src="data:image/png'),
    ],
    ids=["sequences", "pictures"],
)
def test_samples_of_different_sizes_are_shown_beside_what_is_rebuilt(make, n_components, settings, drawn, tmp_path):
    X = make()
    model = quick(X, n_components, **settings)
    page = report.write(model, X, tmp_path / "page.html").read_text(encoding="utf-8")
    shown = page.split("<h2>There and back</h2>")[1].split("</section>")[0]
    assert shown.count("<figure>") == 3 and drawn in shown and "variance explained" in page
    (row,) = page_samples.figures_of(model, X)
    back = model.reconstruct(X)
    squares = np.concatenate([np.square(a.astype(float) - b).ravel() for a, b in zip(X, back, strict=True)])
    assert row["error"] == pytest.approx(squares.mean(), rel=1e-5) and row["lengths"] == 1 and row["samples"] == 3
    with pytest.raises(ValueError, match=r"differ in size. Use score_samples"):
        report.compare(model, X)


def test_sentences_are_shown_beside_what_is_rebuilt(tmp_path):
    sentences = ["a dog", "<b> & cats", "rain"] * 4
    model = quick(sentences, 8)
    page = report.write(model, sentences, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;b&gt; &amp; cats" in page and "exact match" in page and "codes exchanged" in page
    with pytest.raises(ValueError, match="a target of its own"):
        report.write(quick(sentences, 8, target=sentences[::-1]), sentences, tmp_path / "other.html")


def lead_of(page: str, heading: str) -> str:
    return page.split(f"<h2>{heading}</h2>")[1].split("</p>")[0]


QUANTISED = {  # the model, its entries, and how many a sample chooses
    "vq": (presets.vq(8, codebook_size=16), 16, 2),
    "residual_vq": (presets.residual_vq(8, levels=2, codebook_size=16), 32, 4),
    "fsq": (presets.fsq(6, levels=(4, 3)), 12, 3),
}


@pytest.mark.parametrize("preset, entries, choices", QUANTISED.values(), ids=QUANTISED)
def test_the_page_says_how_evenly_entries_are_chosen(preset, entries, choices, images, tmp_path):
    model = preset.set_params(max_epochs=5, random_state=0).fit(images)
    page = report.write(model, images, tmp_path / "page.html").read_text(encoding="utf-8")
    count = entries_used(model, images)
    share = count[count > 0] / count.sum()
    assert (len(count), count.sum()) == (entries, 100 * choices)
    lead = lead_of(page, "How the code is used")
    assert f"{len(share)} of {entries} entries" in lead
    assert f"as much as {np.exp(-(share * np.log(share)).sum()):.3g} that" in lead


def test_units_of_a_sigmoid_speak_above_their_target(images, tmp_path):
    model = presets.kl_sparse(40, target=0.3, max_epochs=3, random_state=0).fit(images)
    page = report.write(model, images, tmp_path / "page.html").read_text(encoding="utf-8")
    active = (model.transform(images) > 0.3).sum(1).mean()
    assert f"A sample activates {active:.3g} of 40 units" in lead_of(page, "How the code is used")
    assert "above its target, 0.3" in lead_of(page, "How the code is used")


def test_the_page_warns_of_a_collapsed_code(images, tmp_path):
    model = presets.variational(4, max_epochs=1, random_state=0).fit(images)
    for known, words in ({"active_units": 0}, "no component of the code says anything"), ({"active_units": 3}, None):
        model.history_[-1] |= known
        page = report.write(model, images, tmp_path / "page.html", overwrite=True).read_text(encoding="utf-8")
        assert re.findall('<p class="warning">(.*?)</p>', page) == collapse(model)
        assert words is None or words in page


def test_samples_of_each_class_are_those_that_the_model_draws(images, y, tmp_path):
    model = conditional(images, y, n_components=2, max_epochs=300)
    page = report.write(model, images, tmp_path / "page.html", condition=y).read_text(encoding="utf-8")
    part = page[page.index("<h2>New samples of each class") : page.index("<h2>From one to another")]
    assert re.findall('<div class="walk"[^>]*><b>(.)</b>', part) == list("0123456789")
    new = [model.sample(7, condition=digit, random_state=0).reshape(7, -1) / 255.0 for digit in range(10)]
    nearest = KNeighborsClassifier(1).fit(images.reshape(100, -1) / 255, y)
    share = np.mean([nearest.predict(drawn) == digit for digit, drawn in enumerate(new)])
    assert f"for {share:.0%} of these 70" in part and share > 0.5


def test_a_model_with_a_condition_asks_for_it_by_name(images, y):
    model = conditional(images, y)
    with pytest.raises(ValueError, match=r"condition \(0, 1, 2.*Pass condition=, one for each of the 100"):
        report.compare(model, images)
    with pytest.raises(ValueError, match=r"Pass train_condition=, one for each of the 70"):
        report.compare(model, images, condition=y, train=images[:70])
    with pytest.raises(ValueError, match="without a condition"):
        report.compare(quick(images), images, condition=y)
    ours, _ = report.compare(model, images, condition=y)
    back = model.reconstruct(images, condition=y)
    assert ours["error"] == pytest.approx(np.square(back / 255 - images / 255).sum((1, 2)).mean(), rel=1e-4)


def test_page_needs_nothing_but_itself(page):
    assert "http:" not in page and "https:" not in page and "@import" not in page
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert "<script" not in page and "<link" not in page


def test_pictures_are_described_and_charts_follow_the_colours_of_the_page(page):
    assert all('alt="' in image for image in re.findall("<img[^>]*>", page))
    assert all('aria-label="' in chart for chart in re.findall('<svg class="chart"[^>]*>', page))
    assert "prefers-color-scheme: dark" in page and "var(--ink)" in page and "#010203" not in page


def test_names_within_charts_are_not_shared(page):
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))


def test_text_is_escaped(page, images, tmp_path):
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    labels = np.array(["<img src=x onerror=alert(1)>", '"><script>'] * 50)
    written = report.write(quick(images), images, tmp_path / "labels.html", y=labels).read_text(encoding="utf-8")
    assert "<img src=x" not in written and "<script>" not in written


def test_same_model_same_page(images, y, tmp_path):
    model = quick(images)
    one, two = (report.write(model, images, tmp_path / name, y=y).read_bytes() for name in ("1.html", "2.html"))
    assert one == two


def test_a_page_is_replaced_only_when_asked(images, tmp_path):
    model, path = quick(images), tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        report.write(model, images, path)
    assert path.read_text() == "mine"
    report.write(model, images, path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        report.write(model, images, tmp_path, overwrite=True)


def test_a_failed_page_leaves_nothing_behind(images, tmp_path):
    with pytest.raises(ValueError, match="one label for each"):
        report.write(quick(images), images, tmp_path / "page.html", y=[1, 2])
    assert list(tmp_path.iterdir()) == []


def test_side_paths_are_named_instead_of_traversed(images, tmp_path):
    model, X, _ = CASES["side paths"](images, None)
    page = report.write(model, X, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "This cannot be shown" in page and "The decoder also reads" in page


# ------------------------------------------------------------------------------------------------------ numbers


def test_numbers_equal_those_of_scikit_learn(images, y):
    X, train = images[70:], images[:70]
    model = quick(train)
    ours, theirs = report.compare(model, X, y[70:], train=train, train_y=y[:70])
    pixels, known = (values.reshape(len(values), -1) / 255 for values in (X, train))
    centred = pixels - pixels.mean(0)
    pca = PCA(4).fit(known)
    rebuilt = {"autoencoder": model.reconstruct(X).reshape(30, -1) / 255, "PCA": pca.inverse_transform(pca.transform(pixels))}
    codes = {"autoencoder": (model.transform(train), model.transform(X)), "PCA": (pca.transform(known), pca.transform(pixels))}
    for row in (ours, theirs):
        back, (train_codes, test_codes) = rebuilt[row["method"]], codes[row["method"]]
        assert row["error"] == pytest.approx(((back - pixels) ** 2).sum(1).mean(), rel=1e-4)
        assert row["explained"] == pytest.approx(r2_score(centred.ravel(), (back - pixels.mean(0)).ravel()), abs=1e-4)
        assert row["accuracy"] == KNeighborsClassifier(1).fit(train_codes, y[:70]).score(test_codes, y[70:])
        assert row["numbers"] == 4


def test_without_training_data_each_sample_is_left_out_in_turn(images, y):
    model = quick(images)
    row = report.compare(model, images, y)[0]
    scores = cross_val_score(KNeighborsClassifier(1), model.transform(images), y, cv=LeaveOneOut())
    assert row["accuracy"] == pytest.approx(scores.mean())


def test_columns_with_scales_of_their_own_count_alike(X):
    wide = X[:, X.std(0) > 1][:, :10] * np.logspace(0, 5, 10)
    ours, theirs = report.compare(quick(wide, 3), wide)
    scaled = (wide - wide.mean(0)) / wide.std(0)
    pca = PCA(3).fit(scaled)
    assert theirs["error"] == pytest.approx(((pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2).sum(1).mean())
    assert theirs["explained"] == pytest.approx(pca.explained_variance_ratio_.sum())
    assert ours["unit"] == theirs["unit"] == "columns as the model scales them"


def wide_topk(X):
    return presets.topk(80, k=16, max_epochs=20, random_state=0).fit(X)


def test_pca_beside_a_wide_sparse_code_has_as_many_components_as_are_active(X, tmp_path):
    model = wide_topk(X / 16)
    ours, theirs = report.compare(model, X / 16)
    active = (model.transform(X / 16) != 0).sum(1).mean()
    assert (ours["numbers"], ours["active"]) == (80, active) and active > 2
    assert theirs["numbers"] == theirs["active"] == round(active)
    pca = PCA(round(active)).fit(X / 16)
    left = np.square(pca.inverse_transform(pca.transform(X / 16)) - X / 16).sum(1).mean()
    assert theirs["error"] == pytest.approx(left)
    page = report.write(model, X / 16, tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"It has {round(active)} here" in page and "active numbers</th>" in page


@pytest.mark.parametrize(
    "preset",
    [
        lambda: presets.topk(20, k=3, max_epochs=1),
        lambda: Autoencoder(70, corruption="noise", max_epochs=1),
        lambda: presets.fsq(66, levels=(3, 3), max_epochs=1),
    ],
    ids=["narrow", "dense", "levels"],
)
def test_other_codes_are_compared_with_as_many_components_as_numbers(preset, X, tmp_path):
    model = preset().set_params(random_state=0).fit(X / 16)
    ours, theirs = report.compare(model, X / 16)
    assert ours["active"] is theirs["active"] is None
    assert theirs["numbers"] == min(ours["numbers"], 64)
    page = report.write(model, X / 16, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "active numbers" not in page and ("never spoke" in page) == (ours["numbers"] == 20)


def test_what_cannot_be_known_is_not_reported(images):
    model, X, rest = CASES["target"](images, np.arange(100))
    for row in report.compare(model, X):
        assert row["error"] is row["explained"] is row["accuracy"] is None
    ours, theirs = report.compare(model, X, target=rest["target"])
    errors = (model.reconstruct(X) / 255 - rest["target"] / 255) ** 2
    assert ours["error"] == pytest.approx(errors.sum((1, 2)).mean(), rel=1e-4)
    assert theirs["error"] is None


def test_table_of_text_has_a_line_for_each_row(images, y):
    lines = report.text_table(report.compare(quick(images), images, y)).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["method", "autoencoder", "PCA, fitted on these very data"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    "ours, theirs, words", [(1.0, 2.0, "50% less"), (2.0, 1.0, "PCA rebuilds better"), (1.0, 1.0, "equally")]
)
def test_the_words_say_who_wins(ours, theirs, words):
    rows = [{"error": error, "accuracy": None} for error in (ours, theirs)]
    assert words in verdict(rows, 100)


def test_summary_lists_layers_with_their_parameters(images):
    model = quick(images)
    layers = report.summary(model)
    assert sum(layer["parameters"] for layer in layers) == sum(p.numel() for p in model.network_.parameters())


# -------------------------------------------------------------------------------------------------------- plots


def test_importing_does_not_load_matplotlib():
    code = "import sys, isthmus.report, isthmus.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_without_matplotlib_the_way_to_get_it_is_named(monkeypatch, images):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"isthmus\[plot\]"):
        report.require_matplotlib()


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    return Figure()


def test_pictures_are_drawn_as_they_are(images, figure):
    drawn = plots.reconstructions(quick(images), images, n=3, figure=figure)
    assert (drawn.axes[0].images[0].get_array() == images[0]).all()
    assert drawn.axes[0].images[0].get_interpolation() == "nearest"


def test_errors_show_sign_and_size():
    before = np.array([[[0, 100, 50]]], np.uint8)
    red, blue, clear = plots.error_pictures(before, np.array([[[50, 0, 50]]], np.uint8))[0, 0]
    assert (red[:3] == plots.BRIGHTER).all() and (blue[:3] == plots.DARKER).all()
    assert [red[3], blue[3], clear[3]] == [128, 255, 0]


def test_traversal_moves_one_component_from_the_mean_code(X):
    model = quick(X)
    codes = model.transform(X)
    moves, components, decoded = plots.traverse(model, X, components=[2], steps=3)
    code = codes.mean(0, keepdims=True)
    code[0, 2] += 2 * codes[:, 2].std()
    assert components == [2] and moves.tolist() == [-2, 0, 2]
    np.testing.assert_allclose(decoded[0, 2], model.inverse_transform(code)[0], rtol=1e-5, atol=1e-5)


def test_most_active_component_comes_first(X):
    codes = np.random.default_rng(0).normal(size=(200, 3)) * [1, 5, 2]

    class Straight:
        def inverse_transform(self, codes):
            return codes * [1, 0, 1]  # the widest component changes nothing

    assert plots.most_active(Straight(), codes).tolist() == [2, 0, 1]


def test_labels_of_maps_are_written_as_they_are(figure):
    ax = plots.codes(np.random.default_rng(0).normal(size=(9, 2)), ["$x^{", "b", "c" * 40] * 3, figure.subplots())
    assert [text.get_text() for text in ax.texts] == ["$x^{", "b", "c" * 19 + "…"]
    figure.canvas.draw()
