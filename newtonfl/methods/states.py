"""What the server and the clients of the round remember from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from newtonfl.components.protocol import ProblemConstants
from newtonfl.core.backend import Array

M = TypeVar("M")
G = TypeVar("G")
H = TypeVar("H")
S = TypeVar("S")


@dataclass
class ServerState(Generic[M, G, H, S]):
    """What the server remembers from round to round.

    Attributes
    ----------
    x : array, shape (d,)
        The iterate.
    model : M
        The model component's: z, what the clients see of x.
    gradient : G
        The gradient component's: (w, ∇f(w)), h.
    curvature : H
        The curvature component's: H, l.
    step : S
        The step component's: γ, momentum.
    constants : ProblemConstants
        What theory takes as known.
    """

    x: Array
    model: M
    gradient: G
    curvature: H
    step: S
    constants: ProblemConstants


@dataclass
class ClientState(Generic[M, G, H]):
    """What the clients held here remember; every field has the clients' axis first.

    Attributes
    ----------
    model : M
        The model component's: each client's z, shape (n, d), or what it steps with.
    gradient : G
        The gradient component's: h_i of ∇f_i.
    curvature : H
        The curvature component's: H_i, l_i.
    """

    model: M
    gradient: G
    curvature: H
