"""Who looks at a solve after every round: its callback, and its monitors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.methods import Method
from newtonfl.monitors.monitor import Monitor, measured
from newtonfl.monitors.state import RoundState, Shown
from newtonfl.results.record import Record
from newtonfl.solver.session import Session
from newtonfl.solver.true_hessian import true_hessian

Callback = Callable[[Record], object] | Callable[[Record, RoundState], object]
"""What is called after every round; a true return stops the solve."""


class Observers:
    """Calls a solve's callback, and asks its monitors. Where nobody wants a state, none is made.

    Parameters
    ----------
    session : Session
        Rank 0's, entered.
    method : Method
        Resolved.
    callback : callable or None
    monitors : sequence of Monitor
        Resolved.
    """

    def __init__(
        self, session: Session, method: Method, callback: Callback | None = None, monitors: Sequence[Monitor] = ()
    ) -> None:
        self.session, self.method, self.callback, self.monitors = session, method, callback, monitors
        self._shows_state = wants_state(callback)
        self._wanted = self._shows_state or bool(monitors)
        self._before: Array | None = None
        self._last: tuple[bytes, Array] | None = None  # x's bits, and ∇²f(x)

    def begin_round(self) -> None:
        """Keep what is needed to say later what a round has done."""
        if self._wanted:
            self._before = self.session.ledger.up.bytes.copy()

    def state(self, round: int, step: float, x: Array, server: Any) -> RoundState | None:
        """What there is to see after a round; None where nobody looks. `server` is None after a failed set-up."""
        if not self._wanted:
            return None
        shown = Shown(x, self.method, server, self.session.ledger, self._before, self._hessian_at)
        return RoundState(round, step, shown)

    def measure(self, state: RoundState | None) -> dict[str, float] | None:
        """What the monitors find, by column; None without monitors."""
        return measured(self.monitors, state) if state is not None and self.monitors else None

    def call(self, record: Record, state: RoundState | None) -> bool:
        """Show the round to the callback; returns whether it asks to stop. The state then ends."""
        try:
            if self.callback is None:
                return False
            arguments: tuple[Any, ...] = (record, state) if self._shows_state else (record,)
            return bool(self.callback(*arguments))
        finally:
            if state is not None:
                state.close()

    def _hessian_at(self, x: Array) -> Array:
        found = np.array(x, np.float64)
        if found.shape != (self.session.problem.dim,):
            raise ValueError(f"hessian_at: given x of shape {found.shape}, must be ({self.session.problem.dim},)")
        if self._last is None or self._last[0] != found.tobytes():
            self._last = found.tobytes(), true_hessian(self.session, found)
        return self._last[1].copy()


def wants_state(callback: object) -> bool:
    """Whether a callback is to get (record, state), and not the record alone.

    It is where one argument is not enough for it, or its second one is called ``state``. So what takes any number of
    arguments, has a default of its own for a second, or does not say what it takes gets the record alone.

    Raises
    ------
    TypeError
        If it cannot be called, or takes neither one argument nor two.
    """
    if callback is None:
        return False
    if not callable(callback):
        raise TypeError(f"callback: given {callback!r}, must be a function of (record) or of (record, state)")
    try:
        signature = inspect.signature(callback)
    except (ValueError, TypeError):  # builtins that do not say
        return False
    by_place = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = len(by_place) > 1 and by_place[1].name == "state"
    for count in (2,) if named else (1, 2):
        if _binds(signature, count):
            return count == 2
    raise TypeError(f"callback: given a function of {signature}, must be one of (record) or of (record, state)")


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
