"""The span of a client's rows, in which its Hessian is a small matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.bases.spans import check_room, completed, is_large, span
from newtonfl.bases.subspace import ApartCoordinates, SubspaceCoordinates, triangular
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Dense, Run
from newtonfl.comm.parts import Parts
from newtonfl.core.backend import Array
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class DataSubspace(Basis):
    """Coordinates of Λ_i = V_iᵀ∇²f_i V_i, V_i an orthonormal basis of the span of client i's rows.

    A generalised linear model has ∇²f_i = V_i Λ_i V_iᵀ and ∇f_i = V_i c_i, so a Hessian is r_i(r_i + 1)/2 isometric
    coordinates and a gradient r_i numbers, at the price of sending V_i once: r_i·d numbers, counted as set-up (Basis
    Learn, arXiv 2111.01847, section 2). The ridge is not in the span: the server adds it.

    In more than 1024 dimensions the server keeps the Λ_i apart, and the steps ``plain`` and ``shift`` solve by products
    with H = (1/n) Σ V_i Λ_i V_iᵀ or in the spans' own coordinates: nothing is d × d.

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
    sends = "an orthonormal basis of its rows"
    words = MappingProxyType({"rotation": {"complete": True}})

    @property
    def whole(self) -> bool:  # type: ignore[override]
        return self.complete

    def keeps_apart(self, dim: int) -> bool:
        return not self.complete and is_large(dim)

    def numbers_per_client(self, problem: Problem) -> float:
        if self.complete:
            return super().numbers_per_client(problem)
        return float(problem.prepare(self).sizes.sum()) / max(len(problem.clients), 1)

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
        numbers = problem.dim * np.minimum(problem.rows_per_client, problem.dim)
        left = np.cumsum(numbers[::-1])[::-1]

        def found(i: int) -> Array:
            check_room(int(left[i]), problem.dim)
            return span(problem.client_rows(i))

        spans = problem.of_each_client("span", found)
        rows = problem.projected_rows(spans)
        vectors = [completed(v) for v in spans] if self.complete else spans
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
        return triangular(rank)

    def _with(
        self, vectors: Sequence[Array], dim: int, rows: tuple[Array, ...] = (), ridge: Array | None = None
    ) -> TriangleCoordinates:
        sizes = np.array([triangular(len(v)) for v in vectors], dtype=np.int64)
        form = ApartCoordinates if self.keeps_apart(dim) else SubspaceCoordinates
        return form(sizes, dim, True, None, self.complete, tuple(vectors), rows, ridge)
