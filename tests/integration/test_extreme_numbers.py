"""Numbers beyond what doubles can hold: a reason within the rounds or words before, and never a false "converged"."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.core.backend import norm
from newtonfl.kernels import eigh

DRAW = np.random.default_rng(1)
X = DRAW.standard_normal((24, 5))
MARGINS = X @ DRAW.standard_normal(5) + DRAW.standard_normal(24)
COUNTS = DRAW.poisson(1.0, 24).astype(float)


def rows(x=X, y=None, loss="logistic", l2=1e-2, **more):
    return nf.from_arrays(x, np.sign(MARGINS) if y is None else y, loss, l2=l2, clients=4, **more)


def one_row(scale):
    return rows(np.where(np.arange(24)[:, None] == 3, X * scale, X), COUNTS, "poisson")


def ended(problem, method, **how):
    """The result, without a warning of NumPy's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return nf.solve(problem, method, **{"rounds": 40, "tol": 1e-8, **how})


@pytest.mark.parametrize(
    ("problem", "method", "words"),
    [
        (lambda: rows(X, np.digitize(MARGINS, [-1, 1]), "multinomial", 0.0), "lattice-newton", "beyond its grid"),
        (lambda: rows(X * 1e145), "lattice-newton", "beyond what a double can hold"),
        (lambda: rows(X * 1e307), "lattice-newton", "beyond its grid"),
        (lambda: one_row(1e160), "dingo", "client 0, product: a number that is not finite"),
        (lambda: one_row(1e300), "fib-ios", "client 0, eigenpairs: a number that is not finite"),
        (lambda: one_row(1e160), "newton-3pc-ls,compressor=rank:1", "client 0, curvature: a number that is not finite"),
        (lambda: rows(X * 1e160), "fednl-cr", "client 0, constant: a number that is not finite"),
        (lambda: rows(X * 1e160), "gd", "a bound of the curvature is not finite"),
        (lambda: rows(l2=1e308, nonconvex=1e308), "gd", "a bound of the curvature is not finite"),
        (lambda: rows(X * 1e100), "fednl", "client 0, error: a number that is not finite"),
        (rows, "bl3,c=1e308", "client 0, bound: a number that is not finite"),
        (rows, "adiana,stepsize=5e-324", "no weights belong to a step of"),
    ],
)
def test_what_is_not_finite_is_said(problem, method, words):
    result = ended(problem(), method)
    assert result.reason is nf.Reason.NOT_FINITE and words in result.detail and not result.converged


@pytest.mark.parametrize(
    ("problem", "method"),
    [
        (lambda: rows(X * 1e80), "ef21"),
        (lambda: rows(nonconvex=1e300), "ef21"),
        (rows, "adacgd,zeta=1e308"),
        (rows, "artemis,participation=independent:5e-324"),
        (lambda: rows(X * 0.0), "ef21-sgdm"),
        (lambda: rows(X * 1e100), "ef21-hb"),
        (rows, "ef-bv,lam=1e-16"),
        (rows, "marina,p=5e-324"),
        (rows, "3pc-v5,p=1e-300"),
        (rows, "ef21-pp,participation=independent:5e-324"),
    ],
)
def test_theory_without_a_step_is_refused(problem, method):
    with pytest.raises(ValueError, match=r"theory is not known here \(.*double can hold\): give stepsize=NUMBER"):
        ended(problem(), method)
    assert ended(problem(), f"{method},stepsize=1e-3", rounds=3).rounds <= 3  # a number is taken


@pytest.mark.parametrize(
    ("problem", "method"),
    [
        (lambda: rows(X * 1e20, loss="squared-hinge"), "lattice-newton"),  # a singular local Hessian
        (lambda: rows(X, MARGINS, "huber", huber_delta=1e300), "newton"),
        (rows, "newton-3pc-ls,backtrack=0.999999"),
        (rows, "l-bfgs,backtrack=0.9999999999999999"),
        (rows, "fib-ios,beta=0.99999999"),
        (rows, "fednl-pp,mechanism=cbag:5e-324/topk:1"),
        (rows, "fednl-pp,gradient_p=5e-324"),
        (rows, "dingo,phi=1e308"),
    ],
)
def test_extreme_settings_end(problem, method):
    result = ended(problem(), method)
    assert result.rounds <= 40 and np.isfinite(result.history[-1].f)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("giant,trials=1000000000", "must be a whole number from 1 to 1000"),
        ("m-fac,window=1000000000", r"window: given 1000000000, .* take [0-9,]+ GiB, and"),
        ("m-fac,window=100000000000000000000", "window: given"),
    ],
)
def test_settings_beyond_this_machine_are_refused(method, words):
    with pytest.raises((ValueError, RuntimeError), match=words):
        ended(rows(), method)


@pytest.mark.parametrize("scale", [1e-170, 1e170])
def test_a_norm_whose_squares_are_no_doubles(scale):
    assert norm(scale * np.array([3.0, -4.0])) == pytest.approx(5.0 * scale)
    assert norm(np.array([3.0, -4.0])) == 5.0 and norm(np.zeros(0)) == 0.0
    assert np.isnan(norm(np.array([np.nan, 1.0]))) and norm(np.array([np.inf, 1.0])) == np.inf


def test_a_small_gradient_is_not_zero():
    """Squares of 1e-170 vanish, the gradient does not."""
    result = ended(rows(X * 1e-170, l2=0.0), "newton", tol=0.0)
    assert not result.converged and 1e-171 < result.history[0].gradient_norm < 1e-169


def test_a_coordinate_that_is_not_penalised_may_be_huge():
    """Its square is infinite, and in no term of f."""
    result = ended(rows(X * np.array([1e-160, 1, 1, 1, 1]), MARGINS, "squared", 0.0), "newton")
    assert result.converged and np.abs(result.x).max() > 1e158 and result.history[-1].f < 1.0


def test_eigenvectors_of_what_is_not_finite():
    values, vectors = eigh(np.full((3, 3), np.inf))
    assert np.isnan(values).all() and np.isnan(vectors).all()


def test_rounds_without_anybody():
    """bl3 with a client in five: there are rounds of nobody, which say nothing and are no sign of a stall."""
    problem = nf.load("breast_cancer", clients=4)
    result = nf.solve(problem, "bl3,participation=independent:0.2", rounds=60)
    assert result.reason is nf.Reason.ROUND_LIMIT and len(result.history) == 61
