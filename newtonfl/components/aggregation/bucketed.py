"""Buckets: a rule of the means of few vectors each, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.aggregation.base import Aggregator, an_aggregator
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Bucketed(Aggregator):
    """A rule of the means of buckets: the vectors in random order, s by s.

    Means of honest vectors differ less than the vectors do, and a Byzantine one spoils its bucket; with k vectors there
    are ⌈k/s⌉ buckets, of which f Byzantine vectors spoil up to f. It makes the coordinate median, the geometric median
    and Krum robust for unlike clients (Karimireddy, He and Jaggi, arXiv 2006.09365, from memory). The last bucket may
    have fewer vectors.

    Parameters
    ----------
    aggregator : Aggregator
        The rule.
    s : int
        How many vectors a bucket has, at least 1.

    Raises
    ------
    TypeError, ValueError
        If one is no such rule or number.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Bucketed("median").of(np.array([[2.0]] * 5 + [[1e9]]), nf.Key(0))
    array([2.])
    """

    aggregator: Aggregator
    s: int = 2
    name = "bucketed"
    main_field = "aggregator"

    def __post_init__(self) -> None:
        an_aggregator("bucketed: aggregator", self.aggregator)
        a_count("bucketed: s", self.s, 1)

    @property
    def least(self) -> int:
        return max((self.aggregator.least - 1) * self.s, 0) + 1

    def combine(self, vectors: Array, key: Key) -> Array:
        xp, k, s = namespace(vectors), vectors.shape[0], int(self.s)
        order = key.to("buckets").generator().permutation(k)
        mixed = xp.take(vectors, to_device(order, vectors), axis=0)
        full = k // s
        means = _means(xp.reshape(mixed[: full * s, ...], (full, s, vectors.shape[1])))
        if k % s:
            means = xp.concat([means, _means(mixed[None, full * s :, :])])
        return self.aggregator.combine(means, key.to("bucket means"))


def _means(buckets: Array) -> Array:
    """The means of `buckets` (b, s, d) over s; about the first vector, so that equal ones have that mean exactly."""
    first = buckets[:, :1, :]
    away = namespace(buckets).sum(buckets - first, axis=1) / buckets.shape[1]
    return first[:, 0, :] + away
