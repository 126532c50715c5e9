"""Basis: in which coordinates a Hessian is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import ClassVar, Self

import numpy as np

from newtonfl.bases.coordinates import Coordinates, Decoded
from newtonfl.comm.messages import FLOAT_BITS, Batch, Dense, MatrixMessage, Message, Nothing
from newtonfl.comm.parts import Parts, nothing_from
from newtonfl.compressors import Compressor
from newtonfl.core.backend import Array, namespace, resident, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.core.timing import timed_as
from newtonfl.kernels import SubspaceSum, add_at, norms
from newtonfl.objectives.base import Point, Problem
from newtonfl.registry import Part


class Basis(Part, ABC):
    """Names coordinates for the clients' Hessians. Subclasses are frozen dataclasses of settings.

    Attributes
    ----------
    whole : bool
        Whether a client has d(d + 1)/2 coordinates, whatever its rows hold: then memory is looked at beforehand.
    sends : str
        What each client sends of its rows at the set-up, in a few words for people; empty where nothing.
    """

    kind = "basis"
    whole: bool = True
    sends: ClassVar[str] = ""

    @abstractmethod
    def of(self, problem: Problem) -> TriangleCoordinates:
        """The coordinates of the clients that this process holds.

        Parameters
        ----------
        problem : Problem
            Whose Hessians are learned.

        Returns
        -------
        TriangleCoordinates
            A client's coordinates stand where it does in ``problem.clients``.
        """

    @abstractmethod
    def from_setup(self, dim: int, setup_messages: Sequence[Parts]) -> TriangleCoordinates:
        """The coordinates of all clients, as the server learns them from their set-up messages.

        Parameters
        ----------
        dim : int
            d.
        setup_messages : sequence of Parts
            What :meth:`TriangleCoordinates.setup_messages` has of each client, in client order.

        Returns
        -------
        TriangleCoordinates
            The same as the clients' own.

        Raises
        ------
        WireError
            If a set-up message holds none.
        """

    @abstractmethod
    def sizes(self, dim: int, part: str, before: Parts) -> int:
        """How many coordinates a part of a set-up message has, so that it can be decoded.

        Parameters
        ----------
        dim : int
            d.
        part : str
            Its name.
        before : Parts
            The parts before it.

        Returns
        -------
        int
            Of the whole vector that the part is about, though it may hold a few of them.
        """

    def keeps_apart(self, dim: int) -> bool:
        """Whether the server keeps the clients' small matrices in dimension `dim`, and no (d, d) matrix of them."""
        return False

    def numbers_per_client(self, problem: Problem) -> float:
        """About how many coordinates the Hessian of a client of `problem` has."""
        return triangle(problem.dim).size

    def with_diagonal(self) -> Self:
        """A basis that spans multiples of the identity too; ValueError where there is none."""
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
                f"{compressor} compresses whole matrices, and basis=support holds chosen entries: use basis=symmetric"
            )

    def _select(self, chosen: Array) -> Self:
        supports = None if self.supports is None else self.supports.select(chosen)
        return replace(self, sizes=self.sizes[chosen], supports=supports)

    def gradients(self) -> Coordinates:
        """The coordinates in which these clients send their gradients."""
        return Coordinates(np.full(len(self.sizes), self.dim))

    # -- clients

    def setup_messages(self) -> Sequence[Parts]:
        """What each client sends once, so that the server understands its coordinates."""
        return nothing_from(self.sizes)

    def setup_message(self, i: int) -> Parts:
        """What client i sends of these."""
        return self.setup_messages()[i]

    def coefficients(self, point: Point) -> Blocks:
        """The clients' Hessians at `point` in these coordinates; `point` is of a problem of these very clients."""
        entries = self._entries(point)
        return self.scaled(entries) if self.isometric else entries

    def entries_at(self, point: Point) -> tuple[Blocks, tuple[Array, Array] | None]:
        """The clients' Hessians at `point`, and which of their coordinates stand on the diagonal.

        The others are yet to be scaled (:meth:`scaled`); None where nothing is.
        """
        if not self.isometric or type(self).coefficients is not TriangleCoordinates.coefficients:
            return self.coefficients(point), None
        return self._entries(point), self._diagonal_places

    def _entries(self, point: Point) -> Blocks:
        return point.hessians if self.supports is None else point.hessians_on_support(self.diagonal)

    @cached_property
    def _diagonal_places(self) -> tuple[Array, Array]:
        """Where the diagonal stands in each client's coordinates, end to end, and how many there are before each."""
        table = triangle(self.dim)
        if self.supports is None:
            return _whole_diagonals(self.dim, len(self.sizes))
        places = np.flatnonzero(table.isometry[self.supports.values] == 1.0)
        edges = np.searchsorted(places, self.supports.offsets)
        return places - np.repeat(self.supports.offsets[:-1], np.diff(edges)), edges

    def diagonal_blocks(self, diagonal: Array, like: Array) -> Blocks:
        """The matrix diag(`diagonal`), shape (d,), in every client's coordinates."""
        flat = triangle(self.dim)
        full = np.zeros(flat.size)
        full[flat.diagonal] = diagonal
        values = np.tile(full, len(self.sizes)) if self.supports is None else full[self.supports.values]
        return Blocks(to_device(values, like), offsets_of(self.sizes))

    @timed_as("compression")
    def compress(self, compressor: Compressor, blocks: Blocks, clients: Array, key: Key) -> Sequence[Message]:
        if compressor.acts_on == "vector":
            messages = super().compress(compressor, blocks, clients, key)
            return self.counted(messages) if isinstance(messages, Batch) else [*map(self.counted_one, messages)]
        host = Blocks(to_host(blocks.values), blocks.offsets)
        return [
            compressor.checked(compressor.compress(self.core(i, host[i]), key.of(client)), int(size))
            if size
            else Nothing()
            for i, (client, size) in enumerate(zip(clients, self.sizes, strict=True))
        ]

    def counted(self, messages: Batch) -> Batch:
        """The `messages` with the papers' count: a whole triangle for a matrix that is not compressed."""
        if messages.form is not Dense:
            return messages
        return replace(messages, formula_bits=np.full(len(messages), FLOAT_BITS * triangle(self.dim).size))

    def counted_one(self, message: Message) -> Message:
        """The `message` as :meth:`counted` has it."""
        return self.counted(Batch.of_one(message))[0] if isinstance(message, Dense) else message

    def decode(self, message: Message) -> tuple[Array | None, Array]:
        if not isinstance(message, MatrixMessage):
            return super().decode(message)
        matrix = message.matrix()
        return None, self.of_entries(matrix.ravel()[triangle(len(matrix)).upper], len(matrix))

    def spectral_norms(self, blocks: Blocks) -> Array:
        """Each client's largest eigenvalue in magnitude, shape (n,)."""
        norms = [_spectral(self.core(i, block)) for i, block in enumerate(blocks)]
        return namespace(blocks.values).stack(norms) if norms else zeros(0, blocks.values)

    @property
    def norms_are_plain(self) -> bool:
        return self.isometric and type(self).norms is TriangleCoordinates.norms

    def norms(self, blocks: Blocks) -> Array:
        """Each client's Frobenius norm, shape (n,)."""
        return norms(blocks if self.isometric else self.scaled(blocks))

    def matrix(self, i: int, vector: Array) -> Array:
        """The (d, d) matrix of client i's `vector`."""
        if self.supports is not None:
            vector = add_at(zeros(triangle(self.dim).size, vector), self.supports[i], to_host(vector))
        return self.square(vector)

    def core(self, i: int, vector: Array) -> Array:
        """The matrix that compressors of matrices and spectral norms see: :meth:`matrix`, up to a rotation."""
        return self.matrix(i, vector)

    def apply(self, i: int, vector: Array, x: Array) -> Array:
        """H x, shape (d,), for the matrix H of client i's `vector`."""
        return self.matrix(i, vector) @ x

    # -- the server, whose sum stands in all d(d + 1)/2 coordinates

    @property
    def total_size(self) -> int:
        return triangle(self.dim).size

    def place(self, clients: Array, news: Decoded) -> Iterator[Decoded]:
        if self.supports is None:
            yield news
            return
        yield replace(news, places=self.supports.values, first=self.supports.offsets[clients])

    def square(self, total: Array) -> Array:
        """The server's sum as a (d, d) matrix."""
        return unpacked(self.entries(total), self.dim)

    def estimate(self, total: Array) -> Array | SubspaceSum:
        """The server's sum as the step gets it: :meth:`square`, or small matrices whose sum it is."""
        return self.square(total)

    def entries(self, total: Array) -> Array:
        """Matrix entries of a vector over the whole triangle."""
        return total / resident(triangle(self.dim).isometry, total) if self.isometric else total

    def of_entries(self, packed: Array, dim: int) -> Array:
        """The vector over the whole triangle of dimension `dim` with these matrix entries: undoes :meth:`entries`."""
        return packed * resident(triangle(dim).isometry, packed) if self.isometric else packed

    def scaled(self, blocks: Blocks) -> Blocks:
        """Entries times the isometry's factors; whole triangles share one table of them."""
        factors, values = resident(self.isometry, blocks.values), blocks.values
        if self.supports is not None:
            return blocks.replaced(values * factors)
        xp = namespace(values)
        return blocks.replaced(xp.reshape(xp.reshape(values, (-1, self.isometry.shape[0])) * factors, (-1,)))

    @cached_property
    def isometry(self) -> Array:
        """The isometry's factor of each coordinate, on the host: one triangle's, or of all supports end to end."""
        table = triangle(self.dim).isometry
        return table if self.supports is None else table[self.supports.values]


@lru_cache(maxsize=4)  # groups of clients have one or two sizes
def _whole_diagonals(dim: int, n: int) -> tuple[Array, Array]:
    return np.tile(triangle(dim).diagonal, n), dim * np.arange(n + 1)


def unpacked(packed: Array, dim: int) -> Array:
    """The symmetric matrix (`dim`, `dim`) with the upper triangle `packed`."""
    xp = namespace(packed)
    return xp.reshape(xp.take(packed, resident(triangle(dim).square, packed)), (dim, dim))


def _spectral(matrix: Array) -> Array:
    if not matrix.shape[0]:
        return zeros((), matrix)
    xp = namespace(matrix)
    return xp.max(xp.abs(xp.linalg.eigvalsh(matrix)))
