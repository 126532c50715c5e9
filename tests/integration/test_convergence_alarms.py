"""False alarms and false peace: what converged means, when a fit warns, and problems without a minimiser."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import scipy.special
from mpi_launch import launch
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import newtonfl as nf
from newtonfl.objectives.multinomial import contrasts
from newtonfl.solver.result import Reason
from newtonfl.solver.rounding import at_rounding_level
from newtonfl.solver.session import Session

SEARCHED = "newton-3pc,compressor=topk:4d,line_search=5,armijo=0.1"


def draw(seed, n=80, d=4):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(n, d))


def fitted(model, X, y, **more):
    """The fitted model and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **more)
    assert all(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return model, [str(warning.message) for warning in caught]


def least_squares(X, t, alpha):
    """Ridge with an intercept by elimination in extended precision, columns scaled first."""
    wide = np.longdouble
    B = np.column_stack([X, np.ones(len(X))]).astype(wide)
    s = np.sqrt((B**2).mean(axis=0))
    B /= s
    penalty = np.append(np.full(X.shape[1], wide(alpha)), wide(0)) / s**2
    A, b = B.T @ B / len(X) + np.diag(penalty), B.T @ t.astype(wide) / len(X)
    for i in range(len(b)):
        for j in range(i + 1, len(b)):
            factor = A[j, i] / A[i, i]
            A[j] -= factor * A[i]
            b[j] -= factor * b[i]
    x = np.zeros(len(b), wide)
    for i in reversed(range(len(b))):
        x[i] = (b[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x, s


# -- a tolerance relative to the problem's scale


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("column", [1e-6, 1.0])
@pytest.mark.parametrize("start", [0.0, 1e4])
def test_the_relative_tolerance_knows_no_units(unit, column, start):
    """Gradient descent: as many rounds in any units, and exactly until ‖∇f(x)‖ ≤ rtol ‖∇f(0)‖."""
    _, X = draw(0)
    X, t = X * column, unit * (X @ [1, 2, 3, 4])
    problem = nf.from_arrays(X, t, "squared", l2=1e-2 * column**2)
    method, x0 = nf.gd(stepsize=0.5 / column**2), np.full(4, start * unit / column)
    result = nf.solve(problem, method, tol=0.0, rtol=1e-6, x0=x0)
    at_zero = np.linalg.norm(X.T @ t) / len(t)
    norms = [record.gradient_norm for record in result.history]
    assert result.reason is Reason.CONVERGED_RELATIVE and result.converged
    assert norms[-1] <= 1e-6 * at_zero * (1 + 1e-12) and min(norms[:-1]) > 1e-6 * at_zero * (1 - 1e-12)
    same = nf.solve(nf.from_arrays(X / column, t / unit, "squared", l2=1e-2), nf.gd(stepsize=0.5), tol=0.0, rtol=1e-6,
                    x0=np.full(4, start))  # fmt: skip
    assert result.rounds == same.rounds


def test_a_start_at_the_minimiser_ends_at_once_and_one_far_away_does_not():
    _, X = draw(1)
    problem = nf.from_arrays(X, X @ [1, 2, 3, 4] + 1.0, "squared", l2=1e-2)
    x, _ = nf.optimum(problem)
    assert nf.solve(problem, nf.newton(), tol=0.0, rtol=1e-9, x0=x).rounds == 0
    far = nf.solve(problem, nf.gd(stepsize=0.5), tol=0.0, rtol=1e-3, x0=x + 1e6, rounds=5000)
    assert far.reason is Reason.CONVERGED_RELATIVE and np.abs(far.x - x).max() < 1e-2


def test_the_absolute_tolerance_comes_first_and_zero_changes_nothing():
    problem = nf.load("breast_cancer", clients=4)
    plain, both = (nf.solve(problem, nf.newton_3pc(), rtol=rtol) for rtol in (0.0, 1e-300))
    assert plain.reason is both.reason is Reason.CONVERGED and plain.x_sha256 == both.x_sha256
    loose = nf.solve(problem, nf.newton_3pc(), rtol=1e-3)
    assert loose.reason is Reason.CONVERGED_RELATIVE and loose.rounds < plain.rounds
    # What was sent, too: the scale is asked for off the ledger.
    assert loose.history[-1].bytes_up == plain.history[loose.rounds].bytes_up
    for wrong in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="rtol: given"):
            nf.solve(problem, nf.newton_3pc(), rtol=wrong)


def test_the_command_line_and_a_file_take_it(tmp_path, capsys):
    from newtonfl.cli.main import main

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--quiet"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    out = run("solve", "breast_cancer", "--tol", 0, "--rtol", 1e-4, "--out", tmp_path / "a")
    assert "converged: the gradient norm reached the tolerance relative to its norm at zero" in out
    assert "rtol = 0.0001" in (tmp_path / "a" / "run.toml").read_text()
    run("solve", tmp_path / "a" / "run.toml", "--out", tmp_path / "b")  # from its [run]
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in "ab")
    assert one["x_sha256"] == two["x_sha256"] and two["converged"] and one["reason"] == two["reason"]


# -- rounding is no alarm


@pytest.mark.parametrize("unit", [1.0, 1e6, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("scales", [np.ones(4), 10.0 ** np.array([-6, 0, 3, 6])], ids=["plain", "scaled"])
def test_an_exact_ridge_does_not_warn(unit, offset, scales):
    rng, X = draw(2)
    t = unit * (offset + X @ [1, 2, 3, 4] + rng.normal(size=80))
    model, told = fitted(nf.FederatedRidge(alpha=1e-3, max_rounds=300), X * scales, t)
    x, s = least_squares(X * scales, t, 1e-3)
    error = np.abs(np.append(model.coef_, model.intercept_) * s - x)
    assert not told and error.max() <= 1e-13 * np.abs(x).max()
    assert (error[:-1] <= 1e-8 * np.abs(x[:-1]) + 1e-15 * np.abs(x).max()).all()


def test_rounding_has_its_reason_where_it_was_asked_for():
    rng, X = draw(2)
    problem = nf.from_arrays(X, 1e6 * (X @ [1, 2, 3, 4] + rng.normal(size=80)), "squared", l2=1e-3)
    assert nf.solve(problem, nf.newton_3pc()).reason is Reason.STALLED
    result = nf.solve(problem, nf.newton_3pc(), rtol=1e-30)
    assert result.reason is Reason.ROUNDING and result.converged


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_gradient_is_rounding_at_the_solution_and_beside_it_is_not(seed, offset):
    """The rounded solution; and with any one coefficient off by 1e-11 of itself, on columns of 1e-6 to 1e6."""
    rng, X = draw(seed, 90, 6)
    X *= 10.0 ** rng.permutation([-6, -3, 0, 0, 3, 6])
    t = 1e5 * (offset + (X / np.abs(X).max(axis=0)) @ rng.choice([-1, 1], 6) + 0.1 * rng.normal(size=90))
    problem = nf.from_arrays(X, t, "squared", l2=0.0, intercept=True, clients=5)
    x, s = least_squares(X, t, 0.0)
    x = (x / s).astype(float)
    off = 1.0 + np.diag(np.append(np.full(6, 1e-11 * max(1.0, offset)), 1e-11))
    with Session(problem, nf.newton()) as session:
        assert at_rounding_level(session, x)
        assert [at_rounding_level(session, x * row) for row in off] == [False] * 7
        session.end({})


@pytest.mark.parametrize("rounds", [10, 31, 40])
def test_a_flat_minimiser_of_own_functions_is_not_rounding_from_afar(rounds):
    """(x - 100)⁶ by Newton's steps, each of which leaves 4/5 of the way: its slope at zero is 6e10."""
    flat = nf.FromFunctions(
        1, 1, lambda i, x: float(np.sum((x - 100) ** 6)), lambda i, x: 6 * (x - 100) ** 5,
        lambda i, x: np.diag(30 * (x - 100) ** 4),
    )  # fmt: skip
    result = nf.solve(flat, nf.newton(), tol=0.0, rtol=1e-300, rounds=rounds)
    assert result.reason is Reason.ROUND_LIMIT and abs(result.x[0] - 100) > 0.01


def test_a_relative_tolerance_asks_nothing_of_functions_without_a_value_at_zero():
    import math

    def value(i, x):
        return x[0] - math.log(x[0])

    def gradient(i, x):
        return np.array([1 - 1 / float(x[0])])

    own = nf.FromFunctions(2, 1, value, gradient, lambda i, x: np.array([[x[0] ** -2]]))
    result = nf.solve(own, nf.newton(line_search=10), x0=np.array([0.5]), rtol=1e-6)
    assert result.reason is Reason.CONVERGED and abs(result.x[0] - 1) < 1e-9


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("column", [1e-6, 1.0, 1e6])
def test_few_rounds_still_warn(rounds, column):
    """One column in other units: a norm of the gradient would be the other columns', or this one's alone."""
    rng, X = draw(3, 120)
    y = rng.poisson(np.exp(0.3 * X.sum(axis=1) + 3.0))
    X[:, 0] *= column
    _, told = fitted(nf.FederatedPoissonRegressor(max_rounds=rounds), X, y)
    assert len(told) == 1 and "the round limit was reached" in told[0]


def test_ill_conditioned_columns_without_penalty_warn_until_they_are_found():
    rng, X = draw(4, 120)
    X[:, 3] = X[:, 0] + 1e-4 * X[:, 3]
    y = rng.poisson(np.exp(0.3 * X[:, :3].sum(axis=1)))
    for rounds in (2, 4, 6, 8, 12, 1000):
        model, told = fitted(nf.FederatedPoissonRegressor(alpha=0.0, max_rounds=rounds), X, y)
        # The equations themselves, in extended precision, entry by entry against what must cancel in them.
        B = np.column_stack([X, np.ones(120)]).astype(np.longdouble)
        mean = np.exp(B @ np.append(model.coef_, model.intercept_))
        residual = np.abs(B.T @ (mean - y)) / (np.abs(B).T @ (mean + y))
        assert bool(told) == bool(residual.max() > 1e-10), (rounds, told, residual)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_coefficients_round_the_gradient_by_themselves(seed):
    """Counts of 1e5 and nearly equal columns: x itself is rounded, and its neighbours' gradients are as large."""
    rng, X = draw([21, seed], 80, 3)
    X[:, 2] = X[:, 0] + 1e-5 * X[:, 2]
    y = rng.poisson(1e5 * np.exp(0.5 * X[:, 0] + rng.normal(size=80)))
    model, told = fitted(nf.FederatedPoissonRegressor(alpha=0.0, method="newton,line_search=5", max_rounds=40), X, y)
    assert not told and np.abs(model.coef_).max() > 1e3 and model.history_[-1].gradient_norm > 1e-10


def test_targets_near_the_tolerance_warn():
    """tol met by a gradient that was small from the start is no accuracy."""
    rng, X = draw(5, 60, 12)
    t = 1e-9 * (X.sum(axis=1) + rng.normal(size=60))
    slow = {"method": "gd,stepsize=0.05", "max_rounds": 5000}
    _, told = fitted(nf.FederatedRidge(**slow), X, t)
    assert len(told) == 1 and "the start is near tol" in told[0] and "give rtol" in told[0]
    model, told = fitted(nf.FederatedRidge(tol=0.0, rtol=1e-10, **slow), X, t)
    assert not told and model.converged_reason_ == str(Reason.CONVERGED_RELATIVE)
    x, s = least_squares(X, t, 1e-3)
    np.testing.assert_allclose(model.coef_, (x / s)[:-1].astype(float), rtol=1e-7)
    exact, told = fitted(nf.FederatedRidge(), X, t)  # by Newton's steps
    assert bool(told) or np.abs(exact.coef_ - model.coef_).max() <= 1e-6 * np.abs(model.coef_).max()


# -- no minimiser


def recedes(at_least, equal, free):
    """Whether a u in the free coordinates has at_least·u ≥ 0, not all 0, and equal·u = 0: by linear programming."""
    at_least, equal = at_least[:, free], equal[:, free]
    if not free.any() or not len(at_least):
        return False
    sizes = np.abs(np.vstack([at_least, equal])).max(axis=0)
    sizes[sizes == 0] = 1.0
    found = linprog(
        -(at_least / sizes).sum(axis=0), A_ub=-at_least / sizes, b_ub=np.zeros(len(at_least)),
        A_eq=equal / sizes if len(equal) else None, b_eq=np.zeros(len(equal)) if len(equal) else None,
        bounds=[(-1, 1)] * free.sum(), method="highs",
    )  # fmt: skip
    return bool(-found.fun > 1e-7)


def drawn_problem(seed, loss):
    """Rows that a plane separates, almost, not at all, or but for some on it; and whether there is a minimiser."""
    rng = np.random.default_rng([7, seed])
    n, d, intercept = int(rng.integers(6, 60)), int(rng.integers(1, 5)), bool(rng.random() < 0.5)
    l2 = float(rng.choice([0.0, 0.0, 1e-3]))
    A = rng.normal(size=(n, d))
    t = A @ rng.normal(size=d) * rng.choice([0.3, 1, 3, 10])
    if rng.random() < 0.3:
        A = np.round(A)
    if rng.random() < 0.4:
        A = np.c_[A, np.arange(n) < max(2, n // 4)]
    if rng.random() < 0.2:
        A *= 10.0 ** rng.uniform(-2, 2, A.shape[1])
    noise, some = rng.normal(size=n) * rng.choice([0, 0.1, 1]), A.shape[1] > d and rng.random() < 0.5
    if loss == "logistic":
        y = np.where(t + noise > 0, 1.0, -1.0)
        y[: max(2, n // 4) * some] = 1.0
        y[:2] = (1.0, -1.0) if len(set(y)) < 2 else y[:2]
    elif loss == "multinomial":
        y = np.digitize(t + noise, [-0.4, 0.4])
        y[:3] = 0, 1, 2
        y[3 : max(3, n // 4 * some)] = 1
    else:
        y = rng.poisson(np.exp(np.clip(t, -5, 2))) * float(rng.random() < 0.8)
        y[: max(2, n // 4) * some] = 0.0
    problem = nf.from_arrays(A, y, loss, l2=l2, intercept=intercept, clients=4)
    B, free = np.c_[A, np.ones(n)] if intercept else A, problem.ridge == 0.0
    none = np.zeros((0, problem.dim))
    if loss == "logistic":
        return problem, recedes(y[:, None] * B, none, free)
    if loss == "poisson":
        return problem, recedes(-B[y == 0], B[y > 0], free)
    Q = contrasts(3)
    rows = [np.kron(Q[own] - Q[k], a) for a, own in zip(B, y, strict=True) for k in range(3) if k != own]
    return problem, recedes(np.array(rows), none, free)


@pytest.mark.parametrize("loss", ["logistic", "multinomial", "poisson"])
def test_no_minimiser_is_said_where_linear_programming_finds_none(loss):
    """Every verdict at the solution, and no false alarm after a few rounds either."""
    verdicts = []
    for seed in range(40):
        problem, missing = drawn_problem(seed, loss)
        runs = ((SEARCHED, 3), (SEARCHED, 6), (nf.newton(line_search=5), 1000))
        reasons = [nf.solve(problem, method, rounds=rounds).reason for method, rounds in runs]
        if not missing:
            assert Reason.NO_MINIMISER not in reasons, seed
        verdicts.append((missing, reasons[-1] is Reason.NO_MINIMISER))
    assert verdicts.count((True, True)) >= 5 and verdicts.count((False, False)) >= 10
    assert (True, False) not in verdicts


def test_one_row_on_the_wrong_side_of_many_is_a_minimiser():
    """Nearly separable: the one row's loss grows by 1e-6 of a unit of x and 1/3000 of the weight."""
    _, X = draw(6, 3000, 2)
    y = np.sign(X @ [1.0, 2.0])
    X[7] *= 1e-3
    y[7] *= -1
    problem = nf.from_arrays(X, y, "logistic")
    assert not recedes(y[:, None] * X, np.zeros((0, 2)), np.ones(2, bool))
    for rounds in (1, 2, 4, 8, 16, 1000):
        assert nf.solve(problem, SEARCHED, rounds=rounds).reason is not Reason.NO_MINIMISER


@pytest.mark.parametrize("shift", [1e2, 1e3, 1e6])
def test_a_column_far_from_zero_is_no_lack_of_a_minimiser(shift):
    """Counts: an intercept shifts the column back, and without it values are exp(1000)."""
    rng, X = draw(13, 200, 3)
    y = rng.poisson(np.exp(0.5 * X[:, 0]))
    far = X * [10.0, 1.0, 1.0] + [shift, 0.0, 0.0]
    model, warned = fitted(nf.FederatedPoissonRegressor(), far, y)
    near = nf.FederatedPoissonRegressor().fit(far - [shift, 0.0, 0.0], y)
    assert not warned and np.abs(model.coef_ - near.coef_).max() < 1e-6


def test_rows_that_hardly_weigh_are_a_minimiser():
    """Weights of 1e-7: the intercepts end at ±11, and the last step, of 1e-6 of them, leads nowhere."""
    rng, X = draw(12, 50, 2)
    y = rng.integers(0, 3, 50)
    for classes in (2, 3):
        weights = {label: 1e-4 if label else 1e3 for label in range(classes)}
        model = nf.FederatedLogisticRegression(tol=1e-12, class_weight=weights)
        _, told = fitted(model, 10 * X, y % classes)
        assert not told


def test_losses_that_reach_their_infimum_have_a_minimiser():
    _, X = draw(7)
    y = np.sign(X @ [1, 2, 3, 4])
    assert nf.solve(nf.from_arrays(X, y, "squared-hinge"), SEARCHED).reason is Reason.CONVERGED
    assert nf.solve(nf.from_arrays(X, y, "logistic", l2=1e-6), SEARCHED).reason is Reason.CONVERGED
    with_intercept = nf.from_arrays(X, y, "logistic", l2=1e-6, intercept=True)
    assert nf.solve(with_intercept, SEARCHED).reason is Reason.CONVERGED


def test_the_answer_costs_nothing_on_the_wire_and_is_the_same_for_any_clients():
    _, X = draw(7)
    y = np.sign(X @ [1, 2, 3, 4])
    results = [nf.solve(nf.from_arrays(X, y, "logistic", clients=n), nf.newton(line_search=5)) for n in (1, 7)]
    assert {result.reason for result in results} == {Reason.NO_MINIMISER} and not results[0].converged
    last = results[0].history[-1]
    assert last.bytes_up * 1 == results[0].ledger.totals()["bytes"]["up"]["total"] and last.gradient_norm <= 1e-10


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (nf.FederatedLogisticRegression(alpha=0.0), [0, 0, 0, 1, 1, 1]),
        (nf.FederatedLogisticRegression(alpha=0.0), list("aabbcc")),
        (nf.FederatedLogisticRegression(alpha=0.0, multi_class="ovr"), list("aabbcc")),
        (nf.FederatedPoissonRegressor(), [0, 0, 0, 0, 0, 0]),
    ],
    ids=["two", "multinomial", "ovr", "poisson"],
)
def test_estimators_warn_of_it(model, y):
    X = np.array([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0]])
    model, told = fitted(clone(model), X, y)
    assert len(told) == 1 and "there is no minimiser" in told[0] and "alpha > 0" in told[0]
    assert model.converged_reason_ == str(Reason.NO_MINIMISER)
    _, told = fitted(clone(model).set_params(alpha=1e-3, fit_intercept=False), X, y)
    assert not told


# -- probabilities, weights, and others' parameters


def test_log_probabilities_are_finite():
    rng, X = draw(8, 90)
    two = nf.FederatedLogisticRegression().fit(X, X[:, 0] + rng.normal(size=90) > 0)
    y = np.digitize(X[:, 0] + rng.normal(size=90), [-0.5, 0.5])
    joint = nf.FederatedLogisticRegression().fit(X, y)
    rest = nf.FederatedLogisticRegression(multi_class="ovr").fit(X, y)
    for model in (two, joint, rest):
        for size in (1.0, 1e2, 1e4):
            z = size * rng.normal(size=(20, 4))
            scores, got = model.decision_function(z), model.predict_log_proba(z)
            if model is two:
                scores = np.column_stack([np.zeros(20), scores])
            wide = scores.astype(np.longdouble)
            if model is rest:
                wide = np.minimum(wide, 0) - np.log1p(np.exp(-np.abs(wide)))  # log expit
            top = wide.max(axis=1, keepdims=True)
            right = wide - top - np.log(np.exp(wide - top).sum(axis=1, keepdims=True))
            assert np.isfinite(got).all()
            np.testing.assert_allclose(got, right.astype(float), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(np.exp(got), model.predict_proba(z), atol=1e-13)
    z = two.coef_ * (40 / np.linalg.norm(two.coef_) ** 2)
    np.testing.assert_allclose(
        two.predict_log_proba(z)[0, 0], scipy.special.log_expit(-two.decision_function(z))[0], rtol=1e-14
    )


@pytest.mark.parametrize("weights", [{0: 0, 1: 1, 2: 1}, {0: 0.0, 1: 2.0, 2: 0.5}])
def test_a_class_of_weight_zero_is_as_in_scikit_learn(weights):
    rng, X = draw(9, 90)
    y = np.digitize(X[:, 0] + rng.normal(size=90), [-0.5, 0.5])
    total = sum(weights[label] for label in y)
    model = nf.FederatedLogisticRegression(nf.alpha_from_C(2.0, total), fit_intercept=False, class_weight=weights)
    model, told = fitted(model, X, y)
    theirs = LogisticRegression(
        C=2.0, fit_intercept=False, class_weight=weights, tol=1e-12, max_iter=5000, solver="newton-cg"
    ).fit(X, y)
    assert not told and model.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-7)
    # With an intercept that nothing holds there is no minimiser: the class without weight becomes ever less likely.
    model, told = fitted(clone(model).set_params(fit_intercept=True), X, y)
    assert len(told) == 1 and "there is no minimiser" in told[0] and model.predict_proba(X)[:, 0].max() < 1e-8
    with pytest.raises(ValueError, match="not 0 for all"):
        clone(model).set_params(class_weight=dict.fromkeys(range(3), 0)).fit(X, y)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("C", r"^C: FederatedRidge has alpha, and alpha_from_C\(C, N\)"),
        ("max_iter", "^max_iter: FederatedRidge has max_rounds"),
        ("solver", "^solver: FederatedRidge has method"),
        ("penalty", "the ridge alone"),
        ("n_jobs", "clients and ranks"),
        ("l1_ratio", "l1_ratio=0"),
        ("dual", "the primal"),
        ("eps", "tol and rtol"),
    ],
)
def test_parameters_of_other_libraries_are_named_here(name, words):
    with pytest.raises(TypeError, match=words):
        nf.FederatedRidge(**{name: 1})
    with pytest.raises(ValueError, match=words):
        nf.FederatedRidge().set_params(**{name: 1})


def test_other_names_are_refused_as_ever():
    with pytest.raises(TypeError, match="unexpected keyword argument 'alhpa'"):
        nf.FederatedRidge(alhpa=1)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        nf.FederatedRidge().set_params(alhpa=1)
    # What one of ours has is no foreigner there.
    assert nf.FederatedLogisticRegression(multi_class="ovr").multi_class == "ovr"
    with pytest.raises(TypeError, match="multi_class: FederatedLinearSVC has one class against the rest"):
        nf.FederatedLinearSVC(multi_class="ovr")


# -- on several ranks

SCRIPT = """
import sys
import numpy as np
import newtonfl as nf
from mpi4py import MPI
from newtonfl.comm.transport import Fault

comm = MPI.COMM_WORLD
rng = np.random.default_rng(2)
X = rng.normal(size=(80, 4))
line_search = nf.newton(line_search=5)
separable = nf.from_arrays(X, np.sign(X @ [1, 2, 3, 4]), "logistic", clients=6, comm=comm)
ridge = nf.from_arrays(X, 1e6 * (X @ [1, 2, 3, 4] + rng.normal(size=80)), "squared", l2=1e-3, clients=6, comm=comm)
found = [
    nf.solve(separable, line_search), nf.solve(ridge, nf.newton_3pc(), rtol=1e-30),
    nf.solve(ridge, nf.gd(stepsize=0.3), tol=0.0, rtol=1e-6, x0=np.full(4, 1e7)),
]
words = " ".join(f"{result.reason.name} {result.rounds} {result.x_sha256}" for result in found)

def gradient(i, x):
    return (1.0 + i) * x + (np.array([0.0, 1.0, 0.0]) if i == 4 else 0.0)

def hessian(i, x):
    return (1.0 + i) * np.eye(3)

wrong = nf.FromFunctions(6, 3, lambda i, x: (1.0 + i) * x @ x / 2, gradient, hessian, transport=ridge.transport)
try:
    nf.solve(wrong, nf.newton(), x0=np.ones(3))
except (ValueError, Fault) as error:
    words += f" {type(error).__name__}: {error}"
for line in comm.gather(words) or ():
    print(line)
"""


@pytest.mark.mpi
def test_every_rank_says_the_same(tmp_path):
    """One process's verdicts and bits on three ranks; and a wrong function of one rank is refused on all, named."""
    script = tmp_path / "alarms.py"
    script.write_text(SCRIPT)
    alone, three = launch(1, script), launch(3, script)
    assert alone.status == 0 and three.status == 0, alone.err + three.err
    (one,) = alone.out.splitlines()
    lines = three.out.splitlines()
    verdicts = one.split(" ValueError: ")[0]
    assert [word for word in verdicts.split() if word.isupper()] == ["NO_MINIMISER", "ROUNDING", "CONVERGED_RELATIVE"]
    assert len(lines) == 3 and all(line.startswith(verdicts) for line in lines)
    wrong = "gradient(4, x): entry 1 is 6 at the start, must be the derivative of value, whose differences give 5;"
    assert wrong in one and all(wrong in line for line in lines)
    assert all("rank 2, checking the problem's functions" in line for line in lines[:2]) and " ValueError:" in lines[2]
