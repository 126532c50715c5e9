"""Methods without a server: every client's iterate, identities, floors where they are, and what went over each edge."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import gossip_methods as G
import numpy as np
import pytest
import transcriptions as T
from first_order_cases import ours
from first_order_setting import GAMMA, setting
from gossip_cases import GOSSIP
from scipy.sparse import csr_array
from unlike_clients import RIDGE, D, N, unlike

import newtonfl as nf
from newtonfl.core.random import Key
from newtonfl.methods import ProblemConstants
from newtonfl.methods.gossip.dadao import chis
from newtonfl.registry import METHODS
from newtonfl.solver.session import Session

RING = G.metropolis([(i, (i + 1) % N) for i in range(N)], N)


def solved(method, rounds, problem=None, **settings):
    return nf.solve(problem or unlike().problem, method, rounds=rounds, tol=0.0, **settings)


def error(result):
    """‖x - x*‖² of the client farthest away, as far as mean and disagreement bound it."""
    return (np.linalg.norm(result.x - unlike().x_star) + result.history[-1].disagreement) ** 2


@pytest.mark.data
@pytest.mark.parametrize("name", GOSSIP)
def test_every_clients_iterate_is_the_boxs(name):
    _, settings, box = GOSSIP[name]
    theirs = np.stack(box(setting().p, setting().start, settings.get("stepsize", GAMMA)))
    rows = np.stack([[m.coordinates()[1] for m in replies.messages("model")] for _, replies in ours(name)[1]])
    assert rows.shape == theirs.shape and np.abs(rows - theirs).max() <= 1e-9
    assert np.abs(theirs[-1] - theirs[-1].mean(axis=0)).max() > 1e-6  # they do differ


@pytest.mark.parametrize(
    ("method", "settings", "rounds", "reached"),
    [
        ("exact-diffusion", {}, 1500, 1e-16),
        ("beer", {"compressor": "identity", "graph": "complete"}, 1500, 1e-20),
        ("lead", {"compressor": "identity", "gamma": 1.0}, 1500, 1e-20),
        ("lead", {"compressor": "randk:5", "gamma": 0.375, "alpha": 0.5}, 1800, 1e-12),
        ("lead", {"graph": "complete"}, 1200, 1e-12),
        ("beer", {"compressor": "topk:4", "stepsize": 0.02, "gamma": 0.1}, 1800, 1e-6),
        ("beer", {"compressor": "topk:4", "graph": "complete", "stepsize": "theory*2"}, 1800, 1e-12),
        ("motef", {"compressor": "topk:4", "graph": "torus:2", "stepsize": 0.03, "gamma": 0.3}, 1800, 1e-10),
        ("dadao", {}, 1500, 2e-2),
        ("dadao", {"graph": "complete"}, 1500, 1e-3),
    ],
)
def test_every_client_reaches_the_minimiser(method, settings, rounds, reached):
    result = solved(METHODS[method](**settings), rounds)
    assert error(result) < reached


def test_a_wire_that_rounds_lets_the_mean_of_exact_diffusion_alone():
    """Rounded messages leave a floor of their size, which does not grow."""
    assert solved("exact-diffusion,wire=float32", 6000).history.column("gradient_norm")[-50:].max() < 1e-7


def test_a_box_about_everything_changes_nothing():
    """However small ∇f is beside x: x - prox(x - ∇f) as it stands would lose it."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(80, 5))
    labels = np.sign(rows @ generator.normal(size=5) + 2 * generator.normal(size=80))
    problem = nf.from_arrays(rows / 1e6, labels, clients=4, l2=1e-15)
    method = "lead,gamma=1,compressor=identity"
    plain = solved(method, 60, problem)
    for r in (nf.Box(-1e12, 1e12), nf.L1(1e-40)):
        other = solved(method, 60, problem.with_nonsmooth(r))
        assert np.allclose(other.history.column("gradient_norm"), plain.history.column("gradient_norm"), 1e-9, 0.0)
    boxed = problem.with_nonsmooth(nf.Box(5e5, 3e6))  # 0 is outside: rtol is of ∇f(0), and no distance
    ends = nf.solve(boxed, method, rtol=1e-6, tol=0.0), nf.solve(boxed, method, rtol=0.0, tol=0.0, rounds=500)
    assert ends[0].reason.name == "CONVERGED_RELATIVE" and np.allclose(ends[0].x, ends[1].x, 1e-4, 0.0)


