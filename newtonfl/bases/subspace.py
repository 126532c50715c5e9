"""The coordinates of Hessians and gradients in the spans of the clients' rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from newtonfl.bases.basis import TriangleCoordinates, unpacked
from newtonfl.bases.coordinates import Coordinates, Decoded
from newtonfl.comm.messages import Batch, Dense, Run
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.core.backend import Array, namespace, resident, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of, ranges
from newtonfl.core.symmetric import position, triangle
from newtonfl.kernels import Subspaces, SubspaceSum
from newtonfl.objectives.base import Point


@dataclass(frozen=True)
class SubspaceCoordinates(TriangleCoordinates):
    """The isometric upper triangle of each client's V_iᵀ H_i V_i.

    Attributes
    ----------
    vectors : tuple of numpy.ndarray, shape (r_i, d), or (d, d) where they are completed
        The rows of V_iᵀ, on the host.
    rows : tuple of array, shape (m_i, rank_i)
        A_i V_i, on the device; none on the server.
    ridge : array or None
        The ridge that every client's function holds.
    """

    vectors: tuple[Array, ...] = ()
    rows: tuple[Array, ...] = ()
    ridge: Array | None = None

    def _select(self, chosen: Array) -> Self:
        vectors = tuple(self.vectors[i] for i in chosen)
        rows = tuple(self.rows[i] for i in chosen) if self.rows else ()
        return replace(self, sizes=self.sizes[chosen], vectors=vectors, rows=rows)

    def gradients(self) -> Coordinates:
        if self.diagonal:
            return super().gradients()
        return SubspaceVectors(np.array([len(v) for v in self.vectors], dtype=np.int64), self.dim, self.vectors)

    def setup_messages(self) -> Sequence[Parts]:
        """V_iᵀ row by row: the first r_i·d of the d² numbers of a whole orthogonal matrix."""
        rows = [v.ravel() for v in self.vectors]
        sent = [Dense(numbers) if self.diagonal else Run(0, numbers, self.dim**2) for numbers in rows]
        return ManyParts({"subspace": sent}, len(sent))

    def coefficients(self, point: Point) -> Blocks:
        packed = point.hessians_in(self.rows)
        scaled = packed.values * resident(self.isometry, packed.values)
        if not self.diagonal:
            return packed.replaced(scaled)
        xp = namespace(scaled)
        padded = xp.concat([scaled, zeros(1, scaled)])
        whole = Blocks(xp.take(padded, resident(self._embedding, scaled)), offsets_of(self.sizes))
        if self.ridge is None:
            return whole
        return whole.replaced(whole.values + resident(self._ridge, scaled))

    def diagonal_blocks(self, diagonal: Array, like: Array) -> Blocks:
        diagonal, offsets = np.broadcast_to(diagonal, (self.dim,)), offsets_of(self.sizes)
        if not self.diagonal:
            if diagonal.any():
                raise ValueError("basis=data: a diagonal matrix does not lie in the span of a client's rows")
            return Blocks(zeros(int(offsets[-1]), like), offsets)
        if (diagonal == diagonal[0]).all():
            return super().diagonal_blocks(diagonal, like)  # c·I is c·I in every rotation
        table = triangle(self.dim)
        values = [_symmetric((v * diagonal) @ v.T).ravel()[table.upper] * table.isometry for v in self.vectors]
        return Blocks(to_device(np.concatenate([np.zeros(0), *values]), like), offsets)

    def counted(self, messages: Batch) -> Batch:
        """As they are: a whole matrix counts its r_i(r_i + 1)/2 numbers."""
        return messages

    def core(self, i: int, vector: Array) -> Array:
        """The matrix Λ_i, shape (r_i, r_i)."""
        order = len(self.vectors[i])
        return unpacked(vector / resident(triangle(order).isometry, vector), order)

    def matrix(self, i: int, vector: Array) -> Array:
        v = resident(self.vectors[i], vector)
        return _symmetric(v.T @ (self.core(i, vector) @ v))

    def apply(self, i: int, vector: Array, x: Array) -> Array:
        v = resident(self.vectors[i], vector)
        return v.T @ (self.core(i, vector) @ (v @ x))

    def place(self, clients: Array, news: Decoded) -> Iterator[Decoded]:
        table = triangle(self.dim)
        for i, (indices, values) in zip(clients, news, strict=True):
            vector = values if indices is None else np.zeros(int(self.sizes[i]))
            if indices is not None:
                vector[indices] = values
            entries = self.matrix(i, vector).ravel()[table.upper]
            yield Decoded(np.array([table.size]), None, self.of_entries(entries, self.dim))

    @cached_property
    def isometry(self) -> Array:
        return np.concatenate([np.zeros(0), *(triangle(rows.shape[1]).isometry for rows in self.rows)])

    @cached_property
    def _embedding(self) -> Array:
        """Where each coordinate of the completed matrices stands among those of the spans; the end where nowhere."""
        ranks = [rows.shape[1] for rows in self.rows]
        starts = offsets_of([triangular(rank) for rank in ranks])
        lookup = np.full((len(ranks), triangle(self.dim).size), starts[-1])
        for i, rank in enumerate(ranks):
            lookup[i, position(*np.triu_indices(rank), self.dim)] = starts[i] + np.arange(triangular(rank))
        return lookup.ravel()

    @cached_property
    def _ridge(self) -> Array:
        return self.diagonal_blocks(to_host(self.ridge), np.zeros(0)).values


@dataclass(frozen=True)
class ApartCoordinates(SubspaceCoordinates):
    """The same where the server's sum stands in the coordinates of all clients, end to end: every weight_i Λ_i."""

    @property
    def total_size(self) -> int:
        return int(np.sum(self.sizes))

    def place(self, clients: Array, news: Decoded) -> Iterator[Decoded]:
        first = self._offsets[clients]
        indices = ranges(first, news.counts) if news.indices is None else np.repeat(first, news.counts) + news.indices
        yield replace(news, indices=indices)

    def square(self, total: Array) -> Array:
        return self.estimate(total).matrix()

    def estimate(self, total: Array) -> SubspaceSum:
        return SubspaceSum(self._spaces, [self.core(i, block) for i, block in enumerate(Blocks(total, self._offsets))])

    @cached_property
    def _offsets(self) -> Array:
        return offsets_of(self.sizes)

    @cached_property
    def _spaces(self) -> Subspaces:
        return Subspaces(self.vectors, self.dim)


@dataclass(frozen=True)
class SubspaceVectors(Coordinates):
    """V_iᵀ g_i: the gradients in the span of each client's rows, without loss.

    Attributes
    ----------
    dim : int
        d.
    vectors : tuple of numpy.ndarray, shape (r_i, d)
        The rows of V_iᵀ, on the host.
    """

    dim: int
    vectors: tuple[Array, ...]

    def _select(self, chosen: Array) -> Self:
        return replace(self, sizes=self.sizes[chosen], vectors=tuple(self.vectors[i] for i in chosen))

    def of_gradients(self, gradients: Array) -> Blocks:
        projected = [to_device(v, gradients) @ gradients[i, :] for i, v in enumerate(self.vectors)]
        return Blocks.of(projected, gradients)

    @property
    def total_size(self) -> int:
        return self.dim

    def place(self, clients: Array, news: Decoded) -> Iterator[Decoded]:
        for i, (indices, values) in zip(clients, news, strict=True):
            v = self.vectors[i]
            yield Decoded(np.array([self.dim]), None, (v.T if indices is None else v[indices].T) @ values)


def triangular(order: int) -> int:
    """order(order + 1)/2."""
    return order * (order + 1) // 2


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2
