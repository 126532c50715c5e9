"""Gradient descent, and Nesterov's."""

from __future__ import annotations

from newtonfl.comm.coding import Precision
from newtonfl.components.step.fixed import Accelerated
from newtonfl.components.step.stepsizes import Smooth
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    Batch,
    Ridge,
    TheoryOr,
    VectorForm,
)
from newtonfl.methods.typed import method


@method("gd", FIRST_ORDER)
def gd(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    batch: Batch = "full",
    down: VectorForm = "exact",
) -> Descent:
    """Gradient descent: x⁺ = x - γ∇f(x).

    mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/L, the ridge included in L; for strongly convex f f(x^k) - f* ≤
    (1 - γμ)ᵏ (f(x⁰) - f*). With ``batch=16`` it is distributed SGD.
    """
    common = FirstOrder.of("gd", locals())
    return common.descent(common.tracked(None), rule=Smooth())


@method("accelerated-gd", FIRST_ORDER)
def accelerated_gd(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    mu: TheoryOr = "theory",
) -> Descent:
    """Accelerated gradient descent (Nesterov, Lectures on convex optimization, section 2.2).

    y⁺ = q - γ∇f(q) and q⁺ = y⁺ + β(y⁺ - y), β = (1 - √(γμ))/(1 + √(γμ)); clients are asked at q, and y is the iterate.
    f(y^k) - f* ≤ (1 - √(μ/L))ᵏ (f(x⁰) - f* + μ/2‖x⁰ - x*‖²) for γ = 1/L.

    Parameters
    ----------
    mu : float or "theory"
        μ, at least 0; "theory" is what the ridge guarantees.
    """
    common = FirstOrder.of("accelerated-gd", locals())
    return common.descent(step=Accelerated(stepsize, Smooth(), mu))
