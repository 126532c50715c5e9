"""Every client's minimum over a few coordinates of its own: damped Newton steps, all clients at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.column_problem import ColumnProblem

_MOST = 100
"""So many steps a client at most. Along losses that fall for ever each adds about 1 to a margin, without an end."""

_SMALL = 1e-12
"""f falls less than this share of itself: values cannot tell any more, and gradients decide."""

_SHORT = 1e-3
"""The longest last step where losses fall for ever: there each step is of about 1, however small gradients are."""

_LEAST = 1e-9
"""The least damping, a share of the gradient, where losses have no curvature: a step of a billion, and then less."""

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Whitening:
    """Coordinates c with w = T c in which every client's Σ_j w_j a_j a_jᵀ, its ridge included, is the identity.

    There a Hessian is a mean of the losses' curvatures, in whatever units the columns are. Where a client's columns
    depend on each other T has columns of zeros: of several w with the same margins it reaches one.

    Attributes
    ----------
    vectors : numpy.ndarray, shape (n, q, q)
        T.
    null : numpy.ndarray, shape (n, q)
        1 where T has a column of zeros, else 0.
    """

    vectors: Array
    null: Array

    @classmethod
    def of(cls, problem: ColumnProblem) -> Self:
        """That of a problem's clients."""
        width, ridge = problem.rows.dim, problem.local_ridge
        packed = to_host(problem.rows.grams(problem.row_weights).values).reshape(-1, triangle(width).size)
        grams = packed[:, triangle(width).square].reshape(-1, width, width)
        grams = np.kron(np.eye(problem.dim // width)[None], grams)  # a block for each vector that meets the rows
        if ridge is not None:
            grams = grams + np.diag(to_host(ridge))
        lengths = np.sqrt(np.diagonal(grams, axis1=1, axis2=2))
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
        values, vectors = np.linalg.eigh(scale[:, :, None] * grams * scale[:, None, :])
        null = values <= 64.0 * problem.dim * _EPS * values[:, -1:]
        roots = np.where(null, 0.0, 1.0 / np.sqrt(np.where(null, 1.0, values)))
        return cls(scale[:, :, None] * vectors * roots[:, None, :], null.astype(np.float64))

    def select(self, chosen: Array) -> Self:
        """That of some clients, by position."""
        return type(self)(self.vectors[chosen], self.null[chosen])

    def curvatures(self, hessians: Array) -> tuple[Array, Array]:
        """Eigenvalues (n, q) ≥ 0 of TᵀHT and T times its eigenvectors (n, q, q); 1 stands where T has no column."""
        turned = np.matmul(self.vectors.transpose(0, 2, 1), np.matmul(hessians, self.vectors))
        values, vectors = np.linalg.eigh(turned + self.null[:, None, :] * np.eye(self.null.shape[1]))
        return np.maximum(values, 0.0), np.matmul(self.vectors, vectors)

    def inverse_roots(self, hessians: Array) -> Array:
        """R with R Rᵀ = H⁺, the inverse of each Hessian where it has one, shape (n, q, q)."""
        values, vectors = self.curvatures(hessians)
        zero = values <= values.shape[1] * _EPS * values.max(axis=1, initial=0.0, keepdims=True)
        roots: Array = vectors * np.where(zero, 0.0, 1.0 / np.sqrt(np.where(zero, 1.0, values)))[:, None, :]
        return roots


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where every client's function is least.

    Attributes
    ----------
    w : numpy.ndarray, shape (n, q)
    hessians : numpy.ndarray, shape (n, q, q)
        There.
    found : numpy.ndarray of bool, shape (n,)
        Whether it is a minimum: else there is none, or numbers are too large.
    """

    w: Array
    hessians: Array
    found: Array


@dataclass(frozen=True, eq=False)
class _Place:
    """Where clients are: w (n, q), and there f_i (n,), ∇f_i (n, q), ∇²f_i (n, q, q) and ∇f_i's rounding (n,)."""

    w: Array
    value: Array
    gradient: Array
    hessian: Array
    level: Array

    @classmethod
    def at(cls, problem: ColumnProblem, w: Array) -> Self:
        point, flat = problem.at_uncached(to_device(w, problem.like)), triangle(problem.dim)
        packed = to_host(point.hessians.values).reshape(len(w), flat.size)
        squares = packed[:, flat.square].reshape(len(w), flat.dim, flat.dim)
        # Where losses fall for ever a small gradient alone says nothing, and none but zero is an end.
        level = np.zeros(len(w)) if problem.unattained else 8.0 * _EPS * to_host(problem.slope_norms(point))
        return cls(w, to_host(point.value), to_host(point.uncounted_gradient), squares, level)

    @property
    def finite(self) -> Array:
        sound: Array = np.isfinite(self.value) & np.isfinite(self.gradient).all(axis=1)
        return sound & np.isfinite(self.hessian).all(axis=(1, 2))

    def where(self, which: Array, other: Self) -> Self:
        """Here for the clients `which`, shape (n,) of bool, and at `other` for those that are left."""
        one, two = which[:, None], which[:, None, None]
        return type(self)(
            np.where(one, self.w, other.w),
            np.where(which, self.value, other.value),
            np.where(one, self.gradient, other.gradient),
            np.where(two, self.hessian, other.hessian),
            np.where(which, self.level, other.level),
        )


def minimum(problem: ColumnProblem, whitening: Whitening) -> Minimum:
    """Each client's minimiser of its own function of a problem of few coordinates, to the level of rounding.

    From w = 0 by steps -(H + μG)⁻¹∇f (Levenberg's damping), with G of the `whitening` and a client's own μ: 0 at first,
    more where f does not fall by a step, and less again where it does. Where Newton's method expects f to fall by less
    than its rounding, gradients decide. A client ends where its gradient is rounding, or a step there does not halve
    it; with losses that fall for ever that step must be short too, for along them all are of about 1. What becomes of a
    client depends on its own numbers alone.

    Parameters
    ----------
    problem : ColumnProblem
        Of convex functions; its local ridge, if any, is part of them.
    whitening : Whitening
        That of the problem.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a trial may be anywhere
        return _minimum(problem, whitening)


def _minimum(problem: ColumnProblem, whitening: Whitening) -> Minimum:
    n, q = len(problem.clients), problem.dim
    here = _Place.at(problem, np.zeros((n, q)))
    done, found = ~here.finite, np.zeros(n, bool)
    here = here.where(~done, _Place(here.w, np.zeros(n), np.zeros((n, q)), np.zeros((n, q, q)), np.zeros(n)))
    damping, first, short = np.zeros(n), np.abs(here.value), _SHORT if problem.unattained else np.inf
    for _ in range(_MOST):
        curvature, basis = whitening.curvatures(here.hessian)
        slope = _products(basis.transpose(0, 2, 1), here.gradient)
        steep, most = np.sqrt(np.sum(slope**2, axis=1)), curvature.max(axis=1, initial=0.0)
        newton = np.divide(np.abs(slope), curvature, out=np.where(slope == 0.0, 0.0, np.inf), where=curvature > 0.0)
        fall = np.sum(np.where(slope == 0.0, 0.0, np.abs(slope) * newton), axis=1)
        small = fall <= _SMALL * (np.abs(here.value) + first)
        damped = curvature + np.where(small, 0.0, damping)[:, None]
        step = -slope / np.where(damped > 0.0, damped, np.maximum(_LEAST * steep, 1e-300)[:, None])
        there = _Place.at(problem, here.w + _products(basis, step))
        left = np.sqrt(np.sum(_products(basis.transpose(0, 2, 1), there.gradient) ** 2, axis=1))
        falls = there.value <= here.value + 1e-4 * np.sum(slope * step, axis=1)
        better = np.where(small, left < steep, falls) & there.finite & ~done
        ended = small & ~(left < 0.5 * steep) & (newton.max(axis=1, initial=0.0) <= short) | (steep <= here.level)
        here, found, done = there.where(better, here), found | (ended & ~done), done | ended
        if done.all():
            break
        more = np.maximum(4.0 * damping, np.maximum(1e-3 * most, _LEAST * steep))
        damping = np.where(better, np.where(damping > 1e-10 * most, damping / 8.0, 0.0), more)
    return Minimum(here.w, here.hessian, found)


def _products(matrices: Array, vectors: Array) -> Array:
    """Each matrix (n, q, q) times its vector (n, q)."""
    products: Array = np.matmul(matrices, vectors[:, :, None])[:, :, 0]
    return products
