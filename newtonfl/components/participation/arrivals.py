"""Asynchrony: clients of different speeds answer one after the other, about the iterate that each was given."""

from __future__ import annotations

import heapq
from array import array
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Literal, TypeAlias

import numpy as np

from newtonfl.components.participation.base import Participation
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array
from newtonfl.core.random import SERVER, Key

Order: TypeAlias = Literal["pure", "random", "shuffled", "together"]
Law: TypeAlias = Literal["exponential", "fixed", "uniform", "normal"]

MOST_SPREAD = 1e9
"""With more, the sum of simulated times would soon lose the fast clients'."""


@dataclass(frozen=True)
class Arrivals(Participation):
    """A round is one answer: the next client to finish, about the iterate that it was given when its job was assigned.

    Client i takes a time of mean s_i for a job, s_i = spread^(i/(n-1)) seconds, by a law. After every answer one client
    is given a new job, which stands at the end of its queue (AsGrad, arXiv 2310.20452): the same one (``pure``), any
    (``random``), or each once in a random order that is drawn anew for every n answers (``shuffled``). The job is about
    the newest iterate, or with ``wait`` b about that of the last round that b divides, as where a server moves after
    every b answers (FedBuff). ``together`` is no asynchrony, to compare with: all answer in every round, which takes as
    long as the slowest. Round 0 asks all of them about x⁰, and then all have a job about x¹.

    The history's ``time`` has the simulated seconds. Times have keys, so they do not depend on the run.

    Parameters
    ----------
    order : {"pure", "random", "shuffled", "together"}
        Who is given the next job.
    law : {"exponential", "fixed", "uniform", "normal"}
        Of a job's time: exponential, s_i itself, uniform up to 2s_i, or abs(N(s_i, s_i²)).
    spread : float
        How many times slower the last client is than the first, from 1 to 1e9.
    wait : int
        b, at least 1.

    Raises
    ------
    ValueError
        If a setting is none of these.

    Examples
    --------
    >>> import newtonfl as nf
    >>> law = nf.Arrivals("random")
    >>> [law.draw(4, nf.Key(0, round=k)).tolist() for k in (1, 2, 3)]
    [[0], [1], [3]]
    >>> law.elapsed(4, seed=0, round=3) < nf.Arrivals("together").elapsed(4, seed=0, round=3)
    True
    """

    order: Order = "pure"
    law: Law = "exponential"
    spread: float = 10.0
    wait: int = 1
    delays = True
    name = "arrivals"

    def __post_init__(self) -> None:
        for key, value, allowed in (
            ("order", self.order, ("pure", "random", "shuffled", "together")),
            ("law", self.law, ("exponential", "fixed", "uniform", "normal")),
        ):
            if value not in allowed:
                raise ValueError(f"arrivals: {key}: given {value!r}, allowed are {', '.join(allowed)}")
        if not is_number(self.spread) or not 1 <= self.spread <= MOST_SPREAD:
            raise ValueError(f"arrivals: spread: given {self.spread!r}, must be a number from 1 to {MOST_SPREAD:g}")
        if not isinstance(self.wait, int | np.integer) or isinstance(self.wait, bool) or self.wait < 1:
            raise ValueError(f"arrivals: wait: given {self.wait!r}, must be a whole number of at least 1")

    def draw(self, n_clients: int, key: Key) -> Array | None:
        if self.order == "together":
            return None
        return np.array([self.events(n_clients, key.seed).at(key.round)[0]])

    def share(self, n_clients: int) -> float:
        return 1.0 if self.order == "together" else 1.0 / n_clients

    def rarest(self, n_clients: int) -> float:
        if self.order == "together":
            return 1.0
        speeds = means(self.spread, n_clients) ** -1.0
        # Who gets the next job by draws is given as many as the others, and else as many as it has answered.
        between = float(speeds.sum() / speeds.min()) if self.order == "pure" else float(n_clients)
        return 1.0 / (between + self.wait - 1)

    def elapsed(self, n_clients: int, seed: int, round: int) -> float:
        """The simulated seconds until `round` has ended, with `n_clients` and the run's `seed`."""
        return self.events(n_clients, seed).time(round)

    def given_at(self, n_clients: int, key: Key) -> tuple[int, int]:
        """The rounds of the iterates that this round's answer, and the job that is assigned after it, are about.

        Of `n_clients`, in the round of `key`.
        """
        _, past, assigned = self.events(n_clients, key.seed).at(key.round)
        return past, assigned

    def events(self, n_clients: int, seed: int) -> Events:
        """What happens to `n_clients` with the run's `seed`, remembered for the last few solves."""
        return _events(self, n_clients, seed)


