"""Steps on trial: numbers that may overflow, and falls of f that rounding hides."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, namespace


def finite(trial: Array) -> Array:
    """`trial` with the largest float64 in place of what is not finite.

    A trial step may leave the region where numbers are finite; what is sent of it then has to arrive, so that the
    server refuses that step and no other.
    """
    xp = namespace(trial)
    return xp.where(xp.isfinite(trial), trial, xp.full_like(trial, float(np.finfo(np.float64).max)))


def slack(f: float) -> float:
    """How far a value of f may be off for rounding alone: eight units of it."""
    return 8.0 * float(np.finfo(np.float64).eps) * abs(f)


def falls(f: float, trial: float, change: float) -> bool:
    """Whether `trial` ≤ f + `change` (a fall: at most 0), as far as rounding lets one tell."""
    return bool(trial <= f + change + slack(f))
