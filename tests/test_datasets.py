"""Data sets by name: what they hold, where they are looked for, and what happens when a file is wrong or out of reach."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from isthmus import datasets

PARTS = {
    "train-images-idx3-ubyte.gz": np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5),
    "train-labels-idx1-ubyte.gz": np.array([7, 8, 9], np.uint8),
    "t10k-images-idx3-ubyte.gz": np.full((2, 4, 5), 250, np.uint8),
    "t10k-labels-idx1-ubyte.gz": np.array([1, 2], np.uint8),
}


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def server(monkeypatch):
    """A web server of this machine, and a tiny MNIST there; what it answers and what it was asked can be changed and read."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            content = self.server.files.get(self.path.lstrip("/"))
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[self.server.missing :])

        def log_message(self, *args):
            """Keeps quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files = {name: idx_bytes(array) for name, array in PARTS.items()}
        server.asked, server.missing = [], 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        entry = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in server.files.items()}
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(datasets._IDX, "mnist", {"folder": "images/mnist", "url": url} | entry)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no folder of data sets."""
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files_in(folder):
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


# ------------------------------------------------------------------------------------------------------ digits


def test_digits_are_always_there_and_their_parts_do_not_overlap():
    (X, y), (train, y_train), (test, y_test) = map(datasets.load, ("digits", "digits:train", "digits:test"))
    assert (X.shape, X.dtype, X.min(), X.max()) == ((1797, 8, 8), np.uint8, 0, 255)
    assert len(train) + len(test) == len(y_train) + len(y_test) == len(y) == 1797
    assert not {x.tobytes() for x in train} & {x.tobytes() for x in test}
    assert sorted([*y_train, *y_test]) == sorted(y)


@pytest.mark.parametrize("name", ["mnits", "digits:validation", "fashion-mnist-900:test", ""])
def test_an_unknown_name_is_refused_with_those_that_are_known(name):
    with pytest.raises(ValueError, match=r"digits|without parts"):
        datasets.load(name)


def test_names_are_told_from_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert datasets.is_name("digits") and datasets.is_name("mnist:test")
    assert not datasets.is_name("pictures") and not datasets.is_name("digits.npy")
    (tmp_path / "digits").mkdir()
    assert not datasets.is_name("digits")


# -------------------------------------------------------------------------------------------------- real files


@pytest.mark.parametrize("name, count", [("mnist:train", 60000), ("mnist:test", 10000), ("fashion-mnist-900", 900)])
def test_real_sets_have_their_known_sizes(name, count, data_folder):
    X, y = datasets.load(name)
    assert (X.shape, X.dtype, y.shape) == ((count, 28, 28), np.uint8, (count,))
    assert set(y) == set(range(10))


def test_the_900_never_pass_for_the_full_set(data_folder, monkeypatch, cache):
    monkeypatch.setenv("ISTHMUS_DATA", str(data_folder))
    monkeypatch.setitem(datasets._IDX["fashion-mnist"], "url", "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(OSError, match="could not be downloaded"):
        datasets.load("fashion-mnist:test")


# --------------------------------------------------------------------------------------------------- downloads


def test_a_download_is_kept_and_not_fetched_again(server, cache):
    X, y = datasets.load("mnist")
    np.testing.assert_array_equal(X, np.concatenate([PARTS["train-images-idx3-ubyte.gz"], PARTS["t10k-images-idx3-ubyte.gz"]]))
    assert y.tolist() == [7, 8, 9, 1, 2]
    assert files_in(cache) == sorted(PARTS)
    asked = list(server.asked)
    datasets.load("mnist:test")
    assert server.asked == asked


@pytest.mark.parametrize("part, labels", [("train", [7, 8, 9]), ("test", [1, 2])])
def test_a_part_fetches_its_own_files_only(part, labels, server, cache):
    assert datasets.load(f"mnist:{part}")[1].tolist() == labels
    assert len(files_in(cache)) == 2


def test_the_folder_of_data_sets_is_looked_in_first(server, cache, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "images" / "mnist"
    folder.mkdir(parents=True)
    for name, content in server.files.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    assert datasets.load("mnist:test")[1].tolist() == [1, 2]
    assert not server.asked and not cache.exists()


def no_file(server):
    server.files.clear()


def other_file(server):
    server.files = dict.fromkeys(server.files, idx_bytes(np.zeros((2, 2), np.uint8)))


def cut_off(server):
    server.missing = 5


@pytest.mark.parametrize(
    "trouble, error, words",
    [
        (no_file, OSError, r"could not be downloaded.*404.*ISTHMUS_DATA"),
        (other_file, ValueError, r"not the file it should be: its sha256"),
        (cut_off, OSError, r"could not be downloaded"),
    ],
    ids=["not there", "another file", "cut off"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_download_that_fails_says_what_to_do_and_leaves_nothing_behind(trouble, error, words, server, cache):
    trouble(server)
    with pytest.raises(error, match=words):
        datasets.load("mnist:test")
    assert not cache.exists()
    server.missing, server.files = 0, {name: idx_bytes(array) for name, array in PARTS.items()}
    assert datasets.load("mnist:test")[1].tolist() == [1, 2]


def test_no_connection_is_named_with_the_cure(server, cache):
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=r"could not be downloaded.*put the file into.*ISTHMUS_DATA"):
        datasets.load("mnist:test")
    assert not cache.exists()


def test_a_file_that_was_changed_is_refused(server, cache):
    datasets.load("mnist:test")
    file = cache / "images" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte.gz is not the file it should be.*Remove it"):
        datasets.load("mnist:test")


def test_a_set_that_cannot_be_downloaded_says_where_it_was_looked_for(cache):
    with pytest.raises(FileNotFoundError, match=r"fashion-mnist-900 is not at hand.*Set ISTHMUS_DATA"):
        datasets.load("fashion-mnist-900")
