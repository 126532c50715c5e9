"""Estimators: scikit-learn's own checks, and its coefficients at the same objective."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import sklearn
from reference_data import need
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_svmlight_file, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._huber import _huber_loss_and_gradient
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import newtonfl as nf

ESTIMATORS = [
    # Two fits are compared to 1e-7, and ‖∇f‖ ≤ 1e-10 at alpha = 1e-3 allows for as much.
    nf.FederatedLogisticRegression(tol=1e-12, clients=3),
    nf.FederatedLogisticRegression(tol=1e-12, clients=3, multi_class="ovr"),
    nf.FederatedLinearSVC(),
    nf.FederatedRidge(),
    nf.FederatedHuberRegressor(),
    nf.FederatedPoissonRegressor(),
    nf.FederatedGammaRegressor(),
    nf.FederatedTweedieRegressor(),
    nf.FederatedOrdinalRegression(tol=1e-12),
]


@pytest.mark.slow
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    """All of them; none is expected to fail."""
    check(estimator)


# --- the same coefficients at the same objective

ALPHA = 1e-3
EXACT = "newton,line_search=5,armijo=0.1"


def data(name):
    """Rows and labels; scikit-learn's own are standardised, the LIBSVM files are scaled already."""
    own = {"breast_cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}
    if name in own:
        X, y = own[name](return_X_y=True)
        return StandardScaler().fit_transform(X), y
    X, y = load_svmlight_file(str(need(name)))
    return X.toarray(), y


@pytest.mark.data
@pytest.mark.parametrize("name", ["breast_cancer", "digits", "wine", "dna.scale", "segment.scale"])
def test_logistic_regression_is_scikit_learns(name):
    X, y = data(name)
    theirs = linear_model.LogisticRegression(
        C=1.0 / (ALPHA * len(y)), solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(X, y)
    method = EXACT if name in ("digits", "dna.scale", "segment.scale") else nf.FederatedLogisticRegression().method
    ours = nf.FederatedLogisticRegression(nf.alpha_from_C(theirs.C, len(y)), method=method, tol=1e-11).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)


def test_one_against_the_rest_is_scikit_learns():
    X, y = data("wine")
    ours = nf.FederatedLogisticRegression(ALPHA, multi_class="ovr").fit(X, y)
    theirs = OneVsRestClassifier(
        linear_model.LogisticRegression(C=1.0 / (ALPHA * len(y)), solver="newton-cholesky", tol=1e-12)
    ).fit(X, y)
    np.testing.assert_allclose(ours.coef_, [each.coef_[0] for each in theirs.estimators_], rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-7)
    assert len(ours.history_) == 3 and ours.n_iter_.shape == (3,)


@pytest.mark.data
@pytest.mark.parametrize("name", ["breast_cancer", "wine", "segment.scale"])
def test_the_support_vector_machine_is_liblinears(name):
    """Without an intercept: liblinear penalises its own."""
    X, y = data(name)
    C = 1.0 / (ALPHA * len(y))
    theirs = LinearSVC(C=C, fit_intercept=False, dual=False, tol=1e-12, max_iter=100_000).fit(X, y)
    method = EXACT if name == "segment.scale" else nf.FederatedLinearSVC().method
    ours = nf.FederatedLinearSVC(nf.alpha_from_C(C, len(y)), fit_intercept=False, method=method).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6)


def polished(huber, X, y):
    """scikit-learn's coefficients and intercept where its own gradient at its scale_ is zero.

    Its fit ends where L-BFGS sees no change, at a gradient of the mean objective of 6e-5 on housing and 1e-5 on abalone
    whatever `tol` says, and how near that is depends on the machine.
    """

    def loss(w):
        whole = np.append(w, huber.scale_)
        value, slope = _huber_loss_and_gradient(whole, X, y, huber.epsilon, huber.alpha, np.ones(len(y)))
        return value, slope[:-1] / len(y)

    fitted = np.append(huber.coef_, huber.intercept_)
    found = scipy.optimize.root(lambda w: loss(w)[1], fitted, tol=1e-14).x
    assert np.linalg.norm(loss(found)[1]) < 1e-11 and loss(found)[0] <= loss(fitted)[0] * (1.0 + 1e-15)
    return found


