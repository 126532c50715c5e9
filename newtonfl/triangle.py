"""The upper triangle of a symmetric matrix as a vector: row by row, the diagonal included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from newtonfl.backend import Array


@dataclass(frozen=True)
class Triangle:
    """Index tables of the upper triangle of a (d, d) matrix. All on the host.

    Attributes
    ----------
    size : int
        d(d + 1)/2.
    upper : numpy.ndarray, shape (size,)
        Where a packed entry stands in the flattened matrix.
    square : numpy.ndarray, shape (d * d,)
        Where a flattened matrix's entry stands in the packed vector.
    diagonal : numpy.ndarray, shape (d,)
        The packed positions of the diagonal.
    isometry : numpy.ndarray, shape (size,)
        1 on the diagonal, √2 off it: with these factors the 2-norm of the vector is the matrix's Frobenius norm.
    """

    size: int
    upper: Array
    square: Array
    diagonal: Array
    isometry: Array


def position(row: Array, column: Array, dim: int) -> Array:
    """The packed position of entry (`row`, `column`), row ≤ column."""
    return row * dim - row * (row - 1) // 2 + column - row


@lru_cache(maxsize=64)  # clients' ranks differ, and each has its own
def triangle(dim: int) -> Triangle:
    """The tables for dimension `dim`."""
    row, column = np.triu_indices(dim)
    all_rows, all_columns = np.divmod(np.arange(dim * dim), dim)
    square = position(np.minimum(all_rows, all_columns), np.maximum(all_rows, all_columns), dim)
    each = np.arange(dim)
    isometry = np.where(row == column, 1.0, np.sqrt(2.0))
    return Triangle(len(row), row * dim + column, square, position(each, each, dim), isometry)
