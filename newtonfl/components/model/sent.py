"""The iterate itself is sent, or what a mechanism makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.coding import PRECISIONS
from newtonfl.comm.messages import Dense, Message, Nothing
from newtonfl.comm.parts import Parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.model.base import Model
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.step_size import StepSize
from newtonfl.compressors import Identity, Rounded
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.mechanisms import EF21, Mechanism, Memory

Server = TypeVar("Server")
Client = TypeVar("Client")


@dataclass
class ServerModelState:
    """The server's account of what its clients see: z, one for all of them or one each.

    Attributes
    ----------
    memory : Memory
        z, and the iterate before; one block where all clients see the same, else n.
    errors : array, shape (d,), or None
        e, what the messages have left out, where that is remembered (DORE).
    eta : float
        How much of it the next target takes along.
    common : bool
        Whether all clients always see the same.
    """

    memory: Memory
    errors: Array | None = None
    eta: float = 0.0
    common: bool = True


class SeenModel(Model[ServerModelState, Array]):
    """A model of which the clients remember z itself, shape (n, d), and the server a :class:`ServerModelState`."""

    def init_clients(self, x0: Array, n: int) -> Array:
        return namespace(x0).broadcast_to(x0, (n, x0.shape[0]))

    def client_points(self, state: Array) -> Array:
        return state

    def common_point(self, state: ServerModelState) -> Array:
        return state.memory.estimate[0]

    def points(self, state: ServerModelState, clients: Array) -> Array:
        z = state.memory.estimate
        xp, rows = namespace(z.values), np.zeros_like(clients) if len(z) == 1 else clients  # perhaps none
        return xp.take(xp.reshape(z.values, (len(z), -1)), to_device(rows, z.values), axis=0)


def equal_memory(x: Array) -> Memory:
    """z = `x` (d,) of all clients."""
    return Memory(equal_blocks(x[None, :]))


@dataclass(frozen=True)
class ExactModel(SeenModel):
    """x itself is sent."""

    def parameters(self) -> dict[str, str | float]:
        return {"model": self.to_spec()}

    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> ServerModelState:
        return ServerModelState(equal_memory(x0))

    def announce(
        self, state: ServerModelState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[ServerModelState, Parts, dict[int, Parts]]:
        # Who does not receive it keeps an older view, but nobody asks what that was.
        return ServerModelState(equal_memory(x)), {"model": Dense(to_host(x))}, {}

    def receive(self, state: Array, announcement: Announcement, clients: Array) -> tuple[Array, Array]:
        z = to_device(announcement.to_all["model"].coordinates()[1], state)
        return namespace(z).broadcast_to(z, state.shape), z


@dataclass(frozen=True)
class MechanismModel(Model[Server, Client], Generic[Server, Client]):
    """A mechanism sends the iterate, or the way to it."""

    mechanism: Mechanism

    def to_spec(self) -> str:
        return str(self.mechanism)

    @property
    def chance(self) -> float:
        return 1.0 if self.mechanism.coin is None else self.mechanism.coin

    def for_dimension(self, dim: int) -> Self:
        made = self.mechanism.for_dimension(dim)
        made.check(Coordinates(np.array([dim])))
        return replace(self, mechanism=made)


@dataclass(frozen=True)
class TrackedModel(MechanismModel[ServerModelState, Array], SeenModel):
    """A mechanism sends x, given z: bidirectional compression (arXiv 2106.02969, Algorithm 5; 2206.03588).

    z ← C_{z, xᵏ}(xᵏ⁺¹). Under partial participation the server keeps one z a client (n·d numbers).
    """

    @property
    def survives_absence(self) -> bool:
        # Rounded alone: every message is x at the wire's precision, whatever z was.
        return any(self.mechanism == EF21(Rounded(Identity(), precision)) for precision in PRECISIONS)

    def parameters(self) -> dict[str, str | float]:
        if isinstance(self.mechanism, EF21):
            return {"model": str(replace(self.mechanism, alpha="auto")), "model_rate": self.mechanism.alpha}
        return {"model": self.to_spec()}

    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> ServerModelState:
        rows = equal_blocks(namespace(x0).broadcast_to(x0, (max(apart, 1), x0.shape[0])) + 0.0)
        last = rows.replaced(rows.values + 0.0) if self.mechanism.needs_previous else None
        memory = self.mechanism.init_memory(rows, last)
        return ServerModelState(memory, common=apart == 0)

    def announce(
        self, state: ServerModelState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[ServerModelState, Parts, dict[int, Parts]]:
        coin = self.mechanism.coin is None or key.to("coin").generator().random() < self.mechanism.coin
        everyone = np.arange(len(state.memory.estimate))
        chosen = everyone if state.common or recipients is None else recipients
        memory = take_clients(state.memory, chosen)
        errors = state.errors
        goal = x if errors is None else x + state.eta * errors
        target = equal_blocks(namespace(x).broadcast_to(goal, (len(chosen), x.shape[0])) + 0.0)
        clients = np.array([key.client]) if state.common else chosen
        if len(chosen) == 0 or self.mechanism.skips(coin):
            messages: Sequence[Message] = [Nothing() for _ in chosen]
        else:
            sent = self.mechanism.send(memory, target, Coordinates(memory.estimate.sizes), clients, key, coin)
            messages, memory = sent.messages, sent.memory
            errors = None if errors is None else sent.residual[0]
        after = put_clients(state.memory, chosen, memory)
        if self.mechanism.needs_previous:
            # y is the last iterate for all, whoever has received it.
            whole = namespace(x).broadcast_to(x, (len(everyone), x.shape[0]))
            after = replace(after, target=equal_blocks(whole + 0.0))
        if state.common:
            return ServerModelState(after, errors, state.eta), {"model": messages[0]}, {}
        to_one: dict[int, Parts] = {int(i): {"model": m} for i, m in zip(chosen, messages, strict=True)}
        return ServerModelState(after, common=False), {}, to_one

    def receive(self, state: Array, announcement: Announcement, clients: Array) -> tuple[Array, Array]:
        common = announcement.to_all.get("model")
        messages = [common] if common else [announcement.to_one[int(i)]["model"] for i in clients]
        rows = equal_blocks(state[: len(messages), :] + 0.0)
        space = Coordinates(rows.sizes)
        z = space.add(rows, messages, self.mechanism.memory_rates(space.sizes)).values
        xp = namespace(state)
        return (xp.broadcast_to(z, state.shape), z) if common else (xp.reshape(z, state.shape),) * 2
