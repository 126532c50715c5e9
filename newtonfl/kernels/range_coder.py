"""A range coder of integers under laws that both ends know: many clients' codes side by side.

After G. N. N. Martin, Range encoding: an algorithm for removing redundancy from a digitised message (1979). An interval
of 48 bits is cut as the law of each integer cuts 2¹⁶, and the part of the integer that stands there is kept. The code
is the shortest number that lies in the last interval, so one content has one code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.kernels import compiled
from newtonfl.kernels.range_coder_sequential import FEW, decode_sequential, encode_sequential

BITS = 16
"""A law's frequencies sum to two to this."""

_WIDTH, _DIGIT = 48, 16  # bits of an interval, and of what leaves it at a time
_LEAST = np.uint64(1 << _WIDTH - _DIGIT)  # an interval is never narrower
_LOW = np.uint64((1 << _WIDTH) - 1)
_SIZE_BITS = 6  # of the number of bits that an integer beyond its law has
_MOST_BITS = 62


class Laws(NamedTuple):
    """Laws of integers: of q, the integer h = ⌊q / 2^shift⌋ has one, and its last bits are all alike.

    Attributes
    ----------
    edges : numpy.ndarray of int64, shape (laws, 2K + 2)
        Where h = -K, …, K - 1 and "another one" begin within 2¹⁶, and 2¹⁶; increasing.
    shifts : numpy.ndarray of int64, shape (laws,)
    """

    edges: Array
    shifts: Array

    @property
    def reach(self) -> int:
        """K."""
        return int(self.edges.shape[1]) // 2 - 1


def range_encode(integers: Array, which: Array, counts: Array, laws: Laws) -> tuple[Array, Array]:
    """The codes of many clients' integers.

    Parameters
    ----------
    integers : numpy.ndarray of int64, shape (Σ counts,)
        End to end; below 2⁶² in magnitude.
    which : numpy.ndarray of int64, shape (Σ counts,)
        The number of each one's law.
    counts : numpy.ndarray of int64, shape (n,)
    laws : Laws

    Returns
    -------
    code : numpy.ndarray of uint8
        End to end.
    lengths : numpy.ndarray of int64, shape (n,)
    """
    first, width, many = _pieces(integers, which, laws)
    cuts = offsets_of(many)[offsets_of(counts)]
    if (forms := compiled.forms()) is not None:
        code, lengths = np.empty(2 * (len(first) + 3 * len(counts)), np.uint8), np.empty(len(counts), np.int64)
        total = forms.range_encode(first, width, cuts, code, lengths)
        return code[:total], lengths
    if len(first) <= FEW * int(np.diff(cuts).max(initial=0)):
        return encode_sequential(first, width, cuts)
    return _together(_digits(first, width, cuts))


def range_decode(
    buffer: Array, first: Array, lengths: Array, which: Array, counts: Array, laws: Laws
) -> tuple[Array, int]:
    """Read what :func:`range_encode` wrote.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        Nothing in it is trusted.
    first, lengths : numpy.ndarray of int64, shape (n,)
        Where each client's code stands in it; within the buffer.
    which, counts, laws
        As they were encoded.

    Returns
    -------
    integers : numpy.ndarray of int64, shape (Σ counts,)
    wrong : int
        The first client whose code is not the one code of any integers; -1 where there is none.
    """
    counts = np.ascontiguousarray(counts)  # one number for all clients, where theirs are equal
    forms, integers = compiled.forms(), np.zeros(int(counts.sum()), np.int64)
    if forms is not None:
        forms.range_decode(buffer, first, lengths, which, counts, laws.edges, laws.shifts, integers)
    elif len(integers) <= FEW * int(counts.max(initial=0)):
        codes = [buffer[a : a + b].tobytes() for a, b in zip(first.tolist(), lengths.tolist(), strict=True)]
        integers = decode_sequential(codes, which, counts, laws.edges, laws.shifts, _MOST_BITS, _SIZE_BITS)
    else:
        order = np.argsort(-counts, kind="stable")  # those who still have integers stand first
        starts, coded = offsets_of(counts)[:-1][order], _Coded(buffer, first[order], lengths[order])
        left = np.searchsorted(-counts[order], -np.arange(counts.max(initial=0)))
        for t, m in enumerate(left.tolist()):
            at = starts[:m] + t
            integers[at] = coded.next(m, which[at], laws)
    code, again = range_encode(integers, which, counts, laws)
    wrong = again != lengths
    if not wrong.any():
        same = code == buffer[ranges(first, lengths)]
        wrong = np.diff(np.append(0, np.cumsum(~same))[offsets_of(lengths)]) > 0
    return integers, int(np.argmax(wrong)) if wrong.any() else -1


