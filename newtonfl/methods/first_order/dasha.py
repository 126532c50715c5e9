"""DASHA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import RandK
from newtonfl.mechanisms import Dasha
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, CompressorForm, GradientInit, Ridge, TheoryOr
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class DashaRule(StepSizeRule):
    """γ = 1/(L + L̃√(B/(nA))), L̃² = mean L_i² and (A, B) of :class:`newtonfl.mechanisms.Dasha`.

    With a = 1/(2ω+1) it is 1/(L + L̃√(2ω(2ω+1)/n)). Derived here, where the g_i begin as ∇f_i(x⁰): mean ‖∇f(x^t)‖² ≤
    2(f(x⁰) - f*)/(γT). For with e_i = g_i - ∇f_i and d_i the gradients' changes, both ‖mean e_i‖² and mean ‖e_i‖²
    shrink by (1-a)² a round and grow by ω·mean ‖d_i - ae_i‖², the first by 1/n of it, for clients draw apart. The
    paper has 16ω(2ω+1)/n in the place of 2ω(2ω+1)/n (from memory).

    For a linear rate, of ‖mean e_i‖² + κ/n·mean ‖e_i‖² with κ = 2Ba²/A, which shrinks by A/2 and grows by
    (1+κ)B/n·mean ‖d_i‖²: f - f* falls by 1 - γμ for γ = min{1/(L + L̃√(4(1+κ)B/(nA))), A/(4μ)}.
    """

    formulas: ClassVar[dict[str, str]] = {
        "theory": "1/(L + √mean(L_i²)·√(B/(nA)))",
        "theory-pl": "min{1/(L + √mean(L_i²)·√(4(1+κ)B/(nA))), A/(4μ)}",
    }

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.mechanism, Dasha)
        up, n, dim = at.gradient.mechanism, at.constants.n_clients, at.constants.dim
        (a, b), plus = up.constants(dim), math.sqrt(float((at.client_smoothness**2).mean()))
        constants = {"L": at.smoothness, "L_plus": plus, "A": a, "B": b, "n": float(n)}
        if theory == "theory":
            return 1.0 / (at.smoothness + plus * math.sqrt(b / (n * a))), constants
        kappa = 2.0 * b * up.momentum_of(dim) ** 2 / a
        gamma = 1.0 / (at.smoothness + plus * math.sqrt(4.0 * (1.0 + kappa) * b / (n * a)))
        if at.convexity > 0:
            gamma, constants["mu"] = min(gamma, a / (4.0 * at.convexity)), at.convexity
        return gamma, constants | {"kappa": kappa}


@method("dasha", FIRST_ORDER)
def dasha(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    init: GradientInit = "gradient",
    momentum: TheoryOr = "theory",
) -> Descent:
    """DASHA (Tyurin, Richtárik, arXiv 2202.01268): MARINA, but nothing is sent whole after round 0; Q unbiased.

    x⁺ = x - γ·mean g_i and g_i ← g_i + Q(∇f_i(x⁺) - ∇f_i(x) - a(g_i - ∇f_i(x))). The step is that of
    :class:`newtonfl.methods.first_order.dasha.DashaRule`.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    momentum : float or "theory"
        a in (0, 1]; "theory" is 1/(2ω+1).

    Examples
    --------
    >>> import newtonfl as nf
    >>> r = nf.solve(nf.load("breast_cancer", clients=4), nf.dasha(compressor=nf.RandK(8)), rounds=20)
    >>> r.history[-1].f < 0.8 * r.history[0].f
    True
    """
    common = FirstOrder.of("dasha", locals())
    return common.descent(common.tracked(Dasha(common.compressor, momentum)), rule=DashaRule())
