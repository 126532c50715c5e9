"""Gradients sent whole, lazily or by a mechanism: the component of FedNL and Newton-3PC, and of the EF21 family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Dense, Message
from newtonfl.comm.parts import ManyParts, Parts, nothing_from
from newtonfl.components.aggregation import Aggregator
from newtonfl.components.aggregation.base import an_aggregator
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.context import ClientRound, ServerRound
from newtonfl.components.gradient.base import Gradient, GradientEstimate, with_ridge
from newtonfl.components.gradient.oracle import Full, Oracle
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import Mechanism, Memory
from newtonfl.mechanisms.constants import a_probability
from newtonfl.objectives.base import Point, Problem

Init = Literal["zero", "gradient"]


@dataclass
class ClientGradientState:
    """What the clients remember of the gradients that they have sent.

    Attributes
    ----------
    memory : Memory
        h_i, and what else the mechanism remembers.
    oracle : state of the oracle
        What the oracle remembers; its own type, which this component does not look into.
    errors : Blocks or None
        e_i: what compression has left out so far.
    scale : array, shape (n,), or None
        n·w_i.
    """

    memory: Memory
    oracle: object
    errors: Blocks | None
    scale: Array | None


@dataclass
class ServerGradientState:
    """The server's side of gradients that are sent.

    Attributes
    ----------
    mean : array, shape (d,)
        Σ weight_i h_i.
    estimate : GradientEstimate or None
        (w, ∇f(w)) of the last round; None before the first.
    weights : numpy.ndarray, shape (n,)
        w_i, of the sum 1.
    copies : Blocks or None
        Every h_i, where the server keeps them apart.
    """

    mean: Array
    estimate: GradientEstimate | None
    weights: Array
    copies: Blocks | None


@dataclass(frozen=True)
class AnchoredGradient(Gradient[ServerGradientState, ClientGradientState]):
    """∇f_i at the last z at which the server's coin ξ fell on heads: there w = z; x⁺ = w - P⁻¹∇f(w).

    On tails nothing is sent. The papers write g = P(z - w) + ∇f(w) and x⁺ = z - P⁻¹g, which is the same point
    (FedNL-BC, arXiv 2106.02969, Algorithm 5; BL1, arXiv 2111.01847; Newton-3PC-BC, arXiv 2206.03588).

    Parameters
    ----------
    mechanism : Mechanism or None
        How ∇f_i is sent; None sends it whole.
    p : float
        How likely heads are; 1 sends every gradient. Round 0 always does.
    oracle : Oracle
        What a client takes for its gradient.
    init : {"zero", "gradient"}
        Where the mechanism begins: h_i = 0, or h_i = ∇f_i(x⁰), sent whole in round 0.
    errors : bool
        Whether what a message leaves out is added to the next target: classical error feedback, e_i.
    weigh : {"equal", "smoothness"}
        Whether client i counts 1/n, or w_i = L_i/ΣL_j and sends ∇f_i/(n w_i); round 0 tells it n·w_i.
    copies : bool
        Whether the server keeps every h_i (n·d numbers).
    whole : Compressor
        How a gradient is sent whole: the identity, at the wire's precision.
    aggregator : Aggregator or None
        What the server makes of the h_i, which it then keeps apart; None is their weighted mean.
    """

    mechanism: Mechanism | None = None
    p: float = 1.0
    oracle: Oracle[Any] = field(default_factory=Full)
    init: Init = "zero"
    errors: bool = False
    weigh: Literal["equal", "smoothness"] = "equal"
    copies: bool = False
    whole: Compressor = field(default_factory=Identity)
    aggregator: Aggregator | None = None

    def __post_init__(self) -> None:
        a_probability("gradient_p", self.p)
        if self.aggregator is not None:
            an_aggregator("aggregator", self.aggregator)
            if self.weigh != "equal":
                raise ValueError(
                    f"aggregator={self.aggregator}: a rule takes all clients alike, given weigh={self.weigh}"
                )

    @property
    def partial(self) -> bool:  # type: ignore[override]
        """h_i stays true while client i is away, unless its mechanism compares with the last round."""
        return self.mechanism is not None and not self.mechanism.needs_previous and self.p == 1.0

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        mechanism = self.mechanism and self.mechanism.coin
        return ({"anchor": self.p} if self.p < 1 else {}) | ({"gradient": mechanism} if mechanism else {})

    @property
    def shares_draws(self) -> bool:
        return self.mechanism is not None and self.mechanism.shares_draws

    @property
    def sends(self) -> str:  # type: ignore[override]
        what = "∇f_i" if self.exact else "∇f_i of drawn rows"
        return what if self.mechanism is None else f"{what}, {self.mechanism.sends}"

    @property
    def exact(self) -> bool:
        return self.oracle.exact

    def resolved(self, problem: Problem) -> Self:
        self.oracle.check(problem)
        if self.aggregator is not None:
            self.aggregator.check(problem.n_clients, "clients")
        if self.weigh == "smoothness":
            try:
                _ = problem.client_smoothness
            except ValueError as error:
                raise ValueError(f"weights w_i = L_i/ΣL_j need the clients' own L_i: {error}") from None
        mechanism = self.mechanism and self.mechanism.for_dimension(problem.dim).for_clients(problem.n_clients)
        return replace(self, mechanism=mechanism.contracted() if mechanism and self.errors else mechanism)

    def init_clients(self, x0: Array, space: Coordinates) -> ClientGradientState:
        n, nothing = len(space.sizes), Blocks.of([zeros(int(size), x0) for size in space.sizes], x0)
        errors = nothing.replaced(nothing.values + 0.0) if self.errors else None
        scale = None if self.weigh == "equal" else zeros(n, x0)
        memory = self.mechanism.init_memory(nothing) if self.mechanism else Memory(nothing)
        return ClientGradientState(memory, self.oracle.init_clients(x0, n), errors, scale)

    def encode(
        self, state: ClientGradientState, point: Point, context: ClientRound
    ) -> tuple[Sequence[Parts], ClientGradientState]:
        clients, coin = point.problem.clients, context.coins.get("gradient", True)
        first = self._is_first(context.round)
        skips = not first and self.mechanism is not None and self.mechanism.skips(coin)
        if not context.coins.get("anchor", True) or (skips and not self.oracle.remembers):
            return nothing_from(clients), state
        gradient, oracle = self.oracle.draw(state.oracle, point, context)
        if skips:
            return nothing_from(clients), replace(state, oracle=oracle)
        scale = state.scale
        if scale is not None:
            if context.round == 0:
                numbers = [context.to_one[int(i)]["scale"].coordinates()[1] for i in clients]
                scale = to_device(np.concatenate([np.zeros(0), *numbers]), scale)
            gradient = gradient / scale[:, None]
        target = context.space.of_gradients(gradient)
        if state.errors is not None:
            target = target.replaced(target.values + state.errors.values)
        if self.mechanism is None:
            messages = self._whole(context, target, clients)
            memory, errors = state.memory, state.errors
        elif first:
            messages = self._whole(context, target, clients)
            nothing = state.memory.estimate.replaced(0.0 * state.memory.estimate.values)
            estimate = context.space.add(nothing, messages, np.ones(len(messages)))
            last = target if self.mechanism.needs_previous else None
            memory = self.mechanism.init_memory(estimate, last)
            errors = state.errors and target - estimate
        else:
            sent = self.mechanism.send(state.memory, target, context.space, clients, context.key, coin)
            messages, memory = sent.messages, sent.memory
            errors = state.errors and sent.residual
        state = ClientGradientState(memory, oracle, errors, scale)
        return ManyParts({"gradient": messages}, len(clients)), state

    def _is_first(self, round: int) -> bool:
        return round == 0 and self.init == "gradient"

    def _whole(self, context: ClientRound, target: Blocks, clients: Array) -> Sequence[Message]:
        return context.space.compress(self.whole, target, clients, context.key)

    def init_server(self, constants: ProblemConstants, x0: Array) -> ServerGradientState:
        weights = np.full(constants.n_clients, 1.0 / constants.n_clients)
        if self.weigh == "smoothness":
            inside = float(constants.ridge.max()) if constants.ridge_inside else 0.0
            smoothness = constants.client_smoothness() + inside
            weights = smoothness / smoothness.sum() if smoothness.any() else weights
        keeps = self.copies or self.aggregator is not None
        copies = Blocks.of([zeros(constants.dim, constants.like) for _ in weights]) if keeps else None
        return ServerGradientState(zeros(constants.dim, constants.like), None, weights, copies)

    def announce(self, state: ServerGradientState, constants: ProblemConstants, round: int) -> dict[int, Parts]:
        if self.weigh == "equal" or round > 0:
            return {}
        # A client without curvature has a gradient that does not change, and no weight: any scale will do.
        scales = np.where(state.weights > 0, constants.n_clients * state.weights, 1.0)
        return {i: {"scale": Dense(scale[None])} for i, scale in enumerate(scales)}

    def aggregate(
        self, state: ServerGradientState, replies: Replies, context: ServerRound, constants: ProblemConstants
    ) -> tuple[ServerGradientState, GradientEstimate]:
        if not context.coins.get("anchor", True) and state.estimate is not None:
            return state, state.estimate
        mean = estimate = state.mean
        copies, weights = state.copies, state.weights[replies.clients]
        first = self.mechanism is None or self._is_first(context.round)
        # All send whole gradients; of changes all, or none.
        messages = replies.messages("gradient") if first or replies.have("gradient") else []
        if first:
            mean = estimate = context.space.accumulate(zeros(constants.dim, constants.like), messages, weights)
        elif len(messages):
            assert self.mechanism is not None
            scale = 1.0 / context.share if self.mechanism.averages_over_sample else 1.0
            mean, estimate = self.mechanism.receive(mean, messages, context.space, weights, replies.clients, scale)
        if copies is not None and len(messages):
            copies = self._copied(copies, messages, replies.clients, context.space, first)
        z, by_client = context.point, None
        if copies is not None:
            rows = namespace(copies.values).reshape(copies.values, (constants.n_clients, constants.dim))
            by_client = with_ridge(rows, z, constants)
            estimate = estimate if self.aggregator is None else self.aggregator.of(rows, context.key)
        g = GradientEstimate(z, with_ridge(estimate, z, constants), by_client)
        return ServerGradientState(mean, g, state.weights, copies), g

    def _copied(
        self, copies: Blocks, messages: Sequence[Message], clients: Array, space: Coordinates, first: bool
    ) -> Blocks:
        """Every h_i after the messages of the `clients`."""
        of_these, before = space.select(clients), take_clients(copies, clients)
        memory_rates = np.ones(len(messages))
        if first:
            before = before.replaced(0.0 * before.values)
        elif self.mechanism is not None:
            memory_rates = self.mechanism.memory_rates(of_these.sizes)
        after: Blocks = put_clients(copies, clients, of_these.add(before, messages, memory_rates))
        return after

    def parameters(self) -> dict[str, str | float]:
        rule = {} if self.aggregator is None else {"aggregator": str(self.aggregator)}
        return {"gradient": str(self.mechanism or "exact"), "gradient_p": self.p, **rule}

    def announcement_size(self, part: str, dim: int) -> int | None:
        return 1 if part == "scale" else None

    def constants(self, constants: ProblemConstants, share: float) -> tuple[float, float]:
        if self.mechanism is None:
            return 1.0, 0.0
        a, b = self.mechanism.constants(constants.dim)
        if share == 1.0:
            return a, b
        # Who is away keeps h_i: ‖h - x‖² ≤ (1 + ρ)‖h - y‖² + (1 + 1/ρ)‖x - y‖², with the ρ that makes B/A least.
        away, c = 1.0 - share, b * share + 1.0 - share
        rho = (np.sqrt(away**2 + c * a * share) - away) / c
        return float(a * share - rho * away), float(b * share + (1.0 + 1.0 / rho) * away)

    def check(self, space: Coordinates) -> None:
        if self.mechanism:
            self.mechanism.check(space)