def test_r_residual_is_the_distance_of_a_prox_step():
    x, g = np.array([3.0, -2.0, 0.1, 0.0, 1.0, -1.0]), np.array([0.5, 9.0, -0.2, 0.01, -4.0, 0.0])
    for r in (nf.L1(0.3), nf.Box(-1.5, 2.5), nf.Box(0.0, np.inf), nf.Box(-np.inf, 0.5)):
        assert np.allclose(r.residual(x, g), x - r.prox(x - g, 1.0), 0.0, 1e-15)


@pytest.mark.parametrize(("r", "reason"), [("box:0:inf", "NO_MINIMISER"), ("box:0:1", "CONVERGED")])
def test_a_box_that_is_open_ahead_keeps_nothing_from_receding(r, reason):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(80, 5))
    problem = nf.from_arrays(rows, np.sign(rows[:, 0]), clients=4, l2=0.0).with_nonsmooth(r)
    assert nf.solve(problem, "lead,gamma=1,compressor=identity", tol=1e-3).reason.name == reason


def test_without_compression_lead_is_nids():
    method = nf.lead(compressor="identity", alpha=1.0, gamma=1.0, stepsize=0.1)
    theirs = G.nids(unlike().p, np.zeros(D), 30, 0.1, RING)
    assert np.abs(solved(method, 30).x - theirs[-1].mean(axis=0)).max() < 1e-13


def test_lead_with_gamma_1_and_half_the_coordinates_runs_away():
    least = min(record.gradient_norm for record in solved("lead,compressor=randk:5,gamma=1,alpha=0.5", 400).history)
    assert (
        least > 0.05 and solved("lead,compressor=randk:5,gamma=0.375,alpha=0.5", 400).history[-1].gradient_norm < 0.02
    )


@pytest.mark.parametrize("method", ["motef,lam=1", "motef-vr,lam=0.3", "motef-vr,lam=1"])
def test_momentum_of_whole_gradients_that_is_none_is_beer(method):
    given = "compressor=topk:4,stepsize=0.05,gamma=0.1"
    ours, beers = solved(f"{method},{given}", 60).x, solved(f"beer,{given}", 60).x
    assert np.abs(ours - beers).max() < 1e-12 and np.linalg.norm(beers) > 0.1


def test_a_tracker_that_starts_elsewhere_than_the_momentum_stays_off_by_that():
    """With M⁰ = 0 and V⁰ = ∇F(x⁰) the mean of V - M stays ∇f(x⁰); with M⁰ = V⁰, as here, the minimiser is reached."""
    p, top = unlike().p, T.top_k(4)
    wrong = G.motef(p, np.zeros(D), 1500, 0.02, RING, top, top, 0.1, lam=0.9, wrong_start=True)[-1].mean(axis=0)
    off = np.linalg.norm(p.total_gradient(wrong)) / np.linalg.norm(p.total_gradient(np.zeros(D)))
    right = solved("motef,compressor=topk:4,stepsize=0.02,gamma=0.1,lam=0.9", 1500)
    assert abs(off - 1.0) < 0.02 and right.history[-1].gradient_norm < 2e-3


def test_minibatches_leave_a_floor_that_falls_with_lambda():
    given = "graph=complete,compressor=topk:4,stepsize=0.02,gamma=0.3,batch=3"
    floors = [
        np.mean([record.gradient_norm for record in solved(f"motef,{given},lam={lam}", 600).history[-200:]])
        for lam in (1.0, 0.1)
    ]
    assert 1e-3 < floors[1] < 0.6 * floors[0]


