"""Step sizes that theory allows, from the problem's constants and the parts'."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from newtonfl.components.gradient.base import Gradient
from newtonfl.components.model.base import Model
from newtonfl.components.participation import Participation
from newtonfl.components.protocol import ProblemConstants
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class StepContext:
    """What a rule may look at: the problem's constants and the other components."""

    constants: ProblemConstants
    gradient: Gradient[Any, Any]
    model: Model[Any, Any]
    participation: Participation

    @property
    def share(self) -> float:
        """How likely a client is to take part in a round."""
        return self.participation.share(self.constants.n_clients)

    @cached_property
    def smoothness(self) -> float:
        """L of f, the ridge included."""
        return _above_zero(self.constants.smoothness())

    @cached_property
    def client_smoothness(self) -> Array:
        """L_i of the functions whose gradients the clients send."""
        inside = float(self.constants.ridge.max()) if self.constants.ridge_inside else 0.0
        return self.constants.client_smoothness() + inside

    @property
    def total(self) -> Array:
        """L_i with the ridge, wherever it is added."""
        return self.client_smoothness + (0.0 if self.constants.ridge_inside else float(self.constants.ridge.max()))

    @property
    def most(self) -> float:
        """The largest L_i, with the ridge."""
        return _above_zero(float(self.total.max()))

    @property
    def convexity(self) -> float:
        """μ."""
        return self.constants.strong_convexity


def _above_zero(smoothness: float) -> float:
    if not smoothness > 0:
        raise ValueError("L is 0, f has no curvature")
    return smoothness


class StepSizeRule(ABC):
    """The largest step size that a theorem allows.

    Attributes
    ----------
    needs_smoothness, needs_client_smoothness, needs_row_smoothness : bool
        Whether it needs L of f, the clients' own L_i, and the ℒ_i of their rows.
    needs_convexity : bool
        Whether the theorem is one about convex functions.
    formulas : dict of str to str
        The theories at hand by the setting's word, with γ as text: ``theory`` for smooth f, ``theory-pl`` for a linear
        rate where f is μ-strongly convex (or PŁ), ``theory-convex`` for O(1/T) in f where the f_i are convex,
        ``theory-mean`` with the mean of the L_i.
    """

    needs_smoothness: ClassVar[bool] = True
    needs_client_smoothness: ClassVar[bool] = True
    needs_row_smoothness: ClassVar[bool] = False
    needs_convexity: ClassVar[bool] = False
    formulas: ClassVar[dict[str, str]]

    @abstractmethod
    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        """γ by one of the theories, and the constants that it was made of by name.

        Raises
        ------
        ValueError
            Where no theorem covers the components.
        """

    def named(self, at: StepContext, theory: str) -> str:
        """The formula for these components."""
        return self.formulas[theory]


@dataclass(frozen=True)
class Smooth(StepSizeRule):
    """γ = 1/L: gradient descent."""

    needs_client_smoothness = False
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "1/L")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        if at.model.replays:
            return ThreePoint().largest(at, theory)
        return 1.0 / at.smoothness, {"L": at.smoothness}

    def named(self, at: StepContext, theory: str) -> str:
        return ThreePoint().named(at, theory) if at.model.replays else super().named(at, theory)


_PLAIN = "1/(L + √mean(L_i²)·√(B/A))"
_MEAN = "1/(L + mean(L_i)·√(B/A))"


@dataclass(frozen=True)
class ThreePoint(StepSizeRule):
    """γ = 1/(L₋ + L₊√(B/A)), and min{1/(L₋ + L₊√(2B/A)), A/(2μ)} for a linear rate (3PC, arXiv 2202.00998).

    L₋ is L of f, and L₊ = √(mean L_i²). With ``mean`` it is the mean of the L_i: EF21-W (arXiv 2402.10774). Where the
    f_i are convex and the iterates bounded, 1/(L₋ + L₊√(2B/A)) gives f(x^T) - f* = O(1/T) (AdaCGD, arXiv 2211.00188).

    Where clients replay directions that the server's mechanism sends, with (A_M, B_M), AdaCGD's theorem (arXiv
    2211.00188) takes 6 B_M(B_W + 1)/A_M + (2 B_W/A_W)(1 + 3 B_M(2 - A_W)/A_M) in the place of B/A; its second
    denominator is printed A_M, where its proof has A_W. Twice that, with 6 for 3, serves the linear rate.
    """

    mean: bool = False
    formulas: ClassVar[dict[str, str]] = {
        "theory": _PLAIN,
        "theory-pl": f"min{{{_PLAIN.replace('B/A', '2B/A')}, A/(2μ)}}",
        "theory-convex": _PLAIN.replace("B/A", "2B/A"),
    }

    def named(self, at: StepContext, theory: str) -> str:
        if not at.model.replays:
            plain = self.formulas[theory]
            return plain.replace("√mean(L_i²)", "mean(L_i)") if self.mean else plain
        linear = theory == "theory-pl"
        theta = f"6B_M(B+1)/A_M + 2B/A·(1 + {6 if linear else 3}B_M(2-A)/A_M)"
        gamma = (_MEAN if self.mean else _PLAIN).replace("B/A", f"2({theta})" if linear else f"({theta})")
        return f"min{{{gamma}, min(A, A_M)/(2μ)}}" if linear else gamma

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        linear = theory == "theory-pl"
        if at.model.replays and theory in ("theory-convex", "theory-mean"):
            raise ValueError(f"the theorem of {theory} has clients that receive the iterate itself, down=exact")
        if at.share < 1.0 and theory in ("theory-convex", "theory-mean"):
            raise ValueError(f"the theorem of {theory} has all clients take part in every round")
        if not at.gradient.exact and theory in ("theory-convex", "theory-mean"):
            raise ValueError(f"the theorem of {theory} has clients that compute ∇f_i itself, batch=full")
        if self.mean and theory == "theory-convex":
            raise ValueError("the theorem of theory-convex weighs all clients alike")
        a, b = at.gradient.constants(at.constants, at.share)
        smoothness = at.total if at.model.replays else at.client_smoothness
        mean = self.mean or theory == "theory-mean"
        spread = float(np.mean(smoothness)) if mean else float(np.sqrt(np.mean(smoothness**2)))
        constants = {"L": at.smoothness, "L_plus": spread, "A": a, "B": b}
        twice = 1.0 if theory in ("theory", "theory-mean") else 2.0
        ratio, least = twice * b / a, a
        directions = at.model.direction_constants(at.constants.dim)
        if directions is not None:
            am, bm = directions
            constants |= {"A_M": am, "B_M": bm}
            inner = 1.0 + twice * 3.0 * bm * (2.0 - a) / am
            ratio, least = twice * (6.0 * bm * (b + 1.0) / am + 2.0 * b / a * inner), min(a, am)
        gamma = 1.0 / (at.smoothness + spread * math.sqrt(ratio))
        if linear and at.convexity > 0:
            gamma, constants["mu"] = min(gamma, least / (2.0 * at.convexity)), at.convexity
        return gamma, constants


@dataclass(frozen=True)
class ErrorFeedback21(ThreePoint):
    """EF21's own, which has a larger step as well: γ = 1/(L₋ + mean(L_i)·√(B/A)) for unweighted EF21.

    "Error Feedback Reloaded" (arXiv 2402.10774): what holds for EF21-W's weights holds for EF21 with the same step.
    """

    formulas: ClassVar[dict[str, str]] = {**ThreePoint.formulas, "theory-mean": _MEAN}
