"""DANE (Shamir, Srebro and Zhang, ICML 2014, arXiv 1312.7853): the mean of minimisers of corrected local functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import a_factor, whole, within
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.methods.standalone.exact import for_each, mean, mean_solution, messages, received, solutions
from newtonfl.methods.standalone.local_minimisers import MOST_STEPS, local_minimisers
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@method("dane")
def dane(*, eta: float = 1.0, nu: float = 0.1, local_steps: int = MOST_STEPS) -> Dane:
    """DANE: x⁺ = mean_i argmin_y f_i(y) - ⟨∇f_i(x) - η∇f(x), y⟩ + (ν/2)‖y - x‖² (arXiv 1312.7853).

    The linear term gives every client's function the gradient η∇f(x) at x, so that the minimiser of f stays where it
    is. On quadratics x⁺ - x = -η mean_i (∇²f_i + νI)⁻¹∇f(x): one round is enough where all ∇²f_i are equal and ν = 0,
    and the rate is that by which they differ. With ν too small for that difference DANE does not converge, with ν large
    it is gradient descent of step η/ν. There is no line search: where ‖∇f‖ grows, give a larger ν.

    Every client minimises by Newton steps from x, each searched by halving on its own function, until rounding hides
    what is left. With fewer ``local_steps`` this is InexactDANE (Reddi, Konečný, Richtárik, Póczos and Smola,
    arXiv 1608.06879, which takes any approximate minimiser; Newton steps from x are this library's choice). One step
    gives the quadratics' formula on any f: GIANT's direction for ν = 0 and η = 1, without its line search.

    The ridge stands in every f_i. Where ν = 0 every local Hessian must be positive definite.

    What is sent, in two exchanges: x down, ∇f_i up; ∇f down, the local minimiser up. That is 2d each way.

    Parameters
    ----------
    eta : float
        η > 0, the share of ∇f that is corrected for.
    nu : float
        ν ≥ 0, in f's unit over x's squared, as a Hessian's eigenvalues; μ in the paper.
    local_steps : int
        The most Newton steps of a client a round.
    """
    return Dane(within("eta", eta, 0.0, np.inf), a_factor("nu", nu), whole("local_steps", local_steps))


@dataclass
class DaneServer:
    """What the server remembers: the iterate x, shape (d,)."""

    x: Array


@dataclass
class DaneClients:
    """What clients remember: the iterate that they received, shape (n, d)."""

    model: Array


@dataclass(frozen=True)
class Dane(Method):
    """See :func:`dane`."""

    eta: float
    nu: float
    local_steps: int
    name: str = "dane"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"eta": self.eta, "nu": self.nu, "local_steps": self.local_steps}

    def components(self) -> dict[str, str]:
        return {"sends": "∇f_i; the minimiser of its corrected function", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], DaneClients]:
        return nothing_from(problem.clients), DaneClients(for_each(x0, problem))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> DaneServer:
        return DaneServer(to_host(x0))

    def round(self, server: DaneServer, exchange: Exchange, key: Key) -> DaneServer:
        def ask(part: str, vector: Array) -> Announcement:
            return Announcement(key.round, {part: Dense(vector)})

        def sizes(part: str, clients: Array, decoded: Sequence[Parts]) -> int:
            return len(server.x)

        g = mean(exchange(ask("model", server.x), sizes), "gradient")
        return DaneServer(mean_solution(exchange(ask("gradient", g), sizes), "model"))

    def respond(
        self, clients: DaneClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], DaneClients]:
        problem, parts = problem.with_local_ridge(), announcement.to_all
        if "model" in parts:
            x = for_each(received(parts["model"], problem), problem)
            replies: list[Parts] = [{"gradient": message} for message in messages(problem.at(x[0, :]).gradient)]
            return replies, replace(clients, model=x)
        g, x = received(parts["gradient"], problem), clients.model
        correction = to_host(self.eta * g - problem.at(x[0, :]).gradient - self.nu * x)
        found = local_minimisers(problem, self.nu, to_host(x), correction, self.local_steps)
        return [{"model": message} for message in solutions(found)], clients
