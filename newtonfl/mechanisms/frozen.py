"""Nothing is ever sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array
from newtonfl.bases import Coordinates
from newtonfl.blocks import Blocks
from newtonfl.keys import Key
from newtonfl.mechanisms.mechanism import Mechanism
from newtonfl.messages import Message, Nothing


@dataclass(frozen=True)
class Frozen(Mechanism):
    """h stays what it was at the start: Newton-zero (N0, arXiv 2106.02969, section 3.5)."""

    def rates(self, sizes: Array) -> Array:
        return np.zeros(len(sizes))

    def messages(self, difference: Blocks, space: Coordinates, clients: Array, key: Key) -> list[Message]:
        return [Nothing() for _ in clients]
