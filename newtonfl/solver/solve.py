"""solve(): the only loop."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import numpy as np

from newtonfl.comm.coding import NotFinite
from newtonfl.comm.ledger import Ledger, Tally
from newtonfl.comm.transport import InProcess
from newtonfl.components.step.base import NoStep, SingularStep
from newtonfl.components.step.trials import slack
from newtonfl.core.backend import Array, one_blas_thread, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods import Method, ProblemConstants
from newtonfl.objectives.base import Problem
from newtonfl.registry import coerce_method
from newtonfl.results.history import History, Record
from newtonfl.solver import constants
from newtonfl.solver.session import Session

T = TypeVar("T")

_PATIENCE = 100
_DIVERGED = 1e8


class Reason(Enum):
    """Why a solve ended, as a sentence."""

    CONVERGED = "the gradient norm reached the tolerance"
    ROUND_LIMIT = "the round limit was reached"
    STALLED = "stalled: the iterates repeat, or f and its gradient have long stopped falling"
    STOPPED = "the callback asked to stop"
    DIVERGED = "diverged: the objective rose far above its start"
    NOT_FINITE = "the objective or its gradient is not finite"
    SINGULAR = "the step's matrix is not positive definite"
    NO_STEP = "no trial step along the direction is good enough"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Result:
    """What a solve found. Every rank returns the same.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        The last iterate.
    reason : Reason
        Why it ended; prints as a sentence.
    history : History
        A record a round, round 0 first.
    ledger : Ledger
        Bytes and formula bits of every client.
    method : Method
        With every setting made definite.
    detail : str
        More about why it ended, where there is more to say.
    theory : list of str
        What theory says to the step size, with the constants that it was made of.
    """

    x: Array = field(repr=False)
    reason: Reason
    history: History
    ledger: Ledger = field(repr=False)
    method: Method
    detail: str = ""
    theory: list[str] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """Whether the true ‖∇f(x)‖₂ reached the tolerance."""
        return self.reason is Reason.CONVERGED

    @property
    def notes(self) -> list[str]:
        """What a user should know: more about why it ended, and of the method's settings."""
        return [self.detail] * bool(self.detail) + self.method.notes() + self.theory

    @property
    def rounds(self) -> int:
        """Rounds done."""
        return self.history[-1].round

    @property
    def x_sha256(self) -> str:
        """The SHA-256 of x as little-endian float64: equal hashes mean equal bits."""
        return hashlib.sha256(np.ascontiguousarray(self.x, "<f8").tobytes()).hexdigest()


def solve(
    problem: Problem,
    method: Method | str,
    *,
    tol: float = 1e-10,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
    callback: Callable[[Record], object] | None = None,
) -> Result:
    """Minimise `problem` by `method`.

    Where the problem carries a transport, every rank must call this with the same arguments; every rank returns the
    same Result.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    method : Method or str
        Say ``nf.newton_3pc()``, or "NAME[,KEY=VALUE…]" such as "newton-3pc,compressor=topk:30".
    tol : float
        Converged means ‖∇f(x)‖₂ ≤ tol, the true gradient of the whole objective.
    rounds : int
        The most rounds to do.
    x0 : array, shape (d,), or None
        The start; None is zero. Rank 0's counts.
    seed : int
        Seeds every random draw, by (seed, round, client, purpose).
    callback : callable or None
        ``callback(record)`` after every round, round 0 first, on rank 0; a true return stops.

    Returns
    -------
    Result
        The last iterate, why it ended, and the history.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed, or a method's setting does not go with the problem.
    Fault
        If another rank failed; the message names rank and phase.

    Examples
    --------
    >>> import newtonfl as nf
    >>> p = nf.load("breast_cancer", clients=16)
    >>> r = nf.solve(p, nf.newton_3pc(compressor=nf.TopK(30)), tol=1e-10)
    >>> r.converged
    True
    """
    transport = problem.transport or InProcess()
    with one_blas_thread():
        with transport.agreed("checking the settings"):
            made = coerce_method(method)
            start = _check(problem, made, tol, rounds, x0, seed)
            resolved: Method = made.resolved(problem)
        told = f"{resolved!r}, tol={tol}, rounds={rounds}, seed={seed}, {problem.objective}"
        transport.same("solve", re.sub(r" at 0x[0-9a-f]+", "", told))  # a user's part may print its address
        with Session(problem, resolved, seed) as session, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if transport.rank:
                return _told(*session.follow(), resolved)
            result = _Loop(session, tol, rounds, callback).run(to_device(start, problem.like))
            _tell(session, result)
            return result


