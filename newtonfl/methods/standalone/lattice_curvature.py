"""lattice-newton's curvature: a few clients' Hessians, with everyone's diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from newtonfl.comm.heads import EVERYONE
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants, Replies
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.kernels import eigh
from newtonfl.methods.standalone import lattice_messages as lattice
from newtonfl.methods.standalone.lattice_clients import LEVEL, SAMPLE


@dataclass(frozen=True)
class Sampling:
    """How much curvature is asked for: the settings of the method."""

    share: float
    least: int
    refreshes: int

    def count(self, n: int, level: int) -> int:
        """How many clients of n are asked: twice as many at each further level."""
        return min(n, max(self.least, math.ceil(self.share * n)) << level)


class Curvature(NamedTuple):
    """What an exchange about curvature comes to.

    Attributes
    ----------
    P : numpy.ndarray, shape (d, d)
        The estimate of ∇²f, ridge included.
    levels : numpy.ndarray, shape (n, d)
        Every client's diagonal as it has arrived, 2 log₂ h.
    size : float
        Bytes a client, heads and all.
    """

    P: Array
    levels: Array
    size: float


def sampled_curvature(
    replies: Replies, exchange: Exchange, key: Key, support: Array, constants: ProblemConstants, sampling: Sampling,
    level: int,
) -> Curvature:  # fmt: skip
    """P from everyone's diagonal, which has come with the `replies`, and Hessians of the clients of most leverage.

    Parameters
    ----------
    replies : Replies
        With diagonals.
    exchange : Exchange
        Asks the chosen clients.
    key : Key
        Of the diagonals' dither.
    support : numpy.ndarray of bool, shape (n, d)
    constants : ProblemConstants
    sampling : Sampling
    level : int
        Each doubles the clients that are asked, and halves the grid of their entries.

    Raises
    ------
    WireError
        If a code cannot be.
    """
    n, ridge, messages = constants.n_clients, constants.ridge, replies.messages("diagonal")
    with lattice.reading(key.round, "diagonal", replies.clients):
        u = lattice.dither(key, np.arange(n), len(ridge), "diagonal")
        levels = lattice.decode_diagonals(lattice.codes_of(messages), u, support)
    diagonals = lattice.of_levels(levels, support)
    mean = np.mean(diagonals, axis=0)
    leverage = np.sum(diagonals / np.maximum(mean + ridge, 1e-300), axis=1)
    many = sampling.count(n, level)
    chosen = np.sort(np.argsort(-leverage, kind="stable")[:many])
    request = Announcement(key.round, {}, {}, chosen, chosen, SAMPLE | level << LEVEL)
    sampled = exchange(request, lattice.sizes(len(ridge))).messages("curvature") if many else []
    known, total = (levels[chosen], support[chosen]), np.zeros((len(ridge), len(ridge)))
    with lattice.reading(key.round, "curvature", chosen):
        for hessian in lattice.decode_hessians(lattice.codes_of(sampled), *known, ridge, level):
            total += hessian
    least = 1e-10 * float(np.max(mean, initial=0.0))  # where there is no ridge and a column is met nowhere
    P = with_diagonal(total / max(many, 1), mean) + np.diag(np.maximum(ridge, least))
    size = lattice.mean_bytes(key.round, replies.clients, {"diagonal": messages})
    size -= lattice.mean_bytes(key.round, replies.clients, {})  # the gradient's head would have been sent anyway
    size += many / n * lattice.mean_bytes(key.round, np.full(many, EVERYONE), {})
    return Curvature(P, levels, size + many / n * lattice.mean_bytes(key.round, chosen, {"curvature": sampled}))


def with_diagonal(sampled: Array, diagonal: Array) -> Array:
    """A sample's Hessian (d, d) with everyone's mean diagonal (d,) in place of its own, its correlations kept.

    Positive semidefinite, as the sample is; features that the sample has not met are kept, and a biased sample does no
    harm to what has been met.
    """
    own = np.diag(sampled)
    met = (own > 0) & (diagonal > 0)
    ratio = np.where(met, np.sqrt(np.where(met, diagonal, 1.0) / np.where(met, own, 1.0)), 0.0)
    scaled = sampled * ratio[:, None] * ratio
    np.fill_diagonal(scaled, diagonal)
    values, vectors = eigh(scaled)
    semidefinite: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return semidefinite
