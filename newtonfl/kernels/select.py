"""Which k entries of each client's vector are the largest in magnitude.

Of equal magnitudes the lowest position wins. So a selection is decided by a number, the k-th largest magnitude, on
which every algorithm and every machine agrees; positions it would not (numpy's argpartition breaks ties differently on
AVX-512 and AVX2).
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from newtonfl.backend import Array, cupy, is_cupy, to_device, to_host

KTH_MAGNITUDE = r"""
// threshold[b] = the k[b]-th largest of bits[offsets[b]] .. bits[offsets[b + 1] - 1], 0 where there are fewer.
// Magnitudes order as their IEEE bit patterns do, so the answer is built bit by bit from the top.
extern "C" __global__ void kth_magnitude(
    const unsigned long long* bits, const long long* offsets, const unsigned long long* k,
    unsigned long long* threshold)
{
    __shared__ unsigned long long count;
    unsigned long long found = 0;
    for (int bit = 62; bit >= 0; --bit) {
        const unsigned long long candidate = found | (1ULL << bit);
        if (threadIdx.x == 0) count = 0;
        __syncthreads();
        unsigned long long mine = 0;
        for (long long i = offsets[blockIdx.x] + threadIdx.x; i < offsets[blockIdx.x + 1]; i += blockDim.x)
            mine += bits[i] >= candidate;
        atomicAdd(&count, mine);
        __syncthreads();
        if (count >= k[blockIdx.x]) found = candidate;
        __syncthreads();
    }
    if (threadIdx.x == 0) threshold[blockIdx.x] = found;
}
"""


def largest(values: Array, offsets: Array, k: Array) -> list[Array]:
    """Each client's `k` entries of largest magnitude.

    Zeros are never chosen, so fewer than `k` come back where fewer are not zero.

    Parameters
    ----------
    values : array, shape (total,)
        The clients' vectors end to end.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each begins.
    k : int, or numpy.ndarray of int, shape (n,)

    Returns
    -------
    list of numpy.ndarray of int64
        Positions in each client's own vector, increasing, on the host.
    """
    each = np.broadcast_to(k, len(offsets) - 1)
    if is_cupy(values):
        return _largest_on_gpu(values, offsets, each)
    host = to_host(values)
    return [_largest(host[begin:end], int(count)) for (begin, end), count in zip(pairwise(offsets), each, strict=True)]


def _largest(vector: Array, k: int) -> Array:
    magnitude = np.abs(vector)
    positions = np.flatnonzero(magnitude)  # many zeros make a partition slow
    if len(positions) <= k:
        return positions
    if k == 0:
        return positions[:0]
    magnitude = magnitude[positions]
    threshold = np.partition(magnitude, len(magnitude) - k)[len(magnitude) - k]
    chosen = magnitude > threshold
    ties = np.flatnonzero(magnitude == threshold)
    chosen[ties[: k - int(chosen.sum())]] = True
    return positions[chosen]


@cache
def _compiled() -> Any:
    return cupy().RawKernel(KTH_MAGNITUDE, "kth_magnitude")


def _largest_on_gpu(values: Array, offsets: Array, k: Array) -> list[Array]:
    """One kernel finds every client's threshold; what passes it is found by whole-array calls."""
    cp, n = cupy(), len(offsets) - 1
    bits = cp.abs(values).view(cp.uint64)
    threshold = cp.zeros(n, cp.uint64)
    edges, counts = to_device(np.asarray(offsets, np.int64), values), to_device(np.asarray(k, np.uint64), values)
    _compiled()((n,), (256,), (bits, edges, counts, threshold))
    client = to_device(np.repeat(np.arange(n), np.diff(offsets)), values)
    above = bits > threshold[client]
    tie = (bits == threshold[client]) & (bits > 0)
    room = to_device(np.asarray(k, np.int64), values) - cp.bincount(client[above], minlength=n)
    ties_before = cp.concatenate([cp.zeros(1, cp.int64), cp.cumsum(tie)])
    rank = ties_before[1:] - ties_before[edges[:-1]][client]
    chosen: Array = to_host(cp.flatnonzero(above | (tie & (rank <= room[client]))))
    cuts: Array = np.searchsorted(chosen, offsets)
    return [chosen[cuts[i] : cuts[i + 1]] - offsets[i] for i in range(n)]
