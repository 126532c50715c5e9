"""Krum: the vector that has the nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.aggregation.base import Aggregator, lengths
from newtonfl.components.aggregation.order import coordinate_median
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, eye, namespace
from newtonfl.core.random import Key

_FAR = 1e7
"""Of the middle distance: further away is not told apart."""


@dataclass(frozen=True)
class Krum(Aggregator):
    """The v_i with the least Σ‖v_i - v_j‖² over its k - f - 2 nearest v_j; of equals the first.

    (Blanchard, El Mhamdi, Guerraoui and Stainer, arXiv 1703.02757, from memory: k ≥ 2f + 3 is what their theorem has.)
    It answers with one client's vector, and so averages nothing: :class:`Bucketed` does.

    Parameters
    ----------
    f : int
        How many clients may be Byzantine, at least 0; the rule needs 2f + 3 vectors.

    Raises
    ------
    ValueError
        If f is no such number.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Krum(1).of(np.array([[1.0], [2.0], [2.5], [4.0], [1e9]]), nf.Key(0))
    array([2.])
    """

    f: int
    name = "krum"

    def __post_init__(self) -> None:
        a_count("krum: f", self.f, 0)

    @property
    def least(self) -> int:
        return 2 * self.f + 3

    def combine(self, vectors: Array, key: Key) -> Array:
        xp, k = namespace(vectors), vectors.shape[0]
        # About the coordinate median, in units of the middle distance from it, and none longer than 1e7 of them:
        # squares neither overflow nor cancel, and who is far away cannot make the others' distances vanish.
        centred = vectors - coordinate_median(vectors)
        far = lengths(centred)
        middle = xp.sort(far)[(k - 1) // 2]
        most = _FAR * xp.where(middle > 0.0, middle, 1.0)
        unit = centred / (most * xp.maximum(far / most, 1.0 + 0.0 * far))[:, None] * _FAR
        products = unit @ unit.T
        squares = xp.sum(unit * unit, axis=1)
        distances = xp.clip(squares[:, None] + squares[None, :] - 2.0 * products, 0.0, None)
        apart = xp.sort(xp.where(eye(k, vectors), xp.inf, distances), axis=1)
        scores = xp.sum(apart[:, : k - int(self.f) - 2], axis=1)
        return xp.take(vectors, xp.argmin(scores, keepdims=True), axis=0)[0, ...]
