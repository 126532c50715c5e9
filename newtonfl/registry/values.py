"""Values: what a text is, by the annotation of the parameter that it is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args, get_origin

from newtonfl.registry.declared import Maker, alternatives, as_word, is_callable, is_tuple, kind_of, names_of, readable
from newtonfl.registry.lookup import HOMES, entries
from newtonfl.registry.nearest import nearest
from newtonfl.registry.text import call, number, split, unquoted
from newtonfl.registry.wording import expected

ReadPart: TypeAlias = Callable[[str, str], Any]
"""(kind, text) → the part, or the Maker where its main compressor lacks."""


def value(annotation: Any, words: str, wrong: str, read: ReadPart) -> Any:
    """The value that a text is, by its annotation.

    Parameters
    ----------
    annotation : type or typing's form of one
        ``float``, ``Literal["theory"]``, ``tuple[Compressor, ...]``, unions of such, a Part's class; ``Any`` guesses.
    text : str
        As it stands on the command line.
    wrong : str
        What is said where it is no such value, with what is allowed in the place of ``{}``.
    read : callable
        What reads parts.

    Returns
    -------
    value
        Of that type; a :class:`Maker` for a mechanism that lacks its compressor.

    Raises
    ------
    ValueError, TypeError
        If it is no such value.
    """
    words = words.strip()
    choices = alternatives(annotation)
    for choice in choices:
        if get_origin(choice) is Literal and words in map(as_word, get_args(choice)):
            return next(word for word in get_args(choice) if as_word(word) == words)
        if choice is type(None) and words == "none":
            return None
        if choice is bool and words in ("true", "false"):
            return words == "true"
        found = number(words) if choice in (int, float) else None
        if found is not None and (isinstance(found, int) or choice is float):
            return found if int in choices else choice(found)
    for choice in choices:
        if is_tuple(choice):
            return _several(choice, words, wrong, read)
    parts = [choice for choice in choices if kind_of(choice)]
    if parts:
        literals = [as_word(word) for choice in choices if get_origin(choice) is Literal for word in get_args(choice)]
        return _part(parts, literals, words, wrong, read, callable_too=any(map(is_callable, choices)))
    if str in choices:
        return unquoted(words)
    if Any in choices:
        return _guess(words, read)
    raise ValueError(wrong.replace("{}", expected(annotation)))


def _several(annotation: Any, words: str, wrong: str, read: ReadPart) -> tuple[Any, ...]:
    """``(a, b)``, or ``a,b`` without brackets."""
    inner = (*get_args(annotation), Any)[0]
    whole = words[1:-1] if words.startswith("(") and words.endswith(")") and call(f"tuple{words}") else words
    pieces = split(whole, ",")
    if pieces[-1] == "":  # (a,) is one, and () is none
        pieces.pop()
    return tuple(value(inner, piece, wrong, read) for piece in pieces)


def _part(choices: list[Any], literals: list[str], words: str, wrong: str, read: ReadPart, callable_too: bool) -> Any:
    """A part of one of the kinds: the first that knows the name."""
    kinds = list(dict.fromkeys(str(kind_of(choice)) for choice in choices))
    name = head(words)
    kind = next((kind for kind in kinds if name in entries(kind)), kinds[0])
    allowed_names: dict[str, Any] = {}
    for other in kinds:
        allowed_names |= entries(other)
    for other in kinds:
        allowed_names |= readable(other)
    allowed_names |= {word: None for word in literals if word not in allowed_names}
    if name not in allowed_names or (name in literals and name not in readable(kind)):
        raise nearest(" or ".join(kinds), name, allowed_names, kinds[0])
    made = read(kind, words)
    allowed = tuple(choice for choice in choices if kind_of(choice) == kind)
    if not isinstance(made, Maker) and not isinstance(made, allowed):
        raise ValueError(wrong.replace("{}", " or ".join(names_of(kind, list(allowed)))))
    if callable_too and isinstance(made, Maker) and not made.values:
        return made.part
    return made


def head(words: str) -> str:
    """The name that a part's text begins with."""
    return re.split(r"[:(/+,]", words, maxsplit=1)[0].strip()


def _guess(words: str, read: ReadPart) -> Any:
    """What a text is where no annotation says: a number, true, false or none, a part with settings, or a word."""
    if (found := number(words)) is not None:
        return found
    if words in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[words]
    kinds = [kind for kind in HOMES if kind != "method" and head(words) in entries(kind)]
    return read(kinds[0], words) if kinds and head(words) != words else unquoted(words)
