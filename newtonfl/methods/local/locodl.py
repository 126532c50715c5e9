"""LoCoDL: local steps and any unbiased compressor together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, RandK
from newtonfl.core.arguments import within
from newtonfl.core.backend import Array, to_device, zeros
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_compressor, omega
from newtonfl.methods.local.base import LEAST_CHANCE, LocalMethod, LocalServer, an_exchange_probability
from newtonfl.methods.settings import LOCAL, CompressorForm, TheoryOr
from newtonfl.methods.standalone.exact import decoded, for_each, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class LoCoDLRule(StepSizeRule):
    """γ = 2/(L + μ) with the L and μ of all f_i and g, where the ridge is split between them.

    Parameters
    ----------
    share : float
        θ, which of the ridge g has.
    """

    share: float
    formulas: ClassVar[dict[str, str]] = {"theory": "2/(L + μ)"}

    def smoothness(self, at: StepContext) -> float:
        """L."""
        ridge = float(at.constants.ridge.max())
        return max(at.most - self.share * ridge, self.share * ridge)

    def convexity(self, at: StepContext) -> float:
        """μ."""
        return min(self.share, 1.0 - self.share) * at.convexity

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        found = {"L": self.smoothness(at), "mu": self.convexity(at)}
        return 2.0 / (found["L"] + found["mu"]), found


@dataclass
class LoCoDLServer(LocalServer):
    """What the server remembers.

    Attributes
    ----------
    v : numpy.ndarray, shape (d,)
        The control variate of g; y is the iterate.
    change : numpy.ndarray, shape (d,)
        d̄ of the last exchange, which the next announcement carries.
    numbers : numpy.ndarray, shape (4,)
        γ, ρ, the weight of the control variates, and p.
    """

    v: Array
    change: Array
    numbers: Array


@dataclass
class LoCoDLClients:
    """What clients remember.

    Attributes
    ----------
    numbers : array, shape (n, 3)
        γ, ρ and the weight of the control variates, pχ/(γ(1 + 2ω)).
    x, y : array, shape (n, d)
        x̂_i and ŷ, where local steps led.
    u, v : array, shape (n, d)
        The control variates of f_i and g.
    sent : array, shape (n, d)
        d_i, what the last message stands for.
    """

    numbers: Array
    x: Array
    y: Array
    u: Array
    v: Array
    sent: Array


@dataclass(frozen=True)
class LoCoDL(LocalMethod):
    """See :func:`locodl`."""

    compressor: Compressor = RandK("0.1d")
    p: TheoryOr = "theory"
    share: float = 0.5
    _numbers: ClassVar[dict[str, int]] = {"steps": 1, "stepsize": 3}

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)
        if not isinstance(self.p, str):
            an_exchange_probability("p", self.p)

    def rule(self) -> LoCoDLRule:
        return LoCoDLRule(self.share)

    def components(self) -> dict[str, str]:
        return {"sends": "how many steps and the mean difference down; Q(x_i - y) up", "ridge": "g and clients"}

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        if not problem.strong_convexity > 0.0:
            raise ValueError(f"{self.name}: its g is a part of the ridge: give an l2 > 0 on every coordinate")
        made = replace(super().resolved(problem), compressor=self.compressor.for_dimension(problem.dim))
        Coordinates(np.full(problem.n_clients, problem.dim)).check(made.compressor)
        omega(made.compressor, problem.dim)  # refuses a biased one
        return made

    def first_state(self, problem: Problem, x0: Array) -> LoCoDLClients:
        rows = for_each(x0, problem) + 0.0
        nothing = 0.0 * rows
        numbers = zeros((len(problem.clients), 3), problem.like)
        return LoCoDLClients(numbers, rows, rows, nothing, nothing, nothing)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> LoCoDLServer:
        server = super().init_server(constants, x0, setup_messages)
        w, n = omega(self.compressor, constants.dim), constants.n_clients
        gamma, rho = server.step_size.stepsize, 1.0 / (1.0 + w / n)
        if isinstance(self.p, str):
            at, rule = self.context(server.constants), self.rule()
            p = min(1.0, math.sqrt((1.0 + w / n) * (1.0 + w) * rule.convexity(at) / rule.smoothness(at)))
            p = max(LEAST_CHANCE, p)
        else:
            p = float(self.p)
        numbers = np.array([gamma, rho, p * rho / (gamma * (1.0 + 2.0 * w)), p])
        nothing = np.zeros(constants.dim)
        return LoCoDLServer(server.x, server.step_size, server.constants, nothing, nothing, numbers)

    def contraction_rate(self, server: LoCoDLServer) -> float:
        gamma, _, weight, p = server.numbers.tolist()
        # By the rate max{(1 - γμ)², 1 - p²χ/(1+2ω)} of squares, a step; a round has 1/p of these.
        mu = self.rule().convexity(self.context(server.constants))
        return float(min(0.5 * gamma * weight, gamma * mu / p))

    def client_constants(self, server: Any) -> Array:
        return server.numbers[:3]

    def round(self, server: LoCoDLServer, exchange: Exchange, key: Key) -> LoCoDLServer:
        constants, (gamma, rho, weight, p) = server.constants, server.numbers.tolist()
        steps = int(key.of(SERVER).to("steps").generator().geometric(p))
        parts = {"steps": np.array([float(steps)])}
        if key.round == 0:
            parts["stepsize"] = self.client_constants(server)
        else:
            parts["change"] = server.change
        announcement = Announcement(key.round, {name: Dense(numbers) for name, numbers in parts.items()})
        replies = exchange(announcement, lambda part, clients, decoded: constants.dim)
        y = server.x
        for _ in range(steps):
            y = y - gamma * (self.share * constants.ridge * y - server.v)
        space, half = Coordinates(np.full(constants.n_clients, constants.dim)), 0.5 / constants.n_clients
        weights = np.full(constants.n_clients, half)
        change = space.accumulate(np.zeros(constants.dim), replies.messages("change"), weights)
        return replace(server, x=y + rho * change, v=server.v + weight * change, change=change)

    def local(
        self, clients: LoCoDLClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        gamma, rho, weight = numbers[:, :1], numbers[:, 1:2], numbers[:, 2:3]
        x, y, u, v = clients.x, clients.y, clients.u, clients.v
        if "change" in announcement.to_all:  # d̄ of the exchange before this one
            change = received(announcement.to_all["change"], problem)
            x, u = (1.0 - rho) * x + rho * (y + change), u + weight * (change - clients.sent)
            y, v = y + rho * change, v + weight * change
        ridge = self.share * to_device(problem.ridge, problem.like)  # g's; the rest is f_i's
        for step in range(self.steps_in(announcement)):
            x = x - gamma * (self.gradient(problem, x, key, step) - ridge * x - u)
            y = y - gamma * (ridge * y - v)
        n, space = len(problem.clients), Coordinates(np.full(len(problem.clients), problem.dim))
        sent = space.compress(self.compressor, equal_blocks(x - y), problem.clients, key.to("change"))
        state = LoCoDLClients(numbers, x, y, u, v, decoded(sent, problem.dim, x))
        return ManyParts({"change": sent}, n), state


@method("locodl", LOCAL)
def locodl(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    stepsize: float | str = "theory",
    p: TheoryOr = "theory",
    share: float = 0.5,
) -> LoCoDL:
    """LoCoDL (Condat, Maranjyan and Richtárik, arXiv 2403.04348): local steps with any unbiased compressor Q.

    f = mean f_i + g with a g that everybody knows: here θ of the ridge, and f_i has the rest. x_i ← x_i - γ(∇f_i(x_i) -
    u_i) and y ← y - γ(∇g(y) - v); after each step a coin of probability p decides whether all exchange: d_i = Q(x_i -
    y) goes up, d̄ = Σd_i/(2n) down; x_i ← (1-ρ)x_i + ρ(y + d̄), u_i ← u_i + r(d̄ - d_i), y ← y + ρd̄, v ← v + r d̄ with
    ρ = 1/(1 + ω/n) and r = pρ/(γ(1 + 2ω)). y is the iterate; mean u_i + v = 0 stays true.

    p is √((1 + ω/n)(1 + ω)/κ) in theory; a step shrinks the error by max{(1 - γμ)², (1 - γL)², 1 - p²ρ/(1 + 2ω)}.
    Constants are from memory of the paper, and hold in our checks.

    What is sent: d̄ and the number of steps down, d_i up; γ, ρ and r down, once.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    share : float
        θ, strictly between 0 and 1: which part of the ridge is g's.
    """
    theta = within("share", share, 0.0, 1.0)
    return LoCoDL(stepsize, name="locodl", compressor=cast(Compressor, compressor), p=p, share=theta)
