"""Writing parts: the shortest form that reads as the same part."""

from __future__ import annotations

import numbers
from dataclasses import MISSING
from typing import Any

from newtonfl.registry.declared import (
    Maker,
    as_word,
    default,
    hints,
    is_tuple,
    joins,
    main_field,
    parameters,
    registered,
    shorthand,
)
from newtonfl.registry.read import read
from newtonfl.registry.text import from_number, quoted, split


def to_spec(part: Any) -> str:
    """The text of a part: in a short form where that reads as the same part, else as a call."""
    if not registered(part):
        return type(part).__name__  # it has no name of its own, and cannot be read
    short = _short(part)
    return short if short is not None and _reads_as(part, short) else as_call(part)


def _reads_as(part: Any, words: str) -> bool:
    try:
        return bool(read(part.kind, words) == part)
    except (ValueError, TypeError, ArithmeticError):
        return False


def _short(part: Any) -> str | None:
    """The part in the form of the command line, which need not say everything."""
    words = [name for name, values in part.words.items() if type(part)(**values) == part]
    if words:
        return str(words[0])
    if joins(type(part)):
        return "+".join(to_spec(getattr(part, key)) for key in list(parameters(type(part)))[:2])
    key = main_field(type(part))
    if key is None:
        return short_maker(part)
    main = getattr(part, key)
    last = main[-1] if is_tuple(hints(type(part))[key]) else main
    main_text = to_spec(last)
    if getattr(part, "bare", False):
        return main_text
    return f"{short_maker(part)}/{main_text}"


def short_maker(part: Any) -> str:
    """What stands before the slash: the name and its settings without the main compressor."""
    cls, main = type(part), main_field(type(part))
    keys, allowed = shorthand(cls), parameters(cls)
    pieces: list[tuple[str, bool]] = []  # with whether it goes without saying
    for key in keys:
        value = getattr(part, key)
        if key == main and is_tuple(hints(cls)[key]):
            pieces += [(write_value(level), False) for level in value[:-1]]
            continue
        omitted = value is None or (part.separator == ":" and _same(value, default(allowed[key])))
        pieces.append((_inner(part, value), omitted))
    while pieces and pieces[-1][1]:
        pieces.pop()
    return f"{part.name}:{part.separator.join(piece for piece, _ in pieces)}" if pieces else str(part.name)


def maker_spec(part: Any) -> str:
    """What a part's text says without the main compressor, such that :func:`coerce_maker` and it make the part.

    Parameters
    ----------
    part : Part
        Such as ``CBAG(TopK(30), 0.5)``.

    Returns
    -------
    str
        Such as ``"cbag:0.5"``; all of the part where it has no main compressor.
    """
    main = main_field(type(part))
    if main is None or not registered(part):
        return to_spec(part)
    short = short_maker(part)
    if _makes(part, short):
        return short
    return to_spec(part) if isinstance(getattr(part, main), tuple) else as_call(part, without=main)


def _makes(part: Any, maker: str) -> bool:
    """Whether a text without the main compressor makes the part when it is called with that."""
    main = getattr(part, str(main_field(type(part))))
    try:
        made = read(part.kind, maker)
        return bool(isinstance(made, Maker) and made(main[-1] if isinstance(main, tuple) else main) == part)
    except (ValueError, TypeError, ArithmeticError):
        return False


def _inner(part: Any, value: Any) -> str:
    """A setting behind the colon: a mechanism that shares the part's compressor is written without."""
    key = main_field(type(part))
    inner = main_field(type(value))
    if key and inner and getattr(value, inner) == getattr(part, key) and _makes(value, maker := short_maker(value)):
        return maker
    return value if isinstance(value, str) else write_value(value)


def as_call(part: Any, without: str | None = None) -> str:
    """``name(value, key=value, …)`` with every setting that is not its default, but that one."""
    pieces: list[str] = []
    for key, field in parameters(type(part)).items():
        if key == without:
            continue
        value, usual = getattr(part, key), default(field)
        if usual is MISSING:
            pieces.append(
                write_value(value) if not (pieces or without or field.kw_only) else f"{key}={write_value(value)}"
            )
        elif not _same(value, usual):
            pieces.append(f"{key}={write_value(value)}")
    return f"{part.name}({', '.join(pieces)})"


def _same(value: Any, default: Any) -> bool:
    try:
        return type(value) is type(default) and bool(value == default)
    except ValueError:  # arrays
        return False


def write_value(value: Any) -> str:
    """A value as it stands in a part's text."""
    if isinstance(value, bool) or value is None:
        return as_word(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(write_value, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        return quoted(value)
    if hasattr(value, "to_spec"):
        words: str = value.to_spec()
        return as_call(value) if len(split(words, ",")) > 1 else words
    return from_number(value) if isinstance(value, numbers.Real) else repr(value)
