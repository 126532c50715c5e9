"""Centred clipping: about a centre, no client counts for more than τ/k."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.aggregation.base import Aggregator, lengths
from newtonfl.components.aggregation.order import coordinate_median
from newtonfl.core.arguments import a_count, a_length
from newtonfl.core.backend import Array, namespace
from newtonfl.core.random import Key


@dataclass(frozen=True)
class CentredClip(Aggregator):
    """v ← v + (1/k) Σ clip_τ(v_i - v), with clip_τ(u) = min{1, τ/‖u‖}·u.

    (Karimireddy, He and Jaggi, arXiv 2012.10333, from memory, where v is the last round's aggregate.) Here v begins at
    the coordinate median, which is ours: a rule remembers nothing. τ is in the vectors' own unit and does not shrink
    with them, so that δk Byzantine clients leave a floor of about δτ.

    Parameters
    ----------
    tau : float
        τ, above 0.
    iterations : int
        How many, at least 1.

    Raises
    ------
    ValueError
        If one is no such number.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.CentredClip(1.0).of(np.array([[0.0], [0.0], [0.0], [1e9]]), nf.Key(0))
    array([0.25])
    """

    tau: float
    iterations: int = 1
    name = "centred-clip"

    def __post_init__(self) -> None:
        a_length("centred-clip: tau", self.tau)
        a_count("centred-clip: iterations", self.iterations, 1)

    def combine(self, vectors: Array, key: Key) -> Array:
        xp, v = namespace(vectors), coordinate_median(vectors)
        for _ in range(int(self.iterations)):
            away = vectors - v
            far = lengths(away)
            scales = xp.where(far > self.tau, self.tau / xp.where(far > self.tau, far, 1.0), 1.0)
            v = v + xp.sum(scales[:, None] * away, axis=0) / vectors.shape[0]
        return v
