"""Rank 0's part of a solve: set up, round, record, stop. The only loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np

from newtonfl.comm.coding import NotFinite
from newtonfl.components.step.base import NoStep, SingularStep
from newtonfl.core.backend import Array, norm, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.core.timing import timed, timed_as
from newtonfl.methods import Method, ProblemConstants
from newtonfl.results.history import History
from newtonfl.results.record import Record
from newtonfl.solver import constants
from newtonfl.solver.attendance import Attendance, MissingClients
from newtonfl.solver.checkpointed_solve import CheckpointedSolve, SolveState
from newtonfl.solver.limits import NO_LIMITS, Limits
from newtonfl.solver.observers import Observers
from newtonfl.solver.questions import GRADIENT, GRADIENTS, HESSIANS, VALUE
from newtonfl.solver.recession import recedes
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.rounding import at_rounding_level
from newtonfl.solver.session import Session
from newtonfl.solver.stopping import StoppingRule

T = TypeVar("T")

_IN_DOUBT = (Reason.ROUND_LIMIT, Reason.STALLED, Reason.SINGULAR, Reason.NO_STEP)
"""Ends that may hide a gradient that is rounding alone."""

_BEYOND_DOUBLES = (NotFinite, OverflowError, np.linalg.LinAlgError)
"""What the server's own arithmetic raises, or the wire, where numbers are too large or too small for doubles."""

_LOST = (Reason.NOT_FINITE, Reason.DIVERGED, Reason.STALLED)
"""Ends after which more rounds would lead nowhere else."""


