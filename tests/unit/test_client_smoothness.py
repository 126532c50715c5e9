"""Each client's smoothness constant: against its Gram matrix's largest eigenvalue, and against its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from cases import DIM, LOSSES, dense_glm, glm, labelled, points, sparse_glm

import newtonfl as nf
from newtonfl.objectives.functions import FromFunctions
from newtonfl.objectives.losses import Logistic
from newtonfl.solver.session import Session

MAKERS = {"dense": dense_glm, "sparse": sparse_glm}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
BOUNDED = [name for name, loss, _ in LOSSES if np.isfinite(loss.curvature_bound)]


@EACH
@pytest.mark.parametrize("dim", [3, DIM, 15])  # fewer columns than rows, and more
@pytest.mark.parametrize("loss", BOUNDED)
def test_it_is_the_largest_eigenvalue_of_the_bound(make, dim, loss):
    """‖B_i‖₂ of the B_i that the curvature product multiplies by, the ridge left out of both."""
    plain = make(loss, dim=dim)
    rows, labels, _ = plain.host
    weights = np.random.default_rng(4).random(len(labels))
    problem = glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, weights, ridge=3.0)
    bounds = np.stack([problem.curvature_product(e) for e in np.eye(dim)], axis=2)
    told = problem.client_smoothness
    assert told.dtype == np.float64 and told.shape == (4,)
    np.testing.assert_allclose(told, np.linalg.norm(bounds, 2, axis=(1, 2)), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(problem.with_local_ridge().client_smoothness, told)


@EACH
@pytest.mark.parametrize("loss", BOUNDED)
def test_gradients_move_no_faster(make, loss):
    """‖∇f_i(x) - ∇f_i(y)‖ ≤ L_i ‖x - y‖; the squared loss meets it along the leading eigenvector."""
    problem = make(loss)
    constants = problem.client_smoothness
    for x, y in zip(points(problem, 20), points(problem, 20, seed=1), strict=True):
        moved = np.linalg.norm(problem.at(x).gradient - problem.at(y).gradient, axis=1)
        assert (moved <= constants * np.linalg.norm(x - y) * (1 + 1e-12)).all()
    if loss == "squared":
        for i in range(4):
            v = np.linalg.eigh(problem.at(np.zeros(DIM)).hessian(i))[1][:, -1]
            moved = problem.at(v).gradient[i] - problem.at(np.zeros(DIM)).gradient[i]
            assert np.linalg.norm(moved) == pytest.approx(constants[i], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_bits_do_not_depend_on_who_shares_a_process(kind, monkeypatch):
    """Asked of the whole first or of the part: the same bits, and a client of no rows has zero."""
    draw = np.random.default_rng(0)
    sizes = [0, *draw.integers(1, 90, 11)]
    rows = draw.standard_normal((sum(sizes), 37)) * (draw.random((sum(sizes), 37)) < 0.3)
    loss, labels = labelled("logistic", rows, draw)
    whole = glm(scipy.sparse.csr_array(rows) if kind == "sparse" else rows, labels, sizes, loss)
    groups = [np.sort(group) for k in (2, 5, 12) for group in np.array_split(draw.permutation(12), k)]
    before = [whole.select(group).client_smoothness for group in groups]
    told = whole.client_smoothness
    assert told[0] == 0.0 and (told[1:] > 0).all() and whole.client_smoothness is told
    # A part takes what is known.
    monkeypatch.setattr("newtonfl.objectives.row_problem.largest_eigenvalues", lambda rows, weights: 1 / 0)
    for group, alone in zip(groups, before, strict=True):
        np.testing.assert_array_equal(alone, told[group])
        np.testing.assert_array_equal(whole.select(group).client_smoothness, told[group])
    monkeypatch.undo()
    assert len(whole.select(np.array([], dtype=np.int64)).client_smoothness) == 0


def test_an_answer_is_not_to_be_written_in():
    with pytest.raises(ValueError, match="read-only"):
        dense_glm().client_smoothness[0] = 1.0


@EACH
def test_a_loss_without_a_bound_has_none(make):
    with pytest.raises(ValueError, match=r"no smoothness constant L_i of each client is known.*give stepsize=NUMBER"):
        _ = make("poisson").client_smoothness


def test_functions_state_it_or_say_what_to_give():
    args = (3, 2, lambda i, x: 0.0, lambda i, x: x, lambda i, x: np.eye(2))
    assert FromFunctions(*args, client_smoothness=2.0).client_smoothness.tolist() == [2.0] * 3
    each = FromFunctions(*args, client_smoothness=[1.0, 2.0, 3.0], nonconvex=0.5)
    assert each.select(np.array([2, 0])).client_smoothness.tolist() == [4.0, 2.0]
    for given, aside in (({}, ""), ({"smoothness": np.eye(2)}, "its smoothness bounds the mean")):
        with pytest.raises(ValueError, match=rf"give FromFunctions its argument client_smoothness.*{aside}"):
            _ = FromFunctions(*args, **given).client_smoothness
    for wrong in ([1.0, 2.0], -1.0, np.inf, [1.0, np.nan, 2.0]):
        with pytest.raises(ValueError, match=r"client_smoothness: given .* one for each of the 3 clients"):
            FromFunctions(*args, client_smoothness=wrong)


def test_the_server_may_ask_for_it():
    problem = dense_glm()
    with Session(problem, nf.gd()) as session:
        told = session.ask("smoothness", np.zeros(DIM))
        session.end({})
    np.testing.assert_array_equal(told, problem.client_smoothness)


def test_one_row():
    """λ_max of w a aᵀ is w‖a‖², in the papers' scale: n/Σw for the row."""
    problem = glm(np.array([[3.0, 4.0]]), np.ones(1), [1], Logistic())
    assert problem.client_smoothness.tolist() == pytest.approx([25.0 / 4])
