"""The BFGS update of a Hessian's estimate, damped."""

from __future__ import annotations

from newtonfl.core.backend import Array

_KEPT = 0.05


def damped_bfgs(P: Array, s: Array, y: Array) -> Array:
    """P + yyᵀ/sᵀy - P s sᵀP / sᵀPs, with y moved towards Ps where sᵀy < 0.05 sᵀPs, so that P stays positive definite.

    Powell's damping (Nocedal and Wright, Numerical Optimization, 2nd edition, Procedure 18.2), whose share 0.2 is 0.05
    here.

    Parameters
    ----------
    P : numpy.ndarray, shape (d, d)
        Symmetric positive definite.
    s, y : numpy.ndarray, shape (d,)
        A step, and what the gradient changed by along it.

    Returns
    -------
    numpy.ndarray, shape (d, d)
        `P` itself where s is zero.
    """
    sy, Ps = float(s @ y), P @ s
    sPs = float(s @ Ps)
    if not sPs > 0.0:
        return P
    if sy < _KEPT * sPs:
        share = (1.0 - _KEPT) * sPs / (sPs - sy)
        y = share * y + (1.0 - share) * Ps
        sy = float(s @ y)
    return P + y[:, None] * (y / sy) - Ps[:, None] * (Ps / sPs)
