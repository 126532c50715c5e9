"""Symmetric systems, and eigenvectors of symmetric matrices."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import scipy

from newtonfl.core.backend import Array, is_cupy, namespace, on_host


def cholesky(matrix: Array) -> Array | None:
    """The lower Cholesky factor of a symmetric `matrix` (d, d), or None where it is not positive definite."""
    xp = namespace(matrix)
    try:
        with _raising(matrix):
            factor = np.linalg.cholesky(matrix) if on_host(matrix) else xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    return factor if bool(xp.all(xp.isfinite(factor))) else None


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues (d,), rising, and eigenvectors (d, d) of a symmetric `matrix`; NaN where its numbers are too large.

    What becomes of them is then not finite, which packets and steps refuse by name.
    """
    try:
        with _raising(matrix):
            values, vectors = namespace(matrix).linalg.eigh(matrix)
    except np.linalg.LinAlgError:
        return matrix[0, :] * np.nan, matrix * np.nan
    return values, vectors


def _raising(matrix: Array) -> AbstractContextManager[None]:
    """CuPy raises LinAlgError where it is asked to; else it returns whatever its solver left."""
    if not is_cupy(matrix):
        return nullcontext()
    from cupyx import errstate

    state: AbstractContextManager[None] = errstate(linalg="raise")
    return state


def cholesky_solve(factor: Array, vector: Array) -> Array:
    """Solve L Lᵀ x = `vector` (d,) for the lower factor L = `factor` (d, d)."""
    if on_host(factor):
        return scipy.linalg.cho_solve((factor, True), vector, check_finite=False)
    return solve_lower(factor, solve_lower(factor, vector), transposed=True)


def solve_lower(factor: Array, vector: Array, transposed: bool = False) -> Array:
    """Solve L x = `vector` (d,), or Lᵀx = `vector`, for the lower L = `factor` (d, d)."""
    if on_host(factor):
        return scipy.linalg.solve_triangular(factor, vector, lower=True, trans=int(transposed), check_finite=False)
    if is_cupy(factor):
        from cupyx.scipy.linalg import solve_triangular

        return solve_triangular(factor, vector, lower=True, trans=int(transposed))
    # The Array API knows no triangular systems.
    return namespace(factor).linalg.solve(factor.mT if transposed else factor, vector)
