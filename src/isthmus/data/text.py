"""Text: a list of sentences, read as bytes of UTF-8 or as tokens that are learnt, and written as sentences again."""

import codecs
import json
import math
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import torch
from torch import Tensor

from ..records import Data
from .damaged import OnError, check_choice, readable
from .folders import walked
from .schema import Rows, Schema

BYTES = 256
SUFFIXES = (".txt", ".jsonl")


class Sentences(Schema):
    """Sentences of up to `steps` tokens. The last token means the end; a sentence that fills all steps is not followed by it.

    Every sentence is read in a window of the same size, so that networks of any kind can read it; what lies behind its end
    has the weight 0. `words` is the learnt vocabulary as tokenizers writes it (JSON), or None: every byte is a token.
    """

    kind = "text"
    axes = 1
    keeps_length = False
    endings = SUFFIXES
    shares: Tensor | None = None  # of every token, while a model is fitted

    def __init__(self, shape, dtype, center=0.0, scale=1.0, constant=math.nan, words=None):
        super().__init__(shape, dtype, center, scale, constant)
        self.words = words
        self.vocabulary = None if words is None else tokenizers().Tokenizer.from_str(words)
        self.tokens = 1 + (BYTES if self.vocabulary is None else self.vocabulary.get_vocab_size())
        self.end = self.tokens - 1

    # -------------------------------------------------------------------------------------------------- in

    @classmethod
    def check(cls, X) -> np.ndarray:
        """(n,) sentences, as an array of objects."""
        texts = texts_of(X)
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(
                    f"Sentence {place} is {text!r}, of type {type(text).__name__}; text is a list of str. Convert it, or leave "
                    "it out."
                )
        if not texts:
            raise ValueError("X is empty: 0 sentences. At least one is needed.")
        sentences = np.empty(len(texts), dtype=object)
        sentences[:] = texts
        return sentences

    @classmethod
    def learn(cls, X, scaling="auto", weight=None, tokens="bytes", size=2000, longest=None):
        """`tokens`: "bytes", or "bpe" for `size` tokens learnt from `X`; `longest`: tokens in the longest sentence to be read."""
        if scaling not in ("auto", "none"):
            raise ValueError(f"scale={scaling!r}: tokens are not scaled. Use scale='auto'.")
        words = learnt_vocabulary(X.tolist(), size) if tokens == "bpe" else None
        schema = cls((longest or 1,), "str", words=words)
        rows = schema.tokens_of(X)
        schema.shape = (longest or max(1, *(len(row) for row in rows)),)
        counts = np.ones(schema.tokens)
        for row, times in zip(rows, np.ones(len(rows)) if weight is None else weight, strict=True):
            counts += times * np.bincount(row[: schema.shape[0]], minlength=schema.tokens)
            counts[schema.end] += times * (len(row) < schema.shape[0])
        schema.shares = torch.from_numpy(counts / counts.sum())
        return schema

    def check_shape(self, X) -> None:
        """Every list of sentences has the right form; how long they are is seen when they are read."""

    def rows(self, X) -> Rows:
        """The tokens, (n, steps), as whole numbers."""
        steps, rows = self.shape[0], self.tokens_of(X)
        values = np.full((len(rows), steps), self.end, np.int16 if self.tokens < 2**15 else np.int32)
        for place, row in enumerate(rows):
            if len(row) > steps:
                raise ValueError(self.too_long(place, X[place], len(row)))
            values[place, : len(row)] = row
        return Rows(self, torch.from_numpy(values))

    def tokens_of(self, X) -> list[np.ndarray]:
        if self.vocabulary is None:
            return [np.frombuffer(encoded(text, place), np.uint8) for place, text in enumerate(X)]
        found = self.vocabulary.encode_batch([encoded(text, place).decode() for place, text in enumerate(X)])
        return [np.array(one.ids, dtype=np.int64) for one in found]

    def too_long(self, place: int, text: str, count: int) -> str:
        size = len(text.encode())
        learnt = "" if self.vocabulary is None else f" ({count} tokens)"
        unit = "bytes" if self.vocabulary is None else "tokens"
        return (
            f"Sentence {place} is {size} bytes long{learnt}, but this model reads up to {self.shape[0]} {unit}: "
            f"{text[:40]!r}... Cut it, by isthmus.data.cut(X, {self.shape[0]}) for instance, leave it out, or fit with "
            "longer sentences."
        )

    def data(self, values: Tensor) -> Data:
        tokens = values.long()
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        last = torch.where(tokens == self.end, steps, tokens.shape[1] - 1).amin(1)  # the end itself is to be rebuilt
        return Data(tokens, (steps <= last[:, None]).to(values.dtype), last + 1)

    def scaled_mean(self) -> Tensor:
        """The shares of the tokens, (steps, tokens), from which an output begins."""
        if self.shares is None:
            raise ValueError("Shares are there while a model is fitted; they are not stored.")
        return self.shares.expand(*self.shape, -1)

    def scaled_range(self):
        return -math.inf, math.inf

    @property
    def size(self) -> int:
        """Numbers in a sample: one for every token that each step may hold."""
        return self.shape[0] * self.tokens

    # ------------------------------------------------------------------------------------------------- out

    def write(self, values: Tensor) -> Tensor:
        return values

    def give_back(self, values: Tensor, like) -> list[str]:
        """Sentences, up to the first end; bytes that are no UTF-8 become the replacement character."""
        texts = []
        for row in values.long().cpu().numpy():
            ends = np.flatnonzero(row == self.end)
            row = row[: ends[0]] if len(ends) else row
            if self.vocabulary is None:
                texts.append(row.astype(np.uint8).tobytes().decode("utf-8", errors="replace"))
            else:
                texts.append(self.vocabulary.decode(row.tolist()))
        return texts

    def write_file(self, file, values, ending) -> None:
        file.write(written_text(values, ending))

    def config(self) -> dict:
        return super().config() | {"words": self.words}


