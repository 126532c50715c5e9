"""Ordinal regression: what statsmodels' OrderedModel finds on the pooled rows; every kind of method; the estimator."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from statsmodels.miscmodels.ordinal_model import OrderedModel

import newtonfl as nf

DRAW = np.random.Generator(np.random.Philox(32))
X = DRAW.standard_normal((400, 3))
SITES = np.repeat(np.arange(4), [90, 150, 40, 120])
Y = np.digitize(X @ [1.0, -0.5, 0.2] + DRAW.logistic(size=400), [-1.5, 0.2, 2.5])
WORDS = np.array(["a: low", "b: some", "c: more", "d: high"])[Y]


@cache
def theirs():
    """``OrderedModel(y, X, distr="logit").fit()``, by BFGS and then Newton; and its thresholds."""
    model = OrderedModel(Y, X, distr="logit")
    near = model.fit(method="bfgs", disp=0, gtol=1e-9, maxiter=2000)
    found = model.fit(method="newton", start_params=near.params, disp=0)
    return found, model.transform_threshold_params(found.params)[1:-1]


def problem(**more):
    return nf.from_arrays(X, Y, "ordinal", clients=SITES, **more)


def test_coefficients_and_errors_are_statsmodels():
    """Whose Hessian is by differences, so that its errors have six digits."""
    result = nf.solve(problem(), "newton,line_search=3", tol=1e-12)
    found, (peer, thresholds) = nf.inference(problem(), result.x), theirs()
    assert result.converged and found.notes == [] and found.names == ("x0", "x1", "x2", "0|1", "1|2", "2|3")
    np.testing.assert_allclose(found.x[:3], peer.params[:3], rtol=1e-6)
    np.testing.assert_allclose(found.x[3:], thresholds, rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors[:4], peer.bse[:4], rtol=1e-5)  # then increments' logarithms
    np.testing.assert_allclose(found.p_values[:3], peer.pvalues[:3], rtol=1e-4)
    assert found.log_likelihood == pytest.approx(peer.llf, rel=1e-10) and found.rows == 400
    with pytest.raises(ValueError, match="given 'HC0', allowed with ordinal regression is model"):
        nf.inference(problem(), result.x, covariance="HC0")


@pytest.mark.parametrize(
    "method",
    [
        "newton", "newton-cg", "l-bfgs", "newton-3pc,compressor=topk:5,line_search=1",
        "newton-3pc,basis=data,line_search=1", "fednl-ls,step=shift", "giant",
    ],
)  # fmt: skip
def test_every_kind_of_method_comes_to_the_minimiser_from_zero(method):
    """Where all thresholds are equal, which no probability has."""
    found = nf.solve(problem(), method, tol=1e-8, rounds=500)
    assert found.converged
    np.testing.assert_allclose(found.x, [*theirs()[0].params[:3], *theirs()[1]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("y", [Y, WORDS, 2.0 * Y], ids=["numbers", "words", "floats"])
def test_the_estimator_is_statsmodels(y):
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = nf.FederatedOrdinalRegression(alpha=0.0, inference="model", tol=1e-11).fit(table, y, groups=SITES)
    peer, thresholds = theirs()
    np.testing.assert_allclose(model.coef_, peer.params[:3], rtol=1e-6)
    np.testing.assert_allclose(model.thresholds_, thresholds, rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(table), peer.predict(X), rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(table).sum(axis=1), 1.0, rtol=1e-14)
    likely = model.classes_[peer.predict(X).argmax(axis=1)]
    assert np.array_equal(model.predict(table), likely) and model.score(table, y) == np.mean(likely == y)
    assert model.inference_.names[:3] == ("a", "b", "c") and "|" in model.inference_.names[-1]
    assert model.n_iter_ <= 8


def test_an_estimator_that_has_been_fitted_starts_there():
    model = nf.FederatedOrdinalRegression(warm_start=True).fit(X, Y, groups=SITES)
    first, before = model.n_iter_, model.coef_
    assert model.fit(X, Y, groups=SITES).n_iter_ <= 1 < first
    np.testing.assert_allclose(model.coef_, before, rtol=1e-8)
    assert len(model.fit(X, np.minimum(Y, 2), groups=SITES).thresholds_) == 2


def test_what_is_refused():
    with pytest.raises(ValueError, match="inference: given 'HC0', allowed with FederatedOrdinalRegression are None"):
        nf.FederatedOrdinalRegression(inference="HC0").fit(X, Y)
    with pytest.raises(ValueError, match="y must hold at least two classes with weight, and it holds 1"):
        nf.FederatedOrdinalRegression().fit(X, Y, sample_weight=(Y == 1).astype(float))
    with pytest.raises(TypeError, match="fit_intercept"):
        nf.FederatedOrdinalRegression(fit_intercept=False)


def test_categories_in_another_order_than_sorting_are_refused():
    known = ["low", "mid", "high"]
    y = pd.Series(pd.Categorical(np.array(known)[Y % 3], known, ordered=True))
    for fit in (lambda: nf.FederatedOrdinalRegression().fit(X, y), lambda: nf.from_arrays(X, y, "ordinal")):
        with pytest.raises(ValueError, match="y: given categories in the order 'low', 'mid', 'high', and classes"):
            fit()
    assert nf.FederatedOrdinalRegression(alpha=1.0).fit(X, y.cat.codes).classes_.tolist() == [0, 1, 2]
