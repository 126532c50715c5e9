"""What a user gives for a method: a Method or its text; all else is refused with what was meant."""

from __future__ import annotations

from typing import Any

from newtonfl.components.protocol import Method
from newtonfl.registry.methods import coerce_method
from newtonfl.registry.part import Part

_TAKERS = {
    **dict.fromkeys(("compressor", "mechanism", "basis", "participation"), "newton_3pc"),
    "graph": "lead",
    "aggregator": "robust_newton",
}
"""By kind of part, a method that takes one."""


def as_method(value: Any) -> Method:
    """The method that an argument is or names.

    Parameters
    ----------
    value : Method or str
        Say ``nf.newton_3pc()``, or "NAME[,KEY=VALUE…]".

    Returns
    -------
    Method
        As it is, or as the text says.

    Raises
    ------
    TypeError
        If it is neither; the message says what it is, and what to give.
    ValueError
        If the text names no method or setting.
    """
    if isinstance(value, Method):
        return value
    if isinstance(value, str) and value.strip():
        made: Method = coerce_method(value)
        return made
    if isinstance(value, Part):
        taker = _TAKERS.get(value.kind)
        takes = f"; a method takes it as a setting, as in nf.{taker}({value.kind}=…)" if taker else ""
        raise TypeError(f"method: given {value!r}, a {value.kind}, must be a Method{takes}")
    name = getattr(value, "__name__", "")
    if callable(value) and name:
        call = f"nf.{name}()" if value.__module__.startswith("newtonfl.") else f"{name}()"
        raise TypeError(f"method: given {name} itself, must be a Method, such as {call} returns")
    words = "none" if value is None or value == "" else repr(value)
    raise TypeError(
        f"method: given {words}, must be a Method such as nf.newton_3pc(), or its text such as 'newton-3pc'"
    )
