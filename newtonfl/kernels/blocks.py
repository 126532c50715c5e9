"""How many clients are worked on together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array


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
