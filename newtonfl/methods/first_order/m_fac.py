"""M-FAC as a preset: gradient descent preconditioned by the last gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.fisher import Algorithm, FisherWindow, Over
from newtonfl.components.step.fixed import Fixed
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Identity
from newtonfl.mechanisms import EF21
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    CompressorForm,
    GradientInit,
    Ridge,
)
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class DampedRule(StepSizeRule):
    """γ = λ/L: P ⪰ λI, so that γP⁻¹ is never more than 1/L.

    Parameters
    ----------
    dampening : float
        λ.
    """

    dampening: float
    needs_client_smoothness = False
    formulas: ClassVar[dict[str, str]] = {"theory": "dampening/L"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        return self.dampening / at.smoothness, {"L": at.smoothness, "dampening": self.dampening}


@method("m-fac", FIRST_ORDER)
def m_fac(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = Identity(),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    window: int = 32,
    dampening: float = 0.01,
    over: Over = "clients",
    algorithm: Algorithm = "dynamic",
) -> Descent:
    """M-FAC (Frantar, Kurtic, Alistarh, arXiv 2107.03356): x⁺ = x - γP⁻¹∇f with P = λI + (1/m) Σ g_j g_jᵀ.

    The window holds the last m gradients: ∇f as the server has it, one a round (``over=aggregate``, the paper's
    optimiser on aggregated gradients), or every client's own g_i, n a round (``over=clients``, this library's: nothing
    more is sent than g_i itself, whole or by EF21 with `compressor`; the server keeps the g_i). Along directions
    to which the window's gradients are orthogonal the step is γ/λ. No theory beyond γ ≤ λ/L is at hand.

    Parameters
    ----------
    compressor : Compressor or str
        The identity sends gradients whole; any other is that of EF21.
    window : int
        m, at least 1.
    dampening : float
        λ > 0.
    over : {"clients", "aggregate"}
        Whose gradients the window holds.
    algorithm : {"dynamic", "static"}
        The paper's "dynamic" renews one row of the window's products, "static" works all out anew: the same numbers up
        to rounding.
    """
    common = FirstOrder.of("m-fac", locals())
    exact = isinstance(common.compressor, Identity)
    mechanism = None if exact else EF21(common.compressor)
    return common.descent(
        common.tracked(mechanism, copies=over == "clients"),
        step=Fixed(stepsize, DampedRule(dampening)),
        curvature=FisherWindow(window, dampening, over, algorithm),
    )
