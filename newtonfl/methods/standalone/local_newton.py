"""LocalNewton (Gupta, Ghosh, Derezinski, Khanna, Ramchandran and Mahoney, UAI 2021, arXiv 2105.07320)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.methods.standalone.exact import for_each, mean_solution, received, solutions
from newtonfl.methods.standalone.local_minimisers import local_minimisers
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@method("local-newton")
def local_newton(*, local_steps: int = 1) -> LocalNewton:
    """LocalNewton: x⁺ = mean_i of where K Newton steps on f_i alone lead client i from x (arXiv 2105.07320).

    A method to compare with. Nothing draws the clients to the minimiser of f: where the f_i differ, x stalls at a point
    with mean_i (∇²f_i)⁻¹∇f_i = 0 for K = 1, and near the mean of the clients' own minimisers for large K. More steps
    are no cure; more rows a client are, where all are of one distribution. GIANT's clients take the global gradient,
    and DANE's a correction, for one exchange more a round, and have no such floor.

    Each step is the first of 1, ½, ¼, … that makes f_i fall. The paper's scheme that lowers K as it goes, and the
    server's line search of its last phase, are not here. The ridge stands in every f_i; every local Hessian must be
    positive definite.

    What is sent: x down, a client's model up, d each way.

    Parameters
    ----------
    local_steps : int
        K, the most Newton steps of a client a round; it ends earlier where rounding hides what is left. L in the paper.
    """
    return LocalNewton(whole("local_steps", local_steps))


@dataclass
class LocalNewtonServer:
    """What the server remembers: the iterate x, shape (d,)."""

    x: Array


@dataclass(frozen=True)
class LocalNewton(Method):
    """See :func:`local_newton`."""

    local_steps: int
    name: str = "local-newton"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"local_steps": self.local_steps}

    def components(self) -> dict[str, str]:
        return {"sends": "the model after its own Newton steps", "ridge": "clients"}

    def notes(self) -> list[str]:
        return ["local-newton stalls before the minimiser where the clients' functions differ, whatever its settings"]

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], None]:
        return nothing_from(problem.clients), None  # they remember nothing

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> LocalNewtonServer:
        return LocalNewtonServer(to_host(x0))

    def round(self, server: LocalNewtonServer, exchange: Exchange, key: Key) -> LocalNewtonServer:
        announcement = Announcement(key.round, {"model": Dense(server.x)})
        replies = exchange(announcement, lambda part, clients, decoded: len(server.x))
        return LocalNewtonServer(mean_solution(replies, "model"))

    def respond(
        self, clients: None, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], None]:
        problem = problem.with_local_ridge()
        x = to_host(for_each(received(announcement.to_all["model"], problem), problem))
        found = local_minimisers(problem, 0.0, x, steps=self.local_steps)
        return [{"model": message} for message in solutions(found)], None
