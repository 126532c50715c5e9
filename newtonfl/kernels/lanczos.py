"""A function of a symmetric matrix that answers with products, times a vector."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import scipy

from newtonfl.core.backend import Array, to_host

_BETWEEN = 5
"""How many products lie between two results that are compared."""


def function_product(
    product: Callable[[Array], Array], function: Callable[[Array], Array], b: Array, relative: float, most: int
) -> Array | None:
    """f(H)b by Lanczos: f of the small tridiagonal matrix that H is on b, Hb, H²b, …, whose basis is kept orthogonal.

    Parameters
    ----------
    product : callable
        v → Hv, H symmetric.
    function : callable
        f of an array of eigenvalues.
    b : array, shape (d,)
    relative : float
        It stops where five more products change the result by no more than this share of it, or where no direction is
        left: then it is exact.
    most : int
        The most products, each of which keeps a vector.

    Returns
    -------
    array, shape (d,), or None
        None where `most` products do not find it so.
    """
    norm = float(np.linalg.norm(to_host(b)))
    if norm == 0.0:
        return b
    basis, results = [b / norm], deque([np.zeros(0)], maxlen=_BETWEEN)
    diagonal: list[float] = []
    beside: list[float] = []
    for k in range(1, most + 1):
        v = product(basis[-1])
        diagonal.append(float(to_host(v @ basis[-1])))
        for _ in range(2):  # once more for what rounding leaves
            for q in basis:
                v = v - (q @ v) * q
        length = float(np.linalg.norm(to_host(v)))
        values, vectors = scipy.linalg.eigh_tridiagonal(diagonal, beside)
        found = vectors @ (function(values) * vectors[0])
        change = np.linalg.norm(found - np.pad(results[0], (0, k - len(results[0]))))
        if length <= 1e-14 * float(np.max(np.abs(values))) or change <= relative * np.linalg.norm(found):
            total = 0.0 * b
            for weight, q in zip(found.tolist(), basis, strict=True):
                total = total + norm * weight * q
            return total
        results.append(found)
        beside.append(length)
        basis.append(v / length)
    return None
