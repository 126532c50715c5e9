"""CORE: its step's bounds held, the trace that they take, what travels, and that both ends step alike."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DIM, LOSSES, dense_glm, functions_problem, glm, sparse_glm
from exact_problems import SEEDS, below

import newtonfl as nf
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.random import Key
from newtonfl.objectives.functions import FromFunctions
from newtonfl.registry import METHODS
from newtonfl.solver.solve import solve

ROUNDS = 25
BOUNDED = [name for name, loss, _ in LOSSES if np.isfinite(loss.curvature_bound)]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["logistic", "huber"])
@pytest.mark.parametrize("m", [1, 3, 40])
def test_the_theorems_bounds_hold(m, loss):
    """E(f(x^t) - f*) ≤ (1 - γμ)ᵗ(f(x⁰) - f*), and E Σ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/γ, for γ = m/(tr A + (m + 1)L)."""
    problem = dense_glm(loss)
    x0, best = np.full(DIM, 2.0), nf.optimum(problem)[1]
    results = [
        solve(problem, nf.core_gd(directions=m), x0=x0, rounds=ROUNDS, tol=0.0, seed=seed) for seed in range(2 * SEEDS)
    ]
    bound = np.mean([problem.curvature_product(e) for e in np.eye(DIM)], axis=1) + 0.1 * np.eye(DIM)
    gamma = m / (np.trace(bound) + (m + 1) * np.linalg.eigvalsh(bound)[-1])
    assert float(results[0].theory[0].split()[1]) == pytest.approx(gamma, rel=1e-5)
    gaps = np.array([[record.f for record in result.history] for result in results]) - best
    sums = np.array([sum(record.gradient_norm**2 for record in list(r.history)[:-1]) for r in results])
    assert below(gaps[:, 1:], gaps[0, 0] * (1.0 - 0.1 * gamma) ** np.arange(1, ROUNDS + 1))
    assert below(sums, 2.0 * gaps[0, 0] / gamma)


@pytest.mark.parametrize("m", [1, 4])
def test_the_second_moment_that_the_step_is_made_of(m):
    """E ĝᵀAĝ = (tr A·‖u‖² + (m + 1)uᵀAu)/m for ĝ = (1/m)Σ⟨u, ξ_j⟩ξ_j, within five standard errors of 20000 draws."""
    draw = np.random.default_rng(0)
    factor, u = draw.standard_normal((5, 5)), draw.standard_normal(5)
    a = factor @ factor.T
    xi = draw.standard_normal((20000, m, 5))
    g = np.einsum("kj,kjd->kd", xi @ u, xi) / m
    found = np.einsum("kd,de,ke->k", g, a, g)
    expected = (np.trace(a) * (u @ u) + (m + 1) * (u @ a @ u)) / m
    assert abs(found.mean() - expected) <= 5 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("make", [dense_glm, sparse_glm])
@pytest.mark.parametrize("loss", BOUNDED)
def test_the_trace_is_that_of_the_bound(make, loss):
    """Of weighted rows, with the regulariser, of several classes, and of functions: as the products say."""
    plain = make(loss)
    rows, labels, _ = plain.host
    weights, sizes = np.random.default_rng(1).random(len(labels)), np.diff(plain.rows.offsets)
    for problem in (plain, glm(rows, labels, sizes, plain.loss, weights, nonconvex=np.linspace(0.0, 0.6, DIM))):
        traces = sum(problem.curvature_product(e)[:, j] for j, e in enumerate(np.eye(DIM)))
        np.testing.assert_allclose(problem.curvature_trace, traces, rtol=1e-12)


def test_the_trace_of_several_classes_and_of_functions():
    draw = np.random.default_rng(0)
    rows, labels = draw.standard_normal((30, 4)), draw.integers(0, 3, 30)
    classes = nf.from_arrays(rows, labels, "multinomial", l2=0.1, clients=3)
    functions = FromFunctions(2, 3, *[lambda i, x: 0.0] * 3, smoothness=np.diag([1.0, 2.0, 5.0]))
    for problem in (classes, functions):
        traces = sum(problem.curvature_product(e)[:, j] for j, e in enumerate(np.eye(problem.dim)))
        np.testing.assert_allclose(problem.curvature_trace, traces, rtol=1e-12)
        assert (traces > 0).all()


def test_both_ends_step_alike():
    """What the clients hold when they answer is the server's iterate, in the same bits, at every round."""
    problem, method = dense_glm(), nf.core_gd(directions=3, stepsize=0.2)
    x0 = np.full(DIM, 1.5)
    facts = ProblemConstants(4, DIM, problem.ridge, lambda: 1.0, problem.like)
    parts, clients = method.init_clients(problem, x0, Key(0))
    server, heard = method.init_server(facts, x0, parts), []
    for k in range(12):

        def exchange(announcement, sizes):
            nonlocal clients
            replies, clients = method.respond(clients, announcement, problem, Key(0, announcement.round))
            heard.append(clients.x)
            return Replies(np.arange(4), replies)

        before = server.x
        server = method.round(server, exchange, Key(0, k))
        assert all(own.tobytes() == before.tobytes() for own in heard[-1])
    assert np.abs(server.x - x0).max() > 0.1


def test_a_few_numbers_travel_each_way():
    """m up; γ down in round 0 and m from then on; the seed once. The papers count 32 bits for each of the m."""
    m, rounds = 5, 7
    ledger = solve(dense_glm(), nf.core_gd(directions=m, stepsize=0.1), rounds=rounds, tol=0.0, seed=3).ledger
    found = {
        (row["direction"], row["phase"], row["part"]): (row["messages"], row["numbers"], row["bytes"])
        for row in ledger.table()
        if row["client"] == 1 and row["part"] != "packet head"
    }
    assert found == {
        ("up", "rounds", "product"): (rounds, m * rounds, 8 * m * rounds),
        ("down", "rounds", "product"): (rounds - 1, m * (rounds - 1), 8 * m * (rounds - 1)),
        ("down", "rounds", "stepsize"): (1, 1, 8),
        ("down", "setup", "seed"): (1, 1, 8),
        ("down", "setup", "model"): (1, 0, 0),
    }
    assert ledger.up.formula_bits.tolist() == [32 * m * rounds] * 4


def test_it_arrives_where_the_ridge_of_the_server_alone_would_not():
    """ĝ is of the whole gradient: it vanishes at x*, and the iterates come as near as is asked."""
    assert solve(dense_glm(), nf.core_gd(directions=4), rounds=2000, tol=1e-9).converged


@pytest.mark.parametrize("given", [0, -1, 2.5, "many"])
def test_directions_are_a_whole_number(given):
    with pytest.raises((ValueError, TypeError), match="directions"):
        METHODS["core-gd"](directions=given)


def test_a_step_of_theory_needs_a_bound():
    with pytest.raises(ValueError, match="give stepsize=NUMBER"):
        solve(functions_problem()[0], nf.core_gd(), rounds=1)
    assert solve(functions_problem()[0], nf.core_gd(stepsize=1e-3), rounds=2, tol=0.0).rounds == 2
