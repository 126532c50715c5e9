"""Whether a problem's constants hold between points."""

from __future__ import annotations

import numpy as np

from newtonfl.checks.evaluate import gradients, hessians, stated
from newtonfl.checks.trials import promise
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.base import Problem

_EPS = float(np.finfo(np.float64).eps)


def check_constants(problem: Problem, points: list[Array], draw: np.random.Generator) -> None:
    """L_i, L_*i and B_i, where they are stated."""
    smooth = stated(problem, "client_smoothness")
    third = None if problem.regulariser is not None else stated(problem, "hessian_lipschitz")
    try:
        bound = to_host(problem.curvature_product(to_device(np.zeros(problem.dim), problem.like)))
        promise(
            bound.shape == (len(problem.clients), problem.dim),
            f"curvature_product: shape {bound.shape}, must be (n, d)",
        )
    except ValueError:
        bound = None
    local = to_host(problem.local_ridge).max() if problem.local_ridge is not None else 0.0  # the constants are less it
    for x in points:
        tries = [x + size * draw.standard_normal(problem.dim) for size in (1e-5, 1e-2, 1.0)]
        if problem.regulariser is None:
            # Along the leading eigenvectors, where gradients change the most.
            tries += [x + 1e-4 * v for v in np.linalg.eigh(hessians(problem, x))[1][:, :, -1]]
        for y in tries:
            apart = float(np.linalg.norm(y - x))
            if smooth is not None:
                ratios = np.linalg.norm(gradients(problem, y) - gradients(problem, x), axis=1) / apart
                noise = 64.0 * _EPS * np.linalg.norm(gradients(problem, x), axis=1) / apart
                _bounded(problem, ratios - noise, smooth + local, "client_smoothness", "gradient")
            if third is not None:
                change = hessians(problem, y) - hessians(problem, x)
                noise = 64.0 * _EPS * np.abs(hessians(problem, x)).sum(axis=(1, 2)) / apart
                ratios = np.linalg.norm(change, 2, axis=(1, 2)) / apart
                _bounded(problem, ratios - noise, third, "hessian_lipschitz", "Hessian")
            if bound is not None:
                v = (y - x) / apart
                bends = (gradients(problem, y) - gradients(problem, x)) @ v / apart
                most = to_host(problem.curvature_product(to_device(v, problem.like))) @ v
                noise = 64.0 * _EPS * np.linalg.norm(gradients(problem, x)) / apart
                promise(
                    bends.mean() - noise <= (most.mean() + local) * (1 + 1e-7),
                    f"curvature_product: vᵀBv of the clients' mean is {most.mean():.6g}, and the mean gradient changes "
                    f"by {bends.mean():.6g} along v",
                )


def _bounded(problem: Problem, found: Array, bound: Array, name: str, word: str) -> None:
    for i in np.flatnonzero(found > bound * (1 + 1e-7) + 1e-300)[:1]:
        promise(
            False,
            f"client {problem.clients[i]}: {name} = {bound[i]:.6g}, and its {word} changes by {found[i]:.6g} times a "
            "step",
        )
