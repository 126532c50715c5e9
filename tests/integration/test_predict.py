"""model.json and newtonfl predict: against scikit-learn and statsmodels at the same objective, on new rows."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import statsmodels.api as sm
from mpi_launch import launch
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.preprocessing import StandardScaler

import newtonfl as nf
from newtonfl.prediction.fitted_model import FittedModel

DRAW = np.random.Generator(np.random.Philox(11))
N = 120
PLAIN = pd.DataFrame(
    DRAW.standard_normal((N, 3)) * [1.0, 20.0, 0.1] + [0.0, 50.0, 3.0], columns=["age", "dose", "size"]
)
ETA = PLAIN["age"] + 0.05 * (PLAIN["dose"] - 50.0) - 4.0 * (PLAIN["size"] - 3.0)
TARGETS = {
    "logistic": np.where(ETA + DRAW.logistic(size=N) > 0, "yes", "no"),
    "squared": ETA + DRAW.standard_normal(N),
    "poisson": DRAW.poisson(np.exp(0.4 * ETA)).astype(float),
}
NEW = pd.DataFrame(DRAW.standard_normal((9, 3)) * [1.0, 20.0, 0.1] + [0.0, 50.0, 3.0], columns=list(PLAIN.columns))


@pytest.fixture
def call(run):
    """What runs a command; a run here is a folder."""
    return run


def train(folder, call, loss, *, table=None, data="", objective="", l2=0.0, name="run"):
    """Solve a problem of a table, to the last digits; its run's folder."""
    table = PLAIN.assign(y=TARGETS[loss if loss in TARGETS else "logistic"]) if table is None else table
    table.to_csv(folder / "train.csv", index=False)
    (folder / "problem.toml").write_text(
        f'title = "Doses"\n[data]\nsource = "csv:train.csv"\nlabel = "y"\n{data}\n[objective]\nloss = "{loss}"\n'
        f'l2 = {l2}\nintercept = true\n{objective}\n[clients]\ncount = 3\nsplit = "blocks"\n'
    )
    words = ["solve", folder / "problem.toml", "--method", "newton", "--tol", "1e-11", "--rtol", "1e-13", "--quiet"]
    status, _, err = call(*words, "--out", folder / name)
    assert status == 0, err
    return folder / name


def predicted(call, run, table, *, name="new.csv"):
    """Columns by name; what was said on stderr."""
    path = run.parent / name
    if isinstance(table, pd.DataFrame):
        table.to_csv(path, index=False)
    status, out, err = call("predict", run, path)
    assert status == 0, err
    return pd.read_csv(io.StringIO(out)), err


def test_classes_and_probabilities_are_scikit_learns(call, tmp_path):
    """Scaled at the fit, and by the same numbers at the prediction; columns in another order, and others beside."""
    run = train(tmp_path, call, "logistic", data='scale = "standard"', l2=0.01)
    scaler = StandardScaler().fit(PLAIN)
    peer = LogisticRegression(C=1.0 / (0.01 * N), tol=1e-12, max_iter=10_000)
    peer.fit(scaler.transform(PLAIN), TARGETS["logistic"])
    expected = peer.predict_proba(scaler.transform(NEW))
    for table in (NEW, NEW[["size", "age", "dose"]].assign(y="?", who=range(9))[["who", "size", "y", "age", "dose"]]):
        found, err = predicted(call, run, table)
        assert list(found.columns) == ["prediction", "probability_no", "probability_yes"]
        np.testing.assert_allclose(found.iloc[:, 1:], expected, rtol=1e-6)
        assert found["prediction"].tolist() == peer.predict(scaler.transform(NEW)).tolist()
        assert ("passed over: who, y" in err) == (len(table.columns) == 5)


def test_means_are_scikit_learns_and_statsmodels(call, tmp_path):
    run = train(tmp_path, call, "poisson", data='scale = "standard"', l2=0.1)
    scaler = StandardScaler().fit(PLAIN)
    peer = PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=10_000).fit(scaler.transform(PLAIN), TARGETS["poisson"])
    np.testing.assert_allclose(
        predicted(call, run, NEW)[0]["prediction"], peer.predict(scaler.transform(NEW)), rtol=1e-6
    )
    run = train(tmp_path, call, "squared", name="squared")
    least = sm.OLS(TARGETS["squared"], sm.add_constant(PLAIN)).fit()
    found = predicted(call, run, NEW)[0]
    assert list(found.columns) == ["prediction"]
    np.testing.assert_allclose(found["prediction"], least.predict(sm.add_constant(NEW)), rtol=1e-8)


