"""The participation socket: who takes part in a round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array
from newtonfl.keys import Key


class Participation(ABC):
    """Draws who hears and speaks in a round. Subclasses are frozen dataclasses."""

    @abstractmethod
    def draw(self, n_clients: int, key: Key) -> Array | None:
        """The clients that take part, increasing; None means all."""

    @abstractmethod
    def weights(self, n_clients: int) -> Array:
        """The weight of each reply in the server's means, shape (n,)."""


@dataclass(frozen=True)
class All(Participation):
    """Every client, every round."""

    def draw(self, n_clients: int, key: Key) -> Array | None:
        return None

    def weights(self, n_clients: int) -> Array:
        return np.full(n_clients, 1.0 / n_clients)
