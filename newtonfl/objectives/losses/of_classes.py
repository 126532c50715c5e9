"""Losses of labels -1 and +1: logistic, squared hinge, probit, complementary log-log.

Written with functions of |t| alone where large arguments could overflow, so that margins of ±1e4 give finite numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from newtonfl.core.backend import Array, namespace
from newtonfl.kernels import erfcx, log_ndtr
from newtonfl.objectives.losses.loss import Loss

_FAR = 4.0
"""Standard deviations from which on a fraction is worked out from its tail."""

_TERMS = 40


@dataclass(frozen=True)
class Logistic(Loss):
    """φ = log(1 + exp(-y t)), y in {-1, +1}; φ″ ≤ 1/4 and abs(φ‴) ≤ 1/(6√3)."""

    name = "logistic"
    link = "logit"
    formula = "log(1 + exp(-y aᵀx))"
    family = "binomial"
    classifies = True
    unattained = True
    curvature_bound = 0.25
    curvature_lipschitz = 1.0 / (6.0 * math.sqrt(3.0))

    def value(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        z = y * t
        return xp.log1p(xp.exp(-xp.abs(z))) + xp.where(z < 0, -z, xp.zeros_like(z))

    def slope(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        z = y * t
        small = xp.exp(-xp.abs(z))
        return -y * xp.where(z < 0, xp.ones_like(z), small) / (1.0 + small)

    def curvature(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        small = xp.exp(-xp.abs(t))
        return small / (1.0 + small) ** 2


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """φ = max(0, 1 - y t)², y in {-1, +1}; φ″ ≤ 2 (generalised: 0 at the kink), and it jumps."""

    name = "squared-hinge"
    formula = "max(0, 1 - y aᵀx)²"
    classifies = True
    curvature_bound = 2.0
    curvature_lipschitz = math.inf

    def value(self, t: Array, y: Array) -> Array:
        return self._gap(t, y) ** 2

    def slope(self, t: Array, y: Array) -> Array:
        return -2.0 * y * self._gap(t, y)

    def curvature(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        return 2.0 * xp.astype(y * t < 1.0, xp.float64)

    @staticmethod
    def _gap(t: Array, y: Array) -> Array:
        xp = namespace(t)
        gap = 1.0 - y * t
        return xp.where(gap > 0, gap, xp.zeros_like(gap))


@dataclass(frozen=True)
class Probit(Loss):
    """φ = -log Φ(y t) with the normal distribution Φ, y in {-1, +1}; φ″ < 1.

    Runs with NumPy and CuPy.
    """

    name = "probit"
    link = "probit"
    formula = "-log Φ(y aᵀx)"
    family = "binomial"
    classifies = True
    unattained = True
    curvature_bound = 1.0
    curvature_lipschitz = 0.29572  # at y t = 1.0024

    def value(self, t: Array, y: Array) -> Array:
        return -log_ndtr(y * t)

    def slope(self, t: Array, y: Array) -> Array:
        return -y * self._hazard(y * t)

    def curvature(self, t: Array, y: Array) -> Array:
        z = y * t
        return self._hazard(z) * self._excess(z)

    def information(self, t: Array, y: Array) -> Array:
        return self._hazard(t) * self._hazard(-t)

    @staticmethod
    def _hazard(z: Array) -> Array:
        """Φ′(z)/Φ(z)."""
        return math.sqrt(2.0 / math.pi) / erfcx(z * -math.sqrt(0.5))

    def _excess(self, z: Array) -> Array:
        """Φ′(z)/Φ(z) + z, which is 1/(x + 2/(x + 3/(x + …))) at x = -z > 0: in the tail its terms would cancel."""
        xp = namespace(z)
        x = xp.clip(-z, _FAR, None)
        tail = x
        for k in range(_TERMS, 1, -1):
            tail = x + k / tail
        return xp.where(z < -_FAR, 1.0 / tail, self._hazard(z) + z)


@dataclass(frozen=True)
class ComplementaryLogLog(Loss):
    """φ = -log(1 - exp(-exp(t))) where y = +1 and exp(t) where y = -1: the label is +1 with 1 - exp(-exp(t))."""

    name = "cloglog"
    link = "cloglog"
    formula = "-log P(y), P(1) = 1 - exp(-exp(aᵀx))"
    family = "binomial"
    classifies = True
    unattained = True
    curvature_bound = math.inf
    curvature_lipschitz = math.inf

    def value(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        u = self._rate(t)
        low, high = -t - xp.log(-xp.expm1(-u) / u), -xp.log1p(-xp.exp(-xp.clip(u, 1.0, None)))
        return self._either(y, xp.where(t < 0, low, high), t)

    def slope(self, t: Array, y: Array) -> Array:
        return self._either(y, -self._share(t), t)

    def curvature(self, t: Array, y: Array) -> Array:
        xp = namespace(t)
        u = self._rate(t)
        small = xp.clip(u, None, 1.0)
        series = xp.zeros_like(t)  # (exp(-u) - 1 + u)/u², whose terms cancel where u is small
        for k in range(18, 1, -1):
            series = 1.0 / math.factorial(k) - small * series
        ratio = xp.where(u < 1.0, small * small * series, u - 1.0 + xp.exp(-u)) / -xp.expm1(-u)
        return self._either(y, self._share(t) * ratio, t)

    def information(self, t: Array, y: Array) -> Array:
        return self._rate(t) * self._share(t)

    @staticmethod
    def _rate(t: Array) -> Array:
        """exp(t), of margins so far from 0 as make a difference."""
        xp = namespace(t)
        return xp.exp(xp.clip(t, -700.0, 30.0))

    def _share(self, t: Array) -> Array:
        """u/(exp(u) - 1) at u = exp(t)."""
        xp = namespace(t)
        u = self._rate(t)
        return u * xp.exp(-u) / -xp.expm1(-u)

    @staticmethod
    def _either(y: Array, positive: Array, t: Array) -> Array:
        xp = namespace(t)
        return xp.where(y > 0, positive, xp.exp(xp.where(y > 0, xp.zeros_like(t), t)))
