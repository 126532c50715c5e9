"""Sparse rows of one process's clients: CSR products, and Hessians on their supports."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.symmetric import position, triangle
from newtonfl.kernels import add_at, csr_product
from newtonfl.objectives.block_diagonal import BlockDiagonal
from newtonfl.objectives.rows import Rows


class SparseRows(Rows):
    """Rows as CSR matrices, SciPy's on the host and CuPy's on a GPU, each client's in columns of its own."""

    def __init__(self, spread: BlockDiagonal, dim: int, like: Array) -> None:
        self.spread, self.offsets, self.dim, self.like = spread, spread.rows, dim, like
        self._with_diagonal: dict[bool, tuple[Blocks, BlockDiagonal]] = {}

    @classmethod
    def of(cls, csr: scipy.sparse.csr_array, offsets: Array, like: Array) -> SparseRows:
        """All clients' rows from one CSR matrix (N, d)."""
        csr = scipy.sparse.csr_array(csr, dtype=np.float64, copy=True)
        csr.sum_duplicates()  # sorts too: each entry once, in the order that the products below rely on
        n, dim = len(offsets) - 1, csr.shape[1]
        client = np.repeat(np.arange(n), np.diff(offsets))
        columns = csr.indices + np.repeat(client, np.diff(csr.indptr)) * dim
        spread = scipy.sparse.csr_array((csr.data, columns, csr.indptr), shape=(csr.shape[0], n * dim))
        return cls(BlockDiagonal(spread, offsets, np.arange(n + 1) * dim, like), dim, like)

    def select(self, chosen: Array) -> SparseRows:
        return _SomeSparseRows(self, np.asarray(chosen, dtype=np.int64))

    @cached_property
    def by_column(self) -> tuple[Blocks, BlockDiagonal]:
        """Which columns hold an entry of each client, increasing, on the host; and its rows as columns, those alone."""
        csr = scipy.sparse.csr_array(self.spread.matrix.T)
        occupied = np.flatnonzero(np.diff(csr.indptr))
        edges, starts = np.searchsorted(occupied, self.spread.columns), np.append(csr.indptr[occupied], csr.indptr[-1])
        narrow = scipy.sparse.csr_array((csr.data, csr.indices, starts), shape=(len(occupied), csr.shape[1]))
        own = Blocks(occupied - np.repeat(self.spread.columns[:-1], np.diff(edges)), edges)
        return own, BlockDiagonal(narrow, edges, self.spread.rows, self.like)

    def margins(self, x: Array) -> Array:
        if x.ndim == 1:
            return csr_product(self.spread.stacked, x) if self.n_clients else zeros(0, self.like)
        return self.spread @ namespace(x).reshape(x, (-1,))

    def combine(self, weights: Array) -> Array:
        return self._placed(self.by_column[1] @ weights)

    def combine_squares(self, weights: Array) -> Array:
        return self._placed(self._squares @ weights)

    @cached_property
    def _squares(self) -> BlockDiagonal:
        rows = self.by_column[1]
        return replace(rows, matrix=rows.matrix.power(2))

    def _placed(self, sums: Array) -> Array:
        """`sums` of the columns that hold an entry where they stand among all, and zeros elsewhere, shape (n, d)."""
        own = self.by_column[0]
        places = own.values + np.repeat(np.arange(self.n_clients) * self.dim, own.sizes)
        full = add_at(zeros(self.n_clients * self.dim, like=sums), places, sums)
        return namespace(sums).reshape(full, (self.n_clients, self.dim))

    def support(self, diagonal: bool) -> tuple[Blocks, BlockDiagonal]:
        """Where each client's Hessian can differ from zero, and the map from weights to its entries there.

        For a sparse GLM the Hessian is a fixed sparse linear map of the weights: vec(Σ w_j a_j a_jᵀ) = P w over the
        pairs of features that meet in a row.

        Parameters
        ----------
        diagonal : bool
            Include the whole diagonal, met or not.

        Returns
        -------
        supports : Blocks
            Packed upper-triangle positions, increasing, on the host.
        P : BlockDiagonal, shape (total support, N)
        """
        if diagonal not in self._with_diagonal:
            self._with_diagonal[diagonal] = self._support(diagonal)
        return self._with_diagonal[diagonal]

    def _support(self, diagonal: bool) -> tuple[Blocks, BlockDiagonal]:
        pieces = [_cooccurrence(self.spread.block(i), diagonal) for i in range(self.n_clients)]
        supports = Blocks.of([support for support, _ in pieces])
        blocks = [product for _, product in pieces] or [scipy.sparse.csr_array((0, 0))]
        products = scipy.sparse.csr_array(scipy.sparse.block_diag(blocks, format="csr"))
        return supports, BlockDiagonal(products, supports.offsets, self.offsets, self.like)

    def grams_on_support(self, weights: Array, diagonal: bool) -> Blocks:
        """Σ_j w_j a_j a_jᵀ of each client, on :meth:`support` alone."""
        supports, products = self.support(diagonal)
        return Blocks(products @ weights, supports.offsets)

    def grams(self, weights: Array) -> Blocks:
        supports, products = self.support(False)
        size = triangle(self.dim).size
        first = np.repeat(np.arange(self.n_clients) * size, supports.sizes)
        full = zeros(self.n_clients * size, like=weights)
        full = add_at(full, first + supports.values, products @ weights)
        return Blocks(full, offsets_of([size] * self.n_clients))

    def lengths(self) -> Array:
        squared = scipy.sparse.csr_array(self.spread.matrix.multiply(self.spread.matrix))
        return to_device(np.sqrt(squared @ np.ones(squared.shape[1])), self.like)

    def dense(self, i: int, first: int, stop: int) -> Array:
        return to_device(self.spread.block(i)[first:stop].toarray(), self.like)

    def on_host(self, i: int) -> Array:
        return self.spread.block(i).toarray()

    def project(self, i: int, vectors: Array) -> Array:
        return to_device(self.spread.block(i) @ vectors.T, self.like)