@pytest.mark.parametrize("r", ["l1:0.05", "box:-0.02:0.05"])
def test_prox_lead_has_every_client_at_the_minimiser_of_f_plus_r(r):
    """Against proximal gradient steps, densely; with l1 the zeros are the same on every client."""
    problem, p = unlike().problem.with_nonsmooth(r), unlike().p
    prox = {
        "l1:0.05": lambda x, t: np.sign(x) * np.maximum(np.abs(x) - 0.05 * t, 0.0),
        "box:-0.02:0.05": lambda x, t: np.clip(x, -0.02, 0.05),
    }[r]
    x = np.zeros(D)
    for _ in range(4000):
        x = prox(x - 0.15 * p.total_gradient(x), 0.15)
    result = nf.solve(problem, "lead,compressor=natural,gamma=1", rounds=3000, tol=1e-9)
    assert result.converged and np.abs(result.x - x).max() < 1e-7
    last = result.history[-1]
    at_bounds = np.isin(x, (0.0, -0.02, 0.05))
    assert (
        0 < at_bounds.sum() < D
        and np.allclose(result.x[at_bounds], x[at_bounds], 0.0, 1e-16)
        and last.disagreement < 1e-8
    )
    penalty = 0.05 * np.abs(x).sum() if r.startswith("l1") else 0.0
    assert last.f == pytest.approx(sum(p.value(x, i) for i in range(N)) / N + RIDGE / 2 * x @ x + penalty, abs=1e-9)


