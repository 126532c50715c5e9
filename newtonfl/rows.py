"""Rows: the data rows of one process's clients, and the products that a generalised linear model needs of them.

Bits must not depend on which clients share a process. So a dense product is one call a client, and a sparse one a
CSR product, whose rows are summed one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse

from newtonfl.backend import Array, namespace, sparse_to_device, to_device, zeros
from newtonfl.blocks import Blocks, offsets_of
from newtonfl.kernels import add_at
from newtonfl.triangle import position, triangle


class Rows(ABC):
    """Rows a_j of n clients, end to end: client i's are ``offsets[i]`` up to ``offsets[i + 1]``."""

    dim: int
    offsets: Array

    @abstractmethod
    def margins(self, x: Array) -> Array:
        """a_jᵀx, shape (N,), for `x` of shape (d,), or (n, d) with one point a client."""

    @abstractmethod
    def combine(self, weights: Array) -> Array:
        """Σ_j w_j a_j over each client's rows, shape (n, d), for `weights` of shape (N,)."""

    @abstractmethod
    def grams(self, weights: Array) -> Blocks:
        """Σ_j w_j a_j a_jᵀ over each client's rows as packed upper triangles, for weights w ≥ 0 of shape (N,)."""


class DenseRows(Rows):
    """Rows as one (N, d) array of any library."""

    def __init__(self, array: Array, offsets: Array) -> None:
        self.array, self.offsets, self.dim = array, offsets, array.shape[1]
        self._blocks = [array[int(a) : int(b), :] for a, b in pairwise(offsets)]

    def margins(self, x: Array) -> Array:
        points = [x] * len(self._blocks) if x.ndim == 1 else list(_rows_of(x))
        return namespace(x).concat([block @ point for block, point in zip(self._blocks, points, strict=True)])

    def combine(self, weights: Array) -> Array:
        per_client = Blocks(weights, self.offsets)
        return namespace(weights).stack([block.T @ w for block, w in zip(self._blocks, per_client, strict=True)])

    def grams(self, weights: Array) -> Blocks:
        xp = namespace(weights)
        upper = to_device(triangle(self.dim).upper, weights)
        packed = []
        for block, w in zip(self._blocks, Blocks(weights, self.offsets), strict=True):
            scaled = xp.sqrt(w)[:, None] * block
            packed.append(xp.take(xp.reshape(scaled.T @ scaled, (-1,)), upper))
        return Blocks.of(packed)


class SparseRows(Rows):
    """Rows as one CSR matrix (SciPy's on the host, CuPy's on a GPU): ``csr`` (N, d) is SciPy's."""

    def __init__(self, csr: scipy.sparse.csr_array, offsets: Array, like: Array) -> None:
        csr = scipy.sparse.csr_array(csr, dtype=np.float64, copy=True)
        csr.sum_duplicates()  # sorts too: each entry once, in the order that the products below rely on
        self.csr, self.offsets, self.dim, self.like = csr, offsets, csr.shape[1], like
        self._device_csr = sparse_to_device(csr, like)
        self._with_diagonal: dict[bool, tuple[Blocks, Array]] = {}

    @property
    def n_clients(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def _spread(self) -> scipy.sparse.csr_array:
        """The block-diagonal matrix (N, n·d): client i's rows in client i's own d columns."""
        client = np.repeat(np.arange(self.n_clients), np.diff(self.offsets))
        columns = self.csr.indices + np.repeat(client, np.diff(self.csr.indptr)) * self.dim
        shape = (self.csr.shape[0], self.n_clients * self.dim)
        return scipy.sparse.csr_array((self.csr.data, columns, self.csr.indptr), shape=shape)

    @cached_property
    def _device_spread(self) -> Array:
        return sparse_to_device(self._spread, self.like)

    @cached_property
    def _device_transposed(self) -> Array:
        return sparse_to_device(scipy.sparse.csr_array(self._spread.T), self.like)

    def margins(self, x: Array) -> Array:
        if x.ndim == 1:
            return self._device_csr @ x
        return self._device_spread @ namespace(x).reshape(x, (-1,))

    def combine(self, weights: Array) -> Array:
        return namespace(weights).reshape(self._device_transposed @ weights, (self.n_clients, self.dim))

    def support(self, diagonal: bool) -> tuple[Blocks, Array]:
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
        P : CSR array, shape (total support, N), on the device
        """
        if diagonal not in self._with_diagonal:
            pieces = [_cooccurrence(self.csr[int(a) : int(b)], diagonal) for a, b in pairwise(self.offsets)]
            supports = Blocks.of([support for support, _ in pieces])
            products = scipy.sparse.block_diag([product for _, product in pieces], format="csr")
            self._with_diagonal[diagonal] = supports, sparse_to_device(scipy.sparse.csr_array(products), self.like)
        return self._with_diagonal[diagonal]

    def grams_on_support(self, weights: Array, diagonal: bool) -> Blocks:
        """Σ_j w_j a_j a_jᵀ of each client, on :meth:`support` alone."""
        supports, products = self.support(diagonal)
        return Blocks(products @ weights, supports.offsets)

    def grams(self, weights: Array) -> Blocks:
        supports, products = self.support(False)
        size = triangle(self.dim).size
        start = np.repeat(np.arange(self.n_clients) * size, supports.sizes)
        full = zeros(self.n_clients * size, like=weights)
        full = add_at(full, start + supports.values, products @ weights)
        return Blocks(full, offsets_of([size] * self.n_clients))


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
