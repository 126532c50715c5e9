"""Where a client's gradient comes from: all its rows, some of them, or an average over the rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np

from newtonfl.components.context import ClientRound
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, zeros
from newtonfl.objectives.base import Point, Problem

State = TypeVar("State")


class Oracle(ABC, Generic[State]):
    """What a client takes for its gradient. Subclasses are frozen dataclasses; `State` is what its clients remember.

    Attributes
    ----------
    remembers : bool
        Whether it must look in every round, also in those in which nothing is sent.
    exact : bool
        Whether it is ∇f_i itself, which some theorems need.
    """

    remembers: ClassVar[bool] = False
    exact: ClassVar[bool] = False

    @abstractmethod
    def init_clients(self, x0: Array, n: int) -> State:
        """The first state of n clients at `x0` (d,); every field has the clients' axis first."""

    @abstractmethod
    def draw(self, state: State, point: Point, context: ClientRound) -> tuple[Array, State]:
        """The clients' gradients (n, d), and the state after them."""

    def check(self, problem: Problem) -> None:
        """Refuse a problem that cannot serve, with a ValueError that says why."""

    @abstractmethod
    def parameters(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""


class Memoryless(Oracle[None]):
    """An oracle whose clients remember nothing."""

    def init_clients(self, x0: Array, n: int) -> None:
        return None


@dataclass(frozen=True)
class Full(Memoryless):
    """∇f_i itself."""

    exact: ClassVar[bool] = True

    def draw(self, state: None, point: Point, context: ClientRound) -> tuple[Array, None]:
        return point.gradient, state

    def parameters(self) -> dict[str, str | float]:
        return {"batch": "full"}


@dataclass(frozen=True)
class Minibatch(Memoryless):
    """An unbiased estimate from `batch` of the client's rows, drawn anew each round without replacement.

    Parameters
    ----------
    batch : int
        A client with fewer rows takes all of them.
    """

    batch: int

    def __post_init__(self) -> None:
        if isinstance(self.batch, bool) or not isinstance(self.batch, (int, np.integer)) or self.batch < 1:
            raise ValueError(f"batch: given {self.batch!r}, must be 'full' or a whole number of rows of at least 1")

    def draw(self, state: None, point: Point, context: ClientRound) -> tuple[Array, None]:
        return point.sampled_gradient(int(self.batch), context.key.to("batch")), state

    def check(self, problem: Problem) -> None:
        problem.check_rows()

    def parameters(self) -> dict[str, str | float]:
        return {"batch": self.batch}


@dataclass(frozen=True)
class Momentum(Oracle[Array]):
    """v ← (1 - η)v + η·(another oracle's gradient), begun with its first (EF21-SGDM, arXiv 2305.15155).

    Parameters
    ----------
    eta : float
        η in (0, 1].
    oracle : Oracle
        That other oracle, which remembers nothing.
    """

    eta: float
    oracle: Oracle[None] = field(default_factory=Full)
    remembers = True

    def __post_init__(self) -> None:
        if not is_number(self.eta) or not 0 < self.eta <= 1:
            raise ValueError(f"eta: given {self.eta!r}, must be a number above 0 and at most 1")

    def init_clients(self, x0: Array, n: int) -> Array:
        return zeros((n, x0.shape[0]), x0)

    def draw(self, state: Array, point: Point, context: ClientRound) -> tuple[Array, Array]:
        gradient, _ = self.oracle.draw(None, point, context)
        v = gradient if context.round == 0 else (1.0 - self.eta) * state + self.eta * gradient
        return v, v

    def check(self, problem: Problem) -> None:
        self.oracle.check(problem)

    def parameters(self) -> dict[str, str | float]:
        return {**self.oracle.parameters(), "eta": self.eta}
