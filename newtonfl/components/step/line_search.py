"""Backtracking along another step's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.backtracking import Backtracking
from newtonfl.components.step.base import NewtonStep, Probe, SingularStep
from newtonfl.core.backend import Array, to_host
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class LineSearch(NewtonStep):
    """x⁺ = w + γˢd with d another step's direction and s ≥ 0 the least with f(w + γˢd) ≤ f(w) + cγˢ⟨∇f(w), d⟩.

    FedNL-LS (arXiv 2106.02969, Algorithm 3), Newton-3PC-LS (arXiv 2206.03588). One more exchange a round: the direction
    goes down, f_i(w) and f_i at all trial points come up at once. Where none of them will do, the next as many smaller
    steps are asked for. Where the step's matrix is singular it gets a hair on its diagonal: any descent direction can
    be searched.

    Parameters
    ----------
    inner : Step
        Whose direction is searched.
    search : Backtracking
        c, γ, and how many trial steps an exchange asks for.
    """

    inner: NewtonStep
    search: Backtracking
    searches: ClassVar[bool] = True
    sends: ClassVar[str] = "f_i at x and at trial points"

    def needs_matrix(self, ridge: Array) -> bool:
        return self.inner.needs_matrix(ridge)

    @property
    def needs_lipschitz(self) -> bool:  # type: ignore[override]
        return self.inner.needs_lipschitz

    @property
    def needs_error(self) -> bool:  # type: ignore[override]
        return self.inner.needs_error

    @property
    def error_norm(self) -> ErrorNorm | None:
        return self.inner.error_norm

    @property
    def fresh_error(self) -> bool:
        return self.inner.fresh_error

    def check(self, problem: Problem) -> None:
        self.inner.check(problem)

    def parameters(self) -> dict[str, str | float]:
        return {**self.inner.parameters(), **self.search.parameters()}

    def _aim(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        try:
            return self.inner.next(g, hessian, constants, probe)
        except SingularStep:
            return self.inner.fallback_direction(g, hessian, constants)

    def trial_steps(self, first: int) -> Array:
        return self.search.steps(first)

    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        direction = self._aim(g, hessian, constants, probe) - g.point
        slope = float(to_host(g.gradient) @ to_host(direction))
        return g.point + self.search.search(slope, lambda first: probe(direction, first)) * direction
