"""Bits: sorted index sets near their entropy, and numbers at three precisions."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from newtonfl.core.backend import Array

Precision: TypeAlias = Literal["float64", "float32", "natural"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NATURAL_BITS = 12  # a float64's sign and exponent
_FLOAT: dict[str, Any] = {"float64": np.dtype("<f8"), "float32": np.dtype("<f4")}


class WireError(ValueError):
    """A packet that cannot be what its sender meant; the message names client, round and field."""


class NotFinite(WireError):
    """A number on the wire that is not finite: the method's failure, not the wire's."""


def _to_bits(numbers: Array, width: int) -> bytes:
    """Unsigned `numbers` at a fixed `width`, least significant bit first."""
    shifts = np.arange(width, dtype=np.uint64)
    bits = (numbers.astype(np.uint64)[:, None] >> shifts) & np.uint64(1)
    return np.packbits(bits.astype(np.uint8), axis=None, bitorder="little").tobytes()


def _from_bits(buffer: memoryview, count: int, width: int) -> Array:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=count * width, bitorder="little")
    return bits.reshape(count, width).astype(np.uint64) @ (np.uint64(1) << np.arange(width, dtype=np.uint64))


def _gaps(increasing: Array) -> Array:
    """How many numbers are left out before each one, from 0 on."""
    gaps = increasing.copy()
    gaps[1:] -= increasing[:-1] + 1
    return gaps


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


def encode_indices(indices: Array) -> bytes:
    """Code strictly increasing `indices` by Rice's code of their gaps, with split streams.

    The low b bits of all gaps stand first at fixed width, then their high parts in unary (R. F. Rice, 1979).
    Two streams, so that both are written and read by whole-array calls; together within 5 % of log2 C(N, k)
    where N is large. The parameter b stands in the first byte.
    """
    gaps = _gaps(indices.astype(np.int64))
    mean = float(gaps.sum()) / len(gaps) if len(gaps) else 0.0
    guess = int(np.log2(max(mean, 1.0)))
    cost = {b: len(gaps) * b + int((gaps >> b).sum()) for b in range(max(guess - 1, 0), guess + 2)}
    b = min(cost, key=lambda width: cost[width])
    ones = np.cumsum((gaps >> b) + 1) - 1
    unary = np.zeros(int(ones[-1]) + 1 if len(ones) else 0, dtype=np.uint8)
    unary[ones] = 1
    low = _to_bits(gaps & ((1 << b) - 1), b) if b else b""
    return bytes([b]) + low + np.packbits(unary, bitorder="little").tobytes()


def decode_indices(buffer: memoryview, count: int, size: int) -> Array:
    """Read `count` strictly increasing indices below `size`.

    Raises
    ------
    WireError
        If the buffer's length, its unary stream or an index is impossible. Before the stream is known to hold `count`
        indices, nothing larger than eight times the buffer's own length is allocated.
    """
    if count > size or len(buffer) < 1 or buffer[0] > int(size).bit_length():
        raise WireError(f"{count} indices below {size} in {len(buffer)} bytes")
    b = buffer[0]
    cut = 1 + _bytes_for(count * b)
    if len(buffer) < cut + _bytes_for(count):
        raise WireError(f"{count} indices do not fit into {len(buffer)} bytes")
    unary = np.unpackbits(np.frombuffer(buffer[cut:], np.uint8), bitorder="little")
    if np.count_nonzero(unary) != count:
        raise WireError(f"{np.count_nonzero(unary)} indices where {count} were announced")
    ones = np.flatnonzero(unary)
    if len(buffer) - cut != (_bytes_for(int(ones[-1]) + 1) if count else 0):
        raise WireError(f"{len(buffer)} bytes for {count} indices that end before")
    high = _gaps(ones)
    if count and int(ones[-1]) - count + 1 > size >> b:  # the sum of all gaps would pass the end
        raise WireError(f"an index at or above {size}")
    low = _from_bits(buffer[1:cut], count, b) if b else np.zeros(count, np.uint64)
    indices = np.cumsum((high << b) + low.astype(np.int64) + 1) - 1
    # Sums of false gaps may pass the end of int64 and come back from below.
    if count and (indices[-1] >= size or indices[0] < 0 or (indices[1:] <= indices[:-1]).any()):
        raise WireError(f"an index at or above {size}")
    return indices


def bytes_per(count: int, precision: Precision) -> int:
    """The bytes that `count` numbers take."""
    return _bytes_for(count * NATURAL_BITS) if precision == "natural" else count * _FLOAT[precision].itemsize


def rounded(values: Array, precision: Precision) -> Array:
    """The float64 numbers that arrive when `values` are sent: what both ends must move by."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision: given {precision!r}, allowed are {', '.join(PRECISIONS)}")
    if precision == "natural":
        # To the nearest power of two (Beznosikov et al., arXiv 2002.12410, biased rounding with base 2).
        mantissa, exponent = np.frexp(values)
        powers = np.ldexp(np.sign(values), exponent - (np.abs(mantissa) < 0.75))
        return np.where(np.abs(powers) < np.finfo(np.float64).smallest_normal, 0.0, powers)
    return values if precision == "float64" else values.astype(_FLOAT[precision]).astype(np.float64)


def encode_values(values: Array, precision: Precision) -> bytes:
    """Code float64 `values`, which must be :func:`rounded` already."""
    if precision == "natural":
        return _to_bits(np.ascontiguousarray(values, "<f8").view("<u8") >> np.uint64(64 - NATURAL_BITS), NATURAL_BITS)
    coded: bytes = np.ascontiguousarray(values, _FLOAT[precision]).tobytes()
    return coded


def decode_values(buffer: memoryview, count: int, precision: Precision) -> Array:
    """Read `count` numbers as float64.

    Raises
    ------
    WireError
        If the buffer has another length, or a number is not finite.
    """
    if len(buffer) != bytes_per(count, precision):
        raise WireError(f"{len(buffer)} bytes where {count} numbers take {bytes_per(count, precision)}")
    if precision == "natural":
        values = (_from_bits(buffer, count, NATURAL_BITS) << np.uint64(64 - NATURAL_BITS)).view(np.float64)
    else:
        values = np.frombuffer(buffer, _FLOAT[precision]).astype(np.float64)
    if not np.isfinite(values).all():
        raise NotFinite("a number that is not finite")
    return values
