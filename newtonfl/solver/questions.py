"""What the server may ask the clients off the ledger: diagnostics, and constants that theory takes as known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array, to_host
from newtonfl.objectives.base import Problem

Question = Callable[[Problem, Array], Array]
"""(the problem of some clients, x) → an answer on the host, a row a client."""


VALUE, HESSIANS, GRADIENTS, GRADIENT = 0, 1, 2, slice(3, None)
"""The columns of what "evaluate" answers."""


def _evaluate(problem: Problem, x: Array) -> Array:
    """f_i, the numbers of Hessians and of gradients computed so far, and ∇f_i, a row a client."""
    point = problem.at(x)
    value, gradient = to_host(point.value), to_host(point.uncounted_gradient)
    return np.column_stack([value, problem.hessian_counts, problem.gradient_counts, gradient])


def _curvature_product(problem: Problem, v: Array) -> Array:
    return to_host(problem.curvature_product(v))


def _hessians(problem: Problem, x: Array) -> Array:
    """∇²f_i less the ridge as packed triangles, computed apart: the solve neither counts nor remembers it."""
    problem.check_convex("a Hessian")
    point = problem.at_uncached(x)
    point.hessians_counted = True
    packed = point.hessians
    return to_host(packed.values).reshape(len(packed), -1)


def _gradients(problem: Problem, x: Array) -> Array:
    """∇f_i; not numbers where a function of a user's own is not defined at `x`, which is no iterate."""
    try:
        return to_host(problem.at(x).uncounted_gradient)
    except (ArithmeticError, ValueError):
        return np.full((len(problem.clients), problem.dim), np.nan)


def _values(problem: Problem, x: Array) -> Array:
    return to_host(problem.at_uncached(x).value)[:, None]


def _digest(problem: Problem, x: Array) -> Array:
    """What tells a client's function from another's: a hash of the bits of f_i and ∇f_i at `x`."""
    try:
        point = problem.at_uncached(x)
        rows = np.column_stack([to_host(point.value), to_host(point.uncounted_gradient)])
    except (ArithmeticError, ValueError):
        rows = np.full((len(problem.clients), problem.dim + 1), np.nan)
    digests = [hashlib.blake2b(np.ascontiguousarray(row, "<f8").tobytes(), digest_size=16).digest() for row in rows]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(rows), 16)


QUESTIONS: dict[str, Question] = {
    "evaluate": _evaluate,
    "curvature": _curvature_product,
    "trace": lambda problem, x: problem.curvature_trace,
    "smoothness": lambda problem, x: problem.client_smoothness,
    "rows": lambda problem, x: np.column_stack([problem.row_smoothness, problem.rows_per_client]),
    "hessians": _hessians,
    "gradients": _gradients,
    "values": _values,
    "digest": _digest,
}
"""By the name that a call gives."""
