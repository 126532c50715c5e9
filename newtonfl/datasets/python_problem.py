"""Problems that are Python code: a file with a function ``problem(comm=None)``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newtonfl.comm.transport import Fault, InProcess, Transport
from newtonfl.core.quoting import excerpt, quoted
from newtonfl.core.raised import own_line, shown
from newtonfl.datasets.catalogue import catalogue
from newtonfl.objectives.base import Problem

if TYPE_CHECKING:
    from newtonfl.datasets.problem_file import PythonRun


def known_python(file: PythonRun, path: Path) -> Path:
    """The catalogue's Python problem that a run.toml names; Python from elsewhere runs only when it is given itself.

    Raises
    ------
    ValueError
        If it names another file.
    """
    known = catalogue().get(file.problem)
    if known is None or known.suffix != ".py":
        raise ValueError(
            f"{path}: this run's problem is Python code, {excerpt(file.problem)}, and a settings file does not run "
            "code. Give that path to newtonfl solve, with the [method] and [run] of this file as options"
        )
    return known


@contextmanager
def _refused_by_line(path: Path) -> Iterator[None]:
    """What a file's own code raises becomes a refusal that names its line; what another rank failed at passes."""
    try:
        yield
    except Fault:
        raise
    except SyntaxError as error:
        raise ValueError(f"{shown(error.filename or path)}, line {error.lineno}: not Python: {error.msg}") from None
    except Exception as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
        raise ValueError(f"{own_line(error) or path}: {type(error).__name__}: {error}{notes}") from error


def run_python(path: Path, transport: Transport, arguments: dict[str, Any], device: str) -> Problem:
    """Call ``problem(comm=…)`` of a Python file.

    Parameters
    ----------
    path : Path
    transport : Transport
        Handed to the function; in one process it gets None.
    arguments : dict
        What else it gets, by name.
    device : str
        Must be "cpu": the function decides where its problem lives.

    Raises
    ------
    ValueError, TypeError
        If the file is not Python, its function is missing or takes no such argument, what the file does fails (the
        message names the line), or what it returns is no Problem that is spread over the ranks.
    """
    if device != "cpu":
        raise ValueError(f"device: given {device}, {path.name} builds its problem itself and decides where it lives")
    spec = importlib.util.spec_from_file_location(f"newtonfl_problem_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # find() has seen that it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with _refused_by_line(path):
        spec.loader.exec_module(module)
    make = getattr(module, "problem", None)
    if not callable(make):
        raise ValueError(f"{path}: a Python problem file must define problem(comm=None)")
    for key, value in arguments.items():
        if key not in inspect.signature(make).parameters:
            raise ValueError(
                f"[arguments] {key}: given {quoted(value)}, and problem() of {path} takes no argument of that name"
            )
    with _refused_by_line(path):
        made = make(comm=None if isinstance(transport, InProcess) else transport, **arguments)
    if not isinstance(made, Problem):
        raise TypeError(f"{path}: problem() must return a newtonfl Problem, returned {type(made).__name__}")
    if transport.size > 1 and made.transport is None:
        raise ValueError(f"{path}: problem(comm) must hand comm on, as in FromFunctions(…, transport=comm)")
    made.title = ((module.__doc__ or "").strip() or made.title or path.stem).splitlines()[0]
    return made
