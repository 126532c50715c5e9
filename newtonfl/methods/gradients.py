"""The gradient socket: what is told of ∇f_i."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array, to_device, to_host
from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.blocks import Blocks
from newtonfl.keys import Key
from newtonfl.mechanisms import Mechanism
from newtonfl.messages import Dense, Message


@dataclass(frozen=True)
class Anchor:
    """What the gradient socket hands the step: x⁺ = point - P⁻¹ gradient. Both have shape (d,)."""

    point: Array
    gradient: Array


class Gradient(ABC):
    """How gradients reach the server. Subclasses are frozen dataclasses.

    The clients' state is the Blocks of what has been told so far, the server's state their weighted mean.
    """

    @abstractmethod
    def tell(self, state: Blocks, gradients: Array, clients: Array, key: Key) -> tuple[list[Message], Blocks]:
        """The messages about `gradients` (n, d) of the clients held here."""

    @abstractmethod
    def hear(self, mean: Array, messages: Sequence[Message], weights: Array) -> tuple[Array, Array]:
        """The server's state after the messages, and the gradient to use; each has shape (d,)."""


@dataclass(frozen=True)
class ExactGradient(Gradient):
    """∇f_i itself is sent."""

    def tell(self, state: Blocks, gradients: Array, clients: Array, key: Key) -> tuple[list[Message], Blocks]:
        return [Dense(gradient) for gradient in to_host(gradients)], state

    def hear(self, mean: Array, messages: Sequence[Message], weights: Array) -> tuple[Array, Array]:
        told = np.stack([message.coordinates()[1] for message in messages])
        return mean, to_device(np.sum(told * weights[:, None], axis=0), mean)


@dataclass(frozen=True)
class TrackedGradient(Gradient):
    """A mechanism tells of ∇f_i, from g_i = 0 on (EF21, arXiv 2106.05203)."""

    mechanism: Mechanism

    def tell(self, state: Blocks, gradients: Array, clients: Array, key: Key) -> tuple[list[Message], Blocks]:
        space = Coordinates(state.sizes)
        sent = self.mechanism.send(state, equal_blocks(gradients), space, clients, key)
        return sent.messages, sent.state

    def hear(self, mean: Array, messages: Sequence[Message], weights: Array) -> tuple[Array, Array]:
        space = Coordinates(np.full(len(messages), mean.shape[0]))
        return self.mechanism.receive(mean, messages, space, weights)
