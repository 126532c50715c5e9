"""Gradient descent, and Nesterov's."""

from __future__ import annotations

from newtonfl.components.step.fixed import Accelerated
from newtonfl.components.step.stepsizes import Smooth
from newtonfl.methods.first_order.preset import EVERYWHERE, first_order

gd = first_order(
    "gd",
    """Gradient descent: x⁺ = x - γ∇f(x).

    mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/L, the ridge included in L; for strongly convex f f(x^k) - f* ≤
    (1 - γμ)ᵏ (f(x⁰) - f*). With ``batch=16`` it is distributed SGD.""",
    rule=Smooth(),
    batch="full",
    down=EVERYWHERE["down"],
)

accelerated_gd = first_order(
    "accelerated-gd",
    """Accelerated gradient descent (Nesterov, Lectures on convex optimization, section 2.2).

    y⁺ = q - γ∇f(q) and q⁺ = y⁺ + β(y⁺ - y), β = (1 - √(γμ))/(1 + √(γμ)); clients are asked at q, and y is the iterate.
    f(y^k) - f* ≤ (1 - √(μ/L))ᵏ (f(x⁰) - f* + μ/2‖x⁰ - x*‖²) for γ = 1/L. ``mu`` is μ, by default what the ridge
    guarantees. f must be convex.""",
    rule=Smooth(),
    step=lambda given, rule: Accelerated(given["stepsize"], rule, given["mu"]),
    mu="theory",
)
