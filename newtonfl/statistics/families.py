"""Exponential families: the losses that are negative log-likelihoods, but for what does not depend on the margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special

from newtonfl.core.backend import Array


@dataclass(frozen=True)
class Totals:
    """Sums over all rows.

    Attributes
    ----------
    loss : float
        Σ w φ(t, y) at the margins of the model.
    base : float
        Σ w log h(y), the part of the log-likelihood in which no margin stands.
    weight, label, square : float
        Σ w, Σ w y, Σ w y².
    dispersion : float
        σ², of a family that has one; else 1.
    """

    loss: float
    base: float
    weight: float
    label: float
    square: float
    dispersion: float = 1.0


@dataclass(frozen=True)
class Family:
    """log p(y | t) = -φ(t, y) + log h(y), or -φ(t, y)/σ² + log h(y, σ²) with a dispersion σ².

    Attributes
    ----------
    name : str
    log_base : callable
        y → log h(y), elementwise on the host.
    null_loss : callable
        Totals → the least Σ w φ(t, y) over one margin t for all rows.
    dispersed : bool
        Whether there is a σ², which is estimated by Pearson's residuals, Σ w (y - μ)²/V(μ) over Σ w - d.
    of_dispersion : callable or None
        (a total loss, Totals) → the log-likelihood of a dispersed family; None where no closed form is known.
    saturated : callable
        Totals → Σ w φ(t, y) at the best margin of each row.
    """

    name: str
    log_base: Callable[[Array], Array]
    null_loss: Callable[[Totals], float]
    dispersed: bool = False
    of_dispersion: Callable[[float, Totals], float] | None = None
    saturated: Callable[[Totals], float] = lambda totals: 0.0

    def log_likelihood(self, loss: float, totals: Totals) -> float:
        """At rows of a total `loss`; NaN where it is not known."""
        if not self.dispersed:
            return totals.base - loss
        return math.nan if self.of_dispersion is None else self.of_dispersion(loss, totals)


def _entropy(totals: Totals) -> float:
    share = 0.5 * (1.0 + totals.label / totals.weight)
    return -totals.weight * float(scipy.special.xlogy(share, share) + scipy.special.xlogy(1.0 - share, 1.0 - share))


def _poisson(totals: Totals) -> float:
    mean = totals.label / totals.weight
    return totals.weight * float(mean - scipy.special.xlogy(mean, mean))


def _normal(totals: Totals) -> float:
    return 0.5 * (totals.square - totals.label**2 / totals.weight)


def _of_normal(loss: float, totals: Totals) -> float:
    """At the σ² that makes it largest."""
    variance = 2.0 * loss / totals.weight
    return -0.5 * totals.weight * (math.log(2.0 * math.pi * variance) + 1.0) if variance > 0.0 else math.inf


def _gamma(totals: Totals) -> float:
    return totals.weight * (1.0 + math.log(totals.label / totals.weight))


def _of_gamma(loss: float, totals: Totals) -> float:
    """Of the shape k = 1/σ²: Σ w (k log k + (k - 1) log y - log Γ(k)) - k Σ w φ."""
    k = 1.0 / totals.dispersion
    constant = k * math.log(k) - float(scipy.special.gammaln(k))
    return totals.weight * constant + (k - 1.0) * totals.base - k * loss


FAMILIES = {
    family.name: family
    for family in (
        Family("binomial", np.zeros_like, _entropy),
        Family("poisson", lambda y: -scipy.special.gammaln(y + 1.0), _poisson),
        Family("normal", np.zeros_like, _normal, True, _of_normal),
        Family("tweedie", np.zeros_like, lambda totals: math.nan, True),
        *(Family(name, np.zeros_like, lambda totals: math.nan) for name in ("cox", "ordinal")),
        Family("gamma", np.log, _gamma, True, _of_gamma, lambda totals: totals.weight + totals.base),
    )
}
"""By the name that a loss gives."""