@pytest.mark.data
@pytest.mark.parametrize("name", ["abalone_scale", "housing_scale", "bodyfat_scale"])
def test_regressors_are_scikit_learns(name):
    X, y = data(name)
    ridge = linear_model.Ridge(alpha=ALPHA * len(y), solver="cholesky").fit(X, y)
    poisson = linear_model.PoissonRegressor(alpha=ALPHA, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    how = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
    gamma = linear_model.GammaRegressor(alpha=ALPHA, **how).fit(X, y)
    tweedie = linear_model.TweedieRegressor(alpha=ALPHA, power=1.3, link="log", **how).fit(X, y)
    huber = linear_model.HuberRegressor(alpha=1e-3, epsilon=1.35, tol=1e-12, max_iter=100_000).fit(X, y)
    end = polished(huber, X, y)
    huber.coef_, huber.intercept_ = end[:-1], end[-1]
    at_their_scale = nf.FederatedHuberRegressor(huber.alpha * huber.scale_ / len(y), delta=huber.epsilon * huber.scale_)
    for ours, theirs in (
        (nf.FederatedRidge(ALPHA), ridge),
        (nf.FederatedPoissonRegressor(ALPHA), poisson),
        (nf.FederatedGammaRegressor(ALPHA), gamma),
        (nf.FederatedTweedieRegressor(ALPHA, power=1.3), tweedie),
        (at_their_scale, huber),
    ):
        ours.fit(X, y)
        where = f"{name} {type(ours).__name__}"
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6, err_msg=where)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=1e-6, err_msg=where)
        assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-7)


# --- rows, weights, classes

EACH = [
    nf.FederatedLogisticRegression(1e-2, tol=1e-12, clients=4),
    nf.FederatedLogisticRegression(1e-2, tol=1e-12, clients=4, multi_class="ovr"),
    nf.FederatedLinearSVC(1e-2, tol=1e-12, clients=4),
    nf.FederatedRidge(1e-2, tol=1e-12, clients=4),
    nf.FederatedHuberRegressor(1e-2, tol=1e-12, clients=4),
    nf.FederatedPoissonRegressor(1e-2, tol=1e-12, clients=4),
    nf.FederatedTweedieRegressor(1e-2, tol=1e-12, clients=4),
]
EVERY = pytest.mark.parametrize("model", EACH, ids=lambda model: f"{type(model).__name__}{model.get_params()}"[:60])


def small(model, seed=0):
    """Sixty rows, three classes or counts, a column of zeros, and weights."""
    draw = np.random.Generator(np.random.Philox(seed))
    X = draw.standard_normal((60, 5)) * (draw.random((60, 5)) < 0.6)
    X[:, 3] = 0.0
    t = X @ np.array([1.0, -0.5, 0.3, 0.0, 0.2])
    y = np.digitize(t + 0.3 * draw.standard_normal(60), [-0.4, 0.4]) if hasattr(model, "class_weight") else None
    y = draw.poisson(np.exp(t)).astype(float) if y is None else y
    return X, y, draw.integers(0, 4, 60).astype(float)


def same(a, b, tol=1e-9):
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=tol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=tol)


@EVERY
def test_rows_may_be_sparse_weighted_or_float32(model):
    """Dense = sparse; weight 2 = row twice; weight 0 = no row; zero columns get no coefficient."""
    X, y, w = small(model)
    fitted = clone(model).fit(X, y, sample_weight=w)
    same(fitted, clone(model).fit(scipy.sparse.csr_matrix(X), y, sample_weight=w))
    again = np.repeat(np.arange(60), w.astype(int))
    assert len(again) > 60 and (w == 0).any()
    same(fitted, clone(model).fit(X[again], y[again]))
    assert np.abs(np.atleast_2d(fitted.coef_)[:, 3]).max() < 1e-12
    coarse = clone(model).fit(X.astype(np.float32), y, sample_weight=w)
    same(fitted, coarse, 1e-5)
    assert fitted.coef_.dtype == np.float64
    plain = clone(model).fit(X, y)
    same(plain, clone(model).set_params(clients="shuffled:7").fit(X, y))
    same(plain, clone(model).fit(X, y, groups=np.array(["a", "b", "c"])[np.arange(60) % 3]))
    assert np.abs(plain.coef_ - fitted.coef_).max() > 1e-3  # the weights matter


