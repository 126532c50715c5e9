"""The participation socket: who takes part in a round."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from newtonfl.backend import Array
from newtonfl.keys import Key


class Participation(ABC):
    """Draws who hears and speaks in a round. Subclasses are frozen dataclasses.

    Attributes
    ----------
    partial : bool
        Whether a round can be without some of the clients. Round 0 never is: it tells the server where all stand.
    """

    partial: ClassVar[bool] = True

    @abstractmethod
    def draw(self, n_clients: int, key: Key) -> Array | None:
        """The clients that take part, increasing; None means all."""

    @abstractmethod
    def share(self, n_clients: int) -> float:
        """How likely a client is to take part in a round."""

    @property
    @abstractmethod
    def text(self) -> str:
        """``name:setting`` as the command line writes it."""

    def check(self, n_clients: int) -> None:  # noqa: B027 - most serve any number of clients
        """Refuse a number of clients that does not go with the settings, with a ValueError that says why."""


@dataclass(frozen=True)
class All(Participation):
    """Every client, every round."""

    partial = False
    text = "all"

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
    """

    tau: int | float

    @property
    def text(self) -> str:
        return f"uniform:{self.tau}"

    def check(self, n_clients: int) -> None:
        whole = isinstance(self.tau, int) and not isinstance(self.tau, bool) and 1 <= self.tau <= n_clients
        if not whole and not (isinstance(self.tau, float) and 0 < self.tau < 1):
            raise ValueError(
                f"participation={self.text}: must be a whole number of clients, at least 1 and at most {n_clients}, "
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
    """

    p: float

    @property
    def text(self) -> str:
        return f"independent:{self.p:.17g}"

    def check(self, n_clients: int) -> None:
        if isinstance(self.p, bool) or not isinstance(self.p, (int, float)) or not 0 < self.p <= 1:
            raise ValueError(f"participation={self.text}: must be a probability in (0, 1]")

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
        The clients available in round 1, 2, …
    path : str
        The file it was read from, for people.
    """

    rounds: tuple[tuple[int, ...], ...]
    path: str = ""

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a trace: a line a round with the available clients' numbers, separated by spaces; ``#`` comments.

        Raises
        ------
        ValueError
            If a line is not made of client numbers, or no line is there; the message names file and line.
        """
        rounds = []
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words and "#" in line:
                continue
            if not all(word.isascii() and word.isdecimal() for word in words):
                raise ValueError(f"{path}, line {number}: given {line!r}, must be client numbers separated by spaces")
            rounds.append(tuple(sorted({int(word) for word in words})))
        if not any(rounds):
            raise ValueError(f"{path}: no client is ever available; a line holds the clients of one round")
        return cls(tuple(rounds), str(path))

    @property
    def text(self) -> str:
        return f"trace:{self.path}"

    def check(self, n_clients: int) -> None:
        most = max((clients[-1] for clients in self.rounds if clients), default=-1)
        if most >= n_clients:
            raise ValueError(f"participation={self.text}: it names client {most}, and there are {n_clients} (0 first)")

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return np.array(self.rounds[(key.round - 1) % len(self.rounds)], np.int64)

    def share(self, n_clients: int) -> float:
        return sum(map(len, self.rounds)) / (len(self.rounds) * n_clients)
