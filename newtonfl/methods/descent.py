"""The round: one method with five sockets, of which the papers' methods are settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from newtonfl.backend import Array, namespace, to_device, zeros
from newtonfl.bases import equal_blocks
from newtonfl.blocks import Blocks
from newtonfl.coding import Precision
from newtonfl.keys import SERVER, Key
from newtonfl.methods.curvature import Curvature, NoCurvature
from newtonfl.methods.gradients import Anchor, ExactGradient, Gradient
from newtonfl.methods.method import Announcement, Exchange, Facts, Method
from newtonfl.methods.models import ExactModel, Model
from newtonfl.methods.participation import All, Participation
from newtonfl.methods.steps import Step
from newtonfl.problem import Problem
from newtonfl.wire import Parts, Sizes


@dataclass
class ServerState:
    """What the server remembers from round to round.

    Attributes
    ----------
    x : array, shape (d,)
        The iterate.
    model : array, shape (d,)
        z, the clients' view of x.
    gradient : array, shape (d,)
        The mean of what was told of gradients, where a mechanism tracks them.
    curvature : object
        The curvature socket's own state.
    facts : Facts
    """

    x: Array
    model: Array
    gradient: Array
    curvature: object
    facts: Facts


@dataclass
class ClientState:
    """What the clients held here remember; every field has the clients' axis first.

    Attributes
    ----------
    model : array, shape (n, d)
        Each client's z.
    gradient : Blocks
        What each client has told of its gradient, where a mechanism tracks it.
    curvature : Blocks or None
        H_i in the basis's coordinates.
    """

    model: Array
    gradient: Blocks
    curvature: Blocks | None


@dataclass(frozen=True)
class Descent(Method):
    """x⁺ = w - P⁻¹∇f(w), with five sockets.

    Parameters
    ----------
    step : Step
        From the server's estimates to x⁺.
    curvature : Curvature
        What is told of ∇²f_i.
    gradient : Gradient
        What is told of ∇f_i.
    model : Model
        What clients see of x.
    participation : Participation
        Who takes part.
    ridge : {"server", "clients"}
        Where λ/2‖x‖² is added: exactly by the server, or in every client's function and so in what is learned.
    wire : {"float64", "float32", "natural"}
        The precision that the sockets were made for.
    name : str
        The preset's name.
    """

    step: Step
    curvature: Curvature = field(default_factory=NoCurvature)
    gradient: Gradient = field(default_factory=ExactGradient)
    model: Model = field(default_factory=ExactModel)
    participation: Participation = field(default_factory=All)
    ridge: Literal["server", "clients"] = "server"
    wire: Precision = "float64"
    name: str = "descent"

    def resolved(self, problem: Problem) -> Self:
        problem = self._view(problem)
        self.step.check(problem)
        if self.step.needs_hessian and isinstance(self.curvature, NoCurvature):
            raise ValueError(f"{self.name}: this step needs a Hessian, and curvature is none")
        return replace(self, curvature=self.curvature.resolved(problem))

    def settings(self) -> dict[str, str | float]:
        return {**self.curvature.settings(), **self.step.settings(), "ridge": self.ridge, "wire": self.wire}

    def sockets(self) -> dict[str, str]:
        return {
            "model": repr(self.model),
            "participation": repr(self.participation),
            "gradient": repr(self.gradient),
            "curvature": repr(self.curvature),
            "step": repr(self.step),
        }

    def greeting_sizes(self, dim: int) -> Sizes:
        return lambda part, client, heard: self.curvature.greeting_sizes(dim, part, heard)

    def join(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], ClientState]:
        problem = self._view(problem)
        greetings, curvature = self.curvature.join(problem, x0, key)
        n = len(problem.clients)
        told = equal_blocks(zeros((n, problem.dim), problem.like))
        return greetings, ClientState(namespace(x0).broadcast_to(x0, (n, problem.dim)), told, curvature)

    def start(self, facts: Facts, x0: Array, greetings: list[Parts]) -> ServerState:
        facts = replace(facts, ridge_inside=self.ridge == "clients")
        weights = self.participation.weights(facts.n_clients)
        curvature = self.curvature.start(facts, greetings, weights)
        # z begins as a copy of x: a tracked model moves it in place.
        return ServerState(x0, x0 + 0.0, zeros(facts.dim, facts.like), curvature, facts)

    def round(self, server: ServerState, exchange: Exchange, key: Key) -> ServerState:
        facts = server.facts
        message, model = self.model.announce(server.model, server.x, key.of(SERVER).to("model"))
        part = self.participation.draw(facts.n_clients, key.of(SERVER).to("participation"))
        announcement = Announcement(key.round, {"model": message}, hears=part, speaks=part)
        replies = exchange(announcement, self._reply_sizes(server))
        weights = self.participation.weights(facts.n_clients)[replies.clients]
        curvature, operator = self.curvature.hear(server.curvature, replies, weights)
        mean, gradient = self.gradient.hear(server.gradient, replies.told("gradient"), weights)
        if not facts.ridge_inside:
            gradient = gradient + to_device(facts.ridge, gradient) * model
        x = self.step.take(Anchor(model, gradient), operator, facts)
        return ServerState(x, model, mean, curvature, facts)

    def respond(
        self, clients: ClientState, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[list[Parts], ClientState]:
        problem = self._view(problem)
        x = self.model.receive(clients.model[0, :], announcement.to_all["model"])
        point = problem.at(x)
        curvature_parts, curvature = self.curvature.tell(
            clients.curvature, point, announcement.round, self.step.error_norm, key.to("curvature")
        )
        gradients, told = self.gradient.tell(clients.gradient, point.gradient, problem.clients, key.to("gradient"))
        replies = [{"gradient": g, **parts} for g, parts in zip(gradients, curvature_parts, strict=True)]
        return replies, ClientState(namespace(x).broadcast_to(x, clients.model.shape), told, curvature)

    def _view(self, problem: Problem) -> Problem:
        return problem.with_local_ridge() if self.ridge == "clients" else problem

    def _reply_sizes(self, server: ServerState) -> Sizes:
        dim = server.facts.dim
        return lambda part, client, heard: (
            dim if part == "gradient" else self.curvature.reply_size(server.curvature, part, client)
        )
