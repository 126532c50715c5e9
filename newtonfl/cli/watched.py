"""What ``--monitor`` names: monitors that need nothing but the problem, and x*, which is found."""

from __future__ import annotations

from collections.abc import Sequence

from newtonfl.comm.transport import Transport
from newtonfl.experiments.run_methods import Solution
from newtonfl.monitors import ClientBytes, DistanceTo, HessianError, Monitor

_FROM_OPTIMUM = {"distance": DistanceTo, "hessian_error": HessianError}
_KNOWN = (*_FROM_OPTIMUM, "client_bytes")
COLUMNS = (*_FROM_OPTIMUM, *ClientBytes.columns)
"""What they can measure."""


def monitors_named(names: Sequence[str], solution: Solution, transport: Transport) -> dict[str, Monitor]:
    """The monitors by their `names` on the command line or in a file's [run]. Collective: x* may have to be found.

    Raises
    ------
    ValueError
        If a name is none or stands twice, or x* cannot be found.
    """
    with transport.agreed("reading --monitor"):
        for name in names:
            if name not in _KNOWN:
                raise ValueError(f"--monitor: given {name!r}, allowed are {', '.join(_KNOWN)}")
            if names.count(name) > 1:
                raise ValueError(f"--monitor: given {name} twice; give it once")
    made: dict[str, Monitor] = {"client_bytes": ClientBytes()}
    if set(names) & set(_FROM_OPTIMUM):
        made |= {name: kind(solution.x) for name, kind in _FROM_OPTIMUM.items()}
    return {name: made[name] for name in names}
