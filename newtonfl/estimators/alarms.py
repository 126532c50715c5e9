"""Whether the solves of a fit are a reason to warn, and what to do then."""

from __future__ import annotations

from collections.abc import Sequence

from newtonfl.solver.result import Reason, Result

_ADVICE = {
    Reason.ROUND_LIMIT: "raise max_rounds, or scale the columns of X",
    Reason.BYTE_LIMIT: "raise max_bytes, or take a method that sends less",
    Reason.TIME_LIMIT: "raise max_seconds",
    Reason.SINGULAR: "give alpha > 0, or take a method with a line search, as the default has",
    Reason.NO_MINIMISER: "the coefficients would grow for ever, and stand where tol stopped them: give alpha > 0, or "
    "fit_intercept=False where alpha is positive already",
}
_ROUNDING = 1e-14
"""Gradient norms below this are rounding, on columns of moderate size."""

_SMALL, _FALL = 1e-3, 1e-6
"""Where the gradient was this small at the start and fell by no more than that, an absolute tol says little."""


def alarm(results: Sequence[Result], warm_start: bool) -> tuple[Result, str] | None:
    """The solve to warn of, and advice; None where all is well.

    Parameters
    ----------
    results : sequence of Result
        At least one.
    warm_start : bool
        Whether the fit began where another ended: then a start within tol says nothing.
    """
    late = [result for result in results if not result.converged]
    if late:
        return late[0], _ADVICE.get(late[0].reason, "scale the columns of X, or raise tol")
    shallow = [result for result in results if _is_shallow(result)]
    if not shallow or warm_start:
        return None
    first = shallow[0].history[0].gradient_norm
    where = f"near tol, where ‖∇f‖₂ was {first:.2g}" if shallow[0].rounds else "within tol"
    return shallow[0], f"the start is {where}, an absolute number: scale X and y, lower tol, or give rtol"


def _is_shallow(result: Result) -> bool:
    """Whether a solve met tol, and its gradient was so small from the start that this says little."""
    first, last = result.history[0].gradient_norm, result.history[-1].gradient_norm
    return result.reason is Reason.CONVERGED and _ROUNDING < first < _SMALL and last > _FALL * first
