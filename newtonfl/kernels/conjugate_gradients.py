"""Conjugate gradients for a matrix that answers with products, where it may have no curvature along some direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array, to_host

_EPS = float(np.finfo(np.float64).eps)


def conjugate_gradients(
    product: Callable[[Array], Array], b: Array, relative: float, most: int, diagonal: Array | float = 1.0
) -> tuple[Array, Array | None]:
    """x with ‖Hx - b‖ ≤ `relative`·‖b‖, from 0, or what has been found till then; and why it ended before, if it did.

    Parameters
    ----------
    product : callable
        v → Hv, H symmetric.
    b : array, shape (d,)
    relative : float
        Where to stop.
    most : int
        The most products.
    diagonal : array, shape (d,), or float
        Of the preconditioner, positive: 1, or H's own (Jacobi).

    Returns
    -------
    x : array, shape (d,)
        0, or ⟨b, x⟩ > 0.
    flat : array, shape (d,), or None
        A direction along which H has no curvature beside what it has along the others, at which they end: H is not
        positive definite.
    """
    x, r = 0.0 * b, b
    p = z = r / diagonal
    rz, largest, enough = _dot(r, z), 0.0, relative**2 * _dot(b, b)
    for _ in range(most):
        if _dot(r, r) <= enough:
            break
        hp = product(p)
        size, curvature = _dot(p, diagonal * p), _dot(p, hp)
        if not curvature > _EPS * largest * size:
            return x, p
        largest = max(largest, curvature / size)
        x = x + rz / curvature * p
        r = r - rz / curvature * hp
        z = r / diagonal
        rz, before = _dot(r, z), rz
        p = z + rz / before * p
    return x, None


def _dot(u: Array, v: Array) -> float:
    return float(to_host(u @ v))
