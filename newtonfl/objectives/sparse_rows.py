"""Sparse rows of one process's clients: sparse products, and Hessians on their supports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, on_host, sparse_to_device, to_device, zeros
from newtonfl.core.ragged import Blocks, offsets_of, ranges, selected
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import add_at, compiled, csr_product, pair_sums, pairs
from newtonfl.kernels.pairs import Pairs
from newtonfl.objectives.block_diagonal import BlockDiagonal
from newtonfl.objectives.rows import Rows


class SparseRows(Rows):
    """Rows as a CSR matrix, SciPy's on the host and CuPy's on a GPU."""

    def __init__(self, csr: scipy.sparse.csr_array, offsets: Array, like: Array) -> None:
        self.csr, self.offsets, self.dim, self.like = csr, offsets, csr.shape[1], like
        self._on_supports: dict[bool, OnSupports] = {}

    @classmethod
    def of(cls, csr: scipy.sparse.csr_array, offsets: Array, like: Array) -> SparseRows:
        """All clients' rows from one CSR matrix (N, d)."""
        csr = scipy.sparse.csr_array(csr, dtype=np.float64, copy=True)
        csr.sum_duplicates()  # sorts too: each entry once, in the order that the products below rely on
        index = np.int64 if max(csr.nnz, csr.shape[1]) >= 2**31 else np.int32
        csr.indices, csr.indptr = csr.indices.astype(index, copy=False), csr.indptr.astype(index, copy=False)
        return cls(csr, offsets, like)

    def select(self, chosen: Array) -> SparseRows:
        return _SomeSparseRows(self, np.asarray(chosen, dtype=np.int64))

    def of_columns(self, columns: Array) -> SparseRows:
        return SparseRows.of(self.csr[:, columns], self.offsets, self.like)

    @cached_property
    def stacked(self) -> Any:
        """The rows where the products are, all clients' in the same columns: for a vector that they share."""
        return sparse_to_device(self.csr, self.like)

    @cached_property
    def spread(self) -> BlockDiagonal:
        """The rows with each client's in columns of its own."""
        csr, n = self.csr, self.n_clients
        index = np.int64 if n * self.dim >= 2**31 else csr.indices.dtype
        first = np.repeat(self.dim * np.arange(n, dtype=index), np.diff(csr.indptr[self.offsets]))
        arrays = (csr.data, csr.indices + first, csr.indptr.astype(index, copy=False))
        spread = scipy.sparse.csr_array(arrays, shape=(csr.shape[0], n * self.dim))
        return BlockDiagonal(spread, self.offsets, self.dim * np.arange(n + 1), self.like)

    def margins(self, x: Array) -> Array:
        if x.ndim == 1:
            return csr_product(self.stacked, x) if self.n_clients else zeros(0, self.like)
        return self.spread @ namespace(x).reshape(x, (-1,))

    def combine(self, weights: Array) -> Array:
        return self._table(self.spread.transposed @ weights)

    def combine_squares(self, weights: Array) -> Array:
        return self._table(self._squares.transposed @ weights)

    @cached_property
    def _squares(self) -> BlockDiagonal:
        return replace(self.spread, matrix=self.spread.matrix.power(2))

    def _table(self, sums: Array) -> Array:
        return namespace(sums).reshape(sums, (self.n_clients, self.dim))

    @cached_property
    def pairs_per_client(self) -> float:
        """How many pairs of entries meet in a client's rows, on the average."""
        many = np.diff(self.csr.indptr).astype(np.float64)
        return float(many @ (many + 1)) / 2 / max(self.n_clients, 1)

    def on_supports(self, diagonal: bool) -> OnSupports:
        """Where each client's Hessian can differ from zero, and its entries there; `diagonal` adds the whole diagonal.

        For a sparse GLM the Hessian is a fixed sparse linear map of the weights: vec(Σ w_j a_j a_jᵀ) = P w over the
        pairs of features that meet in a row.
        """
        if diagonal not in self._on_supports:
            self._on_supports[diagonal] = self._make_on_supports(diagonal)
        return self._on_supports[diagonal]

    def _make_on_supports(self, diagonal: bool) -> OnSupports:
        if (not diagonal) in self._on_supports:
            return self._on_supports[not diagonal].toggled(diagonal)
        csr = self.csr
        found = pairs(csr.indptr, csr.indices, csr.data, self.offsets, self.dim, diagonal)
        return OnSupports(found, np.arange(self.n_clients), self.dim, self.like)

    def grams_on_support(self, weights: Array, diagonal: bool) -> Blocks:
        """Σ_j w_j a_j a_jᵀ of each client, on its support alone."""
        return self.on_supports(diagonal).grams(weights)

    def grams(self, weights: Array) -> Blocks:
        on_supports = self.on_supports(self._has_diagonal_only())  # zeros that nobody met stay zeros
        supports, size = on_supports.supports, triangle(self.dim).size
        first = np.repeat(np.arange(self.n_clients) * size, supports.sizes)
        full = zeros(self.n_clients * size, like=weights)
        full = add_at(full, first + supports.values, on_supports.grams(weights).values)
        return Blocks(full, offsets_of([size] * self.n_clients))

    def _has_diagonal_only(self) -> bool:
        return list(self._on_supports) == [True]

    def lengths(self) -> Array:
        squared = scipy.sparse.csr_array(self.csr.multiply(self.csr))
        return to_device(np.sqrt(squared @ np.ones(squared.shape[1])), self.like)

    def block(self, i: int) -> scipy.sparse.csr_array:
        """Client i's rows, on the host."""
        return _rows_of(self.csr, self.offsets, np.array([i]))

    def dense(self, i: int, first: int, stop: int) -> Array:
        return to_device(self.block(i)[first:stop].toarray(), self.like)

    def on_host(self, i: int) -> Array:
        return self.block(i).toarray()

    def project(self, i: int, vectors: Array) -> Array:
        return to_device(self.block(i) @ vectors.T, self.like)


