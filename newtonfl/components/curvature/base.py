"""The curvature socket: what is told of ∇²f_i."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.packets import Parts
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.objectives.base import Point, Problem

ErrorNorm: TypeAlias = Literal["frobenius", "spectral"]


@dataclass(frozen=True)
class HessianEstimate:
    """What the curvature socket hands the step.

    Attributes
    ----------
    hessian : array, shape (d, d)
        The server's estimate of ∇²f, less the part of the ridge that the server adds.
    error : float
        l = (1/n) Σ l_i, where the step asked for it; else 0.
    """

    hessian: Array
    error: float


@dataclass(frozen=True)
class Preconditioner:
    """A curvature that hands the step P⁻¹ itself.

    Attributes
    ----------
    product : callable
        v → P⁻¹v, shape (d,).
    """

    product: Callable[[Array], Array]


@dataclass(frozen=True)
class ErrorRequest:
    """What the step wants to know of l_i = ‖H_i - ∇²f_i‖: in which norm (None: nothing), and whether in every round."""

    norm: ErrorNorm | None
    fresh: bool


class Curvature(ABC):
    """How curvature reaches the server. Subclasses are frozen dataclasses.

    Attributes
    ----------
    needs_convexity : bool
        Whether the f_i must be convex.
    """

    needs_convexity: ClassVar[bool] = True

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        """The server's coins by name, and how likely heads are."""
        return {}

    def resolved(self, problem: Problem) -> Self:
        """This socket with every setting made definite; ValueError where one does not go with the problem."""
        return self

    def gradients(self, problem: Problem) -> Coordinates:
        """The coordinates in which the clients held here tell their gradients."""
        return Coordinates(np.full(len(problem.clients), problem.dim))

    def server_gradient_coordinates(self, state: Any, facts: ProblemConstants) -> Coordinates:
        """The same for all clients, on the server."""
        return Coordinates(np.full(facts.n_clients, facts.dim))

    @abstractmethod
    def settings(self) -> dict[str, str | float]: ...

    @abstractmethod
    def setup_sizes(self, dim: int, part: str, heard: Parts) -> int: ...

    @abstractmethod
    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], Any]:
        """The greetings and the first state of the clients held here."""

    @abstractmethod
    def init_server(self, facts: ProblemConstants, setup_messages: list[Parts], weights: Array) -> Any:
        """The server's first state."""

    @abstractmethod
    def encode(
        self, state: Any, point: Point, whole: Problem, chosen: Array | None, round: int, wanted: ErrorRequest,
        coins: dict[str, bool], key: Key,
    ) -> tuple[list[Parts], Any]:  # fmt: skip
        """The parts of the clients at `point`: all held here, or those at the positions `chosen` of the `whole`."""

    @abstractmethod
    def aggregate(self, state: Any, replies: Replies, weights: Array) -> tuple[Any, HessianEstimate | None]:
        """The server's state after the replies, and what the step shall use."""

    def precondition(
        self, state: Any, operator: HessianEstimate | None, anchor: GradientEstimate
    ) -> tuple[Any, HessianEstimate | Preconditioner | None]:
        """The state and what the step shall use, once the round's gradients are known too."""
        return state, operator

    @abstractmethod
    def reply_size(self, state: Any, part: str, client: int) -> int: ...


@dataclass(frozen=True)
class NoCurvature(Curvature):
    """Nothing is told of ∇²f: first-order methods."""

    needs_convexity = False

    def settings(self) -> dict[str, str | float]:
        return {}

    def setup_sizes(self, dim: int, part: str, heard: Parts) -> int:
        return 0

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], Any]:
        return [{} for _ in problem.clients], None

    def init_server(self, facts: ProblemConstants, setup_messages: list[Parts], weights: Array) -> Any:
        return None

    def encode(
        self, state: Any, point: Point, whole: Problem, chosen: Array | None, round: int, wanted: ErrorRequest,
        coins: dict[str, bool], key: Key,
    ) -> tuple[list[Parts], Any]:  # fmt: skip
        return [{} for _ in point.problem.clients], None

    def aggregate(self, state: Any, replies: Replies, weights: Array) -> tuple[Any, HessianEstimate | None]:
        return state, None

    def reply_size(self, state: Any, part: str, client: int) -> int:
        return 0
