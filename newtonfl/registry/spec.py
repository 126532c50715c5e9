"""The grammar of parts: a text is read as a part, and a part written as a text that reads as it again.

    part       word                            a name alone, or one that brings settings along: symmetric-plain
             | name:setting,setting            the settings that the part names, in their order (compressors: a:b)
             | part/part                       a mechanism and its main compressor: cbag:0.75/topk:30
             | part+part                       one compressor followed by another: topk:8d+natural
             | name(value, key=value, …)       everything: ef21(topk:30, alpha=0.5)
    value      number | word | "text" | true | false | none | part | (value, value, …)

A text has one reading: what stands behind its last slash outside brackets is the main compressor of the part that it
begins with, and a part within it that has a compressor of its own is written in brackets where no slash follows.
What a value is read as, its annotation says. The first four forms are for the command line; a part is written in them
where they say all of it. A compressor alone is also the mechanism EF21 with it.
"""

from __future__ import annotations

from typing import Any

from newtonfl.registry.declared import Maker, main_kind
from newtonfl.registry.methods import coerce_method
from newtonfl.registry.read import read

_EXAMPLES = {"compressor": "a compressor, such as {}/topk:30", "aggregator": "an aggregator, such as {}/median"}
"""What a text that ends before its slash lacks."""


def from_spec(kind: str, spec: str) -> Any:
    """The part that a text names.

    Parameters
    ----------
    kind : {"compressor", "mechanism", "basis", "loss", "nonsmooth", "participation", "graph", "aggregator", "method"}
        What it should be.
    spec : str
        Such as ``"topk:8d"``: see :mod:`newtonfl.registry.spec`.

    Returns
    -------
    Part
        Whose ``to_spec()`` reads as the same part.

    Raises
    ------
    ValueError, TypeError
        If a name is not known (the nearest is named), or a value is none that the part can have.

    Examples
    --------
    >>> from_spec("mechanism", "cbag:0.75/topk:30")
    CBAG(step_uses='after', compressor=TopK(k=30), p=0.75)
    """
    if kind == "method":
        return coerce_method(spec.strip())
    made = read(kind, spec.strip())
    if isinstance(made, Maker):
        lacking = main_kind(made.part)
        raise ValueError(f"{kind}: given {spec!r}, it needs {_EXAMPLES.get(lacking, f'a {lacking}').format(spec)}")
    return made


def coerce(kind: str, value: Any) -> Any:
    """An object as it is, and a text as the part that it names.

    Parameters
    ----------
    kind : str
        What it should be.
    value : Part, str or other
        Only a str is changed.

    Returns
    -------
    Part or other
        `value`, or the part.

    Raises
    ------
    ValueError, TypeError
        As :func:`from_spec`.

    Examples
    --------
    >>> coerce("compressor", "topk:30")
    TopK(k=30)
    """
    return from_spec(kind, value) if isinstance(value, str) else value


def coerce_maker(kind: str, value: Any) -> Any:
    """As :func:`coerce`, where a text may leave out the main compressor: ``mechanism="cbag:0.75"``.

    Parameters
    ----------
    kind : str
        What it should be.
    value : Part, str or other
        Only a str is changed.

    Returns
    -------
    Part, Maker, type or other
        What must be called with the compressor, where it lacks one: the class where nothing else was said.

    Raises
    ------
    ValueError, TypeError
        As :func:`from_spec`.
    """
    if not isinstance(value, str):
        return value
    made = read(kind, value.strip())
    return made.part if isinstance(made, Maker) and not made.values else made
