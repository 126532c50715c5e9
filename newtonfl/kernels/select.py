"""Which k entries of a vector are the largest in magnitude."""

from __future__ import annotations

import numpy as np

from newtonfl.backend import Array, to_host


def largest(vector: Array, k: int) -> Array:
    """The positions of the `k` entries of largest magnitude, increasing, on the host.

    Zeros are never chosen, so fewer than `k` come back where fewer are not zero. Of equal magnitudes the
    lowest position wins: the k-th magnitude is a number that every selection algorithm agrees on, its position is
    not (numpy's argpartition breaks ties differently on AVX-512 and AVX2).

    Parameters
    ----------
    vector : array, shape (N,)
    k : int

    Returns
    -------
    numpy.ndarray of int64, shape (min(k, number of non-zeros),)
    """
    magnitude = np.abs(to_host(vector))
    positions = np.flatnonzero(magnitude)  # many zeros make a partition slow
    if len(positions) <= k:
        return positions
    if k == 0:
        return positions[:0]
    magnitude = magnitude[positions]
    threshold = np.partition(magnitude, len(magnitude) - k)[len(magnitude) - k]
    chosen = magnitude > threshold
    ties = np.flatnonzero(magnitude == threshold)
    chosen[ties[: k - int(chosen.sum())]] = True
    return positions[chosen]
