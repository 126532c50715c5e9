"""The clients of one process in groups that are worked on one after the other.

Clients know nothing of each other, so a process may treat its own as several ranks would, with the same bits. What a
group computes on the way then stays in cache, and memory holds it for one group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.objectives.base import Problem

_NUMBERS = 1 << 20
"""How many numbers a group of clients works on at a time, about."""


def client_groups(problem: Problem, numbers: float) -> list[Problem]:
    """The problems of groups of clients that follow each other, remembered with the `problem`.

    Parameters
    ----------
    problem : Problem
    numbers : float
        About how many numbers a client works on at a time.

    Returns
    -------
    list of Problem
        One at least.
    """
    n = len(problem.clients)
    count = min(max(-(-int(n * numbers) // _NUMBERS), 1), max(n, 1))
    if count == 1:
        return [problem]
    groups: list[Problem] = problem.prepare(_Groups(count))
    return groups


@dataclass(frozen=True)
class _Groups:
    """Asks a problem for groups, as a basis asks it for coordinates."""

    count: int

    def of(self, problem: Problem) -> list[Problem]:
        return [problem.select(some) for some in np.array_split(np.arange(len(problem.clients)), self.count)]
