"""Quantised numbers: a few levels, their signs and a scale."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from newtonfl.comm.coding import (
    Precision,
    WireError,
    decode_indices,
    decode_values,
    encode_indices,
    encode_values,
)
from newtonfl.comm.messages.message import FLOAT_BITS, Message, count_in
from newtonfl.core.backend import Array

MOST_LEVELS = 2**31 - 1
_HEAD = struct.Struct("<BBHII")


@dataclass(frozen=True)
class Levels(Message):
    """Numbers scale · sign · share(level), where level 0 is zero and the highest, s, has share 1.

    Both ends work the numbers out of the same integers by the same function, so they hold the same bits. Powers of two
    times a power of two are exact. The numbers have one precision: a scale is always sent in full.

    Attributes
    ----------
    codes : numpy.ndarray of int64, shape (count,)
        sign · level, from -s to s.
    scales : numpy.ndarray, shape (m,)
        The numbers stand in m equal runs, each with its scale.
    s : int
        How many levels there are above zero.
    base : int
        0: share(level) = level / s. From 2 to 255: share(level) = base^(level - s).
    indices : numpy.ndarray of int64, shape (count,), or None
        The coordinates that they are of, strictly increasing; None means all.

    Raises
    ------
    ValueError
        If the scales do not divide the numbers into equal runs, or s or the base cannot be.
    """

    form = 6
    codes: Array
    scales: Array
    s: int
    base: int = 0
    indices: Array | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.scales) < 2**16 or len(self.codes) % len(self.scales):
            raise ValueError(f"Levels: given {len(self.scales)} scales for {len(self.codes)} numbers, must divide them")
        if not 1 <= self.s <= MOST_LEVELS or self.base == 1 or not 0 <= self.base <= 255:
            raise ValueError(f"Levels: given s = {self.s} and base {self.base}, must be at least 1, and 0 or 2 … 255")
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", FLOAT_BITS * len(self.codes))

    @property
    def count(self) -> int:
        return len(self.codes)

    def to_precision(self, precision: Precision) -> Message:
        return self

    def scaled(self, factor: float) -> Message:
        return replace(self, scales=factor * self.scales)

    def coordinates(self) -> tuple[Array | None, Array]:
        signed = np.sign(self.codes) * np.repeat(self.scales, len(self.codes) // len(self.scales))
        level = np.abs(self.codes)
        if self.base == 0:
            return self.indices, signed * (level / self.s)
        if self.base == 2:
            return self.indices, np.ldexp(signed, (level - self.s).astype(np.int32))
        return self.indices, signed * np.power(float(self.base), level - self.s)

    def payload(self) -> bytes:
        level = np.abs(self.codes)
        turned = _turned(level, self.s)
        from_top = bool(turned.sum() < level.sum())
        steps = encode_indices(np.cumsum((turned if from_top else level) + 1) - 1)
        signs = np.packbits(self.codes[level != 0] > 0, bitorder="little").tobytes()
        flags = (self.indices is not None) + 2 * from_top
        head = _HEAD.pack(self.base, flags, len(self.scales), self.s, len(steps))
        count, at = b"", b""
        if self.indices is not None:
            count, at = struct.pack("<I", len(self.indices)), encode_indices(self.indices)
        return head + count + encode_values(self.scales, "float64") + steps + signs + at

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        if len(buffer) < _HEAD.size or precision != "float64":
            raise WireError(f"{len(buffer)} bytes at {precision} are no levels")
        base, flags, m, s, length = _HEAD.unpack(buffer[: _HEAD.size])
        rest, chosen = buffer[_HEAD.size :], flags & 1
        count = count_in(rest) if chosen else size
        rest = rest[4:] if chosen else rest
        if base == 1 or flags > 3 or not 1 <= s <= MOST_LEVELS or m < 1 or count > size or count % m:
            raise WireError(f"{count} numbers of {size} with {m} scales on {s} levels of base {base}, flags {flags}")
        if len(rest) < 8 * m + length:
            raise WireError(f"{len(rest)} bytes where {m} scales and {length} bytes of levels stand")
        scales = decode_values(rest[: 8 * m], m, "float64")
        rest = rest[8 * m :]
        steps = np.diff(decode_indices(rest[:length], count, count * (s + 1)), prepend=-1) - 1
        if count and steps.max() > s:
            raise WireError(f"level {steps.max()} of {s}")
        levels = _turned(steps, s) if flags & 2 else steps
        signed = np.flatnonzero(levels)
        cut = length + (len(signed) + 7) // 8
        if len(rest) < cut or (len(rest) > cut and not chosen):
            raise WireError(f"{len(rest) - length} bytes for {len(signed)} signs")
        signs = np.unpackbits(np.frombuffer(rest[length:cut], np.uint8), count=len(signed), bitorder="little")
        levels[signed] *= np.where(signs, 1, -1)
        indices = decode_indices(rest[cut:], count, size) if chosen else None
        return cls(levels, scales, s, base, indices)


def _turned(levels: Array, s: int) -> Array:
    """Levels counted from the top, and back: 0, s, s - 1, … ↔ 0, 1, 2, …; the smaller of the two codes shorter."""
    return -levels % (s + 1)
