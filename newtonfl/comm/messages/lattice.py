"""Integers on a grid that both ends know, entropy coded under laws that both ends know."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.comm.coding import Precision, WireError
from newtonfl.comm.messages.message import Message


@dataclass(frozen=True)
class Lattice(Message):
    """The code of integers (:mod:`newtonfl.comm.laws`), which only who knows the grid and the laws can read.

    What they stand for and how they are predicted is the method's; so is their check, at the reading. The papers have
    no formula for such messages: all bits are counted.

    Attributes
    ----------
    code : bytes
    """

    form = 10
    code: bytes

    def __post_init__(self) -> None:
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", 8 * len(self.code))

    def to_precision(self, precision: Precision) -> Message:
        return self

    def payload(self) -> bytes:
        return self.code

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if precision != "float64":
            raise WireError(f"a lattice at {precision}, must be at float64")
        return cls(bytes(buffer))
