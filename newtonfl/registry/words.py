"""Words from the command line: unknown names and numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(what: str, given: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known.

    Parameters
    ----------
    what : str
        What it should have named, say "method".
    given : str
        The name.
    known : iterable of str
        The names that are allowed.

    Returns
    -------
    ValueError
        To be raised; it names the nearest, and all.
    """
    names = list(known)
    near = difflib.get_close_matches(given, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ValueError(f"{what}: given {given!r}{hint} (allowed are {', '.join(names)})")


def number_or_word(text: str) -> float | str:
    """The number that a text is, or the text.

    Parameters
    ----------
    text : str
        Such as "0.5" or "theory".

    Returns
    -------
    int, float or str
        An int where there are digits alone.
    """
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
