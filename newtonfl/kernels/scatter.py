"""Adding into chosen positions of a flat array."""

from __future__ import annotations

from newtonfl.core.backend import Array, is_cupy, on_host, to_device, to_host


def add_at(values: Array, positions: Array, increments: Array) -> Array:
    """`values` with `increments` added at the distinct `positions`; NumPy and CuPy arrays are changed in place.

    Parameters
    ----------
    values : array, shape (N,)
    positions : numpy.ndarray of int64, shape (k,)
        Distinct, on the host.
    increments : numpy.ndarray, shape (k,)
        On the host: messages live there.
    """
    if on_host(values):
        values[positions] += increments
        return values
    if is_cupy(values):
        values[to_device(positions, values)] += to_device(increments, values)
        return values
    # The Array API has no scatter: go through the host, in the open.
    host = to_host(values).copy()
    host[positions] += increments
    return to_device(host, values)
