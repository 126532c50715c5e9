"""PAGE: what its theory takes for granted, its steps' bounds held, its coins, and what it computes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases import DIM, LOSSES, dense_glm, glm, sparse_glm
from exact_problems import SEEDS, below

import newtonfl as nf
from newtonfl.components.gradient.page import Page
from newtonfl.core.random import Key
from newtonfl.methods import ProblemConstants
from newtonfl.registry import METHODS
from newtonfl.solver.solve import solve

BOUNDED = [(name, loss) for name, loss, _ in LOSSES if np.isfinite(loss.curvature_bound)]
ROUNDS = 25


def row_gradients(problem, i: int, x: np.ndarray) -> np.ndarray:
    """∇h_ij(x) of client i's rows, whose mean is ∇f_i(x) less the ridge, shape (m_i, d)."""
    rows, labels, weights = problem.host
    own = slice(*problem.rows.offsets[i : i + 2])
    share = weights[own] * problem.n_clients / weights.sum() * len(labels[own])
    return (share * problem.loss.slope(rows[own] @ x, labels[own]))[:, None] * rows[own]


@pytest.mark.parametrize(("name", "loss"), BOUNDED, ids=[name for name, _ in BOUNDED])
def test_rows_move_no_faster_than_told(name, loss):
    """(1/m)Σ‖∇h_j(x) - ∇h_j(y)‖² ≤ ℒ_i²‖x - y‖²; the squared loss meets it in the leading direction."""
    plain, draw = dense_glm(name), np.random.default_rng(1)
    rows, labels, _ = plain.host
    problem = glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, draw.random(len(labels)))
    told = problem.row_smoothness
    assert told.shape == (4,) and (told > 0).all() and (told >= problem.client_smoothness * (1 - 1e-12)).all()
    for _ in range(20):
        x, y = draw.standard_normal((2, DIM))
        for i in range(4):
            moved = row_gradients(problem, i, x) - row_gradients(problem, i, y)
            assert np.mean(np.sum(moved**2, axis=1)) <= told[i] ** 2 * ((x - y) @ (x - y)) * (1 + 1e-12)
    if name == "squared":
        for i in range(4):
            change = np.stack([row_gradients(problem, i, e) - row_gradients(problem, i, 0 * e) for e in np.eye(DIM)])
            square = np.einsum("ajc,bjc->ab", change, change) / change.shape[1]
            assert told[i] ** 2 == pytest.approx(np.linalg.eigvalsh(square)[-1], rel=1e-12)


@pytest.mark.parametrize("batch", [1, 2, 5, 6, 11])
def test_a_minibatchs_change_is_no_further_off_than_told(batch):
    """Over every B there is: E‖(∇f_iB(x) - ∇f_iB(y)) - (∇f_i(x) - ∇f_i(y))‖² ≤ N_i‖x - y‖², 0 where B has all rows."""
    plain = dense_glm("squared")
    rows, labels, _ = plain.host
    weights = np.random.default_rng(0).random(len(labels))
    problem = glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, weights)
    told = np.column_stack([problem.row_smoothness, problem.rows_per_client])
    facts = ProblemConstants(4, DIM, np.zeros(DIM), lambda: 1.0, np.zeros(0), row_smoothness=lambda: told)
    bounds = Page(batch).variance(facts)
    x, y = np.random.default_rng(1).standard_normal((2, DIM))
    for i in range(4):
        moved = row_gradients(problem, i, x) - row_gradients(problem, i, y)
        m, mean = len(moved), moved.mean(axis=0)
        off = [moved[list(chosen)].mean(axis=0) - mean for chosen in combinations(range(m), min(batch, m))]
        truth = np.mean(np.sum(np.square(off), axis=1))
        spread = np.mean(np.sum(moved**2, axis=1)) - np.sum(mean**2)
        assert truth == pytest.approx(max(m - batch, 0) / (batch * (m - 1)) * spread, abs=1e-13)
        assert truth <= bounds[i] * ((x - y) @ (x - y)) and (bounds[i] == 0) == (m <= batch)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["logistic", "huber"])
@pytest.mark.parametrize(
    "name, settings",
    [
        ("ef21-page", {"compressor": nf.TopK(2), "p": 0.3, "batch": 2}),
        ("ef21-page", {"compressor": nf.Identity(), "p": 0.2, "batch": 1}),
        ("vr-marina", {"compressor": nf.RandK(3), "p": 0.3, "batch": 2}),
        ("vr-marina", {"compressor": nf.Identity(), "p": 0.2, "batch": 1}),
        ("vr-marina", {"compressor": nf.PermK(), "p": 0.3, "batch": 2}),
    ],
)
def test_the_theorems_bounds_hold(name, settings, loss):
    """mean Σ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/γ; with theory-pl f - f* and its potential fall by 1 - γμ a round."""
    problem = dense_glm(loss)
    x0, best = np.full(DIM, 2.0), nf.optimum(problem)[1]
    for stepsize in ("theory", "theory-pl"):
        method = METHODS[name](stepsize=stepsize, **settings)
        results = [solve(problem, method, x0=x0, rounds=ROUNDS, tol=0.0, seed=seed) for seed in range(SEEDS)]
        gamma = float(results[0].theory[0].split()[1])
        gaps = np.array([[record.f for record in result.history] for result in results]) - best
        sums = np.array([sum(record.gradient_norm**2 for record in list(r.history)[:-1]) for r in results])
        if stepsize == "theory":
            assert below(sums, 2.0 * gaps[0, 0] / gamma)
        else:
            mu = problem.strong_convexity
            bounds = gaps[0, 0] * (1.0 - gamma * mu) ** np.arange(1, ROUNDS + 1)
            assert mu == pytest.approx(0.1) and below(gaps[:, 1:], bounds)