@pytest.mark.parametrize(
    ("loss", "link"), [("probit", sm.families.links.Probit()), ("cloglog", sm.families.links.CLogLog())]
)
def test_other_links_are_statsmodels(call, tmp_path, loss, link):
    run = train(tmp_path, call, loss, data='scale = "standard"')
    scaler = StandardScaler().fit(PLAIN)
    hits = (TARGETS["logistic"] == "yes").astype(float)
    fit = sm.GLM(hits, sm.add_constant(scaler.transform(PLAIN)), sm.families.Binomial(link)).fit(tol=1e-14, maxiter=200)
    expected = fit.predict(sm.add_constant(scaler.transform(NEW), has_constant="add"))
    found = predicted(call, run, NEW)[0]
    np.testing.assert_allclose(found["probability_yes"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["probability_no"], 1.0 - expected, rtol=1e-6)
    assert found["prediction"].tolist() == np.where(expected > 0.5, "yes", "no").tolist()


def test_a_margin_where_there_are_no_probabilities(call, tmp_path):
    run = train(tmp_path, call, "squared-hinge", l2=0.1, data='scale = "standard"')
    found = predicted(call, run, NEW)[0]
    model = json.loads((run / "model.json").read_text())
    t = (NEW - model["scale"]["shift"]) / model["scale"]["divisor"] @ model["coefficients"][0] + model["intercepts"][0]
    assert list(found.columns) == ["prediction", "margin"]
    np.testing.assert_allclose(found["margin"], t, rtol=1e-12)
    assert found["prediction"].tolist() == np.where(t > 0, "yes", "no").tolist()


def words_and_gaps(draw, rows):
    """A table with a column of words and missing values."""
    table = pd.DataFrame({"age": draw.standard_normal(rows), "colour": draw.choice(["blue", "green", "red"], rows)})
    table["y"] = table["age"] + (table["colour"] == "red") + 0.1 * draw.standard_normal(rows)
    table.loc[::7, "age"] = np.nan
    table.loc[3::11, "colour"] = None
    return table


def test_words_and_missing_values_become_what_they_became(call, tmp_path):
    draw = np.random.Generator(np.random.Philox(2))
    table, new = words_and_gaps(draw, 80), words_and_gaps(draw, 30).drop(columns="y")
    run = train(tmp_path, call, "squared", table=table, data='categorical = ["colour"]\nmissing = "mean"', l2=1e-3)
    model = json.loads((run / "model.json").read_text())
    assert model["levels"] == {"colour": ["blue", "green", "red"]} and len(model["coefficients"][0]) == 4

    def design(rows):
        words = pd.get_dummies(rows["colour"]).astype(float).reindex(columns=["blue", "green", "red"], fill_value=0.0)
        words[rows["colour"].isna()] = table["colour"].value_counts(normalize=True)[["blue", "green", "red"]].to_numpy()
        return np.column_stack([rows["age"].fillna(table["age"].mean()), words, np.ones(len(rows))])

    A, ridge = design(table), np.diag([1e-3] * 4 + [0.0])
    x = np.linalg.solve(A.T @ A / len(A) + ridge, A.T @ table["y"] / len(A))
    np.testing.assert_allclose(predicted(call, run, new)[0]["prediction"], design(new) @ x, rtol=1e-9)
    only = new[new["colour"] == "red"].dropna()  # a table that has one of the words
    np.testing.assert_allclose(predicted(call, run, only)[0]["prediction"], design(only) @ x, rtol=1e-9)
    status, _, err = call("predict", run, tmp_path / "odd.csv")
    assert status == 2 and "odd.csv" in err
    new.assign(colour="pink").to_csv(tmp_path / "odd.csv", index=False)
    status, _, err = call("predict", run, tmp_path / "odd.csv")
    assert (
        status == 2 and "row 0, counted from 0, column 'colour': 'pink' is a word that the model does not know" in err
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.rename(columns={"dose": "doses"}),
            ["lacks 1 of the model's 3 columns, 'dose'", "did you mean 'doses'"],
        ),
        (lambda t: t[["age"]], ["lacks 2 of the model's 3 columns, 'dose', 'size'", "it has 'age'"]),
        (lambda t: t.assign(dose=["x"] * 9), ["line 2, column dose: 'x' is not a finite number"]),
        (lambda t: t.assign(dose=[1.0] * 8 + [np.nan]), ["row 8, counted from 0, column 'dose': no value"]),
        (lambda t: t.assign(dose=[1.0] * 8 + [np.inf]), ["line 10, column dose: 'inf' is not a finite number"]),
        (lambda t: t.iloc[:0], ["no rows"]),
    ],
)
def test_tables_that_do_not_suit_the_model(call, tmp_path, change, words):
    run = train(tmp_path, call, "squared")
    change(NEW).to_csv(tmp_path / "new.csv", index=False)
    status, out, err = call("predict", run, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert status == 2 and not out and all(word in err for word in words), err
    assert not (tmp_path / "out.csv").exists()


def test_other_forms_of_the_same_table(call, tmp_path):
    """npz with names in another order, without names and without labels, sparse; packed CSV; a source with its kind."""
    run = train(tmp_path, call, "squared")
    expected = predicted(call, run, NEW)[0]["prediction"]
    names = ["size", "dose", "age", "more"]
    np.savez(tmp_path / "named.npz", X=NEW.assign(more=1.0)[names].to_numpy(), feature_names=names)
    np.savez(tmp_path / "plain.npz", X=NEW.to_numpy(), y=np.zeros(9))
    scipy.sparse.save_npz(tmp_path / "sparse.npz", scipy.sparse.csr_array(NEW.to_numpy()))
    NEW.to_csv(tmp_path / "packed.csv.gz", index=False)
    shutil.copy(tmp_path / "new.csv", tmp_path / "table")
    for file in ("named.npz", "plain.npz", "sparse.npz", "packed.csv.gz"):
        np.testing.assert_allclose(predicted(call, run, None, name=file)[0]["prediction"], expected, rtol=1e-13)
    status, out, _ = call("predict", run / "model.json", f"csv:{tmp_path / 'table'}", "--out", tmp_path / "out.csv")
    assert status == 0 and out == f"9 predictions written to {tmp_path / 'out.csv'}\n"
    assert np.array_equal(pd.read_csv(tmp_path / "out.csv")["prediction"], expected)
    np.savez(tmp_path / "narrow.npz", X=np.ones((2, 2)))
    for file, said in (
        ("narrow.npz", "has 2 columns, must have the model's 3"),
        ("table", "must end as .csv, .npz, .libsvm, .svm, or say its kind, as in csv:"),
        ("none.csv", "none.csv"),
    ):
        status, _, err = call("predict", run, tmp_path / file)
        assert status == 2 and said in err, err
    status, _, err = call("predict", run, tmp_path / "new.csv", "--out", tmp_path / "new.csv")
    assert status == 2 and "given the table itself" in err and (tmp_path / "new.csv").stat().st_size > 100


def test_libsvm_text_and_files_without_names(call, tmp_path):
    """By place; a file that leaves its last columns out, and one that has too many; CSV without a header."""
    rows, labels = PLAIN.to_numpy(), np.where(TARGETS["logistic"] == "yes", 1, -1)
    lines = [
        f"{y} " + " ".join(f"{j + 1}:{v!r}" for j, v in enumerate(a))
        for y, a in zip(labels, rows.tolist(), strict=True)
    ]
    (tmp_path / "train.svm").write_text("\n".join(lines) + "\n")
    (tmp_path / "p.toml").write_text(
        '[data]\nsource = "libsvm:train.svm"\nscale = "maxabs"\n[objective]\nloss = "logistic"\nl2 = 0.01\n'
        "[clients]\ncount = 2\n"
    )
    assert call("solve", tmp_path / "p.toml", "--method", "newton", "--quiet", "--out", tmp_path / "run")[0] == 0
    model = FittedModel.read(tmp_path / "run" / "model.json")
    (tmp_path / "new.svm").write_text("0 1:1.5\n0 2:-3\n")
    found = predicted(call, tmp_path / "run", None, name="new.svm")[0]
    t = np.array([1.5, -3.0]) / np.abs(rows).max(axis=0)[:2] * np.array(model.coefficients[0])[:2]
    np.testing.assert_allclose(found["probability_1"], 1 / (1 + np.exp(-t)), rtol=1e-12)
    (tmp_path / "wide.svm").write_text("0 4:1\n")
    status, _, err = call("predict", tmp_path / "run", tmp_path / "wide.svm")
    assert status == 2 and "features = 3, but the largest index is 4" in err
    NEW.to_csv(tmp_path / "bare.csv", index=False, header=False)
    np.savez(tmp_path / "bare.npz", X=NEW.to_numpy())
    bare = [predicted(call, tmp_path / "run", None, name=name)[0] for name in ("bare.csv", "bare.npz")]
    assert bare[0].equals(bare[1])

    # A CSV file that has no header: the label is column 1, and a new table has it, or has the features alone.
    whole = np.column_stack([rows[:, 0], labels, rows[:, 1:]])
    np.savetxt(tmp_path / "train.csv", whole, "%.17g", delimiter=",")
    (tmp_path / "q.toml").write_text(
        '[data]\nsource = "csv:train.csv"\nlabel = 1\nheader = false\n[objective]\nloss = "squared"\n'
        "[clients]\ncount = 2\n"
    )
    status, _, err = call("solve", tmp_path / "q.toml", "--method", "newton", "--quiet", "--out", tmp_path / "two")
    assert status == 0, err
    w = np.linalg.lstsq(rows, labels, rcond=None)[0]
    np.savetxt(tmp_path / "with.csv", whole[:4], "%.17g", delimiter=",")
    np.savetxt(tmp_path / "without.csv", rows[:4], "%.17g", delimiter=",")
    for name in ("with.csv", "without.csv"):
        found = predicted(call, tmp_path / "two", None, name=name)[0]["prediction"]
        np.testing.assert_allclose(found, rows[:4] @ w, rtol=1e-8)
    np.savetxt(tmp_path / "short.csv", rows[:4, :2], "%.17g", delimiter=",")
    status, _, err = call("predict", tmp_path / "two", tmp_path / "short.csv")
    assert status == 2 and "has 2 columns, and the model takes number 3, from 0" in err


def test_numbers_of_columns_are_no_cells(call, tmp_path):
    """A CSV file without a header: with the label, without it, and with cells that look like the columns' numbers."""
    draw = np.random.Generator(np.random.Philox(3))
    rows, offset = draw.standard_normal((60, 2)), draw.standard_normal(60)
    labels = draw.poisson(np.exp(offset + 0.3 * rows[:, 0] - 0.2 * rows[:, 1] + 0.1))
    np.savetxt(tmp_path / "train.csv", np.column_stack([labels, offset, rows]), "%.17g", delimiter=",")
    (tmp_path / "p.toml").write_text(
        '[data]\nsource = "csv:train.csv"\nlabel = 0\noffset = 1\nheader = false\n[objective]\nloss = "poisson"\n'
        "[clients]\ncount = 2\n"
    )
    status, _, err = call("solve", tmp_path / "p.toml", "--method", "newton", "--quiet", "--out", tmp_path / "run")
    assert status == 0, err
    w = np.array(FittedModel.read(tmp_path / "run" / "model.json").coefficients[0])
    new = np.array([[0.5, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 0.0, 1.0]])  # offset, and the two features
    right = np.exp(new[:, 0] + new[:, 1:] @ w)
    for name, table in {
        "bare": new,
        "whole": np.column_stack([[1, 2, 3], new]),
        "more": np.c_[[9, 1, 2], new, new],
    }.items():
        np.savetxt(tmp_path / f"{name}.csv", table, "%g", delimiter=",")  # of whole numbers as 1 and 2
        found = predicted(call, tmp_path / "run", None, name=f"{name}.csv")[0]["prediction"]
        np.testing.assert_allclose(found, right, rtol=1e-12, err_msg=name)


def test_libsvm_text_that_counts_from_0_is_read_as_it_was(call, tmp_path):
    """A table whose rows have no index 0 could be either: the model knows."""
    rows = PLAIN.to_numpy()

    def write(name, table, labels, first):
        lines = [
            " ".join([repr(float(y)), *(f"{j}:{v!r}" for j, v in enumerate(a, first) if v)])
            for y, a in zip(labels, table.tolist(), strict=True)
        ]
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    new = np.array([[0.0, 50.0, 0.0], [0.0, -2.0, 3.0]])  # nothing in the first column
    found = []
    for first, folder in ((0, "zero"), (1, "one")):
        write("train.svm", rows, TARGETS["squared"], first)
        write("new.svm", new, [0, 0], first)
        (tmp_path / "p.toml").write_text(
            f'[data]\nsource = "libsvm:train.svm"\nzero_based = {"false" if first else "true"}\n'
            '[objective]\nloss = "squared"\n[clients]\ncount = 2\n'
        )
        words = ["--method", "newton", "--tol", "1e-11", "--rtol", "1e-13", "--quiet", "--out", tmp_path / folder]
        assert call("solve", tmp_path / "p.toml", *words)[0] == 0
        found += [predicted(call, tmp_path / folder, None, name=name)[0] for name in ("new.svm", "train.svm")]
    w = np.linalg.lstsq(rows, TARGETS["squared"], rcond=None)[0]
    for table, predictions in zip((new, rows) * 2, found, strict=True):
        np.testing.assert_allclose(predictions["prediction"], table @ w, rtol=1e-8)


def test_several_classes(call, tmp_path):
    """A problem in Python with a softmax: the estimator's probabilities."""
    (tmp_path / "iris.py").write_text(
        '"""Three kinds of iris."""\nimport newtonfl as nf\nfrom sklearn.datasets import load_iris\n\n\n'
        "def problem(comm=None):\n    X, y = load_iris(return_X_y=True, as_frame=True)\n"
        '    names = ["setosa", "versicolor", "virginica"]\n'
        '    options = {"loss": "multinomial", "l2": 0.01, "intercept": True, "clients": 3}\n'
        "    return nf.from_arrays(X, [names[k] for k in y], comm=comm, **options)\n"
    )
    words = ["--method", "newton", "--tol", "1e-12", "--quiet", "--out", tmp_path / "run"]
    assert call("solve", tmp_path / "iris.py", *words)[0] == 0
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True, as_frame=True)
    found = predicted(call, tmp_path / "run", X.sample(frac=1.0, random_state=0))[0]
    model = nf.FederatedLogisticRegression(alpha=0.01, method="newton", tol=1e-12, clients=3).fit(X, y)
    order = X.sample(frac=1.0, random_state=0).index
    np.testing.assert_allclose(found.iloc[:, 1:], model.predict_proba(X)[order], rtol=1e-8)
    assert list(found.columns)[1:] == ["probability_setosa", "probability_versicolor", "probability_virginica"]
    assert (found["prediction"] == np.array(["setosa", "versicolor", "virginica"])[model.predict(X)[order]]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("link"), "link: Field required"),
        (lambda m: m.update(format="newtonfl model 9"), "format"),
        (lambda m: m.update(coefficients=[[1.0, 2.0]]), "names of 2 features"),
        (lambda m: m.update(coefficients=[[1.0, 2.0, "x"]]), "coefficients.0.2"),
        (lambda m: m.update(intercepts=[]), "coefficients and intercepts must be 1 rows"),
        (lambda m: m.update(columns=["age", "age", "size"]), "different names"),
        (lambda m: m["scale"].update(divisor=[1.0, 0.0, 1.0]), "a number above 0"),
        (lambda m: m["scale"].update(shift=None), "scale: standard must have"),
        (lambda m: m.update(classes=["a"]), "classes: given 1"),
        (lambda m: m.update(means={"age": [1.0]}), "levels and means must be of the columns"),
        (lambda m: m.update(features=["a"]), "features: given 1 names, must be 3"),
        (lambda m: m.update(more=1), "more"),
    ],
)
def test_model_files_that_are_none(call, tmp_path, change, words):
    run = train(tmp_path, call, "squared", data='scale = "standard"')
    model = json.loads((run / "model.json").read_text())
    change(model)
    (run / "model.json").write_text(json.dumps(model))
    NEW.to_csv(tmp_path / "new.csv", index=False)
    status, out, err = call("predict", run, tmp_path / "new.csv")
    assert status == 2 and not out and "model.json: not a model of this library" in err and words in err, err


