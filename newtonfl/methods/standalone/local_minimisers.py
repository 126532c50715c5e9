"""Every client's own minimiser, by its own damped Newton's method: nothing is sent."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.base import Problem

_ROUNDS, _HALVINGS = 25, 12
_SMALL = 1e-5  # a gradient is then small enough for a grid of a half


def local_minimisers(problem: Problem, ridge: Array) -> Array:
    """argmin f_i(x) + ½ Σ_j ridge_j x_j² of every client held here, shape (n, d), roughly.

    Parameters
    ----------
    problem : Problem
        Convex.
    ridge : numpy.ndarray, shape (d,)
        Positive.
    """
    x, unsolved = np.zeros((len(problem.clients), problem.dim)), np.arange(len(problem.clients))

    def values(some: Problem, x: Array) -> Array:
        found: Array = to_host(some.at(to_device(x, some.like)).value) + 0.5 * np.sum(ridge * x**2, axis=1)
        return found

    some = problem
    for _ in range(_ROUNDS):
        here = x[unsolved]
        gradients = to_host(some.at(to_device(here, some.like)).gradient) + ridge * here
        large = np.linalg.norm(gradients, axis=1) > _SMALL
        if not large.any():
            break
        if not large.all():  # those who are done compute nothing more
            unsolved, here, gradients = unsolved[large], here[large], gradients[large]
            some = problem.select(unsolved)
        point, f = some.at(to_device(here, some.like)), values(some, here)
        steps = np.stack([_step(to_host(point.hessian(i)) + np.diag(ridge), g) for i, g in enumerate(gradients)])
        slopes, t = np.sum(gradients * steps, axis=1), np.ones(len(unsolved))
        for _ in range(_HALVINGS):
            high = ~(values(some, here - t[:, None] * steps) <= f - 1e-4 * t * slopes)  # or not a number
            if not high.any():
                break
            t = np.where(high, 0.5 * t, t)
        x[unsolved] = here - t[:, None] * steps
    return x


def _step(hessian: Array, gradient: Array) -> Array:
    """Newton's, or where rounding has left a singular matrix that of its diagonal."""
    try:
        return np.linalg.solve(hessian, gradient)
    except np.linalg.LinAlgError:
        return gradient / np.diag(hessian)
