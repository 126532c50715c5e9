"""Nonsmooth: a convex r that is added to f and known by its prox: ‖x‖₁, or a box."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from newtonfl.core.arguments import a_length, is_number
from newtonfl.core.backend import Array, namespace
from newtonfl.core.quoting import quoted
from newtonfl.registry import Part


class Nonsmooth(Part, ABC):
    """A convex function r of x with a known prox. Subclasses are frozen dataclasses."""

    kind = "nonsmooth"

    @abstractmethod
    def value(self, x: Array) -> float:
        """r(x).

        Parameters
        ----------
        x : array, shape (d,)

        Returns
        -------
        float
            0 or more.
        """

    @abstractmethod
    def prox(self, x: Array, step: Array | float) -> Array:
        """argmin_u r(u) + ‖u - x‖²/(2·step), row by row.

        Parameters
        ----------
        x : array, shape (d,) or (n, d)
        step : float, or array of shape (n, 1)

        Returns
        -------
        array
            Of the shape of `x`.
        """

    def residual(self, x: Array, gradient: Array) -> Array:
        """x - prox(x - `gradient`, 1), which is zero at a minimiser of f + r and nowhere else.

        Parameters
        ----------
        x, gradient : numpy.ndarray, shape (d,)
            A point, and ∇f there.

        Returns
        -------
        numpy.ndarray, shape (d,)
            Subclasses write it without a difference of large numbers, in which a small gradient would be lost.
        """
        return x - self.prox(x - gradient, 1.0)

    def receding(self, direction: Array) -> Array:
        """`direction` without the coordinates in which r does not let a point go for ever, and free of cost.

        Parameters
        ----------
        direction : numpy.ndarray, shape (d,)

        Returns
        -------
        numpy.ndarray, shape (d,)
            Zeros, if not overridden.
        """
        return 0.0 * direction

    @abstractmethod
    def formula(self) -> str:
        """r as text, for :attr:`Problem.objective`.

        Returns
        -------
        str
            Such as "0.02‖x‖₁".
        """


@dataclass(frozen=True)
class L1(Nonsmooth):
    """weight·‖x‖₁: its prox moves every coordinate towards zero, by step·weight or until it is there.

    Parameters
    ----------
    weight : float
        Above 0.

    Raises
    ------
    ValueError
        If it is not.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.L1(0.5).prox(np.array([2.0, -0.3]), 1.0)
    array([1.5, 0. ])
    """

    weight: float
    name = "l1"

    def __post_init__(self) -> None:
        a_length("weight", self.weight)

    def value(self, x: Array) -> float:
        return float(self.weight * namespace(x).sum(abs(x)))

    def prox(self, x: Array, step: Array | float) -> Array:
        xp = namespace(x)
        return xp.sign(x) * xp.maximum(abs(x) - step * self.weight, 0.0 * x)

    def residual(self, x: Array, gradient: Array) -> Array:
        ahead = x - gradient
        return np.where(abs(ahead) > self.weight, gradient + self.weight * np.sign(ahead), x)

    def formula(self) -> str:
        return f"{self.weight:g}‖x‖₁"


@dataclass(frozen=True)
class Box(Nonsmooth):
    """low ≤ x_j ≤ high for every coordinate: its prox is the projection, for every step.

    The value is 0, outside too: there an iterate can only be before its first prox, and what it is worth is f's.

    Parameters
    ----------
    low : float
        The least that x_j may be; -inf where only `high` bounds it.
    high : float
        The most that x_j may be, above `low`; inf where only `low` bounds it.

    Raises
    ------
    ValueError
        If they are no two such numbers, or both are infinite.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Box(0.0, 1.0).prox(np.array([2.0, -0.3, 0.4]), 1.0)
    array([1. , 0. , 0.4])
    """

    low: float
    high: float
    name = "box"

    def __post_init__(self) -> None:
        ends = (self.low, self.high)
        if not all(map(is_number, ends)) or not self.low < self.high or all(map(math.isinf, ends)):
            raise ValueError(
                f"box: given {quoted(self.low)} to {quoted(self.high)}, must be two numbers, the first one smaller, "
                "and at least one of them finite"
            )

    def value(self, x: Array) -> float:
        return 0.0

    def prox(self, x: Array, step: Array | float) -> Array:
        xp = namespace(x)
        return xp.minimum(xp.maximum(x, 0.0 * x + self.low), 0.0 * x + self.high)

    def residual(self, x: Array, gradient: Array) -> Array:
        return np.minimum(np.maximum(gradient, x - self.high), x - self.low)

    def receding(self, direction: Array) -> Array:
        open_ahead = np.where(direction > 0.0, self.high == math.inf, self.low == -math.inf)
        return np.where(open_ahead, direction, 0.0)

    def formula(self) -> str:
        return f"[{self.low:g} ≤ x ≤ {self.high:g}]"
