"""The names of all parts: who has registered, and what is loaded when a name is asked for.

The library's own districts are loaded by kind when a name of that kind is first wanted; then come the entry points of
group ``newtonfl.parts`` of other distributions. A file of one's own registers its parts when it is run
(:mod:`newtonfl.registry.parts_file`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from newtonfl.registry.nearest import nearest

GROUP = "newtonfl.parts"
"""Of the entry points: each names a module, or an object in one, whose import registers its parts."""

HOMES: dict[str, str] = {
    "compressor": "newtonfl.compressors",
    "mechanism": "newtonfl.mechanisms",
    "basis": "newtonfl.bases",
    "loss": "newtonfl.objectives.losses",
    "nonsmooth": "newtonfl.objectives.nonsmooth",
    "participation": "newtonfl.components.participation",
    "graph": "newtonfl.components.graph",
    "aggregator": "newtonfl.components.aggregation",
    "method": "newtonfl.methods",
}
"""Every kind of part, and the module that holds the library's own."""


@dataclass(frozen=True)
class Entry:
    """What a name stands for.

    Attributes
    ----------
    made_by : callable
        The part's class, or the function that makes the method.
    values : mapping
        Settings that the name brings along: "symmetric-plain" is Symmetric with isometric = False.
    origin : tuple of str
        Source file and qualified name, by which a new definition of the same differs from another part.
    """

    made_by: Any
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    origin: tuple[str, str] = ("", "")


_ENTRIES: dict[str, dict[str, Entry]] = {kind: {} for kind in HOMES}
_LOADED: set[str] = set()


def register(kind: str, name: str, made_by: Any, values: Mapping[str, Any] | None = None) -> None:
    """Give a part its name.

    Parameters
    ----------
    kind : str
        One of :data:`HOMES`.
    name : str
        Letters, digits and hyphens, small.
    made_by : callable
        The part's class, or the function that makes the method.
    values : mapping or None
        Settings that the name brings along.

    Raises
    ------
    ValueError
        If the kind is none, the name cannot be one, or another part has it. Defining a part anew is allowed.
    """
    if kind not in _ENTRIES:
        raise nearest("kind of part", kind, _ENTRIES)
    if not all(part.isalnum() and part == part.lower() and part.isascii() for part in name.split("-")):
        raise ValueError(f"{kind}: given the name {name!r}, must be small letters, digits and hyphens")
    if not made_by.__module__.startswith("newtonfl."):
        entries(kind, others=False)  # the library's own first: it is the newcomer that is refused
    known, origin = _ENTRIES[kind].get(name), origin_of(made_by)
    if known is not None and known.origin != origin:
        raise ValueError(f"{kind}: the name {name!r} is already that of {_where(known)}")
    _ENTRIES[kind][name] = Entry(made_by, MappingProxyType(dict(values or {})), origin)


def register_method(name: str, function: Any) -> None:
    """Give a function that makes a method its name.

    Parameters
    ----------
    name : str
        Such as ``"newton-3pc"``.
    function : callable
        Of keyword arguments with defaults, whose annotations say what their texts are read as, and whose docstring's
        `Parameters` explain them. `optimum`, which the command line finds itself, needs no default.

    Raises
    ------
    ValueError
        If the name cannot be one, another method has it, or a parameter lacks a default or stands for several.
    """
    if not (hasattr(function, "__module__") and hasattr(function, "__qualname__")):
        raise ValueError(f"method {name}: given {function!r}, must be a function with a name of its own, say by def")
    called = function.__qualname__
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind == parameter.VAR_POSITIONAL else "**"
            raise ValueError(f"method {name}: {called} takes {stars}{key}, must name each of its settings")
        if parameter.default is parameter.empty and key != "optimum":
            raise ValueError(f"method {name}: the parameter {key} of {called} has no default, must have one")
        if parameter.kind == parameter.POSITIONAL_ONLY:
            raise ValueError(f"method {name}: the parameter {key} of {called} must be a keyword's too, without /")
    register("method", name, function)