def means(spread: float, n_clients: int) -> Array:
    """s_i = spread^(i/(n-1)) of n clients, in seconds."""
    seconds: Array = spread ** (np.arange(n_clients) / max(n_clients - 1, 1))
    return seconds


class Events:
    """Who answers in which round, and about what: a simulation that goes on as far as it is asked.

    Parameters
    ----------
    law : Arrivals
    n_clients : int
    seed : int
    """

    def __init__(self, law: Arrivals, n_clients: int, seed: int) -> None:
        self.law, self.n, self.key = law, n_clients, Key(seed, 0, SERVER, "/arrivals")
        self.means = means(law.spread, n_clients)
        # By round from 1 on: who answers, about the iterate of which round, and that of the job assigned after it.
        self._who, self._given, self._assigned = array("l"), array("l"), array("l")
        self._times = array("d", [max(self._takes(i, 0) for i in range(n_clients))])
        self._queues = [deque([1]) for _ in range(n_clients)]
        self._working = [(self._times[0] + self._takes(i, 1), i) for i in range(n_clients)]
        self._jobs = [2] * n_clients  # the number of each client's next job
        heapq.heapify(self._working)
        self._deck: list[int] = []
        self._lock = Lock()

    def at(self, round: int) -> tuple[int, int, int]:
        """Who answers in `round`, about the iterate of which round, and that of the job that is assigned after it."""
        self._simulate(round)
        return self._who[round - 1], self._given[round - 1], self._assigned[round - 1]

    def time(self, round: int) -> float:
        """When `round` ends."""
        self._simulate(round)
        return self._times[round]

    def _simulate(self, round: int) -> None:
        with self._lock:
            while len(self._times) <= round:
                k = len(self._times)
                if self.law.order == "together":
                    self._times.append(self._times[-1] + max(self._takes(i, k) for i in range(self.n)))
                else:
                    self._arrive(k)

    def _arrive(self, k: int) -> None:
        """One answer, and one job assigned."""
        now, i = heapq.heappop(self._working)
        b = self.law.wait
        assigned = max(1, (k + 1) // b * b)
        self._times.append(now)
        self._who.append(i)
        self._given.append(self._queues[i].popleft())
        self._assigned.append(assigned)
        j = self._next(i, k)
        self._queues[j].append(assigned)
        for worker in {i, j}:  # i works at what is left in its queue; j, if it had none, at its first
            idle = worker == i or len(self._queues[worker]) == 1
            if idle and self._queues[worker]:
                heapq.heappush(self._working, (now + self._takes(worker, self._jobs[worker]), worker))
                self._jobs[worker] += 1

    def _next(self, i: int, k: int) -> int:
        """Who is given the next job."""
        if self.law.order == "pure":
            return i
        generator = self.key.at(k).to("next").generator()
        if self.law.order == "random":
            return int(generator.integers(self.n))
        if not self._deck:
            self._deck = generator.permutation(self.n).tolist()
        return self._deck.pop()

    def _takes(self, i: int, job: int) -> float:
        """How long client i takes for a job."""
        draw, mean = self.key.at(job).of(i).to("time").generator(), float(self.means[i])
        if self.law.law == "fixed":
            return mean
        if self.law.law == "exponential":
            return mean * float(draw.standard_exponential())
        return float(draw.uniform(0.0, 2.0 * mean) if self.law.law == "uniform" else abs(draw.normal(mean, mean)))


@lru_cache(maxsize=8)
def _events(law: Arrivals, n_clients: int, seed: int) -> Events:
    return Events(law, n_clients, seed)
