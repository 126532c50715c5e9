"""Multinomial logistic regression: rows with K classes, as a Problem."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, resident, to_device
from newtonfl.core.ragged import Blocks, selected
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import sums
from newtonfl.objectives.base import Point
from newtonfl.objectives.row_problem import RowProblem

if TYPE_CHECKING:
    from newtonfl.core.random import Key


_ROWS = 1024
"""So many rows at a time are spread over all contrasts, counted from each client's first."""


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
        self.offsets: list[Array] | None = None

    def with_margins_of(self, point: Point) -> Self:
        assert isinstance(point, _MultinomialPoint)
        other = copy.copy(self)
        other._forget_everything()
        other.offsets = point.margins
        return other

    def _select(self, part: Self, chosen: Array) -> None:
        super()._select(part, chosen)
        if self.offsets is not None:
            part.offsets = [selected(known, self.rows.offsets, chosen) for known in self.offsets]

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
    def pairs(self) -> Array:
        """q_k q_kᵀ as a column of (K - 1)² entries for every class k, on the host."""
        q = self.contrasts
        return np.ascontiguousarray((q[:, :, None] * q[:, None, :]).reshape(self.classes, -1).T)


def contrasts(classes: int) -> Array:
    """Q, shape (K, K - 1): orthonormal columns that sum to zero."""
    return np.ascontiguousarray(scipy.linalg.helmert(classes).T)


class _MultinomialPoint(Point):
    """Vectors over the rows are held in one list an index of class or contrast: no product mixes the rows."""

    problem: Multinomial

    @cached_property
    def margins(self) -> list[Array]:
        """V a_j and what is known beside it, K - 1 vectors of shape (N,)."""
        margins = [self.problem.rows.margins(column) for column in self.problem.columns(self.x)]
        known = self.problem.offsets
        return margins if known is None else [own + more for own, more in zip(margins, known, strict=True)]

    def scores(self, margins: Sequence[Array]) -> list[Array]:
        """t_j less its largest entry, K vectors of shape (N,)."""
        xp = namespace(margins[0])
        scores = expanded(margins)
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
        residuals = [p_k - self._is(k) for k, p_k in enumerate(self.probabilities)]
        return [self.problem.row_weights * mixed for mixed in contracted(residuals)]

    @cached_property
    def means(self) -> list[Array]:
        """Qᵀp_j, K - 1 vectors of shape (N,)."""
        return contracted(self.probabilities)

    def _value(self) -> Array:
        return self._value_of(self.margins)

    def _value_of(self, margins: Sequence[Array]) -> Array:
        p, xp = self.problem, namespace(self.problem.labels)
        scores = self.scores(margins)
        own = _sum(self._is(k) * t for k, t in enumerate(scores))
        losses = xp.log(_sum(xp.exp(t) for t in scores)) - own
        return sums(Blocks(p.row_weights * losses, p.rows.offsets))

    def _value_along(self, direction: Array, steps: Sequence[float]) -> list[Array]:
        along = [self.problem.rows.margins(column) for column in self.problem.columns(direction)]
        trials = [[t + step * a for t, a in zip(self.margins, along, strict=True)] for step in steps]
        return [self._value_of(margins) for margins in trials]

    def _gradient(self) -> Array:
        return self.problem.combined(self.slopes, self.problem.rows.combine)

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        factors = self.problem.drawn(batch, key)
        return self.problem.combined([factors * slope for slope in self.slopes], self.problem.rows.combine)

    def _hessian_product(self, v: Array) -> Array:
        p = self.problem
        along = expanded([p.rows.margins(column) for column in p.columns(v)])
        mean = _sum(p_k * t for p_k, t in zip(self.probabilities, along, strict=True))
        turned = contracted([p_k * (t - mean) for p_k, t in zip(self.probabilities, along, strict=True)])
        return p.combined([p.row_weights * factor for factor in turned], p.rows.combine)

    def _hessian_diagonal(self) -> Array:
        p = self.problem
        variances = [
            second - mean * mean for second, mean in zip(_squares(self.probabilities), self.means, strict=True)
        ]
        return p.combined([p.row_weights * variance for variance in variances], p.rows.combine_squares)

    def _hessians(self) -> Blocks:
        """Σ_k q_k q_kᵀ ⊗ Σ_j w_j p_jk a_j a_jᵀ less Σ_j w_j (m_j ⊗ a_j)(m_j ⊗ a_j)ᵀ, with m_j = Qᵀp_j."""
        p = self.problem
        p.check_convex("a Hessian")
        grams = [p.rows.grams(p.row_weights * p_k) for p_k in self.probabilities]
        blocks = [self._hessian(i, [gram[i] for gram in grams]) for i in range(len(p.clients))]
        return Blocks.of(blocks, p.like)

    def _hessian(self, i: int, grams: Sequence[Array]) -> Array:
        p, flat, xp = self.problem, triangle(self.problem.rows.dim), namespace(self.problem.labels)
        c, k, pairs = p.rows.dim, p.classes - 1, to_device(p.pairs, p.like)
        square = resident(flat.square, p.like)
        first = xp.take(pairs @ xp.stack(list(grams)), square, axis=1)  # (k², c²): a c × c block for each l and m
        whole = xp.reshape(xp.permute_dims(xp.reshape(first, (k, k, c, c)), (0, 2, 1, 3)), (k * c, k * c))
        edges = p.rows.offsets
        for a in range(int(edges[i]), int(edges[i + 1]), _ROWS):
            b = min(a + _ROWS, int(edges[i + 1]))
            scales = xp.stack([mean[a:b] for mean in self.means], axis=1) * xp.sqrt(p.row_weights[a:b])[:, None]
            rows = p.rows.dense(i, a - int(edges[i]), b - int(edges[i]))
            tilted = xp.reshape(scales[:, :, None] * rows[:, None, :], (b - a, k * c))
            whole = whole - tilted.T @ tilted
        return xp.take(xp.reshape(whole, (-1,)), resident(triangle(p.dim).upper, p.like))


def expanded(vectors: Sequence[Array]) -> list[Array]:
    """Qv, from K - 1 vectors to K, in 4K vector operations: column j of Q is (1, …, 1, -j, 0, …)/√(j(j + 1)).

    Every row's terms are added in one order, so its bits do not depend on how many rows there are.
    """
    mixed, tail = [], 0.0 * vectors[0]
    for j in range(len(vectors), 0, -1):
        scaled = vectors[j - 1] / math.sqrt(j * (j + 1))
        mixed.append(tail - float(j) * scaled)
        tail = tail + scaled
    return [tail, *reversed(mixed)]


def contracted(vectors: Sequence[Array]) -> list[Array]:
    """Qᵀu, from K vectors to K - 1."""
    mixed, head = [], vectors[0]
    for j, vector in enumerate(vectors[1:], 1):
        mixed.append((head - float(j) * vector) / math.sqrt(j * (j + 1)))
        head = head + vector
    return mixed


def _squares(vectors: Sequence[Array]) -> list[Array]:
    """The same with every entry of Q squared."""
    mixed, head = [], vectors[0]
    for j, vector in enumerate(vectors[1:], 1):
        mixed.append((head + float(j * j) * vector) / float(j * (j + 1)))
        head = head + vector
    return mixed


def _sum(vectors: Iterable[Array]) -> Array:
    """Added one after the other: a row's bits must not depend on how many rows there are."""
    return reduce(add, vectors)
