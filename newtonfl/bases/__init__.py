"""Bases: in which coordinates vectors and Hessians are sent and received.

coordinates
    ``Coordinates``: plain vectors, one a client. Here is the one rule of receiving: sender and receiver both move by
    the decoded message.
basis
    ``Basis`` names coordinates, ``TriangleCoordinates`` are entries of the upper triangle.
symmetric, support, data, psd
    All entries; each client's sparse support; the span of a client's rows (BL1, BL2); positive semidefinite ones (BL3).
spans, subspace
    How such a span is found, and the coordinates in it.

May be imported by: mechanisms, components, methods, checks.
"""

from newtonfl.bases.basis import Basis, TriangleCoordinates
from newtonfl.bases.coordinates import Coordinates, Decoded, equal_blocks
from newtonfl.bases.data import DataSubspace
from newtonfl.bases.psd import PSD
from newtonfl.bases.support import Support
from newtonfl.bases.symmetric import Symmetric

__all__ = [
    "PSD",
    "Basis",
    "Coordinates",
    "Decoded",
    "DataSubspace",
    "Support",
    "Symmetric",
    "TriangleCoordinates",
    "equal_blocks",
]
