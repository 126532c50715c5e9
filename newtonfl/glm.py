"""A generalised linear model: rows and a loss, as a Problem."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from newtonfl.backend import Array, to_device, to_host
from newtonfl.blocks import Blocks, offsets_of
from newtonfl.losses import Loss
from newtonfl.problem import Point, Problem
from newtonfl.rows import DenseRows, Rows, SparseRows
from newtonfl.triangle import triangle


class GLM(Problem):
    """f(x) = (1/Σw) Σ_j w_j φ(a_jᵀx, y_j) + ½ Σ ridge_j x_j².

    Every row weighs as its weight says, whichever client holds it: f_i = (n/Σw) Σ_{j in i} w_j φ_j. On equal blocks
    and equal weights that is the papers' f_i, the mean over the client's own rows.

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
    weights : numpy.ndarray, shape (N,), or None
        w_j ≥ 0; None means 1.
    like : array or None
        Names the library and device that shall hold the data; None is NumPy.
    problem : keyword arguments of :class:`Problem`
    """

    def __init__(
        self,
        rows: Array,
        labels: Array,
        sizes: Array,
        loss: Loss,
        total_weight: float,
        weights: Array | None = None,
        like: Array = None,
        **problem: Any,
    ) -> None:
        like = np.zeros(0) if like is None else like
        super().__init__(dim=rows.shape[1], like=like, **problem)
        offsets = offsets_of(sizes)
        self.host = rows, labels, weights
        self.loss, self.total_weight = loss, total_weight
        self.labels = to_device(np.asarray(labels, dtype=np.float64), like)
        each = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
        self.row_weights = to_device(each * (self.n_clients / total_weight), like)
        self.rows: Rows = (
            SparseRows(scipy.sparse.csr_array(rows), offsets, like)
            if scipy.sparse.issparse(rows)
            else DenseRows(to_device(np.array(rows, dtype=np.float64, order="C"), like), offsets)
        )

    def take(self, chosen: Array) -> GLM:
        """The problem of some of the clients held here: `chosen` are positions in :attr:`clients`."""
        rows, labels, weights = self.host
        edges = self.rows.offsets
        index = np.concatenate([np.arange(edges[i], edges[i + 1]) for i in chosen])
        part = GLM(
            rows[index], labels[index], np.diff(edges)[chosen], self.loss, self.total_weight,
            None if weights is None else weights[index], self.like,
            n_clients=self.n_clients, ridge=self.ridge, objective=self.objective, clients=self.clients[chosen],
            transport=self.transport, f_star=self.f_star,
        )  # fmt: skip
        return part if self.local_ridge is None else part.with_local_ridge()

    @property
    def is_sparse(self) -> bool:
        return isinstance(self.rows, SparseRows)

    def support(self, diagonal: bool) -> Blocks:
        if not isinstance(self.rows, SparseRows):
            return super().support(diagonal)
        return self.rows.support(diagonal)[0]

    def curvature_product(self, v: Array) -> Array:
        if not np.isfinite(self.loss.curvature_bound):
            return super().curvature_product(v)
        return self.rows.combine(self.loss.curvature_bound * self.row_weights * self.rows.margins(v))

    def _at(self, x: Array) -> Point:
        return _GLMPoint(self, x)


class _GLMPoint(Point):
    problem: GLM

    @cached_property
    def margins(self) -> Array:
        return self.problem.rows.margins(self.x)

    @cached_property
    def curvatures(self) -> Array:
        """w_j φ″(a_jᵀx, y_j): with the rows, all that the Hessians depend on."""
        p = self.problem
        return p.row_weights * p.loss.curvature(self.margins, p.labels)

    def _value(self) -> Array:
        p = self.problem
        return Blocks(p.row_weights * p.loss.value(self.margins, p.labels), p.rows.offsets).sums()

    def _gradient(self) -> Array:
        p = self.problem
        return p.rows.combine(p.row_weights * p.loss.slope(self.margins, p.labels))

    def _hessians(self) -> Blocks:
        return self.problem.rows.grams(self.curvatures)

    def _hessians_on_support(self, diagonal: bool) -> Blocks:
        rows = self.problem.rows
        assert isinstance(rows, SparseRows)  # Problem.support has refused the others
        ridge = self.problem.local_ridge
        on_support = rows.grams_on_support(self.curvatures, diagonal)
        if ridge is None:
            return on_support
        at_diagonal = np.zeros(triangle(self.problem.dim).size)
        at_diagonal[triangle(self.problem.dim).diagonal] = to_host(ridge)
        spread = to_device(at_diagonal[self.problem.support(diagonal).values], on_support.values)
        return on_support.replaced(on_support.values + spread)
