"""What the gradient component may look at in a round, on each side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from newtonfl.bases import Coordinates
from newtonfl.comm.parts import Parts
from newtonfl.core.backend import Array
from newtonfl.core.random import Key

Product: TypeAlias = Callable[[int, Array], Array]
"""(i, v) → a matrix of the i-th client at hand times v, shape (d,)."""


def no_product(i: int, v: Array) -> Array:
    """The product of a curvature component that learns no matrix of a client."""
    raise ValueError("this curvature component keeps no matrix of a client")


@dataclass(frozen=True)
class ClientRound:
    """What the clients at hand know in a round when they encode their gradients.

    Attributes
    ----------
    round : int
        k.
    space : Coordinates
        In which they send gradients.
    z : array, shape (clients, d)
        z_i, where each of them looks.
    coins : dict of str to bool
        ξ^k: the server's coins, heads being true.
    key : Key
        The round's random stream.
    to_one : dict of int to Parts
        What the server has sent to single clients, by client.
    hessian_product : callable
        (H_i + l_i I)v with the estimate that the step uses.
    hessian_product_change : callable
        What this round's curvature message and l_i have added to (H_i + l_i I)v.
    """

    round: int
    space: Coordinates
    z: Array
    coins: dict[str, bool]
    key: Key
    to_one: dict[int, Parts] = field(default_factory=dict)
    hessian_product: Product = no_product
    hessian_product_change: Product = no_product


@dataclass(frozen=True)
class ServerRound:
    """What the server knows in a round when it aggregates the clients' gradients.

    Attributes
    ----------
    key : Key
        The server's random stream in this round.
    space : Coordinates
        In which all clients send gradients.
    z : array, shape (replies, d)
        z_i of the clients that replied.
    coins : dict of str to bool
        ξ^k.
    point : array, shape (d,)
        Where the step begins.
    share : float
        How likely a client was to take part in this round.
    hessian_product_change : callable
        What the j-th reply's curvature message and l_i have added to (H_i + l_i I)v.
    """

    key: Key
    space: Coordinates
    z: Array
    coins: dict[str, bool]
    point: Array
    share: float = 1.0
    hessian_product_change: Product = no_product

    @property
    def round(self) -> int:
        """k."""
        return self.key.round
