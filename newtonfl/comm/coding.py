"""Bits: sorted index sets near their entropy, and numbers at three precisions."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.kernels import gather, rice

Precision: TypeAlias = Literal["float64", "float32", "natural"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NATURAL_BITS = 12  # a float64's sign and exponent
_FLOAT: dict[str, Any] = {"float64": np.dtype("<f8"), "float32": np.dtype("<f4")}


class WireError(ValueError):
    """A packet that cannot be what its sender meant; the message names client, round and field."""


class WrongForm(WireError, TypeError):
    """A message of a form that cannot say what its part is about."""


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


def _bytes_for(bits: Any) -> Any:
    return (bits + 7) // 8


def encode_indices(indices: Array) -> bytes:
    """Code strictly increasing `indices` by :mod:`newtonfl.kernels.rice`."""
    coded: bytes = encode_many_indices(np.asarray(indices, np.int64), np.array([len(indices)]))[0].tobytes()
    return coded


def decode_indices(buffer: memoryview, count: int, size: int) -> Array:
    """Read `count` strictly increasing indices below `size`; the errors are those of :func:`decode_many_indices`."""
    whole, first = np.frombuffer(buffer, np.uint8), np.zeros(1, np.int64)
    return decode_many_indices(whole, first, np.array([len(whole)]), np.array([count]), np.array([size]))


def encode_many_indices(indices: Array, counts: Array) -> tuple[Array, Array]:
    """Code the strictly increasing indices of many clients, which stand end to end.

    Parameters
    ----------
    indices : numpy.ndarray of int64, shape (Σ counts,)
    counts : numpy.ndarray of int64, shape (n,)

    Returns
    -------
    code : numpy.ndarray of uint8
        The clients' bytes end to end.
    lengths : numpy.ndarray of int64, shape (n,)
        How many each has.
    """
    return rice.encode(indices, counts)


def decode_many_indices(buffer: Array, first: Array, lengths: Array, counts: Array, sizes: Array) -> Array:
    """Read the indices of many clients, end to end.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        All bytes; nothing in them is trusted.
    first, lengths : numpy.ndarray of int64, shape (n,)
        Where each client's bytes stand in them; within the buffer.
    counts, sizes : numpy.ndarray of int64, shape (n,)
        How many indices each client's bytes must be, and below what.

    Raises
    ------
    WireError
        If a length, a unary stream or an index is impossible. Before the streams are known to hold the indices, nothing
        larger than eight times the codes' own length is allocated.
    """
    try:
        return rice.decode(buffer, first, lengths, counts, sizes)
    except rice.BadCode as error:
        raise WireError(str(error)) from None


def bytes_per(count: Any, precision: Precision) -> Any:
    """The bytes that `count` numbers take, or those of every client with an array of counts."""
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
    coded: bytes = encode_many_values(values, np.array([len(values)]), precision)[0].tobytes()
    return coded


def decode_values(buffer: memoryview, count: int, precision: Precision) -> Array:
    """Read `count` numbers as float64; the errors are those of :func:`decode_many_values`."""
    whole = np.frombuffer(buffer, np.uint8)
    first, lengths = np.zeros(1, np.int64), np.array([len(whole)])
    return decode_many_values(whole, first, lengths, np.array([count]), precision)


def encode_many_values(values: Array, counts: Array, precision: Precision) -> tuple[Array, Array]:
    """Code the float64 `values` of many clients, which must be :func:`rounded` already.

    Parameters
    ----------
    values : numpy.ndarray of float64, shape (Σ counts,)
        The clients' numbers end to end.
    counts : numpy.ndarray of int64, shape (n,)
    precision : {"float64", "float32", "natural"}

    Returns
    -------
    code : numpy.ndarray of uint8
        The clients' bytes end to end.
    lengths : numpy.ndarray of int64, shape (n,)
        How many each has.
    """
    lengths = bytes_per(counts, precision)
    if precision != "natural":
        return np.ascontiguousarray(values, _FLOAT[precision]).view(np.uint8), lengths
    top = np.ascontiguousarray(values, "<f8").view("<u8") >> np.uint64(64 - NATURAL_BITS)
    apart = np.split(top, np.cumsum(counts)[:-1])  # each client's last byte is filled up
    return np.frombuffer(b"".join(_to_bits(mine, NATURAL_BITS) for mine in apart), np.uint8), lengths


def decode_many_values(buffer: Array, first: Array, lengths: Array, counts: Array, precision: Precision) -> Array:
    """Read numbers of many clients as float64, end to end.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        All bytes; nothing in them is trusted.
    first, lengths : numpy.ndarray of int64, shape (n,)
        Where each client's bytes stand in them; within the buffer.
    counts : numpy.ndarray of int64, shape (n,)
        How many numbers each client's bytes must be.
    precision : {"float64", "float32", "natural"}

    Raises
    ------
    WireError
        If a client's bytes are of another length, before anything is allocated; NotFinite if a number is not finite.
    """
    # A number takes a bit at least: with counts beyond that the second product could pass the end of int64.
    wrong = np.flatnonzero((counts > 8 * lengths) | (bytes_per(counts, precision) != lengths))
    if len(wrong):
        length, count = int(lengths[wrong[0]]), int(counts[wrong[0]])
        raise WireError(f"{length} bytes where {count} numbers take {bytes_per(count, precision)}")
    if precision == "natural":
        apart = zip(first.tolist(), (first + lengths).tolist(), counts.tolist(), strict=True)
        top = [_from_bits(memoryview(buffer[a:b]), count, NATURAL_BITS) for a, b, count in apart]
        values = (np.concatenate([np.zeros(0, np.uint64), *top]) << np.uint64(64 - NATURAL_BITS)).view(np.float64)
    else:
        values = gather(buffer, first, lengths).view(_FLOAT[precision]).astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise NotFinite("a number that is not finite")
    return values
