"""More than one message about one part."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from newtonfl.comm.coding import Precision, WireError
from newtonfl.comm.messages.integers import Integers
from newtonfl.comm.messages.levels import Levels
from newtonfl.comm.messages.matrices import Factors, LowRank
from newtonfl.comm.messages.message import Message, common_precision, nest, unnest
from newtonfl.comm.messages.vectors import Dense, Nothing, Run, Sparse


@dataclass(frozen=True)
class Several(Message):
    """Messages that are decoded as their sum (3PCv2 and 3PCv4, arXiv 2202.00998). One inside another is taken apart.

    Its precision is its parts', float64 where they differ.

    Parameters
    ----------
    parts : sequence of Message
        About the same coordinates.
    """

    form = 8
    parts: Sequence[Message]

    def __post_init__(self) -> None:
        flat: list[Message] = []
        for part in self.parts:
            flat += part.parts if isinstance(part, Several) else [part]
        object.__setattr__(self, "parts", tuple(flat))
        object.__setattr__(self, "precision", common_precision(flat))
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", sum(part.formula_bits for part in flat))

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, parts=[part.to_precision(precision) for part in self.parts])

    def scaled(self, factor: float) -> Message:
        return replace(self, parts=[part.scaled(factor) for part in self.parts])

    def payload(self) -> bytes:
        return struct.pack("<H", len(self.parts)) + b"".join(nest(part) for part in self.parts)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer) < 2:
            raise WireError(f"{len(buffer)} bytes hold no messages")
        count = struct.unpack("<H", buffer[:2])[0]
        rest, parts = buffer[2:], []
        for _ in range(count):
            part, rest = unnest(rest, size, SUMMANDS)
            parts.append(part)
        if len(rest):
            raise WireError(f"{len(rest)} bytes after {count} messages")
        if common_precision(parts) != precision:
            raise WireError(f"messages at {common_precision(parts)} announced as {precision}")
        return cls(parts)


SUMMANDS: dict[int, type[Message]] = {
    form.form: form for form in (Nothing, Dense, Sparse, Run, LowRank, Levels, Factors, Integers)
}
"""The forms that Several may hold."""
