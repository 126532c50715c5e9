"""The gradient component's interface: what clients send of ∇f_i, and the point from which the server steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Self, TypeVar

from newtonfl.bases import Coordinates
from newtonfl.comm.parts import Parts
from newtonfl.components.context import ClientRound, ServerRound
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, to_device
from newtonfl.objectives.base import Point, Problem

Server = TypeVar("Server")
Client = TypeVar("Client")


@dataclass(frozen=True)
class GradientEstimate:
    """(w, ∇f(w)), as the step gets it: x⁺ = w - P⁻¹∇f(w).

    Attributes
    ----------
    point : array, shape (d,)
        w.
    gradient : array, shape (d,)
        ∇f(w), or an estimate of it, the ridge included.
    by_client : array, shape (n, d), or None
        Every client's own gradient, where the server keeps them apart.
    is_solved_for : bool
        Whether x⁺ = -P⁻¹ times the gradient is the iterate itself, of which no digit may be left out.
    """

    point: Array
    gradient: Array
    by_client: Array | None = None
    is_solved_for: bool = False


class Gradient(ABC, Generic[Server, Client]):
    """How gradients reach the server. Subclasses are frozen dataclasses.

    `Server` and `Client` are the types of what the two sides remember; every field of a client's state has the clients'
    axis first.

    Attributes
    ----------
    partial : bool
        Whether clients may be missing from a round.
    invariant : bool
        Whether it sends an invariant of a learned Hessian, and so needs step=shift.
    reaches_all : bool
        Whether clients that do not reply receive the announcement all the same.
    p : float
        How likely a round sends a client's gradient.
    sends : str
        What clients send for it, in a few words for people.
    exact : bool
        Whether clients begin with ∇f_i itself, and not with an estimate of it.
    """

    partial: bool = False
    invariant: ClassVar[bool] = False
    reaches_all: ClassVar[bool] = False
    sends: ClassVar[str] = "∇f_i"
    p: float = 1.0

    @property
    def exact(self) -> bool:
        return True

    @property
    def shares_draws(self) -> bool:
        """Whether clients draw random numbers that others draw too: :attr:`Compressor.correlated`."""
        return False

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        """The server's coins by name, and how likely heads are; in round 0 they all show heads."""
        return {}

    @property
    def least_replies(self) -> int:
        """How many clients must reply in a round, so that the server can make a gradient of what they sent."""
        return 0

    def requires_all(self, coins: dict[str, bool]) -> bool:
        """Whether these coins ask every client to reply, whoever else would take part."""
        return False

    def resolved(self, problem: Problem) -> Self:
        """This component with every setting made definite; ValueError where one does not go with the problem."""
        return self

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""

    @abstractmethod
    def init_clients(self, x0: Array, space: Coordinates) -> Client:
        """The first state of clients at `x0` (d,) that send their gradients in `space`."""

    @abstractmethod
    def init_server(self, constants: ProblemConstants, x0: Array) -> Server:
        """The server's first state, at `x0` (d,)."""

    def announce(self, state: Server, constants: ProblemConstants, round: int) -> dict[int, Parts]:
        """What the server sends to single clients at the beginning of a round, by client."""
        return {}

    @abstractmethod
    def encode(self, state: Client, point: Point, context: ClientRound) -> tuple[Sequence[Parts], Client]:
        """The replies' parts of the clients that know `point`, and their state after them.

        The part "gradient" is a vector in `context.space`; of parts of one's own, :meth:`reply_sizes` says the
        length.
        """

    @abstractmethod
    def aggregate(
        self, state: Server, replies: Replies, context: ServerRound, constants: ProblemConstants
    ) -> tuple[Server, GradientEstimate]:
        """The server's state after the replies, and w with ∇f(w)."""

    def reply_sizes(self, state: Server, part: str, clients: Array) -> Array | int | None:
        """How many coordinates a reply's `part` has, of each of the `clients` or one number for all.

        None where it is a gradient, or another's part.
        """
        return None

    def announcement_size(self, part: str, dim: int) -> int | None:
        """How many coordinates the announcement's `part` has; None where it is d of them, or another component's."""
        return None

    def constants(self, constants: ProblemConstants, share: float) -> tuple[float, float]:
        """(A, B) of the estimate that the step uses, a client taking part with probability `share`.

        Raises
        ------
        ValueError
            Where no such constants exist.
        """
        raise ValueError(f"no constants (A, B) are known for {type(self).__name__}: give stepsize=NUMBER")

    def check(self, space: Coordinates) -> None:
        """Refuse coordinates that this component cannot serve, with a ValueError that says why."""


def with_ridge(estimate: Array, point: Array, constants: ProblemConstants) -> Array:
    """The gradient at `point` with the server's part of the ridge; `estimate` has shape (d,) or (n, d)."""
    return estimate if constants.ridge_inside else estimate + to_device(constants.ridge, point) * point
