"""Newton-Learn and BL3: the papers' boxes, matrices that majorise the Hessian, and the papers' bits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import strict_device
import transcriptions as T
from cases import as_dense, dense_glm, functions_problem, glm, sparse_glm
from reference_data import logistic

import newtonfl as nf
from newtonfl import registry
from newtonfl.cli.main import main
from newtonfl.comm.heads import Kind
from newtonfl.comm.packets import Packet, encode
from newtonfl.components.curvature.learned_rows import NewtonLearn
from newtonfl.components.gradient.invariant import InvariantGradient
from newtonfl.components.step.newton import Plain
from newtonfl.core.random import SERVER, Key
from newtonfl.methods import Descent, Method, ProblemConstants
from newtonfl.objectives.base import Problem
from newtonfl.objectives.losses import Logistic
from newtonfl.solver.optimum import optimum
from newtonfl.solver.session import Session

SEED, ROUNDS, N, D = 5, 15, 20, 40
NL = (nf.nl1, nf.nl2, nf.cubic_newton_learn)
ALL = {"participation": nf.All()}


def states(problem: Problem, method: Method, x0: np.ndarray, rounds: int = ROUNDS) -> Iterator[tuple[Any, Any, Any]]:
    """(x before a round, the server after it, the clients after it) for every round of a solve; the next overwrites."""
    method = method.resolved(problem)
    with Session(problem, method, SEED) as session:
        facts = ProblemConstants(problem.n_clients, problem.dim, problem.ridge, lambda: 0.0, problem.like)
        server = method.init_server(facts, x0, session.init_clients(x0))
        for k in range(rounds):
            x, server = server.x, method.round(server, session.exchange, Key(SEED, k))
            yield x, server, session.local.states[0]


def iterates(problem: Problem, method: Method, x0: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    return np.stack([after.x for _, after, _ in states(problem, method, x0, rounds)])


@cache
def syn40() -> SimpleNamespace:
    problem = logistic("syn40", N, 50, D, 1e-3)
    rows, labels, _ = problem.host
    dense = T.Logistic(np.split(rows, N), np.split(labels, N), 1e-3)
    return SimpleNamespace(problem=problem, p=dense, x0=T.minimiser(dense) + 0.1)


def drawn(compressor, purpose="curvature", later=0, matrices=True):
    """A compressor of the library with its own keys: on vectors, and on matrices' upper triangles.

    What a transcription does after the step of round k, the library does at the beginning of round k + 1: `later`.
    """

    def compress(X, i, k):
        key = Key(SEED, k + later, SERVER if i is None else i).to(purpose)
        upper = (np.arange(len(X)),) if X.ndim == 1 else np.triu_indices(len(X))
        indices, values = compressor.compress(X[upper], key).coordinates()
        vector = np.zeros(len(upper[0]))
        vector[slice(None) if indices is None else indices] = values
        out = np.zeros_like(X)
        out[upper] = vector
        return out if X.ndim == 1 else np.triu(out) + np.triu(out, 1).T

    return compress


def client_coin(p):
    return lambda i, k: bool(Key(SEED, k + 1).to("gradient").of(i).to("coin").generator().random() < p)


def sample(tau):
    return lambda k: nf.Uniform(tau).draw(N, Key(SEED, k + 1, SERVER).to("participation"))


BOXES = {
    "nl1": (lambda: nf.nl1(), lambda p, x: T.nl1(p, x, ROUNDS, drawn(nf.RandK(1)), 1 / 50)),
    "nl1, rand-30, η": (
        lambda: nf.nl1(compressor=nf.RandK(30), alpha=0.5),
        lambda p, x: T.nl1(p, x, ROUNDS, drawn(nf.RandK(30)), 0.5),
    ),
    "nl1, overshooting": (  # the positive part is taken: see test_h_stays_where_theory_wants_it
        lambda: nf.nl1(compressor=nf.Dithering(1)),
        lambda p, x: T.nl1(p, x, ROUNDS, drawn(nf.Dithering(1)), 1 / (nf.Dithering(1).contract(50).omega + 1)),
    ),
    "nl2": (lambda: nf.nl2(), lambda p, x: T.nl2(p, x, ROUNDS, drawn(nf.RandK(1)), 1 / 50)),
    "nl2, top-5": (
        lambda: nf.nl2(compressor=nf.TopK(5)), lambda p, x: T.nl2(p, x, ROUNDS, drawn(nf.TopK(5)), 1.0)
    ),
    "cubic-newton-learn": (
        lambda: nf.cubic_newton_learn(lipschitz=7.0),
        lambda p, x: T.cubic_newton_learn(p, x, ROUNDS, drawn(nf.RandK(1)), 1 / 50, M=7.0),
    ),
    "cubic-newton-learn, theory": (
        lambda: nf.cubic_newton_learn(compressor=nf.TopK(9)),
        lambda p, x: T.cubic_newton_learn(p, x, ROUNDS, drawn(nf.TopK(9)), 1.0, M=T.lipschitz(p)),
    ),
    "bl3, all": (
        lambda: nf.bl3(**ALL),
        lambda p, x: T.bl3(
            p, x, ROUNDS, drawn(nf.TopK(D), later=1), T.identity, lambda i, k: True, lambda k: range(N)
        ),
    ),
    "bl3, partial, lazy, bidirectional": (
        lambda: nf.bl3(participation=nf.Uniform(8), compressor=nf.RandK(400), gradient_p=0.6, model=nf.TopK(20), c=0.5),
        lambda p, x: T.bl3(
            p, x, ROUNDS, drawn(nf.RandK(400), later=1), T.top_k(20), client_coin(0.6), sample(8), 0.5, 400 / 820
        ),
    ),
    "bl3, from zero, random models": (
        lambda: nf.bl3(participation=nf.Uniform(5), init="zero", gradient_p=0.5, model=nf.RandK(30)),
        lambda p, x: T.bl3(
            p, x, ROUNDS, drawn(nf.TopK(D), later=1), drawn(nf.RandK(30), "model", 1), client_coin(0.5), sample(5),
            eta=30 / D, start="zero",
        ),
    ),
}  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("name", BOXES)
def test_a_preset_is_its_papers_box(name):
    s, (method, transcription) = syn40(), BOXES[name]
    theirs = np.stack(transcription(s.p, s.x0))
    assert np.abs(iterates(s.problem, method(), s.x0) - theirs).max() <= 1e-9
    assert np.abs(theirs[-1] - theirs[0]).max() > 1e-4


def test_nl1_without_compression_is_newton_a_round_late():
    problem = dense_glm(ridge=0.1)
    x = np.full(problem.dim, 0.4)
    told = iterates(problem, nf.nl1(compressor=nf.Identity()), x, 8)

    def whole(x):
        return np.mean([problem.at(x).hessian(i) for i in range(4)], axis=0) + 0.1 * np.eye(problem.dim)

    before = x
    for theirs in told:
        g = problem.at(x).gradient.mean(axis=0) + problem.ridge * x
        before, x = x, x - np.linalg.solve(whole(before), g)
        assert np.abs(x - theirs).max() <= 1e-11
    assert np.linalg.norm(problem.at(x).gradient.mean(axis=0) + problem.ridge * x) <= 1e-11


# ---- the majorised matrices ------------------------------------------------------------------------------------------


def lowest(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix)[0])


OVERSHOOTING = [nf.RandK(1), nf.TopK(3), nf.Natural(), nf.Dithering(1), nf.Identity()]


@pytest.mark.parametrize("compressor", OVERSHOOTING, ids=lambda compressor: str(compressor))
@pytest.mark.parametrize("make", NL[1:], ids=["nl2", "cubic-newton-learn"])
def test_nl2s_matrix_is_above_the_hessian(make, compressor, monkeypatch):
    problem = dense_glm("logistic", ridge=0.01)
    steps, aggregate = [], NewtonLearn.aggregate

    def spy(self, state, replies, weights, key):
        state, hessian = aggregate(self, state, replies, weights, key)
        steps.append(hessian.matrix)
        return state, hessian

    monkeypatch.setattr(NewtonLearn, "aggregate", spy)
    told = states(problem, make(compressor=compressor), np.full(problem.dim, 1.5), 12)
    above = []
    for x, _, _ in told:
        matrix = steps[-1]
        truth = np.mean([problem.at(x).hessian(i) for i in range(4)], axis=0)
        assert lowest(matrix - truth) >= -1e-13
        above.append(np.linalg.norm(matrix - truth))
    assert above[0] <= 1e-13 < max(above)  # h⁰ is exact, and later it is not


@pytest.mark.parametrize("compressor", OVERSHOOTING[2:4], ids=lambda compressor: str(compressor))
@pytest.mark.parametrize("make", NL, ids=["nl1", "nl2", "cubic-newton-learn"])
def test_h_stays_where_theory_wants_it_and_both_ends_agree(make, compressor):
    """NL1: h ≥ 0. NL2: abs(h) ≤ γ. Also where the compressor overshoots. The server's H is that of the clients' h."""
    problem = dense_glm("logistic", ridge=0.01, weights=np.tile([1.0, 0.0, 2.5], 11))
    (rows, _, weights), clipped = problem.host, 0
    most = 0.25 * problem.row_weights
    for _, after, clients in states(problem, make(compressor=compressor), np.full(7, 5.0), 60):
        h = clients.curvature.estimate.values
        assert np.all(h >= 0) if make is nf.nl1 else np.all(np.abs(h) <= most)
        clipped += np.sum(((h == 0) if make is nf.nl1 else (np.abs(h) == most)) & (weights > 0))
        server = after.curvature.coordinates.square(after.curvature.mean)
        assert np.abs(server - (rows.T * h) @ rows / 4).max() <= 1e-13
    assert clipped


@pytest.mark.parametrize("settings", [ALL, {"participation": nf.Uniform(2)}], ids=["all", "partial"])
@pytest.mark.parametrize("compressor", [nf.TopK(5), nf.RandK(3), nf.Natural(), nf.RankR(1)], ids=lambda c: str(c))
@pytest.mark.parametrize("init", ["hessian", "zero"])
def test_bl3s_matrix_is_above_the_hessian(settings, compressor, init):
    """βA - C ⪰ (1/n) Σ ∇²f_i(z_i); with p = 1 the server's w_i are the z_i."""
    problem = dense_glm("logistic", ridge=0.01)
    above = []
    for _, after, clients in states(problem, nf.bl3(**settings, compressor=compressor, init=init), np.ones(7), 12):
        beta, gamma = after.beta.max(), after.gamma.mean()
        matrix = after.learned.coordinates.square(beta * after.learned.mean + 2 * gamma * (beta - 1))
        assert np.array_equal(after.points, clients.model)
        truth = np.mean([problem.at(z).hessian(i) for i, z in enumerate(after.points)], axis=0)
        assert lowest(matrix - truth) >= -1e-13
        above.append(np.linalg.norm(matrix - truth))
    assert max(above) > 1e-6


