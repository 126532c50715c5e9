"""EF21-PAGE: EF21 of gradients that minibatches move, and that are whole now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.page import Page
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import TopK
from newtonfl.mechanisms import EF21
from newtonfl.mechanisms.constants import a_probability
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import FIRST_ORDER, CompressorForm, GradientInit, Ridge
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class PageRule(StepSizeRule):
    """γ = 1/(L + √Q + √R) with Q = (B/A)(L₊² + 2L₊√(p(1-p)N) + 2(1-p)N) and R = (1-p)N/p.

    (A, B) are EF21's, and N = mean N_i of :meth:`newtonfl.components.gradient.page.Page.variance`. Derived here, the
    paper's own constants (arXiv 2110.03294) not being at hand. With D = mean ‖v_i - ∇f_i‖², G = mean ‖g_i - v_i‖² and r
    = ‖x⁺ - x‖²: D⁺ ≤ (1-p)(D + Nr), and for every s, t > 0

        G⁺ ≤ (1-A)G + B·mean ‖v_i⁺ - v_i‖²,    E mean ‖v_i⁺ - v_i‖² ≤ ((1 + ps)L₊² + (1-p)N)r + p(1 + 1/s)D,
        ‖g - ∇f‖² ≤ (1 + t)G + (1 + 1/t)D;

    f + (γ/2)(aG + cD) falls by (γ/2)‖∇f‖² a round with a = (1 + t)/A and c = (1 + 1/t + aBp(1 + 1/s))/p, if γL + γ²M
    ≤ 1 for M = aB((1 + ps)L₊² + (1-p)N) + c(1-p)N, of which (√Q + √R)² is the least over s and t. So mean ‖∇f(x^t)‖² ≤
    2(f(x⁰) - f*)/(γT) from g_i⁰ = ∇f_i(x⁰). p = 1, or whole batches, give EF21's step, and B = 0 PAGE's.

    With twice a and c f - f* falls linearly, by 1 - γμ a round: Q = (B/A)(2L₊² + 4√2·L₊√(p(1-p)N) + 6(1-p)N), R =
    2(1-p)N/p, and γ is at most min{A, p}/(2μ).
    """

    needs_row_smoothness = True
    formulas: ClassVar[dict[str, str]] = {
        "theory": "1/(L + √(B/A·(L_plus² + 2L_plus·√(p(1-p)N) + 2(1-p)N)) + √((1-p)N/p))",
        "theory-pl": (
            "min{1/(L + √(B/A·(2L_plus² + 4√2·L_plus·√(p(1-p)N) + 6(1-p)N)) + √(2(1-p)N/p)), min{A, p}/(2μ)}"
        ),
    }

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        assert isinstance(at.gradient, AnchoredGradient) and isinstance(at.gradient.oracle, Page)
        linear, p = theory == "theory-pl", at.gradient.oracle.p or 1.0
        a, b = at.gradient.constants(at.constants, at.share)
        plus, n = float(np.mean(at.client_smoothness**2)), float(np.mean(at.gradient.oracle.variance(at.constants)))
        tails, mixed = (1.0 - p) * n, math.sqrt(plus * p * (1.0 - p) * n)
        q = 2.0 * plus + 4.0 * math.sqrt(2.0) * mixed + 6.0 * tails if linear else plus + 2.0 * mixed + 2.0 * tails
        r = (2.0 if linear else 1.0) * tails / p
        gamma = 1.0 / (at.smoothness + math.sqrt(b / a * q) + math.sqrt(r))
        constants = {"L": at.smoothness, "L_plus": math.sqrt(plus), "A": a, "B": b, "p": p, "N": n}
        if linear and at.convexity > 0:
            gamma, constants["mu"] = min(gamma, min(a, p) / (2.0 * at.convexity)), at.convexity
        return gamma, constants


@method("ef21-page", FIRST_ORDER)
def ef21_page(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = TopK("0.1d"),
    init: GradientInit = "gradient",
    p: float = 0.1,
    batch: int = 16,
) -> Descent:
    """EF21-PAGE (Fatkhullin et al., arXiv 2110.03294): g_i ← g_i + C(v_i - g_i), and v_i is PAGE's (arXiv 2008.10898).

    v_i ← ∇f_i(x⁺) with probability p, each client by a coin of its own, else v_i + ∇f_iB(x⁺) - ∇f_iB(x), B the same
    rows twice; v_i⁰ = ∇f_i(x⁰). Unlike ef21-sgd it converges to any accuracy. The theoretical step is derived in
    :class:`newtonfl.methods.first_order.page.PageRule`.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely a client computes its whole gradient.
    batch : int
        b, how many rows B has; a client with no more is exact.
    """
    common = FirstOrder.of("ef21-page", locals())
    a_probability("p", p)
    return common.descent(common.tracked(EF21(common.compressor), oracle=Page(batch, p)), rule=PageRule())
