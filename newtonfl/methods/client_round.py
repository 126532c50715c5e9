"""The clients' side of the round: receive the model, compute, encode curvature and gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from newtonfl.comm.messages import Batch, Dense
from newtonfl.comm.parts import ManyParts, Parts, joined_all, select_parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.context import ClientRound
from newtonfl.components.curvature.base import CurvatureRound
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.trials import finite
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods.round_settings import RoundSettings
from newtonfl.methods.states import ClientState
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class ClientSide(RoundSettings):
    """What clients do in the round of :class:`newtonfl.methods.round.Descent`."""

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], ClientState[Any, Any, Any]]:
        problem = self._view(problem)
        setup_messages, curvature = self.curvature.init_clients(problem, x0, key)
        if self.step.needs_lipschitz:
            lipschitz = np.asarray(problem.hessian_lipschitz, np.float64)
            constants = Batch(Dense, np.ones(len(lipschitz), np.int64), lipschitz)
            setup_messages = joined_all(setup_messages, ManyParts({"constant": constants}, len(lipschitz)))
        gradient = self.gradient.init_clients(x0, self.curvature.gradients(problem))
        return setup_messages, ClientState(self.model.init_clients(x0, len(problem.clients)), gradient, curvature)

    def respond(
        self, clients: ClientState[Any, Any, Any], announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], ClientState[Any, Any, Any]]:
        """The replies of the clients held here, and their next state: those that receive the announcement act on it."""
        whole = self._view(problem)
        if announcement.to_all.keys() == {"direction", "trials"}:  # the step's, and no component's announcement
            return self._values(clients, announcement, whole), clients
        if announcement.recipients is None or np.isin(whole.clients, announcement.recipients).all():
            return self._reply(clients, announcement, whole, whole, None, key)
        chosen = np.flatnonzero(np.isin(whole.clients, announcement.recipients))
        if len(chosen) == 0:
            return [], clients
        some = take_clients(clients, chosen)
        replies, some = self._reply(some, announcement, whole.select(chosen), whole, chosen, key)
        return replies, put_clients(clients, chosen, some)

    def _reply(
        self, clients: ClientState[Any, Any, Any], announcement: Announcement, problem: Problem, whole: Problem,
        chosen: Array | None, key: Key,
    ) -> tuple[Sequence[Parts], ClientState[Any, Any, Any]]:  # fmt: skip
        """z_i, then C(∇²f_i(z_i) - H_i) and l_i, then ∇f_i(z_i): `problem` holds those `chosen` of the `whole`."""
        model, z = self.model.receive(clients.model, announcement, problem.clients)
        # Who takes part computes anew, whoever else is in the process.
        away = self.participation.partial and announcement.round > 0
        point = problem.at_uncached(z) if away else problem.at(z)
        coins = {name: bool(announcement.coins >> self._coins.index(name) & 1) for name in self._probabilities}
        about = CurvatureRound(
            announcement.round, point, whole, chosen, self._error_request, coins, key.to("curvature")
        )  # fmt: skip
        curvature_parts, curvature = self.curvature.encode(clients.curvature, about)
        gradients = self.curvature.gradients(whole)
        context = ClientRound(
            announcement.round, gradients if chosen is None else gradients.select(chosen),
            namespace(z).broadcast_to(z, (len(problem.clients), problem.dim)), coins, key.to("gradient"),
            announcement.to_one, partial(self.curvature.hessian_product, curvature, about),
            lambda i, v: self.curvature.hessian_product_change(
                clients.curvature, curvature, about, curvature_parts[i], i, v
            ),
        )  # fmt: skip
        gradient_parts, gradient = self.gradient.encode(clients.gradient, point, context)
        replies = joined_all(gradient_parts, curvature_parts)
        after = ClientState(model, gradient, curvature)
        if announcement.participants is None:
            return replies, after
        participates = np.isin(problem.clients, announcement.participants)
        return replies if participates.all() else select_parts(replies, np.flatnonzero(participates)), after

    def _values(
        self, clients: ClientState[Any, Any, Any], announcement: Announcement, problem: Problem
    ) -> Sequence[Parts]:
        """f_i at the trial points; the papers count a number each."""
        direction = to_device(announcement.to_all["direction"].coordinates()[1], problem.like)
        steps = self.step.trial_steps(int(announcement.to_all["trials"].coordinates()[1][0]))
        z = self.model.client_points(clients.model)[0, :]
        values = to_host(finite(problem.at(z).value_along(direction, steps.tolist())))
        counts = np.full(len(problem.clients), len(steps))
        return ManyParts({"value": Batch(Dense, counts, values.ravel())}, len(counts))