def _check(problem: Problem, method: Method, tol: float, rounds: int, x0: Array | None, seed: int) -> Array:
    if not isinstance(problem, Problem) or not isinstance(method, Method):
        raise TypeError(f"solve(problem, method): given {type(problem).__name__} and {type(method).__name__}")
    if not 0 <= tol < math.inf:
        raise ValueError(f"tol: given {tol}, must be a finite number of at least 0")
    for name, number in (("rounds", rounds), ("seed", seed)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{name}: given {number!r}, must be a whole number of at least 0")
    start = np.zeros(problem.dim) if x0 is None else real_vector(x0)
    if start.shape != (problem.dim,) or not np.isfinite(start).all():
        raise ValueError(f"x0: given shape {start.shape}, must be ({problem.dim},) and finite")
    return start


def real_vector(given: Array) -> Array:
    """`given`, an array of any library or a list of numbers, as a float64 copy on the host; TypeError if it is none."""
    host = np.asarray(given) if isinstance(given, (list, tuple)) else to_host(given)
    if host.dtype.kind not in "fiu":
        raise TypeError(f"x0: given numbers of type {host.dtype}, must be real numbers")
    return np.array(host, dtype=np.float64)


class _Loop:
    """Join, start, round, record, stop: rank 0's part of a solve."""

    def __init__(self, session: Session, tol: float, rounds: int, callback: Callable[[Record], object] | None) -> None:
        self.session, self.tol, self.rounds, self.callback = session, tol, rounds, callback
        self.problem, self.method = session.problem, session.method
        self.history = History()
        self.seconds = 0.0
        self.best, self.lowest, self.best_round = math.inf, math.inf, 0
        self.seen: dict[bytes, int] = {}
        self.detail = ""
        self.theory: list[str] = []

    def run(self, x: Array) -> Result:
        begun = time.perf_counter()
        try:
            setup_messages = self.session.init_clients(x)
            server = self.method.init_server(self._facts(), x, setup_messages)
        except NotFinite:
            self._record(0, x, 0.0)
            return self._result(x, Reason.NOT_FINITE)
        self.theory = self.method.theory(server)
        self.seconds += time.perf_counter() - begun
        reason = self._record(0, x, 0.0)
        for k in range(self.rounds):
            if reason is not None:
                break
            begun = time.perf_counter()
            before = server.x
            try:
                server = self.method.round(server, self.session.exchange, Key(self.session.seed, k))
            except NoStep as error:
                reason = Reason.SINGULAR if isinstance(error, SingularStep) else Reason.NO_STEP
                self.detail = "" if str(error) == reason.value else str(error)
                break
            except NotFinite:
                reason = Reason.NOT_FINITE
                break
            self.seconds += time.perf_counter() - begun
            reason = self._record(k + 1, server.x, float(np.linalg.norm(to_host(server.x - before))))
        return self._result(server.x, reason or Reason.ROUND_LIMIT)

    def _facts(self) -> ProblemConstants:
        problem = self.problem
        return ProblemConstants(
            problem.n_clients, problem.dim, problem.ridge,
            cache(self._untimed(constants.largest_curvature)), problem.like,
            client_smoothness=cache(self._untimed(constants.client_smoothness)),
            strong_convexity=problem.strong_convexity, convex=not problem.nonconvex,
        )  # fmt: skip

    def _result(self, x: Array, reason: Reason) -> Result:
        return Result(to_host(x), reason, self.history, self.session.ledger, self.method, self.detail, self.theory)

    def _record(self, round: int, x: Array, step: float) -> Reason | None:
        """Measure x off the clock and off the ledger, write the record, and say whether to stop."""
        n, problem = self.problem.n_clients, self.problem
        if not np.isfinite(to_host(x)).all():
            f = norm = math.nan
            hessians = self.history[-1].hessians
        else:
            table = self.session.ask("evaluate", x)
            host = to_host(x)
            finite = np.isfinite(table).all()
            f = math.fsum(table[:, 0]) / n + 0.5 * float(problem.ridge @ host**2) if finite else math.nan
            norm = float(np.linalg.norm(np.sum(table[:, 2:], axis=0) / n + problem.ridge * host))
            hessians = float(table[:, 1].mean())
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
        record = Record(
            round, f, None if problem.f_star is None else f - problem.f_star, norm, step,
            float(up.bytes.mean()), float(down.bytes.mean()),
            float(up.formula_bits.mean()), float(down.formula_bits.mean()), hessians, self.seconds,
            self.session.exchanges, ledger.levels_so_far("up"), ledger.levels_so_far("down"), **setup,
        )  # fmt: skip
        self.history.append(record)
        stopped = self.callback is not None and self.callback(record)
        return self._reason(record, x) or (Reason.STOPPED if stopped else None)

    def _reason(self, record: Record, x: Array) -> Reason | None:
        if not (math.isfinite(record.f) and math.isfinite(record.gradient_norm)):
            return Reason.NOT_FINITE
        if record.gradient_norm <= self.tol:
            return Reason.CONVERGED
        start = self.history[0].f
        if record.f > start + _DIVERGED * (1.0 + abs(start)):
            return Reason.DIVERGED
        # Where f need not be convex its gradient may grow for long while f falls, as far as rounding lets one tell.
        if record.gradient_norm < self.best or record.f < self.lowest - slack(self.lowest):
            self.best_round = record.round
        self.best, self.lowest = min(self.best, record.gradient_norm), min(self.lowest, record.f)
        name = hashlib.blake2b(to_host(x).tobytes(), digest_size=16).digest()
        self.seen[name] = self.seen.get(name, 0) + 1
        # A learned Hessian can still move while x stands, so one return is no cycle; nor is a plateau that is short
        # beside the rounds before it.
        expected_silent_rounds = self.method.expected_silent_rounds(self.problem.n_clients)
        cycles = self.seen[name] > 5 * (1.0 + 2.0 * expected_silent_rounds)
        waited = record.round - self.best_round
        return (
            Reason.STALLED
            if cycles or waited > max(_PATIENCE * (1.0 + expected_silent_rounds), record.round // 2)
            else None
        )

    def _untimed(self, find: Callable[[Session], T]) -> Callable[[], T]:
        """`find`, off the clock: theory takes its constants as known."""

        def found() -> T:
            begun = time.perf_counter()
            try:
                return find(self.session)
            finally:
                self.seconds -= time.perf_counter() - begun

        return found


def _tell(session: Session, result: Result) -> None:
    ledger = {"up": result.ledger.up, "down": result.ledger.down}
    tallies = {
        f"{way}_{each.name}": getattr(tally, each.name) for way, tally in ledger.items() for each in fields(Tally)
    }
    session.end(
        {"x": result.x, **tallies},
        reason=result.reason.name,
        detail=result.detail,
        theory=result.theory,
        history=result.history.to_jsonl(),
    )


def _told(arrays: dict[str, Array], facts: dict[str, Any], method: Method) -> Result:
    """The Result that rank 0 told of."""
    ledger = Ledger(len(arrays["up_bytes"]))
    ledger.up = Tally(*(arrays[f"up_{each.name}"] for each in fields(Tally)))
    ledger.down = Tally(*(arrays[f"down_{each.name}"] for each in fields(Tally)))
    history = History([Record.from_json(line) for line in facts["history"].splitlines()])
    return Result(arrays["x"], Reason[facts["reason"]], history, ledger, method, facts["detail"], facts["theory"])
