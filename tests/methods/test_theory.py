"""The papers' theorems, held on real problems: rates inside their radius, and superlinear convergence."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
from played import iterates
from reference_data import logistic

import newtonfl as nf
from newtonfl.mechanisms import CLAG

PROBLEMS = {"syn40": ("syn40", 20, 50, 40, 1e-3), "a1a": ("a1a", 16, 100, 123, 1e-3)}


@cache
def problem_of(name):
    problem = logistic(*PROBLEMS[name])
    return problem, nf.optimum(problem)[0]


def distances(problem, method, start, x_star, rounds):
    """‖x^k - x*‖, round 0 first."""
    path = np.concatenate([start[None, :], iterates(problem, method, start, rounds)])
    return np.linalg.norm(path - x_star, axis=1)


def slowing(name, method):
    """Median ratio ‖x^{k+1} - x*‖/‖x^k - x*‖ of the last five rounds before 1e-11, over that of the five half-way."""
    problem, x_star = problem_of(name)
    far = distances(problem, method, x_star + 0.1, x_star, 90)
    last = int(np.argmax(far < 1e-11))
    assert last >= 8, f"{name}: no round, or too few, before 1e-11"
    ratios = far[1 : last + 1] / far[:last]
    half = last // 2
    return np.median(ratios[-5:]) / np.median(ratios[half - 3 : half + 2])


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("method", [nf.fednl, nf.newton_3pc, nf.bl1])
def test_learned_hessians_make_convergence_superlinear(name, method):
    """Measured 0.31, 0.14, 0.54 on syn40 and 0.30, 0.06, 0.58 on a1a."""
    assert slowing(name, method()) <= 0.7


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_fixed_hessian_does_not(name):
    """Newton-zero is linear: measured 0.99 and 1.00."""
    assert slowing(name, nf.newton_zero()) > 0.9


@cache
def constants():
    """syn40: μ ≥ λ, a bound L of the Lipschitz constants of ∇²f_i in the Frobenius norm, so in the spectral one too."""
    problem, x_star = problem_of("syn40")
    lowest = np.linalg.eigvalsh(np.mean([problem.at(x_star).hessian(i) for i in range(20)], axis=0))[0]
    # Near x* the strong convexity of f is that of ∇²f(x*), less what the radius can take away.
    return problem, x_star, 0.9 * (lowest + 1e-3), float(problem.hessian_lipschitz.max())


def start_within(share=1.0, a=1.0, b=0.0):
    """A start in the theorem's radius: min{μ/√(2D), Aμ/(√(8(1 + 3AB)) L_F)} with the larger D of the two options."""
    problem, x_star, mu, lipschitz = constants()
    radius = min(mu / (np.sqrt(2.0) * 3.0 * lipschitz), a * mu / (np.sqrt(8.0 * (1.0 + 3.0 * a * b)) * lipschitz))
    radius = min(radius, mu / (2.0 * np.sqrt(8.0) * lipschitz))  # of H_i⁰ = ∇²f_i(x⁰): ‖H_i⁰ - ∇²f_i(x*)‖ ≤ μ/(2√C)
    direction = np.random.Generator(np.random.Philox(5)).standard_normal(problem.dim)
    return problem, x_star, x_star + share * radius * direction / np.linalg.norm(direction)


HALVES = {
    "fednl, project": lambda: nf.fednl(step="project"),
    "fednl, shift": lambda: nf.fednl(),
    "fednl, Top-d, theory": lambda: nf.fednl(compressor=nf.TopK("1d"), alpha="theory"),
    "newton-3pc, shift": lambda: nf.newton_3pc(),
    "newton-3pc, project": lambda: nf.newton_3pc(step="project"),
    "newton-3pc, clag": lambda: nf.newton_3pc(mechanism=partial(CLAG, zeta=16.0)),
    "newton-3pc, lag": lambda: nf.newton_3pc(mechanism=nf.LAG(4.0)),
    "bl1": lambda: nf.bl1(),
    "newton-zero": lambda: nf.newton_zero(),
}


@pytest.mark.parametrize("which", HALVES)
def test_the_squared_distance_halves(which):
    """‖x^k - x*‖² ≤ 2⁻ᵏ‖x⁰ - x*‖² (FedNL, Theorem 3.6; Newton-3PC; N0), until rounding speaks."""
    problem, x_star, start = start_within()
    far = distances(problem, HALVES[which](), start, x_star, 12)
    assert far[0] > 1e-7  # far above rounding, or the bound would say nothing
    assert np.all(far**2 <= 0.5 ** np.arange(13) * far[0] ** 2 + 1e-13**2)


def test_newton_star_is_quadratic():
    """‖x⁺ - x*‖ ≤ L_*/(2μ)‖x - x*‖² (FedNL, section 3.5)."""
    problem, x_star, mu, lipschitz = constants()
    far = distances(problem, nf.newton_star(optimum=x_star), x_star + 0.02, x_star, 4)
    assert np.all(far[1:] <= lipschitz / (2 * mu) * far[:-1] ** 2 + 1e-13)
    assert far[1] < 0.1 * far[0] and far[2] < 0.01 * far[1]


def test_partial_participation_keeps_its_rate():
    """E‖x^{k+1} - x*‖² ≤ (1 - 3τ/(4n))ᵏ‖x⁰ - x*‖² (FedNL-PP, for its W^k): τ = 5 of 20, the mean over 20 seeds."""
    problem, x_star, start = start_within(0.5)
    tau, rounds = 5, 6
    method = nf.fednl_pp(compressor=nf.TopK("1d"), participation=nf.Uniform(tau))
    ends = [nf.solve(problem, method, x0=start, rounds=rounds, tol=0.0, seed=seed).x for seed in range(20)]
    squares = np.sum((np.stack(ends) - x_star) ** 2, axis=1)
    bound = (1 - 3 * tau / (4 * 20)) ** (rounds - 1) * np.linalg.norm(start - x_star) ** 2
    assert 1e-26 < squares.mean() <= bound + 3 * squares.std() / np.sqrt(len(squares))
