"""The model socket: what the clients get to see of x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Dense, Message, Nothing
from newtonfl.comm.packets import Parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.pace import StepSize
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.mechanisms import EF21, Mechanism, Memory


@dataclass
class ServerModelState:
    """The server's account of what its clients see: z, one for all of them or one each.

    Attributes
    ----------
    memory : Memory
        z as told, and the iterate before; one block where all clients see the same, else n.
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


class Model(ABC):
    """How the iterate reaches the clients. Subclasses are frozen dataclasses.

    Attributes
    ----------
    replays : bool
        Whether clients are told directions and step themselves, so that a step of fixed size is needed.
    """

    replays: ClassVar[bool] = False

    def init_clients(self, x0: Array, n: int) -> Any:
        """The first state of n clients that have heard x⁰; every field has the clients' axis first."""
        return namespace(x0).broadcast_to(x0, (n, x0.shape[0]))

    @abstractmethod
    def init_server(self, x0: Array, apart: int, pace: StepSize | None) -> Any:
        """The views of clients that have all heard x⁰: how many may see something of their own, 0 where none will.

        `pace` is that of a step of fixed size, for models that depend on it.
        """

    def finalize(self, views: Any, anchor: GradientEstimate, key: Key) -> tuple[Any, GradientEstimate]:
        """The anchor as the clients can follow it, at the end of a round, and the views after it."""
        return views, anchor

    @abstractmethod
    def announce(self, views: Any, x: Array, recipients: Array | None, key: Key) -> tuple[Parts, dict[int, Parts], Any]:
        """What goes to all, what goes to one, and the views after it."""

    @abstractmethod
    def receive(self, state: Any, announcement: Announcement, clients: Array) -> tuple[Any, Array]:
        """The state of the `clients` after the announcement, and z: (d,) where all see the same, else (n, d)."""

    def held(self, state: Any) -> Array:
        """z of the clients in a `state`, shape (n, d)."""
        z: Array = state
        return z

    def point(self, views: Any) -> Array:
        """z of all clients, shape (d,), where they all see the same: where the step begins."""
        return views.memory.estimate[0]

    def seen(self, views: Any, clients: Array) -> Array:
        """z of the `clients`, shape (clients, d)."""
        told = views.memory.estimate
        xp, chosen = namespace(told.values), np.zeros_like(clients) if len(told) == 1 else clients  # perhaps none
        return xp.take(xp.reshape(told.values, (len(told), -1)), to_device(chosen, told.values), axis=0)

    @property
    def chance(self) -> float:
        """How likely a round tells of x at all."""
        return 1.0

    def for_dimension(self, dim: int) -> Self:
        """This socket with settings like ``"8d"`` made numbers."""
        return self

    @property
    def text(self) -> str:
        """As the command line writes it."""
        return "exact"

    def settings(self) -> dict[str, str | float]:
        return {"model": self.text}


@dataclass(frozen=True)
class ExactModel(Model):
    """x itself is sent."""

    def init_server(self, x0: Array, apart: int, pace: StepSize | None) -> ServerModelState:
        return ServerModelState(Memory(equal_blocks(x0[None, :])))

    def announce(
        self, views: ServerModelState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[Parts, dict[int, Parts], ServerModelState]:
        # Who does not hear keeps an older view, but nobody asks what that was.
        return {"model": Dense(to_host(x))}, {}, ServerModelState(Memory(equal_blocks(x[None, :])))

    def receive(self, state: Array, announcement: Announcement, clients: Array) -> tuple[Array, Array]:
        z = to_device(announcement.to_all["model"].coordinates()[1], state)
        return namespace(z).broadcast_to(z, state.shape), z


@dataclass(frozen=True)
class MechanismModel(Model):
    """What a mechanism tells of the iterate or of the way to it."""

    mechanism: Mechanism

    @property
    def chance(self) -> float:
        return 1.0 if self.mechanism.coin is None else self.mechanism.coin

    def for_dimension(self, dim: int) -> Self:
        made = self.mechanism.for_dimension(dim)
        made.check(Coordinates(np.array([dim])))
        return replace(self, mechanism=made)

    @property
    def text(self) -> str:
        return str(self.mechanism)


@dataclass(frozen=True)
class TrackedModel(MechanismModel):
    """A mechanism tells of x, given z: bidirectional compression (arXiv 2106.02969, Algorithm 5; 2206.03588).

    z ← C_{z, xᵏ}(xᵏ⁺¹). Under partial participation the server keeps one z a client (n·d numbers).
    """

    def init_server(self, x0: Array, apart: int, pace: StepSize | None) -> ServerModelState:
        rows = equal_blocks(namespace(x0).broadcast_to(x0, (max(apart, 1), x0.shape[0])) + 0.0)
        memory = Memory(rows, rows.replaced(rows.values + 0.0) if self.mechanism.needs_previous else None)
        return ServerModelState(memory, common=apart == 0)

    def announce(
        self, views: ServerModelState, x: Array, recipients: Array | None, key: Key
    ) -> tuple[Parts, dict[int, Parts], ServerModelState]:
        coin = self.mechanism.coin is None or key.to("coin").generator().random() < self.mechanism.coin
        common = views.common
        everyone = np.arange(len(views.memory.estimate))
        chosen = everyone if common or recipients is None else recipients
        memory = take_clients(views.memory, chosen)
        errors = views.errors
        goal = x if errors is None else x + views.eta * errors
        target = equal_blocks(namespace(x).broadcast_to(goal, (len(chosen), x.shape[0])) + 0.0)
        clients = np.array([key.client]) if common else chosen
        if len(chosen) == 0 or self.mechanism.skips(coin):
            told: list[Message] = [Nothing() for _ in chosen]
        else:
            sent = self.mechanism.send(memory, target, Coordinates(memory.estimate.sizes), clients, key, coin)
            told, memory = sent.messages, sent.memory
            errors = None if errors is None else sent.residual[0]
        after = put_clients(views.memory, chosen, memory)
        if self.mechanism.needs_previous:
            # y is the last iterate for all, whoever heard of it.
            whole = namespace(x).broadcast_to(x, (len(everyone), x.shape[0]))
            after = Memory(after.estimate, equal_blocks(whole + 0.0))
        if common:
            return {"model": told[0]}, {}, ServerModelState(after, errors, views.eta)
        return (
            {},
            {int(i): {"model": message} for i, message in zip(chosen, told, strict=True)},
            ServerModelState(after, common=False),
        )

    def receive(self, state: Array, announcement: Announcement, clients: Array) -> tuple[Array, Array]:
        common = announcement.to_all.get("model")
        messages = [common] if common else [announcement.to_one[int(i)]["model"] for i in clients]
        rows = equal_blocks(state[: len(messages), :] + 0.0)
        space = Coordinates(rows.sizes)
        heard = space.add(rows, messages, self.mechanism.memory_rates(space.sizes)).values
        xp = namespace(state)
        return (xp.broadcast_to(heard, state.shape), heard) if common else (xp.reshape(heard, state.shape),) * 2

    def settings(self) -> dict[str, str | float]:
        if isinstance(self.mechanism, EF21):
            return {"model": str(replace(self.mechanism, alpha="auto")), "model_rate": self.mechanism.alpha}
        return {"model": self.text}
