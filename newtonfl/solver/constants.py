"""Constants that theory takes as known, found by asking the clients: off the ledger and off the clock."""

from __future__ import annotations

import numpy as np

from newtonfl.comm.coding import NotFinite
from newtonfl.core.backend import Array, to_device, zeros
from newtonfl.solver.session import Session


def largest_curvature(session: Session) -> float:
    """sup‖∇²f‖₂ less the ridge: the norm of the clients' mean bound, by Lanczos' method from a fixed vector.

    Raises
    ------
    ValueError
        If the problem states no bound.
    """
    problem = session.problem
    dim, n = problem.dim, problem.n_clients
    problem.curvature_product(zeros(dim, problem.like))  # refused here, not on another rank

    def product(v: Array) -> Array:
        products = session.ask("curvature", to_device(np.ravel(v), problem.like))
        return _finite(np.sum(products, axis=0) / n)

    if dim <= 16:
        matrix = np.stack([product(column) for column in np.eye(dim)])
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])
    import scipy.sparse.linalg

    operator = scipy.sparse.linalg.LinearOperator((dim, dim), matvec=product, dtype=np.float64)
    top = scipy.sparse.linalg.eigsh(operator, 1, which="LA", v0=np.ones(dim), return_eigenvectors=False)
    return float(top[0])


def curvature_trace(session: Session) -> float:
    """The trace of the clients' mean bound of ∇²f, less the ridge.

    Raises
    ------
    ValueError
        If the problem states no bound.
    """
    problem = session.problem
    _ = problem.curvature_trace  # as above
    traces = session.ask("trace", zeros(problem.dim, problem.like))
    return float(np.sum(_finite(traces)) / problem.n_clients)


def client_smoothness(session: Session) -> Array:
    """L_i of every client, less the ridge, shape (n,).

    Raises
    ------
    ValueError
        If the problem states no bounds.
    """
    problem = session.problem
    _ = problem.client_smoothness  # as above
    return _finite(session.ask("smoothness", zeros(problem.dim, problem.like)))


def row_smoothness(session: Session) -> Array:
    """ℒ_i and the number of rows of every client, shape (n, 2).

    Raises
    ------
    ValueError
        If the problem states no bounds, or has no rows.
    """
    problem = session.problem
    _ = problem.row_smoothness  # as above
    return _finite(session.ask("rows", zeros(problem.dim, problem.like)))


def _finite(bounds: Array) -> Array:
    if not np.isfinite(bounds).all():
        raise NotFinite("a bound of the curvature is not finite")
    return bounds
