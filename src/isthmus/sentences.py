"""How well a model of text gives sentences back: figures that are read together, for none of them means much alone."""

import math

import numpy as np

from .data import KINDS, as_array, open_data

_LEVELS = {"int8": 127, "int16": 32767, "float32": None}  # on either side of zero
COLUMNS = {
    "exact": ("exact match", "{:.1%}".format),
    "error": ("character error", "{:.2%}".format),
    "bits": ("bits a character", "{:.3g}".format),
    "numbers": ("numbers a sentence", "{:,}".format),
}


def text_figures(model, X, *, dtype="int8", train=None, condition=None, train_condition=None, random_state=0) -> list[dict]:
    """Sentences decoded from their stored codes, beside the control: from the codes of other sentences.

        error = sum_i edits(x_i, decoded_i) / sum_i characters in x_i        edits: insertions, deletions, exchanges at least

    A decoder that ignores the code and writes likely sentences does as well on the control as on the codes themselves.

    Parameters
    ----------
    model : fitted Autoencoder of text
    X : list of str, or what else text comes as; best unseen
    dtype : "int8", "int16" or "float32", default "int8"
        What a number of a code is stored as: whole numbers of steps of s_j / 127 (of int8), s_j the largest |z_j| of the codes of
        `train`. Codes of a quantised bottleneck are stored as the indices that they are.
    train : like X, default X itself; where the scale is taken from
    condition, train_condition : default None; what a model that was fitted with a condition is told of `X` and of `train`
    random_state : int, default 0; how the codes are exchanged

    Returns
    -------
    list of two dict, "autoencoder" and "codes exchanged" as method, with the keys
        exact : share of the sentences that come back as they were
        error : character error rate; above 1 where more is edited than there was
        bits : of code a character
        numbers : in a code;   stored : what a number is stored as;   sentences : how many were judged

    >>> from isthmus import Autoencoder
    >>> model = Autoencoder(8, max_epochs=100, random_state=0).fit(["a dog", "a cat", "two men", "rain"] * 8)
    >>> [(row["exact"], row["error"] > 0.5) for row in text_figures(model, ["a dog", "rain"])]
    [(1.0, False), (0.0, True)]
    """
    if model.schema_.kind != "text" or model.target_schema_.kind != "text":
        raise ValueError(
            f"These figures are those of text, but this model was fitted to {model.schema_.kind}. Use report.compare."
        )
    if dtype not in _LEVELS:
        raise ValueError(f"dtype={dtype!r} is not known. Choose {', '.join(map(repr, _LEVELS))}.")
    sentences = KINDS["text"].check(open_data(X, "text")[0]).tolist()
    codes = as_array(model.transform(sentences, condition))
    learnt = codes if train is None else as_array(model.transform(train, train_condition))
    stored, bits, name = stored_codes(model, codes, learnt, dtype)
    characters = max(sum(map(len, sentences)), 1)
    rows = []
    for method, order in (("autoencoder", np.arange(len(codes))), ("codes exchanged", exchange(len(codes), random_state))):
        decoded = model.inverse_transform(stored[order], condition)
        edits = sum(map(edit_distance, sentences, decoded))
        rows.append({
            "method": method,
            "exact": float(np.mean([a == b for a, b in zip(sentences, decoded, strict=True)])),
            "error": edits / characters,
            "bits": bits * len(codes) / characters,
            "numbers": codes.shape[1],
            "stored": name,
            "sentences": len(sentences),
        })  # fmt: skip
    return rows


def figures_as_text(rows: list[dict]) -> str:
    """The rows of `text_figures` for a terminal."""
    lines = [["method", *(heading for heading, _ in COLUMNS.values())]]
    lines += [[row["method"], *(form(row[name]) for name, (_, form) in COLUMNS.items())] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, f"{rows[0]['sentences']:,} sentences; codes stored as {rows[0]['stored']}"])


def stored_codes(model, codes: np.ndarray, learnt: np.ndarray, dtype: str) -> tuple[np.ndarray, float, str]:
    """The codes as they are read again, the bits of one, and what they are stored as."""
    bottleneck = model.network_.bottleneck
    if hasattr(bottleneck, "from_index"):
        return codes, math.prod(bottleneck.index_shape) * math.log2(bottleneck.entries), f"one of {bottleneck.entries:,} entries"
    return rounded(codes, learnt, dtype), float(codes.shape[1] * np.dtype(dtype).itemsize * 8), dtype


def rounded(codes: np.ndarray, learnt: np.ndarray, dtype: str) -> np.ndarray:
    """The codes as whole numbers of steps, of which the largest of `learnt` is 127 (of int8)."""
    levels = _LEVELS[dtype]
    if levels is None:
        return codes
    scale = np.abs(learnt).max(0)
    step = np.where(scale > 0, scale, 1.0) / levels
    return (np.clip(np.round(codes / step), -levels, levels) * step).astype(codes.dtype)


def exchange(count: int, seed: int) -> np.ndarray:
    """An order in which no sample keeps its place, where there are two or more."""
    order = np.random.default_rng(seed).permutation(count)
    others = np.empty(count, dtype=int)
    others[order] = np.roll(order, 1)
    return others


def edit_distance(a: str, b: str) -> int:
    """Insertions, deletions and exchanges of characters, at least, that make `b` of `a` (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc"), edit_distance("狗在跑", "狗跑")
    (3, 3, 1)
    """
    if a == b or not a or not b:
        return 0 if a == b else max(len(a), len(b))
    theirs = np.array(list(b))
    place = np.arange(len(b) + 1)
    row = place  # edits from the empty beginning of a to every beginning of b
    for count, character in enumerate(a, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (theirs != character))  # delete it, or exchange it
        row = np.minimum.accumulate(np.concatenate([[count], changed]) - place) + place  # or insert what is missing
    return int(row[-1])
