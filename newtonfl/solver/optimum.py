"""The minimiser to machine precision, for gaps and for starts beside it. Off the ledger."""

from __future__ import annotations

import math

import numpy as np

from newtonfl.comm.transport import InProcess
from newtonfl.core.backend import Array, one_blas_thread, to_device, to_host
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.methods import newton
from newtonfl.objectives.base import Problem
from newtonfl.solver.arguments import check_problem_argument
from newtonfl.solver.questions import GRADIENT, VALUE
from newtonfl.solver.session import Session
from newtonfl.solver.true_hessian import true_hessian


def optimum(problem: Problem, rounds: int = 200) -> tuple[Array, float]:
    """x* and f* by Newton's method with backtracking, polished until the gradient no longer falls.

    A minimiser with ‖∇f‖ ≤ 1e-10 can be off by 1e-10/μ, far too much for a start at x* + c; so the last steps are
    taken until rounding stops them.

    Parameters
    ----------
    problem : Problem
        Every rank calls this where it carries a transport.
    rounds : int
        The most Newton steps.

    Returns
    -------
    x : numpy.ndarray, shape (d,)
        x*.
    f : float
        f*, the whole objective's.

    Raises
    ------
    TypeError
        If `problem` is none.
    ValueError
        If the problem need not be convex or smooth, the Hessian is singular on the way, or the gradient does not get
        below 1e-9 of its start.

    Examples
    --------
    >>> import newtonfl as nf
    >>> x, f = nf.optimum(nf.load("breast_cancer", clients=16))
    >>> x.shape, round(f, 6)
    ((30,), 0.05984)
    """
    check_problem_argument(problem)
    transport = problem.transport or InProcess()
    problem.check_convex("nf.optimum")
    problem.check_smooth("nf.optimum")
    # A session needs a method; of this one nothing is used, for only questions are asked.
    with (
        transport.keeping_interrupts(), one_blas_thread(), Session(problem, newton()) as session,
        np.errstate(over="ignore", invalid="ignore"),
    ):  # fmt: skip
        if transport.rank:
            arrays, values = session.answer_calls()
            return arrays["x"], values["f"]
        triangle(problem.dim).check_memory()
        x, f = _minimise(problem, session, rounds)
        session.end({"x": x}, f=f)
        return x, f


def _minimise(problem: Problem, session: Session, rounds: int) -> tuple[Array, float]:
    n, ridge = problem.n_clients, problem.ridge

    def evaluate(x: Array) -> tuple[float, Array]:
        table = session.ask("evaluate", to_device(x, problem.like))
        value = math.fsum(table[:, VALUE]) / n + 0.5 * float(ridge @ x**2)
        return value, np.sum(table[:, GRADIENT], axis=0) / n + ridge * x

    x = np.zeros(problem.dim)
    f, gradient = evaluate(x)
    first = best = float(np.linalg.norm(gradient))
    for _ in range(rounds):
        factor = cholesky(true_hessian(session, x))
        if factor is None:
            raise ValueError("no optimum found: the Hessian is singular; give an l2 > 0")
        direction = -cholesky_solve(factor, gradient)
        size, slope = 1.0, float(gradient @ direction)
        while True:
            trial = x + size * direction
            value, slopes = evaluate(trial)
            norm = float(np.linalg.norm(slopes))
            # Near the end f cannot fall measurably any more, and the gradient decides.
            if (value <= f + 1e-4 * size * slope and norm < math.inf) or norm < best or size < 1e-12:
                break
            size /= 2.0
        if best <= 1e-9 * first and norm >= best:
            break
        x, f, gradient, best = trial, value, slopes, min(best, norm)
    if best > 1e-9 * first and best > 1e-14:
        raise ValueError(f"no optimum found: the gradient norm stopped at {best:g}")
    return to_host(x), f
