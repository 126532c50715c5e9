"""Variational inequalities: boxes on a game, identities, a known equilibrium, theory's steps, and what travels."""

from __future__ import annotations

import numpy as np
import pytest
import transcriptions as T
import variational as V
from cases import dense_glm
from first_order_setting import ROUNDS, coin, drawn
from games import GAME, Game, problem, rotation
from played import iterates
from variational_cases import back, moves, whole

import newtonfl as nf
from newtonfl.compressors import Identity, Natural, RandK, TopK
from newtonfl.registry import METHODS
from newtonfl.solver.result import Reason

START = np.full(GAME.d, 3.0)


BOXES = {
    "extragradient": (nf.extragradient(stepsize=0.2), lambda p, z: V.extragradient(p, z, ROUNDS, 0.2)),
    "masha1": (
        nf.masha1(compressor=RandK(3), stepsize=0.1),
        lambda p, z: V.masha1(p, z, ROUNDS, 0.1, 0.25, drawn(RandK(3), "change"), whole, moves(0.25)),
    ),
    "masha1, both ways": (
        nf.masha1(compressor=RandK(6), down=Natural(), stepsize=0.1, p=0.4),
        lambda p, z: V.masha1(p, z, ROUNDS, 0.1, 0.4, drawn(RandK(6), "change"), back(Natural()), moves(0.4)),
    ),
    "masha2, both ways": (
        nf.masha2(compressor=TopK(3), down=TopK(5), stepsize=0.05),
        lambda p, z: V.masha2(
            p, z, ROUNDS, 0.05, 0.25, T.top_k(3), lambda X, k: T.top_k(5)(X, None, k), moves(0.25)
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("name", BOXES)
def test_on_a_game_a_method_is_its_box(name, l2):
    method, box = BOXES[name]
    path = iterates(problem(l2=l2), method, START, ROUNDS, strong_convexity=0.5 + l2)
    expected = np.stack(box(Game(GAME.matrices, GAME.tilts, GAME.solution, l2), START))
    assert np.abs(path - expected).max() <= 1e-9 and np.abs(np.diff(path, axis=0)).max(axis=1).min() > 1e-6


@pytest.mark.parametrize("made", [problem, lambda: dense_glm(n=5)], ids=["game", "logistic"])
def test_masha1_of_everything_is_extragradient(made):
    """Q the identity, p = 1: w is z. The ridge is added in another order."""
    ours, plain = (
        iterates(made(), method, np.ones(made().dim), ROUNDS)
        for method in (nf.masha1(compressor=Identity(), stepsize=0.2), nf.extragradient(stepsize=0.2))
    )
    assert np.abs(ours - plain).max() <= 1e-12 and np.abs(ours[-1] - ours[0]).max() > 0.01


def test_masha2_of_everything_is_masha1_of_everything():
    ours, plain = (
        iterates(problem(), make(compressor=Identity(), stepsize=0.2, p=0.3), START, ROUNDS)
        for make in (nf.masha2, nf.masha1)
    )
    assert np.abs(ours - plain).max() <= 1e-12


TO_THE_END = [
    ("extragradient", 400), ("masha1", 4000), ("masha1,compressor=randk:6,down=natural", 1000),
    ("masha2,compressor=topk:4", 3000), ("masha2,compressor=topk:6,down=topk:6,stepsize=theory*4", 2000),
    ("masha2,compressor=natural", 1000),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "rounds"), TO_THE_END)
def test_the_equilibrium_is_reached(spec, rounds):
    """To 1e-12 of the z* that is constructed, by ‖F(z)‖ alone: no client's own F_i vanishes there."""
    result = nf.solve(nf.load("game"), spec, tol=5e-13, rounds=rounds)
    assert result.reason is Reason.CONVERGED and np.abs(result.x - GAME.solution).max() <= 1e-12
    assert np.abs(GAME.tilts).max(axis=1).min() > 0.1
    assert all(record.f is None and record.gap is None for record in result.history)


@pytest.mark.parametrize("spec", ["extragradient", "masha1,compressor=randk:4", "masha2,compressor=topk:4"])
def test_a_function_is_minimised(spec):
    made = dense_glm(n=4)
    x, f = nf.optimum(made)
    result = nf.solve(made, spec, tol=1e-11, rounds=20_000, f_star=f)
    assert result.converged and np.abs(result.x - x).max() <= 1e-9 and abs(result.history[-1].gap) <= 1e-14


def test_without_strong_monotonicity_extragradient_still_comes_in():
    """Where a plain step turns away: the equilibrium of the rotation is (2, 1)."""
    assert np.abs(nf.solve(rotation(), "extragradient", tol=1e-12).x - [2.0, 1.0]).max() <= 1e-11
    z = np.zeros(2)
    for _ in range(100):
        z = z - 0.5 * np.array([z[1] - 1.0, 2.0 - z[0]])
    assert np.abs(z).max() > 1e3


# ---- theory ----------------------------------------------------------------------------------------------------------


def masha(p, a, b, mu=0.5):
    """min{p/(2μ), √p/(2C)} from the matrices."""
    c = np.sqrt(a * GAME.lipschitz.mean() ** 2 + b * np.mean(GAME.lipschitz**2))
    return min(p / (2 * mu), np.sqrt(p) / (2 * c))


THEORY = [
    ("extragradient", {}, lambda: 0.5 / GAME.lipschitz.mean()),
    ("masha1", {"compressor": RandK(3)}, lambda: masha(0.25, 1.0, 3 / 8)),
    ("masha1", {"compressor": RandK(3), "p": 0.01}, lambda: masha(0.01, 1.0, 3 / 8)),
    ("masha1", {"compressor": RandK(3), "down": Natural()}, lambda: masha(0.25, 9 / 8, 9 / 8 * 3 / 8)),
    ("masha2", {"compressor": TopK(3)}, lambda: masha(0.25, 1.0, 0.75 / 0.25**2)),
    ("masha2", {"compressor": TopK(6), "down": TopK(6)}, lambda: masha(0.5, 1.0, 0.75 / 0.25**2)),
]


@pytest.mark.parametrize(("name", "settings", "gamma"), THEORY)
def test_theorys_step(name, settings, gamma):
    (note,) = nf.solve(problem(), METHODS[name](**settings), rounds=0).theory
    assert float(note.split()[1]) == pytest.approx(gamma(), rel=1e-5)


def test_the_ridge_is_in_theorys_step():
    """L, L_i and μ are all 0.3 larger."""
    (note,) = nf.solve(problem(l2=0.3), nf.masha1(compressor=RandK(3), p=0.001), rounds=0).theory
    assert float(note.split()[1]) == pytest.approx(0.001 / (2 * 0.8), rel=1e-5)
    (note,) = nf.solve(problem(l2=0.3), nf.masha1(compressor=RandK(3)), rounds=0).theory
    c = np.sqrt((GAME.lipschitz.mean() + 0.3) ** 2 + 3 / 8 * np.mean((GAME.lipschitz + 0.3) ** 2))
    assert float(note.split()[1]) == pytest.approx(0.5 / (2 * c), rel=1e-5)
    (note,) = nf.solve(problem(l2=0.3), nf.extragradient(), rounds=0).theory
    assert float(note.split()[1]) == pytest.approx(0.5 / (GAME.lipschitz.mean() + 0.3), rel=1e-5)


def squares(method, seed):
    """‖z^k - z*‖² along a solve."""
    seen = []
    nf.solve(
        problem(), method, rounds=100, tol=0.0, seed=seed, callback=lambda record, state: seen.append(state.x + 0.0)
    )
    return np.sum((np.array(seen) - GAME.solution) ** 2, axis=1)


@pytest.mark.parametrize(("down", "omega"), [(Identity(), 0.0), (Natural(), 1 / 8)])
def test_masha1_keeps_its_rate(down, omega):
    """(1-p) E‖z^k - z*‖² ≤ (2-p)‖z⁰ - z*‖²(1 - γμ/2)ᵏ, of 16 seeds: Ψ with w beside z."""
    paths = np.stack([squares(nf.masha1(compressor=RandK(2), down=down), seed) for seed in range(16)])
    gamma = masha(1 / 6, 1 + omega, (1 + omega) * 5 / 8)
    bound = (2 - 1 / 6) * paths[0, 0] * (1.0 - gamma * 0.5 / 2.0) ** np.arange(101)
    assert ((1 - 1 / 6) * paths.mean(axis=0) <= bound).all()


# ---- what travels ----------------------------------------------------------------------------------------------------


def test_extragradient_sends_two_vectors_each_way():
    ledger = nf.solve(problem(), nf.extragradient(), rounds=5, tol=0.0).ledger
    assert (ledger.up.formula_bits == 32 * 10 * GAME.d).all() and (ledger.down.formula_bits == 32 * 10 * GAME.d).all()


def test_masha_sends_what_its_box_says():
    """K numbers up and d down a round; where w has moved, d more each way; γ and p once."""
    rounds, d, k = 30, GAME.d, 3
    result = nf.solve(problem(), nf.masha1(compressor=RandK(k), p=0.3), rounds=rounds, tol=0.0, seed=8)
    moved = 1 + sum(coin("anchor coin", 0.3)(round) for round in range(rounds - 1))
    assert 3 < moved < rounds
    assert (result.ledger.up.formula_bits == 32 * (rounds * k + moved * d)).all()
    assert (result.ledger.down.formula_bits == 32 * ((rounds - 1) * d + moved * d + 2)).all()


def test_with_few_clients_compression_does_not_pay():
    """Numbers up until ‖F‖ ≤ 1e-9 with theory's steps: extragradient's whole vectors are fewer than RandK's."""
    cost = {}
    for spec in ("extragradient", "masha1,compressor=randk:6", "masha1,compressor=randk:2"):
        result = nf.solve(problem(), spec, tol=1e-9, rounds=4000)
        assert result.converged
        cost[spec] = (result.history[-1].formula_bits_up + result.history[-1].formula_bits_down) / 32
    assert min(cost, key=cost.get) == "extragradient", cost