def test_bl3s_two_ends_agree():
    """The server's means of L_i, γ_i and g_i are the clients', with coins, absences and a compressed model."""
    problem = dense_glm("logistic", n=5)
    method = nf.bl3(participation=nf.Uniform(3), gradient_p=0.4, model=nf.TopK(3), compressor=nf.TopK(4))
    for _, after, clients in states(problem, method, np.ones(7), 20):
        space = after.learned.coordinates
        assert np.abs(after.learned.mean - np.mean(list(clients.learner.memory.estimate), axis=0)).max() <= 1e-14
        assert np.array_equal(after.gamma, clients.gamma) and np.array_equal(after.points, clients.points)
        for i, w in enumerate(clients.points):
            ones = 2 * clients.gamma[i] * T.psd_expand(np.ones((7, 7))) @ w
            told = space.apply(i, clients.learner.memory.estimate[i], w) + ones, ones + problem.at(w).gradient[i]
            assert np.abs(clients.g.estimate[i] - np.concatenate(told)).max() <= 1e-12
        assert np.abs(after.g - np.mean(list(clients.g.estimate), axis=0)).max() <= 1e-12


# ---- runs ------------------------------------------------------------------------------------------------------------

RUNS = [
    (nf.nl1(), 40),
    (nf.nl1(compressor=nf.TopK(1)), 40),
    (nf.nl1(compressor=nf.Natural()), 40),
    (nf.nl2(), 60),
    (nf.nl2(model=nf.TopK(30), gradient_p=0.8), 120),
    (nf.cubic_newton_learn(), 120),
    (nf.bl3(**ALL), 60),
    (nf.bl3(compressor=nf.TopK(200), model=nf.TopK(20), gradient_p=0.75, wire="float32"), 120),
]


