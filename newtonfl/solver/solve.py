"""solve(): minimise a problem by a method, on one process or on many."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.comm.ledger import Ledger
from newtonfl.comm.transport import InProcess
from newtonfl.components.participation import Participation
from newtonfl.core.backend import Array, one_blas_thread, to_device, to_host
from newtonfl.core.timing import Timings, timed, untimed
from newtonfl.methods import Method
from newtonfl.methods.argument import as_method
from newtonfl.monitors.monitor import Monitor, resolve
from newtonfl.monitors.monitor import identity as named
from newtonfl.objectives.base import Problem
from newtonfl.results.history import History
from newtonfl.results.profile import Profile
from newtonfl.results.record import Record
from newtonfl.solver.arguments import check_problem_argument
from newtonfl.solver.attendance import Attendance, OnMissing, availability_law
from newtonfl.solver.checkpoint import Checkpoint
from newtonfl.solver.checkpointed_solve import CheckpointedSolve
from newtonfl.solver.environment import environment
from newtonfl.solver.limits import Limits
from newtonfl.solver.loop import Loop
from newtonfl.solver.observers import Callback, Observers, wants_state
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.session import Session


def solve(
    problem: Problem,
    method: Method | str = "",
    *,
    tol: float = 1e-10,
    rtol: float = 0.0,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    monitors: Sequence[Monitor] = (),
    f_star: float | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    availability: Participation | str | None = None,
    on_missing: OnMissing = "raise",
    accuracy: float | None = None,
    max_bytes: float | str | None = None,
    max_seconds: float | None = None,
    profile: bool | Timings = False,
) -> Result:
    """Minimise `problem` by `method`.

    Where the problem carries a transport, every rank must call this with the same arguments; every rank returns the
    same Result.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    method : Method or str
        Say ``nf.newton_3pc()``, or "NAME[,KEY=VALUE…]" such as "newton-3pc,compressor=topk:30". One must be named.
    tol : float
        Converged means ‖∇f(x)‖₂ ≤ tol, the true gradient of the whole objective, an absolute number. In a problem of
        operators F stands in the place of ∇f, here and below.
    rtol : float
        Converged means also ‖∇f(x)‖₂ ≤ rtol·‖∇f(0)‖₂: the residual relative to that of zero, as solvers of linear
        systems have it. It does not change when f, the targets of a regression or x are measured in other units, nor
        with how rows are shared out among clients, as the size of their own gradients does; nor with `x0`: relative to
        the gradient there a start at the minimiser could never end, and one far away would end at once. What it is not
        is a tolerance for each column: where one is a million times another, or the targets' mean is a million times
        their spread, the norm is theirs; scale the columns, centre the targets, or keep `rtol` that much smaller. Where
        ∇f(0) is zero, not finite or not defined, `tol` alone counts. With `rtol` > 0 a solve that ends otherwise has
        converged too where every entry of the gradient is at the level of its own rounding
        (:mod:`newtonfl.solver.rounding`): less cannot be asked for. 0 asks for neither.
    rounds : int
        The most rounds to do.
    x0 : array, shape (d,), or None
        The initial point; None is zero. Rank 0's counts.
    seed : int
        Seeds every random draw, by (seed, round, client, purpose).
    callback : callable or None
        ``callback(record)``, or ``callback(record, state)``, after every round, round 0 first, on rank 0; a true return
        stops. The state is a :class:`newtonfl.monitors.RoundState`: x, who took part, the server's estimate of ∇²f.
        One that takes a single argument gets the record alone.
    monitors : sequence of Monitor
        What is measured after every round beside: :mod:`newtonfl.monitors` has some. Their columns join the history.
        Off the clock and off the ledger. Rank 0's count.
    f_star : float or None
        The optimal value that the records' gaps are measured from; None is the problem's own.
    checkpoint : Checkpoint, str, Path or None
        A folder in which rank 0 keeps the solve's state, after every round or as often as a :class:`Checkpoint` says.
        Where it holds one of the same solve, this one goes on from there, in the bits of one that was never cut off,
        on any number of ranks: same problem, method, `seed` and `x0`, and the same BLAS. `rounds` counts from the
        beginning. No file is needed on the other ranks.
    availability : Participation, str or None
        Who is there in round 1, 2, …, whatever the method would draw: "trace:FILE", "independent:0.7", "lost:0.3:10" or
        another law of participation. At the set-up and in round 0 all are. None is always all. The history says who
        was missing.
    on_missing : {"raise", "wait", "skip"}
        What is done about a client that a round wants, and that is away. "raise" ends the solve with an error that has
        the result so far; "wait" waits for it; "skip" goes on without, where the method draws who takes part: S^k is
        then drawn among those who are there. Where clients are lost for good, waiting and skipping end with the reason
        "missing", and :meth:`Problem.without` makes the problem of the others.
    accuracy : float or None
        Converged means also f(x) - f* ≤ accuracy, where f* is known: `f_star`, or the problem's own.
    max_bytes, max_seconds : float, str or None
        The solve ends after the first round by which the mean client has sent and received so many bytes, set-up
        included ("500kB" will do), or by which so many seconds were spent in rounds.
    profile : bool or Timings
        Whether the result's ``profile`` says where time went, by phase and rank. A clock that runs already goes on.

    Returns
    -------
    Result
        The last iterate, why it ended, and the history. Where rows have no minimiser, such as classes that a plane
        separates and no ridge, the reason says so, and it has not converged.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed, or a method's setting does not go with the problem, or a checkpoint is another
        solve's or damaged.
    MissingClients
        If a client that a round wants is away and `on_missing` is "raise"; its ``result`` has what was found.
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
    check_problem_argument(problem, "nf.solve(problem, method)", method)
    transport = problem.transport or InProcess()
    quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the result says what is not finite
    clock = profile if isinstance(profile, Timings) else Timings()
    with transport.keeping_interrupts(), one_blas_thread(), quiet, clock.running() if profile else untimed():
        with timed("set-up"), transport.agreed("checking the settings"):
            made = as_method(method)
            if not isinstance(profile, bool | Timings):
                raise TypeError(f"profile: given {profile!r}, must be True or False")
            x = _check(problem, tol, rtol, rounds, x0, seed, f_star)
            limits = Limits(accuracy, max_bytes, max_seconds)
            for name, value in (("f_star", f_star), ("accuracy", accuracy)):
                if value is not None and problem.is_operator:
                    raise ValueError(f"{name}: given {value!r} for a problem of operators, which has no f")
            if accuracy is not None and problem.f_star is None and f_star is None:
                raise ValueError("accuracy: given without an optimal value f*, which f_star says: nf.optimum finds it")
            law = availability_law(availability, on_missing, problem.n_clients)
            made = made.among_available(law) if law is not None and on_missing == "skip" else made
            resolved: Method = made.for_problem(problem)
            wants_state(callback)  # refuses what cannot be called
            watching = resolve(monitors, problem, resolved)
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # arrays with all of their numbers
            method_text = re.sub(r" at 0x[0-9a-f]+", "", repr(resolved))  # a user's part may print its address
        if transport.size > 1:
            found = ", ".join(f"{name} {words}" for name, words in environment().items())
            transport.same(
                "installation", found, "has",
                "; bits would depend on who computes what. On unlike processors give all ranks one OPENBLAS_CORETYPE",
            )  # fmt: skip
        there = "" if law is None else f", availability={law!r}, on_missing={on_missing}"
        numbers = f"tol={tol}, rtol={rtol}, rounds={rounds}, seed={seed}, {limits}" + ", profile" * bool(profile)
        transport.same("solve", f"{method_text}{there}, {numbers}, {problem.objective}")
        with timed("set-up"), transport.agreed("checking the problem's functions"):
            problem.verify(x)
        optimal_value = problem.f_star if f_star is None else f_star
        with ExitStack() as opened:
            with transport.agreed("opening the checkpoint"):
                checkpointed = None
                if checkpoint is not None and transport.rank == 0:
                    identity = _identity(problem, method_text + there, seed, [named(monitor) for monitor in monitors])
                    checkpointed = CheckpointedSolve(checkpoint, identity, x, opened)
            with timed("set-up"):
                session = opened.enter_context(Session(problem, resolved, seed))
            if transport.rank:
                return _unpacked(*session.answer_calls(), resolved)
            attendance = None if law is None else Attendance(law, on_missing, problem.n_clients, seed)
            seen_by = Observers(session, resolved, callback, watching)
            loop = Loop(session, resolved, tol, rtol, rounds, seen_by, optimal_value, checkpointed, attendance, limits)
            result = loop.run(to_device(x, problem.like))
            if profile:
                result = replace(result, profile=Profile.of(session.profile()))
            _send_result(session, result)
            return result


