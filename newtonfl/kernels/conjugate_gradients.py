"""Conjugate gradients for a matrix that answers with products, where it may have no curvature along some direction."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array, to_host

_EPS = float(np.finfo(np.float64).eps)


def conjugate_gradients(
    product: Callable[[Array], Array],
    b: Array,
    relative: float,
    most: int,
    precondition: Callable[[Array], Array] = lambda r: r,
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
    precondition : callable
        r → P⁻¹r, P symmetric and positive definite: I, or H's own diagonal (Jacobi), or a matrix near H.

    Returns
    -------
    x : array, shape (d,)
        0, or ⟨b, x⟩ > 0.
    flat : array, shape (d,), or None
        A direction along which H has no curvature beside what it has along the others, at which they end: H is not
        positive definite.
    """
    x, r, p, weighed = 0.0 * b, b, 0.0 * b, 0.0 * b  # weighed = Pp
    rz, largest, enough = math.inf, 0.0, relative**2 * _dot(b, b)
    for _ in range(most):
        if _dot(r, r) <= enough:
            break
        z = precondition(r)
        rz, before = _dot(r, z), rz
        p, weighed = z + rz / before * p, r + rz / before * weighed
        hp = product(p)
        size, curvature = _dot(p, weighed), _dot(p, hp)
        if not curvature > _EPS * largest * size:
            return x, p
        largest = max(largest, curvature / size)
        x = x + rz / curvature * p
        r = r - rz / curvature * hp
    return x, None


def _dot(u: Array, v: Array) -> float:
    return float(to_host(u @ v))
