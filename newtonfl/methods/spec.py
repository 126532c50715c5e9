"""Text forms of settings: what a setting's type makes of text, and how the command line writes a value."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from newtonfl.registry import Part
from newtonfl.registry.declared import alternatives
from newtonfl.registry.read import read_value
from newtonfl.registry.wording import expected


def check_choice(key: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a setting that is none of the `allowed` words, with a ValueError."""
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{key}: given {value!r}, allowed are {', '.join(allowed)}")


def from_text(key: str, annotation: Any, value: Any) -> Any:
    """A setting's value, made of its text form where it is one.

    Parameters
    ----------
    key : str
        The setting, for errors.
    annotation : type
        Of the setting, say ``Compressor | str`` or ``float | Literal["theory"]``.
    value : object
        A text form such as ``"topk:30"``, or the thing itself.

    Returns
    -------
    object
        The thing. What is no text stays as it is, and the method's parts refuse it in their own words.

    Raises
    ------
    ValueError
        If the annotation lists words alone and this is none of them, or if no part has this text form.
    """
    choices = alternatives(annotation)
    words = tuple(word for choice in choices if get_origin(choice) is Literal for word in get_args(choice))
    if words and all(choice is NoneType or get_origin(choice) is Literal for choice in choices):
        if value is not None or NoneType not in choices:
            check_choice(key, value, words)
        return value
    if isinstance(value, (tuple, list)):
        inner = next((get_args(choice)[0] for choice in choices if get_origin(choice) is tuple), Any)
        return tuple(from_text(key, inner, entry) for entry in value)
    if not isinstance(value, str):
        return value
    try:
        return read_value(annotation, value, f"{key}: given {value!r}, must be {{}}")
    except ValueError as error:
        if str(error).startswith(f"{key}: "):
            raise
        raise ValueError(f"{key}: given {value!r}, must be {expected(annotation)} ({error})") from None


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
    written: str | float = str(value) if isinstance(value, Part) else value
    return written
