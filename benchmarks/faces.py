"""New faces that look like faces.

4,000 pictures of CelebA (Liu et al. 2015), 800 persons of 5, cut in the middle and brought to 64 x 64, split by person: the first
300 teach the judge, 300 the models, 200 are the test (--validate: the last 100 of those who taught the models stand in for them).
The judge is a small convolutional network that was taught to tell its 300 persons apart, without ever seeing the others; the
Frechet distance is that of its 64 features, between as many new faces as were trained on and the test faces. Precision: the share
of new faces within the reach of real ones, recall: of test faces within the reach of new ones, a face's reach being its distance
to its third nearest (Kynkäänniemi et al. 2019). "PCA + mixture": ten Gaussians fitted to the scores of 50, or of 128 components,
whichever comes nearer. "real faces": those that were trained on; no model can be expected to come nearer. "rebuilt": test faces
as the model rebuilds them. "copies": the share of new faces that are nearer to one trained on than all but 1 % of the test faces.

The licence of the pictures forbids to show them: they are only measured here.
"""

import io
import zipfile
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from torch import nn

from isthmus.apps import Generator
from isthmus.apps.generate import resized

from .data import checksum, file
from .judge import frechet
from .record import Row, Watch

SIDE = 64
JUDGED_BY, TAUGHT, LAST = 300, 600, 800  # persons, in their order
EPOCHS, BATCH = 60, 64  # of the judge
CUT = 20  # pixels of the sides of a picture of 178 x 218 that show no face


def rows(options):
    X, person = faces(options.quick)
    groups = np.searchsorted([JUDGED_BY, TAUGHT], person, "right")
    if options.quick:
        groups = person * 3 // (person.max() + 1)
    if options.validate:
        groups = np.where(groups == 2, 3, np.where((groups == 1) & (person >= TAUGHT - 100), 2, groups))
    train, test = X[groups == 1], X[groups == 2]
    judge = trained_judge(X[groups == 0], person[groups == 0], 1 if options.quick else EPOCHS)
    real, seen = features(judge, test), features(judge, train)
    baseline = {"real faces": frechet(seen, real)}
    by_pca = {k: drawn_by_pca(train, k) for k in ((4,) if options.quick else (50, 128))}
    baseline |= {f"PCA-{k} + mixture": frechet(features(judge, drawn), real) for k, drawn in by_pca.items()}
    best = min(value for name, value in baseline.items() if name.startswith("PCA"))
    for seed in options.seeds:
        generator = Generator({"max_epochs": 1} if options.quick else None, random_state=seed)
        with Watch() as watch:
            generator.fit(train)
        new = generator.sample(len(train), random_state=seed)
        made = features(judge, new)
        also = {"precision": within(made, real), "recall": within(real, made)}
        also |= {f"{name} of PCA": value for name, value in reach_of_pca(judge, by_pca, real, baseline).items()}
        also |= {"rebuilt": frechet(features(judge, generator.model_.reconstruct(test)), real)}
        also |= {"copies": generator.evaluate(test, random_state=seed)["copies"]}
        yield Row(
            "faces: distance of new faces", frechet(made, real), "Frechet distance", {"at_most": 0.6 * best}, baseline,
            also=also, settings={"model": repr(generator.model_)}, seed=seed, data={"CelebA-4000": checksum(X, person)},
            cost=watch.cost(),
        )  # fmt: skip


def faces(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """(n, 64, 64, 3) uint8, and whose face each is, from 0."""
    with zipfile.ZipFile(file("faces/celeba-4000.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[: 120 if quick else None]
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    X = np.stack([resized(one[CUT + 20 : -CUT - 20, CUT:-CUT], (SIDE, SIDE)) for one in pictures])
    persons = [int(name.rpartition("/")[2].partition("_")[0]) for name in names]
    return X, np.unique(persons, return_inverse=True)[1]


def drawn_by_pca(train: np.ndarray, components: int) -> np.ndarray:
    """As many new faces as there are."""
    rows = train.reshape(len(train), -1).astype(np.float64) / 255
    pca = PCA(components, svd_solver="randomized", random_state=0).fit(rows)
    mixture = GaussianMixture(min(10, len(rows) // 10), random_state=0, reg_covar=1e-5).fit(pca.transform(rows))
    drawn = pca.inverse_transform(mixture.sample(len(rows))[0]).clip(0, 1)
    return (255 * drawn).round().astype(np.uint8).reshape(train.shape)


def reach_of_pca(judge, by_pca: dict, real: np.ndarray, baseline: dict) -> dict[str, float]:
    nearer = min(by_pca, key=lambda k: baseline[f"PCA-{k} + mixture"])
    made = features(judge, by_pca[nearer])
    return {"precision": within(made, real), "recall": within(real, made)}


def within(these: np.ndarray, those: np.ndarray, k: int = 3) -> float:
    """The share of these that lie within the reach of any of those."""
    reach = NearestNeighbors(n_neighbors=k + 1).fit(those).kneighbors(those)[0][:, -1]
    return float(np.mean([(np.linalg.norm(those - one, axis=1) <= reach).any() for one in these]))


# ------------------------------------------------------------------------------------------------------ judge


class Judge(nn.Module):
    """Four convolutions and a layer of 64 features, which tell persons apart."""

    def __init__(self, persons: int):
        super().__init__()
        widths = (3, 24, 48, 64, 64)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 64))
        self.head = nn.Linear(64, persons)

    def forward(self, pictures):
        return self.head(self.features(pictures).relu())


def trained_judge(X: np.ndarray, person: np.ndarray, epochs: int) -> Judge:
    torch.manual_seed(0)
    _, person = np.unique(person, return_inverse=True)
    judge, values, whose = Judge(int(person.max()) + 1), as_tensor(X), torch.as_tensor(person)
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * -(-len(X) // BATCH))
    for _ in range(epochs):
        for index in torch.randperm(len(X)).split(BATCH):
            shown = torch.where(torch.rand(len(index), 1, 1, 1) < 0.5, values[index].flip(3), values[index])
            loss = F.cross_entropy(judge(shown), whose[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


@torch.no_grad()
def features(judge: Judge, X: np.ndarray) -> np.ndarray:
    return np.concatenate([judge.features(block).numpy() for block in as_tensor(X).split(250)]).astype(np.float64)


def as_tensor(X: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.moveaxis(X, -1, 1) / np.float32(127.5) - 1)
