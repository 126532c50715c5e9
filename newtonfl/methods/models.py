"""The model socket: what the clients get to see of x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array, to_device, to_host
from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.keys import Key
from newtonfl.mechanisms import Mechanism
from newtonfl.messages import Dense, Message


class Model(ABC):
    """How the iterate reaches the clients. Subclasses are frozen dataclasses.

    Both ends hold the same z, the clients' view of x, as an array (d,).
    """

    @abstractmethod
    def announce(self, z: Array, x: Array, key: Key) -> tuple[Message, Array]:
        """The message that tells of x to those who hold z, and what they hold after it."""

    @abstractmethod
    def receive(self, z: Array, message: Message) -> Array:
        """What a client that held z holds after the message."""


@dataclass(frozen=True)
class ExactModel(Model):
    """x itself is sent."""

    def announce(self, z: Array, x: Array, key: Key) -> tuple[Message, Array]:
        return Dense(to_host(x)), x

    def receive(self, z: Array, message: Message) -> Array:
        return to_device(message.coordinates()[1], z)


@dataclass(frozen=True)
class TrackedModel(Model):
    """A mechanism tells of x, given z: bidirectional compression (arXiv 2106.02969, Algorithm 5)."""

    mechanism: Mechanism

    def announce(self, z: Array, x: Array, key: Key) -> tuple[Message, Array]:
        space = Coordinates(np.array([x.shape[0]]))
        sent = self.mechanism.send(
            equal_blocks(z[None, :]), equal_blocks(x[None, :]), space, np.array([key.client]), key
        )
        return sent.messages[0], sent.state.values

    def receive(self, z: Array, message: Message) -> Array:
        space = Coordinates(np.array([z.shape[0]]))
        return space.accumulate(z + 0.0, [message], self.mechanism.rates(space.sizes))
