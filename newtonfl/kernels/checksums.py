"""Checksums of many pieces of one buffer."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.kernels import compiled

_LONG = 2000  # bytes a piece, on the average, from which on zlib is faster than a form of numba's


def checksums(buffer: Array, edges: Array) -> Array:
    """zlib's CRC-32 of each piece.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8, shape (bytes,)
        Contiguous.
    edges : numpy.ndarray of int64, shape (n + 1,)
        Piece i is ``buffer[edges[i]:edges[i + 1]]``.

    Returns
    -------
    numpy.ndarray of uint32, shape (n,)
    """
    forms, within = compiled.forms(), edges.min() >= 0 and edges.max() <= len(buffer)
    if forms is not None and within and edges[-1] - edges[0] < _LONG * (len(edges) - 1):
        found = np.empty(len(edges) - 1, np.uint32)
        forms.checksums(buffer, np.ascontiguousarray(edges, np.int64), found)
        return found
    view, crc32 = memoryview(buffer), zlib.crc32
    return np.fromiter((crc32(view[a:b]) for a, b in pairwise(edges.tolist())), np.uint32, len(edges) - 1)
