"""Classical error feedback, which EF21 replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EFBV
from newtonfl.mechanisms.constants import contraction
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    CompressorForm,
    Ridge,
)
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class ErrorFeedbackRule(StepSizeRule):
    """γ = δ/(4L).

    Derived here: for γ ≤ 1/(2L), mean ‖∇f(x^t)‖² ≤ 4(f(x⁰) - f*)/(γT) + 8(1-δ)(γL/δ)² max_t mean_i‖∇f_i(x^t)‖²: the
    clients' own gradients, which do not vanish, leave a floor.
    """

    needs_client_smoothness = False
    formulas: ClassVar[dict[str, str]] = {"theory": "δ/(4L)"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EFBV)
        delta = contraction(at.gradient.mechanism.compressor, at.constants.dim)
        return delta / (4.0 * at.smoothness), {"L": at.smoothness, "delta": delta}


@method("error-feedback", FIRST_ORDER)
def error_feedback(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    batch: Batch = "full",
) -> Descent:
    """Classical error feedback (Seide et al., 2014; Stich et al., arXiv 1809.07599): Δ_i = C(e_i + ∇f_i) is sent.

    e_i ← e_i + ∇f_i - Δ_i and x⁺ = x - γ·mean Δ_i. With clients of different data it stops at a distance that shrinks
    with γ: what EF21 mends.
    """
    common = FirstOrder.of("error-feedback", locals())
    gradient = common.tracked(EFBV(common.compressor, 0.0, 1.0), errors=True)
    return common.descent(gradient, rule=ErrorFeedbackRule())
