"""The parts in a file of one's own, and the check of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import ModuleType
from typing import Any, get_type_hints

from newtonfl import methods, registry
from newtonfl.bases import Basis
from newtonfl.checks.aggregator import check_aggregator
from newtonfl.checks.basis import check_basis
from newtonfl.checks.compressor import check_compressor
from newtonfl.checks.loss import check_loss
from newtonfl.checks.mechanism import check_mechanism
from newtonfl.checks.method import check_method
from newtonfl.checks.participation import check_participation
from newtonfl.checks.problem import check_problem
from newtonfl.components.aggregation import Aggregator
from newtonfl.components.participation import Participation
from newtonfl.compressors import Compressor, TopK
from newtonfl.core.raised import own_line
from newtonfl.mechanisms import EF21, Mechanism
from newtonfl.methods import Method
from newtonfl.objectives.base import Problem
from newtonfl.objectives.losses import Loss
from newtonfl.registry.declared import hints
from newtonfl.registry.lookup import HOMES, entries

CHECKS: dict[type, Callable[[Any], None]] = {
    Compressor: check_compressor,
    Mechanism: check_mechanism,
    Basis: check_basis,
    Loss: check_loss,
    Participation: check_participation,
    Aggregator: check_aggregator,
    Method: check_method,
    Problem: check_problem,
}
"""What checks a part, by what it is an instance of."""


@dataclass(frozen=True)
class Found:
    """A part in a file.

    Attributes
    ----------
    name : str
        What it is called there.
    make : callable or None
        Makes the part; None where more would have to be known.
    skipped : str
        Why it is None, in words.
    """

    name: str
    make: Callable[[], Any] | None
    skipped: str = ""


def check_part(part: Found) -> tuple[str, str]:
    """Make a part, and check it.

    Parameters
    ----------
    part : Found
        With its `make`.

    Returns
    -------
    check : str
        The name of the check; empty where the part could not be made.
    fault : str
        What was broken, in words; empty where nothing is.
    """
    assert part.make is not None
    try:
        made = part.make()
    except Exception as error:  # whatever the file's own code raises
        return "", f"broken: it could not be made: {type(error).__name__}: {error}{_where(error)}"
    check = next((check for kind, check in CHECKS.items() if isinstance(made, kind)), None)
    if check is None:
        return "", f"broken: it returned {type(made).__name__}, must be a Method or a Problem"
    try:
        check(made)
    except AssertionError as error:
        return check.__name__, f"broken: {error}{_where(error)}"
    except Exception as error:
        return check.__name__, f"broken: {type(error).__name__}: {error}{_where(error)}"
    return check.__name__, ""


def _where(error: Exception) -> str:
    """The line of the file that raised what a check found, in brackets; nothing where none did."""
    return f" ({line})" if (line := own_line(error)) else ""


def parts_of(module: ModuleType) -> Iterator[Found]:
    """The parts that a file defines, in its order.

    Parameters
    ----------
    module : module
        The file, loaded.

    Yields
    ------
    Found
        Classes that can be made of nothing, or of a compressor; instances at the file's top level, and in lists, tuples
        and dicts there; functions that make a method; the problem of ``problem()``; and whatever else of the file has a
        name in the registry. Other names that begin with an underscore, and what the file imports, are passed over.
    """
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    kinds = tuple(CHECKS)
    instances = dict(_instances(public, kinds))
    done = [type(value) for value in instances.values()]
    for name, value in public.items():
        for called in (name, *(key for key in instances if key.startswith(f"{name}["))):
            if called in instances:
                yield Found(called, lambda value=instances[called]: value)  # type: ignore[misc]
        if inspect.isclass(value):
            if value.__module__ == module.__name__ and issubclass(value, kinds) and value not in done:
                done.append(value)
                yield _of_class(name, value)
        elif callable(value) and name not in instances and _is_recipe(name, value, module):
            done.append(value)
            yield _of_function(name, value)
    for made_by in _named(module):
        if made_by not in done:
            done.append(made_by)
            name = made_by.__qualname__
            yield _of_class(name, made_by) if inspect.isclass(made_by) else _of_function(name, made_by)


def _instances(public: dict[str, Any], kinds: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """The parts that were made at a file's top level, by what they are called there: ``example``, ``examples[0]``."""
    for name, value in public.items():
        if isinstance(value, kinds):
            yield name, value
        elif type(value) in (list, tuple, dict):
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"{name}[{key!r}]", part) for key, part in inside if isinstance(part, kinds))


def _named(module: ModuleType) -> Iterator[Any]:
    """The classes and functions of a file that have names in the registry: nested ones and private ones too."""
    for kind in HOMES:
        for entry in entries(kind).values():
            if entry.made_by.__module__ == module.__name__:
                yield entry.made_by


def _of_function(name: str, function: Callable[[], Any]) -> Found:
    """A function that makes a method or a problem; by a method's name it is called with what its annotations allow."""

    def make() -> Any:
        hints(function)  # refused here as where it is named
        return function()

    return Found(f"{name}()", make)


def _of_class(name: str, cls: type) -> Found:
    """A class with what it is made of: nothing, or compressors and mechanisms, of which there are examples."""
    if inspect.isabstract(cls):
        lacking = ", ".join(sorted(vars(cls)["__abstractmethods__"]))
        return Found(name, None, f"it does not define {lacking}")
    examples: dict[str, Any] = {}
    try:
        types = hints(cls) if is_dataclass(cls) else {}
    except ValueError as error:
        return Found(name, _refusing(error))
    for field in fields(cls) if is_dataclass(cls) else ():
        if not field.init or field.default is not MISSING or field.default_factory is not MISSING:
            continue
        if types.get(field.name) is Compressor:
            examples[field.name] = TopK("1d")
        elif types.get(field.name) is Mechanism:
            examples[field.name] = EF21(TopK("1d"))
        else:
            why = f"its parameter {field.name} has no default"
            return Found(name, None, f"{why}; give it one, or add an instance to the file: example = {name}(…)")
    needed = [] if is_dataclass(cls) else _without_default(cls)
    if needed:
        why = f"its argument {needed[0]} has no default"
        return Found(name, None, f"{why}; give it one, or add an instance to the file: example = {name}(…)")
    words = ", ".join(f"{key}={value}" for key, value in examples.items())
    return Found(f"{name}({words})", lambda: cls(**examples))


def _refusing(error: ValueError) -> Callable[[], Any]:
    """What fails with an error that was met before the part was made."""

    def make() -> Any:
        raise error

    return make


def _without_default(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call must give."""
    kinds = inspect.Parameter
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is kinds.empty and parameter.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]


def _is_recipe(name: str, function: Any, module: ModuleType) -> bool:
    """Whether a function makes a method or the file's problem, and needs no argument."""
    own = getattr(function, "__module__", None) == module.__name__
    if own and name == "problem":
        return not _without_default(function)
    registered = any(registry.find("method", known).made_by is function for known in registry.known("method"))
    if registered:
        return not any(value is function for value in vars(methods).values())  # the library's own
    try:
        returned = get_type_hints(function).get("return") if own else None
    except (NameError, TypeError):
        return False
    return inspect.isclass(returned) and issubclass(returned, Method) and not _without_default(function)
