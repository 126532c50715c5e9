"""Scaffnew, which is ProxSkip for consensus: a random number of local steps, and an exchange after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.core.backend import Array, zeros
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.local.base import (
    LEAST_CHANCE,
    LargestSmoothness,
    LocalMethod,
    LocalServer,
    an_exchange_probability,
)
from newtonfl.methods.settings import LOCAL, Batch, TheoryOr
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class ScaffnewServer(LocalServer):
    """What the server remembers.

    Attributes
    ----------
    p : float
        The probability of an exchange after a local step.
    """

    p: float


@dataclass
class ScaffnewClients:
    """What clients remember: γ and p/γ, shape (n, 2); h_i, and where their last local step led, shape (n, d) each."""

    numbers: Array
    h: Array
    y: Array


@dataclass(frozen=True)
class Scaffnew(LocalMethod):
    """See :func:`scaffnew`."""

    p: TheoryOr = "theory"
    _numbers: ClassVar[dict[str, int]] = {"steps": 1, "stepsize": 2}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.p, str):
            an_exchange_probability("p", self.p)

    def rule(self) -> LargestSmoothness:
        return LargestSmoothness()

    def components(self) -> dict[str, str]:
        return {"sends": "the mean of all points and how many steps down; the point that they lead to up",
                "ridge": "clients"}  # fmt: skip

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        if self.p == "theory" and not problem.strong_convexity > 0.0:
            raise ValueError("p: theory needs a μ above 0, an l2 > 0 on every coordinate: give p=NUMBER")
        return super().resolved(problem)

    def first_state(self, problem: Problem, x0: Array) -> ScaffnewClients:
        rows = for_each(x0, problem) + 0.0
        return ScaffnewClients(zeros((len(problem.clients), 2), problem.like), 0.0 * rows, rows)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> ScaffnewServer:
        server = super().init_server(constants, x0, setup_messages)
        return ScaffnewServer(server.x, server.step_size, server.constants, self.probability(server))

    def probability(self, server: LocalServer) -> float:
        """p: √(μ/max L_i) in theory, or what a round's steps can bear."""
        if not isinstance(self.p, str):
            return float(self.p)
        return exchange_chance(self.context(server.constants).most, server.constants.strong_convexity)

    def client_constants(self, server: Any) -> Array:
        gamma = server.step_size.stepsize
        return np.array([gamma, server.p / gamma])

    def steps(self, server: ScaffnewServer, key: Key) -> int:
        """ℓ ~ Geom(p): how many steps the clients take before the coin falls on heads."""
        return int(key.of(SERVER).to("steps").generator().geometric(server.p))

    def round(self, server: ScaffnewServer, exchange: Exchange, key: Key) -> ScaffnewServer:
        announcement = self.announced(server, key, steps=np.array([float(self.steps(server, key))]))
        replies = exchange(announcement, lambda part, clients, decoded: len(server.x))
        return replace(server, x=mean(replies, "model"))

    def local(
        self, clients: ScaffnewClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        gamma, weight = numbers[:, :1], numbers[:, 1:2]
        y = for_each(received(announcement.to_all["model"], problem), problem)
        h = clients.h + weight * (y - clients.y)  # of the exchange before this one: nothing in round 0
        for step in range(self.steps_in(announcement)):
            y = y - gamma * (self.gradient(problem, y, key, step) - h)
        return ManyParts({"model": messages(y)}, len(problem.clients)), ScaffnewClients(numbers, h, y)


def exchange_chance(smoothness: float, convexity: float) -> float:
    """p = √(μ/max L_i) in theory, or what a round's steps can bear."""
    return max(LEAST_CHANCE, min(1.0, math.sqrt(1.0 / (smoothness / convexity))))


@method("scaffnew", LOCAL)
def scaffnew(*, stepsize: float | str = "theory", p: TheoryOr = "theory", batch: Batch = "full") -> Scaffnew:
    """Scaffnew (Mishchenko, Malinovsky, Stich and Richtárik, arXiv 2202.09357), which is ProxSkip for consensus.

    x_i ← x_i - γ(∇f_i(x_i) - h_i) at every client; after each step a coin of probability p decides whether all
    exchange: then x̄ = mean x_i, h_i ← h_i + (p/γ)(x̄ - x_i), x_i ← x̄. A round here is all steps up to an exchange:
    their number is geometric with mean 1/p. Σh_i = 0 stays true, so h_i is never sent; h_i → ∇f_i(x*).

    For γ ≤ 1/max L_i the sum Σ‖x_i - x*‖² + (γ/p)²Σ‖h_i - ∇f_i(x*)‖² shrinks by 1 - min{γμ, p²} a step on average: with
    p = √(μ/L) that is of the order of κ steps and √κ exchanges a digit. In exchanges it is as fast as accelerated
    gradient descent, at √κ times its gradients. p = 1 is gradient descent. With ``batch`` it ends in a neighbourhood.

    What is sent: x̄ and the number of steps down, x_i up.
    """
    return Scaffnew(stepsize, batch, name="scaffnew", p=p)
