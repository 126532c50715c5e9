"""Compressors by name: "topk:8d" ⇄ TopK, "topk:8d+natural" for one followed by another."""

from __future__ import annotations

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
from newtonfl.registry.words import nearest, number_or_word

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


def compressor(text: str) -> Compressor:
    """The compressor that a text names.

    Parameters
    ----------
    text : str
        ``NAME:SETTING`` such as ``"topk:8d"``, or ``"topk:8d+natural"`` for one followed by another.

    Returns
    -------
    Compressor
        Whose ``text`` it is.

    Raises
    ------
    ValueError
        If the name or its number is not one, or if the two do not go together.

    Examples
    --------
    >>> compressor("topk:30")
    TopK(k=30)
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
        number = number_or_word(setting)
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