def arrange(kind: str, names: Iterable[str]) -> None:
    """Put the names of a kind into an order in which they are listed; others that are known come behind.

    Parameters
    ----------
    kind : str
        One of :data:`HOMES`.
    names : iterable of str
        All registered.

    Raises
    ------
    ValueError
        If the kind or a name is not known.
    """
    known = entries(kind, others=False) if kind in _LOADED else _ENTRIES.get(kind, {})
    first = {}
    for name in names:
        if name not in known:
            raise nearest(kind, name, known)
        first[name] = known[name]
    _ENTRIES[kind] = {**first, **known}


def entries(kind: str, *, others: bool = True) -> dict[str, Entry]:
    """The parts of a kind by name.

    Parameters
    ----------
    kind : str
        One of :data:`HOMES`.
    others : bool
        Other distributions' parts are among them.

    Returns
    -------
    dict
        The library's own first.

    Raises
    ------
    ValueError
        If the kind is none.
    """
    if kind not in _ENTRIES:
        raise nearest("kind of part", kind, _ENTRIES)
    if kind not in _LOADED:
        _LOADED.add(kind)  # before, as the home asks for names while it is loaded
        try:
            _load_home(HOMES[kind])
        except BaseException:
            _LOADED.discard(kind)  # so that the next who asks hears the same, not that there are no names
            raise
    if others and GROUP not in _LOADED:
        _LOADED.add(GROUP)
        _load_others()
    return _ENTRIES[kind]


def _load_home(name: str) -> None:
    """Import a module, and every file of a package: a new part of the library is its file alone."""
    home = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(home, "__path__", []), f"{name}."):
        importlib.import_module(found.name)


def find(kind: str, name: str) -> Entry:
    """What a name stands for.

    Parameters
    ----------
    kind : str
        One of :data:`HOMES`.
    name : str
        Such as ``"topk"``.

    Returns
    -------
    Entry
        With the class or function.

    Raises
    ------
    ValueError
        If nothing of that kind has the name; the message says which is nearest.
    """
    own = entries(kind, others=False)
    found = own.get(name) or entries(kind).get(name)
    if found is None:
        raise nearest(kind, name, entries(kind))
    return found


def known(kind: str) -> list[str]:
    """The names of a kind.

    Parameters
    ----------
    kind : {"compressor", "mechanism", "basis", "loss", "nonsmooth", "participation", "graph", "aggregator", "method"}
        Of parts.

    Returns
    -------
    list of str
        The library's own first.

    Raises
    ------
    ValueError
        If the kind is none.
    """
    return list(entries(kind))


def taken_names() -> dict[str, dict[str, Entry]]:
    """Who has which name now, by kind: what :func:`give_back` returns to."""
    return {kind: dict(known) for kind, known in _ENTRIES.items()}


def give_back(file: str, before: Mapping[str, Mapping[str, Entry]]) -> None:
    """Give the names that a file took back to whom they were `before`; what it imported keeps its own."""
    for kind, known in _ENTRIES.items():
        for name in [name for name, entry in known.items() if entry.origin[0] == file]:
            if name in before[kind]:
                known[name] = before[kind][name]
            else:
                del known[name]


def _load_others() -> None:
    """Import what other distributions offer; one that fails is warned of, and the rest goes on."""
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            owner = point.dist.name if point.dist else "a distribution"
            warnings.warn(
                f"{owner}: its entry point {point.name} = {point.value} of group {GROUP} failed: "
                f"{type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )


def origin_of(made_by: Any) -> tuple[str, str]:
    """Source file, or module where there is none, and qualified name of a class or function.

    A file that is loaded here and imported there is two modules, and its parts are the same.
    """
    file = getattr(sys.modules.get(made_by.__module__), "__file__", None)
    return str(Path(file).resolve()) if file else made_by.__module__, made_by.__qualname__


def _where(entry: Entry) -> str:
    """A part as messages name it: within the library by its module, elsewhere with its file."""
    file, name = entry.origin
    module = str(entry.made_by.__module__)
    return f"{module}.{name}" if module.startswith("newtonfl.") or module == file else f"{name} in {file}"
