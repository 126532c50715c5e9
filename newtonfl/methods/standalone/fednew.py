"""FedNew (Elgabli, Ben Issaid, Bedi, Rajawat, Bennis and Aggarwal, ICML 2022, arXiv 2206.08829): Newton by ADMM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import a_factor, whole, within
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.methods.standalone.exact import for_each, mean_solution, received, solutions
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@method("fednew")
def fednew(*, alpha: float = 0.03, rho: float = 0.1, renew: int = 1) -> FedNew:
    """FedNew: x⁺ = x - y, y after one step of ADMM a round towards Newton's direction (arXiv 2206.08829).

    The direction (mean ∇²f_i + αI)⁻¹∇f is the minimiser of the mean of ½⟨(∇²f_i + αI)y, y⟩ - ⟨∇f_i, y⟩ over one y for
    all. A round takes one step of the alternating direction method of multipliers from the last round's y and λ_i:

        y_i = (∇²f_i(x) + (α + ρ)I)⁻¹(∇f_i(x) - λ_i + ρy),  y⁺ = mean y_i,  λ_i⁺ = λ_i + ρ(y_i - y⁺),  x⁺ = x - y⁺.

    Neither a Hessian nor a gradient is sent. It converges linearly and, near the minimiser, slowly: one step a round
    lets y lag behind. Where ‖∇f‖ grows, give a larger α. There is no line search. The paper's Q-FedNew, which quantises
    y_i, is not here. The ridge stands in every f_i.

    What is sent: y down, y_i up, d each way; the clients take the server's step themselves.

    Parameters
    ----------
    alpha : float
        α ≥ 0, what is added to every Hessian.
    rho : float
        ρ > 0, ADMM's penalty.
    renew : int
        Every how many rounds the Hessians are computed anew; 0 keeps those at x⁰, the paper's zero-shot form.
    """
    return FedNew(a_factor("alpha", alpha), within("rho", rho, 0.0, np.inf), whole("renew", renew, least=0))


@dataclass
class FedNewServer:
    """What the server remembers: the iterate x, and the y that brought it there, shapes (d,)."""

    x: Array
    direction: Array


@dataclass
class FedNewClients:
    """What clients remember; every field has the clients' axis first.

    Attributes
    ----------
    model, direction, dual : arrays, shape (n, d)
        x, y_i and λ_i of the last round.
    factor : array, shape (n, d, d)
        The lower Cholesky factor of ∇²f_i + (α + ρ)I at the last renewal.
    """

    model: Array
    direction: Array
    dual: Array
    factor: Array


@dataclass(frozen=True)
class FedNew(Method):
    """See :func:`fednew`."""

    alpha: float
    rho: float
    renew: int
    name: str = "fednew"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True, copies=3)  # a square is two triangles
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"alpha": self.alpha, "rho": self.rho, "renew": self.renew}

    def components(self) -> dict[str, str]:
        return {"sends": "y_i, a step of ADMM towards Newton's direction", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], FedNewClients]:
        x, n, dim = for_each(x0, problem), len(problem.clients), problem.dim
        return nothing_from(problem.clients), FedNewClients(x, 0.0 * x, 0.0 * x, zeros((n, dim, dim), problem.like))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> FedNewServer:
        return FedNewServer(to_host(x0), np.zeros(constants.dim))

    def round(self, server: FedNewServer, exchange: Exchange, key: Key) -> FedNewServer:
        announcement = Announcement(key.round, {"direction": Dense(server.direction)})
        y = mean_solution(exchange(announcement, lambda part, clients, decoded: len(server.x)), "direction")
        return FedNewServer(server.x - y, y)

    def respond(
        self, clients: FedNewClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], FedNewClients]:
        problem = problem.with_local_ridge()
        y = received(announcement.to_all["direction"], problem)
        x, dual = clients.model - y, clients.dual + self.rho * (clients.direction - y)
        point, xp, here = problem.at(x[0, :]), namespace(x), range(len(problem.clients))
        factor = clients.factor
        if announcement.round % self.renew == 0 if self.renew else announcement.round == 0:
            added = to_device(np.eye(problem.dim) * (self.alpha + self.rho), problem.like)
            factor = xp.stack([_factor(point.hessian(i) + added) for i in here])
        right = point.gradient - dual + self.rho * y
        found = xp.stack([cholesky_solve(factor[i, :, :], right[i, :]) for i in here])
        return [{"direction": message} for message in solutions(found)], FedNewClients(x, found, dual, factor)


def _factor(matrix: Array) -> Array:
    """The lower Cholesky factor; NaN where rounding leaves the matrix not positive definite."""
    factor = cholesky(matrix)
    return matrix * np.nan if factor is None else factor
