"""FLIX: each client keeps some of its own minimiser, and every method works on what is left to agree on."""

from __future__ import annotations

import local_methods as L
import numpy as np
import pytest
import transcriptions as T
from scipy.optimize import minimize

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.core.random import SERVER, Key

N, M, D, RIDGE, ALPHA = 5, 20, 4, 0.05, 0.6


def data(loss="logistic"):
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(N, M, D)) * np.linspace(0.5, 2.0, N)[:, None, None]
    labels = generator.choice([-1.0, 1.0], (N, M)) if loss == "logistic" else generator.normal(size=(N, M))
    return rows, labels


def made(loss="logistic", **more):
    rows, labels = data(loss)
    return nf.from_arrays(rows.reshape(-1, D), labels.ravel(), loss, clients=N, l2=RIDGE, **more)


def client(i, x, rows, labels):
    """f_i with its ridge."""
    return np.mean(np.log1p(np.exp(-labels[i] * (rows[i] @ x)))) + RIDGE / 2 * x @ x


def stars():
    rows, labels = data()
    found = [minimize(lambda x, i=i: client(i, x, rows, labels), np.zeros(D), tol=1e-14).x for i in range(N)]
    return np.stack(found)


def test_the_clients_minimisers_and_the_value():
    rows, labels = data()
    problem = made().flix(ALPHA)
    np.testing.assert_allclose(problem.minimisers, stars(), atol=1e-6)
    x = np.random.default_rng(0).normal(size=D)
    models = ALPHA * x + (1 - ALPHA) * problem.minimisers
    np.testing.assert_allclose(problem.models(x), models, rtol=1e-15)
    expected = [client(i, model, rows, labels) for i, model in enumerate(models)]
    np.testing.assert_allclose(problem.at(x).value, expected, rtol=1e-13)


@pytest.mark.parametrize("loss", ["logistic", "squared", "huber"])
def test_the_problem_keeps_what_problems_promise(loss):
    check_problem(made(loss).flix(ALPHA))


@pytest.mark.parametrize(
    "method",
    [
        "newton",
        "bl1,basis=symmetric",
        "fednl",
        "newton-3pc",
        "gd",
        "ef21,stepsize=theory*8",
        "i-scaffnew",
        "fednl-pp",
        "fednl-cr",
    ],
)
def test_methods_find_what_a_general_minimiser_finds(method):
    rows, labels = data()
    own = stars()
    f = lambda x: np.mean([client(i, ALPHA * x + (1 - ALPHA) * own[i], rows, labels) for i in range(N)])  # noqa: E731
    found = minimize(f, np.zeros(D), tol=1e-14).x
    result = nf.solve(made().flix(ALPHA), method, rounds=3000, tol=1e-9)
    np.testing.assert_allclose(result.x, found, atol=2e-6)


def test_all_of_x_is_the_problem_itself():
    whole, same = made(), made().flix(1.0)
    x = np.random.default_rng(1).normal(size=D)
    np.testing.assert_array_equal(same.at(x).gradient, whole.with_local_ridge().at(x).gradient)
    np.testing.assert_array_equal(same.at(x).hessians.values, whole.with_local_ridge().at(x).hessians.values)


def test_i_scaffnew_on_it_is_scafflix():
    """Scafflix (2305.13170): gradients at x̃_i = αx_i + (1-α)x_i*, steps γ_i/α, weights α²/γ_i, h by pα/γ_i."""
    problem, p = made().flix(ALPHA), 0.3
    rows, labels = data()
    dense = T.Logistic(list(rows), list(labels), RIDGE)
    gammas = 1 / (made().client_smoothness + RIDGE)
    points, h = [np.zeros(D)] * N, [np.zeros(D)] * N
    ours = []
    nf.solve(problem, nf.i_scaffnew(p=p), rounds=30, tol=0.0, callback=lambda record, state: ours.append(state.x))
    for k in range(30):
        for _ in range(int(Key(0, k, SERVER).to("steps").generator().geometric(p))):
            tilted = [ALPHA * x + (1 - ALPHA) * star for x, star in zip(points, problem.minimisers, strict=True)]
            points = [
                x - gammas[i] / ALPHA * (L.gradient(dense, tilted[i], i) - h[i]) for i, x in enumerate(points)
            ]  # fmt: skip
        weights = ALPHA**2 / gammas
        mean = sum(w * x for w, x in zip(weights, points, strict=True)) / weights.sum()
        h = [own + p * ALPHA / g * (mean - x) for own, g, x in zip(h, gammas, points, strict=True)]
        points = [mean] * N
        assert np.abs(ours[k + 1] - mean).max() < 1e-9
    assert np.linalg.norm(ours[-1] - ours[0]) > 0.1


def test_some_clients_alone():
    problem = made().flix(ALPHA)
    x = np.ones(D)
    part = problem.select(np.array([3, 1]))
    np.testing.assert_array_equal(part.at(x).gradient, problem.at(x).gradient[[3, 1]])


def test_the_bound_of_single_rows_is_that_of_squared_rows():
    problem, (rows, _) = made("squared").flix(ALPHA), data("squared")
    squares = np.einsum("nmd,nme,nmf,nmf->nde", rows, rows, rows, rows) / M  # of a aᵀ
    expected = ALPHA**2 * np.sqrt(np.linalg.eigvalsh(squares)[:, -1])
    np.testing.assert_allclose(problem.row_smoothness, expected, rtol=1e-6)


def test_models_are_of_one_x():
    problem = made().flix(ALPHA)
    with pytest.raises(ValueError, match=r"x: given shape \(1,\), must be"):
        problem.models(np.zeros(1))


def test_what_cannot_be_is_refused():
    for alpha in (0.0, 1.5, True, "half"):
        with pytest.raises(ValueError, match="alpha: given"):
            made().flix(alpha)
    rows, labels = data()
    with pytest.raises(ValueError, match="give an l2 > 0"):
        nf.from_arrays(rows.reshape(-1, D), labels.ravel(), clients=N).flix(0.5)
    with pytest.raises(ValueError, match="non-convex"):
        nf.from_arrays(rows.reshape(-1, D), labels.ravel(), clients=N, l2=0.1, nonconvex=0.1).flix(0.5)
