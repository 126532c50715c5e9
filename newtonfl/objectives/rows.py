"""Rows: the data rows of one process's clients, and the products that a generalised linear model needs of them.

Bits must not depend on which clients share a process. So a dense product is one matrix's, and a sparse one a CSR
product, whose rows are summed one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array, namespace, on_host, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of, selected
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import weighted_grams


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
    def of_columns(self, columns: Array) -> Rows:
        """The rows' `columns` alone, by number, as a copy."""

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
    """Rows as one (N, d) array of any library.

    On the host, clients that follow each other and have as many rows are multiplied in one call, which gives the bits
    of one call each. On a GPU there is one each: there the bits may depend on how many matrices a call has.
    """

    def __init__(self, array: Array, offsets: Array) -> None:
        self.array, self.offsets, self.dim, self.like = array, offsets, array.shape[1], array

    @cached_property
    def _stacks(self) -> list[tuple[slice, Array]]:
        """The clients of each call, and their rows: an array (clients, m, d)."""
        sizes, n = np.diff(self.offsets), self.n_clients
        last = np.flatnonzero(np.diff(sizes)) if on_host(self.array) else np.arange(n - 1)
        cuts = [0, *(last + 1).tolist(), n] if n else []
        stacks = []
        for a, b in pairwise(cuts):
            rows = self.array[int(self.offsets[a]) : int(self.offsets[b]), :]
            stacks.append((slice(a, b), namespace(rows).reshape(rows, (b - a, int(sizes[a]), self.dim))))
        return stacks

    def block(self, i: int) -> Array:
        """Client i's rows (m_i, d)."""
        return self.array[int(self.offsets[i]) : int(self.offsets[i + 1]), :]

    def select(self, chosen: Array) -> DenseRows:
        return DenseRows(selected(self.array, self.offsets, chosen), offsets_of(np.diff(self.offsets)[chosen]))

    def of_columns(self, columns: Array) -> DenseRows:
        return DenseRows(namespace(self.array).take(self.array, to_device(columns, self.array), axis=1), self.offsets)

    def margins(self, x: Array) -> Array:
        xp = namespace(x)
        products = [_products(stack, x if x.ndim == 1 else x[of, :]) for of, stack in self._stacks]
        return xp.concat([zeros(0, self.like), *(xp.reshape(product, (-1,)) for product in products)])

    def combine(self, weights: Array) -> Array:
        return self._combined(self._stacks, weights)

    def combine_squares(self, weights: Array) -> Array:
        return self._combined(((of, stack * stack) for of, stack in self._stacks), weights)

    def _combined(self, stacks: Iterable[tuple[slice, Array]], weights: Array) -> Array:
        xp, per_client, sums = namespace(weights), Blocks(weights, self.offsets), []
        for of, stack in stacks:
            w = xp.reshape(per_client.run(of), stack.shape[:2])
            sums.append(_products(xp.permute_dims(stack, (0, 2, 1)), w))
        return xp.concat([zeros((0, self.dim), weights), *sums])

    def grams(self, weights: Array) -> Blocks:
        per_client, size = Blocks(weights, self.offsets), triangle(self.dim).size
        packed = [weighted_grams(stack, per_client.run(of)) for of, stack in self._stacks]
        values = namespace(weights).concat([zeros(0, weights), *packed]) if len(packed) != 1 else packed[0]
        return Blocks(values, size * np.arange(self.n_clients + 1))

    def lengths(self) -> Array:
        xp = namespace(self.like)
        return xp.concat([zeros(0, self.like), *(xp.sqrt(xp.sum(a * a, axis=1)) for a in self._blocks())])

    def _blocks(self) -> Iterator[Array]:
        return (self.block(i) for i in range(self.n_clients))

    def dense(self, i: int, first: int, stop: int) -> Array:
        return self.block(i)[first:stop, :]

    def on_host(self, i: int) -> Array:
        return to_host(self.block(i))

    def project(self, i: int, vectors: Array) -> Array:
        return self.block(i) @ to_device(vectors, self.like).T


def _products(stack: Array, vectors: Array) -> Array:
    """Each matrix of a stack (n, p, q) times the vector (q,), or its own of the vectors (n, q); shape (n, p)."""
    if stack.shape[0] == 1:  # as the plain product that it is
        return (stack[0, :, :] @ (vectors if vectors.ndim == 1 else vectors[0, :]))[None, :]
    return stack @ vectors if vectors.ndim == 1 else (stack @ vectors[:, :, None])[:, :, 0]
