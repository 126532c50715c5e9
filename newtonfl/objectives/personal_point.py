"""What clients know at θ where each has the best coefficients of its own: by the envelope, and a Schur complement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.point import Owner, Point
from newtonfl.objectives.private_minimum import Minimum
from newtonfl.objectives.rows import DenseRows
from newtonfl.objectives.split import Split


class PersonalPoint(Point):
    """h_i(θ) = min_w f_i(θ, w), with ∇h_i = ∇_θ f_i and ∇²h_i = ∇²_θθ f_i - C_i C_iᵀ at (θ, w_i(θ)).

    Parameters
    ----------
    problem : Owner
        The problem of θ.
    split : Split
        Of f_i.
    x : array, shape (d,), or (n, d) with one point a client
        θ.
    """

    def __init__(self, problem: Owner, split: Split, x: Array) -> None:
        super().__init__(problem, x)
        self.split = split

    @cached_property
    def minimum(self) -> Minimum:
        """w_i(θ)."""
        return self.split.minimum(self.x)

    @cached_property
    def joint(self) -> Point:
        """What is known at (θ, w_i(θ))."""
        return self.split.at(self.x, self.minimum)

    @cached_property
    def roots(self) -> Array:
        """R_i with R_i R_iᵀ = (∇²_ww f_i)⁻¹, shape (n, q, q), on the host."""
        return self.split.whitening.inverse_roots(self.minimum.hessians)

    @cached_property
    def lift(self) -> Array:
        """C_i = ∇²_θw f_i R_i, shape (n, d, q)."""
        xp, split = namespace(self.x), self.split
        columns = [split.of_shared(self.joint.hessian_product(unit)) for unit in split.units()]
        return xp.matmul(xp.stack(columns, axis=2), to_device(self.roots, self.x))

    def _value(self) -> Array:
        return self.joint.value

    def _gradient(self) -> Array:
        return self.split.of_shared(self.joint.uncounted_gradient)

    def _sampled_gradient(self, batch: int, key: Key) -> Array:
        return self.split.of_shared(self.joint._sampled_gradient(batch, key))

    def _hessians(self) -> Blocks:
        xp, (n, d, q) = namespace(self.x), self.lift.shape
        flat, shared = triangle(self.split.joint.dim), self.split.shared
        places = flat.square.reshape(flat.dim, flat.dim)[np.ix_(shared, shared)].reshape(-1)[triangle(d).upper]
        packed = xp.reshape(self.joint.hessians.values, (n, flat.size))
        whole = xp.reshape(xp.take(packed, to_device(places, packed), axis=1), (-1,))
        turned = xp.reshape(xp.permute_dims(self.lift, (0, 2, 1)), (n * q, d))
        taken = DenseRows(turned, q * np.arange(n + 1)).grams(xp.ones_like(turned[:, 0]))  # C_i C_iᵀ
        return taken.replaced(whole - taken.values)

    def _hessian_product(self, v: Array) -> Array:
        xp, whole = namespace(self.x), self.split.of_shared(self.joint.hessian_product(self.split.without_own(v)))
        along = xp.matmul(xp.permute_dims(self.lift, (0, 2, 1)), v)
        return whole - xp.matmul(self.lift, along[:, :, None])[:, :, 0]

    def _hessian_diagonal(self) -> Array:
        return self.split.of_shared(self.joint.hessian_diagonal()) - namespace(self.x).sum(self.lift**2, axis=2)

    def _hessians_in(self, rows: Sequence[Array]) -> Blocks:
        xp = namespace(self.x)
        both = [xp.concat(pair, axis=1) for pair in zip(rows, self.split.own_rows(), strict=True)]
        packed = [_complement(*of_client) for of_client in zip(self.joint.hessians_in(both), self.roots, strict=True)]
        return Blocks.of(packed, self.x)

    def release_hessians(self) -> None:
        super().release_hessians()
        vars(self).pop("lift", None)
        if "joint" in vars(self):
            self.joint.release_hessians()


def _complement(packed: Array, root: Array) -> Array:
    """Vᵀ∇²h_i V of one client, packed, from that of f_i in V and the columns of w, and R_i."""
    xp, q = namespace(packed), len(root)
    order = (math.isqrt(8 * packed.shape[0] + 1) - 1) // 2
    rank = order - q
    square = xp.reshape(xp.take(packed, to_device(triangle(order).square, packed)), (order, order))
    lift = square[:rank, rank:] @ to_device(root, packed)
    left = xp.reshape(square[:rank, :rank] - lift @ lift.T, (-1,))
    return xp.take(left, to_device(triangle(rank).upper, packed))