class _SomeSparseRows(SparseRows):
    """Those of some clients: what has been computed for the whole is taken from it, never computed again."""

    def __init__(self, whole: SparseRows, chosen: Array) -> None:
        super().__init__(whole.spread.select(chosen), whole.dim, whole.like)
        self._whole, self._chosen = whole, chosen

    @cached_property
    def by_column(self) -> tuple[Blocks, BlockDiagonal]:
        own, rows = self._whole.by_column
        return own.select(self._chosen), rows.select(self._chosen)

    def _support(self, diagonal: bool) -> tuple[Blocks, BlockDiagonal]:
        supports, products = self._whole.support(diagonal)
        return supports.select(self._chosen), products.select(self._chosen)


def _cooccurrence(rows: scipy.sparse.csr_array, diagonal: bool) -> tuple[Array, scipy.sparse.csr_array]:
    """One client's support (packed positions) and its map P (support, rows), by whole-array calls."""
    dim = rows.shape[1]
    columns = rows.indices.astype(np.int64)
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    # Entry p of a row meets entries p, p + 1, … up to that row's end.
    reach = rows.indptr[row + 1] - np.arange(rows.nnz)
    first = np.repeat(np.arange(rows.nnz), reach)
    second = first + np.arange(len(first)) - np.repeat(np.cumsum(reach) - reach, reach)
    packed = position(columns[first], columns[second], dim)
    met = np.zeros(triangle(dim).size, dtype=bool)
    met[packed] = True
    if diagonal:
        met[triangle(dim).diagonal] = True
    support = np.flatnonzero(met)
    place = np.cumsum(met) - 1
    products = rows.data[first] * rows.data[second]
    shape = (len(support), rows.shape[0])
    return support, scipy.sparse.coo_array((products, (place[packed], row[first])), shape=shape).tocsr()
