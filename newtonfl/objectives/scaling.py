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
            For another `how`, for ``standard`` of sparse rows, or where squares are beyond a double.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if how == "standard":
                refuse_sparse(rows)
                means = rows.mean(axis=0)
                variances = np.mean((rows - means) ** 2, axis=0)
                if len(bad := np.flatnonzero(~np.isfinite(variances))):
                    raise ValueError(
                        f"column {bad[0]}, counted from 0: its squares are beyond a double: change its unit"
                    )
                return cls.standard(np.array(len(rows)), means, variances)
            if how == "unit-rows" and len(bad := np.flatnonzero(_lost(rows))):
                raise ValueError(f"row {bad[0]}, counted from 0: its squares are beyond a double: change the unit")
        return cls.maxabs(cls.largest(rows)) if how == "maxabs" else cls(how)

    @classmethod
    def standard(cls, counts: Array, means: Array, variances: Array) -> Self:
        """To mean 0 and variance 1, by how many values columns have and these' moments; constant columns become 0."""
        constant = is_constant(counts, means, variances)
        return cls("standard", means, np.where(constant, np.inf, np.sqrt(variances)))

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


def is_constant(counts: Array, means: Array, variances: Array) -> Array:
    """Whether a variance v of N values about their mean m, in two passes, is what rounding leaves of a constant.

    Its error is at most about N ε v + (N m ε)² (Chan, Golub and LeVeque, The American Statistician 37, 1983). Asked of
    the values themselves a mean in the place of gaps, off by a rounding, would be blown up to ±1.
    """
    eps = np.finfo(np.float64).eps
    constant: Array = variances <= counts * eps * variances + (counts * means * eps) ** 2
    return constant


def _lost(rows: Array) -> Array:
    """Whether the sum of a row's squares is infinite, or zero where the row is not; shape (N,)."""
    squares = np.asarray((rows * rows).sum(axis=1))
    return np.isinf(squares) | ((squares == 0.0) & (np.asarray(abs(rows).sum(axis=1)) > 0.0))


def refuse_sparse(rows: Array) -> None:
    """Refuse the scale ``standard`` of sparse rows with a ValueError."""
    if scipy.sparse.issparse(rows):
        raise ValueError('"standard" would fill in every zero of sparse rows: "maxabs" keeps them sparse')
