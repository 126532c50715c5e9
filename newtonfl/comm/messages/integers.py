"""Integers times a power of √2, entropy coded under Laplace's law of their mean magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from newtonfl.comm.coding import Precision, WireError
from newtonfl.comm.laws import WrongCode, decode_heads, decode_vectors, encode_heads, encode_vectors, powers
from newtonfl.comm.messages.message import Message
from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of

_OCTAVES = 1100
"""A power of two beyond this is none of float64's."""

_PER_BYTE = 1024
"""More integers than so many a byte are refused before there is room for them; the cheapest law has 727."""


@dataclass(frozen=True)
class Integers(Message):
    """Numbers q_j·2^(k/2) with whole numbers q_j: grids differ by half octaves.

    Both ends work out 2^(k/2) by the same operations, so they hold the same bits. The papers have no formula for such
    messages: all bits are counted. :meth:`of_many` makes them.

    Attributes
    ----------
    codes : numpy.ndarray of int64, shape (size,)
        q, below 2⁶² in magnitude.
    exponent : int
        k.
    code : bytes
        The payload: k, a byte for the law, and the range coder's code of q.
    """

    form = 11
    codes: Array
    exponent: int
    code: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", 8 * len(self.code))

    @classmethod
    def of_many(cls, codes: Array, counts: Array, exponents: Array) -> list[Self]:
        """A message a client: `codes` (Σ counts,) stand end to end, `counts` and `exponents` have shape (n,)."""
        heads = encode_heads(exponents[:, None])
        coded = encode_vectors(codes, np.zeros(len(codes), np.int64), counts, around=1)
        cuts = offsets_of(counts).tolist()
        return [
            cls(codes[cuts[i] : cuts[i + 1]], int(exponent), heads[i] + coded[i])
            for i, exponent in enumerate(exponents.tolist())
        ]

    @property
    def count(self) -> int:
        return len(self.codes)

    def to_precision(self, precision: Precision) -> Message:
        return self

    def coordinates(self) -> tuple[Array | None, Array]:
        return None, self.codes * powers(np.array(8 * self.exponent))

    def payload(self) -> bytes:
        return self.code

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        whole, first = np.frombuffer(buffer, np.uint8), np.zeros(1, np.int64)
        return cls.read_many(whole, first, np.array([len(whole)]), np.array([size]), precision)[0]

    @classmethod
    def read_many(
        cls, buffer: Array, first: Array, lengths: Array, sizes: Array, precision: Precision
    ) -> Sequence[Message]:
        if precision != "float64":
            raise WireError(f"integers at {precision}, must be at float64")
        if (sizes > _PER_BYTE * lengths).any():
            raise WireError(f"{int(lengths.min())} bytes are not the code of {int(sizes.max())} integers")
        view = memoryview(buffer)
        payloads = [bytes(view[a : a + b]) for a, b in zip(first.tolist(), lengths.tolist(), strict=True)]
        try:
            heads, rest = decode_heads(payloads, 1)
            codes = decode_vectors(rest, np.zeros(int(sizes.sum()), np.int64), sizes)
        except WrongCode as error:
            raise WireError(error.reason) from None
        if (np.abs(heads) > 2 * _OCTAVES).any():
            raise WireError(f"a grid of 2^({int(np.abs(heads).max())}/2)")
        cuts = offsets_of(sizes).tolist()
        exponents = heads[:, 0].tolist()
        return [cls(codes[a:b], k, code) for a, b, k, code in zip(cuts, cuts[1:], exponents, payloads, strict=False)]
