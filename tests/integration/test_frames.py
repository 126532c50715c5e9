"""Tables and columns of pandas, polars and pyarrow wherever arrays are taken: the bits of the equal NumPy array."""

from __future__ import annotations

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.model_selection import cross_val_score

import newtonfl as nf
from newtonfl.datasets.arrays import distribute_arrays

DRAW = np.random.Generator(np.random.Philox(11))
COLUMNS = {
    "size": DRAW.standard_normal(40),
    "open": DRAW.random(40) > 0.4,
    "count": DRAW.integers(0, 9, 40),
    "short": DRAW.standard_normal(40).astype(np.float32),
}
X = np.column_stack(list(COLUMNS.values())).astype(np.float64)
NUMBERS = DRAW.integers(0, 4, 40)
WORDS = np.where(X[:, 0] + DRAW.standard_normal(40) > 0, "open", "closed")
WEIGHTS = DRAW.integers(1, 4, 40)
HOMES = np.arange(40) % 5

TABLES = {
    "pandas": pd.DataFrame(COLUMNS),
    "pandas in another order": pd.DataFrame(COLUMNS, index=np.arange(40)[::-1]),
    "pandas nullable": pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas of pyarrow": pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
    "pandas objects": pd.DataFrame(COLUMNS).astype({"count": object, "open": object}),
    "pandas partly Sparse": pd.DataFrame(COLUMNS).astype({"count": pd.SparseDtype(np.int64, 0)}),
    "polars": pl.DataFrame(COLUMNS),
    "polars decimals": pl.DataFrame(COLUMNS).with_columns(pl.col("count").cast(pl.Decimal(9, 2))),
    "polars wide": pl.DataFrame(COLUMNS).with_columns(pl.col("count").cast(pl.Int128)),
    "pyarrow": pa.table(COLUMNS),
    "pyarrow in pieces": pa.concat_tables([pa.table(COLUMNS).slice(0, 7), pa.table(COLUMNS).slice(7)]),
    "pyarrow batch": pa.record_batch(COLUMNS),
}


def columns(values):
    """The same values in every guise of a column."""
    found = {
        "pandas": pd.Series(values),
        "pandas nullable": pd.Series(values).convert_dtypes(),
        "pandas of pyarrow": pd.Series(values).convert_dtypes(dtype_backend="pyarrow"),
        "pandas objects": pd.Series(values, dtype=object),
        "pandas category": pd.Series(values).astype("category"),
        "pandas ordered": pd.Series(pd.Categorical(values, categories=np.unique(values)[::-1], ordered=True)),
        "pandas array": pd.array(values),
        "pandas index": pd.Index(values),
        "pandas table": pd.DataFrame({"it": values}),
        "polars": pl.Series(values),
        "polars table": pl.DataFrame({"it": values}),
        "pyarrow": pa.chunked_array([values[:9], values[9:]]),
        "pyarrow array": pa.array(values),
        "pyarrow dictionary": pa.array(values).dictionary_encode(),
        "pyarrow table": pa.table({"it": values}),
    }
    if values.dtype.kind == "U":
        found["polars categorical"] = pl.Series(values, dtype=pl.Categorical)
        found["polars enum"] = pl.Series(values, dtype=pl.Enum(["open", "closed"]))
    return found


@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_what_its_numbers_fit(name):
    """And predicts so, with its columns' names."""
    ours = nf.FederatedLogisticRegression(alpha=1e-2).fit(TABLES[name], WORDS)
    theirs = nf.FederatedLogisticRegression(alpha=1e-2).fit(X, WORDS)
    assert ours.feature_names_in_.tolist() == list(COLUMNS) and ours.n_features_in_ == 4
    assert np.array_equal(ours.coef_, theirs.coef_) and np.array_equal(ours.intercept_, theirs.intercept_)
    for method in ("decision_function", "predict", "predict_proba", "predict_log_proba"):
        assert np.array_equal(getattr(ours, method)(TABLES[name]), getattr(theirs, method)(X)), method
    assert ours.score(TABLES[name], WORDS) == theirs.score(X, WORDS)
    problem, plain = nf.from_arrays(TABLES[name], WORDS, l2=1e-2), nf.from_arrays(X, WORDS, l2=1e-2)
    x = np.linspace(-1, 1, 4)
    assert np.array_equal(problem.at(x).gradient, plain.at(x).gradient)


