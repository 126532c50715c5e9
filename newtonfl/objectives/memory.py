"""What a problem remembers of a solve: its last points, how many Hessians were computed, what bases have laid out."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.point import Point


@dataclass(frozen=True)
class RememberedPoint:
    """A point that a solve remembers, without what is known there.

    Attributes
    ----------
    ridge_inside : bool
        Whether it is one of :meth:`SolveMemory.with_local_ridge`.
    x : numpy.ndarray, shape (d,), or (n, d) with one point a client
    hessians_counted : bool
    gradient_counted : numpy.ndarray of bool, shape (n,)
    """

    ridge_inside: bool
    x: Array
    hessians_counted: bool
    gradient_counted: Array


class SolveMemory(ABC):
    """The memory of a :class:`newtonfl.objectives.base.Problem`, of one solve at a time.

    Attributes
    ----------
    clients : numpy.ndarray of int64
        The clients held here.
    like : array
        Names where the data live.
    """

    clients: Array
    like: Array

    def _forget_everything(self) -> None:
        """Begin with nothing, and share nothing with the problem that this one was copied from."""
        # Arrays that are shared with the problems of some of the clients: what they compute counts here.
        self._hessian_counts, self._positions = np.zeros(len(self.clients), np.int64), np.arange(len(self.clients))
        self._gradient_counts = np.zeros(len(self.clients))
        self._of_clients: dict[str, dict[int, Any]] = {}  # shared likewise
        self._points: dict[tuple[Any, ...], Point] = {}
        self._prepared: dict[Any, Any] = {}
        self._solved_by: dict[str, object] = {}

    @abstractmethod
    def _at(self, x: Array) -> Point: ...

    @abstractmethod
    def with_local_ridge(self) -> Self:
        """The same objective with the ridge inside every client's function.

        Returns
        -------
        Problem
            Remembered, so that it is made once.
        """

    def at(self, x: Array) -> Point:
        """What is known at `x`, shape (d,), or (n, d) with one point for each client held here.

        The last two points are remembered, so that a gradient, a Hessian and a diagnostic share their margins.
        """
        key = (x.shape, to_host(x).tobytes())
        point = self._points.pop(key, None)
        if point is None:
            while len(self._points) >= 2:
                self._points.pop(next(iter(self._points)))
            point = self._at(x + 0.0)  # a copy: the caller may change its own
        self._points[key] = point  # the last
        return point

    def at_uncached(self, x: Array) -> Point:
        """What is known at `x`, computed anew: a count of Hessians must not depend on what others remembered."""
        return self._at(x + 0.0)

    @property
    def hessian_counts(self) -> Array:
        """How many Hessians each client held here has computed, shape (n held here,)."""
        return self._hessian_counts[self._positions]

    @property
    def gradient_counts(self) -> Array:
        """How many gradients each client held here has computed, shape (n held here,).

        One of a minibatch counts as its share of the client's rows; values and products with a Hessian do not count.
        """
        return self._gradient_counts[self._positions]

    def count_gradients(self, share: Array | float = 1.0) -> None:
        """Every client held here computes a gradient, or its `share` of one, a number or shape (n held here,)."""
        self._gradient_counts[self._positions] += share

    def forget(self) -> None:
        """Forget points and counts: a solve begins."""
        self._hessian_counts[self._positions] = 0
        self._gradient_counts[self._positions] = 0.0
        self.forget_points()

    def forget_points(self) -> None:
        """Forget points alone, each of which holds this problem: a solve has ended."""
        self._points.clear()
        if "local ridge" in self._prepared:
            self._prepared["local ridge"]._points.clear()

    def release(self) -> None:
        """Forget all points but the last, and its Hessians: a round is over."""
        for problem in (self, self._prepared.get("local ridge", self)):
            for key in list(problem._points)[:-1]:
                del problem._points[key]
            for point in problem._points.values():
                point.release_hessians()

    def taken_by(self, solve: object) -> Self:
        """This problem for a `solve`; one that is under way has its points and counts: then the same one with its own.

        So a callback may solve it as well, and so may threads.
        """
        if self._solved_by.setdefault("solve", solve) is solve:
            return self
        own = copy.copy(self)
        own._forget_everything()
        own._solved_by["solve"] = solve
        return own

    def given_back_by(self, solve: object) -> None:
        """The `solve` has ended."""
        if self._solved_by.get("solve") is solve:
            del self._solved_by["solve"]

    def remembered(self) -> list[RememberedPoint]:
        """The points that are remembered, the last one last, on the host.

        :meth:`remember` takes them up in another process, which then counts what this one would.
        """
        local = self._prepared.get("local ridge")
        both = [(False, self), (True, local)] if local is not None else [(False, self)]
        return [
            RememberedPoint(inside, to_host(point.x), point.hessians_counted, point.gradient_counted)
            for inside, one in both
            for point in one._points.values()
        ]

    def remember(self, points: Sequence[RememberedPoint]) -> None:
        """Remember the `points` that :meth:`remembered` of the same clients named; nothing is computed."""
        for saved in points:
            point = (self.with_local_ridge() if saved.ridge_inside else self).at(to_device(saved.x, self.like))
            point.hessians_counted, point.gradient_counted = saved.hessians_counted, saved.gradient_counted

    def restore_counts(self, hessians: Array, gradients: Array) -> None:
        """Set :attr:`hessian_counts` to `hessians` and :attr:`gradient_counts` to `gradients`, (n held here,) each."""
        self._hessian_counts[self._positions], self._gradient_counts[self._positions] = hessians, gradients

    def prepare(self, part: Any) -> Any:
        """``part.of(self)`` of a `part`, remembered: a basis lays out its coordinates once a problem."""
        if part not in self._prepared:
            self._prepared[part] = part.of(self)
        return self._prepared[part]

    def of_each_client(self, what: str, make: Callable[[int], Any]) -> list[Any]:
        """What `make` makes of every client held here, of its own data alone; remembered under the name `what`.

        The problems of some of the clients share it.
        """
        made = self._of_clients.setdefault(what, {})
        for i, place in enumerate(self._positions.tolist()):
            if place not in made:
                made[place] = make(i)
        return [made[place] for place in self._positions.tolist()]
