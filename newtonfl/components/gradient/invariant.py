"""Gradients under partial participation of second-order methods: invariants that stay true while a client is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.parts import Parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.context import ClientRound, ServerRound
from newtonfl.components.gradient.base import Gradient, GradientEstimate
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.compressors import Identity
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import EF21, Mechanism, Memory, OwnMemory
from newtonfl.mechanisms.constants import a_probability
from newtonfl.objectives.base import Point


@dataclass
class ClientInvariantState:
    """What clients that may be away remember; each array has shape (n, d).

    Attributes
    ----------
    points : array
        w_i.
    gradient : array
        ∇f_i(w_i).
    memory : Memory
        g_i = (H_i + l_i I)w_i - ∇f_i(w_i), as the server knows it.
    """

    points: Array
    gradient: Array
    memory: Memory


@dataclass
class ServerInvariantState:
    """The server's side of the invariants.

    Attributes
    ----------
    b : array, shape (d,)
        (1/n) Σ g_i.
    points : array, shape (n, d)
        w_i.
    """

    b: Array
    points: Array


@dataclass(frozen=True)
class InvariantGradient(Gradient[ServerInvariantState, ClientInvariantState]):
    """g_i = (H_i + l_i I)w_i - ∇f_i(w_i) is sent, which stays true while client i is away: x⁺ = (H + l·I + D)⁻¹b.

    FedNL-PP (arXiv 2106.02969, Algorithm 2), BL2 (arXiv 2111.01847), Newton-3PC-BC-PP (arXiv 2206.03588). The ridge
    cancels in g_i. With its own coin ξ_i a client moves w_i to z_i and sends g_i's change; else w_i stays, and the
    server works the change out from the curvature message: ΔH_i w_i + Δl_i w_i.

    Parameters
    ----------
    mechanism : Mechanism
        How g_i's change is sent: whole, at the wire's precision.
    p : float
        How likely ξ_i = 1 is; 1 moves w_i every time. Round 0 always does.
    """

    mechanism: Mechanism = field(default_factory=lambda: EF21(Identity()))
    p: float = 1.0
    partial = True
    invariant = True
    sends: ClassVar[str] = "(H_i + l_i I)w_i - ∇f_i(w_i)"

    def __post_init__(self) -> None:
        a_probability("gradient_p", self.p)

    def parameters(self) -> dict[str, str | float]:
        return {"gradient": "invariant", "gradient_p": self.p}

    def init_clients(self, x0: Array, space: Coordinates) -> ClientInvariantState:
        n, d = len(space.sizes), x0.shape[0]
        nothing = zeros((n, d), x0)
        points = namespace(x0).broadcast_to(x0, (n, d)) + 0.0
        return ClientInvariantState(points, nothing, self.mechanism.init_memory(equal_blocks(nothing)))

    def encode(
        self, state: ClientInvariantState, point: Point, context: ClientRound
    ) -> tuple[Sequence[Parts], ClientInvariantState]:
        xp, clients = namespace(point.x), point.problem.clients
        heads = [context.round == 0 or own_coin(context.key.of(client), self.p) for client in clients]
        moving = np.array(heads, dtype=bool)
        moves = to_device(moving[:, None], point.x)
        w = xp.where(moves, context.z, state.points)
        gradient = xp.where(moves, point.gradient_of(moving), state.gradient) if any(heads) else state.gradient
        g = [context.hessian_product(i, w[i, :]) - gradient[i, :] for i in range(len(clients))]
        # Who keeps w_i moves g_i as the server will: by the message.
        estimates = [
            block if head else block + context.hessian_product_change(i, w[i, :])
            for i, (block, head) in enumerate(zip(state.memory.estimate, heads, strict=True))
        ]
        target = [goal if head else block for goal, block, head in zip(g, estimates, heads, strict=True)]
        space, memory = Coordinates(state.memory.estimate.sizes), replace(state.memory, estimate=Blocks.of(estimates))
        sent = self.mechanism.send(memory, Blocks.of(target), space, clients, context.key)
        parts: list[Parts] = [{"gradient": m} if head else {} for m, head in zip(sent.messages, heads, strict=True)]
        own = moved_on(state.memory.own, sent.memory.own, heads)
        return parts, ClientInvariantState(w, gradient, replace(sent.memory, own=own))

    def init_server(self, constants: ProblemConstants, x0: Array) -> ServerInvariantState:
        rows = namespace(x0).broadcast_to(x0, (constants.n_clients, constants.dim))
        return ServerInvariantState(zeros(constants.dim, constants.like), rows + 0.0)

    def aggregate(
        self, state: ServerInvariantState, replies: Replies, context: ServerRound, constants: ProblemConstants
    ) -> tuple[ServerInvariantState, GradientEstimate]:
        weights = np.full(len(replies.clients), 1.0 / constants.n_clients)
        b, points = state.b, [state.points[i, :] for i in range(constants.n_clients)]
        space = Coordinates(np.full(constants.n_clients, constants.dim))
        for j, (client, parts) in enumerate(zip(replies.clients, replies.parts, strict=True)):
            if "gradient" in parts:
                points[client] = context.z[j, :]
                one = np.array([client])
                b, _ = self.mechanism.receive(b, [parts["gradient"]], space, weights[j : j + 1], one)
            else:
                b = b + float(weights[j]) * context.hessian_product_change(j, points[client])
        origin = zeros(constants.dim, constants.like)
        return ServerInvariantState(b, namespace(b).stack(points)), GradientEstimate(origin, -b, is_solved_for=True)


def moved_on(before: OwnMemory, after: OwnMemory, heads: list[bool]) -> OwnMemory:
    """A mechanism's own memory as `after` where a client's coin fell on heads and it sent, else as `before`."""
    chosen = np.flatnonzero(heads)
    return put_clients(before, chosen, take_clients(after, chosen))


def own_coin(key: Key, p: float) -> bool:
    """A client's own coin ξ_i of a round."""
    return p >= 1 or bool(key.to("coin").generator().random() < p)
