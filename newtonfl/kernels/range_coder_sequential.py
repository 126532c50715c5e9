"""The range coder for one client after the other, in Python's own whole numbers: few clients with many integers each.

The form for many clients side by side (:mod:`newtonfl.kernels.range_coder`) takes as long for one as for sixty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array

FEW = 64
"""So many clients at the most, on the average over their integers, are faster so."""

_LEAST, _WHOLE, _LAST = 1 << 32, 1 << 48, (1 << 16) - 1


def encode_sequential(first: Array, width: Array, cuts: Array) -> tuple[Array, Array]:
    """The codes of pieces that begin at `first` within 2¹⁶ and are `width` wide, client i's from ``cuts[i]`` on.

    Returns
    -------
    code : numpy.ndarray of uint8
        End to end.
    lengths : numpy.ndarray of int64, shape (n,)
    """
    begins, widths, places = first.tolist(), width.tolist(), cuts.tolist()
    codes = [_encoded(begins[a:b], widths[a:b]) for a, b in pairwise(places)]
    return np.frombuffer(b"".join(codes), np.uint8), np.array([len(code) for code in codes], np.int64)


def _encoded(begins: Sequence[int], widths: Sequence[int]) -> bytes:
    low, size, digits = 0, _WHOLE, list[int]()
    for place, width in zip(begins, widths, strict=True):
        step = size >> 16
        low += step * place
        size = step * width
        if size < _LEAST:
            digits.append(low >> 32)  # and a carry to the one before
            low = (low & (_LEAST - 1)) << 16
            size <<= 16
    last, chosen = low + size - 1, low
    for bits in range(0, 48, 8):  # the number in the last interval that ends in the most zeros
        even = last >> bits << bits
        chosen = even if even >= low else chosen
    chosen = chosen if low else 0
    digits += [chosen >> 32, chosen >> 16 & _LAST, chosen & _LAST]
    for i in range(len(digits) - 1, 0, -1):
        digits[i - 1] += digits[i] >> 16
    return np.array([digit & _LAST for digit in digits], ">u2").tobytes().rstrip(b"\0")


def decode_sequential(
    codes: Sequence[bytes], which: Array, counts: Array, edges: Array, shifts: Array, most_bits: int, size_bits: int
) -> Array:
    """The integers of the `codes`, whatever their bytes are, end to end; the laws are those of the coder for many."""
    found, places = list[int](), np.append(0, np.cumsum(counts)).tolist()
    laws, numbers = edges.tolist(), which.tolist()
    for code, a, b in zip(codes, places, places[1:], strict=False):
        found += _decoded(code, numbers[a:b], laws, shifts.tolist(), most_bits, size_bits)
    return np.array(found, np.int64)


def _decoded(
    code: bytes, which: Sequence[int], laws: list[list[int]], shifts: list[int], most_bits: int, size_bits: int
) -> list[int]:
    code = code + bytes(8 + len(code) % 2)
    rest, size, at = int.from_bytes(code[:6], "big"), _WHOLE, 6

    def keep(first: int, width: int) -> None:
        nonlocal rest, size, at
        step = size >> 16
        rest -= step * first
        size = step * width
        if size < _LEAST:
            rest = (rest << 16 | int.from_bytes(code[at : at + 2], "big")) & (_WHOLE - 1)
            size <<= 16
            at += 2

    def bits(many: int) -> int:
        value: int = min(rest // (size >> 16), _LAST) >> 16 - many
        keep(value << 16 - many, 1 << 16 - many)
        return value

    found, others = [], len(laws[0]) - 2
    reach = others // 2
    for law in which:
        edges = laws[law]
        symbol = bisect_right(edges, min(rest // (size >> 16), _LAST), 1, others + 1) - 1
        keep(edges[symbol], edges[symbol + 1] - edges[symbol])
        if symbol < others:
            value, shift = symbol - reach << shifts[law], shifts[law]
            value += bits(shift) if shift else 0
        else:
            sign_and_size, value = bits(size_bits + 1), 0
            length = min(sign_and_size & (1 << size_bits) - 1, most_bits)
            for taken in range(0, max(length, 1), 16):
                value += bits(min(length - taken, 16)) << taken
            value = -value if sign_and_size >> size_bits else value
        found.append(value)
    return found
