"""SCALLION and SCAFCOM: SCAFFOLD with one compressed vector up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.participation import All, Participation
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.compressors import Compressor, RandK, TopK
from newtonfl.core.arguments import whole, within
from newtonfl.core.backend import Array, zeros
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, a_probability, made_contractive, omega
from newtonfl.methods.local.base import MOST_STEPS, LargestSmoothness, LocalMethod
from newtonfl.methods.local.scaffold import ScaffoldServer
from newtonfl.methods.settings import LOCAL, Batch, CompressorForm, ParticipationForm, TheoryOr
from newtonfl.methods.standalone.exact import decoded, for_each, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class ScallionClients:
    """What clients remember: γ, shape (n, 1); c_i and v_i, shape (n, d)."""

    numbers: Array
    control: Array
    momentum: Array


@dataclass(frozen=True)
class Scallion(LocalMethod):
    """See :func:`scallion` and :func:`scafcom`.

    δ_i = C(α(v_i - c_i)) goes up, c_i ← c_i + δ_i, and x⁺ = x - η_g γ K(mean_S δ_i/α + c) with v_i ← (1-β)v_i + βḡ_i.
    """

    compressor: Compressor = RandK("0.1d")
    steps: int = 5
    server_stepsize: float = 1.0
    alpha: TheoryOr = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)
        a_probability("beta", self.beta)
        if not isinstance(self.alpha, str):
            a_probability("alpha", self.alpha)

    def rule(self) -> LargestSmoothness:
        divisor = 8.0 * self.steps * self.server_stepsize
        return LargestSmoothness(1.0 / divisor, "1/(8 K η_g max L_i), which no theorem gives,")

    def components(self) -> dict[str, str]:
        return {"sends": "x and c down; C of how far the mean local gradient is from c_i up", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        compressor = self.compressor.for_dimension(problem.dim)
        self._space(problem.n_clients, problem.dim).check(compressor)
        if self.name == "scafcom":
            compressor = made_contractive(compressor)
        else:
            omega(compressor, problem.dim)  # refuses a biased one
        return replace(super().resolved(problem), compressor=compressor)

    def first_state(self, problem: Problem, x0: Array) -> ScallionClients:
        n = len(problem.clients)
        nothing = zeros((n, problem.dim), problem.like)
        return ScallionClients(zeros((n, 1), problem.like), nothing, nothing)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> ScaffoldServer:
        server = super().init_server(constants, x0, setup_messages)
        return ScaffoldServer(server.x, server.step_size, server.constants, np.zeros(constants.dim))

    def round(self, server: ScaffoldServer, exchange: Exchange, key: Key) -> ScaffoldServer:
        n, dim = server.constants.n_clients, server.constants.dim
        S = self.drawn(server.constants, key)
        announcement = self.announced(server, key, S, gradient=server.control)
        replies = exchange(announcement, lambda part, clients, decoded: dim)
        many = len(replies.clients)
        if not many:
            return server
        sent = replies.messages("change")
        total = self._space(many, dim).accumulate(np.zeros(dim), sent, np.full(many, 1.0))
        direction = total / (many * self._rate(dim)) + server.control
        x = server.x - self.server_stepsize * server.step_size.stepsize * self.steps * direction
        return replace(server, x=x, control=server.control + total / n)

    def local(
        self, clients: ScallionClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        gamma = self.numbers(clients.numbers, announcement, problem)
        x = y = for_each(received(announcement.to_all["model"], problem), problem)
        control, total = received(announcement.to_all["gradient"], problem), 0.0 * x
        own = clients.control
        for step in range(self.steps):
            gradient = self.gradient(problem, y, key, step)
            y, total = y - gamma * (gradient - own + control), total + gradient
        v = (1.0 - self.beta) * clients.momentum + self.beta * (total / self.steps)
        n, target = len(problem.clients), equal_blocks(self._rate(problem.dim) * (v - own))
        sent = self._space(n, problem.dim).compress(self.compressor, target, problem.clients, key.to("change"))
        after = own + decoded(sent, problem.dim, own)
        return ManyParts({"change": sent}, n), ScallionClients(gamma, after, v)

    def _rate(self, dim: int) -> float:
        """α: 1/(1+ω) in theory."""
        return 1.0 / (1.0 + omega(self.compressor, dim)) if self.alpha == "theory" else float(self.alpha)

    @staticmethod
    def _space(n: int, dim: int) -> Coordinates:
        return Coordinates(np.full(n, dim))


@method("scallion", LOCAL)
def scallion(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    stepsize: float | str = "theory",
    steps: int = 5,
    server_stepsize: float = 1.0,
    alpha: TheoryOr = "theory",
    batch: Batch = "full",
    participation: ParticipationForm = All(),
) -> Scallion:
    """SCALLION (Huang, Li and Li, arXiv 2308.08165): SCAFFOLD with one vector up, compressed by an unbiased C.

    ḡ_i is the mean of a client's local gradients; δ_i = C(α(ḡ_i - c_i)) goes up and c_i ← c_i + δ_i; x⁺ = x -
    η_g γ K(mean_S δ_i/α + c). α = 1 without compression is SCAFFOLD. No step of a theorem was at hand: "theory" is
    1/(8 K η_g max L_i), which has held in our checks.

    What is sent: x and c down, δ_i up.

    Parameters
    ----------
    compressor : Compressor or str
        C, unbiased, say RandK("0.1d") or "natural".
    alpha : float or "theory"
        α in (0, 1]; "theory" is 1/(1+ω).
    """
    eta = within("server_stepsize", server_stepsize, 0.0, math.inf)
    return Scallion(
        stepsize, batch, cast(Participation, participation), "scallion", cast(Compressor, compressor),
        whole("steps", steps, MOST_STEPS), eta, alpha,
    )  # fmt: skip


@method("scafcom", LOCAL)
def scafcom(
    *,
    compressor: CompressorForm = TopK("0.1d"),
    stepsize: float | str = "theory",
    steps: int = 5,
    server_stepsize: float = 1.0,
    beta: float = 0.5,
    batch: Batch = "full",
    participation: ParticipationForm = All(),
) -> Scallion:
    """SCAFCOM (Huang, Li and Li, arXiv 2308.08165): SCALLION for a contractive C, with local momentum.

    v_i ← (1-β)v_i + βḡ_i; δ_i = C(v_i - c_i) goes up and c_i ← c_i + δ_i; x⁺ = x - η_g γ K(mean_S δ_i + c). One local
    step, β = 1 and all clients are EF21 from g_i = 0 with the step η_g γ. No step of a theorem was at hand: "theory" is
    1/(8 K η_g max L_i), which has held in our checks.

    What is sent: x and c down, δ_i up.

    Parameters
    ----------
    compressor : Compressor or str
        C, contractive, say TopK("0.1d"); an unbiased one is scaled by 1/(1+ω).
    beta : float
        β in (0, 1], the weight of the newest mean gradient.
    """
    eta = within("server_stepsize", server_stepsize, 0.0, math.inf)
    return Scallion(
        stepsize, batch, cast(Participation, participation), "scafcom", cast(Compressor, compressor),
        whole("steps", steps, MOST_STEPS), eta, 1.0, beta,
    )  # fmt: skip
