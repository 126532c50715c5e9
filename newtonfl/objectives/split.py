"""A problem's coordinates taken apart: those that clients share, and those that each has for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.objectives.column_problem import ColumnProblem
from newtonfl.objectives.point import Point
from newtonfl.objectives.private_minimum import Minimum, Whitening, minimum


@dataclass(frozen=True, eq=False)
class Split:
    """x = (θ, w), and the problems of both and of w alone.

    Attributes
    ----------
    joint : ColumnProblem
        That of all coordinates, with the penalty of w in every client's function.
    of_own : ColumnProblem
        That of w alone, at θ = 0.
    columns : numpy.ndarray of int64
        The columns of the rows that w meets.
    whitening : Whitening
        Of :attr:`of_own`.
    """

    joint: ColumnProblem
    of_own: ColumnProblem
    columns: Array
    whitening: Whitening

    @classmethod
    def of(cls, base: ColumnProblem, columns: Array, penalty: Array) -> Self:
        """Take `base` apart at `columns`; `penalty` has one λ_j a coordinate of it, 0 where the server has its own."""
        joint = base.with_penalty_inside(penalty)
        of_own = joint.of_columns(columns)
        return cls(joint, of_own, columns, Whitening.of(of_own))

    def select(self, chosen: Array) -> Self:
        """That of some clients, by position."""
        joint, of_own = self.joint.select(chosen), self.of_own.select(chosen)
        return type(self)(joint, of_own, self.columns, self.whitening.select(chosen))

    @cached_property
    def own(self) -> Array:
        """Which coordinates are w, numpy.ndarray of int64."""
        return self.joint.coordinates(self.columns)

    @cached_property
    def shared(self) -> Array:
        """Which coordinates are θ."""
        return np.setdiff1d(np.arange(self.joint.dim), self.own)

    @cached_property
    def _order(self) -> Array:
        """Where each coordinate stands in (θ, w)."""
        return np.argsort(np.concatenate([self.shared, self.own]))

    def joined(self, theta: Array, w: Array) -> Array:
        """(θ, w), of shape (…, d) for `theta` (…, d_θ) and `w` (…, q) on the host, on the device of `theta`."""
        xp = namespace(theta)
        w = to_device(w, theta)
        theta = xp.broadcast_to(theta, (*w.shape[:-1], theta.shape[-1]))
        return xp.take(xp.concat([theta, w], axis=-1), to_device(self._order, theta), axis=-1)

    def without_own(self, theta: Array) -> Array:
        """(θ, 0)."""
        return self.joined(theta, np.zeros((*theta.shape[:-1], len(self.own))))

    def of_shared(self, table: Array) -> Array:
        """The entries of θ along the last axis of `table`."""
        return namespace(table).take(table, to_device(self.shared, table), axis=-1)

    def minimum(self, theta: Array) -> Minimum:
        """Every client's best w at `theta`, (d_θ,) or (n, d_θ)."""
        beside = self.joint.at_uncached(self.without_own(theta))
        return minimum(self.of_own.with_margins_of(beside), self.whitening)

    def at(self, theta: Array, found: Minimum) -> Point:
        """What is known at (θ, w_i); no numbers of clients that have no best w. The base counts none of it."""
        return self.joint.at_uncached(self.joined(theta, np.where(found.found[:, None], found.w, np.nan)))

    def units(self) -> list[Array]:
        """The unit vectors of w among all coordinates, q of shape (d,)."""
        return [to_device(unit, self.joint.like) for unit in np.eye(self.joint.dim)[self.own]]

    def projected_rows(self, vectors: Sequence[Array]) -> list[Array]:
        """Every client's rows times its vectors of θ, as :meth:`Problem.projected_rows` has it."""
        return self.joint.projected_rows([self.without_own(to_host(v)) for v in vectors])

    def own_rows(self) -> list[Array]:
        """Every client's columns of w, shape (m_i, q)."""
        return self.of_own.projected_rows([np.eye(self.of_own.dim) for _ in self.of_own.clients])
