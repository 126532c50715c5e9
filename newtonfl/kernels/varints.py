"""Whole numbers in as few bytes as they need (LEB128): seven bits a byte, low ones first, the high bit if more follow.

Each number has one spelling: the last byte of several is not zero. At most nine bytes, so numbers are below 2⁶³.
"""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import ranges
from newtonfl.kernels import compiled

MOST = 9
"""Bytes of the longest."""


_FEW = 200
"""So many numbers are read faster one by one."""


class BadNumbers(ValueError):
    """Bytes that are no such numbers."""


def widths(numbers: Array) -> Array:
    """How many bytes each of the `numbers`, int64 and not negative, takes."""
    found = np.ones(np.shape(numbers), np.int64)
    largest = int(np.max(numbers, initial=0))
    for bits in range(7, largest.bit_length(), 7):
        found += numbers >= (1 << bits)
    return found


def write(numbers: Array) -> tuple[Array, Array]:
    """The bytes of `numbers`, row by row.

    Parameters
    ----------
    numbers : numpy.ndarray of int64, shape (n, k)
        Not negative.

    Returns
    -------
    code : numpy.ndarray of uint8
        The rows end to end.
    lengths : numpy.ndarray of int64, shape (n,)
        Bytes of each.
    """
    n, count = np.shape(numbers)
    if (forms := compiled.forms()) is not None:
        code, lengths = np.empty(MOST * n * count, np.uint8), np.empty(n, np.int64)
        return code[: forms.write_numbers(np.ascontiguousarray(numbers).ravel(), count, code, lengths)], lengths
    size = widths(numbers)
    flat = size.ravel()
    place = ranges(np.zeros_like(flat), flat)
    more = place < np.repeat(flat - 1, flat)
    code = (np.repeat(numbers.ravel(), flat) >> 7 * place) & 127 | 128 * more
    return code.astype(np.uint8), np.sum(size, axis=1)


def read(buffer: Array, first: Array, last: Array, count: int) -> tuple[Array, Array]:
    """Read `count` numbers a row.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        Nothing in it is trusted.
    first, last : numpy.ndarray of int64, shape (n,)
        Where each row begins, and what it may not reach beyond; within the buffer.
    count : int

    Returns
    -------
    numbers : numpy.ndarray of int64, shape (n, count)
    end : numpy.ndarray of int64, shape (n,)
        Where each row's numbers end.

    Raises
    ------
    BadNumbers
        If a row ends too early, or a number has more bytes than it needs or than there may be.
    """
    n, width = len(first), 2 * count  # a guess of what is enough; more where it is not
    wrong = f"not {count} whole numbers in the least bytes that they need"
    if (forms := compiled.forms()) is not None:
        numbers, end = np.empty(n * count, np.int64), np.array(first, np.int64)
        if not forms.read_numbers(buffer, np.ascontiguousarray(last), count, numbers, end):
            raise BadNumbers(wrong)
        return numbers.reshape(n, count), end
    if n * count <= _FEW:
        spans = zip(first.tolist(), last.tolist(), strict=True)
        rows = [_row(buffer[a : max(min(a + MOST * count, b), a)].tobytes(), count) for a, b in spans]
        if None in rows:
            raise BadNumbers(wrong)
        found = np.array(rows, np.int64).reshape(n, count + 1)
        return found[:, :count], first + found[:, count]
    while True:
        window = buffer.take(first[:, None] + np.arange(width), mode="clip")
        ends = window < 128
        ends &= np.arange(width) < (last - first)[:, None]
        found = np.cumsum(ends, axis=1, dtype=np.int32)
        enough = found[:, -1] >= count if width else np.full(n, True)
        if enough.all() or width >= MOST * count:
            break
        width = min(4 * width, MOST * count)
    if not enough.all():
        raise BadNumbers(wrong)
    used = found - ends < count
    code, stops = window[used].astype(np.int64), np.flatnonzero(ends[used])
    size = np.diff(stops, prepend=-1)
    spelt = (size <= MOST) & ((code[stops] > 0) | (size == 1))
    if not spelt.all():
        raise BadNumbers(wrong)
    begins = stops - size + 1
    shifted = (code & 127) << 7 * ranges(np.zeros_like(size), size)
    numbers = np.add.reduceat(shifted, begins) if len(begins) else shifted
    return numbers.reshape(n, count), first + np.sum(used, axis=1)


def _row(code: bytes, count: int) -> list[int] | None:
    """The first `count` numbers of a row, and how many bytes they take; None where they are no such numbers."""
    numbers, at = [], 0
    for _ in range(count):
        number = shift = 0
        for octet in code[at : at + MOST]:
            number |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        else:
            return None
        if octet == 0 and shift > 7:
            return None
        numbers.append(number)
        at += shift // 7
    return [*numbers, at]