def test_runs_without_a_model(call, tmp_path, small):
    assert call("solve", "quadratic", "--rounds", "2", "--quiet", "--out", tmp_path / "q")[0] == 0
    status, _, err = call("predict", tmp_path / "q", "new.csv")
    assert status == 2 and "holds a run without model.json: its problem is not of rows" in err
    status, _, err = call("predict", tmp_path / "nothing", "new.csv")
    assert status == 2 and "no such model" in err
    assert call("solve", small, "--rounds", "1", "--tol", "0", "--quiet", "--out", tmp_path / "short")[0] == 0
    (tmp_path / "n.csv").write_text("a,b,c\n1,2,3\n")
    status, _, err = call("predict", tmp_path / "short", tmp_path / "n.csv")
    assert status == 0 and "had not converged: the round limit was reached" in err
    for name in ("ledger.csv", "model.json"):  # an old one goes with its run
        assert (tmp_path / "short" / name).is_file()
    assert call("solve", "quadratic", "--rounds", "2", "--quiet", "--force", "--out", tmp_path / "short")[0] == 0
    assert not (tmp_path / "short" / "model.json").exists() and (tmp_path / "short" / "ledger.csv").is_file()


def test_a_model_holds_no_rows(call, tmp_path):
    """Numbers of the table that stand in the file: none, but of what is summed over all rows."""
    run = train(tmp_path, call, "squared", data='scale = "standard"')
    text = (run / "model.json").read_text()
    assert not [value for value in PLAIN.to_numpy().ravel() if repr(float(value)) in text]
    assert set(json.loads(text)["versions"]) >= {"newtonfl", "numpy"}


