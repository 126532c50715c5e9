"""When a solve ends: converged, diverged, not finite, or stalled."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

from newtonfl.components.step.trials import slack
from newtonfl.core.backend import Array, to_host
from newtonfl.results.record import Record
from newtonfl.solver.limits import NO_LIMITS, Limits
from newtonfl.solver.result import Reason

_PATIENCE = 100
_DIVERGED = 1e8
_REMEMBERED = 1000
"""Iterates of which returns are counted. A longer cycle stops falling, which ends a solve as well."""


class StoppingRule:
    """Looks at the record of every round, round 0 first.

    Parameters
    ----------
    tol, relative_tol : float
        Converged means ‖∇f(x)‖₂ ≤ tol, or ≤ relative_tol: rtol times the problem's scale.
    expected_silent_rounds : float
        How many rounds in a row a method is expected to leave x where it is: its coins may ask for nothing.
    limits : Limits
        What ends it beside that.
    """

    def __init__(
        self, tol: float, relative_tol: float, expected_silent_rounds: float, limits: Limits = NO_LIMITS
    ) -> None:
        self.tol, self.relative_tol, self.expected_silent_rounds = tol, relative_tol, expected_silent_rounds
        self.limits, self.setup_bytes = limits, 0.0
        self.initial_f = math.nan
        self.least_norm, self.least_f, self.best_round = math.inf, math.inf, 0
        self.visits: dict[bytes, int] = {}

    def converged(self, record: Record) -> Reason | None:
        """Whether the gradient of a `record` is small enough, and in which sense; or a limit is reached."""
        if record.round == 0:
            self.setup_bytes = (record.setup_bytes_up or 0.0) + (record.setup_bytes_down or 0.0)
        if record.gradient_norm <= self.tol:
            return Reason.CONVERGED
        if record.gradient_norm <= self.relative_tol:
            return Reason.CONVERGED_RELATIVE
        return self.limits.reason(record, self.setup_bytes)

    def reason(self, record: Record, x: Array, contraction_rate: Callable[[], float] = lambda: 1.0) -> Reason | None:
        """Why to stop at `x`, whose measures are in `record`; None where the solve goes on.

        `contraction_rate` finds, where it is in doubt, by which share a round the method's own memory fades.
        """
        f = _merit(record)
        if not (math.isfinite(f) and math.isfinite(record.gradient_norm)):
            return Reason.NOT_FINITE
        if (converged := self.converged(record)) is not None:
            return converged
        if record.round == 0:
            self.initial_f = f
        if f > self.initial_f + _DIVERGED * (1.0 + abs(self.initial_f)):
            return Reason.DIVERGED
        return Reason.STALLED if self._stalled(record, x, contraction_rate) else None

    def saved(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, as JSON has it."""
        visits = {point.hex(): count for point, count in self.visits.items()}
        numbers = [value.hex() for value in (self.initial_f, self.least_norm, self.least_f, self.setup_bytes)]
        return {"numbers": numbers, "best_round": self.best_round, "visits": visits}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up what :meth:`saved` gave."""
        self.initial_f, self.least_norm, self.least_f, self.setup_bytes = map(float.fromhex, saved["numbers"])
        self.best_round = saved["best_round"]
        self.visits = {bytes.fromhex(point): count for point, count in saved["visits"].items()}

    def _stalled(self, record: Record, x: Array, contraction_rate: Callable[[], float]) -> bool:
        # Where f need not be convex its gradient may grow for long while f falls, as far as rounding shows.
        f = _merit(record)
        if record.gradient_norm < self.least_norm or f < self.least_f - slack(self.least_f):
            self.best_round = record.round
        self.least_norm, self.least_f = min(self.least_norm, record.gradient_norm), min(self.least_f, f)
        point = hashlib.blake2b(to_host(x).tobytes(), digest_size=16).digest()
        self.visits[point] = self.visits.pop(point, 0) + 1  # the last
        if len(self.visits) > _REMEMBERED:
            del self.visits[next(iter(self.visits))]
        # A learned Hessian can still move while x stands, so one return is no cycle; nor is a plateau that is short
        # beside the rounds before it.
        cycles = self.visits[point] > 5 * (1.0 + 2.0 * self.expected_silent_rounds)
        waited = record.round - self.best_round
        if waited <= max(_PATIENCE * (1.0 + self.expected_silent_rounds), record.round // 2):
            return cycles
        # A method begun near x* may first lead away from there, and takes its time to come back from where it is now.
        return cycles or waited * contraction_rate() > 1.0 + math.log(record.gradient_norm / self.least_norm)


def _merit(record: Record) -> float:
    """What shall fall: f(x), or ‖F(x)‖ where there is no f."""
    return record.gradient_norm if record.f is None else record.f
