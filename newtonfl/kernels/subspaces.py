"""H = Σ V_i Λ_i V_iᵀ by its small matrices: products with it, systems with it, and the matrix itself if need be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from newtonfl.core.backend import Array, eye, namespace, resident, to_device, to_host, zeros
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels.conjugate_gradients import conjugate_gradients
from newtonfl.kernels.lanczos import function_product
from newtonfl.kernels.solve import cholesky, cholesky_solve, solve_lower

Way = Literal["core", "products"]

_PRODUCTS = 30
"""How many products conjugate gradients take, about."""

_SLOW = 8
"""How many operations of a product of matrices one of a matrix and a vector costs: it waits for memory."""

_MOST = 1000
"""The most products."""

_APART = 1e-10
"""The least pivot of ZZᵀ over the largest at which its factor is of use."""


def way_to_solve(dim: int, rank: int, even: bool, most: int = 3000) -> Way:
    """The cheaper way to solve (H + D)x = b where H is not assembled.

    Parameters
    ----------
    dim : int
        d.
    rank : int
        R = Σ r_i.
    even : bool
        Whether D = c·I with c > 0: the core needs that.
    most : int
        The largest R for the core: three matrices of R² numbers.

    Returns
    -------
    {"core", "products"}
        The Cholesky factor of H in an orthonormal basis of all spans, or conjugate gradients.
    """
    product = 4.0 * _SLOW * rank * dim
    core = 2.4 * rank**3 + 4.0 * product
    return "core" if even and rank <= min(most, dim) and core < _PRODUCTS * product else "products"


def is_even(diagonal: Array) -> bool:
    """Whether a `diagonal` (d,) is that of c·I with c > 0."""
    return bool(diagonal[0] > 0 and (diagonal == diagonal[0]).all())


@dataclass(frozen=True, eq=False)
class Subspaces:
    """The spans of n clients' rows.

    Parameters
    ----------
    vectors : sequence of numpy.ndarray, shape (r_i, d)
        The rows of V_iᵀ, orthonormal, on the host.
    dim : int
        d.
    """

    vectors: Sequence[Array]
    dim: int

    @cached_property
    def edges(self) -> list[int]:
        """Where each client's vectors stand in Z, all of them one below the other; R at the end."""
        return offsets_of([len(v) for v in self.vectors]).tolist()  # type: ignore[no-any-return]

    @cached_property
    def root(self) -> Array | None:
        """The lower Cholesky factor L of ZZᵀ (R, R), so that L⁻¹Z is orthonormal; None where it is near singular."""
        gram = np.empty((self.edges[-1], self.edges[-1]))
        spans = list(zip(self.vectors, pairwise(self.edges), strict=True))
        for i, (v, (a, b)) in enumerate(spans):
            for w, (first, stop) in spans[: i + 1]:
                gram[a:b, first:stop] = v @ w.T
                gram[first:stop, a:b] = gram[a:b, first:stop].T
        root = cholesky(gram)
        pivots = None if root is None else np.diagonal(root)
        return root if pivots is not None and len(pivots) and pivots.min() ** 2 > _APART * pivots.max() ** 2 else None


@dataclass(frozen=True, eq=False)
class SubspaceSum:
    """H = Σ V_i Λ_i V_iᵀ, added in client order.

    Parameters
    ----------
    spaces : Subspaces
    cores : sequence of array, shape (r_i, r_i)
        Λ_i, symmetric, the clients' weights included.
    """

    spaces: Subspaces
    cores: Sequence[Array]

    def product(self, v: Array) -> Array:
        """H v, shape (d,): 4Rd operations."""
        total = zeros(self.spaces.dim, v)
        for vectors, core in zip(self.spaces.vectors, self.cores, strict=True):
            span = resident(vectors, v)
            total = total + span.T @ (core @ (span @ v))
        return total

    def matrix(self) -> Array:
        """H itself, shape (d, d)."""
        like = self.cores[0]
        total = zeros((self.spaces.dim, self.spaces.dim), like)
        for vectors, core in zip(self.spaces.vectors, self.cores, strict=True):
            span = resident(vectors, like)
            total = total + span.T @ (core @ span)
        return (total + total.T) / 2

    @property
    def scale(self) -> float:
        """The largest ‖Λ_i‖_F: the size of H's entries, about."""
        return max((float(np.linalg.norm(to_host(core))) for core in self.cores), default=0.0)

    def solve(self, diagonal: Array, b: Array, relative: float, way: Way | None = None) -> Array | None:
        """x with (H + D)x = b, shape (d,), or None where H + D is found not to be positive definite.

        Parameters
        ----------
        diagonal : numpy.ndarray, shape (d,)
            D's.
        b : array, shape (d,)
        relative : float
            The largest ‖(H + D)x - b‖/‖b‖ with which conjugate gradients stop; the core is exact to rounding.
        way : {"core", "products"} or None
            None for :func:`way_to_solve`. Where spans share directions, so that there is no core, products do it.
        """
        dim, rank = self.spaces.dim, self.spaces.edges[-1]
        if rank + np.count_nonzero(diagonal) < dim:
            return None
        if (way or way_to_solve(dim, rank, is_even(diagonal))) == "core" and self.spaces.root is not None:
            return self._by_core(float(diagonal[0]), b)
        added = to_device(diagonal, b)
        x, flat = conjugate_gradients(lambda v: self.product(v) + added * v, b, relative, _MOST)
        return x if flat is None else None

    def solve_projected(self, c: float, b: Array, relative: float) -> Array | None:
        """([H]₀ + c·I)⁻¹b, [H]₀ the projection of H onto the positive semidefinite cone; c > 0.

        None where the most products do not find it to `relative` of its length.
        """
        return function_product(self.product, lambda values: 1.0 / (c + np.clip(values, 0.0, None)), b, relative, _MOST)

    def _by_core(self, c: float, b: Array) -> Array | None:
        """With Q = L⁻¹Z and M = Lᵀ blockdiag(Λ) L: H = QᵀMQ, (c·I + H)⁻¹ = (I - QᵀQ)/c + Qᵀ(c·I + M)⁻¹Q."""
        assert self.spaces.root is not None
        root, spans = resident(self.spaces.root, b), [resident(v, b) for v in self.spaces.vectors]
        xp, edges = namespace(b), self.spaces.edges
        mixed = [core @ root[a:e, :] for core, (a, e) in zip(self.cores, pairwise(edges), strict=True)]
        small = root.T @ xp.concat(mixed)
        small = (small + small.T) / 2 + xp.where(eye(edges[-1], b), zeros((), b) + c, zeros((), b))
        factor = cholesky(small)
        if factor is None:
            return None

        along = solve_lower(root, xp.concat([span @ b for span in spans]))
        into = solve_lower(root, cholesky_solve(factor, along) - along / c, transposed=True)
        total = b / c
        for span, (a, e) in zip(spans, pairwise(edges), strict=True):
            total = total + span.T @ into[a:e]
        return total
