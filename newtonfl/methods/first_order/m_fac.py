"""M-FAC as a preset: gradient descent preconditioned by the last gradients."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.curvature.fisher import FisherWindow
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.step.fixed import Fixed
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Identity
from newtonfl.mechanisms import EF21
from newtonfl.methods.first_order.preset import TRACKED, Given, anchored, first_order


@dataclass(frozen=True)
class DampedRule(StepSizeRule):
    """γ = λ/L: P ⪰ λI, so that γP⁻¹ is never more than 1/L.

    Parameters
    ----------
    dampening : float
        λ.
    """

    dampening: float
    needs_each = False
    formula = "dampening/L"

    def largest(self, at: StepContext, linear: bool) -> tuple[float, dict[str, float]]:
        return self.dampening / at.smoothness, {"L": at.smoothness, "dampening": self.dampening}


def _told(given: Given) -> AnchoredGradient:
    exact = isinstance(given["compressor"], Identity)
    return anchored(given, None if exact else EF21(given["compressor"]), copies=given["over"] == "clients")


m_fac = first_order(
    "m-fac",
    """M-FAC (Frantar, Kurtic, Alistarh, arXiv 2107.03356): x⁺ = x - γP⁻¹∇f with P = λI + (1/m) Σ g_j g_jᵀ.

    The window holds the last m gradients: ∇f as the server has it, one a round (``over=aggregate``, the paper's
    optimiser on aggregated gradients), or every client's own g_i, n a round (``over=clients``, this library's: nothing
    more is sent than g_i itself, whole or told by EF21 with `compressor`; the server keeps the g_i). Along directions
    to which the window's gradients are orthogonal the step is γ/λ. No theory beyond γ ≤ λ/L is at hand.

    ``window`` is m, ``dampening`` is λ > 0, `over` is "clients" or "aggregate". `algorithm` is the paper's "dynamic",
    which renews one row of the window's products, or "static", which works all out anew: the same numbers up to
    rounding.""",
    gradient=_told,
    step=lambda given, rule: Fixed(given["stepsize"], DampedRule(given["dampening"])),
    curvature=lambda given: FisherWindow(given["window"], given["dampening"], given["over"], given["algorithm"]),
    **{**TRACKED, "compressor": Identity()},
    window=32,
    dampening=0.01,
    over="clients",
    algorithm="dynamic",
)
