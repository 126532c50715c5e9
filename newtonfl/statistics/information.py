"""What clients send of a fitted model: sums over their rows, their gradients and Fisher information, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Batch, Dense, Message
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.methods import Announcement, ClientProtocol
from newtonfl.objectives.base import Problem
from newtonfl.objectives.cox import Cox
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.row_problem import RowProblem
from newtonfl.statistics.families import FAMILIES

SUMS = ("loss", "base", "weight", "label", "square", "residual", "rows", "other than 1")
"""What a client's sums are of: φ, log h(y), w, y, y² and Pearson's squared residual, each times w; 1; and whether its
last entry is not 1."""


@dataclass(frozen=True)
class Information(ClientProtocol):
    """One exchange: x goes to all clients, and each sends what :data:`SUMS` says, ∇f_i, and ∇²f_i or its mean.

    Parameters
    ----------
    expected : bool
        Whether the mean of ∇²f_i over labels that follow the model, Fisher's information, in place of ∇²f_i itself.
    by_row : bool
        Whether Σ_j w_j φ′_j² a_j a_jᵀ as well, for errors that hold whatever the rows' variances are.
    """

    expected: bool = True
    by_row: bool = False
    phase: ClassVar[str] = "inference"
    follows_a_solve: ClassVar[bool] = True

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], None]:
        return nothing_from(problem.clients), None

    def reply_sizes(self, dim: int) -> Sizes:
        """How many coordinates the parts of a reply have."""
        size = {"value": len(SUMS), "gradient": dim}
        return lambda part, clients, decoded: size.get(part, triangle(dim).size)

    def respond(
        self, clients: None, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], None]:
        assert isinstance(problem, GLM | Cox)  # inference() has looked
        x = to_device(announcement.to_all["model"].coordinates()[1], problem.like)
        point = problem.at(x)
        residuals, packed = np.zeros(problem.labels.shape[0]), {"curvature": point.hessians}
        if isinstance(problem, GLM):
            margins = problem.margins(x)
            slopes, informations = (f(margins, problem.labels) for f in (problem.loss.slope, problem.loss.information))
            if problem.family in FAMILIES and FAMILIES[problem.family].dispersed:
                residuals = to_host(slopes**2 / informations)  # (y - μ)²/V(μ)
            if self.expected:
                packed["curvature"] = problem.rows.grams(problem.row_weights * informations)
            if self.by_row:
                packed["gram"] = problem.rows.grams(problem.row_weights * slopes**2)
        vectors = {"value": _sums(problem, point.value, residuals), "gradient": to_host(point.gradient)}
        vectors |= {part: to_host(blocks.values).reshape(len(problem.clients), -1) for part, blocks in packed.items()}
        columns: dict[str, Sequence[Message]] = {
            part: Batch(Dense, np.full(len(rows), rows.shape[1]), rows.ravel()) for part, rows in vectors.items()
        }
        return ManyParts(columns, len(problem.clients)), None


def _sums(problem: RowProblem, values: Array, residuals: Array) -> Array:
    """What :data:`SUMS` says, a row a client."""
    labels, weights = to_host(problem.labels), problem.weights
    family = FAMILIES.get(problem.family)
    base = np.zeros_like(labels) if family is None else family.log_base(labels)
    last = to_host(problem.rows.margins(to_device(np.eye(problem.dim)[-1], problem.like)))
    per_row = np.column_stack([
        weights * base, weights, weights * labels, weights * labels**2, weights * residuals, np.ones(len(labels)),
        last != 1.0,
    ])  # fmt: skip
    ends = np.cumsum(problem.rows_per_client)
    sums = [np.sum(per_row[end - m : end], axis=0) for end, m in zip(ends, problem.rows_per_client, strict=True)]
    losses = to_host(values) * (problem.total_weight / problem.n_clients)
    return np.column_stack([losses, np.reshape(sums, (-1, per_row.shape[1]))])
