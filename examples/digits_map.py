"""A map of handwritten digits: each picture squeezed to two numbers, or three, and drawn where they say.

Codes of an autoencoder beside the plane of PCA. How well the map keeps digits apart is measured on pictures it never saw:
five neighbours among the training pictures vote for the digit.

    python examples/digits_map.py                         MNIST, two models of two minutes each
    python examples/digits_map.py --output FOLDER         writes FOLDER/digits_map.png as well
    python examples/digits_map.py --quick                 a few epochs on scikit-learn's small digits
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from isthmus import Autoencoder, Training, datasets
from isthmus.parts import Dense, Mask, Squared

HIDDEN = (1000, 500, 250)
EPOCHS = 80
BATCH = 2048
RATE = 0.01


def main(arguments=None) -> None:
    options = parse(arguments)
    train, train_digit = pixels(f"{options.data}:train")
    test, test_digit = pixels(f"{options.data}:test")
    codes = {}
    for title, model in models(options).items():
        codes[title] = model.fit(train).transform(test)
        accuracy = neighbour_accuracy(model.transform(train), train_digit, codes[title], test_digit)
        print(f"{title}: five neighbours find the digit of {accuracy:.1%} of {len(test)} unseen pictures")
    if options.output:
        print(f"wrote {draw(codes, test_digit, options.output / 'digits_map.png')}")


def models(options) -> dict:
    settings = {"max_epochs": options.epochs, "hidden": options.hidden, "verbose": options.verbose}
    return {
        "PCA, 2 numbers": PCA(2),
        "autoencoder, 2 numbers": program(2, **settings),
        "autoencoder, 3 numbers": program(3, **settings),
    }


def program(n_components: int = 2, *, hidden=HIDDEN, max_epochs: int = EPOCHS, **kwargs) -> Autoencoder:
    """A deep autoencoder with a code that can be drawn, unfitted."""
    return Autoencoder(
        n_components,
        architecture=Dense(hidden, bypass=False),
        corruption=Mask(0.25),  # a quarter of the pixels must be guessed: the code holds shapes rather than strokes
        loss=Squared(bounded=True),
        training=Training(momentum=0.95, weight_decay=0.0),
        batch_size=BATCH,
        learning_rate=RATE,
        max_epochs=max_epochs,
        **{"random_state": 0, **kwargs},
    )


def pixels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a data set as rows of grey levels from 0 to 1, (n, height * width), and their digits, (n,)."""
    images, digit = datasets.load(name)
    return images.reshape(len(images), -1).astype(np.float32) / 255, digit


def neighbour_accuracy(train_codes, train_digit, test_codes, test_digit) -> float:
    """The share of test codes whose five nearest training codes vote for the right digit."""
    return float(KNeighborsClassifier(5).fit(train_codes, train_digit).score(test_codes, test_digit))


def draw(codes: dict[str, np.ndarray], digit: np.ndarray, path: Path) -> Path:
    """The maps side by side, a colour for each digit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(codes), 5), layout="constrained")
    for place, (title, points) in enumerate(codes.items(), start=1):
        axes = figure.add_subplot(1, len(codes), place, projection="3d" if points.shape[1] == 3 else None)
        dots = axes.scatter(*points.T, c=digit, cmap="tab10", vmin=-0.5, vmax=9.5, s=3)
        axes.set_title(title)
    figure.colorbar(dots, ax=figure.axes, ticks=range(10), label="digit", shrink=0.8)
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
