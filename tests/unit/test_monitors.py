"""Monitors and the state that callbacks get: their numbers against formulas, and what is refused."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
import scipy.sparse
from cases import dense_glm, sparse_glm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

import newtonfl as nf
from newtonfl.solver.observers import wants_state
from newtonfl.solver.session import Session

RIDGE = 0.05


def small(n=4):
    return dense_glm(n=n, ridge=np.full(7, RIDGE))


def client_hessians(problem, x):
    """∇²f_i(x) less the ridge of logistic regression, by its formula, shape (n, d, d)."""
    rows, labels, _ = problem.host
    edges = problem.rows.offsets
    p = 1.0 / (1.0 + np.exp(-labels * (rows @ x)))
    scale = problem.n_clients / len(rows) * p * (1.0 - p)
    return np.stack([(rows[a:b].T * scale[a:b]) @ rows[a:b] for a, b in pairwise(edges)])


def hessian(problem, x):
    return client_hessians(problem, x).mean(axis=0) + RIDGE * np.eye(problem.dim)


def gradient(problem, x):
    rows, labels, _ = problem.host
    return rows.T @ (-labels / (1.0 + np.exp(labels * (rows @ x)))) / len(rows) + RIDGE * x


def watched(problem, method, look, rounds=5, **how):
    """What `look` finds of every round's state, and the result."""
    found = []
    result = nf.solve(
        problem, method, rounds=rounds, tol=0.0, callback=lambda record, state: found.append(look(state)), **how
    )
    return found, result


# ---- the server's estimate of the Hessian --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    ["newton", "newton,basis=symmetric-plain", "newton,basis=data", "newton,basis=support", "newton,ridge=clients"],
)
def test_newtons_estimate_is_the_hessian_one_step_before(method):
    problem = sparse_glm(ridge=np.full(7, RIDGE)) if "support" in method else small()
    found, _ = watched(problem, method, lambda state: (state.x, state.hessian_estimate()))
    if "support" in method:
        rows, labels, _ = problem.host
        problem = dense_glm(ridge=np.full(7, RIDGE))
        problem = nf.from_arrays(rows.toarray(), labels, l2=RIDGE, clients=4)
    for (x, _), (_, estimate) in pairwise(found):
        np.testing.assert_allclose(estimate, hessian(problem, x), rtol=0, atol=1e-13)


def test_newton_zeros_estimate_and_errors_are_those_of_the_start():
    problem, x0 = small(), np.full(7, 0.3)
    found, _ = watched(
        problem, "newton-zero,step=shift", lambda s: (s.x, s.l, s.hessian_estimate()), x0=x0
    )  # fmt: skip
    first = client_hessians(problem, x0)
    for (x, _, _), (_, errors, estimate) in pairwise(found):
        np.testing.assert_allclose(estimate, hessian(problem, x0), rtol=0, atol=1e-14)
        expected = np.linalg.norm(first - client_hessians(problem, x), axis=(1, 2))
        np.testing.assert_allclose(errors, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["fednl", "fednl-pp", "newton-3pc", "newton-3pc-bc-pp", "bl1", "bl2", "bl3", "nl1,compressor=identity",
             "nl2", "cubic-newton-learn", "fib-ios"],
)  # fmt: skip
def test_what_learns_the_hessian_comes_to_have_it(name):
    problem = small()
    x_star, _ = nf.optimum(problem)
    enough = 1e-9 * np.linalg.norm(hessian(problem, x_star))
    result = nf.solve(
        problem, name, x0=x_star + 0.1, tol=0.0, rounds=200, monitors=[nf.monitors.HessianError(x_star)],
        callback=lambda record: record.monitors["hessian_error"] < enough,
    )  # fmt: skip
    assert result.reason is nf.Reason.STOPPED
    assert result.history[1].monitors["hessian_error"] > 1e-4


@pytest.mark.parametrize("name", ["bfgs", "l-bfgs"])
def test_quasi_newtons_estimate_has_the_last_pair(name):
    """H s = y, for s and y of the rounds before: Nocedal and Wright (6.6)."""
    problem = small()
    found, _ = watched(problem, name, lambda s: (s.x, s.hessian_estimate()), rounds=7)
    assert found[0][1] is None is found[1][1]
    for (x, _), (y, _), (_, estimate) in zip(found, found[1:], found[2:], strict=False):
        change = gradient(problem, y) - gradient(problem, x)
        np.testing.assert_allclose(estimate @ (y - x), change, rtol=0, atol=1e-11)
        assert (np.linalg.eigvalsh(estimate) > 0).all()


def test_lattice_newton_has_none_before_curvature_came():
    found, _ = watched(small(), "lattice-newton", lambda s: s.hessian_estimate(), rounds=20)
    assert found[0] is None
    np.testing.assert_allclose(found[-1], found[-1].T, atol=1e-12)
    assert (np.linalg.eigvalsh(found[-1]) > RIDGE / 2).all()


