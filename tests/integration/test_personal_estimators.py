"""Personal columns of estimators, problem files and the command line: what is fitted, predicted, written, refused."""

from __future__ import annotations

import json
import tomllib
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy
from command_line import caller
from mpi_programs import personal as program
from personal_cases import CLIENTS, L2, LABELS, ROWS, N
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

import newtonfl as nf

IDS = np.array(["d", "b", "c", "a"])[CLIENTS]
TABLE = pd.DataFrame(ROWS, columns=["age", "dose", "weight", "height", "pulse"])
WHOLE = np.column_stack([ROWS, np.ones(150)])
DRAWN = np.random.default_rng(2).integers(0, 3, 150)


def problem(loss, personal, l2=None, ids=IDS):
    return nf.from_arrays(TABLE, LABELS[loss], loss, clients=ids, intercept=True, l2=L2).personal(personal, l2=l2)


def own_margins(model):
    """Each row's margin by its client's whole model."""
    return np.array(
        [
            row @ np.ravel(model.personal_coef_[client]) + np.ravel(model.personal_intercept_[client])[0]
            for row, client in zip(ROWS, IDS, strict=True)
        ]
    )


def test_a_classifier_has_a_model_a_client():
    model = nf.FederatedLogisticRegression(alpha=L2, personal=["dose", "intercept"], method="newton", tol=1e-12)
    model.fit(TABLE, LABELS["logistic"], groups=IDS)
    part = problem("logistic", ["dose", "intercept"])
    theta = nf.solve(part, "newton", tol=1e-12).x
    np.testing.assert_array_equal(np.isnan(model.coef_[0]), [False, True, False, False, False])
    assert np.isnan(model.intercept_).all() and list(model.personal_coef_) == ["a", "b", "c", "d"]
    whole = part.whole(theta)
    for row, client in zip(whole, "abcd", strict=True):
        np.testing.assert_allclose(model.personal_coef_[client][0], row[:5], rtol=0, atol=1e-10)
        np.testing.assert_allclose(model.personal_intercept_[client], row[5:], rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.coef_[0, [0, 2, 3, 4]], theta, rtol=0, atol=1e-10)
    margins = own_margins(model)
    np.testing.assert_allclose(model.decision_function(TABLE, IDS), margins, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(TABLE, IDS)[:, 1], expit(margins), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.predict(TABLE, clients=IDS), np.where(margins > 0, 1.0, -1.0))
    assert model.score(TABLE, LABELS["logistic"], clients=IDS) == accuracy_score(
        LABELS["logistic"], np.where(margins > 0, 1.0, -1.0)
    )
    alone = IDS == "b"
    np.testing.assert_array_equal(model.predict(TABLE[alone], clients="b"), model.predict(TABLE, clients=IDS)[alone])
    assert "least over each client's own dose, intercept" in model.objective_


