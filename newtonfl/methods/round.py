"""The round: one method with five components, of which the papers' methods are settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, joined
from newtonfl.components.context import ServerRound
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants, Replies
from newtonfl.components.step.base import Probe
from newtonfl.components.step.stepsizes import StepContext
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.client_round import ClientSide
from newtonfl.methods.states import ServerState

Server: TypeAlias = ServerState[Any, Any, Any, Any]


@dataclass(frozen=True)
class Drawn:
    """What chance decides in a round.

    Attributes
    ----------
    S : numpy.ndarray of int64, or None
        S^k, the clients that take part; None means all.
    coins : dict of str to bool
        ξ^k by name, heads being true.
    share : float
        How likely a client was to be in S^k.
    """

    S: Array | None
    coins: dict[str, bool]
    share: float


@dataclass(frozen=True)
class Descent(ClientSide):
    """x⁺ = w - P⁻¹∇f(w), with five components: the parameters are those of :class:`RoundSettings`.

    Conventions:

    - f = (1/n) Σ f_i + ½ Σ ridge_j x_j². With ``ridge="server"`` the f_i hold no ridge, H and ∇f_i are of the data
      alone, and the step adds it exactly; with ``ridge="clients"`` the f_i hold it.
    - x, w, z_i and ∇f have shape (d,). H is (d, d) and formed on the server alone; a client's H_i is a vector in its
      basis.
    - Round k goes from x^k to x^{k+1}; round 0 asks every client.
    """

    def round(self, server: Server, exchange: Exchange, key: Key) -> Server:
        """x^{k+1} from x^k, in the letters of Newton-3PC-BC-PP (arXiv 2206.03588)."""
        drawn = self._draw(server.constants, key)  # S^k, ξ^k
        model, request = self._announce(server, drawn, key)  # z^{k+1} to the clients in S^k
        replies = exchange(request, self._reply_sizes(server))  # S_i^k, l_i^k, ∇f_i(z_i)
        weights = np.full(len(replies.clients), 1.0 / server.constants.n_clients)
        mine = key.of(SERVER).to("curvature")
        curvature, H = self.curvature.aggregate(server.curvature, replies, weights, mine)  # H^{k+1}, l^k
        context = self._context(server, model, curvature, replies, drawn, key)
        gradient, g = self.gradient.aggregate(server.gradient, replies, context, server.constants)  # w^k, ∇f(w^k)
        model, g = self.model.finalize(model, g, key.of(SERVER).to("model"))
        curvature, H = self.curvature.precondition(curvature, H, g)
        probe = self._probe(exchange, g.point, key, server.constants)  # f(w + tp), where a step searches
        x, step = self.step.update(server.step, g, H, server.constants, probe)  # x^{k+1} = w - P⁻¹∇f(w)
        return ServerState(x, model, gradient, curvature, step, server.constants)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Server:
        constants = replace(constants, ridge_inside=self.ridge == "clients")
        if self.step.needs_lipschitz:
            lipschitz = Replies(np.arange(constants.n_clients), setup_messages).scalars("constant")
            constants = replace(constants, hessian_lipschitz=float(np.mean(lipschitz)))
        weights = np.full(constants.n_clients, 1.0 / constants.n_clients)
        curvature = self.curvature.init_server(constants, setup_messages, weights)
        context = StepContext(constants, self.gradient, self.model, self.participation)
        step = self.step.init(constants, context, x0)
        apart = constants.n_clients if self.participation.partial else 0
        model = self.model.init_server(x0, apart, self.step.step_size(step))
        return ServerState(x0, model, self.gradient.init_server(constants, x0), curvature, step, constants)

    def theory(self, server: Server) -> list[str]:
        step_size = self.step.step_size(server.step)
        return [] if step_size is None else step_size.notes()

    @property
    def estimates_hessian(self) -> bool:
        return self.curvature.sends_hessians or self.step.estimates_hessian

    def hessian_estimate(self, server: Server) -> Array | None:
        learned = self.curvature.hessian_estimate(server.curvature, server.constants)
        return self.step.hessian_estimate(server.step) if learned is None else learned

    def hessian_errors(self, server: Server) -> Array | None:
        return None if self.step.error_norm is None else self.curvature.errors(server.curvature)

    def _draw(self, constants: ProblemConstants, key: Key) -> Drawn:
        """S^k and ξ^k. Round 0 tells the server where everyone stands, so all take part in it."""
        coins = self._draw_coins(key.of(SERVER), key.round)
        if key.round == 0 or self.gradient.requires_all(coins):
            return Drawn(None, coins, 1.0)
        S = self.participation.drawn(constants.n_clients, key.of(SERVER).to("participation"))
        return Drawn(S, coins, self.participation.share(constants.n_clients))

    def _draw_coins(self, key: Key, round: int) -> dict[str, bool]:
        return {
            # In round 0 the gradients are sent whatever the coin says.
            name: bool(key.to(f"{name} coin").generator().random() < p) or (round == 0 and name != "curvature")
            for name, p in self._probabilities.items()
        }

    def _announce(self, server: Server, drawn: Drawn, key: Key) -> tuple[Any, Announcement]:
        """z^{k+1} as the server keeps account of it, and the announcement that carries it to the clients."""
        recipients = None if self.gradient.reaches_all else drawn.S
        query = self.step.query_point(server.step, server.x)
        model, to_all, to_one = self.model.announce(server.model, query, recipients, key.of(SERVER).to("model"))
        for client, parts in self.gradient.announce(server.gradient, server.constants, key.round).items():
            to_one[client] = joined(to_one.get(client, {}), parts)
        bits = sum(1 << self._coins.index(name) for name, heads in drawn.coins.items() if heads)
        return model, Announcement(key.round, to_all, to_one, recipients, drawn.S, bits)

    def _context(
        self, server: Server, model: Any, curvature: Any, replies: Replies, drawn: Drawn, key: Key
    ) -> ServerRound:
        # Clients' z_i may differ where some were away: then the step begins at the server's own point.
        query = self.step.query_point(server.step, server.x)
        return ServerRound(
            key.of(SERVER).to("gradient"), self.curvature.server_gradients(curvature, server.constants),
            self.model.points(model, replies.clients), drawn.coins,
            query if self.participation.partial else self.model.common_point(model), drawn.share,
            lambda j, v: self.curvature.server_product_change(server.curvature, curvature, replies, j, v),
        )  # fmt: skip

    def _probe(self, exchange: Exchange, point: Array, key: Key, constants: ProblemConstants) -> Probe:
        def probe(direction: Array, first: int) -> Array:
            steps = self.step.trial_steps(first)
            parts: Parts = {"direction": Dense(to_host(direction)), "trials": Dense(np.array([float(first)]))}
            replies = exchange(Announcement(key.round, parts), lambda part, clients, decoded: len(steps))
            values = np.mean(np.stack([m.coordinates()[1] for m in replies.messages("value")]), axis=0)
            if constants.ridge_inside:
                return values
            trials = to_host(point)[None, :] + steps[:, None] * to_host(direction)[None, :]
            return values + 0.5 * np.sum(constants.ridge * trials**2, axis=1)

        return probe

    def _reply_sizes(self, server: Server) -> Sizes:
        gradients = self.curvature.server_gradients(server.curvature, server.constants).sizes

        def size(part: str, clients: Array, decoded: Sequence[Parts]) -> Array | int:
            own = self.gradient.reply_sizes(server.gradient, part, clients)
            if own is not None:
                return own
            if part in ("gradient", "anew"):
                return server.constants.dim if self.gradient.invariant else gradients[clients]
            return self.curvature.reply_sizes(server.curvature, part, clients)

        return size
