"""TAMUNA, and CompressedScaffnew: local steps with masks of which every coordinate has the same number of ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np

from newtonfl.comm.messages import Batch as Masked
from newtonfl.comm.messages import Dense, batched
from newtonfl.comm.parts import ManyParts, Parts, Sizes, column
from newtonfl.components.participation import All, Participation, Uniform
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, to_device, to_host, zeros
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.local.base import LEAST_CHANCE, LocalServer
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewClients, ScaffnewServer
from newtonfl.methods.settings import LOCAL, ParticipationForm, TheoryOr
from newtonfl.methods.standalone.exact import for_each, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


def mask(columns: Array, dim: int, s: int, c: int) -> Array:
    """The columns j of the mask of `dim` rows and `c` columns with s ones a row, shape (len(columns), dim), of bool.

    Row k has its ones in columns ks to ks + s - 1 modulo c; with c > sd some columns have none. Nor has column -1.
    """
    first = (np.arange(dim) * s) % c
    return (columns[:, None] >= 0) & ((columns[:, None] - first) % c < s)


def _ones(s: object) -> int | str:
    """The setting s."""
    return "theory" if isinstance(s, str) and s == "theory" else whole("s", s, least=2)


@dataclass
class TamunaServer(ScaffnewServer):
    """What the server remembers beside Scaffnew's.

    Attributes
    ----------
    column, last : numpy.ndarray of int64, shape (n,)
        The mask's column that each client had when it last took part, and in which round; -1 where it never did.
    means : numpy.ndarray, shape (n, d)
        x̄ as that round made it.
    """

    column: Array
    last: Array
    means: Array


@dataclass
class TamunaClients(ScaffnewClients):
    """What clients remember, of Scaffnew's numbers γ and η/γ, and their column, shape (n, 1)."""

    column: Array


