"""Who was available when, as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np

from newtonfl.components.client_lists import client_lists
from newtonfl.components.participation.base import Participation
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Trace(Participation):
    """Who was available when, as it was recorded; after its last round the trace begins again.

    Parameters
    ----------
    rounds : tuple of tuples of int
        The clients available in the second round, the third, …: in the first all clients send where they stand.
    path : str
        The file it was read from, for people.

    Raises
    ------
    ValueError
        If a round holds what is no client number, or no client is ever available.

    Examples
    --------
    >>> import newtonfl as nf
    >>> trace = nf.Trace(((0, 2), (1,)))
    >>> trace.draw(3, nf.Key(0, round=3))
    array([0, 2])
    """

    rounds: tuple[tuple[int, ...], ...]
    path: str = ""
    name = "trace"
    shorthand = ("path",)
    reads_file = True

    def __post_init__(self) -> None:
        rounds, which = [], f"trace:{self.path}"
        for number, clients in enumerate(self.rounds, 1):
            if not all(isinstance(client, (int, np.integer)) and client >= 0 for client in clients):
                raise ValueError(f"{which}: round {number} names {clients}, must be client numbers from 0 on")
            rounds.append(tuple(sorted({int(client) for client in clients})))
        if not any(rounds):
            raise ValueError(f"{which}: no client is ever available; a round holds the clients available in it")
        object.__setattr__(self, "rounds", tuple(rounds))

    def __repr__(self) -> str:
        # A trace can be long, and ranks compare their settings by what they print.
        digest = blake2b(repr(self.rounds).encode(), digest_size=8).hexdigest()
        return f"Trace({len(self.rounds)} rounds, {digest}, path={self.path!r})"

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a trace: a line a round with the available clients' numbers, separated by spaces; ``#`` comments.

        Parameters
        ----------
        path : str
            The file, UTF-8 text.

        Returns
        -------
        Trace
            Of its rounds, with its absolute path.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If a line is not made of client numbers, or no line is there; the message names file and line.
        """
        meaning = "a trace is a line a round with the available clients' numbers"
        rounds = tuple(clients for _, clients in client_lists(path, meaning, "client numbers and spaces"))
        # Absolute, so that a run that is done again elsewhere finds the same file or none.
        return cls(rounds, str(Path(path).resolve()))

    def to_spec(self) -> str:
        return f"trace:{self.path}" if self.path else super().to_spec()

    def check(self, n_clients: int) -> None:
        most = max((clients[-1] for clients in self.rounds if clients), default=-1)
        if most >= n_clients:
            raise ValueError(f"participation={self}: it names client {most}, and there are {n_clients} (0 first)")

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return np.array(self.rounds[(key.round - 1) % len(self.rounds)], np.int64)

    def share(self, n_clients: int) -> float:
        # The longest that a client stays away, the trace beginning again after its end.
        present: dict[int, list[int]] = {}
        for number, clients in enumerate(self.rounds):
            for client in clients:
                present.setdefault(client, []).append(number)
        longest = max(int(np.diff([*when, when[0] + len(self.rounds)]).max()) for when in present.values())
        return 1.0 / longest
