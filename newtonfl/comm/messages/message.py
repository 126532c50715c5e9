"""What every message form can do."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from newtonfl.comm.coding import PRECISIONS, Precision, WireError, WrongForm
from newtonfl.core.backend import Array
from newtonfl.kernels import varints

FLOAT_BITS = 32
"""Bits a number has in the papers' formulas, whatever the wire's precision."""


@dataclass(frozen=True)
class Message(ABC):
    """What one client or the server sends about one vector or symmetric matrix. All arrays are NumPy's.

    Attributes
    ----------
    precision : {"float64", "float32", "natural"}
        How its numbers stand on the wire. They are held as they will arrive.
    formula_bits : int
        The papers' count: 32 bits a number, unless its maker gives another (index bits, signs and l_i do not count).

    Raises
    ------
    ValueError
        If the precision is none of these.
    """

    form: ClassVar[int]
    precision: Precision = field(default="float64", kw_only=True)
    formula_bits: int = field(default=-1, kw_only=True)

    @abstractmethod
    def to_precision(self, precision: Precision) -> Message:
        """This message with its numbers rounded.

        Parameters
        ----------
        precision : {"float64", "float32", "natural"}
            As they shall arrive.

        Returns
        -------
        Message
            Of the same form and count.
        """

    @property
    def count(self) -> int:
        """How many numbers it carries, in full or quantised; 0 where only the method can read its code."""
        return 0

    @property
    def length(self) -> int:
        """Of its payload, in bytes."""
        return len(self.payload())

    def scaled(self, factor: float) -> Message:
        """This message with its numbers multiplied by `factor`: the same form and count; TypeError without any."""
        raise TypeError(f"a {type(self).__name__} message cannot be scaled")

    def coordinates(self) -> tuple[Array | None, Array]:
        """(indices, values): where the vector is not zero; indices None means everywhere. WrongForm of a matrix."""
        raise WrongForm(f"a {type(self).__name__} message is no vector")

    @abstractmethod
    def payload(self) -> bytes:
        """Its bytes, less what the packet's head says of them.

        Returns
        -------
        bytes
            What :meth:`read` reads.
        """

    @classmethod
    @abstractmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        """Read what :meth:`payload` wrote.

        Parameters
        ----------
        buffer : memoryview
            All of it, from the network: nothing in it is trusted.
        size : int
            How many coordinates the vector has.
        precision : {"float64", "float32", "natural"}
            Of its numbers, as the head has it.

        Returns
        -------
        Message
            The same as was sent.

        Raises
        ------
        WireError
            If the bytes are no such message.
        """

    @classmethod
    def read_many(
        cls, buffer: Array, first: Array, lengths: Array, sizes: Array, precision: Precision
    ) -> Sequence[Message]:
        """Read many clients' messages of this form.

        Parameters
        ----------
        buffer : numpy.ndarray of uint8
            All bytes; nothing in them is trusted.
        first, lengths : numpy.ndarray of int64, shape (n,)
            Where each message stands in them; within the buffer.
        sizes : numpy.ndarray of int64, shape (n,)
            How many coordinates each client's vector has.
        precision : {"float64", "float32", "natural"}
            Of their numbers.

        Returns
        -------
        sequence of Message
            One a client, the same as were sent.

        Raises
        ------
        WireError
            If the bytes of one are no such message.
        """
        view = memoryview(buffer)
        places = zip(first.tolist(), (first + lengths).tolist(), sizes.tolist(), strict=True)
        return [cls.read(view[a:b], size, precision) for a, b, size in places]


class MatrixMessage(Message):
    """A message about a symmetric matrix as a whole; its size counts the triangle, d(d + 1)/2."""

    @abstractmethod
    def matrix(self) -> Array:
        """The matrix itself.

        Returns
        -------
        numpy.ndarray of float64, shape (d, d)
            Symmetric in every bit.
        """


def count_in(buffer: memoryview) -> int:
    """The four bytes at the beginning of `buffer` as a count."""
    if len(buffer) < 4:
        raise WireError(f"{len(buffer)} bytes hold no count")
    return int(struct.unpack("<I", buffer[:4])[0])


def nest(message: Message) -> bytes:
    """A message inside another's payload: before its own payload 4 · form + precision, and the length."""
    payload = message.payload()
    head = np.array([[message.form << 2 | PRECISIONS.index(message.precision), len(payload)]])
    return bytes(varints.write(head)[0].tobytes()) + payload


def unnest(buffer: memoryview, size: int, forms: Mapping[int, type[Message]]) -> tuple[Message, memoryview]:
    """The message that :func:`nest` put at the beginning of `buffer`, of one of `forms`, and what follows it."""
    if len(buffer) < 2:
        raise WireError(f"{len(buffer)} bytes hold no message")
    try:
        numbers, end = varints.read(np.frombuffer(buffer, np.uint8), np.zeros(1, int), np.array([len(buffer)]), 2)
    except varints.BadNumbers as error:
        raise WireError(f"a message inside has no head: {error}") from None
    code, length = numbers[0].tolist()
    form, precision, rest = code >> 2, code & 3, buffer[int(end[0]) :]
    if form not in forms or precision >= len(PRECISIONS) or length > len(rest):
        raise WireError(f"a message inside is of form {form}, precision {precision} and {length} bytes")
    return forms[form].read(rest[:length], size, PRECISIONS[precision]), rest[length:]


def common_precision(parts: Sequence[Message]) -> Precision:
    """The precision that all `parts` have; float64 where they differ."""
    found = {part.precision for part in parts}
    return found.pop() if len(found) == 1 else "float64"
