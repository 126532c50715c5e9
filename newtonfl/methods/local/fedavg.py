"""FedAvg and FedProx: the mean of where local gradient steps lead. What other methods with local steps improve on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.participation import All, Participation
from newtonfl.components.protocol import Announcement, Exchange
from newtonfl.core.arguments import a_factor, whole, within
from newtonfl.core.backend import Array, zeros
from newtonfl.core.random import Key
from newtonfl.methods.local.base import MOST_STEPS, LargestSmoothness, LocalMethod, LocalServer
from newtonfl.methods.settings import LOCAL, Batch, ParticipationForm
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class FedAvgClients:
    """What clients remember: γ, shape (n, 1)."""

    numbers: Array


@dataclass(frozen=True)
class FedAvg(LocalMethod):
    """See :func:`fedavg` and :func:`fedprox`."""

    steps: int = 1
    server_stepsize: float = 1.0
    prox: float = 0.0

    def rule(self) -> LargestSmoothness:
        # Local steps are those of f_i + ν/2‖· - x‖².
        return LargestSmoothness(1.0, "1/(max L_i + ν)" if self.prox else "1/max L_i", self.prox)

    def components(self) -> dict[str, str]:
        return {"sends": "x down; the point that local steps lead to up", "ridge": "clients"}

    def notes(self) -> list[str]:
        floor = "with several local steps and unlike clients this method stops at a distance from the minimiser"
        return [floor] * (self.steps > 1)

    def first_state(self, problem: Problem, x0: Array) -> FedAvgClients:
        return FedAvgClients(zeros((len(problem.clients), 1), problem.like))

    def round(self, server: LocalServer, exchange: Exchange, key: Key) -> LocalServer:
        S = self.drawn(server.constants, key)
        replies = exchange(self.announced(server, key, S), lambda part, clients, decoded: len(server.x))
        if not len(replies.clients):
            return server
        x = server.x + self.server_stepsize * (mean(replies, "model") - server.x)
        return LocalServer(x, server.step_size, server.constants)

    def local(
        self, clients: FedAvgClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        gamma = self.numbers(clients.numbers, announcement, problem)
        x = y = for_each(received(announcement.to_all["model"], problem), problem)
        for step in range(self.steps):
            y = y - gamma * (self.gradient(problem, y, key, step) + self.prox * (y - x))
        return ManyParts({"model": messages(y)}, len(problem.clients)), FedAvgClients(gamma)


@method("fedavg", LOCAL)
def fedavg(
    *,
    stepsize: float | str = "theory",
    steps: int = 5,
    server_stepsize: float = 1.0,
    batch: Batch = "full",
    participation: ParticipationForm = All(),
) -> FedAvg:
    """FedAvg (McMahan et al., arXiv 1602.05629), local gradient descent: x⁺ = x + η_g mean_S(y_i - x).

    y_i is what `steps` gradient steps y ← y - γ∇f_i(y) make of x. One step is gradient descent. With several, and
    clients that are not alike, the fixed point is not the minimiser: f - f* stops at a floor that falls with γ. That is
    what scaffold, scaffnew and the others mend. "theory" is 1/max L_i, up to which a local step makes f_i fall.

    What is sent: x down, y_i up.
    """
    eta = within("server_stepsize", server_stepsize, 0.0, math.inf)
    return FedAvg(stepsize, batch, cast(Participation, participation), "fedavg", whole("steps", steps, MOST_STEPS), eta)


@method("fedprox", LOCAL)
def fedprox(
    *,
    stepsize: float | str = "theory",
    steps: int = 5,
    server_stepsize: float = 1.0,
    prox: float = 1.0,
    batch: Batch = "full",
    participation: ParticipationForm = All(),
) -> FedAvg:
    """FedProx (Li et al., arXiv 1812.06127) by gradient steps: y ← y - γ(∇f_i(y) + ν(y - x)), else as FedAvg.

    The paper's clients come near the minimiser of f_i + ν/2‖y - x‖², by whatever means; these take `steps` gradient
    steps towards it. That draws y_i to x and so lowers FedAvg's floor; it does not take it away. "theory" is
    1/(max L_i + ν).

    What is sent: x down, y_i up.

    Parameters
    ----------
    prox : float
        ν, at least 0; 0 is FedAvg.
    """
    a_factor("prox", prox)
    eta = within("server_stepsize", server_stepsize, 0.0, math.inf)
    return FedAvg(
        stepsize,
        batch,
        cast(Participation, participation),
        "fedprox",
        whole("steps", steps, MOST_STEPS),
        eta,
        float(prox),
    )
