"""Part: what has a kind, a name and parameters, and says so once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache, wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from newtonfl.registry import lookup
from newtonfl.registry.declared import hints, holds_parts, parameters
from newtonfl.registry.read import value_of
from newtonfl.registry.write import to_spec


class Part:
    """What a method is made of, or a problem: compressor, mechanism, basis, loss, participation, aggregator.

    A part is a frozen dataclass. Its fields, with their annotations, are its parameters; its docstring's `Parameters`
    say what they mean. Defining a class with a ``name`` registers it, and it is then known to the command line, problem
    files, estimators and strings in Python. Where a parameter is a part, its text does as well: ``CLAG("topk:30")``.

    Attributes
    ----------
    kind : str
        What it is; the kind's base class says so.
    name : str
        What it is called in a text; empty where it is not registered, as a base class is not.
    words : mapping of str to mapping
        Names of its own for some settings: ``{"symmetric-plain": {"isometric": False}}``.
    shorthand : tuple of str, or None
        The parameters that stand behind the colon of a text; None is all of them, in order, but those that only a
        keyword sets, and the main one.
    separator : str
        What stands between them.
    main_field : str or None
        The parameter that stands behind the slash of a text.
    bare : bool
        It is written as its main compressor alone.
    joined_by_plus : bool
        It is written as its first two parameters with a plus between them.
    reads_file : bool
        What stands behind the colon is the path of a file that the class's ``read`` makes the part of.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.TopK("8d").to_spec(), nf.EF21("topk:30", alpha=0.5).to_spec()
    ('topk:8d', 'ef21(topk:30, alpha=0.5)')
    """

    kind: ClassVar[str]
    name: ClassVar[str] = ""
    words: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    shorthand: ClassVar[tuple[str, ...] | None] = None
    separator: ClassVar[str] = ":"
    main_field: ClassVar[str | None] = None
    bare: ClassVar[bool] = False
    joined_by_plus: ClassVar[bool] = False
    reads_file: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check = cls.__dict__.get("__post_init__")
        if check is not None:
            cls.__post_init__ = _after_reading(check)  # type: ignore[method-assign, assignment]
        if isinstance(cls.__dict__.get("name"), str) and cls.name:
            lookup.register(cls.kind, cls.name, cls)
        for word, values in cls.__dict__.get("words", {}).items():
            lookup.register(cls.kind, word, cls, values)

    def __post_init__(self) -> None:
        _read_texts(self)

    def to_spec(self) -> str:
        """The text of this part.

        Returns
        -------
        str
            Such that ``from_spec(kind, text)`` is this part again, with every setting.
        """
        return to_spec(self)

    def unwrapped(self) -> Self | Any:
        """This part as a user gave it: without what a solve puts around it."""
        return self

    def __str__(self) -> str:
        return to_spec(self.unwrapped())

    if not TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any:
            if key in ("text", "spoken"):
                warnings.warn(f"{key}: str(part) says it, and to_spec() everything", DeprecationWarning, stacklevel=2)
                return str(self)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")


def _after_reading(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """A class's own checks of its settings, after texts among them became parts."""

    @wraps(check)
    def read_and_check(self: Any) -> None:
        _read_texts(self)
        check(self)

    return read_and_check


@cache
def _fields_of_parts(cls: type) -> tuple[str, ...]:
    return tuple(key for key in parameters(cls) if holds_parts(hints(cls).get(key)))


def _read_texts(part: Any) -> None:
    """Make parts of the texts that stand where parts belong."""
    for key in _fields_of_parts(part.__class__):
        value = getattr(part, key)
        if isinstance(value, str) or (isinstance(value, (tuple, list)) and any(isinstance(v, str) for v in value)):
            object.__setattr__(part, key, value_of(part, key, value))
