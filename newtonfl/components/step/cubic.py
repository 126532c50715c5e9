"""The cubically regularised step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy

from newtonfl.components.curvature.base import HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import Probe, SingularStep
from newtonfl.components.step.newton import Shift
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.kernels import eigh
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class Cubic(Shift):
    """x⁺ = w + argmin_h ⟨∇f(w), h⟩ + ½⟨(H + l·I + D)h, h⟩ + (M/6)‖h‖³.

    FedNL-CR (arXiv 2106.02969, Algorithm 4), Newton-3PC-CR (arXiv 2206.03588); Nesterov and Polyak (2006).

    Parameters
    ----------
    lipschitz : float or "theory"
        M; ``theory`` is the mean of the clients' L_*i, bounds of the Lipschitz constants of ∇²f_i, sent at the set-up.
    """

    lipschitz: float | Literal["theory"] = "theory"
    name: ClassVar[str] = "cubic"
    needs_error: ClassVar[bool] = False
    serves_invariants: ClassVar[bool] = False

    def needs_matrix(self, ridge: Array) -> bool:
        return True

    @property
    def needs_lipschitz(self) -> bool:  # type: ignore[override]
        return self.lipschitz == "theory"

    def parameters(self) -> dict[str, str | float]:
        return {**super().parameters(), "lipschitz": self.lipschitz}

    def check(self, problem: Problem) -> None:
        if self.lipschitz == "theory":
            _ = problem.hessian_lipschitz  # says so where none is known
        elif not is_number(self.lipschitz) or not 0 <= self.lipschitz < np.inf:
            raise ValueError(f"lipschitz: given {self.lipschitz!r}, must be a number of at least 0 or 'theory'")

    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        m = constants.hessian_lipschitz if isinstance(self.lipschitz, str) else self.lipschitz
        matrix = self.matrix(hessian, constants)
        if not bool(namespace(matrix).all(namespace(matrix).isfinite(matrix))):
            return g.point * np.nan  # of which the solve ends
        values, vectors = eigh(matrix)
        h = cubic_minimiser(to_host(values), to_host(vectors.T @ g.gradient), m)
        return g.point + vectors @ to_device(h, values)


def cubic_minimiser(values: Array, gradient: Array, m: float) -> Array:
    """argmin_h ⟨g, h⟩ + ½ Σ λ_j h_j² + (m/6)‖h‖³ in the eigenvectors' coordinates.

    h = -(Λ + (m r/2) I)⁻¹ g with r = ‖h‖: the secular equation, with one unknown r and one root.

    Raises
    ------
    SingularStep
        If m = 0 and Λ is not positive definite.
    """
    norm = float(np.linalg.norm(gradient))
    if norm == 0.0:
        return np.zeros_like(gradient)
    if not (np.isfinite(norm) and np.isfinite(values).all()):
        return np.full_like(gradient, np.nan)  # of which the solve ends
    with np.errstate(over="ignore", divide="ignore"):
        lowest = max(0.0, float(np.divide(-2.0 * values[0], m))) if values[0] < 0 else 0.0  # Λ + (m r/2) I ⪰ 0
        reach = float(np.divide(np.sqrt(2.0 * norm), np.sqrt(m)))
    if not np.isfinite(lowest + reach):  # m is nothing beside the rest
        if values[0] <= 0:
            raise SingularStep("the matrix of the step is not positive definite")
        return -gradient / values

    def h(r: float) -> Array:
        return -gradient / (values + 0.5 * m * r)

    def excess(r: float) -> float:
        return float(np.linalg.norm(h(r))) / r - 1.0

    high = lowest + reach  # there ‖h(r)‖ ≤ 2‖g‖/(m·reach) = reach ≤ r
    if excess(high) >= 0.0:  # up to rounding it is the root
        return h(high)
    while (low := lowest + 0.5 * reach) > lowest:
        if excess(low) >= 0.0:
            eps = float(np.finfo(float).eps)
            return h(scipy.optimize.brentq(excess, low, high, xtol=low * eps, rtol=4 * eps, maxiter=500))
        high, reach = low, 0.5 * reach
    # The hard case: the gradient has nothing along the lowest eigenvector, and ‖h‖ = lowest needs some of it.
    open_ = values + 0.5 * m * lowest > 1e-12 * abs(float(values[-1]))
    short = np.where(open_, -gradient / np.where(open_, values + 0.5 * m * lowest, 1.0), 0.0)
    length = float(np.linalg.norm(short))
    short[0] += np.sqrt(max(lowest - length, 0.0)) * np.sqrt(lowest + length)
    return short
