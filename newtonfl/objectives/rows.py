"""Rows: the data rows of one process's clients, and the products that a generalised linear model needs of them.

Bits must not depend on which clients share a process. So a dense product is one call a client, and a sparse one a
CSR product, whose rows are summed one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise

from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.kernels import weighted_gram


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
    def combine_squares(self, weights: Array) -> Array:
        """Σ_j w_j a_j² over each client's rows, entry by entry, shape (n, d)."""

    @abstractmethod
    def grams(self, weights: Array) -> Blocks:
        """Σ_j w_j a_j a_jᵀ over each client's rows as packed upper triangles, for weights w ≥ 0 of shape (N,)."""

    @abstractmethod
    def lengths(self) -> Array:
        """‖a_j‖, shape (N,)."""

    @abstractmethod
    def dense(self, i: int, first: int, stop: int) -> Array:
        """Client i's rows from `first` to before `stop` of its own as a dense array, on the device."""

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
        return self._combined(self.blocks, weights)

    def combine_squares(self, weights: Array) -> Array:
        return self._combined((block * block for block in self.blocks), weights)

    def _combined(self, blocks: Iterable[Array], weights: Array) -> Array:
        per_client = Blocks(weights, self.offsets)
        sums = [block.T @ w for block, w in zip(blocks, per_client, strict=True)]
        return namespace(weights).stack(sums) if sums else zeros((0, self.dim), weights)

    def grams(self, weights: Array) -> Blocks:
        return weighted_grams(self.blocks, Blocks(weights, self.offsets))

    def lengths(self) -> Array:
        xp = namespace(self.like)
        return Blocks.of([xp.sqrt(xp.sum(block * block, axis=1)) for block in self.blocks], self.like).values

    def dense(self, i: int, first: int, stop: int) -> Array:
        return self.blocks[i][first:stop, :]

    def on_host(self, i: int) -> Array:
        return to_host(self.blocks[i])

    def project(self, i: int, vectors: Array) -> Array:
        return self.blocks[i] @ to_device(vectors, self.like).T


def weighted_grams(blocks: Sequence[Array], weights: Blocks) -> Blocks:
    """Bᵀ diag(w) B as packed upper triangles, for a matrix B (m_i, r_i) and weights w ≥ 0 (m_i,) of each client."""
    return Blocks.of([weighted_gram(block, w) for block, w in zip(blocks, weights, strict=True)], weights.values)


def _rows_of(x: Array) -> list[Array]:
    return [x[i, :] for i in range(x.shape[0])]
