"""Offsets and exposures as users have them: against statsmodels on pooled rows, in estimators, tables and on ranks."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
import statsmodels.api as sm
import strict_device
from mpi_launch import launch
from mpi_programs import with_offsets as program
from mpi_programs.with_offsets import CLIENTS, COUNTS, KNOWN, YEARS, X
from sklearn.linear_model import PoissonRegressor
from sklearn.model_selection import GridSearchCV

import newtonfl as nf
from newtonfl.objectives.losses import Gamma, Poisson

POOLED = np.column_stack([X, np.ones(80)])
LOG, DRAW = sm.families.links.Log(), np.random.Generator(np.random.Philox(4))
AMOUNTS = YEARS * np.exp(X @ [0.3, 0.1, -0.2]) * DRAW.gamma(2.0, 0.5, 80)
EVENTS = (DRAW.random(80) < 1.0 / (1.0 + np.exp(-X @ [0.5, -0.3, 0.2] - KNOWN))).astype(float)
FAMILIES = {
    "poisson": (COUNTS, sm.families.Poisson(), {"offset": KNOWN, "exposure": YEARS}),
    "gamma": (AMOUNTS, sm.families.Gamma(LOG), {"offset": KNOWN, "exposure": YEARS}),
    "tweedie": (COUNTS, sm.families.Tweedie(LOG, var_power=1.5), {"exposure": YEARS}),
    "logistic": (EVENTS, sm.families.Binomial(), {"offset": KNOWN}),
    "cloglog": (EVENTS, sm.families.Binomial(sm.families.links.CLogLog()), {"offset": KNOWN}),
    "squared": (AMOUNTS, sm.families.Gaussian(), {"offset": KNOWN}),
}
WEIGHTS = DRAW.integers(1, 4, 80).astype(float)


def theirs(loss, covariance, **more):
    """``GLM(y, X, family, offset=…, exposure=…).fit()``, to the last digits."""
    y, family, beside = FAMILIES[loss]
    how = {} if covariance == "model" else {"cov_type": covariance}
    how |= {"cov_kwds": {"groups": CLIENTS}} if covariance == "cluster" else {}
    return sm.GLM(y, POOLED, family=family, **beside, **more).fit(tol=1e-14, maxiter=500, **how)


@pytest.mark.parametrize("covariance", ["model", "HC0", "cluster"])
@pytest.mark.parametrize("rows", ["dense", "sparse"])
@pytest.mark.parametrize("loss", FAMILIES)
def test_coefficients_and_errors_are_statsmodels(loss, rows, covariance):
    """Over 4 clients of unequal size, pooled."""
    y, _, beside = FAMILIES[loss]
    kept = X if rows == "dense" else scipy.sparse.csr_array(X)
    problem = nf.from_arrays(kept, y, loss, clients=CLIENTS, intercept=True, **beside)
    found = nf.inference(problem, nf.solve(problem, "newton,line_search=3", tol=1e-12).x, covariance=covariance)
    peer = theirs(loss, covariance)
    assert found.notes == [] and problem.n_clients == 4
    for mine, other in (
        (found.x, peer.params), (found.standard_errors, peer.bse), (found.covariance_matrix, peer.cov_params()),
        (found.dispersion, peer.scale),
    ):  # fmt: skip
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    if loss not in ("tweedie", "squared"):  # statsmodels takes OLS's likelihood elsewhere
        assert found.log_likelihood == pytest.approx(peer.llf, rel=1e-8)
    assert np.isnan([found.null_log_likelihood, found.pseudo_r2]).all()  # which takes a fit of its own


@pytest.mark.parametrize("loss", ["poisson", "gamma", "logistic"])
def test_weights_stand_beside_offsets(loss):
    y, _, beside = FAMILIES[loss]
    problem = nf.from_arrays(X, y, loss, clients=CLIENTS, intercept=True, sample_weight=WEIGHTS, **beside)
    found = nf.inference(problem, nf.solve(problem, "newton,line_search=3", tol=1e-12).x)
    peer = theirs(loss, "model", freq_weights=WEIGHTS)
    np.testing.assert_allclose(found.x, peer.params, rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors, peer.bse, rtol=1e-6)


@pytest.mark.parametrize("loss", [Poisson(), Gamma()], ids=str)
def test_an_offset_lives_where_the_rows_do(loss, monkeypatch):
    """On a device nothing of it crosses to the host, and the answer is NumPy's up to rounding."""
    offset = np.linspace(-1.0, 1.0, 60)
    host = nf.solve(strict_device.problem(np.zeros(0), loss, offset=offset), "newton-3pc", rounds=5, tol=0.0)
    plain = nf.solve(strict_device.problem(np.zeros(0), loss), "newton-3pc", rounds=5, tol=0.0)
    strict_device.install(monkeypatch)
    problem = strict_device.problem(strict_device.on_device(), loss, offset=offset)
    device = nf.solve(problem, "newton-3pc", rounds=5, tol=0.0)
    np.testing.assert_allclose(device.x, host.x, rtol=1e-9, atol=1e-12)
    assert np.abs(plain.x - host.x).max() > 1e-2
    errors = nf.inference(problem, device.x, covariance="HC0").standard_errors
    np.testing.assert_allclose(
        errors, nf.inference(strict_device.problem(np.zeros(0), loss, offset=offset), host.x,
                             covariance="HC0").standard_errors, rtol=1e-8,
    )  # fmt: skip


