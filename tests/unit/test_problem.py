"""Problems: the objective's value, gradient, Hessians and constants against direct formulas."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from cases import DIM, as_dense, dense_glm, functions_problem, glm, points, sparse_glm
from problem_cases import EACH, EACH_LOSS, NAMES, direct, on_clients

from newtonfl.core.symmetric import triangle
from newtonfl.kernels import compiled
from newtonfl.objectives.base import Problem
from newtonfl.objectives.functions import FromFunctions
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Huber, Logistic, SquaredHinge


@EACH
@EACH_LOSS
def test_clients_are_their_rows(make, loss):
    """Value, gradient and Hessian of every client are the weighted sums over its rows, the ridge left out."""
    problem = make(loss)
    for x in points(problem, 3):
        point = problem.at(x)
        for i in range(problem.n_clients):
            value, gradient, hessian = direct(problem, i, x)
            assert point.value[i] == pytest.approx(value, rel=1e-13, abs=1e-14)
            np.testing.assert_allclose(point.gradient[i], gradient, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(point.hessian(i), hessian, rtol=1e-12, atol=1e-13)
            np.testing.assert_array_equal(point.hessian(i), point.hessian(i).T)


def kinks(problem: Problem, x: np.ndarray) -> float:
    """How far the nearest margin is from a kink of the loss."""
    if not isinstance(problem, GLM) or not isinstance(problem.loss, Huber | SquaredHinge):
        return np.inf
    t = problem.rows.margins(x)
    r = np.abs(t - problem.labels) - problem.loss.delta if isinstance(problem.loss, Huber) else 1 - t * problem.labels
    return float(np.abs(r).min())


@pytest.mark.parametrize("ridge_inside", [False, True])
@pytest.mark.parametrize("kind", ["functions", *(f"{rows} {name}" for rows in ("dense", "sparse") for name in NAMES)])
def test_derivatives_are_those_of_the_value(kind, ridge_inside):
    """Central differences with h = 1e-5: off by h²·φ‴ and by eps/h, together below 1e-9."""
    rows, _, loss = kind.partition(" ")
    problem = {"functions": lambda _: functions_problem()[0], "dense": dense_glm, "sparse": sparse_glm}[rows](loss)
    problem = problem.with_local_ridge() if ridge_inside else problem
    h, x = 1e-5, points(problem, 1, seed=5)[0]
    assert kinks(problem, x) > 100 * h
    point = problem.at(x)
    gradients, hessians = [], []
    for e in h * np.eye(problem.dim):
        up, down = problem.at(x + e), problem.at(x - e)
        gradients.append((up.value - down.value) / (2 * h))
        hessians.append((up.gradient - down.gradient) / (2 * h))
    np.testing.assert_allclose(point.gradient, np.array(gradients).T, rtol=0, atol=1e-9)
    for i in range(problem.n_clients):
        np.testing.assert_allclose(point.hessian(i), np.array(hessians)[:, i], rtol=0, atol=1e-9)


@EACH_LOSS
def test_sparse_rows_say_what_dense_rows_say(loss):
    """One problem in two layouts, to 1e-12."""
    sparse = sparse_glm(loss)
    dense = as_dense(sparse)
    assert sparse.is_sparse and not dense.is_sparse
    for x in points(sparse, 3):
        for a, b in zip(on_clients(sparse, x), on_clients(dense, x), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_support_holds_every_entry_that_is_not_zero(diagonal, seed):
    """On the support stand the dense Hessian's entries; elsewhere that is exactly zero at every x."""
    problem = sparse_glm(seed=seed)
    dense, support = as_dense(problem), problem.support(diagonal)
    table = triangle(problem.dim)
    for x in points(problem, 2):
        told, whole = problem.at(x).hessians_on_support(diagonal), dense.at(x).hessians
        assert told.offsets.tolist() == support.offsets.tolist()
        for i in range(problem.n_clients):
            assert np.all(np.diff(support[i]) > 0)
            np.testing.assert_allclose(told[i], whole[i][support[i]], rtol=0, atol=1e-12)
            assert not np.delete(whole[i], support[i]).any()
            assert np.isin(table.diagonal, support[i]).all() or not diagonal
    assert support.sizes[1] == (problem.dim if diagonal else 0)  # client 1 has empty rows only
    assert 0 < support.sizes[0] < table.size