def _rows_of(csr: scipy.sparse.csr_array, offsets: Array, chosen: Array) -> scipy.sparse.csr_array:
    """Some clients' rows: of those that follow each other no entry is copied."""
    starts = csr.indptr.astype(np.int64)
    line = ranges(offsets[chosen], np.diff(offsets)[chosen])
    arrays = (
        selected(csr.data, starts[offsets], chosen),
        selected(csr.indices, starts[offsets], chosen),
        offsets_of(starts[line + 1] - starts[line]).astype(csr.indptr.dtype),
    )
    return scipy.sparse.csr_array(arrays, shape=(len(line), csr.shape[1]))


class _SomeSparseRows(SparseRows):
    """Those of some clients: what has been computed for the whole is taken from it, never computed again."""

    def __init__(self, whole: SparseRows, chosen: Array) -> None:
        csr, sizes = _rows_of(whole.csr, whole.offsets, chosen), np.diff(whole.offsets)[chosen]
        super().__init__(csr, offsets_of(sizes), whole.like)
        self._whole, self._chosen = whole, chosen

    def _make_on_supports(self, diagonal: bool) -> OnSupports:
        return self._whole.on_supports(diagonal).select(self._chosen)

    def _has_diagonal_only(self) -> bool:
        return super()._has_diagonal_only() or (not self._on_supports and self._whole._has_diagonal_only())


@dataclass(frozen=True, eq=False)
class OnSupports:
    """Some clients' supports, and the map from their rows' weights to the entries of Σ_j w_j a_j a_jᵀ there.

    Parameters
    ----------
    pairs : Pairs
        Of all clients.
    chosen : numpy.ndarray of int64
        The clients, by position.
    dim : int
        d.
    like : array
        Names the library and device of the entries.
    """

    pairs: Pairs
    chosen: Array
    dim: int
    like: Array

    @cached_property
    def supports(self) -> Blocks:
        """Packed upper-triangle positions, increasing, on the host."""
        positions, offsets = self.pairs.positions, self.pairs.offsets
        return Blocks(selected(positions, offsets, self.chosen), offsets_of(np.diff(offsets)[self.chosen]))

    @cached_property
    def _products(self) -> BlockDiagonal:
        rows = offsets_of(np.diff(self.pairs.row_offsets)[self.chosen])
        return BlockDiagonal(self.pairs.matrix(self.chosen), self.supports.offsets, rows, self.like)

    def grams(self, weights: Array) -> Blocks:
        """The entries for `weights` of shape (N,)."""
        if compiled.loaded() and on_host(weights):
            vars(self).pop("_products", None)  # NumPy's form, which is not asked for again
            return self.supports.replaced(pair_sums(self.pairs, weights, self.chosen))
        return self.supports.replaced(self._products @ weights)

    def select(self, chosen: Array) -> OnSupports:
        """Those of some of these clients, `chosen` by position."""
        return replace(self, chosen=self.chosen[chosen])

    @cached_property
    def diagonal(self) -> Blocks:
        """Where in its support each client has entries of the diagonal, increasing."""
        keys, whole = self._keys()
        at: Array = np.searchsorted(keys, whole)
        at = at[np.append(keys, -1)[at] == whole]
        counts = np.diff(np.searchsorted(at, self.supports.offsets))
        return Blocks(at - np.repeat(self.supports.offsets[:-1], counts), offsets_of(counts))

    def _keys(self) -> tuple[Array, Array]:
        """The supports, and the clients' diagonals, as positions in their triangles laid end to end."""
        first = triangle(self.dim).size * np.arange(len(self.chosen))
        return (
            self.supports.values + np.repeat(first, self.supports.sizes),
            (first[:, None] + triangle(self.dim).diagonal).reshape(-1),
        )

    def toggled(self, diagonal: bool) -> OnSupports:
        """The same pairs' products on supports with the whole diagonal, or without what nobody met of it."""
        found, first = self.pairs, triangle(self.dim).size * np.arange(len(self.chosen) + 1)
        keys, whole = self._keys()
        numbers = found.numbers
        if diagonal:
            others = np.union1d(keys, whole)
        else:
            met = np.zeros(len(keys), bool)
            met[numbers] = True
            others = keys[met]
        if len(others) == len(keys):
            return self
        offsets: Array = np.searchsorted(others, first)
        counts = np.diff(offsets)
        own = np.searchsorted(others, keys) - np.repeat(offsets[:-1], self.supports.sizes)
        short = np.uint16 if counts.max(initial=0) <= 2**16 else np.uint32
        positions, places = others - np.repeat(first[:-1], counts), own.astype(short)[numbers]
        return replace(self, pairs=replace(found, positions=positions, offsets=offsets, places=places))
