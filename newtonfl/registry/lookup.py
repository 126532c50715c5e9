"""The names of all parts: who has registered, what is loaded when a name is asked for, and the nearest name.

The library's own districts are loaded by kind when a name of that kind is first wanted; then come the entry points of
group ``newtonfl.parts`` of other distributions, and files that :func:`load_file` is given.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

GROUP = "newtonfl.parts"
"""Of the entry points: each names a module, or an object in one, whose import registers its parts."""

HOMES: dict[str, str] = {
    "compressor": "newtonfl.compressors",
    "mechanism": "newtonfl.mechanisms",
    "basis": "newtonfl.bases",
    "loss": "newtonfl.objectives.losses",
    "participation": "newtonfl.components.participation",
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
    """

    made_by: Any
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_ENTRIES: dict[str, dict[str, Entry]] = {kind: {} for kind in HOMES}
_LOADED: set[str] = set()
_FILES: dict[str, tuple[str, ModuleType]] = {}


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
    known = _ENTRIES[kind].get(name)
    if known is not None and _where(known.made_by) != _where(made_by):
        raise ValueError(f"{kind}: the name {name!r} is already that of {_where(known.made_by)}")
    _ENTRIES[kind][name] = Entry(made_by, MappingProxyType(dict(values or {})))


def register_method(name: str, function: Any) -> None:
    """Give a function that makes a method its name.

    Parameters
    ----------
    name : str
        Such as ``"newton-3pc"``.
    function : callable
        Of keyword arguments, whose annotations say what their texts are read as, and whose docstring's `Parameters`
        explain them.

    Raises
    ------
    ValueError
        If the name cannot be one, or another method has it.
    """
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
        _LOADED.add(kind)
        _load_home(HOMES[kind])
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
    kind : {"compressor", "mechanism", "basis", "loss", "participation", "method"}
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


def nearest(what: str, name: str, names: Iterable[str]) -> ValueError:
    """The error for a name that is not known.

    Parameters
    ----------
    what : str
        What it should have named, say "method".
    name : str
        The name.
    names : iterable of str
        Those that are allowed.

    Returns
    -------
    ValueError
        To be raised; it names the nearest, and all.
    """
    allowed = list(names)
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ValueError(f"{what}: given {name!r}{hint} (allowed are {', '.join(allowed)})")


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file whose parts then have their names, as ``--load FILE.py`` does.

    Parameters
    ----------
    path : str or Path
        The file. Loading the same text again does nothing.

    Returns
    -------
    module
        With what the file defines.

    Raises
    ------
    ValueError
        If the file is no Python, or what it does fails; the message names file and reason.
    OSError
        If it cannot be read.
    """
    found = Path(path).resolve()
    try:
        source = found.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: must be a Python file in UTF-8") from None
    name = f"newtonfl_parts_{found.stem}_{hashlib.blake2b(str(found).encode(), digest_size=6).hexdigest()}"
    if name in _FILES and _FILES[name][0] == source:
        return _FILES[name][1]
    spec = importlib.util.spec_from_loader(name, SourceFileLoader(name, str(found)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their annotations up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    _FILES[name] = (source, module)
    return module


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


def _where(made_by: Any) -> str:
    """Module and name of a class or function, by which a new definition of the same is told from another part."""
    return f"{made_by.__module__}.{made_by.__qualname__}"
