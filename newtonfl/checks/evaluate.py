"""What a problem's clients know at a point, as NumPy arrays."""

from __future__ import annotations

import numpy as np

from newtonfl.checks.trials import promise
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.base import Point, Problem


def at(problem: Problem, x: Array) -> Point:
    return problem.at(to_device(x, problem.like))


def values(problem: Problem, x: Array) -> Array:
    return to_host(at(problem, x).value)


def gradients(problem: Problem, x: Array) -> Array:
    return to_host(at(problem, x).gradient)


def hessians(problem: Problem, x: Array) -> Array:
    """∇²f_i(x), shape (n, d, d)."""
    point, d = at(problem, x), problem.dim
    return np.reshape([to_host(point.hessian(i)) for i in range(len(problem.clients))], (-1, d, d))


def short(x: Array) -> str:
    return np.array2string(x, precision=3, threshold=6)


def stated(problem: Problem, name: str) -> Array | None:
    """A constant of the clients; None where the problem states none."""
    try:
        found = getattr(problem, name)
    except ValueError:
        return None
    constants = to_host(found)
    n = len(problem.clients)
    promise(constants.shape == (n,), f"{name}: shape {constants.shape}, must be ({n},)")
    for constant in constants[~(constants >= 0)][:1]:
        promise(False, f"{name}: {constant:.6g}, must be at least 0")
    return constants
