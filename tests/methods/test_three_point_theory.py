"""The three-point family's theorems, held: with its theoretical step each method meets its own bound.

The steps are worked out here from the papers' constants, apart from the library's. Σ‖∇f(x^t)‖² grows with T and its
bound does not, so that the sum over all rounds speaks for every T.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from exact_problems import (
    BROKEN,
    DIM,
    KEPT,
    MU,
    PROBLEMS,
    SEEDS,
    Known,
    N,
    below,
    first_error,
    gaps,
    quadratic,
    solved,
    squares,
    used,
    young,
)
from scipy.optimize import minimize_scalar

import newtonfl as nf
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.shared_gradient import SharedGradient
from newtonfl.mechanisms import CLAG, EF21
from newtonfl.mechanisms import AdaCGD as Ladder
from newtonfl.methods import ProblemConstants
from newtonfl.methods.first_order import three_point

pytestmark = [pytest.mark.slow, pytest.mark.data]


def away(a: float, b: float, p: float) -> tuple[float, float]:
    """(A_p, B_p) with the ρ of the least B_p/A_p, searched for."""
    rho = np.geomspace(1e-6, p * a / (1.0 - p), 200001)[:-1]
    a_p, b_p = p * a - rho * (1.0 - p), p * b + (1.0 + 1.0 / rho) * (1.0 - p)
    best = np.argmin(b_p / a_p)
    return float(a_p[best]), float(b_p[best])


def behind(first: tuple[float, float], delta: float) -> tuple[float, float]:
    """(A, B) of 3PCv3: C behind another mechanism."""
    return 1.0 - (1.0 - delta) * (1.0 - first[0]), (1.0 - delta) * first[1]


def clag_of(delta: float) -> tuple[float, float]:
    return young(delta)[0], max(young(delta)[1], 2.0)


Constants = Callable[[float, int], tuple[float, float]]

FAMILY: dict[str, tuple[Callable[..., nf.Method], Constants]] = {
    "ef21": (lambda k, **rest: nf.ef21(compressor=nf.TopK(k), **rest), lambda delta, n: young(delta)),
    "ef21-plus": (lambda k, **rest: nf.ef21_plus(compressor=nf.TopK(k), **rest), lambda delta, n: young(delta)),
    "ef21-w": (lambda k, **rest: nf.ef21_w(compressor=nf.TopK(k), **rest), lambda delta, n: young(delta)),
    "lag": (lambda k, **rest: three_point.lag(**rest), lambda delta, n: (1.0, 2.0)),
    "clag": (lambda k, **rest: nf.clag(compressor=nf.TopK(k), **rest), lambda delta, n: clag_of(delta)),
    "3pc-v1": (lambda k, **rest: three_point.v1(compressor=nf.TopK(k), **rest), lambda delta, n: (1.0, 1.0 - delta)),
    "3pc-v3": (
        lambda k, **rest: three_point.v3(compressor=nf.TopK(k), inner=CLAG(nf.TopK(k), 2.0), **rest),
        lambda delta, n: behind(clag_of(delta), delta),
    ),
    "3pc-v4": (
        lambda k, **rest: three_point.v4(compressor=nf.TopK(k), first=nf.TopK(k), **rest),
        lambda delta, n: young(1.0 - (1.0 - delta) ** 2),
    ),
    "adacgd": (
        lambda k, **rest: nf.adacgd(levels=(nf.TopK(k), nf.TopK(2 * k - 1)), **rest),
        lambda delta, n: clag_of(delta),
    ),
    "ef21, Rand-K": (lambda k, **rest: nf.ef21(compressor=nf.RandK(k), **rest), lambda delta, n: young(delta)),
    "ef21-pp": (
        lambda k, **rest: nf.ef21_pp(compressor=nf.TopK(k), participation=nf.Uniform(0.75), **rest),
        lambda delta, n: away(*young(delta), 0.75),
    ),
    "3pc-v2": (
        lambda k, **rest: three_point.v2(compressor=nf.TopK(k), first=nf.RandK(k), **rest),
        lambda delta, n: (delta, (1.0 - delta) * (1.0 / delta - 1.0)),
    ),
    "3pc-v5": (
        lambda k, **rest: three_point.v5(compressor=nf.TopK(k), p=0.5, **rest),
        lambda delta, n: (1.0 - np.sqrt(0.5), 0.5 * (1.0 - delta) / (1.0 - np.sqrt(0.5))),
    ),
    "marina": (
        lambda k, **rest: nf.marina(compressor=nf.RandK(k), p=0.5, **rest),
        lambda delta, n: (0.5, 0.5 * (1.0 / delta - 1.0) / n),
    ),
    "marina, Perm-K": (
        lambda k, **rest: nf.marina(compressor=nf.PermK(), p=0.5, **rest),
        lambda delta, n: (0.5, 0.5),
    ),
    "pp-marina": (
        lambda k, **rest: nf.pp_marina(compressor=nf.RandK(k), p=0.5, participation=nf.Uniform(0.75), **rest),
        lambda delta, n: (0.5, 0.5 * (1.0 / delta - 1.0 + (n / 4) / (n - 1)) / (0.75 * n)),
    ),
    "ef21-bc": (
        lambda k, **rest: nf.ef21_bc(compressor=nf.TopK(k), down=nf.TopK(k), **rest),
        lambda delta, n: young(delta),
    ),
    "adacgd, both ways": (
        lambda k, **rest: nf.adacgd(levels=(nf.TopK(k),), down=Ladder((nf.TopK(k), nf.TopK(2 * k - 1)), 2.0), **rest),
        lambda delta, n: clag_of(delta),
    ),
}
RANDOM = ("ef21, Rand-K", "ef21-pp", "3pc-v2", "3pc-v5", "marina", "marina, Perm-K", "pp-marina")
BOTH_WAYS = {"ef21-bc": young, "adacgd, both ways": clag_of}
"""The master's (A, B); the clients' are in the family."""


def theory(name: str, known: Known, delta: float, linear: bool) -> tuple[float, float]:
    """(γ, A) of the theorem."""
    a, b = FAMILY[name][1](delta, known.problem.n_clients)
    twice, plus, least = 2.0 if linear else 1.0, known.plus, a
    ratio = twice * b / a
    if name == "ef21-w":
        plus = float(np.mean(known.each))
    if name == "marina, Perm-K" and known.problem.nonconvex == 0.0:
        plus = minimize_scalar(lambda c: np.sqrt(np.mean(np.maximum(c, known.each - c) ** 2))).fun  # for L_±
    if name in BOTH_WAYS:
        plus = float(np.sqrt(np.mean((known.each + known.problem.ridge.max()) ** 2)))  # the ridge goes down with g
        am, bm = BOTH_WAYS[name](delta)
        ratio = twice * (6 * bm * (b + 1) / am + 2 * b / a * (1 + twice * 3 * bm * (2 - a) / am))
        least = min(a, am)
    gamma = 1.0 / (known.smooth + plus * np.sqrt(ratio))
    return (min(gamma, least / (2.0 * known.mu)) if linear else gamma), a


def played_out(name: str, where: str, stepsize: float | str, rounds: int, **rest) -> tuple[Known, list[nf.Result]]:
    known, seeds = PROBLEMS[where](), SEEDS if name in RANDOM and isinstance(stepsize, str) else 1
    method = FAMILY[name][0](KEPT[where], stepsize=stepsize, **rest)
    return known, [solved(known, method, rounds, seed) for seed in range(seeds)]


CASES = [(name, "nonconvex") for name in FAMILY] + [(name, "quadratic") for name in FAMILY if name not in RANDOM]
CASES += [(name, "a1a") for name in FAMILY if name not in RANDOM or name.startswith("marina")]


@pytest.mark.parametrize(("name", "where"), CASES)
def test_the_gradients_norm_averages_out(name, where):
    """mean ‖∇f(x^t)‖² ≤ 2(f(x⁰) - f*)/(γT) for every T, with the γ of the theorem, convex or not (3PC; AdaCGD)."""
    rounds = 12 if name in RANDOM else 30
    known, results = played_out(name, where, "theory", rounds)
    gamma, _ = theory(name, known, KEPT[where] / known.problem.dim, linear=False)
    assert used(results[0]) == pytest.approx(gamma, rel=2e-5)
    first, second = results[0].history[0], results[0].history[1]
    assert second.step == pytest.approx(gamma * first.gradient_norm, rel=1e-5)  # g⁰ = ∇f(x⁰), and that γ is stepped
    sums = np.array([squares(result) for result in results])
    assert all(result.rounds == rounds for result in results)
    assert below(sums, 2.0 * gaps(known, results[0])[0] / gamma)


@pytest.mark.parametrize("where", ["quadratic", "a1a"])
def test_ef21_takes_the_mean_of_the_smoothness_as_well(where):
    """theory-mean: γ = 1/(L + mean(L_i)√(B/A)) is the larger step, with the same bound (arXiv 2402.10774)."""
    known, (result,) = played_out("ef21", where, "theory-mean", 30)
    a, b = FAMILY["ef21"][1](KEPT[where] / known.problem.dim, known.problem.n_clients)
    gamma = 1.0 / (known.smooth + float(np.mean(known.each)) * np.sqrt(b / a))
    assert used(result) == pytest.approx(gamma, rel=2e-5)
    assert gamma > theory("ef21", known, KEPT[where] / known.problem.dim, linear=False)[0]
    assert squares(result) <= 2.0 * gaps(known, result)[0] / gamma


@pytest.mark.parametrize("name", ["ef21", "clag", "lag", "3pc-v1"])
def test_the_objective_falls_like_one_over_the_rounds(name):
    """theory-convex: f(x^T) - f* ≤ max{1/γ, 1/A}·2(Ω² + f(x⁰) - f*)/T, Ω² ≥ ‖x^t - x*‖² (AdaCGD, arXiv 2211.00188)."""
    known, (result,) = played_out(name, "quadratic", "theory-convex", 40)
    a, b = FAMILY[name][1](0.5, known.problem.n_clients)
    gamma = 1.0 / (known.smooth + known.plus * np.sqrt(2.0 * b / a))
    assert used(result) == pytest.approx(gamma, rel=2e-5)
    gap = gaps(known, result)
    far = float(np.sum((known.x0 - known.x_star) ** 2)) * 1.5 + float(np.sum((result.x - known.x_star) ** 2))
    for rounds in range(1, 41):
        assert gap[rounds] <= max(1.0 / gamma, 1.0 / a) * 2.0 * (far + gap[0]) / rounds
    assert gap[40] > 0 and "O(1/T)" in " ".join(result.theory)


def test_theories_that_do_not_cover_the_components_are_refused():
    known = PROBLEMS["quadratic"]()
    for settings, words in (
        ({"stepsize": "theory-mean", "down": nf.TopK(3)}, "receive the iterate itself"),
        ({"stepsize": "theory-convex", "participation": nf.Uniform(2)}, "all clients take part"),
    ):
        with pytest.raises(ValueError, match=words):
            nf.solve(known.problem, nf.ef21(compressor=nf.TopK(3), **settings), rounds=1)
    with pytest.raises(
        ValueError, match="given theory-mean, and no such theorem of this method is known here: theory, theory-pl"
    ):
        nf.solve(known.problem, nf.clag(compressor=nf.TopK(3), stepsize="theory-mean"), rounds=1)
    with pytest.raises(ValueError, match="needs convex functions"):
        nonconvex = PROBLEMS["nonconvex"]().problem
        nf.solve(nonconvex, nf.ef21(compressor=nf.TopK(3), stepsize="theory-convex"), rounds=1)


@pytest.mark.parametrize("name", ["ef21", "ef21-plus", "ef21-w", "clag"])
def test_a_start_from_zero_costs_its_error(name):
    """… + G⁰/(AT), G⁰ = mean ‖C(∇f_i) - ∇f_i‖², for g_i⁰ = C(∇f_i(x⁰)); weighted by w_i for EF21-W."""
    known, (result,) = played_out(name, "quadratic", "theory", 30, init="zero")
    gamma, a = theory(name, known, 0.5, linear=False)
    error = first_error(known, 5)
    if name == "ef21-w":
        weights = known.each / known.each.sum()
        ordered = np.sort((known.gradients / (N * weights[:, None])) ** 2, axis=1)
        error = float(weights @ np.sum(ordered[:, :-5], axis=1))
    assert used(result) == pytest.approx(gamma, rel=2e-5)
    assert squares(result) <= 2.0 * gaps(known, result)[0] / gamma + error / a


@pytest.mark.parametrize("name", FAMILY)
def test_the_objective_falls_linearly(name):
    """f(x^T) - f* ≤ (1 - γμ)ᵀ(f(x⁰) - f* + (γ/A)G⁰) for every T, with the γ of theory-pl; the averages as before."""
    rounds, zero = 12 if name in RANDOM else 40, name in ("ef21", "ef21-plus", "clag")
    known, results = played_out(name, "quadratic", "theory-pl", rounds, **({"init": "zero"} if zero else {}))
    gamma, a = theory(name, known, 0.5, linear=True)
    assert used(results[0]) == pytest.approx(gamma, rel=2e-5)
    falling = np.stack([gaps(known, result) for result in results])
    first = falling[0, 0] + (gamma / a * first_error(known, 5) if zero else 0.0)
    assert below(np.array([squares(result) for result in results]), 2.0 * first / gamma)
    assert below(falling, (1.0 - gamma * MU) ** np.arange(rounds + 1) * first)


def test_the_linear_rate_is_no_faster_than_the_estimates():
    """γ ≤ A/(2μ): where nothing is lost and p is small, that is the lesser of the two."""
    known = quadratic()
    told = solved(known, nf.marina(compressor=nf.Identity(), p=0.1, stepsize="theory-pl"), 0)
    assert used(told) == pytest.approx(0.1 / (2.0 * MU), rel=2e-5) and 1.0 / known.smooth > 0.1 / (2.0 * MU)


@pytest.mark.parametrize("name", FAMILY)
def test_a_step_of_two_and_a_half_over_the_smoothness_breaks_it(name):
    """The same sums at γ = 2.5/L on the quadratic."""
    known = quadratic()
    gamma = 2.5 / known.smooth
    _, (result,) = played_out(name, "quadratic", gamma, 40)
    assert squares(result) > 2.0 * gaps(known, result)[0] / gamma or result.reason in BROKEN
    assert "beyond what theory allows" in result.theory[1]


def test_the_constants_of_ef21_with_clients_away():
    """E‖C - x‖² ≤ (1 - A)‖h - y‖² + B‖x - y‖², the mean over who is there taken exactly; met with equality by all."""
    facts = ProblemConstants(N, DIM, np.zeros(DIM), lambda: 1.0, np.zeros(0))
    gradient, draw = AnchoredGradient(EF21(nf.TopK(5))), np.random.default_rng(3)
    ones, s = np.ones((1, DIM)), np.sqrt(2.0) - 1.0  # Top-K loses as much as it may, and Young's inequality nothing
    triples = [tuple(draw.standard_normal((3, 1, DIM)) * draw.exponential(size=(3, 1, 1))) for _ in range(300)]
    triples += [(0.0 * ones, t * ones, (1.0 + t) * ones) for t in np.geomspace(0.01, 100.0, 200)]
    for share in (1.0, 0.75, 0.25):
        a, b = gradient.constants(facts, share)
        slack = []
        for h, y, x in [*triples, (0.0 * ones, ones, (1.0 + s) * ones)]:
            error = np.sort((x - h) ** 2, axis=1)
            left = share * error[:, :-5].sum() + (1.0 - share) * error.sum()
            slack.append(left / ((1.0 - a) * ((h - y) ** 2).sum() + b * ((x - y) ** 2).sum()))
        assert max(slack) <= 1.0 + 1e-12
        assert max(slack) > (1.0 - 1e-9 if share == 1.0 else 0.9)  # (A, B) are about as good as they can be


def test_the_variance_of_pp_marina():
    """Tails alone: E‖g¹ - ∇f(x¹)‖² is ω mean ‖Δ_i‖²/τ and the sample's own variance, at most (1-p)v·mean ‖Δ_i‖²."""
    known, gamma, tau = quadratic(), 0.3, 3
    method = nf.pp_marina(compressor=nf.RandK(5), p=1e-9, participation=nf.Uniform(tau), stepsize=gamma)
    whole = np.mean(known.gradients, axis=0) + MU * known.x0
    x1 = known.x0 - gamma * whole
    change = known.problem.at(x1).gradient - known.gradients
    goal = np.mean(known.problem.at(x1).gradient, axis=0) + MU * x1
    ends = np.stack([solved(known, method, 2, seed).x for seed in range(80)])
    errors = np.sum(((x1 - ends) / gamma - goal) ** 2, axis=1)
    spread, far = np.mean(np.sum(change**2, axis=1)), np.sum((change - change.mean(axis=0)) ** 2) / N
    truth = (spread + (N - tau) / (N - 1) * far) / tau  # ω = 1
    assert abs(errors.mean() - truth) <= 4.0 * errors.std() / np.sqrt(len(errors))
    facts = ProblemConstants(N, DIM, np.zeros(DIM), lambda: 1.0, np.zeros(0))
    assert truth <= SharedGradient(nf.RandK(5), 1e-9).constants(facts, tau / N)[1] * spread <= 1.5 * truth
