"""The setting ``stepsize``: a number, or a multiple of what theory allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from newtonfl.comm.coding import NotFinite
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import zeros
from newtonfl.objectives.base import Problem

THEORIES = ("theory", "theory-pl", "theory-convex", "theory-mean")
_UNSURE = "μ is not known to be above 0: the rate is linear where the Polyak-Łojasiewicz condition holds"
_BOUNDED = "f(x^T) - f* = O(1/T) for convex f_i, where the iterates stay bounded"


@dataclass(frozen=True)
class StepSizeSetting:
    """A step size as a user has set it.

    Parameters
    ----------
    number : float
        γ, or the multiple.
    theory : str
        Empty where `number` is γ; else one of :data:`THEORIES`: for any smooth f; for a linear rate under strong
        convexity or the Polyak-Łojasiewicz condition; for convex f_i; with the mean of the L_i.
    """

    number: float
    theory: str = ""

    @classmethod
    def of(cls, value: object) -> StepSizeSetting:
        """Read ``0.1``, ``"theory"``, ``"theory*16"`` or ``"theory-pl*4"``.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        wrong = ValueError(
            f"stepsize: given {value!r}, must be a positive number, 'theory', 'theory-pl' (for a linear rate under "
            "strong convexity), 'theory-convex', 'theory-mean', or a multiple such as 'theory*16'"
        )
        word, times, factor = value.partition("*") if isinstance(value, str) else ("", "", value)
        if word not in ("", *THEORIES) or (word and times and not factor):
            raise wrong
        try:
            number = 1.0 if word and not times else float(factor)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise wrong from None
        if isinstance(value, bool) or (not word and not is_number(value)) or not 0 < number < math.inf:
            raise wrong
        return cls(number, word)

    def check(self, problem: Problem, rule: StepSizeRule) -> None:
        """Refuse a problem without the constants that theory needs, with a ValueError that says which."""
        if self.theory == "theory-pl" and "theory-pl" not in rule.formulas:
            raise ValueError("stepsize: given theory-pl, and no linear rate of this method is known here: use theory")
        if self.theory and self.theory not in rule.formulas:
            known = ", ".join(rule.formulas)
            raise ValueError(
                f"stepsize: given {self.theory}, and no such theorem of this method is known here: {known}"
            )
        if self.theory and (rule.needs_convexity or self.theory == "theory-convex") and problem.nonconvex:
            raise ValueError(
                "stepsize: theory of this method needs convex functions, and this problem has the non-convex "
                "regulariser: give stepsize=NUMBER"
            )
        if self.theory:
            if rule.needs_smoothness:
                problem.curvature_product(zeros(problem.dim, problem.like))
            if rule.needs_client_smoothness:
                _ = problem.client_smoothness
            if rule.needs_row_smoothness:
                _ = problem.row_smoothness

    def init(self, rule: StepSizeRule, at: StepContext) -> StepSize:
        """γ itself, and what theory says to it; the constants of theory are not asked for where they are not known."""
        if rule.needs_convexity and not at.constants.convex:
            return StepSize(self.number)
        theory = self.theory or "theory"
        try:
            largest, constants = rule.largest(at, theory)
            if not 0.0 < self.number * largest < math.inf:
                raise ValueError(f"it allows steps of {largest:g}, beyond what a double can hold")
        except (ValueError, ArithmeticError) as error:
            if self.theory and isinstance(error, NotFinite):
                raise
            if self.theory:
                beyond = isinstance(error, ArithmeticError)  # constants of 1e-300 or 1e300 leave no quotient
                why = "its constants are beyond what a double can hold" if beyond else error
                raise ValueError(f"stepsize: theory is not known here ({why}): give stepsize=NUMBER") from None
            return StepSize(self.number)
        gamma = self.number * largest if self.theory else self.number
        caveat = _UNSURE if theory == "theory-pl" and at.convexity == 0 else ""
        caveat = _BOUNDED if theory == "theory-convex" else caveat
        return StepSize(gamma, largest, rule.named(at, theory), constants, caveat)
