"""The letters of a part's text: pieces outside brackets, numbers, quoted words."""

from __future__ import annotations

import json
import numbers
import re
from typing import Any

_OPEN, _CLOSE = "([", ")]"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.*-]*|[0-9.]+[A-Za-z]+")
_RESERVED = ("true", "false", "none", "inf", "nan", "infinity")


def split(words: str, separator: str) -> list[str]:
    """The pieces of `text` between separators that stand outside brackets and quotes, without blanks around them.

    Parameters
    ----------
    text : str
        Such as ``"2, (topk:1, topk:8)"``.
    separator : str
        One character.

    Returns
    -------
    list of str
        At least one, perhaps empty.

    Raises
    ------
    ValueError
        If a bracket or a quote is not closed.

    Examples
    --------
    >>> split("zeta=2, levels=(topk:1, topk:8)", ",")
    ['zeta=2', 'levels=(topk:1, topk:8)']
    """
    pieces, depth, quoted, opening = [], 0, False, 0
    escaped = False
    for at, letter in enumerate(words):
        if quoted:
            quoted, escaped = letter != '"' or escaped, letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
            if depth < 0:
                break
        elif letter == separator and not depth:
            pieces.append(words[opening:at].strip())
            opening = at + 1
    if depth or quoted:
        raise ValueError(f"given {words!r}, brackets and quotes must be closed")
    return [*pieces, words[opening:].strip()]


def call(words: str) -> tuple[str, str] | None:
    """The name and what stands within the brackets of ``name(…)``; None where `text` is not of that form."""
    name, bracket, rest = words.partition("(")
    if not (bracket and name and rest.endswith(")")) or re.search(r'[\s:/+,"]', name):
        return None
    inside = rest[:-1]
    try:
        split(inside, ",")  # where it closes a bracket before the last, the text goes on behind it
    except ValueError:
        return None
    return name, inside


def number(words: str) -> int | float | None:
    """The number that a text is: an int where there are digits alone; None where it is none."""
    if re.fullmatch(r"[+-]?[0-9]+", words):
        return int(words)
    try:
        return None if "_" in words else float(words)
    except ValueError:
        return None


def from_number(value: Any) -> str:
    """The shortest text that :func:`number` reads as equal to `value`: 2.0 is ``"2"``."""
    if isinstance(value, numbers.Integral):
        return str(int(value))
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def quoted(word: str) -> str:
    """A word as it stands in brackets: in quotes unless it reads as nothing else."""
    plain = _WORD.fullmatch(word) and word.lower() not in _RESERVED and number(word) is None
    return word if plain else json.dumps(word, ensure_ascii=False)


def unquoted(words: str) -> str:
    """The word that :func:`quoted` wrote.

    Raises
    ------
    ValueError
        If its quotes hold no text.
    """
    if not words.startswith('"'):
        return words
    try:
        return str(json.loads(words))
    except ValueError:
        raise ValueError(f"given {words}, must be a word, or text in double quotes") from None
