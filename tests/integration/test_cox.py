"""Cox regression stratified by client: what statsmodels' PHReg finds; every kind of method; the estimator; ranks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpi_launch import launch
from mpi_programs import survival as program
from mpi_programs.survival import BOTH, EVENTS, SITES, TIMES, X
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from statsmodels.duration.hazard_regression import PHReg

import newtonfl as nf
from newtonfl.core.symmetric import triangle
from newtonfl.estimators.cox import concordance

TIES = pytest.mark.parametrize("ties", ["efron", "breslow"])


@cache
def theirs(ties, strata=True):
    """``PHReg(time, X, status, strata=site, ties=ties).fit()``; with ties its Newton method stops at 1e-9 or so."""
    return PHReg(TIMES, X, status=EVENTS.astype(int), strata=SITES if strata else None, ties=ties).fit(disp=0)


@cache
def problem(ties="efron", l2=0.0):
    return nf.from_arrays(X, TIMES, f"cox:{ties}", event=EVENTS, clients=SITES, l2=l2)


@TIES
def test_coefficients_and_errors_are_statsmodels(ties):
    """On rows with many ties; stratified by client. lifelines 0.30 agrees on such rows to 4e-12 (Efron's ties)."""
    result = nf.solve(problem(ties), "newton,line_search=3", tol=1e-12)
    found, peer = nf.inference(problem(ties), result.x), theirs(ties)
    assert result.converged and found.notes == [] and len(np.unique(TIMES)) < 40
    for mine, other in (
        (found.x, peer.params), (found.standard_errors, peer.bse), (found.statistics, peer.tvalues),
        (found.p_values, peer.pvalues), (found.intervals, peer.conf_int()), (found.covariance_matrix,
        peer.cov_params()), (found.log_likelihood, peer.llf),
    ):  # fmt: skip
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    assert np.isnan([found.null_log_likelihood, found.pseudo_r2]).all() and found.family == "cox"


def test_strata_and_ties_matter():
    """So that the test above can tell them."""
    assert np.abs(theirs("efron").params - theirs("efron", strata=False).params).max() > 1e-2
    assert np.abs(theirs("efron").params - theirs("breslow").params).max() > 1e-3


def test_one_client_is_one_stratum():
    x = nf.solve(nf.from_arrays(X, TIMES, "cox", event=EVENTS, clients=1), "newton", tol=1e-11).x
    np.testing.assert_allclose(x, theirs("efron", strata=False).params, rtol=1e-6)


def test_inference_has_one_covariance_and_one_exchange():
    x = theirs("efron").params
    found = nf.inference(problem(), x)
    numbers = 8 + 3 + triangle(3).size
    assert (found.ledger.up.bytes > 8 * numbers).all() and (found.ledger.up.bytes < 8 * numbers + 30).all()
    for covariance in ("HC0", "HC1", "cluster"):
        with pytest.raises(ValueError, match=f"given '{covariance}', allowed with Cox regression is model"):
            nf.inference(problem(), x, covariance=covariance)
    assert "x is no optimum" in str(nf.inference(problem(), x + 0.1))


@pytest.mark.parametrize(
    "method",
    ["newton", "newton-cg", "l-bfgs", "newton-3pc,compressor=topk:3", "newton-3pc,basis=data", "newton-3pc-cr", "fednl",
     "bl1", "giant", "ef21,compressor=topk:2", "gd", "accelerated-gd"],
)  # fmt: skip
def test_every_kind_of_method_comes_to_the_minimiser(method):
    """By its values, gradients, Hessians, products, or constants."""
    least = nf.solve(problem(l2=0.05), "newton", tol=1e-12).x
    found = nf.solve(problem(l2=0.05), method, tol=1e-9, rounds=30_000)
    assert found.converged
    np.testing.assert_allclose(found.x, least, rtol=0, atol=1e-7)


def test_where_there_is_no_minimiser_it_says_so():
    """A column that orders the events of every stratum."""
    rows = -TIMES[:, None] / 50.0
    result = nf.solve(nf.from_arrays(rows, TIMES + np.arange(90) / 100, "cox", event=EVENTS, clients=SITES), "newton")
    assert not result.converged and "minimiser" in str(result.reason)


# --- the estimator


@TIES
@pytest.mark.parametrize(
    "y",
    [
        BOTH,
        pd.DataFrame({"time": TIMES, "event": EVENTS}),
        np.array(list(zip(EVENTS, TIMES, strict=True)), [("event", bool), ("time", float)]),
    ],
    ids=["columns", "table", "structured"],
)
def test_the_estimator_is_statsmodels(ties, y):
    """From two columns, a table of them, and scikit-survival's array of events and times."""
    model = nf.FederatedCoxRegression(alpha=0.0, ties=ties, inference="model", tol=1e-11).fit(X, y, groups=SITES)
    np.testing.assert_allclose(model.coef_, theirs(ties).params, rtol=1e-6)
    np.testing.assert_allclose(model.inference_.standard_errors, theirs(ties).bse, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), X @ model.coef_)
    assert model.converged_reason_ == "the gradient norm reached the tolerance" and model.intercept_ == 0.0
    assert model.score(X, y) == concordance(X @ model.coef_, TIMES, EVENTS, np.zeros(90))
    assert "cox family" in model.summary()


