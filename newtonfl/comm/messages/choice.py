"""A message and the rung of a ladder that it was made on."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from newtonfl.comm.coding import Precision, WireError
from newtonfl.comm.messages.message import Message, nest, unnest
from newtonfl.comm.messages.several import SUMMANDS, Several
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class Choice(Message):
    """A message of one of several levels, and its level (AdaCGD, arXiv 2211.00188), where 0 means that nothing is sent.

    The level costs two bytes. Formula bits and precision are those of the message.

    Parameters
    ----------
    level : int
        From 0 to 65535.
    message : Message
        What is sent at that level.
    """

    form = 9
    level: int
    message: Message

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", self.message.precision)
        object.__setattr__(self, "formula_bits", self.message.formula_bits)

    @property
    def count(self) -> int:
        return self.message.count

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, message=self.message.to_precision(precision))

    def scaled(self, factor: float) -> Message:
        return replace(self, message=self.message.scaled(factor))

    def coordinates(self) -> tuple[Array | None, Array]:
        return self.message.coordinates()

    def payload(self) -> bytes:
        return struct.pack("<H", self.level) + nest(self.message)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer) < 2:
            raise WireError(f"{len(buffer)} bytes hold no level")
        message, rest = unnest(buffer[2:], size, SUMMANDS | {Several.form: Several})
        if len(rest):
            raise WireError(f"{len(rest)} bytes after the message of a level")
        if message.precision != precision:
            raise WireError(f"a message at {message.precision} announced as {precision}")
        return cls(struct.unpack("<H", buffer[:2])[0], message)