def _identity(problem: Problem, method: str, seed: int, monitors: list[str]) -> dict[str, Any]:
    """What must be the same for a solve to go on from a checkpoint."""
    return {
        "version of newtonfl": sys.modules["newtonfl"].__version__,
        "method": method,
        "seed": seed,
        "objective": problem.objective,
        "number of clients": problem.n_clients,
        "number of coordinates": problem.dim,
        "list of monitors": monitors,
        "ridge": [float(number).hex() for number in sorted(set(problem.ridge.tolist()))],
    }


def _check(
    problem: Problem, tol: float, rtol: float, rounds: int, x0: Array | None, seed: int, f_star: float | None
) -> Array:
    """The initial point on the host."""
    for name, least in (("tol", tol), ("rtol", rtol)):
        if not isinstance(least, int | float | np.number) or not 0 <= least < math.inf:
            raise ValueError(f"{name}: given {least!r}, must be a finite number of at least 0")
    for name, number in (("rounds", rounds), ("seed", seed)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{name}: given {number!r}, must be a whole number of at least 0")
    if f_star is not None and not math.isfinite(f_star):
        raise ValueError(f"f_star: given {f_star}, must be a finite number, or None for the problem's own")
    x = np.zeros(problem.dim) if x0 is None else real_vector(x0)
    if x.shape != (problem.dim,) or not np.isfinite(x).all():
        raise ValueError(f"x0: given shape {x.shape}, must be ({problem.dim},) and finite")
    return x


def real_vector(values: Array) -> Array:
    """`values`, an array of any library or a list of numbers, as a float64 copy on the host.

    Raises
    ------
    TypeError
        If they are no real numbers.
    """
    if isinstance(values, str):
        raise TypeError(f"x0: given the text {values!r}, must be an array of real numbers, or None for zeros")
    host = np.asarray(values) if isinstance(values, (list, tuple)) else to_host(values)
    if host.dtype.kind not in "fiu":
        raise TypeError(f"x0: given numbers of type {host.dtype}, must be real numbers")
    return np.array(host, dtype=np.float64)


def _send_result(session: Session, result: Result) -> None:
    """Send the result to every other rank, which ends the session."""
    times = {} if result.profile is None else {"profile": result.profile.to_array()}
    session.end(
        {"x": result.x, **times, **result.ledger.to_arrays()},
        reason=result.reason.name,
        detail=result.detail,
        theory=result.theory,
        resumed=result.resumed,
        history=result.history.to_jsonl(),
    )


def _unpacked(arrays: dict[str, Array], values: dict[str, Any], method: Method) -> Result:
    """The Result that rank 0 sent."""
    history = History([Record.from_json(line) for line in values["history"].splitlines()])
    reason, ledger = Reason[values["reason"]], Ledger.from_arrays(arrays)
    profile = Profile.of(arrays["profile"]) if "profile" in arrays else None
    return Result(
        arrays["x"], reason, history, ledger, method, values["detail"], values["theory"], values["resumed"], profile
    )  # fmt: skip
