"""Adding into chosen positions of a flat array."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from newtonfl.core.backend import Array, cupy, is_cupy, on_host, resident, to_device, to_host
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import blocks

ADD = r"""
// Sums of many clients' terms in their order, as the host adds them; atomic additions would come in any.
typedef long long place;
#define EACH(i, many) \
    place i = (place)blockIdx.x * blockDim.x + threadIdx.x; i < many; i += (place)gridDim.x * blockDim.x

// Positions that are sorted: who finds the first of equal ones adds the terms of all of them.
extern "C" __global__ void add_runs(const place many, const place* positions, const double* terms, double* values)
{
    for (EACH(first, many)) {
        const place at = positions[first];
        if (first > 0 && positions[first - 1] == at) continue;
        double sum = values[at];
        for (place i = first; i < many && positions[i] == at; ++i) sum += terms[i];
        values[at] = sum;
    }
}

extern "C" __global__ void add_rows(const place many, const place rows, const double* terms, double* total)
{
    for (EACH(column, many)) {
        double sum = total[column];
        for (place row = 0; row < rows; ++row) sum += terms[row * many + column];
        total[column] = sum;
    }
}
"""

_THREADS = 256
_BLOCK = 1 << 16  # entries that are added at a time
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


def add_in_order(
    values: Array, indices: Array, terms: Array, counts: Array, weights: Array, places: Array, first: Array
) -> Array:
    """`values` plus each client's weighted terms, one client after the other: a place's terms are added in their order.

    Parameters
    ----------
    values : array, shape (N,)
        NumPy and CuPy arrays are changed in place.
    indices : numpy.ndarray of int64, shape (Σ counts,)
        Each client's own, distinct; the clients' end to end. On the host, as all that follows.
    terms : numpy.ndarray, shape (Σ counts,)
    counts : numpy.ndarray of int64, shape (n,)
        How many are whose.
    weights : numpy.ndarray, shape (n,)
    places : numpy.ndarray of int64
        Index j of client i stands for the place ``places[first[i] + j]``.
    first : numpy.ndarray of int64, shape (n,)

    Returns
    -------
    array, shape (N,)
    """
    if on_host(values):
        if (forms := compiled.forms()) is not None:
            arrays = map(np.ascontiguousarray, (indices, terms, counts, weights, places, first))
            forms.add_in_order(values, *arrays)
            return values
        for a, b in blocks(offsets_of(counts), _BLOCK):
            here = slice(*offsets_of(counts)[[a, b]].tolist())
            positions = places[np.repeat(first[a:b], counts[a:b]) + indices[here]]
            np.add.at(values, positions, weighted(weights[a:b], counts[a:b], terms[here]))  # in that order
        return values
    if is_cupy(values):
        if len(indices):
            positions = resident(places, values)[to_device(np.repeat(first, counts) + indices, values)]
            order = cupy().argsort(positions)  # stable
            increments = to_device(weighted(weights, counts, terms), values)[order]
            _run("add_runs", len(indices), positions[order], increments, values)
        return values
    return to_device(add_in_order(to_host(values).copy(), indices, terms, counts, weights, places, first), values)


def _run(name: str, many: int, *arguments: Any) -> None:
    blocks_of_threads = min(-(-many // _THREADS), 1 << 20)
    _compiled().get_function(name)((blocks_of_threads,), (_THREADS,), (np.int64(many), *arguments))


@cache
def _compiled() -> Any:
    return cupy().RawModule(code=ADD)


def weighted(weights: Array, counts: Array, terms: Array) -> Array:
    """The clients' `terms`, end to end, each times its client's own of the `weights`; on the host."""
    first = weights[0] if len(weights) else 1.0
    if (weights == first).all():
        return terms if first == 1.0 else first * terms
    return np.repeat(weights, counts) * terms


def add_rows(values: Array, rows: Array) -> Array:
    """`values` (N,) plus each of the `rows` (n, N), on the host, one after the other; a new array."""
    terms, total = to_device(rows, values), values + 0.0
    if is_cupy(values):
        if rows.size:
            _run("add_rows", rows.shape[1], np.int64(len(rows)), terms, total)
        return total
    if on_host(values) and rows.shape[1] < _SHORT:
        np.add.at(total, np.tile(np.arange(rows.shape[1]), len(rows)), rows.ravel())  # in the same order
        return total
    for i in range(len(rows)):
        total += terms[i, :]
    return total
