"""Rows: the data rows of one process's clients, and the products that a generalised linear model needs of them.

Bits must not depend on which clients share a process. So a dense product is one call a client, and a sparse one a
CSR product, whose rows are summed one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, sparse_to_device, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.symmetric import position, triangle
from newtonfl.kernels import add_at, csr_product, weighted_gram


class Rows(ABC):
    """Rows a_j of n clients, end to end: client i's are ``offsets[i]`` up to ``offsets[i + 1]``."""

    dim: int
    offsets: Array
    like: Array

    @property
    def n_clients(self) -> int:
        return len(self.offsets) - 1

    @abstractmethod
    def select(self, chosen: Array) -> Rows:
        """The rows of some clients, `chosen` by position, at the cost of reading them."""

    @abstractmethod
    def margins(self, x: Array) -> Array:
        """a_jᵀx, shape (N,), for `x` of shape (d,), or (n, d) with one point a client."""

    @abstractmethod
    def combine(self, weights: Array) -> Array:
        """Σ_j w_j a_j over each client's rows, shape (n, d), for `weights` of shape (N,)."""

    @abstractmethod
    def grams(self, weights: Array) -> Blocks:
        """Σ_j w_j a_j a_jᵀ over each client's rows as packed upper triangles, for weights w ≥ 0 of shape (N,)."""

    @abstractmethod
    def lengths(self) -> Array:
        """‖a_j‖, shape (N,)."""

    @abstractmethod
    def on_host(self, i: int) -> Array:
        """Client i's rows as a dense NumPy array (m_i, d)."""

    @abstractmethod
    def project(self, i: int, vectors: Array) -> Array:
        """a_jᵀv_k over client i's rows, shape (m_i, r), on the device, for `vectors` (r, d) on the host."""


class DenseRows(Rows):
    """Rows as one (m_i, d) array of any library for each client."""

    def __init__(self, blocks: Sequence[Array], dim: int, like: Array) -> None:
        self.blocks, self.dim, self.like = list(blocks), dim, like
        self.offsets = offsets_of([block.shape[0] for block in blocks])

    @classmethod
    def of(cls, array: Array, offsets: Array) -> DenseRows:
        """All clients' rows from one (N, d) array."""
        return cls([array[int(a) : int(b), :] for a, b in pairwise(offsets)], array.shape[1], array)

    def select(self, chosen: Array) -> DenseRows:
        return DenseRows([self.blocks[int(i)] for i in chosen], self.dim, self.like)

    def margins(self, x: Array) -> Array:
        points = [x] * self.n_clients if x.ndim == 1 else _rows_of(x)
        return Blocks.of([block @ point for block, point in zip(self.blocks, points, strict=True)], self.like).values

    def combine(self, weights: Array) -> Array:
        per_client = Blocks(weights, self.offsets)
        sums = [block.T @ w for block, w in zip(self.blocks, per_client, strict=True)]
        return namespace(weights).stack(sums) if sums else zeros((0, self.dim), weights)

    def grams(self, weights: Array) -> Blocks:
        return weighted_grams(self.blocks, Blocks(weights, self.offsets))

    def lengths(self) -> Array:
        xp = namespace(self.like)
        return Blocks.of([xp.sqrt(xp.sum(block * block, axis=1)) for block in self.blocks], self.like).values

    def on_host(self, i: int) -> Array:
        return to_host(self.blocks[i])

    def project(self, i: int, vectors: Array) -> Array:
        return self.blocks[i] @ to_device(vectors, self.like).T


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
    def transposed(self) -> BlockDiagonal:
        """Each client's rows as columns."""
        csr = scipy.sparse.csr_array(self.spread.matrix.T)
        return BlockDiagonal(csr, self.spread.columns, self.spread.rows, self.like)

    def margins(self, x: Array) -> Array:
        xp = namespace(x)
        return self.spread @ (xp.tile(x, (self.n_clients,)) if x.ndim == 1 else xp.reshape(x, (-1,)))

    def combine(self, weights: Array) -> Array:
        return namespace(weights).reshape(self.transposed @ weights, (self.n_clients, self.dim))

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
    def transposed(self) -> BlockDiagonal:
        return self._whole.transposed.select(self._chosen)

    def _support(self, diagonal: bool) -> tuple[Blocks, BlockDiagonal]:
        supports, products = self._whole.support(diagonal)
        return supports.select(self._chosen), products.select(self._chosen)


@dataclass(frozen=True)
class BlockDiagonal:
    """One CSR matrix a client, as the diagonal blocks of one: a product of all clients is then one call.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array
        On the host.
    rows, columns : numpy.ndarray of int64, shape (n + 1,)
        Where each client's rows and columns begin.
    like : array
        Names the library and device of the products.
    """

    matrix: scipy.sparse.csr_array
    rows: Array
    columns: Array
    like: Array

    @cached_property
    def on_device(self) -> Any:
        return sparse_to_device(self.matrix, self.like)

    def __matmul__(self, vector: Array) -> Array:
        return csr_product(self.on_device, vector) if self.matrix.shape[0] else zeros(0, self.like)

    def block(self, i: int) -> scipy.sparse.csr_array:
        """Client i's own matrix."""
        a, b = self.rows[i], self.rows[i + 1]
        first, stop = self.matrix.indptr[a], self.matrix.indptr[b]
        indices = self.matrix.indices[first:stop] - self.columns[i]
        shape = (b - a, self.columns[i + 1] - self.columns[i])
        return scipy.sparse.csr_array(
            (self.matrix.data[first:stop], indices, self.matrix.indptr[a : b + 1] - first), shape=shape
        )

    def select(self, chosen: Array) -> BlockDiagonal:
        """The blocks of some clients: slices of the arrays laid end to end, with columns and starts moved along."""
        data, indices, starts = self.matrix.data, self.matrix.indices, self.matrix.indptr
        rows, columns = (offsets_of(np.diff(edges)[chosen]) for edges in (self.rows, self.columns))
        lines = [slice(a, b) for a, b in zip(self.rows[chosen], self.rows[chosen + 1], strict=True)]
        entries = [slice(starts[line.start], starts[line.stop]) for line in lines]
        to_column = (columns[:-1] - self.columns[chosen]).astype(indices.dtype)
        to_start = offsets_of([entry.stop - entry.start for entry in entries])
        places = [indices[entry] + by for entry, by in zip(entries, to_column, strict=True)]
        begins = [starts[line] - starts[line.start] + by for line, by in zip(lines, to_start[:-1], strict=True)]
        arrays = (
            np.concatenate([data[:0], *(data[entry] for entry in entries)]),
            np.concatenate([indices[:0], *places]),
            np.concatenate([*begins, to_start[-1:]]),
        )
        matrix = scipy.sparse.csr_array(arrays, shape=(int(rows[-1]), int(columns[-1])))
        return BlockDiagonal(matrix, rows, columns, self.like)


def weighted_grams(blocks: Sequence[Array], weights: Blocks) -> Blocks:
    """Bᵀ diag(w) B as packed upper triangles, for a matrix B (m_i, r_i) and weights w ≥ 0 (m_i,) of each client."""
    return Blocks.of([weighted_gram(block, w) for block, w in zip(blocks, weights, strict=True)], weights.values)


def _rows_of(x: Array) -> list[Array]:
    return [x[i, :] for i in range(x.shape[0])]


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