@pytest.mark.parametrize("name", columns(NUMBERS))
def test_labels_weights_and_clients_may_be_columns(name):
    """Of numbers: as targets, as classes, and in scores. No guise warns."""
    y, w, homes = (columns(values)[name] for values in (NUMBERS, WEIGHTS, HOMES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (nf.FederatedRidge(), nf.FederatedPoissonRegressor(), nf.FederatedLogisticRegression(alpha=0.1)):
            ours = type(model)(alpha=0.1).fit(X, y, sample_weight=w, groups=homes)
            theirs = model.set_params(alpha=0.1).fit(X, NUMBERS, sample_weight=WEIGHTS, groups=HOMES)
            assert np.array_equal(ours.coef_, theirs.coef_) and ours.communication_ == theirs.communication_
            assert ours.score(X, y, w) == theirs.score(X, NUMBERS, WEIGHTS) != theirs.score(X, NUMBERS)
    problem = nf.from_arrays(X, y, "squared", sample_weight=w, clients=homes)
    plain = nf.from_arrays(X, NUMBERS, "squared", sample_weight=WEIGHTS, clients=HOMES)
    assert problem.n_clients == 5
    assert np.array_equal(problem.at(np.ones(4)).gradient, plain.at(np.ones(4)).gradient)


@pytest.mark.parametrize("name", columns(WORDS))
def test_classes_are_a_columns_values(name):
    """Strings in alphabetical order, not a category's codes or order."""
    y = columns(WORDS)[name]
    ours, theirs = (nf.FederatedLogisticRegression(alpha=0.1).fit(X, labels) for labels in (y, WORDS))
    assert ours.classes_.tolist() == ["closed", "open"] and np.array_equal(ours.coef_, theirs.coef_)
    assert ours.score(X, y) == theirs.score(X, WORDS)
    by_name = nf.from_arrays(X, HOMES % 2, clients=y)
    assert np.array_equal(
        by_name.at(np.ones(4)).gradient, nf.from_arrays(X, HOMES % 2, clients=WORDS).at(np.ones(4)).gradient
    )


@pytest.mark.parametrize("values", [[True, False], pd.array([True, False]), pa.array([True, False])])
def test_classes_may_be_booleans(values):
    model = nf.FederatedLogisticRegression().fit(X[:2], values)
    assert model.classes_.tolist() == [False, True] and model.classes_.dtype == bool


def test_a_sparse_table_is_the_sparse_matrix():
    rows = X * (abs(X) > 1)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(pd.SparseDtype(float, 0.0))
    ours, theirs = (nf.FederatedRidge(alpha=0.1).fit(kept, NUMBERS) for kept in (table, scipy.sparse.csr_array(rows)))
    assert np.array_equal(ours.coef_, theirs.coef_) and ours.feature_names_in_.tolist() == list(COLUMNS)
    assert nf.from_arrays(table, WORDS).is_sparse
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="X: column 'count': row 3, counted from 0: given nan, must be finite"):
        nf.from_arrays(pd.DataFrame(rows, columns=list(COLUMNS)).astype(pd.SparseDtype(float, 0.0)), WORDS)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "pyarrow batch"])
def test_names_are_checked_as_scikit_learn_checks_them(kind):
    table = TABLES[kind]
    order = ["open", "size", "count", "short"]
    model = nf.FederatedRidge().fit(table, NUMBERS)
    moved = table[order] if kind in ("pandas", "polars") else table.select(order)
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        model.predict(moved)
    other = pa.table(TABLES["polars"].rename({"size": "width"}).to_arrow())
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- width\n.*now missing:\n- size"):
        model.predict(other)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="X has 4 features, but FederatedRidge is expecting 3"):
        nf.FederatedRidge().fit(X[:, :3], NUMBERS).predict(pd.DataFrame(X))
    assert not hasattr(model.fit(X, NUMBERS), "feature_names_in_")
    assert not hasattr(model.fit(pd.DataFrame(X), NUMBERS), "feature_names_in_")  # names that are numbers are none


def test_cross_validation_cuts_tables():
    ours = cross_val_score(nf.FederatedRidge(), TABLES["polars"], columns(NUMBERS)["polars"], cv=3)
    assert np.array_equal(ours, cross_val_score(nf.FederatedRidge(), X, NUMBERS, cv=3))


def test_from_arrays_passes_the_names_on(monkeypatch):
    def noted(*args, column_names, **words):
        names.append(column_names)
        return distribute_arrays(*args, column_names=column_names, **words)

    names: list[object] = []
    monkeypatch.setattr("newtonfl.datasets.from_arrays.distribute_arrays", noted)
    for rows in (TABLES["pyarrow batch"], X):
        nf.from_arrays(rows, WORDS)
    assert names == [list(COLUMNS), None]


