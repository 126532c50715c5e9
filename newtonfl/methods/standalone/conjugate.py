"""Conjugate gradients for a matrix that answers with products, where it may have no curvature along some direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array

_EPS = float(np.finfo(np.float64).eps)
_FAR = 1e10


def truncated_cg(product: Callable[[Array], Array], b: Array, diagonal: Array, relative: float, most: int) -> Array:
    """p with ‖Hp - b‖ ≤ relative·‖b‖ by preconditioned conjugate gradients from 0, or what they have found till then.

    Where H has no curvature along a direction beside what it has along the others, that direction itself: a model
    without curvature has no minimiser, and a line search says how far. It is taken so long that it is the last resort.

    Parameters
    ----------
    product : callable
        v → Hv, H symmetric and positive semidefinite.
    b : numpy.ndarray, shape (d,)
        Not zero.
    diagonal : numpy.ndarray, shape (d,)
        Of the preconditioner, positive: 1, or H's own (Jacobi).
    relative : float
        Where to stop.
    most : int
        The most products.

    Returns
    -------
    numpy.ndarray, shape (d,)
        With ⟨b, p⟩ > 0.
    """
    p, r = np.zeros_like(b), b
    z = r / diagonal
    q, rz, largest = z, float(r @ z), 0.0
    for _ in range(most):
        hq = product(q)
        size, curvature = float(q @ (diagonal * q)), float(q @ hq)
        if not curvature > _EPS * largest * size:
            return p + _FAR * max(1.0, float(np.linalg.norm(p))) / float(np.linalg.norm(q)) * q
        largest = max(largest, curvature / size)
        p = p + rz / curvature * q
        r = r - rz / curvature * hq
        if np.linalg.norm(r) <= relative * np.linalg.norm(b):
            break
        z = r / diagonal
        rz, before = float(r @ z), rz
        q = z + rz / before * q
    return p
