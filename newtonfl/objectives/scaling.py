"""Scaling: what is done to rows before they become coordinates; learned of some rows, and applied to others as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import scipy

from newtonfl.core.backend import Array

How = Literal["none", "standard", "maxabs", "unit-rows"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Rows less `shift`, over `divisor`.

    Attributes
    ----------
    how : {"none", "standard", "maxabs", "unit-rows"}
        Standard: each column to mean 0 and variance 1, a constant column to 0. Maxabs: each column over its largest
        absolute value. Unit-rows: each row over its 2-norm. Columns and rows of zeros stay zero.
    shift, divisor : numpy.ndarray, shape (d,), or None
        Of each column; standard has both, maxabs the second. A column that an infinite divisor makes 0 was constant.
    """

    how: How = "none"
    shift: Array | None = None
    divisor: Array | None = None

    def __post_init__(self) -> None:
        if self.how not in get_args(How):
            raise ValueError(f"scale: given {self.how!r}, allowed are {', '.join(get_args(How))}")

    @classmethod
    def of(cls, rows: Array, how: How) -> Self:
        """Learned of `rows`, shape (N, d), dense or CSR.

        Raises
        ------
        ValueError
            For another `how`, or for ``standard`` of sparse rows.
        """
        is_sparse = scipy.sparse.issparse(rows)
        if how == "standard":
            if is_sparse:
                raise ValueError(
                    'scale = "standard" would fill in every zero of sparse rows: scale = "maxabs" keeps them sparse'
                )
            # A constant column's mean may be off by a rounding, which would be blown up to ±1: so ask its entries.
            varies, mean = rows.min(axis=0) < rows.max(axis=0), rows.mean(axis=0)
            centred = np.where(varies, rows - mean, 0.0)
            return cls(how, mean, np.where(varies, np.sqrt(np.mean(centred**2, axis=0)), np.inf))
        if how == "maxabs":
            top = abs(rows).max(axis=0)
            top = top.toarray().ravel() if is_sparse else top
            return cls(how, None, np.where(top > 0, top, 1.0))
        return cls(how)

    def apply(self, rows: Array) -> Array:
        """Scaled `rows`, dense or CSR as they are, but dense where there is a shift; `rows` stay as they are."""
        is_sparse = scipy.sparse.issparse(rows)
        if self.how == "standard":
            assert self.shift is not None and self.divisor is not None
            varies = np.isfinite(self.divisor)
            centred = np.where(varies, (rows.toarray() if is_sparse else rows) - self.shift, 0.0)
            return centred / np.where(varies, self.divisor, 1.0)
        if self.how == "maxabs":
            assert self.divisor is not None
            if not is_sparse:
                return rows / self.divisor
            return _with_data(rows, rows.data / self.divisor[rows.indices])
        if self.how == "unit-rows":
            norms = np.sqrt((rows * rows).sum(axis=1))  # for CSR arrays, too, * goes entry by entry
            norms = np.where(norms > 0, norms, 1.0)
            if not is_sparse:
                return rows / norms[:, None]
            return _with_data(rows, rows.data / np.repeat(norms, np.diff(rows.indptr)))
        return rows


UNSCALED = Scaling()
"""Rows as they are."""


def _with_data(rows: Array, data: Array) -> Array:
    return scipy.sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
