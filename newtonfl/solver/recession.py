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

_ITERATES = (1e6,)
"""How far is far out, in lengths of the iterate, whose direction is exact where it recedes."""

_STEPS = (1e2, 1e3, 1e4)
"""And of the last step, which a learned Hessian may make short: the finite part that it still moves must not count."""

_NOTHING = 1e-9
"""A rise that rounding makes along the last step, as a share of what the solve has gained."""


def recedes(session: Session, x: Array, step: Array) -> bool:
    """Whether f falls for ever along the iterate or the last step. Off the ledger: at most fourteen questions for values.

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
    if not away.any():
        return False

    def mean_value(point: Array) -> float:
        """(1/n) Σ f_i: the ridge is the same all along."""
        values = session.ask("values", to_device(point, problem.like))
        return math.fsum(values[:, 0]) / problem.n_clients if np.isfinite(values).all() else math.inf

    here = mean_value(x)
    gain = mean_value(x - away) - here
    if not 0.0 < gain:
        return False
    level = _NOTHING * gain
    for u, far in [*((away, far) for far in _ITERATES), *((stride, far) for far in _STEPS)]:
        ahead = mean_value(x + far * u)
        if ahead <= here + level and mean_value(x + 2.0 * far * u) <= ahead + level:
            if mean_value(x - far * u) >= here + gain:
                return True
    return False
