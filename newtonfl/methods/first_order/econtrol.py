"""EControl: error feedback with EF21's memory and its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EControl
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, Batch, CompressorForm, GradientInit, Ridge, TheoryOr
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class EControlRule(StepSizeRule):
    """γ = 1/(L + L̃G) with L̃² = mean L_i² and G of :class:`newtonfl.mechanisms.EControl`; of η = 0 EF21's.

    Derived here, for whole gradients: mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT), and G²·mean ‖∇f_i(x⁰)‖²/T more where the
    estimates begin at zero. For f(x⁺) ≤ f(x) - γ/2‖∇f‖² - (1/(2γ) - L/2)‖x⁺ - x‖² + γ/2‖mean(g_i - ∇f_i)‖², and the
    errors' sum is at most G²L̃²Σ‖x⁺ - x‖². The paper (arXiv 2311.05645) has γ ≤ δ/(3200√2·L̃) at η = δ/400, which
    bears noise.
    """

    formulas: ClassVar[dict[str, str]] = {"theory": "1/(L + √mean(L_i²)·G)"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, EControl)
        up, dim = at.gradient.mechanism, at.constants.dim
        plus = math.sqrt(float((at.client_smoothness**2).mean()))
        constants = {"L": at.smoothness, "L_plus": plus, "eta": up.error_rate(dim), "G": up.error_gain(dim)}
        return 1.0 / (at.smoothness + plus * constants["G"]), constants


@method("econtrol", FIRST_ORDER)
def econtrol(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    batch: Batch = "full",
    eta: TheoryOr = "theory",
) -> Descent:
    """EControl (Gao, Islamov, Stich, arXiv 2311.05645): Δ_i = C(ηe_i + ∇f_i - h_i) is sent, and x⁺ = x - γ·mean h_i⁺.

    e_i ← e_i + ∇f_i - h_i - Δ_i and h_i ← h_i + Δ_i: EF21's memory of what was sent beside error feedback's of what was
    lost. Where the clients' data differ it has no floor, which error feedback has; of minibatches it sends in time
    what compression has left out, which EF21 does not.

    Parameters
    ----------
    eta : float or "theory"
        η in [0, 1]; "theory" is (1-q)/(1+q) with q = √(1-δ), some δ/4: half of the largest for which errors are known
        to stay bounded (:class:`newtonfl.mechanisms.EControl`). 0 is EF21; ½ may diverge.

    Examples
    --------
    >>> import newtonfl as nf
    >>> r = nf.solve(nf.load("breast_cancer", clients=4), nf.econtrol(compressor=nf.TopK(3)), rounds=20)
    >>> r.history[-1].f < 0.8 * r.history[0].f
    True
    """
    common = FirstOrder.of("econtrol", locals())
    return common.descent(common.tracked(EControl(common.compressor, eta)), rule=EControlRule())