def test_the_concordance_is_the_share_of_pairs():
    """Pair by pair, with equal times and equal predictions."""
    predicted = np.round(X[:, 0], 1)
    for strata in (np.zeros(90), SITES):
        counted = agreed = 0.0
        for i in np.flatnonzero(EVENTS):
            for j in range(90):
                later = TIMES[j] > TIMES[i] or (TIMES[j] == TIMES[i] and not EVENTS[j])
                if later and strata[i] == strata[j]:
                    counted += 1.0
                    agreed += (predicted[i] > predicted[j]) + 0.5 * (predicted[i] == predicted[j])
        assert concordance(predicted, TIMES, EVENTS, strata) == pytest.approx(agreed / counted, rel=1e-13)
    assert np.isnan(concordance(predicted[:1], TIMES[:1], EVENTS[:1], SITES[:1]))


def test_an_estimator_in_scikit_learns_house():
    """It is cloned, searched with whole sites left out, starts warm, and knows the columns of a table."""
    model = nf.FederatedCoxRegression(clients=2, ties="breslow")
    assert clone(model).get_params() == model.get_params() and "fit_intercept" not in model.get_params()
    search = GridSearchCV(model, {"alpha": [1e-3, 10.0]}, cv=3).fit(X, BOTH)
    assert search.best_params_ == {"alpha": 1e-3} and search.best_score_ > 0.5
    warm = nf.FederatedCoxRegression(warm_start=True).fit(pd.DataFrame(X, columns=list("abc")), BOTH, groups=SITES)
    assert warm.feature_names_in_.tolist() == ["a", "b", "c"] and warm.n_iter_ > 1
    assert warm.fit(pd.DataFrame(X, columns=list("abc")), BOTH, groups=SITES).n_iter_ <= 1
    with pytest.raises(TypeError, match="fit_intercept"):
        nf.FederatedCoxRegression(fit_intercept=True)


@pytest.mark.parametrize(
    ("settings", "y", "fault"),
    [
        ({"ties": "exact"}, BOTH, "ties: given 'exact', allowed are efron, breslow"),
        ({"inference": "HC0"}, BOTH, "inference: given 'HC0', allowed with FederatedCoxRegression are None, model"),
        ({"device": "cuda"}, BOTH, "device: given 'cuda', and Cox regression runs on the CPU alone"),
        ({}, TIMES, r"y: given shape \(90,\), must be two columns, times and whether they are an event's"),
        ({}, BOTH[:, ::-1], "event: row .*, counted from 0: given .*, must be 1"),
        ({}, BOTH * [1.0, 0.0], "y: FederatedCoxRegression needs an event, and there is none"),
        ({}, np.zeros(90, [("time", float), ("event", bool)]), "y: given fields time, event, must be a boolean one"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_is_refused_in_words(settings, y, fault):
    with pytest.raises(ValueError, match=fault):
        nf.FederatedCoxRegression(**settings).fit(X, y, groups=SITES)


def test_strata_must_be_said():
    """Eight blocks of rows, which other estimators take, would be eight strata."""
    with pytest.raises(ValueError, match="groups: missing, and with Cox regression every client is a stratum"):
        nf.FederatedCoxRegression().fit(X, BOTH)
    one = nf.FederatedCoxRegression(alpha=0.0, clients=1, tol=1e-11).fit(X, BOTH)
    np.testing.assert_allclose(one.coef_, theirs("efron", strata=False).params, rtol=1e-6)
    with pytest.warns(ConvergenceWarning):
        nf.FederatedCoxRegression(clients=1, max_rounds=1).fit(X, BOTH)


def test_a_run_has_a_model_that_predicts_log_hazards(run, tmp_path):
    (tmp_path / "problem.py").write_text(
        "import numpy as np\nimport newtonfl as nf\n\n\ndef problem(comm=None):\n"
        "    rows = np.cos(np.arange(24.0)).reshape(12, 2)\n"
        "    return nf.from_arrays(rows, np.arange(12.0) % 5, 'cox', event=np.arange(12) % 3 > 0, l2=0.1, clients=2,\n"
        "                          comm=comm)\n"
    )
    status, _, err = run("solve", tmp_path / "problem.py", "--method", "newton", "--out", tmp_path / "run", "--summary")
    assert status == 0, err
    model = json.loads((tmp_path / "run" / "model.json").read_text())
    assert model["loss"] == "cox:efron"
    (tmp_path / "new.csv").write_text("0.1,0.2\n0.3,-0.2\n")
    status, out, err = run("predict", tmp_path / "run", tmp_path / "new.csv")
    assert status == 0, err
    expected = np.array([[0.1, 0.2], [0.3, -0.2]]) @ np.load(tmp_path / "run" / "x.npy")
    np.testing.assert_allclose(np.array(out.split()[1:], float), expected, rtol=1e-12)


# --- ranks


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_same_on_ranks(ranks):
    """In the same bits, bytes and inference; of the same rows, and of each rank's own."""
    ended = launch(ranks, Path(program.__file__))
    assert ended.status == 0, ended.err
    alone = json.loads(json.dumps(program.found()))
    assert json.loads(ended.out) == alone
    assert alone["same rows"] == alone["own rows"]
