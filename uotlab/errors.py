"""One kind of error for bad input: a sentence that names the argument, the rule, what came and the way out."""

import difflib
from collections.abc import Iterable

MOST_NAMES = 16  #: names that a sentence lists


class InputError(ValueError):
    """Bad input from a person: the message is a sentence fit to show on the page as it stands."""


class UnknownName(InputError, LookupError):
    """A name that no registry holds; the message suggests the nearest one."""


def short(value: object, most: int = 60) -> str:
    """What came, fit for a sentence: on one line, and cut where it is long."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'x'?` for the nearest of `names`, else the whole list."""
    names = list(names)
    near = difflib.get_close_matches(short(name).lower(), names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean '{near[0]}'?"
    more = len(names) - MOST_NAMES
    return f"Choose one of: {', '.join(names[:MOST_NAMES])}{f' and {more} more, which python -m uotlab list shows' if more > 0 else ''}."
