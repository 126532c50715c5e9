"""Whether f falls for ever, so that it has no minimiser: classes that a plane separates, counts that are all zero.

A convex f with losses that never reach their infimum has no minimiser exactly where it does not rise along some
direction u without penalty, and rises along -u: the direction recedes. With logistic loss such a u separates the
classes, all margins y aᵀu ≥ 0 and some > 0 (Albert and Anderson, Biometrika 71, 1984). A solve that is drawn away goes
there itself: if a plane separates all rows, x is such a u; if some rows lie on the plane, x also holds the finite part
that balances them, and the last step is one.

Values alone tell. Far out all that falls has fallen, and what is left is (1/n) Σ_i Σ_j w_j max(0, -y aᵀu) a unit of
length, which is nothing along a direction that recedes. No bits depend on the answer but the reason's.
"""

from __future__ import annotations

import math

import numpy as np

from newtonfl.core.backend import Array, to_device
from newtonfl.solver.session import Session

_FAR = 1e6
"""How far is far out, in lengths of the iterate and of the last step."""

_NOTHING = 1e-5
"""A rise so far out that rounding makes, and what the last step still moves of x: a share of what f has fallen."""

_SHORT = 1e-3
"""A step shorter than this share of the iterate does not lead away: it ends at a minimiser, and is not far out."""


def recedes(session: Session, x: Array, step: Array) -> bool:
    """Whether f falls for ever along the iterate or the last step. Off the ledger: at most nine questions for values.

    Parameters
    ----------
    session : Session
        Rank 0's, entered.
    x, step : numpy.ndarray, shape (d,)
        Where a solve ended, and the step that led there.

    Returns
    -------
    bool
        False too where the problem's losses reach their infimum, every coordinate is penalised, or f is not convex.
    """
    problem = session.problem
    if not problem.unattained or problem.regulariser is not None:
        return False
    free = problem.ridge == 0.0
    away, stride = np.where(free, x, 0.0), np.where(free, step, 0.0)
    if problem.nonsmooth is not None:
        away, stride = problem.nonsmooth.receding(away), problem.nonsmooth.receding(stride)
    if not away.any():
        return False

    def mean_value(point: Array) -> float:
        """(1/n) Σ f_i: the ridge is the same all along."""
        values = session.ask("values", to_device(point, problem.like))
        return math.fsum(values[:, 0]) / problem.n_clients if np.isfinite(values).all() else math.inf

    here = mean_value(x)
    # From zero too: where penalised columns are large, counts without their intercept have values of exp(1000).
    fall = min(mean_value(x - away), mean_value(np.zeros_like(x))) - here
    if not fall > 0.0:
        return False
    level = _NOTHING * fall
    leads_away = bool(np.linalg.norm(stride) >= _SHORT * np.linalg.norm(away))
    for u in (_FAR * away, _FAR * stride)[: 1 + leads_away]:
        ahead = mean_value(x + u)
        if ahead <= here + level and mean_value(x + 2.0 * u) <= ahead + level and mean_value(x - u) >= here + fall:
            return True
    return False
