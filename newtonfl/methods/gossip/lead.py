"""LEAD and Prox-LEAD: compressed differences to the neighbours, and every client at the minimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Message
from newtonfl.components.graph import Graph
from newtonfl.components.mixed import Mixed
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Natural
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, a_probability, omega
from newtonfl.methods.gossip.base import Gossip, Observer
from newtonfl.methods.settings import GOSSIP, CompressorForm, GraphForm, TheoryOr
from newtonfl.methods.typed import method
from newtonfl.methods.wire import rounded
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class LeadRule(StepSizeRule):
    """η = 2/(μ + max L_i) (LEAD, arXiv 2007.00232, theorem 1, from memory)."""

    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "2/(μ + max L_i)")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        return 2.0 / (at.convexity + at.most), {"L_max": at.most, "mu": at.convexity}


@dataclass
class LeadClients:
    """What clients remember: (η, γ), shape (n, 2); x_i, y_i, h_i, Σ_j w_ij h_j and d_i, shape (n, d)."""

    numbers: Array
    x: Array
    y: Array
    shadow: Array
    mixed_shadow: Array
    dual: Array


@dataclass(frozen=True)
class Lead(Gossip):
    """See :func:`lead`."""

    compressor: Compressor = Natural()
    alpha: TheoryOr = "theory"
    gamma: TheoryOr = "theory"
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)
        for key, value in (("alpha", self.alpha), ("gamma", self.gamma)):
            if not isinstance(value, str):
                a_probability(key, value)

    @property
    def takes_prox_steps(self) -> bool:
        return True

    def rule(self) -> LeadRule:
        return LeadRule()

    def components(self) -> dict[str, str]:
        return {"sends": "Q of how far y_i is from its shadow, to the neighbours", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        made = replace(super().resolved(problem), compressor=self.compressor.for_dimension(problem.dim))
        Coordinates(np.full(1, problem.dim)).check(made.compressor)
        w = made._omega(problem.dim)  # says where it is biased
        if self.gamma == "theory" and w and not problem.strong_convexity:
            raise ValueError("gamma: its theorem needs a ridge above 0 on every coordinate: give gamma=NUMBER")
        return made

    def _omega(self, dim: int) -> float:
        return omega(rounded(self.compressor, self.wire), dim)

    def client_constants(self, step_size: StepSize, constants: ProblemConstants) -> Array:
        eta = step_size.stepsize
        if self.gamma != "theory":
            return np.array([eta, float(self.gamma)])
        w, (_, beta) = self._omega(constants.dim), self.graph.spectrum(constants.n_clients)
        gamma = 2.0 / ((3.0 * w + 1.0) * beta)
        if w:
            c = constants.strong_convexity * eta * (2.0 - constants.strong_convexity * eta)
            gamma = min(gamma, 2.0 * c / ((2.0 - c) * w * beta))
        return np.array([eta, min(gamma, 1.0)])

    def consensus_stepsize(self, server: Observer) -> float:
        return float(self.client_constants(server.step_size, server.constants)[1])

    def first_state(self, problem: Problem, x: Array, numbers: Array) -> LeadClients:
        return LeadClients(numbers, x, *(0.0 * x for _ in range(4)))

    def encode(
        self, clients: LeadClients, problem: Problem, key: Key
    ) -> tuple[dict[str, Sequence[Message]], LeadClients]:
        eta, x = clients.numbers[:, :1], clients.x
        if key.round == 0:
            x = x - eta * self.gradient(problem, x, "full", key)  # X¹
        y = x - eta * self.gradient(problem, x, "full", key) - clients.dual
        messages = self.compressed(self.compressor, y - clients.shadow, problem, key.to("change"))
        return {"change": messages}, replace(clients, x=x, y=y)

    def mix(self, clients: LeadClients, mixed: Mixed, problem: Problem, key: Key) -> LeadClients:
        eta, gamma = clients.numbers[:, :1], clients.numbers[:, 1:]
        q, mixed_q = mixed.sent["change"], mixed.mixed["change"]
        apart = 0.5 * gamma * ((clients.shadow + q) - (clients.mixed_shadow + mixed_q))
        alpha = 1.0 / (1.0 + self._omega(problem.dim)) if self.alpha == "theory" else float(self.alpha)
        x = clients.y - apart
        if problem.nonsmooth is not None:
            x = problem.nonsmooth.prox(x, eta)
        return replace(
            clients, x=x, shadow=clients.shadow + alpha * q, mixed_shadow=clients.mixed_shadow + alpha * mixed_q,
            dual=clients.dual + apart,
        )  # fmt: skip


@method("lead", GOSSIP)
def lead(
    *,
    graph: GraphForm = "ring",
    compressor: CompressorForm = Natural(),
    stepsize: float | str = "theory",
    alpha: TheoryOr = "theory",
    gamma: TheoryOr = "theory",
    wire: Precision = "float64",
) -> Lead:
    """LEAD (Liu, Li, Wang, Tang, Yan, arXiv 2007.00232): one compressed vector to the neighbours, linear convergence.

    Y = X - η∇F(X) - D; q_i = Q(y_i - h_i) is sent; Ŷ = H + q; D ← D + (γ/2)(I - W)Ŷ; X = Y - (γ/2)(I - W)Ŷ; H ← H + αq.
    What compression leaves out vanishes with Y - H, so every client reaches the minimiser with constant steps. Without
    compression, α = γ = 1 is NIDS. With :meth:`newtonfl.Problem.with_nonsmooth` X = prox_{ηr} of that: Prox-LEAD (Li,
    Liu, Tang, Yan, Yuan, arXiv 2108.04448). Both are from memory.

    The theory, of theorem 1 of LEAD from memory, has η ≤ 2/(μ + L), α ≤ 1/(1+ω) and γ ≤ min{2/((3ω+1)β),
    2c/((2-c)ωβ)} with c = μη(2 - μη) and β the largest eigenvalue of I - W; γ is at most 1 here. Its second bound is
    cautious: the first alone has held in our checks.

    What is sent: q_i to every neighbour.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say "natural" or RandK("0.5d").
    alpha : float or "theory"
        α in (0, 1]; "theory" is 1/(1+ω).
    gamma : float or "theory"
        γ in (0, 1].
    """
    return Lead(stepsize, cast(Graph, graph), wire, "lead", cast(Compressor, compressor), alpha, gamma)