@pytest.mark.data
@pytest.mark.parametrize(("method", "rounds"), RUNS, ids=lambda value: getattr(value, "name", value))
def test_it_converges_on_syn40(method, rounds):
    s = syn40()
    result = nf.solve(s.problem, method, x0=s.x0, rounds=rounds, tol=1e-10)
    assert result.converged, (result.reason, result.history[-1].gradient_norm)


def test_cubic_newton_learn_converges_from_anywhere_and_downhill():
    problem = dense_glm("logistic", ridge=0.01)
    result = nf.solve(problem, nf.cubic_newton_learn(), x0=np.full(problem.dim, 30.0), rounds=300, tol=1e-9)
    f = np.array([record.f for record in result.history])
    assert result.converged and np.all(np.diff(f) <= 1e-15)


def bits(method: Method, problem: Problem, x0: np.ndarray) -> tuple[float, list[float]]:
    history = nf.solve(problem, method, x0=x0, rounds=5, tol=0.0).history
    return history[0].setup_formula_bits_up, list(np.diff([record.formula_bits_up for record in history]))


@pytest.mark.data
@pytest.mark.parametrize("k", [1, 3])
def test_formula_bits(k):
    """NL1 Rand-k: 32d + 32kd + 32k a round, from the first. NL2 and CNL: 32 more, for β_i."""
    s, rand, triangle = syn40(), nf.RandK(k), D * (D + 1) // 2
    a_round = 32 * D + 32 * k * D + 32 * k
    assert bits(nf.nl1(compressor=rand), s.problem, s.x0) == (32 * triangle, 5 * [a_round])
    assert bits(nf.nl2(compressor=rand), s.problem, s.x0) == (64 * triangle, 5 * [a_round + 32])
    cubic = nf.cubic_newton_learn(compressor=rand)
    assert bits(cubic, s.problem, s.x0) == (64 * triangle + 32, 5 * [a_round + 32])
    # BL3: both invariants, γ_i and β_i; coefficients from the second round on.
    whole = 32 * 2 * D + 64
    assert bits(nf.bl3(**ALL, compressor=nf.TopK(k)), s.problem, s.x0) == (
        32 * triangle, [whole] + 4 * [whole + 32 * k]
    )  # fmt: skip


