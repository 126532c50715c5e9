"""What a user gives for a problem: refused in words where it is none, arguments in the wrong order too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from newtonfl.objectives.base import Problem


def check_problem_argument(problem: Any, call: str = "", other: Any = None) -> None:
    """Refuse what is no Problem.

    Parameters
    ----------
    problem : Problem
        As it was given.
    call : str
        Say "nf.solve(problem, method)", for whom the `other` argument is the problem.
    other : object
        What stood behind it.

    Raises
    ------
    TypeError
        If it is none; the message says how to make one.
    """
    if isinstance(problem, Problem):
        return
    if isinstance(other, Problem):
        raise TypeError(f"problem: given second, must be first: {call}")
    if isinstance(problem, str | Path):
        raise TypeError(f"problem: given {str(problem)!r}, must be a Problem: nf.load({str(problem)!r}) makes it one")
    shown = repr(problem)
    what = shown if len(shown) <= 40 else f"a {type(problem).__name__}"
    raise TypeError(
        f"problem: given {what}, must be a Problem, as nf.load('breast_cancer') or nf.from_arrays(…) returns"
    )
