"""The mean: the rule of methods that trust their clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.components.aggregation.base import Aggregator
from newtonfl.core.backend import Array, namespace
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Mean(Aggregator):
    """(1/k) Σ v_i: one Byzantine client moves it anywhere.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Mean().of(np.array([[1.0], [2.0], [9.0]]), nf.Key(0))
    array([4.])
    """

    name = "mean"

    @property
    def least(self) -> int:
        return 0

    def combine(self, vectors: Array, key: Key) -> Array:
        return namespace(vectors).sum(vectors, axis=0) / max(vectors.shape[0], 1)

    def added(
        self, total: Array, messages: Sequence[Message], space: Coordinates, clients: Array, scales: Array, key: Key
    ) -> Array:
        # Message by message, without a table of vectors: most of a sparse message's entries are zero.
        return space.accumulate(total, messages, scales / max(len(messages), 1), clients)
