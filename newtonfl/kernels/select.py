"""Which k entries of each client's vector are the largest in magnitude.

Of equal magnitudes the lowest position wins. So a selection is decided by a number, the k-th largest magnitude, on
which every algorithm and every machine agrees; positions it would not (numpy's argpartition breaks ties differently on
AVX-512 and AVX2).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from newtonfl.core.backend import Array, cupy, is_cupy, to_device, to_host
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import blocks, pieces

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
_BLOCK = 1 << 14  # entries that are worked on together on the host: arrays from 128 KiB on cost page faults
_LONG = 500  # entries a client, on the average, from which on clients go one by one
_MAGNITUDE = np.int64(2**63 - 1)  # all bits but the sign's; magnitudes order as these do


def largest(values: Array, offsets: Array, k: Array) -> tuple[Array, Array]:
    """Each client's `k` entries of largest magnitude.

    Zeros are never chosen, so fewer than `k` come back where fewer are not zero. An infinity is above every number, and
    what is not a number is above that.

    Parameters
    ----------
    values : array, shape (total,)
        The clients' vectors end to end.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each begins.
    k : int, or numpy.ndarray of int, shape (n,)

    Returns
    -------
    positions : numpy.ndarray of int64, shape (chosen,)
        Positions in each client's own vector, increasing, the clients' end to end; on the host.
    counts : numpy.ndarray of int64, shape (n,)
        How many are whose.
    """
    offsets = np.ascontiguousarray(offsets, np.int64)
    wanted = np.broadcast_to(np.asarray(k, np.int64), len(offsets) - 1)
    if is_cupy(values):
        return _largest_on_gpu(values, offsets, wanted)
    bits = np.ascontiguousarray(to_host(values), np.float64).view(np.int64)
    if (forms := compiled.forms()) is not None:
        sizes, counts = np.diff(offsets), np.empty(len(wanted), np.int64)
        chosen = np.empty(int(np.clip(wanted, 0, sizes).sum()) + 1, np.int64)
        most = int(sizes.max(initial=0))
        forms.largest(bits.view(np.uint64), offsets, np.ascontiguousarray(wanted), most, chosen, counts)
        return chosen[: int(counts.sum())], counts
    n, every = len(wanted), offsets.tolist()
    if n == 1 or every[-1] > _LONG * n:
        ks = wanted.tolist()
        lists = [_of_one(bits[a:b], many) for a, b, many in zip(every[:-1], every[1:], ks, strict=True)]
        return lists[0] if n == 1 else np.concatenate(lists), np.array([len(chosen) for chosen in lists])
    found, counts_of = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for a, b in blocks(offsets, _BLOCK):
        chosen, many = _of_some(bits[every[a] : every[b]], offsets[a : b + 1] - every[a], wanted[a:b])
        found.append(chosen)
        counts_of.append(many)
    return np.concatenate(found), np.concatenate(counts_of)


def _of_one(bits: Array, k: int) -> Array:
    magnitude = bits & _MAGNITUDE
    there = magnitude != 0
    many = np.count_nonzero(there)
    if many <= k:
        return np.flatnonzero(there)
    if k == 0:
        return np.zeros(0, np.int64)
    places = None
    if 8 * many < 7 * len(bits):  # many zeros make a partition slow
        places = np.flatnonzero(there)
        magnitude = magnitude[places]
    threshold = np.partition(magnitude, len(magnitude) - k)[len(magnitude) - k]
    chosen = np.flatnonzero(magnitude >= threshold)
    if len(chosen) > k:  # of those that equal the threshold, the first go in
        equal = np.flatnonzero(magnitude[chosen] == threshold)
        chosen = np.delete(chosen, equal[k - len(chosen) :])
    return chosen if places is None else places[chosen]


def _of_some(bits: Array, offsets: Array, k: Array) -> tuple[Array, Array]:
    magnitude, places = bits & _MAGNITUDE, None
    there = magnitude != 0
    if 8 * np.count_nonzero(there) < 7 * len(bits):
        places = np.flatnonzero(there)
        magnitude, within = magnitude[places], np.searchsorted(places, offsets)
    else:
        within = offsets
    # At 0 fewer than k are not zero, and all of these are chosen.
    least = np.repeat(np.maximum(_kth_largest(magnitude, within, k), 1), np.diff(within))
    chosen = np.flatnonzero(magnitude >= least)
    many = np.diff(np.searchsorted(chosen, within))
    if (many > k).any():  # of those that equal the threshold, the first go in
        equal = magnitude[chosen] == least[chosen]
        rank = np.cumsum(equal)
        before = np.concatenate(([0], rank))[offsets_of(many)]
        room = np.diff(before) - np.maximum(many - k, 0)
        chosen = chosen[~equal | (rank <= np.repeat(before[:-1] + room, many))]
        many = np.minimum(many, k)
    chosen = chosen if places is None else places[chosen]
    return chosen - np.repeat(offsets[:-1], many), many


def _kth_largest(magnitude: Array, offsets: Array, k: Array) -> Array:
    """Each client's k-th largest magnitude: 0 where it has fewer, the largest integer where k is 0."""
    sizes = np.diff(offsets)
    threshold = np.where(k > 0, 0, _MAGNITUDE)
    cut = np.flatnonzero((k > 0) & (k < sizes))
    # Those of like size and of one k are the rows of a table. What is left of a row is 0, which is chosen by nobody.
    step = np.exp2(np.maximum(np.frexp(sizes[cut])[1] - 3, 0)).astype(np.int64)  # a quarter of the power of two below
    width = -(-sizes[cut] // step) * step if len(set(sizes.tolist())) > 1 else sizes[cut]
    kind = width * (int(k[cut].max(initial=0)) + 1) + k[cut]
    for one in set(kind.tolist()):
        rows = cut[kind == one]
        wide = int(width[kind == one][0])
        if len(rows) == len(sizes) and (sizes == wide).all():  # nothing to fill up
            table = magnitude.reshape(len(rows), wide)
        else:
            table = np.zeros((len(rows), wide), np.int64)
            table[np.arange(wide) < sizes[rows, None]] = magnitude[ranges(offsets[rows], sizes[rows])]
        at = wide - int(k[rows[0]])
        threshold[rows] = np.partition(table, at, axis=1)[:, at]
    return threshold


@cache
def _compiled() -> Any:
    return cupy().RawModule(code=SELECT)


def _largest_on_gpu(values: Array, offsets: Array, k: Array) -> tuple[Array, Array]:
    cp, n = cupy(), len(offsets) - 1
    if not n:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lower, upper, edges = pieces(offsets, _PIECE)
    client = np.repeat(np.arange(n, dtype=np.int32), np.diff(edges))

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
    before -= before[edges[client]]
    room = np.maximum(to_host(left).astype(np.int64)[client] - before, 0)
    at = offsets_of(above + np.minimum(equal, room))
    chosen = cp.empty(int(at[-1]), cp.int64)
    places = (to_device(array, values) for array in (offsets[client], at[:-1], room))
    call("write_chosen", len(client), *table, threshold, *places, chosen)
    return to_host(chosen), np.diff(at[edges])
