"""Method: the interface that every method implements, and what passes between server and clients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Batch, Message, batched
from newtonfl.comm.parts import ManyParts, Parts, Sizes, column
from newtonfl.components.mixed import Mixed
from newtonfl.components.participation import Participation
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class Announcement:
    """What the server sends to the clients in one exchange.

    Attributes
    ----------
    round : int
    to_all : dict of str to Message
        Reaches, and is counted for, every client that receives the announcement.
    to_one : dict of int to dict of str to Message
        Reaches one client alone.
    recipients, participants : numpy.ndarray of int64, or None for all clients
        Who receives the announcement, and which of those reply.
    coins : int
        The round's coins, a bit each; they travel in the packets' flags.
    """

    round: int
    to_all: Parts
    to_one: dict[int, Parts] = field(default_factory=dict)
    recipients: Array | None = None
    participants: Array | None = None
    coins: int = 0


@dataclass(frozen=True)
class Replies:
    """The clients' replies, in client order."""

    clients: Array
    parts: Sequence[Parts]

    def have(self, part: str) -> bool:
        """Whether there are replies, and they say something about `part`: all do, or none; else WireError."""
        if isinstance(self.parts, ManyParts):
            return part in self.parts.columns and len(self.parts) > 0
        found = [part in mine for mine in self.parts]
        if any(found) and not all(found):
            raise self._without(part)
        return any(found)

    def messages(self, part: str) -> Sequence[Message]:
        """Every reply's message about `part`; WireError where one has none."""
        if not len(self.parts):  # a round without anybody names no parts
            return []
        try:
            return column(self.parts, part)
        except WireError:
            raise self._without(part) from None

    def either(self, part: str, other: str) -> list[Message]:
        """Every reply's message about the one of two parts that it has; WireError where one has neither."""
        found = [mine.get(part, mine.get(other)) for mine in self.parts]
        for i, message in enumerate(found):
            if message is None:
                raise WireError(f"client {self.clients[i]}: the reply has neither part {part} nor {other}")
        return [message for message in found if message is not None]

    def _without(self, part: str) -> WireError:
        lacking = next((i for i, mine in enumerate(self.parts) if part not in mine), 0)
        return WireError(f"client {self.clients[lacking]}: the reply has no part {part}")

    def scalars(self, part: str) -> Array:
        """Every reply's number about `part`, shape (replies,)."""
        messages = batched(self.messages(part))
        if isinstance(messages, Batch) and messages.values is not None and (messages.counts == 1).all():
            return messages.values
        return np.array([float(message.coordinates()[1][0]) for message in messages])


Exchange: TypeAlias = Callable[[Announcement, Sizes], Replies]
"""Carries an announcement to the clients and their replies back; the sizes check the replies' parts."""


def _unknown() -> Any:
    raise ValueError("no smoothness constants L_i are known: give stepsize=NUMBER")


@dataclass(frozen=True)
class ProblemConstants:
    """What the server knows of the problem without a message: theory's constants.

    Attributes
    ----------
    n_clients, dim : int
    ridge : numpy.ndarray, shape (d,)
    ridge_inside : bool
        The ridge stands in every client's function, so that gradients and Hessians contain it already.
    largest_curvature : callable
        Finds sup‖∇²f‖₂ less the ridge. Theory takes it as known, so finding it is not on the ledger.
    like : array
        Names the library and device of the server's arrays.
    hessian_lipschitz : float
        The mean of the L_*i that clients sent at the set-up, where the method asks for them.
    curvature_trace : callable
        Finds the trace of a matrix above ∇²f everywhere, less the ridge; as :attr:`largest_curvature`.
    client_smoothness : callable
        Finds L_i less the ridge, shape (n,); not on the ledger either.
    row_smoothness : callable
        Finds ℒ_i and the number of rows of every client, shape (n, 2); not on the ledger either.
    strong_convexity : float
        A μ of f.
    convex : bool
        Whether the f_i are convex.
    tol : float
        The ‖∇f‖₂ at which the solve ends; 0 where nothing is small enough.
    """

    n_clients: int
    dim: int
    ridge: Array
    largest_curvature: Callable[[], float]
    like: Array
    ridge_inside: bool = False
    hessian_lipschitz: float = 0.0
    curvature_trace: Callable[[], float] = _unknown
    client_smoothness: Callable[[], Array] = _unknown
    row_smoothness: Callable[[], Array] = _unknown
    strong_convexity: float = 0.0
    convex: bool = True
    tol: float = 0.0
    from_setup: ClassVar[bool] = True

    def smoothness(self) -> float:
        """L of f, ridge included; ValueError where the problem states no bound."""
        return self.largest_curvature() + float(self.ridge.max())


def silent_rounds(*probabilities: float) -> float:
    """How many rounds pass on average before independent events of these `probabilities` meet in one."""
    together = math.prod(probabilities)
    return 1.0 / together - 1.0 if together > 0.0 else math.inf