# --- estimators

ESTIMATORS = {
    "poisson": nf.FederatedPoissonRegressor,
    "gamma": nf.FederatedGammaRegressor,
    "tweedie": nf.FederatedTweedieRegressor,
}


@pytest.mark.parametrize("loss", ESTIMATORS)
def test_estimators_are_statsmodels(loss):
    y, _, beside = FAMILIES[loss]
    frame = pd.DataFrame({"offset": KNOWN, "exposure": YEARS})
    model = ESTIMATORS[loss](alpha=0.0, tol=1e-11, inference="model")
    model.fit(X, y, groups=CLIENTS, **{name: frame[name] for name in beside})
    peer = theirs(loss, "model")
    np.testing.assert_allclose([*model.coef_, model.intercept_], peer.params, rtol=1e-6)
    np.testing.assert_allclose(model.inference_.standard_errors, peer.bse, rtol=1e-6)
    new = {name: values[:7] for name, values in beside.items()}
    model = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(model.predict(X[:7], **new), peer.predict(POOLED[:7], **new), rtol=1e-7)
    np.testing.assert_allclose(model.predict(X[:7], exposure=3.0), 3.0 * model.predict(X[:7]), rtol=1e-13)
    np.testing.assert_allclose(model.predict(X), np.exp(POOLED @ peer.params), rtol=1e-7)


def test_an_exposure_is_a_weight_of_rates():
    """Σ e (exp(t) - (y/e) t) is Σ (exp(t + log e) - y t): scikit-learn's fit of rates with weights."""
    model = nf.FederatedPoissonRegressor(alpha=0.0, tol=1e-11).fit(X, COUNTS, groups=CLIENTS, exposure=YEARS)
    peer = PoissonRegressor(alpha=0.0, tol=1e-12, max_iter=10_000).fit(X, COUNTS / YEARS, sample_weight=YEARS)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-5)
    np.testing.assert_allclose(model.predict(X), peer.predict(X), rtol=1e-5)


def test_rows_of_weight_zero_leave_with_their_exposures():
    weights = np.arange(80) % 2.0
    kept = weights > 0
    model = nf.FederatedPoissonRegressor().fit(X, COUNTS, weights, CLIENTS, exposure=YEARS)
    other = nf.FederatedPoissonRegressor().fit(
        X[kept], COUNTS[kept], weights[kept], CLIENTS[kept], exposure=YEARS[kept]
    )
    assert np.array_equal(model.coef_, other.coef_)


def test_metadata_routing_brings_exposures():
    """To fit, predict and score, as it brings client ids."""
    with sklearn.config_context(enable_metadata_routing=True):
        model = nf.FederatedPoissonRegressor().set_fit_request(exposure=True, groups=True)
        model.set_score_request(exposure=True).set_predict_request(exposure=True)
        search = GridSearchCV(model, {"alpha": [1e-3]}, cv=2).fit(X, COUNTS, exposure=YEARS, groups=CLIENTS)
    direct = nf.FederatedPoissonRegressor().fit(X, COUNTS, groups=CLIENTS, exposure=YEARS)
    assert np.array_equal(search.best_estimator_.coef_, direct.coef_)
    scores = [
        nf.FederatedPoissonRegressor().fit(X[train], COUNTS[train], groups=CLIENTS[train], exposure=YEARS[train])
        .score(X[~train], COUNTS[~train], exposure=YEARS[~train])
        for train in (np.arange(80) >= 40, np.arange(80) < 40)
    ]  # fmt: skip
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-9)