def test_the_support_is_where_features_meet():
    """Of rows {0, 2} and {1}: entries (0, 0), (0, 2), (2, 2) and (1, 1)."""
    rows = scipy.sparse.csr_array(np.array([[1.0, 0, 2.0], [0, 3.0, 0]]))
    problem = glm(rows, np.ones(2), [2], Logistic())
    assert problem.support(False)[0].tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize("form", ["numpy", "numba"])
@pytest.mark.parametrize("first", [False, True])
def test_entries_on_the_support_are_sums_row_by_row(first, form):
    """In every bit, whichever of the two supports was asked for first; a client's own part as well."""
    if form == "numba":
        pytest.importorskip("numba")
    with compiled.forced(form):
        entries_on_the_support(first)


def entries_on_the_support(first):
    problem = sparse_glm(n=4)
    x, table = points(problem, 1)[0], triangle(problem.dim)
    dense, offsets = problem.host[0].toarray(), problem.rows.offsets
    weights = problem.at(x).curvatures
    row, column = np.divmod(table.upper, problem.dim)
    for diagonal in (first, not first):
        for part, clients in ((problem, range(4)), (problem.select(np.array([0, 3])), (0, 3))):
            on_support, support = part.at(x).hessians_on_support(diagonal), part.support(diagonal)
            for i, client in enumerate(clients):
                entries = np.zeros(table.size)
                for j in range(offsets[client], offsets[client + 1]):
                    entries += dense[j, row] * dense[j, column] * weights[j]
                assert on_support[i].tobytes() == entries[support[i]].tobytes()
                wanted = (entries != 0) | (np.isin(np.arange(table.size), table.diagonal) & diagonal)
                assert support[i].tolist() == np.flatnonzero(wanted).tolist()


def test_the_ridge_stands_on_the_diagonal_of_the_support():
    """Of each client, where the quadratic is inside; whether or not all of the diagonal is there."""
    problem = sparse_glm(n=4, ridge=np.linspace(0.1, 0.6, DIM))
    x, table, inside = points(problem, 1)[0], triangle(problem.dim), problem.with_local_ridge()
    for diagonal in (False, True):
        ours, plain = (each.at(x).hessians_on_support(diagonal) for each in (inside, problem))
        for i in range(4):
            ridge = np.zeros(table.size)
            ridge[table.diagonal] = problem.ridge
            assert np.array_equal(ours[i], plain[i] + ridge[problem.support(diagonal)[i]])


def test_dense_rows_have_no_support():
    """The refusal says what to use instead."""
    for problem in (dense_glm(), functions_problem()[0]):
        assert not problem.is_sparse
        with pytest.raises(ValueError, match=r"basis=support needs sparse rows.*use basis=symmetric"):
            problem.support(False)


@EACH
def test_a_client_without_rows_has_zero_everywhere(make):
    """At either end and between others, and the others are what they are without it."""
    whole = make(n=3)
    rows, labels, _ = whole.host
    sizes = whole.rows.offsets[1:] - whole.rows.offsets[:-1]
    with_empty = glm(rows, labels, [0, sizes[0], sizes[1], 0, sizes[2], 0], whole.loss)
    x = points(whole, 1)[0]
    for ours, theirs in zip(on_clients(with_empty, x), on_clients(whole, x), strict=True):
        assert not ours[[0, 3, 5]].any()
        np.testing.assert_allclose(ours[[1, 2, 4]], 2 * theirs, rtol=1e-14)  # n/Σw has doubled
    if whole.is_sparse:
        assert with_empty.support(False).sizes[[0, 3, 5]].tolist() == [0, 0, 0]
        assert with_empty.support(True).sizes[[0, 3, 5]].tolist() == [DIM] * 3
        assert with_empty.at(x).hessians_on_support(True)[3].tolist() == [0.0] * DIM


@EACH
@pytest.mark.parametrize("ridge_inside", [False, True])
def test_a_point_for_each_client(make, ridge_inside):
    """At (n, d) points client i tells what it tells at its own point, in the same bits."""
    problem = make().with_local_ridge() if ridge_inside else make()
    each = np.array(points(problem, problem.n_clients))
    together = on_clients(problem, each)
    for i, x in enumerate(each):
        for all_told, alone in zip(together, on_clients(problem, x), strict=True):
            np.testing.assert_array_equal(all_told[i], alone[i])
    functions, _ = functions_problem()
    each = np.array(points(functions, 3))
    for i, x in enumerate(each):
        together, alone = on_clients(functions, each), on_clients(functions, x)
        assert all(np.array_equal(a[i], b[i]) for a, b in zip(together, alone, strict=True))


