"""Two blobs through a plane.

`examples/blobs_linear.py`: 100 points in two groups, three columns from 0 to 1, a linear 3-2-3 network, 1000 steps of Adam at
0.01 on all points at once. Squared error a point; a column left out is replaced by its mean.
"""

from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from examples.blobs_linear import blobs, column_errors, pca_error, program, squared_error

from .data import checksum
from .record import Row, Watch

SEEDS = 5


def rows(options):
    X, group = blobs()
    pca, column = pca_error(X), min(column_errors(X))
    for seed in options.seeds:
        with Watch() as watch:
            model = program(100 if options.quick else 1000, random_state=seed).fit(X)
        shared = {"settings": {"model": repr(model)}, "seed": seed, "data": {"blobs": checksum(X)}, "cost": watch.cost()}
        error = squared_error(X, model.reconstruct(X))
        yield Row("error against PCA", error, "squared error a point", {"at_most": 1.01 * pca}, {"PCA": pca}, **shared)
        left_out = {"the best column left out": column}
        yield Row("error against a column left out", error, "squared error a point", {"at_most": column}, left_out, **shared)
        yield Row(
            "groups found by k-means on the code",
            agreement(model.transform(X), group),
            "adjusted Rand index",
            {"at_least": 1.0},
            **shared,
        )


def agreement(codes, group) -> float:
    """1 where two clusters of the codes are the two groups, point for point."""
    return float(adjusted_rand_score(group, KMeans(2, n_init=10, random_state=0).fit_predict(codes)))
