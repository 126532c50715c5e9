"""The span of a client's rows, in which its Hessian is a small matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Self

import numpy as np
import scipy

from newtonfl.bases.basis import Basis, TriangleCoordinates, unpacked
from newtonfl.bases.coordinates import Coordinates, Decoded
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Batch, Dense, Run
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.core.backend import Array, namespace, resident, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.symmetric import position, triangle
from newtonfl.objectives.base import Point, Problem


@dataclass(frozen=True)
class DataSubspace(Basis):
    """Coordinates of Λ_i = V_iᵀ∇²f_i V_i, V_i an orthonormal basis of the span of client i's rows.

    A generalised linear model has ∇²f_i = V_i Λ_i V_iᵀ and ∇f_i = V_i c_i, so a Hessian is r_i(r_i + 1)/2 isometric
    coordinates and a gradient r_i numbers, at the price of sending V_i once: r_i·d numbers, counted as set-up (Basis
    Learn, arXiv 2111.01847, section 2). The ridge is not in the span: the server adds it.

    Parameters
    ----------
    complete : bool
        Complete V_i to an orthogonal Q_i (d, d) and learn Q_iᵀ∇²f_i Q_i, all of it: the three-point mechanism
        H + Q C(Qᵀ(X - H)Q) Qᵀ of Newton-3PC (arXiv 2206.03588, "rotation"; for C contractive with α, A = α/2 and
        B = (1 - α)(2 - α)/α). Coefficients outside the span are exactly zero, so that Top-K chooses what it chooses
        without completion; Q_i is d² numbers, and gradients are sent as they are.

    Examples
    --------
    A client's six rows span six of the 30 dimensions, and its Hessian is 21 coordinates in place of 465:

    >>> import newtonfl as nf
    >>> p = nf.load("breast_cancer", clients=100)
    >>> nf.DataSubspace().of(p).sizes[:3], nf.Symmetric().of(p).sizes[:3]
    (array([21, 21, 21]), array([465, 465, 465]))
    """

    complete: bool = False
    name = "data"
    words = MappingProxyType({"rotation": {"complete": True}})

    @property
    def whole(self) -> bool:  # type: ignore[override]
        return self.complete

    def with_diagonal(self) -> Self:
        if not self.complete:
            raise ValueError(
                "basis=data learns what lies in the span of a client's rows, and the ridge does not: "
                "use ridge=server and init=hessian or init=zero, or another basis"
            )
        return self

    def of(self, problem: Problem) -> TriangleCoordinates:
        if problem.local_ridge is not None:
            self.with_diagonal()
        spans = [_span(problem.client_rows(i)) for i in range(len(problem.clients))]
        rows = problem.projected_rows(spans)
        vectors = [_completed(span) for span in spans] if self.complete else spans
        return self._with(vectors, problem.dim, tuple(rows), problem.local_ridge)

    def from_setup(self, dim: int, setup_messages: Sequence[Parts]) -> TriangleCoordinates:
        vectors = []
        for client, setup_message in enumerate(setup_messages):
            match setup_message.get("subspace"):
                case Run(first=0, values=values) if not self.complete and len(values) % dim == 0:
                    vectors.append(values.reshape(-1, dim))
                case Dense(values=values) if self.complete and len(values) == dim * dim:
                    vectors.append(values.reshape(-1, dim))
                case _:
                    raise WireError(f"set-up, client {client}, subspace: the message holds none")
        return self._with(vectors, dim)

    def sizes(self, dim: int, part: str, before: Parts) -> int:
        if part == "subspace":
            return dim * dim
        vectors = before.get("subspace")
        rank = len(vectors.values) // dim if isinstance(vectors, Run) and not self.complete else dim
        return _triangular(rank)

    def _with(
        self, vectors: Sequence[Array], dim: int, rows: tuple[Array, ...] = (), ridge: Array | None = None
    ) -> TriangleCoordinates:
        sizes = np.array([_triangular(len(v)) for v in vectors], dtype=np.int64)
        return SubspaceCoordinates(sizes, dim, True, None, self.complete, tuple(vectors), rows, ridge)


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
        starts = offsets_of([_triangular(rank) for rank in ranks])
        lookup = np.full((len(ranks), triangle(self.dim).size), starts[-1])
        for i, rank in enumerate(ranks):
            lookup[i, position(*np.triu_indices(rank), self.dim)] = starts[i] + np.arange(_triangular(rank))
        return lookup.ravel()

    @cached_property
    def _ridge(self) -> Array:
        return self.diagonal_blocks(to_host(self.ridge), np.zeros(0)).values


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


def _triangular(order: int) -> int:
    return order * (order + 1) // 2


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2


def _span(rows: Array) -> Array:
    """Orthonormal rows (r, d) that span the `rows` (m, d): their right singular vectors, the largest first.

    Along them equal weights make Λ_i diagonal, so that few of its coefficients matter: on a1a BL1 with Top-r takes 16
    rounds, and 24 with the basis of the QR factorisation. QR with column pivoting finds the rank, where abs(R_kk) falls
    to max(m, d)·eps·abs(R_00), and leaves a small matrix to decompose. A vector's largest entry is positive.
    """
    m, dim = rows.shape
    if m == 0:
        return np.zeros((0, dim))
    q, r, _ = scipy.linalg.qr(rows.T, mode="economic", pivoting=True, check_finite=False)
    pivots = np.diagonal(r)
    rank = int(np.sum(np.abs(pivots) > max(m, dim) * np.finfo(float).eps * np.abs(pivots[0])))
    vectors = (q[:, :rank] @ np.linalg.svd(r[:rank], full_matrices=False)[0]).T
    peaks = np.argmax(np.abs(vectors), axis=1)
    signs = np.where(vectors[np.arange(rank), peaks] < 0, -1.0, 1.0)
    return np.ascontiguousarray(vectors * signs[:, None])


def _completed(span: Array) -> Array:
    """An orthogonal matrix (d, d) whose first rows are the `span` (r, d)."""
    rank, dim = span.shape
    if rank == 0:
        return np.eye(dim)
    rest = np.linalg.qr(span.T, mode="complete")[0][:, rank:]
    return np.concatenate([span, rest.T])