def with_column(column, library=pl):
    return library.DataFrame({"size": COLUMNS["size"], "kind": column})


GAP = [1] * 30 + [None] * 10


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (with_column(WORDS), "column 'kind': given String, must be numbers or booleans: encode them first, say by Fed"),
        (with_column(pd.Categorical(NUMBERS), pd), "column 'kind': given category, must be numbers"),
        (with_column(pd.Series([1] * 39 + ["1"], dtype=object), pd), "column 'kind': given object, must be numbers"),
        (with_column([datetime.date(2020, 1, 1)] * 40), "column 'kind': given Date"),
        (with_column(pd.to_timedelta(HOMES, unit="D"), pd), "column 'kind': given timedelta64"),
        (pa.table({"kind": [[1.0]] * 40}), "column 'kind': given list<item: double>"),
        (with_column(GAP), "column 'kind': row 30, counted from 0, has no value"),
        (with_column(GAP, pd), "column 'kind': row 30, counted from 0, has no value"),
        (with_column(pd.array(GAP), pd), "column 'kind': row 30, counted from 0, has no value"),
        (with_column(pd.array(GAP, dtype="boolean"), pd), "column 'kind': row 30, counted from 0, has no value"),
        (with_column(pd.Series(GAP, dtype=object), pd), "column 'kind': row 30, counted from 0, has no value"),
        (pa.table({"kind": GAP}), "column 'kind': row 30, counted from 0, has no value"),
        (with_column([1.0] * 30 + [np.nan] * 10), "column 'kind': row 30, counted from 0: given nan, must be finite"),
        (with_column([1.0] * 39 + [np.inf]), "column 'kind': row 39, counted from 0: given inf, must be finite"),
        (pd.DataFrame(X[:, :2], columns=["kind", "kind"]), "two columns are named 'kind'"),
        (pa.table([X[:, 0], X[:, 1]], names=["kind", "kind"]), "two columns are named 'kind'"),
        (
            with_column(NUMBERS).lazy(),
            r"given a lazy table \(polars\), must be one with its values at hand: call its co",
        ),
        (pd.DataFrame(X, columns=["a", "b", "c", 3]), "column names must all be strings, or none of them"),
        (pd.DataFrame(X).astype(pd.SparseDtype(float, np.nan)), "column 0: given Sparse.*leave out zeros"),
    ],
)
def test_a_table_that_holds_other_than_numbers_is_refused_in_words(table, fault):
    for call in (nf.from_arrays, nf.FederatedLogisticRegression().fit):
        with pytest.raises((ValueError, TypeError), match=f"X: {fault}"):
            call(table, WORDS)


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        (pl.Series([*WORDS[:39], None]), "row 39, counted from 0, has no value"),
        (pd.Series([*WORDS[:39], None]).astype("category"), "row 39, counted from 0, has no value"),
        (pd.array([*HOMES[:39], None]), "row 39, counted from 0, has no value"),
        (pa.array([True] * 39 + [None]), "row 39, counted from 0, has no value"),
        ([*WORDS[:39], None], "row 39, counted from 0, has no value"),
        (pl.DataFrame({"a": NUMBERS, "b": NUMBERS}), "given a table of 2 columns, must be one column"),
        (pl.Series([datetime.date(2020, 1, 1)] * 40), "given Date, must be numbers, booleans or strings"),
        (pl.Series(HOMES).to_frame().lazy(), "given a lazy table"),
    ],
)
def test_a_column_with_a_gap_is_refused_with_its_row(column, fault):
    for call, name in (
        (lambda: nf.from_arrays(X, column), "y"),
        (lambda: nf.from_arrays(X, WORDS, clients=column), "clients"),
        (lambda: nf.FederatedLogisticRegression().fit(X, column), "y"),
        (lambda: nf.FederatedLogisticRegression().fit(X, WORDS, groups=column), "groups"),
    ):
        with pytest.raises(ValueError, match=f"{name}: (labels: |client ids: )?{fault}"):
            call()


def test_a_weight_that_is_missing_is_refused_with_its_row():
    for call in (nf.from_arrays, nf.FederatedLogisticRegression().fit):
        with pytest.raises(ValueError, match="sample_weight: row 30, counted from 0, has no value"):
            call(X, WORDS, sample_weight=pl.Series(GAP))
