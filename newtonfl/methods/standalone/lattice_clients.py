"""lattice-newton's clients: what they remember and reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from newtonfl.comm.messages import Dense, Indices
from newtonfl.comm.parts import Parts
from newtonfl.components.protocol import Announcement
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods.standalone import lattice_messages as lattice
from newtonfl.methods.standalone.local_minimisers import local_minimisers
from newtonfl.objectives.base import Problem
from newtonfl.objectives.point import Point

FIRST, CURVATURE, STAY, SAMPLE = 1, 2, 4, 8
"""Coins of an announcement: the first point; diagonals are asked for; the anchor is the one before; whole Hessians."""

TRY, LEVEL = 4, 8
"""The bits of the coins from which on the tries of the first point are counted, and the level of the Hessians."""

_LEAST_LOCAL_RIDGE = 5e-3
_SMALL = 1e-5  # a gradient is then small enough for a grid of a half


@dataclass
class LatticeClients:
    """What clients remember, on the host; every field has the clients' axis first, and shape (n, d).

    Attributes
    ----------
    z, step : numpy.ndarray
        The anchor, and the last trial less the anchor; all clients' rows are equal.
    integers, scales : numpy.ndarray
        The model's last integers, and σ; equal likewise.
    gradients, changes : numpy.ndarray
        The gradients as they have arrived at the server, and their last changes.
    levels : numpy.ndarray
        The diagonals of the Hessians likewise, 2 log₂ h.
    support : numpy.ndarray of bool
        The columns that occur in the client's rows.
    """

    z: Array
    step: Array
    integers: Array
    scales: Array
    gradients: Array
    changes: Array
    levels: Array
    support: Array


def init_clients(problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], LatticeClients]:
    """Each client's support, and where x⁰ is zero its own minimiser, with at least 0.005 on its ridge."""
    n, dim, support = len(problem.clients), problem.dim, problem.occupied
    parts: list[Parts] = [{"support": Indices(np.flatnonzero(row))} for row in support]
    x0 = to_host(x0)
    if not x0.any():
        points = local_minimisers(problem, np.maximum(to_host(problem.ridge), _LEAST_LOCAL_RIDGE), small=_SMALL)
        starts = lattice.encode_starts(points, lattice.dither(key, problem.clients, dim, "start"), support)
        for mine, message in zip(parts, lattice.lattices(starts), strict=True):
            mine["start"] = message
    zeros = np.zeros((n, dim))
    return parts, LatticeClients(_rows(x0, n), zeros, zeros.astype(np.int64), zeros, zeros, zeros, zeros, support)


def respond(
    clients: LatticeClients, announcement: Announcement, problem: Problem, key: Key
) -> tuple[Sequence[Parts], LatticeClients]:
    """The gradient's change, the diagonal where it is asked for; or a whole Hessian at the last trial."""
    parts, coins = announcement.to_all, announcement.coins
    if coins & SAMPLE:
        return _sampled(clients, announcement, problem), clients
    clients = replace(clients)
    grid = predicted = None  # each client's gradient has a grid of its own at the first point
    if not coins & FIRST:
        grid, predicted = _move(clients, parts, coins)
    elif "model" in parts:
        integers = lattice.decode_point(lattice.codes_of([parts["model"]])[0], problem.dim)
        clients.z = _rows(integers * lattice.start_grid(problem.n_clients), len(problem.clients))
    differences = np.where(clients.support, to_host(_trial(clients, problem).gradient) - clients.gradients, 0.0)
    if not np.isfinite(differences).all():  # the wire refuses it, in words
        return [{"gradient": Dense(row)} for row in differences], clients
    codes = _encode_gradients(clients, differences, grid, predicted)
    replies: list[Parts] = [{"gradient": message} for message in lattice.lattices(codes)]
    if coins & CURVATURE:
        u = lattice.dither(key.to(f"try {coins >> TRY}"), problem.clients, problem.dim, "diagonal")
        diagonals = to_host(_trial(clients, problem).hessian_diagonal())
        coded, clients.levels = lattice.encode_diagonals(diagonals, u, clients.support)
        for reply, message in zip(replies, lattice.lattices(coded), strict=True):
            reply["diagonal"] = message
    return replies, clients


def _move(clients: LatticeClients, parts: Parts, coins: int) -> tuple[Array, Array]:
    """A trial; the gradients' grid (d,) there, and how large their integers may be. `clients` move."""
    n, dim = clients.z.shape
    if "scale" in parts:
        clients.scales = _rows(lattice.decode_scales(lattice.codes_of([parts["scale"]])[0], dim), n)
    integers, exponents = lattice.decode_step(lattice.codes_of([parts["model"]])[0], clients.integers[0])
    grids, scales = lattice.of_half_octaves(exponents), clients.scales[0]
    z = clients.z[0] if coins & STAY else clients.z[0] + clients.step[0]
    clients.z, clients.integers = _rows(z, n), _rows(integers, n)
    clients.step, grid = _rows(integers * (grids[0] / scales), n), grids[1] * scales
    return grid, lattice.predicted_changes(clients.changes, clients.levels, grid, scales, clients.support)


def _encode_gradients(
    clients: LatticeClients, differences: Array, grid: Array | None, predicted: Array | None
) -> list[bytes]:
    """The codes of what the gradients are beyond what has arrived; it has arrived then."""
    if grid is None:
        codes, clients.changes = lattice.encode_first_changes(differences, clients.support)
    else:
        units = lattice.integers_of(differences / grid)
        codes, clients.changes = lattice.encode_table(units, clients.support, predicted), units * grid
    clients.gradients = clients.gradients + clients.changes
    return codes


def _sampled(clients: LatticeClients, announcement: Announcement, problem: Problem) -> Sequence[Parts]:
    """The Hessians at the last trial of the clients that are asked."""
    everyone = problem.clients
    chosen = np.flatnonzero(
        np.isin(everyone, everyone if announcement.participants is None else announcement.participants)
    )
    point, ridge, level = _trial(clients, problem.select(chosen)), to_host(problem.ridge), announcement.coins >> LEVEL
    hessians = (to_host(point.hessian(j)) for j in range(len(chosen)))
    codes = lattice.encode_hessians(hessians, clients.levels[chosen], clients.support[chosen], ridge, level)
    return [{"curvature": message} for message in lattice.lattices(codes)]


def _trial(clients: LatticeClients, problem: Problem) -> Point:
    return problem.at(to_device(clients.z[0] + clients.step[0], problem.like))


def _rows(vector: Array, n: int) -> Array:
    return np.repeat(vector[None, :], n, axis=0)
