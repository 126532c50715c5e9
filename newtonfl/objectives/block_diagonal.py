"""One sparse matrix a client, as the diagonal blocks of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array, sparse_to_device, zeros
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import csr_product


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
