"""The non-convex regulariser Σ_j ρ_j x_j²/(1 + x_j²): it stands in every client's function, never at the server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device


def formula(rho: float | str) -> str:
    """The regulariser as text, for :attr:`Problem.objective`."""
    factor = rho if isinstance(rho, str) else f"{rho:g}"
    return f"{factor} Σ x_j²/(1 + x_j²)"


@dataclass(frozen=True)
class NonConvex:
    """Σ_j ρ_j x_j²/(1 + x_j²), of the papers' non-convex runs (3PC, arXiv 2202.00998; EF21, arXiv 2106.05203).

    Its Hessian is diagonal, 2ρ_j (1 - 3x_j²)/(1 + x_j²)³: between -ρ_j/2, at x_j = ±1, and 2ρ_j, at 0.

    Parameters
    ----------
    rho : array, shape (d,)
        ρ_j, zero where x_j is not penalised. On the device of the data.
    largest : float
        The largest of them.
    """

    rho: Array
    largest: float

    def value(self, x: Array) -> Array:
        """Its value at `x`: of shape () for (d,), and (n,) for (n, d)."""
        share, _ = self._share(x)
        return namespace(x).sum(self.rho * share * share, axis=-1)

    def gradient(self, x: Array) -> Array:
        """2ρ_j x_j/(1 + x_j²)², of the shape of `x`."""
        share, shrink = self._share(x)
        return 2.0 * self.rho * share * shrink * shrink * shrink

    def bound_product(self, v: Array) -> Array:
        """diag(2ρ) v: no Hessian is above that matrix."""
        return 2.0 * self.rho * v

    @staticmethod
    def _share(x: Array) -> tuple[Array, Array]:
        """x/√(1 + x²) and 1/√(1 + x²), by hypot: at ±1e300 too, where x² would be infinite."""
        xp = namespace(x)
        shrink = 1.0 / xp.hypot(xp.ones_like(x), x)
        return x * shrink, shrink


def regulariser(nonconvex: Array | float, dim: int, like: Array) -> NonConvex | None:
    """The regulariser with ρ_j from one number or one a coordinate; None where all are zero.

    Raises
    ------
    ValueError
        If a number is negative or not finite, or the shape is another.
    """
    rho = np.asarray(nonconvex, dtype=np.float64)
    if rho.shape not in ((), (dim,)):
        raise ValueError(f"nonconvex: given shape {rho.shape}, must be one number, or {dim}, one a coordinate")
    if not (np.isfinite(rho).all() and (rho >= 0).all()):
        raise ValueError(f"nonconvex: given {nonconvex}, must be a finite number of at least 0")
    per_coordinate = np.array(np.broadcast_to(rho, (dim,)))
    if not per_coordinate.any():
        return None
    return NonConvex(to_device(per_coordinate, like), float(per_coordinate.max()))
