"""What values a parameter may have: said once, beside the part's constructor, and checked in one place.

    ranges = {"share": number("[0, 1)"), "count": whole("[1, inf)")}

A range is written as in mathematics: a square bracket takes its end in, a round one leaves it out.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Range:
    """The values for which `holds` is true, and how the sentence ends that refuses others."""

    holds: Callable[[Any], bool]
    words: str

    def also(self, *others) -> "Range":
        """These values too: names such as "auto", or None."""
        return Range(
            lambda value: is_one_of(value, others) or self.holds(value),
            f"{self.words.removesuffix('.')}, or {' or '.join(map(repr, others))}.",
        )


def check_ranges(owner, ranges: Mapping[str, Range], name: str = "") -> None:
    """Refuses a parameter of `owner` out of its range, by its name and that of the part.

    >>> check_ranges(type("part", (), {"share": 2}), {"share": number("[0, 1)")}, "Mask")
    Traceback (most recent call last):
    ValueError: Mask(share=2): a number in [0, 1) is expected.
    """
    for parameter, allowed in ranges.items():
        value = getattr(owner, parameter)
        if not allowed.holds(value):
            said = f"{parameter}={value!r}"
            raise ValueError((f"{name}({said})" if name else said) + allowed.words)


def number(span: str) -> Range:
    """Numbers in the span, such as "[0, 1)"; True and False are none."""
    return Range(lambda value: is_number(value) and lies_in(float(value), span), f": {spoken('a number', span)} is expected.")


def whole(span: str) -> Range:
    """Whole numbers in the span."""
    return Range(lambda value: is_whole(value) and lies_in(int(value), span), f": {spoken('a whole number', span)} is expected.")


def odd(span: str) -> Range:
    """Odd numbers in the span, so that there is one in the middle."""
    return Range(
        lambda value: is_whole(value) and int(value) % 2 == 1 and lies_in(int(value), span),
        f": {spoken('an odd whole number', span)} is expected.",
    )


def wholes(span: str, example: str) -> Range:
    """One whole number in the span, or several, or none."""
    return Range(
        lambda value: all(is_whole(v) and lies_in(int(v), span) for v in listed(value)),
        f": {spoken('whole numbers', span)} are expected, such as {example}.",
    )


def numbers(span: str) -> Range:
    """One number in the span, or several."""
    return Range(
        lambda value: all(is_number(v) and lies_in(float(v), span) for v in listed(value)),
        f": {spoken('a number', span)} is expected, or several.",
    )


def pair(span: str) -> Range:
    """Two numbers in the span."""
    several = numbers(span)
    return Range(
        lambda value: isinstance(value, list | tuple) and len(value) == 2 and several.holds(value),
        f": two numbers in {span} are expected.",
    )


def pair_of_wholes(span: str) -> Range:
    """Two whole numbers in the span."""
    several = wholes(span, "")
    return Range(
        lambda value: isinstance(value, list | tuple) and len(value) == 2 and several.holds(value),
        f": two whole numbers in {span} are expected.",
    )


def one_of(*names) -> Range:
    """One of these names; None may be among them."""
    *first, last = map(repr, names)
    return Range(lambda value: is_one_of(value, names), f" is not known. Choose {', '.join(first)} or {last}.")


def flag() -> Range:
    return Range(lambda value: isinstance(value, bool | np.bool_), ": True or False is expected.")


def word() -> Range:
    return Range(lambda value: isinstance(value, str) and bool(value.strip()), ": a word is expected.")


def function() -> Range:
    return Range(callable, ": a function of two tensors is expected, (output, target) -> (batch,).")


# --------------------------------------------------------------------------------------------------- helpers


def ends_of(span: str) -> tuple[float, float]:
    low, high = map(float, span[1:-1].split(","))
    return low, high


def lies_in(value: float, span: str) -> bool:
    """Whether the value lies in a span such as "[0, 1)"; NaN lies nowhere."""
    low, high = ends_of(span)
    above = value >= low if span[0] == "[" else value > low
    return above and (value <= high if span[-1] == "]" else value < high)


def spoken(noun: str, span: str) -> str:
    """The span in words, such as "a number of zero or more"."""
    low, high = ends_of(span)
    if high < math.inf:
        return f"{noun} in {span}"
    if low == -math.inf:
        return noun.replace("a number", "a finite number")
    least = "zero" if low == 0 else f"{low:g}"
    return f"{noun} of {least} or more" if span[0] == "[" else f"{noun} above {least}"


def is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_one_of(value, names) -> bool:
    """Whether the value is among the names; an array is not asked, for it would answer item by item."""
    return (value is None or isinstance(value, str | bool)) and value in names


def listed(value) -> tuple:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