@pytest.mark.parametrize("model", EACH[:3], ids=lambda model: type(model).__name__)
def test_class_weights_are_sample_weights(model):
    X, y, w = small(model)
    names = np.array(["low", "mid", "high"])[y]
    factors = {"low": 2.0, "mid": 0.5, "high": 3.0}
    by_class = clone(model).set_params(class_weight=factors).fit(X, names, sample_weight=w)
    same(by_class, clone(model).fit(X, names, sample_weight=w * np.array([factors[name] for name in names])))
    assert by_class.classes_.tolist() == ["high", "low", "mid"]
    totals = np.array([w[names == name].sum() for name in names])
    balanced = clone(model).set_params(class_weight="balanced").fit(X, names, sample_weight=w)
    same(balanced, clone(model).fit(X, names, sample_weight=w * w.sum() / (3 * totals)))


def test_the_multinomial_hessian_is_that_of_its_gradient():
    """Central differences, for two, three and five classes, and a bound by ½ a aᵀ; L_* along a random direction."""
    draw = np.random.Generator(np.random.Philox(3))
    for classes in (2, 3, 5):
        X, y = draw.standard_normal((40, 3)), draw.integers(0, classes, 40)
        y[:classes] = np.arange(classes)
        p = nf.from_arrays(X, y, "multinomial", clients=3, sample_weight=draw.random(40), intercept=True, l2=0.1)
        assert p.dim == (classes - 1) * 4
        x, h = draw.standard_normal(p.dim), 1e-5
        for i in range(3):
            moved = [(p.at(x + h * e).gradient[i] - p.at(x - h * e).gradient[i]) / (2 * h) for e in np.eye(p.dim)]
            np.testing.assert_allclose(p.at(x).hessian(i), moved, rtol=0, atol=1e-9)
            slopes = [(p.at(x + h * e).value[i] - p.at(x - h * e).value[i]) / (2 * h) for e in np.eye(p.dim)]
            np.testing.assert_allclose(p.at(x).gradient[i], slopes, rtol=0, atol=1e-9)
            assert np.linalg.eigvalsh(p.at(x).hessian(i))[-1] <= p.client_smoothness[i]
            for _ in range(20):
                a, b = draw.standard_normal((2, p.dim))
                apart = np.linalg.norm(p.at(a).hessian(i) - p.at(a + 0.1 * b).hessian(i), 2)
                assert apart <= p.hessian_lipschitz[i] * np.linalg.norm(0.1 * b)
        whole = sum(p.at(x + h * e).value_along(x, [0.0, 0.5])[:, 1].sum() for e in np.eye(p.dim)[:1])
        assert whole == pytest.approx(p.at(x + h * np.eye(p.dim)[0] + 0.5 * x).value.sum(), rel=1e-13)
        wide = nf.from_arrays(scipy.sparse.csr_array(X * (X > 1)), y, "multinomial", clients=3)
        dense = nf.from_arrays(X * (X > 1), y, "multinomial", clients=3)
        x = draw.standard_normal(wide.dim)
        np.testing.assert_allclose(wide.at(x).hessians.values, dense.at(x).hessians.values, atol=1e-13)


# --- in scikit-learn's house


def test_pipelines_searches_and_client_ids():
    """Client ids go to fit as `groups` through metadata routing, and warm starts save rounds."""
    X, y = load_breast_cancer(return_X_y=True)
    ids = np.arange(len(y)) % 5
    with sklearn.config_context(enable_metadata_routing=True):
        model = nf.FederatedLogisticRegression(1e-2).set_fit_request(groups=True)
        search = GridSearchCV(make_pipeline(StandardScaler(), model), {
            "federatedlogisticregression__alpha": [1e-2, 1e-3]}, cv=2)  # fmt: skip
        search.fit(X, y, groups=ids)
        scores = cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=2, params={"groups": ids})
    assert search.best_score_ > 0.95 and scores.mean() > 0.95
    fitted = search.best_estimator_[-1]
    assert fitted.communication_["bytes_up"] > 0 and fitted.history_[-1].gradient_norm <= 1e-10
    X = StandardScaler().fit_transform(X)
    warm = nf.FederatedLogisticRegression(1e-2, warm_start=True).fit(X, y)
    first = warm.n_iter_
    assert warm.fit(X, y).n_iter_ <= 1 < first


