"""Forecasts of text and other symbols: the next ones, or a whole sequence that answers another."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from .. import Autoencoder
from ..data import Sentences
from ..parts import Dense, Recurrent
from ..parts.ranges import listed
from ..sentences import edit_distance

STEPS = 2000  # of training
MOST_WINDOWS = 50_000  # that are learnt from
MOST_HELD_OUT = 500  # sentences that methods are compared on
MOST_SYMBOLS = 128  # of sequences that are no text: a byte each


@dataclass
class Texts:
    """Sentences; of sequences of other symbols each is written as one character, whose place in `alphabet` it is."""

    values: list[str]
    alphabet: list[str] | None = None
    names: list | None = None

    def __len__(self) -> int:
        return len(self.values)

    def called(self, place: int) -> str:
        return str(place)

    def said(self, place: int) -> str:
        """What a sentence says, symbols between blanks."""
        return self.values[place] if self.alphabet is None else " ".join(self.symbols(self.values[place]))

    def symbols(self, text: str) -> list[str]:
        return [(self.alphabet or [])[ord(one)] for one in text if ord(one) < len(self.alphabet or [])]

    def only(self, places) -> "Texts":
        return replace(self, values=[self.values[place] for place in places])


@dataclass
class TextForecasts:
    """How text is cut into the symbols that are read and those that must come out."""

    horizon: Any
    window: Any
    season: int = 1
    quantiles: tuple[float, ...] = ()
    composite: bool = False
    alphabet: list[str] | None = None
    counts: dict[str, str] = field(default_factory=dict)  # what most often follows each symbol; under "", the commonest of all

    kind, step = "text", "symbol"
    unit = "share of wrong symbols"
    plain_methods = ("commonest_next", "commonest", "last_symbol")
    members = 1

    # ------------------------------------------------------------------------------------------------- learn

    def read(self, X) -> Texts:
        return read_texts(X, self.alphabet)

    def settle(self, texts: Texts, held_out: bool) -> None:
        self.alphabet, self.season = texts.alphabet, 1
        self.horizon = 1 if self.horizon == "auto" else self.horizon
        longest = max(map(len, texts.values))
        self.window = max(1, min(16, longest - self.horizon)) if self.window == "auto" else int(listed(self.window)[0])
        if longest <= self.horizon:
            raise ValueError(
                f"The longest sentence has {longest} symbols, so a horizon of {self.horizon} leaves nothing to read. Give longer "
                "ones, or a shorter horizon."
            )

    def parted(self, texts: Texts) -> tuple[Texts, Texts, list[str]]:
        """Sentences to learn from; others whose end was taken away, and these ends. Of fewer than twenty all are cut."""
        long = [place for place, one in enumerate(texts.values) if len(one) > self.horizon]
        if len(texts) < 20:
            known = replace(texts, values=[one[: -self.horizon] for one in texts.only(long).values])
            return known, known, [texts.values[place][-self.horizon :] for place in long]
        aside = [
            long[at] for at in np.linspace(0, len(long) - 1, min(MOST_HELD_OUT, max(1, len(long) // 10))).round().astype(int)
        ]
        held, rest = texts.only(aside), texts.only(sorted(set(range(len(texts))) - set(aside)))
        return rest, replace(held, values=[one[: -self.horizon] for one in held.values]), [
            one[-self.horizon :] for one in held.values
        ]  # fmt: skip

    def pairs(self, texts: Texts, place: int) -> tuple[list[str], list[str]]:
        """Sources, up to `window` symbols each, and the `horizon` symbols that follow; half of the sources are shorter, so that
        short ones are known too."""
        self.counts = commonest_next(texts.values)
        ends = [
            (number, end) for number, one in enumerate(texts.values) for end in range(1, len(one) - self.horizon + 1)
        ]  # fmt: skip
        if not ends:
            raise ValueError(
                f"No sentence is longer than the horizon of {self.horizon} once its end is held out. Give longer ones, or set "
                "held_out=False."
            )
        chosen = np.unique(np.linspace(0, len(ends) - 1, min(MOST_WINDOWS, len(ends))).round().astype(int))
        lengths = np.random.default_rng(0).integers(1, self.window + 1, len(chosen))
        sources, targets = [], []
        for at, shorter in zip(chosen, lengths.tolist(), strict=True):
            number, end = ends[at]
            for length in (self.window, shorter):
                sources.append(texts.values[number][max(0, end - length) : end])
                targets.append(texts.values[number][end : end + self.horizon])
        return sources, targets

    def model(self, place: int, count: int) -> Autoencoder:
        batch_size = 2 ** max(5, min(9, round(math.log2(max(count, 1) / 8))))
        epochs = math.ceil(STEPS / math.ceil(count / batch_size))
        return Autoencoder(64, architecture=Dense((256,)), batch_size=batch_size, max_epochs=epochs)

    def required(self, model: Autoencoder, source) -> dict:
        return {"kind": "text"}

    # ---------------------------------------------------------------------------------------------- forecast

    def forecast(self, models: list, texts: Texts, horizon: int) -> list[str]:
        """What follows each sentence, as many symbols at a time as the model was trained for."""
        found = [""] * len(texts)
        for _ in range(math.ceil(horizon / self.horizon)):
            past = [self._read(one + new) for one, new in zip(texts.values, found, strict=True)]
            found = [new + more for new, more in zip(found, models[0].reconstruct(past), strict=True)]
        return [one[:horizon] for one in found]

    def _read(self, text: str) -> str:
        """The last symbols, no more than the model has room for."""
        return text[-self.window :]

    def plain(self, method: str, texts: Texts, horizon: int) -> list[str]:
        found = []
        for one in texts.values:
            next_one = ""
            for _ in range(horizon):
                last = (one + next_one)[-1:]
                next_one += {
                    "last_symbol": last, "commonest": self.counts[""], "commonest_next": self.counts.get(last, self.counts[""]),
                }[method]  # fmt: skip
            found.append(next_one)
        return found

    def given_back(self, texts: Texts, found: list[str]) -> Any:
        return found if self.alphabet is None else [texts.symbols(one) for one in found]

    @staticmethod
    def spoken(found) -> str:
        return found if isinstance(found, str) else " ".join(found)

    def check(self, texts: Texts) -> None:
        """Any sentence that is not empty can be continued."""
        empty = [place for place, one in enumerate(texts.values) if not one]
        if empty:
            raise ValueError(f"Sentence {empty[0]} is empty, so there is nothing to forecast from. Leave it out.")

    # --------------------------------------------------------------------------------------------- judgement

    def figures(self, found: list[str], truth: list[str], past: Texts) -> dict[str, float]:
        """The share of symbols that are others than they should be."""
        pairs = zip(found, truth, strict=True)
        return {
            "error": float(np.mean([np.mean([a != b for a, b in zip(one.ljust(len(w)), w, strict=False)]) for one, w in pairs]))
        }

    # ------------------------------------------------------------------------------------------------- files

    def state(self) -> dict:
        return {"horizon": self.horizon, "window": self.window, "alphabet": self.alphabet, "counts": self.counts}

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def restore(cls, state: dict, tensors: dict[str, np.ndarray]) -> "TextForecasts":
        return cls(state["horizon"], state["window"], alphabet=state["alphabet"], counts=state["counts"])


@dataclass
class TextAnswers:
    """Whole sentences that answer others, such as their translation, of any length: sequence to sequence.

    Source: Sutskever, Vinyals & Le 2014, "Sequence to sequence learning with neural networks": one network reads a sentence into
    a code, another writes the answer from it token by token.
    """

    answers: Any = None  # of fit, while it runs
    commonest: str = ""
    horizon: int = 1
    window: int = 1
    season: int = 1

    kind, step = "answers", "answer"
    unit = "character error rate"
    plain_methods = ("copy", "commonest")
    members = 1
    composite = False

    def read(self, X) -> Texts:
        return Texts(Sentences.check(X).tolist())

    def settle(self, texts: Texts, held_out: bool) -> None:
        if len(self.answers) != len(texts):
            raise ValueError(
                f"target has {len(self.answers)} sentences, but X has {len(texts)}: one answer for each is expected."
            )
        if held_out and len(texts) < 20:
            raise ValueError(f"{len(texts)} sentences are too few to hold some out. Give 20 or more, or set held_out=False.")

    def parted(self, texts: Texts) -> tuple[Texts, Texts, list[str]]:
        """Pairs to learn from; sentences of others, and their answers."""
        aside = np.linspace(0, len(texts) - 1, min(MOST_HELD_OUT, max(1, len(texts) // 10))).round().astype(int)
        truth = self.answers.only(aside).values
        rest = np.setdiff1d(np.arange(len(texts)), aside)
        self.answers = self.answers.only(rest)
        return texts.only(rest), texts.only(aside), truth

    def pairs(self, texts: Texts, place: int) -> tuple[list[str], list[str]]:
        self.commonest = Counter(self.answers.values).most_common(1)[0][0]
        answers, self.answers = self.answers.values, None
        return texts.values, answers

    def model(self, place: int, count: int) -> Autoencoder:
        batch_size = 2 ** max(5, min(7, round(math.log2(max(count, 1) / 8))))
        architecture = Recurrent(256, cell="gru", bidirectional=True, teacher_forcing=True)
        return Autoencoder(256, architecture=architecture, batch_size=batch_size, max_epochs=max(5, 4000 * batch_size // count))

    def required(self, model: Autoencoder, source) -> dict:
        return {} if getattr(model.kind, "kind", model.kind) == "text" else {"kind": "text"}

    def forecast(self, models: list, texts: Texts, horizon: int) -> list[str]:
        return models[0].reconstruct(texts.values)

    def plain(self, method: str, texts: Texts, horizon: int) -> list[str]:
        return list(texts.values) if method == "copy" else [self.commonest] * len(texts)

    def given_back(self, texts: Texts, found: list[str]) -> list[str]:
        return found

    @staticmethod
    def spoken(found: str) -> str:
        return found

    def check(self, texts: Texts) -> None:
        """Any sentence can be answered."""

    def figures(self, found: list[str], truth: list[str], past: Texts) -> dict[str, float]:
        """Characters to be inserted, deleted or exchanged, over those of the answers."""
        edits = sum(edit_distance(one, wanted) for one, wanted in zip(found, truth, strict=True))
        return {"error": edits / max(1, sum(map(len, truth)))}

    def state(self) -> dict:
        return {"commonest": self.commonest}

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def restore(cls, state: dict, tensors: dict[str, np.ndarray]) -> "TextAnswers":
        return cls(commonest=state["commonest"])


# --------------------------------------------------------------------------------------------------- helpers


def read_texts(X, alphabet: list[str] | None = None) -> Texts:
    """Sentences, or lists of symbols, each a text; `alphabet`: the symbols of `fit`, which no other may be among."""
    if not (isinstance(X, list | tuple) and len(X) and all(isinstance(one, list | tuple) for one in X)):
        if alphabet is not None:
            raise ValueError("This model was fitted to sequences of symbols. Give a list of lists of texts, one text a symbol.")
        return Texts(Sentences.check(X).tolist())
    known = alphabet if alphabet is not None else sorted({str(symbol) for one in X for symbol in one})
    if len(known) > MOST_SYMBOLS:
        raise ValueError(
            f"There are {len(known)} different symbols, but {MOST_SYMBOLS} at most can be read. Join rare ones into one, or "
            "write the sequences as sentences."
        )
    place = {symbol: chr(at) for at, symbol in enumerate(known)}
    strange = sorted({str(symbol) for one in X for symbol in one} - set(known))
    if strange:
        raise ValueError(f"{strange[0]!r} is no symbol that was there in fit. Leave such sequences out, or fit to them too.")
    return Texts(["".join(place[str(symbol)] for symbol in one) for one in X], known)


def commonest_next(texts: list[str]) -> dict[str, str]:
    """What most often follows each symbol, and under "" the commonest of all."""
    after: dict[str, Counter] = defaultdict(Counter)
    for text in texts:
        for symbol, next_one in pairwise(text):
            after[symbol][next_one] += 1
    every = Counter("".join(texts))
    return {"": every.most_common(1)[0][0]} | {symbol: found.most_common(1)[0][0] for symbol, found in after.items()}
