"""The kernels' forms for numba: one client after the other while its numbers are in cache.

Importing this compiles them, or takes them from numba's cache on disk. Every form gives the bytes of the NumPy form;
:mod:`newtonfl.kernels.compiled` says when they are used. What a form uses as a length or a place it has checked before:
numba checks no bounds. Places are unsigned where a loop is hot, for numba asks signed ones whether they are negative.
No form calls itself: a second process that takes such a one from the cache dies. All stand in this one file, for where
a form calls one of another file, the cache does not notice that that one has changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from newtonfl.core.backend import Array

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


def _read(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C", readonly=True)


def _written(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C")


_BYTES, _INTS, _WORDS, _FLOATS = (_read(t) for t in (types.uint8, types.int64, types.uint64, types.float64))
_TO_BYTES, _TO_INTS, _TO_WORDS, _TO_FLOATS = (
    _written(t) for t in (types.uint8, types.int64, types.uint64, types.float64)
)
_INT, _WORD, _FLOAT = types.int64, types.uint64, types.float64
_read2 = types.Array(types.int64, 2, "C", readonly=True)

# -- Rice's code


@njit(_INT(_INTS, _INTS, _TO_INTS, _TO_INTS), **OPTIONS)
def rice_lengths(positions: Array, counts: Array, widths: Array, lengths: Array) -> int:
    """Fill every code's width and its length; returns their sum, or -1 where a list does not increase from 0 on."""
    first = total = 0
    for i in range(len(counts)):
        count = counts[i]
        before, smallest = np.int64(-1), np.int64(0)
        for j in range(first, first + count):
            smallest = min(smallest, positions[j] - before - 1)
            before = positions[j]
        if smallest < 0:
            return -1
        mean, b = (before + 1 - count) // max(count, 1), 0
        while mean > 3:
            mean >>= 1
            b += 1
        high0 = high1 = high2 = np.int64(0)
        before = np.int64(-1)
        for j in range(first, first + count):
            gap = (positions[j] - before - 1) >> b
            before = positions[j]
            high0 += gap
            high1 += gap >> 1
            high2 += gap >> 2
        more, high = 0, high0
        if count + high1 < high:
            more, high = 1, high1
        if 2 * count + high2 < more * count + high:
            more, high = 2, high2
        b = b + more if count else 0
        widths[i] = b
        lengths[i] = 1 + (count * b + 7) // 8 + (high + count + 7) // 8
        first += count
        total += lengths[i]
    return total


@njit(types.void(_INTS, _INTS, _INTS, _INTS, _TO_BYTES), **OPTIONS)
def rice_encode(positions: Array, counts: Array, widths: Array, lengths: Array, code: Array) -> None:
    """Write the codes into zeros."""
    first, head = 0, 0
    for i in range(len(counts)):
        last, b = first + counts[i], widths[i]
        code[head] = b
        at = np.uint64(head + 1)
        if b:
            word, filled, before = np.uint64(0), np.uint64(0), np.int64(-1)
            for j in range(first, last):
                low, left = np.uint64(positions[j] - before - 1), np.uint64(b)
                before = positions[j]
                while left:  # at most 32 bits at a time, so that the word has room
                    some = min(left, np.uint64(32))
                    word |= (low & ((np.uint64(1) << some) - np.uint64(1))) << filled
                    low >>= some
                    left -= some
                    filled += some
                    while filled >= np.uint64(8):
                        code[at] = word & np.uint64(255)
                        word >>= np.uint64(8)
                        filled -= np.uint64(8)
                        at += np.uint64(1)
            if filled:
                code[at] = word & np.uint64(255)
                at += np.uint64(1)
        one, before = np.uint64(0), np.int64(-1)
        for j in range(first, last):
            one += np.uint64(positions[j] - before - 1) >> np.uint64(b)
            before = positions[j]
            code[at + (one >> np.uint64(3))] |= np.uint8(np.uint64(1) << (one & np.uint64(7)))
            one += np.uint64(1)
        first = last
        head += lengths[i]


ONES = np.array([byte.bit_count() for byte in range(256)], np.uint8)
"""How many ones a byte has, and where they are, from the lowest bit up."""
PLACES = np.zeros((256, 8), np.uint8)
for _byte in range(256):
    PLACES[_byte, : ONES[_byte]] = [bit for bit in range(8) if _byte >> bit & 1]


