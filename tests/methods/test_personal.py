"""Methods on problems with personal columns: one Newton method on (θ, w_1, …, w_n), FFGG, ranks, checkpoints."""

from __future__ import annotations

import json
from types import SimpleNamespace

import first_order as F
import numpy as np
import pytest
from cut_off import in_pieces, same
from mpi_launch import launch
from mpi_programs import personal as program
from personal_cases import CLIENTS, L2, LABELS, OFFSET, PHI, ROWS, WEIGHTS, Joint, base
from played import iterates

import newtonfl as nf
from newtonfl.checks import check_method
from newtonfl.methods.argument import as_method


@pytest.mark.parametrize("loss", PHI)
@pytest.mark.parametrize(("own", "l2"), [([5], None), ([1, 5], None), ([0, 2, 4], None), ([1, 5], 0.5)])
def test_newton_finds_the_joint_minimiser(loss, own, l2):
    """θ and every w_i are those of one Newton method on the joint problem, by NumPy."""
    problem = base(loss).personal(own, l2=l2)
    result = nf.solve(problem, "newton,line_search=10", tol=1e-12, rounds=50)
    theta, w = Joint.of(loss, own, l2).solved()
    assert result.converged
    np.testing.assert_allclose(result.x, theta, rtol=0, atol=1e-9)
    np.testing.assert_allclose(problem.private(result.x), w, rtol=0, atol=1e-9)


METHODS = [
    "newton", "bl1", "bl2", "bl3", "fednl", "fednl-pp", "newton-3pc", "newton-3pc-bc-pp", "newton-cg", "l-bfgs",
    "bfgs", "newton-zero", "dingo", "giant", "fib-ios", "lattice-newton", "m-fac", "gd", "accelerated-gd", "ef21",
    "clag", "diana", "marina",
]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_method_reaches_it(name):
    """To a gradient of 1e-9, whether it learns Hessians, sends vectors alone, or is of first order."""
    problem = base(offset=None, sample_weight=None).personal(["intercept", 1])
    result = nf.solve(problem, name, tol=1e-9, rounds=5000)
    assert result.reason is nf.Reason.CONVERGED, (result.reason, result.history[-1].gradient_norm)


@pytest.mark.parametrize("name", ["newton", "bl1", "newton-3pc-bc", "ef21,batch=5", "ef21-pp"])
def test_methods_keep_what_they_promise_on_it(name):
    check_method(as_method(name), base().personal([1, 5]))


# --- FFGG


def dense():
    """The problem as FFGG's transcription has it: rows, labels and weights, with Newton's method for each w_i."""
    slope, curvature = PHI["logistic"][1:]
    whole, weights = np.column_stack([ROWS, np.ones(150)]), 4 * WEIGHTS / WEIGHTS.sum()

    def part(theta, w, i):
        mine = i == CLIENTS
        t = whole[mine][:, [0, 2, 3, 4]] @ theta + whole[mine][:, [1, 5]] @ w + OFFSET[mine]
        return whole[mine], t, LABELS["logistic"][mine], weights[mine]

    def best(theta, i):
        w = np.zeros(2)
        for _ in range(30):
            a, t, y, v = part(theta, w, i)
            own, ridge = a[:, [1, 5]], np.diag([L2, 0.0])
            hessian = own.T @ ((v * curvature(t, y))[:, None] * own) + ridge
            w = w - np.linalg.solve(hessian, own.T @ (v * slope(t, y)) + ridge @ w)
        return w

    def shared_gradient(theta, w, i):
        a, t, y, v = part(theta, w, i)
        return a[:, [0, 2, 3, 4]].T @ (v * slope(t, y))

    return SimpleNamespace(n=4, d=4, lam=L2, best=best, shared_gradient=shared_gradient)


def test_gradient_descent_on_it_is_ffgg():
    """30 rounds of its box, by NumPy."""
    problem = base().personal([1, 5])
    found = iterates(problem, nf.gd(stepsize=0.7), np.zeros(4), 30)
    expected = F.ffgg(dense(), np.zeros(4), 30, 0.7)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_gradient_descent_on_it_is_ffgg_in_bits():
    """The same box, with each client's w_i and the gradients of the problem of all columns as the library has them."""
    whole = base()
    problem = whole.personal([1, 5])
    shared, ridge = problem.split.shared, problem.ridge
    theta = np.zeros(4)
    found = iterates(problem, nf.gd(stepsize=0.5), np.zeros(4), 30)
    for x in found:
        told = whole.at(problem.whole(theta)).gradient[:, shared]
        theta = theta - 0.5 * (np.sum(told, axis=0) / 4 + ridge * theta)
        assert theta.tobytes() == x.tobytes()


def test_without_personal_columns_it_is_gradient_descent():
    one, other = (nf.solve(p, "gd", rounds=30, tol=0.0) for p in (base(), base().personal([])))
    assert one.x_sha256 == other.x_sha256


# --- the same bits


@pytest.mark.parametrize("name", ["newton-3pc", "bl1", "ef21", "newton-3pc-bc-pp", "lattice-newton"])
def test_it_goes_on_from_a_checkpoint_in_the_same_bits(name, tmp_path):
    problem = base().personal(["intercept", 2])
    whole = nf.solve(problem, name, rounds=4, tol=0.0)
    same(whole, in_pieces(problem, name, tmp_path / "kept"))


@pytest.mark.mpi
@pytest.mark.slow
def test_three_ranks_find_the_same_bits_and_keep_their_own(tmp_path):
    """x, history and ledger are one process's; each rank has the coefficients of its own clients, and no others."""
    program.write(tmp_path)
    alone = json.loads(json.dumps(program.found(tmp_path)))
    ended = launch(3, program.__file__, tmp_path)
    assert ended.status == 0, ended.err
    spread = json.loads(ended.out)
    assert spread["solves"] == alone["solves"]
    assert spread["loaded"] == alone["loaded"] and spread["without"] == alone["without"]
    assert [len(part) for part in spread["private"]] == [2, 1, 1]
    assert [w for part in spread["private"] for w in part] == alone["private"]
    for how, held in (("same", [["0", "1"], ["2"], ["3"]]), ("own", [["2"], ["1"], ["0", "3"]])):
        assert [list(models) for _, models in spread[how]] == held
        assert {coefficients for coefficients, _ in spread[how]} == {alone[how][0]}
        assert {client: own for _, models in spread[how] for client, own in models.items()} == alone[how][1]
    assert spread["heard"] == ["client 2: nothing minimises"] * 3
