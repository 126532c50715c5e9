"""EF21+'s gradient socket: the increment or the gradient itself, whichever is nearer when compressed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.comm.packets import Parts
from newtonfl.components.gradient.anchored import ClientGradientState, Init, ServerGradientState
from newtonfl.components.gradient.base import Gradient, GradientEstimate, RoundContext, with_ridge
from newtonfl.components.gradient.oracle import Full, Source
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import Encoder, Memory, ThreePoints
from newtonfl.mechanisms.constants import a_compressor, contraction, made_contractive, of_contraction
from newtonfl.objectives.base import Point, Problem


@dataclass(frozen=True)
class ChosenGradient(Gradient):
    """g_i ← g_i + C(∇f_i - g_i) or g_i ← C(∇f_i), whichever is nearer to ∇f_i (EF21+, arXiv 2106.05203).

    The second replaces what the server has, so the server keeps every g_i (n·d numbers). The reply's part says which:
    ``gradient`` the increment, ``anew`` the gradient.

    Parameters
    ----------
    compressor : Compressor
        C, contractive.
    source : Source
    init : {"zero", "gradient"}
        g_i begins at 0, or at ∇f_i(x⁰), told whole.
    whole : Compressor
        How a gradient is sent whole.
    """

    compressor: Compressor
    source: Source = field(default_factory=Full)
    init: Init = "gradient"
    whole: Compressor = field(default_factory=Identity)
    partial = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)

    def resolved(self, problem: Problem) -> Self:
        self.source.check(problem)
        return replace(self, compressor=made_contractive(self.compressor.for_dimension(problem.dim)))

    def init_clients(self, x0: Array, space: Coordinates) -> ClientGradientState:
        n, nothing = len(space.sizes), Blocks.of([zeros(int(size), x0) for size in space.sizes], x0)
        return ClientGradientState(Memory(nothing), self.source.init_clients(x0, n), None, None)

    def encode(
        self, state: ClientGradientState, point: Point, scene: RoundContext, round: int
    ) -> tuple[list[Parts], ClientGradientState]:
        clients, space = point.problem.clients, scene.space
        gradient, source = self.source.draw(state.source, point, scene.key, round)
        target, encoder = space.of_gradients(gradient), Encoder(space, clients, scene.key)
        told = state.memory.estimate
        if self._begins(round):
            messages = encoder.compress(self.whole, target)
            anew = np.ones(len(clients), dtype=bool)
        else:
            increments = encoder.compress(self.compressor, ThreePoints(told, target, target).error)
            fresh = encoder.compress(self.compressor, target)
            kept = encoder.squares(encoder.less(target - told, increments))
            anew = encoder.squares(encoder.less(target, fresh)) < kept
            messages = [new if chosen else old for new, old, chosen in zip(fresh, increments, anew, strict=True)]
        moved = space.add(_forgotten(told, anew), messages, np.ones(len(messages)))
        parts: list[Parts] = [{"anew" if chosen else "gradient": m} for m, chosen in zip(messages, anew, strict=True)]
        return parts, replace(state, memory=Memory(moved), source=source)

    def _begins(self, round: int) -> bool:
        return round == 0 and self.init == "gradient"

    def init_server(self, facts: ProblemConstants, x0: Array) -> ServerGradientState:
        weights = np.full(facts.n_clients, 1.0 / facts.n_clients)
        return ServerGradientState(
            zeros(facts.dim, x0), None, weights, Blocks.of([zeros(facts.dim, x0) for _ in weights])
        )

    def aggregate(
        self, state: ServerGradientState, replies: Replies, scene: RoundContext, facts: ProblemConstants
    ) -> tuple[ServerGradientState, GradientEstimate]:
        copies = state.copies
        assert copies is not None and scene.point is not None
        if len(replies.clients):
            told: list[Message] = [parts.get("anew") or parts["gradient"] for parts in replies.parts]
            anew = np.array(["anew" in parts for parts in replies.parts])
            before = _forgotten(copies.take(replies.clients), anew)
            moved = scene.space.take(replies.clients).add(before, told, np.ones(len(told)))
            copies = copies.put(replies.clients, moved)
        rows = namespace(copies.values).reshape(copies.values, (facts.n_clients, facts.dim))
        # From the copies and not by increments, which a replacement would have to know anyway.
        mean = namespace(rows).sum(rows, axis=0) / facts.n_clients
        anchor = GradientEstimate(
            scene.point, with_ridge(mean, scene.point, facts), with_ridge(rows, scene.point, facts)
        )
        return ServerGradientState(mean, anchor, state.weights, copies), anchor

    def settings(self) -> dict[str, str | float]:
        return {"compressor": str(self.compressor), "init": self.init, **self.source.settings()}

    def constants(self, facts: ProblemConstants, share: float) -> tuple[float, float]:
        if share < 1.0:
            return super().constants(facts, share)
        return of_contraction(contraction(self.compressor, facts.dim))

    def check(self, space: Coordinates) -> None:
        space.check(self.compressor)


def _forgotten(told: Blocks, anew: Array) -> Blocks:
    """A copy of `told` that is zero for the clients that begin anew."""
    keep = np.repeat(np.where(anew, 0.0, 1.0), told.sizes)
    return told.replaced(told.values * to_device(keep, told.values))
