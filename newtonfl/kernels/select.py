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

from newtonfl.core.backend import Array, cupy, is_cupy, to_device, to_host
from newtonfl.core.ragged import offsets_of, ranges

SELECT = r"""
// Magnitudes order as their IEEE bit patterns do. The k-th largest of a client's is found digit by digit of 8 bits from
// the top; then what is above it, and the first of what equals it, is written in order. A block works on one piece:
// places lower[b] up to upper[b] of the values, all of client[b].
typedef unsigned long long word;
typedef long long place;
#define MAGNITUDE(i) (bits[i] & 0x7fffffffffffffffULL)

// counts[256 c + digit] += how many of a piece agree with prefix[c] in the digits before, and have this one next.
extern "C" __global__ void count_digits(
    const word* bits, const place* lower, const place* upper, const int* client, const word* prefix, const int shift,
    unsigned* counts)
{
    __shared__ unsigned here[256];
    const int c = client[blockIdx.x];
    for (int digit = threadIdx.x; digit < 256; digit += blockDim.x) here[digit] = 0;
    __syncthreads();
    for (place i = lower[blockIdx.x] + threadIdx.x; i < upper[blockIdx.x]; i += blockDim.x)
        if (MAGNITUDE(i) >> shift >> 8 == prefix[c]) atomicAdd(&here[MAGNITUDE(i) >> shift & 255], 1u);
    __syncthreads();
    for (int digit = threadIdx.x; digit < 256; digit += blockDim.x)
        if (here[digit]) atomicAdd(&counts[256LL * c + digit], here[digit]);
}

// The next digit of every client's prefix, a block a client; left[c] of the values that agree with it are to be taken.
extern "C" __global__ void choose_digit(unsigned* counts, word* prefix, word* left)
{
    __shared__ unsigned here[256];
    for (int digit = threadIdx.x; digit < 256; digit += blockDim.x) {
        here[digit] = counts[256LL * blockIdx.x + digit];
        counts[256LL * blockIdx.x + digit] = 0;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    int digit = 255;  // stays where none is to be taken: nothing is above all ones
    word taken = 0;
    if (left[blockIdx.x] > 0)
        for (; digit > 0 && taken + here[digit] < left[blockIdx.x]; --digit) taken += here[digit];
    prefix[blockIdx.x] = prefix[blockIdx.x] << 8 | digit;
    left[blockIdx.x] -= taken;
}

// How many of each piece are above the client's threshold, and how many equal it; zeros are neither.
extern "C" __global__ void count_chosen(
    const word* bits, const place* lower, const place* upper, const int* client, const word* threshold, unsigned* above,
    unsigned* equal)
{
    const word t = threshold[client[blockIdx.x]];
    unsigned a = 0, e = 0;
    for (place i = lower[blockIdx.x] + threadIdx.x; i < upper[blockIdx.x]; i += blockDim.x) {
        a += MAGNITUDE(i) > t;
        e += MAGNITUDE(i) == t && t > 0;
    }
    if (a) atomicAdd(&above[blockIdx.x], a);
    if (e) atomicAdd(&equal[blockIdx.x], e);
}

// The places that are chosen, from its client's first place on, into chosen[at[b]] and what follows; room[b] of those
// that equal the threshold are taken. Each thread looks at places that follow each other.
extern "C" __global__ void write_chosen(
    const word* bits, const place* lower, const place* upper, const int* client, const word* threshold,
    const place* first, const place* at, const place* room, place* chosen)
{
    __shared__ unsigned above[256], equal[256];
    __shared__ place where[256], left[256];
    const word t = threshold[client[blockIdx.x]];
    const place per_thread = (upper[blockIdx.x] - lower[blockIdx.x] + blockDim.x - 1) / blockDim.x;
    const place from = lower[blockIdx.x] + per_thread * threadIdx.x;
    const place to = from + per_thread < upper[blockIdx.x] ? from + per_thread : upper[blockIdx.x];
    unsigned a = 0, e = 0;
    for (place i = from; i < to; ++i) {
        a += MAGNITUDE(i) > t;
        e += MAGNITUDE(i) == t && t > 0;
    }
    above[threadIdx.x] = a;
    equal[threadIdx.x] = e;
    __syncthreads();
    if (threadIdx.x == 0) {
        place next = at[blockIdx.x], more = room[blockIdx.x];
        for (unsigned thread = 0; thread < blockDim.x; ++thread) {
            const place ties = equal[thread] < more ? equal[thread] : more;
            where[thread] = next;
            left[thread] = ties;
            next += above[thread] + ties;
            more -= ties;
        }
    }
    __syncthreads();
    place next = where[threadIdx.x], ties = left[threadIdx.x];
    for (place i = from; i < to; ++i)
        if (MAGNITUDE(i) > t || (MAGNITUDE(i) == t && t > 0 && ties-- > 0)) chosen[next++] = i - first[blockIdx.x];
}
"""

