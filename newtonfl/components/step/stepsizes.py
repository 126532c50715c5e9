"""Step sizes that theory allows, from the problem's constants and the parts'."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from newtonfl.comm.coding import NotFinite
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.model.base import Model
from newtonfl.components.participation import Participation
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.step_size import StepSize
from newtonfl.core.backend import Array, zeros
from newtonfl.mechanisms.constants import is_number
from newtonfl.objectives.base import Problem


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
    def each(self) -> Array:
        """L_i of the functions whose gradients the clients send."""
        inside = float(self.constants.ridge.max()) if self.constants.ridge_inside else 0.0
        return self.constants.client_smoothness() + inside

    @property
    def total(self) -> Array:
        """L_i with the ridge, wherever it is added."""
        return self.each + (0.0 if self.constants.ridge_inside else float(self.constants.ridge.max()))

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
    needs_each : bool
        Whether it needs the clients' own L_i.
    needs_convexity : bool
        Whether the theorem is one about convex functions.
    formula, linear_formula : str
        γ as text: as ``theory`` has it, and for a linear rate where f is μ-strongly convex (or PŁ); None where no such
        theorem is at hand.
    """

    needs_each: ClassVar[bool] = True
    needs_convexity: ClassVar[bool] = False
    formula: ClassVar[str]
    linear_formula: ClassVar[str | None] = None

    @abstractmethod
    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        """γ, and the constants that it was made of by name; ValueError where no theorem covers the components."""

    def named(self, at: StepContext, linear: bool) -> str:
        """The formula for these components."""
        return (self.linear_formula if linear else self.formula) or ""


@dataclass(frozen=True)
class Smooth(StepSizeRule):
    """γ = 1/L: gradient descent."""

    needs_each = False
    formula = linear_formula = "1/L"

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        if at.model.replays:
            return ThreePoint().largest(at, linear)
        return 1.0 / at.smoothness, {"L": at.smoothness}

    def named(self, at: StepContext, linear: bool) -> str:
        return ThreePoint().named(at, linear) if at.model.replays else self.formula


@dataclass(frozen=True)
class ThreePoint(StepSizeRule):
    """γ = 1/(L₋ + L₊√(B/A)), and min{1/(L₋ + L₊√(2B/A)), A/(2μ)} for a linear rate (3PC, arXiv 2202.00998).

    L₋ is L of f, and L₊ = √(mean L_i²). With ``mean`` it is the mean of the L_i: EF21-W (arXiv 2402.10774).

    Where clients replay directions that the server's mechanism sends, with (A_M, B_M), AdaCGD's theorem (arXiv
    2211.00188) takes 6 B_M(B_W + 1)/A_M + (2 B_W/A_W)(1 + 3 B_M(2 - A_W)/A_M) in the place of B/A; its second
    denominator is printed A_M, where its proof has A_W. Twice that, with 6 for 3, serves the linear rate.
    """

    mean: bool = False

    @property
    def formula(self) -> str:  # type: ignore[override]
        return "1/(L + mean(L_i)·√(B/A))" if self.mean else "1/(L + √mean(L_i²)·√(B/A))"

    @property
    def linear_formula(self) -> str:  # type: ignore[override]
        return f"min{{{self.formula.replace('B/A', '2B/A')}, A/(2μ)}}"

    def named(self, at: StepContext, linear: bool) -> str:
        if not at.model.replays:
            return super().named(at, linear)
        theta = f"6B_M(B+1)/A_M + 2B/A·(1 + {6 if linear else 3}B_M(2-A)/A_M)"
        gamma = self.formula.replace("B/A", f"2({theta})" if linear else f"({theta})")
        return f"min{{{gamma}, min(A, A_M)/(2μ)}}" if linear else gamma

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        a, b = at.gradient.constants(at.constants, at.share)
        each = at.total if at.model.replays else at.each
        spread = float(np.mean(each)) if self.mean else float(np.sqrt(np.mean(each**2)))
        constants = {"L": at.smoothness, "L_plus": spread, "A": a, "B": b}
        twice = 2.0 if linear else 1.0
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
class GivenStepSize:
    """A step size as it is given: a number, or a multiple of what theory allows.

    Parameters
    ----------
    number : float
        γ, or the multiple.
    theory : {"", "theory", "theory-pl"}
        Empty where `number` is γ; else which theory: for any smooth f, or for a linear rate under strong convexity or
        the Polyak-Łojasiewicz condition.
    """

    number: float
    theory: str = ""

    @classmethod
    def of(cls, given: object) -> GivenStepSize:
        """Read ``0.1``, ``"theory"``, ``"theory*16"`` or ``"theory-pl*4"``.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        wrong = ValueError(
            f"stepsize: given {given!r}, must be a positive number, 'theory', 'theory-pl' (for a linear rate under "
            "strong convexity), or a multiple such as 'theory*16'"
        )
        word, times, factor = given.partition("*") if isinstance(given, str) else ("", "", given)
        if word not in ("", "theory", "theory-pl") or (word and times and not factor):
            raise wrong
        try:
            number = 1.0 if word and not times else float(factor)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise wrong from None
        if isinstance(given, bool) or (not word and not is_number(given)) or not 0 < number < math.inf:
            raise wrong
        return cls(number, word)

    def check(self, problem: Problem, rule: StepSizeRule) -> None:
        """Refuse a problem without the constants that theory needs, with a ValueError that says which."""
        if self.theory == "theory-pl" and rule.linear_formula is None:
            raise ValueError("stepsize: given theory-pl, and no linear rate of this method is known here: use theory")
        if self.theory and rule.needs_convexity and problem.nonconvex:
            raise ValueError(
                "stepsize: theory of this method needs convex functions, and this problem has the non-convex "
                "regulariser: give stepsize=NUMBER"
            )
        if self.theory:
            problem.curvature_product(zeros(problem.dim, problem.like))
            if rule.needs_each:
                _ = problem.client_smoothness

    def init(self, rule: StepSizeRule, at: StepContext) -> StepSize:
        """γ itself, and what theory says to it; the constants of theory are not asked for where they are not known."""
        if rule.needs_convexity and not at.constants.convex:
            return StepSize(self.number)
        linear = self.theory == "theory-pl"
        try:
            largest, constants = rule.largest(at, linear)
        except ValueError as error:
            if self.theory and isinstance(error, NotFinite):
                raise
            if self.theory:
                raise ValueError(f"stepsize: theory is not known here ({error}): give stepsize=NUMBER") from None
            return StepSize(self.number)
        gamma = self.number * largest if self.theory else self.number
        formula, unsure = rule.named(at, linear), linear and at.convexity == 0
        return StepSize(gamma, largest, formula, constants, _UNSURE if unsure else "")


_UNSURE = "μ is not known to be above 0: the rate is linear where the Polyak-Łojasiewicz condition holds"
