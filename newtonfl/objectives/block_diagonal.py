"""One sparse matrix a client, as the diagonal blocks of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import scipy

from newtonfl.core.backend import Array, on_host, sparse_to_device, zeros
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

    def __matmul__(self, vector: Array) -> Array:
        return csr_product(self.on_device, vector) if self.matrix.shape[0] else zeros(0, self.like)

    @cached_property
    def transposed(self) -> BlockDiagonal:
        """The blocks transposed, on the same numbers."""
        kind = scipy.sparse.csc_array if self.matrix.format == "csr" else scipy.sparse.csr_array
        matrix = kind((self.matrix.data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape[::-1])
        return BlockDiagonal(matrix, self.columns, self.rows, self.like)
