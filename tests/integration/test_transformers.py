"""Transformers over clients: scikit-learn's own checks, and what its transformers find on the pooled rows."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn import impute, preprocessing
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import newtonfl as nf

TRANSFORMERS = [
    nf.FederatedStandardScaler(),
    nf.FederatedStandardScaler(with_mean=False, clients=3),
    nf.FederatedSimpleImputer(clients=2),
    nf.FederatedSimpleImputer(strategy="constant", fill_value=2.0),
    nf.FederatedOneHotEncoder(),
    nf.FederatedOneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="if_binary", clients=2),
]
N = 120
DRAW = np.random.Generator(np.random.Philox(23))
NUMBERS = DRAW.standard_normal((N, 4)) * [1.0, 1e4, 1e-5, 1.0] + [0.0, 3e4, 0.0, 1e3]
GAPS = np.where(DRAW.random((N, 4)) < [0.2, 0.1, 0.3, 0.0], np.nan, NUMBERS)
WEIGHTS = DRAW.integers(0, 4, N).astype(float)
WARDS = DRAW.choice(["north", "south", "west"], N)
HOMES = np.where(WARDS == "west", 4, np.arange(N) % 3)  # one client alone has a west


@parametrize_with_checks(TRANSFORMERS)
def test_scikit_learns_checks(estimator, check):
    """All of them; none is expected to fail."""
    check(estimator)


# --- numbers


@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("rows", [NUMBERS, GAPS], ids=["whole", "gaps"])
def test_scales_are_scikit_learns(with_mean, with_std, weights, rows):
    words = {"with_mean": with_mean, "with_std": with_std}
    ours = nf.FederatedStandardScaler(**words).fit(rows, sample_weight=weights, groups=HOMES)
    theirs = preprocessing.StandardScaler(**words).fit(rows, sample_weight=weights)
    for name in ("mean_", "var_", "scale_", "n_samples_seen_")[: 4 if with_mean or with_std else 3]:  # else unweighted
        mine, right = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (right is None), name
        if right is not None:
            np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-18, err_msg=name)
    scaled = ours.transform(rows)
    np.testing.assert_allclose(scaled, theirs.transform(rows), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.inverse_transform(scaled), rows, rtol=1e-12, atol=1e-11)


def test_variances_keep_their_digits_far_from_zero():
    """One pass over squares would have none left: the mean is 10⁸ deviations."""
    far = NUMBERS[:, :1] + 1e8
    ours, theirs = nf.FederatedStandardScaler(clients=7).fit(far), preprocessing.StandardScaler().fit(far)
    np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale_, np.std(far - 1e8, axis=0), rtol=1e-9)


def test_a_constant_column_is_not_divided_and_an_empty_one_stays():
    rows = np.column_stack([np.full(N, 0.1), np.full(N, np.nan), GAPS[:, 0]])
    ours = nf.FederatedStandardScaler(clients=7).fit(rows)
    with np.errstate(invalid="ignore"):  # of 0/0
        theirs = preprocessing.StandardScaler().fit(rows)
    assert ours.scale_[0] == theirs.scale_[0] == 1.0
    assert np.isnan(ours.mean_[1]) and ours.n_samples_seen_.tolist() == theirs.n_samples_seen_.tolist()
    np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_rows_keep_their_zeros(kind):
    plain = np.where(DRAW.random((N, 4)) < 0.7, 0.0, GAPS)
    rows = kind(plain)
    ours = nf.FederatedStandardScaler(with_mean=False, clients=5).fit(rows)
    theirs = preprocessing.StandardScaler(with_mean=False).fit(rows)
    np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-12)
    assert scipy.sparse.issparse(ours.transform(rows)) and ours.transform(rows).nnz == rows.nnz
    for way in ("transform", "inverse_transform"):
        found, right = (getattr(scaler, way)(rows).toarray() for scaler in (ours, theirs))
        np.testing.assert_allclose(found, right, rtol=1e-12)
    with pytest.raises(ValueError, match="sparse rows minus the means would fill in every zero: with_mean=False"):
        nf.FederatedStandardScaler().fit(rows)
    imputed = nf.FederatedSimpleImputer(clients=5).fit_transform(rows)
    right = impute.SimpleImputer().fit_transform(rows)
    np.testing.assert_allclose(imputed.toarray(), right.toarray(), rtol=1e-13)


@pytest.mark.parametrize("words", [{}, {"strategy": "constant"}, {"strategy": "constant", "fill_value": -3.5}])
def test_what_is_filled_in_is_scikit_learns(words):
    ours = nf.FederatedSimpleImputer(**words).fit(GAPS, groups=HOMES)
    theirs = impute.SimpleImputer(**words).fit(GAPS)
    np.testing.assert_allclose(ours.statistics_, theirs.statistics_.astype(float), rtol=1e-13)
    np.testing.assert_allclose(ours.transform(GAPS), theirs.transform(GAPS), rtol=1e-13)
    assert (ours.ledger_.totals()["bytes"]["up"]["total"] > 0) == (not words)  # a constant asks nobody


def test_a_column_without_a_value_is_left_out_or_kept_as_scikit_learn_does():
    rows = pd.DataFrame(GAPS[:, :2], columns=["a", "b"]).assign(c=np.nan)
    ours = nf.FederatedSimpleImputer(clients=3).fit(rows)
    with pytest.warns(UserWarning, match="no rank had a value for the columns c, which are left out"):
        assert ours.transform(rows).shape == (N, 2)
    assert ours.get_feature_names_out().tolist() == ["a", "b"]
    kept, right = (
        kind(keep_empty_features=True).fit_transform(rows) for kind in (nf.FederatedSimpleImputer, impute.SimpleImputer)
    )
    np.testing.assert_allclose(kept, right, rtol=1e-13)


# --- levels

MIXED = pd.DataFrame({"ward": WARDS, "beds": HOMES, "night": HOMES > 1})


@pytest.mark.parametrize("drop", [None, "first", "if_binary"])
@pytest.mark.parametrize("sparse_output", [True, False])
def test_ones_are_scikit_learns(drop, sparse_output):
    ours = nf.FederatedOneHotEncoder(drop=drop, sparse_output=sparse_output).fit(MIXED, groups=HOMES)
    theirs = preprocessing.OneHotEncoder(drop=drop, sparse_output=False).fit(MIXED)
    assert [each.tolist() for each in ours.categories_] == [each.tolist() for each in theirs.categories_]
    found = ours.transform(MIXED)
    assert scipy.sparse.issparse(found) == sparse_output
    np.testing.assert_array_equal(found.toarray() if sparse_output else found, theirs.transform(MIXED))
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    if drop is not None:
        assert ours.drop_idx_.tolist() == theirs.drop_idx_.tolist()


@pytest.mark.parametrize("form", ["numpy", "objects", "list", "pandas", "category", "polars", "pyarrow"])
def test_a_level_is_the_same_in_every_guise(form):
    plain = np.column_stack([WARDS, np.array(["yes", "no"])[HOMES % 2]])
    table = pd.DataFrame(plain, columns=["a", "b"])
    X = {
        "numpy": plain, "objects": plain.astype(object), "list": plain.tolist(), "pandas": table,
        "category": table.astype("category"), "polars": pl.DataFrame(table), "pyarrow": pl.DataFrame(table).to_arrow(),
    }[form]  # fmt: skip
    encoder = nf.FederatedOneHotEncoder(clients=4, sparse_output=False)
    right = preprocessing.OneHotEncoder(sparse_output=False).fit_transform(plain)
    np.testing.assert_array_equal(encoder.fit_transform(X), right)
    assert encoder.categories_[0].tolist() == ["north", "south", "west"]


def test_a_missing_value_is_the_last_level():
    words = np.where(HOMES == 1, None, WARDS.astype(object))
    for X in (pd.DataFrame({"w": words}), pl.DataFrame({"w": words.tolist()}), words[:, None]):
        encoder = nf.FederatedOneHotEncoder(sparse_output=False).fit(X, groups=HOMES)
        assert encoder.get_feature_names_out(["w"]).tolist() == ["w_north", "w_south", "w_west", "w_nan"]
        np.testing.assert_array_equal(encoder.transform(X)[:, 3], HOMES == 1)
    encoder = nf.FederatedOneHotEncoder(sparse_output=False).fit(np.round(GAPS[:, :1]), groups=HOMES)
    theirs = preprocessing.OneHotEncoder(sparse_output=False).fit(np.round(GAPS[:, :1]))
    np.testing.assert_array_equal(encoder.categories_[0], theirs.categories_[0])
    np.testing.assert_array_equal(encoder.transform(GAPS.round()[:, :1]), theirs.transform(GAPS.round()[:, :1]))


def test_an_unknown_level_is_refused_or_all_zeros():
    encoder = nf.FederatedOneHotEncoder(sparse_output=False).fit(MIXED)
    other = MIXED.assign(ward=np.where(np.arange(N) == 7, "east", WARDS))
    with pytest.raises(
        ValueError,
        match=r"column 'ward': row 7, counted from 0: given 'east', which no client had in fit, allowed are 'north'",
    ):
        encoder.transform(other)
    ignoring = clone(encoder).set_params(handle_unknown="ignore").fit(MIXED)
    assert not ignoring.transform(other)[7, :3].any() and ignoring.transform(other)[7, 3:].sum() == 2
    ignoring.set_params(drop="first").fit(MIXED)
    with pytest.warns(UserWarning, match="column 'ward': 'east' and what else is unknown becomes all zeros"):
        assert not ignoring.transform(other)[7, :2].any()


# --- what travels, tables, refusals


def test_the_ledger_counts_what_each_client_sends():
    """Two sums of four columns up, and what they come to down; a client's own levels up, and those of all down."""
    scaler = nf.FederatedStandardScaler().fit(NUMBERS, groups=HOMES)
    assert scaler.ledger_.n_clients == 4
    numbers = {"up": 1 + 4 + 4, "down": 1 + 4 + 4}  # a count, means and squares
    for way, count in numbers.items():
        sent = getattr(scaler.ledger_, way).bytes
        assert (sent >= 8 * count).all() and (sent <= 8 * count + 320).all(), sent
    by_scale = [
        nf.FederatedStandardScaler(**words).fit(NUMBERS).ledger_.up.bytes.sum() for words in ({}, {"with_std": False})
    ]
    assert by_scale[1] < by_scale[0]  # the second exchange is not made
    encoder = nf.FederatedOneHotEncoder().fit(WARDS[:, None], groups=HOMES)
    up = encoder.ledger_.up.bytes
    assert up[3] < up[0] == up[1] == up[2] < encoder.ledger_.down.bytes[0]  # client 4 has a west alone


