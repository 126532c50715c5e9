"""Mechanism: what is sent, given what was sent before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from newtonfl.backend import Array
from newtonfl.bases import Coordinates
from newtonfl.blocks import Blocks
from newtonfl.keys import Key
from newtonfl.messages import Message


@dataclass(frozen=True)
class Sent:
    """What the clients of one process have just sent, and where it leaves them.

    Attributes
    ----------
    messages : list of Message
    state : Blocks
        h_i after the messages: what both ends now hold.
    residual : Blocks
        X_i minus the estimate that the receiver now uses.
    """

    messages: list[Message]
    state: Blocks
    residual: Blocks


class Mechanism(ABC):
    """A three-point mechanism: tells of a target X_i, given the estimate h_i that both ends hold.

    With D the decoded message, both ends move by h ← h + rate·D, and the estimate in use is h_before + gain·D
    (FedNL (α, 0), EF21 and Newton-3PC (α, α), DIANA (1/(1+ω), 1)). Subclasses are frozen dataclasses.
    """

    acts_on: Literal["vector", "symmetric"] = "vector"

    @abstractmethod
    def rates(self, sizes: Array) -> Array:
        """rate of each client, shape (n,), for clients with `sizes` coordinates."""

    def gains(self, sizes: Array) -> Array:
        """gain of each client, shape (n,)."""
        return self.rates(sizes)

    @abstractmethod
    def messages(self, difference: Blocks, space: Coordinates, clients: Array, key: Key) -> list[Message]:
        """The messages about X - h = `difference`."""

    def settings(self) -> dict[str, str | float]:
        """Every setting by the name that the command line gives it."""
        return {}

    def check(self, space: Coordinates) -> None:  # noqa: B027 - most mechanisms serve all coordinates
        """Refuse coordinates that this mechanism cannot serve, with a ValueError that says why."""

    def for_dimension(self, dim: int) -> Self:
        """This mechanism with settings like ``"8d"`` made numbers."""
        return self

    def send(self, state: Blocks, target: Blocks, space: Coordinates, clients: Array, key: Key) -> Sent:
        """Tell of `target` (the clients' side)."""
        difference = target - state
        messages = self.messages(difference, space, clients, key)
        state = space.add(state, messages, self.rates(space.sizes))
        gains = self.gains(space.sizes)
        if gains.any():
            # On a copy: a message may hold a view of the difference.
            difference = space.add(difference.replaced(difference.values + 0.0), messages, -gains)
        return Sent(messages, state, difference)

    def receive(
        self,
        mean: Array,
        messages: Sequence[Message],
        space: Coordinates,
        weights: Array,
        clients: Array | None = None,
    ) -> tuple[Array, Array]:
        """Hear of the targets of `clients`, positions in `space` (None: all, in order): the server's side.

        Returns
        -------
        mean, estimate : array
            Σ weight_i h_i after the messages, and the estimate to use; `mean` may be overwritten.
        """
        sizes = space.sizes if clients is None else space.sizes[clients]
        rates, gains = self.rates(sizes), self.gains(sizes)
        if np.array_equal(rates, gains):
            mean = space.accumulate(mean, messages, weights * rates, clients)
            return mean, mean
        estimate = mean + 0.0  # a copy: the mean itself moves on
        if gains.any():
            estimate = space.accumulate(estimate, messages, weights * gains, clients)
        return space.accumulate(mean, messages, weights * rates, clients), estimate
