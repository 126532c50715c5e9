"""Gradients told whole, lazily or by a mechanism: the socket of FedNL and Newton-3PC, and of the EF21 family."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Dense, Message
from newtonfl.comm.packets import Parts
from newtonfl.components.client_state import put_clients, take_clients
from newtonfl.components.gradient.base import Gradient, GradientEstimate, RoundContext, with_ridge
from newtonfl.components.gradient.oracle import Full, Source
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
    """What the clients remember of the gradients that they have told.

    Attributes
    ----------
    memory : Memory
    source : object
        The source's own state.
    errors : Blocks or None
        e_i: what compression has left out so far.
    scale : array, shape (n,), or None
        n·w_i.
    """

    memory: Memory
    source: Any
    errors: Blocks | None
    scale: Array | None


@dataclass
class ServerGradientState:
    """The server's side of gradients that are told.

    Attributes
    ----------
    mean : array, shape (d,)
        Σ weight_i h_i.
    anchor : GradientEstimate or None
    weights : numpy.ndarray, shape (n,)
        w_i, of the sum 1.
    copies : Blocks or None
        Every h_i, where the server keeps them apart.
    """

    mean: Array
    anchor: GradientEstimate | None
    weights: Array
    copies: Blocks | None


@dataclass(frozen=True)
class AnchoredGradient(Gradient):
    """∇f_i at the last z at which the server's coin ξ fell on heads: there w = z; x⁺ = w - P⁻¹∇f(w).

    On tails nothing is told. The papers write g = P(z - w) + ∇f(w) and x⁺ = z - P⁻¹g, which is the same point
    (FedNL-BC, arXiv 2106.02969, Algorithm 5; BL1, arXiv 2111.01847; Newton-3PC-BC, arXiv 2206.03588).

    Parameters
    ----------
    mechanism : Mechanism or None
        How ∇f_i is told; None sends it whole.
    p : float
        How likely heads are; 1 sends every gradient. Round 0 always does.
    source : Source
        What a client takes for its gradient.
    init : {"zero", "gradient"}
        Where the mechanism begins: h_i = 0, or h_i = ∇f_i(x⁰), told whole in round 0.
    errors : bool
        Whether what a message leaves out is added to the next target: classical error feedback, e_i.
    weigh : {"equal", "smoothness"}
        Whether client i counts 1/n, or w_i = L_i/ΣL_j and tells of ∇f_i/(n w_i); round 0 tells it n·w_i.
    copies : bool
        Whether the server keeps every h_i (n·d numbers).
    whole : Compressor
        How a gradient is sent whole: the identity, at the wire's precision.
    """

    mechanism: Mechanism | None = None
    p: float = 1.0
    source: Source = field(default_factory=Full)
    init: Init = "zero"
    errors: bool = False
    weigh: Literal["equal", "smoothness"] = "equal"
    copies: bool = False
    whole: Compressor = field(default_factory=Identity)

    def __post_init__(self) -> None:
        a_probability("gradient_p", self.p)

    @property
    def partial(self) -> bool:  # type: ignore[override]
        """What h_i was told stays true while client i is away, unless its mechanism compares with the last round."""
        return self.mechanism is not None and not self.mechanism.needs_previous and self.p == 1.0

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        mechanism = self.mechanism and self.mechanism.coin
        return ({"anchor": self.p} if self.p < 1 else {}) | ({"gradient": mechanism} if mechanism else {})

    def resolved(self, problem: Problem) -> Self:
        self.source.check(problem)
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
        return ClientGradientState(Memory(nothing), self.source.init_clients(x0, n), errors, scale)

    def encode(
        self, state: ClientGradientState, point: Point, scene: RoundContext, round: int
    ) -> tuple[list[Parts], ClientGradientState]:
        clients, coin = point.problem.clients, scene.coins.get("gradient", True)
        skips = not self._begins(round) and self.mechanism is not None and self.mechanism.skips(coin)
        if not scene.coins.get("anchor", True) or (skips and not self.source.remembers):
            return [{} for _ in clients], state
        gradient, source = self.source.draw(state.source, point, scene.key, round)
        if skips:
            return [{} for _ in clients], replace(state, source=source)
        scale = state.scale
        if scale is not None:
            if round == 0:
                told = [scene.told[int(i)]["scale"].coordinates()[1] for i in clients]
                scale = to_device(np.concatenate([np.zeros(0), *told]), scale)
            gradient = gradient / scale[:, None]
        target = scene.space.of_gradients(gradient)
        if state.errors is not None:
            target = target.replaced(target.values + state.errors.values)
        if self.mechanism is None:
            messages = self._whole(scene, target, clients)
            memory, errors = state.memory, state.errors
        elif self._begins(round):
            messages = self._whole(scene, target, clients)
            nothing = state.memory.estimate.replaced(0.0 * state.memory.estimate.values)
            begun = scene.space.add(nothing, messages, np.ones(len(messages)))
            memory = Memory(begun, target if self.mechanism.needs_previous else None)
            errors = state.errors and target - begun
        else:
            sent = self.mechanism.send(state.memory, target, scene.space, clients, scene.key, coin)
            messages, memory = sent.messages, sent.memory
            errors = state.errors and sent.residual
        return [{"gradient": message} for message in messages], ClientGradientState(memory, source, errors, scale)

    def _begins(self, round: int) -> bool:
        return round == 0 and self.init == "gradient"

    def _whole(self, scene: RoundContext, target: Blocks, clients: Array) -> list[Message]:
        return scene.space.compress(self.whole, target, clients, scene.key)

    def init_server(self, facts: ProblemConstants, x0: Array) -> ServerGradientState:
        weights = np.full(facts.n_clients, 1.0 / facts.n_clients)
        if self.weigh == "smoothness":
            each = facts.client_smoothness() + (float(facts.ridge.max()) if facts.ridge_inside else 0.0)
            weights = each / each.sum() if each.any() else weights
        copies = Blocks.of([zeros(facts.dim, facts.like) for _ in weights]) if self.copies else None
        return ServerGradientState(zeros(facts.dim, facts.like), None, weights, copies)

    def announce(self, state: ServerGradientState, facts: ProblemConstants, round: int) -> dict[int, Parts]:
        if self.weigh == "equal" or round > 0:
            return {}
        # A client without curvature has a gradient that does not change, and no say: any scale will do.
        scales = np.where(state.weights > 0, facts.n_clients * state.weights, 1.0)
        return {i: {"scale": Dense(scale[None])} for i, scale in enumerate(scales)}

    def aggregate(
        self, state: ServerGradientState, replies: Replies, scene: RoundContext, facts: ProblemConstants
    ) -> tuple[ServerGradientState, GradientEstimate]:
        if not scene.coins.get("anchor", True) and state.anchor is not None:
            return state, state.anchor
        mean = estimate = state.mean
        copies, weights = state.copies, state.weights[replies.clients]
        told = [parts["gradient"] for parts in replies.parts if "gradient" in parts]  # all tell, or none
        begins = self.mechanism is None or self._begins(scene.key.round)
        if begins:
            mean = estimate = scene.space.accumulate(zeros(facts.dim, facts.like), told, weights)
        elif told:
            assert self.mechanism is not None
            sampling_scale = 1.0 / scene.share if self.mechanism.averages_over_sample else 1.0
            mean, estimate = self.mechanism.receive(mean, told, scene.space, weights, replies.clients, sampling_scale)
        if copies is not None and told:
            copies = self._copied(copies, told, replies.clients, scene.space, begins)
        z = scene.point
        assert z is not None
        each = None
        if copies is not None:
            rows = namespace(copies.values).reshape(copies.values, (facts.n_clients, facts.dim))
            each = with_ridge(rows, z, facts)
        anchor = GradientEstimate(z, with_ridge(estimate, z, facts), each)
        return ServerGradientState(mean, anchor, state.weights, copies), anchor

    def _copied(self, copies: Blocks, told: list[Message], clients: Array, space: Coordinates, begins: bool) -> Blocks:
        of_these, heard = space.take(clients), take_clients(copies, clients)
        memory_rates = np.ones(len(told))
        if begins:
            heard = heard.replaced(0.0 * heard.values)
        elif self.mechanism is not None:
            memory_rates = self.mechanism.memory_rates(of_these.sizes)
        moved: Blocks = put_clients(copies, clients, of_these.add(heard, told, memory_rates))
        return moved

    def settings(self) -> dict[str, str | float]:
        return {"gradient": str(self.mechanism or "exact"), "gradient_p": self.p}

    def constants(self, facts: ProblemConstants, share: float) -> tuple[float, float]:
        if self.mechanism is None:
            return 1.0, 0.0
        a, b = self.mechanism.constants(facts.dim)
        if share == 1.0:
            return a, b
        # Who is away keeps h_i: ‖h - x‖² ≤ (1 + ρ)‖h - y‖² + (1 + 1/ρ)‖x - y‖², with the ρ that makes B/A least.
        away, c = 1.0 - share, b * share + 1.0 - share
        rho = (np.sqrt(away**2 + c * a * share) - away) / c
        return float(a * share - rho * away), float(b * share + (1.0 + 1.0 / rho) * away)

    def check(self, space: Coordinates) -> None:
        if self.mechanism:
            self.mechanism.check(space)
