"""Nothing is ever sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Message
from newtonfl.core.backend import Array
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class Frozen(Mechanism):
    """h stays what it was at the start: Newton-zero (N0, arXiv 2106.02969, section 3.5). No three-point mechanism."""

    name = "frozen"

    def skips(self, coin: bool) -> bool:
        return True

    def constants(self, size: int) -> tuple[float, float]:
        raise ValueError("frozen never approaches its target: there are no (A, B)")

    def memory_rates(self, sizes: Array) -> Array:
        return np.zeros(len(sizes))

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        raise AssertionError("a mechanism that always skips has no messages")
