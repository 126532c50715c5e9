"""Every client's own minimiser, by its own damped Newton's method: nothing is sent."""

from __future__ import annotations

import numpy as np

from newtonfl.components.step.trials import slack
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.objectives.base import Problem

MOST_STEPS = 25
_HALVINGS = 12


def local_minimisers(
    problem: Problem,
    ridge: Array | float,
    x0: Array | float = 0.0,
    linear: Array | float = 0.0,
    steps: int = MOST_STEPS,
    small: float = 0.0,
) -> Array:
    """argmin f_i(x) + ⟨b_i, x⟩ + ½ Σ_j ridge_j x_j² of every client held here, shape (n, d), on the host.

    Each client takes Newton steps of length 1, ½, ¼, …, the first that makes its function fall. It is done once its
    gradient is small enough, or after the whole step whose fall rounding would hide.

    Parameters
    ----------
    problem : Problem
        Convex.
    ridge : numpy.ndarray, shape (d,), or float
        At least 0. Where it is 0 somewhere, the clients whose Hessian is not positive definite have rows of NaN.
    x0 : numpy.ndarray, shape (n, d), or float
        Where the clients begin.
    linear : numpy.ndarray, shape (n, d), or float
        b_i.
    steps : int
        The most steps of a client.
    small : float
        The gradient's norm at which a client is done.
    """
    shape = len(problem.clients), problem.dim
    ridge, x = np.broadcast_to(ridge, problem.dim), np.array(np.broadcast_to(x0, shape))
    linear, left = np.broadcast_to(linear, shape), np.arange(len(x))  # who is not done

    def terms(some: Problem, x: Array) -> Array:
        """What the functions of those who are left are sums of, shape (3, n)."""
        value = to_host(some.at(to_device(x, some.like)).value)
        return np.stack([value, np.sum(linear[left] * x, axis=1), 0.5 * np.sum(ridge * x**2, axis=1)])

    for _ in range(steps):
        some, here = problem.select(left), x[left]
        gradients = to_host(some.at(to_device(here, some.like)).gradient) + linear[left] + ridge * here
        large = np.linalg.norm(gradients, axis=1) > small
        if not large.any():
            break
        if not large.all():  # those who are done compute nothing more
            left, here, gradients = left[large], here[large], gradients[large]
            some = problem.select(left)
        point, before = some.at(to_device(here, some.like)), terms(some, here)
        newton = np.stack([_step(to_host(point.hessian(i)), ridge, g) for i, g in enumerate(gradients)])
        slopes, f, t = np.sum(gradients * newton, axis=1), np.sum(before, axis=0), np.ones(len(left))
        last = ~(slopes > slack(np.sum(np.abs(before), axis=0)))  # or not a number
        for _ in range(_HALVINGS):
            trial = np.where(last[:, None], here, here - t[:, None] * newton)
            high = ~last & ~(np.sum(terms(some, trial), axis=0) <= f - 1e-4 * t * slopes)  # likewise
            if not high.any():
                break
            t = np.where(high, 0.5 * t, t)
        x[left] = here - t[:, None] * newton
        left = left[~last]
        if not len(left):
            break
    return x


def _step(hessian: Array, ridge: Array, gradient: Array) -> Array:
    """Newton's. Where the matrix is not positive definite: that of its diagonal if only rounding says so, else NaN."""
    matrix = hessian + np.diag(ridge)
    factor = cholesky(matrix)
    if factor is not None:
        return cholesky_solve(factor, gradient)
    return gradient / np.diag(matrix) if ridge.all() else np.full_like(gradient, np.nan)
