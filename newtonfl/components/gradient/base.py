"""The gradient socket: what is told of ∇f_i, and the anchor from which the server steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from newtonfl.bases import Coordinates
from newtonfl.comm.packets import Parts
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, to_device
from newtonfl.core.random import Key
from newtonfl.objectives.base import Point, Problem


@dataclass(frozen=True)
class GradientEstimate:
    """What the gradient socket hands the step: x⁺ = point - P⁻¹ gradient.

    Attributes
    ----------
    point, gradient : array, shape (d,)
    each : array, shape (n, d), or None
        Every client's own gradient, where the server keeps them apart.
    """

    point: Array
    gradient: Array
    each: Array | None = None


@dataclass(frozen=True)
class RoundContext:
    """What the gradient socket may look at in a round.

    Attributes
    ----------
    space : Coordinates
        In which gradients are told: of the clients at hand (clients' side), of all (server's side).
    seen : array
        z: (d,), or on the server's side (replies, d).
    coins : dict of str to bool
        The server's coins of this round.
    key : Key
    applied : callable
        Clients' side: i → (H_i + l_i I) v for the estimate that the step uses. Not for all sockets.
    hessian_product_change : callable
        (j, v) → what this round's curvature message and l of the j-th client (reply) have added to (H + l I) v.
    told : dict of int to Parts
        Clients' side: what the server told single clients.
    point : array, shape (d,), or None
        Server's side: where the step begins.
    share : float
        Server's side: how likely a client is to take part in this round.
    """

    space: Coordinates
    seen: Array
    coins: dict[str, bool]
    key: Key
    hessian_product: Callable[[int, Array], Array]
    hessian_product_change: Callable[[int, Array], Array]
    told: dict[int, Parts] = field(default_factory=dict)
    point: Array | None = None
    share: float = 1.0


class Gradient(ABC):
    """How gradients reach the server. Subclasses are frozen dataclasses.

    Attributes
    ----------
    partial : bool
        Whether clients may be missing from a round.
    invariant : bool
        Whether it hands on an invariant of a learned Hessian, and so needs step=shift.
    hears_all : bool
        Whether clients that do not speak hear all the same.
    p : float
        How likely a round tells a client's gradient.
    """

    partial: bool = False
    invariant: ClassVar[bool] = False
    reaches_all: ClassVar[bool] = False
    p: float = 1.0

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        """The server's coins by name, and how likely heads are."""
        return {}

    def requires_all(self, coins: dict[str, bool]) -> bool:
        """Whether these coins ask every client to speak, whoever else would take part."""
        return False

    def resolved(self, problem: Problem) -> Self:
        """This socket with every setting made definite; ValueError where one does not go with the problem."""
        return self

    @abstractmethod
    def init_clients(self, x0: Array, space: Coordinates) -> Any:
        """The clients' first state; every field has the clients' axis first."""

    @abstractmethod
    def encode(self, state: Any, point: Point, scene: RoundContext, round: int) -> tuple[list[Parts], Any]:
        """The clients' parts of this round's replies."""

    @abstractmethod
    def init_server(self, facts: ProblemConstants, x0: Array) -> Any:
        """The server's first state."""

    def announce(self, state: Any, facts: ProblemConstants, round: int) -> dict[int, Parts]:
        """What the server tells single clients at the beginning of a round."""
        return {}

    @abstractmethod
    def aggregate(
        self, state: Any, replies: Replies, scene: RoundContext, facts: ProblemConstants
    ) -> tuple[Any, GradientEstimate]:
        """The server's state after the replies, and the anchor of its step."""

    @abstractmethod
    def settings(self) -> dict[str, str | float]: ...

    def constants(self, facts: ProblemConstants, share: float) -> tuple[float, float]:
        """(A, B) of the estimate that the step uses, a client taking part with probability `share`.

        Raises
        ------
        ValueError
            Where no such constants exist.
        """
        raise ValueError(f"no constants (A, B) are known for {type(self).__name__}: give stepsize=NUMBER")

    def check(self, space: Coordinates) -> None:  # noqa: B027 - most sockets serve all coordinates
        """Refuse coordinates that this socket cannot serve, with a ValueError that says why."""


def with_ridge(estimate: Array, point: Array, facts: ProblemConstants) -> Array:
    """The gradient at `point` with the server's part of the ridge; `estimate` has shape (d,) or (n, d)."""
    return estimate if facts.ridge_inside else estimate + to_device(facts.ridge, point) * point
