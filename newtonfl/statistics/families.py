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
    """

    loss: float
    base: float
    weight: float
    label: float
    square: float


@dataclass(frozen=True)
class Family:
    """log p(y | t) = -φ(t, y) + log h(y), or with a dispersion σ² -φ(t, y)/σ² - ½ log 2πσ².

    Attributes
    ----------
    name : str
    log_base : callable
        y → log h(y), elementwise on the host.
    null_loss : callable
        Totals → the least Σ w φ(t, y) over one margin t for all rows.
    dispersed : bool
        Whether there is a σ², which is estimated.
    """

    name: str
    log_base: Callable[[Array], Array]
    null_loss: Callable[[Totals], float]
    dispersed: bool = False

    def log_likelihood(self, loss: float, totals: Totals) -> float:
        """At rows of a total `loss`; the dispersion is the one that makes it largest."""
        if not self.dispersed:
            return totals.base - loss
        variance = 2.0 * loss / totals.weight
        return -0.5 * totals.weight * (math.log(2.0 * math.pi * variance) + 1.0) if variance > 0.0 else math.inf


def _entropy(totals: Totals) -> float:
    share = 0.5 * (1.0 + totals.label / totals.weight)
    return -totals.weight * float(scipy.special.xlogy(share, share) + scipy.special.xlogy(1.0 - share, 1.0 - share))


def _poisson(totals: Totals) -> float:
    mean = totals.label / totals.weight
    return totals.weight * float(mean - scipy.special.xlogy(mean, mean))


def _normal(totals: Totals) -> float:
    return 0.5 * (totals.square - totals.label**2 / totals.weight)


FAMILIES = {
    family.name: family
    for family in (
        Family("binomial", np.zeros_like, _entropy),
        Family("poisson", lambda y: -scipy.special.gammaln(y + 1.0), _poisson),
        Family("normal", np.zeros_like, _normal, dispersed=True),
    )
}
"""By the name that a loss gives."""