@njit(_INT(_BYTES, _INTS, _INTS, _INTS, _INTS, _TO_INTS), **OPTIONS)
def rice_begins(buffer: Array, begins: Array, lengths: Array, counts: Array, sizes: Array, unary: Array) -> int:
    """Fill where each code's unary stream begins, of as many ones as announced; -1, or the first that has others."""
    for i in range(len(counts)):
        count, size = counts[i], sizes[i]
        if count < 0 or count > size or lengths[i] < 1 or begins[i] < 0 or lengths[i] > len(buffer) - begins[i]:
            return i
        b, end = np.int64(buffer[begins[i]]), begins[i] + lengths[i]
        if b > 63 or (b > 0 and size >> (b - 1) == 0) or count > 8 * lengths[i]:
            return i
        unary[i] = begins[i] + 1 + (count * b + 7) // 8
        if end - unary[i] < (count + 7) // 8:
            return i
        ones = 0
        for byte in range(unary[i], end):
            ones += ONES[buffer[byte]]
        if ones != count:
            return i
    return -1


@njit(_INT(_BYTES, _INTS, _INTS, _INTS, _INTS, _INTS, _TO_INTS), **OPTIONS)
def rice_decode(
    buffer: Array, begins: Array, lengths: Array, counts: Array, sizes: Array, unaries: Array, positions: Array
) -> int:
    """Fill `positions`, of which there are eight to spare; returns -1, or the first code that is wrong.

    What :func:`rice_begins` has found to hold is not looked at again.
    """
    first = np.uint64(0)
    for i in range(len(counts)):
        count, size, b = counts[i], sizes[i], np.int64(buffer[begins[i]])
        low, unary, end = begins[i] + 1, unaries[i], begins[i] + lengths[i]
        # Where the ones stand, a byte at a time: eight places are written, and as many kept as there are ones.
        at, base = first, 0
        for byte in range(unary, end):
            here = buffer[byte]
            for place in range(8):
                positions[at + np.uint64(place)] = base + PLACES[here, place]
            at += np.uint64(ONES[here])
            base += 8
        one = positions[at - np.uint64(1)] if count else np.int64(-1)
        if end - unary != (one + 8) >> 3 or (count and one - count + 1 > size >> b):
            return i
        word, filled, byte = np.uint64(0), np.uint64(0), np.uint64(low)
        mask = (np.uint64(1) << np.uint64(b)) - np.uint64(1)
        above, before, room, bit = np.uint64(0), np.int64(-1), np.uint64(size), np.int64(0)
        for j in range(first, first + np.uint64(count)):
            one = positions[j]
            above += np.uint64(one - before - 1) << np.uint64(b)  # no more than the size, by what was checked
            before = one
            part = np.uint64(0)
            if b > 56:  # a word may not hold it
                for t in range(b):
                    part |= np.uint64(buffer[low + (bit >> 3)] >> (bit & 7) & 1) << np.uint64(t)
                    bit += 1
            else:
                while filled < np.uint64(b):
                    word |= np.uint64(buffer[byte]) << filled
                    filled += np.uint64(8)
                    byte += np.uint64(1)
                part = word & mask
                word >>= np.uint64(b)
                filled -= np.uint64(b)
            if above >= room or part >= room - above:
                return i
            above += part
            positions[j] = above
            above += np.uint64(1)
        first += np.uint64(count)
    return -1


# -- the range coder

_LEAST, _DIGITS = np.uint64(1 << 32), np.uint64(0xFFFF)


@njit(_INT(_TO_BYTES, _INT, _INT, _WORD), **OPTIONS)
def put_digit(code: Array, head: int, at: int, value: int) -> int:
    """Write 16 bits behind those that begin at `head`, to whose number a 17th is added; returns where the next go."""
    code[at], code[at + 1] = value >> np.uint64(8) & np.uint64(255), value & np.uint64(255)
    if value > _DIGITS:
        place = at - 1
        while place >= head:
            code[place] += np.uint8(1)
            if code[place]:
                break
            place -= 1
    return at + 2


