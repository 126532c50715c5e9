"""The closed set of message forms: each knows its numbers, its bytes and the papers' formula bits."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import ClassVar

import numpy as np

from newtonfl.backend import Array
from newtonfl.coding import (
    Precision,
    WireError,
    bytes_per,
    decode_indices,
    decode_values,
    encode_indices,
    encode_values,
    rounded,
)

FLOAT_BITS = 32
"""Bits a number has in the papers' formulas, whatever the wire's precision."""


@dataclass(frozen=True)
class Message(ABC):
    """What one client or the server says about one vector or symmetric matrix. All arrays are NumPy's.

    Attributes
    ----------
    precision : {"float64", "float32", "natural"}
        How its numbers stand on the wire. They are held as they will arrive.
    formula_bits : int
        The papers' count: 32 bits a number, unless its maker says otherwise (index bits, signs and l_i do not count).
    """

    form: ClassVar[int]
    precision: Precision = field(default="float64", kw_only=True)
    formula_bits: int = field(default=-1, kw_only=True)

    @abstractmethod
    def to_precision(self, precision: Precision) -> Message:
        """This message with its numbers rounded to `precision`."""

    def coordinates(self) -> tuple[Array | None, Array]:
        """(indices, values): where the vector is not zero; indices None means everywhere."""
        raise TypeError(f"a {type(self).__name__} message is no vector")

    @abstractmethod
    def payload(self) -> bytes:
        """Its bytes, less the section table's entry."""

    @classmethod
    @abstractmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        """Read what :meth:`payload` wrote, for a vector of `size` coordinates; WireError if it cannot be."""


@dataclass(frozen=True)
class Nothing(Message):
    """No news: the receiver keeps what it has."""

    form = 0
    formula_bits: int = field(default=0, kw_only=True)

    def to_precision(self, precision: Precision) -> Message:
        return self

    def coordinates(self) -> tuple[Array | None, Array]:
        return np.zeros(0, np.int64), np.zeros(0)

    def payload(self) -> bytes:
        return b""

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer):
            raise WireError(f"{len(buffer)} bytes of nothing")
        return cls()


@dataclass(frozen=True)
class _Numbers(Message):
    """A form whose numbers are its field ``values``; the papers count each of them."""

    def __post_init__(self) -> None:
        values = vars(self)["values"]
        object.__setattr__(self, "values", rounded(values, self.precision))
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", FLOAT_BITS * len(values))

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, precision=precision)


@dataclass(frozen=True)
class Dense(_Numbers):
    """Every coordinate."""

    form = 1
    values: Array

    def coordinates(self) -> tuple[Array | None, Array]:
        return None, self.values

    def payload(self) -> bytes:
        return encode_values(self.values, self.precision)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        return cls(decode_values(buffer, size, precision), precision=precision)


@dataclass(frozen=True)
class Indices(Message):
    """A set of coordinates, without numbers: strictly increasing."""

    form = 2
    indices: Array
    formula_bits: int = field(default=0, kw_only=True)

    def to_precision(self, precision: Precision) -> Message:
        return self

    def payload(self) -> bytes:
        return struct.pack("<I", len(self.indices)) + encode_indices(self.indices)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        return cls(decode_indices(buffer[4:], _count(buffer), size))


@dataclass(frozen=True)
class Sparse(_Numbers):
    """Some coordinates: strictly increasing `indices` and their `values`."""

    form = 3
    indices: Array
    values: Array

    def coordinates(self) -> tuple[Array | None, Array]:
        return self.indices, self.values

    def payload(self) -> bytes:
        numbers = encode_values(self.values, self.precision)
        return struct.pack("<I", len(self.values)) + numbers + encode_indices(self.indices)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        count = _count(buffer)
        cut = 4 + bytes_per(count, precision)
        values = decode_values(buffer[4:cut], count, precision)
        return cls(decode_indices(buffer[cut:], count, size), values, precision=precision)


@dataclass(frozen=True)
class Run(_Numbers):
    """Consecutive coordinates from `first` on, past the end back to zero (RandSeqK, arXiv 2410.08760)."""

    form = 4
    first: int
    values: Array
    size: int

    def coordinates(self) -> tuple[Array | None, Array]:
        return (self.first + np.arange(len(self.values))) % self.size, self.values

    def payload(self) -> bytes:
        return struct.pack("<QI", self.first, len(self.values)) + encode_values(self.values, self.precision)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer) < 12:
            raise WireError(f"{len(buffer)} bytes are no run")
        first, count = struct.unpack("<QI", buffer[:12])
        if first >= max(size, 1) or count > size:
            raise WireError(f"a run of {count} from {first} on {size} coordinates")
        return cls(first, decode_values(buffer[12:], count, precision), size, precision=precision)


@dataclass(frozen=True)
class LowRank(Message):
    """A symmetric matrix Σ sign_r · w_r w_rᵀ: `vectors` w has shape (R, d), `signs` (R,) are ±1.

    Each term is exactly symmetric because it is the outer product of one vector with itself.
    """

    form = 5
    vectors: Array
    signs: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", rounded(self.vectors, self.precision))
        if self.formula_bits < 0:
            object.__setattr__(
                self, "formula_bits", FLOAT_BITS * self.vectors.size
            )  # the papers do not count the signs

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, precision=precision)

    def matrix(self) -> Array:
        """The (d, d) matrix."""
        total = np.zeros((self.vectors.shape[1], self.vectors.shape[1]))
        for sign, w in zip(self.signs, self.vectors, strict=True):
            total += sign * np.outer(w, w)
        return total

    def payload(self) -> bytes:
        signs = np.packbits(self.signs > 0, bitorder="little").tobytes()
        return struct.pack("<I", len(self.signs)) + signs + encode_values(self.vectors.ravel(), self.precision)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        dim = (isqrt(8 * size + 1) - 1) // 2  # size counts a triangle
        rank = _count(buffer)
        cut = 4 + (rank + 7) // 8
        if rank > dim or len(buffer) < cut:
            raise WireError(f"rank {rank} of a matrix of dimension {dim} in {len(buffer)} bytes")
        bits = np.unpackbits(np.frombuffer(buffer[4:cut], np.uint8), count=rank, bitorder="little")
        vectors = decode_values(buffer[cut:], rank * dim, precision).reshape(rank, dim)
        return cls(vectors, np.where(bits, 1.0, -1.0), precision=precision)


def _count(buffer: memoryview) -> int:
    if len(buffer) < 4:
        raise WireError(f"{len(buffer)} bytes hold no count")
    return int(struct.unpack("<I", buffer[:4])[0])


FORMS: dict[int, type[Message]] = {form.form: form for form in (Nothing, Dense, Indices, Sparse, Run, LowRank)}
