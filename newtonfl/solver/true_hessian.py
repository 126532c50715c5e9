"""∇²f itself, which a solve's clients are asked for off the ledger."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array, to_device
from newtonfl.core.symmetric import triangle
from newtonfl.solver.session import Session


def true_hessian(session: Session, x: Array) -> Array:
    """∇²f(x) of the whole objective, ridge included, added in client order.

    Parameters
    ----------
    session : Session
        Rank 0's, entered.
    x : numpy.ndarray, shape (d,)

    Returns
    -------
    numpy.ndarray, shape (d, d)

    Raises
    ------
    ValueError
        If the problem need not be convex: its regulariser has no Hessian here.
    """
    problem = session.problem
    packed = np.sum(session.ask("hessians", to_device(x, problem.like)), axis=0) / problem.n_clients
    square: Array = packed[triangle(problem.dim).square]
    return square.reshape(problem.dim, problem.dim) + np.diag(problem.ridge)
