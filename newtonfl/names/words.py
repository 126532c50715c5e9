"""Words from the command line: unknown names and numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(what: str, given: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known."""
    names = list(known)
    near = difflib.get_close_matches(given, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ValueError(f"{what}: given {given!r}{hint} (allowed are {', '.join(names)})")


def number_or_word(text: str) -> float | str:
    """The number that `text` is, or the text."""
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def number(text: str, wrong: ValueError) -> float:
    """The number that `text` is; `wrong` is raised where it is none."""
    try:
        return float(text)
    except ValueError:
        raise wrong from None
