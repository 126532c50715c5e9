"""Bases: in which coordinates a Hessian is learned."""

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.bases.coordinates import Coordinates, equal_blocks
from newtonfl.bases.data import DataSubspace
from newtonfl.bases.psd import PSD
from newtonfl.bases.support import Support
from newtonfl.bases.symmetric import Symmetric

__all__ = [
    "PSD",
    "Basis",
    "Coordinates",
    "DataSubspace",
    "Support",
    "Symmetric",
    "TriangleCoordinates",
    "equal_blocks",
]
