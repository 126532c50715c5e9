"""A generalised linear model: rows and a loss, as a Problem."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.ragged import Blocks, selected
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import add_at, norms, sums, weighted_grams
from newtonfl.objectives.base import Point
from newtonfl.objectives.losses import Loss
from newtonfl.objectives.row_problem import RowProblem
from newtonfl.objectives.sparse_rows import SparseRows

if TYPE_CHECKING:
    from newtonfl.core.random import Key


class GLM(RowProblem):
    """f(x) = (1/Σw) Σ_j w_j φ(a_jᵀx + o_j, y_j) + ½ Σ ridge_j x_j².

    Parameters
    ----------
    rows : array (N, d), or SciPy CSR array
        The rows of the clients held here, end to end, on the host.
    labels : numpy.ndarray, shape (N,)
    sizes : array of int
        How many rows each client held here has.
    loss : Loss
    total_weight : float
        Σw over all rows of all processes.
    offset : numpy.ndarray, shape (N,), or None
        o_j, what is known of the margins; None is 0.
    more : keyword arguments of :class:`RowProblem`
    """

    def __init__(
        self,
        rows: Array,
        labels: Array,
        sizes: Array,
        loss: Loss,
        total_weight: float,
        *args: Any,
        offset: Array | None = None,
        **more: Any,
    ) -> None:
        super().__init__(rows, labels, sizes, total_weight, *args, dim=rows.shape[1], **more)
        self.loss, self.family = loss, loss.family
        self.offset = None if offset is None else to_device(np.asarray(offset, dtype=np.float64), self.like)
        self.curvature_bound, self.curvature_lipschitz = loss.curvature_bound, loss.curvature_lipschitz

    def _select(self, part: Self, chosen: Array) -> None:
        super()._select(part, chosen)
        part.offset = None if self.offset is None else selected(self.offset, self.rows.offsets, chosen)

    def slope_norms(self, point: Point) -> Array:
        assert isinstance(point, _GLMPoint)
        slopes = self.loss.slope(point.margins, self.labels)
        return norms(Blocks(namespace(slopes).sqrt(self.row_weights) * slopes, self.rows.offsets))

    def with_margins_of(self, point: Point) -> Self:
        assert isinstance(point, _GLMPoint)
        other = copy.copy(self)
        other._forget_everything()
        other.offset = point.margins
        return other

    @property
    def unattained(self) -> bool:
        return self.loss.unattained

    @property
    def is_sparse(self) -> bool:
        return isinstance(self.rows, SparseRows)

    def support(self, diagonal: bool) -> Blocks:
        if not isinstance(self.rows, SparseRows):
            return super().support(diagonal)
        return self.rows.on_supports(diagonal).supports

    def diagonal_on_support(self, diagonal: bool) -> tuple[Array, Array]:
        """Where the diagonal stands in all clients' supports laid end to end, and which columns are there."""
        assert isinstance(self.rows, SparseRows)
        on_supports = self.rows.on_supports(diagonal)
        own = on_supports.diagonal
        places = own.values + np.repeat(on_supports.supports.offsets[:-1], own.sizes)
        return places, np.searchsorted(triangle(self.dim).diagonal, on_supports.supports.values[places])

    @property
    def hessian_entries(self) -> float:
        whole = super().hessian_entries
        return min(whole, self.rows.pairs_per_client) if isinstance(self.rows, SparseRows) else whole

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        return [self.rows.project(i, v) for i, v in enumerate(vectors)]

    def client_rows(self, i: int) -> Array:
        return self.rows.on_host(i)

    def margins(self, x: Array) -> Array:
        """a_jᵀx + o_j of the rows held here, shape (N,), for `x` of shape (d,), or (n, d) with one point a client."""
        margins = self.rows.margins(x)
        return margins if self.offset is None else margins + self.offset

    def _at(self, x: Array) -> Point:
        return _GLMPoint(self, x)


class _GLMPoint(Point):
    problem: GLM

    @cached_property
    def margins(self) -> Array:
        return self.problem.margins(self.x)

    @cached_property
    def curvatures(self) -> Array:
        """w_j φ″(a_jᵀx + o_j, y_j): with the rows, all that the Hessians depend on."""
        p = self.problem
        p.check_convex("a Hessian")
        return p.row_weights * p.loss.curvature(self.margins, p.labels)

    @cached_property
    def slopes(self) -> Array:
        """w_j φ′(a_jᵀx + o_j, y_j): with the rows, all that the gradients depend on."""
        p = self.problem
        return p.row_weights * p.loss.slope(self.margins, p.labels)

    def _value(self) -> Array:
        return self._value_of(self.margins)

    def _value_of(self, margins: Array) -> Array:
        p = self.problem
        return sums(Blocks(p.row_weights * p.loss.value(margins, p.labels), p.rows.offsets))

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        along = self.problem.rows.margins(direction)
        return [self._value_of(self.margins + step * along) for step in steps]

    def _gradient(self) -> Array:
        return self.problem.rows.combine(self.slopes)

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        return self.problem.rows.combine(self.problem.drawn(batch, key) * self.slopes)

    def _hessians(self) -> Blocks:
        return self.problem.rows.grams(self.curvatures)

    def _hessian_product(self, v: Array) -> Array:
        rows = self.problem.rows
        return rows.combine(self.curvatures * rows.margins(v))

    def _hessian_diagonal(self) -> Array:
        return self.problem.rows.combine_squares(self.curvatures)

    def _hessians_in(self, rows: Sequence[Array]) -> Blocks:
        weights = Blocks(self.curvatures, self.problem.rows.offsets)
        packed = [weighted_grams(block[None, :, :], w) for block, w in zip(rows, weights, strict=True)]
        return Blocks.of(packed, weights.values)

    def _hessians_on_support(self, diagonal: bool) -> Blocks:
        rows = self.problem.rows
        assert isinstance(rows, SparseRows)  # Problem.support has refused the others
        on_support = rows.grams_on_support(self.curvatures, diagonal)
        if self.problem.local_ridge is None:
            return on_support
        places, columns = self.problem.diagonal_on_support(diagonal)
        ridge = to_host(self.problem.local_ridge)[columns]
        return on_support.replaced(add_at(on_support.values, places, ridge))
