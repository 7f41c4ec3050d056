"""Entropy coding as a stack, many lanes at once: range asymmetric numeral systems over integer frequencies.

A lane is a number x in [2^32, 2^64). A symbol that owns the slots [start, start + count) of 2^24 goes on and comes off by

    push   x <- (x // count) * 2^24 + x mod count + start
    pop    x <- count * (x // 2^24) + x mod 2^24 - start,   the symbol being the one that owns the slot x mod 2^24

and costs log2(2^24 / count) bits. What a lane has too much goes as words of 32 bits on one stack that all lanes share, and comes
back from it. Pop undoes push bit by bit, and push undoes pop, which is what bits-back coding asks for. All is arithmetic of
64-bit whole numbers, so it is the same on every machine.

Source: Duda 2013, "Asymmetric numeral systems"; Giesen 2014, "Interleaved entropy coders".
"""

import numpy as np

PRECISION = 24  # bits of a frequency
TOTAL = 1 << PRECISION
_LOWEST = np.uint64(1 << 32)
_WORD = np.uint64(32)
_LOW_WORD = np.uint64(0xFFFFFFFF)
_ROOM = np.uint64(64 - PRECISION)
_SLOT = np.uint64(TOTAL - 1)
_PRECISION = np.uint64(PRECISION)
_HALF = np.uint64(16)
_ODD, _INVERSE = np.uint64(0x9E3779B1), np.uint64(pow(0x9E3779B1, -1, 1 << 32))
_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64


