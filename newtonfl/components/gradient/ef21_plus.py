"""EF21+'s gradient: the increment or the gradient itself, whichever is nearer when compressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.comm.parts import Parts
from newtonfl.components.context import ClientRound, ServerRound
from newtonfl.components.gradient.anchored import ClientGradientState, Init, ServerGradientState
from newtonfl.components.gradient.base import Gradient, GradientEstimate, with_ridge
from newtonfl.components.gradient.oracle import Full, Oracle
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import Encoder, Memory, ThreePoints
from newtonfl.mechanisms.constants import a_compressor, contraction, made_contractive, of_contraction
from newtonfl.objectives.base import Point, Problem


@dataclass(frozen=True)
class ChosenGradient(Gradient[ServerGradientState, ClientGradientState]):
    """g_i ← g_i + C(∇f_i - g_i) or g_i ← C(∇f_i), whichever is nearer to ∇f_i (EF21+, arXiv 2106.05203).

    The second replaces what the server has, so the server keeps every g_i (n·d numbers). The reply's part says which:
    ``gradient`` the increment, ``anew`` the gradient.

    Parameters
    ----------
    compressor : Compressor
        C, contractive.
    oracle : Oracle
        What a client takes for its gradient.
    init : {"zero", "gradient"}
        g_i begins at 0, or at ∇f_i(x⁰), sent whole.
    whole : Compressor
        How a gradient is sent whole.
    """

    compressor: Compressor
    oracle: Oracle[Any] = field(default_factory=Full)
    init: Init = "gradient"
    whole: Compressor = field(default_factory=Identity)
    partial = True
    sends: ClassVar[str] = "∇f_i or its change, compressed"

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)

    @property
    def shares_draws(self) -> bool:
        return self.compressor.correlated

    @property
    def exact(self) -> bool:
        return self.oracle.exact

    def resolved(self, problem: Problem) -> Self:
        self.oracle.check(problem)
        return replace(self, compressor=made_contractive(self.compressor.for_dimension(problem.dim)))

    def init_clients(self, x0: Array, space: Coordinates) -> ClientGradientState:
        n, nothing = len(space.sizes), Blocks.of([zeros(int(size), x0) for size in space.sizes], x0)
        return ClientGradientState(Memory(nothing), self.oracle.init_clients(x0, n), None, None)

    def encode(
        self, state: ClientGradientState, point: Point, context: ClientRound
    ) -> tuple[Sequence[Parts], ClientGradientState]:
        clients, space = point.problem.clients, context.space
        gradient, oracle = self.oracle.draw(state.oracle, point, context)
        target, encoder = space.of_gradients(gradient), Encoder(space, clients, context.key)
        before = state.memory.estimate
        if context.round == 0 and self.init == "gradient":
            messages = encoder.compress(self.whole, target)
            anew = np.ones(len(clients), dtype=bool)
        else:
            increments = encoder.compress(self.compressor, ThreePoints(before, target, target).error)
            fresh = encoder.compress(self.compressor, target)
            kept = encoder.squares(encoder.less(target - before, increments))
            anew = encoder.squares(encoder.less(target, fresh)) < kept
            messages = [new if chosen else old for new, old, chosen in zip(fresh, increments, anew, strict=True)]
        after = space.add(_forgotten(before, anew), messages, np.ones(len(messages)))
        parts: list[Parts] = [{"anew" if chosen else "gradient": m} for m, chosen in zip(messages, anew, strict=True)]
        return parts, replace(state, memory=Memory(after), oracle=oracle)

    def init_server(self, constants: ProblemConstants, x0: Array) -> ServerGradientState:
        weights = np.full(constants.n_clients, 1.0 / constants.n_clients)
        return ServerGradientState(
            zeros(constants.dim, x0), None, weights, Blocks.of([zeros(constants.dim, x0) for _ in weights])
        )

    def aggregate(
        self, state: ServerGradientState, replies: Replies, context: ServerRound, constants: ProblemConstants
    ) -> tuple[ServerGradientState, GradientEstimate]:
        copies = state.copies
        assert copies is not None
        if len(replies.clients):
            messages: Sequence[Message] = replies.either("anew", "gradient")
            anew = np.array(["anew" in parts for parts in replies.parts])
            before = _forgotten(copies.select(replies.clients), anew)
            after = context.space.select(replies.clients).add(before, messages, np.ones(len(messages)))
            copies = copies.put(replies.clients, after)
        rows = namespace(copies.values).reshape(copies.values, (constants.n_clients, constants.dim))
        # From the copies and not by increments, which a replacement would have to know anyway.
        mean, w = namespace(rows).sum(rows, axis=0) / constants.n_clients, context.point
        g = GradientEstimate(w, with_ridge(mean, w, constants), with_ridge(rows, w, constants))
        return ServerGradientState(mean, g, state.weights, copies), g

    def parameters(self) -> dict[str, str | float]:
        return {"compressor": str(self.compressor), "init": self.init, **self.oracle.parameters()}

    def constants(self, constants: ProblemConstants, share: float) -> tuple[float, float]:
        if share < 1.0:
            return super().constants(constants, share)
        return of_contraction(contraction(self.compressor, constants.dim))

    def check(self, space: Coordinates) -> None:
        space.check(self.compressor)


def _forgotten(estimates: Blocks, anew: Array) -> Blocks:
    """A copy of the `estimates` that is zero for the clients that begin anew."""
    keep = np.repeat(np.where(anew, 0.0, 1.0), estimates.sizes)
    return estimates.replaced(estimates.values * to_device(keep, estimates.values))
