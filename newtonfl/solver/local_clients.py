"""The clients of one process, in groups that are worked on one after the other.

Clients know nothing of each other, so a process may treat its own as several ranks would, with the same bits. What a
group computes on the way then stays in cache, and memory holds it for one group at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from newtonfl.comm.packets import Kind, encode_many, measured
from newtonfl.comm.parts import Parts, formula_bits
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, Method
from newtonfl.objectives.base import Problem
from newtonfl.solver.questions import Question

_NUMBERS = 1 << 22
"""How many numbers a group of clients works on at a time, about."""

_KEPT = 31 << 20
"""glibc maps arrays into memory anew, page by page, from a size on that grows with what was given back so far, up to
32 MiB. An array of nearly that, which nobody writes, takes no time and spares every later one its pages."""


@dataclass(frozen=True)
class Answer:
    """What some clients reply.

    Attributes
    ----------
    clients : numpy.ndarray of int64, shape (n,)
        Who they are, increasing.
    lengths, formula_bits : numpy.ndarray of int64, shape (n,)
        Their packets' bytes, and the papers' count.
    packets : numpy.ndarray of uint8
        The packets, one after the other; empty where they are only measured.
    parts : sequence of Parts, or None
        What such packets hold; None where they are laid out.
    """

    clients: Array
    lengths: Array
    formula_bits: Array
    packets: Array
    parts: Sequence[Parts] | None = None


class LocalClients:
    """The clients that a process holds, and their states.

    Parameters
    ----------
    problem : Problem
    method : Method
        Resolved.
    seed : int
    """

    def __init__(self, problem: Problem, method: Method, seed: int) -> None:
        self.method, self.seed = method, seed
        np.empty(_KEPT, np.uint8)  # for its allocation alone
        n = len(problem.clients)
        count = min(max(-(-int(n * method.numbers_per_client(problem)) // _NUMBERS), 1), max(n, 1))
        self.groups: list[Problem] = [problem] if count == 1 else problem.prepare(_Groups(count))
        self.states: list[Any] = [None for _ in self.groups]
        for group in self.groups:
            group.forget()

    def init(self, x0: Array, lay_out: bool) -> list[Answer]:
        """Their set-up messages, from x⁰ = `x0` (d,) on the problem's device; one answer a group."""
        answers, key = [], Key(self.seed, -1)
        for g, group in enumerate(self.groups):
            parts, self.states[g] = self.method.init_clients(group, x0, key)
            answers.append(_answer(Kind.SETUP, 0, group, group.clients, parts, lay_out))
        return answers

    def respond(self, announcement: Announcement, lay_out: bool) -> list[Answer]:
        """The replies of those who take part; `lay_out` asks for every packet's bytes."""
        answers, key = [], Key(self.seed, announcement.round)
        for g, group in enumerate(self.groups):
            parts, self.states[g] = self.method.respond(self.states[g], announcement, group, key)
            clients = group.clients
            if announcement.participants is not None:
                clients = clients[np.isin(clients, announcement.participants)]
            answers.append(_answer(Kind.REPLY, announcement.round, group, clients, parts, lay_out))
        return answers

    def ask(self, question: Question, x: Array) -> Array:
        """Their answers to a question at `x` (d,), a row a client."""
        return np.concatenate([question(group, x) for group in self.groups])


def _answer(kind: Kind, round: int, group: Problem, clients: Array, parts: Sequence[Parts], lay_out: bool) -> Answer:
    group.release_hessians()
    if len(parts) != len(clients):
        raise ValueError(f"given {len(parts)} replies of {len(clients)} clients")
    lengths = None if lay_out else measured(parts)
    if lengths is not None:
        return Answer(clients, lengths, formula_bits(parts), np.zeros(0, np.uint8), parts)
    packets, lengths = encode_many(kind, round, clients, parts)
    return Answer(clients, lengths, formula_bits(parts), packets)


@dataclass(frozen=True)
class _Groups:
    """Asks a problem for groups of clients that follow each other, as a basis asks it for coordinates."""

    count: int

    def of(self, problem: Problem) -> list[Problem]:
        return [problem.select(some) for some in np.array_split(np.arange(len(problem.clients)), self.count)]
