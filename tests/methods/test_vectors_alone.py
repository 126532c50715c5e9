"""Newton-CG, BFGS, L-BFGS: on every loss, at once with many columns, and what they send. Boxes: test_presets.py."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from cases import dense_glm, functions_problem, sparse_glm
from packet_lengths import packet
from problem_cases import EACH, EACH_LOSS, direct
from scipy.special import log_softmax

import newtonfl as nf
from newtonfl.checks import check_method
from newtonfl.components.step.interpolation import Interpolation
from newtonfl.core.symmetric import triangle
from newtonfl.methods.standalone.newton_cg import forcing

METHODS = ["newton-cg", "newton-cg,preconditioner=jacobi", "l-bfgs", "bfgs"]
EACH_METHOD = pytest.mark.parametrize("method", METHODS)
DRAW = np.random.default_rng(5)
V = DRAW.standard_normal(7)


# --- a Hessian times a vector


@EACH
@EACH_LOSS
def test_a_product_is_the_matrix_times_the_vector(make, loss):
    """Against the sum over single rows; and with the ridge inside."""
    problem = make(loss)
    x = 0.5 * DRAW.standard_normal(problem.dim)
    v = np.resize(V, problem.dim)
    matrices = np.stack([direct(problem, i, x)[2] for i in range(problem.n_clients)])
    for ridge, each in ((0.0, problem), (problem.ridge, problem.with_local_ridge())):
        point = each.at(x)
        np.testing.assert_allclose(point.hessian_product(v), matrices @ v + ridge * v, rtol=1e-12, atol=1e-13)
        diagonals = np.diagonal(matrices, axis1=1, axis2=2) + ridge
        np.testing.assert_allclose(point.hessian_diagonal(), diagonals, rtol=1e-12, atol=1e-13)
    assert not problem.hessian_counts.any()  # no matrix was formed


def test_functions_multiply_by_the_matrices_that_they_give():
    problem, _ = functions_problem()
    point = problem.at(np.zeros(problem.dim))
    expected = [point.hessian(i) @ np.resize(V, problem.dim) for i in range(problem.n_clients)]
    np.testing.assert_allclose(point.hessian_product(np.resize(V, problem.dim)), expected, rtol=1e-14)
    assert (problem.hessian_counts == 1).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_the_multinomial_hessian_is_that_of_the_formula(sparse):
    """(n/N) Σ_j Qᵀ(diag p - ppᵀ)Q ⊗ a aᵀ over 2,100 rows of two clients: more than are spread out at once."""
    rows = DRAW.standard_normal((2100, 3)) * (DRAW.random((2100, 3)) < 0.6)
    labels = DRAW.integers(0, 4, 2100)
    problem = nf.from_arrays(scipy.sparse.csr_array(rows) if sparse else rows, labels, "multinomial", clients=2)
    x, v = DRAW.standard_normal(problem.dim), np.resize(V, problem.dim)
    q = scipy.linalg.helmert(4).T
    p = np.exp(log_softmax(rows @ x.reshape(3, 3).T @ q.T, axis=1))
    for i, part in enumerate((slice(0, 1050), slice(1050, 2100))):
        expected = np.zeros((9, 9))
        for a, chances in zip(rows[part], p[part], strict=True):
            expected += np.kron(q.T @ (np.diag(chances) - np.outer(chances, chances)) @ q, np.outer(a, a)) / 1050
        point = problem.at(x)
        np.testing.assert_allclose(point.hessian(i), expected, rtol=0, atol=1e-13)
        np.testing.assert_allclose(point.hessian_product(v)[i], expected @ v, rtol=0, atol=1e-12)
        np.testing.assert_allclose(point.hessian_diagonal()[i], np.diag(expected), rtol=0, atol=1e-13)


# --- solutions


def rows_and_targets(loss: str) -> tuple[np.ndarray, np.ndarray]:
    """120 rows in columns of scales from 0.1 to 10, and targets that the loss takes; no plane parts the classes."""
    draw = np.random.default_rng(8)
    rows = draw.standard_normal((120, 6)) * np.logspace(-1, 1, 6)
    t = rows @ (draw.standard_normal(6) / np.logspace(-1, 1, 6))
    noise = 2.0 * draw.logistic(size=120)
    if loss == "multinomial":
        return rows, np.argmax(np.outer(t, [1.0, 2.0, 0.0]) + draw.gumbel(size=(120, 3)), axis=1)
    if loss in ("logistic", "squared-hinge"):
        return rows, np.where(t + noise > 0, 1.0, -1.0)
    return rows, draw.poisson(np.exp(np.clip(t, -2, 2))).astype(float) if loss == "poisson" else t + noise


CASES = list(
    product(["logistic", "squared", "poisson", "huber:0.5", "squared-hinge", "multinomial"], [0.0, 1e-2], [1, 5])
)


@EACH_METHOD
@pytest.mark.parametrize("loss, l2, clients", CASES)
def test_every_loss_with_intercept_and_without_ridge(method, loss, l2, clients):
    """The gradient is that of another formula's differences at the end: 1e-9 by the library's, 1e-6 by theirs."""
    rows, y = rows_and_targets(loss)
    for intercept in (False, True):
        problem = nf.from_arrays(rows, y, loss, l2=l2, intercept=intercept, clients=clients)
        result = nf.solve(problem, method, tol=1e-9, rounds=600)
        assert result.converged, result.reason
        value = total_value(rows, y, loss, l2, intercept)
        assert np.abs(scipy.optimize.approx_fprime(result.x, value, 1e-7)).max() <= 1e-4
        for _ in range(3):
            assert value(result.x) <= value(result.x + 1e-3 * DRAW.standard_normal(problem.dim))


def total_value(rows, y, loss, l2, intercept):
    """f by SciPy and NumPy alone."""
    whole = np.hstack([rows, np.ones((len(rows), 1))]) if intercept else rows
    free = np.arange(whole.shape[1]) >= rows.shape[1]

    def value(x):
        table = x.reshape(-1, whole.shape[1])
        ridge = 0.5 * l2 * float(np.sum(table[:, ~free] ** 2))
        if loss == "multinomial":
            likely = log_softmax(whole @ table.T @ scipy.linalg.helmert(3), axis=1)
            return ridge - np.mean(likely[np.arange(len(y)), y])
        t = whole @ x
        each = {
            "logistic": lambda: np.logaddexp(0.0, -y * t),
            "squared": lambda: (t - y) ** 2 / 2,
            "poisson": lambda: np.exp(t) - y * t,
            "huber:0.5": lambda: scipy.special.huber(0.5, t - y),
            "squared-hinge": lambda: np.maximum(0.0, 1.0 - y * t) ** 2,
        }
        return ridge + np.mean(each[loss]())

    return value


@EACH_METHOD
def test_straight_losses_without_a_ridge_are_left_behind(method):
    """Huber's with targets of a million δ: no curvature on the way, and next to none at the median."""
    draw = np.random.default_rng(9)
    rows = draw.standard_normal((40, 2))
    problem = nf.from_arrays(rows, 1e6 * (rows @ [1.0, -2.0]) + draw.standard_t(2.0, 40), "huber:1", clients=3)
    assert not problem.at(np.zeros(2)).hessian_product(np.ones(2)).any()
    result = nf.solve(problem, method, tol=1e-9)
    assert result.converged and result.rounds <= 100, (result.reason, result.rounds)
    np.testing.assert_allclose(result.x, [1e6, -2e6], rtol=0, atol=1.0)