class ClientProtocol(ABC):
    """The clients' half of a conversation with the server: what they send at the set-up, and what they reply.

    Every field of a client state has the clients' axis first. It does not print, count, keep time or know of a
    communicator.

    Attributes
    ----------
    phase : str
        What the ledger's table calls all that is sent after the set-up.
    follows_a_solve : bool
        Whether a solve has counted already what was sent to prepare the problem.
    shares_draws : bool
        Whether clients draw random numbers that others draw too: the run's seed then travels in the set-up.
    """

    phase: ClassVar[str] = "rounds"
    follows_a_solve: ClassVar[bool] = False

    @property
    def shares_draws(self) -> bool:
        return False

    def numbers_per_client(self, problem: Problem) -> float:
        """About how many numbers a client works on at a time; a process takes its clients in groups accordingly."""
        return problem.dim

    @abstractmethod
    def setup_sizes(self, dim: int) -> Sizes:
        """How many coordinates the parts of a set-up message have."""

    def announcement_sizes(self, dim: int) -> Sizes:
        """How many coordinates the parts of an announcement have."""
        return lambda part, clients, decoded: dim

    @abstractmethod
    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Any]:
        """The clients' set-up messages, which are counted, and their first state; the two may share arrays."""

    @abstractmethod
    def respond(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        """The replies of the clients held here, and their next state."""

    def mixing(self, n_clients: int, key: Key) -> csr_array | None:
        """W, by which `n_clients` mix what their neighbours send in the round of `key`; None where a server hears them.

        Shape (n, n), its pattern symmetric. Where w_ij ≠ 0 and i ≠ j, the reply of client j goes to client i and not to
        the server; who has no such neighbour sends nothing in that round. Every rank asks for it, and gets the same.
        """
        return None

    def mix(self, clients: Any, mixed: Mixed, problem: Problem, key: Key) -> Any:
        """The next state of the clients held here, after what their neighbours have sent.

        Of methods with :meth:`mixing` alone.
        """
        raise NotImplementedError(f"{type(self).__name__}: has no neighbours whose messages it could mix")

    def iterates(self, clients: Any) -> Array:
        """x_i of the clients held here, shape (n, d), at which an observer looks; of methods with :meth:`mixing`."""
        raise NotImplementedError(f"{type(self).__name__}: its iterate is the server's")


class Method(ClientProtocol):
    """A distributed method. Subclasses are frozen dataclasses of settings; states are dataclasses of arrays and Blocks.

    A client protocol, and what the server makes of it.
    """

    name: str

    def resolved(self, problem: Problem) -> Self:
        """This method with every setting that depends on the problem made definite.

        Raises
        ------
        ValueError
            Where a setting does not go with the problem, or with another setting.
        """
        return self

    @property
    def solves_operators(self) -> bool:
        """Whether it also solves F(z) = 0 for monotone operators (:class:`newtonfl.FromOperators`)."""
        return False

    @property
    def takes_prox_steps(self) -> bool:
        """Whether it minimises f + r with a nonsmooth r (:meth:`newtonfl.Problem.with_nonsmooth`)."""
        return False

    def for_problem(self, problem: Problem) -> Self:
        """This method :meth:`resolved`, if it solves problems of this kind at all.

        Raises
        ------
        ValueError
            As :meth:`resolved`, and where a method that minimises is given a problem of operators, or one without prox
            steps a nonsmooth term.
        """
        if problem.is_operator and not self.solves_operators:
            raise ValueError(
                f"{self.name}: minimises a function, and this problem has operators alone, {problem.objective}: use a "
                "method for these, such as extragradient"
            )
        if problem.nonsmooth is not None and not self.takes_prox_steps:
            raise ValueError(
                f"{self.name}: minimises smooth functions, and {problem.objective} has {problem.nonsmooth}: lead takes "
                "prox steps"
            )
        return self.resolved(problem)

    def among_available(self, availability: Participation) -> Self:
        """This method of those among its participants who are there; ValueError where it cannot be without one."""
        raise ValueError(
            f"{self.name}: every client that it asks must answer, so on_missing='skip' cannot be with it: 'wait' waits "
            "for who is away, and methods with partial participation (fednl-pp, bl2, ef21-pp) go on without"
        )

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""

    def made_with(self, parameters: Mapping[str, str | float]) -> Self:
        """This method with the settings of the function that made it, which are its parameters as well."""
        return self

    def components(self) -> dict[str, str]:
        """What the method is made of, for people."""
        return {}

    def expected_silent_rounds(self, n_clients: int) -> float:
        """How many rounds a client says nothing for, on average: so long x may stand still without being stuck."""
        return 0.0

    def contraction_rate(self, server: Any) -> float:
        """By which share a round, at least, what the method itself remembers of its start fades; 1 is at once.

        Until it has, neither f nor its gradient need fall. Asked where a solve seems to have stalled, with the
        `server`'s state.
        """
        return 1.0

    def elapsed(self, n_clients: int, seed: int, round: int) -> float | None:
        """How many simulated seconds have passed when `round` ends; None where clients have no speeds.

        Of `n_clients`, in a solve of that `seed`.
        """
        return None

    def farthest(self, server: Any) -> Array | None:
        """x_i of the client farthest from the iterate, shape (d,); None where all clients have one iterate."""
        return None

    def notes(self) -> list[str]:
        """What a user should know of these settings; a solve's result carries it."""
        return []

    def theory(self, server: Any) -> list[str]:
        """What theory says to this run's step size, from the server's state: a solve's result carries it."""
        return []

    @property
    def estimates_hessian(self) -> bool:
        """Whether the server comes to have an estimate of ∇²f."""
        return False

    def hessian_estimate(self, server: Any) -> Array | None:
        """The server's estimate of ∇²f, ridge included, shape (d, d), on the host; None where it has none (yet)."""
        return None

    def hessian_errors(self, server: Any) -> Array | None:
        """l_i = ‖H_i - ∇²f_i‖ as every client sent it last, shape (n,); None where the method does not ask for it."""
        return None

    @abstractmethod
    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Any:
        """The server's first state; it has a field ``x``."""

    @abstractmethod
    def round(self, server: Any, exchange: Exchange, key: Key) -> Any:
        """One round: from the server's state to its next."""
