"""The clients of one process, in groups that are worked on one after the other.

Clients know nothing of each other, so a process may treat its own as several ranks would, with the same bits. What a
group computes on the way then stays in cache, and memory holds it for one group at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.comm.heads import Kind
from newtonfl.comm.packets import are_plain, check_finite, decode_many, encode_many, measure
from newtonfl.comm.parts import ManyParts, Parts, Sizes, formula_bits
from newtonfl.comm.sections import Sections
from newtonfl.components.mixed import Mixed
from newtonfl.core.backend import Array, namespace, on_host
from newtonfl.core.random import Key
from newtonfl.core.timing import timed_as
from newtonfl.methods import Announcement, ClientProtocol
from newtonfl.objectives.base import Problem
from newtonfl.solver.questions import Question
from newtonfl.solver.saved_clients import SavedClients
from newtonfl.solver.state_tree import StateTree

T = TypeVar("T")

_NUMBERS = 1 << 21
"""How many numbers a group of clients works on at a time, about."""

_ON_DEVICE = 1 << 29
"""The same on a GPU, where launches cost more than what stays in cache saves."""

_FEW = 1 << 21
"""The least numbers for which a thread of its own pays."""

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
        The packets, one after the other, where they are to travel.
    parts : sequence of Parts, or None
        What the packets hold, where they are not: then they have been read already.
    sections : sequence of Sections
        Likewise, what each part took of them.
    refusal : WireError or None
        Why they could not be read.
    """

    clients: Array
    lengths: Array
    formula_bits: Array
    packets: Array
    parts: Sequence[Parts] | None = None
    sections: Sequence[Sections] = ()
    refusal: WireError | None = None