@njit(_INT(_INTS, _INTS, _INTS, _TO_BYTES, _TO_INTS), **OPTIONS)
def range_encode(first: Array, width: Array, cuts: Array, code: Array, lengths: Array) -> int:
    """Write the codes, each with six bytes to spare, and their lengths; returns their sum."""
    total, digit = 0, np.uint64(16)
    for i in range(len(lengths)):
        low, size, head = np.uint64(0), np.uint64(1 << 48), total
        for t in range(cuts[i], cuts[i + 1]):
            step = size >> digit
            low += step * np.uint64(first[t])
            size = step * np.uint64(width[t])
            if size < _LEAST:
                total = put_digit(code, head, total, low >> np.uint64(32))
                low = (low & (_LEAST - np.uint64(1))) << digit
                size <<= digit
        last, chosen = low + size - np.uint64(1), low
        for bits in range(0, 48, 8):
            even = last >> np.uint64(bits) << np.uint64(bits)
            if even >= low:
                chosen = even
        if low == 0:
            chosen = np.uint64(0)
        total = put_digit(code, head, total, chosen >> np.uint64(32))
        total = put_digit(code, head, total, chosen >> digit & _DIGITS)
        total = put_digit(code, head, total, chosen & _DIGITS)
        while total > head and code[total - 1] == 0:
            total -= 1
        lengths[i] = total - head
    return total


@njit(_WORD(_BYTES, _TO_INTS), **OPTIONS)
def next_digit(buffer: Array, span: Array) -> int:
    """The next 16 bits; zeros behind the end."""
    value = np.uint64(0)
    for _ in range(2):
        value <<= np.uint64(8)
        if span[0] < span[1]:
            value |= np.uint64(buffer[span[0]])
        span[0] += 1
    return value


@njit(types.void(_BYTES, _TO_INTS, _TO_WORDS, _INT, _INT), **OPTIONS)
def keep(buffer: Array, span: Array, state: Array, first: int, width: int) -> None:
    """Go on in a part of the interval."""
    step = state[1] >> np.uint64(16)
    state[0] -= step * np.uint64(first)
    state[1] = step * np.uint64(width)
    if state[1] < _LEAST:
        state[0] = (state[0] << np.uint64(16) | next_digit(buffer, span)) & np.uint64((1 << 48) - 1)
        state[1] <<= np.uint64(16)


