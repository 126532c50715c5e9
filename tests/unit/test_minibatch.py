"""Minibatch gradients: unbiased, exact where the batch is everything, in bits that no grouping changes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import strict_device
from cases import DIM, dense_glm, functions_problem, glm, sparse_glm

from newtonfl.core.backend import to_device, to_host
from newtonfl.core.random import Key
from newtonfl.objectives.glm import GLM

KEY = Key(3, 5, purpose="rows")
MAKERS = {"dense": dense_glm, "sparse": sparse_glm}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
INSIDE = pytest.mark.parametrize("ridge_inside", [False, True])
N = 4


def problems(make, ridge_inside: bool) -> tuple[GLM, GLM]:
    """A problem with weights and the regulariser, and the same without regulariser and ridge."""
    rows, labels, _ = make().host
    sizes, weights = np.diff(make().rows.offsets), np.random.default_rng(1).random(len(labels))
    whole = glm(rows, labels, sizes, make().loss, weights, nonconvex=np.linspace(0.0, 0.6, DIM))
    return whole.with_local_ridge() if ridge_inside else whole, glm(rows, labels, sizes, make().loss, weights)


def places() -> list[np.ndarray]:
    draw = np.random.default_rng(2)
    return [draw.standard_normal(DIM), draw.standard_normal((N, DIM))]


def row_gradients(problem: GLM, i: int, x: np.ndarray) -> np.ndarray:
    """w_j φ′(a_jᵀx) a_j of client i's rows, each by itself, shape (m_i, d)."""
    rows, labels, weights = problem.host
    rows = rows.toarray() if scipy.sparse.issparse(rows) else rows
    own = slice(*problem.rows.offsets[i : i + 2])
    share = weights[own] * problem.n_clients / weights.sum()
    return (share * problem.loss.slope(rows[own] @ x, labels[own]))[:, None] * rows[own]


@EACH
@INSIDE
def test_one_row_at_a_time_tells_a_row(make, ridge_inside):
    """With batch = 1 each estimate is m_i times one row's part; every row is drawn, and their mean is the gradient."""
    problem, data = problems(make, ridge_inside)
    for x in places():
        point = problem.at(x)
        added = point.gradient - data.at(x).gradient
        drawn: list[set[int]] = [set() for _ in range(N)]
        for seed in range(120):
            told = point.sampled_gradient(1, Key(seed)) - added
            for i in range(N):
                parts = row_gradients(data, i, x if x.ndim == 1 else x[i])
                away = np.abs(len(parts) * parts - told[i]).max(axis=1)
                drawn[i].add(int(np.argmin(away)))
                assert away.min() <= 1e-13
        for i in range(N):  # rows of equal parts, as empty ones, are known by the first of them
            parts = row_gradients(data, i, x if x.ndim == 1 else x[i])
            first = np.unique(parts.round(12), axis=0, return_index=True)[1]
            assert drawn[i] == set(first.tolist())


@EACH
@INSIDE
@pytest.mark.parametrize("batch", [2, 5])
def test_the_estimate_is_unbiased(make, ridge_inside, batch):
    """The mean over 2000 keys is the gradient, to four standard errors of its own in every entry."""
    problem, _ = problems(make, ridge_inside)
    x = places()[0]
    point = problem.at(x)
    told = np.stack([point.sampled_gradient(batch, Key(seed)) for seed in range(2000)])
    error = told.std(axis=0) / np.sqrt(len(told))
    assert (np.abs(told.mean(axis=0) - point.gradient) <= 4 * error + 1e-13).all()
    assert (error[0] > 1e-3).any()  # it does vary


def test_rows_are_drawn_without_replacement():
    """All but one of m rows: the estimate is m/(m - 1) times the gradient less that one row's part."""
    problem, data = problems(dense_glm, False)
    x, m = places()[0], int(problem.rows.offsets[1])
    point = problem.at(x)
    parts = row_gradients(data, 0, x)
    added = point.gradient[0] - parts.sum(axis=0)
    possible = m / (m - 1) * (parts.sum(axis=0) - parts) + added
    for seed in range(20):
        told = point.sampled_gradient(m - 1, Key(seed))[0]
        assert np.abs(possible - told).max(axis=1).min() <= 1e-13


