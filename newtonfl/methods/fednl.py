"""FedNL: learned Hessians, used before this round's message."""

from __future__ import annotations

from typing import Literal

from newtonfl.bases import Basis
from newtonfl.coding import Precision
from newtonfl.compressors import Compressor, RankR
from newtonfl.mechanisms import Alpha
from newtonfl.methods.curvature import ErrorNorm, Init
from newtonfl.methods.descent import Descent
from newtonfl.methods.presets import BasisName, RidgeAt, StepName, learned


def fednl(
    *,
    compressor: Compressor = RankR(1),
    step: StepName = "shift",
    shift_norm: ErrorNorm = "frobenius",
    alpha: Alpha = "auto",
    init: Init = "hessian",
    step_uses: Literal["after", "before"] = "before",
    basis: BasisName | Basis = "auto",
    ridge: RidgeAt = "server",
    wire: Precision = "float64",
) -> Descent:
    """FedNL (Safaryan, Islamov, Qian, Richtárik, arXiv 2106.02969, Algorithm 1).

    A client sends ∇f_i(x^k) and S_i = C(∇²f_i(x^k) - H_i), and moves H_i ← H_i + αS_i. The server steps with H^k from
    before these messages: x⁺ = x - [H^k]_λ⁻¹∇f (``step=project``, Option 1) or x - (H^k + l^k I)⁻¹∇f (``step=shift``,
    Option 2, with l_i = ‖H_i^k - ∇²f_i(x^k)‖).

    Conditions: f λ-strongly convex with Lipschitz Hessians; local, from ‖x⁰ - x*‖² ≤ μ²/(2D) and mean ‖H_i^k -
    ∇²f_i(x*)‖_F² ≤ μ²/(4C) with (C, D) = (2, L_*²) or (8, (L_* + 2L_F)²); then ‖x^k - x*‖² halves each round and the
    rate turns superlinear (Theorem 3.6). project can diverge from farther away; shift is the safe choice.
    """
    return learned("fednl", compressor, step, shift_norm, alpha, init, step_uses, basis, ridge, wire)
