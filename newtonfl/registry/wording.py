"""Words about parts: what their docstrings say of a setting, and what its annotation allows."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from newtonfl.registry.declared import alternatives, as_word, default, hints, is_tuple, kind_of, parameters, shorthand


def usage(part: type) -> str:
    """What a part's text must say, for messages: its settings, each with what its docstring says of it."""
    docs = explained(part)
    said = []
    for key in shorthand(part):
        first = re.split(r"[.;](?: |$)", docs.get(key, ""))[0]
        allowed = expected(hints(part).get(key))
        said.append(f"{key} ({': '.join(filter(None, (first, '' if 'word' in allowed else allowed)))})")
    fields = parameters(part)
    needed = sum(key in fields and default(fields[key]) is MISSING for key in shorthand(part))
    if 0 < needed < len(said):
        return f"{' and '.join(said[:needed])}, and may have {' and '.join(said[needed:])}, as {short_form(part)}"
    return " and ".join(said) or "nothing"


def short_form(part: Any) -> str:
    """How a part's text is made up where its settings stand behind a colon: "erdos-renyi:P:SEED"."""
    behind = part.separator.join(key.upper() for key in shorthand(part))
    return f"{part.name}:{behind}" if behind else part.name


def explained(thing: Any) -> dict[str, str]:
    """What the docstring's `Parameters` say of each, in one line of plain text."""
    doc = _documented(thing)
    _, heading, section = doc.partition("\nParameters\n----------\n")
    if not heading:
        return {}
    section = re.split(r"\n\n?[A-Z][a-z]+\n-+\n", section)[0]
    found: dict[str, str] = {}
    keys: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            keys = [key.strip() for key in line.partition(":")[0].split(",")]
            found.update(dict.fromkeys(keys, ""))
        elif line.strip():
            for key in keys:
                found[key] = f"{found[key]} {line.strip()}".strip()
    return {key: plain(words) for key, words in found.items()}


def _documented(thing: Any) -> str:
    """The docstring; a class without Parameters of its own has those of the class that it refines."""
    for owner in thing.__mro__ if isinstance(thing, type) else (thing,):
        doc = owner.__dict__.get("__doc__") if isinstance(thing, type) else owner.__doc__
        if doc and "\nParameters\n" in inspect.cleandoc(doc):
            return inspect.cleandoc(doc)
    return ""


def plain(words: str) -> str:
    """A docstring's line without its marks: ``:class:`newtonfl.CBAG``` is CBAG."""
    words = re.sub(r":\w+:`~?([^`]*)`", lambda match: match[1].rsplit(".", 1)[-1], words)
    return re.sub(r"``([^`]*)``|`([^`]*)`", lambda match: match[1] or match[2], words)


def expected(annotation: Any) -> str:
    """What an annotation allows, in words: "a number or theory"."""
    choices = alternatives(annotation)
    if any(kind_of(choice) for choice in choices):  # then a str is the text of a part
        choices = [choice for choice in choices if choice is not str]
    if float in choices:  # then a whole number is a number
        choices = [choice for choice in choices if choice is not int]
    return " or ".join(dict.fromkeys(words for choice in choices for words in _allowed(choice)))


def _allowed(choice: Any) -> list[str]:
    if get_origin(choice) is Literal:
        return [as_word(value) for value in get_args(choice)]
    if is_tuple(choice):
        return [f"several, each {expected((*get_args(choice), Any)[0])}"]
    kind = kind_of(choice)
    if kind:
        return [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"]
    plain_words = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "none", str: "a word"}
    return [plain_words[choice]] if choice in plain_words else []
