"""The linear autoencoder against PCA.

MNIST, 60,000 pictures to learn from: squared error a picture on the 10,000 test pictures, grey levels from 0 to 1, summed over
784 pixels. A linear autoencoder cannot do better than PCA on the training pictures; the goal is the published error and 0.5 %.
"""

from isthmus import presets

from .data import checksum, mnist
from .measures import pca_error, squared_error
from .record import Row, Watch

SEEDS = 3
PUBLISHED = {2: 43.645, 10: 26.714, 16: 21.058, 30: 13.866, 32: 13.193, 64: 7.093}  # by number of components


def rows(options):
    train, test = (mnist(part, options.quick)[0] for part in ("train", "test"))
    data = {"MNIST": checksum(train, test)}
    for k, published in PUBLISHED.items():
        pca = pca_error(train, test, k)
        for seed in options.seeds:
            with Watch() as watch:
                model = presets.linear(k, random_state=seed, **({"max_epochs": 2} if options.quick else {})).fit(train)
            yield Row(
                f"k = {k}",
                squared_error(test, model.reconstruct(test)),
                "squared error a picture",
                goal={"at_most": 1.005 * published},
                baseline={"PCA": pca},
                published={"PCA": published},
                settings={"model": repr(model), "epochs": model.n_iter_},
                seed=seed,
                data=data,
                cost=watch.cost(),
            )
