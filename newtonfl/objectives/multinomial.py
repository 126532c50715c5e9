"""Multinomial logistic regression: rows with K classes, as a Problem."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from itertools import combinations_with_replacement
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.core.symmetric import position, triangle
from newtonfl.objectives.base import Point
from newtonfl.objectives.row_problem import RowProblem

if TYPE_CHECKING:
    from newtonfl.core.random import Key


class Multinomial(RowProblem):
    """f(x) = (1/Σw) Σ_j w_j (log Σ_k exp t_jk - t_{j, y_j}) + ½ Σ ridge x², with t_j = Q V a_j and V = x row by row.

    V has K - 1 rows for K classes: Q, shape (K, K - 1), has orthonormal columns that sum to zero (Helmert contrasts).
    The usual K rows W = QV are one too many, for the loss stays when all are moved alike, and a Hessian in W is
    singular where the intercept is not penalised. Since ‖W‖ = ‖V‖ and the minimiser's rows sum to zero, nothing is
    lost: the least value is the same, and fewer numbers are sent.

    ∇²φ_j = Qᵀ(diag(p) - ppᵀ)Q ⊗ a_j a_jᵀ ⪯ ½ I ⊗ a_j a_jᵀ. Along h its third derivative is the third central moment of
    a variable with range at most √2‖h‖, so at most 2√2/(6√3) ‖h‖³.

    Parameters
    ----------
    rows : array (N, c), or SciPy CSR array
        The rows of the clients held here, end to end, on the host.
    labels : numpy.ndarray, shape (N,)
        Class numbers 0 to K - 1.
    sizes : array of int
        How many rows each client held here has.
    classes : int
        K, at least 2.
    total_weight : float
        Σw over all rows of all processes.
    more : keyword arguments of :class:`RowProblem`
        Among them `ridge`, a number or one for each of the (K - 1)·c coordinates.
    """

    curvature_bound = 0.5
    curvature_lipschitz = 2.0 * math.sqrt(2.0) / (6.0 * math.sqrt(3.0))

    def __init__(
        self, rows: Array, labels: Array, sizes: Array, classes: int, total_weight: float, *args: Any, **more: Any
    ) -> None:
        if classes < 2:
            raise ValueError(f"classes: given {classes}, must be at least 2")
        super().__init__(rows, labels, sizes, total_weight, *args, dim=(classes - 1) * rows.shape[1], **more)
        self.classes = classes
        self.contrasts = contrasts(classes)

    @property
    def unattained(self) -> bool:
        return True

    def client_rows(self, i: int) -> Array:
        raise ValueError(
            "basis=data is for losses of one margin a row, and a multinomial one has several: use basis=symmetric, or "
            "fit one class against the rest"
        )

    def _at(self, x: Array) -> Point:
        return _MultinomialPoint(self, x)

    @cached_property
    def hessian_entries(self) -> Array:
        """Where each entry of a packed Hessian stands among the packed (c, c) blocks of all pairs of contrasts."""
        c = self.rows.dim
        row, column = np.triu_indices(self.dim)
        (above, i), (right, j) = np.divmod(row, c), np.divmod(column, c)
        pair = position(above, right, self.classes - 1)
        entries = pair * triangle(c).size + position(np.minimum(i, j), np.maximum(i, j), c)
        return to_device(entries, self.like)


def contrasts(classes: int) -> Array:
    """Q, shape (K, K - 1): orthonormal columns that sum to zero."""
    return np.ascontiguousarray(scipy.linalg.helmert(classes).T)


class _MultinomialPoint(Point):
    """Vectors over the rows are held in one list an index of class or contrast: no product mixes the rows."""

    problem: Multinomial

    @cached_property
    def margins(self) -> list[Array]:
        """V a_j, K - 1 vectors of shape (N,)."""
        return [self.problem.rows.margins(column) for column in self.problem.columns(self.x)]

    def scores(self, margins: Sequence[Array]) -> list[Array]:
        """t_j less its largest entry, K vectors of shape (N,)."""
        xp = namespace(margins[0])
        scores = [_mix(row, margins) for row in self.problem.contrasts]
        top = reduce(xp.maximum, scores)
        return [t - top for t in scores]

    @cached_property
    def probabilities(self) -> list[Array]:
        """p_jk, K vectors of shape (N,)."""
        xp = namespace(self.problem.labels)
        likelihoods = [xp.exp(t) for t in self.scores(self.margins)]
        total = _sum(likelihoods)
        return [likelihood / total for likelihood in likelihoods]

    def _is(self, k: int) -> Array:
        labels = self.problem.labels
        return namespace(labels).astype(labels == float(k), labels.dtype)

    @cached_property
    def slopes(self) -> list[Array]:
        """w_j (Qᵀ(p_j - e_{y_j})), K - 1 vectors of shape (N,)."""
        p = self.problem
        residuals = [p_k - self._is(k) for k, p_k in enumerate(self.probabilities)]
        return [p.row_weights * _mix(column, residuals) for column in p.contrasts.T]

    def _value(self) -> Array:
        return self._value_of(self.margins)

    def _value_of(self, margins: Sequence[Array]) -> Array:
        p, xp = self.problem, namespace(self.problem.labels)
        scores = self.scores(margins)
        own = _sum(self._is(k) * t for k, t in enumerate(scores))
        losses = xp.log(_sum(xp.exp(t) for t in scores)) - own
        return Blocks(p.row_weights * losses, p.rows.offsets).sums()

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        along = [self.problem.rows.margins(column) for column in self.problem.columns(direction)]
        trials = [[t + step * a for t, a in zip(self.margins, along, strict=True)] for step in steps]
        return [self._value_of(margins) for margins in trials]

    def _gradient(self) -> Array:
        return self.problem.combined(self.slopes)

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        factors = self.problem.drawn(batch, key)
        return self.problem.combined([factors * slope for slope in self.slopes])

    def _hessians(self) -> Blocks:
        p, xp = self.problem, namespace(self.problem.labels)
        p.check_convex("a Hessian")
        means = [_mix(column, self.probabilities) for column in p.contrasts.T]
        pairs = combinations_with_replacement(range(p.classes - 1), 2)
        shape = (len(p.clients), triangle(p.rows.dim).size)
        blocks = []
        for l, m in pairs:  # noqa: E741 - contrasts
            second = _mix(p.contrasts[:, l] * p.contrasts[:, m], self.probabilities)
            blocks.append(xp.reshape(self._gram(p.row_weights * (second - means[l] * means[m])), shape))
        whole = xp.take(xp.concat(blocks, axis=1), p.hessian_entries, axis=1)
        return Blocks(xp.reshape(whole, (-1,)), offsets_of([triangle(p.dim).size] * len(p.clients)))

    def _gram(self, weights: Array) -> Array:
        """Σ_j w_j a_j a_jᵀ over each client's rows, packed, end to end, for weights of either sign."""
        rows, xp = self.problem.rows, namespace(weights)
        zero = xp.zeros_like(weights)
        return rows.grams(xp.maximum(weights, zero)).values - rows.grams(xp.maximum(-weights, zero)).values


def _mix(factors: Array, vectors: Sequence[Array]) -> Array:
    return _sum(float(factor) * vector for factor, vector in zip(factors, vectors, strict=True))


def _sum(vectors: Iterable[Array]) -> Array:
    """Added one after the other: a row's bits must not depend on how many rows there are."""
    return reduce(add, vectors)
