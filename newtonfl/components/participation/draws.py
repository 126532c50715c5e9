"""Who takes part as chance has it: all, a number of clients, each with a probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from newtonfl.components.participation.base import Participation
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_probability


@dataclass(frozen=True)
class All(Participation):
    """Every client, every round.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.All().share(8)
    1.0
    """

    partial = False
    name = "all"

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return None

    def share(self, n_clients: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Uniform(Participation):
    """τ clients, every set of τ being as likely as any other.

    Parameters
    ----------
    tau : int or float
        τ, at least 1 and at most the number of clients; a share of the clients where it lies between 0 and 1.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Uniform(3).draw(8, nf.Key(0))
    array([4, 6, 7])
    >>> nf.Uniform(0.5).share(8)
    0.5
    """

    tau: int | float
    name = "uniform"

    def check(self, n_clients: int) -> None:
        if not is_number(self.tau) or not (
            0 < self.tau < 1 or (1 <= self.tau <= n_clients and self.tau == int(self.tau))
        ):
            raise ValueError(
                f"participation={self}: must be a whole number of clients, at least 1 and at most {n_clients}, "
                "or a share of them between 0 and 1"
            )

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return np.sort(key.generator().choice(n_clients, self._count(n_clients), replace=False))

    def share(self, n_clients: int) -> float:
        return self._count(n_clients) / n_clients

    def _count(self, n_clients: int) -> int:
        return int(self.tau) if self.tau >= 1 else math.ceil(self.tau * n_clients)


@dataclass(frozen=True)
class Independent(Participation):
    """Each client with probability p, independently of the others.

    Parameters
    ----------
    p : float
        p in (0, 1].

    Raises
    ------
    ValueError
        If p is not.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Independent(0.5).draw(8, nf.Key(0))
    array([4, 5, 7])
    """

    p: float
    name = "independent"

    def __post_init__(self) -> None:
        a_probability("participation=independent", self.p)

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return np.flatnonzero(key.generator().random(n_clients) < self.p)

    def share(self, n_clients: int) -> float:
        return self.p
