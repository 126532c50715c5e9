"""DiSCO (Zhang and Xiao, ICML 2015, arXiv 1501.00263): damped Newton steps by preconditioned conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Dense, Message, Nothing
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.base import SingularStep
from newtonfl.core.arguments import a_factor, whole, within
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.kernels import conjugate_gradients
from newtonfl.methods.standalone.exact import for_each, mean, mean_solution, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

_LOCAL = 1e-12
"""How far the one client solves its own system, relative to the right-hand side."""


@method("disco")
def disco(*, residual: float = 0.05, nu: float = 0.01, client: int = 0, products: int = 200) -> Disco:
    """DiSCO: x⁺ = x - v/(1 + δ), ∇²f(x)v ≈ ∇f(x) by preconditioned conjugate gradients (arXiv 1501.00263).

    The preconditioner is P = ∇²f_1(x) + νI of one client, the sooner right the more alike the clients are, and
    δ = √(vᵀ∇²f(x)v), which is √⟨v, ∇f(x)⟩ for a v that conjugate gradients found from 0. They end where
    ‖∇²f(x)v - ∇f(x)‖ ≤ ε‖∇f(x)‖; the theorem's ε is a twentieth of √(μ/L) (from memory), here it is a setting. With
    such steps ‖∇f‖ falls by about ε a round near the minimiser. The damping is right for a self-concordant f, of
    standard scaling, from anywhere; there is no line search.

    In the paper the server holds the first client's rows. Here no server has rows: P⁻¹r is asked of that client, which
    finds it by conjugate gradients on its own rows, and the vectors that go to it and back are counted. Nobody forms a
    d × d matrix. The ridge stands in every f_i.

    What is sent: x down, ∇f_i up; then two exchanges a step of conjugate gradients, r down and P⁻¹r up of one client
    alone, and a direction down, ∇²f_i times it up. With c steps that is (c + 1)d each way for every client, and cd more
    each way for the one.

    Parameters
    ----------
    residual : float
        0 < ε < 1.
    nu : float
        ν ≥ 0, about as large as the clients' Hessians differ; μ in the paper.
    client : int
        Whose Hessian preconditions, counted from 0.
    products : int
        The most steps of conjugate gradients a round.
    """
    who, most = whole("client", client, least=0), whole("products", products)
    return Disco(within("residual", residual, 0.0, 1.0), a_factor("nu", nu), who, most)


@dataclass
class DiscoServer:
    """What the server remembers: the iterate x, shape (d,)."""

    x: Array


@dataclass
class DiscoClients:
    """What clients remember: the iterate that they received, shape (n, d)."""

    model: Array


@dataclass(frozen=True)
class Disco(Method):
    """See :func:`disco`."""

    residual: float
    nu: float
    client: int
    products: int
    name: str = "disco"

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        if self.client >= problem.n_clients:
            raise ValueError(f"client: given {self.client}, must be from 0 to {problem.n_clients - 1}")
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"residual": self.residual, "nu": self.nu, "client": self.client, "products": self.products}

    def components(self) -> dict[str, str]:
        return {"sends": "∇f_i; ∇²f_i times a vector, each; of one client a direction P⁻¹r, each", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], DiscoClients]:
        return nothing_from(problem.clients), DiscoClients(for_each(x0, problem))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> DiscoServer:
        return DiscoServer(to_host(x0))

    def round(self, server: DiscoServer, exchange: Exchange, key: Key) -> DiscoServer:
        x, one = server.x, np.array([self.client])

        def sizes(part: str, clients: Array, decoded: Sequence[Parts]) -> int:
            return len(x)

        def product(v: Array) -> Array:
            return mean(exchange(Announcement(key.round, {"direction": Dense(v)}), sizes), "product")

        def precondition(r: Array) -> Array:
            announcement = Announcement(key.round, {"gradient": Dense(r)}, recipients=one, participants=one)
            return mean_solution(exchange(announcement, sizes), "direction")

        g = mean(exchange(Announcement(key.round, {"model": Dense(x)}), sizes), "gradient")
        v, flat = conjugate_gradients(product, g, self.residual, self.products, precondition)
        if flat is not None:
            raise SingularStep("∇²f has no curvature along some direction; give an l2 > 0")
        return DiscoServer(x - v / (1.0 + math.sqrt(max(float(v @ g), 0.0))))

    def respond(
        self, clients: DiscoClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], DiscoClients]:
        problem, parts = problem.with_local_ridge(), announcement.to_all
        if "model" in parts:
            x = for_each(received(parts["model"], problem), problem)
            gradients = messages(problem.at(x[0, :]).gradient)
            return [{"gradient": message} for message in gradients], replace(clients, model=x)
        x = clients.model[0, :]
        if "direction" in parts:
            products = problem.at(x).hessian_product(received(parts["direction"], problem))
            return [{"product": message} for message in messages(products)], clients
        one = problem.select(np.flatnonzero(problem.clients == self.client))
        r = received(parts["gradient"], problem)
        return [{"direction": self._solved(one, x, r)} for _ in one.clients], clients

    def _solved(self, one: Problem, x: Array, r: Array) -> Message:
        """(∇²f_1 + νI)⁻¹r; Nothing where that matrix is not positive definite."""
        point = one.at(x)
        found, flat = conjugate_gradients(
            lambda v: point.hessian_product(v)[0, :] + self.nu * v, r, _LOCAL, 4 * one.dim
        )
        return Dense(to_host(found)) if flat is None else Nothing()
