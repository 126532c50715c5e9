"""Attendance: which clients are there when a round wants them, and what is done about those who are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from newtonfl import registry
from newtonfl.comm.parts import Sizes
from newtonfl.components.participation import Participation, availability_key
from newtonfl.components.protocol import Announcement, Exchange, Replies
from newtonfl.core.backend import Array
from newtonfl.core.random import SERVER, Key

if TYPE_CHECKING:
    from newtonfl.solver.result import Result

OnMissing = Literal["raise", "wait", "skip"]
ON_MISSING: tuple[str, ...] = get_args(OnMissing)

_LONGEST = 10_000
"""How many waits are gone through for a client before it is taken for one that never comes."""


class MissingClients(RuntimeError):
    """Clients that a round wants are away.

    Parameters
    ----------
    clients : array of int
        They.
    words : str
        How and when they were missing.
    lost : bool
        Whether they never come again.

    Attributes
    ----------
    clients : list of int
    lost : bool
    result : Result or None
        What had been found until then; on rank 0.
    """

    def __init__(self, clients: Array, words: str, lost: bool) -> None:
        self.clients, self.lost = np.asarray(clients).tolist(), lost
        self.result: Result | None = None
        some = ", ".join(map(str, self.clients[:8])) + (", …" if len(self.clients) > 8 else "")
        super().__init__(f"{words}: client{'s' * (len(self.clients) > 1)} {some}")


class Attendance:
    """Who is there, time after time: a round takes one, and every wait in it one more.

    All are there at the set-up and in the first round, which tells the server where they stand.

    Parameters
    ----------
    availability : Participation
        Who is there at a time, by its number.
    on_missing : {"raise", "wait", "skip"}
        What is done where a client that a round wants is away. "skip" needs a method that draws among those who are
        there (:meth:`newtonfl.components.protocol.Method.among_available`).
    n_clients : int
    seed : int
    """

    def __init__(self, availability: Participation, on_missing: str, n_clients: int, seed: int) -> None:
        self.availability, self.on_missing, self.n_clients, self.seed = availability, on_missing, n_clients, seed
        self.time = self.waits = 0

    def at_round(self, round: int, waits: int) -> Array:
        """Begin a `round`, `waits` having been before it; returns who is away, and raises who is lost."""
        self.waits, self.time = waits, round + waits
        everyone = np.arange(self.n_clients)
        lost = self.availability.lost(self.n_clients, self._key())
        if len(lost) and self.on_missing != "raise":
            raise MissingClients(lost, f"lost for good since round {round}", lost=True)
        return self._away(everyone)

    def exchange(self, carry: Exchange) -> Exchange:
        """An exchange that `carry` does as soon as everyone is there whom it goes to."""

        def carried(announcement: Announcement, sizes: Sizes) -> Replies:
            recipients = announcement.recipients
            self._await(np.arange(self.n_clients) if recipients is None else recipients, announcement.round)
            return carry(announcement, sizes)

        return carried

    def _await(self, wanted: Array, round: int) -> None:
        away = self._away(wanted)
        if len(away) and self.on_missing != "wait":
            raise MissingClients(away, f"away in round {round}", lost=False)
        for _ in range(_LONGEST):
            if not len(away):
                return
            self.time, self.waits = self.time + 1, self.waits + 1
            lost = np.intersect1d(away, self.availability.lost(self.n_clients, self._key()))
            if len(lost):
                raise MissingClients(lost, f"lost for good since round {round}", lost=True)
            away = self._away(away)
        raise MissingClients(away, f"away for {_LONGEST} waits of round {round}", lost=True)

    def _away(self, wanted: Array) -> Array:
        there = None if self.time == 0 else self.availability.drawn(self.n_clients, self._key())
        return np.zeros(0, np.int64) if there is None else np.setdiff1d(wanted, there)

    def _key(self) -> Key:
        return availability_key(Key(self.seed, self.time).of(SERVER).to("participation"))


def availability_law(availability: Participation | str | None, on_missing: str, n_clients: int) -> Participation | None:
    """Who is there, as a law for `n_clients`; None where all always are.

    Raises
    ------
    ValueError, TypeError
        If it is no law, or `on_missing` no word for what is done.
    """
    if on_missing not in ON_MISSING:
        raise ValueError(f"on_missing: given {on_missing!r}, must be one of {', '.join(ON_MISSING)}")
    if availability is None:
        return None
    law = registry.coerce("participation", availability)
    if not isinstance(law, Participation):
        raise TypeError(f"availability: given {availability!r}, must be a Participation, such as Independent(0.7)")
    law.check(n_clients)
    return law if law.partial else None
