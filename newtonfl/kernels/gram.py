"""Bᵀ diag(w) B of one matrix, as its upper triangle."""

from __future__ import annotations

from newtonfl.core.backend import Array, is_cupy, namespace, resident
from newtonfl.core.symmetric import triangle


def weighted_gram(block: Array, weights: Array) -> Array:
    """Bᵀ diag(w) B as a packed upper triangle.

    Parameters
    ----------
    block : array, shape (m, r)
        B.
    weights : array, shape (m,)
        w ≥ 0.

    Returns
    -------
    array, shape (r(r + 1)/2,)
    """
    xp = namespace(weights)
    scaled = xp.sqrt(weights)[:, None] * block
    # NumPy sees by itself that the product is symmetric.
    square = _syrk(scaled) if is_cupy(scaled) and 0 not in scaled.shape else scaled.T @ scaled
    return xp.take(xp.reshape(square, (-1,)), resident(triangle(block.shape[1]).upper, weights))


def _syrk(matrix: Array) -> Array:
    """AᵀA of which the upper triangle alone is written: half a product's work."""
    from cupy import cublas, empty

    order = matrix.shape[1]
    return cublas.syrk("T", matrix, out=empty((order, order)), lower=False)