@pytest.mark.parametrize("name", ["gd", "ef21", "m-fac", "dingo", "giant", "newton-cg", "dane", "disco", "adiana"])
def test_methods_without_an_estimate_have_none(name):
    problem = small()
    found, _ = watched(problem, name, lambda s: (s.hessian_estimate(), s.l), rounds=2)
    assert found == [(None, None)] * 3
    with pytest.raises(ValueError, match=f"HessianError: {name} keeps no estimate"):
        nf.solve(problem, name, monitors=[nf.monitors.HessianError(np.zeros(7))])


def test_the_true_hessian_is_right_and_leaves_no_trace():
    problem, point = small(), np.linspace(-1.0, 1.0, 7)
    found, seen = watched(problem, "fednl", lambda s: (s.hessian_at(point), s.hessian_at(s.x)))
    plain = nf.solve(problem, "fednl", rounds=5, tol=0.0)
    for true, _ in found:
        np.testing.assert_allclose(true, hessian(problem, point), rtol=0, atol=1e-14)
    assert plain.x_sha256 == seen.x_sha256
    assert [r.hessians for r in plain.history] == [r.hessians for r in seen.history]
    assert plain.ledger.totals() == seen.ledger.totals()


# ---- the rest of the state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fednl-pp", "newton", "pp-marina", "ef21-pp"])
def test_participants_are_those_that_were_asked_to_reply(name, monkeypatch):
    asked, exchange = [], Session.exchange

    def spied(session, announcement, sizes):
        everyone = np.arange(session.problem.n_clients)
        asked.append(everyone if announcement.participants is None else announcement.participants)
        return exchange(session, announcement, sizes)

    monkeypatch.setattr(Session, "exchange", spied)
    found, result = watched(small(8), name, lambda s: (s.participants, s.bytes_up, s.bytes_down, s.step), rounds=6)
    assert found[0][0].tolist() == list(range(8))
    assert [who.tolist() for who, *_ in found[1:]] == [who.tolist() for who in asked]
    assert name == "newton" or any(len(who) < 8 for who in asked)
    for (_, up, down, step), record in zip(found, result.history, strict=True):
        assert (up.mean(), down.mean(), step) == (record.bytes_up, record.bytes_down, record.step)


def test_levels_are_the_records():
    found, result = watched(small(), "adacgd", lambda s: (s.levels_up, s.levels_down), rounds=8)
    assert found == [(record.levels_up, record.levels_down) for record in result.history]
    assert found[-1][0] is not None


def test_a_state_belongs_to_its_round():
    states, _ = watched(small(), "fednl", lambda state: state)
    for name in ("x", "participants", "l", "bytes_up", "levels_up"):
        with pytest.raises(RuntimeError, match="the state of round 3 was asked after its callback had returned"):
            getattr(states[3], name)
    with pytest.raises(RuntimeError, match="after its callback"):
        states[3].hessian_estimate()
    with pytest.raises(RuntimeError, match="after its callback"):
        states[3].hessian_at(np.zeros(7))


def test_what_is_read_may_be_changed():
    problem = small()

    def spoil(record, state):
        for array in (state.x, state.l, state.bytes_up, state.hessian_estimate(), state.hessian_at(np.zeros(7))):
            array += 1
        np.testing.assert_allclose(state.hessian_at(np.zeros(7)), hessian(problem, np.zeros(7)), atol=1e-14)

    whole = nf.solve(problem, "fednl", rounds=5, tol=0.0)
    assert nf.solve(problem, "fednl", rounds=5, tol=0.0, callback=spoil).x_sha256 == whole.x_sha256


def test_a_true_return_of_either_kind_stops():
    for callback in (lambda record: record.round == 2, lambda record, state: state.round == 2):
        result = nf.solve(small(), "gd", tol=0.0, callback=callback)
        assert (result.reason, result.rounds) == (nf.Reason.STOPPED, 2)


# ---- how arguments are counted -------------------------------------------------------------------------------------


class Methods:
    def one(self, record):
        """One."""

    def two(self, record, state):
        """Two."""

    def __call__(self, record, state):
        """Two."""

    @staticmethod
    def still(record, state):
        """Two."""


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (None, False),
        (lambda record: None, False),
        (lambda record, state: None, True),
        (lambda record, state=None: None, True),
        (lambda record, log=(): None, False),
        (lambda *arguments: None, False),
        (lambda record, *more: None, False),
        (lambda record, **more: None, False),
        (lambda record, *, state=None: None, False),
        (lambda a, b, c=1: None, True),
        (Methods().one, False),
        (Methods().two, True),
        (Methods(), True),
        (Methods.still, True),
        (partial(lambda log, record: None, []), False),
        (partial(lambda log, record, state: None, []), True),
        (partial(lambda record, state: None, state=1), False),
        ([].append, False),
        (print, False),
        ({}.update, False),
        (nf.Progress(silent=True), False),
        (Mock(), False),
    ],
    ids=range(22),
)
def test_a_callback_gets_a_state_where_it_asks_for_one(callback, expected):
    assert wants_state(callback) is expected


