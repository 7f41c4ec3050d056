"""Handwritten digits without their noise, with what was cut out of them, and from noisy digits alone.

Three restorers, each trained on training digits and shown test digits that it never saw: one for noise, one for holes, and one
that is never shown a clean digit.

    python examples/digits_restored.py                      MNIST, three networks of half a minute each
    python examples/digits_restored.py --output FOLDER      writes FOLDER/digits_restored.png as well
    python examples/digits_restored.py --quick              a few steps on scikit-learn's small digits
"""

import argparse
from pathlib import Path

import numpy as np

from isthmus import datasets
from isthmus.apps import Restorer
from isthmus.parts import Holes, Noise

STD = 0.4  # of the noise, white being 1
EPOCHS = 2
TRAINED_ON = 8_000  # digits
SHOWN = 10


def main(arguments=None) -> None:
    options = parse(arguments)
    train, test = (pictures(f"{options.data}:{part}") for part in ("train", "test"))
    train, test = train[: options.trained_on], test[:500]
    noisy_train, noisy = with_noise(train, 1), with_noise(test, 2)
    mask = np.zeros(test.shape, bool)
    quarter = test.shape[1] // 4
    mask[:, quarter:-quarter, quarter:-quarter] = True
    settings = {"max_epochs": options.epochs, "batch_size": 64, "verbose": options.verbose}
    restorers = {
        "noise": Restorer(settings, damage=Noise(STD), random_state=0).fit(train),
        "noise, learnt from noisy digits alone": Restorer(settings, self_supervised="gaussian", random_state=0).fit(noisy_train),
        "a hole in the middle": Restorer(settings, damage=Holes(1, 0.65, told=True), random_state=0).fit(train),
    }
    shown = {"clean": test, "noisy": noisy}
    for title, restorer in restorers.items():
        hole = "hole" in title
        before = np.where(mask, 0, test).astype(np.float32) if hole else noisy
        after = restorer.restore(before, mask if hole else None)
        print(f"{title}: {quality(before, test):.1f} dB before, {quality(after, test):.1f} dB after")
        shown |= {title: before} if hole else {}
        shown[f"{title}, restored"] = after
    if options.output:
        print(f"wrote {draw(shown, options.output / 'digits_restored.png')}")


def pictures(name: str) -> np.ndarray:
    """(n, height, width) of grey levels from 0 to 1."""
    images = datasets.load(name)[0]
    return (images / images.max()).astype(np.float32)


def with_noise(clean: np.ndarray, seed: int) -> np.ndarray:
    return (clean + STD * np.random.default_rng(seed).normal(size=clean.shape)).astype(np.float32)


def quality(found: np.ndarray, clean: np.ndarray) -> float:
    """PSNR in dB: of the mean squared error of all pixels."""
    return float(-10 * np.log10(np.square(found.astype(np.float64) - clean).mean()))


def draw(shown: dict[str, np.ndarray], path: Path) -> Path:
    """A row of digits for each of these."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.85 * len(shown)), layout="constrained")
    for row, (title, digits) in enumerate(shown.items()):
        axes = figure.add_subplot(len(shown), 1, row + 1)
        axes.imshow(np.concatenate(digits[:SHOWN], 1).clip(0, 1), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title, fontsize=8, loc="left", pad=2)
        axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist or digits")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--verbose", type=int, default=1, help="0 hides the progress bar")
    parser.add_argument("--quick", action="store_true", help="one epoch on small digits, to see that it runs")
    options = parser.parse_args(arguments)
    options.trained_on = TRAINED_ON
    if options.quick:
        options.data, options.epochs, options.verbose, options.trained_on = "digits", 1, 0, 200
    return options


if __name__ == "__main__":
    main()