def test_a_project_that_moves_solves_and_predicts_the_same(call, tmp_path, monkeypatch):
    """run.toml finds its data from where it lies; so does a pattern of files, and a folder with signs of patterns."""
    first = tmp_path / "one [a]" / "project"
    (first / "runs").mkdir(parents=True)
    run = train(first, call, "squared", name="runs/first")
    half = PLAIN.assign(y=TARGETS["squared"])
    (first / "silos").mkdir()
    half[:60].to_csv(first / "silos" / "a.csv", index=False)
    half[60:].to_csv(first / "silos" / "b.csv", index=False)
    (first / "silos.toml").write_text(
        '[data]\nsource = "csv:silos/*.csv"\nlabel = "y"\n[objective]\nloss = "squared"\n[clients]\nsplit = "files"\n'
    )
    words = ["--method", "newton", "--quiet", "--out"]
    assert call("solve", first / "silos.toml", *words, first / "runs" / "silos")[0] == 0
    assert call("solve", first / "silos.toml", *words, tmp_path / "beside")[0] == 0
    assert call("solve", tmp_path / "beside" / "run.toml", "--quiet")[0] == 0
    assert str(tmp_path) not in (run / "run.toml").read_text()
    shas = {
        name: json.loads((first / "runs" / name / "result.json").read_text())["x_sha256"] for name in ("first", "silos")
    }
    second = tmp_path / "two"
    shutil.move(first, second)
    monkeypatch.chdir(tmp_path)
    for name, sha in shas.items():
        status, _, err = call(
            "solve", second / "runs" / name / "run.toml", "--quiet", "--out", tmp_path / "again" / name
        )
        assert status == 0, err
        assert json.loads((tmp_path / "again" / name / "result.json").read_text())["x_sha256"] == sha
    NEW.to_csv(second / "new.csv", index=False)
    assert call("predict", second / "runs" / "first", second / "new.csv")[0] == 0


