"""Quasi-Newton: the step learns the inverse Hessian from how gradients differ. Nothing of a Hessian is sent."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np

from newtonfl.components.curvature.base import StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import NoStep, Probe, Step
from newtonfl.components.step.interpolation import Interpolation
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.backend import Array, to_device, to_host

_EPS = float(np.finfo(np.float64).eps)

Learned = TypeVar("Learned")


@dataclass(frozen=True)
class Pair:
    """What one step has shown of the Hessian.

    Attributes
    ----------
    s, y : array, shape (d,)
        The step, and the change of the gradient along it.
    sy, yy : float
        ⟨s, y⟩ > 0 and ‖y‖².
    """

    s: Array
    y: Array
    sy: float
    yy: float


@dataclass(frozen=True)
class QuasiNewtonState(Generic[Learned]):
    """What the step remembers.

    Attributes
    ----------
    learned : state of the step, or None
        What the pairs have shown; None before the first.
    last : GradientEstimate or None
        (w, ∇f(w)) of the round before; None in the first.
    """

    learned: Learned | None = None
    last: GradientEstimate | None = None


@dataclass(frozen=True)
class QuasiNewton(Step[QuasiNewtonState[Learned]], Generic[Learned]):
    """x⁺ = w - tB∇f(w), B the inverse Hessian that the pairs s = w⁺ - w, y = ∇f(w⁺) - ∇f(w) show.

    t is nearly the best: with t = 1 wherever that makes f fall, it takes twice as many rounds. A pair without
    curvature, ⟨s, y⟩ ≤ eps·‖y‖², is left out, so that B stays positive definite. Without any pair the step tried has
    length 1, or where f has been straight along the last step twice that one's length.

    Parameters
    ----------
    search : Interpolation
        The line search: one more exchange a round, as in :class:`newtonfl.components.step.line_search.LineSearch`.
    """

    search: Interpolation = field(default_factory=lambda: Interpolation(0.5, 3))
    needs_hessian: ClassVar[bool] = False
    estimates_hessian: ClassVar[bool] = True
    searches: ClassVar[bool] = True

    @abstractmethod
    def learn(self, learned: Learned | None, pair: Pair) -> Learned:
        """What all pairs have shown, the newest being `pair`."""

    @abstractmethod
    def product(self, learned: Learned, vector: Array) -> Array:
        """B times `vector`, shape (d,)."""

    def parameters(self) -> dict[str, str | float]:
        return {"line_search": self.search.trials, "backtrack": self.search.gamma}

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> QuasiNewtonState[Learned]:
        return QuasiNewtonState()

    def hessian_estimate(self, state: QuasiNewtonState[Learned]) -> Array | None:
        if state.learned is None or state.last is None:
            return None
        point = state.last.point
        columns = [self.product(state.learned, to_device(unit, point)) for unit in np.eye(point.shape[0])]
        inverse = np.linalg.inv(np.stack([to_host(column) for column in columns]))
        return np.asarray((inverse + inverse.T) / 2.0)

    def trial_steps(self, first: int) -> Array:
        return self.search.steps(first)

    def update(
        self,
        state: QuasiNewtonState[Learned],
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, QuasiNewtonState[Learned]]:
        learned, length = state.learned, 1.0
        if state.last is not None:
            s, y = g.point - state.last.point, g.gradient - state.last.gradient
            pair, length = Pair(s, y, dot(s, y), dot(y, y)), 2.0 * dot(s, s) ** 0.5 or 1.0
            learned = self.learn(learned, pair) if pair.sy > _EPS * pair.yy else learned
        direction = -(self.product(learned, g.gradient) if learned is not None else _of_length(length, g.gradient))
        slope = dot(g.gradient, direction)
        if slope == 0.0:
            return g.point, state
        try:
            step = self.search.search(slope, lambda first: probe(direction, first))
        except NoStep:
            if learned is None:
                raise
            # Pairs of gradients that were estimates, or rounded, have misled: begin anew from here.
            return g.point, QuasiNewtonState()
        return g.point + step * direction, QuasiNewtonState(learned, g)


def dot(u: Array, v: Array) -> float:
    """⟨u, v⟩."""
    return float(to_host(u @ v))


def _of_length(length: float, vector: Array) -> Array:
    norm = dot(vector, vector) ** 0.5
    return length / norm * vector if norm > 0.0 else vector
