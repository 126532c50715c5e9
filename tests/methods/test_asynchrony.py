"""Asynchrony: who answers when and about what, methods against their boxes, exactness, orders, and what cannot be."""

from __future__ import annotations

import asynchronous as A
import numpy as np
import pytest
import transcriptions as T
from first_order_setting import setting
from played import SEED, iterates

import newtonfl as nf
from newtonfl.core.random import SERVER, Key

N = 20
LAWS = [("pure", "exponential", 10.0, 1), ("random", "uniform", 4.0, 1), ("shuffled", "normal", 10.0, 5)]


def jobs(law, n=N, seed=SEED):
    """The library's own arrivals."""
    return lambda k: law.events(n, seed).at(k)[:2]


def takes(law, spread, n, seed):
    """How long a job takes, by the law's own streams."""
    means = spread ** (np.arange(n) / (n - 1))

    def time(i, job):
        draw = Key(seed, job, i, "/arrivals").to("time").generator()
        drawn = {
            "fixed": lambda: means[i], "exponential": lambda: means[i] * draw.standard_exponential(),
            "uniform": lambda: draw.uniform(0, 2 * means[i]), "normal": lambda: abs(draw.normal(means[i], means[i])),
        }  # fmt: skip
        return float(drawn[law]())

    return time


@pytest.mark.parametrize(("order", "law", "spread", "wait"), [*LAWS, ("pure", "fixed", 3.0, 1)])
def test_events(order, law, spread, wait):
    """The same as a simulation that looks at every worker at every answer."""
    deck = []

    def assign(i, k):
        draw = Key(3, k, SERVER, "/arrivals").to("next").generator()
        if order == "random":
            return int(draw.integers(6))
        if order == "shuffled":
            if not deck:
                deck.extend(draw.permutation(6).tolist())
            return deck.pop()
        return i

    arrivals = nf.Arrivals(order, law, spread, wait)
    expected = A.simulated(200, 6, takes(law, spread, 6, 3), assign, wait)
    found = [(*arrivals.events(6, 3).at(k)[:2], arrivals.elapsed(6, 3, k)) for k in range(1, 201)]
    assert [event[:2] for event in found] == [event[:2] for event in expected]
    np.testing.assert_allclose([event[2] for event in found], [event[2] for event in expected], rtol=1e-12)
    assert all(given <= k for k, (_, given, _) in enumerate(found, 1))


def test_who_is_fast_answers_more_often_unless_jobs_are_dealt_out():
    counts = {}
    for order in ("pure", "random", "shuffled"):
        events = nf.Arrivals(order, spread=10.0).events(8, 0)
        counts[order] = np.bincount([events.at(k)[0] for k in range(1, 4001)], minlength=8)
    assert counts["pure"][0] > 5 * counts["pure"][-1]
    assert counts["random"].max() < 1.3 * counts["random"].min()
    assert counts["shuffled"].max() - counts["shuffled"].min() < 40
    for order, count in counts.items():
        assert count[-1] / 4000 == pytest.approx(nf.Arrivals(order, spread=10.0).rarest(8), rel=0.15)


def test_all_together_take_as_long_as_the_slowest():
    law, time = nf.Arrivals("together", spread=5.0), takes("exponential", 5.0, 4, 1)
    expected = np.cumsum([max(time(i, k) for i in range(4)) for k in range(6)])
    np.testing.assert_allclose([law.elapsed(4, 1, k) for k in range(6)], expected, rtol=1e-12)


@pytest.mark.data
@pytest.mark.parametrize("law", LAWS, ids=[law[0] for law in LAWS])
def test_fednl_pp_keeps_its_invariant_whatever_the_delays(law):
    """30 rounds of syn40: the server's b, which only changes are sent for, is what the box works out anew."""
    s, arrivals = setting(), nf.Arrivals(*law)
    x0 = nf.optimum(s.problem)[0] + 0.1
    ours = iterates(s.problem, nf.fednl_pp(participation=arrivals), x0, 30)
    assert np.abs(ours - A.fednl_pp(s.p, x0, 30, T.rank_r(1), jobs(arrivals))).max() < 1e-9
    assert np.abs(np.diff(ours, axis=0)).max() > 1e-3


