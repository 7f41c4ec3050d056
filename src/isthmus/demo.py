"""The main job on real digits: train, compare with PCA, save, illustrate."""

import json
import sys
from pathlib import Path

from . import Autoencoder, datasets, report
from .files import folder_aside

_MARK = ".made-by-isthmus-demo"  # what tells our own folder from one that happens to have its name


def run(folder: Path, seed: int = 0) -> list[dict]:
    """Writes `folder`/model and `folder`/report.html; returns the rows of the comparison with PCA."""
    refuse_foreign(folder)
    report.require_matplotlib()  # before anything is trained
    X, y = datasets.load("digits:train")
    test_X, test_y = datasets.load("digits:test")
    print(f"Training on {len(X)} scanned digits of {X.shape[1]} x {X.shape[2]} pixels.", file=sys.stderr)
    model = Autoencoder(8, random_state=seed, verbose=2).fit(X, validation=test_X)
    plane = Autoencoder(2, random_state=seed, verbose=2).fit(X)
    with folder_aside(folder, replace=True) as aside:
        model.save(aside / "model")
        study = report.Study(model, test_X, test_y, X, y, map_model=plane)
        report.write_study(study, aside / "report.html", title="Scanned digits, squeezed")
        (aside / _MARK).write_text(json.dumps({"seed": seed}))
    return study.rows


def refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / _MARK).is_file():
        raise FileExistsError(f"{folder} exists and was not made by the demo, so it is not replaced. Choose another: -o NAME.")
