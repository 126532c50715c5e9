"""The entries of a sparse client's Hessian that can differ from zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Batch, Indices
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.core.ragged import Blocks
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class Support(Basis):
    """Entry (j, l) is a coordinate of client i where features j and l meet in one of its rows.

    The other entries are zero at every x, so nothing is lost, and a client's coordinates are few where its rows are
    sparse. The client sends its support once, and the set-up bytes count it. Coordinates are isometric.

    Parameters
    ----------
    diagonal : bool
        Hold the whole diagonal as well, so that multiples of the identity can be sent.

    Examples
    --------
    >>> import newtonfl as nf, scipy.sparse
    >>> p = nf.from_arrays(scipy.sparse.csr_array([[1, 1, 0, 0], [0, 0, 0, 1]]), [0, 1], clients=2)
    >>> nf.Support().of(p).sizes
    array([3, 1])
    """

    diagonal: bool = False
    name = "support"
    whole = False
    sends = "which columns its rows have"

    def unwrapped(self) -> Support:
        return Support()  # where the diagonal is wanted, a solve sees to it

    def with_diagonal(self) -> Self:
        return replace(self, diagonal=True)

    def of(self, problem: Problem) -> TriangleCoordinates:
        diagonal = self.diagonal or problem.local_ridge is not None
        supports = problem.support(diagonal)
        return _SupportCoordinates(supports.sizes, problem.dim, True, supports, diagonal)

    def from_setup(self, dim: int, setup_messages: Sequence[Parts]) -> TriangleCoordinates:
        found = []
        for client, setup_message in enumerate(setup_messages):
            support = setup_message.get("support")
            if not isinstance(support, Indices):
                raise WireError(f"set-up, client {client}, support: the message holds none")
            found.append(support.indices)
        supports = Blocks.of(found)
        return _SupportCoordinates(supports.sizes, dim, True, supports, self.diagonal)

    def sizes(self, dim: int, part: str, before: Parts) -> int:
        support = before.get("support")
        return len(support.indices) if isinstance(support, Indices) and part != "support" else triangle(dim).size


class _SupportCoordinates(TriangleCoordinates):
    def setup_messages(self) -> Sequence[Parts]:
        assert self.supports is not None
        sent = Batch(Indices, self.supports.sizes, indices=self.supports.values)
        return ManyParts({"support": sent}, len(sent))