@pytest.mark.data
def test_many_rows_are_told_as_their_matrix():
    s = syn40()
    _, rounds = bits(nf.nl1(compressor=nf.RandK(50)), s.problem, s.x0)
    assert rounds == 5 * [32 * D + 32 * D * (D + 1) // 2]
    history = nf.solve(s.problem, nf.nl1(compressor=nf.RandK(50)), x0=s.x0, rounds=3, tol=0.0).history
    triangle = 8 * D * (D + 1) // 2
    assert 0 < history[3].bytes_up - history[2].bytes_up - 8 * D - triangle < 100


# ---- the same answer -------------------------------------------------------------------------------------------------

MAKERS = {"nl1": nf.nl1, "nl2": nf.nl2, "cubic-newton-learn": nf.cubic_newton_learn, "bl3": nf.bl3}
EACH = pytest.mark.parametrize("name", MAKERS)


@EACH
@pytest.mark.parametrize("compressor", [nf.RandK(2), nf.TopK(2), nf.Identity()], ids=lambda c: str(c))
def test_dense_rows_and_sparse_rows_give_the_same(name, compressor):
    x0 = np.full(7, 0.7)
    sparse, dense = (
        iterates(p, MAKERS[name](compressor=compressor), x0) for p in (sparse_glm(), as_dense(sparse_glm()))
    )
    assert np.abs(sparse - dense).max() <= 1e-12


@EACH
def test_a_weight_of_two_is_a_row_twice_and_of_zero_none(name):
    draw = np.random.default_rng(1)
    rows, labels = draw.standard_normal((12, 5)), np.sign(draw.standard_normal(12))
    weights = np.array([1.0, 2, 1, 0, 1, 1, 2, 2, 1, 1, 0, 1])
    times = weights.astype(int)
    copied = [int(times[:6].sum()), int(times[6:].sum())]
    compressor = nf.TopK(3) if name == "bl3" else nf.Identity()
    method = MAKERS[name](compressor=compressor)
    weighted = glm(rows, labels, [6, 6], Logistic(), weights)
    twice = glm(np.repeat(rows, times, axis=0), np.repeat(labels, times), copied, Logistic())
    x0 = np.full(5, 1.2)
    assert np.abs(iterates(weighted, method, x0) - iterates(twice, method, x0)).max() <= 1e-11


@EACH
def test_a_clients_bytes_do_not_depend_on_its_neighbours(name):
    """Every client alone says, in every round, what it says among the others."""
    problem = sparse_glm(n=4)
    settings = {"participation": nf.Uniform(3), "gradient_p": 0.5} if name == "bl3" else {}
    method = MAKERS[name](**settings, model=nf.TopK(3)).resolved(problem)
    alone = [problem.select(np.array([i])) for i in range(4)]
    held = [method.init_clients(p, np.ones(7), Key(SEED))[1] for p in alone]
    compared = 0

    class Spied(Session):
        def exchange(self, announcement, sizes):
            nonlocal compared
            replies = super().exchange(announcement, sizes)
            told = dict(zip(replies.clients, replies.parts, strict=True))
            for i in range(4):
                mine, held[i] = method.respond(held[i], announcement, alone[i], Key(SEED, announcement.round))
                assert len(mine) == (i in told)
                for parts in mine:
                    packets = [encode(Packet(Kind.REPLY, 0, i, 0, each)) for each in (parts, told[i])]
                    assert packets[0] == packets[1]
                    compared += 1
            return replies

    with Spied(problem, method, SEED) as session:
        facts = ProblemConstants(4, 7, problem.ridge, lambda: 0.0, problem.like)
        server = method.init_server(facts, np.ones(7), session.init_clients(np.ones(7)))
        for k in range(6):
            server = method.round(server, session.exchange, Key(SEED, k))
    assert compared == (4 + 5 * 3 if name == "bl3" else 24)


@EACH
@pytest.mark.parametrize("compressor", [nf.RandK(2), nf.Identity()], ids=lambda c: str(c))
def test_it_runs_on_a_device_and_agrees(name, compressor, monkeypatch):
    """Nothing crosses to the host but by name."""
    method = MAKERS[name](compressor=compressor, model=nf.TopK(3), gradient_p=0.5)
    host = nf.solve(dense_glm(), method, rounds=8, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(dense_glm(like=strict_device.on_device()), method, rounds=8, tol=0.0)
    assert np.abs(device.x - host.x).max() <= 1e-12
    assert [record.bytes_up for record in device.history] == [record.bytes_up for record in host.history]


# ---- names and refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nl1", {}),
        ("nl1", {"compressor": "topk:2", "line_search": "3", "model": "topk:2d", "gradient_p": "0.5"}),
        ("nl2", {"compressor": "natural"}),
        ("nl2", {"alpha": "0.01"}),
        ("cubic-newton-learn", {"lipschitz": "2.5"}),
        ("bl3", {}),
        (
            "bl3",
            {
                "c": "0.25", "participation": "uniform:3", "gradient_p": "0.5", "model": "topk:2", "init": "zero",
                "compressor": "randk:2d", "wire": "float32",
            },
        ),
    ],
)  # fmt: skip
def test_names_make_the_method_again(name, words):
    made = registry.method(name, words)
    told = registry.method_parameters(made)
    assert made.name == name and all(str(told[key]) in (words[key], f"{words[key]}.0") for key in words)
    assert registry.method(name, {key: str(value) for key, value in told.items()}) == made