@dataclass(frozen=True)
class Tamuna(Scaffnew):
    """See :func:`tamuna` and :func:`compressed_scaffnew`; c is resolved."""

    s: int | str = "theory"
    c: int = 0
    _numbers: ClassVar[dict[str, int]] = {"steps": 1, "stepsize": 2, "column": 2}

    def components(self) -> dict[str, str]:
        down = "the mean and how many steps down, and what of an earlier mean a client has missed"
        return {"sends": f"{down}; s/c of the point that they lead to up", "ridge": "clients"}

    def among_available(self, availability: Participation) -> Self:
        return Method.among_available(self, availability)

    def resolved(self, problem: Problem) -> Self:
        if not isinstance(self.participation, All | Uniform):
            raise ValueError(f"participation: given {self.participation}, allowed are all and uniform:c")
        self.participation.check(problem.n_clients)
        c = round(self.participation.share(problem.n_clients) * problem.n_clients)
        s = max(2, c // problem.dim) if isinstance(self.s, str) else self.s
        if not 2 <= s <= c:
            raise ValueError(f"s: given {self.s} with {c} clients a round, must be from 2 to those {c}")
        return replace(super().resolved(problem), s=s, c=c)

    def probability(self, server: LocalServer) -> float:
        """p: √(n/(sκ)) in theory."""
        if not isinstance(self.p, str):
            return float(self.p)
        kappa = self.context(server.constants).most / server.constants.strong_convexity
        return max(LEAST_CHANCE, min(1.0, math.sqrt(server.constants.n_clients / (int(self.s) * kappa))))

    def client_constants(self, server: Any) -> Array:
        s, c, gamma = int(self.s), self.c, server.step_size.stepsize
        return np.array([gamma, server.p * c * (s - 1) / (s * (c - 1)) / gamma])

    def announcement_sizes(self, dim: int) -> Sizes:
        def size(part: str, clients: Array, decoded: Sequence[Parts]) -> Any:
            if part != "missed":
                return self._numbers.get(part, dim)
            columns = np.array([message.coordinates()[1][1] for message in column(decoded, "column")])
            return np.count_nonzero(mask(columns, dim, int(self.s), self.c), axis=1)

        return size

    def first_state(self, problem: Problem, x0: Array) -> TamunaClients:
        n, rows = len(problem.clients), for_each(x0, problem) + 0.0
        return TamunaClients(zeros((n, 2), problem.like), 0.0 * rows, rows, zeros((n, 1), problem.like) - 1.0)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> TamunaServer:
        server, n = super().init_server(constants, x0, setup_messages), constants.n_clients
        never, means = np.full(n, -1), np.zeros((n, constants.dim))
        return TamunaServer(server.x, server.step_size, server.constants, server.p, never, never, means)

    def round(self, server: Any, exchange: Exchange, key: Key) -> TamunaServer:
        n, dim, chance = server.constants.n_clients, server.constants.dim, key.of(SERVER)
        S = self.participation.drawn(n, chance.to("participation"))
        S = np.arange(n) if S is None else S
        columns = chance.to("mask").generator().permutation(self.c)
        announcement = self._announced(server, key, S, columns)
        ones = mask(columns, dim, int(self.s), self.c)
        counts = np.count_nonzero(ones, axis=1)
        replies = exchange(announcement, lambda part, clients, decoded: counts[np.searchsorted(S, clients)])
        masked = np.zeros((len(S), dim))
        masked[ones] = np.concatenate([message.coordinates()[1] for message in batched(replies.messages("model"))])
        x = np.sum(masked, axis=0) / int(self.s)
        dealt, last, means = (kept.copy() for kept in (server.column, server.last, server.means))
        dealt[S], last[S], means[S] = columns, key.round, x
        after: TamunaServer = replace(server, x=x, column=dealt, last=last, means=means)
        return after

    def _announced(self, server: TamunaServer, key: Key, S: Array, columns: Array) -> Announcement:
        """x̄ and ℓ to all of `S`; to each its column, to newcomers γ and η/γ, and what of x̄ a client has missed."""
        parts: Parts = {"model": Dense(server.x), "steps": Dense(np.array([float(self.steps(server, key))]))}
        owed = np.where(server.last[S] < key.round - 1, server.column[S], -1)
        missed = mask(owed, len(server.x), int(self.s), self.c)
        to_one: dict[int, Parts] = {}
        for j, client in enumerate(S.tolist()):
            to_one[client] = {"column": Dense(np.array([float(columns[j]), float(owed[j])]))}
            if server.column[client] < 0:
                to_one[client]["stepsize"] = Dense(self.client_constants(server))
            elif owed[j] >= 0:
                to_one[client]["missed"] = Dense(server.means[client, missed[j]])
        return Announcement(key.round, parts, to_one, S, S)

    def local(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        x, s = to_host(received(announcement.to_all["model"], problem)), int(self.s)
        numbers, means = to_host(clients.numbers) + 0.0, np.tile(x, (len(problem.clients), 1))
        before = mask(to_host(clients.column)[:, 0], problem.dim, s, self.c)
        dealt = np.zeros((len(means), 1))
        for i, client in enumerate(problem.clients.tolist()):
            mine = announcement.to_one[client]
            dealt[i] = mine["column"].coordinates()[1][0]
            if "stepsize" in mine:
                numbers[i] = mine["stepsize"].coordinates()[1]
            if "missed" in mine:
                means[i, before[i]] = mine["missed"].coordinates()[1]
        numbers = to_device(numbers, problem.like)
        gamma, weight = numbers[:, :1], numbers[:, 1:2]
        # With x̄ of the round in which a client took part: so Σh_i = 0 stays true.
        h = clients.h + weight * to_device(np.where(before, 1.0, 0.0), problem.like) * (
            to_device(means, problem.like) - clients.y
        )
        y = for_each(to_device(x, problem.like), problem)
        for step in range(self.steps_in(announcement)):
            y = y - gamma * (self.gradient(problem, y, key, step) - h)
        ones = mask(dealt[:, 0], problem.dim, s, self.c)
        sent = Masked(Dense, np.count_nonzero(ones, axis=1), to_host(y)[ones])
        state = TamunaClients(numbers, h, y, to_device(dealt, problem.like))
        return ManyParts({"model": sent}, len(means)), state


@method("tamuna", LOCAL)
def tamuna(
    *,
    stepsize: float | str = "theory",
    p: TheoryOr = "theory",
    s: int | Literal["theory"] = "theory",
    participation: ParticipationForm = Uniform(0.5),
) -> Tamuna:
    """TAMUNA (Condat, Agarský, Malinovsky and Richtárik, arXiv 2302.09832): local steps, masks and sampled clients.

    In a round c clients take a geometric number of steps x_i ← x_i - γ(∇f_i(x_i) - h_i) from x̄. Each then sends the
    coordinates on which its column of a mask has ones: the mask has s in every row, filled in turn, and its columns are
    dealt anew in every round. x̄⁺ = (1/s) Σ mask_i∘x_i and h_i ← h_i + (η/γ) mask_i∘(x̄⁺ - x_i), which takes place when
    the client next takes part, with the x̄ of this round: where that is no longer the last one, the client is sent its
    masked part. (With the x̄ that it hears next in its place Σh_i leaves 0, and the iterates stop short of x*.)

    η = p·c(s-1)/(s(c-1)), the largest of its interval. The rate a round in which all take part is max{(1-γμ)², (1-γL)²,
    1 - p²(s-1)/(n-1)} a step, with p = min{1, √(n/(sκ))} and s = max{2, ⌊c/d⌋}: constants from memory of the paper.

    What is sent: x̄, the number of steps and a column's number down, and ⌈sd/c⌉ numbers of an x̄ that was missed;
    ⌈sd/c⌉ numbers up.

    Parameters
    ----------
    s : int or "theory"
        How many clients send a coordinate, from 2 to c.
    participation : Participation or str
        All() or Uniform(c): how many take part.
    """
    return Tamuna(stepsize, participation=cast(Participation, participation), name="tamuna", p=p, s=_ones(s))


@method("compressed-scaffnew", LOCAL)
def compressed_scaffnew(
    *, stepsize: float | str = "theory", p: TheoryOr = "theory", s: int | Literal["theory"] = "theory"
) -> Tamuna:
    """CompressedScaffnew (Condat, Agarský and Richtárik, arXiv 2210.13277): TAMUNA in which all clients take part.

    s = n is Scaffnew. What is sent: x̄, the number of steps and a column's number down, ⌈sd/n⌉ numbers up.

    Parameters
    ----------
    s : int or "theory"
        How many clients send a coordinate, from 2 to n.
    """
    return Tamuna(stepsize, name="compressed-scaffnew", p=p, s=_ones(s))