def test_what_is_fitted_does_not_depend_on_the_clients():
    labels = np.where(NUMBERS[:, 0] > 0, "a", "b")
    found = [
        nf.FederatedStandardScaler(clients=clients).fit(GAPS, labels).var_
        for clients in (1, 8, "by-label:2", "shuffled:3", "dirichlet:0.5:4", 1000)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-13)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_in_and_tables_out(library):
    table = pd.DataFrame(GAPS, columns=list("abcd"))
    table = pl.from_pandas(table) if library == "polars" else table
    imputer = nf.FederatedSimpleImputer(clients=3).set_output(transform=library)
    scaler = nf.FederatedStandardScaler(clients=3).set_output(transform=library)
    out = make_pipeline(imputer, scaler).fit_transform(table)
    assert type(out) is type(table) and list(out.columns) == list("abcd")
    right = make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()).fit_transform(GAPS)
    np.testing.assert_allclose(out.to_numpy(), right, rtol=0, atol=1e-12)
    words = table[["a"]].with_columns(pl.Series("ward", WARDS)) if library == "polars" else MIXED
    encoder = nf.FederatedOneHotEncoder(sparse_output=False).set_output(transform=library)
    assert list(encoder.fit_transform(words[["ward"]]).columns) == ["ward_north", "ward_south", "ward_west"]


