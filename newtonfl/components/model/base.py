"""The model component's interface: what the clients get to see of x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Self, TypeVar

from newtonfl.comm.parts import Parts
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.step_size import StepSize
from newtonfl.core.backend import Array
from newtonfl.core.random import Key

Server = TypeVar("Server")
Client = TypeVar("Client")


class Model(ABC, Generic[Server, Client]):
    """How the iterate reaches the clients. Subclasses are frozen dataclasses.

    `Server` and `Client` are the types of what the two sides remember; every field of a client's state has the clients'
    axis first.

    Attributes
    ----------
    replays : bool
        Whether clients receive directions and step themselves, so that a step of fixed size is needed.
    """

    replays: ClassVar[bool] = False

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""

    def to_spec(self) -> str:
        """As the command line writes it."""
        return "exact"

    @property
    def chance(self) -> float:
        """How likely a round sends anything of x at all."""
        return 1.0

    @property
    def survives_absence(self) -> bool:
        """Whether a client that was away holds the server's z again as soon as it receives one message."""
        return True

    def direction_constants(self, dim: int) -> tuple[float, float] | None:
        """(A_M, B_M) of the mechanism that sends directions of `dim` numbers, where clients replay them; else None."""
        return None

    def for_dimension(self, dim: int) -> Self:
        """This component with settings like ``"8d"`` made numbers."""
        return self

    @abstractmethod
    def init_clients(self, x0: Array, n: int) -> Client:
        """The first state of n clients at `x0` (d,)."""

    @abstractmethod
    def init_server(self, x0: Array, apart: int, step_size: StepSize | None) -> Server:
        """The server's account of clients at `x0` (d,).

        `apart` is how many of them may come to see something of their own, 0 where all always see the same; `step_size`
        that of a step of fixed size, for models that depend on it.
        """

    @abstractmethod
    def announce(
        self, state: Server, x: Array, recipients: Array | None, key: Key
    ) -> tuple[Server, Parts, dict[int, Parts]]:
        """The state after `x` (d,) was sent to the `recipients` (None: all), what goes to all, and what to one."""

    def announcement_size(self, part: str, dim: int) -> int | None:
        """How many coordinates the announcement's `part` has; None where it is d of them, or another component's."""
        return None

    def finalize(self, state: Server, g: GradientEstimate, key: Key) -> tuple[Server, GradientEstimate]:
        """The state at the end of a round, and the round's `g` as the clients can follow it."""
        return state, g

    @abstractmethod
    def receive(self, state: Client, announcement: Announcement, clients: Array) -> tuple[Client, Array]:
        """The state of the `clients` after the announcement, and z: (d,) where all see the same, else (n, d)."""

    @abstractmethod
    def client_points(self, state: Client) -> Array:
        """z of the clients of a `state`, shape (n, d)."""

    @abstractmethod
    def common_point(self, state: Server) -> Array:
        """z of all clients, shape (d,), where they all see the same: where the step begins."""

    @abstractmethod
    def points(self, state: Server, clients: Array) -> Array:
        """z of the `clients`, shape (clients, d)."""