@EACH
def test_the_ridge_inside_every_client(make):
    """½ Σ ridge_j x_j² in the value, ridge·x in the gradient, diag(ridge) in the Hessian; 0 where not penalised."""
    ridge = np.linspace(0.0, 0.6, DIM)
    problem = make(ridge=ridge)
    local, x = problem.with_local_ridge(), points(problem, 1)[0]
    assert problem.local_ridge is None and local.with_local_ridge() is local and problem.with_local_ridge() is local
    plain, inside = problem.at(x), local.at(x)
    np.testing.assert_allclose(inside.value - plain.value, 0.5 * np.sum(ridge * x * x), rtol=1e-13)
    np.testing.assert_allclose(inside.gradient - plain.gradient, np.tile(ridge * x, (4, 1)), atol=1e-14)
    for i in range(4):
        np.testing.assert_allclose(inside.hessian(i) - plain.hessian(i), np.diag(ridge), atol=1e-14)
        if problem.is_sparse:
            on_support = np.zeros(triangle(DIM).size)
            on_support[problem.support(True)[i]] = inside.hessians_on_support(True)[i]
            np.testing.assert_allclose(on_support, inside.hessians[i], atol=1e-14)
    assert problem.strong_convexity == 0.0 and make().strong_convexity == 0.1


