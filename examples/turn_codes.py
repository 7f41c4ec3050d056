"""A code that is a map: mirror, shift or turn it, and the picture follows.

The code of a convolutional network can keep its places: here 6 x 6 of them, two numbers each, for a digit of 24 x 24 pixels.
A map that was shifted by a place is decoded to a picture shifted by four pixels, because a convolution does the same
everywhere and the dark ground around a digit leaves it room. A mirrored or turned map is another matter: kernels have a
left and a right, so what stood for a stroke to the left is read as something else. A penalty of ten lines (`Turned`) teaches
the decoder to read maps from all sides. Pooling and upsampling help it, as their windows lie symmetrically in the picture; a
convolution of stride two begins at one corner.

Another way needs no map: a network whose `target` is the mirrored picture learns to mirror, code and all.

    python examples/turn_codes.py                         four networks, less than a minute
    python examples/turn_codes.py --output FOLDER         writes FOLDER/turn_codes.png as well
    python examples/turn_codes.py --quick                 an epoch each, to see that it runs
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from isthmus import Autoencoder, datasets, presets
from isthmus.parts import Conv, Part

SIDE, PLACES = 24, 6  # pixels and places of the map, each way
MOVES = {
    "as they are": lambda maps: maps,
    "mirrored": lambda maps: np.flip(maps, 2),
    "shifted": lambda maps: np.roll(maps, maps.shape[2] // PLACES, 2),  # the width of a place
    "turned": lambda maps: np.rot90(maps, axes=(1, 2)),
}


def main(arguments=None) -> None:
    options = parse(arguments)
    train, test = pictures("digits:train"), pictures("digits:test")
    settings = {"max_epochs": options.epochs, "verbose": options.verbose}
    readers = {
        "not taught": program(**settings).fit(train),
        "taught": program(penalties=Turned(), **settings).fit(train),
    }
    print(f"squared error a picture of {len(test)} unseen digits, whose maps were then decoded")
    print(" " * 12 + "".join(f"{move:>13}" for move in MOVES))
    for name, model in readers.items():
        print(f"{name:12}" + "".join(f"{error(model, move, test):13.2f}" for move in MOVES.values()))

    mirror = MOVES["mirrored"]
    copier = squeezed(**settings).fit(train)
    mirrorer = squeezed(**settings).fit(train, target=mirror(train).copy())
    answers = {"to be copied": (test, copier.reconstruct(test)), "to be mirrored": (mirror(test), mirrorer.reconstruct(test))}
    for name, (wanted, answer) in answers.items():
        print(f"a network that learns from digits {name}: {squared_error(wanted, answer):.2f}")
    if options.output:
        print(f"wrote {draw(test[:9], readers, answers, options.output / 'turn_codes.png')}")


def program(max_epochs: int = 15, **kwargs) -> Autoencoder:
    """A convolutional autoencoder whose code is the map itself, (6, 6, 2), unfitted."""
    return Autoencoder(
        None,
        architecture=Conv((16, 2), kernel=5, down="pool", up="upsample"),
        max_epochs=max_epochs,
        **{"random_state": 0, **kwargs},
    )


def squeezed(max_epochs: int = 15, **kwargs) -> Autoencoder:
    """One whose code is 32 numbers without places, unfitted."""
    return presets.convolutional(32, channels=(16, 32), max_epochs=max_epochs, **{"random_state": 0, **kwargs})


class Turned(Part):
    """The map, turned or mirrored, is decoded to the picture turned or mirrored.

        penalty = weight * loss(turn(x), decode(turn(encode(x)))),   turn: one of the seven that a square has, drawn in every step

    Parameters
    ----------
    weight : float, default 1.0
    """

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight

    def forward(self, step):
        drawn = 1 + int(7 * step.random.stream("turned").shared(()))  # quarter turns, and from 4 on mirrored as well

        def turn(maps):
            return (maps.flip(2) if drawn >= 4 else maps).rot90(drawn % 4, (1, 2))

        target = step.batch.target
        output = step.network.decode(step.code.at(turn(step.code.z)))
        return self.weight * step.network.loss(output, target.replace(turn(target.values)))


def pictures(name: str) -> np.ndarray:
    """Digits enlarged from 8 x 8 pixels to 16 x 16, on a dark ground of 24 x 24 that leaves room to move, uint8."""
    small, _ = datasets.load(name)
    large = [np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BICUBIC)) for picture in small]
    return np.pad(np.stack(large), [(0, 0), (4, 4), (4, 4)])


def decoded(model: Autoencoder, move, X: np.ndarray) -> np.ndarray:
    """The pictures that the moved code maps of `X` are decoded to."""
    maps = model.transform(X).reshape(-1, *model.code_shape_)
    return model.inverse_transform(move(maps).reshape(len(X), -1))


def error(model: Autoencoder, move, X: np.ndarray) -> float:
    return squared_error(move(X), decoded(model, move, X))


def squared_error(wanted: np.ndarray, answer: np.ndarray) -> float:
    """Sum over the pixels, from 0 to 1, mean over the pictures."""
    return float(np.square(wanted / 255 - answer / 255).sum((1, 2)).mean())


def draw(X: np.ndarray, readers: dict, answers: dict, path: Path) -> Path:
    """A panel for each move, and one for the network that learnt to mirror; four rows each."""
    from matplotlib.figure import Figure

    panels = {}
    for name, move in list(MOVES.items())[1:]:
        rows = {f"map {name},\n{taught}": decoded(model, move, X) for taught, model in readers.items()}
        panels[f"the code map is {name}"] = {"digit": X, f"digit {name}": move(X)} | rows
    (copied_from, copies), (mirrored, images) = answers.values()
    panels["learnt, with target=mirrored"] = {
        "digit": copied_from, "network's copy": copies, "digit mirrored": mirrored, "network's mirror": images,
    }  # fmt: skip
    figure = Figure(figsize=(14, 6.2), layout="constrained")
    for axes, (title, rows) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        axes.imshow(np.vstack([np.hstack(row[: len(X)]) for row in rows.values()]), cmap="gray", vmin=0, vmax=255)
        axes.set(title=title, xticks=[], yticks=SIDE * (np.arange(len(rows)) + 0.5), yticklabels=rows)
        axes.tick_params(length=0)
        axes.hlines(SIDE * np.arange(1, len(rows)) - 0.5, *axes.get_xlim(), color="dimgray", linewidth=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--verbose", type=int, default=1, help="0 hides the progress bar")
    parser.add_argument("--quick", action="store_true", help="an epoch each, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.epochs, options.verbose = 1, 0
    return options


if __name__ == "__main__":
    main()
