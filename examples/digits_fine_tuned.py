"""An encoder starts another network: a classifier of digits from few labels, which begins where an autoencoder ended.

An autoencoder learns from all training digits without labels. Then a linear layer is put on its code, at first a logistic
regression, and both learn together from 1,000 labelled digits: `model.encode` of a tensor carries gradients, and
`model.network_` is a module of PyTorch. Beside it the same network, trained alike from its first weights.

    python examples/digits_fine_tuned.py                  MNIST, some four minutes
    python examples/digits_fine_tuned.py --output FOLDER  writes FOLDER/digits_fine_tuned.png as well
    python examples/digits_fine_tuned.py --quick          a few epochs on scikit-learn's small digits
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from isthmus import Autoencoder, datasets, presets
from isthmus.parts import Mask, Warp

EPOCHS = 8
LABELS = 1000
PASSES = 40  # over the labelled digits
RATE = 1e-3


def main(arguments=None) -> None:
    options = parse(arguments)
    train, digit = pictures(f"{options.data}:train")
    test, test_digit = pictures(f"{options.data}:test")
    few, few_digit = train[: options.labels], digit[: options.labels]
    model = coder(max_epochs=options.epochs, verbose=options.verbose).fit(train)
    curves = {}
    for name, start in {"from the autoencoder": model, "from scratch": untrained(model, few)}.items():
        curves[name] = [score for *_, score in learning(start, few, few_digit, test, test_digit, options.passes)]
        print(f"{name}: {curves[name][-1]:.2%} of {len(test):,} unseen digits right, after {len(few):,} labels")
    if options.output:
        print(f"wrote {draw(curves, options.output / 'digits_fine_tuned.png')}")


def coder(n_components: int = 64, **kwargs) -> Autoencoder:
    """Rebuilds upright, whole digits from warped ones with a quarter of the places black; unfitted."""
    damage = [Warp(25.0, 0.1, 0.2, 0.3), Mask(0.25)]
    settings = {"kind": "images", "random_state": 0} | kwargs
    return presets.convolutional(n_components, channels=(16, 32), corruption=damage, **settings)


def untrained(model: Autoencoder, X) -> Autoencoder:
    """The same network with its first weights: after one step at a rate of next to nothing."""
    params = {"max_epochs": 1, "learning_rate": 1e-12, "batch_size": len(X), "verbose": 0}
    return Autoencoder(**(model.get_params(deep=False) | params)).fit(X)


def learning(start: Autoencoder, X, y, test, test_y, passes: int, seed: int = 0):
    """Trains encoder and a linear layer on labels; yields them and the share of test samples they get right, pass by pass."""
    torch.manual_seed(seed)
    encoder, head = copy.deepcopy(start), headed(start, X, y)
    optimizer = torch.optim.Adam([*encoder.network_.parameters(), *head.parameters()], RATE)
    X, y, test = torch.as_tensor(X), torch.as_tensor(y).long(), torch.as_tensor(test)
    for _ in range(passes):
        for index in torch.randperm(len(X)).split(50):
            loss = F.cross_entropy(head(encoder.encode(X[index])), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            named = torch.cat([head(encoder.encode(block)).argmax(1) for block in test.split(1000)])
        yield encoder, head, float((named.numpy() == test_y).mean())


def headed(model: Autoencoder, X, y) -> nn.Linear:
    """A linear layer that begins as the logistic regression from codes to labels: a wild one would spoil the encoder."""
    probe = LogisticRegression(C=0.1, max_iter=300).fit(model.transform(X), y)
    head = nn.Linear(model.n_components_, len(probe.classes_))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(probe.coef_))
        head.bias.copy_(torch.from_numpy(probe.intercept_))
    return head


def pictures(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels from 0 to 1, (n, height, width), and digits."""
    images, digit = datasets.load(name)
    return images.astype(np.float32) / 255, digit


def draw(curves: dict, path: Path) -> Path:
    """The share of unseen digits that is right, pass by pass."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), ("#2f7fd0", "#cf7a20"), strict=True):
        axes.plot(range(1, len(curve) + 1), curve, label=name, color=colour)
    axes.set(xlabel="passes over the labelled digits", ylabel="share right")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist or digits")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--labels", type=int, default=LABELS)
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--verbose", type=int, default=1, help="0 hides the progress bar")
    parser.add_argument("--quick", action="store_true", help="a few epochs on small digits, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.data, options.epochs, options.labels, options.passes, options.verbose = "digits", 3, 100, 3, 0
    return options


if __name__ == "__main__":
    main()
