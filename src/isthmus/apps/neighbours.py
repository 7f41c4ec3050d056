"""Graphs of neighbours: which codes lie near which, and how such a graph falls apart into groups."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.neighbors import NearestNeighbors

_DENSE = 400  # samples up to which all eigenvectors are found at once
_LOCAL = 7  # the neighbour whose distance is a sample's own scale
_FAINT = 0.1  # of all edges, those that join everything to everything


def nearest(codes: np.ndarray, known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the `count` nearest of the `known` codes, and their places, (n, count) each, nearest first.

    The distances are taken anew from the differences: that of a code to itself is zero, and no other depends on its company.
    """
    search = NearestNeighbors(n_neighbors=min(count, len(known)), algorithm="brute").fit(known)
    place = search.kneighbors(codes, return_distance=False)
    distance = np.stack([np.sqrt(np.square(known[column] - codes).sum(1)) for column in place.T], 1)
    order = np.lexsort((place, distance), axis=1)
    return np.take_along_axis(distance, order, 1), np.take_along_axis(place, order, 1)


def graph_of(codes: np.ndarray, count: int) -> sparse.csr_matrix:
    """The symmetric graph, (n, n), of every code's `count` nearest neighbours, weighted by how near they are.

        w_ij = exp(-|z_i - z_j|^2 / (s_i s_j)),   s_i: the distance of i to its seventh neighbour

    An edge is there where either of the two counts the other among its nearest.

    Source: Zelnik-Manor & Perona 2005, "Self-tuning spectral clustering", for the weights.
    """
    n, count = len(codes), min(count, len(codes) - 1)
    distance, place = nearest(codes, codes, count + 1)
    other = place != np.arange(n)[:, None]
    other[other.all(1), -1] = False  # a code with more twins than neighbours may not be among its own nearest
    distance, place = distance[other].reshape(n, count), place[other].reshape(n, count)
    scale = distance[:, min(_LOCAL, count) - 1].clip(np.finfo(float).tiny ** 0.25)
    weight = np.exp(-np.square(distance) / (scale[:, None] * scale[place])).clip(1e-12)
    graph = sparse.csr_matrix((weight.ravel(), place.ravel(), np.arange(0, n * count + 1, count)), shape=(n, n))
    return graph.maximum(graph.T).tocsr()


def walk_of(graph: sparse.csr_matrix, size: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """The slowest modes of a lazy random walk on the graph: their rates in [0, 1], (size,), and their values, (n, size).

        P = (1 + D^-1 (A + r)) / 2,   P v = rate * v,   D: the sums of the rows

    r joins everything to everything by a tenth of the edges there are, so that a handful of samples that lie apart is not taken
    for a group. The rates are those of the graph without it.

    Source: Amini et al. 2013, "Pseudo-likelihood methods for community detection in large sparse networks", for r.
    """
    n = graph.shape[0]
    size = min(size, n)
    degree = np.asarray(graph.sum(1)).ravel()
    faint = _FAINT * degree.mean() / n
    root = 1 / np.sqrt(degree + faint * n)

    def times(vector):
        scaled = root * vector.ravel()
        return root * (graph @ scaled + faint * scaled.sum())

    if n <= _DENSE or size > n // 4:
        values, vectors = np.linalg.eigh(root[:, None] * (graph.toarray() + faint) * root)
    else:
        operator = LinearOperator((n, n), times, dtype=np.float64)
        values, vectors = eigsh(operator, size, which="LA", v0=random.normal(size=n), tol=1e-6)
    order = np.argsort(-values, kind="stable")[:size]
    rates = np.clip((1 + values[order] * (1 + _FAINT)) / 2, 0, 1)
    return rates, vectors[:, order] * root[:, None]


def diffused(rates: np.ndarray, modes: np.ndarray, steps: int) -> np.ndarray:
    """Where each sample's walk is after so many steps, (n, size), as a direction: those of one group point the same way.

    With 0 steps all modes count alike, so there should be as many as groups.

    Source: Coifman & Lafon 2006, "Diffusion maps"; rows of length one as in Ng, Jordan & Weiss 2001, "On spectral clustering".
    """
    places = modes * rates**steps
    return places / np.linalg.norm(places, axis=1, keepdims=True).clip(1e-300)


def modularity(graph: sparse.csr_matrix, labels: np.ndarray) -> float:
    """How much more of the edges lies within groups than if they fell by chance, below 1 (Newman & Girvan 2004)."""
    member = sparse.csr_matrix((np.ones(len(labels)), (np.arange(len(labels)), labels)))
    between = (member.T @ graph @ member).toarray() / graph.sum()
    return float(np.trace(between) - np.square(between.sum(1)).sum())
