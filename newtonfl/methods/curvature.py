"""The curvature socket: what is told of ∇²f_i."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from newtonfl.backend import Array, to_device, to_host, zeros
from newtonfl.bases import Basis, Support, Symmetric, TriangleCoordinates
from newtonfl.blocks import Blocks
from newtonfl.coding import Precision
from newtonfl.keys import Key
from newtonfl.mechanisms import Mechanism
from newtonfl.messages import Dense
from newtonfl.methods.method import Facts, Replies
from newtonfl.problem import Point, Problem
from newtonfl.wire import Parts

ErrorNorm: TypeAlias = Literal["frobenius", "spectral"]
Init: TypeAlias = Literal["hessian", "zero", "zero-total"]


@dataclass(frozen=True)
class Operator:
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


class Curvature(ABC):
    """How curvature reaches the server. Subclasses are frozen dataclasses."""

    def resolved(self, problem: Problem) -> Self:
        """This socket with every setting made definite; ValueError where one does not go with the problem."""
        return self

    @abstractmethod
    def settings(self) -> dict[str, str | float]: ...

    @abstractmethod
    def greeting_sizes(self, dim: int, part: str, heard: Parts) -> int: ...

    @abstractmethod
    def join(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], Blocks | None]: ...

    @abstractmethod
    def start(self, facts: Facts, greetings: list[Parts], weights: Array) -> Any: ...

    @abstractmethod
    def tell(
        self, state: Blocks | None, point: Point, round: int, norm: ErrorNorm | None, key: Key
    ) -> tuple[list[Parts], Blocks | None]: ...

    @abstractmethod
    def hear(self, state: Any, replies: Replies, weights: Array) -> tuple[Any, Operator | None]: ...

    @abstractmethod
    def reply_size(self, state: Any, part: str, client: int) -> int: ...


@dataclass(frozen=True)
class NoCurvature(Curvature):
    """Nothing is told of ∇²f: first-order methods."""

    def settings(self) -> dict[str, str | float]:
        return {}

    def greeting_sizes(self, dim: int, part: str, heard: Parts) -> int:
        return 0

    def join(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], Blocks | None]:
        return [{} for _ in problem.clients], None

    def start(self, facts: Facts, greetings: list[Parts], weights: Array) -> Any:
        return None

    def tell(
        self, state: Blocks | None, point: Point, round: int, norm: ErrorNorm | None, key: Key
    ) -> tuple[list[Parts], Blocks | None]:
        return [{} for _ in point.problem.clients], None

    def hear(self, state: Any, replies: Replies, weights: Array) -> tuple[Any, Operator | None]:
        return None, None

    def reply_size(self, state: Any, part: str, client: int) -> int:
        return 0


@dataclass
class LearnedState:
    """The server's side of a learned Hessian.

    Attributes
    ----------
    mean : array, shape (d(d + 1)/2,)
        Σ weight_i h_i in the basis's whole triangle.
    coordinates : TriangleCoordinates
        Of all clients, as their greetings told.
    """

    mean: Array
    coordinates: TriangleCoordinates


@dataclass(frozen=True)
class LearnedHessian(Curvature):
    """∇²f_i is learned in a basis by a mechanism: H_i ← what the mechanism told so far.

    Parameters
    ----------
    mechanism : Mechanism
    basis : Basis or None
        None picks the support where rows are sparse and the compressor acts on coordinates, else symmetric.
    init : {"hessian", "zero", "zero-total"}
        H_i⁰ = ∇²f_i(x⁰), sent once and counted as set-up; 0; or the data part that makes H_i⁰ with its ridge 0.
    precision : {"float64", "float32", "natural"}
        How the initial Hessian's numbers are sent; under natural they are float32.
    """

    mechanism: Mechanism
    basis: Basis | None = None
    init: Init = "hessian"
    precision: Precision = "float64"

    def resolved(self, problem: Problem) -> Self:
        whole = problem.local_ridge is not None or self.init == "zero-total"
        basis = self.basis or (Support() if problem.is_sparse and self.mechanism.acts_on == "vector" else Symmetric())
        basis = basis.with_diagonal() if whole else basis
        mechanism = self.mechanism.for_dimension(problem.dim)
        mechanism.check(problem.prepare(basis))
        return replace(self, basis=basis, mechanism=mechanism)

    @property
    def _basis(self) -> Basis:
        if self.basis is None:
            raise ValueError("basis: not picked yet; a method is resolved for its problem before it runs")
        return self.basis

    def settings(self) -> dict[str, str | float]:
        return {**self.mechanism.settings(), "basis": self.basis.name if self.basis else "auto", "init": self.init}

    def greeting_sizes(self, dim: int, part: str, heard: Parts) -> int:
        return self._basis.sizes(dim, part, heard)

    def join(self, problem: Problem, x0: Array, key: Key) -> tuple[list[Parts], Blocks | None]:
        coordinates: TriangleCoordinates = problem.prepare(self._basis)
        greetings = [coordinates.greeting(i) for i in range(len(problem.clients))]
        if self.init == "hessian":
            first = coordinates.coefficients(problem.at(x0))
            # Powers of two would be a Hessian of their own; differences from then on bear them.
            first_precision: Precision = "float32" if self.precision == "natural" else self.precision
            told = [
                coordinates.counted(Dense(values)).to_precision(first_precision)
                for values in Blocks(to_host(first.values), first.offsets)
            ]
            greetings = [{**greeting, "initial": message} for greeting, message in zip(greetings, told, strict=True)]
            arrived = np.concatenate([message.coordinates()[1] for message in told])
            return greetings, first.replaced(to_device(arrived, first.values))
        return greetings, self._zero(coordinates, problem.ridge, problem.local_ridge is not None, problem.like)

    def _zero(self, coordinates: TriangleCoordinates, ridge: Array, ridge_inside: bool, like: Array) -> Blocks:
        """The first estimate that nobody has to send."""
        # Ours is the data part: a zero that contains the ridge (zero-total) is a data part of -ridge.
        return coordinates.diagonal_blocks(
            -ridge if self.init == "zero-total" and not ridge_inside else 0 * ridge, like
        )

    def start(self, facts: Facts, greetings: list[Parts], weights: Array) -> LearnedState:
        coordinates = self._basis.heard(facts.dim, greetings)
        mean = zeros(coordinates.total_size, facts.like)
        if self.init == "hessian":
            told = [greeting["initial"] for greeting in greetings]
        else:
            blocks = self._zero(coordinates, facts.ridge, facts.ridge_inside, np.zeros(0))
            told = [Dense(values) for values in blocks]
        return LearnedState(coordinates.accumulate(mean, told, weights), coordinates)

    def tell(
        self, state: Blocks | None, point: Point, round: int, norm: ErrorNorm | None, key: Key
    ) -> tuple[list[Parts], Blocks | None]:
        assert state is not None
        coordinates: TriangleCoordinates = point.problem.prepare(self._basis)
        target = coordinates.coefficients(point)
        if round == 0 and self.mechanism.gains(coordinates.sizes).any():
            # Newton-3PC takes its first step with H⁰ itself (arXiv 2206.03588, Algorithm 1): no message yet.
            parts: list[Parts] = [{} for _ in point.problem.clients]
            residual = target - state
        else:
            sent = self.mechanism.send(state, target, coordinates, point.problem.clients, key)
            parts = [{"curvature": message} for message in sent.messages]
            state, residual = sent.state, sent.residual
        if norm is None:
            return parts, state
        errors = coordinates.spectral_norms(residual) if norm == "spectral" else coordinates.norms(residual)
        # The papers do not count l_i.
        scalars = [Dense(error, formula_bits=0) for error in to_host(errors)[:, None]]
        return [{**part, "error": scalar} for part, scalar in zip(parts, scalars, strict=True)], state

    def hear(self, state: LearnedState, replies: Replies, weights: Array) -> tuple[LearnedState, Operator]:
        estimate = state.mean
        if "curvature" in replies.parts[0]:
            told = replies.told("curvature")
            mean, estimate = self.mechanism.receive(state.mean, told, state.coordinates, weights, replies.clients)
            state = replace(state, mean=mean)
        error = float(np.sum(weights * replies.scalars("error"))) if "error" in replies.parts[0] else 0.0
        return state, Operator(state.coordinates.square(estimate), error)

    def reply_size(self, state: LearnedState, part: str, client: int) -> int:
        return 1 if part == "error" else int(state.coordinates.sizes[client])