class Loop:
    """Runs a method's rounds over an open session.

    Parameters
    ----------
    session : Session
        Rank 0's, entered, of the method.
    method : Method
        Resolved.
    tol, rtol : float
        Of the true ‖∇f(x)‖₂, and of that over ‖∇f(0)‖₂.
    rounds : int
        The most rounds.
    observers : Observers
        See every round, and may stop the solve.
    f_star : float or None
        What the records' gaps are measured from.
    checkpointed : CheckpointedSolve or None
        Where the solve's state is saved, and resumed from.
    attendance : Attendance or None
        Which clients are there; None is all, always.
    limits : Limits
    """

    def __init__(
        self,
        session: Session,
        method: Method,
        tol: float,
        rtol: float,
        rounds: int,
        observers: Observers,
        f_star: float | None,
        checkpointed: CheckpointedSolve | None = None,
        attendance: Attendance | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.session, self.rounds, self.observers, self.f_star = session, rounds, observers, f_star
        self.problem, self.method = session.problem, method
        self.rtol, self.checkpointed, self.attendance = rtol, checkpointed, attendance
        self.exchange = session.exchange if attendance is None else attendance.exchange(session.exchange)
        silent = self.method.expected_silent_rounds(self.problem.n_clients)
        self.stopping = StoppingRule(tol, self._relative_tol(), silent, limits)
        self.history = History()
        self.seconds = 0.0
        self.detail = ""
        self.theory: list[str] = []

    def run(self, x: Array) -> Result:
        """Solve from `x`, shape (d,), on the problem's device."""
        clock = time.perf_counter()
        try:
            # Nobody keeps the set-up messages: they may be as large as everything that the clients hold.
            with timed("set-up"):
                server = self.method.init_server(self._constants(), x, self.session.init_clients(x))
        except _BEYOND_DOUBLES as error:
            self.detail = _said_by(error)
            self._record(0, x, 0.0, None)
            return self._result(x, Reason.NOT_FINITE)
        self.theory = self.method.theory(server)
        self.seconds += time.perf_counter() - clock
        found = None if self.checkpointed is None else self.checkpointed.resume(self.session, server)
        if found is None:
            reason, step = self._record(0, x, 0.0, server), zeros(self.problem.dim, self.problem.like)
            self._save(server, step, reason)
        else:
            server, step, self.history, self.seconds = found.server, found.step, found.history, found.seconds
            self.stopping.restore(found.stopping)
            # A solve that had converged, or that its limit or a callback ended, may go on; one that was lost may not.
            ended = Reason[found.reason] if found.reason else None
            reason = ended if ended in _LOST else self.stopping.converged(self.history[-1])
        for k in range(self.history[-1].round, self.rounds):
            if reason is not None:
                break
            self.observers.begin_round()
            clock = time.perf_counter()
            before = server.x
            try:
                missing = self._missing(k)
                with timed("server"):
                    server = self.method.round(server, self.exchange, Key(self.session.seed, k))
            except MissingClients as error:
                self.detail = str(error)
                if not error.lost:
                    error.result = self._result(server.x, Reason.MISSING)
                    raise
                self.detail += f"; the problem of the others is problem.without({error.clients})"
                reason = Reason.MISSING
                break
            except NoStep as error:
                reason = Reason.SINGULAR if isinstance(error, SingularStep) else Reason.NO_STEP
                self.detail = "" if str(error) == reason.value else str(error)
                break
            except _BEYOND_DOUBLES as error:
                reason, self.detail = Reason.NOT_FINITE, _said_by(error)
                break
            self.seconds += time.perf_counter() - clock
            step = server.x - before
            reason = self._record(k + 1, server.x, norm(to_host(step)), server, missing)
            self._save(server, step, reason)
        return self._result(server.x, self._seen_through(reason or Reason.ROUND_LIMIT, server.x, step))

    def _missing(self, round: int) -> Array | None:
        """Who is away as a round begins; None where nobody ever is."""
        return None if self.attendance is None else self.attendance.at_round(round, self.history[-1].waits or 0)

    def _save(self, server: Any, step: Array, reason: Reason | None) -> None:
        last = reason is not None or self.history[-1].round >= self.rounds
        if self.checkpointed is not None and self.checkpointed.is_due(self.history[-1].round, last):
            name, stopping = reason and reason.name, self.stopping.saved()
            self.checkpointed.save(self.session, SolveState(server, step, self.history, self.seconds, stopping, name))

    @timed_as("diagnostics")
    def _seen_through(self, reason: Reason, x: Array, step: Array) -> Reason:
        """What an end really is: f falls for ever where x and the last step lead, or nothing is left but rounding."""
        if reason in (Reason.CONVERGED, Reason.CONVERGED_RELATIVE, *_IN_DOUBT):
            if recedes(self.session, to_host(x), to_host(step)):
                return Reason.NO_MINIMISER
            smooth = self.problem.nonsmooth is None
            if smooth and self.rtol and reason in _IN_DOUBT and at_rounding_level(self.session, to_host(x)):
                return Reason.ROUNDING
        return reason

    def _relative_tol(self) -> float:
        """rtol·‖∇f(0)‖₂; 0 where that is not finite, or not defined."""
        if not self.rtol:
            return 0.0
        table = self.session.ask("gradients", zeros(self.problem.dim, self.problem.like))
        gradient = np.sum(table, axis=0) / self.problem.n_clients
        bound = self.rtol * norm(gradient)
        return bound if math.isfinite(bound) else 0.0

    def _constants(self) -> ProblemConstants:
        problem = self.problem
        return ProblemConstants(
            problem.n_clients, problem.dim, problem.ridge,
            cache(self._untimed(constants.largest_curvature)), problem.like,
            curvature_trace=cache(self._untimed(constants.curvature_trace)),
            client_smoothness=cache(self._untimed(constants.client_smoothness)),
            row_smoothness=cache(self._untimed(constants.row_smoothness)),
            strong_convexity=problem.strong_convexity, convex=not problem.nonconvex,
            tol=max(self.stopping.tol, self.stopping.relative_tol),
        )  # fmt: skip

    def _result(self, x: Array, reason: Reason) -> Result:
        return Result(
            to_host(x),
            reason,
            self.history,
            self.session.ledger,
            self.method,
            self.detail,
            self.theory,
            "" if self.checkpointed is None else self.checkpointed.resumed,
        )

    @timed_as("diagnostics")
    def _record(self, round: int, x: Array, step: float, server: Any, missing: Array | None = None) -> Reason | None:
        """Measure x off the clock and off the ledger, write the record; returns why to stop, or None."""
        f, gradient_norm, hessians, gradients = self._measure(x)
        far = None if server is None else self.method.farthest(server)
        apart = None
        if far is not None:  # converged means that every client has the minimiser
            f_there, norm_there, *_ = self._measure(far)
            f, gradient_norm = _larger(f, f_there), _larger(gradient_norm, norm_there)
            apart = norm(to_host(far) - to_host(x))
        ledger = self.session.ledger
        up, down = ledger.up, ledger.down
        setup: dict[str, Any] = {}
        if round == 0:
            setup = {
                "setup_bytes_up": float(up.setup_bytes.mean()),
                "setup_bytes_down": float(down.setup_bytes.mean()),
                "setup_formula_bits_up": float(up.setup_formula_bits.mean()),
                "setup_formula_bits_down": float(down.setup_formula_bits.mean()),
            }
        state = self.observers.state(round, step, x, server)
        record = Record(
            round, f, None if self.f_star is None or f is None else f - self.f_star, gradient_norm, step,
            float(up.bytes.mean()), float(down.bytes.mean()),
            float(up.formula_bits.mean()), float(down.formula_bits.mean()), hessians, self.seconds,
            self.session.exchanges, gradients, ledger.levels_so_far("up"), ledger.levels_so_far("down"), **setup,
            missing=None if missing is None else tuple(missing.tolist()),
            waits=None if self.attendance is None else self.attendance.waits,
            time=None if round == 0 else self.method.elapsed(self.problem.n_clients, self.session.seed, round - 1),
            disagreement=apart,
            monitors=self.observers.measure(state),
        )  # fmt: skip
        self.history.append(record)
        stopped = self.observers.call(record, state)
        reason = self.stopping.reason(record, x, lambda: self.method.contraction_rate(server))
        return reason or (Reason.STOPPED if stopped else None)

    def _measure(self, x: Array) -> tuple[float | None, float, float, float | None]:
        """f(x), None of operators; ‖∇f(x)‖₂; and how many Hessians and gradients a client has computed so far."""
        problem, n = self.problem, self.problem.n_clients
        unknown = None if problem.is_operator else math.nan
        if not np.isfinite(to_host(x)).all():
            return unknown, math.nan, self.history[-1].hessians, self.history[-1].gradients
        table = self.session.ask("evaluate", x)
        host = to_host(x)
        has_f = np.isfinite(table).all() and not problem.is_operator
        penalised = np.where(problem.ridge > 0.0, host, 0.0)  # the square of another may be infinite
        f = _sum(table[:, VALUE]) / n + 0.5 * float(problem.ridge @ penalised**2) if has_f else unknown
        f = f if f is None or problem.nonsmooth is None else f + problem.nonsmooth.value(host)
        gradient = np.sum(table[:, GRADIENT], axis=0) / n + problem.ridge * host
        return (
            f,
            norm(self._stationarity(host, gradient)),
            float(table[:, HESSIANS].mean()),
            float(table[:, GRADIENTS].mean()),
        )

    def _stationarity(self, x: Array, gradient: Array) -> Array:
        """∇f(x), or x - prox_r(x - ∇f(x)) where a nonsmooth r is added: zero at the minimiser, and nowhere else."""
        r = self.problem.nonsmooth
        return gradient if r is None else r.residual(x, gradient)

    def _untimed(self, find: Callable[[Session], T]) -> Callable[[], T]:
        """`find`, off the clock: theory takes its constants as known."""

        def found() -> T:
            clock = time.perf_counter()
            try:
                return find(self.session)
            finally:
                self.seconds -= time.perf_counter() - clock

        return found


def _larger(a: float | None, b: float | None) -> float:
    """NaN where one of them is."""
    assert a is not None and b is not None  # operators have no neighbours
    return float(np.maximum(a, b))


def _sum(numbers: Array) -> float:
    """The sum, rounded once."""
    try:
        return math.fsum(numbers)
    except OverflowError:  # on the way there
        return float(np.sum(numbers))


def _said_by(error: Exception) -> str:
    return str(error) if isinstance(error, NotFinite) else f"{type(error).__name__}: {error}"
