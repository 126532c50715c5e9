"""Newton steps: w - P⁻¹∇f(w) with P made of the learned Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import NewtonStep, Probe, SingularStep
from newtonfl.core.backend import Array, eye, namespace, to_device, to_host, zeros
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class Plain(NewtonStep):
    """x⁺ = w - (H + D)⁻¹∇f(w), D the server's ridge."""

    name: ClassVar[str] = "plain"

    def parameters(self) -> dict[str, str | float]:
        return {"step": self.name}

    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        factor = cholesky(self.matrix(hessian, constants))
        if factor is None:
            raise SingularStep("the matrix of the step is not positive definite")
        return g.point - cholesky_solve(factor, g.gradient)

    def fallback_direction(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        # A hair on the diagonal makes the step run far along the directions without curvature, and the search says how
        # far. Where losses are flat or straight (Huber's far from the data) no other step leaves the place.
        matrix = self.matrix(hessian, constants)
        largest = float(np.max(np.abs(to_host(matrix)), initial=0.0))
        for digits in (10, 6, 2):
            factor = cholesky(matrix + diagonal(10.0**-digits * (largest or 1.0), constants))
            if factor is not None:
                return g.point - cholesky_solve(factor, g.gradient)
        return super().fallback_direction(g, hessian, constants)

    def matrix(self, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        """P, shape (d, d)."""
        return hessian.matrix + diagonal(0.0 if constants.ridge_inside else constants.ridge, constants)


@dataclass(frozen=True)
class Shift(Plain):
    """x⁺ = w - (H + l·I + D)⁻¹∇f(w), l = (1/n) Σ‖H_i - ∇²f_i‖ (Option 2 of FedNL and Newton-3PC).

    H + l·I ⪰ (1/n) Σ ∇²f_i in either norm, so the step never overshoots for want of curvature.

    Parameters
    ----------
    norm : {"frobenius", "spectral"}
        The papers' statements use the Frobenius norm, their programs the spectral one: fewer rounds, an eigenvalue
        problem a client and round.
    l : {"fresh", "last"}
        Whether a round in which no Hessian is sent needs l_i all the same, and so a Hessian, or uses the last l_i.
    """

    norm: ErrorNorm = "frobenius"
    l: Literal["fresh", "last"] = "fresh"  # noqa: E741 - the papers' letter
    name: ClassVar[str] = "shift"
    needs_error: ClassVar[bool] = True
    serves_invariants: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.norm not in ("frobenius", "spectral") or self.l not in ("fresh", "last"):
            raise ValueError(
                f"shift_norm, l: given {self.norm!r}, {self.l!r}; allowed are frobenius, spectral and fresh, last"
            )

    @property
    def error_norm(self) -> ErrorNorm | None:
        return self.norm

    @property
    def fresh_error(self) -> bool:
        return self.l == "fresh"

    def parameters(self) -> dict[str, str | float]:
        return {"step": self.name, "shift_norm": self.norm, "l": self.l}

    def matrix(self, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        return super().matrix(hessian, constants) + diagonal(hessian.error, constants)


@dataclass(frozen=True)
class Project(Plain):
    """x⁺ = w - ([H]₀ + D)⁻¹∇f(w), D the ridge and [H]₀ the data part's projection onto the positive semidefinite cone.

    That is [H + λI]_λ of Option 1 of FedNL and Newton-3PC, and right where an intercept is not penalised too.
    It can diverge far from the solution with sparse compressors: then use shift.
    """

    name = "project"

    def check(self, problem: Problem) -> None:
        if problem.strong_convexity <= 0 and problem.ridge.max() <= 0:
            raise ValueError(
                f"step=project needs λ > 0, given l2 = {problem.ridge.max():g}: its matrix [H]_λ is singular without. "
                "Give --l2, or use step=shift"
            )

    def matrix(self, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        xp = namespace(hessian.matrix)
        ridge = diagonal(constants.ridge, constants)
        data = hessian.matrix - ridge if constants.ridge_inside else hessian.matrix
        # [H]₀ = H where H is positive semidefinite. Data Hessians are often singular, hence the hair's breadth.
        hair = 1e-14 * xp.linalg.matrix_norm(data)
        if cholesky(data + hair * diagonal(1.0, constants)) is None:
            values, vectors = xp.linalg.eigh(data)
            data = (vectors * xp.clip(values, 0.0, None)) @ vectors.T
        return data + ridge


def diagonal(entries: Array | float, constants: ProblemConstants) -> Array:
    """The matrix with `entries` on its diagonal, shape (d, d)."""
    like = constants.like
    numbers = to_device(np.broadcast_to(np.asarray(entries, np.float64), (constants.dim,)), like)
    return namespace(like).where(eye(constants.dim, like), numbers, zeros((), like))
