"""Rice's code of many lists by whole-array calls, as many lists at a time as stay in cache."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.kernels.blocks import blocks

NOT_INCREASING = "positions of a list must increase from 0 on"
_BLOCK = 1 << 14  # positions, or bytes of code


def encode(positions: Array, counts: Array) -> tuple[Array, Array]:
    """The codes end to end, and their lengths: as :func:`newtonfl.kernels.rice.encode`."""
    ends = offsets_of(counts)
    pieces = [(np.zeros(0, np.uint8), np.zeros(0, np.int64))]
    pieces += [_encoded(positions[ends[a] : ends[b]], counts[a:b]) for a, b in blocks(ends, _BLOCK)]
    codes, lengths = zip(*pieces, strict=True)
    return np.concatenate(codes), np.concatenate(lengths)


def decode(buffer: Array, begins: Array, lengths: Array, counts: Array, sizes: Array) -> Array | None:
    """The lists end to end, as :func:`newtonfl.kernels.rice.decode`; None where a code is wrong."""
    found = [np.zeros(0, np.int64)]
    for a, b in blocks(offsets_of(lengths), _BLOCK):
        some = _decoded(buffer, begins[a:b], lengths[a:b], counts[a:b], sizes[a:b])
        if some is None:
            return None
        found.append(some)
    return np.concatenate(found)


def _sums(numbers: Array, counts: Array) -> Array:
    """Each list's sum of whole numbers."""
    sums = np.zeros(len(counts), np.int64)
    some = counts > 0
    if some.any():
        sums[some] = np.add.reduceat(numbers, offsets_of(counts)[:-1][some], dtype=np.int64)
    return sums


def _gaps(increasing: Array, counts: Array) -> Array:
    """How many numbers are left out before each one, from 0 on in each list."""
    gaps = increasing.copy()
    gaps[1:] -= increasing[:-1]
    gaps[1:] -= 1
    first = offsets_of(counts)[:-1][counts > 0]
    gaps[first] = increasing[first]
    return gaps


def _bytes_for(bits: Array) -> Array:
    return (bits + 7) >> 3


def _widths(gaps: Array, counts: Array) -> Array:
    """The width that makes each code shortest, of the three about log2 of the mean gap; the least of equal ones."""
    mean = _sums(gaps, counts) // np.maximum(counts, 1)
    mean &= ~(mean >> 1)  # the same highest bit, and none below it: nothing to round up to the next power
    log = np.frexp(mean.astype(np.float64))[1].astype(np.int64) - 1
    widths = np.maximum(log - 1, 0) + np.arange(3)[:, None]
    high = gaps >> np.repeat(widths[0], counts)
    costs = [counts * widths[0] + _sums(high, counts)]
    for width in widths[1:]:
        high >>= 1
        costs.append(counts * width + _sums(high, counts))
    return widths[np.argmin(costs, axis=0), np.arange(len(counts))]


def _encoded(positions: Array, counts: Array) -> tuple[Array, Array]:
    gaps = _gaps(positions, counts)
    if gaps.min(initial=0) < 0:
        raise ValueError(NOT_INCREASING)
    b = _widths(gaps, counts)
    b_of = np.repeat(b, counts)
    ends = np.cumsum((gaps >> b_of) + 1)  # of the unary streams, laid end to end
    edges = offsets_of(counts)
    before = np.concatenate(([0], ends))[edges]
    low, unary = _bytes_for(counts * b), _bytes_for(np.diff(before))
    lengths = 1 + low + unary
    begins = offsets_of(lengths)
    bits = np.zeros(8 * int(begins[-1]), np.uint8)
    ends += np.repeat(8 * (begins[:-1] + 1 + low) - before[:-1] - 1, counts)
    bits[ends] = 1
    widest = int(b.max(initial=0))
    if widest:
        at = np.arange(len(gaps))
        at *= b_of
        at += np.repeat(8 * (begins[:-1] + 1) - edges[:-1] * b, counts)
        for place in range(widest):
            there = np.flatnonzero((gaps >> place & (place < b_of)).astype(bool))
            bits[at[there] + place] = 1
    code = np.packbits(bits, bitorder="little")
    code[begins[:-1]] = b
    return code, lengths


def _decoded(buffer: Array, begins: Array, lengths: Array, counts: Array, sizes: Array) -> Array | None:
    # Each check is one of newtonfl.kernels.rice's, which has the words; what a later line computes needs the earlier.
    if (lengths < 1).any() or (counts > sizes).any() or (counts > 8 * lengths).any():
        return None
    b = buffer[begins].astype(np.int64)
    low = _bytes_for(counts * b)
    unary = lengths - 1 - low
    if (b > 63).any() or ((b > 0) & (sizes >> np.maximum(b - 1, 0) == 0)).any() or (unary < _bytes_for(counts)).any():
        return None
    stream = buffer[ranges(begins + 1 + low, unary)]
    if (_sums(np.bitwise_count(stream), unary) != counts).any():
        return None
    # Where the ones stand in all streams, and then each in its own.
    edges = offsets_of(counts)
    ones = np.flatnonzero(np.unpackbits(stream, bitorder="little").view(bool))
    ones -= np.repeat(8 * offsets_of(unary)[:-1], counts)
    some = counts > 0
    last = np.full(len(counts), -1)
    last[some] = ones[edges[1:][some] - 1]
    if (unary != _bytes_for(last + 1)).any() or (last - counts + 1 > sizes >> b)[some].any():
        return None
    steps = _gaps(ones, counts)
    if b.any():
        steps <<= np.repeat(b, counts)
        steps += _low_parts(buffer[ranges(begins + 1, low)], counts, b, 8 * offsets_of(low)[:-1])
    steps += 1
    first = edges[:-1][some]
    grows = steps > 0
    np.cumsum(steps, out=steps)
    steps -= np.repeat(np.concatenate(([0], steps))[edges[:-1]], counts)
    steps -= 1
    # Sums of false gaps may pass the end of int64 and come back from below: then one is not above the one before it.
    grows[1:] = steps[1:] > steps[:-1]
    grows[first] = steps[first] >= 0
    if not grows.all() or (steps[edges[1:][some] - 1] >= sizes[some]).any():
        return None
    return steps


def _low_parts(stream: Array, counts: Array, b: Array, bits: Array) -> Array:
    """The numbers of ``b[i]`` bits that stand in `stream` from bit ``bits[i]`` on, ``counts[i]`` of them."""
    stream = np.concatenate((stream, np.zeros(16, np.uint8)))  # to read on where the last ends
    words = np.ndarray(len(stream) - 7, "<u8", stream, strides=(1,))  # eight bytes from every byte on
    b_of = np.repeat(b, counts)
    at = np.arange(len(b_of))
    at *= b_of
    at += np.repeat(bits - offsets_of(counts)[:-1] * b, counts)
    low = np.zeros(len(at), np.uint64)
    for first in range(0, int(b.max()), 56):  # a number begins within a byte, so that 57 bits of it are in the word
        width = np.clip(b_of - first, 0, 56).astype(np.uint64)
        here = at + first
        part = words[here >> 3]
        part >>= (here & 7).astype(np.uint64)
        part &= (np.uint64(1) << width) - np.uint64(1)
        low |= part << np.uint64(first)
    return low.view(np.int64)
