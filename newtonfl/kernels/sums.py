"""Each client's sum."""

from __future__ import annotations

from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks


def sums(values: Array, offsets: Array) -> Array:
    """Each client's sum, in the bits of one call of the library's own sum a client.

    Parameters
    ----------
    values : array, shape (total,)
        The clients' numbers end to end.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each client's begin.

    Returns
    -------
    array, shape (n,)
    """
    return Blocks(values, offsets).sums()
