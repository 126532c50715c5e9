"""Participation: who takes part in a round, S^k.

base
    The interface: draws clients, and says how likely each is.
draws
    All, Uniform, Independent.
trace
    Trace: who was available when, from a file.
lost
    Lost: some are gone for good from a round on.
arrivals
    Arrivals: one after the other, as fast as each is, about the iterate that it was given.
among_available
    Any of these among those clients who are there.

May be imported by: components, methods, solver, checks.
"""

from newtonfl.components.participation.among_available import AmongAvailable, availability_key
from newtonfl.components.participation.arrivals import Arrivals
from newtonfl.components.participation.base import Participation
from newtonfl.components.participation.draws import All, Independent, Uniform
from newtonfl.components.participation.lost import Lost
from newtonfl.components.participation.trace import Trace

__all__ = [
    "All", "AmongAvailable", "Arrivals", "Independent", "Lost", "Participation", "Trace", "Uniform", "availability_key",
]  # fmt: skip
