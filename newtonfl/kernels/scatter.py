"""Adding into chosen positions of a flat array."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, is_cupy, on_host, to_device, to_host

_SHORT = 100
"""Rows below this length are added by one call and not by one each."""


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


def add_in_order(values: Array, positions: Array, increments: Array, counts: Array) -> Array:
    """:func:`add_at` for many clients, one after the other: a place's terms are added in their order.

    Parameters
    ----------
    values : array, shape (N,)
        NumPy and CuPy arrays are changed in place.
    positions : numpy.ndarray of int64, shape (Σ counts,)
        The clients' positions end to end, each client's own distinct. On the host.
    increments : numpy.ndarray, shape (Σ counts,)
        On the host.
    counts : numpy.ndarray of int64, shape (n,)
        How many are whose.

    Returns
    -------
    array, shape (N,)
    """
    if on_host(values):
        np.add.at(values, positions, increments)  # in the order of the positions
        return values
    if is_cupy(values):
        # A client at a time: atomic additions would come in any order.
        places, terms, first = to_device(positions, values), to_device(increments, values), 0
        for count in counts.tolist():
            values[places[first : first + count]] += terms[first : first + count]
            first += count
        return values
    return to_device(add_in_order(to_host(values).copy(), positions, increments, counts), values)


def add_rows(values: Array, rows: Array) -> Array:
    """`values` (N,) plus each of the `rows` (n, N), on the host, one after the other; a new array."""
    terms, total = to_device(rows, values), values + 0.0
    if on_host(values) and rows.shape[1] < _SHORT:
        np.add.at(total, np.tile(np.arange(rows.shape[1]), len(rows)), rows.ravel())  # in the same order
        return total
    for i in range(len(rows)):
        total += terms[i, :]
    return total
