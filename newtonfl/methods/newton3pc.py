"""Newton-3PC: Hessians told by a three-point mechanism, at the new point."""

from __future__ import annotations

from typing import Literal

from newtonfl.bases import Basis
from newtonfl.coding import Precision
from newtonfl.compressors import Compressor, TopK
from newtonfl.mechanisms import Alpha
from newtonfl.methods.curvature import ErrorNorm, Init
from newtonfl.methods.descent import Descent
from newtonfl.methods.presets import BasisName, RidgeAt, StepName, learned


def newton_3pc(
    *,
    compressor: Compressor = TopK("1d"),
    step: StepName = "shift",
    shift_norm: ErrorNorm = "frobenius",
    alpha: Alpha = "auto",
    init: Init = "hessian",
    step_uses: Literal["after", "before"] = "after",
    basis: BasisName | Basis = "auto",
    ridge: RidgeAt = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-3PC with the EF21 mechanism (Islamov et al., arXiv 2206.03588, Algorithm 1).

    At the new point x^{k+1} a client sends ∇f_i and C(∇²f_i(x^{k+1}) - H_i^k), and the server steps with H^{k+1}:
    x⁺ = x - [H]_λ⁻¹∇f (``step=project``, Option 1) or x - (H + l·I)⁻¹∇f (``step=shift``, Option 2, with
    l_i = ‖H_i^{k+1} - ∇²f_i(x^{k+1})‖). Round 0 takes H_i⁰ as it is and sends no curvature.

    Conditions: f μ-strongly convex with Lipschitz Hessians; local, from ‖x⁰ - x*‖ ≤ μ/√(2D) and mean ‖H_i^k -
    ∇²f_i(x*)‖_F² ≤ μ²/(4C) with (C, D) = (2, L_*²) or (8, (L_* + 2L_F)²); then ‖x^k - x*‖² halves each round and the
    rate turns superlinear. project can diverge from farther away; shift is the safe choice.
    """
    return learned("newton-3pc", compressor, step, shift_norm, alpha, init, step_uses, basis, ridge, wire)