class LocalClients:
    """The clients that a process holds, and their states.

    Parameters
    ----------
    problem : Problem
    method : ClientProtocol
        Resolved.
    seed : int
    threads : int
        How many groups may be worked on at a time.
    """

    def __init__(self, problem: Problem, method: ClientProtocol, seed: int, threads: int) -> None:
        self.method, self.seed = method, seed
        np.empty(_KEPT, np.uint8)  # for its allocation alone
        n, numbers = len(problem.clients), len(problem.clients) * method.numbers_per_client(problem)
        self._threads = threads if problem.threads_well and numbers >= _FEW * threads else 1
        count = min(max(-(-int(numbers) // (_NUMBERS if on_host(problem.like) else _ON_DEVICE)), 1), max(n, 1))
        count = min(-(-count // self._threads) * self._threads, max(n, 1))
        self.groups: list[Problem] = [problem] if count == 1 else problem.prepare(_Groups(count))
        self.states: list[Any] = [None for _ in self.groups]
        self._pool = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None
        for group in self.groups:
            group.forget()

    def close(self) -> None:
        """Let the threads, the groups' points and the states go, which are large."""
        for group in self.groups:
            group.forget_points()
        self.groups, self.states = [], []
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    @timed_as("set-up")
    def init(self, x0: Array, sizes: Sizes | None) -> list[Answer]:
        """Their set-up messages, from x⁰ = `x0` (d,) on the problem's device; one answer a group.

        With the `sizes` of their parts packets do not travel: they are read here, while they are in cache, or only
        measured.
        """
        key = Key(self.seed, -1)

        def answer(g: int) -> Answer:
            group = self.groups[g]
            parts, self.states[g] = self.method.init_clients(group, x0, key)
            return _answer(Kind.SETUP, 0, group, group.clients, parts, sizes)

        return [answer(g) for g in range(len(self.groups))]

    def respond(self, announcement: Announcement, sizes: Sizes | None, kind: Kind = Kind.REPLY) -> list[Answer]:
        """The replies of those who take part, in packets of a `kind`; `sizes` as in :meth:`init`."""
        key = Key(self.seed, announcement.round)

        @timed_as("other work of clients")
        def answer(g: int) -> Answer:
            group = self.groups[g]
            parts, self.states[g] = self.method.respond(self.states[g], announcement, group, key)
            clients = group.clients
            if announcement.participants is not None:
                clients = clients[np.isin(clients, announcement.participants)]
            return _answer(kind, announcement.round, group, clients, parts, sizes)

        return self._of_each_group(answer)

    def mix(self, mixed: Mixed, key: Key) -> None:
        """Take in what neighbours have sent in the round of `key`."""

        @timed_as("other work of clients")
        def take(g: int) -> None:
            group = self.groups[g]
            self.states[g] = self.method.mix(self.states[g], mixed.of(group.clients), group, key)
            group.release()

        self._of_each_group(take)

    def iterates(self) -> Array:
        """x_i of all of them, shape (n, d)."""
        rows = [self.method.iterates(state) for state in self.states]
        return rows[0] if len(rows) == 1 else namespace(rows[0]).concat(rows)

    @timed_as("diagnostics")
    def ask(self, question: Question, x: Array) -> Array:
        """Their answers to a question at `x` (d,), a row a client."""
        return np.concatenate(self._of_each_group(lambda g: question(self.groups[g], x)))

    @timed_as("checkpoints")
    def saved(self) -> list[SavedClients]:
        """What a checkpoint keeps of them, a group each."""
        return [
            SavedClients(
                group.clients, StateTree.of(state), group.hessian_counts, group.gradient_counts, group.remembered()
            )
            for group, state in zip(self.groups, self.states, strict=True)
        ]

    @timed_as("checkpoints")
    def restore(self, saved: SavedClients) -> None:
        """Take up what was `saved` of these clients, or of more."""
        for g, group in enumerate(self.groups):
            mine = saved.taken(np.searchsorted(saved.clients, group.clients))
            self.states[g] = mine.tree.state(self.states[g], group.like)
            group.restore_counts(mine.hessian_counts, mine.gradient_counts)
            group.remember(mine.points)

    def _of_each_group(self, work: Callable[[int], T]) -> list[T]:
        """What `work` makes of every group; each thread takes one group in so many, and this thread is one of them."""

        def share(first: int) -> list[T]:
            return [work(g) for g in range(first, len(self.groups), self._threads)]

        if self._pool is None:
            return share(0)
        # What NumPy shall say of overflows belongs to the context of the caller.
        others = [self._pool.submit(copy_context().run, share, t) for t in range(1, self._threads)]
        try:
            shares = [share(0)]
        finally:
            wait(others)
        shares += [task.result() for task in others]
        return [shares[g % self._threads][g // self._threads] for g in range(len(self.groups))]


def _answer(
    kind: Kind, round: int, group: Problem, clients: Array, parts: Sequence[Parts], sizes: Sizes | None
) -> Answer:
    group.release()
    if len(parts) != len(clients):
        raise ValueError(f"given {len(parts)} replies of {len(clients)} clients")
    bits = formula_bits(parts)
    refusal, sections = None, list[Sections]()
    try:
        if sizes is not None and isinstance(parts, ManyParts) and are_plain(parts):
            lengths, sections = measure(kind, round, clients, parts)
            check_finite(parts, round, clients)
        else:
            packets, lengths, _ = encode_many(kind, round, clients, parts, own=sizes is not None)
            if sizes is None:
                return Answer(clients, lengths, bits, packets)
            read = decode_many(packets, lengths.tolist(), sizes, own=True)
            parts, sections = read.parts, read.sections
    except WireError as error:  # the server's to raise
        refusal = error
    return Answer(clients, lengths, bits, np.zeros(0, np.uint8), parts, sections, refusal)


@dataclass(frozen=True)
class _Groups:
    """Asks a problem for groups of clients that follow each other, as a basis asks it for coordinates."""

    count: int

    def of(self, problem: Problem) -> list[Problem]:
        return [problem.select(some) for some in np.array_split(np.arange(len(problem.clients)), self.count)]
