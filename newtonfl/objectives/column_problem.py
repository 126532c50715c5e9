"""A problem of rows whose columns can be taken apart."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.objectives.base import Point, Problem
from newtonfl.objectives.rows import Rows


class ColumnProblem(Problem):
    """A problem that depends on x through the columns of its rows.

    Attributes
    ----------
    rows : Rows
    row_weights : array, shape (N,)
        What each row counts by in its client's function.
    """

    rows: Rows
    row_weights: Array

    def coordinates(self, columns: Array) -> Array:
        """Which coordinates of x meet the rows' `columns`, increasing: of several classes, one a contrast and column.

        Both are numpy.ndarray of int64, counted from 0.
        """
        width = self.rows.dim
        return np.concatenate([first + columns for first in range(0, self.dim, width)])

    def of_columns(self, columns: Array) -> Self:
        """The problem of some of the rows' `columns` alone, by number, as if the others were zero; they are copied."""
        part, coordinates = copy.copy(self), self.coordinates(columns)
        part._forget_everything()
        part._smoothness, part.f_star = None, None
        part.rows, part.dim, part.ridge = self.rows.of_columns(columns), len(coordinates), self.ridge[coordinates]
        if self.local_ridge is not None:
            part.local_ridge = namespace(self.local_ridge).take(
                self.local_ridge, to_device(coordinates, self.local_ridge)
            )
        return part

    def with_penalty_inside(self, ridge: Array) -> Self:
        """This problem with ½ Σ ridge_j x_j² in every client's function, beside what the server adds."""
        other = copy.copy(self)
        other._forget_everything()
        other.local_ridge = to_device(ridge, self.like)
        return other

    def slope_norms(self, point: Point) -> Array:
        """√(Σ_j w_j φ′_j²) of each client at a `point`, shape (n,): no sum Σ_j w_j φ′_j a_j is of larger terms.

        That is, for columns a that Σ_j w_j a_j a_jᵀ makes orthonormal. Asked of losses that reach their infimum.
        """
        raise NotImplementedError  # those of several margins a row do not

    def with_margins_of(self, point: Point) -> Self:
        """This problem with the margins at a `point` of one of the same rows added to its own, as an offset."""
        raise NotImplementedError  # what has no margins refuses personal columns
