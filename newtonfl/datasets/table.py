"""Table: rows and labels in memory; how rows are kept, labels made two classes.

Rows stay sparse when fewer than half of their entries are non-zero, and become a dense array otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.objectives.scaling import UNSCALED, Scaling


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with their labels, as read.

    Attributes
    ----------
    rows : (N, c) ndarray, C-contiguous, or scipy.sparse.csr_array with sorted indices and no stored zeros; float64
        NaN where a value is missing; a column of words holds each word's position among its levels.
    labels : (N,) ndarray of float64, or of str as objects
    source : str
        What the user wrote.
    groups : (N,) int64 ndarray or None
        Each row's position among the group column's distinct values in order, where one was named.
    per_row : dict of str to (N,) ndarray of float64
        "offset" and "exposure", where columns of them were named.
    offset_names : (str, str)
        Those columns; empty where none was.
    column_names : tuple of str, or None
        Of `rows`; None where the source has no names.
    label_name : str
        The labels' column; empty where they have none.
    label_candidates : tuple of str
        Which columns could be the label, where nobody said and several could; else that one, or empty.
    levels : dict of str to tuple of str
        The distinct words, in order, of each column of words, by its name.
    left_out : int
        How many rows were left out, for want of a value or for another label than the two that are asked for.
    other_labels : (k,) ndarray
        The distinct labels of the latter.
    scaling : Scaling
        What was done to the rows.
    """

    rows: Array
    labels: Array
    source: str
    groups: Array | None = None
    column_names: tuple[str, ...] | None = None
    label_name: str = ""
    label_candidates: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: int = 0
    other_labels: Array = field(default_factory=lambda: np.zeros(0))
    scaling: Scaling = UNSCALED
    per_row: Mapping[str, Array] = field(default_factory=dict)
    offset_names: tuple[str, str] = ("", "")

    def where(self, kept: Array) -> Table:
        """The rows of a mask, shape (N,), and the words that they have."""
        if kept.all():
            return self
        rows, levels = self.rows[kept], dict(self.levels)
        for name, words in self.levels.items():
            column = rows[:, (self.column_names or ()).index(name)]
            known = ~np.isnan(column)
            found, column[known] = np.unique(column[known], return_inverse=True)
            levels[name] = tuple(words[int(i)] for i in found)
        groups = None if self.groups is None else self.groups[kept]
        left_out = self.left_out + int(np.sum(~kept))
        per_row = {name: values[kept] for name, values in self.per_row.items()}
        return replace(
            self, rows=rows, labels=self.labels[kept], groups=groups, levels=levels, left_out=left_out, per_row=per_row
        )


def store(rows: Array, dense: bool | None = None) -> Array:
    """`rows` as this library keeps them, dense or CSR; by default CSR rows become dense if half or more is non-zero.

    What needs no change is no copy.
    """
    if not scipy.sparse.issparse(rows):
        if dense is not False:
            return np.ascontiguousarray(rows, dtype=np.float64)
        return scipy.sparse.csr_array(np.asarray(rows, dtype=np.float64))
    if not isinstance(rows, scipy.sparse.csr_array) or rows.dtype != np.float64:
        rows = scipy.sparse.csr_array(rows, dtype=np.float64)
    if not rows.has_canonical_format or np.count_nonzero(rows.data) < len(rows.data) or len(rows.data) > rows.nnz:
        rows = rows.copy()  # what follows works in place
        rows.sum_duplicates()  # also sorts
        rows.eliminate_zeros()
    if dense is None:
        dense = is_filled(rows.nnz, *rows.shape)
    return rows.toarray() if dense else rows


def is_filled(nonzeros: int, rows: int, columns: int) -> bool:
    """Whether half of the entries or more are not zero, so that a dense array serves better."""
    return 2 * nonzeros >= rows * columns


def two_classes(labels: Array, classes: Sequence[Any] | None, where: str) -> tuple[Array, Array]:
    """Labels as −1 and +1.

    Parameters
    ----------
    labels : (N,) array of numbers or str
    classes : (a, b), optional
        Keep only rows with these labels; a becomes −1 and b +1. Without it there must be exactly two distinct
        labels; the smaller, or the first in the alphabet, becomes −1. One of the two may be absent here (it may be
        in another file).
    where : str
        What the message names: the source.

    Returns
    -------
    labels : (M,) float64 array of −1 and +1
    kept : (M,) int64 array
        The rows that were kept, ascending.

    Raises
    ------
    ValueError
        If there are not two, or no row is left.
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
    alike = isinstance(low, str) == (labels.dtype.kind in "UO")  # a word is no number
    kept = np.flatnonzero((labels == low) | (labels == high) if alike else []).astype(np.int64)
    if kept.size == 0:
        raise ValueError(
            f"{where}: no row has a label of classes = [{some((low, high))}]; the labels are {some(found)}"
        )
    return np.where(labels[kept] == high, 1.0, -1.0), kept


def some(labels: Sequence[Any] | Array) -> str:
    """The first few labels, for a message."""
    return ", ".join(map(shown, labels[:8])) + (", …" if len(labels) > 8 else "")


def shown(label: Any) -> str:
    """A label as one writes it: 3 rather than 3.0, and text in quotes."""
    if isinstance(label, str):
        return repr(str(label))
    return str(int(label)) if float(label).is_integer() else repr(float(label))
