"""A code lightens a classifier: 784 pixels become 32 numbers, and a logistic regression learns from these instead.

The autoencoder never sees a label. It learns to rebuild upright digits from turned, shifted and slanted ones, so its code holds
what a digit is rather than how it was written. In a Pipeline it is a step like any other.

    python examples/digits_pipeline.py                    MNIST, some four minutes
    python examples/digits_pipeline.py --output FOLDER    writes FOLDER/digits_pipeline.png as well
    python examples/digits_pipeline.py --quick            a few epochs on scikit-learn's small digits
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from isthmus import datasets, presets
from isthmus.parts import Mask, Warp

EPOCHS = 8


def main(arguments=None) -> None:
    options = parse(arguments)
    train, digit = pictures(f"{options.data}:train")
    test, test_digit = pictures(f"{options.data}:test")
    rows = {}
    for name, pipeline in pipelines(options).items():
        pipeline.fit(train, digit)
        accuracy, seconds = pipeline.score(test, test_digit), seconds_of_classifier(pipeline, train, digit)
        rows[name] = (accuracy, seconds)
        print(f"{name}: {accuracy:.2%} of {len(test):,} unseen digits right; the classifier takes {seconds:.1f} s to fit")
    (before, slow), (after, quick) = rows.values()
    print(f"{after - before:+.2%}, in {quick / slow:.0%} of the time")
    if options.output:
        print(f"wrote {draw(rows, options.output / 'digits_pipeline.png')}")


def pipelines(options) -> dict:
    return {
        "pixels": make_pipeline(FunctionTransformer(flat), classifier()),
        "32 codes": make_pipeline(coder(max_epochs=options.epochs, verbose=options.verbose), StandardScaler(), classifier()),
    }


def coder(n_components: int = 32, **kwargs):
    """Rebuilds upright, whole digits from warped ones with a quarter of the places black; unfitted."""
    damage = [Warp(25.0, 0.1, 0.2, 0.3), Mask(0.25)]
    return presets.convolutional(n_components, channels=(16, 32), corruption=damage, **{"random_state": 0, **kwargs})


def classifier():
    return LogisticRegression(C=0.1, max_iter=300)


def seconds_of_classifier(pipeline, X, y) -> float:
    """How long the last step takes to learn from what the steps before it give."""
    inputs = pipeline[:-1].transform(X)
    began = time.perf_counter()
    classifier().fit(inputs, y)
    return time.perf_counter() - began


def flat(X) -> np.ndarray:
    return np.asarray(X).reshape(len(X), -1)


def pictures(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels from 0 to 1, (n, height, width), and digits."""
    images, digit = datasets.load(name)
    return images.astype(np.float32) / 255, digit


def draw(rows: dict, path: Path) -> Path:
    """Errors and seconds, before and after, as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    values = np.array(list(rows.values())) * [-100, 1] + [100, 0]
    for axes, numbers, label in zip(figure.subplots(1, 2), values.T, ("% wrong", "seconds to fit"), strict=True):
        axes.bar_label(axes.bar(list(rows), numbers, color=["#cf7a20", "#2f7fd0"]), fmt="%.2g", padding=3)
        axes.set_ylabel(label)
        axes.margins(y=0.15)
        axes.spines[["top", "right"]].set_visible(False)
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
    if options.quick:
        options.data, options.epochs, options.verbose = "digits", 3, 0
    return options


if __name__ == "__main__":
    main()
