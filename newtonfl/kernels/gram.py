"""Bᵀ diag(w) B of many matrices, as upper triangles."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, is_cupy, namespace, on_host, resident
from newtonfl.core.symmetric import triangle

_BLOCK = 1 << 17
"""Numbers of full products that are made together on the host: they stay in cache until their triangles are taken."""


def weighted_grams(stack: Array, weights: Array) -> Array:
    """Bᵀ diag(w) B of every matrix of a stack, as packed upper triangles.

    Parameters
    ----------
    stack : array, shape (n, m, r)
        B. Off the host n is 1: there bits may depend on how many matrices share a call.
    weights : array, shape (n·m,)
        w ≥ 0.

    Returns
    -------
    array, shape (n·r(r + 1)/2,)
        The triangles end to end.
    """
    xp = namespace(weights)
    (n, m, order), upper = stack.shape, triangle(stack.shape[2]).upper
    roots = xp.reshape(xp.sqrt(weights), (n, m, 1))
    if not on_host(stack):
        scaled = roots[0, :, :] * stack[0, :, :]
        square = _syrk(scaled) if is_cupy(scaled) and 0 not in scaled.shape else scaled.T @ scaled
        return xp.take(xp.reshape(square, (-1,)), resident(upper, weights))
    packed = np.empty((n, len(upper)))
    step = max(_BLOCK // max(order * order, m * order, 1), 1)
    for a in range(0, n, step):
        scaled = roots[a : a + step] * stack[a : a + step]
        # NumPy sees by itself that the products are symmetric.
        squares = np.matmul(scaled.transpose(0, 2, 1), scaled).reshape(len(scaled), -1)
        np.take(squares, upper, axis=1, out=packed[a : a + step], mode="clip")
    return packed.reshape(-1)


def _syrk(matrix: Array) -> Array:
    """AᵀA of which the upper triangle alone is written: half a product's work."""
    from cupy import cublas, empty

    order = matrix.shape[1]
    return cublas.syrk("T", matrix, out=empty((order, order)), lower=False)