def test_a_score_of_counts_against_rates_is_refused():
    model = nf.FederatedPoissonRegressor().fit(X, COUNTS, exposure=YEARS)
    with pytest.raises(ValueError, match="fitted with an offset or an exposure, and none is given; exposure=1 says"):
        model.score(X, COUNTS)
    assert model.score(X, COUNTS, exposure=1.0) < model.score(X, COUNTS, exposure=YEARS)
    assert model.fit(X, COUNTS).score(X, COUNTS) < 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"exposure": np.zeros(80)}, "exposure: row 0, counted from 0: given 0, must be greater than 0"),
        ({"offset": np.zeros(3)}, r"offset: given shape \(3,\) of float64, must be 80 finite numbers, one a row"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        nf.FederatedPoissonRegressor().fit(X, COUNTS, **arguments)
    with pytest.raises(ValueError, match=words):
        nf.FederatedPoissonRegressor().fit(X, COUNTS).predict(X, **arguments)


# --- a run's model, and tables that it predicts for

TABLE = pd.DataFrame(X, columns=["a", "b", "c"]).assign(known=KNOWN, years=YEARS, y=COUNTS)
FILE = """
[data]
source = "{source}"
{label}offset = "known"
exposure = "years"
scale = "standard"
[objective]
loss = "poisson"
intercept = true
[clients]
count = 4
split = "blocks"
"""


@pytest.fixture
def trained(run, tmp_path):
    """A run of the whole table; and what predicts from a table with it."""
    TABLE.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "problem.toml").write_text(FILE.format(source="csv:train.csv", label='label = "y"\n'))
    status, out, err = run("solve", tmp_path / "problem.toml", "--method", "newton", "--out", tmp_path / "run")
    assert status == 0, err
    assert "known + log years" in out + err
    return tmp_path / "run", lambda path: run("predict", tmp_path / "run", path)


def test_a_runs_model_takes_both_from_the_table(trained, tmp_path):
    """Columns in another order; the label is passed over, and what is taken as an offset is not."""
    folder, predict = trained
    model = json.loads((folder / "model.json").read_text())
    assert (model["offset"], model["exposure"], model["columns"]) == ("known", "years", ["a", "b", "c"])
    peer = theirs("poisson", "model")
    new = TABLE.iloc[5:20]
    expected = peer.predict(POOLED[5:20], offset=KNOWN[5:20], exposure=YEARS[5:20])
    new[["years", "c", "y", "a", "known", "b"]].to_csv(tmp_path / "new.csv", index=False)
    status, out, err = predict(tmp_path / "new.csv")
    assert status == 0 and "passed over: y\n" in err
    np.testing.assert_allclose(pd.read_csv(io.StringIO(out))["prediction"], expected, rtol=1e-6)
    names = np.array(["b", "a", "c"])
    np.savez(tmp_path / "new.npz", X=new[names].to_numpy(), feature_names=names, known=KNOWN[5:20], years=YEARS[5:20])
    status, out, err = predict(tmp_path / "new.npz")
    assert status == 0, err
    np.testing.assert_allclose(pd.read_csv(io.StringIO(out))["prediction"], expected, rtol=1e-6)


def test_a_run_that_is_done_again_has_the_same_model(trained, run, tmp_path):
    folder, _ = trained
    status, _, err = run("solve", folder / "run.toml", "--out", tmp_path / "again")
    assert status == 0, err
    assert (tmp_path / "again" / "model.json").read_text() == (folder / "model.json").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="years"), "lacks 1 of the model's 5 columns, 'years'"),
        (lambda table: table.drop(columns="known"), "lacks 1 of the model's 5 columns, 'known'"),
        (lambda table: table.assign(years=0.0), "exposure: row 0, counted from 0: given 0, must be greater than 0"),
        (lambda table: table.assign(years=""), "line 2, column years: '' is no number\n"),
    ],
)
def test_tables_without_them_are_refused(trained, tmp_path, change, words):
    """Never predicted for an exposure of 1 that nobody said."""
    change(TABLE.head(4)).to_csv(tmp_path / "new.csv", index=False)
    status, _, err = trained[1](tmp_path / "new.csv")
    assert status == 2 and words in err
    (tmp_path / "new.libsvm").write_text("1 1:0.5 2:1 3:2\n")
    status, _, err = trained[1](tmp_path / "new.libsvm")
    assert status == 2 and "offset = 'known' needs a csv or npz source" in err


