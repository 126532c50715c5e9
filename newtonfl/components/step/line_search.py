"""Backtracking along another step's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.components.curvature.base import ErrorNorm, HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import NewtonStep, NoStep, Probe, SingularStep
from newtonfl.components.step.trials import slack
from newtonfl.core.backend import Array, to_host
from newtonfl.mechanisms.constants import is_number
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class LineSearch(NewtonStep):
    """x⁺ = w + γˢd with d another step's direction and s ≥ 0 the least with f(w + γˢd) ≤ f(w) + cγˢ⟨∇f(w), d⟩.

    FedNL-LS (arXiv 2106.02969, Algorithm 3), Newton-3PC-LS (arXiv 2206.03588). One more exchange a round: the direction
    goes down, f_i(w) and f_i at all trial points come up at once. Where none of them will do, the next as many smaller
    steps are asked for. A few ulps of f are forgiven, for near the solution rounding alone decides. Where the step's
    matrix is singular it gets a hair on its diagonal: any descent direction can be searched.

    Parameters
    ----------
    inner : Step
        Whose direction is searched.
    c : float
        c in (0, ½].
    gamma : float
        γ in (0, 1).
    trials : int
        How many trial steps an exchange asks for.
    """

    inner: NewtonStep
    c: float = 0.5
    gamma: float = 0.5
    trials: int = 20
    searches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not is_number(self.c) or not 0 < self.c <= 0.5:
            raise ValueError(f"armijo: given {self.c}, must be in (0, 0.5]")
        if not is_number(self.gamma) or not 0 < self.gamma < 1:
            raise ValueError(f"backtrack: given {self.gamma}, must lie between 0 and 1")

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
        own = {"line_search": self.trials, "armijo": self.c, "backtrack": self.gamma}
        return {**self.inner.parameters(), **own}

    def _aim(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        try:
            return self.inner.next(g, hessian, constants, probe)
        except SingularStep:
            return self.inner.fallback_direction(g, hessian, constants)

    def trial_steps(self, first: int) -> Array:
        return np.concatenate(([0.0], self.gamma ** np.arange(first, first + self.trials, dtype=float)))

    def next(self, g: GradientEstimate, hessian: HessianEstimate, constants: ProblemConstants, probe: Probe) -> Array:
        direction = self._aim(g, hessian, constants, probe) - g.point
        slope = float(to_host(g.gradient) @ to_host(direction))
        first = 0
        while self.gamma**first > np.finfo(float).tiny:
            steps, values = self.trial_steps(first), probe(direction, first)
            good = np.flatnonzero(values[1:] <= values[0] + self.c * steps[1:] * slope + slack(float(values[0])))
            if len(good):
                return g.point + float(steps[1 + good[0]]) * direction
            first += self.trials
        raise NoStep("no trial step along the direction is good enough")