@pytest.mark.parametrize(("compressor", "p", "batch"), [("identity", 0.3, 1), ("randk:3", 0.3, 2), ("natural", 0.6, 1)])
def test_vr_dianas_potential_falls(compressor, p, batch):
    """E‖x^k - x*‖² is below Ψ⁰(1 - min{γμ, p/2, α/2})^k, Ψ with the anchors' and shifts' distances; of many seeds."""
    plain, n, k = dense_glm(), 4, 120
    rows, labels, _ = plain.host
    problem = glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, np.ones(len(labels)))
    x_star, x0 = nf.optimum(problem)[0], np.full(DIM, 2.0)
    method = METHODS["vr-diana"](compressor=compressor, p=p, batch=batch)
    distance = nf.monitors.DistanceTo(x_star)
    results = [
        solve(problem, method, x0=x0, rounds=k, tol=0.0, seed=seed, monitors=[distance]) for seed in range(SEEDS)
    ]
    gamma = float(results[0].theory[0].split()[1])
    omega = {"identity": 0.0, "randk:3": DIM / 3 - 1, "natural": 0.125}[compressor]
    many = np.diff(problem.rows.offsets)
    c, alpha = np.max((many - batch) / (batch * (many - 1))), 1 / (1 + omega)
    moved = [row_gradients(problem, i, x0) - row_gradients(problem, i, x_star) for i in range(n)]
    anchors = np.mean([np.mean(np.sum(own**2, axis=1)) for own in moved])
    shifts = np.mean(np.sum(np.asarray(problem.at(x_star).gradient) ** 2, axis=1))
    first = (x0 - x_star) @ (x0 - x_star) + gamma**2 * (
        4 * c * (1 + 5 * omega) / (p * n) * anchors + 4 * omega / (alpha * n) * shifts
    )
    rate = 1 - min(gamma * problem.strong_convexity, p / 2, alpha / 2)
    squares = np.array([result.history.column("distance") ** 2 for result in results])
    assert below(squares[:, 1:], first * rate ** np.arange(1, k + 1))


def test_it_has_no_floor_where_minibatches_have_one():
    """At the same step and batch ef21-sgd stands still, and ef21-page, vr-marina and vr-diana go on."""
    problem, common = dense_glm(), {"batch": 2, "stepsize": 0.1}
    noisy = solve(problem, METHODS["ef21-sgd"](compressor=nf.TopK(3), **common), rounds=1500, tol=1e-6)
    assert not noisy.converged and min(record.gradient_norm for record in noisy.history) > 1e-4
    for name, compressor in (("ef21-page", nf.TopK(3)), ("vr-marina", nf.RandK(3)), ("vr-diana", nf.RandK(3))):
        assert solve(problem, METHODS[name](compressor=compressor, p=0.3, **common), rounds=1500, tol=1e-6).converged


def test_a_client_computes_whole_gradients_as_often_as_its_coin_says():
    """p + (1-p)·2b/m of a gradient a round, from the coins themselves."""
    problem, p, b, rounds = dense_glm(), 0.4, 2, 30
    method = METHODS["ef21-page"](compressor=nf.TopK(3), p=p, batch=b, stepsize=0.01)
    result = solve(problem, method, rounds=rounds, tol=0.0)
    rows = problem.rows_per_client
    spent = np.ones(4)
    for k in range(1, rounds):
        coins = [Key(0, k, i).to("gradient").to("page coin").generator().random() < p for i in range(4)]
        spent += np.where(coins, 1.0, 2.0 * np.minimum(b, rows) / rows)
    assert result.history[-1].gradients == pytest.approx(spent.mean(), rel=1e-12)


def test_sparse_rows_and_an_empty_client():
    """As on dense rows, to rounding; a client of no rows has ℒ_i = 0."""
    sparse = sparse_glm()
    rows, labels, _ = sparse.host
    dense = glm(rows.toarray(), labels, np.diff(sparse.rows.offsets), sparse.loss)
    np.testing.assert_allclose(sparse.row_smoothness, dense.row_smoothness, rtol=1e-12)
    assert sparse.row_smoothness[1] == 0.0
    for name in ("ef21-page", "vr-marina"):
        a, b = (solve(one, METHODS[name](stepsize=0.1, batch=2), rounds=8, tol=0.0).x for one in (sparse, dense))
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_what_is_no_setting_is_refused_in_words():
    with pytest.raises(ValueError, match="p: given None, must be a probability"):
        METHODS["ef21-page"](p=None)
    with pytest.raises(TypeError, match="compressor: given 5, must be a Compressor"):
        METHODS["vr-marina"](compressor=5)


def test_a_step_of_theory_needs_bounds_of_rows():
    with pytest.raises(ValueError, match="give stepsize=NUMBER"):
        solve(dense_glm("poisson"), METHODS["ef21-page"](), rounds=1)
    assert solve(dense_glm("poisson"), METHODS["ef21-page"](stepsize=1e-3), rounds=1, tol=0.0).rounds == 1