@pytest.mark.mpi
def test_on_two_ranks_the_model_is_the_same(call, tmp_path):
    """What is learned of the rows reaches rank 0's file, where another rank has half of them."""
    run = train(tmp_path, call, "logistic", data='scale = "standard"', l2=0.01)
    words = ["--method", "newton", "--tol", "1e-11", "--rtol", "1e-13", "--quiet"]
    ended = launch(2, "-m", "newtonfl", "solve", tmp_path / "problem.toml", *words, "--out", tmp_path / "ranks")
    assert ended.status == 0, ended.err
    for name in ("model.json", "ledger.csv"):
        assert (tmp_path / "ranks" / name).read_text() == (run / name).read_text()
    with (run / "ledger.csv").open(newline="") as file:
        sent = sum(int(row["bytes"]) for row in csv.DictReader(file))
    totals = json.loads((run / "result.json").read_text())["bytes"]
    assert sent == sum(totals[way]["total"] for way in ("up", "down", "setup"))


def test_a_run_toml_in_a_folder_behind_a_link_finds_its_data(call, tmp_path):
    """Its way leads up from where the link points to; and the project's own folder may be reached by a link."""
    project = tmp_path / "disk" / "home" / "project"
    (tmp_path / "disk" / "scratch" / "deep" / "runs").mkdir(parents=True)
    project.mkdir(parents=True)
    train(project, call, "squared")
    (project / "runs").symlink_to(tmp_path / "disk" / "scratch" / "deep" / "runs")
    (tmp_path / "short").symlink_to(project)
    for place, name in ((project, "a"), (tmp_path / "short", "b")):
        words = ["solve", place / "problem.toml", "--rounds", "1", "--quiet", "--out", place / "runs" / name]
        status, _, err = call(*words)
        assert status == 0, err
        (source,) = re.findall('source = "csv:(.*)"', (place / "runs" / name / "run.toml").read_text())
        assert source == "../../../../home/project/train.csv"
        assert call("solve", place / "runs" / name / "run.toml", "--quiet")[0] == 0
    shutil.move(tmp_path / "disk", tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "scratch" / "deep" / "runs" / "a" / "run.toml"
    assert call("solve", moved, "--quiet")[0] == 0
