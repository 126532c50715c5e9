"""Rules by rank, coordinate by coordinate: the median, and the mean of what is left without the extremes."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.aggregation.base import Aggregator
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, namespace
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Median(Aggregator):
    """The median of every coordinate; of an even number, the middle of the two in the middle.

    It stays between honest numbers while fewer than half of the clients are Byzantine (Yin et al., arXiv 1803.01498,
    from memory). By itself it is not robust in the sense of arXiv 2311.14127: honest vectors may differ so that their
    mean is elsewhere. With :class:`Bucketed` it is.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Median().of(np.array([[1.0, 5.0], [2.0, 5.0], [1e9, -1e9]]), nf.Key(0))
    array([2., 5.])
    """

    name = "median"

    def combine(self, vectors: Array, key: Key) -> Array:
        return coordinate_median(vectors)


@dataclass(frozen=True)
class Trimmed(Aggregator):
    """The mean of every coordinate without its t smallest and its t largest numbers.

    (Yin et al., arXiv 1803.01498, from memory.) It bears t Byzantine clients.

    Parameters
    ----------
    t : int
        At least 0; the rule needs 2t + 1 vectors.

    Raises
    ------
    ValueError
        If t is no such number.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Trimmed(1).of(np.array([[1.0], [2.0], [4.0], [1e9]]), nf.Key(0))
    array([3.])
    """

    t: int
    name = "trimmed"

    def __post_init__(self) -> None:
        a_count("trimmed: t", self.t, 0)

    @property
    def least(self) -> int:
        return 2 * self.t + 1

    def combine(self, vectors: Array, key: Key) -> Array:
        xp, t = namespace(vectors), int(self.t)
        kept = xp.sort(vectors, axis=0)[t : vectors.shape[0] - t, ...]
        # About the middle, so that equal numbers give that number and not what their sum is rounded to.
        middle = kept[kept.shape[0] // 2, ...]
        return middle + xp.sum(kept - middle, axis=0) / kept.shape[0]


def coordinate_median(vectors: Array) -> Array:
    """The median of every column of `vectors` (k, d), shape (d,)."""
    xp, k = namespace(vectors), vectors.shape[0]
    ordered = xp.sort(vectors, axis=0)
    if k % 2:
        return ordered[k // 2, ...]
    return 0.5 * ordered[k // 2 - 1, ...] + 0.5 * ordered[k // 2, ...]
