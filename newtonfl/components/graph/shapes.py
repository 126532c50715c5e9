"""Graphs of known shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.components.graph.base import Graph
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array
from newtonfl.core.quoting import quoted
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_probability

_LARGEST_SEED = 2**53  # as of a solve


@dataclass(frozen=True)
class Ring(Graph):
    """Client i and client i + 1, and the last with the first.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Ring().mixing(4).toarray()[0].round(3)
    array([0.333, 0.333, 0.   , 0.333])
    """

    name = "ring"

    def edges(self, n_clients: int) -> Array:
        line = Line().edges(n_clients)
        return line if n_clients < 3 else np.concatenate([line, [[0, n_clients - 1]]])


@dataclass(frozen=True)
class Line(Graph):
    """Client i and client i + 1."""

    name = "line"

    def edges(self, n_clients: int) -> Array:
        first = np.arange(n_clients - 1)
        return np.stack([first, first + 1], axis=1)


@dataclass(frozen=True)
class Star(Graph):
    """Client 0 and every other."""

    name = "star"

    def edges(self, n_clients: int) -> Array:
        leaves = np.arange(1, n_clients)
        return np.stack([0 * leaves, leaves], axis=1)


@dataclass(frozen=True)
class Complete(Graph):
    """Every two clients: one mixing is the mean."""

    name = "complete"

    def edges(self, n_clients: int) -> Array:
        return np.stack(np.triu_indices(n_clients, 1), axis=1)


@dataclass(frozen=True)
class Torus(Graph):
    """A rectangle of clients, numbered row by row; neighbours stand beside, above and below, and its edges meet.

    Parameters
    ----------
    rows : int
        How many rows it has; the number of clients must be a multiple.

    Raises
    ------
    ValueError
        If `rows` is no whole number of at least 1.
    """

    rows: int
    name = "torus"

    def __post_init__(self) -> None:
        a_count("rows", self.rows, 1)

    def edges(self, n_clients: int) -> Array:
        if n_clients % self.rows:
            raise ValueError(f"graph={self}: {n_clients} clients do not fill {self.rows} rows")
        number = np.arange(n_clients).reshape(int(self.rows), -1)
        pairs = np.concatenate([np.stack([number, np.roll(number, -1, axis)], axis=-1) for axis in (0, 1)])
        pairs = np.sort(pairs.reshape(-1, 2), axis=1)
        return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)  # two rows meet twice


@dataclass(frozen=True)
class ErdosRenyi(Graph):
    """Every two clients with probability p, independently: drawn once, and the same in every run.

    Parameters
    ----------
    p : float
        p in (0, 1]. Above ln(n)/n such a graph is connected as a rule; one that is not is refused.
    seed : int
        Another seed, another graph; from 0 to 2⁵³.

    Raises
    ------
    ValueError
        If `p` is no such probability, or `seed` no such number.
    """

    p: float
    seed: int = 0
    name = "erdos-renyi"

    def __post_init__(self) -> None:
        a_probability("p", self.p)
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _LARGEST_SEED:
            raise ValueError(f"seed: given {quoted(seed)}, must be a whole number from 0 to {_LARGEST_SEED}")

    def edges(self, n_clients: int) -> Array:
        pairs = Complete().edges(n_clients)
        draws = Key(self.seed).to("graph").generator().random(len(pairs))
        chosen: Array = pairs[draws < self.p]
        return chosen
