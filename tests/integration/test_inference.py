"""Inference: what statsmodels finds on the pooled rows, from one exchange that is counted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import statsmodels.api as sm
from cases import functions_problem
from command_line import caller, small_problem
from mpi_launch import launch
from mpi_programs import inferred as program
from sklearn.datasets import load_iris

import newtonfl as nf
from newtonfl.core.symmetric import triangle

DRAW = np.random.Generator(np.random.Philox(12))
X = DRAW.standard_normal((400, 4))
MARGINS = X @ [0.5, -0.3, 0.0, 0.2] + 0.4
OWN = np.repeat(np.arange(20), 20)
POOLED = np.column_stack([X, np.ones(400)])
TARGETS = {
    "logistic": (DRAW.random(400) < 1.0 / (1.0 + np.exp(-MARGINS))).astype(float),
    "squared": MARGINS + DRAW.standard_normal(400),
    "poisson": DRAW.poisson(np.exp(MARGINS)).astype(float),
}
OTHER = np.random.Generator(np.random.Philox(13))
TARGETS |= {
    "gamma": np.exp(MARGINS) * OTHER.gamma(2.0, 0.5, 400),
    "tweedie:1.4": np.exp(MARGINS) * OTHER.gamma(0.5, 2.0, 400) * (OTHER.random(400) < 0.7),
    "probit": (OTHER.standard_normal(400) < MARGINS).astype(float),
    "cloglog": (OTHER.random(400) < 1.0 - np.exp(-np.exp(MARGINS))).astype(float),
}
LINKS = {
    "gamma": (sm.families.Gamma, sm.families.links.Log()),
    "tweedie:1.4": (lambda link: sm.families.Tweedie(link=link, var_power=1.4), sm.families.links.Log()),
    "probit": (sm.families.Binomial, sm.families.links.Probit()),
    "cloglog": (sm.families.Binomial, sm.families.links.CLogLog()),
}
PEERS = {
    "logistic": lambda y, rows: sm.Logit(y, rows),
    "squared": sm.OLS,
    "poisson": lambda y, rows: sm.GLM(y, rows, family=sm.families.Poisson()),
}


def fitted(loss, **more):
    problem = nf.from_arrays(X, TARGETS[loss], loss, clients=OWN, intercept=True, **more)
    return problem, nf.solve(problem, "newton", tol=1e-11).x


@pytest.mark.parametrize("covariance", ["model", "HC0", "cluster"])
@pytest.mark.parametrize("loss", ["logistic", "squared", "poisson"])
def test_it_is_what_statsmodels_finds_on_the_pooled_rows(loss, covariance):
    """Their Logit, OLS and GLM(Poisson): ``fit(cov_type="cluster", cov_kwds={"groups": own})`` and so on."""
    how = {} if covariance == "model" else {"cov_type": covariance}
    how |= {"cov_kwds": {"groups": OWN}} if covariance == "cluster" else {}
    how |= {"disp": 0} if loss == "logistic" else {}
    peer = PEERS[loss](TARGETS[loss], POOLED).fit(tol=1e-12, **how) if loss != "squared" else sm.OLS(
        TARGETS[loss], POOLED
    ).fit(**how)  # fmt: skip
    found = nf.inference(*fitted(loss), covariance=covariance)
    assert found.notes == [] and found.names == ("x0", "x1", "x2", "x3", "intercept")
    for mine, theirs in (
        (found.x, peer.params), (found.standard_errors, peer.bse), (found.statistics, peer.tvalues),
        (found.p_values, peer.pvalues), (found.intervals, peer.conf_int()), (found.log_likelihood, peer.llf),
        (found.covariance_matrix, peer.cov_params()),
    ):  # fmt: skip
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)
    r2 = {"logistic": "prsquared", "squared": "rsquared"}.get(loss)
    if r2 is not None:
        assert found.pseudo_r2 == pytest.approx(getattr(peer, r2), rel=1e-8)
    else:
        assert found.null_log_likelihood == pytest.approx(peer.llnull, rel=1e-8)


@pytest.mark.parametrize("covariance", ["model", "HC0", "cluster"])
@pytest.mark.parametrize("loss", LINKS)
def test_other_links_are_those_of_statsmodels(loss, covariance):
    """Its GLM, whose covariance is of the expected information; t where a dispersion is estimated, as in R."""
    make, link = LINKS[loss]
    dispersed = loss in ("gamma", "tweedie:1.4")
    how = {"use_t": dispersed} if covariance == "model" else {"cov_type": covariance, "use_t": False}
    how |= {"cov_kwds": {"groups": OWN}} if covariance == "cluster" else {}
    peer = sm.GLM(TARGETS[loss], POOLED, family=make(link=link)).fit(tol=1e-13, maxiter=300, **how)
    found = nf.inference(*fitted(loss), covariance=covariance)
    assert found.notes == [] and found.dispersion == pytest.approx(peer.scale if dispersed else 1.0, rel=1e-7)
    for mine, theirs in (
        (found.x, peer.params), (found.standard_errors, peer.bse), (found.p_values, peer.pvalues),
        (found.intervals, peer.conf_int()), (found.covariance_matrix, peer.cov_params()),
    ):  # fmt: skip
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)
    if loss == "tweedie:1.4":
        assert math.isnan(found.log_likelihood) and math.isnan(found.pseudo_r2)
    else:
        assert found.log_likelihood == pytest.approx(peer.llf, rel=1e-7)
        assert found.null_log_likelihood == pytest.approx(peer.llnull, rel=1e-7)
    if loss == "gamma":
        assert found.pseudo_r2 == pytest.approx(1.0 - peer.deviance / peer.null_deviance, rel=1e-7)


def test_hc1_is_hc0_with_fewer_degrees_of_freedom():
    """statsmodels has it of OLS alone."""
    peer = sm.OLS(TARGETS["squared"], POOLED).fit(cov_type="HC1")
    np.testing.assert_allclose(nf.inference(*fitted("squared"), covariance="HC1").standard_errors, peer.bse, rtol=1e-9)


def test_weights_are_counts():
    """A row of weight 3 is three rows; of weight 0 none."""
    weights = DRAW.integers(0, 4, 400).astype(float)
    twice = np.repeat(np.arange(400), weights.astype(int))
    one = nf.from_arrays(X, TARGETS["logistic"], clients=OWN, sample_weight=weights)
    other = nf.from_arrays(X[twice], TARGETS["logistic"][twice], clients=OWN[twice])
    x = nf.solve(other, "newton", tol=1e-11).x
    for covariance in ("model", "HC0", "HC1", "cluster"):
        first, second = (nf.inference(problem, x, covariance=covariance) for problem in (one, other))
        np.testing.assert_allclose(first.standard_errors, second.standard_errors, rtol=1e-9)
        assert first.rows == second.rows == len(twice) and first.log_likelihood == pytest.approx(second.log_likelihood)
        assert math.isnan(first.pseudo_r2)  # no intercept


def test_sparse_rows_give_the_same():
    problem, x = fitted("poisson")
    sparse = nf.from_arrays(scipy.sparse.csr_array(X), TARGETS["poisson"], "poisson", clients=OWN, intercept=True)
    for covariance in ("model", "HC0"):
        one, other = (nf.inference(p, x, covariance=covariance) for p in (problem, sparse))
        np.testing.assert_allclose(one.standard_errors, other.standard_errors, rtol=1e-10)


def test_the_level_of_the_intervals():
    found = nf.inference(*fitted("squared"), level=0.9)
    peer = sm.OLS(TARGETS["squared"], POOLED).fit()
    np.testing.assert_allclose(found.intervals, peer.conf_int(0.1), rtol=1e-9)


def test_what_a_penalty_does_is_said_and_worked_out():
    """B⁻¹IB⁻¹ with B = I + Λ, which is the covariance of the penalised estimate."""
    problem, x = fitted("logistic", l2=0.05)
    found = nf.inference(problem, x)
    p = 1.0 / (1.0 + np.exp(-POOLED @ x))
    information = (POOLED.T * (p * (1 - p))) @ POOLED
    bread = np.linalg.inv(information + 400 * np.diag([0.05] * 4 + [0.0]))
    np.testing.assert_allclose(found.covariance_matrix, bread @ information @ bread, rtol=1e-8)
    assert "the penalty (0.05/2)‖x‖² draws the coefficients towards 0" in found.notes[0]


def test_a_point_that_is_no_optimum_is_said():
    problem, x = fitted("logistic")
    assert "x is no optimum: a Newton step moves a coefficient by" in nf.inference(problem, x + 0.1).notes[0]


def test_a_loss_that_is_no_likelihood_has_robust_errors_alone():
    problem = nf.from_arrays(X, TARGETS["squared"], "huber", clients=OWN, intercept=True, huber_delta=1.0)
    x = nf.solve(problem, "newton", tol=1e-11).x
    with pytest.raises(ValueError, match="is no likelihood: take HC0, HC1 or cluster"):
        nf.inference(problem, x)
    found = nf.inference(problem, x, covariance="HC0")
    residuals = POOLED @ x - TARGETS["squared"]
    inside, slopes = np.abs(residuals) <= 1.0, np.clip(residuals, -1.0, 1.0)
    bread = np.linalg.inv((POOLED.T * inside) @ POOLED)
    np.testing.assert_allclose(found.covariance_matrix, bread @ ((POOLED.T * slopes**2) @ POOLED) @ bread, rtol=1e-9)
    assert found.family == "" and math.isnan(found.log_likelihood)


def test_what_is_sent_is_counted_once():
    """A client sends seven sums, its gradient and its information, and hears x: a packet each way."""
    problem, x = fitted("logistic")
    up = {c: nf.inference(problem, x, covariance=c).ledger.up.bytes for c in ("model", "HC0")}
    numbers = 7 + 5 + triangle(5).size
    assert (8 * numbers < up["model"]).all() and (up["model"] < 8 * numbers + 30).all()
    assert (up["HC0"] - up["model"] >= 8 * triangle(5).size).all()
    ledger = nf.inference(problem, x).ledger
    assert (ledger.down.bytes > 40).all() and ledger.down.setup_bytes.max() < 16 > ledger.up.setup_bytes.max()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"covariance": "robust"}, ValueError, "given 'robust', must be one of model, HC0, HC1, cluster"),
        ({"level": 1.0}, ValueError, "level: given 1.0, must lie between 0 and 1"),
        ({"x": np.zeros(3)}, ValueError, r"given shape \(3,\), must be \(5,\) and finite"),
        ({"problem": functions_problem()[0]}, TypeError, "problems of rows with one margin each"),
        ({"problem": nf.from_arrays(X, TARGETS["logistic"], clients=1, intercept=True), "covariance": "cluster"},
         ValueError, "with one client"),
        ({"problem": nf.from_arrays(X[:4], [0, 1, 0, 1], clients=2, intercept=True)}, ValueError, "4 rows and 5 coef"),
        ({"problem": nf.from_arrays(np.hstack([X[:, :2], X[:, :2]]), TARGETS["logistic"], clients=2, intercept=True)},
         ValueError, "columns that depend on each other"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, error, words):
    problem, x = fitted("logistic")
    arguments = {"problem": problem, "x": x, **arguments}
    with pytest.raises(error, match=words):
        nf.inference(arguments.pop("problem"), arguments.pop("x"), **arguments)


def test_it_prints_as_a_table():
    problem, x = fitted("logistic")
    found = nf.inference(problem, x)
    lines = str(found).splitlines()
    assert lines[0].split() == ["estimate", "std.", "error", "z", "P>|z|", "2.5", "%", "97.5", "%"]
    assert [line.split()[0] for line in lines[1:6]] == list(found.names)
    assert lines[-1].startswith("errors model, 400 rows, binomial family, log-likelihood -")
    frame = found.to_pandas()
    assert frame.loc["intercept", "estimate"] == x[-1] and json.loads(json.dumps(found.to_json()))["rows"] == 400.0


@pytest.mark.mpi
@pytest.mark.slow
def test_the_same_on_three_ranks():
    ended = launch(3, Path(program.__file__))
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == json.loads(json.dumps(program.found()))


def test_the_command_line(capsys, monkeypatch, tmp_path):
    call, file, out = caller(capsys, monkeypatch), small_problem(tmp_path), tmp_path / "run"
    status, printed, _ = call("solve", file, "--method", "newton", "--quiet", "--out", out, "--summary")
    assert status == 0
    assert [line.split()[0] for line in printed.splitlines() if line.startswith(("a ", "b ", "c "))] == ["a", "b", "c"]
    kept = json.loads((out / "result.json").read_text())["inference"]
    assert kept["covariance"] == "model" and list(kept["coefficients"]) == ["a", "b", "c"]
    status, printed, _ = call("solve", file, "--quiet", "--rounds", "2", "--clients", "1", "--summary", "cluster")
    assert status == 0 and "no summary: covariance: given 'cluster' with one client" in printed
    status, _, err = call("solve", file, "--summary", "robust")
    assert status == 2 and "robust" in err


def test_an_estimators_summary():
    frame = pd.DataFrame(X, columns=["age", "dose", "size", "late"])
    model = nf.FederatedLogisticRegression(alpha=0.0, clients=5, inference="HC0", tol=1e-11)
    model.fit(frame, TARGETS["logistic"])
    peer = sm.Logit(TARGETS["logistic"], POOLED).fit(cov_type="HC0", disp=0, tol=1e-12)
    np.testing.assert_allclose(model.inference_.standard_errors, peer.bse, rtol=1e-6)
    assert model.inference_.names == ("age", "dose", "size", "late", "intercept") and "dose" in model.summary()
    plain = nf.FederatedLogisticRegression(alpha=0.0, clients=5, tol=1e-11).fit(frame, TARGETS["logistic"])
    for way in ("up", "down"):
        sent = getattr(model.inference_.ledger, way).bytes.sum()
        assert model.communication_[f"bytes_{way}"] == plain.communication_[f"bytes_{way}"] + sent > sent > 0
    with pytest.raises(ValueError, match="summary: fit with inference="):
        plain.summary()
    model.set_params(inference=None).fit(frame, TARGETS["logistic"])
    assert not hasattr(model, "inference_")
    with pytest.raises(ValueError, match=r"given 'robust', allowed with FederatedLogisticRegression are None, model"):
        model.set_params(inference="robust").fit(frame, TARGETS["logistic"])


def test_classes_have_a_table_each():
    rows, labels = load_iris(return_X_y=True)
    several = nf.FederatedLogisticRegression(alpha=1e-2, clients=3, inference="model", multi_class="ovr")
    several.fit(rows, labels)
    assert [found.family for found in several.inference_] == ["binomial"] * 3
    assert several.summary().count("std. error") == 3
    with pytest.raises(ValueError, match="several classes in one model"):
        several.set_params(multi_class="multinomial").fit(rows, labels)
