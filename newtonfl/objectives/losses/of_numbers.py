"""Losses of numbers at a mean that is the margin itself: squared and Huber."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from newtonfl.core.backend import Array, namespace
from newtonfl.objectives.losses.loss import Loss


@dataclass(frozen=True)
class Squared(Loss):
    """φ = (t - y)²/2; φ″ = 1."""

    name = "squared"
    link = "identity"
    formula = "(aᵀx - y)²/2"
    family = "normal"
    curvature_bound = 1.0
    curvature_lipschitz = 0.0

    def value(self, t: Array, y: Array) -> Array:
        return 0.5 * (t - y) ** 2

    def slope(self, t: Array, y: Array) -> Array:
        return t - y

    def curvature(self, t: Array, y: Array) -> Array:
        return namespace(t).ones_like(t)


@dataclass(frozen=True)
class Huber(Loss):
    """φ = r²/2 where abs(r) ≤ δ, δ abs(r) - δ²/2 beyond, r = t - y; φ″ ≤ 1, and it jumps.

    Parameters
    ----------
    delta : float
        Where the loss turns linear, in units of y.

    Raises
    ------
    ValueError
        If δ is not a finite positive number.
    """

    delta: float = 1.35
    name = "huber"
    link = "identity"
    curvature_bound = 1.0
    curvature_lipschitz = math.inf

    def __post_init__(self) -> None:
        sound = isinstance(self.delta, (int, float, np.number)) and not isinstance(self.delta, bool)
        if not sound or not 0 < self.delta < math.inf:
            raise ValueError(f"huber_delta: given {self.delta!r}, must be a positive number")

    @property
    def formula(self) -> str:  # type: ignore[override]
        return f"Huber(aᵀx - y; δ = {self.delta:g})"

    def value(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        r = xp.abs(t - y)
        near = xp.clip(r, None, self.delta)  # no square of what is far, which might overflow
        return xp.where(r <= self.delta, 0.5 * near * near, self.delta * r - 0.5 * (self.delta * self.delta))

    def slope(self, t: Array, y: Array) -> Array:
        return namespace(t).clip(t - y, -self.delta, self.delta)

    def curvature(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        return xp.astype(xp.abs(t - y) <= self.delta, xp.float64)