@pytest.mark.parametrize(
    "callback", [lambda: None, lambda a, b, c: None, lambda record, *, log: None, lambda record, state, more: None, 7]
)
def test_what_takes_neither_is_refused_before_the_solve(callback):
    with pytest.raises(TypeError, match=r"callback: given .*\(record\) or of \(record, state\)"):
        nf.solve(small(), "gd", callback=callback)


# ---- the ready-made ones -------------------------------------------------------------------------------------------


def test_distances_and_bytes_are_their_formulas():
    problem = small()
    x_star, _ = nf.optimum(problem)
    monitors = [
        nf.monitors.DistanceTo(x_star),
        nf.monitors.DistanceTo([0.0] * 7, name="length"),
        nf.monitors.ClientBytes(),
    ]
    xs, result = watched(problem, "fednl-pp", lambda s: s.x, monitors=monitors)
    history, ledger = result.history, result.ledger
    np.testing.assert_allclose(history.column("distance"), [np.sqrt(((x - x_star) ** 2).sum()) for x in xs], rtol=1e-14)
    np.testing.assert_allclose(history.column("length"), [np.sqrt((x**2).sum()) for x in xs], rtol=1e-14)
    totals = sum(getattr(tally, kind) for tally in (ledger.up, ledger.down) for kind in ("bytes", "setup_bytes"))
    assert history[-1].monitors["client_bytes_max"] == totals.max() > totals.mean()
    assert history.column("client_bytes_mean").tolist() == history.sent("bytes").tolist()


def test_a_monitor_holds_numbers_of_its_own():
    x_star = np.zeros(7)
    distance = nf.monitors.DistanceTo(x_star)
    x_star += 1.0
    assert nf.solve(small(), "gd", rounds=1, monitors=[distance]).history[0].monitors == {"distance": 0.0}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("labels", [("no", "yes"), (0, 1), (3.0, 7.0), ("a", "b", "c"), (1, 2, 3, 4)])
def test_accuracy_is_scikit_learns(labels, sparse):
    draw = np.random.default_rng(1)
    X = draw.standard_normal((120, 4)) * (draw.random((120, 4)) < 0.7)
    codes = np.argmax(X @ draw.standard_normal((4, len(labels))) + draw.gumbel(size=(120, len(labels))) + 0.5, axis=1)
    y = np.array(labels)[codes]
    kind = "logistic" if len(labels) == 2 else "multinomial"
    held_out = X[80:], y[80:]
    rows = scipy.sparse.csr_array(X) if sparse else X
    problem = nf.from_arrays(rows[:80], y[:80], kind, clients=3, l2=0.02, intercept=True)
    test = (rows[80:], y[80:])
    monitors = [nf.monitors.Accuracy(*test), nf.monitors.Accuracy(rows[:80], y[:80], name="of_training")]
    result = nf.solve(problem, "newton", tol=1e-9, monitors=monitors)
    peer = LogisticRegression(C=1 / (0.02 * 80), tol=1e-10, max_iter=1000).fit(X[:80], y[:80])
    assert result.converged
    assert result.history[-1].monitors["accuracy"] == accuracy_score(held_out[1], peer.predict(held_out[0]))
    assert result.history[-1].monitors["of_training"] == peer.score(X[:80], y[:80])
    first = result.history[0].monitors["of_training"]
    assert first == np.mean(y[:80] == labels[0])  # at zero all are of the first class