def test_what_a_fitted_model_tells():
    X, y = data("wine")
    model = nf.FederatedLogisticRegression(1e-2, clients="by-label:4", random_state=None).fit(X, y)
    assert model.objective_.startswith("(1/178) Σ_j (log Σ_k exp(a_jᵀw_k)") and "(0.01/2)" in model.objective_
    table = model.history_.to_pandas()
    assert len(table) == model.n_iter_ + 1 and table["gradient_norm"].iloc[-1] <= 1e-10
    assert {"round", "f", "bytes_up", "formula_bits_up", "seconds"} <= set(table.columns)
    last = model.history_[-1]
    assert model.communication_["bytes_up"] == 4 * last.bytes_up
    assert model.communication_["setup_formula_bits_up"] == 4 * model.history_[0].setup_formula_bits_up
    assert model.converged_reason_ == str(nf.Reason.CONVERGED)
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-14)


@pytest.mark.slow
def test_a_fitted_model_predicts_where_there_is_no_mpi(tmp_path):
    """Pickled, and read by a process that cannot import mpi4py."""
    X, y = data("wine")
    model = nf.FederatedLogisticRegression(1e-2).fit(X, y)
    (tmp_path / "model").write_bytes(pickle.dumps((model, X)))
    program = (
        "import pickle, sys; sys.modules['mpi4py'] = None\n"
        f"model, X = pickle.load(open({str(tmp_path / 'model')!r}, 'rb'))\n"
        "print(*model.predict(X))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert list(map(int, out.split())) == model.predict(X).tolist()


def test_progress_is_a_line_on_stderr(capsys):
    """Of the estimator where it is asked for, and of any solve by a callback."""
    X, y = data("wine")
    nf.FederatedRidge(verbose=True).fit(X, y)
    told = capsys.readouterr()
    assert "FederatedRidge  round 1 " in told.err and not told.out
    nf.FederatedRidge().fit(X, y)
    assert capsys.readouterr() == ("", "")
    with nf.Progress("mine") as progress:
        nf.solve(nf.from_arrays(X, y, "squared", l2=1e-2), nf.newton(), callback=progress)
    assert "mine  round 1 " in capsys.readouterr().err


def test_an_unfinished_solve_warns_and_says_so():
    X, y = data("breast_cancer")
    with pytest.warns(
        ConvergenceWarning, match=r"the round limit was reached, after 2 rounds at ‖∇f‖₂ = .*tol = 1e-10"
    ):
        model = nf.FederatedLogisticRegression(max_rounds=2).fit(X, y)
    assert model.converged_reason_ == str(nf.Reason.ROUND_LIMIT)


@pytest.mark.data
def test_a_start_within_the_tolerance_is_told():
    """tol is absolute: with tiny targets nothing would be done, and nothing said."""
    X, y = data("bodyfat_scale")
    with pytest.warns(ConvergenceWarning, match="the start is within tol, an absolute number"):
        model = nf.FederatedRidge().fit(X, y * 1e-13)
    assert model.n_iter_ == 0
    assert nf.FederatedRidge().fit(X, 0.0 * y).n_iter_ == 0  # without a warning: that is the minimiser


def test_the_users_rows_stay_as_they_are():
    """Explicit zeros, unsorted indices and duplicates are put in order in a copy; read-only rows serve as well."""
    X, y = data("wine")
    sparse = scipy.sparse.csr_matrix(X * (abs(X) > 1.2))
    sparse.data[::7] = 0.0
    sparse.indices[:2] = sparse.indices[:2][::-1].copy()
    before = [array.copy() for array in (sparse.data, sparse.indices, sparse.indptr)]
    for array in (sparse.data, sparse.indices, sparse.indptr):
        array.flags.writeable = False
    fitted = nf.FederatedLogisticRegression(1e-2).fit(sparse, y)
    for array, was in zip((sparse.data, sparse.indices, sparse.indptr), before, strict=True):
        np.testing.assert_array_equal(array, was)
    same(fitted, nf.FederatedLogisticRegression(1e-2).fit(sparse.toarray(), y), 1e-8)


def test_labels_may_be_large_and_settings_numpys():
    """Unsigned numbers beyond 2⁶³ keep their kind; a search hands over NumPy's integers."""
    X, y = data("breast_cancer")
    big = np.where(y > 0, np.uint64(2**63 + 5), np.uint64(3))
    model = nf.FederatedLogisticRegression(1e-2, max_rounds=np.int64(500)).fit(X, big)
    assert model.classes_.dtype == np.uint64 and model.score(X, big) > 0.9


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"alpha": -1.0}, "alpha: given -1.0, must be a finite number of at least 0"),
        ({"tol": np.nan}, "tol: given nan"),
        ({"ranks": "all"}, 'ranks: given \'all\', allowed are None, "same", "own"'),
        ({"method": "newton-3cp"}, "did you mean newton-3pc"),
        ({"method": "newton-3pc,compressor"}, "must be NAME"),
        ({"method": 3}, "method: given 3, must be a Method"),
        ({"clients": 0}, "clients: given 0"),
        ({"clients": "contiguous:4"}, "must be a number of at least 1, every row's client id, or SPLIT:COUNT"),
        ({"clients": "sideways:4"}, "clients: given 'sideways:4'"),
        ({"max_rounds": -1}, "max_rounds: given -1"),
        ({"max_rounds": 2.5}, "max_rounds: given 2.5"),
        ({"class_weight": {0: 1.0, 1: -1.0, 2: 1.0}}, "class_weight: given .*must be finite, at least 0"),
        ({"multi_class": "auto"}, "multi_class: given 'auto'"),
        ({"class_weight": "even"}, "class_weight"),
        ({"device": "tpu"}, "device: given 'tpu', allowed are cpu, cuda, auto"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings, fault):
    X, y = data("wine")
    with pytest.raises((ValueError, TypeError), match=fault):
        nf.FederatedLogisticRegression(**settings).fit(X, y)