@EACH
@EACH_LOSS
def test_weight_two_is_a_row_twice(make, loss):
    """And weight zero is no row."""
    rows, labels, _ = make(loss).host
    times = np.arange(len(labels)) % 3
    sizes = make(loss).rows.offsets
    repeated = np.repeat(np.arange(len(labels)), times)
    weighted = glm(rows, labels, np.diff(sizes), make(loss).loss, weights=times.astype(float))
    counted = [int(times[a:b].sum()) for a, b in pairwise(sizes)]
    plain = glm(rows[repeated], labels[repeated], counted, make(loss).loss)
    for x in points(weighted, 2):
        for a, b in zip(on_clients(weighted, x), on_clients(plain, x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
        v = points(weighted, 1, seed=9)[0]
        if np.isfinite(weighted.loss.curvature_bound):
            np.testing.assert_allclose(weighted.curvature_product(v), plain.curvature_product(v), atol=1e-13)


@EACH
@EACH_LOSS
def test_the_curvature_product_bounds_every_hessian(make, loss):
    """B_i ⪰ ∇²f_i(x), so that ‖mean B_i‖ ≥ ‖mean ∇²f_i(x)‖; for the squared loss they are equal."""
    problem = make(loss)
    if loss == "poisson":
        with pytest.raises(ValueError, match=r"no smoothness constant L.*stepsize=NUMBER"):
            problem.curvature_product(np.ones(DIM))
        return
    bounds = np.stack([problem.curvature_product(e) for e in np.eye(DIM)], axis=2)  # (n, d, d)
    v = points(problem, 1, seed=3)[0]
    np.testing.assert_allclose(problem.curvature_product(v), bounds @ v, atol=1e-13)
    for x in [*points(problem, 3), np.zeros(DIM)]:
        hessians = np.stack([problem.at(x).hessian(i) for i in range(problem.n_clients)])
        assert np.linalg.eigvalsh(bounds - hessians).min() >= -1e-13
        assert np.linalg.norm(bounds.mean(axis=0), 2) >= np.linalg.norm(hessians.mean(axis=0), 2) * (1 - 1e-14)
    if loss in ("squared", "logistic"):  # logistic's bound is its curvature at 0
        np.testing.assert_allclose(bounds, hessians, atol=1e-13)


@EACH
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_hessians_are_as_smooth_as_stated(make, loss):
    """‖∇²f_i(x) - ∇²f_i(y)‖₂ ≤ L_*i ‖x - y‖, nearly met by one row along its own direction."""
    problem = make(loss)
    constants = problem.hessian_lipschitz
    assert constants.shape == (4,)
    for x, y in zip(points(problem, 20), points(problem, 20, seed=1), strict=True):
        for i, constant in enumerate(constants):
            change = np.linalg.norm(problem.at(x).hessian(i) - problem.at(y).hessian(i), 2)
            assert change <= constant * np.linalg.norm(x - y) * (1 + 1e-12)
    np.testing.assert_array_equal(problem.select(np.array([2, 0])).hessian_lipschitz, constants[[2, 0]])
    if loss == "squared":
        assert constants.tolist() == [0.0] * 4
        return
    a, steepest = np.array([[0.0, 3.0, 4.0]]), np.log(2 + np.sqrt(3.0))  # where φ‴ is largest
    one = glm(a if make is dense_glm else scipy.sparse.csr_array(a), np.ones(1), [1], Logistic(), 2 * np.ones(1))
    u = a[0] / 5
    change = one.at(u * (steepest - 1e-3) / 5).hessian(0) - one.at(u * (steepest + 1e-3) / 5).hessian(0)
    assert np.linalg.norm(change, 2) / (2e-3 / 5) == pytest.approx(one.hessian_lipschitz[0], rel=1e-6)


@pytest.mark.parametrize("loss", ["huber", "squared-hinge", "poisson"])
def test_losses_without_a_bound_state_no_smoothness_of_the_hessian(loss):
    with pytest.raises(ValueError, match="no Lipschitz constant of the Hessian is known for a test"):
        _ = dense_glm(loss).hessian_lipschitz


def test_functions_state_the_smoothness_of_their_hessians_or_none():
    args = (3, 2, lambda i, x: 0.0, lambda i, x: x, lambda i, x: np.eye(2))
    assert FromFunctions(*args, hessian_lipschitz=2.0).hessian_lipschitz.tolist() == [2.0] * 3
    each = FromFunctions(*args, hessian_lipschitz=[1.0, 2.0, 3.0])
    assert each.select(np.array([2, 0])).hessian_lipschitz.tolist() == [3.0, 1.0]
    with pytest.raises(ValueError, match=r"no Lipschitz constant.*give FromFunctions its argument hessian_lipschitz"):
        _ = FromFunctions(*args).hessian_lipschitz
    for wrong in ([1.0, 2.0], -1.0, np.inf, [1.0, np.nan, 2.0]):
        with pytest.raises(ValueError, match=r"hessian_lipschitz: given .* one for each of the 3 clients"):
            FromFunctions(*args, hessian_lipschitz=wrong)


def test_functions_and_their_minimiser():
    """The mean gradient is zero where (Σ A_i) x = Σ b_i, and x is lowest there."""
    problem, minimiser = functions_problem()
    np.testing.assert_allclose(problem.at(minimiser).gradient.mean(axis=0), 0, atol=1e-14)
    lowest = problem.at(minimiser).value.mean()
    assert all(problem.at(minimiser + 0.1 * x).value.mean() > lowest for x in points(problem, 5))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_functions_of_a_wrong_shape_name_the_client(which):
    """The message tells which function, which client, what came and what must come."""
    good = [0.0, np.zeros(3), np.eye(3)]
    name, wrong = [("value", np.zeros(1)), ("gradient", np.zeros((3, 1))), ("hessian", np.zeros((3, 2)))][which]
    shapes = [(), (3,), (3, 3)]

    def function(k):
        return lambda i, x: wrong if (k, i) == (which, 2) else good[k]

    point = FromFunctions(4, 3, *(function(k) for k in range(3))).at(np.zeros(3))
    ask = [lambda: point.value, lambda: point.gradient, lambda: point.hessians][which]
    with pytest.raises(ValueError) as caught:
        ask()
    assert str(caught.value) == f"{name}(2, x): returned shape {wrong.shape}, must be {shapes[which]}"


def test_a_raise_in_a_function_names_the_client():
    """The user's own exception comes through, with a note that has its line."""

    def gradient(i, x):
        return np.full(2, 1 / (i - 1))

    point = FromFunctions(3, 2, lambda i, x: 0.0, gradient, lambda i, x: np.eye(2)).at(np.zeros(2))
    with pytest.raises(ZeroDivisionError) as caught:
        _ = point.gradient
    (note,) = caught.value.__notes__
    line = gradient.__code__.co_firstlineno + 1
    assert re.fullmatch(rf"in the problem's own function for client 1, \S*test_problem\.py, line {line}", note), note


def test_functions_state_their_smoothness_or_none():
    """A given B is everyone's B_i; without one the refusal says what to give."""
    matrix = np.diag([1.0, 2.0])
    args = (3, 2, lambda i, x: 0.0, lambda i, x: x, lambda i, x: np.eye(2))
    known = FromFunctions(*args, smoothness=matrix, l2=0.5)
    np.testing.assert_array_equal(known.curvature_product(np.array([1.0, 1.0])), [[1, 2]] * 3)
    assert known.ridge.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"no smoothness constant L.*stepsize=NUMBER"):
        FromFunctions(*args).curvature_product(np.ones(2))
