"""Cox regression: times until an event, or until observation ended, as a Problem; every client is a stratum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self, get_args

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.kernels import weighted_grams
from newtonfl.objectives.base import Point, Problem
from newtonfl.objectives.risk_sets import RiskSets, RiskWeights, Ties
from newtonfl.objectives.row_problem import RowProblem


class Cox(RowProblem):
    """f(x) = (1/N) Σ_events (log Σ_{k at risk in the event's stratum} exp(a_kᵀx) - aᵀx) + ½ Σ ridge_j x_j².

    A row's hazard is its stratum's own, whatever that is, times exp(aᵀx); f is -1/N of the logarithm of Cox's partial
    likelihood (Cox, JRSS B 34, 1972), stratified by client, with Efron's or Breslow's ties. f_i = (n/N) Σ over the
    events of client i, so that rows count alike whichever client holds them, as in all problems of rows: N counts the
    rows, those without an event among them. A client without an event has f_i = 0.

    It does not change where a number is added to a column within a stratum. So a client's rows are kept less their
    mean, and in the order of their times. Rows are dense, and on the CPU.

    At each event the rows at risk have weights p that sum to 1, and ∇² log Σ exp is their covariance: within a ball of
    radius r at most r², and its derivative along v, a third central moment in a range of 2r, at most 8r³/(6√3).

    Parameters
    ----------
    rows : array (N, d), or SciPy CSR array
        The rows of the clients held here, end to end, on the host.
    labels : numpy.ndarray, shape (N,)
        Times; only their order counts.
    sizes : array of int
        How many rows each client held here has.
    events : numpy.ndarray of bool, shape (N,)
        Whether the event came at that time; else observation ended there.
    ties : {"efron", "breslow"}
    total_weight : float
        N over all processes.
    more : keyword arguments of :class:`RowProblem`, but weights

    Raises
    ------
    ValueError
        If `ties` is none of these.
    """

    family = "cox"

    def __init__(
        self, rows: Array, labels: Array, sizes: Array, events: Array, ties: Ties, total_weight: float, **more: Any
    ) -> None:
        if ties not in get_args(Ties):
            raise ValueError(f"ties: given {ties!r}, allowed are {', '.join(get_args(Ties))}")
        offsets = offsets_of(sizes)
        order = np.lexsort((labels, np.repeat(np.arange(len(sizes)), sizes)))
        rows = np.asarray(rows.toarray() if scipy.sparse.issparse(rows) else rows, np.float64)[order]
        labels, events = np.asarray(labels, np.float64)[order], np.asarray(events, bool)[order]
        self.ties, self.strata = ties, list[RiskSets]()
        for a, b in pairwise(offsets.tolist()):
            rows[a:b] -= np.sum(rows[a:b], axis=0) / max(b - a, 1)
            self.strata.append(RiskSets.of(labels[a:b], events[a:b], ties))
        rows.flags.writeable = False  # nobody else has it
        super().__init__(rows, labels, sizes, total_weight, dim=rows.shape[1], **more)

    def _select(self, part: Self, chosen: Array) -> None:
        super()._select(part, chosen)
        part.strata = [self.strata[i] for i in chosen]

    @property
    def scale(self) -> float:
        """n/N."""
        return self.n_clients / self.total_weight

    @property
    def unattained(self) -> bool:
        return True

    def check_rows(self) -> None:
        raise ValueError(
            "minibatch gradients need functions of one row each, and an event's depends on all rows at risk: use exact "
            "gradients"
        )

    def flix(self, alpha: float) -> Problem:
        raise ValueError("flix: needs rows with a loss of their own; in Cox regression an event's is of all at risk")

    def personal(self, columns: Sequence[int | str] | str, *, l2: float | None = None) -> Problem:
        raise ValueError(
            "personal: needs rows with a loss of their own, and in Cox regression an event's is of all at risk"
        )

    def client_rows(self, i: int) -> Array:
        return self.rows.on_host(i)

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        return [self.rows.project(i, v) for i, v in enumerate(vectors)]

    def _radii(self, power: int) -> Array:
        """(n/N) Σ r_d^power over each client's events, r_d the largest length of a row at risk; shape (n,)."""
        lengths = Blocks(self.rows.lengths(), self.rows.offsets)
        largest = [np.maximum.accumulate(own[::-1])[::-1] for own in lengths]
        sums = [np.sum(own[sets.first] ** power) for own, sets in zip(largest, self.strata, strict=True)]
        return self.scale * np.array(sums, np.float64)

    def _curvature_product(self, v: Array) -> Array:
        return self._client_smoothness()[:, None] * v

    def _client_smoothness(self) -> Array:
        return self._radii(2)

    @property
    def hessian_lipschitz(self) -> Array:
        self.check_convex("a Lipschitz constant of the Hessian")
        return 8.0 / (6.0 * math.sqrt(3.0)) * self._radii(3)

    def _at(self, x: Array) -> Point:
        return _CoxPoint(self, x)


class _CoxPoint(Point):
    """Every client by itself, for a stratum is one: there are no loops over rows or events."""

    problem: Cox

    @cached_property
    def margins(self) -> Array:
        return self.problem.rows.margins(self.x)

    def _strata(self, margins: Array) -> Iterator[tuple[RiskSets, Array]]:
        return zip(self.problem.strata, Blocks(margins, self.problem.rows.offsets), strict=True)

    @cached_property
    def curvatures(self) -> list[RiskWeights]:
        """Each client's: with the rows, all that the Hessians depend on."""
        self.problem.check_convex("a Hessian")
        return [sets.at(own) for sets, own in self._strata(self.margins)]

    def _value(self) -> Array:
        return self._value_of(self.margins)

    def _value_of(self, margins: Array) -> Array:
        return self.problem.scale * np.array([sets.value(own) for sets, own in self._strata(margins)], np.float64)

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        along = self.problem.rows.margins(direction)
        return [self._value_of(self.margins + step * along) for step in steps]

    def _gradient(self) -> Array:
        slopes = [sets.slopes(own) for sets, own in self._strata(self.margins)]
        return self._combined(slopes)

    def _combined(self, weights: Sequence[Array]) -> Array:
        """(n/N) Σ_k w_k a_k over each client's rows, shape (n, d)."""
        return self.problem.rows.combine(self.problem.scale * np.concatenate([np.zeros(0), *weights]))

    def _hessians(self) -> Blocks:
        return self._hessians_in([self.problem.client_rows(i) for i in range(len(self.problem.clients))])

    def _hessians_in(self, rows: Sequence[Array]) -> Blocks:
        """Σ_k (Σ_d p_dk) a_k a_kᵀ less Σ_d m_d m_dᵀ, with the means m_d = Σ_k p_dk a_k."""
        packed = []
        for own, at in zip(rows, self.curvatures, strict=True):
            means = at.means(own)
            first = weighted_grams(own[None], at.totals)
            packed.append(self.problem.scale * (first - weighted_grams(means[None], np.ones(len(means)))))
        return Blocks.of(packed, self.problem.like)

    def _hessian_product(self, v: Array) -> Array:
        along = Blocks(self.problem.rows.margins(v), self.problem.rows.offsets)
        turned = [
            at.totals * own - at.spread(at.means(own[:, None])[:, 0])
            for own, at in zip(along, self.curvatures, strict=True)
        ]
        return self._combined(turned)

    def _hessian_diagonal(self) -> Array:
        diagonals = [
            at.totals @ own**2 - np.sum(at.means(own) ** 2, axis=0)
            for i, at in enumerate(self.curvatures)
            for own in [self.problem.client_rows(i)]
        ]
        return self.problem.scale * np.reshape(np.array(diagonals, np.float64), (-1, self.problem.dim))
