"""SCAFFOLD: local steps corrected by control variates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.participation import All, Participation
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.core.arguments import whole, within
from newtonfl.core.backend import Array, zeros
from newtonfl.core.random import Key
from newtonfl.methods.local.base import MOST_STEPS, LargestSmoothness, LocalMethod, LocalServer
from newtonfl.methods.settings import LOCAL, Batch, ParticipationForm
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class ScaffoldServer(LocalServer):
    """What the server remembers.

    Attributes
    ----------
    control : numpy.ndarray, shape (d,)
        c = mean c_i.
    """

    control: Array


@dataclass
class ScaffoldClients:
    """What clients remember: γ, shape (n, 1), and c_i, shape (n, d)."""

    numbers: Array
    control: Array


@dataclass(frozen=True)
class Scaffold(LocalMethod):
    """See :func:`scaffold`."""

    steps: int = 5
    server_stepsize: float = 1.0

    def rule(self) -> LargestSmoothness:
        divisor = 81.0 * self.steps * self.server_stepsize
        return LargestSmoothness(1.0 / divisor, "1/(81 K η_g max L_i)")

    def components(self) -> dict[str, str]:
        return {"sends": "x and c down; y_i - x and the change of c_i up", "ridge": "clients"}

    def first_state(self, problem: Problem, x0: Array) -> ScaffoldClients:
        n = len(problem.clients)
        return ScaffoldClients(zeros((n, 1), problem.like), zeros((n, problem.dim), problem.like))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> ScaffoldServer:
        server = super().init_server(constants, x0, setup_messages)
        return ScaffoldServer(server.x, server.step_size, server.constants, np.zeros(constants.dim))

    def round(self, server: ScaffoldServer, exchange: Exchange, key: Key) -> ScaffoldServer:
        S = self.drawn(server.constants, key)
        announcement = self.announced(server, key, S, gradient=server.control)
        replies = exchange(announcement, lambda part, clients, decoded: len(server.x))
        if not len(replies.clients):
            return server
        x = server.x + self.server_stepsize * mean(replies, "model")
        share = len(replies.clients) / server.constants.n_clients
        return replace(server, x=x, control=server.control + share * mean(replies, "change"))

    def local(
        self, clients: ScaffoldClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        gamma = self.numbers(clients.numbers, announcement, problem)
        x = y = for_each(received(announcement.to_all["model"], problem), problem)
        control, total = received(announcement.to_all["gradient"], problem), 0.0 * x
        for step in range(self.steps):
            gradient = self.gradient(problem, y, key, step)
            y, total = y - gamma * (gradient - clients.control + control), total + gradient
        # c_i + (its change as it is sent): both ends hold the same c = mean c_i.
        change = total / self.steps - clients.control
        parts = ManyParts({"model": messages(y - x), "change": messages(change)}, len(problem.clients))
        return parts, ScaffoldClients(gamma, clients.control + change)


@method("scaffold", LOCAL)
def scaffold(
    *,
    stepsize: float | str = "theory",
    steps: int = 5,
    server_stepsize: float = 1.0,
    batch: Batch = "full",
    participation: ParticipationForm = All(),
) -> Scaffold:
    """SCAFFOLD (Karimireddy et al., arXiv 1910.06378): y ← y - γ(∇f_i(y) - c_i + c), `steps` times from x.

    Then c_i is the mean of the gradients just taken, which is the paper's option II, c_i - c + (x - y_i)/(Kγ); x⁺ = x +
    η_g mean_S(y_i - x), and c stays the mean of all c_i, also of those away. At the minimiser c_i = ∇f_i(x*): unlike
    clients leave no floor. In theory it needs as many rounds as gradient descent. "theory" is 1/(81 K η_g max L_i),
    from memory of the paper's theorem for strongly convex f; "theory*40" has held in our checks.

    What is sent: x and c down, y_i - x and the change of c_i up: 2d each way.
    """
    eta = within("server_stepsize", server_stepsize, 0.0, math.inf)
    return Scaffold(
        stepsize, batch, cast(Participation, participation), "scaffold", whole("steps", steps, MOST_STEPS), eta
    )
