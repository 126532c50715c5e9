"""Problems whose constants are exact, for the tests that hold theorems to their bounds.

Quadratics whose L, L_i, μ, x* and f* are exact, one with the non-convex regulariser, and a1a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from reference_data import logistic

import newtonfl as nf
from newtonfl.solver.result import Reason

N, DIM, MU, SEEDS = 4, 10, 0.5, 20
BROKEN = {Reason.DIVERGED, Reason.NOT_FINITE}


@dataclass(frozen=True, eq=False)
class Known:
    """A problem and what is true of it: L of f, L_i of what the clients tell, a start, f* (or a lower bound), x*."""

    problem: nf.Problem
    x0: np.ndarray
    smooth: float
    each: np.ndarray
    mu: float
    f_star: float
    x_star: np.ndarray | None

    @property
    def plus(self) -> float:
        """L₊."""
        return float(np.sqrt(np.mean(self.each**2)))

    @property
    def gradients(self) -> np.ndarray:
        """What the clients tell at x⁰."""
        return self.problem.at(self.x0).gradient

    @property
    def at_optimum(self) -> np.ndarray:
        """What the clients tell at x*."""
        return self.problem.at(self.x_star).gradient


@cache
def quadratic(rho: float = 0.0) -> Known:
    """f_i = ½(x - c_i)ᵀH_i(x - c_i), all H_i singular along one vector, so that the ridge is μ exactly.

    With the regulariser f* is a lower bound: that of the quadratic alone.
    """
    draw = np.random.default_rng(7)
    flat = draw.standard_normal(DIM)
    hessians, centres = [], 2.0 * draw.standard_normal((N, DIM))
    for i in range(N):
        basis = np.linalg.qr(np.column_stack([flat, draw.standard_normal((DIM, DIM - 1))]))[0]
        hessians.append(basis @ np.diag([0.0, *np.geomspace(0.1, 1.0, DIM - 1) * (1.0 + i / 2)]) @ basis.T)
    mean = np.mean(hessians, axis=0)
    problem = nf.FromFunctions(
        N, DIM,
        lambda i, x: 0.5 * (x - centres[i]) @ hessians[i] @ (x - centres[i]),
        lambda i, x: hessians[i] @ (x - centres[i]),
        lambda i, x: hessians[i],
        l2=MU, smoothness=mean, client_smoothness=[1.0 + i / 2 for i in range(N)], nonconvex=rho,
    )  # fmt: skip
    pairs = list(zip(hessians, centres, strict=True))
    x_star = np.linalg.solve(mean + MU * np.eye(DIM), np.mean([h @ c for h, c in pairs], axis=0))
    f_star = np.mean([0.5 * (x_star - c) @ h @ (x_star - c) for h, c in pairs]) + MU / 2 * x_star @ x_star
    smooth = np.linalg.eigvalsh(mean)[-1] + MU + 2.0 * rho
    each = 1.0 + np.arange(N) / 2 + 2.0 * rho
    return Known(problem, 3.0 * draw.standard_normal(DIM), smooth, each, MU, f_star, None if rho else x_star)


@cache
def a1a() -> Known:
    problem = logistic("a1a", 16, 100, 123, 1e-3)
    x_star, f_star = nf.optimum(problem)
    bounds = np.stack([problem.curvature_product(e) for e in np.eye(123)], axis=2)
    each = np.linalg.norm(bounds, 2, axis=(1, 2))
    smooth = np.linalg.norm(bounds.mean(axis=0), 2) + 1e-3
    return Known(problem, np.zeros(123), smooth, each, 1e-3, f_star, x_star)


PROBLEMS = {"quadratic": quadratic, "nonconvex": lambda: quadratic(2.0), "a1a": a1a}
KEPT = {"quadratic": 5, "nonconvex": 5, "a1a": 12}
"""K of the sparsifiers."""


def solved(known: Known, method: nf.Method, rounds: int, seed: int = 0) -> nf.Result:
    return nf.solve(known.problem, method, x0=known.x0, tol=0.0, rounds=rounds, seed=seed)


def squares(result: nf.Result) -> float:
    """Σ‖∇f(x^t)‖² over all rounds but the last iterate."""
    return float(sum(record.gradient_norm**2 for record in list(result.history)[:-1]))


def gaps(known: Known, result: nf.Result) -> np.ndarray:
    """f(x^t) - f*."""
    return np.array([record.f for record in result.history]) - known.f_star


def used(result: nf.Result) -> float:
    """γ, as the library tells it: six figures."""
    return float(result.theory[0].split()[1])


def below(values: np.ndarray, bound: np.ndarray | float) -> bool:
    """Whether the mean over the first axis is at most the bound, up to three standard errors."""
    error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return bool(np.all(np.mean(values, axis=0) <= bound + 3.0 * error))


def young(delta: float) -> tuple[float, float]:
    """(A, B) of EF21."""
    a = 1.0 - np.sqrt(1.0 - delta)
    return a, (1.0 - delta) / a


def first_error(known: Known, k: int) -> float:
    """G⁰ of Top-K from zero."""
    ordered = np.sort(known.gradients**2, axis=1)
    return float(np.mean(np.sum(ordered[:, :-k], axis=1)))
