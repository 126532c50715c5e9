"""Methods by name and settings: ``"newton-3pc,compressor=topk:30"`` ⇄ ``nf.newton_3pc(compressor=nf.TopK(30))``.

A method's settings are the keyword arguments of the function that makes it; what a text is read as, their annotations
say.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from newtonfl.registry.declared import hints, kind_of
from newtonfl.registry.lookup import find, known
from newtonfl.registry.nearest import nearest
from newtonfl.registry.read import read_value
from newtonfl.registry.text import split


def method(name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """The method of a name and settings.

    Parameters
    ----------
    name : str
        A registered one, such as "newton-3pc".
    parameters : mapping or None
        Its function's keyword arguments; values may be strings as on the command line.

    Returns
    -------
    Method
        With every other setting at its default.

    Raises
    ------
    ValueError
        If a name, a key or a value is not known; the message names the nearest.

    Examples
    --------
    >>> method("newton-3pc", {"compressor": "topk:8d", "step": "project"}).name
    'newton-3pc'
    """
    function = find("method", name).made_by
    allowed = inspect.signature(function).parameters
    types, values = hints(function), dict(parameters or {})
    for key, value in values.items():
        if key not in allowed:
            raise nearest(f"setting of {name}", key, allowed, name)
        if isinstance(value, str) and key in types and not hasattr(function, "__wrapped__"):  # which reads it itself
            values[key] = read_value(types[key], value, f"{key}: given {value!r}, must be {{}}")
    return function(**values)


def parse(spec: str) -> tuple[str, dict[str, str]]:
    """The name and settings in ``NAME[,KEY=VALUE…]``; a piece without ``=`` belongs to the value before it.

    Parameters
    ----------
    spec : str
        As the command line takes it.

    Returns
    -------
    name : str
        Not looked up.
    settings : dict of str
        Its settings, for :func:`method`.

    Raises
    ------
    ValueError
        If a setting has no key or no value, or is given twice.

    Examples
    --------
    >>> parse("newton-3pc,compressor=topk:30,line_search=20")
    ('newton-3pc', {'compressor': 'topk:30', 'line_search': '20'})
    >>> parse("adacgd,levels=topk:1,topk:8")
    ('adacgd', {'levels': 'topk:1,topk:8'})
    """
    name, *pieces = split(spec, ",")
    found: dict[str, str] = {}
    last = ""
    for piece in pieces:
        key, equals, value = (part.strip() for part in piece.partition("="))
        if piece and last and (not equals or "(" in key):
            found[last] += f",{piece}"
            continue
        if not (equals and key and value) or key in found:
            raise ValueError(f"method: given {spec!r}, must be NAME[,KEY=VALUE…] with every key once")
        last, found[key] = key, value
    return name, found


def asks_for_optimum(name: str) -> bool:
    """Whether a method needs the solution before it begins.

    Parameters
    ----------
    name : str
        Its name; false where there is no such method.

    Returns
    -------
    bool
        True where `optimum` is among its settings.
    """
    return name in known("method") and "optimum" in inspect.signature(find("method", name).made_by).parameters


def method_parameters(made: Any) -> dict[str, str | float]:
    """The settings of a method that a registered function made.

    Parameters
    ----------
    made : Method
        Its ``name`` is the registered one.

    Returns
    -------
    dict
        Such that :func:`method` makes it again, but `optimum`, which the command line finds itself.
    """
    allowed = inspect.signature(find("method", made.name).made_by).parameters
    return {key: value for key, value in made.parameters().items() if key in allowed and key != "optimum"}


def method_spec(made: Any) -> str:
    """The text of a method that a registered function made.

    Parameters
    ----------
    made : Method
        Its ``name`` is the registered one.

    Returns
    -------
    str
        Its name and every setting that is not at its default, such that :func:`coerce_method` makes it again.

    Examples
    --------
    >>> import newtonfl as nf
    >>> method_spec(nf.newton_3pc(compressor=nf.TopK(30), line_search=20))
    'newton-3pc,compressor=topk:30,line_search=20'
    """
    allowed, usual = inspect.signature(find("method", made.name).made_by).parameters, defaults(made.name)
    own = {key: value for key, value in made.parameters().items() if key in allowed and value != usual.get(key)}
    return ",".join([made.name, *(f"{key}={value}" for key, value in own.items())])


def defaults(name: str) -> dict[str, str | float]:
    """The settings that a method has when nothing is said.

    Parameters
    ----------
    name : str
        A registered one.

    Returns
    -------
    dict
        As the command line writes them, but `optimum`, which it finds itself.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    made = method_parameters(method(name))
    offered = inspect.signature(find("method", name).made_by).parameters
    return {
        key: made.get(key, str(p.default) if kind_of(type(p.default)) else p.default)
        for key, p in offered.items()
        if key != "optimum"
    }


def coerce_method(value: Any) -> Any:
    """A method as it is, and a text such as ``"newton-3pc,compressor=topk:30"`` as the method that it names.

    Parameters
    ----------
    value : Method, str or other
        Only a str is changed.

    Returns
    -------
    Method or other
        `value`, or the method.

    Raises
    ------
    ValueError
        As :func:`parse` and :func:`method`.
    """
    return method(*parse(value)) if isinstance(value, str) else value
