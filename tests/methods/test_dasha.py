"""DASHA's bounds at its steps, derived here, and none at steps beyond them."""

from __future__ import annotations

import numpy as np
import pytest
from exact_problems import BROKEN, KEPT, PROBLEMS, SEEDS, below, gaps, quadratic, solved, squares, used

import newtonfl as nf


def constants(known, k, a=None):
    """(a, A, B) for Rand-K."""
    omega = known.problem.dim / k - 1.0
    a = 1.0 / (2.0 * omega + 1.0) if a is None else a
    return a, 1.0 - (1.0 - a) ** 2 - 2.0 * omega * a**2, 2.0 * omega


@pytest.mark.data
@pytest.mark.parametrize("where", PROBLEMS)
@pytest.mark.parametrize("times", [1.0, 1.7])
def test_the_gradients_norm_averages_out(where, times):
    """E mean ‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) at γ = 1/(L + L̃√(B/(nA))), whatever a below 2/(1+2ω): see DashaRule."""
    known, k = PROBLEMS[where](), KEPT[where]
    a, shrink, grow = constants(known, k, times * constants(known, k)[0])
    method = nf.dasha(compressor=nf.RandK(k), **({} if times == 1.0 else {"momentum": a}))
    results = [solved(known, method, 12, seed) for seed in range(SEEDS if where != "a1a" else 4)]
    gamma = 1.0 / (known.smooth + known.plus * np.sqrt(grow / (known.problem.n_clients * shrink)))
    assert used(results[0]) == pytest.approx(gamma, rel=2e-5)
    sums = np.array([squares(result) for result in results])
    assert below(sums, 2.0 * gaps(known, results[0])[0] / gamma)


def test_the_linear_rate():
    """E(f(x^T) - f*) ≤ (1 - γμ)ᵀ(f(x⁰) - f*) at γ = min{1/(L + L̃√(4(1+κ)B/(nA))), A/(4μ)}: see DashaRule."""
    known, rounds = quadratic(), 60
    a, shrink, grow = constants(known, 5)
    kappa, n = 2.0 * grow * a**2 / shrink, known.problem.n_clients
    gamma = min(
        1.0 / (known.smooth + known.plus * np.sqrt(4.0 * (1.0 + kappa) * grow / (n * shrink))),
        shrink / (4.0 * known.mu),
    )
    method = nf.dasha(compressor=nf.RandK(5), stepsize="theory-pl")
    falls = np.array([gaps(known, solved(known, method, rounds, seed)) for seed in range(8)])
    assert used(solved(known, method, 0)) == pytest.approx(gamma, rel=2e-5)
    assert below(falls[:, -1], (1.0 - gamma * known.mu) ** rounds * falls[0, 0])
    assert (1.0 - gamma * known.mu) ** rounds < 0.05  # a bound that says something


def test_a_step_of_two_and_a_half_over_the_smoothness_breaks_it():
    known = quadratic()
    result = solved(known, nf.dasha(compressor=nf.RandK(5), stepsize=2.5 / known.smooth), 60)
    assert result.reason in BROKEN or gaps(known, result)[-1] > gaps(known, result)[0]


def test_it_arrives_and_its_messages_are_short():
    """To 1e-10, with nothing sent whole after round 0."""
    known = quadratic()
    result = nf.solve(known.problem, nf.dasha(compressor=nf.RandK(5), stepsize="theory*4"), x0=known.x0, tol=1e-10)
    assert result.converged
    sent = result.ledger.up.formula_bits
    assert (sent == 32 * (10 + 5 * (result.rounds - 1))).all()
