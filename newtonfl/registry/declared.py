"""What a part declares, read off its class: parameters, their types, and which of them stand where in its text."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from newtonfl.registry.lookup import HOMES, Entry, entries, origin_of


def hints(part: Any) -> Mapping[str, Any]:
    """The resolved annotations of a class or function; none of what has none.

    Raises
    ------
    ValueError
        If an annotation names what cannot be found.
    """
    return _hints(part)


@cache
def _hints(part: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(part)
    except TypeError:
        return {}
    except (NameError, AttributeError) as error:
        name = getattr(part, "name", "") or part.__name__
        what = f"{getattr(part, 'kind', 'part')} {name}" if isinstance(part, type) else f"function {name}"
        key, words = _unresolved(part)
        raise ValueError(
            f"{what}: its annotation {words!r} of {key} cannot be resolved: import it outside TYPE_CHECKING"
        ) from error


def _unresolved(part: Any) -> tuple[str, str]:
    """The first parameter of a class, its bases' first, or function whose annotation cannot be resolved, and that."""
    for owner in reversed(part.__mro__) if isinstance(part, type) else (part,):
        names = vars(sys.modules[owner.__module__]) if owner.__module__ in sys.modules else {}
        for key, words in vars(owner).get("__annotations__", getattr(part, "__annotations__", {})).items():
            try:
                get_type_hints(type(owner.__name__, (), {"__annotations__": {key: words}}), globalns=dict(names))
            except (NameError, AttributeError):
                return key, str(words)
    return "a parameter", "of some kind"


def parameters(part: type) -> dict[str, Field[Any]]:
    """A part's parameters by name: the fields of its dataclass that its constructor takes."""
    return {field.name: field for field in fields(part) if field.init} if is_dataclass(part) else {}


def default(field: Field[Any]) -> Any:
    """What a parameter is when nothing is said; ``MISSING`` where something must be."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def main_field(part: type) -> str | None:
    """The parameter that stands behind a slash, where there is one."""
    key: str | None = getattr(part, "main_field", None)
    return key if key in parameters(part) else None


def main_kind(part: type) -> str:
    """What stands behind a slash, where something does: a compressor, say."""
    annotation = hints(part)[str(main_field(part))]
    return str(kind_of(get_args(annotation)[0] if is_tuple(annotation) else annotation))


def shorthand(part: type) -> tuple[str, ...]:
    """The parameters that stand behind the colon."""
    declared: tuple[str, ...] | None = getattr(part, "shorthand", None)
    if declared is not None:
        return declared
    main = main_field(part)
    return tuple(key for key, field in parameters(part).items() if key != main and not field.kw_only)


def joins(part: type) -> bool:
    return bool(getattr(part, "joined_by_plus", False))


def registered(part: Any) -> bool:
    own = entries(part.kind).get(part.name)
    return own is not None and (own.made_by is type(part) or own.origin == origin_of(type(part)))


def is_tuple(annotation: Any) -> bool:
    """Whether a value of that annotation is a tuple."""
    return get_origin(annotation) is tuple


def kind_of(annotation: Any) -> str | None:
    """The kind of part that an annotation names."""
    kind = getattr(annotation, "kind", None) if isinstance(annotation, type) else None
    return kind if isinstance(kind, str) and kind in HOMES else None


def holds_parts(annotation: Any) -> bool:
    """Whether values of that annotation are parts, tuples of them, or may be."""
    return kind_of(annotation) is not None or any(holds_parts(inner) for inner in get_args(annotation))


def bare_part(kind: str) -> Any:
    """The part of a kind that is written as its main compressor alone; None where there is none."""
    return next((entry.made_by for entry in entries(kind).values() if getattr(entry.made_by, "bare", False)), None)


def readable(kind: str) -> dict[str, Entry]:
    """What a text of a kind may begin with: its names, and those of what stands for a part of it alone."""
    bare = bare_part(kind)
    other = kind_of(hints(bare)[str(main_field(bare))]) if bare is not None else None
    return {**(entries(other) if other else {}), **entries(kind)}


def alternatives(annotation: Any) -> list[Any]:
    """The types that a union is of; one alone is its own."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [choice for inner in get_args(annotation) for choice in alternatives(inner)]
    return [annotation]


def names_of(kind: str, classes: list[type]) -> list[str]:
    """The names of all parts of these classes."""
    return [name for name, entry in entries(kind).items() if issubclass(entry.made_by, tuple(classes))]


def is_callable(annotation: Any) -> bool:
    return get_origin(annotation) is not None and getattr(get_origin(annotation), "__name__", "") == "Callable"


def as_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


@dataclass(frozen=True)
class Maker:
    """A part that lacks its main compressor: called with one, it is made.

    Attributes
    ----------
    part : type
        The mechanism's class.
    values : tuple of (str, value)
        Its other settings; a mechanism among them may lack its compressor too, and gets the same one.
    """

    part: type
    values: tuple[tuple[str, Any], ...] = ()

    def __call__(self, main: Any) -> Any:
        """The part with `main`, say a compressor, in its place."""
        values = {key: value(main) if isinstance(value, Maker) else value for key, value in self.values}
        key = main_field(self.part)
        assert key is not None
        values[key] = (*values.get(key, ()), main) if is_tuple(hints(self.part)[key]) else main
        return self.part(**values)
