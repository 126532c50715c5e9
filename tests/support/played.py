"""A solve, round by round: the iterates and what was said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from newtonfl.core.random import Key
from newtonfl.methods import Announcement, Method, ProblemConstants, Replies
from newtonfl.objectives.base import Problem
from newtonfl.solver.session import Session

SEED = 8  # of this seed the coins fall on either side early, while there is still a way to go


def played(
    problem: Problem, method: Method, x0: np.ndarray, rounds: int = 15, **known: Any
) -> Iterator[tuple[np.ndarray, list[tuple[Announcement, Replies]]]]:
    """After every round of a solve: the iterate, and the exchanges of that round; `known` are facts of the server's."""
    method = method.resolved(problem)
    with Session(problem, method, SEED) as session:

        def exchange(announcement: Announcement, sizes: Any) -> Replies:
            heard.append((announcement, session.exchange(announcement, sizes)))
            return heard[-1][1]

        facts = ProblemConstants(problem.n_clients, problem.dim, problem.ridge, lambda: 0.0, problem.like, **known)
        server = method.init_server(facts, x0, session.init_clients(x0))
        for k in range(rounds):
            heard: list[tuple[Announcement, Replies]] = []
            server = method.round(server, exchange, Key(SEED, k))
            yield server.x + 0.0, heard


def iterates(problem: Problem, method: Method, x0: np.ndarray, rounds: int = 15, **known: Any) -> np.ndarray:
    """x¹, …, x^rounds, a row each."""
    return np.stack([x for x, _ in played(problem, method, x0, rounds, **known)])