@EACH
@INSIDE
def test_a_whole_batch_is_the_gradient_bit_for_bit(make, ridge_inside):
    """For the clients of at most that many rows, and for them alone."""
    problem, _ = problems(make, ridge_inside)
    sizes = np.diff(problem.rows.offsets)
    batch = int(np.sort(sizes)[1])
    for x in places():
        point = problem.at(x)
        told = point.sampled_gradient(batch, KEY)
        same = (told == point.gradient).all(axis=1)
        rows = np.array([np.abs(block).max() > 0 for block in map(problem.client_rows, range(N))])
        assert same.tolist() == ((sizes <= batch) | ~rows).tolist() and 0 < same.sum() < N
        assert np.array_equal(point.sampled_gradient(10**9, KEY), point.gradient)


@EACH
@INSIDE
def test_bits_do_not_depend_on_who_shares_a_process(make, ridge_inside):
    """A client draws from its own stream; the same key draws the same, another one others."""
    problem, _ = problems(make, ridge_inside)
    for x in places():
        told = problem.at(x).sampled_gradient(3, KEY)
        assert np.array_equal(told, problem.at_uncached(x).sampled_gradient(3, KEY))
        assert not np.array_equal(told, problem.at(x).sampled_gradient(3, KEY.at(6)))
        for chosen in ([1], [3, 0], [2, 1, 0], []):
            index = np.array(chosen, dtype=np.int64)
            part = problem.select(index).at(x if x.ndim == 1 else x[index])
            assert np.array_equal(part.sampled_gradient(3, KEY), told[index])


def test_clients_draw_apart():
    """Clients of the very same rows draw others, each from its own stream."""
    rows, labels = np.tile(np.eye(DIM), (3, 1)), np.ones(3 * DIM)
    told = glm(rows, labels, [DIM] * 3, dense_glm().loss).at(np.zeros(DIM)).sampled_gradient(1, KEY)
    assert len(np.unique(told, axis=0)) == 3


def test_one_key_draws_the_same_rows_everywhere():
    """∇f(x; ξ) - ∇f(y; ξ) of the squared loss is linear in x - y for one ξ: what recursive estimators rely on."""
    problem = dense_glm("squared")
    x, y = places()[1][:2]
    differences = [
        problem.at(z + x - y).sampled_gradient(2, KEY) - problem.at(z).sampled_gradient(2, KEY) for z in (y, 3.0 * y)
    ]
    np.testing.assert_allclose(*differences, atol=1e-12)


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "2", None])
def test_a_wrong_batch_is_refused(batch):
    with pytest.raises(ValueError, match=r"batch: given .*, must be a whole number of at least 1"):
        dense_glm().at(np.zeros(DIM)).sampled_gradient(batch, KEY)


def test_functions_have_no_rows_to_draw():
    problem = functions_problem()[0]
    for ask in (problem.check_rows, lambda: problem.at(np.zeros(DIM)).sampled_gradient(1, KEY)):
        with pytest.raises(ValueError, match="minibatch gradients need data rows, and this problem has none"):
            ask()
    dense_glm().check_rows()


def test_on_a_device(monkeypatch):
    """The draw is made on the host and moved by name; nothing else crosses."""
    host, _ = problems(dense_glm, True)
    rows, labels, weights = host.host
    strict_device.install(monkeypatch)
    like = strict_device.on_device()
    sizes = np.diff(host.rows.offsets)
    rho = np.linspace(0.0, 0.6, DIM)
    device = glm(rows, labels, sizes, host.loss, weights, nonconvex=rho, like=like).with_local_ridge()
    for x in places():
        told = device.at(to_device(x, like)).sampled_gradient(3, KEY)
        np.testing.assert_allclose(to_host(told), host.at(x).sampled_gradient(3, KEY), rtol=1e-12, atol=1e-13)
