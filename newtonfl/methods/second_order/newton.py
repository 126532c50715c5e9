"""Newton's method, and Newton's method with one Hessian for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import ErrorNorm
from newtonfl.components.participation import All
from newtonfl.compressors import Identity
from newtonfl.core.backend import Array
from newtonfl.mechanisms import Alpha, Frozen
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.settings import (
    SECOND_ORDER,
    BasisForm,
    Freshness,
    GradientForm,
    HessianInit,
    ParticipationForm,
    Ridge,
    StepName,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method


@method("newton", SECOND_ORDER)
def newton(
    *,
    basis: BasisForm = "auto",
    init: HessianInit = "hessian",
    step: StepName = "plain",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = All(),
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton's method: every client sends its whole Hessian every round.

    x⁺ = x - ∇²f(x)⁻¹ ∇f(x): the round with the identity compressor, so that a client sends the change of its Hessian.
    Quadratic convergence near the solution; 32·d(d+1)/2 formula bits a client and round.
    """
    return SecondOrder("newton", **locals(), compressor=Identity()).descent()


@method("newton-zero", SECOND_ORDER)
def newton_zero(
    *,
    basis: BasisForm = "auto",
    step: StepName = "plain",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = All(),
    ridge: Ridge = "server",
    wire: Precision = "float64",
) -> Descent:
    """Newton-zero, N0 (Safaryan et al., FedNL, arXiv 2106.02969, section 3.5): x⁺ = x - ∇²f(x⁰)⁻¹ ∇f(x).

    The Hessians at x⁰ are the set-up; a round sends gradients alone. Linear: ‖x^k - x*‖² ≤ 2⁻ᵏ‖x⁰ - x*‖² from
    ‖x⁰ - x*‖ small enough (C = 0 in Theorem 3.6). ``line_search=20`` is N0-LS, which converges from anywhere.
    """
    return SecondOrder("newton-zero", **locals(), mechanism=Frozen()).descent()


@method("newton-star", SECOND_ORDER)
def newton_star(
    *,
    basis: BasisForm = "auto",
    step: StepName = "plain",
    shift_norm: ErrorNorm = "frobenius",
    l: Freshness = "fresh",
    lipschitz: TheoryOr = "theory",
    line_search: int = 0,
    armijo: float = 0.5,
    backtrack: float = 0.5,
    gradient: GradientForm = "exact",
    gradient_p: float = 1.0,
    model: VectorForm = "exact",
    model_rate: Alpha = "auto",
    participation: ParticipationForm = All(),
    ridge: Ridge = "server",
    wire: Precision = "float64",
    optimum: tuple[float, ...] | Array | None = None,
) -> Descent:
    """Newton-star (Safaryan et al., FedNL, arXiv 2106.02969, section 3.5): x⁺ = x - ∇²f(x*)⁻¹ ∇f(x).

    It needs the solution, and so serves theory: ‖x⁺ - x*‖ ≤ (L_*/2μ)‖x - x*‖², quadratic with the cost of gradients.
    The Hessians at x* are the set-up.

    Parameters
    ----------
    optimum : array-like of float, shape (d,), or None
        x*, say ``nf.optimum(problem)[0]``; the command line finds it itself, and without it no problem is accepted.
    """
    keywords = dict(locals())
    solution = keywords.pop("optimum")
    common = SecondOrder("newton-star", **keywords, mechanism=Frozen())
    at_optimum = replace(common.to_curvature(), init="optimum", optimum=_numbers(solution))
    return common.descent(at_optimum)


def _numbers(optimum: object) -> tuple[float, ...] | None:
    """x* as numbers; None where it is not known."""
    if optimum is None:
        return None
    try:
        found = np.asarray(optimum, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(())
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(f"optimum: given {optimum!r}, must be the solution x*, a vector of finite numbers")
    return tuple(found.tolist())
