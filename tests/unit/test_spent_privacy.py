"""ε of clipped messages with noise, beside the Gaussian mechanism's own formula."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr
from scipy.stats import norm

import newtonfl as nf


def exact(tau, sigma, rounds, delta):
    """T Gaussian mechanisms are one, μ = √T·2τ/σ, and δ(ε) = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ) (Balle, Wang, 2018)."""
    mu = np.sqrt(rounds) * 2.0 * tau / sigma

    def above(eps):
        return norm.cdf(mu / 2 - eps / mu) - np.exp(eps + log_ndtr(-mu / 2 - eps / mu)) - delta

    return brentq(above, 0.0, mu**2 / 2 + 10 * mu, xtol=1e-12)


@pytest.mark.parametrize(
    "tau, sigma, rounds, delta",
    [(1.0, 40.0, 100, 1e-5), (0.1, 0.5, 1, 1e-6), (2.0, 30.0, 50, 1e-3), (1.0, 8.0, 30, 1e-5), (1.0, 0.1, 100, 1e-5)],
)
def test_it_is_the_gaussian_mechanisms(tau, sigma, rounds, delta):
    assert nf.spent_epsilon(tau, sigma, rounds, delta) == pytest.approx(exact(tau, sigma, rounds, delta), rel=1e-9)


def test_the_ends():
    assert nf.spent_epsilon(1.0, 1.0, 0) == 0.0 and nf.spent_epsilon(1.0, 1.0, 3, 1.0) == 0.0
    assert nf.spent_epsilon(1.0, 0.0, 1) == np.inf


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"tau": 0.0}, "tau: given 0.0, must be a finite number above 0"),
        ({"sigma": -1.0}, "sigma: given -1.0"),
        ({"rounds": 1.5}, "rounds: given 1.5, must be a whole number of at least 0"),
        ({"rounds": -1}, "rounds: given -1"),
        ({"rounds": True}, "rounds: given True"),
        ({"tau": "1"}, "tau: given '1'"),
        ({"sigma": None}, "sigma: given None"),
        ({"delta": 0.0}, "delta: given 0.0, must be a probability above 0"),
    ],
)
def test_what_it_refuses(wrong, words):
    with pytest.raises(ValueError, match=words):
        nf.spent_epsilon(**{"tau": 1.0, "sigma": 1.0, "rounds": 1, **wrong})


def test_without_dp_accounting_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(RuntimeError, match=r"pip install 'newtonfl\[dp\]'"):
        nf.spent_epsilon(1.0, 1.0, 1)
