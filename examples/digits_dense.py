"""Handwritten digits through 32 numbers: the dense autoencoder of the classic tutorials.

784-128-64-32-64-128-784 with relu, a sigmoid output and binary cross-entropy, trained with Adam at a constant rate; then
encoder and decoder are used apart, as two functions.

    python examples/digits_dense.py                       MNIST, 50 epochs: about a minute
    python examples/digits_dense.py --output FOLDER       writes FOLDER/digits_dense.png as well
    python examples/digits_dense.py --quick               three epochs on scikit-learn's small digits
"""

import argparse
from pathlib import Path

import numpy as np

from isthmus import Autoencoder, Training, datasets
from isthmus.parts import Dense, Plain


def main(arguments=None) -> None:
    options = parse(arguments)
    train, test = pixels(f"{options.data}:train"), pixels(f"{options.data}:test")
    model = program(options.epochs, verbose=options.verbose).fit(train, validation=test)
    print(f"{len(train)} pictures of {train.shape[1]} pixels, {model.n_iter_} epochs, {seconds(model):.1f} s")
    print(f"binary cross-entropy a pixel on {len(test)} other pictures: {cross_entropy(model):.4f}")

    codes = model.transform(test)  # the encoder on its own: (n, 784) to (n, 32)
    rebuilt = model.inverse_transform(codes)  # the decoder on its own: (n, 32) to (n, 784)
    print(
        f"one picture is {test.shape[1]} numbers, its code {codes.shape[1]}: "
        + " ".join(f"{c:.1f}" for c in codes[0][:8])
        + " ..."
    )
    print(f"squared error a picture: {np.square(test - rebuilt).sum(1).mean():.2f}")
    if options.output:
        print(f"wrote {draw(test, rebuilt, options.output / 'digits_dense.png')}")


def program(max_epochs: int = 50, **kwargs) -> Autoencoder:
    """The tutorial's model, unfitted."""
    return Autoencoder(
        32,
        architecture=Dense((128, 64), activation="relu", bypass=False),
        bottleneck=Plain(activation="relu"),
        corruption=None,
        loss="bernoulli",
        training=Training("adam", schedule="constant"),
        learning_rate=1e-3,
        batch_size=256,
        max_epochs=max_epochs,
        **{"random_state": 0, **kwargs},
    )


def pixels(name: str) -> np.ndarray:
    """The pictures of a data set as rows of grey levels from 0 to 1, (n, height * width)."""
    images, _ = datasets.load(name)
    return images.reshape(len(images), -1).astype(np.float32) / 255


def cross_entropy(model: Autoencoder) -> float:
    """Binary cross-entropy of the validation pictures after the last epoch, in nats a pixel."""
    return model.history_[-1]["validation_loss"] / model.n_features_in_


def seconds(model: Autoencoder) -> float:
    return sum(record["seconds"] for record in model.history_)


def draw(originals: np.ndarray, rebuilt: np.ndarray, path: Path, count: int = 10) -> Path:
    """Ten pictures above what came back through the code."""
    from matplotlib.figure import Figure

    side = round(originals.shape[1] ** 0.5)
    rows = [np.hstack(pictures[:count].reshape(count, side, side)) for pictures in (originals, rebuilt)]
    figure = Figure(figsize=(count, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.vstack(rows), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[side / 2, side * 1.5], yticklabels=["original", "rebuilt"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, fashion-mnist or digits")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--verbose", type=int, default=1, help="0 hides the progress bar")
    parser.add_argument("--quick", action="store_true", help="three epochs on small digits, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.data, options.epochs, options.verbose = "digits", 3, 0
    return options


if __name__ == "__main__":
    main()
