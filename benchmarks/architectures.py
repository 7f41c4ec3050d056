"""Networks without extras.

MNIST, codes of 32 numbers unless said otherwise; squared error a test digit. `linear` is held against PCA, which no linear
network can beat; `dense` against PCA; `deep` against `dense` with a single hidden layer of as many weights, with two components,
where depth tells; `convolutional` against `dense` of as many epochs, which has several times its weights.
"""

from isthmus import presets

from .data import checksum, digits_of
from .measures import pca_error, squared_error
from .record import Row, Watch

SEEDS = 3
SIZE = 32


def rows(options):
    (train, _), (test, _) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    pca = {size: pca_error(train, test, size) for size in (2, SIZE)}
    for seed in options.seeds:
        shared = {"random_state": seed, "corruption": None, **epochs}
        error, facts = measured(presets.linear(SIZE, **shared), train, test, data)
        yield Row("linear: error over PCA's", error / pca[SIZE], "ratio", {"at_most": 1.005}, {"PCA": 1.0}, **facts)
        dense, facts = measured(presets.dense(SIZE, **shared), train, test, data)
        yield Row("dense: error", dense, "squared error a digit", {"at_most": pca[SIZE]}, {"PCA": pca[SIZE]}, **facts)
        deep, facts = measured(presets.deep(2, layers=4, **shared), train, test, data)
        width = round(facts["settings"]["weights"] / (2 * 784 + 4))  # weights a hidden unit has in a net with one such layer
        shallow, _ = measured(presets.dense(2, hidden=(width,), **shared), train, test, data)
        baseline = {"dense, one layer of as many weights": shallow, "PCA": pca[2]}
        yield Row("deep: error with 2 components", deep, "squared error a digit", {"at_most": shallow}, baseline, **facts)
        error, facts = measured(presets.convolutional(SIZE, **shared), pictures(train), pictures(test), data)
        baseline, also = {"dense": dense, "PCA": pca[SIZE]}, {"weights": facts["settings"]["weights"]}
        yield Row("convolutional: error", error, "squared error a digit", {"at_most": dense}, baseline, also=also, **facts)


def measured(model, train, test, data: dict) -> tuple[float, dict]:
    """Squared error a test digit, and what a row tells of the model."""
    with Watch() as watch:
        model.fit(train)
    error = squared_error(*(X.reshape(len(test), -1) for X in (test, model.reconstruct(test))))
    settings = {"model": repr(model), "weights": sum(p.numel() for p in model.network_.parameters())}
    return error, {"settings": settings, "seed": model.random_state, "data": data, "cost": watch.cost()}


def pictures(X):
    return X.reshape(-1, 28, 28)
