"""How many clients are worked on together on the host, and in which pieces each is on a GPU."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges


def blocks(offsets: Array, many: int) -> list[tuple[int, int]]:
    """Cut the clients into runs whose entries are about `many`, or those of one client.

    What is made on the way then stays in cache; arrays from 128 KiB on are also given back to the system at once, and
    every page of the next one is fetched anew.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each client's entries begin.
    many : int

    Returns
    -------
    list of (int, int)
        Each run's first client and its last (exclusive).
    """
    n = len(offsets) - 1
    cuts = np.unique(np.searchsorted(offsets[:-1], np.arange(offsets[0], max(int(offsets[-1]), 1), many)))
    edges = [*cuts.tolist(), n]
    return [(a, b) for a, b in pairwise(edges) if a < b]


def pieces(offsets: Array, size: int) -> tuple[Array, Array, Array]:
    """Cut every client's entries into pieces of `size`, the last one shorter; one without entries has an empty piece.

    Returns
    -------
    lower, upper : numpy.ndarray of int64, shape (pieces,)
        Where each piece begins and ends.
    edges : numpy.ndarray of int64, shape (n + 1,)
        Where each client's pieces begin.
    """
    many = np.maximum(-(-np.diff(offsets) // size), 1)
    edges = offsets_of(many)
    lower = np.repeat(offsets[:-1], many) + size * ranges(np.zeros(len(many), np.int64), many)
    return lower, np.minimum(lower + size, np.repeat(offsets[1:], many)), edges
