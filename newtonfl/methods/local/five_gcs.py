"""5GCS: local training as an inexact proximal step of each client's dual."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.participation import Participation, Uniform
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Identity, RandK
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, zeros
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, omega
from newtonfl.methods.local.base import MOST_STEPS, LocalMethod, LocalServer
from newtonfl.methods.settings import LOCAL, CompressorForm, ParticipationForm
from newtonfl.methods.standalone.exact import decoded, for_each, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class FiveGCSRule(StepSizeRule):
    """γ = 1/(2τn) with τ = (8/3)√((1+ω)Lμ/(n·E|S|)).

    Parameters
    ----------
    compressor : Compressor
    participation : Participation
    """

    compressor: Compressor
    participation: Participation
    formulas: ClassVar[dict[str, str]] = {"theory": "(3/16)√(share/((1+ω) max L_i μ))"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        share, w = self.participation.share(at.constants.n_clients), omega(self.compressor, at.constants.dim)
        found = {"L_max": at.most, "mu": at.convexity, "omega": w, "share": share}
        return 0.1875 * math.sqrt(share / ((1.0 + w) * at.most * at.convexity)), found


@dataclass
class FiveGCSServer(LocalServer):
    """What the server remembers.

    Attributes
    ----------
    v : numpy.ndarray, shape (d,)
        Σ u_m, the sum of the clients' duals.
    """

    v: Array


@dataclass
class FiveGCSClients:
    """What clients remember: L_F + τ, τ and μ, shape (n, 3); u_m, shape (n, d)."""

    numbers: Array
    u: Array


@dataclass(frozen=True)
class FiveGCS(LocalMethod):
    """See :func:`five_gcs` and :func:`five_gcs_cc`."""

    steps: int = 5
    compressor: Compressor = Identity()
    _numbers: ClassVar[dict[str, int]] = {"stepsize": 3}

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)

    def rule(self) -> FiveGCSRule:
        return FiveGCSRule(self.compressor, self.participation)

    def components(self) -> dict[str, str]:
        return {"sends": "x̂ down; Q of the change of the local dual up", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        if not problem.strong_convexity > 0.0:
            raise ValueError(f"{self.name}: needs a μ above 0: give an l2 > 0 on every coordinate")
        made = replace(super().resolved(problem), compressor=self.compressor.for_dimension(problem.dim))
        Coordinates(np.full(problem.n_clients, problem.dim)).check(made.compressor)
        omega(made.compressor, problem.dim)  # refuses a biased one
        return made

    def first_state(self, problem: Problem, x0: Array) -> FiveGCSClients:
        n = len(problem.clients)
        return FiveGCSClients(zeros((n, 3), problem.like), zeros((n, problem.dim), problem.like))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> FiveGCSServer:
        server = super().init_server(constants, x0, setup_messages)
        return FiveGCSServer(server.x, server.step_size, server.constants, np.zeros(constants.dim))

    def client_constants(self, server: Any) -> Array:
        at, n = self.context(server.constants), server.constants.n_clients
        tau = 1.0 / (2.0 * n * server.step_size.stepsize)
        return np.array([1.0 / ((at.most - at.convexity) / n + tau), tau, at.convexity])

    def round(self, server: FiveGCSServer, exchange: Exchange, key: Key) -> FiveGCSServer:
        constants, gamma = server.constants, server.step_size.stepsize
        dim, S = constants.dim, self.drawn(server.constants, key)
        x = (server.x - gamma * server.v) / (1.0 + gamma * constants.strong_convexity)
        announcement = self.announced(replace(server, x=x), key, S)
        replies = exchange(announcement, lambda part, clients, decoded: dim)
        many, growth = len(replies.clients), 1.0 + omega(self.compressor, dim)
        if not many:
            return replace(server, x=x)
        space, changes, ones = Coordinates(np.full(many, dim)), replies.messages("change"), np.ones(many)
        lifts = ones if S is None else self.lifts(constants, replies.clients)
        ahead = space.accumulate(np.zeros(dim), changes, lifts)
        v = server.v + space.accumulate(np.zeros(dim), changes, ones) / growth
        return replace(server, x=x - gamma * ahead, v=v)

    def lifts(self, constants: ProblemConstants, clients: Array) -> Array:
        """By what the changes of the `clients` drawn stand for those of all, shape (|S|,)."""
        return np.full(len(clients), constants.n_clients / len(clients))

    def local(
        self, clients: FiveGCSClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        step, tau, mu = numbers[:, :1], numbers[:, 1:2], numbers[:, 2:3]
        x = y = for_each(received(announcement.to_all["model"], problem), problem)

        def dual(y: Array, number: int) -> Array:
            """∇F_m(y) with F_m = (f_m - μ/2‖·‖²)/n."""
            return (self.gradient(problem, y, key, number) - mu * y) / problem.n_clients

        for number in range(self.steps):
            y = y - step * (dual(y, number) + tau * (y - x) - clients.u)
        n, space = len(problem.clients), Coordinates(np.full(len(problem.clients), problem.dim))
        change = equal_blocks(dual(y, self.steps) - clients.u)
        sent = space.compress(self.compressor, change, problem.clients, key.to("change"))
        u = clients.u + decoded(sent, problem.dim, x) / (1.0 + omega(self.compressor, problem.dim))
        return ManyParts({"change": sent}, n), FiveGCSClients(numbers, u)


@method("5gcs", LOCAL)
def five_gcs(
    *, stepsize: float | str = "theory", steps: int = 5, participation: ParticipationForm = Uniform(0.5)
) -> FiveGCS:
    """5GCS (Grudzień, Malinovsky and Richtárik, arXiv 2212.14370): accelerated in exchanges, with sampled clients.

    With F_m = (f_m - μ/2‖·‖²)/n, duals u_m and v = Σu_m: x̂ = (x - γv)/(1 + γμ) goes to S; client m takes K gradient
    steps of length 1/(L_F + τ) from x̂ on F_m(y) + τ/2‖y - x̂ - u_m/τ‖² with L_F = (L - μ)/n, and u_m ← ∇F_m(y); x⁺ = x̂
    - γ(n/|S|)Σ_S(u_m⁺ - u_m).

    γ = 1/(2τn), and by theory τ = (8/3)√(Lμ/(n|S|)): then, with K of the order of √(|S|L/(nμ)) log κ, n/|S| + √(nκ/|S|)
    rounds a digit. Constants are from memory of the paper; fewer steps have converged in our checks as well.

    What is sent: x̂ down, the change of u_m up.
    """
    return FiveGCS(stepsize, "full", cast(Participation, participation), "5gcs", whole("steps", steps, MOST_STEPS))


@method("5gcs-cc", LOCAL)
def five_gcs_cc(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    stepsize: float | str = "theory",
    steps: int = 5,
    participation: ParticipationForm = Uniform(0.5),
) -> FiveGCS:
    """5GCS-CC (arXiv 2306.03240): 5GCS with compressed messages.

    u_m ← u_m + Q(∇F_m(y) - u_m)/(1 + ω) and x⁺ = x̂ - γ(n/|S|)Σ_S Q(∇F_m(y) - u_m).

    By theory τ is √(1 + ω) times 5GCS's, which is derived here and has held in our checks; the method is from memory of
    "Improving accelerated federated learning with compression and importance sampling" by the same authors.

    What is sent: x̂ down, Q of the change of u_m up.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    """
    drawn = cast(Participation, participation)
    return FiveGCS(stepsize, "full", drawn, "5gcs-cc", whole("steps", steps, MOST_STEPS), cast(Compressor, compressor))
