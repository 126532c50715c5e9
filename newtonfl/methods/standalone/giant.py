"""GIANT (Wang, Roosta, Xu and Mahoney, NeurIPS 2018, arXiv 1709.03528): the mean of local Newton directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Dense, Message, Nothing
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.backtracking import MOST_TRIALS
from newtonfl.components.step.base import NoStep
from newtonfl.components.step.trials import falls, finite, slack
from newtonfl.core.arguments import whole, within
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.methods.standalone.exact import for_each, mean, mean_solution, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Point, Problem


@method("giant")
def giant(*, armijo: float = 0.1, trials: int = 11) -> Giant:
    """GIANT: x⁺ = x - α · mean_i (∇²f_i(x))⁻¹∇f(x), the harmonic mean of Hessians (arXiv 1709.03528).

    α is the first of 1, ½, ¼, … with f(x + αp) ≤ f(x) + cα⟨∇f(x), p⟩; where no trial is, the run ends (NoStep).
    Near the minimiser rounding hides any change of f: once c⟨∇f(x), p⟩ is below eight units of it the trials tell
    nothing, and α is the last one that they have found. (With an α found by chance instead, ‖∇f‖ stops near 4e-9 on
    a1a.) Linear and quadratic-then-linear rates hold with constants that fall as the clients' Hessians become alike: on
    different data the method can be slow, or need short steps.

    The ridge stands in every f_i, hence in every local Hessian, which must be positive definite.

    What is sent, in three exchanges: x down, f_i and ∇f_i up; ∇f down, the local direction up; p down, the values at
    all trial steps up. That is 3d down, 2d + 1 + `trials` up.

    Parameters
    ----------
    armijo : float
        0 < c < 1.
    trials : int
        How many steps 1, ½, ¼, … are tried, all in one exchange.
    """
    return Giant(within("armijo", armijo, 0.0, 1.0), whole("trials", trials, MOST_TRIALS))


@dataclass
class GiantServer:
    """What the server remembers: the iterate x, shape (d,), and the last step that the trials found, shape ()."""

    x: Array
    step: Array


@dataclass
class GiantClients:
    """What clients remember: the iterate that they received, shape (n, d)."""

    model: Array


@dataclass(frozen=True)
class Giant(Method):
    """See :func:`giant`."""

    armijo: float
    trials: int
    name: str = "giant"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"armijo": self.armijo, "trials": self.trials}

    def components(self) -> dict[str, str]:
        return {"sends": "f_i and ∇f_i; the local direction; f_i at all trials", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], GiantClients]:
        return nothing_from(problem.clients), GiantClients(for_each(x0, problem))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> GiantServer:
        return GiantServer(to_host(x0), np.array(1.0))

    def round(self, server: GiantServer, exchange: Exchange, key: Key) -> GiantServer:
        x = server.x
        size = {"value": 1, "trials": self.trials}

        def send(part: str, vector: Array) -> Announcement:
            return Announcement(key.round, {part: Dense(vector)})

        def sizes(part: str, clients: Array, decoded: Sequence[Parts]) -> int:
            return size.get(part, len(x))

        replies = exchange(send("model", x), sizes)
        f, g = float(mean(replies, "value")[0]), mean(replies, "gradient")
        replies = exchange(send("gradient", g), sizes)
        p = -mean_solution(replies, "direction")
        values = mean(exchange(send("direction", p), sizes), "trials")
        change = self.armijo * float(g @ p)
        if -change < slack(f):
            return GiantServer(x + server.step * p, server.step)
        for step, value in zip(self._steps(), values, strict=True):
            if falls(f, float(value), step * change):
                return GiantServer(x + step * p, np.array(step))
        raise NoStep(f"no step of 1, ½, …, {self._steps()[-1]:g} along GIANT's direction makes f fall enough")

    def respond(
        self, clients: GiantClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], GiantClients]:
        problem, parts = problem.with_local_ridge(), announcement.to_all
        if "model" in parts:
            x = received(parts["model"], problem)
            point = problem.at(x)
            pairs = zip(messages(point.value[:, None]), messages(point.gradient), strict=True)
            replies: list[Parts] = [{"value": value, "gradient": gradient} for value, gradient in pairs]
            return replies, replace(clients, model=for_each(x, problem))
        x, clients_here = clients.model[0, :], range(len(problem.clients))
        if "gradient" in parts:
            g, point = received(parts["gradient"], problem), problem.at(x)
            return [{"direction": _newton(point, i, g)} for i in clients_here], clients
        p = received(parts["direction"], problem)
        values = problem.at(x).value_along(p, self._steps())
        return [{"trials": message} for message in messages(finite(values))], clients

    def _steps(self) -> list[float]:
        return [2.0**-j for j in range(self.trials)]


def _newton(point: Point, i: int, g: Array) -> Message:
    """(∇²f_i)⁻¹g; Nothing where that Hessian is not positive definite."""
    factor = cholesky(point.hessian(i))
    return Nothing() if factor is None else Dense(to_host(cholesky_solve(factor, g)))
