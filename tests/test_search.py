"""Search: exact answers whatever the batch, ids that stay, folders that give the index back, and what is refused."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from isthmus import Autoencoder, cli, datasets, load, page_search
from isthmus.apps import SearchIndex, nearest
from isthmus.apps.nearest import KEPT
from isthmus.apps.search import means_of_neighbors

KINDS = [("float", "euclidean"), ("float", "cosine"), ("int8", "euclidean"), ("int8", "cosine"), ("binary", "euclidean")]


def call(*tokens):
    return cli.main([str(token) for token in tokens])


@pytest.fixture(scope="module")
def pictures():
    return datasets.load("digits:train")[0]


@pytest.fixture(scope="module")
def queries():
    return datasets.load("digits:test")[0][:70]


@pytest.fixture(scope="module")
def fitted(pictures):
    return Autoencoder(8, max_epochs=2, random_state=0).fit(pictures)


@pytest.fixture
def index(fitted, pictures):
    return SearchIndex(fitted).fit(pictures[:200])


def points(count, width=12, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


# ------------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize(("count", "k"), [(1, 1), (63, 63), (300, 10), (5000, 7), (5000, 100)])
def test_the_nearest_are_those_of_a_full_sort(kind, count, k):
    rows, asked = points(count), points(40, seed=1)
    kept = KEPT[kind].learn(points(500, seed=2))
    packed, wanted = kept.pack(rows), kept.pack(asked)
    every = np.square(kept.values(wanted).astype(float)[:, None] - kept.values(packed).astype(float)[None]).sum(2)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]  # of equally near ones the first
    squared, places = nearest.nearest(kept, packed, wanted, k)
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(squared, np.take_along_axis(every, order, 1))


def test_codes_in_several_blocks_are_one_index(monkeypatch):
    rows, asked = points(1000), points(9, seed=1)
    for kind, made in KEPT.items():
        kept = made.learn(rows)
        whole = nearest.nearest(kept, kept.pack(rows), kept.pack(asked), 20)
        monkeypatch.setattr(nearest, "_ROWS", 128)
        for one, other in zip(whole, nearest.nearest(kept, kept.pack(rows), kept.pack(asked), 20), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=kind)
        monkeypatch.undo()


def test_wide_bytes_are_added_up_exactly():
    kept = KEPT["int8"](np.zeros(3000, np.float32), 1.0)
    rows = np.random.default_rng(0).choice([-127, 127, 126], (200, 3000)).astype(np.int8)
    every = np.square(rows[:5, None].astype(np.int64) - rows[None].astype(np.int64)).sum(2)
    squared, places = nearest.nearest(kept, rows, rows[:5], 9)
    np.testing.assert_array_equal(squared, np.sort(every, 1)[:, :9])
    np.testing.assert_array_equal(places, np.argsort(every, 1, kind="stable")[:, :9])


@pytest.mark.parametrize(("codes", "metric"), KINDS)
def test_an_answer_is_the_same_whatever_the_batch(codes, metric, fitted, pictures, queries):
    index = SearchIndex(fitted, codes=codes, metric=metric).fit(pictures)
    distances, ids = index.kneighbors(queries, 9)
    assert distances.shape == ids.shape == (70, 9) and (np.diff(distances) >= 0).all()
    order = np.random.default_rng(0).permutation(70)
    for part in (order, order[:33], order[:1]):
        again = index.kneighbors(queries[part], 9)
        np.testing.assert_array_equal(again[0], distances[part])
        np.testing.assert_array_equal(again[1], ids[part])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_floats_agree_with_scikit_learn(metric, fitted, pictures, queries):
    distances, ids = SearchIndex(fitted, metric=metric).fit(pictures).kneighbors(queries, 5)
    truth = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(fitted.transform(pictures).astype(float))
    far, near = truth.kneighbors(fitted.transform(queries).astype(float))
    np.testing.assert_array_equal(ids, near)
    np.testing.assert_allclose(distances, far, rtol=1e-4, atol=1e-6)


def test_bytes_are_nearly_floats_and_bits_count_what_differs(fitted, pictures, queries):
    floats = SearchIndex(fitted).fit(pictures)
    eight = SearchIndex(fitted, codes="int8").fit(pictures)
    bits = SearchIndex(fitted, codes="binary").fit(pictures)
    assert (floats.nbytes, eight.nbytes, bits.nbytes) == tuple(len(pictures) * each for each in (32, 8, 1))
    np.testing.assert_allclose(eight.kneighbors(queries, 1)[0], floats.kneighbors(queries, 1)[0], atol=0.1)
    shared = [
        len(np.intersect1d(*pair)) for pair in zip(floats.kneighbors(queries)[1], eight.kneighbors(queries)[1], strict=True)
    ]
    assert np.mean(shared) >= 9
    distances = bits.kneighbors(queries, 3)[0]
    assert set(distances.ravel()) <= set(range(9))
    np.testing.assert_allclose(eight.codes_of([4, 2]), fitted.transform(pictures[[4, 2]]), atol=eight.kept_.step)
    with pytest.raises(ValueError, match="Bits do not say"):
        bits.codes_of()


def test_a_sample_is_its_own_nearest(index, pictures):
    distances, ids = index.kneighbors(pictures[:200], 1)
    assert (distances == 0).all() and (ids[:, 0] == np.arange(200)).all()


@pytest.mark.parametrize("method", ["hnsw", "ivfpq"])
def test_faiss_finds_what_the_exact_search_does(method, fitted, pictures, queries, tmp_path):
    pytest.importorskip("faiss", reason="needs faiss: pip install 'isthmus[search]'")
    exact = SearchIndex(fitted).fit(pictures)
    index = SearchIndex(fitted, method=method).fit(pictures)
    for step in ("filled", "removed", "added"):
        if step == "removed":
            index.remove(range(0, 300, 2)), exact.remove(range(0, 300, 2))
        elif step == "added":
            index.add(pictures[:40] // 2), exact.add(pictures[:40] // 2)
        found, truth = index.kneighbors(queries), exact.kneighbors(queries)
        assert (found[1] == truth[1]).mean() > 0.98, step
        same = (found[1] == truth[1]).all(1)
        np.testing.assert_array_equal(found[0][same], truth[0][same])
    index.save(tmp_path / "index")
    again = load(tmp_path / "index")
    assert len(again.graph_) == len(again) == len(exact)
    assert (again.kneighbors(queries)[1] == truth[1]).mean() > 0.98
    index.remove(index.ids_[5:])
    assert sorted(index.kneighbors(queries[:1], 5)[1][0]) == sorted(index.ids_)


@pytest.mark.parametrize("method", ["hnsw", "ivfpq"])
def test_a_graph_that_leads_out_of_the_index_is_refused(method, fitted, pictures, monkeypatch):
    pytest.importorskip("faiss", reason="needs faiss: pip install 'isthmus[search]'")
    index = SearchIndex(fitted, method=method).fit(pictures)
    tensors = index._tensors()
    for name, spoil in {
        "hnsw": [
            ("graph.neighbors", lambda t: t + 1000),
            ("graph.offsets", lambda t: t[:-1]),
            ("graph.entry", lambda t: t + 9999),
        ],
        "ivfpq": [("graph.centres", lambda t: t[:, :-1]), ("graph.codebooks", lambda t: t * np.nan)],
    }[method]:
        with pytest.raises(ValueError, match=r"do(es)? not fit its codes"):
            clone_of(index)._restore(index._state(), tensors | {name: spoil(tensors[name])})


def clone_of(index):
    fresh = clone(index)
    fresh.model_ = index.model_
    return fresh


def test_faiss_that_is_not_there_is_named(fitted, pictures, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ImportError, match=r"isthmus\[search\]"):
        SearchIndex(fitted, method="hnsw").fit(pictures).kneighbors(pictures[:1])


# -------------------------------------------------------------------------------------------------------- ids


def test_ids_are_kept_through_adding_and_removing(index, pictures):
    index.remove([3, 199])
    assert len(index) == 198 and index.kneighbors(pictures[3:4], 1)[1][0, 0] != 3
    index.add(pictures[3:4])
    assert index.ids_[-1] == 200 and index.kneighbors(pictures[3:4], 1)[1][0, 0] == 200  # 199 is not given again
    index.add(pictures[199:201], ids=[199, 1000])
    assert index.kneighbors(pictures[199:201], 1)[1].ravel().tolist() == [199, 1000]
    assert index.add(pictures[201:202]).ids_[-1] == 1001


def test_texts_are_ids(fitted, pictures):
    index = SearchIndex(fitted).fit(pictures[:3], ids=["a", "bb", "ccé"])
    index.add(pictures[3:4], ids=np.array(["a longer one"], dtype=object))
    assert index.kneighbors(pictures[[3, 2]], 1)[1].ravel().tolist() == ["a longer one", "ccé"]
    index.remove(["bb"])
    assert index.ids_.tolist() == ["a", "ccé", "a longer one"]
    with pytest.raises(ValueError, match="no next one is known"):
        index.add(pictures[4:5])


def test_names_of_files_are_ids(fitted, pictures, tmp_path):
    for place, picture in enumerate(pictures[:4]):
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    index = SearchIndex(fitted).fit(tmp_path)
    assert index.ids_.tolist() == ["0", "1", "2", "3"] or index.ids_.tolist() == [f"{i}.png" for i in range(4)]
    assert index.kneighbors(pictures[2:3], 1)[1][0, 0] == index.ids_[2]


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ([1, 2, 2], ValueError, "name 2 more than once"),
        ([1, 5000, 5001], ValueError, "has 1 already"),
        ([300, 301], ValueError, r"one id for each of the 3"),
        ([[1], [2], [3]], ValueError, "one id for each"),
        (["a", "b", "c"], TypeError, "are whole numbers, and these are texts"),
        ([1.5, 2.5, 3.5], TypeError, "whole numbers or texts"),
        (["a", 1, "b"], TypeError, "int and str"),
        ([None, "a", "b"], TypeError, "NoneType"),
    ],
)
def test_wrong_ids_add_nothing(ids, error, words, index, pictures):
    before = index.rows_.copy(), index.ids_.copy()
    with pytest.raises(error, match=words):
        index.add(pictures[300:303], ids=ids)
    np.testing.assert_array_equal(index.rows_, before[0])
    np.testing.assert_array_equal(index.ids_, before[1])
    assert index.kneighbors(pictures[7:8], 1)[1][0, 0] == 7
    assert index.add(pictures[300:301], ids=[5000]).ids_[-1] == 5000


def test_unknown_ids_remove_nothing(index):
    with pytest.raises(KeyError, match="no 777, 778, so nothing was removed"):
        index.remove([1, 777, 778])
    with pytest.raises(KeyError, match="no 'x'"):
        index.codes_of(["x"])
    with pytest.raises(ValueError, match="more than once"):
        index.remove([1, 1])
    assert len(index) == 200 and 1 in index.ids_


def test_ids_are_looked_at_before_the_training(pictures):
    class Unfittable(Autoencoder):
        def fit(self, *args, **kwargs):
            raise AssertionError("it was trained")

    with pytest.raises(ValueError, match="more than once"):
        SearchIndex(Unfittable(4)).fit(pictures[:3], ids=[1, 1, 2])


# -------------------------------------------------------------------------------------------------- bad input


def test_more_neighbours_than_there_are_samples(index, queries):
    with pytest.raises(ValueError, match="n_neighbors=201, but the index holds 200"):
        index.kneighbors(queries, 201)
    assert index.kneighbors(queries, 200)[1].shape == (70, 200)


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "3"])
def test_a_number_of_neighbours_that_is_none(k, index, queries):
    with pytest.raises(ValueError, match="a whole number of 1 or more"):
        index.kneighbors(queries, k)


def test_an_empty_index_says_so_and_can_be_filled_again(index, pictures, queries, tmp_path):
    index.remove(index.ids_)
    assert len(index) == 0
    with pytest.raises(ValueError, match="The index is empty"):
        index.kneighbors(queries, 1)
    index.save(tmp_path / "index")
    again = load(tmp_path / "index").add(pictures[:5])
    assert again.ids_.tolist() == [200, 201, 202, 203, 204]


@pytest.mark.parametrize(
    "query", [np.zeros((2, 9, 9), np.uint8), np.zeros((2, 5)), ["a sentence"], np.zeros((0, 8, 8), np.uint8)]
)
def test_a_query_of_another_kind(query, index):
    with pytest.raises(ValueError):
        index.kneighbors(query, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codes": "int4"}, "codes='int4'"),
        ({"metric": "dot"}, "metric='dot'"),
        ({"method": "flat"}, "method='flat'"),
        ({"effort": 0}, "effort=0"),
        ({"neighbors": -1}, "neighbors=-1"),
        ({"codes": "binary", "metric": "cosine"}, "says nothing"),
    ],
)
def test_parameters_out_of_range(settings, words, fitted, pictures):
    with pytest.raises(ValueError, match=words):
        SearchIndex(fitted, **settings).fit(pictures)


def test_before_fit_there_is_nothing(pictures):
    for verb in (SearchIndex().kneighbors, SearchIndex().add, SearchIndex().remove):
        with pytest.raises(ValueError, match="not fitted"):
            verb(pictures[:1])


def test_a_refused_fit_leaves_the_index_as_it_was(index, pictures):
    with pytest.raises(ValueError, match="more than once"):
        index.fit(pictures[:2], ids=[1, 1])
    assert len(index) == 200


# ------------------------------------------------------------------------------------------------- its own model


def test_its_own_model_forgives_what_moved(pictures, queries):
    """Beside the same network that never saw damage."""
    y, asked = datasets.load("digits:train")[1], datasets.load("digits:test")[1][:70]
    index = SearchIndex({"max_epochs": 15}, random_state=0).fit(pictures)
    plain = SearchIndex(clone(index.model_).set_params(corruption=None), neighbors=0).fit(pictures)
    found = {
        (name, what): np.mean(y[one.kneighbors(samples)[1]] == asked[:, None])
        for name, one in {"ours": index, "plain": plain}.items()
        for what, samples in {"whole": queries, "moved": np.roll(queries, 1, axis=2)}.items()
    }
    assert found["ours", "moved"] > found["plain", "moved"] + 0.03 and found["ours", "whole"] > 0.92, found


def test_the_second_model_rebuilds_the_mean_of_the_neighbours(pictures):
    some = pictures[:300]
    index = SearchIndex({"max_epochs": 2, "n_components": 4}, random_state=0).fit(some)
    first = SearchIndex({"max_epochs": 2, "n_components": 32}, neighbors=0, random_state=0).fit(some)
    codes = first.model_.transform(some)
    near = NearestNeighbors(n_neighbors=10).fit(codes).kneighbors(codes, return_distance=False)
    target = means_of_neighbors(some, codes, 10)
    assert target.dtype == np.uint8
    np.testing.assert_allclose(target, some[near].mean(1), atol=0.5)
    same = clone(index.model_).fit(some, target=target)
    np.testing.assert_array_equal(index.model_.transform(some), same.transform(some))
    once = SearchIndex({"max_epochs": 2, "n_components": 4}, neighbors=0, random_state=0).fit(some)
    np.testing.assert_array_equal(once.model_.transform(some), clone(once.model_).fit(some).transform(some))


def test_other_data_than_pictures_have_a_model_of_their_own(X):
    index = SearchIndex({"max_epochs": 1}, codes="int8").fit(X)
    assert (index.kneighbors(X, 1)[1][:, 0] == np.arange(len(X))).mean() > 0.9
    sentences = [f"{word} number {place}" for place in range(30) for word in ("a cat", "some dog")]
    found = SearchIndex({"max_epochs": 1}).fit(sentences, ids=sentences).kneighbors(sentences[:3], 1)[1]
    assert found[:, 0].tolist() == sentences[:3]


# ------------------------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize(("codes", "metric"), KINDS)
@pytest.mark.parametrize("ids", [None, "texts"])
def test_a_folder_gives_back_the_index(codes, metric, ids, fitted, pictures, queries, tmp_path):
    names = None if ids is None else [f"picture {'é' * (i % 3)}{i}" for i in range(150)]
    index = SearchIndex(fitted, codes=codes, metric=metric).fit(pictures[:150], ids=names)
    index.remove(index.ids_[:7])
    index.save(tmp_path / "index")
    again = load(tmp_path / "index")
    for one, other in zip(again.kneighbors(queries), index.kneighbors(queries), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.next_id_ == index.next_id_ and again.ids_.dtype == index.ids_.dtype
    assert sorted(file.name for file in (tmp_path / "index").iterdir()) == [
        "README.md",
        "config.json",
        "model",
        "state.safetensors",
    ]


def test_an_index_for_another_model_is_refused(index, pictures, tmp_path):
    index.save(tmp_path / "index")
    shutil.rmtree(tmp_path / "index" / "model")
    Autoencoder(8, max_epochs=1, random_state=1).fit(pictures).save(tmp_path / "index" / "model")
    with pytest.raises(ValueError, match="made with another model"):
        load(tmp_path / "index")


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def folders(fitted, tmp_path_factory):
    """A model, an index of digits by name, and one of pictures in a folder."""
    place = tmp_path_factory.mktemp("search")
    fitted.save(place / "model")
    (place / "pictures").mkdir()
    for number, picture in enumerate(datasets.load("digits:test")[0][:30]):
        Image.fromarray(picture).save(place / "pictures" / f"scan {number:02d}.png")
    assert call("index", place / "model", place / "pictures", "-o", place / "named", "--codes", "int8") == 0
    assert call("index", place / "model", "digits:train", "-o", place / "index") == 0
    return place


def test_index_and_search_say_what_they_did(folders, capsys):
    assert call("index", folders / "model", "digits:test", "-o", folders / "more", "--codes", "binary", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["samples"], said["bytes_each"]) == (359, 1)
    assert call("search", folders / "named", folders / "pictures" / "scan 03.png", "-k", 2, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert "scan 03" in row["ids"][0] and row["distances"][0] == 0 and len(row["ids"]) == 2
    assert call("search", folders / "index", "digits:test", "-k", 3) == 0
    assert len(capsys.readouterr().out.splitlines()) == 359


def test_what_was_found_as_a_table(folders, tmp_path, queries):
    assert call("search", folders / "index", "digits:test", "-k", 3, "-o", tmp_path / "found.csv") == 0
    with open(tmp_path / "found.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 359 and list(lines[0]) == ["query", "rank", "id", "distance"]
    assert [line["id"] for line in lines[:3]] == [str(one) for one in load(folders / "index").kneighbors(queries[:1], 3)[1][0]]


@pytest.mark.parametrize("ending", [".png", ".html"])
def test_what_was_found_to_look_at(ending, folders, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'isthmus[plot]'")
    target = tmp_path / f"sheet{ending}"
    assert call("search", folders / "named", folders / "pictures", "-k", 4, "-o", target) == 0
    if ending == ".png":
        with Image.open(target) as sheet:
            assert min(sheet.size) > 400
    else:
        words = target.read_text(encoding="utf-8")
        assert words.count("<img") == page_search.MOST * 5 and "These are 20 of 30 queries" in words
        assert "decoded from their codes" not in words and "http" not in words


def test_samples_that_are_gone_are_decoded(folders, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'isthmus[plot]'")
    place = shutil.copytree(folders / "pictures", tmp_path / "moved")
    assert call("index", folders / "model", place, "-o", tmp_path / "index") == 0
    place.rename(tmp_path / "elsewhere")
    query = tmp_path / "elsewhere" / "scan 07.png"
    assert call("search", tmp_path / "index", query, "-k", 3, "-o", tmp_path / "a.html") == 0
    assert "cannot be read now" in capsys.readouterr().err
    assert "decoded from their codes" in (tmp_path / "a.html").read_text()
    assert call("search", tmp_path / "index", query, "-k", 3, "-o", tmp_path / "b.html", "--data", tmp_path / "elsewhere") == 0
    assert "decoded from their codes" not in (tmp_path / "b.html").read_text()
    assert call("search", tmp_path / "index", query, "-k", 3, "-o", tmp_path / "c.html", "--data", "digits:test") == 1
    assert "has no sample 'scan" in capsys.readouterr().err and not (tmp_path / "c.html").exists()


def test_sentences_are_shown_in_a_table(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(f"line <{n}> of some" for n in range(40)))
    assert call("fit", tmp_path / "lines.txt", "--task", "search", "--epochs", 1, "-n", 8, "-o", tmp_path / "index") == 0
    assert call("search", tmp_path / "index", tmp_path / "lines.txt", "-k", 2, "-o", tmp_path / "a.html") == 0
    assert "line &lt;3&gt; of some" in (tmp_path / "a.html").read_text()
    assert call("search", tmp_path / "index", tmp_path / "lines.txt", "-k", 2, "-o", tmp_path / "a.png") == 1
    assert not (tmp_path / "a.png").exists()


def test_an_index_that_fit_made_knows_where_its_samples_lie(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(folders)
    assert call("fit", "pictures", "--task", "search", "--epochs", 1, "-n", 8, "-o", tmp_path / "index") == 0
    assert load(tmp_path / "index").source_ == str(folders / "pictures")
    monkeypatch.chdir(tmp_path)
    assert call("search", "index", folders / "pictures" / "scan 07.png", "-k", 3, "-o", "a.html") == 0
    assert "decoded from their codes" not in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize("ids", [[2**63], [2**70], np.array([2**63], np.uint64), [-(2**63) - 1]])
def test_ids_beyond_64_bits_are_refused(ids, index, queries):
    with pytest.raises(ValueError, match="64 bits"):
        index.add(queries[:1], ids=ids)


def test_after_the_last_id_there_is_no_next_one(index, queries):
    index.add(queries[:1], ids=[2**63 - 1])
    with pytest.raises(ValueError, match="the last whole number"):
        index.add(queries[:1])
    with pytest.raises(ValueError, match="a list of ids"):
        index.remove(5)


@pytest.mark.parametrize(
    ("tokens", "code", "words"),
    [
        (("index", "digits:test", "-k", 1439), 1, "n_neighbors=1439, but the index holds 1,438"),
        (("index", "digits:test", "-k", 0), 2, "Must be >= 1"),
        (("index", "digits:test", "-o", "x.jpg"), 1, "ends in .png or .html or .csv"),
        (("model", "digits:test", "-o", "x.csv"), 1, "isthmus index model DATA"),
        (("index", "nothing.png", "-o", "x.csv"), 1, "does not exist"),
        (("index", "wide.npy", "-o", "x.csv"), 1, "8"),
    ],
)
def test_a_wrong_search_writes_nothing(tokens, code, words, folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    np.save("wide.npy", np.zeros((3, 12, 12), np.uint8))
    assert call("search", *tokens) == code
    assert words in capsys.readouterr().err
    assert not list(folders.glob("x.*"))
