"""Cox regression as a problem: its definition event by event, a problem's promises, far margins, its constants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logsumexp

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.objectives.cox import Cox
from newtonfl.objectives.risk_sets import RiskSets

BOTH = pytest.mark.parametrize("ties", ["efron", "breslow"])
SIZES = [12, 0, 9, 1, 14]
"""Client 1 has no rows, client 3 one, and client 2 no events."""
N = sum(SIZES)
OWN = np.repeat(np.arange(5), SIZES)
DRAW = np.random.Generator(np.random.Philox(17))
X = DRAW.standard_normal((N, 3)) * [1.0, 1.0, 5.0] + [0.0, 3.0, -40.0]
TIMES = np.ceil(DRAW.exponential(3.0, N))  # many ties, of events and of those whose observation ends
EVENTS = (DRAW.random(N) < 0.7) & (OWN != 2)


def problem(ties, ridge=0.0, order=None):
    order = np.arange(N) if order is None else order
    more = {"n_clients": 5, "ridge": ridge, "objective": f"(1/{N}) a test"}
    return Cox(X[order], TIMES[order], SIZES, EVENTS[order], ties, N, **more)


def by_definition(ties, x, client, shift=0.0):
    """-log partial likelihood of a stratum, an event at a time (Breslow 1974; Efron 1977)."""
    eta, times, events = X[client] @ x + shift, TIMES[client], EVENTS[client]
    total = 0.0
    for t in np.unique(times[events]):
        tied, at_risk = eta[(times == t) & events], eta[times >= t]
        for place in range(len(tied)):
            share = place / len(tied) if ties == "efron" else 0.0
            outside = [*at_risk, *tied] if share else at_risk
            signs = [*np.ones(len(at_risk)), *np.full(len(tied), -share)] if share else None
            total += logsumexp(outside, b=signs)
        total -= tied.sum()
    return total


@BOTH
def test_the_value_is_what_the_definition_says(ties):
    draw = np.random.default_rng(2)
    for x in (np.zeros(3), draw.standard_normal(3), 3.0 * draw.standard_normal(3)):
        expected = [by_definition(ties, x, client == OWN) * 5 / N for client in range(5)]
        np.testing.assert_allclose(problem(ties).at(x).value, expected, rtol=1e-12, atol=1e-12)
    assert expected[1] == expected[2] == 0.0 and expected[0] > 0.0


def test_efrons_ties_are_not_breslows():
    x = np.array([0.3, -0.2, 0.1])
    efron, breslow = (problem(ties).at(x).value for ties in ("efron", "breslow"))
    assert (efron[[0, 4]] < breslow[[0, 4]] - 1e-3).all()
    apart = [RiskSets.of(np.arange(6.0), np.arange(6) % 2 == 0, ties) for ties in ("efron", "breslow")]
    assert apart[0].value(np.arange(6.0)) == apart[1].value(np.arange(6.0))


@BOTH
@pytest.mark.parametrize("inside", [False, True])
def test_every_promise_of_a_problem_holds(ties, inside):
    """Derivatives, constants, convexity, some of the clients, what spans the Hessians; with clients without events."""
    p = problem(ties, ridge=0.1)
    check_problem(p.with_local_ridge() if inside else p)


def test_a_regulariser_stands_beside_it():
    p = nf.from_arrays(X, TIMES, "cox", event=EVENTS, clients=OWN, nonconvex=0.1)
    check_problem(p)
    assert "0.1 Σ x_j²/(1 + x_j²)" in p.objective


@BOTH
def test_rows_may_come_in_any_order_and_columns_be_shifted(ties):
    """Within a stratum; the partial likelihood knows neither."""
    order = np.lexsort((DRAW.random(N), OWN))
    x = np.array([0.3, -0.2, 0.1])
    one, other = problem(ties).at(x), problem(ties, order=order).at(x)
    np.testing.assert_allclose(one.gradient, other.gradient, rtol=0, atol=1e-13)
    shifted = Cox(
        X + 1e6 * (1.0 + OWN[:, None]), TIMES, SIZES, EVENTS, ties, N, n_clients=5, ridge=0.0, objective="a test"
    )
    np.testing.assert_allclose(shifted.at(x).value, one.value, rtol=1e-8)
    np.testing.assert_allclose(shifted.at(x).hessian(0), one.hessian(0), rtol=1e-7)


@BOTH
@pytest.mark.parametrize("far", [30.0, 1e3, 1e5])
def test_far_margins_give_what_they_should(ties, far):
    """Values and gradients are exact however far apart margins lie; Hessians are finite, and have no negative value."""
    p, x = problem(ties), far * np.array([1.0, -2.0, 0.5])
    point = p.at(x)
    expected = [by_definition(ties, x, client == OWN) * 5 / N for client in range(5)]
    np.testing.assert_allclose(point.value, expected, rtol=1e-9, atol=1e-9)
    step = 1e-6 * np.array([0.2, 0.1, -0.3])
    slope = (p.at(x + step).value - p.at(x - step).value) / 2
    np.testing.assert_allclose(point.gradient @ step, slope, rtol=0, atol=1e-9 * max(1.0, np.abs(expected).max()))
    for i in range(5):
        values = np.linalg.eigvalsh(point.hessian(i))
        assert np.isfinite(values).all() and values[0] >= -1e-10 * max(1.0, values[-1])


@BOTH
def test_constants_of_one_event_are_met(ties):
    """Two rows at risk at ±a: ∇² log Σ exp is largest at equal margins, where it is aaᵀ, and the bound is its norm."""
    a = np.array([[3.0, 4.0], [-3.0, -4.0]])
    p = Cox(a, np.array([1.0, 2.0]), [2], np.array([True, False]), ties, 2, n_clients=1, ridge=0.0, objective="a test")
    assert p.client_smoothness[0] == pytest.approx(np.linalg.norm(p.at(np.zeros(2)).hessian(0), 2), rel=1e-12)
    assert p.client_smoothness[0] == pytest.approx(25.0 / 2.0)
    u, steepest = a[0] / 5.0, math.log(2.0 + math.sqrt(3.0)) / 10.0  # margins are ±5 u, 10 apart a unit of length
    up, down = (p.at(u * (steepest + h)).hessian(0) for h in (1e-4, -1e-4))
    assert np.linalg.norm(up - down, 2) / 2e-4 == pytest.approx(p.hessian_lipschitz[0], rel=1e-6)


def test_the_others_alone_are_as_if_they_had_been_alone():
    whole = nf.from_arrays(X, TIMES, "cox", event=EVENTS, clients=OWN)  # three clients and one without events
    assert whole.n_clients == 4
    left, kept = whole.without([1, 3]), np.isin(OWN, [0, 3])
    alone = nf.from_arrays(X[kept], TIMES[kept], "cox", event=EVENTS[kept], clients=OWN[kept])
    x = np.array([0.3, -0.2, 0.1])
    np.testing.assert_array_equal(left.at(x).value, alone.at(x).value)
    assert left.objective == alone.objective and left.n_clients == 2


def test_sparse_rows_are_made_dense():
    rows = np.where(np.abs(X) > 1.2, X, 0.0) * [1.0, 1.0, 0.0]
    x = np.array([0.3, -0.2, 0.1])
    dense, sparse = (
        nf.from_arrays(kept, TIMES, "cox", event=EVENTS, clients=OWN) for kept in (rows, scipy.sparse.csr_array(rows))
    )
    np.testing.assert_array_equal(dense.at(x).gradient, sparse.at(x).gradient)
    assert not sparse.occupied[:, 2].any() and not sparse.is_sparse


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"event": None}, "event: missing, and Cox regression needs it: 1 where y is the time of an event, or 0"),
        ({"event": np.zeros(N)}, "event: no row has one, and times without events say nothing"),
        ({"event": TIMES}, "event: row .*, counted from 0: given .*, must be 1 "),
        ({"event": EVENTS[:4]}, r"event: given shape \(4,\) of bool, must be 36 finite numbers, one a row"),
        ({"clients": None}, "clients: missing, and with Cox regression every client is a stratum: give every row's"),
        ({"loss": "cox:exact"}, "loss: given 'cox:exact', allowed are 'cox', which is 'cox:efron', and 'cox:breslow'"),
        ({"loss": "poisson"}, "event: given with the loss poisson, allowed only with 'cox' and 'cox:breslow'"),
        ({"sample_weight": np.ones(N)}, "sample_weight: given with Cox regression, where rows count once"),
        ({"offset": np.ones(N)}, "offset: given with Cox regression, allowed only with losses of one row and one"),
        ({"exposure": np.ones(N)}, "exposure: given with a loss whose link is none, allowed only with the link log"),
        ({"intercept": True}, "intercept: given with Cox regression, where hazards have none"),
        ({"device": "cuda"}, "device: given 'cuda', and Cox regression runs on the CPU alone: say 'cpu' or 'auto'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_words(more, fault):
    with pytest.raises(ValueError, match=fault):
        nf.from_arrays(X, TIMES, **{"loss": "cox", "event": EVENTS, "clients": OWN, **more})


def test_ties_of_another_name_are_refused():
    with pytest.raises(ValueError, match="ties: given 'exact', allowed are efron, breslow"):
        problem("exact")


def test_minibatches_are_refused():
    with pytest.raises(ValueError, match="an event's depends on all rows at risk: use exact gradients"):
        nf.solve(problem("efron", 0.1), nf.ef21(batch=2))
