"""A map of digits.

`examples/digits_map.py`: MNIST squeezed to two numbers a picture, and to three. The share of the 10,000 test pictures whose
five nearest training codes vote for the right digit. Layers, epochs and rate are the constants at the top of the example.
"""

from sklearn.decomposition import PCA

from examples.digits_map import neighbour_accuracy, program

from .data import checksum, mnist
from .record import Row, Watch

SEEDS = 3
GOALS = {2: {"at_least": 0.90}, 3: {}}


def rows(options):
    (train, train_digit), (test, test_digit) = (mnist(part, options.quick) for part in ("train", "test"))
    data = {"MNIST": checksum(train, test)}

    def accuracy(model) -> float:
        return neighbour_accuracy(model.transform(train), train_digit, model.transform(test), test_digit)

    for k, goal in GOALS.items():
        pca = accuracy(PCA(k).fit(train))
        for seed in options.seeds:
            with Watch() as watch:
                model = program(k, random_state=seed, **({"max_epochs": 1} if options.quick else {})).fit(train)
            shared = {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}
            yield Row(f"{k} numbers", accuracy(model), "share of test pictures", goal, {"PCA": pca}, **shared)
