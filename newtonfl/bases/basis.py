"""Basis: in which coordinates a Hessian is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from newtonfl.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.bases.coordinates import Coordinates
from newtonfl.blocks import Blocks, offsets_of
from newtonfl.compressors import Compressor
from newtonfl.kernels import add_at
from newtonfl.keys import Key
from newtonfl.messages import FLOAT_BITS, Dense, LowRank, Message
from newtonfl.problem import Point, Problem
from newtonfl.triangle import triangle
from newtonfl.wire import Parts


class Basis(ABC):
    """Names coordinates for the clients' Hessians. Subclasses are frozen dataclasses of settings."""

    name: ClassVar[str]

    @abstractmethod
    def of(self, problem: Problem) -> TriangleCoordinates:
        """The coordinates of the clients that this process holds."""

    @abstractmethod
    def heard(self, dim: int, greetings: Sequence[Parts]) -> TriangleCoordinates:
        """The coordinates of all clients, as the server learns them from their greetings."""

    @abstractmethod
    def sizes(self, dim: int, part: str, heard: Parts) -> int:
        """How many coordinates a greeting's `part` has, after the parts `heard` before it."""

    def with_diagonal(self) -> Self:
        """A basis that spans multiples of the identity too."""
        return self


@dataclass(frozen=True)
class TriangleCoordinates(Coordinates):
    """Entries of the upper triangle: all of them, or each client's support.

    Attributes
    ----------
    dim : int
        d.
    isometric : bool
        Off-diagonal coordinates are √2 times the entry, so that the 2-norm is the Frobenius norm.
    supports : Blocks or None
        Packed positions that each client's coordinates stand for, on the host; None means all of them, in order.
    diagonal : bool
        The supports hold the whole diagonal.
    """

    dim: int
    isometric: bool
    supports: Blocks | None = None
    diagonal: bool = True

    def check(self, compressor: Compressor) -> None:
        if compressor.acts_on == "symmetric" and self.supports is not None:
            raise ValueError(
                f"{compressor.text} compresses whole matrices, and basis=support holds chosen entries: "
                "use basis=symmetric"
            )

    # -- clients

    def greeting(self, i: int) -> Parts:
        """What the server must hear once to understand client i's coordinates."""
        return {}

    def coefficients(self, point: Point) -> Blocks:
        """The clients' Hessians at `point` in these coordinates."""
        packed = point.hessians if self.supports is None else point.hessians_on_support(self.diagonal)
        return packed.replaced(packed.values * to_device(self.isometry, packed.values)) if self.isometric else packed

    def diagonal_blocks(self, diagonal: Array, like: Array) -> Blocks:
        """The matrix diag(`diagonal`), shape (d,), in every client's coordinates."""
        flat = triangle(self.dim)
        full = np.zeros(flat.size)
        full[flat.diagonal] = diagonal
        values = np.tile(full, len(self.sizes)) if self.supports is None else full[self.supports.values]
        return Blocks(to_device(values, like), offsets_of(self.sizes))

    def compress(self, compressor: Compressor, blocks: Blocks, clients: Array, key: Key) -> list[Message]:
        if compressor.acts_on == "vector":
            return [self.counted(message) for message in super().compress(compressor, blocks, clients, key)]
        host = Blocks(to_host(blocks.values), blocks.offsets)
        told = [compressor.compress(self.matrix(i, host[i]), key.of(client)) for i, client in enumerate(clients)]
        return [compressor.checked(message, triangle(self.dim).size) for message in told]

    def counted(self, message: Message) -> Message:
        """The `message`, with the papers' count: they count a whole triangle for a matrix that is not compressed."""
        return (
            replace(message, formula_bits=FLOAT_BITS * triangle(self.dim).size)
            if isinstance(message, Dense)
            else message
        )

    def told(self, message: Message) -> tuple[Array | None, Array]:
        if not isinstance(message, LowRank):
            return message.coordinates()
        entries = message.matrix().ravel()[triangle(self.dim).upper]
        return None, entries * triangle(self.dim).isometry if self.isometric else entries

    def spectral_norms(self, blocks: Blocks) -> Array:
        """Each client's largest eigenvalue in magnitude, shape (n,)."""
        xp = namespace(blocks.values)
        matrices = [self.matrix(i, blocks[i]) for i in range(len(blocks))]
        return xp.stack([xp.max(xp.abs(xp.linalg.eigvalsh(matrix))) for matrix in matrices])

    def norms(self, blocks: Blocks) -> Array:
        """Each client's Frobenius norm, shape (n,)."""
        if self.isometric:
            return blocks.norms()
        return blocks.replaced(blocks.values * to_device(self.isometry, blocks.values)).norms()

    def matrix(self, i: int, vector: Array) -> Array:
        """The (d, d) matrix of client i's `vector`."""
        xp = namespace(vector)
        if self.supports is not None:
            vector = add_at(zeros(triangle(self.dim).size, vector), self.supports[i], to_host(vector))
        return xp.reshape(xp.take(self.entries(vector), to_device(triangle(self.dim).square, vector)), (self.dim,) * 2)

    # -- the server, whose sum stands in all d(d + 1)/2 coordinates

    @property
    def total_size(self) -> int:
        return triangle(self.dim).size

    def place(self, i: int, indices: Array | None) -> Array | None:
        if self.supports is None:
            return indices
        return self.supports[i] if indices is None else self.supports[i][indices]

    def square(self, total: Array) -> Array:
        """The server's sum as a (d, d) matrix."""
        xp = namespace(total)
        return xp.reshape(xp.take(self.entries(total), to_device(triangle(self.dim).square, total)), (self.dim,) * 2)

    def entries(self, total: Array) -> Array:
        """Matrix entries of a vector over the whole triangle."""
        return total / to_device(triangle(self.dim).isometry, total) if self.isometric else total

    @cached_property
    def isometry(self) -> Array:
        """The isometry's factor of each of the clients' coordinates, end to end, on the host."""
        table = triangle(self.dim).isometry
        return np.tile(table, len(self.sizes)) if self.supports is None else table[self.supports.values]
