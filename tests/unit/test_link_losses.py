"""Gamma, Tweedie, probit and complementary log-log: their formulas, far tails, and the mean of the curvature."""

from __future__ import annotations

from decimal import Decimal, localcontext

import array_api_strict
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import newtonfl as nf
from newtonfl.checks import check_loss
from newtonfl.objectives.losses import ComplementaryLogLog, Gamma, Logistic, Poisson, Probit, Tweedie

MARGINS = np.array([-30.0, -3.7, -1e-3, 0.0, 0.4, 2.2, 3.3])


NEW = [Gamma(), Tweedie(), Tweedie(1.05), Tweedie(1.95), Probit(), ComplementaryLogLog()]


@pytest.mark.parametrize("loss", NEW, ids=str)
def test_slopes_and_curvatures_are_derivatives_at_any_margin(loss):
    check_loss(loss)


def test_gamma_and_tweedie_are_half_the_deviance_but_for_a_constant():
    for loss, power in ((Gamma(), 2.0), (Tweedie(1.3), 1.3), (Poisson(), 1.0)):
        for y in (0.3, 2.0, 50.0):
            mean = np.exp(MARGINS[1:])
            if power == 2.0:
                half = y / mean - np.log(y / mean) - 1.0
            elif power == 1.0:
                half = y * np.log(y / mean) - y + mean
            else:
                half = y ** (2 - power) / ((1 - power) * (2 - power)) - y * mean ** (1 - power) / (1 - power)
                half += mean ** (2 - power) / (2 - power)
            constant = loss.value(MARGINS[1:], np.full(6, y)) - half
            np.testing.assert_allclose(constant, constant[2], rtol=1e-10, atol=1e-10)


def test_probit_and_cloglog_are_minus_the_logarithm_of_a_probability():
    t, one = MARGINS, np.ones(len(MARGINS))
    np.testing.assert_allclose(Probit().value(t, one), -scipy.stats.norm.logcdf(t), rtol=1e-13)
    np.testing.assert_allclose(Probit().value(t, -one), -scipy.stats.norm.logsf(t), rtol=1e-13)
    with localcontext(prec=60):
        exact = [float(-(1 - (-Decimal(float(x)).exp()).exp()).ln()) for x in t]
    np.testing.assert_allclose(ComplementaryLogLog().value(t, one), exact, rtol=1e-14)
    np.testing.assert_allclose(ComplementaryLogLog().value(t, -one), np.exp(t), rtol=1e-15)


@pytest.mark.parametrize("z", [-1e4, -300.0, -30.0, -4.0001, -3.9999, -1.0, 0.0, 5.0])
def test_the_probits_curvature_keeps_its_digits(z):
    """Against ∫ of the tail: φ″ = h(h + z) with h = Φ′(z)/Φ(z), whose terms cancel far out."""
    if z < -100.0:
        exact = 1.0 - 1.0 / z**2 + 6.0 / z**4 - 50.0 / z**6
    else:  # Φ(z) and z Φ(z) + Φ′(z) are integrals of exp(-s²/2 + z s) and of s times it, over s > 0
        integrals = [
            scipy.integrate.quad(lambda s, k=k: s**k * np.exp(-s * s / 2 + z * s), 0, np.inf, epsabs=0, epsrel=1e-13)
            for k in (0, 1)
        ]
        (whole, _), (first, _) = integrals
        exact = first / whole**2
    assert Probit().curvature(np.array([z]), np.ones(1))[0] == pytest.approx(exact, rel=1e-11)


def test_the_largest_slope_of_the_probits_curvature():
    t = np.linspace(-30.0, 10.0, 400_001)
    largest = np.abs(np.gradient(Probit().curvature(t, np.ones_like(t)), t)).max()
    assert 0.9999 * Probit().curvature_lipschitz < largest <= Probit().curvature_lipschitz


def test_the_information_is_the_mean_of_the_curvature():
    """Over labels that follow the model: two of them, or draws."""
    t = np.array([-2.0, -0.3, 0.0, 0.8])
    for loss, share in (
        (Logistic(), 1.0 / (1.0 + np.exp(-t))), (Probit(), scipy.stats.norm.cdf(t)),
        (ComplementaryLogLog(), 1.0 - np.exp(-np.exp(t))),
    ):  # fmt: skip
        mean = share * loss.curvature(t, np.ones(4)) + (1.0 - share) * loss.curvature(t, -np.ones(4))
        np.testing.assert_allclose(loss.information(t, np.ones(4)), mean, rtol=1e-12)
    for loss in (Gamma(), Tweedie(1.4), Poisson()):  # linear in y, whose mean is exp(t)
        np.testing.assert_allclose(loss.information(t, np.ones(4)), loss.curvature(t, np.exp(t)), rtol=1e-14)


def test_labels_that_a_loss_does_not_take():
    X = np.eye(3)
    with pytest.raises(ValueError, match="loss 'gamma' needs labels above 0; the least is 0"):
        nf.from_arrays(X, [1.0, 0.0, 2.0], "gamma")
    with pytest.raises(ValueError, match=r"loss 'tweedie' needs labels of at least 0; the least is -1"):
        nf.from_arrays(X, [1.0, -1.0, 2.0], "tweedie:1.5")
    for power in (1.0, 2, True, "1.5", np.nan):
        with pytest.raises(ValueError, match="power: given"):
            Tweedie(power)


def test_a_library_without_the_normal_distribution_is_named():
    t = array_api_strict.asarray([0.0])
    with pytest.raises(TypeError, match="not for array_api_strict"):
        Probit().value(t, t)


@pytest.mark.parametrize("loss", ["gamma", "tweedie:1.2", "probit", "cloglog"])
def test_a_compressed_solve_finds_newtons_point(loss):
    draw = np.random.Generator(np.random.Philox(4))
    X = draw.standard_normal((80, 4))
    amounts = np.exp(0.4 * X[:, 0]) * draw.gamma(2.0, 0.5, 80)
    y = amounts if loss[0] in "gt" else np.where(amounts > 1.0, 1.0, -1.0)
    problem = nf.from_arrays(X, y, loss, clients=5, l2=1e-2)
    exact = nf.solve(problem, nf.newton(line_search=5), tol=1e-11)
    lazy = nf.solve(problem, nf.newton_3pc_ls(), tol=1e-11, rounds=300)
    assert exact.converged and lazy.converged and np.linalg.norm(exact.x - lazy.x) < 1e-8
