"""Byzantine clients: a round whose replies of some clients are replaced before they are packed.

An attack is a function of what they would have sent (byzantine, size), what the honest send (honest, size), and x;
it returns what they send. They know everything. It is about one part of a reply: ∇f_i, H_i or l_i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, Descent
from newtonfl.objectives.base import Problem

Attack = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def flipped(true: np.ndarray, honest: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The opposite of the truth."""
    return -true


def constant(number: float) -> Attack:
    """One number in every place."""
    return lambda true, honest, x: np.full_like(true, number)


def inner_product(epsilon: float) -> Attack:
    """-ε times the honest mean (inner-product manipulation, Xie et al., arXiv 1903.03936, from memory)."""
    return lambda true, honest, x: np.tile(-epsilon * honest.mean(axis=0), (len(true), 1))


def a_little(true: np.ndarray, honest: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The honest mean less z standard deviations, z such that half of all lie beyond (ALIE, arXiv 1902.06635, from
    memory)."""
    n, f = len(true) + len(honest), len(true)
    supporters = n // 2 + 1 - f
    z = NormalDist().inv_cdf(min(max((n - f - supporters) / (n - f), 0.51), 0.99))
    return np.tile(honest.mean(axis=0) - z * honest.std(axis=0), (f, 1))


def shift_back(x0: np.ndarray, gamma: float) -> Attack:
    """(x - x⁰)/γ where they outnumber the honest: a step of γ times that leads back to x⁰. Else the truth."""
    return lambda true, honest, x: np.tile((x - x0) / gamma, (len(true), 1)) if len(true) > len(honest) else true


@dataclass(frozen=True)
class Attacked(Descent):
    """The round of a method, in which the clients `byzantine` send what `attack` says, in the set-up too.

    Where `hessians` is false they replace gradients alone.
    """

    byzantine: tuple[int, ...] = ()
    attack: Attack = flipped
    hessians: bool = True

    def init_clients(self, problem: Problem, x0: np.ndarray, key: Key) -> tuple[Sequence[Parts], Any]:
        setup_messages, state = super().init_clients(problem, x0, key)
        return self._replaced(setup_messages, problem.clients, problem, x0, "initial"), state

    def respond(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        replies, state = super().respond(clients, announcement, problem, key)
        who, x = problem.clients, announcement.to_all["model"].coordinates()[1]
        if announcement.participants is not None:
            who = who[np.isin(who, announcement.participants)]
            assert len(who) == len(announcement.participants)  # all clients are here: the honest are seen
        for part in ("gradient", "curvature", "error"):
            replies = self._replaced(replies, who, problem, x, part)
        return replies, state

    def _replaced(
        self, replies: Sequence[Parts], who: np.ndarray, problem: Problem, x: np.ndarray, part: str
    ) -> Sequence[Parts]:
        theirs = np.isin(who, self.byzantine)
        if not theirs.any() or part not in replies[0] or (part != "gradient" and not self.hessians):
            return replies
        size = {"gradient": problem.dim, "error": 1}.get(part, problem.dim * (problem.dim + 1) // 2)
        space = Coordinates(np.full(len(who), size))
        vectors = np.zeros((len(who), size))
        for i, mine in enumerate(replies):
            indices, values = space.decode(mine[part])
            vectors[i, slice(None) if indices is None else indices] = values
        sent = iter(self.attack(vectors[theirs], vectors[~theirs], x))
        return [
            {**mine, part: Dense(next(sent))} if replaced else dict(mine)
            for mine, replaced in zip(replies, theirs, strict=True)
        ]


def attacked(method: Any, byzantine: Sequence[int], attack: Attack, **more: Any) -> Attacked:
    """A method that is a round, some of whose clients are Byzantine."""
    settings = {field.name: getattr(method, field.name) for field in fields(Descent)}
    return Attacked(**settings, byzantine=tuple(byzantine), attack=attack, **more)