def _pieces(integers: Array, which: Array, laws: Laws) -> tuple[Array, Array, Array]:
    """Where the pieces of each integer begin within 2¹⁶ and how wide they are, end to end; and each one's number."""
    K, shifts = laws.reach, laws.shifts[which]
    high = integers >> shifts
    inside = (high >= -K) & (high < K)
    symbol = np.where(inside, high + K, 2 * K)
    begins = laws.edges[which, symbol]
    parts = laws.edges[which, symbol + 1] - begins
    low, far = np.flatnonzero(inside & (shifts > 0)), np.flatnonzero(~inside)
    many = np.ones(len(integers), np.int64)
    if not len(low) and not len(far):
        return begins, parts, many
    sizes, negative = _bit_lengths(integers[far]), integers[far] < 0
    many[low], many[far] = 2, 3 + (sizes > 16) + (sizes > 32) + (sizes > 48)
    first, width, at = np.empty(int(many.sum()), np.int64), np.empty(int(many.sum()), np.int64), offsets_of(many)[:-1]
    first[at], width[at] = begins, parts
    first[at[low] + 1] = (integers[low] & ((1 << shifts[low]) - 1)) << (BITS - shifts[low])
    width[at[low] + 1] = 1 << (BITS - shifts[low])
    unit = BITS - _SIZE_BITS - 1  # its sign and its number of bits, then these, sixteen at a time
    first[at[far] + 1] = sizes + (negative.astype(np.int64) << _SIZE_BITS) << unit
    width[at[far] + 1] = 1 << unit
    for part in range(4):
        some = sizes > 16 * part if part else np.full(len(far), True)
        bits, where = np.minimum(np.maximum(sizes[some] - 16 * part, 0), 16), at[far[some]] + 2 + part
        chunk = (np.abs(integers[far[some]]) >> (16 * part)) & ((1 << bits) - 1)
        first[where], width[where] = chunk << (BITS - bits), 1 << (BITS - bits)
    return first, width, many


