"""FLIX: every client keeps some of its own minimiser, and clients agree on the rest."""

from __future__ import annotations

from typing import Self

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.objectives.base import Problem
from newtonfl.objectives.column_problem import ColumnProblem
from newtonfl.objectives.point import Point
from newtonfl.objectives.private_minimum import Whitening, minimum


class Flix(Problem):
    """(1/n) Σ h_i(x) with h_i(x) = f_i(αx + (1-α)x_i*) and x_i* = argmin f_i (FLIX, arXiv 2111.11556).

    The ridge is part of every f_i, which has a minimiser by it. A client's model is αx + (1-α)x_i*: α = 1 is the
    problem itself with the ridge in every f_i, and towards α = 0 every client is alone. h_i is convex, ∇h_i = α∇f_i and
    ∇²h_i = α²∇²f_i there, so L_i and μ are α² times those of f_i. The ridge stands in h_i; i-scaffnew is then Scafflix
    (arXiv 2305.13170): its steps γ_i are 1/α² of those of f_i and its h_i is α times Scafflix's, which is algebra.

    Clients find their x_i* once, from zero, by damped Newton steps on their own rows, and send nothing of it.

    Parameters
    ----------
    base : ColumnProblem
        Of rows with margins, convex, with a ridge above 0 on every coordinate.
    alpha : float
        α, above 0 and at most 1.

    Attributes
    ----------
    alpha : float
    joint : ColumnProblem
        The base with its ridge in every f_i.
    minimisers : numpy.ndarray, shape (n held here, d)
        x_i*, which stay with the clients.

    Raises
    ------
    ValueError
        If α is none, or a client has no minimiser.
    """

    def __init__(self, base: ColumnProblem, alpha: float) -> None:
        self.alpha, self.joint = float(alpha), base.with_penalty_inside(base.ridge)
        objective = f"{base.objective}, at {alpha:g}x and {1.0 - alpha:g} of each client's own minimiser"
        where = base.like, base.clients, base.transport
        super().__init__(base.n_clients, base.dim, np.zeros(base.dim), objective, *where)
        self.schema, self.preparation, self._ridge = base.schema, base.preparation, base.ridge
        found = minimum(self.joint, Whitening.of(self.joint))
        lost = self.clients[~found.found]
        if len(lost):
            raise ValueError(f"client {lost[0]}: nothing minimises its function: give an l2 > 0 on every coordinate")
        self.minimisers = found.w

    def models(self, x: Array) -> Array:
        """Every client's own model αx + (1-α)x_i* at `x` (d,), shape (n held here, d), on the host.

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        x = np.asarray(to_host(x), np.float64)
        if x.shape != (self.dim,):
            raise ValueError(f"x: given shape {x.shape}, must be ({self.dim},)")
        models: Array = self.alpha * x + (1.0 - self.alpha) * self.minimisers
        return models

    @property
    def strong_convexity(self) -> float:
        return self.alpha**2 * float(self._ridge.min())

    def _select(self, part: Self, chosen: Array) -> None:
        part.joint, part.minimisers = self.joint.select(chosen), self.minimisers[chosen]

    def check_rows(self) -> None:
        """Minibatches are drawn of f_i's rows."""

    @property
    def rows_per_client(self) -> Array:
        return self.joint.rows_per_client

    @property
    def threads_well(self) -> bool:
        return self.joint.threads_well

    def _curvature_product(self, v: Array) -> Array:
        return self.alpha**2 * (self.joint._curvature_product(v) + to_device(self._ridge, v) * v)

    def _client_smoothness(self) -> Array:
        return self.alpha**2 * (self.joint._client_smoothness() + float(self._ridge.max()))

    @property
    def row_smoothness(self) -> Array:
        return self.alpha**2 * self.joint.row_smoothness

    @property
    def hessian_lipschitz(self) -> Array:
        return self.alpha**3 * self.joint.hessian_lipschitz

    def _at(self, x: Array) -> Point:
        return FlixPoint(self, x)


class FlixPoint(Point):
    """h_i and its derivatives at x, from those of f_i at αx + (1-α)x_i*."""

    def __init__(self, problem: Flix, x: Array) -> None:
        super().__init__(problem, x)
        self.alpha = problem.alpha
        own = to_device((1.0 - problem.alpha) * problem.minimisers, x)
        self.joint = problem.joint.at_uncached(problem.alpha * x + own)

    def _value(self) -> Array:
        return self.joint.value

    def _gradient(self) -> Array:
        return self.alpha * self.joint.uncounted_gradient

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        return self.alpha * self.joint._whole_gradient(self.joint._sampled_gradient(batch, key))

    def _hessians(self) -> Blocks:
        packed = self.joint.hessians
        return packed.replaced(self.alpha**2 * packed.values)

    def _hessian_product(self, v: Array) -> Array:
        return self.alpha**2 * self.joint.hessian_product(v)

    def _hessian_diagonal(self) -> Array:
        return self.alpha**2 * self.joint.hessian_diagonal()

    def release_hessians(self) -> None:
        super().release_hessians()
        self.joint.release_hessians()


def flix(base: ColumnProblem, alpha: float) -> Problem:
    """:meth:`newtonfl.objectives.base.Problem.flix` of a problem of rows with margins."""
    number = isinstance(alpha, int | float | np.number) and not isinstance(alpha, bool)
    if not number or not 0 < alpha <= 1:
        raise ValueError(f"alpha: given {alpha!r}, must be a number above 0 and at most 1")
    base.check_smooth("flix")
    if base.regulariser is not None:
        raise ValueError("flix: needs convex functions, and this problem has a non-convex regulariser: leave it out")
    if not base.strong_convexity > 0.0:
        raise ValueError("flix: needs a minimiser of every client's function: give an l2 > 0 on every coordinate")
    return Flix(base, alpha)
