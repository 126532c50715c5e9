"""Messages about symmetric matrices as a whole."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np

from newtonfl.comm.coding import Precision, WireError, decode_values, encode_values, rounded
from newtonfl.comm.messages.levels import Levels
from newtonfl.comm.messages.message import FLOAT_BITS, MatrixMessage, Message, common_precision, count_in, nest, unnest
from newtonfl.comm.messages.vectors import Dense
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class LowRank(MatrixMessage):
    """A symmetric matrix Σ sign_r · w_r w_rᵀ.

    Each term is exactly symmetric because it is the outer product of one vector with itself.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (R, d)
        The w_r as rows.
    signs : numpy.ndarray, shape (R,)
        ±1.
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

    @property
    def count(self) -> int:
        return int(self.vectors.size)

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
        rank = count_in(buffer)
        cut = 4 + (rank + 7) // 8
        if rank > dim or len(buffer) < cut:
            raise WireError(f"rank {rank} of a matrix of dimension {dim} in {len(buffer)} bytes")
        bits = np.unpackbits(np.frombuffer(buffer[4:cut], np.uint8), count=rank, bitorder="little")
        vectors = decode_values(buffer[cut:], rank * dim, precision).reshape(rank, dim)
        return cls(vectors, np.where(bits, 1.0, -1.0), precision=precision)


@dataclass(frozen=True)
class Factors(MatrixMessage):
    """The symmetric part of Σ l_r r_rᵀ over r = 1 … R. Its precision is that of its two messages.

    Parameters
    ----------
    left, right : Dense, or Levels everywhere
        The l_r and the r_r, R·d numbers each, one vector after the other.
    rank : int
        R.

    Raises
    ------
    ValueError
        If one of them is another message.
    """

    form = 7
    left: Message
    right: Message
    rank: int

    def __post_init__(self) -> None:
        for side in (self.left, self.right):
            if side.form not in _VECTORS or side.coordinates()[0] is not None:
                raise ValueError(f"Factors: given a {type(side).__name__}, must be Dense, or Levels everywhere")
        object.__setattr__(self, "precision", common_precision([self.left, self.right]))
        if self.formula_bits < 0:
            object.__setattr__(self, "formula_bits", self.left.formula_bits + self.right.formula_bits)

    @property
    def count(self) -> int:
        return self.left.count + self.right.count

    def to_precision(self, precision: Precision) -> Message:
        return replace(self, left=self.left.to_precision(precision), right=self.right.to_precision(precision))

    def scaled(self, factor: float) -> Message:
        return replace(self, right=self.right.scaled(factor))

    def matrix(self) -> Array:
        left, right = (side.coordinates()[1].reshape(self.rank, -1) for side in (self.left, self.right))
        total = np.zeros((left.shape[1], left.shape[1]))
        for x, y in zip(left, right, strict=True):  # no BLAS call: the same bits wherever the factors lie
            total += np.outer(x, y)
        return (total + total.T) / 2

    def payload(self) -> bytes:
        return struct.pack("<I", self.rank) + nest(self.left) + nest(self.right)

    @classmethod
    def read(cls, buffer: memoryview, size: int, precision: Precision) -> Message:
        dim = (isqrt(8 * size + 1) - 1) // 2  # size counts a triangle
        rank = count_in(buffer)
        if not 1 <= rank <= dim:
            raise WireError(f"{rank} factors of a matrix of dimension {dim}")
        left, rest = unnest(buffer[4:], rank * dim, _VECTORS)
        right, rest = unnest(rest, rank * dim, _VECTORS)
        if len(rest):
            raise WireError(f"{len(rest)} bytes after the factors")
        if common_precision([left, right]) != precision:
            raise WireError(f"factors at {left.precision} and {right.precision} announced as {precision}")
        try:
            return cls(left, right, rank)
        except ValueError as error:
            raise WireError(str(error)) from None


_VECTORS: dict[int, type[Message]] = {form.form: form for form in (Dense, Levels)}
