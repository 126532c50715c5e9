"""A step of fixed size that is shortened where it would be long."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from newtonfl.components.curvature.base import StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import Probe
from newtonfl.components.step.fixed import Fixed, FixedStepState
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, to_host
from newtonfl.objectives.base import Problem


@dataclass
class ShortenedStepState(FixedStepState):
    """What a shortened step remembers: its size, and ℓ, how long it may be."""

    longest: float = math.inf


@dataclass(frozen=True)
class Shortened(Fixed):
    """x⁺ = w - min{γ, ℓ/‖∇f(w)‖}∇f(w): no step is longer than ℓ.

    Parameters
    ----------
    longest : float or "theory"
        ℓ, above 0; ``theory`` is `change`/max L_i, and so no client's gradient changes by more than `change` a round.
    change : float
        How far a client's gradient may move.
    """

    longest: float | Literal["theory"] = "theory"
    change: float = math.inf
    replayable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        ell = self.longest
        if not (ell == "theory" if isinstance(ell, str) else is_number(ell) and ell > 0):
            raise ValueError(f"longest: given {ell!r}, must be 'theory', or a number above 0")

    def parameters(self) -> dict[str, str | float]:
        return {**super().parameters(), "longest": self.longest}

    def check(self, problem: Problem) -> None:
        super().check(problem)
        if self.longest == "theory":
            try:
                _ = problem.client_smoothness
            except ValueError as error:
                raise ValueError(f"longest: theory is not known here ({error}): give longest=NUMBER") from None

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> ShortenedStepState:
        step_size = super().init(constants, context, x0).step_size
        if self.longest != "theory":
            return ShortenedStepState(step_size, longest=float(self.longest))
        largest = float(context.client_smoothness.max())
        longest = self.change / largest if largest > 0 else math.inf
        return ShortenedStepState(replace(step_size, caveat=f"no step is longer than {longest:.6g}"), longest=longest)

    def update(
        self,
        state: FixedStepState,
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, FixedStepState]:
        assert isinstance(state, ShortenedStepState)
        gamma, length = state.step_size.stepsize, float(np.linalg.norm(to_host(g.gradient)))
        return g.point - (gamma if gamma * length <= state.longest else state.longest / length) * g.gradient, state
