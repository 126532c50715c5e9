"""Losses of counts and amounts at a mean exp(t): Poisson, gamma and Tweedie.

What overflows is exp's own infinity, which a solve reports as not finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from newtonfl.core.backend import Array, namespace
from newtonfl.objectives.losses.loss import Loss


@dataclass(frozen=True)
class Poisson(Loss):
    """φ = exp(t) - y t, y ≥ 0 (the deviance's half, less a constant); φ″ has no bound."""

    name = "poisson"
    link = "log"
    least_label = 0.0
    unattained = True
    formula = "exp(aᵀx) - y aᵀx"
    family = "poisson"
    curvature_bound = math.inf
    curvature_lipschitz = math.inf

    def value(self, t: Array, y: Array) -> Array:
        return namespace(t).exp(t) - y * t

    def slope(self, t: Array, y: Array) -> Array:
        return namespace(t).exp(t) - y

    def curvature(self, t: Array, y: Array) -> Array:
        return namespace(t).exp(t)


@dataclass(frozen=True)
class Gamma(Loss):
    """φ = y exp(-t) + t, y > 0 (the deviance's half, less a constant); φ″ has no bound."""

    name = "gamma"
    link = "log"
    least_label = 0.0
    least_is_allowed = False
    formula = "y exp(-aᵀx) + aᵀx"
    family = "gamma"
    curvature_bound = math.inf
    curvature_lipschitz = math.inf

    def value(self, t: Array, y: Array) -> Array:
        return y * namespace(t).exp(-t) + t

    def slope(self, t: Array, y: Array) -> Array:
        return 1.0 - y * namespace(t).exp(-t)

    def curvature(self, t: Array, y: Array) -> Array:
        return y * namespace(t).exp(-t)

    def information(self, t: Array, y: Array) -> Array:
        return namespace(t).ones_like(t)


@dataclass(frozen=True)
class Tweedie(Loss):
    """φ = y exp(-(p - 1)t)/(p - 1) + exp((2 - p)t)/(2 - p), y ≥ 0, 1 < p < 2; φ″ has no bound.

    That is half the deviance of a compound Poisson law whose variance is the mean's power p, less a constant: sums of
    amounts of which there may be none. p = 1 would be Poisson and p = 2 gamma.

    Parameters
    ----------
    power : float
        p.

    Raises
    ------
    ValueError
        If p does not lie between 1 and 2.
    """

    power: float = 1.5
    name = "tweedie"
    link = "log"
    least_label = 0.0
    unattained = True
    family = "tweedie"
    curvature_bound = math.inf
    curvature_lipschitz = math.inf

    def __post_init__(self) -> None:
        sound = isinstance(self.power, (int, float, np.number)) and not isinstance(self.power, bool)
        if not sound or not 1.0 < self.power < 2.0:
            raise ValueError(f"power: given {self.power!r}, must lie between 1 (Poisson) and 2 (gamma)")

    @property
    def formula(self) -> str:  # type: ignore[override]
        p = self.power
        return f"y exp(-{p - 1:g} aᵀx)/{p - 1:g} + exp({2 - p:g} aᵀx)/{2 - p:g}"

    def _terms(self, t: Array, y: Array) -> tuple[Array, Array]:
        """y exp(-(p - 1)t), and exp((2 - p)t)."""
        xp = namespace(t)
        falling = xp.where(y > 0, (1.0 - self.power) * t, xp.zeros_like(t))  # 0 times infinity were no number
        return y * xp.exp(falling), xp.exp((2.0 - self.power) * t)

    def value(self, t: Array, y: Array) -> Array:
        falling, rising = self._terms(t, y)
        return falling / (self.power - 1.0) + rising / (2.0 - self.power)

    def slope(self, t: Array, y: Array) -> Array:
        falling, rising = self._terms(t, y)
        return rising - falling

    def curvature(self, t: Array, y: Array) -> Array:
        falling, rising = self._terms(t, y)
        return (self.power - 1.0) * falling + (2.0 - self.power) * rising

    def information(self, t: Array, y: Array) -> Array:
        return self._terms(t, y)[1]