def test_squares_without_curvature_in_most_columns():
    """Twelve rows of 40 columns: a least-squares solution, the shortest, for conjugate gradients stay in the rows."""
    rows, y = DRAW.standard_normal((12, 40)), DRAW.standard_normal(12)
    for method in ("newton-cg", "l-bfgs"):
        result = nf.solve(nf.from_arrays(rows, y, "squared", clients=3), method, tol=1e-11)
        np.testing.assert_allclose(result.x, np.linalg.pinv(rows) @ y, rtol=0, atol=1e-8)


def test_no_gradient_no_step():
    problem = nf.from_arrays(np.eye(3), np.zeros(3), "squared", clients=3)
    for method in METHODS:
        result = nf.solve(problem, method, tol=0.0, rounds=2)
        assert not result.x.any() and result.history[-1].gradient_norm == 0.0


# --- what is sent


@pytest.mark.parametrize("jacobi", [False, True])
def test_newton_cgs_bytes_are_its_packets(jacobi):
    problem = dense_glm()
    d = problem.dim
    method = nf.newton_cg(preconditioner="jacobi" if jacobi else "none", products=2, line_search=4)
    result = nf.solve(problem, method, rounds=1, tol=0.0)
    first = {"gradient": d, "diagonal": d} if jacobi else {"gradient": d}
    record = result.history[1]
    products = record.exchanges - 2
    assert products in (1, 2)
    assert record.bytes_up == packet(value=1, **first) + products * packet(product=d) + packet(trials=5)
    assert record.bytes_down == packet(model=d) + products * packet(direction=d) + packet(direction=d, trials=1)
    assert record.formula_bits_up == 32 * (1 + len(first) * d + products * d + 5) and record.hessians == 0


