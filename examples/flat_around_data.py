"""What contraction does, seen in one dimension: the reconstruction r(x) of a number x.

The data gather around three places. A plain autoencoder learns r(x) = x wherever it can; one whose codes must not tremble, or
one that was trained on noisy numbers, learns that only the places matter: around each of them r is flat, and pulls what strays
back (Alain & Bengio 2014, "What regularized auto-encoders learn from the data-generating distribution").

    python examples/flat_around_data.py                       three models, seconds each
    python examples/flat_around_data.py --output FOLDER       writes FOLDER/flat_around_data.png as well
    python examples/flat_around_data.py --quick               a few epochs
"""

import argparse
from pathlib import Path

import numpy as np

from isthmus import Autoencoder
from isthmus.parts import Contractive, Dense, Noise

PLACES = (-1.0, 0.1, 1.0)
WIDTH = 0.04  # of each, a standard deviation
NOISE = 0.3  # in standard deviations of the data, as the network sees them
WEIGHT = 0.05


def main(arguments=None) -> None:
    options = parse(arguments)
    x, curves = np.linspace(-1.6, 1.6, 401), {}
    for title, model in models(options.epochs).items():
        model.fit(sampled(3000))
        curves[title] = model.reconstruct(x[:, None])[:, 0]
        print(f"{title}: slope of r at the data {slope(model):.2f}, error of unseen data {error(model):.4f}")
    if options.output:
        print(f"wrote {draw(x, curves, options.output / 'flat_around_data.png')}")


def models(epochs: int) -> dict[str, Autoencoder]:
    """The same network three times; its code is wider than the data, so that only what is added keeps it from copying."""
    shared = {
        "architecture": Dense((64, 64), activation="tanh", bypass=False),
        "loss": "squared",
        "max_epochs": epochs,
        "random_state": 0,
    }
    return {
        "plain": Autoencoder(8, corruption=Noise(0.0), **shared),
        "contractive": Autoencoder(8, corruption=None, penalties=Contractive(WEIGHT, scaled=True), **shared),
        "denoising": Autoencoder(8, corruption=Noise(NOISE), **shared),
    }


def sampled(count: int, seed: int = 0) -> np.ndarray:
    """(count, 1) numbers around the three places."""
    random = np.random.default_rng(seed)
    return (random.choice(PLACES, count) + WIDTH * random.standard_normal(count))[:, None]


def slope(model: Autoencoder, step: float = 1e-2) -> float:
    """The mean slope of r at the places."""
    at = np.array(PLACES)[:, None]
    return float((model.reconstruct(at + step) - model.reconstruct(at - step)).mean() / (2 * step))


def error(model: Autoencoder) -> float:
    unseen = sampled(1000, seed=1)
    return float(np.sqrt(np.square(model.reconstruct(unseen) - unseen).mean()))


def draw(x: np.ndarray, curves: dict[str, np.ndarray], path: Path) -> Path:
    """The curves over the line r(x) = x and where the data are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(curves), 4.2), layout="constrained")
    for place, (title, curve) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(1, len(curves), place)
        axes.plot(x, x, color="0.75", linewidth=1, label="r(x) = x")
        axes.plot(x, curve, color="tab:blue", linewidth=2, label="r(x)")
        axes.plot(sampled(200), np.full(200, -1.75), "|", color="tab:orange", label="data")
        axes.set(title=title, xlabel="x", ylabel="r(x)" if place == 1 else "", xlim=(-1.6, 1.6), ylim=(-1.9, 1.7))
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--quick", action="store_true", help="three epochs, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.epochs = 3
    return options


if __name__ == "__main__":
    main()
