"""Ordinal regression, proportional odds: classes in an order, as logistic rows and gaps between thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic, Loss


@dataclass(frozen=True)
class Ordered:
    """What there is to know of ordered classes before a problem is made of rows.

    Attributes
    ----------
    shares : tuple of float
        Each class's share p_k of all weight, in order; at least two classes, none without weight.
    """

    shares: tuple[float, ...]

    @property
    def thresholds(self) -> Array:
        """Those that fit best without any features, log(P/(1 - P)) of the shares' sums P, shape (K - 1,)."""
        below = np.cumsum(self.shares)[:-1]
        return np.log(below / (1.0 - below))


@dataclass(frozen=True)
class _OddsAndGaps(Loss):
    """log(1 + exp(-y t)) where y is -1 or 1, and h(t) = -log(1 - exp(-t)) where 0 < y < 1, for t ≥ y.

    Below y, h goes on as its Taylor polynomial of second order there: finite, convex, and steeper than at y.
    """

    formula = "log(1 + exp(-y aᵀx)), -log(1 - exp(-aᵀx))"
    family = "ordinal"
    unattained = True
    curvature_bound = np.inf
    curvature_lipschitz = np.inf

    def value(self, t: Array, y: Array) -> Array:
        xp, (at, beyond, first, second) = namespace(t), self._gap(t, y)
        gap = -xp.log(-xp.expm1(-at)) + beyond * (first + 0.5 * second * beyond)
        return self._either(y, gap, Logistic().value(t, y))

    def slope(self, t: Array, y: Array) -> Array:
        _, beyond, first, second = self._gap(t, y)
        return self._either(y, first + second * beyond, Logistic().slope(t, y))

    def curvature(self, t: Array, y: Array) -> Array:
        return self._either(y, self._gap(t, y)[3], Logistic().curvature(t, y))

    def to_spec(self) -> str:
        return "ordinal"

    @staticmethod
    def _either(y: Array, gap: Array, odds: Array) -> Array:
        xp = namespace(y)
        return xp.where(xp.abs(y) < 1.0, gap, odds)

    @staticmethod
    def _gap(t: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Where h is expanded, how far beyond t lies, and h′ and h″ there."""
        xp = namespace(t)
        at = xp.clip(xp.where(t < y, y, t), None, 700.0)
        at = xp.where(xp.abs(y) < 1.0, at, xp.ones_like(t))
        rise = xp.expm1(at)
        return at, xp.where(t < y, t - y, xp.zeros_like(t)), -1.0 / rise, -1.0 / (rise * xp.expm1(-at))


class Ordinal(GLM):
    """f(β, θ) = -(1/Σw) Σ_j w_j log P(y_j | a_j) + ½ Σ ridge x², P(class ≤ k) = 1/(1 + exp(a_jᵀβ - θ_k)).

    x = (β, θ), with K - 1 thresholds θ_1 < … < θ_{K-1} of K classes. With σ(t) = 1/(1 + exp(-t)) and b = θ_y - aᵀβ,
    c = θ_{y-1} - aᵀβ, the probability σ(b) - σ(c) is σ(b) σ(-c) (1 - exp(-(θ_y - θ_{y-1}))). So

        -log P(y | a) = log(1 + exp(-b)) + log(1 + exp(c)) + h(θ_y - θ_{y-1}),  h(Δ) = -log(1 - exp(-Δ)):

    two rows of logistic regression with the features (-a, 1 at the threshold), and for all rows of a class at a client
    one row more, of weight Σw, whose margin is the gap of two thresholds. f is convex.

    Thresholds out of order have no probability, and h is infinite. Here h(Δ) goes on as its Taylor polynomial of second
    order below Δ = p_k, the class's share of all weight: f is finite, convex and twice differentiable everywhere, and
    its minimiser is the likelihood's, for there every gap is larger. Along thresholds k and up, moved by one s, f Σw
    falls by W_k abs(h′(Δ)) and more, W_k the class's own weight, and rises by less than the weight of later classes. So
    abs(h′(Δ)) < (1 - p_k)/p_k at a minimiser; but for Δ ≤ p_k it is at least 1/(exp(p_k) - 1), which is more.

    Parameters
    ----------
    rows : array (N, d), or SciPy CSR array
        The rows of the clients held here, end to end, on the host; without an intercept, which θ is.
    labels : numpy.ndarray, shape (N,)
        Class numbers 0 to K - 1.
    sizes : array of int
        How many rows each client held here has.
    classes : Ordered
    total_weight : float
        Σw over all rows of all processes.
    weights : numpy.ndarray, shape (N,), or None
    more : keyword arguments of :class:`newtonfl.GLM`
        Among them `ridge`, a number or one for each of the d + K - 1 coordinates.
    """

    def __init__(
        self,
        rows: Array,
        labels: Array,
        sizes: Array,
        classes: Ordered,
        total_weight: float,
        weights: Array | None = None,
        *args: Any,
        **more: Any,
    ) -> None:
        self.classes, n_features = classes, rows.shape[1]
        weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
        laid_out = _laid_out(rows, np.asarray(labels, np.int64), np.asarray(sizes, np.int64), weights, classes)
        super().__init__(*laid_out[:3], _OddsAndGaps(), total_weight, laid_out[3], *args, **more)
        self.n_features = n_features

    def _leave_out(self, part: Self, stay: Array) -> None:
        raise ValueError("ordinal regression has no problem without some of its clients: a class may leave with them")


def _laid_out(
    rows: Array, labels: Array, sizes: Array, weights: Array, classes: Ordered
) -> tuple[Array, Array, Array, Array]:
    """The rows of (β, θ), their labels, how many each client has, and their weights.

    Those of one client follow each other: at its rows' upper thresholds, at their lower ones, and its classes' gaps.
    """
    count, n = len(classes.shares), len(sizes)
    owner, middle = np.repeat(np.arange(n), sizes), np.arange(1, count - 1)
    above, below = np.flatnonzero(labels < count - 1), np.flatnonzero(labels > 0)
    totals = np.zeros((n, count))
    np.add.at(totals, (owner, labels), weights)
    gaps = n * len(middle)
    at = np.concatenate([labels[above], labels[below] - 1])
    thresholds = scipy.sparse.csr_array(
        (np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), count - 1), dtype=np.float64
    )
    step = scipy.sparse.csr_array(np.diff(np.eye(count - 1), axis=0))
    thresholds = scipy.sparse.vstack([thresholds, *[step] * n], format="csr")
    features = -rows[np.concatenate([above, below])]
    empty = np.zeros((gaps, rows.shape[1]))
    if scipy.sparse.issparse(rows):
        features = scipy.sparse.vstack([features, scipy.sparse.csr_array(empty)], format="csr")
        whole = scipy.sparse.csr_array(scipy.sparse.hstack([features, thresholds], format="csr"))
    else:
        whole = np.hstack([np.vstack([features, empty]), thresholds.toarray()])
    kinds = np.concatenate([np.ones(len(above)), -np.ones(len(below)), np.tile(np.array(classes.shares)[middle], n)])
    weighed = np.concatenate([weights[above], weights[below], totals[:, middle].ravel()])
    owners = np.concatenate([owner[above], owner[below], np.repeat(np.arange(n), len(middle))])
    order = np.argsort(owners, kind="stable")
    return whole[order], kinds[order], np.bincount(owners, minlength=n), weighed[order]
