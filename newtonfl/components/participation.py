"""Participation: who takes part in a round, S^k."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_probability, is_number
from newtonfl.registry import Part


class Participation(Part, ABC):
    """Draws who takes part in a round. Subclasses are frozen dataclasses.

    Attributes
    ----------
    partial : bool
        Whether a round can be without some of the clients. Round 0 never is: in it the server learns where all stand.
    """

    kind = "participation"
    partial: ClassVar[bool] = True

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

    def check(self, n_clients: int) -> None:
        """Refuse `n_clients` that do not go with the settings, with a ValueError that says why."""


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
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise ValueError(
                f"{path}: no text: a trace is a line a round with the available clients' numbers"
            ) from None
        rounds = []
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words and "#" in line:
                continue
            if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
                shown = line if len(line) < 60 else line[:60] + " …"
                raise ValueError(f"{path}, line {number}: given {shown!r}, must be client numbers and spaces")
            rounds.append(tuple(int(word) for word in words))
        # Absolute, so that a run that is done again elsewhere finds the same file or none.
        return cls(tuple(rounds), str(Path(path).resolve()))

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
