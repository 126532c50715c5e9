"""The learned Hessian: a basis, a mechanism and a compressor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np

from newtonfl.bases import Basis, Coordinates, Support, Symmetric, TriangleCoordinates
from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Batch, Dense, Message
from newtonfl.comm.parts import ManyParts, Parts, column, joined_all, nothing_from
from newtonfl.components.curvature.base import Curvature, CurvatureRound, HessianEstimate, with_ridge
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.mechanisms import Mechanism, Memory
from newtonfl.objectives.base import Problem

Init: TypeAlias = Literal["hessian", "zero", "zero-total", "optimum"]


@dataclass
class ClientHessianState:
    """The clients' side of a learned Hessian; every field has the clients' axis first.

    Attributes
    ----------
    memory : Memory
        H_i in the basis's coordinates, and the last target where the mechanism needs it.
    errors : numpy.ndarray, shape (n,)
        l_i as it was sent last.
    """

    memory: Memory
    errors: Array


@dataclass
class ServerHessianState:
    """The server's side of a learned Hessian.

    Attributes
    ----------
    mean : array, shape (coordinates.total_size,)
        Σ weight_i h_i in the basis's whole triangle, or every weight_i h_i where they are kept apart.
    errors : numpy.ndarray, shape (n,)
        l_i as it was sent last.
    coordinates : TriangleCoordinates
        Of all clients, from their set-up messages.
    """

    mean: Array
    errors: Array
    coordinates: TriangleCoordinates


@dataclass(frozen=True)
class LearnedHessian(Curvature[ServerHessianState, ClientHessianState]):
    """∇²f_i is learned in a basis by a mechanism: H_i ← what the mechanism has sent so far.

    Parameters
    ----------
    mechanism : Mechanism
    basis : Basis or None
        None picks the support where rows are sparse and the compressor acts on coordinates, else symmetric.
    init : {"hessian", "zero", "zero-total", "optimum"}
        H_i⁰ = ∇²f_i(x⁰), sent once and counted as set-up; 0; the data part that makes H_i⁰ with its ridge 0; or
        ∇²f_i at the `optimum`, sent once.
    precision : {"float64", "float32", "natural"}
        How the initial Hessian's numbers are sent; under natural they are float32.
    optimum : tuple of float, or None
        x*, for that.
    """

    mechanism: Mechanism
    basis: Basis | None = None
    init: Init = "hessian"
    precision: Precision = "float64"
    optimum: tuple[float, ...] | None = None
    measures_error: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.mechanism, Mechanism):
            raise TypeError(f"mechanism: given {self.mechanism!r}, must be a Mechanism such as EF21(TopK(30))")
        if not isinstance(self.basis, Basis | None):
            raise TypeError(f"basis: given {self.basis!r}, must be a Basis such as DataSubspace(), or 'auto'")
        if self.init not in get_args(Init):
            raise ValueError(f"init: given {self.init!r}, allowed are {', '.join(get_args(Init))}")

    @property
    def sends(self) -> str:  # type: ignore[override]
        first = "∇²f_i whole at the start, then " if self.init in ("hessian", "optimum") else "∇²f_i "
        setup = "" if self.basis is None or not self.basis.sends else f"; {self.basis.sends}, once"
        return f"{first}by compressed changes{setup}"

    @property
    def keeps_matrices(self) -> bool:
        return self.mechanism.step_uses == "after"

    @property
    def starts_at_zero(self) -> bool:
        return self.init in ("zero", "zero-total")

    @property
    def shares_draws(self) -> bool:
        return self.mechanism.shares_draws

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        return {} if self.mechanism.coin is None else {"curvature": self.mechanism.coin}

    def resolved(self, problem: Problem) -> Self:
        whole = problem.local_ridge is not None or self.init == "zero-total"
        basis = self.basis or (Support() if problem.is_sparse and self.mechanism.acts_on == "vector" else Symmetric())
        basis = basis.with_diagonal() if whole else basis
        mechanism = self.mechanism.for_dimension(problem.dim)
        if basis.whole:
            # Messages of K coordinates move an estimate where it stands; others are as large as the estimate.
            few = all(isinstance(getattr(part, "k", None), int) for part in mechanism.compressors())
            copies = 1 if few and not mechanism.needs_previous else 2
            problem.check_hessians("a learned Hessian", of_clients=True, copies=copies)
        mechanism.check(problem.prepare(basis))
        if self.init == "optimum" and len(self.optimum or ()) != problem.dim:
            found = "none" if self.optimum is None else f"{len(self.optimum)} numbers"
            raise ValueError(
                f"optimum: given {found}, must be the solution x*, d = {problem.dim} numbers: its Hessian is used"
            )
        return replace(self, basis=basis, mechanism=mechanism)

    @property
    def _basis(self) -> Basis:
        if self.basis is None:
            raise ValueError("basis: not picked yet; a method is resolved for its problem before it runs")
        return self.basis

    def parameters(self) -> dict[str, str | float]:
        point = {} if self.optimum is None else {"optimum": f"({', '.join(map(repr, self.optimum))},)"}
        own = {"basis": str(self.basis or "auto"), "init": self.init, **point}
        return {**self.mechanism.preset_settings(), **own}

    def numbers_per_client(self, problem: Problem) -> float:
        if isinstance(self.basis, Support):
            return problem.hessian_entries
        return triangle(problem.dim).size if self.basis is None else self.basis.numbers_per_client(problem)

    def keeps_apart(self, dim: int) -> bool:
        return self.basis is not None and self.basis.keeps_apart(dim)

    def gradients(self, problem: Problem) -> Coordinates:
        coordinates: TriangleCoordinates = problem.prepare(self._basis)
        return coordinates.gradients()

    def server_gradients(self, state: ServerHessianState, constants: ProblemConstants) -> Coordinates:
        return state.coordinates.gradients()

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> Array | int:
        if not any(decoded[:1]):  # nothing before it, so nothing that clients differ in
            return self._basis.sizes(dim, part, {})
        return np.array([self._basis.sizes(dim, part, before) for before in decoded])

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], ClientHessianState]:
        coordinates: TriangleCoordinates = problem.prepare(self._basis)
        setup_messages = coordinates.setup_messages()
        if self.init in ("hessian", "optimum"):
            point = x0 if self.optimum is None else to_device(np.array(self.optimum), x0)
            first = coordinates.coefficients(problem.at(point))
            if not coordinates.norms_are_plain:  # perhaps the point's own entries, which nobody may move
                first = first.replaced(first.values + 0.0)
            # Powers of two would be a Hessian of their own; differences from then on bear them.
            first_precision: Precision = "float32" if self.precision == "natural" else self.precision
            whole = coordinates.counted(Batch(Dense, coordinates.sizes, to_host(first.values)))
            messages = whole.to_precision(first_precision)
            setup_messages = joined_all(setup_messages, ManyParts({"initial": messages}, len(messages)))
            # On the host these are the messages' own numbers: set-up messages are read before anything moves.
            first = first.replaced(to_device(messages.values, first.values))
        else:
            first = self._zero(coordinates, problem.ridge, problem.local_ridge is not None, problem.like)
        return setup_messages, ClientHessianState(self.mechanism.init_memory(first), np.zeros(len(problem.clients)))

    def _zero(self, coordinates: TriangleCoordinates, ridge: Array, ridge_inside: bool, like: Array) -> Blocks:
        """The first estimate that nobody has to send."""
        # Ours is the data part: a zero that contains the ridge (zero-total) is a data part of -ridge.
        return coordinates.diagonal_blocks(
            -ridge if self.init == "zero-total" and not ridge_inside else 0 * ridge, like
        )

    def init_server(
        self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array
    ) -> ServerHessianState:
        coordinates = self._basis.from_setup(constants.dim, setup_messages)
        mean = zeros(coordinates.total_size, constants.like)
        mean = coordinates.accumulate(mean, self.first_messages(coordinates, constants, setup_messages), weights)
        return ServerHessianState(mean, np.zeros(constants.n_clients), coordinates)

    def first_messages(
        self, coordinates: TriangleCoordinates, constants: ProblemConstants, setup_messages: Sequence[Parts]
    ) -> Sequence[Message]:
        """H_i⁰ of every client, as it was sent or as nobody has to send it."""
        if self.init in ("hessian", "optimum"):
            return column(setup_messages, "initial")
        blocks = self._zero(coordinates, constants.ridge, constants.ridge_inside, np.zeros(0))
        return Batch(Dense, blocks.sizes, blocks.values)

    def coordinates(self, whole: Problem, chosen: Array | None) -> TriangleCoordinates:
        """The coordinates of the clients held here, or of those at the positions `chosen`."""
        prepared: TriangleCoordinates = whole.prepare(self._basis)
        return prepared if chosen is None else prepared.select(chosen)

    def encode(self, state: ClientHessianState, context: CurvatureRound) -> tuple[Sequence[Parts], ClientHessianState]:
        coordinates, clients = self.coordinates(context.problem, context.chosen), context.point.problem.clients
        coin, request, mechanism = context.coins.get("curvature", True), context.request, self.mechanism
        # Newton-3PC takes its first step with H⁰ itself (arXiv 2206.03588, Algorithm 1): no message yet.
        first = context.round == 0 and bool(mechanism.estimate_rates(coordinates.sizes).any())
        silent = first or mechanism.skips(coin)
        measured = request.norm is not None and (request.fresh or not silent or context.round == 0)
        if silent and not measured and not (first and mechanism.needs_previous):
            return nothing_from(clients), state
        measure = coordinates.spectral_norms if request.norm == "spectral" else coordinates.norms
        parts: Sequence[Parts]
        if not silent and measured and request.norm == "frobenius":
            entries, diagonal = coordinates.entries_at(context.point)
            messages, memory, norms = mechanism.send_and_measure(
                state.memory, entries, coordinates, clients, context.key, coin, diagonal
            )
            parts = ManyParts({"curvature": messages}, len(clients))
        elif silent:
            target = coordinates.coefficients(context.point)
            parts, norms = nothing_from(clients), measure(target - state.memory.estimate)
            memory = replace(state.memory, target=target if mechanism.needs_previous else None)
        else:
            target = coordinates.coefficients(context.point)
            sent = mechanism.send(state.memory, target, coordinates, clients, context.key, coin)
            parts = ManyParts({"curvature": sent.messages}, len(clients))
            memory, norms = sent.memory, measure(sent.residual) if measured else None
        if not measured:
            return parts, ClientHessianState(memory, state.errors)
        errors = to_host(norms)
        ones = np.ones(len(clients), np.int64)
        l = Batch(Dense, ones, errors, formula_bits=0 * ones)  # noqa: E741 - the papers' letter; they do not count it
        return joined_all(parts, ManyParts({"error": l}, len(clients))), ClientHessianState(memory, errors)

    def aggregate(
        self, state: ServerHessianState, replies: Replies, weights: Array, key: Key
    ) -> tuple[ServerHessianState, HessianEstimate]:
        mean = estimate = state.mean
        errors = state.errors
        if replies.have("curvature"):
            messages = replies.messages("curvature")
            mean, estimate = self.mechanism.receive(mean, messages, state.coordinates, weights, replies.clients)
        if replies.have("error"):
            errors = errors.copy()
            errors[replies.clients] = replies.scalars("error")
        everyone = np.full(len(errors), 1.0 / len(errors))
        hessian = HessianEstimate(state.coordinates.estimate(estimate), float(np.sum(everyone * errors)))
        return ServerHessianState(mean, errors, state.coordinates), hessian

    def hessian_estimate(self, state: ServerHessianState, constants: ProblemConstants) -> Array:
        return with_ridge(state.coordinates.square(state.mean), constants)

    def errors(self, state: ServerHessianState) -> Array:
        return state.errors

    def hessian_product(self, state: ClientHessianState, context: CurvatureRound, i: int, v: Array) -> Array:
        coordinates = self.coordinates(context.problem, context.chosen)
        return coordinates.apply(i, state.memory.estimate[i], v) + float(state.errors[i]) * v

    def hessian_product_change(
        self, before: ClientHessianState, after: ClientHessianState, context: CurvatureRound, parts: Parts, i: int,
        v: Array,
    ) -> Array:  # fmt: skip
        coordinates = self.coordinates(context.problem, context.chosen)
        error = float(after.errors[i] - before.errors[i])
        return self.message_product(coordinates, i, parts.get("curvature"), error, v)

    def server_product_change(
        self, before: ServerHessianState, after: ServerHessianState, replies: Replies, j: int, v: Array
    ) -> Array:
        client = int(replies.clients[j])
        error = float(after.errors[client] - before.errors[client])
        return self.message_product(after.coordinates, client, replies.parts[j].get("curvature"), error, v)

    def message_product(
        self, coordinates: TriangleCoordinates, i: int, message: Message | None, error: float, v: Array
    ) -> Array:
        """What a `message` and l_i's change `error` add to (H_i + l_i I)v: both ends work it out alike."""
        change = error * v
        if message is None:
            return change
        indices, values = coordinates.decode(message)
        memory_rate = float(self.mechanism.memory_rates(coordinates.sizes[i : i + 1])[0])
        whole = np.zeros(int(coordinates.sizes[i]))
        whole[slice(None) if indices is None else indices] = memory_rate * values
        return change + coordinates.apply(i, to_device(whole, v), v)

    def reply_sizes(self, state: ServerHessianState, part: str, clients: Array) -> Array | int:
        return 1 if part == "error" else state.coordinates.sizes[clients]