_PIECE = 8192
_THREADS = 256


def largest(values: Array, offsets: Array, k: Array) -> tuple[Array, Array]:
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
    positions : numpy.ndarray of int64, shape (Σ counts,)
        In each client's own vector, increasing; end to end, on the host.
    counts : numpy.ndarray of int64, shape (n,)
        How many each client has.
    """
    counts = np.broadcast_to(k, len(offsets) - 1)
    if is_cupy(values):
        return _largest_on_gpu(values, offsets, counts)
    host = to_host(values)
    found = [_largest(host[a:b], int(count)) for (a, b), count in zip(pairwise(offsets), counts, strict=True)]
    return np.concatenate([np.zeros(0, np.int64), *found]), np.array([len(chosen) for chosen in found], np.int64)


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
    return cupy().RawModule(code=SELECT)


def _largest_on_gpu(values: Array, offsets: Array, k: Array) -> tuple[Array, Array]:
    cp, n = cupy(), len(offsets) - 1
    offsets = np.asarray(offsets, np.int64)
    pieces = -(-np.diff(offsets) // _PIECE)
    client = np.repeat(np.arange(n, dtype=np.int32), pieces)
    lower = offsets[client] + _PIECE * ranges(np.zeros(n, np.int64), pieces)
    upper = np.minimum(lower + _PIECE, offsets[client + 1])
    if not len(client):
        return np.zeros(0, np.int64), np.zeros(n, np.int64)

    def call(name: str, blocks: int, *arguments: Any) -> None:
        _compiled().get_function(name)((blocks,), (_THREADS,), arguments)

    table = (
        cp.ascontiguousarray(values).view(cp.uint64),
        *(to_device(array, values) for array in (lower, upper, client)),
    )
    counts, threshold = cp.zeros(256 * n, cp.uint32), cp.zeros(n, cp.uint64)
    left = to_device(np.asarray(k, np.uint64), values)
    for shift in range(56, -1, -8):
        call("count_digits", len(client), *table, threshold, np.int32(shift), counts)
        call("choose_digit", n, counts, threshold, left)
    found = cp.zeros((2, len(client)), cp.uint32)
    call("count_chosen", len(client), *table, threshold, found[0], found[1])
    above, equal = to_host(found).astype(np.int64)
    # Of the ties, those in a client's first pieces go first.
    before = np.cumsum(equal) - equal
    before -= before[offsets_of(pieces)[client]]
    room = np.maximum(to_host(left).astype(np.int64)[client] - before, 0)
    at = offsets_of(above + np.minimum(equal, room))
    chosen = cp.empty(int(at[-1]), cp.int64)
    places = (to_device(array, values) for array in (offsets[client], at[:-1], room))
    call("write_chosen", len(client), *table, threshold, *places, chosen)
    return to_host(chosen), np.diff(at[offsets_of(pieces)])
