"""``method="auto"`` of the estimators: the rule of cost, case by case, and that a fit follows it and says so."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression, PoissonRegressor

import newtonfl as nf
from newtonfl.estimators.choice import COPIES, METHODS, MOST_BYTES, Size, choose
from newtonfl.methods.argument import as_method

CASES = {
    "breast cancer": (Size(8, 569, 31, 569 * 31), "newton"),
    "a million rows, few columns": (Size(8, 10**6, 51, 51 * 10**6), "newton"),
    "very many clients": (Size(1000, 5000, 31, 5000 * 31), "newton"),
    "dense, 1000 columns": (Size(8, 4000, 1001, 4000 * 1001), "newton-cg"),
    "tf-idf": (Size(8, 4000, 2511, 240_000), "newton-cg"),
    "hashed text": (Size(8, 4000, 20_001, 480_000), "newton-cg"),
    "hashed text of very short rows": (Size(8, 4000, 300, 12_000), "newton"),
    "20 classes": (Size(8, 4000, 31, 4000 * 31, classes=20), "newton"),
    "20 classes, 100 columns": (Size(8, 4000, 101, 4000 * 101, classes=20), "newton-cg"),
    "3 classes": (Size(8, 150, 5, 750, classes=3), "newton"),
    "three silos": (Size(3, 569, 31, 569 * 31, ranks=3, apart=True), "newton"),
    "eight silos, 800 columns": (Size(8, 4000, 801, 4000 * 801, ranks=8, apart=True), "newton-3pc"),
    "four silos, 2000 columns": (Size(4, 4000, 2000, 4000 * 2000, ranks=4, apart=True), "newton-cg"),
    "four ranks of the same rows": (Size(4, 4000, 101, 4000 * 101, ranks=4), "newton"),
    "no rows": (Size(1, 0, 3, 0), "newton"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule(name):
    size, expected = CASES[name]
    choice = choose(size)
    assert choice.method == METHODS[expected]
    assert f"d = {size.dim:,}" in choice.why and choice.why.index(expected) == choice.why.index(": ") + 2


@pytest.mark.parametrize("name", METHODS)
def test_what_is_chosen_is_a_method(name):
    assert as_method(METHODS[name]).name == name


def test_hessians_that_do_not_fit_are_not_chosen():
    """9 copies of 8 clients' d(d + 1)/2 numbers, and four d × d matrices: the bound lies between two neighbours."""
    d = next(d for d in range(1, 2000) if 8 * (COPIES * 8 * d * (d + 1) / 2 + 4 * d * d) > MOST_BYTES)
    below, above = (choose(Size(8, 10**7, dim, 10**7 * dim)).why for dim in (d - 1, d))
    assert "newton-3pc" in below and "GiB" not in below and "newton-3pc" not in above and "GiB" in above


def test_sparse_hessians_count_where_rows_have_entries():
    """100 rows of 3 entries have at most 600 pairs, however many columns there are."""
    assert Size(10, 100, 5000, 300).hessian == 60.0
    assert Size(10, 100, 5000, 300, classes=3).hessian == 10_000 * 10_001 / 2


X = np.random.default_rng(0).standard_normal((60, 4))
Y = np.arange(60) % 2


def test_a_fit_says_which_and_why():
    model = nf.FederatedLogisticRegression(alpha=1e-2).fit(X, Y)
    assert model.method == "auto" and model.method_ == METHODS["newton"] and "newton-cg" in model.method_why_
    theirs = LogisticRegression(C=1 / 0.6, tol=1e-12).fit(X, Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=0, atol=1e-7)


def test_what_is_named_is_taken():
    for method, words in (("gd", "gd"), (nf.gd(), "gd"), ("newton-3pc,compressor=topk:3", "newton-3pc")):
        model = nf.FederatedLogisticRegression(alpha=1e-2, method=method, tol=1e-3).fit(X, Y)
        assert words in model.method_ and model.method_why_ == "it was named"
        assert len(model.history_) == len(nf.solve(problem(), method, tol=1e-3).history)


def problem():
    return nf.from_arrays(X, np.where(Y == 1, 1.0, -1.0), l2=1e-2, intercept=True)


def test_every_estimator_follows_the_rule_where_columns_are_many():
    """400 rows in 3000 columns, all of which occur: counts by Poisson regression, against scikit-learn."""
    draw = np.random.default_rng(3)
    at = (np.repeat(np.arange(400), 30), draw.permutation(np.arange(12_000) % 3000))
    A = scipy.sparse.csr_array((draw.standard_normal(12_000), at), shape=(400, 3000))
    y = draw.poisson(1.0, 400)
    model = nf.FederatedPoissonRegressor(alpha=0.1).fit(A, y)
    assert model.method_ == METHODS["newton-cg"]
    theirs = PoissonRegressor(alpha=0.1, tol=1e-8, max_iter=1000).fit(A, y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=0, atol=1e-5)
    for estimator, targets in (
        (nf.FederatedRidge(), y), (nf.FederatedHuberRegressor(alpha=0.1), y), (nf.FederatedLinearSVC(), y > 0),
        (nf.FederatedLogisticRegression(alpha=0.1), np.minimum(y, 2)),
    ):  # fmt: skip
        assert estimator.fit(A, targets).method_ == METHODS["newton-cg"]