def test_rows_without_names(run, tmp_path):
    """Of an npz file the arrays' names; a table without a header has the features by their place."""
    np.savez(tmp_path / "train.npz", X=X, y=COUNTS, known=KNOWN, years=YEARS)
    (tmp_path / "problem.toml").write_text(FILE.format(source="npz:train.npz", label=""))
    status, _, err = run("solve", tmp_path / "problem.toml", "--method", "newton", "--out", tmp_path / "run")
    assert status == 0, err
    peer = theirs("poisson", "model").predict(POOLED, offset=KNOWN, exposure=YEARS)
    TABLE[["known", "a", "b", "years", "c"]].to_csv(tmp_path / "new.csv", index=False)
    for name in ("new.csv", "train.npz"):
        status, out, err = run("predict", tmp_path / "run", tmp_path / name)
        assert status == 0, err
        np.testing.assert_allclose(pd.read_csv(io.StringIO(out))["prediction"], peer, rtol=1e-6)


def test_files_must_call_them_alike(tmp_path):
    for name, header in (("a.csv", "known"), ("b.csv", "other")):
        TABLE.rename(columns={"known": header}).iloc[:9].to_csv(tmp_path / name, index=False)
    text = FILE.format(source="csv:*.csv", label='label = "y"\n').replace('scale = "standard"\n', "")
    text = text.replace("count = 4\n", "").replace('"blocks"', '"files"').replace('offset = "known"', "offset = 3")
    (tmp_path / "problem.toml").write_text(text)
    with pytest.raises(ValueError, match=r"csv:b\.csv has its offset in column 'other' and csv:a\.csv in 'known'"):
        nf.load(tmp_path / "problem.toml")


def test_a_python_problems_model_calls_them_offset_and_exposure(run, tmp_path):
    (tmp_path / "problem.py").write_text(
        "import numpy as np\nimport newtonfl as nf\n\n\ndef problem(comm=None):\n"
        "    rows = np.arange(12.0).reshape(6, 2) / 10\n"
        "    return nf.from_arrays(rows, np.arange(6.0), 'poisson', exposure=1 + np.arange(6), l2=0.1, clients=2,\n"
        "                          comm=comm)\n"
    )
    status, _, err = run("solve", tmp_path / "problem.py", "--method", "newton", "--out", tmp_path / "run")
    assert status == 0, err
    (tmp_path / "new.csv").write_text("a,b,exposure\n0.1,0.2,1\n0.1,0.2,10\n")
    status, out, err = run("predict", tmp_path / "run", tmp_path / "new.csv")
    assert status == 0, err
    one, ten = pd.read_csv(io.StringIO(out))["prediction"]
    assert ten == pytest.approx(10.0 * one)


# --- ranks


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_the_same_on_ranks(tmp_path, ranks):
    """In the same bits, bytes and inference; from arrays, one file, a file a client, estimators."""
    program.write(tmp_path)
    ended = launch(ranks, Path(program.__file__), tmp_path)
    assert ended.status == 0, ended.err
    alone = program.found(tmp_path)
    assert json.loads(ended.out) == json.loads(json.dumps(alone))
    assert alone["whole"] == alone["silos"] and alone["whole"][3] == alone["arrays"][0]
    assert alone["own rows"] == alone["estimator"]


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            "none",
            ["rank 1 was given another problem than rank 0", "rank 1 was given offset=None, and rank 0 offset='some'"],
        ),
        ("other", ["rank 1 passed other rows than rank 0"] * 2),
        ("short", ["offset: given shape (79,) of float64, must be 80 finite numbers"] * 2),
    ],
)  # fmt: skip
def test_other_offsets_on_one_rank_are_refused_on_all(tmp_path, case, words):
    ended = launch(2, Path(program.__file__), tmp_path, case)
    assert ended.status == 0, ended.err
    for told in json.loads(ended.out):
        assert len(told) == 2 and all(part in whole for part, whole in zip(words, told, strict=True)), told
