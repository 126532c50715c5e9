"""What the server and the clients of the round remember from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from newtonfl.backend import Array
from newtonfl.methods.method import Facts
from newtonfl.methods.models import Views


@dataclass
class ServerState:
    """What the server remembers from round to round.

    Attributes
    ----------
    x : array, shape (d,)
        The iterate.
    views : Views
        z, the clients' view of x.
    gradient : object
        The gradient socket's own state.
    curvature : object
        The curvature socket's own state.
    facts : Facts
    """

    x: Array
    views: Views
    gradient: Any
    curvature: Any
    facts: Facts


@dataclass
class ClientState:
    """What the clients held here remember; every field has the clients' axis first.

    Attributes
    ----------
    model : array, shape (n, d)
        Each client's z.
    gradient : object
        The gradient socket's own state.
    curvature : object
        The curvature socket's own state: H_i, say.
    """

    model: Array
    gradient: Any
    curvature: Any
