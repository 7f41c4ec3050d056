"""Candidates among millions of codes, by faiss: a graph (HNSW), or lists with 4-bit product quantisation (IVF).

What faiss finds are candidates: `nearest.ranked` then takes their distances from the index' own codes. An index is kept as plain
tensors of numbers, which `restore` checks, and not as faiss's own file, whose reader trusts what it reads.
"""

from contextlib import contextmanager
from typing import Any

import numpy as np

METHODS = ("hnsw", "ivfpq")
_NEIGHBOURS = 32  # of each code in the graph
_BUILD_EFFORT = 100  # candidates for these
_SAMPLES = 64  # of each list, from which lists and codebooks are learnt


@contextmanager
def faiss_needed():
    try:
        yield
    except ImportError as error:
        raise ImportError('method="hnsw" and "ivfpq" need faiss. Install it: pip install "isthmus[search]"') from error


class Graph:
    """Hierarchical navigable small worlds: each code knows some of its neighbours, and a search walks from one to the next.

    Source: Malkov & Yashunin 2020, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small
    world graphs".
    """

    tensors_of = ("levels", "offsets", "neighbors")

    def __init__(self, width: int):
        with faiss_needed():
            import faiss
        self.faiss = faiss
        self.index = faiss.IndexHNSWFlat(width, _NEIGHBOURS)
        self.index.hnsw.efConstruction = _BUILD_EFFORT

    def __len__(self):
        return self.index.ntotal

    def build(self, values: np.ndarray) -> None:
        self.index.add(values)

    def add(self, values: np.ndarray) -> None:
        self.index.add(values)

    def search(self, values: np.ndarray, k: int, effort: int) -> np.ndarray:
        """Slots of about the k nearest, (n, k); -1 where fewer were found."""
        self.index.hnsw.efSearch = max(effort, k)
        return self.index.search(values, k)[1]

    def tensors(self) -> dict[str, np.ndarray]:
        hnsw = self.index.hnsw
        found = {name: self.faiss.vector_to_array(getattr(hnsw, name)) for name in self.tensors_of}
        return {**found, "offsets": found["offsets"].astype(np.int64), "entry": np.array([hnsw.entry_point, hnsw.max_level])}

    def restore(self, tensors: dict[str, np.ndarray], values: np.ndarray) -> None:
        check_graph(tensors, len(values))
        hnsw = self.index.hnsw
        kinds = {"levels": np.int32, "offsets": np.uint64, "neighbors": np.int32}
        for name, kind in kinds.items():
            self.faiss.copy_array_to_vector(np.ascontiguousarray(tensors[name].astype(kind)), getattr(hnsw, name))
        hnsw.entry_point, hnsw.max_level = map(int, tensors["entry"])
        self.index.storage.add(values)
        self.index.ntotal = len(values)


def check_graph(tensors: dict[str, np.ndarray], count: int) -> None:
    """Refuses a graph that does not fit its codes, or leads out of itself."""
    levels, offsets, neighbors = (tensors[name] for name in Graph.tensors_of)
    entry, top = map(int, tensors["entry"])
    room = np.where(levels >= 1, (levels + 1) * _NEIGHBOURS, 0)  # twice as many on the lowest level
    sound = (
        len(levels) == count
        and len(offsets) == count + 1
        and (levels >= 1).all()
        and np.array_equal(np.diff(offsets), room)
        and offsets[0] == 0
        and offsets[-1] == len(neighbors)
        and (neighbors >= -1).all()
        and (neighbors < count).all()
        and 0 <= entry < count
        and 0 <= top < levels[entry]
    )
    if not sound:
        raise ValueError("The index holds a graph that does not fit its codes. Restore it from a copy, or build it again.")


class Lists:
    """Codes in lists around centres; a search reads the lists nearest to it, in which 4 bits stand for each number.

    Source: Jegou, Douze & Schmid 2011, "Product quantization for nearest neighbor search"; Andre, Kermarrec & Le Scouarnec 2017,
    "Accelerated nearest neighbor search with quick ADC", for the 4 bits.
    """

    tensors_of = ("centres", "codebooks")

    def __init__(self, width: int):
        with faiss_needed():
            import faiss
        self.faiss = faiss
        self.width = width
        self.index: Any = None

    def __len__(self):
        return 0 if self.index is None else self.index.ntotal

    def build(self, values: np.ndarray) -> None:
        lists = number_of_lists(len(values))
        index = self._empty(lists)
        chosen = np.linspace(0, len(values) - 1, min(len(values), _SAMPLES * lists)).astype(int)
        index.cp.min_points_per_centroid = 1  # which faiss would only grumble about
        index.train(values[chosen])
        index.add(values)
        self.index = index

    def add(self, values: np.ndarray) -> None:
        self.index.add(values)

    def search(self, values: np.ndarray, k: int, effort: int) -> np.ndarray:
        self.index.nprobe = effort
        return self.index.search(values, k)[1]

    def tensors(self) -> dict[str, np.ndarray]:
        quantizer = self.faiss.downcast_index(self.index.quantizer)
        codebooks = self.faiss.vector_to_array(self.index.pq.centroids)
        return {"centres": quantizer.reconstruct_n(0, self.index.nlist), "codebooks": codebooks}

    def restore(self, tensors: dict[str, np.ndarray], values: np.ndarray) -> None:
        centres, codebooks = (np.ascontiguousarray(tensors[name], np.float32) for name in self.tensors_of)
        index = self._empty(len(centres))
        finite = np.isfinite(centres).all() and np.isfinite(codebooks).all()
        if centres.shape[1:] != (self.width,) or codebooks.shape != (16 * self.width,) or not finite:
            raise ValueError("The index holds lists that do not fit its codes. Restore it from a copy, or build it again.")
        index.quantizer.add(centres)
        self.faiss.copy_array_to_vector(codebooks, index.pq.centroids)
        index.is_trained = True
        index.precompute_table()
        index.add(values)
        self.index = index

    def _empty(self, lists: int):
        quantizer: Any = self.faiss.IndexFlatL2(self.width)
        index = self.faiss.IndexIVFPQFastScan(quantizer, self.width, lists, self.width, 4)  # one codebook of 16 for each number
        quantizer.this.disown()
        index.own_fields = True
        return index


def number_of_lists(count: int) -> int:
    """A power of two near four times the root of the codes, and never more than a list for 39 of them."""
    return int(2 ** max(0, min(16, np.floor(np.log2(max(1, min(4 * count**0.5, count / 39)))))))


APPROXIMATE: dict[str, type[Graph] | type[Lists]] = {"hnsw": Graph, "ivfpq": Lists}
