"""Sentences through a code of 64 numbers of a byte each, and back.

Multi30k's English captions of up to 64 bytes: 18,399 of them to learn from, those of test_2016_flickr to be judged by. Exact
match: the share of the sentences that come back as they were. Character error: edits a character. Exchanged: the same where
every sentence is decoded from another one's code. Beside it, PCA of windows of 64 x 257 ones and zeros with as many components,
each stored as a byte, the likeliest token at each step. A local code has its numbers at every step, read from a few steps
around it; it spells rather than understands. A code of all steps together is what search and maps of sentences need, and the
same 64 numbers spell worse then; that row was not tuned. Sizes, rates and epochs of the others were chosen on the validation
part. A code of 64 bytes holds more bits than the letters themselves: the rows show what is lost on the way, not a compression.
"""

import gzip

import numpy as np
from sklearn.decomposition import PCA

from isthmus import Autoencoder, Text
from isthmus.parts import FiniteScalar, Local, Plain
from isthmus.sentences import edit_distance, rounded, text_figures

from .data import checksum, file
from .record import Row, Watch

SEEDS = 1
LONGEST = 64
TOKENS = 257
OURS = {
    "64 int8": {"n_components": None, "architecture": Local(64), "bottleneck": FiniteScalar((255,)), "max_epochs": 8},
    "256 int8": {
        "n_components": None, "architecture": Local(64, numbers=4), "bottleneck": Plain("tanh"), "max_epochs": 4,
    },
    "64 int8, one code of all steps": {"n_components": 64, "architecture": Local(192, stride=4), "max_epochs": 8},
}  # fmt: skip
GOALS = {"64 int8": ({"at_least": 0.9}, {"at_most": 0.005})}


def rows(options):
    train, test = (sentences(part, options.quick) for part in ("train", "val" if options.validate else "test_2016_flickr"))
    beside = {count: pca(train, test, count) for count in (64, 256)}
    for name, settings in OURS.items():
        for seed in options.seeds:
            yield from of_code(name, settings | ({"max_epochs": 1} if options.quick else {}), train, test, seed, beside)


def of_code(name: str, settings: dict, train: list[str], test: list[str], seed: int, beside: dict):
    model = Autoencoder(kind=Text(longest=LONGEST), batch_size=64, learning_rate=0.02, random_state=seed, **settings)
    with Watch() as watch:
        model.fit(train)
    ours, control = text_figures(model, test, train=train)
    exact, error = beside[ours["numbers"]]
    shared = {
        "settings": {"model": repr(model)}, "seed": seed, "cost": watch.cost(),
        "data": {"multi30k": checksum(np.array(train), np.array(test))},
    }  # fmt: skip
    goals = GOALS.get(name, ({}, {}))
    also = {"exchanged": control["exact"], "bits of code a character": ours["bits"]}
    yield Row(f"{name}: exact match", ours["exact"], "share", goals[0], {"PCA": exact}, also=also, **shared)
    also = {"exchanged": control["error"]}
    yield Row(f"{name}: character error", ours["error"], "edits a character", goals[1], {"PCA": error}, also=also, **shared)


def sentences(part: str, quick: bool) -> list[str]:
    """The English sentences of a part that are no longer than 64 bytes."""
    with gzip.open(file(f"text/multi30k/{part}.en.gz"), "rt", encoding="utf-8") as opened:
        found = [line.strip() for line in opened.read().split("\n")]
    found = [text for text in found if text and len(text.encode()) <= LONGEST]
    return found[: 300 if quick else None]


def pca(train: list[str], test: list[str], count: int) -> tuple[float, float]:
    """Exact match and character error of PCA with `count` components, stored as bytes."""
    known, new = windows(train), windows(test)
    used = np.unique(known)
    held = PCA(min(count, len(train)), svd_solver="randomized", random_state=0)
    codes = held.fit_transform(ones(known, used))
    found = held.inverse_transform(rounded(held.transform(ones(new, used)), codes, "int8")).reshape(len(new), LONGEST, -1)
    decoded = [text_of(row) for row in used[found.argmax(2)]]
    edits = sum(map(edit_distance, test, decoded))
    return float(np.mean([a == b for a, b in zip(test, decoded, strict=True)])), edits / sum(map(len, test))


def windows(texts: list[str]) -> np.ndarray:
    """(n, 64) bytes, with the end behind them."""
    values = np.full((len(texts), LONGEST), TOKENS - 1)
    for row, text in zip(values, texts, strict=True):
        row[: len(text.encode())] = list(text.encode())
    return values


def ones(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(n, 64 * tokens) ones among zeros, of the tokens that occur in training: the others' columns never change there."""
    return (values[..., None] == used).astype(np.float32).reshape(len(values), -1)


def text_of(row: np.ndarray) -> str:
    ends = np.flatnonzero(row == TOKENS - 1)
    return bytes(row[: ends[0] if len(ends) else None].tolist()).decode("utf-8", errors="replace")
