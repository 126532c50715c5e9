"""Newton's method, and Newton's method with one Hessian for ever."""

from __future__ import annotations

from newtonfl.compressors import Identity
from newtonfl.mechanisms import Frozen
from newtonfl.methods.second_order.preset import preset

newton = preset(
    "newton",
    """Newton's method: every client sends its whole Hessian every round.

    x⁺ = x - ∇²f(x)⁻¹ ∇f(x): the round with the identity compressor, so that a client sends the change of its Hessian.
    Quadratic convergence near the solution; 32·d(d+1)/2 formula bits a client and round.
    """,
    without=("compressor", "mechanism", "alpha", "step_uses"),
    compressor=Identity(),
    step="plain",
)

newton_zero = preset(
    "newton-zero",
    """Newton-zero, N0 (Safaryan et al., FedNL, arXiv 2106.02969, section 3.5): x⁺ = x - ∇²f(x⁰)⁻¹ ∇f(x).

    The Hessians at x⁰ are the set-up; a round sends gradients alone. Linear: ‖x^k - x*‖² ≤ 2⁻ᵏ‖x⁰ - x*‖² from
    ‖x⁰ - x*‖ small enough (C = 0 in Theorem 3.6). ``line_search=20`` is N0-LS, which converges from anywhere.
    """,
    without=("compressor", "mechanism", "alpha", "step_uses", "init"),
    mechanism=Frozen(),
    step="plain",
)

newton_star = preset(
    "newton-star",
    """Newton-star (Safaryan et al., FedNL, arXiv 2106.02969, section 3.5): x⁺ = x - ∇²f(x*)⁻¹ ∇f(x).

    It needs the solution, and so serves theory: ‖x⁺ - x*‖ ≤ (L_*/2μ)‖x - x*‖², quadratic with the cost of gradients.
    The Hessians at x* are the set-up. ``optimum`` is x*, say ``nf.optimum(problem)``; the command line finds it itself.
    """,
    without=("compressor", "mechanism", "alpha", "step_uses", "init"),
    mechanism=Frozen(),
    step="plain",
    init="optimum",
    optimum=None,
)
