"""Participation: who takes part in a round, S^k."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.registry import Part


class Participation(Part, ABC):
    """Draws who takes part in a round. Subclasses are frozen dataclasses.

    Attributes
    ----------
    partial : bool
        Whether a round can be without some of the clients. Round 0 never is: in it the server learns where all stand.
    reachable : bool
        Whether who does not take part in a round hears what goes to all.
    delays : bool
        Whether who takes part answers about the iterate of an earlier round; then it has a method ``given_at`` that
        says of which (:class:`newtonfl.components.model.delayed.Jobs`).
    """

    kind = "participation"
    partial: ClassVar[bool] = True
    reachable: ClassVar[bool] = True
    delays: ClassVar[bool] = False

    @abstractmethod
    def draw(self, n_clients: int, key: Key) -> Array | None:
        """Who takes part in a round.

        Parameters
        ----------
        n_clients : int
            n.
        key : Key
            The round's stream; ``key.round`` is its number, from 1 on.

        Returns
        -------
        numpy.ndarray of int64, or None
            Client numbers from 0 to n - 1, increasing; None means all.
        """

    def drawn(self, n_clients: int, key: Key) -> Array | None:
        """:meth:`draw` of `n_clients` by `key`, if it is a set of the clients.

        Raises
        ------
        ValueError
            If it is not.
        """
        part = self.draw(n_clients, key)
        if part is None:
            return None
        drawn = np.asarray(part)
        whole = drawn.ndim == 1 and (drawn.dtype.kind in "iu" or drawn.size == 0)
        if not whole or (np.diff(drawn) <= 0).any() or (drawn.size and not (drawn[0] >= 0 and drawn[-1] < n_clients)):
            raise ValueError(
                f"participation={self}: drew {part!r} in round {key.round}, must be client numbers, increasing, "
                f"from 0 to below {n_clients}"
            )
        return drawn.astype(np.int64)

    @abstractmethod
    def share(self, n_clients: int) -> float:
        """How likely a client is to take part in a round.

        Parameters
        ----------
        n_clients : int
            n.

        Returns
        -------
        float
            In (0, 1].
        """

    def rarest(self, n_clients: int) -> float:
        """:meth:`share` of the client of `n_clients` that takes part least often: so long x may wait for its news."""
        return self.share(n_clients)

    def elapsed(self, n_clients: int, seed: int, round: int) -> float | None:
        """How many simulated seconds have passed when `round` ends; None where clients have no speeds.

        Of `n_clients`, in a solve of that `seed`.
        """
        return None

    def check_prompt(self, who: str) -> None:
        """Refuse `who`, with a ValueError, where clients answer about earlier iterates: it has no use for that."""
        if self.delays:
            raise ValueError(
                f"{who}: its clients answer about the iterate that they receive, and {self.setting} is about earlier "
                "ones: fednl-pp, newton-3pc-bc-pp with model=exact, bl2, ef21-pp and asgrad can use it"
            )

    def check(self, n_clients: int) -> None:
        """Refuse `n_clients` that do not go with the settings, with a ValueError that says why."""

    def lost(self, n_clients: int, key: Key) -> Array:
        """Which of `n_clients`, increasing, are lost for good by the round of `key`; as a rule none."""
        return np.zeros(0, np.int64)

    @property
    def setting(self) -> str:
        """How refusals name it."""
        return f"participation={self}"
