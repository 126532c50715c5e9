"""FedNew: what alike clients make of it, its slow tail, what it sends and refuses. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm, unlike_clients
from packet_lengths import packet

import newtonfl as nf


def test_equal_clients_are_as_one():
    """λ_i = 0 for ever: y = (∇²f + (α + ρ)I)⁻¹(∇f + ρy)."""
    a, b = np.diag([1.0, 3.0, 0.2]), np.array([1.0, -1.0, 2.0])
    functions = lambda i, x: 0.5 * x @ a @ x - b @ x, lambda i, x: a @ x - b, lambda i, x: a
    x, y = np.zeros(3), np.zeros(3)
    for _ in range(20):
        y = np.linalg.solve(a + 0.3 * np.eye(3), a @ x - b + 0.2 * y)
        x = x - y
    for n in (1, 4):
        found = nf.solve(nf.FromFunctions(n, 3, *functions), nf.fednew(alpha=0.1, rho=0.2), rounds=20, tol=0.0).x
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-13)


def test_it_is_linear_and_slow():
    """On clients that differ: a hundred rounds for some digits, four hundred for the rest; slower where α is larger."""
    problem = unlike_clients()
    x_star = nf.optimum(problem)[0]

    def distance(alpha: float, rounds: int) -> float:
        found = nf.solve(problem, nf.fednew(alpha=alpha, rho=0.1), rounds=rounds, tol=0.0).x
        return float(np.sum((found - x_star) ** 2))

    after = distance(0.1, 100)
    assert 1e-6 > after > 1e-12 and distance(0.1, 400) < 1e-20 and distance(1.0, 100) > 10 * after


@pytest.mark.parametrize(
    "renew, computed", [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 1, 1, 1, 2, 2, 2]), (0, [0] + [1] * 6)]
)
def test_hessians_are_computed_when_it_says(renew, computed):
    result = nf.solve(dense_glm(), nf.fednew(renew=renew), rounds=6, tol=0.0)
    assert [record.hessians for record in result.history] == computed


def test_its_bytes_are_its_packets():
    problem = dense_glm()
    record = nf.solve(problem, nf.fednew(), rounds=1, tol=0.0).history[1]
    assert record.bytes_up == record.bytes_down == packet(direction=problem.dim)
    assert record.exchanges == 1 and record.formula_bits_up == 32 * problem.dim


def test_a_matrix_that_is_not_positive_definite_ends_it():
    wrong = nf.FromFunctions(2, 2, lambda i, x: x @ x, lambda i, x: 2 * x + 1, lambda i, x: -np.eye(2), verify=False)
    result = nf.solve(wrong, nf.fednew(), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and "client 0: its Hessian is not positive" in result.notes[0]
    assert result.rounds == 0 and not result.x.any()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.fednew(alpha=-0.1), "alpha: given -0.1, must be a finite number of at least 0"),
        (lambda: nf.fednew(rho=0.0), "rho: given 0.0"),
        (lambda: nf.fednew(renew=-1), "renew: given -1"),
        (lambda: nf.fednew(renew=1.5), "renew: given 1.5, must be a whole number from 0"),
        (
            lambda: nf.fednew().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=0.1, clients=1)),
            "fednew needs convex functions",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