def test_one_against_the_rest_and_several_classes_in_one_model():
    """OVR: K problems with personal columns. Multinomial: margins sum to zero over the classes for each client."""
    labels = LABELS["multinomial"]
    ovr = nf.FederatedLogisticRegression(alpha=L2, personal="intercept", multi_class="ovr", method="newton", tol=1e-12)
    ovr.fit(TABLE, labels, groups=IDS)
    one = nf.FederatedLogisticRegression(alpha=L2, personal="intercept", method="newton", tol=1e-12)
    one.fit(TABLE, np.where(labels == 1.0, 1.0, -1.0), groups=IDS)
    np.testing.assert_allclose(
        ovr.decision_function(TABLE, IDS)[:, 1], one.decision_function(TABLE, IDS), rtol=0, atol=1e-10
    )
    joint = nf.FederatedLogisticRegression(alpha=L2, personal="intercept", method="newton", tol=1e-12)
    joint.fit(TABLE, labels, groups=IDS)
    scores, codes = joint.decision_function(TABLE, IDS), labels.astype(int)
    np.testing.assert_allclose(scores.sum(axis=1), 0.0, atol=1e-12)
    probabilities = joint.predict_proba(TABLE, IDS)
    for i in range(N):  # a free intercept of a client's own makes its shares of the classes those that it has
        mine = i == CLIENTS
        np.testing.assert_allclose(
            probabilities[mine].mean(axis=0), np.bincount(codes[mine], minlength=3) / mine.sum(), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("estimator", [nf.FederatedRidge, nf.FederatedPoissonRegressor], ids=["ridge", "poisson"])
def test_a_regressor_has_a_model_a_client(estimator):
    loss = "squared" if estimator is nf.FederatedRidge else "poisson"
    model = estimator(
        alpha=L2, personal=[1, "intercept"], personal_alpha=0.3, method="newton,line_search=10", tol=1e-12
    )
    model.fit(ROWS, LABELS[loss], groups=IDS)
    part = problem(loss, [1, 5], 0.3)
    theta = nf.solve(part, "newton,line_search=10", tol=1e-12).x
    expected = np.einsum("nj,nj->n", WHOLE, part.whole(theta)[np.array([3, 1, 2, 0])[CLIENTS]])
    found = model.predict(ROWS, clients=IDS)
    np.testing.assert_allclose(found if loss == "squared" else np.log(found), expected, rtol=0, atol=1e-9)
    if loss == "squared":
        assert model.score(ROWS, LABELS[loss], clients=IDS) == pytest.approx(r2_score(LABELS[loss], found), rel=1e-14)
    assert isinstance(model.intercept_, float) and np.isnan(model.intercept_)
    again = clone(model).set_params(personal=None, personal_alpha=None).fit(ROWS, LABELS[loss], groups=IDS)
    assert not hasattr(again, "personal_coef_") and np.isfinite(again.coef_).all()
    np.testing.assert_array_equal(again.predict(ROWS), again.predict(ROWS, clients=IDS))  # one model for all


def test_a_client_must_be_named_and_known():
    model = nf.FederatedRidge(alpha=L2, personal="intercept").fit(ROWS, LABELS["squared"], groups=CLIENTS)
    for ask in (model.predict, lambda X: model.score(X, LABELS["squared"])):
        with pytest.raises(ValueError, match="clients: missing, and this model has coefficients of each client's own"):
            ask(ROWS)
    with pytest.raises(ValueError, match="given the client 7, and this model has coefficients of 0, 1, 2, 3"):
        model.predict(ROWS, clients=7)
    with pytest.raises(ValueError, match="given the client '1'"):  # the client 1 is another
        model.predict(ROWS, clients="1")
    with pytest.raises(ValueError, match="clients: given ids of shape"):
        model.predict(ROWS, clients=CLIENTS[:-1])
    np.testing.assert_allclose(model.predict(ROWS[:3], clients=CLIENTS[:3].astype(float)), model.predict(ROWS[:3], 0))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"personal_alpha": 0.1}, "personal_alpha: given 0.1, .* goes with personal alone"),
        ({"personal": [0], "inference": "model"}, "inference: given 'model', and with personal columns"),
        ({"personal": ["age"]}, "given 'age', must be a column's name"),
        ({"personal": [5, 9]}, "given the column 9, must be a number from 0 to 5"),
        ({"personal": "intercept", "fit_intercept": False}, "given 'intercept'"),
        ({"personal": [0], "personal_alpha": -1.0}, "personal_alpha: given -1.0"),
        ({"personal": [0, 1, 2, 3, 4, 5]}, "given all columns"),
    ],
)
def test_what_cannot_be_is_refused(params, words):
    with pytest.raises(ValueError, match=words):
        nf.FederatedRidge(**params).fit(ROWS, LABELS["squared"], groups=CLIENTS)


def test_a_client_of_one_class_ends_the_fit_in_words():
    labels = np.where(CLIENTS == 2, 1.0, LABELS["logistic"])
    with pytest.raises(ValueError, match="client 2: nothing minimises its function over its own intercept"):
        nf.FederatedLogisticRegression(personal="intercept").fit(ROWS, labels, groups=CLIENTS)
    kept = nf.FederatedLogisticRegression(personal="intercept", personal_alpha=0.01).fit(ROWS, labels, groups=CLIENTS)
    assert kept.personal_intercept_[2] > max(kept.personal_intercept_[i] for i in (0, 1, 3))


def test_a_fit_goes_on_from_its_last():
    model = nf.FederatedRidge(alpha=L2, personal=[1, "intercept"], warm_start=True, method="newton")
    first = model.fit(ROWS, LABELS["squared"], groups=CLIENTS).coef_.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(ROWS, LABELS["squared"], groups=CLIENTS).n_iter_ == 0
        np.testing.assert_array_equal(model.coef_, first)
        model.set_params(personal=None).fit(ROWS, LABELS["squared"], groups=CLIENTS)  # from zero: coef_ had NaN
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("scale", [1e6, 1e9])
def test_targets_of_any_size_end_without_an_alarm(scale):
    """Where rounding is above the tolerance the gradient's own level counts, as without personal columns."""
    model = nf.FederatedRidge(alpha=L2, personal="intercept", method="newton")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(ROWS, scale * (LABELS["squared"] + 100.0), groups=CLIENTS)
    plain = nf.FederatedRidge(alpha=L2, personal="intercept", method="newton").fit(
        ROWS, LABELS["squared"], groups=CLIENTS
    )
    np.testing.assert_allclose(model.coef_ / scale, plain.coef_, rtol=1e-9)
    assert model.personal_intercept_[2] / scale - 100.0 == pytest.approx(plain.personal_intercept_[2], rel=1e-9)


