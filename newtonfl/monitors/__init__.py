"""Monitors: what a solve shows of itself while it runs, and what is measured of it after every round.

state
    ``RoundState``, what ``callback(record, state)`` gets: x, who took part, bytes a client, the server's estimate of
    ∇²f.
monitor
    ``Monitor``: named numbers of a round, which become columns of the history.
ready_made
    ``DistanceTo``, ``HessianError``, ``ClientBytes``, ``Accuracy``: ``nf.solve(…, monitors=[…])``.

May be imported by: solver, experiments, cli.
"""

from newtonfl.monitors.monitor import Monitor
from newtonfl.monitors.ready_made import Accuracy, ClientBytes, DistanceTo, HessianError
from newtonfl.monitors.state import RoundState

__all__ = ["Accuracy", "ClientBytes", "DistanceTo", "HessianError", "Monitor", "RoundState"]