@pytest.mark.data
@pytest.mark.parametrize(("method", "box"), [("asgrad", A.asgrad), ("iag", A.iag)])
@pytest.mark.parametrize("law", LAWS, ids=[law[0] for law in LAWS])
def test_first_order_boxes(method, box, law):
    s, arrivals = setting(), nf.Arrivals(*law)
    made = {"asgrad": nf.asgrad, "iag": nf.iag}[method](stepsize=0.3, participation=arrivals)
    ours = iterates(s.problem, made, s.start, 30)
    assert np.abs(ours - np.stack(box(s.p, s.start, 30, 0.3, jobs(arrivals)))).max() < 1e-9
    assert np.abs(np.diff(ours, axis=0)).max() > 1e-2


def test_asynchronous_newton_is_exact_and_sooner_there():
    """Exponential times, a tenfold spread: 1e-12 in less simulated time than together (a1a: benchmarks/asynchrony)."""
    problem, times = unlike(), {}
    for order in ("together", "pure", "random", "shuffled"):
        method = nf.fednl_pp(compressor="topk:5", participation=nf.Arrivals(order))
        x0 = nf.optimum(problem)[0] + 0.3
        run = nf.solve(problem, method, rounds=2000, tol=0, x0=x0, accuracy=1e-12, f_star=nf.optimum(problem)[1])
        assert run.history[-1].gap <= 1e-12
        times[order] = run.history[-1].time
    assert times["pure"] < 0.9 * times["together"]  # on a1a the other orders as well


@pytest.mark.parametrize("law", ["pure:exponential:10:400", "shuffled:exponential:10:300"])
def test_a_long_wait_for_the_slowest_is_no_stall(law):
    problem = unlike()
    x0 = nf.optimum(problem)[0] + 0.1
    run = nf.solve(problem, f"newton-3pc,participation=arrivals:{law}", x0=x0, rounds=4000)
    assert run.converged, run.reason


def unlike():
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(8, 30, 10)) * np.linspace(0.7, 2.5, 8)[:, None, None]
    labels = np.sign(np.einsum("nmd,nd->nm", rows, generator.normal(size=(8, 10))))
    return nf.from_arrays(rows.reshape(-1, 10), labels.ravel(), clients=8, l2=0.1)


