"""Gradient descent."""

from __future__ import annotations

from typing import Literal

from newtonfl.coding import Precision
from newtonfl.methods.descent import Descent
from newtonfl.methods.presets import one_of, vectors_on_wire
from newtonfl.methods.steps import Fixed


def gd(
    *, stepsize: float | str = "theory", ridge: Literal["server", "clients"] = "server", wire: Precision = "float64"
) -> Descent:
    """Gradient descent: x⁺ = x - γ∇f(x).

    Linear for strongly convex f and γ ≤ 1/L: f(x^k) - f* ≤ (1 - γμ)ᵏ (f(x⁰) - f*).

    Parameters
    ----------
    stepsize : float or "theory"
        γ; ``theory`` is 1/L, the ridge included in L.
    ridge : {"server", "clients"}
        Where λ/2‖x‖² is added.
    wire : {"float64", "float32", "natural"}
        How numbers are sent.
    """
    one_of("ridge", ridge, ("server", "clients"))
    gradient, model = vectors_on_wire(wire)
    return Descent(Fixed(stepsize), gradient=gradient, model=model, ridge=ridge, wire=wire, name="gd")
