"""The learned Hessian with Byzantine clients: the server keeps every H_i, and a rule makes H of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from newtonfl.bases import Symmetric
from newtonfl.comm.parts import Parts
from newtonfl.components.aggregation import Aggregator, Mean
from newtonfl.components.aggregation.base import an_aggregator, rows
from newtonfl.components.curvature.base import HessianEstimate
from newtonfl.components.curvature.learned import LearnedHessian, ServerHessianState
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem


@dataclass
class ServerEstimatesState(ServerHessianState):
    """The server's side; `mean` is Agg{H_i}, packed, and empty before the first round.

    Attributes
    ----------
    estimates : Blocks
        Every H_i in the basis's coordinates: n·d(d + 1)/2 numbers.
    """

    estimates: Blocks


@dataclass(frozen=True)
class RobustHessian(LearnedHessian):
    """H = Agg{H_i}, H_i ← H_i + what client i's mechanism has sent, and l = Agg{l_i} (ours, in no paper).

    The rule is applied to the estimates and not to the messages: of Top-K's message most entries are zero, and so is
    the median of many in every place that fewer than half of the clients chose, whatever ∇²f does there. Honest
    estimates tend to ∇²f_i, and at equal data to each other. Entries are those of the symmetric basis, which stand in
    the same place for all clients; rules of distance see the Frobenius norm. With a rule by entries, or a Byzantine
    H_i, H need not be positive semidefinite: a step by H + l·I then ends in words, one by [H]_λ goes on.

    Parameters
    ----------
    aggregator : Aggregator
        Agg.
    """

    aggregator: Aggregator = field(default_factory=Mean)

    def __post_init__(self) -> None:
        super().__post_init__()
        an_aggregator("aggregator", self.aggregator)
        if not isinstance(self.basis, Symmetric):
            raise ValueError(f"basis: given {self.basis or 'auto'}, must be symmetric: entries of clients are compared")

    def resolved(self, problem: Problem) -> Self:
        self.aggregator.check(problem.n_clients, "clients")
        made = super().resolved(problem)
        triangle(problem.dim).check_memory(problem.n_clients, copies=4)
        size = np.full(1, triangle(problem.dim).size)
        if not np.array_equal(made.mechanism.memory_rates(size), made.mechanism.estimate_rates(size)):
            raise ValueError(f"mechanism: given {made.mechanism}, must step with the H_i that both ends hold, as ef21")
        return made

    def parameters(self) -> dict[str, str | float]:
        return {**super().parameters(), "aggregator": str(self.aggregator)}

    def init_server(
        self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array
    ) -> ServerEstimatesState:
        coordinates = self._basis.from_setup(constants.dim, setup_messages)
        messages = self.first_messages(coordinates, constants, setup_messages)
        nothing = Blocks(zeros(int(coordinates.sizes.sum()), constants.like), offsets_of(coordinates.sizes))
        estimates = coordinates.add(nothing, messages, np.ones(len(messages)))
        return ServerEstimatesState(zeros(0, constants.like), np.zeros(constants.n_clients), coordinates, estimates)

    def aggregate(  # type: ignore[override]
        self, state: ServerEstimatesState, replies: Replies, weights: Array, key: Key
    ) -> tuple[ServerEstimatesState, HessianEstimate]:
        estimates, coordinates = state.estimates, state.coordinates
        if replies.have("curvature"):
            memory_rates = self.mechanism.memory_rates(coordinates.sizes)
            estimates = coordinates.add(estimates, replies.messages("curvature"), memory_rates)
        errors = replies.scalars("error") if replies.have("error") else state.errors
        H, error = self.aggregator.of(rows(estimates), key), self.aggregator.of(errors[:, None], key.to("error"))
        after = ServerEstimatesState(H, errors, coordinates, estimates)
        return after, HessianEstimate(coordinates.estimate(H), float(error[0]))

    def hessian_estimate(self, state: ServerHessianState, constants: ProblemConstants) -> Array | None:
        return super().hessian_estimate(state, constants) if len(state.mean) else None
