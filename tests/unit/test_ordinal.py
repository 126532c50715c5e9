"""Ordinal regression as a problem: its definition, a problem's promises, thresholds out of order, rare classes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import strict_device
from scipy.special import expit

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.objectives.ordinal import Ordered, Ordinal

DRAW = np.random.Generator(np.random.Philox(31))
N, SIZES = 60, [14, 0, 9, 1, 36]
OWN = np.repeat(np.arange(5), SIZES)
X = DRAW.standard_normal((N, 3))
Y = np.digitize(X @ [1.0, -0.5, 0.0] + DRAW.logistic(size=N), [-1.0, 0.3, 2.0])
SHARES = Ordered(tuple((np.bincount(Y) / N).tolist()))
INSIDE = np.array([0.7, -0.3, 0.1, -1.2, 0.4, 1.9])
"""A point whose gaps are larger than the classes' shares."""


def problem(rows=X, ridge=0.0, **more):
    settings = {"n_clients": 5, "ridge": ridge, "objective": "a test", **more}
    return Ordinal(rows, Y, SIZES, SHARES, N, **settings)


def by_definition(x, rows, y):
    """Σ -log P(y), from the classes' probabilities."""
    below = expit(np.concatenate([[-np.inf], x[3:], [np.inf]])[None, :] - (rows @ x[:3])[:, None])
    return -np.sum(np.log(np.diff(below, axis=1)[np.arange(len(y)), y]))


@pytest.mark.parametrize("rows", [X, scipy.sparse.csr_array(X)], ids=["dense", "sparse"])
def test_the_value_is_what_the_definition_says(rows):
    assert len(SHARES.shares) == 4 and (np.diff(INSIDE[3:]) > SHARES.shares[1:3]).all()
    expected = [by_definition(INSIDE, X[client == OWN], Y[client == OWN]) * 5 / N for client in range(5)]
    np.testing.assert_allclose(problem(rows).at(INSIDE).value, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [X, scipy.sparse.csr_array(X)], ids=["dense", "sparse"])
@pytest.mark.parametrize("inside", [False, True])
def test_every_promise_of_a_problem_holds(rows, inside):
    """At points with thresholds in order and out of order: derivatives, convexity, some clients, supports, bases."""
    p = problem(rows, ridge=np.array([0.1] * 3 + [0.0] * 3))
    check_problem(p.with_local_ridge() if inside else p)


def test_out_of_order_it_is_finite_convex_and_smooth():
    """Along a line on which all thresholds change places: f″ is positive and continuous, and f grows."""
    p, steps = problem(), np.linspace(-40.0, 3.0, 2001)
    along = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.0])
    points = [p.at(np.append(INSIDE[:3], [0.0, 0.0, 0.0]) + t * along) for t in steps]
    values = np.array([point.value.mean() for point in points])
    slopes = np.array([point.gradient.mean(axis=0) @ along for point in points])
    bends = np.array([along @ np.mean([point.hessian(i) for i in range(5)], axis=0) @ along for point in points])
    assert np.isfinite(values).all() and (bends > 0).all() and (np.diff(slopes) > 0).all()
    crossed = steps < 0.0
    assert (slopes[crossed] < 0.0).all()
    edge = np.abs(np.diff(bends)) / bends[:-1]
    assert edge.max() < 0.3  # no jump of the curvature, from thousands out of order to less than one


def test_a_class_of_one_row_in_a_thousand_has_its_thresholds_in_order():
    """The minimiser's gaps are larger than the classes' shares, so that it is the likelihood's."""
    X = DRAW.standard_normal((1000, 2))
    y = np.digitize(X @ [1.0, -0.5] + DRAW.logistic(size=1000), [-1.0, 1.0]).astype(float)
    y[np.argmin(np.abs(y - 1.0) + np.abs(X[:, 0]))] = 0.5
    p = nf.from_arrays(X, y, "ordinal", clients=4)
    result = nf.solve(p, "newton,line_search=3", tol=1e-12)
    gaps, shares = np.diff(result.x[2:]), np.array(p.classes.shares[1:-1])
    assert result.converged and min(shares) == 1e-3 and (gaps > shares).all()


def test_two_classes_are_logistic_regression():
    """With the threshold for minus the intercept."""
    y = Y > 1
    p = nf.from_arrays(X, y, "ordinal", clients=OWN)
    peer = nf.from_arrays(X, y, "logistic", clients=OWN, intercept=True)
    x, other = (nf.solve(one, "newton", tol=1e-12).x for one in (p, peer))
    np.testing.assert_allclose(x * [1, 1, 1, -1], other, rtol=1e-9)


def test_a_row_of_weight_two_is_two_rows():
    weights = DRAW.integers(0, 3, N).astype(float)
    again = np.repeat(np.arange(N), weights.astype(int))
    one = nf.from_arrays(X, Y, "ordinal", clients=OWN, sample_weight=weights, l2=0.1)
    other = nf.from_arrays(X[again], Y[again], "ordinal", clients=OWN[again], l2=0.1)
    for x in (INSIDE, np.zeros(6)):
        np.testing.assert_allclose(one.at(x).value, other.at(x).value, rtol=1e-12)
        np.testing.assert_allclose(one.at(x).gradient, other.at(x).gradient, rtol=0, atol=1e-12)
    assert one.ridge.tolist() == [0.1] * 3 + [0.0] * 3 and "(thresholds not penalised)" in one.objective
    found = [nf.inference(p, nf.solve(p, "newton", tol=1e-11).x).standard_errors for p in (one, other)]
    np.testing.assert_allclose(*found, rtol=1e-9)


def test_it_runs_on_a_device(monkeypatch):
    """Nothing crosses to the host but by name, and the answer is NumPy's up to rounding."""
    host = nf.solve(problem(ridge=0.01), "newton", tol=1e-11)
    strict_device.install(monkeypatch)
    device = nf.solve(problem(ridge=0.01, like=strict_device.on_device()), "newton", tol=1e-11)
    np.testing.assert_allclose(device.x, host.x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"y": np.zeros(N)}, "y: at least two different labels are needed, and there are 1: 0"),
        ({"offset": np.ones(N)}, "offset: given with ordinal regression, allowed only with losses of one row and one"),
        ({"intercept": True}, "intercept: given with ordinal regression, whose thresholds are all that there can be"),
        ({"event": Y > 1}, "event: given with the loss ordinal, allowed only with 'cox' and 'cox:breslow'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_words(more, fault):
    with pytest.raises(ValueError, match=fault):
        nf.from_arrays(X, **{"y": Y, "loss": "ordinal", **more})


def test_clients_do_not_leave():
    with pytest.raises(ValueError, match="no problem without some of its clients: a class may leave with them"):
        problem().without([0])
