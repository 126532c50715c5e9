"""``@method(name)``: a plain function with typed settings becomes a method that the library knows by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from newtonfl.components.protocol import Method
from newtonfl.methods.docstring import complete
from newtonfl.methods.spec import from_text, to_text
from newtonfl.registry.declared import hints
from newtonfl.registry.lookup import register_method
from newtonfl.registry.nearest import nearest

P = ParamSpec("P")
M = TypeVar("M", bound=Method)

_DEFAULTS: dict[str, Mapping[str, object]] = {}


def method(name: str, shared: Mapping[str, str] = MappingProxyType({})) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Register a function that makes a method; a decorator.

    The function takes keyword-only arguments with types and defaults, and returns the method. From its signature and
    docstring all else follows: an unknown setting is refused with the nearest name, text such as ``"topk:30"`` becomes
    the part that the type asks for, words are held to those that the type lists, and the docstring's Parameters section
    is filled up from `shared`. Type checkers see the function's own signature.

    Parameters
    ----------
    name : str
        As the command line has it; letters, digits and hyphens.
    shared : mapping of str
        What explains the settings that the function's own docstring does not: a table of
        :mod:`newtonfl.methods.settings`.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.fednl(compresor="rank:2")
    Traceback (most recent call last):
        ...
    TypeError: fednl: given 'compresor'; did you mean compressor? (`newtonfl methods fednl` lists them all)
    """

    def decorate(function: Callable[P, M]) -> Callable[P, M]:
        parameters = inspect.signature(function).parameters
        defaults = {key: parameter.default for key, parameter in parameters.items()}

        @wraps(function)
        def make(*args: P.args, **keywords: P.kwargs) -> M:
            for key in keywords:
                if key not in defaults:
                    raise TypeError(nearest(name, key, defaults, name))
            annotations = hints(function)  # resolved only now, for an import has better things to do
            values = {
                key: from_text(key, annotations.get(key, Any), value) for key, value in {**defaults, **keywords}.items()
            }
            made = function(*args, **values)
            if not isinstance(made, Method):
                raise TypeError(f"{name}: its function returned {made!r}, must return a Method")
            words = {key: to_text(value) for key, value in values.items() if key in keywords}
            # What no text can say, such as a vector, is no setting of the command line's.
            words = {key: word for key, word in words.items() if isinstance(word, (str, int, float))}
            return made.made_with({key: word for key, word in words.items() if word != to_text(defaults[key])})

        if function.__doc__ is not None:  # as under python -OO
            make.__doc__ = complete(function.__doc__, shared, {key: repr(value) for key, value in defaults.items()})
        _DEFAULTS[name] = defaults
        register_method(name, make)
        return make

    return decorate


def defaults_of(name: str) -> Mapping[str, object]:
    """The settings of the method `name` and their defaults, as its signature has them; none where nobody made it."""
    return _DEFAULTS.get(name, {})
