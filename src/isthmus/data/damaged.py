"""What cannot be read among much that can: refused by name, or left out with a warning that names it."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

OnError = Literal["raise", "skip"]


def chosen(skip_corrupt: bool, on_error: OnError | None) -> OnError:
    """What is to be done with what cannot be read, from either of the words for it."""
    if on_error is None:
        return "skip" if skip_corrupt else "raise"
    check_choice(on_error)
    if skip_corrupt and on_error == "raise":
        raise ValueError("skip_corrupt=True, but on_error='raise': these say the contrary of one another. Leave one out.")
    return on_error


def check_choice(on_error: str) -> None:
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error={on_error!r}: 'raise' or 'skip' is expected.")


def readable(
    what: str, place, items: Iterable, name: Callable[[Any], str], read: Callable[[Any], Any], on_error: OnError
) -> Iterator[tuple[Any, Any]]:
    """Pairs of an item and what `read` makes of it; under "skip" without those that it refuses, which a warning names.

    what, place : what the items are ("films"), and where, as messages say it
    """
    skipped, left, refused = [], 0, None
    for item in items:
        try:
            found = read(item)
        except ValueError as error:
            if on_error == "raise":
                raise
            refused = error
            skipped.append(name(item))
            continue
        left += 1
        yield item, found
    if refused is not None and not left:
        raise ValueError(f"None of the {len(skipped)} {what} in {place} can be read; of the last one: {refused}")
    warn_of_skipped(what, place, skipped, left)


def warn_of_skipped(what: str, place, skipped: list[str], left: int, stacklevel: int = 4) -> None:
    """Names the first few that were left out, if any."""
    if skipped:
        count, shown = len(skipped), ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        were = "was" if count == 1 else "were"
        text = f"{count} of {count + left} {what} in {place} cannot be read and {were} left out: {shown}."
        warnings.warn(text, UserWarning, stacklevel=stacklevel)
