"""One stratum's risk sets: who may still have an event at each event's time, and sums over them without a loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np

from newtonfl.core.backend import Array

Ties = Literal["efron", "breslow"]
"""How events at one time are ordered: on the average of all orders, roughly, or each before all others."""

_FAR = 600.0
"""So far below the largest margin a row's weight in a Hessian is as if it were nearer: exp(-600) is a double still."""


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Rows in the order of their times, and who is at risk at each event.

    Event d at time t_d has the risk set {k: t_k ≥ t_d}, and takes off its share c_d of the rows whose events stand at
    the same time: its denominator is φ_d = Σ_{k at risk} exp η_k - c_d Σ_{k tied} exp η_k. Breslow's c_d is 0;
    Efron's is l/D for the l-th of D tied events, l from 0 (Efron, JASA 72, 1977).

    Attributes
    ----------
    rows, first : numpy.ndarray of int64, shape (D,)
        Of each event the position of its row, and that of the first row at risk: all from there on are.
    starts : numpy.ndarray of int64, shape (times,)
        Where the events of each distinct time begin among all.
    tie : numpy.ndarray of int64, shape (D,)
        Which of these times an event's is.
    share : numpy.ndarray, shape (D,)
        c_d.
    until : numpy.ndarray of int64, shape (m,)
        How many events are no later than each row: at these it is at risk.
    """

    rows: Array
    first: Array
    starts: Array
    tie: Array
    share: Array
    until: Array

    @classmethod
    def of(cls, times: Array, events: Array, ties: Ties) -> Self:
        """Of increasing `times`, shape (m,), and whether each is an event's or where observation ended."""
        rows = np.flatnonzero(events)
        at = times[rows]
        _, starts, tie, many = np.unique(at, return_index=True, return_inverse=True, return_counts=True)
        place = np.arange(len(rows)) - starts[tie]
        share = place / many[tie] if ties == "efron" else np.zeros(len(rows))
        first = np.searchsorted(times, at, side="left")
        return cls(rows, first, starts, tie, share, np.searchsorted(at, times, side="right"))

    def log_denominators(self, margins: Array) -> Array:
        """log φ_d for margins η of shape (m,): finite however far the margins lie apart."""
        at_risk = np.logaddexp.accumulate(margins[::-1])[::-1][self.first]
        if not self.share.any():
            return at_risk
        tied = np.logaddexp.reduceat(margins[self.rows], self.starts)[self.tie]
        return at_risk + np.log1p(-self.share * np.exp(tied - at_risk))

    def value(self, margins: Array) -> float:
        """Σ_d (log φ_d - η_d), the negative logarithm of the partial likelihood."""
        return float(np.sum(self.log_denominators(margins) - margins[self.rows]))

    def slopes(self, margins: Array) -> Array:
        """Its derivatives by the margins, shape (m,): Σ_d p_dk, less 1 where row k has an event."""
        inverse = -self.log_denominators(margins)
        until = np.logaddexp.accumulate(np.append(-np.inf, inverse))[self.until]
        found = np.exp(margins + until)
        if self.share.any():
            with np.errstate(divide="ignore"):
                taken = np.logaddexp.reduceat(np.log(self.share) + inverse, self.starts)[self.tie]
            found[self.rows] -= np.exp(margins[self.rows] + taken)
        found[self.rows] -= 1.0
        return found

    def at(self, margins: Array) -> RiskWeights:
        """The weights that the rows at risk have at margins of shape (m,)."""
        return RiskWeights(self, np.exp(np.maximum(margins - np.max(margins, initial=-np.inf), -_FAR)))


@dataclass(frozen=True, eq=False)
class RiskWeights:
    """p_dk = e_k (1 - c_d where k is tied with d)/φ_d: what row k at risk weighs at event d, e_k its `hazards`."""

    sets: RiskSets
    hazards: Array

    @cached_property
    def denominators(self) -> Array:
        return self._sums(self.hazards)

    @cached_property
    def totals(self) -> Array:
        """Σ_d p_dk, shape (m,)."""
        return self.spread(np.ones(len(self.sets.rows)))

    def means(self, rows: Array) -> Array:
        """Σ_k p_dk a_k of rows (m, q), shape (D, q)."""
        return self._sums(self.hazards[:, None] * rows) / self.denominators[:, None]

    def spread(self, weights: Array) -> Array:
        """Σ_d q_d p_dk for weights q of the events, shape (m,): the transpose of :meth:`means`."""
        sets, scaled = self.sets, weights / self.denominators
        found = np.append(0.0, np.cumsum(scaled))[sets.until]
        if sets.share.any():
            found[sets.rows] -= np.add.reduceat(sets.share * scaled, sets.starts)[sets.tie]
        return self.hazards * found

    def _sums(self, values: Array) -> Array:
        """Of each event: the sum over its risk set, less its share of the sum over its ties."""
        sets = self.sets
        at_risk: Array = np.cumsum(values[::-1], axis=0)[::-1][sets.first]
        if not sets.share.any():
            return at_risk
        tied = np.add.reduceat(values[sets.rows], sets.starts, axis=0)[sets.tie]
        return at_risk - (sets.share if values.ndim == 1 else sets.share[:, None]) * tied
