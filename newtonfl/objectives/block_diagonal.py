"""One sparse matrix a client, as the diagonal blocks of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array, on_host, sparse_to_device, zeros
from newtonfl.core.ragged import offsets_of, ranges, selected
from newtonfl.kernels import csr_product


@dataclass(frozen=True)
class BlockDiagonal:
    """One sparse matrix a client, as the diagonal blocks of one: a product of all clients is then one call.

    Each entry of a product is added up in the order of the columns, whichever way the matrix is laid out.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array or scipy.sparse.csc_array
        On the host; its indices should take 32 bits where they can, for products are bound by memory.
    rows, columns : numpy.ndarray of int64, shape (n + 1,)
        Where each client's rows and columns begin.
    like : array
        Names the library and device of the products.
    """

    matrix: scipy.sparse.csr_array | scipy.sparse.csc_array
    rows: Array
    columns: Array
    like: Array

    @cached_property
    def on_device(self) -> Any:
        return sparse_to_device(self.matrix if on_host(self.like) else self.matrix.tocsr(), self.like)

    @cached_property
    def stacked(self) -> Any:
        """The blocks one below the other, all in the same columns: for a vector that all clients share."""
        width = int(np.diff(self.columns).max(initial=0))
        shape = (self.matrix.shape[0], width)
        first = np.repeat(self.columns[:-1], np.diff(self.matrix.indptr[self.rows]))
        indices = (self.matrix.indices - first).astype(self.matrix.indices.dtype, copy=False)
        return sparse_to_device(
            scipy.sparse.csr_array((self.matrix.data, indices, self.matrix.indptr), shape=shape), self.like
        )

    def __matmul__(self, vector: Array) -> Array:
        return csr_product(self.on_device, vector) if self.matrix.shape[0] else zeros(0, self.like)

    @cached_property
    def transposed(self) -> BlockDiagonal:
        """The blocks transposed, on the same numbers."""
        kind = scipy.sparse.csc_array if self.matrix.format == "csr" else scipy.sparse.csr_array
        matrix = kind((self.matrix.data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape[::-1])
        return BlockDiagonal(matrix, self.columns, self.rows, self.like)

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
        """The blocks of some clients: slices of the arrays, their indices moved along.

        The numbers of clients that follow each other are not copied.
        """
        if self.matrix.format == "csc":
            return self.transposed.select(chosen).transposed
        matrix, index = self.matrix, self.matrix.indices.dtype
        sizes = np.diff(self.rows)[chosen]
        rows, columns = offsets_of(sizes), offsets_of(np.diff(self.columns)[chosen])
        starts = matrix.indptr.astype(np.int64)
        of_client, line = starts[self.rows], ranges(self.rows[chosen], sizes)
        moved = np.repeat((columns[:-1] - self.columns[chosen]).astype(index), np.diff(of_client)[chosen])
        arrays = (
            selected(matrix.data, of_client, chosen),
            selected(matrix.indices, of_client, chosen) + moved,
            offsets_of(starts[line + 1] - starts[line]).astype(index),
        )
        shape = (int(rows[-1]), int(columns[-1]))
        return BlockDiagonal(scipy.sparse.csr_array(arrays, shape=shape), rows, columns, self.like)
