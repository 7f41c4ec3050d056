"""How data is to be read, where the name of its kind says too little: `Autoencoder(kind=Text(tokens="bpe"))`."""

from .parts.base import Parameters
from .parts.ranges import one_of, whole


class Reading(Parameters):
    """A kind of data and how it is read; its parameters are what the schema's `learn` takes besides the data."""

    kind = ""


class Text(Reading):
    """Sentences as bytes, or as tokens that are learnt.

    Parameters
    ----------
    tokens : "bytes" or "bpe", default "bytes"
        Bytes of UTF-8 read any language as it is. "bpe" learns words and pieces of words in `fit` (byte-pair encoding), so that
        sentences become shorter, and any text can still be written. It needs tokenizers: pip install "isthmus[text]".
    size : int, default 2000; tokens that "bpe" learns, 256 bytes among them; fewer where the data hold no more
    longest : int or None, default None
        Tokens in the longest sentence that is read; None: that of the longest in `fit`. Longer ones are refused.

    >>> from isthmus import Autoencoder
    >>> model = Autoencoder(8, kind=Text(longest=32), max_epochs=2, random_state=0).fit(["a dog", "ein Hund", "狗在跑"])
    >>> model.transform(["a dog", ""]).shape, model.schema_.shape
    ((2, 8), (32,))
    """

    kind = "text"
    ranges = {"tokens": one_of("bytes", "bpe"), "size": whole("[256, inf)"), "longest": whole("[1, inf)").also(None)}

    def __init__(self, tokens="bytes", size=2000, longest=None):
        self.tokens = tokens
        self.size = size
        self.longest = longest


def name_of(kind) -> str:
    """The name of a kind that was given by it, or with how it is read."""
    return kind.kind if isinstance(kind, Reading) else kind


def reading_of(kind) -> dict:
    """What `learn` takes besides the data."""
    return kind.get_params() if isinstance(kind, Reading) else {}
