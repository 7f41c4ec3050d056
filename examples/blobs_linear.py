"""Three columns through two and back: a linear autoencoder keeps what tells two groups apart.

Two blobs of points in space, scaled to [0, 1], go through a plane and back. The linear autoencoder finds the plane that
PCA finds, the groups stay apart on it, and less is lost than by leaving out any one column.

    python examples/blobs_linear.py                       a second or two
    python examples/blobs_linear.py --output FOLDER       writes FOLDER/blobs_linear.png as well
    python examples/blobs_linear.py --quick               100 steps instead of 1000
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import minmax_scale

from isthmus import Autoencoder, Training, presets


def main(arguments=None) -> None:
    options = parse(arguments)
    X, group = blobs()
    model = program(options.steps).fit(X)
    codes = model.transform(X)
    rebuilt = model.inverse_transform(codes)
    print(f"{len(X)} points: {X.shape[1]} columns to {codes.shape[1]} and back")
    print(f"k-means on the code finds the groups: {'yes' if groups_kept(codes, group) else 'no'}")
    print(f"squared error a point: {squared_error(X, rebuilt):.6f}")
    print(f"                  PCA: {pca_error(X):.6f}")
    print("  a column left out: " + ", ".join(f"{error:.6f}" for error in column_errors(X)))
    if options.output:
        print(f"wrote {draw(X, codes, rebuilt, group, options.output / 'blobs_linear.png')}")


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """100 points of two groups, each column scaled to [0, 1], (100, 3); and their group, (100,)."""
    points, group = make_blobs(100, n_features=3, centers=2, random_state=101)
    return minmax_scale(points), group


def program(steps: int = 1000, **kwargs) -> Autoencoder:
    """Linear 3-2-3, squared error, Adam; each step reads all points. Unfitted."""
    return presets.linear(
        2,
        training=Training("adam", schedule="constant"),
        learning_rate=0.01,
        batch_size=100,
        max_epochs=steps,
        **{"random_state": 0, **kwargs},
    )


def groups_kept(codes: np.ndarray, group: np.ndarray) -> bool:
    """Whether two clusters of the codes are the two groups, point for point."""
    found = KMeans(2, n_init=10, random_state=0).fit_predict(codes)
    return adjusted_rand_score(group, found) == 1


def squared_error(X: np.ndarray, rebuilt: np.ndarray) -> float:
    """Sum over the columns, mean over the points."""
    return float(np.square(X - rebuilt).sum(1).mean())


def pca_error(X: np.ndarray) -> float:
    pca = PCA(2).fit(X)
    return squared_error(X, pca.inverse_transform(pca.transform(X)))


def column_errors(X: np.ndarray) -> list[float]:
    """The error when a column is replaced by its mean, for each column: its variance."""
    return X.var(0).tolist()


def draw(X: np.ndarray, codes: np.ndarray, rebuilt: np.ndarray, group: np.ndarray, path: Path) -> Path:
    """The points, their code, and what came back."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = [("data", X), ("code", codes), ("rebuilt", rebuilt)]
    for place, (title, points) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 3, place, projection="3d" if points.shape[1] == 3 else None)
        axes.scatter(*points.T, c=group, cmap="coolwarm", s=18)
        axes.set_title(f"{title}: {points.shape[1]} numbers a point")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write the figure; nothing is written without")
    parser.add_argument("--quick", action="store_true", help="100 steps, to see that it runs")
    options = parser.parse_args(arguments)
    options.steps = 100 if options.quick else options.steps
    return options


if __name__ == "__main__":
    main()