def test_what_is_not_smooth_is_for_prox_steps_alone():
    problem = unlike().problem.with_nonsmooth(nf.L1(0.05))
    assert problem.objective.endswith(" + 0.05‖x‖₁")
    for method in ("newton", "gd", "beer"):
        with pytest.raises(ValueError, match=f"{method}: minimises smooth functions"):
            nf.solve(problem, method)
    for who, made in (
        ("nf.optimum", nf.optimum), ("personal", lambda p: p.personal([0])), ("flix", lambda p: p.flix(0.5)),
        ("inference", lambda p: nf.inference(p, np.zeros(D))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{who}: works with smooth functions"):
            made(problem)
    with pytest.raises(ValueError, match=r"has l1:0\.05 already"):
        problem.with_nonsmooth("box:0:1")
    with pytest.raises(ValueError, match="weight: given -1"):
        unlike().problem.with_nonsmooth("l1:-1")
    with pytest.raises(TypeError, match="must be a Nonsmooth"):
        unlike().problem.with_nonsmooth(3.0)


def test_the_gradient_norm_is_that_of_the_client_farthest_away():
    """A mean at the minimiser of clients who are not there is no solution."""
    ends = [(0, 1), (0, 2)]
    targets = np.array([[-5.0], [9.0], [-4.0]])
    problem = nf.FromFunctions(
        3, 1, lambda i, x: 0.5 * float((x - targets[i]) @ (x - targets[i])), lambda i, x: x - targets[i],
        lambda i, x: np.eye(1), client_smoothness=1.0,
    )  # fmt: skip
    result = nf.solve(problem, nf.exact_diffusion(graph=nf.Edges(tuple(ends)), stepsize=0.3), rounds=1, x0=np.ones(1))
    rows = G.exact_diffusion(SimpleNamespace(n=3, lam=0.0, gradient=lambda x, i: x - targets[i]), np.ones(1), 1, 0.3,
                             G.metropolis(ends, 3))[0]  # fmt: skip
    x = rows.mean(axis=0)
    far = rows[np.argmax(np.abs(rows - x))]  # ∇f(x) = x
    last = result.history[-1]
    assert last.f == pytest.approx(sum(0.5 * (far[0] - t) ** 2 for t in targets[:, 0]) / 3)
    assert result.x == pytest.approx(x) and last.disagreement == pytest.approx(np.abs(far - x)[0])
    assert last.gradient_norm == pytest.approx(np.abs(far)[0]) and np.abs(far) > np.abs(x) + 0.3
    assert nf.solve(problem, "exact-diffusion,graph=star,stepsize=0.3", x0=np.ones(1), rounds=400).converged


def test_a_packet_counts_once_for_every_edge():
    result = solved("beer,graph=star,compressor=topk:3", 10)
    sender, receiver, sizes = result.ledger.edges.T
    assert len(sender) == 2 * (N - 1) and ((sender == 0) != (receiver == 0)).all()
    up, down = result.ledger.up.bytes, result.ledger.down.bytes
    first = down - np.bincount(receiver, sizes, N).astype(int)  # η and γ in round 0, to all alike
    assert np.array_equal(up, np.bincount(sender, sizes, N)) and (first == first[0]).all() and 16 < first[0] < 40
    hub = sizes[sender == 0]
    assert (hub == hub[0]).all() and up[0] == (N - 1) * hub[0] and (sizes[sender != 0] == up[1:]).all()
    table = result.ledger.table()
    assert table.bytes[(table.direction == "up")].sum() == up.sum() + result.ledger.up.setup_bytes.sum()
    messages = table.messages[(table.direction == "up") & (table.client == 0) & (table.part == "model")]
    assert messages.tolist() == [10 * (N - 1)]


def test_dadaos_clock_is_that_of_its_events():
    """A gradient of each client a second, and √(2χ₁χ₂) edges: 9.78 on a ring of eight."""
    last = solved("dadao", 1000).history[-1]
    assert last.round / last.time == pytest.approx(9.78, rel=0.08)
    assert last.gradients / last.time == pytest.approx(1.0, rel=0.08)
    pace = chis(nf.Ring(), N).edges_per_second
    passed = [Key(3, k).to("events").generator().exponential(1.0 / pace) for k in range(5)]
    assert solved("dadao", 5, seed=3).history[-1].time == pytest.approx(sum(passed))


def test_what_cannot_be_is_refused():
    free = nf.from_arrays(np.eye(6), np.array([1.0, -1, 1, -1, 1, -1]), clients=3, l2=0.0)
    alone = nf.from_arrays(np.eye(6), np.array([1.0, -1, 1, -1, 1, -1]), clients=1, l2=0.1)
    for problem, method, why in (
        (free, "dadao", "dadao: needs a ridge above 0"),
        (free, "lead,compressor=randk:2", "gamma: its theorem needs a ridge above 0"),
        (free, "lead,compressor=topk:2", "topk:2 is not unbiased"),
        (free, "beer,graph=torus:2", "3 clients do not fill 2 rows"),
        (free, nf.beer(graph=nf.Edges(((0, 1),))), "no path leads from client 0 to client 2"),
        (free, nf.beer(graph=nf.Edges(((0, 1), (1, 5)))), "it names client 5, and there are 3"),
        (alone, "exact-diffusion", "graph=ring: one client has no neighbours"),
        (free, "exact-diffusion,wire=natural", "wire=natural: exact-diffusion sends whole vectors"),
        (free, "beer,lam=2", "setting of beer: given 'lam'"),
        (free, "motef,lam=2", "lam: given 2.0"),
        (free, "beer,graph=rind", "did you mean ring"),
    ):
        with pytest.raises((ValueError, TypeError), match=why):
            nf.solve(problem, method)
    with pytest.raises(ValueError, match="on_missing='skip' cannot be with it"):
        nf.solve(free, "exact-diffusion", availability="independent:0.5", on_missing="skip")


def test_what_runs_away_ends_as_not_finite_or_diverged():
    assert solved("exact-diffusion,stepsize=1e6", 2000).reason.name in ("DIVERGED", "NOT_FINITE")
    assert solved("lead,stepsize=1e200", 2000).reason.name in ("DIVERGED", "NOT_FINITE")


@pytest.mark.parametrize(
    ("method", "clients", "rounds"),
    [
        ("dadao", 2, 750),  # swings: its best round was 365 for long
        ("lead", 30, 450),
        ("lead,compressor=randk:1", 8, 300),  # γ = 0.0002: clients first move apart
    ],
)
def test_a_slow_start_is_no_standstill(method, clients, rounds):
    """At 12,000 rounds ‖∇f‖ has been down to 2e-6, 3e-3 and 3e-2: a solve must not be given up at the first plateau."""
    problem = nf.load("breast_cancer", clients=clients, l2=1e-4)
    assert nf.solve(problem, method, rounds=rounds, tol=1e-8).reason is nf.Reason.ROUND_LIMIT


def test_a_tracker_with_a_small_gamma_is_not_given_up():
    assert solved("beer,graph=line", 150).reason is nf.Reason.ROUND_LIMIT


@pytest.mark.parametrize("method", ["exact-diffusion,graph=line", "lead,compressor=identity,graph=line"])
def test_begun_near_the_minimiser_it_leads_away_and_back(method):
    """The gradients of x⁰ are the smallest for long: clients first follow their own, until the duals are learned."""
    problem = nf.load("breast_cancer", clients=20, l2=0.1)
    result = nf.solve(problem, method, x0=nf.optimum(problem)[0] + 1e-4, rounds=400, tol=1e-8)
    norms = result.history.column("gradient_norm")
    assert result.reason is nf.Reason.ROUND_LIMIT and norms[1:102].min() > norms[0] > 2 * norms[-1]


def test_by_how_much_a_round_forgets():
    def told(method):
        with Session(unlike().problem, method, 0) as session:
            facts = ProblemConstants(
                N, D, unlike().problem.ridge, lambda: 1.0, unlike().problem.like, strong_convexity=RIDGE,
                client_smoothness=lambda: unlike().each - RIDGE,
            )  # fmt: skip
            x = np.zeros(D)
            return 1.0 / method.contraction_rate(method.init_server(facts, x, session.init_clients(x)))

    gap = 1.0 - np.linalg.eigvalsh(RING)[-2]
    for gamma in (1.0, 0.25):
        made = nf.lead(compressor="identity", gamma=gamma).resolved(unlike().problem)
        descending = (RIDGE + unlike().each.max()) / RIDGE  # 2/(ημ)
        assert told(made) == pytest.approx(max(2.0 / (gamma * gap), descending), rel=1e-12)
    slowly = nf.exact_diffusion(stepsize=1e-3).resolved(unlike().problem)
    quickly = nf.exact_diffusion(stepsize=1e3).resolved(unlike().problem)
    assert told(slowly) == pytest.approx(2e3 / RIDGE, rel=1e-12) and told(quickly) == pytest.approx(2 / gap, rel=1e-12)
    edges = chis(nf.Ring(), N).edges_per_second
    expected = 8.0 * np.sqrt(2.0 * unlike().each.max() / RIDGE) * edges
    assert told(nf.dadao().resolved(unlike().problem)) == pytest.approx(expected, rel=1e-12)


def test_a_graph_whose_clients_only_swap_has_no_gap_and_an_end():
    """W has the eigenvalue -1, so ρ = 0; LEAD's half steps I - (I - W)/2 mix in one."""

    @dataclass(frozen=True)
    class Swap(nf.Ring):
        def edges(self, n_clients):
            return np.array([[0, 1]])

        def mixing(self, n_clients):
            return csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))

    problem = nf.load("breast_cancer", clients=2, l2=1e-2)
    assert nf.solve(problem, nf.lead(graph=Swap(), stepsize="theory"), rounds=2000, tol=1e-4).converged