def test_l_bfgss_bytes_are_its_packets():
    problem = sparse_glm()
    record = nf.solve(problem, nf.l_bfgs(), rounds=1, tol=0.0).history[1]
    searches = record.exchanges - 1
    assert record.bytes_up == packet(gradient=problem.dim) + searches * packet(value=4)
    assert record.bytes_down == packet(model=problem.dim) + searches * packet(direction=problem.dim, trials=1)


@EACH_METHOD
def test_the_checks_of_methods_pass(method):
    check_method(nf.newton_cg(preconditioner="jacobi") if "jacobi" in method else registered(method), sparse_glm(n=5))


def registered(name):
    return {"newton-cg": nf.newton_cg, "l-bfgs": nf.l_bfgs, "bfgs": nf.bfgs}[name]()


def test_l_bfgs_goes_with_other_gradients_and_wires():
    problem = nf.load("breast_cancer", clients=7)
    for settings in ({"gradient": "topk:25"}, {"wire": "float32"}, {"ridge": "clients"}):
        assert nf.solve(problem, nf.l_bfgs(**settings), tol=1e-8, rounds=800).converged, settings


# --- single parts


def test_forcing_is_eisenstats_and_walkers():
    phi = (1 + 5**0.5) / 2
    assert forcing(3.0, float("nan"), 0.5) == 0.5
    assert forcing(1.0, 100.0, 0.2) == pytest.approx(0.9 * 0.01**phi)  # 0.9·0.2^φ is below 0.1, and says nothing
    assert forcing(1.0, 100.0, 0.5) == pytest.approx(0.9 * 0.5**phi)  # not much below the last
    assert forcing(1.0, 1.1, 0.1) == 0.5


@pytest.mark.parametrize("least", [0.03, 0.3, 0.8, 1.3])
def test_a_parabolas_least_is_found(least):
    rule = Interpolation(0.5, 3)
    f = lambda t: 3.0 + (t - least) ** 2  # noqa: E731
    asked = []
    found = rule.search(-2 * least, lambda first: asked.append(first) or f(rule.steps(first)))
    assert found == pytest.approx(least, rel=1e-12)
    assert (len(asked) > 1) == (least < 0.25)


def test_a_parabolas_least_beyond_all_steps_is_not_trusted():
    rule = Interpolation(0.5, 3)
    assert rule.search(-20.0, lambda first: (rule.steps(first) - 10.0) ** 2) == 2.0
    assert rule.search(-1e-16, lambda first: 5.0 + rule.steps(first)) == 1.0  # nothing but rounding is left
    with pytest.raises(ArithmeticError, match="no trial step"):
        rule.search(-1.0, lambda first: 5.0 + rule.steps(first))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.newton_cg(products=0), "products: given 0"),
        (lambda: nf.newton_cg(line_search=0), "line_search: given 0, must be a whole number from 1 to 1000"),
        (lambda: nf.newton_cg(armijo=0.7), "armijo: given 0.7"),
        (lambda: nf.newton_cg(preconditioner="ssor"), "preconditioner: given 'ssor'"),
        (lambda: nf.l_bfgs(memory=0), "memory: given 0"),
        (lambda: nf.l_bfgs(backtrack=1.0), "backtrack: given 1.0"),
        (lambda: nf.l_bfgs(line_search=True), "line_search: given True"),
        (lambda: nf.newton_cg().resolved(nonconvex()), "newton-cg needs convex functions"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def nonconvex():
    return nf.from_arrays(np.eye(3), np.array([1.0, -1.0, 1.0]), nonconvex=0.1, clients=1)


def test_l_bfgs_serves_what_is_not_convex():
    result = nf.solve(nonconvex(), nf.l_bfgs(), x0=np.array([1.0, -2.0, 0.5]), tol=1e-9)
    assert result.converged


def test_a_triangles_tables_are_not_made():
    triangle.cache_clear()
    problem = dense_glm()
    nf.solve(problem, "newton-cg", tol=1e-9)
    assert "square" not in vars(triangle(problem.dim)) and "upper" not in vars(triangle(problem.dim))
