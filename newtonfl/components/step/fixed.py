"""Steps of fixed size: plain, with momentum, and accelerated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from newtonfl.components.curvature.base import Preconditioner, StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import Probe, Step
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import Smooth, StepContext, StepSizeRule
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, zeros
from newtonfl.objectives.base import Problem


@dataclass
class FixedStepState:
    """What a step of fixed size remembers.

    Attributes
    ----------
    step_size : StepSize
    vector : array, shape (d,), or None
        The momentum v, or the point q at which gradients are asked for.
    last : array, shape (d,), or None
        The iterate before.
    """

    step_size: StepSize
    vector: Array | None = None
    last: Array | None = None


@dataclass(frozen=True)
class Fixed(Step[FixedStepState]):
    """x⁺ = w - γ∇f(w), or w - γP⁻¹∇f(w) where a curvature hands on P⁻¹.

    Parameters
    ----------
    stepsize : float or str
        γ, or ``"theory"``, ``"theory-pl"`` or a multiple of one such as ``"theory*16"``.
    rule : StepSizeRule
        What theory allows.
    """

    stepsize: float | str = "theory"
    rule: StepSizeRule = field(default_factory=Smooth)
    needs_hessian: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        StepSizeSetting.of(self.stepsize)

    def step_size(self, state: FixedStepState) -> StepSize:
        return state.step_size

    def parameters(self) -> dict[str, str | float]:
        return {"stepsize": self.stepsize}

    def check(self, problem: Problem) -> None:
        StepSizeSetting.of(self.stepsize).check(problem, self.rule)

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> FixedStepState:
        return FixedStepState(StepSizeSetting.of(self.stepsize).init(self.rule, context))

    def update(
        self,
        state: FixedStepState,
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, FixedStepState]:
        return g.point - state.step_size.stepsize * _direction(g, hessian), state


def _direction(g: GradientEstimate, hessian: StepMatrix) -> Array:
    return hessian.product(g.gradient) if isinstance(hessian, Preconditioner) else g.gradient


@dataclass(frozen=True)
class HeavyBall(Fixed):
    """v ← ηv + g and x⁺ = x - γv (EF21-HB, arXiv 2110.03294).

    Parameters
    ----------
    eta : float
        η in [0, 1).
    """

    eta: float = 0.5
    replayable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.eta) or not 0 <= self.eta < 1:
            raise ValueError(f"eta: given {self.eta!r}, must be a number of at least 0 and below 1")

    def parameters(self) -> dict[str, str | float]:
        return {**super().parameters(), "eta": self.eta}

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> FixedStepState:
        return FixedStepState(super().init(constants, context, x0).step_size, zeros(constants.dim, constants.like))

    def update(
        self,
        state: FixedStepState,
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, FixedStepState]:
        assert state.vector is not None
        v = self.eta * state.vector + _direction(g, hessian)
        return g.point - state.step_size.stepsize * v, FixedStepState(state.step_size, v)


@dataclass(frozen=True)
class Accelerated(Fixed):
    """y⁺ = q - γ∇f(q) and q⁺ = y⁺ + β(y⁺ - y), with β = (1 - √(γμ))/(1 + √(γμ)) (Nesterov, 2004, section 2.2).

    The iterate is y; clients are asked at q. f(y^k) - f* ≤ (1 - √(μ/L))ᵏ (f(x⁰) - f* + μ/2‖x⁰ - x*‖²) for γ = 1/L.

    Parameters
    ----------
    mu : float or "theory"
        μ; ``theory`` is what the ridge guarantees.
    """

    mu: float | Literal["theory"] = "theory"
    needs_convexity: ClassVar[bool] = True
    replayable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.mu, str):
            right = self.mu == "theory"
        else:
            right = is_number(self.mu) and 0 <= self.mu < math.inf
        if not right:
            raise ValueError(f"mu: given {self.mu!r}, must be 'theory' or a finite number of at least 0")

    def parameters(self) -> dict[str, str | float]:
        return {**super().parameters(), "mu": self.mu}

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> FixedStepState:
        return FixedStepState(super().init(constants, context, x0).step_size, x0, x0)

    def query_point(self, state: FixedStepState, x: Array) -> Array:
        assert state.vector is not None
        return state.vector

    def update(
        self,
        state: FixedStepState,
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, FixedStepState]:
        gamma = state.step_size.stepsize
        mu = constants.strong_convexity if isinstance(self.mu, str) else self.mu
        root = math.sqrt(gamma * mu)
        y = g.point - gamma * _direction(g, hessian)
        return y, FixedStepState(state.step_size, y + (1.0 - root) / (1.0 + root) * (y - state.last), y)