class Stack:
    """Lanes over a stack of words, and below it a ground of words that are known and never end.

    They are the bits that the first samples of a chain are drawn by. Whoever reads the chain is left with as many of them, which
    are compared: a message that was changed would have to hit all their bits by chance.

    >>> stack = Stack()
    >>> stack.widen(2)
    >>> start, count = np.array([0, 1 << 23]), np.array([1 << 23, 1 << 23])
    >>> stack.push(start, count)
    >>> again = Stack.from_bytes(stack.to_bytes(), 2)
    >>> again.slots() >= start, again.slots() < start + count
    (array([ True,  True]), array([ True,  True]))
    >>> again.pop(start, count)
    >>> again.narrow(0), again.only_ground
    (None, True)
    """

    def __init__(self):
        self.heads = np.empty(0, np.uint64)
        self.words = np.empty(1 << 12, np.uint32)
        self.size = 0
        self.depth: int | None = 0  # words that were taken from the ground; None for one who reads, to whom none is given

    @property
    def only_ground(self) -> bool:
        """Of one who has read all: whether nothing is left but words of the ground."""
        return not len(self.heads) and bool((self.words[: self.size] == ground_words(0, self.size)[::-1]).all())

    # ---------------------------------------------------------------------------------------------- symbols

    def push(self, start: np.ndarray, count: np.ndarray) -> None:
        """A symbol on each of the first len(start) lanes; `start`, `count`: its slots, whole numbers, count below 2^24."""
        lanes = len(start)
        start, count = start.astype(np.uint64), count.astype(np.uint64)
        heads = self.heads[:lanes]
        full = heads >= (count << _ROOM)
        if full.any():
            self._put((heads[full] & _LOW_WORD).astype(np.uint32))
            heads = np.where(full, heads >> _WORD, heads)
        whole, rest = np.divmod(heads, count)
        self.heads[:lanes] = (whole << _PRECISION) + rest + start

    def slots(self, lanes: int | None = None) -> np.ndarray:
        """(lanes,) int64 in [0, 2^24): which slot each lane's top symbol owns."""
        return (self.heads[:lanes] & _SLOT).astype(np.int64)

    def pop(self, start: np.ndarray, count: np.ndarray) -> None:
        """Takes the symbols that own the slots off the first len(start) lanes."""
        lanes = len(start)
        heads = self.heads[:lanes]
        heads = count.astype(np.uint64) * (heads >> _PRECISION) + (heads & _SLOT) - start.astype(np.uint64)
        low = heads < _LOWEST
        if low.any():
            words = self._take(int(low.sum())).astype(np.uint64)
            heads[low] = (heads[low] << _WORD) | words
        self.heads[:lanes] = heads

    # ------------------------------------------------------------------------------------------------ lanes

    def stir(self, lanes: int, odd: np.uint64 = _ODD) -> None:
        """Mixes the low halves of the first lanes, one to one.

        The slot of a lane lies where the last symbol was pushed, so a symbol of another distribution, popped from there, would
        be no fair draw.
        """
        low = self.heads[:lanes] & _LOW_WORD
        low = (low ^ low >> _HALF) * odd & _LOW_WORD
        self.heads[:lanes] = self.heads[:lanes] & ~_LOW_WORD | low ^ low >> _HALF

    def unstir(self, lanes: int) -> None:
        """The inverse of `stir`: the same, with the inverse of the factor."""
        self.stir(lanes, _INVERSE)

    def widen(self, lanes: int) -> None:
        """Further lanes, up to `lanes`, each begun with a word from the stack."""
        missing = lanes - len(self.heads)
        self.heads = np.concatenate([self.heads, _LOWEST | self._take(missing).astype(np.uint64)])

    def narrow(self, lanes: int) -> None:
        """The inverse of `widen`. Lanes that do not end as they began are those of no message."""
        ended = self.heads[lanes:]
        if (ended >> _WORD != 1).any():
            raise ValueError("the lanes do not end as they began")
        self.heads = self.heads[:lanes].copy()
        self._put((ended & _LOW_WORD).astype(np.uint32))

    # ------------------------------------------------------------------------------------------------ bytes

    def to_bytes(self) -> bytes:
        """Lanes, then words: the high half of a lane in as many bytes as it takes, whose number needs two bits."""
        high, low = (self.heads >> _WORD).astype(np.uint32), (self.heads & _LOW_WORD).astype("<u4")
        extra = (high[:, None] >> np.array([8, 16, 24], np.uint32) > 0).sum(1).astype(np.uint8)
        told = np.packbits(np.unpackbits(extra[:, None], axis=1)[:, 6:].ravel())
        kept = np.arange(4) <= extra[:, None]
        halves = high.astype("<u4")[:, None].view(np.uint8)[kept]
        return told.tobytes() + halves.tobytes() + low.tobytes() + self.words[: self.size].astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, message: bytes, lanes: int) -> "Stack":
        """What `to_bytes` wrote, of so many lanes."""
        stack, told = cls(), -(-lanes // 4)
        content = np.frombuffer(message, np.uint8)
        if len(content) < told:
            raise ValueError("its lanes are cut off")
        bits = np.unpackbits(content[:told])[: 2 * lanes].reshape(lanes, 2)
        kept = np.arange(4) <= (2 * bits[:, 0] + bits[:, 1])[:, None]
        first = told + int(kept.sum())
        second = first + 4 * lanes
        if len(content) < second or (len(content) - second) % 4:
            raise ValueError("its words are cut off")
        halves = np.zeros((lanes, 4), np.uint8)
        halves[kept] = content[told:first]
        high, low = halves.view("<u4")[:, 0].astype(np.uint64), content[first:second].view("<u4").astype(np.uint64)
        stack.heads = (high << _WORD) | low
        stack.words = content[second:].view("<u4").astype(np.uint32)
        stack.size, stack.depth = len(stack.words), None
        return stack

    # ---------------------------------------------------------------------------------------------- helpers

    def _put(self, words: np.ndarray) -> None:
        if self.size + len(words) > len(self.words):
            self.words = np.concatenate([self.words[: self.size], np.empty(max(self.size, len(words), 1 << 12), np.uint32)])
        self.words[self.size : self.size + len(words)] = words
        self.size += len(words)

    def _take(self, count: int) -> np.ndarray:
        """The last words that were put, in their order; where there are too few, words of the ground before them."""
        missing = max(0, count - self.size)
        taken = self.words[self.size - count + missing : self.size].copy()
        self.size -= count - missing
        if not missing:
            return taken
        if self.depth is None:
            raise ValueError("it ends too early")
        self.depth += missing
        return np.concatenate([ground_words(self.depth - missing, self.depth)[::-1], taken])


def ground_words(first: int, last: int) -> np.ndarray:
    """Words of the ground from depth `first` to `last`, (last - first,) uint32: splitmix64 of the depth."""
    with np.errstate(over="ignore"):
        x = (np.arange(first, last, dtype=np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN)
        for shift, factor in ((30, _MIX1), (27, _MIX2)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return ((x ^ (x >> np.uint64(31))) >> _WORD).astype(np.uint32)
