"""The geometric median, by Weiszfeld's iterations."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.aggregation.base import Aggregator, lengths
from newtonfl.components.aggregation.order import coordinate_median
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, namespace
from newtonfl.core.random import Key

_SMOOTHING = 1e-6
"""ν over the median of the first distances: nearer vectors count alike, so that no iterate stops at one of them."""


_TINY = 1e-300
"""Distances below it are none: their quotients would be no numbers."""


@dataclass(frozen=True)
class GeometricMedian(Aggregator):
    """The point with the least Σ‖v_i - z‖, nearly: z ← Σ w_i v_i/Σ w_i with w_i = 1/max{ν, ‖v_i - z‖}.

    Smoothed Weiszfeld iterations (RFA, Pillutla, Kakade and Harchaoui, arXiv 1912.13445, from memory). They begin at
    the coordinate median, and ν is a millionth of the median distance from it: both ours. Where that distance is 0,
    half of the vectors are one vector, which is the answer.

    Parameters
    ----------
    iterations : int
        How many, at least 1.

    Raises
    ------
    ValueError
        If it is no such number.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.GeometricMedian().of(np.array([[0.0, 0.0], [0.0, 0.0], [1e9, 1.0]]), nf.Key(0))
    array([0., 0.])
    """

    iterations: int = 32
    name = "geometric-median"

    def __post_init__(self) -> None:
        a_count("geometric-median: iterations", self.iterations, 1)

    def combine(self, vectors: Array, key: Key) -> Array:
        xp, first = namespace(vectors), coordinate_median(vectors)
        away = xp.sort(lengths(vectors - first))[(vectors.shape[0] - 1) // 2]
        z, nu = first, _SMOOTHING * xp.where(away > _TINY, away, 1.0)
        for _ in range(int(self.iterations)):
            distances = lengths(vectors - z)
            weights = nu / xp.where(distances > nu, distances, nu)
            # From z, not from 0: what is common to all vectors is not rounded again.
            z = z + xp.sum((weights / xp.sum(weights))[:, None] * (vectors - z), axis=0)
        return xp.where(away > _TINY, z, first)
