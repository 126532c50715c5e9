"""Docstrings of methods: what many methods share is written once, and stands in each one's Parameters section."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from textwrap import dedent

_HEADING = re.compile(r"^(\w+)\n-{3,}\n", re.M)
_ENTRY = re.compile(r"^(?=\S)", re.M)

_RETURNS = """Method
    With these settings, to be given to :func:`newtonfl.solve`."""
_RAISES = """TypeError
    If a setting has another name than these, or is of another kind.
ValueError
    If a setting's value is not allowed, or would not be used."""


def entries(section: str) -> dict[str, str]:
    """The entries of a Parameters section, each with all its lines, by the first name in it.

    Parameters
    ----------
    section : str
        As numpydoc has it: ``name : type`` and indented lines below.

    Returns
    -------
    dict of str
        In the section's order.
    """
    found = (entry.rstrip() for entry in _ENTRY.split(dedent(section)) if entry.strip())
    return {names_of(entry)[0]: entry for entry in found}


def names_of(entry: str) -> list[str]:
    """The names that an `entry` explains: two in ``alpha, beta : float``."""
    return entry.split("\n", 1)[0].partition(" : ")[0].split(", ")


def complete(doc: str, shared: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """A method's docstring with every section that numpydoc asks for.

    Parameters
    ----------
    doc : str
        The function's own: the formula, the paper, its own settings and perhaps examples.
    shared : mapping of str
        Entries that explain settings of many methods; the function's own come first.
    defaults : mapping of str
        The defaults of all settings as Python writes them, in the signature's order.

    Returns
    -------
    str
        With Parameters in the signature's order, Returns and Raises.

    Raises
    ------
    ValueError
        If a setting is explained nowhere, or one that the method does not have is.
    """
    head, *parts = _HEADING.split(inspect.cleandoc(doc))
    sections = dict(zip(parts[::2], (body.strip("\n") for body in parts[1::2]), strict=True))
    own = entries(sections.get("Parameters", ""))
    explained = {name for entry in own.values() for name in names_of(entry)}
    strange = explained - set(defaults)
    missing = [name for name in defaults if name not in explained and name not in shared]
    if strange or missing:
        raise ValueError(f"docstring: {', '.join(missing) or 'no setting'} not explained, strange {sorted(strange)}")
    first = [name for name in defaults if name in own or name not in explained]
    lines = [_with_default(own.get(name) or shared[name], defaults[name]) for name in first]
    sections = {
        "Parameters": "\n".join(lines), "Returns": _RETURNS, "Raises": _RAISES,
        **{title: body for title, body in sections.items() if title != "Parameters"},
    }  # fmt: skip
    return "\n\n".join([head.strip("\n"), *_written(sections.items())]) + "\n"


def _with_default(entry: str, default: str) -> str:
    """An entry whose first line says the default; where it explains two settings, its words have to."""
    line, _, words = entry.partition("\n")
    return entry if len(names_of(entry)) > 1 else f"{line}, default {default}\n{words}"


def _written(sections: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{title}\n{'-' * len(title)}\n{body}" for title, body in sections if body]