def test_arrays_that_cannot_be_are_refused_in_words():
    X, y = data("wine")
    model = nf.FederatedLogisticRegression()
    for words, fault in (
        ({"sample_weight": -np.ones(178)}, "sample_weight: given shape"),
        ({"sample_weight": np.zeros(178)}, "all weights are zero"),
        ({"groups": np.arange(3)}, r"groups: given ids of shape \(3,\), must be one for each of 178 rows"),
        ({"groups": np.where(np.arange(178) == 7, np.nan, 1.0)}, "groups: client ids must be finite, given nan"),
        ({"groups": np.array([None, *["a"] * 177])}, "groups: client ids: row 0, counted from 0, has no value"),
        ({"sample_weight": (y == 1).astype(float)}, "at least two classes with weight, and it holds 1 class: 1"),
    ):
        with pytest.raises(ValueError, match=fault):
            model.fit(X, y, **words)
    with pytest.raises(ValueError, match=r"y: FederatedPoissonRegressor needs labels of at least 0; the least is -5"):
        nf.FederatedPoissonRegressor().fit(X, y - 5.0)
    with pytest.raises(ValueError, match=r"y: FederatedGammaRegressor needs labels above 0; the least is 0"):
        nf.FederatedGammaRegressor().fit(X, y)
    with pytest.raises(ValueError, match=r"power: given 2.0, must lie between 1 \(Poisson\) and 2 \(gamma\)"):
        nf.FederatedTweedieRegressor(power=2.0).fit(X, y)
    with pytest.raises(ValueError, match="huber_delta"):
        nf.FederatedHuberRegressor(delta=0).fit(X, y)
    with pytest.raises(ValueError, match="y: given <U21, must be numbers"):
        nf.FederatedRidge().fit(X, y.astype(str))
    for C, rows in ((0.0, 5), (1.0, 0), (np.inf, 5), ("a", 1), (1.0, [2, -1]), (1e-320, 1)):
        with pytest.raises(ValueError, match="alpha_from_C"):
            nf.alpha_from_C(C, rows)
