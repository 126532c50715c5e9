"""The curvature component's interface: what clients send of ∇²f_i, and what the step gets of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, Self, TypeAlias, TypeVar

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.parts import Parts, nothing_from
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import SubspaceSum
from newtonfl.objectives.base import Point, Problem

ErrorNorm: TypeAlias = Literal["frobenius", "spectral"]
Server = TypeVar("Server")
Client = TypeVar("Client")


@dataclass(frozen=True)
class HessianEstimate:
    """H and l, as the step gets them.

    Attributes
    ----------
    form : array, shape (d, d), or SubspaceSum
        H, the server's estimate of ∇²f, less the part of the ridge that the server adds: itself, or the small matrices
        whose sum it is.
    error : float
        l = (1/n) Σ l_i, where the step asked for it; else 0.
    """

    form: Array | SubspaceSum
    error: float

    @property
    def matrix(self) -> Array:
        """H, shape (d, d): made anew where it is a sum."""
        return self.form.matrix() if isinstance(self.form, SubspaceSum) else self.form

    def product(self, v: Array) -> Array:
        """H v, shape (d,)."""
        return self.form.product(v) if isinstance(self.form, SubspaceSum) else self.form @ v


@dataclass(frozen=True)
class Preconditioner:
    """P⁻¹ itself, as the step gets it from a curvature that forms no matrix.

    Attributes
    ----------
    product : callable
        v → P⁻¹v, shape (d,).
    """

    product: Callable[[Array], Array]


StepMatrix: TypeAlias = HessianEstimate | Preconditioner | None
"""What a curvature component gives the step; None where it has nothing to give."""


@dataclass(frozen=True)
class ErrorRequest:
    """What the step asks of l_i = ‖H_i - ∇²f_i‖.

    Attributes
    ----------
    norm : {"frobenius", "spectral"} or None
        In which norm; None asks for nothing.
    fresh : bool
        Whether l_i must be of this round even where no Hessian is sent.
    """

    norm: ErrorNorm | None
    fresh: bool


@dataclass(frozen=True)
class CurvatureRound:
    """What the clients at hand know in a round when they encode their curvature.

    Attributes
    ----------
    round : int
        k.
    point : Point
        What they know at z; its problem holds these clients alone.
    problem : Problem
        Of all clients that this process holds.
    chosen : numpy.ndarray of int64, or None
        The positions of the clients at hand among those; None means all.
    request : ErrorRequest
        What the step asks of l_i.
    coins : dict of str to bool
        ξ^k.
    key : Key
        The round's random stream.
    """

    round: int
    point: Point
    problem: Problem
    chosen: Array | None
    request: ErrorRequest
    coins: dict[str, bool]
    key: Key


class Curvature(ABC, Generic[Server, Client]):
    """How curvature reaches the server. Subclasses are frozen dataclasses.

    `Server` and `Client` are the types of what the two sides remember; every field of a client's state has the clients'
    axis first.

    Attributes
    ----------
    needs_convexity : bool
        Whether the f_i must be convex.
    sends_hessians : bool
        Whether the step gets a matrix that clients have sent of: what a Newton step needs.
    preconditions : bool
        Whether the step's direction is another than ∇f's.
    sends : str
        What clients send for it, in a few words for people; empty where nothing.
    measures_error : bool
        Whether clients can send l_i = ‖H_i - ∇²f_i‖, for H + l·I.
    keeps_matrices : bool
        Whether each end can work out (H_i + l_i I)v of a client after its message: what invariants need.
    starts_at_zero : bool
        Whether H⁰ is 0, so that the first step's matrix may be singular.
    """

    needs_convexity: ClassVar[bool] = True
    sends_hessians: ClassVar[bool] = True
    preconditions: ClassVar[bool] = True
    measures_error: ClassVar[bool] = False
    sends: ClassVar[str] = ""

    @property
    def keeps_matrices(self) -> bool:
        return False

    @property
    def starts_at_zero(self) -> bool:
        return False

    @property
    def shares_draws(self) -> bool:
        """Whether clients draw random numbers that others draw too: :attr:`Compressor.correlated`."""
        return False

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        """The server's coins by name, and how likely heads are; in round 0 all but "curvature" show heads."""
        return {}

    def resolved(self, problem: Problem) -> Self:
        """This component with every setting made definite; ValueError where one does not go with the problem."""
        return self

    def gradients(self, problem: Problem) -> Coordinates:
        """The coordinates in which the clients that `problem` holds send their gradients."""
        return Coordinates(np.full(len(problem.clients), problem.dim))

    def server_gradients(self, state: Server, constants: ProblemConstants) -> Coordinates:
        """The same of all clients, on the server."""
        return Coordinates(np.full(constants.n_clients, constants.dim))

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""

    def keeps_apart(self, dim: int) -> bool:
        """Whether the step gets small matrices whose sum H is, and no (d, d) matrix."""
        return False

    def numbers_per_client(self, problem: Problem) -> float:
        """About how many numbers a client's curvature is, while it works on it."""
        return triangle(problem.dim).size if self.sends_hessians else 0.0

    @abstractmethod
    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> Array | int:
        """How many coordinates the `part` of each set-up message has, after its parts that are `decoded`; `dim` is d.

        An array, shape (messages,), or one number for all.
        """

    @abstractmethod
    def reply_sizes(self, state: Server, part: str, clients: Array) -> Array | int:
        """How many coordinates the `part` of a reply has, of each of the `clients` or one number for all."""

    @abstractmethod
    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Client]:
        """The set-up messages and the first state of the clients that `problem` holds, at `x0` (d,)."""

    @abstractmethod
    def init_server(self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array) -> Server:
        """The server's first state, from all set-up messages in client order and the clients' `weights` (n,)."""

    @abstractmethod
    def encode(self, state: Client, context: CurvatureRound) -> tuple[Sequence[Parts], Client]:
        """The replies' parts of the clients at hand, and their state after them."""

    @abstractmethod
    def aggregate(self, state: Server, replies: Replies, weights: Array, key: Key) -> tuple[Server, StepMatrix]:
        """The server's state after the replies, whose `weights` have shape (replies,), and what the step shall use.

        `key` is the server's random stream in this round.
        """

    def precondition(self, state: Server, hessian: StepMatrix, g: GradientEstimate) -> tuple[Server, StepMatrix]:
        """The state and what the step shall use, once the round's gradient `g` is known too."""
        return state, hessian

    def hessian_estimate(self, state: Server, constants: ProblemConstants) -> Array | None:
        """H with the whole ridge, shape (d, d), on the host; None where no matrix of ∇²f is kept."""
        return None

    def errors(self, state: Server) -> Array | None:
        """l_i as every client sent it last, shape (n,); None where none is kept."""
        return None

    def hessian_product(self, state: Client, context: CurvatureRound, i: int, v: Array) -> Array:
        """(H_i + l_i I)v, shape (d,), of the i-th client at hand.

        Raises
        ------
        ValueError
            Where no such matrix is kept.
        """
        raise ValueError(f"{type(self).__name__} keeps no matrix of a client")

    def hessian_product_change(
        self, before: Client, after: Client, context: CurvatureRound, parts: Parts, i: int, v: Array
    ) -> Array:
        """What the reply's `parts` have added to (H_i + l_i I)v of the i-th client at hand, on its side.

        Raises
        ------
        ValueError
            Where no such matrix is kept.
        """
        raise ValueError(f"{type(self).__name__} keeps no matrix of a client")

    def server_product_change(self, before: Server, after: Server, replies: Replies, j: int, v: Array) -> Array:
        """The same on the server's side, of the client that sent the j-th of the `replies`: the same bits.

        Raises
        ------
        ValueError
            Where no such matrix is kept.
        """
        raise ValueError(f"{type(self).__name__} keeps no matrix of a client")


def with_ridge(H: Array, constants: ProblemConstants) -> Array:
    """H (d, d), with the server's ridge where it holds none, as an array of its own on the host."""
    matrix = np.array(to_host(H))
    return matrix if constants.ridge_inside else matrix + np.diag(constants.ridge)


@dataclass(frozen=True)
class NoCurvature(Curvature[None, None]):
    """Nothing is sent of ∇²f: first-order methods."""

    needs_convexity: ClassVar[bool] = False
    sends_hessians: ClassVar[bool] = False
    preconditions: ClassVar[bool] = False

    def parameters(self) -> dict[str, str | float]:
        return {}

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> int:
        return 0

    def reply_sizes(self, state: None, part: str, clients: Array) -> int:
        return 0

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], None]:
        return nothing_from(problem.clients), None

    def init_server(self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array) -> None:
        return None

    def encode(self, state: None, context: CurvatureRound) -> tuple[Sequence[Parts], None]:
        return nothing_from(context.point.problem.clients), None

    def aggregate(self, state: None, replies: Replies, weights: Array, key: Key) -> tuple[None, StepMatrix]:
        return None, None
