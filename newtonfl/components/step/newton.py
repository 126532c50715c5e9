"""Newton steps: w - P⁻¹∇f(w) with P made of the learned Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import NewtonStep, NoStep, Probe, SingularStep
from newtonfl.core.backend import Array, eye, namespace, to_device, to_host, zeros
from newtonfl.kernels import SubspaceSum, cholesky, cholesky_solve, eigh, is_even
from newtonfl.objectives.base import Problem

_EXACT = 1e-12
"""Of ‖∇f(w)‖: where conjugate gradients stop at the latest."""


@dataclass(frozen=True)
class Plain(NewtonStep):
    """x⁺ = w - (H + D)⁻¹∇f(w), D the server's ridge.

    Where H is kept as a sum of small matrices, :func:`newtonfl.kernels.subspaces.way_to_solve` says how: conjugate
    gradients stop at ‖(H + D)p - ∇f(w)‖ ≤ 1e-3·min(1e-3, ‖∇f(w)‖)·‖∇f(w)‖, and no lower than 1e-12·‖∇f(w)‖.
    """

    name: ClassVar[str] = "plain"

    def needs_matrix(self, ridge: Array) -> bool:
        return type(self).matrix is not Plain.matrix

    def parameters(self) -> dict[str, str | float]:
        return {"step": self.name}

    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        solve, _ = self._system(g, hessian, constants)
        direction = solve(0.0)
        if direction is None:
            raise SingularStep("the matrix of the step is not positive definite")
        return g.point - direction

    def fallback_direction(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        # A hair on the diagonal makes the step run far along the directions without curvature, and the search says how
        # far. Where losses are flat or straight (Huber's far from the data) no other step leaves the place.
        solve, largest = self._system(g, hessian, constants)
        scale = largest() or 1.0
        for digits in (10, 6, 2):
            direction = solve(10.0**-digits * scale)
            if direction is not None:
                return g.point - direction
        return super().fallback_direction(g, hessian, constants)

    def _system(
        self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants
    ) -> tuple[Callable[[float], Array | None], Callable[[], float]]:
        """hair → (P + hair·I)⁻¹∇f(w), None where that matrix is not positive definite; and P's size."""
        apart = hessian.form
        if isinstance(apart, SubspaceSum) and not self.needs_matrix(constants.ridge):
            added = np.zeros(constants.dim)
            for entries in self.diagonals(hessian, constants):
                added = added + entries
            norm = float(np.linalg.norm(to_host(g.gradient)))
            relative = _EXACT if g.is_solved_for else max(1e-3 * min(1e-3, norm), _EXACT)
            return lambda hair: self._solved(apart, added + hair, g.gradient, relative), lambda: apart.scale
        matrix = self.matrix(hessian, constants)

        def solve(hair: float) -> Array | None:
            factor = cholesky(matrix + diagonal(hair, constants) if hair else matrix)
            return None if factor is None else cholesky_solve(factor, g.gradient)

        return solve, lambda: float(np.max(np.abs(to_host(matrix)), initial=0.0))

    def _solved(self, apart: SubspaceSum, added: Array, b: Array, relative: float) -> Array | None:
        """(H + D)⁻¹b with the diagonal `added` of D, to `relative`; None where H + D is not positive definite."""
        return apart.solve(added, b, relative)

    def diagonals(self, hessian: HessianEstimate, constants: ProblemConstants) -> list[Array | float]:
        """What is added to H's diagonal, in this order: arrays of shape (d,), or numbers."""
        return [0.0 if constants.ridge_inside else constants.ridge]

    def matrix(self, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        """P, shape (d, d)."""
        matrix = hessian.matrix
        for entries in self.diagonals(hessian, constants):
            matrix = matrix + diagonal(entries, constants)
        return matrix


@dataclass(frozen=True)
class Positive(Plain):
    """x⁺ = w - (H + D)⁻¹∇f(w) with an H that is positive definite by its making, but for rounding: no l·I is needed."""

    name = "positive"
    serves_invariants: ClassVar[bool] = True


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

    def diagonals(self, hessian: HessianEstimate, constants: ProblemConstants) -> list[Array | float]:
        return [*super().diagonals(hessian, constants), hessian.error]


@dataclass(frozen=True)
class Project(Plain):
    """x⁺ = w - ([H]₀ + D)⁻¹∇f(w), D the ridge and [H]₀ the data part's projection onto the positive semidefinite cone.

    That is [H + λI]_λ of Option 1 of FedNL and Newton-3PC, and right where an intercept is not penalised too.
    It can diverge far from the solution with sparse compressors: then use shift. Where H is kept as a sum of small
    matrices and D = λI, Lanczos finds the step as a function of H times ∇f, to the same tolerance.
    """

    name = "project"

    def needs_matrix(self, ridge: Array) -> bool:
        return not is_even(ridge)

    def _solved(self, apart: SubspaceSum, added: Array, b: Array, relative: float) -> Array | None:
        found = apart.solve_projected(float(added[0]), b, relative)
        if found is None:
            raise NoStep("[H]_λ⁻¹∇f is not found by so many products with H as are made: use step=shift or step=plain")
        return found

    def check(self, problem: Problem) -> None:
        if problem.strong_convexity <= 0 and problem.ridge.max() <= 0:
            raise ValueError(
                f"step=project needs λ > 0, given l2 = {problem.ridge.max():g}: its matrix [H]_λ is singular without. "
                "Give --l2, or use step=shift"
            )

    def matrix(self, hessian: HessianEstimate, constants: ProblemConstants) -> Array:
        data = hessian.matrix
        xp, ridge = namespace(data), diagonal(constants.ridge, constants)
        data = data - ridge if constants.ridge_inside else data
        # [H]₀ = H where H is positive semidefinite. Data Hessians are often singular, hence the hair's breadth.
        hair = 1e-14 * xp.linalg.matrix_norm(data)
        if cholesky(data + hair * diagonal(1.0, constants)) is None:
            values, vectors = eigh(data)
            data = (vectors * xp.clip(values, 0.0, None)) @ vectors.T
        return data + ridge


def diagonal(entries: Array | float, constants: ProblemConstants) -> Array:
    """The matrix with `entries` on its diagonal, shape (d, d)."""
    like = constants.like
    numbers = to_device(np.broadcast_to(np.asarray(entries, np.float64), (constants.dim,)), like)
    return namespace(like).where(eye(constants.dim, like), numbers, zeros((), like))
