"""A plane of handwritten digits: a variational autoencoder with two components, and what it decodes from every place.

Every digit becomes a small Gaussian in the plane, and all of them together must look like one, N(0, I). So there are no gaps,
and the plane can be read both ways: where the digits lie, and which digit lies at a place. The grid on the right is even in
the share of N(0, I) to its left and below it, as in Kingma & Welling 2014, "Auto-encoding variational Bayes", figure 4.

    python examples/digits_plane.py                       MNIST, about two minutes
    python examples/digits_plane.py --output FOLDER       writes FOLDER/digits_plane.png as well
    python examples/digits_plane.py --quick               a few epochs on scikit-learn's small digits
"""

import argparse
from math import isqrt
from pathlib import Path

import numpy as np
from scipy.stats import norm

from isthmus import Autoencoder, datasets, presets
from isthmus.parts import Dense

HIDDEN = (512, 256)
EPOCHS = 40
SIDE = 20  # decoded digits a side of the grid


def main(arguments=None) -> None:
    options = parse(arguments)
    (train, _), (test, digit) = (pixels(f"{options.data}:{part}") for part in ("train", "test"))
    model = program(options.epochs, options.hidden, options.verbose).fit(train)
    mean, std = model.posterior(test)
    print(f"{-model.log_likelihood(test[:1000], 100, random_state=0).mean():.1f} nats a digit, of 1000 unseen ones")
    print(f"their posteriors are {std.mean():.2f} wide in a plane where all means together are {mean.std():.2f} wide")
    if options.output:
        print(f"wrote {draw(mean, digit, decoded(model), options.output / 'digits_plane.png')}")


def program(max_epochs: int = EPOCHS, hidden=HIDDEN, verbose: int = 0) -> Autoencoder:
    """A variational autoencoder with two components, unfitted."""
    return presets.variational(
        2, architecture=Dense(hidden, bypass=False), loss="bernoulli", max_epochs=max_epochs, random_state=0, verbose=verbose
    )


def pixels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a data set as rows of grey levels from 0 to 1, (n, height * width), and their digits, (n,)."""
    images, digit = datasets.load(name)
    return images.reshape(len(images), -1).astype(np.float32) / images.max(), digit


def decoded(model: Autoencoder, side: int = SIDE) -> np.ndarray:
    """One picture, (side * height, side * width), of what lies at the quantiles of N(0, I); the second component points up."""
    places = norm.ppf((np.arange(side) + 0.5) / side)
    codes = np.stack(np.meshgrid(places, places[::-1]), -1).reshape(-1, 2).astype(np.float32)
    rows = model.inverse_transform(codes)
    size = isqrt(rows.shape[1])
    return rows.reshape(side, side, size, size).swapaxes(1, 2).reshape(side * size, side * size)


def draw(mean: np.ndarray, digit: np.ndarray, grid: np.ndarray, path: Path) -> Path:
    """The means of the posteriors, a colour for each digit, beside the decoded grid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axes, pictures = figure.subplots(1, 2)
    dots = axes.scatter(*mean.T, c=digit, cmap="tab10", vmin=-0.5, vmax=9.5, s=3)
    axes.set(title="where unseen digits lie", xlabel="first component", ylabel="second component", aspect="equal")
    figure.colorbar(dots, ax=axes, ticks=range(10), label="digit", shrink=0.8)
    pictures.imshow(grid, cmap="gray_r", vmin=0, vmax=1)
    pictures.set(title="what lies at the quantiles of N(0, I)", xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist or digits")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--verbose", type=int, default=1, help="0 hides the progress bar")
    parser.add_argument("--quick", action="store_true", help="three epochs on small digits, to see that it runs")
    options = parser.parse_args(arguments)
    options.hidden = HIDDEN
    if options.quick:
        options.data, options.epochs, options.hidden, options.verbose = "digits", 3, (64, 32), 0
    return options


if __name__ == "__main__":
    main()