@njit(_INT(_BYTES, _TO_INTS, _TO_WORDS, _INT), **OPTIONS)
def take_bits(buffer: Array, span: Array, state: Array, bits: int) -> int:
    """So many bits, all alike."""
    slot = np.int64(min(state[0] // (state[1] >> np.uint64(16)), _DIGITS))
    value = slot >> (16 - bits)
    keep(buffer, span, state, value << (16 - bits), 1 << (16 - bits))
    return value


@njit(types.void(_BYTES, _INTS, _INTS, _INTS, _INTS, _read2, _INTS, _TO_INTS), **OPTIONS)
def range_decode(
    buffer: Array, begins: Array, lengths: Array, which: Array, counts: Array, edges: Array, shifts: Array,
    integers: Array,
) -> None:  # fmt: skip
    """Fill the integers, whatever the bytes are."""
    reach, state, first = edges.shape[1] // 2 - 1, np.empty(2, np.uint64), 0
    span = np.empty(2, np.int64)  # where the code goes on, and where it ends
    for i in range(len(counts)):
        span[0], span[1] = begins[i], begins[i] + lengths[i]
        state[0], state[1] = np.uint64(0), np.uint64(1 << 48)
        for _ in range(3):
            state[0] = state[0] << np.uint64(16) | next_digit(buffer, span)
        for t in range(first, first + counts[i]):
            law = which[t]
            slot = np.int64(min(state[0] // (state[1] >> np.uint64(16)), _DIGITS))
            low, high = 0, 2 * reach + 1  # the last that begins at `slot` or before
            while high - low > 1:
                middle = (low + high) // 2
                if edges[law, middle] <= slot:
                    low = middle
                else:
                    high = middle
            keep(buffer, span, state, edges[law, low], edges[law, low + 1] - edges[law, low])
            if low < 2 * reach:
                value = (low - reach) << shifts[law]
                if shifts[law]:
                    value += take_bits(buffer, span, state, shifts[law])
            else:
                sign_and_size, value = take_bits(buffer, span, state, 7), 0
                size, taken = min(sign_and_size & 63, 62), 0
                while taken == 0 or taken < size:
                    value += take_bits(buffer, span, state, min(size - taken, 16)) << taken
                    taken += 16
                if sign_and_size >> 6:
                    value = -value
            integers[t] = value
        first += counts[i]


# -- the largest entries


@njit(_WORD(_TO_WORDS, _INT, _INT, _TO_INTS, _TO_WORDS, _TO_WORDS), **OPTIONS)
def kth_largest(bits: Array, n: int, k: int, count: Array, spare: Array, other: Array) -> int:
    """The k-th largest of n magnitudes given as their bits, of which k at least are not zero.

    The range of what is not zero is cut into 256 bins at most; those that share the k-th largest's bin are moved
    together, and again: eight times at most, whatever ties there are. `count` (1024,), `spare` and `other` (n + 1,) are
    scratch.
    """
    few, last, one = 16, np.uint64(255), np.uint64(1)
    if n <= few:
        spare[:n] = bits[:n]
        bits = spare
    kept, left = n, k
    while kept > few:
        low, high = np.uint64(2**64 - 1), np.uint64(0)
        for j in range(np.uint64(kept)):
            low, high = min(low, bits[j] - one), max(high, bits[j])  # 0 - 1 is the largest: zeros do not count
        low += one
        if low == high:
            return low
        shift = np.uint64(0)
        while (high - low) >> shift > last:
            shift += one
        count[:] = 0
        whole = np.uint64(kept // 4 * 4)
        for j in range(np.uint64(0), whole, np.uint64(4)):  # four tables: equal neighbours do not wait for each other
            count[(max(bits[j], low) - low) >> shift] += 1
            count[np.uint64(256) + ((max(bits[j + one], low) - low) >> shift)] += 1
            count[np.uint64(512) + ((max(bits[j + np.uint64(2)], low) - low) >> shift)] += 1
            count[np.uint64(768) + ((max(bits[j + np.uint64(3)], low) - low) >> shift)] += 1
        for j in range(whole, np.uint64(kept)):
            count[(max(bits[j], low) - low) >> shift] += 1
        digit = (high - low) >> shift
        while True:
            here = count[digit] + count[np.uint64(256) + digit] + count[np.uint64(512) + digit]
            here += count[np.uint64(768) + digit]
            if here >= left:
                break
            left -= here
            digit -= one
        place = np.uint64(0)
        for j in range(np.uint64(kept)):  # no branch: an element is written, and kept or overwritten
            spare[place] = bits[j]
            place += np.uint64(((max(bits[j], low) - low) >> shift) == digit)
        kept, bits, spare, other = np.int64(place), spare, other, spare
    for i in range(1, kept):  # a few: sorted, the largest first
        above, j = bits[i], i - 1
        while j >= 0 and bits[j] < above:
            bits[j + 1] = bits[j]
            j -= 1
        bits[j + 1] = above
    return bits[left - 1]


@njit(_INT(_TO_WORDS, _INT, _INT, _TO_INTS, _TO_WORDS, _TO_WORDS, _TO_INTS, _INT), **OPTIONS)
def choose(bits: Array, n: int, k: int, count: Array, spare: Array, other: Array, chosen: Array, first: int) -> int:
    """Write the places of the k largest from ``chosen[first]`` on, with one more to spare; returns how many."""
    many, place, one = np.int64(0), np.uint64(first), np.uint64(1)
    for j in range(np.uint64(n)):
        many += bits[j] != 0
    if k <= 0:
        return 0
    least = one
    if many > k:
        least = kth_largest(bits, n, k, count, spare, other)
        many = 0
        for j in range(np.uint64(n)):
            many += bits[j] >= least
    ties = np.int64(0)  # of those that equal the threshold, how many are taken where not all are
    if many > k:
        ties = np.int64(k)
        for j in range(np.uint64(n)):
            ties -= bits[j] > least
    j = np.uint64(0)
    if many > k:
        while ties:  # the first of them
            chosen[place] = j
            place += np.uint64(bits[j] >= least)
            ties -= bits[j] == least
            j += one
        least += one
    for i in range(j, np.uint64(n)):
        chosen[place] = i
        place += np.uint64(bits[i] >= least)
    return np.int64(place) - first


MAGNITUDE, ROOT = np.uint64(2**63 - 1), np.sqrt(2.0)


@njit(types.void(_WORDS, _INTS, _INTS, _INT, _TO_INTS, _TO_INTS), **OPTIONS)
def largest(values: Array, offsets: Array, k: Array, most: int, chosen: Array, counts: Array) -> None:
    """Fill `chosen`, with one place to spare, and `counts`; values as bits, no client with more than `most`."""
    bits, spare, other = np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64)
    count, at = np.empty(1024, np.int64), 0
    for i in range(len(k)):
        n, first = offsets[i + 1] - offsets[i], np.uint64(offsets[i])
        for j in range(np.uint64(n)):
            bits[j] = values[first + j] & MAGNITUDE
        counts[i] = choose(bits, n, k[i], count, spare, other, chosen, at)
        at += counts[i]


# -- sums


@njit(_FLOAT(_FLOATS, _INT, _INT), **OPTIONS)
def leaf_sum(values: Array, first: int, n: int) -> float:
    """NumPy's sum of at most 128 numbers."""
    a = np.uint64(first)
    if n < 8:
        total = -0.0
        for i in range(np.uint64(n)):
            total += values[a + i]
        return total
    r0, r1, r2, r3 = values[a], values[a + np.uint64(1)], values[a + np.uint64(2)], values[a + np.uint64(3)]
    r4, r5 = values[a + np.uint64(4)], values[a + np.uint64(5)]
    r6, r7 = values[a + np.uint64(6)], values[a + np.uint64(7)]
    whole = np.uint64(n - n % 8)
    for i in range(np.uint64(8), whole, np.uint64(8)):
        r0 += values[a + i]
        r1 += values[a + i + np.uint64(1)]
        r2 += values[a + i + np.uint64(2)]
        r3 += values[a + i + np.uint64(3)]
        r4 += values[a + i + np.uint64(4)]
        r5 += values[a + i + np.uint64(5)]
        r6 += values[a + i + np.uint64(6)]
        r7 += values[a + i + np.uint64(7)]
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for i in range(whole, np.uint64(n)):
        total += values[a + i]
    return total


@njit(_FLOAT(_FLOATS, _INT, _INT, _TO_INTS, _TO_FLOATS), **OPTIONS)
def pairwise_sum(values: Array, first: int, n: int, stack: Array, halves: Array) -> float:
    """NumPy's sum: of halves, cut at multiples of 8, down to leaves of at most 128.

    `stack` (3 · 64,) and `halves` (64,) are scratch.
    """
    depth, at, size = 0, first, n
    while True:
        while size > 128:  # down to the left; the right half is remembered
            half = size // 2
            half -= half % 8
            stack[3 * depth], stack[3 * depth + 1], stack[3 * depth + 2] = at + half, size - half, 0
            depth += 1
            size = half
        total = leaf_sum(values, at, size)
        while depth > 0 and stack[3 * depth - 1]:  # a right half is done: it is added to its left one
            depth -= 1
            total = halves[depth] + total
        if depth == 0:
            return total
        halves[depth - 1] = total
        stack[3 * depth - 1] = 1
        at, size = stack[3 * depth - 3], stack[3 * depth - 2]


@njit(types.void(_FLOATS, _INTS, _TO_FLOATS), **OPTIONS)
def sums(values: Array, offsets: Array, out: Array) -> None:
    """Fill each client's sum."""
    stack, halves = np.empty(192, np.int64), np.empty(64)
    for i in range(len(out)):
        out[i] = 0.0 + pairwise_sum(values, offsets[i], offsets[i + 1] - offsets[i], stack, halves)


# -- CRC-32


def _tables() -> Array:
    """Sixteen tables of the reflected polynomial 0xEDB88320."""
    table = np.zeros((16, 256), np.uint32)
    for byte in range(256):
        c = byte
        for _ in range(8):
            c = (c >> 1) ^ (0xEDB88320 if c & 1 else 0)
        table[0, byte] = c
    for k in range(1, 16):
        table[k] = (table[k - 1] >> np.uint32(8)) ^ table[0, table[k - 1] & np.uint32(255)]
    return table


T = _tables()


@njit(types.void(_BYTES, _INTS, _written(types.uint32)), **OPTIONS)
def checksums(buffer: Array, edges: Array, out: Array) -> None:
    """Fill zlib's CRC-32 of each piece, sixteen bytes a step."""
    low = np.uint32(255)
    for piece in range(len(out)):
        c = np.uint32(0xFFFFFFFF)
        i, end = np.uint64(edges[piece]), np.uint64(edges[piece + 1])
        while i + np.uint64(16) <= end:
            c = (
                T[15, buffer[i] ^ (c & low)]
                ^ T[14, buffer[i + np.uint64(1)] ^ (c >> np.uint32(8) & low)]
                ^ T[13, buffer[i + np.uint64(2)] ^ (c >> np.uint32(16) & low)]
                ^ T[12, buffer[i + np.uint64(3)] ^ (c >> np.uint32(24))]
                ^ T[11, buffer[i + np.uint64(4)]]
                ^ T[10, buffer[i + np.uint64(5)]]
                ^ T[9, buffer[i + np.uint64(6)]]
                ^ T[8, buffer[i + np.uint64(7)]]
                ^ T[7, buffer[i + np.uint64(8)]]
                ^ T[6, buffer[i + np.uint64(9)]]
                ^ T[5, buffer[i + np.uint64(10)]]
                ^ T[4, buffer[i + np.uint64(11)]]
                ^ T[3, buffer[i + np.uint64(12)]]
                ^ T[2, buffer[i + np.uint64(13)]]
                ^ T[1, buffer[i + np.uint64(14)]]
                ^ T[0, buffer[i + np.uint64(15)]]
            )
            i += np.uint64(16)
        while i < end:
            c = T[0, buffer[i] ^ (c & low)] ^ (c >> np.uint32(8))
            i += np.uint64(1)
        out[piece] = ~c


# -- sums of weighted products on supports

_PLACES = [_read(types.uint16), _read(types.uint32)]
_ROWS = [_read(types.int32), _read(types.int64)]


@njit(
    [
        types.void(_INTS, _read(types.int32), _INTS, _INT, types.boolean, _INT, _written(short), _TO_INTS, _TO_INTS)
        for short in (types.uint16, types.uint32)
    ],
    **OPTIONS,
)
def number_pairs(
    indptr: Array, columns: Array, row_offsets: Array, dim: int, diagonal: bool, seats: int, own: Array,
    positions: Array, offsets: Array,
) -> None:  # fmt: skip
    """Fill `own` with each pair's place in its client's support, and the supports with their edges.

    A client's columns are numbered as they increase, so that pairs stand in the order of the packed triangle. Pairs are
    counted as they are met, and numbered anew once all are known.
    """
    number, present, base = np.empty(dim, np.int64), np.empty(dim, np.int64), np.empty(dim, np.int64)
    met, most = np.empty(seats, np.uint32), np.int64(0)
    for i in range(len(row_offsets) - 1):
        most = max(most, indptr[row_offsets[i + 1]] - indptr[row_offsets[i]])
    near, renumbered = np.empty(most, np.uint32), np.empty(seats + 1, np.uint32)
    at, found, one = np.uint64(0), 0, np.uint64(1)
    for i in range(len(row_offsets) - 1):
        first, stop = row_offsets[i], row_offsets[i + 1]
        entry, many = indptr[first], dim if diagonal else 0
        if diagonal:
            for c in range(dim):
                number[c] = present[c] = c
        else:
            for c in range(dim):
                number[c] = -1
            for s in range(entry, indptr[stop]):
                number[columns[s]] = 0
            for c in range(dim):
                if number[c] == 0:
                    number[c], present[many] = many, c
                    many += 1
        for s in range(entry, indptr[stop]):
            near[s - entry] = number[columns[s]]
        for p in range(many):
            base[p] = p * many - p * (p - 1) // 2 - p
        met[: many * (many + 1) // 2] = 0
        count, mine = np.uint32(0), at
        for j in range(first, stop):
            a, b = np.uint64(indptr[j] - entry), np.uint64(indptr[j + 1] - entry)
            for s in range(a, b):
                line = np.uint64(base[near[s]])
                for t in range(s, b):
                    place = line + np.uint64(near[t])
                    if met[place] == 0:
                        count += np.uint32(1)
                        met[place] = count
                    own[at] = met[place] - np.uint32(1)
                    at += one
        place = 0
        for p in range(many):
            row = present[p]
            line_first = row * dim - row * (row - 1) // 2 - row
            for q in range(p, many):
                order = met[base[p] + q]
                if order or (diagonal and p == q):
                    if order:
                        renumbered[order - np.uint32(1)] = place
                    positions[found + place] = line_first + present[q]
                    place += 1
        found += place
        offsets[i + 1] = found
        for t in range(mine, at):
            own[t] = renumbered[own[t]]


@njit(types.void(_INTS, _FLOATS, _TO_FLOATS), **OPTIONS)
def multiply_pairs(indptr: Array, data: Array, products: Array) -> None:
    """Fill the products of every row's pairs."""
    at = 0
    for j in range(len(indptr) - 1):
        for s in range(indptr[j], indptr[j + 1]):
            for t in range(s, indptr[j + 1]):
                products[at] = data[s] * data[t]
                at += 1


@njit(
    [types.void(own, rows, _FLOATS, _FLOATS, _INTS, _INTS, _INTS, _TO_FLOATS) for own in _PLACES for rows in _ROWS],
    **OPTIONS,
)
def pair_sums(
    own: Array,
    rows: Array,
    products: Array,
    weights: Array,
    chosen: Array,
    row_offsets: Array,
    offsets: Array,
    out: Array,
) -> None:
    """Fill every chosen client's Σ_j w_j a_j a_jᵀ on its support; its products, or none where `weights` hold them."""
    at = row = 0
    for i in chosen:
        size = offsets[i + 1] - offsets[i]
        mine = out[at : at + size]
        mine[:] = 0.0
        for j in range(row_offsets[i], row_offsets[i + 1]):
            w, a, b = weights[row], np.uint64(rows[j]), np.uint64(rows[j + 1])
            row += 1
            if len(products):
                for t in range(a, b):
                    mine[np.uint64(own[t])] += products[t] * w
            else:
                for t in range(a, b):
                    mine[np.uint64(own[t])] += w
        at += size


# -- what a client sends of a difference


@njit(types.void(_TO_FLOATS, _INT, _INTS, _INT, _INT, _TO_FLOATS, _INT, _TO_WORDS, _TO_FLOATS), **OPTIONS)
def subtract(
    entries: Array, n: int, diagonal: Array, first_diagonal: int, stop_diagonal: int, estimate: Array, first: int,
    bits: Array, spare: Array,
) -> None:  # fmt: skip
    """Turn a client's entries into what they are in isometric coordinates beyond its estimate.

    Nothing is scaled where `stop_diagonal` is negative. `bits` are filled with the magnitudes.
    """
    at = np.uint64(first)
    if stop_diagonal < 0:
        for j in range(np.uint64(n)):
            entries[j] -= estimate[at + j]
    else:
        for t in range(first_diagonal, stop_diagonal):
            spare[t - first_diagonal] = entries[diagonal[t]]
        for j in range(np.uint64(n)):
            entries[j] = entries[j] * ROOT - estimate[at + j]
        for t in range(first_diagonal, stop_diagonal):
            entries[diagonal[t]] = spare[t - first_diagonal] - estimate[first + diagonal[t]]
    words = entries.view(np.uint64)
    for j in range(np.uint64(n)):
        bits[j] = words[j] & MAGNITUDE


@njit(
    types.void(
        _FLOATS, _INTS, _INTS, _INTS, _TO_FLOATS, _INTS, _FLOATS, _FLOATS, _INT, _TO_INTS, _TO_INTS, _TO_FLOATS,
        _TO_FLOATS,
    ),
    **OPTIONS,
)  # fmt: skip
def send_largest(
    entries: Array, offsets: Array, diagonal: Array, diagonal_offsets: Array, estimate: Array, k: Array,
    memory_rates: Array, estimate_rates: Array, most: int, chosen: Array, counts: Array, values: Array, norms: Array,
) -> None:  # fmt: skip
    """Fill `chosen` and `values`, with one place to spare, `counts` and `norms`, and move the estimate."""
    bits, spare, other = np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64)
    count, own, square = np.empty(1024, np.int64), np.empty(most), np.empty(most)
    stack, halves, at = np.empty(192, np.int64), np.empty(64), 0
    for i in range(len(k)):
        n, first = offsets[i + 1] - offsets[i], offsets[i]
        own[:n] = entries[first : first + n]
        a, b = (diagonal_offsets[i], diagonal_offsets[i + 1]) if len(diagonal_offsets) else (0, -1)
        subtract(own, n, diagonal, a, b, estimate, first, bits, square)
        counts[i] = choose(bits, n, k[i], count, spare, other, chosen, at)
        by, less = memory_rates[i], -estimate_rates[i]
        for t in range(np.uint64(at), np.uint64(at + counts[i])):
            place = np.uint64(chosen[t])
            values[t] = own[place]
            estimate[np.uint64(first) + place] += by * own[place]
            if less != 0.0:
                own[place] += less * own[place]
        for j in range(np.uint64(n)):
            square[j] = own[j] * own[j]
        norms[i] = np.sqrt(0.0 + pairwise_sum(square, 0, n, stack, halves))
        at += counts[i]


# -- what the server adds


@njit(types.void(_TO_FLOATS, _INTS, _FLOATS, _INTS, _FLOATS, _INTS, _INTS), **OPTIONS)
def add_in_order(
    values: Array, indices: Array, terms: Array, counts: Array, weights: Array, places: Array, first: Array
) -> None:
    """Add each client's weighted terms where its indices stand for, one client after the other."""
    at = np.uint64(0)
    for i in range(len(counts)):
        own, weight = np.uint64(first[i]), weights[i]
        for _ in range(counts[i]):
            values[np.uint64(places[own + np.uint64(indices[at])])] += weight * terms[at]
            at += np.uint64(1)


# -- bytes put together and taken apart


@njit(_INT(_INTS, _INT, _TO_BYTES, _TO_INTS), **OPTIONS)
def write_numbers(numbers: Array, count: int, code: Array, lengths: Array) -> int:
    """Write rows of `count` numbers; returns how many bytes they take."""
    at = 0
    for i in range(len(lengths)):
        begins = at
        for j in range(i * count, (i + 1) * count):
            number = numbers[j]
            while number > 127:
                code[at] = number & 127 | 128
                number >>= 7
                at += 1
            code[at] = number
            at += 1
        lengths[i] = at - begins
    return at


@njit(types.boolean(_BYTES, _INTS, _INT, _TO_INTS, _TO_INTS), **OPTIONS)
def read_numbers(buffer: Array, last: Array, count: int, numbers: Array, end: Array) -> bool:
    """Read rows of `count` numbers from `end` on, which moves behind them; returns whether there are any such."""
    for i in range(len(end)):
        at = end[i]
        for j in range(i * count, (i + 1) * count):
            number, shift = np.int64(0), 0
            while True:
                if at >= last[i] or shift == 63:
                    return False
                byte = np.int64(buffer[at])
                number |= (byte & 127) << shift
                shift += 7
                at += 1
                if byte < 128:
                    break
            if byte == 0 and shift > 7:
                return False
            numbers[j] = number
        end[i] = at
    return True


@njit(types.void(_BYTES, _INTS, _INTS, _TO_BYTES), **OPTIONS)
def put_apart(whole: Array, lengths: Array, first: Array, buffer: Array) -> None:
    """Copy the parts that stand end to end in `whole` to where each begins in the buffer."""
    at = 0
    for i in range(len(lengths)):
        buffer[first[i] : first[i] + lengths[i]] = whole[at : at + lengths[i]]
        at += lengths[i]


@njit(types.void(_BYTES, _INTS, _INTS, _TO_BYTES), **OPTIONS)
def put_together(buffer: Array, first: Array, lengths: Array, whole: Array) -> None:
    """Copy the parts of the buffer into `whole`, end to end."""
    at = 0
    for i in range(len(lengths)):
        whole[at : at + lengths[i]] = buffer[first[i] : first[i] + lengths[i]]
        at += lengths[i]
