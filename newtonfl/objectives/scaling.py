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
        if how == "standard":
            refuse_sparse(rows)
            # A constant column's mean may be off by a rounding, which would be blown up to ±1: so ask its entries.
            least = rows.min(axis=0)
            means = np.where(least < rows.max(axis=0), rows.mean(axis=0), least)
            return cls.standard(means, np.mean((rows - means) ** 2, axis=0))
        return cls.maxabs(cls.largest(rows)) if how == "maxabs" else cls(how)

    @classmethod
    def standard(cls, means: Array, variances: Array) -> Self:
        """To mean 0 and variance 1, by columns' `means` and `variances`; those of variance 0 become 0."""
        return cls("standard", means, np.where(variances > 0.0, np.sqrt(variances), np.inf))

    @classmethod
    def maxabs(cls, largest: Array) -> Self:
        """To largest absolute values of 1, by those that the columns have."""
        return cls("maxabs", None, np.where(largest > 0.0, largest, 1.0))

    @staticmethod
    def largest(rows: Array) -> Array:
        """Each column's largest absolute value."""
        top = abs(rows).max(axis=0)
        return top.toarray().ravel() if scipy.sparse.issparse(rows) else top

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

    def undone(self, coefficients: Array, intercept: float) -> tuple[Array, float]:
        """The model of columns in their own units that has the margins of this one of scaled columns.

        w_j/divisor_j in the place of w_j, 0 for a constant column, and b − Σ_j w_j shift_j/divisor_j in that of b.

        Raises
        ------
        ValueError
            If each row was scaled by its own norm, or `coefficients` has another shape than the columns.
        """
        if self.how == "unit-rows":
            raise ValueError('scale = "unit-rows" divides each row by its own norm: no model of the columns undoes it')
        if self.divisor is None:
            return coefficients, intercept
        if coefficients.shape != self.divisor.shape:
            raise ValueError(f"x: given {coefficients.shape} coefficients, must be {self.divisor.shape}")
        w = coefficients / self.divisor
        return w, intercept - float(0.0 if self.shift is None else w @ self.shift)


UNSCALED = Scaling()
"""Rows as they are."""


def _with_data(rows: Array, data: Array) -> Array:
    return scipy.sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def refuse_sparse(rows: Array) -> None:
    """Refuse the scale ``standard`` of sparse rows with a ValueError."""
    if scipy.sparse.issparse(rows):
        raise ValueError('"standard" would fill in every zero of sparse rows: "maxabs" keeps them sparse')
