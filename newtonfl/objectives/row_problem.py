"""A problem made of rows with labels and weights: what all losses of rows share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, on_host, to_device, to_host
from newtonfl.core.ragged import Blocks, offsets_of, selected
from newtonfl.kernels import sums
from newtonfl.objectives.base import Problem
from newtonfl.objectives.column_problem import ColumnProblem
from newtonfl.objectives.flix import flix
from newtonfl.objectives.personal import personal
from newtonfl.objectives.rows import DenseRows
from newtonfl.objectives.smoothness import largest_eigenvalues
from newtonfl.objectives.sparse_rows import SparseRows

if TYPE_CHECKING:
    from newtonfl.core.random import Key


class RowProblem(ColumnProblem):
    """f(x) = (1/Σw) Σ_j w_j φ_j(x) + ½ Σ ridge_j x_j², where φ_j depends on x through row a_j and label y_j.

    Every row counts by its weight, whichever client holds it: f_i = (n/Σw) Σ_{j in i} w_j φ_j. On equal blocks
    and equal weights that is the papers' f_i, the mean over the client's own rows.

    Parameters
    ----------
    rows : array (N, c), or SciPy CSR array
        The rows of the clients held here, end to end, on the host.
    labels : numpy.ndarray, shape (N,)
    sizes : array of int
        How many rows each client held here has; perhaps none.
    total_weight : float
        Σw over all rows of all processes.
    weights : numpy.ndarray, shape (N,), or None
        w_j ≥ 0; None means 1.
    like : array or None
        Names the library and device that shall hold the data; None is NumPy.
    problem : keyword arguments of :class:`Problem`

    Attributes
    ----------
    curvature_bound, curvature_lipschitz : float
        Constants b and c with ∇²φ_j ⪯ b a_j a_jᵀ, and with c‖a_j‖³ a Lipschitz constant of ∇²φ_j; infinite where there
        are none.
    family : str
        Of the likelihood, as :attr:`newtonfl.Loss.family` has it.
    """

    family: str = ""
    curvature_bound: float
    curvature_lipschitz: float

    def __init__(
        self,
        rows: Array,
        labels: Array,
        sizes: Array,
        total_weight: float,
        weights: Array | None = None,
        like: Array = None,
        **problem: Any,
    ) -> None:
        like = np.zeros(0) if like is None else like
        super().__init__(like=like, **problem)
        offsets = offsets_of(sizes)
        self._weights = weights
        self.total_weight = total_weight
        self.labels = to_device(np.asarray(labels, dtype=np.float64), like)
        self.row_weights = self._row_weights()
        self.rows = (
            SparseRows.of(scipy.sparse.csr_array(rows), offsets, like)
            if scipy.sparse.issparse(rows)
            else DenseRows(to_device(_own_copy(rows), like), offsets)
        )

    @property
    def host(self) -> tuple[Array, Array, Array | None]:
        """(rows, labels, weights) of the clients held here, end to end, as this problem was made of them."""
        rows = self.rows
        if isinstance(rows, SparseRows):
            whole = rows.csr
        else:
            assert isinstance(rows, DenseRows)
            whole = to_host(rows.array)
        return whole, to_host(self.labels), self._weights

    def _select(self, part: Self, chosen: Array) -> None:
        edges = self.rows.offsets
        part.rows = self.rows.select(chosen)
        part.labels, part.row_weights = (selected(a, edges, chosen) for a in (self.labels, self.row_weights))
        part._weights = None if self._weights is None else selected(self._weights, edges, chosen)

    @property
    def weights(self) -> Array:
        """w_j of the rows held here, on the host."""
        return np.ones(self.labels.shape[0]) if self._weights is None else np.asarray(self._weights, dtype=np.float64)

    def _row_weights(self) -> Array:
        return to_device(self.weights * (self.n_clients / self.total_weight), self.like)

    def _leave_out(self, part: Self, stay: Array) -> None:
        shares = sums(Blocks(part.weights, part.rows.offsets)).tobytes()
        if self.transport is not None:
            with self.transport.keeping_interrupts():
                everyone = self.transport.gather(shares)
                shares = self.transport.broadcast(b"".join(everyone) if self.transport.rank == 0 else None)
        total = math.fsum(np.frombuffer(shares))
        if not total > 0.0:
            raise ValueError("clients: given all that have rows, somebody must stay")
        part.total_weight = int(total) if self._weights is None else total
        part.row_weights = part._row_weights()
        before, now = (mean_over(problem.total_weight, problem._weights) for problem in (self, part))
        part.objective = self.objective.replace(before, now, 1)
        part.title = part.objective if self.title == self.objective else f"{self.title}, {len(stay)} clients of it"

    @property
    def occupied(self) -> Array:
        met = to_host(self.rows.combine_squares(self.row_weights)) > 0
        return np.tile(met, (1, self.dim // max(self.rows.dim, 1)))

    @property
    def threads_well(self) -> bool:
        return on_host(self.like)

    @property
    def rows_per_client(self) -> Array:
        return np.diff(self.rows.offsets)

    def check_rows(self) -> None:
        """Rows are what this problem is made of."""

    def personal(self, columns: Sequence[int | str] | str, *, l2: float | None = None) -> Problem:
        return personal(self, columns, l2)

    def flix(self, alpha: float) -> Problem:
        return flix(self, alpha)

    def columns(self, x: Array) -> Sequence[Array]:
        """x, shape (d,) or (n, d), cut into the vectors that meet the rows, each of shape (c,) or (n, c)."""
        c = self.rows.dim
        return [x[..., first : first + c] for first in range(0, self.dim, c)]

    def combined(self, weights: Sequence[Array], combine: Callable[[Array], Array]) -> Array:
        """`combine` of the rows for each of the vectors of :meth:`columns`, shape (n, d)."""
        parts = [combine(w) for w in weights]
        return parts[0] if len(parts) == 1 else namespace(self.labels).concat(parts, axis=1)

    def _curvature_product(self, v: Array) -> Array:
        if not np.isfinite(self.curvature_bound):
            return super()._curvature_product(v)
        scale = self.curvature_bound * self.row_weights
        return self.combined([scale * self.rows.margins(column) for column in self.columns(v)], self.rows.combine)

    def _curvature_trace(self) -> Array:
        if not np.isfinite(self.curvature_bound):
            return super()._curvature_trace()
        squares = self.row_weights * self.rows.lengths() ** 2
        return self.curvature_bound * (self.dim // self.rows.dim) * to_host(sums(Blocks(squares, self.rows.offsets)))

    def _client_smoothness(self) -> Array:
        if not np.isfinite(self.curvature_bound):
            return super()._client_smoothness()
        return self.curvature_bound * largest_eigenvalues(self.rows, to_host(self.row_weights))

    @property
    def row_smoothness(self) -> Array:
        self.check_rows()
        if not np.isfinite(self.curvature_bound):
            return super().row_smoothness
        # h_ij moves by at most m w_j b ‖a_j‖ |a_jᵀ(x - y)|: the squares' mean is at most a Gram matrix's largest value.
        rows = np.repeat(self.rows_per_client, self.rows_per_client)
        squares = rows * (to_host(self.row_weights) * to_host(self.rows.lengths())) ** 2
        return self.curvature_bound * np.sqrt(largest_eigenvalues(self.rows, squares))

    @property
    def hessian_lipschitz(self) -> Array:
        self.check_convex("a Lipschitz constant of the Hessian")
        if not np.isfinite(self.curvature_lipschitz):
            return super().hessian_lipschitz
        cubes = Blocks(self.row_weights * self.rows.lengths() ** 3, self.rows.offsets)
        return self.curvature_lipschitz * to_host(sums(cubes))

    def drawn(self, batch: int, key: Key) -> Array:
        """m_i/batch at `batch` rows of each client and 0 at its others, shape (N,); 1 everywhere if it has no more.

        On the host: every client draws from a stream of its own, whichever clients share its process.
        """
        offsets = self.rows.offsets
        factors = np.ones(int(offsets[-1]))
        for client, (a, b) in zip(self.clients, pairwise(offsets), strict=True):
            if b - a > batch:
                drawn = key.of(client).generator().choice(b - a, batch, replace=False, shuffle=False)
                factors[a:b] = 0.0
                factors[a + drawn] = (b - a) / batch
        return to_device(factors, self.like)


def mean_over(total: float, weights: Array | None) -> str:
    """How a formula begins: the mean over rows whose `weights` sum to `total`; None where each counts once."""
    return f"(1/{total})" if weights is None else f"(1/{total:.6g})"


def _own_copy(rows: Array) -> Array:
    """The dense `rows` as a float64 array that nobody else can write: themselves where that holds, else a copy."""
    if isinstance(rows, np.ndarray) and rows.dtype == np.float64 and rows.flags.c_contiguous:
        owner: Any = rows
        while isinstance(owner, np.ndarray) and not owner.flags.writeable:
            if owner.flags.owndata:
                return rows
            owner = owner.base
    return np.array(rows, dtype=np.float64, order="C")
