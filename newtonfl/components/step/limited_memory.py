"""L-BFGS: the step learns the inverse Hessian from how the last few gradients differ. Nothing of a Hessian is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from newtonfl.components.curvature.base import StepMatrix
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import NoStep, Probe, Step
from newtonfl.components.step.interpolation import Interpolation
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.backend import Array, to_host

_EPS = float(np.finfo(np.float64).eps)


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
class LimitedMemoryState:
    """What the step remembers.

    Attributes
    ----------
    pairs : tuple of Pair
        The last ones, the oldest first.
    last : GradientEstimate or None
        (w, ∇f(w)) of the round before; None in the first.
    """

    pairs: tuple[Pair, ...] = ()
    last: GradientEstimate | None = None


@dataclass(frozen=True)
class LimitedMemory(Step[LimitedMemoryState]):
    """x⁺ = w - tB∇f(w), B the inverse Hessian of the last pairs s = w⁺ - w, y = ∇f(w⁺) - ∇f(w), by L-BFGS.

    B∇f is the two-loop recursion, which begins with ⟨s, y⟩/‖y‖² of the newest pair times the identity (Nocedal and
    Wright, Numerical Optimization, 2nd edition, Algorithm 7.4); t is nearly the best: with t = 1 wherever that makes f
    fall, it takes twice as many rounds. A pair without curvature, ⟨s, y⟩ ≤ eps·‖y‖², is left out, so that B stays
    positive definite. Without any pair the step tried has length 1, or where f has been straight along the last step
    twice that one's length.

    Parameters
    ----------
    memory : int
        How many pairs are kept, at least 1.
    search : Interpolation
        The line search: one more exchange a round, as in :class:`newtonfl.components.step.line_search.LineSearch`.
    """

    memory: int = 10
    search: Interpolation = field(default_factory=lambda: Interpolation(0.5, 3))
    needs_hessian: ClassVar[bool] = False
    searches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not isinstance(self.memory, int | np.integer) or self.memory < 1:
            raise ValueError(f"memory: given {self.memory!r}, must be a whole number of at least 1")

    def parameters(self) -> dict[str, str | float]:
        return {"memory": self.memory, "line_search": self.search.trials, "backtrack": self.search.gamma}

    def init(self, constants: ProblemConstants, context: StepContext, x0: Array) -> LimitedMemoryState:
        return LimitedMemoryState()

    def trial_steps(self, first: int) -> Array:
        return self.search.steps(first)

    def update(
        self,
        state: LimitedMemoryState,
        g: GradientEstimate,
        hessian: StepMatrix,
        constants: ProblemConstants,
        probe: Probe,
    ) -> tuple[Array, LimitedMemoryState]:
        pairs, length = self._pairs(state, g)
        direction = -(inverse_product(pairs, g.gradient) if pairs else _of_length(length, g.gradient))
        slope = _dot(g.gradient, direction)
        if slope == 0.0:
            return g.point, state
        try:
            step = self.search.search(slope, lambda first: probe(direction, first))
        except NoStep:
            if not pairs:
                raise
            # Pairs of gradients that were estimates, or rounded, have misled: begin anew from here.
            return g.point, LimitedMemoryState()
        return g.point + step * direction, LimitedMemoryState(pairs, g)

    def _pairs(self, state: LimitedMemoryState, g: GradientEstimate) -> tuple[tuple[Pair, ...], float]:
        """The pairs with the newest, and how long a step without any shall be."""
        if state.last is None:
            return state.pairs, 1.0
        s, y = g.point - state.last.point, g.gradient - state.last.gradient
        pair = Pair(s, y, _dot(s, y), _dot(y, y))
        kept = (*state.pairs, pair) if pair.sy > _EPS * pair.yy else state.pairs
        return kept[-self.memory :], 2.0 * _dot(s, s) ** 0.5 or 1.0


def inverse_product(pairs: tuple[Pair, ...], vector: Array) -> Array:
    """B times `vector`, shape (d,): Algorithm 7.4."""
    q, alphas = vector, []
    for pair in reversed(pairs):
        alphas.append(_dot(pair.s, q) / pair.sy)
        q = q - alphas[-1] * pair.y
    r = pairs[-1].sy / pairs[-1].yy * q
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + (alpha - _dot(pair.y, r) / pair.sy) * pair.s
    return r


def _of_length(length: float, vector: Array) -> Array:
    norm = _dot(vector, vector) ** 0.5
    return length / norm * vector if norm > 0.0 else vector


def _dot(u: Array, v: Array) -> float:
    return float(to_host(u @ v))
