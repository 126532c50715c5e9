"""Messages about vectors: nothing, all, some or consecutive coordinates, or a set without numbers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from newtonfl.comm.coding import Precision, WireError, bytes_per, decode_values, encode_values, rounded
from newtonfl.comm.messages.batch import Batch
from newtonfl.comm.messages.message import FLOAT_BITS, Message
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class Nothing(Message):
    """No news: the receiver keeps what it has."""

    form = 0
    formula_bits: int = field(default=0, kw_only=True)

    def to_precision(self, precision: Precision) -> Message:
        return self

    def scaled(self, factor: float) -> Message:
        return self

    def coordinates(self) -> tuple[Array | None, Array]:
        return np.zeros(0, np.int64), np.zeros(0)

    def payload(self) -> bytes:
        return b""

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer) or precision != "float64":  # one content has one spelling
            raise WireError(f"{len(buffer)} bytes of nothing at {precision}")
        return cls()


class _Batched(Message):
    """A form of which many are written and read as whole arrays (:class:`Batch`), and one as a batch of one."""

    numbers: ClassVar[bool] = False
    positions: ClassVar[bool] = False

    def payload(self) -> bytes:
        return b"".join(piece.tobytes() for piece, _ in Batch.of_one(self).pieces())

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        whole = np.frombuffer(buffer, np.uint8)
        return cls.read_many(whole, np.zeros(1, np.int64), np.array([len(whole)]), np.array([size]), precision)[0]

    @classmethod
    def read_many(
        cls, buffer: Array, first: Array, lengths: Array, sizes: Array, precision: Precision
    ) -> Sequence[Message]:
        return Batch.read(cls, cls.numbers, cls.positions, buffer, first, lengths, sizes, precision)


@dataclass(frozen=True)
class _Numbers(Message):
    """A form whose numbers are its field ``values``; the papers count each of them."""

    def __post_init__(self) -> None:
        values = vars(self)["values"]
        object.__setattr__(self, "values", rounded(values, self.precision))
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", FLOAT_BITS * len(values))

    @property
    def count(self) -> int:
        return len(vars(self)["values"])

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, precision=precision)

    def scaled(self, factor: float) -> Message:
        return replace(self, values=factor * vars(self)["values"])  # type: ignore[call-arg]


@dataclass(frozen=True)
class Dense(_Numbers, _Batched):
    """Every coordinate.

    Parameters
    ----------
    values : numpy.ndarray, shape (size,)
        The numbers, in order.
    """

    form = 1
    numbers = True
    values: Array

    def coordinates(self) -> tuple[Array | None, Array]:
        return None, self.values


@dataclass(frozen=True)
class Indices(_Batched):
    """A set of coordinates, without numbers.

    Parameters
    ----------
    indices : numpy.ndarray of int64, shape (k,)
        From 0 to below size, strictly increasing.
    """

    form = 2
    positions = True
    indices: Array
    formula_bits: int = field(default=0, kw_only=True)

    def to_precision(self, precision: Precision) -> Message:
        return self


@dataclass(frozen=True)
class Sparse(_Numbers, _Batched):
    """Some coordinates; the others are zero.

    Parameters
    ----------
    indices : numpy.ndarray of int64, shape (k,)
        From 0 to below size, strictly increasing.
    values : numpy.ndarray, shape (k,)
        Their numbers.
    """

    form = 3
    numbers = True
    positions = True
    indices: Array
    values: Array

    def coordinates(self) -> tuple[Array | None, Array]:
        return self.indices, self.values


def batch_of_one(message: Message) -> Sequence[Message]:
    """The `message` alone, as a batch where its form has one."""
    return Batch.of_one(message) if isinstance(message, _Batched) else [message]


@dataclass(frozen=True)
class Run(_Numbers):
    """Consecutive coordinates, past the end back to the beginning (RandSeqK, arXiv 2410.08760); the others are zero.

    Parameters
    ----------
    first : int
        Where they begin.
    values : numpy.ndarray, shape (k,)
        Their numbers.
    size : int
        How many coordinates there are, at least k.
    """

    form = 4
    first: int
    values: Array
    size: int

    def coordinates(self) -> tuple[Array | None, Array]:
        return (self.first + np.arange(len(self.values))) % self.size, self.values

    @property
    def length(self) -> int:
        """Of the payload, in bytes."""
        return struct.calcsize("<QI") + int(bytes_per(len(self.values), self.precision))

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
