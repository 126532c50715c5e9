"""Clip21: when the last message is clipped, that it is gradient descent from then on, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from exact_problems import PROBLEMS, Known, gaps, quadratic, solved
from played import played
from scipy.stats import kstest

import newtonfl as nf
from newtonfl.bases import Coordinates
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

TAUS = (3.0, 1.0, 0.3, 0.1)


def last_clipped(known: Known, method: nf.Method, rounds: int, tau: float) -> int:
    """The last round with a message as long as τ; -1 where there is none."""
    constants = {"client_smoothness": lambda: known.each, "strong_convexity": known.mu}
    found = -1
    for k, (_, heard) in enumerate(played(known.problem, method, known.x0, rounds, **constants)):
        ((_, replies),) = heard
        lengths = [np.linalg.norm(message.coordinates()[1]) for message in replies.messages("gradient")]
        assert max(lengths) <= tau * (1.0 + 1e-12)
        found = k if max(lengths) > tau * (1.0 - 1e-12) else found
    return found


@pytest.mark.parametrize("where", ["quadratic", "nonconvex"])
def test_the_last_clipped_round_grows_like_one_over_tau(where):
    """It is below 2(max ‖∇f_i(x⁰)‖/τ - 1), as clip21 says, and not below half of that for long."""
    known, found = PROBLEMS[where](), []
    largest = np.linalg.norm(known.gradients, axis=1).max()
    for tau in TAUS:
        bound = 2.0 * (largest / tau - 1.0)
        found.append(last_clipped(known, nf.clip21(tau=tau, stepsize=1.0 / known.smooth), int(bound) + 30, tau))
        assert found[-1] < bound
        # Of steps without a limit a message takes τ off what is missing, and no more.
        assert found[-1] >= 0.25 * bound
    slope = np.polyfit(np.log(TAUS), np.log(found), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


def test_from_then_on_it_is_gradient_descent():
    """Its messages sum to ∇f_i: f falls in every round, to the minimum."""
    known, tau = quadratic(), 1.0
    end = int(2.0 * (np.linalg.norm(known.gradients, axis=1).max() / tau))
    result = solved(known, nf.clip21(tau=tau), end + 300)
    fall = gaps(known, result)
    assert (np.diff(fall[end:]) <= 1e-13).all() and fall[end] > 0.1 and fall[-1] < 1e-12
    at_end = nf.solve(known.problem, nf.clip21(tau=tau), x0=known.x0, rounds=end, tol=0.0).x
    gradient = known.problem.at(at_end).gradient.mean(axis=0) + known.problem.ridge * at_end
    length = min(1.0 / known.smooth, tau / (2.0 * known.each.max()) / np.linalg.norm(gradient))
    stepped = nf.solve(known.problem, nf.clip21(tau=tau), x0=known.x0, rounds=end + 1, tol=0.0).x
    np.testing.assert_allclose(stepped, at_end - length * gradient, rtol=0, atol=1e-12)


def test_without_a_limit_the_papers_constant_step_arrives_as_well():
    known = quadratic()
    result = solved(known, nf.clip21(tau=1.0, longest=np.inf), 400)
    assert gaps(known, result)[-1] < 1e-12 and not any("no step is longer" in note for note in result.theory)


def test_the_note_says_how_long_a_step_may_be():
    known = quadratic()
    first, second = solved(known, nf.clip21(tau=1.0), 1).theory
    assert "1/L" in first and second == f"no step is longer than {1.0 / (2.0 * known.each.max()):.6g}"


def test_a_limit_of_theory_needs_the_clients_own_constants():
    problem = nf.FromFunctions(
        2, 3, lambda i, x: 0.5 * x @ x, lambda i, x: x, lambda i, x: np.eye(3), smoothness=np.eye(3)
    )
    with pytest.raises(ValueError, match=r"longest: theory is not known here .*: give longest=NUMBER"):
        nf.solve(problem, nf.clip21(stepsize=0.5), x0=np.ones(3), rounds=1)
    assert nf.solve(problem, nf.clip21(stepsize=0.5, longest=0.1), x0=np.ones(3), rounds=2, tol=0.0).rounds == 2


def test_other_presets_clip_as_well():
    """As a compressor, with a step that is a number."""
    known = quadratic()
    for method in (
        nf.ef21_pp(compressor="clip:1", participation=nf.Uniform(2), stepsize=0.1, init="zero"),
        nf.newton_3pc(compressor=nf.Clip(0.5), line_search=5),
    ):
        fall = gaps(known, solved(known, method, 40))
        assert fall[-1] < 0.05 * fall[0]


def test_noise_is_normal_and_drawn_apart():
    """Where nothing is new a message is noise alone: N(0, σ²), another for every client and round; g stays."""
    n, size, sigma = 3, 2000, 0.7
    space, zero = Coordinates(np.full(n, size)), Blocks.of([np.zeros(size)] * n)
    mechanism, drawn = nf.NoisyClip(1.0, sigma, 0.5), []
    for k in range(2):
        memory = mechanism.init_memory(zero.replaced(zero.values + 0.0))
        sent = mechanism.send(memory, zero, space, np.arange(n), Key(0, k))
        assert not sent.memory.own.values.any()
        drawn += [message.coordinates()[1] for message in sent.messages]
        np.testing.assert_allclose(sent.memory.estimate.values, 0.5 * np.concatenate(drawn[-n:]), rtol=1e-14)
    for noise in drawn:
        assert kstest(noise / sigma, "norm").pvalue > 1e-3
        assert abs(noise.std() / sigma - 1.0) < 4.0 / np.sqrt(2.0 * size)
    assert np.abs(np.corrcoef(drawn) - np.eye(2 * n)).max() < 5.0 / np.sqrt(size)


def test_noise_costs_accuracy():
    """f ends the nearer to f* the less noise there is, and without any it arrives."""
    known = quadratic()
    ends = [
        gaps(known, solved(known, nf.clip21_sgd2m(tau=3.0, sigma=sigma, stepsize=0.2, beta=1.0, beta_hat=1.0), 200))[-1]
        for sigma in (0.0, 1e-3, 1e-1)
    ]
    assert ends[0] < 1e-12 < 1e-8 < ends[1] < 1e-2 * ends[2]
