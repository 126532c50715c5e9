"""What both algorithms of M-FAC share: products with F⁻¹, from rows and weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.mfac.checks import real

WIDTH = 4096
"""How many coordinates a diagonal takes at a time: what it holds beside the window is m times that."""


class Fisher(ABC):
    """F = λI + (1/m) Σ_j g_j g_jᵀ and its inverse, for gradients g_1 … g_m of dimension d.

    F⁻¹v is a difference of terms of the size of v/λ, so its rounding error is about ε/λ times the condition number of
    GGᵀ on its range: little beside ‖F⁻¹‖₂ = 1/λ where m < d, and much where the gradients span everything.

    Attributes
    ----------
    gradients : array, shape (m, d)
        One gradient a row, float64, in any array library; everything of that length stays on its device.
    dampening : float
        λ.
    """

    gradients: Array
    dampening: float

    @property
    def dim(self) -> int:
        """d."""
        return int(self.gradients.shape[1])

    @property
    def window(self) -> int:
        """m."""
        return int(self.gradients.shape[0])

    def product(self, v: Array) -> Array:
        """F⁻¹ times `v`, shape (d,): O(dm), and O(m²) more for a window that slides.

        Raises
        ------
        ValueError
            If `v` has not shape (d,).
        """
        v = real(v, (self.dim,), "v")
        return v / self.dampening - self._weights(self._rows @ v) @ self._rows

    def columns(self, indices: Array | Sequence[int]) -> Array:
        """The columns of F⁻¹ at `indices`, shape (d, k): O(dmk).

        Parameters
        ----------
        indices : array of int, shape (k,)
            Between 0 and d - 1, on the host, in any order; one may stand twice.

        Returns
        -------
        array of float64, shape (d, k)
            On the gradients' device.

        Raises
        ------
        TypeError
            If they are not integers.
        ValueError
            If one of them lies outside.
        """
        chosen, like, xp = np.asarray(indices), self.gradients, namespace(self.gradients)
        if chosen.ndim != 1 or (len(chosen) and not np.issubdtype(chosen.dtype, np.integer)):
            raise TypeError(f"indices: given {chosen.dtype} of shape {chosen.shape}, must be a list of integers")
        outside = chosen[(chosen < 0) | (chosen >= self.dim)]
        if len(outside):
            raise ValueError(f"indices: given {outside[0]}, allowed are 0 to {self.dim - 1}")
        on_device = to_device(chosen.astype(np.int64), like)
        units = xp.astype(to_device(np.arange(self.dim), like)[:, None] == on_device[None, :], xp.float64)
        return units / self.dampening - self._rows.T @ self._weights(xp.take(self._rows, on_device, axis=1))

    def diagonal(self) -> Array:
        """The diagonal of F⁻¹, λ⁻¹ - Σ_i v_i∘v_i/q_i, shape (d,): O(dm), and O(dm² + m³) for a window that slides."""
        squares = self._squares()
        ends = [*range(0, self.dim, WIDTH), self.dim]
        blocks = [squares(self._rows[:, first:last]) for first, last in pairwise(ends)]
        return 1.0 / self.dampening - namespace(self.gradients).concat(blocks)

    def apply(self, v: Array) -> Array:
        """F times `v`, shape (d,): O(dm).

        Raises
        ------
        ValueError
            If `v` has not shape (d,).
        """
        v = real(v, (self.dim,), "v")
        return self.dampening * v + ((self.gradients @ v) / self.window) @ self.gradients

    # Both algorithms write F⁻¹ = λ⁻¹I - AᵀWA, with the gradients as the rows of A or with the v_i.

    @property
    @abstractmethod
    def _rows(self) -> Array:
        """A, shape (m, d)."""

    @abstractmethod
    def _weights(self, inner: Array) -> Array:
        """W times `inner`, shape (m,) or (m, k)."""

    @abstractmethod
    def _squares(self) -> Callable[[Array], Array]:
        """What makes the diagonal of aᵀWa of some columns a of A."""
