"""New handwritten digits, and on the right of each the nearest of those that the model was trained on.

A regularised autoencoder with a mixture of Gaussians fitted to its codes (Ghosh et al. 2020). Of a model that has learnt its
digits by heart, both of a pair would be the same.

    python examples/digits_generated.py                       MNIST, about two minutes
    python examples/digits_generated.py --output FOLDER       writes FOLDER/digits_generated.png as well
    python examples/digits_generated.py --quick               a few epochs on scikit-learn's small digits
"""

import argparse
from pathlib import Path

import numpy as np

from isthmus import datasets
from isthmus.apps import Generator

PAIRS = (5, 8)  # rows and columns of them


def main(arguments=None) -> None:
    options = parse(arguments)
    train, test = (datasets.load(f"{options.data}:{part}")[0] for part in ("train", "test"))
    generator = Generator(options.model, random_state=0).fit(train[: options.count])
    found = generator.evaluate(test[:1000])
    print(f"median distance to the nearest training digit: new {found['new']:.3f}, unseen {found['unseen']:.3f}")
    print(f"{found['copies']:.1%} of the new digits are nearer to one than all but 1 % of the unseen are")
    if options.output:
        print(f"wrote {draw(generator, options.output / 'digits_generated.png')}")


def draw(generator: Generator, path: Path) -> Path:
    """Pairs of a new digit and the nearest training digit."""
    from matplotlib.figure import Figure

    rows, columns = PAIRS
    new = generator.sample(rows * columns, random_state=0)
    pairs = np.stack([new, generator.nearest(new)[0]], 1)  # (pairs, 2, height, width)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(rows, columns)
    for ax, (made, beside) in zip(axes.flat, pairs, strict=True):
        gap = np.full((len(made), max(1, len(made) // 8)), 0, made.dtype)
        ax.imshow(np.concatenate([made, gap, beside], 1), cmap="gray_r", vmin=0, vmax=pairs.max())
        ax.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist or digits")
    parser.add_argument("--count", type=int, default=10_000, help="digits to train on")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--quick", action="store_true", help="one epoch on a few small digits, to see that it runs")
    options = parser.parse_args(arguments)
    options.model = None
    if options.quick:
        options.data, options.count, options.model = "digits", 300, {"max_epochs": 1}
    return options


if __name__ == "__main__":
    main()
