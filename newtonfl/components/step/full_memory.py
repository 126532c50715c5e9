"""BFGS: the inverse Hessian that all pairs show, as one matrix on the server."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.step.quasi_newton import Pair, QuasiNewton, dot
from newtonfl.core.backend import Array, eye, namespace
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class FullMemory(QuasiNewton[Array]):
    """B⁺ = (I - syᵀ/⟨s, y⟩) B (I - ysᵀ/⟨s, y⟩) + ssᵀ/⟨s, y⟩, from ⟨s, y⟩/‖y‖² of the first pair times the identity.

    Nocedal and Wright, Numerical Optimization, 2nd edition, (6.17) and (6.20).

    Parameters
    ----------
    search : Interpolation
        The line search.
    """

    def check(self, problem: Problem) -> None:
        triangle(problem.dim).check_memory(0, 2)

    def learn(self, learned: Array | None, pair: Pair) -> Array:
        s, y, sy = pair.s, pair.y, pair.sy
        if learned is None:
            xp = namespace(s)
            learned = sy / pair.yy * xp.astype(eye(s.shape[0], s), xp.float64)
        By = learned @ y
        both = s[:, None] * (By / sy)
        return learned - both - both.T + ((1.0 + dot(y, By) / sy) / sy) * (s[:, None] * s)

    def product(self, learned: Array, vector: Array) -> Array:
        return learned @ vector
