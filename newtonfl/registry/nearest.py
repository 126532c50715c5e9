"""What is said of a name that is not known: the nearest, and all where they are few, else what lists them."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Mapping

_SHORT, _FEW, _LINE = 80, 3, 96
"""Names stand in the sentence up to so many characters, and below it in so many lines of so many at most."""


def nearest(what: str, name: str, names: Iterable[str], shown_by: str | None = None) -> ValueError:
    """The error for a name that is not known.

    Parameters
    ----------
    what : str
        What it should have named, say "method".
    name : str
        The name.
    names : iterable of str
        Those that are allowed; of a mapping to entries, a class's name stands for the part's too, and what stands
        for no entry is a word that no listing has.
    shown_by : str or None
        What ``newtonfl methods`` lists them by: a kind, or a method's name; None is `what`.

    Returns
    -------
    ValueError
        To be raised; it names the nearest, whether letters are large or small, and all where they are few, else the
        command that lists them.
    """
    allowed = list(names)
    meant = {known.casefold(): known for known in reversed(allowed)}
    for known, entry in names.items() if isinstance(names, Mapping) else ():
        if isinstance(getattr(entry, "made_by", None), type):
            meant.setdefault(entry.made_by.__name__.casefold(), known)
    near = _nearest(name.casefold(), meant)
    hint = "" if near is None else f"; did you mean {meant[near]}?"
    return ValueError(f"{what}: given {name!r}{hint}{_allowed(what, names, shown_by, len(hint))}")


def _nearest(name: str, names: Iterable[str]) -> str | None:
    """The most alike of the `names`; of several one of the same letters, which were typed in another order."""
    near = difflib.get_close_matches(name, names, 3)
    alike = {other: difflib.SequenceMatcher(None, name, other).ratio() for other in near}
    return max(near, key=lambda other: (alike[other], sorted(other) == sorted(name)), default=None)


def _allowed(what: str, names: Iterable[str], shown_by: str | None, hinted: int) -> str:
    """How a message goes on behind what was given: all names in one line, in three, or the command that lists them."""
    listed = ", ".join(names)
    if len(what) + hinted + len(listed) <= _SHORT:
        return f" (allowed are {listed})"
    command = f"newtonfl methods {what if shown_by is None else shown_by}".removesuffix(" method").strip()
    if hinted:
        return f" (`{command}` lists them all)"
    lines = textwrap.wrap(listed, _LINE, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    if len(lines) <= _FEW:
        return "\n".join([f", allowed are, as `{command}` explains them,", *lines])
    entry_names = isinstance(names, Mapping) and any(hasattr(entry, "made_by") for entry in names.values())
    words = [name for name, entry in names.items() if entry is None] if entry_names else []  # type: ignore[attr-defined]
    return f", allowed are {' and '.join([*words, f'what `{command}` lists'])}"