def test_columns_that_no_sparse_row_has_cost_nothing():
    """Of 2000 columns five occur; the personal one is named by its number among all."""

    rows = scipy.sparse.lil_array((150, 2000))
    at = np.array([3, 700, 900, 1500, 1999])
    rows[:, at] = ROWS
    model = nf.FederatedRidge(alpha=L2, personal=[700, 4], method="newton", tol=1e-11).fit(
        scipy.sparse.csr_array(rows), LABELS["squared"], groups=CLIENTS
    )
    plain = nf.FederatedRidge(alpha=L2, personal=[1], method="newton", tol=1e-11).fit(
        ROWS, LABELS["squared"], groups=CLIENTS
    )
    for client in range(N):
        np.testing.assert_allclose(model.personal_coef_[client][at], plain.personal_coef_[client], rtol=0, atol=1e-9)


# --- files and the command line


def test_a_problem_file_names_its_personal_columns(tmp_path):
    program.write(tmp_path)
    loaded = nf.load(tmp_path / "problem.toml")
    table = pd.DataFrame(ROWS, columns=list("abcde"))
    expected = nf.from_arrays(table, LABELS["logistic"], clients=CLIENTS, intercept=True, l2=0.01)
    expected = expected.personal(["b", "intercept"])
    theta = np.linspace(-1.0, 1.0, 4)
    assert loaded.objective == expected.objective and loaded.schema.features == expected.schema.features
    np.testing.assert_array_equal(loaded.at(theta).value, expected.at(theta).value)
    text = (tmp_path / "problem.toml").read_text()
    (tmp_path / "other.toml").write_text(text.replace("personal = ", "personal_l2 = 0.5\npersonal = "))
    held = nf.load(tmp_path / "other.toml")
    assert (
        held.objective == f"{loaded.objective} with λ = 0.5" and (held.at(theta).value > loaded.at(theta).value).all()
    )
    for line, words in {
        "personal_l2 = 0.5\n": "allowed only with personal",
        'personal = ["q"]\n': "given 'q', must be a column's name",
        "personal = 3\n": "must be a list of names or of numbers from 0",
    }.items():
        (tmp_path / "other.toml").write_text(text.replace('personal = ["b", "intercept"]\n', line))
        with pytest.raises(ValueError, match=words):
            nf.load(tmp_path / "other.toml")


@pytest.fixture
def newtonfl(capsys, monkeypatch):
    return caller(capsys, monkeypatch)


def test_a_column_of_words_is_personal_in_a_file_and_in_its_run(tmp_path, newtonfl):
    """All that was made of it; the run's own file names every column, and solves the same."""
    words = np.array(["north", "south", "west"])[DRAWN]
    lines = [
        f"{a:.17g},{word},{y:g},{client}"
        for (a, *_), word, y, client in zip(ROWS, words, LABELS["logistic"], CLIENTS, strict=True)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["a,ward,y,client", *lines]) + "\n")
    changes = {'label = "y"': 'label = "y"\ncategorical = ["ward"]', '"b", "intercept"': '"ward"'}
    text = program.PROBLEM
    for old, new in changes.items():
        text = text.replace(old, new)
    (tmp_path / "problem.toml").write_text(text)
    assert nf.load(tmp_path / "problem.toml").schema.features == ("a", "intercept")
    status, said, _ = newtonfl(
        "solve", tmp_path / "problem.toml", "--method", "newton", "--quiet", "--out", tmp_path / "run"
    )
    assert status == 0 and "each client's own ward=north, ward=south, ward=west" in said
    assert newtonfl("solve", tmp_path / "run" / "run.toml", "--quiet", "--out", tmp_path / "again")[0] == 0
    one, other = (json.loads((tmp_path / run / "result.json").read_text()) for run in ("run", "again"))
    assert one["x_sha256"] == other["x_sha256"] and one["features"] == other["features"] == ["a", "intercept"]


def test_the_command_line_solves_it_and_says_why_there_is_no_model(tmp_path, newtonfl):
    program.write(tmp_path)
    out, again = tmp_path / "run", tmp_path / "again"
    status, said, _ = newtonfl("solve", tmp_path / "problem.toml", "--method", "newton", "--quiet", "--out", out)
    assert status == 0
    assert "least over each client's own b, intercept" in said and "features        4: a, c, d, e" in said
    found = json.loads((out / "result.json").read_text())
    assert found["features"] == ["a", "c", "d", "e"] and found["dim"] == 4
    assert tomllib.loads((out / "run.toml").read_text())["objective"]["personal"] == ["b", "intercept"]
    assert newtonfl("solve", out / "run.toml", "--quiet", "--out", again)[0] == 0
    assert json.loads((again / "result.json").read_text())["x_sha256"] == found["x_sha256"]
    status, _, refused = newtonfl("predict", out, tmp_path / "rows.csv")
    assert status == 2 and "some of its columns are personal, and each client's own coefficients are with it" in refused
    assert not (out / "model.json").exists()
    status, said, _ = newtonfl("solve", tmp_path / "problem.toml", "--method", "newton", "--quiet", "--summary")
    assert status == 0 and "no summary: inference: the errors of shared coefficients" in said
