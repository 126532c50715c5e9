"""Newton's method, and Newton's method with the first Hessian for ever."""

from __future__ import annotations

from newtonfl.bases import Basis
from newtonfl.coding import Precision
from newtonfl.compressors import Identity
from newtonfl.mechanisms import EF21, Frozen
from newtonfl.methods.curvature import ErrorNorm, LearnedHessian
from newtonfl.methods.descent import Descent
from newtonfl.methods.presets import BasisName, RidgeAt, StepName, basis_of, on_wire, step_of, vectors_on_wire


def newton(
    *,
    basis: BasisName | Basis = "auto",
    step: StepName = "plain",
    shift_norm: ErrorNorm = "frobenius",
    ridge: RidgeAt = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton's method: every client sends its whole Hessian every round.

    x⁺ = x - ∇²f(x)⁻¹ ∇f(x): the round with the identity compressor, so that a client sends the change of its Hessian.
    Quadratic convergence near the solution; 32·d(d+1)/2 formula bits a client and round.
    """
    gradient, model = vectors_on_wire(wire)
    curvature = LearnedHessian(EF21(on_wire(Identity(), wire)), basis_of(basis), precision=wire)
    return Descent(step_of(step, shift_norm), curvature, gradient, model, ridge=ridge, wire=wire, name="newton")


def newton_zero(
    *,
    basis: BasisName | Basis = "auto",
    step: StepName = "plain",
    shift_norm: ErrorNorm = "frobenius",
    ridge: RidgeAt = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-zero, N0 (Safaryan et al., FedNL, arXiv 2106.02969, section 3.5): x⁺ = x - ∇²f(x⁰)⁻¹ ∇f(x).

    The Hessians at x⁰ are the set-up; a round sends gradients alone. Linear: ‖x^k - x*‖² ≤ 2⁻ᵏ‖x⁰ - x*‖² from
    ‖x⁰ - x*‖ small enough (C = 0 in Theorem 3.6).
    """
    gradient, model = vectors_on_wire(wire)
    curvature = LearnedHessian(Frozen(), basis_of(basis), precision=wire)
    return Descent(step_of(step, shift_norm), curvature, gradient, model, ridge=ridge, wire=wire, name="newton-zero")
