"""Gossip: what methods share in which clients send to their neighbours, and there is no server."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Dense, Message
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.graph import Graph
from newtonfl.components.graph.base import checked_mixing
from newtonfl.components.mixed import Mixed
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.backend import Array, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import sends_whole
from newtonfl.methods.settings import Batch
from newtonfl.methods.spec import to_text
from newtonfl.methods.standalone.exact import for_each, received
from newtonfl.methods.typed import defaults_of
from newtonfl.methods.wire import rounded
from newtonfl.objectives.base import Problem


@dataclass
class Observer:
    """What an observer sees of all clients, off the ledger; nobody acts on it.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        The mean of the x_i.
    far : numpy.ndarray, shape (d,)
        The x_i farthest from it.
    step_size : StepSize
        η, which is sent with the other numbers that clients must know in round 0.
    constants : ProblemConstants
    """

    x: Array
    far: Array
    step_size: StepSize
    constants: ProblemConstants


@dataclass(frozen=True)
class Gossip(Method):
    """A method whose round is: a message of every client to its neighbours, and what they make of it.

    The ridge stands in every f_i. Subclasses are frozen dataclasses; the fields that their functions offer as settings
    are their :meth:`parameters`. Every field of a client state has the clients' axis first; it has "x", shape (n, d),
    and "numbers", what :meth:`client_constants` gives, a row a client.

    Attributes
    ----------
    stepsize : float or str
        η.
    graph : Graph
        Who is whose neighbour.
    wire : {"float64", "float32", "natural"}
    """

    stepsize: float | str
    graph: Graph
    wire: Precision = "float64"
    name: str = ""

    numbers: ClassVar[int] = 1
    """How many numbers clients must know."""
    whole: ClassVar[bool] = False
    """Whether vectors are sent whole, and not what has changed of them."""

    def __post_init__(self) -> None:
        StepSizeSetting.of(self.stepsize)
        if not isinstance(self.graph, Graph):
            raise TypeError(f"graph: given {self.graph!r}, must be a Graph such as Ring()")
        if self.whole:
            sends_whole(self.name, rounded(Identity(), self.wire))

    @abstractmethod
    def rule(self) -> StepSizeRule:
        """What the setting `stepsize` calls theory."""

    @abstractmethod
    def first_state(self, problem: Problem, x: Array, numbers: Array) -> Any:
        """The clients' state at `x` (n, d), with zeros as its `numbers`; the ridge is in the `problem`."""

    @abstractmethod
    def encode(self, clients: Any, problem: Problem, key: Key) -> tuple[dict[str, Sequence[Message]], Any]:
        """What the clients who have a neighbour send, by part, and the state of all who are held here."""

    def client_constants(self, step_size: StepSize, constants: ProblemConstants) -> Array:
        """The numbers that clients must know, shape (numbers,)."""
        return np.array([step_size.stepsize])

    def parameters(self) -> dict[str, str | float]:
        return {setting: to_text(getattr(self, setting)) for setting in defaults_of(self.name)}

    def resolved(self, problem: Problem) -> Self:
        checked_mixing(self.graph, problem.n_clients)  # says where they are not connected
        StepSizeSetting.of(self.stepsize).check(problem, self.rule())
        return self

    def mixing(self, n_clients: int, key: Key) -> csr_array:
        return checked_mixing(self.graph, n_clients)

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def announcement_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: self.numbers if part == "stepsize" else dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Any]:
        problem = problem.with_local_ridge()
        x = for_each(x0, problem) + 0.0
        return nothing_from(problem.clients), self.first_state(
            problem, x, zeros((len(problem.clients), self.numbers), x)
        )

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Observer:
        constants = replace(constants, ridge_inside=True)
        context = StepContext(constants, AnchoredGradient(), ExactModel(), All())
        step_size = StepSizeSetting.of(self.stepsize).init(self.rule(), context)
        return Observer(to_host(x0), to_host(x0), step_size, constants)

    def theory(self, server: Observer) -> list[str]:
        return server.step_size.notes()

    def contraction_rate(self, server: Observer) -> float:
        """Half of γ(1 - λ₂), by which clients come to agree, or of ημ, by which gradients lead down: the slower."""
        agreeing = self.consensus_stepsize(server) * self.graph.algebraic_connectivity(server.constants.n_clients)
        descending = server.step_size.stepsize * server.constants.strong_convexity
        return 0.5 * (min(agreeing, descending) if descending > 0.0 else agreeing)

    def consensus_stepsize(self, server: Observer) -> float:
        """γ, the consensus step size: which share of the way to their neighbours' mean clients go in a round."""
        return 1.0

    def farthest(self, server: Observer) -> Array:
        return server.far

    def round(self, server: Observer, exchange: Exchange, key: Key) -> Observer:
        parts: Parts = {}
        if key.round == 0:
            parts["stepsize"] = Dense(self.client_constants(server.step_size, server.constants))
        replies = exchange(Announcement(key.round, parts), lambda part, clients, decoded: server.constants.dim)
        rows = np.stack([message.coordinates()[1] for message in replies.messages("model")])
        x = np.sum(rows, axis=0) / len(rows)
        far = rows[np.argmax(np.sum((rows - x) ** 2, axis=1))]
        return replace(server, x=x, far=far)

    def respond(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        if announcement.round == 0:
            clients = replace(clients, numbers=for_each(received(announcement.to_all["stepsize"], problem), problem))
        messages, clients = self.encode(clients, problem.with_local_ridge(), key)
        return ManyParts(messages, len(next(iter(messages.values()), ()))), clients

    def iterates(self, clients: Any) -> Array:
        x: Array = clients.x
        return x

    def compressed(self, compressor: Compressor, rows: Array, problem: Problem, key: Key) -> Sequence[Message]:
        """Every client's message about its row of `rows` (n, d), at the wire's precision."""
        space = Coordinates(np.full(len(problem.clients), problem.dim))
        return space.compress(rounded(compressor, self.wire), equal_blocks(rows), problem.clients, key)

    @staticmethod
    def gradient(problem: Problem, x: Array, batch: Batch, key: Key) -> Array:
        """∇f_i(x_i), or an estimate from a minibatch, shape (n, d); the same rows for the same `key`."""
        point = problem.at_uncached(x)
        return point.gradient if batch == "full" else point.sampled_gradient(batch, key.to("batch"))


__all__ = ["Gossip", "Mixed", "Observer"]