def cut(sentences, longest: int) -> list[str]:
    """The sentences, each cut to `longest` bytes at most, between two characters.

    >>> cut(["short", "ein schöner Tag", "长城"], 6)
    ['short', 'ein sc', '长城']
    """
    return [text.encode()[:longest].decode("utf-8", errors="ignore") for text in Sentences.check(sentences)]


# ------------------------------------------------------------------------------------------------------ reading


def is_text(X) -> bool:
    """Whether this is a list or a column of str."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(isinstance(text, str) for text in X)
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and len(X) > 0 and (X.dtype.kind in "UT" or (X.dtype == object and isinstance(X[0], str)))
    series = series_of(X)
    return series is not None and series.dtype == nw.String


def texts_of(X) -> list:
    """The items of a list, an array, a column, or a frame of one column."""
    if isinstance(X, str):
        raise ValueError(f"X is one sentence, {X[:40]!r}; text is a list of them. Pass [X].")
    series = series_of(X)
    if series is not None:
        return series.to_list()
    frame: Any = nw.from_native(X, pass_through=True, eager_only=True)
    if isinstance(frame, nw.DataFrame):
        if len(frame.columns) != 1:
            raise ValueError(f"Text is one column, but this frame has {len(frame.columns)}. Pass the column: X['text'], say.")
        return frame[frame.columns[0]].to_list()
    if isinstance(X, np.ndarray) and X.ndim == 1:
        return X.tolist()
    if not isinstance(X, list | tuple):
        shape = f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else ""
        raise ValueError(f"Text is a list of str, or a column of them; got {type(X).__name__}{shape}.")
    return [str(text) if isinstance(text, np.str_) else text for text in X]


def series_of(X) -> nw.Series | None:
    """A column of pandas, polars or pyarrow, as narwhals sees it."""
    if isinstance(X, list | tuple | np.ndarray | Tensor | str):
        return None
    seen = nw.from_native(X, allow_series=True, pass_through=True)
    return seen if isinstance(seen, nw.Series) else None


def read_text(path: Path, on_error: OnError = "raise") -> list[str]:
    """The sentences of a file: .txt holds one a line, .jsonl an object a line with the key "text" (or one other that is text).

    Of a folder, those of all such files, in the order of their names. Under "skip" lines that cannot be read are left out, with
    a warning that names them.
    """
    check_choice(on_error)
    if path.is_dir():
        if not text_files(path):
            raise ValueError(f"{path} holds no text. Files that end in {' or '.join(SUFFIXES)} are looked for.")
        return [text for file in text_files(path) for text in read_text(file, on_error)]
    lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    numbered = list(enumerate(lines[:-1] if lines[-1] == b"" else lines, 1))
    if path.suffix.lower() == ".jsonl":
        numbered = [(place, line) for place, line in numbered if line.strip()]

    def read(line: tuple[int, bytes]) -> str:
        return text_in(line[1], path, line[0])

    return [text for _, text in readable("lines", path, numbered, lambda line: f"line {line[0]}", read, on_error)]


def text_files(folder: Path) -> list[Path]:
    """The files of text in a folder and the folders in it, sorted; hidden ones are left out."""
    return sorted(map(Path, walked(folder, SUFFIXES)))


def text_in(content: bytes, path: Path, place: int) -> str:
    """The sentence in a line."""
    try:
        line = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not written in UTF-8, first in line {place}. Save it as text in UTF-8.") from error
    if path.suffix.lower() != ".jsonl":
        return line.removesuffix("\r")
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {place}, is no JSON ({error}). Every line of a .jsonl file holds an object.") from error
    if isinstance(record, str):
        return record
    texts = [key for key, value in record.items() if isinstance(value, str)] if isinstance(record, dict) else []
    if "text" not in texts and len(texts) != 1:
        found = f"has several texts: {', '.join(map(repr, texts[:5]))}" if texts else "holds no text"
        raise ValueError(f'{path}, line {place}, {found}. Name the sentence "text": {{"text": "A dog runs."}}.')
    return record["text" if "text" in texts else texts[0]]


def written_text(sentences: list[str], suffix: str) -> bytes:
    """The sentences as the content of a .txt or .jsonl file, which `read_text` reads."""
    if suffix == ".jsonl":
        return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in sentences).encode()
    broken = [place for place, text in enumerate(sentences) if "\n" in text or "\r" in text]
    if broken:
        raise ValueError(f"Sentence {broken[0]} holds a line break, which a .txt file cannot keep. Write a .jsonl file instead.")
    return "".join(f"{text}\n" for text in sentences).encode()


# --------------------------------------------------------------------------------------------------- helpers


def encoded(text: str, place: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Sentence {place} holds half a character (a lone surrogate, at {error.start}), which UTF-8 cannot write. Clean it: "
            "text.encode('utf-8', 'replace').decode()."
        ) from error


def learnt_vocabulary(sentences: list[str], size: int) -> str:
    """Byte-pair encoding of `size` tokens learnt from the sentences, as JSON; whatever they were, it can write any text.

    Source: Sennrich, Haddow & Birch 2016, "Neural machine translation of rare words with subword units"; of bytes: Radford et
    al. 2019, "Language models are unsupervised multitask learners".
    """
    library = tokenizers()
    model = library.Tokenizer(library.models.BPE())
    model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = library.decoders.ByteLevel()
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    trainer = library.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator(sentences, trainer)
    return model.to_str()


def tokenizers() -> Any:
    """The library of that name."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'Tokens that are learnt (tokens="bpe") need tokenizers, which is not installed. Install it: pip install '
            '"isthmus[text]"'
        ) from error
    return tokenizers
