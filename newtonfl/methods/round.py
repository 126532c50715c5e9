"""The round: one method with five sockets, of which the papers' methods are settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.comm.messages import Dense
from newtonfl.comm.packets import Parts, Sizes
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.curvature.base import Curvature, ErrorRequest, NoCurvature
from newtonfl.components.curvature.learned import ClientHessianState, LearnedHessian, ServerHessianState
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient, RoundContext
from newtonfl.components.model.base import ExactModel, Model
from newtonfl.components.participation import All, Participation
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants, Replies
from newtonfl.components.step.base import Probe, Step
from newtonfl.components.step.fixed import FixedStepState
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.components.step.trials import finite
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.combinations import check_model, check_problem, check_sockets
from newtonfl.methods.states import ClientState, ServerState
from newtonfl.objectives.base import Problem

COINS = ("curvature", "anchor", "gradient")
"""What the server throws coins for; coin j is bit j of the announcement's."""


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
    given : tuple of (str, str or float)
        Settings by the names that the preset gives them, where the sockets have others.
    """

    step: Step
    curvature: Curvature = field(default_factory=NoCurvature)
    gradient: Gradient = field(default_factory=AnchoredGradient)
    model: Model = field(default_factory=ExactModel)
    participation: Participation = field(default_factory=All)
    ridge: Literal["server", "clients"] = "server"
    wire: Precision = "float64"
    name: str = "descent"
    given: tuple[tuple[str, str | float], ...] = ()

    def __post_init__(self) -> None:
        sockets = {
            "step": Step, "curvature": Curvature, "gradient": Gradient, "model": Model, "participation": Participation,
        }  # fmt: skip
        for name, kind in sockets.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name}: given {getattr(self, name)!r}, must be a {kind.__name__}")
        if self.ridge not in ("server", "clients") or self.wire not in PRECISIONS:
            raise ValueError(f"ridge, wire: given {self.ridge!r}, {self.wire!r}, no such words")

    def resolved(self, problem: Problem) -> Self:
        problem = self._view(problem)
        check_problem(self.name, self.step, self.curvature, problem)
        self.step.check(problem)
        self.participation.check(problem.n_clients)
        check_sockets(self.name, self.step, self.curvature, self.gradient, self.participation)
        model = self.model.for_dimension(problem.dim)
        check_model(self.name, self.step, self.curvature, self.gradient, self.participation, model, self.wire)
        curvature, gradient = self.curvature.resolved(problem), self.gradient.resolved(problem)
        gradient.check(curvature.gradients(problem))
        return replace(self, curvature=curvature, gradient=gradient, model=model)

    def settings(self) -> dict[str, str | float]:
        told = {
            **self.gradient.settings(),
            **self.curvature.settings(),
            **self.model.settings(),
            **self.step.settings(),
        }
        return {
            **told,
            "participation": str(self.participation),
            "ridge": self.ridge,
            "wire": self.wire,
            **dict(self.given),
        }

    def sockets(self) -> dict[str, str]:
        return {
            "model": repr(self.model),
            "participation": repr(self.participation),
            "gradient": repr(self.gradient),
            "curvature": repr(self.curvature),
            "step": repr(self.step),
        }

    def notes(self) -> list[str]:
        lazy = self.curvature.bernoulli_probabilities.get("curvature", 1.0) < 1.0
        if lazy and self._wanted.norm is not None and self._wanted.fresh:
            return [
                "a fresh l needs every Hessian, also in the rounds in which none is told: "
                "l=last or step=project computes none there"
            ]
        return []

    def expected_silent_rounds(self, n_clients: int) -> float:
        # The coins are thrown apart, and x may wait for all of them.
        coins = {
            "anchor": self.gradient.p,
            **self.curvature.bernoulli_probabilities,
            **self.gradient.bernoulli_probabilities,
        }
        return 1.0 / (self.participation.share(n_clients) * self.model.chance * math.prod(coins.values())) - 1.0

    @property
    def _wanted(self) -> ErrorRequest:
        return ErrorRequest(self.step.error_norm, self.step.fresh_error)

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, client, heard: 1 if part == "constant" else self.curvature.setup_sizes(dim, part, heard)

    def announcement_sizes(self, dim: int) -> Sizes:
        return lambda part, client, heard: 1 if part in ("trials", "scale", "stepsize") else dim

    # -- set-up

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], ClientState]:
        problem = self._view(problem)
        setup_messages, curvature = self.curvature.init_clients(problem, x0, key)
        if self.step.needs_lipschitz:
            constants = [Dense(one) for one in np.asarray(problem.hessian_lipschitz)[:, None]]
            setup_messages = [
                {**g, "constant": constant} for g, constant in zip(setup_messages, constants, strict=True)
            ]
        gradient = self.gradient.init_clients(x0, self.curvature.gradients(problem))
        return setup_messages, ClientState(self.model.init_clients(x0, len(problem.clients)), gradient, curvature)

    def init_server(self, facts: ProblemConstants, x0: Array, setup_messages: list[Parts]) -> ServerState:
        facts = replace(facts, ridge_inside=self.ridge == "clients")
        if self.step.needs_lipschitz:
            told = [float(setup_message["constant"].coordinates()[1][0]) for setup_message in setup_messages]
            facts = replace(facts, hessian_lipschitz=float(np.mean(told)))
        weights = np.full(facts.n_clients, 1.0 / facts.n_clients)
        curvature = self.curvature.init_server(facts, setup_messages, weights)
        at = StepContext(facts, self.gradient, self.model, self.participation)
        step = self.step.init(facts, at, x0)
        pace = step.pace if isinstance(step, FixedStepState) else None
        views = self.model.init_server(x0, facts.n_clients if self.participation.partial else 0, pace)
        return ServerState(x0, views, self.gradient.init_server(facts, x0), curvature, step, facts)

    def theory(self, server: ServerState) -> list[str]:
        return server.step.pace.notes() if isinstance(server.step, FixedStepState) else []

    # -- the server's side

    def round(self, server: ServerState, exchange: Exchange, key: Key) -> ServerState:
        facts, mine = server.facts, key.of(SERVER)
        coins = self._draw_coins(mine, key.round)
        # Round 0 tells the server where everyone stands.
        everyone = key.round == 0 or self.gradient.requires_all(coins)
        part = None if everyone else self.participation.drawn(facts.n_clients, mine.to("participation"))
        recipients = None if self.gradient.reaches_all else part
        asked = self.step.query_point(server.step, server.x)
        to_all, to_one, views = self.model.announce(server.views, asked, recipients, mine.to("model"))
        for client, parts in self.gradient.announce(server.gradient, facts, key.round).items():
            to_one[client] = {**to_one.get(client, {}), **parts}
        bits = sum(1 << COINS.index(name) for name, heads in coins.items() if heads)
        announcement = Announcement(key.round, to_all, to_one, recipients, part, bits)
        replies = exchange(announcement, self._reply_sizes(server))
        weights = np.full(len(replies.clients), 1.0 / facts.n_clients)
        curvature, operator = self.curvature.aggregate(server.curvature, replies, weights)
        scene = RoundContext(
            self.curvature.server_gradient_coordinates(curvature, facts),
            self.model.seen(views, replies.clients),
            coins, key, _nothing_applied, self._moved_on_server(server.curvature, curvature, replies), {},
            # Views may differ where some were away: then the step begins at the server's own point.
            asked if self.participation.partial else self.model.point(views),
            1.0 if everyone else self.participation.share(facts.n_clients),
        )  # fmt: skip
        gradient, anchor = self.gradient.aggregate(server.gradient, replies, scene, facts)
        views, anchor = self.model.finalize(views, anchor, mine.to("model"))
        curvature, inverse = self.curvature.precondition(curvature, operator, anchor)
        probe = self._probe(exchange, anchor.point, key, facts)
        x, step = self.step.update(server.step, anchor, inverse, facts, probe)
        return ServerState(x, views, gradient, curvature, step, facts)

    def _draw_coins(self, key: Key, round: int) -> dict[str, bool]:
        bernoulli_probabilities = {**self.curvature.bernoulli_probabilities, **self.gradient.bernoulli_probabilities}
        return {
            # In round 0 the gradients are told whatever the coin says.
            name: bool(key.to(f"{name} coin").generator().random() < chance) or (round == 0 and name != "curvature")
            for name, chance in bernoulli_probabilities.items()
        }

    def _moved_on_server(self, before: Any, after: Any, replies: Replies) -> Callable[[int, Array], Array]:
        def hessian_product_change(j: int, v: Array) -> Array:
            assert isinstance(self.curvature, LearnedHessian) and isinstance(after, ServerHessianState)
            client = int(replies.clients[j])
            error = float(after.errors[client] - before.errors[client])
            return self.curvature.hessian_product_change(
                after.coordinates, client, replies.parts[j].get("curvature"), error, v
            )

        return hessian_product_change

    def _probe(self, exchange: Exchange, point: Array, key: Key, facts: ProblemConstants) -> Probe:
        def probe(direction: Array, first: int) -> Array:
            steps = self.step.trial_steps(first)
            parts: Parts = {"direction": Dense(to_host(direction)), "trials": Dense(np.array([float(first)]))}
            told = exchange(Announcement(key.round, parts), lambda part, client, heard: len(steps)).messages("value")
            values = np.mean(np.stack([message.coordinates()[1] for message in told]), axis=0)
            if facts.ridge_inside:
                return values
            trials = to_host(point)[None, :] + steps[:, None] * to_host(direction)[None, :]
            return values + 0.5 * np.sum(facts.ridge * trials**2, axis=1)

        return probe

    def _reply_sizes(self, server: ServerState) -> Sizes:
        gradients = self.curvature.server_gradient_coordinates(server.curvature, server.facts).sizes
        whole = self.gradient.invariant
        return lambda part, client, heard: (
            (server.facts.dim if whole else int(gradients[client]))
            if part in ("gradient", "anew")
            else self.curvature.reply_size(server.curvature, part, client)
        )

    # -- the clients' side

    def respond(
        self, clients: ClientState, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[list[Parts], ClientState]:
        whole = self._view(problem)
        if "direction" in announcement.to_all:
            return self._values(clients, announcement, whole), clients
        chosen = (
            None if announcement.recipients is None else np.flatnonzero(np.isin(whole.clients, announcement.recipients))
        )
        if chosen is None or len(chosen) == len(whole.clients):
            return self._reply(clients, announcement, whole, whole, None, key)
        if len(chosen) == 0:
            return [], clients
        replies, part = self._reply(take_clients(clients, chosen), announcement, whole.take(chosen), whole, chosen, key)
        return replies, put_clients(clients, chosen, part)

    def _reply(
        self, clients: ClientState, announcement: Announcement, problem: Problem, whole: Problem,
        chosen: Array | None, key: Key,
    ) -> tuple[list[Parts], ClientState]:  # fmt: skip
        model, z = self.model.receive(clients.model, announcement, problem.clients)
        # Who takes part computes anew, whoever else is in the process.
        away = self.participation.partial and announcement.round > 0
        point = problem.at_uncached(z) if away else problem.at(z)
        coins = {name: bool(announcement.coins >> bit & 1) for bit, name in enumerate(COINS)}
        coins = {name: heads for name, heads in coins.items() if name in self._names}
        curvature_parts, curvature = self.curvature.encode(
            clients.curvature, point, whole, chosen, announcement.round, self._wanted, coins, key.to("curvature")
        )
        rows = namespace(z).broadcast_to(z, (len(problem.clients), problem.dim))
        gradients = self.curvature.gradients(whole)
        scene = RoundContext(
            gradients if chosen is None else gradients.take(chosen),
            rows, coins, key.to("gradient"),
            *self._looks(clients.curvature, curvature, curvature_parts, whole, chosen), announcement.to_one,
        )  # fmt: skip
        gradient_parts, gradient = self.gradient.encode(clients.gradient, point, scene, announcement.round)
        replies = [{**g, **parts} for g, parts in zip(gradient_parts, curvature_parts, strict=True)]
        after = ClientState(model, gradient, curvature)
        if announcement.participants is None:
            return replies, after
        participants = np.isin(problem.clients, announcement.participants)
        return [reply for reply, participates in zip(replies, participants, strict=True) if participates], after

    @property
    def _names(self) -> set[str]:
        return {*self.curvature.bernoulli_probabilities, *self.gradient.bernoulli_probabilities}

    def _looks(
        self,
        before: ClientHessianState,
        after: ClientHessianState,
        parts: list[Parts],
        whole: Problem,
        chosen: Array | None,
    ) -> tuple[Callable[[int, Array], Array], Callable[[int, Array], Array]]:
        """What the clients' invariants may ask of their own curvature: see :class:`RoundContext`."""

        def hessian_product(i: int, v: Array) -> Array:
            assert isinstance(self.curvature, LearnedHessian)
            return self.curvature.hessian_product(after, self.curvature.coordinates(whole, chosen), i, v)

        def hessian_product_change(i: int, v: Array) -> Array:
            assert isinstance(self.curvature, LearnedHessian)
            coordinates, message = self.curvature.coordinates(whole, chosen), parts[i].get("curvature")
            return self.curvature.hessian_product_change(
                coordinates, i, message, float(after.errors[i] - before.errors[i]), v
            )

        return hessian_product, hessian_product_change

    def _values(self, clients: ClientState, announcement: Announcement, problem: Problem) -> list[Parts]:
        """f_i at the trial points; the papers count a number each."""
        direction = to_device(announcement.to_all["direction"].coordinates()[1], problem.like)
        steps = self.step.trial_steps(int(announcement.to_all["trials"].coordinates()[1][0]))
        values = problem.at(self.model.held(clients.model)[0, :]).value_along(direction, steps.tolist())
        return [{"value": Dense(each)} for each in to_host(finite(values))]

    def _view(self, problem: Problem) -> Problem:
        return problem.with_local_ridge() if self.ridge == "clients" else problem


def _nothing_applied(i: int, v: Array) -> Array:
    raise AssertionError("the server knows no client's own estimate")
