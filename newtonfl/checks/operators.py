"""Whether a problem's operators are what it states of them: monotone, Lipschitz, and the same whoever else is there."""

from __future__ import annotations

import numpy as np

from newtonfl.checks.evaluate import at, gradients, short, stated
from newtonfl.checks.trials import close, promise
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.base import Problem


def check_operators(problem: Problem, points: list[Array], draw: np.random.Generator) -> None:
    """All that :func:`check_problem` promises of a problem without an f.

    Parameters
    ----------
    problem : Problem
        One with ``is_operator``, all its clients in this process.
    points : list of numpy.ndarray, shape (d,)
    draw : numpy.random.Generator
    """
    for z in points:
        _check_point(problem, z)
        for u in (z + size * draw.standard_normal(problem.dim) for size in (1e-3, 1.0, 10.0)):
            _check_pair(problem, z, u)
    z, own = points[1], np.stack([draw.choice(points) for _ in range(problem.n_clients)])
    expected = np.stack([gradients(problem, point)[i] for i, point in enumerate(own)])
    close(gradients(problem, own), expected, "operator: with one point a client each must be at its own", 1e-12)
    inside = gradients(problem.with_local_ridge(), z)
    close(inside, gradients(problem, z) + problem.ridge * z, "with_local_ridge: every F_i must have λz more", 1e-12)
    everyone = np.arange(problem.n_clients)
    for chosen in (everyone[::-2], everyone[:0], everyone[1::3]):
        promise(
            np.array_equal(gradients(problem.select(chosen), z), gradients(problem, z)[chosen]),
            f"the clients at places {chosen.tolist()} must have the same bits of F_i as among all",
        )


def _check_point(problem: Problem, z: Array) -> None:
    found, shape = gradients(problem, z), (problem.n_clients, problem.dim)
    promise(found.shape == shape, f"operator: shape {found.shape}, must be {shape}")
    for i in np.flatnonzero(~np.isfinite(found).all(axis=1))[:1]:
        promise(False, f"client {problem.clients[i]}: its operator must be finite at z = {short(z)}")
    again = to_host(problem.at_uncached(to_device(z, problem.like)).gradient)
    promise(np.array_equal(again, found), "operator: the same point must give the same bits again")
    promise(np.isnan(to_host(at(problem, z).value)).all(), "a problem of operators must have no values")


def _check_pair(problem: Problem, z: Array, u: Array) -> None:
    """μ of the mean and the L_i, between two points."""
    change, away = gradients(problem, z) - gradients(problem, u), z - u
    square, slack = float(away @ away), 1e-9 * float(np.linalg.norm(change) * np.linalg.norm(away))
    mu = problem.strong_convexity - float(problem.ridge.min())  # less the ridge, as the F_i are
    found = float(change.mean(axis=0) @ away) / square
    promise(
        found >= mu - slack / square,
        f"strong_monotonicity = {mu:.6g}: ⟨F(z) - F(u), z - u⟩ must be at least that times ‖z - u‖², and is "
        f"{found:.6g} times at z = {short(z)}, u = {short(u)}",
    )
    lipschitz = stated(problem, "client_smoothness")
    if lipschitz is None:
        return
    ratios = np.linalg.norm(change, axis=1) / np.sqrt(square)
    for i in np.flatnonzero(ratios > lipschitz * (1.0 + 1e-7) + slack / square)[:1]:
        promise(
            False,
            f"client {problem.clients[i]}: lipschitz = {lipschitz[i]:.6g}, and its operator changes by {ratios[i]:.6g} "
            "times a step",
        )
