"""A CSR matrix times a vector."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from newtonfl.core.backend import Array, cupy, is_cupy

ROW_SUMS = r"""
// sums[row] = the products of a row, added from left to right with every product and sum rounded, as SciPy does. So the
// bits are the host's, whoever else is in the matrix, and entries that are equal stay equal: a selection by size must
// not be decided by rounding. A warp reads 32 products together, then adds them one after the other.
extern "C" __global__ void row_sums(
    const int rows, const double* data, const place* columns, const place* starts, const double* vector, double* sums)
{
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    double sum = 0.0;
    for (place first = starts[row]; first < starts[row + 1]; first += 32) {
        const int many = starts[row + 1] - first < 32 ? starts[row + 1] - first : 32;
        const double mine = lane < many ? __dmul_rn(data[first + lane], vector[columns[first + lane]]) : 0.0;
        for (int i = 0; i < many; ++i) sum = __dadd_rn(sum, __shfl_sync(0xffffffffu, mine, i));
    }
    if (lane == 0) sums[row] = sum;
}
"""


def csr_product(matrix: Any, vector: Array) -> Array:
    """`matrix` @ `vector`, each row summed from left to right.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array or cupyx.scipy.sparse.csr_matrix, shape (N, c)
        Where `vector` is.
    vector : array, shape (c,)

    Returns
    -------
    array, shape (N,)
    """
    if not is_cupy(vector):
        return matrix @ vector
    cp, rows = cupy(), matrix.shape[0]
    sums = cp.empty(rows)
    arguments = (matrix.data, matrix.indices, matrix.indptr, cp.ascontiguousarray(vector), sums)
    if rows:
        row_sums = _compiled(matrix.indices.dtype.itemsize)
        row_sums((-(-rows // 8),), (256,), (np.int32(rows), *arguments))  # a warp a row, eight a block
    return sums


def source(width: int) -> str:
    """The kernel for indices of `width` bytes, 4 or 8."""
    return f"typedef {'int' if width == 4 else 'long long'} place;\n{ROW_SUMS}"


@cache
def _compiled(width: int) -> Any:
    return cupy().RawKernel(source(width), "row_sums")
