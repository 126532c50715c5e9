"""DANE: its fixed point, its rate by the clients' likeness, what it sends and refuses. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm, functions_problem, unlike_clients
from packet_lengths import packet

import newtonfl as nf
from newtonfl.methods.standalone.local_minimisers import local_minimisers


def distance(problem: nf.Problem, method: nf.Method, rounds: int = 40) -> float:
    """‖x - x*‖² after so many rounds from zero."""
    result = nf.solve(problem, method, rounds=rounds, tol=0.0)
    return float(np.sum((result.x - nf.optimum(problem)[0]) ** 2))


# --- the method


@pytest.mark.parametrize("loss", ["logistic", "poisson", "squared", "squared-hinge"])
def test_local_minimisers_are_found_to_rounding(loss):
    """∇f_i(y) + b_i + νy = 0, on functions with ridges of their own, from a start of each client's own."""
    draw, problem = np.random.default_rng(1), dense_glm(loss, n=5).with_local_ridge()
    b, start = draw.standard_normal((2, 5, problem.dim))
    found = local_minimisers(problem, 0.3, start, b)
    gradients = problem.at(found).gradient + b + 0.3 * found
    assert np.linalg.norm(gradients, axis=1).max() <= 1e-13 * np.linalg.norm(b, axis=1).max()


def test_on_quadratics_a_round_is_the_papers_formula():
    """x⁺ = x - η mean (∇²f_i + νI)⁻¹∇f(x), exactly or with one local step."""
    problem, _ = functions_problem()
    x = np.linspace(-1.0, 1.0, problem.dim)
    point = problem.at(x)
    inverses = [np.linalg.inv(point.hessian(i) + 0.2 * np.eye(problem.dim)) for i in range(problem.n_clients)]
    expected = x - 0.7 * np.mean(inverses, axis=0) @ point.gradient.mean(axis=0)
    for steps in (1, 25):
        found = nf.solve(problem, nf.dane(eta=0.7, nu=0.2, local_steps=steps), x0=x, rounds=1, tol=0.0).x
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_local_steps_are_shortened_from_afar():
    """The whole step for exp(y) - 100y goes from -3 to 2000, where exp is infinite; a shorter one serves."""
    problem = nf.FromFunctions(
        2, 1, lambda i, x: np.exp(x[0]) - 100 * x[0], lambda i, x: np.exp(x) - 100, lambda i, x: np.exp(x)[:, None]
    )
    with np.errstate(over="ignore"):
        found = local_minimisers(problem, 0.0, np.array([[-3.0], [3.0]]))
    np.testing.assert_allclose(found, np.log(100.0), rtol=1e-14)


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_one_client_alone_is_minimised_in_a_round(loss):
    problem = dense_glm(loss, n=1)
    result = nf.solve(problem, nf.dane(nu=0.0), tol=1e-12)
    assert result.converged and result.rounds == 1


def test_one_local_step_goes_along_giants_direction():
    """For ν = 0 and η = 1, where GIANT's search and the clients' own take the whole step."""
    problem = dense_glm(n=4)
    near = nf.optimum(problem)[0] + 1e-3
    dane, giant = (nf.solve(problem, m, x0=near, rounds=1, tol=0.0).x for m in ("dane,nu=0,local_steps=1", "giant"))
    np.testing.assert_allclose(dane, giant, rtol=0, atol=1e-14)


def test_the_clients_likeness_says_how_large_nu_must_be():
    """Without ν it goes nowhere; a small one is fast, a large one gradient descent of step 1/ν."""
    problem = unlike_clients()
    found = {nu: distance(problem, nf.dane(nu=nu)) for nu in (0.0, 0.5, 2.0, 10.0)}
    assert found[0.0] > 1.0 and found[0.5] <= 1e-12 < found[2.0] < 1e-4 < found[10.0] < 0.1
    descent, dane = (nf.solve(problem, m, rounds=5, tol=0.0).x for m in (nf.gd(stepsize=1e-3), nf.dane(nu=1e3)))
    np.testing.assert_allclose(dane, descent, rtol=5e-3)


def test_few_local_steps_are_nearly_as_good():
    problem = unlike_clients()
    assert distance(problem, nf.dane(nu=0.5, local_steps=1)) <= 1e-12
    exact, inexact = (nf.solve(problem, nf.dane(local_steps=k), rounds=1, tol=0.0).x for k in (25, 2))
    assert 1e-9 < np.linalg.norm(exact - inexact) < 1e-2


# --- what is sent, and what is refused


def test_its_bytes_are_its_packets():
    problem = dense_glm()
    d = problem.dim
    record = nf.solve(problem, nf.dane(), rounds=1, tol=0.0).history[1]
    assert record.bytes_up == record.bytes_down == packet(model=d) + packet(gradient=d)
    assert record.formula_bits_up == record.formula_bits_down == 64 * d and record.exchanges == 2


def test_a_singular_local_hessian_is_refused_where_nu_is_zero():
    problem = nf.FromFunctions(
        2,
        2,
        lambda i, x: 0.5 * x[i] ** 2 - x[i],
        lambda i, x: np.eye(2)[i] * (x[i] - 1),
        lambda i, x: np.diag(np.eye(2)[i]),
    )
    result = nf.solve(problem, nf.dane(nu=0.0), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and result.rounds == 0 and not result.x.any()
    assert "client 0: its Hessian is not positive definite" in result.notes[0]
    assert nf.solve(problem, nf.dane(nu=0.5), tol=1e-10).converged


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.dane(eta=0.0), "eta: given 0.0"),
        (lambda: nf.dane(nu=-0.1), "nu: given -0.1, must be a finite number of at least 0"),
        (lambda: nf.dane(nu=True), "nu: given True"),
        (lambda: nf.dane(nu=float("nan")), "nu: given nan"),
        (lambda: nf.dane(local_steps=0), "local_steps: given 0, must be a whole number from 1 to 2147483647"),
        (
            lambda: nf.dane().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=0.1, clients=1)),
            "dane needs convex functions",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