def _bit_lengths(integers: Array) -> Array:
    """How many bits each magnitude has."""
    rest, bits = np.abs(integers), np.zeros(len(integers), np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        more = rest >> step > 0
        bits += step * more
        rest = np.where(more, rest >> step, rest)
    return bits + (rest > 0)


def _digits(first: Array, width: Array, cuts: Array) -> Array:
    """Each client's code as a number below one: a row of digits of 16 bits, then zeros."""
    counts = np.diff(cuts)
    order = np.argsort(-counts, kind="stable")
    n, most = len(counts), int(counts.max(initial=0))
    digits, used = np.zeros((n, most + 3), np.int64), np.zeros(n, np.int64)
    low, size = np.zeros(n, np.uint64), np.full(n, _LOW + np.uint64(1))
    left = np.searchsorted(-counts[order], -np.arange(most))
    starts, digit = cuts[:-1][order], np.uint64(_DIGIT)
    for t, m in enumerate(left.tolist()):
        at, step = starts[:m] + t, size[:m] >> np.uint64(BITS)
        low[:m] += step * first[at].astype(np.uint64)
        size[:m] = step * width[at].astype(np.uint64)
        narrow = np.flatnonzero(size[:m] < _LEAST)
        if len(narrow):
            digits[narrow, used[narrow]] = low[narrow] >> np.uint64(_WIDTH - _DIGIT)  # and a carry to the one before
            used[narrow] += 1
            low[narrow] = (low[narrow] & (_LEAST - np.uint64(1))) << digit
            size[narrow] <<= digit
    # The number in the last interval that ends in the most zeros.
    last, chosen = low + size - np.uint64(1), low
    for bits in range(0, _WIDTH, 8):
        even = last >> np.uint64(bits) << np.uint64(bits)
        chosen = np.where(even >= low, even, chosen)
    chosen = np.where(low == 0, np.uint64(0), chosen)
    for place in range(3):
        rest = chosen >> np.uint64(_WIDTH - _DIGIT * (place + 1))
        digits[np.arange(n), used + place] = rest if place == 0 else rest & np.uint64(0xFFFF)
    for place in range(digits.shape[1] - 1, 0, -1):
        digits[:, place - 1] += digits[:, place] >> _DIGIT
    digits &= 0xFFFF
    return digits[np.argsort(order)]


def _together(digits: Array) -> tuple[Array, Array]:
    """The digits' bytes, the higher first, without the zeros at the end; end to end, and how many there are."""
    whole = digits.astype(">u2").view(np.uint8).reshape(len(digits), 2 * digits.shape[1])
    lengths = whole.shape[1] - np.argmax(whole[:, ::-1] != 0, axis=1)
    lengths[~whole.any(axis=1)] = 0
    return whole[np.arange(whole.shape[1]) < lengths[:, None]], lengths


class _Coded:
    """Codes of many clients on the way: what is left of each one's number, and the interval that it stands in."""

    def __init__(self, buffer: Array, first: Array, lengths: Array) -> None:
        self.buffer, self.at, self.end = buffer, first.copy(), first + lengths
        self.size, self.rest = np.full(len(first), _LOW + np.uint64(1)), np.zeros(len(first), np.uint64)
        for _ in range(_WIDTH // _DIGIT):
            self.rest = self.rest << np.uint64(_DIGIT) | self._digit(np.arange(len(first)))

    def next(self, m: int, which: Array, laws: Laws) -> Array:
        """The next integer of each of the first `m`."""
        K, shifts, everyone = laws.reach, laws.shifts[which], np.arange(m)
        edges = laws.edges[which]
        symbol = (edges[:, 1:-1] <= self._slot(everyone)[:, None]).sum(axis=1)
        begins = edges[everyone, symbol]
        self._keep(everyone, begins, edges[everyone, symbol + 1] - begins)
        found: Array = (symbol - K) << shifts
        low = np.flatnonzero((symbol < 2 * K) & (shifts > 0))
        if len(low):
            found[low] += self._bits(low, shifts[low])
        far = np.flatnonzero(symbol == 2 * K)
        if len(far):
            sign_and_size = self._bits(far, np.full(len(far), _SIZE_BITS + 1))
            sizes, value = np.minimum(sign_and_size & ((1 << _SIZE_BITS) - 1), _MOST_BITS), np.zeros(len(far), np.int64)
            for part in range(4):
                some = np.flatnonzero(sizes > 16 * part) if part else np.arange(len(far))
                value[some] += self._bits(far[some], np.minimum(sizes[some] - 16 * part, 16)) << (16 * part)
            found[far] = np.where(sign_and_size >> _SIZE_BITS, -value, value)
        return found

    def _bits(self, who: Array, bits: Array) -> Array:
        """So many bits of some clients, all alike."""
        value = self._slot(who) >> (BITS - bits)
        self._keep(who, value << (BITS - bits), 1 << (BITS - bits))
        return value

    def _slot(self, who: Array) -> Array:
        """Where in 2¹⁶ each number stands."""
        slot = np.minimum(self.rest[who] // (self.size[who] >> np.uint64(BITS)), np.uint64((1 << BITS) - 1))
        return slot.astype(np.int64)

    def _keep(self, who: Array, first: Array, width: Array) -> None:
        step = self.size[who] >> np.uint64(BITS)
        self.rest[who] -= step * first.astype(np.uint64)
        self.size[who] = step * width.astype(np.uint64)
        narrow = who[self.size[who] < _LEAST]
        if len(narrow):
            self.rest[narrow] = (self.rest[narrow] << np.uint64(_DIGIT) | self._digit(narrow)) & _LOW
            self.size[narrow] <<= np.uint64(_DIGIT)

    def _digit(self, who: Array) -> Array:
        """The next 16 bits of each code; zeros behind its end."""
        digit = np.zeros(len(who), np.uint64)
        for _ in range(2):
            there = self.at[who] < self.end[who]
            byte = np.zeros(len(who), np.uint64)
            byte[there] = self.buffer[self.at[who][there]]
            digit = digit << np.uint64(8) | byte
            self.at[who] += 1
        return digit