def test_the_command_line_knows_them(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["solve", "breast_cancer", "--method", "nl1", "--rounds", "5", "--set", "compressor=randk:2"])
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and not err and "rounds          5" in out and "set-up" in out
    for name in MAKERS:
        with pytest.raises(SystemExit):
            main(["methods", name])
        assert ("2111.01847" if name == "bl3" else "2102.07158") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("method", "problem", "words"),
    [
        (nf.nl1(), lambda: functions_problem()[0], "no rows with a loss"),
        (nf.nl2(), lambda: functions_problem()[0], "no rows with a loss"),
        (nf.nl1(), lambda: dense_glm(ridge=0.0), "nl1 needs λ > 0"),
        (nf.nl2(), lambda: dense_glm("poisson"), "a bound γ"),
        (nf.cubic_newton_learn(), lambda: dense_glm("huber"), "no Lipschitz constant"),
        (nf.nl1(compressor=nf.RankR(1)), dense_glm, "these are vectors"),
        (nf.nl1(alpha=0.9), dense_glm, "at most 1/\\(ω\\+1\\)"),
        (nf.bl3(participation=nf.Uniform(9)), dense_glm, "at most 4"),
        (
            Descent(Plain(), NewtonLearn(nf.EF21(nf.RandK(1))), InvariantGradient(), participation=nf.Uniform(2)),
            dense_glm, "cannot take part partially",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_words(method, problem, words):
    with pytest.raises(ValueError, match=words):
        nf.solve(problem(), method, rounds=1)


@pytest.mark.parametrize("make", NL)
def test_newton_learn_has_no_partial_participation(make):
    with pytest.raises(TypeError, match="given 'participation'"):
        make(participation=nf.Uniform(2))
    with pytest.raises(ValueError, match="participation"):
        registry.method(make.__name__.replace("_", "-"), {"participation": "uniform:2"})


@pytest.mark.parametrize("c", [0.0, -1.0, np.inf, np.nan, "much", True])
def test_bl3s_c_must_be_positive(c):
    with pytest.raises(ValueError, match="c: given"):
        nf.bl3(c=c)


def test_nl2_needs_no_ridge():
    problem = dense_glm("logistic", ridge=0.0, n=6)
    result = nf.solve(problem, nf.nl2(), rounds=200, tol=1e-10)
    assert result.converged and np.abs(result.x - optimum(problem)[0]).max() <= 1e-7
