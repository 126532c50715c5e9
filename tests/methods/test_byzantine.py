"""Byzantine clients: where byz-vr-marina-pp and robust-newton come to all the same, where not, and what others do."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from attacks import Attack, a_little, attacked, constant, flipped, inner_product, shift_back
from cases import dense_glm, functions_problem, glm, like_clients, unlike_clients
from reference_data import need

import newtonfl as nf
from newtonfl.components.curvature.robust import RobustHessian
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.datasets.sources import read
from newtonfl.methods import ProblemConstants
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic
from newtonfl.solver.result import Reason
from newtonfl.solver.session import Session

BYZANTINE = (8, 9)  # of ten
ATTACKS: dict[str, Attack] = {
    "constant": constant(1e3),
    "beyond squares": constant(1e200),
    "sign flip": flipped,
    "inner product": inner_product(10.0),
    "a little": a_little,
    "shift back": shift_back(np.zeros(10), 1.0),
}


@cache
def like() -> tuple[GLM, np.ndarray]:
    """Ten clients with the same data, whose minimiser is every client's, and that minimiser."""
    return like_clients(), nf.optimum(like_clients())[0]


def distance(method: nf.Method, attack: Attack, rounds: int, **more: object) -> float:
    """‖x - x*‖² after so many rounds with two Byzantine clients of ten; infinite where the solve broke down."""
    problem, optimum = like()
    x = nf.solve(
        problem, attacked(method, BYZANTINE, attack, **more), rounds=rounds, tol=0.0, x0=np.zeros(10), seed=1
    ).x
    return float(np.sum((x - optimum) ** 2))


def byz(**settings: object) -> nf.Method:
    return nf.byz_vr_marina_pp(
        **{"compressor": "randk:5", "p": 0.2, "participation": "uniform:3", "stepsize": 1.0, **settings}
    )


# ---- byz-vr-marina-pp ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_clipping_makes_it_linear_whoever_is_drawn(attack):
    """Three of ten are drawn, so that the two, a majority, often are."""
    assert distance(byz(), ATTACKS[attack], 400) <= 1e-20


def test_so_does_it_with_the_mean_on_tails():
    assert distance(byz(tails="mean"), constant(1e3), 400) <= 1e-20


@pytest.mark.parametrize(("attack", "least"), [("constant", 1e6), ("inner product", 1.0), ("shift back", 1.0)])
def test_without_clipping_it_runs_away(attack, least):
    assert distance(byz(clip="none"), ATTACKS[attack], 400) > least


def test_without_a_rule_clipping_is_not_enough():
    """Heads are not clipped: one mean of whole gradients, and all is lost."""
    assert distance(byz(aggregator="mean"), constant(1e3), 400) > 1e6


def test_unlike_clients_leave_a_floor():
    """As theory's ζ²: it comes no nearer than unlike clients are, and does not run away either."""
    problem = unlike_clients(10)
    optimum = nf.optimum(problem)[0]
    method = byz(aggregator="krum:2", participation="uniform:7", stepsize=0.05)
    x, later = (
        nf.solve(problem, attacked(method, (0, 1), constant(1e3)), rounds=rounds, tol=0.0, seed=1).x
        for rounds in (200, 300)
    )
    for found in (x, later):
        assert 1e-2 < np.sum((found - optimum) ** 2) < 1.0


@pytest.mark.data
@pytest.mark.parametrize(("clip", "linear"), [("theory", True), ("none", False)])
def test_the_papers_picture_on_a9a(clip, linear):
    """15 honest and 5 Byzantine clients with the same rows, the median of pairs, shift-back, a fifth of the clients a
    round: figure 1 of arXiv 2311.14127, here on 200 rows."""
    need("a9a")
    table = read("libsvm:a9a", features=123)
    rows, labels = table.rows[:200].toarray(), np.where(table.labels[:200] > 0, 1.0, -1.0)
    problem = glm(np.tile(rows, (20, 1)), np.tile(labels, 20), [200] * 20, Logistic(), ridge=0.05)
    x0 = np.zeros(problem.dim)
    method = nf.byz_vr_marina_pp(participation="uniform:4", stepsize=0.4, clip=clip)
    byzantine = attacked(method, range(15, 20), shift_back(x0, 0.4))
    norms = [record.gradient_norm for record in nf.solve(problem, byzantine, rounds=450, tol=0.0, x0=x0).history]
    assert (norms[450] < 0.05 * norms[300] < 2e-3 * norms[150] < norms[0]) if linear else norms[-1] > norms[0]


def test_the_clipping_of_theory_is_twice_the_largest_smoothness():
    """The same bits; the ridge counts where it stands in the clients' functions."""
    problem = like_clients(5)
    for ridge, inside in (("server", 0.0), ("clients", 0.1)):
        number = 2.0 * (float(problem.client_smoothness.max()) + inside)
        by_theory, by_number, other = (  # Rand-1 makes changes up to ten times as long: some are clipped
            nf.solve(problem, byz(clip=clip, ridge=ridge, compressor="randk:1"), rounds=12, tol=0.0).x
            for clip in ("theory", number, 1.1 * number)
        )
        assert np.array_equal(by_theory, by_number) and not np.array_equal(by_theory, other)


def test_its_step_by_theory_is_pp_marinas():
    problem = dense_glm(n=8)
    ours, theirs = (nf.solve(problem, name, rounds=1, tol=0.0).theory[0] for name in ("byz-vr-marina-pp", "pp-marina"))
    assert ours.split()[:2] == theirs.split()[:2]
    assert ", as if all clients were honest" in ours and "honest" not in theirs


