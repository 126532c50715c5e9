"""Rice's code of strictly increasing lists of positions.

A code is a byte that holds the width b; then the low b bits of all gaps at fixed width; then what is left of them in
unary, each a one after as many zeros (R. F. Rice, 1979). Two streams, each begun at a byte of its own, so that both are
written and read by whole-array calls. Bits count from a byte's lowest up. A code is within 5 % of log2 C(N, k) where N
is large.

Here one code is written and read; :mod:`newtonfl.kernels.rice_blocks` does many short ones together, to the same bytes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import compiled, rice_blocks

_LONG = 1500  # positions a list, on the average, from which on lists go one by one


class BadCode(ValueError):
    """A code that cannot be what its sender meant.

    Parameters
    ----------
    which : int
        The first such code, in the order of the codes.
    words : str
        What is wrong with it.
    """

    def __init__(self, which: int, words: str) -> None:
        super().__init__(words)
        self.which = which


def encode(positions: Array, counts: Array) -> tuple[Array, Array]:
    """The codes of many lists.

    Parameters
    ----------
    positions : numpy.ndarray of int64, shape (total,)
        Lists end to end, each strictly increasing from 0 on.
    counts : numpy.ndarray of int64, shape (n,)
        How many each has.

    Returns
    -------
    code : numpy.ndarray of uint8, shape (bytes,)
        The codes end to end.
    lengths : numpy.ndarray of int64, shape (n,)
        The bytes that each takes.

    Raises
    ------
    ValueError
        If a list does not increase from 0 on.
    """
    if (forms := compiled.forms()) is not None:
        read, counts = np.ascontiguousarray(positions, np.int64), np.ascontiguousarray(counts, np.int64)
        widths, lengths = np.empty((2, len(counts)), np.int64)
        total = forms.rice_lengths(read, counts, widths, lengths) if int(counts.sum()) == len(read) else -1
        if total < 0:
            raise ValueError(rice_blocks.NOT_INCREASING)
        code = np.zeros(total, np.uint8)
        forms.rice_encode(read, counts, widths, lengths, code)
        return code, lengths
    if _one_by_one(counts):
        edges = offsets_of(counts).tolist()
        codes = [_encoded(positions[a:b]) for a, b in pairwise(edges)]
        return np.frombuffer(b"".join(codes), np.uint8), np.array([len(code) for code in codes])
    return rice_blocks.encode(positions, counts)


def decode(buffer: Array, begins: Array, lengths: Array, counts: Array, sizes: Array) -> Array:
    """Read lists of ``counts[i]`` strictly increasing positions below ``sizes[i]``.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8, shape (bytes,)
        Holds the codes, and what else there is.
    begins, lengths : numpy.ndarray of int64, shape (n,)
        Code i is ``buffer[begins[i]:begins[i] + lengths[i]]``, which must lie within the buffer.
    counts, sizes : numpy.ndarray of int64, shape (n,)

    Returns
    -------
    numpy.ndarray of int64, shape (total,)
        The lists end to end.

    Raises
    ------
    BadCode
        If a code's length, its unary stream or a position is impossible. Before the streams are known to hold the
        positions, nothing larger than eight times the codes' own length is allocated.
    """
    if (forms := compiled.forms()) is not None and (counts <= 8 * lengths).all() and (counts >= 0).all():
        positions = np.empty(int(counts.sum()) + 8, np.int64)
        of_codes = (np.ascontiguousarray(numbers, np.int64) for numbers in (begins, lengths, counts, sizes))
        if forms.rice_decode(buffer, *of_codes, positions) < 0:
            return positions[:-8]
    elif not _one_by_one(counts):
        together = rice_blocks.decode(buffer, begins, lengths, counts, sizes)
        if together is not None:
            return together
    # One by one, also where one of many is wrong: the first of them shall say what is.
    view, lists = memoryview(buffer), []
    of = (numbers.tolist() for numbers in (begins, lengths, counts, sizes))
    for i, (at, length, count, size) in enumerate(zip(*of, strict=True)):
        lists.append(_decoded(view[at : at + length], count, size, i))
    return lists[0] if len(lists) == 1 else np.concatenate(lists)


def _one_by_one(counts: Array) -> bool:
    return len(counts) == 1 or int(counts.sum()) > _LONG * len(counts)


def _gaps(increasing: Array) -> Array:
    """How many numbers are left out before each one, from 0 on."""
    gaps = increasing.copy()
    gaps[1:] -= increasing[:-1] + 1
    return gaps


def _encoded(positions: Array) -> bytes:
    count, gaps = len(positions), _gaps(positions)
    if not count:
        return b"\0"
    if gaps.min() < 0:
        raise ValueError(rice_blocks.NOT_INCREASING)
    least = max((int(gaps.sum()) // count).bit_length() - 2, 0)  # one less than ⌊log2⌋ of the mean
    cost = {b: count * b + int((gaps >> b).sum()) for b in range(least, least + 3)}
    b = min(cost, key=lambda width: cost[width])
    ones = np.cumsum((gaps >> b) + 1) - 1
    unary = np.zeros(int(ones[-1]) + 1, np.uint8)
    unary[ones] = 1
    low = b""
    if b:
        bits = (gaps[:, None] >> np.arange(b) & 1).astype(np.uint8)
        low = np.packbits(bits, axis=None, bitorder="little").tobytes()
    return bytes([b]) + low + np.packbits(unary, bitorder="little").tobytes()


def _decoded(code: memoryview, count: int, size: int, which: int) -> Array:
    if count > size or len(code) < 1 or code[0] > size.bit_length():
        raise BadCode(which, f"{count} indices below {size} in {len(code)} bytes")
    b = code[0]
    cut = 1 + (count * b + 7) // 8
    if len(code) < cut + (count + 7) // 8:
        raise BadCode(which, f"{count} indices do not fit into {len(code)} bytes")
    unary = np.unpackbits(np.frombuffer(code[cut:], np.uint8), bitorder="little")
    if np.count_nonzero(unary) != count:
        raise BadCode(which, f"{np.count_nonzero(unary)} indices where {count} were announced")
    ones = np.flatnonzero(unary.view(bool))
    if len(code) - cut != (int(ones[-1]) // 8 + 1 if count else 0):
        raise BadCode(which, f"{len(code)} bytes for {count} indices that end before")
    if count and int(ones[-1]) - count + 1 > size >> b:  # the sum of all gaps would pass the end
        raise BadCode(which, f"an index at or above {size}")
    steps = (_gaps(ones) << b) + 1
    if b:
        low = np.unpackbits(np.frombuffer(code[1:cut], np.uint8), count=count * b, bitorder="little")
        powers = np.uint64(1) << np.arange(b, dtype=np.uint64)
        steps += (low.reshape(count, b).astype(np.uint64) @ powers).view(np.int64)
    positions = np.cumsum(steps) - 1
    # Sums of false gaps may pass the end of int64 and come back from below.
    if count and (positions[-1] >= size or positions[0] < 0 or (positions[1:] <= positions[:-1]).any()):
        raise BadCode(which, f"an index at or above {size}")
    return positions
