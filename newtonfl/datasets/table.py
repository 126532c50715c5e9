"""Table: rows and labels in memory; how rows are kept, labels made two classes, rows scaled.

Rows stay sparse when fewer than half of their entries are non-zero, and become a dense array otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from newtonfl.core.backend import Array

SCALES = ("none", "standard", "maxabs", "unit-rows")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with their labels, as read.

    Attributes
    ----------
    rows : (N, d) ndarray, C-contiguous, or scipy.sparse.csr_array with sorted indices and no stored zeros; float64
    labels : (N,) float64 ndarray
    source : str
        What the user wrote.
    groups : (N,) int64 ndarray or None
        Codes 0, 1, … of the group column's distinct values in sorted order, where one was named.
    """

    rows: Array
    labels: Array
    source: str
    groups: Array | None = None


def store(rows: Array, dense: bool | None = None) -> Array:
    """`rows` as this library keeps them, dense or CSR; by default CSR rows become dense if half or more is non-zero."""
    if not scipy.sparse.issparse(rows):
        if dense is not False:
            return np.ascontiguousarray(rows, dtype=np.float64)
        return scipy.sparse.csr_array(np.asarray(rows, dtype=np.float64))
    rows = scipy.sparse.csr_array(rows, dtype=np.float64, copy=True)  # what follows works in place
    rows.sum_duplicates()  # also sorts
    rows.eliminate_zeros()
    if dense is None:
        dense = is_filled(rows.nnz, *rows.shape)
    return rows.toarray() if dense else rows


def is_filled(nonzeros: int, rows: int, columns: int) -> bool:
    """Whether half of the entries or more are not zero, so that a dense array serves better."""
    return 2 * nonzeros >= rows * columns


def two_classes(labels: Array, classes: tuple[float, float] | None, where: str) -> tuple[Array, Array]:
    """Labels as −1 and +1.

    Parameters
    ----------
    labels : (N,) array
    classes : (a, b), optional
        Keep only rows with these labels; a becomes −1 and b +1. Without it there must be exactly two distinct
        labels; the smaller becomes −1. One of the two may be absent here (it may be in another file).
    where : str
        What the message names: the source.

    Returns
    -------
    labels : (M,) float64 array of −1 and +1
    kept : (M,) int64 array
        The rows that were kept, ascending.
    """
    found = np.unique(labels)
    if classes is None:
        if found.size != 2:
            raise ValueError(
                f"{where}: two classes are needed, and there are {found.size} different labels ({some(found)}): "
                "classes = [a, b] under [data] picks two"
            )
        classes = (found[0], found[1])
    low, high = classes
    kept = np.flatnonzero((labels == low) | (labels == high)).astype(np.int64)
    if kept.size == 0:
        raise ValueError(f"{where}: no row has a label of classes = [{low:g}, {high:g}]; the labels are {some(found)}")
    return np.where(labels[kept] == high, 1.0, -1.0), kept


def some(labels: Array) -> str:
    """The first few labels, for a message."""
    return ", ".join(f"{value:g}" for value in labels[:8]) + (", …" if len(labels) > 8 else "")


def scale(rows: Array, how: str) -> Array:
    """Scaled rows; `rows` itself is left as it is.

    Parameters
    ----------
    rows : (N, d) ndarray or csr_array
    how : str
        ``none``; ``standard``: each column to mean 0 and variance 1, a constant column to 0 (dense rows only);
        ``maxabs``: each column over its largest absolute value; ``unit-rows``: each row over its 2-norm.
        Columns and rows of zeros stay zero.

    Raises
    ------
    ValueError
        For another `how`, or for ``standard`` on sparse rows.
    """
    if how not in SCALES:
        raise ValueError(f"scale: given {how!r}, allowed are {', '.join(SCALES)}")
    if how == "none":
        return rows
    is_sparse = scipy.sparse.issparse(rows)
    if how == "standard":
        if is_sparse:
            raise ValueError(
                'scale = "standard" would fill in every zero of sparse rows: scale = "maxabs" keeps them sparse'
            )
        # A constant column's mean may be off by a rounding, which would be blown up to ±1: so ask its entries.
        varies = rows.min(axis=0) < rows.max(axis=0)
        centred = np.where(varies, rows - rows.mean(axis=0), 0.0)
        return centred / np.where(varies, np.sqrt(np.mean(centred**2, axis=0)), 1.0)
    if how == "maxabs":
        top = abs(rows).max(axis=0)
        top = top.toarray().ravel() if is_sparse else top
        factors = np.where(top > 0, top, 1.0)
        if not is_sparse:
            return rows / factors
        return scipy.sparse.csr_array((rows.data / factors[rows.indices], rows.indices, rows.indptr), shape=rows.shape)
    norms = np.sqrt((rows * rows).sum(axis=1))  # for CSR arrays, too, * goes entry by entry
    norms = np.where(norms > 0, norms, 1.0)
    if not is_sparse:
        return rows / norms[:, None]
    data = rows.data / np.repeat(norms, np.diff(rows.indptr))
    return scipy.sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
