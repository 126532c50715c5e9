"""Bases: in which coordinates a Hessian is learned."""

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.bases.coordinates import Coordinates, equal_blocks
from newtonfl.bases.support import Support
from newtonfl.bases.symmetric import Symmetric

__all__ = ["Basis", "Coordinates", "Support", "Symmetric", "TriangleCoordinates", "equal_blocks"]