DAY = pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])})


@pytest.mark.parametrize(
    ("model", "X", "fault"),
    [
        (nf.FederatedStandardScaler(clients=0), NUMBERS, "clients: given 0, must be a number of at least 1"),
        (nf.FederatedStandardScaler(clients="by-label:3"), NUMBERS, "given 'by-label:3', which needs the labels"),
        (nf.FederatedStandardScaler(ranks="all"), NUMBERS, "ranks: given 'all', allowed are None, \"same\", \"own\""),
        (nf.FederatedStandardScaler(), NUMBERS * 1e300, "column 0: its squares over all rows are beyond the largest"),
        (nf.FederatedStandardScaler(), MIXED, "column 'ward': given str, must be numbers or booleans"),
        (nf.FederatedSimpleImputer(strategy="median"), NUMBERS, "strategy: given 'median', allowed are 'mean', 'const"),
        (nf.FederatedSimpleImputer(fill_value=2), NUMBERS, "fill_value: given 2 with strategy='mean'"),
        (nf.FederatedSimpleImputer(strategy="constant", fill_value=np.inf), NUMBERS, "fill_value: given inf"),
        (nf.FederatedSimpleImputer(), np.where(NUMBERS > 2, np.inf, 1.0), "contains infinity"),
        (nf.FederatedOneHotEncoder(drop="last"), MIXED, "drop: given 'last', allowed are None, 'first', 'if_binary'"),
        (nf.FederatedOneHotEncoder(handle_unknown=None), MIXED, "handle_unknown: given None, allowed are 'error'"),
        (nf.FederatedOneHotEncoder(), [["a"], [3]], "column 0: given number, str, must hold strings alone"),
        (nf.FederatedOneHotEncoder(), pl.DataFrame({"a": ["x"]}).lazy(), "given a lazy table"),
        (nf.FederatedOneHotEncoder(), MIXED[:0], "given a table of no rows, must have at least one"),
        (nf.FederatedOneHotEncoder(), DAY, "column 'day': given Timestamp, must hold strings alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(model, X, fault):
    with pytest.raises(ValueError, match=fault):
        model.fit(X)


def test_a_fitted_transformer_is_plain_arrays():
    for model, X in ((TRANSFORMERS[0], NUMBERS), (TRANSFORMERS[2], GAPS), (nf.FederatedOneHotEncoder(), MIXED)):
        fitted = clone(model).fit(X)
        again = pickle.loads(pickle.dumps(fitted))
        a, b = (each.transform(X) for each in (fitted, again))
        assert (abs(a - b)).max() == 0


# --- in a pipeline


def pipelines():
    """Ours and scikit-learn's: gaps filled, wards encoded, all scaled, a logistic model."""
    steps = {
        "ours": (nf.FederatedSimpleImputer(), nf.FederatedOneHotEncoder(sparse_output=False),
                 nf.FederatedStandardScaler(), nf.FederatedLogisticRegression(alpha=1e-2, tol=1e-13)),
        "theirs": (impute.SimpleImputer(), preprocessing.OneHotEncoder(sparse_output=False),
                   preprocessing.StandardScaler(),
                   LogisticRegression(C=1 / (N * 1e-2), solver="newton-cholesky", tol=1e-13)),
    }  # fmt: skip
    return [
        make_pipeline(make_column_transformer((imputer, list("abcd")), (encoder, ["ward"])), scaler, model)
        for imputer, encoder, scaler, model in steps.values()
    ]


TABLE = pd.DataFrame(GAPS, columns=list("abcd")).assign(ward=WARDS)
LABELS = np.where(NUMBERS[:, 0] + DRAW.standard_normal(N) > 0, "ill", "well")


def test_a_pipeline_and_a_search_over_it_are_scikit_learns():
    ours, theirs = (pipeline.fit(TABLE, LABELS) for pipeline in pipelines())
    np.testing.assert_allclose(ours[-1].coef_, theirs[-1].coef_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours[-1].intercept_, theirs[-1].intercept_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.predict_proba(TABLE), theirs.predict_proba(TABLE), rtol=0, atol=1e-10)
    names = ours[:-1].get_feature_names_out().tolist()
    assert [name.partition("__")[2] for name in names] == [*"abcd", "ward_north", "ward_south", "ward_west"]
    alphas = [1e-1, 1e-2]
    grids = ({"federatedlogisticregression__alpha": alphas}, {"logisticregression__C": [1 / (80 * a) for a in alphas]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, right = (
            GridSearchCV(pipeline, grid, cv=3, scoring="neg_log_loss").fit(TABLE, LABELS)
            for pipeline, grid in zip(pipelines(), grids, strict=True)
        )
    scores = [search.cv_results_["mean_test_score"] for search in (found, right)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=1e-10)


def test_true_and_1_are_of_two_kinds():
    with pytest.raises(ValueError, match="given bool, number, must hold strings alone, booleans alone"):
        nf.FederatedOneHotEncoder().fit(np.array([[1], [True]], object))
