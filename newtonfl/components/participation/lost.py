"""Clients that are lost for good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.components.participation.base import Participation
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Lost(Participation):
    """All are there until some are lost, for good; which ones chance decides.

    Parameters
    ----------
    count : int or float
        How many are lost: a number of clients, at least 1 and fewer than there are, or a share of them between 0 and 1.
    after : int
        The last round, at least 0, in which they are there.

    Raises
    ------
    ValueError
        If a number is not what it must be.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Lost(3, after=5).draw(8, nf.Key(0, round=6))
    array([0, 1, 4, 6, 7])
    """

    count: int | float
    after: int = 0
    name = "lost"

    def __post_init__(self) -> None:
        if not is_number(self.count) or self.count <= 0 or (self.count > 1 and self.count != int(self.count)):
            raise ValueError(f"lost: given {self.count!r}, must be a number of clients, or a share between 0 and 1")
        if not isinstance(self.after, int) or isinstance(self.after, bool) or self.after < 0:
            raise ValueError(f"lost: after={self.after!r}: must be a whole number of at least 0")

    def check(self, n_clients: int) -> None:
        if not 0 < self._lost(n_clients) < n_clients:
            raise ValueError(f"participation={self}: some of the {n_clients} clients must stay")

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return None if key.round <= self.after else np.setdiff1d(np.arange(n_clients), self.lost(n_clients, key))

    def lost(self, n_clients: int, key: Key) -> Array:
        if key.round <= self.after:
            return np.zeros(0, np.int64)
        first = key.at(self.after).to("lost").generator()  # the same ones in every round
        return np.sort(first.choice(n_clients, self._lost(n_clients), replace=False))

    def share(self, n_clients: int) -> float:
        return 1.0 - self._lost(n_clients) / n_clients

    def _lost(self, n_clients: int) -> int:
        return int(self.count) if self.count >= 1 else int(np.ceil(self.count * n_clients))
