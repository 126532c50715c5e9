"""What clients send of the difference between a target and their estimate of it, and how the estimate moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import blocks
from newtonfl.kernels.scatter import weighted
from newtonfl.kernels.select import largest
from newtonfl.kernels.sums import sums

_BLOCK = 1 << 14  # entries


class LargestSent(NamedTuple):
    """The largest entries of many clients' differences.

    Parameters
    ----------
    positions : numpy.ndarray of int64, shape (Σ counts,)
        In each client's own vector, increasing; end to end.
    counts : numpy.ndarray of int64, shape (n,)
    values : numpy.ndarray, shape (Σ counts,)
    norms : numpy.ndarray, shape (n,)
        The 2-norm of what each client's estimate in use leaves out.
    """

    positions: Array
    counts: Array
    values: Array
    norms: Array


def send_largest(
    target: Array,
    offsets: Array,
    estimate: Array,
    k: Array,
    memory_rates: Array,
    estimate_rates: Array,
    diagonal: tuple[Array, Array] | None = None,
) -> LargestSent:
    """Top-K of target - estimate, and estimate + memory_rate · Top-K in its place.

    Parameters
    ----------
    target : numpy.ndarray, shape (total,)
        The clients' vectors end to end, on the host as all here.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each begins.
    estimate : numpy.ndarray, shape (total,)
        Changed in place.
    k : int, or numpy.ndarray of int, shape (n,)
        As :func:`newtonfl.kernels.largest` takes it.
    memory_rates, estimate_rates : numpy.ndarray, shape (n,)
        By how much of Top-K the estimate moves, and by how much the one in use; 0 where that is the one before.
    diagonal : (positions, offsets) or None
        Where the diagonal stands in each client's own vector, end to end, if the target holds entries of symmetric
        matrices and the estimate isometric coordinates: those off the diagonal times √2.

    Returns
    -------
    LargestSent
    """
    offsets, n = np.ascontiguousarray(offsets, np.int64), len(offsets) - 1
    wanted = np.ascontiguousarray(np.broadcast_to(np.asarray(k, np.int64), n))
    if (forms := compiled.forms()) is not None:
        sizes, counts, norms = np.diff(offsets), np.empty(n, np.int64), np.empty(n)
        room = int(np.clip(wanted, 0, sizes).sum()) + 1
        positions, values = np.empty(room, np.int64), np.empty(room)
        places, edges = (np.zeros(0, np.int64),) * 2 if diagonal is None else diagonal
        forms.send_largest(
            np.ascontiguousarray(target), offsets, places, edges, estimate, wanted, np.ascontiguousarray(memory_rates),
            np.ascontiguousarray(estimate_rates), int(sizes.max(initial=0)), positions, counts, values, norms,
        )  # fmt: skip
        total = int(counts.sum())
        return LargestSent(positions[:total], counts, values[:total], norms)
    parts = [LargestSent(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]
    for a, b in blocks(offsets, _BLOCK):
        here, edges = slice(int(offsets[a]), int(offsets[b])), offsets[a : b + 1] - offsets[a]
        if diagonal is None:
            difference = target[here] - estimate[here]
        else:
            places, cuts = diagonal
            many = np.diff(cuts[a : b + 1])
            at = places[cuts[a] : cuts[b]] + np.repeat(edges[:-1], many)
            difference = target[here] * np.sqrt(2.0)
            difference[at] = target[here][at]
            difference -= estimate[here]
        positions, counts = largest(difference, edges, wanted[a:b])
        at = positions + np.repeat(edges[:-1], counts)
        values = difference[at]
        estimate[here][at] += weighted(memory_rates[a:b], counts, values)
        if estimate_rates[a:b].any():
            difference[at] += weighted(-estimate_rates[a:b], counts, values)
        parts.append(LargestSent(positions, counts, values, np.sqrt(sums(Blocks(difference * difference, edges)))))
    return LargestSent(*(np.concatenate(column) for column in zip(*parts, strict=True)))
