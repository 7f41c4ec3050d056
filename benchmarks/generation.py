"""New digits that look like digits.

MNIST. Frechet distance between the 10,000 test digits and as many new ones, in the 64 features of a small classifier that is
trained on the same training digits (`benchmarks/judge.py`); real training digits come to "real digits". New digits are decoded
from draws of each model's prior. "VAE": `presets.variational(20)`, whose prior is N(0, I). "PCA-50 + mixture": a mixture of ten
Gaussians of the scores of 50 components. `conditional` is judged by whether the classifier reads the digit that was asked for;
beside it, how often it reads real test digits right; its eight components, of which 20 were too many, were chosen on held-out
training digits. Labels train the classifier and the condition, nothing else.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from isthmus import presets
from isthmus.parts import Mixture

from .data import checksum, digits_of
from .judge import features, frechet, named, trained_judge
from .record import Row, Watch

SEEDS = 3
COUNT = 10_000  # new digits
MODELS = {
    "dense": lambda **shared: presets.dense(12, corruption=None, prior=Mixture(10), **shared),
    "regularised": lambda **shared: presets.regularised(12, **shared),
    "info": lambda **shared: presets.info(8, **shared),
    "adversarial": lambda **shared: presets.adversarial(8, **shared),
    "vamp": lambda **shared: presets.vamp(20, **shared),
}


def rows(options):
    (train, digit), (test, test_digit) = digits_of(options)
    data, epochs = {"MNIST": checksum(train, test)}, {"max_epochs": 1} if options.quick else {}
    judge = trained_judge(train, digit)
    real, count = features(judge, test), min(COUNT, len(train))
    for seed in options.seeds:
        shared = {"random_state": seed, **epochs}

        def distance(samples):
            return frechet(features(judge, samples), real)

        baseline = {
            "VAE": distance(presets.variational(20, **shared).fit(train).sample(count, random_state=seed)),
            "PCA-50 + mixture": distance(drawn_by_pca(train, count, seed)),
            "real digits": distance(train[:count]),
        }
        for name, preset in MODELS.items():
            with Watch() as watch:
                model = preset(**shared).fit(train)
            found = distance(model.sample(count, random_state=seed))
            goal = {
                "at_most": min(0.5 * baseline["VAE"], 0.6 * baseline["PCA-50 + mixture"]) if name == "dense" else baseline["VAE"]
            }
            common = {"settings": {"model": repr(model)}, "seed": seed, "data": data, "cost": watch.cost()}
            yield Row(f"{name}: distance of new digits", found, "Frechet distance", goal, baseline, **common)
        yield conditional_row(train, digit, judge, float((named(judge, test) == test_digit).mean()), shared, data)


def drawn_by_pca(train: np.ndarray, count: int, seed: int) -> np.ndarray:
    pca = PCA(50).fit(train.astype(np.float64))
    mixture = GaussianMixture(10, random_state=seed).fit(pca.transform(train))
    return pca.inverse_transform(mixture.sample(count)[0]).clip(0, 1)


def conditional_row(train, digit, judge, on_real: float, shared: dict, data: dict) -> Row:
    with Watch() as watch:
        model = presets.conditional(8, **shared).fit(train, condition=digit)
    asked = np.arange(1000) % 10
    read = named(judge, model.sample(len(asked), condition=asked, random_state=shared["random_state"]))
    return Row(
        "conditional: new digits read as what was asked for", float((read == asked).mean()), "share", {"at_least": 0.95},
        {"real digits": on_real, "by chance": 0.1}, settings={"model": repr(model)}, seed=shared["random_state"], data=data,
        cost=watch.cost(),
    )  # fmt: skip
