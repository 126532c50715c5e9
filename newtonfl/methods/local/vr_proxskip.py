"""VR-ProxSkip: Scaffnew with variance-reduced minibatch gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.protocol import Announcement, Exchange
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_probability
from newtonfl.methods.local.base import LargestSmoothness
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewClients, ScaffnewServer
from newtonfl.methods.settings import LOCAL, TheoryOr
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class VRProxSkipClients(ScaffnewClients):
    """What clients remember beside Scaffnew's: the anchor w_i and ∇f_i(w_i), shape (n, d) each."""

    anchor: Array
    gradient: Array


@dataclass(frozen=True)
class VRProxSkip(Scaffnew):
    """See :func:`vr_proxskip`."""

    refresh: TheoryOr = "theory"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.refresh, str):
            a_probability("refresh", self.refresh)

    def rule(self) -> LargestSmoothness:
        return LargestSmoothness(1.0 / 6.0, "1/(6 max L_i)")

    def first_state(self, problem: Problem, x0: Array) -> VRProxSkipClients:
        first = super().first_state(problem, x0)
        return VRProxSkipClients(first.numbers, first.h, first.y, first.y, 0.0 * first.y)

    def round(self, server: ScaffnewServer, exchange: Exchange, key: Key) -> ScaffnewServer:
        announcement = self.announced(server, key, steps=np.array([float(self.steps(server, key))]))
        chance = key.of(SERVER).to("anchor coin").generator().random()
        heads = key.round == 0 or bool(chance < self._refresh(server))
        replies = exchange(replace(announcement, coins=int(heads)), lambda part, clients, decoded: len(server.x))
        return replace(server, x=mean(replies, "model"))

    def _refresh(self, server: ScaffnewServer) -> float:
        if not isinstance(self.refresh, str):
            return float(self.refresh)
        return min(1.0, 4.0 * server.constants.strong_convexity / self.context(server.constants).most)

    def local(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        gamma, weight = numbers[:, :1], numbers[:, 1:2]
        y = for_each(received(announcement.to_all["model"], problem), problem)
        h, anchor, gradient = clients.h + weight * (y - clients.y), clients.anchor, clients.gradient
        if announcement.coins:
            anchor, gradient = y, problem.at_uncached(y).gradient
        for step in range(self.steps_in(announcement)):
            # One key draws the same rows at both points.
            estimate = self.gradient(problem, y, key, step) - self.gradient(problem, anchor, key, step) + gradient
            y = y - gamma * (estimate - h)
        state = VRProxSkipClients(numbers, h, y, anchor, gradient)
        return ManyParts({"model": messages(y)}, len(problem.clients)), state


@method("vr-proxskip", LOCAL)
def vr_proxskip(
    *, stepsize: float | str = "theory", p: TheoryOr = "theory", batch: int = 16, refresh: TheoryOr = "theory"
) -> VRProxSkip:
    """VR-ProxSkip (Malinovsky, Yi and Richtárik, arXiv 2207.04338): Scaffnew whose minibatches leave no floor.

    A local step takes ∇f_iB(x_i) - ∇f_iB(w_i) + ∇f_i(w_i) for a minibatch B, with an anchor w_i that moves to x̄ at an
    exchange with the probability `refresh` (L-SVRG). "theory" is γ = 1/(6 max L_i) and 4μ/max L_i for `refresh`, as in
    the authors' program.

    What is sent: x̄ and the number of steps down, x_i up; whether the anchor moves is a bit.

    Parameters
    ----------
    batch : int
        How many of its rows a client draws for a local step.
    refresh : float or "theory"
        In (0, 1].
    """
    return VRProxSkip(stepsize, whole("batch", batch), name="vr-proxskip", p=p, refresh=refresh)
