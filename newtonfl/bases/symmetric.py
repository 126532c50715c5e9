"""All entries of the upper triangle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.comm.parts import Parts
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem


class WholeTriangle(Basis):
    """Bases whose coordinates are as many as a triangle has entries, alike for all clients: nobody has to send them."""

    def of(self, problem: Problem) -> TriangleCoordinates:
        return self._for(problem.dim, len(problem.clients))

    def from_setup(self, dim: int, setup_messages: Sequence[Parts]) -> TriangleCoordinates:
        return self._for(dim, len(setup_messages))

    def sizes(self, dim: int, part: str, before: Parts) -> int:
        return triangle(dim).size

    @abstractmethod
    def _for(self, dim: int, n: int) -> TriangleCoordinates:
        """The coordinates of n clients."""


@dataclass(frozen=True)
class Symmetric(WholeTriangle):
    """The d(d + 1)/2 entries of a symmetric matrix (arXiv 2111.01847, section 2: the symmetric basis).

    Parameters
    ----------
    isometric : bool
        True scales off-diagonal coordinates by √2, so that the Frobenius norm is their 2-norm and Top-K's constant is
        the true one. False keeps plain entries, as the papers' own programs do.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> space = nf.Symmetric().from_setup(2, [{}])
    >>> space.of_entries(np.array([2.0, 1.0, 3.0]), 2).round(3)
    array([2.   , 1.414, 3.   ])
    """

    isometric: bool = True
    name = "symmetric"
    words = MappingProxyType({"symmetric-plain": {"isometric": False}})

    def _for(self, dim: int, n: int) -> TriangleCoordinates:
        return TriangleCoordinates(np.full(n, triangle(dim).size), dim, self.isometric)
