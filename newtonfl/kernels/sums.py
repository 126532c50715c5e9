"""Each client's sum and norm: in bits that its own numbers decide, whoever else is there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from newtonfl.core.backend import Array, cupy, is_cupy, namespace, on_host, to_device, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import pieces

SUM = r"""
// sums[b] = the sum of one piece, places lower[b] up to upper[b] of the values, in an order that its length decides.
typedef long long place;
extern "C" __global__ void sum_pieces(
    const double* values, const place* lower, const place* upper, double* sums)
{
    __shared__ double part[256];
    double sum = 0.0;
    for (place i = lower[blockIdx.x] + threadIdx.x; i < upper[blockIdx.x]; i += blockDim.x) sum += values[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}
"""

_PIECE = 8192
_THREADS = 256


def sums(blocks: Blocks) -> Array:
    """Each client's sum; on the host in the bits of NumPy's sum of its numbers alone.

    Parameters
    ----------
    blocks : Blocks
        The clients' numbers.

    Returns
    -------
    array, shape (n,)
    """
    values, offsets = blocks.values, blocks.offsets
    if not len(blocks):
        return zeros(0, values)
    if is_cupy(values):
        return _sums_on_gpu(values, offsets)
    if not on_host(values):
        xp = namespace(values)
        return xp.stack([xp.sum(block) for block in blocks])
    if (forms := compiled.forms()) is None:
        return _sums(values, offsets)
    found = np.empty(len(blocks))
    forms.sums(np.ascontiguousarray(values, np.float64), np.ascontiguousarray(offsets, np.int64), found)
    return found


def norms(blocks: Blocks) -> Array:
    """Each client's 2-norm, shape (n,)."""
    return namespace(blocks.values).sqrt(sums(blocks.replaced(blocks.values * blocks.values)))


def _sums(values: Array, offsets: Array) -> Array:
    """Clients of one size are the rows of a table: NumPy sums each of its rows as it sums that vector alone."""
    sizes = np.diff(offsets)
    n, size = len(sizes), int(sizes[0])
    if (sizes == size).all():
        return values.reshape(n, size).sum(axis=1)
    sums = np.empty(n, values.dtype)
    order = np.argsort(sizes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        first, size = offsets[rows], int(sizes[rows[0]])
        if len(rows) == 1:
            sums[rows] = values[first[0] : first[0] + size].sum()
        else:
            sums[rows] = values[first[:, None] + np.arange(size)].sum(axis=1)
    return sums


def _sums_on_gpu(values: Array, offsets: Array) -> Array:
    """The sums of each client's pieces, then of these sums, until there is one."""
    cp, n = cupy(), len(offsets) - 1
    while True:
        lower, upper, edges = pieces(offsets, _PIECE)
        found = cp.empty(len(lower))
        places = (to_device(array, values) for array in (lower, upper))
        _compiled()((len(lower),), (_THREADS,), (cp.ascontiguousarray(values), *places, found))
        if len(lower) == n:
            return found
        values, offsets = found, edges


@cache
def _compiled() -> Any:
    return cupy().RawKernel(SUM, "sum_pieces")
