"""Names: "topk:8d" ⇄ TopK, "newton-3pc" ⇄ preset. The one registry, for the command line, files and estimators."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from newtonfl.compressors import Compressor, Identity, RandK, RankR, TopK
from newtonfl.methods import Method, fednl, gd, newton, newton_3pc, newton_zero

METHODS: dict[str, Callable[..., Method]] = {
    "newton": newton,
    "newton-zero": newton_zero,
    "gd": gd,
    "fednl": fednl,
    "newton-3pc": newton_3pc,
}
"""Presets by name."""

COMPRESSORS: dict[str, tuple[type[Compressor], str | None]] = {
    "identity": (Identity, None),
    "topk": (TopK, "K, a number or a multiple of the dimension such as topk:8d"),
    "randk": (RandK, "K, a number or a multiple of the dimension such as randk:8d"),
    "rank": (RankR, "R, a whole number such as rank:1"),
}
"""Compressors by name, with what stands behind the colon."""

_NUMBERS = ("alpha", "stepsize")


def nearest(what: str, given: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known."""
    names = list(known)
    near = difflib.get_close_matches(given, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ValueError(f"{what}: given {given!r}{hint} (allowed are {', '.join(names)})")


def compressor(text: str) -> Compressor:
    """The compressor that `text` names, say ``"topk:8d"``.

    Raises
    ------
    ValueError
        If the name or its number is not one.
    """
    name, colon, setting = text.partition(":")
    if name not in COMPRESSORS:
        raise nearest("compressor", name, COMPRESSORS)
    kind, needs = COMPRESSORS[name]
    if needs is None:
        if colon:
            raise ValueError(f"compressor: given {text!r}, {name} takes no number")
        return kind()
    if not setting:
        raise ValueError(f"compressor: given {text!r}, {name} needs {needs}")
    if setting.isascii() and setting.isdecimal():
        return kind(int(setting))  # type: ignore[call-arg]
    if kind is RankR:
        raise ValueError(f"compressor: given {text!r}, {name} needs {needs}")
    return kind(setting)  # type: ignore[call-arg]


def method(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """The preset `name` with `settings`, whose values may be strings as on the command line.

    Raises
    ------
    ValueError
        If a name, a key or a value is not known; the message names the nearest.

    Examples
    --------
    >>> method("newton-3pc", {"compressor": "topk:8d", "step": "project"}).name
    'newton-3pc'
    """
    if name not in METHODS:
        raise nearest("method", name, METHODS)
    allowed = inspect.signature(METHODS[name]).parameters
    given: dict[str, Any] = {}
    for key, value in (settings or {}).items():
        if key not in allowed:
            raise nearest(f"setting of {name}", key, allowed)
        if key == "compressor" and not isinstance(value, Compressor):
            value = compressor(str(value))
        elif key in _NUMBERS and isinstance(value, str):
            value = _number_or_word(value)
        given[key] = value
    return METHODS[name](**given)


def settings(made: Method) -> dict[str, str | float]:
    """The settings of a method made by a preset, such that :func:`method` makes it again."""
    allowed = inspect.signature(METHODS[made.name]).parameters
    return {key: value for key, value in made.settings().items() if key in allowed}


def defaults(name: str) -> dict[str, str | float]:
    """The settings that the preset `name` has when nothing is said."""
    return settings(method(name))


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
