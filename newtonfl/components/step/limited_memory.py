"""L-BFGS: the inverse Hessian of the last few pairs, which alone are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.components.step.quasi_newton import Pair, QuasiNewton, dot
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class LimitedMemory(QuasiNewton[tuple[Pair, ...]]):
    """B∇f by the two-loop recursion, from ⟨s, y⟩/‖y‖² of the newest pair times the identity.

    Nocedal and Wright, Numerical Optimization, 2nd edition, Algorithm 7.4.

    Parameters
    ----------
    search : Interpolation
        The line search.
    memory : int
        How many pairs are kept, at least 1.
    """

    memory: int = 10

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not isinstance(self.memory, int | np.integer) or self.memory < 1:
            raise ValueError(f"memory: given {self.memory!r}, must be a whole number of at least 1")

    def parameters(self) -> dict[str, str | float]:
        return {"memory": self.memory, **super().parameters()}

    def learn(self, learned: tuple[Pair, ...] | None, pair: Pair) -> tuple[Pair, ...]:
        return (*(learned or ()), pair)[-self.memory :]

    def product(self, learned: tuple[Pair, ...], vector: Array) -> Array:
        return inverse_product(learned, vector)


def inverse_product(pairs: tuple[Pair, ...], vector: Array) -> Array:
    """B times `vector`, shape (d,): Algorithm 7.4."""
    q, alphas = vector, []
    for pair in reversed(pairs):
        alphas.append(dot(pair.s, q) / pair.sy)
        q = q - alphas[-1] * pair.y
    r = pairs[-1].sy / pairs[-1].yy * q
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + (alpha - dot(pair.y, r) / pair.sy) * pair.s
    return r
