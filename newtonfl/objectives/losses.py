"""Pointwise losses φ(t, y) of a margin t = aᵀx and a label y, each with its bounds.

Written with Array API functions of |t| alone where large arguments could overflow, so that margins of ±1e4 give
finite numbers (and exp's own infinity for Poisson, which a solve reports as not finite).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.core.backend import Array, namespace
from newtonfl.registry import Part, coerce, known


class Loss(Part, ABC):
    """A convex loss of a margin.

    Attributes
    ----------
    formula : str
        φ as text, for :attr:`Problem.objective`.
    classifies : bool
        Whether labels are -1 and +1.
    curvature_bound : float
        sup φ″; infinite where there is none.
    curvature_lipschitz : float
        A Lipschitz constant of φ″, sup abs(φ‴); infinite where there is none.
    least_label : float
        No label may be less.
    unattained : bool
        φ falls for ever as t grows, or as -t does, and never reaches its infimum: some rows have no minimiser then.
        Say it only of a loss that does.
    family : str
        "binomial", "poisson" or "normal" where φ is the negative log-likelihood of that family in its canonical
        parameter t, but for what does not depend on t; else empty.
    """

    kind = "loss"
    formula: str
    classifies: ClassVar[bool] = False
    curvature_bound: float
    curvature_lipschitz: float
    least_label: ClassVar[float] = -math.inf
    unattained: ClassVar[bool] = False
    family: ClassVar[str] = ""

    @abstractmethod
    def value(self, t: Array, y: Array) -> Array:
        """φ(t, y), elementwise.

        Parameters
        ----------
        t : array
            Margins aᵀx, of any shape, on the data's device.
        y : array
            Labels of that shape.

        Returns
        -------
        array
            Of that shape, made with ``newtonfl.core.backend.namespace(t)``.
        """

    @abstractmethod
    def slope(self, t: Array, y: Array) -> Array:
        """φ′(t, y), the derivative by t, elementwise.

        Parameters
        ----------
        t, y : array
            As for :meth:`value`.

        Returns
        -------
        array
            Of their shape.
        """

    @abstractmethod
    def curvature(self, t: Array, y: Array) -> Array:
        """φ″(t, y) ≥ 0, elementwise.

        Parameters
        ----------
        t, y : array
            As for :meth:`value`.

        Returns
        -------
        array
            Of their shape, between 0 and :attr:`curvature_bound`.
        """


@dataclass(frozen=True)
class Logistic(Loss):
    """φ = log(1 + exp(-y t)), y in {-1, +1}; φ″ ≤ 1/4 and abs(φ‴) ≤ 1/(6√3)."""

    name = "logistic"
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
class Squared(Loss):
    """φ = (t - y)²/2; φ″ = 1."""

    name = "squared"
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
class Poisson(Loss):
    """φ = exp(t) - y t, y ≥ 0 (the deviance's half, less a constant); φ″ has no bound."""

    name = "poisson"
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


def loss_of(loss: str | Loss, huber_delta: float = 1.35) -> Loss:
    """The loss of a name.

    Parameters
    ----------
    loss : str or Loss
        A registered one, such as "logistic" or "huber:2"; a Loss is returned as it is.
    huber_delta : float
        Huber's δ, in units of y, where the name alone is said.

    Returns
    -------
    Loss
        Of that name.

    Raises
    ------
    ValueError
        If there is none of that name (the nearest is named), or `huber_delta` is not positive.
    """
    found = Huber(huber_delta) if isinstance(loss, str) and loss == Huber.name else coerce("loss", loss)
    if not isinstance(found, Loss):
        raise ValueError(f"loss: given {loss!r}, allowed are {', '.join(known('loss'))}, or a Loss")
    return found
