"""Orthonormal bases of the spans of rows."""

from __future__ import annotations

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.memory import available
from newtonfl.core.symmetric import TooLarge

LARGE = 1024
"""Dimensions above it are large: there no (d, d) matrix is formed where it need not be."""

_UNNOTICED = 1 << 28
"""Bytes that nobody asks for: to know what is free takes a tenth of a millisecond."""

_EXACT = 0.1
"""How far from orthonormal rows may be for one more Cholesky factorisation to make them so, to rounding."""


def is_large(dim: int, most: int = LARGE) -> bool:
    """Whether a basis of data in dimension `dim` keeps the clients' small matrices apart.

    Up to `most` their sum is assembled and factorised.
    """
    return dim > most


def span(rows: Array, most: int = LARGE) -> Array:
    """Orthonormal rows (r, d) that span the `rows` (m, d): their right singular vectors, the largest first.

    Along them equal weights make Λ_i diagonal, so that few of its coefficients matter: on a1a BL1 with Top-r takes 16
    rounds, and 24 with the basis of the QR factorisation. A vector's largest entry is positive. In a dimension above
    `most` matrix products find them, where the rows are far from dependent.
    """
    vectors = _by_products(rows) if is_large(rows.shape[1], most) else None
    if vectors is None:
        vectors = _by_pivots(rows)
    peaks = np.argmax(np.abs(vectors), axis=1) if len(vectors) else np.zeros(0, np.int64)
    signs = np.where(vectors[np.arange(len(vectors)), peaks] < 0, -1.0, 1.0)
    vectors *= signs[:, None]
    return vectors


def check_room(numbers: int, dim: int) -> None:
    """Refuse spans of that many `numbers` in dimension `dim`, which do not fit.

    Raises
    ------
    TooLarge
        Where they are more than is free.
    """
    size = 8 * numbers
    free = available() if size > _UNNOTICED else None
    if free is not None and size > free:
        raise TooLarge(
            f"basis=data: the spans of the clients' rows are up to {numbers // dim:,} vectors of d = {dim} numbers; "
            f"that is {size / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free: take newton-cg or l-bfgs, "
            "which send vectors alone, or fewer rows"
        )


def _by_pivots(rows: Array) -> Array:
    """QR with column pivoting finds the rank, where abs(R_kk) falls to max(m, d)·eps·abs(R_00).

    It leaves a small matrix to decompose.
    """
    m, dim = rows.shape
    if m == 0:
        return np.zeros((0, dim))
    q, r, _ = scipy.linalg.qr(rows.T, mode="economic", pivoting=True, check_finite=False)
    pivots = np.diagonal(r)
    rank = int(np.sum(np.abs(pivots) > max(m, dim) * np.finfo(float).eps * np.abs(pivots[0])))
    vectors = (q[:, :rank] @ np.linalg.svd(r[:rank], full_matrices=False)[0]).T
    return np.ascontiguousarray(vectors)


def _by_products(rows: Array) -> Array | None:
    """Two Cholesky factorisations of Gram matrices (CholeskyQR2), and the rotation to the singular vectors.

    Four products of matrices, where pivots go vector by vector. None where the rows may be dependent: the Gram matrix
    squares their condition. Rows that the first factorisation leaves orthonormal up to 0.1 the second makes exactly so.
    """
    m, dim = rows.shape
    if not 0 < m <= dim:
        return None
    try:
        first = np.linalg.cholesky(rows @ rows.T)
        nearly = scipy.linalg.solve_triangular(first, rows, lower=True, check_finite=False)
        gram = nearly @ nearly.T
        if not float(np.max(np.abs(gram - np.eye(m)))) * m < _EXACT:
            return None
        second = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    # rows = first @ second @ Q = W S Uᵀ Q: the right singular vectors are UᵀQ.
    right = np.linalg.svd(first @ second)[2]
    rotation = scipy.linalg.solve_triangular(second, right.T, lower=True, trans=1, check_finite=False).T
    return rotation @ nearly


def completed(vectors: Array) -> Array:
    """An orthogonal matrix (d, d) whose first rows are the orthonormal `vectors` (r, d)."""
    rank, dim = vectors.shape
    if rank == 0:
        return np.eye(dim)
    rest = np.linalg.qr(vectors.T, mode="complete")[0][:, rank:]
    return np.concatenate([vectors, rest.T])