def test_asgrads_orders():
    """A constant step leaves a floor: pure's is the highest, shuffled's the lowest; iag leaves none."""
    problem, floors = unlike(), {}
    distance = nf.monitors.DistanceTo(nf.optimum(problem)[0])
    for order in ("pure", "random", "shuffled"):
        method = f"asgrad,stepsize=0.01,participation=arrivals:{order}:exponential:6"
        path = nf.solve(problem, method, rounds=6000, tol=0, monitors=[distance]).history.column("distance")
        floors[order] = np.mean(path[len(path) // 2 :] ** 2)
    assert floors["pure"] > 1.5 * floors["random"] and floors["random"] > 1.5 * floors["shuffled"]
    exact = nf.solve(problem, "iag,participation=arrivals:pure:exponential:6", rounds=6000, tol=0, monitors=[distance])
    assert exact.history[-1].monitors["distance"] < 1e-7


@pytest.mark.parametrize(
    ("participation", "rounds"), [("all", 45), ("arrivals:random:fixed:1", 400), ("uniform:3", 120)]
)
def test_dave_qn_is_superlinear(participation, rounds):
    """In the end every pass over the clients gains more digits than the one before; three vectors a reply."""
    problem = unlike()
    x_star, _ = nf.optimum(problem)
    distance = nf.monitors.DistanceTo(x_star)
    method = nf.dave_qn(participation=participation)
    run = nf.solve(problem, method, rounds=rounds, tol=0, x0=x_star + 0.3, monitors=[distance])
    path = run.history.column("distance")
    assert path.min() < 1e-13
    digits = [int(np.argmax(path < bound)) for bound in (1e-2, 1e-6, 1e-10)]
    assert 0 < digits[0] < digits[1] < digits[2] and digits[2] - digits[1] < 0.7 * digits[1]
    up = run.ledger.table()
    numbers = (
        up.numbers[(up.direction == "up") & (up.phase == "rounds")].sum() / up.messages[up.part == "gradient"].sum()
    )
    assert 20 < numbers <= 30


def test_dave_qn_comes_back_from_far():
    """From where the logistic loss is flat y and sᵀBs are rounding, and its matrices stay positive definite."""
    run = nf.solve(unlike(), nf.dave_qn(participation="all"), x0=np.full(unlike().dim, 1000.0), rounds=400, tol=1e-9)
    assert run.converged or run.history[-1].f < 1e-3 * run.history[0].f


def test_the_history_has_the_simulated_time():
    law = nf.Arrivals("random")
    history = nf.solve(unlike(), nf.iag(participation=law), rounds=6, tol=0.0, seed=4).history
    assert [record.time for record in history] == [None, *(law.elapsed(8, 4, k) for k in range(6))]
    assert nf.Record.from_json(history[3].to_json()) == history[3]
    assert nf.solve(unlike(), "gd", rounds=2, tol=0.0).history[-1].time is None


def test_one_client_without_delay_is_gradient_descent():
    problem = unlike().without(range(1, 8))
    one = iterates(problem, nf.asgrad(stepsize=0.1, participation=nf.Arrivals("pure")), np.ones(10))
    assert np.abs(one - iterates(problem, nf.gd(stepsize=0.1), np.ones(10))).max() < 1e-14


def test_a_random_client_without_delay_is_sgd_over_clients():
    """After round 0, which asks all: x⁺ = x - γ(∇f_i(x) + λx), i uniform."""
    problem, x, gamma = unlike(), np.ones(10), 0.1
    found = iterates(problem, nf.asgrad(stepsize=gamma, participation="uniform:1"), x, 30)
    asked = [range(8), *(nf.Uniform(1).draw(8, Key(SEED, k, SERVER).to("participation")) for k in range(1, 30))]
    assert len({int(i[0]) for i in asked[1:]}) > 4
    for ours, clients in zip(found, asked, strict=True):
        x = x - gamma * (np.mean(problem.at(x).gradient[list(clients)], axis=0) + 0.1 * x)
        assert np.abs(ours - x).max() < 1e-13


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("fedavg,participation=arrivals:pure", "about the iterate that they receive"),
        ("bl3,participation=arrivals:pure", "about the iterate that they receive"),
        ("pp-marina,participation=arrivals:pure", "draws a fixed number of clients"),
        ("scaffold,participation=arrivals:pure", "about the iterate that they receive"),
        ("newton-3pc-bc-pp,participation=arrivals:pure", "needs the iterate itself downwards"),
        ("artemis,participation=arrivals:pure", "needs the iterate itself downwards"),
        ("newton,participation=arrivals:pure", "needs step=shift, given plain"),
    ],
)
def test_methods_that_have_no_use_for_it(method, why):
    with pytest.raises(ValueError, match=why):
        nf.solve(unlike(), method, rounds=2)


def test_settings():
    for settings, why in (
        ({"order": "odd"}, "order: given 'odd'"), ({"law": "odd"}, "law: given 'odd'"),
        ({"spread": 0.5}, r"spread: given 0\.5"), ({"spread": 1e308}, "spread: given 1e"),
        ({"wait": 0}, "wait: given 0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            nf.Arrivals(**settings)
    with pytest.raises(ValueError, match="is about earlier ones"):
        nf.solve(unlike(), "iag", availability="independent:0.5", on_missing="skip")
