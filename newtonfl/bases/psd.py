"""A basis of positive semidefinite matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from newtonfl.bases.basis import TriangleCoordinates, unpacked
from newtonfl.bases.symmetric import WholeTriangle
from newtonfl.core.backend import Array, namespace, resident, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import norms
from newtonfl.objectives.base import Point


@dataclass(frozen=True)
class PSD(WholeTriangle):
    """A = Σ_j h_jj e_j e_jᵀ + Σ_{j<l} h_jl (e_j + e_l)(e_j + e_l)ᵀ (BL3, arXiv 2111.01847).

    So h_jl = A_jl and h_jj = A_jj - Σ_{l≠j} A_jl. Every matrix of the basis is positive semidefinite: of two
    vectors of coefficients, the larger in every entry is the larger matrix.

    Examples
    --------
    The coefficients h_11, h_12 and h_22 of the matrix with rows (2, 1) and (1, 3):

    >>> import numpy as np, newtonfl as nf
    >>> nf.PSD().from_setup(2, [{}]).of_entries(np.array([2.0, 1.0, 3.0]), 2)
    array([1., 1., 2.])
    """

    name = "psd"

    def _for(self, dim: int, n: int) -> TriangleCoordinates:
        return _PSDCoordinates(np.full(n, triangle(dim).size), dim, isometric=False)


class _PSDCoordinates(TriangleCoordinates):
    def coefficients(self, point: Point) -> Blocks:
        return Blocks.of([self.of_entries(packed, self.dim) for packed in point.hessians], point.x)

    def norms(self, blocks: Blocks) -> Array:
        scale = resident(triangle(self.dim).isometry, blocks.values)
        return norms(Blocks.of([self.entries(vector) * scale for vector in blocks], blocks.values))

    def entries(self, total: Array) -> Array:
        return total + _row_sums(total, self.dim)

    def of_entries(self, packed: Array, dim: int) -> Array:
        return packed - _row_sums(packed, dim)


def _row_sums(packed: Array, dim: int) -> Array:
    """Σ_{l≠j} A_jl at the place of A_jj, and 0 elsewhere, in a packed triangle."""
    xp = namespace(packed)
    off_diagonal, row = (resident(table, packed) for table in _tables(dim))
    sums = xp.sum(unpacked(packed * off_diagonal, dim), axis=1)
    return xp.take(xp.concat([sums, zeros(1, packed)]), row)


@lru_cache(maxsize=8)
def _tables(dim: int) -> tuple[Array, Array]:
    """For each packed entry: 0 on the diagonal and 1 off it, and its row on the diagonal and `dim` off it."""
    off_diagonal, row = np.ones(triangle(dim).size), np.full(triangle(dim).size, dim)
    off_diagonal[triangle(dim).diagonal] = 0.0
    row[triangle(dim).diagonal] = np.arange(dim)
    return off_diagonal, row
