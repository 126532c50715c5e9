"""Text forms of settings: what a setting's type makes of text, and how the command line writes a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from newtonfl.components.participation import Participation
from newtonfl.compressors import Compressor
from newtonfl.mechanisms import Mechanism


def check_choice(key: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a setting that is none of the `allowed` words, with a ValueError."""
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{key}: given {value!r}, allowed are {', '.join(allowed)}")


def from_text(key: str, kind: Any, value: Any) -> Any:
    """A setting's value, made of its text form where it is one.

    Parameters
    ----------
    key : str
        The setting, for errors.
    kind : type
        What the setting is annotated with, say ``Compressor | str`` or ``float | Literal["theory"]``.
    value : object
        A text form such as ``"topk:30"``, or the thing itself.

    Returns
    -------
    object
        The thing. What the type does not cover stays as it is: the method's parts refuse it in their own words.

    Raises
    ------
    ValueError
        If the type lists words alone and this is none of them, or if no part has this text form.
    """
    members = [kind] if get_origin(kind) not in (Union, UnionType) else list(get_args(kind))
    words = tuple(word for member in members if get_origin(member) is Literal for word in get_args(member))
    others = {get_origin(member) or member for member in members if get_origin(member) is not Literal}
    if (value is None and NoneType in others) or (isinstance(value, str) and value in words):
        return value
    if words and others <= {NoneType}:
        check_choice(key, value, words)
    if Sequence in others and isinstance(value, (str, list, tuple)):
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(_part(key, {Compressor}, part) if isinstance(part, str) else part for part in parts)
    return _part(key, others, value) if isinstance(value, str) else value


def _part(key: str, kinds: set[Any], text_form: str) -> Any:
    """What a text form names among these kinds; numbers where they are the kind, else the text."""
    from newtonfl.registry.compressors import compressor
    from newtonfl.registry.mechanisms import mechanism, participation, spoken
    from newtonfl.registry.words import number_or_word

    if Mechanism in kinds and Callable not in kinds:  # with its compressor in one
        try:
            return spoken(text_form, compressor)
        except ValueError as error:
            raise ValueError(f"{key}: given {text_form!r}: {error}") from None
    if Mechanism in kinds:
        return mechanism(text_form, compressor)
    if Compressor in kinds:
        return compressor(text_form)
    if Participation in kinds:
        return participation(text_form)
    return number_or_word(text_form) if kinds & {int, float} else text_form


def to_text(value: Any) -> str | float:
    """A setting as the command line writes it.

    Parameters
    ----------
    value : object
        A part, a tuple of parts, a number or a word.

    Returns
    -------
    str or float
        Numbers stay numbers.
    """
    if isinstance(value, tuple | list):
        return ",".join(str(to_text(part)) for part in value)
    if isinstance(value, Mechanism):
        return value.spoken
    written: str | float = getattr(value, "text", value)
    return written
