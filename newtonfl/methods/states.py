"""What the server and the clients of the round remember from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from newtonfl.components.protocol import ProblemConstants
from newtonfl.core.backend import Array


@dataclass
class ServerState:
    """What the server remembers from round to round.

    Attributes
    ----------
    x : array, shape (d,)
        The iterate.
    views : object
        The model socket's own state: z, the clients' view of x.
    gradient : object
        The gradient socket's own state.
    curvature : object
        The curvature socket's own state.
    step : object
        The step socket's own state.
    facts : ProblemConstants
    """

    x: Array
    views: Any
    gradient: Any
    curvature: Any
    step: Any
    facts: ProblemConstants


@dataclass
class ClientState:
    """What the clients held here remember; every field has the clients' axis first.

    Attributes
    ----------
    model : object
        The model socket's own state: each client's z, shape (n, d), or what it steps with.
    gradient : object
        The gradient socket's own state.
    curvature : object
        The curvature socket's own state: H_i, say.
    """

    model: Any
    gradient: Any
    curvature: Any