# ---- robust-newton ---------------------------------------------------------------------------------------------------

RULES = ["geometric-median", "median", "trimmed:2", "krum:2", "bucketed:2/geometric-median"]


@pytest.mark.parametrize("attack", ["constant", "beyond squares", "sign flip", "inner product", "a little"])
@pytest.mark.parametrize("rule", RULES)
def test_it_steps_as_newton_among_the_honest(rule, attack):
    """Who hold the same data: the same iterates as newton-3pc of eight clients that are all honest."""
    problem, optimum = like()
    method = nf.robust_newton(aggregator=rule, compressor="topk:10")
    x0 = np.full(10, 0.5)
    honest = nf.newton_3pc(basis="symmetric", compressor="topk:10")
    for rounds in (3, 20):
        found = nf.solve(problem, attacked(method, BYZANTINE, ATTACKS[attack]), rounds=rounds, tol=0.0, x0=x0).x
        assert np.abs(found - nf.solve(like_clients(8), honest, rounds=rounds, tol=0.0, x0=x0).x).max() <= 1e-12
    assert np.sum((found - optimum) ** 2) <= 1e-25


@pytest.mark.parametrize("attack", ["constant", "sign flip", "inner product"])
@pytest.mark.parametrize("hessians", [True, False], ids=["all of it", "gradients alone"])
def test_newton_of_the_mean_does_not(attack, hessians):
    assert not distance(nf.robust_newton(aggregator="mean"), ATTACKS[attack], 20, hessians=hessians) <= 1e-2


def test_its_hessian_is_that_of_the_honest():
    """Agg{H_i} as of the last round, and none before the first."""
    problem, optimum = like()
    method = attacked(nf.robust_newton(compressor="topk:10"), BYZANTINE, constant(1e3)).resolved(problem)
    with Session(problem, method, 0) as session:
        facts = ProblemConstants(10, 10, problem.ridge, lambda: 0.0, problem.like)
        server = method.init_server(facts, optimum, session.init_clients(optimum))
        assert method.hessian_estimate(server) is None
        server = method.round(server, session.exchange, nf.Key(0, 0))
    expected = problem.at(optimum).hessian(0) + 0.1 * np.eye(10)
    assert np.abs(method.hessian_estimate(server) - expected).max() <= 1e-12


def test_draws_that_differ_leave_it_on_its_way():
    """Rand-K's honest estimates differ; they meet where the data are the same."""
    method = nf.robust_newton(compressor="randk:10", init="zero", gradient="randk:5")
    assert distance(method, constant(1e3), 150) <= 1e-20


def test_their_bytes_count_as_others_do():
    problem, _ = like()
    honest, byzantine = (
        nf.solve(problem, method, rounds=3, tol=0.0).history[-1].bytes_up
        for method in (nf.robust_newton(), attacked(nf.robust_newton(), BYZANTINE, constant(1e3), hessians=False))
    )
    assert honest == byzantine


def test_a_number_that_is_none_ends_the_solve_in_words():
    """Packets refuse it: nobody's result is spoilt, and a client can end a solve."""
    problem, _ = like()
    byzantine = attacked(nf.robust_newton(), BYZANTINE, constant(np.nan), hessians=False)
    result = nf.solve(problem, byzantine, rounds=3)
    assert not result.converged and result.rounds == 0 and result.reason is Reason.NOT_FINITE
    assert result.notes == ["round 0, client 8, gradient: a number that is not finite"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nf.robust_newton(aggregator="krum:4"), r"aggregator=krum:4: given 10 clients, must be at least 11"),
        (
            lambda: byz(aggregator="trimmed:5", tails="mean"),
            r"aggregator=trimmed:5: given 10 clients, must be at least 11",
        ),
        (lambda: byz(aggregator="krum:1"), r"uniform:3 has 3 of 10 clients reply in a round, must be at least 5"),
        (lambda: byz(clip=0.0), r"clip: given 0\.0, must be a finite number above 0"),
        (lambda: byz(clip="theorie"), r"clip: given 'theorie'"),
        (lambda: byz(tails="median"), r"tails: given 'median', allowed are aggregator, mean"),
        (lambda: byz(participation="independent:0.5"), r"byz-vr-marina-pp draws a fixed number of clients"),
        (lambda: nf.robust_newton(mechanism="diana", compressor="randk:5"), r"step with the H_i that both ends hold"),
        (lambda: nf.robust_newton(aggregator="medain"), r"did you mean median\?"),
    ],
)  # fmt: skip
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        nf.solve(like()[0], make(), rounds=1)


def test_what_is_no_rule_is_refused():
    with pytest.raises(TypeError, match="must be an Aggregator such as Bucketed"):
        byz(aggregator=nf.TopK(3))
    with pytest.raises(ValueError, match="a rule takes all clients alike, given weigh=smoothness"):
        AnchoredGradient(aggregator=nf.Median(), weigh="smoothness")
    with pytest.raises(ValueError, match="basis: given support, must be symmetric"):
        RobustHessian(nf.EF21(nf.TopK(3)), nf.Support())
    with pytest.raises(ValueError, match="give clip=NUMBER"):
        nf.solve(functions_problem()[0], byz(participation="all", compressor="randk:3", stepsize=0.1), rounds=1)
