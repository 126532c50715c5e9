"""Names: "topk:8d" ⇄ TopK, "newton-3pc" ⇄ preset. The one registry, for the command line, files and estimators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from newtonfl.compressors import (
    BiasedRounding,
    Compressor,
    Dithering,
    Identity,
    Natural,
    NaturalDithering,
    PowerSGD,
    Quantiser,
    RandK,
    RandSeqK,
    RankR,
    RankThenQuantise,
    SelectThenQuantise,
    Threshold,
    TopK,
    TopLEK,
)
from newtonfl.mechanism_names import mechanism, nearest, participation, spoken
from newtonfl.methods import (
    Method,
    bl1,
    bl2,
    bl3,
    cubic_newton_learn,
    dingo,
    fednl,
    fednl_bc,
    fednl_cr,
    fednl_ls,
    fednl_pp,
    fib_ios,
    gd,
    giant,
    newton,
    newton_3pc,
    newton_3pc_bc,
    newton_3pc_bc_pp,
    newton_3pc_cr,
    newton_3pc_ls,
    newton_star,
    newton_zero,
    nl1,
    nl2,
)

METHODS: dict[str, Callable[..., Method]] = {
    "newton": newton,
    "newton-star": newton_star,
    "newton-zero": newton_zero,
    "gd": gd,
    "fednl": fednl,
    "fednl-pp": fednl_pp,
    "fednl-cr": fednl_cr,
    "fednl-ls": fednl_ls,
    "fednl-bc": fednl_bc,
    "newton-3pc": newton_3pc,
    "newton-3pc-bc": newton_3pc_bc,
    "newton-3pc-bc-pp": newton_3pc_bc_pp,
    "newton-3pc-cr": newton_3pc_cr,
    "newton-3pc-ls": newton_3pc_ls,
    "bl1": bl1,
    "bl2": bl2,
    "bl3": bl3,
    "nl1": nl1,
    "nl2": nl2,
    "cubic-newton-learn": cubic_newton_learn,
    "dingo": dingo,
    "giant": giant,
    "fib-ios": fib_ios,
}
"""Presets by name."""

COMPRESSORS: dict[str, tuple[type[Compressor], str | None]] = {
    "identity": (Identity, None),
    "topk": (TopK, "K, a number or a multiple of the dimension such as topk:8d"),
    "toplek": (TopLEK, "K, a number or a multiple of the dimension such as toplek:8d"),
    "randk": (RandK, "K, a number or a multiple of the dimension such as randk:8d"),
    "randseqk": (RandSeqK, "K, a number or a multiple of the dimension such as randseqk:8d"),
    "threshold": (Threshold, "λ, a number above 0 and at most 1 such as threshold:0.5"),
    "rank": (RankR, "R, a whole number such as rank:1"),
    "powersgd": (PowerSGD, "R, a whole number such as powersgd:1"),
    "natural": (Natural, None),
    "dithering": (Dithering, "no number, or s, a whole number such as dithering:8"),
    "natural-dithering": (
        NaturalDithering,
        "s and perhaps a base, such as natural-dithering:8 or natural-dithering:8:3",
    ),
    "rounding": (BiasedRounding, "no number, or the base, such as rounding:2"),
}
"""Compressors by name, with what stands behind the colon."""

_ALONE = (Dithering, BiasedRounding)  # may stand without a number
_MULTIPLES = (TopK, TopLEK, RandK, RandSeqK)  # take multiples of the dimension, which they read themselves

_NUMBERS = (
    "alpha", "armijo", "backtrack", "beta", "c", "eigenvectors", "gradient_p", "line_search", "lipschitz", "model_rate",
    "phi", "rho", "stepsize", "theta", "trials",
)  # fmt: skip


def compressor(text: str) -> Compressor:
    """The compressor that `text` names, say ``"topk:8d"``, or ``"topk:8d+natural"`` for one followed by another.

    Raises
    ------
    ValueError
        If the name or its number is not one, or if the two do not go together.
    """
    first, plus, second = text.partition("+")
    if not plus:
        return _single(text)
    select, quantise = _single(first), _single(second)
    if not isinstance(quantise, Quantiser):
        raise ValueError(
            f"compressor: given {text!r}, behind + may stand natural, dithering or natural-dithering, not {second}"
        )
    if isinstance(select, TopK):
        return SelectThenQuantise(select, quantise)
    if isinstance(select, RankR):
        return RankThenQuantise(select, quantise)
    raise ValueError(f"compressor: given {text!r}, before + may stand topk or rank, not {first}")


def _single(text: str) -> Compressor:
    """The compressor that `text` without a + names."""
    name, colon, setting = text.partition(":")
    if name not in COMPRESSORS:
        raise nearest("compressor", name, COMPRESSORS)
    kind, needs = COMPRESSORS[name]
    if needs is None:
        if colon:
            raise ValueError(f"compressor: given {text!r}, {name} takes no number")
        return kind()
    wrong = ValueError(f"compressor: given {text!r}, {name} needs {needs}")
    if not colon and kind in _ALONE:
        return kind()
    if not setting:
        raise wrong
    if kind is Threshold:
        number = _number_or_word(setting)
        if isinstance(number, str):
            raise wrong
        return Threshold(number)
    numbers = setting.split(":")
    if len(numbers) > (2 if kind is NaturalDithering else 1):
        raise wrong
    if all(number.isascii() and number.isdecimal() for number in numbers):
        return kind(*map(int, numbers))
    if kind not in _MULTIPLES:
        raise wrong
    return kind(setting)


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
        elif key == "mechanism" and isinstance(value, str):
            value = mechanism(value, compressor)
        elif key in ("gradient", "model") and isinstance(value, str):
            value = spoken(value, compressor)
        elif key == "participation" and isinstance(value, str):
            value = participation(value)
        elif key in _NUMBERS and isinstance(value, str):
            value = _number_or_word(value)
        given[key] = value
    return METHODS[name](**given)


def asks_for_optimum(name: str) -> bool:
    """Whether the preset `name` needs the solution before it begins."""
    return name in METHODS and "optimum" in inspect.signature(METHODS[name]).parameters


def settings(made: Method) -> dict[str, str | float]:
    """The settings of a method made by a preset, such that :func:`method` makes it again."""
    allowed = inspect.signature(METHODS[made.name]).parameters
    return {key: value for key, value in made.settings().items() if key in allowed}


def defaults(name: str) -> dict[str, str | float]:
    """The settings that the preset `name` has when nothing is said."""
    made = settings(method(name))
    offered = inspect.signature(METHODS[name]).parameters
    return {key: made.get(key, getattr(p.default, "text", p.default)) for key, p in offered.items()}


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