@pytest.mark.parametrize("scale", ["standard", "maxabs", "unit-rows"])
def test_accuracy_takes_rows_as_the_problem_was_given_its_own(scale, tmp_path):
    """Of cloglog the second class is predicted where 1 - exp(-exp(t)) > 1/2."""
    draw = np.random.default_rng(2)
    X = draw.standard_normal((90, 3)) * [1.0, 20.0, 300.0] + [0.0, 10.0, 5.0]
    y = np.where(draw.random(90) < 0.4 + 0.3 * (X[:, 0] > 0), "yes", "no")
    table = [",".join([*map(repr, row.tolist()), label]) for row, label in zip(X[:60], y[:60], strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c,label", *table, ""]))
    (tmp_path / "p.toml").write_text(
        f'[data]\nsource = "csv:rows.csv"\nlabel = "label"\nscale = "{scale}"\n'
        '[objective]\nloss = "cloglog"\nl2 = 0.05\nintercept = true\n[clients]\ncount = 3\n'
    )
    problem = nf.load(tmp_path / "p.toml")
    held_out = X[60:], y[60:]
    xs, result = watched(problem, "newton", lambda s: s.x, monitors=[nf.monitors.Accuracy(*held_out)])
    if scale == "standard":
        scaled = (X[60:] - X[:60].mean(axis=0)) / X[:60].std(axis=0)
    elif scale == "maxabs":
        scaled = X[60:] / abs(X[:60]).max(axis=0)
    else:
        scaled = X[60:] / np.linalg.norm(X[60:], axis=1, keepdims=True)
    for x, record in zip(xs, result.history, strict=True):
        chance = 1.0 - np.exp(-np.exp(scaled @ x[:-1] + x[-1]))
        assert record.monitors["accuracy"] == np.mean(np.where(chance > 0.5, "yes", "no") == y[60:])
    assert len(set(result.history.column("accuracy"))) > 1


def test_one_monitor_may_watch_several_problems():
    draw = np.random.default_rng(1)
    X, y = draw.standard_normal((40, 3)), np.arange(40) % 2
    accuracy = nf.monitors.Accuracy(X, y)
    for intercept in (False, True):
        problem = nf.from_arrays(X, y, l2=0.1, intercept=intercept)
        assert 0 < nf.solve(problem, "newton", monitors=[accuracy]).history[-1].monitors["accuracy"] < 1


# ---- what is refused -----------------------------------------------------------------------------------------------


class Odd(nf.monitors.Monitor):
    def __init__(self, columns=("odd",), numbers=(1.0,)):
        self.names, self.numbers = columns, numbers

    @property
    def columns(self):
        return self.names

    def measure(self, state):
        return self.numbers


X = np.eye(7)
REFUSALS = [
    (nf.monitors.ClientBytes(), TypeError, "must be a list of monitors"),
    (None, TypeError, "must be a list of monitors"),
    ([nf.monitors.ClientBytes], TypeError, "must be a Monitor such as"),
    (["distance"], TypeError, "given 'distance', must be a Monitor"),
    ([nf.monitors.ClientBytes()] * 2, ValueError, "'client_bytes_max', which the history has already"),
    ([Odd(("f",))], ValueError, "'f', which the history has already"),
    ([Odd(("of x",))], ValueError, "'of x', must be a name"),
    ([Odd("odd")], TypeError, "must be a tuple of names"),
    ([Odd(numbers=(1.0, 2.0))], ValueError, "gave 2 numbers for its columns odd"),
    ([nf.monitors.DistanceTo(np.zeros(6))], ValueError, r"x_star of shape \(6,\), must be \(7,\)"),
    ([nf.monitors.HessianError(np.zeros(8))], ValueError, r"x_star of shape \(8,\), must be \(7,\)"),
    ([nf.monitors.Accuracy(X[:, :5], np.ones(7))], ValueError, "X with 5 columns, must have 7"),
    ([nf.monitors.Accuracy(X[:, :6], np.ones(7))], ValueError, "X with 6 columns, must have 7"),
    ([nf.monitors.Accuracy(X, np.full(7, 2))], ValueError, "label 2 in y, allowed are -1.0, 1.0"),
]


@pytest.mark.parametrize(("monitors", "kind", "words"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_false_monitor_is_refused_in_words(monitors, kind, words):
    with pytest.raises(kind, match=words):
        nf.solve(small(), "newton", monitors=monitors)


def test_false_settings_are_refused_in_words():
    for x_star in ([[0.0]], ["a"], [np.nan], "x", None):
        with pytest.raises(ValueError, match=r"x_star: given .*, must be a vector of finite real numbers"):
            nf.monitors.DistanceTo(x_star)
    for X, y, words in ((np.zeros(3), [1], "X of shape"), (np.eye(2), [1], "y of shape"), ([["a"]], [1], "X of shape")):
        with pytest.raises(ValueError, match=words):
            nf.monitors.Accuracy(X, y)
    squared = nf.from_arrays(np.eye(3), np.arange(3.0), "squared", l2=0.1)
    with pytest.raises(ValueError, match="has no classes to predict"):
        nf.solve(squared, "newton", monitors=[nf.monitors.Accuracy(np.eye(3), [1, 1, 1])])
    bent = nf.from_arrays(np.eye(3), [0, 1, 0], nonconvex=0.1)
    with pytest.raises(ValueError, match=r"monitors\.HessianError"):
        nf.solve(bent, "gd", monitors=[nf.monitors.HessianError(np.zeros(3))])
    with pytest.raises(ValueError, match="a Hessian"):
        nf.solve(bent, "gd", callback=lambda record, state: state.hessian_at(state.x))


def test_a_failing_monitor_ends_the_solve_and_the_next_one_runs():
    problem = small()

    class Failing(Odd):
        def measure(self, state):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nf.solve(problem, "newton", monitors=[Failing()])
    assert nf.solve(problem, "newton").converged
