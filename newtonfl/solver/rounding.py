"""Whether a gradient is as small as rounding lets it become: then a solve that stalls has nothing left to find.

On targets of 1e6 a gradient's norm never falls to 1e-10, though x is right to the last digit: its parts cancel to no
more than their own rounding, and x itself is rounded, so that its neighbours in float64 have gradients as large. So the
neighbours are asked. Entry k of ∇f(x) is at its rounding level where

    abs(∇f(x)_k) ≤ 8 (ρ_k + eps (abs(ridge_k x_k) + (1/n) Σ_i (abs(∇f_i(x)_k) + abs(∇f_i(0)_k))))

with ρ_k the root mean square of how that entry changes between x and points x (1 ± eps), signs at random: about
eps·(Σ_l H_kl² x_l²)^½. ∇f(0) is what the rest has to cancel; for squares it is Aᵀy. Of a user's own functions it is
left out: (x - 100)⁶ has a slope of 6e10 at zero, which nothing cancels at 99.9. Every entry must be there by itself:
that does not depend on the scales of the columns, as a norm does, in which the largest column hides the others. It
says that x solves equations that differ from ∇f(x) = 0 by a few roundings of their own terms.
"""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, to_device
from newtonfl.core.random import Key
from newtonfl.objectives.row_problem import RowProblem
from newtonfl.solver.session import Session

_NEIGHBOURS = 8
_FACTOR = 8.0


def at_rounding_level(session: Session, x: Array) -> bool:
    """Whether every entry of ∇f(x) is at its rounding level. Off the ledger: ten gradients of every client.

    Parameters
    ----------
    session : Session
        Rank 0's, entered.
    x : numpy.ndarray, shape (d,)
        Where a solve ended.

    Returns
    -------
    bool
        The same on any number of ranks.
    """
    problem, eps = session.problem, float(np.finfo(np.float64).eps)

    def gradients(point: Array) -> tuple[Array, Array]:
        """∇f, and the mean of its parts in size."""
        parts = session.ask("gradients", to_device(point, problem.like))
        whole = np.sum(parts, axis=0) / problem.n_clients + problem.ridge * point
        return whole, np.sum(np.abs(parts), axis=0) / problem.n_clients + np.abs(problem.ridge * point)

    gradient, size = gradients(x)
    cancelled = gradients(np.zeros(problem.dim))[1] if isinstance(problem, RowProblem) else np.zeros(problem.dim)
    signs = Key(0).to("rounding").generator().choice([-1.0, 1.0], (_NEIGHBOURS, problem.dim))
    changes = np.stack([gradients(x * (1.0 + eps * row))[0] - gradient for row in signs])
    level = np.sqrt(np.mean(changes**2, axis=0)) + eps * (size + np.nan_to_num(cancelled, posinf=0.0))
    return bool(np.isfinite(level).all() and (np.abs(gradient) <= _FACTOR * level).all())
