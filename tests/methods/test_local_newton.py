"""LocalNewton: the floor at which it stalls, what it sends and refuses. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm, unlike_clients
from packet_lengths import packet

import newtonfl as nf
from newtonfl.solver.optimum import optimum


def test_it_stalls_where_local_newton_steps_cancel_out():
    """For K = 1 at mean (∇²f_i)⁻¹∇f_i = 0, away from the minimiser; no more rounds help."""
    problem = unlike_clients()
    x = nf.solve(problem, nf.local_newton(), rounds=60, tol=0.0).x
    point = problem.with_local_ridge().at(x)
    steps = [np.linalg.solve(point.hessian(i), g) for i, g in enumerate(point.gradient)]
    assert np.linalg.norm(np.mean(steps, axis=0)) <= 1e-9
    assert np.linalg.norm(point.gradient.mean(axis=0)) > 1e-2
    assert 1e-3 < np.sum((x - nf.optimum(problem)[0]) ** 2) < 0.1


def test_many_local_steps_give_the_mean_of_the_clients_own_minimisers():
    """After one round, whatever the start; each from a problem of that client alone."""
    problem = unlike_clients()
    own = [optimum(problem.without([j for j in range(8) if j != i]))[0] for i in range(8)]
    for start in (0.0, 1.0):
        x0 = np.full(problem.dim, start)
        x = nf.solve(problem, nf.local_newton(local_steps=25), x0=x0, rounds=1, tol=0.0).x
        np.testing.assert_allclose(x, np.mean(own, axis=0), rtol=0, atol=1e-9)


def test_more_steps_do_not_lower_the_floor_and_other_methods_have_none():
    problem = unlike_clients()
    x_star = nf.optimum(problem)[0]

    def distance(method: nf.Method) -> float:
        return float(np.sum((nf.solve(problem, method, rounds=40, tol=0.0).x - x_star) ** 2))

    assert min(distance(nf.local_newton(local_steps=k)) for k in (1, 2, 5, 25)) > 1e-2
    assert max(distance(nf.dane(nu=0.5)), distance(nf.giant())) < 1e-12


def test_one_client_alone_is_solved_by_damped_newton():
    result = nf.solve(dense_glm("poisson", n=1), nf.local_newton(), x0=np.full(7, 1.5), tol=1e-12)
    assert result.converged and 2 < result.rounds < 15


def test_a_result_says_that_it_stalls():
    result = nf.solve(dense_glm(), nf.local_newton(), rounds=2)
    assert any("stalls before the minimiser" in note for note in result.notes)


def test_its_bytes_are_its_packets():
    problem = dense_glm()
    record = nf.solve(problem, nf.local_newton(), rounds=1, tol=0.0).history[1]
    assert record.bytes_up == record.bytes_down == packet(model=problem.dim) and record.exchanges == 1


def test_a_singular_local_hessian_is_refused():
    problem = nf.FromFunctions(
        2,
        2,
        lambda i, x: 0.5 * x[i] ** 2 - x[i],
        lambda i, x: np.eye(2)[i] * (x[i] - 1),
        lambda i, x: np.diag(np.eye(2)[i]),
    )
    result = nf.solve(problem, nf.local_newton(), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and result.rounds == 0 and not result.x.any()


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"local_steps: given 1\.5, must be a whole number"):
        nf.local_newton(local_steps=1.5)
    with pytest.raises(ValueError, match="local-newton needs convex functions"):
        nf.local_newton().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=0.1, clients=1))
